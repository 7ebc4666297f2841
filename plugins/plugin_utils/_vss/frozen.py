# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""For how long applications were frozen, by the events that some of them write.

Sources: SQL Server's documentation (errors 3197, "I/O is frozen", and 3198, "I/O was resumed") and that of the ESE
event provider (2001, "freeze started", and 2003, "freeze ended"). Other applications do not tell.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from .facts import Event

# provider in lower case -> (events that begin a freeze, events that end it)
_PAIRS: Mapping[str, tuple[frozenset[int], frozenset[int]]] = {
    "mssqlserver": (frozenset({3197}), frozenset({3198})),
    "ese": (frozenset({2001}), frozenset({2003})),
}

PROVIDERS = ("VSS", "volsnap", "MSSQLSERVER", "ESE")


def seconds(events: Iterable[Event], since: datetime) -> float | None:
    """From the first application's freeze since then to the last one's thaw, in seconds; None when none told both."""
    begun, ended = [], []
    for event in events:
        pair = _PAIRS.get(event.provider.lower())
        if pair is None or event.time is None or event.time < since:
            continue
        if event.id in pair[0]:
            begun.append(event.time)
        elif event.id in pair[1]:
            ended.append(event.time)
    if not begun or not ended or max(ended) < min(begun):
        return None
    return round((max(ended) - min(begun)).total_seconds(), 3)
