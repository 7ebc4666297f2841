# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The integration targets and the modules' own examples: ordinary tasks, run over the fleet."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
TARGETS = sorted(p.name for p in (ROOT / "tests" / "integration" / "targets").iterdir())
WHAT = ROOT / "demo" / "what-to-back-up.yml"
MODULES = sorted(p.stem for p in (ROOT / "plugins" / "modules").glob("*.yml"))


@pytest.mark.parametrize("target", TARGETS)
def test_target(fleet, target):
    """Every target over servers in three languages and a client edition, at once."""
    tasks = ROOT / "tests" / "integration" / "targets" / target / "tasks" / "main.yml"
    variables = {"umbra_volume": "D:", "umbra_source": "{{ backup_sources | last }}", "umbra_destination": r"E:\Target"}
    with fleet.unchanged(*fleet.lab.hosts):
        run = fleet.play(
            "windows", [{"ansible.builtin.include_tasks": str(tasks)}], "-i", str(WHAT), variables=variables
        )
        for host in fleet.lab.hosts.values():
            if host.files.exists(r"E:\Target"):
                shutil.rmtree(host.files.locate(r"E:\Target").real)
    assert run.code == 0, run.output


@pytest.mark.parametrize("module", MODULES)
def test_examples_run(fleet, module):
    """What the documentation shows is run as it stands on the database server."""
    document = yaml.safe_load((ROOT / "plugins" / "modules" / f"{module}.yml").read_text(encoding="utf-8"))
    tasks = yaml.safe_load(document["EXAMPLES"])
    assert tasks, "a module without an example"
    host = fleet.host("sql01")
    host.services.configure("LegacyDb", display_name="Legacy Database")  # an application of the examples
    top = {entry.name for entry in host.files.listdir("E:\\")}
    run = fleet.play("sql01", tasks)
    told = [t["result"] for t in run.of("umbra.vss.snapshot") + run.of("umbra.vss.backup")]
    names = {result.get(key) for result in told for key in ("name", "kept")} - {None}
    for name in names:
        fleet.ok("sql01", "snapshot", {"name": name, "state": "absent"})
    for entry in host.files.listdir("E:\\"):
        if entry.name not in top:
            shutil.rmtree(host.files.locate("E:\\" + entry.name).real)
    assert run.code == 0, run.output
