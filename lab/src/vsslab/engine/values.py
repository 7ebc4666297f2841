# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What flows down a pipeline: .NET values as Python ones, objects with properties, and how PowerShell reads them.

Plain Python stands for the common types: None, bool, str, int (Int32, or Int64 beyond it), float (Double),
aware datetimes (DateTime; `timezone.utc` is kind Utc, any other zone kind Local), timedelta, UUID, bytes (Byte[]),
list (Object[]) and dict (Hashtable).  What Python does not tell apart has a class here.
"""

from __future__ import annotations

import datetime
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from vsslab.labtime import UTC

INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1
CUSTOM_OBJECT = ("System.Management.Automation.PSCustomObject", "System.Object")
_EPOCH_TICKS = datetime.datetime(1, 1, 1, tzinfo=UTC)


class Sized(int):
    """A whole number of a .NET type that is not Int32; `type_name` without the namespace."""

    type_name = "Int64"
    low, high = -(2**63), 2**63 - 1


class I16(Sized):
    """Int16."""

    type_name, low, high = "Int16", -(2**15), 2**15 - 1


class I64(Sized):
    """Int64."""


class U8(Sized):
    """Byte."""

    type_name, low, high = "Byte", 0, 2**8 - 1


class U16(Sized):
    """UInt16."""

    type_name, low, high = "UInt16", 0, 2**16 - 1


class U32(Sized):
    """UInt32."""

    type_name, low, high = "UInt32", 0, 2**32 - 1


class U64(Sized):
    """UInt64."""

    type_name, low, high = "UInt64", 0, 2**64 - 1


class Char(str):
    """One UTF-16 character."""

    __slots__ = ()


class SentList(list[Any]):
    """A list that came from the client: `types` are those it came with."""

    types: tuple[str, ...] = ()


class SentDict(dict[Any, Any]):
    """A dictionary that came from the client: `types` are those it came with."""

    types: tuple[str, ...] = ()


@dataclass(frozen=True)
class EnumValue:
    """A value of a .NET enumeration: its name (several joined by ', ' for flags), its number, its type's full name."""

    name: str
    number: int
    type_name: str


@dataclass(frozen=True)
class Version:
    """System.Version."""

    text: str


@dataclass(frozen=True)
class Secret:
    """A SecureString, or what a credential holds: it goes nowhere but to the command that asked for it."""

    text: str = field(repr=False)


@dataclass(frozen=True)
class ScriptText:
    """Script text that came as a value (a ScriptBlock); the session has no language to run it with."""

    text: str


@dataclass(eq=False)
class Obj:
    """An object: .NET type names (most derived first), properties of its own, notes that PowerShell added, its text.

    `base` is the plain value that the notes hang on, where there is one (a line of a file).  `deep` objects keep their
    properties when they are serialised inside another object.  `source` is the laboratory's own thing behind it, for
    commands that get the object from the pipe; it is never written.
    """

    types: tuple[str, ...] = CUSTOM_OBJECT
    props: dict[str, Any] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    text: str | None = None
    base: Any = None
    deep: bool = False
    source: Any = field(default=None, repr=False)

    @property
    def custom(self) -> bool:
        """True for objects that are nothing but their notes."""
        return CUSTOM_OBJECT[0] in self.types

    def items(self) -> Iterator[tuple[str, Any]]:
        """Every property; a note hides a property of the same name."""
        hidden = {name.lower() for name in self.notes} if self.notes else set()
        for name, value in self.props.items():
            if name.lower() not in hidden:
                yield name, value
        yield from self.notes.items()


def custom(notes: Mapping[str, Any], *, type_name: str | None = None) -> Obj:
    """A PSCustomObject with these note properties."""
    return Obj(CUSTOM_OBJECT if type_name is None else (type_name, *CUSTOM_OBJECT), {}, dict(notes))


def plain(value: Any) -> Any:
    """The value without the notes that hang on it."""
    return value.base if isinstance(value, Obj) and value.base is not None else value


_NET_TYPES: tuple[tuple[type, str], ...] = (
    (bool, "System.Boolean"),
    (Char, "System.Char"),
    (str, "System.String"),
    (float, "System.Double"),
    (datetime.datetime, "System.DateTime"),
    (datetime.timedelta, "System.TimeSpan"),
    (uuid.UUID, "System.Guid"),
    (bytes, "System.Byte[]"),
    (list, "System.Object[]"),
    (tuple, "System.Object[]"),
    (dict, "System.Collections.Hashtable"),
    (Version, "System.Version"),
    (Secret, "System.Security.SecureString"),
    (ScriptText, "System.String"),  # [MS-PSRP] receivers without a language keep it as text
)


