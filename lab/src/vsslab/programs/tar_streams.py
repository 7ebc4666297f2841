# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Between tar and what holds an archive: blocks of one length, tapes, and the speed of the disk."""

from __future__ import annotations

from collections.abc import Callable

from ..windows.errors import WinError
from ..windows.processes import Invocation
from .tape import FILEMARK_DETECTED, LARGEST_BLOCK, NO_DATA_DETECTED, Drive


class Failed(Exception):
    """tar gives up; the text is its message."""


class Paced:
    """Writes through `put`, as fast as `Host.copy_rate` lets it; Failed when that fails or the process must end."""

    def __init__(self, call: Invocation, put: Callable[[bytes], object]) -> None:
        self._call, self._put = call, put

    def write(self, data: bytes) -> None:
        """Write one block."""
        rate = self._call.host.copy_rate
        if (rate and self._call.host.clock.sleep(len(data) / rate, self._call.stop)) or self._call.stop.is_set():
            raise Failed("interrupted")
        try:
            self._put(data)
        except WinError as problem:
            raise Failed("Write error") from problem


class ToBlocks:
    """Collects what is written into blocks of `size` bytes; the last one is filled up with zeros where `pad`."""

    def __init__(self, put: Callable[[bytes], None], size: int, *, pad: bool) -> None:
        self._put, self._size, self._pad = put, size, pad
        self._waiting = bytearray()
        self._written = 0

    def write(self, data: bytes) -> int:
        """Take bytes; whole blocks go out."""
        self._waiting += data
        while len(self._waiting) >= self._size:
            self._put(bytes(self._waiting[: self._size]))
            del self._waiting[: self._size]
        self._written += len(data)
        return len(data)

    def tell(self) -> int:
        """How many bytes came in."""
        return self._written

    def flush(self) -> None:
        """Nothing: a block goes out when it is full."""

    def finish(self) -> None:
        """The last block."""
        if self._waiting:
            self._put(bytes(self._waiting).ljust(self._size if self._pad else 0, b"\0"))
            self._waiting.clear()


class FromTape:
    """Reads a tape block by block until a file mark or the end of the data, as a file."""

    def __init__(self, drive: Drive, size: int) -> None:
        self._drive, self._size = drive, max(size, LARGEST_BLOCK)
        self._waiting = bytearray()
        self._over = False
        self._any = False

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes; Failed for what keeps the drive from reading, a blank tape too."""
        while not self._over and (size < 0 or len(self._waiting) < size):
            try:
                self._waiting += self._drive.read(self._size)
                self._any = True
            except WinError as problem:
                end = problem.code == FILEMARK_DETECTED or (problem.code == NO_DATA_DETECTED and self._any)
                if not end:
                    raise Failed(f"Error reading '\\\\.\\{self._drive.name}'") from problem
                self._over = True
        count = len(self._waiting) if size < 0 else size
        found = bytes(self._waiting[:count])
        del self._waiting[:count]
        return found
