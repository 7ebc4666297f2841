# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be done, decided from facts before anything on the host is touched."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from .. import _verbs as verbs
from .._pipeline import Reply, Statement
from . import writers as known
from .consistency import NO_DISKSHADOW, Demand, Verdict, without_writers
from .diskshadow import MAX_VOLUMES, Unscriptable, token
from .errors import VssFailure
from .facts import Facts
from .inventory import why_not
from .model import Consistency, Volume, Writer, is_guid
from .paths import BadPath, Place, normal, parent

Engine = Literal["diskshadow", "cim"]
ExposeType = Literal["letter", "folder", "link"]

_NAME = re.compile(r"^[\w][\w .()@+,#-]{0,99}$")
_DURATION = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*([smhdw]?)\s*$", re.IGNORECASE)
_UNIT = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_MOST_ACCESSIBLE = 63
_LETTER = re.compile(r"^([A-Za-z]):\\?$")


@dataclass(frozen=True)
class Exposure:
    """Where a shadow copy is to appear. path: ``X:`` for a letter, a full path otherwise."""

    volume: Volume
    path: str
    type: ExposeType


@dataclass
class Plan:
    """What is to be created. verdict: what it will be, as far as that is known by now."""

    engine: Engine
    with_writers: bool
    volumes: list[Volume]
    demand: Demand
    asked: Consistency
    allow_downgrade: bool
    timeout: float
    exposures: list[Exposure] = field(default_factory=list)
    verdict: Verdict | None = None
    warnings: list[str] = field(default_factory=list)


def check_name(name: Any) -> str:
    """A snapshot's name.

    :raises VssFailure: it is empty, long, or holds what a name may not hold.
    """
    text = str(name or "")
    if not _NAME.match(text) or text != text.strip():
        raise VssFailure(
            f"The name {text!r} cannot be used: a name is 1 to 100 letters, digits, blanks and any of ._()@+,#- "
            "and begins "
            "with a letter or digit."
        )
    return text


def duration(value: Any, option: str) -> timedelta:
    """A span of time: seconds, or a number with s, m, h, d or w.

    :raises VssFailure: it is neither.
    """
    found = _DURATION.match(str(value))
    if found is None:
        raise VssFailure(f"{option} {value!r} is not a duration: write seconds, or 90m, 4h, 7d.")
    return timedelta(seconds=float(found.group(1)) * _UNIT[found.group(2).lower()])


def volume_places(names: Sequence[Any], facts: Facts) -> list[Place]:
    """The volumes of these names, each once.

    :raises VssFailure: none was named, or one is not there.
    """
    if not names:
        raise VssFailure(f"No volumes were named for {facts.host}: volumes is empty.")
    found: dict[str, Place] = {}
    for name in names:
        volume = facts.places.volume(str(name))
        if volume is None:
            there = ", ".join(v.display for v in facts.volumes)
            raise VssFailure(f"There is no volume {name} on {facts.host}: it has {there}.")
        found[volume.id] = Place(volume, "")
    return list(found.values())


def source_places(sources: Sequence[Any], facts: Facts) -> list[Place]:
    """The places of these sources, each once.

    :raises VssFailure: none was named, one is no local path, or lies on no volume of the host.
    """
    if not sources:
        raise VssFailure(f"Nothing was named to back up on {facts.host}: sources is empty.")
    found: dict[tuple[str, str], Place] = {}
    for source in sources:
        try:
            place = facts.places.place(str(source))
        except BadPath as error:
            raise VssFailure(f"The source on {facts.host} cannot be used: {error}") from None
        if place is None:
            there = ", ".join(v.display for v in facts.volumes)
            raise VssFailure(f"The source {source} lies on no volume of {facts.host}: it has {there}.")
        found[place.volume.id, place.key] = place
    return list(found.values())


