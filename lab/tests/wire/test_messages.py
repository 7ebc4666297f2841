# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Envelopes, faults, fragments, sealed bodies and outboxes, without a network."""

from __future__ import annotations

import contextlib
import struct
import threading
import uuid
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vsslab.wire import fragments, safexml, sealing, soap
from vsslab.wire.outbox import Outbox, PsrpMessage, Text
from vsslab.wire.wsman_faults import WsmanFault, table

HEAD = (
    f'<s:Envelope xmlns:s="{soap.S}" xmlns:a="{soap.A}" xmlns:w="{soap.W}" xmlns:rsp="{soap.RSP}"><s:Header>'
    "<a:Action>{action}</a:Action><a:MessageID>uuid:0f8fad5b-d9cb-469f-a165-70867728950e</a:MessageID>"
    "<w:OperationTimeout>PT1M2.5S</w:OperationTimeout><w:MaxEnvelopeSize>153600</w:MaxEnvelopeSize>"
    '<w:SelectorSet><w:Selector Name="ShellId">ab</w:Selector></w:SelectorSet>'
    '<w:OptionSet><w:Option Name="WSMAN_CMDSHELL_OPTION_KEEPALIVE">TRUE</w:Option></w:OptionSet>'
    "</s:Header><s:Body>{body}</s:Body></s:Envelope>"
)


def envelope(action: str = f"{soap.RSP}/Receive", body: str = "<rsp:Receive/>") -> bytes:
    return HEAD.replace("{action}", action).replace("{body}", body).encode()


def test_a_request_is_read_with_everything_that_matters():
    read = soap.parse(envelope())
    assert (read.operation, read.timeout, read.envelope_size, read.shell_id) == ("Receive", 62.5, 153600, "AB")
    assert read.flag("wsman_cmdshell_option_keepalive") is True
    assert read.expect("Receive") is read.body


def test_utf16_requests_are_read_too():
    text = '<?xml version="1.0" encoding="UTF-16"?>' + envelope().decode()
    assert soap.parse(text.encode("utf-16")).operation == "Receive"


def test_relates_to_repeats_the_id_in_upper_case():
    answer = ElementTree.fromstring(soap.respond("uuid:ab-cd", "x", ""))
    assert answer.findtext(f".//{{{soap.A}}}RelatesTo") == "uuid:AB-CD"


BOMB = (
    '<!DOCTYPE l [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">'
    '<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]><s:Envelope>&c;</s:Envelope>'
)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\1\2",
        b"<a>",
        b"<a/>",
        BOMB.encode(),
        BOMB.encode("utf-16"),
        b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
        b'<?xml version="1.0" encoding="nonsense"?><a/>',
        envelope(action=""),
        envelope().replace(b"PT1M2.5S", b"soon"),
        envelope().replace(b"PT1M2.5S", b"P"),
    ],
)
def test_what_is_no_envelope_is_a_fault(data):
    with pytest.raises(WsmanFault):
        soap.parse(data)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 900))
def test_damaged_envelopes_are_faults_or_envelopes(noise, at):
    whole = envelope()
    with contextlib.suppress(WsmanFault):
        soap.parse(whole[:at] + noise + whole[at + len(noise) :])


@pytest.mark.parametrize("kind", sorted(table()))
def test_every_fault_is_well_formed_and_carries_its_number(kind):
    names = ("shell_id", "identifier", "limit", "resource", "action", "operation", "what", "host")
    texts = dict.fromkeys(names, "<&>")
    fault = WsmanFault(kind, **texts)
    root = ElementTree.fromstring(soap.fault("uuid:1", fault, 'A"B'))
    text = ElementTree.tostring(root, encoding="unicode")
    assert str(fault.code) in text
    assert root.findtext(f".//{{{soap.S}}}Subcode/{{{soap.S}}}Value") == table()[kind].subcode


class Xor:
    """Seals by XOR and signs with the length."""

    def __init__(self, key: int) -> None:
        self.key = key

    def wrap_winrm(self, data):
        mixed = bytes(each ^ self.key for each in data)
        return SimpleNamespace(header=bytes([self.key]) * 16, data=mixed, padding_length=0)

    def unwrap_winrm(self, header, data):
        if header != bytes([self.key]) * 16:
            raise ValueError("other keys")
        return bytes(each ^ self.key for each in data)


@given(st.binary(max_size=500))
@settings(deadline=None)
def test_a_sealed_body_opens_with_the_same_keys(plain):
    _, sealed = sealing.seal(Xor(0), plain + b"--Encrypted Boundary\r\n")  # ciphertext that looks like a boundary
    assert sealing.unseal(Xor(0), sealing.CONTENT_TYPE, sealed) == plain + b"--Encrypted Boundary\r\n"


def test_several_parts_are_one_message():
    part = sealing.seal(Xor(7), b"ab")[1].removesuffix(b"--Encrypted Boundary--\r\n")
    whole = part + sealing.seal(Xor(7), b"cd")[1]
    assert sealing.unseal(Xor(7), sealing.CONTENT_TYPE.replace("encrypted;", "x-multi-encrypted;"), whole) == b"abcd"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (sealing.CONTENT_TYPE, sealing.seal(Xor(8), b"x")[1]),
        (sealing.CONTENT_TYPE, sealing.seal(Xor(7), b"x")[1][:-30]),
        (sealing.CONTENT_TYPE, b""),
        (sealing.CONTENT_TYPE, sealing.seal(Xor(7), b"x")[1].replace(b"Length=1", b"Length=999999")),
        ("multipart/encrypted", sealing.seal(Xor(7), b"x")[1]),
    ],
)
def test_foreign_or_damaged_bodies_do_not_open(content_type, body):
    with pytest.raises(sealing.SealError):
        sealing.unseal(Xor(7), content_type, body)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=80), st.integers(0, 300))
