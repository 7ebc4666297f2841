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
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.etree.ElementTree import Element, ParseError

import defusedxml
from defusedxml.ElementTree import fromstring

NAMESPACE = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"
UNEXPECTED_NODE, WRONG_NAMESPACE, INVALID_VALUE, MISSING_NODE, MALFORMED = range(0x80041316, 0x8004131B)
NOT_IMPLEMENTED = 0x80004001
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
        "StartWhenAvailable",
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


@dataclass(frozen=True)
class Trigger:
    """When a task starts by itself: kind TimeTrigger, BootTrigger or RegistrationTrigger. Durations in seconds."""

    kind: str
    start: datetime.datetime | None = None
    end: datetime.datetime | None = None
    delay: float = 0.0
    interval: float = 0.0
    duration: float = 0.0
    enabled: bool = True

    def next_start(self, after: datetime.datetime) -> datetime.datetime | None:
        """The first start of a time trigger at or after a moment; None for the other kinds and when it is over."""
        if self.kind != "TimeTrigger" or not self.enabled or self.start is None:
            return None
        when = self.start
        if self.interval and after > when:
            rounds = math.ceil((after - when).total_seconds() / self.interval)
            when += datetime.timedelta(seconds=rounds * self.interval)
        last = self.start + datetime.timedelta(seconds=self.duration)
        over = (self.duration and when > last) or (self.end is not None and when >= self.end)
        return None if over or when < after else when


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
        if name not in {"TimeTrigger", "BootTrigger", "RegistrationTrigger"}:
            raise _not_simulated(f"the trigger {name}")
        definition.triggers.append(_trigger(each, name, zone))


def _trigger(element: Element, kind: str, zone: datetime.tzinfo) -> Trigger:
    given: dict[str, Any] = {}
    for each in element:
        name = _tag(each)
        if name in {"StartBoundary", "EndBoundary"}:
            given["start" if name == "StartBoundary" else "end"] = _time(each, zone)
        elif name == "Enabled":
            given["enabled"] = _boolean(each)
        elif name == "Delay" and kind != "TimeTrigger":
            given["delay"] = seconds_of(_text(each), name)
        elif name == "Repetition" and kind == "TimeTrigger":
            given |= _repetition(each)
        elif name in {"ExecutionTimeLimit", "RandomDelay", "Repetition"}:
            raise _not_simulated(f"{name} in a {kind}")
        else:
            raise _unexpected(each)
    if kind == "TimeTrigger" and "start" not in given:
        raise TaskError(MISSING_NODE, "The task XML is missing a required element or attribute (StartBoundary).")
    return Trigger(kind, **given)


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


def _time(element: Element, zone: datetime.tzinfo) -> datetime.datetime:
    text = re.sub(r"Z\Z", "+00:00", _text(element))
    text = re.sub(r"\.(\d{6})\d+", r".\1", text)
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError as problem:
        where = f"{_tag(element)}: {_text(element)}"
        raise TaskError(
            INVALID_VALUE, f"The task XML contains a value which is incorrectly formatted ({where})."
        ) from problem
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(datetime.timezone.utc)
