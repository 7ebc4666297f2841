# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What this collection ships may be cut in slices: no task asks for another host, or for how many there are.

A slice sees its own part of the inventory only. So a task that runs once runs once a slice, and facts of hosts in other
slices are not there. Tasks for localhost are, in each slice anew.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
# keywords that mean something else when there are fewer hosts
KEYWORDS = {"run_once", "serial", "throttle", "order", "any_errors_fatal", "max_fail_percentage", "delegate_facts"}
# keywords that are harmless with these values, which is also what they are by default
HARMLESS = {"delegate_to": {"localhost"}, "strategy": {"linear", "free", "host_pinned"}}
# what Ansible tells about other hosts (Special variables), and the lookup that lists them
OTHERS = re.compile(
    r"\b(hostvars|groups|play_hosts|ansible_play_hosts(_all)?|ansible_play_batch|ansible_limit|inventory_hostnames)\b"
)


def files():
    """Everything that is run or rendered in roles and playbooks."""
    found = [p for top in ("roles", "playbooks") for p in sorted((ROOT / top).rglob("*")) if p.is_file()]
    return [path for path in found if path.suffix in (".yml", ".j2") and path.parent.name != "meta"]


def mappings(data):
    """Every mapping in some YAML."""
    if isinstance(data, dict):
        yield data
    for each in data.values() if isinstance(data, dict) else data if isinstance(data, list) else ():
        yield from mappings(each)


def wrong(text, is_template=False):
    """What in a file would be another thing in a slice."""
    found = [hit.group() for hit in OTHERS.finditer(re.sub(r"(?m)^\s*#.*$", "", text))]
    for each in () if is_template else mappings(yaml.safe_load(text)):
        found += sorted(KEYWORDS & set(each))
        told = ((word, str(each[word])) for word in HARMLESS if word in each)
        found += [f"{word}: {value}" for word, value in told if value not in HARMLESS[word]]
    return found


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_slice_needs_no_other(path):
    assert not wrong(path.read_text(encoding="utf-8"), path.suffix == ".j2")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("- {debug: {msg: x}, run_once: true}", "run_once"),
        ("- {hosts: all, serial: 2, tasks: []}", "serial"),
        ("- {debug: {msg: x}, delegate_to: sql01}", "delegate_to: sql01"),
        ("- block: [{debug: {msg: x}, delegate_to: '{{ other }}'}]", "delegate_to: {{ other }}"),
        ("- {debug: {msg: '{{ hostvars[other].x }}'}}", "hostvars"),
        ("- {debug: {msg: '{{ groups.windows | length }}'}}", "groups"),
        ("- {hosts: all, strategy: mine.own, tasks: []}", "strategy: mine.own"),
    ],
)
def test_it_would_be_seen(text, what):
    assert wrong(text) == [what]


def test_there_is_something_to_look_at():
    assert {path.parts[len(ROOT.parts)] for path in files()} == {"roles", "playbooks"}


def test_the_plugins_ask_for_no_other_host_either():
    for path in sorted((ROOT / "plugins").rglob("*.py")):
        assert not re.search(r"\bhostvars\b|\bansible_play", path.read_text(encoding="utf-8")), path
