# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run of ours on a host: its record, its lease, the host's lock, its clock; how it begins and how it ends."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from .. import _verbs as verbs
from .._host import Host
from .._pipeline import CommandFailed, ConnectionLost, HostFailure, Reply, Statement
from . import lease as leases
from . import lock, records
from .errors import VssFailure
from .facts import Facts, read_shadows
from .inventory import shadows_statement
from .lock import Holder
from .model import Shadow
from .owner import this_process
from .paths import join
from .records import Record
from .traces import MANIFEST, at_work, busy, ids_in_logs, logs, manifest_of, settle
from .undo import Leftover
from .undoing import act_all, check, look, remains, remove, unexpose

__all__ = [
    "EVENT_BACKED_UP",
    "EVENT_CREATED",
    "EVENT_REMOVED",
    "Busy",
    "Leftover",
    "Run",
    "Say",
    "Stale",
    "act_all",
    "begin",
    "check",
    "failing",
    "look",
    "remains",
    "remove",
    "retried",
    "state_folder",
    "unexpose",
]

T = TypeVar("T")
Say = Callable[[str], None]

EVENT_CREATED, EVENT_BACKED_UP, EVENT_REMOVED = 1000, 1001, 1002

_REOPEN_PAUSES = (0.0, 2.0, 5.0, 10.0, 20.0, 30.0)  # seconds before each try
_LOCK_PAUSE = 2.0  # seconds, about, between two looks at a lock that somebody else has
_TRIES = 4  # of an action whose facts were out of date when it got the lock


class Busy(VssFailure):
    """Others are at work and were not done in time; details["busy"] says who."""


class Stale(Exception):
    """Somebody else has changed what we keep on the host since it was asked: decide anew."""


def retried(do: Callable[[], T]) -> T:
    """The answer of an action, which is decided anew when its facts turn out to be out of date.

    :raises Busy: others change things all the time.
    """
    for _again in range(_TRIES - 1):
        with suppress(Stale):
            return do()
    try:
        return do()
    except Stale as stale:
        raise Busy(f"{stale} Run it again when they are done.", busy=str(stale)) from None


