# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every run that makes a snapshot set does, be it kept or copied from: make it, and find out what was lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from .._pipeline import ConnectionLost, HostFailure
from .creation import Created, ask_writers, create
from .errors import VssFailure
from .facts import Event, Facts
from .model import Shadow, Volume
from .planning import Plan
from .run import Run, failing


def establish(run: Run, plan: Plan) -> Created:
    """Begin the run, ask the writers and create the set.

    :raises Incomplete: it failed; what was made all the same is named in the failure.
    :raises VssFailure: it would be less than what was asked for.
    :raises Stale: somebody else has changed our snapshots meanwhile.
    :raises HostFailure: the host could not be asked.
    """
    run.record = replace(
        run.record,
        engine=plan.engine,
        kind=plan.kind,
        backup_type=plan.backup_type,
        provider=plan.provider.id if plan.provider else "",
        volumes=tuple(volume.id for volume in plan.volumes),
    )
    if plan.with_writers:
        ask_writers(run.host, run.facts, plan, run)
    return create(run, plan)


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
    told = [event for event in events if event.result()["meaning"]]  # those of volsnap that are known
    if not told:
        return " Look at the volsnap events of the host."
    return f" The host says: {told[0].result()['meaning']} (volsnap event {told[0].id})."
