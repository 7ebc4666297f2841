# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reverting a volume to one of its shadow copies.

The whole volume goes back, and what was written since is lost; so are its newer shadow copies, and those of other
volumes whose storage area lies on it. Neither can be had back, and nothing can cancel it. So everything that would be
lost is named, and must be accepted, before anything is asked of the host.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

from .. import _verbs as verbs
from .._host import Host
from .._pipeline import ConnectionLost, HostFailure, Reply, Statement
from . import inventory, records, reverting
from .errors import VssFailure, revert_code
from .facts import Facts, read_shadows
from .inventory import shadows_statement
from .model import iso
from .paths import naming_statements
from .planning import duration, patience
from .recovery import recover
from .removal import remove_kept
from .revert_plan import Loss, Plan, accept, chosen, guests_of, make_plan, newer_than, nobody_at_work, record_of
from .reverting import REVERTED, Target, Wait, Watch
from .run import Run, Say, Stale, begin, failing, retried

T = TypeVar("T")

EVENT_REVERTED = 1004

_PARTS = ("volumes", "snapshots", "storage", "records")
_A_MOMENT = timedelta(seconds=1)  # the host was asked for its clock a little before its answer came


# ---- what is asked
def revert(host: Host, args: Mapping[str, Any], check_mode: bool, say: Say) -> dict[str, Any]:
    """The module's answer for `state: reverted`; decided anew when others change our records meanwhile."""
    return retried(lambda: _reverted(host, args, check_mode, say))


def _reverted(host: Host, args: Mapping[str, Any], check_mode: bool, say: Say) -> dict[str, Any]:
    """The volume is what it was when the shadow copy was made.

    :param args: volume; name, snapshot_set_id or snapshot_id; accept_loss, force_dismount, wait, on_busy.
    :raises VssFailure: it cannot be reverted, something that would be lost was not accepted, or it goes on too long.
    :raises HostFailure: the host could not be asked.
    """
    name, limit = str(args.get("volume") or ""), duration(args.get("wait") or "6h", "wait")

    def also() -> list[Statement]:
        return [reverting.listing(), *naming_statements([name], follow_mounts=True)]

    facts = inventory.gather(host, _PARTS, also=also)
    facts.require_rights()
    facts.require_safe_state()
    before = facts
    facts, recovered, notes = recover(host, facts, check_mode, say, reverts=limit, timeout=patience(args))
    if recovered and not check_mode:  # it may have taken hours
        facts = inventory.gather(host, _PARTS, also=also)
    # What died while it reverted to this very copy is complete by now: once more would lose what was written since.
    done = next((item["revert"] for item in recovered if _is_that(item.get("revert"), before, args)), None)
    if done is not None:
        answer = _answer(host, _done(done, before), "reverted (by a run that had not ended)")
    else:
        plan = make_plan(facts, args)
        reverting.not_reverted(host, facts, {plan.volume.id})
        accept(plan, facts, args.get("accept_loss") or [])
        answer = _predict(host, plan, facts) if check_mode else _perform(host, facts, plan, args, limit, say)
    answer["recovered"] = recovered
    answer["warnings"] = [*notes, *answer["warnings"]]
    return answer


def _done(done: Mapping[str, Any], facts: Facts) -> dict[str, Any]:
    created = next((iso(shadow.created) for shadow in facts.shadows if shadow.id == done["shadow"]), None)
    return {**{key: done[key] for key in ("volume", "volume_id", "shadow", "lost")}, "created": created}


def _is_that(done: Mapping[str, Any] | None, facts: Facts, args: Mapping[str, Any]) -> bool:
    volume = facts.places.volume(str(args.get("volume") or ""))
    if not done or done.get("outcome") not in ("complete", "going on") or volume is None:
        return False
    try:
        return (done["volume_id"], done["shadow"]) == (volume.id, chosen(facts, args, volume).id)
    except VssFailure:
        return False  # what is wrong with it is told when it is decided upon


