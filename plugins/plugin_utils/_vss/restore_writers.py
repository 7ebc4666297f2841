# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The applications' part in a restore: their writers hear PreRestore before their files come back, PostRestore after.

Only diskshadow can tell them, out of the metadata that the snapshot was saved with, and ``begin restore`` and
``end restore`` must be of one diskshadow; so the copying runs in between, by its ``exec``. That takes a command file:
its text is constant but for the paths of the run's own folder. What the user named never gets into it: robocopy itself
puts that into a job file (``/SAVE``, ``/QUIT``), as the arguments of a typed command, and the command file only names
the job file (``/JOB``). Source: the documentation of diskshadow and of robocopy, job options.

The command file ends well whatever becomes of the copying, so that PostRestore is sent in any case: applications that
wait for it go on. What robocopy did is read from its logs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .. import _verbs as verbs
from .._pipeline import Reply, Statement, Unsendable
from . import copying, diskshadow, records
from . import writers as known
from .copying import Job
from .errors import VssFailure, hresult
from .facts import Facts
from .model import BUSY_STATES, Writer, guid
from .paths import join
from .records import Record
from .run import Run, check

LOG = "writers.log"  # of diskshadow; not one of the logs that tell what a run made: it names the snapshot's copies
_LIMIT = 3 * 86400  # seconds after which the Task Scheduler ends a restore that hangs
_PATH = re.compile(r"^[A-Za-z]:(?:\\[A-Za-z0-9._-]+)+$")  # nothing in it means anything to cmd or needs quotes
_COLUMN_FAILED = 4  # of the table that ends robocopy's log


@dataclass(frozen=True)
class Part:
    """What the writers do in a restore. restored, excluded: GUIDs; cabinet: the snapshot's metadata on the host."""

    names: tuple[str, ...]
    restored: tuple[str, ...]
    excluded: tuple[str, ...]
    cabinet: str


# ---- what is asked
def plan(facts: Facts, wanted: Sequence[Any], shadows: Sequence[str], rehearsal: bool = False) -> Part | None:
    """The part of these writers (names or GUIDs), None when none was named.

    :param shadows: IDs of the shadow copies that are restored from.
    :param rehearsal: nothing is put to its place.
    :raises VssFailure: they cannot be told.
    """
    if not wanted:
        return None
    if rehearsal:
        raise VssFailure(f"A drill on {facts.host} puts nothing to its place, so no writer is told: leave writers out.")
    if not facts.system.diskshadow:
        raise VssFailure(
            f"Writers can be told of a restore by diskshadow only, which {facts.host} does not have: it comes with "
            "Windows Server. Stop the application, restore its files without writers, and start it again."
        )
    record = _record(facts, shadows)
    took_part = [writer for writer in record.writers if writer.get("took_part")]
    found = [_meant(facts, record, took_part, str(each)) for each in wanted]
    chosen = tuple(dict.fromkeys(guid(str(writer["id"])) for writer in found))
    rest = tuple(dict.fromkeys(guid(str(writer["id"])) for writer in took_part))
    _are_well(facts, chosen)
    cabinet = join(records.run_folder(facts.system.windows, record.run), "metadata.cab")
    names = tuple(dict.fromkeys(str(writer["name"]) for writer in found))
    return Part(names, chosen, tuple(each for each in rest if each not in chosen), cabinet)


def _record(facts: Facts, shadows: Sequence[str]) -> Record:
    for record in facts.records.readable:
        if record.kept and record.engine == "diskshadow" and set(shadows) <= {made.id for made in record.shadows}:
            return record
    raise VssFailure(
        f"No metadata of the writers is kept for the shadow copy {shadows[0]} on {facts.host}: they can be told of a "
        "restore from a snapshot that this collection has made with them and kept; leave writers out."
    )


def _meant(facts: Facts, record: Record, took_part: Sequence[Mapping[str, Any]], wanted: str) -> Mapping[str, Any]:
    for writer in took_part:
        if known.matches(wanted, guid(str(writer["id"])), str(writer["name"])):
            return writer
    there = ", ".join(str(writer["name"]) for writer in took_part) or "none"
    raise VssFailure(
        f"The writer {wanted} had no part in the snapshot {record.name} on {facts.host}, so it cannot be told of a "
        f"restore from it: {there} had."
    )


