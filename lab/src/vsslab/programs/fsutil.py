# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""fsutil.exe: what a playbook asks about volumes, reparse points and files ("fsutil", Windows Commands)."""

from __future__ import annotations

from ..windows.errors import NOT_A_REPARSE_POINT, NOT_FOUND, WinError
from ..windows.processes import Invocation
from ..windows.volumes import Volume
from .tool import Tool, dispatch

_JUNCTION, _SYMLINK = 0xA0000003, 0xA000000C


def main(call: Invocation) -> int:
    """Run fsutil; 0, or 1."""
    tool = Tool(call, [])
    try:
        return dispatch(call, VERBS, depth=2)
    except WinError as problem:
        key = "no_reparse" if problem.code == NOT_A_REPARSE_POINT else "fs_error"
        tool.say(key, text=tool.message(problem))
        return 1


def _volume(tool: Tool) -> Volume:
    name = tool.arguments[0] if tool.arguments else ""
    found = tool.host.volumes.by_path(name)
    if found is None:
        raise WinError(NOT_FOUND, name)
    return found


def _drives(tool: Tool) -> int:
    letters = "".join(f"{each}:\\ " for each in tool.host.files.names.letters())
    tool.call.out("")
    tool.call.out(f"{tool.words['drives']} {letters}")
    return 0


def _drive_type(tool: Tool) -> int:
    name = tool.arguments[0] if tool.arguments else ""
    tool.call.out(f"{name} - {tool.words['drive_types'][_volume(tool).drive_type]}")
    return 0


def _volume_info(tool: Tool) -> int:
    volume = _volume(tool)
    for line in (
        f"Volume Name : {volume.label}",
        f"Volume Serial Number : 0x{volume.serial:x}",
        "Max Component Length : 255",
        f"File System Name : {volume.file_system}",
        "Is ReadWrite" if not volume.read_only else "Is ReadOnly",
    ):
        tool.call.out(line)
    return 0


def _disk_free(tool: Tool) -> int:
    volume = _volume(tool)
    for key, size in (("free", volume.free()), ("total", volume.capacity), ("available", volume.free())):
        tool.call.out(f"{tool.words[key]:<27}: {size:>19,}")
    return 0


def _reparse_query(tool: Tool) -> int:
    files = tool.host.files.as_user(tool.call.user, cwd=tool.call.cwd)
    info = files.stat(tool.arguments[0] if tool.arguments else ".")
    if info.link_target is None:
        raise WinError(NOT_A_REPARSE_POINT, info.path)
    tag = _JUNCTION if info.junction else _SYMLINK
    plain = info.link_target.removeprefix("\\\\?\\")
    tool.say("tag", tag=f"0x{tag:08x}")
    for line in ("Tag value: Microsoft", "Tag value: Name Surrogate",
                 f"Tag value: {'Mount Point' if info.junction else 'Symbolic Link'}",
                 f"Substitute Name:       \\??\\{plain}", f"Print Name:            {info.link_target}"):  # fmt: skip
        tool.call.out(line)
    return 0


def _reparse_delete(tool: Tool) -> int:
    files = tool.host.files.as_user(tool.call.user, cwd=tool.call.cwd)
    path = files.stat(tool.arguments[0] if tool.arguments else ".").path
    files.unlink_dir(path)
    files.mkdir(path)  # the folder stays, and is an ordinary one
    return 0


def _create_file(tool: Tool) -> int:
    if len(tool.arguments) != 2 or not tool.arguments[1].isdigit():
        return tool.refuse("file createnew but with a path and a length")
    files = tool.host.files.as_user(tool.call.user, cwd=tool.call.cwd)
    path, left = tool.arguments[0], int(tool.arguments[1])
    if files.exists(path):
        raise WinError(80, path)
    with files.writer(path) as stream:
        while left and not tool.call.stop.is_set():
            piece = min(left, 1 << 20)
            stream.write(bytes(piece))
            left -= piece
    tool.say("file_created", path=path)
    return 0


def _dirty(tool: Tool) -> int:
    name = tool.arguments[0] if tool.arguments else ""
    tool.say("dirty" if _volume(tool).dirty else "clean", name=name)
    return 0


VERBS = {
    "fsinfo drives": _drives, "fsinfo drivetype": _drive_type, "fsinfo volumeinfo": _volume_info,
    "volume diskfree": _disk_free, "reparsepoint query": _reparse_query, "reparsepoint delete": _reparse_delete,
    "file createnew": _create_file, "dirty query": _dirty,
}  # fmt: skip
