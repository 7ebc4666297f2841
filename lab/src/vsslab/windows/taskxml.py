# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Task definitions: the XML of the Task Scheduler read strictly.

Source: "Task Scheduler Schema" (Windows documentation), error values from its "Error and Success Constants". What the
laboratory cannot do it refuses, naming the element; what changes nothing in a laboratory (batteries, idle time,
priorities) it accepts.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.etree.ElementTree import Element, ParseError

import defusedxml
from defusedxml.ElementTree import fromstring

from .triggers import WEEKDAYS, Trigger

NAMESPACE = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"
UNEXPECTED_NODE, WRONG_NAMESPACE, INVALID_VALUE, MISSING_NODE, MALFORMED = range(0x80041316, 0x8004131B)
TOO_MANY_NODES = 0x8004131D
NOT_IMPLEMENTED = 0x80004001
MOST_ACTIONS = 32  # "Actions (taskType) Element"
_POLICIES = ("IgnoreNew", "Parallel", "Queue", "StopExisting")
_LOGON_TYPES = ("S4U", "Password", "InteractiveToken", "InteractiveTokenOrPassword")
_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?")
_HARMLESS = frozenset(
    [
        "DisallowStartIfOnBatteries",
        "StopIfGoingOnBatteries",
        "AllowHardTerminate",
        "RunOnlyIfNetworkAvailable",
        "IdleSettings",
        "Hidden",
        "WakeToRun",
        "Priority",
        "UseUnifiedSchedulingEngine",
        "DisallowStartOnRemoteAppSession",
    ]
)
_DESCRIPTIVE = frozenset(
    ["Date", "Author", "Description", "URI", "Source", "Version", "Documentation", "SecurityDescriptor"]
)


class TaskError(Exception):
    """The Task Scheduler refused: `hresult` its error value, the text one sentence."""

    def __init__(self, hresult: int, text: str) -> None:
        super().__init__(text)
        self.hresult = hresult
        self.text = text


@dataclass(frozen=True)
class Action:
    """One Exec action: a program, its arguments as one text, and the folder it starts in."""

    command: str
    arguments: str = ""
    working_directory: str = ""


@dataclass
class Definition:
    """Everything of a task's XML that the laboratory acts on. Durations in seconds, 0: none."""

    actions: list[Action] = field(default_factory=list)
    triggers: list[Trigger] = field(default_factory=list)
    user_id: str | None = None
    logon_type: str | None = None
    run_level: str = "LeastPrivilege"
    author: str = ""
    description: str = ""
    policy: str = "IgnoreNew"
    time_limit: float = 259200.0
    on_demand: bool = True
    enabled: bool = True
    delete_after: float | None = None
    when_available: bool = False


def seconds_of(text: str, where: str) -> float:
    """The seconds of an xs:duration of days, hours, minutes and seconds."""
    found = _DURATION.fullmatch(text.strip())
    if not found or not any(found.groups()):
        raise TaskError(
            INVALID_VALUE, f"The task XML contains a value which is incorrectly formatted ({where}: {text})."
        )
    days, hours, minutes, seconds = (int(each or 0) for each in found.groups())
    return float(days * 86400 + hours * 3600 + minutes * 60 + seconds)


def _tag(element: Element) -> str:
    name = str(element.tag)
    if not name.startswith(NAMESPACE):
        raise TaskError(WRONG_NAMESPACE, f"The task XML contains an element with an unknown namespace ({name}).")
    return name.removeprefix(NAMESPACE)


def _text(element: Element) -> str:
    return (element.text or "").strip()


def _boolean(element: Element) -> bool:
    values = {"true": True, "1": True, "false": False, "0": False}
    if _text(element).lower() not in values:
        raise TaskError(INVALID_VALUE, f"The task XML contains a value out of range ({_tag(element)}).")
    return values[_text(element).lower()]


def _one_of(element: Element, known: tuple[str, ...]) -> str:
    if _text(element) not in known:
        raise TaskError(
            INVALID_VALUE, f"The task XML contains a value out of range ({_tag(element)}: {_text(element)})."
        )
    return _text(element)


def _unexpected(element: Element) -> TaskError:
    return TaskError(UNEXPECTED_NODE, f"The task XML contains an unexpected node ({_tag(element)}).")


def _not_simulated(what: str) -> TaskError:
    return TaskError(NOT_IMPLEMENTED, f"vsslab does not simulate {what} of a scheduled task.")


