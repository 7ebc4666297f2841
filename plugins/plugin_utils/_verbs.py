# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs: everything the collection ever says to a host, as functions that return a Statement.

This is the only place where names of cmdlets and their parameters are spelled; they are those of Windows PowerShell 5.1
and of the modules of Windows Server. Nothing here is text that a host would interpret, with three exceptions, which
have guards of their own: a program's arguments, a WQL filter and an XPath filter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from ._pipeline import Command, Statement, Unsendable
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
    "TASK_PATH",
    "acl",
    "catalogue",
    "checked_argument",
    "checked_guid",
    "cim",
    "cim_create_shadow",
    "cim_delete_shadow",
    "events",
    "exists",
    "hash_files",
    "hash_folders",
    "list_files",
    "list_folders",
    "make_folder",
    "make_link",
    "move_file",
    "own",
    "pause",
    "program",
    "read_lines",
    "read_tail",
    "read_texts",
    "register_event_source",
    "register_task",
    "remove_file",
    "remove_link",
    "remove_task",
    "remove_tree",
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

Encoding = Literal["ASCII", "UTF8", "Unicode"]

EVENT_LOG = "Application"
EVENT_SOURCE = "umbra-vss"


# --------------------------------------------------------------------------------------------------------------- pieces
def _select(*names: str) -> Command:
    return Command("Select-Object", {"Property": list(names)})


# Strings that Get-Content gives carry note properties, which would travel with every line; those that a method gives
# do not.
_BARE = Command("ForEach-Object", {"MemberName": "ToString"})
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_GUID = re.compile(r"^\{?([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})\}?$")
_PROGRAM = re.compile(r"^[A-Za-z0-9_-]+(?:\.exe)?$")


def checked_guid(text: str) -> str:
    """A GUID as VSS writes it: in braces. Raises Unsendable."""
    match = _GUID.match(text)
    if match is None:
        raise Unsendable(f"{text!r} is not a GUID")
    return f"{{{match[1].upper()}}}"


def _plain_line(text: str, what: str) -> str:
    if _CONTROL.search(text.replace("\t", "")):
        raise Unsendable(f"{what} must not hold line breaks or control characters: {text!r}")
    return text


def checked_argument(text: str) -> str:
    """One argument of a program, as it may be sent. Raises Unsendable.

    Windows PowerShell 5.1 builds one command line of the arguments (about_Parsing, "Passing arguments to native
    commands"): it drops empty ones, does not escape quotes, and a closing quote after a backslash is taken as text.
    """
    if not text:
        raise Unsendable("an empty argument cannot be passed to a program: Windows PowerShell drops it")
    if '"' in text:
        raise Unsendable(f"an argument of a program must not hold a double quote: {text!r}")
    if text.endswith("\\") and any(character.isspace() for character in text):
        raise Unsendable(f"an argument with a blank must not end in a backslash: {text!r}")
    if "\t" in text:
        raise Unsendable(f"an argument of a program must not hold a tab: {text!r}")
    return _plain_line(text, "an argument of a program")


# ------------------------------------------------------------------------------------------------------------- programs
def program(key: str, exe: str, *args: str, result: Literal["json", "text", "none"] = "json") -> Statement:
    """A program of Windows (System32) with its arguments; values: its output lines; exit_code: its exit code.

    result: ``text`` gives the lines as they come, for `Host.watch`; ``json`` gives them at its end, in one piece.
    Raises Unsendable for arguments that would not arrive as they are.
    """
    if not _PROGRAM.match(exe):
        raise Unsendable(f"a program is named by its file name alone, not as {exe!r}")
    name = exe if exe.lower().endswith(".exe") else f"{exe}.exe"
    command = Command(name, arguments=tuple(checked_argument(arg) for arg in args), program=True)
    return Statement(key, (command,), result, exit_code=True)


# cmd.exe is an interpreter: these characters mean something to it even within quotes, or end a word outside of them.
_CMD_SPECIAL = re.compile(r"[&|<>^%!;,=`]")


def _cmd_word(path: str) -> str:
    if _CMD_SPECIAL.search(path):
        raise Unsendable(f"the path of a link must not hold any of & | < > ^ % ! ; , = `: {path!r}")
    return checked_argument(path)


def make_link(key: str, link: str, device: str) -> Statement:
    """A directory link to the root of a shadow copy's device (``\\\\?\\GLOBALROOT\\Device\\...``).

    Only cmd's mklink keeps the target as it is given, and without its closing backslash the link leads nowhere.
    """
    target = device.rstrip("\\") + "\\"
    return program(key, "cmd.exe", "/d", "/c", "mklink", "/d", _cmd_word(link), _cmd_word(target))


