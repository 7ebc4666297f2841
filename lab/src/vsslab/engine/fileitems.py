# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths as PowerShell's file system provider reads them, files as its objects, failures as its error records.

Sources: about_Providers, about_Wildcards; error IDs and exceptions from recorded runs and Microsoft's documentation.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from vsslab.windows import errors as win
from vsslab.windows.errors import WinError
from vsslab.windows.fileio import FileStat
from vsslab.windows.paths import child, wildcard_match
from vsslab.windows.registry import HIVES

from .command import Call
from .errors import PowerShellError, text
from .values import I64, U64, EnumValue, Obj, Wildcard, has_wildcard

PROVIDER = "Microsoft.PowerShell.Core\\FileSystem"
_PREFIX = re.compile(r"(?:Microsoft\.PowerShell\.Core\\)?FileSystem::", re.IGNORECASE)
_REGISTRY = re.compile(r"(?:Microsoft\.PowerShell\.Core\\)?Registry::", re.IGNORECASE)
_OTHER_DRIVE = re.compile(r"([A-Za-z][A-Za-z0-9]+):(?!:)")
_LITERAL = re.compile(r"\\\\\?\\[A-Za-z]:\\")
_ANY_DRIVE = re.compile(r"(\w+):([\\/].*|)\Z", re.DOTALL)
_ITEM_MISSING = "System.Management.Automation.ItemNotFoundException"
_ATTRIBUTES = {
    0x1: "ReadOnly",
    0x2: "Hidden",
    0x4: "System",
    0x10: "Directory",
    0x20: "Archive",
    0x80: "Normal",
    0x100: "Temporary",
    0x400: "ReparsePoint",
    0x800: "Compressed",
    0x1000: "Offline",
    0x2000: "NotContentIndexed",
    0x4000: "Encrypted",
}
_MODE = ((0x10, "d"), (0x20, "a"), (0x1, "r"), (0x2, "h"), (0x4, "s"))
TOO_LONG = "System.IO.PathTooLongException"
MAX_PATH, MAX_FOLDER = 260, 248  # .NET Framework, System.IO.PathTooLongException: both bounds exclude these numbers
_TOO_LONG_TEXT = (
    "The specified path, file name, or both are too long. The fully qualified file name must be less than 260 "
    "characters, and the directory name must be less than 248 characters."
)
# Win32 error -> the exception .NET raises for it, and its HRESULT's category in the provider's records
_EXCEPTIONS = {
    win.NOT_FOUND: "System.IO.FileNotFoundException",
    win.PATH_NOT_FOUND: "System.IO.DirectoryNotFoundException",
    win.ACCESS_DENIED: "System.UnauthorizedAccessException",
    win.WRITE_PROTECT: "System.IO.IOException",
    win.INVALID_NAME: "System.ArgumentException",
    win.NAME_TOO_LONG: TOO_LONG,
}
_DENIED = frozenset({win.ACCESS_DENIED})
_WRITING = frozenset({win.WRITE_PROTECT, win.DISK_FULL, win.SHARING_VIOLATION, win.DIR_NOT_EMPTY})


def provider_path(call: Call, path: str) -> str:
    """A path without the provider's name; a drive of another provider is not simulated, an unknown one not found."""
    bare = _PREFIX.sub("", path, count=1)
    if not call.runspace.sees_provider("FileSystem"):  # assumed: a drive that a role does not show is not found
        raise missing_drive(call, call.runspace.location[0] if bare[1:2] != ":" else bare[0])
    own = _ANY_DRIVE.match(bare)
    root = next((path for name, path in call.runspace.drives.items() if own and name.lower() == own[1].lower()), None)
    if own and root is not None:
        bare = child(root, own[2].lstrip("\\/")) if own[2].strip("\\/") else root
    other = _OTHER_DRIVE.match(bare)
    if other:
        known = {"alias", "cert", "env", "function", "hklm", "hkcu", "registry", "variable", "wsman"}
        if other[1].lower() in known:
            raise call.refuse(f"the drive {other[1]}: of another provider than the file system")
        raise missing_drive(call, other[1])
    return bare.replace("/", "\\") if not bare.startswith("\\\\?\\") else bare


