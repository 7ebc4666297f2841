# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections as bad networks and odd clients make them, and how many of everything there may be."""

from __future__ import annotations

import base64
import contextlib
import os
import socket
import subprocess
import sys
import threading
import time

import pytest
import requests
from pypsrp.exceptions import WSManFaultError
from pypsrp.powershell import RunspacePool
from vsslab.wire import soap
from vsslab.wire.connection import Connection
from vsslab.wire.settings import Settings

from .conftest import PASSWORD, Wire
from .test_psrp import begin
from .test_robustness import IDENTIFY

BASIC = base64.b64encode(f"admin:{PASSWORD}".encode()).decode()
PLAIN = Settings(coalesce=0.02, allow_unencrypted=True, head_wait=0.4, body_wait=0.4, idle_drop=5.0)


def request(body: str = IDENTIFY, version: str = "HTTP/1.1", **headers: str) -> bytes:
    lines = [f"POST /wsman {version}", "Host: x", f"Authorization: Basic {BASIC}",
             "Content-Type: application/soap+xml;charset=UTF-8", f"Content-Length: {len(body.encode())}",
             *(f"{name}: {value}" for name, value in headers.items())]  # fmt: skip
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


@pytest.fixture(scope="module")
def plain(start):
    """A host that takes plain messages, so that a test can write them by hand."""
    return start(PLAIN)


@contextlib.contextmanager
def line(wire):
    with socket.create_connection((wire.address, 5985), timeout=5) as made:
        yield made


def answers(made: socket.socket, wanted: int) -> bytes:
    """What the host says, until so many answers are there or it closes."""
    got = b""
    while got.count(b"</s:Envelope>") < wanted:
        part = made.recv(65536)
        if not part:
            break
        got += part
    return got


def closed(made: socket.socket, within: float) -> bool:
    made.settimeout(within)
    try:
        return made.recv(1) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def test_requests_sent_at_once_are_answered_in_their_order(plain):
    with line(plain) as made:
        made.sendall(request() + request("<a") + request())
        got = answers(made, 3)
    assert [got.find(each) for each in (b"IdentifyResponse", b"2150858817")] == sorted(
        [got.find(b"IdentifyResponse"), got.find(b"2150858817")]
    )
    assert got.count(b"HTTP/1.1 200 OK") == 2


def test_a_client_that_closes_its_half_still_gets_its_answers(plain):
    with line(plain) as made:
        made.sendall(request() + request())
        made.shutdown(socket.SHUT_WR)
        got = answers(made, 2)
        assert got.count(b"HTTP/1.1 200 OK") == 2
        assert closed(made, 2)


@pytest.mark.parametrize(
    ("version", "connection", "stays"),
    [("HTTP/1.1", "", True), ("HTTP/1.1", "close", False), ("HTTP/1.0", "", False), ("HTTP/1.0", "Keep-Alive", True)],
)
def test_a_connection_stays_open_as_the_client_wishes(plain, version, connection, stays):
    with line(plain) as made:
        made.sendall(request(version=version, **({"Connection": connection} if connection else {})))
        got = answers(made, 1)
        assert b"200 OK" in got
        assert (b"Connection: close" in got, b"Connection: Keep-Alive" in got) == (
            not stays, stays and version == "HTTP/1.0")  # fmt: skip
        assert closed(made, 0.2) is not stays


def test_a_body_may_wait_for_permission_and_come_in_chunks(plain):
    head, _, body = request(Expect="100-continue").partition(b"\r\n\r\n")
    with line(plain) as made:
        made.sendall(head + b"\r\n\r\n")
        assert made.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        made.sendall(body)
        assert b"200 OK" in answers(made, 1)
    length = head.find(b"Content-Length")
    chunked = head[:length] + b"Transfer-Encoding: chunked"
    with line(plain) as made:
        for part in (chunked + b"\r\n\r\n", b"%x\r\n" % len(body[:9]) + body[:9] + b"\r\n"):
            made.sendall(part)
        made.sendall(b"%x\r\n" % len(body[9:]) + body[9:] + b"\r\n0\r\n\r\n")
        assert b"200 OK" in answers(made, 1)


