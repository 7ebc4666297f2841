# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file system of one host: Windows paths, attributes, security and limits over real folders."""

from __future__ import annotations

import contextlib
import datetime
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from . import inodes, sddl
from .errors import (
    ACCESS_DENIED,
    ALREADY_EXISTS,
    INVALID_FUNCTION,
    INVALID_NAME,
    NAME_TOO_LONG,
    NOT_A_DIRECTORY,
    NOT_A_REPARSE_POINT,
    NOT_SAME_DEVICE,
    PATH_NOT_FOUND,
    PRIVILEGE_NOT_HELD,
    WinError,
)
from .fileio import (
    ARCHIVE,
    DIRECTORY,
    HIDDEN,
    READONLY,
    REPARSE_POINT,
    SETTABLE,
    SYSTEM,
    FileStat,
    Writer,
    as_windows,
    birth_of,
    keep_birth,
    moment_of,
    to_nanoseconds,
)
from .fileview import FileView
from .metadata import Metadata
from .namespace import JUNCTION, Located
from .paths import MAX_FOLDER, child, fold, parse
from .volumes import Volume

__all__ = ["ARCHIVE", "DIRECTORY", "HIDDEN", "READONLY", "REPARSE_POINT", "SYSTEM", "FileStat", "FileSystem", "Writer"]


