# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens when a storage area has to grow and may not, or cannot (volsnap's events).

At the maximum the oldest copy of the volume goes (event 33), until the rest fits; the last one cannot be kept then (38,
36).  When the storage volume is full, all copies of the volume go (24, 35); when growing takes too long, too (25).
Source: volsnap's message table; that an area is looked at after every change that could fill it is ours.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from .codes import VssError
from .shadows import ShadowCopy
from .storage import StorageArea

if TYPE_CHECKING:
    from ..windows.volumes import Volume
    from .coordinator import Coordinator

_PATROL = 0.5  # seconds (of the machine) between two looks at volumes that applications write to behind our back


class Overflow:
    """Keeps the areas of one host within their bounds; safe to use from any thread."""

    def __init__(self, vss: Coordinator) -> None:
        self._vss = vss
        self._lock = threading.RLock()
        self._known: dict[str, tuple[int, int]] = {}  # by volume: bytes in its area, and its `changed` at that time
        self._patrol: threading.Thread | None = None
        self._closed = threading.Event()

    def close(self) -> None:
        """End what runs in the background."""
        self._closed.set()
        patrol = self._patrol
        if patrol is not None and patrol is not threading.current_thread():
            patrol.join(_PATROL)

    def watch(self) -> None:
        """Copies came or went: which volumes must be looked at, and when."""
        areas = [area for area in self._vss.storage.all() if self._vss.store.in_areas(area.volume.guid)]
        watched = {id(volume): volume for area in areas for volume in (area.volume, area.diff_volume)}
        for volume in self._vss.host.volumes:
            volume.watcher = self.changed if id(volume) in watched else None
        for area in areas:
            changed, ceiling = area.volume.changed, self._vss.storage.ceiling(area)
            self._note(area, ceiling if ceiling <= area.reserved else self._vss.storage.used(area), changed)
        if any(self._unseen(area) for area in areas):
            self._go_on_patrol()

    def changed(self, volume: Volume) -> None:
        """Somebody wrote to a volume through the host's files."""
        for area in self._vss.storage.all():
            if volume not in (area.volume, area.diff_volume):
                continue
            used, then = self._known.get(area.volume.guid, (0, 0))
            if used + area.volume.changed - then > min(area.max_space, area.reserved):
                self.settle(area)

    def look(self, volume: Volume) -> None:
        """A copy of this volume is about to be read: is it still there?"""
        area = self._vss.storage.of(volume)
        if area is not None and self._unseen(area):
            self.settle(area)

    def _bound(self, area: StorageArea) -> int:
        """Bytes the area can hold at most as things stand."""
        return min(area.max_space, area.reserved + area.diff_volume.free())

    def _unseen(self, area: StorageArea) -> bool:
        """True when an application could fill the area without a write through the host's files."""
        return bool(self._vss.written_folders(area.volume)) and self._vss.storage.ceiling(area) > self._bound(area)

    def _note(self, area: StorageArea, used: int, changed: int) -> None:
        """`changed` as it was before `used` was measured: what was written meanwhile may not be in it."""
        self._known[area.volume.guid] = (used, changed)

    def settle(self, area: StorageArea) -> None:
        """Evict and drop until the area is within its bounds."""
        if not self._lock.acquire(blocking=False):
            return  # it is being done
        try:
            self._settle(area)
        finally:
            self._lock.release()

    def _settle(self, area: StorageArea) -> None:
        storage, log = self._vss.storage, self._vss.log
        if storage.ceiling(area) <= min(area.max_space, area.reserved):
            return  # however much changes
        while copies := self._vss.store.in_areas(area.volume.guid):
            changed, used = area.volume.changed, storage.used(area)
            if used > area.max_space and len(copies) > 1:
                log.volume_event("oldest_by_size", area.volume)
                self._vss.store.lose(copies[0])
                continue
            if used > area.max_space:
                log.volume_event("at_risk", area.volume, area.diff_volume)
                self.drop(area.volume, "user_limit")
                return
            growth = storage.allocated(area, used) - area.reserved
            if growth > 0 and not self._grow(area, growth):
                return
            self._note(area, used, changed)
            return

    def _grow(self, area: StorageArea, growth: int) -> bool:
        """Take more of the storage volume; False when the copies were lost over it.

        A fault of kind phase, phase storage_grow (fact volume), that fails: the area did not grow in time.
        """
        volume, on = area.volume, area.diff_volume
        try:
            self._vss.meet_fault("storage_grow", None, self._closed, volumes=[volume])
        except VssError:
            self.drop(volume, "not_in_time")
            return False
        on.measure_again()
        if growth > on.free():
            self._vss.log.volume_event("no_space_to_grow", volume, on)
            self.drop(volume, "failed_to_grow")
            return False
        self._vss.storage.reserve()
        return True

    def drop(self, volume: Volume, event: str) -> list[ShadowCopy]:
        """All copies of a volume that need its area go, with an event of data/events.yml; returns them."""
        lost = self._vss.store.in_areas(volume.guid)
        area = self._vss.storage.of(volume)
        if lost:
            self._vss.log.volume_event(event, volume, area.diff_volume if area else volume)
        for shadow in lost:
            self._vss.store.lose(shadow)
        return lost

    def _go_on_patrol(self) -> None:
        with self._lock:
            if (self._patrol is None or not self._patrol.is_alive()) and not self._closed.is_set():
                name = f"{self._vss.host.name}:volsnap"
                self._patrol = threading.Thread(target=self._walk, name=name, daemon=True)
                self._patrol.start()

    def _walk(self) -> None:
        while not self._closed.wait(_PATROL):
            areas = [area for area in self._vss.storage.all() if self._unseen(area)]
            for area in areas:
                self.settle(area)
            if not areas:
                return