@pytest.mark.parametrize("start_with", [b"POST /wsman HTTP/1.1\r\n", request()[:-20]], ids=["head", "body"])
def test_a_client_that_dribbles_is_cut_off(plain, start_with):
    with line(plain) as made:
        made.sendall(start_with)
        began = time.monotonic()
        with contextlib.suppress(ConnectionError):
            while not closed(made, 0.1) and time.monotonic() - began < 3:
                made.sendall(b"a")
        assert 0.3 < time.monotonic() - began < 2


def test_a_silent_connection_is_dropped_after_its_time(start):
    wire = start(Settings(idle_drop=0.3))
    with line(wire) as made:
        began = time.monotonic()
        assert closed(made, 3)
        assert 0.2 < time.monotonic() - began < 2


def test_a_client_that_does_not_read_is_cut_off(start):
    wire = start(Settings(allow_unencrypted=True, idle_drop=0.5, coalesce=0.0))
    with socket.socket() as made:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        made.settimeout(0.3)
        made.connect((wire.address, 5985))
        with contextlib.suppress(OSError):  # at last the host reads no more either
            while True:
                made.sendall(request() * 50)
        until = time.monotonic() + 10
        while any(each.open for each in wire.server.sessions) and time.monotonic() < until:
            time.sleep(0.05)
        assert not any(each.open for each in wire.server.sessions)


def test_there_are_so_many_connections_and_no_more(start):
    wire = start(Settings(max_connections=2, allow_unencrypted=True))
    with line(wire) as one, line(wire) as two:
        for each in (one, two):
            each.sendall(request())
            assert b"200 OK" in answers(each, 1)
        with line(wire) as three:
            assert closed(three, 2)
        one.sendall(request())
        assert b"200 OK" in answers(one, 1)


# --- quotas


def test_users_with_shells_are_counted(start):
    wire = start(Settings(max_users=1))
    with wire.pool(), wire.pool():
        with pytest.raises(WSManFaultError) as failure:
            RunspacePool(wire.wsman(user="helper", password="pw")).open()
        assert "QuotaLimit" in str(failure.value.code)
        assert "maximum number of users (1)" in wmi_message(wire)
    with wire.pool(user="helper", password="pw"):
        assert wire.server.shells(wire.address) == 1


def wmi_message(wire):
    """The text of the quota fault as it was sent, from a message by hand over TLS."""
    body = soap.respond("uuid:1", f"{soap.X}/Create", '<rsp:Shell ShellId="12345678-1234-1234-1234-123456789012"/>')
    text = body.decode().replace("<a:RelatesTo>", f"<w:ResourceURI>{soap.RSP}/cmd</w:ResourceURI><a:RelatesTo>")
    answer = requests.post(f"https://{wire.address}:5986/wsman", data=text, verify=False, timeout=5,
                           headers={"Content-Type": "application/soap+xml"}, auth=("helper", "pw"))  # fmt: skip
    return answer.text


@pytest.mark.parametrize(
    ("limits", "code"),
    [({"max_operations_per_user": 1}, "InternalError"), ({"max_requests": 1}, 2150859176)],
)
def test_requests_in_progress_are_counted(start, limits, code):
    wire = start(Settings(coalesce=0.02, **limits))
    with wire.pool() as pool:
        shell = begin(pool, "Wait")
        shell.poll_invoke()
        other = wire.wsman()
        waiting = threading.Thread(target=shell.poll_invoke, daemon=True)  # a Receive that waits
        waiting.start()
        endpoint = wire.server._endpoints[wire.address]
        until = time.monotonic() + 5
        while not endpoint._receivers and time.monotonic() < until:
            time.sleep(0.01)
        with pytest.raises(WSManFaultError) as failure:
            RunspacePool(other).open()
        assert str(code) in str(failure.value.code)
        for task in next(iter(endpoint.shells.all())).tasks.values():
            task.stop.set()
        waiting.join(5)
    with wire.pool():
        pass


