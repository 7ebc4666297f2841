# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One TCP connection: reading requests, authenticating, carrying them out, answering, counting."""

from __future__ import annotations

import asyncio
import select
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from vsslab import incidents
from vsslab.wire import disturbance, http, sealing, soap
from vsslab.wire.auth import ConnectionAuth
from vsslab.wire.counters import Counters
from vsslab.wire.http import HttpError, HttpRequest, RequestParser
from vsslab.wire.operations import Answer, Endpoint
from vsslab.wire.settings import Settings
from vsslab.wire.soap import Envelope
from vsslab.wire.wsman_faults import WsmanFault

if TYPE_CHECKING:
    from vsslab.faults import Faults
    from vsslab.trace import Trace
    from vsslab.windows.users import User

_SOAP = "application/soap+xml;charset=UTF-8"
_PATHS = frozenset({"/wsman", "/wsman-anon/identify"})
_SEALING_OVERHEAD = 16 * 1024
_CHUNK = 64 * 1024
_GOODBYE = 1.0
_RESET = 0.02  # on the same machine a reset is there much sooner


@dataclass(frozen=True)
class Reply:
    """One HTTP answer.  `operation` names what was processed (None: a part of the authentication)."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    operation: str | None = None
    fault: int = 0
    close: bool = False
    silent: bool = False
    undo: Callable[[], None] | None = None


@dataclass(frozen=True)
class Services:
    """What a connection needs from its server."""

    endpoint: Endpoint
    settings: Settings
    counters: Counters
    faults: Faults
    trace: Trace


class Connection:
    """Serves one connection until either side closes it."""

    def __init__(
        self,
        services: Services,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        secure: bool,
        end_point: bytes | None,
    ) -> None:
        self._services, self._reader, self._writer = services, reader, writer
        self._host = services.endpoint.host
        peer = writer.get_extra_info("peername") or ("?", 0)
        self.client = f"{peer[0]}:{peer[1]}"
        self._secure = secure
        tls = writer.get_extra_info("ssl_object")
        self._auth = ConnectionAuth(
            self._host,
            secure=secure,
            end_point=end_point,
            peer=tls.getpeercert(binary_form=True) if tls is not None else None,
            settings=services.settings,
        )
        self._parser = RequestParser(services.settings.max_envelope + _SEALING_OVERHEAD)
        self._session = services.counters.open(self._host.name, self.client)
        self._operation: str | None = None

    def abort(self) -> None:
        """Close at once (the host restarts, the laboratory closes)."""
        self._writer.transport.abort()

    async def serve(self) -> None:
        """Read and answer until the end."""
        try:
            fault = await disturbance.meet(self._host, "connect", None)
            if fault is not None and "drop" in fault.do:
                self.abort()
                return
            while True:
                request = await self._next_request()
                if request is None or not await self._one(request):
                    return
        except HttpError as error:
            await self._write(Reply(error.status, close=True))
        except (OSError, asyncio.TimeoutError):
            return
        finally:
            self._session.open = False
            await self._close()

    async def _close(self) -> None:
        """Say good-bye, but do not wait long for the client to agree."""
        self._writer.close()
        try:
            await asyncio.wait_for(self._writer.wait_closed(), _GOODBYE)
        except (OSError, asyncio.TimeoutError):
            self._writer.transport.abort()

    async def _next_request(self) -> HttpRequest | None:
        """The next request; None when the client closed, was silent for too long or sends too slowly (HTTP.sys)."""
        settings, loop = self._services.settings, asyncio.get_running_loop()
        limits = {"idle": settings.idle_drop, "head": settings.head_wait, "body": settings.body_wait}
        phase, since = "", 0.0
        while True:
            request = self._parser.next_request()
            if request is not None:
                return request
            if self._parser.wants_continue():
                self._writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            if phase != self._parser.phase:
                phase, since = self._parser.phase, loop.time()
            timer = loop.call_at(since + limits[phase], self.abort)
            try:
                data = await self._reader.read(_CHUNK)
            finally:
                timer.cancel()
            if not data:
                return None
            self._parser.feed(data)

    async def _one(self, request: HttpRequest) -> bool:
        """Carry out one request; False when the connection must end.

        Meanwhile the client is watched: when it goes away, whatever waits for it is given up.  A client that only says
        that it sends nothing more gets what is ready, not what it would have to wait for.
        """
        began = time.monotonic()
        work = asyncio.ensure_future(self._process(request))
        await asyncio.sleep(0)  # most work needs one step
        goodbye = self._reader.at_eof() if work.done() else await self._watch(work)
        error = None if work.cancelled() else work.exception()
        if error is not None:
            what = f"{type(error).__name__}: {error}"
            self._services.trace.write("defect", self._host.name, what=what)
        if work.cancelled() or error is not None:
            reply = Reply(0, operation=self._operation, silent=True, close=True)
        else:
            reply = work.result()
        reply = _ended_as_wished(reply, request)
        self._count(request, reply, began)
        sent = not reply.silent and await self._write(reply, goodbye=goodbye)
        if not sent and reply.undo is not None:
            reply.undo()
        return sent and not reply.close

    async def _watch(self, work: asyncio.Future[Reply]) -> bool:
        """Wait for work while looking at the client; True when the client will send nothing more."""
        watch = asyncio.ensure_future(self._reader.read(_CHUNK))
        both: set[asyncio.Future[Any]] = {work, watch}
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if watch.done() and not self._said_goodbye(watch):  # the client already sends its next request
            self._parser.feed(watch.result())
            await asyncio.wait({work})
            return False
        if watch.done() and not work.done():
            work.cancel()
        await asyncio.wait({work})
        return await self._end_watch(watch)

    @staticmethod
    def _said_goodbye(watch: asyncio.Future[bytes]) -> bool:
        return watch.exception() is not None or not watch.result()

    async def _end_watch(self, watch: asyncio.Future[bytes]) -> bool:
        """Stop watching without losing a byte that came meanwhile; True when the client will send nothing more."""
        if watch.done():
            return self._said_goodbye(watch)
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)
        if watch.cancelled():
            return False
        if self._said_goodbye(watch):
            return True
        self._parser.feed(watch.result())
        return False

    async def _write(self, reply: Reply, *, goodbye: bool = False) -> bool:
        """Send an answer; False when the client is gone, or takes nothing for too long."""
        data = http.response(reply.status, reply.body, reply.headers, keep_alive=not reply.close)
        try:
            self._writer.write(data)
            if self._writer.transport.get_write_buffer_size():
                await asyncio.wait_for(self._writer.drain(), self._services.settings.idle_drop)
        except (OSError, asyncio.TimeoutError):
            return False
        return not self._writer.is_closing() and not (goodbye and await self._refused())

    async def _refused(self) -> bool:
        """True when a client that said good-bye does not take the answer either: its system resets the connection."""
        line = self._writer.get_extra_info("socket")
        if line is None:
            return False
        await asyncio.sleep(_RESET)
        look = select.poll()
        look.register(line.fileno(), select.POLLERR | select.POLLHUP)
        return bool(look.poll(0))

    def _count(self, request: HttpRequest, reply: Reply, began: float) -> None:
        """Count and trace one request; status 0 stands for no answer at all."""
        self._services.counters.count(self._session, reply.operation, len(request.body), len(reply.body))
        self._services.trace.write(
            "http",
            self._host.name,
            client=self.client,
            user=self._session.user,
            operation=reply.operation,
            status=reply.status,
            fault=reply.fault,
            bytes_up=len(request.body),
            bytes_down=len(reply.body),
            secure=self._secure,
            seconds=round(time.monotonic() - began, 4),
        )

    async def _process(self, request: HttpRequest) -> Reply:
        """From an HTTP request to its answer."""
        self._operation = None
        path = request.target.partition("?")[0].rstrip("/").lower()
        if path not in _PATHS:
            return Reply(404)
        if request.method != "POST":
            return Reply(405)
        anonymous = path == "/wsman-anon/identify" or request.headers.get("wsmanidentify", "") == "unauthenticated"
        if anonymous and request.body and "authorization" not in request.headers:
            return await self._identify_anonymous(request)
        verdict = self._auth.check(request.headers.get("authorization"))
        headers = tuple(verdict.headers)
        if verdict.outcome != "accepted" or verdict.user is None:
            return await self._leg(Reply(401, headers=headers), None)
        user = verdict.user
        self._session.user = user.name
        if not request.body:
            return await self._leg(Reply(200, headers=headers), user.name)
        return await self._soap(request, user, headers)

    async def _leg(self, reply: Reply, user: str | None) -> Reply:
        """One leg of an authentication, unless a fault wants something else."""
        fault = await disturbance.meet(self._host, "authentication", user)
        if fault is None:
            return reply
        if "drop" in fault.do:
            return Reply(0, silent=True, close=True)
        return Reply(int(fault.do["status"])) if "status" in fault.do else reply

    async def _identify_anonymous(self, request: HttpRequest) -> Reply:
        try:
            envelope = soap.parse(request.body)
        except WsmanFault:
            return Reply(400, close=True)
        if envelope.operation != "Identify":
            return Reply(401, headers=(("WWW-Authenticate", "Negotiate"),))
        return await self._disturbed(envelope, None, (), sealed=False)

    async def _soap(self, request: HttpRequest, user: User, headers: tuple[tuple[str, str], ...]) -> Reply:
        content_type = request.headers.get("content-type", "")
        sealed = sealing.is_sealed(content_type)
        body = request.body
        if sealed:
            if self._auth.sealer is None:
                return Reply(400, close=True)
            try:
                body = sealing.unseal(self._auth.sealer, content_type, body, self._auth.protocol)
            except sealing.SealError:
                return Reply(400, close=True)
        elif not self._secure and not self._services.settings.allow_unencrypted:
            return Reply(500, headers=headers)
        elif not content_type.lower().startswith(("application/soap+xml", "text/xml", "application/xml")):
            return Reply(415, headers=headers)
        return await self._answer(body, user, headers, sealed)

    async def _answer(self, body: bytes, user: User, headers: tuple[tuple[str, str], ...], sealed: bool) -> Reply:
        endpoint = self._services.endpoint
        try:
            envelope = soap.parse(body)
        except WsmanFault as problem:
            return self._dress(endpoint.refuse("", problem), "(malformed)", headers, sealed)
        return await self._disturbed(envelope, user, headers, sealed)

    async def _disturbed(
        self, envelope: Envelope, user: User | None, headers: tuple[tuple[str, str], ...], sealed: bool
    ) -> Reply:
        """Carry out an operation, under the fault that fires on it."""
        operation = self._operation = envelope.operation or "(unknown)"
        fault = await disturbance.meet(self._host, operation, user.name if user else None)
        do = fault.do if fault is not None else {}
        drop = str(do.get("drop", "")).lower()
        if drop == "before":
            return Reply(0, operation=operation, silent=True, close=True)
        if "status" in do:
            return Reply(int(do["status"]), operation=operation)
        if "fail" in do:
            answer = self._services.endpoint.refuse(envelope.message_id, disturbance.ordered(do["fail"]))
        else:
            answer = await self._carry_out(envelope, user)
        if drop == "after":
            return Reply(0, operation=operation, fault=answer.fault, silent=True, close=True, undo=answer.undo)
        reply = self._dress(answer, operation, headers, sealed)
        if fault is not None and "corrupt" in do:
            reply = replace(reply, body=incidents.corrupted(reply.body, fault))
        return reply

    async def _carry_out(self, envelope: Envelope, user: User | None) -> Answer:
        if user is None:
            return Answer(200, soap.identify("0.0.0"))
        if envelope.operation == "Identify":
            return Answer(200, soap.identify(self._host.profile.version))
        endpoint = self._services.endpoint
        try:
            return await endpoint.handle(envelope, user, self.client)
        except Exception as error:  # noqa: BLE001 - a defect of the laboratory must reach the client as one sentence
            what = f"{type(error).__name__}: {error}"
            self._services.trace.write("defect", self._host.name, what=what)
            return endpoint.refuse(envelope.message_id, WsmanFault("internal", what=what))

    def _dress(self, answer: Answer, operation: str, headers: tuple[tuple[str, str], ...], sealed: bool) -> Reply:
        """Seal an answer when its request was sealed."""
        body, content_type = answer.body, _SOAP
        if sealed and self._auth.sealer is not None:
            content_type, body = sealing.seal(self._auth.sealer, body, self._auth.protocol)
        dressed = (*headers, ("Content-Type", content_type))
        return Reply(answer.status, body, dressed, operation, answer.fault, undo=answer.undo)


def _ended_as_wished(reply: Reply, request: HttpRequest) -> Reply:
    """The answer that closes the connection, or in HTTP/1.0 says that it stays open (RFC 9112 9.3)."""
    if not request.keep_alive:
        return replace(reply, close=True)
    if request.version == "HTTP/1.0" and not reply.close:
        return replace(reply, headers=(*reply.headers, ("Connection", "Keep-Alive")))
    return reply
