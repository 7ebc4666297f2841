# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a snapshot could not be created, and who else is at work."""

from __future__ import annotations

from .. import _verbs as verbs
from .._pipeline import Result, Statement
from . import writers as known
from .diskshadow import Transcript
from .errors import Code, ToDo, hresult
from .inventory import lines
from .planning import Plan
from .run import Run

_REQUESTORS = ("diskshadow.exe", "vssadmin.exe", "wbengine.exe", "wbadmin.exe", "ntbackup.exe", "sdclt.exe")


def last_words(result: Result) -> str:
    """What a program said last, and its exit code."""
    said = [line.strip() for line in [*lines(result), *result.stderr] if line.strip()]
    code = "it did not start" if result.exit_code is None else f"exit code {result.exit_code}"
    return f"{code}, {said[-1]!r}" if said else code


def waiting_for(transcript: Transcript) -> Code | None:
    """What would pass by itself, if one waited; None when nothing would."""
    codes = [hresult(failure.code) for failure in transcript.failures]
    return next((code for code in codes if code.todo is ToDo.WAIT), None)


def requestors() -> Statement:
    """The statement that tells which programs that make shadow copies are at work."""
    where = " OR ".join(f"Name='{name}'" for name in _REQUESTORS)
    return verbs.cim("requestors", "Win32_Process", ("Name", "ProcessId"), where).tolerant()


def who(run: Run) -> str:
    """Who else is at work now, as far as the host's processes and our own records tell, with a blank before it.

    :raises HostFailure: the host could not be asked.
    """
    told = run.host.ask(requestors(), allow=True)["requestors"].values
    found = [f"{process.get('Name')} (process {process.get('ProcessId')})" for process in told]
    return f" by {', '.join(found)}" if found else own_runs(run)


def own_runs(run: Run) -> str:
    """Which other run of ours is at work, as far as the facts tell."""
    others = [r for r in run.facts.records.readable if not r.kept and r.run != run.record.run]
    return f" by run {others[0].whose}" if others else ""


def why(run: Run, plan: Plan, transcript: Transcript, result: Result, waiting: Code | None, who: str) -> str:
    """Why creating failed and what to do, as a sentence."""
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
        return f"{lead} as asked: diskshadow stopped at {transcript.commands[-1]!r} ({last_words(result)})."
    said = last_words(result)
    return f"{lead}: diskshadow ended without saying what was wrong ({said}). Look at the host's VSS events."


def _name(plan: Plan, identity: str) -> str:
    parts = plan.verdict.parts if plan.verdict else ()
    found = known.BY_ID.get(identity)
    return next((part.name for part in parts if part.id == identity), found.name if found else identity)


def not_completed(run: Run, transcript: Transcript) -> str:
    """A warning: the snapshot is there, but an application could not take note that it was backed up."""
    code = hresult(transcript.failures[-1].code).sentence() if transcript.failures else "Look at the host's VSS events."
    return f"The applications on {run.host.name} could not all take note of the full backup and keep their logs: {code}"
