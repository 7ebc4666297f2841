# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""cmd shells (WinRS): command lines run as programs of the host, output streamed back ([MS-WSMV] 3.1.4.11-14)."""

from __future__ import annotations

import codecs
import re
import threading
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

from vsslab.windows import commandline
from vsslab.windows.processes import SYSTEM32, ProgramNotFound
from vsslab.wire import soap
from vsslab.wire.outbox import Outbox, Text
from vsslab.wire.settings import Settings
from vsslab.wire.shells import Shell, ShellRequest, Task, checked_id, new_id
from vsslab.wire.wsman_faults import WsmanFault

if TYPE_CHECKING:
    from vsslab.windows.host import Host
    from vsslab.windows.users import User

RESOURCE = f"{soap.RSP}/cmd"
_HOME = "C:\\Users\\{user}"
_UNKNOWN = "'{name}' is not recognized as an internal or external command,\r\noperable program or batch file.\r\n"
_FOR_CMD = re.compile(r"[&|<>^%()]")
_UTF8 = 65001


class TypedInput:
    """What a client sends to a running program (Send, stream stdin), line by line."""

    def __init__(self, encoding: str, stop: threading.Event) -> None:
        self._decoder = codecs.getincrementaldecoder(encoding)("replace")
        self._stop = stop
        self._changed = threading.Condition()
        self._lines: deque[str] = deque()
        self._rest: list[str] = []  # a line that is not complete, as it came
        self.size, self.open = 0, True

    def put(self, data: bytes, *, end: bool) -> None:
        """Add bytes; with `end` nothing follows."""
        with self._changed:
            self.size += len(data)
            self._rest.append(self._decoder.decode(data, final=end))
            if end or any("\n" in each or "\r" in each for each in self._rest[-2:]):  # else no line ends here
                *lines, rest = re.split(r"\r\n|\r(?!$)|\n", "".join(self._rest))
                self._lines.extend(lines)
                self._rest = [rest]
            if end:
                self.open = False
                if self._rest[0]:
                    self._lines.append(self._rest[0].removesuffix("\r"))
            self._changed.notify_all()

    def splitlines(self) -> Iterator[str]:
        """The lines as they arrive, to the end of the input or of the program."""
        while True:
            with self._changed:
                while not self._lines and self.open and not self._stop.is_set():
                    self._changed.wait(0.1)
                if self._stop.is_set() or not self._lines:
                    return
                line = self._lines.popleft()
            yield line


