# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a session does with a pipeline: order, errors, the end, stopping, tracing."""

from __future__ import annotations

import threading

import pytest
from psrpcore import Command, PowerShell
from psrpcore.types import PSScriptBlock, PSSecureString
from vsslab.engine import command, signatures
from vsslab.engine.runspace import application_private_data
from vsslab.windows.host import Host

from .harness import Session, cmd

SAY = "Write-Output"
MISSING = cmd("Get-Item", LiteralPath="C:\\nope")
MISSING_ID = "PathNotFound,Microsoft.PowerShell.Commands.GetItemCommand"


def test_statements_run_in_order_with_one_final_state(session: Session) -> None:
    done = session.run(cmd(SAY, "a"), cmd(SAY, 1), cmd(SAY, None), cmd(SAY, [True, "b"]))
    assert done.output == ["a", 1, None, True, "b"]
    assert done.state == "Completed"


@pytest.mark.parametrize(
    ("bad", "error_id"),
    [
        (cmd("Get-Nope"), "CommandNotFoundException"),
        (cmd("C:\\Windows\\System32\\nope.exe", "/x"), "CommandNotFoundException"),
        (cmd("C:\\Temp\\sh.exe"), "CommandNotFoundException"),
        (cmd("Get-Item", Nope=1), "NamedParameterNotFound,Microsoft.PowerShell.Commands.GetItemCommand"),
        (
            cmd("Start-Sleep", Milliseconds="x"),
            "CannotConvertArgumentNoMessage,Microsoft.PowerShell.Commands.StartSleepCommand",
        ),
        (cmd("Get-Item"), "MissingMandatoryParameter,Microsoft.PowerShell.Commands.GetItemCommand"),
    ],
)
class TestAFailureBeforeAnythingRuns:
    def test_ends_a_single_statement_in_failed_without_a_record(self, session: Session, bad, error_id) -> None:
        done = session.run(bad)
        assert (done.state, done.failed_with, done.written) == ("Failed", error_id, [])

    def test_in_the_first_of_several_lets_the_second_run_and_no_other(self, session: Session, bad, error_id) -> None:
        done = session.run(bad, cmd(SAY, "second"), cmd(SAY, "third"))
        assert (done.state, done.errors, done.output) == ("Completed", [error_id], ["second"])

    def test_in_a_later_statement_keeps_earlier_output_and_ends_in_failed(
        self, session: Session, bad, error_id
    ) -> None:
        done = session.run(cmd(SAY, "first"), bad, cmd(SAY, "third"))
        assert (done.state, done.failed_with, done.output, done.errors) == ("Failed", error_id, ["first"], [])


def test_a_failure_while_running_is_special_in_the_first_of_several_too(session: Session) -> None:
    bad = [cmd(SAY, "no json"), cmd("ConvertFrom-Json")]
    done = session.run(bad, cmd(SAY, "second"), cmd(SAY, "third"))
    assert (done.state, done.output) == ("Completed", ["second"])
    assert [each.reason for each in done.of("error")] == ["ArgumentException"]
    assert session.run(cmd(SAY, "first"), bad, cmd(SAY, "third")).state == "Failed"


def test_two_failures_at_the_start_are_too_many(session: Session) -> None:
    done = session.run(cmd("Get-Nope"), cmd("Get-Nope2"), cmd(SAY, "third"))
    assert (done.state, done.errors, done.output) == ("Failed", ["CommandNotFoundException"], [])
    assert done.of("error")[0].reason == "ParentContainsErrorRecordException"


class TestErrorAction:
    def test_an_error_that_does_not_end_its_statement_lets_the_others_run(self, session: Session) -> None:
        done = session.run(MISSING, cmd(SAY, "after"), cmd(SAY, "more"))
        assert (done.state, done.errors, done.output) == ("Completed", [MISSING_ID], ["after", "more"])

    @pytest.mark.parametrize("before", [0, 1])
    def test_stop_ends_the_pipeline_in_any_position(self, session: Session, before: int) -> None:
        stopping = cmd("Get-Item", LiteralPath="C:\\nope", ErrorAction="Stop")
        done = session.run(*[cmd(SAY, "before")] * before, stopping, cmd(SAY, "after"))
        assert (done.state, done.failed_with, done.output) == ("Failed", MISSING_ID, ["before"] * before)
        assert done.errors == []

    @pytest.mark.parametrize("action", ["SilentlyContinue", "Ignore", "silent", 0])
    def test_silence_leaves_no_record(self, session: Session, action: object) -> None:
        done = session.run(cmd("Get-Item", LiteralPath="C:\\nope", EA=action), cmd(SAY, "after"))
        assert (done.state, done.errors, done.output) == ("Completed", [], ["after"])

    def test_a_word_that_is_none_is_refused_naming_the_right_ones(self, session: Session) -> None:
        done = session.run(cmd("Get-Item", LiteralPath="C:\\", ErrorAction="Perhaps"))
        assert done.failed_with == "CannotConvertArgumentNoMessage,Microsoft.PowerShell.Commands.GetItemCommand"
        assert "SilentlyContinue, Stop, Continue" in done.failure.message


