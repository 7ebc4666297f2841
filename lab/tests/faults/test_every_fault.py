# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every kind of fault with every action shows on an unmodified client."""

from __future__ import annotations

import datetime
import functools
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import requests
from pypsrp.exceptions import WSManFaultError
from vsslab import faultwords, scenario
from vsslab.lab import Lab

from .conftest import Client, in_background, until

BUSY = 9  # Win32_ShadowCopy.Create: another shadow copy operation is in progress


# --- what makes each kind occur, through the client; what it gives is judged below


def _task(client: Client) -> int:
    client.run("Start-ScheduledTask", TaskName="job")
    client.host.tasks.get("\\", "job").idle.wait(10)
    (info,) = client.run("Get-ScheduledTaskInfo", TaskName="job").output
    return int(info.adapted_properties["LastTaskResult"])


def _program(client: Client) -> tuple[int, list[Any]]:
    with client.session():
        output = client.run("whoami.exe", "/user").output
        (code,) = client.run("Get-Variable", Name="LASTEXITCODE", ValueOnly=True).output
    return int(code), output


OCCUR: dict[str, tuple[dict[str, Any], Callable[[Client], Any], Any]] = {
    "http": ({"operation": "Command"}, lambda c: c.run("Get-TimeZone").errors, []),
    "command": ({"command": "Get-TimeZone", "user": "Administrator"}, lambda c: c.run("Get-TimeZone").errors, []),
    "program": ({"program": "whoami.exe", "verb": "/user"}, lambda c: _program(c)[0], 0),
    "phase": ({"phase": "commit", "volume": "C:", "provider": "Microsoft*"}, lambda c: c.create(), 0),
    "task": ({"task": "\\job", "user": "SYSTEM"}, _task, 0),
    "service": ({"service": "CryptSvc", "change": "stop"}, lambda c: c.run("Stop-Service", Name="CryptSvc").errors, []),
}


# --- what each action shows; `occur` makes the kind occur and gives what the client got


def _delay(client: Client, occur: Callable[[], Any], good: Any, add: Callable[..., Any]) -> None:
    add(delay="600ms")
    began = time.monotonic()
    assert occur() == good
    assert time.monotonic() - began >= 0.6


def _hang(client: Client, occur: Callable[[], Any], good: Any, add: Callable[..., Any]) -> None:
    fault = add(hang=True)
    thread, told = in_background(occur)
    until(lambda: fault.as_dict()["hanging"] == 1)
    thread.join(0.3)
    assert told == []
    assert fault.release() == 1
    thread.join(10)
    assert told == [good]


def _reboot(client: Client, occur: Callable[[], Any], good: Any, add: Callable[..., Any]) -> None:
    (before,) = client.cim("Win32_OperatingSystem", "LastBootUpTime")
    add(reboot=True)
    thread, told = in_background(occur)
    thread.join(20)
    assert told, "the client was told"
    assert _when_it_answers(lambda: client.cim("Win32_OperatingSystem", "LastBootUpTime"))[0] > before


def _when_it_answers(ask: Callable[[], Any], patience: float = 20.0) -> Any:
    """The answer of a host that may still be starting."""
    end = time.monotonic() + patience
    while True:
        try:
            return ask()
        except requests.exceptions.ConnectionError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def _kill(client: Client, occur: Callable[[], Any], good: Any, add: Callable[..., Any]) -> None:
    def main(call: Any) -> int:
        call.stop.wait(30)
        return 0

    client.host.programs["victim.exe"] = main
    victim = client.host.processes.start(["victim.exe"], client.host.users.system)
    assert "victim" in _processes(client)
    add(kill="victim.exe")
    assert occur() == good
    assert victim.wait(5) == -1
    assert "victim" not in _processes(client)


def _processes(client: Client) -> list[str]:
    return [each.removesuffix(".exe") for each in client.cim("Win32_Process", "Name")]


