# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files being told about, read and written: what is common to every operation on them."""

from __future__ import annotations

import contextlib
import datetime
import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from . import inodes
from .clock import UTC
from .errors import (
    ACCESS_DENIED,
    DIR_NOT_EMPTY,
    DISK_FULL,
    INVALID_PARAMETER,
    NAME_TOO_LONG,
    NOT_FOUND,
    NOT_SAME_DEVICE,
    PATH_NOT_FOUND,
    WRITE_PROTECT,
    WinError,
)
from .namespace import Located

if TYPE_CHECKING:
    from .fileview import FileView

# file attribute bits (File Attribute Constants)
READONLY, HIDDEN, SYSTEM, DIRECTORY, ARCHIVE, REPARSE_POINT = 0x1, 0x2, 0x4, 0x10, 0x20, 0x400
SETTABLE = 0x2127  # read-only, hidden, system, archive, temporary (0x100), not content indexed (0x2000)
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=UTC)
_ERRNO = {
    errno.ENOSPC: DISK_FULL,
    errno.EDQUOT: DISK_FULL,
    errno.EACCES: ACCESS_DENIED,
    errno.EPERM: ACCESS_DENIED,
    errno.ENOTEMPTY: DIR_NOT_EMPTY,
    errno.ENAMETOOLONG: NAME_TOO_LONG,
    errno.ENOENT: NOT_FOUND,
    errno.ENOTDIR: PATH_NOT_FOUND,
    errno.EISDIR: ACCESS_DENIED,
    errno.EROFS: WRITE_PROTECT,
    errno.EXDEV: NOT_SAME_DEVICE,
}


@dataclass(frozen=True)
class FileStat:
    """What Windows tells about a file, folder or link. Times aware, UTC; `attributes` File Attribute Constants.

    `junction`: the link is a junction or a volume's mount point (IO_REPARSE_TAG_MOUNT_POINT), not a symbolic link.
    """

    path: str
    name: str
    is_dir: bool
    length: int
    created: datetime.datetime
    modified: datetime.datetime
    accessed: datetime.datetime
    attributes: int
    link_target: str | None = None
    junction: bool = False


@contextlib.contextmanager
def as_windows(path: str) -> Iterator[None]:
    """What the machine below refuses, as the Win32 error for it."""
    try:
        yield
    except OSError as problem:
        raise WinError(_ERRNO.get(problem.errno or 0, INVALID_PARAMETER), path) from problem


def moment_of(nanoseconds: int) -> datetime.datetime:
    """The aware moment (UTC) of nanoseconds since 1970."""
    return _EPOCH + datetime.timedelta(microseconds=nanoseconds // 1000)


def birth_of(found: os.stat_result) -> int:
    """When a file was made whose creation nobody noted, in nanoseconds since 1970: not after its last writing."""
    return min(found.st_mtime_ns, found.st_ctime_ns)


def keep_birth(place: Located) -> None:
    """A file or folder is about to change: its time of creation is noted, for that does not change with it."""
    record = place.metadata.edit(place.parts)
    if record.created is None:
        with contextlib.suppress(FileNotFoundError):
            record.created = birth_of(place.real.lstat())


def to_nanoseconds(moment: datetime.datetime) -> int:
    """Nanoseconds since 1970 of an aware moment, exact to the microsecond."""
    return (moment - _EPOCH) // datetime.timedelta(microseconds=1) * 1000


class Writer:
    """An open file being written: every write heeds held volumes and the volume's capacity. A context manager."""

    def __init__(self, files: FileView, place: Located, append: bool) -> None:
        self._files, self._place = files, place
        self._names = (place.view or files).names
        self._gate = self._names.gate
        self._root = None if place.volume is None else place.volume.root
        with as_windows(place.path):
            before = place.real.stat().st_size if place.exists else 0
            self._left(inodes.own(place.real, self._root, keep=append))
            self._stream: BinaryIO = place.real.open("ab" if append else "wb", buffering=0)
        self._names.note_writer(place.real, 1)
        self._closed = False
        if not append and before and place.volume is not None:
            place.volume.charge(-before)

    def write(self, data: bytes) -> None:
        """Append `data`; WinError 112 when it does not fit on the volume (nothing of it is written then)."""
        volume = self._place.volume
        with self._gate.writing(volume):
            if volume is not None and not volume.charge(len(data)):
                raise WinError(DISK_FULL, self._place.path)
            with as_windows(self._place.path):
                self._own()
                self._stream.write(data)

    def _left(self, size: int) -> None:
        if self._place.volume is not None:
            self._place.volume.changed += size

    def _own(self) -> None:
        """A shadow copy made since the file was opened keeps what was written up to its moment."""
        volume = self._place.volume
        if volume is None or not volume.shared:
            return
        found = os.fstat(self._stream.fileno())
        live = os.lstat(self._place.real) if self._place.real.exists() else None
        if not found.st_nlink or (live is not None and live.st_ino == found.st_ino and not inodes.shared(found)):
            return
        if live is None:
            raise RuntimeError(
                f"vsslab does not simulate that {self._place.path} is renamed or deleted and then shadow copied while "
                "it is being written."
            )
        self._left(inodes.own(self._place.real, self._root))
        self._stream.close()
        self._stream = self._place.real.open("ab", buffering=0)

    def close(self) -> None:
        """Close the file and stamp it with the host's time; harmless when it is closed."""
        if self._closed:
            return
        self._closed = True
        self._stream.close()
        self._names.note_writer(self._place.real, -1)
        with self._gate.writing(self._place.volume):
            self._files.stamp(self._place)

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()
