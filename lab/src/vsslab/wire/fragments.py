# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PSRP messages and their fragments ([MS-PSRP] 2.2.1 and 2.2.4), with limits that psrpcore does not have."""

from __future__ import annotations

import struct
import uuid
from codecs import BOM_UTF8
from dataclasses import dataclass, field

from vsslab.wire import safexml

HEADER = 21
MESSAGE_HEADER = 40
_MAX_OPEN = 64
_TO_CLIENT = 1
_NOBODY = uuid.UUID(int=0)
_CALLS = frozenset({0x00021002, 0x00021003})  # SET_MAX_RUNSPACES, SET_MIN_RUNSPACES
_PUBLIC_KEY = 0x00010005
_LONGEST_KEY = 4096  # bytes of a message with a public key: psrpcore reads it in quadratic time


class FragmentError(Exception):
    """The client's fragments make no message, or one that is too large."""


@dataclass
class _Partial:
    data: bytearray = field(default_factory=bytearray)
    fragments: int = 0


@dataclass(frozen=True)
class RawMessage:
    """One whole message of a client: its kind, its pipeline (None for the pool) and all its bytes."""

    kind: int
    pipeline: uuid.UUID | None
    data: bytes

    def as_fragment(self) -> bytes:
        """The message as one fragment, however many it came in."""
        return fragment(1, 0, self.data, end=True)


class Reassembler:
    """Puts the fragments of one session together; no message above `max_object` bytes, none with a DTD inside."""

    def __init__(self, max_object: int) -> None:
        self._max_object = max_object
        self._open: dict[int, _Partial] = {}
        self._size = 0

    def feed(self, data: bytes) -> list[RawMessage]:
        """Add whole fragments; returns the messages they complete; FragmentError when they fit nothing."""
        complete: list[RawMessage] = []
        at = 0
        while at < len(data):
            if len(data) - at < HEADER:
                raise FragmentError("a fragment is cut off")
            object_id, fragment_id, flags, size = struct.unpack_from(">QQBI", data, at)
            at += HEADER
            if size > len(data) - at:
                raise FragmentError("a fragment is cut off")
            part, at = data[at : at + size], at + size
            try:
                whole = self._add(object_id, fragment_id, flags, part)
            except FragmentError:  # what belongs to it cannot be put together any more
                self._size -= len(self._open.pop(object_id).data)
                raise
            if whole is not None:
                complete.append(_message(whole))
        return complete

    def _add(self, object_id: int, fragment_id: int, flags: int, part: bytes) -> bytes | None:
        partial = self._open.setdefault(object_id, _Partial())
        if len(self._open) > _MAX_OPEN:
            raise FragmentError("too many messages are unfinished")
        if fragment_id != partial.fragments or bool(flags & 1) != (fragment_id == 0):
            raise FragmentError("a fragment is missing")
        partial.data += part
        partial.fragments += 1
        self._size += len(part)
        if self._size > self._max_object:
            raise FragmentError(f"a message is larger than {self._max_object} bytes")
        if not flags & 2:
            return None
        del self._open[object_id]
        self._size -= len(partial.data)
        return bytes(partial.data)


def _message(data: bytes) -> RawMessage:
    if len(data) < MESSAGE_HEADER:
        raise FragmentError("a message has no header")
    xml = data[MESSAGE_HEADER:].removeprefix(BOM_UTF8)
    try:
        if safexml.check(xml) is not xml:
            raise safexml.UnsafeXml("it is not UTF-8")
    except safexml.UnsafeXml as error:
        raise FragmentError(f"a message holds no acceptable XML: {error}") from error
    pipeline = uuid.UUID(bytes_le=data[24:40])
    kind: int = struct.unpack_from("<I", data, 4)[0]
    if kind == _PUBLIC_KEY and len(data) > _LONGEST_KEY:
        raise FragmentError("a public key is too long")
    if kind in _CALLS:  # names have no case in PowerShell, but they have one in psrpcore
        data = data.replace(b' N="CI"', b' N="ci"')
    return RawMessage(kind, None if pipeline == _NOBODY else pipeline, data)


def fragment(object_id: int, fragment_id: int, data: bytes, *, end: bool) -> bytes:
    """One fragment."""
    flags = (1 if fragment_id == 0 else 0) | (2 if end else 0)
    return struct.pack(">QQBI", object_id, fragment_id, flags, len(data)) + data


def message(kind: int, pool: uuid.UUID, pipeline: uuid.UUID | None, xml: bytes) -> bytes:
    """A message for the client; its XML begins with a byte order mark, as Windows sends it."""
    head = struct.pack("<II", _TO_CLIENT, kind) + pool.bytes_le + (pipeline or _NOBODY).bytes_le
    return head + (BOM_UTF8 + xml if xml else b"")
