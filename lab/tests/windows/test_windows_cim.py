# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CIM classes with the documented properties, and WQL over them."""

from __future__ import annotations

import datetime
import threading
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vsslab.windows import wql
from vsslab.windows.cim import CimError
from vsslab.windows.host import Host
from vsslab.windows.users import User

SAMPLE = {
    "Name": "C:\\", "Size": 10, "Label": None, "Boot": True,
    "Time": datetime.datetime(2024, 5, 31, 11, 9, 59, tzinfo=datetime.timezone.utc),
}  # fmt: skip


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("Name = 'c:\\\\'", True),
        ('name="C:\\\\"', True),
        ("Name LIKE '_:%'", True),
        ("Name LIKE '[D-F]:%'", False),
        ("Size >= 10 AND Size < 11", True),
        ("NOT Size = 10", False),
        ("5 < Size", True),
        ("Size = '10'", True),
        ("Label IS NULL", True),
        ("Label IS NOT NULL", False),
        ("Label = NULL OR Size = 1", True),
        ("Boot = TRUE AND (Size = 1 OR Size = 10)", True),
        ("Time >= '20240531130959.000000+120'", True),
        ("Time > '20240531130959.000000+120'", False),
        ("Size <> 10", False),
        ("Label <> 'x'", True),
    ],
)
def test_a_condition_is_judged_as_wmi_judges_it(condition: str, expected: bool) -> None:
    assert wql.parse_condition(condition)(SAMPLE) is expected


@pytest.mark.parametrize(
    "text",
    ["SELECT", "SELECT * FROM", "SELECT * FROM A WHERE", "SELECT * FROM A WHERE B", "SELECT * FROM A WHERE B = ",
     "SELECT * FROM A B", "SELECT * FROM A WHERE B ISA 'C'", "ASSOCIATORS OF {A}", "SELECT * FROM A WHERE B = 'x"],
)  # fmt: skip
def test_a_malformed_query_is_refused(text: str) -> None:
    with pytest.raises(wql.WqlError):
        wql.parse(text)


@given(st.text(max_size=40))
def test_any_text_in_quotes_is_compared_as_it_is(text: str) -> None:
    quoted = text.replace("\\", "\\\\").replace("'", "\\'")
    query = wql.parse(f"SELECT * FROM C WHERE P = '{quoted}'")
    assert query.matches({"P": text})


@given(st.datetimes(min_value=datetime.datetime(1970, 1, 2), timezones=st.just(datetime.timezone.utc)))
def test_dmtf_datetimes_read_back(moment: datetime.datetime) -> None:
    assert wql.parse_dmtf(wql.to_dmtf(moment)) == moment


def test_every_class_has_exactly_its_documented_properties(host: Host) -> None:
    for name in host.cim.classes():
        for each in host.cim.instances(None, name):
            assert list(each) == list(host.cim.types(name))
    assert host.cim.types("win32_volume")["Capacity"] == "uint64"


def test_the_operating_system_speaks_the_hosts_language(make_host: Callable[..., Host]) -> None:
    host = make_host(profile="windows10", language="fr-FR", time_zone="Europe/Paris")
    system = host.cim.instances(None, "Win32_OperatingSystem")[0]
    assert (system["Caption"], system["OSLanguage"], system["Locale"]) == (
        "Microsoft Windows 10 Professionnel",
        1036,
        "040c",
    )
    assert (system["ProductType"], system["Version"], system["BuildNumber"]) == (1, "10.0.19045", "19045")
    assert (system["MUILanguages"], system["WindowsDirectory"]) == (["fr-FR"], "C:\\Windows")
    assert system["CurrentTimeZone"] in (60, 120)
    assert system["LastBootUpTime"] < system["LocalDateTime"]
    disk = host.cim.instances(None, "Win32_LogicalDisk")[0]
    assert disk["Description"] == "Disque fixe local"


def test_a_query_gives_the_asked_properties_in_their_order(host: Host) -> None:
    found = host.cim.query("SELECT freespace, DriveLetter FROM Win32_Volume WHERE DriveLetter = 'D:'")
    assert [list(each) for each in found] == [["FreeSpace", "DriveLetter"]]
    assert 0 < found[0]["FreeSpace"] <= 32 << 20
    device = host.volumes[1].device_id.replace("\\", "\\\\")
    assert host.cim.query(f"SELECT Label FROM Win32_Volume WHERE DeviceID='{device}'") == [{"Label": "Data"}]


