# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A named snapshot set, present or absent."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from .. import _verbs as verbs
from .._host import Host
from .._pipeline import ConnectionLost, HostFailure, Reply, moment
from . import frozen, inventory
from .creation import Created, Incomplete, ask_writers, create, made_records
from .errors import VssFailure
from .exposing import as_it_is, reexpose, require_links, set_result
from .facts import Event, Facts, read_events, read_shadows, usable
from .inventory import shadows_statement
from .model import Shadow, Volume
from .paths import Place
from .planning import (
    Exposure,
    Plan,
    check_name,
    duration,
    exposure_statements,
    exposures,
    make_plan,
    places_free,
    volume_places,
)
from .records import Record
from .recovery import recover
from .run import EVENT_CREATED, EVENT_REMOVED, Leftover, Run, Say, begin, check, failing, remove

_PARTS = ("writers", "volumes", "snapshots", "records")


def snapshot(host: Host, args: Mapping[str, Any], check_mode: bool, say: Say) -> dict[str, Any]:
    """The module's answer: bring the snapshot set of that name into the wanted state.

    :raises VssFailure: it could not be brought there; what was begun has been taken back.
    :raises HostFailure: the host could not be asked.
    """
    name = check_name(args.get("name"))
    age = args.get("max_age")
    max_age = None if age is None else duration(age, "max_age")
    wanted = list(args.get("expose") or [])
    present = args.get("state") != "absent"
    parts = _PARTS if present else ("snapshots", "records")
    facts = inventory.gather(host, parts, also=lambda: exposure_statements(wanted) if present else [])
    facts.require_rights()
    facts.require_safe_state()
    places = volume_places(args.get("volumes") or [], facts) if present else []
    facts, recovered, notes = recover(host, facts, check_mode, say)
    if not present:
        answer = _absent(host, facts, name, check_mode)
    else:
        answer = _present(host, facts, name, places, args, max_age, check_mode, say)
    answer["recovered"] = recovered
    answer["warnings"] = [*notes, *answer.get("warnings", [])]
    return answer


# ---- present
def _present(
    host: Host,
    facts: Facts,
    name: str,
    places: Sequence[Place],
    args: Mapping[str, Any],
    max_age: timedelta | None,
    check_mode: bool,
    say: Say,
) -> dict[str, Any]:
    asked_exposures = args.get("expose") or None
    plan = make_plan(facts, places, {**args, "allow_downgrade": True})
    plan.allow_downgrade = bool(args.get("allow_downgrade"))
    plan.exposures = exposures(list(asked_exposures or []), facts, plan.volumes)
    _exposable(plan, host)
    there = next((r for r in facts.records.named(name) if _good_enough(r, facts, plan, max_age)), None)
    if there is not None:
        if asked_exposures is None:
            return as_it_is(facts, there)
        return reexpose(host, facts, there, plan, check_mode, say)
    make_plan(facts, places, args)  # now that one has to be made, less than what was asked for is refused
    places_free(plan.exposures, range(len(plan.exposures)), facts.reply, facts)
    if check_mode:
        return _predict(host, facts, name, plan)
    return _make(host, facts, name, plan, say)


def _exposable(plan: Plan, host: Host) -> None:
    native = next((exposure for exposure in plan.exposures if exposure.type != "link"), None)
    if plan.engine == "cim" and native is not None:
        raise VssFailure(
            f"A shadow copy on {host.name} that the engine cim made cannot be exposed at {native.path}: use type link."
        )


def _good_enough(record: Record, facts: Facts, plan: Plan, max_age: timedelta | None) -> bool:
    """Whether a recorded snapshot is what is asked for: whole and there, the same volumes, young and good enough."""
    live = {shadow.id for shadow in facts.shadows if usable(shadow)}
    if not record.shadows or not all(made.id in live for made in record.shadows):
        return False
    if {made.volume for made in record.shadows} != {volume.id for volume in plan.volumes}:
        return False
    created = moment(record.created)
    if max_age is not None and (created is None or facts.now - created > max_age):
        return False
    if plan.asked == "crash" or (plan.allow_downgrade and not plan.demand.require):
        return True
    took_part = {
        key for writer in record.writers if writer.get("took_part") for key in (writer.get("name"), writer.get("id"))
    }
    required = all(_named(wanted, took_part) for wanted in plan.demand.require)
    return required and (record.consistency == "application" or plan.allow_downgrade)


