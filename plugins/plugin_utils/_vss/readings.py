# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
r"""The last reading of every storage area of a host, kept on the host in ``<state>\storage.json``: to see it grow.

The file is written whole under another name and then moved. One that cannot be read is told, and begun anew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from .. import _verbs as verbs
from .._pipeline import Reply, Statement, moment
from . import records
from .model import StorageArea, iso, volume_id
from .paths import join

SCHEMA = 1
FILE = "storage.json"
KEY = "readings"


@dataclass(frozen=True)
class Reading:
    """What an area held at a moment of the host's clock (ISO 8601). Bytes."""

    at: str
    on_volume: str
    used: int
    allocated: int


@dataclass(frozen=True)
class Readings:
    """The last readings by the ID of the volume whose area it is. damaged: why the file could not be read."""

    known: Mapping[str, Reading] = field(default_factory=dict)
    damaged: str = ""

    def growth(self, area: StorageArea) -> dict[str, Any] | None:
        """By how many bytes an area has grown since its last reading; None without one at the same place."""
        last = self.known.get(area.volume)
        if last is None or last.on_volume != area.on_volume:
            return None
        return {"since": last.at, "used": area.used - last.used, "allocated": area.allocated - last.allocated}

    def with_area(self, volume: str, area: StorageArea | None, now: datetime) -> Readings:
        """These readings and a new one of a volume's area; without the volume when it has none."""
        rest = {name: each for name, each in self.known.items() if name != volume}
        if area is not None:
            rest[volume] = Reading(iso(now) or "", area.on_volume, area.used, area.allocated)
        return Readings(rest)

    def lines(self) -> list[str]:
        """The file."""
        told = {"schema": SCHEMA, "readings": {name: vars(each) for name, each in self.known.items()}}
        return json.dumps(told, indent=1, sort_keys=True).splitlines()


def asking(windows: str) -> Statement:
    """The statement that reads the file."""
    return verbs.read_texts(KEY, join(records.state_folder(windows), FILE))


def read(reply: Reply) -> Readings:
    """The readings in the answer to `asking`."""
    text = next((str(value) for value in reply[KEY].values), "")
    if not text:
        return Readings()
    try:
        found = json.loads(text.lstrip("\ufeff"))
        if found["schema"] != SCHEMA:
            return Readings(damaged=f"it is of version {found['schema']!r}, and this collection knows version {SCHEMA}")
        return Readings({volume_id(name): _reading(each) for name, each in found["readings"].items()})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return Readings(damaged=f"it does not hold readings ({error})")


def _reading(told: Mapping[str, Any]) -> Reading:
    at = str(told["at"])
    if moment(at) is None:
        raise ValueError(f"{at!r} is no moment")
    return Reading(at, volume_id(told["on_volume"]), int(told["used"]), int(told["allocated"]))


def writing(readings: Readings, windows: str, folder: str) -> list[Statement]:
    """The statements that write the file whole into `folder` and then move it to its place."""
    path = join(folder, f"{FILE}.new")
    return [
        verbs.write_lines("reading", path, readings.lines()),
        verbs.move_file("reading-moved", path, join(records.state_folder(windows), FILE)),
    ]
