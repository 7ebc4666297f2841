# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs of ours left behind that never ended, found by their records and removed.

A run is over when its process is provably dead or its lease has ended by the host's own clock. Live runs, kept
snapshots and everything of anyone else's are left alone.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from .. import _verbs as verbs
from .._host import Host
from .._pipeline import Reply, Statement
from . import inventory, lock, records, reverting
from .errors import VssFailure
from .facts import Facts, read_shadows
from .foreign import strangers
from .model import GUID, Shadow, guid
from .owner import Owner, this_process
from .paths import join
from .planning import duration
from .records import Record
from .run import EVENT_REMOVED, Leftover, Say, Stale, begin, check, remove, retried
from .traces import MANIFEST, at_work, busy, ids_in_logs, logs, manifest_of, settle


@dataclass(frozen=True)
class Finding:
    """A run that is over, why it is held to be, and what it left. record None: only a folder was found."""

    run: str
    why: str
    leftover: Leftover

    def result(self, host: Host, present: Iterable[str]) -> dict[str, Any]:
        """The finding as a module returns it."""
        there = set(present)
        record = self.leftover.record
        return {
            "run": self.run,
            "name": record.name,
            "action": record.action,
            "why": self.why,
            "shadows": [shadow for shadow in self.leftover.shadow_ids if shadow in there],
            "tasks": list(record.tasks),
            "destination": record.destination if self.leftover.partial else None,
            "folder": records.run_folder(host.windows, self.run),
        }


@dataclass(frozen=True)
class Findings:
    """Everything found. notes: what is worth a warning and was left alone; shadows: what is there now, if asked.

    expired: what leases have undone, and have left a trace of; waiting: runs whose preparation for the lock lies about.
    """

    over: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    shadows: tuple[Shadow, ...] | None = None
    expired: tuple[Record, ...] = ()
    waiting: tuple[str, ...] = ()

    def results(self, host: Host, present: Iterable[str]) -> list[dict[str, Any]]:
        """Everything that is removed, as a module returns it."""
        told = [finding.result(host, present) for finding in self.over]
        for record in self.expired:
            why = f"its lease undid it after {record.lease_until}"
            told.append(Finding(record.run, why, Leftover(record, destination=False)).result(host, present))
        return told


def _traces(host: Host, runs: Sequence[Record], folders: Sequence[str]) -> list[Statement]:
    asked: list[Statement] = []
    for run in dict.fromkeys([*(record.run for record in runs), *folders]):
        folder = records.run_folder(host.windows, run)
        asked.append(logs(host, run))
        asked.append(verbs.read_texts(f"records-{run}", join(folder, "record.json*")))
    for record in runs:
        if record.destination and record.made_destination:
            asked.append(verbs.read_text(f"manifest-{record.run}", join(record.destination, MANIFEST)).tolerant())
    return [*asked, busy(), inventory.shadows_statement()]


_LOST = "its shadow copies are gone"


def vanished(record: Record, there: Iterable[Shadow]) -> bool:
    """Whether a snapshot was kept and none of its shadow copies is there any more."""
    return record.kept and not {made.id for made in record.shadows} & {shadow.id for shadow in there}


def find(host: Host, facts: Facts, sleep: Callable[[float], None] = time.sleep, lost: bool = False) -> Findings:
    """Look for runs that are over. Asks the host only when there is reason to. Changes nothing.

    :param lost: also for kept snapshots whose shadow copies Windows or somebody else has deleted.
    :raises HostFailure: the host could not be asked.
    """
    me = this_process()
    over = {record.run: why for record in facts.records.readable if (why := record.abandoned(facts.now, me))}
    if lost:
        over.update({record.run: _LOST for record in facts.records.readable if vanished(record, facts.shadows)})
    runs = [_with_tasks(record, facts.tasks) for record in facts.records.readable if record.run in over]
    known = {record.run for record in facts.records.readable}
    strays = [name for name in facts.folders if records.is_run(name) and name not in known]
    aside = Findings(expired=facts.expired, waiting=tuple(run for run in facts.waiting if run not in known))
    strays_of_leases = [_unfinished(record) for record in facts.expired if _some(record, facts.shadows)]
    unborn = tuple(_unborn(run, owner, facts) for run, owner in facts.leases.items() if _is_unborn(run, facts, known))
    aside = replace(aside, over=(*strays_of_leases, *(finding for finding in unborn if finding is not None)))
    if not runs and not strays:
        return aside
    reply = settle(host, lambda: _traces(host, runs, strays), [*over, *strays], sleep)
    check(reply, host)
    facts = replace(facts, shadows=read_shadows(reply["shadows"]))
    busy = set(at_work(reply, [*over, *strays]))
    findings = [_finding(record, over[record.run], reply) for record in runs if record.run not in busy]
    notes = [f"The run {run} on {host.name} is over, but its diskshadow is still at work." for run in sorted(busy)]
    for run in strays:
        if run not in busy:
            finding = _stray(facts, run, reply)
            if isinstance(finding, Finding):
                findings.append(finding)
            else:
                notes.append(finding)
    return replace(aside, over=(*aside.over, *findings), notes=tuple(notes), shadows=facts.shadows)


