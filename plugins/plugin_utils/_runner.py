# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carrier: runs pipelines in an open runspace pool, and repairs what can be repaired.

What is repeated: reading what a pipeline has to say (Receive) once, over a new session, because the host keeps what was
not delivered; a whole pipeline once, if it only reads; a pipeline that the host has refused to start. A pipeline that
changes something and whose answer is lost is never repeated: ConnectionLost says so. It is let come to its end before
its session is left, which would end it, and the programs it runs, in the middle of what they do.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, suppress
from typing import Any

from ._clixml import create_pipeline, sending
from ._error_records import reading_errors
from ._meter import Counters
from ._pipeline import ConnectionLost, HostFailure, Pipeline, Reader, Reply, Result, Statement
from ._riders import Rider, Trouble, trouble
from ._translate import host_error, plain_value

__all__ = ["Carrier", "Refused"]

# Seconds to wait before asking for answers: statements answer one by one, and what has gathered comes in one request
# instead of many. A host that took long to take the commands is slow to run them, too.
_GATHER_LEAST, _GATHER_MOST = 0.1, 0.8
_PATIENCE = 5  # seconds; for what is only done to be tidy
_AGAIN = 1.0  # seconds before something is tried again
_LET_END = 900.0  # seconds; the longest that is waited for the end of a pipeline that nobody listens to any more


class Refused(HostFailure):
    """The host did not let us in, or refused to begin; the text is one sentence."""


class _Lost(Exception):
    """The way to the host failed in the middle of a pipeline."""

    def __init__(self, found: Trouble, running: Any = None) -> None:
        super().__init__(found.reason)
        self.trouble, self.running = found, running


