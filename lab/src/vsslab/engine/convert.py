# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PowerShell's conversion of a value to a parameter's declared type (LanguagePrimitives.ConvertTo, as binding does)."""

from __future__ import annotations

import datetime
import functools
import math
import re
import uuid
from collections.abc import Callable
from typing import Any

from . import signatures
from .signatures import Parameter
from .values import (
    I16,
    I64,
    U8,
    U16,
    U32,
    U64,
    Char,
    EnumValue,
    Obj,
    ScriptText,
    Secret,
    Version,
    net_type,
    plain,
    text_of,
)


class CannotConvert(Exception):
    """The value cannot become the type: `text` in the engine's words.

    `shown` is set where a cmdlet's binder words it otherwise (CannotConvertArgument: "Cannot convert 'shown' to the
    type ... required by parameter ...", followed by `reason`).
    """

    def __init__(self, text: str, *, shown: str | None = None, reason: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.shown = shown
        self.reason = reason


_INTEGERS: dict[str, tuple[type[int], int, int]] = {
    "int16": (I16, I16.low, I16.high), "int32": (int, -(2**31), 2**31 - 1), "int64": (I64, I64.low, I64.high),
    "byte": (U8, U8.low, U8.high), "uint16": (U16, U16.low, U16.high), "uint32": (U32, U32.low, U32.high),
    "uint64": (U64, U64.low, U64.high),
}  # fmt: skip
_ALIASES = {
    "int": "int32", "long": "int64", "uint": "uint32", "bool": "boolean", "switch": "switchparameter",
    "idictionary": "hashtable", "psobject": "object", "single": "double",
}  # fmt: skip
_FULL_NAMES = {
    "int16": "System.Int16",
    "int32": "System.Int32",
    "int64": "System.Int64",
    "byte": "System.Byte",
    "uint16": "System.UInt16",
    "uint32": "System.UInt32",
    "uint64": "System.UInt64",
    "boolean": "System.Boolean",
    "switchparameter": "System.Management.Automation.SwitchParameter",
    "string": "System.String",
    "datetime": "System.DateTime",
    "timespan": "System.TimeSpan",
    "guid": "System.Guid",
    "double": "System.Double",
    "char": "System.Char",
    "version": "System.Version",
    "uri": "System.Uri",
    "hashtable": "System.Collections.IDictionary",
    "scriptblock": "System.Management.Automation.ScriptBlock",
    "pscredential": "System.Management.Automation.PSCredential",
    "ciminstance": "Microsoft.Management.Infrastructure.CimInstance",
    "stream": "System.IO.Stream",
    "cimsession": "Microsoft.Management.Infrastructure.CimSession",
    "xmldocument": "System.Xml.XmlDocument",
    "cimclass": "Microsoft.Management.Infrastructure.CimClass",
    "process": "System.Diagnostics.Process",
    "servicecontroller": "System.ServiceProcess.ServiceController",
}
_FLAGS = frozenset({"PSMemberTypes", "PSMemberViewTypes", "WaitForServiceTypes"})
_NUMBER = re.compile(r"\s*([+-]?)(?:0x([0-9a-f]+)|(\d+)(\.\d*)?(?:e([+-]?\d+))?)\s*", re.IGNORECASE)
_DATE_FORMATS = ("%m/%d/%Y %H:%M:%S", "%m/%d/%Y %I:%M:%S %p", "%m/%d/%Y %H:%M", "%m/%d/%Y", "%Y-%m-%d")
_LAST_TICK = 3155378975999999999  # DateTime.MaxValue
_SPAN = re.compile(r"\s*(-)?(?:(\d+)\.)?(\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,7}))?)?\s*")


@functools.lru_cache(maxsize=512)
def normal(type_name: str) -> str:
    """A declared type in lower case, synonyms resolved, without the list marks."""
    name = type_name.lower().removesuffix("[]")
    return _ALIASES.get(name, name)


def is_list(type_name: str) -> bool:
    """True for T[]."""
    return type_name.endswith("[]")


def full_name(type_name: str) -> str:
    """The .NET name of a declared type, as error messages show it."""
    name = normal(type_name)
    enumeration = enumeration_of(type_name.removesuffix("[]"))
    inner = enumeration[0] if enumeration else _FULL_NAMES.get(name, type_name.removesuffix("[]"))
    return inner + ("[]" if is_list(type_name) else "")


@functools.cache
def enumeration_of(type_name: str) -> tuple[str, dict[str, int]] | None:
    """(.NET name, {name: number}) of an enumeration the laboratory knows; None for other types."""
    row = signatures.table("enumerations").get(type_name)
    return (
        None if row is None else (str(row["type"]), {str(name): int(number) for name, number in row["values"].items()})
    )


def refused(value: Any, type_name: str) -> CannotConvert:
    """The engine's words for a value that has nothing to do with the type."""
    kind = net_type(value)
    return CannotConvert(
        f'Cannot convert the "{text_of(value)}" value of type "{kind}" to type "{full_name(type_name)}".'
    )


def _bad_text(value: str, type_name: str, why: str) -> CannotConvert:
    return CannotConvert(f'Cannot convert value "{value}" to type "{full_name(type_name)}". Error: "{why}"')


def _integer(value: Any, type_name: str) -> Any:
    make, low, high = _INTEGERS[normal(type_name)]
    if value is None:
        return make(0)
    if isinstance(value, float) and not math.isfinite(value):
        raise _bad_text(text_of(value), type_name, "Value was either too large or too small for the type.")
    if isinstance(value, (bool, int, float)):
        number = round(value)  # half to even, as Convert.ToInt32 rounds
    elif isinstance(value, Char):
        number = ord(value)
    elif isinstance(value, str):
        number = _number(str(value), type_name)
    elif isinstance(value, EnumValue):
        number = value.number
    else:
        raise refused(value, type_name)
    if not low <= number <= high:
        kind = full_name(type_name).rpartition(".")[2]
        article = "an" if kind[0] in "IU" else "a"
        article = "a" if kind.startswith("UInt") else article
        raise _bad_text(text_of(value), type_name, f"Value was either too large or too small for {article} {kind}.")
    return make(number)


def _number(text: str, type_name: str) -> int:
    if not text.strip():
        return 0
    found = _NUMBER.fullmatch(text)
    if not found:
        raise _bad_text(text, type_name, "Input string was not in a correct format.")
    sign = -1 if found[1] == "-" else 1
    if found[2]:
        return sign * int(found[2], 16)
    if not found[4] and not found[5]:
        return sign * int(found[3])
    return round(float(text))


def _boolean(value: Any, type_name: str) -> bool:
    if value is None or isinstance(value, bool):
        return bool(value)
    if isinstance(value, (int, float)):
        return value != 0
    kind = net_type(value)
    raise CannotConvert(
        f'Cannot convert value "{kind}" to type "{full_name(type_name)}". Boolean parameters accept only '
        "Boolean values and numbers, such as $True, $False, 1 or 0.",
        shown=kind,
    )


def _double(value: Any, type_name: str) -> float:
    if value is None:
        return 0.0
    if isinstance(value, (bool, int, float)):
        return float(value)
    try:
        return float(text_of(value))
    except ValueError:
        raise _bad_text(text_of(value), type_name, "Input string was not in a correct format.") from None


def _moment(value: Any, type_name: str) -> datetime.datetime:
    if isinstance(value, datetime.datetime):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LAST_TICK:
        return datetime.datetime(1, 1, 1) + datetime.timedelta(microseconds=value // 10)
    if not isinstance(value, str):
        raise refused(value, type_name)
    text = value.strip()
    try:
        return datetime.datetime.fromisoformat(text.removesuffix("Z") + ("+00:00" if text.endswith("Z") else ""))
    except ValueError:
        pass
    for pattern in _DATE_FORMATS:
        try:
            return datetime.datetime.strptime(text, pattern)
        except ValueError:
            continue
    raise _bad_text(value, type_name, "The string was not recognized as a valid DateTime. There is an unknown word "
                                      "starting at index 0.")  # fmt: skip


def _span(value: Any, type_name: str) -> datetime.timedelta:
    if isinstance(value, datetime.timedelta):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return datetime.timedelta(microseconds=value // 10)
    found = _SPAN.fullmatch(text_of(value))
    if not found:
        raise _bad_text(text_of(value), type_name, "String was not recognized as a valid TimeSpan.")
    parts = datetime.timedelta(
        days=int(found[2] or 0),
        hours=int(found[3]),
        minutes=int(found[4]),
        seconds=int(found[5] or 0),
        microseconds=int((found[6] or "0").ljust(7, "0")) // 10,
    )
    return -parts if found[1] else parts


def _guid(value: Any, type_name: str) -> uuid.UUID:
    if isinstance(value, uuid.UUID):
        return value
    try:
        return uuid.UUID(text_of(value))
    except ValueError:
        raise refused(value, type_name) from None


def _char(value: Any, type_name: str) -> Char:
    if isinstance(value, int) and not isinstance(value, bool):
        if not 0 <= value <= 0xFFFF:
            why = "Value was either too large or too small for a character."
            raise _bad_text(text_of(value), type_name, why)
        return Char(chr(value))
    text = text_of(value)
    if len(text) != 1:
        raise _bad_text(text, type_name, "String must be exactly one character long.")
    return Char(text)


def _dictionary(value: Any, type_name: str) -> dict[Any, Any]:
    if isinstance(value, dict):
        return value
    raise refused(value, type_name)


def _version(value: Any, type_name: str) -> Version:
    if not re.fullmatch(r"\d+(\.\d+){1,3}", text_of(value)):
        raise refused(value, type_name)
    return Version(text_of(value))


def _as_is(value: Any, type_name: str) -> Any:
    del type_name
    return value


def _text(value: Any, type_name: str) -> str:
    del type_name
    return text_of(value)


def _script(value: Any, type_name: str) -> Any:
    shown = value.text if isinstance(value, ScriptText) else value
    raise refused(shown, type_name)


_CONVERTERS: dict[str, Callable[[Any, str], Any]] = {
    **dict.fromkeys(_INTEGERS, _integer), "boolean": _boolean, "switchparameter": _boolean, "string": _text,
    "object": _as_is, "double": _double, "datetime": _moment, "timespan": _span, "guid": _guid, "char": _char,
    "hashtable": _dictionary, "version": _version, "uri": _text, "scriptblock": _script,
    "modulespecification": _as_is, "pstypename": _text,
}  # fmt: skip


def match_name(text: str, names: dict[str, int]) -> list[str]:
    """The names that an enumeration value's spelling can mean: exactly, else by a prefix (case aside)."""
    wanted = text.strip().lower()
    exact = [name for name in names if name.lower() == wanted]
    return exact or [name for name in names if wanted and name.lower().startswith(wanted)]


def _enumeration(value: Any, type_name: str, found: tuple[str, dict[str, int]]) -> EnumValue:
    full, names = found
    if isinstance(value, EnumValue) and value.name in names:
        return EnumValue(value.name, names[value.name], full)
    if isinstance(value, str) and re.fullmatch(r"\s*\d{1,9}\s*", value):
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        by_number = next((name for name, number in names.items() if number == value), None)
        if by_number is None:
            raise _bad_text(str(int(value)), type_name, "The value is no member of the enumeration.")
        return EnumValue(by_number, int(value), full)
    candidates = match_name(text_of(value), names)
    if len(candidates) != 1:
        listed = ", ".join(names)
        raise _bad_text(
            text_of(value),
            type_name,
            f"Unable to match the identifier name {text_of(value)} to a valid "
            "enumerator name. Specify one of the following enumerator names and try again:\n" + listed,
        )
    return EnumValue(candidates[0], names[candidates[0]], full)


def is_instance(value: Any, type_name: str) -> bool:
    """True when the value is of the declared type already: what binding by value tries before it converts."""
    value = plain(value)
    kind = normal(type_name)
    if isinstance(value, (list, tuple)):
        return kind == "object" or (is_list(type_name) and all(is_instance(each, kind) for each in value))
    if kind == "object":
        return True
    if isinstance(value, Obj):
        names = {full_name(kind).lower(), kind}
        return any(each.partition("#")[0].lower().removeprefix("deserialized.") in names for each in value.types)
    return net_type(value).lower() in {full_name(kind).lower(), f"system.{kind}"} or (
        kind == "hashtable" and isinstance(value, dict)
    )


def _single(value: Any, type_name: str) -> Any:
    value = value if normal(type_name) == "object" else plain(value)
    enumeration = enumeration_of(type_name)
    if enumeration is not None:
        return _enumeration(value, type_name, enumeration)
    converter = _CONVERTERS.get(normal(type_name))
    if converter is not None:
        return converter(value, type_name)
    if is_instance(value, type_name) or isinstance(value, Secret):
        return value
    raise refused(value, type_name)


def _listed(value: Any, parameter: Parameter) -> Any:
    """The names (as documented) of an enumeration that is known by its reference page only; flags joined by commas."""
    kind = parameter.type.removesuffix("[]")
    if kind.startswith("FlagsExpression"):
        return text_of(value)
    names = {name: number for number, name in enumerate(parameter.values)}

    def one(each: Any) -> str:
        parts = text_of(each).split(",") if kind in _FLAGS else [text_of(each)]
        return ",".join(_enumeration(part.strip(), kind, (kind, names)).name for part in parts)

    if is_list(parameter.type):
        return [one(each) for each in (value if isinstance(value, (list, tuple)) else [value])]
    return one(value)


def convert(value: Any, parameter: Parameter) -> Any:
    """The value as the parameter's type; CannotConvert with the engine's words when it cannot be."""
    declared = parameter.type
    inner = plain(value)
    if parameter.values and normal(declared) not in _CONVERTERS and enumeration_of(declared.removesuffix("[]")) is None:
        return _listed(inner, parameter)
    if is_list(declared):
        if value is None:
            return None
        if normal(declared) == "byte" and isinstance(inner, bytes):
            return list(inner)
        element = declared[:-2]
        return (
            [_single(each, element) for each in inner]
            if isinstance(inner, (list, tuple))
            else [_single(value, element)]
        )
    if isinstance(inner, (list, tuple)) and len(inner) == 1 and enumeration_of(declared) is not None:
        return _single(inner[0], declared)  # the elements are the flags
    if isinstance(inner, (list, tuple)) and normal(declared) not in {"object", "string"}:
        if normal(declared) in {"boolean", "switchparameter"}:  # these are told the type, and no reason
            kind = next(iter(getattr(inner, "types", ())), "System.Object[]")
            raise CannotConvert(refused(value, declared).text, shown=kind)
        shown = text_of(inner)
        raise CannotConvert(refused(value, declared).text, shown=shown, reason="Specified method is not supported.")
    if (
        value is None
        and normal(declared) not in _INTEGERS
        and normal(declared) not in {"boolean", "switchparameter", "double"}
    ):
        return None
    return _single(value, declared)


def with_zone(moment: datetime.datetime, zone: datetime.tzinfo) -> datetime.datetime:
    """A moment given without a zone is the host's local time; UTC stays UTC."""
    return moment.replace(tzinfo=zone) if moment.tzinfo is None else moment
