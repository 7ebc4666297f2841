# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What faults do anywhere: waiting, hanging, and what befalls the host as a whole.

`meet` is for the places that can fail: it finds the fault that fires, tells the trace, and does everything of it that
is not peculiar to the place.  What is left (`fail`, `drop`, `status`, `corrupt`, `kill: true`) is the caller's.
"""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import faultwords
from .faults import Fault

if TYPE_CHECKING:
    from .windows.host import Host

_POLL = 0.05  # real seconds between two looks at a stop event
_PATIENCE = 30.0  # real seconds that a restart may take
_UNTOLD = ("arguments",)


def meet(host: Host, kind: str, stop: threading.Event | None = None, **facts: Any) -> Fault | None:
    """The fault that fires on this occurrence, everything general of it done; None when none does.

    `facts` are those of data/faults.yml; `stop` ends waiting, and whoever called must heed it then.
    """
    fault = fire(host, kind, **facts)
    if fault is not None:
        perform(host, fault, stop)
    return fault


def fire(host: Host, kind: str, **facts: Any) -> Fault | None:
    """The fault that fires on this occurrence, told to the trace but not done yet."""
    fired = host.faults.fire(kind, {"host": host.name, **facts})
    if fired is None:
        return None
    fault, number = fired
    told = {name: value for name, value in facts.items() if name not in _UNTOLD and not name.startswith("-")}
    host.trace.write("fault", host.name, id=fault.id, kind=kind, occurrence=number, do=dict(fault.do), **told)
    return fault


def perform(host: Host, fault: Fault, stop: threading.Event | None = None, at_most: float | None = None) -> bool:
    """Do what a fault says anywhere, in this thread; False when its waiting was cut at `at_most` seconds."""
    own_kill = fault.do.get("kill") is True
    delay = 0.0 if own_kill else fault.delay
    cut = at_most is not None and delay > at_most
    host.clock.sleep(at_most if cut and at_most is not None else delay, stop)
    if "hang" in fault.do:
        cut |= _hang(host, fault, stop, at_most)
    for name, act in _INCIDENTS.items():
        if name in fault.do and not (name == "kill" and own_kill):
            act(host, fault, stop)
    return not cut


def _hang(host: Host, fault: Fault, stop: threading.Event | None, at_most: float | None) -> bool:
    """Wait until released; True when `at_most` seconds ended it."""
    booted, late = host.boot_time, threading.Event()
    cancel = None if at_most is None else host.clock.call_after(at_most, late.set, f"{fault.id}: limit")
    try:
        with fault.hanging() as released, host.clock.waiting():
            while not released.wait(_POLL) and not late.is_set():
                if (stop is not None and stop.is_set()) or host.boot_time != booted:
                    break
    finally:
        if cancel is not None:
            cancel()
    return late.is_set()


def _reboot(host: Host, _fault: Fault, stop: threading.Event | None) -> None:
    """Restart the host; whoever called is among those that end, so it waits elsewhere."""
    done = threading.Event()

    def work() -> None:
        try:
            host.reboot()
        finally:
            done.set()

    host.clock.spawn(work, name=f"{host.name}:reboot")
    waited = 0.0
    with host.clock.waiting():
        while not done.wait(_POLL) and waited < _PATIENCE and not (stop is not None and stop.is_set()):
            waited += _POLL


def _kill(host: Host, fault: Fault, _stop: threading.Event | None) -> None:
    wanted = str(fault.do["kill"]).lower()
    for each in host.processes.list():
        if each.name.lower() in (wanted, f"{wanted}.exe"):
            host.processes.kill(each.pid)


def _volume(host: Host, name: str) -> Any:
    volume = host.volumes.by_path(name)
    if volume is None:
        host.trace.write("fault", host.name, problem=f"There is no volume {name}.")
    return volume


def _fill(host: Host, fault: Fault, _stop: threading.Event | None) -> None:
    volume = _volume(host, str(fault.do["fill"]))
    if volume is None:
        return
    more = max(0, volume.free() - faultwords.size(fault.do.get("free", 0)))
    volume.filler += more

    def empty() -> None:
        volume.filler -= more

    fault.until_removed(empty)


def _requestor(host: Host, fault: Fault, _stop: threading.Event | None) -> None:
    """Another product at work; when it finds a creation running it waits for its turn, as Windows tells it to do."""
    name, seconds = str(fault.do.get("name", "Other Backup")), faultwords.seconds(fault.do["requestor"])
    over = threading.Event()
    fault.until_removed(over.set)
    host.on_close.append(over.set)

    def begin() -> bool:
        """Take the turn when nobody has it."""
        if host.vss.busy_with is None:
            with contextlib.suppress(Exception):  # somebody was quicker: VSS_E_SNAPSHOT_SET_IN_PROGRESS
                fault.until_removed(host.vss.hold_by_other(seconds, name).set)
                return True
        return False

    def wait() -> None:
        with host.clock.waiting():
            while not begin() and not over.wait(_POLL):
                pass

    if not begin():
        host.clock.spawn(wait, name=f"{host.name}:{name}")


def _shadows(host: Host, volume: str | None) -> list[Any]:
    """The shadow copies of the host or of one of its volumes, oldest first."""
    if host.vss is None:
        return []
    if volume is None:
        return list(host.vss.shadows)
    found = _volume(host, volume)
    return [] if found is None else list(host.vss.store.of_volume(found.guid))


def _vanish(host: Host, fault: Fault, _stop: threading.Event | None) -> None:
    there = _shadows(host, fault.do.get("volume"))
    which = {"all": slice(None), "oldest": slice(0, 1), "newest": slice(-1, None)}[str(fault.do["vanish"]).lower()]
    for each in there[which]:
        host.vss.store.discard(each)


def _lose(host: Host, fault: Fault, _stop: threading.Event | None) -> None:
    volume = _volume(host, str(fault.do["lose"]))
    if volume is not None and host.vss is not None:
        host.vss.lose(volume, faultwords.code(fault.do.get("event", 25)))


def _evict(host: Host, fault: Fault, _stop: threading.Event | None) -> None:
    volume = _volume(host, str(fault.do["evict"]))
    for each in _shadows(host, str(fault.do["evict"]))[:1]:
        host.vss.store.discard(each)
        host.vss.log.evicted(volume)


def _jump(host: Host, fault: Fault, _stop: threading.Event | None) -> None:
    host.clock.jump(faultwords.signed_seconds(fault.do["jump"]))


_INCIDENTS: dict[str, Callable[[Any, Fault, threading.Event | None], None]] = {
    "kill": _kill,
    "fill": _fill,
    "vanish": _vanish,
    "evict": _evict,
    "lose": _lose,
    "jump": _jump,
    "requestor": _requestor,
    "reboot": _reboot,
}


def corrupted(body: bytes, fault: Fault) -> bytes:
    """An answer's body with as many bytes changed as `corrupt` says, always the same ones for the same seed and length.

    A changed byte has its lowest bit turned, so that it is another character but rarely another kind of one.
    """
    changed = bytearray(body)
    dice = random.Random(f"{fault.seed}:{len(body)}")  # noqa: S311 - dice for tests, not for secrets
    for place in dice.sample(range(len(body)), min(len(body), int(fault.do["corrupt"]))):
        changed[place] ^= 1
    return bytes(changed)
