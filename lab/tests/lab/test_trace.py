# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The trace tells everything but passwords."""

from __future__ import annotations

import dataclasses
import datetime
import json
import stat
from pathlib import Path

from vsslab.trace import Trace


@dataclasses.dataclass
class Account:
    name: str
    password: str = dataclasses.field(repr=False)


def test_every_event_is_one_json_line_in_its_order(tmp_path):
    trace = Trace(tmp_path / "sub" / "trace.jsonl")
    trace.write("program", "SQL01", argv=["vssadmin.exe", "list", "Größe\n"], exit_code=0, path=Path("/x"), data=b"abc")
    trace.write("http", "SQL01", operation="Create")
    trace.close()
    lines = [json.loads(line) for line in (tmp_path / "sub" / "trace.jsonl").read_text().splitlines()]
    assert [line["n"] for line in lines] == [1, 2]
    assert lines[0]["argv"] == ["vssadmin.exe", "list", "Größe\n"]
    assert lines[0]["path"] == "/x"
    assert lines[0]["data"] == "<3 bytes>"
    assert lines == list(trace)


def test_nobody_else_may_read_the_file(tmp_path):
    Trace(tmp_path / "new" / "trace.jsonl").close()
    assert stat.S_IMODE((tmp_path / "new" / "trace.jsonl").stat().st_mode) == 0o600


def test_no_password_is_ever_written(tmp_path):
    trace = Trace(tmp_path / "trace.jsonl")
    trace.hide("Geheim1")
    trace.write(
        "pipeline",
        "SQL01",
        statements=[{"parameters": {"Password": "other"}, "arguments": ["/p:Geheim1"]}],
        user=Account("a", "third"),
        new_password="fourth",
    )
    text = (tmp_path / "trace.jsonl").read_text()
    assert not any(secret in text for secret in ("Geheim1", "other", "third", "fourth"))
    assert "/p:********" in text


def test_events_can_be_picked_and_followed():
    trace = Trace(keep=3)
    seen = []
    end = trace.subscribe(seen.append)
    for number in range(5):
        trace.write("http", f"host{number % 2}", number=number)
    end()
    trace.write("vss", "host0")
    assert [each["number"] for each in seen] == [0, 1, 2, 3, 4]
    assert [each["number"] for each in trace.events("http", host="host0")] == [4]
    assert len(trace) == 3


def test_a_trace_goes_by_the_time_it_is_given():
    class Halted:
        def now(self):
            return datetime.datetime(2026, 3, 1, 1, tzinfo=datetime.timezone(datetime.timedelta(hours=1)))

        def monotonic(self):
            return 7.0

    trace = Trace(time=Halted())
    trace.write("reboot", "one")
    (entry,) = trace
    assert (entry["time"], entry["clock"], trace.clock()) == ("2026-03-01T00:00:00.000+00:00", 7.0, 7.0)


def test_the_newest_entries_of_one_host():
    trace = Trace()
    for number in range(6):
        trace.write("http", f"host{number % 2}", number=number)
    assert trace.count == 6
    assert [each["number"] for each in trace.tail(host="host1", last=2)] == [3, 5]
    assert [each["number"] for each in trace.tail(after=4)] == [4, 5]
