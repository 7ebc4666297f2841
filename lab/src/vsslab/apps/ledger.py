# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An old application without a writer: one database file with a rollback journal; debit and credit always balance.

Nobody asks it to freeze.  A copy of one moment of its volume is like the disk after a power cut: it recovers.
"""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any

from vsslab.apps.live import Live, exit_with

FILE = "ledger.db"
ACCOUNTS, OPENING, KEPT = 3000, 5_000, 2000
THINKING = 0.003  # seconds between debit and credit
_SCHEMA = (
    "CREATE TABLE account (number INTEGER PRIMARY KEY, cents INTEGER NOT NULL, note TEXT NOT NULL)",
    "CREATE TABLE posting (slot INTEGER PRIMARY KEY, number INTEGER, debit INTEGER, credit INTEGER, cents INTEGER)",
    "CREATE TABLE state (id INTEGER PRIMARY KEY CHECK (id = 1), postings INTEGER NOT NULL, cents INTEGER NOT NULL)",
)


def connect(folder: Path) -> sqlite3.Connection:
    """Open the file; transactions are explicit."""
    database = sqlite3.connect(folder / FILE, isolation_level=None)
    database.execute("PRAGMA journal_mode = TRUNCATE")
    database.execute("PRAGMA cache_size = 1")  # half a transaction reaches the file, as with a large database
    database.execute("PRAGMA synchronous = OFF")  # the process may stop, but the power does not fail
    return database


class Ledger(Live):
    """A ledger in a single database file, with no writer to speak for it."""

    def begin(self) -> None:
        fresh = not (self.folder / FILE).exists()
        self._database = connect(self.folder)
        if fresh:
            self._database.execute("BEGIN")
            for statement in _SCHEMA:
                self._database.execute(statement)
            rows = [(number, OPENING, "." * 300) for number in range(ACCOUNTS)]
            self._database.executemany("INSERT INTO account VALUES (?, ?, ?)", rows)
            self._database.execute("INSERT INTO state VALUES (1, 0, ?)", (ACCOUNTS * OPENING,))
            self._database.execute("COMMIT")
        self._postings = int(self._database.execute("SELECT postings FROM state").fetchone()[0])

    def write(self) -> None:
        debit, credit = self.dice.sample(range(ACCOUNTS), 2)
        cents, number = self.dice.randrange(1, 2500), self._postings + 1
        run = self._database.execute
        run("BEGIN IMMEDIATE")
        try:
            run("UPDATE account SET cents = cents - ? WHERE number = ?", (cents, debit))
            time.sleep(THINKING)
            run("UPDATE account SET cents = cents + ? WHERE number = ?", (cents, credit))
            run("REPLACE INTO posting VALUES (?, ?, ?, ?, ?)", (number % KEPT, number, debit, credit, cents))
            run("UPDATE state SET postings = ?", (number,))
            run("COMMIT")
        except BaseException:
            run("ROLLBACK")
            raise
        self._postings = number

    def end(self) -> None:
        self._database.close()

    def figures(self) -> dict[str, Any]:
        return {"postings": self._postings}


if __name__ == "__main__":
    exit_with(Ledger, 80.0)
