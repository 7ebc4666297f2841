# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What VSS answers when it fails, and what to do about it.

Sources: vsserror.h and the Win32 documentation of IVssBackupComponents (HRESULTs), the documentation of
Win32_ShadowCopy.Create and Revert and Win32_ShadowStorage.Create (return codes), robocopy's documentation (exit codes).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any


class VssFailure(Exception):
    """What went wrong, in one sentence that names the host and what to do; details go into the module's result."""

    def __init__(self, sentence: str, **details: Any) -> None:
        super().__init__(sentence)
        self.details: dict[str, Any] = details


class ToDo(str, Enum):
    """What a failure asks for."""

    WAIT = "wait"  # someone else is at work: try again within the time allowed
    REDO = "redo"  # load or chance: a later run may well succeed
    FIX = "fix"  # something on the host has to be put right first
    STOP = "stop"  # asked for something that cannot be


@dataclass(frozen=True)
class Code:
    """One code: its number, name, meaning, what it asks for and a sentence of advice."""

    number: int
    name: str
    meaning: str
    todo: ToDo
    advice: str

    @property
    def hex(self) -> str:
        """The number as Windows prints an HRESULT."""
        return f"0x{self.number:08X}"

    def sentence(self) -> str:
        """Meaning, code and advice, for the end of a message."""
        return f"{self.meaning} ({self.name}, {self.hex}). {self.advice}"


WAIT, REDO, FIX, STOP = ToDo.WAIT, ToDo.REDO, ToDo.FIX, ToDo.STOP

_LATER = "Run it again when the host is less busy."
_LOGS = "Look at the VSS and volsnap events of that time on the host."
_SPACE = "Free space on the storage volume or raise the shadow storage maximum."
_REPORT = "This is a fault of the program that asked: please report it."
_DISKS = "Check the disks and the hardware provider of the host."

