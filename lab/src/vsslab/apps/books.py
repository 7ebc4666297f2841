# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a copy of an application's folder is whole: open it as the application would after a power cut, and count.

Only a copy of the copy is opened, in a temporary folder: looking changes nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import sqlite3
import struct
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vsslab.apps import bank, ledger, mail, weblog

_JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")  # sqlite.org/fileformat2.html, "The Rollback Journal"


@dataclass(frozen=True)
class Books:
    """The verdict on one folder: `ok`, one sentence, and figures (`recovered`: transactions finished or undone)."""

    ok: bool
    detail: str
    figures: dict[str, Any] = field(default_factory=dict)


class _Torn(Exception):
    """The books do not balance; the text says why."""


def check(kind: str, folder: Path) -> Books:
    """Judge a copy of the data folder of an application of this kind (bank, ledger, mail, weblog).

    Never raises for what it finds in the folder; KeyError for an unknown kind.
    """
    judge, patterns = KINDS[kind]
    if not folder.is_dir():
        return Books(False, f"There is no folder {folder}.")
    figures: dict[str, Any] = {"recovered": 0}
    with tempfile.TemporaryDirectory(prefix="books-") as place:
        copy = Path(place) / "copy"
        try:
            _copy(folder, copy, patterns)
            detail = judge(copy, figures)
        except _Torn as torn:
            return Books(False, str(torn), figures)
        except (sqlite3.DatabaseError, OSError, UnicodeError, ValueError, TypeError) as error:
            return Books(False, f"The copy cannot be opened: {error}.", figures)
    return Books(True, detail, figures)


def _copy(folder: Path, copy: Path, patterns: tuple[str, ...]) -> None:
    """Copy the files that matter, writable whatever the originals are."""
    copy.mkdir()
    for pattern in patterns:
        for path in folder.glob(pattern):
            target = copy / path.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)


def _settle_journals(folder: Path) -> int:
    """Make journals independent of the folder they were written in; returns how many transactions that leaves open.

    A journal of a transaction over several files names its super-journal by full path: the transaction is undone while
    that file exists, and counts as committed when it does not (sqlite.org/atomiccommit.html, 5.0).  In a copy the
    super-journal is the one that was copied along.
    """
    open_transactions = 0
    for journal in sorted(folder.glob("*-journal")):
        content = journal.read_bytes()
        if not content.startswith(_JOURNAL_MAGIC):
            continue
        name, length = _super_journal(content)
        if name and not (folder / name).exists():
            journal.unlink()
            continue
        open_transactions += 1
        if name:
            journal.write_bytes(content[:length])
    for super_journal in folder.glob("*-mj*"):
        super_journal.unlink()
    return open_transactions


def _super_journal(journal: bytes) -> tuple[str, int]:
    """The file name of the super-journal a journal ends with, and the journal's length without that record.

    The record: page number (4 bytes), name, length of the name, checksum over it (4 each), magic.
    """
    if len(journal) < 16 or not journal.endswith(_JOURNAL_MAGIC):
        return "", len(journal)
    size, checksum = struct.unpack(">II", journal[-16:-8])
    name = journal[-16 - size : -16]
    # The checksum adds the bytes as C's signed char does.
    total = sum(byte - 256 if byte > 127 else byte for byte in name) & 0xFFFFFFFF
    if not size or len(name) != size or total != checksum:
        return "", len(journal)
    return name.decode("utf-8", "replace").rpartition("/")[2], len(journal) - 20 - size


def _need(condition: bool, sentence: str) -> None:
    if not condition:
        raise _Torn(sentence)


def _intact(database: sqlite3.Connection, schema: str = "main") -> None:
    verdict = database.execute(f"PRAGMA {schema}.integrity_check(1)").fetchone()[0]
    _need(verdict == "ok", f"The database is damaged: {verdict}.")