def _named(wanted: str, names: set[Any]) -> bool:
    bare = wanted.strip().strip("{}").casefold()
    return any(str(name).strip("{}").casefold() == bare for name in names)


def _predict(host: Host, facts: Facts, name: str, plan: Plan) -> dict[str, Any]:
    if plan.with_writers:
        ask_writers(host, facts, plan, None)
    shadows = [
        {"id": None, "volume": volume.display, "device": None, "exposed_at": _exposed_at(plan.exposures, volume.id)}
        for volume in plan.volumes
    ]
    return _answer(facts, name, plan, changed=True, snapshot_set={"id": None, "created": None, "shadows": shadows})


def _exposed_at(wanted: Sequence[Exposure], volume: str) -> str | None:
    return next((exposure.path for exposure in wanted if exposure.volume.id == volume), None)


def _make(host: Host, facts: Facts, name: str, plan: Plan, say: Say) -> dict[str, Any]:
    run = begin(host, facts, "snapshot", name, say)
    made: Sequence[str] = ()
    try:
        created = establish(run, plan)
        made = [shadow.id for shadow in created.shadows]
        reply = _keep(run, plan, created)
    except Incomplete as error:
        raise failing(run, error, error.made) from None
    except ConnectionLost as lost:
        raise after_loss(run, lost, made) from None
    except (VssFailure, HostFailure, ValueError) as error:
        raise failing(run, error, made) from None
    except BaseException:
        run.interrupted(made)
        raise
    events = read_events(reply["events"])
    answer = _answer(
        facts,
        name,
        plan,
        changed=True,
        snapshot_set=set_result(
            created.set_id, created.created, run.record.shadows, read_shadows(reply["shadows"]), facts
        ),
    )
    missing = [s.id for s in created.shadows if s.id not in {shadow.id for shadow in read_shadows(reply["shadows"])}]
    if missing:
        why = VssFailure(
            f"The shadow copy {missing[0]} on {host.name} vanished right after it was made.{lost_because(events)}"
        )
        raise failing(run, why, made)
    run.warnings += others_gone(facts, read_shadows(reply["shadows"]), plan.volumes)
    answer.update(
        record=run.record.run,
        seconds=round(run.seconds, 3),
        frozen_seconds=frozen.seconds(events, run.creating or run.now()),
        warnings=[*plan.warnings, *run.warnings],
    )
    return answer


def others_gone(facts: Facts, there: Sequence[Shadow], volumes: Sequence[Volume]) -> list[str]:
    """A warning for each shadow copy of somebody else's that went away meanwhile: Windows makes room like that."""
    now, mine = {shadow.id for shadow in there}, {volume.id for volume in volumes}
    return [
        f"The shadow copy {shadow.id} of {facts.places.display(shadow.volume or '')} on {facts.host}, which is not "
        "ours, went away meanwhile; if nobody deleted it, Windows made room: look at the volsnap events."
        for shadow in facts.shadows
        if shadow.id not in now and shadow.volume in mine
    ]


def lost_because(events: Sequence[Event]) -> str:
    """What the events say about shadow copies that went away, as a sentence with a blank before it."""
    told = [event.result()["meaning"] for event in events if event.provider.lower() == "volsnap"]
    reasons = [text for text in told if text]
    return f" The host says: {reasons[0]}." if reasons else " Look at the volsnap events of the host."


def establish(run: Run, plan: Plan) -> Created:
    """Ask the writers and create the set.

    :raises Incomplete: it failed; what was made all the same is named in the failure.
    :raises VssFailure: it would be less than what was asked for.
    :raises HostFailure: the host could not be asked.
    """
    run.record = replace(
        run.record,
        engine=plan.engine,
        volumes=tuple(volume.id for volume in plan.volumes),
        links=tuple(exposure.path for exposure in plan.exposures if exposure.type == "link"),
    )
    if plan.with_writers:
        ask_writers(run.host, run.facts, plan, run)
    return create(run, plan)


