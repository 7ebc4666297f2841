# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The things VSS is made of, as plain values.

Microsoft's words are kept for Microsoft's things: writer, provider, component, shadow copy (one volume), snapshot set
(one moment, several volumes), storage area. GUIDs are lower case and in braces everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Literal

Consistency = Literal["application", "crash"]

GUID = re.compile(r"\{([0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12})\}")
VOLUME_PATH = re.compile(r"\\\\[?.]\\Volume" + GUID.pattern + r"\\?", re.IGNORECASE)
DEVICE = re.compile(r"\\\\\?\\GLOBALROOT\\Device\\[A-Za-z]+\d+", re.IGNORECASE)

# VSS_WRITER_STATE (Win32 docs, vswriter.h): number -> the name diskshadow prints.
WRITER_STATES: Mapping[int, str] = {
    0: "VSS_WS_UNKNOWN",
    1: "VSS_WS_STABLE",
    2: "VSS_WS_WAITING_FOR_FREEZE",
    3: "VSS_WS_WAITING_FOR_THAW",
    4: "VSS_WS_WAITING_FOR_POST_SNAPSHOT",
    5: "VSS_WS_WAITING_FOR_BACKUP_COMPLETE",
    6: "VSS_WS_FAILED_AT_IDENTIFY",
    7: "VSS_WS_FAILED_AT_PREPARE_BACKUP",
    8: "VSS_WS_FAILED_AT_PREPARE_SNAPSHOT",
    9: "VSS_WS_FAILED_AT_FREEZE",
    10: "VSS_WS_FAILED_AT_THAW",
    11: "VSS_WS_FAILED_AT_POST_SNAPSHOT",
    12: "VSS_WS_FAILED_AT_BACKUP_COMPLETE",
    13: "VSS_WS_FAILED_AT_PRE_RESTORE",
    14: "VSS_WS_FAILED_AT_POST_RESTORE",
    15: "VSS_WS_FAILED_AT_BACKUPSHUTDOWN",
}
BUSY_STATES = frozenset({2, 3, 4})
FAILED_STATES = frozenset({0, *range(6, 16)})

# The kinds of shadow copy vssadmin names; no language of Windows translates them.
SHADOW_KINDS = (
    "ClientAccessibleWriters",
    "ClientAccessible",
    "ApplicationRollback",
    "DataVolumeRollback",
    "FileShareBackup",
    "Backup",
)

# VSS_PROVIDER_TYPE (Win32 docs).
PROVIDER_TYPES: Mapping[int, str] = {0: "unknown", 1: "system", 2: "software", 3: "hardware", 4: "file share"}

# Win32_ShadowCopy.State is VSS_SNAPSHOT_STATE; the table in the class's own documentation is out of date.
SHADOW_CREATED = 12

SHADOWABLE = frozenset({"NTFS", "REFS", "CSVFS"})  # file systems
FIXED = 3  # Win32_Volume.DriveType

# Win32_ShadowStorage.MaxSpace: everything from 2^63 - 1 on means UNBOUNDED.
UNBOUNDED = 2**63 - 1


def guid(text: str) -> str:
    """The GUID in text, lower case and in braces.

    :raises ValueError: text holds none.
    """
    found = GUID.search("{" + text.strip().removeprefix("{").removesuffix("}") + "}")
    if found is None:
        raise ValueError(f"{text!r} is not a GUID.")
    return "{" + found.group(1).lower() + "}"


def is_guid(text: str) -> bool:
    """Whether text is a GUID and nothing else, with or without braces."""
    bare = text.strip().removeprefix("{").removesuffix("}")
    return GUID.fullmatch("{" + bare + "}") is not None


def volume_id(text: str) -> str:
    r"""A volume's name in the one spelling used here: ``\\?\Volume{guid in lower case}\``."""
    return "\\\\?\\Volume" + guid(text) + "\\"


def iso(moment: datetime | None) -> str | None:
    """A moment as ISO 8601 in UTC with a Z, to the millisecond; None stays None."""
    if moment is None:
        return None
    return moment.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True)
class Volume:
    r"""A volume as Win32_Volume tells it. Sizes in bytes; name: the mount path (``D:\``) or else the GUID path."""

    id: str
    name: str
    letter: str | None = None
    label: str = ""
    file_system: str = ""
    drive_type: int = 0
    capacity: int | None = None
    free: int | None = None
    system: bool = False
    boot: bool = False
    pagefile: bool = False

    @property
    def display(self) -> str:
        """What a person calls it."""
        return self.name or self.id

    @property
    def unfit(self) -> str | None:
        """Why it cannot be shadowed, None when it can."""
        if self.drive_type != FIXED:
            return "is not a local fixed disk"
        if not self.file_system:
            return "has no file system"
        if self.file_system.upper() not in SHADOWABLE:
            return f"has the file system {self.file_system}, and shadow copies need NTFS or ReFS"
        return None

    def result(self) -> dict[str, Any]:
        """The volume as a module returns it."""
        return {
            "id": self.id,
            "name": self.display,
            "letter": self.letter,
            "label": self.label,
            "file_system": self.file_system or None,
            "drive_type": self.drive_type,
            "capacity": self.capacity,
            "free": self.free,
            "system": self.system,
            "boot": self.boot,
            "pagefile": self.pagefile,
        }


