# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A trace as people read it."""

from __future__ import annotations

import json

import pytest
from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.shell import Process, WinRS
from pypsrp.wsman import WSMan
from vsslab import timeline
from vsslab.lab import Lab
from vsslab.trace import Trace

HOST = """
name: timeline
hosts:
  - name: one
    users: [{name: admin, administrator: true, remote: true}]
    volumes: [{letter: C}, {letter: D}]
"""


def entry(n, event, clock, host="ONE", **fields):
    """One line of a trace; the clock starts at noon."""
    seconds = f"{12 + int(clock) // 3600:02}:{int(clock) % 3600 // 60:02}:{clock % 60:06.3f}"
    return {"time": f"2026-01-02T{seconds}+00:00", "clock": clock, "n": n, "event": event, "host": host, **fields}


def texts(lines):
    """The marks and texts, without times and hosts."""
    return [each[29:] for each in lines]


@pytest.fixture(scope="module")
def traced(tmp_path_factory):
    """What real clients leave in a trace file: a shadow copy that a fault spoils, one that succeeds, and a program."""
    folder = tmp_path_factory.mktemp("timeline")
    (folder / "scenario.yml").write_text(HOST, encoding="utf-8")
    path = folder / "trace.jsonl"
    with Lab.from_scenario(folder / "scenario.yml", state=folder / "state", trace=path) as lab:
        lab.faults.add({"id": "spoilt", "on": {"phase": "commit"}, "do": {"fail": "0x8004230F"}})
        secret = lab.passwords["one", "admin"]
        options = {"username": "admin", "password": secret, "ssl": False, "auth": "ntlm", "no_proxy": True}
        wsman = WSMan(lab.addresses["one"], **options)
        create = {"ClassName": "Win32_ShadowCopy", "MethodName": "Create", "Arguments": {"Volume": "D:\\"}}
        with wsman, RunspacePool(wsman) as pool:
            for _ in range(2):
                PowerShell(pool).add_cmdlet("Invoke-CimMethod").add_parameters(create).invoke()
        wsman = WSMan(lab.addresses["one"], **options)
        with wsman, WinRS(wsman) as shell:
            Process(shell, "cmd", ["/c", "exit", "5"]).invoke()
    return path


def test_a_shadow_copy_is_inside_its_pipeline_inside_its_session(traced):
    lines = list(timeline.render(timeline.read(traced), host="one"))
    text = texts(lines)
    assert text[0].startswith("  session of admin from 127.0.0.1:")
    started = [number for number, each in enumerate(text) if "pipeline of ONE\\admin: Invoke-CimMethod" in each]
    assert len(started) == 2
    ended = next(number for number, each in enumerate(text) if number > started[1] and "Completed" in each)
    inside = text[started[1] + 1 : ended]
    assert inside
    assert all(each.startswith("      VSS ") for each in inside)
    phases = [each.split()[1] for each in inside if " for WMI" in each]
    assert [each for each in phases if each in ("freeze", "flush_hold", "commit", "release", "thaw", "created")] == [
        "freeze", "flush_hold", "commit", "release", "thaw", "created"
    ]  # fmt: skip
    assert all(each.endswith(" ms)") for each in inside if " commit " in each)  # phases have durations


def test_faults_and_failures_are_marked(traced):
    lines = list(timeline.render(timeline.read(traced)))
    (fault,) = [each for each in lines if " fault " in each]
    assert fault[29:].startswith("! ")
    assert "id=spoilt" in fault
    (program,) = [each for each in lines if "exit code 5" in each]
    assert program[29:].startswith("x ")
    colored = [each for each in timeline.render(timeline.read(traced), color=True) if " fault " in each]
    assert "\x1b[33m" in colored[0]


def test_the_lines_of_one_host_and_of_all():
    entries = [
        entry(1, "lab", 0.0, host="", state="started", scenario="two", addresses={"one": "127.0.0.2"}),
        entry(2, "reboot", 1.0, host="TWO"),
        entry(3, "reboot", 2.0),
    ]
    assert [each[14:17] for each in timeline.render(entries)] == ["-  ", "TWO", "ONE"]
    assert [each[14:17] for each in timeline.render(entries, host="one")] == ["ONE"]


def test_what_ends_is_dated_when_it_began_and_programs_hold_what_happens_in_them():
    entries = [
        entry(1, "vss", 11.0, phase="freeze", requestor="diskshadow", set="s"),
        entry(2, "vss", 13.5, phase="thaw", requestor="diskshadow", set="s"),
        entry(3, "program", 20.0, program="diskshadow.exe", argv=["x"], exit_code=0, seconds=10.0),
        entry(4, "reboot", 20.5),
    ]
    lines = list(timeline.render(entries))
    assert [each[:12] for each in lines] == ["12:00:10.000", "12:00:11.000", "12:00:13.500", "12:00:20.500"]
    assert texts(lines) == [
        "  diskshadow.exe -> exit code 0  (10.00 s)",
        "    VSS freeze for diskshadow  (2.50 s)",
        "    VSS thaw for diskshadow",
        "  reboot",
    ]


