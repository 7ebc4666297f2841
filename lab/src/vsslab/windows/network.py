# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
r"""A host as an SMB client: mappings, UNC paths to other hosts of the laboratory, and who it is over there.

The second hop: a logon over the network (NTLM, Basic) leaves nothing on the host that another one would take, so
\\host\share is refused with error 5 there. What gets through: a delegated logon (CredSSP), a task with its account's
password, a mapping with credentials of its own, and LocalSystem and NetworkService as the computer account in a domain
("Making the second hop in PowerShell Remoting", "LocalSystem Account"). In a workgroup such a service comes without a
name and is refused (assumed: 5). A local account is let in where an account of the same name has the same password.
Remote administrators keep their full token, as WinRM's set-up (LocalAccountTokenFilterPolicy) makes it.
"""

from __future__ import annotations

import datetime
import re
import threading
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from .clock import UTC
from .errors import (
    ACCESS_DENIED,
    ACCOUNT_DISABLED,
    ACCOUNT_LOCKED,
    ALREADY_ASSIGNED,
    BAD_NET_NAME,
    BAD_NETPATH,
    CREDENTIAL_CONFLICT,
    LOGON_FAILURE,
    NOT_CONNECTED,
    PATH_NOT_FOUND,
    WinError,
)
from .namespace import Located
from .paths import WinPath, parse
from .shares import IPC_SPECIAL
from .users import NETWORK_SERVICE_SID, SYSTEM_SID, User, domain_sid

if TYPE_CHECKING:
    from .host import Host
    from .shares import Share

_LOCAL = frozenset({"localhost", "127.0.0.1", "."})
_SNAPSHOT = re.compile(r"@GMT-(\d{4}\.\d\d\.\d\d-\d\d\.\d\d\.\d\d)", re.IGNORECASE)


@dataclass(frozen=True)
class Mapping:
    r"""One use of a share: `remote` \\host\share, `local` 'Z:' or '', `account` whom the other host lets in.

    `session` is the logon session that sees it: the account's SID and the session's name.
    """

    session: tuple[str, str]
    remote: str
    local: str
    user_name: str
    password: str
    account: User | None

    @property
    def server(self) -> str:
        """The host's name, as it was spelt, in lower case."""
        return self.remote.strip("\\").partition("\\")[0].lower()


MappingList = list[Mapping]
NameList = list[str]
Rows = list[dict[str, Any]]


def _session(user: User | None) -> tuple[str, str]:
    return ("", "") if user is None else (user.sid, user.session)


