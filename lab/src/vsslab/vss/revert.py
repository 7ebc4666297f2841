# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reverting a volume to one of its shadow copies.

The whole volume goes back, newer copies are deleted, nothing can cancel it, and a restart only delays it (volsnap 64,
65, 66).  Source: IVssBackupComponents::RevertToSnapshot and the pages of its tools.  That the old content shows at once
while the revert goes on in the background, and that the copy itself stays, is assumed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import codes, trees
from .codes import VssError
from .providers import SYSTEM
from .shadows import ShadowCopy

if TYPE_CHECKING:
    from ..windows.volumes import Volume
    from .coordinator import Coordinator


@dataclass
class Revert:
    """One revert that goes on; `ends` in the host's monotonic seconds."""

    volume: Volume
    shadow_id: str
    began: float
    ends: float
    cancel: Callable[[], None] = lambda: None

    def percent(self, now: float) -> int:
        """How much of it is done."""
        whole = self.ends - self.began
        return 100 if whole <= 0 else max(0, min(99, int(100 * (now - self.began) / whole)))


class Reverts:
    """The reverts of one host."""

    def __init__(self, vss: Coordinator) -> None:
        self._vss = vss
        self._host = vss.host
        self._lock = threading.Lock()
        self._going_on: dict[str, Revert] = {}

    def all(self) -> list[Revert]:
        """Those that go on."""
        with self._lock:
            return list(self._going_on.values())

    def of(self, volume: Volume) -> Revert | None:
        """The one of a volume, or None."""
        with self._lock:
            return self._going_on.get(volume.guid)

    def start(self, shadow: ShadowCopy, *, force: bool) -> Revert:
        """Begin; see `Coordinator.revert` for what is refused."""
        volume = shadow.volume
        self._judge(shadow, force=force)
        seconds = self._vss.options.revert_seconds
        began = self._host.clock.monotonic()
        revert = Revert(volume, shadow.id, began, began + seconds)
        with self._lock:
            if volume.guid in self._going_on:
                raise VssError(codes.REVERT_IN_PROGRESS, f"{volume.display} is being reverted already.")
            self._going_on[volume.guid] = revert
        try:
            copies = self._vss.store.in_areas(volume.guid)
            for newer in copies[copies.index(shadow) + 1 :]:
                self._vss.store.delete(newer)
            self._vss.log.volume_event("revert_started", volume)
            for area in self._vss.storage.all():  # areas of other volumes go with the dismount (assumed)
                if area.diff_volume is volume and area.volume is not volume:
                    self._vss.overflow.drop(area.volume, "storage_dismounted")
            self._put_back(shadow)
        except BaseException:
            self._forget(revert)
            raise
        self._wait(revert)
        return revert

    def resume(self, shadow: ShadowCopy, done: float, left: float) -> None:
        """A revert that went on when the state was saved goes on; seconds."""
        now = self._host.clock.monotonic()
        revert = Revert(shadow.volume, shadow.id, now - done, now + left)
        with self._lock:
            self._going_on[shadow.volume.guid] = revert
        self._wait(revert)

    def _judge(self, shadow: ShadowCopy, *, force: bool) -> None:
        volume = shadow.volume
        if not self._vss.is_server:
            raise VssError(codes.NOT_SUPPORTED, "Volumes are reverted on servers only.")
        if not shadow.context.persistent or shadow.provider.type != SYSTEM:
            raise VssError(
                codes.UNSUPPORTED_CONTEXT, "Volumes are reverted to persistent copies of the system provider."
            )
        if volume.system or volume.boot or volume.pagefile or volume.file_system.upper() == "CSVFS":
            raise VssError(codes.VOLUME_NOT_SUPPORTED, f"{volume.display} cannot be reverted.")
        if self.of(volume) is not None:
            raise VssError(codes.REVERT_IN_PROGRESS, f"{volume.display} is being reverted already.")
        if not force and any(getattr(app, "pid", 1) for app in self._apps(volume)):
            raise VssError(codes.VOLUME_IN_USE, f"Programs have files open on {volume.display}.")

    def _apps(self, volume: Volume) -> list[Any]:
        return [app for app in self._vss.all_apps() if self._vss.writes_to(app, volume)]

    def _put_back(self, shadow: ShadowCopy) -> None:
        """The volume is dismounted, which ends the programs on it, filled with what it held, and mounted again."""
        volume = shadow.volume
        for app in self._apps(volume):
            if hasattr(app, "kill"):
                app.kill()
        limit = self._vss.options.limits.hold
        beside = volume.root.parent / f".revert-{uuid.uuid4().hex}"
        try:
            with self._host.files.hold([volume], limit):
                if shadow.guard is not None:
                    shadow.guard.check_all()
                trees.freeze_tree(shadow.root, beside / "then", self._vss.written_folders(volume))
                _exchange(volume.root, beside / "then", beside / "now")
                self._host.files.names.replace_metadata(volume, shadow.metadata.copy())
        except TimeoutError:
            raise VssError(codes.VOLUME_IN_USE, f"Writes to {volume.display} did not end.") from None
        except OSError as error:
            raise VssError(codes.UNEXPECTED_PROVIDER_ERROR, f"{volume.display} was not reverted: {error}") from error
        finally:
            if beside.exists():
                with contextlib.suppress(OSError):
                    trees.remove_tree(beside)
                shutil.rmtree(beside, ignore_errors=True)
            volume.measure_again()

    def _wait(self, revert: Revert) -> None:
        left = revert.ends - self._host.clock.monotonic()
        if left <= 0:
            self._finish(revert)
        else:
            revert.cancel = self._host.clock.call_after(left, lambda: self._finish(revert), "VSS: revert")

    def _finish(self, revert: Revert) -> None:
        if self._forget(revert):
            self._vss.log.volume_event("revert_complete", revert.volume)

    def _forget(self, revert: Revert) -> bool:
        with self._lock:
            return self._going_on.pop(revert.volume.guid, None) is not None

    def reboot(self) -> None:
        """The host restarted: what went on goes on."""
        for each in self.all():
            self._vss.log.volume_event("revert_restarted", each.volume)

    def close(self) -> None:
        """End what waits in the background."""
        for each in self.all():
            each.cancel()


def _exchange(root: Path, then: Path, now: Path) -> None:
    """Everything in `root` goes to `now`, a new folder, and everything in `then` comes: all of it or nothing."""
    found = then.stat()
    now.mkdir()
    done: list[tuple[Path, Path]] = []
    try:
        for source, target in ((root, now), (then, root)):
            for each in list(source.iterdir()):
                each.rename(target / each.name)
                done.append((target / each.name, each))
    except OSError:
        for moved, before in reversed(done):
            moved.rename(before)
        raise
    os.utime(root, ns=(found.st_atime_ns, found.st_mtime_ns))
