# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a scenario says, as values: the fleet, its hosts and what is on them; `vsslab.scenario` reads them from YAML."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vsslab.vss import inbox


@dataclass(frozen=True)
class UserSpec:
    """An account; without a password one is made up for each run."""

    name: str
    password: str | None = None
    administrator: bool = False
    remote: bool = False
    disabled: bool = False
    locked: bool = False


@dataclass(frozen=True)
class VolumeSpec:
    """A volume; `capacity` in bytes, `drive_type` 2 removable, 3 local, 5 CD."""

    letter: str | None = None
    label: str = ""
    file_system: str = "NTFS"
    capacity: int | None = None
    drive_type: int = 3
    mounts: tuple[str, ...] = ()
    system: bool = False
    pagefile: bool = False
    dirty: bool = False


@dataclass(frozen=True)
class WriterSpec:
    """A writer: a well-known name or a full description; `app` is the application that it freezes."""

    name: str
    app: str | None = None
    class_id: str | None = None
    service: str | None = None
    display_name: str | None = None
    components: tuple[Mapping[str, Any], ...] | None = None
    freeze_limit: float | None = None
    freeze_events: Mapping[str, Any] | None = None
    line: int = 0

    def description(self) -> dict[str, Any]:
        """All keys of the writer, those of the well-known one filled in; without `app`, `display_name` and `line`."""
        given = {
            "name": self.name,
            "class_id": self.class_id,
            "service": self.service,
            "components": self.components,
            "freeze_limit": self.freeze_limit,
            "freeze_events": self.freeze_events,
        }
        known = inbox.description(self.name)
        return known | {key: value for key, value in given.items() if value is not None}

    def service_name(self) -> tuple[str, str]:
        """Name and display name of the service that holds the writer."""
        known = inbox.known_writers().get(self.name.lower(), {})
        name = str(self.service or known.get("service") or "VSS")
        return name, str(self.display_name or known.get("display_name") or name)


@dataclass(frozen=True)
class AppSpec:
    """A live application; `kind` as in vsslab.apps, or the path of a program; `rate` in transactions per second."""

    name: str
    kind: str
    folder: str
    rate: float | None = None
    process: str | None = None


@dataclass(frozen=True)
class FilesSpec:
    """Files that are there from the start: one with a text, or a tree of `count` files of about `bytes` each."""

    path: str
    text: str | None = None
    count: int = 1
    bytes: int = 4096
    depth: int = 3


@dataclass(frozen=True)
class ConnectionSpec:
    """How the inventory lets Ansible connect."""

    plugin: str = "psrp"
    scheme: str = "http"
    auth: str = "ntlm"
    user: str | None = None


@dataclass(frozen=True)
class HostSpec:
    """One host of a scenario."""

    name: str
    profile: str = "server2022"
    language: str = "en-US"
    time_zone: str = "UTC"
    address: str = "auto"
    domain: str = "WORKGROUP"
    copy_rate: int | None = None
    engine: str | None = None  # the folder of a real PowerShell engine, or "interpreter"
    users: tuple[UserSpec, ...] = ()
    volumes: tuple[VolumeSpec, ...] = ()
    writers: tuple[WriterSpec, ...] = ()
    apps: tuple[AppSpec, ...] = ()
    files: tuple[FilesSpec, ...] = ()
    connection: ConnectionSpec = field(default_factory=ConnectionSpec)
    vss: Mapping[str, Any] = field(default_factory=dict)
    clock: Mapping[str, Any] = field(default_factory=dict)
    endpoints: tuple[Mapping[str, Any], ...] = ()
    tapes: tuple[Mapping[str, Any], ...] = ()
    authentication: tuple[str, ...] = ()
    services: tuple[Mapping[str, Any], ...] = ()
    shares: tuple[Mapping[str, Any], ...] = ()
    utf8: bool = False
    restart_seconds: float = 0.0
    line: int = 0

    @property
    def user(self) -> UserSpec:
        """The account the inventory connects with: the connection's, else the first administrator."""
        wanted = self.connection.user
        if wanted is not None:
            return next(each for each in self.users if each.name.lower() == wanted.lower())
        return next(each for each in self.users if each.administrator)


@dataclass(frozen=True)
class TimeSpec:
    """The laboratory's time: the machine's, or a virtual one that begins at `start` (aware; None: now)."""

    virtual: bool = False
    start: datetime.datetime | None = None


@dataclass(frozen=True)
class Scenario:
    """A fleet, its time, and the faults that are set from the start."""

    name: str
    description: str = ""
    hosts: tuple[HostSpec, ...] = ()
    faults: tuple[Mapping[str, Any], ...] = ()
    time: TimeSpec = TimeSpec()
    file: str = ""
    source: str = field(default="", repr=False)
