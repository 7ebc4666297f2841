# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A task's own timeout takes back what the task has made: nothing is left for a lease."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.slow


def test_a_task_that_takes_too_long_leaves_nothing(fleet):
    host, app = fleet.host("legacy01"), fleet.app("legacy01")
    args = {"sources": [app.source], "destination": r"E:\Late", "allow_downgrade": True}
    made = fleet.sets_created("legacy01")
    with fleet.unchanged("legacy01"):
        host.copy_rate = 20_000
        try:
            result = fleet.task("legacy01", "backup", args, keywords={"timeout": 12})
        finally:
            host.copy_rate = None
        assert result["status"] == "failed"
        assert "Timed out after 12 second" in result["msg"] or "expected time frame (12)" in result["msg"]  # until 2.18
        assert "Traceback" not in result["output"]
        assert "Copying D:\\Legacy" in result["output"], "it came while the host was copying"
        assert fleet.sets_created("legacy01") == made + 1
