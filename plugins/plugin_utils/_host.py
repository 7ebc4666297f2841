# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Host: one Windows host that can be asked, acted on and watched. What can be said is in `_verbs`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Protocol

from ._pipeline import CommandFailed, HostError, Reply, Result, Statement, Unsendable

__all__ = ["Host", "Runner"]


class Runner(Protocol):
    """What carries pipelines to a host and answers back; `_carrier` has the real one."""

    def run(self, statements: Sequence[Statement], repeatable: bool) -> Reply:
        """Run one pipeline to its end. repeatable: it may be sent again when its answer is lost.

        Raises ConnectionLost.
        """

    def stream(self, statements: Sequence[Statement]) -> Iterator[Result]:
        """Run one pipeline, giving each result as it completes; closing the iterator stops the pipeline on the host.

        A pipeline that ends early gives the incomplete result last, its record being the last of its errors.
        """

    def reopen(self) -> None:
        """Leave the old session and open a new one. Raises ConnectionLost."""


class Host:
    """One Windows host.

    name: as the inventory calls it, for messages.
    windows: its Windows directory; set it as soon as the host has told it.
    """

    def __init__(self, name: str, runner: Runner, windows: str = "C:\\Windows") -> None:
        self.name = name
        self.windows = windows
        self._runner = runner

    def system32(self, program: str) -> str:
        """The full path of a program of Windows, for the places where only a path will do (scheduled tasks)."""
        name = program if "." in program else f"{program}.exe"
        return f"{self.windows.rstrip(chr(92))}\\System32\\{name}"

    def ask(self, *statements: Statement, allow: bool = False) -> Reply:
        """Read: one pipeline, sent again once if its answer is lost on the way.

        allow: answer even when a statement failed; else CommandFailed tells the first that has no complete answer.
        Errors that do not end a statement stay in its result. Raises CommandFailed, ConnectionLost.
        """
        return self._run(statements, repeatable=True, allow=allow)

    def act(self, *statements: Statement, allow: bool = False) -> Reply:
        """Change: one pipeline, never sent twice.

        Every cmdlet gets ErrorAction Stop unless its statement is `tolerant()`, so nothing runs after a failure; a
        program's exit code does not stop what follows it.
        Raises CommandFailed; ConnectionLost when the answer was lost: then the change may have been made or not.
        """
        return self._run([statement.strict() for statement in statements], repeatable=False, allow=allow)

    def watch(self, *statements: Statement) -> Iterator[Result]:
        """Read in a stream: each result as soon as it is complete; `close()` of the iterator stops the pipeline.

        Keys may repeat here, so that a tick can be asked for many times. Raises CommandFailed, ConnectionLost.
        """
        stream = self._runner.stream([self._located(statement) for statement in statements])
        try:
            for result in stream:
                if not result.complete:
                    raise CommandFailed(result.key, _cause(result, None), self.name)
                yield result
        finally:
            close = getattr(stream, "close", None)
            if close is not None:
                close()

    def reopen(self) -> None:
        """A new session, after ConnectionLost."""
        self._runner.reopen()

    def _run(self, statements: Sequence[Statement], *, repeatable: bool, allow: bool) -> Reply:
        keys = [statement.key for statement in statements]
        if len(set(keys)) != len(keys):
            raise ValueError(f"two statements of one pipeline have the same key: {', '.join(sorted(keys))}")
        reply = self._runner.run([self._located(statement) for statement in statements], repeatable)
        missing = reply.first_incomplete()
        if not allow and missing is not None:
            raise CommandFailed(missing.key, _cause(missing, reply.failure), self.name)
        return reply

    def _located(self, statement: Statement) -> Statement:
        """The statement with full paths for its programs: a bare name would be looked up along the host's PATH."""
        if not any(command.program for command in statement.commands):
            return statement
        commands = []
        for command in statement.commands:
            if command.program and ("\\" in command.name or "/" in command.name):
                raise Unsendable(f"a program is named by its file name alone, not as {command.name!r}")
            commands.append(replace(command, name=self.system32(command.name)) if command.program else command)
        return replace(statement, commands=tuple(commands))


def _cause(result: Result, failure: HostError | None) -> HostError:
    if failure is not None:
        return failure
    if result.errors:
        return result.errors[-1]
    return HostError("the host ended the pipeline before it", "NotAnswered", "InvalidResult")
