# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A web server's log: lines are only ever appended, each with a running number and a checksum.

Such a file survives any way of copying: the copy ends somewhere, and that is all.
"""

from __future__ import annotations

import errno
import os
import zlib
from pathlib import Path
from typing import Any

from vsslab.apps.live import Live, exit_with

LINES, FILES = 5000, 6  # lines a file, files kept
_PAGES = ("/", "/prix/été.html", "/images/logo.png", "/api/commande", "/contact")


def parse(line: bytes) -> int | None:
    """The running number of a whole line (without its line end), None when the line is not whole."""
    text, _, checksum = line.rpartition(b" ")
    if not text or checksum != b"%08x" % zlib.crc32(text):
        return None
    return int(text.split(b" ", 1)[0])


def name(number: int) -> str:
    """The name of the file that holds this line."""
    return f"u_ex{(number - 1) // LINES:06}.log"


class WebLog(Live):
    """A web server's log, append-only, numbered and checksummed."""

    def begin(self) -> None:
        files = sorted(self.folder.glob("u_ex*.log"))
        self._number = self._cut(files[-1]) if files else 0
        self._handle, self._name = -1, ""
        self.write()

    def _cut(self, path: Path) -> int:
        """Cut a half line off the end, as after a power cut; returns the last number written."""
        whole, _, _ = path.read_bytes().rpartition(b"\r\n")
        path.write_bytes(whole + b"\r\n" if whole else b"")
        last = parse(whole.rpartition(b"\r\n")[2]) if whole else None
        return last if last is not None else LINES * int(path.stem[4:])

    def write(self) -> None:
        number = self._number + 1
        if name(number) != self._name:
            self._rotate(number)
        page = self.dice.choice(_PAGES)
        text = f"{number:010} GET {page} 443 - 198.51.100.{self.dice.randrange(256)} 200 {self.dice.randrange(900)}"
        line = text.encode()
        self._append(b"%b %08x\r\n" % (line, zlib.crc32(line)))
        self._number = number

    def _append(self, line: bytes) -> None:
        end = os.fstat(self._handle).st_size
        if os.write(self._handle, line) < len(line):  # the disk is full: no half line in the middle of the log
            os.ftruncate(self._handle, end)
            raise OSError(errno.ENOSPC, "The line did not fit.")

    def _rotate(self, number: int) -> None:
        self.end()
        self._name = name(number)
        self._handle = os.open(self.folder / self._name, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        for old in sorted(self.folder.glob("u_ex*.log"))[:-FILES]:
            old.unlink()

    def end(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def figures(self) -> dict[str, Any]:
        return {"lines": self._number}


if __name__ == "__main__":
    exit_with(WebLog, 80.0)
