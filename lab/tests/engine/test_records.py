# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An error record is text that every reader of CLIXML understands, whatever the error is about."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET
from xml.sax.saxutils import unescape

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from psrpcore import types as ps
from psrpcore._crypto import PSRemotingCrypto
from vsslab.engine.clixml import escaped, from_wire, to_wire, unescaped
from vsslab.engine.errors import ErrorInfo, Origin
from vsslab.engine.records import record_xml
from vsslab.engine.values import I64, U64, Secret

CIPHER = PSRemotingCrypto()
CIPHER.register_key(bytes(range(32)))
ORIGIN = Origin(
    "Get-Content", "gc", "Microsoft.PowerShell.Commands.GetContentCommand", "Get-Content [-Path] <string[]>"
)
TEXTS = st.text(max_size=8) | st.sampled_from(["_x0041_", "a\r\nb", "<&>\"'", "\x00\ud83d", "𝕏", "_X_x"])
TARGETS = st.recursive(
    st.one_of(st.none(), st.booleans(), TEXTS, st.integers(-(2**31), 2**31 - 1), st.integers(0, 9).map(I64),
              st.integers(0, 9).map(U64), st.floats(-9, 9), st.binary(max_size=3)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=2)),
    max_leaves=4,
)  # fmt: skip


def read(xml: str) -> dict[str, Any]:
    """The notes of a record, as psrpcore reads them of an object whose type it does not know."""
    record = ps.deserialize(ET.fromstring(xml.replace(".ErrorRecord</T>", ".Unknown</T>")), CIPHER)
    return {each.name: each.get_value(record) for each in record.PSObject.extended_properties} | {"": record}


@given(TEXTS)
@example("_x_x0041_")
def test_a_text_comes_back(text):
    assert unescaped(unescape(escaped(text))) == text


@given(TEXTS, TARGETS, st.booleans(), st.booleans())
def test_what_it_tells_is_read(message, target, extended, known):
    info = ErrorInfo(message, "Broken", "WriteError", target, origin=ORIGIN if known else Origin(known=False))
    xml = record_xml(info, extended=extended, cipher=CIPHER)
    found = read(xml)
    assert found[""].PSObject.to_string == message
    assert str(found["FullyQualifiedErrorId"]) == info.full_id
    assert from_wire(found["TargetObject"]) == from_wire(
        ps.deserialize(ps.serialize(to_wire(target, 0), CIPHER), CIPHER)
    )
    assert found["ErrorCategory_Category"] == 23
    assert (found["InvocationInfo"] is not None) == known
    assert ("CommandInfo_Name" in found) == (extended and known)


@given(TARGETS, st.integers(0, 3))
def test_every_number_is_given_once_and_only_what_was_written_is_referred_to(target, first):
    info = ErrorInfo("m", "Broken", target=target, origin=ORIGIN, facts={"Before": [1], "After": {"a": "b"}})
    objects, types = list[int](), list[int]()
    for each in ET.fromstring(record_xml(info, extended=True, label="Inside", number=first)).iter():
        number = int(each.attrib.get("RefId", -1))
        for tag, given_out in (("Obj", objects), ("TN", types)):
            if each.tag == tag:
                assert number not in given_out
                given_out.append(number)
        assert each.tag not in {"Ref", "TNRef"} or number in (objects if each.tag == "Ref" else types)
    assert min(objects) == first


def test_a_secret_is_sealed_with_the_session_s_key():
    xml = record_xml(ErrorInfo("m", "Broken", target=Secret("hunter2")), extended=True, cipher=CIPHER)
    assert "hunter2" not in xml
    assert from_wire(read(xml)["TargetObject"]) == Secret("hunter2")


@pytest.mark.parametrize("kind", ["Cmdlet", "Function", "Application"])
def test_the_parameters_of_its_command_are_written_once(kind):
    origin = Origin(ORIGIN.name, command_type=kind)
    root = ET.fromstring(record_xml(ErrorInfo("m", "Broken", origin=origin), extended=True))
    referred = {each.attrib["N"] for each in root.iter("Ref")}
    assert referred == {"InvocationInfo_BoundParameters", "InvocationInfo_UnboundArguments"}
