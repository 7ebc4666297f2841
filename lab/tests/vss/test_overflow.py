# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Storage areas that fill: who is evicted, when everything goes, and what volsnap says about it."""

from __future__ import annotations

import time

import pytest
from vsslab.vss import Context, VssError, codes
from vsslab.windows.errors import WinError

MB = 1 << 20
LIMITS = {"hold": 10.0, "freeze": 10.0, "minimum_storage": MB, "minimum_storage_small": MB}


@pytest.fixture
def full(make_room):
    """A room whose areas may be small, with four files of a megabyte on D:; nobody writes around the laboratory."""
    room = make_room(limits=LIMITS)
    del room.host.apps["bank"]
    room.vss.remove_writer(room.writer)
    for number in range(4):
        room.host.files.write(f"D:\\{number}.bin", bytes([number]) * MB)
    return room


def copy(room):
    return room.create(context=Context.NAS_ROLLBACK).shadows[0]


def change(room, number):
    room.host.files.write(f"D:\\{number}.bin", b"other" + bytes(MB))


def volsnap(room):
    return [each.id for each in room.host.events.query("System", providers=["volsnap"], oldest_first=True)]


def area(room):
    return room.vss.storage.of(room.d)


def test_old_content_is_kept_once_however_many_copies_show_it(full):
    copy(full), copy(full), copy(full)
    change(full, 0)
    assert full.vss.storage.used(area(full)) == MB
    copy(full)
    full.host.files.remove("D:\\1.bin")
    full.host.files.rename("D:\\2.bin", "D:\\renamed.bin")  # changes no block of it
    assert full.vss.storage.used(area(full)) == 2 * MB
    full.vss.delete(full.vss.shadows[2].id)
    assert full.vss.storage.used(area(full)) == 2 * MB
    full.vss.delete(full.vss.shadows[0].id)
    full.vss.delete(full.vss.shadows[0].id)
    assert full.vss.storage.used(area(full)) == MB


def test_at_the_maximum_the_oldest_copy_goes(full):
    full.vss.storage.add(full.d, full.d, 2 * MB)
    first = copy(full)
    change(full, 0)
    second = copy(full)
    change(full, 1)
    assert full.vss.shadows == [first, second]
    change(full, 2)
    assert full.vss.shadows == [second]
    assert volsnap(full) == [33]
    assert not full.host.files.exists(first.device + "\\0.bin")
    assert full.host.files.read(second.device + "\\1.bin") == bytes([1]) * MB


def test_the_last_copy_that_does_not_fit_goes_too(full):
    full.vss.storage.add(full.d, full.d, MB)
    copy(full)
    change(full, 0)
    assert len(full.vss.shadows) == 1
    change(full, 1)
    assert full.vss.shadows == []
    assert volsnap(full) == [38, 36]
    assert area(full).reserved == 0


def test_appending_one_byte_counts_the_whole_old_file(full):
    full.vss.storage.add(full.d, full.d, MB)
    copy(full)
    full.host.files.write("D:\\0.bin", b"1", append=True)
    full.host.files.write("D:\\1.bin", b"1", append=True)
    assert volsnap(full) == [38, 36]


def test_a_full_storage_volume_loses_every_copy(full):
    copy(full), copy(full)
    change(full, 0)
    full.d.capacity = full.d.used() + 2 * MB + 100
    full.host.files.remove("D:\\1.bin")  # what it frees, the area takes
    full.host.files.write("D:\\new.bin", bytes(2 * MB))
    assert len(full.vss.shadows) == 2
    full.host.files.write("D:\\2.bin", b"1", append=True)
    assert full.vss.shadows == []
    assert volsnap(full) == [24, 35]
    assert full.d.reserved == 0


def test_storage_on_another_volume_fills_by_what_others_write_there(full):
    full.vss.storage.add(full.d, full.c, 10 * 2**30)
    copy(full)
    assert (full.d.reserved, full.c.reserved) == (0, MB)
    full.c.capacity = full.c.used() + 2 * MB
    full.host.files.write("C:\\other.bin", bytes(2 * MB))
    full.host.files.remove("D:\\0.bin")
    assert len(full.vss.shadows) == 1
    full.host.files.remove("D:\\1.bin")
    assert full.vss.shadows == []
    assert volsnap(full) == [24, 35]
    assert full.c.reserved == 0


def test_an_area_that_grows_too_slowly_is_lost(full):
    for number in range(4):
        full.host.files.write(f"D:\\{number}.big", bytes(12 * MB))
    copy(full)
    full.fault("storage_grow", {"fail": "0x80042314"})
    full.vss.storage.resize(full.d, full.d, 100 * MB)
    for number in range(4):
        full.host.files.write(f"D:\\{number}.big", b"")
    full.vss.overflow.settle(area(full)) if full.vss.shadows else None
    assert full.vss.shadows == []
    assert volsnap(full) == [25]


def test_shrinking_evicts(full):
    first = copy(full)
    change(full, 0)
    second = copy(full)
    change(full, 1)
    full.vss.resize(full.d, full.d, MB)
    assert full.vss.shadows == [second]
    assert volsnap(full) == [33]
    assert not first.root.exists()


def test_there_is_no_room_to_begin(full):
    full.d.capacity = full.d.used() + MB // 2
    assert full.refused(context=Context.NAS_ROLLBACK).hresult == codes.INSUFFICIENT_STORAGE
    assert volsnap(full) == [23]


def test_an_application_behind_our_back_fills_the_area_too(make_room):
    room = make_room(limits=LIMITS)
    for number in range(4):
        room.host.files.write(f"D:\\Bank\\{number}.bin", bytes(MB))
    room.vss.storage.add(room.d, room.d, 2 * MB)
    first = room.create(context=Context.NAS_ROLLBACK).shadows[0]
    stream = room.host.files.open(first.device + "\\Bank\\3.bin")
    for number in range(4):
        (room.d.root / "Bank" / f"{number}.bin").write_bytes(b"live")
    deadline = time.monotonic() + 10
    while room.vss.shadows:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert volsnap(room) == [38, 36]
    with pytest.raises(WinError) as caught:
        stream.read()
    assert caught.value.code == 1167


def test_reading_an_overflown_copy_does_not_wait_for_the_patrol(make_room, monkeypatch):
    monkeypatch.setattr("vsslab.vss.overflow._PATROL", 3600.0)
    room = make_room(limits=LIMITS)
    room.host.files.write("D:\\Bank\\1.bin", bytes(3 * MB))
    room.vss.storage.add(room.d, room.d, 2 * MB)
    shadow = room.create(context=Context.NAS_ROLLBACK).shadows[0]
    (room.d.root / "Bank" / "1.bin").write_bytes(b"live")
    with pytest.raises(WinError):
        room.host.files.read(shadow.device + "\\Bank\\1.bin")
    assert room.vss.shadows == []


def test_nobody_is_on_patrol_where_nothing_can_overflow(room):
    room.create()
    assert room.vss.overflow._patrol is None


def test_a_volume_that_is_not_ntfs_keeps_its_area_on_one_that_is(make_room):
    room = make_room(limits=LIMITS)
    room.d.file_system = "ReFS"
    copy(room)
    assert room.vss.storage.of(room.d).diff_volume is room.c


def test_no_area_where_no_ntfs_volume_is(make_room):
    room = make_room(limits=LIMITS)
    room.d.file_system = room.c.file_system = "ReFS"
    with pytest.raises(VssError) as caught:
        copy(room)
    assert caught.value.hresult == codes.INSUFFICIENT_STORAGE
    assert volsnap(room) == [2]
