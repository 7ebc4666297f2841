# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Putting what was restored to its place, and making room for it there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .. import _verbs as verbs
from .._pipeline import ConnectionLost, HostFailure, Reply, Result, Statement
from . import restore_writers, verify
from .copying import Job
from .errors import VssFailure
from .paths import join, long_path
from .restoring import Piece, above
from .run import Run, check
from .undo import RENAMED
from .wanted import Wish

SCRATCH = "umbra-restore-"  # at the root of a volume, with the ID of the run
_BATCH = 200  # statements in one pipeline


@dataclass
class Work:
    """A restore under way. placed: what has got its place; part: that of the writers, and what they were told."""

    run: Run
    wish: Wish
    pieces: list[Piece]
    placed: list[str] = field(default_factory=list)
    renamed: dict[str, str] = field(default_factory=dict)
    readings: int = 0
    proven: verify.Verified | None = None
    part: restore_writers.Part | None = None
    told: list[Mapping[str, Any]] = field(default_factory=list)

    @property
    def todo(self) -> list[Piece]:
        """What there is to do."""
        return [piece for piece in self.pieces if piece.wanted]

    @property
    def jobs(self) -> list[Job]:
        """The robocopies for it; with writers they are all of one task."""
        found = [piece.job(self.run, self.wish.existing) for piece in self.todo]
        return [replace(job, task=restore_writers.task(self.run)) for job in found] if self.part else found

    @property
    def links(self) -> dict[str, str]:
        """Our links to the shadow copies, by volume."""
        return {volume: self.run.path(str(at)) for at, volume in enumerate(self.wish.source.shadows, 1)}

    @property
    def scratch(self) -> list[str]:
        """The folders in which something is put together, one a volume; `stage` is one of a piece's own in it."""
        return list(dict.fromkeys(above(piece.stage) for piece in self.todo if piece.stage))

    @property
    def closed(self) -> list[str]:
        """The folders that are made, for administrators only: those, and what is missing on the way to a path."""
        return list(dict.fromkeys([*self.scratch, *(path for piece in self.todo for path in piece.way)]))

    def stage(self) -> None:
        """Choose where what is not there yet is put together."""
        for piece in self.todo:
            if not piece.merged:
                piece.stage = join(piece.aim.at.volume.display, f"{SCRATCH}{self.run.record.run}", str(piece.number))


# ---- room for it
def make_room(work: Work) -> None:
    """Give files that are in the way of others another name, where that was asked for: those in folders that are there.

    Single files make room when the one that takes their place has been proven.

    :raises VssFailure: one could not be renamed; as the record tells, the others get their names back.
    """
    if work.wish.existing != "rename" or work.wish.rehearsal:
        return
    mark = work.run.now().strftime(".before-%Y%m%dT%H%M%SZ")
    for piece in work.todo:
        there = [join(piece.aim.path, name) for name in piece.replaced] if piece.folder else [piece.aim.path]
        piece.kept = {path: _last(path) + mark for path in there} if piece.there else {}
    moving = [each for piece in work.todo if piece.merged for each in piece.kept.items()]
    run, ahead = work.run, list[Statement]()
    changes = {**run.record.changes, RENAMED: {p: name for piece in work.todo for p, name in piece.kept.items()}}
    if moving:
        ahead = run.step(state="restoring", changes=changes)
    else:  # it is written with the folders in which what takes their place is put together
        run.record = replace(run.record, changes=changes)
    for start in range(0, len(moving), _BATCH):
        batch = {f"rename-{at}": each for at, each in enumerate(moving[start : start + _BATCH], start)}
        reply = run.host.act(*ahead, *(_rename(key, *each) for key, each in batch.items()), allow=True)
        ahead = []
        work.renamed |= {path: join(above(path), kept) for key, (path, kept) in batch.items() if reply[key].complete}
        broken = reply.first_incomplete()
        if broken is not None and broken.key in batch:
            raise VssFailure(
                f"{batch[broken.key][0]} on {run.host.name} could not be renamed to make room: "
                f"{_why(reply, broken)} Is it open?"
            )
        check(reply, run.host)


