# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the live page's server answers, and whom."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
import time
import urllib.parse

import pytest
from pypsrp.shell import Process, WinRS
from pypsrp.wsman import WSMan
from vsslab.vss.codes import Context, VssError


def ask(page, path, method="GET", **headers):
    """Status, headers and body of one request."""
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(page.address).netloc, timeout=10)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def data(page, path):
    status, _, body = ask(page, f"/data/{path}")
    assert status == 200, body
    return json.loads(body)


def test_looking_at_the_fleet_sets_no_host_up(start_lab):
    lab, page = start_lab(hosts=3)
    before = [each.name for each in lab.hosts.built()]
    fleet = data(page, "fleet")["hosts"]
    assert [each["name"] for each in fleet] == ["sql01", "host0000", "host0001", "host0002"]
    assert [each["state"] for each in fleet] == ["idle", "untouched", "untouched", "untouched"]
    assert fleet[1]["address"] == lab.addresses["host0000"]
    assert [each.name for each in lab.hosts.built()] == before == ["SQL01"]


def test_a_host_tells_of_its_writers_copies_areas_and_application(start_lab):
    lab, page = start_lab()
    host = lab.hosts["sql01"]
    made = host.vss.create("Test", [host.vss.volume("D:")], Context.BACKUP)
    told = data(page, "host/sql01")
    (copy,) = told["shadows"]
    assert copy["id"] == made.shadows[0].id
    assert (copy["volume"], copy["requestor"], copy["set"]) == ("D:\\", "Test", made.id)
    assert copy["attributes"] == ["differential"]
    (area,) = told["areas"]
    assert (area["volume"], area["on"]) == ("D:\\", "D:\\")
    writers = {each["name"]: each["state"] for each in told["writers"]}
    assert writers["SqlServerWriter"] == "waiting for backup complete"
    assert told["applications"][0]["writes"] > 0
    assert told["profile"] == "server2022"
    assert {each["name"] for each in told["volumes"]} == {"C:\\", "D:\\"}


def test_a_failed_writer_shows_with_its_error_and_the_fault_with_its_counters(start_lab):
    lab, page = start_lab()
    lab.faults.add({"id": "one", "on": {"phase": "freeze", "writer": "SqlServerWriter"}, "do": {"fail": "0x800423F4"}})
    host = lab.hosts["sql01"]
    with pytest.raises(VssError):
        host.vss.create("Test", [host.vss.volume("D:")], Context.BACKUP)
    (fault,) = data(page, "faults")["faults"]
    assert (fault["id"], fault["seen"], fault["fired"]) == ("one", 1, 1)
    (writer,) = (each for each in data(page, "host/sql01")["writers"] if each["name"] == "SqlServerWriter")
    assert writer["failed"]
    assert writer["error"].startswith("0x800423f4")
    assert data(page, "fleet")["hosts"][0]["state"] == "failed"
    assert any(each["mark"] == "!" for each in data(page, "happened")["happened"])


def test_a_session_shows_what_it_has_carried_and_never_a_password(start_lab):
    lab, page = start_lab()
    secret = lab.passwords["sql01", "admin"]
    wsman = WSMan(lab.addresses["sql01"], username="admin", password=secret, auth="ntlm", ssl=False, no_proxy=True)
    before = data(page, "now")["revision"]
    with wsman, WinRS(wsman) as shell:
        Process(shell, "cmd", ["/c", "echo", secret]).invoke()
    assert data(page, "now")["revision"] > before
    (session,) = data(page, "sessions")["sessions"]
    (counted,) = lab.counters()
    assert session["user"] == "admin"
    assert session["by_operation"]["Command"] == 1
    assert session["operations"] == sum(session["by_operation"].values())
    assert (session["bytes_up"], session["bytes_down"]) == (counted["bytes_up"], counted["bytes_down"])
    assert min(session["bytes_up"], session["bytes_down"], session["seconds"]) > 0
    assert data(page, "host/sql01")["sessions"][0]["client"] == session["client"]
    everything = b"".join(ask(page, f"/data/{each}")[2] for each in ("fleet", "host/sql01", "sessions", "happened"))
    assert b"echo" in everything
    assert secret.encode() not in everything


