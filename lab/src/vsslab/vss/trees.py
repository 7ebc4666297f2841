# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Point-in-time copies of folders, as cheap as the machine allows: shared blocks, else hard links, else copies."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..windows import inodes
from ..windows.inodes import copy_file

__all__ = ["Cancelled", "Frozen", "copy_file", "copy_tree", "files_below", "freeze_tree", "old_bytes", "remove_tree"]

Mark = tuple[int, int, int]  # inode, size, time of writing in ns
_CANNOT_LINK = {errno.EXDEV, errno.EMLINK, errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS}


class Cancelled(Exception):
    """The copy was given up."""


@dataclass
class Frozen:
    """What a copy consists of: `marks` of the files that are hard links, by path below it; bytes in all its files."""

    marks: dict[str, Mark] = field(default_factory=dict)
    size: int = 0


def copy_tree(source: Path, target: Path, cancelled: Callable[[], bool] = lambda: False) -> int:
    """Copy everything below `source` into the new folder `target`; returns the number of bytes in files.

    Times are kept to the nanosecond, links stay links.  Raises Cancelled between two files once `cancelled()` is true,
    and OSError as the file system does; a file that vanishes meanwhile is not in the copy.
    """
    return freeze_tree(source, target, [""], cancelled).size


def freeze_tree(
    source: Path, target: Path, written: Iterable[str] = (), cancelled: Callable[[], bool] = lambda: False
) -> Frozen:
    """Like `copy_tree`, but files are hard links where blocks cannot be shared.

    `written`: folders below `source` (POSIX paths, "" all of it) that somebody writes to without giving files content
    of their own first (`windows.inodes.own`); files there are really copied.
    """
    target.mkdir(parents=True)
    return _Freezing(os.fspath(source), os.fspath(target), list(written), cancelled).run()


class _Freezing:
    """One copy; folders are opened once, so that names are resolved in them and not from the root each time."""

    def __init__(self, source: str, target: str, written: list[str], cancelled: Callable[[], bool]) -> None:
        self._source, self._target, self._cancelled = source, target, cancelled
        self._written = frozenset(written)
        self._clones = _shares_blocks(target)
        self._frozen = Frozen()

    def run(self) -> Frozen:
        waiting = [("", "" in self._written)]
        folders: list[str] = []
        while waiting:
            path, written = waiting.pop()
            folders.append(path)
            for name in self._folder(path, written):
                below = f"{path}{name}"
                os.mkdir(f"{self._target}/{below}")
                waiting.append((below + "/", written or below in self._written))
        for path in reversed(folders):  # last, as every name made in a folder changes its time
            found = os.stat(f"{self._source}/{path}")
            os.chmod(f"{self._target}/{path}", stat.S_IMODE(found.st_mode))
            os.utime(f"{self._target}/{path}", ns=(found.st_atime_ns, found.st_mtime_ns))
        return self._frozen

    def _folder(self, path: str, written: bool) -> list[str]:
        """Everything in one folder but the folders in it, whose names are returned."""
        deeper: list[str] = []
        with contextlib.ExitStack() as close:
            source = os.open(f"{self._source}/{path}", os.O_RDONLY | os.O_DIRECTORY)
            close.callback(os.close, source)
            target = os.open(f"{self._target}/{path}", os.O_RDONLY | os.O_DIRECTORY)
            close.callback(os.close, target)
            for entry in close.enter_context(os.scandir(source)):
                if self._cancelled():
                    raise Cancelled(self._source)
                if entry.is_dir(follow_symlinks=False):
                    deeper.append(entry.name)
                else:
                    with contextlib.suppress(FileNotFoundError):
                        self._entry(path, entry, written, source, target)
        return deeper

    def _entry(self, path: str, entry: os.DirEntry[str], written: bool, source: int, target: int) -> None:
        name, found = entry.name, entry.stat(follow_symlinks=False)
        if entry.is_symlink():
            os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
            os.utime(name, ns=(found.st_atime_ns, found.st_mtime_ns), dir_fd=target, follow_symlinks=False)
            return
        if not stat.S_ISREG(found.st_mode):
            return
        if not (written or self._clones):
            try:
                os.link(name, name, src_dir_fd=source, dst_dir_fd=target, follow_symlinks=False)
            except OSError as error:
                if error.errno not in _CANNOT_LINK:
                    raise
            else:
                self._frozen.marks[sys.intern(path + name)] = mark_of(found)  # other copies have the same names
                self._frozen.size += found.st_size
                return
        self._frozen.size += copy_file(f"{self._source}/{path}{name}", f"{self._target}/{path}{name}")


def mark_of(found: os.stat_result) -> Mark:
    """What tells whether a file was changed in place."""
    return found.st_ino, found.st_size, found.st_mtime_ns


def _shares_blocks(folder: str) -> bool:
    """True when the file system below a folder can share blocks between files."""
    with tempfile.TemporaryFile(dir=folder) as one, tempfile.TemporaryFile(dir=folder) as other:
        one.write(b"x")
        one.flush()
        return inodes.clone(one.fileno(), other.fileno())


def files_below(root: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Relative path and status of every regular file below `root`; what vanishes meanwhile is left out."""
    start = os.fspath(root)
    pending = [""]
    while pending:
        path = pending.pop()
        with contextlib.suppress(FileNotFoundError), os.scandir(f"{start}/{path}") as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(f"{path}{entry.name}/")
                    elif entry.is_file(follow_symlinks=False):
                        yield path + entry.name, entry.stat(follow_symlinks=False)


def old_bytes(copy: Path, live: Path) -> int:
    """Bytes of the files in `copy` that `live` no longer holds as they were: what copy-on-write had to keep."""
    kept, elsewhere = 0, []
    for name, then in files_below(copy):
        try:
            now = os.lstat(f"{live}/{name}")
        except OSError:
            elsewhere.append(then)
            continue
        same = now.st_ino == then.st_ino or (now.st_size, now.st_mtime_ns) == (then.st_size, then.st_mtime_ns)
        if not same:
            elsewhere.append(then)
    if elsewhere:  # what was renamed still shares its content
        there = {now.st_ino for _, now in files_below(live)} if any(each.st_nlink > 1 for each in elsewhere) else set()
        kept = sum(each.st_size for each in elsewhere if each.st_ino not in there)
    return kept


def remove_tree(root: Path) -> None:
    """Remove a copy, whatever modes its folders have."""

    def free(function: Callable[[str], object], path: str, _: object) -> None:
        with contextlib.suppress(OSError):
            os.chmod(Path(path).parent, stat.S_IRWXU)
            function(path)

    shutil.rmtree(root, onerror=free)
