# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Giving volumes letters and mount folders while the host runs, and taking them away.

Source: "SetVolumeMountPoint", "DeleteVolumeMountPoint", mountvol (Windows documentation): one letter a volume, empty
folders of a file system that has reparse points.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .errors import (
    DIR_NOT_EMPTY,
    INVALID_PARAMETER,
    NOT_A_DIRECTORY,
    NOT_A_REPARSE_POINT,
    NOT_FOUND,
    WinError,
)

if TYPE_CHECKING:
    from .host import Host
    from .volumes import Volume

_LETTER = re.compile(r"([A-Za-z]):\\?")


def mount(host: Host, volume: Volume, place: str) -> None:
    """Make a volume reachable at a free letter ('E:') or an empty folder.

    WinError 87 when the letter is taken, when the volume has one, or when the folder's file system has no mount points;
    2, 3 for a missing folder, 145 for one that is not empty, 267 for what is none.
    """
    letter = _LETTER.fullmatch(place)
    if letter:
        if volume.letter is not None or letter[1].upper() in host.files.names.letters():
            raise WinError(INVALID_PARAMETER, place)
        volume.letter = letter[1].upper()
    else:
        _mount_folder(host, volume, place.rstrip("\\"))
    host.trace.write("volume", host.name, volume=volume.device_id, what="mounted", path=place)


def _mount_folder(host: Host, volume: Volume, path: str) -> None:
    info = host.files.stat(path)
    if not info.is_dir:
        raise WinError(NOT_A_DIRECTORY, path)
    above = host.files.locate(path).volume
    if above is None or not above.traits.links:
        raise WinError(INVALID_PARAMETER, path)
    if info.link_target is not None or host.files.listdir(path):
        raise WinError(DIR_NOT_EMPTY, path)
    host.files.rmdir(path)
    host.files.symlink(path, volume.device_id)
    volume.mounts.append(info.path + "\\")


def unmount(host: Host, place: str) -> None:
    """Take a letter or a mount folder away; the folder stays, empty, and what is open in the volume goes on.

    WinError 2 when no volume has the letter, 4390 when the folder is no mount point, 87 for the letter of a volume that
    Windows runs from.
    """
    letter = _LETTER.fullmatch(place)
    volume = host.volumes.by_path(place)
    if letter:
        if volume is None:
            raise WinError(NOT_FOUND, place)
        if volume.boot or volume.system or volume.pagefile:
            raise WinError(INVALID_PARAMETER, place)
        volume.letter = None
    else:
        path = place.rstrip("\\")
        if volume is None or host.files.stat(path).link_target is None:
            raise WinError(NOT_A_REPARSE_POINT, place)
        host.files.rmdir(path)
        host.files.mkdir(path)
    host.trace.write("volume", host.name, volume=getattr(volume, "device_id", ""), what="unmounted", path=place)
