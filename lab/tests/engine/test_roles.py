# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restricted sessions: what a role lets through, in whose words the rest is refused, and who the session is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from psrpcore import Command, PowerShell
from vsslab.engine.runspace import Runspace
from vsslab.windows import endpoints, psdata
from vsslab.windows.endpoints import DEFAULT, add_endpoint, role_of
from vsslab.windows.host import Host

from .harness import Session, cmd

ROLE = {
    "VisibleCmdlets": [
        "Get-CimInstance",
        {"Name": "Restart-Service", "Parameters": [
            {"Name": "Name", "ValidateSet": ["VSS", "swprv"]}, {"Name": "PassThru"}]},
        {"Name": "Get-Content", "Parameters": [{"Name": "LiteralPath", "ValidatePattern": r"^C:\\logs\\\w+\.log$"}]},
        "Microsoft.PowerShell.Management\\Test-*",
    ],
    "VisibleFunctions": ["Get-ScheduledTask"],
    "VisibleExternalCommands": ["C:\\Windows\\System32\\sh.exe"],
    "VisibleProviders": ["FileSystem"],
    "VisibleAliases": ["gcim"],
}  # fmt: skip


def enter(host: Host, user: str = "bob", **spec: Any) -> Session:
    add_endpoint(host.endpoints, host.users, {"name": "Umbra.Backup", "role": ROLE, **spec})
    return session_at(host, user)


def session_at(host: Host, user: str, shell: str = "5E5510") -> Session:
    made = Session(host, user)
    account = host.users.find(user)
    assert account is not None
    made.runspace = Runspace(host, account, shell, "umbra.backup")
    return made


class TestCommands:
    def test_what_the_role_lists_works_and_nothing_else_exists(self, host: Host) -> None:
        session = enter(host)
        assert session.run(cmd("Get-CimInstance", ClassName="Win32_ComputerSystem")).state == "Completed"
        assert session.run(cmd("gcim", ClassName="Win32_ComputerSystem")).state == "Completed"
        for each in ("Get-Process", "Get-ChildItem", "gci", "Remove-Item", "Write-Output", "Start-ScheduledTask"):
            done = session.run(cmd(each))
            assert (done.state, done.failed_with) == ("Failed", "CommandNotFoundException"), each

    def test_wildcards_and_modules_may_stand_in_a_role(self, host: Host) -> None:
        assert enter(host).run(cmd("Test-Path", LiteralPath="C:\\")).output == [True]

    def test_cdxml_commands_are_functions_and_not_cmdlets(self, host: Host) -> None:
        role = {**ROLE, "VisibleCmdlets": ["Get-ScheduledTask", "Get-Volume"], "VisibleFunctions": ["Get-Volume"]}
        session = enter(host, role=role)
        assert session.run(cmd("Get-ScheduledTask")).failed_with == "CommandNotFoundException"
        assert session.run(cmd("Get-Volume")).state == "Completed"

    def test_programs_are_named_by_full_path(self, host: Host) -> None:
        session = enter(host)
        assert session.run(cmd("sh.exe")).output == ["out1", "out2"]
        assert session.run(cmd("C:\\Windows\\System32\\sh.exe")).output == ["out1", "out2"]
        assert session.run(cmd("args.exe")).failed_with == "CommandNotFoundException"

    def test_get_command_shows_what_there_is(self, host: Host) -> None:
        done = enter(host).run([cmd("Get-Command", Name="*-*"), cmd("Select-Object", Property="Name")])
        assert sorted(each.notes["Name"] for each in done.output) == [
            "Get-CimInstance", "Get-Command", "Get-Content", "Get-ScheduledTask", "Measure-Object", "Out-Default",
            "Restart-Service", "Select-Object", "Test-Connection", "Test-Path"]  # fmt: skip


