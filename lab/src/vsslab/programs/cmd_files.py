# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""cmd.exe's built-in commands on files.

Source: "mklink", "rmdir", "mkdir", "copy", "move", "del", "ren", "type", "vol" in the Windows Commands documentation.
"""

from __future__ import annotations

import ntpath
import re
from typing import TYPE_CHECKING

from ..windows.errors import ALREADY_EXISTS, NOT_FOUND, NOT_SAME_DEVICE, PRIVILEGE_NOT_HELD, WinError
from ..windows.files import READONLY, FileStat, FileSystem
from ..windows.paths import child, wildcard_match
from ..windows.processes import Invocation
from .cmd_dir import directory, volume_lines
from .cmd_line import SyntaxRefused, words

if TYPE_CHECKING:
    from .cmd import Shell

BUILTINS = {
    "mklink": "mklink", "rmdir": "rmdir", "rd": "rmdir", "mkdir": "mkdir", "md": "mkdir", "dir": "dir", "type": "type",
    "copy": "copy", "move": "move", "del": "delete", "erase": "delete", "ren": "rename", "rename": "rename",
    "vol": "vol",
}  # fmt: skip
_LARGEST = 64 << 20  # bytes that `type` prints


class Files:
    """The built-in commands on files of one cmd.exe."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    @property
    def view(self) -> FileSystem:
        """The host's files for the account, from the working folder."""
        call = self._shell.call
        return call.host.files.as_user(call.user, cwd=self._shell.cwd)

    def options(self, text: str, known: str) -> tuple[set[str], list[str]]:
        """Switches such as /s (lower case, without the slash) and the other words."""
        found: set[str] = set()
        rest: list[str] = []
        for word in words(text):
            if word.startswith("/"):
                given = set(re.findall(r"/([^/]+)", word.lower()))
                if not given or not given <= set(known.split()):
                    raise SyntaxRefused(f"vsslab does not simulate the switch {word} here in cmd.exe.")
                found |= given
            else:
                rest.append(word)
        return found, rest

    def any(self, path: str) -> bool:
        """True when something matches a path (`if exist`)."""
        try:
            return bool(self.matching(path)) or self.view.is_dir(path)
        except WinError:
            return False

    def folder_and_pattern(self, path: str) -> tuple[str, str]:
        """A path with wildcards in its last name as a folder and a pattern; a folder by itself has the pattern '*'."""
        folder, backslash, last = path.replace("/", "\\").rpartition("\\")
        if any(char in last for char in "*?"):
            return (folder + backslash if backslash else "."), last
        if self.view.is_dir(path):
            return path, "*"
        return (folder + backslash if backslash else "."), last

    def matching(self, path: str) -> list[FileStat]:
        """The files, and folders, that a path with wildcards names; one without names itself."""
        folder, backslash, last = path.replace("/", "\\").rpartition("\\")
        if not any(char in last for char in "*?"):
            return [self.view.stat(path)] if self.view.exists(path) else []
        listed = self.view.listdir(folder + backslash if backslash else ".")
        return [each for each in listed if wildcard_match(each.name, last)]

    def mklink(self, text: str, call: Invocation) -> int:
        """mklink /d and /j; links to files and hard links are refused by name."""
        given, names = self.options(text, "d j h")
        shell = self._shell
        if len(names) != 2:
            for line in shell.words["mklink"]:
                call.out(line)
            return 1
        if given not in ({"d"}, {"j"}):
            raise SyntaxRefused("vsslab simulates mklink with /d and /j only.")
        link, target = names
        try:
            if given == {"j"}:
                whole = target if target.startswith("\\\\") else self.view.locate(target).path
                self.view.junction(link, whole)
            else:
                self.view.symlink(link, target)
        except WinError as problem:
            if problem.code != PRIVILEGE_NOT_HELD:
                raise
            call.err(shell.words["privilege"])
            return 1
        call.out(str(shell.words["joined" if given == {"j"} else "linked"]).format(link=link, target=target))
        return 0

    def rmdir(self, text: str, call: Invocation) -> int:
        """rmdir, with /s /q for a whole tree."""
        given, names = self.options(text, "s q")
        if not names:
            call.err(self._shell.words["syntax"])
            return 1
        if "s" in given and "q" not in given:
            raise SyntaxRefused("rmdir /s without /q asks a question, and nobody can answer it here.")
        code = 0
        for name in names:
            try:
                (self.view.remove_tree if "s" in given else self.view.rmdir)(name)
            except WinError as problem:
                call.err(problem.localized(call.host.language.tag))
                code = problem.code
        return code

    def mkdir(self, text: str, call: Invocation) -> int:
        """mkdir, with the folders above."""
        _given, names = self.options(text, "")
        if not names:
            call.err(self._shell.words["syntax"])
            return 1
        for name in names:
            if self.view.exists(name):
                call.err(str(self._shell.words["exists"]).format(path=name))
                return 1
            try:
                self.view.mkdir(name, parents=True)
            except WinError as problem:
                if problem.code != ALREADY_EXISTS:
                    raise
        return 0

    def type(self, text: str, call: Invocation) -> int:
        """type: the lines of files."""
        _given, names = self.options(text, "")
        if not names:
            call.err(self._shell.words["syntax"])
        for name in (each for each in names if each.upper() != "NUL"):
            for each in self.matching(name) or [self.view.stat(name)]:
                if each.length > _LARGEST:
                    raise SyntaxRefused("vsslab does not simulate type of files above 64 MB.")
                data = self.view.read(each.path)
                encoding = "utf-16" if data[:2] in {b"\xff\xfe", b"\xfe\xff"} else call.host.language.encoding
                for line in data.decode(encoding, "replace").splitlines():
                    call.out(line)
        return 0 if names else 1

    def dir(self, text: str, call: Invocation) -> int:
        """dir: names alone with /b, else the whole listing."""
        given, names = self.options(text, "b a s l n q p a:d a-d ad a:-d a:h ah o:n on -c")
        if given & {"q", "l", "a:h", "ah"}:
            raise SyntaxRefused("vsslab does not simulate dir's /q, /l and /a:h.")
        folder, pattern = self.folder_and_pattern(names[0] if names else ".")
        return directory(self._shell, call, folder, pattern, given)

    def copy(self, text: str, call: Invocation) -> int:
        """copy: single files and patterns, to a file or a folder."""
        given, names = self.options(text, "y -y b a v z")
        if not 1 <= len(names) <= 2:
            call.err(self._shell.words["syntax"])
            return 1
        if "+" in "".join(names):
            raise SyntaxRefused("vsslab does not simulate cmd.exe's copy that joins files.")
        source, target = names[0], names[1] if len(names) == 2 else "."
        pattern = child(source, "*") if self.view.is_dir(source) else source
        found = [each for each in self.matching(pattern) if not each.is_dir]
        if not found:
            raise WinError(NOT_FOUND, source)
        for each in found:
            to = self._into(each, target)
            self._may_overwrite(to, given)
            self.view.copy(each.path, to)
            if len(found) > 1 or any(char in source for char in "*?"):
                call.out(each.path if ntpath.dirname(source) else each.name)
        call.out(str(self._shell.words["copied"]).format(count=f"{len(found)}"))
        return 0

    def move(self, text: str, call: Invocation) -> int:
        """move: files, also to another volume; folders on the same one."""
        given, names = self.options(text, "y -y")
        if len(names) != 2:
            call.err(self._shell.words["syntax"])
            return 1
        found = self.matching(names[0])
        if not found:
            raise WinError(NOT_FOUND, names[0])
        for each in found:
            to = self._into(each, names[1])
            self._may_overwrite(to, given)
            self._move(each, to)
        key = "moved_dir" if all(each.is_dir for each in found) else "moved"
        call.out(str(self._shell.words[key]).format(count=f"{len(found):>8}".strip()))
        return 0

    def _move(self, each: FileStat, to: str) -> None:
        try:
            self.view.rename(each.path, to, replace_existing=True)
        except WinError as problem:
            if problem.code != NOT_SAME_DEVICE or each.is_dir:
                raise
            self.view.copy(each.path, to)
            self.view.remove(each.path)

    def _into(self, each: FileStat, target: str) -> str:
        return child(target, each.name) if self.view.is_dir(target) else target

    def _may_overwrite(self, path: str, given: set[str]) -> None:
        """Outside batch files an existing file is asked about, unless /y."""
        asks = "-y" in given or ("y" not in given and self._shell.batch is None)
        if asks and self.view.exists(path) and not self.view.is_dir(path):
            raise SyntaxRefused(f"{path} exists: without /y a question is asked, and nobody can answer it here.")

    def delete(self, text: str, call: Invocation) -> int:
        """del: files by name or pattern; /s in the folders below too, /f read-only ones too."""
        given, names = self.options(text, "f q s p a")
        if not names:
            call.err(self._shell.words["syntax"])
            return 1
        if "p" in given:
            raise SyntaxRefused("del /p asks questions, and nobody can answer them here.")
        for name in names:
            folder, pattern = self.folder_and_pattern(name)
            if pattern in ("*", "*.*") and "q" not in given:
                raise SyntaxRefused("del of all files without /q asks a question, and nobody can answer it here.")
            whole = self.view.locate(folder).path
            found = self._below(whole, pattern, deep="s" in given) if self.view.is_dir(whole) else []
            if not found:
                call.err(str(self._shell.words["could_not_find"]).format(path=child(whole, pattern)))
            for each in found:
                self._delete(each, call, force="f" in given)
        return 0

    def _below(self, folder: str, pattern: str, *, deep: bool) -> list[FileStat]:
        found: list[FileStat] = []
        for each in self.view.listdir(folder):
            if not each.is_dir and wildcard_match(each.name, pattern):
                found.append(each)
            elif deep and each.is_dir and each.link_target is None:
                found += self._below(each.path, pattern, deep=True)
        return found

    def _delete(self, each: FileStat, call: Invocation, *, force: bool) -> None:
        try:
            if force and each.attributes & READONLY:
                self.view.set_attributes(each.path, each.attributes & ~READONLY)
            self.view.remove(each.path)
        except WinError as problem:
            call.err(each.path)
            call.err(problem.localized(call.host.language.tag))

    def rename(self, text: str, call: Invocation) -> int:
        """ren: another name in the same folder."""
        _given, names = self.options(text, "")
        if len(names) != 2 or "\\" in names[1] or any(char in names[0] + names[1] for char in "*?"):
            call.err(self._shell.words["syntax"])
            return 1
        folder = ntpath.dirname(self.view.stat(names[0]).path)
        self.view.rename(names[0], child(folder, names[1]) if folder else names[1])
        return 0

    def vol(self, text: str, call: Invocation) -> int:
        """vol: label and serial number of a volume."""
        _given, names = self.options(text, "")
        for line in volume_lines(self._shell, names[0] if names else self._shell.cwd):
            call.out(line)
        return 0
