# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run of ours on a host: its record, its folder, its clock; and the removal of what runs made.

Removal goes by what records name, never by what looks like ours. It goes on when a step fails: what could not be
removed is told at the end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from .. import _verbs as verbs
from .._host import Host
from .._pipeline import CommandFailed, ConnectionLost, HostError, HostFailure, Reply, Result, Statement
from . import diskshadow, records
from .errors import VssFailure
from .facts import Facts, read_shadows
from .inventory import shadows_statement
from .model import Shadow
from .paths import join
from .records import Record
from .traces import MANIFEST, at_work, busy, ids_in_logs, logs, manifest_of, settle

Say = Callable[[str], None]

EVENT_CREATED, EVENT_BACKED_UP, EVENT_REMOVED = 1000, 1001, 1002

_REOPEN_PAUSES = (0.0, 2.0, 5.0, 10.0, 20.0, 30.0)  # seconds before each try


@dataclass
class Run:
    """A run: created with `begin`, changed step by step, ended by keeping or removing what it made.

    creating: when it first let the host create, by the host's clock; from then on there may be shadow copies.
    """

    host: Host
    facts: Facts
    record: Record
    say: Say
    sleep: Callable[[float], None] = time.sleep
    warnings: list[str] = field(default_factory=list)
    shadows: tuple[Shadow, ...] = ()
    started: float = field(default_factory=time.monotonic)
    prepared: bool = False
    creating: datetime | None = None

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
        return self.facts.now + timedelta(seconds=self.seconds)

    def starts_creating(self) -> None:
        """From now on there may be shadow copies that no record names."""
        # The host was asked for its clock a little before its answer came: a second covers that.
        self.creating = self.creating or self.now() - timedelta(seconds=1)

    def path(self, *names: str) -> str:
        """A path in the run's folder."""
        return join(self.folder, *names)

    def step(self, lease: timedelta = records.LEASE, **changes: Any) -> list[Statement]:
        """The statements that write the record after these changes."""
        self.record = self.record.next(self.now(), lease, **changes)
        return records.write(self.record, self.host.windows)

    def prepare(self, lease: timedelta = records.LEASE) -> list[Statement]:
        """The statements that make the folders and write the record, before anything else is done."""
        self.prepared = True
        return [*state_folder(self.host, self.facts), verbs.make_folder("run", self.folder, False), *self.step(lease)]

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

    def clean(self, made: Iterable[str] = ()) -> list[str]:
        """Remove everything the run made, and `made`: IDs of shadow copies that its record does not name yet.

        What could not be removed is returned; nothing is raised.
        """
        if not self.prepared:
            return []
        try:
            if self.creating and not self.record.shadows:
                made = [*made, *self._made_unnoticed()]
            leftover = Leftover(self.record, tuple(made), self._destination_is_ours())
            told = f"umbra.vss removed what the {self.record.action} {self.record.run} had made before it failed."
            event = verbs.write_event("event", EVENT_REMOVED, told).tolerant()
            return remove(self.host, [leftover], self.shadows or self.facts.shadows, [event])
        except HostFailure as failure:
            return [f"whatever run {self.record.run} made ({failure})"]

    def _destination_is_ours(self) -> bool:
        """Whether the destination holds what this run began and did not finish, by the manifest in it."""
        if not self.record.made_destination or not self.record.destination:
            return False
        reply = self.host.ask(
            verbs.read_texts("manifest", join(self.record.destination, MANIFEST)).tolerant(), allow=True
        )
        manifest = manifest_of([str(text) for text in reply["manifest"].values])
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

    def interrupted(self, made: Iterable[str]) -> None:
        """Clean up after a task's time limit or an interruption, as far as it goes; the record tells the rest."""
        with suppress(Exception):
            self.host.reopen()
            self.clean(made)


def begin(host: Host, facts: Facts, action: str, name: str, say: Say) -> Run:
    """A new run. Nothing is written before its `prepare`."""
    record = Record(
        run=records.new_run(),
        action=action,
        name=name,
        owner=records.this_process(),
        begun=records.utc(facts.now),
    )
    return Run(host, facts, record, say)


def state_folder(host: Host, facts: Facts) -> list[Statement]:
    """The statements that make the state folder, for administrators only, and our event source, if it is not there."""
    if facts.state_exists:
        return []
    folder = records.state_folder(host.windows)
    return [
        verbs.make_folder("state", folder),
        verbs.own("state-owner", folder),
        verbs.secure("state-acl", folder),
        verbs.register_event_source("event-source"),
    ]


def failing(run: Run, error: Exception, made: Iterable[str] = ()) -> VssFailure:
    """Clean up after a failure and give the one to raise: the first error, and what could not be cleaned."""
    left = run.clean(made)
    sentence = str(error) if isinstance(error, VssFailure) else f"{_host_failure(run.host, error)}"
    details = dict(error.details) if isinstance(error, VssFailure) else {}
    if left:
        sentence = f"{sentence} Left on {run.host.name}: {', '.join(left)}; the module cleanup removes it."
    return VssFailure(sentence, **{**details, "left_behind": left, "warnings": run.warnings})


def _host_failure(host: Host, error: Exception) -> str:
    text = str(error).strip()
    named = text if host.name in text else f"On {host.name}, {text}"
    return named[0].upper() + named[1:] + ("" if named.endswith((".", "!", "?")) else ".")