class CmdShell(Shell):
    """A WinRS shell.  Each command is one program in a thread of its own."""

    def __init__(self, host: Host, owner: User, request: ShellRequest, settings: Settings) -> None:
        super().__init__(host, owner, request, settings)
        self._encoding = _encoding(request.options.get("winrs_codepage", ""), host.language.oem_codepage)
        self._folder = request.text("WorkingDirectory") or self._home()
        self._inputs: dict[str, TypedInput] = {}
        self._lines: dict[str, str] = {}

    def _home(self) -> str:
        home = _HOME.format(user=self.owner.name)
        return home if self.host.files.is_dir(home) else SYSTEM32

    def source(self, command_id: str | None) -> Outbox:
        """The output of one command; a cmd shell itself has none."""
        if command_id is None:
            raise WsmanFault("invalid_parameter")
        return self.unread(command_id).outbox

    def command(self, command_id: str | None, line: str, arguments: list[str], options: dict[str, str]) -> str:
        """Run a command line.

        Input reaches the program whether WINRS_CONSOLEMODE_STDIN is TRUE or FALSE: the programs of the laboratory do
        not tell a console from a pipe.
        """
        if not line.strip():
            raise WsmanFault("invalid_parameter")
        limit = self.settings.max_processes_per_shell
        if sum(not each.outbox.finished for each in self.tasks.values()) >= limit:
            raise WsmanFault("process_quota", limit=limit)
        self._forget_old()
        task = self.new_task(checked_id(command_id) if command_id else new_id())
        skip = options.get("winrs_skip_cmd_shell", "").strip().lower() in ("true", "1")
        whole = self._lines[task.id] = " ".join([line, *arguments])
        given = self._inputs[task.id] = TypedInput(self._encoding, task.stop)
        work = threading.Thread(target=self._run, args=(task, whole, skip, given))
        self.launch(task, "program", work)
        return task.id

    def _forget_old(self, keep: int = 1000) -> None:
        """Commands nobody signals are remembered, but not without end."""
        for task in [each for each in self.tasks.values() if each.outbox.drained][:-keep]:
            del self.tasks[task.id]
        for known in [each for each in self._lines if each not in self.tasks]:
            del self._lines[known], self._inputs[known]

    def command_line(self, command_id: str) -> str:
        """The command line as the client sent it."""
        return self._lines.get(command_id, "")

    def send(self, command_id: str | None, stream: str, data: bytes, *, end: bool) -> None:
        """Input for a program that runs."""
        if command_id is None or stream != "stdin":
            raise WsmanFault("invalid_parameter")
        task = self.task(command_id)
        given = self._inputs[task.id]
        if not given.open or task.outbox.finished:
            raise WsmanFault("input_closed")
        if given.size + len(data) > self.settings.max_data_per_command:
            raise WsmanFault("invalid_parameter")
        given.put(data, end=end)

    def _run(self, task: Task, line: str, skip: bool, stdin: TypedInput) -> None:
        """One program from start to end, in its own thread."""

        def writer(stream: str) -> _Writer:
            return _Writer(task, stream, self._encoding)

        out, err = writer("stdout"), writer("stderr")
        code = 1
        try:
            code = self._execute(task, line, skip, stdin, out, err)
        except ProgramNotFound as error:
            err.raw(_UNKNOWN.format(name=error.name))
        except Exception as error:  # noqa: BLE001 - a defect of the laboratory must reach the client as one sentence
            text = f"vsslab failed inside: {type(error).__name__}: {error}"
            self.host.trace.write("defect", self.host.name, what=text)
            err(text)
        finally:
            task.outbox.finish(code)
            self.ended(task)

    def _execute(self, task: Task, line: str, skip: bool, stdin: TypedInput, out: _Writer, err: _Writer) -> int:
        """The program itself where it can be started without cmd.exe, else cmd.exe /C with the whole line."""
        argv, whole = commandline.split(line.strip()), line
        if not skip and (_FOR_CMD.search(line) or not self._is_program(argv[0])):
            argv, whole = ["cmd.exe", "/C", line], f"cmd.exe /C {line}"
        return self.host.processes.run(
            argv,
            self.owner,
            out=out,
            err=err,
            stdin=stdin,
            cwd=self._folder,
            stop=task.stop,
            owner=self.id,
            command_line=whole,
        )

    def _is_program(self, name: str) -> bool:
        try:
            self.host.processes.find(name, self._folder)
        except ProgramNotFound:
            return False
        return True

    def kill(self) -> list[Task]:
        """End every process of the shell, without waiting."""
        self.host.processes.kill_owned(self.id)
        return super().kill()


class _Writer:
    """Takes the lines of a program and puts them into the outbox in the shell's code page."""

    def __init__(self, task: Task, stream: str, encoding: str) -> None:
        self._task, self._stream, self._encoding = task, stream, encoding

    def __call__(self, line: str) -> None:
        self.raw(f"{line}\r\n")

    def raw(self, text: str) -> None:
        """Add text as it is; characters the code page lacks become question marks."""
        data = text.encode(self._encoding, "replace")
        if data:
            self._task.outbox.put(Text(self._stream, data), self._task.stop)


def _encoding(wanted: str, default: int) -> str:
    """The codec of a Windows code page number; the host's own when the number is none that is known."""
    for page in (wanted.strip(), str(default)):
        name = "utf-8" if page == str(_UTF8) else f"cp{page}"
        try:
            return codecs.lookup(name).name
        except LookupError:
            continue
    return "utf-8"
