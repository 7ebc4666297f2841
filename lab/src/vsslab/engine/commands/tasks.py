# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scheduled tasks: Register-, Set-, Get-, Start-, Stop-, Export-, Unregister-, Enable-, Disable-ScheduledTask.

Source: the ScheduledTasks reference of Windows Server 2019. The commands are functions over CIM (CDXML): their error
IDs are "HRESULT 0x........,NAME" and "CmdletizationQuery_NotFound_TaskName,NAME", and they do not end the statement.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

from vsslab.windows.tasks import Task, folder_path
from vsslab.windows.taskxml import TaskError

from .. import cdxml
from .. import ciminstances as ci
from ..command import Call, command
from ..taskparts import NAMESPACE, part, xml_of
from ..values import U32, EnumValue, Obj, Secret, Wildcard, has_wildcard, lookup, text_of

_STATES = {"Disabled": 1, "Queued": 2, "Ready": 3, "Running": 4}
_STATE_TYPE = "Microsoft.PowerShell.Cmdletization.GeneratedTypes.ScheduledTask.StateEnum"
_NEVER = datetime.datetime(1999, 11, 30)
_ONE = ("TaskName", "TaskPath", "InputObject")


def task_object(task: Task) -> Obj:
    """An MSFT_ScheduledTask."""
    definition = task.definition
    actions = [
        Obj(ci.types_of("MSFT_TaskExecAction", NAMESPACE),
            {"Id": None, "Arguments": each.arguments or None, "Execute": each.command,
             "WorkingDirectory": each.working_directory or None}, text="MSFT_TaskExecAction")
        for each in definition.actions]  # fmt: skip
    principal = Obj(ci.types_of("MSFT_TaskPrincipal2", NAMESPACE), {"UserId": task.account.name, "Id": "Author"},
                    text="MSFT_TaskPrincipal2")  # fmt: skip
    own: dict[str, Any] = {
        "Actions": actions,
        "Author": definition.author or None,
        "Date": None,
        "Description": definition.description or None,
        "Documentation": None,
        "Principal": principal,
        "SecurityDescriptor": None,
        "Source": None,
        "State": EnumValue(task.state, _STATES[task.state], _STATE_TYPE),
        "TaskName": task.name,
        "TaskPath": task.path,
        "URI": task.uri,
        "Version": None,
    }
    return Obj(
        ci.types_of("MSFT_ScheduledTask", NAMESPACE),
        own,
        {"PSComputerName": None},
        text=f'MSFT_ScheduledTask (TaskName = "{task.name}", TaskPath = "{task.path}")',
        source=task,
    )


def _refused(call: Call, problem: TaskError) -> None:
    number = problem.hresult & 0xFFFFFFFF
    call.error(
        problem.text,
        f"HRESULT 0x{number:08x}",
        ci.CATEGORIES.get(number, "NotSpecified"),
        exception=ci.EXCEPTION,
        target_name="PS_ScheduledTask",
        target_type="Root/Microsoft/...S_ScheduledTask",
        hresult=number - 0x100000000,
    )


def _named(call: Call) -> tuple[str, str]:
    """(path, name) of the one task that -TaskPath and -TaskName, or a piped task, mean."""
    if call.has("InputObject"):
        task = call.get("InputObject")
        return str(task.props["TaskPath"]), str(task.props["TaskName"])
    path, _, name = call.get("TaskName").rpartition("\\")
    return folder_path(call.get("TaskPath", path)), name


def _matching(call: Call) -> list[Task]:
    """The tasks that names and paths (with wildcards) mean; a name that none has is reported."""
    if call.has("InputObject"):
        pairs = [(each.props["TaskPath"], each.props["TaskName"]) for each in call.get("InputObject")]
        return [task for task in (call.host.tasks.find(path, name) for path, name in pairs) if task is not None]
    paths = [Wildcard(each) for each in call.texts("TaskPath")]
    here = [each for each in call.host.tasks.list() if not paths or any(path.matches(each.path) for path in paths)]
    found: list[Task] = []
    for wanted in call.texts("TaskName") or ["*"]:
        matching = [each for each in here if Wildcard(wanted).matches(each.name)]
        if not matching and not has_wildcard(wanted):
            call.error(
                f"No MSFT_ScheduledTask objects found with property 'TaskName' equal to '{wanted}'.  "
                f"Verify the value of "
                "the property and retry.",
                "CmdletizationQuery_NotFound_TaskName",
                "ObjectNotFound",
                target=wanted,
                exception=cdxml.JOB_FAILED,
            )
        found += [each for each in matching if each not in found]
    return found


_PARTS = {"Action": "Actions", "Trigger": "Triggers", "Settings": "Settings", "Principal": "Principals",
          "Description": "RegistrationInfo"}  # fmt: skip
_PART_NAMES = ("Action", "Trigger", "Settings", "Principal", "Description", "RunLevel")


