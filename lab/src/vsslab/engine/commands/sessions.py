# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Endpoints and their files: New-PSRoleCapabilityFile, New- and Test-PSSessionConfigurationFile, Get- and Register-
PSSessionConfiguration.

Sources: the reference pages of Windows PowerShell 5.1, "JEA role capabilities", "JEA session configurations".
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from vsslab.windows import psdata
from vsslab.windows.endpoints import Endpoint, Role, role_of
from vsslab.windows.errors import WinError

from .. import encodings
from .. import fileitems as fs
from ..command import Call, command
from ..signatures import COMMON_NAMES
from ..values import Obj, Version, Wildcard, has_wildcard, plain, text_of

_FILES = {"psrc": "InvalidRoleCapabilityFilePath", "pssc": "InvalidPSSessionConfigurationFilePath"}
_NOT_WRITTEN = frozenset({"Path", "Full"})
_UTF16 = "Unicode"  # what 5.1 writes these files in
_MODULES = "C:\\Program Files\\WindowsPowerShell\\Modules"
_READ = frozenset({"schemaversion", "guid", "author", "description", "companyname", "copyright", "sessiontype",
                   "runasvirtualaccount", "roledefinitions", "languagemode", "executionpolicy", "transcriptdirectory",
                   "powershellversion", "visiblecmdlets", "visiblefunctions", "visibleexternalcommands",
                   "visibleproviders", "visiblealiases"})  # fmt: skip


def _plain(value: Any) -> Any:
    """A bound value as what a data file holds."""
    inner = plain(value)
    if isinstance(inner, Mapping):
        return {text_of(key): _plain(each) for key, each in inner.items()}
    if isinstance(inner, (list, tuple)):
        return [_plain(each) for each in inner]
    return inner if isinstance(inner, (bool, int, float)) or inner is None else text_of(inner)


def _write(call: Call, extension: str, first: dict[str, Any]) -> None:
    given = call.get("Path")
    path = fs.absolute(call, fs.provider_path(call, given))
    if not path.lower().endswith("." + extension):
        raise call.fail(
            f"The file path {given} is not valid. The path must resolve to a file with a '.{extension}' file name "
            "extension.",
            _FILES[extension],
            "InvalidArgument",
            target=given,
            exception="System.InvalidOperationException",
        )
    keys = {name: _plain(value) for name, value in call.values.items() if name not in _NOT_WRITTEN | COMMON_NAMES}
    table = {**first, "GUID": str(keys.pop("Guid", uuid.uuid4())), "Author": call.user.name, **keys}
    lines = [f"{name} = {psdata.literal(value)}" for name, value in table.items()]
    content = "@{\r\n\r\n" + "\r\n\r\n".join(lines) + "\r\n\r\n}\r\n"
    encoding = encodings.named(_UTF16, call.host.language)
    try:
        call.files.write(path, encoding.mark + encoding.encode(content))
    except WinError as problem:
        told = fs.failure(call, problem, "FileOpenFailure", path, category="OpenError")
        raise call.fail(told.pop("message"), told.pop("error_id"), told.pop("category"), **told) from None


@command("New-PSRoleCapabilityFile")
def new_role_file(call: Call) -> None:
    """A role capability file (.psrc) with the keys that were given."""
    _write(call, "psrc", {})


@command("New-PSSessionConfigurationFile")
def new_configuration_file(call: Call) -> None:
    """A session configuration file (.pssc) with the keys that were given."""
    if call.flag("Full"):
        raise call.refuse("the parameter -Full of New-PSSessionConfigurationFile")
    _write(call, "pssc", {"SchemaVersion": text_of(call.get("SchemaVersion", Version("2.0.0.0"))),
                          "SessionType": call.get("SessionType", "Default")})  # fmt: skip


def _read(call: Call, path: str) -> dict[str, Any]:
    """A data file of the host; DataFileError, WinError."""
    text = encodings.decode(call.files.read(path), encodings.named("Default", call.host.language))
    return {key.lower(): value for key, value in psdata.parse(text).items()}


@command("Test-PSSessionConfigurationFile")
def test_configuration_file(call: Call) -> None:
    """Whether a session configuration file can be read and has known keys only."""
    path = fs.absolute(call, fs.provider_path(call, call.get("Path")))
    if not call.files.exists(path):
        fs.not_found(call, path)
        return
    try:
        call.write(not set(_read(call, path)) - _READ)
    except psdata.DataFileError:
        call.write(False)


# -- endpoints ---------------------------------------------------------------------------------------------------------
def _configuration(call: Call, endpoint: Endpoint) -> Obj:
    users = call.host.users
    allowed = endpoint.allowed or ("BUILTIN\\Administrators", "BUILTIN\\Remote Management Users")
    names = [users.name_of(users.sid_of(each)) for each in allowed]
    own = {"Name": endpoint.name, "PSVersion": "5.1", "Enabled": True, "RunAsUser": "",
           "RunAsVirtualAccount": str(endpoint.virtual_account).lower(), "Architecture": "64",
           "ResourceUri": f"http://schemas.microsoft.com/powershell/{endpoint.name}", "SupportsOptions": True,
           "Permission": ", ".join(f"{each} AccessAllowed" for each in names),
           **{str(key): value for key, value in endpoint.details.items()}}  # fmt: skip
    kind = "Microsoft.PowerShell.Commands.PSSessionConfigurationCommands#PSSessionConfiguration"
    return Obj((kind, "System.Management.Automation.PSCustomObject", "System.Object"), {}, own)


