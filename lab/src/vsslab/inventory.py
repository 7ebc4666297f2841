# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory that lets Ansible find the hosts: what anyone would write for Windows hosts, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True)
class Entry:
    """One host as Ansible has to know it."""

    name: str
    address: str
    plugin: str
    scheme: str
    auth: str
    port: int
    user: str
    password: str
    ca: Path


def build(entries: Sequence[Entry]) -> dict[str, Any]:
    """The inventory as data: group `windows`, and in it `windows_psrp` and `windows_winrm`."""
    groups: dict[str, Any] = {}
    for plugin in ("psrp", "winrm"):
        members = {each.name: _PLUGINS[plugin](each) for each in entries if each.plugin == plugin}
        if members:
            groups[f"windows_{plugin}"] = {"vars": {"ansible_connection": plugin}, "hosts": members}
    return {"all": {"children": {"windows": {"children": groups}}}}


def _common(entry: Entry) -> dict[str, Any]:
    return {
        "ansible_host": entry.address,
        "ansible_port": entry.port,
        "ansible_user": entry.user,
        "ansible_password": entry.password,
    }


def _psrp(entry: Entry) -> dict[str, Any]:
    values = _common(entry) | {"ansible_psrp_protocol": entry.scheme, "ansible_psrp_auth": entry.auth}
    if entry.scheme == "https":
        return values | {"ansible_psrp_cert_validation": "validate", "ansible_psrp_ca_cert": str(entry.ca)}
    return values | {"ansible_psrp_message_encryption": "always"}


def _winrm(entry: Entry) -> dict[str, Any]:
    transport = "ntlm" if entry.auth == "negotiate" else entry.auth
    values = _common(entry) | {"ansible_winrm_scheme": entry.scheme, "ansible_winrm_transport": transport}
    if entry.scheme == "https":
        return values | {
            "ansible_winrm_server_cert_validation": "validate",
            "ansible_winrm_ca_trust_path": str(entry.ca),
        }
    return values | {"ansible_winrm_message_encryption": "always"}


_PLUGINS = {"psrp": _psrp, "winrm": _winrm}


def write(inventory: dict[str, Any], path: Path) -> None:
    """Write the inventory as YAML, readable for its owner only: it holds passwords."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(inventory, sort_keys=False, allow_unicode=True), encoding="utf-8")
