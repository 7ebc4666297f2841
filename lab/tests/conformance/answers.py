# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a pipeline was answered, in one form for all parties, and the differences between two such answers.

An answer is plain JSON: {"state": ..., "failure": ..., "messages": [[stream, value], ...]}.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree as ET

_STATES = {"3": "Stopped", "4": "Completed", "5": "Failed"}
_STREAMS = {"PIPELINE_OUTPUT": "output", "ERROR_RECORD": "error", "WARNING_RECORD": "warning",
            "VERBOSE_RECORD": "verbose", "PROGRESS_RECORD": "progress", "INFORMATION_RECORD": "information",
            "DEBUG_RECORD": "debug"}  # fmt: skip
_GUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_RECENT = datetime.timedelta(days=400)
_NOTHING = ["ArrayList", "System.Object"]
Answer = dict[str, Any]


def unescaped(text: str) -> str:
    """Text without CLIXML's escapes; a surrogate pair is one character."""
    text = re.sub(r"_x([0-9A-Fa-f]{4})_", lambda found: chr(int(found[1], 16)), text)
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


class Reader:
    """Reads the messages of one pipeline; what differs from run to run (moments, random GUIDs) becomes a mark."""

    def __init__(self, today: datetime.datetime) -> None:
        self._today = today
        self._guids: dict[str, str] = {}
        self.answer: Answer = {"state": "Running", "failure": None, "messages": []}

    def message(self, kind: str, xml: str | bytes | ET.Element) -> None:
        """One message from the server."""
        root = xml if isinstance(xml, ET.Element) else ET.fromstring(xml or "<Nil />")
        if kind == "PIPELINE_STATE":
            fields = {each.get("N"): each for each in root.iterfind("MS/*")}
            self.answer["state"] = _STATES[fields["PipelineState"].text or ""]
            failure = fields.get("ExceptionAsErrorRecord")
            self.answer["failure"] = None if failure is None else self._error(_Document(root), failure)
            return
        stream = _STREAMS.get(kind)
        if stream is None:
            raise AssertionError(f"a message of the kind {kind}")
        document = _Document(root)
        value = {"error": self._error, "progress": self._progress}.get(stream, self._value)(document, root)
        if stream in ("warning", "verbose", "debug", "information"):
            value = value["M"].get("InformationalRecord_Message", value["M"].get("MessageData"))
        self.answer["messages"].append([stream, value])

    def _error(self, document: _Document, element: ET.Element) -> Any:
        """An error record: what clients go by."""
        whole = self._value(document, element)
        record, exception = whole["M"], whole["M"].get("Exception")
        return {
            "id": record["FullyQualifiedErrorId"][1].partition(",")[0],
            "category": int(record["ErrorCategory_Category"][1]),
            "exception": exception["T"][0] if isinstance(exception, dict) else "",
            "message": whole["="],
            "activity": record["ErrorCategory_Activity"][1],
            "target": record.get("TargetObject", ["Nil"]),
        }

    def _progress(self, document: _Document, element: ET.Element) -> Any:
        record = self._value(document, element)["M"]
        return [record[name][-1] for name in ("Activity", "StatusDescription", "PercentComplete")]

    def _value(self, document: _Document, element: ET.Element) -> Any:
        element = document.followed(element)
        if element.tag == "Nil":
            return ["Nil"]
        if element.tag != "Obj":
            return [element.tag, self._scalar(element.tag, unescaped(element.text or ""))]
        found: dict[str, Any] = {"T": document.types(element), "M": {}}
        for part in sorted(element, key=lambda each: each.tag == "ToString"):  # wherever it stands
            if part.tag == "ToString":
                found["="] = self._masked(unescaped(part.text or ""))
            elif part.tag in ("Props", "MS"):
                found["M"] |= {unescaped(each.get("N", "")): self._value(document, each) for each in part}
            elif part.tag in ("LST", "IE", "STK", "QUE"):
                found["L"] = [self._value(document, each) for each in part]
            elif part.tag == "DCT":
                pairs = [{each.get("N"): self._value(document, each) for each in entry} for entry in part]
                found["D"] = {str(pair["Key"][-1]): pair["Value"] for pair in pairs}
            elif part.tag not in ("TN", "TNRef"):
                found["V"] = self._value(document, part)
        if "System.Management.Automation.PSDriveInfo" in found["T"]:
            found["M"] |= {name: "(space)" for name in ("Used", "Free") if name in found["M"]}
        if "System.Management.Automation.PSCustomObject" in found["T"]:
            found.pop("=", None)  # made of its properties; some engines send it, and clients make it themselves
        return found

    def _scalar(self, tag: str, text: str) -> str:
        if tag == "DT":
            return self._moment(text)
        if tag in ("Db", "Sg"):
            return repr(float(text))
        return self._masked(text) if tag in ("S", "G", "URI") else text

    def _moment(self, text: str) -> str:
        stamp = datetime.datetime.fromisoformat(re.sub(r"(\.\d{6})\d*", r"\1", text).replace("Z", "+00:00"))
        if stamp.tzinfo is None:
            stamp = stamp.replace(tzinfo=datetime.timezone.utc)
        return "(now)" if abs(stamp - self._today) < _RECENT else stamp.isoformat()

    def _masked(self, text: str) -> str:
        def name(found: re.Match[str]) -> str:
            key = found[0].lower()
            return self._guids.setdefault(key, f"(guid {len(self._guids) + 1})")

        text = re.sub(r"/Date\((\d+)\)", self._json_moment, _GUID.sub(name, text))
        return text.replace("\r\n", "\n")

    def _json_moment(self, found: re.Match[str]) -> str:
        stamp = datetime.datetime.fromtimestamp(int(found[1]) / 1000, datetime.timezone.utc)
        return "/Date(now)" if abs(stamp - self._today) < _RECENT else found[0]


