# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The CIM classes of VSS."""

from __future__ import annotations

import pytest
from vsslab.vss import Context
from vsslab.vss.storage import UNBOUNDED
from vsslab.windows.cim import CimError


def create(room, volume="D:\\", context="ClientAccessible", user=None):
    arguments = {"Volume": volume, "Context": context}
    return room.host.cim.invoke(user or room.admin, "Win32_ShadowCopy", "Create", arguments)


def test_create_makes_a_visible_copy_without_writers(room):
    result = create(room)
    assert result["ReturnValue"] == 0
    (row,) = room.host.cim.query("SELECT * FROM Win32_ShadowCopy", room.admin)
    assert row["ID"] == result["ShadowID"]
    assert row["ID"] == row["ID"].upper()
    assert (row["NoWriters"], row["ClientAccessible"], row["Persistent"], row["State"]) == (True, True, True, 12)
    assert row["VolumeName"] == room.d.device_id
    assert row["DeviceObject"].endswith("HarddiskVolumeShadowCopy1")
    assert row["OriginatingMachine"] == "SQL01.corp.example"
    assert (row["ExposedName"], row["ExposedPath"], row["Caption"]) == (None, None, None)
    assert row["InstallDate"].tzinfo is not None


@pytest.mark.parametrize(
    ("volume", "context", "code"),
    [
        ("D:", "ClientAccessible", 2),
        ("D:\\", "Sideways", 2),
        ("Q:\\", "ClientAccessible", 3),
        ("F:\\", "ClientAccessible", 4),
        ("D:\\", "AppRollback", 5),
        ("D:\\", "ClientAccessibleWriters", 5),
        ("D:\\", "Backup", 5),
        ("D:\\", "NasRollback", 0),
    ],
)
def test_return_codes_of_create(room, volume, context, code):
    result = create(room, volume, context)
    assert result["ReturnValue"] == code
    assert (result["ShadowID"] is None) == (code != 0)


def test_create_while_another_creation_runs_is_nine(room):
    end = room.vss.hold_by_other(30)
    assert create(room)["ReturnValue"] == 9
    end.set()


def test_create_at_the_limit_is_eight(make_room):
    room = make_room(limits={"shadows_per_volume": 1})
    create(room)
    assert create(room)["ReturnValue"] == 8


def test_create_without_room_is_six(room):
    room.d.reserved = room.d.capacity
    assert create(room)["ReturnValue"] == 6


def test_a_provider_that_cannot_hold_writes_is_twelve(room):
    room.fault("commit", {"delay": 30})
    assert create(room)["ReturnValue"] == 12


def test_only_administrators_see_or_create_copies(room):
    with pytest.raises(CimError) as caught:
        room.host.cim.query("SELECT * FROM Win32_ShadowCopy", room.bob)
    assert caught.value.hresult == 0x80041003
    with pytest.raises(CimError):
        create(room, user=room.bob)


def test_deleting_works_for_every_context_and_once(room):
    room.create(context=Context.APP_ROLLBACK)
    (row,) = room.host.cim.query("SELECT * FROM Win32_ShadowCopy", room.admin)
    room.host.cim.delete(room.admin, "Win32_ShadowCopy", row)
    assert room.vss.shadows == []
    with pytest.raises(CimError) as caught:
        room.host.cim.delete(room.admin, "Win32_ShadowCopy", row)
    assert caught.value.hresult == 0x80041002


def test_an_exposure_shows(room):
    shadow = room.create().shadows[0]
    room.vss.expose(shadow.id, "X:")
    (row,) = room.host.cim.query("SELECT ExposedName, ExposedLocally FROM Win32_ShadowCopy", room.admin)
    assert row == {"ExposedName": "X:\\", "ExposedLocally": True}


def test_storage_shows_with_references_and_can_be_made(room):
    result = room.host.cim.invoke(
        room.admin, "Win32_ShadowStorage", "Create", {"Volume": "D:\\", "DiffVolume": "C:\\", "MaxSpace": 2**33}
    )
    assert result == {"ReturnValue": 0}
    (row,) = room.host.cim.query("SELECT * FROM Win32_ShadowStorage", room.admin)
    assert row["Volume"] == {"DeviceID": room.d.device_id}
    assert row["DiffVolume"] == {"DeviceID": room.c.device_id}
    assert (row["MaxSpace"], row["UsedSpace"], row["AllocatedSpace"]) == (2**33, 0, 0)


def area_made(room, **arguments):
    asked = {"Volume": "D:\\", "DiffVolume": "D:\\", "MaxSpace": 2**33, **arguments}
    return room.host.cim.invoke(room.admin, "Win32_ShadowStorage", "Create", asked)["ReturnValue"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"MaxSpace": 0}, 2),
        ({"MaxSpace": 2**20}, 2),
        ({"Volume": "D:"}, 2),
        ({"Volume": "Q:\\"}, 3),
        ({"DiffVolume": "F:\\"}, 4),
        ({}, 0),
        ({"MaxSpace": UNBOUNDED}, 0),
    ],
)
def test_what_a_storage_area_may_be(room, arguments, code):
    stick = room.host.volumes.by_path("C:")
    room.host.volumes.append(
        type(stick)(guid="99999999-0000-0000-0000-000000000000", letter="F", root=stick.root, drive_type=2)
    )
    assert area_made(room, **arguments) == code
    assert len(room.vss.storage.all()) == (code == 0)


