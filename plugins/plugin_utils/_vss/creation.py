# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Making a snapshot set: asking the writers, creating, waiting for others, finding out what came of it."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from .. import _verbs as verbs
from .._host import Host
from .._pipeline import CommandFailed, HostFailure, Reply, Statement
from . import blame, diskshadow, hooks, records
from . import writers as known
from .blame import last_words
from .consistency import Verdict, excluded, foresee, outcome, spanning, unstable, verified
from .diskshadow import Creation, Transcript, Unscriptable
from .errors import Code, ToDo, VssFailure, return_code
from .facts import Facts, read_shadows, usable
from .inventory import lines, shadows_statement
from .metadata import read_metadata
from .model import Shadow, Volume, guid
from .paths import join
from .planning import Plan, accept
from .records import Made
from .run import Run, check, state_folder
from .traces import MADE, MADE_IDS

_FIRST_PAUSE, _LONGEST_PAUSE = 2.0, 45.0  # seconds between tries; a sealed session must not be silent for longer


@dataclass(frozen=True)
class Created:
    """A snapshot set that is there. created: when, in UTC; shadows in the order of the plan's volumes."""

    set_id: str | None
    created: str
    shadows: tuple[Shadow, ...]
    verdict: Verdict


# ---- before creating
def ask_writers(host: Host, facts: Facts, plan: Plan, run: Run | None) -> None:
    """Let the writers say what they look after, and decide what the snapshot will be.

    :param run: begins with that; None (check mode) for a folder that the same pipeline removes again.
    :raises VssFailure: it would be less than what was asked for. Nothing has been created then.
    """
    folder = run.folder if run else records.run_folder(host.windows, records.new_run())
    script = join(folder, "list.dsh")
    asked = [
        verbs.write_lines("list-script", script, diskshadow.list_script()),
        verbs.program("list", "diskshadow", "/s", script),
    ]
    reply = run.start(*asked, timeout=plan.timeout) if run else _traceless(host, facts, folder, asked)
    metadata = read_metadata("\n".join(lines(reply["list"])))
    if not metadata:
        raise VssFailure(
            f"diskshadow on {host.name} did not list the writers' metadata ({last_words(reply['list'])}): look at the "
            "VSS events of the host."
        )
    plan.verdict = foresee(metadata, facts.writers, plan.demand, facts.places, host.name)
    unknown = excluded(plan.demand, plan.verdict.parts)[1]
    plan.warnings += [f"The writer {name} to exclude is not there on {host.name}." for name in unknown]
    wrong = unstable(plan.verdict.parts, host.name) if plan.demand.stable else None
    if wrong:
        raise VssFailure(f"{wrong[0]}, and writers.must_be_stable is set. {wrong[1]}")
    accept(plan, host.name)
    _whole_writers(plan, host.name)


def _whole_writers(plan: Plan, host: str) -> None:
    """Applications may discard their logs after a full backup: of them it has to hold everything."""
    verdict = plan.verdict
    if plan.backup_type != "full" or verdict is None:
        return
    sure = set(verified(verdict))
    part = next((part for part in verdict.parts if part.id in verdict.counted and part.id not in sure), None)
    if part is not None:
        lacks = ", ".join(component.path for component in part.left_out) or "another instance of it"
        raise VssFailure(
            f"A full backup of the writer {part.name} on {host} would lack {lacks}: add the volumes it needs, or use "
            "backup_type copy."
        )


def _traceless(host: Host, facts: Facts, folder: str, asked: list[Statement]) -> Reply:
    """Run statements that need a folder, and leave the host as it was: check mode."""
    # What was not there before must not be there afterwards; its event source would stay, so none is registered.
    state = records.state_folder(host.windows)
    before = [s for s in state_folder(host, facts) if s.key != "event-source"]
    after = [verbs.remove_tree("gone", folder)]
    if not facts.state_exists:  # and what was made above it, unless somebody else has put something there meanwhile
        after += [verbs.remove_link("gone-runs", join(state, records.RUNS)), verbs.remove_link("gone-state", state)]
    try:
        return host.act(*before, verbs.make_folder("run", folder, False), *asked, *after)
    except CommandFailed:  # what comes after a failed statement was not done
        with suppress(HostFailure):
            host.act(*(statement.tolerant() for statement in after))
        raise


# ---- creating
def create(run: Run, plan: Plan) -> Created:
    """Create the set. What was made is in the run's record and in `made` of the failure that is raised.

    :raises VssFailure: it could not be created, or came out as less than what was asked for.
    :raises ConnectionLost: the answer was lost; cleaning finds out what was made.
    """
    if not run.prepared:
        run.start(timeout=plan.timeout)
    return _by_diskshadow(run, plan) if plan.engine == "diskshadow" else _by_cim(run, plan)