def _free(client: Client) -> int:
    found = client.run("Get-CimInstance", ClassName="Win32_Volume").output
    return next(int(e.adapted_properties["FreeSpace"]) for e in found if e.adapted_properties["DriveLetter"] == "D:")


def _fill(client: Client, occur: Callable[[], Any], good: Any, add: Callable[..., Any]) -> None:
    before = _free(client)
    fault = add(fill="D:", free="1 MiB")
    assert occur() == good
    assert _free(client) == 1 << 20
    client.lab.faults.remove(fault)
    assert _free(client) == before


def _requestor(client: Client, occur: Callable[[], Any], good: Any, add: Callable[..., Any]) -> None:
    fault = add(requestor="60s", name="Nightly")
    assert occur() == good
    until(lambda: client.host.vss.busy_with == "Nightly")
    assert client.create() == BUSY
    client.lab.faults.remove(fault)
    until(lambda: client.host.vss.busy_with is None)
    assert client.create() == 0


def _vanish(client: Client, occur: Callable[[], Any], good: Any, add: Callable[..., Any]) -> None:
    client.create("D:\\")
    (first,) = client.shadows()
    client.create("C:\\")
    (second,) = set(client.shadows()) - {first}
    add(vanish="all", volume="D:")
    assert occur() == good
    assert first not in client.shadows()
    assert second in client.shadows()


def _evict(client: Client, occur: Callable[[], Any], good: Any, add: Callable[..., Any]) -> None:
    client.create("D:\\")
    (first,) = client.shadows()
    client.create("D:\\")
    (second,) = set(client.shadows()) - {first}
    add(evict="D:")
    assert occur() == good
    assert first not in client.shadows()
    assert second in client.shadows()
    (event,) = client.run("Get-WinEvent", FilterHashtable={"LogName": "System", "ProviderName": "volsnap"}).output
    assert event.adapted_properties["Id"] == 33


def _lose(client: Client, occur: Callable[[], Any], good: Any, add: Callable[..., Any]) -> None:
    client.create("D:\\")
    client.create("D:\\")
    (*lost,) = client.shadows()
    client.create("C:\\")
    add(lose="D:", event=35)
    assert occur() == good
    assert len(lost) == 2
    assert not set(lost) & set(client.shadows())
    (event,) = client.run("Get-WinEvent", FilterHashtable={"LogName": "System", "ProviderName": "volsnap"}).output
    assert event.adapted_properties["Id"] == 35


def _jump(client: Client, occur: Callable[[], Any], good: Any, add: Callable[..., Any]) -> None:
    (before,) = client.cim("Win32_OperatingSystem", "LocalDateTime")
    add(jump="-2h")
    assert occur() == good
    (after,) = client.cim("Win32_OperatingSystem", "LocalDateTime")
    then, now = (datetime.datetime.fromisoformat(each[:19]) for each in (before, after))
    assert 7100 < (then - now).total_seconds() <= 7200
    events = client.run("Get-WinEvent", FilterHashtable={"LogName": "System", "Id": 1}).output
    assert len(events) == 1


def _fail_http(client: Client, occur: Callable[[], Any], good: Any, add: Callable[..., Any]) -> None:
    add(fail=2150858793)
    with pytest.raises(WSManFaultError) as told:
        occur()
    assert told.value.code == 2150858793
    add(fail="The house is on fire.")
    with pytest.raises(WSManFaultError, match="The house is on fire"):
        occur()


def _fail_command(client: Client, occur: Callable[[], Any], good: Any, add: Callable[..., Any]) -> None:
    add(fail="The house is on fire.", id="Fire", category="ResourceUnavailable", terminating=False)
    assert occur() == ["The house is on fire."]


def _fail_program(client: Client, occur: Callable[[], Any], good: Any, add: Callable[..., Any]) -> None:
    add(fail=5)
    assert _program(client) == (5, [])


def _fail_phase(client: Client, occur: Callable[[], Any], good: Any, add: Callable[..., Any]) -> None:
    add(fail="0x80042306")
    assert occur() != 0
    assert client.shadows() == []


