# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copying out of shadow copies: robocopy jobs that are scheduled tasks, watched from here.

A task goes on when the connection is lost. robocopy cannot read a shadow copy's device path, but it can read through a
directory link to it (robocopy documentation; error 123 otherwise).
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from .. import _verbs as verbs
from .._host import Host
from .._pipeline import ConnectionLost, Result, Statement
from .._tasks import NEVER_RUN, RUNNING
from . import records
from .errors import VssFailure
from .paths import Place, join
from .run import Run

# What a task's LastTaskResult is before it runs (SCHED_S_TASK_READY, _HAS_NOT_RUN, _QUEUED).
_NOT_YET = frozenset((267008, NEVER_RUN, 267045))
FAILED = 8  # robocopy's exit code is a bit mask; from this bit on something was not copied
SLOW = 10_000_000  # bytes a second at which a slow disk is read when the copy is proven
_LIMIT = 3 * 86400  # seconds after which the Task Scheduler ends a copy that hangs
_START = 120.0  # seconds within which a started task has to show that it runs
_TAIL = 400  # lines of a failed job's log in which its errors are looked for

# What lies at the root of a volume and is no data: what Windows keeps for itself.
ROOT_FOLDERS = ("System Volume Information", "$RECYCLE.BIN")
ROOT_FILES = ("pagefile.sys", "hiberfil.sys", "swapfile.sys")

# Win32 error codes that copying meets (Win32 docs, "System Error Codes"); robocopy's texts are in the host's language.
_MEANING: Mapping[int, str] = {
    2: "the file was not found", 3: "the path was not found", 5: "access was denied",
    19: "the volume is write-protected",
    21: "the device is not ready", 23: "a checksum was wrong", 32: "another process has it open",
    39: "the disk is full: there is no space left", 53: "the share was not found", 64: "the share went away",
    112: "the disk is full: there is no space left", 123: "the name is not valid", 206: "the name is too long",
    267: "it is not a folder", 433: "the device went away: the shadow copy is gone", 1117: "the disk reported an error",
    1392: "the file is damaged", 1450: "Windows ran out of resources", 1920: "it could not be accessed by the system",
}  # fmt: skip

_HOPELESS = frozenset((19, 21, 39, 112, 433))

_ERROR = re.compile(r"^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \S+ (\d+) \(0x([0-9A-Fa-f]{8})\) (.+?)\s*$")
_ROW = re.compile(r":\s*((?:\d+\s+){5}\d+)\s*$")


@dataclass(frozen=True)
class Job:
    """One source to be copied, from a path in its shadow copy to a folder of its own.

    files and bytes: as measured. names: the sizes of its files by their paths in it, where they are to be compared.
    apart: folders in it (by their folded paths, "" for itself) that hold other files too, on either side.
    switches: what robocopy is told to choose and to copy, where that is not the whole of a source into a backup.
    only: names of the files in the source that are meant, where that is not all of it.
    """

    number: int
    place: Place
    source: str
    target: str
    task: str
    log: str
    files: int = 0
    bytes: int = 0
    names: Mapping[str, int] = field(default_factory=dict, repr=False)
    apart: frozenset[str] = frozenset()
    switches: tuple[str, ...] = ()
    only: tuple[str, ...] = ()

    @property
    def skipped(self) -> tuple[Sequence[str], Sequence[str]]:
        """Paths of folders and files that are not copied, in the source and at the copy's place.

        By their paths, because a name alone would leave out what is called so anywhere (robocopy, /XD and /XF).
        """
        if not self.place.whole:
            return verbs.NOTHING
        sides = (self.source, self.target)
        folders = [join(side, name) for side in sides for name in ROOT_FOLDERS]
        return folders, [join(side, name) for side in sides for name in ROOT_FILES]

    def arguments(self, mirror: bool) -> list[str]:
        """robocopy's arguments. mirror: also remove what is not in the source any more."""
        how = self.switches or ("/MIR" if mirror else "/E", "/COPY:DATS")
        told = [self.source, self.target, *self.only, *how, "/DCOPY:DAT", "/B", "/XJ", "/R:1", "/W:1"]
        told += ["/NP", "/BYTES", "/FP", f"/UNILOG:{self.log}"]
        folders, files = self.skipped
        return [*told, "/XD", *folders, "/XF", *files] if folders else told


def start(host: Host, jobs: Sequence[Job], mirror: bool) -> list[Statement]:
    """The statements that register and start a task for each job."""
    steps: list[Statement] = []
    for job in jobs:
        action = (host.system32("robocopy"), job.arguments(mirror))
        xml = verbs.task_xml([action], limit=_LIMIT, description=f"umbra.vss copies {job.place.path}")
        steps.append(verbs.register_task(f"task-{job.number}", job.task, xml))
        steps.append(verbs.start_task(f"start-{job.number}", job.task))
    return steps


