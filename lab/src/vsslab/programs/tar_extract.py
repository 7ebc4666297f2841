# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tar does with the members of an archive: list them, write them to disk."""

from __future__ import annotations

import datetime
import re
import tarfile
from collections.abc import Callable

from ..windows.clock import UTC, Clock
from ..windows.errors import WinError
from ..windows.files import FileSystem
from ..windows.processes import Invocation
from .tar_options import Options

_PIECE = 256 * 1024
_SIX_MONTHS = datetime.timedelta(days=365 // 2)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def listing(entry: tarfile.TarInfo, verbose: int, clock: Clock) -> str:
    """One line of -t: the name, or with -v what `ls -l` would tell."""
    name = entry.name + ("/" if entry.isdir() else "")
    if not verbose:
        return name
    local = clock.local(datetime.datetime.fromtimestamp(entry.mtime, UTC))
    recent = abs(clock.now() - local) < _SIX_MONTHS
    when = f"{_MONTHS[local.month - 1]} {local.day:2} " + (f"{local:%H:%M}" if recent else f" {local.year}")
    owner = f"{entry.uname or entry.uid:<6} {entry.gname or entry.gid:<6}"
    target = f" -> {entry.linkname}" if entry.issym() else f" link to {entry.linkname}" if entry.islnk() else ""
    return f"{_mode(entry)}  0 {owner} {entry.size:>7} {when} {name}{target}"


def _mode(entry: tarfile.TarInfo) -> str:
    kind = "d" if entry.isdir() else "l" if entry.issym() else "h" if entry.islnk() else "-"
    bits = "".join(letter if entry.mode >> (8 - at) & 1 else "-" for at, letter in enumerate("rwxrwxrwx"))
    return kind + bits


class Extraction:
    """Writes members below a folder; `problem(name, text)` is told of what cannot be written."""

    def __init__(
        self, call: Invocation, options: Options, files: FileSystem, problem: Callable[[str, str], None]
    ) -> None:
        self._call, self._options, self._files, self._problem = call, options, files, problem
        self._folders: list[tuple[str, datetime.datetime]] = []

    def extract(self, tar: tarfile.TarFile, entry: tarfile.TarInfo) -> None:
        """Write one member."""
        path = self._target(entry.name)
        if path is None:
            return
        if self._options.verbose:
            self._call.err(f"x {entry.name}{'/' if entry.isdir() else ''}")
        try:
            self._write(tar, entry, path)
        except WinError as error:
            self._problem(entry.name, f"Can't create '{path}': {error.text}")

    def finish(self) -> None:
        """The times of folders, once nothing in them changes any more."""
        for path, moment in reversed(self._folders):
            if not self._options.no_times:
                self._files.set_times(path, modified=moment)

    def _target(self, name: str) -> str | None:
        """Where a member goes; None when it goes nowhere.  '..' and absolute names are refused without -P."""
        parts = [each for each in re.split(r"[\\/]+", name) if each not in ("", ".")]
        parts = parts[self._options.strip :]
        if not parts:
            return None
        if not self._options.absolute:
            if ".." in parts:
                self._problem(name, "Path contains '..'")
                return None
            if len(parts[0]) == 2 and parts[0][1] == ":":
                parts = parts[1:]
        return "\\".join(parts) or None

    def _write(self, tar: tarfile.TarFile, entry: tarfile.TarInfo, path: str) -> None:
        files = self._files
        moment = datetime.datetime.fromtimestamp(entry.mtime, UTC)
        above = path.rpartition("\\")[0]
        if above:
            files.mkdir(above, parents=True)
        if entry.isdir():
            files.mkdir(path, parents=True)
            self._folders.append((path, moment))
            return
        if self._options.keep_old and files.exists(path):
            self._problem(entry.name, "File exists")
            return
        if files.exists(path):
            self._make_way(path)
        if entry.issym():
            files.symlink(path, entry.linkname.replace("/", "\\"))
            return
        if entry.islnk():
            files.copy(self._target(entry.linkname) or "", path)
            return
        content = tar.extractfile(entry)
        with files.writer(path) as target:
            while content is not None and (piece := content.read(_PIECE)):
                target.write(piece)
        if not self._options.no_times:
            files.set_times(path, modified=moment)
        if not entry.mode & 0o200:
            files.set_attributes(path, files.stat(path).attributes | 1)

    def _make_way(self, path: str) -> None:
        """What stands there goes: a file, or a link (bsdtar unlinks before it creates)."""
        info = self._files.stat(path)
        if info.attributes & 1:
            self._files.set_attributes(path, info.attributes & ~1)
        if info.is_dir:
            self._files.rmdir(path)
        else:
            self._files.remove(path)
