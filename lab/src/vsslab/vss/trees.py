# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Point-in-time copies of folders, as cheap as the machine allows."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

_FICLONE = 0x40049409
_CHUNK = 1 << 30
_NOT_HERE = {errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.ENOTTY, errno.EPERM}


class Cancelled(Exception):
    """The copy was given up."""


def copy_tree(source: Path, target: Path, cancelled: Callable[[], bool] = lambda: False) -> int:
    """Copy everything below `source` into the new folder `target`; returns the number of bytes in files.

    Times are kept to the nanosecond, links stay links.  Raises Cancelled between two files once `cancelled()` is true,
    and OSError as the file system does; a file that vanishes meanwhile is not in the copy.
    """
    target.mkdir(parents=True)
    copied = 0
    with os.scandir(source) as entries:
        for entry in sorted(entries, key=lambda each: each.name):
            if cancelled():
                raise Cancelled(str(source))
            to = target / entry.name
            if entry.is_symlink():
                os.symlink(os.readlink(entry.path), to)
                found = entry.stat(follow_symlinks=False)
                os.utime(to, ns=(found.st_atime_ns, found.st_mtime_ns), follow_symlinks=False)
            elif entry.is_dir():
                copied += copy_tree(Path(entry.path), to, cancelled)
            elif entry.is_file():
                with contextlib.suppress(FileNotFoundError):
                    copied += copy_file(Path(entry.path), to)
    shutil.copystat(source, target)
    return copied


def copy_file(source: Path, target: Path) -> int:
    """Copy one file with its times and mode, sharing its blocks where the file system can; returns its size."""
    with source.open("rb") as reading, target.open("xb") as writing:
        found = os.fstat(reading.fileno())
        if not _clone(reading.fileno(), writing.fileno()):
            _copy_range(reading.fileno(), writing.fileno(), found.st_size)
        os.fchmod(writing.fileno(), stat.S_IMODE(found.st_mode))
        size = os.fstat(writing.fileno()).st_size
    os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))
    return size


def _clone(reading: int, writing: int) -> bool:
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


def files_below(root: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Relative path and status of every regular file below `root`; what vanishes meanwhile is left out."""
    pending = [root]
    while pending:
        folder = pending.pop()
        with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):
                    if entry.is_symlink():
                        continue
                    if entry.is_dir():
                        pending.append(Path(entry.path))
                    elif entry.is_file():
                        yield os.path.relpath(entry.path, root), entry.stat()


def old_bytes(copy: Path, live: Path) -> int:
    """Bytes of the files in `copy` that `live` no longer holds as they were: what copy-on-write had to keep."""
    kept = 0
    for name, then in files_below(copy):
        try:
            now = os.stat(live / name)
        except OSError:
            kept += then.st_size
            continue
        if (now.st_size, now.st_mtime_ns) != (then.st_size, then.st_mtime_ns):
            kept += then.st_size
    return kept


def remove_tree(root: Path) -> None:
    """Remove a copy, whatever modes its folders have."""

    def free(function: Callable[[str], object], path: str, _: object) -> None:
        with contextlib.suppress(OSError):
            os.chmod(Path(path).parent, stat.S_IRWXU)
            function(path)

    shutil.rmtree(root, onerror=free)
