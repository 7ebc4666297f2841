# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shadow copy storage areas (diff areas): where the old blocks of a volume are kept, and how much of them.

The old content of a changed or deleted file is kept once, for the newest copy that still shows it: what an area holds
is the sum of what each copy has and the next newer one, at last the live volume, has not.  What happens when an area
may not or cannot grow is in `overflow`.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import codes
from .codes import VssError
from .options import Limits
from .trees import old_bytes

if TYPE_CHECKING:
    from ..windows.volumes import Volume
    from .log import EventLog
    from .store import Store

UNBOUNDED = 2**64 - 1
_STEP = 32 * 1024 * 1024
_LOCAL = 3  # Win32_Volume.DriveType


@dataclass
class StorageArea:
    """An association: `volume`'s old blocks are kept on `diff_volume`, at most `max_space` bytes of them.

    `reserved`: bytes of `diff_volume` it takes at present.
    """

    volume: Volume
    diff_volume: Volume
    max_space: int = UNBOUNDED
    configured: bool = False
    reserved: int = 0


class StorageAreas:
    """One association per volume; one appears by itself with a volume's first shadow copy (VSS docs, diff areas)."""

    def __init__(self, store: Store, limits: Limits, volumes: Iterable[Volume], log: EventLog) -> None:
        self._store = store
        self._limits = limits
        self._volumes = volumes
        self._log = log
        self._lock = threading.Lock()
        self._areas: dict[str, StorageArea] = {}
        self._reserving: dict[str, Volume] = {}

    def all(self) -> list[StorageArea]:
        """The associations, in the order they were made."""
        with self._lock:
            return list(self._areas.values())

    def of(self, volume: Volume) -> StorageArea | None:
        """The association of a volume, or None."""
        with self._lock:
            return self._areas.get(volume.guid)

    def ensure(self, volume: Volume) -> StorageArea:
        """The association for a new shadow copy; VssError INSUFFICIENT_STORAGE when there is no room for one."""
        least = self.least(volume)
        area = self.of(volume) or StorageArea(volume, self._place_for(volume))
        if self._store.in_areas(volume.guid):
            return area
        if area.diff_volume.free() < least or area.max_space < least:
            self._log.volume_event("no_space_to_create", volume, area.diff_volume)
            raise VssError(codes.INSUFFICIENT_STORAGE, f"No room for shadow copies on {area.diff_volume.display}.")
        with self._lock:
            return self._areas.setdefault(volume.guid, area)

    def _place_for(self, volume: Volume) -> Volume:
        """Where a volume's area is when nobody said: on itself, or, as areas are on NTFS only, on the NTFS volume with
        the most free space (assumed).
        """
        if volume.file_system.upper() == "NTFS":
            return volume
        fitting = [each for each in self._volumes if each.drive_type == _LOCAL and each.file_system.upper() == "NTFS"]
        if not fitting:
            self._log.volume_event("not_ntfs", volume)
            raise VssError(codes.INSUFFICIENT_STORAGE, f"No NTFS volume can hold the storage area of {volume.display}.")
        return max(fitting, key=lambda each: each.free())

    def least(self, volume: Volume) -> int:
        """Bytes an area of this volume has at least."""
        small = volume.capacity < self._limits.small_volume
        return self._limits.minimum_storage_small if small else self._limits.minimum_storage

    def release(self, volume: Volume) -> None:
        """A volume's last copy is gone: an association nobody configured goes with it."""
        with self._lock:
            area = self._areas.get(volume.guid)
            if area is not None and not area.configured and not self._store.in_areas(volume.guid):
                del self._areas[volume.guid]

    def reserve(self) -> None:
        """Count what the areas have allocated as used on the volumes that hold them."""
        sums: dict[str, int] = {}
        for area in self.all():
            area.reserved = self.allocated(area)
            self._reserving[area.diff_volume.guid] = area.diff_volume
            sums[area.diff_volume.guid] = sums.get(area.diff_volume.guid, 0) + area.reserved
        for guid, volume in self._reserving.items():
            volume.reserved = sums.get(guid, 0)

    def add(self, volume: Volume, diff_volume: Volume, max_space: int) -> StorageArea:
        """Configure an association; VssError OBJECT_ALREADY_EXISTS, VOLUME_NOT_SUPPORTED (storage is on NTFS only)."""
        self._check(diff_volume, max_space, volume)
        with self._lock:
            if volume.guid in self._areas:
                raise VssError(codes.OBJECT_ALREADY_EXISTS, f"{volume.display} has a storage area already.")
            area = self._areas[volume.guid] = StorageArea(volume, diff_volume, max_space, configured=True)
            return area

    def restore(self, area: StorageArea) -> None:
        """Put an association back as it was kept."""
        with self._lock:
            self._areas[area.volume.guid] = area

    def resize(self, volume: Volume, diff_volume: Volume, max_space: int) -> StorageArea:
        """Change the maximum; VssError OBJECT_NOT_FOUND.  What does not fit any more is for the caller to evict."""
        self._check(diff_volume, max_space, volume)
        area = self.of(volume)
        if area is None or area.diff_volume.guid != diff_volume.guid:
            raise VssError(codes.OBJECT_NOT_FOUND, f"{volume.display} has no storage area on {diff_volume.display}.")
        area.max_space, area.configured = max_space, True
        return area

    def remove(self, volume: Volume, diff_volume: Volume | None = None) -> None:
        """Remove an association; VssError OBJECT_NOT_FOUND, BAD_STATE while the volume has copies."""
        if self._store.in_areas(volume.guid):
            raise VssError(codes.BAD_STATE, f"{volume.display} has shadow copies.")
        with self._lock:
            area = self._areas.get(volume.guid)
            if area is None or (diff_volume is not None and area.diff_volume is not diff_volume):
                raise VssError(codes.OBJECT_NOT_FOUND, f"{volume.display} has no such storage area.")
            del self._areas[volume.guid]

    def _check(self, diff_volume: Volume, max_space: int, volume: Volume) -> None:
        least = self.least(volume)
        if diff_volume.file_system.upper() != "NTFS" or diff_volume.drive_type != _LOCAL:
            raise VssError(codes.VOLUME_NOT_SUPPORTED, "Storage areas are on local NTFS volumes only.")
        if max_space < least:
            raise VssError(codes.E_INVALIDARG, f"A storage area has at least {least} bytes.")

    def used(self, area: StorageArea) -> int:
        """Bytes the area holds; between two copies nothing changes any more, so that is measured once."""
        copies = self._store.in_areas(area.volume.guid)
        total = 0
        for shadow, newer in itertools.zip_longest(copies, copies[1:]):
            if newer is None:
                total += old_bytes(shadow.root, area.volume.root)
                continue
            if shadow.kept is None or shadow.kept[0] != newer.id:
                shadow.kept = (newer.id, old_bytes(shadow.root, newer.root))
            total += shadow.kept[1]
        return total

    def ceiling(self, area: StorageArea) -> int:
        """Bytes the area cannot exceed, however much of the live volume changes; no measuring."""
        copies = self._store.in_areas(area.volume.guid)
        return sum(each.size for each in copies)

    def allocated(self, area: StorageArea, used: int | None = None) -> int:
        """Bytes reserved: whole steps above what is used, none without copies, never more than the maximum."""
        if not self._store.in_areas(area.volume.guid):
            return 0
        least = self.least(area.volume)
        if used is None:  # most areas are so small that nothing needs to be measured
            used = 0 if self.ceiling(area) <= least else self.used(area)
        step = min(_STEP, least)
        return min(area.max_space, max(least, -(-used // step) * step))
