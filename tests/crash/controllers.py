# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controllers as the tests see them: actions that are started, watched pipeline by pipeline, and killed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

_HERE = Path(__file__).resolve().parent
_LONGEST = 60.0  # seconds that an action may take, in real time

Pipeline = list[dict[str, Any]]


class Killed(Exception):
    """The controller died before it had a result."""


class Action:
    """One action under way."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._reading = end.makefile("r", encoding="utf-8")
        self.pid = 0
        self.said: list[str] = []

    def finish(self, watch: Callable[[Action, Pipeline], None] | None = None) -> dict[str, Any]:
        """The result, once it is there. `watch` sees each pipeline before it is sent. Raises Killed."""
        self._end.settimeout(_LONGEST)
        try:
            for line in self._reading:
                told = json.loads(line)
                if "pid" in told:
                    self.pid = told["pid"]
                elif "said" in told:
                    self.said.append(told["said"])
                elif "pipeline" in told:
                    if watch is not None:
                        watch(self, told["pipeline"])
                    with contextlib.suppress(OSError):  # it was killed meanwhile
                        self._end.sendall(b"go\n")
                elif "result" in told:
                    return dict(told["result"])
        except TimeoutError:
            self.kill()
            raise AssertionError(f"an action did not end within {_LONGEST:.0f} s") from None
        except ConnectionError:
            pass
        finally:
            self._reading.close()
            self._end.close()
        raise Killed

    def kill(self) -> None:
        """Kill the controller: it says no goodbye to anybody."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)


class Controllers:
    """Starts actions of these modules; see driver.py."""

    def __init__(self, modules: Iterable[str]) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            call = [sys.executable, str(_HERE / "driver.py"), ",".join(modules), str(theirs.fileno())]
            self._process = subprocess.Popen(call, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        self._orders, self._lock = ours, threading.Lock()
        if ours.recv(16) != b"ready\n":
            raise RuntimeError("the driver did not start")

    def start(self, **order: Any) -> Action:
        """Start an action; `order` as driver.py says."""
        mine, its = socket.socketpair()
        with its, self._lock:
            socket.send_fds(self._orders, [json.dumps(order).encode()], [its.fileno()])
        return Action(mine)

    def close(self) -> None:
        """End the driver, and with it everything that still runs."""
        self._orders.close()
        self._process.wait(10)


@contextlib.contextmanager
def controllers(modules: Iterable[str]) -> Iterator[Controllers]:
    """A driver, for as long as it is needed."""
    made = Controllers(modules)
    try:
        yield made
    finally:
        made.close()
