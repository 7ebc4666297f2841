# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Event logs: Get-WinEvent, Get-EventLog, Write-EventLog, New-EventLog.

Sources: the reference pages of Windows PowerShell 5.1 (Diagnostics and Management); their error IDs.
"""

from __future__ import annotations

import datetime
from typing import Any

from vsslab.windows import eventquery
from vsslab.windows.events import Event

from ..command import Call, command
from ..convert import CannotConvert, convert, with_zone
from ..errors import text
from ..signatures import Parameter
from ..values import I16, I64, U8, EnumValue, Obj, Wildcard, enumerate_output, text_of

_RECORD = (
    "System.Diagnostics.Eventing.Reader.EventLogRecord",
    "System.Diagnostics.Eventing.Reader.EventRecord",
    "System.Object",
)
_LEVELS = {0: "Information", 1: "Critical", 2: "Error", 3: "Warning", 4: "Information", 5: "Verbose"}
_ENTRY_TYPES = {1: ("Error", 1), 2: ("Error", 1), 3: ("Warning", 2), 4: ("Information", 4), 0: ("Information", 4)}
_KEYS = frozenset(
    {"logname", "providername", "id", "level", "starttime", "endtime", "data", "userid", "keywords", "path"}
)


def event_object(call: Call, event: Event) -> Obj:
    """An EventLogRecord with its message."""
    properties = [Obj(("System.Diagnostics.Eventing.Reader.EventProperty", "System.Object"), {"Value": each},
                      text="System.Diagnostics.Eventing.Reader.EventProperty") for each in event.data]  # fmt: skip
    own: dict[str, Any] = {
        "Id": event.id,
        "Version": None,
        "Qualifiers": 0,
        "Level": U8(event.level),
        "Task": event.category,
        "Opcode": None,
        "Keywords": I64(36028797018963968),
        "RecordId": I64(event.record_id),
        "ProviderName": event.provider,
        "ProviderId": None,
        "LogName": event.log,
        "ProcessId": None,
        "ThreadId": None,
        "MachineName": call.host.name,
        "UserId": event.user_sid,
        "TimeCreated": call.host.clock.local(event.time),
        "ActivityId": None,
        "RelatedActivityId": None,
        "ContainerLog": event.log,
        "MatchedQueryIds": [],
        "Bookmark": "System.Diagnostics.Eventing.Reader.EventBookmark",
        "LevelDisplayName": _LEVELS.get(event.level, ""),
        "OpcodeDisplayName": None,
        "TaskDisplayName": None,
        "KeywordsDisplayNames": ["Classic"],
        "Properties": properties,
    }
    return Obj(_RECORD, own, {"Message": event.message}, text=_RECORD[0], source=event)


def _logs(call: Call, wanted: list[str]) -> list[str]:
    """The logs that names (with wildcards) mean; one that there is not is reported."""
    known = list(call.host.events.sources)
    found: list[str] = []
    for each in wanted:
        matching = [log for log in known if Wildcard(each).matches(log)]
        if not matching:
            call.error(
                f'There is not an event log on the localhost computer that matches "{each}".',
                "NoMatchingLogsFound",
                "ObjectNotFound",
                target=each,
                exception="System.Exception",
            )
        found += [log for log in matching if log not in found]
    return found


def _logs_of_providers(call: Call, wanted: list[str]) -> tuple[list[str], list[str]]:
    """(logs, providers) of provider names with wildcards."""
    logs: list[str] = []
    providers: list[str] = []
    for each in wanted:
        matching = [
            (log, name)
            for log, names in call.host.events.sources.items()
            for name in names
            if Wildcard(each).matches(name)
        ]
        if not matching:
            call.error(
                f'There is not an event provider on the localhost computer that matches "{each}".',
                "NoMatchingProvidersFound",
                "ObjectNotFound",
                target=each,
                exception="System.Exception",
            )
        logs += [log for log, _ in matching if log not in logs]
        providers += [name for _, name in matching]
    return logs, providers


@command(
    "Get-WinEvent",
    only=(
        "LogName",
        "ProviderName",
        "FilterXPath",
        "FilterHashtable",
        "MaxEvents",
        "Oldest",
        "Force",
        "ListLog",
        "ComputerName",
    ),
)
def get_win_event(call: Call) -> None:
    """Events of logs or providers, newest first, filtered by an XPath query or a table."""
    if call.get("ComputerName", "localhost").lower() not in {"localhost", ".", call.host.name.lower()}:
        raise call.refuse("Get-WinEvent on another computer")
    if call.has("ListLog"):
        _list_logs(call)
        return
    tables = call.get("FilterHashtable")
    found = _by_name(call) if tables is None else [event for table in tables for event in _by_table(call, table)]
    found.sort(key=lambda event: (event.time, event.record_id), reverse=not call.flag("Oldest"))
    limit = call.get("MaxEvents")
    if not found:
        call.error(
            text("NoMatchingEvents", call.language),
            "NoMatchingEventsFound",
            "ObjectNotFound",
            exception="System.Exception",
        )
    for event in found if limit is None else found[:limit]:
        call.write(event_object(call, event))


def _by_name(call: Call) -> list[Event]:
    if call.has("ProviderName"):
        logs, providers = _logs_of_providers(call, call.texts("ProviderName"))
    else:
        logs, providers = _logs(call, call.texts("LogName") or ["*"]), []
    where = None
    if call.has("FilterXPath"):
        try:
            where = eventquery.parse(call.get("FilterXPath"), call.host.clock.now())
        except eventquery.NotSimulated as problem:
            raise call.refuse(f"{problem} in an event query") from None
        except eventquery.QueryError:
            raise call.fail("The specified query is invalid", "System.Diagnostics.Eventing.Reader.EventLogException",
                            exception="System.Diagnostics.Eventing.Reader.EventLogException") from None  # fmt: skip
    return [event for log in logs for event in call.host.events.query(log, providers=providers or None, where=where)]


def _by_table(call: Call, table: dict[Any, Any]) -> list[Event]:
    wanted = {text_of(key).lower(): value for key, value in table.items()}
    for key in wanted:
        if key not in _KEYS:
            raise call.refuse(f"the key {key} of Get-WinEvent -FilterHashtable")
    if wanted.keys() & {"path", "keywords", "userid"}:
        raise call.refuse(
            f"the key {sorted(wanted.keys() & {'path', 'keywords', 'userid'})[0]} of Get-WinEvent -FilterHashtable"
        )
    if "logname" not in wanted and "providername" not in wanted:
        raise call.fail("The parameter is incorrect", "System.Diagnostics.Eventing.Reader.EventLogException",
                        exception="System.Diagnostics.Eventing.Reader.EventLogException")  # fmt: skip
    names = [text_of(each) for each in enumerate_output(wanted.get("providername"))] if "providername" in wanted else []
    logs, providers = _logs_of_providers(call, names) if names else ([], [])
    if "logname" in wanted:
        logs = _logs(call, [text_of(each) for each in enumerate_output(wanted["logname"])])
    zone = call.host.clock.zone
    try:
        ids, levels = _numbers(wanted.get("id")), _numbers(wanted.get("level"))
        since, until = (_moment(wanted.get(name), zone) for name in ("starttime", "endtime"))
    except CannotConvert as problem:  # assumed: told as other filters that cannot be
        raise call.fail(problem.text, "System.Diagnostics.Eventing.Reader.EventLogException",
                        exception="System.Diagnostics.Eventing.Reader.EventLogException") from None  # fmt: skip
    data = [text_of(each) for each in enumerate_output(wanted["data"])] if "data" in wanted else None

    def agrees(event: Event) -> bool:
        return (until is None or event.time <= until) and (data is None or any(each in event.data for each in data))

    return [
        event
        for log in logs
        for event in call.host.events.query(
            log, since=since, providers=providers or None, ids=ids, levels=levels, where=agrees
        )
    ]


_NUMBER, _MOMENT = Parameter("Id", "Int32"), Parameter("StartTime", "DateTime")


def _numbers(value: Any) -> list[int] | None:
    return None if value is None else [convert(each, _NUMBER) for each in enumerate_output(value)]


def _moment(value: Any, zone: datetime.tzinfo) -> datetime.datetime | None:
    if value is None or isinstance(value, datetime.datetime):
        return None if value is None else with_zone(value, zone)
    return with_zone(convert(value, _MOMENT), zone)


def _list_logs(call: Call) -> None:
    for log in _logs(call, call.texts("ListLog")):
        count = len(call.host.events.query(log))
        own = {
            "LogName": log,
            "RecordCount": I64(count),
            "IsEnabled": True,
            "LogMode": "Circular",
            "LogType": "Administrative",
            "MaximumSizeInBytes": I64(20971520),
        }
        call.write(Obj(("System.Diagnostics.Eventing.Reader.EventLogConfiguration", "System.Object"), own, text=log))


@command(
    "Get-EventLog",
    only=("LogName", "Newest", "After", "Before", "InstanceId", "Index", "EntryType", "Source", "Message", "List"),
)
def get_event_log(call: Call) -> None:
    """Entries of a classic log, newest first."""
    if call.flag("List") or not call.has("LogName"):
        raise call.refuse("Get-EventLog -List")
    logs = [log for log in call.host.events.sources if Wildcard(call.get("LogName")).matches(log)]
    if not logs:
        raise call.fail(
            f"The event log '{call.get('LogName')}' on computer '.' does not exist.",
            "System.InvalidOperationException",
            "InvalidOperation",
            exception="System.InvalidOperationException",
        )
    found = [event for log in logs for event in call.host.events.query(log) if _entry_wanted(call, event)]
    if not found:
        call.error(
            "No matches found", "GetEventLogNoEntriesFound", "ObjectNotFound", exception="System.ArgumentException"
        )
    for event in found[: call.get("Newest")]:
        call.write(_entry(call, event))


def _entry_wanted(call: Call, event: Event) -> bool:
    zone = call.host.clock.zone
    after, before = call.get("After"), call.get("Before")
    if (after is not None and event.time <= with_zone(after, zone)) or (
        before is not None and event.time >= with_zone(before, zone)
    ):
        return False
    sources, kinds, numbers, indexes = (
        call.texts("Source"),
        call.texts("EntryType"),
        call.get("InstanceId"),
        call.get("Index"),
    )
    if sources and not any(Wildcard(each).matches(event.provider) for each in sources):
        return False
    if kinds and _ENTRY_TYPES[event.level][0].lower() not in {each.lower() for each in kinds}:
        return False
    if (numbers and event.id not in numbers) or (indexes and event.record_id not in indexes):
        return False
    return not call.has("Message") or Wildcard(call.get("Message")).matches(event.message)


def _entry(call: Call, event: Event) -> Obj:
    kind = f"System.Diagnostics.EventLogEntry#{event.log}/{event.provider}/{event.id}"
    moment = call.host.clock.local(event.time)
    own = {
        "EventID": event.id,
        "MachineName": call.host.name,
        "Data": [],
        "Index": event.record_id,
        "Category": f"({event.category})",
        "CategoryNumber": I16(event.category),
        "EntryType": EnumValue(*_ENTRY_TYPES[event.level], "System.Diagnostics.EventLogEntryType"),
        "Message": event.message,
        "Source": event.provider,
        "ReplacementStrings": list(event.data),
        "InstanceId": I64(event.id),
        "TimeGenerated": moment,
        "TimeWritten": moment,
        "UserName": None,
    }
    types = (kind, "System.Diagnostics.EventLogEntry", "System.ComponentModel.Component", "System.Object")
    return Obj(types, own, {"EventID": event.id}, text="System.Diagnostics.EventLogEntry")


@command("Write-EventLog", only=("LogName", "Source", "EntryType", "Category", "EventId", "Message", "RawData"))
def write_event_log(call: Call) -> None:
    """One event under a registered source; the text is the event's only string."""
    log, source = call.get("LogName"), call.get("Source")
    registered = call.host.events.log_of(source)
    if registered is None:
        raise call.fail(f'The source name "{source}" does not exist on computer "localhost".', "Source does not exist",
                        "InvalidOperation", exception="System.InvalidOperationException")  # fmt: skip
    if registered.lower() != log.lower():
        raise call.fail(
            f"The source '{source}' is not registered in log '{log}'. (It is registered in log '{registered}'.)",
            "System.ArgumentException",
            "InvalidArgument",
            exception="System.ArgumentException",
        )
    kind = call.get("EntryType")
    message = call.get("Message")
    call.host.events.write(
        registered,
        source,
        call.get("EventId"),
        "Information" if kind is None else kind.name,
        data=[message],
        message=message,
        user_sid=None,
        category=int(call.get("Category", 1)),
    )


@command(
    "New-EventLog", only=("LogName", "Source", "MessageResourceFile", "CategoryResourceFile", "ParameterResourceFile")
)
def new_event_log(call: Call) -> None:
    """Register sources for a log."""
    if not call.user.administrator:
        raise call.fail("Access is denied. Please try performing the operation again in an elevated PowerShell session",
                        "AccessDenied", "PermissionDenied", exception="System.Exception")  # fmt: skip
    log = call.get("LogName")
    if not any(each.lower() == log.lower() for each in call.host.events.sources):
        raise call.refuse("New-EventLog with a log of its own")
    for source in call.texts("Source"):
        if call.host.events.log_of(source) is not None:
            call.error(f'The "{source}" source is already registered on the "localhost" computer.', "Source Exists",
                       "InvalidOperation", exception="System.InvalidOperationException")  # fmt: skip
            continue
        call.host.events.register_source(log, source)
