# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The time of a laboratory: the machine's, or a virtual one that stands still until somebody advances it.

Virtual time moves from deadline to deadline.  Whoever waits for a deadline is woken alone, and time goes on when that
thread sleeps again, ends, or has been given enough real time (`patience`); so what happens in a minute of laboratory
time happens in the same order whatever the machine does meanwhile.
"""

from __future__ import annotations

import contextlib
import datetime
import heapq
import itertools
import math
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

UTC = datetime.timezone.utc
_POLL = 0.02  # real seconds between two looks at a stop event
_SETTLE = 0.02  # real seconds that threads waiting for each other get to hand over
_LONGEST = 10 * 365 * 86400.0  # seconds; beyond what one wait of the system takes lies only for ever
_EPOCH = 1000.0  # what the virtual monotonic clock starts with


class TimeError(ValueError):
    """Time does not do that; one sentence."""


@dataclass(eq=False)
class _Work:
    """Something that has to come to rest before virtual time goes on."""

    name: str
    thread: threading.Thread | None = None


@dataclass(order=True)
class _Entry:
    """A deadline: somebody sleeps until then (`woken`), or `act` is called."""

    deadline: float
    number: int
    name: str = field(compare=False)
    woken: threading.Event = field(compare=False)
    act: Callable[[], None] | None = field(compare=False, default=None)
    work: _Work | None = field(compare=False, default=None)
    gone: bool = field(compare=False, default=False)


class LabTime:
    """The time of one laboratory; safe to use from any thread.

    `virtual`: it moves only by `advance`; `start` is the date it begins with (aware; default: now).  Real time is the
    machine's, `advance` is refused then.
    """

    def __init__(self, *, virtual: bool = False, start: datetime.datetime | None = None) -> None:
        self.virtual = virtual
        self._start = (start or datetime.datetime.now(UTC)).astimezone(UTC)
        self._passed = 0.0
        self._changed = threading.Condition()
        self._advancing = threading.Lock()
        self._entries: list[_Entry] = []
        self._numbers = itertools.count()
        self._running: dict[_Work, None] = {}
        self._waiting = 0
        self._local = threading.local()
        self._scheduler: threading.Thread | None = None
        self._closed = False

    # --- what time it is

    def now(self) -> datetime.datetime:
        """The date, aware, UTC."""
        if not self.virtual:
            return datetime.datetime.now(UTC)
        return self._start + datetime.timedelta(seconds=self._passed)

    def monotonic(self) -> float:
        """Seconds since an unknown moment; never goes back."""
        return _EPOCH + self._passed if self.virtual else time.monotonic()

    # --- waiting

    def sleep(self, seconds: float, stop: threading.Event | None = None) -> bool:
        """Wait that long; True when `stop` was set meanwhile, the wait then ends at once.  Infinity: for `stop`."""
        if seconds <= 0 or (stop is not None and stop.is_set()):
            return stop is not None and stop.is_set()
        if self.virtual:
            return self._sleep(seconds, stop)
        if stop is None:
            time.sleep(min(seconds, _LONGEST))
            return False
        return stop.wait(seconds if seconds < _LONGEST else None)

    def _sleep(self, seconds: float, stop: threading.Event | None) -> bool:
        work: _Work | None = getattr(self._local, "work", None)
        with self._changed:
            if self._closed:
                return stop is not None and stop.is_set()
            thread = threading.current_thread()
            entry = self._enter(self.monotonic() + seconds, thread.name)
            entry.work = work or _Work(thread.name, thread)
            self._rest(work)
        while not entry.woken.wait(None if stop is None else _POLL):
            if stop is not None and stop.is_set():
                with self._changed:
                    if not entry.woken.is_set():
                        self._forget(entry)
                        self._go(work)
                        return True
        self._local.work = entry.work
        return stop is not None and stop.is_set()

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """While the thread waits for other threads of the laboratory: time need not wait for it."""
        work: _Work | None = getattr(self._local, "work", None)
        with self._changed:
            self._rest(work)
            self._waiting += 1
        try:
            yield
        finally:
            with self._changed:
                self._waiting -= 1
                self._go(work)

    def call_at(self, deadline: float, act: Callable[[], None], name: str = "timer") -> Callable[[], None]:
        """Call `act` when `monotonic` reaches `deadline`; returns the way to prevent that.

        `act` runs in a thread of the laboratory's time and must not wait: what takes long belongs into `spawn`.
        """
        with self._changed:
            entry = self._enter(deadline, name)
            entry.act = act
            if not self.virtual and self._scheduler is None and not self._closed:
                self._scheduler = threading.Thread(target=self._schedule, name="vsslab-timers", daemon=True)
                self._scheduler.start()
            self._changed.notify_all()

        def cancel() -> None:
            with self._changed:
                self._forget(entry)
                self._changed.notify_all()

        return cancel

    def spawn(self, target: Callable[..., object], *arguments: Any, name: str) -> threading.Thread:
        """Start a daemon thread that virtual time waits for until it sleeps or ends."""
        work = _Work(name)
        thread = threading.Thread(target=self._work, args=(work, target, arguments), name=name, daemon=True)
        work.thread = thread
        with self._changed:
            self._go(work)
        thread.start()
        return thread

    def _work(self, work: _Work, target: Callable[..., object], arguments: tuple[Any, ...]) -> None:
        self._local.work = work
        try:
            target(*arguments)
        finally:
            with self._changed:
                self._rest(getattr(self._local, "work", None))
                self._rest(work)

    # --- virtual time

    def advance(self, seconds: float, patience: float = 5.0) -> list[str]:
        """Let virtual time pass; returns when all that became due has run.

        The names returned are of threads that still run, because they wait for something that is not of the laboratory
        (a client that does not read, a process): each was given `patience` real seconds.  TimeError for real time.
        """
        if not self.virtual:
            raise TimeError("Real time passes by itself; only virtual time can be advanced.")
        if not 0 <= seconds < math.inf:
            raise TimeError("Time advances by a number of seconds from 0 on; it never goes back.")
        late: set[_Work] = set()
        with self._advancing:
            end = self._passed + seconds
            self._settle(patience, late)
            while (entry := self._due(_EPOCH + end)) is not None:
                self._wake(entry)
                self._settle(patience, late)
            with self._changed:
                self._passed = max(self._passed, end)
                return sorted(each.name for each in late if each in self._running)

    def _due(self, end: float) -> _Entry | None:
        with self._changed:
            while self._entries and (self._entries[0].gone or self._entries[0].deadline <= end):
                entry = heapq.heappop(self._entries)
                if not entry.gone:
                    self._passed = max(self._passed, entry.deadline - _EPOCH)
                    return entry
        return None

    def _wake(self, entry: _Entry) -> None:
        if entry.act is not None:
            _guarded(entry.act)
            return
        with self._changed:
            if entry.gone:
                return
            self._go(entry.work)
            entry.woken.set()

    def _settle(self, patience: float, late: set[_Work]) -> None:
        """Wait until everything that runs has come to rest, or was given its time."""
        end = time.monotonic() + patience
        quiet = 0.0
        with self._changed:
            while True:
                for each in [w for w in self._running if w.thread is not None and w.thread.ident is not None]:
                    if each.thread is not None and not each.thread.is_alive():
                        del self._running[each]
                busy = [each for each in self._running if each not in late]
                now = time.monotonic()
                if not busy and (not self._waiting or (quiet and now - quiet >= _SETTLE)):
                    return
                if now > end:
                    late.update(busy)
                    return
                quiet = 0.0 if busy else quiet or now
                self._changed.wait(_POLL / 4)

    def deadlines(self) -> list[tuple[str, float]]:
        """Who waits, and for how many seconds yet; the next one first."""
        with self._changed:
            now = self.monotonic()
            return [(each.name, each.deadline - now) for each in sorted(self._entries) if not each.gone]

    def wait_for(self, count: int, timeout: float = 10.0) -> None:
        """Wait (real seconds) until that many threads and timers wait for time to pass; TimeError when they do not."""
        end = time.monotonic() + timeout
        while len(self.deadlines()) < count:
            if time.monotonic() > end:
                raise TimeError(f"{len(self.deadlines())} wait for time to pass, not {count}.")
            time.sleep(_POLL / 2)

    # --- inside

    def _enter(self, deadline: float, name: str) -> _Entry:
        entry = _Entry(deadline, next(self._numbers), name, threading.Event())
        heapq.heappush(self._entries, entry)
        return entry

    def _forget(self, entry: _Entry) -> None:
        entry.gone = True
        if len(self._entries) > 64 and sum(each.gone for each in self._entries[::8]) * 16 > len(self._entries):
            self._entries = [each for each in self._entries if not each.gone]
            heapq.heapify(self._entries)

    def _rest(self, work: _Work | None) -> None:
        if work is not None:
            self._running.pop(work, None)
            self._changed.notify_all()

    def _go(self, work: _Work | None) -> None:
        if work is not None:
            self._running[work] = None

    def _schedule(self) -> None:
        """The timers of real time, one after the other; ends when there are none."""
        while True:
            with self._changed:
                while self._entries and self._entries[0].gone:
                    heapq.heappop(self._entries)
                if self._closed or not self._entries:
                    self._scheduler = None
                    return
                wait = self._entries[0].deadline - time.monotonic()
                if wait > 0:
                    self._changed.wait(min(wait, _LONGEST))
                    continue
                entry = heapq.heappop(self._entries)
            if entry.act is not None:
                _guarded(entry.act)

    def close(self) -> None:
        """The laboratory ends: no timer fires any more, and whoever sleeps wakes."""
        with self._changed:
            self._closed = True
            for each in self._entries:
                each.gone = True
                each.woken.set()
            self._entries.clear()
            scheduler = self._scheduler
            self._changed.notify_all()
        if scheduler is not None and scheduler is not threading.current_thread():
            scheduler.join(5.0)

    # --- as data

    def state(self) -> dict[str, Any]:
        """What continues this time elsewhere: `virtual`, and `now` as ISO 8601."""
        return {"virtual": self.virtual, "now": self.now().isoformat()}


def _guarded(act: Callable[[], None]) -> None:
    """A timer's defect is reported as that of a thread is; the other timers go on."""
    try:
        act()
    except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to this timer alone
        thread = threading.current_thread()
        threading.excepthook(threading.ExceptHookArgs((type(error), error, error.__traceback__, thread)))


MACHINE = LabTime()
"""Real time, for hosts that belong to no laboratory."""
