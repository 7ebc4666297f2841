# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The clients, each unmodified: connect as a row of the matrix says, run whoami, give the account it names."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pypsrp.exceptions
import pytest
import requests
import requests_credssp.exceptions
import winrm.exceptions
import yaml
from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.shell import Process, WinRS
from pypsrp.wsman import WSMan
from winrm.protocol import Protocol

from .row import Row

HERE = Path(__file__).parent
TIMEOUT = 60
MUTUAL = "Authorization: http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual"
IDENTIFY = """<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"
 xmlns:i="http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd"><s:Header/>
 <s:Body><i:Identify/></s:Body></s:Envelope>"""


class RefusedError(Exception):
    """The client was refused, or refused itself; the text is the client's own."""


@dataclass(frozen=True)
class Target:
    """A host on the wire, and one account on it."""

    address: str
    ports: Mapping[str, int]
    ca: Path
    user: str
    passwords: Mapping[str, str]  # right and wrong
    cert: Path
    key: Path

    def url(self, row: Row) -> str:
        return f"{row.scheme}://{self.address}:{self.ports[row.scheme]}/wsman"


def _wsman(row: Row, target: Target) -> WSMan:
    more = {}
    if row.auth == "certificate":
        more = {"certificate_pem": str(target.cert), "certificate_key_pem": str(target.key)}
    return WSMan(
        target.address,
        port=target.ports[row.scheme],
        username=target.user,
        password=target.passwords[row.password],
        ssl=row.scheme == "https",
        auth=row.auth,
        encryption=row.encryption,
        cert_validation=str(target.ca),
        no_proxy=True,
        connection_timeout=TIMEOUT,
        **more,
    )


def pypsrp_powershell(row: Row, target: Target) -> str:
    wsman = _wsman(row, target)
    with wsman, RunspacePool(wsman) as pool:
        shell = PowerShell(pool)
        shell.add_cmdlet("whoami.exe")
        output = shell.invoke()
        assert not shell.had_errors, shell.streams.error
        return str(output[0])


def pypsrp_cmd(row: Row, target: Target) -> str:
    wsman = _wsman(row, target)
    with wsman, WinRS(wsman) as shell:
        process = Process(shell, "whoami")
        process.invoke()
        assert process.rc == 0, process.stderr
        return process.stdout.decode().strip()


def pywinrm(row: Row, target: Target) -> str:
    protocol = Protocol(
        endpoint=target.url(row),
        transport=row.auth,
        username=target.user,
        password=target.passwords[row.password],
        server_cert_validation="validate",
        ca_trust_path=str(target.ca),
        cert_pem=str(target.cert) if row.auth == "certificate" else None,
        cert_key_pem=str(target.key) if row.auth == "certificate" else None,
        message_encryption=row.encryption,
        proxy=None,
    )
    shell = protocol.open_shell()
    try:
        command = protocol.run_command(shell, "whoami")
        out, err, code = protocol.get_command_output(shell, command)
        protocol.cleanup_command(shell, command)
        assert code == 0, err
        return out.decode().strip()
    finally:
        protocol.close_shell(shell)


def go(row: Row, target: Target, program: Path) -> str:
    asked = {
        "Address": target.address,
        "Port": target.ports[row.scheme],
        "HTTPS": row.scheme == "https",
        "Auth": row.auth,
        "User": target.user,
        "Password": target.passwords[row.password],
        "CA": str(target.ca),
        "Cert": str(target.cert) if row.auth == "certificate" else "",
        "Key": str(target.key) if row.auth == "certificate" else "",
        "Commands": ["whoami"],
    }
    (answer,) = ask_go(program, asked)
    if answer["error"]:
        raise RefusedError(answer["error"])
    assert answer["code"] == 0, answer
    return str(answer["out"]).strip()


def ask_go(program: Path, asked: Mapping[str, object]) -> list[dict[str, object]]:
    """What our program over masterzen/winrm answers to one request."""
    done = subprocess.run([program], input=json.dumps(asked), capture_output=True, text=True, check=True,
                          timeout=TIMEOUT, env={"NO_PROXY": "*"})  # fmt: skip
    return json.loads(done.stdout)