def test_refusals_carry_wmis_numbers_and_the_hosts_words(make_host: Callable[..., Host]) -> None:
    host = make_host(language="de")
    bob = host.users.find("bob")
    for act, hresult in (
        (lambda: host.cim.instances(None, "Win32_Nothing"), 0x80041010),
        (lambda: host.cim.query("SELECT Nothing FROM Win32_Volume"), 0x80041017),
        (lambda: host.cim.instances(bob, "Win32_Volume"), 0x80041003),
        (lambda: host.cim.delete(None, "Win32_Volume", {}), 0x80041024),
        (lambda: host.cim.invoke(None, "Win32_Process", "None"), 0x8004102E),
        (lambda: host.cim.invoke(None, "Win32_Process", "Create", {"Nothing": 1}), 0x80041008),
    ):
        with pytest.raises(CimError) as refused:
            act()
        assert refused.value.hresult == hresult
    assert refused.value.text.startswith("Ungültiger Parameter")


def test_a_room_registers_its_own_class_with_methods_and_deletion(host: Host) -> None:
    shadows = [{"ID": "{A}", "VolumeName": "x", "Count": 1}]

    def delete(_user: User, instance: dict[str, object]) -> None:
        shadows[:] = [each for each in shadows if each["ID"] != instance["ID"]]

    host.cim.register("Win32_ShadowCopy", lambda _user: list(shadows), delete,
                      {"Create": lambda user, args: {"ShadowID": args["Volume"], "ReturnValue": 0, "by": user.sid,
                                                     "context": args["Context"]}})  # fmt: skip
    made = host.cim.invoke(None, "win32_shadowcopy", "create", {"volume": "C:\\"})
    assert (made["ShadowID"], made["context"]) == ("C:\\", "ClientAccessible")
    assert host.ledger()["shadow_copies"] == ["{A} x"]
    host.cim.delete(None, "Win32_ShadowCopy", {"ID": "{a}"})
    assert host.ledger()["shadow_copies"] == []
    with pytest.raises(CimError):
        host.cim.delete(None, "Win32_ShadowCopy", {"ID": "{a}"})
    with pytest.raises(ValueError, match="property table"):
        host.cim.register("Win32_Unheard", lambda _user: [])


def test_processes_are_created_and_terminated_through_cim(host: Host) -> None:
    stopped = threading.Event()

    def wait(call: object) -> int:
        stop: threading.Event = call.stop  # type: ignore[attr-defined]
        stop.wait(10)
        stopped.set()
        return 0

    host.programs["wait.exe"] = wait
    made = host.cim.invoke(None, "Win32_Process", "Create", {"CommandLine": "wait.exe now"})
    assert made["ReturnValue"] == 0
    found = host.cim.query(f"SELECT CommandLine FROM Win32_Process WHERE ProcessId = {made['ProcessId']}")
    assert found == [{"CommandLine": "wait.exe now"}]
    handle = {"Handle": str(made["ProcessId"])}
    assert host.cim.invoke(None, "Win32_Process", "GetOwner", {}, handle)["User"] == "SYSTEM"
    assert host.cim.invoke(None, "Win32_Process", "Terminate", {}, handle)["ReturnValue"] == 0
    assert stopped.wait(5)
    assert host.cim.invoke(None, "Win32_Process", "Create", {"CommandLine": "none.exe"})["ReturnValue"] == 9


def test_services_are_controlled_through_cim(host: Host) -> None:
    vss = {"Name": "VSS"}
    assert host.cim.invoke(None, "Win32_Service", "StartService", {}, vss)["ReturnValue"] == 0
    assert host.cim.invoke(None, "Win32_Service", "StartService", {}, vss)["ReturnValue"] == 10
    found = host.cim.query("SELECT State, StartMode FROM Win32_Service WHERE Name = 'vss'")
    assert found == [{"State": "Running", "StartMode": "Manual"}]