def remove_link(key: str, link: str) -> Statement:
    """Remove a directory link, never what it leads to (cmd's rmdir without /s)."""
    return program(key, "cmd.exe", "/d", "/c", "rmdir", _cmd_word(link.rstrip("\\")))


def secure(key: str, path: str) -> Statement:
    """Only SYSTEM and Administrators (by SID, whatever their names here) get into this folder; nothing is inherited."""
    return program(
        key, "icacls.exe", path, "/inheritance:r", "/grant:r", "*S-1-5-18:(OI)(CI)F", "*S-1-5-32-544:(OI)(CI)F", "/q"
    )


def own(key: str, path: str) -> Statement:
    """Make the Administrators (by SID) the owner of this folder."""
    return program(key, "icacls.exe", path, "/setowner", "*S-1-5-32-544", "/q")


# ------------------------------------------------------------------------------------------------------------------ CIM
def wql(text: str) -> str:
    """A text as a WQL string literal: backslashes and quotes escaped (WMI docs, "WQL (SQL for WMI)")."""
    _plain_line(text, "a value in a WQL query")
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def cim(key: str, class_name: str, properties: Sequence[str], where: str | None = None) -> Statement:
    """Instances of a class, projected to these properties. where: a WQL condition; quote its texts with `wql`."""
    parameters: dict[str, Any] = {"ClassName": class_name, "Property": list(properties)}
    if where:
        parameters["Filter"] = where
    return Statement(key, (Command("Get-CimInstance", parameters), _select(*properties)))


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
        key, (create, _select("ReturnValue", "ShadowID"), shape, Command("Tee-Object", {"FilePath": log_to}))
    )


def cim_delete_shadow(key: str, shadow_id: str) -> Statement:
    """Delete one shadow copy by its ID; nothing happens when there is none."""
    query = f"SELECT * FROM Win32_ShadowCopy WHERE ID={wql(checked_guid(shadow_id))}"  # noqa: S608 - a GUID, checked
    return Statement(key, (Command("Remove-CimInstance", {"Query": query, "ErrorAction": "Stop"}),), "none")


# ---------------------------------------------------------------------------------------------------- files and folders
def make_folder(key: str, path: str, exist_ok: bool = True) -> Statement:
    """A folder and its parents. exist_ok False: fails when it is there already (error id DirectoryExist)."""
    parameters: dict[str, Any] = {"Path": path, "ItemType": "Directory", "ErrorAction": "Stop"}
    if exist_ok:
        parameters["Force"] = True
    return Statement(key, (Command("New-Item", parameters),), "none")


def write_lines(key: str, path: str, lines: Iterable[str], encoding: Encoding = "ASCII") -> Statement:
    """A text file of these lines, replacing what was there. UTF8 and Unicode begin with a byte order mark."""
    checked = [_plain_line(line, "a line of a file") for line in lines]
    if encoding == "ASCII" and not all(line.isascii() for line in checked):
        raise Unsendable("an ASCII file cannot hold the letters of other scripts: they would become question marks")
    parameters = {"LiteralPath": path, "Value": checked, "Encoding": encoding, "Force": True, "ErrorAction": "Stop"}
    return Statement(key, (Command("Set-Content", parameters),), "none")


def move_file(key: str, src: str, dst: str) -> Statement:
    """Move a file within a volume, replacing what was there."""
    parameters = {"LiteralPath": src, "Destination": dst, "Force": True, "ErrorAction": "Stop"}
    return Statement(key, (Command("Move-Item", parameters),), "none")


def remove_file(key: str, path: str) -> Statement:
    """Remove a file. A missing one is an error (PathNotFound), which ends an `act` unless tolerant()."""
    return Statement(key, (Command("Remove-Item", {"LiteralPath": path, "Force": True}),), "none")


def remove_tree(key: str, path: str) -> Statement:
    """Remove a folder with what is in it. Remove the links in it first: what becomes of them is not documented."""
    return Statement(key, (Command("Remove-Item", {"LiteralPath": path, "Recurse": True, "Force": True}),), "none")


def exists(key: str, path: str) -> Statement:
    """One value: whether there is a file or folder of this name."""
    return Statement(key, (Command("Test-Path", {"LiteralPath": path}),))


def read_texts(key: str, pattern: str, encoding: Encoding = "UTF8") -> Statement:
    """The texts of all files that match (wildcards in any part of the path), one string a file; none is no error."""
    read = Command("Get-Content", {"Path": pattern, "Raw": True, "Encoding": encoding})
    return Statement(key, (read, _BARE))


