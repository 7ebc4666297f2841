# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the message that creates a pipeline ([MS-PSRP] 2.2.2.10), in as few bytes as a host reads the same from.

A pipeline of ours is many small commands, most of whose parts are the same. What was said before in it is referred to
("Ref", 2.2.5), only objects that are referred to have a number, and lists do not name a type that nobody reads. The
client library would write several times as much, and take ten times as long for it.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Union

from ._pipeline import U64, Command, Unsendable

__all__ = ["create_pipeline", "sending"]

# What XML cannot hold, what the host's reader would change, and an underscore that would begin an escape (2.2.5.3.2).
_ESCAPED = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff\U00010000-\U0010ffff]|_(?=[xX])")
_WORTH_IT = 20  # characters inside, from which on an object is longer than a reference and the number it then needs
_INT32, _INT64, _UINT64 = range(-(2**31), 2**31), range(-(2**63), 2**63), range(2**64)


class _Object:
    """An object: texts of XML, and further objects with their labels (the attribute N)."""

    __slots__ = ("parts", "size")
    parts: tuple[_Part, ...]
    size: int  # of what is inside, in characters, were it written out

    def __init__(self, *parts: _Part) -> None:
        self.parts = parts
        size = 0
        for part in parts:
            size += len(part) if isinstance(part, str) else len(part[0]) + part[1].size + len("<Obj></Obj>")
        self.size = size


_Part = Union[str, "tuple[str, _Object]"]


def create_pipeline(statements: Sequence[Sequence[Command]]) -> bytes:
    """CREATE_PIPELINE for statements of commands, without input and in the runspace's host, as CLIXML in UTF-8.

    There must be a statement. Raises Unsendable for a value that has no form on the wire.
    """
    known = _Known()
    every = [known.listed("Cmds", [known.command(each) for each in commands]) for commands in statements]
    pipeline = _Object(
        '<MS><B N="IsNested">false</B>',
        known.listed("ExtraCmds", [known.shared("<MS>", each, "</MS>") for each in every]),
        every[0],  # several statements: the first one is told twice, which only pipelines of one command read
        '<Nil N="History"/><B N="RedirectShellErrorOutputPipe">false</B></MS>',
    )
    whole = _Object(
        '<MS><B N="NoInput">true</B>',
        (' N="ApartmentState"', _enumeration(0, "ApartmentState", "Unknown", 2)),
        (' N="RemoteStreamOptions"', _enumeration(1, "RemoteStreamOptions", "0", 0)),
        '<B N="AddToHistory">false</B>',
        (' N="HostInfo"', _RUNSPACES_HOST),
        (' N="PowerShell"', pipeline),
        '<B N="IsNested">false</B></MS>',
    )
    return _Writer(whole).written("", whole).encode()


def _enumeration(type_number: int, name: str, shown: str, value: int) -> _Object:
    names = f"System.Management.Automation.Runspaces.{name}", "System.Enum", "System.ValueType", "System.Object"
    types = "".join(f"<T>{each}</T>" for each in names)
    return _Object(f'<TN RefId="{type_number}">{types}</TN><ToString>{shown}</ToString><I32>{value}</I32>')


_RUNSPACES_HOST = _Object(
    '<MS><B N="_isHostNull">true</B><B N="_isHostUINull">true</B><B N="_isHostRawUINull">true</B>'
    '<B N="_useRunspaceHost">true</B></MS>'
)
_NOT_MERGED = _enumeration(2, "PipelineResultTypes", "None", 0)
_SWITCHES: tuple[_Part, ...] = (
    '<B N="IsScript">false</B><Nil N="UseLocalScope"/>',
    *((f' N="{name}"', _NOT_MERGED) for name in ("MergeMyResult", "MergeToResult", "MergePreviousResults")),
)


