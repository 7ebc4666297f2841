# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restricted endpoints of a scenario, entered by an unmodified client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pypsrp.exceptions import AuthenticationError, WinRMError, WSManFaultError
from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.wsman import WSMan
from vsslab.lab import Lab
from vsslab.scenario import ScenarioError, load

PLAN = """\
name: jea
hosts:
  - name: srv
    users:
      - {name: boss, administrator: true, remote: true, password: Chef-2026}
      - {name: operator, remote: true, password: Sommer-2026}
      - {name: guest, password: Gast-2026}
    volumes: [{letter: C}]
    endpoints:
      - name: Umbra.Backup
        users: [operator, guest]
        role_file: ROLE
      - name: Umbra.Forgotten
        groups: [Remote Management Users]
        applied: false
        role: {VisibleCmdlets: [Get-Service]}
"""
ROLE = """@{
    GUID = '7f1f0d8c-1f5e-4f0a-9d8e-0a1b2c3d4e5f'
    VisibleCmdlets = 'Select-Object', @{
        Name = 'Get-Service'
        Parameters = @{ Name = 'Name'; ValidateSet = 'VSS', 'swprv' }
    }
    VisibleExternalCommands = 'C:\\Windows\\System32\\whoami.exe'
}
"""
PASSWORDS = {"boss": "Chef-2026", "operator": "Sommer-2026", "guest": "Gast-2026"}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("jea")
    (folder / "role.psrc").write_text(ROLE, encoding="utf-8")
    (folder / "jea.yml").write_text(PLAN.replace("ROLE", "role.psrc"), encoding="utf-8")
    with Lab.from_scenario(folder / "jea.yml", state=folder / "state") as running:
        yield running


def run(lab: Lab, user: str, configuration: str, *commands: tuple[str, dict[str, Any]]) -> PowerShell:
    wsman = WSMan(lab.addresses["srv"], port=lab.ports[0], ssl=False, auth="ntlm", encryption="always",
                  username=user, password=PASSWORDS[user])  # fmt: skip
    with wsman, RunspacePool(wsman, configuration_name=configuration) as pool:
        shell = PowerShell(pool)
        for name, parameters in commands:
            shell.add_cmdlet(name).add_parameters(parameters).add_statement()
        shell.invoke()
        return shell


def test_the_role_is_what_the_client_gets(lab: Lab) -> None:
    done = run(lab, "operator", "Umbra.Backup", ("Get-Service", {"Name": "VSS"}), ("whoami.exe", {}))
    assert not done.had_errors
    assert done.output[0].adapted_properties["ServiceName"] == "VSS"
    assert str(done.output[1]).startswith("winrm virtual users\\winrm va_")
    refused = run(lab, "operator", "Umbra.Backup", ("Get-Process", {}))
    assert refused.had_errors
    assert refused.streams.error[0].fq_error == "CommandNotFoundException"
    outside = run(lab, "operator", "Umbra.Backup", ("Get-Service", {"Name": "WinRM"}))
    assert outside.streams.error[0].fq_error == "ParameterArgumentValidationError,Get-Service"


def test_who_is_not_named_is_not_let_in(lab: Lab) -> None:
    with pytest.raises((WSManFaultError, WinRMError, AuthenticationError)) as caught:
        run(lab, "boss", "Umbra.Backup", ("Get-Service", {}))
    assert "5" in str(caught.value)
    assert not run(lab, "guest", "Umbra.Backup", ("Get-Service", {"Name": "VSS"})).had_errors
    with pytest.raises((WSManFaultError, WinRMError, AuthenticationError)):
        run(lab, "guest", "Microsoft.PowerShell", ("Get-Service", {"Name": "VSS"}))


def test_a_role_that_is_not_in_force_gives_everything(lab: Lab) -> None:
    assert not run(lab, "operator", "Umbra.Forgotten", ("Get-Process", {})).had_errors


def test_an_endpoint_that_there_is_not_is_told(lab: Lab) -> None:
    with pytest.raises((WSManFaultError, WinRMError)):
        run(lab, "boss", "Umbra.Nothing", ("Get-Process", {}))


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("{name: a, role: {FunctionDefinitions: [x]}}", "does not simulate functiondefinitions"),
        ("{name: a, role_file: /no/such/file.psrc}", "cannot be read"),
        ("{name: a, role: {VisibleCmdlets: [{Name: x, Parameter: y}]}}", "Name and Parameters"),
    ],
)
def test_what_cannot_be_is_refused_with_its_line(tmp_path: Any, entry: str, told: str) -> None:
    path = tmp_path / "wrong.yml"
    path.write_text(PLAN.partition("    endpoints:")[0] + f"    endpoints: [{entry}]\n", encoding="utf-8")
    with pytest.raises(ScenarioError, match=told) as caught:
        load(path)
    assert ":9:" in str(caught.value)
