# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SMB shares of a host: what they lead to, and what their access lists let an account do."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from . import sddl
from .errors import INVALID_NAME, INVALID_PARAMETER, NOT_FOUND, WinError
from .users import ADMINISTRATORS_SID, EVERYONE_SID, User

if TYPE_CHECKING:
    from .host import Host

DISK, DISK_SPECIAL, IPC_SPECIAL = 0, 0x80000000, 0x80000003  # Win32_Share.Type
DUPLICATE, NO_SUCH_SHARE = 2118, 2310  # NERR_DuplicateShare, NERR_NetNameNotFound (lmerr.h)
# What a right of a share gives at most ("SmbShareAccess": Read, Change, Full), as file access masks.
RIGHTS = {"Read": 0x1200A9, "Change": 0x1301BF, "Full": 0x1F01FF}
_SDDL = {right: "FA" if mask == sddl.FULL else f"0x{mask:x}" for right, mask in RIGHTS.items()}
_FORBIDDEN = frozenset('"/\\[]:|<>+=;,*?')


@dataclass(frozen=True)
class Grant:
    """One entry of a share's access list: `right` Full, Change or Read; `allow` False: a denial of all."""

    sid: str
    right: str
    allow: bool = True


@dataclass
class Share:
    """A share; `path` is a Windows path on its host ('' for IPC$), `special` an administrative one."""

    name: str
    path: str
    description: str = ""
    access: list[Grant] = field(default_factory=list)
    kind: int = DISK
    limit: int = 0

    @property
    def special(self) -> bool:
        """True for the shares that Windows makes itself."""
        return self.kind != DISK

    @property
    def descriptor(self) -> str:
        """The access list as SDDL, denials first; that owner and group are SYSTEM is assumed."""
        entries = sorted(self.access, key=lambda each: each.allow)
        texts = [f"({'A' if each.allow else 'D'};;{_SDDL[each.right]};;;{each.sid})" for each in entries]
        return "O:SYG:SYD:" + "".join(texts)

    @property
    def hidden(self) -> bool:
        """True when browsing does not show it."""
        return self.name.endswith("$")


ShareList = list[Share]
Rows = list[dict[str, Any]]


class Shares:
    """The shares of one host by name, compared without case; C$, D$ ..., ADMIN$ and IPC$ are always there."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._lock = threading.RLock()
        self._shares: dict[str, Share] = {}

    def _special(self) -> ShareList:
        only = [Grant(ADMINISTRATORS_SID, "Full")]
        volumes = [each for each in self._host.volumes if each.letter and each.drive_type == 3]
        drives = [Share(f"{each.letter}$", each.display, "Default share", only, DISK_SPECIAL) for each in volumes]
        return [
            Share("ADMIN$", self._host.windows, "Remote Admin", only, DISK_SPECIAL),
            *drives,
            Share("IPC$", "", "Remote IPC", only, IPC_SPECIAL),
        ]

    def list(self) -> ShareList:
        """Every share, by name."""
        with self._lock:
            return sorted([*self._special(), *self._shares.values()], key=lambda each: each.name.lower())

    def find(self, name: str) -> Share | None:
        """The share of this name, or None."""
        own = self._shares.get(name.lower())
        return own or next((each for each in self._special() if each.name.lower() == name.lower()), None)

    def get(self, name: str) -> Share:
        """The share of this name; WinError 2310 when there is none."""
        found = self.find(name)
        if found is None:
            raise WinError(NO_SUCH_SHARE, name)
        return found

    def add(
        self,
        name: str,
        path: str,
        *,
        description: str = "",
        full: Iterable[str] = (),
        change: Iterable[str] = (),
        read: Iterable[str] = (),
        none: Iterable[str] = (),
        limit: int = 0,
    ) -> Share:
        """Share a folder with accounts (names or SIDs); with none given Everyone may read ("New-SmbShare").

        WinError 2 for a missing folder, 87 for what is none, 123 for a bad name, 1332 for an unknown account, 2118 when
        the name is shared already.
        """
        if not name or len(name) > 80 or _FORBIDDEN & set(name):
            raise WinError(INVALID_NAME, name)
        files = self._host.files
        if not files.exists(path):
            raise WinError(NOT_FOUND, path)
        if not files.is_dir(path):
            raise WinError(INVALID_PARAMETER, path)
        sid_of = self._host.users.sid_of
        access = [Grant(sid_of(each), "Full", allow=False) for each in none]
        for right, accounts in (("Full", full), ("Change", change), ("Read", read)):
            access += [Grant(sid_of(each), right) for each in accounts]
        share = Share(name, path.rstrip("\\") + ("\\" if path.rstrip("\\").endswith(":") else ""), description,
                      access or [Grant(EVERYONE_SID, "Read")], limit=limit)  # fmt: skip
        with self._lock:
            if self.find(name) is not None:
                raise WinError(DUPLICATE, name)
            self._shares[name.lower()] = share
        self._host.trace.write("share", self._host.name, share=name, what="added", path=path)
        return share

    def remove(self, name: str) -> None:
        """Stop sharing; the files stay. WinError 2310 for an unknown one, 87 for one that Windows made itself."""
        with self._lock:
            share = self.get(name)
            if share.special:
                raise WinError(INVALID_PARAMETER, name)
            del self._shares[name.lower()]
        self._host.trace.write("share", self._host.name, share=share.name, what="removed")

    def of_folder(self, path: str) -> ShareList:
        """The shares that somebody made of exactly this folder."""
        wanted = path.rstrip("\\").lower()
        return [each for each in self.list() if not each.special and each.path.rstrip("\\").lower() == wanted]

    def grant(self, name: str, account: str, right: str) -> None:
        """Let an account (name or SID) do more or less; a denial of it goes ("Grant-SmbShareAccess")."""
        if right not in RIGHTS:
            raise ValueError(f"{right!r} is no right of a share; there are {', '.join(RIGHTS)}.")
        sid = self._host.users.sid_of(account)
        with self._lock:
            share = self.get(name)
            share.access[:] = [each for each in share.access if each.sid != sid] + [Grant(sid, right)]

    def rights(self, share: Share, user: User | None) -> int:
        """The file access mask that the share gives an account at most; None: the laboratory itself, all of it."""
        if user is None:
            return sddl.FULL
        matching = [each for each in share.access if each.sid in user.sids]
        if any(not each.allow for each in matching):
            return 0
        mask = 0
        for each in matching:
            mask |= RIGHTS[each.right]
        return mask

    # -- as data ---------------------------------------------------------------------------------------------------
    def dump(self) -> Rows:
        """The shares that somebody made, as plain data."""
        return [
            {"name": each.name, "path": each.path, "description": each.description, "limit": each.limit,
             "access": [[grant.sid, grant.right, grant.allow] for grant in each.access]}
            for each in self._shares.values()
        ]  # fmt: skip

    def load(self, rows: Iterable[dict[str, Any]]) -> None:
        """Take over what `dump` gave."""
        with self._lock:
            self._shares = {
                row["name"].lower(): Share(row["name"], row["path"], row["description"],
                                           [Grant(*each) for each in row["access"]], limit=row["limit"])
                for row in rows
            }  # fmt: skip
