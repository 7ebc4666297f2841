# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A snapshot that is there, as a module returns it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .facts import Facts
from .model import Shadow
from .records import Made, Record
from .showing import astray, found_at


def set_result(
    set_id: str | None, created: str | None, made: Sequence[Made], there: Sequence[Shadow], facts: Facts
) -> dict[str, Any]:
    """A snapshot set as a module returns it. there: the shadow copies that the host has now."""
    now = {shadow.id: shadow for shadow in there}
    return {
        "id": set_id,
        "created": created,
        "shadows": [
            {
                "id": m.id,
                "volume": facts.places.display(m.volume),
                "device": (now[m.id].device if m.id in now else m.device) or None,
                "exposed_at": found_at(m, now.get(m.id), facts),
            }
            for m in made
        ],
    }


def as_it_is(facts: Facts, record: Record) -> dict[str, Any]:
    """The answer for a snapshot that is there and stays as it is."""
    there = set_result(record.set_id, record.created, record.shadows, facts.shadows, facts)
    gone_astray = astray(facts, record)
    return {
        "changed": False,
        "name": record.name,
        "state": "present",
        "engine": record.engine,
        "consistency": record.consistency,
        "consistency_reason": record.reason,
        "writers": [dict(writer) for writer in record.writers],
        "snapshot_set": there,
        "frozen_seconds": None,
        "seconds": 0.0,
        "left_behind": [],
        "record": record.run,
        "warnings": [
            f"The link {m.link} does not lead to the shadow copy {m.id} any more, whose device has another number "
            "since the host was restarted: name it in expose to have it renewed."
            for m in record.shadows
            if m.id in gone_astray
        ],
        "diff": {"before": {"snapshots": [there]}, "after": {"snapshots": [there]}},
    }
