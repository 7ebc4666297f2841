# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One statement at work: its commands joined by the pipe, each object going through as soon as it appears."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from vsslab.windows.errors import WinError

from . import command as commands
from .binder import Binder, Binding, Given
from .clixml import to_wire
from .command import Call, Sink, StopUpstream
from .errors import ErrorInfo, Origin, PipelineStopped, PowerShellError
from .signatures import Signature
from .values import BadWildcard, text_of

if TYPE_CHECKING:
    from .runspace import Runspace

_SECRET_PARAMETERS = frozenset({"Password", "Credential", "SecureString"})


@dataclass(frozen=True)
class Asked:
    """One command as the client sent it."""

    name: str
    arguments: tuple[Given, ...]
    is_script: bool = False
    redirects: bool = False
    in_global_scope: bool = False


class Stage(Protocol):
    """One command of a statement, ready to run."""

    origin: Origin

    def start(self) -> None:
        """Before any input."""

    def feed(self, value: Any) -> None:
        """One object of input."""

    def finish(self) -> None:
        """No more input."""


@dataclass
class Context:
    """What the stages of a statement share."""

    runspace: Runspace
    sink: Sink
    stop: threading.Event
    errors: int = 0
    outputs: int = 0

    def output(self, value: Any) -> None:
        """An object left the last command."""
        if self.stop.is_set():
            raise PipelineStopped
        self.outputs += 1
        self.sink.output(to_wire(value))

    def report(self, info: ErrorInfo, action: str) -> None:
        """A non-terminating error, as -ErrorAction wants it (about_CommonParameters)."""
        if action == "Stop":
            raise PowerShellError(replace(info, stopped=True))
        if action in {"SilentlyContinue", "Ignore"}:
            return
        self.errors += 1
        self.sink.error(info)


def _origin(signature: Signature, asked: Asked) -> Origin:
    return Origin(signature.name, asked.name, signature.type_name, signature.definition,
                  "Function" if signature.is_function else "Cmdlet")  # fmt: skip


class CmdletStage:
    """A simulated command in a statement; `shown` is its signature as a role shows it."""

    def __init__(
        self, context: Context, signature: Signature, asked: Asked, *, piped: bool, shown: Signature | None = None
    ) -> None:
        self._context = context
        self.origin = _origin(signature, asked)
        self.next: Stage | None = None
        self._takes_input = piped
        shown = shown or signature
        self._binder = Binder(shown, _origin(shown, asked), expects_input=piped)
        self._asked = asked
        self._behaviour = commands.make(signature.name)
        self._call: Call | None = None
        self._binding: Binding | None = None
        self._finished = False

    def bind(self) -> None:
        """Bind the command line, before anything of the statement runs."""
        self._binding = self._binder.bind(self._asked.arguments)
        action = self._binding.values.get("ErrorAction")
        self._action = text_of(action) if action is not None else "Continue"
        self._call = Call(
            self._context.runspace,
            self.origin,
            self._context.stop,
            self._pass_on,
            self._report,
            self._context.sink,
            self._binding.values,
            self._binding.set_name,
            self,
        )

    @property
    def facts(self) -> dict[str, Any]:
        """What was bound, without secrets, for the trace and for faults."""
        values = self._binding.values if self._binding is not None else {}
        return {name: "********" if name in _SECRET_PARAMETERS else value for name, value in values.items()}

    def _pass_on(self, value: Any) -> None:
        if self.next is None:
            self._context.output(value)
        else:
            self.next.feed(value)

    def _report(self, info: ErrorInfo) -> None:
        self._context.report(info, self._action)

    def _ready(self) -> tuple[commands.Command, Call]:
        assert self._call is not None
        if self._behaviour is None:
            raise self._call.refuse(f"the command {self.origin.name}")
        if self._behaviour.simulated is not None:
            self._call.only(*self._behaviour.simulated)
        return self._behaviour, self._call

    @contextlib.contextmanager
    def _guard(self) -> Iterator[None]:
        """What Windows refuses unexpectedly (a file that went away meanwhile) ends the statement."""
        try:
            yield
        except BadWildcard as problem:
            raise PowerShellError(ErrorInfo(str(problem), "WildcardPattern_Invalid", "InvalidArgument", None,
                                            "System.Management.Automation.WildcardPatternException",
                                            self.origin)) from None  # fmt: skip
        except WinError as problem:
            words = problem.localized(self._context.runspace.host.language.tag)
            kind = "System.IO.IOException"
            info = ErrorInfo(words, kind, "NotSpecified", problem.path, kind, self.origin)
            raise PowerShellError(info) from None

    def start(self) -> None:
        behaviour, call = self._ready()
        self._context.runspace.faults_at(call, self.facts)
        with self._guard():
            behaviour.begin(call)
            if not self._takes_input:
                behaviour.process(call)

    def feed(self, value: Any) -> None:
        if self._finished:
            return
        behaviour, call = self._ready()
        try:
            bound = self._binder.bind_input(value)
        except PowerShellError as problem:
            self._report(problem.info)  # one object that does not fit ends nothing
            return
        before = call.values
        call.values, call.set_name = bound.values, bound.set_name
        try:
            with self._guard():
                behaviour.process(call)
        finally:
            call.values = before

    def finish(self) -> None:
        behaviour, call = self._ready()
        self._finished = True
        with self._guard():
            behaviour.end(call)


def run(context: Context, stages: Sequence[Stage], given: Iterable[Any] | None = None) -> None:
    """Run one statement to its end; PowerShellError when a terminating error ends it.

    `given`: what the client sends into the first command, as it comes.
    """
    for stage in reversed(stages[1:]):
        stage.start()
    skip_to = 0
    for position, stage in enumerate(stages):
        if position < skip_to:
            continue
        if context.stop.is_set():
            raise PipelineStopped
        try:
            if position == 0:
                stage.start()
                for value in given if given is not None else ():
                    if context.stop.is_set():
                        raise PipelineStopped
                    stage.feed(value)
            stage.finish()
        except StopUpstream as enough:
            skip_to = next(at for at, each in enumerate(stages) if each is enough.reader)
