# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A snapshot that is to be kept: made, or foretold; and its answer."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from .. import _verbs as verbs
from .._host import Host
from .._pipeline import ConnectionLost, HostFailure, Reply
from . import frozen, records
from .consistency import left_out, spanning
from .creation import Created, Incomplete, ask_writers, made_records
from .errors import VssFailure
from .exposing import check_exposures, make_exposures
from .facts import Facts, read_events, read_shadows
from .inventory import shadows_statement
from .planning import Plan
from .records import Record
from .requestor import after_loss, establish, lost_because, others_gone, outcome_fields
from .results import as_it_is, set_result
from .run import EVENT_CREATED, Run, Say, Stale, begin, check, failing


# ---- foretold
def predict(host: Host, facts: Facts, name: str, plan: Plan, description: str) -> dict[str, Any]:
    """The answer that making it would give, as far as that can be known. Nothing is changed.

    :raises VssFailure: it would be less than what was asked for.
    """
    if plan.with_writers:
        ask_writers(host, facts, plan, None)
        if plan.verdict:
            plan.warnings += spanning(plan.verdict.parts, plan.demand, facts.places, host.name)
    plan.hooked = plan.hooks.expected() if plan.hooks else []
    shadows = [
        {"id": None, "volume": volume.display, "device": None, "exposed_at": _exposed_at(plan, volume.id, facts)}
        for volume in plan.volumes
    ]
    return _answer(facts, name, plan, description, {"id": None, "created": None, "shadows": shadows})


def _exposed_at(plan: Plan, volume: str, facts: Facts) -> str | None:
    mine = [exposure for exposure in plan.exposures if exposure.volume.id == volume]
    mine.sort(key=lambda exposure: not exposure.native)
    return mine[0].seen_at(facts.system.name) if mine else None


# ---- made
def make(host: Host, facts: Facts, name: str, plan: Plan, description: str, say: Say) -> dict[str, Any]:
    """Make the snapshot and keep it.

    :raises VssFailure: it failed; what was made has been taken back.
    :raises Stale: somebody else has changed our snapshots meanwhile; nothing has been made.
    :raises ConnectionLost: the host does not answer any more.
    """
    run = begin(host, facts, "snapshot", name, say)
    run.record = replace(run.record, description=description)
    made: Sequence[str] = ()
    try:
        created = establish(run, plan)
        made = [shadow.id for shadow in created.shadows]
        reply = _keep(run, plan, created)
    except Stale:
        raise
    except Incomplete as error:
        raise failing(run, error, error.made) from None
    except ConnectionLost as lost:
        raise after_loss(run, lost, made) from None
    except (VssFailure, HostFailure, ValueError) as error:
        raise failing(run, error, made) from None
    except BaseException:
        run.interrupted(made)
        raise
    return _result(run, plan, created, description, reply)


def _keep(run: Run, plan: Plan, created: Created) -> Reply:
    """Show it, record it as kept, tell the event log, look once more."""
    shown = make_exposures(run, plan, created)
    if shown:
        reply = run.host.act(*shown, shadows_statement(), allow=True)
        check(reply, run.host)
        check_exposures(run, plan, reply)
    keeping = run.keeping(**outcome_fields(created, plan), shadows=run.record.shadows or made_records(created))
    told = f"umbra.vss made the snapshot {run.record.name}: {json.dumps(run.record.result(), sort_keys=True)}"
    reply = run.host.act(
        *keeping,
        shadows_statement(),
        verbs.events("events", int(run.seconds) + 5, frozen.PROVIDERS).tolerant(),
        verbs.write_event("event", EVENT_CREATED, told).tolerant(),
        allow=True,
    )
    check(reply, run.host)
    return reply


def _result(run: Run, plan: Plan, created: Created, description: str, reply: Reply) -> dict[str, Any]:
    facts, events, there = run.facts, read_events(reply["events"]), read_shadows(reply["shadows"])
    missing = [shadow.id for shadow in created.shadows if shadow.id not in {each.id for each in there}]
    if missing:
        why = VssFailure(
            f"The shadow copy {missing[0]} on {run.host.name} vanished right after it was made.{lost_because(events)}"
        )
        raise failing(run, why, [shadow.id for shadow in created.shadows])
    run.warnings += others_gone(facts, there, plan.volumes)
    now = set_result(created.set_id, created.created, run.record.shadows, there, facts)
    answer = _answer(facts, run.record.name, plan, description, now)
    answer.update(
        record=run.record.run,
        seconds=round(run.seconds, 3),
        frozen_seconds=frozen.seconds(events, run.creating or run.now()),
        warnings=[*plan.warnings, *run.warnings],
    )
    return answer


# ---- another description
def describe(host: Host, facts: Facts, record: Record, description: str, say: Say, timeout: float) -> None:
    """Give a snapshot that is there another description: a transaction of its own.

    :raises VssFailure: it failed; the old one stays.
    :raises Stale: somebody else has changed our snapshots meanwhile.
    """
    run = begin(host, facts, "describe", record.name, say)
    run.record = replace(run.record, state="changing", changes={"snapshot": record.run})
    try:
        run.start(timeout=timeout)
        final = record.next(run.now(), description=description)
        kept = [replace(each, key=f"kept-{each.key}") for each in records.write(final, host.windows)]
        check(host.act(*kept, allow=True), host)
        run.finish()  # only then somebody else's turn comes
    except (VssFailure, HostFailure) as error:
        raise failing(run, error) from None
    except BaseException:
        run.interrupted(())
        raise


# ---- answers
def found(facts: Facts, record: Record) -> dict[str, Any]:
    """The answer for a snapshot that is there and stays as it is."""
    return {
        **as_it_is(facts, record),
        "description": record.description or None,
        "kind": record.kind or None,
        "backup_type": record.backup_type or None,
        "provider": record.provider or None,
        "left_out": _left_out(record.writers),
        "hooks": [],
        "removed": [],
    }


def _left_out(writers: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What was left out, as far as a record tells it: not why single components were."""
    told: list[dict[str, Any]] = []
    for writer in writers:
        entry: dict[str, Any] = {"writer": writer.get("name"), "component": None, "because": None, "volumes": []}
        if not writer.get("took_part"):
            told.append({**entry, "because": writer.get("excluded_because")})
        told += [{**entry, "component": path} for path in writer.get("components_left_out") or []]
    return told


def _answer(facts: Facts, name: str, plan: Plan, description: str, snapshot_set: dict[str, Any]) -> dict[str, Any]:
    verdict = plan.verdict
    before = [set_result(r.set_id, r.created, r.shadows, facts.shadows, facts) for r in facts.records.named(name)]
    return {
        "changed": True,
        "name": name,
        "state": "present",
        "description": description or None,
        "engine": plan.engine,
        "kind": plan.kind,
        "backup_type": plan.backup_type,
        "provider": plan.provider.id if plan.provider else None,
        "consistency": verdict.consistency if verdict else None,
        "consistency_reason": verdict.reason if verdict else None,
        "writers": verdict.results() if verdict else [],
        "left_out": left_out(verdict.parts, plan.demand, facts.places) if verdict else [],
        "snapshot_set": snapshot_set,
        "hooks": plan.hooked or (plan.hooks.expected() if plan.hooks else []),
        "removed": [],
        "frozen_seconds": None,
        "seconds": 0.0,
        "left_behind": [],
        "record": None,
        "warnings": list(plan.warnings),
        "diff": {"before": {"snapshots": before}, "after": {"snapshots": [snapshot_set, *before]}},
    }
