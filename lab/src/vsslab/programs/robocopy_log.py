# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What robocopy says: header, lines, errors and summary, on standard output and into its log file."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..windows.errors import WinError
from ..windows.files import FileStat, FileSystem, Writer
from ..windows.host import Host
from .phrases import words
from .robocopy_options import Options, shown
from .robocopy_select import COPIED

_RULE = "-" * 78
# the largest units, and their decimals in the summary (captured logs: 64.0 k, 17.00 m, 70.633 g)
_UNITS = ((1 << 40, "t", 3), (1 << 30, "g", 3), (1 << 20, "m", 2), (1 << 10, "k", 1))
_GROUPED = 20348  # the build from which on the speed is told with separators (assumed; older logs have none)
KINDS = ("total", "copied", "skipped", "mismatch", "failed", "extras")


@dataclass
class Counts:
    """The summary: for dirs, files and bytes the six columns; seconds spent copying and on failures."""

    dirs: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    files: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    bytes: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    copying: float = 0.0
    failing: float = 0.0

    def file(self, kind: str, size: int) -> None:
        """Count one file of this size in a column."""
        self.files[kind] += 1
        self.bytes[kind] += size

    @property
    def exit_code(self) -> int:
        """The bit mask: 1 copied, 2 extras, 4 mismatches, 8 failures."""
        bits = {1: "copied", 2: "extras", 4: "mismatch", 8: "failed"}
        code = sum(bit for bit, kind in bits.items() if self.files[kind])
        return code | (2 if self.dirs["extras"] else 0) | (8 if self.dirs["failed"] else 0)