class _Known:
    """Makes objects; what is equal is the same one."""

    def __init__(self) -> None:
        self._objects: dict[tuple[_Part, ...], _Object] = {}

    def shared(self, *parts: _Part) -> _Object:
        """The object of these parts, whose own objects come from here."""
        found = self._objects.get(parts)
        if found is None:
            found = self._objects[parts] = _Object(*parts)
        return found

    def command(self, command: Command) -> _Object:
        """A command as protocol 2.1 has it ([MS-PSRP] 2.2.3.12): later versions add what nothing here uses."""
        given = [self._argument(name, value) for name, value in command.parameters.items()]
        given += [self._argument(None, value) for value in command.arguments]
        name = f'<MS><S N="Cmd">{_text(command.name)}</S>'
        return self.shared(name, *_SWITCHES, self.listed("Args", given), "</MS>")

    def listed(self, name: str, items: Sequence[_Object]) -> tuple[str, _Object]:
        """A property of this name."""
        return f' N="{name}"', self.shared("<LST>", *(("", each) for each in items), "</LST>")

    def _argument(self, name: str | None, value: Any) -> _Object:
        called = '<MS><Nil N="N"/>' if name is None else f'<MS><S N="N">{_text(name)}</S>'
        held = self._value(' N="V"', value)
        return self.shared(f"{called}{held}</MS>") if isinstance(held, str) else self.shared(called, held, "</MS>")

    def _value(self, label: str, value: Any) -> _Part:
        """A plain value; a tagged one of Ansible's is what it is a kind of."""
        if value is None:
            return f"<Nil{label}/>"
        if isinstance(value, Mapping):
            pairs = [(self._value(' N="Key"', str(key)), self._value(' N="Value"', value[key])) for key in value]
            return label, self.shared("<DCT>", *(each for pair in pairs for each in ("<En>", *pair, "</En>")), "</DCT>")
        if isinstance(value, (list, tuple)):
            return label, self.shared("<LST>", *(self._value("", each) for each in value), "</LST>")
        tag, shown = _primitive(value)
        return f"<{tag}{label}>{shown}</{tag}>"


def _text(value: str) -> str:
    if value.isalnum() and value.isascii():
        return value
    return html.escape(_ESCAPED.sub(_escape, value), quote=False)


def _escape(found: re.Match[str]) -> str:
    units = found.group().encode("utf-16-be", "surrogatepass")
    return "".join(f"_x{units[at : at + 2].hex().upper()}_" for at in range(0, len(units), 2))


def _primitive(value: Any) -> tuple[str, str]:
    if isinstance(value, str):
        return "S", _text(value)
    if isinstance(value, bool):
        return "B", str(value).lower()
    if isinstance(value, int):
        return _integer(value), str(int(value))
    if isinstance(value, float):
        return "Db", repr(float(value))
    if isinstance(value, bytes):
        return "BA", base64.b64encode(value).decode("ascii")
    raise Unsendable(f"a value of type {type(value).__name__} cannot be sent to a host")


def _integer(value: int) -> str:
    if isinstance(value, U64) or (value not in _INT64 and value in _UINT64):
        return "U64"
    if value not in _INT64:
        raise Unsendable(f"{value} is beyond the whole numbers that a host knows")
    return "I32" if value in _INT32 else "I64"


class _Writer:
    """Writes objects in the order in which a host reads them."""

    def __init__(self, whole: _Object) -> None:
        self._seen: set[_Object] = set()
        self._twice: set[_Object] = set()
        self._numbers: dict[_Object, int] = {}
        self._look(whole)

    def _look(self, each: _Object) -> None:
        if each in self._seen:
            self._twice.add(each)
            return
        if each.size >= _WORTH_IT:
            self._seen.add(each)
        for part in each.parts:
            if part.__class__ is tuple:
                self._look(part[1])

    def written(self, label: str, each: _Object) -> str:
        """The object as XML, or a reference to it where it was there before."""
        number = self._numbers.get(each)
        if number is not None:
            return f'<Ref{label} RefId="{number}"/>'
        inside = "".join(part if isinstance(part, str) else self.written(*part) for part in each.parts)
        mark = ""
        if each in self._twice:
            number = self._numbers[each] = len(self._numbers)
            mark = f' RefId="{number}"'
        return f"<Obj{label}{mark}>{inside}</Obj>"


@contextmanager
def sending(pool: Any, message: bytes) -> Iterator[None]:
    """Meanwhile a runspace pool of pypsrp sends this text, whatever message it is told to send."""
    fragmenter = pool._fragmenter
    inner = fragmenter.serializer
    fragmenter.serializer = _Verbatim(message)
    try:
        yield
    finally:
        fragmenter.serializer = inner


class _Verbatim:
    """Takes the place of pypsrp's serializer."""

    def __init__(self, message: bytes) -> None:
        self._message = message

    def serialize(self, *_values: Any, **_options: Any) -> bytes:
        """See pypsrp.serializer.Serializer."""
        return self._message
