# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said to a host and what comes back: commands, statements, pipelines, results.

Only data and rules live here; nothing of Ansible, nothing of pypsrp, no I/O. A pipeline holds commands with typed
parameters and never script text, so a value can never become a program.

The rules of the engine that shape a pipeline (observed with PowerShell; about_Pipelines, about_CommonParameters):

* a statement that cannot even be bound is *reported and passed over* when it is the first of several, but ends the
  pipeline in every other position: so an opening statement that does nothing takes the first place;
* outputs carry no sign of the statement they belong to: so every statement is closed by a sentinel, and a result
  counts only when its sentinel came;
* a program's exit code is not on the wire: it is read from a variable by the statement after it.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ._values import moment, parse_json

__all__ = [
    "U64",
    "Command",
    "CommandFailed",
    "ConnectionLost",
    "HostError",
    "HostFailure",
    "Pipeline",
    "ProgramFailed",
    "Reader",
    "Reply",
    "Result",
    "Statement",
    "Unsendable",
    "compose",
    "moment",
    "parse_json",
]

Kind = Literal["objects", "json", "text", "none"]


class U64(int):
    """A whole number to be sent as an unsigned 64-bit one; numbers beyond 32 bits are sent so by themselves."""


class Unsendable(ValueError):
    """A value that must not be sent to a host in the place it was meant for; the text is one sentence."""


# --------------------------------------------------------------------------------------------------------- what is sent
@dataclass(frozen=True)
class Command:
    """One command of a statement.

    name: a cmdlet's name; a program's bare file name (``vssadmin.exe``), which a Host turns into a full path.
    parameters: by name; True for a switch; only plain values: str, int, float, bool, None, bytes, lists and dicts.
    arguments: positional values, for programs only.
    program: the name is that of an executable.
    """

    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    arguments: tuple[Any, ...] = ()
    program: bool = False

    def on_error(self, action: str) -> Command:
        """The same cmdlet with this ErrorAction unless it names its own; programs have none."""
        if self.program or "ErrorAction" in self.parameters:
            return self
        return replace(self, parameters={**self.parameters, "ErrorAction": action})


@dataclass(frozen=True)
class Statement:
    """Commands piped into one another, and how to read what comes out.

    key: the name of the result, unique in a batch.
    result: ``json`` ends the statement in ConvertTo-Json, which Python parses: always a list, empty when nothing came;
        ``text`` gives strings one by one; ``objects`` whatever came; ``none`` throws the output away on the host.
    exit_code: read the program's exit code afterwards.
    depth: of the JSON; a nested object beyond it arrives as text.
    """

    key: str
    commands: tuple[Command, ...]
    result: Kind = "json"
    exit_code: bool = False
    depth: int = 2

    def strict(self) -> Statement:
        """The same statement, ending the whole pipeline at its first error (ErrorAction Stop)."""
        return replace(self, commands=tuple(command.on_error("Stop") for command in self.commands))

    def tolerant(self) -> Statement:
        """The same statement, whose errors are only reported: later statements run all the same."""
        return replace(self, commands=tuple(command.on_error("Continue") for command in self.commands))

    def sent(self) -> list[Command]:
        """The commands as they travel: with the projection that `result` asks for."""
        commands = list(self.commands)
        if self.result == "none" and not self.exit_code:
            commands.append(Command("Out-Null"))
        elif self.result == "json" and all(command.name != "ConvertTo-Json" for command in commands):
            shape: dict[str, Any] = {"Compress": True}
            if self.depth != 2:
                shape["Depth"] = self.depth
            commands.append(Command("ConvertTo-Json", shape))
        return commands


OPENING = Command("Start-Sleep", {"Milliseconds": 0})
EXIT_CODE = Command("Get-Variable", {"Name": "LASTEXITCODE", "ValueOnly": True, "ErrorAction": "SilentlyContinue"})


def compose(statements: Sequence[Statement], token: str = "", numbered: bool = False) -> list[list[Command]]:
    """The statements of one pipeline: the opening one, then each with its exit code and its sentinel.

    token: what the sentinels say; a new one by default. numbered: and the number of their statement.
    """
    token = token or new_token()
    batch = [[OPENING]]
    for number, statement in enumerate(statements):
        batch.append(statement.sent())
        if statement.exit_code:
            batch.append([EXIT_CODE])
        batch.append([Command("Write-Output", {"InputObject": sentinel(token, number if numbered else None)})])
    return batch


def new_token() -> str:
    """A mark that no output of a host can hold by chance."""
    return f"umbra-{uuid.uuid4()}"


def sentinel(token: str, number: int | None = None) -> str:
    """The text that closes a statement."""
    return token if number is None else f"{token}:{number}"


@dataclass(frozen=True)
class Pipeline:
    """Statements under one token, ready to be sent and to be read.

    numbered: each sentinel says which statement it closes. Without that all are the same, which costs next to nothing
    to send, and are counted: enough as long as the answer is read from its beginning without a gap.
    """

    statements: tuple[Statement, ...]
    token: str = field(default_factory=new_token)
    numbered: bool = False

    def batch(self) -> list[list[Command]]:
        """See `compose`."""
        return compose(self.statements, self.token, self.numbered)

    def reader(self) -> Reader:
        """A fresh reader of this pipeline's answer."""
        return Reader(self)


# ------------------------------------------------------------------------------------------------------ what comes back
@dataclass
class HostError:
    """One error record of a host.

    message: in the host's language; error_id: FullyQualifiedErrorId, not translated; category: ErrorCategory's name;
    command: the cmdlet or program it came from; target: what it was about.
    """

    message: str
    error_id: str = ""
    category: str = ""
    command: str = ""
    target: str = ""

    @property
    def id(self) -> str:
        """The error id up to its first comma: what follows names the implementing class."""
        return self.error_id.split(",", 1)[0]

    @property
    def native(self) -> bool:
        """A line that a program wrote to its standard error, not an error of PowerShell's."""
        return self.id in ("NativeCommandError", "NativeCommandErrorMessage")


