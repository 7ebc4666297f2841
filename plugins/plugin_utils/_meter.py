# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Counts what an action costs on the wire."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any

__all__ = ["Counters", "Meter"]


@dataclass
class Counters:
    """What was sent and received.

    requests: HTTP requests that carried an operation; authentication: those that only authenticated (answered 401, or
    without a body); bytes_up, bytes_down: HTTP bodies of both kinds; pipelines, receives: of our own; seconds: by the
    wall clock. Not in it: the request with which the connection plugin closes its session once the task is over.
    """

    requests: int = 0
    authentication: int = 0
    bytes_up: int = 0
    bytes_down: int = 0
    pipelines: int = 0
    receives: int = 0
    seconds: float = 0.0

    def told(self) -> dict[str, Any]:
        """The counters as a task's result shows them."""
        return {**vars(self), "seconds": round(self.seconds, 3)}


class Meter:
    """Counts every HTTP request while it is entered.

    The connection plugins open their sessions by themselves, and both client libraries authenticate deep inside of
    `requests`; so the one place that sees every request of both is the adapter that sends them. It is replaced for the
    time of one action, in a process that does nothing else meanwhile, and put back whatever happens.
    """

    def __init__(self) -> None:
        self.counters = Counters()
        self._adapter: Any = None
        self._original: Callable[..., Any] | None = None
        self._began = 0.0

    def __enter__(self) -> Meter:
        self._began = time.monotonic()
        try:
            from requests.adapters import HTTPAdapter  # noqa: PLC0415 - comes with the connection's own library
        except ImportError:
            return self
        original = HTTPAdapter.send

        def send(adapter: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
            return self._send(original, adapter, request, *args, **kwargs)

        self._adapter, self._original = HTTPAdapter, original
        self._adapter.send = send
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._adapter is not None:
            self._adapter.send = self._original
            self._adapter = None
        self.counters.seconds = time.monotonic() - self._began

    def _send(self, original: Callable[..., Any], adapter: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        counters, body = self.counters, request.body or b""
        counters.bytes_up += len(body.encode() if isinstance(body, str) else body)
        answered = None
        try:
            answered = original(adapter, request, *args, **kwargs)
            self._count_body(answered.raw)
        finally:
            if not body or (answered is not None and answered.status_code == 401):
                counters.authentication += 1
            else:
                counters.requests += 1
        return answered

    def _count_body(self, raw: Any) -> None:
        """Count a body while it is read.

        It must not be read here: the authentication of both libraries looks at the socket below the answer, for the
        certificate that it binds the session to, and an answer that was read has let go of its socket.
        """
        stream = getattr(type(raw), "stream", None)
        if stream is None:
            return
        itself = weakref.ref(raw)  # a circle of references would keep the connection open

        def counted(*args: Any, **kwargs: Any) -> Any:
            for piece in stream(itself(), *args, **kwargs):
                self.counters.bytes_down += len(piece)
                yield piece

        raw.stream = counted
