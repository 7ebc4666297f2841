# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad input and trouble: each ends in one clear sentence and a host without leftovers."""

from __future__ import annotations

import re
import shutil
import threading
import time

import pytest

BANK = {
    "sources": [r"D:\Bank"],
    "destination": r"E:\Trouble",
    "writers": {"require": ["SqlServerWriter"]},
}


def backup(**changed):
    return {**BANK, **changed}


INPUT = {
    "unknown volume": ("snapshot", {"name": "x", "volumes": ["Q:"]}, [r"Q:", "sql01"]),
    "file system that cannot be shadowed": ("snapshot", {"name": "x", "volumes": ["F:"]}, ["F:", "FAT32", "NTFS"]),
    "destination on a volume of the set": (
        "backup",
        backup(destination=r"D:\Backup"),
        [r"D:\\Backup", "another volume"],
    ),
    "source that does not exist": ("backup", backup(sources=[r"D:\Bank", r"D:\Nowhere"]), [r"D:\\Nowhere"]),
    "source on an unknown volume": ("backup", backup(sources=[r"Q:\Bank"]), ["Q:"]),
    "required writer that is absent": (
        "backup",
        backup(writers={"require": ["Oracle VSS Writer"]}),
        ["Oracle VSS Writer", "sql01"],
    ),
    "required writer without anything in the set": (
        "snapshot",
        {"name": "x", "volumes": ["E:"], "writers": {"require": ["SqlServerWriter"]}},
        ["SqlServerWriter", "D:"],
    ),
    "required and excluded at once": (
        "snapshot",
        {"name": "x", "volumes": ["D:"], "writers": {"require": ["SqlServerWriter"], "exclude": ["SqlServerWriter"]}},
        ["SqlServerWriter", "exclude"],
    ),
    "drive letter in use": (
        "snapshot",
        {
            "name": "x",
            "volumes": ["D:"],
            "writers": {"require": ["SqlServerWriter"]},
            "expose": [{"volume": "D:", "path": "E:"}],
        },
        ["E:", "use"],
    ),
    "a full backup, which comes later": ("backup", backup(type="full"), ["full", "copy"]),
    "a name with a quote in it": ("snapshot", {"name": 'a"b', "volumes": ["D:"]}, ["name"]),
    "nothing to back up": ("backup", backup(sources=[]), ["sources"]),
}


@pytest.mark.parametrize("case", INPUT)
def test_bad_input(fleet, case):
    module, args, words = INPUT[case]
    made = fleet.sets_created("sql01")
    with fleet.unchanged("sql01"):
        sentence = fleet.fails("sql01", module, args)
    for word in words:
        assert re.search(word, sentence), (word, sentence)
    assert fleet.sets_created("sql01") == made, "nothing may have been created"


def test_a_destination_that_is_too_small(fleet):
    with fleet.unchanged("sql01"):
        sentence = fleet.fails("sql01", "backup", backup(destination=r"S:\Trouble"))
        assert "S:" in sentence
        assert re.search(r"space|full", sentence)
        assert not fleet.host("sql01").files.exists(r"S:\Trouble")


def test_a_destination_that_fills_while_copying(fleet):
    fleet.lab.faults.add(
        {"on": {"kind": "program", "host": "sql01", "program": "robocopy.exe", "times": 0}, "do": {"fail": 112}}
    )
    with fleet.unchanged("sql01"):
        sentence = fleet.fails("sql01", "backup", backup())
        assert re.search(r"space|full", sentence)
        assert not fleet.host("sql01").files.exists(r"E:\Trouble")


def test_a_destination_that_cannot_be_written(fleet):
    host = fleet.host("sql01")
    host.files.mkdir(r"E:\Locked")
    host.files.set_security(r"E:\Locked", "O:BAG:SYD:P(A;OICI;FR;;;BA)(A;OICI;FR;;;SY)")
    try:
        with fleet.unchanged("sql01"):
            sentence = fleet.fails("sql01", "backup", backup(destination=r"E:\Locked"))
        assert r"E:\Locked" in sentence
    finally:
        host.files.set_security(r"E:\Locked", "O:BAG:SYD:(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)")
        host.files.rmdir(r"E:\Locked")


def test_a_destination_that_is_somebody_elses(fleet):
    host = fleet.host("sql01")
    host.files.mkdir(r"E:\Theirs")
    host.files.write(r"E:\Theirs\precious.txt", b"precious")
    with fleet.unchanged("sql01"):
        sentence = fleet.fails("sql01", "backup", backup(destination=r"E:\Theirs"))
    assert r"E:\Theirs" in sentence
    assert host.files.read(r"E:\Theirs\precious.txt") == b"precious"
    shutil.rmtree(host.files.locate(r"E:\Theirs").real)