def _with_tasks(record: Record, tasks: Iterable[str]) -> Record:
    """The record with every task of ours that bears its name: a lease may have more than one."""
    return replace(record, tasks=tuple(dict.fromkeys([*record.tasks, *(t for t in tasks if t.startswith(record.run))])))


def _some(record: Record, there: Iterable[Shadow]) -> bool:
    return bool({made.id for made in record.shadows} & {shadow.id for shadow in there})


def _unfinished(record: Record) -> Finding:
    """A run whose lease could not delete its shadow copies. What bears no ID may be somebody else's by now."""
    known = replace(record, links=(), shares=(), scratch=(), made_destination=(), thaw="", tasks=(), showing=())
    shadows = tuple(replace(made, link="", exposed="", share="") for made in record.shadows)
    return Finding(record.run, "its lease could not undo all of it", Leftover(replace(known, shadows=shadows), ()))


def _is_unborn(run: str, facts: Facts, known: Iterable[str]) -> bool:
    return records.is_run(run) and run not in known and run not in facts.folders


def _unborn(run: str, owner: Owner, facts: Facts) -> Finding | None:
    """A run that had its lease and no record yet when it died; None when it may be alive, and will write one."""
    if not owner.provably_dead(this_process()):
        return None
    record = _with_tasks(Record(run=run, action="unknown", owner=owner), facts.tasks)
    return Finding(run, f"its process {owner.pid} on {owner.controller} is gone", Leftover(record, ()))


def _texts(reply: Reply, key: str) -> list[str]:
    return [str(value) for value in reply[key].values] if key in reply else []


def _finding(record: Record, why: str, reply: Reply) -> Finding:
    manifest = manifest_of(_texts(reply, f"manifest-{record.run}"))
    # A destination goes only when it is certain that this run made it and did not finish it.
    ours = manifest is not None and manifest.get("run") == record.run and not manifest.get("complete")
    destination = bool(record.made_destination) and ours
    return Finding(record.run, why, Leftover(record, ids_in_logs(_texts(reply, f"logs-{record.run}")), destination))


def _stray(facts: Facts, run: str, reply: Reply) -> Finding | str:
    """A run folder without a readable record: it goes when it is old and nothing in it names a shadow copy there is."""
    folder = records.run_folder(facts.system.windows, run)
    written = facts.folders.get(run)
    texts = [*_texts(reply, f"logs-{run}"), *_texts(reply, f"records-{run}")]
    named = {guid(hit.group()) for text in texts for hit in GUID.finditer(text.replace("\0", ""))}
    there = [shadow.id for shadow in facts.shadows if shadow.id in named]
    if there:
        return (
            f"{folder} on {facts.host} has no readable record but names the shadow copy {', '.join(there)}: look at it "
            "and remove both by hand."
        )
    if written is None or facts.now - written < records.LEASE:
        return f"{folder} on {facts.host} has no readable record; it is left alone until its lease is over."
    blank = Record(run=run, action="unknown")
    return Finding(run, "its folder holds no readable record and is older than a lease", Leftover(blank, ()))


_PATIENCE = 60.0  # seconds to wait for somebody else who has the lock, before cleaning up, where no task says how long


def recover(
    host: Host,
    facts: Facts,
    check_mode: bool,
    say: Say,
    lost: bool = False,
    reverts: timedelta = timedelta(),
    timeout: float = _PATIENCE,
) -> tuple[Facts, list[dict[str, Any]], list[str]]:
    """Remove what runs that are over left on a host, before anything new is done.

    :param check_mode: only find out what would be removed.
    :param lost: also what is left of kept snapshots whose shadow copies are gone.
    :param reverts: how long to wait for the end of reverts, which nothing can cancel; by default they are left alone.
    :param timeout: how many seconds to wait for somebody else who has the lock.
    :returns: the facts without what is gone, what was removed, warnings.
    :raises VssFailure: something could not be removed, or somebody else has the lock.
    :raises Stale: somebody else did it meanwhile.
    """
    found, reverted = _await_reverts(host, facts, find(host, facts, lost=lost), check_mode, say, reverts)
    notes = [*found.notes, *(f"A record on {host.name} cannot be read: {what}." for what in facts.records.damaged)]
    if found.shadows is not None:
        facts = replace(facts, shadows=found.shadows)
    if not (found.over or found.expired or found.waiting):
        return facts, [], notes
    removed = found.results(host, [shadow.id for shadow in facts.shadows])
    for item in removed:
        item.update({"revert": reverted[item["run"]]} if item["run"] in reverted else {})
    if not check_mode:
        _remove(host, facts, found, removed, say, timeout)
    return _without(facts, found), removed, notes