class TestScripts:
    def run(self, session: Session, *before: str):
        powershell = PowerShell()
        for text in before:
            powershell.commands.append(Command(SAY).add_argument(text))
            powershell.commands[-1].end_of_statement = True
        powershell.commands.append(Command("Get-Date", is_script=True))
        return session.invoke(powershell)

    def test_script_text_is_refused_whatever_it_says(self, session: Session) -> None:
        assert self.run(session).failed_with == "ScriptsNotAllowed"
        assert self.run(session, "first").output == ["first"]

    def test_script_text_is_traced_as_such(self, session: Session, host: Host) -> None:
        self.run(session)
        (traced,) = host.trace.events("pipeline")[-1]["statements"]
        assert traced["is_script"] is True

    def test_script_blocks_are_no_values(self, session: Session) -> None:
        done = session.run([cmd(SAY, "x"), cmd("Where-Object", FilterScript=PSScriptBlock("$true"))])
        assert done.failed_with.startswith("CannotConvertArgumentNoMessage,")

    def test_variables_of_streams_need_a_language(self, session: Session) -> None:
        done = session.run(cmd(SAY, "x", OutVariable="v"))
        assert done.failed_with == "VariableReferenceNotSupportedInDataSection"


class TestPipes:
    def test_objects_go_through_one_by_one_as_they_appear(self, session: Session) -> None:
        seen = []
        session.run([cmd(SAY, [1, 2, 3]), cmd("ForEach-Object", MemberName="ToString")], on_output=seen.append)
        assert seen == ["1", "2", "3"]

    def test_enough_for_a_later_command_ends_the_earlier_ones(self, session: Session, host: Host) -> None:
        host.files.write("C:\\log.txt", b"1\r\n2\r\n3\r\n")
        done = session.run(
            [cmd("Get-Content", Path="C:\\log.txt", Wait=True), cmd("Select-Object", First=2)], cmd(SAY, "on")
        )
        assert [str(each) for each in done.of("output")] == ["1", "2", "on"]

    def test_a_bad_command_behind_the_pipe_keeps_the_first_from_running(self, session: Session, host: Host) -> None:
        done = session.run([cmd("New-Item", Path="C:\\made", ItemType="Directory"), cmd("Select-Object", Nope=1)])
        assert done.state == "Failed"
        assert not host.files.exists("C:\\made")

    def test_input_that_no_parameter_takes_is_an_error_for_each_object(self, session: Session) -> None:
        told = cmd("Write-EventLog", LogName="Application", Source="VSS", EventId=1, Message="m")
        done = session.run([cmd(SAY, ["a", "b"]), told])
        assert done.errors == ["InputObjectNotBound,Microsoft.PowerShell.Commands.WriteEventLogCommand"] * 2
        assert done.state == "Completed"


class TestStopping:
    def test_a_wait_ends_at_once(self, session: Session) -> None:
        stop = threading.Event()
        threading.Timer(0.1, stop.set).start()
        done = session.run(cmd("Start-Sleep", Seconds=30), cmd(SAY, "never"), stop=stop)
        assert (done.state, done.output) == ("Stopped", [])

    def test_a_program_is_killed(self, session: Session, host: Host) -> None:
        stop = threading.Event()
        done = session.run(cmd("endless.exe"), cmd(SAY, "never"), stop=stop, on_output=lambda _value: stop.set())
        assert (done.state, done.output) == ("Stopped", ["started"])
        assert "endless.exe" not in {each.name for each in host.processes.list()}

    def test_following_a_file_ends(self, session: Session, host: Host) -> None:
        host.files.write("C:\\log.txt", b"old\r\n")
        stop = threading.Event()

        def more(value: object) -> None:
            if str(value) == "old":
                host.files.write("C:\\log.txt", b"new\r\n", append=True)
            else:
                stop.set()

        done = session.run(cmd("Get-Content", Path="C:\\log.txt", Wait=True, Tail=1), stop=stop, on_output=more)
        assert done.state == "Stopped"
        assert [str(each) for each in done.of("output")] == ["old", "new"]


