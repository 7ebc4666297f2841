# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The error record that a client reads, as the engine writes it.

The shape of a record is that of recorded conversations with the engine; [MS-PSRP] 2.2.3.15 names the properties.  It is
written as text at once: a record has some sixty members, and a host that lacks a file or two answers with many records.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from psrpcore import types as ps

from . import signatures
from .clixml import escaped, to_wire
from .errors import CATEGORIES, ErrorInfo, Origin
from .values import I64, short_type, text_of

_AUTOMATION = "System.Management.Automation"
_MSCORLIB = "mscorlib, Version=4.0.0.0, Culture=neutral, PublicKeyToken=b77a5c561934e089"
_BOUND = f"System.Collections.Generic.Dictionary`2[[System.String, {_MSCORLIB}],[System.Object, {_MSCORLIB}]]"
_UNBOUND = f"System.Collections.Generic.List`1[[System.Object, {_MSCORLIB}]]"
_ITERATION = f"System.Collections.ObjectModel.ReadOnlyCollection`1[[System.Int32, {_MSCORLIB}]]"
_COMMAND_TYPES = {"Cmdlet": 8, "Function": 2, "Application": 32}
_COUNTED = {"Obj": "object", "Ref": "object", "TN": "type", "TNRef": "type"}


def exception_types(name: str) -> list[str]:
    """The type names of an exception, most derived first."""
    bases = signatures.table("exceptions").get(name, ())
    return list(dict.fromkeys([name, *bases, "System.Exception", "System.Object"]))


def record_xml(info: ErrorInfo, *, extended: bool, cipher: Any = None, label: str = "", number: int = 0) -> str:
    """The record of an error as CLIXML; `extended` in the error stream, not in a state message.

    `cipher` seals what is secret in the error's target; `label` is the property that the record is, `number` the first
    that is free for objects in the message around it.
    """
    writer = _Writer(cipher, number)
    writer.value(label, _shape(info, extended=extended))
    return "".join(writer.parts)


@dataclass(frozen=True, eq=False)
class _Shape:
    """An object: its type names, its own properties and notes, its text, or what it holds (the tag and the items)."""

    types: Iterable[str]
    own: Mapping[str, Any] | None = None
    notes: Mapping[str, Any] | None = None
    text: str | None = None
    holds: tuple[str, tuple[Any, ...]] | None = None
    number: int | None = None  # of an enumeration


class _Writer:
    """Writes one record; objects and lists of type names are numbered as they come ([MS-PSRP] 2.2.5.2.1, 2.2.5.2.3)."""

    def __init__(self, cipher: Any, number: int) -> None:
        self.parts: list[str] = []
        self._cipher = cipher
        self._objects: dict[_Shape, int] = {}
        self._next = {"object": number, "type": 0}

    def value(self, label: str, value: Any) -> None:
        """A property of this name, an item where it has none."""
        name = f' N="{label}"' if label else ""
        if value is None:
            self.parts.append(f"<Nil{name} />")
        elif isinstance(value, _Shape):
            self._object(name, value)
        elif value.__class__ is str:
            self.parts.append(f"<S{name}>{escaped(value)}</S>")
        elif value.__class__ is bool:
            self.parts.append(f"<B{name}>{'true' if value else 'false'}</B>")
        elif value.__class__ is int or value.__class__ is I64:
            tag = "I64" if value.__class__ is I64 or not -(2**31) <= value < 2**31 else "I32"
            self.parts.append(f"<{tag}{name}>{int(value)}</{tag}>")
        else:
            self._other(label, value)

    def _object(self, name: str, shape: _Shape) -> None:
        if shape in self._objects:
            self.parts.append(f'<Ref{name} RefId="{self._objects[shape]}" />')
            return
        self._objects[shape] = self._take("object")
        types = "".join(f"<T>{each}</T>" for each in shape.types)
        self.parts.append(f'<Obj{name} RefId="{self._objects[shape]}"><TN RefId="{self._take("type")}">{types}</TN>')
        if shape.text is not None:
            self.parts.append(f"<ToString>{escaped(shape.text)}</ToString>")
        if shape.number is not None:
            self.parts.append(f"<I32>{shape.number}</I32>")
        if shape.holds is not None:
            self._items(*shape.holds)
        for tag, members in (("Props", shape.own), ("MS", shape.notes)):
            if members is not None:
                self.parts.append(f"<{tag}>")
                for label, value in members.items():
                    self.value(label, value)
                self.parts.append(f"</{tag}>")
        self.parts.append("</Obj>")

    def _items(self, tag: str, items: tuple[Any, ...]) -> None:
        self.parts.append(f"<{tag}>")
        for each in items:
            self.value("", each)
        self.parts.append(f"</{tag}>")

    def _take(self, kind: str) -> int:
        taken = self._next[kind]
        self._next[kind] += 1
        return taken

    def _other(self, label: str, value: Any) -> None:
        """What psrpcore writes, with its numbers moved to where they are free."""
        element: ElementTree.Element = ps.serialize(to_wire(value, 0), self._cipher)
        if label:
            element.attrib["N"] = label
        first, used = dict(self._next), dict.fromkeys(self._next, 0)
        for each in element.iter():
            kind = _COUNTED.get(each.tag)
            if kind is not None:
                own = int(each.attrib["RefId"])
                each.attrib["RefId"] = str(own + first[kind])
                used[kind] = max(used[kind], own + 1)
        self._next = {kind: first[kind] + used[kind] for kind in first}
        self.parts.append(ElementTree.tostring(element, encoding="unicode"))


