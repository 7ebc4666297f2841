# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that write into the streams, wait, or put text into files: Write-*, Out-*, Tee-Object, Start-Sleep.

Sources: the reference pages of Windows PowerShell 5.1.
"""

from __future__ import annotations

import datetime
import uuid
from typing import Any

from vsslab.windows.errors import WinError

from .. import encodings, fileitems
from ..command import Call, Command, command
from ..errors import PipelineStopped
from ..values import U8, EnumValue, Obj, Version, enumerate_output, plain, text_of

_SIMPLE = (str, bool, int, float, uuid.UUID, datetime.timedelta, EnumValue, Version)


def formatted(call: Call, value: Any) -> str:
    """A value as the formatter shows it in one line; objects with a view of their own are not simulated."""
    inner = plain(value)
    if inner is None:
        return ""
    if isinstance(inner, _SIMPLE) and not isinstance(inner, Obj):
        return text_of(inner)
    raise call.refuse(
        f"the formatted view of {text_of(value) if isinstance(inner, dict) else inner.__class__.__name__} "
        f"objects in {call.origin.name}"
    )


@command("Write-Output")
def write_output(call: Call) -> None:
    """Every element of InputObject; -NoEnumerate keeps a list whole."""
    value = call.get("InputObject")
    if call.flag("NoEnumerate"):
        call.write(value)
        return
    for each in value if isinstance(value, list) else [value]:
        call.write([U8(byte) for byte in each] if isinstance(each, bytes) else each, enumerate_lists=True)


@command("Write-Warning")
def write_warning(call: Call) -> None:
    """A record in the warning stream, unless -WarningAction silences it."""
    if text_of(call.get("WarningAction")) not in {"SilentlyContinue", "Ignore"}:
        call.sink.warning(call.get("Message"))


@command(
    "Write-Progress",
    only=(
        "Activity",
        "Status",
        "PercentComplete",
        "Completed",
        "Id",
        "ParentId",
        "SecondsRemaining",
        "CurrentOperation",
    ),
)
def write_progress(call: Call) -> None:
    """A record in the progress stream."""
    call.sink.progress(call.get("Activity"), call.get("Status", "Processing"), int(call.get("PercentComplete", -1)))


@command("Start-Sleep")
def start_sleep(call: Call) -> None:
    """Wait; a stop ends it at once."""
    seconds = call.get("Seconds", 0) + call.get("Milliseconds", 0) / 1000
    if call.host.clock.sleep(seconds, call.stop):
        raise PipelineStopped


@command("Out-Null")
def out_null(call: Call) -> None:
    """Nothing."""
    call.check_stop()


@command("Out-Default")
def out_default(call: Call) -> None:
    """In a remote pipeline: the output stream."""
    if call.has("InputObject"):
        call.write(call.get("InputObject"))


@command("Out-String", only=("InputObject", "Stream", "Width"))
class OutString(Command):
    """The formatted text of everything, each object on a line of its own."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def process(self, call: Call) -> None:
        if not call.has("InputObject"):
            return
        for each in enumerate_output(call.get("InputObject")):
            line = formatted(call, each)
            if call.flag("Stream"):
                call.write(line)
            else:
                self.lines.append(line)

    def end(self, call: Call) -> None:
        if not call.flag("Stream"):
            call.write("".join(f"{each}\r\n" for each in self.lines))


class _TextFile:
    """A file being written line by line, opened at the first line; failures are the cmdlet's own."""

    def __init__(self, encoding: str, *, append: bool) -> None:
        self.encoding = encoding
        self.append = append
        self.started = False

    def write(self, call: Call, path: str, text: str) -> None:
        encoding = encodings.named(self.encoding, call.host.language)
        keep = self.append or self.started
        try:
            fresh = not keep or not call.files.exists(path) or call.files.stat(path).length == 0
            call.files.write(path, (encoding.mark if fresh else b"") + encoding.encode(text), append=keep)
        except WinError as problem:
            told = fileitems.failure(call, problem, "FileOpenFailure", path, category="OpenError")
            raise call.fail(told.pop("message"), told.pop("error_id"), told.pop("category"), **told) from None
        self.started = True


def _target(call: Call) -> str:
    path = fileitems.provider_path(call, call.get("LiteralPath") or call.get("FilePath"))
    return fileitems.absolute(call, path)


@command(
    "Out-File",
    only=(
        "FilePath",
        "LiteralPath",
        "Encoding",
        "Append",
        "Force",
        "NoClobber",
        "NoNewline",
        "InputObject",
        "Width",
        "WhatIf",
        "Confirm",
    ),
)
class OutFile(Command):
    """Formatted text into a file: UTF-16 with a byte order mark unless -Encoding says otherwise, lines end in CRLF."""

    def begin(self, call: Call) -> None:
        self.file = _TextFile(call.get("Encoding", "Unicode"), append=call.flag("Append"))
        path = _target(call)
        if call.flag("NoClobber") and not call.flag("Append") and call.files.exists(path):
            raise call.fail(f"The file '{path}' already exists.", "NoClobber", "ResourceExists", target=path,
                            exception="System.IO.IOException")  # fmt: skip
        self.act = call.should_process()
        if self.act:
            self.file.write(call, path, "")

    def process(self, call: Call) -> None:
        if self.act and call.has("InputObject"):
            for each in enumerate_output(call.get("InputObject")):
                ending = "" if call.flag("NoNewline") else "\r\n"
                self.file.write(call, _target(call), formatted(call, each) + ending)


@command("Tee-Object")
class TeeObject(Command):
    """Pass everything on, and keep it in a file (as Out-File does) or in a variable."""

    def begin(self, call: Call) -> None:
        self.file = _TextFile("Unicode", append=call.flag("Append"))
        self.kept: list[Any] = []
        if not call.has("Variable"):
            self.file.write(call, _target(call), "")

    def process(self, call: Call) -> None:
        if not call.has("InputObject"):
            return
        value = call.get("InputObject")
        if call.has("Variable"):
            self.kept.append(value)
        else:
            for each in enumerate_output(value):
                self.file.write(call, _target(call), formatted(call, each) + "\r\n")
        call.write(value)

    def end(self, call: Call) -> None:
        if call.has("Variable"):
            call.runspace.variables[call.get("Variable")] = self.kept[0] if len(self.kept) == 1 else self.kept
