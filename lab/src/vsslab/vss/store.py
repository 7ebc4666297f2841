# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shadow copies of one host: adding, exposing, deleting them, and their device objects."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ..windows.errors import WinError
from ..windows.shares import DUPLICATE
from . import codes
from .codes import VssError
from .providers import SYSTEM
from .shadows import ShadowCopy
from .trees import remove_tree

if TYPE_CHECKING:
    from ..windows.host import Host


class Store:
    """Thread-safe.

    `changed(action, shadow)` is called after every change: added, exposed, unexposed, deleted, lost, withdrawn.
    """

    def __init__(self, host: Host, folder: Path, changed: Callable[[str, ShadowCopy], None]) -> None:
        self._host = host
        self.folder = folder
        self._changed = changed
        self._lock = threading.RLock()
        self._shadows: list[ShadowCopy] = []
        self.last_number = 0

    def all(self) -> list[ShadowCopy]:
        """All shadow copies, oldest first."""
        with self._lock:
            return [*self._shadows]

    def find(self, shadow_id: str) -> ShadowCopy | None:
        """The copy with this id (braces or not, any case), or None."""
        wanted = shadow_id.strip().strip("{}").lower()
        return next((each for each in self.all() if each.id == wanted), None)

    def get(self, shadow_id: str) -> ShadowCopy:
        """The copy with this id; VssError OBJECT_NOT_FOUND."""
        found = self.find(shadow_id)
        if found is None:
            raise VssError(codes.OBJECT_NOT_FOUND, f"There is no shadow copy {shadow_id}.")
        return found

    def of_volume(self, guid: str) -> list[ShadowCopy]:
        """The copies of one volume, oldest first."""
        return [each for each in self.all() if each.volume.guid == guid]

    def in_areas(self, guid: str) -> list[ShadowCopy]:
        """Those of them that need a storage area, oldest first: the system provider's."""
        return [each for each in self.of_volume(guid) if each.provider.type == SYSTEM]

    def next_number(self) -> int:
        """A device number, rising, never the same again until the host reboots."""
        with self._lock:
            self.last_number += 1
            return self.last_number

    def surface(self, shadow: ShadowCopy) -> None:
        """A copy is made: its device object can be opened from now on."""
        self._attach(shadow.device, shadow)

    def add(self, shadow: ShadowCopy) -> None:
        """A surfaced copy is part of the system: it is listed from now on."""
        with self._lock:
            self._shadows.append(shadow)
        self._changed("added", shadow)

    def restore(self, shadow: ShadowCopy) -> None:
        """A copy that was kept is there again, exposed as it was; nobody is told."""
        with self._lock:
            self._attach(shadow.device, shadow)
            if shadow.exposed and not shadow.shared:
                self._attach(shadow.exposed.rstrip("\\"), shadow)
            self._shadows.append(shadow)

    def discard(self, shadow: ShadowCopy) -> None:
        """Whatever there is of a copy goes: listed, surfaced or only begun."""
        with contextlib.suppress(VssError):
            self.delete(shadow)
        with contextlib.suppress(KeyError):
            self._host.files.detach(shadow.device)
        self._end(shadow)

    def lose(self, shadow: ShadowCopy) -> None:
        """A copy vanishes though nobody asked for it, harmless when it is gone: open files of it fail from now on."""
        with contextlib.suppress(VssError):
            self.delete(shadow, action="lost")

    def withdraw(self, shadow: ShadowCopy) -> None:
        """A copy leaves the system, its files stay (hardware copies that are masked or become volumes)."""
        with self._lock:
            self._take_out(shadow)
        self._changed("withdrawn", shadow)

    def _end(self, shadow: ShadowCopy) -> None:
        if shadow.guard is not None:
            shadow.guard.gone = True
        if shadow.root.exists():
            remove_tree(shadow.root)

    def _attach(self, place: str, shadow: ShadowCopy) -> None:
        names = self._host.files.names
        names.attach(place, lambda: shadow.root, read_only=True, metadata=shadow.metadata)

    def expose(self, shadow: ShadowCopy, target: str) -> str:
        """Expose a copy under a free letter, in an empty folder or as a share; the name as VSS keeps it (`E:\\`).

        VssError (docs of IVssBackupComponents::ExposeSnapshot): BAD_STATE when the copy cannot be exposed,
        OBJECT_ALREADY_EXISTS when it is exposed or the letter in use, E_INVALIDARG for no existing empty folder.
        """
        with self._lock:
            if not shadow.context.persistent or shadow.context.client_accessible:
                raise VssError(codes.BAD_STATE, "Only persistent copies that are not client accessible can be exposed.")
            if shadow.exposed:
                raise VssError(codes.OBJECT_ALREADY_EXISTS, f"The copy is exposed as {shadow.exposed} already.")
            plain = target.rstrip("\\")
            if ":" not in plain and "\\" not in plain:
                self._share(shadow, plain)
                return plain
            if len(plain) == 2 and plain[1] == ":" and plain[0].isalpha():
                if self._taken(plain):
                    raise VssError(codes.OBJECT_ALREADY_EXISTS, f"{plain} is in use.")
            elif not self._empty_folder(plain):
                raise VssError(codes.E_INVALIDARG, f"{plain} is not an existing empty folder.")
            self._attach(plain, shadow)
            shadow.exposed = plain + "\\"
        self._changed("exposed", shadow)
        return shadow.exposed

    def _share(self, shadow: ShadowCopy, name: str) -> None:
        try:
            self._host.shares.add(name, shadow.device + "\\", description="Shadow copy")
        except WinError as error:
            taken = error.code == DUPLICATE
            raise VssError(codes.OBJECT_ALREADY_EXISTS if taken else codes.E_INVALIDARG, f"{name}: {error}") from None
        shadow.exposed = name
        self._changed("exposed", shadow)

    def _hide(self, shadow: ShadowCopy) -> None:
        """Take what a copy is exposed as away."""
        name = shadow.exposed or ""
        with contextlib.suppress(WinError):  # somebody deleted the share
            if shadow.shared:
                self._host.shares.remove(name)
            else:
                self._host.files.detach(name.rstrip("\\"))
        shadow.exposed = None

    def _taken(self, letter: str) -> bool:
        return letter[0].upper() in self._host.files.names.letters()

    def _empty_folder(self, path: str) -> bool:
        try:
            found = self._host.files.stat(path)
            return found.is_dir and found.link_target is None and not self._host.files.listdir(path)
        except WinError:
            return False

    def unexpose(self, shadow: ShadowCopy) -> None:
        """Take the exposure back; VssError BAD_STATE when there is none."""
        with self._lock:
            if not shadow.exposed:
                raise VssError(codes.BAD_STATE, "The copy is not exposed.")
            self._hide(shadow)
        self._changed("unexposed", shadow)

    def exposed_as(self, target: str) -> ShadowCopy | None:
        """The copy exposed under this letter or folder or as this share, or None."""
        wanted = target.rstrip("\\").lower()
        return next((e for e in self.all() if e.exposed and e.exposed.rstrip("\\").lower() == wanted), None)

    def delete(self, shadow: ShadowCopy, action: str = "deleted") -> None:
        """Delete a copy, unexposing it first; VssError OBJECT_NOT_FOUND when it is gone already."""
        with self._lock:
            self._take_out(shadow)
        self._end(shadow)
        self._changed(action, shadow)

    def _take_out(self, shadow: ShadowCopy) -> None:
        if not any(each is shadow for each in self._shadows):
            raise VssError(codes.OBJECT_NOT_FOUND, f"There is no shadow copy {shadow.id}.")
        if shadow.exposed:
            self._hide(shadow)
        self._shadows = [each for each in self._shadows if each is not shadow]
        self._host.files.detach(shadow.device)

    def reboot(self) -> None:
        """What a restart does: volatile copies vanish, device numbers start over with the copies that stay."""
        for shadow in self.all():
            if not shadow.context.persistent:
                with contextlib.suppress(VssError):
                    self.delete(shadow)
        with self._lock:
            for shadow in self._shadows:
                self._host.files.detach(shadow.device)
            for number, shadow in enumerate(self._shadows, start=1):
                shadow.number = number
                self._attach(shadow.device, shadow)
                share = self._host.shares.find(shadow.exposed or "") if shadow.shared else None
                if share is not None:
                    share.path = shadow.device + "\\"
            self.last_number = len(self._shadows)