def test_a_required_writer_that_failed(fleet):
    writer = next(w for w in fleet.host("sql01").vss.writers if w.name == "SqlServerWriter")
    state, error = writer.state, writer.failure
    writer.state, writer.failure = type(state)(8), 0x800423F4
    try:
        with fleet.unchanged("sql01"):
            sentence = fleet.fails("sql01", "backup", backup())
    finally:
        writer.state, writer.failure = state, error
    assert "SqlServerWriter" in sentence
    assert "SQLWriter" in sentence, "the service to look at is named"


def test_writer_failure_at_freeze(fleet):
    fleet.lab.faults.add(
        {
            "on": {"kind": "phase", "host": "sql01", "phase": "freeze", "writer": "SqlServerWriter", "times": 9},
            "do": {"fail": "0x800423F4"},
        }
    )
    with fleet.unchanged("sql01"):
        sentence = fleet.fails("sql01", "backup", backup())
    assert "SqlServerWriter" in sentence
    assert re.search("800423f4", sentence, re.I)


@pytest.mark.parametrize("host", ["sql01", "pc01"])
def test_another_requestor_for_longer_than_the_budget(fleet, host):
    held = fleet.host(host).vss.hold_by_other(30, requestor="Other Backup")
    started = time.monotonic()
    try:
        with fleet.unchanged(host):
            sentence = fleet.fails(
                host, "snapshot", {"name": "x", "volumes": ["D:"], "allow_downgrade": True, "timeout": 4}
            )
    finally:
        held.set()
    assert re.search("another", sentence, re.I)
    assert "timeout" in sentence
    assert 4 <= time.monotonic() - started < 25


def refusals(host, then):
    """Calls `then` when a diskshadow of a host was refused; gives what to subscribe, and what was seen."""
    seen = []

    def watch(entry):
        mine = entry["event"] == "program" and entry["host"].lower() == host
        if mine and entry["program"] == "diskshadow.exe" and entry["exit_code"] != 0:
            seen.append(entry)
            then()

    return watch, seen


def test_another_requestor_within_the_budget_is_waited_for(fleet):
    held = fleet.host("sql01").vss.hold_by_other(60, requestor="Other Backup")
    watch, seen = refusals("sql01", held.set)
    unsubscribe = fleet.lab.trace.subscribe(watch)
    try:
        with fleet.unchanged("sql01"):
            args = {"name": "x", "volumes": ["D:"], "allow_downgrade": True, "timeout": 50}
            assert fleet.ok("sql01", "snapshot", args)["changed"] is True
            fleet.ok("sql01", "snapshot", {"name": "x", "state": "absent"})
    finally:
        unsubscribe()
        held.set()
    assert seen, "it was refused at first"


@pytest.mark.parametrize("host", ["sql01", "mail01"])
def test_a_sealed_session_whose_connection_went_while_nobody_spoke(fleet, host):
    """Windows drops idle connections, and with them the keys, which both client libraries would go on using."""
    held = fleet.host(host).vss.hold_by_other(60, requestor="Other Backup")
    made = fleet.sets_created(host)

    def refused(entry):
        mine = entry["event"] == "program" and entry["program"] == "diskshadow.exe" and entry["exit_code"] != 0
        if mine:
            threading.Timer(1.5, held.set).start()
        return mine

    unsubscribe, done = drop_at(fleet, host, refused, after=(0.7,))
    try:
        with fleet.unchanged(host):
            fleet.ok(host, "snapshot", {"name": "x", "volumes": ["D:"], "allow_downgrade": True, "timeout": 60})
            fleet.ok(host, "snapshot", {"name": "x", "state": "absent"})
    finally:
        unsubscribe()
        held.set()
    assert done, "the connection was cut between two tries"
    assert fleet.sets_created(host) == made + 1


def test_a_bad_password(fleet):
    for host in ("sql01", "legacy01"):
        with fleet.unchanged(host):
            sentence = fleet.fails(host, "info", {}, variables={"ansible_password": "wrong"})
        assert "password" in sentence
        assert "wrong" not in sentence
        assert host in sentence