def _fail_task(client: Client, occur: Callable[[], Any], good: Any, add: Callable[..., Any]) -> None:
    add(fail=77)
    assert occur() == 77


def _fail_service(client: Client, occur: Callable[[], Any], good: Any, add: Callable[..., Any]) -> None:
    add(fail=1053)
    assert occur() != []
    assert client.host.services.get("CryptSvc").status == "Running"


def _status(client: Client, occur: Callable[[], Any], good: Any, add: Callable[..., Any]) -> None:
    add(status=503)
    with pytest.raises(Exception, match="503"):
        occur()


def _drop(client: Client, occur: Callable[[], Any], good: Any, add: Callable[..., Any]) -> None:
    for when, done in (("before", 0), ("after", 1)):
        add(drop=when)
        ran = len(client.lab.trace.events("pipeline"))
        with pytest.raises(Exception, match=r"(?i)connection"):
            occur()
        until(lambda ran=ran, done=done: len(client.lab.trace.events("pipeline")) == ran + done)


def _corrupt(client: Client, occur: Callable[[], Any], good: Any, add: Callable[..., Any]) -> None:
    add(corrupt=200)
    thread, told = in_background(occur)
    thread.join(15)
    assert isinstance(told[0], Exception), "the answer could not be read"


SHOWN: dict[str, Callable[..., None] | dict[str, Callable[..., None]]] = {
    "delay": _delay,
    "hang": _hang,
    "fail": {"http": _fail_http, "command": _fail_command, "program": _fail_program, "phase": _fail_phase,
             "task": _fail_task, "service": _fail_service},
    "status": _status,
    "drop": _drop,
    "corrupt": _corrupt,
    "kill": _kill,
    "reboot": _reboot,
    "fill": _fill,
    "requestor": _requestor,
    "vanish": _vanish,
    "evict": _evict,
    "lose": _lose,
    "jump": _jump,
}  # fmt: skip


@pytest.mark.parametrize(("kind", "action"), faultwords.pairs(), ids=map("-".join, faultwords.pairs()))
def test_the_client_sees_it(client, kind, action):
    on, occur, good = OCCUR[kind]
    shown = SHOWN[action]
    judge = shown[kind] if isinstance(shown, dict) else shown
    ordered: list[Any] = []

    def add(**do: Any) -> Any:
        ordered.append(client.lab.faults.add({"on": {"kind": kind, **on, "host": "SR?"}, "do": do}))
        return ordered[-1]

    judge(client, lambda: occur(client), good, add)
    assert [each.fired for each in ordered] == [1] * len(ordered)
    told = client.lab.trace.events("fault", kind=kind)
    assert [each["id"] for each in told] == [each.id for each in ordered]
    assert not client.lab.trace.events("defect")


def test_the_tables_here_speak_of_every_kind_and_action_there_is():
    words = faultwords.table()
    assert set(OCCUR) == set(words["kinds"])
    assert set(SHOWN) == set(words["actions"])
    for name, row in words["actions"].items():
        shown = SHOWN[name]
        assert not isinstance(shown, dict) or set(shown) == set(row["kinds"])


def test_a_program_is_killed_while_it_runs(client):
    client.lab.faults.add({"on": {"program": "wait.exe"}, "do": {"kill": True, "delay": "100ms"}})

    def main(call: Any) -> int:
        call.out("begun")
        call.stop.wait(30)
        return 0

    client.host.programs["wait.exe"] = main
    with client.session():
        assert client.run("wait.exe").output == ["begun"]
        assert client.run("Get-Variable", Name="LASTEXITCODE", ValueOnly=True).output == [-1]


def test_a_hang_ends_with_the_connection(client):
    fault = client.lab.faults.add({"on": {"operation": "Command"}, "do": {"hang": True}})
    thread, told = in_background(lambda: client.run("Get-TimeZone"))
    until(lambda: fault.as_dict()["hanging"] == 1)
    client.lab.wire.drop_connections(client.lab.addresses["srv"])
    thread.join(10)
    assert isinstance(told[0], Exception)
    until(lambda: fault.as_dict()["hanging"] == 0)


