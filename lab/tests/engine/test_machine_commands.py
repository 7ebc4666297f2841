# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes, restarts, parts of tasks, the registry, session configurations, what there is on a host."""

from __future__ import annotations

import datetime
import threading

import pytest
from psrpcore import Command, PowerShell
from psrpcore.types import PSUInt64
from vsslab import vss
from vsslab.engine.runspace import Runspace
from vsslab.windows import psdata
from vsslab.windows.host import Host

from .harness import Outcome, Recorder, Session, cmd

COMMANDS = "Microsoft.PowerShell.Commands"
CV = "HKLM:\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion"


class TestProcesses:
    def test_the_process_is_written_before_it_is_waited_for(self, session: Session, host: Host) -> None:
        began: list[float] = []

        def slow(call: object) -> int:
            call.stop.wait(0.2)  # type: ignore[attr-defined]
            began.append(1)
            return 7

        host.programs["slow.exe"] = slow
        seen: list[int] = []
        done = session.run(cmd("Start-Process", FilePath="slow.exe", PassThru=True, Wait=True),
                           on_output=lambda _value: seen.append(len(began)))  # fmt: skip
        assert (done.state, seen, began) == ("Completed", [0], [1])
        assert "ExitCode" not in done.output[0].props
        buffered = session.run(
            [
                cmd("Start-Process", FilePath="slow.exe", PassThru=True, Wait=True),
                cmd("Sort-Object", Property="Id"),
                cmd("Select-Object", ExpandProperty="ExitCode"),
            ]
        )
        assert buffered.output == [7]

    def test_arguments_are_joined_and_not_quoted(self, session: Session, host: Host) -> None:
        seen: list[list[str]] = []
        host.programs["say.exe"] = lambda call: seen.append(call.argv[1:]) or 0
        session.run(cmd("Start-Process", FilePath="say.exe", ArgumentList=["a b", "c"], Wait=True))
        assert seen == [["a", "b", "c"]]

    def test_output_goes_into_files(self, session: Session, host: Host) -> None:
        session.run(cmd("Start-Process", FilePath="sh.exe", Wait=True, RedirectStandardOutput="C:\\o.txt",
                        RedirectStandardError="C:\\e.txt"))  # fmt: skip
        assert host.files.read("C:\\o.txt") == b"out1\r\nout2\r\n"
        assert host.files.read("C:\\e.txt") == b"bad\r\n"

    def test_a_program_that_is_not_there(self, session: Session) -> None:
        done = session.run(cmd("Start-Process", FilePath="nothing.exe"))
        assert done.failed_with == f"InvalidOperationException,{COMMANDS}.StartProcessCommand"

    def test_waiting_has_an_end(self, session: Session, host: Host) -> None:
        started = session.run(cmd("Start-Process", FilePath="endless.exe", PassThru=True))
        pid = started.output[0].props["Id"]
        late = session.run(cmd("Wait-Process", Id=pid, Timeout=0))
        assert late.errors == [f"ProcessNotTerminated,{COMMANDS}.WaitProcessCommand"]
        session.run(cmd("Stop-Process", Id=pid, Force=True), cmd("Wait-Process", Id=pid))
        assert host.processes.get(pid) is None

    def test_a_stop_ends_the_waiting(self, session: Session) -> None:
        stop = threading.Event()
        threading.Timer(0.1, stop.set).start()
        done = session.run(cmd("Start-Process", FilePath="endless.exe", Wait=True), stop=stop)
        assert done.state == "Stopped"

    def test_a_restart_changes_the_boot_time(self, session: Session, bob: Session, host: Host) -> None:
        before = host.boot_time
        assert bob.run(cmd("Restart-Computer", Force=True)).errors == [
            f"RestartcomputerFailed,{COMMANDS}.RestartComputerCommand"]  # fmt: skip
        restarted = threading.Event()
        host.on_reboot.append(restarted.set)
        session.run(cmd("Restart-Computer", Force=True))
        assert restarted.wait(5)
        for _ in range(100):
            if host.boot_time > before:
                break
            threading.Event().wait(0.02)
        assert host.boot_time > before

    def test_ping_knows_the_hosts_of_the_laboratory(self, session: Session) -> None:
        assert session.run(cmd("Test-Connection", ComputerName=["srv1", "nobody"], Quiet=True)).output == [True, False]
        done = session.run(cmd("Test-Connection", ComputerName="nobody", Count=1))
        assert done.errors == [f"TestConnectionException,{COMMANDS}.TestConnectionCommand"]
        assert len(session.run(cmd("Test-Connection", ComputerName="localhost", Count=1)).output) == 1


