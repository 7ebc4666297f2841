# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sealed bodies: SOAP encrypted with the keys of the connection's authentication ([MS-WSMV] 2.2.9.1)."""

from __future__ import annotations

import re
import struct
from typing import Protocol

PROTOCOL = "application/HTTP-SPNEGO-session-encrypted"
BOUNDARY = "Encrypted Boundary"
CONTENT_TYPE = f'multipart/encrypted;protocol="{PROTOCOL}";boundary="{BOUNDARY}"'
_MAX_SIGNATURE = 1024


class SealError(Exception):
    """The body is not sealed as it should be, or not with the keys of this connection."""


class _Wrapped(Protocol):
    @property
    def header(self) -> bytes: ...
    @property
    def data(self) -> bytes: ...
    @property
    def padding_length(self) -> int: ...


class Sealer(Protocol):
    """The part of a security context that seals (pyspnego's ContextProxy)."""

    def wrap_winrm(self, data: bytes, /) -> _Wrapped:
        """Encrypt and sign."""

    def unwrap_winrm(self, header: bytes, data: bytes, /) -> bytes:
        """Decrypt and check the signature."""


def is_sealed(content_type: str) -> bool:
    """True for the content type of a sealed body."""
    return content_type.lower().startswith(("multipart/encrypted", "multipart/x-multi-encrypted"))


def unseal(sealer: Sealer, content_type: str, body: bytes) -> bytes:
    """The plain text of a sealed body of one or several parts; SealError otherwise.

    The stated length says where a part ends, so that ciphertext that looks like a boundary does no harm.
    """
    found = re.search(r'boundary="([^"]{1,70})"', content_type, re.IGNORECASE)
    if not found or PROTOCOL.lower() not in content_type.lower():
        raise SealError("The content type names no boundary or another protocol.")
    mark = rb"--\s?" + re.escape(found[1]).encode("latin-1")
    head = re.compile(
        mark + rb"\r\n\s*Content-Type:[^\r\n]*\r\n\s*OriginalContent:[^\r\n]*Length=(\d{1,9})\r\n"
        rb"" + mark + rb"\r\n\s*Content-Type:\s*application/octet-stream\r\n",
        re.IGNORECASE,
    )
    tail = re.compile(mark + rb"--(\r\n)?")
    plain, at = bytearray(), 0
    while not tail.fullmatch(body, at):
        part = head.match(body, at)
        if not part:
            raise SealError("A part of the sealed body has no proper header.")
        text, at = _open_part(sealer, body, part.end(), int(part[1]))
        plain += text
    return bytes(plain)


def _open_part(sealer: Sealer, body: bytes, at: int, length: int) -> tuple[bytes, int]:
    if len(body) < at + 4:
        raise SealError("The sealed body ends too early.")
    size: int = struct.unpack_from("<I", body, at)[0]
    start, end = at + 4 + size, at + 4 + size + length
    if size > _MAX_SIGNATURE or end > len(body):
        raise SealError("The sealed body ends too early.")
    try:
        text = sealer.unwrap_winrm(body[at + 4 : start], body[start:end])
    except Exception as error:  # whatever the library says about foreign bytes, it is the same answer
        raise SealError("The body is sealed with other keys.") from error
    return text, end


def seal(sealer: Sealer, plain: bytes) -> bytes:
    """The sealed form of a message, to be sent with CONTENT_TYPE; one part whatever its size, as WinRM does."""
    wrapped = sealer.wrap_winrm(plain)
    length = len(plain) + wrapped.padding_length
    head = (
        f"--{BOUNDARY}\r\n\tContent-Type: {PROTOCOL}\r\n"
        f"\tOriginalContent: type=application/soap+xml;charset=UTF-8;Length={length}\r\n"
        f"--{BOUNDARY}\r\n\tContent-Type: application/octet-stream\r\n"
    ).encode("ascii")
    signature = struct.pack("<I", len(wrapped.header)) + wrapped.header
    return head + signature + wrapped.data + f"--{BOUNDARY}--\r\n".encode("ascii")