def read_lines(key: str, path: str, encoding: Encoding = "UTF8") -> Statement:
    """The lines of one file."""
    return Statement(key, (Command("Get-Content", {"LiteralPath": path, "Encoding": encoding}), _BARE))


def read_tail(key: str, path: str, lines: int, encoding: Encoding = "UTF8") -> Statement:
    """The last lines of a file."""
    parameters = {"LiteralPath": path, "Tail": lines, "Encoding": encoding}
    return Statement(key, (Command("Get-Content", parameters), _BARE))


def _files(paths: str | list[str]) -> Command:
    return Command("Get-ChildItem", {"LiteralPath": paths, "File": True, "Force": True})


def list_files(key: str, path: str) -> Statement:
    """FullName, Length (bytes) and LastWriteTimeUtc of the files directly in a folder."""
    return Statement(key, (_files(path), _select("FullName", "Length", "LastWriteTimeUtc")))


def list_folders(key: str, path: str) -> Statement:
    """Name, FullName, Attributes (as a number) and LastWriteTimeUtc of the folders directly in a folder."""
    parameters = {"LiteralPath": path, "Directory": True, "Force": True}
    fields = _select("Name", "FullName", "Attributes", "LastWriteTimeUtc")
    return Statement(key, (Command("Get-ChildItem", parameters), fields))


# With /L robocopy only lists. It sees a tree as the copying robocopy does: without what junctions and links lead to,
# beyond 260 characters, whoever may read it. Get-ChildItem -Recurse of Windows PowerShell 5.1 enters links and ends
# at long paths. The second folder is one that is not there, so that every file counts as one to be copied.
_LOOK = ("/L", "/E", "/XJ", "/B", "/R:0", "/W:0", "/BYTES", "/NP", "/NDL", "/NJH")


def _look(folder: str, nowhere: str, skip: tuple[Sequence[str], Sequence[str]], *more: str) -> tuple[str, ...]:
    folders, files = skip
    less = (*(("/XD", *folders) if folders else ()), *(("/XF", *files) if files else ()))
    return (folder, nowhere, *_LOOK, *more, *less)


NOTHING: tuple[Sequence[str], Sequence[str]] = ((), ())


def tally(key: str, folder: str, nowhere: str, skip: tuple[Sequence[str], Sequence[str]] = NOTHING) -> Statement:
    """The table of counts that ends robocopy's listing of a tree. skip: names of folders and of files to leave out."""
    return program(key, "robocopy", *_look(folder, nowhere, skip, "/NFL"))


def catalogue(
    key: str, folder: str, nowhere: str, log: str, skip: tuple[Sequence[str], Sequence[str]] = NOTHING
) -> Statement:
    """Write size and path of every file of a tree into `log` (UTF-16), and the table of counts at its end."""
    return program(key, "robocopy", *_look(folder, nowhere, skip, "/FP", "/NC", f"/UNILOG:{log}"))


def hash_folders(key: str, folders: Sequence[str]) -> Statement:
    """Path and Hash (SHA-256, upper-case hex) of every file directly in these folders."""
    digest = Command("Get-FileHash", {"Algorithm": "SHA256"})
    return Statement(key, (_files(list(folders)), digest, _select("Path", "Hash")))


def hash_files(key: str, paths: Sequence[str]) -> Statement:
    """Path and Hash (SHA-256, upper-case hex) of these files; a missing one is reported in the errors."""
    digest = Command("Get-FileHash", {"LiteralPath": list(paths), "Algorithm": "SHA256"})
    return Statement(key, (digest, _select("Path", "Hash")))


def acl(key: str, path: str) -> Statement:
    """Owner (a name, in the host's language) and Sddl (owner and entries by SID) of a file or folder."""
    return Statement(key, (Command("Get-Acl", {"LiteralPath": path}), _select("Owner", "Sddl")))


def pause(key: str, seconds: float) -> Statement:
    """Nothing for a while, on the host: the rhythm of a `Host.watch`. Not more than 60 seconds at a time."""
    if not 0 <= seconds <= 60:
        raise Unsendable(f"a pause is at most 60 seconds long, not {seconds}")
    return Statement(key, (Command("Start-Sleep", {"Milliseconds": round(seconds * 1000)}),), "none")


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
    fields = _select("TimeCreated", "Id", "ProviderName", "Level", "LogName", "RecordId", "Message", "Properties")
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
    fields = _select("Name", "DisplayName", "Status", "StartType")
    return Statement(key, (Command("Get-Service", {"Name": list(names)}), fields))
