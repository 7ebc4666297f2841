# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
r"""Paths on a Windows host: which volume a path lies on, and where its copy goes.

A path can begin with a drive letter, with a folder where a volume is mounted, or with a volume's GUID name; the longest
mount that fits decides (Win32 docs, "Naming a Volume"). Names compare without case.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from .errors import VssFailure
from .model import VOLUME_PATH, Volume, volume_id

_LETTER = re.compile(r"^[A-Za-z]:$")
_BAD = re.compile(r"[\x00-\x1f\x7f\"<>|*?]")
_VARIABLE = re.compile(r"^%([^%]+)%")


class BadPath(ValueError):
    """A text that is no absolute local path; the text of the error is one sentence."""


def normal(path: str) -> str:
    r"""An absolute local path in one spelling: backslashes, upper-case letter, no trailing backslash except at a root.

    :raises BadPath: relative, on a share, with ``..``, wildcards, quotes or control characters.
    """
    text = path.strip().replace("/", "\\")
    guid_path = VOLUME_PATH.match(text)
    rest = text[guid_path.end() :] if guid_path else text[2:]
    if not guid_path and not _LETTER.match(text[:2]):
        raise BadPath(f"{path!r} is not a full path on a local volume, such as D:\\Data.")
    if not guid_path and rest and not rest.startswith("\\"):
        raise BadPath(f"{path!r} is relative to a folder that only the host knows: write D:\\Data.")
    bad = _BAD.search(rest) or (":" in rest and re.search(":", rest))
    if bad:
        raise BadPath(f"{path!r} holds the character {bad.group()!r}, which no path on Windows can hold.")
    parts = [part for part in rest.split("\\") if part and part != "."]
    if ".." in parts:
        raise BadPath(f"{path!r} must not hold '..'.")
    if any(part != part.rstrip(" .") for part in parts):
        raise BadPath(f"{path!r} holds a name that ends in a blank or a dot, which Windows does not keep.")
    root = volume_id(guid_path.group()) if guid_path else text[0].upper() + ":\\"
    return root + "\\".join(parts)


def join(folder: str, *names: str) -> str:
    """A folder and names below it."""
    return "\\".join([folder.rstrip("\\"), *(name.strip("\\") for name in names if name.strip("\\"))])


def parent(path: str) -> str:
    """The folder above."""
    return path.rstrip("\\").rpartition("\\")[0]


@dataclass(frozen=True)
class Place:
    r"""A path told as volume and the rest: for D:\Bank\Data, the volume of D: and ``Bank\Data``."""

    volume: Volume
    inside: str

    @property
    def whole(self) -> bool:
        """Whether it is the volume itself."""
        return not self.inside

    @property
    def path(self) -> str:
        """The path by the volume's mount name."""
        return join(self.volume.display, self.inside) if self.inside else self.volume.display

    @property
    def key(self) -> str:
        """The path inside, for comparing."""
        return self.inside.casefold()

    def holds(self, other: Place) -> bool:
        """Whether other is this place or lies in it."""
        if self.volume.id != other.volume.id:
            return False
        return self.whole or other.key == self.key or other.key.startswith(self.key + "\\")


class Places:
    """The volumes of a host, by every name they can be called."""

    def __init__(self, volumes: Iterable[Volume], windows: str = "C:\\Windows") -> None:
        self.volumes: Sequence[Volume] = tuple(volumes)
        self._mounts: dict[str, Volume] = {}
        for volume in self.volumes:
            for name in (volume.name, volume.id, (volume.letter or "") and f"{volume.letter}\\"):
                if name:
                    self._mounts[name.rstrip("\\").casefold() + "\\"] = volume
        drive = windows[:2]
        self._variables: Mapping[str, str] = {
            "systemroot": windows,
            "windir": windows,
            "systemdrive": drive,
            "programfiles": f"{drive}\\Program Files",
            "programfiles(x86)": f"{drive}\\Program Files (x86)",
            "programdata": f"{drive}\\ProgramData",
            "allusersprofile": f"{drive}\\ProgramData",
            "public": f"{drive}\\Users\\Public",
        }

    def place(self, path: str) -> Place | None:
        """The place of a path; None when no volume of the host has it.

        :raises BadPath: it is no absolute local path.
        """
        return self._place(normal(path))

    def of_component(self, path: str) -> Place | None:
        """The place of a path that a writer names, with variables and wildcards; None when it tells nothing."""
        found = _VARIABLE.match(path)
        if found:
            value = self._variables.get(found.group(1).casefold())
            if value is None:
                return None
            path = value + path[found.end() :]
        names = re.split(r"[\\/]", path)
        plain = next((at for at, name in enumerate(names) if "*" in name or ("?" in name and at > 2)), len(names))
        try:
            return self.place("\\".join(names[:plain]))
        except BadPath:
            return None

    def volume(self, name: str) -> Volume | None:
        """The volume of this name: a letter, a mount folder or a GUID path. None when it is no volume's name."""
        try:
            found = self.place(f"{name}:" if len(name) == 1 else name)
        except BadPath:
            return None
        return found.volume if found is not None and found.whole else None

    def by_id(self, identity: str) -> Volume | None:
        """The volume of this GUID path."""
        return next((volume for volume in self.volumes if volume.id == identity), None)

    def display(self, identity: str) -> str:
        """What a person calls the volume of this GUID path."""
        found = self.by_id(identity)
        return found.display if found else identity

    def _place(self, path: str) -> Place | None:
        probe = path.rstrip("\\").casefold() + "\\"
        fitting = [mount for mount in self._mounts if probe.startswith(mount)]
        if not fitting:
            return None
        mount = max(fitting, key=len)
        return Place(self._mounts[mount], path[len(mount) :].rstrip("\\"))


def below_destination(destination: str, place: Place) -> str:
    r"""Where the copy of a source goes: ``<destination>\D\Bank`` for D:\Bank, mount folders and GUID names likewise."""
    mount = place.volume.display.rstrip("\\")
    found = VOLUME_PATH.match(place.volume.display)
    name = f"Volume{found.group()[10:].rstrip(chr(92))}" if found else mount.replace(":", "", 1)
    return join(destination, name, place.inside)


def no_overlap(places: Sequence[Place], host: str) -> None:
    """Refuse sources of which one holds another.

    :raises VssFailure: naming both.
    """
    for at, first in enumerate(places):
        for second in places[at + 1 :]:
            if first.holds(second) or second.holds(first):
                raise VssFailure(
                    f"The sources {first.path} and {second.path} on {host} overlap: name only the one that holds "
                    "the other."
                )