def make_plan(facts: Facts, places: Sequence[Place], args: Mapping[str, Any]) -> Plan:
    """The plan for saving these places, by the module's options.

    :raises VssFailure: what was asked for cannot be had on this host.
    """
    volumes = list({place.volume.id: place.volume for place in places}.values())
    for volume in volumes:
        reason = why_not(volume)
        if reason:
            raise VssFailure(f"The volume {volume.display} on {facts.host} {reason}: leave it out.")
    if len(volumes) > MAX_VOLUMES:
        raise VssFailure(
            f"{len(volumes)} volumes are too many for one snapshot on {facts.host}: at most {MAX_VOLUMES}."
        )
    wish = args.get("writers") or {}
    demand = Demand(places, tuple(map(str, wish.get("require") or ())), tuple(map(str, wish.get("exclude") or ())))
    asked: Consistency = "crash" if args.get("consistency") == "crash" else "application"
    _no_contradiction(facts, demand, asked)
    engine = _engine(facts, str(args.get("engine") or "auto"))
    plan = Plan(
        engine=engine,
        with_writers=asked == "application" and engine == "diskshadow",
        volumes=volumes,
        demand=demand,
        asked=asked,
        allow_downgrade=bool(args.get("allow_downgrade")),
        timeout=float(args.get("timeout") or 0),
    )
    if plan.with_writers:
        _required_are_well(facts, demand)
    else:
        plan.verdict = without_writers(_reason(facts, asked), facts.writers)
        accept(plan, facts.host)
    if engine == "cim":
        _room_for_one_more(facts, volumes)
    if engine == "cim" and len(volumes) > 1:
        plan.warnings.append(
            "The engine cim makes one shadow copy after the other: those of "
            f"{', '.join(v.display for v in volumes)} on "
            f"{facts.host} are not of one moment."
        )
    return plan


def _room_for_one_more(facts: Facts, volumes: Sequence[Volume]) -> None:
    """The engine cim makes client-accessible copies, of which Windows keeps 64 a volume and then drops the oldest.

    One place is left free for tools of Windows that need it for a while (VSS docs, MaxShadowCopies).
    """
    for volume in volumes:
        count = sum(1 for shadow in facts.shadows if shadow.client_accessible and shadow.volume == volume.id)
        if count >= _MOST_ACCESSIBLE:
            raise VssFailure(
                f"The volume {volume.display} on {facts.host} has {count} client-accessible shadow copies: one more "
                "could cost the oldest of them, which is not ours. Delete some that are not needed."
            )


def _engine(facts: Facts, wanted: str) -> Engine:
    if wanted == "cim":
        return "cim"
    if not facts.system.diskshadow:
        if wanted == "diskshadow":
            raise VssFailure(f"{NO_DISKSHADOW[0].upper()}{NO_DISKSHADOW[1:]} ({facts.host}): use engine auto or cim.")
        return "cim"
    return "diskshadow"


def _reason(facts: Facts, asked: Consistency) -> str:
    if asked == "crash":
        return "No writer was involved: crash consistency was asked for."
    if not facts.system.diskshadow:
        return f"No writer was involved: {NO_DISKSHADOW}."
    return "No writer was involved: the engine cim cannot."


def _no_contradiction(facts: Facts, demand: Demand, asked: Consistency) -> None:
    if demand.require and asked == "crash":
        raise VssFailure(
            f"writers.require names {demand.require[0]} for {facts.host}, but consistency is crash, which involves no "
            "writer: leave one of them out."
        )
    for wanted in demand.require:
        for unwanted in demand.exclude:
            same = [
                w
                for w in facts.writers
                if known.matches(wanted, w.id, w.name) and known.matches(unwanted, w.id, w.name)
            ]
            if same or wanted.casefold() == unwanted.casefold():
                raise VssFailure(
                    f"The writer {wanted} is both in writers.require and in writers.exclude for {facts.host}: "
                    "leave it out "
                    "of one of them."
                )


def _required_are_well(facts: Facts, demand: Demand) -> None:
    """vssadmin's word is enough to refuse: a writer that is not there or failed would only be found out later."""
    for wanted in demand.require:
        mine = [writer for writer in facts.writers if known.matches(wanted, writer.id, writer.name)]
        if not mine:
            what = "GUID" if is_guid(wanted) else "name"
            raise VssFailure(
                f"The writer {wanted} is not there on {facts.host}: check the {what}, that its application is "
                "installed "
                "and that its service runs, or take it out of writers.require."
            )
        for writer in mine:
            if writer.failed:
                raise VssFailure(
                    f"The writer {writer.name} on {facts.host} has failed ({_state(writer)}). "
                    f"{known.remedy(writer.id, writer.name)}"
                )


def _state(writer: Writer) -> str:
    return writer.state_name + (f": {writer.error}" if writer.error else "")


