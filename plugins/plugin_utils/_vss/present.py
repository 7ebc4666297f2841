# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A snapshot of ours, present: found or else made, shown where it is to be seen, and no more of its name than asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from .._host import Host
from .._pipeline import Reply, Result
from . import hooks, vanished
from .absent import meant, removed_result, take_away
from .errors import VssFailure
from .exposing import reexpose
from .facts import Facts
from .identity import Identity
from .making import describe, found, make, predict
from .paths import Place, select_volumes
from .planning import Plan, draft, duration, ready
from .records import Record, Records
from .retention import Retention, age, retention
from .run import Say, retried
from .sharing import Exposure, exposures, places_free

Look = Callable[[], Facts]


@dataclass
class Task:
    """What a task asks for, once the host's facts are known. shows: whether it says where the snapshot is to be seen.

    look: asks the host again, for the steps that follow one that has changed something.
    """

    host: Host
    name: str
    plan: Plan
    max_age: timedelta | None
    retention: Retention | None
    description: str | None
    shows: bool
    check_mode: bool
    say: Say
    look: Look
    volumes: dict[str, Any] = field(default_factory=dict)


def present(
    host: Host, facts: Facts, who: Identity, args: Mapping[str, Any], check_mode: bool, say: Say, look: Look
) -> dict[str, Any]:
    """What the module answers: the snapshot that is meant is there.

    :raises VssFailure: it cannot be had; what was begun has been taken back.
    :raises HostFailure: the host could not be asked.
    """
    known = _known(facts, who) if who.set_id or who.shadow_id else None
    task = _task(host, facts, known.name if known else who.name, known, args, check_mode, say, look)
    facts, lost, notes = _bury(task, facts)
    there = known or next((r for r in facts.records.named(task.name) if good_enough(r, facts, task)), None)
    if there is None:
        ready(task.plan, facts)  # now that one has to be made, less than what was asked for is refused
        answer = _made(task, facts)
    else:
        answer = _settled(task, facts, there)
    answer["removed"] = [*lost, *answer["removed"]]
    answer["changed"] = answer["changed"] or bool(lost)
    answer["volumes"] = task.volumes
    answer["warnings"] = [*notes, *vanished.maimed(facts.records.named(task.name), facts), *answer["warnings"]]
    return answer


def _known(facts: Facts, who: Identity) -> Record:
    found = meant(facts, who)
    if not found:
        raise VssFailure(
            f"There is no snapshot {who.set_id or who.shadow_id} of ours on {facts.host}, and a new one gets an ID of "
            "its own: name it by name."
        )
    if not vanished.whole(found[0], facts):
        raise VssFailure(
            f"The snapshot {found[0].name} on {facts.host} has lost a shadow copy: it cannot be had again."
        )
    return found[0]


def _task(
    host: Host,
    facts: Facts,
    name: str,
    known: Record | None,
    args: Mapping[str, Any],
    check_mode: bool,
    say: Say,
    look: Look,
) -> Task:
    if known is not None:
        volumes, told = [v for v in facts.volumes if v.id in {made.volume for made in known.shadows}], {}
    else:
        if not args.get("volumes"):
            raise VssFailure(f"No volumes were named for {facts.host}: volumes is empty.")
        chosen = select_volumes(
            args.get("volumes") or [], args.get("exclude_volumes") or [], bool(args.get("follow_mounts")), facts
        )
        volumes = list(chosen.volumes)
        told = {
            "followed": [volume.display for volume in chosen.followed],
            "skipped": [{"volume": name, "because": why} for name, why in chosen.skipped_because.items()],
        }
    plan = draft(facts, [Place(volume, "") for volume in volumes], args)
    if known is not None and known.kind == "client_accessible":
        plan.kind = "client_accessible"
    plan.exposures = exposures(list(args.get("expose") or []), facts, plan.volumes)
    _exposable(plan, host)
    plan.hooks = hooks.plan(args, facts)
    limit = args.get("max_age")
    return Task(
        host=host,
        name=name,
        plan=plan,
        max_age=None if limit is None else duration(limit, "max_age"),
        retention=retention(args),
        description=args.get("description"),
        shows=args.get("expose") is not None,
        check_mode=check_mode,
        say=say,
        look=look,
        volumes={"followed": [], "skipped": [], **told},
    )


def _exposable(plan: Plan, host: Host) -> None:
    native = next((exposure for exposure in plan.exposures if exposure.type != "link"), None)
    if plan.kind == "client_accessible" and native is not None:
        raise VssFailure(
            f"A client-accessible shadow copy on {host.name} cannot be exposed at {native.seen_at(host.name)}: use "
            "type link."
        )


# ---- found
def good_enough(record: Record, facts: Facts, task: Task) -> bool:
    """Whether a snapshot of ours is what is asked for: whole and there, of the same volumes, young and good enough."""
    plan = task.plan
    if not vanished.whole(record, facts):
        return False
    if {made.volume for made in record.shadows} != {volume.id for volume in plan.volumes}:
        return False
    old = age(record, facts.now)
    if task.max_age is not None and (not task.max_age or old is None or old > task.max_age):
        return False
    if record.kind and record.kind != plan.kind:
        return False
    if plan.backup_type == "full" and record.backup_type != "full":
        return False
    if plan.provider is not None and record.provider != plan.provider.id:
        return False
    return _consistent(record, plan)


