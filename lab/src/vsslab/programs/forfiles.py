# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""forfiles.exe: a command for every file and folder that a mask matches.

Source: "forfiles" in the Windows Commands documentation: names are given in quotes, 0xHH is the character of that
number, and a command of cmd's own begins with cmd /c. A program called without cmd loses its first argument on
Windows (told by many, documented nowhere), so that is refused here.
"""

from __future__ import annotations

import ntpath
import re
from collections.abc import Iterator

from ..windows import commandline
from ..windows.errors import WinError
from ..windows.files import FileStat, FileSystem
from ..windows.paths import wildcard_match
from ..windows.processes import Invocation
from .tool import Tool

VERBS = ("/p", "/s", "/m", "/c")
_VARIABLE = re.compile(r"@(file|fname|ext|path|relpath|isdir|fsize)\b", re.IGNORECASE)
_HEX = re.compile(r"0x([0-9A-Fa-f]{2})")
_CMD = re.compile(r'"?cmd(\.exe)?"?\s', re.IGNORECASE)


def main(call: Invocation) -> int:
    """`forfiles [/p folder] [/s] [/m mask] [/c command]`; 0 when the mask matched something."""
    tool = Tool(call, list(call.argv[1:]))
    deep = tool.switch("/s")
    folder, mask = tool.value("/p") or call.cwd, tool.value("/m") or "*"
    command = tool.value("/c") or "cmd /c echo @file"
    if tool.arguments:
        return tool.refuse(" ".join(tool.arguments))
    if not _CMD.match(command):
        return tool.refuse(f"with a command that does not begin with cmd /c: {command}")
    try:
        found = list(_found(call.host.files.as_user(call.user, cwd=call.cwd), folder, mask, deep))
    except WinError as problem:
        tool.complain("error", text=tool.message(problem))
        return 1
    if not found:
        tool.complain("no_files", mask=mask)
        return 1
    code = 0
    for each, inside in found:
        if call.stop.is_set():
            break
        line = _HEX.sub(lambda hit: chr(int(hit[1], 16)), _expanded(command, folder, each, inside))
        code = call.host.processes.run(commandline.split(line), call.user, out=call.out, err=call.err,
                                       cwd=ntpath.join(folder, inside), stop=call.stop, parent=call.pid,
                                       command_line=line)  # fmt: skip
    return code


def _found(files: FileSystem, folder: str, mask: str, deep: bool, inside: str = "") -> Iterator[tuple[FileStat, str]]:
    """What the mask matches, with the folder that it lies in below the first one; links are not followed."""
    there = sorted(files.listdir(ntpath.join(folder, inside)), key=lambda entry: entry.name.lower())  # as NTFS lists
    yield from ((each, inside) for each in there if wildcard_match(each.name, mask))
    for each in there:
        if deep and each.is_dir and each.link_target is None:
            yield from _found(files, folder, mask, deep, ntpath.join(inside, each.name))


def _expanded(command: str, folder: str, entry: FileStat, inside: str) -> str:
    stem, ending = ntpath.splitext(entry.name)
    values = {
        "file": f'"{entry.name}"',
        "fname": f'"{stem}"',
        "ext": f'"{ending.lstrip(".")}"',
        "path": f'"{ntpath.join(folder, inside, entry.name)}"',
        "relpath": f'"{ntpath.join(".", inside, entry.name)}"',
        "isdir": str(entry.is_dir).upper(),
        "fsize": str(entry.length),
    }
    return _VARIABLE.sub(lambda hit: values[hit[1].lower()], command)
