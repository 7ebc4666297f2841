# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads of error records what is used of them ([MS-PSRP] 2.2.2.20, 2.2.3.15).

A host writes some 5 KB for each: the exception, the command's invocation, its parameters. The client library builds
objects of all that, which takes it longer than everything else that an action does; six of seventy members are used.
"""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

__all__ = ["ErrorRecord", "reading_errors"]

_MEMBERS = {
    "FullyQualifiedErrorId": "fq_error",
    "ErrorCategory_Activity": "activity",
    "ErrorCategory_TargetName": "target_name",
    "CommandInfo_Name": "command_name",
    "ErrorDetails_Message": "details_message",
}


class ErrorRecord:
    """An error record with the names that pypsrp gives to its members; those that are not there are None."""

    def __init__(self, kind: int, shown: str, category: int | None, members: dict[str, str | None]) -> None:
        self.MESSAGE_TYPE = kind  # what pypsrp calls it
        self.category = category
        self.fq_error = members.get("fq_error")
        self.activity = members.get("activity")
        self.command_name = members.get("command_name")
        self.target_name = members.get("target_name")
        self.details_message = members.get("details_message")
        self._shown = shown

    def __str__(self) -> str:
        return self._shown


def reading_errors(pool: Any) -> None:
    """From now on a runspace pool of pypsrp gives ErrorRecord for the error records of its host."""
    fragmenter = pool._fragmenter
    if not isinstance(fragmenter.serializer, _Serializer):
        fragmenter.serializer = _Serializer(fragmenter.serializer)


class _Serializer:
    """pypsrp's serializer, but for error records."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def deserialize(self, element: Any, metadata: Any = None, clear: bool = True) -> Any:
        """See pypsrp.serializer.Serializer."""
        from pypsrp.messages import ErrorRecordMessage  # noqa: PLC0415 - may be missing

        if getattr(metadata, "object", None) is ErrorRecordMessage and isinstance(element, str):
            return self._record(element, ErrorRecordMessage.MESSAGE_TYPE)
        return self._inner.deserialize(element, metadata, clear)

    def _record(self, text: str, kind: int) -> ErrorRecord:
        root = ElementTree.fromstring(text)  # noqa: S314 - expat of today bounds entities, and the library does the same
        members: dict[str, str | None] = {}
        category = None
        for each in root.find("MS") or ():
            name = each.attrib.get("N", "")
            if name in _MEMBERS and each.tag == "S":
                members[_MEMBERS[name]] = self._text(each)
            elif name == "ErrorCategory_Category" and each.text:
                category = int(each.text)
        return ErrorRecord(kind, self._text(root.find("ToString")), category, members)

    def _text(self, element: ElementTree.Element | None) -> str:
        text: str = self._inner._deserialize_string(None if element is None else element.text)
        return text
