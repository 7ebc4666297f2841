# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs: everything the collection ever says to a host, as functions that return a Statement.

Names of cmdlets and their parameters are spelled here, in the files that this one takes verbs from, and in `_shares`
and `_areas`: nowhere else. They are those of Windows PowerShell 5.1 and of the modules of Windows Server. Nothing is
text that a host would interpret, with three exceptions, which have guards of their own: a program's arguments, a WQL
filter and an XPath filter.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ._files import (
    NOTHING,
    acl,
    catalogue,
    compare,
    exists,
    hash_files,
    hash_folders,
    items,
    list_files,
    list_folders,
    list_links,
    make_folder,
    move_file,
    move_to,
    new_file,
    note_shadow,
    pause,
    read_lines,
    read_tail,
    read_text,
    read_texts,
    remove_file,
    remove_tree,
    rename_file,
    tally,
    write_lines,
)
from ._pipeline import Command, Statement, Unsendable
from ._programs import (
    checked_argument,
    checked_guid,
    link_word,
    make_link,
    own,
    plain_line,
    program,
    remove_link,
    secure,
    select,
)
from ._tasks import (
    TASK_PATH,
    register_task,
    remove_task,
    start_task,
    stop_task,
    task_info,
    task_xml,
    tasks,
)

__all__ = [
    "EVENT_LOG",
    "EVENT_SOURCE",
    "NOTHING",
    "TASK_PATH",
    "acl",
    "catalogue",
    "checked_argument",
    "checked_guid",
    "cim",
    "cim_create_shadow",
    "cim_delete_shadow",
    "cim_revert_shadow",
    "compare",
    "events",
    "exists",
    "hash_files",
    "hash_folders",
    "items",
    "link_word",
    "list_files",
    "list_folders",
    "list_links",
    "make_folder",
    "make_link",
    "move_file",
    "move_to",
    "new_file",
    "note_shadow",
    "own",
    "pause",
    "program",
    "read_lines",
    "read_tail",
    "read_text",
    "read_texts",
    "register_event_source",
    "register_task",
    "remove_file",
    "remove_link",
    "remove_task",
    "remove_tree",
    "rename_file",
    "secure",
    "services",
    "start_task",
    "stop_task",
    "tally",
    "task_info",
    "task_xml",
    "tasks",
    "wql",
    "write_event",
    "write_lines",
]

EVENT_LOG = "Application"
EVENT_SOURCE = "umbra-vss"


# ------------------------------------------------------------------------------------------------------------------ CIM
def wql(text: str) -> str:
    """A text as a WQL string literal: backslashes and quotes escaped (WMI docs, "WQL (SQL for WMI)")."""
    plain_line(text, "a value in a WQL query")
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def cim(key: str, class_name: str, properties: Sequence[str], where: str | None = None) -> Statement:
    """Instances of a class, projected to these properties. where: a WQL condition; quote its texts with `wql`."""
    parameters: dict[str, Any] = {"ClassName": class_name, "Property": list(properties)}
    if where:
        parameters["Filter"] = where
    return Statement(key, (Command("Get-CimInstance", parameters), select(*properties)))


def cim_create_shadow(key: str, volume: str, context: str, log_to: str) -> Statement:
    """Win32_ShadowCopy.Create: ReturnValue and ShadowID, written to `log_to` (UTF-16) on the host as well.

    The log outlives a lost answer. volume: ``D:\\`` or ``\\\\?\\Volume{guid}\\``, with its closing backslash.
    """
    arguments = {"Volume": volume, "Context": context}
    create = Command(
        "Invoke-CimMethod",
        {"ClassName": "Win32_ShadowCopy", "MethodName": "Create", "Arguments": arguments, "ErrorAction": "Stop"},
    )
    shape = Command("ConvertTo-Json", {"Compress": True})
    return Statement(
        key, (create, select("ReturnValue", "ShadowID"), shape, Command("Tee-Object", {"FilePath": log_to}))
    )


def cim_delete_shadow(key: str, shadow_id: str) -> Statement:
    """Delete one shadow copy by its ID; nothing happens when there is none."""
    query = f"SELECT * FROM Win32_ShadowCopy WHERE ID={wql(checked_guid(shadow_id))}"  # noqa: S608 - a GUID, checked
    return Statement(key, (Command("Remove-CimInstance", {"Query": query, "ErrorAction": "Stop"}),), "none")


def cim_revert_shadow(key: str, shadow_id: str, force: bool, log_to: str) -> Statement:
    """Win32_ShadowCopy.Revert of one shadow copy, by its ID: ReturnValue, written to `log_to` (UTF-16) as well.

    Nothing comes when there is no such copy. force: dismount the volume although files on it are open. The method is in
    vss.mof (uint32 Revert([in] boolean ForceDismount)), for Windows Server; as one of instances it takes a query.
    """
    query = f"SELECT * FROM Win32_ShadowCopy WHERE ID={wql(checked_guid(shadow_id))}"  # noqa: S608 - a GUID, checked
    call = {"Query": query, "MethodName": "Revert", "Arguments": {"ForceDismount": force}, "ErrorAction": "Stop"}
    shape = Command("ConvertTo-Json", {"Compress": True})
    log = Command("Tee-Object", {"FilePath": log_to})
    return Statement(key, (Command("Invoke-CimMethod", call), select("ReturnValue"), shape, log))


# ------------------------------------------------------------------------------------------------- event logs, services
def events(key: str, seconds: int, providers: Sequence[str], limit: int = 256) -> Statement:
    """Events of these providers in the last seconds, newest first, from the Application and System logs.

    TimeCreated, Id, ProviderName, Level, LogName, RecordId, Message (in the host's language) and Properties (a list of
    objects with a Value: the event's data). No event at all is reported as the error NoMatchingEventsFound.
    """
    for provider in providers:
        if not re.match(r"^[\w .-]+$", provider):
            raise Unsendable(f"{provider!r} is not the name of an event provider")
    names = " or ".join(f"@Name='{provider}'" for provider in providers)
    xpath = f"*[System[Provider[{names}] and TimeCreated[timediff(@SystemTime) <= {int(seconds) * 1000}]]]"
    read = Command("Get-WinEvent", {"LogName": [EVENT_LOG, "System"], "FilterXPath": xpath, "MaxEvents": limit})
    fields = select("TimeCreated", "Id", "ProviderName", "Level", "LogName", "RecordId", "Message", "Properties")
    return Statement(key, (read, fields), depth=3)


def write_event(key: str, event_id: int, message: str) -> Statement:
    """One event of ours in the Application log. The source must be registered; a message holds 31,839 characters."""
    parameters = {
        "LogName": EVENT_LOG,
        "Source": EVENT_SOURCE,
        "EventId": event_id,
        "EntryType": "Information",
        "Message": message[:31_839],
    }
    return Statement(key, (Command("Write-EventLog", parameters),), "none")


def register_event_source(key: str) -> Statement:
    """Register our event source, once a host; that it is there already is only reported, as an error of the result."""
    parameters = {"LogName": EVENT_LOG, "Source": [EVENT_SOURCE]}
    return Statement(key, (Command("New-EventLog", parameters),), "none").tolerant()


def services(key: str, names: Sequence[str]) -> Statement:
    """Name, DisplayName, Status (1 stopped, 4 running) and StartType as numbers; missing ones are in the errors."""
    fields = select("Name", "DisplayName", "Status", "StartType")
    return Statement(key, (Command("Get-Service", {"Name": list(names)}), fields))
