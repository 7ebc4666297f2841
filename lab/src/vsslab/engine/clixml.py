# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Between the values of a pipeline and the CLIXML types of psrpcore.

Sources: [MS-PSRP] 2.2.5 (encoding of objects); the depth rules are PowerShell's: remoting serialises one level, what
lies deeper becomes text, and an object that consists of notes only does not count as a level.
"""

from __future__ import annotations

import datetime
import decimal
import functools
import re
import types
import uuid
from typing import Any
from xml.sax.saxutils import escape

from psrpcore import types as ps

from .values import (
    CUSTOM_OBJECT,
    I16,
    I64,
    INT32_MAX,
    INT32_MIN,
    U8,
    U16,
    U32,
    U64,
    Char,
    EnumValue,
    Obj,
    ScriptText,
    Secret,
    SentDict,
    SentList,
    Sized,
    Version,
    text_of,
)

_TO_PS: dict[type, Any] = {
    I16: ps.PSInt16,
    I64: ps.PSInt64,
    U8: ps.PSByte,
    U16: ps.PSUInt16,
    U32: ps.PSUInt,
    U64: ps.PSUInt64,
}
_FROM_PS: tuple[tuple[Any, type], ...] = (
    (ps.PSUInt64, U64), (ps.PSInt64, I64), (ps.PSUInt, U32), (ps.PSUInt16, U16), (ps.PSInt16, I16), (ps.PSByte, U8),
    (ps.PSSByte, I16), (ps.PSInt, int),
)  # fmt: skip
# what XML cannot hold, what a reader would change, and an underscore that would begin an escape ([MS-PSRP] 2.2.5.3.2)
_ESCAPED = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff\U00010000-\U0010ffff]|_(?=[xX])")
_ESCAPES = re.compile("(?:_x[0-9A-Fa-f]{4}_)+")  # together: two of them may be one character
_ARRAY = ["System.Object[]", "System.Array", "System.Object"]


def escaped(text: str) -> str:
    """A text as it stands in CLIXML."""
    return escape(_ESCAPED.sub(_units, text))


def unescaped(text: str) -> str:
    """What a text in CLIXML says."""
    return _ESCAPES.sub(_characters, text) if "_x" in text else text


def _characters(found: re.Match[str]) -> str:
    return bytes.fromhex(found.group().replace("_x", "").replace("_", "")).decode("utf-16-be", "surrogatepass")


def _units(found: re.Match[str]) -> str:
    units = found.group().encode("utf-16-be", "surrogatepass")
    return "".join(f"_x{units[at : at + 2].hex().upper()}_" for at in range(0, len(units), 2))


def _numbers(value: int) -> Any:
    if isinstance(value, Sized):
        return _TO_PS[type(value)](int(value))
    return ps.PSInt(value) if INT32_MIN <= value <= INT32_MAX else ps.PSInt64(value)


def to_wire(value: Any, depth: int = 1) -> Any:
    """The psrpcore value of a pipeline value, ready to be written; `depth` levels of properties are kept."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Obj):
        return _object(value, depth)
    if isinstance(value, Char):
        return ps.PSChar(str(value))
    if isinstance(value, (str, datetime.datetime, datetime.timedelta, uuid.UUID)):
        return str(value) if isinstance(value, str) else value
    if isinstance(value, int):
        return _numbers(value)
    if isinstance(value, float):
        return ps.PSDouble(value)
    if isinstance(value, bytes):
        return ps.PSByteArray(value)
    if isinstance(value, Version):
        return ps.PSVersion(value.text)
    if isinstance(value, Secret):
        return ps.PSSecureString(value.text)
    if isinstance(value, (SentList, SentDict)):
        return _sent(value, depth)
    return text_of(value) if depth < 0 else _container(value, depth)


def _sent(value: SentList | SentDict, depth: int) -> Any:
    """What came from the client goes back whole, marked as deserialized (measured with the real engine)."""
    out = _container(value, max(depth, 1))
    if value.types:
        out.PSObject.type_names = [f"Deserialized.{each.removeprefix('Deserialized.')}" for each in value.types]
    return out


def _container(value: Any, depth: int) -> Any:
    if isinstance(value, (list, tuple)):
        out = ps.PSList(to_wire(each, depth - 1) for each in value)
        out.PSObject.type_names = list(_ARRAY)
        return out
    if isinstance(value, dict):
        return ps.PSDict({to_wire(key, 0): to_wire(each, depth - 1) for key, each in value.items()})
    if isinstance(value, EnumValue):
        return text_of(value) if depth <= 0 else _enumeration(value)
    return text_of(value)


