# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
r"""What a restore would do, found out before anything is changed: which files are missing, and which differ.

robocopy itself tells what it would copy from the shadow copy to where it goes (/L), so that what is told, done and
proven is one and the same choice. A task of SYSTEM will write there; so a folder that is a link is never written
through, wherever it lies in the tree: also not one inside the shadow copy, which would lead to the volume of today.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .. import _verbs as verbs
from .._pipeline import Reply, Result, Statement, moment
from . import verify
from .copying import FAILED, Job, table, why_failed
from .errors import VssFailure
from .inventory import volumes_statement
from .paths import fold, join, long_path, short_path
from .run import Run
from .wanted import EXISTING, Aim, Wish

_NO_LINKS = (None, "", "HardLink")
_REPARSE_POINT, _DIRECTORY = 0x400, 0x10  # Win32 docs, "File Attribute Constants"
_TREE = ("/E", "/XX")
_COPIED = ("/COPY:DATSO",)  # data, attributes, times, access list, owner
_SHOWN = 20  # names in a result


@dataclass
class Piece:
    """One path that is restored, and what was found out about it.

    source: its path through our link; folder: what it is; there: something is where it goes; top: else the first folder
    on the way that is not there, or itself. files: what is to be restored, sizes by relative paths; replaced: the sizes
    of those of them that are there already; left: how many are there and stay; folders: how many are to be made; tree:
    all of its folders, folded, and into: those of them that are there. kept: new names of files that make room.
    stage: the folder that stands for the root of its volume until what is put together there is moved.
    """

    aim: Aim
    source: str
    folder: bool = True
    there: bool = False
    top: str = ""
    files: Mapping[str, int] = field(default_factory=dict)
    replaced: Mapping[str, int] = field(default_factory=dict)
    folders: int = 0
    left: int = 0
    apart: frozenset[str] = frozenset()
    tree: frozenset[str] = frozenset()
    into: tuple[str, ...] = ()
    kept: Mapping[str, str] = field(default_factory=dict)
    stage: str = ""

    @property
    def number(self) -> int:
        """Its number among those asked for."""
        return self.aim.number

    @property
    def wanted(self) -> bool:
        """Whether there is anything to restore."""
        return bool(self.files or self.folders)

    @property
    def merged(self) -> bool:
        """Whether it goes into a folder that is there; what is not there is put together apart and then moved."""
        return self.folder and self.there

    @property
    def name(self) -> str:
        """Its last name, "" for a whole volume."""
        return _last(self.aim.place.inside)

    @property
    def staged(self) -> str:
        """Where it is put together."""
        return join(self.stage, self.aim.at.inside)

    @property
    def bytes(self) -> int:
        """How many bytes are to be restored."""
        return sum(self.files.values())

    def in_stage(self, path: str) -> str:
        """Where what goes to this path of the same volume is put together."""
        return join(self.stage, path[len(self.aim.at.volume.display.rstrip("\\")) + 1 :])

    @property
    def way(self) -> list[str]:
        """The folders on the way to it that are not there, as they are put together."""
        chain = target_chain(self)
        return [self.in_stage(path) for path in chain[chain.index(self.top) : -1]] if self.stage and chain else []

    def job(self, run: Run, existing: str) -> Job:
        """The robocopy that restores it."""
        folder = self.folder
        target = plain(self.aim.path) if self.merged else self.staged if folder else above(self.staged)
        return Job(
            number=self.number,
            place=self.aim.place,
            source=self.source if folder else above(self.source),
            target=target,
            task=f"{run.record.run}-restore-{self.number}",
            log=run.path(f"robocopy-{self.number}.log"),
            files=len(self.files),
            bytes=self.bytes,
            names=self.files,
            apart=self.apart,
            switches=(*_TREE, *EXISTING[existing], *_COPIED) if folder else _COPIED,
            only=() if folder else (self.name,),
        )

    def result(self) -> dict[str, Any]:
        """It, as the module returns it."""
        missing = [name for name in self.files if name not in self.replaced]
        return {
            "path": self.aim.place.path,
            "to": self.aim.path,
            "kind": "folder" if self.folder else "file",
            "files": len(self.files),
            "bytes": self.bytes,
            "folders": self.folders,
            "missing": sorted(missing)[:_SHOWN],
            "different": sorted(self.replaced)[:_SHOWN],
            "replaced": len(self.replaced),
            "left_alone": self.left,
            "renamed": [{"path": path, "kept_as": join(above(path), kept)} for path, kept in sorted(self.kept.items())],
        }


def above(path: str) -> str:
    """The folder that a path lies in; the root of a letter keeps its backslash."""
    return plain(path.rstrip("\\").rpartition("\\")[0] + "\\")


def _last(path: str) -> str:
    return path.rstrip("\\").rpartition("\\")[2]


def plain(path: str) -> str:
    """A folder as a program takes it: only the root of a letter keeps its backslash."""
    return path if len(path) <= len("C:\\") else path.rstrip("\\")


def _chain(root: str, inside: str) -> list[str]:
    """The folders that lead to a path, and itself, from the volume on."""
    parts = [part for part in inside.split("\\") if part]
    return [join(root, *parts[: at + 1]) for at in range(len(parts))]


# ---- what it is, and where it goes
def looking_at(pieces: Sequence[Piece]) -> list[Statement]:
    """The statements that look at each path in its shadow copy and at each place it goes to; `seen` reads them."""
    asked: list[Statement] = []
    for piece in pieces:
        asked.append(verbs.items(f"source-{piece.number}", long_paths(_source_chain(piece) or [piece.source])))
        asked.append(verbs.items(f"target-{piece.number}", long_paths(target_chain(piece) or [piece.aim.path])))
    return asked


def long_paths(paths: Iterable[str]) -> list[str]:
    """Paths as Windows PowerShell takes them at any length."""
    return [long_path(path) for path in paths]


def _source_chain(piece: Piece) -> list[str]:
    inside = piece.aim.place.inside
    root = piece.source[: len(piece.source) - len(inside)] if inside else piece.source
    return _chain(root, inside)


def target_chain(piece: Piece) -> list[str]:
    """The folders that lead to where a path goes, and that."""
    return _chain(piece.aim.at.volume.display, piece.aim.at.inside)


def seen(pieces: Sequence[Piece], wish: Wish, reply: Reply, host: str) -> None:
    """Take what `looking_at` found.

    :raises VssFailure: a path is not in the shadow copy, or a link is on the way to where it comes from or goes to.
    """
    made: set[str] = set()  # folders that come with what is moved to its place before
    for piece in pieces:
        source, target = by_path(reply[f"source-{piece.number}"]), by_path(reply[f"target-{piece.number}"])
        chain = _source_chain(piece)
        link = next((path for path in chain if is_link(source.get(fold(path)))), None)
        if link is not None:
            inside = link[len(piece.source) - len(piece.aim.place.inside) :]
            raise VssFailure(
                f"{join(piece.aim.place.volume.display, inside)} is a link in the shadow copy on {host}, and what it "
                "leads to is not: name the place that it leads to."
            )
        told = source.get(fold(chain[-1])) if chain else {"Attributes": _DIRECTORY}
        if told is None:
            raise VssFailure(
                f"{piece.aim.place.path} is not in the shadow copy {piece.aim.shadow.id} on {host}: check the path, or "
                "take another snapshot."
            )
        piece.folder = is_folder(told)
        piece.top = piece.aim.path
        if not wish.rehearsal:
            _target_seen(piece, target, wish, told, host)
            chain = target_chain(piece)
            piece.top = next((path for path in chain if fold(path) not in {*target, *made}), piece.aim.path)
            made |= set(map(fold, chain))
        elif not piece.folder:
            piece.files, piece.apart = {piece.name: int(told.get("Length") or 0)}, frozenset({""})


def _target_seen(
    piece: Piece, target: Mapping[str, Mapping[str, Any]], wish: Wish, told: Mapping[str, Any], host: str
) -> None:
    chain = target_chain(piece)
    folders = chain if piece.folder else chain[:-1]
    link = next((path for path in folders if is_link(target.get(fold(path)))), None)
    if link is not None:
        raise VssFailure(
            f"{link} on {host} is a link: what is restored to {piece.aim.path} would go to another place. Name the "
            "place that it leads to, or remove it."
        )
    file = next((path for path in chain[:-1] if (each := target.get(fold(path))) and not is_folder(each)), None)
    there = target.get(fold(chain[-1])) if chain else {"Attributes": _DIRECTORY}
    piece.there = there is not None
    if file is not None or (there is not None and is_folder(there) != piece.folder):
        was, now = ("folder", "file") if piece.folder else ("file", "folder")
        raise VssFailure(
            f"{piece.aim.path} on {host} cannot be restored: it is a {was} in the shadow copy, and "
            f"{file or piece.aim.path} is a {'file' if file else now} today. Name another place with to."
        )
    if not piece.folder:
        _decide_file(piece, wish, told, there)


def _decide_file(piece: Piece, wish: Wish, told: Mapping[str, Any], there: Mapping[str, Any] | None) -> None:
    """Whether one file is to be restored: by size and time of writing, as robocopy would for one of the same name."""
    length, piece.apart, piece.left = int(told.get("Length") or 0), frozenset({""}), int(there is not None)
    if there is not None:
        then, now = moment(told.get("LastWriteTimeUtc")), moment(there.get("LastWriteTimeUtc"))
        differs = (length, then) != (int(there.get("Length") or 0), now)
        newer = then is not None and now is not None and then > now
        if not differs or wish.existing == "skip" or (wish.existing == "newer" and not newer):
            return
        piece.replaced, piece.left = {piece.name: int(there.get("Length") or 0)}, 0
    piece.files = {piece.name: length}


def by_path(result: Result) -> dict[str, Mapping[str, Any]]:
    """What `verbs.items` tells, by folded paths."""
    return {fold(short_path(str(told.get("FullName") or ""))): told for told in result.values}


def is_folder(told: Mapping[str, Any]) -> bool:
    """Whether what `verbs.items` tells is a folder, or a link to one."""
    return bool(int(told.get("Attributes") or 0) & _DIRECTORY)


def is_link(told: Mapping[str, Any] | None) -> bool:
    """Whether what `verbs.items` tells is there and a link.

    A file that Windows only keeps elsewhere, deduplicated or in a cloud, is none, though it has the attribute.
    """
    if told is None or not int(told.get("Attributes") or 0) & _REPARSE_POINT:
        return False
    return is_folder(told) or told.get("LinkType") not in _NO_LINKS


# ---- which files
def comparing(pieces: Sequence[Piece], run: Run, existing: str) -> list[Statement]:
    """The statements that compare folders with where they go to, and tell how much room there is.

    `compared` reads them.
    """
    asked: list[Statement] = []
    for piece in (each for each in pieces if each.folder):
        target, job = plain(piece.aim.path), piece.job(run, existing)
        asked += _listing(f"todo-{piece.number}", job, target if piece.merged else run.path("nothing"), run, existing)
        if piece.merged:
            log = run.path(f"have-{piece.number}.log")
            asked.append(verbs.compare(f"have-{piece.number}", target, run.path("nothing"), log, ["/E"], verbs.NOTHING))
            asked.append(verbs.read_lines(f"have-{piece.number}-lines", log, "Unicode").tolerant())
    return [*asked, volumes_statement()]


def _listing(key: str, job: Job, target: str, run: Run, existing: str) -> list[Statement]:
    options = [*_TREE, *EXISTING[existing]] if not job.only else list(job.only)
    log = run.path(f"{key}.log")
    return [
        verbs.compare(key, job.source, target, log, options, job.skipped),
        verbs.read_lines(f"{key}-lines", log, "Unicode").tolerant(),
    ]


def compared(pieces: Sequence[Piece], run: Run, existing: str, reply: Reply) -> None:
    """Take what `comparing` found.

    :raises VssFailure: something cannot be read, or a file stands where a folder goes or the other way round.
    """
    host = run.host.name
    for piece in (each for each in pieces if each.folder):
        job = piece.job(run, existing)
        lines, rows = _lines(f"todo-{piece.number}", job, reply, host)
        piece.files, piece.folders = verify.listed(lines, job.source), rows[0][1]
        inside = verify.folders(lines, job.source)
        have: dict[str, int] = {}
        within: dict[str, int] = {}
        if piece.merged:
            told, _rest = _lines(f"have-{piece.number}", job, reply, host)
            have = {fold(name): number for name, number in verify.listed(told, piece.aim.path).items()}
            within = {fold(name): number for name, number in verify.folders(told, piece.aim.path).items()}
            piece.left = rows[1][2]
        piece.replaced = {name: have[fold(name)] for name in piece.files if fold(name) in have}
        wrong = next((n for n in inside if n and fold(n) in have), None) or next(
            (n for n in piece.files if fold(n) in within), None
        )
        if wrong is not None:
            raise VssFailure(
                f"{join(piece.aim.path, wrong)} on {host} is a file in one and a folder in the other, the shadow copy "
                "and what is there today: move it away, or name another place with to."
            )
        piece.tree = frozenset(map(fold, inside))
        piece.into = tuple(name for name in inside if fold(name) in within)
        piece.apart = _mixed(piece, inside, have)


def _lines(key: str, job: Job, reply: Reply, host: str) -> tuple[list[Any], list[list[int]]]:
    told, lines = reply[key], list(reply[f"{key}-lines"].values)
    rows = table(lines)
    if told.exit_code is None or not 0 <= told.exit_code < FAILED or rows is None:
        raise why_failed(job, told.exit_code or 0, [*told.values, *lines], host, doing="Reading")
    return lines, rows


def _mixed(piece: Piece, inside: Mapping[str, int], have: Mapping[str, int]) -> frozenset[str]:
    """The folders, folded, in which not every file is one that is restored, in the shadow copy or where it goes."""
    wanted = {fold(name) for name in piece.files}
    many: dict[str, int] = {}
    for name in wanted:
        many[name.rpartition("\\")[0]] = many.get(name.rpartition("\\")[0], 0) + 1
    mixed = {fold(name) for name, number in inside.items() if number != many.get(fold(name), 0)}
    mixed |= {name.rpartition("\\")[0] for name in have if name not in wanted}
    return frozenset({name for name in mixed if name in many} | ({""} if piece.aim.place.whole else set()))


# ---- afterwards
def looking_again(jobs: Sequence[Job], run: Run, existing: str) -> list[Statement]:
    """The statements that ask what would still be copied by the same robocopy; `missing` reads them."""
    return [each for job in jobs for each in _listing(f"rest-{job.number}", job, job.target, run, existing)]


def missing(jobs: Sequence[Job], reply: Reply, host: str) -> list[dict[str, Any]]:
    """What is not there as it is in the shadow copy, by number and sizes, times and attributes."""
    found: list[dict[str, Any]] = []
    for job in jobs:
        lines, rows = _lines(f"rest-{job.number}", job, reply, host)
        names = verify.listed(lines, job.source)
        found += [{"source": job.place.path, "path": name, "what": "is not there as it was"} for name in names]
        if rows[0][1] and not names:
            found.append({"source": job.place.path, "path": "", "what": f"{rows[0][1]} folders are not there"})
    return found
