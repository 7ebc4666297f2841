# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unmodified clients, with every authentication each of them has, in the order of matrix.yml."""

from __future__ import annotations

import importlib
import inspect
import re
from typing import get_args

import pytest
import yaml
from pypsrp.wsman import SUPPORTED_AUTHS
from winrm import FEATURE_SUPPORTED_AUTHTYPES
from winrm.transport import Transport

from . import drivers
from .row import Row, rows

pytestmark = pytest.mark.slow

ROWS = rows()
ANSIBLE = [each for each in ROWS if each.client.startswith("ansible ")]


@pytest.fixture(scope="session")
def by_ansible(targets, tmp_path_factory):
    """One process of ansible answers for all its rows."""
    return drivers.ansible_all(ANSIBLE, targets, tmp_path_factory.mktemp("ansible"))


def connect(row, request) -> str:
    target = request.getfixturevalue("targets")[row.service]
    if row.client.startswith("ansible "):
        answer = request.getfixturevalue("by_ansible")[row]
        if isinstance(answer, Exception):
            raise answer
        return answer
    if row.client == "go":
        return drivers.go(row, target, request.getfixturevalue("go_client"))
    if row.client == "curl":
        return drivers.curl(row, target, request.getfixturevalue("curl"))
    return drivers.IN_PROCESS[row.client](row, target)


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_the_client_is_let_in_or_refused_as_windows_would(row: Row, request, record_property):
    try:
        user, words = connect(row, request), ""
    except drivers.REFUSALS as error:
        user, words = "", " ".join(str(error).split())
    told = f"works, as {user}" if user else f"refused: {words[:90]}"
    record_property(
        "client matrix", [row.client, row.scheme, row.auth, row.encryption, row.service, row.password, told]
    )
    if row.works:
        assert user.lower() in ("client01\\administrator", "identified"), words
    else:
        assert not user
        assert re.search(row.words, words, re.IGNORECASE), words


def test_no_row_is_there_twice():
    keys = [str(each) for each in ROWS]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_every_authentication_that_a_client_has_is_in_the_matrix(scheme):
    transports = set(
        get_args(inspect.signature(Transport.__init__, eval_str=True).parameters["auth_method"].annotation)
    )
    has = {
        "pypsrp PowerShell": set(SUPPORTED_AUTHS),
        "pypsrp cmd": set(SUPPORTED_AUTHS),
        "ansible psrp": set(_choices("psrp", "auth")),
        "pywinrm": transports - {"auto"},
        "ansible winrm": set(FEATURE_SUPPORTED_AUTHTYPES),
        "go": {"basic", "ntlm", "certificate"},
        "curl": {"none", "basic", "ntlm", "negotiate"},
    }
    for client, authentications in has.items():
        tried = {each.auth for each in ROWS if each.client == client and each.scheme == scheme}
        assert authentications <= tried, f"{client} over {scheme} is not tried with {authentications - tried}"


def _choices(plugin: str, option: str) -> list[str]:
    module = importlib.import_module(f"ansible.plugins.connection.{plugin}")
    return yaml.safe_load(module.DOCUMENTATION)["options"][option]["choices"]