@dataclass(frozen=True)
class Provider:
    """A VSS provider."""

    id: str
    name: str
    version: str = ""
    type: str = ""

    def result(self) -> dict[str, Any]:
        """The provider as a module returns it."""
        return {"id": self.id, "name": self.name, "version": self.version, "type": self.type or None}


@dataclass(frozen=True)
class Writer:
    """One instance of a writer and what it said last. error is the host's own words, None when it reports none."""

    id: str
    instance: str
    name: str
    state: int | None
    error: str | None = None
    hresult: int | None = None

    @property
    def failed(self) -> bool:
        """Whether its state is one of the failed ones. Only a session of our own proves that it still is."""
        return self.state in FAILED_STATES or bool(self.hresult)

    @property
    def state_name(self) -> str:
        """VSS_WRITER_STATE's name."""
        return "VSS_WS_UNKNOWN" if self.state is None else WRITER_STATES.get(self.state, f"VSS_WS_{self.state}")

    def result(self) -> dict[str, Any]:
        """The writer as a module returns it."""
        return {
            "id": self.id,
            "instance": self.instance,
            "name": self.name,
            "state": self.state,
            "state_name": self.state_name,
            "failed": self.failed,
            "error": self.error,
        }


@dataclass(frozen=True)
class Component:
    r"""A component of a writer: its full path (``\SQL\bank``), the paths it names, the volumes it needs.

    selectable: a requestor may leave it out by itself. top_level: no component lies over it.
    """

    path: str
    paths: tuple[str, ...] = ()
    volumes: frozenset[str] = frozenset()
    selectable: bool = True
    top_level: bool = True


@dataclass(frozen=True)
class WriterMetadata:
    """What a writer said it looks after."""

    id: str
    instance: str
    name: str
    components: tuple[Component, ...] = ()


@dataclass(frozen=True)
class Shadow:
    """One shadow copy. Fields that a listing does not tell are None."""

    id: str
    set_id: str | None = None
    volume: str | None = None
    device: str | None = None
    created: datetime | None = None
    provider: str | None = None
    kind: str | None = None
    state: int | None = None
    count: int | None = None
    persistent: bool | None = None
    client_accessible: bool | None = None
    no_writers: bool | None = None
    exposed_name: str | None = None
    exposed_path: str | None = None
    origin: str | None = None

    @property
    def exposed_at(self) -> str | None:
        """Drive, folder or share where it can be seen."""
        return self.exposed_name or None

    @property
    def places(self) -> tuple[str, ...]:
        """The letters and folders that VSS exposes it at."""
        return tuple(place for place in (self.exposed_name, self.exposed_path) if place)

    def result(self) -> dict[str, Any]:
        """The shadow copy as a module returns it."""
        return {
            "id": self.id,
            "set_id": self.set_id,
            "volume": self.volume,
            "device": self.device,
            "created": iso(self.created),
            "provider_id": self.provider,
            "persistent": self.persistent,
            "client_accessible": self.client_accessible,
            "no_writers": self.no_writers,
            "exposed_at": self.exposed_at,
            "state": self.state,
        }


@dataclass(frozen=True)
class StorageArea:
    """Where copy-on-write data of a volume goes. Bytes; maximum None means unbounded."""

    volume: str
    on_volume: str
    used: int
    allocated: int
    maximum: int | None

    def headroom(self, free: int) -> tuple[int, Literal["maximum", "disk"]]:
        """How many bytes it can still take before shadow copies are lost, and what ends first.

        At its maximum Windows deletes the oldest shadow copies (volsnap 33), and the last one, too, when even that does
        not fit (36); on a full disk all of them (25, 35).

        :param free: free bytes of the volume that holds it.
        """
        disk = max(0, self.allocated - self.used) + free
        left = disk if self.maximum is None else max(0, self.maximum - self.used)
        return (left, "maximum") if self.maximum is not None and left <= disk else (disk, "disk")

    def result(self) -> dict[str, Any]:
        """The storage area as a module returns it."""
        return {
            "volume": self.volume,
            "on_volume": self.on_volume,
            "used": self.used,
            "allocated": self.allocated,
            "maximum": self.maximum,
            "unbounded": self.maximum is None,
        }
