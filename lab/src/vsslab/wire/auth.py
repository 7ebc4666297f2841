# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is at the other end of a connection: Basic, Negotiate and NTLM, decided for each TCP connection by itself."""

from __future__ import annotations

import base64
import binascii
import contextlib
import functools
import hmac
import os
import re
import struct
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import spnego
from spnego._ntlm_raw.crypto import ntowfv1
from spnego.channel_bindings import GssChannelBindings

if TYPE_CHECKING:
    from vsslab.windows.host import Host
    from vsslab.windows.users import User

_MAX_TOKEN = 16 * 1024
_ENVIRONMENT = threading.Lock()
_NO_LM_HASH = "0" * 32
_CHANNEL_BINDINGS_ID = 0x000A  # [MS-NLMP] 2.2.2.1 MsvAvChannelBindings


@dataclass(frozen=True)
class Verdict:
    """What to do with a request: go on as `user`, or answer 401 with these headers."""

    outcome: Literal["accepted", "continue", "refused"]
    user: User | None = None
    headers: list[tuple[str, str]] = field(default_factory=list)


class ConnectionAuth:
    """The authentication of one TCP connection.

    As HTTP.sys does, a Negotiate or NTLM handshake authenticates the connection: later requests need no header.  Basic
    must come with every request and only over TLS (WinRM's AllowUnencrypted is false).  NTLM proves the channel when
    the client binds to it and accepts clients that do not (CbtHardeningLevel Relaxed, WinRM's default).
    """

    def __init__(self, host: Host, *, secure: bool, end_point: bytes | None = None) -> None:
        self._host = host
        self._secure = secure
        self._bindings = GssChannelBindings(application_data=end_point) if end_point else None
        self._context: spnego.ContextProxy | None = None
        self.user: User | None = None
        self.sealer: spnego.ContextProxy | None = None

    def check(self, header: str | None) -> Verdict:
        """Judge the Authorization header of a request (None when it has none)."""
        if header is None:
            return Verdict("accepted", self.user) if self.user else self._refuse()
        scheme, _, credentials = header.strip().partition(" ")
        method = {"basic": self._basic, "negotiate": self._negotiate, "ntlm": self._negotiate}.get(scheme.lower())
        if method is None or len(credentials) > _MAX_TOKEN * 2:
            return self._refuse()
        try:
            token = base64.b64decode(credentials.strip(), validate=True)
        except (binascii.Error, ValueError):
            return self._refuse()
        return method(scheme, token)

    def _refuse(self) -> Verdict:
        self._context = self.sealer = self.user = None
        offers = [("WWW-Authenticate", "Negotiate")]
        if self._secure:
            offers.append(("WWW-Authenticate", 'Basic realm="WSMAN"'))
        return Verdict("refused", None, offers)

    def _basic(self, _scheme: str, token: bytes) -> Verdict:
        name, colon, password = _text(token).partition(":")
        domain, _, plain = name.rpartition("\\")
        user = find_user(self._host, domain, plain)
        known = user.password if user else ""
        right = hmac.compare_digest(password.encode(), known.encode())
        if not (self._secure and colon and user and right):
            return self._refuse()
        return Verdict("accepted", user)

    def _negotiate(self, scheme: str, token: bytes) -> Verdict:
        if not token or len(token) > _MAX_TOKEN:
            return self._refuse()
        try:
            reply = self._step(token)
        except Exception:  # noqa: BLE001 - a foreign token can make the library raise anything; each means no
            return self._refuse()
        headers = [("WWW-Authenticate", f"{scheme} {base64.b64encode(reply).decode('ascii')}")] if reply else []
        context = self._context
        if context is None or not context.complete:
            return Verdict("continue", None, headers) if reply else self._refuse()
        domain, _, name = str(context.client_principal or "").rpartition("\\")
        user = find_user(self._host, domain, name)
        if user is None:
            return self._refuse()
        self.user, self.sealer, self._context = user, context, None
        return Verdict("accepted", user, headers)

    def _step(self, token: bytes) -> bytes | None:
        with _credentials(self._host):
            if self._context is None or self._context.complete:
                self.user = self.sealer = None
                self._context = spnego.server(
                    protocol="negotiate", service="HTTP", options=spnego.NegotiateOptions.use_negotiate
                )
            bindings = self._bindings if binds_channel(token) else None
            return self._context.step(token, channel_bindings=bindings)


def users_of(host: Host) -> list[User]:
    """All accounts of a host."""
    users: object = host.users
    if isinstance(users, Mapping):
        return list(users.values())
    return list(users) if isinstance(users, Iterable) else []


def domains_of(host: Host) -> list[str]:
    """The names before the backslash that mean this host's own accounts."""
    names = ["", ".", host.name, str(getattr(host, "domain", "") or "")]
    return list(dict.fromkeys(name.upper() for name in names))


def find_user(host: Host, domain: str, name: str) -> User | None:
    """The account with this name, without regard to case, when the domain means this host."""
    if domain.upper() not in domains_of(host):
        return None
    return next((user for user in users_of(host) if user.name.lower() == name.lower()), None)


def binds_channel(token: bytes) -> bool:
    """True when an NTLM AUTHENTICATE message in the token carries a channel binding ([MS-NLMP] 2.2.1.3, 2.2.2.1)."""
    at = token.find(b"NTLMSSP\0\x03\0\0\0")
    message = token[at:] if at >= 0 else b""
    if len(message) < 28:
        return False
    length, _, offset = struct.unpack_from("<HHI", message, 20)
    pairs = message[offset : offset + length][44:]  # behind the proof (16) and the fixed part of the response (28)
    while len(pairs) >= 4:
        kind, size = struct.unpack_from("<HH", pairs)
        if kind == _CHANNEL_BINDINGS_ID:
            return any(pairs[4 : 4 + size])
        if kind == 0:
            break
        pairs = pairs[4 + size :]
    return False


@contextlib.contextmanager
def _credentials(host: Host) -> Iterator[None]:
    """Let pyspnego see the accounts of this host, and only while one handshake step runs.

    Its acceptor knows no other way than a file named by NTLM_USER_FILE.  This one is in memory only, open to this
    process alone, and holds hashes, not passwords; the lock keeps hosts apart, and nothing is left whatever happens.
    """
    lines = [
        f"{_account(domain, user.name)}:0:{_NO_LM_HASH}:{_nt_hash(user.password)}:[U]:LCT-0"
        for user in users_of(host)
        for domain in domains_of(host)
        if not re.search(r"[:\r\n]", f"{domain}{user.name}")
    ]
    with _ENVIRONMENT, open(os.memfd_create("vsslab accounts"), "w", encoding="utf-8") as store:
        store.write("\n".join(lines))
        store.flush()
        before = os.environ.get("NTLM_USER_FILE")
        os.environ["NTLM_USER_FILE"] = f"/proc/self/fd/{store.fileno()}"
        try:
            yield
        finally:
            if before is None:
                del os.environ["NTLM_USER_FILE"]
            else:
                os.environ["NTLM_USER_FILE"] = before


def _account(domain: str, name: str) -> str:
    return f"{domain}\\{name}" if domain else name


@functools.lru_cache(maxsize=1024)
def _nt_hash(password: str) -> str:
    return bytes(ntowfv1(password)).hex().upper()


def _text(token: bytes) -> str:
    try:
        return token.decode("utf-8")
    except UnicodeDecodeError:
        return token.decode("latin-1")
