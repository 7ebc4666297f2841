# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cabinet files without compression, as far as metadata files need them ([MS-CAB])."""

from __future__ import annotations

import datetime
import struct
from collections.abc import Mapping

_HEADER = struct.Struct("<4sIIIIIBBHHHHH")
_FOLDER = struct.Struct("<IHH")
_FILE = struct.Struct("<IIHHHH")
_DATA = struct.Struct("<IHH")
_BLOCK = 32768
_ARCHIVE = 0x20


class CabinetError(ValueError):
    """The data is no cabinet this reader knows."""


def _checksum(data: bytes, seed: int = 0) -> int:
    """The checksum of [MS-CAB] 3.1: xor of little-endian words, the last odd bytes counted from the high end."""
    total = seed
    whole = len(data) // 4 * 4
    for (word,) in struct.iter_unpack("<I", data[:whole]):
        total ^= word
    rest = 0
    for byte in data[whole:]:
        rest = (rest << 8) | byte
    return total ^ rest


def _stamp(moment: datetime.datetime) -> tuple[int, int]:
    date = (moment.year - 1980) << 9 | moment.month << 5 | moment.day
    return date, moment.hour << 11 | moment.minute << 5 | moment.second // 2


def write(files: Mapping[str, bytes], moment: datetime.datetime) -> bytes:
    """A cabinet of these files in one uncompressed folder, all dated `moment` (local time)."""
    content = b"".join(files.values())
    blocks = [content[at : at + _BLOCK] for at in range(0, len(content), _BLOCK)] or [b""]
    date, time = _stamp(moment)
    entries, offset = [], 0
    for name, data in files.items():
        entries.append(_FILE.pack(len(data), offset, 0, date, time, _ARCHIVE) + name.encode("ascii") + b"\0")
        offset += len(data)
    listing = b"".join(entries)
    first_file = _HEADER.size + _FOLDER.size
    first_data = first_file + len(listing)
    stored = []
    for block in blocks:
        sizes = struct.pack("<HH", len(block), len(block))
        stored.append(_DATA.pack(_checksum(sizes, _checksum(block)), len(block), len(block)) + block)
    body = b"".join(stored)
    header = _HEADER.pack(b"MSCF", 0, first_data + len(body), 0, first_file, 0, 3, 1, 1, len(files), 0, 0, 0)
    return header + _FOLDER.pack(first_data, len(blocks), 0) + listing + body


def read(data: bytes) -> dict[str, bytes]:
    """The files of a cabinet that `write` made; CabinetError when it is none or damaged."""
    try:
        return _read(data)
    except (struct.error, IndexError, UnicodeDecodeError, ValueError) as error:
        raise CabinetError(f"This is not a readable cabinet: {error}") from error


def _read(data: bytes) -> dict[str, bytes]:
    magic, _, size, _, at, _, _, _, folders, count, _, _, _ = _HEADER.unpack_from(data)
    if magic != b"MSCF" or folders != 1 or size != len(data):
        raise ValueError("the header does not fit")
    start, blocks, kind = _FOLDER.unpack_from(data, _HEADER.size)
    if kind != 0:
        raise ValueError("it is compressed")
    content = bytearray()
    for _ in range(blocks):
        checksum, stored, plain = _DATA.unpack_from(data, start)
        block = data[start + _DATA.size : start + _DATA.size + stored]
        if stored != plain or checksum != _checksum(struct.pack("<HH", stored, plain), _checksum(block)):
            raise ValueError("a checksum is wrong")
        content += block
        start += _DATA.size + stored
    files: dict[str, bytes] = {}
    for _ in range(count):
        length, offset, _, _, _, _ = _FILE.unpack_from(data, at)
        end = data.index(b"\0", at + _FILE.size)
        name = data[at + _FILE.size : end].decode("ascii")
        if offset + length > len(content):
            raise ValueError("a file ends behind the data")
        files[name] = bytes(content[offset : offset + length])
        at = end + 1
    return files
