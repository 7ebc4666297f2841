# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A laboratory's state is saved whole, and another one continues from it."""

from __future__ import annotations

import datetime
import io
import stat
import tarfile

import pytest
from vsslab import scenario, state
from vsslab.lab import Lab
from vsslab.vss import Context

PLAN = """\
name: kept
time: 2026-03-29T00:30:00Z
hosts:
  - name: srv
    users: [{name: Administrator, administrator: true}]
    volumes: [{letter: C, capacity: 8 GiB}, {letter: D, capacity: 4 GiB}]
    apps: [{name: Bank, kind: bank, folder: 'D:\\Bank'}]
    files: [{path: 'D:\\Shares', count: 5}]
  - name: other
    users: [{name: Administrator, administrator: true}]
    volumes: [{letter: C, capacity: 8 GiB}]
"""
TASK = """<?xml version="1.0" encoding="UTF-16"?>
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
 <Triggers><TimeTrigger><StartBoundary>2026-03-29T02:00:00</StartBoundary></TimeTrigger></Triggers>
 <Actions><Exec><Command>cmd.exe</Command><Arguments>/c echo x&gt;C:\\ran.txt</Arguments></Exec></Actions>
</Task>"""


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    path = tmp_path_factory.mktemp("plan") / "kept.yml"
    path.write_text(PLAN, encoding="utf-8")
    return scenario.load(path)


@pytest.fixture(scope="module")
def saved(plan, tmp_path_factory):
    """A file, and what was true when it was written."""
    folder = tmp_path_factory.mktemp("saved")
    with Lab(plan, state=folder / "state", ports=(0, 0)) as lab:
        host = lab.hosts["srv"]
        files = host.files
        files.write("D:\\Shares\\new.txt", b"before")
        files.set_security("D:\\Shares\\new.txt", "O:BAG:SYD:PAI(A;;FA;;;SY)")
        host.vss.create("test", [host.vss.volume("D:")], Context.CLIENT_ACCESSIBLE)
        files.write("D:\\Shares\\new.txt", b"after")
        host.tasks.register("\\", "later", TASK)
        host.services.stop("CryptSvc")
        host.events.register_source("Application", "Mine")
        host.events.write("Application", "Mine", 7, message="Kept.")
        lab.faults.add(
            {"id": "kept", "on": {"command": "Get-Date", "nth": 2, "parameters": {"Year": 1}}, "do": {"hang": True}}
        )
        lab.time.advance(60)
        told = state.dump(lab, folder / "state.tar")
        facts = {
            "ledger": host.ledger(),
            "password": lab.passwords["srv", "Administrator"],
            "shadows": [each.id for each in host.vss.shadows],
            "events": [(each.time, each.id, each.message) for each in host.events.query("Application")],
        }
    return folder / "state.tar", told, facts


def test_the_file_is_of_its_owner_only_and_names_what_it_holds(saved):
    file, told, _ = saved
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert told == {"file": str(file), "hosts": ["srv"], "bytes": file.stat().st_size}


@pytest.fixture
def again(saved, tmp_path):
    assert state.load(saved[0], tmp_path / "again")["hosts"] == ["srv"]
    found = state.saved(tmp_path / "again")
    with Lab(found.scenario, state=tmp_path / "again", ports=(0, 0), saved=found) as lab:
        yield lab


def test_everything_is_there_again(saved, again):
    _, _, facts = saved
    host = again.hosts["srv"]
    assert host.ledger() == facts["ledger"]
    assert again.passwords["srv", "Administrator"] == facts["password"]
    assert host.files.read("D:\\Shares\\new.txt") == b"after"
    assert host.files.security("D:\\Shares\\new.txt").startswith("O:BAG:SYD:PAI")
    assert [each.id for each in host.vss.shadows] == facts["shadows"]
    device = host.vss.shadows[0].device
    assert host.files.read(f"{device}\\Shares\\new.txt") == b"before"
    assert [(e.time, e.id, e.message) for e in host.events.query("Application")][-len(facts["events"]) :] == facts[
        "events"
    ]
    assert host.services.get("CryptSvc").status == "Stopped"
    assert again.faults.get("kept").definition()["on"]["parameters"] == {"year": 1}


