# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host through commands: CIM, services, processes, tasks, events, its clock and its name."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import pytest
from vsslab.windows.host import Host

from .harness import Session, cmd

CIM = "Microsoft.Management.Infrastructure.CimCmdlets"
COMMANDS = "Microsoft.PowerShell.Commands"
TO_JSON = cmd("ConvertTo-Json", Compress=True)
TASK = """<?xml version="1.0" encoding="UTF-16"?>
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
 <Principals><Principal id="Author"><UserId>S-1-5-18</UserId></Principal></Principals>
 <Actions Context="Author"><Exec><Command>C:\\Windows\\System32\\sh.exe</Command></Exec></Actions>
</Task>"""
TEST_CLASS = "Win32_ShadowCopy"


def read(session: Session, *stages: Any) -> Any:
    (text,) = session.run([*stages, TO_JSON]).output
    return json.loads(text)


class TestCim:
    def test_a_class_is_projected_to_json(self, session: Session, host: Host) -> None:
        rows = read(session, cmd("Get-CimInstance", ClassName="Win32_Volume", Filter="DriveType=3"),
                    cmd("Select-Object", Property=["DriveLetter", "Capacity", "BootVolume"]))  # fmt: skip
        assert rows == [
            {"DriveLetter": f"{each.letter}:", "Capacity": each.capacity, "BootVolume": each.boot}
            for each in host.volumes
        ]

    def test_numbers_have_the_types_of_the_class(self, session: Session) -> None:
        (xml, *_) = session.run(cmd("Get-CimInstance", ClassName="Win32_Volume")).xml()
        kinds = {each.get("N"): each.tag for each in xml.find("Props")}
        assert (kinds["Capacity"], kinds["DriveType"], kinds["BootVolume"], kinds["Label"]) == (
            "U64",
            "U32",
            "B",
            "Nil",
        )
        assert xml.findtext("TN/T") == "Microsoft.Management.Infrastructure.CimInstance#root/cimv2/Win32_Volume"

    def test_a_query_fills_only_what_it_asks_for(self, session: Session) -> None:
        row = read(session, cmd("Get-CimInstance", Query="SELECT Version FROM Win32_OperatingSystem"),
                   cmd("Select-Object", Property=["Version", "Caption"]))  # fmt: skip
        assert row == {"Version": "10.0.20348", "Caption": None}

    @pytest.mark.parametrize(
        ("asked", "number", "category"),
        [
            (cmd("Get-CimInstance", ClassName="Win32_Nope"), "0x80041010", "MetadataError"),
            (cmd("Get-CimInstance", Query="no query"), "0x80041017", "InvalidArgument"),
            (cmd("Get-CimInstance", ClassName="Win32_Volume", Namespace="root/nope"), "0x8004100e", "MetadataError"),
        ],
    )
    def test_refusals_do_not_end_the_pipeline(self, session: Session, asked, number: str, category: str) -> None:
        done = session.run(cmd("Write-Output", 0), asked, cmd("Write-Output", 1))
        assert done.output == [0, 1]
        assert done.errors == [f"HRESULT {number},{CIM}.GetCimInstanceCommand"]
        assert done.of("error")[0].category == category

    def test_an_ordinary_account_is_denied(self, bob: Session) -> None:
        assert bob.run(cmd("Get-CimInstance", ClassName="Win32_Volume")).errors == [
            f"HRESULT 0x80041003,{CIM}.GetCimInstanceCommand"
        ]

    def test_instances_are_removed_through_the_pipe_or_by_query(self, session: Session, host: Host) -> None:
        copies = [{"ID": f"{{{number}}}", "VolumeName": "D:\\"} for number in range(3)]
        host.cim.register(TEST_CLASS, lambda _user: list(copies), lambda _user, doomed: copies.remove(
            next(each for each in copies if each["ID"] == doomed["ID"])))  # fmt: skip
        session.run(
            [cmd("Get-CimInstance", Query=f"SELECT * FROM {TEST_CLASS} WHERE ID='{{1}}'"), cmd("Remove-CimInstance")],
            cmd("Remove-CimInstance", Query=f"SELECT * FROM {TEST_CLASS} WHERE ID='{{2}}'"),
        )
        assert [each["ID"] for each in copies] == ["{0}"]

    def test_a_method_gets_its_arguments_and_gives_its_results(self, session: Session, host: Host) -> None:
        seen = {}

        def create(_user: Any, arguments: Any) -> dict[str, Any]:
            seen.update(arguments)
            return {"ReturnValue": 9, "ShadowID": None}

        host.cim.register(TEST_CLASS, lambda _user: [], None, {"Create": create})
        row = read(
            session,
            cmd("Invoke-CimMethod", ClassName=TEST_CLASS, MethodName="Create", Arguments={"Volume": "D:\\"}),
            cmd("Select-Object", Property=["ReturnValue", "ShadowID"]),
        )
        assert row == {"ReturnValue": 9, "ShadowID": None}
        assert seen == {"Volume": "D:\\", "Context": "ClientAccessible"}


