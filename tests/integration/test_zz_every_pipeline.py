# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Over every pipeline and program that this whole test run sent: typed, documented, and safe on Windows PowerShell 5.1.

This file is named to run last; it reads what the laboratory traced during all integration tests before it.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from importlib import resources
from pathlib import Path

import pytest

WORK = Path(__file__).resolve().parents[2] / ".build" / "tests"
COMMON = {
    "Verbose", "Debug", "ErrorAction", "WarningAction", "InformationAction", "ErrorVariable", "WarningVariable",
    "InformationVariable", "OutVariable", "OutBuffer", "PipelineVariable",
}  # fmt: skip
PROGRAMS = {
    "diskshadow.exe", "vssadmin.exe", "robocopy.exe", "whoami.exe", "icacls.exe", "cmd.exe", "mountvol.exe",
    "net.exe", "forfiles.exe", "schtasks.exe",
}  # fmt: skip
# What is asked of cmd: its switches, and how many paths follow them.
CMD = {
    "mklink": (["/d"], 2), "rmdir": ([], 1), "mkdir": ([], 1), "rd": (["/s", "/q"], 1), "del": (["/f", "/q"], 1),
    "move": (["/y"], 2), "ren": ([], 2),
    # for each file that forfiles finds, in a lease
    r"C:\Windows\System32\diskshadow.exe": (["/s"], 1), r"C:\Windows\System32\vssadmin.exe": (["delete", "shadows"], 2),
}  # fmt: skip


@pytest.fixture(scope="module")
def documented():
    text = resources.files("vsslab.engine").joinpath("data/cmdlets.json").read_text(encoding="utf-8")
    return json.loads(text)["cmdlets"]


@pytest.fixture(scope="module")
def commands():
    """Every command of every pipeline, as the laboratory received it."""
    found = []
    for path in sorted(WORK.glob("*/traces/*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            if entry["event"] == "pipeline":
                found += entry["statements"]
    if len(found) < 1000:
        pytest.fail(f"only {len(found)} commands were traced: run the integration tests together with this one")
    return found


def test_no_script_text(commands):
    assert not [c for c in commands if c["is_script"]]


def test_every_command_and_parameter_is_documented(commands, documented):
    unknown = Counter()
    for c in commands:
        if re.fullmatch(r"[A-Z]:\\[\w\\-]+\\System32\\\w+\.exe", c["command"]):
            continue
        spec = documented.get(c["command"])
        if spec is None:
            unknown[c["command"]] += 1
            continue
        allowed = {p["name"] for s in spec["sets"] for p in s["parameters"]} | COMMON
        unknown.update(f"{c['command']} -{p}" for p in c["parameters"] if p not in allowed)
    assert not unknown


def test_programs_are_called_by_full_path_with_arguments_that_5_1_keeps(commands):
    programs = [c for c in commands if c["command"].lower().endswith(".exe")]
    assert programs
    for c in programs:
        assert not c["parameters"]
        for argument in c["arguments"]:
            assert isinstance(argument, str)
            assert argument != "", c
            assert '"' not in argument, c
            assert not (re.search(r"\s", argument) and argument.endswith("\\")), c
            assert not re.search(r"[\x00-\x1f]", argument), c


def test_programs_were_started_by_pipelines_and_tasks_alone_with_safe_arguments():
    """Also those of scheduled tasks, whose argument line is the one place where tokens become text."""
    seen = set()
    for path in sorted(WORK.glob("*/traces/*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            assert not (entry["event"] == "http" and entry.get("operation") == "Command" and entry.get("cmd_shell"))
            if entry["event"] != "program":
                continue
            name, arguments = entry["program"].lower(), entry["argv"][1:]
            seen.add(name)
            assert name in PROGRAMS, entry
            assert not [a for a in arguments if not a or '"' in a or re.search(r"[\x00-\x1f]", a)], entry
            if name == "cmd.exe" and arguments[0] == "/c":  # by diskshadow's exec, in a restore with writers
                (script,) = arguments[1:]
                assert re.fullmatch(r"[A-Z]:\\Windows\\umbra-vss\\runs\\[0-9a-f]{32}\\restore\.cmd", script), entry
            elif name == "cmd.exe":
                switches, paths = CMD[arguments[2]]
                assert arguments[:2] == ["/d", "/c"], entry
                assert (arguments[3 : 3 + len(switches)], len(arguments)) == (switches, 3 + len(switches) + paths), (
                    entry
                )
    assert seen == PROGRAMS


def test_only_programs_take_bare_arguments(commands):
    bare = {c["command"] for c in commands if c["arguments"] and not c["command"].lower().endswith(".exe")}
    assert not bare
