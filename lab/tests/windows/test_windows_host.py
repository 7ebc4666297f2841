# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole host: editions, languages, accounts, events, and the ledger of what is left behind."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable

import pytest
from vsslab.windows.clock import Clock
from vsslab.windows.errors import WinError, message
from vsslab.windows.host import Host
from vsslab.windows.profile import language_of, profile_of

PROFILES = ["server2016", "server2019", "server2022", "server2025", "windows10", "windows11"]


@pytest.mark.parametrize("key", PROFILES)
def test_editions_differ_in_what_they_have(key: str) -> None:
    profile = profile_of(key)
    assert profile.has_diskshadow is profile.server
    assert ("create shadow" in profile.vssadmin_verbs) is profile.server
    assert profile.version.endswith(profile.build)
    assert profile.ps_version.startswith("5.1.")


def test_unknown_editions_and_languages_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="server2008"):
        profile_of("server2008")
    with pytest.raises(ValueError, match="eo"):
        language_of("eo")


@pytest.mark.parametrize(
    ("tag", "expected"),
    [("en-US", "1/2/2026 5:09:06 PM"), ("de", "02.01.2026 17:09:06"), ("fr-FR", "02/01/2026 17:09:06")],
)
def test_dates_follow_the_language(tag: str, expected: str) -> None:
    assert language_of(tag).local_datetime(datetime.datetime(2026, 1, 2, 17, 9, 6)) == expected


def test_messages_follow_the_language_too() -> None:
    assert message(2, "fr-FR") == "Le fichier spécifié est introuvable."
    assert message(5, "it-IT") == "Access is denied."
    assert "0x270f" in message(9999, "en-US")
    assert WinError(5).hresult == 0x80070005


def test_accounts_are_found_by_every_spelling(make_host: Callable[..., Host]) -> None:
    host = make_host(language="de-DE")
    admin = host.users.find("administrator")
    assert admin is not None
    assert all(host.users.find(name) is admin for name in ("SRV1\\Administrator", ".\\administrator", admin.sid))
    for name in ("SYSTEM", "NT AUTHORITY\\SYSTEM", "NT-AUTORITÄT\\SYSTEM", "S-1-5-18"):
        found = host.users.find(name)
        assert found is not None
        assert (found.sid, found.full_name) == ("S-1-5-18", "NT-AUTORITÄT\\SYSTEM")
    assert host.users.sid_of("Administratoren") == host.users.sid_of("Administrators") == "S-1-5-32-544"
    assert host.users.find("nobody") is None
    with pytest.raises(WinError) as refused:
        host.users.sid_of("nobody")
    assert refused.value.code == 1332
    assert "secret" not in repr(list(host.users))
    assert host.users.name_of("S-1-5-21-9-9-9-1") == "S-1-5-21-9-9-9-1"


def test_events_have_numbers_sources_and_a_time(host: Host) -> None:
    with pytest.raises(ValueError, match="umbra-vss"):
        host.events.write("Application", "umbra-vss", 1)
    host.events.register_source("application", "umbra-vss")
    with pytest.raises(ValueError, match="already"):
        host.events.register_source("System", "UMBRA-VSS")
    start = host.clock.now()
    host.events.write("Application", "umbra-vss", 100, "Warning", message="one")
    host.events.write("Application", "VSS", 8224, data=["a", "b"])
    assert [each.record_id for each in host.events.query("Application")] == [2, 1]
    assert [each.id for each in host.events.query("Application", providers=["UMBRA-vss"], since=start)] == [100]
    assert host.events.query("Application", since=host.clock.now()) == []
    assert [each.message for each in host.events.query("Application", levels=[3])] == ["one"]
    assert host.cim.query("SELECT EventCode FROM Win32_NTLogEvent WHERE Logfile='Application' AND EventType=2") == [
        {"EventCode": 100}
    ]
    assert host.ledger()["event_sources"] == ["Application: umbra-vss"]


def test_the_ledger_is_plain_data_and_shows_every_change(host: Host) -> None:
    before = host.ledger()
    assert json.loads(json.dumps(before)) == before == host.ledger()
    host.files.mkdir("C:\\Windows\\umbra-vss\\runs", parents=True)
    host.files.write("C:\\Windows\\umbra-vss\\runs\\record.json", b"{}")
    host.files.symlink("D:\\link", "C:\\")
    host.services.start("VSS")
    after = host.ledger()
    assert {key for key in before if before[key] != after[key]} == {"files", "links", "services"}
    host.files.remove_tree("C:\\Windows\\umbra-vss")
    host.files.rmdir("D:\\link")
    host.services.stop("VSS")
    assert host.ledger() == before


def test_a_host_needs_its_volume_c_and_its_names_are_unique(make_host: Callable[..., Host]) -> None:
    with pytest.raises(ValueError, match="no volume C:"):
        make_host(volumes=[{"letter": "D"}])
    host = make_host()
    with pytest.raises(ValueError, match="account"):
        host.users.add("BOB", "x")


def test_the_same_host_has_the_same_identities_again(make_host: Callable[..., Host]) -> None:
    first, second = make_host(), make_host()
    assert first.volumes[1].guid != second.volumes[1].guid
    assert Host("srv1", first.root).volumes[0].guid == first.volumes[0].guid
    assert first.users.machine_sid != second.users.machine_sid


def test_a_fast_clock_is_fast_everywhere() -> None:
    clock = Clock("America/New_York", speed=1000.0)
    start, ticks = clock.now(), clock.monotonic()
    clock.sleep(20)
    assert 20 <= clock.monotonic() - ticks < 1000
    assert (clock.now() - start).total_seconds() >= 19.9
    assert clock.offset_minutes(datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)) == -300
    with pytest.raises(ValueError, match="above zero"):
        Clock(speed=0)


def test_variables_are_those_of_the_account(host: Host) -> None:
    assert host.expand("%SystemRoot%\\x %NONE% 100%") == "C:\\Windows\\x %NONE% 100%"
    assert host.expand("%TEMP%", host.users.find("bob")) == "C:\\Users\\bob\\AppData\\Local\\Temp"
