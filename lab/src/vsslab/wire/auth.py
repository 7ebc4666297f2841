# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is at the other end of a connection: Basic, Negotiate, NTLM, CredSSP or a certificate, for each TCP connection.

Kerberos is neither offered nor taken: the hosts are in no domain.
"""

from __future__ import annotations

import base64
import binascii
import struct
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import spnego
from spnego.channel_bindings import GssChannelBindings

from vsslab.wire import accounts, sealing, tls
from vsslab.wire.settings import Settings

if TYPE_CHECKING:
    from vsslab.windows.host import Host
    from vsslab.windows.users import User

CERTIFICATE = "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual"
_MAX_TOKEN = 16 * 1024
_CHANNEL_BINDINGS_ID = 0x000A  # [MS-NLMP] 2.2.2.1 MsvAvChannelBindings
_OPTIONS = spnego.NegotiateOptions.use_negotiate


@dataclass(frozen=True)
class Verdict:
    """What to do with a request: go on as `user`, or answer 401 with these headers."""

    outcome: Literal["accepted", "continue", "refused"]
    user: User | None = None
    headers: list[tuple[str, str]] = field(default_factory=list)


class ConnectionAuth:
    """The authentication of one TCP connection.

    As HTTP.sys does, a Negotiate, NTLM or CredSSP handshake authenticates the connection: later requests need no
    header.  Basic and certificates must come with every request, Basic only over TLS (AllowUnencrypted is false).
    NTLM proves the channel as CbtHardeningLevel wants it.  `end_point` is the channel binding of this side's
    certificate, `peer` the client's certificate (DER).
    """

    def __init__(
        self,
        host: Host,
        *,
        secure: bool,
        end_point: bytes | None = None,
        peer: bytes | None = None,
        settings: Settings | None = None,
    ) -> None:
        self._host, self._secure, self._peer = host, secure, peer
        self._settings = settings or Settings()
        self._offered = host.authentication or self._settings.authentication
        self._bindings = GssChannelBindings(application_data=end_point) if end_point else None
        self._context: spnego.ContextProxy | None = None
        self.user: User | None = None
        self.sealer: spnego.ContextProxy | None = None
        self.protocol = sealing.PROTOCOL

    def check(self, header: str | None) -> Verdict:
        """Judge the Authorization header of a request (None when it has none)."""
        if header is None:
            return Verdict("accepted", self.user) if self.user else self._refuse()
        scheme, _, text = header.strip().partition(" ")
        if scheme.lower() == CERTIFICATE and not text:
            return self._certificate()
        try:
            token = base64.b64decode(text.strip(), validate=True)
        except (binascii.Error, ValueError):
            return self._refuse()
        name = scheme.lower()
        if len(token) > _MAX_TOKEN:
            return self._refuse()
        if name == "basic":
            return self._basic(token)
        if name in ("negotiate", "ntlm") and "negotiate" in self._offered:
            return self._handshake(scheme, token, "negotiate")
        if name == "credssp" and "credssp" in self._offered:
            return self._handshake(scheme, token, "credssp")
        return self._refuse()

    def _refuse(self) -> Verdict:
        self._context = self.sealer = self.user = None
        offers = [("WWW-Authenticate", "Negotiate")] if "negotiate" in self._offered else []
        if self._takes_basic:
            offers.append(("WWW-Authenticate", 'Basic realm="WSMAN"'))
        if "credssp" in self._offered:
            offers.append(("WWW-Authenticate", "CredSSP"))
        return Verdict("refused", None, offers)

    @property
    def _takes_basic(self) -> bool:
        return "basic" in self._offered and (self._secure or self._settings.allow_unencrypted)

    def _basic(self, token: bytes) -> Verdict:
        name, colon, password = _text(token).partition(":")
        user = accounts.log_on(self._host, name, password)
        if not (self._takes_basic and colon and user):
            return self._refuse()
        return Verdict("accepted", user)

    def _certificate(self) -> Verdict:
        """The account that the client's certificate is mapped to.

        Assumed: every account is mapped by the user principal name NAME@localhost, and the issuer is the laboratory's
        authority (the TLS handshake saw to that); WSMan:\\localhost\\ClientCertificate holds such mappings.
        """
        if not (self._secure and self._peer and "certificate" in self._offered):
            return self._refuse()
        name, _, realm = (tls.principal_name(self._peer) or "").partition("@")
        user = accounts.find_user(self._host, "", name) if realm.lower() == "localhost" else None
        return Verdict("accepted", user) if user is not None else self._refuse()

    def _handshake(self, scheme: str, token: bytes, protocol: str) -> Verdict:
        if not token:
            return self._refuse()
        try:
            reply = self._step(token, protocol)
        except Exception:  # noqa: BLE001 - a foreign token can make the library raise anything; each means no
            return self._refuse()
        headers = [("WWW-Authenticate", f"{scheme} {base64.b64encode(reply).decode('ascii')}")] if reply else []
        context = self._context
        if context is None or not context.complete:
            return Verdict("continue", None, headers) if reply else self._refuse()
        user = self._user_of(context, token, protocol)
        if user is None:
            return self._refuse()
        self.user, self.sealer, self._context = user, context, None
        self.protocol = sealing.CREDSSP if protocol == "credssp" else sealing.PROTOCOL
        return Verdict("accepted", user, headers)

    def _user_of(self, context: spnego.ContextProxy, token: bytes, protocol: str) -> User | None:
        if protocol == "credssp":
            return self._delegated(context)
        if self._secure and self._settings.cbt == "strict" and not binds_channel(token):
            return None
        domain, _, name = str(context.client_principal or "").rpartition("\\")
        return accounts.find_user(self._host, domain, name)

    def _delegated(self, context: spnego.ContextProxy) -> User | None:
        """The account whose credentials the client handed over, in a session that holds them ([MS-CSSP] 2.2.1.2)."""
        given = context.get_extra_info("client_credential")
        name, password = getattr(given, "username", None), getattr(given, "password", None)
        if not name or password is None:
            return None
        domain = getattr(given, "domain_name", "") or ""
        user = accounts.log_on(self._host, f"{domain}\\{name}" if domain else name, password)
        return replace(user, delegated=True) if user is not None else None

    def _step(self, token: bytes, protocol: str) -> bytes | None:
        with accounts.credentials(self._host):
            if self._context is None or self._context.complete:
                self.user = self.sealer = None
                more: dict[str, Any] = {"credssp_tls_context": tls.credssp_context()} if protocol == "credssp" else {}
                self._context = spnego.server(protocol=protocol, service="HTTP", options=_OPTIONS, **more)
            if protocol == "credssp":
                return self._context.step(token)
            bindings = self._bindings if self._settings.cbt != "none" and binds_channel(token) else None
            return self._context.step(token, channel_bindings=bindings)


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


def _text(token: bytes) -> str:
    try:
        return token.decode("utf-8")
    except UnicodeDecodeError:
        return token.decode("latin-1")