def test_a_program_on_a_fast_clock_stays_where_it_began():
    """Its seconds are those of its host's clock, which may run faster than the laboratory's."""
    entries = [
        entry(1, "pipeline", 10.0, id="a", user="ONE\\anna", statements=[]),
        entry(2, "program", 11.0, program="tar.exe", argv=[""], exit_code=0, began=10.5, seconds=3600.0),
        entry(3, "pipeline_end", 12.0, id="a", state="Completed", outputs=0, seconds=2.0),
    ]
    lines = list(timeline.render(entries))
    assert lines[1][:12] == "12:00:10.500"
    assert texts(lines)[1] == "    tar.exe -> exit code 0  (60 min 0 s)"


def test_requests_of_one_kind_are_one_line():
    request = {"client": "c:1", "user": "a", "secure": True, "operation": "Receive", "status": 200, "fault": 0}
    entries = [
        entry(n, "http", float(n), **request, bytes_up=10, bytes_down=n, seconds=0.5) for n in range(1, 4)
    ]  # fmt: skip
    entries.append(entry(9, "http", 9.0, **{**request, "status": 500, "fault": 2150858793}, seconds=0.1))
    assert texts(timeline.render(entries)) == [
        "  session of a from c:1 over HTTPS  (8.50 s)",
        "    Receive, 30 bytes up, 6 down, 3 times  (1.50 s)",
        "x   Receive 500 fault 2150858793, 0 bytes up, 0 down  (100 ms)",
    ]


def test_two_accounts_at_the_same_time_keep_what_is_theirs():
    statement = [{"statement": 0, "command": "tar.exe", "parameters": {}, "arguments": []}]
    entries = [
        entry(1, "pipeline", 1.0, id="a", user="ONE\\anna", statements=statement),
        entry(2, "pipeline", 2.0, id="b", user="ONE\\bert", statements=statement),
        entry(3, "program", 5.0, program="tar.exe", argv=["tar.exe"], exit_code=0, user="ONE\\anna", seconds=2.0),
        entry(4, "pipeline_end", 6.0, id="a", state="Completed", outputs=0, seconds=5.0),
        entry(5, "pipeline_end", 7.0, id="b", state="Failed", errors=1, outputs=0, seconds=5.0),
    ]
    assert texts(timeline.render(entries)) == [
        "  pipeline of ONE\\anna: tar.exe",
        "    tar.exe -> exit code 0  (2.00 s)",
        "  Completed, 0 objects  (5.00 s)",
        "x pipeline of ONE\\bert: tar.exe -> Failed, 0 objects, 1 error  (5.00 s)",
    ]


def test_a_pipeline_that_still_runs_has_no_end():
    entries = [entry(1, "pipeline", 1.0, id="a", user="u", statements=[])]
    assert texts(timeline.render(entries)) == ["  pipeline of u:"]


def test_one_entry_by_itself_and_an_event_without_words_of_its_own():
    assert (
        timeline.line(entry(1, "tape", 0.0, device="\\\\.\\tape0", mark=3))[29:] == "  tape device=\\\\.\\tape0 mark=3"
    )


def test_what_a_host_says_cannot_steer_the_terminal():
    told = timeline.line(
        entry(1, "event", 0.0, log="System", provider="x", id=1, message="a\x1b[2J\nb\u2028c\x9b1m\u202e")
    )
    assert told.endswith("a\\x1b[2J\\nb\\u2028c\\x9b1m\\u202e")


def test_a_file_is_read_up_to_the_line_that_is_being_written(tmp_path):
    path = tmp_path / "trace.jsonl"
    trace = Trace(path)
    trace.write("reboot", "ONE")
    trace.close()
    with path.open("a") as file:
        file.write('{"time": "2026')
    assert [each["event"] for each in timeline.read(path)] == ["reboot"]


@pytest.mark.parametrize("line", ["nonsense", "[1]", json.dumps({"event": "x"})])
def test_a_file_that_is_no_trace_is_refused_with_its_line(tmp_path, line):
    path = tmp_path / "trace.jsonl"
    path.write_text(f"{line}\n")
    with pytest.raises(timeline.TimelineError, match=r"trace\.jsonl, line 1, is no line of a trace\."):
        timeline.read(path)
