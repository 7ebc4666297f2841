# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a backup tells: its manifest, its event, its result."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .. import _verbs as verbs
from .._pipeline import Statement
from . import frozen, records, verify
from .copying import Job, Progress, size
from .creation import Created
from .destination import Wish
from .exposing import set_result
from .facts import Event
from .paths import below_destination
from .planning import Plan
from .run import Run


@dataclass
class Work:
    """What a backup in progress knows."""

    run: Run
    plan: Plan
    wish: Wish
    created: Created | None = None
    jobs: list[Job] = field(default_factory=list)

    @property
    def made(self) -> list[str]:
        """IDs of the shadow copies."""
        return [shadow.id for shadow in self.created.shadows] if self.created else []


def listed(wish: Wish) -> str:
    """The sources for a sentence."""
    return ", ".join(place.path for place in wish.sources)


def manifest(work: Work, complete: bool, found: verify.Verified | None = None) -> Statement:
    """The statement that writes the manifest beside the copies: what they are, and whether they are whole."""
    created, copies = work.created, found.copies if found else {}
    told = {
        "tool": "umbra.vss",
        "version": 1,
        "run": work.run.record.run,
        "host": work.run.facts.system.name,
        "complete": complete,
        "begun": work.run.record.begun,
        "ended": records.utc(work.run.now()) if complete else None,
        "sources": [
            {"source": job.place.path, "copy": job.target, "files": job.files, "bytes": job.bytes} for job in work.jobs
        ],
        "files": sum(amount.files for amount in copies.values()) if complete else None,
        "bytes": sum(amount.bytes for amount in copies.values()) if complete else None,
        "consistency": created.verdict.consistency if created else None,
        "consistency_reason": created.verdict.reason if created else None,
        "writers": [part.name for part in created.verdict.parts if part.took_part] if created else [],
        "snapshot_set": created.set_id if created else None,
        "created": created.created if created else None,
        "verified": found.result() if found else None,
    }
    lines = json.dumps(told, indent=1, ensure_ascii=True).splitlines()
    return verbs.write_lines("manifest", work.wish.target.manifest, lines, encoding="UTF8")


def event_text(work: Work, found: verify.Verified) -> str:
    """What the event log is told: who did what, and what it was."""
    record = work.run.record
    told = {
        "run": record.run,
        "user": record.owner.user,
        "controller": record.owner.controller,
        "consistency": record.consistency,
        "files": sum(amount.files for amount in found.copies.values()),
        "bytes": sum(amount.bytes for amount in found.copies.values()),
        "shadows": work.made,
        "kept": work.wish.keep,
    }
    return f"umbra.vss backed up {listed(work.wish)} to {work.wish.target.path}: {json.dumps(told, sort_keys=True)}"


def predicted(host: str, plan: Plan, wish: Wish) -> dict[str, Any]:
    """What a backup would give, for check mode: the same keys, and None for what only doing it can tell."""
    verdict = plan.verdict
    shadows = [{"id": None, "volume": v.display, "device": None, "exposed_at": None} for v in plan.volumes]
    return {
        "changed": True,
        "engine": plan.engine,
        "consistency": verdict.consistency if verdict else None,
        "consistency_reason": verdict.reason if verdict else None,
        "writers": verdict.results() if verdict else [],
        "snapshot_set": {"id": None, "created": None, "shadows": shadows},
        "sources": [
            {"source": p.path, "copy": below_destination(wish.target.path, p), "files": None, "bytes": None}
            for p in wish.sources
        ],
        "destination": wish.target.path,
        "frozen_seconds": None,
        "files": None,
        "bytes": None,
        "copied_files": None,
        "removed_files": None,
        "seconds": 0.0,
        "verified": None,
        "progress_readings": 0,
        "left_behind": [],
        "record": None,
        "kept": wish.keep,
        "warnings": list(plan.warnings),
        "summary": f"would back up {listed(wish)} on {host} to {wish.target.path}",
        "diff": difference(wish, {}),
    }


def difference(wish: Wish, copied: Mapping[str, Any]) -> dict[str, Any]:
    """The module's diff: what the destination held and holds. copied: what is known of the new copies."""
    was = wish.target.ours
    shown = ("sources", "files", "bytes", "consistency", "complete")
    before = {name: was.get(name) for name in shown} if was else None
    after = dict.fromkeys(shown) | {"sources": [{"source": p.path} for p in wish.sources], "complete": True, **copied}
    return {"before": {wish.target.path: before}, "after": {wish.target.path: after}}


def answer(
    work: Work,
    progress: Progress,
    found: verify.Verified,
    events: Sequence[Event],
    counts: tuple[int, int] | None,
    left: Sequence[str],
) -> dict[str, Any]:
    """The module's result."""
    run, plan, wish = work.run, work.plan, work.wish
    verdict = work.created.verdict if work.created else None
    files = sum(amount.files for amount in found.copies.values())
    total = sum(amount.bytes for amount in found.copies.values())
    held = frozen.seconds(events, run.creating or run.now())
    warnings = [*plan.warnings, *run.warnings]
    if left:
        warnings.append(f"Left on {run.host.name}: {', '.join(left)}; the module cleanup removes what a record names.")
    clean = "nothing left behind" if not left else f"left behind: {', '.join(left)}"
    how = {"all": "every file compared", "sample": f"{found.files} files compared", "count": "files and bytes counted"}
    consistency = verdict.consistency if verdict else "crash"
    set_id, created = (work.created.set_id, work.created.created) if work.created else (None, None)
    sources = [
        {
            "source": job.place.path,
            "copy": job.target,
            "files": found.copies[job.number].files,
            "bytes": found.copies[job.number].bytes,
        }
        for job in work.jobs
    ]
    told = {"sources": sources, "files": files, "bytes": total, "consistency": consistency}
    return {
        "changed": True,
        "diff": difference(wish, told),
        "engine": plan.engine,
        "consistency": consistency,
        "consistency_reason": verdict.reason if verdict else None,
        "writers": verdict.results() if verdict else [],
        "snapshot_set": set_result(set_id, created, [replace(m, link="") for m in run.record.shadows], (), run.facts),
        "sources": sources,
        "destination": wish.target.path,
        "frozen_seconds": held,
        "files": files,
        "bytes": total,
        "copied_files": counts[0] if counts else None,
        "removed_files": counts[1] if counts else None,
        "seconds": round(run.seconds, 3),
        "verified": found.result(),
        "progress_readings": progress.readings,
        "left_behind": list(left),
        "record": run.record.run,
        "kept": wish.keep,
        "warnings": warnings,
        "summary": (
            f"{run.host.name}: {consistency}-consistent copy of {listed(wish)} in {wish.target.path}: {files} files, "
            f"{size(total)}, {how[found.mode]}, {run.seconds:.1f} s"
            + (f", applications frozen for {held:.1f} s" if held is not None else "")
            + f", {clean}"
        ),
    }
