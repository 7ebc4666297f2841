# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of a scheduled task as objects of the pipeline, and the XML that they make.

Sources: the ScheduledTasks reference (New-ScheduledTask*), "Task Scheduler Schema" for the elements.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree as ET

from defusedxml.ElementTree import fromstring

from . import ciminstances as ci
from .command import Call
from .convert import with_zone
from .values import Obj, lookup, text_of

NAMESPACE = "Root/Microsoft/Windows/TaskScheduler"
_XMLNS = "http://schemas.microsoft.com/windows/2004/02/mit/task"
_Q = f"{{{_XMLNS}}}"
_ORDER = ("RegistrationInfo", "Triggers", "Principals", "Settings", "Actions")
_RUN_LEVELS = {"Limited": "LeastPrivilege", "Highest": "HighestAvailable"}
_LOGON_TYPES = {"Interactive": "InteractiveToken", "InteractiveOrPassword": "InteractiveTokenOrPassword",
                "Password": "Password", "S4U": "S4U"}  # fmt: skip


def part(class_name: str, own: dict[str, Any]) -> Obj:
    """A CIM instance of the Task Scheduler's namespace; `deep`, for it is whole inside a task too."""
    return Obj(ci.types_of(class_name, NAMESPACE), own, {"PSComputerName": None}, text=class_name, deep=True)


