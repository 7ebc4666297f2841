# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs are found, run, watched and ended."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from vsslab.windows.errors import WinError
from vsslab.windows.host import Host
from vsslab.windows.processes import CONTROL_C_EXIT, Invocation, ProgramNotFound
from vsslab.windows.users import User


def talk(call: Invocation) -> int:
    call.out(" ".join(call.argv[1:]))
    call.err(call.user.name)
    return 3


def wait(call: Invocation) -> int:
    call.out("waiting")
    return 0 if call.stop.wait(10) else 1


@pytest.fixture
def admin(host: Host) -> User:
    host.programs["talk.exe"] = talk
    host.programs["wait.exe"] = wait
    found = host.users.find("Administrator")
    assert found is not None
    return found


def run(
    host: Host, argv: list[str], user: User, stop: threading.Event | None = None
) -> tuple[int, list[str], list[str]]:
    out: list[str] = []
    err: list[str] = []
    code = host.processes.run(argv, user, out=out.append, err=err.append, stop=stop or threading.Event())
    return code, out, err


def in_thread(act: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=act)
    thread.start()
    return thread


def wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(200):
        if condition():
            return
        threading.Event().wait(0.01)
    raise AssertionError("It did not happen.")


@pytest.mark.parametrize(
    "name", ["talk.exe", "TALK", "C:\\Windows\\System32\\talk.exe", "c:/windows/system32/Talk.exe"]
)
def test_a_program_is_found_by_name_and_by_path(host: Host, admin: User, name: str) -> None:
    assert run(host, [name, "a", "b c"], admin) == (3, ["a b c"], ["Administrator"])
    assert host.files.exists("C:\\Windows\\System32\\talk.exe")


@pytest.mark.parametrize("name", ["diskshadow.exe", "C:\\Tools\\talk.exe", "none"])
def test_what_the_host_does_not_have_is_not_found(host: Host, admin: User, name: str) -> None:
    with pytest.raises(ProgramNotFound) as refused:
        run(host, [name], admin)
    assert refused.value.code == 2


def test_a_stopped_program_ends_as_after_control_c(host: Host, admin: User) -> None:
    stop = threading.Event()
    codes: list[int] = []
    thread = in_thread(lambda: codes.append(run(host, ["wait.exe"], admin, stop)[0]))
    wait_for(lambda: any(each.name == "wait.exe" for each in host.processes.list()))
    stop.set()
    thread.join(5)
    assert codes == [CONTROL_C_EXIT]
    assert not any(each.name == "wait.exe" for each in host.processes.list())


def test_a_killed_program_has_the_killers_code_and_nobody_else_stops(host: Host, admin: User) -> None:
    stop = threading.Event()
    first, second = (host.processes.start(["wait.exe"], admin, owner=name) for name in ("shell1", "shell2"))
    assert host.processes.kill(first.pid, 1)
    assert first.wait(5) == 1
    assert second.exit_code is None
    assert [each.pid for each in host.processes.kill_owned("shell2")] == [second.pid]
    assert second.wait(5) == -1
    assert not stop.is_set()
    assert not host.processes.kill(4)
    assert not host.processes.kill(99999)


def test_faults_delay_fail_and_kill_programs(host: Host, admin: User) -> None:
    host.faults.add({"on": {"kind": "program", "program": "talk.exe"}, "do": {"fail": 5}})
    assert run(host, ["talk.exe"], admin) == (5, [], [])
    assert run(host, ["talk.exe"], admin)[0] == 3
    host.faults.add(
        {"on": {"kind": "program", "program": "wait*", "host": "srv*"}, "do": {"kill": True, "delay": 0.05}}
    )
    assert run(host, ["wait.exe"], admin) == (-1, ["waiting"], [])


def test_every_program_leaves_a_trace_with_its_exit_code(host: Host, admin: User) -> None:
    run(host, ["talk.exe", "x"], admin)
    entry = host.trace.events("program")[-1]
    assert (entry["program"], entry["argv"], entry["exit_code"]) == ("talk.exe", ["talk.exe", "x"], 3)
    assert entry["user"] == "SRV1\\Administrator"


def test_a_restart_ends_programs_and_tells_those_who_asked(host: Host, admin: User) -> None:
    process = host.processes.start(["wait.exe"], admin)
    told: list[str] = []
    host.on_reboot.append(lambda: told.append("reboot"))
    before = host.boot_time
    host.services.start("VSS")
    host.reboot()
    assert process.wait(0) is not None
    assert told == ["reboot"]
    assert host.boot_time > before
    assert host.services.get("vss").status == "Stopped"
    assert host.services.get("WinRM").status == "Running"


def test_services_start_and_stop_with_what_depends_on_them(host: Host) -> None:
    services = host.services
    services.start("COMSysApp")
    services.stop("COMSysApp")
    for act, code in (
        (lambda: services.stop("RpcSs"), 1052),
        (lambda: services.start("CryptSvc"), 1056),
        (lambda: services.stop("VSS"), 1062),
        (lambda: services.get("none"), 1060),
    ):
        with pytest.raises(WinError) as refused:
            act()
        assert refused.value.code == code
    services.start("COMSysApp")
    with pytest.raises(WinError) as refused:
        services.stop("EventSystem")
    assert refused.value.code == 1051
    services.stop("EventSystem", force=True)
    assert services.get("COMSysApp").status == "Stopped"
    services.set_start_type("VSS", "Disabled")
    with pytest.raises(WinError):
        services.start("VSS")
