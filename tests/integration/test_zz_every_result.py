# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Over every result of this whole test run: what comes back is documented, and what is documented comes back.

This file is named to run last; it reads what the playbooks of all integration tests before it have come to.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FILES = (ROOT / "plugins" / "modules").glob("*.yml")
RETURNS = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8"))["RETURN"] for path in FILES}
TYPES = {"str": str, "int": int, "float": (int, float), "bool": bool, "list": list, "dict": dict}
# What Ansible adds to every result.
ANSIBLES = {
    "changed", "failed", "msg", "warnings", "deprecations", "invocation", "diff", "exception", "attempts",
    "failed_when_result", "failed_when_suppressed_exception", "unreachable", "timedout",
}  # fmt: skip
WIRE = {"wire"}  # with -vv, from every action
COMMAND = {"error", "exit_code", "output_lines"}  # what a command of the host said that failed, from every action


def answers() -> Iterator[tuple[str, bool, dict[str, Any]]]:
    """Module, whether it succeeded, and result, of every task of ours that was not skipped and is no loop."""
    for path in sorted((ROOT / ".build" / "tests").glob("**/*.results")):
        for line in path.read_text(encoding="utf-8").splitlines():
            told = json.loads(line)
            space, _dot, module = told["action"].rpartition(".")
            result = told["result"]
            if space == "umbra.vss" and not result.get("skipped") and "results" not in result:
                well = told["status"] == "ok" and not result.get("failed") and "failed_when_result" not in result
                yield module, well, result


@pytest.fixture(scope="module")
def results():
    found = list(answers())
    if len(found) < 500:
        pytest.fail(f"only {len(found)} results are there: run the integration tests together with this one")
    return found


def wrong(where: str, told: dict[str, Any], value: Any) -> Iterator[str]:
    """How a value differs from what is documented of it."""
    if value is None:
        return
    right = isinstance(value, TYPES[told["type"]]) and not (told["type"] in ("int", "float") and value is True)
    if not right:
        yield f"{where} is no {told['type']}, but {type(value).__name__}"
        return
    parts = told.get("contains")
    for each in (value if isinstance(value, list) else [value]) if parts else []:
        yield from (f"{where}.{name} is not documented" for name in each.keys() - parts.keys())
        always = {name for name in parts if "returned" not in parts[name]}
        yield from (f"{where}.{name} is missing" for name in always - each.keys())
        for name in each.keys() & parts.keys():
            yield from wrong(f"{where}.{name}", parts[name], each[name])


@pytest.mark.parametrize("module", sorted(RETURNS))
def test_what_comes_back_is_documented(results, module):
    documented = RETURNS[module]
    found = set()
    for name, well, result in results:
        if name != module:
            continue
        known = documented.keys() | ANSIBLES | WIRE | (set() if well else COMMAND)
        found |= {f"{key} is not documented" for key in result.keys() - known if not key.startswith("_ansible")}
        for key in result.keys() & documented.keys():
            found |= set(wrong(key, documented[key], result[key]))
    assert sorted(found) == []


@pytest.mark.parametrize("module", sorted(RETURNS))
def test_what_is_documented_comes_back(results, module):
    documented = RETURNS[module]
    always = {key for key in documented if documented[key]["returned"] == "always"}
    success = always | {key for key in documented if documented[key]["returned"].split(",")[0] == "success"}
    success -= {key for key in documented if "except" in documented[key]["returned"]}
    mine = [(well, result) for name, well, result in results if name == module]
    missing = {key for well, result in mine for key in (success if well else always) - result.keys()}
    assert sorted(missing) == []
    seen = {key for _well, result in mine for key in result}
    assert sorted(documented.keys() - seen) == [], "no test has ever seen this"
