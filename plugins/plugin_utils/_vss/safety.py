# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Before a restore writes anywhere: no folder there may be a link, and there must be room.

A task of SYSTEM writes, and people may be able to change the folders that are restored into: so they are looked at
before, and once more when it is done.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .. import _verbs as verbs
from .._pipeline import Reply, Statement
from . import verify
from .copying import size
from .errors import VssFailure
from .facts import Facts, read_volumes
from .paths import Place, fold, join, short_path
from .restoring import Piece, by_path, is_folder, is_link, long_paths, plain, target_chain
from .wanted import Wish


# ---- no link on the way
def looking_for_links(pieces: Sequence[Piece]) -> list[Statement]:
    """The statements that look for links where folders are restored to; `no_links` reads them."""
    asked: list[Statement] = []
    for piece in pieces:
        if chain := target_chain(piece):
            asked.append(verbs.items(f"way-{piece.number}", long_paths(chain)))
        if piece.merged:
            within = [join(piece.aim.path, name) if name else plain(piece.aim.path) for name in piece.into]
            asked += verify.batches(f"links-{piece.number}", long_paths(within), verbs.list_links)
    return asked


def no_links(pieces: Sequence[Piece], reply: Reply, host: str, during: bool = False) -> None:
    """Refuse to write where a folder, or a file that is to be replaced, is a link.

    :param during: the restore is over: the link has come meanwhile.
    :raises VssFailure: naming the link.
    """
    for piece in pieces:
        where = next(_harmful(piece, reply), None)
        if where is None:
            continue
        if during:
            raise VssFailure(
                f"{where} on {host} has become a link while {piece.aim.place.path} was restored: look at what it leads "
                "to, where files of the snapshot may have been written, and at who made it."
            )
        raise VssFailure(
            f"{where} on {host} is a link: what is restored would go to another place. Remove it, or name another "
            "place with to."
        )


def _harmful(piece: Piece, reply: Reply) -> Iterator[str]:
    """The links on the way to where a path goes, and those in it that stand for a folder or file of the snapshot."""
    chain = target_chain(piece)
    way = by_path(reply[f"way-{piece.number}"]) if chain else {}
    yield from (path for path in (chain if piece.folder else chain[:-1]) if is_link(way.get(fold(path))))
    wanted = piece.tree | {fold(name) for name in piece.files}
    for path, told in _links(reply, piece):
        if (is_folder(told) or told.get("LinkType")) and fold(path) in wanted:
            yield join(piece.aim.path, path)


def _links(reply: Reply, piece: Piece) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for key, result in reply.items():
        if key.partition("@")[0] == f"links-{piece.number}":
            for told in result.values:
                path = short_path(str(told.get("FullName") or ""))
                yield path[len(piece.aim.path.rstrip("\\")) + 1 :], told


# ---- room
def enough_room(pieces: Sequence[Piece], wish: Wish, facts: Facts, reply: Reply) -> None:
    """Fail before anything is changed when what is restored does not fit; warn when it could cost shadow copies.

    :raises VssFailure: naming the volume, how much is needed and how much is free.
    """
    free = {volume.id: volume.free for volume in read_volumes(reply["volumes"])}
    for volume in dict.fromkeys(piece.aim.at.volume for piece in pieces):
        mine = [piece for piece in pieces if piece.aim.at.volume.id == volume.id]
        need, left = sum(_room(piece, wish.existing) for piece in mine), free.get(volume.id)
        if left is not None and need > left:
            raise VssFailure(
                f"There is not enough space on {volume.display} of {facts.host} to restore "
                f"{', '.join(piece.aim.place.path for piece in mine)}: {size(need)} are needed ({need} bytes), "
                f"{size(left)} are free ({left} bytes)."
            )
        _shadow_room(sum(piece.bytes for piece in mine), mine[0].aim.at, wish, facts)


def _room(piece: Piece, existing: str) -> int:
    """Bytes that the volume must have: a file that is written over needs only what it grows by."""
    if not piece.merged or existing == "rename":
        return piece.bytes
    return sum(max(0, length - piece.replaced.get(name, 0)) for name, length in piece.files.items())


def _shadow_room(need: int, at: Place, wish: Wish, facts: Facts) -> None:
    """Warn: what is overwritten goes into the storage of the volume's shadow copies; full, it costs the oldest."""
    area = next((area for area in facts.storage if area.volume == at.volume.id), None)
    if area is None or area.maximum is None or not any(shadow.volume == at.volume.id for shadow in facts.shadows):
        return
    left = max(0, area.maximum - area.used)
    if need > left:
        wish.warnings.append(
            f"Restoring {size(need)} to {at.volume.display} on {facts.host} may take as much of the storage for its "
            f"shadow copies, which has {size(left)} left: Windows would delete the oldest of them. Enlarge it with "
            "umbra.vss.storage first."
        )
