# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Between the values of a pipeline and the JSON that an outside engine and its world exchange.

The marks ($u64, $dt, $types ...) are the protocol's; what it cannot say becomes what comes nearest: a text with notes
the text alone, an enumeration its name.  Enumerations among the properties of an object are told beside them, and the
session makes them again.
"""

from __future__ import annotations

import base64
import collections
import datetime
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from .errors import ErrorInfo
from .values import I16, I64, U8, U16, U32, U64, EnumValue, Obj, ScriptText, Secret, Sized, custom, text_of

_MARKS: tuple[tuple[type[Sized], str], ...] = ((U64, "$u64"), (I64, "$i64"), (U32, "$u32"), (U16, "$u16"), (U8, "$u8"))
_KEPT = 4096
Json = Any


def encode(value: Any) -> Json:
    """The JSON of a value."""
    if value is None or isinstance(value, (bool, float)):
        return value
    if isinstance(value, Obj):
        return encode(value.base) if value.base is not None else _object(value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        mark = next((name for kind, name in _MARKS if isinstance(value, kind)), None)
        return int(value) if mark is None or isinstance(value, I16) else {mark: str(int(value))}
    if isinstance(value, datetime.datetime):
        return {"$dt": _moment(value)}
    if isinstance(value, datetime.timedelta):
        return {"$ts": _span(value)}
    if isinstance(value, uuid.UUID):
        return {"$guid": str(value)}
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode("ascii")}
    if isinstance(value, (list, tuple)):
        return [encode(each) for each in value]
    if isinstance(value, dict):
        return _object(custom({text_of(key): each for key, each in value.items()}))
    return text_of(value)  # EnumValue, Version, ScriptText; a Secret is its type's name


def outgoing(value: Any) -> Json:
    """The JSON of what a command puts out; $enums tells which of an object's properties are enumerations, and which."""
    told = encode(value)
    if isinstance(value, Obj) and value.base is None:
        enums = [f"{name}|{each.type_name}|{each.number}|{each.name}" for name, each in value.items()
                 if isinstance(each, EnumValue)]  # fmt: skip
        if enums:
            told["$props"]["$enums"] = enums
    return told


def _moment(value: datetime.datetime) -> str:
    """ISO 8601; UTC ends in Z and arrives as kind Utc, anything else as kind Local."""
    if value.tzinfo is datetime.timezone.utc:
        return value.replace(tzinfo=None).isoformat() + "Z"
    return value.isoformat()


def _span(value: datetime.timedelta) -> str:
    total = abs(value)
    sign = "-" if value < datetime.timedelta(0) else ""
    hours, rest = divmod(total.seconds, 3600)
    return f"{sign}{total.days}.{hours:02d}:{rest // 60:02d}:{rest % 60:02d}.{total.microseconds:06d}"


def _object(value: Obj) -> dict[str, Json]:
    return {
        "$types": list(value.types),
        "$string": text_of(value),
        "$props": {name: encode(each) for name, each in value.items()},
    }


def error(info: ErrorInfo) -> dict[str, Json]:
    """An error of a command; one of -ErrorAction Stop is not terminating by itself: the engine makes it so."""
    return {
        "message": info.message,
        "id": info.id,
        "category": info.category,
        "target": encode(info.target),
        "terminating": not info.stopped,
    }


class Seen:
    """The objects that went to an engine, to know them again when they come back through a pipe.

    The protocol returns an object as its properties only; the last one given out with the same properties is meant.
    Not for several threads.
    """

    def __init__(self) -> None:
        self._objects: collections.OrderedDict[Json, Obj] = collections.OrderedDict()

    def remember(self, value: Any) -> None:
        """An object goes out."""
        if not isinstance(value, Obj) or value.base is not None:
            return
        key = _key({name: encode(each) for name, each in value.items()})
        self._objects[key] = value
        self._objects.move_to_end(key)
        if len(self._objects) > _KEPT:
            self._objects.popitem(last=False)

    def decode(self, value: Json, zone: datetime.tzinfo) -> Any:
        """The value of what an engine sends as a bound parameter; times without a zone are in `zone`."""
        if isinstance(value, list):
            return [self.decode(each, zone) for each in value]
        if not isinstance(value, dict):
            return value
        for mark, make in _DECODERS.items():
            if mark in value:
                return make(value)
        if "$dt" in value:
            return _from_text(value["$dt"], zone)
        if "$map" in value:
            return {name: self.decode(each, zone) for name, each in value["$map"].items()}
        known = self._objects.get(_key(value))
        return known if known is not None else custom({name: self.decode(each, zone) for name, each in value.items()})


def _key(properties: Mapping[str, Json]) -> Json:
    """What tells objects apart: their plain properties."""
    return tuple(sorted((name, str(plain)) for name, each in properties.items()
                        if not isinstance(plain := _plain(each), (list, dict))))  # fmt: skip


def _plain(value: Json) -> Json:
    """Numbers come back without their marks; dates and times are told apart by nothing and left out."""
    if isinstance(value, dict):
        return next((value[mark] for _, mark in _MARKS if mark in value), value)
    if isinstance(value, str) and value[:4].isdigit() and "T" in value[8:12]:
        return {}
    return value


def _from_text(text: str, zone: datetime.tzinfo) -> datetime.datetime:
    """A date in .NET's round-trip format, which has seven digits of a second."""
    head, dot, tail = text.partition(".")
    digits = len(tail) - len(tail.lstrip("0123456789"))
    rest = tail[digits:] if dot else ""
    stamp = head + (f".{tail[:digits][:6]:0<6}" if dot else "") + ("+00:00" if rest == "Z" else rest)
    if not dot and head.endswith("Z"):
        stamp = head[:-1] + "+00:00"
    made = datetime.datetime.fromisoformat(stamp)
    if made.tzinfo is None:
        return made.replace(tzinfo=zone)
    return made.astimezone(datetime.timezone.utc) if rest == "Z" else made


def _timespan(value: Mapping[str, str]) -> datetime.timedelta:
    """A TimeSpan in the constant format: [-][d.]hh:mm:ss[.fffffff]."""
    text = value["$ts"]
    first, minutes, seconds = text.lstrip("-").split(":")
    days, _, hours = first.rpartition(".")
    made = datetime.timedelta(days=int(days or 0), hours=int(hours), minutes=int(minutes), seconds=float(seconds))
    return -made if text.startswith("-") else made


_DECODERS: dict[str, Callable[[Mapping[str, Any]], Any]] = {
    **{mark: (lambda value, kind=kind, mark=mark: kind(value[mark])) for kind, mark in _MARKS},  # type: ignore[misc]
    "$ts": _timespan,
    "$guid": lambda value: uuid.UUID(value["$guid"]),
    "$bytes": lambda value: base64.b64decode(value["$bytes"]),
    "$script": lambda value: ScriptText(str(value["$script"])),
    "$user": lambda value: Obj(
        ("System.Management.Automation.PSCredential", "System.Object"),
        {"UserName": value["$user"], "Password": Secret(value["$secret"])},
    ),
    "$secret": lambda value: Secret(value["$secret"]),
}