class TestTaskParts:
    def test_a_task_is_registered_from_what_came_back(self, session: Session, host: Host) -> None:
        ran = threading.Event()
        host.programs["ping.exe"] = lambda call: ran.set() or 0
        made = session.run(cmd("New-ScheduledTaskAction", Execute="ping.exe", Argument="-n 1"),
                           cmd("New-ScheduledTaskSettingsSet", MultipleInstances="Queue",
                               ExecutionTimeLimit=datetime.timedelta(hours=2)),
                           cmd("New-ScheduledTaskPrincipal", UserId="SYSTEM", RunLevel="Highest"),
                           cmd("New-ScheduledTaskTrigger", AtStartup=True))  # fmt: skip
        action, settings, principal, trigger = made.of("output")
        done = session.run(cmd("Register-ScheduledTask", TaskName="t", Action=action, Settings=settings,
                               Principal=principal, Trigger=trigger))  # fmt: skip
        assert (done.state, done.errors) == ("Completed", [])
        definition = host.tasks.get("\\", "t").definition
        assert (definition.policy, definition.time_limit, definition.run_level) == ("Queue", 7200.0, "HighestAvailable")
        assert [each.kind for each in definition.triggers] == ["BootTrigger"]
        session.run(cmd("Start-ScheduledTask", TaskName="t"))
        assert ran.wait(5)

    def test_a_task_is_registered_through_the_pipe_and_changed(self, session: Session, host: Host) -> None:
        action = session.run(cmd("New-ScheduledTaskAction", Execute="sh.exe")).of("output")[0]
        done = session.run(
            [
                cmd("New-ScheduledTask", Action=action, Description="says hello"),
                cmd("Register-ScheduledTask", TaskName="p", TaskPath="\\mine\\", User="SYSTEM"),
            ]
        )
        assert done.errors == []
        task = host.tasks.get("\\mine\\", "p")
        assert (task.definition.description, task.definition.actions[0].command) == ("says hello", "sh.exe")
        other = session.run(cmd("New-ScheduledTaskAction", Execute="args.exe")).of("output")[0]
        assert session.run(cmd("Set-ScheduledTask", TaskName="p", TaskPath="\\mine\\", Action=other)).errors == []
        changed = host.tasks.get("\\mine\\", "p").definition
        assert (changed.description, changed.actions[0].command) == ("says hello", "args.exe")
        missing = session.run(cmd("Set-ScheduledTask", TaskName="none", Action=other))
        assert missing.errors == ["HRESULT 0x80070002,Set-ScheduledTask"]


class TestRegistry:
    def test_values_of_windows_are_read(self, session: Session) -> None:
        done = session.run(cmd("Get-ItemProperty", LiteralPath=CV, Name="CurrentBuild"))
        assert done.output[0].notes["CurrentBuild"] == "20348"
        assert done.output[0].notes["PSChildName"] == "CurrentVersion"
        assert session.run(cmd("Test-Path", LiteralPath=[CV, CV + "\\No"])).output == [True, False]
        missing = session.run(cmd("Get-ItemProperty", LiteralPath=CV, Name="No"))
        assert missing.errors == [
            f"System.Management.Automation.PSArgumentException,{COMMANDS}.GetItemPropertyCommand"]  # fmt: skip
        nowhere = session.run(cmd("Get-ItemProperty", LiteralPath="HKLM:\\SOFTWARE\\Nobody"))
        assert nowhere.errors == [f"PathNotFound,{COMMANDS}.GetItemPropertyCommand"]

    def test_what_nothing_would_heed_is_not_changed(self, session: Session, host: Host) -> None:
        done = session.run(cmd("Set-ItemProperty", LiteralPath=CV, Name="CurrentBuild", Value="1"))
        assert done.failed_with == f"SimulationRefused,{COMMANDS}.SetItemPropertyCommand"
        assert sum(host.refusals.values()) == 1

    def test_keys_of_ones_own_keep_what_they_are_given(self, session: Session, bob: Session) -> None:
        key = "HKLM:\\SOFTWARE\\Umbra"
        assert session.run(cmd("New-Item", Path=key)).errors == []
        session.run(cmd("New-ItemProperty", LiteralPath=key, Name="Runs", PropertyType="DWord", Value="3"))
        session.run(cmd("Set-ItemProperty", LiteralPath=key, Name="Paths", Value=["a", "b"]))
        shown = session.run(cmd("Get-ItemProperty", LiteralPath=key)).output[0].notes
        assert (shown["Runs"], shown["Paths"]) == (3, ["a", "b"])
        twice = session.run(cmd("New-ItemProperty", LiteralPath=key, Name="runs", Value=1))
        assert twice.errors == [f"System.IO.IOException,{COMMANDS}.NewItemPropertyCommand"]
        denied = bob.run(cmd("Set-ItemProperty", LiteralPath=key, Name="Runs", Value=1))
        assert denied.errors == [f"System.Security.SecurityException,{COMMANDS}.SetItemPropertyCommand"]
        session.run(cmd("Remove-ItemProperty", LiteralPath=key, Name="Runs"))
        assert "Runs" not in session.run(cmd("Get-ItemProperty", LiteralPath=key)).output[0].notes

    def test_files_have_properties_too(self, session: Session, host: Host) -> None:
        host.files.write("C:\\f.txt", b"x")
        session.run(cmd("Set-ItemProperty", LiteralPath="C:\\f.txt", Name="IsReadOnly", Value=True))
        done = session.run(cmd("Get-ItemProperty", LiteralPath="C:\\f.txt", Name="IsReadOnly"))
        assert done.output[0].notes["IsReadOnly"] is True


