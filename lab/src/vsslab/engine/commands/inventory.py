# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What there is on a host: Get-ComputerInfo, Get-Module, Get-CimClass, Get-CimAssociatedInstance, New-CimInstance.

Sources: the reference pages of Windows PowerShell 5.1 and of CimCmdlets.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from vsslab.windows.cim import CimError

from .. import ciminstances as ci
from .. import signatures
from ..command import Call, command
from ..values import EnumValue, Obj, Version, Wildcard, custom, has_wildcard, text_of

# ComputerInfo's property -> the CIM class and its property that it is made of (the type's reference page)
_INFO = {
    "OsName": ("Win32_OperatingSystem", "Caption"), "OsVersion": ("Win32_OperatingSystem", "Version"),
    "OsBuildNumber": ("Win32_OperatingSystem", "BuildNumber"),
    "OsLastBootUpTime": ("Win32_OperatingSystem", "LastBootUpTime"),
    "OsLocalDateTime": ("Win32_OperatingSystem", "LocalDateTime"),
    "OsArchitecture": ("Win32_OperatingSystem", "OSArchitecture"),
    "OsCountryCode": ("Win32_OperatingSystem", "CountryCode"),
    "OsSystemDrive": ("Win32_OperatingSystem", "SystemDrive"),
    "OsWindowsDirectory": ("Win32_OperatingSystem", "WindowsDirectory"),
    "CsName": ("Win32_ComputerSystem", "Name"), "CsDomain": ("Win32_ComputerSystem", "Domain"),
    "CsPartOfDomain": ("Win32_ComputerSystem", "PartOfDomain"),
    "CsManufacturer": ("Win32_ComputerSystem", "Manufacturer"), "CsModel": ("Win32_ComputerSystem", "Model"),
}  # fmt: skip
_OF_PROFILE = {"WindowsProductName": "product_name", "WindowsEditionId": "edition_id",
               "WindowsInstallationType": "installation"}  # fmt: skip
_VERSIONS = {"CimCmdlets": "1.0.0.0", "ScheduledTasks": "1.0.0.0", "SmbShare": "2.0.0.0", "Storage": "2.0.0.0",
             "Microsoft.PowerShell.Core": "3.0.0.0", "Microsoft.PowerShell.Diagnostics": "3.0.0.0",
             "Microsoft.PowerShell.Security": "3.0.0.0"}  # fmt: skip
_CIM = "Microsoft.Management.Infrastructure"


@command("Get-ComputerInfo", only=("Property",))
def get_computer_info(call: Call) -> None:
    """The computer's properties as far as they are known here; one that is asked for by name and is not is refused."""
    known: dict[str, Any] = {}
    profile = call.host.profile
    for name, attribute in _OF_PROFILE.items():
        if hasattr(profile, attribute):
            known[name] = getattr(profile, attribute)
    for name, (class_name, source) in _INFO.items():
        row = call.host.cim.instances(call.user, class_name)[0]
        kind = call.host.cim.types(class_name).get(source)
        if kind is not None and row.get(source) is not None:
            known[name] = ci.typed(call, row[source], kind)
    shown: dict[str, Any] = {}
    for wanted in call.texts("Property") or ["*"]:
        found = [name for name in known if Wildcard(wanted).matches(name)]
        if not found and not has_wildcard(wanted):
            raise call.refuse(f"the property {wanted} of Get-ComputerInfo")
        shown |= {name: known[name] for name in found}
    if call.has("Property"):
        call.write(custom(shown))
    else:
        kind = "Microsoft.PowerShell.Commands.ComputerInfo"
        call.write(Obj((kind, "System.Object"), dict(sorted(shown.items())), text=kind))


@command("Get-Module", only=("Name", "All", "ListAvailable"))
def get_module(call: Call) -> None:
    """The modules whose commands the laboratory knows; without -ListAvailable those of the engine itself."""
    everything = sorted({each.module for each in _visible(call)})
    if not call.flag("ListAvailable"):
        everything = [each for each in everything if each.startswith("Microsoft.PowerShell.")
                      and each != "Microsoft.PowerShell.Core"]  # fmt: skip
    for wanted in call.texts("Name") or ["*"]:
        for module in everything:
            if Wildcard(wanted).matches(module) and module != "Microsoft.PowerShell.Core":
                call.write(_module(call, module))


def _visible(call: Call) -> Iterator[signatures.Signature]:
    for name in signatures.known_names():
        found = call.runspace.resolve(name)[1]
        if found is not None:
            yield found


def _module(call: Call, name: str) -> Obj:
    commands = [each for each in _visible(call) if each.module == name]
    base = f"{call.host.windows}\\System32\\WindowsPowerShell\\v1.0\\Modules\\{name}"
    own = {
        "Name": name,
        "Version": Version(_VERSIONS.get(name, "3.1.0.0")),
        "ModuleBase": base,
        "Path": f"{base}\\{name}.psd1",
        "ModuleType": EnumValue("Manifest", 2, "System.Management.Automation.ModuleType"),
        "ExportedCommands": {each.name: each.name for each in commands},
        "Author": "Microsoft Corporation",
        "CompanyName": "Microsoft Corporation",
        "Description": "",
    }
    return Obj(("System.Management.Automation.PSModuleInfo", "System.Object"), own, text=name)