# fmt: off
_HRESULTS: tuple[tuple[int, str, str, ToDo, str], ...] = (
    (0x80042301, "VSS_E_BAD_STATE", "VSS was called out of sequence", STOP, _REPORT),
    (0x80042302, "VSS_E_UNEXPECTED", "VSS met an unexpected error", REDO, _LOGS),
    (0x80042303, "VSS_E_PROVIDER_ALREADY_REGISTERED", "The provider is registered already", STOP, _REPORT),
    (0x80042304, "VSS_E_PROVIDER_NOT_REGISTERED", "The provider is not registered", FIX,
     "Repair or remove the provider; `vssadmin list providers` shows what is there."),
    (0x80042306, "VSS_E_PROVIDER_VETO", "The shadow copy provider refused", FIX,
     "Look at the volsnap events: most often storage is short or the file system unusual."),
    (0x80042307, "VSS_E_PROVIDER_IN_USE", "The provider is in use", REDO, _LATER),
    (0x80042308, "VSS_E_OBJECT_NOT_FOUND", "The volume or shadow copy was not found", STOP,
     "Check that the volume is local and still there."),
    (0x8004230C, "VSS_E_VOLUME_NOT_SUPPORTED", "No provider supports this volume", STOP,
     "Leave the volume out: shadow copies need a local fixed NTFS or ReFS volume."),
    (0x8004230D, "VSS_E_OBJECT_ALREADY_EXISTS", "The object exists already", STOP, _REPORT),
    (0x8004230E, "VSS_E_VOLUME_NOT_SUPPORTED_BY_PROVIDER", "The provider does not support this volume", STOP,
     "Leave the volume out or choose another provider."),
    (0x8004230F, "VSS_E_UNEXPECTED_PROVIDER_ERROR", "The provider met an unexpected error", REDO, _LOGS),
    (0x80042310, "VSS_E_CORRUPT_XML_DOCUMENT", "A metadata document is corrupt", FIX, _LOGS),
    (0x80042311, "VSS_E_INVALID_XML_DOCUMENT", "A metadata document is invalid", FIX, _LOGS),
    (0x80042312, "VSS_E_MAXIMUM_NUMBER_OF_VOLUMES_REACHED", "Too many volumes in one set", STOP,
     "Ask for at most 64 volumes at a time."),
    (0x80042313, "VSS_E_FLUSH_WRITES_TIMEOUT", "A volume could not be flushed in time", REDO, _LATER),
    (0x80042314, "VSS_E_HOLD_WRITES_TIMEOUT", "Writes could not be held in time (10 seconds)", REDO, _LATER),
    (0x80042315, "VSS_E_UNEXPECTED_WRITER_ERROR", "VSS had trouble talking to the writers", REDO, _LOGS),
    (0x80042316, "VSS_E_SNAPSHOT_SET_IN_PROGRESS", "Another shadow copy is being created", WAIT,
     "Wait for the other backup program or raise `timeout`."),
    (0x80042317, "VSS_E_MAXIMUM_NUMBER_OF_SNAPSHOTS_REACHED", "The volume holds as many shadow copies as it may", FIX,
     "Remove shadow copies that are no longer needed."),
    (0x80042318, "VSS_E_WRITER_INFRASTRUCTURE", "The writers' infrastructure does not work", FIX,
     "Restart the services EventSystem and VSS, else the host."),
    (0x80042319, "VSS_E_WRITER_NOT_RESPONDING", "A writer did not answer", REDO,
     "Restart the writer's service if it stays silent."),
    (0x8004231A, "VSS_E_WRITER_ALREADY_SUBSCRIBED", "The writer is subscribed already", STOP, _REPORT),
    (0x8004231B, "VSS_E_UNSUPPORTED_CONTEXT", "This kind of shadow copy is not supported here", STOP,
     "Use another engine or consistency."),
    (0x8004231D, "VSS_E_VOLUME_IN_USE", "The volume is in use", REDO, _LATER),
    (0x8004231E, "VSS_E_MAXIMUM_DIFFAREA_ASSOCIATIONS_REACHED", "Too many storage associations", FIX,
     "Remove a shadow storage association."),
    (0x8004231F, "VSS_E_INSUFFICIENT_STORAGE", "There is no room for the shadow copy", FIX, _SPACE),
    (0x80042320, "VSS_E_NO_SNAPSHOTS_IMPORTED", "No shadow copy was imported", STOP, _DISKS),
    (0x80042321, "VSS_E_SOME_SNAPSHOTS_NOT_IMPORTED", "Some shadow copies were not imported", STOP, _DISKS),
    (0x80042322, "VSS_E_MAXIMUM_NUMBER_OF_REMOTE_MACHINES_REACHED", "Too many remote machines", STOP,
     "Ask for fewer shares at a time."),
    (0x80042323, "VSS_E_REMOTE_SERVER_UNAVAILABLE", "The file server's VSS agent does not answer", REDO, _LATER),
    (0x80042324, "VSS_E_REMOTE_SERVER_UNSUPPORTED", "The file server has no VSS agent", STOP,
     "Run on the file server itself."),
    (0x80042325, "VSS_E_REVERT_IN_PROGRESS", "A volume is being reverted", WAIT, "Wait until the revert has ended."),
    (0x80042326, "VSS_E_REVERT_VOLUME_LOST", "The volume was lost while it was reverted", FIX, _DISKS),
    (0x80042327, "VSS_E_REBOOT_REQUIRED", "The host has to be restarted first", FIX, "Restart the host."),
    (0x80042328, "VSS_E_TRANSACTION_FREEZE_TIMEOUT", "Transactions could not be frozen in time", REDO, _LATER),
    (0x80042329, "VSS_E_TRANSACTION_THAW_TIMEOUT", "Transactions could not be thawed in time", REDO, _LATER),
    (0x8004232A, "VSS_E_UNSELECTED_VOLUME", "The volume is not part of the set", STOP, _REPORT),
    (0x8004232B, "VSS_E_SNAPSHOT_NOT_IN_SET", "The shadow copy is not part of the set", STOP, _REPORT),
    (0x8004232C, "VSS_E_NESTED_VOLUME_LIMIT", "The volume is nested too deeply in virtual disks", STOP,
     "Leave the volume out."),
    (0x8004232D, "VSS_E_VOLUME_NOT_LOCAL", "The volume is not local", STOP, "Run on the host that owns the volume."),
    (0x8004232E, "VSS_E_CLUSTER_TIMEOUT", "The cluster did not answer in time", REDO, _LATER),
    (0x8004232F, "VSS_E_NOT_SUPPORTED", "This is not supported", STOP, "Ask for something else."),
    (0x80042336, "VSS_E_WRITERERROR_PARTIAL_FAILURE", "Some components of a writer failed", FIX, _LOGS),
    (0x80042400, "VSS_E_CLUSTER_ERROR", "The cluster reported an error", REDO, _LOGS),
    (0x80042409, "VSS_E_WRITER_STATUS_NOT_AVAILABLE", "The writer's status is not available", REDO, _LATER),
    (0x80042417, "VSS_E_FSS_TIMEOUT", "The file server's VSS agent did not answer in time", REDO, _LATER),
    (0x800423F0, "VSS_E_WRITERERROR_INCONSISTENTSNAPSHOT", "The set lacks a volume that the writer needs", STOP,
     "Add the volumes on which the writer's data lies."),
    (0x800423F1, "VSS_E_WRITERERROR_OUTOFRESOURCES", "The writer ran out of resources", REDO,
     "Lower the load, then run it again in ten minutes."),
    (0x800423F2, "VSS_E_WRITERERROR_TIMEOUT", "The writer was frozen for too long", REDO,
     "Lower the load, then run it again in ten minutes."),
    (0x800423F3, "VSS_E_WRITERERROR_RETRYABLE", "The writer met an error that may pass", REDO,
     "Run it again in ten minutes; if it stays, restart the writer's service."),
    (0x800423F4, "VSS_E_WRITERERROR_NONRETRYABLE", "The writer met an error that will not pass by itself", FIX,
     "Read the application's own events and put it right."),
    (0x800423F5, "VSS_E_WRITERERROR_RECOVERY_FAILED", "The writer could not recover its data in the shadow copy", FIX,
     "Read the application's own events and put it right."),
    (0x800423F6, "VSS_E_BREAK_REVERT_ID_FAILED", "A disk identity could not be reverted", FIX, _DISKS),
    (0x800423F7, "VSS_E_LEGACY_PROVIDER", "The provider is too old for this", FIX, _DISKS),
    (0x800423F8, "VSS_E_MISSING_DISK", "A disk is missing", FIX, _DISKS),
    (0x800423F9, "VSS_E_MISSING_HIDDEN_VOLUME", "A hidden volume is missing", FIX, _DISKS),
    (0x800423FA, "VSS_E_MISSING_VOLUME", "A volume is missing", FIX, _DISKS),
    (0x800423FB, "VSS_E_AUTORECOVERY_FAILED", "The shadow copy could not be recovered by itself", FIX, _LOGS),
    (0x800423FC, "VSS_E_DYNAMIC_DISK_ERROR", "A dynamic disk reported an error", FIX, _DISKS),
    (0x800423FD, "VSS_E_NONTRANSPORTABLE_BCD", "The boot data cannot be transported", STOP, _DISKS),
    (0x800423FE, "VSS_E_CANNOT_REVERT_DISKID", "A disk identity cannot be reverted", FIX, _DISKS),
    (0x800423FF, "VSS_E_RESYNC_IN_PROGRESS", "Disks are being brought into step", WAIT, "Wait until that has ended."),
    (0x80070005, "E_ACCESSDENIED", "Access was denied", FIX,
     "Use an administrator with an elevated token; protective software may also have blocked it."),
    (0x80070057, "E_INVALIDARG", "An argument was invalid", STOP, _REPORT),
    (0x8000FFFF, "E_UNEXPECTED", "An unexpected error", REDO, _LOGS),
    (0x8007000E, "E_OUTOFMEMORY", "The host is out of memory", REDO, _LATER),
    (0x80004005, "E_FAIL", "An unspecified error", REDO, _LOGS),
    (0x80040154, "REGDB_E_CLASSNOTREG", "A COM class is not registered", FIX,
     "Repair the VSS installation or remove a dead provider."),
    (0x800401FB, "CO_E_OBJNOTREG", "A COM object is not registered", FIX, "Repair the VSS installation."),
    (0x8007045B, "ERROR_SHUTDOWN_IN_PROGRESS", "The host is shutting down", REDO, "Run it again after the restart."),
    (0x800706BA, "RPC_S_SERVER_UNAVAILABLE", "The VSS service could not be reached", REDO, _LOGS),
    (0x800706BE, "RPC_S_CALL_FAILED", "The VSS service broke off", REDO, _LOGS),
)

