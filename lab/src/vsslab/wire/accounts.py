# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The accounts of a host as a logon needs them: by every spelling of their names, and as pyspnego can read them."""

from __future__ import annotations

import contextlib
import functools
import hmac
import os
import re
import socket
import threading
from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import spnego._ntlm
from spnego._ntlm_raw.crypto import ntowfv1

if TYPE_CHECKING:
    from vsslab.windows.host import Host
    from vsslab.windows.users import User

_NO_LM_HASH = "0" * 32
_NO_LM = "4"
"""Responses that need an LM hash are refused: Windows keeps none (NoLMHash), and one that nobody has proves nothing."""


def users_of(host: Host) -> list[User]:
    """The accounts of a host that can log on: not those disabled or locked out.

    To a client over NTLM or Basic such an account looks like a wrong password: 401 (HTTP.sys tells no reason).
    """
    users: object = host.users
    found = list(users.values()) if isinstance(users, Mapping) else list(users) if isinstance(users, Iterable) else []
    return [user for user in found if not (user.disabled or user.locked)]


def domains_of(host: Host) -> list[str]:
    """The names before the backslash that the accounts of this host may have, upper case."""
    names = ["", ".", host.name, str(getattr(host, "domain", "") or ""), *(user.domain for user in users_of(host))]
    return list(dict.fromkeys(name.upper() for name in names))


def find_user(host: Host, domain: str, name: str) -> User | None:
    """The account with this name, without regard to case.

    Without a domain, and by the name of a workgroup, the host's own accounts are meant; accounts of a domain that the
    host belongs to are found by that domain, or when no account of the host has the name.
    """
    wanted = domain.upper()
    named = [user for user in users_of(host) if user.name.lower() == name.lower()]
    exact = [user for user in named if user.domain.upper() == wanted]
    if exact or wanted not in domains_of(host):
        return next(iter(exact), None)
    if any(user.domain.upper() == wanted for user in users_of(host)):  # a domain that has no such account
        return None
    own = [user for user in named if user.domain.upper() == host.name.upper()]
    return next(iter(own or named), None)


def log_on(host: Host, name: str, password: str) -> User | None:
    """The account with this name (DOMAIN\\name or name) and password, None when there is none."""
    domain, _, plain = name.rpartition("\\")
    user = find_user(host, domain, plain)
    right = hmac.compare_digest(password.encode(), (user.password if user else "").encode())
    return user if user is not None and right else None


class _System:
    """The module `os` as pyspnego's NTLM sees it: it takes its settings from the environment, here from the thread's.

    What a thread sets is seen by nobody else: no client in this process, no other host, no child process.
    """

    @property
    def environ(self) -> Mapping[str, str]:
        return ChainMap(getattr(_HERE, "environment", {}), os.environ)

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)


class _Network:
    """The module `socket` as pyspnego's NTLM sees it: it takes the name of the server from there."""

    def gethostname(self) -> str:
        return str(getattr(_HERE, "name", "") or socket.gethostname())

    def __getattr__(self, name: str) -> Any:
        return getattr(socket, name)


_HERE = threading.local()
for _name, _module in (("os", _System()), ("socket", _Network())):
    if _name not in vars(spnego._ntlm):
        raise ImportError(f"This version of pyspnego does not use {_name} for NTLM: the laboratory cannot log on.")
    vars(spnego._ntlm)[_name] = _module


@contextlib.contextmanager
def credentials(host: Host) -> Iterator[None]:
    """Let pyspnego see the accounts and the name of this host, in this thread and only for one handshake step.

    Its acceptor knows no other way than a file named by NTLM_USER_FILE.  This one is in memory only, open to this
    process alone, and holds hashes, not passwords.
    """
    domain = str(getattr(host, "domain", "") or "")
    lines = _lines(host.name, domain, tuple(users_of(host)))
    before = vars(_HERE).copy()
    with open(os.memfd_create("vsslab accounts"), "w", encoding="utf-8") as store:
        store.write(lines)
        store.flush()
        _HERE.environment = {"NTLM_USER_FILE": f"/proc/self/fd/{store.fileno()}", "LM_COMPAT_LEVEL": _NO_LM}
        # The challenge names the server ([MS-NLMP] 2.2.1.2 TargetName); some clients log on with that name as domain.
        _HERE.name = host.name
        try:
            yield
        finally:
            vars(_HERE).clear()
            vars(_HERE).update(before)


@dataclass(frozen=True)
class _Names:
    """As much of a host as its names need."""

    name: str
    domain: str
    users: tuple[User, ...]


@functools.lru_cache(maxsize=256)
def _lines(host: str, domain: str, users: tuple[User, ...]) -> str:
    """Every spelling of every account, in the form of smbpasswd (pyspnego, NTLM_USER_FILE)."""
    known: Any = _Names(host, domain, users)
    names = {user.name.lower() for user in users}
    found = ((each, find_user(known, each, name)) for each in domains_of(known) for name in names)
    return "\n".join(
        f"{_account(each, user.name)}:0:{_NO_LM_HASH}:{_nt_hash(user.password)}:[U]:LCT-0"
        for each, user in found
        if user is not None and not re.search(r"[:\r\n]", f"{each}{user.name}")
    )


def _account(domain: str, name: str) -> str:
    return f"{domain}\\{name}" if domain else name


@functools.lru_cache(maxsize=1024)
def _nt_hash(password: str) -> str:
    return bytes(ntowfv1(password)).hex().upper()