class FileSystem(FileView):
    """Files of one host by Windows path (bare `FileSystem(host)`: no access checks; `as_user`: those of an account).

    Every call raises WinError as Windows would: 2, 3 missing; 5 denied; 19 read-only tree; 80/183 exists; 112 full;
    123 bad name; 145 folder not empty; 1314 privilege. Paths may be relative to `cwd`.
    """

    # -- looking ---------------------------------------------------------------------------------------------------
    def exists(self, path: str) -> bool:
        """True when something has this name (a link counts even when its target is gone)."""
        try:
            return self.locate(path).exists
        except WinError:
            return False

    def is_dir(self, path: str) -> bool:
        """True when the path is a folder, or a link that leads to one."""
        try:
            place = self.locate(path, follow=True)
        except WinError:
            return False
        return place.exists and place.is_dir

    def stat(self, path: str, *, follow: bool = False) -> FileStat:
        """Everything Windows tells about the path itself, or with `follow` about what a link at its end leads to."""
        place = self._existing(path, follow=follow)
        return self._stat(place, place.path)

    def _stat(self, place: Located, path: str) -> FileStat:
        with as_windows(path):
            real = place.real.lstat()
        if place.metadata.guard is not None:
            place.metadata.guard.check(place.real, real)
        record = place.metadata.get(place.parts)
        folder = place.is_dir
        bits = record.attributes if record is not None and record.attributes is not None else 0 if folder else ARCHIVE
        bits |= (DIRECTORY if folder else 0) | (REPARSE_POINT if place.link is not None else 0)
        if folder and not place.parts:
            bits |= HIDDEN | SYSTEM  # every volume's root folder
        modified = real.st_mtime_ns
        created = record.created if record is not None and record.created is not None else birth_of(real)
        name = place.parts[-1] if place.parts else path
        junction = place.tag == JUNCTION
        return FileStat(path, name, folder, 0 if folder else real.st_size, moment_of(created), moment_of(modified),
                        moment_of(max(modified, created)), bits or 0x80, place.link, junction)  # fmt: skip

    def listdir(self, path: str) -> list[FileStat]:
        """What a folder holds, sorted as NTFS sorts; WinError 267 when it is no folder, 5 when it may not be read."""
        place = self._existing(path, follow=True)
        if not place.is_dir:
            raise WinError(NOT_A_DIRECTORY, path)
        self._demand(place, sddl.READ_DATA, path)
        with as_windows(path):
            names = sorted(os.listdir(place.real), key=fold)
        found: list[FileStat] = []
        for name in names:
            with contextlib.suppress(WinError):  # gone meanwhile, or a name that Windows could not have
                found.append(self._stat(self._child(place, name), child(place.path, name)))
        return found

    def _child(self, folder: Located, name: str) -> Located:
        real = folder.real / name
        link = os.readlink(real) if real.is_symlink() else None
        return replace(folder, real=real, parts=(*folder.parts, name), exists=True, link=link)

    def walk(self, path: str) -> Iterator[FileStat]:
        """Everything below a folder, each folder before what it holds; links are told, not entered."""
        for each in self.listdir(path):
            yield each
            if each.is_dir and each.link_target is None:
                with contextlib.suppress(WinError):
                    yield from self.walk(child(path, each.name))

    def read(self, path: str) -> bytes:
        """The whole content of a file."""
        with self.open(path) as stream, as_windows(path):
            return stream.read()

    def open(self, path: str) -> BinaryIO:
        """A file opened for reading; WinError 5 for a folder, as CreateFile answers."""
        place = self._existing(path, follow=True)
        if place.is_dir:
            raise WinError(ACCESS_DENIED, path)
        self._demand(place, sddl.READ_DATA, path)
        guard = place.metadata.guard
        with as_windows(path):
            return open(place.real, "rb", opener=inodes.without_a_trace) if guard is None else guard.open(place.real)

    # -- changing --------------------------------------------------------------------------------------------------
    def write(self, path: str, data: bytes, append: bool = False) -> None:
        """Write or append to a file, creating it."""
        with self.writer(path, append=append) as stream:
            stream.write(data)

    def writer(self, path: str, *, append: bool = False) -> Writer:
        """Open a file for writing in pieces; close it, or use it in a `with` block."""
        with self._changing(path, follow=True) as place:
            if place.exists:
                self._open_for_writing(place, path, append)
                keep_birth(place)
            else:
                self._created(place, path, sddl.WRITE_DATA)
            stream = Writer(place.view or self, place, append)
            if not place.exists:
                self._stamp_folder(place)
            return stream

    def _open_for_writing(self, place: Located, path: str, append: bool) -> None:
        record = place.metadata.get(place.parts)
        if place.is_dir or (record is not None and (record.attributes or 0) & READONLY):
            raise WinError(ACCESS_DENIED, path)
        self._demand(place, sddl.APPEND_DATA if append else sddl.WRITE_DATA, path)

    def mkdir(self, path: str, parents: bool = False) -> None:
        """Create a folder; with `parents` the missing ones above it too, and an existing one is no error.

        WinError 206 from 248 characters on, but for the long form ("CreateDirectory": room for an 8.3 name in it).
        """
        if parents:
            self._make_parents(path)
        with self._changing(path) as place:
            if place.exists:
                if parents and place.is_dir:
                    return
                raise WinError(ALREADY_EXISTS, path)
            if len(place.path) >= MAX_FOLDER and not path.startswith("\\\\?\\"):
                raise WinError(NAME_TOO_LONG, path)
            self._created(place, path, sddl.APPEND_DATA)
            with as_windows(path):
                place.real.mkdir()
            self.stamp(place)
            self._stamp_folder(place)

    def _make_parents(self, path: str) -> None:
        try:
            self.locate(path)
        except WinError as problem:
            above = path.replace("/", "\\").rstrip("\\").rpartition("\\")[0]
            if problem.code != PATH_NOT_FOUND or len(above) < 3:
                raise
            self.mkdir(above, parents=True)

    def remove(self, path: str) -> None:
        """Delete a file."""
        with self._changing(path, existing=True) as place:
            self._demand_removal(place, path)
            if place.is_dir:
                raise WinError(ACCESS_DENIED, path)
            self._demand_closed(place, path)
            record = place.metadata.get(place.parts)
            if record is not None and (record.attributes or 0) & READONLY:
                raise WinError(ACCESS_DENIED, path)
            with as_windows(path):
                size = 0 if place.link is not None else place.real.stat().st_size
                place.real.unlink()
            self._removed(place, size)

    def rmdir(self, path: str) -> None:
        """Delete an empty folder, or a directory link (never what it leads to)."""
        with self._changing(path, existing=True) as place:
            self._demand_removal(place, path)
            if not place.is_dir:
                raise WinError(NOT_A_DIRECTORY, path)
            with as_windows(path):
                if place.link is not None:
                    place.real.unlink()
                else:
                    place.real.rmdir()
            self._removed(place, 0)
        if place.link is not None and place.view is None:
            self._host.volumes.forget_mount(place.path)

    def remove_tree(self, path: str) -> None:
        """Delete a folder with everything in it; links in it are removed, never entered."""
        for each in self.listdir(path) if self.stat(path).link_target is None else ():
            inside = child(path, each.name)  # under the form of the path that lifts the limit, if it is one
            if each.is_dir and each.link_target is None:
                self.remove_tree(inside)
            elif each.is_dir:
                self.rmdir(inside)
            else:
                self.remove(inside)
        self.rmdir(path)

    def rename(self, src: str, dst: str, *, replace_existing: bool = False) -> None:
        """Rename or move within one volume; WinError 183 when the target exists, 17 across volumes."""
        with self._changing(src, existing=True) as place:
            self._demand_removal(place, src)
            self._demand_closed(place, src)
            target = self.locate(dst)
            if place.volume is not target.volume or target.read_only:
                raise WinError(NOT_SAME_DEVICE, src)
            same = target.exists and place.real == target.real
            if target.exists and not same and (target.is_dir or not replace_existing):
                raise WinError(ALREADY_EXISTS, dst)
            replaced = self._replaceable(target, dst) if target.exists and not same else 0
            self._demand_in_parent(target, sddl.APPEND_DATA if place.is_dir else sddl.WRITE_DATA, dst)
            # a new spelling of the same name: the real folder keeps case, so the name is the one asked for
            real = target.real.parent / dst.replace("/", "\\").rstrip("\\").rpartition("\\")[2] if same else target.real
            with as_windows(src):
                place.real.rename(real)
            place.metadata.move(place.parts, target.metadata, target.parts)
            if place.volume is not None and replaced:
                place.volume.charge(-replaced)
            self._stamp_folder(place)
            self._stamp_folder(target)

    def _replaceable(self, target: Located, path: str) -> int:
        """The bytes of a file that another one is about to take the name of; WinError 5 when it may not go."""
        self._demand_removal(target, path)
        self._demand_closed(target, path)
        record = target.metadata.get(target.parts)
        if record is not None and (record.attributes or 0) & READONLY:
            raise WinError(ACCESS_DENIED, path)
        with as_windows(path):
            return 0 if target.link is not None else target.real.lstat().st_size

    def copy(self, src_path: str, dst_path: str) -> None:
        """Copy one file as CopyFile does: content, attributes, time of writing; security comes from the new folder."""
        info = self.stat(src_path)
        with self.open(src_path) as source, self.writer(dst_path) as target:
            while piece := source.read(1 << 20):
                target.write(piece)
        self.set_times(dst_path, modified=info.modified)
        self.set_attributes(dst_path, info.attributes)

    def symlink(self, link: str, target: str, *, to_file: bool = False) -> None:
        """Create a directory link (mklink /d), or a file's; the target is kept word for word.

        Administrators only: WinError 1314. 1 where the file system has no links ("CreateSymbolicLink").
        """
        with self._changing(link) as place:
            user = (place.view or self)._user
            if user is not None and not user.administrator:
                raise WinError(PRIVILEGE_NOT_HELD, link)
            if place.exists:
                raise WinError(ALREADY_EXISTS, link)
            if place.volume is not None and not place.volume.traits.links:
                raise WinError(INVALID_FUNCTION, link)
            if not target or "\0" in target:
                raise WinError(INVALID_NAME, target)
            self._created(place, link, sddl.WRITE_DATA if to_file else sddl.APPEND_DATA)
            with as_windows(link):
                place.real.symlink_to(target)
            self.stamp(place)
            self._stamp_folder(place)
            if to_file:
                place.metadata.edit(place.parts).to_file = True

    def junction(self, link: str, target: str) -> None:
        """Create a junction (mklink /j): like a directory link, but to an absolute path only and without a privilege.

        WinError 183 when the name is taken, 123 for a target that is on no local volume (assumed). Source: "Hard Links
        and Junctions" (Windows documentation).
        """
        local = target.startswith("\\\\?\\") or target[1:3] == ":\\"
        if not local or parse(target).unc is not None:
            raise WinError(INVALID_NAME, target)
        with self._changing(link) as place:
            if place.exists:
                raise WinError(ALREADY_EXISTS, link)
            if place.volume is not None and not place.volume.traits.links:
                raise WinError(INVALID_FUNCTION, link)
            self._created(place, link, sddl.APPEND_DATA)
            with as_windows(link):
                place.real.symlink_to(target)
            self.stamp(place)
            self._stamp_folder(place)
            place.metadata.edit(place.parts).junction = True

    def unlink_dir(self, link: str) -> None:
        """Remove a directory link; WinError 4390 when it is none."""
        if self.stat(link).link_target is None:
            raise WinError(NOT_A_REPARSE_POINT, link)
        self.rmdir(link)

    def set_attributes(self, path: str, attributes: int) -> None:
        """Set the attribute bits that can be set (read-only, hidden, system, archive, ...)."""
        with self._changing(path, existing=True) as place:
            self._demand(place, sddl.WRITE_ATTRIBUTES, path)
            place.metadata.edit(place.parts).attributes = attributes & SETTABLE

    def set_times(
        self, path: str, *, modified: datetime.datetime | None = None, created: datetime.datetime | None = None
    ) -> None:
        """Set the time of writing and of creation (aware)."""
        with self._changing(path, existing=True) as place:
            self._demand(place, sddl.WRITE_ATTRIBUTES, path)
            keep_birth(place)
            if modified is not None:
                nanoseconds = to_nanoseconds(modified)
                with as_windows(path):
                    inodes.own(place.real, None if place.volume is None else place.volume.root)
                    os.utime(place.real, ns=(nanoseconds, nanoseconds), follow_symlinks=False)
            if created is not None:
                place.metadata.edit(place.parts).created = to_nanoseconds(created)

    # -- trees that come and go ------------------------------------------------------------------------------------
    def attach(
        self, prefix: str, target: Callable[[], Path], read_only: bool = False, metadata: Metadata | None = None
    ) -> None:
        r"""Put a real folder at a device path (\\?\GLOBALROOT\Device\NAME), a free drive letter or an existing folder.

        `metadata`: attributes and security of the tree, for a shadow copy `names.metadata_of(volume).copy()`.
        ValueError when the place is taken.
        """
        self.names.attach(prefix, target, read_only=read_only, metadata=metadata)

    def detach(self, prefix: str) -> None:
        """Take it away again; KeyError when nothing is attached there."""
        self.names.detach(prefix)

    def hold(self, volumes: Iterable[Volume], timeout: float | None = None) -> AbstractContextManager[None]:
        """Block every write of the host to these volumes while the block runs (the holding thread's own go on)."""
        return self.names.gate.hold(list(volumes), timeout)

    def links(self) -> list[str]:
        """Every directory link on the volumes but their mount points, as 'path -> target', sorted."""
        mounts = {each.rstrip("\\").upper() for volume in self._host.volumes for each in volume.mounts}
        found = [f"{each.path} -> {each.link_target}"
                 for volume in self._host.volumes for each in self.walk(volume.display)
                 if each.link_target is not None and each.path.upper() not in mounts]  # fmt: skip
        return sorted(found)

    def exposures(self) -> list[str]:
        """The letters and folders at which shadow copies are exposed (device paths are none)."""
        return [each.prefix for each in self.names.attachments() if not each.prefix.startswith("\\\\?\\")]
