# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a restore reads out of robocopy's listings, and what it makes of its options."""

from __future__ import annotations

import pytest
from ansible_collections.umbra.vss.plugins.plugin_utils._vss import restoring, safety, verify, wanted
from ansible_collections.umbra.vss.plugins.plugin_utils._vss.copying import table
from ansible_collections.umbra.vss.plugins.plugin_utils._vss.errors import VssFailure
from ansible_collections.umbra.vss.plugins.plugin_utils._vss.model import Shadow, Volume
from ansible_collections.umbra.vss.plugins.plugin_utils._vss.paths import Place

# A German log: with class names, which /NC leaves out of files' lines only where a build of Windows thinks so.
LISTING = [
    "",
    "\t                   2\tC:\\w\\1\\Data\\",
    "\t  Neues Verz.      1\tC:\\w\\1\\Data\\sub\\",
    "\t\t\t      5000\tC:\\w\\1\\Data\\a.txt",
    "\t\t\t         6\tC:\\w\\1\\Data\\sub\\b 1.txt",
    "\t*EXTRA-Verz.      -1\tD:\\Data\\mine\\",
    "",
    "           Insgesamt   KopiertÜbersprungenKeine Übereinstimmung    FEHLER    Extras",
    "Verzeich.:         2         1         1         0         0         0",
    "  Dateien:         3         2         1         0         0         0",
    "    Bytes:      5010      5006         4         0         0         0",
]
D = Place(Volume("\\\\?\\Volume{1}\\", "D:\\", "D:", file_system="NTFS", drive_type=3), "Data")


def piece(**more):
    aim = wanted.Aim(1, D, Shadow("{1}"), "D:\\Data", D)
    return restoring.Piece(aim, "C:\\w\\1\\Data", **more)


def test_a_listing_is_read_by_its_structure():
    assert verify.listed(LISTING, "C:\\w\\1\\Data") == {"a.txt": 5000, "sub\\b 1.txt": 6}
    assert verify.folders(LISTING, "C:\\w\\1\\Data") == {"": 2, "sub": 1}
    assert table(LISTING)[1] == [3, 2, 1, 0, 0, 0]


def test_folders_that_hold_other_files_too_are_not_hashed_as_a_whole():
    one = piece(files={"a.txt": 1, "sub\\b.txt": 1, "deep\\c.txt": 1})
    inside = {"": 2, "sub": 1, "deep": 1, "other": 5}
    assert restoring._mixed(one, inside, {"DEEP\\MINE.TXT": 1}) == {"", "DEEP"}


@pytest.mark.parametrize(("existing", "need"), [("replace", 70), ("newer", 70), ("rename", 150)])
def test_room_is_needed_for_what_grows(existing, need):
    one = piece(
        folder=True, there=True, files={"new": 50, "grows": 60, "shrinks": 40}, replaced={"grows": 40, "shrinks": 90}
    )
    assert safety._room(one, existing) == need


def test_what_is_put_together_apart_needs_all_its_room():
    assert safety._room(piece(files={"a": 60}, replaced={"a": 60}, folder=False, there=True), "replace") == 60


@pytest.mark.parametrize(
    ("args", "word"),
    [
        ({"paths": []}, "empty"),
        ({"paths": [{"to": "E:\\x"}]}, "no path"),
        ({"paths": [{"path": "D:\\x", "mode": "0644"}]}, "mode"),
        ({"paths": [{"path": "D:\\x", "to": "E:\\x"}], "destination": "E:\\y"}, "together"),
    ],
)
def test_entries_of_paths_that_mean_nothing(args, word):
    with pytest.raises(VssFailure, match=word):
        wanted.pairs(args, "sql01")


def test_entries_of_paths():
    args = {"paths": ["D:\\a", {"path": "D:\\b"}, {"path": "D:\\c", "to": "E:\\c"}]}
    assert wanted.pairs(args, "sql01") == [("D:\\a", None), ("D:\\b", None), ("D:\\c", "E:\\c")]
    assert wanted.names({**args, "destination": "E:\\d"}) == ["D:\\a", "D:\\b", "D:\\c", "E:\\c", "E:\\d"]


def test_only_what_is_missing_on_the_way_is_made():
    one = piece(folder=False)
    one.aim = wanted.Aim(1, D, Shadow("{1}"), "D:\\New\\er\\x.txt", Place(D.volume, "New\\er\\x.txt"))
    one.top, one.stage = "D:\\New", "D:\\umbra-restore-1\\1"
    assert one.staged == "D:\\umbra-restore-1\\1\\New\\er\\x.txt"
    assert one.way == ["D:\\umbra-restore-1\\1\\New", "D:\\umbra-restore-1\\1\\New\\er"]
    assert one.in_stage(one.top) == "D:\\umbra-restore-1\\1\\New"


@pytest.mark.parametrize(
    ("attributes", "kind", "link"),
    [
        (0x20, None, False),
        (0x420, None, False),  # deduplicated, or in a cloud: it has its content here
        (0x420, "HardLink", False),
        (0x420, "SymbolicLink", True),
        (0x410, "Junction", True),
        (0x410, None, True),  # of a folder nobody knows what it leads to
    ],
)
def test_what_leads_elsewhere_is_a_link(attributes, kind, link):
    assert restoring.is_link({"Attributes": attributes, "LinkType": kind}) is link
    assert not restoring.is_link(None)
