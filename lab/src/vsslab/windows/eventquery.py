# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of XPath 1.0 that the event log's queries use: *[System[...]] with conditions on an event's header.

Source: "Consuming Events" and "XPath 1.0 limitations" (Windows Event Log documentation).  What the subset does not have
is a NotSimulated; what is no query at all a QueryError.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from typing import Any

from .events import Event

Predicate = Callable[[Event], bool]
_TOKEN = re.compile(
    r"\s*(?:(?P<text>'[^']*'|\"[^\"]*\")|(?P<number>\d+)|(?P<operator><=|>=|!=|[=<>])|(?P<mark>[\[\]()*])|(?P<name>@?[A-Za-z][\w.]*))"
)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: bool(a == b), "!=": lambda a, b: bool(a != b), "<": lambda a, b: bool(a < b),
    "<=": lambda a, b: bool(a <= b), ">": lambda a, b: bool(a > b), ">=": lambda a, b: bool(a >= b),
}  # fmt: skip
_FIELDS: dict[str, Callable[[Event], Any]] = {
    "eventid": lambda event: event.id,
    "level": lambda event: event.level,
    "eventrecordid": lambda event: event.record_id,
    "channel": lambda event: event.log,
    "task": lambda event: event.category,
}


class QueryError(ValueError):
    """The text is no query of the event log."""


class NotSimulated(ValueError):
    """A part of XPath that the laboratory does not know."""


class _Parser:
    def __init__(self, text: str, now: datetime.datetime) -> None:
        self._tokens: list[str] = []
        self._now = now
        position = 0
        while position < len(text.rstrip()):
            found = _TOKEN.match(text, position)
            if not found:
                raise QueryError(text[position:])
            self._tokens.append(found[0].strip())
            position = found.end()
        self._at = 0

    def _peek(self, ahead: int = 0) -> str:
        at = self._at + ahead
        return self._tokens[at] if at < len(self._tokens) else ""

    def _next(self) -> str:
        self._at += 1
        return self._peek(-1)

    def _expect(self, token: str) -> None:
        if self._next() != token:
            raise QueryError(token)

    def query(self) -> Predicate:
        """*  or  *[...][...]"""
        if self._peek() not in {"*", "Event"}:
            raise QueryError(self._peek())
        self._next()
        parts: list[Predicate] = []
        while self._peek() == "[":
            parts.append(self._bracket(self._section))
        if self._peek():
            raise QueryError(self._peek())
        return lambda event: all(each(event) for each in parts)

    def _bracket(self, inner: Callable[[], Predicate]) -> Predicate:
        self._expect("[")
        made = self._either(inner)
        self._expect("]")
        return made

    def _either(self, inner: Callable[[], Predicate]) -> Predicate:
        parts = [self._both(inner)]
        while self._peek().lower() == "or":
            self._next()
            parts.append(self._both(inner))
        return parts[0] if len(parts) == 1 else lambda event: any(each(event) for each in parts)

    def _both(self, inner: Callable[[], Predicate]) -> Predicate:
        parts = [self._single(inner)]
        while self._peek().lower() == "and":
            self._next()
            parts.append(self._single(inner))
        return parts[0] if len(parts) == 1 else lambda event: all(each(event) for each in parts)

    def _single(self, inner: Callable[[], Predicate]) -> Predicate:
        if self._peek() == "(":
            self._next()
            made = self._either(inner)
            self._expect(")")
            return made
        return inner()

    def _section(self) -> Predicate:
        """System[...] or EventData[...]"""
        name = self._next()
        if name == "System":
            return self._bracket(self._field)
        if name == "EventData":
            return self._bracket(self._data)
        raise NotSimulated(name)

    def _data(self) -> Predicate:
        if self._next() != "Data" or self._peek() != "=":
            raise NotSimulated("this test of EventData")
        self._next()
        wanted = self._value()
        return lambda event: wanted in event.data

    def _field(self) -> Predicate:
        name = self._next()
        if name == "Provider":
            return self._bracket(self._provider)
        if name == "TimeCreated":
            return self._bracket(self._time)
        read = _FIELDS.get(name.lower())
        if read is None:
            raise NotSimulated(name) if re.fullmatch(r"@?[A-Za-z]\w*", name) else QueryError(name)
        operator, wanted = self._comparison()
        return lambda event: operator(read(event), wanted)

    def _comparison(self) -> tuple[Callable[[Any, Any], bool], Any]:
        operator = _COMPARE.get(self._next())
        if operator is None:
            raise QueryError(self._peek(-1))
        return operator, self._value()

    def _value(self) -> Any:
        token = self._next()
        if token[:1] in {"'", '"'}:
            return token[1:-1]
        if token.isdigit():
            return int(token)
        raise QueryError(token)

    def _provider(self) -> Predicate:
        if self._next() != "@Name":
            raise NotSimulated(self._peek(-1))
        operator, wanted = self._comparison()
        return lambda event: operator(event.provider.lower(), str(wanted).lower())

    def _time(self) -> Predicate:
        name = self._next()
        if name.lower() == "timediff":
            self._expect("(")
            self._expect("@SystemTime")
            self._expect(")")
            operator, limit = self._comparison()
            return lambda event: operator((self._now - event.time) / datetime.timedelta(milliseconds=1), limit)
        if name != "@SystemTime":
            raise QueryError(name)
        operator, text = self._comparison()
        try:
            moment = datetime.datetime.fromisoformat(str(text).replace("Z", "+00:00"))
        except ValueError:
            raise QueryError(str(text)) from None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=datetime.timezone.utc)
        return lambda event: operator(event.time, moment)


def parse(text: str, now: datetime.datetime) -> Predicate:
    """The test that a query makes of an event; `now` (aware) is what timediff counts from."""
    return _Parser(text, now).query()