# ---- check mode
def _predict(host: Host, plan: Plan, facts: Facts) -> dict[str, Any]:
    answer = _answer(host, _result(plan, facts, plan.losses), "would revert")
    return {**answer, "warnings": plan.notes}


def _answer(host: Host, reverted: Mapping[str, Any], verb: str) -> dict[str, Any]:
    lost = len(reverted["lost"])
    cost = f", at the cost of {lost} shadow cop{'y' if lost == 1 else 'ies'}" if lost else ""
    return {
        "changed": True,
        "state": "reverted",
        "summary": f"{host.name}: {verb} {reverted['volume']} to {reverted['created'] or reverted['shadow']}{cost}",
        "reverted": dict(reverted),
        "left_behind": [],
        "warnings": [],
    }


def _result(plan: Plan, facts: Facts, lost: Sequence[Loss]) -> dict[str, Any]:
    return {
        "volume": plan.volume.display,
        "volume_id": plan.volume.id,
        "shadow": plan.shadow.id,
        "created": iso(plan.shadow.created),
        "lost": [loss.result(facts) for loss in lost],
    }


# ---- the real thing
def _perform(
    host: Host, facts: Facts, plan: Plan, args: Mapping[str, Any], limit: timedelta, say: Say
) -> dict[str, Any]:
    run = begin(host, facts, "revert", str(args.get("name") or plan.shadow.id), say)

    def recheck(now: Facts) -> None:
        nobody_at_work(now, plan.volume)
        reverting.not_reverted(host, now, {plan.volume.id})

    run.recheck = recheck
    watch = Watch(Target(plan.volume.id, plan.volume.display, plan.shadow.id, None), facts.volumes)
    try:
        reply = run.start(shadows_statement(), timeout=patience(args))
        _still_the_same(plan, facts, reply)
        _ask_to_revert(run, plan, watch, limit)
    except reverting.Unknown:
        raise  # what it became, the next run finds out by the record
    except (VssFailure, HostFailure, ValueError) as error:
        raise failing(run, error) from None
    say(f"{plan.volume.display} on {host.name} goes back to what it was at {iso(plan.shadow.created)}")
    lost = partial(run.lost_while, f"{plan.volume.display} was reverted")
    Wait(host, watch, say, run.seconds, limit, lost, run.sleep).follow()
    if not watch.complete:
        run.warnings.append(
            f"No event of volsnap tells that the revert of {plan.volume.display} on {host.name} is complete, but none "
            "goes on."
        )
    return _finish(run, facts, plan, watch, args)


def _still_the_same(plan: Plan, facts: Facts, reply: Reply) -> None:
    """Refuse when a shadow copy has come meanwhile that would be lost, or the one to revert to has gone."""
    now = replace(facts, shadows=read_shadows(reply["shadows"]))
    known = {shadow.id for shadow in facts.shadows}
    late = [
        loss for loss in [*newer_than(now, plan.shadow), *guests_of(now, plan.volume)] if loss.shadow.id not in known
    ]
    if late:
        raise VssFailure(
            f"The shadow copy {late[0].told(now)} came while the revert of {plan.volume.display} on {facts.host} was "
            "prepared, and would be lost: run the module again.",
            lost=[loss.result(now) for loss in late],
        )
    if plan.shadow.id not in {shadow.id for shadow in now.shadows}:
        raise _vanished(plan, facts.host)


def _vanished(plan: Plan, host: str) -> VssFailure:
    return VssFailure(f"The shadow copy {plan.shadow.id} of {plan.volume.display} on {host} has vanished meanwhile.")


