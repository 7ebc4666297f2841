# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`storage`: areas placed and sized over the wire, what that costs, and trouble at every step."""

from __future__ import annotations

import re
import shutil

import pytest
from vsslab.lab import Lab
from vsslab.scenario import read
from vsslab.vss.codes import Context

FLEET = r"""
name: storage
description: A server with small volumes, so that a storage area is soon full.
defaults:
  users:
    - {name: Administrator, administrator: true, remote: true}
  volumes:
    - {letter: C, label: System, capacity: 64 GiB, system: true, pagefile: true}
    - {letter: D, label: Data, capacity: 256 MiB}
    - {letter: E, label: More, capacity: 32 GiB}
    - {letter: F, label: STICK, capacity: 4 GiB, file_system: FAT32}
    - {label: Archive, capacity: 8 GiB, mounts: ['C:\Mounts\Straße']}
hosts:
  - {name: srv1, profile: server2022, language: de-DE, connection: {plugin: psrp, scheme: http, auth: negotiate}}
"""
MIB = 1 << 20


@pytest.fixture(scope="module")
def fleet(work, fleet_type):
    """A fleet of its own, in place of the common one: what is evicted here nobody else misses."""
    state = work / "storage"
    lab = Lab(read(FLEET, "storage"), state=state / "lab", trace=work / "traces" / "storage.jsonl")
    lab.start()
    try:
        yield fleet_type(lab, state)
    finally:
        lab.stop()


@pytest.fixture
def host(fleet):
    """srv1 without shadow copies, areas, records and other leftovers of a test that failed."""
    found = fleet.host("srv1")
    yield found
    for shadow in list(found.vss.shadows):
        found.vss.delete(shadow.id)
    for area in found.vss.storage.all():
        found.vss.storage.remove(area.volume)
    runs = "C:\\Windows\\umbra-vss\\runs"
    for entry in found.files.listdir(runs) if found.files.exists(runs) else []:
        shutil.rmtree(found.files.locate(f"{runs}\\{entry.name}").real)


def area(host, letter="D"):
    """(the letter of the volume that holds it, its maximum) of a volume's area, None without one."""
    found = host.vss.storage.of(host.volumes.by_path(f"{letter}:"))
    return found and (found.diff_volume.letter, found.max_space)


def said(host, provider="volsnap"):
    return [event.id for event in host.events.query("System", providers=[provider], oldest_first=True)]


