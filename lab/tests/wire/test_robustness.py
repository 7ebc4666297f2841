# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever arrives, the server answers with a status or a fault, or closes; it goes on serving everybody else."""

from __future__ import annotations

import base64
import contextlib
import logging
import socket
import time
import uuid

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pypsrp.exceptions import WSManFaultError
from pypsrp.powershell import PowerShell, RunspacePool
from vsslab.wire import fragments, soap

STARTS = [
    b"",
    b"POST /wsman HTTP/1.1\r\n",
    b"POST /wsman HTTP/1.1\r\nHost: h\r\nContent-Length: 20\r\nContent-Type: multipart/encrypted\r\n\r\n",
]
BODIES = ["", "<rsp:Shell/>", "<rsp:CommandLine CommandId='x'/>", "<rsp:Receive/>", "<rsp:Signal/>", "<x/>"]
BODIES.append("<rsp:Send><rsp:Stream>!</rsp:Stream></rsp:Send>")
RESOURCES = ["", f"{soap.RSP}/cmd", "http://schemas.microsoft.com/powershell/Microsoft.PowerShell"]
IDENTIFY = (
    f'<s:Envelope xmlns:s="{soap.S}" xmlns:wsmid="http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd">'
    "<s:Header/><s:Body><wsmid:Identify/></s:Body></s:Envelope>"
)
SOAP_TYPE = {"Content-Type": "application/soap+xml;charset=UTF-8"}


def post(wire, body, user="admin", **headers):
    return requests.post(
        f"https://{wire.address}:5986/wsman",
        data=body,
        headers=SOAP_TYPE | headers,
        auth=(user, wire.password.encode()) if user else None,
        verify=False,
        timeout=10,
    )


def raw(wire, data: bytes, port: int = 5985) -> bytes:
    """Send bytes, say that nothing follows, and read to the end."""
    with socket.create_connection((wire.address, port), timeout=5) as line:
        line.sendall(data)
        line.shutdown(socket.SHUT_WR)
        answer = b""
        while part := line.recv(65536):
            answer += part
    return answer


def test_identify_needs_no_password(wire):
    answer = post(wire, IDENTIFY, user=None, WSMANIDENTIFY="unauthenticated")
    assert answer.status_code == 200
    assert "OS: 0.0.0 SP: 0.0 Stack: 3.0" in answer.text
    assert "OS: 10.0.20348 SP" in post(wire, IDENTIFY).text


@pytest.mark.parametrize("body", ["", "<a", "x" * 100])
def test_what_is_no_identify_request_gets_in_no_other_way(wire, body):
    answer = post(wire, body or soap.respond("uuid:1", "x", ""), user=None, WSMANIDENTIFY="unauthenticated")
    assert answer.status_code in (400, 401)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("<a", 2150858817),
        ('<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>', 2150858817),
        (f'<s:Envelope xmlns:s="{soap.S}"><s:Body/></s:Envelope>', 2150858769),
        (soap.respond("uuid:1", "http://nonsense/Action", ""), 2150858771),
        (soap.respond("uuid:1", f"{soap.RSP}/Receive", ""), 2150858843),
    ],
)
def test_messages_that_make_no_sense_are_answered_by_a_fault(wire, body, code):
    answer = post(wire, body)
    assert answer.status_code == 500
    assert f'Code="{code}"' in answer.text


def test_other_paths_methods_and_types_are_refused(wire):
    assert requests.get(f"http://{wire.address}:5985/wsman", timeout=5).status_code == 405
    assert requests.post(f"http://{wire.address}:5985/other", timeout=5).status_code == 404
    assert post(wire, IDENTIFY, **{"Content-Type": "text/html"}).status_code == 415


def test_bodies_beyond_the_limit_end_the_connection(wire):
    head = b"POST /wsman HTTP/1.1\r\nHost: h\r\nContent-Length: 9000000\r\n\r\n"
    assert raw(wire, head).startswith(b"HTTP/1.1 413 ")
    with pytest.raises(requests.exceptions.RequestException):
        post(wire, b"x" * 3_000_000).raise_for_status()