_RETURN_CODES: tuple[tuple[int, str, str, ToDo, str], ...] = (
    (1, "Access denied", "Access was denied", FIX, "Use an administrator with an elevated token."),
    (2, "Invalid argument", "An argument was invalid", STOP, _REPORT),
    (3, "Specified volume not found", "The volume was not found", STOP, "Check the volume's name."),
    (4, "Specified volume not supported", "No provider supports this volume", STOP,
     "Leave the volume out: shadow copies need a local fixed NTFS or ReFS volume."),
    (5, "Unsupported shadow copy context", "This kind of shadow copy is not supported here", STOP, _REPORT),
    (6, "Insufficient storage", "There is no room for the shadow copy", FIX, _SPACE),
    (7, "Volume is in use", "The volume is in use", REDO, _LATER),
    (8, "Maximum number of shadow copies reached", "The volume holds as many shadow copies as it may", FIX,
     "Remove shadow copies that are no longer needed."),
    (9, "Another shadow copy operation is already in progress", "Another shadow copy is being created", WAIT,
     "Wait for the other backup program or raise `timeout`."),
    (10, "Shadow copy provider vetoed the operation", "The shadow copy provider refused", FIX,
     "Look at the volsnap events: most often storage is short or the file system unusual."),
    (11, "Shadow copy provider not registered", "The provider is not registered", FIX, "Repair the provider."),
    (12, "Shadow copy provider failure", "The provider failed", REDO, _LOGS),
    (13, "Unknown error", "An unknown error", REDO, _LOGS),
)

