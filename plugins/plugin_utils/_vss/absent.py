# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots of ours, absent: by name, ID, age or all of them; and one shadow copy of somebody else's, by force."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .._host import Host
from . import foreign
from .errors import VssFailure
from .facts import Facts
from .identity import Identity
from .model import Shadow
from .records import Record
from .removal import remove_kept
from .results import set_result
from .retention import older
from .run import Say


def absent(
    host: Host, facts: Facts, who: Identity, args: Mapping[str, Any], check_mode: bool, say: Say, timeout: float
) -> dict[str, Any]:
    """What the module answers: nothing of what is meant is there any more.

    :raises VssFailure: it is not ours and was not forced, a run is at work on it, or it could not be removed.
    :raises HostFailure: the host could not be asked.
    """
    stranger = _stranger(facts, who)
    if stranger is not None:
        return _force(host, facts, who, stranger, args, check_mode, say, timeout)
    targets = meant(facts, who)
    answer = _answer(facts, who, [removed_result(record, facts) for record in targets])
    if targets and not check_mode:
        take_away(host, facts, targets, say, timeout)
    return answer


def take_away(host: Host, facts: Facts, targets: Sequence[Record], say: Say, timeout: float) -> None:
    """Remove kept snapshots with everything that shows them.

    :raises VssFailure: something is still there.
    """
    left = remove_kept(host, facts, targets, say, timeout)
    if left:
        names = ", ".join(dict.fromkeys(record.name for record in targets))
        raise VssFailure(
            f"The snapshot {names} on {host.name} could not be removed: {', '.join(left)} is still there. Look at what "
            "uses it, then run it again.",
            left_behind=left,
        )


def removed_result(record: Record, facts: Facts) -> dict[str, Any]:
    """A snapshot that is removed, as a module returns it."""
    there = set_result(record.set_id, record.created, record.shadows, facts.shadows, facts)
    return {"record": record.run, "name": record.name, **there}


def meant(facts: Facts, who: Identity) -> list[Record]:
    """The kept snapshots of ours that are meant.

    :raises VssFailure: an ID that is not of a whole snapshot of ours.
    """
    kept = [record for record in facts.records.readable if record.kept]
    if who.name:
        kept = facts.records.named(who.name)
    if who.set_id:
        kept = [record for record in kept if who.set_id in sets(record, facts)]
        _whole(facts, kept, "snapshot_set_id", {s.id for s in facts.shadows if s.set_id == who.set_id})
        _not_at_work(facts, {s.id for s in facts.shadows if s.set_id == who.set_id}, kept)
    elif who.shadow_id:
        kept = [record for record in kept if any(made.id == who.shadow_id for made in record.shadows)]
        _whole(facts, kept, "snapshot_id", {who.shadow_id})
        _not_at_work(facts, {who.shadow_id}, kept)
    return older(kept, who.older_than, facts.now) if who.older_than is not None else kept


def sets(record: Record, facts: Facts) -> set[str]:
    """The IDs of the sets that a snapshot's shadow copies belong to: several when the engine cim made them."""
    mine = {made.id for made in record.shadows}
    found = {shadow.set_id for shadow in facts.shadows if shadow.id in mine and shadow.set_id}
    return found | ({record.set_id} if record.set_id else set())


def _whole(facts: Facts, records: Sequence[Record], option: str, wanted: set[str]) -> None:
    """One shadow copy of a snapshot with several does not go alone: what is left would not be what its name says."""
    there = {shadow.id for shadow in facts.shadows}
    for record in records:
        others = [made.id for made in record.shadows if made.id not in wanted and made.id in there]
        if others:
            raise VssFailure(
                f"{option} means a part of the snapshot {record.name} on {facts.host}, which also holds "
                f"{', '.join(others)}: remove it by its name or by the ID of its set."
            )


def _not_at_work(facts: Facts, wanted: set[str], kept: Sequence[Record]) -> None:
    known = {record.run for record in kept}
    for record in facts.records.readable:
        if record.run not in known and any(made.id in wanted for made in record.shadows):
            if record.kept:
                raise VssFailure(
                    f"That is the ID of the snapshot {record.name} on {facts.host}: name that, or only the ID."
                )
            raise VssFailure(
                f"The run {record.run} ({record.action}) of {record.owner.user} on {record.owner.controller} is at "
                f"work with that shadow copy on {facts.host}: wait until it has ended."
            )


# ---- not ours
def _stranger(facts: Facts, who: Identity) -> Shadow | None:
    """The shadow copy meant, if it is there and no record of ours names it.

    :raises VssFailure: a set is meant that is not ours.
    """
    ours = {made.id for record in facts.records.readable for made in record.shadows}
    if who.shadow_id:
        found = next((shadow for shadow in facts.shadows if shadow.id == who.shadow_id), None)
        return None if found is None or found.id in ours else found
    if who.set_id:
        theirs = [s.id for s in facts.shadows if s.set_id == who.set_id and s.id not in ours]
        if theirs:
            raise VssFailure(
                f"The snapshot set {who.set_id} on {facts.host} is not ours: somebody else's shadow copies are "
                f"removed one at a time, by snapshot_id and force foreign. It holds {', '.join(theirs)}."
            )
    return None


def _force(
    host: Host,
    facts: Facts,
    who: Identity,
    shadow: Shadow,
    args: Mapping[str, Any],
    check_mode: bool,
    say: Say,
    timeout: float,
) -> dict[str, Any]:
    told = foreign.looks_like(host, facts, shadow)
    if who.name:
        raise VssFailure(f"{foreign.sentence(told, host.name)} The name {who.name} is not its name.", foreign=told)
    if args.get("force") != "foreign":
        raise VssFailure(
            f"{foreign.sentence(told, host.name)} Set force: foreign to remove it all the same.", foreign=told
        )
    if not check_mode:
        foreign.remove_foreign(host, facts, shadow, say, timeout)
    answer = _answer(facts, who, [])
    answer.update(changed=True, foreign=told, warnings=[foreign.sentence(told, host.name)])
    answer["diff"] = {"before": {"snapshots": [], "foreign": told}, "after": {"snapshots": []}}
    return answer


def _answer(facts: Facts, who: Identity, removed: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "changed": bool(removed),
        "name": who.name or None,
        "state": "absent",
        "snapshot_set": None,
        "removed": removed,
        "foreign": None,
        "left_behind": [],
        "warnings": [],
        "diff": {"before": {"snapshots": removed}, "after": {"snapshots": []}},
    }
