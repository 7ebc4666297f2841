# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PSRP shells whose runspace pool is a real engine's, in a process of its own.

Messages pass unchanged in both directions; here they are only put together and cut anew, because an envelope has limits
that a pipe has not.  What an engine says about its startup script is no business of the client's.  Disconnecting is
refused: an engine on a pipe knows no second client.
"""

from __future__ import annotations

import contextlib
import itertools
import re
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import psrpcore
from psrpcore import types
from psrpcore.types._serializer import deserialize

from vsslab.engine.outside import EngineError, Receiver, Session
from vsslab.engine.runspace import described
from vsslab.wire import fragments, soap
from vsslab.wire.outbox import PsrpMessage
from vsslab.wire.sessions import PoolShell, RunspaceFactory
from vsslab.wire.settings import Settings
from vsslab.wire.shells import ShellRequest, Task, checked_id
from vsslab.wire.wsman_faults import WsmanFault

if TYPE_CHECKING:
    from vsslab.engine.outside import Engine
    from vsslab.windows.host import Host
    from vsslab.windows.users import User

_NO_SECRETS: Any = None  # the key that would open a SecureString is the engine's
_KINDS = types.PSRPMessageType
_STATES: Mapping[int, str] = {3: "Stopped", 4: "Completed", 5: "Failed"}  # [MS-PSRP] 2.2.3.5, the final ones
_STATE = re.compile(rb'N="PipelineState">(\d+)<')
_OPENS_WITHIN = 60.0  # seconds, after which an engine whose startup script went wrong is given up
_LARGEST = 1 << 30  # bytes of one message from an engine


@dataclass
class _Direction:
    """What comes from one side, put together; fragments of several pipelines have numbers of their own."""

    largest: int
    _open: dict[uuid.UUID | None, fragments.Reassembler] = field(default_factory=dict)

    def feed(self, guid: uuid.UUID | None, data: bytes) -> list[fragments.RawMessage]:
        return self._open.setdefault(guid, fragments.Reassembler(self.largest)).feed(data)

    def forget(self, guid: uuid.UUID) -> None:
        self._open.pop(guid, None)


class RelayShell(PoolShell):
    """One session in a real engine."""

    def __init__(
        self,
        host: Host,
        owner: User,
        request: ShellRequest,
        settings: Settings,
        factory: RunspaceFactory,
        engine: Engine,
    ) -> None:
        super().__init__(host, owner, request, settings)
        self._numbers = itertools.count(1)
        self._live: dict[uuid.UUID, Task] = {}
        self._lock = threading.Lock()
        self._from_client, self._from_engine = _Direction(settings.max_object), _Direction(_LARGEST)
        self._listen(None, self._creation)
        self._runspace = factory(host, owner, self.id, self._configuration)
        try:
            self._session: Session = engine.open(self._runspace)
        except (EngineError, OSError) as error:
            raise WsmanFault("psrp_broken", what=f"the engine does not start ({error})") from error
        self.host.trace.write("engine", host.name, shell=self.id, pid=self._session.process.pid, state="taken")
        self._opening = threading.Timer(_OPENS_WITHIN, self._never_opened)
        self._opening.daemon = True
        self._opening.start()
        self._session.process.attach(Receiver(self._from, self._over))
        self._session.process.data(None, self._creation)

    # --- from the client to the engine

    def command(self, command_id: str | None, line: str, arguments: list[str], options: dict[str, str]) -> str:
        """Create a pipeline; `arguments` holds its first fragment, Sends bring the others."""
        if command_id is None:
            raise WsmanFault("psrp_broken", what="CommandId is missing")
        for old in [each for each in self.tasks.values() if each.outbox.drained][:-1000]:
            self.tasks.pop(old.id, None)
        task = self.new_task(checked_id(command_id))
        task.started = True
        guid = uuid.UUID(task.id)
        data = soap.decode("".join(arguments))
        try:
            self._listen(guid, data)
        except WsmanFault:
            self.tasks.pop(task.id, None)
            raise
        with self._lock:
            self._live[guid] = task
        self._session.process.command(guid)
        self._session.process.data(guid, data)
        return task.id

    def send(self, command_id: str | None, stream: str, data: bytes, *, end: bool) -> None:
        """Further fragments, for a pipeline or the pool."""
        if stream not in ("stdin", "pr"):
            raise WsmanFault("psrp_broken", what="the stream is neither stdin nor pr")
        guid = uuid.UUID(self.task(command_id).id) if command_id else None
        self._listen(guid, data)
        self._session.process.data(guid, data)

    def _listen(self, guid: uuid.UUID | None, data: bytes) -> None:
        """Refuse what is no fragment of a session, before the engine sees it; trace the pipelines."""
        try:
            for message in self._from_client.feed(guid, data):
                if message.kind == _KINDS.CreatePipeline:
                    self._trace(guid, message.data[fragments.MESSAGE_HEADER :])
        except fragments.FragmentError as error:
            raise WsmanFault("psrp_broken", what=str(error)) from error

    def _trace(self, guid: uuid.UUID | None, xml: bytes) -> None:
        statements = []
        with contextlib.suppress(Exception):  # what the engine does not understand it says itself
            asked: Any = deserialize(ElementTree.fromstring(xml), _NO_SECRETS)  # noqa: S314 - checked already
            statements = described(psrpcore.PowerShell.FromPSObjectForRemoting(asked))
        self.host.trace.write("pipeline", self.host.name, id=str(guid).upper(), shell=self.id, engine="outside",
                              user=self.owner.full_name, statements=statements)  # fmt: skip

    async def stop(self, task: Task, patience: float) -> bool:
        """Stop a pipeline: in the engine, and what it waits for in its world."""
        if task.started and not task.outbox.finished:
            self._session.process.signal(uuid.UUID(task.id))
            self._session.world.stop()
        return await super().stop(task, patience)

    def kill(self) -> list[Task]:
        """End the session and its process without waiting."""
        told = super().kill()
        self._opening.cancel()
        self._session.kill()
        return told

    # --- from the engine to the client; called in the engine's reading thread

    def _from(self, guid: uuid.UUID | None, data: bytes) -> None:
        for message in self._from_engine.feed(guid, data):
            if guid is None:
                self._to_pool(message)
            else:
                self._to_pipeline(guid, message)

    def _to_pool(self, message: fragments.RawMessage) -> None:
        if message.kind == _KINDS.PipelineState:  # of the startup script
            return
        self._outbox.put(self._message(message))
        self._opening.cancel()
        if message.kind in (_KINDS.ApplicationPrivateData, _KINDS.RunspacePoolState):
            self._outbox.seal_group()

    def _to_pipeline(self, guid: uuid.UUID, message: fragments.RawMessage) -> None:
        with self._lock:
            task = self._live.get(guid)
        if task is None:
            return
        found = _STATE.search(message.data) if message.kind == _KINDS.PipelineState else None
        state = _STATES.get(int(found[1])) if found is not None else None
        if state == "Stopped":
            self._session.world.settle()  # a client that reads it finds nothing that still runs
        task.outbox.put(self._message(message), task.stop)
        if state is not None:
            self._finish(guid, task, state)
            self._session.process.close(guid)

    def _message(self, message: fragments.RawMessage) -> PsrpMessage:
        return PsrpMessage(next(self._numbers), message.data, self.settings.fragment)

    def _finish(self, guid: uuid.UUID, task: Task, state: str) -> None:
        with self._lock:
            self._live.pop(guid, None)
        self._from_engine.forget(guid)
        self._from_client.forget(guid)
        task.outbox.finish()
        self.host.trace.write("pipeline_end", self.host.name, id=str(guid).upper(), state=state)
        self.ended(task)

    def _never_opened(self) -> None:
        """The engine said nothing: it is ended, and its client told so."""
        self._session.kill()

    def _over(self) -> None:
        """The engine is gone: after the end of the session, or by itself."""
        with self._lock:
            left, self._live = list(self._live.values()), {}
        self.host.trace.write("engine", self.host.name, shell=self.id, pid=self._session.process.pid, state="gone",
                              said=self._session.process.last_words)  # fmt: skip
        self._outbox.abort()
        for task in left:
            task.outbox.abort()
            self.ended(task)
