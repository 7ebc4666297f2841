# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""cmd.exe's `dir` ("dir" in the Windows Commands documentation)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..windows.errors import PATH_NOT_FOUND, WinError
from ..windows.files import FileStat
from ..windows.paths import child, parent, wildcard_match
from ..windows.processes import Invocation

if TYPE_CHECKING:
    from ..windows.volumes import Volume
    from .cmd import Shell

_HIDDEN_OR_SYSTEM = 0x6
_FOLDERS, _FILES = {"ad", "a:d"}, {"a-d", "a:-d"}


def directory(shell: Shell, call: Invocation, folder: str, pattern: str, given: set[str]) -> int:
    """List a folder: names with /b, paths with /b /s, else everything; 1 when nothing matches."""
    whole = shell.files.view.locate(folder).path
    if "b" in given:
        names = _bare(shell, whole, pattern, given)
        for name in names:
            call.out(name)
        if not names:
            call.err(shell.words["not_found"])
        return 0 if names else 1
    return _Listing(shell, call, given).run(whole, pattern)


def _matching(shell: Shell, folder: str, pattern: str, given: set[str]) -> list[FileStat]:
    return [
        each
        for each in shell.files.view.listdir(folder)
        if not (each.attributes & _HIDDEN_OR_SYSTEM and not given & {"a", *_FOLDERS, *_FILES})
        and not (given & _FOLDERS and not each.is_dir)
        and not (given & _FILES and each.is_dir)
        and wildcard_match(each.name, pattern)
    ]


def _bare(shell: Shell, folder: str, pattern: str, given: set[str]) -> list[str]:
    found = _matching(shell, folder, pattern, given)
    out = [child(folder, each.name) if "s" in given else each.name for each in found]
    if "s" in given:
        for each in shell.files.view.listdir(folder):
            if each.is_dir and each.link_target is None:
                try:
                    out += _bare(shell, each.path, pattern, given)
                except WinError:
                    continue  # what may not be read is left out, as dir does
    return out


def volume_of(shell: Shell, path: str) -> Volume | None:
    """The volume that a path lies on; None for a shadow copy or another host."""
    return shell.files.view.locate(path, follow=True).volume


def volume_lines(shell: Shell, path: str) -> list[str]:
    """The two lines on a volume that begin a listing; WinError 3 for what is no letter."""
    volume = volume_of(shell, path if len(path) > 2 else path + "\\")
    if volume is None or not volume.letter:
        raise WinError(PATH_NOT_FOUND, path)
    label = volume.label
    key = "volume" if label else "no_volume_label"
    serial = f"{volume.serial >> 16:04X}-{volume.serial & 0xFFFF:04X}"
    return [
        str(shell.words[key]).format(letter=volume.letter, label=label),
        str(shell.words["serial"]).format(serial=serial),
    ]


class _Listing:
    def __init__(self, shell: Shell, call: Invocation, given: set[str]) -> None:
        self._shell, self._call, self._given = shell, call, given
        self._files = self._bytes = self._folders = 0

    def run(self, folder: str, pattern: str) -> int:
        try:
            lines = volume_lines(self._shell, folder)
        except WinError:
            lines = []
        for line in [*lines, ""] if lines else []:
            self._call.out(line)
        if not self._folder(folder, pattern):
            self._call.err(self._shell.words["not_found"])
            return 1
        if "s" in self._given:
            self._call.out("")
            self._call.out(self._shell.words["total_line"])
            self._count(self._files, self._bytes)
        volume = volume_of(self._shell, folder)
        free = self._number(volume.free() if volume else 0)
        self._call.out(str(self._shell.words["dirs_line"]).format(count=self._number(self._folders), free=free))
        return 0

    def _folder(self, folder: str, pattern: str) -> bool:
        found = _matching(self._shell, folder, pattern, self._given)
        dots = [] if parent(folder) == folder or pattern != "*" or self._given & _FILES else [".", ".."]
        if found or dots:
            self._call.out(str(self._shell.words["directory_of"]).format(path=folder))
            self._call.out("")
            info = self._shell.files.view.stat(folder, follow=True)
            for name in dots:
                self._line(info, name)
            for each in found:
                self._line(each, each.name)
            files = [each for each in found if not each.is_dir]
            self._count(len(files), sum(each.length for each in files))
            self._files += len(files)
            self._bytes += sum(each.length for each in files)
            self._folders += len(found) - len(files) + len(dots)
        deeper = False
        if "s" in self._given:
            for each in self._shell.files.view.listdir(folder):
                if each.is_dir and each.link_target is None:
                    self._call.out("")
                    deeper |= self._folder(each.path, pattern)
        return bool(found or dots or deeper)

    def _line(self, each: FileStat, name: str) -> None:
        host = self._shell.host
        local = host.clock.local(each.modified)
        date, time = host.language.local_date(local), host.language.local_time(local)
        clock = time.rpartition(":")[0] + time[-3:] if time[-1:] == "M" else time.rpartition(":")[0]
        if host.language.short == "en":
            date, clock = f"{local:%m/%d/%Y}", f"{local:%I:%M %p}"
        if each.link_target is not None:
            middle, name = "<JUNCTION>" if each.junction else "<SYMLINKD>", f"{name} [{each.link_target}]"
            middle = f"   {middle:<14}"
        elif each.is_dir:
            middle = f"   {'<DIR>':<14}"
        else:
            middle = f"{self._number(each.length):>17}"
        self._call.out(f"{date}  {clock} {middle} {name}")

    def _count(self, files: int, size: int) -> None:
        self._call.out(str(self._shell.words["files_line"]).format(count=self._number(files), size=self._number(size)))

    def _number(self, value: int) -> str:
        return f"{value:,}".replace(",", str(self._shell.words["thousands"]))