class TestNames:
    @pytest.mark.parametrize(
        "name", ["write-output", "WRITE-OUTPUT", "echo", "Microsoft.PowerShell.Utility\\Write-Output"]
    )
    def test_case_aliases_and_modules_lead_to_the_command(self, session: Session, name: str) -> None:
        assert session.run(cmd(name, "x")).output == ["x"]

    def test_a_command_of_another_module_is_unknown(self, session: Session) -> None:
        assert session.run(cmd("Storage\\Write-Output", "x")).failed_with == "CommandNotFoundException"

    def test_every_alias_and_every_simulated_command_is_documented(self) -> None:
        documented = set(signatures.known_names())
        assert set(command.simulated_names()) <= documented
        assert {name for name in signatures.table("aliases").values() if name not in documented} <= {
            "Get-Alias",
            "Start-Job",
        }

    def test_a_program_is_found_bare_with_and_without_its_ending(self, session: Session) -> None:
        for name in ("args", "args.exe", "C:\\Windows\\System32\\args.exe", "c:\\windows\\system32\\ARGS.EXE"):
            assert session.run(cmd(name, "x")).output == ["x"]


class TestTheLaboratorySaysWhatItDoesNotKnow:
    @pytest.mark.parametrize(
        ("asked", "what"),
        [
            (cmd("Get-HotFix"), "the command Get-HotFix"),
            (
                cmd("Get-Content", LiteralPath="C:\\f.txt", Stream="s"),
                "the parameter -Stream of Get-Content",
            ),
            (cmd("Get-Content", LiteralPath="HKLM:\\x"), "the drive HKLM: of another provider than the file system"),
            (cmd("Get-CimInstance", ClassName="Win32_Volume", ComputerName="other"), "CIM on another computer (other)"),
        ],
    )
    def test_by_a_terminating_error_that_is_counted(self, session: Session, host: Host, asked, what: str) -> None:
        done = session.run(cmd(SAY, "before"), asked)
        assert done.failed_with.partition(",")[0] == "SimulationRefused"
        assert done.failure.message == f"vsslab does not simulate {what}."
        assert session.runspace.refusals[what] == 1
        assert host.trace.events("refused")[-1]["what"] == what


class TestTrace:
    def test_a_pipeline_is_traced_with_everything_it_asks_for(self, session: Session, host: Host) -> None:
        session.run(cmd(SAY, "a", NoEnumerate=True), [cmd("args.exe", "x"), cmd("Out-Null")])
        (event,) = host.trace.events("pipeline")
        assert event["user"] == "SRV1\\admin"
        assert event["statements"] == [
            {
                "statement": 0,
                "command": "Write-Output",
                "parameters": {"NoEnumerate": True},
                "is_script": False,
                "arguments": ["a"],
            },
            {"statement": 1, "command": "args.exe", "parameters": {}, "is_script": False, "arguments": ["x"]},
            {"statement": 1, "command": "Out-Null", "parameters": {}, "is_script": False, "arguments": []},
        ]
        (end,) = host.trace.events("pipeline_end")
        assert (end["state"], end["outputs"], end["errors"]) == ("Completed", 1, 0)

    def test_passwords_are_not(self, session: Session, host: Host) -> None:
        session.run(cmd("Register-ScheduledTask", TaskName="t", Xml="<x/>", User="bob", Password="pa55word"))
        session.run(cmd(SAY, PSSecureString("pa55word")), cmd(SAY, {"Password": "pa55word"}))
        assert "pa55word" not in str(list(host.trace))


class TestFaults:
    def test_a_command_fails_as_the_fault_says(self, session: Session, host: Host) -> None:
        host.faults.add({"on": {"command": "Get-CimInstance", "arguments": "*Win32_ShadowCopy*"},
                         "do": {"fail": "0x80041003", "category": "PermissionDenied"}})  # fmt: skip
        assert session.run(cmd("Get-CimInstance", ClassName="Win32_Volume")).state == "Completed"
        done = session.run(cmd("Get-CimInstance", ClassName="Win32_ShadowCopy"))
        assert (
            done.failed_with
            == "HRESULT 0x80041003,Microsoft.Management.Infrastructure.CimCmdlets.GetCimInstanceCommand"
        )

    def test_a_fault_can_leave_the_statement_going(self, session: Session, host: Host) -> None:
        host.faults.add(
            {"on": {"command": SAY, "nth": 2}, "do": {"fail": "Broken.", "id": "Odd", "terminating": False}}
        )
        done = session.run(cmd(SAY, "a"), cmd(SAY, "b"), cmd(SAY, "c"))
        assert (done.output, done.errors) == (["a", "b", "c"], ["Odd,Microsoft.PowerShell.Commands.WriteOutputCommand"])

    def test_a_fault_can_only_delay(self, session: Session, host: Host) -> None:
        host.faults.add({"on": {"command": SAY}, "do": {"delay": "50ms"}})
        assert session.run(cmd(SAY, "a")).output == ["a"]
        assert host.trace.events("pipeline_end")[-1]["seconds"] >= 0.05


def test_the_pool_tells_the_version_of_the_host(host: Host) -> None:
    table = application_private_data(host)["PSVersionTable"]
    assert str(table["PSVersion"]).startswith("5.1.")
    assert table["PSEdition"] == "Desktop"
