# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server: listeners on the hosts' own addresses, one WS-Management endpoint a host."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import importlib
import ipaddress
import resource
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from vsslab.wire import tls as certificates
from vsslab.wire.connection import Connection, Services
from vsslab.wire.counters import Counters, SessionCounters
from vsslab.wire.operations import Endpoint
from vsslab.wire.sessions import RunspaceFactory
from vsslab.wire.settings import Settings

if TYPE_CHECKING:
    from vsslab.faults import Faults
    from vsslab.trace import Trace
    from vsslab.windows.host import Host

_STREAM_LIMIT = 256 * 1024
_BACKLOG = 1000  # connections that wait to be accepted, as many as HTTP.sys queues requests for an application
_CONNECTIONS = 600  # files for connections and all else, beside the listeners
_HANDSHAKE = 15.0  # seconds; a TLS handshake that hangs holds some 300 KB, and is not counted as a connection yet


class WireServer:
    """Answers as all the hosts, each on its own loopback address.

    `hosts` maps addresses (127.0.0.0/8 or ::1) to hosts and is asked for one when its first connection comes, so that a
    mapping may make them then; `ports` are those of HTTP and HTTPS (0: none of that kind); `tls` maps addresses to
    server contexts, an address without one has no HTTPS.  `app_data(host)` gives the private data of a session and
    defaults to the engine's.  start() and close() belong to one event loop.
    """

    def __init__(
        self,
        hosts: Mapping[str, Host],
        *,
        trace: Trace,
        faults: Faults,
        runspace_factory: RunspaceFactory,
        tls: Mapping[str, ssl.SSLContext] | None = None,
        ports: tuple[int, int] = (5985, 5986),
        app_data: Callable[[Host], dict[str, Any]] | None = None,
        settings: Settings | None = None,
    ) -> None:
        for address in hosts:
            if not ipaddress.ip_address(address).is_loopback:
                raise ValueError(f"{address} is no loopback address; the laboratory is not offered to the network.")
        self.settings = settings or Settings()
        self.counters = Counters()
        self._hosts, self._ports, self._tls = hosts, ports, tls or {}
        self._trace, self._faults = trace, faults
        self._factory, self._app_data = runspace_factory, app_data or _engine_data
        self._endpoints: dict[str, Endpoint] = {}
        self._building: dict[str, asyncio.Lock] = {}
        self._end_points: dict[str, bytes] = {}
        self._listeners: list[asyncio.Server] = []
        self._connections: dict[str, set[Connection]] = {address: set() for address in self._hosts}
        self._tasks: set[asyncio.Task[None]] = set()
        self._keeper: asyncio.Task[None] | None = None
        self._noted = ("", 0.0)
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def sessions(self) -> list[SessionCounters]:
        """What each TCP connection has carried, oldest first."""
        return self.counters.sessions

    def shells(self, address: str) -> int:
        """How many shells are open on a host."""
        endpoint = self._endpoints.get(address)
        return len(endpoint.shells) if endpoint is not None else 0

    async def start(self) -> None:
        """Listen; OSError when an address or port is taken (nothing listens then)."""
        self._loop = asyncio.get_running_loop()
        _allow_files(2 * len(self._hosts) + _CONNECTIONS)
        try:
            for address in self._hosts:
                await self._listen(address)
        except OSError:
            await self.close()
            raise
        self._keeper = asyncio.ensure_future(self._keep())

    async def _listen(self, address: str) -> None:
        plain, secure = self._ports
        if plain:
            await self._listen_on(address, plain, None)
        context = self._tls.get(address)
        if secure and context is not None:
            await self._listen_on(address, secure, context)

    async def _endpoint(self, address: str) -> Endpoint:
        """The endpoint of a host; the first to ask may have the host set up, which the loop does not wait for."""
        async with self._building.setdefault(address, asyncio.Lock()):
            if address not in self._endpoints:
                host = await asyncio.get_running_loop().run_in_executor(None, self._hosts.__getitem__, address)
                self._endpoints[address] = Endpoint(host, self.settings, self._factory, self._app_data)
                for callbacks in (getattr(host, "on_reboot", None), getattr(host, "on_winrm_restart", None)):
                    if isinstance(callbacks, list):
                        callbacks.append(lambda: self._reboot(address))
        return self._endpoints[address]

    async def _listen_on(self, address: str, port: int, context: ssl.SSLContext | None) -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            if task is not None:
                self._tasks.add(task)
            try:
                await self._serve(address, context, reader, writer)
            finally:
                if task is not None:
                    self._tasks.discard(task)

        more: dict[str, Any] = {} if context is None else {"ssl": context, "ssl_handshake_timeout": _HANDSHAKE}
        # A socket of our own: what asyncio says when there is no file left for one differs between versions of Python.
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        listening = socket.create_server((address, port), family=family, backlog=_BACKLOG)
        listener = await asyncio.start_server(serve, sock=listening, limit=_STREAM_LIMIT, backlog=_BACKLOG, **more)
        self._listeners.append(listener)

    async def _serve(
        self,
        address: str,
        context: ssl.SSLContext | None,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        """One connection, from its first byte to its last."""
        try:
            endpoint = self._endpoints.get(address) or await self._endpoint(address)
        except Exception as error:  # noqa: BLE001 - whatever it is (a full disk, say), it concerns this host alone
            what = f"The host could not be set up: {type(error).__name__}: {error}"
            self._trace.write("error", "", address=address, what=what)
            writer.transport.abort()
            return
        if getattr(endpoint.host, "state", "running") != "running":  # it restarts, or is off: nobody answers
            writer.transport.abort()
            return
        if len(self._connections[address]) >= self.settings.max_connections:
            self._trace.write("error", endpoint.host.name, what="The host has too many connections; one was closed.")
            writer.transport.abort()
            return
        services = Services(endpoint, self.settings, self.counters, self._faults, self._trace)
        end_point = self._binding(address, context) if context else None
        connection = Connection(services, reader, writer, secure=context is not None, end_point=end_point)
        self._connections[address].add(connection)
        try:
            await connection.serve()
        finally:
            self._connections[address].discard(connection)

    def _binding(self, address: str, context: ssl.SSLContext) -> bytes:
        """The channel binding of a host's certificate."""
        if address not in self._end_points:
            self._end_points[address] = certificates.end_point(certificates.certificate_of(context))
        return self._end_points[address]

    def _reboot(self, address: str) -> None:
        """The host restarts: its connections break and its shells are gone.

        Called from any thread but the loop's; waits until it is so, but not for the threads of pipelines and programs,
        one of which may be the caller.
        """
        done = threading.Event()

        def restart() -> None:
            for connection in list(self._connections[address]):
                connection.abort()
            self._endpoints[address].kill_all()
            done.set()

        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: there is nothing to break
                self._loop.call_soon_threadsafe(restart)
                done.wait(self.settings.stop_patience)

    def drop_connections(self, address: str) -> None:
        """Cut every TCP connection of a host, as a cable that is pulled; what runs in its shells goes on.

        Called from any thread, also from one that the loop waits for: it does not wait itself.
        """

        def cut() -> None:
            for connection in list(self._connections[address]):
                connection.abort()

        if self._loop is not None:
            self._loop.call_soon_threadsafe(cut)

    async def _keep(self) -> None:
        """End shells that idle for too long."""
        while True:
            await asyncio.sleep(min(1.0, self.settings.shell_idle / 4))
            for endpoint in list(self._endpoints.values()):
                await endpoint.drop_idle()

    def note(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """What goes wrong in the loop itself (no file is left to accept with, say) is traced, not printed.

        What is said again and again is written once a second.
        """
        error = context.get("exception")
        told = f" {type(error).__name__}: {error}" if error is not None else ""
        what = f"{context.get('message', '')}{told}".strip()
        if what != self._noted[0] or loop.time() - self._noted[1] >= 1.0:
            self._noted = what, loop.time()
            self._trace.write("defect", "", what=what)

    async def close(self) -> None:
        """Stop listening, end every shell with what runs in it, close every connection."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        for listener in self._listeners:
            listener.close()
        await asyncio.gather(*(endpoint.drop_all() for endpoint in self._endpoints.values()))
        for connections in self._connections.values():
            for connection in list(connections):
                connection.abort()
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        if tasks:
            await asyncio.wait(tasks, timeout=self.settings.stop_patience)
        for listener in self._listeners:
            await listener.wait_closed()
        self._listeners.clear()


def _allow_files(wanted: int) -> None:
    """Let this process have so many files open, as far as it may; a fleet's listeners alone are two a host."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _engine_data(host: Host) -> dict[str, Any]:
    engine = importlib.import_module("vsslab.engine.runspace")
    data: dict[str, Any] = engine.application_private_data(host)
    return data


class WireThread:
    """Runs a server in an event loop in a thread of its own; also a context manager."""

    def __init__(self, server: WireServer) -> None:
        self.server = server
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(server.note)
        self._thread = threading.Thread(target=self._loop.run_forever, name="vsslab wire", daemon=True)

    def start(self) -> None:
        """Start the thread and the listeners; whatever start() of the server raises."""
        self._thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self.server.start(), self._loop).result()
        except BaseException:
            self._stop_loop()
            raise

    def stop(self) -> None:
        """Close the server and end the thread; harmless when it is over already."""
        if self._loop.is_closed():
            return
        asyncio.run_coroutine_threadsafe(self.server.close(), self._loop).result()
        with contextlib.suppress(concurrent.futures.TimeoutError):  # hosts that are being set up
            ended = asyncio.run_coroutine_threadsafe(self._loop.shutdown_default_executor(), self._loop)
            ended.result(self.server.settings.stop_patience)
        self._stop_loop()

    def _stop_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> WireThread:
        self.start()
        return self

    def __exit__(self, *_details: object) -> None:
        self.stop()
