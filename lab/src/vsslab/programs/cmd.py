# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""cmd.exe /c: the built-in commands that administrators send from afar, and programs.

Sources: "cmd", "mklink", "rmdir", "dir", "echo", "type", "mkdir", "exit", "chcp" in the Windows Commands documentation.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..windows import commandline
from ..windows.errors import ALREADY_EXISTS, NOT_FOUND, PRIVILEGE_NOT_HELD, WinError
from ..windows.paths import child, wildcard_match
from ..windows.processes import Invocation, ProgramNotFound
from .cmd_line import Part, SyntaxRefused, parts, switches, unquoted, words
from .phrases import table

NOT_RECOGNIZED = 9009
_CODE_PAGES = frozenset({437, 850, 852, 866, 1250, 1251, 1252, 65000, 65001})
_Line = Callable[[str], None]


class _Exit(Exception):
    """`exit`: the interpreter ends."""


def main(call: Invocation) -> int:
    """Run what stands after /c; the exit code is that of the last command."""
    return _Shell(call).run()


class _Shell:
    """One cmd.exe."""

    def __init__(self, call: Invocation) -> None:
        self._call = call
        self._host = call.host
        self._words: Any = table("cmd")[call.host.language.short]
        self._files = call.host.files.as_user(call.user, cwd=call.cwd)
        self._level = 0
        self._variables = call.host.environment(call.user)
        self._builtins: dict[str, Callable[[str, Invocation], int]] = {
            "mklink": self._mklink, "rmdir": self._rmdir, "rd": self._rmdir, "dir": self._dir, "echo": self._echo,
            "type": self._type, "mkdir": self._mkdir, "md": self._mkdir, "exit": self._exit, "chcp": self._chcp,
        }  # fmt: skip

    def run(self) -> int:
        """The whole command line."""
        call = self._call
        given = call.command_line or commandline.join(call.argv)
        rest = commandline.program_of(given)[1]
        before, command = switches(rest)
        unknown = [each for each in before.split() if not re.fullmatch(r"/[dDqQsSaAuU]|/[eEvVfFtT]:\S+", each)]
        if unknown or not command:
            call.err("vsslab simulates cmd.exe with /c and a command only.")
            return 1
        try:
            for part in parts(unquoted(command, self._is_program)):
                if call.stop.is_set():
                    break
                if (part.when == "&&" and self._level) or (part.when == "||" and not self._level):
                    continue
                self._level = self._part(part)
        except SyntaxRefused as problem:
            call.err(str(problem))
            return 1
        except _Exit:
            pass
        return self._level

    def _is_program(self, name: str) -> bool:
        try:
            self._host.processes.find(name, self._call.cwd)
        except ProgramNotFound:
            return False
        return True

    def _expanded(self, text: str) -> str:
        known = {name.lower(): value for name, value in self._variables.items()}
        known |= {"errorlevel": str(self._level), "cd": self._call.cwd}
        return re.sub(r"%([^%]+)%", lambda found: known.get(found[1].lower(), found[0]), text)

    def _part(self, part: Part) -> int:
        """One command with its redirections; files are written when it ends."""
        lines: list[str] = []
        errors: list[str] = []
        out: _Line = self._call.out if part.out is None else lines.append
        err: _Line = out if part.merged else self._call.err if part.err is None else errors.append
        call = replace(self._call, out=out, err=err)
        try:
            code = self._command(self._expanded(part.text).lstrip("@ "), call)
            for target, content, append in ((part.out, lines, part.append), (part.err, errors, False)):
                if target is not None and target.upper() != "NUL":
                    data = "".join(each + "\r\n" for each in content).encode(self._host.language.encoding, "replace")
                    self._files.write(self._expanded(target), data, append=append)
        except WinError as problem:
            self._call.err(problem.localized(self._host.language.tag))
            return 1
        return code

    def _command(self, text: str, call: Invocation) -> int:
        name = re.match(r'"[^"]*"|[^\s"/,;=]+', text)
        if name is None:
            call.err(self._words["syntax"])
            return 1
        builtin = self._builtins.get(name[0].lower().rstrip("."))
        if builtin is None and name[0].lower().startswith("echo."):
            builtin, name = self._echo, re.match("echo", text, re.IGNORECASE)
        if builtin is not None and name is not None:
            try:
                return builtin(text[name.end() :], call)
            except WinError as problem:
                call.err(problem.localized(self._host.language.tag))
                return 1
        return self._program(text, call)

    def _program(self, text: str, call: Invocation) -> int:
        argv = commandline.split(text)
        try:
            return self._host.processes.run(argv, call.user, out=call.out, err=call.err, stdin=call.stdin, cwd=call.cwd,
                                            stop=call.stop, parent=call.pid, command_line=text)  # fmt: skip
        except ProgramNotFound:
            for line in self._words["unknown"]:
                call.err(str(line).format(name=argv[0]))
            return NOT_RECOGNIZED

    # -- built-in commands -----------------------------------------------------------------------------------------
    def _options(self, text: str, known: str) -> tuple[set[str], list[str]]:
        """Switches such as /s (lower case, without the slash) and the other words; WinError 87 for an unknown one."""
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

    def _mklink(self, text: str, call: Invocation) -> int:
        switches_given, names = self._options(text, "d j h")
        if len(names) != 2:
            for line in self._words["mklink"]:
                call.out(line)
            return 1
        if switches_given != {"d"}:
            raise SyntaxRefused("vsslab simulates mklink with /d only.")
        link, target = names
        try:
            self._files.symlink(link, target)
        except WinError as problem:
            if problem.code != PRIVILEGE_NOT_HELD:
                raise
            call.err(self._words["privilege"])
            return 1
        call.out(str(self._words["linked"]).format(link=link, target=target))
        return 0

    def _rmdir(self, text: str, call: Invocation) -> int:
        given, names = self._options(text, "s q")
        if not names:
            call.err(self._words["syntax"])
            return 1
        if "s" in given and "q" not in given:
            raise SyntaxRefused("rmdir /s without /q asks a question, and nobody can answer it here.")
        code = 0
        for name in names:
            try:
                (self._files.remove_tree if "s" in given else self._files.rmdir)(name)
            except WinError as problem:
                call.err(problem.localized(self._host.language.tag))
                code = problem.code
        return code

    def _dir(self, text: str, call: Invocation) -> int:
        given, names = self._options(text, "b a s a:d a-d ad o:n on")
        if "b" not in given:
            raise SyntaxRefused("vsslab simulates dir with /b only.")
        folder, pattern = self._folder_and_pattern(names[0] if names else ".")
        found = self._listed(folder, pattern, given)
        for line in found:
            call.out(line)
        if not found:
            call.err(self._words["not_found"])
        return 0 if found else 1

    def _folder_and_pattern(self, path: str) -> tuple[str, str]:
        folder, backslash, last = path.replace("/", "\\").rpartition("\\")
        if any(char in last for char in "*?"):
            return (folder + backslash if backslash else "."), last
        if self._files.is_dir(path):
            return path, "*"
        return (folder + backslash if backslash else "."), last

    def _listed(self, folder: str, pattern: str, given: set[str]) -> list[str]:
        out: list[str] = []
        whole = self._files.locate(folder).path
        for each in self._files.listdir(folder):
            hidden = each.attributes & 0x6 and not given & {"a", "ad", "a:d", "a-d"}
            kind = (given & {"ad", "a:d"} and not each.is_dir) or ("a-d" in given and each.is_dir)
            if not hidden and not kind and wildcard_match(each.name, pattern):
                out.append(child(whole, each.name) if "s" in given else each.name)
            if "s" in given and each.is_dir and each.link_target is None:
                out += self._listed(each.path, pattern, given)
        return out

    def _echo(self, text: str, call: Invocation) -> int:
        call.out(text[1:] if text else self._words["echo"])
        return 0

    def _type(self, text: str, call: Invocation) -> int:
        _given, names = self._options(text, "")
        if not names:
            call.err(self._words["syntax"])
        for name in names:
            data = self._files.read(name)
            encoding = "utf-16" if data[:2] in {b"\xff\xfe", b"\xfe\xff"} else self._host.language.encoding
            for line in data.decode(encoding, "replace").splitlines():
                call.out(line)
        return 0 if names else 1

    def _mkdir(self, text: str, call: Invocation) -> int:
        _given, names = self._options(text, "")
        if not names:
            call.err(self._words["syntax"])
            return 1
        for name in names:
            if self._files.exists(name):
                call.err(str(self._words["exists"]).format(path=name))
                return 1
            try:
                self._files.mkdir(name, parents=True)
            except WinError as problem:
                if problem.code != ALREADY_EXISTS:
                    raise
        return 0

    def _exit(self, text: str, _call: Invocation) -> int:
        given = [each for each in words(text) if each.lower() != "/b"]
        if given:
            if not re.fullmatch(r"-?\d+", given[0]):
                raise WinError(NOT_FOUND, given[0])
            self._level = int(given[0])
        raise _Exit

    def _chcp(self, text: str, call: Invocation) -> int:
        given = words(text)
        number = int(given[0]) if given and given[0].isdigit() else self._host.language.oem_codepage
        if given and number not in _CODE_PAGES:
            call.out(self._words["no_codepage"])
            return 1
        call.out(str(self._words["codepage"]).format(number=number))
        return 0
