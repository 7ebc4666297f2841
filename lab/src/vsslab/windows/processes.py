# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The process table, and how programs are found, started, watched and ended."""

from __future__ import annotations

import datetime
import itertools
import ntpath
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from .. import incidents
from . import commandline
from .errors import NOT_FOUND, WinError
from .users import User

if TYPE_CHECKING:
    from .host import Host

Program = Callable[["Invocation"], int]


class Stdin(Protocol):
    """Standard input: a text that is there, or one that still arrives, whose lines come as they are sent."""

    def splitlines(self) -> Iterable[str]:
        """The lines without their ends; waits for those that are not there yet."""


Argv = list[str]
SYSTEM32 = "C:\\Windows\\System32"
CONTROL_C_EXIT = -1073741510  # 0xC000013A STATUS_CONTROL_C_EXIT
_SEARCHED = ("{system32}", "{windows}")
_MATCH_FAULTS_THEMSELVES = frozenset({"robocopy.exe"})  # programs that look for a fault at every file
_STANDING = (
    ("System", 4, 0),
    ("smss.exe", 348, 4),
    ("csrss.exe", 460, 348),
    ("wininit.exe", 552, 348),
    ("services.exe", 640, 552),
    ("lsass.exe", 660, 552),
    ("svchost.exe", 864, 640),
    ("svchost.exe", 1020, 640),
)


class ProgramNotFound(WinError):
    """No such program on this host (Win32 error 2)."""

    def __init__(self, name: str) -> None:
        super().__init__(NOT_FOUND, name)
        self.name = name


class _LinkedStop(threading.Event):
    """Set when it, or the event of whoever started the process, is set."""

    def __init__(self, parent: threading.Event | None) -> None:
        super().__init__()
        self._parent = parent

    def is_set(self) -> bool:
        return super().is_set() or (self._parent is not None and self._parent.is_set())

    def wait(self, timeout: float | None = None) -> bool:
        if self._parent is None:
            return super().wait(timeout)
        left = timeout
        while not self.is_set() and (left is None or left > 0):
            step = 0.1 if left is None else min(0.1, left)
            super().wait(step)
            left = None if left is None else left - step
        return self.is_set()


@dataclass
class Process:
    """One entry of the process table. `parent` is a process ID; `owner` names the shell it must not outlive, if any."""

    pid: int
    name: str
    command_line: str
    user: User
    started: datetime.datetime
    parent: int = 640
    owner: str | None = None
    exit_code: int | None = None
    adopted: bool = False
    stop: threading.Event = field(default_factory=threading.Event, repr=False)
    ended: threading.Event = field(default_factory=threading.Event, repr=False)

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait for the end; the exit code, or None when it still runs after `timeout` seconds."""
        self.ended.wait(timeout)
        return self.exit_code


@dataclass
class Invocation:
    """What a program gets: `def main(call: Invocation) -> int` returns the exit code.

    `out` and `err` take whole lines without a line break; `stop` is set when the process must end at once;
    `command_line` is the text as it was given, for programs that do not go by argv (cmd.exe); `environment` the
    variables that the parent gave, None for those of the account.
    """

    host: Host
    user: User
    argv: list[str]
    cwd: str
    stdin: Stdin
    out: Callable[[str], None]
    err: Callable[[str], None]
    stop: threading.Event
    pid: int
    command_line: str = ""
    environment: Mapping[str, str] | None = None

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables of the process."""
        return self.host.environment(self.user) if self.environment is None else dict(self.environment)


ProcessList = list[Process]


