# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""psrpcore's runspace pool and pipelines as a Windows host would have them.

psrpcore keeps the state and reads the client's messages.  Four things are as a Windows host does them, not as psrpcore
would: no message says that a pipeline runs, null is `<Nil />`, the opening messages come in two Receives, and error
records are sent exactly as the engine made them.  Messages that are the same in every session are made once.
"""

from __future__ import annotations

import functools
import threading
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any
from xml.etree import ElementTree

import psrpcore
from psrpcore import types
from psrpcore._crypto import PSRemotingCrypto

from vsslab.engine.clixml import escaped
from vsslab.engine.errors import ErrorInfo, PipelineFailed, PipelineStopped
from vsslab.engine.records import record_xml
from vsslab.wire import fragments, pipelines

Event = psrpcore.PSRPEvent[Any, Any]
Post = Callable[[int, "uuid.UUID | None", bytes], None]
_MOST_CACHED = 8192  # bytes of an opening message that is remembered
_OPENING = frozenset({types.PSRPMessageType.SessionCapability, types.PSRPMessageType.InitRunspacePool})


class _Cipher(PSRemotingCrypto):
    """Opens SecureStrings; one that was not sealed with the session's key fails its pipeline, whoever opens it."""

    def decrypt(self, value: str) -> str:
        """The plain text."""
        try:
            return str(super().decrypt(value))
        except Exception as error:
            text = "A SecureString cannot be decrypted: the client did not use the key of this session."
            raise PipelineFailed(ErrorInfo(text, "DecryptionFailed", "InvalidData")) from error


class Pool(psrpcore.ServerRunspacePool):
    """psrpcore's pool, whose messages go to whoever posts them instead of into its own buffer.

    `private_data` is the APPLICATION_PRIVATE_DATA and `private_xml` the same as it is sent.
    """

    def __init__(self, private_data: dict[str, Any], private_xml: bytes, post: Post) -> None:
        super().__init__(application_private_data=private_data)
        self._cipher = _Cipher()
        self._cipher.register_key(self._session_key)
        self._private_xml, self._post = private_xml, post

    def prepare_message(
        self,
        message: Any,
        message_type: types.PSRPMessageType | None = None,
        pipeline_id: uuid.UUID | None = None,
        stream_type: psrpcore.StreamType = psrpcore.StreamType.default,
    ) -> None:
        """Serialize a message and post it; may be called from any thread."""
        kind = message_type or types.PSRPMessageType.get_message_id(type(message or types.PSObject()))
        self.post(kind.value, pipeline_id, self._xml(message, kind))

    def post(self, kind: int, pipeline_id: uuid.UUID | None, xml: bytes) -> None:
        """Post a message whose XML is there already."""
        self._post(kind, pipeline_id, fragments.message(kind, self.runspace_pool_id, pipeline_id, xml))

    def _xml(self, message: Any, kind: types.PSRPMessageType) -> bytes:
        if type(message) is str:
            return f"<S>{escaped(message)}</S>".encode()
        if kind is types.PSRPMessageType.ApplicationPrivateData:
            return self._private_xml
        if kind is types.PSRPMessageType.SessionCapability:
            return _capability_xml()
        element = types.serialize(
            message, self._cipher, our_capability=self.our_capability, their_capability=self.their_capability
        )
        return bytes(ElementTree.tostring(element, encoding="utf-8", method="xml"))

    def _change_state(
        self, state: types.RunspacePoolState, error: types.ErrorRecord | None = None, emit: bool = True
    ) -> None:
        if state == types.RunspacePoolState.Opened and error is None and emit:
            super()._change_state(state, emit=False)
            self.post(types.PSRPMessageType.RunspacePoolState.value, None, _state_xml("RunspaceState", state.value))
        else:
            super()._change_state(state, error, emit)

    def _process_message(self, message: psrpcore._payload.PSRPMessage) -> Event:
        """As psrpcore does; but opening messages that are equal are read once, and ordinary pipelines at once."""
        kind, content = message.message_type, None
        if kind in _OPENING and len(message.data) <= _MOST_CACHED:
            content = _opening(message.data)
        elif kind is types.PSRPMessageType.CreatePipeline:
            element = ElementTree.fromstring(message.data)  # noqa: S314 - the message was looked at before
            found: Any = pipelines.read(element, self._cipher)  # in the place of psrpcore's: who reads it takes both
            if found is not None and message.pipeline_id in self.pipeline_table:
                self.pipeline_table[message.pipeline_id].metadata = found
                return psrpcore.PSRPEvent.create(kind, None, message.runspace_pool_id, message.pipeline_id)
            content = types.deserialize(
                element, self._cipher, our_capability=self.our_capability, their_capability=self.their_capability
            )
        else:
            return super()._process_message(message)
        event = psrpcore.PSRPEvent.create(kind, content, message.runspace_pool_id, message.pipeline_id)
        getattr(self, f"_process_{kind.name}")(event)
        return event