@dataclass
class Run:
    """A run: begun with `start`, changed step by step, ended by keeping or undoing what it made.

    creating: when it first let the host create, by the host's clock; from then on there may be shadow copies.
    deadline: until when it waits for others, by the monotonic clock; waited: whether it had to; set by `start`.
    stays: what `clean` must leave to people.
    recheck: fails when another run is in the way, by what `start` finds when it has the lock.
    """

    host: Host
    facts: Facts
    record: Record
    say: Say
    sleep: Callable[[float], None] = time.sleep
    warnings: list[str] = field(default_factory=list)
    shadows: tuple[Shadow, ...] = ()
    started: float = field(default_factory=time.monotonic)
    deadline: float = 0.0
    waited: bool = False
    recheck: Callable[[Facts], None] | None = None
    stays: str = ""
    prepared: bool = False
    creating: datetime | None = None
    _leased: tuple[object, ...] = ()
    _leases: tuple[str, ...] = ()  # the tasks of the lease that may be registered, the first one first
    _scripts: Mapping[str, list[str]] = field(default_factory=dict)

    @property
    def folder(self) -> str:
        """The run's folder on the host."""
        return records.run_folder(self.host.windows, self.record.run)

    @property
    def seconds(self) -> float:
        """How long the run has taken so far."""
        return time.monotonic() - self.started

    def now(self) -> datetime:
        """The host's clock, by what it said when it was asked and by how long that is ago."""
        return self.facts.now + timedelta(seconds=time.monotonic() - self.facts.asked)

    def starts_creating(self) -> None:
        """From now on there may be shadow copies that no record names."""
        # The host was asked for its clock a little before its answer came: a second covers that.
        self.creating = self.creating or self.now() - timedelta(seconds=1)

    def path(self, *names: str) -> str:
        """A path in the run's folder."""
        return join(self.folder, *names)

    # ---- beginning
    def start(
        self, *statements: Statement, timeout: float = 0.0, allow: bool = False, lease: timedelta = records.LEASE
    ) -> Reply:
        """The first pipeline of a transaction: lease, folder, record and lock, and then these statements.

        The lease comes first, so that whatever happens next is undone. The statements must not change what VSS holds:
        only with the answer is it known that nobody has changed anything since the facts were asked.

        :param timeout: how many seconds to wait for somebody else who has the lock.
        :raises Busy: he was not done in time.
        :raises Stale: he was, and what we keep has changed: everything has to be decided anew.
        :raises HostFailure: the host could not be asked.
        """
        # Nobody may take the lock for abandoned while the run goes on waiting, with it or for it.
        lease += timedelta(seconds=timeout)
        until, opening = self.now() + lease, self._opening(lease)
        deadline = time.monotonic() + timeout
        gone = self._over(self.facts.lock)
        while True:
            locking = lock.taking(self.record, self.host.windows, until, gone)
            asked = [*opening, *locking, records.reading(lock.RECORDS, self.host.windows), *statements]
            left = max(0.0, deadline - time.monotonic())
            reply, taken = self._try(asked, allow)
            if taken:
                self.deadline = time.monotonic() + left  # what the host does meanwhile is not waiting
                self._still_true(reply)
                return reply
            opening, self.waited = [], True
            gone = self._wait(deadline)

    def _opening(self, lease: timedelta) -> list[Statement]:
        """What comes before the lock."""
        self.prepared = True
        self.record = self._renewed(lease)
        self._scripts = leases.scripts(self.record, self.host.windows)
        return [
            *state_folder(self.host, self.facts),
            *self._leasing(),
            records.first(self.record, self.host.windows),
            *leases.writing(self.host, self.record),
        ]

    def _try(self, asked: list[Statement], allow: bool) -> tuple[Reply, bool]:
        try:
            reply = self.host.act(*asked, allow=allow)
        except CommandFailed as failed:
            if failed.key != lock.KEY:
                raise
            return Reply([]), False
        broken = reply.first_incomplete()
        return reply, broken is None or broken.key != lock.KEY

    def _over(self, holder: Holder | None) -> Holder | None:
        return holder if holder is not None and holder.over(self.now(), this_process()) else None

    def _wait(self, deadline: float) -> Holder | None:
        """Look who has the lock: give him when he is over, None when it is free or after a while of waiting."""
        holder = lock.holder(self.host.ask(*lock.looking(self.host.windows), allow=True))
        if holder is None or self._over(holder):
            return holder
        left = deadline - time.monotonic()
        if left <= 0:
            self.clean()
            raise Busy(
                f"Another run of this collection is at work on {self.host.name} and was not done in time: the "
                f"{holder.told()}. Wait for it, or allow more time"
                + (
                    f"; if it has died, its lease ends it at {holder.until} by the host's clock."
                    if holder.until
                    else "."
                ),
                busy=holder.told(),
            )
        pause = min(left, _LOCK_PAUSE * random.uniform(0.5, 1.5))  # noqa: S311 - not a secret
        self.say(f"The {holder.told()} is at work on {self.host.name}: waiting, {left:.0f} s are left.")
        self.sleep(pause)
        return None

    def _still_true(self, reply: Reply) -> None:
        now = records.read_all(str(text) for text in reply[lock.RECORDS].values).settled(self.facts.tasks)
        if now.versions != self.facts.records.versions:
            self.clean()
            raise Stale(f"Another run of this collection has changed the snapshots of {self.host.name} meanwhile.")
        if self.recheck is not None:  # some give the lock back before they end; who waits for it is in nobody's way
            at_work = tuple(record for record in now.readable if record.state != "begun")
            self.recheck(replace(self.facts, records=replace(now, readable=at_work)))

    # ---- going on
    def step(self, lease: timedelta = records.LEASE, **changes: Any) -> list[Statement]:
        """The statements that write the record after these changes, and the lease if it changes with them."""
        self.record = replace(self.record, **changes)
        self.record = self._renewed(lease)
        return [*self._written(), *self._leasing()]

    def keeping(self, **changes: Any) -> list[Statement]:
        """The statements that end a run whose snapshot stays: the removal of its lease is what keeps it."""
        first = self.step(state="keeping", **changes)
        self.record = self.record.next(self.now(), state="kept", tasks=self.record.work_tasks)
        return [
            *first,
            *(verbs.remove_task(f"un{name}", name).tolerant() for name in reversed(self._leases[1:])),
            verbs.remove_task(f"un{self.record.lease_task}", self.record.lease_task),
            *(replace(each, key=f"kept-{each.key}") for each in self._written(scripts=False)),
            *lock.giving_back(self.record.run, self.host.windows),
        ]

    def release(self) -> list[Statement]:
        """The statements that give the host's lock back while the run goes on."""
        return lock.giving_back(self.record.run, self.host.windows, "-early")

    def _renewed(self, lease: timedelta) -> Record:
        """The record one revision on. Its lease moves only when that is worth a registration.

        It names all tasks of the lease but the first: those that there are, and those that there will be.
        """
        record = self._with_leases(leases.names(self.record, self.host.windows))
        now, until = self.now(), self._leased[1] if self._leased else None
        stays = isinstance(until, datetime) and now + lease * 2 / 3 < until
        return record.next(until if stays and isinstance(until, datetime) else now + lease)

    def _with_leases(self, new: Iterable[str] = ()) -> Record:
        more = [name for name in dict.fromkeys([*self._leases, *new]) if name != self.record.lease_task]
        return replace(self.record, tasks=(*self.record.work_tasks, *more))

    def _leasing(self) -> list[Statement]:
        """The statements that register the lease, if it is another one than the one that is registered."""
        plan, until = leases.plan(self.record, self.host.windows), self.record.until
        if until is None or self._leased == (plan, until):
            return []
        self._leased = (plan, until)
        names = leases.names(self.record, self.host.windows)
        # One that is not needed any more would undo at its time what belongs to a run that goes on, or has ended well.
        over = [name for name in self._leases if name not in names]
        self._leases = tuple(dict.fromkeys([*names, *self._leases]))  # whether it has gone, an answer may never tell
        return [
            *leases.registering(self.host, self.record, until),
            *(verbs.remove_task(f"over-{name}", name).tolerant() for name in over),
        ]

    def _written(self, scripts: bool = True) -> list[Statement]:
        wanted = leases.scripts(self.record, self.host.windows) if scripts else self._scripts
        fresh, self._scripts = wanted != self._scripts, wanted
        written = leases.writing(self.host, self.record) if fresh else []
        return [*written, *records.write(self.record, self.host.windows)]

    # ---- trouble
    def reopen(self) -> None:
        """A new session after the connection was lost, tried several times.

        :raises ConnectionLost: the host does not answer any more.
        """
        for number, pause in enumerate(_REOPEN_PAUSES, 1):
            self.sleep(pause)
            try:
                self.host.reopen()
                return
            except ConnectionLost:
                if number == len(_REOPEN_PAUSES):
                    raise

    def lost_while(self, what: str, lost: ConnectionLost) -> None:
        """Note that the connection was lost and the run goes on."""
        self.warnings.append(
            f"The connection to {self.host.name} was lost while {what} ({lost.reason}); it was made again and the run "
            "went on."
        )

    def patiently(self, what: str, do: Callable[[], T]) -> T:
        """Do something that may be done twice, once more when the connection is lost meanwhile."""
        try:
            return do()
        except ConnectionLost as lost:
            self.lost_while(what, lost)
            self.reopen()
            return do()

    def interrupted(self, made: Iterable[str]) -> None:
        """Clean up after a task's time limit or an interruption, as far as it goes; the record tells the rest."""
        if self.prepared:
            with suppress(Exception):
                self.host.reopen()
                self.clean(made)

    # ---- ending
    def finish(self, *last: Statement) -> list[str]:
        """End a run that keeps nothing: undo what it made, run these statements, look.

        What is left is returned, in words.

        :raises HostFailure: the host could not be asked.
        """
        leftover = Leftover(self._with_leases(), destination=False)
        left = remove(self.host, [leftover], self.shadows or self.facts.shadows, last)
        self.prepared = False
        return left

    def clean(self, made: Iterable[str] = ()) -> list[str]:
        """Undo everything the run made, and `made`: IDs of shadow copies that its record does not name yet.

        What could not be removed is returned; nothing is raised.
        """
        if not self.prepared:
            return []
        try:
            if self.creating and not self.record.shadows:
                made = [*made, *self._made_unnoticed()]
            elif any(made.exposed for made in Leftover(self.record).shown):  # what VSS said of them is out of date
                self.shadows = read_shadows(self.host.ask(shadows_statement())["shadows"])
            leftover = Leftover(self._with_leases(), tuple(made), self._destination_is_ours())
            told = f"umbra.vss removed what the {self.record.action} {self.record.run} had made before it failed."
            event = verbs.write_event("event", EVENT_REMOVED, told).tolerant()
            left = remove(self.host, [leftover], self.shadows or self.facts.shadows, [event])
        except (HostFailure, ValueError) as failure:
            return [f"whatever run {self.record.run} made ({failure})"]
        self.prepared = bool(left)
        return left

    def _destination_is_ours(self) -> bool:
        """Whether the destination holds what this run began and did not finish, by the manifest in it."""
        self.stays = ""
        if not self.record.made_destination or not self.record.destination:
            return False
        path = join(self.record.destination, MANIFEST)
        reply = self.host.ask(
            verbs.read_text("manifest", path).tolerant(), verbs.exists("manifest-there", path), allow=True
        )
        manifest = manifest_of([str(text) for text in reply["manifest"].values])
        if manifest is None and reply["manifest-there"].first:  # a full disk, for example, has cut it off
            self.stays = f"what was copied to {self.record.destination}"
        return manifest is not None and manifest.get("run") == self.record.run and not manifest.get("complete")

    def _made_unnoticed(self) -> tuple[str, ...]:
        """Shadow copies that the logs tell the run made; looked for until no diskshadow of ours is at work."""
        run = self.record.run
        reply = settle(self.host, lambda: [logs(self.host, run), busy(), shadows_statement()], [run], self.sleep)
        check(reply, self.host)
        if at_work(reply, [run]):
            raise HostFailure(f"its diskshadow is still at work on {self.host.name}")
        self.shadows = read_shadows(reply["shadows"])
        there = {shadow.id for shadow in self.shadows}
        return tuple(made for made in ids_in_logs(map(str, reply[f"logs-{run}"].values)) if made in there)


