# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logging on as real clients do: each way works, costs what it costs, and refuses what it must."""

from __future__ import annotations

import base64
import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
import spnego
import winrm
from pypsrp.encryption import WinRMEncryption
from pypsrp.exceptions import AuthenticationError, WinRMTransportError, WSManFaultError
from pypsrp.negotiate import HTTPNegotiateAuth
from pypsrp.powershell import RunspacePool
from spnego._ntlm_raw.crypto import compute_response_v1
from spnego._ntlm_raw.messages import Authenticate, Challenge, Negotiate
from spnego._ntlm_raw.messages import NegotiateFlags as F
from spnego.exceptions import SpnegoError
from vsslab import certificates
from vsslab.windows.users import User
from vsslab.wire import accounts
from vsslab.wire.auth import CERTIFICATE, ConnectionAuth, binds_channel
from vsslab.wire.settings import Settings

from .conftest import PASSWORD, Wire, an_address, toy_host

WAYS = [
    ({"ssl": True, "auth": "basic"}, 0),
    ({"ssl": False, "auth": "ntlm"}, 3),
    ({"ssl": True, "auth": "ntlm"}, 2),
    ({"ssl": False, "auth": "negotiate"}, 3),
    ({"ssl": True, "auth": "negotiate"}, 2),
    ({"ssl": True, "auth": "negotiate", "encryption": "always"}, 3),
]


@pytest.mark.parametrize(("options", "authentication"), WAYS)
def test_a_session_costs_six_requests_and_its_authentication(wire, options, authentication):
    with wire.pool(**options) as pool:
        assert wire.counted == (3, authentication)
        assert wire.run(pool, ("Who",)).output == ["SRV1\\admin"]
        assert wire.counted == (5, authentication)
    assert wire.counted == (6, authentication)
    (session,) = [each for each in wire.server.sessions if each.operations]
    assert (session.host, session.user) == ("SRV1", "admin")
    assert session.by_operation == {"Create": 1, "Receive": 3, "Command": 1, "Delete": 1}
    assert session.bytes_up > 5000 < session.bytes_down


@pytest.mark.parametrize("name", ["admin", "ADMIN", "SRV1\\admin", ".\\Admin", "srv1\\admin", "WORKGROUP\\admin"])
@pytest.mark.parametrize("options", [WAYS[0][0], WAYS[1][0]])
def test_an_account_has_several_spellings(wire, name, options):
    with wire.pool(user=name, **options) as pool:
        assert wire.run(pool, ("Who",)).output == ["SRV1\\admin"]


@pytest.mark.parametrize("options", [each for each, _ in WAYS])
@pytest.mark.parametrize(
    ("name", "password"),
    [("admin", "wrong"), ("nobody", None), ("OTHER\\admin", None), ("former", "pw"), ("shut", "pw")],
)
def test_a_wrong_password_or_name_is_refused(wire, options, name, password):
    with pytest.raises(AuthenticationError):
        RunspacePool(wire.wsman(user=name, password=password, **options)).open()
    assert wire.counted[0] == 0


@pytest.fixture(scope="module")
def everything(start):
    """A host that offers every way to log on."""
    return start(Settings(coalesce=0.02, authentication=frozenset({"negotiate", "basic", "credssp", "certificate"})))


class CredSsp(requests.auth.AuthBase):
    """CredSSP as requests-credssp does it, by pyspnego's initiator."""

    def __init__(self, user, password):
        self.context = spnego.client(user, password, protocol="credssp")

    def __call__(self, request):
        request.headers["Connection"] = "Keep-Alive"
        request.register_hook("response", self.answer)
        return request

    def answer(self, response, **options):
        if response.status_code != 401:
            return response
        token = self.context.step()
        while token is not None:
            response.content  # noqa: B018 - the connection is free again when it is read
            response.raw.release_conn()
            request = response.request.copy()
            request.headers["Authorization"] = "CredSSP " + base64.b64encode(token).decode()
            response = response.connection.send(request, **options)
            _, found, given = response.headers.get("WWW-Authenticate", "").rpartition("CredSSP ")
            if not found:
                break
            token = self.context.step(base64.b64decode(given))
        self.context.response_auth_header = "credssp"
        return response


def credssp(wire, user="admin", password=None, ssl=False, body=b""):
    """One session of requests, authenticated by CredSSP."""
    session = requests.Session()
    session.auth = CredSsp(user, wire.password if password is None else password)
    scheme, port = ("https", 5986) if ssl else ("http", 5985)
    return session, session.post(f"{scheme}://{wire.address}:{port}/wsman", data=body, verify=False, timeout=10)


