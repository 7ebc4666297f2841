# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies, exposures and storage areas over a long life of a host."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule, run_state_machine_as_test
from vsslab.vss import Context, VssError, codes
from vsslab.vss.codes import Attribute
from vsslab.vss.storage import UNBOUNDED
from vsslab.windows.errors import WinError


def test_exposing_under_a_letter_and_taking_it_back(room):
    shadow = room.create().shadows[0]
    assert room.vss.expose(shadow.id, "X:") == "X:\\"
    assert room.host.files.read("X:\\Bank\\bank.db") == b"balance=100"
    assert shadow.all_attributes & Attribute.EXPOSED_LOCALLY
    room.vss.unexpose(shadow.id)
    assert not room.host.files.exists("X:\\Bank")
    assert shadow.exposed is None


def test_exposing_in_an_empty_folder(room):
    shadow = room.create().shadows[0]
    room.host.files.mkdir("C:\\mnt\\copy", parents=True)
    assert room.vss.expose(shadow.id, "C:\\mnt\\copy") == "C:\\mnt\\copy\\"
    assert room.host.files.read("C:\\mnt\\copy\\Bank\\bank.db") == b"balance=100"
    with pytest.raises(WinError) as caught:
        room.host.files.write("C:\\mnt\\copy\\x", b"")
    assert caught.value.code == 19


@pytest.mark.parametrize(
    ("target", "hresult"),
    [
        ("D:", codes.OBJECT_ALREADY_EXISTS),
        ("X:", codes.OBJECT_ALREADY_EXISTS),
        ("C:\\nowhere", codes.E_INVALIDARG),
        ("D:\\Bank", codes.E_INVALIDARG),
    ],
)
def test_places_that_are_taken_missing_or_filled_are_refused(room, target, hresult):
    other = room.create().shadows[0]
    room.vss.expose(other.id, "X:")
    shadow = room.create().shadows[0]
    with pytest.raises(VssError) as caught:
        room.vss.expose(shadow.id, target)
    assert caught.value.hresult == hresult


@pytest.mark.parametrize("context", [Context.BACKUP, Context.CLIENT_ACCESSIBLE])
def test_only_persistent_backup_copies_can_be_exposed(room, context):
    shadow = room.create(context=context).shadows[0]
    with pytest.raises(VssError) as caught:
        room.vss.expose(shadow.id, "X:")
    assert caught.value.hresult == codes.BAD_STATE


def test_deleting_takes_the_exposure_the_device_and_the_files(room):
    shadow = room.create().shadows[0]
    room.vss.expose(shadow.id, "X:")
    room.vss.delete(f"{{{shadow.id.upper()}}}")
    assert not room.host.files.exists("X:\\Bank")
    assert not room.host.files.exists(shadow.device + "\\Bank")
    assert not shadow.root.exists()
    with pytest.raises(VssError) as caught:
        room.vss.delete(shadow.id)
    assert caught.value.hresult == codes.OBJECT_NOT_FOUND


def test_a_copy_has_the_security_of_its_moment(room):
    shadow = room.create("C").shadows[0]
    text = room.host.files.security("C:\\Windows")
    assert room.host.files.security(shadow.device + "\\Windows") == text


def test_a_storage_area_comes_with_the_first_copy_and_goes_with_the_last(room):
    assert room.vss.storage.all() == []
    free = room.d.free()
    first, second = room.create(), room.create()
    area = room.vss.storage.of(room.d)
    assert (area.max_space, room.vss.storage.used(area)) == (UNBOUNDED, 0)
    assert room.vss.storage.allocated(area) == 320 * 1024 * 1024
    room.d.measure_again()
    assert room.d.free() == free - 320 * 1024 * 1024
    for each in (*first.shadows, *second.shadows):
        room.vss.delete(each.id)
    assert room.vss.storage.all() == []
    assert room.d.reserved == 0


def test_what_changes_after_the_copy_is_kept_in_the_storage_area(room):
    room.create()
    room.host.files.write("D:\\Bank\\bank.db", b"something else entirely")
    room.host.files.write("D:\\Bank\\new.db", b"new files cost nothing")
    assert room.vss.storage.used(room.vss.storage.of(room.d)) == len(b"balance=100")


def test_a_configured_area_stays_and_can_be_changed(room):
    size = 10 * 2**30
    room.vss.storage.add(room.d, room.c, size)
    room.vss.delete(room.create().shadows[0].id)
    area = room.vss.storage.of(room.d)
    assert (area.diff_volume, area.max_space) == (room.c, size)
    room.vss.storage.resize(room.d, room.c, 2 * size)
    assert area.max_space == 2 * size
    with pytest.raises(VssError):
        room.vss.storage.add(room.d, room.c, size)
    room.vss.storage.remove(room.d)
    assert room.vss.storage.of(room.d) is None


class Life(RuleBasedStateMachine):
    """Whatever is done in whatever order: what is attached is exactly what is listed."""

    copies = Bundle("copies")
    make_room = staticmethod(lambda: None)

    def __init__(self) -> None:
        super().__init__()
        self.room = self.make_room()
        self.content: dict[str, bytes] = {}
        self.live = b"balance=100"

    @rule(data=st.binary(max_size=20))
    def write(self, data: bytes) -> None:
        self.room.host.files.write("D:\\Bank\\bank.db", data)
        self.live = data

    @rule(target=copies, context=st.sampled_from([Context.NAS_ROLLBACK, Context.CLIENT_ACCESSIBLE]))
    def create(self, context: Context) -> str:
        shadow = self.room.create(context=context).shadows[0]
        self.content[shadow.id] = self.live
        return shadow.id

    @rule(copy=copies, letter=st.sampled_from("CXY"))
    def expose(self, copy: str, letter: str) -> None:
        store = self.room.vss.store
        shadow, taken = store.find(copy), letter == "C" or store.exposed_as(f"{letter}:") is not None
        fits = shadow is not None and not shadow.exposed and not shadow.context.client_accessible and not taken
        try:
            self.room.vss.expose(copy, f"{letter}:")
        except VssError:
            assert not fits
        else:
            assert fits

    @rule(copy=copies)
    def unexpose(self, copy: str) -> None:
        shadow = self.room.vss.store.find(copy)
        if shadow is not None and shadow.exposed:
            self.room.vss.unexpose(copy)

    @rule(copy=consumes(copies))
    def delete(self, copy: str) -> None:
        if copy in self.content:
            self.room.vss.delete(copy)
            del self.content[copy]

    @rule()
    def reboot(self) -> None:
        self.room.vss.reboot()

    @invariant()
    def attached_is_listed(self) -> None:
        shadows = self.room.vss.shadows
        prefixes = {each.prefix.rstrip("\\").lower() for each in self.room.host.files.names.attachments()}
        expected = {each.device.lower() for each in shadows} | {e.exposed[:2].lower() for e in shadows if e.exposed}
        assert prefixes == expected
        assert {each.id for each in shadows} == set(self.content)
        for each in shadows:
            for place in filter(None, (each.device, each.exposed)):
                path = place.rstrip("\\") + "\\Bank\\bank.db"
                assert self.room.host.files.read(path) == self.content[each.id]
        assert len(list(self.room.vss.store.folder.glob("*"))) == len(shadows)


def test_a_long_life(make_room):
    class ThisLife(Life):
        pass

    ThisLife.make_room = staticmethod(make_room)
    some = settings(max_examples=8, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(ThisLife, settings=some)
