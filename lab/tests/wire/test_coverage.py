# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the wire says it covers is what it has."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from importlib import resources

import pytest
import yaml
from vsslab import scenario
from vsslab.wire import psrp, shells
from vsslab.wire.auth import ConnectionAuth
from vsslab.wire.operations import Endpoint
from vsslab.wire.settings import Settings

from .conftest import ToyRunspace, toy_host

SCENARIO = (
    "name: x\nhosts:\n- name: a\n  authentication: [%s]\n  volumes: [{letter: C}]\n"
    "  users:\n  - {name: u, administrator: true}\n  - {name: v, disabled: true}\n"
)
_TIMING_AND_FORM = {"coalesce", "keepalive", "max_operation_timeout", "fragment", "backlog", "stop_patience",
                    "authentication", "allow_unencrypted", "cbt"}  # fmt: skip


@pytest.fixture(scope="module")
def told():
    rows = yaml.safe_load(resources.files("vsslab.wire").joinpath("data/coverage.yml").read_text("utf-8"))
    assert all(row["source"] in ("documented", "recorded", "assumed") and row["note"] for row in rows)
    found = defaultdict(list)
    for row in rows:
        found[row["area"]].append(row["name"])
    return found


def test_operations(told):
    has = Endpoint(toy_host(), Settings(), ToyRunspace, lambda host: {})._operations
    assert sorted(told["operations"]) == sorted([*has, "Identify"])


def test_signals(told):
    has = {each.removeprefix(f"{shells.SIGNAL}/") for each in (*shells.STOPPING, shells.TERMINATE)}
    assert sorted(told["signals"]) == sorted(has)


def test_quotas(told):
    names = {each.name for each in dataclasses.fields(Settings)}
    assert sorted(told["quotas"]) == sorted(names - _TIMING_AND_FORM)


def test_messages(told):
    has = {kind.name for kinds in psrp._ALLOWED.values() for kind in kinds}
    assert sorted(told["messages"]) == sorted(has)


def test_authentication(told):
    """Every way has its entry, can be asked for in a scenario, and then is the only one that is offered."""
    ways = {"basic": 'Basic realm="WSMAN"', "negotiate": "Negotiate", "credssp": "CredSSP", "certificate": None}
    assert set(ways) <= set(told["authentication"])
    for way, offer in ways.items():
        host = scenario.read(SCENARIO % way, "test").hosts[0]
        assert host.authentication == (way,)
        assert [user.disabled for user in host.users] == [False, True]
        toy = toy_host()
        toy.authentication = frozenset(host.authentication)
        offers = [value for _, value in ConnectionAuth(toy, secure=True).check(None).headers]
        assert offers == ([offer] if offer else [])
    with pytest.raises(scenario.ScenarioError, match="kerberos"):
        scenario.read(SCENARIO % "kerberos", "test")
