# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who answers the pipelines: the laboratory's interpreter, and a real engine in its place, over the same world."""

from __future__ import annotations

import queue
import re
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import psrpcore
from psrpcore import types as ps
from psrpcore._crypto import PSRemotingCrypto
from psrpcore.types._serializer import deserialize, serialize
from vsslab.engine.errors import ErrorInfo, PipelineFailed, PipelineStopped
from vsslab.engine.outside import Engine, Receiver
from vsslab.engine.records import record_xml
from vsslab.engine.runspace import Runspace
from vsslab.windows.host import Host
from vsslab.wire import fragments
from vsslab.wire.pool import failed_xml

from .answers import Answer, Reader
from .pipelines import Pipeline

_KINDS = {each.value: each for each in ps.PSRPMessageType}
_NAMES = {"PipelineOutput": "PIPELINE_OUTPUT", "ErrorRecord": "ERROR_RECORD", "WarningRecord": "WARNING_RECORD",
          "VerboseRecord": "VERBOSE_RECORD", "ProgressRecord": "PROGRESS_RECORD", "PipelineState": "PIPELINE_STATE",
          "InformationRecord": "INFORMATION_RECORD", "DebugRecord": "DEBUG_RECORD"}  # fmt: skip
_PATIENCE = 30.0


def fill(powershell: psrpcore.PowerShell, pipeline: Pipeline) -> None:
    """Put the pipeline's commands into psrpcore's object."""
    for statement in pipeline.statements:
        if powershell.commands:
            powershell.commands[-1].end_of_statement = True
        for name, arguments, script in statement:
            command = psrpcore.Command(name, script, pipeline.local_scope)
            for key, value in arguments:
                command.add_parameter(key, value)
            powershell.commands.append(command)


class Interpreter:
    """The laboratory's own interpreter, in a session of its own."""

    name = "interpreter"

    def __init__(self, host: Host, user: str, configuration: str) -> None:
        account = host.users.find(user)
        assert account is not None
        self._host = host
        self.runspace = Runspace(host, account, "5E5510", configuration)
        self._cipher = PSRemotingCrypto()
        self._cipher.register_key(bytes(range(32)))

    def ask(self, pipeline: Pipeline) -> Answer:
        """Run it: through CLIXML and back, as it comes over the wire."""
        asked = psrpcore.PowerShell()
        fill(asked, pipeline)
        asked.no_input = pipeline.input is None
        element = serialize(psrpcore.PowerShell.ToPSObjectForRemoting(asked), self._cipher)
        read = psrpcore.PowerShell.FromPSObjectForRemoting(
            deserialize(ET.fromstring(ET.tostring(element)), self._cipher)
        )
        reader, stop = Reader(self._host.clock.now()), threading.Event()
        sink = _Sink(reader, stop if pipeline.stop else None, self._cipher)
        given = () if pipeline.input is None else (iter(pipeline.input),)
        timer = threading.Timer(0.3, stop.set)
        if pipeline.stop:
            timer.start()
        try:
            self.runspace.invoke(read, sink, stop, "P1", *given)
            reader.answer["state"] = "Completed"
        except PipelineFailed as failed:
            reader.message("PIPELINE_STATE", ET.fromstring(failed_xml(failed.info)))
        except PipelineStopped:
            reader.answer["state"] = "Stopped"
            reader.answer["failure"] = None
        except Exception as defect:  # noqa: BLE001 - the wire makes a failure of it; here it is a difference
            reader.answer["state"] = f"Defect: {type(defect).__name__}: {defect}"
        finally:
            timer.cancel()
        return reader.answer

    def close(self) -> None:
        """End what runs in the session."""
        self._host.processes.kill_owned(self.runspace.shell_id)


class _Sink:
    def __init__(self, reader: Reader, stop: threading.Event | None, cipher: Any) -> None:
        self._reader, self._stop, self._cipher = reader, stop, cipher

    def output(self, value: Any) -> None:
        self._reader.message("PIPELINE_OUTPUT", serialize(value, self._cipher))

    def error(self, info: ErrorInfo) -> None:
        self._reader.message("ERROR_RECORD", ET.fromstring(record_xml(info, extended=True)))

    def warning(self, text: str) -> None:
        self._reader.answer["messages"].append(["warning", ["S", text]])

    def verbose(self, text: str) -> None:
        self._reader.answer["messages"].append(["verbose", ["S", text]])

    def progress(self, activity: str, status: str, percent: int = -1) -> None:
        self._reader.answer["messages"].append(["progress", [activity, status, str(percent)]])


