# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three implementations of the client side, written by three people, hear the same from a host."""

from __future__ import annotations

import re

import pytest
from pypsrp.shell import Process, WinRS
from pypsrp.wsman import WSMan
from winrm.protocol import Protocol

from .drivers import ask_go

pytestmark = pytest.mark.slow

UTF8 = 65001
COMMANDS = (
    "whoami /user",
    "vssadmin list providers",
    "vssadmin list volumes",
    "cmd /c echo Größe & echo second line",
    "cmd /c exit 3",
    "diskshadow /?",
    "no-such-program-anywhere",
)


@pytest.fixture(scope="module")
def target(targets):
    return targets["strict"]


def by_pypsrp(target, commands):
    wsman = WSMan(target.address, username=target.user, password=target.passwords["right"], ssl=True, auth="ntlm",
                  cert_validation=str(target.ca), no_proxy=True)  # fmt: skip
    with wsman, WinRS(wsman, codepage=UTF8) as shell:
        for command in commands:
            process = Process(shell, command)
            process.invoke()
            yield process.stdout.decode(), process.stderr.decode(), process.rc


def by_pywinrm(target, commands):
    protocol = Protocol(f"https://{target.address}:{target.ports['https']}/wsman", "basic", target.user,
                        target.passwords["right"], ca_trust_path=str(target.ca), proxy=None)  # fmt: skip
    shell = protocol.open_shell(codepage=UTF8)
    for command in commands:
        running = protocol.run_command(shell, command)
        out, err, code = protocol.get_command_output(shell, running)
        protocol.cleanup_command(shell, running)
        yield out.decode(), err.decode(), code
    protocol.close_shell(shell)


def by_go(program, target, commands):
    asked = {
        "Address": target.address, "Port": target.ports["https"], "HTTPS": True, "Auth": "ntlm", "User": target.user,
        "Password": target.passwords["right"], "CA": str(target.ca), "Commands": list(commands),
    }  # fmt: skip
    for each in ask_go(program, asked):
        assert not each["error"], each
        yield each["out"], each["err"], each["code"]


def _timeless(answer):
    """The answer without the moment at which diskshadow was started."""
    out, err, code = answer
    return re.sub(r"(?m)(?<=,  )\d+/\d+/\d{4} [\d:]+ [AP]M$", "(now)", out.replace("\r\n", "\n")), err, code


def test_three_clients_hear_the_same(target, go_client):
    answers = {
        "pypsrp": list(by_pypsrp(target, COMMANDS)),
        "pywinrm": list(by_pywinrm(target, COMMANDS)),
        "go": list(by_go(go_client, target, COMMANDS)),
    }
    for number, command in enumerate(COMMANDS):
        heard = {client: _timeless(told[number]) for client, told in answers.items()}
        assert heard["pypsrp"] == heard["pywinrm"] == heard["go"], command
    told = dict(zip(COMMANDS, answers["go"], strict=True))
    assert "client01\\administrator" in told["whoami /user"][0]
    assert "Größe" in told["cmd /c echo Größe & echo second line"][0]
    assert told["cmd /c exit 3"][2] == 3
    assert "no-such-program-anywhere" in told["no-such-program-anywhere"][1]


def test_what_a_client_writes_reaches_the_program(target):
    protocol = Protocol(f"https://{target.address}:{target.ports['https']}/wsman", "basic", target.user,
                        target.passwords["right"], ca_trust_path=str(target.ca), proxy=None)  # fmt: skip
    shell = protocol.open_shell(codepage=UTF8)
    running = protocol.run_command(shell, "diskshadow", console_mode_stdin=False)
    protocol.send_command_input(shell, running, "list providers\r\n")
    protocol.send_command_input(shell, running, "exit\r\n", end=True)
    out, err, code = protocol.get_command_output(shell, running)
    protocol.cleanup_command(shell, running)
    protocol.close_shell(shell)
    assert (err, code) == (b"", 0)
    assert re.search(rb"\* ProviderID: \{b5946137-7b9f-4925-af80-51abd60b20d5\}", out, re.IGNORECASE)
