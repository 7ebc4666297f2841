# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The names of volumes: every spelling of one, mount folders and devices, and which volumes a user means."""

from __future__ import annotations

import contextlib
from datetime import datetime, timezone

import pytest
from ansible_collections.umbra.vss.plugins.plugin_utils._pipeline import Reply, Result
from ansible_collections.umbra.vss.plugins.plugin_utils._vss.errors import VssFailure
from ansible_collections.umbra.vss.plugins.plugin_utils._vss.facts import Facts, System
from ansible_collections.umbra.vss.plugins.plugin_utils._vss.model import Volume
from ansible_collections.umbra.vss.plugins.plugin_utils._vss.paths import (
    BadPath,
    Places,
    by_device,
    fold,
    names_told,
    naming_statements,
    normal,
    select_volumes,
    volume_named,
)
from hypothesis import given
from hypothesis import strategies as st

from .vss_fake_host import VOLUME

NOW = datetime(2026, 3, 1, tzinfo=timezone.utc)
SYSTEM = System("SQL01", "Windows", "10", "1", False, "64-bit", "C:\\Windows", 1033, NOW, NOW, True)
DEVICE = "\\\\?\\GLOBALROOT\\Device\\HarddiskVolume3"
NTFS = {"file_system": "NTFS", "drive_type": 3}
C, D, E, F = (VOLUME[letter] for letter in "CDEF")
STICK, HIDDEN, BOOT = (VOLUME["C"].replace("{1", f"{{{digit}") for digit in "567")


def volumes(*more):
    return (
        Volume(C, "C:\\", "C:", boot=True, **NTFS),
        Volume(D, "D:\\", "D:", **NTFS),
        Volume(E, "C:\\Mounts\\Straße\\", **NTFS),
        Volume(F, "C:\\Mounts\\Straße\\tiefer\\", **NTFS),
        *more,
    )


def facts(*more, mounts=(), devices=()):
    results = [Result(f"device-{name}", list(lines), [], code, True) for name, lines, code in devices]
    if mounts:
        results.append(Result("mounts", list(mounts), [], 0, True))
    return Facts("sql01", SYSTEM, "admin", True, volumes=volumes(*more), reply=Reply(results))


# ---- one volume, many names
@pytest.mark.parametrize(
    "name",
    [
        "D", "d", "D:", "d:\\", "D:/", "D:\\\\", " D:\\ ", "\\\\?\\D:", "\\\\?\\d:\\", "\\\\.\\D:", "\\??\\D:\\",
        D, D.rstrip("\\"), D.upper().replace("VOLUME", "Volume"), D.replace("\\\\?\\", "\\\\.\\"),
        D.replace("\\\\?\\", "\\??\\"), D.replace("\\", "/"),
    ],
)  # fmt: skip
def test_every_spelling_of_a_volume(name):
    assert volume_named(name, facts()).id == D


@pytest.mark.parametrize(
    "name",
    [
        "C:\\Mounts\\Straße",
        "c:/mounts/straße/",
        "C:\\MOUNTS\\straße\\",
        "\\\\?\\C:\\Mounts\\Straße\\",
        "C:\\Mounts\\.\\Straße",
    ],
)
def test_a_mount_folder_in_every_case(name):
    assert volume_named(name, facts()).id == E


@pytest.mark.parametrize(
    "name", ["C:\\Mounts", "C:\\Mounts\\Strasse", "C:\\Mounts\\Straße\\x", "Q:", D.replace("2", "9")]
)
def test_no_volume_of_that_name(name):
    with pytest.raises(VssFailure, match="There is no volume"):
        volume_named(name, facts())


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("\\\\nas\\share", "not a full path"),
        ("\\\\?\\UNC\\nas\\share", "not a full path"),
        ("all", "not a full path"),
        ("", "not a full path"),
        ("D:\\x\ny", "holds the character"),
        ("D:x", "relative"),
        ("\\\\?\\GLOBALROOT\\Device\\HarddiskVolumeShadowCopy3\\", "a shadow copy, not of a volume"),
        ("\\\\?\\GLOBALROOT\\DosDevices\\D:", "not a full path"),
        ("C:\\" + "x" * 256, "more than 255 characters"),
    ],
)
def test_what_is_no_name_at_all(name, why):
    with pytest.raises(VssFailure, match="cannot be used") as refused:
        volume_named(name, facts())
    assert why in str(refused.value)
    assert "sql01" in str(refused.value)