class TestServicesAndProcesses:
    def test_services_start_and_stop(self, session: Session, host: Host) -> None:
        session.run(cmd("Start-Service", Name="VSS"))
        assert host.services.get("VSS").status == "Running"
        status = read(
            session,
            cmd("Stop-Service", Name="VSS", PassThru=True),
            cmd("Select-Object", Property=["Name", "Status", "StartType"]),
        )
        assert status == {"Name": "VSS", "Status": 1, "StartType": 3}

    def test_dependents_keep_a_service_from_stopping(self, session: Session, host: Host) -> None:
        host.services.start("COMSysApp")
        done = session.run(cmd("Stop-Service", Name="EventSystem"))
        assert done.errors == [f"ServiceHasDependentServices,{COMMANDS}.StopServiceCommand"]
        session.run(cmd("Restart-Service", Name="EventSystem", Force=True))
        assert {host.services.get(each).status for each in ("COMSysApp", "EventSystem")} == {"Running"}

    def test_what_cannot_be_is_reported(self, session: Session, bob: Session) -> None:
        done = session.run(cmd("Get-Service", Name=["VSS", "nope"]), cmd("Stop-Service", Name="RPCSS", Force=True))
        assert done.errors == [
            f"NoServiceFoundForGivenName,{COMMANDS}.GetServiceCommand",
            f"CouldNotStopService,{COMMANDS}.StopServiceCommand",
        ]
        assert bob.run(cmd("Start-Service", Name="VSS")).errors == [
            f"CouldNotStartService,{COMMANDS}.StartServiceCommand"
        ]

    def test_processes_are_listed(self, session: Session) -> None:
        done = session.run(
            [cmd("Get-Process", Name="lsass"), cmd("ForEach-Object", MemberName="Id")], cmd("Get-Process", Id=99999)
        )
        assert done.output == [660]
        assert done.errors == [f"NoProcessFoundForGivenId,{COMMANDS}.GetProcessCommand"]


