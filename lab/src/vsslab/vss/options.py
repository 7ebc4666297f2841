# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be set per host: the limits of VSS, and the things about its tools that no source settles."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Limits:
    """The limits of VSS; seconds and counts (VSS documentation, "Volume Shadow Copy Service" and registry pages)."""

    freeze: float = 60.0
    hold: float = 10.0
    volumes_per_set: int = 64
    shadows_per_volume: int = 512
    client_accessible_per_volume: int = 64
    minimum_storage: int = 320 * 1024 * 1024
    minimum_storage_small: int = 32 * 1024 * 1024
    small_volume: int = 500 * 1024 * 1024
    idle_timeout: float = 180.0


@dataclass(frozen=True)
class Options:
    """Settings of one host's VSS and of its tools.

    `diskshadow_language`: `en`, or `marked`: every translatable word is written differently, so that a reader that
    leans on words is found out (diskshadow is translated on Windows; only a Chinese transcript is public).
    `diskshadow_log_encoding`: encoding of the /l file, `oem` or a Python codec such as `utf-16-le` (not documented).
    `diskshadow_log_append`: whether a second run appends to it (not documented).
    `vssadmin_empty_exit`: exit code of an empty listing (sources disagree).
    `no_writers`: names or class ids of in-box writers this host does not have.
    """

    limits: Limits = field(default_factory=Limits)
    diskshadow_language: str = "en"
    diskshadow_log_encoding: str = "oem"
    diskshadow_log_append: bool = False
    vssadmin_empty_exit: int = 0
    no_writers: tuple[str, ...] = ()

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Options:
        """Options from a scenario's mapping; ValueError names a key that does not exist."""
        values = dict(data)
        limits = _make(Limits, values.pop("limits", {}))
        if "no_writers" in values:
            values["no_writers"] = tuple(str(each) for each in values["no_writers"])
        made: Options = _make(cls, {**values, "limits": limits})
        if made.diskshadow_language not in ("en", "marked"):
            raise ValueError(f"diskshadow_language is en or marked, not {made.diskshadow_language!r}.")
        return made


def _make(kind: Any, values: Mapping[str, Any]) -> Any:
    known = {each.name for each in dataclasses.fields(kind)}
    for key in values:
        if key not in known:
            raise ValueError(f"{key!r} is no setting of VSS; there are {', '.join(sorted(known))}.")
    return kind(**values)