class Log:
    """Writes robocopy's lines in the host's language, to `out` and to the log file as the options say."""

    def __init__(self, host: Host, options: Options, out: Callable[[str], None]) -> None:
        self._host, self._options, self._out = host, options, out
        self.words: Any = words("robocopy", host.language.short)
        self._file: Writer | None = None
        self._encoding = "utf-16-le" if options.log_unicode or options.unicode else host.language.encoding

    def open(self, files: FileSystem) -> None:
        """Open the log file, if one was asked for; WinError when that fails."""
        options = self._options
        if options.log is None:
            return
        fresh = not (options.log_append and files.exists(options.log))
        self._file = files.writer(options.log, append=options.log_append)
        if fresh and options.log_unicode:
            self._file.write(b"\xff\xfe")
        self._out("")
        self._out(f"{self.words['log']}{options.log}")

    def close(self) -> None:
        """Close the log file."""
        if self._file is not None:
            with contextlib.suppress(WinError):
                self._file.close()
            self._file = None

    def line(self, text: str = "") -> None:
        """One line: into the log file when there is one, on standard output without one or with /TEE."""
        if self._file is not None:
            with contextlib.suppress(WinError):  # a full disk must not end the copying
                self._file.write((text + "\r\n").encode(self._encoding, "replace"))
        if self._file is None or self._options.tee:
            self._out(text)

    def _now(self) -> str:
        moment = self._host.clock.local(self._host.clock.now())
        table = self.words
        return str(table["longdate"]).format(
            day=table["days"][moment.weekday()],
            month=table["months"][moment.month - 1],
            d=moment.day,
            y=moment.year,
            time=self._host.language.local_time(moment),
        )

    def header(self, source: str, dest: str) -> None:
        """The job header; /NJH leaves it out."""
        if self._options.no_header:
            return
        table = self.words
        rule = "-" * 79
        title = f"   ROBOCOPY     ::     {table['title']:<58}"
        files = self._options.files or ["*.*"]
        indent = " " * len(table["files"])
        listed = [table["files"] + files[0], *(indent + each for each in files[1:])]
        sides = [table["started"] + self._now(), table["source"] + source, table["dest"] + dest]
        given = table["options"] + shown(self._options)
        for text in ("", rule, title, rule, "", *sides, "", *listed, "\t    ", given, "", _RULE, ""):
            self.line(text)

    def folder(self, kind: str, count: int, path: str) -> None:
        """A folder's line: its class, how many files it holds (-1 for an extra one), its path."""
        if not self._options.no_dir_list:
            name = "" if self._options.no_class else self.words["class"].get(kind, "")
            self.line(f"\t{'  ' + name:<14}{count:>6}\t{path}")

    def file(self, kind: str, info: FileStat, path: str, *, skipped: bool = False) -> None:
        """A file's line: class, size, time with /TS, name (or whole path with /FP); /NFL leaves it out.

        The class of what is skipped is in small letters, further to the right (documented since the resource kit).
        """
        options = self._options
        if options.no_file_list:
            return
        name = str(self.words["class"][kind])
        label = "" if options.no_class else f"{name.lower():>14}" if skipped else f"{'    ' + name:<14}"
        amount = "" if options.no_size else f"{self.size(info.length):>8}"
        stamp = f" {info.modified:%Y/%m/%d %H:%M:%S}" if options.time_stamps else ""
        self.line(f"\t{label}\t\t{amount}{stamp}\t{path if options.full_paths else info.name}")
        if not options.no_progress and not skipped and kind in COPIED and not options.list_only:
            self.line("100%  ")

    def size(self, size: int) -> str:
        """A size in bytes, or from a megabyte on in the largest unit without /BYTES."""
        if not self._options.in_bytes:
            for unit, letter, _ in _UNITS[:-1]:
                if size >= unit:
                    return f"{size / unit:.1f} {letter}"
        return str(size)

    def total(self, size: int) -> str:
        """A size in the summary."""
        if not self._options.in_bytes:
            for unit, letter, decimals in _UNITS:
                if size >= unit:
                    return f"{size / unit:.{decimals}f} {letter}"
        return str(size)

    def problem(self, code: int, doing: str, path: str) -> None:
        """An error: its line with date and numbers, and the system's message (the date's form is fixed)."""
        moment = self._host.clock.local(self._host.clock.now())
        number = code & 0xFFFFFFFF
        what = self.words["doing"][doing]
        self.line(f"{moment:%Y/%m/%d %H:%M:%S} {self.words['error']} {code} (0x{number:08X}) {what} {path}")
        self.line(WinError(code).localized(self._host.language.tag))

    def waiting(self, seconds: int) -> None:
        """Before another try."""
        self.line(str(self.words["waiting"]).format(seconds))

    def gave_up(self) -> None:
        """After the last try."""
        for text in ("", self.words["limit"], ""):
            self.line(text)

    def summary(self, counts: Counts, seconds: float) -> None:
        """The closing table: four rows, six columns; /NJS leaves it out."""
        if self._options.no_summary:
            return
        table = self.words
        for text in ("", _RULE, "", table["head"]):
            self.line(text)
        rows: tuple[tuple[str, dict[str, int], Callable[[int], str]], ...] = (
            ("dirs", counts.dirs, str), ("files", counts.files, str), ("bytes", counts.bytes, self.total))  # fmt: skip
        for name, values, text_of in rows:
            self.line(table["rows"][name] + "".join(f" {text_of(values[kind]):>9}" for kind in KINDS))
        times = [_time(counts.copying + counts.failing), _time(counts.copying), "", "", _time(counts.failing),
                 _time(max(0.0, seconds - counts.copying - counts.failing))]  # fmt: skip
        self.line(table["rows"]["times"] + "".join(f" {each:>9}" for each in times))
        self.line()
        if counts.bytes["copied"]:
            self.line()
            rate = counts.bytes["copied"] / max(counts.copying, 0.001)
            grouped, fraction = f"{rate:,.0f}", f"{rate * 60 / (1 << 20):,.3f}"
            if int(self._host.profile.build) < _GROUPED:
                grouped, fraction = grouped.replace(",", ""), fraction.replace(",", "")
            elif self._host.language.short != "en":
                fraction = fraction.replace(",", "\0").replace(".", ",").replace("\0", ".")
                grouped = grouped.replace(",", ".")
            for pattern in table["speed"]:
                self.line(pattern.format(grouped, fraction))
        self.line(table["ended"] + self._now())
        self.line()


def _time(seconds: float) -> str:
    whole = datetime.timedelta(seconds=int(seconds))
    minutes, rest = divmod(whole.seconds, 60)
    return f"{whole.days * 24 + minutes // 60}:{minutes % 60:02}:{rest:02}"
