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

if TYPE_CHECKING:
    from ..windows.metadata import Metadata
    from ..windows.volumes import Volume
    from .writers import Component, Writer

DEVICE = "\\\\?\\GLOBALROOT\\Device\\HarddiskVolumeShadowCopy"


@dataclass(frozen=True)
class Provider:
    """A registered shadow copy provider; `type` as VSS_PROVIDER_TYPE (1 system)."""

    id: str
    name: str
    type: int
    version: str
    version_id: str
    clsid: str


SYSTEM_PROVIDER = Provider(
    id="b5946137-7b9f-4925-af80-51abd60b20d5",
    name="Microsoft Software Shadow Copy provider 1.0",
    type=1,
    version="1.0.0.7",
    version_id="00000001-0000-0000-0007-000000000001",
    clsid="65ee1dba-8ff4-4a58-ac1c-3470ee2f376a",
)


@dataclass
class ShadowCopy:
    """One shadow copy of one volume.

    `number` is that of its device object; `root` the folder that holds the copy; `exposed` the letter (`E:\\`) or
    folder (`C:\\mnt\\copy\\`) under which it is exposed locally; `metadata` the attributes and security of its files;
    ids are lower-case without braces.
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

    @property
    def device(self) -> str:
        """The device object, without a trailing backslash."""
        return f"{DEVICE}{self.number}"

    @property
    def all_attributes(self) -> Attribute:
        """The attribute bits, with those of the exposure."""
        return self.attributes | (Attribute.EXPOSED_LOCALLY if self.exposed else Attribute(0))


@dataclass
class SnapshotSet:
    """A set: the copies of one moment, the writers that took part, and how long they were frozen."""

    id: str
    context: Context
    shadows: list[ShadowCopy]
    writers: list[tuple[Writer, list[Component]]] = field(default_factory=list)
    frozen_seconds: float | None = None
    held_seconds: float | None = None

    @property
    def created(self) -> datetime.datetime:
        """The moment of the set."""
        return self.shadows[0].created