def fill(host, name):
    """20 MiB on D: that were not there or were others."""
    host.files.write(f"D:\\{name}.bin", name.encode() * (20 * MIB // len(name)))


def filled(fleet, host):
    """Three copies of D: with 20 MiB in the area of each but the last: ours, somebody else's, ours."""
    for name in "abc":
        fill(host, name)
    fleet.ok("srv1", "storage", {"volume": "D:", "max_size": "100MB"})
    fleet.ok("srv1", "snapshot", {"name": "first", "volumes": ["D:"], "consistency": "crash"})
    host.files.write("D:\\a.bin", b"x" * 20 * MIB)
    theirs = host.vss.create("Other Backup", [host.volumes.by_path("D:")], Context.NAS_ROLLBACK).shadows[0].id
    host.files.write("D:\\b.bin", b"x" * 20 * MIB)
    fleet.ok("srv1", "snapshot", {"name": "last", "volumes": ["D:"], "consistency": "crash"})
    return [shadow.id for shadow in host.vss.shadows], theirs


def several(fleet, *wanted, flags=()):
    """The answers to these declarations, one after the other in one play, each with its status."""
    tasks = [{"umbra.vss.storage": each, "ignore_errors": True} for each in wanted]
    run = fleet.play("srv1", tasks, "-vv", *flags)
    answers = [{**each["result"], "status": each["status"]} for each in run.of("umbra.vss.storage", "srv1")]
    assert len(answers) == len(wanted), run.output
    assert "Traceback" not in run.output
    return answers


# ---- names
def test_every_name_of_a_volume_is_the_same_volume(fleet, host):
    data, archive = host.volumes.by_path("D:"), host.volumes.by_path("C:\\Mounts\\Straße")
    names = {
        "d": "e", "D:\\": "E:\\", "\\\\?\\d:\\": "\\\\.\\E:", data.device_id.upper().replace("VOLUME", "Volume"): "e:/",
        "\\\\?\\GLOBALROOT\\Device\\HarddiskVolume2": "\\Device\\HarddiskVolume3\\",
    }  # fmt: skip
    wanted = [{"volume": name, "on": on, "max_size": "64MB"} for name, on in names.items()]
    answers = several(fleet, *wanted, {"volume": "c:/mounts/STRAßE/", "on": "E:", "max_size": "1GB"})
    assert [answer["status"] for answer in answers] == ["ok"] * 6, answers
    assert [answer["changed"] for answer in answers] == [True, False, False, False, False, True]
    for answer in answers[:5]:
        assert answer["storage"]["volume_id"] == data.device_id
        assert (answer["storage"]["volume"], answer["storage"]["placement"]) == ("D:\\", "E:\\")
    assert answers[5]["storage"]["volume_id"] == archive.device_id
    assert answers[5]["storage"]["volume"] == "C:\\Mounts\\Straße\\"


# ---- what it costs
def test_shrinking_names_whom_it_would_cost_and_then_tells(fleet, host):
    (first, second, third), theirs = filled(fleet, host)
    assert second == theirs
    with fleet.unchanged("srv1"):
        for flags in ((), ("--check",)):
            sentence = fleet.fails("srv1", "storage", {"volume": "D:", "max_size": "32MB"}, *flags)
            at = [sentence.index(identity) for identity in (first, second, third)]
            assert at == sorted(at), "the oldest first"
            assert "of the snapshot first" in sentence
            assert re.search(re.escape(second) + r"\} from \S+ \(not ours\)", sentence)
    assert area(host) == ("D", 100 * MIB)
    before = len(said(host))
    done = fleet.ok("srv1", "storage", {"volume": "D:", "max_size": "32MB", "accept_eviction": True})
    assert said(host)[before:] == [33]
    assert [(copy["id"], copy["name"]) for copy in done["evicted"]] == [(f"{{{first}}}", "first")]
    assert [shadow.id for shadow in host.vss.shadows] == [second, third]
    assert done["storage"]["used"] <= 32 * MIB == done["storage"]["maximum"]
    again = fleet.ok("srv1", "storage", {"volume": "D:", "max_size": "32MB", "accept_eviction": True})
    assert (again["changed"], again["evicted"]) == (False, [])


def test_an_area_with_copies_stays_where_it_is(fleet, host):
    copies, _ = filled(fleet, host)
    with fleet.unchanged("srv1"):
        for wanted in ({"placement": "E:"}, {"state": "absent"}):
            sentence = fleet.fails("srv1", "storage", {"volume": "D:", **wanted})
            assert all(identity in sentence for identity in copies)
    assert area(host) == ("D", 100 * MIB)


def test_growth_and_headroom_are_what_the_host_holds(fleet, host):
    filled(fleet, host)
    (first,) = several(fleet, {"volume": "D:"})
    assert (first["changed"], first["storage"]["used"]) == (False, 40 * MIB)
    assert (first["storage"]["headroom"], first["storage"]["limited_by"]) == (60 * MIB, "maximum")
    host.files.write("D:\\c.bin", b"x" * 20 * MIB)
    then = fleet.ok("srv1", "storage", {"volume": "D:"})
    assert then["storage"]["growth"]["used"] == 20 * MIB
    assert then["storage"]["headroom"] == 40 * MIB
    (seen,) = fleet.ok("srv1", "info", {"gather": ["storage"]})["storage"]
    assert (seen["headroom"], seen["limited_by"]) == (40 * MIB, "maximum")


def test_a_full_disk_ends_first(fleet, host):
    made, again = several(fleet, *[{"volume": "D:", "max_size": "unbounded"}] * 2)
    assert (made["changed"], again["changed"]) == (True, False)
    told = again["storage"]
    assert told["limited_by"] == "disk"
    assert 0 < told["headroom"] <= host.volumes.by_path("D:").free()


# ---- what cannot be
BAD = (
    ({"volume": "Q:"}, ["Q:", "srv1", "D:"]),
    ({"volume": "F:"}, ["F:", "FAT32"]),
    ({"volume": "E:", "max_size": "100MB"}, ["320 MiB", "E:"]),
    ({"volume": "D:", "max_size": "lots"}, ["'lots'", "unbounded"]),
    ({"volume": "D:", "placement": "F:"}, ["F:", "NTFS"]),
    ({"volume": "\\\\nas\\Bücher"}, ["Bücher"]),
    ({"volume": 'D:"; whoami \n'}, ["whoami"]),
    ({"volume": "\\\\?\\GLOBALROOT\\Device\\HarddiskVolumeShadowCopy1"}, ["shadow copy"]),
    ({"volume": "\\\\?\\GLOBALROOT\\Device\\HarddiskVolume99"}, ["HarddiskVolume99"]),
)


def test_bad_input(fleet, host):
    with fleet.unchanged("srv1"):
        answers = several(fleet, *(wanted for wanted, _ in BAD))
    for answer, (wanted, words) in zip(answers, BAD, strict=True):
        assert answer["status"] == "failed", wanted
        assert "\n" not in answer["msg"]
        assert all(word in answer["msg"] for word in words), answer["msg"]


# ---- trouble
def trouble(fleet, on, do):
    return fleet.lab.faults.add({"on": {"host": "srv1", **on}, "do": do})


CREATE = {"kind": "command", "command": "Invoke-CimMethod"}
MOVED = {"volume": "D:", "placement": "E:", "max_size": "64MB"}


@pytest.fixture
def placed(fleet, host):
    """An area of D: on itself, which a test moves."""
    fleet.ok("srv1", "storage", {"volume": "D:", "max_size": "50MB"})
    return host


def test_a_move_that_windows_refuses_in_the_middle_is_put_back(fleet, placed):
    fault = trouble(fleet, CREATE, {"fail": "Der Anbieter hat versagt.", "hresult": "0x80041001"})
    with fleet.unchanged("srv1"):
        sentence = fleet.fails("srv1", "storage", MOVED)
    assert fault.fired
    assert "Der Anbieter hat versagt" in sentence
    assert area(placed) == ("D", 50 * MIB)
    assert fleet.ok("srv1", "storage", MOVED)["changed"] is True
    assert area(placed) == ("E", 64 * MIB)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_connection_lost_at_the_change(fleet, placed, when):
    """The facts, the lock, the change: the third pipeline does not arrive, or its answer does not."""
    fault = trouble(fleet, {"kind": "http", "operation": "Command", "nth": 3}, {"drop": when})
    result = fleet.task("srv1", "storage", MOVED)
    assert fault.fired
    if when == "before" and result["status"] == "failed":
        assert "could not be moved" in result["msg"]
        assert area(placed) == ("D", 50 * MIB)
        result = fleet.ok("srv1", "storage", MOVED)
    assert result["status"] == "ok"
    assert result["changed"] is True
    assert area(placed) == ("E", 64 * MIB)
    with fleet.unchanged("srv1"):
        assert fleet.ok("srv1", "storage", MOVED)["changed"] is False


def left_in_the_middle(fleet, placed):
    """The host restarts when the area was taken away and not made again, and the controller is gone."""
    process = fleet.start("srv1", "storage", MOVED)
    fault = trouble(fleet, CREATE, {"hang": True})
    fleet.wait_for(lambda: fault.fired)
    fleet.kill(process)
    assert area(placed) is None
    trouble(fleet, {"kind": "http", "operation": "Command"}, {"reboot": True})
    fleet.task("srv1", "info", {"gather": ["system"]})
    fleet.lab.faults.remove(fault)
    assert area(placed) is None


def test_the_next_run_puts_back_what_was_taken_away_and_goes_on(fleet, placed):
    left_in_the_middle(fleet, placed)
    other = fleet.ok("srv1", "snapshot", {"name": "other", "state": "absent"})
    assert [each["action"] for each in other["recovered"]] == ["storage"]
    assert area(placed) == ("D", 50 * MIB)
    assert fleet.ok("srv1", "storage", MOVED)["storage"]["placement"] == "E:\\"
    assert area(placed) == ("E", 64 * MIB)
    assert fleet.ok("srv1", "info", {"gather": ["records"]})["records"] == []


def test_without_a_next_run_the_lease_puts_it_back(fleet, placed):
    left_in_the_middle(fleet, placed)
    (lease,) = [task for task in placed.tasks.list() if task.name.endswith("-lease")]
    placed.tasks.start(lease.path, lease.name)  # its time has come
    fleet.wait_for(lambda: area(placed))
    assert area(placed) == ("D", 50 * MIB)
    fleet.ok("srv1", "cleanup")
    assert fleet.ok("srv1", "info", {"gather": ["records"]})["records"] == []


def test_two_controllers_at_once(fleet, host):
    """Each declares another size: both are done, one after the other, and nothing is left of either."""
    with_one = [fleet.start("srv1", "storage", {"volume": "E:", "max_size": size}) for size in ("1GB", "2GB")]
    codes = [process.wait(60) for process in with_one]
    assert codes == [0, 0]
    assert area(host, "E")[1] in {1 << 30, 2 << 30}
    assert fleet.ok("srv1", "info", {"gather": ["records"]})["records"] == []
    assert [task.name for task in host.tasks.list() if "umbra-vss" in task.path.lower()] == []


def test_damaged_readings_are_begun_anew(fleet, host):
    fleet.ok("srv1", "storage", {"volume": "E:", "max_size": "1GB"})
    host.files.write("C:\\Windows\\umbra-vss\\storage.json", b'{"schema": 1, "readings": {"x"')
    found = fleet.ok("srv1", "storage", {"volume": "E:"})
    assert (found["changed"], found["storage"]["growth"]) == (False, None)
    assert any("begun anew" in warning for warning in found["warnings"])
    assert fleet.ok("srv1", "storage", {"volume": "E:"})["storage"]["growth"]["used"] == 0


def test_what_an_unchanged_host_costs(fleet, host):
    wanted = {"volume": "E:", "max_size": "1GB"}
    fleet.ok("srv1", "storage", wanted)
    again = fleet.cheapest("srv1", "storage", wanted)
    assert again["wire"]["requests"] <= 9, again["wire"]
