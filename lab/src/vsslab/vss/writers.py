# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writers: what they say about themselves, and the state they are in."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from . import codes
from .codes import Until, WriterState

if TYPE_CHECKING:
    from ..windows.volumes import Volume

_PLACES = {
    "%systemroot%": "C:\\Windows",
    "%windir%": "C:\\Windows",
    "%systemdrive%": "C:",
    "%programdata%": "C:\\ProgramData",
}


class WriterApp(Protocol):
    """What a live application behind a writer can do.  All of it blocks; failing means raising."""

    @property
    def volumes(self) -> Iterable[str]:
        """Windows paths the application writes to."""

    def freeze(self, timeout: float) -> None:
        """Finish what is under way, make the files consistent, write nothing until thawed."""

    def thaw(self) -> None:
        """Go on writing; harmless when not frozen."""

    def hold(self) -> None:
        """Writes are held (the application is stopped in its tracks), as the file system does during the commit."""

    def release(self) -> None:
        """Writes go on."""


@dataclass(frozen=True)
class FileSpec:
    """Files of a component: a folder, a pattern, and whether the folders below count too."""

    path: str
    filespec: str = "*"
    recursive: bool = False

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> FileSpec:
        """From a scenario's or table's mapping {path, filespec, recursive}."""
        path = str(data["path"])
        lowered = path.lower()
        for name, value in _PLACES.items():
            if lowered.startswith(name):
                path = value + path[len(name) :]
        return cls(path, str(data.get("filespec", "*")), bool(data.get("recursive", False)))


@dataclass(frozen=True)
class Component:
    """One component of a writer (IVssWMComponent)."""

    name: str
    logical_path: str = ""
    caption: str = ""
    database: bool = False
    selectable: bool = True
    top_level: bool = True
    notify_on_backup_complete: bool = False
    files: tuple[FileSpec, ...] = ()
    volume_roots: tuple[str, ...] = ()

    @property
    def full_path(self) -> str:
        """`\\logical\\path\\name`, as the Microsoft tools print it."""
        return "\\".join(["", *(part for part in (self.logical_path, self.name) if part)])

    @property
    def paths(self) -> list[str]:
        """The folders of its files, each once, sorted."""
        return sorted({spec.path for spec in self.files}, key=str.lower)

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Component:
        """From a mapping; see the class's fields (`files`: list of {path, filespec, recursive})."""
        plain = {key: value for key, value in data.items() if key not in ("files", "volume_roots")}
        return cls(
            files=tuple(FileSpec.of(each) for each in data.get("files", ())),
            volume_roots=tuple(str(each) for each in data.get("volume_roots", ())),
            **plain,
        )


@dataclass(frozen=True)
class FreezeEvents:
    """Events an application writes to the Application log when it freezes and thaws, one pair per database."""

    provider: str
    freeze: int
    thaw: int
    names: tuple[str, ...] = ()
    freeze_text: str = "I/O is frozen on database {0}. No user action is required."
    thaw_text: str = "I/O was resumed on database {0}. No user action is required."

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> FreezeEvents:
        """From a scenario's mapping; the texts may name the database as {0}."""
        values = dict(data)
        values["names"] = tuple(str(each) for each in values.get("names", ()))
        return cls(**values)


@dataclass
class Writer:
    """A writer as it runs now.

    `instance_id` changes with every start of the program that holds the writer; `state` and `failure` are those of the
    last session and stay until the next one (vss.h, GatherWriterStatus).  `freeze_limit` is in seconds, None for the
    usual 60.
    """

    name: str
    class_id: str
    service: str = "VSS"
    components: tuple[Component, ...] = ()
    app: WriterApp | None = None
    freeze_limit: float | None = None
    freeze_events: FreezeEvents | None = None
    restore_events: bool = True
    restore_method: str = "VSS_RME_RESTORE_IF_CAN_REPLACE"
    reboot_required: bool = False
    excluded_files: tuple[FileSpec, ...] = ()
    instance_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    state: WriterState = WriterState.STABLE
    failure: int = codes.S_OK
    until: Until = Until.SESSION

    def restart(self) -> None:
        """The program that holds the writer starts anew: another instance, with a clean state if that is enough."""
        self.instance_id = str(uuid.uuid4())
        if self.until is not Until.REBOOT:
            self.settle()

    def settle(self) -> None:
        """Forget the last session."""
        self.state, self.failure, self.until = WriterState.STABLE, codes.S_OK, Until.SESSION

    def fail(self, state: WriterState, hresult: int, until: Until = Until.SESSION) -> None:
        """The writer failed; the state stays until the next session or restart, or until more than that."""
        self.state, self.failure, self.until = state, hresult, until

    def answers_to(self, text: str) -> bool:
        """True when `text` is its name, its class id or its instance id (any case, braces or not)."""
        wanted = text.strip().strip('"').lower()
        return wanted == self.name.lower() or wanted.strip("{}") in (self.class_id.lower(), self.instance_id.lower())

    def component(self, text: str) -> Component | None:
        """The component named as `Writer:\\logical\\name` (the writer also by id), or None."""
        head, separator, path = text.strip().strip('"').partition(":\\")
        if not separator or not self.answers_to(head):
            return None
        return next((each for each in self.components if each.full_path.lower() == f"\\{path}".lower()), None)

    @classmethod
    def of(cls, data: Mapping[str, Any], app: WriterApp | None = None) -> Writer:
        """From a scenario's or table's mapping; keys are the fields, ids with or without braces."""
        values = dict(data)
        values["class_id"] = str(values["class_id"]).strip("{}").lower()
        values["components"] = tuple(Component.of(each) for each in values.get("components", ()))
        values["excluded_files"] = tuple(FileSpec.of(each) for each in values.get("excluded_files", ()))
        if values.get("freeze_events") is not None:
            values["freeze_events"] = FreezeEvents.of(values["freeze_events"])
        return cls(app=app, **values)


def volume_of(path: str, volumes: Iterable[Volume]) -> Volume | None:
    """The volume a path lies on: the longest letter, mount folder or volume path it begins with, or None."""
    wanted = path.lower().rstrip("\\") + "\\"
    best: tuple[int, Volume | None] = (0, None)
    for volume in volumes:
        roots = [volume.device_id, *volume.mounts, *([f"{volume.letter}:\\"] if volume.letter else [])]
        for root in roots:
            if wanted.startswith(root.lower().rstrip("\\") + "\\") and len(root) > best[0]:
                best = (len(root), volume)
    return best[1]


def required_volumes(component: Component, volumes: Iterable[Volume]) -> list[Volume | None]:
    """The volumes a component needs in the set, in the order of its files; None for a path on no volume."""
    known = list(volumes)
    found: list[Volume | None] = []
    for path in [*component.volume_roots, *(spec.path for spec in component.files)]:
        volume = volume_of(path, known)
        if volume not in found:
            found.append(volume)
    return found
