# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The integration targets with the real PowerShell engine in the place of the laboratory's interpreter.

The wire, the hosts and their programs are the laboratory's; parsing, binding, piping, errors and CLIXML are the
engine's. Once as an administrator in a session with a full language, once in a session without a language that has only
what the role jea_endpoint lists. On a server and on a client edition. Skipped where PSENGINE does not say where the
engine is.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from vsslab.lab import Lab

from .conftest import ROOT, integration, jea

pytestmark = pytest.mark.skipif("PSENGINE" not in os.environ, reason="PSENGINE does not say where the engine is")

HOSTS = ("sql01", "pc01")
TARGETS = sorted(p.name for p in (ROOT / "tests" / "integration" / "targets").iterdir())
WHAT = ROOT / "demo" / "what-to-back-up.yml"


@pytest.fixture(scope="module", params=["full", "jea"])
def fleet(request, tmp_path_factory):
    state = tmp_path_factory.mktemp(request.param)
    role = jea.render(state / "role") if request.param == "jea" else None
    plan = jea.office(state / "office.yml", HOSTS, role)
    options = {"engine": Path(os.environ["PSENGINE"]), "engine_language": "none" if role else "full"}
    with Lab.from_scenario(plan, state=state / "lab", trace=state / "trace.jsonl", **options) as lab:
        yield integration.Fleet(lab, state)
    refused = [line["what"] for line in integration.trace_lines(state) if line["event"] == "refused"]
    assert not refused, "the laboratory was asked for what it does not simulate"


@pytest.mark.parametrize("target", TARGETS)
def test_target(fleet, target):
    tasks = ROOT / "tests" / "integration" / "targets" / target / "tasks" / "main.yml"
    variables = {"umbra_volume": "D:", "umbra_source": "{{ backup_sources | last }}", "umbra_destination": r"E:\Target"}
    if fleet.host("sql01").endpoints.get("umbra-vss"):
        variables["ansible_psrp_configuration_name"] = "umbra-vss"
    include = [{"ansible.builtin.include_tasks": str(tasks)}]
    before = {host: fleet.ledger(host) for host in HOSTS}
    run = fleet.play("windows", include, "-i", str(WHAT), variables=variables, timeout=900)
    for host in fleet.lab.hosts.values():
        if host.files.exists(r"E:\Target"):
            shutil.rmtree(host.files.locate(r"E:\Target").real)
    assert run.code == 0, run.output
    left = {host: integration.differences(before[host], fleet.ledger(host)) for host in HOSTS}
    assert not any(left.values()), left
    answered = {host for host in HOSTS if fleet.lab.trace.events("engine", fleet.host(host).name)}
    assert answered == set(HOSTS), "the interpreter answered instead of the engine"
