# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logging on as real clients do: each way works, costs what it costs, and refuses what it must."""

from __future__ import annotations

import base64
import os
import time

import pytest
import requests
import spnego
import winrm
from pypsrp.exceptions import AuthenticationError, WinRMTransportError, WSManFaultError
from pypsrp.negotiate import HTTPNegotiateAuth
from pypsrp.powershell import RunspacePool
from vsslab.wire.auth import ConnectionAuth, binds_channel
from vsslab.wire.settings import Settings

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
@pytest.mark.parametrize(("name", "password"), [("admin", "wrong"), ("nobody", None), ("OTHER\\admin", None)])
def test_a_wrong_password_or_name_is_refused(wire, options, name, password):
    with pytest.raises(AuthenticationError):
        RunspacePool(wire.wsman(user=name, password=password, **options)).open()
    assert wire.counted[0] == 0


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


def test_a_user_who_may_not_open_shells_is_told_so(wire):
    with pytest.raises(WSManFaultError) as failure:
        RunspacePool(wire.wsman(user="guest", password="pw")).open()
    assert (failure.value.code, failure.value.reason) == (5, "Access is denied.")


def test_nothing_of_the_accounts_stays_in_the_environment(wire):
    before = dict(os.environ)
    with wire.pool():
        assert dict(os.environ) == before


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
