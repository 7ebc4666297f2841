# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A mail store: messages are files, an index names each with its SHA-256.

A message is written under a temporary name, entered into the index, then given its name; an old one is given a last
name, struck from the index, then deleted.  So whatever moment the store is cut off at, `recover` can finish or undo it;
files copied at different moments do not fit together.
"""

from __future__ import annotations

import hashlib
import sqlite3
from pathlib import Path
from typing import Any

from vsslab.apps.live import Live, exit_with

INDEX = "Mail.index.db"
STORE = "Postfächer"  # on purpose not ASCII
KEPT = 400  # messages kept at most
_ARRIVING, _LEAVING = ".arriving", ".leaving"


def connect(folder: Path) -> sqlite3.Connection:
    """Open the index; every statement is a transaction."""
    index = sqlite3.connect(folder / INDEX, isolation_level=None)
    index.execute("PRAGMA journal_mode = TRUNCATE")
    index.execute("PRAGMA synchronous = OFF")
    index.execute(
        "CREATE TABLE IF NOT EXISTS message (number INTEGER PRIMARY KEY, path TEXT UNIQUE, sha256 TEXT, size INT)"
    )
    return index


def recover(folder: Path, index: sqlite3.Connection) -> int:
    """Finish or undo what was under way when the store was cut off; returns how many messages that touched."""
    steps = 0
    for path in sorted((folder / STORE).rglob(f"*{_ARRIVING}")):
        final = path.with_name(path.name.removesuffix(_ARRIVING))
        known = index.execute("SELECT 1 FROM message WHERE path = ?", (_key(folder, final),)).fetchone()
        if known:
            path.rename(final)
        else:
            path.unlink()
        steps += 1
    for path in sorted((folder / STORE).rglob(f"*{_LEAVING}")):
        final = path.with_name(path.name.removesuffix(_LEAVING))
        index.execute("DELETE FROM message WHERE path = ?", (_key(folder, final),))
        path.unlink()
        steps += 1
    return steps


def _key(folder: Path, path: Path) -> str:
    return path.relative_to(folder).as_posix()


class Mail(Live):
    """A mail store whose index and message files must agree."""

    def begin(self) -> None:
        self._index = connect(self.folder)
        recover(self.folder, self._index)
        numbers = [int(row[0]) for row in self._index.execute("SELECT number FROM message ORDER BY number")]
        self._first, self._next = (numbers[0], numbers[-1] + 1) if numbers else (1, 1)
        while self._next - self._first < KEPT:
            self._arrive()

    def write(self) -> None:
        # Every other transaction removes: the store keeps its size.
        if self._next - self._first > KEPT:
            self._leave()
        else:
            self._arrive()

    def _path(self, number: int) -> Path:
        return self.folder / STORE / f"Benutzer {number % 7}" / f"{number // 500:04}" / f"Nachricht {number:08}.eml"

    def _arrive(self) -> None:
        path = self._path(self._next)
        path.parent.mkdir(parents=True, exist_ok=True)
        body = self.dice.randbytes(self.dice.randrange(200, 3000)).hex()
        text = f"Message-ID: <{self._next}@mail01>\r\nSubject: Grüße Nr. {self._next}\r\n\r\n{body}\r\n".encode()
        arriving = path.with_name(path.name + _ARRIVING)
        arriving.write_bytes(text)
        row = (self._next, _key(self.folder, path), hashlib.sha256(text).hexdigest(), len(text))
        self._index.execute("INSERT INTO message VALUES (?, ?, ?, ?)", row)
        arriving.rename(path)
        self._next += 1

    def _leave(self) -> None:
        path = self._path(self._first)
        leaving = path.with_name(path.name + _LEAVING)
        path.rename(leaving)
        self._index.execute("DELETE FROM message WHERE number = ?", (self._first,))
        leaving.unlink()
        self._first += 1

    def end(self) -> None:
        self._index.close()

    def figures(self) -> dict[str, Any]:
        return {"messages": self._next - self._first, "arrived": self._next - 1}


if __name__ == "__main__":
    exit_with(Mail, 40.0)