def test_no_damage_to_a_sealed_body_is_more_than_an_error(noise, at):
    whole = sealing.seal(Xor(7), b"x" * 100)[1]
    with pytest.raises(sealing.SealError):
        sealing.unseal(Xor(7), sealing.CONTENT_TYPE, whole[:at] + noise + b"!" + whole[at + len(noise) :][:-1])


PIPELINE = uuid.UUID(int=7)


def a_message(xml: bytes = b"<S>x</S>") -> bytes:
    return struct.pack("<II", 2, 0x21006) + uuid.UUID(int=1).bytes_le + PIPELINE.bytes_le + xml


def test_a_message_in_pieces_comes_out_whole():
    data, together = a_message(), fragments.Reassembler(1000)
    assert together.feed(fragments.fragment(5, 0, data[:10], end=False)) == []
    (message,) = together.feed(fragments.fragment(5, 1, data[10:], end=True))
    assert (message.pipeline, message.data) == (PIPELINE, data)


@pytest.mark.parametrize(
    "data",
    [
        b"short",
        fragments.fragment(1, 0, a_message(), end=True)[:-1],
        fragments.fragment(1, 1, a_message(), end=True),
        fragments.fragment(1, 0, b"no header", end=True),
        fragments.fragment(1, 0, a_message("<a/>".encode("utf-16")), end=True),
        fragments.fragment(1, 0, a_message(b'<?xml version="1.0" encoding="cp037"?><a/>'), end=True),
        fragments.fragment(1, 0, a_message(BOMB.encode()), end=True),
        fragments.fragment(1, 0, b"x" * 1001, end=False),
        b"".join(fragments.fragment(number, 0, b"", end=False) for number in range(65)),
    ],
)
def test_fragments_that_fit_nothing_are_refused(data):
    with pytest.raises(fragments.FragmentError):
        fragments.Reassembler(1000).feed(data)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=100), max_size=20))
def test_no_fragments_make_more_than_an_error(parts):
    together = fragments.Reassembler(500)
    for number, part in enumerate(parts):
        try:
            together.feed(part if number % 2 else fragments.fragment(number, 0, part, end=bool(len(part) % 2)))
        except fragments.FragmentError:
            return


def test_what_does_not_go_on_is_not_kept():
    together = fragments.Reassembler(1000)
    for gap in range(200):  # many more than may be unfinished
        together.feed(fragments.fragment(gap, 0, b"x" * 900, end=False))
        with pytest.raises(fragments.FragmentError, match="missing"):
            together.feed(fragments.fragment(gap, 2, b"x", end=True))
    with pytest.raises(fragments.FragmentError, match="larger than 1000"):
        together.feed(fragments.fragment(900, 0, b"x" * 1001, end=False))
    (whole,) = together.feed(fragments.fragment(901, 0, a_message(), end=True))
    assert whole.data == a_message()


@pytest.mark.parametrize("quote", [b'="', b' = "', b"=\n'", b'=\t\r\n"'])
def test_attributes_are_counted_however_they_are_written(quote):
    many = b" ".join(b"a%x%s%s" % (n, quote, quote[-1:]) for n in range(safexml.MAX_MARKUP + 1))
    with pytest.raises(safexml.UnsafeXml, match="too many"):
        safexml.parse(b"<a " + many + b"/>")
    assert safexml.parse(b"<a>" + b"=" * 2 * safexml.MAX_MARKUP + b"</a>").text


def test_output_is_cut_to_the_envelope_and_nothing_is_lost():
    outbox, data = Outbox(10**9), a_message(b"<S>" + b"x" * 100_000 + b"</S>")
    outbox.put(PsrpMessage(1, data, 32768))
    outbox.finish()
    together, got, done = fragments.Reassembler(10**6), [], False
    while not done:
        batch = outbox.take(9000)
        assert sum(each.cost for each in batch.chunks) <= 9000
        got += [message for chunk in batch.chunks for message in together.feed(chunk.data)]
        done = batch.done
    assert [each.data for each in got] == [data]
    assert outbox.drained


def test_what_did_not_arrive_is_taken_again_first():
    outbox = Outbox(100)
    outbox.put(Text("stdout", b"one"))
    lost = outbox.take(1000)
    outbox.put(Text("stderr", b"two"))
    outbox.finish(3)
    outbox.restore(lost)
    again, rest = outbox.take(1000), outbox.take(1000)
    assert [each.data for each in again.chunks + rest.chunks] == [b"one", b"two"]
    assert (again.done, rest.done, rest.exit_code) == (False, True, 3)
    outbox.restore(rest)
    assert not outbox.drained
    assert outbox.take(1000).done


def test_a_group_is_answered_by_itself_and_at_once():
    outbox = Outbox(100)
    outbox.put(Text("stdout", b"a"))
    assert outbox.ready_in(60) > 0
    outbox.seal_group()
    outbox.put(Text("stdout", b"b"))
    assert outbox.ready_in(60) == 0
    assert [each.data for each in outbox.take(1000).chunks] == [b"a"]


def test_a_writer_waits_while_nobody_fetches():
    outbox, stop = Outbox(10), threading.Event()
    outbox.put(Text("stdout", b"x" * 10), stop)
    writer = threading.Thread(target=outbox.put, args=(Text("stdout", b"y"), stop))
    writer.start()
    writer.join(0.05)
    assert writer.is_alive()
    outbox.take(1000)
    writer.join(2)
    assert not writer.is_alive()