# ---- removal
@dataclass(frozen=True)
class Leftover:
    """What a run made. more: IDs of shadow copies that only its logs name; destination: also remove that."""

    record: Record
    more: tuple[str, ...] = ()
    destination: bool | None = None

    @property
    def shadow_ids(self) -> list[str]:
        """Every shadow copy of the run."""
        return list(dict.fromkeys([*(made.id for made in self.record.shadows), *self.more]))

    @property
    def links(self) -> list[str]:
        """Every link of the run."""
        return list(dict.fromkeys([*self.record.links, *(made.link for made in self.record.shadows if made.link)]))

    @property
    def partial(self) -> tuple[str, ...]:
        """What the run made of a destination that it did not finish, if that is to go as well."""
        return self.record.made_destination if self.destination is not False else ()


def remove(
    host: Host, leftovers: Sequence[Leftover], shadows: Iterable[Shadow], also: Sequence[Statement] = ()
) -> list[str]:
    """Remove what runs made, in the order that leaves nothing dangling; then look whether it is gone.

    :param shadows: the shadow copies that are there: they say what is exposed.
    :param also: statements to run when all is removed, before looking.
    :returns: what is still there, in words.
    :raises HostFailure: the host could not be asked.
    """
    ours = {shadow for leftover in leftovers for shadow in leftover.shadow_ids}
    exposed = [shadow.id for shadow in shadows if shadow.id in ours and shadow.exposed_name]
    steps: list[Statement] = []
    for at, leftover in enumerate(leftovers):
        steps += _stopping(leftover, f"-{at}")
    if exposed:
        steps += unexpose(host, leftovers[0].record.run, exposed)
    for at, leftover in enumerate(leftovers):
        steps += _removing(host, leftover, f"-{at}")
    reply = act_all(host, [*steps, *also, *look(host, leftovers)])
    return remains(host, leftovers, reply)


def _stopping(leftover: Leftover, mark: str) -> list[Statement]:
    names = leftover.record.tasks
    stops = [verbs.stop_task(f"stop-{name}{mark}", name).tolerant() for name in names]
    if names and leftover.partial and leftover.record.state == "copying":
        # The program of a stopped task takes a moment to let go of its files.
        stops.append(verbs.pause(f"let-go{mark}", 1.0))
    return stops


def unexpose(host: Host, run: str, shadows: Sequence[str]) -> list[Statement]:
    """The statements that take exposures of these shadow copies to letters and folders back."""
    script = join(records.run_folder(host.windows, run), "unexpose.dsh")
    lines = diskshadow.unexpose_script(shadows)
    return [
        verbs.write_lines("unexpose-script", script, lines).tolerant(),
        verbs.program("unexpose", "diskshadow", "/s", script),
    ]


def _removing(host: Host, leftover: Leftover, mark: str) -> list[Statement]:
    steps = [verbs.remove_link(f"unlink-{at}{mark}", link) for at, link in enumerate(leftover.links)]
    steps += [verbs.cim_delete_shadow(f"delete-{at}{mark}", shadow) for at, shadow in enumerate(leftover.shadow_ids)]
    steps += [verbs.remove_task(f"untask-{name}{mark}", name).tolerant() for name in leftover.record.tasks]
    for at, path in enumerate(leftover.partial):
        steps.append(verbs.remove_tree(f"destination-{at}{mark}", path).tolerant())
    folder = records.run_folder(host.windows, leftover.record.run)
    return [*steps, verbs.remove_tree(f"folder{mark}", folder).tolerant()]


def look(host: Host, leftovers: Sequence[Leftover]) -> list[Statement]:
    """The statements that look whether anything is left."""
    runs = join(records.state_folder(host.windows), records.RUNS)
    places = [path for leftover in leftovers for path in [*leftover.links, *leftover.partial]]
    return [
        shadows_statement("left-shadows").tolerant(),
        verbs.list_folders("left-folders", runs).tolerant(),
        verbs.tasks("left-tasks").tolerant(),
        *(verbs.exists(f"left-{at}", path) for at, path in enumerate(dict.fromkeys(places))),
    ]


def remains(host: Host, leftovers: Sequence[Leftover], reply: Reply) -> list[str]:
    """What is left of it, by the answers to `look`."""
    shadows = {shadow.id: shadow for shadow in read_shadows(reply["left-shadows"])}
    folders = {str(told.get("Name")) for told in reply["left-folders"].values}
    tasks = {str(told.get("TaskName")) for told in reply["left-tasks"].values}
    places = list(dict.fromkeys(p for item in leftovers for p in [*item.links, *item.partial]))
    left = [path for at, path in enumerate(places) if reply[f"left-{at}"].first]
    for leftover in leftovers:
        left += [f"shadow copy {identity}" for identity in leftover.shadow_ids if identity in shadows]
        left += [f"scheduled task {name}" for name in leftover.record.tasks if name in tasks]
        if leftover.record.run in folders:
            left.append(records.run_folder(host.windows, leftover.record.run))
    return list(dict.fromkeys(left))


def act_all(host: Host, statements: Sequence[Statement]) -> Reply:
    """Run every statement, also those after one that failed: the rest then goes into another pipeline.

    :raises ConnectionLost: the answer was lost.
    """
    done: list[Result] = []
    rest = list(statements)
    failure: HostError | None = None
    while rest:
        reply = host.act(*rest, allow=True)
        keys = [statement.key for statement in rest]
        broken = reply.first_incomplete()
        if broken is None:
            done += [reply[key] for key in keys]
            break
        failure = failure or reply.failure
        at = keys.index(broken.key)
        done += [reply[key] for key in keys[: at + 1]]
        rest = rest[at + 1 :]
    return Reply(done, failure)


def check(reply: Reply, host: Host) -> None:
    """Fail when a statement of an `allow`ed pipeline was not answered.

    :raises CommandFailed: naming the first.
    """
    broken = reply.first_incomplete()
    if broken is not None:
        cause = reply.failure or (broken.errors[-1] if broken.errors else HostError("it was not answered"))
        raise CommandFailed(broken.key, cause, host.name)
