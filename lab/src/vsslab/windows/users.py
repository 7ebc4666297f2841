# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Accounts of a host, the well-known principals, and their names in the host's language."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from .errors import NONE_MAPPED, WinError, data

SYSTEM_SID = "S-1-5-18"
LOCAL_SERVICE_SID = "S-1-5-19"
NETWORK_SERVICE_SID = "S-1-5-20"
ADMINISTRATORS_SID = "S-1-5-32-544"
USERS_SID = "S-1-5-32-545"
EVERYONE_SID = "S-1-1-0"
AUTHENTICATED_SID = "S-1-5-11"
NETWORK_SID = "S-1-5-2"
SERVICES = (SYSTEM_SID, LOCAL_SERVICE_SID, NETWORK_SERVICE_SID)


@dataclass(frozen=True)
class User:
    """One account. `administrator`: its token is elevated; `remote`: it may open remote shells."""

    name: str
    domain: str
    password: str = field(repr=False)
    sid: str
    administrator: bool = False
    remote: bool = False

    @property
    def full_name(self) -> str:
        """DOMAIN\\name, as whoami and Get-Acl print it."""
        return f"{self.domain}\\{self.name}"

    @property
    def sids(self) -> frozenset[str]:
        """Every SID of the account's token that access checks look at (groups by membership)."""
        if self.sid == SYSTEM_SID:
            return frozenset({SYSTEM_SID, ADMINISTRATORS_SID, EVERYONE_SID, AUTHENTICATED_SID})
        groups = {self.sid, EVERYONE_SID, AUTHENTICATED_SID}
        if self.sid not in SERVICES:
            groups |= {USERS_SID, NETWORK_SID}
        if self.administrator:
            groups.add(ADMINISTRATORS_SID)
        return frozenset(groups)


def machine_sid(host: str) -> str:
    """The SID of a machine's own account domain: S-1-5-21-x-y-z, the same for the same name."""
    digest = hashlib.sha256(host.upper().encode()).digest()
    parts = (int.from_bytes(digest[at : at + 4], "big") for at in (0, 4, 8))
    return "S-1-5-21-" + "-".join(str(each) for each in parts)


class Users:
    """The accounts of one host. Iterating gives those that can log on; `find` knows the well-known ones too."""

    def __init__(self, host: str, language: str = "en-US", accounts: Iterable[User] = ()) -> None:
        self.host = host.upper()
        self.language = language
        self.machine_sid = machine_sid(host)
        self._accounts: list[User] = list(accounts)

    def __iter__(self) -> Iterator[User]:
        return iter(tuple(self._accounts))

    def __len__(self) -> int:
        return len(self._accounts)

    def add(
        self,
        name: str,
        password: str,
        *,
        administrator: bool = False,
        remote: bool | None = None,
        sid: str | None = None,
    ) -> User:
        """Create a local account; `remote` defaults to `administrator`, as WinRM's default security descriptor does."""
        if any(each.name.casefold() == name.casefold() for each in self._accounts):
            raise ValueError(f"{self.host} has an account {name!r} already.")
        rid = 500 if name.casefold() in {"administrator", "administrateur"} else 1001 + len(self._accounts)
        user = User(name, self.host, password, sid or f"{self.machine_sid}-{rid}", administrator,
                    administrator if remote is None else remote)  # fmt: skip
        self._accounts.append(user)
        return user

    @property
    def system(self) -> User:
        """The LocalSystem account."""
        return self._well_known(SYSTEM_SID)

    def _well_known(self, sid: str) -> User:
        domain, _, name = self.name_of(sid).rpartition("\\")
        return User(name, domain, "", sid, administrator=sid == SYSTEM_SID)

    def find(self, name: str) -> User | None:
        """The account that a text names: NAME, HOST\\NAME, .\\NAME, NAME@host, a SID, or a service account."""
        wanted = name.strip()
        for each in self._accounts:
            spellings = {each.name, each.full_name, f".\\{each.name}", f"{each.name}@{each.domain}", each.sid}
            if wanted.casefold() in {spelling.casefold() for spelling in spellings}:
                return each
        sid = self._sid_of_well_known(wanted)
        return self._well_known(sid) if sid in SERVICES else None

    def sid_of(self, name: str) -> str:
        """The SID of an account or group by its name in the host's language (or English), or of '*S-1-...'."""
        wanted = name.strip().removeprefix("*")
        if wanted.upper().startswith("S-1-"):
            return wanted.upper()
        user = self.find(wanted)
        sid = user.sid if user else self._sid_of_well_known(wanted)
        if sid is None:
            raise WinError(NONE_MAPPED, name)
        return sid

    def _sid_of_well_known(self, name: str) -> str | None:
        wanted = name.casefold()
        for sid, names in data("principals.yml").items():
            known = {sid.casefold()}
            for full in (names["en"], names.get(self.language[:2], names["en"])):
                known |= {full.casefold(), full.rpartition("\\")[2].casefold()}
            if wanted in known:
                return str(sid)
        return None

    def name_of(self, sid: str) -> str:
        """DOMAIN\\name of a SID in the host's language; the SID itself when nobody has it."""
        for each in self._accounts:
            if each.sid == sid:
                return each.full_name
        if sid == f"{self.machine_sid}-513":
            return f"{self.host}\\{ {'de': 'Kein', 'fr': 'Aucun'}.get(self.language[:2], 'None') }"
        names = data("principals.yml").get(sid)
        return sid if names is None else str(names.get(self.language[:2], names["en"]))
