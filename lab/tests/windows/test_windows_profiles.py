# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every edition of Windows is what its row says, and shows it where Windows shows it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from vsslab.windows.host import Host
from vsslab.windows.profile import language_of, profile_of, profiles

SERVERS = ("server2016", "server2019", "server2022", "server2025")


def test_every_release_is_there_in_its_editions() -> None:
    wanted = {f"{name}{edition}{core}{dc}" for name in SERVERS for edition in ("", "-datacenter")
              for core in ("", "-core") for dc in ("", "-dc")}  # fmt: skip
    wanted |= {f"windows{number}{edition}" for number in (10, 11) for edition in ("", "-enterprise", "-home")}
    assert set(profiles()) == wanted


@pytest.mark.parametrize(
    ("key", "build", "sku", "installation", "caption"),
    [
        ("server2016-core", "14393", 7, "Server Core", "Microsoft Windows Server 2016 Standard"),
        ("server2019-datacenter", "17763", 8, "Server", "Microsoft Windows Server 2019 Datacenter"),
        ("server2022", "20348", 7, "Server", "Microsoft Windows Server 2022 Standard"),
        ("server2025-datacenter-core", "26100", 8, "Server Core", "Microsoft Windows Server 2025 Datacenter"),
        ("windows10-enterprise", "19045", 4, "Client", "Microsoft Windows 10 Enterprise"),
        ("windows11-home", "26100", 101, "Client", "Microsoft Windows 11 Home"),
    ],
)
def test_a_profile_is_what_windows_says_of_itself(
    make_host: Callable[..., Host], key: str, build: str, sku: int, installation: str, caption: str
) -> None:
    host = make_host(profile=key)
    (shown,) = host.cim.instances(None, "Win32_OperatingSystem")
    assert (shown["BuildNumber"], shown["OperatingSystemSKU"], shown["Caption"]) == (build, sku, caption)
    assert host.profile.installation == installation
    assert shown["ProductType"] == (3 if key.startswith("server") else 1)


def test_only_servers_have_diskshadow_and_the_whole_of_vssadmin() -> None:
    for profile in profiles().values():
        assert profile.has_diskshadow is profile.server
        assert ("create shadow" in profile.vssadmin_verbs) is profile.server
        assert "list writers" in profile.vssadmin_verbs


def test_a_caption_is_in_the_language_of_the_host() -> None:
    assert profile_of("windows11").caption_in(language_of("fr-FR")) == "Microsoft Windows 11 Professionnel"
    assert profile_of("windows10-enterprise").caption_in(language_of("fr-FR")) == "Microsoft Windows 10 Entreprise"
    assert profile_of("server2022-dc").caption_in(language_of("es-ES")) == "Microsoft Windows Server 2022 Standard"


def test_a_domain_controller_has_a_domain(make_host: Callable[..., Host]) -> None:
    with pytest.raises(ValueError, match="needs a domain"):
        make_host(profile="server2022-dc")
    host = make_host(profile="server2022-dc", domain="corp.example")
    assert host.cim.instances(None, "Win32_OperatingSystem")[0]["ProductType"] == 2
    assert host.cim.instances(None, "Win32_ComputerSystem")[0]["DomainRole"] == 5


def test_an_unknown_profile_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"windows95.*server2022, .*-datacenter, -core, -dc, -enterprise, -home\.$"):
        profile_of("windows95")
