# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A revert that has begun: whether it goes on, how far it is, and the wait for its end, also across a restart.

Nothing can cancel a revert, and a restart of the host only delays it (IVssBackupComponents::RevertToSnapshot). So one
whose run has died is not undone but waited for. Two things tell about it: the listing of vssadmin, by its structure,
and the events 64 (begun), 65 (begun again after a restart) and 66 (complete) of volsnap.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from .. import _verbs as verbs
from .._host import Host
from .._pipeline import ConnectionLost, HostFailure, Reply, Result, Statement, moment
from . import records, vssadmin
from .errors import VssFailure
from .facts import Event, Facts, read_events
from .model import Volume
from .owner import this_process
from .paths import join
from .records import Record
from .run import Run, check

Say = Callable[[str], None]

BEGUN, AGAIN, COMPLETE = 64, 65, 66
REVERTED = "reverted.log"  # in the run's folder: what Win32_ShadowCopy.Revert returned

# Seconds for which no listing may name a revert that is not known to be complete until it is held to be over: events
# can come late, and a log can have lost them.
_QUIET, _QUIET_AFTER_BEGUN = 10.0, 60.0
# What a run that has died a moment ago asked for may still be on its way: seconds.
_IN_FLIGHT, _YOUNG = (1.0, 2.0), 120.0
LIMIT = timedelta(hours=6)  # for which the end of a revert is waited by default
_PAUSES = (0.3, 0.5, 1.0, 2.0, 4.0, 8.0)
_LATER = (15.0,) * 8
_AWAY = (2.0, 5.0, 10.0, 20.0, *(30.0,) * 60)  # between tries to reach a host that restarts: half an hour


@dataclass(frozen=True)
class Target:
    """What a run reverts, as its record keeps it in `changes`.

    since: by the host's clock, before it was asked to. lost: what that was to cost, as the module tells it.
    """

    volume: str
    display: str
    shadow: str
    since: datetime | None
    lost: tuple[Mapping[str, Any], ...] = ()

    @classmethod
    def of(cls, record: Record) -> Target | None:
        """The target of a run that reverts; None for other runs and for what cannot be read."""
        told = record.changes.get("revert")
        if record.state != "reverting" or not isinstance(told, dict):
            return None
        try:
            lost = tuple(dict(each) for each in told["lost"])
            return cls(str(told["volume"]), str(told["display"]), str(told["shadow"]), moment(told["since"]), lost)
        except (KeyError, TypeError, ValueError):
            return None

    def told(self) -> dict[str, Any]:
        """Itself as a record keeps it."""
        since = records.utc(self.since) if self.since else None
        return {
            "volume": self.volume, "display": self.display, "shadow": self.shadow, "since": since,
            "lost": list(self.lost),
        }  # fmt: skip


@dataclass
class Watch:
    """What the readings told so far of one revert. accepted: the host said that it begins."""

    target: Target
    volumes: Sequence[Volume]
    accepted: bool = False
    percent: int | None = None
    going_on: bool = False
    events: frozenset[int] = frozenset()
    restarts: int = 0
    _quiet_since: float | None = None

    @property
    def complete(self) -> bool:
        """Whether the host's log tells its end."""
        return COMPLETE in self.events and not self.going_on

    @property
    def begun(self) -> bool:
        """Whether it is known to have begun."""
        return self.accepted or self.going_on or bool(self.events)

    @property
    def over(self) -> bool:
        """Whether there is nothing to wait for any more."""
        if self.complete:
            return True
        limit = _QUIET_AFTER_BEGUN if self.events else _QUIET
        return self._quiet_since is not None and time.monotonic() - self._quiet_since >= limit

    def list(self, listing: Result) -> None:
        """Take what vssadmin lists."""
        reverts = vssadmin.read_reverts("\n".join(str(line) for line in listing.values))
        mine = [each for each in reverts if self._mine(each)]
        self.going_on = bool(mine)
        self.percent = mine[0].percent if mine else None

    def take(self, listing: Result, log: Result) -> None:
        """Take one reading: the listing and the events."""
        self.list(listing)
        told = [event for event in read_events(log) if self._tells(event)]
        self.events |= {event.id for event in told}
        self.restarts = max(self.restarts, sum(event.id == AGAIN for event in told))
        if self.going_on:
            self._quiet_since = None
        elif self._quiet_since is None:
            self._quiet_since = time.monotonic()

    def _mine(self, found: vssadmin.Reverting) -> bool:
        """One of which the listing tells neither volume nor copy may be it."""
        if found.volume is not None:
            return found.volume == self.target.volume
        return not self.target.shadow or found.shadow in (None, self.target.shadow)

    def _tells(self, event: Event) -> bool:
        """Whether an event is about this revert; one that names no volume of the host may be."""
        if event.provider.lower() != "volsnap" or event.id not in (BEGUN, AGAIN, COMPLETE):
            return False
        if self.target.since and event.time and event.time < self.target.since - timedelta(seconds=2):
            return False
        named = {_name_in(event.message, volume): volume.id for volume in self.volumes}
        longest = max(named, key=len, default="")
        return not longest or named[longest] == self.target.volume

    def line(self, host: str) -> str:
        """How far it is, in words."""
        far = "" if self.percent is None else f": {self.percent} %"
        return f"Reverting {self.target.display} on {host}{far}"


