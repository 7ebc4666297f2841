# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`restore` with `state: reverted`: a volume becomes the old one, at a cost that was accepted, whatever happens."""

from __future__ import annotations

import dataclasses
import datetime
import threading
import time

import pytest
from vsslab.lab import Lab
from vsslab.scenario import read
from vsslab.vss.codes import Context
from vsslab.vss.storage import UNBOUNDED

pytestmark = pytest.mark.slow

FLEET = r"""
name: reverting
description: Servers whose data volume nobody uses, and a client.
defaults:
  users:
    - {name: Administrator, administrator: true, remote: true}
  volumes:
    - {letter: C, label: System, capacity: 64 GiB, system: true, pagefile: true}
    - {letter: D, label: Data, capacity: 32 GiB}
    - {letter: E, label: More, capacity: 32 GiB}
    - {letter: P, label: Paging, capacity: 8 GiB, pagefile: true}
    - {label: Archive, capacity: 8 GiB, mounts: ['D:\Archive']}
  files:
    - {path: 'D:\Data', count: 60, bytes: 4 KiB, depth: 3}
hosts:
  - {name: srv1, profile: server2022, language: en-US, connection: {plugin: psrp, scheme: http, auth: negotiate}}
  - {name: srv2, profile: server2019, language: de-DE, connection: {plugin: winrm, scheme: http, auth: ntlm}}
  - {name: srv3, profile: server2025, language: fr-FR, connection: {plugin: psrp, scheme: https, auth: basic}}
  - {name: pc1, profile: windows11, language: en-US, connection: {plugin: psrp, scheme: https, auth: ntlm}}
"""
THEN = datetime.datetime(2024, 2, 29, 11, 22, 33, 456789, tzinfo=datetime.timezone.utc)
ODD_ACL = "O:BAG:BAD:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1301bf;;;BU)"


@pytest.fixture(scope="module")
def reverting(work, fleet_type):
    """A fleet of its own: reverting a volume ends what works on it."""
    state = work / "reverting"
    lab = Lab(read(FLEET, "reverting"), state=state / "lab", trace=work / "traces" / "reverting.jsonl")
    lab.start()
    try:
        yield fleet_type(lab, state)
    finally:
        lab.stop()


@pytest.fixture(params=["srv1"])
def place(reverting, request):
    """(fleet, name of a host, the host, what D: held at its snapshot "then"); much on D: has changed since."""
    name, host = request.param, reverting.host(request.param)
    takes(host, 0.0)
    files = host.files
    files.write("D:\\Data\\plan.txt", b"then")
    files.set_times("D:\\Data\\plan.txt", modified=THEN)
    files.set_security("D:\\Data", ODD_ACL)
    if not files.exists("D:\\Data\\empty"):
        files.mkdir("D:\\Data\\empty")
    files.set_attributes("D:\\Data\\plan.txt", 0x2 | 0x20)
    reverting.ok(name, "snapshot", {"name": "then", "volumes": ["D:"], "consistency": "crash"})
    old = content(host)
    files.write("D:\\Data\\plan.txt", b"now")
    files.write("D:\\Data\\new.txt", b"new")
    files.set_security("D:\\Data", "O:SYG:SYD:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)")
    files.rmdir("D:\\Data\\empty")
    assert content(host) != old
    yield reverting, name, host, old
    while host.vss.reverts.all():
        time.sleep(0.05)
    takes(host, 0.0)
    reverting.ok(name, "snapshot", {"name": "then", "state": "absent"})
    for shadow in list(host.vss.shadows):
        host.vss.delete(shadow.id)
    for area in [each for each in host.vss.storage.all() if each.configured]:
        host.vss.storage.remove(area.volume)


def takes(host, seconds):
    host.vss.options = dataclasses.replace(host.vss.options, revert_seconds=seconds)