def _demand_administrator(call: Call) -> None:
    if not call.user.administrator:
        raise call.fail(
            'Access is denied. To run this cmdlet, start Windows PowerShell with the "Run as administrator" option.',
            "System.InvalidOperationException",
            "NotSpecified",
            exception="System.InvalidOperationException",
        )


@command("Get-PSSessionConfiguration", only=("Name", "Force"))
def get_configuration(call: Call) -> None:
    """The endpoints of the host."""
    _demand_administrator(call)
    for wanted in call.texts("Name") or ["*"]:
        found = [each for each in call.host.endpoints.values() if Wildcard(wanted).matches(each.name)]
        if not found and not has_wildcard(wanted):
            call.error(
                f'No session configuration matches criteria "{wanted}".',
                "Microsoft.PowerShell.Commands.WriteErrorException",
                exception="System.InvalidOperationException",
                bare_id=True,
            )
        for each in found:
            call.write(_configuration(call, each))


@command("Register-PSSessionConfiguration", only=("Name", "Path", "Force", "NoServiceRestart", "AccessMode",
                                                  "RunAsCredential", "WhatIf", "Confirm"))  # fmt: skip
def register_configuration(call: Call) -> None:
    """A new endpoint from a configuration file; WinRM restarts, and every session of the host ends with it.

    With -NoServiceRestart the endpoint is there at once (on Windows after the next restart of the service).
    """
    _demand_administrator(call)
    name = call.get("Name")
    if call.has("RunAsCredential") or call.get("AccessMode", "Remote") != "Remote":
        raise call.refuse("Register-PSSessionConfiguration with -RunAsCredential or another -AccessMode than Remote")
    if name.lower() in call.host.endpoints:
        raise call.fail(f"The session configuration \"{name}\" already exists.", "CustomShellAlreadyExists",
                        "InvalidOperation", target=name, exception="System.InvalidOperationException")  # fmt: skip
    if not call.should_process(high_impact=not call.flag("Force")):
        return
    endpoint = _from_file(call, name) if call.has("Path") else Endpoint(name)
    call.host.endpoints[name.lower()] = endpoint
    call.host.trace.write("endpoint", call.host.name, name=name, what="registered")
    call.write(_configuration(call, endpoint))
    if not call.flag("NoServiceRestart"):
        call.host.clock.spawn(call.host.restart_winrm, name=f"{call.host.name}:winrm")


def _from_file(call: Call, name: str) -> Endpoint:
    path = fs.absolute(call, fs.provider_path(call, call.get("Path")))
    try:
        table = _read(call, path)
    except (WinError, psdata.DataFileError) as problem:
        raise call.fail(
            f"The file {path} cannot be used: {problem}",
            "InvalidPSSessionConfigurationFile",
            "InvalidArgument",
            target=path,
            exception="System.InvalidOperationException",
        ) from None
    unknown = sorted(set(table) - _READ)
    if unknown:
        raise call.refuse(f"{', '.join(unknown)} in a session configuration file")
    restricted = str(table.get("sessiontype", "Default")).lower() == "restrictedremoteserver"
    if not restricted:
        if any(key.startswith("visible") or key == "roledefinitions" for key in table):
            raise call.refuse("a role in a session configuration of another type than RestrictedRemoteServer")
        return Endpoint(name, virtual_account=bool(table.get("runasvirtualaccount")))
    roles = {account: _roles(call, text_of(account), given)
             for account, given in (table.get("roledefinitions") or {}).items()}  # fmt: skip
    own = role_of({key: value for key, value in table.items() if key.startswith("visible")})
    return Endpoint(name, own, tuple(roles), bool(table.get("runasvirtualaccount")), roles=roles)


def _roles(call: Call, account: str, given: Any) -> tuple[Role, ...]:
    """The roles of one entry of RoleDefinitions, each from RoleCapabilities\\NAME.psrc of a module."""
    call.host.users.sid_of(account)
    keys = {str(key).lower(): value for key, value in given.items()} if isinstance(given, Mapping) else {}
    if set(keys) - {"rolecapabilities", "rolecapabilityfiles"} or not keys:
        raise call.refuse(f"the role definition of {account}")
    files = keys.get("rolecapabilityfiles") or []
    names = keys.get("rolecapabilities") or []
    paths = list(files if isinstance(files, list) else [files])
    paths += [_role_path(call, each) for each in (names if isinstance(names, list) else [names])]
    try:
        return tuple(role_of(_read(call, each)) for each in paths)
    except WinError as problem:
        raise call.refuse(f"a role capability file that is not there ({problem.path})") from None
    except psdata.DataFileError as problem:
        raise call.fail(str(problem), "InvalidRoleCapabilityFile", "InvalidArgument",
                        exception="System.InvalidOperationException") from None  # fmt: skip


def _role_path(call: Call, name: str) -> str:
    folders = call.files.listdir(_MODULES) if call.files.is_dir(_MODULES) else []
    for each in folders:
        path = f"{each.path}\\RoleCapabilities\\{name}.psrc"
        if call.files.exists(path):
            return path
    raise call.refuse(f"the role capability {name}, which no module under {_MODULES} has,")
