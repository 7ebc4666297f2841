# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""vssadmin's reverts: what they ask, what they refuse, what the volume holds afterwards."""

from __future__ import annotations

import pytest
from vsslab.vss import Context

from .vssadmin_tool import Tool

__all__ = ["Tool"]


@pytest.fixture
def old(make_tool):
    """A copy of D: that shows `then`, and a live volume that has `now`; a revert takes ten seconds."""
    tool = make_tool(revert_seconds=10)
    tool.host.files.write("D:\\f", b"then")
    tool.shadow = tool.create(name="D:")
    tool.host.files.write("D:\\f", b"now")
    tool.host.files.write("D:\\g", b"new")
    return tool


def test_reverting_a_volume(old):
    newer = old.create(name="D:")
    lines = old.run(f"revert shadow /shadow={{{old.shadow.id}}}", stdin="y\n")
    assert lines[-1] == "Successfully started the revert of volume 'D:\\'"
    assert old.host.files.read("D:\\f") == b"then"
    assert not old.host.files.exists("D:\\g")
    assert newer not in old.vss.shadows
    assert old.run("query reverts /all") == [
        f"Volume being reverted: (D:){old.shadow.volume.device_id}",
        f"   Shadow Copy ID: {{{old.shadow.id}}}",
        "   Progress: 0%",
        "",
    ]
    assert old.run("query reverts /for=C:") == ["No items found that satisfy the query."]
    assert "revert is in progress" in old.run(f"revert shadow /shadow={{{old.shadow.id}}} /quiet")[0]
    assert old.code == 2
    assert "revert is in progress" in old.run("create shadow /for=D:")[0]


def test_reverting_asks_first(old):
    assert old.run(f"revert shadow /shadow={{{old.shadow.id}}}")[1].endswith("(Y/N): [N]? ")
    assert (old.code, old.host.files.read("D:\\f")) == (1, b"now")


def test_what_cannot_be_reverted(old):
    system, backup = old.create(name="C:"), old.create(Context.APP_ROLLBACK, "D:")
    assert old.run(f"revert shadow /shadow={{{system.id}}} /quiet") == ["Error: The volume cannot be reverted."]
    assert old.run(f"revert shadow /shadow={{{backup.id}}} /quiet")[0].startswith("Error: Snapshots were found")
    assert old.run("revert shadow /shadow={0} /quiet") == ["No items found that satisfy the query."]
    assert old.code == 2
    for line in ("revert shadow", "query reverts", "query reverts /all /for=D:"):
        old.run(line)
        assert old.code == 1


def test_a_client_cannot_revert(make_tool):
    tool = make_tool(profile="windows10")
    for line in ("revert shadow /shadow={0} /quiet", "query reverts /all"):
        assert tool.run(line)[0] == "Error: Invalid command."
    shadow = tool.create()
    tool.run(f"list shadows /set={{{shadow.set_id}}}")
    assert tool.code == 1


def test_a_programs_volume_is_reverted_by_force_only(old):
    class App:
        volumes = ("D:\\",)
        pid = 7

        def kill(self):
            self.pid = 0

        def hold(self):
            """Stands still."""

        release = hold

    old.host.apps["app"] = App()
    assert "in use" in old.run(f"revert shadow /shadow={{{old.shadow.id}}} /quiet")[0]
    assert old.host.files.read("D:\\f") == b"now"
    old.run(f"revert shadow /shadow={{{old.shadow.id}}} /quiet /forcedismount")
    assert (old.code, old.host.apps["app"].pid, old.host.files.read("D:\\f")) == (0, 0, b"then")
