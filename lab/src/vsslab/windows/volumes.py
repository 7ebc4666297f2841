# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes of a host: each is a real folder, with the identity, the size and the mount points Windows would show."""

from __future__ import annotations

import functools
import os
import re
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from .errors import data

GIB = 1 << 30
_MEASURED_FOR = 2.0  # seconds a measurement of the folder counts; applications write there behind our back


@dataclass(frozen=True)
class Traits:
    """What a file system can do, from data/filesystems.yml."""

    acls: bool
    links: bool
    compression: bool
    quotas: bool
    longest_name: int


@functools.cache
def file_systems() -> dict[str, Traits]:
    """The file systems of the laboratory by name."""
    return {name: Traits(**row) for name, row in data("filesystems.yml").items()}


@dataclass(eq=False)
class Volume:
    """One volume. `capacity` in bytes; `drive_type` 2 removable, 3 local, 5 CD (Win32_Volume); `root` the real folder.

    `reserved` is what shadow storage takes on it, in bytes, `filler` what a fault does; both count as used. `changed`
    counts the bytes that writes and deletions through the host's files have changed at most, ever; `watcher` is called
    after each of them. `shared`: its files may be hard links in shadow copies. `read_only`: nothing on it can be
    changed.
    """

    guid: str
    letter: str | None
    root: Path
    mounts: list[str] = field(default_factory=list)
    label: str = ""
    file_system: str = "NTFS"
    capacity: int = 64 * GIB
    drive_type: int = 3
    system: bool = False
    boot: bool = False
    pagefile: bool = False
    serial: int = 0
    reserved: int = 0
    filler: int = 0
    changed: int = 0
    read_only: bool = False
    shared: bool = False
    watcher: Callable[[Volume], None] | None = field(default=None, repr=False)
    block_size: int = 4096
    dirty: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _used: int = field(default=0, repr=False)
    _measured: float = field(default=-1e9, repr=False)

    def __post_init__(self) -> None:
        self.guid = self.guid.strip("{}").lower()
        self.letter = self.letter.rstrip(":\\").upper() if self.letter else None
        known = {each.lower(): each for each in file_systems()}
        if self.file_system.lower() not in known:
            names = ", ".join(known.values())
            raise ValueError(f"{self.file_system!r} is no file system of the laboratory; there are {names}.")
        self.file_system = known[self.file_system.lower()]
        self.mounts = [each if each.endswith("\\") else each + "\\" for each in self.mounts]
        if not self.serial:
            self.serial = uuid.UUID(self.guid).int & 0xFFFFFFFF

    @property
    def device_id(self) -> str:
        r"""\\?\Volume{guid}\ with its closing backslash."""
        return f"\\\\?\\Volume{{{self.guid}}}\\"

    @property
    def names(self) -> list[str]:
        """Every path under which the volume can be reached: letter, mount folders, device ID."""
        return [*([f"{self.letter}:\\"] if self.letter else []), *self.mounts, self.device_id]

    @property
    def display(self) -> str:
        """The shortest usable name: 'D:\\', else a mount folder, else the device ID."""
        return self.names[0]

    @property
    def traits(self) -> Traits:
        """What the volume's file system can do."""
        return file_systems()[self.file_system]

    @property
    def has_acls(self) -> bool:
        """True when the file system keeps security descriptors and links (NTFS, ReFS)."""
        return self.traits.acls

    @property
    def ready(self) -> bool:
        """False for a drive without a medium in it."""
        return self.drive_type == 3 or self.capacity > 0

    def used(self) -> int:
        """Bytes in use: the lengths of the files in the folder, and the reserved part; measured every two seconds."""
        with self._lock:
            if time.monotonic() - self._measured > _MEASURED_FOR:
                self._used = _measure(self.root)
                self._measured = time.monotonic()
            return self._used + self.reserved + self.filler

    def free(self) -> int:
        """Bytes free, never below 0."""
        return max(0, self.capacity - self.used())

    def charge(self, size: int) -> bool:
        """Count `size` bytes more (or fewer) as used; False, and nothing counted, when they do not fit."""
        if size > 0 and size > self.free():
            return False
        with self._lock:
            self._used = max(0, self._used + size)
            self.changed += abs(size)
        return True

    def measure_again(self) -> None:
        """Forget the measured size, because much changed at once."""
        with self._lock:
            self._measured = -1e9


def _measure(folder: Path) -> int:
    total = 0
    waiting = [os.fspath(folder)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    try:
                        if entry.is_dir(follow_symlinks=False):
                            waiting.append(entry.path)
                        elif entry.is_file(follow_symlinks=False):
                            total += entry.stat(follow_symlinks=False).st_size
                    except FileNotFoundError:
                        continue  # an application deleted it meanwhile
        except FileNotFoundError:
            continue
    return total


def derived_guid(host: str, name: str) -> str:
    """A GUID that is the same for the same host and volume name, so that runs can be compared."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"vsslab:{host.lower()}:{name.lower()}"))


_LETTER = re.compile(r"(?:\\\\[?.]\\)?([A-Za-z]):[\\/]?\Z")
_DEVICE = re.compile(r"\\\\[?.]\\GLOBALROOT\\Device\\HarddiskVolume(\d{1,4})\\?\Z", re.IGNORECASE)


class Volumes(list[Volume]):
    """The volumes of a host, in the order Windows lists them."""

    def by_path(self, path: str) -> Volume | None:
        """The volume that a text names exactly: a letter, a GUID path or a mount folder, with or without backslash."""
        letter = _LETTER.match(path)
        if letter:
            return next((each for each in self if each.letter == letter[1].upper()), None)
        wanted = path.replace("/", "\\").rstrip("\\").casefold()
        for each in self:
            if any(name.rstrip("\\").casefold() == wanted for name in [each.device_id, *each.mounts]):
                return each
        return None

    def by_device(self, path: str) -> Volume | None:
        r"""The volume of a path \\?\GLOBALROOT\Device\HarddiskVolume2\: numbered as they are listed (assumed)."""
        found = _DEVICE.match(path)
        number = int(found[1]) if found else 0
        return self[number - 1] if 0 < number <= len(self) else None

    def by_guid(self, guid: str) -> Volume | None:
        """The volume with this GUID, braces or not."""
        wanted = guid.strip("{}").lower()
        return next((each for each in self if each.guid == wanted), None)

    def forget_mount(self, path: str) -> None:
        """A mount folder was removed: its volume is no longer reachable there."""
        gone = path.rstrip("\\").casefold()
        for each in self:
            each.mounts[:] = [name for name in each.mounts if name.rstrip("\\").casefold() != gone]

    @property
    def boot(self) -> Volume:
        """The volume that holds Windows."""
        return next((each for each in self if each.boot), self[0])
