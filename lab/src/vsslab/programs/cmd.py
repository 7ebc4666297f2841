# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""cmd.exe /c: command lines, batch files, built-in commands and programs.

Source: "cmd", "if", "call", "goto", "set" and the pages of the other built-in commands in the Windows Commands
documentation. The built-in commands that work on files are in `cmd_files`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from ..windows import commandline
from ..windows.errors import NOT_FOUND, WinError
from ..windows.processes import Invocation, ProgramNotFound
from .cmd_batch import Batch, Flow
from .cmd_files import BUILTINS, Files
from .cmd_line import Condition, Part, SyntaxRefused, condition, parts, switches, unquoted, words
from .phrases import table
from .phrases import words as words_of

NOT_RECOGNIZED = 9009
_CODE_PAGES = frozenset({437, 850, 852, 866, 1250, 1251, 1252, 65000, 65001})
_BATCH = (".cmd", ".bat")
_DEEPEST = 32  # batch files that call one another
_REFUSED = frozenset({"for", "assoc", "ftype", "pushd", "popd", "prompt", "color", "date", "time", "break", "shift"})


def main(call: Invocation) -> int:
    """Run what stands after /c; the exit code is that of the last command."""
    return Shell(call).run()


class Shell:
    """One cmd.exe."""

    def __init__(self, call: Invocation) -> None:
        self.call = call
        self.host = call.host
        self.words: Any = words_of("cmd", call.host.language.short)
        self.cwd = call.cwd
        self.level = 0
        self.variables = call.variables
        self.batch: Batch | None = None
        self._depth = 0
        self._silent = False  # the command that ran leaves the exit code as it was
        self.files = Files(self)
        own: dict[str, Callable[[str, Invocation], int]] = {
            "echo": self._echo, "exit": self._exit, "chcp": self._chcp, "set": self._set, "cd": self._cd,
            "chdir": self._cd, "rem": self._nothing, "title": self._nothing, "cls": self._nothing,
            "setlocal": self._setlocal, "endlocal": self._endlocal, "call": self._call, "goto": self._goto,
            "ver": self._ver, "verify": self._nothing, "pause": self._pause,
        }  # fmt: skip
        self._builtins = {**own, **{name: getattr(self.files, method) for name, method in BUILTINS.items()}}

    def run(self) -> int:
        """The whole command line."""
        call = self.call
        given = call.command_line or commandline.join(call.argv)
        rest = commandline.program_of(given)[1]
        before, command = switches(rest)
        unknown = [each for each in before.split() if not re.fullmatch(r"/[dDqQsSaAuU]|/[eEvVfFtT]:\S+", each)]
        if unknown or not command:
            call.err("vsslab simulates cmd.exe with /c and a command only.")
            return 1
        try:
            self.line(self.expanded(unquoted(command, self._is_program)))
        except SyntaxRefused as problem:
            call.err(str(problem))
            return 1
        except Flow as ending:
            if ending.code is not None:
                self.level = ending.code
        return self.level

    def _is_program(self, name: str) -> bool:
        try:
            self.host.processes.find(name, self.cwd)
        except ProgramNotFound:
            return self._batch_file(name) is not None
        return True

    def expanded(self, text: str) -> str:
        """%NAME% replaced by values, before anything else is read; in a batch file unknown names give nothing."""
        known = {name.lower(): value for name, value in self.variables.items()}
        known = {"errorlevel": str(self.level), "cd": self.cwd} | known
        if self.batch is not None:
            return self.batch.expanded(text, known)
        return re.sub(r"%([^%]+)%", lambda found: known.get(found[1].lower(), found[0]), text)

    def line(self, text: str, call: Invocation | None = None) -> int:
        """Run one line; the exit code of its last command."""
        return self._parts(parts(text), call or self.call)

    def _parts(self, found: list[Part], call: Invocation) -> int:
        piped: list[str] | None = None
        result = 0
        for at, part in enumerate(found):
            if call.stop.is_set():
                break
            if (part.when == "&&" and result) or (part.when == "||" and not result):
                continue
            asked = condition(part.text)
            if asked is not None:
                if self._holds(asked):
                    self._parts([replace(part, text=asked.then, when=""), *found[at + 1 :]], call)
                return self.level  # everything behind an if belongs to it
            into = at + 1 < len(found) and found[at + 1].when == "|"
            waiting: list[str] = []
            stdin = call.stdin if piped is None else "".join(f"{each}\r\n" for each in piped)
            self._silent = False
            result = self._part(part, replace(call, stdin=stdin, out=waiting.append if into else call.out))
            self.level = self.level if self._silent else result
            piped = waiting if into else None
        return self.level

    def _holds(self, asked: Condition) -> bool:
        if asked.kind == "exist":
            true = self.files.any(asked.left)
        elif asked.kind == "defined":
            true = asked.left.lower() in {each.lower() for each in self.variables}
        elif asked.kind == "errorlevel":
            true = asked.left.lstrip("-").isdigit() and self.level >= int(asked.left)
        else:
            true = asked.compares()
        return true != asked.negated

    def _part(self, part: Part, call: Invocation) -> int:
        """One command with its redirections; files are written when it ends."""
        lines: list[str] = []
        errors: list[str] = []
        out = call.out if part.out is None else lines.append
        err = out if part.merged else call.err if part.err is None else errors.append
        encoding = self.host.language.encoding
        files = self.files.view
        try:
            stdin = call.stdin if part.input is None else files.read(part.input).decode(encoding, "replace")
            code = self._command(part.text.lstrip("@ "), replace(call, out=out, err=err, stdin=stdin, cwd=self.cwd))
            for target, content, append in ((part.out, lines, part.append), (part.err, errors, False)):
                if target is not None and target.upper() != "NUL":
                    data = "".join(each + "\r\n" for each in content).encode(encoding, "replace")
                    files.write(target, data, append=append)
        except WinError as problem:
            call.err(problem.localized(self.host.language.tag))
            return 1
        return code

    def _command(self, text: str, call: Invocation) -> int:
        name = re.match(r'"[^"]*"|[^\s"/,;=]+', text)
        if name is None:
            call.err(self.words["syntax"])
            return 1
        plain = name[0].lower().rstrip(".")
        builtin = self._builtins.get(plain)
        if builtin is None and plain.startswith("echo."):
            builtin, name = self._echo, re.match("echo", text, re.IGNORECASE)
        if plain in _REFUSED:
            raise SyntaxRefused(f"vsslab does not simulate cmd.exe's {plain}.")
        if re.match(r"(?:cd|md|rd)[\\.]", plain) and builtin is None:
            builtin, name = self._builtins[plain[:2]], re.match("..", text)
        if builtin is not None and name is not None:
            try:
                code: int = builtin(text[name.end() :], call)
            except WinError as problem:
                call.err(problem.localized(self.host.language.tag))
                return 1
            return code
        return self._program(text, call)

    def _batch_file(self, name: str) -> str | None:
        """The batch file that a name means: with its ending or without, in the folder it names or the working one."""
        plain = name.strip('"')
        endings = [""] if plain.lower().endswith(_BATCH) else [".bat", ".cmd"]
        for each in endings:
            if self.files.view.exists(plain + each) and not self.files.view.is_dir(plain + each):
                return plain + each
        return None

    def _program(self, text: str, call: Invocation) -> int:
        argv = commandline.split(text)
        try:
            return self.host.processes.run(argv, call.user, out=call.out, err=call.err, stdin=call.stdin, cwd=self.cwd,
                                           stop=call.stop, parent=call.pid, command_line=text,
                                           environment=self.variables)  # fmt: skip
        except ProgramNotFound:
            script = self._batch_file(argv[0])
            if script is not None:
                code = self.script(script, argv[1:], call)
                if self.batch is not None:
                    raise Flow(code) from None  # control does not come back without `call`
                return code
            for line in self.words["unknown"]:
                call.err(str(line).format(name=argv[0]))
            return NOT_RECOGNIZED

    # -- batch files -----------------------------------------------------------------------------------------------
    def script(self, path: str, arguments: list[str], call: Invocation) -> int:
        """Run a batch file to its end; the exit code."""
        if self._depth >= _DEEPEST:
            raise SyntaxRefused("vsslab ends batch files that call one another more than 32 times.")
        data = self.files.view.read(path)
        text = data.decode(self.host.language.encoding, "replace")
        outer, self.batch = self.batch, Batch(self.files.view.locate(path).path, arguments, text.splitlines())
        self._depth += 1
        try:
            while (raw := self.batch.next()) is not None and not call.stop.is_set():
                self._batch_line(raw, call)
        except Flow as ending:
            if ending.whole:
                raise
            if ending.code is not None:
                self.level = ending.code
        finally:
            self._depth -= 1
            if self.batch is not None and self.batch.saved:
                self.variables = self.batch.saved[0]
            self.batch = outer
        return self.level

    def _batch_line(self, raw: str, call: Invocation) -> None:
        text = self.expanded(raw.strip())
        if not text:
            return
        batch = self.batch
        if batch is not None and batch.echo and not text.startswith("@"):
            call.out("")
            call.out(f"{self.cwd}>{text} ")
        self.line(text.lstrip("@ "), call)

    def _call(self, text: str, call: Invocation) -> int:
        if text.strip().startswith(":"):
            raise SyntaxRefused("vsslab does not simulate call of a label in cmd.exe.")
        argv = commandline.split(text.strip())
        script = self._batch_file(argv[0]) if argv else None
        return self.script(script, argv[1:], call) if script else self._command(text.strip(), call)

    def _goto(self, text: str, call: Invocation) -> int:
        label = text.strip().lstrip(":").split()[0].lower() if text.strip() else ""
        self._silent = True
        if self.batch is None:
            return 0
        if label == "eof":
            raise Flow(None)
        if not self.batch.jump(label):
            call.err(str(self.words["no_label"]).format(name=label))
            raise Flow(1)
        return 0

    def _setlocal(self, text: str, _call: Invocation) -> int:
        if "delayed" in text.lower():
            raise SyntaxRefused("vsslab does not simulate delayed expansion in cmd.exe.")
        if self.batch is not None:
            self.batch.saved.append(dict(self.variables))
        self._silent = True
        return 0

    def _endlocal(self, _text: str, _call: Invocation) -> int:
        if self.batch is not None and self.batch.saved:
            self.variables = self.batch.saved.pop()
        self._silent = True
        return 0

    # -- built-in commands -----------------------------------------------------------------------------------------
    def _nothing(self, _text: str, _call: Invocation) -> int:
        self._silent = True
        return 0

    def _pause(self, _text: str, _call: Invocation) -> int:
        raise SyntaxRefused("pause waits for a key, and nobody can press one here.")

    def _ver(self, _text: str, call: Invocation) -> int:
        for line in ("", f"Microsoft Windows [Version {self.host.profile.version}.{table('cmd').get('revision', 0)}]"):
            call.out(line)
        return 0

    def _echo(self, text: str, call: Invocation) -> int:
        self._silent = True
        word = text.strip().lower()
        if text[:1] in ("", " ") and word in ("on", "off"):
            if self.batch is not None:
                self.batch.echo = word == "on"
            return 0
        on = self.batch is None or self.batch.echo
        call.out(text[1:] if text.strip() else self.words["echo" if on else "echo_off"])
        return 0

    def _set(self, text: str, call: Invocation) -> int:
        given = text.strip()
        if given[:2].lower() in ("/a", "/p"):
            raise SyntaxRefused(f"vsslab does not simulate cmd.exe's set {given[:2]}.")
        if given.startswith('"') and given.count('"') >= 2:
            given = given[1 : given.rindex('"')]
        name, equals, value = given.partition("=")
        if not equals:
            return self._show_variables(name.lower(), call.out, call.err)
        self.variables = {key: each for key, each in self.variables.items() if key.lower() != name.lower()}
        if value:
            self.variables[name] = value
        return 0

    def _show_variables(self, start: str, out: Callable[[str], None], err: Callable[[str], None]) -> int:
        shown = sorted((key, value) for key, value in self.variables.items() if key.lower().startswith(start))
        for key, value in sorted(shown, key=lambda pair: pair[0].lower()):
            out(f"{key}={value}")
        if not shown:
            err(str(self.words["no_variable"]).format(name=start))
        return 0 if shown else 1

    def _cd(self, text: str, call: Invocation) -> int:
        given = [each for each in words(text) if each.lower() != "/d"]
        if not given:
            call.out(self.cwd)
            return 0
        whole = self.files.view.locate(given[0]).path
        if not self.files.view.is_dir(whole):
            raise WinError(NOT_FOUND if not self.files.view.exists(whole) else 267, given[0])
        self.cwd = whole
        return 0

    def _exit(self, text: str, _call: Invocation) -> int:
        given = words(text)
        whole = not any(each.lower() == "/b" for each in given)
        numbers = [each for each in given if each.lower() != "/b"]
        if numbers and not re.fullmatch(r"-?\d+", numbers[0]):
            raise WinError(NOT_FOUND, numbers[0])
        raise Flow(int(numbers[0]) if numbers else None, whole=whole)

    def _chcp(self, text: str, call: Invocation) -> int:
        given = words(text)
        number = int(given[0]) if given and given[0].isdigit() else self.host.language.oem_codepage
        if given and number not in _CODE_PAGES:
            call.out(self.words["no_codepage"])
            return 1
        call.out(str(self.words["codepage"]).format(number=number))
        return 0


def builtins() -> Iterable[str]:
    """The names of the built-in commands, for the table of what is simulated."""
    own = ("echo", "exit", "chcp", "set", "cd", "chdir", "rem", "title", "cls", "setlocal", "endlocal", "call", "goto",
           "ver", "verify", "if")  # fmt: skip
    return (*own, *BUILTINS)
