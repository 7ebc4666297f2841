# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes over the wire is counted where it goes, and nothing is left changed afterwards."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import requests
from ansible_collections.umbra.vss.plugins.plugin_utils._meter import Meter
from requests.adapters import HTTPAdapter


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status = 401 if body == b"who" else 200
        self.send_response(status)
        self.send_header("Content-Length", "6")
        self.end_headers()
        self.wfile.write(b"answer")

    def log_message(self, *_):
        pass


@pytest.fixture
def url():
    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def test_operations_and_authentication_are_counted_apart(url):
    with Meter() as meter:
        requests.post(url, data=b"an operation", timeout=5)
        requests.post(url, data=b"who", timeout=5)
        requests.post(url, timeout=5)
    counters = meter.counters
    assert (counters.requests, counters.authentication) == (1, 2)
    assert (counters.bytes_up, counters.bytes_down) == (15, 18)
    assert counters.seconds > 0
    assert set(counters.told()) == {
        "requests",
        "authentication",
        "bytes_up",
        "bytes_down",
        "pipelines",
        "receives",
        "seconds",
    }


def test_a_request_whose_answer_is_lost_is_counted():
    with Meter() as meter, pytest.raises(requests.ConnectionError):
        requests.post("http://127.0.0.1:9/", data=b"x", timeout=5)
    assert meter.counters.requests == 1


def test_it_is_gone_afterwards_whatever_happens(url):
    before = HTTPAdapter.send

    def interrupted():
        with Meter():
            assert HTTPAdapter.send is not before
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert HTTPAdapter.send is before