def _attempt(run: Run, plan: Plan, *statements: Statement) -> Reply:
    """One try, while the applications of the hooks are held. Nobody holds them while others are waited for."""
    if plan.hooks is None:
        return run.host.act(*statements, allow=True)
    hooks.freeze(run, plan.hooks)
    reply = run.host.act(*statements, allow=True)
    plan.hooked = hooks.thaw(run, plan.hooks)
    return reply


class Incomplete(VssFailure):
    """Creating failed; made: IDs of shadow copies that are there all the same."""

    def __init__(self, sentence: str, made: Sequence[str], **details: Any) -> None:
        super().__init__(sentence, **details)
        self.made = tuple(made)


class _Patience:
    """Waits for others within the time allowed, of which a part may have gone in waiting for the lock."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._pause = _FIRST_PAUSE

    def wait(self, code: Code, who: str) -> bool:
        """Wait a while, differently long each time; False when the time allowed is over."""
        left = self._run.deadline - time.monotonic()
        if left <= 0:
            return False
        pause = min(left, self._pause * random.uniform(0.75, 1.25))  # noqa: S311 - not a secret
        self._run.say(
            f"{code.meaning} on {self._run.host.name}{who}: waiting {pause:.0f} s, {left:.0f} s of timeout are left."
        )
        self._run.sleep(pause)
        self._pause = min(self._pause * 1.6, _LONGEST_PAUSE)
        return True


def _by_diskshadow(run: Run, plan: Plan) -> Created:
    patience = _Patience(run)
    script = _create_script(run, plan)
    run.starts_creating()
    attempt = 1
    while True:
        log = run.path(f"{MADE}create-{attempt}.log")
        reply = _attempt(
            run,
            plan,
            script,
            verbs.program("create", "diskshadow", "/s", run.path("create.dsh"), "/l", log),
            shadows_statement().tolerant(),
        )
        if not reply["create"].complete:
            check(reply, run.host)
        transcript = diskshadow.read("\n".join(lines(reply["create"])), _names(plan, run.facts))
        run.shadows = read_shadows(reply["shadows"])
        there = {shadow.id: shadow for shadow in run.shadows}
        if _whole(transcript, plan, there):
            if reply["create"].exit_code == 0:
                return _created(run, plan, transcript, there)
            if diskshadow.END_BACKUP in transcript.commands:
                plan.warnings.append(blame.not_completed(run, transcript))
                return _created(run, plan, transcript, there)
        made = [identity for identity in transcript.shadow_ids if identity in there]
        waiting = blame.waiting_for(transcript) if not made else None
        who = blame.who(run) if waiting else ""
        if waiting is None or not patience.wait(waiting, who):
            busy = {"busy": who.removeprefix(" by ") or waiting.meaning} if waiting else {}
            raise Incomplete(blame.why(run, plan, transcript, reply["create"], waiting, who), made, **busy)
        attempt += 1


def _create_script(run: Run, plan: Plan) -> Statement:
    verdict = plan.verdict
    with_writers = plan.with_writers and verdict is not None
    creation = Creation(
        volumes=[volume.id for volume in plan.volumes],
        metadata=run.path("metadata.cab"),
        with_writers=with_writers,
        client_accessible=plan.kind == "client_accessible",
        provider=plan.provider.id if plan.provider else "",
        full=plan.backup_type == "full",
        verified=verified(verdict) if with_writers and verdict and verdict.consistency == "application" else (),
        excluded=excluded(plan.demand, verdict.parts)[0] if with_writers and verdict else (),
    )
    try:
        return verbs.write_lines("create-script", run.path("create.dsh"), creation.script())
    except Unscriptable as error:
        raise VssFailure(f"On {run.host.name}, {error}") from None


def _names(plan: Plan, facts: Facts) -> list[str]:
    parts = plan.verdict.parts if plan.verdict else ()
    return [*known.names(), *(writer.name for writer in facts.writers), *(part.name for part in parts)]


def _whole(transcript: Transcript, plan: Plan, there: dict[str, Shadow]) -> bool:
    ids = [identity for identity in transcript.shadow_ids if identity in there and usable(there[identity])]
    return {there[identity].volume for identity in ids} == {volume.id for volume in plan.volumes}


def _created(run: Run, plan: Plan, transcript: Transcript, there: dict[str, Shadow]) -> Created:
    shadows = _in_order(plan, [there[identity] for identity in transcript.shadow_ids if identity in there])
    verdict = plan.verdict or Verdict("crash", "")
    if plan.with_writers:
        verdict = outcome(verdict, transcript, plan.demand, run.facts.places, run.host.name)
    moments = [shadow.created for shadow in shadows if shadow.created]
    created = Created(
        transcript.set_id or next((shadow.set_id for shadow in shadows), None),
        records.utc(max(moments)) if moments else records.utc(run.now()),
        shadows,
        verdict,
    )
    plan.verdict = verdict
    plan.warnings += spanning(verdict.parts, plan.demand, run.facts.places, run.host.name)
    try:
        accept(plan, run.host.name)
    except VssFailure as failure:
        raise Incomplete(str(failure), [shadow.id for shadow in shadows]) from None
    return created


def _in_order(plan: Plan, shadows: Sequence[Shadow]) -> tuple[Shadow, ...]:
    by_volume = {shadow.volume: shadow for shadow in shadows}
    return tuple(by_volume[volume.id] for volume in plan.volumes if volume.id in by_volume)


# ---- CIM
def _by_cim(run: Run, plan: Plan) -> Created:
    patience = _Patience(run)
    pending, made, attempt = list(plan.volumes), dict[str, str](), 1
    run.starts_creating()
    while True:
        reply = _attempt(run, plan, *_cim_statements(run, pending, attempt), shadows_statement().tolerant())
        run.shadows = read_shadows(reply["shadows"])
        failed: Code | None = None
        for at, volume in enumerate(list(pending)):
            told = reply[f"create-{at}"].first
            if told and told.get("ReturnValue") == 0 and told.get("ShadowID"):
                made[volume.id] = guid(str(told["ShadowID"]))
                pending.remove(volume)
            elif told and failed is None:
                failed = return_code(int(told.get("ReturnValue") or 0))
        if failed is None:
            _unanswered(run, reply, made)
        there = {shadow.id: shadow for shadow in run.shadows}
        if not pending and all(identity in there for identity in made.values()):
            return _cim_created(run, plan, [there[identity] for identity in made.values()])
        code = failed or return_code(13)
        waits = code.todo is ToDo.WAIT
        who = blame.who(run) if waits else ""
        if not waits or not patience.wait(code, who):
            where = ", ".join(volume.display for volume in pending or plan.volumes)
            within = f" within the timeout of {plan.timeout:.0f} s" if waits else ""
            raise Incomplete(
                f"The shadow copy of {where} on {run.host.name} could not be created{within}: {code.meaning[0].lower()}"
                f"{code.meaning[1:]}{who} (Win32_ShadowCopy.Create returned {code.number}). {code.advice}",
                list(made.values()),
                **({"busy": who.removeprefix(" by ") or code.meaning} if waits else {}),
            )
        attempt += 1


def _cim_statements(run: Run, volumes: Sequence[Volume], attempt: int) -> list[Statement]:
    """One shadow copy of each volume. Its ID is noted on the host in the next breath, for the lease to find."""
    asked = [verbs.make_folder("made-folder", run.path(MADE_IDS))]
    for at, volume in enumerate(volumes):
        log = run.path(f"{MADE}cim-{attempt}-{at}.log")
        asked.append(verbs.cim_create_shadow(f"create-{at}", volume.display, "ClientAccessible", log))
        asked.append(verbs.note_shadow(f"note-{at}", log, run.path(MADE_IDS)).tolerant())
    return asked


def _unanswered(run: Run, reply: Reply, made: dict[str, str]) -> None:
    try:
        check(reply, run.host)
    except Exception as error:
        raise Incomplete(f"On {run.host.name}, {error}.", list(made.values())) from error


def _cim_created(run: Run, plan: Plan, shadows: Sequence[Shadow]) -> Created:
    ordered = _in_order(plan, shadows)
    moments = [shadow.created for shadow in ordered if shadow.created]
    sets = {shadow.set_id for shadow in ordered}
    return Created(
        sets.pop() if len(sets) == 1 else None,
        records.utc(max(moments)) if moments else records.utc(run.now()),
        ordered,
        plan.verdict or Verdict("crash", ""),
    )


# ---- after creating
def made_records(created: Created, links: Mapping[str, str] | None = None) -> tuple[Made, ...]:
    """The shadow copies as the run's record names them. links: volume to the link that leads to its shadow copy."""
    return tuple(
        Made(shadow.id, shadow.volume or "", shadow.device or "", (links or {}).get(shadow.volume or "", ""))
        for shadow in created.shadows
    )
