# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The clock of one host: its zone, how far it is off, and how fast it runs."""

from __future__ import annotations

import datetime
import threading
import time
import zoneinfo

UTC = datetime.timezone.utc


class Clock:
    """Time as one host sees it.

    `skew` is the error of the host's clock in seconds; with `speed` above 1 laboratory time runs faster than real
    time, for waiting (`sleep`), limits (`monotonic`) and dates (`now`) alike, so that a day fits into a test.
    """

    def __init__(self, zone: str = "UTC", *, skew: float = 0.0, speed: float = 1.0) -> None:
        if speed <= 0:
            raise ValueError("The speed of a clock is above zero.")
        self.zone = zoneinfo.ZoneInfo(zone)
        self.speed = speed
        self._skew = datetime.timedelta(seconds=skew)
        self._started = time.monotonic()
        self._start = datetime.datetime.now(UTC)

    @property
    def real(self) -> bool:
        """True when this is simply the clock of the machine that the laboratory runs on."""
        return self.speed == 1.0 and not self._skew

    def now(self) -> datetime.datetime:
        """The host's time, aware, UTC."""
        if self.speed == 1.0:
            return datetime.datetime.now(UTC) + self._skew
        passed = (time.monotonic() - self._started) * self.speed
        return self._start + datetime.timedelta(seconds=passed) + self._skew

    def local(self, moment: datetime.datetime) -> datetime.datetime:
        """The same moment in the host's time zone."""
        return moment.astimezone(self.zone)

    def offset_minutes(self, moment: datetime.datetime | None = None) -> int:
        """Minutes from UTC to local time, east positive, as Win32_OperatingSystem.CurrentTimeZone counts them."""
        offset = self.local(moment or self.now()).utcoffset()
        return 0 if offset is None else int(offset.total_seconds() // 60)

    def monotonic(self) -> float:
        """Seconds of laboratory time since an unknown moment; never goes back."""
        return time.monotonic() * self.speed

    def sleep(self, seconds: float, stop: threading.Event | None = None) -> bool:
        """Wait that many seconds of laboratory time; True when `stop` was set meanwhile (the wait ends at once)."""
        if seconds <= 0:
            return stop is not None and stop.is_set()
        if stop is None:
            time.sleep(seconds / self.speed)
            return False
        return stop.wait(seconds / self.speed)
