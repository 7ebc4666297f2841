# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Members that ForEach-Object -MemberName may call: properties, and methods of plain values that change nothing.

Source: .NET API pages of String, DateTime, TimeSpan and Object; everything else is refused by name.
"""

from __future__ import annotations

import datetime
import functools
import re
from collections.abc import Callable, Iterator
from typing import Any

from . import signatures
from .command import Call
from .errors import BAD_ARGUMENT
from .values import Obj, Wildcard, enumerate_output, has_wildcard, lookup, members, net_type, plain, text_of


def _substring(value: str, *args: Any) -> str:
    start = int(args[0])
    if start < 0 or (len(args) > 1 and int(args[1]) < 0):
        raise ValueError("StartIndex cannot be less than zero." if start < 0 else "Length cannot be less than zero.")
    if start > len(value) or (len(args) > 1 and start + int(args[1]) > len(value)):
        raise ValueError("Index and length must refer to a location within the string.")
    return value[start : start + int(args[1])] if len(args) > 1 else value[start:]


def _split(value: str, *args: Any) -> list[str]:
    marks = "".join(text_of(each) for each in args) or " \t\r\n"
    return re.split(f"[{re.escape(marks)}]", value)


def _trim(side: str) -> Callable[..., str]:
    def trimmed(value: str, *args: Any) -> str:
        marks = "".join(text_of(each) for each in args) or None
        return {"both": value.strip, "start": value.lstrip, "end": value.rstrip}[side](marks)

    return trimmed


_STRING: dict[str, Callable[..., Any]] = {
    "tostring": lambda value: value,
    "trim": _trim("both"),
    "trimstart": _trim("start"),
    "trimend": _trim("end"),
    "toupper": str.upper,
    "tolower": str.lower,
    "toupperinvariant": str.upper,
    "tolowerinvariant": str.lower,
    "replace": lambda value, old, new: value.replace(text_of(old), text_of(new)),
    "substring": _substring,
    "split": _split,
    "startswith": lambda value, other: value.startswith(text_of(other)),
    "endswith": lambda value, other: value.endswith(text_of(other)),
    "contains": lambda value, other: text_of(other) in value,
    "indexof": lambda value, other: value.find(text_of(other)),
    "padleft": lambda value, width: value.rjust(int(width)),
    "padright": lambda value, width: value.ljust(int(width)),
}


def _date_text(value: datetime.datetime, *args: Any) -> str:
    wanted = text_of(args[0]) if args else ""
    if wanted in {"o", "O"}:
        tail = "Z" if value.tzinfo is datetime.timezone.utc else value.strftime("%z")
        tail = tail if tail in {"Z", ""} else f"{tail[:3]}:{tail[3:]}"
        return value.strftime("%Y-%m-%dT%H:%M:%S.%f0") + tail
    if wanted in {"s"}:
        return value.strftime("%Y-%m-%dT%H:%M:%S")
    if wanted:
        raise LookupError(wanted)
    return text_of(value)


_DATE: dict[str, Callable[..., Any]] = {
    "tostring": _date_text,
    "touniversaltime": lambda value: value.astimezone(datetime.timezone.utc),
}
_ANY: dict[str, Callable[..., Any]] = {"tostring": text_of}


def _methods(value: Any) -> dict[str, Callable[..., Any]]:
    inner = plain(value)
    if isinstance(inner, str):
        return _STRING
    return _DATE if isinstance(inner, datetime.datetime) else _ANY


@functools.cache
def _known_methods() -> frozenset[str]:
    return frozenset(name.lower() for name in signatures.table("methods"))


def _may_be_method(value: Any, name: str) -> bool:
    """True when the .NET type may have such a method: what has side effects on a host must not pass for nothing."""
    inner = plain(value)
    known: frozenset[str] = _known_methods()
    return name.lower() in known and not (isinstance(inner, Obj) and inner.custom)


def _resolved(call: Call, value: Any, name: str) -> str | None:
    """The member that a name or pattern means; None when it is several, which is reported."""
    if not has_wildcard(name):
        return name
    known = dict.fromkeys([*members(value), *_methods(value)])
    found = [each for each in known if Wildcard(name).matches(each)]
    if len(found) > 1:
        call.error(f'Input name "{name}" is ambiguous. It can be resolved to multiple matched members. Possible '
                   f"matches include: {' '.join(found)}.", "AmbiguousPropertyOrMethodName", "InvalidArgument",
                   target=value, exception=BAD_ARGUMENT)  # fmt: skip
        return None
    return found[0] if found else name


def invoke_member(call: Call, value: Any, name: str, arguments: Any) -> Iterator[Any]:
    """The value of a property, or the result of a method; null for a member that there is not, as the engine does.

    A method of objects of the laboratory (files, services, CIM instances) other than ToString is refused.
    """
    if value is None:
        yield None
        return
    args = list(enumerate_output(arguments)) if arguments is not None else []
    resolved = _resolved(call, value, name)
    if resolved is None:
        return
    method = _methods(value).get(resolved.lower())
    present, inner = lookup(value, resolved)
    if present and not args:
        yield inner
        return
    if method is None or (present and args):
        if not present and _may_be_method(value, resolved):
            raise call.refuse(f"the method {resolved} of {net_type(value)} objects")
        if args:
            call.error(f'Input name "{name}" cannot be resolved to a method.', "MethodNotFound", "InvalidArgument",
                       target=value, exception=BAD_ARGUMENT)  # fmt: skip
            return
        yield None
        return
    try:
        yield method(plain(value), *args)
    except LookupError as problem:
        raise call.refuse(f"the format {problem.args[0]!r} of {name}") from None
    except (TypeError, ValueError) as problem:
        words = str(problem) if isinstance(problem, ValueError) else (
            f'Cannot find an overload for "{name}" and the argument count: "{len(args)}".')  # fmt: skip
        call.error(f'Error invoking method or property "{name}". Error message: {words}', "MethodInvocationException",
                   "InvalidOperation", target=value)  # fmt: skip
