# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""diskshadow with a hardware provider: transportable sets, import, mask, break; and reverts."""

from __future__ import annotations

import pytest

from .conftest import RUN

META = f"set metadata {RUN}\\t.cab"
LOAD = f"load metadata {RUN}\\t.cab"
ARRAY = {"name": "Array", "type": "hardware"}
TRANSPORT = ("set context persistent", "set option transportable", META, "add volume D: alias data", "create")


@pytest.fixture
def hard(make_tool):
    return make_tool(providers=[ARRAY])


def test_a_transportable_set_is_in_the_system_once_it_is_imported(hard):
    hard.script(*TRANSPORT)
    assert (hard.code, hard.vss.shadows) == (0, [])
    lines = hard.script(LOAD, "import", "expose %data% X:", "exit")
    assert (hard.code, "Number of shadow copies imported: 1" in lines) == (0, True)
    words = next(line for line in lines if "Attributes:" in line).split()[2:]
    assert {"Transportable", "Hardware", "Imported", "Persistent"} <= set(words)
    assert hard.host.files.read("X:\\Bank\\bank.db") == b"balance=100"


def test_masking_takes_it_away_and_it_can_be_imported_again(hard):
    hard.script(*TRANSPORT)
    hard.script(LOAD, "import", "mask %VSS_SHADOW_SET%", "exit")
    assert (hard.code, hard.vss.shadows) == (0, [])
    hard.script(LOAD, "import", "exit")
    assert len(hard.vss.shadows) == 1


@pytest.mark.parametrize(("command", "read_only"), [("break", True), ("break writable", False)])
def test_breaking_makes_a_volume(hard, command, read_only):
    before = {each.guid for each in hard.host.volumes}
    hard.script(*TRANSPORT)
    hard.script(LOAD, "import", f"{command} %VSS_SHADOW_SET%", "exit")
    (volume,) = [each for each in hard.host.volumes if each.guid not in before]
    assert (hard.code, volume.read_only, hard.vss.shadows) == (0, read_only, [])
    assert hard.host.files.read(f"{volume.device_id}Bank\\bank.db") == b"balance=100"


@pytest.mark.parametrize(
    ("commands", "code"),
    [
        (("import",), "80042301"),
        ((*TRANSPORT,), "8004230c"),
        (("set option plex", "add volume D:", "create"), "8004230c"),
        ((f"mask {{{'0' * 8}-0000-0000-0000-{'0' * 12}}}",), "80042308"),
        (("set context persistent", "add volume D:", "create", "break %VSS_SHADOW_SET%"), "80042301"),
        (("set context persistent", "add volume D:", "create", "mask %VSS_SHADOW_SET%"), "80042301"),
        (("set context persistent", "add volume D:", "create", "revert %VSS_SHADOW_1%"), "8004231b"),
    ],
)
def test_without_such_hardware_it_is_refused(tool, commands, code):
    tool.script(*commands, "exit")
    assert tool.hresults() == [code]
    assert tool.code != 0


def test_the_provider_can_be_chosen(hard):
    lines = hard.script("list providers", "set context persistent", "exit")
    assert "2 providers registered." in lines
    assert "\tType: [3] VSS_PROV_HARDWARE" in lines
    system = "{b5946137-7b9f-4925-af80-51abd60b20d5}"
    hard.script("set context persistent", f"add volume D: provider {system} alias d", "create", "exit")
    assert [each.provider.type for each in hard.vss.shadows] == [1]
    hard.script("add volume D: provider {00000000-0000-0000-0000-000000000001}")
    assert hard.hresults() == ["80042304"]


def test_a_volume_goes_back_to_a_client_accessible_copy(tool):
    tool.script("set context clientaccessible", "add volume D: alias then", "create", "exit")
    tool.host.files.write("D:\\Bank\\bank.db", b"balance=0")
    shadow = tool.vss.shadows[0]
    lines = tool.script(f"revert {{{shadow.id}}}", "exit")
    assert (tool.code, "The volume was successfully reverted." in lines) == (0, True)
    assert tool.host.files.read("D:\\Bank\\bank.db") == b"balance=100"


@pytest.mark.parametrize("command", ["mask", "mask x", "break", "break writable", "revert", "import now"])
def test_usage(tool, command):
    tool.script(command)
    assert tool.lines[tool.lines.index(f"-> {command}") + 2].startswith(command.split()[0].upper())