def test_what_goes_wrong_in_the_loop_is_traced_and_not_printed(start, capfd):
    wire = start(PLAIN)
    wire.thread._loop.call_soon_threadsafe(lambda: 1 / 0)
    assert exchange(wire, request()).startswith(b"HTTP/1.1 200 ")
    assert ["ZeroDivisionError" in each["what"] for each in wire.host.trace.events("defect")] == [True]
    assert capfd.readouterr().err == ""


def test_a_defect_while_answering_is_traced(start, monkeypatch):
    wire = start(PLAIN)
    monkeypatch.setattr(Connection, "_soap", lambda *_details: 1 / 0)
    assert exchange(wire, request()) == b""
    assert ["ZeroDivisionError" in each["what"] for each in wire.host.trace.events("defect")] == [True]


def test_a_host_that_cannot_be_set_up_closes_and_says_so(start, monkeypatch, capfd):
    class Broken(dict):
        def __getitem__(self, name):
            raise RuntimeError("no such luck")

    wire = start(PLAIN)
    wire.server._hosts = Broken(wire.server._hosts)
    with contextlib.suppress(OSError):
        assert exchange(wire, request()) == b""
    assert "RuntimeError: no such luck" in wire.host.trace.events("error")[0]["what"]
    assert capfd.readouterr().err == ""


def test_a_shell_that_ends_badly_does_not_keep_the_others(start, monkeypatch):
    wire = start(Settings(shell_idle=0.5, coalesce=0.02))
    pools = [RunspacePool(wire.wsman()) for _ in range(2)]
    for each in pools:
        each.open()
    first = wire.server._endpoints[wire.address].shells.all()[0]
    monkeypatch.setattr(first, "kill", lambda: 1 / 0)
    until = time.monotonic() + 5
    while wire.server.shells(wire.address) and time.monotonic() < until:
        time.sleep(0.05)
    assert wire.server.shells(wire.address) == 0
    assert "ZeroDivisionError" in wire.host.trace.events("defect")[0]["what"]


def exchange(wire, data: bytes) -> bytes:
    """Everything that one connection answers to these bytes."""
    with line(wire) as made:
        made.sendall(data)
        made.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: made.recv(65536), b""))


def test_a_server_that_stops_leaves_no_thread(certificate):
    before = set(threading.enumerate())
    wire = Wire(certificate, PLAIN)
    with wire.thread:
        assert exchange(wire, request()).startswith(b"HTTP/1.1 200 ")
    assert [each.name for each in threading.enumerate() if each not in before] == []


FEW_FILES = """
import os, resource, sys
from types import SimpleNamespace
from vsslab.trace import Trace
from vsslab.wire.server import WireServer, WireThread

resource.setrlimit(resource.RLIMIT_NOFILE, tuple(map(int, sys.argv[1:])))
hosts = {f"127.99.{n // 200}.{n % 200 + 1}": SimpleNamespace(name=f"H{n}") for n in range(300)}
server = WireServer(hosts, trace=Trace(), faults=None, runspace_factory=None, ports=(5985, 0))
try:
    with WireThread(server):
        print(sum(len(each.sockets) for each in server._listeners))
except OSError as error:
    print(error.strerror)
"""


@pytest.mark.parametrize(("soft", "hard", "said"), [(100, 2000, "300"), (100, 200, "Too many open files")])
def test_a_fleet_that_needs_more_files_gets_them_or_is_refused(soft, hard, said):
    path = {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", FEW_FILES, str(soft), str(hard)], env=path, check=False,
                          capture_output=True, text=True, timeout=60)  # fmt: skip
    assert (done.stdout.strip(), done.stderr) == (said, "")


def test_a_tls_handshake_that_hangs_is_given_up(start, monkeypatch, capfd):
    monkeypatch.setattr("vsslab.wire.server._HANDSHAKE", 0.3)
    wire = start(PLAIN)
    with socket.create_connection((wire.address, 5986), timeout=5) as silent, contextlib.suppress(ConnectionError):
        assert silent.recv(10) == b""
    assert not wire.host.trace.events("defect")
    assert capfd.readouterr().err == ""
