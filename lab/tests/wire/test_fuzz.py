# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""20,000 hostile inputs for HTTP, SOAP, fragments and CLIXML: nothing escapes, nothing grows.

Each case goes through the code that serves real connections, in this process and without sockets.  An exception that is
no answer of the protocol is a failure, and so are defects in the trace, anything logged, and memory that the second
half of the cases leaves behind.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import struct
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vsslab.wire import safexml, soap
from vsslab.wire.connection import Connection, Services
from vsslab.wire.counters import Counters
from vsslab.wire.fragments import FragmentError, Reassembler, fragment
from vsslab.wire.http import HttpError, RequestParser
from vsslab.wire.operations import Endpoint
from vsslab.wire.sessions import RESOURCE
from vsslab.wire.settings import Settings
from vsslab.wire.soap import Envelope
from vsslab.wire.wsman_faults import WsmanFault

from .conftest import ToyRunspace, toy_host
from .fuzzing import CASES, Room, counted

BLOCKS, BYTES = 20_000, 24_000_000  # what the second half of a room's cases may leave behind (caches of the libraries)
LIMITS = Settings(max_envelope=64_000, max_object=64_000, coalesce=0.0, max_operation_timeout=0.001, stop_patience=1.0)


@pytest.fixture
def room(request, caplog):
    """Counts a room's cases, and judges what they logged and left behind."""
    it = Room(request.param)
    counted[it.name] = 0
    with caplog.at_level(logging.WARNING):
        yield it
    print(f"{it.name}: {counted[it.name]} cases, {it.took:.1f} s, {it.blocks} blocks, {it.resident} bytes more")
    assert counted[it.name] >= CASES[it.name]
    assert it.blocks < BLOCKS
    assert it.resident < BYTES
    assert [each for each in caplog.records if each.name != "psrpcore"] == []


# --- HTTP

TOKENS = [
    b"POST /wsman HTTP/1.1\r\n", b"GET / HTTP/1.0\r\n", b"HTTP/9.9", b"\r\n", b"\r\n\r\n", b"\n", b": ", b"\0", b" \t",
    b"Content-Length: ", b"Content-Length: 5\r\n\r\nhello", b"Content-Length: 99999999999999999999\r\n",
    b"Content-Length: 5000\r\n\r\n",
    b"Transfer-Encoding: gzip\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip, chunked\r\n", b"ffffffff\r\n", b"5\r\nhello\r\n",
    b"0\r\n\r\n", b"-1\r\n", b"Expect: 100-continue\r\n", b"Host: x\r\n", b"Connection: close\r\n", b"x" * 5000,
    b"Authorization: Basic YQ==\r\n", b"Authorization: Negotiate TlRMTVNTUAABAAAA\r\n", b"A: b\r\n" * 101,
    b"Content-Type: application/soap+xml\r\n", b"Content-Type: multipart/encrypted\r\n",
]  # fmt: skip
LINES = [b"POST /wsman HTTP/1.1\r\nHost: x\r\n", b"GET / HTTP/1.0\r\n", b"PUT / HTTP/2.0\r\n", b"X\r\n", b"\r\n"]
pieces_of_http = st.lists(st.one_of(st.sampled_from(TOKENS), st.binary(max_size=40)), max_size=8)

http_bytes = st.builds(lambda line, rest: [line, *rest], st.sampled_from(LINES), pieces_of_http)


@pytest.mark.parametrize("room", ["http"], indirect=True)
def test_http(room):
    statuses = set()

    @given(http_bytes, st.integers(1, 200))
    def case(parts, step):
        room()
        parser, data = RequestParser(1000), b"".join(parts)
        try:
            for at in range(0, len(data), step):
                parser.feed(data[at : at + step])
                while parser.next_request() is not None:
                    pass
                assert parser.buffered <= 34_000
        except HttpError as error:
            statuses.add(error.status)

    room.run(case)
    assert {400, 413, 431, 501, 505} <= statuses