def test_an_area_goes_only_when_its_volume_has_no_copies(room):
    assert area_made(room) == 0
    assert area_made(room) == 5
    shadow = room.create().shadows[0]
    (row,) = room.host.cim.instances(room.admin, "Win32_ShadowStorage")
    with pytest.raises(CimError) as refused:
        room.host.cim.delete(room.admin, "Win32_ShadowStorage", row)
    assert refused.value.hresult == 0x80041024
    with pytest.raises(CimError) as refused:
        room.host.cim.delete(room.bob, "Win32_ShadowStorage", row)
    assert refused.value.hresult == 0x80041003
    room.vss.delete(shadow.id)
    room.host.cim.delete(room.admin, "Win32_ShadowStorage", row)
    assert room.vss.storage.all() == []


def test_the_ledger_has_areas_that_somebody_made(room):
    shadow = room.create().shadows[0]
    assert room.host.ledger()["storage_areas"] == [], "it comes and goes with the copy"
    room.vss.delete(shadow.id)
    area_made(room, MaxSpace=UNBOUNDED)
    assert room.host.ledger()["storage_areas"] == [f"{room.d.device_id} on {room.d.device_id} {UNBOUNDED}"]
    room.vss.storage.remove(room.d)
    area_made(room)
    room.create()
    assert room.host.ledger()["storage_areas"] == [f"{room.d.device_id} on {room.d.device_id} {2**33}"]


def test_an_area_nobody_configured_is_unbounded(room):
    room.create()
    (row,) = room.host.cim.query("SELECT MaxSpace FROM Win32_ShadowStorage", room.admin)
    assert row["MaxSpace"] == UNBOUNDED


def test_associations_lead_from_copies_to_volumes_and_providers(room):
    room.create()
    cim, user = room.host.cim, room.admin
    (copy,) = cim.query("SELECT ID FROM Win32_ShadowCopy", user)
    provider = cim.query("SELECT * FROM Win32_ShadowProvider", user)[0]
    assert cim.query("SELECT * FROM Win32_ShadowFor", user) == [
        {"Antecedent": {"DeviceID": room.d.device_id}, "Dependent": {"ID": copy["ID"]}}
    ]
    assert cim.query("SELECT * FROM Win32_ShadowOn", user)[0]["Antecedent"] == {"DeviceID": room.d.device_id}
    assert cim.query("SELECT * FROM Win32_ShadowBy", user)[0]["Antecedent"] == {"ID": provider["ID"]}
    assert (provider["Type"], provider["Name"]) == (1, "Microsoft Software Shadow Copy provider 1.0")


def test_volumes_that_can_be_copied(room):
    rows = room.host.cim.query("SELECT * FROM Win32_ShadowVolumeSupport", room.admin)
    assert [row["Dependent"]["DeviceID"] for row in rows] == [room.c.device_id, room.d.device_id]


def test_contexts_carry_their_attributes(room):
    rows = {row["Name"]: row for row in room.host.cim.query("SELECT * FROM Win32_ShadowContext", room.admin)}
    assert rows["ClientAccessible"]["NoWriters"] is True
    assert rows["AppRollback"]["NoWriters"] is False


def test_an_imported_copy_names_the_machine_that_serves_it(room):
    shadow = room.create().shadows[0]
    shadow.service_machine = "sql02.corp.example"
    (found,) = room.host.cim.instances(room.admin, "Win32_ShadowCopy")
    assert (found["OriginatingMachine"], found["ServiceMachine"]) == (shadow.machine, "sql02.corp.example")


def revert(room, shadow, user=None, **arguments):
    row = {"ID": f"{{{shadow.id}}}"}
    return room.host.cim.invoke(user or room.admin, "Win32_ShadowCopy", "Revert", arguments, row)


def test_revert(room):
    room.host.apps.clear()
    room.vss.remove_writer(room.writer)
    shadow = room.create(context=Context.APP_ROLLBACK).shadows[0]
    room.host.files.write("D:\\Bank\\bank.db", b"now")
    assert revert(room, shadow) == {"ReturnValue": 2}  # ForceDismount is not optional
    assert revert(room, shadow, ForceDismount="true") == {"ReturnValue": 2}
    assert revert(room, shadow, ForceDismount=False) == {"ReturnValue": 0}
    assert room.host.files.read("D:\\Bank\\bank.db") == b"balance=100"


def test_what_revert_refuses(room):
    shadow = room.create(context=Context.NAS_ROLLBACK).shadows[0]
    assert revert(room, shadow, ForceDismount=False) == {"ReturnValue": 4}
    room.d.pagefile = True
    assert revert(room, shadow, ForceDismount=True) == {"ReturnValue": 3}
    volatile = room.create(context=Context.BACKUP).shadows[0]
    assert revert(room, volatile, ForceDismount=True) == {"ReturnValue": 9}
    with pytest.raises(CimError):
        room.host.cim.invoke(room.admin, "Win32_ShadowCopy", "Revert", {"ForceDismount": True})
    with pytest.raises(CimError):
        revert(room, shadow, room.bob, ForceDismount=True)
