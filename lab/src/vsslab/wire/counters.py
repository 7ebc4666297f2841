# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Counting what a client costs: requests, authentication and bytes, for each connection and for each host."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any


@dataclass
class SessionCounters:
    """What one TCP connection (or one host altogether) has carried.

    A request is an operation when a SOAP message in it was processed, also when a fault was the answer, else it is part
    of the authentication (401 and empty bodies).  Bytes are those of HTTP bodies as they were on the wire.
    """

    host: str
    user: str = ""
    client: str = ""
    operations: int = 0
    authentications: int = 0
    bytes_up: int = 0
    bytes_down: int = 0
    open: bool = False
    by_operation: dict[str, int] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic, repr=False)
    last: float = field(default_factory=time.monotonic, repr=False)

    @property
    def seconds(self) -> float:
        """From its beginning to its last request, or until now while it is open."""
        return max(0.0, (time.monotonic() if self.open else self.last) - self.began)

    def as_dict(self) -> dict[str, Any]:
        """The figures as plain data."""
        return {
            "host": self.host,
            "user": self.user,
            "client": self.client,
            "open": self.open,
            "operations": self.operations,
            "by_operation": dict(self.by_operation),
            "authentications": self.authentications,
            "bytes_up": self.bytes_up,
            "bytes_down": self.bytes_down,
            "seconds": round(self.seconds, 3),
        }

    def count(self, operation: str | None, up: int, down: int) -> None:
        """Add one request; without an operation it was part of the authentication."""
        if operation is None:
            self.authentications += 1
        else:
            self.operations += 1
            self.by_operation[operation] = self.by_operation.get(operation, 0) + 1
        self.bytes_up += up
        self.bytes_down += down
        self.last = time.monotonic()


class Counters:
    """All connections of a server, the last `keep` of them one by one, and totals for each host."""

    def __init__(self, keep: int = 10_000) -> None:
        self._sessions: deque[SessionCounters] = deque(maxlen=keep)
        self.totals: dict[str, SessionCounters] = {}

    def open(self, host: str, client: str) -> SessionCounters:
        """Counters for a new connection."""
        session = SessionCounters(host=host, client=client, open=True)
        self._sessions.append(session)
        return session

    def count(self, session: SessionCounters, operation: str | None, up: int, down: int) -> None:
        """Add one request to a connection and to its host."""
        session.count(operation, up, down)
        self.totals.setdefault(session.host, SessionCounters(host=session.host)).count(operation, up, down)

    @property
    def sessions(self) -> list[SessionCounters]:
        """The connections, oldest first."""
        return list(self._sessions)

    def clear(self) -> None:
        """Forget everything counted so far; open connections stay in the list, with zeros."""
        still_open = [session for session in self._sessions if session.open]
        self._sessions.clear()
        self._sessions.extend(still_open)
        for session in still_open:
            session.operations = session.authentications = session.bytes_up = session.bytes_down = 0
            session.by_operation.clear()
        self.totals.clear()
