# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host does with each WS-Management operation: from an envelope to the answer."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape, quoteattr

from vsslab.wire import cmdshell, config, lifecycle, soap
from vsslab.wire.cmdshell import CmdShell
from vsslab.wire.enumeration import Enumerations
from vsslab.wire.outbox import Batch, Outbox
from vsslab.wire.pool import private_xml
from vsslab.wire.psrp import PrivateData, PsrpShell
from vsslab.wire.sessions import RESOURCE, PoolShell, RunspaceFactory
from vsslab.wire.settings import Settings
from vsslab.wire.shells import Shell, ShellRequest, ShellTable, checked_id, new_id
from vsslab.wire.soap import Envelope
from vsslab.wire.wsman_faults import WsmanFault

if TYPE_CHECKING:
    from vsslab.windows.host import Host
    from vsslab.windows.users import User

STATE = f"{soap.RSP}/CommandState"
_ENVELOPE_HEAD = 1536
_NOTHING: Callable[[], None] = lambda: None  # noqa: E731 - the default of a field


@dataclass(frozen=True)
class Answer:
    """A SOAP answer; `undo` puts back what it carries when it did not reach the client."""

    status: int
    body: bytes
    fault: int = 0
    undo: Callable[[], None] = _NOTHING


@dataclass(frozen=True)
class _Body:
    xml: str
    undo: Callable[[], None] = _NOTHING


class _Receiver:
    """A Receive that waits."""

    def __init__(self, shell: Shell, loop: asyncio.AbstractEventLoop) -> None:
        self.shell, self.given_up = shell, False
        self._loop = loop
        self._woken = False
        self._sleep: asyncio.Future[None] | None = None

    def wake(self) -> None:
        """Look again; from any thread."""
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self.look)

    def look(self) -> None:
        """Look again; from the loop's thread."""
        self._woken = True
        if self._sleep is not None and not self._sleep.done():
            self._sleep.set_result(None)

    def give_up(self) -> None:
        """Another Receive takes its place."""
        self.given_up = True
        self.look()

    async def sleep(self, seconds: float) -> None:
        """Wait so long, or until it is woken."""
        if not self._woken:
            self._sleep = self._loop.create_future()
            timer = self._loop.call_later(seconds, self.look)
            try:
                await self._sleep
            finally:
                timer.cancel()
        self._woken = False


