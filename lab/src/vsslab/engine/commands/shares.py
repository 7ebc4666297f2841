# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shares and their use: Get-, New-, Remove-SmbShare, Grant-SmbShareAccess, Get-, New-, Remove-SmbMapping,
Get-SmbConnection.

Source: the SmbShare reference of Windows Server 2019. Granting and removing ask first; nobody can answer here, so that
-Force or -Confirm:$false is needed.
"""

from __future__ import annotations

from typing import Any

from vsslab.windows.errors import WinError
from vsslab.windows.network import Mapping
from vsslab.windows.shares import Share

from .. import cdxml
from ..command import Call, command
from ..values import U32, Obj, Secret

_NAMESPACE = "ROOT/Microsoft/Windows/SMB"
_SHARE, _MAPPING, _CONNECTION = "MSFT_SmbShare", "MSFT_SmbMapping", "MSFT_SmbConnection"
_KINDS = {"": ("FileSystemDirectory", 0), "IPC$": ("InterprocessCommunication", 2)}
_ACL = ("FullAccess", "ChangeAccess", "ReadAccess", "NoAccess")


def share_object(call: Call, share: Share) -> Obj:
    """An MSFT_SmbShare."""
    volume = None
    if share.path:
        volume = call.host.files.locate(share.path).volume if call.host.files.exists(share.path) else None
    own: dict[str, Any] = {
        "AvailabilityType": cdxml.enum_value("NonClustered", 0, "SmbShare.AvailabilityType"),
        "CachingMode": cdxml.enum_value("Manual", 0, "SmbShare.CachingMode"),
        "CATimeout": U32(0),
        "ConcurrentUserLimit": U32(share.limit),
        "ContinuouslyAvailable": False,
        "CurrentUsers": U32(0),
        "Description": share.description,
        "EncryptData": False,
        "FolderEnumerationMode": cdxml.enum_value("Unrestricted", 1, "SmbShare.FolderEnumerationMode"),
        "Name": share.name,
        "Path": share.path,
        "Scoped": False,
        "ScopeName": "*",
        "SecurityDescriptor": share.descriptor,
        "ShadowCopy": False,
        "ShareState": cdxml.enum_value("Online", 1, "SmbShare.ShareState"),
        "ShareType": cdxml.enum_value(*_KINDS.get(share.name.upper(), _KINDS[""]), "SmbShare.ShareType"),
        "SmbInstance": cdxml.enum_value("Default", 0, "SmbShare.SmbInstance"),
        "Special": share.special,
        "Temporary": False,
        "Volume": volume.device_id if volume is not None else "",
    }
    return cdxml.instance(_SHARE, _NAMESPACE, own, share, "Name")


def _shares(call: Call) -> list[Share]:
    if call.has("InputObject"):
        return [each.source for each in call.get("InputObject") if isinstance(each.source, Share)]
    return cdxml.chosen(call, _SHARE, call.host.shares.list(), {"Name": lambda each: each.name,
                                                                "ScopeName": lambda _each: "*",
                                                                "Special": lambda each: each.special})  # fmt: skip


def _agreed(call: Call) -> bool:
    return call.should_process(high_impact=not call.flag("Force"))


@command("Get-SmbShare", only=("Name", "ScopeName", "Special", "IncludeHidden"))
def get_share(call: Call) -> None:
    """The host's shares, the special ones among them."""
    if cdxml.demand_administrator(call, _SHARE):
        for each in _shares(call):
            call.write(share_object(call, each))


@command("New-SmbShare", only=("Name", "Path", "Description", "ConcurrentUserLimit", *_ACL, "ScopeName", "WhatIf",
                               "Confirm"))  # fmt: skip
def new_share(call: Call) -> None:
    """Share a folder; with no account named Everyone may read."""
    if not cdxml.demand_administrator(call, _SHARE) or not call.should_process():
        return
    lookup = call.host.users.looked_up
    try:
        full, change, read, none = ([lookup(name) for name in call.texts(each)] for each in _ACL)
        made = call.host.shares.add(call.get("Name"), call.get("Path"), description=call.get("Description", ""),
                                    full=full, change=change, read=read, none=none,
                                    limit=int(call.get("ConcurrentUserLimit", 0)))  # fmt: skip
    except WinError as problem:
        cdxml.failed(call, _SHARE, problem)
        return
    call.write(share_object(call, made))


@command("Remove-SmbShare", only=("Name", "ScopeName", "InputObject", "Force", "PassThru", "WhatIf", "Confirm"))
def remove_share(call: Call) -> None:
    """Stop sharing; the files stay."""
    if not cdxml.demand_administrator(call, _SHARE):
        return
    for each in _shares(call):
        if not _agreed(call):
            continue
        shown = share_object(call, each)
        try:
            call.host.shares.remove(each.name)
        except WinError as problem:
            cdxml.failed(call, _SHARE, problem)
            continue
        if call.flag("PassThru"):
            call.write(shown)


