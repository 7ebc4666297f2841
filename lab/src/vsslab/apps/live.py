# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every live application does: write at a steady pace, obey freeze and thaw, account for its pauses.

Commands come as JSON lines on stdin (`{"id": 1, "cmd": "freeze"}`), answers leave as JSON lines on stdout.  Commands
are read between two transactions only, so a frozen application has no transaction open.  The program ends when its
stdin closes: no application outlives the laboratory.
"""

from __future__ import annotations

import abc
import argparse
import collections
import contextlib
import json
import os
import random
import select
import sys
import time
from pathlib import Path
from typing import Any

PAUSE = 0.25  # seconds without a write that count as a pause
_KEPT = 600  # seconds of the ring buffer, and pauses remembered


class Meter:
    """Writes per second in a ring buffer, and the pauses between writes."""

    def __init__(self) -> None:
        self.started = self._last = time.monotonic()
        self.writes = 0
        self._seconds: collections.deque[tuple[int, int]] = collections.deque(maxlen=_KEPT)
        self._pauses: collections.deque[tuple[float, float]] = collections.deque(maxlen=_KEPT)
        self._longest = 0.0

    def count(self) -> None:
        """One transaction is done."""
        now = time.monotonic()
        if now - self._last >= PAUSE:
            self._pauses.append((self._last, now))
            self._longest = max(self._longest, now - self._last)
        self._last = now
        self.writes += 1
        second = int(now)
        if self._seconds and self._seconds[-1][0] == second:
            self._seconds[-1] = (second, self._seconds[-1][1] + 1)
        else:
            self._seconds.append((second, 1))

    def figures(self) -> dict[str, Any]:
        """Plain figures; times of pauses are seconds since the epoch, `longest_pause` includes one still going on."""
        now = time.monotonic()
        epoch = time.time() - now
        current = now - self._last if now - self._last >= PAUSE else 0.0
        recent = sum(count for second, count in self._seconds if int(now) - 10 <= second < int(now))
        pauses = [
            {"start": round(epoch + start, 3), "end": round(epoch + end, 3), "seconds": round(end - start, 3)}
            for start, end in self._pauses
        ]
        return {
            "writes": self.writes,
            "running_seconds": round(now - self.started, 3),
            "writes_per_second": round(recent / min(10, max(1, int(now) - int(self.started))), 1),
            "longest_pause": round(max(self._longest, current), 3),
            "current_pause": round(current, 3),
            "pauses": pauses,
            "by_second": [count for _, count in self._seconds],
        }


class Live(abc.ABC):
    """A live application; subclasses say how to begin, to write one transaction and to flush."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.dice = random.Random(seed)  # noqa: S311 - invented business, no secrets

    @abc.abstractmethod
    def begin(self) -> None:
        """Open the data, making it when there is none, recovering it when the last run was cut off."""

    @abc.abstractmethod
    def write(self) -> None:
        """One whole transaction."""

    def flush(self) -> None:
        """Bring everything written to the disk."""
        for path in self.folder.rglob("*"):
            with contextlib.suppress(OSError):
                _sync(path)

    def end(self) -> None:  # noqa: B027 - most have nothing to close
        """Close the data."""

    def figures(self) -> dict[str, Any]:
        """Figures of the business itself, beside those of the meter."""
        return {}


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class _Loop:
    def __init__(self, app: Live, rate: float) -> None:
        self._app, self._period = app, 1.0 / rate
        self._meter = Meter()
        self._frozen = False
        self._errors: list[str] = []
        self._buffer = b""

    def run(self) -> None:
        due = time.monotonic()
        while True:
            wait = None if self._frozen else max(0.0, due - time.monotonic())
            if select.select([0], [], [], wait)[0] and not self._commands():
                return
            now = time.monotonic()
            if self._frozen or now < due:
                continue
            self._write()
            due = max(due + self._period, now)  # never a burst to catch up after a pause

    def _write(self) -> None:
        try:
            self._app.write()
        except Exception as error:  # noqa: BLE001 - a full disk must not end the application, but be told
            self._errors = [*self._errors[-9:], f"{type(error).__name__}: {error}"]
            return
        self._meter.count()

    def _commands(self) -> bool:
        chunk = os.read(0, 65536)
        if not chunk:
            return False
        *lines, self._buffer = (self._buffer + chunk).split(b"\n")
        return all(self._obey(json.loads(line)) for line in lines if line.strip())

    def _obey(self, request: dict[str, Any]) -> bool:
        command = request["cmd"]
        if command == "freeze":
            self._app.flush()
            self._frozen = True
        elif command == "thaw":
            self._frozen = False
        elif command not in {"stats", "stop"}:
            answer({"id": request.get("id"), "ok": False, "error": f"There is no command {command!r}."})
            return True
        state = "frozen" if self._frozen else "running"
        figures = {**self._meter.figures(), **self._app.figures()} if command == "stats" else {}
        answer({"id": request.get("id"), "ok": True, "state": state, "errors": self._errors, **figures})
        return bool(command != "stop")


def answer(message: dict[str, Any]) -> None:
    """One JSON line to the laboratory."""
    with contextlib.suppress(BrokenPipeError):
        os.write(1, json.dumps(message, separators=(",", ":")).encode() + b"\n")


def main(app: type[Live], rate: float, argv: list[str] | None = None) -> int:
    """Run an application until it is told to stop or its stdin closes; `rate` is its usual writes per second."""
    parser = argparse.ArgumentParser(prog=f"python -m {app.__module__}", description=app.__doc__)
    parser.add_argument("folder", type=Path, help="where the application keeps its data")
    parser.add_argument("--rate", type=float, default=rate, help="transactions per second (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the invented business (default %(default)s)")
    options = parser.parse_args(argv)
    # A process group of its own: a terminal's Ctrl-C belongs to the laboratory, and should the laboratory die while
    # this process is stopped, the kernel wakes and ends it (a stopped, newly orphaned group gets SIGHUP and SIGCONT).
    with contextlib.suppress(OSError):
        os.setpgid(0, 0)
    options.folder.mkdir(parents=True, exist_ok=True)
    live = app(options.folder, options.seed)
    live.begin()
    answer({"id": 0, "ok": True, "state": "running", "pid": os.getpid()})
    try:
        _Loop(live, options.rate).run()
    finally:
        live.end()
    return 0


def exit_with(app: type[Live], rate: float) -> None:
    """The last line of an application's file."""
    sys.exit(main(app, rate))