@pytest.mark.parametrize("ssl", [False, True])
def test_credssp_hands_over_credentials(everything, ssl):
    wire = everything
    session, answer = credssp(wire, ssl=ssl)
    assert answer.status_code == 200
    client = wire.wsman(ssl=ssl)
    client.transport = Sealed(session, wire, ssl)
    with RunspacePool(client) as pool:
        assert wire.run(pool, ("Delegated",)).output == [True]
        assert len(wire.run(pool, ("Many", 100)).output) == 100  # more than one record of TLS each way
        assert wire.run(pool, ("Length", "x" * 100_000)).output == [100_000]
    with wire.pool() as pool:
        assert wire.run(pool, ("Delegated",)).output == [False]


class Sealed:
    """pypsrp's messages over a session that is authenticated already."""

    def __init__(self, session, wire, ssl):
        scheme, port = ("https", 5986) if ssl else ("http", 5985)
        self.session, self.endpoint = session, f"{scheme}://{wire.address}:{port}/wsman"
        self.encryption = WinRMEncryption(session.auth.context, WinRMEncryption.CREDSSP)

    def send(self, message, retries_on_read_timeout=0, timeout=None):
        kind, body = self.encryption.wrap_message(message)
        protocol = WinRMEncryption.CREDSSP
        headers = {"Content-Type": f'{kind};protocol="{protocol}";boundary="Encrypted Boundary"'}
        self.session.auth, self.kept = None, self.session.auth
        answer = self.session.post(self.endpoint, data=body, headers=headers, verify=False, timeout=20)
        answer.raise_for_status()
        assert protocol in answer.headers["Content-Type"]
        return self.encryption.unwrap_message(answer.content, "Encrypted Boundary")

    def close(self):
        self.session.close()


@pytest.mark.parametrize(("user", "password"), [("admin", "wrong"), ("former", "pw"), ("nobody", "x")])
def test_credssp_refuses_what_the_others_refuse(everything, user, password):
    try:
        status = credssp(everything, user, password)[1].status_code
    except SpnegoError:  # what the server says inside CredSSP, before the 401
        status = 401
    assert status == 401


def test_what_is_not_offered_is_not_taken(wire, everything):
    assert credssp(wire)[1].status_code == 401
    offers = requests.post(f"https://{everything.address}:5986/wsman", verify=False, timeout=5).headers
    assert offers["WWW-Authenticate"] == 'Negotiate, Basic realm="WSMAN", CredSSP'


@pytest.fixture(scope="module")
def certified(tmp_path_factory):
    """A host whose authority issues client certificates."""
    address, folder = an_address(), tmp_path_factory.mktemp("authority")
    _, contexts = certificates.make(folder, {"srv1": address})
    everything = Settings(coalesce=0.02, authentication=frozenset({"negotiate", "certificate"}))
    wire = Wire(contexts[address], everything, address=address)
    with wire.thread:
        yield wire, contexts[address], folder


@pytest.mark.parametrize(("account", "accepted"), [("helper", True), ("HELPER", True), ("former", False), ("x", False)])
def test_a_certificate_is_an_account(certified, account, accepted):
    wire, context, folder = certified
    file = folder / "client.pem"
    file.write_bytes(context.client_certificate(account))
    options = {"ssl": True, "auth": "certificate", "certificate_pem": str(file), "certificate_key_pem": str(file)}
    if accepted:
        with wire.pool(**options) as pool:
            assert wire.run(pool, ("Who",)).output == ["SRV1\\helper"]
    else:
        with pytest.raises(AuthenticationError):
            RunspacePool(wire.wsman(**options)).open()


def test_a_certificate_must_be_shown_and_be_of_the_authority(certified):
    wire, _, folder = certified
    with wire.pool(ssl=True):  # other ways need none
        pass
    header = {"Authorization": CERTIFICATE}
    answer = requests.post(f"https://{wire.address}:5986/wsman", headers=header, verify=False, timeout=5)
    assert answer.status_code == 401
    _, others = certificates.make(folder / "other", {"srv1": wire.address})
    file = folder / "stranger.pem"
    file.write_bytes(others[wire.address].client_certificate("helper"))
    with pytest.raises(requests.exceptions.ConnectionError):
        requests.post(f"https://{wire.address}:5986/wsman", headers=header, verify=False, cert=str(file), timeout=5)


@pytest.mark.parametrize(
    ("level", "sends", "accepted"),
    [("strict", True, True), ("strict", False, False), ("relaxed", False, True), ("none", False, True)],
)
def test_the_hardening_level_decides_about_channel_bindings(start, level, sends, accepted):
    wire = start(Settings(cbt=level))
    pool = RunspacePool(wire.wsman(ssl=True, negotiate_send_cbt=sends))
    if accepted:
        pool.open()
        pool.close()
    else:
        with pytest.raises(AuthenticationError):
            pool.open()


