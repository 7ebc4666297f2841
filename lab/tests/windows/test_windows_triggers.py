# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scheduled tasks by virtual time: calendars over daylight saving, missed starts, accounts and their networks."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator

import pytest
from vsslab.labtime import LabTime
from vsslab.windows.clock import Clock
from vsslab.windows.host import Host
from vsslab.windows.processes import Invocation
from vsslab.windows.taskxml import TaskError, parse
from vsslab.windows.zones import zone_of

UTC = datetime.timezone.utc
HEAD = '<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">'
ACTION = "<Actions><Exec><Command>note.exe</Command></Exec></Actions>"


def xml(triggers: str = "", *, settings: str = "", principal: str = "") -> str:
    return (
        f'{HEAD}<Triggers>{triggers}</Triggers><Principals><Principal id="Author">{principal}</Principal></Principals>'
        f"<Settings>{settings}</Settings>{ACTION}</Task>"
    )


def calendar(start: str, schedule: str, more: str = "") -> str:
    return f"<CalendarTrigger><StartBoundary>{start}</StartBoundary>{more}{schedule}</CalendarTrigger>"


DAILY = "<ScheduleByDay><DaysInterval>1</DaysInterval></ScheduleByDay>"
Make = Callable[..., tuple[Host, LabTime, list[Invocation]]]


@pytest.fixture
def make(make_host: Callable[..., Host]) -> Iterator[Make]:
    times: list[LabTime] = []

    def build(start: str, zone: str = "Europe/Berlin", **options: object) -> tuple[Host, LabTime, list[Invocation]]:
        time = LabTime(virtual=True, start=datetime.datetime.fromisoformat(start))
        times.append(time)
        host = make_host(clock=Clock(zone, time=time), **options)
        calls: list[Invocation] = []

        def note(call: Invocation) -> int:
            calls.append(call)
            return 0

        host.programs["note.exe"] = note
        return host, time, calls

    yield build
    for each in times:
        each.close()


def runs(host: Host) -> list[str]:
    """When tasks were started, on the host's wall clock."""
    found = host.events.query("Microsoft-Windows-TaskScheduler/Operational", ids=[100], oldest_first=True)
    return [f"{host.clock.local(each.time):%d %H:%M}" for each in found]


def history(host: Host) -> None:
    host.events.enable("Microsoft-Windows-TaskScheduler/Operational")


HOUR, DAY = 3600.0, 86400.0


def test_a_daily_task_keeps_to_the_wall_clock_when_summer_time_begins(make: Make) -> None:
    host, time, _ = make("2026-03-27T12:00:00+01:00")
    history(host)
    host.tasks.register("\\", "a", xml(calendar("2026-03-20T02:30:00", DAILY)))
    host.tasks.register("\\", "b", xml(calendar("2026-03-20T04:00:00", DAILY)))
    time.advance(3 * DAY)
    assert runs(host) == ["28 02:30", "28 04:00", "29 03:30", "29 04:00", "30 02:30", "30 04:00"]


def test_a_time_that_comes_twice_is_taken_once(make: Make) -> None:
    host, time, _ = make("2026-10-24T12:00:00+02:00")
    history(host)
    host.tasks.register("\\", "a", xml(calendar("2026-10-20T02:30:00", DAILY)))
    time.advance(2 * DAY)
    assert runs(host) == ["25 02:30", "26 02:30"]
    first = host.events.query("Microsoft-Windows-TaskScheduler/Operational", ids=[100], oldest_first=True)[0]
    assert first.time == datetime.datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


def test_a_start_with_an_offset_keeps_to_it(make: Make) -> None:
    host, time, _ = make("2026-03-27T12:00:00+01:00")
    history(host)
    host.tasks.register("\\", "a", xml(calendar("2026-03-20T12:00:00Z", DAILY)))
    time.advance(3 * DAY)
    assert runs(host) == ["27 13:00", "28 13:00", "29 14:00"]


def test_weeks_begin_on_sunday_and_every_second_one_is_left_out(make: Make) -> None:
    host, time, _ = make("2026-06-01T00:00:00+02:00")  # a Monday
    history(host)
    schedule = ("<ScheduleByWeek><WeeksInterval>2</WeeksInterval><DaysOfWeek><Sunday/><Wednesday/></DaysOfWeek>"
                "</ScheduleByWeek>")  # fmt: skip
    host.tasks.register("\\", "a", xml(calendar("2026-06-01T06:00:00", schedule)))
    time.advance(28 * DAY)
    assert runs(host) == ["03 06:00", "14 06:00", "17 06:00", "28 06:00"]


def test_every_third_day_with_repetitions(make: Make) -> None:
    host, time, _ = make("2026-06-01T00:00:00+02:00")
    history(host)
    repeated = "<Repetition><Interval>PT1H</Interval><Duration>PT2H</Duration></Repetition>"
    schedule = "<ScheduleByDay><DaysInterval>3</DaysInterval></ScheduleByDay>"
    host.tasks.register("\\", "a", xml(calendar("2026-06-01T22:30:00", schedule, repeated)))
    time.advance(5 * DAY)
    assert runs(host) == ["01 22:30", "01 23:30", "02 00:30", "04 22:30", "04 23:30", "05 00:30"]