def registry_path(call: Call, path: str) -> str | None:
    """The key that a path means ('HKLM:\\...', 'Registry::HKEY_...'); None for a path of the file system."""
    found = re.match(r"([A-Za-z]+):\\?(.*)", path)
    if _REGISTRY.match(path):
        if not call.runspace.sees_provider("Registry"):  # named outright: no drive is looked for
            kind = "System.Management.Automation.ProviderNotFoundException"
            words = "Cannot find a provider with the name 'Registry'."
            raise call.fail(words, "ProviderNotFound", "ObjectNotFound", target="Registry", exception=kind)
        return _REGISTRY.sub("", path).rstrip("\\")
    if found is None or found[1].lower() not in HIVES:
        return None
    if not call.runspace.sees_provider("Registry"):
        raise missing_drive(call, found[1])
    return f"{HIVES[found[1].lower()]}\\{found[2]}".rstrip("\\")


def as_asked(stat: FileStat, path: str) -> FileStat:
    r"""What is known of an item, under the spelling \\?\X:\... when it was asked for so."""
    return replace(stat, path=path) if _LITERAL.match(path) else stat


def missing_drive(call: Call, name: str) -> PowerShellError:
    """The error for a path on a drive that there is not."""
    words = text("DriveNotFound", call.language, name)
    return call.fail(words, "DriveNotFound", "ObjectNotFound", target=name,
                     exception="System.Management.Automation.DriveNotFoundException")  # fmt: skip


def absolute(call: Call, path: str) -> str:
    r"""The full path, for messages and objects: against the session's location, dots resolved; \\?\X:\ stays."""
    if _LITERAL.match(path):
        return path
    try:
        return call.files.locate(path).path
    except WinError:
        if re.match(r"[A-Za-z]:\\|\\\\", path):
            return path
        return child(call.runspace.location, path)


def too_long(path: str, *, folder: bool = False) -> bool:
    r"""True for a path that .NET Framework takes no longer; one that begins with \\?\ has no such bound."""
    return len(path) >= (MAX_FOLDER if folder else MAX_PATH) and not path.startswith("\\\\?\\")


def report_too_long(call: Call, path: str, error_id: str, category: str = "InvalidArgument") -> None:
    """The provider's error for such a path; it does not end the statement."""
    call.error(_TOO_LONG_TEXT, error_id, category, target=path, exception=TOO_LONG, hresult=-2147024690)


def not_found(call: Call, path: str) -> None:
    """Report the usual error for a missing path, or for a missing drive; both do not end the statement."""
    full = absolute(call, path)
    if too_long(full):
        report_too_long(call, full, "ItemExistsPathTooLongError")
    drive = re.match(r"([A-Za-z]):", full)
    if drive and call.host.volumes.by_path(drive[0]) is None and not call.files.exists(f"{drive[1]}:\\"):
        call.report(missing_drive(call, drive[1]).info)
        return
    call.error(text("PathNotFound", call.language, full), "PathNotFound", "ObjectNotFound", target=full,
               exception=_ITEM_MISSING, facts={"ItemName": full})  # fmt: skip


def exists(call: Call, path: str) -> bool:
    """True when the provider finds an item there."""
    return call.files.exists(path)


def expand(call: Call, patterns: list[str], *, literal: bool, hidden: bool = False) -> Iterator[str]:
    """The existing items that paths mean; wildcards may stand in any part. A missing one is reported and left out."""
    for each in patterns:
        path = provider_path(call, each)
        if literal or not has_wildcard(path):
            if not literal:
                path = re.sub(r"`(.)", r"\1", path)
            if exists(call, path):
                yield path
            else:
                not_found(call, path)
        else:
            yield from glob(call, path, hidden=hidden)


def glob(call: Call, pattern: str, *, hidden: bool = False) -> Iterator[str]:
    """The items that match a pattern with wildcards, in the order of the folders."""
    segments = [each for each in pattern.split("\\") if each]
    if not segments:
        return
    if pattern.startswith(("\\\\?\\", "\\\\.\\")):
        return  # a wildcard cannot stand in a device path: nothing matches
    if pattern.startswith("\\\\"):
        start = ["\\\\" + "\\".join(segments[:2])]
        segments = segments[2:]
    elif re.fullmatch(r"[A-Za-z]:", segments[0]):
        start = [segments[0] + "\\"]
        segments = segments[1:]
    else:
        start = [call.runspace.location[:3] if pattern.startswith("\\") else call.runspace.location]
    for position, segment in enumerate(segments):
        start = list(_matching(call, start, segment, last=position == len(segments) - 1, hidden=hidden))
    yield from start


