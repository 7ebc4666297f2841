# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shadow copies, sets of them, and the provider that keeps them."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from .codes import Attribute, Context
from .providers import SYSTEM_PROVIDER, Provider

if TYPE_CHECKING:
    from ..windows.metadata import Metadata
    from ..windows.volumes import Volume
    from .guard import TreeGuard
    from .writers import Component, Writer

DEVICE = "\\\\?\\GLOBALROOT\\Device\\HarddiskVolumeShadowCopy"


@dataclass
class ShadowCopy:
    """One shadow copy of one volume.

    `number` is that of its device object; `root` the folder that holds the copy; `exposed` the letter (`E:\\`) or
    folder (`C:\\mnt\\copy\\`) under which it is exposed locally, or the share (`data`) remotely; `metadata` the
    attributes and security of its files; `size` the bytes in its files; `guard` watches over its tree; `kept` what the
    next newer copy (its id) has no longer, in bytes; `service_machine` the host it was imported on; ids are lower-case
    without braces.
    """

    id: str
    set_id: str
    volume: Volume
    context: Context
    created: datetime.datetime
    count: int
    machine: str
    number: int
    root: Path
    attributes: Attribute
    metadata: Metadata
    provider: Provider = SYSTEM_PROVIDER
    exposed: str | None = None
    requestor: str = ""
    size: int = 0
    guard: TreeGuard | None = None
    kept: tuple[str, int] | None = None
    service_machine: str = ""

    @property
    def device(self) -> str:
        """The device object, without a trailing backslash."""
        return f"{DEVICE}{self.number}"

    @property
    def all_attributes(self) -> Attribute:
        """The attribute bits, with those of the exposure."""
        if not self.exposed:
            return self.attributes
        return self.attributes | (Attribute.EXPOSED_REMOTELY if self.shared else Attribute.EXPOSED_LOCALLY)

    @property
    def shared(self) -> bool:
        """True when the copy is exposed as a share."""
        return self.exposed is not None and "\\" not in self.exposed


@dataclass
class SnapshotSet:
    """A set: the copies of one moment, the writers that took part, and how long they were frozen."""

    id: str
    context: Context
    shadows: list[ShadowCopy]
    writers: list[tuple[Writer, list[Component]]] = field(default_factory=list)
    frozen_seconds: float | None = None

    @property
    def created(self) -> datetime.datetime:
        """The moment of the set."""
        return self.shadows[0].created
