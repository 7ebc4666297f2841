# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hooks: applications without a writer are held while the copy is made, and go on whatever happens."""

from __future__ import annotations

import contextlib

import pytest

from .direct import Controller, Killed, Trouble, build

SYSTEM32 = "C:\\Windows\\System32\\"
HOLD, LET_GO = f"{SYSTEM32}hold.exe", f"{SYSTEM32}letgo.exe"
SERVICE = {
    "before": [{"service": "LegacyDb", "action": "stop"}],
    "after": [{"service": "LegacyDb", "action": "start"}],
    "timeout": "2m",
}
PROGRAMS = {
    "before": [{"program": HOLD, "arguments": ["--db", "the bank"]}],
    "after": [{"program": LET_GO}],
    "timeout": "2m",
}
BASE = {"name": "s", "volumes": ["D:"], "consistency": "crash"}


class Host:
    """A host with a service and two programs; told: what was done to them, and the moment of the copy, in order."""

    def __init__(self, host):
        self.lab = host
        self.told = []
        self.codes = {"hold.exe": 0, "letgo.exe": 0}
        self.seconds = {"hold.exe": 0.0, "letgo.exe": 0.0}
        host.services.configure("LegacyDb", display_name="Legacy Database")
        self.service.on_stop.append(lambda: self.told.append("stopped"))
        self.service.on_start.append(lambda: self.told.append("started"))
        for name in self.codes:
            host.programs[name] = self._program(name)
            host.files.write(SYSTEM32 + name, b"MZ")
        added = host.vss.store.add

        def add(shadow):
            self.told.append("copy")
            return added(shadow)

        host.vss.store.add = add

    def _program(self, name):
        def main(call):
            self.told.append(" ".join([name, *call.argv[1:]]))
            assert call.user.sid == "S-1-5-18"
            if self.lab.clock.sleep(self.seconds[name], call.stop):
                return 1
            return self.codes[name]

        return main

    @property
    def service(self):
        return self.lab.services.get("LegacyDb")

    def left(self):
        """What is left of us."""
        ledger = self.lab.ledger()
        return [*ledger["tasks"], *(each.id for each in self.lab.vss.store.all())]

    def later(self, seconds):
        self.lab.clock.time.advance(seconds)


@pytest.fixture
def host(tmp_path):
    made = build(tmp_path)
    yield Host(made)
    made.close()


@pytest.fixture
def controller(host):
    return Controller(host.lab)


def snapshot(controller, hooks, check=False, trouble=None, **more):
    return controller.task("snapshot", {**BASE, "hooks": hooks, **more}, check, trouble)


def done(answer):
    assert not answer.get("failed"), answer["msg"]
    return answer


def refused(answer):
    assert answer.get("failed"), answer
    assert "\n" not in answer["msg"]
    return answer["msg"]


def told(answer):
    return [(hook["when"], hook["what"], hook["exit_code"]) for hook in answer["hooks"]]


# ---- it goes well
def test_a_service_is_stopped_while_the_copy_is_made(host, controller):
    predicted = done(snapshot(controller, SERVICE, check=True))
    assert host.told == []
    assert told(predicted) == [("before", "stop service LegacyDb", None), ("after", "start service LegacyDb", None)]
    answer = done(snapshot(controller, SERVICE))
    assert host.told == ["stopped", "copy", "started"]
    assert told(answer) == [("before", "stop service LegacyDb", 0), ("after", "start service LegacyDb", 0)]
    assert len(host.left()) == 1, "the shadow copy and no task"
    host.told.clear()
    assert done(snapshot(controller, SERVICE))["changed"] is False
    assert host.told == [], "what is there needs nobody to be held"
    host.later(3600)
    assert host.told == [], "the net is gone"


def test_programs_run_as_system_with_their_arguments(host, controller):
    answer = done(snapshot(controller, PROGRAMS))
    assert host.told == ["hold.exe --db the bank", "copy", "letgo.exe"]
    assert told(answer) == [("before", HOLD, 0), ("after", LET_GO, 0)], "arguments may be secrets"