class TestParameters:
    def test_a_value_outside_the_set_is_refused_in_the_words_of_5_1(self, host: Host) -> None:
        done = enter(host).run(cmd("Restart-Service", Name="Spooler"))
        assert done.failed_with == "ParameterArgumentValidationError,Restart-Service"
        assert done.failure is not None
        assert done.failure.message == (
            "Cannot validate argument on parameter 'Name'. The argument \"Spooler\" does not belong to the set "
            '"VSS,swprv" specified by the ValidateSet attribute. Supply an argument that is in the set and then try '
            "the command again."
        )

    def test_a_value_that_does_not_match_the_pattern_neither(self, host: Host) -> None:
        host.files.mkdir("C:\\logs")
        host.files.write("C:\\logs\\a.log", b"line\r\n")
        session = enter(host)
        assert [str(each) for each in session.run(cmd("Get-Content", LiteralPath="C:\\logs\\a.log")).of("output")] == [
            "line"
        ]
        done = session.run(cmd("Get-Content", LiteralPath="C:\\logs\\..\\Windows\\a.log"))
        assert done.failed_with == "ParameterArgumentValidationError,Get-Content"
        assert done.failure is not None
        assert 'does not match the "^(^C:\\\\logs' in done.failure.message

    def test_a_parameter_that_is_not_listed_is_not_there(self, host: Host) -> None:
        done = enter(host).run(cmd("Restart-Service", Name="VSS", Force=True))
        assert done.failed_with == "NamedParameterNotFound,Restart-Service"

    def test_errors_of_the_command_itself_are_the_cmdlets(self, host: Host) -> None:
        done = enter(host).run(cmd("Get-Content", LiteralPath="C:\\logs\\a.log"))
        assert done.errors == ["PathNotFound,Microsoft.PowerShell.Commands.GetContentCommand"]

    def test_select_object_knows_eleven_names_until_an_alias_means_the_real_one(self, host: Host) -> None:
        session = enter(host)
        source = cmd("Get-CimInstance", ClassName="Win32_ComputerSystem")
        assert session.run([source, cmd("Select-Object", Property="Name")]).state == "Completed"
        assert session.run([source, cmd("Select-Object", Property="Domain")]).failed_with == (
            "ParameterArgumentValidationError,Select-Object")  # fmt: skip
        assert session.run([source, cmd("Select-Object", First=1)]).failed_with == (
            "NamedParameterNotFound,Select-Object")  # fmt: skip
        assert session.run([source, cmd("Measure-Object", Property="Name")]).failed_with == (
            "NamedParameterNotFound,Measure-Object")  # fmt: skip
        full = "Microsoft.PowerShell.Utility\\Select-Object"
        for listed, alias, asked, told in (
            ("Select-Object", None, "Select-Object", "ParameterArgumentValidationError,Select-Object"),
            (full, None, "Select-Object", "ParameterArgumentValidationError,Select-Object"),
            (full, None, full, None),
            ("Get-Date", full, "Select-Object", "CommandNotFoundException"),
            (full, full, "Select-Object", None),
        ):
            host.endpoints.pop("umbra.backup")
            defined = {"AliasDefinitions": {"Name": "Select-Object", "Value": alias}} if alias else {}
            real = enter(host, role={"VisibleCmdlets": ["Get-CimInstance", listed], **defined})
            done = real.run([source, cmd(asked, Property="Domain")])
            assert (done.failed_with if done.failure else None) == told, (listed, alias, asked)

    def test_bounds_are_put_on_commands_whose_module_is_there(self, host: Host) -> None:
        bounded = {"Parameters": {"Name": "TaskPath", "ValidateSet": "\\umbra\\"}}
        role = {"VisibleFunctions": [{"Name": "Get-ScheduledTask", **bounded}]}
        task = cmd("Get-ScheduledTask", TaskPath="\\other\\")
        assert enter(host, role=role).run(task).failed_with == "CommandNotFoundException"
        host.endpoints.pop("umbra.backup")
        done = enter(host, role={**role, "ModulesToImport": ["ScheduledTasks"]}).run(task)
        assert done.failed_with == "ParameterArgumentValidationError,Get-ScheduledTask"

    def test_what_is_there_but_not_simulated_is_refused_by_name(self, host: Host) -> None:
        done = enter(host).run(cmd("Get-FormatData"))
        assert done.failed_with == "SimulationRefused"
        assert host.refusals == {"the command Get-FormatData": 1}