def parse(xml: str, zone: datetime.tzinfo) -> Definition:
    """The definition in a task's XML; times without an offset are in `zone`. TaskError where Windows refuses."""
    try:
        root = fromstring(xml, forbid_dtd=True)
    except ParseError as problem:
        line, column = problem.position
        raise TaskError(MALFORMED, f"The task XML is malformed. ({line},{column + 1})") from problem
    except (defusedxml.common.DefusedXmlException, ValueError) as problem:
        raise TaskError(MALFORMED, "The task XML is malformed. (1,1) It must not have a document type.") from problem
    if _tag(root) != "Task":
        raise _unexpected(root)
    definition = Definition()
    parts: Mapping[str, Callable[[Element, Definition, datetime.tzinfo], None]] = {
        "RegistrationInfo": _registration,
        "Triggers": _triggers,
        "Principals": _principals,
        "Settings": _settings,
        "Actions": _actions,
        "Data": lambda _element, _definition, _zone: None,
    }
    for element in root:
        part = parts.get(_tag(element))
        if part is None:
            raise _unexpected(element)
        part(element, definition, zone)
    if not definition.actions:
        raise TaskError(MISSING_NODE, "The task XML is missing a required element or attribute (Actions).")
    if len(definition.actions) > MOST_ACTIONS:
        raise TaskError(TOO_MANY_NODES, "The task XML contains too many nodes of the same type (Exec).")
    if definition.delete_after is not None and not any(each.end for each in definition.triggers):
        raise TaskError(MISSING_NODE, "The task XML is missing a required element or attribute (EndBoundary).")
    return definition


def _registration(element: Element, definition: Definition, _zone: datetime.tzinfo) -> None:
    for each in element:
        if _tag(each) not in _DESCRIPTIVE:
            raise _unexpected(each)
        if _tag(each) in {"Author", "Description"}:
            setattr(definition, _tag(each).lower(), _text(each))


def _principals(element: Element, definition: Definition, _zone: datetime.tzinfo) -> None:
    for principal in element:
        if _tag(principal) != "Principal":
            raise _unexpected(principal)
        for each in principal:
            name = _tag(each)
            if name == "UserId":
                definition.user_id = _text(each)
            elif name == "LogonType":
                definition.logon_type = _one_of(each, _LOGON_TYPES)
            elif name == "RunLevel":
                definition.run_level = _one_of(each, ("LeastPrivilege", "HighestAvailable"))
            elif name in {"GroupId", "ProcessTokenSidType", "RequiredPrivileges"}:
                raise _not_simulated(f"the principal's {name}")
            elif name != "DisplayName":
                raise _unexpected(each)


def _settings(element: Element, definition: Definition, _zone: datetime.tzinfo) -> None:
    for each in element:
        name = _tag(each)
        if name == "MultipleInstancesPolicy":
            definition.policy = _one_of(each, _POLICIES)
        elif name == "ExecutionTimeLimit":
            definition.time_limit = seconds_of(_text(each), name)
        elif name == "AllowStartOnDemand":
            definition.on_demand = _boolean(each)
        elif name == "Enabled":
            definition.enabled = _boolean(each)
        elif name == "StartWhenAvailable":
            definition.when_available = _boolean(each)
        elif name == "DeleteExpiredTaskAfter":
            definition.delete_after = seconds_of(_text(each), name)
        elif name in {"RunOnlyIfIdle", "Volatile"}:
            if _boolean(each):
                raise _not_simulated(f"the setting {name}")
        elif name in {"RestartOnFailure", "NetworkSettings", "MaintenanceSettings"}:
            raise _not_simulated(f"the setting {name}")
        elif name not in _HARMLESS:
            raise _unexpected(each)


def _actions(element: Element, definition: Definition, _zone: datetime.tzinfo) -> None:
    for each in element:
        name = _tag(each)
        if name in {"ComHandler", "SendEmail", "ShowMessage"}:
            raise _not_simulated(f"the action {name}")
        if name != "Exec":
            raise _unexpected(each)
        fields = {_tag(part): _text(part) for part in each}
        unknown = set(fields) - {"Command", "Arguments", "WorkingDirectory"}
        if unknown:
            raise _unexpected(next(part for part in each if _tag(part) in unknown))
        if not fields.get("Command"):
            raise TaskError(MISSING_NODE, "The task XML is missing a required element or attribute (Command).")
        definition.actions.append(
            Action(fields["Command"], fields.get("Arguments", ""), fields.get("WorkingDirectory", ""))
        )


