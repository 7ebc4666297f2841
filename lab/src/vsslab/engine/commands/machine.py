# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host itself: Get-Date, Get-TimeZone, Get-Culture, Get-UICulture, Get-Host, Get-Command, Get-Volume.

Sources: the reference pages of Windows PowerShell 5.1 and of the Storage module; .NET pages of the types.
"""

from __future__ import annotations

import datetime
import re
import uuid
from typing import Any

from vsslab.windows.errors import WinError
from vsslab.windows.volumes import Volume
from vsslab.windows.zones import zone_of

from .. import cdxml, signatures
from .. import ciminstances as ci
from ..command import Call, command
from ..convert import with_zone
from ..errors import text
from ..values import U32, U64, Char, EnumValue, Obj, Version, Wildcard, has_wildcard

_DRIVE_TYPES = {2: ("Removable", 2), 3: ("Fixed", 3), 5: ("CD-ROM", 5)}
_PARTS = ("Year", "Month", "Day", "Hour", "Minute", "Second")
_PATTERNS = {
    "yyyy": "%Y",
    "yy": "%y",
    "MM": "%m",
    "dd": "%d",
    "HH": "%H",
    "hh": "%I",
    "mm": "%M",
    "ss": "%S",
    "tt": "%p",
    "fff": "",
    "ffffff": "%f",
}


@command("Get-Date", only=("Date", *_PARTS, "Millisecond", "DisplayHint", "Format"))
def get_date(call: Call) -> None:
    """The host's local time, or the given one; -Format as text."""
    clock = call.host.clock
    moment = with_zone(call.get("Date"), clock.zone) if call.has("Date") else clock.local(clock.now())
    changes = {name.lower(): call.get(name) for name in _PARTS if call.has(name)}
    if call.has("Millisecond"):
        changes["microsecond"] = call.get("Millisecond") * 1000
    try:
        moment = moment.replace(**changes)
    except ValueError as problem:
        raise call.fail(str(problem), "System.ArgumentOutOfRangeException", "NotSpecified",
                        exception="System.ArgumentException") from None  # fmt: skip
    if call.has("Format"):
        call.write(_formatted(call, moment, call.get("Format")))
        return
    hint = call.get("DisplayHint") or EnumValue("DateTime", 2, "Microsoft.PowerShell.Commands.DisplayHintType")
    clock_time = f"{moment.hour % 12 or 12}:{moment:%M}:{moment:%S} {moment:%p}"
    shown = f"{moment:%A}, {moment:%B} {moment.day}, {moment.year} {clock_time}"
    call.write(
        Obj(
            ("System.DateTime", "System.ValueType", "System.Object"),
            {},
            {"DisplayHint": hint, "DateTime": shown},
            None,
            moment,
        )
    )


def _formatted(call: Call, moment: datetime.datetime, pattern: str) -> str:
    """Custom patterns of digits and the standard ones o, s, u; others are refused."""
    offset = moment.strftime("%z")
    if pattern in {"o", "O"}:
        zone = "Z" if moment.tzinfo is datetime.timezone.utc else f"{offset[:3]}:{offset[3:]}"
        return moment.strftime("%Y-%m-%dT%H:%M:%S.%f") + "0" + zone
    if pattern in {"s", "u"}:
        return moment.strftime("%Y-%m-%dT%H:%M:%S" if pattern == "s" else "%Y-%m-%d %H:%M:%SZ")
    out = []
    for part in re.findall(r"([A-Za-z])(\1*)|([^A-Za-z]+)", pattern):
        word = part[0] + part[1]
        if not word:
            out.append(part[2])
        elif word == "fff":
            out.append(f"{moment.microsecond // 1000:03d}")
        elif word in _PATTERNS:
            out.append(moment.strftime(_PATTERNS[word]))
        elif word in {"T", "Z"}:
            out.append(word)
        else:
            raise call.refuse(f"the date format {pattern!r}")
    return "".join(out)


