# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""diskshadow when something is wrong: the command, the volume, a writer, or its own end in the middle."""

from __future__ import annotations

import threading
import time

import pytest
from vsslab.vss import WriterState

from .conftest import BANK, CREATE, RUN


def test_deleting_what_is_not_there_fails(tool):
    tool.script("delete shadows id {00000000-0000-0000-0000-000000000001}")
    assert (tool.code != 0, tool.hresults()) == (True, ["80042308"])


@pytest.mark.parametrize(
    ("command", "usage"),
    [
        ("set context sideways", "SET ["),
        ("set option plexx", "SET ["),
        ("writer verify", "WRITER {"),
        ("add volume", "ADD ["),
        ("expose", "EXPOSE <"),
        ("expose %nobody% X:", "EXPOSE <"),
        ("delete shadows", "DELETE SHADOWS"),
        ("list everything", "LIST {"),
        ("frobnicate", "DISKSHADOW.EXE commands"),
    ],
)
def test_what_is_not_understood_gets_its_usage(tool, command, usage):
    lines = tool.script(command, "exit")
    at = lines.index(f"-> {command}")
    assert lines[at + 1] == ""
    assert lines[at + 2].startswith(usage)
    assert "-> exit" not in lines
    assert tool.code != 0


@pytest.mark.parametrize("command", ["add volume \\\\server\\share"])
def test_what_the_laboratory_does_not_know_is_refused_loudly(tool, command):
    tool.script(command, "exit")
    assert tool.errors == [tool.lines[-1]]
    assert tool.lines[-1].startswith("vsslab does not simulate")
    assert tool.code != 0


@pytest.mark.parametrize(
    ("volume", "code", "name"),
    [("F:", "8004230c", "VSS_E_VOLUME_NOT_SUPPORTED"), ("Q:", "80042308", "VSS_E_OBJECT_NOT_FOUND")],
)
def test_volumes_that_cannot_be_added(tool, volume, code, name):
    tool.script(f"add volume {volume}", "create")
    assert tool.hresults() == [code]
    assert tool.lines[-1] == f"\t- Error text: {name}"


def test_another_creation_under_way(tool):
    end = tool.vss.hold_by_other(30)
    tool.script(*CREATE)
    end.set()
    assert tool.hresults() == ["80042316"]
    assert tool.lines[-1] == "\t- Error text: VSS_E_SNAPSHOT_SET_IN_PROGRESS"


def test_a_writer_that_fails_is_named(tool):
    tool.host.faults.add(
        {"on": {"kind": "phase", "phase": "freeze", "writer": "SqlServerWriter"}, "do": {"fail": "0x800423F2"}}
    )
    lines = tool.script(*CREATE)
    at = lines.index("ERROR: Selected writer 'SqlServerWriter' is in failed state!")
    assert lines[at + 1 : at + 5] == [
        "   - Status: 9 (VSS_WS_FAILED_AT_FREEZE)",
        "   - Writer Failure code: 0x800423f2 (<Unknown error code>)",
        f"   - Writer ID: {BANK}",
        f"   - Instance ID: {{{tool.writer.instance_id}}}",
    ]
    assert tool.hresults() == ["800423f2"]
    assert tool.code != 0
    assert tool.vss.shadows == []


def test_only_administrators_may_use_it(tool):
    tool.host.files.write("C:\\Users\\Public\\s.dsh", b"list shadows all\r\n")
    tool.run("/s", "C:\\Users\\Public\\s.dsh", user="bob")
    assert tool.hresults() == ["80070005"]
    assert tool.code != 0


@pytest.mark.parametrize("arguments", [("/q",), ("/s",), ("nonsense",), ("/s", "C:\\nowhere.dsh")])
def test_a_wrong_command_line_is_a_failure(tool, arguments):
    tool.run(*arguments)
    assert tool.code != 0


def started(tool, until):
    """A script that creates, in a thread of its own; returns when `until()` holds, with the thread."""
    worker = threading.Thread(target=tool.script, args=CREATE, kwargs={"arguments": ("/l", f"{RUN}\\log.txt")})
    worker.start()
    deadline = time.monotonic() + 5
    while not until():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return worker


def end(tool, worker):
    (process,) = [each for each in tool.host.processes.list() if each.name == "diskshadow.exe"]
    tool.host.processes.kill(process.pid)
    worker.join(5)
    assert not worker.is_alive()


def test_ending_the_program_while_writers_freeze_leaves_nothing(tool):
    tool.host.faults.add({"on": {"kind": "phase", "phase": "freeze", "writer": "SqlServer*"}, "do": {"delay": 20}})
    end(tool, started(tool, lambda: tool.writer.state is WriterState.WAITING_FOR_FREEZE))
    assert tool.host.ledger()["shadow_copies"] == []
    assert tool.vss.busy_with is None
    assert tool.writer.state is WriterState.STABLE
    assert tool.lines[-1] == "-> create"


def test_ending_the_program_after_the_commit_leaves_a_copy_nobody_told_of(tool):
    tool.host.faults.add(
        {"on": {"kind": "phase", "phase": "post_snapshot", "writer": "SqlServer*"}, "do": {"delay": 0.5}}
    )
    end(tool, started(tool, lambda: tool.vss.shadows))
    assert len(tool.vss.shadows) == 1
    assert tool.lines[-1] == "-> create"
    assert tool.host.files.read(f"{RUN}\\log.txt").endswith(b"-> create\r\n")
    assert not tool.host.files.exists(f"{RUN}\\m.cab")