class TestConfigurations:
    ROLE = "C:\\Program Files\\WindowsPowerShell\\Modules\\M\\RoleCapabilities\\Reader.psrc"

    def test_an_endpoint_is_made_of_files_written_here(self, session: Session, host: Host) -> None:
        host.files.mkdir(self.ROLE.rpartition("\\")[0], parents=True)
        session.run(cmd("New-PSRoleCapabilityFile", Path=self.ROLE, VisibleCmdlets=["Get-Service"]))
        assert psdata.parse(host.files.read(self.ROLE).decode("utf-16"))["VisibleCmdlets"] == "Get-Service"
        pssc = "C:\\jea.pssc"
        session.run(
            cmd(
                "New-PSSessionConfigurationFile",
                Path=pssc,
                SessionType="RestrictedRemoteServer",
                RunAsVirtualAccount=True,
                RoleDefinitions={"SRV1\\bob": {"RoleCapabilities": "Reader"}},
            )
        )
        assert session.run(cmd("Test-PSSessionConfigurationFile", Path=pssc)).output == [True]
        restarted = threading.Event()
        host.on_winrm_restart.append(restarted.set)
        done = session.run(cmd("Register-PSSessionConfiguration", Name="Jea", Path=pssc, Force=True))
        assert (done.state, done.errors) == ("Completed", [])
        assert restarted.wait(5)
        shown = session.run([cmd("Get-PSSessionConfiguration"), cmd("Select-Object", ExpandProperty="Name")])
        assert shown.output == ["microsoft.powershell", "Jea"]
        bob = Session(host, "bob")
        account = host.users.find("bob")
        assert account is not None
        assert host.endpoints["jea"].admits(account, host.users)
        bob.runspace = Runspace(host, account, "J", "jea")
        assert bob.run(cmd("Get-Service", Name="VSS")).state == "Completed"
        assert bob.run(cmd("Get-Process")).failed_with == "CommandNotFoundException"

    def test_names_of_files_matter(self, session: Session) -> None:
        done = session.run(cmd("New-PSRoleCapabilityFile", Path="C:\\x.txt"))
        assert done.failed_with.startswith("InvalidRoleCapabilityFilePath,")
        wrong = session.run(cmd("New-PSSessionConfigurationFile", Path="C:\\x.psrc"))
        assert wrong.failed_with.startswith("InvalidPSSessionConfigurationFilePath,")

    @pytest.mark.parametrize("command", ["Get-PSSessionConfiguration", "Register-PSSessionConfiguration"])
    def test_it_takes_an_administrator(self, bob: Session, command: str) -> None:
        assert bob.run(cmd(command, Name="x")).state == "Failed"


