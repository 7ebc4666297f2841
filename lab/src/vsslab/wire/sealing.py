# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sealed bodies: SOAP encrypted with the keys of the connection's authentication ([MS-WSMV] 2.2.9.1)."""

from __future__ import annotations

import re
import struct
from typing import Protocol

PROTOCOL = "application/HTTP-SPNEGO-session-encrypted"
CREDSSP = "application/HTTP-CredSSP-session-encrypted"
BOUNDARY = "Encrypted Boundary"
CONTENT_TYPE = f'multipart/encrypted;protocol="{PROTOCOL}";boundary="{BOUNDARY}"'
_MAX_SIGNATURE = 1024
_PART = 16 * 1024  # CredSSP seals in records of TLS, one a part


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


def unseal(sealer: Sealer, content_type: str, body: bytes, protocol: str = PROTOCOL) -> bytes:
    """The plain text of a sealed body of one or several parts; SealError otherwise.

    The stated length says where a part ends, so that ciphertext that looks like a boundary does no harm; in CredSSP a
    part is longer than that by a few bytes.
    """
    found = re.search(r'boundary="([^"]{1,70})"', content_type, re.IGNORECASE)
    if not found or protocol.lower() not in content_type.lower():
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
        length = int(part[1])
        if protocol == CREDSSP:
            length = _length_to(re.compile(mark), body, part.end(), length)
        text, at = _open_part(sealer, body, part.end(), length)
        plain += text
    return bytes(plain)


def _length_to(mark: re.Pattern[bytes], body: bytes, at: int, least: int) -> int:
    """How long the data of a part are that end at the next boundary."""
    size: int = struct.unpack_from("<I", body, at)[0] if len(body) >= at + 4 else 0
    start = at + 4 + min(size, _MAX_SIGNATURE)
    end = mark.search(body, start + least)
    return (end.start() if end else len(body)) - start


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


def seal(sealer: Sealer, plain: bytes, protocol: str = PROTOCOL) -> tuple[str, bytes]:
    """Content type and sealed form of a message: one part, in CredSSP one for each 16 KB, as WinRM does."""
    size = _PART if protocol == CREDSSP else max(1, len(plain))
    parts = [plain[at : at + size] for at in range(0, len(plain), size)] or [b""]
    kind = "encrypted" if len(parts) == 1 else "x-multi-encrypted"
    content_type = f'multipart/{kind};protocol="{protocol}";boundary="{BOUNDARY}"'
    return content_type, b"".join(_part(sealer, each, protocol) for each in parts) + f"--{BOUNDARY}--\r\n".encode()


def _part(sealer: Sealer, plain: bytes, protocol: str) -> bytes:
    wrapped = sealer.wrap_winrm(plain)
    length = len(plain) + wrapped.padding_length
    head = (
        f"--{BOUNDARY}\r\n\tContent-Type: {protocol}\r\n"
        f"\tOriginalContent: type=application/soap+xml;charset=UTF-8;Length={length}\r\n"
        f"--{BOUNDARY}\r\n\tContent-Type: application/octet-stream\r\n"
    ).encode("ascii")
    return head + struct.pack("<I", len(wrapped.header)) + wrapped.header + wrapped.data
