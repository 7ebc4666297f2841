# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How old snapshots of ours are, and which of one name are too many.

Ages are told by the host's own clock, in UTC, from the moment that VSS gave the shadow copies to what the clock says
now. A clock that was set back makes a snapshot appear to come from the future: then nobody can tell its age, it is
never held to be old, and never to be young.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from .._pipeline import moment
from .errors import VssFailure
from .planning import duration
from .records import Record

# The moment of a snapshot and the time of day come from two places of one host; they may differ by a little.
_SLACK = timedelta(minutes=5)


def age(record: Record, now: datetime) -> timedelta | None:
    """How old a snapshot is; None when that cannot be told. now: the host's clock."""
    try:
        created = moment(record.created or record.begun)
    except ValueError:
        return None
    if created is None or created > now + _SLACK:
        return None
    return max(now - created, timedelta(0))


def older(records: Sequence[Record], than: timedelta, now: datetime) -> list[Record]:
    """Those of the snapshots that are certainly older than that."""
    return [record for record in records if (old := age(record, now)) is not None and old > than]


@dataclass(frozen=True)
class Retention:
    """How many snapshots of a name are kept, and for how long. None: it does not matter."""

    count: int | None = None
    age: timedelta | None = None

    def surplus(self, records: Sequence[Record], stays: str, now: datetime) -> list[Record]:
        """The snapshots that are too many or too old.

        :param records: all kept snapshots of the name, newest first.
        :param stays: the run of the one that is what was asked for; it stays, and counts.
        """
        others = [record for record in records if record.run != stays]
        old = {record.run for record in older(others, self.age, now)} if self.age is not None else set()
        room = len(others) if self.count is None else self.count - 1
        return [record for at, record in enumerate(others) if at >= room or record.run in old]


def retention(args: Mapping[str, Any]) -> Retention | None:
    """The retention asked for; None when there is none.

    :raises VssFailure: the count is not positive, or the age no duration.
    """
    wish = args.get("retention") or {}
    count, kept_for = wish.get("count"), wish.get("age")
    if count is None and kept_for is None:
        return None
    if count is not None and count < 1:
        raise VssFailure(f"retention.count {count} would keep nothing: use state absent for that.")
    return Retention(count, None if kept_for is None else duration(kept_for, "retention.age"))
