# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One TCP connection: reading requests, authenticating, carrying them out, answering, counting."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vsslab.faults import seconds
from vsslab.wire import http, sealing, soap
from vsslab.wire.auth import ConnectionAuth
from vsslab.wire.counters import Counters
from vsslab.wire.http import HttpError, HttpRequest, RequestParser
from vsslab.wire.operations import Answer, Endpoint
from vsslab.wire.settings import Settings
from vsslab.wire.soap import Envelope
from vsslab.wire.wsman_faults import WsmanFault

if TYPE_CHECKING:
    from vsslab.faults import Fault, Faults
    from vsslab.trace import Trace
    from vsslab.windows.users import User

_SOAP = "application/soap+xml;charset=UTF-8"
_PATHS = frozenset({"/wsman", "/wsman-anon/identify"})
_SEALING_OVERHEAD = 16 * 1024
_CHUNK = 64 * 1024
_GOODBYE = 1.0


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
        self._auth = ConnectionAuth(self._host, secure=secure, end_point=end_point)
        self._parser = RequestParser(services.settings.max_envelope + _SEALING_OVERHEAD)
        self._session = services.counters.open(self._host.name, self.client)
        self._operation: str | None = None

    def abort(self) -> None:
        """Close at once (the host restarts, the laboratory closes)."""
        self._writer.transport.abort()

    async def serve(self) -> None:
        """Read and answer until the end."""
        try:
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
        """The next request; None when the client closed or was silent for too long."""
        while True:
            request = self._parser.next_request()
            if request is not None:
                return request
            if self._parser.wants_continue():
                self._writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            data = await asyncio.wait_for(self._reader.read(_CHUNK), self._services.settings.idle_drop)
            if not data:
                return None
            self._parser.feed(data)

    async def _one(self, request: HttpRequest) -> bool:
        """Carry out one request; False when the connection must end.

        Meanwhile the client is watched: when it goes away, whatever waits for it is given up.
        """
        began = time.monotonic()
        work = asyncio.ensure_future(self._process(request))
        watch = asyncio.ensure_future(self._reader.read(_CHUNK))
        await asyncio.wait({work, watch}, return_when=asyncio.FIRST_COMPLETED)
        gone = watch.done() and (watch.exception() is not None or not watch.result())
        if watch.done() and not gone:  # the client already sends its next request
            self._parser.feed(watch.result())
        if gone and not work.done():
            work.cancel()
        reply = (await asyncio.gather(work, return_exceptions=True))[0]
        if isinstance(reply, BaseException):
            reply = Reply(0, operation=self._operation, silent=True, close=True)
        await self._end_watch(watch)
        self._count(request, reply, began)
        sent = not reply.silent and not gone and await self._write(reply)
        if not sent and reply.undo is not None:
            reply.undo()
        return sent and request.keep_alive and not reply.close

    async def _end_watch(self, watch: asyncio.Future[bytes]) -> None:
        """Stop watching without losing a byte that came meanwhile."""
        if not watch.done():
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
            if not watch.cancelled() and watch.exception() is None:
                self._parser.feed(watch.result())

    async def _write(self, reply: Reply) -> bool:
        """Send an answer; False when the client is gone."""
        data = http.response(reply.status, reply.body, reply.headers, keep_alive=not reply.close)
        try:
            self._writer.write(data)
            await self._writer.drain()
        except OSError:
            return False
        return not self._writer.is_closing()

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
            return self._identify_anonymous(request)
        verdict = self._auth.check(request.headers.get("authorization"))
        if verdict.outcome != "accepted" or verdict.user is None:
            return Reply(401, headers=tuple(verdict.headers))
        user = verdict.user
        self._session.user = user.name
        headers = tuple(verdict.headers)
        if not request.body:
            return Reply(200, headers=headers)
        return await self._soap(request, user, headers)

    def _identify_anonymous(self, request: HttpRequest) -> Reply:
        try:
            envelope = soap.parse(request.body)
        except WsmanFault:
            return Reply(400, close=True)
        if envelope.operation != "Identify":
            return Reply(401, headers=(("WWW-Authenticate", "Negotiate"),))
        return Reply(200, soap.identify("0.0.0"), (("Content-Type", _SOAP),), "Identify")

    async def _soap(self, request: HttpRequest, user: User, headers: tuple[tuple[str, str], ...]) -> Reply:
        content_type = request.headers.get("content-type", "")
        sealed = sealing.is_sealed(content_type)
        body = request.body
        if sealed:
            if self._auth.sealer is None:
                return Reply(400, close=True)
            try:
                body = sealing.unseal(self._auth.sealer, content_type, body)
            except sealing.SealError:
                return Reply(400, close=True)
        elif not self._secure:  # AllowUnencrypted is false
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
        operation = self._operation = envelope.operation or "(unknown)"
        fault = self._services.faults.match("http", host=self._host.name, operation=operation, user=user.name)
        if fault is not None:
            self._services.trace.write("fault", self._host.name, operation=operation, do=fault.do)
            early = await self._misbehave(fault, operation)
            if early is not None:
                return early
        answer = await self._carry_out(envelope, user)
        if fault is not None and fault.do.get("drop") == "after":
            return Reply(0, operation=operation, fault=answer.fault, silent=True, close=True, undo=answer.undo)
        return self._dress(answer, operation, headers, sealed)

    async def _misbehave(self, fault: Fault, operation: str) -> Reply | None:
        """Do what a fault says before the work; an answer when there will be no work."""
        if "delay" in fault.do:
            await asyncio.sleep(seconds(fault.do["delay"]))
        if fault.do.get("drop") == "before":
            return Reply(0, operation=operation, silent=True, close=True)
        if "status" in fault.do:
            return Reply(int(fault.do["status"]), operation=operation)
        return None

    async def _carry_out(self, envelope: Envelope, user: User) -> Answer:
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
            body, content_type = sealing.seal(self._auth.sealer, body), sealing.CONTENT_TYPE
        dressed = (*headers, ("Content-Type", content_type))
        return Reply(answer.status, body, dressed, operation, answer.fault, undo=answer.undo)