class TestSession:
    def test_without_the_provider_no_drive_is_there(self, host: Host) -> None:
        session = enter(host, role={**ROLE, "VisibleProviders": []})
        done = session.run(cmd("Test-Path", LiteralPath="C:\\"))
        assert done.failed_with == "DriveNotFound,Microsoft.PowerShell.Commands.TestPathCommand"

    def test_it_runs_as_a_virtual_administrator_of_its_own(self, host: Host) -> None:
        host.programs["whoami.exe"] = lambda call: call.out(f"{call.user.full_name} {call.user.administrator}") or 0
        role = {"VisibleExternalCommands": ["C:\\Windows\\System32\\whoami.exe"]}
        first, second = enter(host, role=role), session_at(host, "bob", "5E5511")
        shown = [each.run(cmd("whoami.exe")).output[0] for each in (first, second)]
        assert shown == [f"WinRM Virtual Users\\WinRM VA_{n}_SRV1_bob True" for n in (1, 2)]

    def test_script_text_is_refused(self, host: Host) -> None:
        powershell = PowerShell()
        powershell.commands.append(Command("Get-CimInstance", is_script=True))
        assert enter(host).invoke(powershell).failed_with == "ScriptsNotAllowed"
        assert "scripts" not in host.said

    def test_a_role_that_is_not_applied_gives_everything(self, host: Host) -> None:
        session = enter(host, applied=False)
        assert session.run(cmd("Get-Process")).state == "Completed"
        assert session.runspace.user.administrator

    def test_an_endpoint_lets_its_groups_in_only(self, host: Host) -> None:
        bob, admin = (host.users.find(each) for each in ("bob", "admin"))
        assert bob is not None
        assert admin is not None
        assert host.endpoints[DEFAULT].admits(bob, host.users)
        add_endpoint(host.endpoints, host.users, {"name": "a", "groups": ["BUILTIN\\Administrators"]})
        add_endpoint(host.endpoints, host.users, {"name": "b", "users": ["SRV1\\bob"]})
        add_endpoint(host.endpoints, host.users, {"name": "c", "groups": ["Remote Management Users"]})
        told = {name: [host.endpoints[name].admits(each, host.users) for each in (bob, admin)] for name in "abc"}
        assert told == {"a": [False, True], "b": [True, False], "c": [True, True]}

    def test_an_endpoint_that_there_is_not_is_a_key_error(self, host: Host) -> None:
        with pytest.raises(KeyError):
            session_at(host, "bob")


def test_a_full_host_runs_no_script_either_and_says_so_once(session: Session, host: Host) -> None:
    powershell = PowerShell()
    powershell.commands.append(Command("1+1", is_script=True))
    written: list[str] = []
    session.runspace.trace.write = lambda kind, _host, **fields: written.append(kind)  # type: ignore[method-assign]
    for _ in range(2):
        assert session.invoke(powershell).failed_with == "ScriptsNotAllowed"
    assert written.count("note") == 1


def test_roles_and_keys_survive_as_plain_data(host: Host, tmp_path: Any) -> None:
    enter(host)
    host.registry.create("HKEY_LOCAL_MACHINE\\SOFTWARE\\Umbra").update({"a": [1, "x"], "b": b"\x00\xff"})
    kept = json.loads(json.dumps(host.dump()))
    other = Host("srv1", tmp_path / "other", volumes=[{"letter": "C"}, {"letter": "D"}])
    other.load(kept)
    assert other.endpoints["umbra.backup"] == host.endpoints["umbra.backup"]
    assert other.registry.dump() == host.registry.dump()
    assert session_at(other, "bob").run(cmd("Get-Process")).failed_with == "CommandNotFoundException"
    other.close()


class TestRoleFiles:
    def test_a_role_capability_file_is_read(self) -> None:
        text = """@{
            # ID used to uniquely identify this document
            GUID = '8ac3c4a0-3c0e-4f0e-8c54-7b0c4f6c5d5e'
            VisibleCmdlets = 'Get-Item', @{ Name = 'Restart-Service'; Parameters = @{ Name = 'Name'; ValidateSet = 'a', 'b' } }
            VisibleExternalCommands = @("C:\\x y\\z.exe"
                'C:\\it''s.exe')
        }"""  # noqa: E501
        role = role_of(psdata.parse(text))
        assert role.cmdlets["Restart-Service"] == (endpoints.ParameterRule("Name", ("a", "b")),)
        assert role.cmdlets["Get-Item"] is None
        assert role.external == ("C:\\x y\\z.exe", "C:\\it's.exe")

    @pytest.mark.parametrize("text", ["", "@{", "@{ a = $(Get-Date) }", "@{ a = 1 } x", "@{ a = 1; A = 2 }",
                                      '@{ a = "$x" }', "@{ a = }", "@{ = 1 }", "@{ a = @( }"])  # fmt: skip
    def test_what_is_no_data_file_is_refused(self, text: str) -> None:
        with pytest.raises(psdata.DataFileError):
            psdata.parse(text)

    def test_literals_come_back(self) -> None:
        table = {"a": ["x", "it's"], "b": {"c": True, "d": None, "e": 5}, "f": "z"}
        assert psdata.parse(psdata.literal(table)) == table

    def test_what_a_role_cannot_do_here_is_refused(self) -> None:
        with pytest.raises(ValueError, match="vsslab does not simulate functiondefinitions of a role"):
            role_of({"FunctionDefinitions": [{"Name": "f"}]})
