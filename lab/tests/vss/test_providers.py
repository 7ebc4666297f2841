# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Providers: who copies which volume, how they fail, and hardware copies that travel."""

from __future__ import annotations

import threading
import time

import pytest
from vsslab.vss import Context, Options, VssError, codes
from vsslab.vss.codes import Attribute
from vsslab.windows.errors import WinError

ARRAY = {"name": "Array", "type": "hardware", "id": "{11111111-2222-3333-4444-555555555555}", "volumes": ["D:"]}
SOFT = {"name": "Soft", "type": "software"}
TRANSPORTABLE = Attribute.TRANSPORTABLE


def errors_of_providers(room):
    return [(each.id, each.data[0]) for each in room.host.events.query("Application", ids=[12292, 12293])]


def test_hardware_goes_before_software_before_the_systems(make_room):
    room = make_room(providers=[SOFT, ARRAY])
    made = room.create("C", "D")
    assert [each.provider.name for each in made.shadows] == ["Soft", "Array"]
    assert made.shadows[1].attributes & Attribute.HARDWARE_ASSISTED
    assert not made.shadows[0].attributes & Attribute.HARDWARE_ASSISTED
    assert room.vss.storage.all() == []
    visible = room.create("D", context=Context.CLIENT_ACCESSIBLE).shadows[0]
    assert visible.provider.type == 1


def test_a_provider_is_chosen_by_its_id(make_room):
    room = make_room(providers=[SOFT, ARRAY])
    system = "{B5946137-7B9F-4925-AF80-51ABD60B20D5}"
    assert room.create(providers={room.d.guid: system}).shadows[0].provider.type == 1
    wrong = {
        "{0}": codes.PROVIDER_NOT_REGISTERED,
        ARRAY["id"]: codes.VOLUME_NOT_SUPPORTED_BY_PROVIDER,
    }
    for identity, hresult in wrong.items():
        with pytest.raises(VssError) as caught:
            room.create("C", providers={room.c.guid: identity})
        assert caught.value.hresult == hresult
    refused = room.refused(context=Context.CLIENT_ACCESSIBLE, providers={room.d.guid: ARRAY["id"]})
    assert refused.hresult == codes.UNSUPPORTED_CONTEXT


@pytest.mark.parametrize(
    ("does", "hresult", "event"),
    [
        ("veto", codes.PROVIDER_VETO, 12293),
        ("fail", codes.UNEXPECTED_PROVIDER_ERROR, 12293),
        ("time out", codes.HOLD_WRITES_TIMEOUT, 12293),
        ("not start", codes.UNEXPECTED_PROVIDER_ERROR, 12292),
    ],
)
def test_a_provider_that_does_not_do_its_work(make_room, does, hresult, event):
    room = make_room(providers=[{**ARRAY, "does": does}])
    assert room.refused().hresult == hresult
    assert [number for number, _ in errors_of_providers(room)] == [event]
    assert room.vss.shadows == []
    assert not room.app.frozen
    assert not room.app.held


def test_a_provider_that_hangs_keeps_everybody_else_waiting(make_room):
    room = make_room(providers=[{**ARRAY, "does": "hang"}])
    stop = threading.Event()
    thread, results = room.background(lambda: room.create(stop=stop))
    while room.vss.busy_with is None:
        time.sleep(0.01)
    time.sleep(0.1)
    assert room.refused(providers={}).hresult == codes.SNAPSHOT_SET_IN_PROGRESS
    stop.set()
    thread.join(5)
    assert results[0].hresult == codes.E_ABORT
    room.create("C")


@pytest.mark.parametrize("phase", ["provider_prepare", "commit"])
def test_a_fault_names_a_provider(make_room, phase):
    room = make_room(providers=[ARRAY])
    room.fault(phase, {"fail": "0x80042306"}, provider="Arr*")
    room.create("C")
    assert room.refused().hresult == codes.PROVIDER_VETO
    assert errors_of_providers(room) == [(12293, ARRAY["id"])]
    room.create()


