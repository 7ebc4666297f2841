# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hardware copies that are not in the system: transportable sets, import, mask, break.

A transportable set stays in the storage array when it is made, until it is imported on this host or on another one of
the laboratory that has the same hardware provider.  Source: "Importing Transportable Shadow Copied Volumes Under VSS",
diskshadow's pages of import, mask and break.
"""

from __future__ import annotations

import dataclasses
import threading
import uuid
from typing import TYPE_CHECKING

from ..windows import inodes
from ..windows.volumes import Volume
from . import codes
from .codes import Attribute, VssError
from .providers import HARDWARE
from .shadows import ShadowCopy, SnapshotSet

if TYPE_CHECKING:
    from .coordinator import Coordinator


class StorageArray:
    """The sets of one host that are in its storage array only."""

    def __init__(self, vss: Coordinator) -> None:
        self._vss = vss
        self._lock = threading.Lock()
        self._sets: dict[str, SnapshotSet] = {}

    def all(self) -> list[SnapshotSet]:
        """The sets, in the order they came."""
        with self._lock:
            return list(self._sets.values())

    def keep(self, made: SnapshotSet) -> None:
        """A set is in the array from now on."""
        with self._lock:
            self._sets[made.id] = made

    def take(self, set_id: str) -> SnapshotSet | None:
        """Take a set out, if it is there."""
        with self._lock:
            return self._sets.pop(set_id.strip("{}").lower(), None)

    def import_set(self, set_id: str, requestor: str) -> SnapshotSet:
        """Bring a set into this system, from this host's array or that of another host in its network."""
        vss, identity = self._vss, set_id.strip("{}").lower()
        if not vss.is_server:
            raise VssError(codes.NOT_SUPPORTED, "Transportable sets are imported on servers only.")
        if any(each.set_id == identity for each in vss.shadows):
            raise VssError(codes.OBJECT_ALREADY_EXISTS, f"The set {set_id} is imported already.")
        for array in self._reachable():
            found = next((each for each in array.all() if each.id == identity), None)
            if found is None:
                continue
            known = {each.id for each in vss.providers if each.type == HARDWARE}
            if any(shadow.provider.id not in known for shadow in found.shadows):
                raise VssError(codes.PROVIDER_NOT_REGISTERED, "The set's hardware provider is not registered here.")
            array.take(identity)
            return self._surface(found, requestor)
        raise VssError(codes.NO_SNAPSHOTS_IMPORTED, f"No storage array has the set {set_id}.")

    def _reachable(self) -> list[StorageArray]:
        network = getattr(self._vss.host, "network", None) or {}
        others = [host.vss.array for host in network.values() if getattr(host, "vss", None) is not None]
        return [self, *(each for each in others if each is not self)]

    def _surface(self, found: SnapshotSet, requestor: str) -> SnapshotSet:
        shadows = []
        for each in found.shadows:
            bits = (each.attributes | Attribute.IMPORTED) & ~Attribute.NOT_SURFACED
            shadow = dataclasses.replace(
                each, number=self._vss.store.next_number(), attributes=bits, requestor=requestor,
                service_machine=self._vss.machine,
            )  # fmt: skip
            self._vss.store.surface(shadow)
            self._vss.store.add(shadow)
            shadows.append(shadow)
        return dataclasses.replace(found, shadows=shadows)

    def mask_set(self, set_id: str) -> None:
        """Take an imported set out of this system; its copies stay in the array."""
        shadows = self._imported(set_id)
        for shadow in shadows:
            self._vss.store.withdraw(shadow)
            shadow.attributes &= ~Attribute.IMPORTED
        self.keep(SnapshotSet(shadows[0].set_id, shadows[0].context, shadows))

    def break_set(self, set_id: str, *, writable: bool) -> list[Volume]:
        """Make ordinary volumes of an imported set, without a letter, read-only unless `writable`."""
        volumes = []
        for shadow in self._imported(set_id):
            if shadow.guard is not None:
                shadow.guard.check_all()
            self._vss.store.withdraw(shadow)
            for path in shadow.guard.marks if shadow.guard is not None else ():
                inodes.own(shadow.root / path, shadow.root)
            origin = shadow.volume
            volume = Volume(
                str(uuid.uuid4()), None, shadow.root, label=origin.label, file_system=origin.file_system,
                capacity=origin.capacity, block_size=origin.block_size, read_only=not writable,
            )  # fmt: skip
            self._vss.host.volumes.append(volume)
            self._vss.host.files.names.replace_metadata(volume, shadow.metadata.copy())
            volumes.append(volume)
        return volumes

    def _imported(self, set_id: str) -> list[ShadowCopy]:
        identity = set_id.strip("{}").lower()
        shadows = [each for each in self._vss.shadows if each.set_id == identity]
        if not shadows:
            raise VssError(codes.OBJECT_NOT_FOUND, f"There is no set {set_id}.")
        if any(not each.attributes & Attribute.IMPORTED for each in shadows):
            raise VssError(codes.BAD_STATE, f"The set {set_id} was not imported.")
        return shadows
