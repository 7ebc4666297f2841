# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`restore`: a drill, which proves and times a restore and leaves nothing; and applications' part in a restore."""

from __future__ import annotations

import json

import pytest
from vsslab.lab import Lab
from vsslab.scenario import read

pytestmark = pytest.mark.slow

FLEET = r"""
name: rehearsing
description: A server with an application that nobody uses, and a client.
defaults:
  users:
    - {name: Administrator, administrator: true, remote: true}
  volumes:
    - {letter: C, label: System, capacity: 64 GiB, system: true, pagefile: true}
    - {letter: D, label: Data, capacity: 32 GiB}
    - {letter: S, label: Small, capacity: 96 KiB}
hosts:
  - name: app1
    profile: server2022
    language: de-DE
    files:
      - {path: 'D:\Our Data', count: 40, bytes: 5 KiB, depth: 3}
    writers:
      - name: SqlServerWriter
        components:
          - {name: Bank, logical_path: SQL01, files: [{path: 'D:\Our Data', filespec: '*', recursive: true}]}
    connection: {plugin: psrp, scheme: http, auth: negotiate}
  - name: pc1
    profile: windows11
    language: en-US
    connection: {plugin: psrp, scheme: https, auth: ntlm}
"""
NAME = {"name": "then"}
FOLDER = "D:\\Our Data"


@pytest.fixture(scope="module")
def rehearsing(work, fleet_type):
    state = work / "rehearsing"
    lab = Lab(read(FLEET, "rehearsing"), state=state / "lab", trace=work / "traces" / "rehearsing.jsonl")
    lab.start()
    try:
        fleet = fleet_type(lab, state)
        fleet.ok("app1", "snapshot", {**NAME, "volumes": ["D:"], "writers": {"require": ["SqlServerWriter"]}})
        yield fleet
    finally:
        lab.stop()


@pytest.fixture(autouse=True)
def _no_orders(rehearsing):
    yield
    for fault in list(rehearsing.lab.faults.list()):
        assert fault.fired
        rehearsing.lab.faults.remove(fault)


def tree(host, folder=FOLDER):
    found = {each.path: None if each.is_dir else host.files.read(each.path) for each in host.files.walk(folder)}
    return {path: (what, host.files.stat(path).modified, host.files.security(path)) for path, what in found.items()}


# ---- the drill
@pytest.mark.parametrize("flags", [("--check",), ()])
def test_a_drill_proves_and_times_it_and_leaves_nothing(rehearsing, flags):
    host = rehearsing.host("app1")
    before, events = tree(host), len(host.events.query("Application", providers=["umbra-vss"]))
    with rehearsing.unchanged("app1"):
        done = rehearsing.ok("app1", "restore", {**NAME, "paths": [FOLDER], "drill": True}, *flags)
    assert tree(host) == before
    assert done["changed"] is False
    assert done["drill"]["files"] == done["files"] == 40
    assert done["drill"]["bytes"] == sum(len(what) for what, _, _ in before.values() if what is not None)
    assert done["drill"]["verified"] is True
    assert 0 < done["drill"]["seconds"] < 60
    assert (done["verified"]["mode"], done["verified"]["mismatches"]) == ("all", [])
    copied = [e for e in rehearsing.lab.trace.events("program", host.name) if "umbra-restore-" in json.dumps(e["argv"])]
    assert copied, "it was really restored somewhere"
    assert len(host.events.query("Application", providers=["umbra-vss"])) == events + 1


def test_a_drill_tells_what_it_cannot_prove(rehearsing):
    host = rehearsing.host("app1")
    on = {"kind": "program", "host": "app1", "program": "robocopy.exe", "times": 0}
    rehearsing.lab.faults.add({"on": on, "do": {"fail": 5}})
    with rehearsing.unchanged("app1"):
        sentence = rehearsing.fails("app1", "restore", {**NAME, "paths": [FOLDER], "drill": True}, "--check")
    assert "5" in sentence
    assert tree(host)


def test_a_drill_needs_room(rehearsing):
    with rehearsing.unchanged("app1"):
        args = {**NAME, "paths": [FOLDER], "destination": "S:\\Rehearsal", "drill": True}
        sentence = rehearsing.fails("app1", "restore", args, "--check")
    assert "S:" in sentence
    assert "space" in sentence


# ---- with writers
TOLD = {**NAME, "paths": [FOLDER], "existing": "replace", "writers": {"restore": ["SqlServerWriter"]}}


def phases(fleet, host="app1"):
    told = [entry for entry in fleet.vss_trace(host) if str(entry.get("phase")).endswith("_restore")]
    return [(entry["phase"], tuple(entry.get("writers", ()))) for entry in told]


