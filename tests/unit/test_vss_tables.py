# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths, access lists, codes and durations."""

from __future__ import annotations

import pytest
from ansible_collections.umbra.vss.plugins.plugin_utils._vss import security
from ansible_collections.umbra.vss.plugins.plugin_utils._vss.errors import (
    HRESULTS,
    RETURN_CODES,
    ToDo,
    VssFailure,
    hresult,
    number,
    return_code,
)
from ansible_collections.umbra.vss.plugins.plugin_utils._vss.model import Volume, guid, is_guid
from ansible_collections.umbra.vss.plugins.plugin_utils._vss.paths import (
    BadPath,
    Places,
    below_destination,
    no_overlap,
    normal,
)
from ansible_collections.umbra.vss.plugins.plugin_utils._vss.planning import check_name, duration
from ansible_collections.umbra.vss.plugins.plugin_utils._vss.writers import WRITERS, find, matches, remedy
from hypothesis import given
from hypothesis import strategies as st

from .vss_fake_host import SQL, VOLUME

PLACES = Places(
    [
        Volume(VOLUME["C"], "C:\\", "C:"),
        Volume(VOLUME["D"], "D:\\", "D:"),
        Volume(VOLUME["E"], "C:\\mnt\\data\\"),
        Volume(VOLUME["F"], VOLUME["F"]),
    ]
)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("d:\\bank\\", "D:\\bank"),
        ("D:", "D:\\"),
        ("D:/a//b/./c", "D:\\a\\b\\c"),
        (VOLUME["D"].upper().replace("VOLUME", "Volume") + "x\\", VOLUME["D"] + "x"),
    ],
)
def test_one_spelling(text, path):
    assert normal(text) == path


@pytest.mark.parametrize(
    "text",
    ["", "Bank", "D:Bank", "\\\\nas\\b", "D:\\..\\x", "D:\\a?", 'D:\\"', "D:\\a:b", "D:\\a\nb", "D:\\a.\\b", "\\x"],
)
def test_no_local_path(text):
    with pytest.raises(BadPath):
        normal(text)


@given(st.text(max_size=30))
def test_normal_is_stable_or_refuses(text):
    try:
        once = normal("D:\\" + text)
    except BadPath:
        return
    assert normal(once) == once


def test_the_longest_mount_decides():
    assert PLACES.place("C:\\mnt\\data\\x").volume.id == VOLUME["E"]
    assert PLACES.place("C:\\mnt\\database").volume.id == VOLUME["C"]
    assert PLACES.place(VOLUME["F"] + "a\\b").inside == "a\\b"
    assert PLACES.place("Q:\\") is None


@pytest.mark.parametrize("name", ["D", "D:", "d:\\", VOLUME["D"], VOLUME["D"].rstrip("\\")])
def test_a_volume_by_any_name(name):
    assert PLACES.volume(name).id == VOLUME["D"]


@pytest.mark.parametrize("name", ["D:\\Bank", "Q:", "", "data"])
def test_no_volume(name):
    assert PLACES.volume(name) is None


@pytest.mark.parametrize(
    ("source", "copy"),
    [
        ("D:\\Bank", "E:\\B\\D\\Bank"),
        ("D:\\", "E:\\B\\D"),
        ("C:\\mnt\\data\\x", "E:\\B\\C\\mnt\\data\\x"),
        (VOLUME["F"] + "x", "E:\\B\\Volume{40000000-0000-0000-0000-000000000000}\\x"),
    ],
)
def test_every_source_has_a_folder_of_its_own(source, copy):
    assert below_destination("E:\\B", PLACES.place(source)) == copy


def test_overlapping_sources_are_refused():
    with pytest.raises(VssFailure, match="overlap"):
        no_overlap([PLACES.place("D:\\a"), PLACES.place("D:\\A\\b")], "host")
    no_overlap([PLACES.place("D:\\a"), PLACES.place("D:\\ab")], "host")