def _ask_to_revert(run: Run, plan: Plan, watch: Watch, limit: timedelta) -> None:
    """Record what is to come, and ask for it. From then on nothing is undone, and nobody else need wait for us.

    :raises VssFailure: the host refused.
    :raises reverting.Unknown: it does not answer any more.
    """
    host, lost = run.host, tuple(loss.result(run.facts) for loss in plan.losses)
    watch.target = replace(watch.target, since=run.now() - _A_MOMENT, lost=lost)
    steps = run.step(limit + records.LEASE, state="reverting", changes={"revert": watch.target.told()})
    steps = [replace(step, key=f"revert-{step.key}") for step in steps]
    call = verbs.cim_revert_shadow("revert", plan.shadow.id, plan.force, run.path(REVERTED))
    try:
        told = host.act(*steps, call, *run.release())["revert"].first
    except ConnectionLost as lost_now:
        run.lost_while(f"the revert of {plan.volume.display} was begun", lost_now)
        if not reverting.begun_after_loss(run, watch, lost_now):
            raise VssFailure(
                f"The connection to {host.name} was lost before the revert of {plan.volume.display} was begun: nothing "
                "has been changed, run the module again."
            ) from None
        return
    if told is None:
        raise _vanished(plan, host.name)
    code = int(told["ReturnValue"])
    if code:
        meaning = revert_code(code)
        raise VssFailure(
            f"{plan.volume.display} on {host.name} was not reverted: {meaning.meaning} (Win32_ShadowCopy.Revert "
            f"returned {code}, {meaning.name}). {meaning.advice}",
            return_code=code,
        )
    watch.accepted = True


def _finish(run: Run, facts: Facts, plan: Plan, watch: Watch, args: Mapping[str, Any]) -> dict[str, Any]:
    """Take the record back, tell the host's log, and forget the snapshots of ours that are no more."""
    reply = _once_more(run, lambda: run.host.ask(shadows_statement()))
    after = {shadow.id for shadow in read_shadows(reply["shadows"])}
    affected = {plan.volume.id, *(loss.shadow.volume for loss in plan.losses)}
    gone = [each for each in facts.shadows if each.volume in affected and each.id not in after]
    reasons = {loss.shadow.id: loss for loss in plan.losses}
    lost = [reasons.get(each.id) or Loss(each, "unforeseen", record_of(facts, each)) for each in gone]
    result = _result(plan, facts, lost)
    told = f"umbra.vss reverted {plan.volume.display} to the shadow copy {plan.shadow.id}. {json.dumps(result)}"
    event = verbs.write_event("event", EVENT_REVERTED, told).tolerant()
    left = _once_more(run, lambda: run.finish(event))
    left += _forget(run, facts, {each.id for each in gone}, after, args)
    unforeseen = [loss.told(facts) for loss in lost if loss.why == "unforeseen"]
    if unforeseen:
        run.warnings.append(f"With the revert of {plan.volume.display} went also {', '.join(unforeseen)}.")
    return {
        **_answer(run.host, {**result, "restarts": watch.restarts}, "reverted"),
        "seconds": round(run.seconds, 3),
        "left_behind": left,
        "warnings": [*plan.notes, *run.warnings],
    }


def _once_more(run: Run, do: Callable[[], T]) -> T:
    """Do what may be done twice, once more when the connection is lost meanwhile."""
    try:
        return do()
    except ConnectionLost as lost:
        run.lost_while("the revert was recorded", lost)
        run.reopen()
        return do()


def _forget(run: Run, facts: Facts, gone: set[str], after: set[str], args: Mapping[str, Any]) -> list[str]:
    """Remove what is left of kept snapshots of which no shadow copy is there any more."""
    hit = [r for r in facts.records.readable if r.kept and any(made.id in gone for made in r.shadows)]
    whole = [record for record in hit if not any(made.id in after for made in record.shadows)]
    for record in hit:
        if record not in whole:
            run.warnings.append(
                f'The snapshot "{record.name or record.run}" on {facts.host} is not whole any more: the revert has '
                "cost one of its shadow copies."
            )
    if not whole:
        return []
    try:
        now = inventory.gather(run.host, _PARTS)
        there = {record.run for record in whole}  # somebody else may have buried some of them meanwhile
        targets = [record for record in now.records.readable if record.kept and record.run in there]
        return remove_kept(run.host, now, targets, run.say, patience(args))
    except (VssFailure, HostFailure, Stale) as failure:
        names = ", ".join(record.name or record.run for record in whole)
        return [f"what belongs to the lost snapshots {names} ({failure})"]
