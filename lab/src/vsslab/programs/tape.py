# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
r"""Tape drives (`\\.\tape0`): a medium is a real file of blocks and file marks, the drive has a position in it.

Sources: "Tape Backup" in the Windows documentation (what the functions do, and the errors 1100 to 1112 of system error
codes); the file is in the format of public tape emulators (a block between two 32-bit lengths, length 0 a file mark).
Closing the device neither rewinds nor writes a file mark: on Windows both are calls that a program makes (assumed for
drivers in general). A fixed block length of 0 stands for blocks as long as each write makes them.
"""

from __future__ import annotations

import contextlib
import re
import struct
import threading
import weakref
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..windows.errors import NOT_FOUND, WRITE_PROTECT, WinError

if TYPE_CHECKING:
    from ..windows.host import Host

END_OF_MEDIA, FILEMARK_DETECTED, NO_DATA_DETECTED = 1100, 1101, 1104
INVALID_BLOCK_LENGTH, NO_MEDIA_IN_DRIVE, SHARING_VIOLATION, MORE_DATA = 1106, 1112, 32, 234
LARGEST_BLOCK = 1 << 20  # bytes
_LENGTH = struct.Struct("<I")
_NAME = re.compile(r"\\\\[.?]\\(tape\d)\\?\Z", re.IGNORECASE)
_KEYS = {"name", "medium", "capacity", "write_protected", "block_size"}


def name_of(path: str) -> str | None:
    r"""The drive that a path names: `tape0` for `\\.\Tape0`, None for any other path."""
    found = _NAME.match(path.replace("/", "\\"))
    return found[1].lower() if found else None


@dataclass
class Medium:
    """A tape: its real file, how many bytes of data it holds at most, and its write-protect tab."""

    path: Path
    capacity: int = 1 << 40
    write_protected: bool = False


class Drive:
    """A tape drive of a host; one program at a time has it open."""

    def __init__(self, name: str, medium: Medium | None = None, block_size: int = 0) -> None:
        self.name = name
        self.medium = medium
        self.block_size = block_size
        self._at = 0  # blocks and file marks before the head
        self._offset = 0  # bytes of the medium's file before the head
        self._data = 0  # bytes of data before the head
        self._open = threading.Lock()

    @property
    def position(self) -> int:
        """How many blocks and file marks lie before the head."""
        return self._at

    def load(self, medium: Medium) -> None:
        """Put a medium in; it is at its beginning."""
        self.medium = medium
        self._to_beginning()

    def _to_beginning(self) -> None:
        self._at = self._offset = self._data = 0

    @contextlib.contextmanager
    def opened(self) -> Iterator[Drive]:
        """Open the device; WinError 32 while another program has it."""
        if not self._open.acquire(blocking=False):
            raise WinError(SHARING_VIOLATION, f"\\\\.\\{self.name}")
        try:
            yield self
        finally:
            self._open.release()

    def rewind(self) -> None:
        """To the beginning of the medium (SetTapePosition, TAPE_REWIND)."""
        self._loaded()
        self._to_beginning()

    def write(self, data: bytes) -> None:
        """Write one block; what came behind it is gone.  WinError 19, 1100, 1106, 1112."""
        medium = self._writable()
        fixed = self.block_size
        if not data or len(data) > LARGEST_BLOCK or (fixed and len(data) % fixed):
            raise WinError(INVALID_BLOCK_LENGTH, self.name)
        pieces = [data[at : at + fixed] for at in range(0, len(data), fixed)] if fixed else [data]
        for piece in pieces:
            if self._data + len(piece) > medium.capacity:
                raise WinError(END_OF_MEDIA, self.name)
            length = _LENGTH.pack(len(piece))
            self._put(medium, length + piece + length)
            self._data += len(piece)

    def write_filemark(self) -> None:
        """Write a file mark (WriteTapemark)."""
        self._put(self._writable(), _LENGTH.pack(0))

    def read(self, size: int) -> bytes:
        """Read one block of at most `size` bytes; WinError 1101 at a file mark, 1104 behind the data, 234 too long."""
        medium = self._loaded()
        if not medium.path.exists():
            raise WinError(NO_DATA_DETECTED, self.name)
        with medium.path.open("rb") as stream:
            stream.seek(self._offset)
            head = stream.read(_LENGTH.size)
            if len(head) < _LENGTH.size:
                raise WinError(NO_DATA_DETECTED, self.name)
            (length,) = _LENGTH.unpack(head)
            self._at += 1
            self._offset += _LENGTH.size if length == 0 else length + 2 * _LENGTH.size
            self._data += length
            if length == 0:
                raise WinError(FILEMARK_DETECTED, self.name)
            if length > size:
                raise WinError(MORE_DATA, self.name)
            return stream.read(length)

    def _loaded(self) -> Medium:
        if self.medium is None:
            raise WinError(NO_MEDIA_IN_DRIVE, self.name)
        return self.medium

    def _writable(self) -> Medium:
        medium = self._loaded()
        if medium.write_protected:
            raise WinError(WRITE_PROTECT, self.name)
        return medium

    def _put(self, medium: Medium, record: bytes) -> None:
        medium.path.parent.mkdir(parents=True, exist_ok=True)
        with medium.path.open("r+b" if medium.path.exists() else "w+b") as stream:
            stream.truncate(self._offset)
            stream.seek(self._offset)
            stream.write(record)
        self._offset += len(record)
        self._at += 1


_drives: weakref.WeakKeyDictionary[Host, dict[str, Drive]] = weakref.WeakKeyDictionary()


def drives_of(host: Host) -> dict[str, Drive]:
    """The tape drives of a host, by name; none unless its scenario gives it some."""
    return _drives.get(host, {})


def install(host: Host, specs: Iterable[Mapping[str, Any]]) -> dict[str, Drive]:
    """Give a host its tape drives from the scenario's `tapes`.

    Each: {name: tape0, medium: true|false, capacity: bytes, write_protected: bool, block_size: bytes, 0 variable}.
    ValueError names a key that does not exist or a name that is none of a tape drive.
    """
    made: dict[str, Drive] = {}
    for number, spec in enumerate(specs):
        for key in spec:
            if key not in _KEYS:
                raise ValueError(f"{key!r} is no setting of a tape drive; there are {', '.join(sorted(_KEYS))}.")
        name = str(spec.get("name", f"tape{number}")).lower().removeprefix("\\\\.\\")
        if name_of(f"\\\\.\\{name}") is None:
            raise ValueError(f"{name!r} is no name of a tape drive; the first is tape0.")
        medium = Medium(host.root / "tapes" / f"{name}.tap", int(spec.get("capacity", 1 << 40)),
                        bool(spec.get("write_protected", False)))  # fmt: skip
        made[name] = Drive(name, medium if spec.get("medium", True) else None, int(spec.get("block_size", 0)))
    if made:
        _drives[host] = made
    return made


def drive_at(host: Host, path: str) -> Drive | None:
    """The drive a path names; WinError 2 for one the host does not have, None for a path of no drive."""
    name = name_of(path)
    if name is None:
        return None
    found = drives_of(host).get(name)
    if found is None:
        raise WinError(NOT_FOUND, path)
    return found