class Mappings:
    """The mappings of one host, by logon session."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._lock = threading.RLock()
        self._mappings: list[Mapping] = []

    # -- mappings --------------------------------------------------------------------------------------------------
    def add(
        self,
        user: User | None,
        remote: str,
        *,
        local: str = "",
        user_name: str | None = None,
        password: str | None = None,
    ) -> Mapping:
        """Map a share for the logon session of `user`, with its own credentials or explicit ones (New-SmbMapping).

        WinError 53 unknown host, 67 unknown share, 85 letter in use, 1219 other credentials are in use for that host,
        1326 wrong name or password, 5 not let in.
        """
        parsed = parse(remote)
        if parsed.unc is None or parsed.parts:
            raise WinError(BAD_NET_NAME, remote)
        letter = local.rstrip("\\").upper()
        if letter and (len(letter) != 2 or letter[1] != ":" or self._letter_taken(letter, user)):
            raise WinError(ALREADY_ASSIGNED, local)
        target = self.find(parsed.unc[0], remote)
        account = None
        if user_name is not None:
            account = _authenticate(self._host, target, user_name, password or "")
        text = parsed.prefix.rstrip("\\")
        mapping = Mapping(_session(user), text, letter, user_name or "", password or "", account)
        with self._lock:
            for each in self._of(user, mapping.server):
                if account is not None and each.account is not None and each.account.sid != account.sid:
                    raise WinError(CREDENTIAL_CONFLICT, remote)
            self._open(target, parsed.unc[1], account or self._ambient(user, target, remote), remote)
            self._mappings.append(mapping)
        self._host.trace.write("share", self._host.name, share=text, what="mapped", user=user_name or "")
        return mapping

    def _letter_taken(self, letter: str, user: User | None) -> bool:
        if self._host.volumes.by_path(letter) is not None or letter[0] in self._host.files.names.letters():
            return True
        return any(each.local == letter for each in self.list(user))

    def remove(self, user: User | None, name: str) -> None:
        """Take mappings away, by letter or by share; WinError 2250 when there is none."""
        wanted = name.rstrip("\\").lower()
        with self._lock:
            gone = [each for each in self.list(user) if wanted in {each.remote.lower(), each.local.lower()}]
            if not gone:
                raise WinError(NOT_CONNECTED, name)
            self._mappings = [each for each in self._mappings if each not in gone]

    def list(self, user: User | None) -> MappingList:
        """The mappings of a logon session, in the order they were made."""
        with self._lock:
            return [each for each in self._mappings if each.session == _session(user)]

    def names(self) -> NameList:
        """Every mapping of every session, as 'Z: -> share', sorted."""
        with self._lock:
            return sorted(f"{each.local or '-'} -> {each.remote}" for each in self._mappings)

    def end(self, session: str) -> None:
        """A logon session ended: its mappings go with it."""
        with self._lock:
            self._mappings = [each for each in self._mappings if not session or each.session[1] != session]

    def clear(self) -> None:
        """The host restarted."""
        with self._lock:
            self._mappings.clear()

    def _of(self, user: User | None, server: str) -> MappingList:
        return [each for each in self.list(user) if each.server == server.lower()]

    # -- paths -----------------------------------------------------------------------------------------------------
    def expand(self, path: str, user: User | None) -> str:
        """`path`, or the UNC path that it means when it begins with a mapped letter."""
        if not self._mappings or path[1:2] != ":":
            return path
        found = next((each for each in self.list(user) if each.local == path[:2].upper()), None)
        return path if found is None else f"{found.remote}\\{path[2:].lstrip(chr(92) + '/')}"

    def find(self, server: str, path: str) -> Host:
        """The host of this name, which must be up and serve files; WinError 53 otherwise."""
        target = named(self._host, server)
        if target is None or target.state != "running" or target.services.get("LanmanServer").status != "Running":
            raise WinError(BAD_NETPATH, path)
        return target

    def locate(self, user: User | None, parsed: WinPath, path: str, *, follow: bool) -> Located:
        """Where a UNC path leads, for this account; its `view` checks the share's and the files' security."""
        if parsed.unc is None:
            raise WinError(BAD_NETPATH, path)
        server, name = parsed.unc
        target = self.find(server, path)
        own = next((each.account for each in self._of(user, server) if each.account is not None), None)
        account = None if user is None else own or self._ambient(user, target, path)
        share = self._open(target, name, account, path)
        view = target.files
        if account is not None:
            view = view.through_share(account, target.shares.rights(share, account))
        top = parse(share.path)
        inner = WinPath(top.prefix, (*top.parts, *parsed.parts))
        text = _previous(target, inner, path) or inner.text
        long = text if text.startswith("\\\\?\\") else "\\\\?\\" + text
        place = view.names.locate(long, follow=follow, asked_from_elsewhere=target is not self._host)
        names = place.path.removeprefix("\\\\?\\").split("\\")[-len(parsed.parts) :] if parsed.parts else []
        return replace(place, path=parsed.prefix + "\\".join(names), view=view)

    def _open(self, target: Host, name: str, account: User | None, path: str) -> Share:
        share = target.shares.find(name)
        if share is None or share.kind == IPC_SPECIAL:
            raise WinError(BAD_NET_NAME, path)
        if account is not None and not target.shares.rights(share, account):
            raise WinError(ACCESS_DENIED, path)
        return share

    def _ambient(self, user: User | None, target: Host, path: str) -> User | None:
        """Whom the other host lets in with what this logon session has by itself."""
        if user is None or target is self._host:
            return user
        if user.sid in {SYSTEM_SID, NETWORK_SERVICE_SID}:
            if not (self._host.joined and self._host.domain.lower() == target.domain.lower()):
                raise WinError(ACCESS_DENIED, path)
            name, domain = f"{self._host.name}$", self._host.users.domain
            return User(name, domain, "", domain_sid(domain, name))
        if not user.delegated:
            raise WinError(ACCESS_DENIED, path)
        return _authenticate(self._host, target, user.full_name, user.password, local=user.domain == self._host.name)

    # -- as data ---------------------------------------------------------------------------------------------------
    def dump(self) -> Rows:
        """The mappings as plain data, secrets included."""
        with self._lock:
            return [
                {"session": [*each.session], "remote": each.remote, "local": each.local,
                 "user_name": each.user_name, "password": each.password}
                for each in self._mappings
            ]  # fmt: skip

    def load(self, rows: Iterable[dict[str, Any]]) -> None:
        """Take over what `dump` gave; what can no longer be mapped is left out, as at a logon."""
        with self._lock:
            self._mappings = []
            for row in rows:
                target = named(self._host, parse(row["remote"]).prefix.strip("\\").partition("\\")[0])
                if target is None:
                    continue
                try:
                    account = _authenticate(self._host, target, row["user_name"], row["password"])
                except WinError:
                    continue
                sid, session = row["session"]
                self._mappings.append(Mapping((sid, session), row["remote"], row["local"], row["user_name"],
                                              row["password"], account if row["user_name"] else None))  # fmt: skip


def named(host: Host, server: str) -> Host | None:
    """The host that a name means, seen from `host`: itself, another of the laboratory, with its domain or without."""
    wanted = server.lower()
    if wanted in _LOCAL or wanted in {host.name.lower(), f"{host.name}.{host.domain}".lower()}:
        return host
    short, _, suffix = wanted.partition(".")
    for name in host.network:
        if name.lower() in {wanted, short}:
            found = host.network[name]
            return found if not suffix or name.lower() == wanted or found.domain.lower() == suffix else None
    return None


def _authenticate(client: Host, target: Host, name: str, password: str, *, local: bool = False) -> User:
    """The account that `target` lets in for a name and a password; WinError 1326 when it does not.

    `local`: the name is of the client's own accounts, so only the part behind the backslash counts over there.
    """
    asked = name.rpartition("\\")[2] if local else name
    account = target.users.find(asked)
    if account is None and not local:
        account = _of_domain(client, target, name)
    if account is not None and account.password == password and (account.disabled or account.locked):
        raise WinError(ACCOUNT_DISABLED if account.disabled else ACCOUNT_LOCKED, name)
    if account is None or not account.password or account.password != password:
        raise WinError(LOGON_FAILURE, name)
    return replace(account, delegated=False, session="")


def _of_domain(client: Host, target: Host, name: str) -> User | None:
    """An account of the target's domain that only the client knows: no administrator over there, but let in."""
    if not target.joined or client.domain.lower() != target.domain.lower():
        return None
    found = client.users.find(name)
    if found is None or found.domain != target.users.domain:
        return None
    return replace(found, administrator=False, remote=False)


def _previous(target: Host, inner: WinPath, path: str) -> str | None:
    r"""Where a path with an @GMT token leads: into the shadow copy of that moment ([MS-SMB2] 3.2.4.3, 2.2.13.2.7).

    The token may stand anywhere below the share; WinError 3 when there is no such shadow copy.
    """
    found = next((match for each in inner.parts if (match := _SNAPSHOT.fullmatch(each))), None)
    if found is None:
        return None
    moment = datetime.datetime.strptime(found[1], "%Y.%m.%d-%H.%M.%S").replace(tzinfo=UTC)
    rest = tuple(each for each in inner.parts if not _SNAPSHOT.fullmatch(each))
    volume = target.volumes.by_path(inner.prefix)
    device = None
    if volume is not None and target.previous_versions is not None:
        device = target.previous_versions(volume, moment)
    if device is None:
        raise WinError(PATH_NOT_FOUND, path)
    return device.rstrip("\\") + "\\" + "\\".join(rest)
