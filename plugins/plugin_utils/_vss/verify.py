# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measuring and comparing: how much is in a shadow copy, and whether the copy holds the same.

What is in a tree is asked of robocopy, which sees it as the robocopy that copies does: neither enters what junctions
and links lead to, and neither minds paths beyond 260 characters. Hashes come from Windows PowerShell, folder by folder.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from .. import _verbs as verbs
from .._pipeline import Reply, Statement
from .copying import FAILED, Job, totals, why_failed
from .errors import VssFailure
from .paths import fold, join, long_path, short_path
from .run import Run

Mode = Literal["count", "sample", "all"]
SAMPLE = 100  # files, when the task does not say
_SHOWN = 50  # mismatches in a result
_BATCH = 200  # paths in one statement
# Characters; from here on Windows PowerShell 5.1 wants the form that tells Windows not to parse a path (MAX_PATH).
_FOLDER = re.compile(r"^\t.*?(-?\d+)\t(.+\\)\s*$")
_LISTED = re.compile(r"^[ \t]*(\d+)\t(.+?)[ \t\r]*$")  # other blanks may end a name


@dataclass(frozen=True)
class Amount:
    """Files and bytes."""

    files: int = 0
    bytes: int = 0


def nowhere(run: Run) -> str:
    """A folder that is not there."""
    return run.path("nothing")


def _amount(job: Job, lines: Sequence[Any], host: str, where: str) -> Amount:
    found = totals(lines)
    if found is None:
        raise VssFailure(f"robocopy on {host} did not say how much is in {where} (for {job.place.path}).")
    return Amount(*found)


def measuring(job: Job, run: Run, mode: Mode) -> list[Statement]:
    """The statements that measure a source in its shadow copy, and list its files where they are to be compared."""
    key = f"measure-{job.number}"
    if mode == "count":
        return [verbs.tally(key, job.source, nowhere(run), job.skipped)]
    log = run.path(f"files-{job.number}.log")
    return [
        verbs.catalogue(key, job.source, nowhere(run), log, job.skipped),
        verbs.read_lines(f"files-{job.number}", log, "Unicode").tolerant(),
    ]


def measured(job: Job, reply: Reply, host: str) -> Job:
    """The job with what `measuring` found.

    :raises VssFailure: a part of the source cannot be read.
    """
    told = reply[f"measure-{job.number}"]
    lines = reply[f"files-{job.number}"].values if f"files-{job.number}" in reply else told.values
    if told.exit_code is None or not 0 <= told.exit_code < FAILED:
        raise why_failed(job, told.exit_code or 0, [*told.values, *lines], host, doing="Reading")
    amount = _amount(job, lines, host, job.source)
    apart = frozenset({""} if job.place.whole else ())  # Windows keeps files of its own at the root of a volume
    return replace(job, files=amount.files, bytes=amount.bytes, names=listed(lines, job.source), apart=apart)


def there_before(job: Job, run: Run) -> Statement:
    """The statement that measures what an earlier backup left at the copy's place; `bytes_before` reads it."""
    return verbs.tally(f"before-{job.number}", job.target, nowhere(run))


def bytes_before(job: Job, reply: Reply) -> int:
    """Bytes at the copy's place before the copying, 0 when nothing was asked or nothing is there."""
    found = totals(reply[f"before-{job.number}"].values) if f"before-{job.number}" in reply else None
    return found[1] if found else 0


@dataclass
class Verified:
    """What comparing found. files and bytes: how much was compared; mismatches: what differs, the first ones."""

    mode: Mode
    files: int = 0
    bytes: int = 0
    mismatches: list[dict[str, Any]] = field(default_factory=list)
    copies: dict[int, Amount] = field(default_factory=dict)

    def result(self) -> dict[str, Any]:
        """The comparison as a module returns it."""
        return {
            "mode": self.mode,
            "files": self.files,
            "bytes": self.bytes,
            "mismatches": self.mismatches[:_SHOWN],
            "mismatch_count": len(self.mismatches),
        }


def comparing(jobs: Sequence[Job], mode: Mode, sample: int, run: Run) -> list[Statement]:
    """The statements that look at the copies, and at the sources as far as the mode needs it."""
    tallies = [verbs.tally(f"copy-{job.number}", job.target, nowhere(run)) for job in jobs]
    return [*tallies, *hashing(jobs, mode, sample, run)]


def hashing(jobs: Sequence[Job], mode: Mode, sample: int, run: Run) -> list[Statement]:
    """The statements that hash sources and copies, as far as the mode needs it; `differing` reads them."""
    asked: list[Statement] = []
    for job, names in _looked_into(jobs, mode, sample, run):
        for side, folder in (("source", job.source), ("copy", job.target)):
            key = f"hash-{side}-{job.number}"
            if mode == "all":
                asked += _hashing(key, folder, names, job.apart)
            elif mode == "sample":
                asked += batches(key, [long_path(join(folder, name)) for name in names], verbs.hash_files)
    return asked


