# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a restore tells: its result, its event and its difference."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from .. import _verbs as verbs
from .._pipeline import Statement
from .copying import size
from .facts import Facts
from .placing import Work

EVENT_RESTORED = 1003


def amount(work: Work) -> str:
    """How much there is to restore, in words."""
    files, size_ = sum(len(piece.files) for piece in work.todo), sum(piece.bytes for piece in work.todo)
    return f"{files} files, {size(size_)}"


def moment_of(work: Work) -> str:
    """When the snapshot was made, in words."""
    first = next(iter(work.wish.source.shadows.values()))
    return first.created.strftime("%Y-%m-%d %H:%M:%S UTC") if first.created else first.id


def event(work: Work) -> Statement:
    """What the event log is told: who restored what."""
    record = work.run.record
    told = {
        "run": record.run,
        "user": record.owner.user,
        "controller": record.owner.controller,
        "shadows": work.wish.source.ids,
        "paths": {piece.aim.place.path: piece.aim.path for piece in work.todo},
        "files": sum(len(piece.files) for piece in work.todo),
        "renamed": len(work.renamed),
        "drill": work.wish.rehearsal,
    }
    text = f"umbra.vss restored {amount(work)} out of shadow copies: {json.dumps(told, sort_keys=True)}"
    return verbs.write_event("event", EVENT_RESTORED, text).tolerant()


def difference(work: Work) -> dict[str, Any]:
    """What a diff shows: what is not there, and what is not as in the snapshot."""
    told = {piece.aim.path: piece.result() for piece in work.todo}
    return {path: {"missing": each["missing"], "different": each["different"]} for path, each in told.items()}


def answer(work: Work, facts: Facts, before: Mapping[str, Any], left: Sequence[str], done: bool) -> dict[str, Any]:
    """The module's result. done: it was done, not only predicted."""
    run, wish = work.run, work.wish
    if left:
        run.warnings.append(f"Left on {run.host.name}: {', '.join(left)}; the module cleanup removes it.")
    changed = bool(work.todo) and not wish.rehearsal
    files, total = sum(len(piece.files) for piece in work.todo), sum(piece.bytes for piece in work.todo)
    found = work.proven
    listed = ", ".join(piece.aim.place.path for piece in work.pieces)
    verb = "restored" if done else "would restore" if work.todo else "nothing to restore of"
    if wish.rehearsal:
        verb = "rehearsed the restore of"
    drill = {"files": files, "bytes": total, "seconds": round(run.seconds, 3), "verified": bool(found)}
    after: dict[str, Any] = {path: {"missing": [], "different": []} for path in before}
    return {
        "changed": changed,
        "state": "restored",
        "snapshot": wish.source.result(facts),
        "restored": [piece.result() for piece in work.pieces],
        "files": files,
        "bytes": total,
        "drill": drill if wish.rehearsal else None,
        "renamed": [{"path": path, "kept_as": kept} for path, kept in sorted(work.renamed.items())],
        "verified": found.result() if found else None,
        "writers": list(work.told),
        "progress_readings": work.readings,
        "seconds": round(run.seconds, 3),
        "record": run.record.run if done else None,
        "left_behind": list(left),
        "summary": f"{run.host.name}: {verb} {listed} out of the snapshot of {moment_of(work)}: {amount(work)}"
        + (f", {run.seconds:.1f} s" if done else ""),
        "diff": {"before": before if changed else {}, "after": after if changed else {}},
    }
