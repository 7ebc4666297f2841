# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What TLS tells about certificates: channel bindings (RFC 5929), a client's principal name, CredSSP's own TLS."""

from __future__ import annotations

import contextlib
import functools
import os
import ssl

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from spnego.tls import CredSSPTLSContext, default_tls_context, generate_tls_certificate

UPN = x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3")  # user principal name, a UTF8String


def certificate_of(context: ssl.SSLContext) -> bytes:
    """The certificate (DER) a server context presents, learnt by a handshake in memory; ssl.SSLError without one."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client_context.check_hostname = False
    client_context.verify_mode = ssl.CERT_NONE
    client = client_context.wrap_bio(to_client, to_server)
    server = context.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(8):
        for side in (client, server):
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
        with contextlib.suppress(ValueError):  # the handshake is not done yet
            found = client.getpeercert(binary_form=True)
            if found:
                return found
    raise ssl.SSLError("The TLS context presents no certificate.")


def end_point(certificate: bytes) -> bytes:
    """The `tls-server-end-point` binding of a certificate (RFC 5929 4.1): MD5 and SHA-1 give way to SHA-256."""
    algorithm: hashes.HashAlgorithm | None
    try:
        algorithm = x509.load_der_x509_certificate(certificate).signature_hash_algorithm
    except UnsupportedAlgorithm:
        algorithm = None
    if algorithm is None or algorithm.name in ("md5", "sha1"):
        algorithm = hashes.SHA256()
    digest = hashes.Hash(algorithm)
    digest.update(certificate)
    return b"tls-server-end-point:" + digest.finalize()


def principal_name(certificate: bytes) -> str | None:
    """The user principal name among the alternative names of a certificate (DER), None when there is none.

    Source: "Certificate authentication" of WinRM: an otherName 1.3.6.1.4.1.311.20.2.3 holding a UTF8String.
    """
    try:
        names = x509.load_der_x509_certificate(certificate).extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
        found = [each.value for each in names.value.get_values_for_type(x509.OtherName) if each.type_id == UPN]
    except (ValueError, x509.ExtensionNotFound):
        return None
    if not found or len(found[0]) < 2 or found[0][0] != 0x0C or found[0][1] != len(found[0]) - 2:
        return None  # a UTF8String of up to 127 bytes is all a name needs
    return found[0][2:].decode("utf-8", "replace")


@functools.cache
def credssp_context() -> CredSSPTLSContext:
    """The TLS inside CredSSP: a certificate nobody checks, made once and kept in memory ([MS-CSSP] 3.1.5).

    TLS 1.2 at most, as Windows up to Server 2019 speaks it there.
    """
    certificate, key, public_key = generate_tls_certificate()
    made = default_tls_context(usage="accept")
    made.context.maximum_version = ssl.TLSVersion.TLSv1_2
    with open(os.memfd_create("vsslab credssp"), "wb") as store:
        store.write(certificate + key)
        store.flush()
        made.context.load_cert_chain(f"/proc/self/fd/{store.fileno()}")
    made.public_key = public_key
    return made
