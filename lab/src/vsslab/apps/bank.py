# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bank in two database files: every transfer debits an account in one and credits an account in the other.

One transaction spans both files (SQLite, rollback journals and a super-journal: sqlite.org/atomiccommit.html,
"Multi-file Commit"), so the sum over both never changes, and a copy of the files taken one after the other does not
balance.  Between the two, in the order in which a folder is copied, lies the archive of monthly statements.
"""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any

from vsslab.apps.live import Live, exit_with

FIRST, SECOND = "Bank.Accounts.db", "Bank.Savings.db"
ACCOUNTS, OPENING, KEPT = 2000, 10_000, 1000  # accounts a file, cents in each at first, transfers remembered
ARCHIVE = 150  # statements of 20 KiB
THINKING = 0.002  # seconds between the two halves of a transfer
_SCHEMA = """
CREATE TABLE {0}.account (number INTEGER PRIMARY KEY, owner TEXT NOT NULL, cents INTEGER NOT NULL, note TEXT NOT NULL);
CREATE TABLE {0}.entry (slot INTEGER PRIMARY KEY, transfer INTEGER NOT NULL, account INTEGER NOT NULL, cents INTEGER);
CREATE TABLE {0}.state (id INTEGER PRIMARY KEY CHECK (id = 1), transfers INTEGER NOT NULL, cents INTEGER NOT NULL);
"""


def connect(folder: Path) -> sqlite3.Connection:
    """Open both files in one connection; transactions are explicit."""
    database = sqlite3.connect(folder / FIRST, isolation_level=None)
    database.execute("ATTACH DATABASE ? AS savings", (str(folder / SECOND),))
    for schema in ("main", "savings"):
        database.execute(f"PRAGMA {schema}.journal_mode = TRUNCATE")
        # Not OFF: SQLite then does without the super-journal, and a transaction can end in one file only.
        database.execute(f"PRAGMA {schema}.synchronous = NORMAL")
        # A small cache: halves of transactions reach the files, as they do in a database larger than memory.
        database.execute(f"PRAGMA {schema}.cache_size = 1")
    return database


class Bank(Live):
    """A bank whose books must balance over two database files."""

    def begin(self) -> None:
        fresh = not (self.folder / SECOND).exists()
        self._database = connect(self.folder)
        if fresh:
            self._found()
        self._transfers = int(self._database.execute("SELECT transfers FROM main.state").fetchone()[0])

    def _found(self) -> None:
        self._database.execute("BEGIN")
        for schema in ("main", "savings"):
            for statement in _SCHEMA.format(schema).split(";\n"):
                self._database.execute(statement)
            rows = [(n, f"Müller & Søn {n}", OPENING, "." * 200) for n in range(ACCOUNTS)]
            self._database.executemany(f"INSERT INTO {schema}.account VALUES (?, ?, ?, ?)", rows)  # noqa: S608
            self._database.execute(
                f"INSERT INTO {schema}.state VALUES (1, 0, ?)",  # noqa: S608
                (2 * ACCOUNTS * OPENING,),
            )
        self._database.execute("COMMIT")
        for month in range(ARCHIVE):
            name = f"Bank.Archive {2010 + month // 12}-{month % 12 + 1:02}.csv"
            (self.folder / name).write_bytes(self.dice.randbytes(10240).hex().encode())

    def write(self) -> None:
        debit, credit = self.dice.randrange(ACCOUNTS), self.dice.randrange(ACCOUNTS)
        cents = self.dice.choice((-1, 1)) * self.dice.randrange(1, 5000)
        number = self._transfers + 1
        self._database.execute("BEGIN IMMEDIATE")
        try:
            self._book("main", number, debit, -cents)
            time.sleep(THINKING)
            self._book("savings", number, credit, cents)
            self._database.execute("COMMIT")
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._transfers = number

    def _book(self, schema: str, transfer: int, account: int, cents: int) -> None:
        run = self._database.execute
        run(f"UPDATE {schema}.account SET cents = cents + ? WHERE number = ?", (cents, account))  # noqa: S608
        run(f"REPLACE INTO {schema}.entry VALUES (?, ?, ?, ?)", (transfer % KEPT, transfer, account, cents))  # noqa: S608
        run(f"UPDATE {schema}.state SET transfers = ?", (transfer,))  # noqa: S608

    def end(self) -> None:
        self._database.close()

    def figures(self) -> dict[str, Any]:
        return {"transfers": self._transfers}


if __name__ == "__main__":
    exit_with(Bank, 80.0)
