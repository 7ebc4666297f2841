# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Time zones under their Windows names."""

from __future__ import annotations

import functools
import zoneinfo
from dataclasses import dataclass

from .errors import data


@dataclass(frozen=True)
class Zone:
    """A time zone of Windows: its key in the registry, and how lists show it."""

    id: str
    display: str

    @property
    def daylight(self) -> str:
        """The name while daylight saving is in effect."""
        return self.id.replace("Standard", "Daylight")


@functools.cache
def _zones() -> dict[str, Zone]:
    return {name: Zone(row["id"], row["display"]) for row in data("time_zones.yml") for name in row["zones"]}


def time_zone(iana: str) -> zoneinfo.ZoneInfo:
    """The IANA zone of this name; ValueError when there is none."""
    try:
        return zoneinfo.ZoneInfo(iana)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        raise ValueError(f"{iana!r} is no time zone such as Europe/Berlin.") from None


def zone_of(iana: str) -> Zone | None:
    """The Windows zone of an IANA zone such as Europe/Berlin; None when the table has none."""
    return _zones().get(iana)
