# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Making a snapshot set: asking the writers, creating, waiting for others, finding out what came of it."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from .. import _verbs as verbs
from .._host import Host
from .._pipeline import CommandFailed, HostFailure, Reply, Result, Statement
from . import diskshadow, records
from . import writers as known
from .consistency import Verdict, excluded, foresee, outcome, verified
from .diskshadow import Creation, Transcript, Unscriptable
from .errors import Code, ToDo, VssFailure, hresult, return_code
from .facts import Facts, read_shadows, usable
from .inventory import lines, shadows_statement
from .metadata import read_metadata
from .model import Shadow, guid
from .paths import join
from .planning import Plan, accept
from .records import Made
from .run import Run, check, state_folder
from .traces import MADE

_FIRST_PAUSE, _LONGEST_PAUSE = 2.0, 45.0  # seconds between tries; a sealed session must not be silent for longer
_REQUESTORS = ("diskshadow.exe", "vssadmin.exe", "wbengine.exe", "wbadmin.exe", "ntbackup.exe", "sdclt.exe")


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

    :param run: whose folder is used; None (check mode) for a folder that the same pipeline removes again.
    :raises VssFailure: it would be less than what was asked for. Nothing has been created then.
    """
    folder = run.folder if run else records.run_folder(host.windows, records.new_run())
    script = join(folder, "list.dsh")
    before: list[Statement] = []
    after: list[Statement] = []
    if run is not None:
        before = run.prepare(timedelta(seconds=plan.timeout) + records.LEASE)
    else:
        # What was not there before must not be there afterwards; its event source would stay, so none is registered.
        state = records.state_folder(host.windows)
        secured = [s for s in state_folder(host, facts) if s.key != "event-source"]
        before = [*secured, verbs.make_folder("run", folder, False)]
        after = [verbs.remove_tree("gone", folder)]
        if not facts.state_exists:  # and what was made above it, unless somebody else has put something there meanwhile
            after += [verbs.remove_link("gone-runs", join(state, records.RUNS)), verbs.remove_link("gone-state", state)]
    asked = [
        *before,
        verbs.write_lines("list-script", script, diskshadow.list_script()),
        verbs.program("list", "diskshadow", "/s", script),
    ]
    try:
        reply = host.act(*asked, *after)
    except CommandFailed:
        if after:  # what comes after a failed statement was not done
            with suppress(HostFailure):
                host.act(*(statement.tolerant() for statement in after))
        raise
    metadata = read_metadata("\n".join(lines(reply["list"])))
    if not metadata:
        raise VssFailure(
            f"diskshadow on {host.name} did not list the writers' metadata ({_last_words(reply['list'])}): look at the "
            "VSS events of the host."
        )
    plan.verdict = foresee(metadata, facts.writers, plan.demand, facts.places, host.name)
    unknown = excluded(plan.demand, plan.verdict.parts)[1]
    plan.warnings += [f"The writer {name} to exclude is not there on {host.name}." for name in unknown]
    accept(plan, host.name)


def _last_words(result: Result) -> str:
    said = [line.strip() for line in [*lines(result), *result.stderr] if line.strip()]
    code = "it did not start" if result.exit_code is None else f"exit code {result.exit_code}"
    return f"{code}, {said[-1]!r}" if said else code


# ---- creating
def create(run: Run, plan: Plan) -> Created:
    """Create the set. What was made is in the run's record and in `made` of the failure that is raised.

    :raises VssFailure: it could not be created, or came out as less than what was asked for.
    :raises ConnectionLost: the answer was lost; cleaning finds out what was made.
    """
    return _by_diskshadow(run, plan) if plan.engine == "diskshadow" else _by_cim(run, plan)


class Incomplete(VssFailure):
    """Creating failed; made: IDs of shadow copies that are there all the same."""

    def __init__(self, sentence: str, made: Sequence[str]) -> None:
        super().__init__(sentence)
        self.made = tuple(made)


class _Patience:
    """Waits for others within the time allowed."""

    def __init__(self, run: Run, plan: Plan) -> None:
        self._run, self._plan = run, plan
        self._deadline = time.monotonic() + plan.timeout
        self._pause = _FIRST_PAUSE

    def wait(self, code: Code, who: str) -> bool:
        """Wait a while, differently long each time; False when the time allowed is over."""
        left = self._deadline - time.monotonic()
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
    patience = _Patience(run, plan)
    before = _create_script(run, plan)
    run.starts_creating()
    attempt, who = 1, ""
    while True:
        log = run.path(f"{MADE}create-{attempt}.log")
        reply = run.host.act(
            *before,
            verbs.program("create", "diskshadow", "/s", run.path("create.dsh"), "/l", log),
            shadows_statement().tolerant(),
            allow=True,
        )
        if not reply["create"].complete:
            check(reply, run.host)
        transcript = diskshadow.read("\n".join(lines(reply["create"])), _names(plan, run.facts))
        run.shadows = read_shadows(reply["shadows"])
        there = {shadow.id: shadow for shadow in run.shadows}
        if reply["create"].exit_code == 0 and _whole(transcript, plan, there):
            return _created(run, plan, transcript, there)
        made = [identity for identity in transcript.shadow_ids if identity in there]
        waiting = _waiting(transcript) if not made else None
        who = _who(run, reply) if attempt > 1 else _own_runs(run)
        if waiting is None or not patience.wait(waiting, who):
            raise Incomplete(_why(run, plan, transcript, reply["create"], waiting, who), made)
        attempt += 1
        before = [_requestors()]


def _create_script(run: Run, plan: Plan) -> list[Statement]:
    verdict = plan.verdict
    with_writers = plan.with_writers and verdict is not None
    positions = {volume.id: at for at, volume in enumerate(plan.volumes, 1)}
    creation = Creation(
        volumes=[volume.id for volume in plan.volumes],
        metadata=run.path("metadata.cab"),
        with_writers=with_writers,
        verified=verified(verdict) if with_writers and verdict and verdict.consistency == "application" else (),
        excluded=excluded(plan.demand, verdict.parts)[0] if with_writers and verdict else (),
        exposures=[(positions[e.volume.id], e.path) for e in plan.exposures if e.type != "link"],
    )
    try:
        script = verbs.write_lines("create-script", run.path("create.dsh"), creation.script())
    except Unscriptable as error:
        raise VssFailure(f"On {run.host.name}, {error}") from None
    begin = [] if run.prepared else run.prepare(timedelta(seconds=plan.timeout) + records.LEASE)
    return [*begin, script]


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
    try:
        accept(plan, run.host.name)
    except VssFailure as failure:
        raise Incomplete(str(failure), [shadow.id for shadow in shadows]) from None
    return created


def _in_order(plan: Plan, shadows: Sequence[Shadow]) -> tuple[Shadow, ...]:
    by_volume = {shadow.volume: shadow for shadow in shadows}
    return tuple(by_volume[volume.id] for volume in plan.volumes if volume.id in by_volume)


# ---- what went wrong
def _waiting(transcript: Transcript) -> Code | None:
    codes = [hresult(failure.code) for failure in transcript.failures]
    return next((code for code in codes if code.todo is ToDo.WAIT), None)


def _requestors() -> Statement:
    where = " OR ".join(f"Name='{name}'" for name in _REQUESTORS)
    return verbs.cim("requestors", "Win32_Process", ("Name", "ProcessId"), where).tolerant()


def _who(run: Run, reply: Reply) -> str:
    """Who else is at work, as far as the host's processes and our own records tell."""
    found = [f"{told.get('Name')} (process {told.get('ProcessId')})" for told in reply["requestors"].values]
    return f" by {', '.join(found)}" if found else _own_runs(run)


