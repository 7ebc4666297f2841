# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs about shares (SMB): see `_verbs`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ._pipeline import Command, Statement, Unsendable


def shares(key: str) -> Statement:
    """Name and Path of every share of the host."""
    fields = Command("Select-Object", {"Property": ["Name", "Path"]})
    return Statement(key, (Command("Get-SmbShare"), fields))


def remove_share(key: str, name: str, below: str) -> Statement:
    """Remove a share of this name whose path lies in the folder `below`; another one, or none, is left alone."""
    ours = Command("Where-Object", {"Property": "Path", "Like": True, "Value": f"{_literal(below)}\\*"})
    found = (Command("Get-SmbShare"), Command("Where-Object", {"Property": "Name", "EQ": True, "Value": name}), ours)
    return Statement(key, (*found, Command("Remove-SmbShare", {"Force": True})), "none")


def _literal(path: str) -> str:
    """A path as a pattern that matches only itself (about_Wildcards: a backtick takes a character's meaning away)."""
    return "".join(f"`{character}" if character in "[]*?`" else character for character in path)


_FIELDS = Command("Select-Object", {"Property": ["Name", "Path", "SecurityDescriptor"]})


def find_share(key: str, name: str) -> Statement:
    """Name, Path and SecurityDescriptor (SDDL) of the share of this name; nothing when there is none."""
    named = Command("Where-Object", {"Property": "Name", "EQ": True, "Value": name})
    return Statement(key, (Command("Get-SmbShare"), named, _FIELDS))


def new_share(key: str, name: str, path: str, note: str, access: Mapping[str, Sequence[str]]) -> Statement:
    """Share a folder with these accounts and nobody else. access: accounts by right (full, change, read).

    It fails when there is a share of this name already. Raises Unsendable without an account: Windows would let
    everybody in.
    """
    lists = {f"{right.capitalize()}Access": list(accounts) for right, accounts in access.items() if accounts}
    if not lists or not lists.keys() <= {"FullAccess", "ChangeAccess", "ReadAccess"}:
        raise Unsendable(f"the share {name} needs accounts that may use it")
    parameters = {"Name": name, "Path": path, "Description": note, **lists, "ErrorAction": "Stop"}
    return Statement(key, (Command("New-SmbShare", parameters),), "none")
