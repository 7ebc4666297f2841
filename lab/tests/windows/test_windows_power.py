# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A restart takes its time, ends everything, and leaves the events of Windows; logs hold as much as they may."""

from __future__ import annotations

import datetime
import threading
from collections.abc import Callable

import pytest
from vsslab.labtime import LabTime
from vsslab.windows.clock import Clock
from vsslab.windows.errors import WinError
from vsslab.windows.host import Host

from .conftest import NOON


@pytest.fixture
def host(make_host: Callable[..., Host], time: LabTime) -> Host:
    return make_host(clock=Clock("Europe/Berlin", time=time), restart_seconds=45.0)


def system_events(host: Host) -> list[tuple[str, int]]:
    return [(each.provider.removeprefix("Microsoft-Windows-"), each.id) for each in
            host.events.query("System", oldest_first=True)]  # fmt: skip


def test_a_restart_takes_its_time(host: Host, time: LabTime) -> None:
    told: list[str] = []
    host.on_reboot.append(lambda: told.append(f"down {host.state}"))
    host.on_boot.append(lambda: told.append(f"up {host.state}"))
    host.begin_reboot(delay=5.0)
    time.advance(4)
    assert host.state == "running"
    time.advance(2)
    assert (host.state, told) == ("restarting", ["down restarting"])
    time.advance(46)
    assert (host.state, told) == ("running", ["down restarting", "up running"])
    assert host.boot_time == NOON + datetime.timedelta(seconds=50)


def test_a_clean_restart_says_so_in_the_system_log(host: Host) -> None:
    host.reboot(0.0, by=host.users.find("Administrator"))
    assert system_events(host) == [
        ("User32", 1074), ("Kernel-General", 13), ("EventLog", 6006), ("Kernel-General", 12), ("EventLog", 6005)
    ]  # fmt: skip
    assert "on behalf of user SRV1\\Administrator" in host.events.query("System", ids=[1074])[0].message


def test_a_crash_is_noticed_at_the_next_start(host: Host) -> None:
    host.reboot(0.0, unexpected=True)
    assert system_events(host) == [
        ("Kernel-Power", 41), ("Kernel-General", 12), ("EventLog", 6008), ("EventLog", 6005)
    ]  # fmt: skip
    assert host.events.query("System", ids=[6008])[0].data == ("2:00:00 PM", "6/1/2026")
    host.reboot(0.0)
    assert system_events(host)[4:] == [
        ("User32", 1074), ("Kernel-General", 13), ("EventLog", 6006), ("Kernel-General", 12), ("EventLog", 6005)
    ]  # fmt: skip


def test_a_host_that_is_off_stays_off_until_it_is_switched_on(host: Host, time: LabTime) -> None:
    host.shut_down()
    time.advance(3600)
    assert host.state == "off"
    host.reboot(0.0)
    assert host.state == "off"
    host.power_on()
    assert host.state == "running"


def test_renames_that_had_to_wait_are_done_at_the_start(host: Host) -> None:
    host.files.write("D:\\new.dll", b"2")
    host.files.write("D:\\old.dll", b"1")
    host.files.write("D:\\gone", b"")
    host.pending_renames += [("D:\\new.dll", "D:\\old.dll"), ("D:\\gone", None), ("D:\\missing", None)]
    host.reboot(0.0)
    assert host.files.read("D:\\old.dll") == b"2"
    assert not host.files.exists("D:\\gone")
    assert host.pending_renames == []


def test_closing_the_laboratory_does_not_wait_for_a_restart(host: Host, time: LabTime) -> None:
    thread = threading.Thread(target=host.reboot, daemon=True)
    thread.start()
    time.wait_for(1)
    host.close()
    thread.join(5)
    assert not thread.is_alive()
    assert host.state == "restarting"


def test_setting_the_clock_is_an_event(host: Host) -> None:
    host.clock.jump(-3600)
    event = host.events.query("System", ids=[1])[0]
    assert event.data == ("2026-06-01T11:00:00.000000000Z", "2026-06-01T12:00:00.000000000Z")
    assert event.message.startswith("The system time has changed to 2026-06-01T11")


def test_a_full_log_loses_its_oldest_events_but_not_their_numbers(host: Host) -> None:
    host.events.set_limit("Application", 65536)
    for number in range(200):
        host.events.write("Application", "VSS", 8224, message="", data=[f"{number}", "x" * 500])
    kept = host.events.query("Application", oldest_first=True)
    assert 30 < len(kept) < 60
    assert (kept[-1].record_id, kept[0].record_id) == (200, 201 - len(kept))
    assert host.events.logs["Application"].size <= 65536


def fill(host: Host) -> None:
    for _ in range(200):
        host.events.write("Application", "VSS", 8224, data=["x" * 500])


def test_a_log_that_may_not_overwrite_refuses_when_it_is_full(host: Host) -> None:
    host.events.set_limit("Application", 65536, overwrite=False)
    with pytest.raises(WinError) as refused:
        fill(host)
    assert refused.value.code == 1502
    assert host.events.query("Application", oldest_first=True)[0].record_id == 1


def test_clearing_a_log_leaves_one_event_that_says_so(host: Host) -> None:
    host.events.write("Application", "VSS", 8224)
    host.events.clear("Application", "SRV1\\Administrator")
    assert host.events.query("Application") == []
    assert host.events.query("System")[0].id == 104
    host.events.clear("Security")
    assert [each.id for each in host.events.query("Security")] == [1102]
    host.events.write("Application", "VSS", 8224)
    assert host.events.query("Application")[0].record_id == 1