class Line:
    """Both ends of a connection that is no socket: what the client sent is there, answers are kept."""

    def __init__(self, data: bytes):
        self.reader = asyncio.StreamReader()
        self.reader.feed_data(data)
        self.reader.feed_eof()
        self.sent = bytearray()
        self.transport = self

    def get_extra_info(self, name):
        return ("127.0.0.1", 1) if name == "peername" else None

    def write(self, data):
        self.sent += data

    async def drain(self):
        """There is always room."""

    def close(self):
        """Nothing to close."""

    abort = close

    def is_closing(self):
        return False

    def get_write_buffer_size(self):
        return 0

    async def wait_closed(self):
        """Closed already."""


REQUEST = (
    b"POST /wsman HTTP/1.1\r\nHost: x\r\nContent-Type: application/soap+xml\r\n"
    b"Authorization: Basic aGVscGVyOnB3\r\nContent-Length: %d\r\n\r\n"
)


@pytest.mark.parametrize("room", ["connection"], indirect=True)
def test_connections(room):
    loop = asyncio.new_event_loop()
    host = toy_host()
    endpoint = Endpoint(host, LIMITS, ToyRunspace, lambda _host: {})
    services = Services(endpoint, LIMITS, Counters(keep=10), host.faults, host.trace)
    whole = [REQUEST % len(each) + each for each in (b"", b"<a/>", soap.respond("uuid:1", f"{soap.RSP}/Receive", ""))]

    @given(st.lists(st.one_of(st.sampled_from(whole), st.sampled_from(TOKENS), st.binary(max_size=40)), max_size=6))
    def case(parts):
        room()
        line = Line(b"".join(parts))
        connection = Connection(services, line.reader, line, secure=True, end_point=None)
        loop.run_until_complete(asyncio.wait_for(connection.serve(), 10))
        assert not line.sent or line.sent.startswith(b"HTTP/1.1 ")
        host.trace.clear()

    room.run(case)
    assert len(endpoint.shells) == 0
    loop.close()


# --- SOAP

NAMES = ["s:Envelope", "s:Header", "s:Body", "a:Action", "a:MessageID", "w:ResourceURI", "w:SelectorSet", "w:Selector",
         "w:OptionSet", "w:Option", "w:OperationTimeout", "w:MaxEnvelopeSize", "p:SessionId", "rsp:Shell",
         "rsp:CommandLine", "rsp:Receive", "rsp:Send", "rsp:Stream", "n:Enumerate", "n:Pull", "x"]  # fmt: skip
PREFIXES = " ".join(f'xmlns:{name}="{uri}"' for name, uri in soap._PREFIXES.items())
BOMBS = [
    '<!DOCTYPE a [<!ENTITY b "cccccccccc"><!ENTITY d "&b;&b;&b;&b;&b;&b;&b;&b;">]><a>&d;</a>',
    '<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', "<a>" * 3000 + "</a>" * 3000, "<a>" * 30_000,
    "<a " + " ".join(f'b{n}="c"' for n in range(3000)) + "/>", '<a b="' + "x" * 50_000 + '"/>',
    '<?xml version="1.0" encoding="cp037"?><a/>', '<?xml version="1.0" encoding="UTF-16"?><a/>',
    "<![CDATA[<!DOCTYPE]]>",
    "<!-- <!DOCTYPE a> --><a/>", "&#0;", "&lt;&amp;&nosuch;", "\ufffe\ud7ff",
]  # fmt: skip
texts = st.one_of(
    st.sampled_from(["", "uuid:1", f"{soap.RSP}/Receive", f"{soap.X}/Create", f"{soap.RSP}/cmd", "PT1S", "P", "PT-1S",
                     "-1", "9" * 400, "Ω", "PT99999999999S", soap.RSP]),
    st.text(max_size=20).map(lambda text: text.replace("<", "").replace("&", "")),
)  # fmt: skip
trees = st.recursive(
    texts,
    lambda inner: st.builds(
        lambda name, attribute, children: f"<{name} {attribute}>{''.join(children)}</{name}>",
        st.sampled_from(NAMES), st.sampled_from(["", 'Name="ShellId"', 'CommandId="x"', 'End="true"', 'b="&#65;"']),
        st.lists(inner, max_size=4),
    ),
    max_leaves=8,
)  # fmt: skip
documents = st.one_of(
    st.builds(lambda header, body: (
        f"<s:Envelope {PREFIXES}><s:Header>{header}</s:Header><s:Body>{body}</s:Body></s:Envelope>"), trees, trees),
    st.sampled_from(BOMBS), trees,
)  # fmt: skip
encodings = st.sampled_from(["utf-8", "utf-16", "utf-16-le", "utf-7", "cp037", "latin-1"])