def has_started(info: Result) -> bool:
    """Whether a task is there and has run or runs, by its answer to task_info."""
    told = info.first
    return bool(told) and told.get("LastTaskResult") not in (None, *_NOT_YET)


# ---- watching
def reading(jobs: Sequence[Job], mark: str = "") -> list[Statement]:
    """The statements of one reading: how the tasks are, what they last wrote, which shadow copies are there."""
    asked = [verbs.task_info(f"info-{job.number}{mark}", job.task) for job in jobs]
    asked += [verbs.read_tail(f"tail-{job.number}{mark}", job.log, 6, "Unicode").tolerant() for job in jobs]
    return [*asked, verbs.cim(f"there{mark}", "Win32_ShadowCopy", ("ID",))]


@dataclass
class Progress:
    """What the readings told so far. codes: exit codes of the jobs that have ended."""

    jobs: Sequence[Job]
    shadows: Sequence[str]
    codes: dict[int, int] = field(default_factory=dict)
    readings: int = 0
    _started: float = field(default_factory=time.monotonic)
    _seen: set[int] = field(default_factory=set)

    @property
    def done(self) -> bool:
        """Whether every job has ended."""
        return len(self.codes) == len(self.jobs)

    @property
    def running(self) -> list[Job]:
        """The jobs that have not ended."""
        return [job for job in self.jobs if job.number not in self.codes]

    def take(self, results: Mapping[str, Result], host: str) -> str:
        """Take one reading; a line that tells how far the copying is.

        :raises VssFailure: a shadow copy is gone, or a task did not start.
        """
        self.readings += 1
        for job in self.running:
            told = results[f"info-{job.number}"].first
            code = int(told["LastTaskResult"]) if told and told.get("LastTaskResult") is not None else NEVER_RUN
            if code == RUNNING:
                self._seen.add(job.number)
            elif code not in _NOT_YET:
                self.codes[job.number] = code
        self._still_there(results, host)
        self._started_at_all(host)
        self._hopeless(results, host)
        return self._line(results)

    def _hopeless(self, results: Mapping[str, Result], host: str) -> None:
        """Give up when what went wrong will go wrong with every further file, each of which robocopy tries twice."""
        for job in self.running:
            tail = results.get(f"tail-{job.number}")
            lines = [str(line) for line in (tail.values if tail else [])]
            codes = {int(found.group(1)) for line in lines if (found := _ERROR.match(line.strip()))}
            if codes & _HOPELESS:
                raise why_failed(job, FAILED, lines, host)

    def _still_there(self, results: Mapping[str, Result], host: str) -> None:
        there = {str(told.get("ID") or "").lower() for told in results["there"].values}
        gone = [shadow for shadow in self.shadows if shadow not in there]
        if gone:
            raise ShadowsGone(f"The shadow copy {gone[0]} on {host} vanished while it was copied from", gone)

    def _started_at_all(self, host: str) -> None:
        late = [job for job in self.running if job.number not in self._seen]
        if late and time.monotonic() - self._started > _START:
            raise VssFailure(
                f"The scheduled task {late[0].task} on {host} did not start within {_START:.0f} s: look at the service "
                "Schedule and at its history."
            )

    def _line(self, results: Mapping[str, Result]) -> str:
        if not self.running:
            return f"Copied {'; '.join(_amount(job) for job in self.jobs)}"
        told = []
        for job in self.running:
            tail = results.get(f"tail-{job.number}")
            lines = reversed(tail.values if tail else [])
            now = next((str(line).rsplit("\t", maxsplit=1)[-1].strip() for line in lines), "")
            now = now.replace(job.source, job.place.path.rstrip("\\"))  # as its owner knows it, not through our link
            told.append(_amount(job) + (f", now at {now}" if now else ""))
        return f"Copying {'; '.join(told)}"


def _amount(job: Job) -> str:
    return f"{job.place.path} ({job.files} files, {size(job.bytes)})"


class ShadowsGone(VssFailure):
    """Shadow copies vanished; the reason is in the host's events."""

    def __init__(self, sentence: str, gone: Sequence[str]) -> None:
        super().__init__(sentence)
        self.gone = tuple(gone)


# Seconds between readings; a batch takes less than four minutes, and one that is not needed to its end costs what its
# commands weigh: so the first is short.
_PAUSES = (0.3, 0.5, 1.0, 2.0, 4.0, 8.0)
_LATER = (15.0, *(30.0,) * 6)


