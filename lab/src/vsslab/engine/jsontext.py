# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON as Windows PowerShell 5.1 writes and reads it.

Sources: ConvertTo-Json reference (5.1); JavaScriptSerializer and HttpUtility.JavaScriptStringEncode of the .NET
Framework, which it is built on: dates "\\/Date(ms)\\/", escapes for < > & ', enumerations as numbers, a value that
carries note properties as an object with `value`, what lies deeper than -Depth as text.
"""

from __future__ import annotations

import datetime
import json
import math
import re
import uuid
from typing import Any

from vsslab.labtime import UTC

from .values import (
    I64,
    INT32_MAX,
    INT32_MIN,
    EnumValue,
    Obj,
    ScriptText,
    Secret,
    Version,
    custom,
    members,
    number_text,
    text_of,
)

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=UTC)
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_ESCAPED = re.compile("[\x00-\x1f\"\\\\'<>&\x85\u2028\u2029]")
_LAST_MILLISECOND = 253402300799999  # of year 9999
_DATE = re.compile(r"/Date\((-?\d+)(?:[+-]\d{4})?\)/")
Node = Any  # nested lists, dicts and literals (str of ready JSON text)


class JsonError(ValueError):
    """The text is no JSON, in the words of the cmdlet."""


class DuplicateKeys(JsonError):
    """An object's names differ in case only: a PSCustomObject cannot hold both."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__("Cannot convert the JSON string because a dictionary that was converted from the string "
                         f"contains the duplicated keys '{first}' and '{second}'.")  # fmt: skip


def milliseconds(moment: datetime.datetime) -> int:
    """Milliseconds since 1970, cut off as the serializer does (ticks / 10000)."""
    return (moment - _EPOCH) // datetime.timedelta(milliseconds=1)


def quoted(text: str) -> str:
    """A string literal as JavaScriptStringEncode makes it."""
    return '"' + _ESCAPED.sub(lambda found: _ESCAPES.get(found[0]) or f"\\u{ord(found[0]):04x}", text) + '"'


def _literal(value: Any) -> str | None:
    """The JSON text of a value that has no parts; None for others."""
    if value is None or isinstance(value, Secret):
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, EnumValue):
        return str(value.number)
    if isinstance(value, (str, uuid.UUID, ScriptText)):
        return quoted(text_of(value))
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, float):
        return number_text(value) if math.isfinite(value) else quoted(number_text(value))
    if isinstance(value, datetime.datetime):
        return f'"\\/Date({milliseconds(value)})\\/"'
    return None


def node_of(value: Any, depth: int) -> Node:
    """A value as nested dicts, lists and literals; `depth` further levels are kept, the rest becomes text."""
    if isinstance(value, Obj) and value.base is not None:
        return _noted(value, depth)
    literal = _literal(value)
    if literal is not None:
        return literal
    if depth < 0:
        return quoted(text_of(value))
    if isinstance(value, (list, tuple, bytes)):
        return [node_of(each, depth - 1) for each in value]
    if isinstance(value, dict):
        return {text_of(key): node_of(each, depth - 1) for key, each in value.items()}
    if isinstance(value, Obj):
        return {name: node_of(each, depth - 1) for name, each in value.items()}
    if isinstance(value, (datetime.timedelta, Version)):
        return {name: node_of(each, depth - 1) for name, each in members(value).items()}
    return quoted(text_of(value))


def _noted(value: Obj, depth: int) -> Node:
    """{"value": ..., note: ...} of a plain value with notes (a line of a file, for example)."""
    if not value.notes:
        return node_of(value.base, depth)
    if depth < 0:
        return _literal(value.base) or quoted(text_of(value.base))
    return {
        "value": node_of(value.base, depth),
        **{name: node_of(each, depth - 1) for name, each in value.notes.items()},
    }


def compressed(node: Node) -> str:
    """Without any white space (-Compress)."""
    if isinstance(node, dict):
        return "{" + ",".join(f"{quoted(name)}:{compressed(each)}" for name, each in node.items()) + "}"
    if isinstance(node, list):
        return "[" + ",".join(compressed(each) for each in node) + "]"
    return str(node)


def pretty(node: Node, column: int = 0) -> str:
    """With 5.1's layout: four blanks more than the column a bracket stands in, two after a colon."""
    if not isinstance(node, (dict, list)):
        return str(node)
    opening, closing = ("{", "}") if isinstance(node, dict) else ("[", "]")
    inner = column + 4
    pad = " " * inner
    if isinstance(node, dict):
        parts = [f"{pad}{quoted(name)}:  {pretty(each, inner + len(quoted(name)) + 3)}" for name, each in node.items()]
    else:
        parts = [pad + pretty(each, inner) for each in node]
    return "".join([opening, "\r\n", ",\r\n".join(parts), "\r\n", " " * column, closing])


def dumps(value: Any, *, depth: int = 2, compress: bool = False) -> str:
    """What ConvertTo-Json answers for one value (several objects of the pipe: a list)."""
    node = node_of(value, depth)
    return compressed(node) if compress else pretty(node)


def loads(text: str) -> Any:
    """What ConvertFrom-Json of 5.1 makes of a text: PSCustomObjects, lists, numbers; /Date(ms)/ become dates."""
    try:
        return _loaded(json.loads(text))
    except JsonError:
        raise
    except (ValueError, RecursionError):
        raise JsonError(f"Invalid JSON primitive: {text.strip()[:40]}.") from None


def _loaded(value: Any) -> Any:
    if isinstance(value, dict):
        known: dict[str, str] = {}
        for name in map(str, value):
            if name.lower() in known:
                raise DuplicateKeys(known[name.lower()], name)
            known[name.lower()] = name
        return custom({str(name): _loaded(each) for name, each in value.items()})
    if isinstance(value, list):
        return [_loaded(each) for each in value]
    if isinstance(value, str):
        found = _DATE.fullmatch(value)
        if found and abs(int(found[1])) > _LAST_MILLISECOND:
            raise JsonError("Value to add was out of range.")
        return _EPOCH + datetime.timedelta(milliseconds=int(found[1])) if found else value
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return float(value)  # beyond Int64; the laboratory has no Decimal, which 5.1 tries first
    if isinstance(value, int) and not isinstance(value, bool) and not INT32_MIN <= value <= INT32_MAX:
        return I64(value)
    return value
