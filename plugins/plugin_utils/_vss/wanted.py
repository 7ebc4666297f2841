# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a restore is asked for: out of which shadow copies, which paths, and where to. Decided from facts alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .._host import Host
from . import verify
from .errors import VssFailure
from .facts import Facts, usable
from .model import VOLUME_PATH, Shadow, guid, is_guid, iso
from .owner import this_process
from .paths import BadPath, Place, below_destination, no_overlap, normal
from .planning import check_name
from .records import state_folder
from .reverting import not_reverted

ACTION = "restore"
TARGETS = "targets"  # in a record's changes: where a restore writes to
SOURCES = "shadows"  # and which shadow copies it reads

# Which files robocopy chooses, by what becomes of those that are there already ("robocopy" in the Windows Commands
# documentation, file selection options): it copies what is missing, newer, older and changed unless it is told not to.
# /XX: what is only there is not even mentioned.
EXISTING: Mapping[str, tuple[str, ...]] = {
    "skip": ("/XC", "/XN", "/XO"),
    "newer": ("/XC", "/XO"),
    "replace": ("/IT",),
    "rename": (),
}
_KEEPS_ACCESS_LISTS = frozenset({"NTFS", "REFS", "CSVFS"})
_FIXED = 3  # Win32_Volume.DriveType


@dataclass(frozen=True)
class Source:
    """The shadow copies that are read, by their volumes. ours: a record of this collection names them."""

    shadows: Mapping[str, Shadow]
    name: str | None = None
    ours: bool = False

    @property
    def ids(self) -> list[str]:
        """The IDs of the shadow copies."""
        return [shadow.id for shadow in self.shadows.values()]

    def result(self, facts: Facts) -> dict[str, Any]:
        """The snapshot as the module returns it."""
        first = next(iter(self.shadows.values()))
        return {
            "name": self.name,
            "id": first.set_id,
            "created": iso(first.created),
            "ours": self.ours,
            "shadows": [
                {"id": shadow.id, "volume": facts.places.display(volume)} for volume, shadow in self.shadows.items()
            ],
        }


@dataclass(frozen=True)
class Aim:
    """One path that is to be restored. place: as it is called today; at, path: where it goes to."""

    number: int
    place: Place
    shadow: Shadow
    path: str
    at: Place

    @property
    def in_place(self) -> bool:
        """Whether it goes where it came from."""
        return (self.at.volume.id, self.at.key) == (self.place.volume.id, self.place.key)


@dataclass
class Wish:
    """The module's options, checked. rehearsal: nothing is put to its place, and it goes when it was compared."""

    source: Source
    aims: list[Aim]
    existing: str
    mode: verify.Mode
    sample: int
    destination: str | None = None
    rehearsal: bool = False
    warnings: list[str] = field(default_factory=list)


# ---- the shadow copies
def choose(facts: Facts, args: Mapping[str, Any]) -> Source:
    """The shadow copies that the options name.

    :raises VssFailure: they name none, or one that is not there.
    """
    given = [option for option in ("name", "snapshot_set_id", "snapshot_id") if args.get(option)]
    if len(given) != 1:
        raise VssFailure(
            f"What is to be restored from on {facts.host}? Set one of name, snapshot_set_id and snapshot_id"
            + (f", not {' and '.join(given)} together." if given else ".")
        )
    option, value = given[0], str(args[given[0]])
    if option == "name":
        return _named(facts, check_name(value))
    if not is_guid(value):
        raise VssFailure(f"{option} {value!r} is not a GUID.")
    wanted = guid(value)
    found = [shadow for shadow in facts.shadows if wanted == (shadow.id if option == "snapshot_id" else shadow.set_id)]
    if not found:
        raise VssFailure(f"There is no shadow copy with the {option} {wanted} on {facts.host}: look at umbra.vss.info.")
    record = next(
        (r for r in facts.records.readable if r.kept and {s.id for s in found} <= {made.id for made in r.shadows}), None
    )
    return _source(facts, found, record.name if record else None, record is not None)