@pytest.mark.parametrize(
    "data", [b"", b"\r\n", b"\x16\x03\x01\0", b"GET / HTTP/1.1\r\n", b"POST / HTTP/1.1\r\nHost: h\r\n\r\n"]
)
def test_connections_that_end_early_are_forgotten(wire, data):
    others = [each.client for each in wire.server.sessions]
    raw(wire, data)
    until = time.monotonic() + 3
    while any(each.open and each.client not in others for each in wire.server.sessions):
        assert time.monotonic() < until
        time.sleep(0.01)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=300), start=st.sampled_from(STARTS))
def test_random_bytes_do_no_harm(wire, caplog, start, data):
    with caplog.at_level(logging.WARNING):
        answer = raw(wire, start + data)
    assert not answer or answer.startswith(b"HTTP/1.1 ")
    assert not caplog.records
    assert not wire.host.trace.events("defect")


def test_what_is_no_tls_does_no_harm(wire, caplog):
    with caplog.at_level(logging.WARNING), contextlib.suppress(ConnectionError):
        raw(wire, b"POST /wsman HTTP/1.1\r\n\r\n" * 10, 5986)
    assert not caplog.records
    assert post(wire, IDENTIFY).status_code == 200


def pipeline_message(xml: bytes, pool: str, kind: int = 0x21006) -> bytes:
    data = fragments.message(kind, uuid.UUID(pool), uuid.UUID(int=5), b"")[:40]
    return fragments.fragment(9, 0, data + xml, end=True)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x",
        b"\0" * 40,
        pipeline_message(b"<Obj/>", str(uuid.UUID(int=1))),
        pipeline_message(b"<S>text</S>", str(uuid.UUID(int=1))),
        pipeline_message(b"<Obj RefId='0'>" * 5000 + b"</Obj>" * 5000, str(uuid.UUID(int=1))),
        pipeline_message(b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', str(uuid.UUID(int=1))),
        pipeline_message(b"", str(uuid.UUID(int=1)), kind=0xFFFF),
        pipeline_message(b"<Obj/>", str(uuid.UUID(int=1)), kind=0x10002),
    ],
)
def test_remoting_data_that_is_none_is_a_fault_and_the_session_survives(wire, data):
    with wire.pool() as pool:
        wire.host.trace.clear()
        with contextlib.suppress(WSManFaultError):
            pool.shell.command("", [base64.b64encode(data).decode()], command_id=str(uuid.UUID(int=5)))
        assert not wire.host.trace.events("defect")
        assert wire.run(pool, ("Echo", 1)).output == [1]


def test_a_session_needs_its_opening_messages(wire):
    pool = RunspacePool(wire.wsman())
    pool._fragmenter.fragment_multiple = lambda *_more: [b""]
    with pytest.raises(WSManFaultError, match="opening messages are incomplete"):
        pool.open()


def test_a_message_may_not_grow_without_end(wire):
    with wire.pool() as pool:
        shell = PowerShell(pool)
        shell.add_cmdlet("Length").add_argument("x" * 11_000_000)
        with pytest.raises(WSManFaultError, match="larger than 10485760"):
            shell.begin_invoke()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(operation=st.sampled_from(["Create", "Command", "Receive", "Send", "Signal", "Delete", "Get"]),
       body=st.sampled_from(BODIES), resource=st.sampled_from(RESOURCES))  # fmt: skip
def test_any_mixture_of_operations_and_bodies_is_answered(wire, operation, body, resource):
    action = f"{soap.X if operation in ('Create', 'Delete', 'Get') else soap.RSP}/{operation}"
    text = soap.respond("uuid:1", action, body).decode()
    answer = post(wire, text.replace("<a:RelatesTo>", f"<w:ResourceURI>{resource}</w:ResourceURI><a:RelatesTo>"))
    assert answer.status_code in (200, 500)
    assert not wire.host.trace.events("defect")
    if answer.status_code == 200:
        shell = answer.text.partition('Name="ShellId">')[2].partition("<")[0]
        delete = soap.respond("uuid:1", f"{soap.X}/Delete", "").decode()
        selector = f'<w:SelectorSet><w:Selector Name="ShellId">{shell}</w:Selector></w:SelectorSet><a:RelatesTo>'
        assert post(wire, delete.replace("<a:RelatesTo>", selector)).status_code == 200
