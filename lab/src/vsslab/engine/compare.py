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
from collections.abc import Callable
from typing import Any

from .values import EnumValue, Obj, Wildcard, plain, text_of


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
    if isinstance(value, datetime.datetime):
        return value
    try:
        moment = datetime.datetime.fromisoformat(text_of(value).replace("Z", "+00:00"))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=datetime.timezone.utc)


def _fold(text: str, *, case: bool) -> str:
    return text if case else text.casefold()


def compared(left: Any, right: Any, *, case: bool) -> int | None:
    """-1, 0 or 1; None when the two cannot be compared."""
    left, right = plain(left), plain(right)
    if left is None or right is None:
        return None if left is not right else 0
    pair: Any
    if isinstance(left, datetime.datetime):
        pair = (left, _moment(right))
    elif isinstance(left, datetime.timedelta):
        pair = (left, right if isinstance(right, datetime.timedelta) else None)
    elif isinstance(left, EnumValue) and isinstance(right, (str, EnumValue)):
        pair = (_fold(left.name, case=False), _fold(text_of(right), case=False))
    elif isinstance(left, (bool, int, float, EnumValue)):
        pair = (number(left), number(right) if not isinstance(left, bool) else truth(right))
    else:
        pair = (_fold(text_of(left), case=case), _fold(text_of(right), case=case))
    if pair[1] is None:
        return None
    first: Any = pair[0]
    second: Any = pair[1]
    return int(first > second) - int(first < second)


def equal(left: Any, right: Any, *, case: bool = False) -> bool:
    """The operator -eq (-ceq with `case`)."""
    if isinstance(left, Obj) and left.base is None:
        return left is right
    return compared(left, right, case=case) == 0


def _in(value: Any, items: Any, *, case: bool) -> bool:
    inner = plain(items)
    return any(equal(each, value, case=case) for each in (inner if isinstance(inner, (list, tuple)) else [inner]))


def _like(value: Any, pattern: Any, *, case: bool) -> bool:
    expression = Wildcard(text_of(pattern)).expression()
    flags = expression.flags if not case else expression.flags & ~re.IGNORECASE
    return re.fullmatch(expression.pattern, text_of(value), flags) is not None


def _match(value: Any, pattern: Any, *, case: bool) -> bool:
    return re.search(text_of(pattern), text_of(value), 0 if case else re.IGNORECASE) is not None


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


def _eq(left: Any, right: Any, *, case: bool) -> bool:
    return equal(left, right, case=case)


_BASE: dict[str, Callable[..., bool]] = {
    "EQ": _eq, "NE": _not(_eq), "GT": _ordered(frozenset({1})), "LT": _ordered(frozenset({-1})),
    "GE": _ordered(frozenset({0, 1})), "LE": _ordered(frozenset({-1, 0})), "Like": _like, "NotLike": _not(_like),
    "Match": _match, "NotMatch": _not(_match), "Contains": _swapped(_in), "NotContains": _not(_swapped(_in)),
    "In": _in, "NotIn": _not(_in),
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
        else:
            self.key = (4, _fold(text_of(inner), case=case))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SortKey) and self.key == other.key

    def __lt__(self, other: SortKey) -> bool:
        return self.key < other.key

    __hash__ = None  # type: ignore[assignment]
