# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words for entries of a trace: one line of plain text each, and a mark."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from vsslab.trace import Entry

Mark = str
NONE, FAULT, FAILED, REFUSED = "", "!", "x", "?"
COMMON = ("time", "clock", "n", "event", "host")
_LONGEST = 160
_TIMED = ("http", "program", "pipeline_end", "vss")
# Control characters, and those that turn the direction of writing, as escapes.
_CONTROL = (
    {code: f"\\x{code:02x}" for code in (*range(32), 127, *range(128, 160))}
    | {code: f"\\u{code:04x}" for code in (0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A))}
    | {0x0A: "\\n", 0x0D: "\\r", 0x09: "\\t"}
)


def describe(entry: Entry) -> tuple[Mark, str]:
    """The mark and the text of an entry; an event without words of its own shows all its fields."""
    mark, text = _WORDS.get(str(entry["event"]), _other)(entry)
    plain = text.translate(_CONTROL)  # what hosts say must not steer a terminal
    return mark, plain if len(plain) <= _LONGEST else plain[: _LONGEST - 1] + "…"


def seconds_of(entry: Entry) -> float | None:
    """How long it took, where the entry is written at the end of something."""
    value = entry.get("seconds")
    return float(value) if entry["event"] in _TIMED and value is not None else None


def _value(value: Any) -> str:
    if isinstance(value, str):
        return value if value and " " not in value else json.dumps(value, ensure_ascii=False).replace("\\\\", "\\")
    return json.dumps(value, ensure_ascii=False)


def _fields(entry: Entry, *without: str) -> str:
    shown = {k: v for k, v in entry.items() if k not in (*COMMON, *without) and v not in (None, "", [], {})}
    return " ".join(f"{key}={_value(value)}" for key, value in shown.items())


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _other(entry: Entry) -> tuple[Mark, str]:
    return NONE, f"{entry['event']} {_fields(entry)}"


def _lab(entry: Entry) -> tuple[Mark, str]:
    addresses = entry.get("addresses")
    hosts = f", {_counted(len(addresses), 'host')}" if isinstance(addresses, dict) else ""
    return NONE, f"laboratory {entry.get('state', '')} {entry.get('scenario', '')}{hosts}"


def _session(entry: Entry) -> tuple[Mark, str]:
    scheme = "HTTPS" if entry.get("secure") else "HTTP"
    return NONE, f"session of {entry.get('user') or 'nobody'} from {entry.get('client', '?')} over {scheme}"


def _http(entry: Entry) -> tuple[Mark, str]:
    operation, status = entry.get("operation"), entry.get("status", 0)
    volume = f"{entry.get('bytes_up', 0)} bytes up, {entry.get('bytes_down', 0)} down"
    if operation is None:
        return (FAILED if status >= 500 else NONE), f"authentication {status}"
    if status == 0:
        return FAILED, f"{operation}: no answer"
    trouble = f" {status}" + (f" fault {entry['fault']}" if entry.get("fault") else "") if status != 200 else ""
    return (FAILED if trouble else NONE), f"{operation}{trouble}, {volume}"


def _pipeline(entry: Entry) -> tuple[Mark, str]:
    pipes: dict[Any, list[str]] = {}
    for each in entry.get("statements") or []:
        pipes.setdefault(each.get("statement"), []).append(_command(each))
    text = "; ".join(" | ".join(commands) for commands in pipes.values())
    return NONE, f"pipeline of {entry.get('user', '?')}: {text}"


def _command(command: dict[str, Any]) -> str:
    parts = [str(command.get("command", "?"))]
    for name, value in (command.get("parameters") or {}).items():
        parts.append(f"-{name.lstrip('-')}" + ("" if value is None else f" {_value(value)}"))
    return " ".join([*parts, *map(_value, command.get("arguments") or [])])


def _pipeline_end(entry: Entry) -> tuple[Mark, str]:
    errors = entry.get("errors") or 0
    counts = _counted(entry.get("outputs", 0), "object") + (f", {_counted(errors, 'error')}" if errors else "")
    state = str(entry.get("state", "ended"))
    return (NONE if state == "Completed" and not errors else FAILED), f"{state}, {counts}"


def _program(entry: Entry) -> tuple[Mark, str]:
    argv = [str(each) for each in entry.get("argv") or []]
    code = entry.get("exit_code")
    line = " ".join([str(entry.get("program", "?")), *map(_value, argv[1:])])
    return (NONE if code == 0 else FAILED), f"{line} -> exit code {code}"


def _vss(entry: Entry) -> tuple[Mark, str]:
    if "problem" in entry:
        return FAILED, f"VSS {entry['problem']}"
    if "failed" in entry:
        return FAILED, f"VSS {entry.get('writer')} failed at {entry.get('phase')}: {entry['failed']} {entry['reason']}"
    if "frozen" in entry and "writer" in entry:
        return NONE, f"VSS {entry['writer']} {'frozen' if entry['frozen'] else 'thawed'}"
    if "shadow" in entry:
        exposed = f" as {entry['exposed']}" if entry.get("exposed") else ""
        return NONE, f"VSS shadow copy {entry['shadow']} of {entry.get('volume')} {entry.get('action')}{exposed}"
    if "phase" in entry:
        by = f" for {entry['requestor']}" if entry.get("requestor") else ""
        return NONE, f"VSS {entry['phase']}{by} {_fields(entry, 'phase', 'requestor', 'set', 'seconds')}".rstrip()
    return NONE, f"VSS {_fields(entry)}"


def _fault(entry: Entry) -> tuple[Mark, str]:
    return FAULT, f"fault {_fields(entry)}"


def _defect(entry: Entry) -> tuple[Mark, str]:
    return FAILED, f"defect of the laboratory: {entry.get('what', _fields(entry))}"


def _refused(entry: Entry) -> tuple[Mark, str]:
    return REFUSED, f"not simulated: {entry.get('what') or _fields(entry)}"


def _event(entry: Entry) -> tuple[Mark, str]:
    mark = FAILED if entry.get("level") in (1, 2) else NONE
    return mark, f"event {entry.get('log')} {entry.get('provider')} {entry.get('id')}: {entry.get('message', '')}"


def _task(entry: Entry) -> tuple[Mark, str]:
    result = entry.get("result")
    ended = "" if result is None else f" with {result}"
    return (FAILED if result else NONE), f"task {entry.get('task')} {entry.get('what')}{ended} as {entry.get('user')}"


def _service(entry: Entry) -> tuple[Mark, str]:
    return NONE, f"service {entry.get('service')} {entry.get('status')}"


def _reboot(_entry: Entry) -> tuple[Mark, str]:
    return NONE, "reboot"


_WORDS: dict[str, Callable[[Entry], tuple[Mark, str]]] = {
    "lab": _lab, "session": _session, "http": _http, "pipeline": _pipeline, "pipeline_end": _pipeline_end,
    "program": _program, "vss": _vss, "fault": _fault, "defect": _defect, "refused": _refused, "event": _event,
    "task": _task, "service": _service, "reboot": _reboot,
}  # fmt: skip