def _triggers(element: Element, definition: Definition, zone: datetime.tzinfo) -> None:
    for each in element:
        name = _tag(each)
        if name not in {"TimeTrigger", "CalendarTrigger", "BootTrigger", "RegistrationTrigger"}:
            raise _not_simulated(f"the trigger {name}")
        definition.triggers.append(_trigger(each, name, zone))


def _trigger(element: Element, kind: str, zone: datetime.tzinfo) -> Trigger:
    given: dict[str, Any] = {}
    timed = kind in {"TimeTrigger", "CalendarTrigger"}
    for each in element:
        name = _tag(each)
        if name in {"StartBoundary", "EndBoundary"}:
            moment = _time(each)
            given["start" if name == "StartBoundary" else "end"] = _at(moment, zone)
            if name == "StartBoundary":
                given["zone"] = moment.tzinfo or zone
        elif name == "Enabled":
            given["enabled"] = _boolean(each)
        elif name == "Delay" and not timed:
            given["delay"] = seconds_of(_text(each), name)
        elif name == "Repetition" and timed:
            given |= _repetition(each)
        elif name in {"ScheduleByDay", "ScheduleByWeek"} and kind == "CalendarTrigger":
            given |= _schedule(each)
        elif name in {"ExecutionTimeLimit", "RandomDelay", "Repetition", "ScheduleByMonth", "ScheduleByMonthDayOfWeek"}:
            raise _not_simulated(f"{name} in a {kind}")
        else:
            raise _unexpected(each)
    if timed and "start" not in given:
        raise TaskError(MISSING_NODE, "The task XML is missing a required element or attribute (StartBoundary).")
    if kind == "CalendarTrigger" and not ({"days", "weeks"} & set(given)):
        raise TaskError(MISSING_NODE, "The task XML is missing a required element or attribute (ScheduleByDay).")
    return Trigger(kind, **given)


def _schedule(element: Element) -> dict[str, Any]:
    """Every so many days, or so many weeks on these days; the interval is 1 when it is left out."""
    unit = "Days" if _tag(element) == "ScheduleByDay" else "Weeks"
    given: dict[str, Any] = {unit.lower(): 1}
    for each in element:
        name = _tag(each)
        if name == f"{unit}Interval":
            text = _text(each)
            if not text.isdecimal() or not 1 <= int(text) <= (365 if unit == "Days" else 52):
                raise TaskError(INVALID_VALUE, f"The task XML contains a value out of range ({name}: {text}).")
            given[unit.lower()] = int(text)
        elif name == "DaysOfWeek" and unit == "Weeks":
            named = [_tag(day) for day in each]
            if not set(named) <= set(WEEKDAYS):
                raise _unexpected(next(day for day in each if _tag(day) not in WEEKDAYS))
            given["weekdays"] = frozenset(WEEKDAYS.index(day) for day in named)
        else:
            raise _unexpected(each)
    if unit == "Weeks" and not given.get("weekdays"):
        raise TaskError(MISSING_NODE, "The task XML is missing a required element or attribute (DaysOfWeek).")
    return given


def _repetition(element: Element) -> dict[str, float]:
    given: dict[str, float] = {}
    for each in element:
        name = _tag(each)
        if name in {"Interval", "Duration"}:
            given[name.lower()] = seconds_of(_text(each), name)
        elif name != "StopAtDurationEnd" or _boolean(each):
            raise _not_simulated(f"{name} in a Repetition")
    if given.get("interval", 0.0) < 60:
        raise TaskError(INVALID_VALUE, "The task XML contains a value out of range (Interval: at least one minute).")
    return given


def _time(element: Element) -> datetime.datetime:
    """An xs:dateTime: aware when it has an offset."""
    text = re.sub(r"Z\Z", "+00:00", _text(element))
    text = re.sub(r"\.(\d{6})\d+", r".\1", text)
    try:
        return datetime.datetime.fromisoformat(text)
    except ValueError as problem:
        where = f"{_tag(element)}: {_text(element)}"
        raise TaskError(
            INVALID_VALUE, f"The task XML contains a value which is incorrectly formatted ({where})."
        ) from problem


def _at(moment: datetime.datetime, zone: datetime.tzinfo) -> datetime.datetime:
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(datetime.timezone.utc)
