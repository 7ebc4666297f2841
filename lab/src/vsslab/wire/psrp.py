# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PSRP shells: a pool of the engine's runspaces, and the messages that drive it ([MS-PSRP] 3.2)."""

from __future__ import annotations

import base64
import itertools
import threading
import uuid
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import Element

import psrpcore
from psrpcore import types

from vsslab.engine.errors import ErrorInfo, PipelineFailed, PipelineStopped
from vsslab.engine.sent import SentPipeline
from vsslab.wire import fragments, soap
from vsslab.wire.outbox import PsrpMessage
from vsslab.wire.pool import Event, Pipeline, PipelineInput, PipelineSink, Pool
from vsslab.wire.sessions import NAMESPACE, PoolShell, RunspaceFactory
from vsslab.wire.settings import Settings
from vsslab.wire.shells import ShellRequest, Task, checked_id
from vsslab.wire.wsman_faults import WsmanFault

if TYPE_CHECKING:
    from vsslab.engine.runspace import Runspace
    from vsslab.windows.host import Host
    from vsslab.windows.users import User

_KINDS = types.PSRPMessageType
_NOT_SUPPORTED = "System.NotSupportedException"  # what is not the pipeline's own failure
_ALLOWED = {  # what a client may send, by the phase of the session ([MS-PSRP] 2.2.1, 3.2.5)
    "opening": {_KINDS.SessionCapability, _KINDS.InitRunspacePool},
    "connecting": {_KINDS.SessionCapability, _KINDS.ConnectRunspacePool},
    "open": {
        _KINDS.PublicKey, _KINDS.SetMaxRunspaces, _KINDS.SetMinRunspaces, _KINDS.ResetRunspaceState,
        _KINDS.GetAvailableRunspaces, _KINDS.RunspacePoolHostResponse, _KINDS.CreatePipeline,
        _KINDS.GetCommandMetadata, _KINDS.PipelineInput, _KINDS.EndOfPipelineInput, _KINDS.PipelineHostResponse,
    },
}  # fmt: skip


@dataclass(frozen=True)
class PrivateData:
    """APPLICATION_PRIVATE_DATA of a host: as psrpcore holds it, and as it is sent."""

    data: dict[str, Any]
    xml: bytes


@dataclass
class _Job:
    """A pipeline, the command that carries it, the runspace it runs in, and its input (None: it takes none)."""

    task: Task
    pipeline: Pipeline
    powershell: psrpcore.PowerShell | SentPipeline | None = None
    input: PipelineInput | None = None
    runspace: Runspace | None = None


