# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
r"""The names of volumes and of places on them: which volume a path lies on, and where its copy goes.

A path can begin with a drive letter, with a folder where a volume is mounted, with a volume's GUID name or with its
device (``\\?\GLOBALROOT\Device\HarddiskVolume3``); the longest mount that fits decides (Win32 docs, "Naming a Volume",
"Naming Files, Paths, and Namespaces"). Names compare as NTFS compares them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .. import _verbs as verbs
from .._pipeline import Reply, Statement
from .errors import VssFailure
from .model import VOLUME_PATH, Volume, volume_id

if TYPE_CHECKING:
    from .facts import Facts

ALL = "all"

_LETTER = re.compile(r"^[A-Za-z]:$")
_BAD = re.compile(r"[\x00-\x1f\x7f\"<>|*?]")
_VARIABLE = re.compile(r"^%([^%]+)%")
_LITERAL = re.compile(r"^\\\\[?.]\\(?=[A-Za-z]:)")
_DEVICE = re.compile(r"^(?:\\\\[?.]\\GLOBALROOT)?\\Device\\([A-Za-z]+\d+)(?:\\|$)", re.IGNORECASE)
_SHADOW_DEVICE = re.compile(r"HarddiskVolumeShadowCopy\d+", re.IGNORECASE)
_FOLDER = re.compile(r"^\s+([A-Za-z]:\\.*\\)\s*$")  # a line of mountvol's list
_LOSSY = re.compile("[?\ufffd]")
_LONG = BOUNDLESS = 248  # characters of a path from which on Windows PowerShell 5.1 does not take it as it is
_VERBATIM = "\\\\?\\"
_LONGEST_NAME = 255  # UTF-16 units of one name (Win32 docs, "Maximum Path Length Limitation")


class BadPath(ValueError):
    """A text that is no absolute local path; the text of the error is one sentence."""


def fold(name: str) -> str:
    """A name for comparing, as NTFS compares: character by character, each with its own capital letter."""
    if name.isascii():
        return name.upper()
    return "".join(up if len(up := char.upper()) == 1 and up.lower() == char else char for char in name)


def _plain(path: str) -> str:
    r"""Backslashes only, and the NT name of a volume (``\??\Volume{guid}``) as Win32 writes it."""
    text = path.strip().replace("/", "\\")
    return f"\\\\?\\{text[4:]}" if text.startswith("\\??\\") else text


def by_device(path: str) -> tuple[str, str] | None:
    r"""(``\\?\GLOBALROOT\Device\HarddiskVolume3``, what follows) of a path that begins with a device, else None.

    :raises BadPath: it is the device of a shadow copy, which is no volume.
    """
    text = _plain(path)
    found = _DEVICE.match(text)
    if found is None:
        return None
    if _SHADOW_DEVICE.fullmatch(found.group(1)):
        raise BadPath(f"{path!r} is the device of a shadow copy, not of a volume.")
    return _device(found.group(1)), text[found.end() :]


def normal(path: str) -> str:
    r"""An absolute local path in one spelling: backslashes, upper-case letter, no trailing backslash except at a root.

    The prefixes of the Win32 namespaces go (``\\?\D:\Data``, ``\\.\D:``), except from a volume's GUID name.

    :raises BadPath: relative, on a share, by device, with ``..``, wildcards, quotes or control characters.
    """
    if by_device(path):
        raise BadPath(f"{path!r} begins with a device: write its drive letter, mount folder or GUID path instead.")
    text = _LITERAL.sub("", _plain(path))
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
    if any(len(part.encode("utf-16-le", "surrogatepass")) > 2 * _LONGEST_NAME for part in parts):
        raise BadPath(f"{path[:40]!r}... holds a name of more than {_LONGEST_NAME} characters: no volume can hold it.")
    root = volume_id(guid_path.group()) if guid_path else text[0].upper() + ":\\"
    return root + "\\".join(parts)


def join(folder: str, *names: str) -> str:
    """A folder and names below it."""
    return "\\".join([folder.rstrip("\\"), *(name.strip("\\") for name in names if name.strip("\\"))])


def parent(path: str) -> str:
    """The folder above."""
    return path.rstrip("\\").rpartition("\\")[0]


def long_path(path: str, length: int | None = None) -> str:
    """A path as Windows PowerShell 5.1 takes it at any length (Win32 docs, "Maximum Path Length Limitation").

    :param length: of the longest path below it, where that is what counts.
    """
    return _VERBATIM + path if (length or len(path)) >= _LONG and not path.startswith(_VERBATIM) else path


def short_path(path: str) -> str:
    """A path without the prefix for long ones."""
    return path.removeprefix(_VERBATIM)


def same(one: str, other: str) -> bool:
    """Whether two paths are the same, as the host may spell them."""
    return _spelled(one) == _spelled(other)


def _spelled(path: str) -> str:
    return short_path(path).rstrip("\\").casefold()


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
        return fold(self.inside)

    def holds(self, other: Place) -> bool:
        """Whether other is this place or lies in it."""
        if self.volume.id != other.volume.id:
            return False
        return self.whole or other.key == self.key or other.key.startswith(self.key + "\\")


class Places:
    """The volumes of a host, by every name they can be called.

    more: names beyond those that Win32_Volume tells, such as second mount folders and devices, with the volume's ID.
    """

    def __init__(
        self, volumes: Iterable[Volume], windows: str = "C:\\Windows", more: Mapping[str, str] | None = None
    ) -> None:
        self.volumes: Sequence[Volume] = tuple(volumes)
        self._names: dict[str, tuple[str, Volume]] = {}
        for volume in self.volumes:
            for name in (volume.name, volume.id, (volume.letter or "") and f"{volume.letter}\\"):
                self._know(name, volume)
        for name, identity in (more or {}).items():
            found = self.by_id(identity)
            if found is not None:
                self._know(name, found)
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

    def _know(self, name: str, volume: Volume) -> None:
        if name:
            self._names.setdefault(fold(name.rstrip("\\")) + "\\", (name.rstrip("\\") + "\\", volume))

    def place(self, path: str) -> Place | None:
        """The place of a path; None when no volume of the host has it.

        :raises BadPath: it is no absolute local path.
        """
        device = by_device(path)
        if device is None:
            return self._place(normal(path))
        known = self._names.get(f"{fold(device[0])}\\")
        return self._place(normal(known[1].id + device[1])) if known else None

    def mounts(self, volume: Volume) -> list[str]:
        r"""The folders where a volume is mounted, with their closing backslash (``C:\Mounts\Data\``)."""
        known = [name for name, whose in self._names.values() if whose.id == volume.id]
        return sorted(name for name in known if _LETTER.match(name[:2]) and len(name) > 3)

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
        probe = fold(path.rstrip("\\")) + "\\"
        fitting = [mount for mount in self._names if probe.startswith(mount)]
        if not fitting:
            return None
        mount = max(fitting, key=len)
        return Place(self._names[mount][1], path[len(mount) :].rstrip("\\"))


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


# ---- which volumes are meant
@dataclass(frozen=True)
class Selection:
    """The volumes that names mean, in the order they were named (for ``all``: in the host's).

    followed: those of them that were not named but are mounted in a folder of one that was; skipped_because: volumes
    left out although they could have been meant, by what a person calls them, with the reason.
    """

    volumes: tuple[Volume, ...]
    followed: tuple[Volume, ...] = ()
    skipped_because: Mapping[str, str] = field(default_factory=dict)


def naming_statements(names: Iterable[str], follow_mounts: bool = False) -> list[Statement]:
    """What must be asked, besides Win32_Volume, to understand these names: give it to `gather` as `also`.

    Win32_Volume tells one mount folder of a volume, and none beside a letter; mountvol tells all of them, and which
    volume a device is. Nothing is asked for letters and GUID paths.
    """
    devices: dict[str, Statement] = {}
    for name in map(str, names):
        text = _LITERAL.sub("", _plain(name))
        found = _DEVICE.match(text)
        if found and not _SHADOW_DEVICE.fullmatch(found.group(1)):
            key = f"device-{found.group(1).lower()}"
            devices[key] = verbs.program(key, "mountvol", f"{_device(found.group(1))}\\", "/L")
        elif _LETTER.match(text[:2]) and text[2:].strip("\\"):
            follow_mounts = True
    return [*devices.values(), *([verbs.program("mounts", "mountvol")] if follow_mounts else [])]


def names_told(reply: Reply) -> dict[str, str]:
    """Further names of volumes, with the volumes' IDs, in the answers to `naming_statements`.

    By structure: an indented GUID path, below it its folders, with their closing backslash. A folder whose name the
    host's code page cannot hold comes with question marks, and is left to Win32_Volume.
    """
    told: dict[str, str] = {}
    for key, result in reply.items():
        if key != "mounts" and not key.startswith("device-"):
            continue
        volume: str | None = None
        for line in map(str, result.values):
            folder = _FOLDER.match(line)
            if VOLUME_PATH.fullmatch(line.strip()):
                volume = volume_id(line)
                if key != "mounts":
                    told[_device(key.removeprefix("device-"))] = volume
            elif folder and volume and not _LOSSY.search(folder.group(1)):
                told[folder.group(1)] = volume
    return told


def select_volumes(names: Iterable[str], exclude: Iterable[str], follow_mounts: bool, facts: Facts) -> Selection:
    """The volumes that these names mean, each once, less those excluded. A name excluded need not be there.

    names: letters, mount folders, GUID paths and devices, or `all` alone: every volume that can be shadowed and has a
    letter, a folder or the system on it. follow_mounts: also the volumes mounted below, and below those.

    :raises VssFailure: a name is no volume's, or nothing is left.
    """
    named, places = [str(name) for name in names], facts.places
    out = {found.id for name in exclude if (found := _volume(places, str(name), facts.host)) is not None}
    skipped: dict[str, str] = {}
    if any(name.casefold() == ALL for name in named):
        if len(named) > 1:
            raise VssFailure(f"The volumes {', '.join(named)} of {facts.host} are not clear: `all` stands alone.")
        skipped = {volume.display: why for volume in facts.volumes if (why := _not_in_all(volume, places))}
        chosen = [volume for volume in facts.volumes if volume.display not in skipped and volume.id not in out]
    else:
        meant = [volume_named(name, facts) for name in named]
        chosen = list({volume.id: volume for volume in meant if volume.id not in out}.values())
    followed: list[Volume] = []
    # Those found on the way are looked below in their turn: the list grows while it is read.
    for upper in chosen:
        for volume, folder in _mounted_on(upper, places):
            if volume in chosen or volume.id in out:
                continue
            if volume.unfit or not follow_mounts:
                why = volume.unfit or f"is mounted in {folder} and was neither named nor followed"
                skipped.setdefault(volume.display, why)
                continue
            chosen.append(volume)
            followed.append(volume)
    if not chosen:
        raise VssFailure(f"No volume of {facts.host} is left: name at least one in volumes that is not excluded.")
    return Selection(tuple(chosen), tuple(followed), skipped)


def volume_named(name: str, facts: Facts) -> Volume:
    """The volume of this name: a letter, a mount folder, a GUID path or a device.

    :raises VssFailure: there is none.
    """
    volume = _volume(facts.places, name, facts.host)
    if volume is None:
        there = ", ".join(v.display for v in facts.volumes)
        raise VssFailure(f"There is no volume {name} on {facts.host}: it has {there}.")
    return volume


def _device(name: str) -> str:
    return f"\\\\?\\GLOBALROOT\\Device\\{name}"


def _volume(places: Places, name: str, host: str) -> Volume | None:
    try:
        place = places.place(f"{name}:" if len(name) == 1 else name)
    except BadPath as error:
        raise VssFailure(f"The volume {name!r} of {host} cannot be used: {error}") from None
    return place.volume if place is not None and place.whole else None


def _not_in_all(volume: Volume, places: Places) -> str | None:
    if volume.unfit:
        return volume.unfit
    if volume.letter or volume.system or volume.boot or places.mounts(volume):
        return None
    return "has neither a letter nor a mount folder: name it by its GUID path if it is meant"


def _mounted_on(upper: Volume, places: Places) -> list[tuple[Volume, str]]:
    """The volumes with a mount folder on this one, with the folder."""
    found = []
    for volume in places.volumes:
        for folder in places.mounts(volume):
            place = places.place(parent(folder) + "\\")
            if place is not None and place.volume.id == upper.id:
                found.append((volume, folder))
    return found
