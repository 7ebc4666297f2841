# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Undoing what runs made, over a connection, by the table in `undo`; and looking whether it is gone.

It goes on when a step fails. What remembers a run goes only when everything else of it is gone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from .. import _areas, _shares, _tasks
from .. import _verbs as verbs
from .._host import Host
from .._pipeline import CommandFailed, HostError, Reply, Result, Statement
from . import diskshadow, records
from .facts import read_shadows, read_storage
from .inventory import shadows_statement
from .model import Shadow
from .paths import join
from .undo import UNDO, Leftover, Thing

# What remembers a run goes only when everything else is gone: until then the next run, or the lease, tries again.
_MEMORY = frozenset({Thing.LOCK, Thing.FOLDER, Thing.LEASE})


def remove(
    host: Host, leftovers: Sequence[Leftover], shadows: Iterable[Shadow], also: Sequence[Statement] = ()
) -> list[str]:
    """Undo what runs made, in the order of the table; look whether it is gone, and only then forget the runs.

    :param shadows: the shadow copies that are there: they say what is exposed.
    :param also: statements to run when all is removed.
    :returns: what is still there, in words.
    :raises HostFailure: the host could not be asked.
    """
    thaw(host, leftovers)
    steps = undoing(host, leftovers, shadows)
    if steps:
        reply = act_all(host, [*steps, *look(host, leftovers)])
        unfinished = [leftover for leftover in leftovers if remains(host, [leftover], reply, memory=False)]
        if unfinished:
            act_all(host, _of({Thing.LOCK}, host, unfinished))
            done = [leftover for leftover in leftovers if leftover not in unfinished]
            forgotten = forget(host, done, also) if done else []
            return [*remains(host, unfinished, reply, memory=False), *forgotten]
    return forget(host, leftovers, also)


def undoing(host: Host, leftovers: Sequence[Leftover], shadows: Iterable[Shadow]) -> list[Statement]:
    """The statements that undo what runs made, but for what remembers them. shadows: what is there now."""
    exposed = [s.id for s in shadows if s.exposed_name and any(leftover.shows(s) for leftover in leftovers)]
    takes = unexpose(host, leftovers[0].record.run, exposed) if exposed else []
    before = frozenset(undo.thing for undo in UNDO[: [undo.thing for undo in UNDO].index(Thing.EXPOSURE)])
    return [*_of(before, host, leftovers), *takes, *_of(frozenset(Thing) - before - _MEMORY, host, leftovers)]


def forget(host: Host, leftovers: Sequence[Leftover], also: Sequence[Statement] = ()) -> list[str]:
    """Remove what remembers runs of which everything else is gone; what is still there is returned, in words."""
    reply = act_all(host, [*_of(_MEMORY, host, leftovers), *also, *look(host, leftovers)])
    return remains(host, leftovers, reply)


def _of(things: Collection[Thing], host: Host, leftovers: Sequence[Leftover]) -> list[Statement]:
    rows = [undo for undo in UNDO if undo.thing in things]
    return [
        statement
        for undo in rows
        for at, leftover in enumerate(leftovers)
        for statement in undo.commands(host, leftover, f"-{at}")
    ]


_THAW_READINGS = 60  # one a second


def thaw(host: Host, leftovers: Sequence[Leftover]) -> None:
    """Let applications that are still held go on: run the tasks for it that have not run yet, and wait for them."""
    names = [leftover.record.thaw for leftover in leftovers if leftover.record.thaw]
    if not names:
        return
    told = host.ask(*(verbs.task_info(f"thaw-{name}", name).tolerant() for name in names), allow=True)
    idle = [name for name in names if (told[f"thaw-{name}"].first or {}).get("LastTaskResult") == _tasks.NEVER_RUN]
    if idle:
        host.act(*(verbs.start_task(f"thaw-{name}", name).tolerant() for name in idle), allow=True)
    for _reading in range(_THAW_READINGS):
        told = host.ask(
            *(verbs.task_info(f"thaw-{name}", name).tolerant() for name in names), verbs.pause("tick", 1.0), allow=True
        )
        if not any((told[f"thaw-{name}"].first or {}).get("LastTaskResult") == _tasks.RUNNING for name in names):
            return


