# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading a shadow copy: what is read is what was copied, and nothing is read of a copy that is gone."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, cast

from ..windows import inodes
from ..windows.errors import DEVICE_NOT_CONNECTED, WinError
from .trees import Mark, mark_of


class CopyChanged(RuntimeError):
    """A file of a shadow copy is not what it was: somebody wrote to the live file around the laboratory."""


class TreeGuard:
    """Guards the tree of one shadow copy (`windows.metadata.Guard`).

    `marks` are those of its hard links (`trees.Frozen`); `used` is called before a file is opened, so that a copy whose
    storage area has overflowed meanwhile is gone before more of it is read.  Once `gone` is set, open files fail with
    Win32 error 1167 (the device is not connected), as reads of a lost shadow copy do.
    """

    def __init__(self, root: Path, name: str, marks: dict[str, Mark], used: Callable[[], None]) -> None:
        self._root = os.fspath(root)
        self._name = name
        self.marks = marks
        self._used = used
        self.gone = False

    def check(self, real: Path, found: os.stat_result) -> None:
        """CopyChanged when a hard link's file was written in place since the copy was made."""
        path = os.fspath(real)[len(self._root) + 1 :]
        mark = self.marks.get(path)
        if mark is not None and mark != mark_of(found) and not self.gone:
            raise CopyChanged(
                f"{path} in the shadow copy {self._name} is not what it was: its live file was written around the "
                "laboratory (use the host's files, or make the writer one of the host's apps)."
            )

    def check_all(self) -> None:
        """`check` for every hard link there is."""
        for path in self.marks:
            real = Path(self._root, path)
            self.check(real, real.lstat())

    def open(self, real: Path) -> BinaryIO:
        """The file, open for reading; CopyChanged, WinError 1167."""
        self._used()
        self.alive(real)
        raw = _Raw(real, self)
        try:
            self.check(real, os.fstat(raw.fileno()))
        except BaseException:
            raw.close()
            raise
        return cast(BinaryIO, io.BufferedReader(raw))

    def alive(self, real: Path) -> None:
        """WinError 1167 when the copy is gone."""
        if self.gone:
            raise WinError(DEVICE_NOT_CONNECTED, str(real.name))


class _Raw(io.FileIO):
    """A file of a shadow copy; every read asks whether the copy is still there."""

    def __init__(self, real: Path, guard: TreeGuard) -> None:
        super().__init__(real, "rb", opener=inodes.without_a_trace)
        self._real, self._guard = real, guard

    def readinto(self, buffer: Any) -> int:
        """Read into a buffer; WinError 1167, CopyChanged."""
        self._guard.alive(self._real)
        count = super().readinto(buffer)
        self._guard.check(self._real, os.fstat(self.fileno()))
        return count

    def readall(self) -> bytes:
        """Read the rest; WinError 1167, CopyChanged."""
        self._guard.alive(self._real)
        data = super().readall()
        self._guard.check(self._real, os.fstat(self.fileno()))
        return data
