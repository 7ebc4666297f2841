# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""cmd shells as pywinrm, pypsrp and Ansible's winrm plugin use them."""

from __future__ import annotations

import threading
import time

import pytest
import winrm
from pypsrp.exceptions import WSManFaultError
from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.shell import Process, SignalCode, WinRS
from pypsrp.wsman import WSMan
from vsslab.wire.cmdshell import TypedInput
from vsslab.wire.settings import Settings
from winrm.exceptions import WinRMOperationTimeoutError
from winrm.exceptions import WSManFaultError as PywinrmFault


def protocol(wire, scheme="http", **more):
    port = 5985 if scheme == "http" else 5986
    return winrm.Protocol(
        f"{scheme}://{wire.address}:{port}/wsman",
        transport="ntlm",
        username="admin",
        password=wire.password,
        server_cert_validation="ignore",
        proxy=None,
        **more,
    )


@pytest.fixture
def opened(wire):
    """A cmd shell, opened as Ansible's winrm plugin opens it."""
    session = protocol(wire)
    shell = session.open_shell(codepage=65001)
    yield session, shell
    session.close_shell(shell)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_program_gives_its_output_and_its_exit_code(wire, scheme):
    session = protocol(wire, scheme)
    shell = session.open_shell(codepage=65001, working_directory="C:\\Work")
    command = session.run_command(shell, "say.exe", ["3", "ä", "two", "€"])
    assert session.get_command_output(shell, command) == ("ä\r\ntwo\r\n€\r\n".encode(), b"said in C:\\Work\r\n", 3)
    session.cleanup_command(shell, command)
    session.close_shell(shell)
    assert wire.host.processes.killed[-1] == shell


def test_output_is_in_the_code_page_the_client_asked_for(wire):
    session = protocol(wire)
    shell = session.open_shell()
    command = session.run_command(shell, "say.exe", ["0", "ä€"])
    assert session.get_command_output(shell, command)[0] == b"\x84?\r\n"
    session.close_shell(shell)


def test_an_unknown_program_is_answered_as_cmd_does(opened):
    session, shell = opened
    command = session.run_command(shell, "nonsense.exe", ["/x"])
    out, err, code = session.get_command_output(shell, command)
    assert (out, code) == (b"", 1)
    assert err.startswith(b"'nonsense.exe' is not recognized as an internal or external command,\r\n")


def test_input_reaches_a_program_that_waits_for_it(opened):
    session, shell = opened
    command = session.run_command(shell, "cat.exe", console_mode_stdin=False)
    session.send_command_input(shell, command, "one\r\n")
    session.send_command_input(shell, command, b"two\r\n", end=True)
    assert session.get_command_output(shell, command) == (b"one\r\ntwo\r\n", b"", 0)
    with pytest.raises(PywinrmFault, match="pipe has been ended"):
        session.send_command_input(shell, command, "late")


def test_input_reaches_a_program_while_it_runs(opened):
    session, shell = opened
    command = session.run_command(shell, "cat.exe")
    session.send_command_input(shell, command, "one\r\ntw")
    assert session.get_command_output_raw(shell, command)[::3] == (b"one\r\n", False)
    session.send_command_input(shell, command, "o\r\n", end=True)
    assert session.get_command_output(shell, command) == (b"two\r\n", b"", 0)


def test_input_has_a_limit(start):
    wire = start(Settings(max_data_per_command=10))
    session = protocol(wire)
    shell = session.open_shell()
    command = session.run_command(shell, "cat.exe")
    session.send_command_input(shell, command, "x" * 10)
    with pytest.raises(PywinrmFault) as failure:
        session.send_command_input(shell, command, "x")
    assert failure.value.wsman_fault_code == 87
    session.close_shell(shell)


@pytest.mark.parametrize("pieces", [["a\r", "\nb\nc"], ["a\r\nb", "\r", "\nc\r"], ["a\nb\rc\r\n"]])
def test_lines_of_input_end_as_they_may(pieces):
    typed = TypedInput("utf-8", threading.Event())
    for piece in pieces:
        typed.put(piece.encode(), end=False)
    typed.put(b"", end=True)
    assert list(typed.splitlines()) == ["a", "b", "c"]