def _named(facts: Facts, name: str) -> Source:
    kept = facts.records.named(name)
    if not kept:
        there = sorted({record.name for record in facts.records.readable if record.kept})
        raise VssFailure(
            f"There is no snapshot {name} on {facts.host}"
            + (f": it has {', '.join(there)}." if there else ", nor any other that this collection has made.")
        )
    live = {shadow.id: shadow for shadow in facts.shadows}
    for record in kept:
        found = [live[made.id] for made in record.shadows if made.id in live]
        if found:
            return _source(facts, found, record.name, True)
    raise VssFailure(
        f"The shadow copies of the snapshot {name} on {facts.host} are gone: Windows deletes them when their storage "
        "runs full (look at the volsnap events 25, 33, 35, 36 and 58 of the host), or somebody else did."
    )


def _source(facts: Facts, found: Sequence[Shadow], name: str | None, ours: bool) -> Source:
    for shadow in found:
        if not usable(shadow) or not shadow.device or not shadow.volume:
            raise VssFailure(f"The shadow copy {shadow.id} on {facts.host} is not whole: it cannot be read.")
    return Source({shadow.volume or "": shadow for shadow in found}, name, ours)


# ---- the paths
def pairs(args: Mapping[str, Any], host: str) -> list[tuple[str, str | None]]:
    """The paths that are asked for, each with the one it goes to, if it is to go elsewhere.

    :raises VssFailure: an entry is neither a text nor says what and where to.
    """
    found: list[tuple[str, str | None]] = []
    for entry in args.get("paths") or []:
        if isinstance(entry, Mapping):
            odd = sorted(set(map(str, entry)) - {"path", "to"})
            if odd or not entry.get("path"):
                raise VssFailure(
                    f"An entry of paths for {host} is a text, or has path and to; this one has "
                    f"{', '.join(odd) if odd else 'no path'}."
                )
            found.append((str(entry["path"]), str(entry["to"]) if entry.get("to") else None))
        else:
            found.append((str(entry), None))
    if not found:
        raise VssFailure(f"Nothing was named to restore on {host}: paths is empty.")
    if args.get("destination") and any(to for _path, to in found):
        raise VssFailure(f"destination and to cannot be used together on {host}: to says by itself where a path goes.")
    return found


def names(args: Mapping[str, Any]) -> list[str]:
    """Every path that the options name, to ask for volumes' names."""
    told = [str(part) for entry in args.get("paths") or [] for part in _parts(entry)]
    return [*told, *([str(args["destination"])] if args.get("destination") else [])]


def _parts(entry: Any) -> list[Any]:
    return [entry[key] for key in ("path", "to") if entry.get(key)] if isinstance(entry, Mapping) else [entry]


def make_wish(facts: Facts, args: Mapping[str, Any]) -> Wish:
    """The options, checked against the facts.

    :raises VssFailure: something cannot be restored, or must not be written to.
    """
    asked, source = pairs(args, facts.host), choose(facts, args)
    how = args.get("verify") or {}
    mode, existing = str(how.get("mode") or "all"), str(args.get("existing") or "skip")
    if mode not in ("all", "count", "sample") or existing not in EXISTING:
        raise VssFailure(f"verify.mode {mode!r} or existing {existing!r} is not known.")
    destination = _normal(str(args["destination"]), "destination", facts.host) if args.get("destination") else None
    aims: list[Aim] = []
    for number, (path, to) in enumerate(asked, 1):
        place = _place(facts, path, "path")
        shadow = source.shadows.get(place.volume.id)
        if shadow is None:
            has = ", ".join(facts.places.display(volume) for volume in source.shadows)
            raise VssFailure(
                f"The snapshot on {facts.host} holds nothing of {place.volume.display}, where {place.path} lies: it "
                f"shows {has}."
            )
        target = below_destination(destination, place) if destination else to or place.path
        at = _place(facts, target, "place to restore to")
        aims.append(Aim(number, place, shadow, at.path, at))
    no_overlap([aim.place for aim in aims], facts.host)
    for aim in aims:
        _may_be_written(facts, aim)
    _apart(facts, aims)
    read = {aim.place.volume.id for aim in aims}
    source = replace(source, shadows={volume: shadow for volume, shadow in source.shadows.items() if volume in read})
    return Wish(source, aims, existing, mode, int(how.get("sample") or verify.SAMPLE), destination)  # type: ignore[arg-type]