def _consistent(record: Record, plan: Plan) -> bool:
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


# ---- gone without us
def _bury(task: Task, facts: Facts) -> tuple[Facts, list[dict[str, Any]], list[str]]:
    """Remove what is left of snapshots of this name whose shadow copies are gone, and say why they are."""
    lost = vanished.gone(facts.records.named(task.name), facts)
    if not lost:
        return facts, [], []
    notes = vanished.why(task.host, facts, lost)
    told = [removed_result(record, facts) for record in lost]
    if not task.check_mode:
        take_away(task.host, facts, lost, task.say, task.plan.timeout)
        after = task.look()
        return replace(after, writers=facts.writers, providers=facts.providers), told, notes
    facts, runs = _given_back(facts, task, _held(task, lost)), {record.run for record in lost}
    kept = tuple(record for record in facts.records.readable if record.run not in runs)
    return replace(facts, records=Records(kept, facts.records.damaged)), told, notes


# ---- to be made
def _made(task: Task, facts: Facts) -> dict[str, Any]:
    others = facts.records.named(task.name)
    # What shows an older one moves when the new one is there. A full backup is kept before anything else can fail: the
    # applications were told of it.
    moves = task.shows and (task.plan.backup_type == "full" or any(_shown(other) for other in others))
    first = replace(task.plan, exposures=[]) if moves else task.plan
    held = _held(task, others)
    places_free(task.plan.exposures, [e for e in task.plan.exposures if e not in held], facts)
    if task.check_mode:
        answer = predict(task.host, facts, task.name, task.plan, task.description or "")
        surplus = task.retention.surplus(others, "", facts.now) if task.retention else []
        answer["removed"] = [removed_result(record, facts) for record in surplus]
        return answer
    answer = make(task.host, facts, task.name, first, task.description or "", task.say)
    if moves or (task.retention and others):
        run = answer["record"]
        after = retried(lambda: _settled(task, *_again(task, run)))
        for key in ("snapshot_set", "removed"):
            answer[key] = after[key]
        answer["diff"]["after"] = after["diff"]["after"]
        answer["warnings"] += after["warnings"]
    return answer


def _again(task: Task, run: str) -> tuple[Facts, Record]:
    facts = task.look()
    found = next((record for record in facts.records.readable if record.run == run and record.kept), None)
    if found is None:
        raise VssFailure(f"The snapshot {task.name} on {task.host.name} was removed by somebody else meanwhile.")
    return facts, found


def _shown(record: Record) -> bool:
    return any(made.link or made.exposed or made.share for made in record.shadows)


def _held(task: Task, others: list[Record]) -> list[Exposure]:
    """The exposures whose places are held by older snapshots of this name, which will give them back."""
    held = {p.casefold() for r in others for m in r.shadows for p in (m.link, m.exposed, m.share) if p}
    return [e for e in task.plan.exposures if e.path.casefold() in held or e.share.casefold() in held]


def _given_back(facts: Facts, task: Task, held: list[Exposure]) -> Facts:
    """The facts as they will be when older snapshots have given places back: check mode cannot wait for that."""
    answers = dict(facts.reply)
    for at, exposure in enumerate(task.plan.exposures):
        if exposure not in held:
            continue
        keys = {f"expose-{at}", f"expose-share-{at}", f"expose-files-{at}", f"expose-folders-{at}"}
        for key in keys & answers.keys():
            there = key == f"expose-{at}" and exposure.type == "folder"  # which stays, and is empty then
            answers[key] = Result(key, [True] if there else [], complete=True)
    return replace(facts, reply=Reply(list(answers.values())))


# ---- as it is to be
def _settled(task: Task, facts: Facts, there: Record) -> dict[str, Any]:
    """The answer for a snapshot that is there: shown as asked, no older one shown, no more of them than asked."""
    others = [record for record in facts.records.named(task.name) if record.run != there.run]
    changed = False
    if task.shows:
        bare = replace(task.plan, exposures=[])
        for other in [other for other in others if _shown(other)]:
            reexpose(task.host, facts, other, bare, task.check_mode, task.say)
            changed = True
            if task.check_mode:
                facts = _given_back(facts, task, _held(task, [other]))
            else:
                facts, there = _again(task, there.run)
    answer = found(facts, there)
    if task.shows:
        answer.update(reexpose(task.host, facts, there, task.plan, task.check_mode, task.say))
    if task.description is not None and task.description != there.description:
        facts, there = _fresh(task, facts, there, answer)
        answer["description"] = task.description
        changed = True
        if not task.check_mode:
            describe(task.host, facts, there, task.description, task.say, task.plan.timeout)
            facts, there = _again(task, there.run)
    surplus = task.retention.surplus(facts.records.named(task.name), there.run, facts.now) if task.retention else []
    if surplus:
        facts, there = _fresh(task, facts, there, answer)
        answer["removed"] = [removed_result(record, facts) for record in surplus]
        if not task.check_mode:
            take_away(task.host, facts, surplus, task.say, task.plan.timeout)
        changed = True
    answer["changed"] = answer["changed"] or changed
    return answer


def _fresh(task: Task, facts: Facts, there: Record, answer: Mapping[str, Any]) -> tuple[Facts, Record]:
    """The facts after what was changed so far: a transaction that goes by older ones is refused."""
    return _again(task, there.run) if answer["changed"] and not task.check_mode else (facts, there)
