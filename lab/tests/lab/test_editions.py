# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The scenario `editions`: what it promises is there, as an unmodified client sees it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.wsman import WSMan
from vsslab import scenario
from vsslab.addresses import free_ports
from vsslab.lab import Lab


@pytest.fixture(scope="module")
def lab(tmp_path_factory) -> Iterator[Lab]:
    ports = free_ports(2)
    with Lab.from_scenario("editions", state=tmp_path_factory.mktemp("editions"), ports=(ports[0], ports[1])) as lab:
        yield lab


def run(lab: Lab, host: str, command: str, *, user: str = "", endpoint: str = "Microsoft.PowerShell", **words: Any):
    """The objects that one command answers, and the ids of its errors."""
    name = user or next(each for each in lab.scenario.hosts if each.name == host).user.name
    wsman = WSMan(lab.addresses[host], port=lab.ports[0], ssl=False, auth="ntlm", username=name,
                  password=lab.passwords[host, name], reconnection_retries=0)  # fmt: skip
    with wsman, RunspacePool(wsman, configuration_name=endpoint) as pool:
        shell = PowerShell(pool)
        shell.add_cmdlet(command).add_parameters(words)
        return shell.invoke(), [each.fq_error for each in shell.streams.error]


def program(lab: Lab, host: str, name: str, *arguments: str) -> list[str]:
    """The lines that a program writes."""
    user = next(each for each in lab.scenario.hosts if each.name == host).user.name
    wsman = WSMan(lab.addresses[host], port=lab.ports[0], ssl=False, auth="ntlm", username=user,
                  password=lab.passwords[host, user], reconnection_retries=0)  # fmt: skip
    with wsman, RunspacePool(wsman) as pool:
        shell = PowerShell(pool)
        shell.add_cmdlet(name)
        for each in arguments:
            shell.add_argument(each)
        lines = [str(each) for each in shell.invoke()]
        assert not shell.streams.error, shell.streams.error
        return lines


def cim(lab: Lab, host: str, name: str) -> list[dict[str, Any]]:
    return [each.adapted_properties for each in run(lab, host, "Get-CimInstance", ClassName=name)[0]]


def test_every_release_and_language_is_there():
    hosts = scenario.load("editions").hosts
    releases = {each.profile.partition("-")[0] for each in hosts}
    assert releases == {"server2016", "server2019", "server2022", "server2025", "windows10", "windows11"}
    assert {each.language for each in hosts} == {"en-US", "de-DE", "fr-FR", "es-ES"}


@pytest.mark.parametrize("host", [each.name for each in scenario.load("editions").hosts])
def test_every_host_tells_its_edition(lab, host):
    (system,) = cim(lab, host, "Win32_OperatingSystem")
    clients = {"pc10", "pc11"}
    assert system["ProductType"] == (1 if host in clients else 2 if host == "dc22" else 3)
    assert system["CSName"] == host.upper()


def test_volumes_of_every_kind(lab):
    found = {each["Label"]: each for each in cim(lab, "core16", "Win32_Volume")}
    assert (found["Archive"]["DriveLetter"], found["Archive"]["Name"]) == (None, "D:\\Archive\\")
    assert found["Nameless"]["Name"].startswith("\\\\?\\Volume{")
    systems = {each["DriveLetter"]: each["FileSystem"] for each in cim(lab, "ref19", "Win32_Volume")}
    assert systems == {"C:": "NTFS", "D:": "NTFS", "R:": "ReFS", "F:": "FAT32", "U:": "exFAT"}


def create(lab: Lab, host: str, volume: str) -> int:
    answer, _ = run(lab, host, "Invoke-CimMethod", ClassName="Win32_ShadowCopy", MethodName="Create",
                    Arguments={"Volume": volume, "Context": "ClientAccessible"})  # fmt: skip
    return answer[0].adapted_properties["ReturnValue"]


def test_what_can_be_copied_is_and_what_cannot_is_refused(lab):
    assert create(lab, "ref19", "R:\\") == 0
    assert create(lab, "core16", "D:\\Archive\\") == 0
    assert create(lab, "ref19", "F:\\") != 0
    assert len(lab.hosts["ref19"].vss.shadows) == 1


def test_providers_shares_services_and_a_tape(lab):
    assert "Array" in {each["Name"] for each in cim(lab, "core16", "Win32_ShadowProvider")}
    shares, _ = run(lab, "files22", "Get-SmbShare", Name="Partage")
    assert shares[0].adapted_properties["Path"] == "D:\\Data"
    _, errors = run(lab, "files22", "Stop-Service", Name="Store")
    assert len(errors) == 1, "a service that another one needs does not stop without -Force"


def test_a_tape_takes_an_archive(lab):
    tape = "\\\\.\\tape0"
    program(lab, "files22", "tar.exe", "-cf", tape, "-C", "D:\\", "Data")
    written = (lab.hosts["files22"].root / "tapes" / "tape0.tap").stat().st_size
    assert written > 30 * 512, "a header of 512 bytes for each file"


def test_a_role_that_is_applied_and_one_that_is_not(lab):
    applied = {"user": "helpdesk", "endpoint": "Backup.Operator"}
    assert len(run(lab, "jea25", "Get-Service", Name="VSS", **applied)[0]) == 1
    assert run(lab, "jea25", "Get-Process", **applied) == ([], ["CommandNotFoundException"])
    assert run(lab, "jea25", "Get-Process", user="helpdesk", endpoint="Backup.Forgotten")[0]
