# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""WQL, the query language of WMI: SELECT ... FROM ... WHERE ..., parsed and judged on plain dictionaries.

Source: "WQL (SQL for WMI)" and "Date and time format (DMTF)" (Windows documentation).
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Predicate = Callable[[Mapping[str, Any]], bool]
_TOKEN = re.compile(
    r"""\s*(?:(?P<string>'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")|(?P<number>-?(?:0[xX][0-9a-fA-F]+|\d+(?:\.\d+)?))"""
    r"""|(?P<operator><>|!=|<=|>=|=|<|>|\(|\)|,|\*)|(?P<word>[A-Za-z_][\w.]*))""",
    re.VERBOSE,
)
_DMTF = re.compile(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)\.(\d{6})([+-])(\d{3})")


class WqlError(ValueError):
    """The query is malformed, or uses a part of WQL that is not known here; the text says which."""


@dataclass(frozen=True)
class Query:
    """A parsed query: the class, the properties asked for (None: all of them) and the condition."""

    class_name: str
    properties: tuple[str, ...] | None
    matches: Predicate


def parse(text: str) -> Query:
    """The query in a text; WqlError when it is none."""
    return _Parser(text).query()


def parse_condition(text: str) -> Predicate:
    """A condition alone, as the -Filter of Get-CimInstance."""
    parser = _Parser(text)
    predicate = parser.either()
    parser.end()
    return predicate


def parse_dmtf(text: str) -> datetime.datetime | None:
    """The moment of yyyymmddHHMMSS.mmmmmm+UUU (minutes from UTC), None when the text is none."""
    found = _DMTF.fullmatch(text)
    if not found:
        return None
    *numbers, sign, minutes = found.groups()
    year, month, day, hour, minute, second, micro = (int(each) for each in numbers)
    offset = datetime.timedelta(minutes=int(sign + minutes))
    try:
        return datetime.datetime(year, month, day, hour, minute, second, micro, datetime.timezone(offset))
    except ValueError:
        return None


def to_dmtf(moment: datetime.datetime) -> str:
    """An aware moment as a DMTF datetime, with its own offset."""
    offset = moment.utcoffset() or datetime.timedelta()
    return f"{moment:%Y%m%d%H%M%S.%f}{int(offset.total_seconds() // 60):+04d}"


def _unescape(literal: str) -> str:
    return re.sub(r"\\(.)", r"\1", literal[1:-1], flags=re.DOTALL)


