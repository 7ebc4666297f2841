# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real PowerShell engine in the place of the laboratory's interpreter: its processes, and their framing.

The engine's folder holds `psengine` (started as `psengine --init SCRIPT`: a PSRP server that speaks the out-of-process
framing, one XML element a line, on its standard input and output) and `psengine.dll` (a module with Invoke-World,
Add-ExecutableAlias and the built-in commands of outside_session.BUILT_IN).  Framing: the transport of background jobs
in PowerShell, [MS-PSRP] fragments in base64.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import queue
import re
import secrets
import subprocess
import sys
import tempfile
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from . import outside_session
from .outside_world import World, WorldSession

if TYPE_CHECKING:
    from .runspace import Runspace

_POOL = uuid.UUID(int=0)
_ELEMENT = re.compile(r"<(\w+)\b[^>]*?PSGuid='([0-9A-Fa-f-]{36})'[^>]*?(?:/>|>(.*?)</\1>)")
_PARTS = ("psengine", "psengine.dll")
_LAST_WORDS = 2000  # characters of an engine's standard error that are kept


class EngineError(Exception):
    """The engine cannot be used; one sentence."""


@dataclass
class Receiver:
    """Who gets what an engine says; called from the engine's reading thread. None stands for the pool."""

    data: Callable[[uuid.UUID | None, bytes], None]
    ended: Callable[[], None]