def begin(host: Host, facts: Facts, action: str, name: str, say: Say) -> Run:
    """A new run. Nothing is written before its `start`."""
    record = Record(
        run=records.new_run(),
        action=action,
        name=name,
        owner=this_process(),
        begun=records.utc(facts.now),
    )
    return Run(host, facts, record, say)


def state_folder(host: Host, facts: Facts) -> list[Statement]:
    """The statements that make the state folder, for administrators only, and our event source, if it is not there."""
    if facts.state_exists:
        return []
    folder = records.state_folder(host.windows)
    return [
        # First: where there is a folder, nobody registers it any more, and an event without a source ends a pipeline.
        verbs.register_event_source("event-source"),
        verbs.make_folder("state", folder),
        verbs.own("state-owner", folder),
        verbs.secure("state-acl", folder),
    ]


def failing(run: Run, error: Exception, made: Iterable[str] = ()) -> VssFailure:
    """Clean up after a failure and give the one to raise: the first error, and what could not be cleaned."""
    left = run.clean(made)
    sentence = str(error) if isinstance(error, VssFailure) else f"{_host_failure(run.host, error)}"
    details = dict(error.details) if isinstance(error, VssFailure) else {}
    if left:
        sentence = f"{sentence} Left on {run.host.name}: {', '.join(left)}; the module cleanup removes it."
    if run.stays:
        sentence += f" And {run.stays} stays there, as its manifest is damaged: remove it by hand."
        left = [*left, run.stays]
    kind = Busy if isinstance(error, Busy) else VssFailure
    return kind(sentence, **{**details, "left_behind": left, "warnings": run.warnings})


def _host_failure(host: Host, error: Exception) -> str:
    text = str(error).strip()
    named = text if host.name in text else f"On {host.name}, {text}"
    return named[0].upper() + named[1:] + ("" if named.endswith((".", "!", "?")) else ".")