@pytest.mark.parametrize(
    "wrong",
    [{"name": "x"}, {"type": "hardware"}, {**SOFT, "does": "sing"}, {**SOFT, "colour": 1}, {**SOFT, "type": "system"}],
)
def test_data_of_a_provider_that_make_no_sense(wrong):
    with pytest.raises(ValueError, match="provider"):
        Options.of({"providers": [wrong]})


def test_the_system_provider_makes_nothing_transportable(room):
    assert room.refused(options=TRANSPORTABLE).hresult == codes.VOLUME_NOT_SUPPORTED
    assert room.refused(options=Attribute.PLEX).hresult == codes.VOLUME_NOT_SUPPORTED


@pytest.fixture
def travelling(make_room):
    room = make_room(providers=[ARRAY])
    room.made = room.create(options=TRANSPORTABLE | Attribute.PLEX)
    room.host.files.write("D:\\Bank\\bank.db", b"now")
    return room


def test_a_transportable_set_is_not_in_the_system_before_its_import(travelling):
    room = travelling
    assert room.vss.shadows == []
    (shadow,) = room.vss.import_set(f"{{{room.made.id.upper()}}}", "test").shadows
    assert room.vss.shadows == [shadow]
    bits = shadow.attributes
    assert bits & Attribute.IMPORTED
    assert bits & Attribute.PLEX
    assert not bits & (Attribute.DIFFERENTIAL | Attribute.NOT_SURFACED)
    assert room.host.files.read(shadow.device + "\\Bank\\bank.db") == b"balance=100"
    with pytest.raises(VssError) as caught:
        room.vss.import_set(room.made.id, "test")
    assert caught.value.hresult == codes.OBJECT_ALREADY_EXISTS


def test_what_cannot_be_imported(travelling, make_room):
    with pytest.raises(VssError) as caught:
        travelling.vss.import_set("0", "test")
    assert caught.value.hresult == codes.NO_SNAPSHOTS_IMPORTED
    other = make_room()
    other.host.network = {"sql01": travelling.host}
    with pytest.raises(VssError) as caught:
        other.vss.import_set(travelling.made.id, "test")
    assert caught.value.hresult == codes.PROVIDER_NOT_REGISTERED


def test_another_host_with_the_same_array_imports(travelling, make_room):
    other = make_room(providers=[ARRAY])
    other.host.network = {"sql01": travelling.host}
    (shadow,) = other.vss.import_set(travelling.made.id, "test").shadows
    assert other.host.files.read(shadow.device + "\\Bank\\bank.db") == b"balance=100"
    with pytest.raises(VssError):
        travelling.vss.import_set(travelling.made.id, "test")


def test_a_masked_set_can_be_imported_again(travelling):
    room = travelling
    device = room.vss.import_set(room.made.id, "test").shadows[0].device
    room.vss.mask_set(room.made.id)
    assert room.vss.shadows == []
    assert not room.host.files.exists(device + "\\Bank")
    with pytest.raises(VssError) as caught:
        room.vss.mask_set(room.made.id)
    assert caught.value.hresult == codes.OBJECT_NOT_FOUND
    (again,) = room.vss.import_set(room.made.id, "test").shadows
    assert room.host.files.read(again.device + "\\Bank\\bank.db") == b"balance=100"


@pytest.mark.parametrize("writable", [False, True])
def test_a_broken_set_is_volumes(travelling, writable):
    room = travelling
    room.vss.import_set(room.made.id, "test")
    (volume,) = room.vss.break_set(room.made.id, writable=writable)
    assert room.vss.shadows == []
    path = volume.device_id + "Bank\\bank.db"
    assert room.host.files.read(path) == b"balance=100"
    if writable:
        room.host.files.write(path, b"changed")
    else:
        with pytest.raises(WinError) as caught:
            room.host.files.write(path, b"changed")
        assert caught.value.code == 19
    assert room.host.files.read("D:\\Bank\\bank.db") == b"now"


def test_only_imported_sets_are_masked_or_broken(room):
    made = room.create()
    for act in (room.vss.mask_set, room.vss.break_set):
        with pytest.raises(VssError) as caught:
            act(made.id)
        assert caught.value.hresult == codes.BAD_STATE
    assert len(room.vss.shadows) == 1