def _rename(key: str, path: str, name: str) -> Statement:
    return verbs.rename_file(key, long_path(path), name, force=True)


def _last(path: str) -> str:
    return path.rpartition("\\")[2]


def _why(reply: Reply, broken: Result) -> str:
    cause = reply.failure or (broken.errors[-1] if broken.errors else None)
    return " ".join(cause.message.split()) if cause else "the host did not say why."


def still_renamed(work: Work) -> dict[str, str]:
    """The files that still have their new names, as far as the host tells; those names as paths by the old ones."""
    asked = {path: join(above(path), kept) for piece in work.todo for path, kept in piece.kept.items()}
    if not asked:
        return {}
    keys = {f"there-{at}": pair for at, pair in enumerate(asked.items())}
    try:
        reply = work.run.host.ask(*(verbs.exists(key, long_path(kept)) for key, (_path, kept) in keys.items()))
    except HostFailure:
        return asked
    return {path: kept for key, (path, kept) in keys.items() if reply[key].first}


# ---- to its place
@dataclass(frozen=True)
class _Move:
    """One statement of putting something to its place, and the path that it takes away."""

    piece: Piece
    path: str
    statement: Statement


def place(work: Work) -> None:
    """Move what was put together to where it belongs; when the answer is lost, what is still to be moved once more.

    :raises VssFailure: something cannot be moved.
    """
    moves = _moves(work)
    if not moves:
        return
    run = work.run
    try:
        reply = run.host.act(*(move.statement for move in moves), allow=True)
    except ConnectionLost as lost:
        run.lost_while("what was restored was put to its place", lost)
        run.reopen()
        moves = _unmoved(work, moves)
        reply = run.host.act(*(move.statement for move in moves), allow=True)
    broken = reply.first_incomplete()
    stuck = {move.piece.number for move in moves if not reply[move.statement.key].complete}
    for piece in work.todo:
        if not piece.merged and piece.number not in stuck:
            work.placed.append(piece.top)
            work.renamed |= {path: join(above(path), kept) for path, kept in piece.kept.items()}
    if broken is not None:
        where = next(move.piece for move in moves if move.statement.key == broken.key).top
        raise VssFailure(
            f"{where} on {run.host.name} could not be put to its place: {_why(reply, broken)} Is it open, or has "
            "somebody made it meanwhile?"
        )


def _unmoved(work: Work, moves: Sequence[_Move]) -> list[_Move]:
    """Those that have not been done: of what is still where it was put together, what is still under its old name."""
    told = work.run.host.ask(
        *(verbs.exists(move.statement.key, long_path(move.path)) for move in moves),
        allow=True,
    )
    check(told, work.run.host)
    waiting = {move.piece.number for move in moves if move.path.startswith(move.piece.stage) and _there(told, move)}
    return [move for move in moves if move.piece.number in waiting and (_there(told, move) or _is_last(move, moves))]


def _there(told: Reply, move: _Move) -> bool:
    return bool(told[move.statement.key].first)


def _is_last(move: _Move, moves: Sequence[_Move]) -> bool:
    return [each for each in moves if each.piece is move.piece][-1] is move


def _moves(work: Work) -> list[_Move]:
    """What is moved. One move brings all that lies under a folder that is new."""
    found: list[_Move] = []
    for piece in (each for each in work.todo if not each.merged):
        key, now = f"place-{piece.number}", piece.in_stage(piece.top)
        copied = join(above(piece.staged), piece.name)
        if not piece.folder and copied != piece.staged:
            found.append(_Move(piece, copied, _rename(f"{key}-name", copied, _last(piece.staged))))
        for path, kept in piece.kept.items():
            found.append(_Move(piece, path, _rename(f"{key}-room", path, kept)))
        source, target = long_path(now), long_path(piece.top)
        if piece.there and not piece.kept:
            found.append(_Move(piece, now, verbs.move_file(key, source, target)))
        else:
            found.append(_Move(piece, now, verbs.move_to(key, source, long_path(above(piece.top)))))
    return found
