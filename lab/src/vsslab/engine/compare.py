# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How PowerShell compares values: the operators of Where-Object, the order of Sort-Object, truth.

Source: about_Comparison_Operators, about_Booleans, LanguagePrimitives (the left side's type decides).
"""

from __future__ import annotations

import datetime
import functools
import re
import uuid
from collections.abc import Callable
from typing import Any

from . import convert, patterns
from .signatures import Parameter
from .values import BadWildcard, EnumValue, Obj, Version, Wildcard, net_type, plain, text_of


def truth(value: Any) -> bool:
    """What counts as true: not null, zero, an empty string, an empty list or a list of one false value."""
    value = plain(value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return bool(value)
    if isinstance(value, (list, tuple)):
        return truth(value[0]) if len(value) == 1 else bool(value)
    return True


def number(value: Any) -> float | None:
    """The number that a value is, or that its text reads as; None for others."""
    value = plain(value)
    if isinstance(value, EnumValue):
        return float(value.number)
    if isinstance(value, (bool, int, float)):
        return value if isinstance(value, (int, float)) else float(value)
    if isinstance(value, str):
        try:
            text = value.strip()
            return int(text, 0) if re.fullmatch(r"[+-]?(0x[0-9a-fA-F]+|[1-9]\d*|0)", text) else float(text)
        except ValueError:
            return None
    return None


def _moment(value: Any) -> datetime.datetime | None:
    try:
        moment: datetime.datetime = convert.convert(value, Parameter("", "DateTime"))
    except convert.CannotConvert:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=datetime.timezone.utc)


class NotComparable(Exception):
    """The right side cannot become what the left side is; the engine's words."""


class BadPattern(ValueError):
    """The right side of -match is no expression; `unsupported` names what the laboratory lacks, if it is that."""

    def __init__(self, words: str, unsupported: str | None = None) -> None:
        super().__init__(words)
        self.unsupported = unsupported


def _fold(text: str, *, case: bool) -> str:
    return text if case else text.lower()  # one character for one: 'ss' is not a sharp s


def _to_null(value: Any) -> int:
    """How a value compares to null: everything is greater, but for negative numbers."""
    return -1 if isinstance(value, (int, float)) and value < 0 else 1


def _as_left(left: Any, right: Any) -> Any:
    """The right side as the left side's type; NotComparable."""
    if isinstance(left, bool):
        return truth(right)
    if isinstance(left, datetime.datetime) and not isinstance(right, datetime.datetime):
        moment = _moment(right)
        if moment is None:
            raise NotComparable(f'Cannot convert value "{text_of(right)}" to type "System.DateTime".')
        return moment
    if isinstance(left, (int, float)) and isinstance(right, (bool, int, float)):
        return right
    try:
        return convert.convert(right, Parameter("", net_type(left).removeprefix("System.")))
    except convert.CannotConvert as problem:
        raise NotComparable(problem.text) from None


def _pair(left: Any, right: Any, *, case: bool) -> tuple[Any, Any]:
    """Both sides in a form that has an order."""
    if isinstance(left, EnumValue):
        if isinstance(right, (str, EnumValue)):
            return _fold(left.name, case=False), _fold(text_of(right), case=False)
        return float(left.number), number(right)
    if isinstance(left, Version):
        return _parts(left), _parts(_as_left(left, right))
    if isinstance(left, (bool, int, float, datetime.datetime, datetime.timedelta, uuid.UUID)):
        return left, _as_left(left, right)
    return _fold(text_of(left), case=case), _fold(text_of(right), case=case)


def _parts(value: Version) -> list[int]:
    return [int(each) for each in value.text.split(".")]


def compared(left: Any, right: Any, *, case: bool) -> int:
    """-1, 0 or 1, as the left side's type has it; NotComparable when the right side cannot become of it."""
    left, right = plain(left), plain(right)
    if left is None or right is None:
        return 0 if left is right else _to_null(left) if right is None else -_to_null(right)
    first, second = _pair(left, right, case=case)
    if second is None:
        raise NotComparable(f'Cannot compare "{text_of(left)}" to "{text_of(right)}".')
    return int(first > second) - int(first < second)


def equal(left: Any, right: Any, *, case: bool = False) -> bool:
    """The operator -eq (-ceq with `case`) of two single values."""
    if isinstance(left, Obj) and left.base is None:
        return left is right
    try:
        return compared(left, right, case=case) == 0
    except NotComparable:
        return False


def _in(value: Any, items: Any, *, case: bool) -> bool:
    inner = plain(items)
    return any(equal(each, value, case=case) for each in (inner if isinstance(inner, (list, tuple)) else [inner]))


def _like(value: Any, pattern: Any, *, case: bool) -> bool:
    wanted = text_of(pattern)
    if re.search(r"(?<!`)\[[^\]]*$", wanted):
        raise BadWildcard(wanted)
    expression = Wildcard(wanted).expression()
    flags = expression.flags if not case else expression.flags & ~re.IGNORECASE
    return re.fullmatch(expression.pattern, text_of(value), flags) is not None


def _match(value: Any, pattern: Any, *, case: bool) -> bool:
    wanted = text_of(pattern)
    try:
        return patterns.expression(wanted, case=case).search(text_of(value)) is not None
    except patterns.BadExpression as problem:
        raise BadPattern(f"Invalid pattern '{wanted}'", problem.unsupported) from None


def _ordered(accepted: frozenset[int]) -> Callable[..., bool]:
    def judge(left: Any, right: Any, *, case: bool) -> bool:
        return compared(left, right, case=case) in accepted

    return judge


def _not(judge: Callable[..., bool]) -> Callable[..., bool]:
    def opposite(left: Any, right: Any, *, case: bool) -> bool:
        return not judge(left, right, case=case)

    return opposite


def _swapped(judge: Callable[..., bool]) -> Callable[..., bool]:
    def other(left: Any, right: Any, *, case: bool) -> bool:
        return judge(right, left, case=case)

    return other


def _filtering(judge: Callable[..., bool]) -> Callable[..., bool]:
    """Of a list on the left side an operator makes the list of what agrees; true as that list is (about_Operators)."""

    def filtered(left: Any, right: Any, *, case: bool) -> bool:
        inner = plain(left)
        if not isinstance(inner, (list, tuple)):
            return judge(left, right, case=case)
        return truth([each for each in inner if judge(each, right, case=case)])

    return filtered


def _eq(left: Any, right: Any, *, case: bool) -> bool:
    return equal(left, right, case=case)


_FILTERING: dict[str, Callable[..., bool]] = {
    "EQ": _eq, "NE": _not(_eq), "GT": _ordered(frozenset({1})), "LT": _ordered(frozenset({-1})),
    "GE": _ordered(frozenset({0, 1})), "LE": _ordered(frozenset({-1, 0})), "Like": _like, "NotLike": _not(_like),
    "Match": _match, "NotMatch": _not(_match),
}  # fmt: skip
_BASE: dict[str, Callable[..., bool]] = {
    **{name: _filtering(judge) for name, judge in _FILTERING.items()},
    "Contains": _swapped(_in), "NotContains": _not(_swapped(_in)), "In": _in, "NotIn": _not(_in),
}  # fmt: skip
OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    **{name: functools.partial(judge, case=False) for name, judge in _BASE.items()},
    **{f"C{name}": functools.partial(judge, case=True) for name, judge in _BASE.items()},
}


@functools.total_ordering
class SortKey:
    """A value's place in Sort-Object's order: null first, then numbers, dates, texts (case aside unless `case`)."""

    def __init__(self, value: Any, *, case: bool) -> None:
        inner = plain(value)
        self.key: tuple[int, Any]
        if inner is None:
            self.key = (0, 0)
        elif isinstance(inner, EnumValue):
            self.key = (1, float(inner.number))
        elif isinstance(inner, (bool, int, float)):
            self.key = (1, float(inner) if isinstance(inner, (bool, float)) else inner)
        elif isinstance(inner, datetime.datetime):
            self.key = (2, inner)
        elif isinstance(inner, datetime.timedelta):
            self.key = (3, inner)
        elif isinstance(inner, Version):
            self.key = (5, _parts(inner))
        else:
            self.key = (4, _fold(text_of(inner), case=case))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SortKey) and self.key == other.key

    def __lt__(self, other: SortKey) -> bool:
        return self.key < other.key

    __hash__ = None  # type: ignore[assignment]
