# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a Windows path to a real file: volumes, mount folders, devices, links, junctions, names without case.

A link, junction or mount point is a real symbolic link whose text is the Windows target, word for word; the machine
below never follows it. So a real copy of a volume's folder (links copied as links) keeps them, as a shadow copy does,
and a mount point inside a shadow copy leads to the live volume, as it does on Windows.
"""

from __future__ import annotations

import collections
import os
import stat
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from . import sddl
from .errors import BAD_NETPATH, CANNOT_RESOLVE, NOT_READY, PATH_NOT_FOUND, SYMLINK_DISABLED, WinError
from .metadata import Metadata
from .paths import WinPath, fold, key, parse, root_folder
from .volumes import Volume, Volumes

if TYPE_CHECKING:
    from .fileview import FileView

JUNCTION, SYMLINK = 0xA0000003, 0xA000000C  # IO_REPARSE_TAG_MOUNT_POINT, IO_REPARSE_TAG_SYMLINK
MAX_LINKS = 31  # reparse points on one path ("Reparse Points and File Operations")
_TI = sddl.TRUSTED_INSTALLER
# What a freshly formatted volume gives, and what Windows' set-up gives to the one that holds Windows.
ROOT_OF_WINDOWS = (
    f"O:{_TI}G:{_TI}D:PAI(A;;LC;;;AU)(A;OICIIO;SDGXGWGR;;;AU)(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1200a9;;;BU)"
)
ROOT_OF_DATA = (
    "O:BAG:SYD:(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)(A;OICIIO;GA;;;CO)(A;OICI;0x1200a9;;;BU)(A;CI;LC;;;BU)"
    "(A;CIIO;DC;;;BU)(A;;0x1200a9;;;WD)"
)
ROOT_WITHOUT_ACLS = "O:WDG:WDD:(A;OICI;FA;;;WD)"


@dataclass
class Attachment:
    """A tree put into the namespace by something else: a shadow copy's device, an exposed letter or folder."""

    prefix: str
    target: Callable[[], Path]
    read_only: bool
    metadata: Metadata


@dataclass(frozen=True)
class Located:
    """Where a path leads. `link` is set when the path itself is a link that was not followed: its Windows target.

    `path` is the path as it was asked for, in canonical spelling with the names as they stand in the folders;
    `parts` are the names below the root of the tree that `metadata` and `read_only` belong to. `view` is set when the
    place is on another host (a UNC path): the files of that host as the account that was let in there.
    """

    real: Path
    read_only: bool
    volume: Volume | None
    path: str
    parts: tuple[str, ...]
    metadata: Metadata
    exists: bool
    link: str | None = None
    view: FileView | None = None

    @property
    def is_dir(self) -> bool:
        """True for folders, directory links and junctions."""
        if self.link is not None:
            record = self.metadata.get(self.parts)
            return record is None or not record.to_file
        return self.exists and self.real.is_dir()

    @property
    def tag(self) -> int:
        """The reparse tag: 0 unless the place is a link."""
        if self.link is None:
            return 0
        return tag_of(self.metadata, self.parts, self.link)


Remote = Callable[[WinPath, str, bool], Located]
"""Resolves a UNC path (as it was parsed, as it was asked for, whether to follow a link at its end)."""


def tag_of(metadata: Metadata, parts: tuple[str, ...], target: str) -> int:
    """The reparse tag of a link; a volume's mount point has that of a junction."""
    record = metadata.get(parts)
    mounted = target.startswith("\\\\?\\Volume{")
    return JUNCTION if mounted or (record is not None and record.junction) else SYMLINK


@dataclass
class _Walk:
    """The state of one resolution: the tree being walked, where in it, and the real folder that this is."""

    real: str
    read_only: bool
    volume: Volume | None
    metadata: Metadata
    root: str = ""
    parts: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.root = self.real

    def enter(self, name: str) -> None:
        """Go into a folder."""
        self.parts.append(name)
        self.real = f"{self.real}/{name}"


