# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One batch file as cmd.exe goes through it: lines, labels, arguments."""

from __future__ import annotations

import ntpath
import re
from collections.abc import Mapping

_PARAMETER = re.compile(r"%%|%\*|%(~[a-z]*)?(\d)|%([^%\s~*\d][^%]*)%", re.IGNORECASE)


class Flow(Exception):
    """`exit` or the end of a batch file: `code` None keeps the exit code, `whole` ends the interpreter."""

    def __init__(self, code: int | None, *, whole: bool = False) -> None:
        super().__init__(code)
        self.code = code
        self.whole = whole


class Batch:
    """The state of one batch file."""

    def __init__(self, path: str, arguments: list[str], lines: list[str]) -> None:
        self.path = path
        self.arguments = arguments
        self.echo = True
        self.saved: list[dict[str, str]] = []
        self._lines = lines
        self._at = 0

    def next(self) -> str | None:
        """The next line that is no label; None at the end."""
        while self._at < len(self._lines):
            line = self._lines[self._at]
            self._at += 1
            if not line.strip().startswith(":"):
                return line
        return None

    def jump(self, label: str) -> bool:
        """Go on behind a label; False when there is none."""
        for number, line in enumerate(self._lines):
            found = re.match(r"\s*:\s*([^\s:+]+)", line)
            if found and found[1].lower() == label:
                self._at = number + 1
                return True
        return False

    def expanded(self, text: str, known: Mapping[str, str]) -> str:
        """%NAME%, %1 ... %9, %0, %*, %~1, %~dp0 and %% replaced; what nobody set gives nothing."""

        def value(found: re.Match[str]) -> str:
            if found[0] == "%%":
                return "%"
            if found[0] == "%*":
                return " ".join(self.arguments)
            if found[2] is not None:
                return self._argument(int(found[2]), (found[1] or "").lower())
            return known.get(found[3].lower(), "")

        return _PARAMETER.sub(value, text)

    def _argument(self, number: int, modifiers: str) -> str:
        text = self.path if number == 0 else self.arguments[number - 1] if number <= len(self.arguments) else ""
        if not modifiers:
            return text
        plain = text.strip('"')
        if modifiers == "~" or not plain:
            return plain
        drive, rest = ntpath.splitdrive(plain)
        folder, name = ntpath.split(rest)
        stem, ending = ntpath.splitext(name)
        pieces = {"d": drive, "p": folder.rstrip("\\") + "\\", "n": stem, "x": ending, "f": plain}
        return "".join(pieces.get(each, "") for each in "fdpnx" if each in modifiers)
