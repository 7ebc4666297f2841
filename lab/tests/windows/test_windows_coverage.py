# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the room says it covers is what its tables hold."""

from __future__ import annotations

import pytest
from vsslab.windows.errors import data
from vsslab.windows.host import Host
from vsslab.windows.profile import profiles
from vsslab.windows.volumes import file_systems


def covered(area: str) -> set[str]:
    found: list[str] = []
    for each in data("coverage.yml"):
        if each["area"] == area:
            found += each["name"] if isinstance(each["name"], list) else [each["name"]]
    assert len(found) == len(set(found))
    return set(found)


@pytest.mark.parametrize(
    ("area", "real", "more"),
    [
        ("profiles", set(profiles()), set()),
        ("languages", set(data("profiles.yml")["languages"]), set()),
        ("services", set(data("services.yml")), {"delayed start"}),
        ("events", set(data("events.yml")["events"]), set()),
        ("file systems", set(file_systems()), {"symbolic links", "junctions", "mount points", "UNC paths"}),
    ],
)
def test_every_entry_of_a_table_is_covered_and_nothing_else(area: str, real: set[str], more: set[str]) -> None:
    assert covered(area) == real | more


def test_every_class_of_a_bare_host_is_covered(host: Host) -> None:
    assert covered("cim") == set(host.cim.classes())