@command("Get-TimeZone", only=("Name", "Id"))
def get_time_zone(call: Call) -> None:
    """The host's time zone under its Windows name."""
    name = call.host.time_zone
    zone = zone_of(name)
    if zone is None:
        raise call.refuse(f"the Windows name of the time zone {name}")
    for wanted in call.texts("Id", "Name"):
        if not Wildcard(wanted).matches(zone.id):
            raise call.refuse("Get-TimeZone of another zone than the host's")
    winter = datetime.datetime(2026, 1, 1, tzinfo=call.host.clock.zone)
    summer = datetime.datetime(2026, 7, 1, tzinfo=call.host.clock.zone)
    offsets = sorted(each.utcoffset() or datetime.timedelta() for each in (winter, summer))
    own = {"Id": zone.id, "DisplayName": zone.display, "StandardName": zone.id,
           "DaylightName": zone.daylight, "BaseUtcOffset": offsets[0],
           "SupportsDaylightSavingTime": offsets[0] != offsets[1]}  # fmt: skip
    call.write(Obj(("System.TimeZoneInfo", "System.Object"), own, text=zone.display))


@command("Get-Culture", "Get-UICulture")
def get_culture(call: Call) -> None:
    """The language of the host."""
    language = call.host.language
    row = signatures.table("cultures").get(language.tag)
    if row is None:
        raise call.refuse(f"the names of the culture {language.tag}")
    own = {
        "Parent": language.short,
        "LCID": language.lcid,
        "KeyboardLayoutId": language.lcid,
        "Name": language.tag,
        "IetfLanguageTag": language.tag,
        "DisplayName": row["native"],
        "NativeName": row["native"],
        "EnglishName": row["english"],
        "TwoLetterISOLanguageName": language.short,
        "ThreeLetterISOLanguageName": row["iso3"],
        "IsNeutralCulture": False,
        "IsReadOnly": True,
    }
    call.write(Obj(("System.Globalization.CultureInfo", "System.Object"), own, text=language.tag))


@command("Get-Host")
def get_host(call: Call) -> None:
    """The program that hosts the engine: the one for remote sessions."""
    tag = call.language
    own = {
        "Name": "ServerRemoteHost",
        "Version": Version("1.0.0.0"),
        "InstanceId": uuid.uuid5(uuid.NAMESPACE_URL, call.runspace.shell_id),
        "UI": "System.Management.Automation.Internal.Host.InternalHostUserInterface",
        "CurrentCulture": tag,
        "CurrentUICulture": tag,
        "PrivateData": None,
        "DebuggerEnabled": True,
        "IsRunspacePushed": False,
        "Runspace": "System.Management.Automation.Runspaces.LocalRunspace",
    }
    call.write(Obj(("System.Management.Automation.Internal.Host.InternalHost", "System.Object"), own,
                   text="System.Management.Automation.Internal.Host.InternalHost"))  # fmt: skip


@command("Get-Command", only=("Name", "CommandType", "Module", "All"))
def get_command(call: Call) -> None:
    """Commands and programs by name."""
    for wanted in call.texts("Name") or ["*"]:
        found = list(_commands(call, wanted))
        kind = call.get("CommandType")
        shown = [each for each in found if kind is None or kind.name in {"All", each.props["CommandType"].name}]
        if not shown and not has_wildcard(wanted):
            call.error(
                text("CommandNotFound", call.language, wanted),
                "CommandNotFoundException",
                "ObjectNotFound",
                target=wanted,
                exception="System.Management.Automation.CommandNotFoundException",
            )
        for each in shown:
            call.write(each)


def _commands(call: Call, wanted: str) -> list[Obj]:
    pattern = Wildcard(wanted)
    found = [
        _command(shown) for name in signatures.known_names()
        if pattern.matches(name) and (shown := call.runspace.resolve(name)[1]) is not None
    ]  # fmt: skip
    programs = sorted({*call.host.programs}) if has_wildcard(wanted) else [wanted]
    for name in programs:
        try:
            path = call.host.processes.find(name)
        except WinError:
            continue
        if has_wildcard(wanted) and not pattern.matches(name):
            continue
        if call.runspace.restriction is not None and not call.runspace.restriction.program(path):
            continue
        base = path.rpartition("\\")[2]
        kind = EnumValue("Application", 32, "System.Management.Automation.CommandTypes")
        own = {
            "CommandType": kind,
            "Name": base,
            "Version": Version(call.host.profile.version),
            "Source": path,
            "Path": path,
            "Definition": path,
            "Extension": ".exe",
            "ModuleName": "",
        }
        found.append(
            Obj(
                (
                    "System.Management.Automation.ApplicationInfo",
                    "System.Management.Automation.CommandInfo",
                    "System.Object",
                ),
                own,
                text=base,
            )
        )
    return found