class PsrpShell(PoolShell):
    """One session: a runspace pool.  So many pipelines run at a time as the pool may have runspaces, others wait."""

    can_disconnect = True

    def __init__(
        self,
        host: Host,
        owner: User,
        request: ShellRequest,
        settings: Settings,
        factory: RunspaceFactory,
        private: PrivateData,
    ) -> None:
        super().__init__(host, owner, request, settings)
        self._factory = factory
        self._pool = Pool(private.data, private.xml, self._post)
        self._reassembler = fragments.Reassembler(settings.max_object)
        self._object_ids = itertools.count(1)
        self._jobs: dict[uuid.UUID, _Job] = {}
        self._waiting: deque[_Job] = deque()
        self._running: dict[str, _Job] = {}
        self._handshake: bytearray | None = None
        self._phase = "opening"
        self._received: dict[str, int] = {}
        self._feed(self._creation, "")
        if self._pool.state != types.RunspacePoolState.Opened:
            raise WsmanFault("psrp_broken", what="the opening messages are incomplete")
        if not 1 <= self._pool.min_runspaces <= self._pool.max_runspaces:
            raise WsmanFault("psrp_broken", what="a pool has at least one runspace, and no fewer than its minimum")
        self._phase = "open"
        self._idle = [self._new_runspace()]

    def _new_runspace(self) -> Runspace:
        return self._factory(self.host, self.owner, self.id, self._configuration)

    # --- from the pool to the client

    def _post(self, kind: int, pipeline_id: uuid.UUID | None, data: bytes) -> None:
        number = next(self._object_ids)
        if pipeline_id is None and self._handshake is not None and kind != _KINDS.ApplicationPrivateData:
            if kind != _KINDS.RunspacePoolState:  # a new client is not told that the pool is open (recorded)
                self._handshake += fragments.fragment(number, 0, data, end=True)
            return
        message = PsrpMessage(number, data, self.settings.fragment)
        job = self._jobs.get(pipeline_id) if pipeline_id else None
        if job is not None:
            job.task.outbox.put(message, job.task.stop)
        elif pipeline_id is None:
            self._outbox.put(message)
            if kind in (_KINDS.ApplicationPrivateData, _KINDS.RunspacePoolState):
                self._outbox.seal_group()

    # --- from the client to the pool

    def command(self, command_id: str | None, line: str, arguments: list[str], options: dict[str, str]) -> str:
        """Create a pipeline; `arguments` holds its first fragment, Sends bring the others ([MS-PSRP] 3.1.5.3.3)."""
        if command_id is None:
            raise WsmanFault("psrp_broken", what="CommandId is missing")
        self._forget_old()
        task = self.new_task(checked_id(command_id))
        identifier = uuid.UUID(task.id)
        self._jobs[identifier] = _Job(task, Pipeline(self._pool, identifier))
        try:
            self._feed(soap.decode("".join(arguments)), task.id)
        except WsmanFault:
            self._drop(task)
            raise
        return task.id

    def _forget_old(self, keep: int = 1000) -> None:
        """Commands nobody signals are remembered, as a host does, but not without end."""
        for task in [each for each in self.tasks.values() if each.outbox.drained][:-keep]:
            self._drop(task)

    def _drop(self, task: Task) -> None:
        self.tasks.pop(task.id, None)
        self._jobs.pop(uuid.UUID(task.id), None)
        self._received.pop(task.id, None)
        self._pool.pipeline_table.pop(uuid.UUID(task.id), None)

    def send(self, command_id: str | None, stream: str, data: bytes, *, end: bool) -> None:
        """Further fragments, for a pipeline or the pool."""
        if stream not in ("stdin", "pr"):
            raise WsmanFault("psrp_broken", what="the stream is neither stdin nor pr")
        self._feed(data, self.task(command_id).id if command_id else "")

    def _feed(self, data: bytes, command_id: str) -> None:
        self._received[command_id] = self._received.get(command_id, 0) + len(data)
        if command_id and self._received[command_id] > self.settings.max_data_per_command:
            raise WsmanFault("psrp_broken", what="the command received more data than the session allows")
        if self._phase == "open" and self._outbox.full:  # every message to the pool may be answered by one
            raise WsmanFault("psrp_broken", what="the messages of the runspace pool are not fetched")
        try:
            for message in self._reassembler.feed(data):
                if message.kind not in _ALLOWED[self._phase]:
                    raise fragments.FragmentError(f"a message of the kind 0x{message.kind:08X} is not expected")
                payload = psrpcore.PSRPPayload(message.as_fragment(), psrpcore.StreamType.default, message.pipeline)
                self._pool.receive_data(payload)
                event = self._pool.next_event()
                if event is not None:
                    self._handle(event)
        except WsmanFault:
            raise
        except fragments.FragmentError as error:
            raise WsmanFault("psrp_broken", what=str(error)) from error
        except Exception as error:  # psrpcore trusts its peer; whatever foreign data makes it raise is one fault
            raise WsmanFault("psrp_broken", what=f"a message is not understood ({type(error).__name__})") from error

    def shake_hands(self, body: Element) -> str:
        """Let a new client connect: SESSION_CAPABILITY and CONNECT_RUNSPACEPOOL ([MS-PSRP] 3.2.5.4; recorded).

        The answer holds SESSION_CAPABILITY and RUNSPACEPOOL_INIT_DATA; APPLICATION_PRIVATE_DATA comes by Receive.
        """
        given = body.findtext(f"{{{NAMESPACE}}}connectXml")
        if given is None:
            raise WsmanFault("psrp_broken", what="connectXml is missing")
        pool, self._handshake, self._phase = self._pool, bytearray(), "connecting"
        before = (self._reassembler, pool._min_runspaces, pool._max_runspaces)
        self._reassembler = fragments.Reassembler(self.settings.max_object)
        pool.state = types.RunspacePoolState.Connecting
        try:
            self._feed(soap.decode(given), "")
            if pool.state != types.RunspacePoolState.Opened:
                raise WsmanFault("psrp_broken", what="the connecting messages are incomplete")
            answer = bytes(self._handshake)
        except WsmanFault:
            self._reassembler = before[0]
            raise
        finally:  # a client that connects takes the pool as it is
            _, pool._min_runspaces, pool._max_runspaces = before
            pool.state, self._handshake, self._phase = types.RunspacePoolState.Opened, None, "open"
        for outbox in self.outboxes(list(self.tasks.values())):
            outbox.rewind()
        streams = soap.element("InputStreams", self.input_streams) + soap.element("OutputStreams", self.output_streams)
        encoded = base64.b64encode(answer).decode("ascii")
        return f'{streams}<connectResponseXml xmlns="{NAMESPACE}">{encoded}</connectResponseXml>'

    def _handle(self, event: Event) -> None:
        pool = self._pool
        if isinstance(event, psrpcore.CreatePipelineEvent):
            self._create(event)
        elif isinstance(event, psrpcore.GetCommandMetadataEvent):
            self._refuse(self._job(event), "Get-Command metadata requests")
        elif isinstance(event, (psrpcore.PipelineInputEvent, psrpcore.EndOfPipelineInputEvent)):
            self._input(event)
        elif isinstance(event, psrpcore.SessionCapabilityEvent) and self._handshake is not None:
            pool.prepare_message(pool.our_capability)
        elif isinstance(event, psrpcore.GetAvailableRunspacesEvent):
            pool.runspace_availability_response(event.ci, max(0, pool.max_runspaces - len(self._running)))
        elif isinstance(event, psrpcore.SetMaxRunspacesEvent):
            pool.runspace_availability_response(event.ci, event.count >= max(1, pool.min_runspaces))
            self._next()
        elif isinstance(event, psrpcore.SetMinRunspacesEvent):
            pool.runspace_availability_response(event.ci, 1 <= event.count <= pool.max_runspaces)
        elif isinstance(event, psrpcore.ResetRunspaceStateEvent):
            pool.runspace_availability_response(event.ci, self._reset())

    def _reset(self) -> bool:
        """A fresh runspace; possible in a pool of one that does not run (RunspacePool.ResetRunspaceState)."""
        if self._running or self._pool.max_runspaces != 1:
            return False
        self._idle = [self._new_runspace()]
        return True

    def _job(self, event: Event) -> _Job:
        job = self._jobs.get(event.pipeline_id) if event.pipeline_id else None
        if job is None or job.powershell is not None or job.task.started:
            raise WsmanFault("psrp_broken", what="a pipeline is unknown or was created already")
        return job

    def _create(self, event: psrpcore.CreatePipelineEvent) -> None:
        job = self._job(event)
        powershell: Any = job.pipeline.metadata  # psrpcore has read it just now
        job.powershell = powershell
        if not powershell.no_input:
            job.input = PipelineInput(job.task.stop)
        self._waiting.append(job)
        self._next()

    def _input(self, event: Event) -> None:
        job = self._jobs.get(event.pipeline_id) if event.pipeline_id else None
        if job is None or job.input is None:  # Windows does not listen either
            return
        if isinstance(event, psrpcore.PipelineInputEvent):
            job.input.put(event.data)
        else:
            job.input.end()

    def _refuse(self, job: _Job, what: str) -> None:
        job.task.started = True
        text = f"vsslab does not simulate {what}."
        job.pipeline.fail(ErrorInfo(text, "NotSimulated", "NotImplemented", exception=_NOT_SUPPORTED))
        job.task.outbox.finish()
        job.task.ended.set()

    # --- running

    def _next(self) -> None:
        """Start what waits, in the order it came, as long as there are runspaces."""
        while self._waiting and len(self._running) < self._pool.max_runspaces:
            job = self._waiting.popleft()
            job.runspace = self._idle.pop() if self._idle else self._new_runspace()
            self._running[job.task.id] = job
            job.pipeline.start()
            self.launch(job.task, "pipeline", threading.Thread(target=self._run, args=(job,)))

    def _run(self, job: _Job) -> None:
        """One pipeline from start to end, in its own thread."""
        task, pipeline, runspace = job.task, job.pipeline, job.runspace
        assert runspace is not None
        assert job.powershell is not None
        given = (job.input,) if job.input is not None else ()
        try:
            if task.stop.is_set():
                raise PipelineStopped
            runspace.invoke(job.powershell, PipelineSink(pipeline), task.stop, task.id, *given)
            pipeline.complete()
        except PipelineStopped:
            pipeline.stop()
        except PipelineFailed as failure:
            pipeline.fail(failure.info)
        except Exception as error:  # noqa: BLE001 - a defect of the laboratory must reach the client as one sentence
            text = f"vsslab failed inside: {type(error).__name__}: {error}"
            self.host.trace.write("defect", self.host.name, what=text)
            pipeline.fail(ErrorInfo(text, "LaboratoryDefect", exception=_NOT_SUPPORTED))
        finally:
            task.outbox.finish()
            self.ended(task)

    def on_ended(self, task: Task) -> None:
        """Give the runspace to the next pipeline."""
        super().on_ended(task)
        self._pool.pipeline_table.pop(uuid.UUID(task.id), None)
        job = self._running.pop(task.id, None)
        if job is not None and job.runspace is not None and len(self._idle) < self._pool.max_runspaces:
            self._idle.append(job.runspace)
        self._next()

    async def signal(self, command_id: str, code: str, patience: float) -> None:
        """Stop a pipeline; one that waits for its turn never starts."""
        task = self.task(command_id)
        waiting = next((job for job in self._waiting if job.task is task), None)
        if waiting is not None:
            self._waiting.remove(waiting)
            waiting.pipeline.start()
            waiting.pipeline.stop()
            task.outbox.finish()
        await super().signal(command_id, code, patience)
        if task.id not in self.tasks:
            self._drop(task)

    def kill(self) -> list[Task]:
        """End the session without waiting; pipelines that wait for their turn never start.

        What was started in it ends, and so do its SMB mappings (WinRM closes the shell's job object).
        """
        self._waiting.clear()
        tasks = super().kill()
        self.host.processes.kill_owned(self.id)
        return tasks