def accept(plan: Plan, host: str) -> None:
    """Fail when the snapshot would be less than was asked for and the task does not allow that.

    :raises VssFailure: saying why, and how to allow it.
    """
    verdict = plan.verdict
    if verdict is None or plan.asked == "crash" or verdict.consistency == "application" or plan.allow_downgrade:
        return
    advice = f" {verdict.advice}" if verdict.advice else ""
    raise VssFailure(
        f"The snapshot on {host} would only be crash-consistent. {verdict.reason}{advice} Set allow_downgrade: true to "
        "accept that.",
        consistency=verdict.consistency,
        consistency_reason=verdict.reason,
        writers=verdict.results(),
    )


# ---- exposures
def exposures(wanted: Sequence[Mapping[str, Any]], facts: Facts, volumes: Sequence[Volume]) -> list[Exposure]:
    """The exposures asked for.

    :raises VssFailure: of a volume that is not in the snapshot, to a path that cannot be used, or two to one place.
    """
    found: list[Exposure] = []
    for item in wanted:
        name, path = str(item.get("volume") or ""), str(item.get("path") or "")
        volume = facts.places.volume(name)
        if volume is None or volume.id not in {v.id for v in volumes}:
            raise VssFailure(f"The volume {name} is to be exposed on {facts.host}, but it is not in the snapshot.")
        found.append(_exposure(volume, path, item.get("type"), facts.host))
    paths = [exposure.path.casefold() for exposure in found]
    twice = next((path for path in paths if paths.count(path) > 1), None)
    if twice:
        raise VssFailure(f"Two volumes are to be exposed at {twice} on {facts.host}: each needs a place of its own.")
    native = [exposure.volume.id for exposure in found if exposure.type != "link"]
    if len(set(native)) != len(native):
        raise VssFailure(f"A shadow copy on {facts.host} can appear at one letter or folder only: use links for more.")
    return found


def _exposure(volume: Volume, path: str, kind: Any, host: str) -> Exposure:
    letter = _LETTER.match(path)
    type_: ExposeType = kind if kind in ("letter", "folder", "link") else "letter" if letter else "folder"
    if letter and kind != "folder":  # a bare letter can be nothing but a letter, whatever the default type is
        return Exposure(volume, f"{letter.group(1).upper()}:", "letter")
    if letter or kind == "letter":
        raise VssFailure(f"{path!r} on {host} is no place for an exposure of type {type_}.")
    try:
        where = normal(path)
        return Exposure(volume, where if type_ == "link" else token(where), type_)
    except (BadPath, Unscriptable) as error:
        raise VssFailure(f"A shadow copy on {host} cannot be exposed at {path!r}: {error}") from None


def exposure_statements(wanted: Sequence[Mapping[str, Any]]) -> list[Statement]:
    """The statements that tell whether the places of exposures are free."""
    asked: list[Statement] = []
    for at, item in enumerate(wanted):
        path = str(item.get("path") or "")
        if _LETTER.match(path):
            asked.append(verbs.exists(f"expose-{at}", f"{path[0].upper()}:\\"))
            continue
        try:
            where = normal(path)
        except BadPath:
            continue
        asked.append(verbs.exists(f"expose-{at}", where))
        asked.append(verbs.exists(f"expose-parent-{at}", parent(where) + "\\"))
        if item.get("type") != "link":
            asked += [
                verbs.list_files(f"expose-files-{at}", where),
                verbs.list_folders(f"expose-folders-{at}", where),
            ]
    return asked


def places_free(wanted: Sequence[Exposure], indexes: Sequence[int], reply: Reply, facts: Facts) -> None:
    """Fail unless every place is free: a letter unused, a folder there and empty, a link not there yet.

    :param indexes: the position of each exposure among the options, by which its statements were named.
    :raises VssFailure: naming the place.
    """
    for exposure, at in zip(wanted, indexes, strict=True):
        there = bool(reply[f"expose-{at}"].first)
        path = exposure.path
        if exposure.type == "letter":
            if there or any(volume.letter == path for volume in facts.volumes):
                raise VssFailure(f"The drive letter {path} on {facts.host} is in use: choose a free one.")
        elif exposure.type == "link":
            if there:
                raise VssFailure(f"{path} on {facts.host} is there already: a link needs a name that is not in use.")
            if not reply[f"expose-parent-{at}"].first:
                raise VssFailure(f"The folder {parent(path)} on {facts.host} is not there: make it before {path}.")
        elif not there:
            raise VssFailure(f"The folder {path} on {facts.host} is not there: make it before exposing to it.")
        elif reply[f"expose-files-{at}"].values or reply[f"expose-folders-{at}"].values:
            raise VssFailure(f"The folder {path} on {facts.host} is in use: a shadow copy needs an empty one.")
