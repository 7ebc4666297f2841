# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scheduled tasks run by themselves, as their account, and say how they ended."""

from __future__ import annotations

import datetime
import threading
from collections.abc import Callable

import pytest
from vsslab.windows.clock import Clock
from vsslab.windows.host import Host
from vsslab.windows.processes import Invocation
from vsslab.windows.taskxml import TaskError, parse, seconds_of

ACTION = "<Exec><Command>C:\\Windows\\System32\\note.exe</Command><Arguments>{0}</Arguments></Exec>"


def xml(actions: str = ACTION.format("a"), *, settings: str = "", triggers: str = "", principal: str = "") -> str:
    return (
        '<?xml version="1.0" encoding="UTF-16"?>\n'
        '<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">'
        "<RegistrationInfo><Author>umbra</Author></RegistrationInfo>"
        f"<Triggers>{triggers}</Triggers>"
        f'<Principals><Principal id="Author">{principal}</Principal></Principals>'
        f"<Settings>{settings}</Settings>"
        f'<Actions Context="Author">{actions}</Actions></Task>'
    )


class Notes:
    def __init__(self, host: Host) -> None:
        self.calls: list[Invocation] = []
        self.began = threading.Event()
        host.programs["note.exe"] = self.main

    def main(self, call: Invocation) -> int:
        self.calls.append(call)
        self.began.set()
        if call.argv[1:2] == ["wait"]:
            call.stop.wait(10)
        return -3 if call.argv[1:2] == ["fail"] else len(self.calls) - 1


@pytest.fixture
def notes(host: Host) -> Notes:
    return Notes(host)


def finished(host: Host, name: str) -> int:
    assert host.tasks.get("\\umbra-vss\\", name).idle.wait(5)
    return host.tasks.info("umbra-vss", name).last_result


def test_a_task_runs_its_actions_in_order_as_system(host: Host, notes: Notes) -> None:
    two = ACTION.format('one "D:\\a b\\" "c\\\\" d') + ACTION.format("two %windir%")
    task = host.tasks.register("\\umbra-vss\\", "copy", xml(two), "SYSTEM")
    assert (task.state, host.tasks.info("umbra-vss", "copy").last_result) == ("Ready", 267011)
    host.tasks.start("umbra-vss", "COPY")
    assert finished(host, "copy") == 1
    assert [each.argv[1:] for each in notes.calls] == [["one", 'D:\\a b" c\\ d'], ["two", "C:\\Windows"]]
    assert notes.calls[0].user.sid == "S-1-5-18"
    assert host.tasks.info("umbra-vss", "copy").last_run is not None
    assert [each["what"] for each in host.trace.events("task")] == ["registered", "started", "ended"]


def test_a_running_task_says_so_and_can_be_stopped(host: Host, notes: Notes) -> None:
    host.tasks.register("\\umbra-vss\\", "long", xml(ACTION.format("wait")))
    host.tasks.start("\\umbra-vss", "long")
    assert host.tasks.get("umbra-vss", "long").state == "Running"
    assert host.tasks.info("umbra-vss", "long").last_result == 267009
    host.tasks.start("umbra-vss", "long")
    assert notes.began.wait(5)
    host.tasks.stop("umbra-vss", "long")
    assert finished(host, "long") == 267014
    assert len(notes.calls) == 1


def test_exit_codes_are_unsigned_and_a_missing_program_is_its_own_error(host: Host, notes: Notes) -> None:
    host.tasks.register("umbra-vss", "fails", xml(ACTION.format("fail")))
    host.tasks.register("umbra-vss", "missing", xml("<Exec><Command>none.exe</Command></Exec>"))
    for name, code in (("fails", 0xFFFFFFFD), ("missing", 0x80070002)):
        host.tasks.start("umbra-vss", name)
        assert finished(host, name) == code


def test_registering_twice_needs_force_and_unregistering_removes_it(host: Host, notes: Notes) -> None:
    host.tasks.register("umbra-vss", "t", xml())
    assert host.files.exists("C:\\Windows\\System32\\Tasks\\umbra-vss\\t")
    with pytest.raises(TaskError) as refused:
        host.tasks.register("\\UMBRA-VSS", "T", xml())
    assert refused.value.hresult == 0x800700B7
    host.tasks.register("\\umbra-vss", "t", xml(ACTION.format("b")), force=True)
    assert len(host.tasks.list("\\umbra-vss\\")) == 1
    assert host.ledger()["tasks"] == ["\\umbra-vss\\t Ready"]
    host.tasks.unregister("umbra-vss", "t")
    for act in (host.tasks.get, host.tasks.start, host.tasks.stop, host.tasks.unregister, host.tasks.info):
        with pytest.raises(TaskError) as refused:
            act("umbra-vss", "t")
        assert refused.value.hresult == 0x80070002
    assert host.ledger()["tasks"] == []


def test_only_administrators_register_and_accounts_need_their_password(host: Host, notes: Notes) -> None:
    bob = host.users.find("bob")
    with pytest.raises(TaskError) as refused:
        host.tasks.register("umbra-vss", "t", xml(), by=bob)
    assert refused.value.hresult == 0x80070005
    for options, code in (
        ({"user": "nobody"}, 0x80070534),
        ({"user": "bob", "password": "wrong"}, 0x8007052E),
        ({"user": "bob"}, 0x80004001),
    ):
        with pytest.raises(TaskError) as refused:
            host.tasks.register("umbra-vss", "t", xml(), **options)
        assert refused.value.hresult == code
    host.tasks.register("umbra-vss", "t", xml(), "bob", password="hidden")
    host.tasks.start("umbra-vss", "t")
    finished(host, "t")
    assert notes.calls[-1].user == bob