def follow(run: Run, progress: Progress) -> None:
    """Watch until every job has ended, renewing the lease between batches of readings. The work goes on without us.

    :raises VssFailure: a shadow copy is gone, or a task did not start.
    :raises ConnectionLost: the host does not answer any more.
    """
    pauses: Sequence[float] = _PAUSES
    while not progress.done:
        try:
            _batch(run, progress, pauses)
            if not progress.done:
                run.host.act(*run.step(lease(progress.jobs)))
        except ConnectionLost as lost:
            run.lost_while("copying", lost)
            run.reopen()
            pauses = _PAUSES
            continue
        pauses = _LATER


def lease(jobs: Iterable[Job]) -> timedelta:
    """For how long a copying run's record counts: until the next readings, and until the copy is proven."""
    return records.LEASE + timedelta(seconds=2 * sum(job.bytes for job in jobs) / SLOW)


def _batch(run: Run, progress: Progress, pauses: Iterable[float]) -> None:
    asked: list[Statement] = []
    for at, pause in enumerate(pauses):
        asked += [verbs.pause(f"pause@{at}", pause), *reading(progress.running, f"@{at}")]
    stream = run.host.watch(*asked)
    try:
        for results in _readings(stream):
            line = progress.take(results, run.host.name)
            if progress.done:
                return
            run.say(line)
    finally:
        close = getattr(stream, "close", None)
        if close is not None:
            close()


def _readings(stream: Iterator[Result]) -> Iterator[dict[str, Result]]:
    """Results put together reading by reading: the one about shadow copies is the last of each."""
    together: dict[str, Result] = {}
    for result in stream:
        name = result.key.partition("@")[0]
        together[name] = result
        if name == "there":
            yield together
            together = {}


# ---- outcome
def failed(progress: Progress) -> list[Job]:
    """The jobs whose exit code means that something was not copied. A killed program's code is large or negative."""
    return [job for job in progress.jobs if not 0 <= progress.codes.get(job.number, FAILED) < FAILED]


def log_tail(job: Job, lines: int = _TAIL) -> Statement:
    """The statement that reads the end of a job's log."""
    return verbs.read_tail(f"log-{job.number}", job.log, lines, "Unicode").tolerant()


def why_failed(job: Job, code: int, log: Sequence[Any], host: str, doing: str = "Copying") -> VssFailure:
    """The failure of a job, by the first error in its log: file, code and the system's text.

    :param doing: what robocopy was to do: "Copying", "Restoring", or "Reading" when it only listed the source.
    """
    whither = " from its shadow copy" if doing == "Reading" else f" to {job.target}"
    lead = f"{doing} {job.place.path} on {host}{whither} failed"
    lines = [str(line) for line in log]
    for at, line in enumerate(lines):
        found = _ERROR.match(line.strip())
        if found is None:
            continue
        number, what = int(found.group(1)), found.group(3)
        system = lines[at + 1].strip() if at + 1 < len(lines) else ""
        meaning = _MEANING.get(number, system or "see the Win32 error codes")
        told = f" ({system})" if system and number in _MEANING else ""
        return VssFailure(f"{lead}: {what}: {meaning}, error {number}{told}.", robocopy_exit_code=code)
    return VssFailure(
        f"{lead}: robocopy ended with exit code {code} and its log names no error. Was the task stopped or the host "
        "restarted?",
        robocopy_exit_code=code,
    )


def table(log: Sequence[Any]) -> list[list[int]] | None:
    """The table that ends robocopy's log: rows of six numbers (total, copied, skipped, mismatched, failed, extra) for
    folders, files and bytes; None when the log has none.
    """
    rows = [[int(number) for number in found.group(1).split()] for line in log if (found := _ROW.search(str(line)))]
    return rows[-3:] if len(rows) >= 3 else None


def file_counts(log: Sequence[Any]) -> tuple[int, int] | None:
    """(copied, removed since the source has them no more) of a mirroring job's files; None: the log does not say."""
    rows = table(log)
    return (rows[1][1], rows[1][5]) if rows else None


def totals(log: Sequence[Any]) -> tuple[int, int] | None:
    """Files and bytes that were to be copied: all, less those left out; None when the log does not say."""
    rows = table(log)
    return (rows[1][0] - rows[1][2], rows[2][0] - rows[2][2]) if rows else None


def size(number: int) -> str:
    """Bytes for a person to read."""
    value = float(number)
    for unit in ("bytes", "KB", "MB", "GB", "TB"):
        if value < 1024 or unit == "TB":
            break
        value /= 1024
    return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"