def test_a_running_program_is_stopped_by_a_signal(opened):
    session, shell = opened
    command = session.run_command(shell, "wait.exe")
    assert session.get_command_output_raw(shell, command)[::3] == (b"waiting\r\n", False)
    began = time.monotonic()
    session.cleanup_command(shell, command)
    assert time.monotonic() - began < 2
    with pytest.raises(PywinrmFault) as failure:
        session.get_command_output_raw(shell, command)
    assert failure.value.wsman_fault_code == 2150858843


def test_ctrl_c_leaves_the_exit_code_to_be_read(wire):
    with wire.wsman() as wsman, WinRS(wsman) as shell:
        process = Process(shell, "wait.exe")
        process.begin_invoke()
        process.poll_invoke()
        process.signal(SignalCode.CTRL_C)
        process.end_invoke()
        assert (process.stdout, process.rc) == (b"waiting\r\n", -1073741510)
        with pytest.raises(WSManFaultError):
            process.signal("nonsense")
        with pytest.raises(WSManFaultError) as failure:
            shell.receive()
        assert (failure.value.code, failure.value.provider) == (87, "Shell cmd plugin")


def test_silence_is_a_fault_that_pywinrm_knows(start):
    wire = start(Settings(coalesce=0.02, max_operation_timeout=0.4))
    session = protocol(wire)
    shell = session.open_shell()
    command = session.run_command(shell, "wait.exe")
    session.get_command_output_raw(shell, command)
    with pytest.raises(WinRMOperationTimeoutError):
        session.get_command_output_raw(shell, command)
    session.close_shell(shell)


def test_a_shell_runs_so_many_programs_and_no_more(start):
    wire = start(Settings(max_processes_per_shell=1))
    session = protocol(wire)
    shell = session.open_shell()
    session.run_command(shell, "wait.exe")
    with pytest.raises(PywinrmFault) as failure:
        session.run_command(shell, "wait.exe")
    assert failure.value.wmierror_code == 0x803381A6  # for which Ansible opens a new shell
    session.close_shell(shell)


def test_the_shell_quota_is_told_as_a_wmi_error(start):
    wire = start(Settings(max_shells_per_user=1))
    session = protocol(wire)
    shell = session.open_shell()
    with pytest.raises(PywinrmFault) as failure:
        session.open_shell()
    assert (failure.value.wmierror_code, failure.value.fault_subcode) == (0x803381A5, "w:QuotaLimit")
    session.close_shell(shell)


class Carrier:
    """pypsrp's messages over pywinrm's session."""

    def __init__(self, session):
        self.session, self.endpoint = session, session.transport.endpoint

    def send(self, message, retries_on_read_timeout=0, timeout=None):
        return self.session.transport.send_message(message)

    def close(self):
        self.session.transport.close_session()


def test_powershell_sessions_work_over_the_winrm_plugins_connection(wire):
    session = protocol(wire)
    shell = session.open_shell(codepage=65001)
    wsman = WSMan("ignored", auth="basic", username="x", password="x")
    wsman.transport = Carrier(session)
    before = wire.counted[0]
    with RunspacePool(wsman) as pool:
        pipeline = PowerShell(pool)
        pipeline.add_cmdlet("Who")
        assert pipeline.invoke() == ["SRV1\\admin"]
    assert wire.counted[0] - before == 6
    session.close_shell(shell)


def test_a_line_may_come_in_many_pieces():
    typed = TypedInput("utf-8", threading.Event())
    for piece in (b"a", b"b\r", b"\nc", b"", b"d\re", b"\n", b"f", b"\xc3", b"\xa4\r"):
        typed.put(piece, end=False)
    typed.put(b"", end=True)
    assert list(typed.splitlines()) == ["ab", "cd", "e", "f\u00e4"]


def test_a_long_line_is_not_copied_with_every_piece():
    """A laboratory has one loop for all its hosts: what takes long keeps everybody waiting."""
    typed, began = TypedInput("utf-8", threading.Event()), time.process_time()
    for _ in range(400):
        typed.put(b"x" * 100_000, end=False)
    typed.put(b"\n", end=True)
    assert time.process_time() - began < 2.0  # 10 when it was
    assert len(next(typed.splitlines())) == 40_000_000
