# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Windows keeps about files and the real folder below does not: attributes, creation times, security."""

from __future__ import annotations

import copy
import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from . import sddl
from .paths import key

SYSTEM_GROUP = sddl.ALIASES["SY"]
OWNER = sddl.ALIASES["BA"]


@dataclass
class Record:
    """One file or folder; None means: as Windows has it when nobody said anything. `created` in ns since 1970.

    `junction`: the link there is a junction (mklink /j), not a symbolic link; `to_file`: it is a file's link.
    """

    attributes: int | None = None
    created: int | None = None
    owner: str | None = None
    group: str | None = None
    aces: tuple[sddl.Ace, ...] | None = None
    protected: bool = False
    junction: bool = False
    to_file: bool = False


class Guard(Protocol):
    """Watches over a tree that must stay as it is: a shadow copy."""

    def check(self, real: Path, found: os.stat_result) -> None:
        """Raise when the real file is not what it was when the tree was made."""

    def open(self, real: Path) -> BinaryIO:
        """The checked file, open for reading; reading fails as on Windows once the tree is gone."""


class Metadata:
    """The records of one tree, by path below its root; names are compared as Windows compares them.

    `guard` is set on the records of a shadow copy.
    """

    guard: Guard | None = None

    def __init__(self, root: sddl.Descriptor) -> None:
        self._root = root
        self._records: dict[str, Record] = {}

    def get(self, parts: tuple[str, ...]) -> Record | None:
        """The record of a path, if there is one."""
        return self._records.get(key(parts))

    def edit(self, parts: tuple[str, ...]) -> Record:
        """The record of a path, made when there was none."""
        return self._records.setdefault(key(parts), Record())

    def forget(self, parts: tuple[str, ...]) -> None:
        """The path was removed: its record and those below it go."""
        gone = key(parts)
        for each in [each for each in self._records if each == gone or each.startswith(gone + "\\")]:
            del self._records[each]

    def move(self, parts: tuple[str, ...], target: Metadata, new: tuple[str, ...]) -> None:
        """The path was renamed to `new` in the tree `target` (of the same volume)."""
        old = key(parts)
        names = [each for each in self._records if each == old or each.startswith(old + "\\")]
        moved = {key(new) + each[len(old) :]: self._records.pop(each) for each in names}
        target.forget(new)
        target._records.update(moved)

    def records(self) -> dict[str, Record]:
        """Every record by path."""
        return dict(self._records)

    def replace_all(self, records: dict[str, Record]) -> None:
        """Have these records instead of those there are."""
        self._records = dict(records)

    def copy(self) -> Metadata:
        """The records as they are now: those of a shadow copy."""
        other = Metadata(self._root)
        other._records = {path: copy.copy(record) for path, record in self._records.items()}  # values never change
        return other

    def descriptor(self, parts: tuple[str, ...], *, folder: bool) -> sddl.Descriptor:
        """The security descriptor in force, inherited parts computed from the root down; `folder`: what the path is."""
        current = self._root
        for depth in range(len(parts) + 1):
            here = parts[:depth]
            record = self._records.get(key(here))
            is_folder = folder or depth < len(parts)
            if depth:
                current = _below(current, record, folder=is_folder)
            elif record is not None and record.aces is not None:
                current = sddl.Descriptor(
                    record.owner or current.owner, record.group or current.group, record.aces, True
                )
        return current


def _below(parent: sddl.Descriptor, record: Record | None, *, folder: bool) -> sddl.Descriptor:
    owner = (record.owner if record else None) or OWNER
    group = (record.group if record else None) or SYSTEM_GROUP
    own = record.aces if record is not None and record.aces is not None else ()
    if record is not None and record.protected:
        return sddl.Descriptor(owner, group, own, True)
    given = sddl.inherited(parent.aces or (), folder=folder, owner=owner, group=group)
    return sddl.Descriptor(owner, group, (*own, *given), False)
