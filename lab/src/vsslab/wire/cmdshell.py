# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""cmd shells (WinRS): command lines run as programs of the host, output streamed back ([MS-WSMV] 3.1.4.11-14)."""

from __future__ import annotations

import codecs
import re
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vsslab.windows import commandline
from vsslab.windows.processes import ProgramNotFound
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
_SYSTEM32 = "C:\\Windows\\System32"
_UNKNOWN = "'{name}' is not recognized as an internal or external command,\r\noperable program or batch file.\r\n"
_FOR_CMD = re.compile(r"[&|<>^%()]")
_UTF8 = 65001


@dataclass
class _Input:
    """What is sent to a command before it starts."""

    data: bytearray = field(default_factory=bytearray)
    open: bool = True


class CmdShell(Shell):
    """A WinRS shell.  Each command is one program in a thread of its own."""

    def __init__(self, host: Host, owner: User, request: ShellRequest, settings: Settings) -> None:
        super().__init__(host, owner, request, settings)
        self._encoding = _encoding(request.options.get("winrs_codepage", ""), host.language.oem_codepage)
        self._folder = request.text("WorkingDirectory") or self._home()
        self._inputs: dict[str, _Input] = {}
        self._lines: dict[str, tuple[str, bool]] = {}

    def _home(self) -> str:
        home = _HOME.format(user=self.owner.name)
        return home if self.host.files.is_dir(home) else _SYSTEM32

    def source(self, command_id: str | None) -> Outbox:
        """The output of one command; a cmd shell itself has none."""
        if command_id is None:
            raise WsmanFault("invalid_parameter")
        task = self.task(command_id)
        if task.outbox.drained:
            raise WsmanFault("unknown_command")
        return task.outbox

    def command(self, command_id: str | None, line: str, arguments: list[str], options: dict[str, str]) -> str:
        """Run a command line; with WINRS_CONSOLEMODE_STDIN=FALSE it starts when its input is complete."""
        if not line.strip():
            raise WsmanFault("invalid_parameter")
        limit = self.settings.max_processes_per_shell
        if sum(not each.outbox.finished for each in self.tasks.values()) >= limit:
            raise WsmanFault("process_quota", limit=limit)
        task = self.new_task(checked_id(command_id) if command_id else new_id())
        skip = options.get("winrs_skip_cmd_shell", "").strip().lower() in ("true", "1")
        self._lines[task.id] = (" ".join([line, *arguments]), skip)
        if options.get("winrs_consolemode_stdin", "TRUE").strip().lower() in ("false", "0"):
            self._inputs[task.id] = _Input()
        else:
            self._start(task, "")
        return task.id

    def send(self, command_id: str | None, stream: str, data: bytes, *, end: bool) -> None:
        """Collect input for a command that has not started yet; the end of the input starts it."""
        if command_id is None or stream != "stdin":
            raise WsmanFault("invalid_parameter")
        task = self.task(command_id)
        given = self._inputs.get(task.id)
        if given is None:
            raise WsmanFault("console_input")
        if not given.open or task.outbox.finished:
            raise WsmanFault("input_closed")
        given.data += data
        if len(given.data) > self.settings.max_data_per_command:
            raise WsmanFault("invalid_parameter")
        if end:
            given.open = False
            self._start(task, given.data.decode(self._encoding, "replace"))
            given.data = bytearray()

    def _start(self, task: Task, stdin: str) -> None:
        line, skip = self._lines.pop(task.id)
        work = threading.Thread(target=self._run, args=(task, line, skip, stdin))
        self.launch(task, "program", work)

    def _run(self, task: Task, line: str, skip: bool, stdin: str) -> None:
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

    def _execute(self, task: Task, line: str, skip: bool, stdin: str, out: _Writer, err: _Writer) -> int:
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
