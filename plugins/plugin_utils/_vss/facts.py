# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was found out about a host, and the readers of its CIM classes and event logs."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from .._pipeline import Reply, Result, moment
from .errors import VOLSNAP, VssFailure
from .lock import Holder
from .model import (
    GUID,
    PROVIDER_TYPES,
    SHADOW_CREATED,
    UNBOUNDED,
    VOLUME_PATH,
    Provider,
    Shadow,
    StorageArea,
    Volume,
    Writer,
    guid,
    iso,
    volume_id,
)
from .owner import Owner
from .paths import Places, names_told
from .records import Record, Records, state_folder


@dataclass(frozen=True)
class System:
    """The operating system of a host."""

    name: str
    caption: str
    version: str
    build: str
    workstation: bool
    architecture: str
    windows: str
    language: int | None
    now: datetime
    booted: datetime | None
    diskshadow: bool

    def result(self) -> dict[str, Any]:
        """The system as a module returns it."""
        return {
            "name": self.name,
            "caption": self.caption,
            "version": self.version,
            "build": self.build,
            "edition": "client" if self.workstation else "server",
            "architecture": self.architecture,
            "windows_directory": self.windows,
            "language": self.language,
            "time": iso(self.now),
            "booted": iso(self.booted),
            "engines": ["diskshadow", "cim"] if self.diskshadow else ["cim"],
        }


@dataclass(frozen=True)
class Event:
    """One event of a log."""

    time: datetime | None
    provider: str
    id: int
    level: int
    log: str
    message: str

    def result(self) -> dict[str, Any]:
        """The event as a module returns it."""
        return {
            "time": iso(self.time),
            "provider": self.provider,
            "id": self.id,
            "level": self.level,
            "log": self.log,
            "message": self.message,
            "meaning": VOLSNAP.get(self.id) if self.provider.lower() == "volsnap" else None,
        }


@dataclass(frozen=True)
class Facts:
    """What a gathering found. Parts that were not asked for are empty. reply: also holds what the caller added.

    expired: runs that their leases have undone; waiting: runs that have prepared to take the lock and left that lying;
    freed: letters and paths that the runs which are over will have given back, when only that is foreseen;
    leases: whose the leases are that are registered, by their runs; asked: when, by this controller's monotonic clock.
    """

    host: str
    system: System
    user: str
    elevated: bool
    volumes: tuple[Volume, ...] = ()
    providers: tuple[Provider, ...] = ()
    writers: tuple[Writer, ...] = ()
    shadows: tuple[Shadow, ...] = ()
    storage: tuple[StorageArea, ...] = ()
    records: Records = field(default_factory=Records)
    folders: Mapping[str, datetime | None] = field(default_factory=dict)
    tasks: tuple[str, ...] = ()
    state_exists: bool = False
    lock: Holder | None = None
    expired: tuple[Record, ...] = ()
    waiting: tuple[str, ...] = ()
    freed: tuple[str, ...] = ()
    leases: Mapping[str, Owner] = field(default_factory=dict)
    strangers: tuple[str, ...] = ()
    events: tuple[Event, ...] = ()
    reply: Reply = field(default_factory=lambda: Reply([]))
    asked: float = field(default_factory=time.monotonic)

    @property
    def places(self) -> Places:
        """The volumes by every name."""
        return Places(self.volumes, self.system.windows, names_told(self.reply))

    @property
    def now(self) -> datetime:
        """The host's clock when it was asked, in UTC."""
        return self.system.now

    def require_rights(self) -> None:
        """Fail unless the user has full administrator rights on the host.

        :raises VssFailure: naming user, host and what to do.
        """
        if self.elevated:
            return
        raise VssFailure(
            f"The user {self.user} has no full administrator rights on {self.host}, and shadow copies need them: "
            "use an "
            "administrator; for a local account other than Administrator set LocalAccountTokenFilterPolicy to 1 on the "
            "host, or use a domain account."
        )

    def require_safe_state(self) -> None:
        """Fail when someone else than administrators could have put something into our state folder.

        :raises VssFailure: naming the SID.
        """
        if self.state_exists and self.strangers:
            raise VssFailure(
                f"The folder {state_folder(self.system.windows)} on {self.host} is owned by or can be written by "
                f"{', '.join(self.strangers)}: only SYSTEM and Administrators may. Look at what is in it and remove it."
            )


