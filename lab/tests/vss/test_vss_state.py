# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VSS as data: another host that takes it over goes on where the first one stopped."""

from __future__ import annotations

import json
import shutil

import pytest
from vsslab.vss import Context, WriterState
from vsslab.vss.codes import Attribute

ARRAY = {"name": "Array", "type": "hardware", "volumes": ["C:"]}


@pytest.fixture
def moved(make_room):
    """Move the state of a room into a fresh one, as `vsslab state dump|load` does with the files."""

    def move(room):
        data = json.loads(json.dumps(room.host.dump()))
        other = make_room(providers=[ARRAY], revert_seconds=30)
        for part in ("volumes", "shadow-copies"):
            shutil.rmtree(other.host.root / part, ignore_errors=True)
            shutil.copytree(room.host.root / part, other.host.root / part, symlinks=True)
        other.host.load(data)
        return other

    return move


@pytest.fixture
def full(make_room):
    room = make_room(providers=[ARRAY], revert_seconds=30)
    files = room.host.files
    files.mkdir("C:\\mnt\\copy", parents=True)
    files.set_attributes("D:\\Bank\\bank.db", 0x2)
    room.vss.storage.add(room.d, room.c, 2**34)
    room.first = room.create().shadows[0]
    files.write("D:\\Bank\\bank.db", b"second")
    room.second = room.create(context=Context.CLIENT_ACCESSIBLE).shadows[0]
    room.volatile = room.create(context=Context.BACKUP).shadows[0]
    room.vss.expose(room.first.id, "C:\\mnt\\copy")
    room.shared = room.create(context=Context.NAS_ROLLBACK).shadows[0]
    room.vss.expose(room.shared.id, "then")
    room.writer.fail(WriterState.FAILED_AT_FREEZE, 0x800423F4)
    return room


def test_copies_areas_and_writers_are_there_again(full, moved):
    other = moved(full)
    first, second, shared = other.vss.shadows
    path = "\\\\localhost\\then\\Bank\\bank.db"
    assert shared.all_attributes & Attribute.EXPOSED_REMOTELY
    assert other.host.files.as_user(other.admin).read(path) == b"second"
    assert (first.id, second.id) == (full.first.id, full.second.id)
    assert first.all_attributes & Attribute.EXPOSED_LOCALLY
    assert other.host.files.read("C:\\mnt\\copy\\Bank\\bank.db") == b"balance=100"
    assert other.host.files.stat(first.device + "\\Bank\\bank.db").attributes == 0x2
    assert other.host.files.read(second.device + "\\Bank\\bank.db") == b"second"
    area = other.vss.storage.of(other.d)
    assert (area.diff_volume, area.max_space, area.configured) == (other.c, 2**34, True)
    assert area.reserved == 320 << 20
    (writer,) = (each for each in other.vss.roster.all if each.name == "SqlServerWriter")
    assert (writer.state, writer.failure) == (WriterState.FAILED_AT_FREEZE, 0x800423F4)
    assert writer.instance_id == full.writer.instance_id
    assert sorted(each.name for each in other.vss.store.folder.iterdir()) == sorted([first.id, second.id, shared.id])
    assert other.create().shadows[0].number == full.shared.number + 1


def test_what_was_loaded_is_a_moment_still(full, moved):
    other = moved(full)
    other.host.files.write("D:\\Bank\\bank.db", b"third")
    assert other.host.files.read(other.vss.shadows[1].device + "\\Bank\\bank.db") == b"second"
    other.vss.delete(full.first.id)
    assert not other.host.files.exists("C:\\mnt\\copy\\Bank")


def test_a_revert_and_a_set_in_the_array_go_on(full, moved):
    made = full.create("C", context=Context.NAS_ROLLBACK, options=Attribute.TRANSPORTABLE)
    full.vss.revert(full.second.id, force=True)
    other = moved(full)
    (revert,) = other.vss.reverts.all()
    assert (revert.volume, revert.shadow_id) == (other.d, full.second.id)
    assert other.vss.import_set(made.id, "test").shadows[0].volume is other.c


def test_state_of_another_kind_is_refused(full, make_room):
    data = full.vss.dump()
    with pytest.raises(ValueError, match="has shadow copies already"):
        full.vss.load(data)
    fresh = make_room()
    with pytest.raises(ValueError, match="files of the shadow copy"):
        fresh.vss.load(data)
    with pytest.raises(ValueError, match="format"):
        fresh.vss.load({})


def test_a_broken_set_is_a_volume_there_too(make_room, moved):
    room = make_room(providers=[ARRAY], revert_seconds=30)
    made = room.create("C", options=Attribute.TRANSPORTABLE)
    room.vss.import_set(made.id, "test")
    (volume,) = room.vss.break_set(made.id, writable=True)
    room.host.files.write(volume.device_id + "kept.txt", b"kept")
    other = moved(room)
    assert other.host.files.read(volume.device_id + "kept.txt") == b"kept"
