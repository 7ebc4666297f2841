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
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from .. import _verbs as verbs
from .._host import Host
from .._pipeline import Reply, Result, Statement
from .copying import FAILED, Job, totals, why_failed
from .errors import VssFailure
from .paths import join
from .run import Run, check

Mode = Literal["count", "sample", "all"]
SAMPLE = 100  # files, when the task does not say
_SHOWN = 50  # mismatches in a result
_BATCH = 200  # paths in one statement
_LONG = 248  # characters; from here on Windows PowerShell 5.1 wants the form that tells Windows not to parse (MAX_PATH)
_VERBATIM = "\\\\?\\"
_LISTED = re.compile(r"^\s*(\d+)\t(.+?)\s*$")


@dataclass(frozen=True)
class Amount:
    """Files and bytes."""

    files: int = 0
    bytes: int = 0


def _nowhere(run: Run) -> str:
    """A folder that is not there."""
    return run.path("nothing")


def _amount(job: Job, lines: Sequence[Any], host: str, where: str) -> Amount:
    found = totals(lines)
    if found is None:
        raise VssFailure(f"robocopy on {host} did not say how much is in {where} (for {job.place.path}).")
    return Amount(*found)


def measuring(job: Job, run: Run) -> list[Statement]:
    """The statements that measure a source in its shadow copy."""
    return [verbs.tally(f"measure-{job.number}", job.source, _nowhere(run), job.skipped)]


def measured(job: Job, reply: Reply, host: str) -> Amount:
    """What `measuring` found.

    :raises VssFailure: a part of the source cannot be read.
    """
    told = reply[f"measure-{job.number}"]
    if told.exit_code is None or not 0 <= told.exit_code < FAILED:
        raise why_failed(job, told.exit_code or 0, told.values, host, doing="Reading")
    return _amount(job, told.values, host, job.source)


def there_before(job: Job, run: Run) -> Statement:
    """The statement that measures what an earlier backup left at the copy's place; `bytes_before` reads it."""
    return verbs.tally(f"before-{job.number}", job.target, _nowhere(run))


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


def comparing(jobs: Sequence[Job], mode: Mode, run: Run) -> list[Statement]:
    """The statements that look at the copies, and at the sources as far as the mode needs it."""
    asked: list[Statement] = []
    for job in jobs:
        if mode == "count":
            asked.append(verbs.tally(f"copy-{job.number}", job.target, _nowhere(run)))
            continue
        asked += _listing(f"copy-{job.number}", job.target, run)
        if mode == "all":
            asked += _listing(f"source-{job.number}", job.source, run, job.skipped)
    return asked


def _listing(
    key: str, folder: str, run: Run, skip: tuple[Sequence[str], Sequence[str]] = verbs.NOTHING
) -> list[Statement]:
    log = run.path(f"{key}.list")
    return [
        verbs.catalogue(f"list-{key}", folder, _nowhere(run), log, skip),
        verbs.read_lines(key, log, "Unicode").tolerant(),
    ]


def compared(run: Run, jobs: Sequence[Job], mode: Mode, sample: int, reply: Reply) -> Verified:
    """What `comparing` found. Looking into files asks the host once more.

    :raises VssFailure: the copy cannot be looked at.
    :raises HostFailure: the host could not be asked.
    """
    found = Verified(mode)
    for job in jobs:
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
        found.bytes += copy.bytes
        found.files += copy.files
    if mode == "sample":
        _sampled(run, found, jobs, sample, reply)
    elif mode == "all":
        _all(run, found, jobs, reply)
    return found


def _listed(result: Result, folder: str) -> dict[str, int]:
    """Size by relative path of the files in a listing."""
    lead = folder.rstrip("\\") + "\\"
    found = {}
    for line in result.values:
        told = _LISTED.match(str(line))
        if told and told[2].casefold().startswith(lead.casefold()):
            found[told[2][len(lead) :]] = int(told[1])
    return found


def _short(path: str) -> str:
    """A path without the prefix for long ones."""
    return path.removeprefix(_VERBATIM)


def _long(path: str, length: int | None = None) -> str:
    """A path as Windows PowerShell 5.1 takes it at any length (Win32 docs, "Maximum Path Length Limitation").

    :param length: of the longest path below it, where that is what counts.
    """
    return _VERBATIM + path if (length or len(path)) >= _LONG and not path.startswith(_VERBATIM) else path


