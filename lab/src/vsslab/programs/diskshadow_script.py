# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How diskshadow reads a script: lines, words, variables."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

_VARIABLE = re.compile(r"%([^%\s]+)%")
_WORD = re.compile(r'"([^"]*)"|(\S+)')


def lines_of(data: bytes, encoding: str = "cp1252") -> list[str]:
    """The lines of a script file.

    A line ends in CR LF.  Where that is a bare LF, or the last line has no end, the last character of the line is lost:
    public reports of scripts written on other systems (`end backu`), and why people pad their lines.
    """
    text = data.decode(encoding, errors="replace")
    lines = []
    while text:
        line, separator, text = text.partition("\n")
        lines.append(line[:-1] if line else "")
        if not separator:
            break
    return lines


def expand(line: str, value_of: Callable[[str], str | None]) -> tuple[str, list[str]]:
    """`line` with %names% replaced, and the names of those that were; unknown ones stay as written."""
    used: list[str] = []

    def value(found: re.Match[str]) -> str:
        known = value_of(found[1])
        if known is None:
            return found[0]
        if found[1] not in used:
            used.append(found[1])
        return known

    return _VARIABLE.sub(value, line), used


@dataclass(frozen=True)
class Line:
    """One command: its words, quotes taken off, and the text behind the first n words as written."""

    text: str
    words: tuple[str, ...]
    starts: tuple[int, ...]

    @property
    def keywords(self) -> tuple[str, ...]:
        """The words in lower case."""
        return tuple(word.lower() for word in self.words)

    def after(self, count: int) -> str:
        """The text behind the first `count` words, outer quotes taken off."""
        if len(self.words) <= count:
            return ""
        rest = self.text[self.starts[count] :].strip()
        quoted = len(rest) >= 2 and rest[0] == rest[-1] == '"' and '"' not in rest[1:-1]
        return rest[1:-1] if quoted else rest


def parse(text: str) -> Line:
    """Split a command into words at blanks; double quotes keep words together."""
    found = list(_WORD.finditer(text))
    words = tuple(each[1] if each[1] is not None else each[2] for each in found)
    return Line(text, words, tuple(each.start() for each in found))


def is_comment(text: str) -> bool:
    """True for empty lines and comments (`#`; `//` is in a Microsoft sample)."""
    stripped = text.strip()
    return not stripped or stripped.startswith(("#", "//"))
