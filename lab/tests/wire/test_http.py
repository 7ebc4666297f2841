# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The HTTP parser understands what it must and answers the rest with a status, whatever the network cuts."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vsslab.wire.http import MAX_HEAD, HttpError, RequestParser, response

LIMIT = 1000
POST = b"POST /wsman HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"POST /wsman HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNKED += b"3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nTrailer: t\r\n\r\n"


def parse(data: bytes, size: int = 4096) -> list:
    parser, found = RequestParser(LIMIT), []
    for at in range(0, len(data), size):
        parser.feed(data[at : at + size])
        while (request := parser.next_request()) is not None:
            found.append(request)
    return found


@pytest.mark.parametrize("size", [1, 2, 7, 4096])
@pytest.mark.parametrize("data", [POST, CHUNKED, b"\r\n" + POST])
def test_a_body_arrives_whole_however_it_is_cut(data, size):
    (request,) = parse(data, size)
    assert (request.method, request.target, request.body, request.keep_alive) == ("POST", "/wsman", b"hello", True)


def test_requests_on_one_connection_follow_each_other():
    assert [
        each.body for each in parse(POST + CHUNKED + b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    ] == [
        b"hello",
        b"hello",
        b"",
    ]


def test_repeated_headers_are_joined_and_names_have_no_case():
    (request,) = parse(b"GET / HTTP/1.1\r\nHost: h\r\nAccept: a\r\nACCEPT: b\r\n\r\n")
    assert request.headers["accept"] == "a, b"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET / HTTP/1.1\r\nA: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: h\r\nA: b\nContent-Length: 5\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: h\r\nA: b\rContent-Length: 5\r\n\r\n", 400),
        (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1;a\nb\r\nx\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"A: b\r\n" * 101, 431),
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\n\r\n", 505),
        (b"GET / FTP\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\nName : x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\nA: 1\r\n folded\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3E9\r\n", 413),
        (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\n" + b"A: b\r\n" * 101 + b"\r\n", 431),
        (b"GET /" + b"a" * (MAX_HEAD + 10), 431),
    ],
)
def test_what_is_no_request_gets_a_status(data, status):
    with pytest.raises(HttpError) as failure:
        parse(data)
    assert failure.value.status == status


def test_a_client_may_ask_before_it_sends_the_body():
    parser = RequestParser(LIMIT)
    parser.feed(b"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    assert parser.next_request() is None
    assert parser.wants_continue()
    assert not parser.wants_continue()


def test_an_answer_says_how_long_it_is():
    assert response(401, b"", [("WWW-Authenticate", "Negotiate")], keep_alive=False).endswith(
        b"Connection: close\r\nContent-Length: 0\r\n\r\n"
    )


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(st.binary(max_size=60), st.sampled_from([POST, CHUNKED, b"\r\n", b": ", b"HTTP/1.1"]))))
def test_no_bytes_do_more_than_raise_a_status(parts):
    parser = RequestParser(LIMIT)
    with contextlib.suppress(HttpError):
        for part in parts:
            parser.feed(part)
            while parser.next_request() is not None:
                pass
            assert parser.buffered <= MAX_HEAD + LIMIT + 100
