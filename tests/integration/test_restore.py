# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`restore`: files and folders come back as they were, into their place or another, and nothing else is changed."""

from __future__ import annotations

import datetime
import shutil
import threading

import pytest
from vsslab.apps.books import check

VERBATIM = "\\\\?\\"
THEN = datetime.datetime(2024, 2, 29, 11, 22, 33, 456789, tzinfo=datetime.timezone.utc)
EARLIER, LATER = THEN - datetime.timedelta(days=1), THEN + datetime.timedelta(days=1)
ODD_ACL = "O:BAG:BAD:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1301bf;;;BU)"
FILE_ACL = "O:SYG:SYD:PAI(A;;FA;;;SY)(A;;FR;;;BU)"


def write(files, path, content, *, modified=THEN, attributes=None, acl=None):
    """Write a file with everything that is to come back."""
    long = VERBATIM + path
    files.mkdir(long.rpartition("\\")[0], parents=True) if not files.exists(long.rpartition("\\")[0]) else None
    files.write(long, content)
    files.set_times(long, modified=modified)
    if acl:
        files.set_security(long, acl)
    if attributes:
        files.set_attributes(long, attributes)


def state(files, folder):
    """Everything that must be as it was: content, time of writing, attributes, owner and access list, by path."""
    found = {}
    for each in [files.stat(VERBATIM + folder), *files.walk(VERBATIM + folder)]:
        path = VERBATIM + each.path.removeprefix(VERBATIM)
        content = None if each.is_dir else files.read(path)
        found[path[len(VERBATIM + folder) :]] = (content, each.modified, each.attributes, files.security(path))
    return found


def remove(files, path):
    if files.exists(path):
        for each in files.walk(VERBATIM + path):
            if each.attributes & 0x1:
                files.set_attributes(each.path, 0)
        files.remove_tree(VERBATIM + path)


@pytest.fixture
def tree(fleet, request):
    """A folder on D: of mail01 with everything that is hard to bring back, and a snapshot of it."""
    files, name = fleet.host("mail01").files, request.node.name.partition("[")[0].removeprefix("test_")[:40]
    folder = rf"D:\{name}"
    write(files, rf"{folder}\a.txt", b"first" * 1000)
    write(files, rf"{folder}\b.txt", b"second")
    write(files, rf"{folder}\sub\Ünïcode ©.dat", bytes(range(256)) * 64, acl=FILE_ACL)
    write(files, rf"{folder}\sub\hidden.ini", b"h", attributes=0x2 | 0x20)
    write(files, rf"{folder}\sub\locked.cfg", b"r", attributes=0x1)
    write(files, "\\".join([folder, *("d" * 60 + str(number) for number in range(5)), "far down.txt"]), b"deep")
    files.mkdir(rf"{folder}\empty", parents=True)
    files.set_security(folder, ODD_ACL)
    files.set_times(folder, modified=THEN)
    fleet.ok("mail01", "snapshot", {"name": name, "volumes": ["D:"], "consistency": "crash"})
    yield folder, name
    fleet.ok("mail01", "snapshot", {"name": name, "state": "absent"})
    for path in (folder, rf"E:\{name}"):
        remove(files, path)


def test_a_deleted_folder_comes_back_as_it_was(fleet, tree):
    folder, name = tree
    files = fleet.host("mail01").files
    before = state(files, folder)
    remove(files, folder)
    args = {"name": name, "paths": [folder]}
    with fleet.unchanged("mail01"):
        predicted = fleet.ok("mail01", "restore", args, "--check", "--diff")
        assert not files.exists(folder)
    done = fleet.ok("mail01", "restore", args)
    assert state(files, folder) == before
    assert (done["changed"], done["files"], done["verified"]["files"]) == (True, 6, 6)
    for key in ("changed", "files", "bytes", "snapshot"):
        assert predicted[key] == done[key], key
    with fleet.unchanged("mail01"):
        again = fleet.ok("mail01", "restore", args)
    assert (again["changed"], again["files"], again["verified"]) == (False, 0, None)


