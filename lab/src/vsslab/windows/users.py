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
    """One account, or its token in one logon session.

    `administrator`: the token is elevated; `remote`: it may open remote shells; `delegated`: this logon session holds
    credentials that work on the network (CredSSP, a task with a password; services act as the computer account);
    `session`: the logon session, whose SMB mappings no other sees (the ID of a shell; '' for the account as such);
    `disabled`, `locked`: nobody logs on with the account.
    """

    name: str
    domain: str
    password: str = field(repr=False)
    sid: str
    administrator: bool = False
    remote: bool = False
    delegated: bool = field(default=False, compare=False)
    session: str = field(default="", compare=False)
    disabled: bool = False
    locked: bool = False

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


def _plain(name: str) -> str:
    """A name of a well-known principal without what does not count: NT AUTHORITY\\LocalService is written both ways."""
    return name.casefold().replace(" ", "")


def machine_sid(host: str) -> str:
    """The SID of a machine's own account domain: S-1-5-21-x-y-z, the same for the same name."""
    digest = hashlib.sha256(host.upper().encode()).digest()
    parts = (int.from_bytes(digest[at : at + 4], "big") for at in (0, 4, 8))
    return "S-1-5-21-" + "-".join(str(each) for each in parts)


def domain_sid(domain: str, name: str) -> str:
    """The SID of an account of a domain (computers: NAME$), the same on every host that knows the domain."""
    number = 1100 + int.from_bytes(hashlib.sha256(name.upper().encode()).digest()[:3], "big")
    return f"{domain_part(domain)}-{number}"


def domain_part(domain: str) -> str:
    """What the SIDs of a domain's accounts begin with; `domain` is its short name."""
    return machine_sid(f"domain {domain}")


class Users:
    """The accounts of one host. Iterating gives those that can log on; `find` knows the well-known ones too.

    `domain` is the host's, as in 'corp.example' (a name without a dot is a workgroup); its accounts are added by
    their names DOMAIN\\name.
    """

    def __init__(
        self, host: str, language: str = "en-US", accounts: Iterable[User] = (), *, domain: str = "WORKGROUP"
    ) -> None:
        self.host = host.upper()
        self.language = language
        self.domain = domain.partition(".")[0].upper()
        self.machine_sid = machine_sid(host)
        self._accounts: list[User] = list(accounts)
        self._foreign: dict[str, str] = {}

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
        disabled: bool = False,
        locked: bool = False,
    ) -> User:
        """Create a local account, or with DOMAIN\\name let one of the domain in.

        `remote` defaults to `administrator`, as WinRM's default security descriptor does.
        """
        domain, _, short = name.rpartition("\\")
        domain = domain.upper() or self.host
        if any(each.name.casefold() == short.casefold() and each.domain == domain for each in self._accounts):
            raise ValueError(f"{self.host} has an account {name!r} already.")
        if domain not in {self.host, self.domain}:
            raise ValueError(f"{self.host} is not in the domain {domain}.")
        if domain == self.host:
            first = {each.casefold() for each in data("principals.yml")["names"]["administrator"].values()}
            number = 500 if short.casefold() in first else 1001 + len(self._accounts)
            sid = sid or f"{self.machine_sid}-{number}"
        user = User(short, domain, password, sid or domain_sid(domain, short), administrator,
                    administrator if remote is None else remote, disabled=disabled, locked=locked)  # fmt: skip
        self._accounts.append(user)
        return user

    def replace_all(self, accounts: Iterable[User]) -> None:
        """Have these accounts instead of those there are."""
        self._accounts = list(accounts)

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
        sid = user.sid if user else self._sid_of_well_known(wanted) or self._sid_of_computer(wanted)
        if sid is None:
            raise WinError(NONE_MAPPED, name)
        return sid

    def looked_up(self, name: str) -> str:
        """The SID of an account or group as LookupAccountName finds it: by its name in the host's language alone.

        WinError 1332 for anything else, a SID in text and the English name on another Windows among it.
        """
        wanted = name.strip()
        if wanted.lstrip("*").upper().startswith("S-1-"):
            raise WinError(NONE_MAPPED, name)
        sid = self.sid_of(wanted)
        names = data("principals.yml")["sids"].get(sid)
        if names is not None:
            own = str(names.get(self.language[:2], names["en"]))
            if _plain(wanted) not in {_plain(own), _plain(own.rpartition("\\")[2])}:
                raise WinError(NONE_MAPPED, name)
        return sid

    def _sid_of_computer(self, name: str) -> str | None:
        """The SID of a computer account DOMAIN\\NAME$ of the host's domain."""
        domain, _, computer = name.upper().rpartition("\\")
        if not computer.endswith("$") or domain != self.domain:
            return None
        sid = domain_sid(domain, computer)
        self._foreign[sid] = f"{domain}\\{computer}"
        return sid

    def _sid_of_well_known(self, name: str) -> str | None:
        wanted = _plain(name)
        if wanted == "localsystem":
            return SYSTEM_SID
        for sid, names in data("principals.yml")["sids"].items():
            known = {_plain(sid)}
            for full in (names["en"], names.get(self.language[:2], names["en"])):
                known |= {_plain(full), _plain(full.rpartition("\\")[2])}
            if wanted in known:
                return str(sid)
        return None

    def name_of(self, sid: str) -> str:
        """DOMAIN\\name of a SID in the host's language; the SID itself when nobody has it."""
        for each in self._accounts:
            if each.sid == sid:
                return each.full_name
        if sid in self._foreign:
            return self._foreign[sid]
        table = data("principals.yml")
        groups = {
            f"{self.machine_sid}-513": (self.host, "none"),
            f"{domain_part(self.domain)}-513": (self.domain, "domain users"),
            f"{domain_part(self.domain)}-515": (self.domain, "domain computers"),
        }
        if sid in groups:
            where, key = groups[sid]
            words = table["names"][key]
            return f"{where}\\{words.get(self.language[:2], words['en'])}"
        names = table["sids"].get(sid)
        return sid if names is None else str(names.get(self.language[:2], names["en"]))
