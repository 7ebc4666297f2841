# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reverting a volume to one of its shadow copies.

The whole volume goes back, newer copies are deleted, nothing can cancel it, and a restart only delays it (volsnap 64,
65, 66).  Source: IVssBackupComponents::RevertToSnapshot and the pages of its tools.  That the old content shows at once
while the revert goes on in the background, and that the copy itself stays, is assumed; so is that the revert stands
still while the host is down.

The volume is dismounted: what was put into its folders since (mounted volumes, exposed copies) is gone, and so are the
copies of other volumes whose storage area lies on it (volsnap 16), which keep it in use unless it is forced.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import uuid
from collections.abc import Callable, Iterator
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
    stopped: float | None = None  # when the host went down meanwhile

    def percent(self, now: float) -> int:
        """How much of it is done."""
        now = now if self.stopped is None else self.stopped
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
            for other in self._guests(volume):
                self._vss.overflow.drop(other, "storage_dismounted")
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
        if not force and self._in_use(volume):
            raise VssError(codes.VOLUME_IN_USE, f"Programs have files open on {volume.display}.")

    def _in_use(self, volume: Volume) -> bool:
        """A program writes to it, a file of it is open for writing, or volsnap keeps copies of other volumes there."""
        return (
            any(getattr(app, "pid", 1) for app in self._apps(volume))
            or self._host.files.names.is_written_below(volume.root)
            or bool(self._guests(volume))
        )

    def _guests(self, volume: Volume) -> list[Volume]:
        """Other volumes with copies whose storage area lies on this one."""
        return [
            area.volume
            for area in self._vss.storage.all()
            if area.diff_volume is volume and area.volume is not volume and self._vss.store.in_areas(area.volume.guid)
        ]

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
                self._dismounted(volume)
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

    def _dismounted(self, volume: Volume) -> None:
        """Copies exposed in its folders are not any more; volumes are mounted where the old content says."""
        for shadow in self._vss.shadows:
            if shadow.exposed and not shadow.shared and self._lies_on(shadow.exposed, volume):
                self._vss.store.unexpose(shadow)
        for other in self._host.volumes:
            other.mounts[:] = [path for path in other.mounts if not self._lies_on(path, volume)]
        for path, target in _mount_points(volume.root):
            mounted = self._host.volumes.by_path(target)
            if mounted is not None:
                mounted.mounts.append(volume.display + path.replace("/", "\\") + "\\")

    def _lies_on(self, path: str, volume: Volume) -> bool:
        """Whether a path is one of a folder of this volume (not the volume's own letter)."""
        text = path.casefold()
        return any(text.startswith(name.casefold()) and text != name.casefold() for name in volume.names)

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
        """The host goes down: what goes on stands still."""
        for each in self.all():
            each.cancel()
            each.stopped = self._host.clock.monotonic()

    def boot(self) -> None:
        """The host is up again: it goes on."""
        for each in self.all():
            if each.stopped is not None:
                down = self._host.clock.monotonic() - each.stopped
                each.began, each.ends, each.stopped = each.began + down, each.ends + down, None
                self._vss.log.volume_event("revert_restarted", each.volume)
                self._wait(each)

    def close(self) -> None:
        """End what waits in the background."""
        for each in self.all():
            each.cancel()


def _mount_points(root: Path) -> Iterator[tuple[str, str]]:
    """The mount points in a real folder: their path in it, and the volume that they lead to."""
    for folder, _folders, names in os.walk(root):  # their targets mean nothing to this machine: they count as files
        for name in names:
            path = Path(folder, name)
            if path.is_symlink() and (target := os.readlink(path)).startswith("\\\\?\\Volume{"):
                yield path.relative_to(root).as_posix(), target


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