def after_loss(run: Run, lost: ConnectionLost, made: Sequence[str]) -> Exception:
    """What to raise when the answer to a change was lost: after finding out what was made, and removing it."""
    run.say(f"The connection to {run.host.name} was lost: looking for what was made.")
    try:
        run.reopen()
    except HostFailure:
        then = f"what run {run.record.run} made there is removed by the next run or by the module cleanup"
        if run.record.kept:
            then = f"the snapshot {run.record.name} may be there: state present uses it, state absent removes it"
        return ConnectionLost(run.host.name, f"{lost.reason}; it does not answer any more, and {then}")
    failure = VssFailure(
        f"The connection to {run.host.name} was lost in the middle of the {run.record.action} ({lost.reason}); what "
        "had been made was removed again. Run it again."
    )
    return failing(run, failure, made)


def _keep(run: Run, plan: Plan, created: Created) -> Reply:
    """Record the snapshot as kept, make its links, tell the event log, look once more."""
    links = {exposure.volume.id: exposure.path for exposure in plan.exposures if exposure.type == "link"}
    by_volume = {shadow.volume: shadow for shadow in created.shadows}
    steps = run.step(state="kept", **outcome_fields(created, plan), shadows=made_records(created, plan, links))
    for at, (volume, path) in enumerate(links.items()):
        steps.append(verbs.make_link(f"link-{at}", path, by_volume[volume].device or ""))
    told = f"umbra.vss made the snapshot {run.record.name}: {json.dumps(run.record.result(), sort_keys=True)}"
    reply = run.host.act(
        *steps,
        verbs.write_event("event", EVENT_CREATED, told).tolerant(),
        shadows_statement(),
        verbs.events("events", int(run.seconds) + 5, frozen.PROVIDERS).tolerant(),
        allow=True,
    )
    check(reply, run.host)
    require_links(run, links, reply)
    return reply


def outcome_fields(created: Created, plan: Plan) -> dict[str, Any]:
    """What a record keeps of the outcome."""
    return {
        "engine": plan.engine,
        "set_id": created.set_id,
        "created": created.created,
        "consistency": created.verdict.consistency,
        "reason": created.verdict.reason,
        "writers": tuple(created.verdict.results()),
    }


# ---- it is there
# ---- absent
def _absent(host: Host, facts: Facts, name: str, check_mode: bool) -> dict[str, Any]:
    mine = facts.records.named(name)
    before = [set_result(r.set_id, r.created, r.shadows, facts.shadows, facts) for r in mine]
    answer: dict[str, Any] = {
        "changed": bool(mine),
        "name": name,
        "state": "absent",
        "snapshot_set": None,
        "removed": [{"record": r.run, **told} for r, told in zip(mine, before, strict=True)],
        "left_behind": [],
        "diff": {"before": {"snapshots": before}, "after": {"snapshots": []}},
    }
    if mine and not check_mode:
        told = f"umbra.vss removed the snapshot {name}: {json.dumps([r.result() for r in mine], sort_keys=True)}"
        event = verbs.write_event("event", EVENT_REMOVED, told).tolerant()
        left = remove(host, [Leftover(record, destination=False) for record in mine], facts.shadows, [event])
        if left:
            raise VssFailure(
                f"The snapshot {name} on {host.name} could not be removed: {', '.join(left)} is still there. Look "
                "at what "
                "uses it, then run it again.",
                left_behind=left,
            )
    return answer


# ---- results
def _answer(facts: Facts, name: str, plan: Plan, changed: bool, snapshot_set: dict[str, Any]) -> dict[str, Any]:
    verdict = plan.verdict
    before = [set_result(r.set_id, r.created, r.shadows, facts.shadows, facts) for r in facts.records.named(name)]
    return {
        "changed": changed,
        "name": name,
        "state": "present",
        "engine": plan.engine,
        "consistency": verdict.consistency if verdict else None,
        "consistency_reason": verdict.reason if verdict else None,
        "writers": verdict.results() if verdict else [],
        "snapshot_set": snapshot_set,
        "frozen_seconds": None,
        "seconds": 0.0,
        "left_behind": [],
        "record": None,
        "warnings": list(plan.warnings),
        "diff": {"before": {"snapshots": before}, "after": {"snapshots": [snapshot_set, *before]}},
    }
