# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What befalls an action at one of its steps: the laboratory's own faults, put exactly there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.umbra.vss.plugins.plugin_utils._vss.steps import Step, step_of
from controllers import Action, Pipeline
from stage import Bench, Watchers

KILLED, BEFORE, AFTER, REBOOT, PROGRAM = (
    "controller killed",
    "dropped before",
    "dropped after",
    "host rebooted",
    "program killed",
)
DISTURBANCES = (KILLED, BEFORE, AFTER, REBOOT, PROGRAM)
SHARED = (KILLED, BEFORE, AFTER)  # they befall a pipeline as a whole

_EXEC = re.compile(r"<Command>[^<]*\\([\w-]+\.exe)</Command>")
# The process that a remote session lives in: what there is to be killed where a step starts no program of its own.
_SESSION = "wsmprovhost.exe"


class Disturbance:
    """One disturbance at the first statement of a step; `met` once it has happened."""

    def __init__(self, bench: Bench, watchers: Watchers, step: Step, what: str) -> None:
        self._bench, self._watchers, self._step, self._what = bench, watchers, step, what
        self._programs: dict[str, str] = {}  # of scheduled tasks, by their names
        self._fault: Any = None

    @property
    def met(self) -> bool:
        """Whether it has happened."""
        return self._fault is not None and self._fault.fired > 0

    def watch(self, action: Action, pipeline: Pipeline) -> None:
        """See each pipeline before it is sent, and put the fault where the step begins."""
        for told in pipeline:
            found = _EXEC.search(told["parameters"].get("Xml", ""))
            if found:
                self._programs[told["parameters"].get("TaskName", "")] = found[1].lower()
        if self._fault is not None:
            return
        at = next((told for told in pipeline if step_of(self._step.transaction, told["key"]) is self._step), None)
        if at is None:
            return
        on, do = self._fault_at(at)
        self._fault = self._bench.lab.faults.add({"on": {"host": self._bench.name, **on}, "do": do})
        if self._what == KILLED:
            self._watchers.when(self._fault.id, action.kill)

    def end(self) -> None:
        """No more of it."""
        if self._fault is not None:
            self._bench.lab.faults.remove(self._fault)

    def _fault_at(self, at: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        if self._what == BEFORE:
            return {"kind": "http", "operation": "Command"}, {"drop": "before"}
        if self._what == AFTER:  # the answer, and what is said when it is asked for once more
            return {"kind": "http", "operation": "Receive", "times": 2}, {"drop": "after"}
        on = self._place(at)
        if self._what == KILLED:
            return on, {"delay": "10ms"}
        if self._what == REBOOT:
            return on, {"reboot": True}
        return on, {"kill": on["program"] if on["kind"] == "program" else _killed_at(on)}

    def _place(self, at: Mapping[str, Any]) -> dict[str, Any]:
        """The occurrence that the statement is: its command, its program, or what it starts."""
        if at["program"]:
            name = at["command"].rpartition("\\")[2].lower()
            if name == "diskshadow.exe" and at["key"] == "create":
                return {"kind": "phase", "phase": "commit"}
            if name == "robocopy.exe":  # which faults meet at the files that it copies, and in a pipeline it only lists
                return {"kind": "command", "command": at["last"], "nth": at["last_nth"]}
            return {"kind": "program", "program": name, "arguments": "*".join(["", *at["arguments"], ""])}
        if at["command"] == "Start-ScheduledTask":
            name = self._programs.get(at["parameters"].get("TaskName", ""), "")
            if name:
                return {"kind": "program", "program": name, "user": "SYSTEM"}
        return {"kind": "command", "command": at["command"], "nth": at["nth"]}


def _killed_at(on: Mapping[str, Any]) -> str:
    return "diskshadow.exe" if on["kind"] == "phase" else _SESSION
