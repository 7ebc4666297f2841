# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is declared of a storage area, and what is to be done about it; nothing on the host is touched."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from .errors import VssFailure
from .facts import Facts
from .kinds import SYSTEM_PROVIDER
from .model import FIXED, Shadow, StorageArea, Volume
from .paths import volume_named

_MIB = 2**20
_SAME = _MIB  # bytes by which what was asked for and what Windows made of it may differ
_SMALL = 500 * _MIB  # volumes below it may have an area of _LEAST_SMALL (volsnap, MinDiffAreaFileSize)
_LEAST, _LEAST_SMALL = 320 * _MIB, 32 * _MIB
_TOLD = 10  # shadow copies named in a sentence
_SIZE = re.compile(r"^(\d+(?:\.\d+)?)\s*(?:([KMGTPE])I?)?B?$", re.IGNORECASE)
_PERCENT = re.compile(r"^(\d+(?:\.\d+)?)\s*%$")
_UNITS = {unit: 1024**power for power, unit in enumerate("KMGTPE", 1)}

What = Literal["none", "create", "resize", "move", "remove"]


@dataclass(frozen=True)
class Wish:
    """What is declared. on None: wherever the area is. maximum: bytes, None for no limit; meant only if `sized`."""

    volume: Volume
    on: Volume | None
    sized: bool
    maximum: int | None
    present: bool
    accept_eviction: bool


@dataclass(frozen=True)
class Change:
    """What is to be done about an area. was: place and maximum before; at_risk: copies it may cost, oldest first."""

    what: What
    volume: str
    on: str
    maximum: int | None
    was: tuple[str, int | None] | None = None
    at_risk: tuple[str, ...] = ()


# ---- what is declared
def wished(args: Mapping[str, Any], facts: Facts) -> Wish:
    """What is declared.

    :raises VssFailure: a volume is not there or not fit, or the size cannot be.
    """
    volume = volume_named(str(args["volume"]), facts)
    on = volume_named(str(args["placement"]), facts) if args.get("placement") else None
    present = args.get("state") != "absent"
    if present and volume.unfit:
        raise VssFailure(f"The volume {volume.display} on {facts.host} {volume.unfit}: it needs no storage area.")
    if present and on is not None and (on.drive_type != FIXED or on.file_system.upper() != "NTFS"):
        raise VssFailure(
            f"The volume {on.display} on {facts.host} cannot hold a storage area: only local NTFS volumes can."
        )
    text = str(args.get("max_size") or "").strip()
    holder = on or _holder(volume, facts)
    maximum = size(text, holder, facts.host) if present and text else None
    least = _LEAST_SMALL if (volume.capacity or _SMALL) < _SMALL else _LEAST
    if maximum is not None and maximum < least:
        raise VssFailure(
            f"A maximum of {told(maximum)} for the storage area of {volume.display} on {facts.host} is too small: "
            f"Windows wants {told(least)} or more."
        )
    return Wish(volume, on, bool(text), maximum, present, bool(args.get("accept_eviction")))


def _holder(volume: Volume, facts: Facts) -> Volume:
    area = area_of(facts, volume.id)
    return (facts.places.by_id(area.on_volume) if area else None) or volume


def size(text: str, on: Volume, host: str) -> int | None:
    """A maximum in bytes; None when it is to be none.

    :param text: bytes, a number with a unit (binary, as Windows counts: 1 KB is 1024 bytes), percent, or `unbounded`.
    :param on: the volume that percent are of.
    :raises VssFailure: it is none of these.
    """
    if text.casefold() == "unbounded":
        return None
    percent, plain = _PERCENT.match(text), _SIZE.match(text)
    if percent and 0 < float(percent.group(1)) <= 100 and on.capacity:
        return int(on.capacity * float(percent.group(1)) / 100)
    bytes_ = int(float(plain.group(1)) * _UNITS.get((plain.group(2) or "").upper(), 1)) if plain else 0
    if not 0 < bytes_ < 2**63 - 1:
        raise VssFailure(
            f"The max_size {text!r} for {host} is not a size: write bytes, a number with MB, GB or TB, at most 100%, "
            "or unbounded."
        )
    return bytes_


