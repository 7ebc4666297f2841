# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks and partitions: Get-Disk, Get-Partition, Add-/Remove-PartitionAccessPath, Get-StorageJob.

Source: the Storage reference; MSFT_Partition's return values (AddAccessPath, RemoveAccessPath).  Assumed: every local
volume is partition 2 of a GPT disk of its own, behind a reserved partition of 16 MB; the disk of C: is number 0.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vsslab.windows.errors import WinError
from vsslab.windows.skeleton import mount_at
from vsslab.windows.volumes import Volume

from .. import cdxml
from .. import ciminstances as ci
from ..command import Call, command
from ..values import U16, U32, U64, Char, Obj

_RESERVED, _ALIGNMENT = 16 << 20, 1 << 20
_BASIC_DATA = "{ebd0a0a2-b9e5-4433-87c0-68b6b72699c7}"
_PARTITION, _DISK = "MSFT_Partition", "MSFT_Disk"
_IN_USE, _NOT_VALID, _DENIED = 42002, 42007, 40001
_WORDS = {_IN_USE: "The requested access path is already in use.", _NOT_VALID: "The access path is not valid.",
          _DENIED: "Access denied"}  # fmt: skip
_CHANGING = (
    "DiskId",
    "Offset",
    "DiskNumber",
    "PartitionNumber",
    "DriveLetter",
    "InputObject",
    "AccessPath",
    "PassThru",
    "WhatIf",
    "Confirm",
)


@dataclass(frozen=True)
class _Part:
    """One partition: its disk's number, its own number, and the volume on it."""

    disk: int
    volume: Volume

    number = 2

    @property
    def disk_id(self) -> str:
        return f"\\\\?\\Disk{{{uuid.uuid5(uuid.UUID(self.volume.guid), 'disk')}}}"

    @property
    def offset(self) -> int:
        return _RESERVED + _ALIGNMENT

    @property
    def disk_size(self) -> int:
        return self.volume.capacity + self.offset + _ALIGNMENT


def _parts(call: Call) -> list[_Part]:
    fixed = [each for each in call.host.volumes if each.drive_type == 3]
    fixed.sort(key=lambda each: not each.boot)
    return [_Part(number, each) for number, each in enumerate(fixed)]


def disk_object(part: _Part) -> Obj:
    """An MSFT_Disk."""
    own: dict[str, Any] = {
        "DiskNumber": U32(part.disk), "Number": U32(part.disk), "FriendlyName": "Msft Virtual Disk",
        "SerialNumber": f"{part.volume.serial:08X}", "UniqueId": part.disk_id, "Path": part.disk_id,
        "BusType": cdxml.enum_value("SAS", 10, "Disk.BusType"),
        "HealthStatus": cdxml.enum_value("Healthy", 0, "Disk.HealthStatus"),
        "OperationalStatus": cdxml.enum_value("Online", 0xD010, "Disk.OperationalStatus"),
        "PartitionStyle": cdxml.enum_value("GPT", 2, "Disk.PartitionStyle"), "NumberOfPartitions": U32(2),
        "Size": U64(part.disk_size), "AllocatedSize": U64(part.disk_size), "LargestFreeExtent": U64(0),
        "LogicalSectorSize": U32(512), "PhysicalSectorSize": U32(4096), "IsBoot": part.volume.boot,
        "IsSystem": part.volume.system, "IsOffline": False, "IsReadOnly": False, "IsClustered": False,
        "Guid": f"{{{uuid.uuid5(uuid.UUID(part.volume.guid), 'gpt')}}}", "ProvisioningType": U16(2),
    }  # fmt: skip
    return cdxml.instance(_DISK, cdxml.STORAGE, own, part, "UniqueId")


def partition_object(part: _Part) -> Obj:
    """An MSFT_Partition with data."""
    volume = part.volume
    own: dict[str, Any] = {
        "DiskNumber": U32(part.disk), "PartitionNumber": U32(part.number), "DiskId": part.disk_id,
        "DriveLetter": Char(volume.letter or "\0"), "AccessPaths": list(volume.names), "Offset": U64(part.offset),
        "Size": U64(volume.capacity), "Guid": f"{{{volume.guid}}}", "GptType": _BASIC_DATA, "Type": "Basic",
        "IsActive": False, "IsBoot": volume.boot, "IsHidden": False, "IsOffline": False, "IsReadOnly": False,
        "IsShadowCopy": False, "IsSystem": volume.system, "NoDefaultDriveLetter": False,
        "OperationalStatus": cdxml.enum_value("Online", 1, "Partition.OperationalStatus"), "UniqueId": volume.guid,
    }  # fmt: skip
    return cdxml.instance(_PARTITION, cdxml.STORAGE, own, part, "DiskId")