# -- CIM ---------------------------------------------------------------------------------------------------------------
def _local(call: Call) -> None:
    """Refuse another namespace than root/cimv2."""
    namespace = str(call.get("Namespace", ci.NAMESPACE)).replace("\\", "/").lower()
    if namespace != ci.NAMESPACE:
        raise call.refuse(f"the CIM namespace {call.get('Namespace')}")


@command("Get-CimClass", only=("ClassName", "Namespace", "MethodName", "PropertyName"))
def get_cim_class(call: Call) -> None:
    """Classes with their properties and methods; those above them are not known here."""
    _local(call)
    wanted = call.get("ClassName", "*")
    found = [each for each in call.host.cim.classes() if Wildcard(wanted).matches(each)]
    if not found and not has_wildcard(wanted):
        call.error("Not found ", "HRESULT 0x80041002", "ObjectNotFound", target=f"{ci.NAMESPACE}:{wanted}",
                   exception=ci.EXCEPTION, hresult=0x80041002 - 0x100000000)  # fmt: skip
    for name in found:
        properties = call.host.cim.types(name)
        methods = call.host.cim.methods(name)
        if _has(call.get("PropertyName"), properties) and _has(call.get("MethodName"), methods):
            call.write(_class(name, properties, methods))


def _has(wanted: str | None, names: Mapping[str, Any] | list[str]) -> bool:
    return wanted is None or any(Wildcard(wanted).matches(each) for each in names)


def _class(name: str, properties: Mapping[str, str], methods: list[str]) -> Obj:
    kind = f"{_CIM}.CimClass"
    shown = [Obj((f"{_CIM}.CimPropertyDeclaration", "System.Object"), {"Name": each, "CimType": text}, text=each)
             for each, text in properties.items()]  # fmt: skip
    told = [Obj((f"{_CIM}.CimMethodDeclaration", "System.Object"), {"Name": each}, text=each) for each in methods]
    own = {"CimClassName": name, "CimClassProperties": shown, "CimClassMethods": told,
           "CimSystemProperties": f"{_CIM}.CimSystemProperties"}  # fmt: skip
    return Obj((f"{kind}#{ci.NAMESPACE}/{name}", kind, "System.Object"), own, text=f"{ci.NAMESPACE}:{name}")


@command("Get-CimAssociatedInstance", only=("InputObject", "Association", "ResultClassName", "KeyOnly", "Namespace"))
def get_associated(call: Call) -> None:
    """The instances that associations of the host lead to from this one."""
    _local(call)
    source = call.get("InputObject").source
    if not isinstance(source, tuple):
        raise call.refuse("Get-CimAssociatedInstance of an instance that was not read in this pipeline")
    keys = {name: source[1].get(name) for name in call.host.cim.keys(source[0])}
    try:
        for class_name, target in _ends(call, source[0], keys):
            if _has(call.get("ResultClassName"), [class_name]):
                row = next((each for each in call.host.cim.instances(call.user, class_name)
                            if all(each.get(key) == value for key, value in target.items())), None)  # fmt: skip
                if row is not None:
                    wanted = call.host.cim.keys(class_name) if call.flag("KeyOnly") else None
                    call.write(ci.instance(call, class_name, row, wanted))
    except CimError as problem:
        call.report(ci.refused(call, problem, text_of(call.get("InputObject"))))


def _ends(call: Call, class_name: str, keys: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(class, keys) of the other end of every association that has this instance at one end."""
    for association in call.host.cim.classes():
        if not _has(call.get("Association"), [association]):
            continue
        ends = {name: kind.removesuffix("REF").strip() for name, kind in call.host.cim.types(association).items()
                if kind.endswith("REF")}  # fmt: skip
        here = [name for name, kind in ends.items() if kind.lower() == class_name.lower()]
        if len(ends) != 2 or not here:
            continue
        for row in call.host.cim.instances(call.user, association):
            for name in here:
                if isinstance(row.get(name), Mapping) and dict(row[name]) == dict(keys):
                    other = next(each for each in ends if each != name)
                    yield ends[other], row[other]


@command("New-CimInstance", only=("ClassName", "Property", "ClientOnly", "Key", "Namespace", "WhatIf", "Confirm"))
def new_cim_instance(call: Call) -> None:
    """An instance on this side only; making one on the host is not simulated for any class."""
    _local(call)
    if not call.flag("ClientOnly"):
        raise call.refuse(f"New-CimInstance of {call.get('ClassName')} without -ClientOnly")
    given = {text_of(name): value for name, value in (call.get("Property") or {}).items()}
    name = call.get("ClassName")
    call.write(Obj(ci.types_of(name), given, {"PSComputerName": None}, text=name, source=(name, given)))
