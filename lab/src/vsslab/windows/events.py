# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Event logs of a host: Application and System, with their registered sources."""

from __future__ import annotations

import datetime
import threading
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .host import Host

CRITICAL, ERROR, WARNING, INFORMATION = 1, 2, 3, 4
LEVELS = {"Error": ERROR, "Warning": WARNING, "Information": INFORMATION, "SuccessAudit": 0, "FailureAudit": 0}
LOGS = ("Application", "Security", "System")
_SOURCES = {
    "Application": ("VSS", "SPP", "ESENT", "MsiInstaller", "Application", "Microsoft-Windows-CAPI2", "SQLWRITER"),
    "System": ("volsnap", "Service Control Manager", "EventLog", "Microsoft-Windows-Kernel-General", "Ntfs"),
    "Security": ("Microsoft-Windows-Security-Auditing",),
}


@dataclass(frozen=True)
class Event:
    """One event. `level` 1 critical, 2 error, 3 warning, 4 information; `data` insertion strings; `time` aware UTC."""

    log: str
    provider: str
    id: int
    level: int
    time: datetime.datetime
    record_id: int
    data: tuple[str, ...]
    message: str
    user_sid: str | None = None
    category: int = 0


class Events:
    """The event logs of one host; record numbers rise by one in each log."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._lock = threading.Lock()
        self._events: dict[str, list[Event]] = {log: [] for log in LOGS}
        self.sources: dict[str, set[str]] = {log: set(_SOURCES[log]) for log in LOGS}
        self._listeners: list[Callable[[Event], None]] = []

    def log_name(self, log: str) -> str:
        """The log as it is spelt; ValueError when there is no such log."""
        found = next((each for each in self._events if each.lower() == log.lower()), None)
        if found is None:
            raise ValueError(f"There is no event log {log!r} on {self._host.name}.")
        return found

    def log_of(self, source: str) -> str | None:
        """The log that a source is registered for (a source belongs to one log only)."""
        wanted = source.lower()
        return next((log for log, names in self.sources.items() if any(each.lower() == wanted for each in names)), None)

    def register_source(self, log: str, source: str) -> None:
        """Register a source (New-EventLog); ValueError when it exists already, on whichever log."""
        name = self.log_name(log)
        if self.log_of(source) is not None:
            raise ValueError(f"The source {source!r} is registered on {self._host.name} already.")
        self.sources[name].add(source)

    def remove_source(self, source: str) -> None:
        """Take a source away (Remove-EventLog -Source); ValueError when there is none."""
        log = self.log_of(source)
        if log is None:
            raise ValueError(f"The source {source!r} is not registered on {self._host.name}.")
        self.sources[log] = {each for each in self.sources[log] if each.lower() != source.lower()}

    def added_sources(self) -> list[str]:
        """The sources that were registered since the host was set up, as 'log: source', sorted."""
        return sorted(f"{log}: {each}" for log, names in self.sources.items() for each in names - set(_SOURCES[log]))

    def write(
        self,
        log: str,
        provider: str,
        event_id: int,
        level: int | str = INFORMATION,
        *,
        data: Iterable[str] = (),
        message: str = "",
        user_sid: str | None = None,
        category: int = 0,
    ) -> Event:
        """Write one event at the host's time; ValueError when the provider is not registered for that log."""
        name = self.log_name(log)
        if self.log_of(provider) != name:
            raise ValueError(f"The source {provider!r} is not registered for the log {name}.")
        number = LEVELS[level] if isinstance(level, str) else level
        strings = tuple(data)
        with self._lock:
            now, record_id = self._host.clock.now(), len(self._events[name]) + 1
            text = message or "\n".join(strings)
            record = Event(name, provider, event_id, number, now, record_id, strings, text, user_sid, category)
            self._events[name].append(record)
        self._host.trace.write("event", self._host.name, log=name, provider=provider, id=event_id, level=number,
                               data=list(strings), message=record.message)  # fmt: skip
        for each in tuple(self._listeners):
            each(record)
        return record

    def query(
        self,
        log: str,
        *,
        since: datetime.datetime | None = None,
        providers: Collection[str] | None = None,
        ids: Collection[int] | None = None,
        levels: Collection[int] | None = None,
        maximum: int | None = None,
        oldest_first: bool = False,
        where: Callable[[Event], bool] | None = None,
    ) -> list[Event]:
        """The events that agree with everything given, newest first as Get-WinEvent gives them."""
        names = None if providers is None else {each.lower() for each in providers}
        with self._lock:
            events = list(self._events[self.log_name(log)])
        if not oldest_first:
            events.reverse()
        found = [
            each
            for each in events
            if (since is None or each.time >= since)
            and (names is None or each.provider.lower() in names)
            and (ids is None or each.id in ids)
            and (levels is None or each.level in levels)
            and (where is None or where(each))
        ]
        return found if maximum is None else found[:maximum]

    def subscribe(self, listener: Callable[[Event], None]) -> None:
        """Call `listener` with every event from now on."""
        self._listeners.append(listener)
