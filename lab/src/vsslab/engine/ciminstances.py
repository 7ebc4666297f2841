# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CIM instances as objects of the pipeline, and WMI's refusals as error records.

Sources: the CimCmdlets reference; recorded public error records ("HRESULT 0x80041010,...GetCimInstanceCommand").
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

from .command import Call
from .errors import ErrorInfo
from .values import I16, I64, U8, U16, U32, U64, Char, Obj

NAMESPACE = "root/cimv2"
BASE = "Microsoft.Management.Infrastructure.CimInstance"
EXCEPTION = "Microsoft.Management.Infrastructure.CimException"
_NUMBERS: dict[str, type[int]] = {
    "uint8": U8, "uint16": U16, "uint32": U32, "uint64": U64, "sint16": I16, "sint32": int, "sint64": I64, "sint8": I16,
}  # fmt: skip
# WMI error constant -> category of the CIM cmdlets (by the MI result that it means)
CATEGORIES = {
    0x80041002: "ObjectNotFound",
    0x80041003: "PermissionDenied",
    0x80041008: "InvalidArgument",
    0x8004100E: "MetadataError",
    0x80041010: "MetadataError",
    0x80041017: "InvalidArgument",
    0x80041024: "NotImplemented",
    0x8004102E: "MetadataError",
    0x80070002: "ObjectNotFound",
    0x80070005: "PermissionDenied",
    0x800700B7: "ResourceExists",
    0x80070057: "InvalidArgument",
}


def typed(call: Call, value: Any, kind: str) -> Any:
    """A provider's value with its .NET type, by the property's CIM type ('uint64', 'string[]', ... REF)."""
    if value is None:
        return None
    if kind.endswith("[]"):
        return [typed(call, each, kind[:-2]) for each in value]
    if kind.endswith("REF"):
        return reference(call, value, kind.removesuffix("REF").strip())
    if kind in _NUMBERS:
        return _NUMBERS[kind](value)
    if kind in {"char16", "char"}:
        return Char(value)
    if isinstance(value, datetime.datetime):
        return call.host.clock.local(value)
    return float(value) if kind in {"real32", "real64"} else value


def types_of(class_name: str, namespace: str = NAMESPACE) -> tuple[str, ...]:
    """The type names of an instance, as the deserialised object shows them."""
    return (f"{BASE}#{namespace}/{class_name}", f"{BASE}#{class_name}", BASE, "System.Object")


def reference(call: Call, keys: Mapping[str, Any], class_name: str) -> Obj:
    """The instance that a REF property leads to: its class and its keys."""
    shown = ", ".join(f'{name} = "{value}"' for name, value in keys.items())
    return Obj(types_of(class_name), dict(keys), text=f"{class_name} ({shown})", source=(class_name, dict(keys)))


def instance(call: Call, class_name: str, row: Mapping[str, Any], wanted: list[str] | None = None) -> Obj:
    """An instance as an object: every property of the class, those not asked for (`wanted`) null."""
    kinds = call.host.cim.types(class_name)
    asked = None if wanted is None else {each.lower() for each in wanted}
    own = {name: typed(call, row.get(name), kind) if asked is None or name.lower() in asked else None
           for name, kind in kinds.items()}  # fmt: skip
    notes = {"PSComputerName": None}
    keys = {name: row.get(name) for name in call.host.cim.keys(class_name)}
    shown = ", ".join(f'{name} = "{value}"' for name, value in keys.items() if not isinstance(value, Mapping))
    return Obj(types_of(class_name), own, notes, text=f"{class_name} ({shown})" if shown else class_name,
               source=(class_name, dict(row)))  # fmt: skip


def refused(call: Call, problem: Any, target: str) -> ErrorInfo:
    """WMI's refusal (`hresult`, `text`) as the cmdlets report it; it does not end the statement."""
    number = int(getattr(problem, "hresult", 0x80041001)) & 0xFFFFFFFF
    message = str(getattr(problem, "text", problem))
    return call.info(message, f"HRESULT 0x{number:08x}", CATEGORIES.get(number, "NotSpecified"), target=target,
                     exception=EXCEPTION, hresult=number - 0x100000000)  # fmt: skip
