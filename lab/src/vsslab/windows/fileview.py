# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An account's view of the files of a host: who may do what, and the security descriptors that say so."""

from __future__ import annotations

import contextlib
import copy
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from . import inodes, sddl
from .errors import ACCESS_DENIED, INVALID_OWNER, NOT_FOUND, SHARING_VIOLATION, WRITE_PROTECT, WinError
from .fileio import keep_birth, to_nanoseconds
from .namespace import Located, Namespace
from .paths import WinPath
from .users import SERVICES, User

if TYPE_CHECKING:
    from .host import Host

View = TypeVar("View", bound="FileView")


class FileView:
    """The access checks and the bookkeeping under `FileSystem`; not used by itself."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self.names = Namespace(host.volumes)
        self.cwd = "C:\\"
        self._user: User | None = None
        self._backup = False
        self._share_rights: int | None = None  # what the share lets its user do at most, where one is used
        self._lock = threading.RLock()

    def as_user(self: View, user: User, *, backup: bool = False, cwd: str | None = None) -> View:
        """The same files under an account's access checks; `backup` uses its backup and restore privileges, if any."""
        other = copy.copy(self)
        other._user = user
        other._backup = backup and user.administrator
        other.cwd = cwd or self.cwd
        return other

    def through_share(self: View, user: User, rights: int) -> View:
        """The same files for a client on another host, let in as `user` by a share that gives at most `rights`."""
        other = self.as_user(user)
        other._share_rights = rights
        return other

    def locate(self, path: str, *, follow: bool = False) -> Located:
        """Where a path leads; a missing last name is no error (see `Located.exists`)."""
        mapped = self._host.mappings.expand(path, self._user)
        return self.names.locate(mapped, cwd=self.cwd, follow=follow, remote=self._remote)

    def _remote(self, parsed: WinPath, path: str, follow: bool) -> Located:
        return self._host.mappings.locate(self._user, parsed, path, follow=follow)

    def _existing(self, path: str, *, follow: bool = False) -> Located:
        place = self.locate(path, follow=follow)
        if not place.exists:
            raise WinError(NOT_FOUND, path)
        return place

    def security(self, path: str) -> str:
        """The security descriptor of a path as SDDL, inherited entries marked ID."""
        place = self._existing(path)
        self._demand(place, sddl.READ_CONTROL, path)
        return self._descriptor(place).text

    def set_security(self, path: str, text: str) -> None:
        """Set owner, group and DACL, as far as the SDDL gives them; entries marked ID come from the parent anyway.

        WinError 1307 (may not be the owner) without the right to give ownership away; ValueError for malformed SDDL.
        """
        wanted = sddl.parse(text)
        with self._changing(path, existing=True) as place:
            if wanted.aces is not None:
                self._demand(place, sddl.WRITE_DAC, path)
            if wanted.owner is not None and wanted.owner != self._descriptor(place).owner:
                self._demand_ownership(place, wanted.owner, path)
            record = place.metadata.edit(place.parts)
            record.owner = wanted.owner or record.owner
            record.group = wanted.group or record.group
            if wanted.aces is not None:
                record.protected = wanted.protected
                record.aces = tuple(each for each in wanted.aces if not each.inherited)

    def _demand_ownership(self, place: Located, owner: str, path: str) -> None:
        user = (place.view or self)._user
        if user is None or user.administrator:
            return
        self._demand(place, sddl.WRITE_OWNER, path)
        if owner != user.sid:
            raise WinError(INVALID_OWNER, path)

    def _descriptor(self, place: Located) -> sddl.Descriptor:
        return place.metadata.descriptor(place.parts, folder=place.is_dir)

    def _demand(self, place: Located, rights: int, path: str) -> None:
        """WinError 5 unless the account of this view has these rights."""
        if place.view is not None and place.view is not self:
            place.view._demand(place, rights, path)
            return
        if self._share_rights is not None and rights & ~self._share_rights:
            raise WinError(ACCESS_DENIED, path)
        if self._user is None or self._backup:
            return
        if not sddl.allows(self._descriptor(place), self._user.sids, rights):
            raise WinError(ACCESS_DENIED, path)

    def _parent_of(self, place: Located) -> Located:
        return replace(place, real=place.real.parent, parts=place.parts[:-1], exists=True, link=None)

    def _demand_in_parent(self, place: Located, rights: int, path: str) -> None:
        if place.parts:
            self._demand(self._parent_of(place), rights, path)

    @contextlib.contextmanager
    def _changing(self, path: str, *, follow: bool = False, existing: bool = False) -> Iterator[Located]:
        """Where a change to `path` happens: in a writable tree (WinError 19), one change at a time, and none while
        writes to the volume are held by somebody else.
        """
        owner: FileView = self
        while True:
            gate = owner.names.gate
            with owner._lock:
                place = self._existing(path, follow=follow) if existing else self.locate(path, follow=follow)
                lives_in = place.view or self
                if lives_in.names is not owner.names:  # on another host: never both locks, two hosts could meet
                    owner = lives_in
                    continue
                if place.read_only:
                    raise WinError(WRITE_PROTECT, path)
                if gate.enter(place.volume):
                    try:
                        yield place
                    finally:
                        gate.leave(place.volume)
                    return
            gate.wait(place.volume)

    def _demand_removal(self, place: Located, path: str) -> None:
        """WinError 5 unless the place may be deleted: by its own security or by its folder's."""
        if not place.parts:
            raise WinError(ACCESS_DENIED, path)  # the root of a volume
        try:
            self._demand(place, sddl.DELETE, path)
        except WinError:
            self._demand_in_parent(place, sddl.DELETE_CHILD, path)
        keep_birth(self._parent_of(place))

    def _demand_closed(self, place: Located, path: str) -> None:
        """WinError 32 while a program writes to the file: none of those here lets others delete it meanwhile."""
        if (place.view or self).names.is_written(place.real):
            raise WinError(SHARING_VIOLATION, path)

    def _removed(self, place: Located, size: int) -> None:
        place.metadata.forget(place.parts)
        self._stamp_folder(place)
        if place.volume is not None and size:
            place.volume.charge(-size)

    def _created(self, place: Located, path: str, right: int) -> None:
        """A new name is about to appear: check the folder's security, note its time and owner."""
        if place.view is not None and place.view is not self:
            place.view._created(replace(place, view=None), path, right)
            return
        self._demand_in_parent(place, right, path)
        keep_birth(self._parent_of(place))
        record = place.metadata.edit(place.parts)
        record.created = to_nanoseconds(self._host.clock.now())
        user = self._user if place.volume is None or place.volume.has_acls else None
        if user is not None and not user.administrator:
            record.owner = user.sid
        if user is not None and user.sid not in SERVICES:
            # Domain Computers, Domain Users, and on a machine of its own the group None
            record.group = f"{user.sid.rpartition('-')[0]}-{515 if user.name.endswith('$') else 513}"

    def _stamp_folder(self, place: Located) -> None:
        """A name came into a folder or went: the folder was written."""
        if place.parts:
            self.stamp(self._parent_of(place))

    def stamp(self, place: Located) -> None:
        """Give a place that was just written its host's time, where that clock is not the machine's."""
        clock = (place.view or self)._host.clock
        if not clock.real:
            nanoseconds = to_nanoseconds(clock.now())
            with contextlib.suppress(FileNotFoundError):
                inodes.own(place.real, None if place.volume is None else place.volume.root)
                os.utime(place.real, ns=(nanoseconds, nanoseconds), follow_symlinks=False)