class Carrier:
    """Runs pipelines in an open runspace pool; see `_host.Runner` for the promises of its methods."""

    def __init__(
        self,
        name: str,
        pool: Any,
        rider: Rider,
        counters: Counters | None = None,
        *,
        renewed: Callable[[Any], None] | None = None,
        leave: Callable[[Any], None] | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name = name
        self.counters = counters or Counters()
        self._pool = pool
        reading_errors(pool)
        self._rider = rider
        self._renewed = renewed
        self._leave = leave
        self._sleep = sleep
        self._unfinished: _Talk | None = None  # a pipeline that changes something, as long as it may run
        self.repaired: list[str] = []  # why a connection had to be made again, each time that it was

    def run(self, statements: Sequence[Statement], repeatable: bool) -> Reply:
        """See `_host.Runner`."""
        try:
            return self._once(statements, repeatable)
        except _Lost as lost:
            if not repeatable:
                if self._unfinished is None and lost.running is not None:
                    self._unfinished = _Talk(lost.running, Pipeline(()).reader(), heard=False)
                raise self._lost(lost, statements) from lost
            first = lost
        try:
            self._recover(first)
            self.repaired.append(first.trouble.reason)
            return self._once(statements, repeatable)
        except _Lost as lost:
            raise self._lost(lost, statements) from lost

    def stream(self, statements: Sequence[Statement]) -> Iterator[Result]:
        """See `_host.Runner`."""
        rest, repeated = list(statements), False
        while True:
            try:
                with closing(self._follow(rest)) as results:
                    for result in results:
                        yield result
                        rest = rest[1:]
            except _Lost as lost:
                if repeated:
                    raise self._lost(lost, rest) from lost
                repeated = True
                self.repaired.append(lost.trouble.reason)
                try:
                    self._recover(lost)
                except _Lost as again:
                    raise self._lost(again, rest) from again
            else:
                return

    def reopen(self) -> None:
        """See `_host.Runner`."""
        self._rider.forget()
        try:
            self._let_end()
            self._new_pool()
        except _Lost as lost:
            raise self._lost(lost, ()) from lost

    def close(self) -> None:
        """Leave the connection as the connection plugin expects it. Never fails."""
        if self._leave is None:
            return
        leave, self._leave = self._leave, None
        with suppress(Exception):
            leave(self._pool)

    # ----------------------------------------------------------------------------------------------------- one pipeline
    def _once(self, statements: Sequence[Statement], repeatable: bool) -> Reply:
        pipeline, began = Pipeline(tuple(statements)), time.monotonic()
        reader = pipeline.reader()
        shell = self._begin(pipeline)
        talk = _Talk(shell, reader)
        self._unfinished = None if repeatable else talk
        pause = max(_GATHER_LEAST, 2 * (time.monotonic() - began))
        while talk.going:
            pause = min(pause, _GATHER_MOST)
            self._sleep(pause)
            self._poll(talk)
            pause *= 2
        self._unfinished = None
        self._pool.pipelines.pop(shell.id, None)
        reply = reader.end(talk.failure, time.monotonic() - began)
        if talk.doubtful and reply.first_incomplete() is not None:  # so it is not known which sentinels were lost
            raise _Lost(Trouble("a part of its answer was lost"), shell)
        return reply

    def _follow(self, statements: Sequence[Statement]) -> Generator[Result, None, None]:
        # each result is handed over at once, also when a part of the answer was lost before it
        pipeline = Pipeline(tuple(statements), numbered=True)
        reader = pipeline.reader()
        shell = self._begin(pipeline)
        talk = _Talk(shell, reader)
        try:
            while talk.going:
                yield from self._poll(talk)
            reply = reader.end(talk.failure)
            missing = next((result for result in reader.results if not result.complete), None)
            if missing is not None:
                if talk.doubtful and reply.failure is None:
                    raise _Lost(Trouble("a part of its answer was lost"), shell)
                missing.errors.extend([reply.failure] if reply.failure else [])
                yield missing
        finally:
            if talk.going:
                self._stop(shell)
            self._pool.pipelines.pop(shell.id, None)

    def _begin(self, pipeline: Pipeline) -> Any:
        self.counters.pipelines += 1
        try:
            return self._invoke(pipeline)
        except _Lost as lost:
            if not lost.trouble.answered or lost.trouble.timed_out:
                raise
            if not lost.trouble.shell_gone:
                raise Refused(f"{self.name} did not start the commands: {lost.trouble.reason}") from lost
            # The host said that it has no such shell: nothing was begun, so beginning is no repetition.
            self._new_pool()
            return self._invoke(pipeline)

    def _invoke(self, pipeline: Pipeline) -> Any:
        from pypsrp.powershell import PowerShell  # noqa: PLC0415 - may be missing

        statements = pipeline.batch()
        message, shell = create_pipeline(statements), PowerShell(self._pool)
        shell.add_cmdlet(statements[0][0].name)  # pypsrp sends no pipeline that it holds for empty
        try:
            with sending(self._pool, message):
                shell.begin_invoke()
        except Exception as exc:
            raise self._understood(exc, shell) from exc
        return shell

    def _poll(self, talk: _Talk) -> list[Result]:
        """One Receive, repeated once over a new session when its answer is lost."""
        try:
            return self._receive(talk)
        except _Lost as lost:
            if lost.trouble.answered:
                raise
            reason = lost.trouble.reason
        self._sleep(_AGAIN)
        talk.doubtful = True
        results = self._receive(talk)
        self.repaired.append(reason)
        return results

    def _receive(self, talk: _Talk) -> list[Result]:
        self.counters.receives += 1
        try:
            # Not poll_invoke, which sorts outputs and errors into two lists and so loses the order between them.
            messages = self._pool._receive(talk.shell.id)
        except Exception as exc:
            lost = self._understood(exc, talk.shell)
            if lost.trouble.timed_out:
                return []
            raise lost from exc
        return talk.take(messages)

    def _understood(self, exc: Exception, shell: Any) -> _Lost:
        found = trouble(exc)
        if found is None:
            raise exc
        if not found.answered:
            self._rider.forget()  # whatever was lost, the keys of a sealed session are worth nothing without it
        return _Lost(found, shell)

    # ---------------------------------------------------------------------------------------------------------- repairs
    def _recover(self, lost: _Lost) -> None:
        """Make ready for another pipeline after `lost`."""
        self._sleep(_AGAIN)
        if lost.trouble.answered:
            self._new_pool()
        else:
            self._stop(lost.running)

    def _let_end(self) -> None:
        """Hear a pipeline that changes something out. Raises _Lost when the host does not answer yet."""
        talk, deadline = self._unfinished, time.monotonic() + _LET_END
        while talk is not None and not talk.over and time.monotonic() < deadline:
            # The host may have begun although its answer was lost; it was told to use our identity for it.
            talk.shell._command_id = talk.shell._command_id or talk.shell.id
            self._pool.pipelines[talk.shell.id] = talk.shell
            try:
                talk.take(self._pool._receive(talk.shell.id))
            except Exception as exc:
                lost = self._understood(exc, talk.shell)
                if not lost.trouble.answered:
                    raise lost from exc
                if not (lost.trouble.timed_out and talk.heard):
                    break  # it has ended, or has never begun
        self._unfinished = None

    def _stop(self, shell: Any) -> None:
        """Stop a pipeline on the host, or at least ask for it: a pool runs one at a time."""
        with suppress(Exception):
            self._pool.shell.signal("powershell/signal/ctrl_c", str(shell.id).upper())
        self._pool.pipelines.pop(shell.id, None)

    def _new_pool(self) -> None:
        from pypsrp.powershell import RunspacePool  # noqa: PLC0415 - may be missing

        old, wsman = self._pool, self._pool.connection
        with suppress(Exception):
            wsman.delete(old.shell.resource_uri, selector_set=old.shell._selector_set, timeout=_PATIENCE)
        configuration = str(old.shell.resource_uri).rsplit("/", 1)[-1]
        new = RunspacePool(wsman, host=old.host, configuration_name=configuration)
        try:
            new.open()
        except Exception as exc:
            raise self._understood(exc, None) from exc
        self._pool = new
        reading_errors(new)
        if self._renewed is not None:
            self._renewed(new)

    def _lost(self, lost: _Lost, statements: Sequence[Statement]) -> ConnectionLost:
        return ConnectionLost(self.name, lost.trouble.reason, [statement.key for statement in statements])


class _Talk:
    """One running pipeline: hands its messages to the reader in the order in which they came."""

    def __init__(self, shell: Any, reader: Reader, heard: bool = True) -> None:
        self.shell, self.reader, self.heard = shell, reader, heard  # heard: the host has shown that it has begun
        self.doubtful = False  # an answer was lost, and asked for again
        self.failure: Any = None
        self._errors = 0

    @property
    def going(self) -> bool:
        """Whether the host has more to say (PSInvocationState Running or Stopping, [MS-PSRP] 2.2.3.4)."""
        return self.shell.state in (1, 2)

    @property
    def over(self) -> bool:
        """Whether the host has said that it has ended (Stopped, Completed or Failed)."""
        return self.shell.state in (3, 4, 5)

    def take(self, messages: Sequence[tuple[int, Any]]) -> list[Result]:
        """Read the messages of one Receive; the results that they complete."""
        from pypsrp.complex_objects import PSInvocationState  # noqa: PLC0415 - may be missing
        from pypsrp.messages import MessageType  # noqa: PLC0415

        done = []
        self.heard = self.heard or bool(messages)
        for kind, message in messages:
            if kind == MessageType.PIPELINE_OUTPUT:
                result = self.reader.output(plain_value(message.data.data))
                if result is not None:
                    done.append(result)
            elif kind == MessageType.ERROR_RECORD:
                self.reader.error(host_error(self._next_error()))
            elif kind == MessageType.PIPELINE_STATE and self.shell.state == PSInvocationState.FAILED:
                self.failure = host_error(self._next_error())
        if self.shell.state == PSInvocationState.STOPPED and self.failure is None:
            self.failure = host_error("the pipeline was stopped on the host")
        return done

    def _next_error(self) -> Any:
        """pypsrp keeps error records aside, in the order of their messages."""
        errors = self.shell.streams.error
        if self._errors >= len(errors):
            return "the host gave no reason"
        self._errors += 1
        return errors[self._errors - 1]
