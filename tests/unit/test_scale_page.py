# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The numbers of docs/scale.md that the code decides are the code's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from ansible_collections.umbra.vss.plugins.plugin_utils import _carrier, _spec
from ansible_collections.umbra.vss.plugins.plugin_utils._vss import copying, records

Settings = pytest.importorskip(
    "vsslab.wire.settings", reason="the laboratory is not installed here; `make test` has it"
).Settings

DOCS = Path(__file__).resolve().parents[2] / "docs"
TEXT = (DOCS / "scale.md").read_text(encoding="utf-8")


def test_links_lead_somewhere():
    links = re.findall(r"\]\((?!https?:)([^)#]+)", TEXT)
    assert links
    for link in links:
        assert (DOCS / link).exists(), link


@pytest.mark.parametrize(
    ("quota", "value"),
    [
        ("MaxShellsPerUser", Settings.max_shells_per_user),
        ("MaxConcurrentUsers", Settings.max_users),
        ("MaxProcessesPerShell", Settings.max_processes_per_shell),
        ("MaxConnections", Settings.max_requests),
    ],
)
def test_quotas_are_those_that_the_laboratory_keeps(quota, value):
    assert f"| {quota} | {value} |" in TEXT


def test_leases_last_as_long_as_it_says():
    assert records.LEASE.total_seconds() == 1800
    assert "half an hour" in TEXT
    assert copying.SLOW == 10_000_000
    assert "twice the time that 10 MB a second take" in TEXT
    playbook = (DOCS.parent / "playbooks" / "backup.yml").read_text(encoding="utf-8")
    assert "backup_timeout | default(600)" in playbook
    assert "10 minutes in the playbook" in TEXT
    assert "40 minutes for little" in TEXT
    for_100_gb = records.LEASE.total_seconds() + 2 * 100e9 / copying.SLOW
    assert f"{round(for_100_gb / 3600)} hours for 100 GB" in TEXT


def test_timeouts_are_bounded_where_it_says():
    assert f"More than {_carrier._QUIET} is taken as {_carrier._QUIET}" in TEXT


def test_tasks_are_the_modules():
    for block in re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL):
        for task in yaml.safe_load(block):
            (module,) = (word for word in task if word.startswith("umbra.vss."))
            name = module.removeprefix("umbra.vss.")
            assert _spec.check(_spec.argument_spec(_spec.read(name)), task[module], name).error == ""
