# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""mountvol.exe: volumes with their letters and mount folders, given and taken ("mountvol", Windows Commands)."""

from __future__ import annotations

from ..windows.errors import NOT_FOUND, WinError
from ..windows.mounting import mount, unmount
from ..windows.processes import Invocation
from .tool import Tool

VERBS = frozenset({"list", "path volume", "/d", "/l"})


def main(call: Invocation) -> int:
    """Run mountvol; 0, or 1."""
    tool = Tool(call, list(call.argv[1:]))
    try:
        return _run(tool)
    except WinError as problem:
        call.err(tool.message(problem))
        return 1


def _run(tool: Tool) -> int:
    words = tool.arguments
    if not words:
        return _list(tool)
    if len(words) != 2:
        return tool.refuse(" ".join(words))
    place, second = words
    volumes = tool.host.volumes
    if second.lower() == "/l":
        volume = volumes.by_path(place) or (volumes.by_device(place) if place.endswith("\\") else None)
        if volume is None:
            raise WinError(NOT_FOUND, place)
        tool.call.out(f"    {volume.device_id}")
        return 0
    tool.demand_administrator()
    if second.lower() == "/d":
        unmount(tool.host, place)
        return 0
    if second.startswith("/"):
        return tool.refuse(second)
    volume = volumes.by_path(second)
    if volume is None or not second.startswith("\\\\?\\"):
        raise WinError(NOT_FOUND, second)
    mount(tool.host, volume, place)
    return 0


def _list(tool: Tool) -> int:
    tool.say("mount_points")
    tool.call.out("")
    for volume in tool.host.volumes:
        tool.call.out(f"    {volume.device_id}")
        places = [*([f"{volume.letter}:\\"] if volume.letter else []), *volume.mounts]
        for place in places or [str(tool.words["no_mounts"])]:
            tool.call.out(f"        {place}")
        tool.call.out("")
    return 0
