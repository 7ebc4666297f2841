# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role jea_endpoint lists what the modules sent in this whole test run: nothing is missing, nothing is more.

This file is named to run last, after everything that it reads the traces of.
"""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import pytest

WORK = Path(__file__).resolve().parents[2] / ".build" / "tests"


@pytest.fixture(scope="module")
def differences(jea):
    calls = list(jea.sent(jea.traced(WORK)))
    if len(calls) < 1000:
        pytest.fail(f"only {len(calls)} commands were traced: run the integration tests together with this one")
    return jea.compare(calls)


def test_nothing_that_is_sent_is_missing_from_the_role(differences):
    assert differences[0] == set()


def test_nothing_stands_in_the_role_that_is_never_sent(differences):
    assert differences[1] == set()


def test_modules_and_kinds_are_the_documented_ones(jea):
    text = resources.files("vsslab.engine").joinpath("data/cmdlets.json").read_text(encoding="utf-8")
    documented = json.loads(text)["cmdlets"]
    functions = {"ScheduledTasks", "SmbShare", "Storage"}  # made of CDXML
    for name, spec in jea.listed()["commands"].items():
        known = documented[name]
        assert spec["module"] == known["module"], name
        assert spec.get("function", False) == (known["module"] in functions or name == "Get-FileHash"), name
        parameters = {each["name"] for one in known["sets"] for each in one["parameters"]}
        assert {*spec["parameters"], *spec.get("apart", ())} <= parameters - jea.COMMON, name
