# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of a scheduled task: New-ScheduledTask, New-ScheduledTaskAction, -Trigger, -Principal, -SettingsSet.

Source: the ScheduledTasks reference of Windows Server 2019 (the defaults of New-ScheduledTaskSettingsSet).
"""

from __future__ import annotations

from typing import Any

from ..command import Call, command
from ..taskparts import boundary, duration, part
from ..values import I16, text_of

_SETTINGS_SPANS = ("DeleteExpiredTaskAfter", "ExecutionTimeLimit", "RestartInterval")


@command("New-ScheduledTaskAction", only=("Id", "Execute", "Argument", "WorkingDirectory"))
def new_action(call: Call) -> None:
    """A program to run."""
    own = {"Id": call.get("Id"), "Arguments": call.get("Argument"), "Execute": call.get("Execute"),
           "WorkingDirectory": call.get("WorkingDirectory")}  # fmt: skip
    call.write(part("MSFT_TaskExecAction", own))


@command("New-ScheduledTaskTrigger", only=("RandomDelay", "At", "Once", "Daily", "Weekly", "AtStartup", "AtLogOn",
                                           "DaysInterval", "DaysOfWeek", "WeeksInterval", "RepetitionDuration",
                                           "RepetitionInterval", "User"))  # fmt: skip
def new_trigger(call: Call) -> None:
    """When a task starts by itself; registering daily, weekly and logon triggers may be refused."""
    own: dict[str, Any] = {"Enabled": True, "EndBoundary": None, "ExecutionTimeLimit": None, "Id": None,
                           "Repetition": None, "StartBoundary": None}  # fmt: skip
    if call.has("At"):
        own["StartBoundary"] = boundary(call, call.get("At"))
    if call.has("RepetitionInterval"):
        lasting = duration(call.get("RepetitionDuration")) if call.has("RepetitionDuration") else None
        own["Repetition"] = part("MSFT_TaskRepetitionPattern",
                                 {"Duration": lasting, "Interval": duration(call.get("RepetitionInterval")),
                                  "StopAtDurationEnd": False})  # fmt: skip
    delay = duration(call.get("RandomDelay")) if call.has("RandomDelay") else None
    if call.flag("AtStartup"):
        call.write(part("MSFT_TaskBootTrigger", {**own, "Delay": delay}))
    elif call.flag("AtLogOn"):
        call.write(part("MSFT_TaskLogonTrigger", {**own, "Delay": delay, "UserId": call.get("User")}))
    elif call.flag("Daily"):
        days = I16(call.get("DaysInterval", 1))
        call.write(part("MSFT_TaskDailyTrigger", {**own, "DaysInterval": days, "RandomDelay": delay}))
    elif call.flag("Weekly"):
        call.write(part("MSFT_TaskWeeklyTrigger", {**own, "DaysOfWeek": call.texts("DaysOfWeek"), "RandomDelay": delay,
                                                   "WeeksInterval": I16(call.get("WeeksInterval", 1))}))  # fmt: skip
    else:
        call.write(part("MSFT_TaskTimeTrigger", {**own, "RandomDelay": delay}))


@command("New-ScheduledTaskPrincipal", only=("Id", "UserId", "GroupId", "LogonType", "RunLevel", "ProcessTokenSidType"))
def new_principal(call: Call) -> None:
    """Who a task runs as."""
    own = {"DisplayName": None, "GroupId": call.get("GroupId"), "Id": call.get("Id"),
           "LogonType": call.get("LogonType", "None"), "RunLevel": text_of(call.get("RunLevel")) or "Limited",
           "UserId": call.get("UserId"), "ProcessTokenSidType": call.get("ProcessTokenSidType", "Default"),
           "RequiredPrivilege": None}  # fmt: skip
    call.write(part("MSFT_TaskPrincipal2", own))


@command(
    "New-ScheduledTaskSettingsSet",
    only=(
        "DisallowDemandStart",
        "DisallowHardTerminate",
        "Compatibility",
        "DeleteExpiredTaskAfter",
        "AllowStartIfOnBatteries",
        "Disable",
        "Hidden",
        "RunOnlyIfIdle",
        "StartWhenAvailable",
        "DontStopIfGoingOnBatteries",
        "WakeToRun",
        "ExecutionTimeLimit",
        "MultipleInstances",
        "Priority",
        "RestartCount",
        "RestartInterval",
        "RunOnlyIfNetworkAvailable",
    ),
)
def new_settings(call: Call) -> None:
    """How a task is run."""
    spans = {name: duration(call.get(name)) if call.has(name) else None for name in _SETTINGS_SPANS}
    own = {
        "AllowDemandStart": not call.flag("DisallowDemandStart"),
        "AllowHardTerminate": not call.flag("DisallowHardTerminate"),
        "Compatibility": call.get("Compatibility", "Vista"),
        "DeleteExpiredTaskAfter": spans["DeleteExpiredTaskAfter"],
        "DisallowStartIfOnBatteries": not call.flag("AllowStartIfOnBatteries"),
        "Enabled": not call.flag("Disable"),
        "ExecutionTimeLimit": spans["ExecutionTimeLimit"] or "PT72H",
        "Hidden": call.flag("Hidden"),
        "MultipleInstances": call.get("MultipleInstances", "IgnoreNew"),
        "Priority": int(call.get("Priority", 7)),
        "RestartCount": int(call.get("RestartCount", 0)),
        "RestartInterval": spans["RestartInterval"],
        "RunOnlyIfIdle": call.flag("RunOnlyIfIdle"),
        "RunOnlyIfNetworkAvailable": call.flag("RunOnlyIfNetworkAvailable"),
        "StartWhenAvailable": call.flag("StartWhenAvailable"),
        "StopIfGoingOnBatteries": not call.flag("DontStopIfGoingOnBatteries"),
        "WakeToRun": call.flag("WakeToRun"),
        "volatile": False,
    }
    call.write(part("MSFT_TaskSettings3", own))


@command("New-ScheduledTask", only=("Action", "Description", "Principal", "Settings", "Trigger"))
def new_task(call: Call) -> None:
    """A task that nobody has registered yet."""
    own = {"Actions": call.get("Action") or [], "Author": None, "Date": None, "Description": call.get("Description"),
           "Documentation": None, "Principal": call.get("Principal"), "SecurityDescriptor": None,
           "Settings": call.get("Settings"), "Source": None, "TaskName": None, "TaskPath": None,
           "Triggers": call.get("Trigger") or [], "URI": None, "Version": None}  # fmt: skip
    call.write(part("MSFT_ScheduledTask", own))