def _are_well(facts: Facts, chosen: Sequence[str]) -> None:
    """Every one of them must be there and neither failed nor in the middle of something."""
    for identity in chosen:
        writer = next((each for each in facts.writers if each.id == identity), None)
        if writer is None:
            raise VssFailure(
                f"The writer {identity} is not there on {facts.host}: is its application's service running? Start it, "
                "or leave writers out."
            )
        if writer.failed or writer.state in BUSY_STATES:
            raise VssFailure(
                f"The writer {writer.name} on {facts.host} cannot take part in a restore ({writer.state_name}): "
                f"{known.remedy(writer.id, writer.name)}"
            )


def fits(jobs: Sequence[tuple[Job, bool]], host: str) -> None:
    """Fail unless everything goes straight to its place, between PreRestore and PostRestore.

    :param jobs: each with whether it is a folder that is restored into the one it came from, which is there.
    :raises VssFailure: naming the first that is not.
    """
    for job, straight in jobs:
        if not straight:
            raise VssFailure(
                f"{job.place.path} on {host} cannot be restored with writers: that takes a folder that is restored to "
                "where it came from, and that is there (empty or not). Make it, or leave writers out."
            )
        odd = next((each for each in job.arguments(False) if not each.isascii()), None)
        if odd is not None:
            raise VssFailure(
                f"{job.place.path} on {host} cannot be restored with writers: robocopy's job files, which that takes, "
                f"are not known to keep other letters than those of ASCII, and {odd!r} has some. Leave writers out."
            )


# ---- how it is done
def task(run: Run) -> str:
    """The name of the one task that does it all, for every job."""
    return f"{run.record.run}-restore"


def script(part: Part, command_file: str) -> list[str]:
    """The script for diskshadow.

    :raises diskshadow.Unscriptable: a path that cannot be written without quotes.
    """
    return [
        "set verbose on",
        f"load metadata {diskshadow.token(part.cabinet)}",
        *(f"writer verify {guid(writer)}" for writer in part.restored),
        *(f"writer exclude {guid(writer)}" for writer in part.excluded),
        "begin restore",
        f"exec {diskshadow.token(command_file)}",
        "end restore",
        "list writers status",
        "exit",
    ]


def command_file(robocopy: str, jobs: Sequence[tuple[str, str]]) -> list[str]:
    """The text that diskshadow's ``exec`` runs: nothing but paths of Windows and of the run's folder varies in it.

    :param robocopy: its full path. jobs: the path of each job file and of its log.
    :raises Unsendable: a path holds what cmd could take for something else.
    """
    odd = next((path for path in (robocopy, *(each for pair in jobs for each in pair)) if not _PATH.match(path)), None)
    if odd is not None:
        raise Unsendable(f"a command file must not name the path {odd!r}")
    return [*(f"@{robocopy} /JOB:{job} /UNILOG:{log}" for job, log in jobs), "@exit /b 0"]


def prepare(run: Run, part: Part, jobs: Sequence[Job]) -> None:
    """Let robocopy write the job files, and see that they and the metadata are there. Nothing is told or copied yet.

    :raises VssFailure: one is missing.
    :raises HostFailure: the host could not be asked.
    """
    saving = [
        verbs.program(f"save-{job.number}", "robocopy", *_arguments(job), f"/SAVE:{_job_file(run, job)}", "/QUIT")
        for job in jobs
    ]
    asked = [verbs.exists(f"saved-{job.number}", _job_file(run, job)) for job in jobs]
    reply = run.host.act(*saving, *asked, verbs.exists("cabinet", part.cabinet), allow=True)
    check(reply, run.host)
    if not reply["cabinet"].first:
        raise VssFailure(
            f"The metadata of the snapshot is not there on {run.host.name} ({part.cabinet}): its writers cannot be "
            "told of a restore from it; leave writers out."
        )
    missing = next((job for job in jobs if not reply[f"saved-{job.number}"].first), None)
    if missing is not None:
        said = " ".join(str(line).strip() for line in reply[f"save-{missing.number}"].values[-2:])
        raise VssFailure(
            f"robocopy on {run.host.name} did not write the job file for {missing.place.path}: "
            f"{said or 'it said nothing'}."
        )