@pytest.fixture
def changed(rehearsing):
    """(host, what was there when the snapshot was made); a file has changed and one is gone."""
    host = rehearsing.host("app1")
    old = tree(host)
    first, second, *_ = sorted(path for path, (what, _, _) in old.items() if what is not None)
    host.files.write(first, b"changed since")
    host.files.remove(second)
    yield host, old
    if tree(host) != old:
        rehearsing.ok("app1", "restore", {**NAME, "paths": [FOLDER], "existing": "replace"})


def test_a_writer_hears_of_the_restore_before_and_after(rehearsing, changed):
    host, old = changed
    before = len(phases(rehearsing))
    robocopies = len(list(rehearsing.lab.trace.events("program", host.name)))
    done = rehearsing.ok("app1", "restore", TOLD)
    assert tree(host) == old
    assert phases(rehearsing)[before:] == [
        ("pre_restore", ("SqlServerWriter",)),
        ("post_restore", ("SqlServerWriter",)),
    ]
    assert [each["name"] for each in done["writers"]] == ["SqlServerWriter"]
    assert (done["changed"], done["files"], done["left_behind"]) == (True, 2, [])
    programs = list(rehearsing.lab.trace.events("program", host.name))[robocopies:]
    (command,) = [e["argv"] for e in programs if "restore.cmd" in json.dumps(e["argv"]) and "cmd.exe" in e["program"]]
    assert FOLDER not in " ".join(command)
    assert not rehearsing.ledger("app1")["tasks"]
    again = rehearsing.ok("app1", "restore", TOLD)
    assert (again["changed"], again["writers"]) == (False, [])


def test_a_writer_that_fails_before_keeps_everything_as_it_is(rehearsing, changed):
    host, _old = changed
    now = tree(host)
    on = {"kind": "phase", "host": "app1", "phase": "pre_restore", "writer": "SqlServerWriter"}
    rehearsing.lab.faults.add({"on": on, "do": {"fail": "0x800423f4"}})
    with rehearsing.unchanged("app1"):
        sentence = rehearsing.fails("app1", "restore", TOLD)
    assert "before anything was restored" in sentence
    assert "SqlServerWriter" in sentence
    assert tree(host) == now
    with rehearsing.unchanged("app1"):
        assert "VSS_WS_FAILED_AT_PRE_RESTORE" in rehearsing.fails("app1", "restore", TOLD)
    host.services.stop("SQLWriter")
    host.services.start("SQLWriter")
    assert rehearsing.ok("app1", "restore", TOLD)["writers"]


def test_a_copy_that_fails_still_ends_with_the_writer(rehearsing, changed):
    before = len(phases(rehearsing))
    on = {"kind": "program", "host": "app1", "program": "robocopy.exe", "arguments": "*/JOB:*", "times": 0}
    rehearsing.lab.faults.add({"on": on, "do": {"fail": 5}})
    sentence = rehearsing.fails("app1", "restore", TOLD)
    assert "error 5" in sentence
    assert [phase for phase, _ in phases(rehearsing)[before:]] == ["pre_restore", "post_restore"]
    assert not rehearsing.ledger("app1")["tasks"]


REFUSED = {
    "a writer that had no part": ({"writers": {"restore": ["Oracle VSS Writer"]}}, "had no part"),
    "a drill": ({"drill": True}, "drill"),
    "another place": ({"paths": [{"path": FOLDER, "to": "D:\\Elsewhere"}]}, "where it came from"),
    "letters beyond ASCII": ({"paths": ["D:\\Our Data\\Größe"]}, "ASCII"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_had_with_writers(rehearsing, case):
    more, words = REFUSED[case]
    host = rehearsing.host("app1")
    before = len(phases(rehearsing))
    if "ASCII" in words:
        host.files.mkdir("D:\\Our Data\\Größe")
        host.files.write("D:\\Our Data\\Größe\\x", b"x")
        args = {"name": "odd", "volumes": ["D:"], "writers": {"require": ["SqlServerWriter"]}}
        rehearsing.ok("app1", "snapshot", args)
        host.files.write("D:\\Our Data\\Größe\\x", b"y")
        more = {**more, "name": "odd"}
    with rehearsing.unchanged("app1"):
        assert words in rehearsing.fails("app1", "restore", {**TOLD, **more})
    assert len(phases(rehearsing)) == before
    if "ASCII" in words:
        rehearsing.ok("app1", "snapshot", {"name": "odd", "state": "absent"})
        host.files.remove_tree("D:\\Our Data\\Größe")


def test_a_client_cannot_tell_writers(rehearsing):
    host = rehearsing.host("pc1")
    host.files.write("D:\\x.txt", b"x")
    rehearsing.ok("pc1", "snapshot", {**NAME, "volumes": ["D:"], "consistency": "crash"})
    sentence = rehearsing.fails("pc1", "restore", {**TOLD, "paths": ["D:\\x.txt"]})
    assert "diskshadow" in sentence
