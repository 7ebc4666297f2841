# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The world of the outside engines: what only Windows has, done by the laboratory's own commands and programs.

One socket for all engines of a laboratory; JSON, one object a line.  An engine says who it is in its hello, then each
call is carried out on that session's host as that session's user.
"""

from __future__ import annotations

import contextlib
import json
import queue
import socketserver
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vsslab.windows.errors import WinError

from . import signatures
from .command import StopUpstream
from .errors import ErrorInfo, PipelineStopped, PowerShellError
from .outside_values import Json, Seen, error, outgoing
from .pipeline import Asked, CmdletStage, Context, run
from .values import custom

if TYPE_CHECKING:
    from .runspace import Runspace

Emit = Callable[[dict[str, Json]], None]
_LONGEST_PATH = 100  # of a unix socket, in bytes
_DRAIN = "$drain"


class WorldSession:
    """One engine's way to its host: `runspace` is who asks, and where."""

    def __init__(self, runspace: Runspace) -> None:
        self.runspace = runspace
        self._seen = Seen()
        self._stops: set[threading.Event] = set()
        self._idle = threading.Condition()
        self._ended = False

    def stop(self) -> None:
        """Break off everything that runs for this session."""
        with self._idle:
            running = tuple(self._stops)
        for each in running:
            each.set()

    def end(self) -> None:
        """The session is over: nothing of it runs, or will run, any more."""
        self._ended = True
        self.stop()
        self.runspace.host.processes.kill_owned(self.runspace.shell_id)

    @contextlib.contextmanager
    def working(self, stop: threading.Event) -> Any:
        """While something runs for the session."""
        with self._idle:
            self._stops.add(stop)
        if self._ended:
            stop.set()
        try:
            yield
        finally:
            with self._idle:
                self._stops.discard(stop)
                self._idle.notify_all()

    def settle(self, timeout: float = 5.0) -> bool:
        """Wait until nothing runs for the session; False after `timeout` seconds."""
        with self._idle:
            return self._idle.wait_for(lambda: not self._stops, timeout)

    # -- programs --------------------------------------------------------------------------------------------------
    def program(self, name: str, parameters: dict[str, Json], stop: threading.Event, emit: Emit) -> int:
        """Run a program as the session's user; its exit code."""
        host, runspace = self.runspace.host, self.runspace

        def out(text: str) -> None:
            emit({"output": text})

        def err(text: str) -> None:
            emit({"error": {"message": text}})

        argv = [f"{host.windows}\\System32\\{name}", *map(str, parameters.get("Arguments") or ())]
        try:
            return host.processes.run(argv, runspace.user, out=out, err=err, stdin=str(parameters.get("Input") or ""),
                                      stop=stop, owner=runspace.shell_id)  # fmt: skip
        except WinError as problem:
            err(problem.localized(host.language.tag))
            return 9009

    # -- commands --------------------------------------------------------------------------------------------------
    def command(self, name: str, parameters: dict[str, Json], stop: threading.Event, emit: Emit) -> None:
        """Carry out a command that an engine has bound, once or for every record of its input."""
        context = _Answer(self, stop, emit)
        try:
            if "$records" in parameters:
                self._collected(context, name, parameters)
            else:
                stage = self._stage(context, name, parameters, piped=False)
                stage.bind()
                run(context, [stage])
        except PipelineStopped:
            return
        except PowerShellError as problem:
            emit({"error": error(problem.info)})

    def _stage(self, context: Context, name: str, given: dict[str, Json], *, piped: bool) -> CmdletStage:
        signature = signatures.find(name)
        if signature is None:
            raise PowerShellError(self.runspace.refuse(name, f"the command {name}"))
        return CmdletStage(context, signature, Asked(name, self._arguments(given)), piped=piped)

    def _arguments(self, given: dict[str, Json]) -> tuple[tuple[str | None, Any], ...]:
        named = [(name, self._value(each)) for name, each in given.items() if not name.startswith("$")]
        if str(given.get("$action", "")) == "Stop":  # every other preference is the engine's business
            named.append(("ErrorAction", "Stop"))
        return tuple(named)

    def _value(self, value: Json) -> Any:
        return self._seen.decode(value, self.runspace.host.clock.zone)

    def _collected(self, context: Context, name: str, parameters: dict[str, Json]) -> None:
        """A command that answers after the last of its input: bound with the command line, fed with every record."""
        given, records = parameters["$given"], parameters["$records"]
        if not parameters["$piped"]:
            stage = self._stage(context, name, records[0] if records else given, piped=False)
            stage.bind()
            run(context, [stage])
            return
        stage = self._stage(context, name, given, piped=True)
        stage.bind()
        stage.start()
        with contextlib.suppress(StopUpstream):
            for record in records:
                if context.stop.is_set():
                    raise PipelineStopped
                own = {key: each for key, each in record.items() if key not in given and not key.startswith("$")}
                stage.feed(self._piped(name, own))
        stage.finish()

    def _piped(self, command: str, own: dict[str, Json]) -> Any:
        """The object that was piped, of the parameters that it was bound to."""
        signature = signatures.find(command)
        by_value = {each.name for each in signature.parameters if each.by_value} if signature is not None else set()
        for name, value in own.items():
            if name in by_value:
                decoded = self._value(value)
                return decoded[0] if isinstance(decoded, list) and len(decoded) == 1 else decoded
        return custom({name: self._value(each) for name, each in own.items()})

    def remember(self, value: Any) -> None:
        """An object goes to the engine and may come back."""
        self._seen.remember(value)


