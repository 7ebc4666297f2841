# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The laboratory's end of a live application: start it, freeze and thaw it, stop it in its tracks, ask for figures."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import vsslab

_ANSWER = 10.0  # seconds an application may take to answer


class AppError(Exception):
    """An application did not do what it was asked for; one sentence."""


class App:
    """One live application, a child process.

    `kind` is a module of `vsslab.apps` (bank, ledger, mail, weblog) or the path of a program that obeys the same JSON
    lines; `folder` is the real folder of its data; `volumes` is whatever the owner wants to remember with it.
    All methods may be called from any thread.
    """

    def __init__(
        self,
        name: str,
        kind: str,
        folder: Path,
        *,
        volumes: Sequence[Any] = (),
        rate: float | None = None,
        seed: int = 1,
    ) -> None:
        self.name, self.kind, self.folder = name, kind, folder
        self.volumes: tuple[Any, ...] = tuple(volumes)
        self._rate, self._seed = rate, seed
        self._talk, self._state = threading.Lock(), threading.RLock()  # the pipe; the process and its holds
        self._held = 0
        self._numbers = itertools.count(1)
        self._process: subprocess.Popen[bytes] | None = None
        self._buffer = b""

    @property
    def pid(self) -> int:
        """The process id on the machine of the laboratory; 0 before the start and after the end."""
        return self._process.pid if self._process is not None and self._process.poll() is None else 0

    def launch(self) -> None:
        """Start the process without waiting for it; `ready` waits."""
        self._buffer, self._held = b"", 0
        program = [str(Path(self.kind))] if self.kind.endswith(".py") else ["-m", f"vsslab.apps.{self.kind}"]
        rate = [] if self._rate is None else ["--rate", str(self._rate)]
        # -S -s: the applications need the standard library only, and start in a fraction of the time.
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-s", *program, str(self.folder), "--seed", str(self._seed), *rate],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            env={
                "PATH": os.environ.get("PATH", ""),
                "PYTHONPATH": str(Path(vsslab.__file__).parent.parent),
                "PYTHONDONTWRITEBYTECODE": os.environ.get("PYTHONDONTWRITEBYTECODE", ""),
                "PYTHONUTF8": "1",
            },
        )

    def ready(self, timeout: float = 30.0) -> None:
        """Wait until the application has opened its data and writes."""
        with self._talk:
            self._answer(0, timeout)

    def start(self) -> None:
        """Start the application and wait until it writes."""
        self.launch()
        self.ready()

    def freeze(self, timeout: float = _ANSWER) -> None:
        """Finish the transaction, flush, write no more until `thaw`; AppError when it takes longer than `timeout` s."""
        self._ask("freeze", timeout)

    def thaw(self) -> None:
        """Go on writing."""
        self._ask("thaw")

    def stats(self) -> dict[str, Any]:
        """The application's own figures: writes, writes_per_second, longest_pause, pauses, state ..."""
        return {"name": self.name, "kind": self.kind, "pid": self.pid, **self._ask("stats")}

    def hold(self) -> None:
        """Stop the process wherever it is, in the middle of a write if need be; returns when it has stopped."""
        with self._state:
            self._held += 1
            process = self._process
            if self._held > 1 or process is None or process.poll() is not None:
                return
            process.send_signal(signal.SIGSTOP)
            end = time.monotonic() + _ANSWER
            # The signal is only asked for by kill(); the kernel says when the process stands still.
            while not _stopped(process.pid) and process.poll() is None:
                if time.monotonic() > end:
                    raise AppError(f"The application {self.name} does not stop.")
                time.sleep(0.0005)

    def release(self) -> None:
        """Undo one `hold`."""
        with self._state:
            self._held = max(0, self._held - 1)
            if self._held == 0 and self._process is not None and self._process.poll() is None:
                self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End the application; after a few seconds by force.  Harmless when it has ended already."""
        process = self._process
        if process is None:
            return
        with self._state:
            self._held = 0
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
            with contextlib.suppress(OSError):
                if process.stdin is not None:
                    process.stdin.close()
            try:
                process.wait(3.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()

    def kill(self) -> None:
        """End the process at once, as if somebody had ended it in the task manager."""
        with self._state:
            if self._process is not None:
                self._process.kill()
        self.stop()

    def _ask(self, command: str, timeout: float = _ANSWER) -> dict[str, Any]:
        with self._talk:
            process = self._process
            number = next(self._numbers)
            try:
                if process is None or process.stdin is None:
                    raise AppError(f"The application {self.name} was never started.")
                process.stdin.write(json.dumps({"id": number, "cmd": command}).encode() + b"\n")
            except (OSError, ValueError):
                raise AppError(f"The application {self.name} has ended.") from None
            answer = self._answer(number, timeout)
        if not answer.get("ok"):
            raise AppError(f"The application {self.name} refused {command}: {answer.get('error')}")
        return {key: value for key, value in answer.items() if key not in {"id", "ok"}}

    def _answer(self, number: int, timeout: float) -> dict[str, Any]:
        """The answer with this number; answers to questions nobody waits for any more are dropped."""
        if self._process is None or self._process.stdout is None or self._process.stdout.closed:
            raise AppError(f"The application {self.name} has ended.")
        handle, end = self._process.stdout.fileno(), time.monotonic() + timeout
        while True:
            while b"\n" in self._buffer:
                line, _, self._buffer = self._buffer.partition(b"\n")
                answer: dict[str, Any] = json.loads(line)
                if answer.get("id") == number:
                    return answer
            left = end - time.monotonic()
            if left <= 0 or not select.select([handle], [], [], left)[0]:
                raise AppError(f"The application {self.name} did not answer within {timeout:g} s.")
            chunk = os.read(handle, 65536)
            if not chunk:
                raise AppError(f"The application {self.name} has ended.")
            self._buffer += chunk


def _stopped(pid: int) -> bool:
    """True when the process stands still (state T of proc(5))."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            return stat.read().rpartition(b")")[2].split()[0] in {b"T", b"t", b"Z"}
    except OSError:
        return True