class TestTasks:
    ONE: ClassVar[dict[str, Any]] = {"TaskName": "t", "TaskPath": "\\umbra-vss\\"}

    def register(self, session: Session, **more: Any):
        return session.run(cmd("Register-ScheduledTask", Xml=TASK, User="SYSTEM", **self.ONE, **more))

    def test_a_task_runs_and_tells_its_result(self, session: Session, host: Host) -> None:
        self.register(session)
        info = [cmd("Get-ScheduledTaskInfo", **self.ONE), cmd("ForEach-Object", MemberName="LastTaskResult")]
        assert session.run(info).output == [267011]
        session.run(cmd("Start-ScheduledTask", **self.ONE))
        host.tasks.get("\\umbra-vss\\", "t").idle.wait(5)
        assert session.run(info).output == [3]
        assert read(
            session, cmd("Get-ScheduledTask", TaskName="t"), cmd("Select-Object", Property=["State", "TaskPath"])
        ) == {"State": 3, "TaskPath": "\\umbra-vss\\"}

    def test_its_author_and_description_are_those_of_its_xml(self, session: Session) -> None:
        told = "<RegistrationInfo><Author>me</Author><Description>what for</Description></RegistrationInfo>"
        text = TASK.replace(" <Principals>", told + "<Principals>")
        assert session.run(cmd("Register-ScheduledTask", Xml=text, User="SYSTEM", **self.ONE)).errors == []
        fields = cmd("Select-Object", Property=["Author", "Description"])
        assert read(session, cmd("Get-ScheduledTask", TaskName="t"), fields) == {
            "Author": "me",
            "Description": "what for",
        }

    def test_an_existing_one_is_replaced_with_force_only(self, session: Session) -> None:
        self.register(session)
        assert self.register(session).errors == ["HRESULT 0x800700b7,Register-ScheduledTask"]
        assert self.register(session, Force=True).errors == []

    def test_a_missing_one_is_told_twice_over(self, session: Session) -> None:
        done = session.run(cmd("Get-ScheduledTask", TaskName="no"), cmd("Start-ScheduledTask", TaskName="no"),
                           cmd("Unregister-ScheduledTask", TaskName="no", Confirm=False))  # fmt: skip
        assert done.errors == [
            "CmdletizationQuery_NotFound_TaskName,Get-ScheduledTask",
            "HRESULT 0x80070002,Start-ScheduledTask",
            "CmdletizationQuery_NotFound_TaskName,Unregister-ScheduledTask",
        ]

    def test_taking_one_away_asks_unless_told_not_to(self, session: Session, host: Host) -> None:
        self.register(session)
        assert (
            session.run(cmd("Unregister-ScheduledTask", **self.ONE)).failed_with
            == "HostFunctionNotImplemented,Unregister-ScheduledTask"
        )
        session.run(cmd("Unregister-ScheduledTask", **self.ONE, Confirm=False))
        assert host.tasks.list() == []

    def test_an_ordinary_account_is_denied(self, bob: Session) -> None:
        assert self.register(bob).errors == ["HRESULT 0x80070005,Register-ScheduledTask"]


class TestEvents:
    def write(self, session: Session, number: int = 1, kind: str = "Information"):
        return cmd(
            "Write-EventLog",
            LogName="Application",
            Source="umbra-vss",
            EventId=number,
            EntryType=kind,
            Message=f"m{number}",
        )

    @pytest.fixture(autouse=True)
    def source(self, session: Session) -> None:
        assert session.run(cmd("New-EventLog", LogName="Application", Source="umbra-vss")).errors == []

    def test_a_source_is_registered_once(self, session: Session) -> None:
        assert session.run(cmd("New-EventLog", LogName="Application", Source="umbra-vss")).errors == [
            f"Source Exists,{COMMANDS}.NewEventLogCommand"
        ]

    def test_an_unknown_source_cannot_write(self, session: Session) -> None:
        done = session.run(cmd("Write-EventLog", LogName="Application", Source="nobody", EventId=1, Message="m"))
        assert done.failed_with == f"Source does not exist,{COMMANDS}.WriteEventLogCommand"

    @pytest.mark.parametrize(
        ("query", "ids"),
        [
            ("*", [3, 2, 1]),
            ("*[System[Provider[@Name='umbra-vss' or @Name='VSS']]]", [3, 2, 1]),
            ("*[System[(EventID=1 or EventID=3) and Level>=4]]", [1]),
            ("*[System[Level=2 and TimeCreated[timediff(@SystemTime) <= 60000]]]", [3]),
            ("*[System[TimeCreated[@SystemTime>='2000-01-01T00:00:00.000Z']]][EventData[Data='m2']]", [2]),
        ],
    )
    def test_queries_find_them_newest_first(self, session: Session, query: str, ids: list[int]) -> None:
        session.run(self.write(session, 1), self.write(session, 2, "Warning"), self.write(session, 3, "Error"))
        found = session.run(
            [cmd("Get-WinEvent", LogName="Application", FilterXPath=query), cmd("ForEach-Object", MemberName="Id")]
        )
        assert found.output == ids

    def test_a_table_of_conditions_does_too(self, session: Session) -> None:
        session.run(self.write(session, 1), self.write(session, 2))
        wanted = {
            "LogName": "Application",
            "ProviderName": "umbra-vss",
            "ID": [2, 7],
            "StartTime": "2000-01-01T00:00:00",
        }
        done = session.run(
            [cmd("Get-WinEvent", FilterHashtable=wanted, MaxEvents=5), cmd("ForEach-Object", MemberName="Message")]
        )
        assert done.output == ["m2"]

    def test_finding_none_is_an_error(self, session: Session) -> None:
        done = session.run(
            cmd("Get-WinEvent", LogName="Application", FilterXPath="*[System[EventID=99]]"),
            cmd("Get-WinEvent", LogName="Nope"),
            cmd("Get-EventLog", LogName="Application", Source="none"),
        )
        assert done.errors[0] == f"NoMatchingEventsFound,{COMMANDS}.GetWinEventCommand"
        assert f"NoMatchingLogsFound,{COMMANDS}.GetWinEventCommand" in done.errors
        assert done.errors[-1] == f"GetEventLogNoEntriesFound,{COMMANDS}.GetEventLogCommand"

    def test_what_is_no_query_fails_and_what_is_not_simulated_says_so(self, session: Session) -> None:
        done = session.run(cmd("Get-WinEvent", LogName="Application", FilterXPath="*[System[EventID=]]"))
        assert done.failed_with == f"System.Diagnostics.Eventing.Reader.EventLogException,{COMMANDS}.GetWinEventCommand"
        done = session.run(cmd("Get-WinEvent", LogName="Application", FilterXPath="*[System[Keywords=1]]"))
        assert done.failed_with.startswith("SimulationRefused,")

    def test_the_classic_command_reads_them_too(self, session: Session) -> None:
        session.run(self.write(session, 1), self.write(session, 2, "Error"))
        row = read(session, cmd("Get-EventLog", LogName="Application", Newest=1, EntryType="Error"),
                   cmd("Select-Object", Property=["EventID", "EntryType", "Message"]))  # fmt: skip
        assert row == {"EventID": 2, "EntryType": 1, "Message": "m2"}