@pytest.mark.parametrize(
    ("trigger", "names"),
    [
        (calendar("2026-06-01T06:00:00", "<ScheduleByMonth/>"), "ScheduleByMonth"),
        (calendar("2026-06-01T06:00:00", DAILY, "<RandomDelay>PT1H</RandomDelay>"), "RandomDelay"),
        (calendar("2026-06-01T06:00:00", ""), "ScheduleByDay"),
        (calendar("2026-06-01T06:00:00", DAILY.replace(">1<", ">0<")), "DaysInterval"),
        (calendar("2026-06-01T06:00:00", "<ScheduleByWeek/>"), "DaysOfWeek"),
        ("<CalendarTrigger><ScheduleByDay/></CalendarTrigger>", "StartBoundary"),
        ("<SessionStateChangeTrigger/>", "SessionStateChangeTrigger"),
    ],
)
def test_a_schedule_that_means_something_else_is_refused(trigger: str, names: str) -> None:
    with pytest.raises(TaskError, match=names):
        parse(xml(trigger), UTC)


@pytest.mark.parametrize("available", [False, True])
def test_what_was_due_while_the_host_was_off_is_missed_or_made_up_for(make: Make, available: bool) -> None:
    host, time, calls = make("2026-06-01T00:00:00+02:00")
    setting = f"<StartWhenAvailable>{str(available).lower()}</StartWhenAvailable>"
    host.tasks.register("\\", "a", xml(calendar("2026-06-01T06:00:00", DAILY), settings=setting))
    host.shut_down()
    time.advance(2 * DAY)
    host.power_on()
    assert (host.tasks.info("\\", "a").missed_runs, len(calls)) == (2, 0)
    time.advance(601)
    assert len(calls) == (1 if available else 0)
    time.advance(DAY)
    assert len(calls) == (2 if available else 1)


def test_a_clock_set_forward_misses_starts_and_one_set_back_repeats_none(make: Make) -> None:
    host, time, calls = make("2026-06-01T05:00:00+02:00")
    host.tasks.register("\\", "a", xml(calendar("2026-06-01T06:00:00", DAILY)))
    host.clock.jump(2 * HOUR)
    time.advance(60)
    assert (host.tasks.info("\\", "a").missed_runs, len(calls)) == (1, 0)
    host.clock.jump(-2 * HOUR)
    time.advance(2 * HOUR)
    assert len(calls) == 0
    assert host.tasks.info("\\", "a").next_run == datetime.datetime(2026, 6, 2, 4, tzinfo=UTC)


def test_a_boot_trigger_waits_for_its_delay_after_every_start(make: Make) -> None:
    host, time, calls = make("2026-06-01T05:00:00+02:00", restart_seconds=30.0)
    host.tasks.register("\\", "a", xml("<BootTrigger><Delay>PT1M</Delay></BootTrigger>"))
    host.begin_reboot()
    time.advance(80)
    assert calls == []
    time.advance(20)
    assert len(calls) == 1


def test_a_task_with_a_password_has_credentials_for_the_network_one_without_has_none(make: Make) -> None:
    host, time, calls = make("2026-06-01T05:00:00+02:00")
    host.tasks.register("\\", "with", xml(), "bob", password="hidden")
    host.tasks.register("\\", "without", xml(principal="<LogonType>S4U</LogonType>"), "bob")
    for name in ("with", "without"):
        host.tasks.start("\\", name)
        time.advance(1)
    assert [each.user.delegated for each in calls] == [True, False]


def test_an_administrators_task_is_elevated_only_with_the_highest_run_level(make: Make) -> None:
    host, time, calls = make("2026-06-01T05:00:00+02:00")
    host.users.add("alice", "pw", administrator=True)
    highest = "<RunLevel>HighestAvailable</RunLevel>"
    for name, user, password, principal in (("least", "alice", "pw", ""), ("highest", "alice", "pw", highest),
                                            ("first", "Administrator", "secret", "")):  # fmt: skip
        host.tasks.register("\\", name, xml(principal=principal), user, password=password)
        host.tasks.start("\\", name)
        time.advance(1)
    assert [each.user.administrator for each in calls] == [False, True, True]


def test_the_history_tells_of_a_time_limit(make: Make) -> None:
    host, time, _ = make("2026-06-01T05:00:00+02:00")
    history(host)
    host.programs["note.exe"] = lambda call: int(host.clock.sleep(HOUR, call.stop))
    host.tasks.register("\\", "a", xml(settings="<ExecutionTimeLimit>PT10M</ExecutionTimeLimit>"))
    host.tasks.start("\\", "a")
    time.advance(599)
    assert host.tasks.info("\\", "a").last_result == 267009
    time.advance(2)
    assert host.tasks.get("\\", "a").idle.wait(5)
    assert host.tasks.info("\\", "a").last_result == 267014
    events = host.events.query("Microsoft-Windows-TaskScheduler/Operational", oldest_first=True)
    assert [each.id for each in events] == [106, 100, 329, 102]
    assert events[0].message == 'User "NT AUTHORITY\\SYSTEM"  registered Task Scheduler task "\\a"'


def test_no_history_is_written_unless_somebody_switched_it_on(make: Make) -> None:
    host, _, _ = make("2026-06-01T05:00:00+02:00")
    host.tasks.register("\\", "a", xml())
    assert host.events.query("Microsoft-Windows-TaskScheduler/Operational") == []


def test_zones_have_their_windows_names() -> None:
    berlin, none = zone_of("Europe/Vienna"), zone_of("Mars/Olympus")
    assert berlin is not None
    assert (berlin.id, berlin.daylight, none) == ("W. Europe Standard Time", "W. Europe Daylight Time", None)
