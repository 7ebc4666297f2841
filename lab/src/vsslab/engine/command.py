# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a command is, how it gets its work, and the table of the simulated ones."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from .errors import ErrorInfo, Origin, PipelineStopped, PowerShellError
from .signatures import COMMON_NAMES, known_names
from .values import enumerate_output, text_of

if TYPE_CHECKING:
    from vsslab.windows.files import FileSystem
    from vsslab.windows.host import Host
    from vsslab.windows.users import User

    from .runspace import Runspace


class Sink(Protocol):
    """Where a pipeline's streams go; values are psrpcore's, ready to be written."""

    def output(self, value: Any) -> None:
        """One object of output (None is a null)."""

    def error(self, info: ErrorInfo) -> None:
        """One error record."""

    def warning(self, text: str) -> None:
        """One warning."""

    def verbose(self, text: str) -> None:
        """One verbose message."""

    def progress(self, activity: str, status: str, percent: int) -> None:
        """One progress record; percent -1 when unknown."""


class StopUpstream(Exception):
    """A later command has enough: the commands before it need not go on."""

    def __init__(self, reader: object) -> None:
        super().__init__()
        self.reader = reader


@dataclass
class Call:
    """One command at work in a pipeline: its bound parameters, its host, and where its results go.

    Parameters are read with `get`, `flag`, `has` by their documented names.  Output goes to `write`, errors that do not
    end the statement to `error`, those that do are raised (`fail`).
    """

    runspace: Runspace
    origin: Origin
    stop: threading.Event
    send: Callable[[Any], None]
    report: Callable[[ErrorInfo], None]
    sink: Sink
    values: Mapping[str, Any] = field(default_factory=dict)
    set_name: str = ""
    reader: object = None

    @property
    def host(self) -> Host:
        """The Windows host."""
        return self.runspace.host

    @property
    def user(self) -> User:
        """The account that the session runs as."""
        return self.runspace.user

    @property
    def files(self) -> FileSystem:
        """The host's files, as this account may use them."""
        return self.runspace.files

    @property
    def language(self) -> str:
        """The host's language tag."""
        return self.host.language.tag

    def get(self, name: str, default: Any = None) -> Any:
        """A parameter's value, or `default` when it is not bound."""
        return self.values.get(name, default)

    def has(self, name: str) -> bool:
        """True when the parameter is bound."""
        return name in self.values

    def flag(self, name: str) -> bool:
        """True when the switch is set."""
        return bool(self.values.get(name, False))

    def texts(self, *names: str) -> list[str]:
        """The strings of the first of these parameters that is bound, else []."""
        for name in names:
            if name in self.values:
                value = self.values[name]
                return [text_of(each) for each in value] if isinstance(value, list) else [text_of(value)]
        return []

    def write(self, value: Any, *, enumerate_lists: bool = False) -> None:
        """Pass a value down the pipeline; lists come apart only when asked to."""
        for each in enumerate_output(value) if enumerate_lists else (value,):
            self.check_stop()
            self.send(each)

    def check_stop(self) -> None:
        """Raise PipelineStopped when the client wants the pipeline to end."""
        if self.stop.is_set():
            raise PipelineStopped

    def info(self, message: str, error_id: str, category: str = "NotSpecified", **more: Any) -> ErrorInfo:
        """An error of this command."""
        return ErrorInfo(message, error_id, category, origin=self.origin, **more)

    def error(self, message: str, error_id: str, category: str = "NotSpecified", **more: Any) -> None:
        """Write an error that does not end the statement (unless -ErrorAction Stop)."""
        self.report(self.info(message, error_id, category, **more))

    def fail(self, message: str, error_id: str, category: str = "NotSpecified", **more: Any) -> PowerShellError:
        """An error that ends the statement, to be raised."""
        return PowerShellError(self.info(message, error_id, category, **more))

    def refuse(self, what: str) -> PowerShellError:
        """The loud error for what the laboratory does not simulate, traced and counted; to be raised."""
        return PowerShellError(replace(self.runspace.refuse(self.origin.name, what), origin=self.origin))

    def only(self, *names: str) -> None:
        """Refuse every bound parameter that is not one of these (or common)."""
        for name in self.values:
            if name not in names and name not in COMMON_NAMES:
                raise self.refuse(f"the parameter -{name} of {self.origin.name}")

    def should_process(self, *, high_impact: bool = False) -> bool:
        """False when -WhatIf asks for no action; a prompt fails, for the session has nobody to answer it.

        Source: about_CommonParameters, -Confirm; a command of high impact asks unless -Confirm:$false.
        """
        if self.flag("WhatIf"):
            return False
        if self.flag("Confirm") or (high_impact and not self.has("Confirm")):
            raise self.fail(
                "A command that prompts the user failed because the host program or the command type does not support "
                "user interaction. The host was attempting to request confirmation with the following message: Are you "
                "sure you want to perform this action?", "HostFunctionNotImplemented", "NotImplemented",
                exception="System.Management.Automation.Host.HostException")  # fmt: skip
        return True


class Command:
    """A command's behaviour: `begin` once, `process` for every input object (once without input), `end` once."""

    simulated: tuple[str, ...] | None = None  # the parameters it simulates; None: every documented one

    def begin(self, call: Call) -> None:
        """Before any input; parameters given by name or position are bound."""

    def process(self, call: Call) -> None:
        """One input object, bound to the parameters that take pipeline input."""

    def end(self, call: Call) -> None:
        """After the last input."""


Maker = Callable[[], Command]
_COMMANDS: dict[str, Maker] = {}
T = TypeVar("T", type[Command], Callable[[Call], None])


def command(*names: str, only: tuple[str, ...] | None = None) -> Callable[[T], T]:
    """Register a Command class, or a function that is the `process` of one, under documented names.

    `only` names the parameters that are simulated; any other bound one is refused loudly.
    """

    def register(behaviour: T) -> T:
        for name in names:
            _COMMANDS[name] = _maker(behaviour, only)
        return behaviour

    return register


def _maker(behaviour: Any, only: tuple[str, ...] | None) -> Maker:
    if isinstance(behaviour, type):

        def make_object() -> Command:
            made: Command = behaviour()
            made.simulated = only
            return made

        return make_object

    def make_function() -> Command:
        made = Command()
        made.simulated = only
        made.process = behaviour  # type: ignore[method-assign]
        return made

    return make_function


def make(name: str) -> Command | None:
    """A fresh instance of a simulated command, None when it is documented only."""
    maker = _COMMANDS.get(name)
    return None if maker is None else maker()


def simulated_names() -> tuple[str, ...]:
    """Every simulated command, sorted."""
    return tuple(sorted(_COMMANDS))


def implemented() -> frozenset[str]:
    """The documented commands that do something here; all the commands are loaded by `commands.load()`."""
    return frozenset(_COMMANDS)


def refused() -> frozenset[str]:
    """The documented commands that bind and are then refused by name."""
    return frozenset(known_names()) - implemented()
