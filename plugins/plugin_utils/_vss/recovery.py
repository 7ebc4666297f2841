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
from typing import Any

from .. import _verbs as verbs
from .._host import Host
from .._pipeline import Reply, Statement
from . import inventory, records
from .errors import VssFailure
from .facts import Facts, read_shadows
from .model import GUID, Shadow, guid
from .paths import join
from .records import Record
from .run import EVENT_REMOVED, Leftover, Say, check, remove
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
    """Everything found. notes: what is worth a warning and was left alone; shadows: what is there now, if asked."""

    over: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    shadows: tuple[Shadow, ...] | None = None


def _traces(host: Host, runs: Sequence[Record], folders: Sequence[str]) -> list[Statement]:
    asked: list[Statement] = []
    for run in dict.fromkeys([*(record.run for record in runs), *folders]):
        folder = records.run_folder(host.windows, run)
        asked.append(logs(host, run))
        asked.append(verbs.read_texts(f"records-{run}", join(folder, "record.json*")))
    for record in runs:
        if record.destination and record.made_destination:
            asked.append(verbs.read_texts(f"manifest-{record.run}", join(record.destination, MANIFEST)))
    return [*asked, busy(), inventory.shadows_statement()]


def find(host: Host, facts: Facts, sleep: Callable[[float], None] = time.sleep) -> Findings:
    """Look for runs that are over. Asks the host only when there is reason to. Changes nothing.

    :raises HostFailure: the host could not be asked.
    """
    me = records.this_process()
    over = {record.run: why for record in facts.records.readable if (why := record.abandoned(facts.now, me))}
    runs = [record for record in facts.records.readable if record.run in over]
    known = {record.run for record in facts.records.readable}
    strays = [name for name in facts.folders if records.is_run(name) and name not in known]
    if not runs and not strays:
        return Findings()
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
    return Findings(tuple(findings), tuple(notes), facts.shadows)


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


def recover(host: Host, facts: Facts, check_mode: bool, say: Say) -> tuple[Facts, list[dict[str, Any]], list[str]]:
    """Remove what runs that are over left on a host, before anything new is done.

    :param check_mode: only find out what would be removed.
    :returns: the facts without what is gone, what was removed, warnings.
    :raises VssFailure: something could not be removed.
    """
    found = find(host, facts)
    notes = [*found.notes, *(f"A record on {host.name} cannot be read: {what}." for what in facts.records.damaged)]
    if found.shadows is not None:
        facts = replace(facts, shadows=found.shadows)
    if not found.over:
        return facts, [], notes
    present = [shadow.id for shadow in facts.shadows]
    removed = [finding.result(host, present) for finding in found.over]
    leftovers = [finding.leftover for finding in found.over]
    if not check_mode:
        for finding in found.over:
            say(f"Removing what run {finding.run} left on {host.name}: {finding.why}.")
        left = remove(host, leftovers, facts.shadows, [_event(removed)])
        if left:
            raise VssFailure(
                f"What earlier runs left on {host.name} could not be removed: {', '.join(left)}. "
                "Look at the host's own logs for what holds it.",
                left_behind=left,
            )
    return _without(facts, found.over), removed, notes


def _event(removed: Sequence[Mapping[str, Any]]) -> Statement:
    runs = ", ".join(str(item["run"]) for item in removed)
    told = f"umbra.vss removed what unfinished runs had left: {runs}. {json.dumps(list(removed), sort_keys=True)}"
    return verbs.write_event("event", EVENT_REMOVED, told).tolerant()


def _without(facts: Facts, over: Sequence[Finding]) -> Facts:
    runs = {finding.run for finding in over}
    gone = {shadow for finding in over for shadow in finding.leftover.shadow_ids}
    kept = tuple(record for record in facts.records.readable if record.run not in runs)
    return replace(
        facts,
        records=records.Records(kept, facts.records.damaged),
        folders={name: when for name, when in facts.folders.items() if name not in runs},
        shadows=tuple(shadow for shadow in facts.shadows if shadow.id not in gone),
    )


def cleanup(host: Host, args: Mapping[str, Any], check_mode: bool, say: Say) -> dict[str, Any]:
    """The module's answer: remove what runs of ours left that are over.

    :raises VssFailure: the user lacks rights, or something could not be removed.
    """
    facts = inventory.gather(host, ["records"])
    facts.require_rights()
    facts.require_safe_state()
    after, removed, notes = recover(host, facts, check_mode, say)
    return {
        "changed": bool(removed),
        "removed": removed,
        "left_alone": [record.result() for record in after.records.readable],
        "left_behind": [],
        "warnings": notes,
    }