class TestTheHostItself:
    def test_the_date_is_local_and_carries_notes(self, session: Session) -> None:
        assert set(read(session, cmd("Get-Date"))) == {"value", "DisplayHint", "DateTime"}
        moment = "2026-01-02T03:04:05Z"
        assert session.run(cmd("Get-Date", Date=moment, Format="yyyy-MM-ddTHH:mm:ss")).output == ["2026-01-02T03:04:05"]
        assert session.run(cmd("Get-Date", Format="dddd")).failed_with.startswith("SimulationRefused,")

    @pytest.mark.parametrize(("zone", "name"), [("UTC", "UTC"), ("Europe/Berlin", "W. Europe Standard Time")])
    def test_the_zone_has_its_windows_name(self, tmp_path, zone: str, name: str) -> None:
        host = Host("h", tmp_path, time_zone=zone, users=[{"name": "admin", "password": "x", "administrator": True}])
        assert Session(host, "admin").run([cmd("Get-TimeZone"), cmd("ForEach-Object", MemberName="Id")]).output == [
            name
        ]
        host.close()

    def test_its_language_words_the_errors(self, tmp_path) -> None:
        host = Host("h", tmp_path, language="de-DE", users=[{"name": "admin", "password": "x", "administrator": True}])
        german = Session(host, "admin")
        assert german.run(cmd("Get-Culture")).output[0].props["Name"] == "de-DE"
        done = german.run(cmd("Get-Item", LiteralPath="C:\\nein"))
        assert (
            done.of("error")[0].message == 'Der Pfad "C:\\nein" kann nicht gefunden werden, da er nicht vorhanden ist.'
        )
        host.close()

    def test_volumes_of_the_storage_module(self, session: Session) -> None:
        done = session.run(
            [cmd("Get-Volume", DriveLetter="D"), cmd("ForEach-Object", MemberName="FileSystemLabel")],
            cmd("Get-Volume", DriveLetter="Q"),
        )
        assert done.output == ["Data"]
        assert done.errors == ["CmdletizationQuery_NotFound_DriveLetter,Get-Volume"]

    def test_commands_and_programs_are_found_by_name(self, session: Session) -> None:
        done = session.run(
            [cmd("Get-Command", Name=["Get-Item", "sh.exe", "nope"]), cmd("ForEach-Object", MemberName="Name")]
        )
        assert done.output == ["Get-Item", "sh.exe"]
        assert done.errors == [f"CommandNotFoundException,{COMMANDS}.GetCommandCommand"]