def _batches(key: str, paths: Sequence[str], verb: Any) -> list[Statement]:
    return [verb(f"{key}@{at}", list(paths[at : at + _BATCH])).tolerant() for at in range(0, len(paths), _BATCH)]


def _hashing(key: str, folder: str, names: Iterable[str], whole: bool) -> list[Statement]:
    """Hash these files: by folders, but those at a volume's root, where Windows keeps its own, one by one."""
    longest: dict[str, int] = {}
    top: list[str] = []
    for name in sorted(names):
        path = join(folder, name)
        inside = name.rpartition("\\")[0]
        if whole and not inside:
            top.append(_long(path))
        else:
            longest[inside] = max(longest.get(inside, 0), len(path))
    folders = [_long(join(folder, inside), length) for inside, length in longest.items()]
    return [*_batches(key, folders, verbs.hash_folders), *_batches(f"{key}-top", top, verbs.hash_files)]


def _hashes(reply: Reply, key: str, folder: str) -> dict[str, str]:
    """Hash by relative path (case-folded) of every statement about `key`."""
    length = len(folder.rstrip("\\")) + 1
    found = {}
    for asked, result in reply.items():
        if asked.partition("@")[0] in (key, f"{key}-top"):
            for told in result.values:
                found[_short(str(told.get("Path") or ""))[length:].casefold()] = str(told.get("Hash") or "")
    return found


def _compare(
    found: Verified, job: Job, names: Mapping[str, str], before: Mapping[str, str], after: Mapping[str, str]
) -> None:
    """Note what differs. names: relative paths by their case-folded form."""
    for key in sorted(names):
        if key not in after:
            what = "is missing in the copy or cannot be read there"
        elif key not in before:
            what = "is only in the copy, or cannot be read in the source"
        elif before[key] != after[key]:
            what = "differs"
        else:
            continue
        found.mismatches.append({"source": job.place.path, "path": names[key], "what": what})


def _all(run: Run, found: Verified, jobs: Sequence[Job], reply: Reply) -> None:
    names: dict[int, dict[str, str]] = {}
    asked: list[Statement] = []
    for job in jobs:
        source = _listed(reply[f"source-{job.number}"], job.source)
        copy = _listed(reply[f"copy-{job.number}"], job.target)
        names[job.number] = {name.casefold(): name for name in (*copy, *source)}
        asked += _hashing(f"hash-source-{job.number}", job.source, source, job.place.whole)
        asked += _hashing(f"hash-copy-{job.number}", job.target, copy, False)
    told = _ask(run.host, asked)
    for job in jobs:
        if told is not None:
            before = _hashes(told, f"hash-source-{job.number}", job.source)
            after = _hashes(told, f"hash-copy-{job.number}", job.target)
            _compare(found, job, names[job.number], before, after)


def _ask(host: Host, asked: Sequence[Statement]) -> Reply | None:
    if not asked:
        return None
    told = host.ask(*asked, allow=True)
    check(told, host)
    return told


def chosen(names: Sequence[str], run: str, number: int) -> list[str]:
    """A sample of files: those whose SHA-256 of run id, slash and lower-case relative path is smallest."""
    order = sorted(names, key=lambda name: hashlib.sha256(f"{run}/{name.casefold()}".encode()).digest())
    return sorted(order[:number])


def _sampled(run: Run, found: Verified, jobs: Sequence[Job], sample: int, reply: Reply) -> None:
    lengths = {
        f"{job.number}/{name}": length
        for job in jobs
        for name, length in _listed(reply[f"copy-{job.number}"], job.target).items()
    }
    names = chosen(list(lengths), run.record.run, sample)
    found.files, found.bytes = len(names), sum(lengths[name] for name in names)
    mine = {job.number: [n.partition("/")[2] for n in names if n.startswith(f"{job.number}/")] for job in jobs}
    asked: list[Statement] = []
    for job in jobs:
        for side, folder in (("source", job.source), ("copy", job.target)):
            paths = [_long(join(folder, name)) for name in mine[job.number]]
            asked += _batches(f"hash-{side}-{job.number}", paths, verbs.hash_files)
    told = _ask(run.host, asked)
    for job in jobs:
        if told is not None:
            before = _hashes(told, f"hash-source-{job.number}", job.source)
            after = _hashes(told, f"hash-copy-{job.number}", job.target)
            _compare(found, job, {name.casefold(): name for name in mine[job.number]}, before, after)