class Endpoint:
    """The WS-Management service of one host.  Shells belong to users, not to connections."""

    def __init__(
        self,
        host: Host,
        settings: Settings,
        factory: RunspaceFactory,
        private_data: Callable[[Host], dict[str, Any]],
    ) -> None:
        self.host, self.settings = host, settings
        self.shells = ShellTable(settings)
        self._factory, self._private_data = factory, private_data
        self._enumerations = Enumerations(host, self.shells, settings)
        self._private: PrivateData | None = None
        self._busy_users: Counter[str] = Counter()
        self._receivers: dict[Outbox, _Receiver] = {}
        self._operations: dict[str, Callable[[Envelope, User, str], Awaitable[_Body]]] = {
            "Create": self._create,
            "Get": self._get,
            "Command": self._command,
            "Receive": self._receive,
            "Send": self._send,
            "Signal": self._signal,
            "Delete": self._delete,
            "Disconnect": self._disconnect,
            "Reconnect": self._reconnect,
            "Connect": self._connect,
            "Enumerate": self._enumerate,
            "Pull": self._enumerate,
            "Release": self._enumerate,
        }

    async def handle(self, envelope: Envelope, user: User, client: str) -> Answer:
        """Carry out one operation for a user who is logged on; a fault is an answer too."""
        try:
            work = self._operations.get(envelope.operation)
            if work is None:
                raise WsmanFault("unknown_action", action=envelope.action)
            size = envelope.envelope_size
            if size is not None and size < soap.MIN_ENVELOPE:
                raise WsmanFault("envelope_too_small")
            with self._within_quotas(user):
                body = await work(envelope, user, client)
        except WsmanFault as problem:
            return self.refuse(envelope.message_id, problem)
        return Answer(200, soap.respond(envelope.message_id, f"{envelope.action}Response", body.xml), undo=body.undo)

    @contextlib.contextmanager
    def _within_quotas(self, user: User) -> Iterator[None]:
        """Count the requests in progress (MaxConnections, MaxConcurrentOperationsPerUser)."""
        if self._busy_users.total() >= self.settings.max_requests:
            raise WsmanFault("system_quota")
        if self._busy_users[user.sid] >= self.settings.max_operations_per_user:
            raise WsmanFault("operations_quota", limit=self.settings.max_operations_per_user)
        self._busy_users[user.sid] += 1
        try:
            yield
        finally:
            self._busy_users[user.sid] -= 1
            if not self._busy_users[user.sid]:
                del self._busy_users[user.sid]

    def refuse(self, message_id: str, problem: WsmanFault) -> Answer:
        """The answer that carries a fault."""
        return Answer(500, soap.fault(message_id, problem, self.host.name), problem.code)

    def _timeout(self, envelope: Envelope) -> float:
        limit = self.settings.max_operation_timeout
        return limit if envelope.timeout is None else min(envelope.timeout, limit)

    def _shell(self, envelope: Envelope, user: User) -> Shell:
        return self.shells.get(user, envelope.shell_id)

    def _connected(self, envelope: Envelope, user: User) -> Shell:
        shell = self._shell(envelope, user)
        shell.need_connection()
        return shell

    async def _create(self, envelope: Envelope, user: User, client: str) -> _Body:
        if envelope.resource == cmdshell.RESOURCE and not (user.remote or user.administrator):
            raise WsmanFault("access_denied")  # of PowerShell sessions the endpoint says who may enter
        body = envelope.expect("Shell")
        shell_id = checked_id(body.get("ShellId", "")) if body.get("ShellId") else new_id()
        self.shells.check(user, shell_id)
        powershell = envelope.resource.startswith(RESOURCE)
        asked = body.findtext(f"{{{soap.RSP}}}IdleTimeOut", "")
        idle = lifecycle.idle_timeout(asked, self.settings, bounded=powershell) or self.settings.shell_idle
        request = ShellRequest(
            shell_id, envelope.resource, client, idle, dict(envelope.options), body, envelope.session
        )
        shell = self._new_shell(replace(user, session=shell_id), request)
        self.shells.add(shell)
        if isinstance(shell, PoolShell):
            shell.enter(self.shells.remove)
        reference = (
            f"<x:ResourceCreated><a:Address>{escape(envelope.to)}</a:Address><a:ReferenceParameters>"
            f"<w:ResourceURI>{escape(envelope.resource)}</w:ResourceURI><w:SelectorSet>"
            f'<w:Selector Name="ShellId">{shell.id}</w:Selector></w:SelectorSet></a:ReferenceParameters>'
            "</x:ResourceCreated>"
        )
        return _Body(reference + shell.describe())

    def _new_shell(self, user: User, request: ShellRequest) -> Shell:
        if request.resource == cmdshell.RESOURCE:
            return CmdShell(self.host, user, request, self.settings)
        name = request.resource.removeprefix(RESOURCE)
        if name == request.resource or name.lower() not in self.configurations:
            raise WsmanFault("unknown_resource", resource=request.resource, host=self.host.name)
        end_point = getattr(self.host, "endpoints", {}).get(name.lower())
        if not (user.remote or user.administrator if end_point is None else end_point.admits(user, self.host.users)):
            raise WsmanFault("access_denied")
        engine = getattr(self.host, "engine", None)
        if engine is not None:
            from vsslab.wire.relay import RelayShell  # noqa: PLC0415 - few need it, and it reads the engine's tables

            return RelayShell(self.host, user, request, self.settings, self._factory, engine)
        if self._private is None:  # the same for every session
            data = self._private_data(self.host)
            self._private = PrivateData(data, private_xml(data))
        return PsrpShell(self.host, user, request, self.settings, self._factory, self._private)

    @property
    def configurations(self) -> frozenset[str]:
        """The session configurations of the host, lower case."""
        return frozenset(getattr(self.host, "endpoints", None) or {"microsoft.powershell"})

    async def _get(self, envelope: Envelope, user: User, _client: str) -> _Body:
        part = config.part_of(envelope.resource)
        if part is not None:
            if not user.administrator:
                raise WsmanFault("access_denied")
            return _Body(config.describe(part, self.settings))
        if not envelope.resource.startswith((soap.RSP, RESOURCE)):
            raise WsmanFault("unknown_resource", resource=envelope.resource, host=self.host.name)
        return _Body(self._shell(envelope, user).describe())

    async def _command(self, envelope: Envelope, user: User, _client: str) -> _Body:
        shell, body = self._connected(envelope, user), envelope.expect("CommandLine")
        line = body.findtext(f"{{{soap.RSP}}}Command") or ""
        arguments = [each.text or "" for each in body.findall(f"{{{soap.RSP}}}Arguments")]
        command_id = shell.command(body.get("CommandId"), line, arguments, envelope.options)
        return _Body(f"<rsp:CommandResponse>{soap.element('CommandId', command_id)}</rsp:CommandResponse>")

    async def _send(self, envelope: Envelope, user: User, _client: str) -> _Body:
        shell = self._connected(envelope, user)
        for stream in envelope.expect("Send").findall(f"{{{soap.RSP}}}Stream"):
            end = stream.get("End", "").lower() in ("true", "1")
            shell.send(stream.get("CommandId"), stream.get("Name", ""), soap.decode(stream.text), end=end)
        return _Body("<rsp:SendResponse/>")

    async def _signal(self, envelope: Envelope, user: User, _client: str) -> _Body:
        shell, body = self._connected(envelope, user), envelope.expect("Signal")
        code = body.findtext(f"{{{soap.RSP}}}Code", "").strip()
        with self._busy(shell):
            await shell.signal(body.get("CommandId", ""), code, self._timeout(envelope))
        return _Body("<rsp:SignalResponse/>")

    async def _delete(self, envelope: Envelope, user: User, _client: str) -> _Body:
        await self.drop(self._shell(envelope, user))
        return _Body("")

    async def _disconnect(self, envelope: Envelope, user: User, _client: str) -> _Body:
        shell = self._shell(envelope, user)
        lifecycle.disconnect(shell, envelope, self.settings)
        for waiting in list(self._receivers.values()):
            if waiting.shell is shell:
                waiting.look()
        return _Body("")

    async def _reconnect(self, envelope: Envelope, user: User, _client: str) -> _Body:
        lifecycle.reconnect(self._shell(envelope, user), envelope)
        return _Body("")

    async def _connect(self, envelope: Envelope, user: User, _client: str) -> _Body:
        return _Body(lifecycle.connect(self._shell(envelope, user), envelope))

    async def _enumerate(self, envelope: Envelope, user: User, _client: str) -> _Body:
        work = {"Enumerate": self._enumerations.enumerate, "Pull": self._enumerations.pull}
        return _Body(work.get(envelope.operation, self._enumerations.release)(envelope, user))

    async def _receive(self, envelope: Envelope, user: User, _client: str) -> _Body:
        shell, body = self._connected(envelope, user), envelope.expect("Receive")
        desired = body.find(f"{{{soap.RSP}}}DesiredStream")
        command_id = desired.get("CommandId") if desired is not None else None
        if shell.last_answer is not None and shell.last_answer[0] == envelope.message_id:
            return _Body(shell.last_answer[1])  # a client that missed the answer repeats the same message
        outbox = shell.source(command_id)
        ready = outbox.ready_in(self.settings.coalesce) == 0.0 and not outbox.aborted and outbox not in self._receivers
        if not ready:
            with self._busy(shell):
                ready = await self._wait(shell, outbox, self._timeout(envelope))
        if not ready:
            keepalive = envelope.flag("WSMAN_CMDSHELL_OPTION_KEEPALIVE") and self.settings.keepalive == "empty"
            if not keepalive:
                raise WsmanFault("timed_out")
            return _Body(_receive_xml(Batch(), command_id, shell.output_streams))
        room = min(envelope.envelope_size or self.settings.max_envelope, self.settings.max_envelope) - _ENVELOPE_HEAD
        batch = outbox.take(room)
        xml = _receive_xml(batch, command_id, shell.output_streams)
        shell.last_answer = (envelope.message_id, xml)

        def undo() -> None:
            shell.last_answer = None
            outbox.restore(batch)

        return _Body(xml, undo)

    async def _wait(self, shell: Shell, outbox: Outbox, timeout: float) -> bool:
        """Wait until the outbox should be fetched; False after `timeout` seconds.

        A newer Receive takes the place of one that still waits: its client gave it up.
        """
        loop = asyncio.get_running_loop()
        older = self._receivers.get(outbox)
        if older is not None:
            older.give_up()
        mine = self._receivers[outbox] = _Receiver(shell, loop)
        outbox.on_change = mine.wake
        deadline = loop.time() + timeout
        try:
            while True:
                if not shell.connected:
                    raise WsmanFault("stream_disconnected")
                if outbox.aborted or mine.given_up:
                    raise WsmanFault("aborted")
                due = outbox.ready_in(self.settings.coalesce)
                left = deadline - loop.time()
                if due == 0.0:
                    return True
                if left <= 0:
                    return due is not None
                await mine.sleep(left if due is None else min(due, left))
        finally:
            if self._receivers.get(outbox) is mine:
                del self._receivers[outbox]

    @contextlib.contextmanager
    def _busy(self, shell: Shell) -> Any:
        """A shell with a request in progress is not idle."""
        shell.pending += 1
        try:
            yield
        finally:
            shell.pending -= 1
            shell.used = shell.host.clock.monotonic()

    async def drop(self, shell: Shell) -> None:
        """End a shell and everything in it."""
        self.shells.remove(shell)
        await shell.close()

    def kill_all(self) -> None:
        """End every shell without waiting (the host restarts)."""
        for shell in self.shells.all():
            self.shells.remove(shell)
            shell.kill()

    async def drop_all(self) -> None:
        """End every shell (the laboratory closes)."""
        await asyncio.gather(*(self.drop(shell) for shell in self.shells.all()))

    async def drop_idle(self) -> None:
        """End shells whose idle timeout or lifetime is over; one that ends badly does not keep the others."""
        ends = await asyncio.gather(*(self.drop(shell) for shell in self.shells.over()), return_exceptions=True)
        for error in ends:
            if isinstance(error, Exception):
                what = f"A shell did not end: {type(error).__name__}: {error}"
                self.host.trace.write("defect", self.host.name, what=what)


def _receive_xml(batch: Batch, command_id: str | None, streams: str) -> str:
    owner = f" CommandId={quoteattr(command_id.upper())}" if command_id else ""
    parts = [
        f'<rsp:Stream Name="{chunk.stream}"{owner}>{base64.b64encode(chunk.data).decode("ascii")}</rsp:Stream>'
        for chunk in batch.chunks
    ]
    if command_id and batch.done:
        if " " in streams:  # cmd shells end each stream by itself; PSRP has its own end
            parts += [f'<rsp:Stream Name="{name}"{owner} End="true"></rsp:Stream>' for name in streams.split()]
        parts.append(
            f'<rsp:CommandState{owner} State="{STATE}/Done"><rsp:ExitCode>{batch.exit_code}</rsp:ExitCode>'
            "</rsp:CommandState>"
        )
    elif command_id:
        parts.append(f'<rsp:CommandState{owner} State="{STATE}/Running"></rsp:CommandState>')
    return f"<rsp:ReceiveResponse>{''.join(parts)}</rsp:ReceiveResponse>"