def _number(value: Any) -> int | None:
    return int(value) if value is not None else None


def read_volumes(result: Result) -> tuple[Volume, ...]:
    """The volumes in an answer of Win32_Volume. Those without a GUID name cannot be told apart and are left out."""
    return tuple(
        Volume(
            id=volume_id(str(told["DeviceID"])),
            name=_mount(told),
            letter=str(told["DriveLetter"]).upper() if told.get("DriveLetter") else None,
            label=str(told.get("Label") or ""),
            file_system=str(told.get("FileSystem") or ""),
            drive_type=int(told.get("DriveType") or 0),
            capacity=_number(told.get("Capacity")),
            free=_number(told.get("FreeSpace")),
            system=bool(told.get("SystemVolume")),
            boot=bool(told.get("BootVolume")),
            pagefile=bool(told.get("PageFilePresent")),
        )
        for told in result.values
        if VOLUME_PATH.match(str(told.get("DeviceID") or ""))
    )


def _mount(told: Mapping[str, Any]) -> str:
    if told.get("DriveLetter"):
        return f"{str(told['DriveLetter']).upper()}\\"
    name = str(told.get("Name") or told["DeviceID"])
    return volume_id(name) if VOLUME_PATH.match(name) else name


def read_shadows(result: Result) -> tuple[Shadow, ...]:
    """The shadow copies in an answer of Win32_ShadowCopy."""
    return tuple(
        Shadow(
            id=guid(str(told["ID"])),
            set_id=guid(str(told["SetID"])) if told.get("SetID") else None,
            volume=volume_id(str(told["VolumeName"])) if VOLUME_PATH.match(str(told.get("VolumeName") or "")) else None,
            device=str(told["DeviceObject"]) if told.get("DeviceObject") else None,
            created=moment(told.get("InstallDate")),
            provider=guid(str(told["ProviderID"])) if told.get("ProviderID") else None,
            state=told.get("State"),
            count=told.get("Count"),
            persistent=told.get("Persistent"),
            client_accessible=told.get("ClientAccessible"),
            no_writers=told.get("NoWriters"),
            exposed_name=told.get("ExposedName"),
            exposed_path=told.get("ExposedPath"),
            origin=told.get("OriginatingMachine"),
        )
        for told in result.values
    )


def usable(shadow: Shadow) -> bool:
    """Whether a shadow copy is whole and there."""
    return shadow.state in (None, SHADOW_CREATED)


def read_providers(result: Result) -> tuple[Provider, ...]:
    return tuple(
        Provider(
            guid(str(told["ID"])),
            str(told.get("Name") or ""),
            str(told.get("Version") or ""),
            PROVIDER_TYPES.get(int(told.get("Type") or 0), "unknown"),
        )
        for told in result.values
    )


def read_storage(result: Result) -> tuple[StorageArea, ...]:
    found = []
    for told in result.values:
        volume, on_volume = _reference(told.get("Volume")), _reference(told.get("DiffVolume"))
        if volume is None or on_volume is None:
            continue
        maximum = int(told.get("MaxSpace") or 0)
        found.append(
            StorageArea(
                volume=volume,
                on_volume=on_volume,
                used=int(told.get("UsedSpace") or 0),
                allocated=int(told.get("AllocatedSpace") or 0),
                maximum=None if maximum >= UNBOUNDED else maximum,
            )
        )
    return tuple(found)


def _reference(value: Any) -> str | None:
    """The volume a reference means. By the version of PowerShell it arrives as an object or as a text, whose
    backslashes may be doubled: the GUID behind "Volume" is in both."""
    found = re.search(r"Volume" + GUID.pattern, str(value), re.IGNORECASE)
    return volume_id(found.group()) if found else None


def read_events(result: Result) -> tuple[Event, ...]:
    """The events in an answer of Get-WinEvent."""
    return tuple(
        Event(
            time=moment(told.get("TimeCreated")),
            provider=str(told.get("ProviderName") or ""),
            id=int(told.get("Id") or 0),
            level=int(told.get("Level") or 0),
            log=str(told.get("LogName") or ""),
            message=" ".join(str(told.get("Message") or "").split()),
        )
        for told in result.values
    )