def net_type(value: Any) -> str:
    """The full .NET type name of a value; 'null' for none."""
    value = plain(value)
    if isinstance(value, Obj):
        return value.types[0] if value.types else "System.Object"
    if isinstance(value, EnumValue):
        return value.type_name
    if isinstance(value, Sized):
        return f"System.{value.type_name}"
    for kind, name in _NET_TYPES:
        if isinstance(value, kind):
            return name
    if isinstance(value, int):
        return "System.Int32" if INT32_MIN <= value <= INT32_MAX else "System.Int64"
    return "null" if value is None else "System.Object"


def short_type(value: Any) -> str:
    """The type's name without its namespace, as error records show it ('' for null)."""
    if value is None:
        return ""
    return re.split(r"[.+]", net_type(value).partition("#")[0])[-1]


def number_text(value: float) -> str:
    """A Double as .NET Framework writes it (format R, invariant culture)."""
    if value != value:  # noqa: PLR0124 - the only number that is not itself
        return "NaN"
    if value in {float("inf"), float("-inf")}:
        return "Infinity" if value > 0 else "-Infinity"
    text = repr(value)
    if text.endswith(".0"):
        return text[:-2]
    mantissa, mark, exponent = text.partition("e")
    return f"{mantissa}E{int(exponent):+03d}" if mark else text


def span_text(value: datetime.timedelta) -> str:
    """A TimeSpan in the constant format: [-][d.]hh:mm:ss[.fffffff]."""
    total = abs(value)
    rest = total.seconds
    days = f"{total.days}." if total.days else ""
    part = f".{total.microseconds:06d}0" if total.microseconds else ""
    sign = "-" if value < datetime.timedelta(0) else ""
    return f"{sign}{days}{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}{part}"


def text_of(value: Any) -> str:
    """The value as PowerShell turns it into a string (invariant culture; lists joined by blanks)."""
    value = plain(value)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "True" if value else "False"
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, float):
        return number_text(value)
    if isinstance(value, datetime.datetime):
        return f"{value:%m/%d}/{value.year:04d} {value:%H:%M:%S}"
    if isinstance(value, datetime.timedelta):
        return span_text(value)
    if isinstance(value, (list, tuple, bytes)):
        return " ".join(text_of(each) for each in value)
    if isinstance(value, (EnumValue,)):
        return value.name
    if isinstance(value, (Version, ScriptText)):
        return value.text
    if isinstance(value, Obj):
        return _object_text(value)
    return net_type(value) if isinstance(value, (dict, Secret)) else str(value)


def _object_text(value: Obj) -> str:
    if value.text is not None:
        return value.text
    if value.custom:
        return "@{" + "; ".join(f"{name}={text_of(each)}" for name, each in value.items()) + "}"
    return value.types[0] if value.types else "System.Object"


def ticks(moment: datetime.datetime) -> int:
    """Ticks (100 ns since year 1) of an aware moment in its own zone."""
    wall = moment.replace(tzinfo=UTC)
    return (wall - _EPOCH_TICKS) // datetime.timedelta(microseconds=1) * 10


def _datetime_members(value: datetime.datetime) -> dict[str, Any]:
    return {
        "Year": value.year, "Month": value.month, "Day": value.day, "Hour": value.hour, "Minute": value.minute,
        "Second": value.second, "Millisecond": value.microsecond // 1000, "Ticks": I64(ticks(value)),
        "DayOfYear": value.timetuple().tm_yday,
        "DayOfWeek": EnumValue(value.strftime("%A"), (value.weekday() + 1) % 7, "System.DayOfWeek"),
        "Kind": EnumValue(*(("Utc", 1) if value.tzinfo is UTC else ("Local", 2)), "System.DateTimeKind"),
    }  # fmt: skip