def test_without_hardening_a_wrong_channel_is_nobodys_business(start, monkeypatch):
    monkeypatch.setattr(HTTPNegotiateAuth, "_get_cbt_data", staticmethod(lambda response: b"tls-server-end-point:no"))
    with start(Settings(cbt="none")).pool(ssl=True):
        pass


def test_unencrypted_is_a_setting(start):
    wire = start(Settings(allow_unencrypted=True))
    with wire.pool(auth="basic", encryption="never") as pool:
        assert wire.run(pool, ("Who",)).output == ["SRV1\\admin"]


def test_a_kerberos_ticket_is_refused(wire):
    ticket = bytes.fromhex("6082001206092a864886f71201020201006e0000")
    header = {"Authorization": "Negotiate " + base64.b64encode(ticket).decode()}
    answer = requests.post(f"http://{wire.address}:5985/wsman", headers=header, timeout=5)
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Negotiate")


def test_basic_is_neither_offered_nor_taken_without_tls(wire):
    token = base64.b64encode(f"admin:{wire.password}".encode()).decode()
    for headers in ({}, {"Authorization": f"Basic {token}"}):
        answer = requests.post(f"http://{wire.address}:5985/wsman", headers=headers, timeout=5)
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Negotiate")


def test_a_message_that_is_not_sealed_is_refused_without_tls(wire):
    with pytest.raises(WinRMTransportError) as failure:
        RunspacePool(wire.wsman(encryption="never")).open()
    assert failure.value.code == 500


def test_a_client_bound_to_another_channel_is_refused(wire, monkeypatch):
    monkeypatch.setattr(HTTPNegotiateAuth, "_get_cbt_data", staticmethod(lambda response: b"tls-server-end-point:no"))
    with pytest.raises(AuthenticationError):
        RunspacePool(wire.wsman(ssl=True)).open()


def test_a_client_without_channel_binding_is_accepted(wire):
    with wire.pool(ssl=True, negotiate_send_cbt=False) as pool:
        assert wire.run(pool, ("Who",)).output == ["SRV1\\admin"]


@pytest.mark.parametrize(("scheme", "transport"), [("http", "ntlm"), ("https", "ntlm"), ("https", "basic")])
def test_pywinrm_logs_on_too(wire, scheme, transport):
    port = 5985 if scheme == "http" else 5986
    protocol = winrm.Protocol(
        f"{scheme}://{wire.address}:{port}/wsman",
        transport=transport,
        username="admin",
        password=wire.password,
        server_cert_validation="ignore",
        proxy=None,
    )
    protocol.close_shell(protocol.open_shell())


@pytest.mark.parametrize(
    ("name", "password", "who"),
    [("twin", "local", "SRV1\\twin"), ("CORP\\twin", "corp", "CORP\\twin"), ("CORP\\twin", "local", None),
     ("twin", "corp", None), ("corp\\only", "pw", "CORP\\only"), ("CORP\\admin", PASSWORD, None)],
)  # fmt: skip
@pytest.mark.parametrize("options", [WAYS[0][0], WAYS[1][0]])
def test_accounts_of_a_domain_are_others(start, name, password, who, options):
    wire = start()
    wire.host.domain = "CORP"
    wire.host.users += [
        User("twin", "SRV1", "local", "S-1-5-21-1-1010", remote=True),
        User("twin", "CORP", "corp", "S-1-5-21-9-1010", remote=True),
        User("only", "CORP", "pw", "S-1-5-21-9-1011", remote=True),
    ]
    if who is None:
        with pytest.raises(AuthenticationError):
            RunspacePool(wire.wsman(user=name, password=password, **options)).open()
    else:
        with wire.pool(user=name, password=password, **options) as pool:
            assert wire.run(pool, ("Who",)).output == [who]


def test_a_user_who_may_not_open_shells_is_told_so(wire):
    with pytest.raises(WSManFaultError) as failure:
        RunspacePool(wire.wsman(user="guest", password="pw")).open()
    assert (failure.value.code, failure.value.reason) == (5, "Access is denied.")


def test_nothing_of_the_accounts_stays_in_the_environment(wire):
    before = dict(os.environ)
    with wire.pool():
        assert dict(os.environ) == before