def starting(run: Run, part: Part, jobs: Sequence[Job]) -> list[Statement]:
    """The statements that write the script and the command file, and register and start the task."""
    pairs = [(_job_file(run, job), job.log) for job in jobs]
    command, text = run.path("restore.cmd"), run.path("restore.dsh")
    lines = command_file(run.host.system32("robocopy"), pairs)
    action = (run.host.system32("diskshadow"), ["/s", text, "/l", run.path(LOG)])
    told = ", ".join(job.place.path for job in jobs)
    xml = verbs.task_xml([action], limit=_LIMIT, description=f"umbra.vss restores {told} with its writers")
    return [
        verbs.write_lines("restore-command", command, lines),
        verbs.write_lines("restore-script", text, script(part, command)),
        verbs.register_task("task-writers", task(run), xml),
        verbs.start_task("start-writers", task(run)),
    ]


def _job_file(run: Run, job: Job) -> str:
    return run.path(f"restore-{job.number}.rcj")


def _arguments(job: Job) -> list[str]:
    """robocopy's, without its log: that is named on the command line that uses the job file."""
    return [each for each in job.arguments(False) if not each.startswith("/UNILOG:")]


# ---- what became of it
def reading(run: Run, jobs: Sequence[Job]) -> list[Statement]:
    """The statements that read the logs of diskshadow and of every robocopy."""
    return [verbs.read_texts("writers-log", run.path(LOG)), *(copying.log_tail(job) for job in jobs)]


def outcome(run: Run, part: Part, jobs: Sequence[Job], code: int, reply: Reply) -> list[dict[str, Any]]:
    """What the writers heard, by the answers to `reading`: their name, GUID and state.

    :param code: the exit code of the task.
    :raises VssFailure: a writer or diskshadow failed, or something was not restored.
    """
    transcript = diskshadow.read("\n".join(str(text) for text in reply["writers-log"].values), part.names)
    commands = [command.casefold() for command in transcript.commands]
    copied = any(command.startswith("exec ") for command in commands)
    failed = next((writer for writer in transcript.failed_writers if writer.id in part.restored), None)
    if code or failed is not None or transcript.failures or "end restore" not in commands:
        raise _why(run, part, transcript, failed, code, copied)
    for job in jobs:
        log = reply[f"log-{job.number}"].values
        rows = copying.table(log)
        if rows is None or any(row[_COLUMN_FAILED] for row in rows):
            raise copying.why_failed(job, copying.FAILED, log, run.host.name, doing="Restoring")
    states = {writer.id: writer for writer in transcript.writers}
    return [
        _told(identity, name, states.get(identity)) for identity, name in zip(part.restored, part.names, strict=False)
    ]


def _told(identity: str, name: str, state: Writer | None) -> dict[str, Any]:
    return {"name": name, "id": identity, "state": state.state_name if state else None}


def _why(
    run: Run, part: Part, transcript: diskshadow.Transcript, failed: Writer | None, code: int, copied: bool
) -> VssFailure:
    when = "after its files were restored" if copied else "before anything was restored"
    if failed is not None:
        meaning = hresult(failed.hresult).sentence() if failed.hresult else known.remedy(failed.id, failed.name)
        return VssFailure(
            f"The writer {failed.name} on {run.host.name} failed {when} ({failed.state_name}): {meaning}",
            writers_told=copied,
        )
    if transcript.unverified:
        return VssFailure(
            f"The writer {transcript.unverified[0]} on {run.host.name} takes no part in restores, or has nothing of "
            "the snapshot any more: leave it out of writers.",
            writers_told=False,
        )
    reason = hresult(transcript.failures[-1].code).sentence() if transcript.failures else f"its exit code is {code}."
    return VssFailure(
        f"diskshadow on {run.host.name} did not tell the writers {', '.join(part.names)} of the restore, {when}: "
        f"{reason}",
        writers_told=copied,
    )