def unexpose(host: Host, run: str, shadows: Sequence[str]) -> list[Statement]:
    """The statements that take exposures of these shadow copies to letters and folders back."""
    script = join(records.run_folder(host.windows, run), "unexpose.dsh")
    lines = diskshadow.unexpose_script(shadows)
    return [
        verbs.write_lines("unexpose-script", script, lines).tolerant(),
        verbs.program("unexpose", "diskshadow", "/s", script),
    ]


def look(host: Host, leftovers: Sequence[Leftover]) -> list[Statement]:
    """The statements that look whether anything is left."""
    runs = join(records.state_folder(host.windows), records.RUNS)
    asked = [
        shadows_statement("left-shadows").tolerant(),
        verbs.list_folders("left-folders", runs).tolerant(),
        verbs.tasks("left-tasks").tolerant(),
        *(verbs.exists(f"left-{path}", path) for path in _places(leftovers)),
    ]
    if any(leftover.shares for leftover in leftovers):
        asked.append(_shares.shares("left-shares").tolerant())
    if any(leftover.area for leftover in leftovers):
        asked.append(_areas.areas("left-areas").tolerant())
    return asked


def _places(leftovers: Sequence[Leftover]) -> list[str]:
    named = (path for left in leftovers for path in [*left.links, *left.partial, *left.record.scratch])
    return list(dict.fromkeys(named))


def remains(host: Host, leftovers: Sequence[Leftover], reply: Reply, memory: bool = True) -> list[str]:
    """What is left of it, by the answers to `look`. memory: also what remembers the runs."""
    shadows = {shadow.id: shadow for shadow in read_shadows(reply["left-shadows"])}
    folders = {str(told.get("Name")) for told in reply["left-folders"].values}
    tasks = {str(told.get("TaskName")) for told in reply["left-tasks"].values}
    shared = _shared(reply)
    areas = {area.volume for area in read_storage(reply["left-areas"])} if "left-areas" in reply else set()
    left = [path for path in _places(leftovers) if reply[f"left-{path}"].first]
    for leftover in leftovers:
        record, folder = leftover.record, records.run_folder(host.windows, leftover.record.run)
        home = records.run_folder(host.windows, leftover.home)
        leases = leftover.leases if memory else []
        left += [f"shadow copy {identity}" for identity in leftover.shadow_ids if identity in shadows]
        left += [f"scheduled task {name}" for name in [*leftover.tasks, *leases] if name in tasks]
        left += [f"share {n}" for n in leftover.shares if shared.get(n.casefold(), "").startswith(home.casefold())]
        left += [
            f"the exposure {made.exposed}"
            for made in record.showing
            if made.exposed and made.id in shadows and leftover.shows(shadows[made.id])
        ]
        if leftover.area and leftover.area.volume not in areas:
            left.append(f"the storage area of {leftover.area.volume} on {leftover.area.on_volume}, which is missing")
        if memory and record.run in folders:
            left.append(folder)
    return list(dict.fromkeys(left))


def _shared(reply: Reply) -> Mapping[str, str]:
    told = reply["left-shares"].values if "left-shares" in reply else []
    return {str(share.get("Name")).casefold(): str(share.get("Path")).casefold() for share in told}


def act_all(host: Host, statements: Sequence[Statement], must: Collection[str] = ()) -> Reply:
    """Run every statement, also those after one that failed: the rest then goes into another pipeline.

    :param must: keys of statements after which nothing is run when they fail.
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
        if broken.key in must:
            break
        rest = rest[at + 1 :]
    return Reply(done, failure)


def check(reply: Reply, host: Host) -> None:
    """Fail when a statement of an `allow`ed pipeline was not answered.

    An event that could not be written, because somebody has removed our event source, undoes nothing: it comes last.
    :raises CommandFailed: naming the first.
    """
    broken = reply.first_incomplete()
    if broken is not None and broken.key != "event":
        cause = reply.failure or (broken.errors[-1] if broken.errors else HostError("it was not answered"))
        raise CommandFailed(broken.key, cause, host.name)