@dataclass
class Result:
    """What one statement gave.

    complete: its sentinel came. A result without it may lack values.
    """

    key: str
    values: list[Any] = field(default_factory=list)
    errors: list[HostError] = field(default_factory=list)
    exit_code: int | None = None
    complete: bool = False

    @property
    def first(self) -> Any:
        """The first value, None when there is none."""
        return self.values[0] if self.values else None

    @property
    def stderr(self) -> list[str]:
        """What a program wrote to its standard error, line by line."""
        return [error.message for error in self.errors if error.native]

    def require_exit(self, program: str, accepted: Container[int] | Callable[[int], bool] = (0,)) -> Result:
        """This result when the program ended with an accepted code, else ProgramFailed."""
        code = self.exit_code
        fine = code is not None and (accepted(code) if callable(accepted) else code in accepted)
        if not fine:
            lines = [str(value) for value in self.values] + self.stderr
            raise ProgramFailed(self.key, program, code, lines)
        return self


class Reply(Mapping[str, Result]):
    """The results of one pipeline by key.

    failure: the record that ended the pipeline early (state Failed), else None.
    seconds: how long the pipeline took, as seen from here.
    """

    def __init__(self, results: Sequence[Result], failure: HostError | None = None, seconds: float = 0.0) -> None:
        self._results = {result.key: result for result in results}
        self.failure = failure
        self.seconds = seconds

    def __getitem__(self, key: str) -> Result:
        return self._results[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._results)

    def __len__(self) -> int:
        return len(self._results)

    def first_incomplete(self) -> Result | None:
        """The statement at which the pipeline ended early, None when all were answered."""
        return next((result for result in self._results.values() if not result.complete), None)


class Reader:
    """Sorts outputs and errors, in the order they arrive, into results.

    A carrier feeds it every output and every error record; `output` returns a result as soon as its sentinel came.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._current = 0
        self._raw: list[Any] = []
        self.results = [Result(statement.key) for statement in pipeline.statements]

    def output(self, value: Any) -> Result | None:
        """Take one output; the result it completes, if it does."""
        number = self._closed_by(value)
        if number is None:
            self._raw.append(value)
            return None
        readable = self._close()
        result = self.results[number]
        result.complete = readable
        self._current = number + 1
        return result

    def error(self, record: HostError) -> None:
        """Take one error record: it belongs to the statement whose sentinel comes next."""
        if self._current < len(self.results):
            self.results[self._current].errors.append(record)

    def end(self, failure: HostError | None = None, seconds: float = 0.0) -> Reply:
        """No more will come; failure: the record of state Failed."""
        self._close()
        return Reply(self.results, failure, seconds)

    def _closed_by(self, value: Any) -> int | None:
        """The statement that this output is the sentinel of, if it is one."""
        token = self._pipeline.token
        if not isinstance(value, str) or not value.startswith(token):
            return None
        numbers = range(self._current, len(self.results))
        if not self._pipeline.numbered:
            return next(iter(numbers), None) if value == token else None
        return next((number for number in numbers if value == sentinel(token, number)), None)

    def _close(self) -> bool:
        """Give what has gathered to the current statement's result; False when it could not be read."""
        raw, self._raw = self._raw, []
        if not raw or self._current >= len(self.results):
            return True
        statement, result = self._pipeline.statements[self._current], self.results[self._current]
        if statement.exit_code and raw[-1].__class__ is int:
            result.exit_code = raw.pop()
        if statement.result == "text":
            result.values.extend(str(value) for value in raw)
        elif statement.result == "objects":
            result.values.extend(raw)
        elif statement.result == "json":
            readable = [self._decode(result, value) for value in raw]
            return all(readable)
        return True

    @staticmethod
    def _decode(result: Result, value: Any) -> bool:
        try:
            result.values.extend(parse_json(str(value)))
        except ValueError:
            told = f"its answer is not JSON but {str(value)[:60]!r}"
            result.errors.append(HostError(told, "NotJson", "InvalidResult", "ConvertTo-Json"))
            return False
        return True


# ------------------------------------------------------------------------------------------------------------- failures
class HostFailure(Exception):
    """Something on or on the way to a host failed; the text is one sentence."""


class CommandFailed(HostFailure):
    """A command ended in an error record, or was not answered."""

    def __init__(self, key: str, error: HostError, host: str = "") -> None:
        self.key, self.error, self.host = key, error, host
        told = " ".join(error.message.split()) or error.error_id or "no reason was given"
        super().__init__(f"{error.command or key} failed: {told}")


class ConnectionLost(HostFailure):
    """The answer of the host was lost: what was asked for may or may not have been done."""

    def __init__(self, host: str, reason: str, keys: Sequence[str] = ()) -> None:
        self.host, self.reason, self.keys = host, reason, tuple(keys)
        super().__init__(f"the connection to {host} was lost: {reason}")


class ProgramFailed(HostFailure):
    """A program ended with an exit code that means failure, or without one."""

    def __init__(self, key: str, program: str, exit_code: int | None, lines: Sequence[str]) -> None:
        self.key, self.program, self.exit_code, self.lines = key, program, exit_code, list(lines)
        last = next((line.strip() for line in reversed(self.lines) if line.strip()), "")
        ended = "did not start" if exit_code is None else f"ended with exit code {exit_code}"
        super().__init__(f"{program} {ended}" + (f": {last}" if last else ""))