def _name_in(message: str, volume: Volume) -> str:
    """The longest name of a volume that a message holds, "" for none."""
    text = message.casefold()
    names = (volume.display.rstrip("\\").casefold(), volume.id.rstrip("\\").casefold())
    return max((name for name in names if name in text), key=len, default="")


def listing(key: str = "reverts") -> Statement:
    """The statement that lists the reverts that go on. A client edition knows no such command, and says so."""
    return verbs.program(key, "vssadmin", "query", "reverts", "/all")


def _log(key: str, seconds: float) -> Statement:
    return verbs.events(key, int(seconds) + 5, ("volsnap",)).tolerant()


# ---- waiting
@dataclass
class Wait:
    """A wait for the end of a revert.

    elapsed: seconds since it may have begun, at the start of the wait. lost: told of every connection that is lost.
    """

    host: Host
    watch: Watch
    say: Say
    elapsed: float
    limit: timedelta
    lost: Callable[[ConnectionLost], object] = lambda lost: None
    sleep: Callable[[float], None] = time.sleep

    def __post_init__(self) -> None:
        self._started = time.monotonic()

    def follow(self) -> None:
        """Watch until it is over.

        :raises StillReverting: it goes on beyond the limit.
        :raises ConnectionLost: the host does not come back.
        """
        pauses: Sequence[float] = _PAUSES
        while not self.watch.over:
            try:
                self._batch(pauses)
                pauses = _LATER
            except ConnectionLost as lost:
                self.lost(lost)
                self._come_back()
                pauses = _PAUSES
            if not self.watch.over and self._too_long:
                raise StillReverting(self.watch, self.host.name)

    @property
    def _too_long(self) -> bool:
        return time.monotonic() - self._started > self.limit.total_seconds()

    def _batch(self, pauses: Iterable[float]) -> None:
        asked: list[Statement] = []
        for at, pause in enumerate((0.0, *pauses)):
            since = self.elapsed + time.monotonic() - self._started + sum(self._pauses_until(at, pauses))
            asked += [verbs.pause(f"pause@{at}", pause), listing(f"reverts@{at}"), _log(f"events@{at}", since)]
        stream = self.host.watch(*asked)
        listed: Result | None = None
        try:
            for result in stream:
                if result.key.startswith("reverts@"):
                    listed = result
                elif result.key.startswith("events@") and listed is not None:
                    self.watch.take(listed, result)
                    if self.watch.over or self._too_long:
                        return
                    self.say(self.watch.line(self.host.name))
        finally:
            close = getattr(stream, "close", None)
            if close is not None:
                close()

    @staticmethod
    def _pauses_until(at: int, pauses: Iterable[float]) -> Sequence[float]:
        return (0.0, *pauses)[: at + 1]

    def _come_back(self) -> None:
        """A new session, as often as a host that restarts may need it."""
        for number, pause in enumerate(_AWAY, 1):
            try:
                self.host.reopen()
                return
            except ConnectionLost:
                if number == len(_AWAY) or self._too_long:
                    raise
                self.say(f"Waiting for {self.host.name}, which does not answer: the revert goes on when it is up again")
            self.sleep(pause)