def content(host, volume="D:\\"):
    """Every name on a volume with bytes, times, attributes, owner and access list."""
    files, found = host.files, {}
    for each in files.walk(volume):
        link = each.link_target
        told = None if each.is_dir or link else files.read(each.path)
        security = None if link else files.security(each.path)
        found[each.path] = (told, link, each.modified, each.created, each.attributes, security)
    return found


def of_others(host, volume):
    """A shadow copy that another product makes."""
    return host.vss.create("Other Backup", [host.volumes.by_path(volume)], Context.NAS_ROLLBACK).shadows[0]


def volsnap(host):
    found = host.events.query("System", providers=["volsnap"], oldest_first=True)
    return [each.id for each in found if each.id in (64, 65, 66)]


WANTED = {"state": "reverted", "volume": "D:", "name": "then"}


# ---- what it does
@pytest.mark.parametrize("place", ["srv1", "srv2", "srv3"], indirect=True)
def test_a_reverted_volume_is_the_old_one(place):
    fleet, name, host, old = place
    others = content(host, "E:\\")
    takes(host, 1.0)
    shadow = host.vss.shadows[-1]
    with fleet.unchanged(name):
        predicted = fleet.ok(name, "restore", WANTED, "--check")
        assert host.files.read("D:\\Data\\plan.txt") == b"now"
    before = fleet.ledger(name)
    done = fleet.ok(name, "restore", WANTED)
    assert content(host) == old
    assert content(host, "E:\\") == others
    assert (done["changed"], done["left_behind"], done["reverted"]["restarts"]) == (True, [], 0)
    assert done["reverted"]["shadow"] == f"{{{shadow.id}}}"
    assert predicted["reverted"].items() <= done["reverted"].items()
    assert all("D:\\Archive" in told for told in done["warnings"])
    after = fleet.ledger(name)
    assert not fleet.differences({**before, "tree": {}}, {**after, "tree": {}})
    assert volsnap(host)[-2:] == [64, 66]
    assert shadow in host.vss.shadows
    assert fleet.ok(name, "snapshot", {**PRESENT, "name": "then"}, "--check")["changed"] is False, "its snapshot stays"


PRESENT = {"volumes": ["D:"], "consistency": "crash"}


def test_progress_is_told(place):
    fleet, name, host, _old = place
    takes(host, 3.0)
    done = fleet.ok(name, "restore", WANTED)
    told = [line for line in done["output"].splitlines() if "Reverting D:\\" in line and "%" in line]
    assert len(told) >= 2, done["output"]


# ---- what it costs
def test_newer_copies_are_named_and_must_be_accepted(place):
    fleet, name, host, old = place
    fleet.ok(name, "snapshot", {**PRESENT, "name": "later"})
    ours, theirs = host.vss.shadows[-1], of_others(host, "D:")
    elsewhere = of_others(host, "E:")
    for accepted in ([], [f"{{{theirs.id}}}"], [f"{{{elsewhere.id}}}"]):
        with fleet.unchanged(name):
            sentence = fleet.fails(name, "restore", {**WANTED, "accept_loss": accepted})
            assert fleet.fails(name, "restore", {**WANTED, "accept_loss": accepted}, "--check") == sentence
        assert ours.id in sentence
        assert 'kept as "later"' in sentence
        assert (theirs.id in sentence) == (f"{{{theirs.id}}}" not in accepted)
        assert elsewhere.id not in sentence
    done = fleet.ok(name, "restore", {**WANTED, "accept_loss": [ours.id, f"{{{theirs.id.upper()}}}"]})
    assert content(host) == old
    assert {each["id"]: each["name"] for each in done["reverted"]["lost"]} == {
        f"{{{ours.id}}}": "later",
        f"{{{theirs.id}}}": None,
    }
    assert host.vss.shadows[1:] == [elsewhere]
    records = fleet.ok(name, "info", {"gather": ["records"]})["records"]
    assert [each["name"] for each in records] == ["then"], "the record of what is gone is gone"
    assert done["left_behind"] == []


