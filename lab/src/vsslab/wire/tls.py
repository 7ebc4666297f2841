# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a TLS listener must know of its own certificate: the channel binding of RFC 5929."""

from __future__ import annotations

import contextlib
import ssl

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes


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