@pytest.mark.parametrize(
    ("text", "hresult", "names"),
    [
        ("<Task", 0x8004131A, "(1,"),
        (xml().replace("</Actions>", ""), 0x8004131A, "(2,"),
        ('<!DOCTYPE t [<!ENTITY a "b">]><Task/>', 0x8004131A, "document type"),
        ("<Task/>", 0x80041317, "Task"),
        (xml(settings="<Colour>red</Colour>"), 0x80041316, "Colour"),
        (xml(settings="<Enabled>maybe</Enabled>"), 0x80041318, "Enabled"),
        (xml(settings="<RestartOnFailure/>"), 0x80004001, "RestartOnFailure"),
        (xml(triggers="<LogonTrigger/>"), 0x80004001, "LogonTrigger"),
        (xml("<ComHandler/>"), 0x80004001, "ComHandler"),
        (xml(""), 0x80041319, "Actions"),
        (xml("<Exec><Arguments>a</Arguments></Exec>"), 0x80041319, "Command"),
        (xml(triggers="<TimeTrigger/>"), 0x80041319, "StartBoundary"),
        (xml(settings="<DeleteExpiredTaskAfter>PT0S</DeleteExpiredTaskAfter>"), 0x80041319, "EndBoundary"),
        (xml(settings="<ExecutionTimeLimit>1 hour</ExecutionTimeLimit>"), 0x80041318, "1 hour"),
    ],
)
def test_xml_that_means_something_else_is_refused_naming_it(text: str, hresult: int, names: str) -> None:
    with pytest.raises(TaskError) as refused:
        parse(text, datetime.timezone.utc)
    assert refused.value.hresult == hresult
    assert names in refused.value.text


def test_a_task_has_at_most_32_actions(host: Host) -> None:
    host.tasks.register("\\", "many", xml(ACTION.format("a") * 32))
    with pytest.raises(TaskError) as refused:
        host.tasks.register("\\", "more", xml(ACTION.format("a") * 33))
    assert refused.value.hresult == 0x8004131D
    assert host.tasks.find("\\", "more") is None


def test_durations_are_those_of_xml_schema() -> None:
    assert seconds_of("P1DT2H3M4S", "x") == 86400 + 7200 + 180 + 4
    assert seconds_of("PT0S", "x") == 0


def at(host: Host, seconds: float) -> str:
    moment = host.clock.local(host.clock.now() + datetime.timedelta(seconds=seconds))
    return moment.replace(tzinfo=None).isoformat()


def test_a_lease_fires_at_its_time_and_not_when_it_was_extended(make_host: Callable[..., Host]) -> None:
    host = make_host(clock=Clock("Europe/Berlin", speed=100.0))
    notes = Notes(host)
    fired = threading.Event()
    host.trace.subscribe(lambda entry: fired.set() if entry.get("what") == "started" else None)

    def lease(seconds: float, *, force: bool = False) -> None:
        trigger = f"<TimeTrigger><StartBoundary>{at(host, seconds)}</StartBoundary></TimeTrigger>"
        host.tasks.register("umbra-vss", "lease", xml(triggers=trigger), force=force)

    lease(20)
    assert host.tasks.info("umbra-vss", "lease").next_run is not None
    lease(60, force=True)
    assert not fired.wait(0.35)
    assert fired.wait(5)
    assert host.tasks.get("umbra-vss", "lease").idle.wait(5)
    assert len(notes.calls) == 1
    assert host.tasks.info("umbra-vss", "lease").next_run is None


def test_an_expired_task_removes_itself(make_host: Callable[..., Host]) -> None:
    host = make_host(clock=Clock(speed=100.0))
    Notes(host)
    gone = threading.Event()
    host.trace.subscribe(lambda entry: gone.set() if entry.get("what") == "unregistered" else None)
    start, end = at(host, 3), at(host, 6)
    trigger = f"<TimeTrigger><StartBoundary>{start}</StartBoundary><EndBoundary>{end}</EndBoundary></TimeTrigger>"
    host.tasks.register(
        "t", "t", xml(triggers=trigger, settings="<DeleteExpiredTaskAfter>PT1S</DeleteExpiredTaskAfter>")
    )
    assert gone.wait(5)
    assert host.tasks.list() == []


def test_a_restart_stops_what_runs_and_starts_what_waits_for_it(host: Host, notes: Notes) -> None:
    host.tasks.register("umbra-vss", "long", xml(ACTION.format("wait")))
    host.tasks.register("umbra-vss", "boot", xml(triggers="<BootTrigger><Enabled>true</Enabled></BootTrigger>"))
    host.tasks.start("umbra-vss", "long")
    assert notes.began.wait(5)
    host.reboot()
    assert host.tasks.info("umbra-vss", "long").last_result == 267014
    finished(host, "boot")
    assert [each.argv[1] for each in notes.calls] == ["wait", "a"]


def test_a_task_is_ended_when_its_time_is_up(make_host: Callable[..., Host]) -> None:
    host = make_host(clock=Clock(speed=100.0))
    Notes(host)
    limited = xml(ACTION.format("wait"), settings="<ExecutionTimeLimit>PT10S</ExecutionTimeLimit>")
    host.tasks.register("umbra-vss", "t", limited)
    host.tasks.start("umbra-vss", "t")
    assert finished(host, "t") == 267014
