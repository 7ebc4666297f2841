# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PSRP shells: a runspace of the engine behind the protocol state of psrpcore.

psrpcore keeps the state and reads the client's messages.  Four things are as a Windows host does them, not as psrpcore
would: no message says that a pipeline runs, null is `<Nil />`, the opening messages come in two Receives, and error
records are sent exactly as the engine made them.
"""

from __future__ import annotations

import itertools
import threading
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import psrpcore
from psrpcore import types

from vsslab.engine.errors import PipelineFailed, PipelineStopped
from vsslab.wire import fragments, soap
from vsslab.wire.outbox import Outbox, PsrpMessage
from vsslab.wire.settings import Settings
from vsslab.wire.shells import Shell, ShellRequest, Task, checked_id
from vsslab.wire.wsman_faults import WsmanFault

if TYPE_CHECKING:
    from vsslab.engine.runspace import Runspace
    from vsslab.windows.host import Host
    from vsslab.windows.users import User

RESOURCE = "http://schemas.microsoft.com/powershell/"
_CREATION = "{http://schemas.microsoft.com/powershell}creationXml"
_DETAILS = (
    ("MaxIdleTimeOut", "PT2147483.647S"),
    ("Locale", "en-US"),
    ("DataLocale", "en-US"),
    ("CompressionMode", "NoCompression"),
    ("ProfileLoaded", "Yes"),
    ("Encoding", "UTF8"),
    ("BufferMode", "Block"),
    ("State", "Connected"),
)
Event = psrpcore.PSRPEvent[Any, Any]
RunspaceFactory = Callable[["Host", "User", str], "Runspace"]


class _Pool(psrpcore.ServerRunspacePool):
    """psrpcore's pool, whose messages go to whoever posts them instead of into its own buffer."""

    def __init__(self, private_data: dict[str, Any], post: Callable[[int, uuid.UUID | None, bytes], None]) -> None:
        super().__init__(application_private_data=private_data)
        self._post = post

    def prepare_message(
        self,
        message: types.PSObject | None,
        message_type: types.PSRPMessageType | None = None,
        pipeline_id: uuid.UUID | None = None,
        stream_type: psrpcore.StreamType = psrpcore.StreamType.default,
    ) -> None:
        """Serialize a message and post it; may be called from any thread."""
        kind = message_type or types.PSRPMessageType.get_message_id(type(message or types.PSObject()))
        element = types.serialize(
            message, self._cipher, our_capability=self.our_capability, their_capability=self.their_capability
        )
        xml = ElementTree.tostring(element, encoding="utf-8", method="xml")
        self._post(kind.value, pipeline_id, fragments.message(kind.value, self.runspace_pool_id, pipeline_id, xml))


class _Pipeline(psrpcore.ServerPipeline):
    def start(self) -> None:
        """Running is not told to the client."""
        self._change_state(types.PSInvocationState.Running, emit=False)

    def fail(self, record: types.ErrorRecord) -> None:
        """End in the state Failed, with the record inside the state message."""
        self._change_state(types.PSInvocationState.Failed, error=record)


@dataclass
class _Job:
    """A pipeline and the command that carries it."""

    task: Task
    pipeline: _Pipeline
    powershell: psrpcore.PowerShell | None = None


class PipelineSink:
    """The engine's way to the client; its methods are called from the pipeline's thread."""

    def __init__(self, pipeline: psrpcore.ServerPipeline) -> None:
        self._pipeline = pipeline

    def output(self, value: Any) -> None:
        """One object of the output stream, ready to be serialized; None is null."""
        self._pipeline.prepare_message(value, message_type=types.PSRPMessageType.PipelineOutput)

    def error(self, record: types.ErrorRecord) -> None:
        """One error record."""
        self._pipeline.prepare_message(record, message_type=types.PSRPMessageType.ErrorRecord)

    def warning(self, text: str) -> None:
        """One line of the warning stream."""
        self._pipeline.write_warning(text)

    def verbose(self, text: str) -> None:
        """One line of the verbose stream."""
        self._pipeline.write_verbose(text)

    def progress(self, activity: str, status: str, percent: int = -1) -> None:
        """How far a command is, in percent (-1: unknown)."""
        self._pipeline.write_progress(activity, 0, status, percent_complete=percent)