class Gate:
    """Holds the writes to volumes (flush and hold).

    A hold begins when no write to its volumes is under way; whoever wants to write then waits for its end, the thread
    that holds excepted.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._held: dict[str, int] = {}
        self._writing: collections.Counter[str] = collections.Counter()

    @contextmanager
    def hold(self, volumes: Iterable[Volume], timeout: float | None = None) -> Iterator[None]:
        """Hold the writes to these volumes while the block runs; a second hold of one of them waits for the first.

        Raises TimeoutError when writes that are going on do not end within `timeout` seconds.
        """
        wanted = [each.guid for each in volumes]
        with self._changed:
            free = self._changed.wait_for(
                lambda: not any(each in self._held or self._writing[each] for each in wanted), timeout
            )
            if not free:
                raise TimeoutError("writes to the volumes did not end")
            self._held.update(dict.fromkeys(wanted, threading.get_ident()))
        try:
            yield
        finally:
            with self._changed:
                for each in wanted:
                    self._held.pop(each, None)
                self._changed.notify_all()

    def enter(self, volume: Volume | None) -> bool:
        """Begin a write to this volume; False while it is held by another thread. None: a tree that nobody holds."""
        if volume is None:
            return True
        with self._changed:
            if self._held.get(volume.guid, threading.get_ident()) != threading.get_ident():
                return False
            self._writing[volume.guid] += 1
            return True

    def leave(self, volume: Volume | None) -> None:
        """End a write."""
        if volume is not None:
            with self._changed:
                self._writing[volume.guid] -= 1
                self._changed.notify_all()
            if volume.watcher is not None:
                volume.watcher(volume)

    def wait(self, volume: Volume | None) -> None:
        """Wait for the end of a hold."""
        if volume is not None:
            with self._changed:
                self._changed.wait_for(lambda: volume.guid not in self._held)

    @contextmanager
    def writing(self, volume: Volume | None) -> Iterator[None]:
        """One write to this volume, once it is not held by another thread."""
        while not self.enter(volume):
            self.wait(volume)
        try:
            yield
        finally:
            self.leave(volume)


class Namespace:
    """Every tree of one host, by the path that leads to it."""

    def __init__(self, volumes: Volumes) -> None:
        self._volumes = volumes
        self._lock = threading.RLock()
        self._metadata: dict[str, Metadata] = {}
        self._attached: dict[str, Attachment] = {}
        self._folders: dict[tuple[str, str], Attachment] = {}
        self.gate = Gate()
        self._written: collections.Counter[str] = collections.Counter()
        self.before: Callable[[tuple[str, ...]], None] = lambda _parts: None  # told of every path looked for

    def note_writer(self, real: Path, count: int) -> None:
        """A real file was opened for writing (1), or closed (-1)."""
        with self._lock:
            self._written[os.fspath(real)] += count
            if not self._written[os.fspath(real)]:
                del self._written[os.fspath(real)]

    def is_written(self, real: Path) -> bool:
        """True while somebody has a real file open for writing."""
        return os.fspath(real) in self._written

    def is_written_below(self, folder: Path) -> bool:
        """True while somebody has a real file in this folder, or below, open for writing."""
        with self._lock:
            return any(each.startswith(os.fspath(folder) + os.sep) for each in self._written)

    def metadata_of(self, volume: Volume) -> Metadata:
        """The records of a live volume."""
        with self._lock:
            if volume.guid not in self._metadata:
                root = ROOT_OF_WINDOWS if volume.boot else ROOT_OF_DATA
                self._metadata[volume.guid] = Metadata(sddl.parse(root if volume.has_acls else ROOT_WITHOUT_ACLS))
            return self._metadata[volume.guid]

    def replace_metadata(self, volume: Volume, records: Metadata) -> None:
        """The volume holds something else from now on: the records of that."""
        with self._lock:
            self._metadata[volume.guid] = records

    def attach(self, prefix: str, target: Callable[[], Path], *, read_only: bool, metadata: Metadata | None) -> None:
        """Put a tree at a device path, a drive letter or a folder; ValueError when the place is taken."""
        parsed = parse(prefix if prefix.endswith("\\") else prefix + "\\")
        records = metadata or Metadata(sddl.parse(ROOT_OF_DATA))
        attachment = Attachment(parsed.text, target, read_only, records)
        with self._lock:
            if parsed.parts:
                place = self.locate(parsed.text)
                if place.volume is None or not place.is_dir:
                    raise ValueError(f"{prefix} is not a folder of a volume.")
                self._folders[place.volume.guid, key(place.parts)] = attachment
                return
            if parsed.prefix.upper() in self._attached or self._volumes.by_path(parsed.prefix) is not None:
                raise ValueError(f"{prefix} is in use.")
            self._attached[parsed.prefix.upper()] = attachment

    def detach(self, prefix: str) -> None:
        """Take the tree at this place away; KeyError when there is none."""
        wanted = parse(prefix if prefix.endswith("\\") else prefix + "\\").text.upper()
        with self._lock:
            if self._attached.pop(wanted, None) is not None:
                return
            for place, attachment in self._folders.items():
                if attachment.prefix.upper().rstrip("\\") == wanted.rstrip("\\"):
                    del self._folders[place]
                    return
        raise KeyError(prefix)

    def attachments(self) -> list[Attachment]:
        """Everything attached, by path."""
        with self._lock:
            found = [*self._attached.values(), *self._folders.values()]
        return sorted(found, key=lambda each: each.prefix)

    def letters(self) -> list[str]:
        """The drive letters in use."""
        attached = [each[0] for each in self._attached if len(each) == 3]
        return sorted({*attached, *(each.letter for each in self._volumes if each.letter)})

    def locate(
        self,
        path: str,
        *,
        cwd: str = "C:\\",
        follow: bool = False,
        remote: Remote | None = None,
        asked_from_elsewhere: bool = False,
    ) -> Located:
        """Where a path leads; with `follow` a link at its very end is followed too.

        UNC paths, and links to such, go to `remote`. WinError 3 when a folder on the way is missing or the volume is; a
        missing last name is no error (`exists`). For a client on another host (`asked_from_elsewhere`) symbolic links
        are not followed, WinError 1463: evaluating remote ones is off ("fsutil behavior", SymlinkEvaluation; that a
        relative one counts as remote to remote is assumed); junctions are, because the server resolves them.
        """
        shown = root_folder(parse(path, cwd), path)
        self.before(shown.parts)
        if shown.unc is not None:
            return self._elsewhere(shown, path, follow, remote)
        walk = self._enter(shown, path)
        waiting = list(reversed(shown.parts))
        names: list[str] = []
        own_depth = len(waiting)  # how many of the waiting names belong to the path as it was spelt
        links = 0
        while waiting:
            name = waiting.pop()
            entry, mode = _entry(walk.real, name)
            if len(waiting) < own_depth:
                names.append(entry or name)
                own_depth = len(waiting)
            if entry is None:
                if waiting or not os.path.isdir(walk.real):
                    raise WinError(PATH_NOT_FOUND, path)
                return self._found(walk, name, shown, names, exists=False)
            attachment = self._attachment(walk, entry)
            if attachment is not None:
                walk = _Walk(os.fspath(attachment.target()), attachment.read_only, None, attachment.metadata)
            elif not stat.S_ISLNK(mode):
                walk.enter(entry)
            else:
                target = os.readlink(f"{walk.real}/{entry}")
                if not waiting and not follow:
                    return self._found(walk, entry, shown, names, exists=True, link=target)
                links += 1
                if links > MAX_LINKS:
                    raise WinError(CANNOT_RESOLVE, path)
                if asked_from_elsewhere and tag_of(walk.metadata, (*walk.parts, entry), target) == SYMLINK:
                    raise WinError(SYMLINK_DISABLED, path)
                if target.startswith("\\\\") and (share := parse(target)).unc is not None:
                    rest = (*share.parts, *reversed(waiting))
                    place = self._elsewhere(WinPath(share.prefix, rest), path, follow, remote)
                    return replace(place, path=shown.text)
                walk = self._follow(walk, target, waiting, path)
        return self._found(walk, None, shown, names, exists=os.path.lexists(walk.real))

    @staticmethod
    def _elsewhere(parsed: WinPath, path: str, follow: bool, remote: Remote | None) -> Located:
        if remote is None:
            raise WinError(BAD_NETPATH, path)
        return remote(parsed, path, follow)

    def _attachment(self, walk: _Walk, entry: str) -> Attachment | None:
        """The tree that is attached at a folder of a volume, if any."""
        if not self._folders or walk.volume is None:
            return None
        return self._folders.get((walk.volume.guid, key((*walk.parts, entry))))

    def _follow(self, walk: _Walk, target: str, waiting: list[str], path: str) -> _Walk:
        """Go on at a link's target: relative ones start in the link's folder."""
        relative = not target.startswith("\\\\") and target[1:2] != ":"
        if relative:
            names = target.replace("/", "\\").split("\\")
            base = [] if target.startswith("\\") else list(walk.parts)
            for name in names:
                if name == "..":
                    del base[-1:]
                elif name not in {"", "."}:
                    base.append(name)
            waiting.extend(reversed(base))
            return _Walk(walk.root, walk.read_only, walk.volume, walk.metadata)
        parsed = root_folder(parse(target), path)
        waiting.extend(reversed(parsed.parts))
        return self._enter(parsed, path)

    def _enter(self, parsed: WinPath, path: str) -> _Walk:
        """The tree that a prefix names; WinError 3 when there is none."""
        volume = self._volumes.by_path(parsed.prefix) or self._volumes.by_device(parsed.prefix)
        if volume is not None:
            if not volume.ready:
                raise WinError(NOT_READY, path)
            read_only = volume.drive_type == 5 or volume.read_only
            return _Walk(os.fspath(volume.root), read_only, volume, self.metadata_of(volume))
        attachment = self._attached.get(parsed.prefix.upper())
        if attachment is None:
            raise WinError(PATH_NOT_FOUND, path)
        return _Walk(os.fspath(attachment.target()), attachment.read_only, None, attachment.metadata)

    @staticmethod
    def _found(
        walk: _Walk, name: str | None, shown: WinPath, names: list[str], *, exists: bool, link: str | None = None
    ) -> Located:
        """What was found: the walk's own folder, or `name` in it."""
        parts = (*walk.parts, name) if name is not None else tuple(walk.parts)
        real = Path(walk.real) if name is None else Path(walk.real, name)
        path = shown.prefix + "\\".join(names)
        return Located(real, walk.read_only, walk.volume, path, parts, walk.metadata, exists, link)


def _entry(folder: str, name: str) -> tuple[str | None, int]:
    """The name as it stands in a real folder, found without regard to case, and its mode; None when it is not there."""
    try:
        return name, os.lstat(f"{folder}/{name}").st_mode
    except (FileNotFoundError, NotADirectoryError):
        pass
    wanted = fold(name)
    try:
        for each in os.listdir(folder):
            if len(each) == len(name) and fold(each) == wanted:
                return each, os.lstat(f"{folder}/{each}").st_mode
    except (NotADirectoryError, FileNotFoundError):
        pass  # gone meanwhile
    return None, 0
