# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changing files and folders: New-Item, Remove-Item, Move-Item, Copy-Item, Rename-Item.

Sources: the reference pages of Windows PowerShell 5.1 and its FileSystemProvider's error IDs, as reported in public.
Remove-Item of 5.1 cannot take a directory link away (it deletes junctions only): it fails on one, and asks before
it empties a folder without -Recurse.  A junction that leads to a folder with something in it is asked about too.
"""

from __future__ import annotations

import ntpath
from typing import Any

from vsslab.windows import errors as win
from vsslab.windows.errors import WinError
from vsslab.windows.fileio import FileStat
from vsslab.windows.paths import child
from vsslab.windows.registry import is_own

from .. import encodings
from .. import fileitems as fs
from ..command import Call, command
from ..errors import BAD_ARGUMENT, text
from ..values import Obj, text_of
from .items import named, targets

_PATHS = ("Path", "LiteralPath", "Filter", "Include", "Exclude", "Force", "WhatIf", "Confirm")
_IO = "System.IO.IOException"
_READ_ONLY, _HIDDEN, _SYSTEM = 0x1, 0x2, 0x4
_TAG_MISMATCH = "There is a mismatch between the tag specified in the request and the tag present in the reparse point"
_PROMPT = (
    "A command that prompts the user failed because the host program or the command type does not support "
    "user interaction. "
    "The host was attempting to request confirmation with the following message: The item at {0} has children and the "
    "Recurse parameter was not specified. If you continue, all children will be removed with the item. "
    "Are you sure you "
    "want to continue?"
)


def _report(call: Call, problem: WinError, path: str, io_id: str, denied_id: str) -> None:
    told = fs.failure(call, problem, denied_id if problem.code == win.ACCESS_DENIED else io_id, path)
    if problem.code != win.ACCESS_DENIED:
        told["category"] = "WriteError"
    call.error(**told)


# -- New-Item ----------------------------------------------------------------------------------------------------------
@command("New-Item", only=("Path", "Name", "ItemType", "Value", "Force", "WhatIf", "Confirm"))
def new_item(call: Call) -> None:
    """A folder (with the folders above it) or a file, and the item as output."""
    kind = str(call.get("ItemType", "File")).lower()
    for each in call.texts("Path") or [call.runspace.location]:
        key = fs.registry_path(call, each)
        if key is not None:
            _new_key(call, child(key, call.get("Name")) if call.has("Name") else key)
            continue
        path = fs.provider_path(call, each)
        path = fs.absolute(call, child(path, call.get("Name")) if call.has("Name") else path)
        if not call.should_process():
            continue
        if kind and "directory".startswith(kind):
            _new_folder(call, path)
        elif kind and "file".startswith(kind):
            _new_file(call, path)
        elif kind in {"symboliclink", "junction"}:
            _new_link(call, path, kind)
        elif kind == "hardlink":
            raise call.refuse("New-Item -ItemType HardLink")
        else:
            raise call.fail(
                'The type is not a known type for the file system. Only "file","directory" or "symboliclink" can be '
                "specified.",
                "Argument",
                "InvalidArgument",
                exception=BAD_ARGUMENT,
            )


def _new_key(call: Call, path: str) -> None:
    """A registry key, where programs may keep what is theirs."""
    if not is_own(path) or call.has("Value"):
        raise call.refuse(f"New-Item of the registry key {path}")
    if call.host.registry.find(path) is not None and not call.flag("Force"):
        call.error("A key in this path already exists.", "System.IO.IOException", "ResourceExists", target=path,
                   exception=_IO)  # fmt: skip
        return
    if path.upper().startswith("HKEY_LOCAL_MACHINE") and not call.user.administrator:
        call.error("Requested registry access is not allowed.", "System.Security.SecurityException", "PermissionDenied",
                   target=path, exception="System.Security.SecurityException")  # fmt: skip
        return
    if call.should_process():
        call.host.registry.create(path)
        kind = "Microsoft.Win32.RegistryKey"
        name = path.rpartition("\\")[2]
        call.write(
            Obj(
                (kind, "System.MarshalByRefObject", "System.Object"),
                {"Name": path},
                {"PSPath": f"Microsoft.PowerShell.Core\\Registry::{path}", "PSChildName": name},
                text=path,
            )
        )


def _drive_there(call: Call, path: str) -> bool:
    drive = ntpath.splitdrive(path)[0]
    if drive.endswith(":") and not call.files.exists(drive + "\\"):
        call.report(fs.missing_drive(call, drive[:-1]).info)
        return False
    return True


def _new_folder(call: Call, path: str) -> None:
    if not _drive_there(call, path):
        return
    if call.files.exists(path) and not (call.flag("Force") and call.files.is_dir(path)):
        call.error(
            text("ItemExists", call.language, path), "DirectoryExist", "ResourceExists", target=path, exception=_IO
        )
        return
    try:
        call.files.mkdir(path, parents=True)
    except WinError as problem:
        _report(call, problem, path, "CreateDirectoryIOError", "CreateDirectoryUnauthorizedAccessError")
        return
    call.write(fs.item(call, call.files.stat(path)))


def _new_link(call: Call, path: str, kind: str) -> None:
    """A link to an existing folder; one to a file or to a device is refused (5.1's way with it is not documented)."""
    target = text_of(call.get("Value", ""))
    if target.startswith(("\\\\?\\", "\\\\.\\")):
        raise call.refuse(f"New-Item -ItemType {call.get('ItemType')} to a device path")
    goal = fs.absolute(call, fs.provider_path(call, target)) if target else ""
    if not target or not call.files.exists(goal):
        fs.not_found(call, target or path)
        return
    if not call.files.is_dir(goal):
        raise call.refuse(f"New-Item -ItemType {call.get('ItemType')} to a file")
    try:
        if kind == "junction":
            call.files.junction(path, goal)
        else:
            call.files.symlink(path, target)
    except WinError as problem:
        if problem.code == win.PRIVILEGE_NOT_HELD:
            call.error("Administrator privilege required for this operation.", "NewItemSymbolicLinkElevationRequired",
                       "PermissionDenied", target=target, exception="System.UnauthorizedAccessException")  # fmt: skip
        elif problem.code == win.ALREADY_EXISTS:
            call.error(f"{path} already exists.", "NewItemIOError", "ResourceExists", target=path, exception=_IO)
        else:
            _report(call, problem, path, "NewItemIOError", "NewItemUnauthorizedAccessError")
        return
    call.write(fs.item(call, call.files.stat(path)))


def _new_file(call: Call, path: str) -> None:
    if not _drive_there(call, path):
        return
    if call.files.exists(path) and not call.flag("Force"):
        call.error(f"The file '{path}' already exists.", "NewItemIOError", "WriteError", target=path, exception=_IO)
        return
    data = encodings.named("UTF8", call.host.language).encode(text_of(call.get("Value", "")))
    try:
        if call.flag("Force"):
            call.files.mkdir(path.rpartition("\\")[0], parents=True)
        call.files.write(path, data)
    except WinError as problem:
        if problem.code == win.NAME_TOO_LONG:  # as reported in public: no PathTooLongException here
            problem = WinError(win.PATH_NOT_FOUND, path)
        _report(call, problem, path, "NewItemIOError", "NewItemUnauthorizedAccessError")
        return
    call.write(fs.item(call, call.files.stat(path)))


# -- Remove-Item -------------------------------------------------------------------------------------------------------
@command("Remove-Item", only=(*_PATHS, "Recurse"))
def remove_item(call: Call) -> None:
    """Files and folders gone; a folder that is not empty needs -Recurse, a protected item -Force."""
    for path in targets(call):
        full = fs.absolute(call, path)
        if not named(call, full) or not call.should_process():
            continue
        stat = fs.as_asked(call.files.stat(full), full)
        if stat.is_dir and not call.flag("Recurse") and _has_children(call, full):
            raise call.fail(_PROMPT.format(full), "HostFunctionNotImplemented", "NotImplemented", target=full,
                            exception="System.Management.Automation.Host.HostException")  # fmt: skip
        _remove(call, stat)


def _has_children(call: Call, path: str) -> bool:
    try:
        return bool(call.files.listdir(path))
    except WinError:
        return False


def _remove(call: Call, stat: FileStat) -> bool:
    """Remove one item; True when it is gone."""
    call.check_stop()
    if stat.junction:
        return _remove_junction(call, stat)
    if stat.is_dir and stat.link_target is not None:
        raise call.fail(_TAG_MISMATCH, "System.ComponentModel.Win32Exception", target=stat.path,
                        exception="System.ComponentModel.Win32Exception")  # fmt: skip
    if stat.attributes & (_READ_ONLY | _HIDDEN | _SYSTEM) and not stat.is_dir:
        if not call.flag("Force"):
            words = "You do not have sufficient access rights to perform this operation."
            return _stays(call, stat, words, denied=True)
        _clear(call, stat)
    try:
        if stat.is_dir:
            inside = [fs.as_asked(each, child(stat.path, each.name)) for each in call.files.listdir(stat.path)]
            gone = [_remove(call, each) for each in inside]
            if not all(gone):
                return _stays(call, stat, "The directory is not empty.")
            call.files.rmdir(stat.path)
        else:
            call.files.remove(stat.path)
    except WinError as problem:
        denied = problem.code == win.ACCESS_DENIED
        words = problem.localized(call.language) if not denied else text("AccessDenied", call.language, stat.path)
        return _stays(call, stat, words, denied=denied)
    return True


def _stays(call: Call, stat: FileStat, words: str, *, denied: bool = False) -> bool:
    """Report an item that was not removed; False, as `_remove` answers then."""
    error_id, category = (("RemoveFileSystemItemUnAuthorizedAccess", "PermissionDenied") if denied else
                          ("RemoveFileSystemItemIOError", "WriteError"))  # fmt: skip
    call.error(f"Cannot remove item {stat.path}: {words}", error_id, category, target=stat.path, exception=_IO)
    return False


def _remove_junction(call: Call, stat: FileStat) -> bool:
    """5.1 takes a junction away and leaves what it leads to alone."""
    if any(each.rstrip("\\").lower() == stat.path.lower() for volume in call.host.volumes for each in volume.mounts):
        raise call.refuse("Remove-Item of the folder in which a volume is mounted")
    try:
        call.files.rmdir(stat.path)
    except WinError as problem:
        _report(call, problem, stat.path, "DeleteJunctionFailed", "RemoveFileSystemItemUnAuthorizedAccess")
        return False
    return True


def _clear(call: Call, stat: FileStat) -> None:
    try:
        call.files.set_attributes(stat.path, stat.attributes & ~(_READ_ONLY | _HIDDEN | _SYSTEM))
    except WinError as problem:
        _report(call, problem, stat.path, "RemoveFileSystemItemIOError", "RemoveFileSystemItemUnAuthorizedAccess")


# -- Move-Item, Rename-Item --------------------------------------------------------------------------------------------
def _into(call: Call, source: str, destination: str) -> str:
    """The full target path: inside the destination when that is a folder."""
    goal = fs.absolute(call, fs.provider_path(call, destination))
    if destination.endswith("\\") or call.files.is_dir(goal):
        return child(goal, source.rstrip("\\").rpartition("\\")[2])
    return goal


@command("Move-Item", only=(*_PATHS, "Destination", "PassThru"))
def move_item(call: Call) -> None:
    """Move items; a file that is in the way is replaced with -Force only."""
    for path in targets(call):
        source = fs.absolute(call, path)
        if not named(call, source) or not call.should_process():
            continue
        folder = call.files.stat(source).is_dir
        goal = _into(call, source, call.get("Destination", "."))
        kind = "MoveDirectoryItem" if folder else "MoveFileInfoItem"
        try:
            _move(call, source, goal, folder=folder)
        except WinError as problem:
            if problem.code == win.NOT_SAME_DEVICE:
                call.error("Source and destination path must have identical roots. Move will not work across volumes.",
                           f"{kind}IOError", "WriteError", target=source, exception=_IO)  # fmt: skip
            else:
                _report(call, problem, source, f"{kind}IOError", f"{kind}UnauthorizedAccessError")
            continue
        if call.flag("PassThru"):
            call.write(fs.item(call, call.files.stat(goal)))


def _move(call: Call, source: str, goal: str, *, folder: bool) -> None:
    try:
        call.files.rename(source, goal, replace_existing=call.flag("Force") and not folder)
    except WinError as problem:
        if problem.code != win.NOT_SAME_DEVICE or folder:
            raise
        if call.files.exists(goal) and not call.flag("Force"):
            raise WinError(win.ALREADY_EXISTS, goal) from None
        call.files.copy(source, goal)
        call.files.remove(source)


@command("Rename-Item", only=(*_PATHS, "NewName", "PassThru"))
def rename_item(call: Call) -> None:
    """A new name in the same folder."""
    given = call.get("LiteralPath") or call.get("Path")
    source = fs.absolute(call, fs.provider_path(call, given))
    if not call.files.exists(source):
        call.error(f"Cannot rename because item at '{given}' does not exist.", "InvalidOperation", "InvalidOperation",
                   exception="System.Management.Automation.PSInvalidOperationException")  # fmt: skip
        return
    name = call.get("NewName")
    goal = name if "\\" in name else child(source.rpartition("\\")[0], name)
    if "\\" in name and fs.absolute(call, name).rpartition("\\")[0].lower() != source.rpartition("\\")[0].lower():
        call.error("Cannot rename the specified target, because it represents a path or device name.", "Argument",
                   "InvalidArgument", exception=BAD_ARGUMENT)  # fmt: skip
        return
    if not call.should_process():
        return
    try:
        call.files.rename(source, goal)
    except WinError as problem:
        _report(call, problem, source, "RenameItemIOError", "RenameItemUnauthorizedAccessError")
        return
    if call.flag("PassThru"):
        call.write(fs.item(call, call.files.stat(goal)))


# -- Copy-Item ---------------------------------------------------------------------------------------------------------
@command("Copy-Item", only=(*_PATHS, "Destination", "PassThru", "Recurse", "Container"))
def copy_item(call: Call) -> None:
    """Copy items; a folder without -Recurse is copied empty."""
    for path in targets(call):
        source = fs.absolute(call, path)
        if not named(call, source) or not call.should_process():
            continue
        goal = _into(call, source, call.get("Destination", "."))
        if goal.lower() == source.lower():
            call.error(
                f"Cannot overwrite the item {source} with itself.",
                "CopyError",
                "WriteError",
                target=source,
                exception=_IO,
            )
            continue
        _copy(call, call.files.stat(source), goal)
        if call.flag("PassThru") and call.files.exists(goal):
            call.write(fs.item(call, call.files.stat(goal)))


def _copy(call: Call, stat: FileStat, goal: str) -> None:
    call.check_stop()
    kind = "CopyDirectoryInfoItem" if stat.is_dir else "CopyFileInfoItem"
    try:
        if not stat.is_dir:
            if call.flag("Force") and call.files.exists(goal):
                _writable(call, goal)
            call.files.copy(stat.path, goal)
            return
        call.files.mkdir(goal, parents=True)
        inside: list[Any] = call.files.listdir(stat.path) if call.flag("Recurse") else []
    except WinError as problem:
        _report(call, problem, stat.path, f"{kind}IOError", f"{kind}UnauthorizedAccessError")
        return
    for each in inside:
        _copy(call, each, child(goal, each.name))


def _writable(call: Call, path: str) -> None:
    stat = call.files.stat(path)
    if stat.attributes & _READ_ONLY:
        call.files.set_attributes(path, stat.attributes & ~_READ_ONLY)
