# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Regular expressions of .NET, as clients and roles write them, for Python's engine.

Source: "Regular Expression Language - Quick Reference" (.NET).  What Python has no like of is refused by the caller.
"""

from __future__ import annotations

import functools
import re

_LETTER = r"[^\W\d_]"
_CATEGORIES = {"L": _LETTER, "Lu": r"(?-i:[A-Z\u00c0-\u00d6\u00d8-\u00de])",
               "Ll": r"(?-i:[a-z\u00df-\u00f6\u00f8-\u00ff])", "N": r"\d", "Nd": r"\d"}  # fmt: skip
_CATEGORY = re.compile(r"p\{(\w+)\}")
_NAMED = re.compile(r"\(\?(?:<([A-Za-z_]\w*)>|'([A-Za-z_]\w*)')")

NOTHING = re.compile(r"(?!)")  # matches no text


class BadExpression(ValueError):
    """No regular expression, or one that .NET knows and the laboratory does not (`unsupported` names the part)."""

    def __init__(self, pattern: str, unsupported: str | None = None) -> None:
        super().__init__(pattern)
        self.unsupported = unsupported


def _escape(pattern: str, at: int, *, in_set: bool) -> tuple[str, int]:
    """What the escape at a backslash becomes, and where the rest begins."""
    following = pattern[at + 1 : at + 2]
    if following in {"z", "Z"} and not in_set:
        return (r"\Z" if following == "z" else r"(?=\n?\Z)"), at + 2
    if following in {"e", "G", "P"} or (following == "p" and in_set):
        raise BadExpression(pattern, f"\\{following}")
    if following == "p":
        found = _CATEGORY.match(pattern, at + 1)
        if found is None or found[1] not in _CATEGORIES:
            raise BadExpression(pattern, pattern[at : at + 8])
        return _CATEGORIES[found[1]], found.end()
    if following == "k" and not in_set and (named := re.compile(r"<(\w+)>").match(pattern, at + 2)):
        return f"(?P={named[1]})", named.end()
    return pattern[at : at + 2], at + 2


def translated(pattern: str) -> str:
    """The same expression in Python's spelling; BadExpression for what it cannot say."""
    out: list[str] = []
    at, in_set = 0, False
    while at < len(pattern):
        char = pattern[at]
        if char == "\\":
            part, at = _escape(pattern, at, in_set=in_set)
            out.append(part)
            continue
        named = _NAMED.match(pattern, at) if char == "(" and not in_set else None
        if named is not None:
            out.append(f"(?P<{named[1] or named[2]}>")
            at = named.end()
            continue
        if in_set and (char in "[&~|" or (char == "-" and pattern[at - 1] == "-")):
            out.append("\\")  # Python warns of sets in sets, .NET takes the character as it is
        elif char in "[]":
            in_set = char == "[" or (in_set and pattern[at - 1] == "[")
        out.append(char)
        at += 1
    return "".join(out)


@functools.lru_cache(maxsize=256)
def expression(pattern: str, *, case: bool = False) -> re.Pattern[str]:
    """A .NET expression, case aside unless `case`; BadExpression when it is none."""
    try:
        return re.compile(translated(pattern), 0 if case else re.IGNORECASE)
    except re.error as problem:
        raise BadExpression(pattern) from problem