def test_what_was_refused_is_counted(start_lab):
    lab, page = start_lab(hosts=0)
    options = {"username": "admin", "password": lab.passwords["sql01", "admin"], "auth": "ntlm", "ssl": False}
    wsman = WSMan(lab.addresses["sql01"], **options, no_proxy=True)
    with wsman, WinRS(wsman) as shell:
        for _ in range(2):
            Process(shell, "bcdedit").invoke()
    assert data(page, "host/sql01")["refusals"] == [{"id": "bcdedit.exe", "times": 2}]


def test_another_name_for_this_machine_is_refused(start_lab):
    _, page = start_lab(hosts=0)
    port = urllib.parse.urlsplit(page.address).port
    assert ask(page, "/data/now", Host=f"localhost:{port}")[0] == 200
    for name in (f"rebound.example:{port}", "127.0.0.1", f"127.0.0.1.example:{port}", ""):
        status, _, body = ask(page, "/data/fleet", Host=name)
        assert status == 421
        assert b"sql01" not in body


def test_only_get_is_answered_and_nothing_may_be_loaded_from_elsewhere(start_lab):
    _, page = start_lab(hosts=0)
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert ask(page, "/data/fleet", method)[0] == 405
    for path in ("/", "/page.js", "/page.css", "/data/now"):
        status, headers, _ = ask(page, path)
        assert status == 200
        assert headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'; style-src 'self';")
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "Access-Control-Allow-Origin" not in headers


WRONG = ("/data", "/data/", "/data/none", "/data/host/none", "/data/host/sql01/more", "/data/now/more",
         "/../page/server.py", "/data/host/..%2f..", "/page.js/x")  # fmt: skip


@pytest.mark.parametrize("path", WRONG)
def test_what_is_not_there_is_not_found(start_lab, path):
    _, page = start_lab(hosts=0)
    status, headers, _ = ask(page, path)
    assert status == 404
    assert headers["Content-Type"].startswith("text/plain")


def test_closing_leaves_no_thread_and_no_socket(start_lab):
    _, page = start_lab(hosts=0)
    port = urllib.parse.urlsplit(page.address).port
    idle = http.client.HTTPConnection("127.0.0.1", port, timeout=10)  # a browser keeps its connection
    idle.request("GET", "/data/now")
    idle.getresponse().read()
    silent = socket.create_connection(("127.0.0.1", port))  # and some say nothing at all
    page.close()
    page.close()
    silent.close()
    idle.close()
    assert not [
        each.name for each in threading.enumerate() if "vsslab page" in each.name or "process_request" in each.name
    ]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_pages_of_others_cannot_even_ask(start_lab):
    lab, page = start_lab(hosts=1)
    for site in ("cross-site", "same-site"):
        assert ask(page, "/data/host/host0000", **{"Sec-Fetch-Site": site})[0] == 403
    assert [each.name for each in lab.hosts.built()] == ["SQL01"]
    assert ask(page, "/data/now", **{"Sec-Fetch-Site": "same-origin"})[0] == 200
    assert ask(page, "/", **{"Sec-Fetch-Site": "cross-site"})[0] == 200  # a link


def test_connections_that_say_nothing_take_no_more_than_their_share(start_lab):
    _, page = start_lab(hosts=1)
    netloc = urllib.parse.urlsplit(page.address)
    before = threading.active_count()
    with contextlib.ExitStack() as held:
        for _ in range(150):
            held.enter_context(socket.create_connection((netloc.hostname, netloc.port), timeout=5))
        until = time.monotonic() + 5
        while threading.active_count() < before + 100 and time.monotonic() < until:
            time.sleep(0.02)
        time.sleep(0.2)
        assert before < threading.active_count() <= before + 100
    until = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < until:
        time.sleep(0.02)
    assert data(page, "now")["hosts"] == 2