def test_a_service_that_hangs_is_pending_and_stops_when_it_is_released(client):
    fault = client.lab.faults.add({"on": {"service": "CryptSvc", "change": "stop"}, "do": {"hang": True}})
    thread, told = in_background(lambda: Client(client.lab).run("Stop-Service", Name="CryptSvc").errors)
    until(lambda: fault.as_dict()["hanging"] == 1)
    states = dict(zip(client.cim("Win32_Service", "Name"), client.cim("Win32_Service", "State"), strict=True))
    assert states["CryptSvc"] == "Stop Pending"
    fault.release()
    thread.join(10)
    assert told == [[]]
    assert client.host.services.get("CryptSvc").status == "Stopped"


@pytest.mark.parametrize("operation", ["connect", "authentication", "Create", "Receive", "Delete"])
def test_connections_can_be_dropped_anywhere(client, operation):
    fault = client.lab.faults.add({"on": {"kind": "http", "operation": operation}, "do": {"drop": "before"}})
    with pytest.raises(Exception, match=r"(?i)connection|remote end"):
        client.run("Get-TimeZone")
    assert fault.fired == 1
    assert client.run("Get-TimeZone").output


def test_a_fault_without_an_operation_leaves_connecting_and_authenticating_alone(client):
    client.lab.faults.add({"on": {"kind": "http", "operation": "*", "times": 1}, "do": {"status": 503}})
    with pytest.raises(Exception, match="503"):
        client.run("Get-TimeZone")
    (told,) = client.lab.trace.events("fault")
    assert told["operation"] == "Create"


def test_parameters_of_a_command_are_facts(client):
    client.lab.faults.add({"on": {"command": "Get-CimInstance", "parameters": {"ClassName": "*Volume"}, "times": 0},
                           "do": {"fail": "No."}})  # fmt: skip
    assert client.cim("Win32_Service", "Name")
    assert client.run("Get-CimInstance", ClassName="Win32_Volume").errors == ["No."]


# --- repeating


def _firings(lab: Lab, seed: int) -> list[tuple[Any, ...]]:
    """A session on each of two hosts at once, and faults by dice at every command, program and operation of theirs."""
    dice = {"probability": 0.5, "times": 0, "seed": seed}
    lab.faults.add({"id": "c", "on": {"kind": "command", **dice}, "do": {"fail": "No.", "terminating": False}})
    lab.faults.add({"id": "p", "on": {"kind": "program", "every": 2, **dice}, "do": {"fail": 3}})
    lab.faults.add({"id": "h", "on": {"operation": "Create", **dice}, "do": {"status": 503}})

    def work(client: Client) -> None:
        for command in ["Get-TimeZone", "whoami.exe"] * 8:
            in_background(functools.partial(client.run, command))[0].join(10)

    threads = [threading.Thread(target=work, args=(Client(lab, name),)) for name in lab.hosts]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    names = ("host", "id", "kind", "occurrence", "operation", "command", "program", "user", "do")
    return [tuple(str(each.get(name)) for name in names) for each in lab.trace.events("fault")]


def test_a_run_with_a_fixed_seed_repeats_exactly(tmp_path):
    """On each host the same faults fire in the same order; only the hosts' turns are a matter of the machine's."""

    def run(seed: int, number: int) -> dict[str, list[tuple[Any, ...]]]:
        with Lab(scenario.uniform(2), state=tmp_path / str(number)) as lab:
            told = _firings(lab, seed)
        return {host: [each for each in told if each[0] == host] for host in ("HOST1", "HOST2")}

    first = run(11, 1)
    assert first == run(11, 2)
    assert {name for each in first.values() for name in {row[1] for row in each}} == {"c", "p", "h"}
    assert first["HOST1"] != [("HOST1", *each[1:]) for each in first["HOST2"]]
    assert first != run(12, 3)
