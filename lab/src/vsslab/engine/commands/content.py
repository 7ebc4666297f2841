# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The content of files: Get-Content, Set-Content, Add-Content, Clear-Content, Get-FileHash.

Sources: the reference pages of Windows PowerShell 5.1 (its encodings, byte order marks and line ends); error IDs of
its FileSystemProvider as reported in public.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Any

from vsslab.windows import errors as win
from vsslab.windows.errors import WinError

from .. import encodings
from .. import fileitems as fs
from ..command import Call, Command, command
from ..errors import BAD_ARGUMENT
from ..values import I64, U8, Obj, custom, enumerate_output, net_type, plain, text_of
from .items import named, targets

_FILTERS = ("Path", "LiteralPath", "Filter", "Include", "Exclude", "Force")
_LINE_ENDS = re.compile(r"\r\n|\n|\r")
_FOLLOW_EVERY = 0.25  # seconds between two looks at a file that is followed
_DIGESTS = {"SHA1": "sha1", "SHA256": "sha256", "SHA384": "sha384", "SHA512": "sha512", "MD5": "md5"}


def _failed(call: Call, problem: WinError, path: str, side: str) -> None:
    """GetContentReader... or GetContentWriter... errors."""
    ending = {
        win.ACCESS_DENIED: "UnauthorizedAccessError",
        win.PATH_NOT_FOUND: "DirectoryNotFoundError",
        win.NOT_FOUND: "FileNotFoundError",
        win.NAME_TOO_LONG: "PathTooLongError",
    }.get(problem.code, "IOError")
    told = fs.failure(call, problem, f"GetContent{side}{ending}", path)
    if ending == "IOError":
        told["category"] = "ReadError" if side == "Reader" else "WriteError"
    call.error(**told)


def split_lines(text: str) -> list[str]:
    """The lines of a text as StreamReader.ReadLine gives them: a line end at the very end starts no further line."""
    lines = _LINE_ENDS.split(text)
    return lines[:-1] if lines and lines[-1] == "" else lines


# -- reading -----------------------------------------------------------------------------------------------------------
@command("Get-Content", only=(*_FILTERS, "ReadCount", "TotalCount", "Tail", "Raw", "Encoding", "Wait", "Delimiter"))
def get_content(call: Call) -> None:
    """Lines (or bytes, or one text with -Raw), each carrying the notes of the file it comes from."""
    if call.has("Tail") and call.has("TotalCount"):
        raise call.fail(
            "The parameters TotalCount and Tail cannot be used together. Please specify only one parameter.",
            "TailAndHeadCannotCoexist",
            "InvalidOperation",
            exception="System.Management.Automation.PSInvalidOperationException",
        )
    for path in targets(call):
        full = fs.absolute(call, path)
        if not named(call, full):
            continue
        try:
            data = call.files.read(path)
        except WinError as problem:
            _failed(call, problem, path, "Reader")
            continue
        _Reader(call, full).show(data)


class _Reader:
    """One file being read."""

    def __init__(self, call: Call, path: str) -> None:
        self.call = call
        self.path = path
        encoding = call.get("Encoding")
        self.bytes = encoding is not None and encoding.name == "Byte"
        self.encoding = encodings.named(
            "Default" if encoding is None or self.bytes else encoding.name, call.host.language
        )
        above, _, name = path.rpartition("\\")
        self.notes = {
            "PSPath": path,
            "PSParentPath": above + "\\" if above.endswith(":") else above,
            "PSChildName": name,
            **fs.drive_notes(call, path),
        }
        self.count = 0

    def show(self, data: bytes) -> None:
        call = self.call
        if call.flag("Raw") and not self.bytes:
            text = encodings.decode(data, self.encoding)
            if text:
                self._emit([text])
        else:
            self._pieces(self._cut(self._parts(data)))
        if call.flag("Wait"):
            self._follow(data)

    def _parts(self, data: bytes) -> list[Any]:
        if self.bytes:
            return [U8(each) for each in data]
        text = encodings.decode(data, self.encoding)
        delimiter = self.call.get("Delimiter")
        if delimiter:
            return [each for each in re.split(f"(?<={re.escape(delimiter)})", text) if each]
        return split_lines(text)

    def _cut(self, parts: list[Any]) -> list[Any]:
        if self.call.has("Tail"):
            tail = self.call.get("Tail")
            return parts[-tail:] if tail > 0 else [] if tail == 0 else parts
        total = self.call.get("TotalCount", -1)
        return parts if total < 0 else parts[:total]

    def _pieces(self, parts: list[Any]) -> None:
        size = self.call.get("ReadCount", 1)
        size = len(parts) or 1 if size <= 0 else size
        for start in range(0, len(parts), size):
            self._emit(parts[start : start + size])

    def _emit(self, parts: list[Any]) -> None:
        self.count += len(parts)
        value = parts[0] if len(parts) == 1 else list(parts)
        notes = {**self.notes, "ReadCount": I64(self.count)}
        self.call.write(Obj((net_type(value), "System.Object"), {}, notes, None, value))

    def _follow(self, seen: bytes) -> None:
        """What is appended, until the pipeline is stopped (-Wait); a file that shrank is read from its start."""
        position = len(seen)
        rest = b""
        while not self.call.host.clock.sleep(_FOLLOW_EVERY, self.call.stop):
            try:
                data = self.call.files.read(self.path)
            except WinError:
                continue
            if len(data) < position:
                position, rest = 0, b""
            fresh, position = rest + data[position:], len(data)
            complete, mark, rest = fresh.rpartition(b"\n")
            if mark:
                for line in split_lines(encodings.decode(complete + mark, self.encoding)):
                    self._emit([line])
        self.call.check_stop()