def _span_members(value: datetime.timedelta) -> dict[str, Any]:
    total = value // datetime.timedelta(microseconds=1)
    seconds = value.total_seconds()
    sign, size = (-1, -value) if total < 0 else (1, value)  # every part has the sign of the whole
    return {
        "Ticks": I64(total * 10), "Days": sign * size.days, "Hours": sign * (size.seconds // 3600),
        "Milliseconds": sign * (size.microseconds // 1000), "Minutes": sign * (size.seconds // 60 % 60),
        "Seconds": sign * (size.seconds % 60),
        "TotalDays": seconds / 86400, "TotalHours": seconds / 3600, "TotalMilliseconds": seconds * 1000,
        "TotalMinutes": seconds / 60, "TotalSeconds": seconds,
    }  # fmt: skip


def _version_members(value: Version) -> dict[str, Any]:
    numbers = [int(each) for each in value.text.split(".")] + [-1] * 4
    return dict(zip(("Major", "Minor", "Build", "Revision"), numbers[:4], strict=True))


def members(value: Any) -> dict[str, Any]:
    """Every property of a value, in order: of objects, dictionaries' own, and of the plain types that have some."""
    if isinstance(value, Obj):
        own = members(value.base) if value.base is not None else {}
        return {**own, **dict(value.items())}
    if isinstance(value, str):
        return {"Length": len(value.encode("utf-16-le", "surrogatepass")) // 2}
    if isinstance(value, SentList):
        return {"Count": len(value)}  # an ArrayList
    if isinstance(value, (list, tuple, bytes)):
        return {"Length": len(value), "Count": len(value)}
    if isinstance(value, datetime.datetime):
        return _datetime_members(value)
    if isinstance(value, datetime.timedelta):
        return _span_members(value)
    if isinstance(value, Version):
        return _version_members(value)
    if isinstance(value, Secret):
        return {"Length": len(value.text)}
    if isinstance(value, dict):
        return {"Keys": list(value), "Values": list(value.values()), "Count": len(value)}
    return {}


def property_of(value: Any, name: str) -> tuple[bool, Any]:
    """As `lookup`, but the keys of a dictionary are no properties: so it is for the commands that shape objects in 5.1.

    Source: "Select-Object", "Sort-Object", "Group-Object": hashtables as input since PowerShell 6.
    """
    if not isinstance(plain(value), dict):
        return lookup(value, name)
    found = {key.lower(): each for key, each in members(value).items()}
    return name.lower() in found, found.get(name.lower())


def lookup(value: Any, name: str) -> tuple[bool, Any]:
    """(True, value) of the property called `name`, case aside; (False, None) when there is none."""
    wanted = name.lower()
    if isinstance(value, Obj):
        for own in (value.notes, value.props):
            if name in own:
                return True, own[name]
            for key, each in own.items():
                if key.lower() == wanted:
                    return True, each
        return lookup(value.base, name) if value.base is not None else (False, None)
    if isinstance(value, dict):
        for key, each in value.items():
            if text_of(key).lower() == wanted:
                return True, each
    for key, each in members(value).items():
        if key.lower() == wanted:
            return True, each
    return False, None


def enumerate_output(value: Any) -> Iterable[Any]:
    """What a value becomes in a pipeline: lists come apart, everything else stays whole."""
    inner = plain(value)
    return inner if isinstance(inner, (list, tuple)) else (value,)


class BadWildcard(ValueError):
    """The text is no wildcard pattern, in PowerShell's words."""

    def __init__(self, pattern: str) -> None:
        super().__init__(f"The specified wildcard character pattern is not valid: {pattern}")


@dataclass(frozen=True)
class Wildcard:
    """A PowerShell wildcard pattern: * ? [set] and the backtick that makes the next character plain."""

    pattern: str

    def matches(self, text: str) -> bool:
        """True when the whole text matches, case aside."""
        return self.expression().fullmatch(text) is not None

    def expression(self) -> re.Pattern[str]:
        """The pattern as a regular expression; BadWildcard when a set is reversed."""
        out, position = [], 0
        while position < len(self.pattern):
            char = self.pattern[position]
            position += 1
            if char == "`" and position < len(self.pattern):
                out.append(re.escape(self.pattern[position]))
                position += 1
            elif char in "*?":
                out.append(".*" if char == "*" else ".")
            elif char == "[" and "]" in self.pattern[position:]:
                end = self.pattern.index("]", position)
                out.append("[" + re.sub(r"([\\\[\]^&~|])", r"\\\1", self.pattern[position:end]) + "]")
                position = end + 1
            else:
                out.append(re.escape(char))
        try:
            return re.compile("".join(out), re.IGNORECASE | re.DOTALL)
        except re.error:
            raise BadWildcard(self.pattern) from None


def has_wildcard(text: str) -> bool:
    """True when the text holds a wildcard that no backtick escapes."""
    return re.search(r"(?<!`)(?:``)*[*?\[]", text) is not None
