# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Time is the machine's, or stands still until somebody advances it."""

from __future__ import annotations

import datetime
import threading
import time

import pytest
from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.wsman import WSMan
from vsslab import scenario
from vsslab.lab import Lab
from vsslab.labtime import LabTime, TimeError
from vsslab.windows.clock import Clock

MINUTE = datetime.timedelta(minutes=1)
NOON = datetime.datetime(2026, 3, 29, 0, 30, tzinfo=datetime.timezone.utc)


@pytest.fixture
def virtual():
    made = LabTime(virtual=True, start=NOON)
    yield made
    made.close()


def test_virtual_time_stands_still_until_it_is_advanced(virtual):
    clock = Clock("Europe/Berlin", time=virtual)
    before = clock.now(), clock.monotonic()
    time.sleep(0.02)
    assert (clock.now(), clock.monotonic()) == before
    assert clock.local(clock.now()).hour == 1
    virtual.advance(1800)
    assert clock.local(clock.now()).hour == 3  # daylight saving began
    assert clock.monotonic() - before[1] == 1800
    assert not clock.real


def test_sleepers_wake_in_the_order_of_their_deadlines_and_sleep_again_before_the_next(virtual):
    told: list[tuple[str, float]] = []
    began = virtual.monotonic()

    def work(name: str, seconds: float, times: int) -> None:
        for _ in range(times):
            virtual.sleep(seconds)
            time.sleep(0.01)  # some real work, which time waits for
            told.append((name, virtual.monotonic() - began))

    for name, seconds, times in (("slow", 7, 2), ("quick", 2, 5), ("never", 100, 1)):
        virtual.spawn(work, name, seconds, times, name=name)
    assert virtual.advance(14) == []
    expected = [("quick", 2), ("quick", 4), ("quick", 6), ("slow", 7), ("quick", 8), ("quick", 10), ("slow", 14)]
    assert told == expected
    assert [name for name, _ in virtual.deadlines()] == ["never"]


def test_what_a_sleeper_starts_has_its_turn_too(virtual):
    told: list[tuple[str, float]] = []
    began = virtual.monotonic()

    def child() -> None:
        virtual.sleep(3)
        told.append(("child", virtual.monotonic() - began))

    def parent() -> None:
        virtual.sleep(10)
        thread = virtual.spawn(child, name="child")
        with virtual.waiting():
            thread.join()
        told.append(("parent", virtual.monotonic() - began))

    virtual.spawn(parent, name="parent")
    virtual.advance(60)
    assert told == [("child", 13), ("parent", 13)]


def test_a_thread_that_does_not_come_to_rest_is_named(virtual):
    release = threading.Event()

    def work() -> None:
        virtual.sleep(5)
        release.wait(10)

    thread = virtual.spawn(work, name="stuck")
    assert virtual.advance(10, patience=0.1) == ["stuck"]
    release.set()
    thread.join()
    assert virtual.advance(10) == []


def test_a_stop_ends_a_sleep_at_once_and_time_need_not_move(virtual):
    stop, ended = threading.Event(), []
    thread = virtual.spawn(lambda: ended.append(virtual.sleep(60, stop)), name="sleeper")
    virtual.wait_for(1)
    stop.set()
    thread.join(5)
    assert ended == [True]
    assert virtual.deadlines() == []


@pytest.mark.parametrize("is_virtual", [True, False], ids=["virtual", "real"])
def test_timers_fire_in_their_order_unless_they_are_cancelled(is_virtual):
    made, told, last = LabTime(virtual=is_virtual), [], threading.Event()
    now = made.monotonic()
    for name, after in (("b", 0.04), ("a", 0.02), ("c", 0.03)):
        cancel = made.call_at(now + after, lambda name=name: told.append(name))
    cancel()
    made.call_at(now + 0.06, last.set)
    if is_virtual:
        made.advance(1)
    assert last.wait(5)
    assert told == ["a", "b"]
    made.close()
    assert not [each for each in threading.enumerate() if each.name == "vsslab-timers" and not is_virtual]


def test_many_cancelled_timers_are_not_kept(virtual):
    for _ in range(2000):
        virtual.call_at(virtual.monotonic() + 1e6, lambda: None)()
    assert len(virtual._entries) < 200


def test_real_time_cannot_be_advanced_and_virtual_time_does_not_go_back(virtual):
    with pytest.raises(TimeError, match="Real time passes by itself"):
        LabTime().advance(1)
    with pytest.raises(TimeError, match="never goes back"):
        virtual.advance(-1)


def test_a_clock_that_jumps_moves_the_date_and_nothing_else(virtual):
    clock, told = Clock(time=virtual), []
    clock.on_jump.append(lambda before, after: told.append((before, after)))
    began = clock.monotonic()
    assert clock.jump(-3600) == (NOON, NOON - 60 * MINUTE)
    assert (clock.now(), clock.monotonic()) == (NOON - 60 * MINUTE, began)
    assert told == [(NOON, NOON - 60 * MINUTE)]


