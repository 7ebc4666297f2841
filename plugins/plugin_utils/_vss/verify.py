# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measuring and comparing: how much is in a shadow copy, and whether the copy holds the same."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from .. import _verbs as verbs
from .._host import Host
from .._pipeline import Reply, Result, Statement
from .copying import ROOT_FILES, ROOT_FOLDERS, Job
from .paths import join
from .run import check

Mode = Literal["count", "sample", "all"]
SAMPLE = 100  # files, when the task does not say
_SHOWN = 50  # mismatches in a result


@dataclass(frozen=True)
class Amount:
    """Files and bytes."""

    files: int = 0
    bytes: int = 0

    def minus(self, other: Amount) -> Amount:
        """The difference."""
        return Amount(self.files - other.files, self.bytes - other.bytes)


def _amount(result: Result) -> Amount:
    told = result.first
    return Amount(int(told.get("Count") or 0), int(told.get("Sum") or 0)) if told else Amount()


def measuring(job: Job) -> list[Statement]:
    """The statements that measure a source in its shadow copy, without what lies at a volume's root and is no data."""
    asked = [verbs.measure(f"measure-{job.number}", job.source).tolerant()]
    if job.place.whole:
        asked += [
            verbs.measure(f"measure-{job.number}-less-{at}", join(job.source, name)).tolerant()
            for at, name in enumerate(ROOT_FOLDERS)
        ]
        asked.append(verbs.list_files(f"measure-{job.number}-root", job.source, False).tolerant())
    return asked


def measured(job: Job, reply: Reply) -> Amount:
    """What `measuring` found."""
    total = _amount(reply[f"measure-{job.number}"])
    if not job.place.whole:
        return total
    for at in range(len(ROOT_FOLDERS)):
        total = total.minus(_amount(reply[f"measure-{job.number}-less-{at}"]))
    for told in reply[f"measure-{job.number}-root"].values:
        if str(told.get("FullName") or "").rpartition("\\")[2].casefold() in ROOT_FILES:
            total = total.minus(Amount(1, int(told.get("Length") or 0)))
    return total


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


def comparing(jobs: Sequence[Job], mode: Mode) -> list[Statement]:
    """The statements that look at the copies, and at the sources as far as the mode needs it."""
    asked: list[Statement] = []
    for job in jobs:
        asked.append(verbs.measure(f"copy-{job.number}", job.target).tolerant())
        if mode == "all":
            asked.append(verbs.hashes(f"hash-source-{job.number}", job.source).tolerant())
            asked.append(verbs.hashes(f"hash-copy-{job.number}", job.target).tolerant())
        elif mode == "sample":
            asked.append(verbs.list_files(f"files-{job.number}", job.target).tolerant())
    return asked


def compared(host: Host, jobs: Sequence[Job], mode: Mode, sample: int, run: str, reply: Reply) -> Verified:
    """What `comparing` found. A sample asks the host once more.

    :raises HostFailure: the host could not be asked.
    """
    found = Verified(mode)
    for job in jobs:
        copy = _amount(reply[f"copy-{job.number}"])
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
        if mode == "all":
            _compare(found, job, reply[f"hash-source-{job.number}"], reply[f"hash-copy-{job.number}"])
        found.bytes += copy.bytes
        found.files += copy.files
    if mode == "sample":
        _sampled(host, found, jobs, sample, run, reply)
    return found


def _relative(told: Mapping[str, Any], folder: str, key: str) -> str:
    return str(told.get(key) or "")[len(folder.rstrip("\\")) + 1 :]


def _hashes(result: Result, folder: str) -> dict[str, tuple[str, str]]:
    found = {}
    for told in result.values:
        name = _relative(told, folder, "Path")
        found[name.casefold()] = (name, str(told.get("Hash") or ""))
    return found


def _is_data(job: Job, name: str) -> bool:
    if not job.place.whole:
        return True
    top, _, rest = name.partition("\\")
    return top.casefold() not in ({f.casefold() for f in ROOT_FOLDERS} if rest else set(ROOT_FILES))


def _compare(found: Verified, job: Job, source: Result, copy: Result) -> None:
    before = {key: told for key, told in _hashes(source, job.source).items() if _is_data(job, told[0])}
    after = _hashes(copy, job.target)
    for key in sorted(before.keys() | after.keys()):
        if key not in after:
            what, name = "is missing in the copy or cannot be read there", before[key][0]
        elif key not in before:
            what, name = "is only in the copy, or cannot be read in the source", after[key][0]
        elif before[key][1] != after[key][1]:
            what, name = "differs", before[key][0]
        else:
            continue
        found.mismatches.append({"source": job.place.path, "path": name, "what": what})


def chosen(names: Sequence[str], run: str, number: int) -> list[str]:
    """A sample of files: those whose SHA-256 of run id, slash and lower-case relative path is smallest."""
    order = sorted(names, key=lambda name: hashlib.sha256(f"{run}/{name.casefold()}".encode()).digest())
    return sorted(order[:number])


def _sampled(host: Host, found: Verified, jobs: Sequence[Job], sample: int, run: str, reply: Reply) -> None:
    lengths = {
        f"{job.number}/{name}": int(told.get("Length") or 0)
        for job in jobs
        for told in reply[f"files-{job.number}"].values
        if (name := _relative(told, job.target, "FullName"))
    }
    names = chosen(list(lengths), run, sample)
    found.files, found.bytes = len(names), sum(lengths[name] for name in names)
    asked: list[Statement] = []
    for job in jobs:
        mine = [name.partition("/")[2] for name in names if name.startswith(f"{job.number}/")]
        if mine:
            asked.append(verbs.hash_files(f"source-{job.number}", [join(job.source, name) for name in mine]).tolerant())
            asked.append(verbs.hash_files(f"copy-{job.number}", [join(job.target, name) for name in mine]).tolerant())
    if not asked:
        return
    told = host.ask(*asked, allow=True)
    check(told, host)
    for job in jobs:
        if f"source-{job.number}" in told:
            _compare(found, job, told[f"source-{job.number}"], told[f"copy-{job.number}"])