def _typed(tag: str, *types: str, items: tuple[Any, ...] = ()) -> _Shape:
    return _Shape((*types, "System.Object"), holds=(tag, items))


def _enumeration(full: str, name: str, number: int) -> _Shape:
    return _Shape((full, "System.Enum", "System.ValueType", "System.Object"), text=name, number=number)


def _exception(info: ErrorInfo) -> _Shape:
    own = {
        "ErrorRecord": info.message,
        **info.facts,
        "WasThrownFromThrowStatement": False,
        "TargetSite": None,
        "StackTrace": None,
        "Message": info.message,
        "Data": _typed("DCT", "System.Collections.ListDictionaryInternal"),
        "InnerException": None,
        "HelpLink": None,
        "Source": None,
        "HResult": info.hresult,
    }
    return _Shape(exception_types(info.exception), own, text=f"{info.exception}: {info.message}")


def _history(origin: Origin) -> I64:
    return I64(-1 if origin.command_type == "Application" else 1)


def _invocation(origin: Origin, bound: _Shape, unbound: _Shape) -> _Shape:
    own = {
        "MyCommand": origin.name,
        "BoundParameters": bound,
        "UnboundArguments": unbound,
        "ScriptLineNumber": 0,
        "OffsetInLine": 0,
        "HistoryId": _history(origin),
        "ScriptName": "",
        "Line": "",
        "PositionMessage": "",
        "PSScriptRoot": "",
        "PSCommandPath": None,
        "InvocationName": origin.called_as,
        "PipelineLength": 0,
        "PipelinePosition": 0,
        "ExpectingInput": False,
        "CommandOrigin": "Internal",
        "DisplayScriptPosition": None,
    }
    name = f"{_AUTOMATION}.InvocationInfo"
    return _Shape((name, "System.Object"), own, text=name)


def _extension(origin: Origin, bound: _Shape, unbound: _Shape) -> dict[str, Any]:
    """What a record in the error stream says of the command that wrote it."""
    kind, iteration = origin.command_type, (0, 0) if origin.command_type == "Application" else (0, 1)
    return {
        "InvocationInfo_BoundParameters": bound,
        "InvocationInfo_CommandOrigin": _enumeration(f"{_AUTOMATION}.CommandOrigin", "Internal", 1),
        "InvocationInfo_ExpectingInput": False,
        "InvocationInfo_InvocationName": origin.called_as,
        "InvocationInfo_Line": "",
        "InvocationInfo_OffsetInLine": 0,
        "InvocationInfo_HistoryId": _history(origin),
        "InvocationInfo_PipelineIterationInfo": _typed("LST", "System.Int32[]", "System.Array"),
        "InvocationInfo_PipelineLength": 0,
        "InvocationInfo_PipelinePosition": 0,
        "InvocationInfo_PSScriptRoot": "",
        "InvocationInfo_PSCommandPath": None,
        "InvocationInfo_PositionMessage": "",
        "InvocationInfo_ScriptLineNumber": 0,
        "InvocationInfo_ScriptName": "",
        "InvocationInfo_UnboundArguments": unbound,
        "SerializeExtent": False,
        "CommandInfo_CommandType": _enumeration(f"{_AUTOMATION}.CommandTypes", kind, _COMMAND_TYPES[kind]),
        "CommandInfo_Definition": origin.definition,
        "CommandInfo_Name": origin.name,
        "CommandInfo_Visibility": _enumeration(f"{_AUTOMATION}.SessionStateEntryVisibility", "Public", 0),
        "PipelineIterationInfo": _typed("LST", _ITERATION, items=iteration),
        "PSMessageDetails": None,
    }


def _shape(info: ErrorInfo, *, extended: bool) -> _Shape:
    origin = info.origin
    # the engine gives the records of native programs no activity; others name their command
    activity = "" if not origin.known or origin.command_type == "Application" else origin.name
    shown = text_of(info.target) if info.target_name is None else info.target_name
    kind = short_type(info.target) if info.target_type is None else info.target_type
    bound, unbound = _typed("DCT", _BOUND), _typed("LST", _UNBOUND)
    notes: dict[str, Any] = {
        "Exception": _exception(info),
        "TargetObject": info.target,
        "FullyQualifiedErrorId": info.full_id,
        "InvocationInfo": _invocation(origin, bound, unbound) if origin.known else None,
        "ErrorCategory_Category": CATEGORIES[info.category],
        "ErrorCategory_Activity": activity,
        "ErrorCategory_Reason": info.reason,
        "ErrorCategory_TargetName": shown,
        "ErrorCategory_TargetType": kind,
        "ErrorCategory_Message": f"{info.category}: ({shown}:{kind}) [{activity}], {info.reason}",
        "SerializeExtendedInfo": extended and origin.known,
    }
    if extended and origin.known:
        notes |= _extension(origin, bound, unbound)
    return _Shape((f"{_AUTOMATION}.ErrorRecord", "System.Object"), notes=notes, text=info.message)
