# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drives of a session: Get-PSDrive, New-PSDrive, Remove-PSDrive.

Sources: the reference pages of Windows PowerShell 5.1; error IDs of public reports.
"""

from __future__ import annotations

from typing import Any

from vsslab.windows.errors import WinError

from .. import fileitems as fs
from ..command import Call, command
from ..values import U64, Obj, Secret, Wildcard, has_wildcard, lookup, text_of

_OTHERS = {
    "Alias": ("Alias", ""),
    "Cert": ("Certificate", "\\"),
    "Env": ("Environment", ""),
    "Function": ("Function", ""),
    "HKCU": ("Registry", "HKEY_CURRENT_USER"),
    "HKLM": ("Registry", "HKEY_LOCAL_MACHINE"),
    "Variable": ("Variable", ""),
    "WSMan": ("WSMan", ""),
}
_STATE = "System.Management.Automation.SessionStateException"


def _drive(call: Call, name: str, provider: str, root: str, **more: Any) -> Obj:
    core = "Microsoft.PowerShell.Core"
    module = {"Certificate": "Microsoft.PowerShell.Security", "WSMan": "Microsoft.WSMan.Management"}.get(provider, core)
    here = call.runspace.location
    inside = here[len(root) :] if provider == "FileSystem" and here.upper().startswith(root.upper()) else ""
    own = {"CurrentLocation": inside.lstrip("\\"), "Name": name, "Provider": f"{module}\\{provider}", "Root": root,
           "Description": more.get("description", ""), "MaximumSize": None,
           "Credential": "System.Management.Automation.PSCredential", "DisplayRoot": more.get("display")}  # fmt: skip
    notes = {key: U64(more[key.lower()]) for key in ("Used", "Free") if key.lower() in more}
    return Obj(("System.Management.Automation.PSDriveInfo", "System.Object"), own, notes, text=name)


def _drives(call: Call) -> list[Obj]:
    """Every drive of the session, by name."""
    found = {name: _drive(call, name, provider, root) for name, (provider, root) in _OTHERS.items()
             if call.runspace.sees_provider(provider)}  # fmt: skip
    if call.runspace.sees_provider("FileSystem"):
        for letter in call.host.files.names.letters():
            volume = call.host.volumes.by_path(letter + ":")
            sizes = {} if volume is None else {"used": volume.used(), "free": volume.free(),
                                               "description": volume.label}  # fmt: skip
            found[letter] = _drive(call, letter, "FileSystem", f"{letter}:\\", **sizes)
        for each in call.host.mappings.list(call.user):
            if each.local:
                found[each.local[0]] = _drive(call, each.local[0], "FileSystem", each.local + "\\", display=each.remote)
        for name, root in call.runspace.drives.items():
            found[name] = _drive(call, name, "FileSystem", root)
    return [found[name] for name in sorted(found, key=str.lower)]


@command("Get-PSDrive", only=("Name", "LiteralName", "PSProvider", "Scope"))
def get_drive(call: Call) -> None:
    """Drives by name and provider."""
    everything = _drives(call)
    providers = call.texts("PSProvider")
    if providers:
        everything = [
            each
            for each in everything
            if any(Wildcard(one).matches(text_of(each.props["Provider"]).rpartition("\\")[2]) for one in providers)
        ]
    for wanted in call.texts("LiteralName", "Name") or ["*"]:
        found = [each for each in everything if Wildcard(wanted).matches(text_of(each.props["Name"]))]
        if not found and not has_wildcard(wanted):
            words = f"Cannot find drive. A drive with the name '{wanted}' does not exist."
            call.error(words, "GetLocationNoMatchingDrive", "ObjectNotFound", target=wanted,
                       exception="System.Management.Automation.DriveNotFoundException")  # fmt: skip
        for each in found:
            call.write(each)


@command("New-PSDrive", only=("Name", "PSProvider", "Root", "Description", "Scope", "Persist", "Credential", "WhatIf",
                              "Confirm"))  # fmt: skip
def new_drive(call: Call) -> None:
    """A name for a folder, or with -Persist a drive letter for a share."""
    name, root = call.get("Name"), call.get("Root")
    if call.get("PSProvider").lower() != "filesystem":
        raise call.refuse(f"New-PSDrive -PSProvider {call.get('PSProvider')}")
    if any(text_of(each.props["Name"]).lower() == name.lower() for each in _drives(call)):
        call.error(f"A drive with the name '{name}' already exists.", "DriveAlreadyExists", "ResourceExists",
                   target=name, exception=_STATE)  # fmt: skip
        return
    if not call.should_process():
        return
    if (call.flag("Persist") or call.has("Credential")) and not _mapped(call, name, root):
        return
    if not call.flag("Persist"):
        path = fs.absolute(call, fs.provider_path(call, root))
        if not call.files.is_dir(path):
            call.error(f'The specified drive root "{root}" either does not exist, or it is not a folder.',
                       "DriveRootError", "ReadError", target=name, exception="System.IO.IOException")  # fmt: skip
            return
        call.runspace.drives[name] = path
    for each in _drives(call):
        if text_of(each.props["Name"]).lower() == name.lower():
            call.write(each)


def _mapped(call: Call, name: str, root: str) -> bool:
    """Use the share at the root, with the credential if there is one; False, and an error, when that fails."""
    credential = call.get("Credential")
    user = password = None
    if credential is not None:
        user = text_of(lookup(credential, "UserName")[1])
        secret = lookup(credential, "Password")[1]
        password = secret.text if isinstance(secret, Secret) else text_of(secret)
    local = f"{name}:" if call.flag("Persist") else ""
    try:
        call.host.mappings.add(call.user, root, local=local, user_name=user, password=password)
    except WinError as problem:
        call.error(problem.localized(call.language), "CouldNotMapNetworkDrive", "InvalidOperation", target=name,
                   exception="System.ComponentModel.Win32Exception")  # fmt: skip
        return False
    return True


@command("Remove-PSDrive", only=("Name", "LiteralName", "PSProvider", "Scope", "Force", "WhatIf", "Confirm"))
def remove_drive(call: Call) -> None:
    """Take drives of the session away; those of volumes come back with the next session, and here they stay."""
    for wanted in call.texts("LiteralName", "Name"):
        named = [each for each in call.runspace.drives if Wildcard(wanted).matches(each)]
        mapped = [each for each in call.host.mappings.list(call.user)
                  if each.local and Wildcard(wanted).matches(each.local[0])]  # fmt: skip
        if not named and not mapped:
            if any(Wildcard(wanted).matches(text_of(each.props["Name"])) for each in _drives(call)):
                raise call.refuse("Remove-PSDrive of a drive that Windows itself made")
            call.error(f"Cannot find drive. A drive with the name '{wanted}' does not exist.", "DriveNotFound",
                       "ObjectNotFound", target=wanted,
                       exception="System.Management.Automation.DriveNotFoundException")  # fmt: skip
            continue
        if call.should_process():
            for each in named:
                del call.runspace.drives[each]
            for mapping in mapped:
                call.host.mappings.remove(call.user, mapping.local)