@pytest.mark.parametrize("engine", ["diskshadow", "cim"])
def test_several_steps_are_done_in_their_order(host, controller, engine):
    hooks = {
        "before": [*PROGRAMS["before"], *SERVICE["before"]],
        "after": [*SERVICE["after"], *PROGRAMS["after"]],
    }
    answer = done(snapshot(controller, hooks, engine=engine))
    assert host.told == ["hold.exe --db the bank", "stopped", "copy", "started", "letgo.exe"]
    assert [hook["exit_code"] for hook in answer["hooks"]] == [0, 0, 0, 0]


def test_a_service_that_was_not_running_stays_so(host, controller):
    host.lab.services.stop("LegacyDb")
    host.told.clear()
    answer = done(snapshot(controller, SERVICE))
    assert host.told == ["copy"]
    assert [hook["skipped"] for hook in answer["hooks"]] == ["it was not running before"] * 2
    assert host.service.status == "Stopped"


def test_a_slow_step_is_waited_for(host, controller):
    host.seconds = {"hold.exe": 40.0, "letgo.exe": 30.0}
    done(snapshot(controller, PROGRAMS))
    assert host.told == ["hold.exe --db the bank", "copy", "letgo.exe"]


# ---- it goes wrong
def test_when_a_step_before_fails_nothing_is_created_and_they_go_on(host, controller):
    host.codes["hold.exe"] = 7
    hooks = {
        "before": [*SERVICE["before"], *PROGRAMS["before"], {"program": HOLD, "arguments": ["never"]}],
        "after": [*PROGRAMS["after"], *SERVICE["after"]],
    }
    sentence = refused(snapshot(controller, hooks))
    assert "exit code 7" in sentence
    assert "nothing was created" in sentence
    assert host.told == ["stopped", "hold.exe --db the bank", "letgo.exe", "started"]
    assert host.left() == []


def test_a_service_that_does_not_stop_is_a_failure(host, controller):
    host.service.can_stop = False
    assert "LegacyDb" in refused(snapshot(controller, SERVICE))
    assert "copy" not in host.told
    assert host.service.status == "Running"
    assert host.left() == []


def test_a_step_that_takes_too_long_is_ended(host, controller):
    host.seconds["hold.exe"] = 10_000.0
    sentence = refused(snapshot(controller, {**PROGRAMS, "timeout": "30s"}))
    assert "30 s" in sentence
    assert "copy" not in host.told
    assert "letgo.exe" in host.told
    assert host.left() == []


def test_when_a_step_after_fails_it_is_tried_once_more_and_the_snapshot_is_not_kept(host, controller):
    host.codes["letgo.exe"] = 3
    hooks = {**PROGRAMS, "after": [*PROGRAMS["after"], {"program": LET_GO, "arguments": ["two"]}]}
    sentence = refused(snapshot(controller, hooks))
    assert "exit code 3" in sentence
    assert host.told == ["hold.exe --db the bank", "copy", "letgo.exe", "letgo.exe two", "letgo.exe", "letgo.exe two"]
    assert host.left() == []


def test_when_creating_fails_they_go_on(host, controller):
    host.lab.faults.add({"on": {"kind": "phase", "phase": "commit"}, "do": {"fail": "0x8004230F"}})
    refused(snapshot(controller, SERVICE))
    assert host.told[-1] == "started"
    assert host.service.status == "Running"
    assert host.left() == []


def test_when_it_takes_longer_than_they_may_be_held_the_snapshot_is_not_kept(host, controller):
    host.lab.faults.add({"on": {"kind": "program", "program": "diskshadow.exe"}, "do": {"delay": 60}})
    sentence = refused(snapshot(controller, {**SERVICE, "timeout": "20s"}))
    assert "hooks.timeout (20 s)" in sentence
    assert host.told[:2] == ["stopped", "started"], "the host let it go on by itself"
    assert host.service.status == "Running"
    assert host.left() == []


# ---- nobody is there any more
@pytest.mark.parametrize("statements", [None, 1, 3, 4, 6, 9])
@pytest.mark.parametrize("pipeline", [2, 3, 4, 5, 6])
def test_whatever_becomes_of_the_controller_they_go_on(host, controller, pipeline, statements):
    with contextlib.suppress(Killed):
        snapshot(controller, SERVICE, trouble=Trouble(pipeline, statements))
    held = host.service.status != "Running"
    host.later(121)
    assert host.service.status == "Running", "two minutes are over"
    assert host.told.count("stopped") <= 1
    assert not held or host.told[-1] == "started"
    host.later(7200)
    assert [each for each in host.left() if "umbra-vss" in each] == [], "the lease is over"


