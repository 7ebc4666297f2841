# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be done, decided from facts before anything on the host is touched."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from . import writers as known
from .consistency import NO_DISKSHADOW, Demand, Verdict, without_writers
from .diskshadow import MAX_VOLUMES
from .errors import VssFailure
from .facts import Facts
from .inventory import why_not
from .kinds import BackupType, Kind, backup_type, kind_of, provider_of, room_for_one_more
from .model import Consistency, Provider, Volume, Writer, is_guid
from .paths import BadPath, Place
from .sharing import Exposure

if TYPE_CHECKING:
    from .hooks import Hooks

Engine = Literal["diskshadow", "cim"]

_NAME = re.compile(r"^[\w][\w .()@+,#-]{0,99}$")
_DURATION = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*([smhdw]?)\s*$", re.IGNORECASE)
_LONGEST = 100 * 365 * 86400  # seconds; dates end in the year 9999
_UNIT = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


@dataclass
class Plan:
    """What is to be created. verdict: what it will be, as far as that is known by now.

    hooks: what is done before and after; hooked: what became of that, as a module returns it.
    """

    engine: Engine
    with_writers: bool
    volumes: list[Volume]
    demand: Demand
    asked: Consistency
    allow_downgrade: bool
    timeout: float
    kind: Kind = "persistent"
    backup_type: BackupType = "copy"
    provider: Provider | None = None
    hooks: Hooks | None = None
    hooked: list[dict[str, Any]] = field(default_factory=list)
    exposures: list[Exposure] = field(default_factory=list)
    verdict: Verdict | None = None
    warnings: list[str] = field(default_factory=list)


def check_name(name: Any) -> str:
    """A snapshot's name, in the one spelling of Unicode (NFC) that equal-looking names share.

    :raises VssFailure: it is empty, long, or holds what a name may not hold.
    """
    text = unicodedata.normalize("NFC", str(name or ""))
    if not _NAME.match(text) or text != text.strip():
        raise VssFailure(
            f"The name {text!r} cannot be used: a name is 1 to 100 letters, digits, blanks and any of ._()@+,#- "
            "and begins "
            "with a letter or digit."
        )
    return text


def duration(value: Any, option: str) -> timedelta:
    """A span of time: seconds, or a number with s, m, h, d or w.

    :raises VssFailure: it is neither, or longer than a hundred years.
    """
    found = _DURATION.match(str(value))
    if found is None:
        raise VssFailure(f"{option} {value!r} is not a duration: write seconds, or 90m, 4h, 7d.")
    seconds = float(found.group(1)) * _UNIT[found.group(2).lower()]
    if seconds > _LONGEST:
        raise VssFailure(f"{option} {value!r} is longer than a hundred years.")
    return timedelta(seconds=seconds)


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
    plan = draft(facts, places, args)
    ready(plan, facts)
    return plan


def ready(plan: Plan, facts: Facts) -> None:
    """Fail unless the host is, at this moment, in a state in which the plan can succeed.

    :raises VssFailure: a required writer is missing or failed, it would be less than asked for, or there is no room.
    """
    if plan.with_writers:
        _required_are_well(facts, plan.demand)
    accept(plan, facts.host)
    room_for_one_more(facts, plan.volumes, plan.kind, plan.provider)


def draft(facts: Facts, places: Sequence[Place], args: Mapping[str, Any]) -> Plan:
    """What is asked for, by the module's options, whatever the state of writers and shadow copies.

    :raises VssFailure: the options contradict each other, or never can be had on this host.
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
    demand = Demand(
        places,
        tuple(map(str, wish.get("require") or ())),
        tuple(map(str, wish.get("exclude") or ())),
        stable=bool(wish.get("must_be_stable")),
    )
    asked: Consistency = "crash" if args.get("consistency") == "crash" else "application"
    _no_contradiction(facts, demand, asked)
    engine = _engine(facts, str(args.get("engine") or "auto"))
    kind = kind_of(args, engine, facts.host)
    provider = provider_of(args, facts, engine, kind)
    with_writers = asked == "application" and engine == "diskshadow" and kind == "persistent"
    plan = Plan(
        engine=engine,
        with_writers=with_writers,
        volumes=volumes,
        demand=demand,
        asked=asked,
        allow_downgrade=bool(args.get("allow_downgrade")),
        timeout=patience(args),
        kind=kind,
        backup_type=backup_type(args, with_writers, facts.host),
        provider=provider,
    )
    if not with_writers:
        plan.verdict = without_writers(_reason(facts, asked, engine), facts.writers)
    if engine == "cim" and len(volumes) > 1:
        plan.warnings.append(
            "The engine cim makes one shadow copy after the other: those of "
            f"{', '.join(v.display for v in volumes)} on "
            f"{facts.host} are not of one moment."
        )
    return plan


def _engine(facts: Facts, wanted: str) -> Engine:
    if wanted == "cim":
        return "cim"
    if not facts.system.diskshadow:
        if wanted == "diskshadow":
            raise VssFailure(f"{NO_DISKSHADOW[0].upper()}{NO_DISKSHADOW[1:]} ({facts.host}): use engine auto or cim.")
        return "cim"
    return "diskshadow"


def patience(args: Mapping[str, Any]) -> float:
    """How many seconds others are waited for, all in all.

    :raises VssFailure: the option is no duration.
    """
    wait = (args.get("on_busy") or {}).get("wait")
    return float(args.get("timeout") or 0) if wait is None else duration(wait, "on_busy.wait").total_seconds()


def _reason(facts: Facts, asked: Consistency, engine: Engine) -> str:
    if asked == "crash":
        return "No writer was involved: crash consistency was asked for."
    if not facts.system.diskshadow:
        return f"No writer was involved: {NO_DISKSHADOW}."
    if engine == "cim":
        return "No writer was involved: the engine cim cannot."
    return "No writer was involved: client-accessible shadow copies are made without them."


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