# -- writing -----------------------------------------------------------------------------------------------------------
class _Writing(Command):
    """Text or bytes into files; the first values replace the content, unless `append`."""

    append = False

    def __init__(self) -> None:
        self.started: dict[str, bool] = {}

    def begin(self, call: Call) -> None:
        self.act = call.should_process()
        if call.get("Encoding") is not None and call.get("Encoding").name == "UTF7" and self.append:
            raise call.refuse("Add-Content -Encoding UTF7")

    def process(self, call: Call) -> None:
        if not self.act:
            return
        values = call.get("Value")
        for path in self._paths(call):
            try:
                self._write(call, path, values if isinstance(values, list) else [values])
            except WinError as problem:
                _failed(call, problem, path, "Writer")
                self.started[path] = True
        if call.flag("PassThru"):
            call.write(values, enumerate_lists=True)

    def _paths(self, call: Call) -> Iterator[str]:
        for each in call.texts("LiteralPath", "Path"):
            path = fs.provider_path(call, each)
            found = [path] if call.has("LiteralPath") else list(fs.glob(call, path)) or [path]
            for one in found:
                full = fs.absolute(call, one)
                drive = full[:2]
                if drive[1:] == ":" and not call.files.exists(drive + "\\"):
                    call.report(fs.missing_drive(call, drive[:1]).info)
                elif named(call, full):
                    yield full

    def _write(self, call: Call, path: str, values: list[Any]) -> None:
        keep = self.append or self.started.get(path, False)
        data = self._bytes(call, values)
        encoding = self._encoding(call)
        fresh = not keep or not call.files.exists(path) or call.files.stat(path).length == 0
        mark = encoding.mark if fresh and encoding is not _RAW else b""
        self.started[path] = True
        if call.flag("Force") and call.files.exists(path) and call.files.stat(path).attributes & 1:
            call.files.set_attributes(path, call.files.stat(path).attributes & ~1)
        call.files.write(path, mark + data, append=keep)

    def _encoding(self, call: Call) -> encodings.Encoding:
        given = call.get("Encoding")
        if given is not None and given.name == "Byte":
            return _RAW
        return encodings.named("Default" if given is None else given.name, call.host.language)

    def _bytes(self, call: Call, values: list[Any]) -> bytes:
        encoding = self._encoding(call)
        parts = [each for value in values for each in enumerate_output(value)]
        if encoding is _RAW:
            return self._raw(call, parts)
        ending = "" if call.flag("NoNewline") else "\r\n"
        return encoding.encode("".join(text_of(each) + ending for each in parts))

    def _raw(self, call: Call, parts: list[Any]) -> bytes:
        out = bytearray()
        for each in parts:
            inner = plain(each)
            if isinstance(inner, bytes):
                out += inner
            elif isinstance(inner, int) and not isinstance(inner, bool) and 0 <= inner <= 255:
                out.append(inner)
            else:
                raise call.fail(
                    "Cannot proceed with byte encoding. When using byte encoding the content must be of type byte.",
                    "ByteEncoding",
                    "InvalidArgument",
                    exception=BAD_ARGUMENT,
                )
        return bytes(out)


_RAW = encodings.Encoding("latin-1")
_WRITING = (*_FILTERS, "Value", "PassThru", "NoNewline", "Encoding", "WhatIf", "Confirm")


@command("Set-Content", only=_WRITING)
class SetContent(_Writing):
    """Replace the content."""


@command("Add-Content", only=_WRITING)
class AddContent(_Writing):
    """Append to the content."""

    append = True


@command("Clear-Content", only=(*_FILTERS, "WhatIf", "Confirm"))
def clear_content(call: Call) -> None:
    """Empty files."""
    for path in targets(call):
        if named(call, path) and call.should_process():
            try:
                call.files.write(path, b"")
            except WinError as problem:
                denied = problem.code == win.ACCESS_DENIED
                call.error(
                    **fs.failure(
                        call, problem, "ClearContentUnauthorizedAccessError" if denied else "ClearContentIOError", path
                    )
                )


# -- hashes ------------------------------------------------------------------------------------------------------------
@command("Get-FileHash", only=("Path", "LiteralPath", "Algorithm"))
def get_file_hash(call: Call) -> None:
    """Hashes of files, in capitals; folders are passed over in silence."""
    algorithm = call.get("Algorithm", "SHA256").upper()
    if algorithm not in _DIGESTS:
        raise call.refuse(f"Get-FileHash -Algorithm {algorithm}")
    for path in targets(call):
        full = fs.absolute(call, path)
        if call.files.is_dir(path):
            continue
        digest = hashlib.new(_DIGESTS[algorithm], usedforsecurity=False)
        try:
            with call.files.open(path) as stream:
                while piece := stream.read(1 << 20):
                    call.check_stop()
                    digest.update(piece)
        except WinError as problem:
            told = fs.failure(call, problem, "FileReadError", path, category="ReadError")
            told["message"] = f"The file '{full}' cannot be read: {told['message']}"
            call.error(**told)
            continue
        call.write(custom({"Algorithm": algorithm, "Hash": digest.hexdigest().upper(), "Path": full},
                          type_name="Microsoft.Powershell.Utility.FileHash"))  # fmt: skip
