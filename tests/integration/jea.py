# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role jea_endpoint lists, beside what laboratories traced that the modules sent.

Run as a program it tells the differences of the last integration run: python tests/integration/jea.py
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
ROLE = ROOT / "roles" / "jea_endpoint"
COMMON = {"ErrorAction", "WhatIf", "Confirm"}  # every command has them of its own; a role never lists them
# What a command that stands behind a pipe binds of what is piped, where it is not called InputObject.
PIPED = {"Get-FileHash": ("LiteralPath",), "New-Item": ("Name",)}
# Only who registers an endpoint sends this; such a session is an administrator's and no affair of the role.
REGISTERING = "Get-PSSessionConfiguration"


def listed() -> dict[str, Any]:
    """The role's one list: commands, programs, providers."""
    table = yaml.safe_load((ROLE / "vars" / "main.yml").read_text(encoding="utf-8"))
    return {name.removeprefix("__jea_endpoint_"): value for name, value in table.items()}


def sent(entries: Iterable[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any], bool]]:
    """Of traced lines: each command of the modules with its parameters, and whether something was piped to it."""
    pipelines = [entry for entry in entries if entry["event"] == "pipeline"]
    registering = {p["shell"] for p in pipelines if any(c["command"] == REGISTERING for c in p["statements"])}
    for pipeline in pipelines:
        if pipeline["shell"] in registering:
            continue
        before = None
        for command in pipeline["statements"]:
            yield command["command"], command["parameters"], command["statement"] == before
            before = command["statement"]


def render(folder: Path, groups: Sequence[str] = ("Remote Management Users",), **options: Any) -> Path:
    """Run the role; gives the role capability file, beside which lies the session configuration."""
    folder.mkdir(parents=True, exist_ok=True)
    given = {"jea_endpoint_folder": str(folder), "jea_endpoint_groups": [*groups], **options}
    book = folder / "render.yml"
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "roles": ["umbra.vss.jea_endpoint"]}
    book.write_text(yaml.safe_dump([{**play, "vars": given}]), encoding="utf-8")
    path = {"ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".build"), "ANSIBLE_HOME": str(ROOT / ".build" / "ansible")}
    call = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "localhost,", str(book)]
    done = subprocess.run(call, env={**os.environ, **path}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / f"{given.get('jea_endpoint_name', 'umbra-vss')}.psrc"


def office(path: Path, hosts: Sequence[str], role: Path | None) -> Path:
    """Write scenario `office` with these hosts only; role: they are entered over psrp, by a user who is no
    administrator, through an endpoint with this role capability."""
    text = resources.files("vsslab").joinpath("scenarios/office.yml").read_text(encoding="utf-8")
    plan = yaml.safe_load(text)
    plan["hosts"] = [host for host in plan["hosts"] if host["name"] in hosts]
    for host in plan["hosts"] if role is not None else ():
        host["endpoints"] = [{"name": "umbra-vss", "groups": ["Remote Management Users"], "role_file": str(role)}]
        host["connection"] |= {"plugin": "psrp", "user": "helpdesk"}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(plan, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return path


def _texts(value: Any) -> list[str]:
    """The elements that a ValidateSet or a ValidatePattern judges, as texts."""
    return [str(each) for each in (value if isinstance(value, list) else [value])]


def compare(calls: Iterable[tuple[str, dict[str, Any], bool]]) -> tuple[set[str], set[str]]:
    """What was sent and the role does not let through; what the role lists and nobody sent."""
    role = listed()
    commands = role["commands"]
    missing: set[str] = set()
    values: dict[tuple[str, str], set[str]] = defaultdict(set)
    seen: set[str] = set()
    for name, parameters, piped in calls:
        program = re.fullmatch(r"(?i)[A-Z]:\\[^\\]+\\System32\\([\w-]+\.exe)", name)
        seen.add(program[1].lower() if program else name)
        if program or name not in commands:
            continue
        given = {key: value for key, value in parameters.items() if key not in COMMON}
        for key in PIPED.get(name, ("InputObject",)) if piped else ():
            given.setdefault(key, [])
        for key, value in given.items():
            bound = commands[name]["parameters"].get(key, False)
            values[name, key] |= set(_texts(value))
            if bound is False:
                missing.add(f"{name} -{key}")
            elif isinstance(bound, str):
                missing |= {f"{name} -{key} {v}" for v in _texts(value) if not re.search(f"^({bound})$", v, re.I)}
            elif bound:
                missing |= {f"{name} -{key} {v}" for v in _texts(value) if v.lower() not in map(str.lower, bound)}
    known = {*commands, *role["programs"]}
    missing |= seen - known
    needless = known - seen
    for name, spec in commands.items():
        for key, bound in spec["parameters"].items():
            if name in seen and (name, key) not in values:
                needless.add(f"{name} -{key}")
            elif isinstance(bound, list) and (name, key) in values:
                needless |= {f"{name} -{key} {v}" for v in bound if v.lower() not in map(str.lower, values[name, key])}
    return missing, needless


def traced(work: Path) -> Iterator[dict[str, Any]]:
    """Every line that the laboratories of the last integration run traced."""
    for path in sorted(work.glob("*/traces/*.jsonl")):
        with path.open(encoding="utf-8") as lines:
            yield from map(json.loads, lines)


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if sys.argv[1:] else ROOT / ".build" / "tests"
    for title, found in zip(("not in the role", "never sent"), compare(sent(traced(folder))), strict=True):
        print(f"{title}: {len(found)}", *sorted(found), sep="\n    ")