@st.composite
def soap_bytes(draw):
    data = draw(documents).encode(draw(encodings), "replace")
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(data)))
        data = data[:at] + draw(st.binary(max_size=8)) + data[at + draw(st.integers(0, 8)) :]
    return data


@pytest.mark.parametrize("room", ["soap"], indirect=True)
def test_soap(room):
    @given(soap_bytes())
    def case(data):
        room()
        try:
            read = soap.parse(data)
            _ = read.shell_id
        except WsmanFault as problem:
            soap.fault("uuid:1", problem, "SRV1")

    room.run(case)


OPERATIONS = ["Create", "Get", "Command", "Receive", "Send", "Signal", "Delete", "Disconnect", "Reconnect", "Connect",
              "Enumerate", "Pull", "Release", "Put", ""]  # fmt: skip
SHELL = "12345678-1234-5678-1234-567812345678"
bodies = st.builds(
    lambda name, attributes, children: f"<{name} {attributes}>{''.join(children)}</{name}>",
    st.sampled_from(["rsp:Shell", "rsp:CommandLine", "rsp:Receive", "rsp:Send", "rsp:Signal", "rsp:Disconnect",
                     "rsp:Connect", "n:Enumerate", "n:Pull", "rsp:Nothing"]),
    st.sampled_from(["", f'ShellId="{SHELL}"', 'ShellId="x"', f'CommandId="{SHELL}"']),
    st.lists(st.one_of(texts, st.builds(
        lambda name, attribute, text: f"<{name} {attribute}>{text}</{name}>",
        st.sampled_from(["rsp:Command", "rsp:Arguments", "rsp:Stream", "rsp:DesiredStream", "rsp:Code",
                         "rsp:IdleTimeOut", "rsp:BufferMode", "rsp:Lifetime", "w:MaxElements", "w:OptimizeEnumeration",
                         "n:EnumerationContext"]),
        st.sampled_from(["", 'Name="stdin"', f'CommandId="{SHELL}"', 'End="true"']), texts)), max_size=3),
)  # fmt: skip
envelopes = st.builds(
    lambda operation, body, resource, session, shell: Envelope(
        operation, "x", "uuid:1", resource=resource, session=session, selectors={"shellid": shell} if shell else {},
        timeout=0.0, body=safexml.parse(f"<b {PREFIXES}>{body}</b>".encode())[0]),
    st.sampled_from(OPERATIONS), bodies.filter(lambda text: "\0" not in text and text.isprintable()),
    st.sampled_from(["", soap.RSP, f"{soap.RSP}/cmd", f"{soap.RSP}/Command", f"{RESOURCE}Microsoft.PowerShell",
                     soap.CFG, f"{soap.CFG}/winrs"]),
    st.sampled_from(["", "UUID:1"]), st.sampled_from(["", SHELL, SHELL.upper()]),
)  # fmt: skip


@pytest.mark.parametrize("room", ["operations"], indirect=True)
def test_operations(room):
    """Any sequence of operations with any bodies, on shells that exist or do not."""
    loop = asyncio.new_event_loop()
    host = toy_host()

    @given(st.lists(envelopes, min_size=1, max_size=4))
    def case(sequence):
        room()
        loop.run_until_complete(play(sequence))
        assert not host.trace.events("defect")
        host.trace.clear()
        host.processes.killed.clear()

    async def play(sequence):
        endpoint = Endpoint(host, LIMITS, ToyRunspace, lambda _host: {})
        for envelope in sequence:
            answer = await endpoint.handle(envelope, host.users[0], "127.0.0.1:1")
            assert answer.status in (200, 500)
        await endpoint.drop_all()

    room.run(case)
    loop.close()