def _matching(call: Call, folders: list[str], segment: str, *, last: bool, hidden: bool) -> Iterator[str]:
    for folder in folders:
        call.check_stop()
        if not has_wildcard(segment):
            path = child(folder, segment)
            if call.files.exists(path):
                yield absolute(call, path)
            continue
        wanted = Wildcard(segment)
        try:
            entries = call.files.listdir(folder)
        except WinError:
            continue
        for each in entries:
            if wanted.matches(each.name) and (last or each.is_dir) and (hidden or not each.attributes & 0x2):
                yield each.path


def kept(name: str, include: list[str], exclude: list[str], name_filter: str | None) -> bool:
    """True when -Include, -Exclude and -Filter let a name through."""
    if name_filter is not None and not wildcard_match(name, name_filter):
        return False
    if include and not any(Wildcard(each).matches(name) for each in include):
        return False
    return not any(Wildcard(each).matches(name) for each in exclude)


# -- objects -----------------------------------------------------------------------------------------------------------
def drive_notes(call: Call, path: str) -> dict[str, Any]:
    """The notes PSDrive and PSProvider of everything the provider hands out."""
    provider = Obj(
        ("System.Management.Automation.ProviderInfo", "System.Object"),
        {"ImplementingType": "Microsoft.PowerShell.Commands.FileSystemProvider",
         "HelpFile": "System.Management.Automation.dll-Help.xml", "Name": "FileSystem",
         "PSSnapIn": "Microsoft.PowerShell.Core", "ModuleName": "Microsoft.PowerShell.Core", "Module": None,
         "Description": "", "Capabilities": "Filter, ShouldProcess, Credentials", "Home": call.runspace.location[:-10],
         "Drives": [f"{each.letter}" for each in call.host.volumes if each.letter]},
        text=PROVIDER, deep=True)  # fmt: skip
    volume = call.host.volumes.by_path(path[:2])
    if volume is None:
        return {"PSProvider": provider}
    drive = Obj(
        ("System.Management.Automation.PSDriveInfo", "System.Object"),
        {"CurrentLocation": call.runspace.location[3:] if volume.letter == "C" else "", "Name": volume.letter,
         "Provider": PROVIDER, "Root": volume.display, "Description": volume.label, "MaximumSize": None,
         "Credential": "System.Management.Automation.PSCredential", "DisplayRoot": None},
        {"Used": U64(volume.used()), "Free": U64(volume.free())}, text=volume.letter, deep=True)  # fmt: skip
    return {"PSDrive": drive, "PSProvider": provider}


def item_notes(call: Call, path: str, *, folder: bool | None = None) -> dict[str, Any]:
    """PSPath, PSParentPath, PSChildName, PSDrive, PSProvider (and PSIsContainer for items)."""
    above, _, name = path.rstrip("\\").rpartition("\\")
    above = above + "\\" if above.endswith(":") else above
    notes: dict[str, Any] = {"PSPath": f"{PROVIDER}::{path}", "PSParentPath": f"{PROVIDER}::{above}" if above else "",
                             "PSChildName": name or path}  # fmt: skip
    notes |= drive_notes(call, path)
    if folder is not None:
        notes["PSIsContainer"] = folder
    return notes


def attributes_of(bits: int) -> EnumValue:
    """System.IO.FileAttributes of attribute bits."""
    names = [name for bit, name in _ATTRIBUTES.items() if bits & bit]
    return EnumValue(", ".join(names) or "0", bits, "System.IO.FileAttributes")


def has_attributes(call: Call, bits: int, expression: str) -> bool:
    """True when attribute bits satisfy -Attributes: names joined by + (and), by commas (or), ! before one for not.

    Source: Get-ChildItem, -Attributes.
    """
    known = {name.lower(): bit for bit, name in _ATTRIBUTES.items()}
    short = {"d": "directory", "h": "hidden", "r": "readonly", "s": "system", "a": "archive"}
    for either in expression.split(","):
        parts = [each.strip().lower() for each in either.split("+")]
        names = [short.get(each.removeprefix("!").strip(), each.removeprefix("!").strip()) for each in parts]
        unknown = next((each for each in names if each not in known), None)
        if unknown is not None:
            raise call.refuse(f"the attribute {unknown} in Get-ChildItem -Attributes")
        pairs = zip(parts, names, strict=True)
        if all(bool(bits & known[name]) != part.startswith("!") for part, name in pairs):
            return True
    return False