class PsrpShell(Shell):
    """One session: a runspace pool with one runspace, in which pipelines run one after the other."""

    input_streams = "stdin pr"
    output_streams = "stdout"
    prefix_xml = "".join(soap.element(name, value) for name, value in _DETAILS)

    def __init__(
        self,
        host: Host,
        owner: User,
        request: ShellRequest,
        settings: Settings,
        factory: RunspaceFactory,
        private_data: dict[str, Any],
    ) -> None:
        super().__init__(host, owner, request, settings)
        self._factory = factory
        self._outbox = Outbox(settings.backlog)
        self._pool = _Pool(private_data, self._post)
        self._reassembler = fragments.Reassembler(settings.max_object)
        self._object_ids = itertools.count(1)
        self._jobs: dict[uuid.UUID, _Job] = {}
        self._waiting: deque[_Job] = deque()
        self._running: _Job | None = None
        self._received: dict[str, int] = {}
        creation = request.body.findtext(_CREATION)
        if creation is None:
            raise WsmanFault("psrp_broken", what="creationXml is missing")
        self._feed(soap.decode(creation), "")
        if self._pool.state != types.RunspacePoolState.Opened:
            raise WsmanFault("psrp_broken", what="the opening messages are incomplete")
        self._runspace = factory(host, owner, self.id)

    def _post(self, kind: int, pipeline_id: uuid.UUID | None, data: bytes) -> None:
        message = PsrpMessage(next(self._object_ids), data, self.settings.fragment)
        job = self._jobs.get(pipeline_id) if pipeline_id else None
        if job is not None:
            job.task.outbox.put(message, job.task.stop)
        elif pipeline_id is None:
            self._outbox.put(message)
            if kind in (types.PSRPMessageType.ApplicationPrivateData, types.PSRPMessageType.RunspacePoolState):
                self._outbox.seal_group()

    def outboxes(self, tasks: list[Task]) -> list[Outbox]:
        """The pool's own messages and those of the commands."""
        return [self._outbox, *super().outboxes(tasks)]

    def source(self, command_id: str | None) -> Outbox:
        """The messages of a pipeline, or of the pool."""
        if command_id is None:
            return self._outbox
        task = self.task(command_id)
        if task.outbox.drained:
            raise WsmanFault("unknown_command")
        return task.outbox

    def command(self, command_id: str | None, line: str, arguments: list[str], options: dict[str, str]) -> str:
        """Create a pipeline; `arguments` holds its first fragment, Sends bring the others ([MS-PSRP] 3.1.5.3.3)."""
        if command_id is None:
            raise WsmanFault("psrp_broken", what="CommandId is missing")
        self._forget_old()
        task = self.new_task(checked_id(command_id))
        identifier = uuid.UUID(task.id)
        self._jobs[identifier] = _Job(task, _Pipeline(self._pool, identifier))
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
        try:
            for message in self._reassembler.feed(data):
                types.PSRPMessageType(message.kind)  # psrpcore would keep a message of an unknown kind for ever
                payload = psrpcore.PSRPPayload(message.as_fragment(), psrpcore.StreamType.default, message.pipeline)
                self._pool.receive_data(payload)
                event = self._pool.next_event()
                if event is not None:
                    self._handle(event)
        except (WsmanFault, fragments.FragmentError) as error:
            if isinstance(error, WsmanFault):
                raise
            raise WsmanFault("psrp_broken", what=str(error)) from error
        except Exception as error:  # psrpcore trusts its peer; whatever foreign data makes it raise is one fault
            raise WsmanFault("psrp_broken", what=f"a message is not understood ({type(error).__name__})") from error

    def _handle(self, event: Event) -> None:
        if isinstance(event, psrpcore.CreatePipelineEvent):
            self._create(event)
        elif isinstance(event, psrpcore.GetCommandMetadataEvent):
            self._refuse(self._job(event), "Get-Command metadata requests")
        elif isinstance(event, psrpcore.GetAvailableRunspacesEvent):
            free = self._pool.max_runspaces - (1 if self._running else 0)
            self._pool.runspace_availability_response(event.ci, max(0, free))
        elif isinstance(event, (psrpcore.SetMaxRunspacesEvent, psrpcore.SetMinRunspacesEvent)):
            self._pool.runspace_availability_response(event.ci, True)
        elif isinstance(event, psrpcore.ResetRunspaceStateEvent):
            self._runspace = self._factory(self.host, self.owner, self.id)
            self._pool.runspace_availability_response(event.ci, True)

    def _job(self, event: Event) -> _Job:
        job = self._jobs.get(event.pipeline_id) if event.pipeline_id else None
        if job is None or job.powershell is not None or job.task.started:
            raise WsmanFault("psrp_broken", what="a pipeline is unknown or was created already")
        return job

    def _create(self, event: psrpcore.CreatePipelineEvent) -> None:
        job, powershell = self._job(event), event.pipeline
        job.powershell = powershell
        scripts = any(command.is_script for command in powershell.commands)
        if not powershell.no_input and not scripts:  # script text is refused by the engine, whatever its input
            self._refuse(job, "input that is sent to a pipeline of commands")
            return
        self._waiting.append(job)
        self._next()

    def _refuse(self, job: _Job, what: str) -> None:
        job.task.started = True
        text = f"vsslab does not simulate {what}."
        job.pipeline.fail(_record(text, "NotSimulated", types.ErrorCategory.NotImplemented))
        job.task.outbox.finish()
        job.task.ended.set()

    def _next(self) -> None:
        if self._running is None and self._waiting:
            job = self._running = self._waiting.popleft()
            job.pipeline.start()
            self.launch(job.task, "pipeline", threading.Thread(target=self._run, args=(job, job.powershell)))

    def _run(self, job: _Job, powershell: psrpcore.PowerShell) -> None:
        """One pipeline from start to end, in its own thread."""
        task, pipeline = job.task, job.pipeline
        try:
            if task.stop.is_set():
                raise PipelineStopped
            self._runspace.invoke(powershell, PipelineSink(pipeline), task.stop, task.id)
            pipeline.complete()
        except PipelineStopped:
            pipeline.stop()
        except PipelineFailed as failure:
            pipeline.fail(failure.record)
        except Exception as error:  # noqa: BLE001 - a defect of the laboratory must reach the client as one sentence
            text = f"vsslab failed inside: {type(error).__name__}: {error}"
            self.host.trace.write("defect", self.host.name, what=text)
            pipeline.fail(_record(text, "LaboratoryDefect", types.ErrorCategory.NotSpecified))
        finally:
            task.outbox.finish()
            self.ended(task)

    def on_ended(self, task: Task) -> None:
        """Let the next pipeline run."""
        super().on_ended(task)
        self._pool.pipeline_table.pop(uuid.UUID(task.id), None)
        if self._running is not None and self._running.task is task:
            self._running = None
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
        """End the session without waiting; pipelines that wait for their turn never start."""
        self._waiting.clear()
        return super().kill()


def _record(text: str, identifier: str, category: types.ErrorCategory) -> types.ErrorRecord:
    return types.ErrorRecord(
        Exception=types.NETException(Message=text),
        CategoryInfo=types.ErrorCategoryInfo(Category=category, Reason="NotSupportedException"),
        FullyQualifiedErrorId=identifier,
    )
