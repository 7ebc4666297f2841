# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs in a pipeline: their arguments as 5.1 hands them over, their output line by line, their exit code.

Source: about_Parsing and about_Quoting_Rules (how 5.1 builds a command line); error IDs from recorded runs.
"""

from __future__ import annotations

import threading
from typing import Any

from vsslab.windows import commandline
from vsslab.windows.errors import WinError

from .errors import ErrorInfo, Origin, PipelineStopped, PowerShellError
from .pipeline import Asked, Context, Stage
from .values import plain, text_of

_REMOTE = "System.Management.Automation.RemoteException"
EXIT_CODE = "LASTEXITCODE"


def command_line(path: str, arguments: list[tuple[str | None, Any]]) -> str:
    """The command line that Windows PowerShell 5.1 makes of a program's arguments.

    Empty arguments vanish; one with a blank is put into quotes, but quotes inside it, and a backslash before the
    closing quote, are left as they are: so both change what the program sees.
    """
    words = [f'"{path}"' if " " in path else path]
    for name, value in arguments:
        inner = plain(value)
        texts = [text_of(each) for each in (inner if isinstance(inner, (list, tuple)) else [inner])]
        if name and name.endswith(":"):  # measured: "-x:" and its value are one word, and nothing without a value
            texts = [name + " ".join(texts)] if value is not None else []
        elif name:
            texts.insert(0, name)
        words += [_quoted(each) for each in texts]
    return " ".join(each for each in words if each)


def _quoted(word: str) -> str:
    if not any(char.isspace() for char in word) or (word.startswith('"') and word.endswith('"') and len(word) > 1):
        return word
    return f'"{word}"'


class ProgramStage:
    """A program in a statement."""

    def __init__(self, context: Context, path: str, asked: Asked, *, piped: bool) -> None:
        self._context = context
        self._path = path
        name = path.rpartition("\\")[2]
        self.origin = Origin(name, asked.name, "", path, "Application")
        self.next: Stage | None = None
        self._takes_input = piped
        self._arguments = list(asked.arguments)
        self._input: list[str] = []
        self._lock = threading.Lock()
        self._told = False
        self._problem: BaseException | None = None

    def start(self) -> None:
        if not self._takes_input:
            self._run()

    def feed(self, value: Any) -> None:
        self._input.append(text_of(value))

    def finish(self) -> None:
        if self._takes_input:
            self._run()

    def _run(self) -> None:
        runspace, host = self._context.runspace, self._context.runspace.host
        line = command_line(self._path, self._arguments)
        argv = [self._path, *commandline.split(line)[1:]]
        text = "".join(f"{each}\r\n" for each in self._input)
        try:
            code = host.processes.run(argv, runspace.user, out=self._line, err=self._complaint, stdin=text,
                                      stop=self._context.stop, owner=runspace.shell_id, command_line=line)  # fmt: skip
        except WinError as problem:
            if self._problem is None:
                self._problem = self._failed(problem)
        else:
            runspace.variables[EXIT_CODE] = code
        if self._problem is not None:
            raise self._problem
        if self._context.stop.is_set():
            raise PipelineStopped

    def _failed(self, problem: WinError) -> BaseException:
        words = problem.localized(self._context.runspace.host.language.tag)
        return PowerShellError(ErrorInfo(f"Program '{self.origin.name}' failed to run: {words}.", "NativeCommandFailed",
                                         "ResourceUnavailable", exception="System.Management.Automation."
                                         "ApplicationFailedException", origin=self.origin))  # fmt: skip

    def _line(self, text: str) -> None:
        """One line of standard output; what goes wrong further down must not end up inside the program."""
        with self._lock:
            if self._problem is not None:
                return
            try:
                if self.next is None:
                    self._context.output(text)
                else:
                    self.next.feed(text)
            except BaseException as problem:  # noqa: BLE001 - kept, and raised again when the program has ended
                self._problem = problem

    def _complaint(self, text: str) -> None:
        """One line of standard error: the first as NativeCommandError, the others as NativeCommandErrorMessage."""
        with self._lock:
            if self._problem is not None:
                return
            if self._told:
                info = ErrorInfo(text, "NativeCommandErrorMessage", exception=_REMOTE, origin=self.origin)
            else:
                info = ErrorInfo(text, "NativeCommandError", target=text, exception=_REMOTE, origin=self.origin)
            self._told = True
            try:
                self._context.report(info, "Continue")
            except BaseException as problem:  # noqa: BLE001 - as above
                self._problem = problem
