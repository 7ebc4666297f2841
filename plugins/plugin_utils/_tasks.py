# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scheduled tasks: the verbs about them, and the XML that describes one (Task Scheduler Schema, version 1.2).

A task's argument line is the one place where arguments become text: `argument_line` quotes them.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ._pipeline import Command, Statement, Unsendable

TASK_PATH = "\\umbra-vss\\"

# LastTaskResult: SCHED_S_TASK_RUNNING and SCHED_S_TASK_HAS_NOT_RUN (Task Scheduler Error and Success Constants).
RUNNING, NEVER_RUN = 267009, 267011
SYSTEM = "S-1-5-18"

_TASK_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*$")


def _xml(text: str) -> str:
    return html.escape(text, quote=False)  # not xml.sax.saxutils, which takes in an HTTP client with it


def _task(name: str) -> dict[str, Any]:
    if not _TASK_NAME.match(name):
        raise Unsendable(f"{name!r} is not a name for a scheduled task")
    return {"TaskName": name, "TaskPath": TASK_PATH}


def _act_on_task(key: str, cmdlet: str, name: str, more: Mapping[str, Any] | None = None) -> Statement:
    return Statement(key, (Command(cmdlet, {**_task(name), **(more or {}), "ErrorAction": "Stop"}),), "none")


def register_task(key: str, name: str, xml: str) -> Statement:
    """Register a task of ours, run as SYSTEM, replacing one of the same name. xml: see `task_xml`."""
    return _act_on_task(key, "Register-ScheduledTask", name, {"Xml": xml, "User": "SYSTEM", "Force": True})


def start_task(key: str, name: str) -> Statement:
    """Start a task of ours; it runs on its own, whatever becomes of the connection."""
    return _act_on_task(key, "Start-ScheduledTask", name)


def stop_task(key: str, name: str) -> Statement:
    """Stop a task of ours and the program it runs. A missing one is an error unless the statement is tolerant()."""
    return Statement(key, (Command("Stop-ScheduledTask", _task(name)),), "none")


def remove_task(key: str, name: str) -> Statement:
    """Unregister a task of ours. A missing one is an error unless the statement is tolerant()."""
    return Statement(key, (Command("Unregister-ScheduledTask", {**_task(name), "Confirm": False}),), "none")


def task_info(key: str, name: str) -> Statement:
    """TaskName, LastTaskResult (exit code; 267009 running, 267011 never run), LastRunTime and NextRunTime."""
    fields = Command("Select-Object", {"Property": ["TaskName", "LastTaskResult", "LastRunTime", "NextRunTime"]})
    return Statement(key, (Command("Get-ScheduledTaskInfo", _task(name)), fields))


def tasks(key: str) -> Statement:
    """TaskName, TaskPath, State (3 ready, 4 running, as numbers) and Description of all tasks of ours."""
    listing = Command("Get-ScheduledTask", {"TaskPath": [f"{TASK_PATH}*"]})
    fields = Command("Select-Object", {"Property": ["TaskName", "TaskPath", "State", "Description"]})
    return Statement(key, (listing, fields))


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# What the Task Scheduler itself replaces in an action: arguments of a started task, and environment variables.
_EXPANDED = re.compile(r"\$\(Arg\d+\)|%[^%]+%", re.IGNORECASE)
_LONGEST = 30_000  # characters; CreateProcess takes 32,767 with the program's path


class Quoted(str):
    """A token that stands in quotes also where it has no blank: cmd then takes its signs for what they are."""


def quoted(token: str) -> str:
    """One token of a command line, so that CommandLineToArgvW gives it back unchanged. Raises Unsendable."""
    if not token:
        raise Unsendable("a task's program cannot be given an empty argument")
    if '"' in token or _CONTROL.search(token):
        raise Unsendable(f"an argument of a task must not hold quotes or control characters: {token!r}")
    if _EXPANDED.search(token):
        raise Unsendable(f"an argument of a task must not hold what the Task Scheduler would replace: {token!r}")
    if not isinstance(token, Quoted) and not any(character.isspace() for character in token):
        return str(token)
    # Backslashes before the closing quote would escape it: each is doubled.
    trailing = len(token) - len(token.rstrip("\\"))
    return '"' + token + "\\" * trailing + '"'


def argument_line(args: Sequence[str]) -> str:
    """The argument line of a task's action. Raises Unsendable."""
    line = " ".join(quoted(arg) for arg in args)
    if len(line) > _LONGEST:
        raise Unsendable(f"a task's argument line of {len(line)} characters is too long (at most {_LONGEST})")
    return line


def _action(exe: str, args: Sequence[str]) -> str:
    if not re.match(r"^[A-Za-z]:\\", exe):
        raise Unsendable(f"a task's program is named by its full path, not as {exe!r}")
    quoted(exe)
    arguments = f"<Arguments>{_xml(argument_line(args))}</Arguments>" if args else ""
    return f"<Exec><Command>{_xml(exe)}</Command>{arguments}</Exec>"


def _duration(seconds: int) -> str:
    hours, rest = divmod(int(seconds), 3600)
    minutes, rest = divmod(rest, 60)
    return f"PT{hours}H{minutes}M{rest}S"


# No triggers: a task of ours runs when it is started, and only then. A second start while it runs is ignored. It runs
# on batteries too and is never stopped for being idle, on batteries or old: only its time limit ends it.
_SETTINGS = {
    "MultipleInstancesPolicy": "IgnoreNew",
    "DisallowStartIfOnBatteries": "false",
    "StopIfGoingOnBatteries": "false",
    "AllowHardTerminate": "true",
    "StartWhenAvailable": "false",
    "RunOnlyIfNetworkAvailable": "false",
    "AllowStartOnDemand": "true",
    "Enabled": "true",
    "Hidden": "false",
    "RunOnlyIfIdle": "false",
    "WakeToRun": "false",
    "Priority": "7",
}


def task_xml(
    actions: Sequence[tuple[str, Sequence[str]]], *, limit: int, description: str = "", start: str = ""
) -> str:
    """The XML of a task of ours, run as SYSTEM with highest rights.

    actions: full path of a program and its arguments, one after the other (each runs when the one before has ended).
    limit: seconds after which the Task Scheduler ends it. start: an ISO 8601 moment in UTC at which it also starts by
    itself, once (for a lease); by default it has no trigger at all.
    """
    if not actions or limit < 1:
        raise Unsendable("a task needs something to do and a time limit of at least a second")
    settings = {**_SETTINGS, "ExecutionTimeLimit": _duration(limit)}
    trigger = ""
    if start:
        if not re.match(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$", start):
            raise Unsendable(f"a task starts at a moment like 2026-01-31T12:00:00Z, not {start!r}")
        settings["StartWhenAvailable"] = "true"  # also when the host was off at that moment
        trigger = f"<TimeTrigger><StartBoundary>{start}</StartBoundary><Enabled>true</Enabled></TimeTrigger>"
    told = "".join(f"<{name}>{value}</{name}>" for name, value in settings.items())
    return (
        '<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">'
        f"<RegistrationInfo><Author>umbra.vss</Author><Description>{_xml(description)}</Description></RegistrationInfo>"
        f"<Triggers>{trigger}</Triggers>"
        f'<Principals><Principal id="Author"><UserId>{SYSTEM}</UserId><RunLevel>HighestAvailable</RunLevel></Principal>'
        f'</Principals><Settings>{told}</Settings><Actions Context="Author">'
        + "".join(_action(exe, args) for exe, args in actions)
        + "</Actions></Task>"
    )
