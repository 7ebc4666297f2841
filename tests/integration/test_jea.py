# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that the role jea_endpoint renders, and the modules in the endpoint they make, used by no administrator."""

from __future__ import annotations

from pathlib import Path

import pytest
from vsslab.lab import Lab
from vsslab.windows import psdata
from vsslab.windows.endpoints import role_of

pytestmark = pytest.mark.slow

TARGETS = sorted(path.name for path in (Path(__file__).parent / "targets").iterdir())
ENTER = {"ansible_psrp_configuration_name": "umbra-vss"}


@pytest.fixture(scope="module")
def role(jea, tmp_path_factory):
    return jea.render(tmp_path_factory.mktemp("role"))


@pytest.fixture(scope="module")
def restricted(jea, fleet_of, role, work, tmp_path_factory):
    state = tmp_path_factory.mktemp("jea")
    plan = jea.office(state / "office.yml", ("sql01",), role)
    with Lab.from_scenario(plan, state=state / "lab", trace=work / "traces" / "jea.jsonl") as lab:
        yield fleet_of(lab, state)


def test_the_files_say_what_the_list_says(jea, role):
    table, listed = psdata.parse(role.read_text(encoding="utf-8")), jea.listed()
    made = role_of(table)
    bounded = {name: rules for name, rules in {**made.cmdlets, **made.functions}.items() if rules is not None}
    for name, spec in listed["commands"].items():
        kind = made.functions if spec.get("function") else made.cmdlets
        if spec.get("proxied"):
            full = f"{spec['module']}\\{name}"
            assert kind[full] is None
            assert made.defined[name.lower()] == full
        elif spec.get("whole"):
            assert kind[name] is None
        else:
            assert {rule.name for rule in bounded[name]} == {*spec["parameters"], *spec.get("apart", ())}
    assert len({**made.cmdlets, **made.functions}) == len(listed["commands"])
    assert made.external == tuple(f"C:\\Windows\\System32\\{name}" for name in listed["programs"])
    assert made.providers == tuple(listed["providers"])


def test_the_session_has_no_language_and_a_virtual_account_for_the_groups_that_were_told(jea, tmp_path):
    groups = ["LAB\\O'Neil", "BUILTIN\\Administrators"]
    path = jea.render(tmp_path, groups, jea_endpoint_transcripts="C:\\Transcripts")
    table = psdata.parse(path.with_suffix(".pssc").read_text(encoding="utf-8"))
    assert (table["SessionType"], table["LanguageMode"]) == ("RestrictedRemoteServer", "NoLanguage")
    assert table["RunAsVirtualAccount"] is True
    assert table["RoleDefinitions"] == {group: {"RoleCapabilities": "umbra-vss"} for group in groups}
    assert table["TranscriptDirectory"] == "C:\\Transcripts"


def test_without_bounds_the_commands_alone_are_listed(jea, tmp_path):
    made = role_of(psdata.parse(jea.render(tmp_path, jea_endpoint_bounds=False).read_text(encoding="utf-8")))
    assert not [rules for rules in (*made.cmdlets.values(), *made.functions.values()) if rules is not None]


@pytest.mark.parametrize("target", TARGETS)
def test_target(jea, restricted, target):
    """Every target, entered by a user who is no administrator."""
    tasks = jea.ROOT / "tests" / "integration" / "targets" / target / "tasks" / "main.yml"
    names = {"umbra_volume": "D:", "umbra_source": r"D:\Shares", "umbra_destination": r"E:\Target", **ENTER}
    run = restricted.play("sql01", [{"ansible.builtin.include_tasks": str(tasks)}], variables=names)
    assert run.code == 0, run.output
