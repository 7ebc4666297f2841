# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP/1.1 as a server reads and writes it (RFC 9112), without any input or output of its own."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from email.utils import formatdate
from typing import Literal

MAX_HEAD = 32 * 1024
MAX_HEADERS = 100
_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_ONCE = frozenset({"host", "content-length", "transfer-encoding", "authorization"})
_SIZE = re.compile(rb"[0-9A-Fa-f]{1,8}")
_CONTROL = re.compile(rb"[\0\r\n]")  # a line break of one character ends a header for some readers (RFC 9112 2.2)
_REASONS = {
    100: "Continue",
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    413: "Request Entity Too Large",
    415: "Unsupported Media Type",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
}


class HttpError(Exception):
    """The request cannot be understood; `status` is the answer, after which the connection is closed."""

    def __init__(self, status: int) -> None:
        super().__init__(_REASONS.get(status, str(status)))
        self.status = status


@dataclass(frozen=True)
class HttpRequest:
    """One whole request; header names are lower case, repeated headers are joined by a comma."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    version: str = "HTTP/1.1"

    @property
    def keep_alive(self) -> bool:
        """False when the client asks for the connection to be closed; in HTTP/1.0 unless it asks to keep it."""
        wish = self.headers.get("connection", "").lower()
        return "keep-alive" in wish if self.version == "HTTP/1.0" else "close" not in wish


class RequestParser:
    """Turns the bytes of one connection into requests; feed() bytes, then ask next_request() until it gives None."""

    def __init__(self, max_body: int) -> None:
        self._max_body = max_body
        self._buffer = bytearray()
        self._state: Literal["head", "body", "size", "chunk", "chunk end", "trailer"] = "head"
        self._line: tuple[str, str, str] = ("", "", "")
        self._headers: dict[str, str] = {}
        self._body = bytearray()
        self._missing = 0
        self._trailers = 0
        self._continue = False

    def feed(self, data: bytes) -> None:
        """Add bytes as they came."""
        self._buffer += data

    @property
    def buffered(self) -> int:
        """Bytes that belong to a request not given out yet."""
        return len(self._buffer) + len(self._body)

    @property
    def phase(self) -> Literal["idle", "head", "body"]:
        """What the client is expected to send: a new request, or the rest of a header or body."""
        if self._state != "head":
            return "body"
        return "head" if self._buffer else "idle"

    def wants_continue(self) -> bool:
        """True once per request whose client waits for '100 Continue' before it sends the body."""
        wanted, self._continue = self._continue, False
        return wanted and not self._buffer and not self._body

    def next_request(self) -> HttpRequest | None:
        """The next whole request, None while bytes are missing; HttpError when it never can be one."""
        steps = {
            "head": self._read_head,
            "body": self._read_body,
            "size": self._read_size,
            "chunk": self._read_body,
            "chunk end": self._read_chunk_end,
            "trailer": self._read_trailer,
        }
        while True:
            finished = steps[self._state]()
            if finished is None:
                return None
            if finished:
                method, target, version = self._line
                request = HttpRequest(method, target, self._headers, bytes(self._body), version)
                self._state, self._headers, self._body, self._continue = "head", {}, bytearray(), False
                return request

    def _take_line(self, limit: int) -> bytes | None:
        end = self._buffer.find(b"\r\n", 0, limit + 2)
        if end < 0:
            if len(self._buffer) > limit:
                raise HttpError(400)
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line

    def _read_head(self) -> bool | None:
        while self._buffer.startswith(b"\r\n"):  # RFC 9112 2.2: empty lines before a request are skipped
            del self._buffer[:2]
        end = self._buffer.find(b"\r\n\r\n", 0, MAX_HEAD)
        if end < 0:
            if len(self._buffer) > MAX_HEAD:
                raise HttpError(431)
            return None
        lines = bytes(self._buffer[:end]).split(b"\r\n")
        del self._buffer[: end + 4]
        self._line = _request_line(lines[0])
        self._headers = _headers(lines[1:])
        if self._line[2] == "HTTP/1.1" and "host" not in self._headers:  # RFC 9112 3.2; HTTP.sys: Invalid Hostname
            raise HttpError(400)
        return self._body_kind()

    def _body_kind(self) -> bool:
        encoding, length = self._headers.get("transfer-encoding"), self._headers.get("content-length")
        if encoding is not None:
            if length is not None or self._line[2] == "HTTP/1.0":  # how requests are smuggled (RFC 9112 6.1)
                raise HttpError(400)
            if encoding.strip().lower() != "chunked":
                raise HttpError(501)
            self._state, self._trailers = "size", 0
        elif length is not None:
            if not re.fullmatch(r"\d{1,18}", length, re.ASCII):
                raise HttpError(400)
            self._missing, self._state = int(length), "body"
            if self._missing > self._max_body:
                raise HttpError(413)
        expected = self._headers.get("expect", "").lower() == "100-continue"
        self._continue = expected and self._line[2] == "HTTP/1.1"  # RFC 9110 10.1.1
        return self._state == "head"

    def _read_body(self) -> bool | None:
        part = self._buffer[: self._missing]
        del self._buffer[: len(part)]
        self._body += part
        self._missing -= len(part)
        if self._missing:
            return None
        if self._state == "body":
            return True
        self._state = "chunk end"
        return False

    def _read_size(self) -> bool | None:
        line = self._take_line(256)
        if line is None:
            return None
        size = line.split(b";", 1)[0].strip(b" \t")
        if not _SIZE.fullmatch(size) or _CONTROL.search(line):
            raise HttpError(400)
        self._missing = int(size, 16)
        if len(self._body) + self._missing > self._max_body:
            raise HttpError(413)
        self._state = "chunk" if self._missing else "trailer"
        return False

    def _read_chunk_end(self) -> bool | None:
        if len(self._buffer) < 2:
            return None
        if not self._buffer.startswith(b"\r\n"):
            raise HttpError(400)
        del self._buffer[:2]
        self._state = "size"
        return False

    def _read_trailer(self) -> bool | None:
        line = self._take_line(MAX_HEAD)
        if line is None:
            return None
        self._trailers += 1
        if self._trailers > MAX_HEADERS:
            raise HttpError(431)
        return line == b""


def _request_line(line: bytes) -> tuple[str, str, str]:
    parts = line.split(b" ")
    if len(parts) != 3 or not _TOKEN.fullmatch(parts[0]) or not parts[1].isascii():
        raise HttpError(400)
    if parts[2] not in (b"HTTP/1.1", b"HTTP/1.0"):
        raise HttpError(505 if parts[2].startswith(b"HTTP/") else 400)
    return parts[0].decode("ascii"), parts[1].decode("ascii"), parts[2].decode("ascii")


def _headers(lines: list[bytes]) -> dict[str, str]:
    if len(lines) > MAX_HEADERS:
        raise HttpError(431)
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not _TOKEN.fullmatch(name) or _CONTROL.search(value):
            raise HttpError(400)
        key, text = name.decode("ascii").lower(), value.strip(b" \t").decode("latin-1")
        if key in headers:
            if key in _ONCE:
                raise HttpError(400)
            text = f"{headers[key]}, {text}"
        headers[key] = text
    return headers


def response(
    status: int, body: bytes = b"", headers: Iterable[tuple[str, str]] = (), *, keep_alive: bool = True
) -> bytes:
    """The bytes of one answer, with the headers every answer of HTTP.sys has."""
    lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Unknown')}"]
    lines += [f"{name}: {value}" for name, value in headers]
    lines += ["Server: Microsoft-HTTPAPI/2.0", f"Date: {formatdate(usegmt=True)}"]
    if not keep_alive:
        lines.append("Connection: close")
    lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body