@command("Grant-SmbShareAccess", only=("Name", "ScopeName", "InputObject", "AccountName", "AccessRight", "Force",
                                       "WhatIf", "Confirm"))  # fmt: skip
def grant_access(call: Call) -> None:
    """Let accounts into a share; its access list as output."""
    if not cdxml.demand_administrator(call, _SHARE):
        return
    for share in _shares(call):
        if not _agreed(call):
            continue
        try:
            for account in call.texts("AccountName"):
                sid = call.host.users.looked_up(account)
                call.host.shares.grant(share.name, sid, call.get("AccessRight", "Read"))
        except WinError as problem:
            cdxml.failed(call, _SHARE, problem)
            continue
        for entry in call.host.shares.get(share.name).access:
            own = {"AccessControlType": cdxml.enum_value(*(("Allow", 0) if entry.allow else ("Deny", 1)),
                                              "SmbShareAccessControlEntry.AccessControlType"),
                   "AccessRight": cdxml.enum_value(entry.right, {"Full": 0, "Change": 1, "Read": 2}[entry.right],
                                        "SmbShareAccessControlEntry.AccessRight"),
                   "AccountName": call.host.users.name_of(entry.sid), "Name": share.name, "ScopeName": "*"}  # fmt: skip
            call.write(cdxml.instance("MSFT_SmbShareAccessControlEntry", _NAMESPACE, own, entry, "AccountName"))


# -- mappings ----------------------------------------------------------------------------------------------------------
def mapping_object(mapping: Mapping) -> Obj:
    """An MSFT_SmbMapping."""
    own = {"LocalPath": mapping.local, "RemotePath": mapping.remote, "RequireIntegrity": False,
           "RequirePrivacy": False, "Status": cdxml.enum_value("OK", 0, "SmbMapping.Status")}  # fmt: skip
    return cdxml.instance(_MAPPING, _NAMESPACE, own, mapping, "RemotePath")


def _mappings(call: Call) -> list[Mapping]:
    if call.has("InputObject"):
        return [each.source for each in call.get("InputObject") if isinstance(each.source, Mapping)]
    return cdxml.chosen(call, _MAPPING, call.host.mappings.list(call.user),
                        {"LocalPath": lambda each: each.local, "RemotePath": lambda each: each.remote})  # fmt: skip


@command("Get-SmbMapping", only=("LocalPath", "RemotePath"))
def get_mapping(call: Call) -> None:
    """The mappings of this logon session."""
    for each in _mappings(call):
        call.write(mapping_object(each))


@command("New-SmbMapping", only=("LocalPath", "RemotePath", "UserName", "Password", "Persistent", "WhatIf", "Confirm"))
def new_mapping(call: Call) -> None:
    """Use a share, with this session's credentials or with others."""
    if call.get("Persistent") is True:
        raise call.refuse("New-SmbMapping -Persistent")
    if not call.should_process():
        return
    password = call.get("Password")
    try:
        made = call.host.mappings.add(call.user, call.get("RemotePath", ""), local=call.get("LocalPath", ""),
                                      user_name=call.get("UserName"),
                                      password=password.text if isinstance(password, Secret) else password)  # fmt: skip
    except WinError as problem:
        cdxml.failed(call, _MAPPING, problem)
        return
    call.write(mapping_object(made))


@command("Remove-SmbMapping", only=("LocalPath", "RemotePath", "InputObject", "Force", "PassThru", "UpdateProfile",
                                    "WhatIf", "Confirm"))  # fmt: skip
def remove_mapping(call: Call) -> None:
    """Stop using shares."""
    for each in _mappings(call):
        if not _agreed(call):
            continue
        try:
            call.host.mappings.remove(call.user, each.local or each.remote)
        except WinError as problem:
            cdxml.failed(call, _MAPPING, problem)
            continue
        if call.flag("PassThru"):
            call.write(mapping_object(each))


@command("Get-SmbConnection", only=("ServerName", "UserName"))
def get_connection(call: Call) -> None:
    """The servers and shares that this session uses."""
    if not cdxml.demand_administrator(call, _CONNECTION):
        return
    mappings = cdxml.chosen(
        call,
        _CONNECTION,
        call.host.mappings.list(call.user),
        {"ServerName": lambda each: each.server, "UserName": lambda each: each.user_name},
    )
    for each in mappings:
        own = {
            "ContinuouslyAvailable": False,
            "Credential": each.user_name or call.user.full_name,
            "Dialect": "3.1.1",
            "Encrypted": False,
            "NumOpens": U32(1),
            "Redirected": False,
            "ServerName": each.server,
            "ShareName": each.remote.rpartition("\\")[2],
            "SmbInstance": cdxml.enum_value("Default", 0, "SmbConnection.SmbInstance"),
            "UserName": call.user.full_name,
        }
        call.write(cdxml.instance(_CONNECTION, _NAMESPACE, own, each, "ServerName"))
