# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""diskshadow restores: the writers of the loaded backup hear PreRestore and PostRestore."""

from __future__ import annotations

import pytest
from vsslab.vss import WriterState

from .conftest import BANK, CREATE, RUN

LOAD = f"load metadata {RUN}\\m.cab"


@pytest.fixture
def heard(tool, monkeypatch):
    """Which writers hear which phase."""
    found = []
    meet = tool.vss.meet_fault

    def note(phase, writer, *rest, **named):
        if writer is not None and phase.endswith("restore"):
            found.append((phase, writer.name))
        return meet(phase, writer, *rest, **named)

    monkeypatch.setattr(tool.vss, "meet_fault", note)
    tool.script("begin backup", *CREATE, "end backup")
    assert tool.code == 0
    return found


def test_the_writers_of_the_backup_hear_both_events(tool, heard):
    tool.script(LOAD, "begin restore", "end restore", "exit")
    assert tool.code == 0
    assert heard == [("pre_restore", "SqlServerWriter"), ("post_restore", "SqlServerWriter")]


def test_a_simulation_sends_nothing(tool, heard):
    tool.script(LOAD, "simulate restore", f"writer verify {BANK}", "simulate restore", "exit")
    assert (tool.code, heard) == (0, [])


@pytest.mark.parametrize("name", ["SqlServerWriter", '"SqlServerWriter:\\SQL01\\Bank"'])
def test_an_excluded_writer_hears_nothing(tool, heard, name):
    tool.script(LOAD, f"writer exclude {name}", "begin restore", "end restore", "exit")
    assert (tool.code, heard) == (0, [])


@pytest.mark.parametrize("command", ["begin restore", "simulate restore"])
def test_a_verified_writer_that_takes_no_part_fails(tool, heard, command):
    tool.script(LOAD, "writer verify System Writer", command, "exit")
    assert (tool.hresults(), heard) == (["80070057"], [])


@pytest.mark.parametrize("commands", [("begin restore",), ("simulate restore",), ("end restore",),
                                      (LOAD, "begin restore", "begin restore")])  # fmt: skip
def test_out_of_sequence(tool, heard, commands):
    tool.script(*commands, "exit")
    assert tool.hresults() == ["80042301"]
    assert tool.lines[-1] == "\t- Error text: VSS_E_BAD_STATE"


def test_a_set_without_writers_cannot_be_restored_with_them(tool):
    tool.script(f"set metadata {RUN}\\n.cab", "set context persistent nowriters", "add volume D:", "create")
    tool.script(f"load metadata {RUN}\\n.cab", "begin restore")
    assert tool.hresults() == ["80042301"]


@pytest.mark.parametrize(("phase", "state"), [("pre_restore", WriterState.FAILED_AT_PRE_RESTORE),
                                              ("post_restore", WriterState.FAILED_AT_POST_RESTORE)])  # fmt: skip
def test_a_writer_that_fails_at_it_is_named(tool, heard, phase, state):
    tool.host.faults.add({"on": {"kind": "phase", "phase": phase}, "do": {"fail": "0x800423F4"}})
    tool.script(LOAD, "begin restore", "end restore", "exit")
    assert f"   - Status: {int(state)} ({state.token})" in tool.lines
    assert tool.hresults() == ["800423f4"]
    assert tool.writer.state is state
    assert any(each.id == 8229 for each in tool.host.events.query("Application"))
