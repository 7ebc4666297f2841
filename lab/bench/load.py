# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Complete PSRP sessions with NTLM and message encryption, at a rate no Python client library reaches.

The SOAP messages are those pypsrp sends: one session of it is recorded, then repeated with new identifiers.  Each
repetition authenticates anew (three-way NTLM), seals and unseals every message, and looks at the last answer.

    load.py ADDRESS PORT USER SESSIONS PARALLEL     (the password comes on the standard input)

prints one line of JSON: sessions, seconds, cpu (seconds of this process), requests.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import struct
import sys
import time
import uuid

import spnego
from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.wsman import WSMan

_BOUNDARY = b"--Encrypted Boundary"
_HEAD = (
    "POST /wsman HTTP/1.1\r\nHost: {host}\r\nConnection: Keep-Alive\r\nContent-Type: {kind}\r\n"
    "{authorization}Content-Length: {length}\r\n\r\n"
)
_SEALED = 'multipart/encrypted;protocol="application/HTTP-SPNEGO-session-encrypted";boundary="Encrypted Boundary"'
_SHELL = "{the shell}"  # stands for the one of the recorded session
_IDENTIFIER = re.compile(r"uuid:[0-9A-Fa-f-]{36}")


class BenchError(Exception):
    """A session did not go as it should."""


def record(address: str, port: int, user: str, password: str) -> list[str]:
    """The messages of one session of pypsrp with one pipeline of one command."""
    wsman = WSMan(address, port=port, ssl=False, auth="ntlm", username=user, password=password, encryption="always")
    sent: list[str] = []
    send = wsman.transport.send

    def remember(message: bytes, *arguments: object, **options: object) -> bytes:
        sent.append(message.decode())
        return send(message, *arguments, **options)

    wsman.transport.send = remember
    with wsman, RunspacePool(wsman) as pool:
        shell = PowerShell(pool)
        shell.add_cmdlet("Write-Output").add_argument("bench")
        if shell.invoke() != ["bench"]:
            raise BenchError("The pipeline did not answer as it should.")
    return [each for each in sent if "/Action>" not in each or "config" not in each]


class Session:
    """One session over one connection."""

    def __init__(self, address: str, port: int, user: str, password: str) -> None:
        self._address, self._port = address, port
        self._context = spnego.client(user, password, hostname=address, service="HTTP", protocol="ntlm")
        self.requests = 0

    async def run(self, messages: list[str], shell_id: str) -> None:
        """Authenticate, send every message, close."""
        self._reader, self._writer = await asyncio.open_connection(self._address, self._port)
        try:
            status, _, _ = await self._exchange(b"")
            if status != 401:
                raise BenchError(f"A stranger was answered by {status}.")
            status, headers, _ = await self._exchange(b"", self._context.step())
            challenge = re.search(rb"(?i)www-authenticate: *Negotiate ([^\r\n]+)", headers)
            if status != 401 or challenge is None:
                raise BenchError(f"No challenge: {status}.")
            token = self._context.step(base64.b64decode(challenge[1]))
            status, _, _ = await self._exchange(b"", token)
            if status >= 400:
                raise BenchError(f"Not logged on: {status}.")
            body = b""
            for message in messages:
                text = _IDENTIFIER.sub(lambda _: f"uuid:{uuid.uuid4()!s}".upper().replace("UUID", "uuid"), message)
                status, _, body = await self._exchange(self._seal(text.replace(_SHELL, shell_id).encode()))
                if status != 200:
                    raise BenchError(f"A message was answered by {status}: {self._unseal(body)[:400]!r}")
                body = self._unseal(body)
            if b"DeleteResponse" not in body:
                raise BenchError("The last answer is not that of Delete.")
        finally:
            self._writer.close()

    def _seal(self, message: bytes) -> bytes:
        wrapped = self._context.wrap_winrm(message)
        head = b"".join((
            _BOUNDARY, b"\r\n\tContent-Type: application/HTTP-SPNEGO-session-encrypted\r\n\tOriginalContent: type="
            b"application/soap+xml;charset=UTF-8;Length=", str(len(message)).encode(), b"\r\n", _BOUNDARY,
            b"\r\n\tContent-Type: application/octet-stream\r\n",
        ))  # fmt: skip
        length = struct.pack("<i", len(wrapped.header))
        return b"".join((head, length, wrapped.header, wrapped.data, _BOUNDARY, b"--\r\n"))

    def _unseal(self, body: bytes) -> bytes:
        marker = b"application/octet-stream\r\n"
        start = body.index(marker) + len(marker)
        sealed = body[start : body.rindex(_BOUNDARY)]
        length = struct.unpack("<i", sealed[:4])[0]
        return self._context.unwrap_winrm(sealed[4 : 4 + length], sealed[4 + length :])

    async def _exchange(self, body: bytes, token: bytes | None = None) -> tuple[int, bytes, bytes]:
        self.requests += 1
        authorization = "" if token is None else f"Authorization: Negotiate {base64.b64encode(token).decode()}\r\n"
        head = _HEAD.format(host=self._address, kind=_SEALED, authorization=authorization, length=len(body))
        self._writer.write(head.encode() + body)
        headers = await self._reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: *(\d+)", headers)
        return int(headers[9:12]), headers, await self._reader.readexactly(int(length[1]) if length else 0)


async def load(address: str, port: int, user: str, password: str, sessions: int, parallel: int) -> dict[str, float]:
    """Run `sessions` sessions, `parallel` at a time; the figures."""
    messages = record(address, port, user, password)
    found = re.search(r'Name="ShellId">([^<]+)<', messages[-1]) or re.search(r'ShellId="([^"]+)"', messages[0])
    if found is None:
        raise BenchError("The recorded session names no shell.")
    messages = [each.replace(found[1], _SHELL) for each in messages]
    left, requests = iter(range(sessions)), 0

    async def worker() -> None:
        nonlocal requests
        for _ in left:
            session = Session(address, port, user, password)
            await session.run(messages, str(uuid.uuid4()).upper())
            requests += session.requests

    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(worker() for _ in range(parallel)))
    seconds = time.perf_counter() - began
    return {"sessions": sessions, "seconds": seconds, "cpu": time.process_time() - cpu, "requests": requests}


def main() -> None:
    """Run from the command line."""
    address, port, user, sessions, parallel, *core = sys.argv[1:]
    if core:
        os.sched_setaffinity(0, {int(core[0])})
    password = sys.stdin.readline().rstrip("\n")
    print(json.dumps(asyncio.run(load(address, int(port), user, password, int(sessions), int(parallel)))))


if __name__ == "__main__":
    main()