def _normal(path: str, what: str, host: str) -> str:
    try:
        return normal(path)
    except BadPath as error:
        raise VssFailure(f"The {what} on {host} cannot be used: {error}") from None


def _place(facts: Facts, path: str, what: str) -> Place:
    try:
        found = facts.places.place(path)
    except BadPath as error:
        raise VssFailure(f"The {what} on {facts.host} cannot be used: {error}") from None
    if found is None:
        there = ", ".join(volume.display for volume in facts.volumes)
        raise VssFailure(f"The {what} {path} lies on no volume of {facts.host}: it has {there}.")
    return found


# ---- where nothing is ever written
def _may_be_written(facts: Facts, aim: Aim) -> None:
    """Refuse places that cannot keep what is restored, or that must not be written to.

    :raises VssFailure: naming the place and why.
    """
    volume, host = aim.at.volume, facts.host
    if volume.drive_type != _FIXED or volume.file_system.upper() not in _KEEPS_ACCESS_LISTS:
        what = volume.file_system or "no file system"
        raise VssFailure(
            f"{aim.path} on {host} lies on {volume.display}, which has {what}: access lists are kept on fixed disks "
            "with NTFS or ReFS only. Name a folder on one."
        )
    if VOLUME_PATH.match(aim.path):
        raise VssFailure(
            f"{aim.path} on {host} lies on a volume that has neither a letter nor a folder: mount it first, or name "
            "another place with to."
        )
    state = facts.places.place(state_folder(facts.system.windows))
    if state is not None and (state.holds(aim.at) or aim.at.holds(state)):
        raise VssFailure(
            f"{aim.path} on {host} cannot be restored to: our records lie in {state.path}, and those of the past must "
            "not come back. Name the folders in it that are wanted, or another place with to."
        )
    for shadow in facts.shadows:
        exposed = shadow.exposed_at or ""
        shown = facts.places.place(exposed) if exposed[1:2] == ":" else None
        if shown is not None and shown.holds(aim.at):
            raise VssFailure(
                f"{aim.path} on {host} lies in the shadow copy {shadow.id}, which is shown at {shadow.exposed_at}: "
                "nothing can be written there."
            )


def _apart(facts: Facts, aims: Sequence[Aim]) -> None:
    """Refuse two paths that go to one place."""
    for at, one in enumerate(aims):
        for two in aims[at + 1 :]:
            if one.at.holds(two.at) or two.at.holds(one.at):
                raise VssFailure(
                    f"{one.place.path} and {two.place.path} would both be restored to {two.path} on {facts.host}: give "
                    "each a place of its own."
                )


def nobody_at_work(host: Host, facts: Facts, aims: Sequence[Aim]) -> None:
    """Refuse a place that another restore is writing to, and volumes that are being reverted.

    :raises VssFailure: naming who it is.
    """
    not_reverted(host, facts, {volume.id for aim in aims for volume in (aim.at.volume, aim.place.volume)})
    me = this_process()
    for record in facts.records.readable:
        if record.kept or record.abandoned(facts.now, me):
            continue
        for busy in map(str, record.changes.get(TARGETS) or ()):
            place = facts.places.place(busy)
            hit = next((aim for aim in aims if place and (place.holds(aim.at) or aim.at.holds(place))), None)
            if hit is not None:
                raise VssFailure(
                    f"{hit.path} on {facts.host} is being restored to by run {record.whose}: {record.patience}."
                )
