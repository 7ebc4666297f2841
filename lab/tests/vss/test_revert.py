# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reverting a volume, and the numbers of copies a volume can have."""

from __future__ import annotations

import time

import pytest
from vsslab.vss import Context, VssError, codes
from vsslab.vss.codes import Attribute

VISIBLE = Context.CLIENT_ACCESSIBLE


def volsnap(room):
    return [each.id for each in room.host.events.query("System", providers=["volsnap"], oldest_first=True)]


@pytest.fixture
def old(make_room):
    room = make_room(revert_seconds=0.2)
    room.vss.remove_writer(room.writer)
    del room.host.apps["bank"]
    room.host.files.mkdir("D:\\kept")
    room.host.files.set_attributes("D:\\Bank\\bank.db", 0x2)
    room.shadow = room.create(context=VISIBLE).shadows[0]
    room.host.files.write("D:\\Bank\\bank.db", b"now")
    room.host.files.set_attributes("D:\\Bank\\bank.db", 0x20)
    room.host.files.rmdir("D:\\kept")
    room.host.files.write("D:\\new", b"")
    return room


def test_everything_is_as_it_was(old):
    old.vss.revert(old.shadow.id)
    files = old.host.files
    assert files.read("D:\\Bank\\bank.db") == b"balance=100"
    assert files.stat("D:\\Bank\\bank.db").attributes == 0x2
    assert files.is_dir("D:\\kept")
    assert not files.exists("D:\\new")
    files.write("D:\\Bank\\bank.db", b"afterwards")
    assert files.read(old.shadow.device + "\\Bank\\bank.db") == b"balance=100"
    deadline = time.monotonic() + 5
    while old.vss.reverts.all():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert volsnap(old) == [64, 66]
    assert [each.name for each in old.d.root.parent.iterdir() if each.name.startswith(".")] == []


def test_newer_copies_go_and_older_ones_stay(old):
    newer = old.create(context=Context.NAS_ROLLBACK).shadows[0]
    later = old.create("C", context=Context.NAS_ROLLBACK).shadows[0]
    old.vss.revert(old.shadow.id)
    assert old.vss.shadows == [old.shadow, later]
    assert not newer.root.exists()


def test_meanwhile_there_is_no_other_revert_and_no_copy(make_room):
    room = make_room(revert_seconds=60)
    shadow = room.create(context=VISIBLE).shadows[0]
    room.host.apps["bank"].pid = 0
    revert = room.vss.revert(shadow.id)
    assert room.vss.reverts.all() == [revert]
    with pytest.raises(VssError) as caught:
        room.vss.revert(shadow.id)
    assert caught.value.hresult == codes.REVERT_IN_PROGRESS
    assert room.refused().hresult == codes.REVERT_IN_PROGRESS
    room.create("C")
    room.host.reboot()
    assert room.vss.reverts.all() == [revert]
    assert volsnap(room) == [64, 65]
    assert revert.percent(revert.began + 30) == 50


def test_a_revert_stands_still_while_the_host_is_down(make_room):
    room = make_room(revert_seconds=0.4)
    shadow = room.create(context=VISIBLE).shadows[0]
    room.host.apps["bank"].pid = 0
    room.vss.revert(shadow.id)
    room.host.reboot(1.0)
    assert len(room.vss.reverts.all()) == 1
    deadline = time.monotonic() + 5
    while room.vss.reverts.all():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert volsnap(room) == [64, 65, 66]


def test_what_was_mounted_or_exposed_in_its_folders_since_is_gone(old):
    other = old.host._volume({"label": "Other"})
    old.host.volumes.append(other)
    files = old.host.files
    files.mkdir("D:\\kept2")
    older = old.create("C", context=Context.NAS_ROLLBACK).shadows[0]
    files.mkdir("D:\\before")
    files.junction("D:\\then", other.device_id)
    other.mounts.append("D:\\then\\")
    shadow = old.create(context=VISIBLE).shadows[0]
    old.vss.expose(older.id, "D:\\before")
    files.rmdir("D:\\then")
    files.junction("D:\\since", other.device_id)
    other.mounts.append("D:\\since\\")
    old.vss.revert(shadow.id)
    assert older.exposed is None
    assert files.listdir("D:\\before") == []
    assert other.mounts == ["D:\\then\\"]
    assert not files.exists("D:\\since")


def test_copies_of_other_volumes_that_are_kept_there_go_by_force_only(old):
    area = old.vss.storage.add(old.vss.volume("C:\\"), old.d, 2**40)
    del area
    guest = old.create("C", context=Context.NAS_ROLLBACK).shadows[0]
    with pytest.raises(VssError) as caught:
        old.vss.revert(old.shadow.id)
    assert caught.value.hresult == codes.VOLUME_IN_USE
    assert guest in old.vss.shadows
    old.vss.revert(old.shadow.id, force=True)
    assert old.vss.shadows == [old.shadow]
    assert volsnap(old)[:2] == [64, 16]


