# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""wevtutil.exe: el, gl, qe, cl. Source: "wevtutil" in the Windows Commands documentation; the XML: "Event Schema"."""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

from ..windows import eventquery
from ..windows.errors import WinError
from ..windows.events import Event, system_time
from ..windows.processes import Invocation
from .tool import Tool, dispatch

_NAMESPACE = "http://schemas.microsoft.com/win/2004/08/events/event"
_NO_CHANNEL = 15007
_LEVELS = {0: "Information", 1: "Critical", 2: "Error", 3: "Warning", 4: "Information"}


def main(call: Invocation) -> int:
    """Run wevtutil; 0, or the error's number."""
    return dispatch(call, VERBS)


def _log(tool: Tool) -> str | None:
    """The log that is named first; None, and the failure told, when there is no such log."""
    name = tool.arguments[0] if tool.arguments else ""
    try:
        found = tool.host.events.log_name(name)
    except ValueError:
        tool.call.err("Failed to read log status information for log " + name + ".")
        tool.call.err("The specified channel could not be found.")
        return None
    tool.arguments.pop(0)
    return found


def _logs(tool: Tool) -> int:
    for name in sorted(tool.host.events.logs, key=str.lower):
        tool.call.out(name)
    return 0


def _get(tool: Tool) -> int:
    name = _log(tool)
    if name is None:
        return _NO_CHANNEL
    log = tool.host.events.logs[name]
    for line in (
        f"name: {name}",
        f"enabled: {str(log.enabled).lower()}",
        "type: Admin",
        "logging:",
        f"  logFileName: %SystemRoot%\\System32\\Winevt\\Logs\\{name}.evtx",
        f"  retention: {str(not log.overwrite).lower()}",
        "  autoBackup: false",
        f"  maxSize: {log.limit}",
    ):
        tool.call.out(line)
    return 0


def _query(tool: Tool) -> int:
    name = _log(tool)
    if name is None:
        return _NO_CHANNEL
    count, form = tool.value("/c", "/count"), (tool.value("/f", "/format") or "xml").lower()
    newest, query = tool.value("/rd", "/reversedirection") or "false", tool.value("/q", "/query")
    if tool.arguments or form not in ("xml", "text") or (count is not None and not count.isdigit()):
        return tool.refuse(f"qe {' '.join(tool.arguments)}".rstrip())
    where = None
    if query is not None and query != "*":
        try:
            where = eventquery.parse(query, tool.host.clock.now())
        except eventquery.NotSimulated as problem:
            return tool.refuse(f"qe /q with {problem}")
        except eventquery.QueryError:
            tool.call.err("The specified query is invalid.")
            return 15001
    events = tool.host.events.query(name, maximum=None if count is None else int(count), where=where,
                                    oldest_first=newest.lower() != "true")  # fmt: skip
    for number, event in enumerate(events):
        if form == "xml":
            tool.call.out(xml_of(event, tool.host.name))
        else:
            _text(tool, number, event)
    return 0


def xml_of(event: Event, computer: str) -> str:
    """One event as wevtutil prints it: one line."""
    data = "".join(f"<Data>{escape(each)}</Data>" for each in event.data)
    user = "" if event.user_sid is None else f" UserID={quoteattr(event.user_sid)}"
    return (
        f"<Event xmlns='{_NAMESPACE}'><System><Provider Name={quoteattr(event.provider)}/>"
        f"<EventID Qualifiers='0'>{event.id}</EventID><Version>0</Version><Level>{event.level}</Level>"
        f"<Task>{event.category}</Task><Opcode>0</Opcode><Keywords>0x80000000000000</Keywords>"
        f"<TimeCreated SystemTime='{system_time(event.time)}'/><EventRecordID>{event.record_id}</EventRecordID>"
        f"<Correlation/><Execution ProcessID='0' ThreadID='0'/><Channel>{escape(event.log)}</Channel>"
        f"<Computer>{escape(computer)}</Computer><Security{user}/></System><EventData>{data}</EventData></Event>"
    )


def _text(tool: Tool, number: int, event: Event) -> None:
    for line in (
        f"Event[{number}]", f"  Log Name: {event.log}", f"  Source: {event.provider}",
        f"  Date: {tool.host.clock.local(event.time):%Y-%m-%dT%H:%M:%S.%f}0Z", f"  Event ID: {event.id}",
        "  Task: N/A", f"  Level: {_LEVELS[event.level]}", "  Opcode: Info", "  Keyword: Classic",
        f"  User: {event.user_sid or 'N/A'}", "  User Name: N/A", f"  Computer: {tool.host.name}", "  Description: ",
        *event.message.splitlines(), "",
    ):  # fmt: skip
        tool.call.out(line)


def _clear(tool: Tool) -> int:
    name = _log(tool)
    if name is None:
        return _NO_CHANNEL
    if tool.arguments:
        return tool.refuse(f"cl {' '.join(tool.arguments)}")
    try:
        tool.demand_administrator()
    except WinError as problem:
        tool.call.err(f"Failed to clear log {name}.")
        tool.call.err(tool.message(problem))
        return problem.code
    tool.host.events.clear(name, tool.call.user.name)
    return 0


VERBS = {
    "el": _logs, "enum-logs": _logs, "gl": _get, "get-log": _get, "qe": _query, "query-events": _query, "cl": _clear,
    "clear-log": _clear,
}  # fmt: skip