SCENARIO = """\
name: still
time: 2026-03-29T00:30:00Z
defaults:
  users: [{name: Administrator, administrator: true}]
  volumes: [{letter: C, capacity: 8 GiB}]
hosts:
  - {name: a, time_zone: Europe/Berlin}
  - {name: b, clock: {skew: 5}}
"""
XML = """<?xml version="1.0" encoding="UTF-16"?>
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
 <Triggers><TimeTrigger><StartBoundary>2026-03-29T01:40:00</StartBoundary>
  <Repetition><Interval>PT1H</Interval></Repetition></TimeTrigger></Triggers>
 <Actions><Exec><Command>cmd.exe</Command><Arguments>/c echo x&gt;&gt;C:\\ran.txt</Arguments></Exec></Actions>
</Task>"""


@pytest.fixture
def lab(tmp_path):
    plan = tmp_path / "still.yml"
    plan.write_text(SCENARIO)
    with Lab(scenario.load(plan), state=tmp_path / "state", ports=(0, 0)) as made:
        yield made


def test_a_laboratory_in_virtual_time_is_the_same_moment_on_every_host(lab):
    a, b = lab.hosts["a"], lab.hosts["b"]
    assert a.clock.now() == NOON
    assert b.clock.now() - a.clock.now() == datetime.timedelta(seconds=5)
    lab.time.advance(70)
    assert a.clock.now() == NOON + datetime.timedelta(seconds=70)


def test_tasks_follow_virtual_time(lab):
    host = lab.hosts["a"]
    host.tasks.register("\\", "hourly", XML)
    assert host.tasks.info("\\", "hourly").next_run == NOON + 10 * MINUTE
    assert lab.time.advance(9 * 60) == []
    assert host.tasks.info("\\", "hourly").last_run is None
    lab.time.advance(5 * 3600)
    assert host.files.read("C:\\ran.txt").split() == [b"x"] * 5
    assert host.tasks.info("\\", "hourly").last_run == NOON + 250 * MINUTE


def test_the_limit_of_a_freeze_is_met_on_the_second(lab):
    host = lab.hosts["b"]
    name = "System Writer"  # the order of writers is nobody's promise, and not every one has something to freeze
    began, told = host.clock.monotonic(), []

    def create(delay: float) -> None:
        lab.faults.add({"on": {"kind": "phase", "phase": "freeze", "writer": name}, "do": {"delay": delay}})
        code = host.processes.run(["diskshadow.exe"], host.users.system, out=lambda _: None, err=lambda _: None,
                                  stdin="set context persistent\nadd volume C:\nbegin backup\ncreate\n",
                                  stop=threading.Event())  # fmt: skip
        told.append((code, len(host.vss.shadows), round(host.clock.monotonic() - began)))

    lab.time.spawn(create, 59, name="in time")
    lab.time.advance(70)
    lab.time.spawn(create, 61, name="late")
    lab.time.advance(130)
    assert [(shadows, seconds) for _, shadows, seconds in told] == [(1, 59), (1, 130)]


@pytest.fixture
def wired(tmp_path):
    plan = tmp_path / "still.yml"
    plan.write_text(SCENARIO)
    with Lab(scenario.load(plan), state=tmp_path / "state") as made:
        yield made


def _pool(lab):
    wsman = WSMan(lab.addresses["a"], ssl=False, auth="negotiate", username="Administrator",
                  password=lab.passwords["a", "Administrator"], reconnection_retries=0)  # fmt: skip
    return wsman, RunspacePool(wsman)


def _run(pool, command, **parameters):
    shell = PowerShell(pool)
    shell.add_cmdlet(command).add_parameters(parameters)
    return shell.invoke()


def _background(act):
    told = []
    thread = threading.Thread(target=lambda: told.append(act()), daemon=True)
    thread.start()
    return thread, told


def test_a_client_waits_for_virtual_time_as_for_any_other(wired):
    wsman, pool = _pool(wired)
    with wsman, pool:
        thread, told = _background(lambda: _run(pool, "Start-Sleep", Seconds=3600))
        wired.time.wait_for(1)
        thread.join(0.1)
        assert told == []
        assert wired.time.advance(3600) == []
        thread.join(10)
        assert told == [[]]
        wired.faults.add({"on": {"operation": "Command"}, "do": {"delay": "2h"}})
        thread, told = _background(lambda: _run(pool, "Get-TimeZone"))
        end = time.monotonic() + 10
        while not any("fault" in name for name, _ in wired.time.deadlines()):
            assert time.monotonic() < end
            time.sleep(0.01)
        wired.time.advance(7200)
        thread.join(10)
        assert len(told[0]) == 1


def test_idle_shells_end_by_virtual_time(wired):
    wsman, pool = _pool(wired)
    with wsman:
        pool.open()
        assert wired.wire.shells(wired.addresses["a"]) == 1
        wired.time.advance(7201)
        end = time.monotonic() + 10
        while wired.wire.shells(wired.addresses["a"]):
            assert time.monotonic() < end
            time.sleep(0.02)