class StillReverting(VssFailure):
    """A revert goes on for longer than was to be waited."""

    def __init__(self, watch: Watch, host: str) -> None:
        far = "" if watch.percent is None else f" and is at {watch.percent} %"
        super().__init__(
            f"The revert of {watch.target.display} on {host} goes on{far}: nothing can cancel it, and it ends by "
            "itself; run the module again to wait for it.",
            percent=watch.percent,
        )


# ---- somebody else's
def not_reverted(host: Host, facts: Facts, volumes: Collection[str]) -> None:
    """Refuse what would come between a revert and its end. The record of a dead run may tell of one that has ended.

    :raises VssFailure: another run reverts one of these volumes, or has just asked for it.
    """
    me = this_process()
    theirs = [
        (record, target)
        for record in facts.records.readable
        if (target := Target.of(record)) is not None and target.volume in volumes and record.owner != me
    ]
    if not theirs:
        return
    listed = host.ask(listing())["reverts"]
    for record, target in theirs:
        watch = Watch(target, facts.volumes)
        watch.list(listed)
        young = target.since is None or (facts.now - target.since).total_seconds() < _YOUNG
        if watch.going_on or young or record.owner.provably_alive(me):
            raise VssFailure(
                f"{target.display} on {facts.host} is being reverted by run {record.whose}: {record.patience}."
            )


# ---- a run that has died
def complete(
    host: Host,
    volumes: Sequence[Volume],
    record: Record,
    now: datetime,
    say: Say,
    check_mode: bool = False,
    limit: timedelta = LIMIT,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Any] | None:
    """What became of the revert of a run that is over; waits for its end. None for other runs.

    :param volumes: those of the host.
    :param now: the host's clock.
    :param limit: how long to wait; nothing is waited for when it is zero, nor in check mode.
    :returns: volume, volume_id, shadow, lost and outcome: `not begun`, `going on` (when it was not waited for) or
        `complete`.
    :raises StillReverting: it goes on beyond the limit.
    :raises HostFailure: the host could not be asked.
    """
    target = Target.of(record)
    if target is None:
        return None
    elapsed = max(0.0, (now - target.since).total_seconds()) if target.since else 86400.0
    watch = Watch(target, volumes)
    if _has_begun(host, watch, record, elapsed, sleep) and limit and not check_mode:
        Wait(host, watch, say, elapsed, limit, sleep=sleep).follow()
    outcome = "not begun" if not watch.begun else "going on" if watch.going_on else "complete"
    return {
        "volume": target.display, "volume_id": target.volume, "shadow": target.shadow, "outcome": outcome,
        "lost": list(target.lost),
    }  # fmt: skip


class Unknown(VssFailure):
    """It is not known whether a revert has begun."""


def begun_after_loss(run: Run, watch: Watch, lost: ConnectionLost) -> bool:
    """Whether a revert has begun of which the answer was lost.

    :raises Unknown: the host does not come back.
    """
    try:
        run.reopen()
        return _has_begun(run.host, watch, run.record, run.seconds, run.sleep)
    except HostFailure:
        raise Unknown(
            f"{lost}, while it was asked to revert {watch.target.display}, and it does not come back. Run the module "
            "again when it answers: it finds out what became of it, and waits for its end."
        ) from None


def _has_begun(host: Host, watch: Watch, record: Record, elapsed: float, sleep: Callable[[float], None]) -> bool:
    """Look whether a revert has begun; what was asked for a moment ago may still be on its way."""
    for pause in (*_IN_FLIGHT, None) if elapsed < _YOUNG else (None,):
        _look(host, watch, record, elapsed)
        if watch.begun or pause is None:
            break
        sleep(pause)
    return watch.begun


def _look(host: Host, watch: Watch, record: Record, elapsed: float) -> None:
    log = join(records.run_folder(host.windows, record.run), REVERTED)
    returned = verbs.read_texts("returned", log, "Unicode").tolerant()
    reply = host.ask(listing(), _log("events", elapsed), returned, allow=True)
    check(reply, host)
    watch.accepted = accepted(reply)
    watch.take(reply["reverts"], reply["events"])


def accepted(reply: Reply) -> bool:
    """Whether the log in the run's folder, read under the key `returned`, tells that the revert was begun."""
    texts = "".join(str(value) for value in reply["returned"].values).replace("\0", "")
    return '"ReturnValue":0' in texts.replace(" ", "")