class Processes:
    """The processes of one host. Programs run in the thread that calls `run`, or in one of their own (`start`)."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._lock = threading.Lock()
        self._table: dict[int, Process] = {}
        self._pids = itertools.count(2052, 4)
        for name, pid, parent in _STANDING:
            self._table[pid] = Process(pid, name, name, host.users.system, host.boot_time, parent)

    def list(self) -> ProcessList:
        """Every process, by ID."""
        with self._lock:
            return sorted(self._table.values(), key=lambda each: each.pid)

    def get(self, pid: int) -> Process | None:
        """The process with this ID, if it runs."""
        with self._lock:
            return self._table.get(pid)

    def find(self, name: str, cwd: str = SYSTEM32) -> str:
        """The full path of a program; ProgramNotFound when the host does not have it.

        A bare name is looked for in System32 and the Windows folder; '.exe' may be left out.
        """
        text = name.replace("/", "\\").removeprefix("\\\\?\\")
        if not ntpath.splitext(text)[1]:
            text += ".exe"
        windows = self._host.windows
        folder, base = ntpath.split(text)
        places = [each.format(system32=windows + "\\System32", windows=windows) for each in _SEARCHED]
        if folder:
            places = [ntpath.normpath(ntpath.join(cwd, folder))]
        system32 = (windows + "\\System32").casefold()
        for place in places:
            if base.lower() not in self._host.programs:
                break
            if place.casefold() in {system32, (windows + "\\Sysnative").casefold()}:
                return f"{windows}\\System32\\{base}"
        raise ProgramNotFound(name)

    def run(  # noqa: PLR0913 - what CreateProcess takes, by keyword
        self,
        argv: Argv,
        user: User,
        *,
        out: Callable[[str], None],
        err: Callable[[str], None],
        stdin: Stdin = "",
        cwd: str = SYSTEM32,
        stop: threading.Event,
        owner: str | None = None,
        parent: int = 640,
        command_line: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> int:
        """Run a program to its end in this thread; the exit code (signed 32 bits, as $LASTEXITCODE shows it).

        argv[0] is 'name.exe' or a full path; raises ProgramNotFound. Setting `stop` ends the program: the code is
        then 0xC000013A as after Ctrl+C, or what `kill` said.
        """
        path = self.find(argv[0], cwd)
        process = self._enter(path, argv, user, owner, parent, command_line, stop)
        return self._execute(process, path, argv, stdin, cwd, out, err, environment)

    def start(
        self,
        argv: Argv,
        user: User,
        *,
        cwd: str = SYSTEM32,
        owner: str | None = None,
        parent: int = 640,
        out: Callable[[str], None] | None = None,
        err: Callable[[str], None] | None = None,
    ) -> Process:
        """Start a program in a thread of its own; the process, whose end can be waited for.

        `out` and `err` take its lines from that thread; without them its output is thrown away.
        """
        path = self.find(argv[0], cwd)
        process = self._enter(path, argv, user, owner, parent, None, None)

        def quiet(_line: str) -> None:
            """Nobody reads it."""

        work = (process, path, argv, "", cwd, out or quiet, err or quiet)
        name = f"{self._host.name}:{process.name}:{process.pid}"
        self._host.clock.spawn(self._execute, *work, name=name)
        return process

    def adopt(self, name: str, command_line: str, user: User, parent: int = 640) -> Process:
        """Enter a process that something else drives (an application, a service) into the table; end it by `leave`."""
        process = self._new(name, command_line, user, None, parent, None)
        process.adopted = True
        with self._lock:
            self._table[process.pid] = process
        return process

    def leave(self, process: Process, exit_code: int = 0) -> None:
        """Take an adopted process out of the table."""
        self._exit(process, exit_code)

    def kill(self, pid: int, exit_code: int = -1) -> bool:
        """End a process at once, with the exit code that TerminateProcess was given; False when there is none.

        The entry stays until the program heeded its stop event, as a dying process does.
        """
        process = self.get(pid)
        if process is None or pid in {each[1] for each in _STANDING}:
            return False
        process.exit_code = exit_code
        process.stop.set()
        return True

    def kill_owned(self, owner: str) -> ProcessList:
        """End everything that was started in one shell (WinRM closes the shell's job object); what was ended.

        The shell's logon session, and the SMB mappings made in it, end too.
        """
        self._host.mappings.end(owner)
        victims = [each for each in self.list() if each.owner == owner]
        for each in victims:
            self.kill(each.pid)
        return victims

    def kill_all(self, timeout: float = 5.0) -> None:
        """End every program, and wait up to `timeout` seconds for each to go (a reboot, the end of the laboratory)."""
        standing = {each[1] for each in _STANDING}
        victims = [each for each in self.list() if each.pid not in standing and not each.adopted]
        for each in victims:
            self.kill(each.pid)
        for each in victims:
            each.ended.wait(timeout)

    def _new(
        self, name: str, line: str, user: User, owner: str | None, parent: int, stop: threading.Event | None
    ) -> Process:
        with self._lock:
            pid = next(self._pids)
        return Process(pid, name, line, user, self._host.clock.now(), parent, owner, stop=_LinkedStop(stop))

    def _enter(
        self,
        path: str,
        argv: Argv,
        user: User,
        owner: str | None,
        parent: int,
        line: str | None,
        stop: threading.Event | None,
    ) -> Process:
        process = self._new(ntpath.basename(path), line or commandline.join(argv), user, owner, parent, stop)
        with self._lock:
            self._table[process.pid] = process
        return process

    def _exit(self, process: Process, code: int) -> None:
        process.exit_code = code
        with self._lock:
            self._table.pop(process.pid, None)
        process.ended.set()

    def _execute(
        self,
        process: Process,
        path: str,
        argv: Argv,
        stdin: Stdin,
        cwd: str,
        out: Callable[[str], None],
        err: Callable[[str], None],
        environment: Mapping[str, str] | None = None,
    ) -> int:
        host, name = self._host, process.name.lower()
        began, entered = host.clock.monotonic(), host.trace.clock()
        call = Invocation(host, process.user, [path, *argv[1:]], cwd, stdin, out, err, process.stop, process.pid,
                          process.command_line, environment)  # fmt: skip
        code = -1
        try:
            code = self._with_fault(call, name)
            if process.stop.is_set():
                code = CONTROL_C_EXIT if process.exit_code is None else process.exit_code
        finally:
            self._exit(process, code)
            host.trace.write("program", host.name, program=name, argv=[*argv], exit_code=code, pid=process.pid,
                             user=process.user.full_name, began=entered,
                             seconds=round(host.clock.monotonic() - began, 3))  # fmt: skip
        return code

    def _with_fault(self, call: Invocation, name: str) -> int:
        """Run the program under the fault that fires: fail (exit code), kill, or what befalls the host."""
        main = self._host.programs[name]
        if name in _MATCH_FAULTS_THEMSELVES:
            return main(call)
        fault = incidents.meet(self._host, "program", call.stop, program=name, user=call.user.name,
                               verb=call.argv[1] if len(call.argv) > 1 else None,
                               arguments=commandline.join(call.argv))  # fmt: skip
        if fault is None:
            return main(call)
        if fault.do.get("kill") is True:

            def kill() -> None:
                self.kill(call.pid)

            cancel = self._host.clock.call_after(fault.delay, kill)
            try:
                return main(call)
            finally:
                cancel()
        if fault.fail is None:
            return main(call)
        for line in str(fault.do.get("text", "")).splitlines():
            call.err(line)
        return fault.fail