def told(count: int | None) -> str:
    """Bytes as a person says them."""
    if count is None:
        return "unbounded"
    for unit, factor in reversed(_UNITS.items()):
        if count >= factor:
            return f"{count / factor:.4g} {unit}iB"
    return f"{count} bytes"


# ---- what is to be done
def area_of(facts: Facts, volume: str) -> StorageArea | None:
    return next((area for area in facts.storage if area.volume == volume), None)


def copies_in(facts: Facts, volume: str) -> list[Shadow]:
    """The shadow copies of a volume that need its area, oldest first."""
    mine = [s for s in facts.shadows if s.volume == volume and s.provider in (None, SYSTEM_PROVIDER)]
    return sorted(mine, key=lambda shadow: (shadow.created is not None, shadow.created or facts.now))


def decide(wish: Wish, facts: Facts) -> Change:
    """What is to be done.

    :raises VssFailure: it would cost shadow copies that were not given up, or Windows would refuse it because of them.
    """
    area, copies = area_of(facts, wish.volume.id), copies_in(facts, wish.volume.id)
    here = area.on_volume if area else wish.volume.id
    on = wish.on.id if wish.on else here
    was = (area.on_volume, area.maximum) if area else None
    if not wish.present:
        if area is None or on != here:
            return Change("none", wish.volume.id, here, None, was)
        _nocopies_in(wish, facts, copies, "removed")
        return Change("remove", wish.volume.id, here, None, was)
    maximum = wish.maximum if wish.sized or area is None else area.maximum
    if area is None:
        return Change("create", wish.volume.id, on, maximum)
    if on != here:
        _nocopies_in(wish, facts, copies, f"moved to {facts.places.display(on)}")
        return Change("move", wish.volume.id, on, maximum, was)
    if alike(maximum, area.maximum):
        return Change("none", wish.volume.id, here, area.maximum, was)
    at_risk = copies if maximum is not None and maximum < max(area.used, area.allocated) else []
    if at_risk and not wish.accept_eviction:
        raise VssFailure(
            f"The storage area of {wish.volume.display} on {facts.host} holds {told(area.used)} and takes "
            f"{told(area.allocated)}. With a maximum of {told(maximum)} Windows would delete shadow copies, the oldest "
            f"first until the rest fits, of {_named(at_risk, facts)}. Allow more, or accept that with accept_eviction.",
            at_risk=[told_copy(shadow, facts) for shadow in at_risk],
        )
    return Change("resize", wish.volume.id, here, maximum, was, tuple(shadow.id for shadow in at_risk))


def alike(one: int | None, other: int | None) -> bool:
    return one == other if one is None or other is None else abs(one - other) < _SAME


def _nocopies_in(wish: Wish, facts: Facts, copies: Sequence[Shadow], done: str) -> None:
    if copies:
        raise VssFailure(
            f"The storage area of {wish.volume.display} on {facts.host} cannot be {done} while there are shadow copies "
            f"in it: {_named(copies, facts)}. Remove them first.",
            at_risk=[told_copy(shadow, facts) for shadow in copies],
        )


def _named(copies: Sequence[Shadow], facts: Facts) -> str:
    names = []
    for shadow in copies[:_TOLD]:
        copy = told_copy(shadow, facts)
        whose = f"of the snapshot {copy['name']}" if copy["name"] else "ours" if copy["run"] else "not ours"
        names.append(f"{copy['id']} from {copy['created']} ({whose})")
    more = len(copies) - _TOLD
    return ", ".join(names) + (f" and {more} more" if more > 0 else "")


def told_copy(shadow: Shadow, facts: Facts) -> dict[str, Any]:
    """A shadow copy and whose it is, as a module returns it."""
    whose = next((r for r in facts.records.readable if any(made.id == shadow.id for made in r.shadows)), None)
    return {**shadow.result(), "run": whose.run if whose else None, "name": whose.name if whose else None}