def _own_runs(run: Run) -> str:
    others = [r for r in run.facts.records.readable if not r.kept and r.run != run.record.run]
    return f" by run {others[0].run} of {others[0].owner.user} on {others[0].owner.controller}" if others else ""


def _why(run: Run, plan: Plan, transcript: Transcript, result: Result, waiting: Code | None, who: str) -> str:
    host, volumes = run.host.name, ", ".join(volume.display for volume in plan.volumes)
    lead = f"The snapshot of {volumes} on {host} could not be created"
    if waiting is not None:
        return (
            f"{lead} within the timeout of {plan.timeout:.0f} s: "
            f"{waiting.meaning[0].lower()}{waiting.meaning[1:]}{who} "
            f"({waiting.name}, {waiting.hex}). {waiting.advice}"
        )
    if transcript.failed_writers:
        writer = transcript.failed_writers[0]
        code = hresult(writer.hresult) if writer.hresult else None
        told = f", {code.meaning[0].lower()}{code.meaning[1:]}: {code.name}, {code.hex}" if code else ""
        advice = f" {code.advice}" if code else ""
        name = writer.name or _name(plan, writer.id)
        return f"{lead}: the writer {name} failed ({writer.state_name}{told}).{advice} {known.remedy(writer.id, name)}"
    if transcript.unverified:
        missing = ", ".join(_name(plan, identity) for identity in transcript.unverified)
        return (
            f"{lead}: diskshadow left out {missing}, on whom the snapshot was to rest. Look at the writers of the host."
        )
    if transcript.failures:
        failure = transcript.failures[-1]
        code = hresult(failure.code)
        return f"{lead} ({failure.command or 'diskshadow'}): {code.sentence()}"
    if transcript.misunderstood:
        return f"{lead}: diskshadow did not understand {transcript.misunderstood!r}. Please report this."
    if transcript.shadow_ids and len(transcript.commands) > 1:
        return f"{lead} as asked: diskshadow stopped at {transcript.commands[-1]!r} ({_last_words(result)})."
    said = _last_words(result)
    return f"{lead}: diskshadow ended without saying what was wrong ({said}). Look at the host's VSS events."


