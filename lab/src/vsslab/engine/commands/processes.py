# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes and machines coming and going: Start-Process, Wait-Process, Restart-Computer, Test-Connection.

Sources: the reference pages of Windows PowerShell 5.1; the order of Start-Process -PassThru -Wait was measured.
"""

from __future__ import annotations

from collections.abc import Callable

from vsslab.windows import commandline, network
from vsslab.windows.errors import WinError
from vsslab.windows.processes import Process

from .. import ciminstances as ci
from .. import fileitems as fs
from ..command import Call, Command, command
from ..values import U32, Obj
from .services import process_object, processes_of

_TICK = 0.02  # seconds between two looks at what may end by itself or be stopped
_PING = "System.Net.NetworkInformation.PingException"


@command("Start-Process", only=("FilePath", "ArgumentList", "WorkingDirectory", "PassThru", "Wait", "WindowStyle",
                                "NoNewWindow", "LoadUserProfile", "RedirectStandardOutput",
                                "RedirectStandardError"))  # fmt: skip
def start_process(call: Call) -> None:
    """Start a program in this session's job; with -Wait the process is written first and waited for then."""
    words = " ".join(call.texts("ArgumentList"))  # 5.1 joins them with blanks and quotes nothing
    place = call.get("WorkingDirectory", call.runspace.location)
    try:
        path = call.host.processes.find(call.get("FilePath"), place)
        argv = [path, *commandline.split_arguments(words)]
        out, err = (_file(call, name) for name in ("RedirectStandardOutput", "RedirectStandardError"))
        process = call.host.processes.start(argv, call.user, cwd=place, owner=call.runspace.shell_id, out=out, err=err)
    except WinError:
        raise call.fail(
            "This command cannot be run due to the error: The system cannot find the file specified.",
            "InvalidOperationException",
            "InvalidOperation",
            exception="System.InvalidOperationException",
        ) from None
    shown = process_object(call, process)
    if call.flag("PassThru"):
        call.write(shown)
    if call.flag("Wait"):
        with call.host.clock.waiting():
            while not process.ended.wait(_TICK):
                call.check_stop()
        shown.props |= {"HasExited": True, "ExitCode": process.exit_code}


def _file(call: Call, name: str) -> Callable[[str], None] | None:
    """Where a program's stream goes: into a file, emptied first, in the program's own code page."""
    if not call.has(name):
        return None
    files, path = call.files, fs.absolute(call, fs.provider_path(call, call.get(name)))
    encoding = call.host.language.encoding
    try:
        files.write(path, b"")
    except WinError as problem:
        told = fs.failure(call, problem, "FileOpenFailure", path, category="OpenError")
        raise call.fail(told.pop("message"), told.pop("error_id"), told.pop("category"), **told) from None

    def write(line: str) -> None:
        files.write(path, (line + "\r\n").encode(encoding, "replace"), append=True)

    return write


@command("Wait-Process", only=("Name", "Id", "InputObject", "Timeout"))
class WaitProcess(Command):
    """Wait until processes have ended, at most -Timeout seconds."""

    def __init__(self) -> None:
        self.waiting: list[Process] = []

    def process(self, call: Call) -> None:
        self.waiting += processes_of(call)

    def end(self, call: Call) -> None:
        clock = call.host.clock
        deadline = clock.monotonic() + call.get("Timeout") if call.has("Timeout") else None
        with clock.waiting():
            for each in self.waiting:
                while not each.ended.wait(_TICK):
                    call.check_stop()
                    if deadline is not None and clock.monotonic() >= deadline:
                        self._late(call, each)
                        break

    @staticmethod
    def _late(call: Call, process: Process) -> None:
        name = f"{process.name.removesuffix('.exe')} ({process.pid})"
        call.error(
            f'This command stopped operation of "{name}" because process is not stopped in the specified time-out.',
            "ProcessNotTerminated",
            "CloseError",
            target=process.pid,
            exception="System.TimeoutException",
        )


@command("Restart-Computer", only=("ComputerName", "Force", "Delay", "Timeout", "WhatIf", "Confirm"))
def restart_computer(call: Call) -> None:
    """Restart this host; the session ends with it."""
    for each in call.texts("ComputerName"):
        if network.named(call.host, each) is not call.host:
            raise call.refuse("Restart-Computer of another computer")
    if not call.should_process():
        return
    if not call.user.administrator:
        call.error(
            f"Failed to restart the computer {call.host.name} with the following error message: Access is denied.",
            "RestartcomputerFailed",
            "OperationStopped",
            target=call.host.name,
            exception="System.InvalidOperationException",
        )
        return
    call.host.begin_reboot(by=call.user)


@command("Test-Connection", only=("ComputerName", "Count", "Quiet", "Delay", "BufferSize", "TimeToLive"))
def test_connection(call: Call) -> None:
    """Whether hosts of the laboratory answer a ping; other names do not exist."""
    count = call.get("Count", 4)
    for name in call.texts("ComputerName"):
        target = network.named(call.host, name)
        if call.flag("Quiet"):
            call.write(target is not None)
            continue
        for turn in range(count if target is not None else 1):
            if turn and call.host.clock.sleep(float(call.get("Delay", 1)), call.stop):
                call.check_stop()
            if target is None:
                call.error(f"Testing connection to computer '{name}' failed: No such host is known",
                           "TestConnectionException", "ResourceUnavailable", target=name, exception=_PING)  # fmt: skip
            else:
                call.write(_status(name, call))


def _status(name: str, call: Call) -> Obj:
    own = {"Address": name, "BufferSize": U32(call.get("BufferSize", 32)), "NoFragmentation": False,
           "PrimaryAddressResolutionStatus": U32(0), "ProtocolAddress": "127.0.0.1", "ProtocolAddressResolved": "",
           "RecordRoute": U32(0), "ReplySize": U32(call.get("BufferSize", 32)), "ResolveAddressNames": False,
           "ResponseTime": U32(0), "ResponseTimeToLive": U32(call.get("TimeToLive", 80)), "StatusCode": U32(0),
           "Timeout": U32(4000), "TimeToLive": U32(call.get("TimeToLive", 80))}  # fmt: skip
    kinds = ("System.Management.ManagementObject#root\\cimv2\\Win32_PingStatus", *ci.types_of("Win32_PingStatus")[-1:])
    return Obj(kinds, own, {"PSComputerName": call.host.name}, text=f"Win32_PingStatus.Address='{name}'")