@pytest.mark.parametrize("host", ["web01", "legacy01"])
def test_a_certificate_that_does_not_verify(fleet, host):
    nothing = {"ansible_psrp_ca_cert": "/etc/ssl/certs/ca-certificates.crt"}
    nothing["ansible_winrm_ca_trust_path"] = nothing["ansible_psrp_ca_cert"]
    sentence = fleet.fails(host, "info", {}, variables=nothing)
    assert "certificate" in sentence
    assert re.search("ca_cert|ca_trust_path", sentence)


@pytest.mark.parametrize("host", ["web01", "legacy01"])
def test_a_host_that_does_not_answer(fleet, host):
    sentence = fleet.fails(host, "info", {}, variables={"ansible_port": 5999})
    assert "5999" in sentence
    assert host in sentence


@pytest.mark.parametrize("module", ["info", "snapshot", "backup", "cleanup"])
def test_a_user_without_administrator_rights(fleet, module):
    user = next(u for u in fleet.host("sql01").users if u.remote and not u.administrator)
    args = {"snapshot": {"name": "x", "volumes": ["D:"]}, "backup": BANK}.get(module, {})
    with fleet.unchanged("sql01"):
        sentence = fleet.fails(
            "sql01", module, args, variables={"ansible_user": user.name, "ansible_password": user.password}
        )
    assert user.name in sentence
    assert "administrator" in sentence


@pytest.mark.parametrize(
    "keyword", [{"become": True, "become_method": "runas", "become_user": "SYSTEM"}, {"async": 60}]
)
def test_become_and_async_are_refused_with_what_to_use(fleet, keyword):
    sentence = fleet.fails("sql01", "info", {}, keywords=keyword)
    assert next(iter(keyword)) in sentence


def test_other_connections_are_refused(fleet):
    sentence = fleet.fails("sql01", "info", {}, variables={"ansible_connection": "local"})
    assert "psrp" in sentence
    assert "winrm" in sentence


def drop_at(fleet, host, happens, after=(0.0,)):
    """Cut every connection of a host, these seconds after the laboratory first traced what `happens` looks for."""
    done = []

    def watch(entry):
        if not done and entry["host"].lower() == host and happens(entry):
            done.append(entry)
            for seconds in after:
                threading.Timer(seconds, fleet.drop_connections, [host]).start()

    return fleet.lab.trace.subscribe(watch), done


def freezing(entry):
    return entry["event"] == "vss" and entry.get("phase") == "freeze"


@pytest.fixture
def slow_freeze(fleet):
    """Writers take two seconds to freeze, so that something can happen meanwhile."""
    fleet.lab.faults.add(
        {"on": {"kind": "phase", "phase": "freeze", "writer": "System Writer", "times": 0}, "do": {"delay": 2.0}}
    )


C_AND_D = {"name": "x", "volumes": ["C:", "D:"], "allow_downgrade": True}


@pytest.mark.parametrize("host", ["sql01", "legacy01"])
def test_the_connection_dropped_once_while_creating(fleet, slow_freeze, host):
    """Writers are frozen when the connection breaks: the answer is fetched over a new one, nothing is done twice."""

    def unheard(entry):
        """From the freeze on: the next answer is lost on its way, and all connections go a while later."""
        if not freezing(entry):
            return False
        fleet.lab.faults.add({"on": {"kind": "http", "host": host, "operation": "Receive"}, "do": {"drop": "after"}})
        return True

    unsubscribe, done = drop_at(fleet, host, unheard, after=(1.0,))
    made = fleet.sets_created(host)
    try:
        with fleet.unchanged(host):
            result = fleet.ok(host, "snapshot", C_AND_D)
            fleet.ok(host, "snapshot", {"name": "x", "state": "absent"})
    finally:
        unsubscribe()
    assert done, "the connection was cut"
    assert fleet.sets_created(host) == made + 1
    assert "The connection to" in result["output"], "a repair is told"


@pytest.mark.parametrize("host", ["sql01", "legacy01"])
def test_the_connection_dropped_for_longer_while_creating(fleet, slow_freeze, host):
    """What became of the creation is looked up when the host answers again, and taken back."""

    def deaf(entry):
        if not freezing(entry):
            return False
        fleet.lab.faults.add({"on": {"kind": "http", "host": host, "times": 5}, "do": {"drop": "before"}})
        return True

    unsubscribe, done = drop_at(fleet, host, deaf, after=(1.0,))
    try:
        with fleet.unchanged(host, shells=False):
            sentence = fleet.fails(host, "snapshot", C_AND_D)
    finally:
        unsubscribe()
    assert done, "the connection was cut"
    assert "connection" in sentence
    assert fleet.ok(host, "info", {"gather": ["records"]})["records"] == []


