# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The live page's HTTP server, on 127.0.0.1 only.  It answers GET, changes nothing and knows no passwords.

    /                  the page
    /data/now          {revision, time, virtual, scenario, hosts}; `revision` rises with everything that happens
    /data/fleet        {hosts: [{name, address, profile, language, state, detail, shadow_copies, sessions}]}
    /data/host/NAME    one host: writers, shadows, areas, volumes, tasks, events, applications, refusals, sessions,
                       happened
    /data/faults       {faults: [{id, on, do, nth, times, probability, seen, fired}]}
    /data/sessions     {sessions: [{host, user, client, open, operations, by_operation, authentications, bytes_up,
                       bytes_down, seconds}], total}, newest first
    /data/happened     {happened: [{n, time, host, mark, text}]}, newest first

A browser is the only client that is dangerous here: any web page could ask it to read 127.0.0.1.  So the Host header
must name this server (a foreign name that resolves to 127.0.0.1 is refused), nothing allows other origins to read the
answers, and the page may load nothing but its own three files.
"""

from __future__ import annotations

import contextlib
import importlib.resources
import json
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from vsslab.page.view import NotThereError, View

if TYPE_CHECKING:
    from vsslab.lab import Lab

_ADDRESS = "127.0.0.1"
_PATIENCE = 10.0  # seconds that a client may take for its request
_MOST = 100  # connections at a time: each has a thread
_FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
}
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Page:
    """The live page of a laboratory that has been started.

    `port` 0 takes a free one; `address` is the URL to open, from `start` on.  OSError from `start` when the port is
    taken.  `close` ends its threads and sockets and is harmless when called twice.
    """

    def __init__(self, lab: Lab, port: int = 0) -> None:
        self._lab, self._port = lab, port
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None
        self.address = ""

    def start(self) -> Page:
        """Listen; returns itself."""
        self._server = _Server((_ADDRESS, self._port), _routes(View(self._lab)), self._lab.trace.plain)
        self.address = f"http://{_ADDRESS}:{self._server.server_port}/"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, name="vsslab page", daemon=True
        )
        self._thread.start()
        return self

    def close(self) -> None:
        """End it; pages that are open see that the laboratory is gone."""
        if self._server is None or self._thread is None:
            return
        self._server.shutdown()
        self._server.end()
        self._thread.join()
        self._server = self._thread = None

    def __enter__(self) -> Page:
        return self.start()

    def __exit__(self, *_details: object) -> None:
        self.close()


Route = Callable[[str], Any]


def _routes(view: View) -> dict[str, Route]:
    """What the first word below /data/ answers, given the rest of the path."""
    return {
        "now": _without_rest(view.now),
        "fleet": _without_rest(view.fleet),
        "faults": _without_rest(view.faults),
        "sessions": _without_rest(view.sessions),
        "happened": _without_rest(view.happened),
        "host": view.host,
    }


def _without_rest(answer: Callable[[], Any]) -> Route:
    def route(rest: str) -> Any:
        if rest:
            raise NotThereError
        return answer()

    return route


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # server_close waits for the answers that are under way
    allow_reuse_address = True
    request_queue_size = _MOST  # five would let the sixth connection at once wait a second

    def __init__(self, address: tuple[str, int], routes: dict[str, Route], plain: Callable[[Any], Any]) -> None:
        super().__init__(address, _Handler)
        self.routes, self.plain = routes, plain
        self.names = {f"{name}:{self.server_port}" for name in (_ADDRESS, "localhost")}
        self._open: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        if len(self._open) >= _MOST:
            self.shutdown_request(request)
            return
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away in the middle of an answer is no error."""

    def end(self) -> None:
        """Close idle connections, which would keep their threads, then everything."""
        for each in list(self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RD)
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "vsslab", ""
    timeout = _PATIENCE

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def _answer(self) -> None:
        if self.headers.get("Host", "").lower() not in self.server.names:
            self._text(421, "This is the page of a laboratory on this machine; it does not go by that name.")
            return
        path = urlsplit(self.path).path
        if path not in _FILES and self.headers.get("Sec-Fetch-Site", "none").lower() not in ("none", "same-origin"):
            self._text(403, "Only the laboratory's own page may ask for this.")  # asking for a host sets it up
            return
        if path in _FILES:
            name, kind = _FILES[path]
            self._send(200, kind, _file(name))
            return
        _, data, *rest = [unquote(each) for each in path.split("/")]
        route = self.server.routes.get(rest[0]) if data == "data" and rest else None
        try:
            if route is None or len(rest) > 2:
                raise NotThereError
            found = self.server.plain(route("".join(rest[1:])))
        except NotThereError:
            self._text(404, "There is nothing of that name.")
            return
        except Exception as error:  # noqa: BLE001 - a defect must be seen on the page, not end its server
            self._text(500, f"The laboratory cannot say: {type(error).__name__}: {error}")
            return
        body = json.dumps(found, ensure_ascii=False, separators=(",", ":")).encode()
        self._send(200, "application/json; charset=utf-8", body)

    def _text(self, status: int, text: str) -> None:
        self._send(status, "text/plain; charset=utf-8", f"{text}\n".encode())

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        headers = {"Content-Type": kind, "Content-Length": str(len(body)), **_HEADERS}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What is no GET (501 in the base class) is a method that is not allowed; no HTML that echoes the request."""
        self.close_connection = True
        self._text(405 if code == 501 else code, message if message and code != 501 else "Only GET is answered here.")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


def _file(name: str) -> bytes:
    return (importlib.resources.files("vsslab.page") / "data" / name).read_bytes()