def test_a_word_accepts_all_newer_ones_and_no_others(place):
    fleet, name, host, old = place
    of_others(host, "D:")
    host.vss.storage.add(host.vss.volume("E:\\"), host.volumes.by_path("D:"), UNBOUNDED)
    guest = of_others(host, "E:")
    args = {**WANTED, "accept_loss": ["newer"], "force_dismount": True}
    with fleet.unchanged(name):
        sentence = fleet.fails(name, "restore", args)
    assert guest.id in sentence
    assert "E:\\" in sentence
    args["accept_loss"].append(guest.id)
    done = fleet.ok(name, "restore", args)
    assert sorted(each["why"] for each in done["reverted"]["lost"]) == ["newer", "storage area"]
    assert content(host) == old
    assert len(host.vss.shadows) == 1


def test_what_is_shown_in_its_folders_is_told(place):
    fleet, name, host, _old = place
    theirs = of_others(host, "C:")
    host.files.mkdir("D:\\Shown")
    host.vss.expose(theirs.id, "D:\\Shown")
    done = fleet.ok(name, "restore", WANTED)
    told = " ".join(done["warnings"])
    assert theirs.id in told
    assert "D:\\Archive" in told
    assert theirs in host.vss.shadows
    assert host.volumes.by_path("D:\\Archive") is not None, "it was mounted there when the copy was made"


# ---- what is refused
def test_what_cannot_be_reverted(place):
    fleet, name, host, _old = place
    copies = {letter: of_others(host, f"{letter}:") for letter in "CP"}
    for letter, why in (("C", "Windows runs from it"), ("P", "page file")):
        with fleet.unchanged(name):
            args = {"state": "reverted", "volume": f"{letter}:", "snapshot_id": copies[letter].id}
            sentence = fleet.fails(name, "restore", {**args, "force_dismount": True})
        assert why in sentence
    bad = {
        "holds nothing of E:": {**WANTED, "volume": "E:"},
        "no volume Q:": {**WANTED, "volume": "Q:"},
        "neither the ID": {**WANTED, "accept_loss": ["everything"]},
        "then-not": {**WANTED, "name": "then-not"},
        "not a duration": {**WANTED, "wait": "long"},
    }
    for words, args in bad.items():
        with fleet.unchanged(name):
            assert words in fleet.fails(name, "restore", args)


def test_a_client_is_refused(reverting):
    host = reverting.host("pc1")
    copy = host.vss.create("Other", [host.volumes.by_path("D:")], Context.CLIENT_ACCESSIBLE).shadows[0]
    with reverting.unchanged("pc1"):
        args = {"state": "reverted", "volume": "D:", "snapshot_id": copy.id}
        assert "only Windows Server" in reverting.fails("pc1", "restore", args)


def test_open_files_keep_the_volume_unless_it_is_forced(place):
    fleet, name, host, old = place
    with host.files.writer("D:\\Data\\open.txt") as stream:
        stream.write(b"x")
        with fleet.unchanged(name):
            sentence = fleet.fails(name, "restore", WANTED)
        assert "force_dismount" in sentence
        assert "returned 4" in sentence
        assert host.files.read("D:\\Data\\plan.txt") == b"now"
        fleet.ok(name, "restore", {**WANTED, "force_dismount": True})
    host.files.remove("D:\\Data\\open.txt") if host.files.exists("D:\\Data\\open.txt") else None
    assert {path for path in content(host) if "open" not in path} == set(old)


def test_a_volume_that_is_being_reverted_by_others_is_left_alone(place):
    fleet, name, host, _old = place
    takes(host, 4.0)
    host.vss.revert(host.vss.shadows[-1].id)
    with fleet.unchanged(name):
        sentence = fleet.fails(name, "restore", WANTED)
    assert "is being reverted already" in sentence


# ---- what may happen meanwhile
def in_background(act):
    found = []
    thread = threading.Thread(target=lambda: found.append(act()))
    thread.start()
    return thread, found