class _Document:
    """The references within one message."""

    def __init__(self, root: ET.Element) -> None:
        self._types = {each.get("RefId"): [name.text or "" for name in each] for each in root.iter("TN")}
        self._objects = {each.get("RefId"): each for each in root.iter("Obj")}

    def followed(self, element: ET.Element) -> ET.Element:
        return self._objects[element.get("RefId")] if element.tag == "Ref" else element

    def types(self, element: ET.Element) -> list[str]:
        for part in element:
            if part.tag in ("TN", "TNRef"):
                return [unescaped(each) for each in self._types[part.get("RefId")]]
        return []


def flat(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf of an answer with its place."""
    if isinstance(value, dict):
        for name, each in value.items():
            if name == "V":  # a plain value with properties: itself stands where it would without them
                yield from flat(each, place)
            elif name != "T" or each:
                yield from flat(each, f"{place}.{name}" if place else str(name))
    elif isinstance(value, list) and value and isinstance(value[0], (list, dict)):
        yield f"{place}.count", len(value)
        for number, each in enumerate(value):
            yield from flat(each, f"{place}[{number}]")
    elif isinstance(value, list) and len(value) == 2 and isinstance(value[1], (list, dict)):
        yield f"{place}.stream", value[0]  # a message
        yield from flat(value[1], f"{place}.{value[0]}")
    else:
        yield place, value


def differences(ours: Answer, theirs: Answer, *, free_order: bool = False) -> dict[str, tuple[Any, Any]]:
    """Place -> (ours, theirs) of everything that is not the same; `free_order` leaves the order of streams open."""
    if free_order:
        ours, theirs = _by_stream(ours), _by_stream(theirs)
    mine, other = dict(flat(ours)), dict(flat(theirs))
    places = dict.fromkeys([*mine, *other])
    return {each: (mine.get(each), other.get(each)) for each in places if mine.get(each) != other.get(each)}


def _by_stream(answer: Answer) -> Answer:
    return {**answer, "messages": sorted(answer["messages"], key=lambda each: str(each[0]))}
