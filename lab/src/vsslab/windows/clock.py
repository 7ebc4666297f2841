# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The clock of one host: the laboratory's time in the host's zone, how far it is off, and how fast it runs."""

from __future__ import annotations

import contextlib
import datetime
import threading
import zoneinfo
from collections.abc import Callable
from typing import Any

from ..labtime import MACHINE, UTC, LabTime

__all__ = ["UTC", "Clock"]


class Clock:
    """Time as one host sees it.

    `skew` is the error of the host's clock in seconds; with `speed` above 1 laboratory time runs faster than that of
    `time`, for waiting (`sleep`), limits (`monotonic`) and dates (`now`) alike, so that a day fits into a test.
    The callbacks of `on_jump` are told (before, after) when somebody sets the clock.
    """

    def __init__(
        self, zone: str = "UTC", *, skew: float = 0.0, speed: float = 1.0, time: LabTime | None = None
    ) -> None:
        if speed <= 0:
            raise ValueError("The speed of a clock is above zero.")
        self.zone = zoneinfo.ZoneInfo(zone)
        self.speed = speed
        self.time = time or MACHINE
        self.on_jump: list[Callable[[datetime.datetime, datetime.datetime], None]] = []
        self._skew = datetime.timedelta(seconds=skew)
        self._started = self.time.monotonic()
        self._start = self.time.now()

    @property
    def real(self) -> bool:
        """True when this is simply the clock of the machine that the laboratory runs on."""
        return self.speed == 1.0 and not self._skew and not self.time.virtual

    @property
    def skew(self) -> float:
        """Seconds that the host's clock is off."""
        return self._skew.total_seconds()

    def now(self) -> datetime.datetime:
        """The host's time, aware, UTC."""
        if self.speed == 1.0:
            return self.time.now() + self._skew
        passed = (self.time.monotonic() - self._started) * self.speed
        return self._start + datetime.timedelta(seconds=passed) + self._skew

    def local(self, moment: datetime.datetime) -> datetime.datetime:
        """The same moment in the host's time zone."""
        return moment.astimezone(self.zone)

    def offset_minutes(self, moment: datetime.datetime | None = None) -> int:
        """Minutes from UTC to local time, east positive, as Win32_OperatingSystem.CurrentTimeZone counts them."""
        offset = self.local(moment or self.now()).utcoffset()
        return 0 if offset is None else int(offset.total_seconds() // 60)

    def monotonic(self) -> float:
        """Seconds of laboratory time since an unknown moment; never goes back, whatever happens to the date."""
        return self.time.monotonic() * self.speed

    def sleep(self, seconds: float, stop: threading.Event | None = None) -> bool:
        """Wait that many seconds of laboratory time; True when `stop` was set meanwhile (the wait ends at once)."""
        return self.time.sleep(seconds / self.speed, stop)

    def waiting(self) -> contextlib.AbstractContextManager[None]:
        """To be held while the thread waits for other threads of the laboratory, not for time."""
        return self.time.waiting()

    def call_at(self, deadline: float, act: Callable[[], None], name: str = "timer") -> Callable[[], None]:
        """Call `act`, which must not wait, when `monotonic` reaches `deadline`; returns the way to prevent that."""
        return self.time.call_at(deadline / self.speed, act, name)

    def call_after(self, seconds: float, act: Callable[[], None], name: str = "timer") -> Callable[[], None]:
        """`call_at` for a moment that many seconds of laboratory time from now."""
        return self.call_at(self.monotonic() + seconds, act, name)

    def spawn(self, target: Callable[..., object], *arguments: Any, name: str) -> threading.Thread:
        """Start a daemon thread that virtual time waits for until it sleeps or ends."""
        return self.time.spawn(target, *arguments, name=name)

    def jump(self, seconds: float) -> tuple[datetime.datetime, datetime.datetime]:
        """Somebody sets the clock: the date moves by that many seconds, waiting and limits do not; (before, after)."""
        before = self.now()
        self._skew += datetime.timedelta(seconds=seconds)
        after = before + datetime.timedelta(seconds=seconds)
        for each in tuple(self.on_jump):
            each(before, after)
        return before, after