_REVERT_CODES: tuple[tuple[int, str, str, ToDo, str], ...] = (
    (1, "Access denied", "Access was denied", FIX, "Use an administrator with an elevated token."),
    (2, "Invalid argument", "An argument was invalid", STOP, _REPORT),
    (3, "Specified volume not supported", "This volume cannot be reverted", STOP,
     "Restore its files out of the snapshot instead."),
    (4, "Volume is in use", "Programs have files open on the volume", FIX,
     "End them, or use force_dismount, which takes their files away from them."),
    (5, "Another operation in progress", "The volume is being reverted or shadowed already", WAIT, _LATER),
    (6, "Shadow copy provider vetoed the operation", "The shadow copy provider refused", FIX, _LOGS),
    (7, "Shadow copy provider not registered", "The provider is not registered", FIX, "Repair the provider."),
    (8, "Shadow copy provider failure", "The provider failed", REDO, _LOGS),
    (9, "Unknown error", "An unknown error", REDO, _LOGS),
)

_STORAGE_CODES: tuple[tuple[int, str, str, ToDo, str], ...] = (
    (1, "Access denied", "Access was denied", FIX, "Use an administrator with an elevated token."),
    (2, "Invalid argument", "An argument was invalid", STOP, "Use a larger maximum: 320 MiB or more."),
    (3, "Volume not found", "The volume was not found", STOP, "Check the volume's name."),
    (4, "Volume not supported", "This volume cannot have or hold a storage area", STOP,
     "Storage areas are on local NTFS volumes only."),
    (5, "Object already exists", "The volume has a storage area already", REDO, "Run it again."),
    (6, "Maximum number of diff areas reached", "The volume holds as many storage areas as it may", FIX,
     "Choose another volume."),
    (7, "Provider veto", "The shadow copy provider refused", FIX, _LOGS),
    (8, "Provider not registered", "The provider is not registered", FIX, "Repair the provider."),
    (9, "Provider failure", "The provider failed", REDO, _LOGS),
    (10, "Unknown error", "An unknown error", REDO, _LOGS),
    (11, "Insufficient storage", "There is no room for the storage area", FIX,
     "Free space on the volume that holds it."),
)

