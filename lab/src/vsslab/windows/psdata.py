# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PowerShell data files (.psrc, .pssc): one hashtable of literals, read and written.

Source: about_Data_Sections, about_Quoting_Rules, about_Hash_Tables.  Expressions other than literals, lists, nested
hashtables and $true, $false, $null are refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_TOKEN = re.compile(
    r"(?P<space>[ \t\ufeff]+|\#[^\r\n]*|<\#.*?\#>|`\r?\n)|(?P<line>[\r\n;]+)"
    r"|(?P<single>'(?:[^']|'')*')|(?P<double>\"(?:[^\"`$]|\"\"|`.)*\")"
    r"|(?P<mark>@\{|@\(|[{}(),=])|(?P<variable>\$(?:true|false|null)\b)|(?P<number>-?\d+(?:\.\d+)?(?![\w.]))"
    r"|(?P<name>[A-Za-z_]\w*)",
    re.DOTALL | re.IGNORECASE,
)
_VARIABLES = {"$true": True, "$false": False, "$null": None}


class DataFileError(ValueError):
    """The text is no data file; one sentence."""


def _tokens(text: str) -> list[tuple[str, str]]:
    out, position = [], 0
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:
            line = text.count("\n", 0, position) + 1
            raise DataFileError(
                f"line {line}: this is not the literal of a data file: {text[position : position + 20]!r}."
            )
        position = found.end()
        if found.lastgroup != "space":
            out.append((str(found.lastgroup), found[0]))
    return out


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = [*_tokens(text), ("end", "")]
        self._at = 0

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at]

    def _next(self) -> tuple[str, str]:
        self._at += 1
        return self._tokens[self._at - 1]

    def _lines(self) -> None:
        while self._peek()[0] == "line":
            self._at += 1

    def _expect(self, mark: str) -> None:
        kind, text = self._next()
        if text != mark:
            raise DataFileError(f"{mark!r} is expected, not {text or 'the end of the text'!r}.") from None
        del kind

    def file(self) -> dict[str, Any]:
        self._lines()
        self._expect("@{")
        table = self._table()
        self._lines()
        if self._peek()[0] != "end":
            raise DataFileError(f"nothing may follow the hashtable, but {self._peek()[1]!r} does.")
        return table

    def _table(self) -> dict[str, Any]:
        table: dict[str, Any] = {}
        while True:
            self._lines()
            kind, text = self._next()
            if text == "}" and kind == "mark":
                return table
            if kind not in {"name", "single", "double"}:
                raise DataFileError(f"a key is expected, not {text or 'the end of the text'!r}.")
            key = text if kind == "name" else _unquoted(kind, text)
            if any(each.lower() == key.lower() for each in table):
                raise DataFileError(f"the key {key!r} is given twice.")
            self._expect("=")
            self._lines()
            table[key] = self._value()

    def _value(self) -> Any:
        """One value, or several joined by commas."""
        first = self._single()
        if self._peek()[1] != ",":
            return first
        values = [first]
        while self._peek()[1] == ",":
            self._at += 1
            self._lines()
            values.append(self._single())
        return values

    def _single(self) -> Any:
        kind, text = self._next()
        if kind in {"single", "double"}:
            return _unquoted(kind, text)
        if kind == "variable":
            return _VARIABLES[text.lower()]
        if kind == "number":
            return float(text) if "." in text else int(text)
        if text == "@{":
            return self._table()
        if text == "@(":
            return self._list()
        raise DataFileError(f"a value is expected, not {text or 'the end of the text'!r}.")

    def _list(self) -> list[Any]:
        self._lines()
        values: list[Any] = []
        while self._peek()[1] != ")":
            value = self._value()
            values += value if isinstance(value, list) else [value]
            self._lines()
            if self._peek()[0] == "end":
                raise DataFileError("a list is not closed.")
        self._at += 1
        return values


_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "0": "\0"}


def _unquoted(kind: str, text: str) -> str:
    inner = text[1:-1]
    if kind == "single":
        return inner.replace("''", "'")
    return re.sub(r"`(.)", lambda found: _ESCAPES.get(found[1], found[1]), inner.replace('""', '"'))


def parse(text: str) -> dict[str, Any]:
    """The hashtable of a data file: texts, numbers, True, False, None, lists, dicts. DataFileError when it is none."""
    return _Parser(text).file()


def literal(value: Any, indent: int = 0) -> str:
    """A value as a literal of PowerShell; texts in single quotes."""
    if value is None or isinstance(value, bool):
        return {None: "$null", True: "$true", False: "$false"}[value]
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, Mapping):
        pad = "    " * (indent + 1)
        lines = [f"{pad}'{name}' = {literal(each, indent + 1)}" for name, each in value.items()]
        return "@{\r\n" + "\r\n".join(lines) + "\r\n" + "    " * indent + "}"
    if isinstance(value, (list, tuple)):
        return ", ".join(literal(each, indent) for each in value) or "@()"
    return "'" + str(value).replace("'", "''") + "'"
