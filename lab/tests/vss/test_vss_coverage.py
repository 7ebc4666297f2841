# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The coverage table of VSS says what there is, no more and no less."""

from __future__ import annotations

import dataclasses

import pytest
from vsslab import coverage, faultwords
from vsslab.programs import vssadmin
from vsslab.vss import Context, Limits, WriterState
from vsslab.vss.codes import Until
from vsslab.vss.log import event_numbers
from vsslab.vss.tables import table

REGISTRIES = {
    "phases": lambda: set(faultwords.table()["kinds"]["phase"]["facts"]["phase"]["words"]),
    "writer states": lambda: {each.name for each in WriterState} | {f"until {each.value}" for each in Until},
    "contexts": lambda: {each.name for each in Context},
    "limits": lambda: {each.name for each in dataclasses.fields(Limits)},
    "events": lambda: {f"{provider} {number}" for provider, number in event_numbers()},
}


def named(area, entries=None):
    found = set()
    for each in entries or table("coverage"):
        if each["area"] == area:
            found |= set(each["name"] if isinstance(each["name"], list) else [each["name"]])
    return found


@pytest.mark.parametrize("area", REGISTRIES)
def test_the_table_agrees_with_what_is_implemented(area):
    assert named(area) == REGISTRIES[area]()


def test_every_verb_of_vssadmin_is_named():
    assert {each for each in named("verbs") if each.startswith("vssadmin")} == {
        f"vssadmin {each}" for each in vssadmin._COMMANDS
    }


def test_every_class_of_vss_is_named(room):
    classes = {each for each in room.host.cim.classes() if each.startswith("Win32_Shadow")}
    assert named("cim") == classes


def test_every_event_of_volsnap_and_vss_has_a_place_to_come_from():
    assert {each["provider"] for each in table("events").values()} == {"VSS", "volsnap"}
    assert all(each["text"] in ("sample", "assumed") for each in table("events").values())


def test_the_whole_table_can_be_read():
    assert {each.area for each in coverage.entries()} >= {"verbs", "providers", "events"}