def _looked_into(jobs: Sequence[Job], mode: Mode, sample: int, run: Run) -> Iterator[tuple[Job, list[str]]]:
    """Each job with the names of its files whose content is compared."""
    every = [f"{job.number}\\{name}" for job in jobs for name in job.names]
    names = every if mode == "all" else chosen(every, run.record.run, sample) if mode == "sample" else []
    for job in jobs:
        lead = f"{job.number}\\"
        yield job, [name[len(lead) :] for name in names if name.startswith(lead)]


def compared(run: Run, jobs: Sequence[Job], mode: Mode, sample: int, reply: Reply) -> Verified:
    """What `comparing` found. That nothing is only in the copy follows from as many files there as in the source.

    :raises VssFailure: the copy cannot be looked at.
    """
    found = Verified(mode)
    for job, names in _looked_into(jobs, mode, sample, run):
        copy = _amount(job, reply[f"copy-{job.number}"].values, run.host.name, job.target)
        found.copies[job.number] = copy
        for what, wanted, is_there in (("files", job.files, copy.files), ("bytes", job.bytes, copy.bytes)):
            if wanted != is_there:
                found.mismatches.append(
                    {
                        "source": job.place.path,
                        "path": "",
                        "what": f"{wanted} {what} in the source, {is_there} in the copy",
                    }
                )
        _compare_contents(found, job, names, reply)
        found.files += len(names) if mode == "sample" else copy.files
        found.bytes += sum(job.names[name] for name in names) if mode == "sample" else copy.bytes
    return found


def differing(run: Run, jobs: Sequence[Job], mode: Mode, sample: int, reply: Reply) -> Verified:
    """What `hashing` found. In mode "count" every file counts as looked at, which the caller has done."""
    found = Verified(mode)
    for job, names in _looked_into(jobs, mode, sample, run):
        _compare_contents(found, job, names, reply)
        looked = names if mode == "sample" else list(job.names)
        found.files += len(looked)
        found.bytes += sum(job.names[name] for name in looked)
    return found


def _compare_contents(found: Verified, job: Job, names: Sequence[str], reply: Reply) -> None:
    if names:
        before = _hashes(reply, f"hash-source-{job.number}", job.source)
        after = _hashes(reply, f"hash-copy-{job.number}", job.target)
        _compare(found, job, names, before, after)


def listed(lines: Sequence[Any], folder: str) -> dict[str, int]:
    """Size by relative path of the files in a listing."""
    lead = fold(folder.rstrip("\\") + "\\")
    found = {}
    for line in lines:
        told = _LISTED.match(str(line))
        if told and fold(told[2][: len(lead)]) == lead and not told[2].endswith("\\"):
            found[told[2][len(lead) :]] = int(told[1])
    return found


def folders(lines: Sequence[Any], folder: str) -> dict[str, int]:
    """How many files the folders in a listing hold, by their relative paths, "" for the folder itself."""
    lead = fold(folder.rstrip("\\") + "\\")
    found = {}
    for line in lines:
        told = _FOLDER.match(str(line))
        if told and fold(told[2][: len(lead)]) == lead:
            found[told[2][len(lead) :].rstrip("\\")] = int(told[1])
    return found


def batches(key: str, paths: Sequence[str], verb: Any) -> list[Statement]:
    return [verb(f"{key}@{at}", list(paths[at : at + _BATCH])).tolerant() for at in range(0, len(paths), _BATCH)]


def _hashing(key: str, folder: str, names: Iterable[str], apart: Container[str]) -> list[Statement]:
    """Hash these files: by folders, but one by one in those that hold other files too."""
    longest: dict[str, int] = {}
    single: list[str] = []
    for name in sorted(names):
        path = join(folder, name)
        inside = name.rpartition("\\")[0]
        if fold(inside) in apart:
            single.append(long_path(path))
        else:
            longest[inside] = max(longest.get(inside, 0), len(path))
    folders = [long_path(join(folder, inside), length) for inside, length in longest.items()]
    return [*batches(key, folders, verbs.hash_folders), *batches(f"{key}-single", single, verbs.hash_files)]


def _hashes(reply: Reply, key: str, folder: str) -> dict[str, str]:
    """Hash by relative path (folded) of every statement about `key`."""
    length = len(folder.rstrip("\\")) + 1
    found = {}
    for asked, result in reply.items():
        if asked.partition("@")[0] in (key, f"{key}-single"):
            for told in result.values:
                found[fold(short_path(str(told.get("Path") or ""))[length:])] = str(told.get("Hash") or "")
    return found


def _compare(
    found: Verified, job: Job, names: Sequence[str], before: Mapping[str, str], after: Mapping[str, str]
) -> None:
    """Note what differs in the files of these names."""
    for name in sorted(names, key=str.casefold):
        key = fold(name)
        if key not in after:
            what = "is missing in the copy or cannot be read there"
        elif key not in before:
            what = "cannot be read in the source"
        elif before[key] != after[key]:
            what = "differs"
        else:
            continue
        found.mismatches.append({"source": job.place.path, "path": name, "what": what})


def chosen(names: Sequence[str], run: str, number: int) -> list[str]:
    """A sample of files: those whose SHA-256 of run id, slash and lower-case relative path is smallest."""
    order = sorted(names, key=lambda name: hashlib.sha256(f"{run}/{name.casefold()}".encode()).digest())
    return sorted(order[:number])