@pytest.mark.parametrize(
    ("sddl", "found"),
    [
        ("O:BAG:SYD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)", []),
        ("O:SYG:SYD:(A;OICI;FA;;;SY)(A;;0x1200a9;;;BU)(A;OICIIO;GA;;;CO)", []),
        ("O:BAG:SYD:(A;OICI;FA;;;BA)(A;OICI;0x1301bf;;;BU)", ["BU"]),
        ("O:BAG:SYD:(A;;CCDCLC;;;S-1-5-21-1-2-3-1001)", ["S-1-5-21-1-2-3-1001"]),
        ("O:S-1-5-21-1-2-3-1001G:SYD:(A;;FA;;;BA)", ["S-1-5-21-1-2-3-1001"]),
        ("O:BAG:SYD:(D;;FA;;;WD)(A;;FA;;;BA)", []),
        ("O:BAG:SY", ["S-1-1-0"]),
        ("O:BAG:SYD:NO_ACCESS_CONTROL", ["S-1-1-0"]),
    ],
)
def test_who_else_may_write(sddl, found):
    assert security.strangers(sddl) == found


@pytest.mark.parametrize(("level", "elevated"), [(8192, False), (12288, True), (16384, True)])
def test_elevation_goes_by_the_integrity_level(level, elevated):
    assert (
        security.elevated(['"Jeder","Bekannte Gruppe","S-1-1-0","x"', f'"x","Bezeichnung","S-1-16-{level}",""'])
        is elevated
    )


def test_every_code_says_what_to_do():
    for code in [*HRESULTS.values(), *RETURN_CODES.values()]:
        assert code.name
        assert code.meaning
        assert code.advice.endswith(".")
    assert hresult("80042316").todo is ToDo.WAIT
    assert return_code(9).todo is ToDo.WAIT
    assert hresult(-2147212522) == hresult(0x80042316)
    assert hresult("0x8ABCDEF0").todo is ToDo.REDO
    with pytest.raises(ValueError, match="HRESULT"):
        number("later")


def test_only_what_others_do_is_waited_for():
    waiting = {code.name for code in HRESULTS.values() if code.todo is ToDo.WAIT}
    assert waiting == {"VSS_E_SNAPSHOT_SET_IN_PROGRESS", "VSS_E_REVERT_IN_PROGRESS", "VSS_E_RESYNC_IN_PROGRESS"}


def test_writers_by_name_and_guid():
    assert find("sqlserverwriter").service == "SQLWriter"
    assert find(SQL.upper()).name == "SqlServerWriter"
    assert find("nobody") is None
    assert matches(SQL.strip("{}").upper(), SQL, "x")
    assert not matches("SqlServerWriter", SQL, "SqlServerWriter (2)")
    assert "CryptSvc" in remedy(find("System Writer").id, "System Writer")
    assert "Acme" in remedy("{11111111-0000-0000-0000-000000000000}", "Acme")
    assert len({known.id for known in WRITERS if known.id}) == len([known for known in WRITERS if known.id])


def test_guids():
    assert guid("{A65FAA63-5EA8-4EBC-9DBD-A0C4DB26912A}") == guid("a65faa63-5ea8-4ebc-9dbd-a0c4db26912a") == SQL
    assert not is_guid("SqlServerWriter")
    assert not is_guid(SQL + "x")
    for half in (SQL[:-1], SQL[1:]):
        assert is_guid(half)
        assert guid(half) == SQL
    with pytest.raises(ValueError, match="is not a GUID"):
        guid("{x")


@pytest.mark.parametrize(
    ("text", "seconds"), [(90, 90), ("90", 90), ("30m", 1800), ("4h", 14400), ("7D", 604800), ("1.5h", 5400)]
)
def test_durations(text, seconds):
    assert duration(text, "max_age").total_seconds() == seconds


@pytest.mark.parametrize("text", ["100000000000000", "9999999d", "1e3", "-1", "soon"])
def test_no_durations(text):
    with pytest.raises(VssFailure, match=r"max_age .* is (not a duration|longer than a hundred years)"):
        duration(text, "max_age")


@pytest.mark.parametrize("name", ["", " x", 'a"b', "a\nb", "x" * 101, "-x", None])
def test_bad_names(name):
    with pytest.raises(VssFailure, match="name"):
        check_name(name)


@pytest.mark.parametrize("name", ["nightly", "before-patching", "Kunde Müller (2)", "1"])
def test_good_names(name):
    assert check_name(name) == name
