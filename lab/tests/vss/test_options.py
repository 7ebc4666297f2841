# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of a host's VSS."""

from __future__ import annotations

import pytest
from vsslab.vss import Options


def test_settings_come_from_plain_data():
    options = Options.of({"diskshadow_language": "marked", "limits": {"freeze": 5}, "no_writers": ["WMI Writer"]})
    assert (options.diskshadow_language, options.limits.freeze, options.limits.hold) == ("marked", 5, 10.0)
    assert options.no_writers == ("WMI Writer",)


@pytest.mark.parametrize("data", [{"colour": 1}, {"limits": {"speed": 1}}, {"diskshadow_language": "klingon"}])
def test_what_makes_no_sense_is_named(data):
    with pytest.raises(ValueError, match=r"\w"):
        Options.of(data)


def test_writers_can_be_taken_off_a_host(make_room):
    room = make_room(no_writers=["WMI Writer", "{e8132975-6f93-4464-a53e-1050253ae220}"])
    names = [writer.name for writer in room.vss.writers]
    assert "WMI Writer" not in names
    assert "System Writer" not in names


def test_a_client_has_other_writers_than_a_server(make_room):
    assert "BITS Writer" not in [writer.name for writer in make_room().vss.writers]
    client = make_room(host={"profile": "windows11"})
    assert "MSSearch Service Writer" in [writer.name for writer in client.vss.writers]
