# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shadow copy storage areas (diff areas): where the old blocks of a volume are kept, and how much of them."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import codes
from .codes import VssError
from .options import Limits
from .trees import old_bytes

if TYPE_CHECKING:
    from ..windows.volumes import Volume
    from .store import Store

UNBOUNDED = 2**64 - 1
_STEP = 32 * 1024 * 1024


@dataclass
class StorageArea:
    """An association: `volume`'s old blocks are kept on `diff_volume`, at most `max_space` bytes of them."""

    volume: Volume
    diff_volume: Volume
    max_space: int = UNBOUNDED
    configured: bool = False


class StorageAreas:
    """One association per volume; one appears by itself with a volume's first shadow copy (VSS docs, diff areas)."""

    def __init__(self, store: Store, limits: Limits) -> None:
        self._store = store
        self._limits = limits
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
        small = volume.capacity < self._limits.small_volume
        least = self._limits.minimum_storage_small if small else self._limits.minimum_storage
        with self._lock:
            area = self._areas.get(volume.guid) or StorageArea(volume, volume)
        if self._store.of_volume(volume.guid):
            return area
        if area.diff_volume.free() < least or area.max_space < least:
            raise VssError(codes.INSUFFICIENT_STORAGE, f"No room for shadow copies on {area.diff_volume.display}.")
        with self._lock:
            self._areas.setdefault(volume.guid, area)
        return area

    def release(self, volume: Volume) -> None:
        """A volume's last copy is gone: an association nobody configured goes with it."""
        with self._lock:
            area = self._areas.get(volume.guid)
            if area is not None and not area.configured and not self._store.of_volume(volume.guid):
                del self._areas[volume.guid]

    def reserve(self) -> None:
        """Count what the areas have allocated as used on the volumes that hold them."""
        sums: dict[str, int] = {}
        for area in self.all():
            self._reserving[area.diff_volume.guid] = area.diff_volume
            sums[area.diff_volume.guid] = sums.get(area.diff_volume.guid, 0) + self.allocated(area)
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

    def resize(self, volume: Volume, diff_volume: Volume, max_space: int) -> None:
        """Change the maximum; VssError OBJECT_NOT_FOUND.  The copies stay: shrinking below what is used is refused."""
        self._check(diff_volume, max_space, volume)
        area = self.of(volume)
        if area is None or area.diff_volume.guid != diff_volume.guid:
            raise VssError(codes.OBJECT_NOT_FOUND, f"{volume.display} has no storage area on {diff_volume.display}.")
        if max_space < self.used(area):
            raise VssError(
                codes.UNEXPECTED_PROVIDER_ERROR,
                "vsslab does not simulate shadow copies that are lost because their storage area was made too small.",
            )
        area.max_space, area.configured = max_space, True

    def remove(self, volume: Volume) -> None:
        """Remove an association; VssError OBJECT_NOT_FOUND, BAD_STATE while the volume has copies."""
        if self._store.of_volume(volume.guid):
            raise VssError(codes.BAD_STATE, f"{volume.display} has shadow copies.")
        with self._lock:
            if self._areas.pop(volume.guid, None) is None:
                raise VssError(codes.OBJECT_NOT_FOUND, f"{volume.display} has no storage area.")

    def _check(self, diff_volume: Volume, max_space: int, volume: Volume) -> None:
        small = volume.capacity < self._limits.small_volume
        least = self._limits.minimum_storage_small if small else self._limits.minimum_storage
        if diff_volume.file_system.upper() != "NTFS":
            raise VssError(codes.VOLUME_NOT_SUPPORTED, "Storage areas are on NTFS volumes only.")
        if max_space < least:
            raise VssError(codes.E_INVALIDARG, f"A storage area has at least {least} bytes.")

    def used(self, area: StorageArea) -> int:
        """Bytes the area holds: the files of the copies that the volume does not hold any more as they were."""
        return sum(old_bytes(each.root, each.volume.root) for each in self._store.of_volume(area.volume.guid))

    def allocated(self, area: StorageArea) -> int:
        """Bytes reserved: whole steps above what is used, none without copies."""
        if not self._store.of_volume(area.volume.guid):
            return 0
        small = area.volume.capacity < self._limits.small_volume
        least = self._limits.minimum_storage_small if small else self._limits.minimum_storage
        return max(least, -(-self.used(area) // _STEP) * _STEP)
