# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host does with each WS-Management operation: from an envelope to the answer."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape, quoteattr

from vsslab.wire import cmdshell, psrp, soap
from vsslab.wire.cmdshell import CmdShell
from vsslab.wire.outbox import Batch, Outbox
from vsslab.wire.psrp import PsrpShell, RunspaceFactory
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
        self._receivers: dict[int, asyncio.Future[None]] = {}
        self._operations: dict[str, Callable[[Envelope, User, str], Awaitable[_Body]]] = {
            "Create": self._create,
            "Get": self._get,
            "Command": self._command,
            "Receive": self._receive,
            "Send": self._send,
            "Signal": self._signal,
            "Delete": self._delete,
            "Disconnect": self._disconnected,
            "Reconnect": self._disconnected,
            "Connect": self._disconnected,
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
            body = await work(envelope, user, client)
        except WsmanFault as problem:
            return self.refuse(envelope.message_id, problem)
        return Answer(200, soap.respond(envelope.message_id, f"{envelope.action}Response", body.xml), undo=body.undo)

    def refuse(self, message_id: str, problem: WsmanFault) -> Answer:
        """The answer that carries a fault."""
        return Answer(500, soap.fault(message_id, problem, self.host.name), problem.code)

    def _timeout(self, envelope: Envelope) -> float:
        limit = self.settings.max_operation_timeout
        return limit if envelope.timeout is None else min(envelope.timeout, limit)

    def _shell(self, envelope: Envelope, user: User) -> Shell:
        return self.shells.get(user, envelope.shell_id)

    async def _create(self, envelope: Envelope, user: User, client: str) -> _Body:
        if not (user.remote or user.administrator):
            raise WsmanFault("access_denied")
        body = envelope.expect("Shell")
        shell_id = checked_id(body.get("ShellId", "")) if body.get("ShellId") else new_id()
        self.shells.check(user, shell_id)
        idle = soap.seconds(body.findtext(f"{{{soap.RSP}}}IdleTimeOut", "").strip())
        request = ShellRequest(
            shell_id, envelope.resource, client, idle or self.settings.shell_idle, dict(envelope.options), body
        )
        shell = self._new_shell(user, request)
        self.shells.add(shell)
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
        name = request.resource.removeprefix(psrp.RESOURCE)
        if name == request.resource or name.lower() not in self.settings.configurations:
            raise WsmanFault("unknown_resource", resource=request.resource, host=self.host.name)
        private_data = self._private_data(self.host)
        return PsrpShell(self.host, user, request, self.settings, self._factory, private_data)

    async def _get(self, envelope: Envelope, user: User, _client: str) -> _Body:
        if envelope.resource.rstrip("/") == soap.CFG:
            size = self.settings.max_envelope // 1024
            return _Body(
                f'<cfg:Config xmlns:cfg="{soap.CFG}"><cfg:MaxEnvelopeSizekb>{size}</cfg:MaxEnvelopeSizekb>'
                f"<cfg:MaxTimeoutms>{self.settings.max_operation_timeout * 1000:.0f}</cfg:MaxTimeoutms></cfg:Config>"
            )
        if not envelope.resource.startswith((soap.RSP, psrp.RESOURCE)):
            raise WsmanFault("unknown_resource", resource=envelope.resource, host=self.host.name)
        return _Body(self._shell(envelope, user).describe())

    async def _command(self, envelope: Envelope, user: User, _client: str) -> _Body:
        shell, body = self._shell(envelope, user), envelope.expect("CommandLine")
        line = body.findtext(f"{{{soap.RSP}}}Command") or ""
        arguments = [each.text or "" for each in body.findall(f"{{{soap.RSP}}}Arguments")]
        command_id = shell.command(body.get("CommandId"), line, arguments, envelope.options)
        return _Body(f"<rsp:CommandResponse>{soap.element('CommandId', command_id)}</rsp:CommandResponse>")

    async def _send(self, envelope: Envelope, user: User, _client: str) -> _Body:
        shell = self._shell(envelope, user)
        for stream in envelope.expect("Send").findall(f"{{{soap.RSP}}}Stream"):
            end = stream.get("End", "").lower() in ("true", "1")
            shell.send(stream.get("CommandId"), stream.get("Name", ""), soap.decode(stream.text), end=end)
        return _Body("<rsp:SendResponse/>")

    async def _signal(self, envelope: Envelope, user: User, _client: str) -> _Body:
        shell, body = self._shell(envelope, user), envelope.expect("Signal")
        code = body.findtext(f"{{{soap.RSP}}}Code", "").strip()
        with self._busy(shell):
            await shell.signal(body.get("CommandId", ""), code, self._timeout(envelope))
        return _Body("<rsp:SignalResponse/>")

    async def _delete(self, envelope: Envelope, user: User, _client: str) -> _Body:
        await self.drop(self._shell(envelope, user))
        return _Body("")

    async def _disconnected(self, envelope: Envelope, _user: User, _client: str) -> _Body:
        raise WsmanFault("disconnect", operation=envelope.operation)

    async def _receive(self, envelope: Envelope, user: User, _client: str) -> _Body:
        shell, body = self._shell(envelope, user), envelope.expect("Receive")
        desired = body.find(f"{{{soap.RSP}}}DesiredStream")
        command_id = desired.get("CommandId") if desired is not None else None
        if shell.last_answer is not None and shell.last_answer[0] == envelope.message_id:
            return _Body(shell.last_answer[1])  # a client that missed the answer repeats the same message
        outbox = shell.source(command_id)
        with self._busy(shell):
            ready = await self._wait(outbox, self._timeout(envelope))
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

    async def _wait(self, outbox: Outbox, timeout: float) -> bool:
        """Wait until the outbox should be fetched; False after `timeout` seconds.

        A newer Receive takes the place of one that still waits: its client gave it up.
        """
        loop = asyncio.get_running_loop()
        older = self._receivers.get(id(outbox))
        if older is not None and not older.done():
            older.cancel()
        mine: asyncio.Future[None] = loop.create_future()
        self._receivers[id(outbox)] = mine
        changed = asyncio.Event()

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(changed.set)

        outbox.on_change = wake
        deadline = loop.time() + timeout
        try:
            while True:
                if outbox.aborted or mine.cancelled():
                    raise WsmanFault("aborted")
                due = outbox.ready_in(self.settings.coalesce)
                left = deadline - loop.time()
                if due == 0.0:
                    return True
                if left <= 0:
                    return due is not None
                await _first(changed, mine, left if due is None else min(due, left))
                changed.clear()
        finally:
            if self._receivers.get(id(outbox)) is mine:
                del self._receivers[id(outbox)]

    @contextlib.contextmanager
    def _busy(self, shell: Shell) -> Any:
        """A shell with a request in progress is not idle."""
        shell.pending += 1
        try:
            yield
        finally:
            shell.pending -= 1
            shell.used = asyncio.get_running_loop().time()

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
        """End shells whose idle timeout is over."""
        for shell in self.shells.idle(asyncio.get_running_loop().time()):
            await self.drop(shell)


async def _first(changed: asyncio.Event, given_up: asyncio.Future[None], timeout: float) -> None:
    """Wait for either, or for the time."""
    waiting: asyncio.Future[Any] = asyncio.ensure_future(changed.wait())
    both: set[asyncio.Future[Any]] = {waiting, given_up}
    try:
        await asyncio.wait(both, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()


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
