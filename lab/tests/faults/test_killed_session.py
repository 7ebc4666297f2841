# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A remote session lives in a process of its own, wsmprovhost.exe: whoever kills it ends the session."""

from __future__ import annotations

import pytest
from pypsrp.exceptions import WSManFaultError

from .conftest import until

UNKNOWN_SHELL = 2150858843
ABORTED = 995


def sessions(client):
    return [each for each in client.host.processes.list() if each.name == "wsmprovhost.exe"]


def test_each_session_has_its_process_while_it_lasts(client):
    with client.session():
        (process,) = sessions(client)
        assert process.user.name == "Administrator"
    until(lambda: not sessions(client))


def test_killed_it_ends_where_it_is_and_is_unknown_from_then_on(client):
    on = {"kind": "command", "command": "Set-Content"}
    client.lab.faults.add({"on": on, "do": {"kill": "wsmprovhost.exe"}})
    with pytest.raises(WSManFaultError) as lost, client.session():
        client.run("Set-Content", LiteralPath="C:\\made.txt", Value="x")
    assert lost.value.code in (ABORTED, UNKNOWN_SHELL)
    until(lambda: client.lab.wire.shells(client.lab.addresses["srv"]) == 0)
    assert not client.host.files.exists("C:\\made.txt"), "nothing runs after the kill, not even the command itself"
    assert not sessions(client)
    assert client.run("Get-TimeZone").errors == [], "the host goes on"


def test_what_it_has_started_ends_with_it(client):
    on = {"kind": "program", "program": "whoami.exe"}
    client.lab.faults.add({"on": on, "do": {"kill": "wsmprovhost.exe", "delay": "10ms"}})
    with pytest.raises(WSManFaultError), client.session():
        client.run("whoami.exe", "/user")
    until(lambda: not [each for each in client.host.processes.list() if each.name == "whoami.exe"])