def test_names_compare_as_ntfs_compares_them():
    assert fold("Straße") != fold("STRASSE"), "two folders that NTFS holds beside each other"
    assert fold("ﬁ") != fold("fi")
    assert fold("ÄÖÜñé") == fold("äöüÑÉ")
    assert fold("İ") != fold("i")


@given(st.text(max_size=40))
def test_folding_keeps_the_length(text):
    assert len(fold(text)) == len(text)
    assert fold(fold(text)) == fold(text)


def test_the_place_of_a_path_is_in_the_deepest_mount():
    places = facts().places
    place = places.place("c:\\mounts\\STRAßE\\Tiefer\\a\\b")
    assert (place.volume.id, place.inside) == (F, "a\\b")
    assert places.place("C:\\Mounts\\Strasse\\x").volume.id == C
    long = "D:\\" + "\\".join(["ordner" * 30] * 20)
    assert places.place("\\\\?\\" + long + "\\").path == long


@given(st.text())
def test_any_text_is_a_path_or_a_bad_one(text):
    with contextlib.suppress(BadPath):
        path = normal(text)
        assert normal(path) == path


# ---- what the host is asked, and what it tells
def keys(*names, follow=False):
    return [statement.key for statement in naming_statements(names, follow)]


def test_letters_and_guid_paths_cost_nothing():
    assert keys("D:", "d", "D:\\", D, "all", "\\\\?\\D:\\", "\\\\nas\\x") == []


def test_folders_and_devices_are_asked_for():
    assert keys("C:\\Mounts\\x", "E:\\y\\") == ["mounts"]
    assert keys("D:", follow=True) == ["mounts"]
    assert keys(DEVICE, DEVICE.upper() + "\\", "\\Device\\HarddiskVolume4") == [
        "device-harddiskvolume3",
        "device-harddiskvolume4",
    ]
    assert keys("\\\\?\\GLOBALROOT\\Device\\HarddiskVolumeShadowCopy1") == []
    (asked,) = naming_statements([DEVICE])
    assert asked.commands[0].arguments[1] == "/L"
    assert asked.commands[0].arguments[0].endswith("3\\"), "the root of a device ends in a backslash"


MOUNTS = [
    "Erstellt, löscht oder listet einen Volumebereitstellungspunkt auf.",
    "",
    "MOUNTVOL [Laufwerk:]Pfad Volumename",
    "    Pfad        Gibt das vorhandene NTFS-Verzeichnis an, z. B. C:\\Ordner\\",
    "",
    f"    {C}",
    "        C:\\",
    "",
    f"    {D}",
    "        D:\\",
    "        C:\\Daten\\zwei\\",
    "        C:\\Mounts\\Stra?e\\",
    "",
    f"    {HIDDEN}",
    "        *** KEINE BEREITSTELLUNGSPUNKTE ***",
]


def test_mountvol_is_read_by_structure():
    told = names_told(Reply([Result("mounts", MOUNTS, [], 0, True)]))
    assert told == {"C:\\Daten\\zwei\\": D}, "letters are known, and what came with a question mark is not"


def test_a_second_mount_folder_is_a_name_too():
    found = facts(mounts=MOUNTS)
    assert volume_named("c:\\daten\\ZWEI", found).id == D
    assert found.places.mounts(found.volumes[1]) == ["C:\\Daten\\zwei\\"]
    assert found.places.display(D) == "D:\\", "it is still called by its letter"


@pytest.mark.parametrize(
    "name",
    [
        DEVICE,
        DEVICE + "\\",
        DEVICE.lower(),
        "\\Device\\HarddiskVolume3",
        "\\\\.\\GLOBALROOT\\Device\\HarddiskVolume3\\",
    ],
)
def test_a_device_is_the_volume_that_the_host_says(name):
    found = facts(devices=[("harddiskvolume3", [f"    {D}"], 0)])
    assert volume_named(name, found).id == D
    assert found.places.place(name.rstrip("\\") + "\\Bank\\x").path == "D:\\Bank\\x"