def _await_reverts(
    host: Host, facts: Facts, found: Findings, check_mode: bool, say: Say, limit: timedelta
) -> tuple[Findings, dict[str, dict[str, Any]]]:
    """Bring the reverts of runs that are over to their end; what goes on without being waited for is left alone."""
    told: dict[str, dict[str, Any]] = {}
    for record in [*(finding.leftover.record for finding in found.over), *found.expired]:
        outcome = reverting.complete(host, facts.volumes, record, facts.now, say, check_mode, limit)
        if outcome is not None:
            told[record.run] = outcome
    if not any(outcome["outcome"] == "going on" for outcome in told.values()) or limit:
        return found, told
    going = {run for run, outcome in told.items() if outcome["outcome"] == "going on"}
    notes = [f"A revert of {told[run]['volume']} on {host.name} goes on: the run {run} is left alone." for run in going]
    over = tuple(finding for finding in found.over if finding.run not in going)
    expired = tuple(record for record in found.expired if record.run not in going)
    return replace(found, over=over, expired=expired, notes=(*found.notes, *notes)), told


def _remove(
    host: Host, facts: Facts, found: Findings, removed: Sequence[Mapping[str, Any]], say: Say, timeout: float
) -> None:
    run = begin(host, facts, "cleanup", "", say)
    reply = run.start(timeout=timeout)
    now = {r.run: r.revision for r in records.read_all(str(text) for text in reply[lock.RECORDS].values).readable}
    mine = {f.run: f.leftover.record.revision for f in found.over if f.run in facts.records.revisions}
    if any(now.get(name) != revision for name, revision in mine.items()):
        run.clean()
        raise Stale(f"Another run of this collection is cleaning up on {host.name}.")
    for finding in found.over:
        say(f"Removing what run {finding.run} left on {host.name}: {finding.why}.")
    leftovers = [*(finding.leftover for finding in found.over), Leftover(run.record)]
    traces = [
        verbs.remove_file(f"trace-{at}", records.expired_file(host.windows, record.run)).tolerant()
        for at, record in enumerate(found.expired)
    ]
    if found.expired:  # the folder goes with the last of them
        traces.append(verbs.remove_link("traces", records.expired_folder(host.windows)))
    for at, name in enumerate(found.waiting):
        traces.append(verbs.remove_tree(f"waiting-{at}", lock.waiting_folder(host.windows, name)).tolerant())
    left = remove(host, leftovers, facts.shadows, [*traces, *([_event(removed)] if removed else [])])
    if left:
        raise VssFailure(
            f"What earlier runs left on {host.name} could not be removed: {', '.join(left)}. "
            "Look at the host's own logs for what holds it.",
            left_behind=left,
        )


def _event(removed: Sequence[Mapping[str, Any]]) -> Statement:
    runs = ", ".join(str(item["run"]) for item in removed)
    told = f"umbra.vss removed what unfinished runs had left: {runs}. {json.dumps(list(removed), sort_keys=True)}"
    return verbs.write_event("event", EVENT_REMOVED, told).tolerant()


def _without(facts: Facts, found: Findings) -> Facts:
    runs = {finding.run for finding in found.over}
    gone = {shadow for finding in found.over for shadow in finding.leftover.shadow_ids}
    kept = tuple(record for record in facts.records.readable if record.run not in runs)
    return replace(
        facts,
        records=records.Records(kept, facts.records.damaged),
        folders={name: when for name, when in facts.folders.items() if name not in runs},
        shadows=tuple(
            replace(shadow, exposed_name=None, exposed_path=None)
            if any(finding.leftover.shows(shadow) for finding in found.over)
            else shadow
            for shadow in facts.shadows
            if shadow.id not in gone
        ),
        expired=(),
        waiting=(),
        freed=tuple(place for finding in found.over for place in _places(finding.leftover, facts.host)),
        state_exists=True,
    )


def _places(left: Leftover, host: str) -> list[str]:
    """Where what a run shows is to be seen."""
    shares = [f"\\\\{host}\\{name}" for name in left.shares]
    return [*left.links, *(made.exposed for made in left.shown if made.exposed), *shares]


def cleanup(host: Host, args: Mapping[str, Any], check_mode: bool, say: Say) -> dict[str, Any]:
    """The module's answer: remove what runs of ours left that are over, and tell what others seem to have left.

    :raises VssFailure: the user lacks rights, or something could not be removed.
    """
    return retried(lambda: _cleanup(host, args, check_mode, say))


def _cleanup(host: Host, args: Mapping[str, Any], check_mode: bool, say: Say) -> dict[str, Any]:
    oldest = duration(args.get("foreign_age") or "1d", "foreign_age")
    facts = inventory.gather(host, ["records", "providers"])
    facts.require_rights()
    facts.require_safe_state()
    after, removed, notes = recover(host, facts, check_mode, say, lost=True)
    return {
        "changed": bool(removed),
        "removed": removed,
        "left_alone": [record.result() for record in after.records.readable],
        "foreign": strangers(facts, oldest),
        "left_behind": [],
        "warnings": notes,
        "diff": {"before": {"left by runs": removed}, "after": {"left by runs": []}},
    }