class Process:
    """One engine process: one shell's session. `token` is how its world knows it, `scratch` its temporary folder."""

    def __init__(self, folder: Path, script: Path, world: Path, token: str, scratch: str) -> None:
        self.token = token
        self._lock = threading.Lock()
        self._held: dict[uuid.UUID, list[str]] = {}  # of pipelines that wait for an acknowledgement: what comes next
        self._early: list[tuple[uuid.UUID | None, bytes]] = []
        self._receiver: Receiver | None = None
        self._over = False
        self._outgoing: queue.Queue[str | None] = queue.Queue()
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed by the reader when the engine has ended
        environment = {**os.environ, "PSENGINE_WORLD": f"unix:{world}", "PSENGINE_HOST": token}
        environment |= {"DOTNET_TieredPGO": "0", "TERM": "dumb", "TZ": "UTC", "TMPDIR": scratch}
        self._child = subprocess.Popen(
            [str(folder / "psengine"), "--init", str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env=environment,
            encoding="utf-8",
            start_new_session=True,
        )
        self.last_words = ""
        threading.Thread(target=self._write, name=f"engine {self._child.pid} in", daemon=True).start()
        self._reader = threading.Thread(target=self._read, name=f"engine {self._child.pid} out", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The engine's process on this machine."""
        return self._child.pid

    def attach(self, receiver: Receiver) -> None:
        """Say who gets what the engine says from now on, and what it has said already."""
        with self._lock:
            self._receiver, early, self._early = receiver, self._early, []
            over = self._over
        for guid, data in early:
            receiver.data(guid, data)
        if over:
            receiver.ended()

    # -- to the engine ---------------------------------------------------------------------------------------------
    def data(self, guid: uuid.UUID | None, fragments: bytes) -> None:
        """Fragments for a pipeline or the pool."""
        text = base64.b64encode(fragments).decode("ascii")
        line = f"<Data Stream='Default' PSGuid='{guid or _POOL}'>{text}</Data>"
        if guid is None:
            self._outgoing.put(line)
        else:
            self._in_turn(guid, line)

    def _in_turn(self, guid: uuid.UUID, line: str) -> None:
        """Send it when the engine has acknowledged what this pipeline was sent before."""
        with self._lock:
            if guid in self._held:
                self._held[guid].append(line)
                return
            self._held[guid] = []
            self._outgoing.put(line)

    def command(self, guid: uuid.UUID) -> None:
        """Announce a pipeline.  Each of its messages waits until the one before it was acknowledged, or gets lost."""
        self._in_turn(guid, f"<Command PSGuid='{guid}' />")

    def signal(self, guid: uuid.UUID) -> None:
        """Stop a pipeline; the engine does not remember a signal for one that it has not begun."""
        self._in_turn(guid, f"<Signal PSGuid='{guid}' />")

    def close(self, guid: uuid.UUID) -> None:
        """Forget a pipeline that has ended."""
        with self._lock:
            self._held.pop(guid, None)
        self._outgoing.put(f"<Close PSGuid='{guid}' />")

    def kill(self) -> None:
        """End the process at once; harmless when it has ended."""
        self._child.kill()
        self._outgoing.put(None)

    def wait(self, timeout: float = 5.0) -> None:
        """Wait until the process is gone and everything it said was handed over."""
        self._reader.join(timeout)

    def _write(self) -> None:
        channel = self._child.stdin
        assert channel is not None
        with contextlib.suppress(OSError, ValueError):
            while (line := self._outgoing.get()) is not None:
                channel.write(line + "\n")
                channel.flush()
        with contextlib.suppress(OSError):
            channel.close()

    # -- from the engine -------------------------------------------------------------------------------------------
    def _read(self) -> None:
        channel = self._child.stdout
        assert channel is not None
        with contextlib.suppress(OSError, ValueError):
            for line in channel:
                found = _ELEMENT.search(line)
                if found is not None:
                    self._element(found[1], uuid.UUID(found[2]), found[3] or "")
        channel.close()
        self._child.wait()
        self._outgoing.put(None)
        self._stderr.seek(0)
        self.last_words = self._stderr.read(_LAST_WORDS).decode("utf-8", "replace").strip()
        self._stderr.close()
        with self._lock:
            self._over = True
            receiver = self._receiver
        if receiver is not None:
            receiver.ended()

    def _element(self, name: str, guid: uuid.UUID, content: str) -> None:
        if name in ("CommandAck", "DataAck", "SignalAck"):
            with self._lock:
                if self._held.get(guid):
                    self._outgoing.put(self._held[guid].pop(0))
                else:
                    self._held.pop(guid, None)
        elif name == "Data":
            pipeline, data = (None if guid == _POOL else guid), base64.b64decode(content)
            with self._lock:
                receiver = self._receiver
                if receiver is None:
                    self._early.append((pipeline, data))
            if receiver is not None:
                receiver.data(pipeline, data)


@dataclass
class Session:
    """A shell's engine and its world."""

    process: Process
    world: WorldSession
    forget: Callable[[], None]

    def kill(self) -> None:
        """End it, with every program that runs in it."""
        self.process.kill()
        self.world.end()
        self.forget()


@dataclass
class _Spare:
    script: Path
    process: Process


@dataclass
class _State:
    worlds: dict[str, WorldSession] = field(default_factory=dict)
    spares: list[_Spare] = field(default_factory=list)
    running: set[Process] = field(default_factory=set)
    scripts: dict[tuple[str, str], Path] = field(default_factory=dict)
    closed: bool = False


class Engine:
    """The engines of a laboratory: `open` gives a session one of its own.

    `folder` is the engine's, `state` a folder of ours for the socket, the scripts and the stand-ins of programs.  With
    `spares` (how many) the next engine starts while the last one works, which hides its start of about a second.
    EngineError when the folder holds no engine.
    """

    def __init__(
        self, folder: Path, state: Path, *, language: outside_session.Language = "none", spares: int = 1
    ) -> None:
        self.folder, self.language, self._spares = folder.absolute(), language, spares
        missing = [name for name in _PARTS if not (self.folder / name).is_file()]
        if missing:
            raise EngineError(f"The engine's folder {folder} lacks {' and '.join(missing)}.")
        state.mkdir(parents=True, exist_ok=True)
        self._folder, self._lock, self._state = state.absolute(), threading.Lock(), _State()
        self._launcher = self._folder / "program"
        self._make_launcher()
        # For sockets, ours and those an engine makes and leaves behind when it is killed: a path short enough for them.
        self._temporary = tempfile.TemporaryDirectory(prefix="vsslab-")
        self._world = World(Path(self._temporary.name), self._state.worlds.get)

    def _make_launcher(self) -> None:
        text = resources.files(__package__).joinpath("outside_program.py").read_text(encoding="utf-8")
        self._launcher.write_text(f"#!{sys.executable} -IS\n{text}", encoding="utf-8")
        self._launcher.chmod(0o700)

    def open(self, runspace: Runspace) -> Session:
        """An engine for a session; `runspace` says on which host it is, as whom, and with which role."""
        script = self._script(runspace)
        with self._lock:
            if self._state.closed:
                raise EngineError("The laboratory is closing.")
            spare = next((each for each in self._state.spares if each.script == script), None)
            if spare is not None:
                self._state.spares.remove(spare)
            process = spare.process if spare is not None else self._start(script)
            world = WorldSession(runspace)
            self._state.worlds[process.token] = world
            while len([each for each in self._state.spares if each.script == script]) < self._spares:
                self._state.spares.append(_Spare(script, self._start(script)))
            for each in self._state.spares[: -max(self._spares, 4)]:  # roles nobody asks for any more
                each.process.kill()
                self._state.spares.remove(each)

        def forget() -> None:
            with self._lock:
                self._state.worlds.pop(process.token, None)
                self._state.running.discard(process)

        return Session(process, world, forget)

    def _start(self, script: Path) -> Process:
        process = Process(self.folder, script, self._world.path, secrets.token_hex(12), self._temporary.name)
        self._state.running.add(process)
        return process

    def _script(self, runspace: Runspace) -> Path:
        """The session's script, written once for all sessions that are alike."""
        key = runspace.host.name, runspace.endpoint.name
        if key in self._state.scripts:
            return self._state.scripts[key]
        text = outside_session.script(self.folder / "psengine.dll", self._programs(runspace), language=self.language,
                                      restriction=runspace.restriction)  # fmt: skip
        path = self._folder / f"session-{hashlib.sha256(text.encode()).hexdigest()[:16]}.ps1"
        if not path.exists():
            path.write_text(text, encoding="utf-8")
        self._state.scripts[key] = path
        return path

    def _programs(self, runspace: Runspace) -> dict[str, Path]:
        """Every way to call a program of the host, and its stand-in."""
        links = self._folder / "programs"
        links.mkdir(exist_ok=True)
        named: dict[str, Path] = {}
        for name in sorted(runspace.host.programs):
            link = links / name
            with contextlib.suppress(FileExistsError):
                link.symlink_to(self._launcher)
            full = f"{runspace.host.windows}\\System32\\{name}"
            named |= dict.fromkeys((name, name.removesuffix(".exe"), full, full.removesuffix(".exe")), link)
        return named

    def close(self) -> None:
        """End every engine and the world."""
        with self._lock:
            self._state.closed = True
            running, worlds = list(self._state.running), list(self._state.worlds.values())
            self._state.spares.clear()
        for process in running:
            process.kill()
        for world in worlds:
            world.end()
        for process in running:
            process.wait()
        self._world.close()
        self._temporary.cleanup()