def mode_of(bits: int) -> str:
    """The Mode column: 'd-----', '-a----' (5.1: six places, the last for links)."""
    letters = "".join(letter if bits & bit else "-" for bit, letter in _MODE)
    return letters + ("l" if bits & 0x400 else "-")


def root_of(path: str) -> str:
    r"""The root of a full path: 'C:\', '\\host\share', or the device's."""
    if path.startswith(("\\\\?\\", "\\\\.\\")):
        return "\\".join(path.split("\\")[:4]) + "\\"
    return "\\".join(path.split("\\")[:4]) if path.startswith("\\\\") else path[:3]


def link_type(stat: FileStat) -> str | None:
    """The LinkType of 5.1: Junction (mount points too), SymbolicLink, or null."""
    if stat.link_target is None:
        return None
    return "Junction" if stat.junction else "SymbolicLink"


def item(call: Call, stat: FileStat) -> Obj:
    """A FileInfo or DirectoryInfo with the notes the provider adds."""
    path, folder = stat.path, stat.is_dir
    above, _, _ = path.rstrip("\\").rpartition("\\")
    above = above + "\\" if above.endswith(":") else above
    base, dot, extension = stat.name.rpartition(".")
    suffix = f".{extension}" if dot else ""
    own: dict[str, Any] = {"Name": stat.name}
    if folder:
        own |= {
            "FullName": path,
            "Parent": above.rstrip("\\").rpartition("\\")[2] or above,
            "Exists": True,
            "Root": root_of(path),
            "Extension": suffix,
        }
    else:
        own |= {
            "Length": I64(stat.length),
            "DirectoryName": above,
            "Directory": above,
            "IsReadOnly": bool(stat.attributes & 1),
            "Exists": True,
            "FullName": path,
            "Extension": suffix,
        }
    for name, moment in (
        ("CreationTime", stat.created),
        ("LastAccessTime", stat.accessed),
        ("LastWriteTime", stat.modified),
    ):
        own |= {name: call.host.clock.local(moment), f"{name}Utc": moment}
    own["Attributes"] = attributes_of(stat.attributes)
    notes = item_notes(call, path, folder=folder)
    notes |= {"Mode": mode_of(stat.attributes), "BaseName": stat.name if folder or not dot else base,
              "Target": [] if stat.link_target is None else [stat.link_target],
              "LinkType": link_type(stat)}  # fmt: skip
    if not folder:
        notes["VersionInfo"] = f"File:             {path}\r\n"
    kind = "Directory" if folder else "File"
    types = (f"System.IO.{kind}Info", "System.IO.FileSystemInfo", "System.MarshalByRefObject", "System.Object")
    return Obj(types, own, notes, text=stat.name, source=stat)


# -- failures ----------------------------------------------------------------------------------------------------------
def failure(call: Call, problem: WinError, error_id: str, path: str, *, category: str | None = None) -> dict[str, Any]:
    """The arguments of `Call.error` for a failed call of Windows, as the provider reports it."""
    exception = _EXCEPTIONS.get(problem.code, "System.IO.IOException")
    if problem.code in _DENIED:
        message, kind = text("AccessDenied", call.language, absolute(call, path)), "PermissionDenied"
    else:
        message = problem.localized(call.language)
        kind = (
            "WriteError"
            if problem.code in _WRITING
            else "InvalidArgument"
            if problem.code == win.INVALID_NAME
            else "NotSpecified"
        )
        if problem.code in {win.NOT_FOUND, win.PATH_NOT_FOUND}:
            kind = "ObjectNotFound"
            message = _missing_text(problem.code, absolute(call, path))
        if problem.code == win.NAME_TOO_LONG:
            message, kind = _TOO_LONG_TEXT, "InvalidArgument"
    return {"message": message, "error_id": error_id, "category": category or kind, "target": absolute(call, path),
            "exception": exception, "hresult": problem.hresult - 0x100000000}  # fmt: skip


def _missing_text(code: int, path: str) -> str:
    """What .NET says; these texts of the Framework exist in English only as far as the laboratory goes."""
    return (
        f"Could not find a part of the path '{path}'."
        if code == win.PATH_NOT_FOUND
        else f"Could not find file '{path}'."
    )


def path_info(call: Call, path: str) -> Obj:
    """A PathInfo of Resolve-Path."""
    drive = call.host.volumes.by_path(path[:2])
    own = {"Drive": drive.letter if drive else None, "Provider": PROVIDER, "ProviderPath": path, "Path": path}
    return Obj(("System.Management.Automation.PathInfo", "System.Object"), own, text=path)
