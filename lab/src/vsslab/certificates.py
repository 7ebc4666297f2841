# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The laboratory's own certificate authority, and a TLS context for each host; made anew for every run."""

from __future__ import annotations

import datetime
import functools
import ipaddress
import ssl
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from vsslab.wire.tls import UPN

_LIFE = datetime.timedelta(days=30)


def make(folder: Path, hosts: Mapping[str, str]) -> tuple[Path, dict[str, HostContext]]:
    """Certificates for hosts given as {name: address}, below `folder`.

    Returns the path of the authority's certificate (PEM, for clients to trust) and a server context by address. A
    host's certificate is made when the first client connects to it.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name("Umbra Office Root CA")
    authority = _builder(subject, subject, key.public_key(), key.public_key()).add_extension(
        x509.BasicConstraints(ca=True, path_length=0), critical=True
    )
    authority = authority.add_extension(_usage(sign_certificates=True), critical=True)
    root = authority.sign(key, hashes.SHA256())
    trusted = folder / "ca.pem"
    trusted.write_bytes(root.public_bytes(serialization.Encoding.PEM))
    return trusted, {
        address: HostContext(
            functools.partial(_certificate, folder, name, address, root, key),
            functools.partial(_client_certificate, root, key),
            trusted,
        )
        for name, address in hosts.items()
    }


class HostContext(ssl.SSLContext):
    """A server context whose certificate is made by `issue` (returns the PEM file) at its first handshake.

    Clients may show a certificate of the authority (`trusted`, PEM); `client_certificate` makes one for an account,
    PEM with its key: the host maps NAME@localhost to the account.
    """

    client_certificate: Callable[[str], bytes]
    _issue: Callable[[], Path] | None
    _issuing: threading.Lock
    _trusted: Path

    def __new__(cls, issue: Callable[[], Path], client: Callable[[str], bytes], trusted: Path) -> HostContext:
        context = super().__new__(cls, ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context._issue, context._issuing = issue, threading.Lock()
        context.client_certificate, context._trusted = client, trusted
        return context

    def wrap_bio(self, *arguments: Any, **options: Any) -> ssl.SSLObject:
        """As in the base class; what asyncio calls for every connection."""
        self._complete()
        return super().wrap_bio(*arguments, **options)

    def wrap_socket(self, *arguments: Any, **options: Any) -> ssl.SSLSocket:
        """As in the base class."""
        self._complete()
        return super().wrap_socket(*arguments, **options)

    def _complete(self) -> None:
        with self._issuing:
            if self._issue is not None:
                self.load_cert_chain(self._issue())
                self.load_verify_locations(self._trusted)
                self.verify_mode = ssl.CERT_OPTIONAL
                self._issue = None


def _certificate(
    folder: Path, name: str, address: str, root: x509.Certificate, root_key: ec.EllipticCurvePrivateKey
) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    names = x509.SubjectAlternativeName([x509.DNSName(name), x509.IPAddress(ipaddress.ip_address(address))])
    builder = (
        _builder(_name(name), root.subject, key.public_key(), root_key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(names, critical=False)
        .add_extension(_usage(), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    )
    certificate = builder.sign(root_key, hashes.SHA256())
    file = folder / f"{name}.pem"
    file.touch(mode=0o600)
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return file


def _client_certificate(root: x509.Certificate, root_key: ec.EllipticCurvePrivateKey, account: str) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    principal = f"{account}@localhost".encode()
    names = x509.SubjectAlternativeName([x509.OtherName(UPN, bytes([0x0C, len(principal)]) + principal)])
    certificate = (
        _builder(_name(account), root.subject, key.public_key(), root_key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(names, critical=False)
        .add_extension(_usage(), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(root_key, hashes.SHA256())
    )
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ) + certificate.public_bytes(serialization.Encoding.PEM)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, authority: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    """What all have in common; whose key it is and whose signed it are what Python 3.13 and newer insist on."""
    now = datetime.datetime.now(datetime.timezone.utc)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + _LIFE)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority), critical=False)
    )


def _usage(*, sign_certificates: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )
