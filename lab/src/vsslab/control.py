# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The control channel of a running laboratory: one JSON line in, one JSON line out.

A unix socket in the state folder, or, where its path would be too long for one, a port on the loopback interface with a
token that only the owner of the folder can read.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import selectors
import socket
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from vsslab.refusal import Refusal

_SOCKET, _PORT = "control.sock", "control.json"
_LONGEST = 100  # bytes of a unix socket's path; Linux has room for 107 and the closing zero (unix(7))
_PATIENCE = 30.0  # seconds
_BIGGEST = 1 << 20  # bytes of a request

Handler = Callable[[Mapping[str, Any]], Any]


class ControlError(Refusal):
    """The laboratory does not answer, or refused; one sentence."""


class ControlServer:
    """Answers requests with `handler(request)`, which returns JSON data; its ValueError and KeyError are refusals."""

    def __init__(self, state: Path, handler: Handler) -> None:
        self._handler = handler
        self._token = ""
        self._files: list[Path] = []
        path = state / _SOCKET
        if len(os.fsencode(path)) <= _LONGEST:
            path.unlink(missing_ok=True)
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.bind(str(path))
            path.chmod(0o600)
            self.address = str(path)
        else:
            self._token = secrets.token_hex(16)
            self._socket = socket.create_server(("127.0.0.1", 0))
            path = state / _PORT
            path.unlink(missing_ok=True)
            path.touch(mode=0o600)
            port = self._socket.getsockname()[1]
            path.write_text(json.dumps({"port": port, "token": self._token}), encoding="utf-8")
            self.address = f"127.0.0.1:{port}"
        self._files.append(path)
        self._socket.listen(8)
        self._wake, self._awake = socket.socketpair()
        self._thread = threading.Thread(target=self._serve, name="vsslab-control", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Answer nothing more; returns when the thread has ended."""
        with contextlib.suppress(OSError):
            self._wake.send(b"x")
        if threading.current_thread() is not self._thread:
            self._thread.join(_PATIENCE)
        for each in (self._socket, self._wake, self._awake):
            each.close()
        for path in self._files:
            path.unlink(missing_ok=True)

    def _serve(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._socket, selectors.EVENT_READ)
            selector.register(self._awake, selectors.EVENT_READ)
            while True:
                ready = {key.fileobj for key, _ in selector.select()}
                if self._awake in ready:
                    return
                connection, _ = self._socket.accept()
                name = "vsslab-request"  # a thread each: one that advances the time must not keep others waiting
                threading.Thread(target=self._one, args=(connection,), name=name, daemon=True).start()

    def _one(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.settimeout(_PATIENCE)
            connection.sendall(json.dumps(self._reply(_line(connection))).encode() + b"\n")

    def _reply(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
            if not isinstance(request, dict):
                raise ValueError("A request is a JSON object.")
            if self._token and not secrets.compare_digest(str(request.pop("token", "")), self._token):
                raise ValueError("The token is wrong.")
            return {"ok": True, "result": self._handler(request)}
        except KeyError as error:
            return {"ok": False, "error": f"There is no {error.args[0]!r}."}
        except ValueError as error:
            return {"ok": False, "error": str(error)}
        except Exception as error:  # noqa: BLE001 - whatever goes wrong belongs to this one request
            return {"ok": False, "error": f"{type(error).__name__}: {error}"}


def _line(connection: socket.socket) -> bytes:
    data = b""
    while not data.endswith(b"\n") and len(data) < _BIGGEST:
        chunk = connection.recv(65536)
        if not chunk:
            break
        data += chunk
    return data


def ask(state: Path, request: Mapping[str, Any], patience: float = _PATIENCE) -> Any:
    """Send one request to the laboratory with this state folder; its result, or ControlError."""
    message = dict(request)
    try:
        if (state / _PORT).exists():
            place = json.loads((state / _PORT).read_text(encoding="utf-8"))
            message["token"] = place["token"]
            connection = socket.create_connection(("127.0.0.1", int(place["port"])), patience)
        else:
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(patience)
            connection.connect(str(state / _SOCKET))
        with connection:
            connection.sendall(json.dumps(message).encode() + b"\n")
            data = b"".join(iter(lambda: connection.recv(65536), b""))
        reply = json.loads(data)
    except (OSError, ValueError) as error:
        raise ControlError(f"No laboratory answers for the state folder {state} ({error}).") from None
    if not reply.get("ok"):
        raise ControlError(str(reply.get("error")))
    return reply["result"]
