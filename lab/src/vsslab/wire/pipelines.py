# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads pipelines of ordinary commands (CREATE_PIPELINE, [MS-PSRP] 2.2.2.10) without making objects of their parts.

psrpcore makes an object with properties of every command, parameter and enumeration, which is most of what a pipeline
of many commands costs a host.  Here only the values that Python has no type for become psrpcore's objects.  Whatever is
not of the ordinary kind is left to psrpcore, which knows what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any
from xml.etree.ElementTree import Element

from psrpcore import types
from psrpcore._crypto import PSRemotingCrypto

from vsslab.engine.clixml import unescaped
from vsslab.engine.sent import SentCommand, SentPipeline
from vsslab.engine.values import SentList


def _is_true(text: str) -> bool:
    return text.lower() == "true"


_MERGES = ("MergeMyResult", "MergeToResult", "MergePreviousResults")
_MORE_MERGES = ("MergeError", "MergeWarning", "MergeVerbose", "MergeDebug", "MergeInformation")
_ARRAY_LIST = tuple(types.PSList.PSObject.type_names)  # what psrpcore takes a list for whose type is not named
_PLAIN: dict[str, Callable[[str], Any]] = {"S": unescaped, "B": _is_true, "I32": int, "Nil": lambda _text: None}


class _UnusualError(Exception):
    """The message has a form that psrpcore shall read."""


def read(message: Element, cipher: PSRemotingCrypto) -> SentPipeline | None:
    """The pipeline of a message, None when it is of an unusual form."""
    try:
        return _Reader(message, cipher).pipeline(message)
    except (_UnusualError, KeyError, ValueError):
        return None


class _Reader:
    """One message, whose references are looked up."""

    def __init__(self, message: Element, cipher: PSRemotingCrypto) -> None:
        self._cipher = cipher
        self._targets: dict[int, Element] = {}
        self._members: dict[int, dict[str, Element]] = {}
        self._values: dict[int, Any] = {}
        numbered: dict[str, Element] = {}
        for each in message.iter():  # as in the text: a reference is to what was there before
            if each.tag == "Ref":
                self._targets[id(each)] = numbered[each.attrib["RefId"]]
            elif each.tag == "Obj" and "RefId" in each.attrib:
                numbered[each.attrib["RefId"]] = each

    def pipeline(self, message: Element) -> SentPipeline:
        """The whole; raises _UnusualError, KeyError for what is missing, and ValueError."""
        whole = self._of(message)
        shell = self._of(whole["PowerShell"])
        for name in ("ApartmentState", "RemoteStreamOptions", "HostInfo"):
            _ = whole[name]
        if self._flag(whole["IsNested"]) or self._flag(shell["IsNested"]) or shell["History"].tag != "Nil":
            raise _UnusualError
        for flag in (whole["AddToHistory"], shell["RedirectShellErrorOutputPipe"]):
            self._flag(flag)
        made = SentPipeline(self._flag(whole["NoInput"]))
        several = shell.get("ExtraCmds")
        statements = [shell["Cmds"]] if several is None or several.tag == "Nil" else [
            self._of(each)["Cmds"] for each in self._items(several)
        ]  # fmt: skip
        for statement in statements:
            made.commands.extend(self._command(each) for each in self._items(statement))
            made.commands[-1].end_of_statement = True
        return made

    def _command(self, element: Element) -> SentCommand:
        told = self._of(element)
        scope = told["UseLocalScope"]
        my, to, previous = (self._number(told[name]) for name in _MERGES)
        if any(self._number(told[name]) for name in _MORE_MERGES if name in told) or previous not in (0, 3):
            raise _UnusualError
        local = None if scope.tag == "Nil" else self._flag(scope)
        made = SentCommand(self._text(told["Cmd"]), self._flag(told["IsScript"]), local, my, to, bool(previous))
        for each in self._items(told["Args"]):
            argument = self._of(each)
            name = argument["N"]
            made.parameters.append((None if name.tag == "Nil" else self._text(name), self._value(argument["V"])))
        return made

    def _of(self, element: Element) -> dict[str, Element]:
        """The extended properties of an object, those that are references looked up."""
        found = self._members.get(id(element))
        if found is None:
            members = element.find("MS") if element.tag == "Obj" else None
            if members is None:
                raise _UnusualError
            found = {each.attrib["N"]: self._targets.get(id(each), each) for each in members}
            self._members[id(element)] = found
        return found

    def _items(self, element: Element) -> Iterator[Element]:
        items = element.find("LST") if element.tag == "Obj" else None
        if items is None:
            raise _UnusualError
        return (self._targets.get(id(each), each) for each in items)

    @staticmethod
    def _flag(element: Element) -> bool:
        if element.tag != "B":
            raise _UnusualError
        return _is_true(element.text or "")

    @staticmethod
    def _number(element: Element) -> int:
        shown = element.findtext("I32") if element.tag == "Obj" else element.text if element.tag == "I32" else None
        if shown is None:
            raise _UnusualError
        return int(shown)

    def _text(self, element: Element) -> str:
        if element.tag != "S":
            raise _UnusualError
        return unescaped(element.text or "")

    def _value(self, element: Element) -> Any:
        plain = _PLAIN.get(element.tag)
        if plain is not None:
            return plain(element.text or "")
        items = element.find("LST") if element.tag == "Obj" else None
        if items is not None and len(element) == 1:  # a list that does not name its type
            return _untyped(self._value(self._targets.get(id(each), each)) for each in items)
        if id(element) not in self._values:
            if element.tag == "Obj" and any(each.tag in ("Ref", "TNRef") for each in element.iter()):
                raise _UnusualError  # psrpcore looks them up where it has read the whole message
            self._values[id(element)] = types.deserialize(element, self._cipher)
        return self._values[id(element)]


def _untyped(items: Iterable[Any]) -> SentList:
    made = SentList(items)
    made.types = _ARRAY_LIST
    return made