def duration(span: datetime.timedelta) -> str:
    """A time span as an xs:duration ('PT1H30M')."""
    total = int(span.total_seconds())
    days, rest = divmod(total, 86400)
    times = ((rest // 3600, "H"), (rest // 60 % 60, "M"), (rest % 60, "S"))
    time = "".join(f"{number}{mark}" for number, mark in times if number)
    if not total:
        return "PT0S"
    return "P" + (f"{days}D" if days else "") + (f"T{time}" if time else "")


def boundary(call: Call, moment: datetime.datetime) -> str:
    """A moment as a trigger's boundary: local time with its offset."""
    local = call.host.clock.local(with_zone(moment, call.host.clock.zone))
    return local.isoformat(timespec="seconds")


def value(source: Any, name: str) -> str:
    """A property of an object as text ('' for null), also of one that a client sent back."""
    return text_of(lookup(source, name)[1])


def class_of(source: Obj) -> str:
    """The CIM class of an object."""
    return next((each.rpartition("/")[2] for each in source.types if "/" in each),
                source.types[0].rpartition("#")[2] if source.types else "")  # fmt: skip


# -- the elements ------------------------------------------------------------------------------------------------------
def _add(parent: ET.Element, name: str, text: str) -> None:
    if text:
        ET.SubElement(parent, _Q + name).text = text


def _actions(given: list[Obj]) -> ET.Element:
    made = ET.Element(_Q + "Actions", {"Context": "Author"})
    for each in given:
        inner = ET.SubElement(made, _Q + "Exec")
        for element, name in (("Command", "Execute"), ("Arguments", "Arguments"),
                              ("WorkingDirectory", "WorkingDirectory")):  # fmt: skip
            _add(inner, element, value(each, name))
    return made


_TRIGGERS = {"MSFT_TaskTimeTrigger": "TimeTrigger", "MSFT_TaskBootTrigger": "BootTrigger",
             "MSFT_TaskLogonTrigger": "LogonTrigger", "MSFT_TaskDailyTrigger": "CalendarTrigger",
             "MSFT_TaskWeeklyTrigger": "CalendarTrigger"}  # fmt: skip


def _triggers(given: list[Obj]) -> ET.Element:
    made = ET.Element(_Q + "Triggers")
    for each in given:
        inner = ET.SubElement(made, _Q + _TRIGGERS.get(class_of(each), class_of(each)))
        repetition = lookup(each, "Repetition")[1]
        if repetition is not None and value(repetition, "Interval"):
            again = ET.SubElement(inner, _Q + "Repetition")
            _add(again, "Interval", value(repetition, "Interval"))
            _add(again, "Duration", value(repetition, "Duration"))
        for name in ("StartBoundary", "EndBoundary", "RandomDelay", "Delay", "UserId"):
            _add(inner, name, value(each, name))
        days, weeks = value(each, "DaysInterval"), value(each, "WeeksInterval")
        if days:
            _add(ET.SubElement(inner, _Q + "ScheduleByDay"), "DaysInterval", days)
        if weeks:
            schedule = ET.SubElement(inner, _Q + "ScheduleByWeek")
            _add(schedule, "WeeksInterval", weeks)
            names = ET.SubElement(schedule, _Q + "DaysOfWeek")
            for day in value(each, "DaysOfWeek").split():
                ET.SubElement(names, _Q + day)
    return made


def _principals(given: Obj) -> ET.Element:
    made = ET.Element(_Q + "Principals")
    inner = ET.SubElement(made, _Q + "Principal", {"id": "Author"})
    for name in ("UserId", "GroupId"):
        _add(inner, name, value(given, name))
    _add(inner, "LogonType", _LOGON_TYPES.get(value(given, "LogonType"), ""))
    _add(inner, "RunLevel", _RUN_LEVELS.get(value(given, "RunLevel"), ""))
    return made


def _boolean(text: str) -> str:
    return text.lower()


_SETTINGS: tuple[tuple[str, str, Callable[[str], str]], ...] = (
    ("AllowStartOnDemand", "AllowDemandStart", _boolean), ("MultipleInstancesPolicy", "MultipleInstances", str),
    ("DisallowStartIfOnBatteries", "DisallowStartIfOnBatteries", _boolean),
    ("StopIfGoingOnBatteries", "StopIfGoingOnBatteries", _boolean),
    ("AllowHardTerminate", "AllowHardTerminate", _boolean), ("StartWhenAvailable", "StartWhenAvailable", _boolean),
    ("RunOnlyIfNetworkAvailable", "RunOnlyIfNetworkAvailable", _boolean), ("WakeToRun", "WakeToRun", _boolean),
    ("Enabled", "Enabled", _boolean), ("Hidden", "Hidden", _boolean), ("ExecutionTimeLimit", "ExecutionTimeLimit", str),
    ("DeleteExpiredTaskAfter", "DeleteExpiredTaskAfter", str), ("Priority", "Priority", str),
    ("RunOnlyIfIdle", "RunOnlyIfIdle", _boolean),
)  # fmt: skip


def _settings(given: Obj) -> ET.Element:
    made = ET.Element(_Q + "Settings")
    for element, name, convert in _SETTINGS:
        _add(made, element, convert(value(given, name)))
    if value(given, "RestartCount") not in {"", "0"}:
        again = ET.SubElement(made, _Q + "RestartOnFailure")
        _add(again, "Interval", value(given, "RestartInterval"))
        _add(again, "Count", value(given, "RestartCount"))
    return made


def _registration(description: str) -> ET.Element:
    made = ET.Element(_Q + "RegistrationInfo")
    _add(made, "Description", description)
    return made


def xml_of(old: str | None, parts: dict[str, Any]) -> str:
    """The XML of a task: `old` (or an empty one) with the sections of `parts` in the place of its own.

    Keys of `parts`: Actions, Triggers (lists), Principals, Settings (objects), RegistrationInfo (a description).
    """
    root = ET.Element(_Q + "Task", {"version": "1.3"}) if old is None else fromstring(old, forbid_dtd=True)
    make: dict[str, Callable[[Any], ET.Element]] = {
        "Actions": _actions, "Triggers": _triggers, "Principals": _principals, "Settings": _settings,
        "RegistrationInfo": _registration}  # fmt: skip
    for name, given in parts.items():
        for gone in root.findall(_Q + name):
            root.remove(gone)
        root.append(make[name](given))
    root[:] = sorted(root, key=lambda each: _ORDER.index(each.tag.removeprefix(_Q))
                     if each.tag.removeprefix(_Q) in _ORDER else len(_ORDER))  # fmt: skip
    ET.register_namespace("", _XMLNS)
    return '<?xml version="1.0" encoding="UTF-16"?>\n' + ET.tostring(root, encoding="unicode")