@functools.lru_cache(maxsize=512)
def _enumeration(value: EnumValue) -> Any:
    """<Obj><TN>type, System.Enum ...</TN><ToString>name</ToString><I32>number</I32></Obj>."""

    def body(namespace: dict[str, Any]) -> None:
        namespace[value.name] = value.number

    kind = types.new_class("Enumeration", (ps.PSEnumBase,), {}, body)
    return ps.PSType([value.type_name], rehydrate=False)(kind)(value.number)


def _object(value: Obj, depth: int) -> Any:
    if value.base is not None:
        return _extended(value, depth)
    if depth <= 0 and not value.deep:
        return text_of(value)
    below = depth if value.custom else max(depth, 1) - 1
    out = ps.PSObject()
    out.PSObject.type_names = list(value.types)
    out.PSObject.adapted_properties = [
        ps.PSNoteProperty(name, to_wire(each, below)) for name, each in value.props.items()
    ]
    out.PSObject.extended_properties = [
        ps.PSNoteProperty(name, to_wire(each, below)) for name, each in value.notes.items()
    ]
    if value.types[:1] != CUSTOM_OBJECT[:1] and not value.custom:
        out.PSObject.to_string = text_of(value)
    return out


def _extended(value: Obj, depth: int) -> Any:
    """A plain value with notes: <Obj><S>text</S><MS>...</MS></Obj>."""
    inner = to_wire(value.base, depth)
    if not value.notes or inner is None or isinstance(inner, bool):
        return inner
    kinds: tuple[tuple[type, Any], ...] = (
        (str, ps.PSString),
        (datetime.datetime, _moment),
        (datetime.timedelta, _span),
    )
    if not isinstance(inner, ps.PSObject):
        inner = next(make for kind, make in kinds if isinstance(inner, kind))(inner)
    notes = [ps.PSNoteProperty(name, to_wire(each, depth - 1)) for name, each in value.notes.items()]
    inner.PSObject.extended_properties = notes
    return inner


def _moment(value: datetime.datetime) -> Any:
    return ps.PSDateTime(value.year, value.month, value.day, value.hour, value.minute, value.second, value.microsecond,
                         tzinfo=value.tzinfo)  # fmt: skip


def _span(value: datetime.timedelta) -> Any:
    return ps.PSDuration(days=value.days, seconds=value.seconds, microseconds=value.microseconds)


def from_wire(value: Any) -> Any:  # noqa: PLR0912 - one branch a type
    """The pipeline value of what a client sent."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, ps.PSSecureString):
        return Secret(value.decrypt())
    if isinstance(value, ps.PSScriptBlock):
        return ScriptText(str(value))
    if isinstance(value, ps.PSChar):
        return Char(chr(int(value)))
    if isinstance(value, (ps.PSEnumBase, ps.PSFlagBase)):
        return EnumValue(value.name or str(int(value)), int(value), value.PSObject.type_names[0])
    if isinstance(value, int):
        return next((make(int(value)) for kind, make in _FROM_PS if isinstance(value, kind)), int(value))
    if isinstance(value, str):
        return str(value)
    if isinstance(value, (float, decimal.Decimal)):
        return float(value)
    if isinstance(value, ps.PSVersion):
        return Version(str(value))
    if isinstance(value, uuid.UUID):
        return uuid.UUID(int=value.int)
    if isinstance(value, datetime.datetime):
        return _naive_moment(value)
    if isinstance(value, datetime.timedelta):
        return datetime.timedelta(days=value.days, seconds=value.seconds, microseconds=value.microseconds)
    if isinstance(value, bytes):
        return bytes(value)
    if isinstance(value, list):
        items = SentList(from_wire(each) for each in value)
        items.types = _types_of(value)
        return items
    if isinstance(value, dict):
        pairs = SentDict((from_wire(key), from_wire(each)) for key, each in value.items())
        pairs.types = _types_of(value)
        return pairs
    return _sent_object(value)


def _types_of(value: Any) -> tuple[str, ...]:
    if isinstance(value, (SentList, SentDict)):
        return value.types
    meta = getattr(value, "PSObject", None)
    return () if meta is None else tuple(meta.type_names)


def _naive_moment(value: datetime.datetime) -> datetime.datetime:
    return datetime.datetime(value.year, value.month, value.day, value.hour, value.minute, value.second,
                             value.microsecond, tzinfo=value.tzinfo)  # fmt: skip


def _sent_object(value: Any) -> Any:
    meta = getattr(value, "PSObject", None)
    if meta is None:
        return value
    own = {each.name: from_wire(each.get_value(value)) for each in meta.adapted_properties}
    notes = {each.name: from_wire(each.get_value(value)) for each in meta.extended_properties}
    return Obj(tuple(meta.type_names), own, notes, meta.to_string)
