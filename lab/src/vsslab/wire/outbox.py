# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Output on its way to a client: filled by any thread, fetched by Receives, lost by nobody."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from vsslab.wire.fragments import HEADER, fragment

_ELEMENT = 130  # characters of one rsp:Stream element beside its text
_SMALLEST = HEADER + 1


class Item(Protocol):
    """Something to be sent in one or several chunks."""

    stream: str

    def __len__(self) -> int:
        """Bytes left."""

    def cut(self, room: int) -> bytes:
        """The next chunk, at most `room` bytes long (room is at least 22)."""

    def rewind(self) -> None:
        """Begin again for a new client."""


@dataclass
class Text:
    """Plain output of a program, cut anywhere."""

    stream: str
    data: bytes

    def __len__(self) -> int:
        return len(self.data)

    def cut(self, room: int) -> bytes:
        """Take up to `room` bytes."""
        part, self.data = self.data[:room], self.data[room:]
        return part

    def rewind(self) -> None:
        """What was taken is gone: text has no beginning that a new client would need."""


@dataclass
class PsrpMessage:
    """One PSRP message, cut into fragments only when it is fetched, so that they fit the client's envelope."""

    object_id: int
    data: bytes
    largest: int
    stream: str = "stdout"
    _at: int = 0
    _fragments: int = 0

    def __len__(self) -> int:
        return len(self.data) - self._at

    def cut(self, room: int) -> bytes:
        """Take one fragment."""
        size = min(room, self.largest) - HEADER
        part = self.data[self._at : self._at + size]
        self._at += len(part)
        self._fragments += 1
        return fragment(self.object_id, self._fragments - 1, part, end=self._at == len(self.data))

    def rewind(self) -> None:
        """Begin again: a new client has none of the fragments that were taken."""
        self._at = self._fragments = 0


@dataclass(frozen=True)
class Chunk:
    """One rsp:Stream element's stream and bytes."""

    stream: str
    data: bytes

    @property
    def cost(self) -> int:
        """Characters it takes in an envelope."""
        return (len(self.data) + 2) // 3 * 4 + _ELEMENT


@dataclass(frozen=True)
class Batch:
    """The content of one Receive answer; `done` when nothing follows."""

    chunks: list[Chunk] = field(default_factory=list)
    done: bool = False
    exit_code: int = 0


class Outbox:
    """The output of one shell or command.

    Writers call put(), seal_group() and finish() from any thread; the event loop asks ready_in() and take().  What was
    taken but could not be delivered goes back with restore() and is the first to be taken again.  While `dropping`
    (buffer mode Drop of a disconnected shell) a full backlog loses its oldest items instead of stopping the writer.
    """

    def __init__(self, backlog: int) -> None:
        self._backlog = backlog
        self._room = threading.Condition()
        self._items: deque[Item | None] = deque()  # None ends a group: a Receive does not reach beyond it
        self._returned: deque[Chunk] = deque()
        self._size = 0
        self._since: float | None = None
        self._closed = False
        self._done_taken = False
        self._aborted = False
        self.dropping = False
        self.exit_code = 0
        self.on_change: Callable[[], None] = lambda: None

    def put(self, item: Item, stop: threading.Event | None = None) -> None:
        """Add output; waits while the backlog is full, until there is room or `stop` is set."""
        with self._room:
            while stop is not None and self._size >= self._backlog and not stop.is_set() and not self._closed:
                if self.dropping:
                    self._drop_oldest()
                else:
                    self._room.wait(0.1)
            if self._closed:
                return
            self._items.append(item)
            self._size += len(item)
            first = self._since is None
            if first:
                self._since = time.monotonic()
        if first:
            self.on_change()

    def _drop_oldest(self) -> None:
        while self._items and self._size >= self._backlog:
            item = self._items.popleft()
            self._size -= len(item) if item is not None else 0

    def rewind(self) -> None:
        """Make ready for another client: a message that was fetched in part, or did not arrive, begins again."""
        with self._room:
            if self._returned:
                self._returned.clear()
            if self._items and self._items[0] is not None:
                before = len(self._items[0])
                self._items[0].rewind()
                self._size += len(self._items[0]) - before

    def seal_group(self) -> None:
        """What was put so far is answered at once and by itself."""
        with self._room:
            self._items.append(None)
        self.on_change()

    def finish(self, exit_code: int = 0) -> None:
        """Nothing follows; later output is dropped."""
        with self._room:
            self.exit_code, self._closed = exit_code, True
            self._room.notify_all()
        self.on_change()

    def abort(self) -> None:
        """The shell or command is gone: whoever still waits for its output gets a fault, writers go on."""
        self._aborted = True
        self.finish(self.exit_code)

    @property
    def aborted(self) -> bool:
        """True after abort()."""
        return self._aborted

    @property
    def finished(self) -> bool:
        """True after finish()."""
        return self._closed

    @property
    def full(self) -> bool:
        """True while the backlog is; put() without `stop` adds to it all the same."""
        return self._size >= self._backlog

    @property
    def drained(self) -> bool:
        """True when the client has fetched everything, the end included."""
        return self._done_taken

    def ready_in(self, coalesce: float) -> float | None:
        """Seconds until a Receive should be answered: 0 is now, None means that there is nothing yet."""
        with self._room:
            if self._closed or self._returned or None in self._items:
                return 0.0
            if self._since is None:
                return None
            return max(0.0, self._since + coalesce - time.monotonic())

    def take(self, room: int) -> Batch:
        """What fits into `room` characters of an envelope, at least one chunk when there is any."""
        chunks: list[Chunk] = []
        with self._room:
            ended = self._take_returned(chunks, room)
            while not ended and self._items:
                item = self._items[0]
                if item is None:
                    self._items.popleft()
                    break
                left = (room - sum(each.cost for each in chunks) - _ELEMENT) // 4 * 3
                if left < _SMALLEST and chunks:
                    break
                before = len(item)
                chunks.append(Chunk(item.stream, item.cut(max(left, _SMALLEST))))
                self._size -= before - len(item)
                if not len(item):
                    self._items.popleft()
            if not self._items and not self._returned:
                self._since = None
            done = self._closed and not self._items and not self._returned
            self._done_taken = done
            self._room.notify_all()
        return Batch(chunks, done, self.exit_code)

    def _take_returned(self, chunks: list[Chunk], room: int) -> bool:
        """Take chunks that came back, which then are a batch of their own; True when there were any."""
        used = 0
        while self._returned and (not chunks or used + self._returned[0].cost <= room):
            chunks.append(self._returned.popleft())
            used += chunks[-1].cost
        return bool(chunks)

    def restore(self, batch: Batch) -> None:
        """A batch did not reach the client: it will be taken again, before everything else."""
        with self._room:
            self._returned.extendleft(reversed(batch.chunks))
            self._done_taken = False
        self.on_change()
