# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a scheduled task starts by itself: once, repeatedly, every so many days or weeks, at boot, when registered.

Calendar triggers go by the host's own wall clock. Source: "Task Scheduler Schema" (TimeTrigger, CalendarTrigger). A
time that daylight saving skips counts with the offset before the change (02:30 becomes 03:30), one that comes
twice is taken the first time (both assumed).
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterator
from dataclasses import dataclass

from .clock import UTC

DAY = datetime.timedelta(days=1)
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_TICK = datetime.timedelta(microseconds=1)


@dataclass(frozen=True)
class Trigger:
    """One trigger: kind TimeTrigger, CalendarTrigger, BootTrigger or RegistrationTrigger. Durations in seconds.

    `start` and `end` are aware moments, `zone` is where a CalendarTrigger's wall clock hangs (the host's zone, or the
    offset that its StartBoundary gives). `days`: every so many; `weeks` with `weekdays` (Monday is 0): likewise.
    """

    kind: str
    start: datetime.datetime | None = None
    end: datetime.datetime | None = None
    delay: float = 0.0
    interval: float = 0.0
    duration: float = 0.0
    enabled: bool = True
    zone: datetime.tzinfo = UTC
    days: int = 0
    weeks: int = 0
    weekdays: frozenset[int] = frozenset()

    def next_start(self, after: datetime.datetime) -> datetime.datetime | None:
        """The first start at or after a moment; None for triggers without a time and when it is over."""
        if not self.enabled or self.start is None:
            return None
        for base in self._bases(after):
            if self.end is not None and base >= self.end:
                return None
            when = self._repeated(base, after)
            if when is not None and when >= after and (self.end is None or when < self.end):
                return when
        return None

    def starts(self, after: datetime.datetime, before: datetime.datetime, most: int = 10_000) -> int:
        """How many starts lie at or after the one moment and before the other; at most `most` are counted."""
        count, when = 0, self.next_start(after)
        while when is not None and when < before and count < most:
            count += 1
            when = self.next_start(when + _TICK)
        return count

    def _repeated(self, base: datetime.datetime, after: datetime.datetime) -> datetime.datetime | None:
        """The first of a start and its repetitions at or after a moment."""
        if after <= base:
            return base
        if not self.interval:
            return None
        rounds = math.ceil((after - base).total_seconds() / self.interval)
        when = base + datetime.timedelta(seconds=rounds * self.interval)
        last = base + datetime.timedelta(seconds=self.duration)
        return None if self.duration and when > last else when

    def _bases(self, after: datetime.datetime) -> Iterator[datetime.datetime]:
        """The starts without their repetitions, from the last one before a moment on."""
        if self.start is None or self.kind not in {"TimeTrigger", "CalendarTrigger"}:
            return
        if self.kind == "TimeTrigger":
            yield self.start
            return
        first = self.start.astimezone(self.zone).replace(tzinfo=None)
        reach = datetime.timedelta(seconds=self.duration if self.interval else 0) + (self.days or 7 * self.weeks) * DAY
        passed = (after.astimezone(self.zone).replace(tzinfo=None) - first - reach) // DAY
        step = self.days or 7 * self.weeks
        number = max(0, passed // step * step)
        sunday = (first.weekday() + 1) % 7  # days since the week of the start began
        while True:
            for offset in range(step):
                local = first + (number + offset) * DAY
                if self._on(number + offset, sunday, local):
                    yield local.replace(tzinfo=self.zone).astimezone(UTC)
            number += step
            if first.year + number // 365 > 9990:
                return

    def _on(self, number: int, sunday: int, local: datetime.datetime) -> bool:
        """Whether the day `number` of the trigger is one on which it starts."""
        if self.days:
            return number % self.days == 0
        return ((number + sunday) // 7) % self.weeks == 0 and local.weekday() in self.weekdays
