# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may do what with files and folders: Get-Acl, Set-Acl.

Sources: the reference pages of Windows PowerShell 5.1; .NET pages of the types.
"""

from __future__ import annotations

from vsslab.windows import sddl
from vsslab.windows.errors import WinError

from .. import fileitems as fs
from ..command import Call, command
from ..values import I64, EnumValue, Obj, lookup, text_of
from .items import targets


@command("Get-Acl", only=("Path", "LiteralPath", "Filter", "Include", "Exclude"))
def get_acl(call: Call) -> None:
    """The security descriptor of files and folders: owner, group, entries, SDDL."""
    paths = [call.runspace.location] if not call.has("Path") and not call.has("LiteralPath") else list(targets(call))
    for path in paths:
        full = fs.absolute(call, path)
        try:
            descriptor = call.files.security(path)
        except WinError as problem:
            denied = problem.code == 5
            call.error(
                "Attempted to perform an unauthorized operation." if denied else problem.localized(call.language),
                "System.UnauthorizedAccessException" if denied else "GetAcl_OperationNotSupported",
                "PermissionDenied" if denied else "NotSpecified",
                target=full,
                exception="System.UnauthorizedAccessException" if denied else "System.IO.IOException",
            )
            continue
        call.write(_security(call, full, descriptor, folder=call.files.is_dir(path)))


@command("Set-Acl", only=("Path", "LiteralPath", "AclObject", "PassThru", "Filter", "Include", "Exclude", "WhatIf",
                          "Confirm"))  # fmt: skip
def set_acl(call: Call) -> None:
    """The security of another item, or of this one at another time, for files and folders."""
    present, text_of_acl = lookup(call.get("AclObject"), "Sddl")
    if not present or not text_of_acl:
        raise call.fail("AclObject is not a security descriptor.", "SetAcl_AclObject", "InvalidArgument",
                        exception="System.ArgumentException")  # fmt: skip
    for path in targets(call):
        full = fs.absolute(call, path)
        if not call.should_process():
            continue
        try:
            call.files.set_security(path, text_of(text_of_acl))
        except (WinError, ValueError) as problem:
            denied = isinstance(problem, WinError) and problem.code == 5
            if isinstance(problem, WinError) and problem.code == 1307:
                words = "The security identifier is not allowed to be the owner of this object."
            else:
                words = "Attempted to perform an unauthorized operation." if denied else str(problem)
            kind = "UnauthorizedAccessException" if denied else "InvalidOperationException"
            call.error(words, f"System.{kind}", "PermissionDenied" if denied else "InvalidOperation", target=full,
                       exception=f"System.{kind}")  # fmt: skip
            continue
        if call.flag("PassThru"):
            call.write(_security(call, full, call.files.security(path), folder=call.files.is_dir(path)))


def _security(call: Call, path: str, descriptor: str, *, folder: bool) -> Obj:
    parsed = sddl.parse(descriptor)
    name_of = call.host.users.name_of
    entries = parsed.aces or ()
    lines = [
        f"{name_of(each.sid)} {'Allow' if each.kind == 'A' else 'Deny'}  {_rights(each.rights)}" for each in entries
    ]
    kind = "Directory" if folder else "File"
    types = (f"System.Security.AccessControl.{kind}Security", "System.Security.AccessControl.FileSystemSecurity",
             "System.Security.AccessControl.NativeObjectSecurity", "System.Security.AccessControl.CommonObjectSecurity",
             "System.Security.AccessControl.ObjectSecurity", "System.Object")  # fmt: skip
    own = {
        "AreAccessRulesProtected": bool(parsed.protected),
        "AreAuditRulesProtected": False,
        "AreAccessRulesCanonical": True,
    }
    notes = {
        **fs.item_notes(call, path),
        "CentralAccessPolicyId": None,
        "CentralAccessPolicyName": None,
        "Path": f"{fs.PROVIDER}::{path}",
        "Owner": name_of(parsed.owner) if parsed.owner else "",
        "Group": name_of(parsed.group) if parsed.group else "",
        "Sddl": descriptor,
        "AccessToString": "\n".join(lines),
        "Access": [_rule(call, each) for each in entries],
    }
    return Obj(types, own, notes, text=types[0])


def _rule(call: Call, entry: sddl.Ace) -> Obj:
    own = {
        "FileSystemRights": EnumValue(
            _rights(entry.rights), entry.rights, "System.Security.AccessControl.FileSystemRights"
        ),
        "AccessControlType": EnumValue(
            *(("Allow", 0) if entry.kind == "A" else ("Deny", 1)), "System.Security.AccessControl.AccessControlType"
        ),
        "IdentityReference": call.host.users.name_of(entry.sid),
        "IsInherited": entry.inherited,
    }
    return Obj(
        (
            "System.Security.AccessControl.FileSystemAccessRule",
            "System.Security.AccessControl.AccessRule",
            "System.Object",
        ),
        own,
        text="System.Security.AccessControl.FileSystemAccessRule",
    )


_RIGHTS = {
    sddl.FULL: "FullControl",
    sddl.MODIFY: "Modify, Synchronize",
    sddl.READ | sddl.EXECUTE: "ReadAndExecute, Synchronize",
    sddl.READ: "Read, Synchronize",
    sddl.WRITE: "Write, Synchronize",
}


def _rights(mask: int) -> str:
    return _RIGHTS.get(mask, str(I64(mask)))
