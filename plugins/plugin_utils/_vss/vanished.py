# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots of ours whose shadow copies are gone: Windows makes room like that, and others delete them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta

from .. import _verbs as verbs
from .._host import Host
from .._pipeline import moment
from .errors import LOST, VOLSNAP
from .facts import Event, Facts, read_events, usable
from .model import GUID, iso
from .records import Record

_LONGEST = timedelta(days=90)  # of the event log that is looked at


def gone(records: Iterable[Record], facts: Facts) -> list[Record]:
    """Those of the kept snapshots of which no shadow copy is there any more."""
    live = {shadow.id for shadow in facts.shadows}
    return [record for record in records if not any(made.id in live for made in record.shadows)]


def whole(record: Record, facts: Facts) -> bool:
    """Whether every shadow copy of a snapshot is there and usable."""
    live = {shadow.id for shadow in facts.shadows if usable(shadow)}
    return bool(record.shadows) and all(made.id in live for made in record.shadows)


def maimed(records: Iterable[Record], facts: Facts) -> list[str]:
    """A warning for each kept snapshot that has lost some of its shadow copies, but not all."""
    live = {shadow.id for shadow in facts.shadows}
    told = []
    for record in records:
        lost = [facts.places.display(made.volume) for made in record.shadows if made.id not in live]
        if lost and len(lost) < len(record.shadows):
            told.append(
                f"The snapshot {record.name} of {record.created} on {facts.host} is not whole any more: its shadow "
                f"copy of {', '.join(lost)} is gone. The rest of it stays until retention or state absent removes it."
            )
    return told


def why(host: Host, facts: Facts, lost: Sequence[Record]) -> list[str]:
    """A warning for each of these snapshots, with what the host's events say about its loss.

    :raises HostFailure: the host could not be asked.
    """
    since = min((created for record in lost if (created := moment(record.created))), default=facts.now)
    seconds = int(min(max(facts.now - since, timedelta(0)), _LONGEST).total_seconds()) + 60
    reply = host.ask(verbs.events("lost", seconds, ("volsnap",)), allow=True)
    events = [event for event in read_events(reply["lost"]) if event.id in LOST]
    return [_told(record, facts, events) for record in lost]


def _told(record: Record, facts: Facts, events: Sequence[Event]) -> str:
    lead = f"The shadow copies of the snapshot {record.name} of {record.created} on {facts.host} are gone"
    created = moment(record.created)
    names = [name for made in record.shadows for name in _names(made.volume, facts)]
    mine = [
        event
        for event in events
        if (created is None or event.time is None or event.time >= created)
        and any(name in event.message.casefold() for name in names)
    ]
    if not mine:
        return f"{lead}, and the volsnap events of the host do not say why: somebody may have deleted them."
    reasons = dict.fromkeys(f"event {event.id} of {iso(event.time)}: {VOLSNAP[event.id]}" for event in mine)
    return f"{lead}; volsnap tells {'; '.join(list(reasons)[:3])}. Look at the size of the storage area."


def _names(volume: str, facts: Facts) -> list[str]:
    """What an event may call a volume, in lower case: its letter, its mount folder or its GUID."""
    found = facts.places.by_id(volume)
    named = [found.display.rstrip("\\").casefold()] if found and not GUID.search(found.display) else []
    return [*named, *(hit.group(1).casefold() for hit in GUID.finditer(volume))]