def _bank(folder: Path, figures: dict[str, Any]) -> str:
    _need((folder / bank.FIRST).exists() and (folder / bank.SECOND).exists(), "A file of the bank is missing.")
    figures["recovered"] = 1 if _settle_journals(folder) else 0
    with contextlib.closing(bank.connect(folder)) as database:
        for schema in ("main", "savings"):
            _intact(database, schema)
        rows = [
            database.execute(
                f"SELECT transfers, s.cents, (SELECT sum(cents) FROM {schema}.account) FROM {schema}.state s"  # noqa: S608
            ).fetchone()
            for schema in ("main", "savings")
        ]
        odd = database.execute(
            "SELECT count(*) FROM main.entry a LEFT JOIN savings.entry b USING (slot)"
            " WHERE b.transfer IS NOT a.transfer OR b.cents IS NOT -a.cents"
        ).fetchone()[0]
    (first, owed, here), (second, _, there) = rows
    figures.update(transfers=first, cents=here + there, owed=owed, apart=second - first)
    _need(here + there == owed, f"The bank is out of balance by {here + there - owed} cents.")
    _need(first == second, f"The two files are {abs(second - first)} transfers apart.")
    _need(odd == 0, f"{odd} transfers are booked on one side only.")
    return f"The bank balances after {first} transfers."


def _ledger(folder: Path, figures: dict[str, Any]) -> str:
    _need((folder / ledger.FILE).exists(), "The ledger's file is missing.")
    figures["recovered"] = 1 if _settle_journals(folder) else 0
    with contextlib.closing(ledger.connect(folder)) as database:
        _intact(database)
        row = database.execute("SELECT postings, cents, (SELECT sum(cents) FROM account) FROM state").fetchone()
        last = database.execute("SELECT coalesce(max(number), 0) FROM posting").fetchone()[0]
    postings, owed, cents = row
    figures.update(postings=postings, cents=cents, owed=owed)
    _need(cents == owed, f"The ledger is out of balance by {cents - owed} cents.")
    _need(last == postings, f"The last posting is {last}, the ledger's head says {postings}.")
    return f"The ledger balances after {postings} postings."


def _mail(folder: Path, figures: dict[str, Any]) -> str:
    _need((folder / mail.INDEX).exists(), "The index of the mail store is missing.")
    recovered = _settle_journals(folder)
    with contextlib.closing(mail.connect(folder)) as index:
        _intact(index)
        recovered += mail.recover(folder, index)
        known = {row[0]: row[1] for row in index.execute("SELECT path, sha256 FROM message")}
    found = {path.relative_to(folder).as_posix(): path for path in (folder / mail.STORE).rglob("*.eml")}
    missing, strange = known.keys() - found.keys(), found.keys() - known.keys()
    changed = [p for p in known.keys() & found.keys() if hashlib.sha256(found[p].read_bytes()).hexdigest() != known[p]]
    figures.update(
        recovered=recovered, messages=len(known), missing=len(missing), strange=len(strange), changed=len(changed)
    )
    _need(bool(known), "The index names no message.")
    _need(not missing, f"{len(missing)} messages of the index have no file.")
    _need(not strange, f"{len(strange)} message files are not in the index.")
    _need(not changed, f"{len(changed)} messages differ from their checksum.")
    return f"All {len(known)} messages are there and agree with the index."


def _weblog(folder: Path, figures: dict[str, Any]) -> str:
    files = sorted(folder.glob("u_ex*.log"))
    _need(bool(files), "There is no log file.")
    previous: int | None = None
    count = 0
    for path in files:
        *lines, rest = path.read_bytes().split(b"\r\n")
        _need(not rest or path == files[-1], f"{path.name} ends in a half line, and it is not the last file.")
        figures["recovered"] += 1 if rest else 0
        for line in lines:
            number = weblog.parse(line)
            _need(number is not None, f"A line of {path.name} after number {previous} is damaged.")
            _need(previous is None or number == previous + 1, f"After line {previous} follows {number}.")
            previous, count = number, count + 1
    figures.update(lines=count, last=previous or 0)
    return f"{count} lines follow each other without a gap."


# How each kind is judged, and the files that are looked at.
KINDS: dict[str, tuple[Callable[[Path, dict[str, Any]], str], tuple[str, ...]]] = {
    "bank": (_bank, ("*.db*",)),
    "ledger": (_ledger, ("*.db*",)),
    "mail": (_mail, ("*.db*", f"{mail.STORE}/**/*.eml*")),
    "weblog": (_weblog, ("*.log",)),
}
