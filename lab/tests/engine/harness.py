# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A session on a host, and everything a pipeline leaves, for tests that read like promises."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree as ET

from psrpcore import Command, PowerShell
from psrpcore.types._serializer import serialize
from vsslab.engine.clixml import from_wire
from vsslab.engine.errors import ErrorInfo
from vsslab.engine.records import record_xml
from vsslab.engine.runspace import PipelineFailed, PipelineStopped, Runspace
from vsslab.windows.host import Host
from vsslab.wire.pool import failed_xml

Cmd = tuple[str, dict[str, Any], tuple[Any, ...]]


def cmd(name: str, *arguments: Any, **parameters: Any) -> Cmd:
    """One command: positional arguments, and parameters by name."""
    return name, parameters, arguments


@dataclass
class Outcome:
    """Everything a pipeline left: its state, its streams (wire values and their XML)."""

    state: str = "Running"
    failure: ErrorInfo | None = None
    written: list[tuple[str, Any]] = field(default_factory=list)

    def of(self, stream: str) -> list[Any]:
        return [value for name, value in self.written if name == stream]

    @property
    def output(self) -> list[Any]:
        """The output as plain values of the pipeline."""
        return [from_wire(value) for value in self.of("output")]

    @property
    def errors(self) -> list[str]:
        """The FullyQualifiedErrorIds of the error stream."""
        return [info.full_id for info in self.of("error")]

    @property
    def failed_with(self) -> str:
        assert self.failure is not None, self.written
        return self.failure.full_id

    def xml(self, stream: str = "output") -> list[ET.Element]:
        if stream == "error":
            return [ET.fromstring(record_xml(info, extended=True)) for info in self.of(stream)]
        return [serialize(value, None) for value in self.of(stream)]

    def failed_state(self) -> ET.Element:
        """The message that tells the client of the failure."""
        assert self.failure is not None, self.written
        return ET.fromstring(failed_xml(self.failure))


class Recorder:
    """A sink that keeps everything; `on_output` is called for each object."""

    def __init__(self, outcome: Outcome, on_output: Any = None) -> None:
        self.outcome = outcome
        self.on_output = on_output

    def output(self, value: Any) -> None:
        self.outcome.written.append(("output", value))
        if self.on_output is not None:
            self.on_output(value)

    def error(self, info: ErrorInfo) -> None:
        self.outcome.written.append(("error", info))

    def warning(self, text: str) -> None:
        self.outcome.written.append(("warning", text))

    def verbose(self, text: str) -> None:
        self.outcome.written.append(("verbose", text))

    def progress(self, activity: str, status: str, percent: int) -> None:
        self.outcome.written.append(("progress", (activity, status, percent)))


class Session:
    """A session on a host; `run` takes statements, each a command or a list of commands joined by the pipe."""

    def __init__(self, host: Host, user: str) -> None:
        self.host = host
        account = host.users.find(user)
        assert account is not None
        self.runspace = Runspace(host, account, "5E5510")

    def run(
        self, *statements: Cmd | Sequence[Cmd], stop: threading.Event | None = None, on_output: Any = None
    ) -> Outcome:
        powershell = PowerShell()
        for statement in statements:
            for name, parameters, arguments in [statement] if isinstance(statement, tuple) else statement:
                command = Command(name)
                for value in arguments:
                    command.add_argument(value)
                for key, value in parameters.items():
                    command.add_parameter(key, value)
                powershell.commands.append(command)
            powershell.commands[-1].end_of_statement = True
        return self.invoke(powershell, stop=stop, on_output=on_output)

    def invoke(self, powershell: PowerShell, stop: threading.Event | None = None, on_output: Any = None) -> Outcome:
        outcome = Outcome()
        try:
            self.runspace.invoke(powershell, Recorder(outcome, on_output), stop or threading.Event(), "P1")
            outcome.state = "Completed"
        except PipelineFailed as failed:
            outcome.state, outcome.failure = "Failed", failed.info
        except PipelineStopped:
            outcome.state = "Stopped"
        return outcome