def _name(plan: Plan, identity: str) -> str:
    parts = plan.verdict.parts if plan.verdict else ()
    found = known.BY_ID.get(identity)
    return next((part.name for part in parts if part.id == identity), found.name if found else identity)


# ---- CIM
def _by_cim(run: Run, plan: Plan) -> Created:
    patience = _Patience(run, plan)
    before = [] if run.prepared else run.prepare(timedelta(seconds=plan.timeout) + records.LEASE)
    pending, made, attempt = list(plan.volumes), dict[str, str](), 1
    run.starts_creating()
    while True:
        asked = [
            verbs.cim_create_shadow(
                f"create-{at}", volume.display, "ClientAccessible", run.path(f"{MADE}cim-{attempt}-{at}.log")
            )
            for at, volume in enumerate(pending)
        ]
        reply = run.host.act(*before, *asked, shadows_statement().tolerant(), allow=True)
        run.shadows = read_shadows(reply["shadows"])
        failed: Code | None = None
        for at, volume in enumerate(list(pending)):
            told = reply[f"create-{at}"].first
            if told and told.get("ReturnValue") == 0 and told.get("ShadowID"):
                made[volume.id] = guid(str(told["ShadowID"]))
                pending.remove(volume)
            elif told and failed is None:
                failed = return_code(int(told.get("ReturnValue") or 0))
        if failed is None and pending:
            _unanswered(run, reply, made)
        there = {shadow.id: shadow for shadow in run.shadows}
        if not pending and all(identity in there for identity in made.values()):
            return _cim_created(run, plan, [there[identity] for identity in made.values()])
        code = failed or return_code(13)
        who = _who(run, reply) if attempt > 1 else _own_runs(run)
        if code.todo is not ToDo.WAIT or not patience.wait(code, who):
            where = ", ".join(volume.display for volume in pending or plan.volumes)
            within = f" within the timeout of {plan.timeout:.0f} s" if code.todo is ToDo.WAIT else ""
            raise Incomplete(
                f"The shadow copy of {where} on {run.host.name} could not be created{within}: {code.meaning[0].lower()}"
                f"{code.meaning[1:]}{who} (Win32_ShadowCopy.Create returned {code.number}). {code.advice}",
                list(made.values()),
            )
        attempt += 1
        before = [_requestors()]


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
def made_records(created: Created, plan: Plan, links: dict[str, str] | None = None) -> tuple[Made, ...]:
    """The shadow copies as the run's record names them. links: volume to the link that leads to its shadow copy."""
    exposed = {exposure.volume.id: exposure.path for exposure in plan.exposures if exposure.type != "link"}
    return tuple(
        Made(
            id=shadow.id,
            volume=shadow.volume or "",
            device=shadow.device or "",
            link=(links or {}).get(shadow.volume or "", ""),
            exposed=exposed.get(shadow.volume or "", ""),
        )
        for shadow in created.shadows
    )