def test_a_file_that_is_open_for_writing_keeps_the_volume(old):
    with old.host.files.writer("D:\\open") as stream:
        stream.write(b"x")
        with pytest.raises(VssError) as caught:
            old.vss.revert(old.shadow.id)
    assert caught.value.hresult == codes.VOLUME_IN_USE
    old.vss.revert(old.shadow.id)


@pytest.mark.parametrize("kind", ["boot", "system", "pagefile"])
def test_the_volumes_of_windows_cannot_be_reverted(old, kind):
    setattr(old.d, kind, True)
    with pytest.raises(VssError) as caught:
        old.vss.revert(old.shadow.id)
    assert caught.value.hresult == codes.VOLUME_NOT_SUPPORTED
    assert old.host.files.read("D:\\Bank\\bank.db") == b"now"


def test_only_persistent_copies_and_servers_revert(make_room):
    room, client = make_room(), make_room(host={"profile": "windows11"})
    with pytest.raises(VssError) as caught:
        room.vss.revert(room.create(context=Context.BACKUP).shadows[0].id)
    assert caught.value.hresult == codes.UNSUPPORTED_CONTEXT
    with pytest.raises(VssError) as caught:
        client.vss.revert(client.create(context=VISIBLE).shadows[0].id)
    assert caught.value.hresult == codes.NOT_SUPPORTED


def test_a_program_on_the_volume_is_ended_or_keeps_it(room):
    shadow = room.create(context=VISIBLE).shadows[0]
    ended = []
    room.app.kill = lambda: ended.append(True)
    with pytest.raises(VssError) as caught:
        room.vss.revert(shadow.id)
    assert caught.value.hresult == codes.VOLUME_IN_USE
    assert ended == []
    (room.d.root / "Bank" / "bank.db").write_bytes(b"the program's")
    room.vss.revert(shadow.id, force=True)
    assert ended == [True]
    assert room.host.files.read("D:\\Bank\\bank.db") == b"balance=100"
    (room.d.root / "Bank" / "bank.db").write_bytes(b"the program's again")
    assert room.host.files.read(shadow.device + "\\Bank\\bank.db") == b"balance=100"


def test_the_sixty_fifth_visible_copy_pushes_the_oldest_out_and_nothing_else(room):
    hidden = room.create(context=Context.NAS_ROLLBACK).shadows[0]
    made = [room.create(context=VISIBLE).shadows[0] for _ in range(65)]
    assert room.vss.shadows == [hidden, *made[1:]]
    assert volsnap(room) == [58]


def test_there_are_no_more_than_512_copies_of_a_volume(make_room):
    room = make_room(limits={"hold": 10.0})
    copies = room.vss.store._shadows
    first = room.create(context=Context.NAS_ROLLBACK).shadows[0]
    copies = room.vss.store._shadows
    copies.extend([first] * 511)  # as if they had been made: what counts is their number
    assert room.refused(context=Context.NAS_ROLLBACK).hresult == codes.MAXIMUM_NUMBER_OF_SNAPSHOTS_REACHED
    copies.pop()
    room.create(context=Context.NAS_ROLLBACK)
    del copies[1:511]


def test_a_set_has_sixty_four_volumes_at_most(make_room):
    more = [{"label": f"v{number}"} for number in range(65)]
    room = make_room()
    volumes = [room.host._volume(each) for each in more]
    room.host.volumes.extend(volumes)
    with pytest.raises(VssError) as caught:
        room.vss.create("test", volumes, Context.NAS_ROLLBACK)
    assert caught.value.hresult == codes.MAXIMUM_NUMBER_OF_VOLUMES_REACHED
    made = room.vss.create("test", volumes[:64], Context.NAS_ROLLBACK)
    assert {each.count for each in made.shadows} == {64}


@pytest.mark.parametrize(
    ("context", "bits"),
    [
        (Context.BACKUP, 0),
        (Context.FILE_SHARE_BACKUP, 0x10),
        (Context.NAS_ROLLBACK, 0x19),
        (Context.APP_ROLLBACK, 0x09),
        (Context.CLIENT_ACCESSIBLE, 0x1D),
        (Context.CLIENT_ACCESSIBLE_WRITERS, 0x0D | Attribute.AUTORECOVER),
    ],
)
def test_contexts_are_the_attributes_of_their_copies(room, context, bits):
    shadow = room.create(context=context).shadows[0]
    assert int(shadow.attributes) == bits | Attribute.DIFFERENTIAL
    room.host.reboot()
    assert (shadow in room.vss.shadows) == bool(bits & 1)


def test_no_auto_recovery_when_it_is_not_wanted(room):
    options = Attribute.NO_AUTORECOVERY
    shadow = room.create(context=Context.CLIENT_ACCESSIBLE_WRITERS, options=options).shadows[0]
    assert not shadow.attributes & Attribute.AUTORECOVER