@pytest.mark.parametrize("host", ["sql01", "legacy01"])
def test_the_connection_dropped_while_copying(fleet, host):
    """The copy goes on in its scheduled task; the controller looks again and the backup succeeds."""
    fleet.host(host).copy_rate = {"sql01": 1_500_000, "legacy01": 300_000}[host]

    def copying(entry):
        """From now on: the next answer is lost on its way, and all connections go a while later."""
        if entry["event"] != "task" or entry["what"] != "started":
            return False
        fleet.lab.faults.add({"on": {"kind": "http", "host": host, "operation": "Receive"}, "do": {"drop": "after"}})
        return True

    unsubscribe, done = drop_at(fleet, host, copying, after=(1.0, 1.6))
    source = fleet.app(host).source
    args = {"sources": [source], "destination": r"E:\Dropped", "allow_downgrade": True}
    try:
        with fleet.unchanged(host):
            result = fleet.ok(host, "backup", args)
            shutil.rmtree(fleet.host(host).files.locate(r"E:\Dropped").real)
    finally:
        unsubscribe()
        fleet.host(host).copy_rate = None
    assert done, "the connection was cut"
    assert result["verified"]["mismatches"] == []
    assert "The connection to" in result["output"], "a repair is told"


def test_the_controller_killed_while_copying(fleet):
    """The next run finds the record, removes what was left, and succeeds."""
    host = fleet.host("sql01")
    before = fleet.ledger("sql01")
    known = {s.id for s in host.vss.shadows}
    host.copy_rate = 400_000
    process = fleet.start("sql01", "backup", backup(destination=r"E:\Killed"))
    try:
        fleet.wait_for(lambda: any(t.state == "Running" for t in host.tasks.list()), 30)
    finally:
        fleet.kill(process)
        host.copy_rate = None
    assert fleet.differences(before, fleet.ledger("sql01")), "the kill came while something was there to clean up"
    assert len({s.id for s in host.vss.shadows} - known) == 1
    result = fleet.ok("sql01", "backup", backup(destination=r"E:\Killed"))
    assert result["recovered"], "what was found is reported"
    shutil.rmtree(host.files.locate(r"E:\Killed").real)
    assert not fleet.differences(before, fleet.ledger("sql01"))


def test_cleanup_after_a_killed_controller_and_then_nothing_to_do(fleet):
    host = fleet.host("mail01")
    before = fleet.ledger("mail01")
    host.copy_rate = 400_000
    args = {"sources": [fleet.app("mail01").source], "destination": r"E:\Killed", "allow_downgrade": True}
    process = fleet.start("mail01", "backup", args)
    try:
        fleet.wait_for(lambda: any(t.state == "Running" for t in host.tasks.list()), 30)
    finally:
        fleet.kill(process)
        host.copy_rate = None
    fleet.wait_for(lambda: all(t.state != "Running" for t in host.tasks.list()), 30)
    with fleet.unchanged("mail01"):
        predicted = fleet.ok("mail01", "cleanup", {}, "--check")
    first = fleet.ok("mail01", "cleanup")
    assert predicted["changed"] is first["changed"] is True
    assert first["removed"] == predicted["removed"]
    assert not fleet.differences(before, fleet.ledger("mail01"))
    assert fleet.ok("mail01", "cleanup")["changed"] is False


def test_foreign_shadow_copies_and_a_live_run_are_left_alone(fleet):
    """A copy that another product made, and a run of ours that is alive, both survive a clean-up."""
    host = fleet.host("sql01")
    host.copy_rate = 600_000
    foreign = host.cim.invoke(
        host.users.system, "Win32_ShadowCopy", "Create", {"Volume": "E:\\", "Context": "ClientAccessible"}
    )
    process = fleet.start("sql01", "backup", backup(destination=r"E:\Alive"))
    try:
        fleet.wait_for(lambda: any(t.state == "Running" for t in host.tasks.list()), 30)
        at_work = {key: fleet.ledger("sql01")[key] for key in ("shadow_copies", "links", "tasks")}
        assert fleet.ok("sql01", "cleanup")["changed"] is False
        assert {key: fleet.ledger("sql01")[key] for key in at_work} == at_work
        host.copy_rate = None
        assert process.wait(60) == 0
    finally:
        host.copy_rate = None
        fleet.kill(process)
    assert [str(s.id).strip("{}").lower() for s in host.vss.shadows] == [foreign["ShadowID"].strip("{}").lower()]
    host.vss.delete(host.vss.shadows[0].id)
    shutil.rmtree(host.files.locate(r"E:\Alive").real)
