# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A shadow copy is its moment, whoever writes meanwhile and afterwards, though its files are hard links."""

from __future__ import annotations

import datetime
import itertools
import os
import random
import threading
import time

import pytest
from vsslab.apps.books import check
from vsslab.apps.driver import App
from vsslab.vss import Context, trees
from vsslab.vss.guard import CopyChanged
from vsslab.windows import inodes
from vsslab.windows.errors import WinError

UTC = datetime.timezone.utc
FOLDERS = [f"D:\\data\\{number}" for number in range(6)]


def picture(files, root):
    """Everything that can be seen below a folder: names, contents, times of writing, attributes."""
    seen = {}
    for each in files.walk(root):
        place = each.path.lower().removeprefix(root.lower())
        seen[place] = (each.modified, each.attributes, None if each.is_dir else files.read(each.path))
    return seen


class Writers:
    """Threads that change files in every way there is, and stop between two changes when told."""

    def __init__(self, host) -> None:
        self._host, self._files = host, host.files
        self.changes = 0
        self.errors: list[BaseException] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(seed,)) for seed in range(4)]
        for folder in FOLDERS:
            host.files.mkdir(folder, parents=True)
        for each in self._threads:
            each.start()

    def stop(self) -> None:
        self._stop.set()
        for each in self._threads:
            each.join(10)

    def _run(self, seed: int) -> None:
        dice = random.Random(seed)
        names = itertools.count()
        mine = FOLDERS[seed]
        try:
            while not self._stop.is_set():
                path = f"{mine}\\f{dice.randrange(12)}.txt"
                self._change(dice, path, mine, next(names))
                self.changes += 1
        except BaseException as error:
            self.errors.append(error)
            raise

    def _change(self, dice, path, mine, number) -> None:
        kind = dice.randrange(9)
        if kind < 2:
            self._files.write(path, dice.randbytes(dice.randrange(4000)))
        elif kind < 4:
            self._files.write(path, b"more", append=True)
        elif kind == 4:
            with self._files.writer(path) as stream:  # in pieces: a copy may come in between
                for piece in range(4):
                    stream.write(bytes([piece]) * 700)
                    time.sleep(0.001)
        elif not self._files.exists(path):
            self._files.mkdir(f"{mine}\\d{number}")
        elif kind == 5:
            self._files.remove(path)
        elif kind == 6:
            self._files.rename(path, f"{mine}\\r{number % 5}.txt", replace_existing=True)
        elif kind == 7:
            self._files.set_times(path, modified=datetime.datetime(2020, 1, 1 + number % 28, tzinfo=UTC))
        else:
            self._files.set_attributes(path, 0x2 if number % 2 else 0x20)


@pytest.fixture
def moments(monkeypatch):
    """What could be seen of D: while writes were held, taken before the copy is made of it, by its real folder."""
    taken = {}
    real = trees.freeze_tree

    def spy(source, target, *rest):
        if spy.look is not None and source.name == "D":
            taken[target] = spy.look()
        return real(source, target, *rest)

    spy.look = None
    spy.taken = taken
    monkeypatch.setattr(trees, "freeze_tree", spy)
    return spy


def test_every_copy_shows_its_moment_while_an_application_and_others_write(make_room, moments):
    room = make_room(limits={"hold": 10.0, "freeze": 10.0})
    room.host.files.mkdir("D:\\app")
    app = App("bank", "bank", room.host.files.locate("D:\\app").real, volumes=("D:\\app",))
    room.host.apps["live"] = app
    app.start()
    writers = Writers(room.host)
    moments.look = lambda: picture(room.host.files, "D:\\data")
    try:
        for _ in range(8):
            room.create()
            time.sleep(0.05)
    finally:
        writers.stop()
        app.stop()
    assert writers.errors == []
    assert writers.changes > 100
    shadows = room.vss.shadows
    assert len({repr(moments.taken[each.root]) for each in shadows}) == 8
    for shadow in shadows:
        assert picture(room.host.files, shadow.device + "\\data") == moments.taken[shadow.root]
        verdict = check("bank", shadow.root / "app")
        assert verdict.ok, verdict.detail
    for shadow in shadows[::2]:
        room.vss.delete(shadow.id)
    for shadow in shadows[1::2]:
        assert picture(room.host.files, shadow.device + "\\data") == moments.taken[shadow.root]


