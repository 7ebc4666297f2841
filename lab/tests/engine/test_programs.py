# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs in a pipeline: lines out, records for complaints, the exit code, and how 5.1 hands arguments over."""

from __future__ import annotations

from typing import Any

import pytest
from vsslab.windows.host import Host

from .harness import Session, cmd

EXIT_CODE = cmd("Get-Variable", Name="LASTEXITCODE", ValueOnly=True)


def test_lines_come_one_by_one_and_complaints_as_records(session: Session) -> None:
    done = session.run(cmd("sh.exe", "worse"), EXIT_CODE)
    assert done.output == ["out1", "out2", 3]
    assert done.errors == ["NativeCommandError", "NativeCommandErrorMessage"]
    assert [each.message for each in done.of("error")] == ["bad", "worse"]
    assert done.state == "Completed"


def test_the_exit_code_can_be_asked_for_in_the_next_pipeline(session: Session) -> None:
    session.run(cmd("sh.exe"))
    assert session.run(EXIT_CODE).output == [3]


def test_the_exit_code_is_stale_when_the_program_did_not_start(session: Session) -> None:
    session.run(cmd("sh.exe"))
    assert session.run(cmd("nope.exe"), EXIT_CODE).output == [3]


def test_there_is_no_exit_code_before_the_first_program(session: Session) -> None:
    assert session.run(EXIT_CODE).errors == ["VariableNotFound,Microsoft.PowerShell.Commands.GetVariableCommand"]


def test_the_lines_can_be_made_one_json_text(session: Session) -> None:
    done = session.run([cmd("sh.exe"), cmd("ConvertTo-Json", Compress=True)], EXIT_CODE)
    assert done.output == ['["out1","out2"]', 3]


def test_lines_of_the_pipe_are_standard_input(session: Session, host: Host) -> None:
    host.programs["cat.exe"] = lambda call: call.out(repr(call.stdin)) or 0
    assert session.run([cmd("Write-Output", ["a", 5]), cmd("cat.exe")]).output == ["'a\\r\\n5\\r\\n'"]


def test_a_program_runs_as_the_user_of_the_session(session: Session, bob: Session, host: Host) -> None:
    host.programs["who.exe"] = lambda call: call.out(call.user.full_name) or 0
    assert session.run(cmd("who.exe")).output + bob.run(cmd("who.exe")).output == ["SRV1\\admin", "SRV1\\bob"]


@pytest.mark.parametrize(
    ("given", "seen"),
    [
        (["plain", "two words", "%X%", "$x", "ü"], ["plain", "two words", "%X%", "$x", "ü"]),
        ([5, True, ["a", "b"]], ["5", "True", "a", "b"]),
        (["a", "", "b"], ["a", "b"]),  # empty texts vanish
        (['a"b'], ["ab"]),  # a quote is not escaped
        (["C:\\no blank\\", "next"], ['C:\\no blank" next']),  # the closing quote is swallowed
        (["C:\\noblank\\", "next"], ["C:\\noblank\\", "next"]),
        (['"quoted already"'], ["quoted already"]),
    ],
)
def test_arguments_arrive_as_5_1_hands_them_over(session: Session, given: list[Any], seen: list[str]) -> None:
    assert session.run(cmd("args.exe", *given)).output == seen


def test_named_arguments_are_words_as_they_stand(session: Session) -> None:
    arguments = {"/x": "y", "-x:": "z", "-sw": True, "ErrorAction": "Stop", "-n": None, "-c:": None}
    done = session.run(cmd("args.exe", **arguments))
    assert done.output == ["/x", "y", "-x:z", "-sw", "True", "ErrorAction", "Stop", "-n"]


def test_a_failure_further_down_ends_the_program_too(session: Session) -> None:
    done = session.run([cmd("sh.exe"), cmd("ConvertFrom-Json")], cmd("Write-Output", "never"))
    assert done.errors[-1].startswith("System.ArgumentException")


def test_a_fault_can_strike_a_program(session: Session, host: Host) -> None:
    host.faults.add({"on": {"program": "args.exe"}, "do": {"fail": 9}})
    assert session.run(cmd("args.exe", "x"), EXIT_CODE).output[-1] == 9