class RealEngine:
    """A real engine's session, spoken to over its own framing; the same handover as on the wire."""

    name = "engine"

    def __init__(self, engine: Engine, host: Host, user: str, configuration: str) -> None:
        account = host.users.find(user)
        assert account is not None
        self._host, self._said = host, queue.Queue[tuple[uuid.UUID | None, fragments.RawMessage] | None]()
        self._parts: dict[uuid.UUID | None, fragments.Reassembler] = {}
        self._session = engine.open(Runspace(host, account, "5E5510", configuration))
        self._session.process.attach(Receiver(self._hear, lambda: self._said.put(None)))
        self._pool = psrpcore.ClientRunspacePool()
        self._pool.open()
        self._send()
        while self._pool.state != ps.RunspacePoolState.Opened:
            self._next()

    def _hear(self, guid: uuid.UUID | None, data: bytes) -> None:
        for each in self._parts.setdefault(guid, fragments.Reassembler(1 << 28)).feed(data):
            self._said.put((guid, each))

    def _send(self) -> None:
        while (payload := self._pool.data_to_send()) is not None:
            self._session.process.data(payload.pipeline_id, payload.data)

    def _next(self) -> tuple[uuid.UUID | None, fragments.RawMessage]:
        said = self._said.get(timeout=_PATIENCE)
        assert said is not None, f"the engine is gone: {self._session.process.last_words}"
        guid, message = said
        if guid is None and message.kind != ps.PSRPMessageType.PipelineState:
            self._pool.receive_data(psrpcore.PSRPPayload(message.as_fragment(), psrpcore.StreamType.default, None))
            while self._pool.next_event() is not None:
                pass
        return said

    def exchange_keys(self) -> None:
        """So that a SecureString can be sent."""
        if self._pool._cipher._cipher is not None:
            return
        self._pool.exchange_key()
        self._send()
        while self._pool._cipher._cipher is None:
            self._next()

    def ask(self, pipeline: Pipeline) -> Answer:
        """Run it in the engine."""
        if pipeline.secrets:
            self.exchange_keys()
        powershell = psrpcore.ClientPowerShell(self._pool, no_input=pipeline.input is None)
        fill(powershell.metadata, pipeline)
        guid = powershell.pipeline_id
        reader = Reader(self._host.clock.now())
        self._session.process.command(guid)
        powershell.start()
        self._send()
        if pipeline.input is not None:
            for each in pipeline.input:
                powershell.send(each)
            powershell.send_eof()
            self._send()
        timer = threading.Timer(0.6, self._stop, (guid,))
        if pipeline.stop:
            timer.start()
        try:
            for message in self._of(guid):
                kind = _KINDS[message.kind].name
                reader.message(_NAMES[kind], message.data[fragments.MESSAGE_HEADER :].removeprefix(b"\xef\xbb\xbf"))
        finally:
            timer.cancel()
        if reader.answer["state"] == "Stopped":
            reader.answer["failure"] = None
            self._session.world.settle()
        self._session.process.close(guid)
        self._pool.pipeline_table.pop(guid, None)
        return reader.answer

    def _stop(self, guid: uuid.UUID) -> None:
        self._session.process.signal(guid)
        self._session.world.stop()

    def _of(self, guid: uuid.UUID) -> Iterator[fragments.RawMessage]:
        while True:
            owner, message = self._next()
            if owner == guid:
                yield message
                if message.kind == ps.PSRPMessageType.PipelineState:
                    return

    def close(self) -> None:
        """End the engine."""
        self._session.kill()


def engine_at(folder: Path, state: Path) -> Engine:
    """The engine of a folder, its files below `state`."""
    return Engine(folder, state, spares=1)


def version_of(folder: Path) -> str:
    """What answered: the engine's version, as its main library states it."""
    text = (folder / "psengine.deps.json").read_text(encoding="utf-8")
    found = re.search(r'"System\.Management\.Automation/([0-9.]+)"', text)
    return f"PowerShell {found[1]}" if found else "a PowerShell of unknown version"