def test_they_go_on_after_a_restart_too(host, controller):
    with pytest.raises(Killed):
        snapshot(controller, SERVICE, trouble=Trouble(4, 0))
    assert host.service.status == "Stopped"
    host.lab.services.set_start_type("LegacyDb", "Manual")
    host.lab.shut_down(unexpected=True)
    host.later(300)
    host.lab.power_on()
    assert host.service.status == "Stopped"
    host.later(700)
    assert host.service.status == "Running"


def test_the_next_run_lets_them_go_on_at_once(host, controller):
    with pytest.raises(Killed):
        snapshot(controller, SERVICE, trouble=Trouble(4, 0))
    assert host.service.status == "Stopped"
    done(controller.task("cleanup", {}))
    assert host.service.status == "Running"
    assert host.left() == []
    host.told.clear()
    host.later(3600)
    assert host.told == []


# ---- refused
STEP = {"program": LET_GO}
REFUSED = {
    "never started again": ({"before": SERVICE["before"]}, "nothing starts it again"),
    "no such service": ({"after": [{"service": "Nope", "action": "start"}]}, "no service Nope"),
    "a wildcard": ({"after": [{"service": "L*", "action": "start"}]}, "not the name of a service"),
    "no action": ({"after": [{"service": "LegacyDb"}]}, "start or stop"),
    "needed for the snapshot": (
        {"before": [{"service": "VSS", "action": "stop"}], "after": [{"service": "VSS", "action": "start"}]},
        "needed for the snapshot",
    ),
    "both": ({"after": [{"service": "LegacyDb", "action": "start", "program": LET_GO}]}, "either"),
    "neither": ({"after": [{"arguments": ["x"]}]}, "either"),
    "a relative program": ({"after": [{"program": "letgo.exe"}]}, "full local path"),
    "a program on a share": ({"after": [{"program": "\\\\nas\\x\\letgo.exe"}]}, "full local path"),
    "a script": ({"after": [{"program": "C:\\Windows\\System32\\a.cmd"}]}, ".exe or .com"),
    "an interpreter": ({"after": [{"program": f"{SYSTEM32}CMD.EXE", "arguments": ["/c", "x"]}]}, "out of text"),
    "a program that is not there": ({"after": [{"program": f"{SYSTEM32}gone.exe"}]}, "is not there"),
    "a quote": ({"after": [{**STEP, "arguments": ['a"b']}]}, "arguments"),
    "a variable": ({"after": [{**STEP, "arguments": ["%PATH%"]}]}, "arguments"),
    "an empty argument": ({"after": [{**STEP, "arguments": [""]}]}, "arguments"),
    "too short": ({"after": [STEP], "timeout": "1s"}, "10s to 15m"),
    "too long": ({"after": [STEP], "timeout": "1h"}, "10s to 15m"),
    "too many": ({"after": [STEP] * 33}, "32"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_done_is_refused_before_anybody_is_held(host, controller, case):
    hooks, words = REFUSED[case]
    assert words in refused(snapshot(controller, hooks))
    assert (host.told, host.left()) == ([], [])


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_program_that_others_can_change_is_not_run_as_system(host, controller, what):
    files = host.lab.files
    files.mkdir("C:\\Tools")
    files.set_security("C:\\Tools", "O:BAD:P(A;OICI;FA;;;BA)(A;OICI;FR;;;BU)")
    files.write("C:\\Tools\\letgo.exe", b"MZ")
    planted = "C:\\Tools\\letgo.exe" if what == "file" else "C:\\Tools"
    files.set_security(planted, "O:BAD:P(A;OICI;FA;;;BA)(A;OICI;0x1301bf;;;BU)")
    sentence = refused(snapshot(controller, {"after": [{"program": "C:\\Tools\\letgo.exe"}]}))
    assert "others than administrators" in sentence
    assert host.told == []


def test_a_disabled_service_cannot_be_started_again(host, controller):
    host.lab.services.set_start_type("LegacyDb", "Disabled")
    assert "disabled" in refused(snapshot(controller, SERVICE))
    assert host.told == []