class _Parser:
    """Recursive descent: either = both (OR both)*, both = single (AND single)*."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[tuple[str, str]] = []
        at, stripped = 0, text.rstrip()
        while at < len(stripped):
            found = _TOKEN.match(stripped, at)
            if not found:
                raise WqlError(f"The query is malformed at {stripped[at:]!r}.")
            self._tokens.append((str(found.lastgroup), str(found[str(found.lastgroup)])))
            at = found.end()
        self._at = 0

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("end", "")

    def _next(self) -> tuple[str, str]:
        token = self._peek()
        self._at += 1
        return token

    def _keyword(self, *words: str) -> bool:
        kind, text = self._peek()
        if kind in {"word", "operator"} and text.upper() in words:
            self._at += 1
            return True
        return False

    def _expect(self, word: str) -> None:
        if not self._keyword(word):
            raise WqlError(f"The query is malformed: {word} is missing in {self._text!r}.")

    def _name(self) -> str:
        kind, text = self._next()
        if kind != "word":
            raise WqlError(f"The query is malformed: a name is missing in {self._text!r}.")
        return text

    def end(self) -> None:
        if self._at < len(self._tokens):
            raise WqlError(f"The query is malformed after its end: {self._peek()[1]!r}.")

    def query(self) -> Query:
        self._expect("SELECT")
        properties: tuple[str, ...] | None = None
        if not self._keyword("*"):
            names = [self._name()]
            while self._keyword(","):
                names.append(self._name())
            properties = tuple(names)
        self._expect("FROM")
        class_name = self._name()
        predicate: Predicate = lambda _instance: True  # noqa: E731 - the condition of a query without one
        if self._keyword("WHERE"):
            predicate = self.either()
        self.end()
        return Query(class_name, properties, predicate)

    def either(self) -> Predicate:
        parts = [self._both()]
        while self._keyword("OR"):
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else lambda instance: any(each(instance) for each in parts)

    def _both(self) -> Predicate:
        parts = [self._single()]
        while self._keyword("AND"):
            parts.append(self._single())
        return parts[0] if len(parts) == 1 else lambda instance: all(each(instance) for each in parts)

    def _single(self) -> Predicate:
        if self._keyword("NOT"):
            inner = self._single()
            return lambda instance: not inner(instance)
        if self._keyword("("):
            inner = self.either()
            self._expect(")")
            return inner
        if self._peek()[0] in {"string", "number"}:
            constant = self._constant()
            operator = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}
            sign = self._operator()
            return _compare(self._name(), operator.get(sign, sign), constant)
        name = self._name()
        if self._keyword("IS"):
            negated = self._keyword("NOT")
            self._expect("NULL")
            return _compare(name, "<>" if negated else "=", None)
        return _compare(name, self._operator(), self._constant())

    def _operator(self) -> str:
        _kind, text = self._next()
        if text.upper() not in {"=", "<>", "!=", "<", ">", "<=", ">=", "LIKE"}:
            raise WqlError(f"{text!r} is not an operator that this laboratory knows in WQL.")
        return text.upper()

    def _constant(self) -> Any:
        kind, text = self._next()
        if kind == "string":
            return _unescape(text)
        if kind == "number":
            return float(text) if "." in text else int(text, 0)
        words = {"TRUE": True, "FALSE": False, "NULL": None}
        if kind == "word" and text.upper() in words:
            return words[text.upper()]
        raise WqlError(f"The query is malformed: {text!r} is not a constant.")


def _property(instance: Mapping[str, Any], name: str) -> Any:
    wanted = name.lower()
    for each, value in instance.items():
        if each.lower() == wanted:
            return value
    raise WqlError(f"The class has no property {name!r}.")


def _compare(name: str, operator: str, constant: Any) -> Predicate:
    if operator == "LIKE":
        if not isinstance(constant, str):
            raise WqlError("LIKE compares with a text.")
        pattern = re.compile(_like(constant), re.IGNORECASE | re.DOTALL)
        return lambda instance: isinstance(v := _property(instance, name), str) and pattern.fullmatch(v) is not None

    def judge(instance: Mapping[str, Any]) -> bool:
        value = _property(instance, name)
        if operator in {"=", "<>", "!="}:
            return _equal(value, constant) is (operator == "=")
        if value is None or constant is None:
            return False
        left, right = _comparable(value, constant)
        return bool({"<": left < right, ">": left > right, "<=": left <= right, ">=": left >= right}[operator])

    return judge


def _equal(value: Any, constant: Any) -> bool:
    if value is None or constant is None:
        return value is constant
    try:
        left, right = _comparable(value, constant)
    except WqlError:
        return False
    return bool(left == right)


def _comparable(value: Any, constant: Any) -> tuple[Any, Any]:
    """Both sides as one type, led by the property: texts without case, moments, numbers, truth values."""
    if isinstance(value, datetime.datetime):
        moment = parse_dmtf(str(constant))
        if moment is None:
            raise WqlError(f"{constant!r} is not a DMTF datetime.")
        return value, moment
    if isinstance(value, bool):
        words = {"true": True, "false": False}
        return value, words.get(str(constant).lower(), constant)
    if isinstance(value, int):
        try:
            return value, constant if isinstance(constant, (int, float)) else int(str(constant), 0)
        except ValueError:
            raise WqlError(f"{constant!r} is not a number.") from None
    return str(value).casefold(), str(constant).casefold()


def _like(pattern: str) -> str:
    """% any text, _ one character, [a-z] and [^a-z] one of a set."""
    out, at = "", 0
    while at < len(pattern):
        char = pattern[at]
        closing = pattern.find("]", at + 1)
        if char == "[" and closing > at + 1:
            inner = pattern[at + 1 : closing].replace("\\", "\\\\")
            out += f"[{inner}]"
            at = closing + 1
            continue
        out += {"%": ".*", "_": "."}.get(char, re.escape(char))
        at += 1
    return out
