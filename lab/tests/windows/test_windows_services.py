# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services start and stop with what they need and what needs them, hang, crash and come back."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from vsslab.labtime import LabTime
from vsslab.windows.clock import Clock
from vsslab.windows.errors import WinError
from vsslab.windows.host import Host
from vsslab.windows.services import Service


@pytest.fixture
def host(make_host: Callable[..., Host], time: LabTime) -> Host:
    host = make_host(clock=Clock(time=time))
    host.services.add(Service("Base", "Base", "Running", "Auto"))
    host.services.add(Service("Middle", "Middle", "Running", "Auto", ("Base",)))
    host.services.add(Service("Top", "Top", "Running", "Auto", ("Middle",)))
    return host


def code_of(act: Callable[[], object]) -> int:
    with pytest.raises(WinError) as refused:
        act()
    return refused.value.code


def states(host: Host) -> list[str]:
    return [host.services.get(each).status for each in ("Base", "Middle", "Top")]


def test_dependents_stop_first_and_only_when_forced(host: Host) -> None:
    assert code_of(lambda: host.services.stop("Base")) == 1051
    told: list[str] = []
    for name in ("Base", "Middle", "Top"):
        host.services.get(name).on_stop.append(lambda name=name: told.append(name))  # type: ignore[misc]
    host.services.stop("Base", force=True)
    assert told == ["Top", "Middle", "Base"]
    host.services.start("Top")
    assert states(host) == ["Running"] * 3


def test_a_hung_stop_is_pending_for_as_long_as_it_takes(host: Host, time: LabTime) -> None:
    host.services.get("Top").stop_seconds = 30.0
    done = threading.Event()
    threading.Thread(target=lambda: (host.services.stop("Top"), done.set()), daemon=True).start()
    time.wait_for(1)
    assert host.services.get("Top").status == "StopPending"
    (row,) = host.cim.instances(None, "Win32_Service", "Name = 'Top'")
    assert (row["State"], row["AcceptStop"]) == ("Stop Pending", False)
    assert code_of(lambda: host.services.stop("Top")) == 1061
    assert code_of(lambda: host.services.start("Top")) == 1061
    time.advance(29)
    assert not done.is_set()
    time.advance(2)
    assert done.wait(5)
    assert host.services.get("Top").status == "Stopped"


def test_who_does_not_wait_leaves_it_stopping(host: Host, time: LabTime) -> None:
    host.services.get("Top").stop_seconds = 30.0
    host.services.stop("Top", wait=False)
    assert host.services.get("Top").status == "StopPending"
    time.advance(31)
    assert host.services.get("Top").status == "Stopped"


def test_a_crash_is_told_and_takes_nothing_along(host: Host) -> None:
    told: list[str] = []
    host.services.get("Base").on_stop.append(lambda: told.append("Base"))
    host.services.crash("Base")
    assert states(host) == ["Stopped", "Running", "Running"]
    assert told == ["Base"]
    (row,) = host.cim.instances(None, "Win32_Service", "Name = 'Base'")
    assert (row["ExitCode"], row["ProcessId"]) == (1067, 0)
    event = host.events.query("System", ids=[7034])[0]
    assert (event.provider, event.level, event.data) == ("Service Control Manager", 2, ("Base", "1"))
    assert code_of(lambda: host.services.crash("Base")) == 1062


def test_killing_a_services_process_crashes_it(host: Host) -> None:
    process = host.services.get("Base").process
    assert process is not None
    assert host.processes.kill(process.pid)
    assert host.services.get("Base").status == "Stopped"
    assert host.processes.get(process.pid) is None


def test_recovery_starts_a_crashed_service_again(host: Host, time: LabTime) -> None:
    host.services.get("Base").restart_after = 60.0
    host.services.crash("Base")
    assert "in 60000 milliseconds" in host.events.query("System", ids=[7031])[0].message
    time.advance(59)
    assert host.services.get("Base").status == "Stopped"
    time.advance(2)
    assert host.services.get("Base").status == "Running"


def test_a_delayed_service_comes_two_minutes_after_the_others(host: Host, time: LabTime) -> None:
    host.services.set_start_type("Base", "Auto", delayed=True)
    host.services.set_start_type("Middle", "Manual")
    host.services.set_start_type("Top", "Manual")
    host.reboot()
    assert states(host) == ["Stopped", "Stopped", "Stopped"]
    (row,) = host.cim.instances(None, "Win32_Service", "Name = 'Base'")
    assert (row["DelayedAutoStart"], row["ExitCode"]) == (True, 1077)
    time.advance(121)
    assert states(host) == ["Running", "Stopped", "Stopped"]


def test_a_service_runs_as_its_account(host: Host) -> None:
    process = host.services.get("EventSystem").process
    assert process is not None
    assert process.user.sid == "S-1-5-19"