def _parts(call: Call) -> dict[str, Any]:
    """The sections of the XML that the parameters, or the parts of a piped task, give."""
    if call.has("InputObject"):
        task = call.get("InputObject")
        found = {name: lookup(task, name)[1] for name in ("Actions", "Triggers", "Settings")}
        found |= {"Principals": lookup(task, "Principal")[1], "RegistrationInfo": lookup(task, "Description")[1]}
    else:
        found = {section: call.get(name) for name, section in _PARTS.items()}
        if call.has("RunLevel"):
            found["Principals"] = part("MSFT_TaskPrincipal2", {"UserId": call.get("User"),
                                                               "RunLevel": text_of(call.get("RunLevel"))})  # fmt: skip
    return {section: each for section, each in found.items() if each is not None}


def _register(call: Call, path: str, name: str, xml: str, *, force: bool) -> None:
    password = call.get("Password")
    try:
        task = call.host.tasks.register(
            folder_path(path), name, xml, call.get("User"), force,
            password=password.text if isinstance(password, Secret) else password, by=call.user)  # fmt: skip
    except TaskError as problem:
        _refused(call, problem)
    else:
        call.write(task_object(task))


@command("Register-ScheduledTask", only=("TaskName", "TaskPath", "Xml", "User", "Password", "Force", "InputObject",
                                         *_PART_NAMES))  # fmt: skip
def register_task(call: Call) -> None:
    """A task from its XML or from its parts; an existing one is replaced with -Force only."""
    path, _, name = call.get("TaskName", "").rpartition("\\")
    xml = call.get("Xml") if call.has("Xml") else xml_of(None, _parts(call))
    _register(call, call.get("TaskPath", path), name, xml, force=call.flag("Force"))


@command("Set-ScheduledTask", only=("TaskName", "TaskPath", "User", "Password", "InputObject", *_PART_NAMES))
def set_task(call: Call) -> None:
    """Other parts for a task that exists."""
    path, name = _named(call)
    try:
        task = call.host.tasks.get(path, name)
    except TaskError as problem:
        _refused(call, problem)
        return
    source = call.get("InputObject")
    parts = {} if source is not None and isinstance(source.source, Task) else _parts(call)
    _register(call, path, name, xml_of(task.xml, parts), force=True)


@command("Get-ScheduledTask", only=("TaskName", "TaskPath"))
def get_task(call: Call) -> None:
    """Tasks by name and folder."""
    for each in _matching(call):
        call.write(task_object(each))


@command("Get-ScheduledTaskInfo", only=_ONE)
def get_task_info(call: Call) -> None:
    """When a task ran last, how it ended (267009: it runs, 267011: it never ran), when it runs next."""
    path, name = _named(call)
    try:
        info = call.host.tasks.info(path, name)
        task = call.host.tasks.get(path, name)
    except TaskError as problem:
        _refused(call, problem)
        return
    clock = call.host.clock
    never = _NEVER.replace(tzinfo=clock.zone)
    own = {"LastRunTime": never if info.last_run is None else clock.local(info.last_run),
           "LastTaskResult": U32(info.last_result & 0xFFFFFFFF),
           "NextRunTime": None if info.next_run is None else clock.local(info.next_run),
           "NumberOfMissedRuns": U32(info.missed_runs), "TaskName": task.name, "TaskPath": task.path}  # fmt: skip
    call.write(
        Obj(ci.types_of("MSFT_TaskDynamicInfo", NAMESPACE), own, {"PSComputerName": None}, text="MSFT_TaskDynamicInfo")
    )


def _do(call: Call, action: Callable[[str, str], object]) -> None:
    path, name = _named(call)
    try:
        action(path, name)
    except TaskError as problem:
        _refused(call, problem)


@command("Start-ScheduledTask", only=_ONE)
def start_task(call: Call) -> None:
    """Start a task; the command does not wait for it."""
    _do(call, lambda path, name: call.host.tasks.start(path, name, by=call.user))


@command("Stop-ScheduledTask", only=_ONE)
def stop_task(call: Call) -> None:
    """End what a task runs."""
    _do(call, lambda path, name: call.host.tasks.stop(path, name, by=call.user))


def _set_enabled(call: Call, *, enabled: bool) -> None:
    _do(call, lambda path, name: call.host.tasks.set_enabled(path, name, enabled, by=call.user))
    task = call.host.tasks.find(*_named(call))
    if task is not None:
        call.write(task_object(task))


@command("Enable-ScheduledTask", only=_ONE)
def enable_task(call: Call) -> None:
    """Let a task run again."""
    _set_enabled(call, enabled=True)


@command("Disable-ScheduledTask", only=_ONE)
def disable_task(call: Call) -> None:
    """Keep a task from running."""
    _set_enabled(call, enabled=False)


@command("Export-ScheduledTask", only=_ONE)
def export_task(call: Call) -> None:
    """A task's XML."""
    if not call.has("TaskName") and not call.has("InputObject"):
        raise call.refuse("Export-ScheduledTask without a task")
    _do(call, lambda path, name: call.write(call.host.tasks.get(path, name).xml))


@command("Unregister-ScheduledTask", only=(*_ONE, "PassThru", "WhatIf", "Confirm"))
def unregister_task(call: Call) -> None:
    """Remove tasks; asks first, so that -Confirm:$false is needed in a session that cannot answer."""
    for each in _matching(call):
        if not call.should_process(high_impact=True):
            continue
        try:
            call.host.tasks.unregister(each.path, each.name, by=call.user)
        except TaskError as problem:
            _refused(call, problem)
            continue
        if call.flag("PassThru"):
            call.write(task_object(each))