class TestInventory:
    def test_the_computer_is_told(self, session: Session) -> None:
        done = session.run(cmd("Get-ComputerInfo", Property=["CsName", "OsBuild*"]))
        assert done.output[0].notes == {"CsName": "SRV1", "OsBuildNumber": "20348"}
        refused = session.run(cmd("Get-ComputerInfo", Property="BiosVersion"))
        assert refused.failed_with.startswith("SimulationRefused")

    def test_modules_are_told(self, session: Session) -> None:
        done = session.run(
            [cmd("Get-Module", ListAvailable=True, Name="S*"), cmd("Select-Object", ExpandProperty="Name")]
        )
        assert done.output == ["ScheduledTasks", "SmbShare", "Storage"]

    def test_classes_are_told(self, session: Session) -> None:
        done = session.run(cmd("Get-CimClass", ClassName="Win32_Volume"))
        assert done.output[0].props["CimClassName"] == "Win32_Volume"
        missing = session.run(cmd("Get-CimClass", ClassName="Win32_Nothing"))
        assert missing.errors == [
            "HRESULT 0x80041002,Microsoft.Management.Infrastructure.CimCmdlets.GetCimClassCommand"
        ]

    def test_the_size_of_a_storage_area_is_set(self, session: Session, host: Host) -> None:
        vss.install(host)
        session.run(cmd("Invoke-CimMethod", ClassName="Win32_ShadowStorage", MethodName="Create",
                        Arguments={"Volume": "D:\\", "DiffVolume": "D:\\"}))  # fmt: skip
        area = cmd("Get-CimInstance", ClassName="Win32_ShadowStorage")
        size = PSUInt64(1 << 30)
        done = session.run([area, cmd("Set-CimInstance", Property={"MaxSpace": size}, PassThru=True)])
        assert (done.errors, [int(each.props["MaxSpace"]) for each in done.output]) == ([], [1 << 30])
        refused = session.run([area, cmd("Set-CimInstance", Property={"UsedSpace": 0})])
        assert refused.failed_with.startswith("SimulationRefused,")

    def test_a_storage_area_is_found_by_the_text_of_its_references(self, session: Session, host: Host) -> None:
        vss.install(host)
        for letter in "CD":
            made = {"Volume": f"{letter}:\\", "DiffVolume": "D:\\", "MaxSpace": PSUInt64(1 << 30)}
            session.run(cmd("Invoke-CimMethod", ClassName="Win32_ShadowStorage", MethodName="Create", Arguments=made))
        volumes = {letter: host.volumes.by_path(f"{letter}:").device_id[10:-1] for letter in "CD"}

        def found(volume: str, on: str, *more: Command) -> list[Command]:
            return [
                cmd("Get-CimInstance", ClassName="Win32_ShadowStorage"),
                cmd("Where-Object", Property="Volume", Like=True, Value=f"*{volumes[volume]}*"),
                cmd("Where-Object", Property="DiffVolume", Like=True, Value=f"*{volumes[on]}*"),
                *more,
            ]

        def sizes() -> list[int]:
            area = cmd("Get-CimInstance", ClassName="Win32_ShadowStorage")
            return sorted(int(each.props["MaxSpace"]) for each in session.run([area]).output)

        change = cmd("Set-CimInstance", Property={"MaxSpace": PSUInt64(1 << 31)})
        assert session.run(found("C", "C", change)).errors == []
        assert sizes() == [1 << 30, 1 << 30], "there is no such area, and nothing happens"
        assert session.run(found("C", "D", change)).errors == []
        assert sizes() == [1 << 30, 1 << 31]
        assert session.run(found("D", "D", cmd("Remove-CimInstance"))).errors == []
        assert sizes() == [1 << 31]

    def test_security_goes_from_one_item_to_another(self, session: Session, host: Host) -> None:
        for each in ("C:\\a", "C:\\b"):
            host.files.mkdir(each)
        host.files.set_security("C:\\a", "D:P(A;OICI;FA;;;BA)(A;;FR;;;BU)")
        done = session.run([cmd("Get-Acl", LiteralPath="C:\\a"), cmd("Set-Acl", LiteralPath="C:\\b")])
        assert done.errors == []
        assert host.files.security("C:\\b") == host.files.security("C:\\a")


class TestInput:
    def test_what_the_client_sends_goes_into_the_first_command(self, session: Session) -> None:
        powershell = PowerShell()
        command = Command("Select-Object")
        command.add_parameter("First", 2)
        powershell.commands.append(command)
        outcome = Outcome()
        session.runspace.invoke(powershell, Recorder(outcome), threading.Event(), "P", iter(["a", "b", "c"]))
        assert outcome.output == ["a", "b"]