@pytest.mark.parametrize("answer", [(["Das System kann die Datei nicht finden."], 1), ([], 0), ([f"    {D}x"], 0)])
def test_a_device_that_the_host_does_not_know(answer):
    with pytest.raises(VssFailure, match="There is no volume"):
        volume_named(DEVICE, facts(devices=[("harddiskvolume3", *answer)]))


def test_a_device_is_no_plain_path():
    assert by_device("D:\\Device\\x") is None
    with pytest.raises(BadPath, match="begins with a device"):
        normal(DEVICE + "\\x")


# ---- which volumes are meant
MORE = (
    Volume(STICK, "G:\\", "G:", file_system="FAT32", drive_type=2),
    Volume(HIDDEN, HIDDEN, **NTFS),
    Volume(BOOT, BOOT, system=True, **NTFS),
)


def ids(selection):
    return [volume.id for volume in selection.volumes]


def test_named_volumes_each_once_in_their_order():
    selection = select_volumes(["D:", D, "C:\\Mounts\\straße", "d"], [], False, facts())
    assert ids(selection) == [D, E]
    assert selection.followed == ()


def test_all_less_those_excluded():
    selection = select_volumes(["all"], ["D:", "Q:"], False, facts(*MORE))
    assert ids(selection) == [C, E, F, BOOT]
    assert set(selection.skipped_because) == {"G:\\", HIDDEN}
    assert "local fixed disk" in selection.skipped_because["G:\\"]
    assert "GUID path" in selection.skipped_because[HIDDEN]
    assert ids(select_volumes([HIDDEN], [], False, facts(*MORE))) == [HIDDEN], "named, it is meant"


def test_mounted_volumes_below_are_told_or_followed():
    alone = select_volumes(["C:"], [], False, facts())
    assert ids(alone) == [C]
    assert "nor followed" in alone.skipped_because["C:\\Mounts\\Straße\\"]
    with_them = select_volumes(["C:"], [], True, facts())
    assert ids(with_them) == [C, E, F]
    assert [volume.id for volume in with_them.followed] == [E, F]
    assert with_them.skipped_because == {}


def test_following_stops_at_what_is_excluded():
    selection = select_volumes(["C:"], ["C:\\Mounts\\Straße\\"], True, facts())
    assert ids(selection) == [C], "the one below is on the one excluded"
    selection = select_volumes(["C:"], [F], True, facts())
    assert ids(selection) == [C, E]


def test_a_volume_with_a_letter_is_followed_by_its_folder():
    selection = select_volumes(["C:"], [], True, facts(mounts=MOUNTS))
    assert ids(selection) == [C, D, E, F]


def test_a_volume_mounted_below_that_cannot_be_shadowed_is_told():
    stick = Volume(STICK, "C:\\Mounts\\stick\\", file_system="FAT32", drive_type=3)
    selection = select_volumes(["C:"], [], True, facts(stick))
    assert STICK not in ids(selection)
    assert "FAT32" in selection.skipped_because["C:\\Mounts\\stick\\"]


def test_volumes_mounted_in_one_another_end():
    """A circle is nothing that Windows refuses."""
    found = facts(mounts=[f"    {C}", "        D:\\back\\", f"    {D}", "        C:\\forth\\"])
    assert ids(select_volumes(["C:"], [F], True, found)) == [C, D, E]


@pytest.mark.parametrize(
    ("names", "exclude", "match"),
    [
        (["all", "D:"], [], "stands alone"),
        (["ALL"], ["C:", "D:", E, F], "No volume of sql01 is left"),
        ([], [], "No volume of sql01 is left"),
        (["D:"], ["D:\\"], "No volume of sql01 is left"),
        (["D:"], ["\\\\nas\\x"], "cannot be used"),
        (["D:", "Q:"], [], "There is no volume Q:"),
    ],
)
def test_what_cannot_be_meant(names, exclude, match):
    with pytest.raises(VssFailure, match=match):
        select_volumes(names, exclude, False, facts())


def test_places_without_a_host_still_know_their_volumes():
    assert Places(volumes()).volume("d").id == D
    assert Places(volumes()).volume("D:\\x") is None
