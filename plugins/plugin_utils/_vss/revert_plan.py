# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a revert is to do, what it would cost, and the reasons for which it must not be done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .errors import VssFailure
from .facts import Facts
from .inventory import owner_of
from .kinds import SYSTEM_PROVIDER
from .model import Shadow, Volume, guid, is_guid, iso
from .owner import this_process
from .paths import parent
from .records import Record
from .reverting import Target, Watch
from .wanted import SOURCES, TARGETS, choose

NEWER = "newer"  # of accept_loss: every newer shadow copy of the volume


@dataclass(frozen=True)
class Loss:
    """A shadow copy that a revert deletes, and why. run: ours that made it."""

    shadow: Shadow
    why: str
    record: Record | None = None

    def told(self, facts: Facts) -> str:
        """It, in words."""
        shadow = self.shadow
        made = shadow.created.strftime("%Y-%m-%d %H:%M:%S UTC") if shadow.created else "an unknown time"
        name = self.record.name or self.record.run if self.record else ""
        kept = f', kept as "{name}"' if self.record else ""
        where = "" if self.why == NEWER else f" of {facts.places.display(shadow.volume or '')}"
        return f"{shadow.id}{where} of {made}{kept}"

    def result(self, facts: Facts) -> dict[str, Any]:
        """It, as the module returns it."""
        return {
            "id": self.shadow.id,
            "volume": facts.places.display(self.shadow.volume or ""),
            "created": iso(self.shadow.created),
            "why": self.why,
            "name": self.record.name if self.record else None,
            "run": self.record.run if self.record else None,
        }


@dataclass
class Plan:
    """What is to be done. losses: the shadow copies that go; notes: what else may not be as it was."""

    volume: Volume
    shadow: Shadow
    force: bool
    losses: list[Loss]
    notes: list[str] = field(default_factory=list)


# ---- which copy
def make_plan(facts: Facts, args: Mapping[str, Any]) -> Plan:
    """Which volume is reverted to what, and what that costs.

    :raises VssFailure: it cannot be done.
    """
    name = str(args.get("volume") or "")
    volume = facts.places.volume(name) if name else None
    if volume is None:
        there = ", ".join(each.display for each in facts.volumes)
        raise VssFailure(f"There is no volume {name or 'named'} to revert on {facts.host}: it has {there}.")
    shadow = chosen(facts, args, volume)
    _may_be_reverted(facts, volume, shadow)
    nobody_at_work(facts, volume)
    losses = [*newer_than(facts, shadow), *guests_of(facts, volume)]
    return Plan(volume, shadow, bool(args.get("force_dismount")), losses, _unmounted(facts, volume))


def chosen(facts: Facts, args: Mapping[str, Any], volume: Volume) -> Shadow:
    """The shadow copy of this volume that the options name.

    :raises VssFailure: they name none, or one that is not there.
    """
    source = choose(facts, args)
    shadow = source.shadows.get(volume.id)
    if shadow is None:
        has = ", ".join(facts.places.display(identity) for identity in source.shadows)
        raise VssFailure(f"The snapshot on {facts.host} holds nothing of {volume.display}: it shows {has}.")
    return shadow


# ---- guards
def _may_be_reverted(facts: Facts, volume: Volume, shadow: Shadow) -> None:
    """Everything for which Windows would refuse, and for which there is no way around it.

    Source: IVssBackupComponents::RevertToSnapshot; the notes on its VSS_E_VOLUME_NOT_SUPPORTED.
    """
    where = f"{volume.display} on {facts.host} cannot be reverted"
    instead = "restore its files out of the snapshot instead"
    if facts.system.workstation:
        raise VssFailure(f"{where}: only Windows Server can revert a volume; {instead}.")
    for fact, what in (
        (volume.boot, "Windows runs from it"),
        (volume.system, "the computer starts from it"),
        (volume.pagefile, "a page file lies on it"),
        (volume.file_system.upper() == "CSVFS", "it is shared by a cluster"),
    ):
        if fact:
            raise VssFailure(f"{where}: {what}; {instead}.")
    if shadow.persistent is False:
        raise VssFailure(f"{where} to {shadow.id}: that shadow copy is not persistent; {instead}.")
    if shadow.provider not in (None, SYSTEM_PROVIDER):
        raise VssFailure(f"{where} to {shadow.id}: another provider than that of Windows made it; {instead}.")