@command("Get-Disk", only=("Number", "UniqueId", "FriendlyName", "SerialNumber", "Path", "Partition"))
def get_disk(call: Call) -> None:
    """Disks by number or name, or all of them."""
    everything = _parts(call)
    if call.has("Partition"):
        everything = [each for each in everything if each == call.get("Partition").source]
    found = cdxml.chosen(
        call,
        _DISK,
        everything,
        {
            "Number": lambda each: each.disk,
            "UniqueId": lambda each: each.disk_id,
            "Path": lambda each: each.disk_id,
            "FriendlyName": lambda _each: "Msft Virtual Disk",
            "SerialNumber": lambda each: f"{each.volume.serial:08X}",
        },
    )
    for each in found:
        call.write(disk_object(each))


def _selected(call: Call) -> list[_Part]:
    if call.has("InputObject"):
        return [each.source for each in call.get("InputObject") if isinstance(each.source, _Part)]
    return cdxml.chosen(call, _PARTITION, _parts(call), {
        "DiskNumber": lambda each: each.disk, "PartitionNumber": lambda each: each.number,
        "DriveLetter": lambda each: each.volume.letter or "", "DiskId": lambda each: each.disk_id,
        "Offset": lambda each: each.offset, "UniqueId": lambda each: each.volume.guid})  # fmt: skip


@command("Get-Partition", only=("DiskNumber", "PartitionNumber", "DriveLetter", "DiskId", "Offset", "UniqueId", "Disk",
                                "Volume"))  # fmt: skip
def get_partition(call: Call) -> None:
    """The partitions that hold volumes; the reserved ones are not shown."""
    found = _selected(call)
    for name in ("Disk", "Volume"):
        if call.has(name):
            source = call.get(name).source
            wanted = source.volume if isinstance(source, _Part) else source
            found = [each for each in found if each.volume is wanted]
    for each in found:
        call.write(partition_object(each))


def _failed(call: Call, code: int) -> None:
    call.error(
        _WORDS[code],
        f"StorageWMI {code}",
        "PermissionDenied" if code == _DENIED else "NotSpecified",
        exception=ci.EXCEPTION,
        target_name="StorageWMI:",
        target_type="ROOT/Microsoft/..._Partition",
    )


def _change(call: Call, act: Callable[[Call, Volume], int]) -> None:
    """Change every partition that is meant; `act` answers with a code of StorageWMI, 0 for success."""
    for part in _selected(call):
        if not call.should_process():
            continue
        code = act(call, part.volume) if call.user.administrator else _DENIED
        if code:
            _failed(call, code)
        elif call.flag("PassThru"):
            call.write(partition_object(part))


@command("Add-PartitionAccessPath", only=(*_CHANGING, "AssignDriveLetter"))
def add_access_path(call: Call) -> None:
    """A drive letter or an empty folder for a volume."""
    _change(call, _add)


def _add(call: Call, volume: Volume) -> int:
    path = call.get("AccessPath", "")
    if call.flag("AssignDriveLetter") and not path:
        taken = set(call.host.files.names.letters())
        path = next(f"{each}:" for each in "DEFGHIJKLMNOPQRSTUVWXYZ" if each not in taken)
    letter = re.fullmatch(r"([A-Za-z]):\\?", path)
    if letter:
        if letter[1].upper() in call.host.files.names.letters() or volume.letter:
            return _IN_USE
        volume.letter = letter[1].upper()
        return 0
    files = call.host.files
    try:
        if files.stat(path).link_target is not None:
            return _IN_USE
        if not files.is_dir(path) or files.listdir(path):
            return _NOT_VALID
        mount_at(call.host, volume, path)
    except WinError:
        return _NOT_VALID
    return 0


@command("Remove-PartitionAccessPath", only=_CHANGING)
def remove_access_path(call: Call) -> None:
    """Take a drive letter or a mount folder away from a volume; the folder stays."""
    _change(call, _remove)


def _remove(call: Call, volume: Volume) -> int:
    path = call.get("AccessPath", "").rstrip("\\").upper()
    if volume.letter and path == f"{volume.letter}:":
        if volume.boot or volume.pagefile:
            return _IN_USE
        volume.letter = None
        return 0
    mount = next((each for each in volume.mounts if each.rstrip("\\").upper() == path), None)
    if mount is None:
        return _NOT_VALID
    call.host.files.rmdir(mount.rstrip("\\"))
    call.host.files.mkdir(mount.rstrip("\\"))
    volume.mounts[:] = [each for each in volume.mounts if each != mount]
    return 0


@command("Get-StorageJob", only=("UniqueId", "JobState", "Name", "StoragePool", "VirtualDisk", "Volume", "Disk",
                                 "StorageSubsystem"))  # fmt: skip
def get_storage_job(call: Call) -> None:
    """No job of the storage runs on these hosts, ever: nothing as output; one that is named is not found."""
    for name in ("Name", "UniqueId"):
        for each in call.texts(name):
            cdxml.not_found(call, "MSFT_StorageJob", name, each)