def test_accounts_are_seen_by_the_thread_that_asks_alone(host):
    def elsewhere():
        if "NTLM_USER_FILE" in os.environ or spnego._ntlm._get_credential_file() is not None:
            return "seen"
        with accounts.credentials(other):  # and waits for nobody
            return spnego._ntlm.socket.gethostname()

    other = toy_host("SRV2")
    before = dict(os.environ)
    with accounts.credentials(host), ThreadPoolExecutor(1) as pool:
        assert pool.submit(elsewhere).result(5) == "SRV2"
        assert spnego._ntlm.socket.gethostname() == "SRV1"
        assert Path(spnego._ntlm._get_credential_file()).read_text(encoding="utf-8").count("admin")
        assert dict(os.environ) == before
    assert spnego._ntlm._get_credential_file() is None
    assert spnego._ntlm.socket.gethostname() == socket.gethostname()


@pytest.mark.parametrize("session_security", [True, False])
@pytest.mark.parametrize("name", ["admin", "SRV1\\admin", "helper", ""])
def test_a_response_that_needs_no_password_is_refused(wire, name, session_security):
    """LM responses: with session security one is no more than the client's challenge ([MS-NLMP] 3.3.1)."""
    flags = F.unicode | F.ntlm | F.request_target | F.always_sign | (F.extended_session_security * session_security)
    response = b"\x11" * 8 + bytes(16) if session_security else bytes(24)

    def legs(challenge):
        domain, _, user = name.rpartition("\\")
        if not session_security:
            response_of_nobody = compute_response_v1(flags, bytes(16), bytes(16), challenge.server_challenge, bytes(8))
            return Authenticate(flags, response_of_nobody[1], b"", domain, user)
        return Authenticate(flags, response, b"", domain, user)

    url, client = f"https://{wire.address}:5986/wsman", requests.Session()
    client.verify = client.trust_env = False
    first = client.post(url, headers=ntlm(Negotiate(flags).pack()))
    challenge = Challenge.unpack(base64.b64decode(first.headers["WWW-Authenticate"].split()[1]))
    assert client.post(url, headers=ntlm(legs(challenge).pack())).status_code == 401


def ntlm(token):
    return {"Authorization": f"NTLM {base64.b64encode(token).decode()}"}


def test_two_hosts_have_accounts_of_their_own(start):
    one, other = start(), start()
    other.host.users[0] = other.host.users[0].__class__("admin", "SRV1", "different", "S-1-5-21-2-500", True, True)
    with one.pool() as pool:
        assert one.run(pool, ("Who",)).output
    with pytest.raises(AuthenticationError):
        RunspacePool(other.wsman()).open()
    with other.pool(password="different"):
        assert other.server.shells(other.address) == 1


@pytest.mark.parametrize(
    "header",
    ["", "Basic", "Basic !!!", "Basic YQ==", "Negotiate", "Negotiate AAAA", "Kerberos AA", "Negotiate " + "A" * 99_996]
    + [f"{scheme} {base64.b64encode(token).decode()}" for scheme in ("Negotiate", "NTLM") for token in (
        b"NTLMSSP\0", b"NTLMSSP\0\1\0\0\0", b"NTLMSSP\0\3\0\0\0" + b"\xff" * 80, b"\x60\x82\xff\xff", b"\x60" * 300)],
)  # fmt: skip
def test_malformed_tokens_are_refused(host, header):
    assert ConnectionAuth(host, secure=True).check(header).outcome == "refused"


def test_a_binding_is_found_in_the_last_message_only():
    assert not binds_channel(b"NTLMSSP\0\3\0\0\0" + b"\0" * 40)
    assert not binds_channel(spnego.client("u", "p", protocol="ntlm").step())


def until_dropped(wire):
    while any(each.open for each in wire.server.sessions):
        time.sleep(0.02)


def test_a_quiet_connection_is_dropped_and_the_session_can_be_repaired(start):
    wire = start(Settings(idle_drop=0.2, coalesce=0.02))
    with wire.pool() as pool:
        assert wire.run(pool, ("Echo", "before")).output == ["before"]
        until_dropped(wire)
        with pytest.raises(WinRMTransportError):  # ciphertext made with the old keys
            wire.run(pool, ("Echo", "lost"))
        transport = pool.connection.transport
        transport.encryption = transport.session = None
        assert wire.run(pool, ("Echo", "after")).output == ["after"]
        assert wire.server.shells(wire.address) == 1


def test_over_tls_the_client_repairs_itself(start):
    wire = start(Settings(idle_drop=0.2, coalesce=0.02))
    with wire.pool(ssl=True) as pool:
        until_dropped(wire)
        assert wire.run(pool, ("Echo", "after")).output == ["after"]
    assert wire.counted == (6, 4)