# fmt: on
HRESULTS: Mapping[int, Code] = {row[0]: Code(*row) for row in _HRESULTS}
RETURN_CODES: Mapping[int, Code] = {row[0]: Code(*row) for row in _RETURN_CODES}
REVERT_CODES: Mapping[int, Code] = {row[0]: Code(*row) for row in _REVERT_CODES}
STORAGE_CODES: Mapping[int, Code] = {row[0]: Code(*row) for row in _STORAGE_CODES}

_HEX = re.compile(r"(?:0[xX])?([0-9A-Fa-f]{8})$")


def number(value: int | str) -> int:
    """An HRESULT as an unsigned number, from a number of either sign or from its eight digits.

    :raises ValueError: the text is not an HRESULT.
    """
    if isinstance(value, int):
        return value & 0xFFFFFFFF
    found = _HEX.match(value.strip())
    if found is None:
        raise ValueError(f"{value!r} is not an HRESULT.")
    return int(found.group(1), 16)


def is_error(value: int) -> bool:
    """Whether an HRESULT means failure (its highest bit)."""
    return bool(number(value) & 0x80000000)


def hresult(value: int | str) -> Code:
    """What an HRESULT means; one that the table does not know is a thing to look up in the events."""
    code = number(value)
    return HRESULTS.get(code) or Code(code, "unknown code", "VSS failed with a code that has no name here", REDO, _LOGS)


def return_code(value: int) -> Code:
    """What a return code of Win32_ShadowCopy.Create means."""
    unknown = Code(value, "unknown return code", "Win32_ShadowCopy failed", REDO, _LOGS)
    return RETURN_CODES.get(value, unknown)


def revert_code(value: int) -> Code:
    """What a return code of Win32_ShadowCopy.Revert means."""
    unknown = Code(value, "unknown return code", "Win32_ShadowCopy failed", REDO, _LOGS)
    return REVERT_CODES.get(value, unknown)


def storage_code(value: int) -> Code:
    """What a return code of Win32_ShadowStorage.Create means."""
    unknown = Code(value, "unknown return code", "Win32_ShadowStorage failed", REDO, _LOGS)
    return STORAGE_CODES.get(value, unknown)


# volsnap events (System log) that say why shadow copies went away or could not be made (the driver's message table).
VOLSNAP: Mapping[int, str] = {
    8: "flushing and holding writes timed out",
    9: "flushing and holding writes timed out",
    13: "the shadow storage could not grow",
    14: "I/O failed on the storage volume",
    15: "memory was short",
    16: "the storage volume was dismounted",
    23: "there was not enough disk space to create the shadow copy",
    24: "there is not enough space for the shadow storage to grow",
    25: "shadow copies were deleted because their storage could not grow in time",
    32: "the storage volume is not present",
    33: "the oldest shadow copy was deleted to keep within the storage limit",
    35: "shadow copies were aborted because their storage failed to grow",
    36: "shadow copies were aborted because the storage limit set by the user was reached",
    58: "the oldest shadow copy was deleted to keep within the number limit",
    67: "the shadow copy failed to install",
}
LOST = frozenset({13, 14, 15, 16, 25, 32, 33, 35, 36, 58})