def test_a_restored_bank_balances(fleet):
    """Out of an application-consistent snapshot of the database that goes on writing: beside it, and to its place."""
    host, app = fleet.host("sql01"), fleet.app("sql01")
    with fleet.unchanged("sql01"):
        fleet.ok("sql01", "snapshot", {"name": "bank", "volumes": ["D:"], "writers": {"require": ["SqlServerWriter"]}})
        drill = fleet.ok("sql01", "restore", {"name": "bank", "paths": [app.source], "drill": True})
        assert drill["drill"]["verified"]
        done = fleet.ok("sql01", "restore", {"name": "bank", "paths": [app.source], "destination": r"E:\Restored"})
        assert done["files"] == drill["drill"]["files"] > 0
        real = host.files.locate(r"E:\Restored\D\Bank").real
        books = check(app.kind, real)
        assert books.ok, books.detail
        shutil.rmtree(host.files.locate(r"E:\Restored").real)
        app.stop()
        try:
            place = host.files.locate(app.source).real
            shutil.rmtree(place)
            fleet.ok("sql01", "restore", {"name": "bank", "paths": [app.source]})
            books = check(app.kind, place)
            assert books.ok, books.detail
        finally:
            app.start()
        fleet.ok("sql01", "snapshot", {"name": "bank", "state": "absent"})


def test_a_lost_connection_does_not_end_it(fleet):
    """The copying goes on in its task while the connection is cut twice; the answer tells of it."""
    host = fleet.host("legacy01")
    write(host.files, r"D:\Large\big.bin", bytes(1_000_000))
    fleet.ok("legacy01", "snapshot", {"name": "large", "volumes": ["D:"], "consistency": "crash"})
    host.copy_rate = 300_000
    cut = []

    def watch(entry):
        if not cut and entry["host"].lower() == "legacy01" and entry["event"] == "task" and "restore-1" in str(entry):
            cut.append(entry)
            for seconds in (1.5, 2.5):
                threading.Timer(seconds, fleet.drop_connections, ["legacy01"]).start()

    unsubscribe = fleet.lab.trace.subscribe(watch)
    try:
        done = fleet.ok("legacy01", "restore", {"name": "large", "paths": [{"path": r"D:\Large", "to": r"E:\Large"}]})
    finally:
        host.copy_rate = None
        unsubscribe()
    assert cut, "the connection was cut"
    assert "The connection to" in done["output"]
    assert host.files.read(r"E:\Large\big.bin") == bytes(1_000_000)
    fleet.ok("legacy01", "snapshot", {"name": "large", "state": "absent"})
    shutil.rmtree(host.files.locate(r"D:\Large").real)
    shutil.rmtree(host.files.locate(r"E:\Large").real)


def test_a_shadow_copy_that_vanishes_is_told_and_nothing_is_left(fleet):
    host = fleet.host("web01")
    write(host.files, r"D:\Large\big.bin", bytes(1_000_000))
    made = fleet.ok("web01", "snapshot", {"name": "large", "volumes": ["D:"], "consistency": "crash"})
    lost = made["snapshot_set"]["shadows"][0]["id"]
    host.copy_rate = 200_000

    cut = []

    def watch(entry):
        if not cut and entry["host"].lower() == "web01" and entry["event"] == "task" and "restore-1" in str(entry):
            cut.append(entry)
            threading.Timer(1.0, host.vss.delete, [lost]).start()

    unsubscribe = fleet.lab.trace.subscribe(watch)
    try:
        sentence = fleet.fails("web01", "restore", {"name": "large", "paths": [{"path": r"D:\Large", "to": r"E:\x"}]})
    finally:
        host.copy_rate = None
        unsubscribe()
    assert lost in sentence
    assert "vanished" in sentence
    assert not host.files.exists(r"E:\x")
    assert not [each.name for each in host.files.listdir("E:\\") if each.name.startswith("umbra-restore")]
    fleet.ok("web01", "snapshot", {"name": "large", "state": "absent"})
    shutil.rmtree(host.files.locate(r"D:\Large").real)
