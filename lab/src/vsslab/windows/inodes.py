# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real files that share their content with shadow copies, and how a file gets content of its own again.

A shadow copy holds hard links of a volume's files where the file system cannot share blocks.  Whoever changes a file
in place must call `own` before: copy on write, a file at a time.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import itertools
import os
import stat
import threading
from pathlib import Path

_FICLONE = 0x40049409
_CHUNK = 1 << 30
_NOT_HERE = {errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.ENOTTY, errno.EPERM}
_numbers = itertools.count(1)
_LOCKS = tuple(threading.Lock() for _ in range(64))  # of files that get content of their own, by their path


def shared(found: os.stat_result) -> bool:
    """True when a regular file has further names, those in shadow copies."""
    return found.st_nlink > 1 and stat.S_ISREG(found.st_mode)


def own(real: Path, root: Path | None, *, keep: bool = True) -> int:
    """Make a file the only name of its content before it is changed in place; harmless when it is already.

    `root` is the folder of its volume: what is in the making lies beside it, where no listing shows it.  With
    `keep=False` the file is empty then.  Returns the bytes left to the other names; OSError as the machine says.
    Two who do it at the same time do it once; the folder's times stay, for Windows knows nothing of this.
    """
    with _LOCKS[hash(os.fspath(real)) % len(_LOCKS)]:
        return _own(real, root, keep=keep)


def _own(real: Path, root: Path | None, *, keep: bool) -> int:
    try:
        found = os.lstat(real)
    except (FileNotFoundError, NotADirectoryError):
        return 0
    if not shared(found):
        return 0
    place = (root or real).parent / f".own-{os.getpid()}-{next(_numbers)}"
    try:
        if keep:
            copy_file(real, place)
        else:
            os.close(os.open(place, os.O_CREAT | os.O_EXCL | os.O_WRONLY, stat.S_IMODE(found.st_mode)))
        folder = os.stat(real.parent)
        place.replace(real)
        os.utime(real.parent, ns=(folder.st_atime_ns, folder.st_mtime_ns))
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            place.unlink()
        raise
    return found.st_size


def without_a_trace(path: str, flags: int) -> int:
    """An opener for `open` that leaves the time of last access alone, as NTFS does by default."""
    try:
        return os.open(path, flags | os.O_NOATIME)
    except PermissionError:  # somebody else's file
        return os.open(path, flags)


def copy_file(source: Path | str, target: Path | str) -> int:
    """Copy one file with its times and mode, sharing its blocks where the file system can; returns its size."""
    with open(source, "rb", opener=without_a_trace) as reading, open(target, "xb") as writing:
        found = os.fstat(reading.fileno())
        if not clone(reading.fileno(), writing.fileno()):
            _copy_range(reading.fileno(), writing.fileno(), found.st_size)
        os.fchmod(writing.fileno(), stat.S_IMODE(found.st_mode))
        size = os.fstat(writing.fileno()).st_size
    os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))
    return size


def clone(reading: int, writing: int) -> bool:
    """Let one open file share all blocks of another (FICLONE, ioctl_ficlonerange(2)); False when that is impossible."""
    try:
        fcntl.ioctl(writing, _FICLONE, reading)
    except OSError as error:
        if error.errno in _NOT_HERE:
            return False
        raise
    return True


def _copy_range(reading: int, writing: int, size: int) -> None:
    left = size
    while left > 0:
        try:
            done = os.copy_file_range(reading, writing, min(left, _CHUNK))
        except OSError as error:
            if error.errno not in _NOT_HERE:
                raise
            done = _copy_plain(reading, writing, left)
        if done == 0:
            return
        left -= done


def _copy_plain(reading: int, writing: int, left: int) -> int:
    data = os.read(reading, min(left, 1 << 20))
    view = memoryview(data)
    while view:
        view = view[os.write(writing, view) :]
    return len(data)
