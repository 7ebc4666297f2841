# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Event logs of a host: their sources, their sizes, and the events that Windows itself writes."""

from __future__ import annotations

import contextlib
import datetime
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from .errors import WinError, data

if TYPE_CHECKING:
    from .host import Host

CRITICAL, ERROR, WARNING, INFORMATION = 1, 2, 3, 4
LEVELS = {"Error": ERROR, "Warning": WARNING, "Information": INFORMATION, "SuccessAudit": 0, "FailureAudit": 0}
SECURITY, LOG_FULL = "Security", 1502
_RECORD = 400  # bytes a record takes beside its strings (assumed)


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

    @property
    def size(self) -> int:
        """Bytes that the record takes in its log."""
        return _RECORD + 2 * sum(len(each) + 1 for each in (*self.data, self.provider))


@dataclass
class Log:
    """One event log. `limit` in bytes; `overwrite`: the oldest events go when it is full, else new ones are refused.

    What Windows writes into a log that is not `enabled` is lost.
    """

    limit: int
    overwrite: bool = True
    enabled: bool = True
    events: deque[Event] = field(default_factory=deque, repr=False)
    size: int = 0
    last_id: int = 0

    def add(self, event: Event) -> None:
        """Put an event in; WinError 1502 when the log is full and may not overwrite."""
        if self.size + event.size > self.limit and not self.overwrite:
            raise WinError(LOG_FULL)
        self.last_id = event.record_id
        self.events.append(event)
        self.size += event.size
        while self.size > self.limit and len(self.events) > 1:
            self.size -= self.events.popleft().size

    def clear(self) -> None:
        """Forget every event; record numbers begin again."""
        self.events.clear()
        self.size = self.last_id = 0


class Events:
    """The event logs of one host; record numbers rise by one in each log."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._lock = threading.RLock()
        tables = data("events.yml")
        self._built_in: dict[str, list[str]] = tables["sources"]
        self.logs: dict[str, Log] = {
            name: Log(limit, enabled=name not in tables["disabled"]) for name, limit in tables["limits"].items()
        }
        self.sources = {log: set(names) for log, names in self._built_in.items()}
        self._listeners: list[Callable[[Event], None]] = []
        host.clock.on_jump.append(self._time_changed)

    def log_name(self, log: str) -> str:
        """The log as it is spelt; ValueError when there is no such log."""
        found = next((each for each in self.logs if each.lower() == log.lower()), None)
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

    def added_sources(self) -> list[str]:
        """The sources that were registered since the host was set up, as 'log: source', sorted."""
        return sorted(
            f"{log}: {each}" for log, names in self.sources.items() for each in names - set(self._built_in.get(log, ()))
        )

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
        """Write one event at the host's time; ValueError when the provider is not registered for that log.

        WinError 1502 when the log is full and does not overwrite.
        """
        name = self.log_name(log)
        if not any(each.lower() == provider.lower() for each in self.sources[name]):
            raise ValueError(f"The source {provider!r} is not registered for the log {name}.")
        number = LEVELS[level] if isinstance(level, str) else level
        strings = tuple(data)
        with self._lock:
            now, record_id = self._host.clock.now(), self.logs[name].last_id + 1
            text = message or "\n".join(strings)
            record = Event(name, provider, event_id, number, now, record_id, strings, text, user_sid, category)
            self.logs[name].add(record)
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
            events = list(self.logs[self.log_name(log)].events)
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

    # -- what Windows writes itself --------------------------------------------------------------------------------
    def report(self, what: str, strings: Iterable[str] = (), *, user_sid: str | None = None) -> None:
        """Write one of the events of data/events.yml in the host's language; a full log loses it, as on Windows."""
        row = data("events.yml")["events"][what]
        if not self.logs[row["log"]].enabled:
            return
        given = [*strings]
        text = row["text"].get(self._host.language.short, row["text"]["en"])
        with contextlib.suppress(WinError):
            self.write(row["log"], row["provider"], row["id"], row["level"], data=given, message=text.format(*given),
                       user_sid=user_sid)  # fmt: skip

    def _time_changed(self, before: datetime.datetime, after: datetime.datetime) -> None:
        self.report("time changed", [system_time(after), system_time(before)])

    # -- logs ------------------------------------------------------------------------------------------------------
    def set_limit(self, log: str, size: int, *, overwrite: bool = True) -> None:
        """How large a log may grow, in bytes, and what happens then ("wevtutil set-log": /ms, /rt); at least 64 KiB."""
        if size < 65536:
            raise ValueError("An event log has at least 64 KiB.")
        found = self.logs[self.log_name(log)]
        with self._lock:
            found.limit, found.overwrite = size, overwrite

    def enable(self, log: str, enabled: bool = True) -> None:
        """Switch a log on or off ("wevtutil set-log", /e)."""
        self.logs[self.log_name(log)].enabled = enabled

    def clear(self, log: str, by: str = "SYSTEM") -> None:
        """Clear a log; the System log tells of it (104), the Security log of itself (1102)."""
        name = self.log_name(log)
        with self._lock:
            self.logs[name].clear()
        self.report("audit log cleared" if name == SECURITY else "log cleared", [by, self._host.name, name, ""])

    # -- as data ---------------------------------------------------------------------------------------------------
    def dump(self) -> dict[str, Any]:
        """Every log with its events and sources, as plain data."""
        with self._lock:
            return {
                name: {"limit": log.limit, "overwrite": log.overwrite, "enabled": log.enabled, "last_id": log.last_id,
                       "sources": sorted(self.sources[name]),
                       "events": [asdict(each) | {"time": each.time.isoformat()} for each in log.events]}
                for name, log in self.logs.items()
            }  # fmt: skip

    def load(self, rows: dict[str, Any]) -> None:
        """Take over what `dump` gave."""
        with self._lock:
            for name, row in rows.items():
                log = self.logs[name] = Log(row["limit"], row["overwrite"], row["enabled"])
                self.sources[name] = set(row["sources"])
                for each in row["events"]:
                    when = datetime.datetime.fromisoformat(each["time"])
                    log.add(Event(**{**each, "time": when, "data": tuple(each["data"])}))
                log.last_id = row["last_id"]


def system_time(moment: datetime.datetime) -> str:
    """A moment as the kernel's events spell it: 2026-11-22T16:00:00.000000000Z."""
    return moment.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f") + "000Z"