def test_the_host_restarts_meanwhile(place):
    fleet, name, host, old = place
    takes(host, 5.0)
    thread, found = in_background(lambda: fleet.task(name, "restore", WANTED))
    fleet.wait_for(host.vss.reverts.all, 60)
    host.reboot(2.0)
    thread.join(120)
    assert found[0]["status"] == "ok", found[0].get("msg")
    assert content(host) == old
    assert volsnap(host)[-3:] == [64, 65, 66]
    assert found[0]["reverted"]["restarts"] == 1
    assert any("connection" in each for each in found[0]["warnings"])


def test_waiting_ends_and_the_next_run_waits_on(place):
    fleet, name, host, old = place
    takes(host, 12.0)
    sentence = fleet.fails(name, "restore", {**WANTED, "wait": "1s"})
    assert "goes on" in sentence
    assert "%" in sentence
    host.files.write("D:\\Data\\since.txt", b"written while it went on")
    done = fleet.ok(name, "restore", WANTED)
    assert done["recovered"][0]["revert"]["outcome"] == "complete"
    assert not host.vss.reverts.all()
    assert volsnap(host)[-2:] == [64, 66], "it was reverted once"
    assert host.files.read("D:\\Data\\since.txt") == b"written while it went on"
    assert set(content(host)) - set(old) == {"D:\\Data\\since.txt"}
    assert not fleet.ledger(name)["tasks"]


def test_the_controller_dies_meanwhile(place):
    fleet, name, host, old = place
    takes(host, 3600.0)
    process = fleet.start(name, "restore", WANTED)
    (goes_on,) = fleet.wait_for(host.vss.reverts.all, 60)
    fleet.kill(process)
    # An action that has nothing to do with it does not wait for it, nor takes its record away.
    other = fleet.ok(name, "snapshot", {"name": "other", "volumes": ["E:"], "consistency": "crash"})
    assert any("goes on" in each for each in other["warnings"])
    fleet.ok(name, "snapshot", {"name": "other", "state": "absent"})
    thread, found = in_background(lambda: fleet.ok(name, "restore", WANTED))
    time.sleep(5.0)
    assert thread.is_alive()
    goes_on.cancel()
    host.vss.reverts._finish(goes_on)
    thread.join(120)
    (done,) = found
    assert (done["changed"], done["recovered"][0]["revert"]["outcome"]) == (True, "complete")
    assert content(host) == old
    assert volsnap(host)[-2:] == [64, 66]
    records = fleet.ok(name, "info", {"gather": ["records"]})["records"]
    assert [each["name"] for each in records] == ["then"]


def faults_happened(fleet):
    for fault in list(fleet.lab.faults.list()):
        assert fault.fired, fault
        fleet.lab.faults.remove(fault)


def test_the_connection_is_lost_before_it_is_asked_for(place):
    fleet, name, host, old = place
    # The facts, the beginning, the revert: the third pipeline does not arrive.
    on = {"kind": "http", "operation": "Command", "host": name, "nth": 3}
    fleet.lab.faults.add({"on": on, "do": {"drop": "before"}})
    before = len(volsnap(host))
    with fleet.unchanged(name, shells=False):
        sentence = fleet.fails(name, "restore", WANTED)
    faults_happened(fleet)
    assert "nothing has been changed" in sentence
    assert len(volsnap(host)) == before
    assert fleet.ok(name, "restore", WANTED)["recovered"] == []
    assert content(host) == old


def test_the_answer_to_it_is_lost(place):
    fleet, name, host, old = place
    takes(host, 1.0)

    def deaf(entry):
        commands = entry.get("statements") or ()
        if entry["event"] == "pipeline" and any(each["parameters"].get("MethodName") == "Revert" for each in commands):
            fleet.lab.faults.add({"on": {"kind": "http", "host": name, "times": 5}, "do": {"drop": "before"}})

    unsubscribe = fleet.lab.trace.subscribe(deaf)
    try:
        done = fleet.ok(name, "restore", WANTED)
    finally:
        unsubscribe()
    faults_happened(fleet)
    assert content(host) == old
    assert volsnap(host)[-2:] == [64, 66]
    assert any("connection" in each for each in done["warnings"])