# --- fragments and CLIXML

MESSAGE = struct.pack("<II", 2, 0x21006) + bytes(32) + b"<S>x</S>"
pieces = st.one_of(
    st.binary(max_size=30),
    st.builds(lambda number, at, data, flags: struct.pack(">QQBI", number, at, flags, len(data)) + data,
              st.integers(0, 3), st.integers(0, 3), st.sampled_from([b"", MESSAGE, MESSAGE[:20], b"y" * 3000]),
              st.integers(0, 255)),
    st.builds(lambda size: struct.pack(">QQBI", 1, 0, 1, size), st.integers(0, 2**32 - 1)),
    st.just(fragment(1, 0, MESSAGE, end=True)),
)  # fmt: skip


@pytest.mark.parametrize("room", ["fragments"], indirect=True)
def test_fragments(room):
    @given(st.lists(pieces, max_size=6))
    def case(parts):
        room()
        together = Reassembler(10_000)
        for part in parts:
            try:
                for message in together.feed(part):
                    assert len(message.data) <= 10_000
            except FragmentError:
                return
            assert sum(len(each.data) for each in together._open.values()) <= 10_000

    room.run(case)


TAGS = ["Obj", "MS", "Props", "S", "I32", "I64", "U64", "D", "Db", "B", "G", "DT", "TS", "BA", "Version", "XD", "SBK",
        "C", "By", "Nil", "LST", "IE", "QUE", "STK", "DCT", "En", "TN", "TNRef", "T", "ToString", "Ref", "SS", "URI",
        "Sg", "PR"]  # fmt: skip
NAMES_IN_CLIXML = ["", 'RefId="0"', 'RefId="1"', 'N="PowerShell"', 'N="Cmds"', 'N="NoInput"', 'N="MinRunspaces"',
                   'N="MaxRunspaces"', 'N="ci"', 'N="CI"', 'N="PublicKey"', 'N="HostInfo"', 'N="Cmd"']  # fmt: skip
values = st.one_of(
    st.sampled_from(["", "0", "-1", "2147483648", "1e999", "true", "x", "_x0000_", "_xD800_", "P1Y", "AAAA",
                     "00000000-0000-0000-0000-000000000000", "9" * 5000, "2024-01-01T00:00:00", "1.2.3.4"]),
    st.text(max_size=10).map(lambda text: text.replace("<", "").replace("&", "").replace("\0", "")),
)  # fmt: skip
clixml = st.recursive(
    st.builds(lambda tag, name, text: f"<{tag} {name}>{text}</{tag}>", st.sampled_from(TAGS),
              st.sampled_from(NAMES_IN_CLIXML), values),
    lambda inner: st.builds(lambda tag, name, children: f"<{tag} {name}>{''.join(children)}</{tag}>",
                            st.sampled_from(["Obj", "MS", "Props", "LST", "DCT", "En"]),
                            st.sampled_from(NAMES_IN_CLIXML), st.lists(inner, max_size=5)),
    max_leaves=10,
)  # fmt: skip
SPECIAL = ["<Obj>" * 2000 + "</Obj>" * 2000, "<LST>" * 500 + "</LST>" * 500, *BOMBS]
KINDS = [0x10002, 0x10004, 0x10005, 0x10006, 0x10008, 0x21002, 0x21003, 0x21006, 0x21007, 0x2100A, 0x2100C, 0x41002,
         0x41003, 0x41100, 0x41101, 0x7FFFFFFF, 0]  # fmt: skip
PIPELINE = uuid.UUID(int=5)


def wire_message(kind: int, xml: str, pipeline: uuid.UUID | None) -> bytes:
    head = struct.pack("<II", 2, kind) + uuid.UUID(SHELL).bytes_le + (pipeline or uuid.UUID(int=0)).bytes_le
    return fragment(kind, 0, head + xml.encode("utf-8", "replace"), end=True)


