# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who takes part in a snapshot, and what that makes of it.

A component is left out when it needs a volume outside the set; a writer is left out when none of its components is
left, or when one that cannot be deselected is (the rules of the requestor sample of the Windows SDK, which diskshadow
shares). A snapshot is application-consistent when every writer that was asked for took part and none of them failed;
when none was asked for by name, when everything to be saved is spoken for by a writer that took part.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from . import writers as known
from .diskshadow import Transcript
from .errors import hresult
from .model import BUSY_STATES, Component, Consistency, Writer, WriterMetadata, guid, is_guid
from .paths import Place, Places

# These describe disks or tidy up in shadow copies: that they took part says nothing about anybody's data.
_NO_VOICE = frozenset({known.BY_NAME[name].id for name in ("asr writer", "shadow copy optimization writer")})

NO_DISKSHADOW = (
    "diskshadow, the only tool of Windows that involves writers in a snapshot, is not on this edition of Windows"
)


@dataclass(frozen=True)
class Part:
    """One writer's part. state and error: what the host said of it last."""

    id: str
    instance: str
    name: str
    took_part: bool
    excluded_because: str | None = None
    state: int | None = None
    hresult: int | None = None
    components: tuple[Component, ...] = ()
    left_out: tuple[Component, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether its last state is a failed one."""
        return Writer(self.id, self.instance, self.name, self.state, hresult=self.hresult).failed

    @property
    def stable(self) -> bool:
        """Whether it is known to be neither failed nor in the middle of somebody's snapshot.

        Waiting for the end of a backup counts as stable: every requestor that makes copies only leaves writers so.
        """
        return self.state is not None and not self.failed and self.state not in BUSY_STATES

    def result(self) -> dict[str, Any]:
        """The part as a module returns it. components_left_out: of a writer that took part with less than it has."""
        writer = Writer(self.id, self.instance, self.name, self.state)
        return {
            "name": self.name,
            "id": self.id,
            "state": writer.state_name,
            "took_part": self.took_part,
            "excluded_because": self.excluded_because,
            "components_left_out": [component.path for component in self.left_out] if self.took_part else [],
        }


@dataclass(frozen=True)
class Demand:
    """What is asked for: writers by name or GUID, and the places to be saved.

    stable: every writer that takes part must be neither failed nor busy before the snapshot is made.
    """

    places: Sequence[Place]
    require: Sequence[str] = ()
    exclude: Sequence[str] = ()
    stable: bool = False

    @property
    def volumes(self) -> frozenset[str]:
        """The set's volumes."""
        return frozenset(place.volume.id for place in self.places)


@dataclass(frozen=True)
class Verdict:
    """What the snapshot is (or will be) and why. counted: GUIDs of the writers on whom that rests."""

    consistency: Consistency
    reason: str
    parts: tuple[Part, ...] = ()
    counted: tuple[str, ...] = ()
    advice: str = ""
    warnings: tuple[str, ...] = field(default=())

    def results(self) -> list[dict[str, Any]]:
        """The writers as a module returns them."""
        return [part.result() for part in self.parts]


def _within(component: Component, path: str) -> bool:
    return component.path.casefold().startswith(path.casefold().rstrip("\\") + "\\")


def _part(writer: WriterMetadata, demand: Demand, places: Places, state: Writer | None) -> Part:
    base = Part(
        writer.id,
        writer.instance,
        writer.name,
        took_part=False,
        state=state.state if state else None,
        left_out=writer.components,
    )
    if any(known.matches(wanted, writer.id, writer.name) for wanted in demand.exclude):
        return replace(base, excluded_because="the task excludes it")
    if not writer.components:
        return replace(base, excluded_because="it names nothing to back up")
    out = {c.path: c.volumes - demand.volumes for c in writer.components if c.volumes - demand.volumes}
    # A component cannot be saved as a whole when one below it is left out.
    lost = [c for c in writer.components if c.path in out or any(_within(Component(p), c.path) for p in out)]
    left = tuple(component for component in writer.components if component not in lost)
    missing = sorted({places.display(volume) for volumes in out.values() for volume in volumes})
    needs = f"it needs {', '.join(missing)}, which the snapshot does not hold"
    fixed = next((c for c in lost if c.top_level and not c.selectable), None)
    if not left or fixed:
        return replace(base, excluded_because=needs if missing else "all of its components are left out")
    return replace(base, took_part=True, components=left, left_out=tuple(lost))


def _parts(
    metadata: Iterable[WriterMetadata], listed: Sequence[Writer], demand: Demand, places: Places
) -> tuple[Part, ...]:
    by_instance = {writer.instance: writer for writer in listed}
    by_id = {writer.id: writer for writer in listed}
    return tuple(
        _part(writer, demand, places, by_instance.get(writer.instance) or by_id.get(writer.id)) for writer in metadata
    )


def _speaks(part: Part, place: Place, places: Places) -> bool:
    """Whether a writer that took part names something that lies in the place or over it."""
    if not part.took_part or part.id in _NO_VOICE:
        return False
    for component in part.components:
        if place.whole and place.volume.id in component.volumes:
            return True
        for path in component.paths:
            named = places.of_component(path)
            if named is not None and (named.holds(place) or place.holds(named)):
                return True
    return False


def _covers(part: Part, place: Place, places: Places) -> bool:
    """Whether a writer that took part names the whole place, or a folder over it."""
    if not part.took_part or part.id in _NO_VOICE:
        return False
    named = (places.of_component(path) for component in part.components for path in component.paths)
    return any(found is not None and found.holds(place) for found in named)


def _required(wanted: str, parts: Sequence[Part], demand: Demand, places: Places, host: str) -> tuple[str, str] | None:
    """(what is wrong, what to do) about a required writer; None when all is well."""
    mine = [part for part in parts if known.matches(wanted, part.id, part.name)]
    if not mine:
        return (
            f"The writer {wanted} is not there on {host}",
            "Check that its application is installed and its service runs, or take it out of writers.require.",
        )
    for part in mine:
        volumes = frozenset(volume for component in part.left_out for volume in component.volumes)
        spanning = [c for c in part.left_out if c.volumes & demand.volumes and c.volumes - demand.volumes]
        if spanning:
            outside = ", ".join(sorted(places.display(volume) for volume in spanning[0].volumes - demand.volumes))
            return (
                f"The component {spanning[0].path} of the writer {part.name} on {host} also needs {outside}, which the "
                "snapshot does not hold",
                f"Add {outside} to the snapshot.",
            )
        holds = ", ".join(sorted(places.display(volume) for volume in demand.volumes))
        advice = "Name the volumes of its data, or take it out of writers.require."
        if not part.took_part:
            where = ", ".join(sorted(places.display(volume) for volume in volumes))
            told = f"has its data on {where}, not on {holds}" if where else f"is left out: {part.excluded_because}"
            return f"The writer {part.name} on {host} {told}", advice
        if not any(component.volumes & demand.volumes for component in part.components):
            return f"The writer {part.name} on {host} has nothing on {holds}", advice
    return None


def judge(parts: tuple[Part, ...], demand: Demand, places: Places, host: str) -> Verdict:
    """The verdict on these parts."""
    counted: list[str] = []
    for wanted in demand.require:
        wrong = _required(wanted, parts, demand, places, host)
        if wrong is None:
            wrong = _failing([part for part in parts if known.matches(wanted, part.id, part.name)], host)
        if wrong is not None:
            return Verdict("crash", wrong[0] + ".", parts, advice=wrong[1])
        counted += [part.id for part in parts if known.matches(wanted, part.id, part.name)]
    if demand.require:
        named = ", ".join(sorted({part.name for part in parts if part.id in counted}))
        silent = [place.path for place in demand.places if not any(_speaks(part, place, places) for part in parts)]
        rest = f" No writer speaks for {', '.join(silent)}: that is as a power cut would leave it." if silent else ""
        reason = f"The writers asked for took part: {named}.{rest}"
        return Verdict("application", reason, parts, tuple(dict.fromkeys(counted)))
    for place in demand.places:
        speaking = [part for part in parts if _speaks(part, place, places)]
        wrong = _failing(speaking, host)
        if not speaking or wrong:
            reason = f"{wrong[0]}." if wrong else f"No writer that takes part speaks for {place.path} on {host}."
            advice = (
                wrong[1] if wrong else "Its application may have no writer, or keep its data on another volume too."
            )
            return Verdict("crash", reason, parts, advice=advice)
        counted += [part.id for part in speaking]
    named = ", ".join(sorted({part.name for part in parts if part.id in counted}))
    partly = [place.path for place in demand.places if not any(_covers(part, place, places) for part in parts)]
    rest = f" They name a part of {', '.join(partly)}: what they do not name is as a power cut would leave it."
    reason = f"Writers that speak for the data took part: {named}.{rest if partly else ''}"
    return Verdict("application", reason, parts, tuple(dict.fromkeys(counted)))


def _failing(parts: Collection[Part], host: str) -> tuple[str, str] | None:
    for part in parts:
        if part.failed:
            state = Writer(part.id, part.instance, part.name, part.state).state_name
            code = f", {hresult(part.hresult).name} {hresult(part.hresult).hex}" if part.hresult else ""
            return (
                f"The writer {part.name} on {host} has failed ({state}{code})",
                known.remedy(part.id, part.name),
            )
    return None


def foresee(
    metadata: Iterable[WriterMetadata], listed: Sequence[Writer], demand: Demand, places: Places, host: str
) -> Verdict:
    """What a snapshot with writers would be, before anything is created. listed: their states by vssadmin."""
    return judge(_parts(metadata, listed, demand, places), demand, places, host)


def without_writers(reason: str, listed: Iterable[Writer]) -> Verdict:
    """The verdict on a snapshot that no writer is asked about."""
    parts = tuple(
        Part(w.id, w.instance, w.name, took_part=False, excluded_because="no writer is involved", state=w.state)
        for w in listed
    )
    return Verdict("crash", reason, parts)


def unstable(parts: Iterable[Part], host: str) -> tuple[str, str] | None:
    """(what is wrong, what to do) about the first writer that takes part and is not stable; None when all are."""
    part = next((part for part in parts if part.took_part and not part.stable), None)
    if part is None:
        return None
    if part.state is None:
        return f"The state of the writer {part.name} on {host} is not known", "Run it again in a minute."
    if part.failed:
        return _failing([part], host)
    state = Writer(part.id, part.instance, part.name, part.state).state_name
    return f"The writer {part.name} on {host} is in the middle of a snapshot ({state})", "Run it again after that."


def left_out(parts: Iterable[Part], demand: Demand, places: Places) -> list[dict[str, Any]]:
    """What is not in the snapshot, as a module returns it: whole writers (component None) and components, and why."""
    found: list[dict[str, Any]] = []
    for part in parts:
        if not part.took_part:
            found.append({"writer": part.name, "component": None, "because": part.excluded_because, "volumes": []})
        for component in part.left_out:
            missing = sorted(places.display(volume) for volume in component.volumes - demand.volumes)
            if not missing and not part.took_part:
                continue  # its writer says why
            below = any(other is not component and _within(other, component.path) for other in part.left_out)
            because = "a component below it is left out" if below else "diskshadow left it out"
            if missing:
                because = f"it needs {', '.join(missing)}, which the snapshot does not hold"
            found.append({"writer": part.name, "component": component.path, "because": because, "volumes": missing})
    return found


def spanning(parts: Iterable[Part], demand: Demand, places: Places, host: str) -> list[str]:
    """A warning for each component that lies partly on the snapshot's volumes and is left out for its other ones."""
    told = []
    for part in parts:
        if any(known.matches(wanted, part.id, part.name) for wanted in demand.exclude):
            continue
        for component in part.left_out:
            outside = component.volumes - demand.volumes
            if outside and component.volumes & demand.volumes:
                missing = ", ".join(sorted(places.display(volume) for volume in outside))
                told.append(
                    f"The component {component.path} of the writer {part.name} on {host} is left out: it also needs "
                    f"{missing}, which the snapshot does not hold."
                )
    return told


def verified(verdict: Verdict) -> list[str]:
    """GUIDs for ``writer verify``: the writers the verdict rests on, as far as they take part with all they have."""
    whole = {part.id for part in verdict.parts if part.took_part and not part.left_out}
    partial = {part.id for part in verdict.parts if part.left_out}
    return [writer for writer in verdict.counted if writer in whole - partial]


def excluded(demand: Demand, parts: Iterable[Part]) -> tuple[list[str], list[str]]:
    """(GUIDs for ``writer exclude``, names that no writer of the host answers to)."""
    ids: list[str] = []
    unknown: list[str] = []
    everyone = list(parts)
    for wanted in demand.exclude:
        mine = [part.id for part in everyone if known.matches(wanted, part.id, part.name)]
        if mine:
            ids += mine
        else:
            unknown.append(guid(wanted) if is_guid(wanted) else wanted)
    return list(dict.fromkeys(ids)), unknown


def outcome(verdict: Verdict, transcript: Transcript, demand: Demand, places: Places, host: str) -> Verdict:
    """What the snapshot came to be, by what diskshadow printed while it was created."""
    gone = {exclusion.writer for exclusion in transcript.exclusions if exclusion.component is None}
    lost = {(exclusion.writer, exclusion.component) for exclusion in transcript.exclusions if exclusion.component}
    states = {writer.instance or writer.id: writer for writer in transcript.writers}
    if transcript.included:
        gone |= {part.name for part in verdict.parts} - transcript.included.keys()
    parts = tuple(_after(part, gone, lost, states.get(part.instance) or states.get(part.id)) for part in verdict.parts)
    return judge(parts, demand, places, host)


def _after(part: Part, gone: set[str], lost: set[tuple[str, str]], state: Writer | None) -> Part:
    if state is not None:
        part = replace(part, state=state.state, hresult=state.hresult)
    if not part.took_part:
        return part
    if part.name in gone:
        why = part.excluded_because or "diskshadow left it out"
        return replace(part, took_part=False, excluded_because=why, components=(), left_out=part.components)
    out = tuple(component for component in part.components if (part.name, component.path) in lost)
    left = tuple(component for component in part.components if component not in out)
    return replace(part, components=left, left_out=part.left_out + out) if out else part