def test_time_goes_on_where_it_stood(again):
    host = again.hosts["srv"]
    assert host.clock.now() == datetime.datetime(2026, 3, 29, 0, 31, tzinfo=datetime.timezone.utc)
    again.time.advance(89 * 60)
    assert host.files.exists("C:\\ran.txt")
    assert host.tasks.info("\\", "later").last_result == 0


def test_applications_go_on_with_their_data(again):
    app = again.hosts["srv"].apps["Bank"]
    assert app.pid
    app.freeze()
    assert again.check("srv", "Bank", "D:\\Bank").ok
    app.thaw()


def test_a_host_nobody_touched_begins_as_its_scenario_says(again):
    assert again.hosts["other"].files.exists("C:\\Windows")


def test_a_folder_with_something_else_in_it_is_left_alone(saved, tmp_path):
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(state.StateError, match="holds something else"):
        state.load(saved[0], tmp_path)
    assert (tmp_path / "mine.txt").exists()


def test_a_file_that_is_no_state_is_refused(tmp_path):
    (tmp_path / "no.tar").write_text("no")
    with pytest.raises(state.StateError, match="holds no state of a laboratory"):
        state.load(tmp_path / "no.tar", tmp_path / "state")
    with tarfile.open(tmp_path / "empty.tar", "w"):
        pass
    with pytest.raises(state.StateError, match="holds no state"):
        state.load(tmp_path / "empty.tar", tmp_path / "state")


@pytest.mark.parametrize("name", ["../out.txt", "/tmp/out.txt", "hosts/link/out.txt"])
def test_a_file_that_reaches_out_of_the_folder_is_refused(tmp_path, name):
    with tarfile.open(tmp_path / "bad.tar", "w") as tar:
        link = tarfile.TarInfo("hosts/link")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path)
        tar.addfile(link)
        entry = tarfile.TarInfo(name)
        entry.size = 1
        tar.addfile(entry, io.BytesIO(b"x"))
    with pytest.raises(state.StateError, match="does not belong into one"):
        state.load(tmp_path / "bad.tar", tmp_path / "state")
    assert not (tmp_path / "out.txt").exists()


def test_times_are_kept_to_the_nanosecond(tmp_path):
    path = tmp_path / "plan.yml"
    path.write_text(PLAN.replace("time: 2026-03-29T00:30:00Z\n", ""), encoding="utf-8")
    with Lab(scenario.load(path), state=tmp_path / "one", ports=(0, 0)) as lab:
        host = lab.hosts["srv"]
        host.vss.create("test", [host.vss.volume("D:")], Context.CLIENT_ACCESSIBLE)
        copy = host.vss.shadows[0].root / "Shares"
        written = {each.relative_to(copy): each.lstat().st_mtime_ns for each in copy.rglob("*")}
        state.dump(lab, tmp_path / "kept.tar")
    state.load(tmp_path / "kept.tar", tmp_path / "two")
    found = state.saved(tmp_path / "two")
    with Lab(found.scenario, state=tmp_path / "two", ports=(0, 0), saved=found) as lab:
        copy = lab.hosts["srv"].vss.shadows[0].root / "Shares"
        assert {each.relative_to(copy): each.lstat().st_mtime_ns for each in copy.rglob("*")} == written


def test_no_file_of_a_laboratory_with_a_time_of_its_own_has_the_machines_date(tmp_path, plan):
    with Lab(plan, state=tmp_path / "state", ports=(0, 0)) as lab:
        host = lab.hosts["srv"]
        host.files.mkdir("D:\\Shares\\new")
        host.files.symlink("D:\\Shares\\link", "C:\\Windows")
        now = host.clock.now()
        late = [each.path for root in ("C:\\", "D:\\Shares") for each in [host.files.stat(root), *host.files.walk(root)]
                if max(each.created, each.modified, each.accessed) > now]  # fmt: skip
        assert late == []