class Pipeline(psrpcore.ServerPipeline):
    """psrpcore's pipeline, with the states as Windows tells them."""

    def __init__(self, pool: Pool, identifier: uuid.UUID) -> None:
        super().__init__(pool, identifier)
        self._pool = pool

    def start(self) -> None:
        """Running is not told to the client."""
        self._change_state(types.PSInvocationState.Running, emit=False)

    def complete(self) -> None:
        """End in the state Completed."""
        state = types.PSInvocationState.Completed
        self._end(state, _state_xml("PipelineState", state.value))

    def fail(self, info: ErrorInfo) -> None:
        """End in the state Failed, with the record inside the state message."""
        self._end(types.PSInvocationState.Failed, failed_xml(info, self._pool._cipher))

    def error(self, info: ErrorInfo) -> None:
        """One record for the error stream."""
        xml = record_xml(info, extended=True, cipher=self._pool._cipher)
        self._post(types.PSRPMessageType.ErrorRecord, xml.encode())

    def _end(self, state: types.PSInvocationState, xml: bytes) -> None:
        self._change_state(state, emit=False)
        self._post(types.PSRPMessageType.PipelineState, xml)

    def _post(self, kind: types.PSRPMessageType, xml: bytes) -> None:
        self._pool.post(kind.value, self.pipeline_id, xml)


class PipelineSink:
    """The engine's way to the client; its methods are called from the pipeline's thread."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    def output(self, value: Any) -> None:
        """One object of the output stream, ready to be serialized; None is null."""
        self._pipeline.prepare_message(value, message_type=types.PSRPMessageType.PipelineOutput)

    def error(self, info: ErrorInfo) -> None:
        """One error record."""
        self._pipeline.error(info)

    def warning(self, text: str) -> None:
        """One line of the warning stream."""
        self._pipeline.write_warning(text)

    def verbose(self, text: str) -> None:
        """One line of the verbose stream."""
        self._pipeline.write_verbose(text)

    def progress(self, activity: str, status: str, percent: int = -1) -> None:
        """How far a command is, in percent (-1: unknown)."""
        self._pipeline.write_progress(activity, 0, status, percent_complete=percent)


class PipelineInput:
    """The objects a client sends to a pipeline (PIPELINE_INPUT), for the thread that runs it.

    Iterating waits for the next object and ends with END_OF_PIPELINE_INPUT; PipelineStopped when `stop` is set.
    """

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._changed = threading.Condition()
        self._objects: deque[Any] = deque()
        self._ended = False

    def put(self, value: Any) -> None:
        """One more object; what comes after the end is not heard (as on Windows)."""
        with self._changed:
            if not self._ended:
                self._objects.append(value)
                self._changed.notify()

    def end(self) -> None:
        """No more objects."""
        with self._changed:
            self._ended = True
            self._changed.notify()

    def __iter__(self) -> Iterator[Any]:
        while True:
            with self._changed:
                while not self._objects and not self._ended and not self._stop.is_set():
                    self._changed.wait(0.1)
                if self._stop.is_set():
                    raise PipelineStopped
                if not self._objects:
                    return
                value = self._objects.popleft()
            yield value


def private_xml(private_data: dict[str, Any]) -> bytes:
    """APPLICATION_PRIVATE_DATA as it is sent ([MS-PSRP] 2.2.2.13)."""
    pool = psrpcore.ServerRunspacePool(application_private_data=private_data)
    return _plain(pool, types.ApplicationPrivateData(ApplicationPrivateData=pool.application_private_data))


@functools.cache
def _capability_xml() -> bytes:
    pool = psrpcore.ServerRunspacePool()
    return _plain(pool, pool.our_capability)


def _plain(pool: psrpcore.ServerRunspacePool, message: types.PSObject) -> bytes:
    return bytes(ElementTree.tostring(types.serialize(message, pool._cipher), encoding="utf-8", method="xml"))


def failed_xml(info: ErrorInfo, cipher: PSRemotingCrypto | None = None) -> bytes:
    """PIPELINE_STATE of a pipeline that has failed, with the record in it ([MS-PSRP] 2.2.2.21)."""
    record = record_xml(info, extended=False, cipher=cipher, label="ExceptionAsErrorRecord", number=1)
    return _state_xml("PipelineState", types.PSInvocationState.Failed.value, record)


def _state_xml(name: str, value: int, record: str = "") -> bytes:
    return f'<Obj RefId="0"><MS><I32 N="{name}">{value}</I32>{record}</MS></Obj>'.encode()


@functools.lru_cache(maxsize=64)
def _opening(data: bytes) -> Any:
    cipher = psrpcore.ServerRunspacePool()._cipher
    return types.deserialize(ElementTree.fromstring(data), cipher)  # noqa: S314 - the message was looked at before