CAPABILITY = (
    '<Obj RefId="0"><MS><Version N="protocolversion">2.3</Version><Version N="PSVersion">2.0</Version>'
    '<Version N="SerializationVersion">1.1.0.1</Version></MS></Obj>'
)
INITIAL = (
    '<Obj RefId="0"><MS><I32 N="MinRunspaces">1</I32><I32 N="MaxRunspaces">1</I32><Obj N="PSThreadOptions" RefId="1">'
    '<I32>0</I32></Obj><Obj N="ApartmentState" RefId="2"><I32>2</I32></Obj><Obj N="HostInfo" RefId="3"><MS>'
    '<B N="_isHostNull">true</B><B N="_isHostUINull">true</B><B N="_isHostRawUINull">true</B>'
    '<B N="_useRunspaceHost">true</B></MS></Obj><Nil N="ApplicationArguments"/></MS></Obj>'
)


def opening(first: str = CAPABILITY, second: str = INITIAL) -> str:
    data = wire_message(0x10002, first, None) + wire_message(0x10004, second, None)
    encoded = base64.b64encode(data).decode()
    return f'<creationXml xmlns="http://schemas.microsoft.com/powershell">{encoded}</creationXml>'


def shell_envelope(operation: str, body: str, shell: str = SHELL) -> Envelope:
    tree = safexml.parse(f"<b {PREFIXES}>{body}</b>".encode())[0]
    return Envelope(operation, "x", "uuid:1", resource=f"{RESOURCE}Microsoft.PowerShell", timeout=0.0,
                    selectors={"shellid": shell}, body=tree)  # fmt: skip


@pytest.mark.parametrize("room", ["clixml"], indirect=True)
def test_clixml(room):
    """Messages with any content, to an open session, to its pipelines, and as the opening of another one."""
    loop = asyncio.new_event_loop()
    host = toy_host()
    endpoint = Endpoint(host, LIMITS, ToyRunspace, lambda _host: {})
    user = host.users[0]

    async def handle(operation, body, shell=SHELL):
        answer = await endpoint.handle(shell_envelope(operation, body, shell), user, "127.0.0.1:1")
        assert answer.status in (200, 500)
        return answer

    async def begin():
        answer = await handle("Create", f'<rsp:Shell ShellId="{SHELL}">{opening()}</rsp:Shell>')
        assert answer.status == 200, answer.body

    async def play(kind, xml, way):
        data = base64.b64encode(wire_message(kind, xml, PIPELINE if way else None)).decode()
        if way == 2:
            other = str(uuid.UUID(int=7))
            await handle("Create", f'<rsp:Shell ShellId="{other}">{opening(second=xml)}</rsp:Shell>')
            await handle("Delete", "<x/>", other)
        elif way == 1:
            line = f"<rsp:Command/><rsp:Arguments>{data}</rsp:Arguments>"
            await handle("Command", f'<rsp:CommandLine CommandId="{PIPELINE}">{line}</rsp:CommandLine>')
            code = "<rsp:Code>http://schemas.microsoft.com/wbem/wsman/1/windows/shell/signal/terminate</rsp:Code>"
            await handle("Signal", f'<rsp:Signal CommandId="{PIPELINE}">{code}</rsp:Signal>')
        else:
            await handle("Send", f'<rsp:Send><rsp:Stream Name="stdin">{data}</rsp:Stream></rsp:Send>')
            await handle("Receive", "<rsp:Receive><rsp:DesiredStream>stdout</rsp:DesiredStream></rsp:Receive>")

    loop.run_until_complete(begin())

    @given(st.sampled_from(KINDS), st.one_of(clixml, st.sampled_from(SPECIAL), st.text(max_size=20)), st.integers(0, 2))
    def case(kind, xml, way):
        room()
        loop.run_until_complete(play(kind, xml, way))
        assert not host.trace.events("defect")
        host.trace.clear()
        assert len(endpoint.shells) == 1

    room.run(case)
    loop.run_until_complete(endpoint.drop_all())
    loop.close()


def test_all_cases_were_run():
    assert sum(CASES.values()) == 20_000
    if counted:
        print(f"{sum(counted.values())} cases: {dict(counted)}")
        assert set(counted) != set(CASES) or sum(counted.values()) >= 20_000
