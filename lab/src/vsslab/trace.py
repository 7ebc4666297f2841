# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The laboratory's trace: one JSON line for everything that happened, never a password."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import enum
import functools
import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, TextIO

_HIDDEN = "********"
_SECRET_NAMES = ("password", "passwd", "secret", "credential", "private_key")
_AS_THEY_ARE = frozenset({bool, int, float})
Entry = dict[str, Any]


class Time(Protocol):
    """The time that a trace goes by: the laboratory's, which may be virtual."""

    def now(self) -> datetime.datetime:
        """The date, aware."""

    def monotonic(self) -> float:
        """Seconds since an unknown moment; never goes back."""


def _for_the_owner(path: Path) -> int:
    """Open a file that nobody else may read: command lines tell much."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


@functools.lru_cache(maxsize=4096)
def _names_a_secret(name: str) -> bool:
    return any(word in name.lower() for word in _SECRET_NAMES)


class _MachineTime:
    """The time of the machine."""

    def now(self) -> datetime.datetime:
        return datetime.datetime.now(datetime.timezone.utc)

    def monotonic(self) -> float:
        return time.monotonic()


class Trace:
    """Collects what happens: a bounded memory, a file of JSON lines when a path is given, and subscribers.

    Every entry has `time` (UTC, ISO 8601), `clock` (seconds of a monotonic clock), `n` (running number), `event` and
    `host`; the other fields belong to the event.  Both times are those of `time`, the machine's when none is given.
    Safe to use from any thread.
    """

    def __init__(self, path: Path | None = None, *, keep: int = 50_000, time: Time | None = None) -> None:
        self._time = time or _MachineTime()
        self._lock = threading.RLock()
        self._memory: collections.deque[Entry] = collections.deque(maxlen=keep)
        self._subscribers: list[Callable[[Entry], None]] = []
        self._secrets: tuple[str, ...] = ()
        self._secret: re.Pattern[str] | None = None  # any of them; made when it is needed
        self._count = 0
        self._file: TextIO | None = None
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.fdopen(_for_the_owner(path), "a", encoding="utf-8")

    def hide(self, secret: str) -> None:
        """Never write this text, wherever it turns up (passwords of the run)."""
        with self._lock:
            if secret and secret not in self._secrets:
                self._secrets, self._secret = (*self._secrets, secret), None

    def write(self, event: str, host: str, **fields: Any) -> None:
        """Record one event of a host ('' for the laboratory itself); values become plain JSON data."""
        plain = {name: self._plain(name, value) for name, value in fields.items()}
        with self._lock:  # numbers and times rise together
            self._count += 1
            entry: Entry = {
                "time": self._time.now().astimezone(datetime.timezone.utc).isoformat(timespec="milliseconds"),
                "clock": self.clock(),
                "n": self._count,
                "event": event,
                "host": host,
                **plain,
            }
            self._memory.append(entry)
            if self._file is not None:
                self._file.write(json.dumps(entry, ensure_ascii=False, separators=(",", ":")) + "\n")
                self._file.flush()
            subscribers = tuple(self._subscribers)
        for each in subscribers:
            each(entry)

    def clock(self) -> float:
        """The value that an entry written now would have as `clock`; what lasts notes it as `began`."""
        return round(self._time.monotonic(), 6)

    def plain(self, value: Any) -> Any:
        """Any value as plain JSON data without the passwords of the run, as in an entry of the trace."""
        return self._value(value)

    def _plain(self, name: str, value: Any) -> Any:
        """JSON data of any value; fields whose name speaks of a secret are not written at all."""
        return _HIDDEN if _names_a_secret(name) else self._value(value)

    def _value(self, value: Any) -> Any:
        if value is None or value.__class__ in _AS_THEY_ARE:
            return value
        if isinstance(value, str):
            return self._without_secrets(str(value))
        if isinstance(value, (bool, float)):
            return value
        if isinstance(value, enum.Enum):
            return value.name
        if isinstance(value, int):
            return int(value)
        if isinstance(value, (bytes, bytearray, memoryview)):
            return f"<{len(value)} bytes>"
        if isinstance(value, Mapping):
            return {str(key): self._plain(str(key), each) for key, each in value.items()}
        if isinstance(value, (list, tuple, set, frozenset, collections.deque)):
            return [self._value(each) for each in value]
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return {f.name: self._plain(f.name, getattr(value, f.name)) for f in dataclasses.fields(value) if f.repr}
        return self._value(str(value))

    def _without_secrets(self, text: str) -> str:
        """One pattern for all of them: a large fleet has a thousand passwords, and this is done for every text."""
        if not self._secrets:
            return text
        pattern = self._secret
        if pattern is None:
            with self._lock:
                longest_first = sorted(self._secrets, key=len, reverse=True)
                pattern = self._secret = re.compile("|".join(map(re.escape, longest_first)))
        return pattern.sub(_HIDDEN, text)

    def subscribe(self, receiver: Callable[[Entry], None]) -> Callable[[], None]:
        """Call `receiver` with every entry from now on, in the thread that wrote it; returns the way to end that."""
        with self._lock:
            self._subscribers.append(receiver)

        def end() -> None:
            with self._lock:
                if receiver in self._subscribers:
                    self._subscribers.remove(receiver)

        return end

    def events(self, event: str | None = None, host: str | None = None, **fields: Any) -> list[Entry]:
        """The remembered entries with this event, host and these field values, oldest first."""
        wanted = {k: v for k, v in {"event": event, "host": host}.items() if v is not None} | fields
        with self._lock:
            memory = list(self._memory)
        return [each for each in memory if all(each.get(name) == value for name, value in wanted.items())]

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.events())

    def __len__(self) -> int:
        return len(self._memory)

    @property
    def count(self) -> int:
        """How many entries were written so far, also those that are not remembered any more."""
        return self._count

    def tail(self, after: int = 0, host: str | None = None, last: int = 100) -> list[Entry]:
        """The newest `last` remembered entries with a number above `after`, of one host or of all, oldest first."""
        found: list[Entry] = []
        with self._lock:
            for each in reversed(self._memory):
                if each["n"] <= after or len(found) >= last:
                    break
                if host is None or each["host"] == host:
                    found.append(each)
        return found[::-1]

    def clear(self) -> None:
        """Forget the remembered entries; the file keeps its lines."""
        with self._lock:
            self._memory.clear()

    def close(self) -> None:
        """Close the file; later events are only remembered."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None