def _command(signature: signatures.Signature) -> Obj:
    name, number = ("Function", 2) if signature.is_function else ("Cmdlet", 8)
    kind = EnumValue(name, number, "System.Management.Automation.CommandTypes")
    own = {
        "CommandType": kind,
        "Name": signature.name,
        "Version": Version("3.1.0.0"),
        "Source": signature.module,
        "ModuleName": signature.module,
        "Definition": signature.definition,
        "DefaultParameterSet": signature.sets[0],
    }
    types = (f"System.Management.Automation.{name}Info", "System.Management.Automation.CommandInfo", "System.Object")
    return Obj(types, own, text=signature.name)


# -- volumes -----------------------------------------------------------------------------------------------------------
@command("Get-Volume", only=("DriveLetter", "FileSystemLabel", "UniqueId", "Path", "ObjectId", "FilePath"))
def get_volume(call: Call) -> None:
    """Volumes by letter, label, path, or all of them."""
    everything = list(call.host.volumes)
    tests: dict[str, Any] = {"DriveLetter": lambda each: each.letter or "", "FileSystemLabel": lambda each: each.label,
                             "UniqueId": lambda each: each.device_id, "Path": lambda each: each.device_id,
                             "ObjectId": lambda each: each.device_id}  # fmt: skip
    chosen = next((name for name in tests if call.has(name)), None)
    if call.has("FilePath"):
        try:
            everything = [each for each in everything if each is call.files.locate(call.get("FilePath")).volume]
        except WinError:
            everything = []
    elif chosen is not None:
        wanted = call.texts(chosen)
        for each in wanted:
            if not any(Wildcard(each).matches(tests[chosen](volume)) for volume in everything) and not has_wildcard(
                each
            ):
                call.error(
                    f"No MSFT_Volume objects found with property '{chosen}' equal to '{each}'.  Verify the "
                    f"value of the "
                    "property and retry.",
                    f"CmdletizationQuery_NotFound_{chosen}",
                    "ObjectNotFound",
                    target=each,
                    exception="Microsoft.PowerShell.Cmdletization.Cim.CimJobException",
                )
        everything = [
            volume
            for volume in everything
            if any(Wildcard(each.replace("?", "`?")).matches(tests[chosen](volume)) for each in wanted)
        ]
    for volume in everything:
        call.write(_volume(volume))


def _volume(volume: Volume) -> Obj:
    kind = EnumValue(
        *_DRIVE_TYPES[volume.drive_type], "Microsoft.PowerShell.Cmdletization.GeneratedTypes.Volume.DriveType"
    )
    system = "" if volume.drive_type == 5 else volume.file_system
    own = {
        "ObjectId": volume.device_id,
        "PassThroughClass": None,
        "PassThroughIds": None,
        "PassThroughNamespace": None,
        "PassThroughServer": None,
        "UniqueId": volume.device_id,
        "AllocationUnitSize": U32(volume.block_size),
        "DriveLetter": Char(volume.letter) if volume.letter else None,
        "DriveType": kind,
        "FileSystem": system,
        "FileSystemLabel": volume.label,
        "FileSystemType": system,
        "HealthStatus": "Healthy",
        "OperationalStatus": "OK",
        "Path": volume.device_id,
        "Size": U64(volume.capacity),
        "SizeRemaining": U64(volume.free()),
    }
    return Obj(
        ci.types_of("MSFT_Volume", cdxml.STORAGE),
        own,
        {"PSComputerName": None},
        text=f'MSFT_Volume (ObjectId = "{volume.device_id}")',
        source=volume,
    )