def nobody_at_work(facts: Facts, volume: Volume) -> None:
    """Refuse a volume that Windows reverts, or that another run reads, copies or writes to.

    :raises VssFailure: naming who it is.
    """
    watch = Watch(Target(volume.id, volume.display, "", None), facts.volumes)
    watch.list(facts.reply["reverts"])
    if watch.going_on:
        far = "" if watch.percent is None else f" ({watch.percent} %)"
        raise VssFailure(f"{volume.display} on {facts.host} is being reverted already{far}: wait until that has ended.")
    me = this_process()
    for record in facts.records.readable:
        if record.kept or record.owner == me or record.abandoned(facts.now, me):
            continue
        if volume.id in _in_use(facts, record):
            raise VssFailure(
                f"{volume.display} on {facts.host} is in use by {record.action} {record.whose}: {record.patience}."
            )


def _in_use(facts: Facts, record: Record) -> set[str]:
    """The volumes that a run makes shadow copies of, reads shadow copies of, or writes to."""
    paths = [record.destination or "", *map(str, record.changes.get(TARGETS) or ())]
    places = [facts.places.place(path) for path in paths if path]
    read = set(map(str, record.changes.get(SOURCES) or ()))
    copies = {shadow.volume for shadow in facts.shadows if shadow.id in read and shadow.volume}
    named = [facts.places.volume(name) for name in record.volumes]
    return copies | {volume.id for volume in named if volume} | {place.volume.id for place in places if place}


def newer_than(facts: Facts, shadow: Shadow) -> list[Loss]:
    """The newer copies of its volume, and those of which it is not known that they are older."""
    others = [each for each in facts.shadows if each.volume == shadow.volume and each.id != shadow.id]
    newer = [
        each for each in others if each.created is None or shadow.created is None or each.created >= shadow.created
    ]
    return [Loss(each, NEWER, record_of(facts, each)) for each in newer]


def guests_of(facts: Facts, volume: Volume) -> list[Loss]:
    """The copies of other volumes whose storage area lies on it: dismounting it ends them (volsnap 16)."""
    others = {area.volume for area in facts.storage if area.on_volume == volume.id and area.volume != volume.id}
    lost = [shadow for shadow in facts.shadows if shadow.volume in others]
    return [Loss(shadow, "storage area", record_of(facts, shadow)) for shadow in lost]


def record_of(facts: Facts, shadow: Shadow) -> Record | None:
    run = owner_of(facts, shadow.id)
    return next((record for record in facts.records.readable if record.run == run), None)


def _unmounted(facts: Facts, volume: Volume) -> list[str]:
    """What appears in folders of the volume, which are afterwards what they were when the copy was made."""
    places, told = facts.places, []
    for other in facts.volumes:
        for folder in places.mounts(other):
            place = places.place(parent(folder) + "\\")
            if place is not None and place.volume.id == volume.id:
                told.append(f"the volume mounted at {folder}")
    for shadow in facts.shadows:
        exposed = shadow.exposed_name or ""
        place = places.place(exposed) if exposed[1:3] == ":\\" and len(exposed) > 3 else None
        if place is not None and place.volume.id == volume.id:
            told.append(f"the shadow copy {shadow.id} at {exposed}")
    head = f"After the revert of {volume.display} on {facts.host}, look whether this still appears there: "
    return [head + "; ".join(told) + "."] if told else []


def accept(plan: Plan, facts: Facts, accepted: Sequence[Any]) -> None:
    """Refuse when something would be lost that was not accepted.

    :raises VssFailure: naming all of it.
    """
    words = [str(each) for each in accepted]
    wrong = next((word for word in words if word.casefold() != NEWER and not is_guid(word)), None)
    if wrong is not None:
        raise VssFailure(f"accept_loss {wrong!r} is neither the ID of a shadow copy nor the word {NEWER}.")
    ids = {guid(word) for word in words if is_guid(word)}
    newer = any(word.casefold() == NEWER for word in words)
    left = [loss for loss in plan.losses if loss.shadow.id not in ids and not (newer and loss.why == NEWER)]
    if left:
        newer_ones = "; ".join(loss.told(facts) for loss in left if loss.why == NEWER)
        guests = "; ".join(loss.told(facts) for loss in left if loss.why != NEWER)
        told = [f"newer shadow copies of it: {newer_ones}"] if newer_ones else []
        told += [f"shadow copies whose storage area lies on it: {guests}"] if guests else []
        raise VssFailure(
            f"Reverting {plan.volume.display} on {facts.host} to {plan.shadow.id} would delete {', and '.join(told)}. "
            "Accept that by naming their IDs in accept_loss.",
            lost=[loss.result(facts) for loss in left],
        )