class _Answer(Context):
    """A command's streams, as lines for the engine."""

    def __init__(self, session: WorldSession, stop: threading.Event, emit: Emit) -> None:
        super().__init__(session.runspace, _Streams(emit), stop)
        self._session, self._emit = session, emit

    def output(self, value: Any) -> None:
        """An object; lists stay whole, as the command wrote them."""
        if self.stop.is_set():
            raise PipelineStopped
        self.outputs += 1
        self._session.remember(value)
        self._emit({"output": outgoing(value)})

    def report(self, info: ErrorInfo, action: str) -> None:
        """A non-terminating error; the engine does what -ErrorAction says, but a Stop ends the work here too."""
        if action == "Stop":
            super().report(info, action)
        self.errors += 1
        self._emit({"error": error(info) | {"terminating": False}})


class _Streams:
    """The streams beside output and errors."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit

    def output(self, value: Any) -> None:
        """Not used: outputs have their own way."""
        raise NotImplementedError

    error = output

    def warning(self, text: str) -> None:
        """One warning."""
        self._emit({"warning": text})

    def verbose(self, text: str) -> None:
        """One verbose message."""
        self._emit({"verbose": text})

    def progress(self, activity: str, status: str, percent: int) -> None:
        """One progress record."""
        self._emit({"progress": {"activity": activity, "status": status or " ", "percent": percent}})


class World:
    """The socket and its sessions. Close it when the laboratory ends."""

    def __init__(self, folder: Path, find: Callable[[str], WorldSession | None]) -> None:
        self.path = folder / "world.sock"
        if len(str(self.path).encode()) > _LONGEST_PATH:
            raise ValueError(f"The path of the engines' socket is too long: {self.path}.")
        self.path.unlink(missing_ok=True)
        world = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                with contextlib.suppress(OSError, ValueError, PipelineStopped):  # the engine is gone
                    world._serve(self.rfile, self.wfile, find)

        class Server(socketserver.ThreadingUnixStreamServer):
            daemon_threads = True
            block_on_close = False

        self._server = Server(str(self.path), Handler)
        self.path.chmod(0o600)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.1,), name="vsslab world", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Answer nobody any more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self.path.unlink(missing_ok=True)

    def _serve(self, reader: Any, writer: Any, find: Callable[[str], WorldSession | None]) -> None:
        hello = json.loads(reader.readline() or "{}")
        session = find(str(hello.get("host")))
        if session is None:
            return
        calls = _Calls(reader)

        def emit(message: dict[str, Json]) -> None:
            try:
                writer.write((json.dumps(message, ensure_ascii=False) + "\n").encode("utf-8", "replace"))
                writer.flush()
            except (OSError, ValueError):
                raise PipelineStopped from None

        for asked, stop in calls:
            done: dict[str, Json] = {"done": True}
            with session.working(stop):
                try:
                    if hello.get("hello") == "winexe":
                        done["exit_code"] = session.program(asked["call"], asked["parameters"], stop, emit)
                    else:
                        session.command(asked["call"], asked["parameters"], stop, emit)
                except PipelineStopped:
                    done["exit_code"] = 1
                except Exception as problem:  # noqa: BLE001 - a defect must reach the client as one sentence
                    text = f"vsslab failed inside: {type(problem).__name__}: {problem}"
                    session.runspace.trace.write("defect", session.runspace.host.name, what=text)
                    emit({"error": {"message": text, "id": "LaboratoryDefect", "terminating": True}})
            emit(done)


class _Calls:
    """The calls of one connection with their stop events.

    A reader of its own sees at once when the engine breaks a call off ($drain) or goes away.
    """

    def __init__(self, reader: Any) -> None:
        self._reader = reader
        self._waiting: queue.Queue[dict[str, Json] | None] = queue.Queue()
        self._running: threading.Event | None = None  # the stop event of the call that is carried out
        self._over = False
        threading.Thread(target=self._read, name="vsslab world reader", daemon=True).start()

    def _read(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            for line in self._reader:
                message = json.loads(line)
                if message.get("call") == _DRAIN:
                    self._break_off()
                elif "call" in message:
                    self._waiting.put(message)
        self._over = True
        self._break_off()
        self._waiting.put(None)

    def _break_off(self) -> None:
        running = self._running
        if running is not None:
            running.set()

    def __iter__(self) -> Any:
        while True:
            message = self._waiting.get()
            if message is None:
                return
            self._running = threading.Event()
            if self._over:
                self._running.set()
            yield message, self._running
            self._running = None