def shares(shadow, live):
    return (shadow.root / "Bank" / "x.txt").stat().st_ino == (live.root / "Bank" / "x.txt").stat().st_ino


@pytest.fixture
def linked(make_room):
    """A room with a copy made of D:\\Bank\\x.txt by a hard link, nobody writing to that folder himself."""
    room = make_room()
    del room.host.apps["bank"]
    room.vss.remove_writer(room.writer)
    room.host.files.write("D:\\Bank\\x.txt", b"then")
    room.shadow = room.create(context=Context.NAS_ROLLBACK).shadows[0]
    if not shares(room.shadow, room.d):
        pytest.skip("The file system shares blocks: there are no hard links.")
    return room


CHANGES = {
    "replaced": lambda files, path: files.write(path, b"now"),
    "emptied": lambda files, path: files.write(path, b""),
    "appended": lambda files, path: files.write(path, b"now", append=True),
    "dated": lambda files, path: files.set_times(path, modified=datetime.datetime(2001, 2, 3, tzinfo=UTC)),
    "deleted": lambda files, path: files.remove(path),
    "renamed": lambda files, path: files.rename(path, "D:\\Bank\\y.txt"),
    "copied over": lambda files, path: files.copy("D:\\Bank\\bank.db", path),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_the_live_file_does_not_reach_the_copy(linked, change):
    path = linked.shadow.device + "\\Bank\\x.txt"
    before = linked.host.files.stat(path)
    CHANGES[change](linked.host.files, "D:\\Bank\\x.txt")
    assert linked.host.files.stat(path) == before
    assert linked.host.files.read(path) == b"then"


@pytest.mark.parametrize("change", CHANGES)
def test_a_clock_that_is_not_the_machines_stamps_live_files_only(make_room, change):
    from vsslab.windows.clock import Clock

    room = make_room(host={"clock": Clock(skew=-7200.0)})
    room.host.files.write("D:\\Bank\\x.txt", b"then")
    shadow = room.create(context=Context.NAS_ROLLBACK).shadows[0]
    path = shadow.device + "\\Bank\\x.txt"
    before = room.host.files.stat(path)
    CHANGES[change](room.host.files, "D:\\Bank\\x.txt")
    assert room.host.files.stat(path) == before


def test_a_file_being_written_in_pieces_goes_on_as_another_file(linked):
    with linked.host.files.writer("D:\\Bank\\pieces") as stream:
        stream.write(b"one ")
        shadow = linked.create(context=Context.NAS_ROLLBACK).shadows[0]
        stream.write(b"two")
    assert linked.host.files.read("D:\\Bank\\pieces") == b"one two"
    assert linked.host.files.read(shadow.device + "\\Bank\\pieces") == b"one "


def test_two_who_write_to_the_same_file_leave_the_copy_alone(linked):
    linked.host.files.write("D:\\Bank\\pieces", b"one ")
    with linked.host.files.writer("D:\\Bank\\pieces", append=True) as first:
        with linked.host.files.writer("D:\\Bank\\pieces", append=True) as second:
            shadow = linked.create(context=Context.NAS_ROLLBACK).shadows[0]
            first.write(b"two ")
            second.write(b"three ")
        first.write(b"four")
    assert linked.host.files.read("D:\\Bank\\pieces") == b"one two three four"
    assert linked.host.files.read(shadow.device + "\\Bank\\pieces") == b"one "


UNDER_WAY = {
    "renamed": lambda files: files.rename("D:\\Bank\\pieces", "D:\\Bank\\other"),
    "deleted": lambda files: files.remove("D:\\Bank\\PIECES"),
    "replaced": lambda files: files.rename("D:\\Bank\\x.txt", "D:\\Bank\\pieces", replace_existing=True),
}


@pytest.mark.parametrize("change", UNDER_WAY)
def test_a_file_that_is_being_written_is_neither_renamed_nor_deleted(linked, change):
    files = linked.host.files
    with files.writer("D:\\Bank\\pieces") as stream:
        stream.write(b"one ")
        shadow = linked.create(context=Context.NAS_ROLLBACK).shadows[0]
        with pytest.raises(WinError) as caught:
            UNDER_WAY[change](files)
        assert caught.value.code == 32
        stream.write(b"two")
    assert files.read("D:\\Bank\\pieces") == b"one two"
    assert files.read(shadow.device + "\\Bank\\pieces") == b"one "
    files.remove("D:\\Bank\\pieces")


def test_a_folder_renamed_while_a_file_in_it_is_written_and_copied_is_refused(linked):
    linked.host.files.mkdir("D:\\folder")
    with linked.host.files.writer("D:\\folder\\pieces") as stream:
        stream.write(b"one ")
        linked.create(context=Context.NAS_ROLLBACK)
        linked.host.files.rename("D:\\folder", "D:\\other")
        with pytest.raises(RuntimeError, match="vsslab does not simulate"):
            stream.write(b"two")


def test_writing_around_the_laboratory_is_told_not_read(linked):
    (linked.d.root / "Bank" / "x.txt").write_bytes(b"changed in place")
    path = linked.shadow.device + "\\Bank\\x.txt"
    for look in (linked.host.files.read, linked.host.files.stat):
        with pytest.raises(CopyChanged, match=r"Bank/x\.txt .* written around the laboratory"):
            look(path)
    assert linked.host.files.read(linked.shadow.device + "\\Bank\\bank.db") == b"balance=100"


def test_files_of_applications_are_copies(room):
    shadow = room.create().shadows[0]
    (room.d.root / "Bank" / "bank.db").write_bytes(b"written by the application itself")
    assert room.host.files.read(shadow.device + "\\Bank\\bank.db") == b"balance=100"


def test_an_open_file_of_a_copy_that_vanishes_fails(linked):
    stream = linked.host.files.open(linked.shadow.device + "\\Bank\\x.txt")
    assert stream.read(1) == b"t"
    linked.vss.lose(linked.d)
    with pytest.raises(WinError) as caught:
        linked.host.files.open(linked.shadow.device + "\\Bank\\x.txt")
    assert caught.value.code == 3
    with pytest.raises(WinError) as caught:
        stream.read()
    assert caught.value.code == 1167
    assert linked.vss.shadows == []


def test_large_open_files_fail_in_the_middle(linked):
    linked.host.files.write("D:\\big", os.urandom(3 << 20))
    shadow = linked.create(context=Context.NAS_ROLLBACK).shadows[0]
    stream = linked.host.files.open(shadow.device + "\\big")
    assert len(stream.read(1 << 20)) == 1 << 20
    linked.vss.lose(linked.d)
    with pytest.raises(WinError) as caught:
        stream.read(1 << 20)
    assert caught.value.code == 1167


def test_a_volume_of_ten_thousand_files_is_copied_fast(make_room):
    room = make_room(limits={"hold": 10.0, "freeze": 10.0})
    for folder in range(100):
        place = room.d.root / f"a{folder % 10}" / f"b{folder}"
        place.mkdir(parents=True)
        for number in range(100):
            (place / f"{number}.txt").write_bytes(b"x" * 100)
    began = time.monotonic()
    made = room.create(context=Context.NAS_ROLLBACK)
    spent = time.monotonic() - began
    assert spent < 3.0, spent  # the bench demands less than one second of a machine that does nothing else
    assert len(list(trees.files_below(made.shadows[0].root))) > 10_000


def test_own_makes_a_file_the_only_name(tmp_path):
    live, copy = tmp_path / "v" / "live", tmp_path / "v" / "copy"
    live.parent.mkdir()
    live.write_bytes(b"content")
    live.chmod(0o640)
    os.utime(live, ns=(10**18, 10**18 + 1))
    os.link(live, copy)
    assert inodes.own(live, live.parent) == 7
    assert (live.stat().st_nlink, live.read_bytes(), live.stat().st_mtime_ns) == (1, b"content", 10**18 + 1)
    assert live.stat().st_mode == copy.stat().st_mode
    assert inodes.own(live, live.parent) == 0
    os.unlink(copy)
    os.link(live, copy)
    inodes.own(live, live.parent, keep=False)
    assert (live.read_bytes(), copy.read_bytes()) == (b"", b"content")
    assert sorted(each.name for each in tmp_path.rglob("*")) == ["copy", "live", "v"]