def curl(row: Row, target: Target, program: str) -> str:
    """Identify: curl has no more of WS-Management, but authentications of its own."""
    how = {
        "none": ["--header", "WSMANIDENTIFY: unauthenticated"],
        "certificate": ["--cert", str(target.cert), "--key", str(target.key), "--header", MUTUAL],
    }.get(row.auth)
    config = f'user = "{target.user}:{target.passwords[row.password]}"\n' if how is None else ""
    if row.auth == "negotiate":
        config = 'user = ":"\n'  # the account of a Kerberos ticket
    command = [
        program, "--silent", "--show-error", "--verbose", "--noproxy", "*", "--config", "-", "--cacert", str(target.ca),
        *(how or [f"--{row.auth}"]), "--header", "Content-Type: application/soap+xml;charset=UTF-8",
        "--data", IDENTIFY, "--write-out", "\n%{http_code}", "--max-time", str(TIMEOUT), target.url(row),
    ]  # fmt: skip
    done = subprocess.run(command, input=config, capture_output=True, text=True, check=False, timeout=TIMEOUT + 5)
    body, _, status = done.stdout.rpartition("\n")
    if done.returncode or status != "200":
        told = [line[2:] for line in done.stderr.splitlines() if line.startswith(("curl:", "* gss_", "* SPNEGO"))]
        raise RefusedError(" ".join([f"HTTP {status}", *told]))
    assert "IdentifyResponse" in body
    return "identified"


def ansible_all(rows: list[Row], targets: Mapping[str, Target], work: Path) -> dict[Row, str | RefusedError]:
    """One process of ansible for every row, an inventory host each."""
    program = Path(sys.executable).parent / "ansible"
    if not program.exists():
        pytest.skip(f"ansible-core is not installed beside {sys.executable}.")
    names = {f"row{number:02}": row for number, row in enumerate(rows)}
    inventory = work / "inventory.yml"
    hosts = {name: _variables(row, targets[row.service]) for name, row in names.items()}
    inventory.touch(mode=0o600)
    inventory.write_text(yaml.safe_dump({"all": {"hosts": hosts}}), encoding="utf-8")
    results, config = work / "results", work / "ansible.cfg"
    config.write_text("[defaults]\n", encoding="utf-8")  # nothing of the user's settings counts
    command = [program, "all", "-i", inventory, "-m", "wire_user", "--tree", results, "--forks", "2"]
    done = subprocess.run(
        command,
        env={
            "PATH": f"{program.parent}:/usr/bin:/bin",
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_HOME": str(work / "home"),
            "ANSIBLE_CONFIG": str(config),
            "ANSIBLE_ACTION_PLUGINS": str(HERE / "ansible" / "action"),
            "no_proxy": "*",
        },
        cwd=work,
        capture_output=True,
        text=True,
        check=False,
        timeout=10 * TIMEOUT,
    )
    answers: dict[Row, str | RefusedError] = {}
    for name, row in names.items():
        path = results / name
        assert path.exists(), f"ansible has nothing to say of {row}: {done.stdout[-2000:]} {done.stderr[-2000:]}"
        told = json.loads(path.read_text(encoding="utf-8"))
        answers[row] = told["user"] if "user" in told else RefusedError(told["msg"])
    return answers


def _variables(row: Row, target: Target) -> dict[str, object]:
    """The inventory's variables, as a user would write them."""
    plugin = row.client.split()[1]
    found: dict[str, object] = {
        "ansible_connection": plugin,
        "ansible_host": target.address,
        "ansible_port": target.ports[row.scheme],
        "ansible_user": target.user,
        "ansible_password": target.passwords[row.password],
    }
    if plugin == "psrp":
        found |= {
            "ansible_psrp_protocol": row.scheme,
            "ansible_psrp_auth": row.auth,
            "ansible_psrp_message_encryption": row.encryption,
            "ansible_psrp_ca_cert": str(target.ca),
            "ansible_psrp_ignore_proxy": True,
            "ansible_psrp_connection_timeout": TIMEOUT,
        }
    else:
        found |= {
            "ansible_winrm_scheme": row.scheme,
            "ansible_winrm_transport": row.auth,
            "ansible_winrm_message_encryption": row.encryption,
            "ansible_winrm_ca_trust_path": str(target.ca),
        }
    if row.auth == "certificate":
        found |= {
            f"ansible_{plugin}_{'certificate_pem' if plugin == 'psrp' else 'cert_pem'}": str(target.cert),
            f"ansible_{plugin}_{'certificate_key_pem' if plugin == 'psrp' else 'cert_key_pem'}": str(target.key),
        }
    return found


IN_PROCESS: Mapping[str, Callable[[Row, Target], str]] = {
    "pypsrp PowerShell": pypsrp_powershell,
    "pypsrp cmd": pypsrp_cmd,
    "pywinrm": pywinrm,
}
# What a client raises when it is refused, or refuses itself.
REFUSALS = (
    RefusedError,
    requests.RequestException,
    requests_credssp.exceptions.AuthenticationException,
    requests_credssp.exceptions.NTStatusException,
    pypsrp.exceptions.AuthenticationError,
    pypsrp.exceptions.WinRMError,
    winrm.exceptions.WinRMError,
    winrm.exceptions.WinRMTransportError,
    ImportError,
    ValueError,
)
