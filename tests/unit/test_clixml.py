# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host reads from the message what was meant, whatever was left out of it."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import psrpcore
import pytest
from ansible_collections.umbra.vss.plugins.plugin_utils._clixml import create_pipeline
from ansible_collections.umbra.vss.plugins.plugin_utils._pipeline import U64, Command, Unsendable
from hypothesis import given
from hypothesis import strategies as st

TEXTS = st.one_of(
    st.sampled_from(["", "a", "_x0041_", "_X", "é\n\0", "N", "<&>\"'", "]]>", "\x85", "\U0001f600", "\ufffe", " b "]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
)
NUMBERS = st.one_of(st.integers(-(2**63), 2**64 - 1), st.integers(0, 2**64 - 1).map(U64))
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, st.floats(allow_nan=False), TEXTS, st.binary(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["k", "N"]), inner, max_size=2)
    ),
    max_leaves=6,
)
COMMANDS = st.builds(
    Command,
    name=st.sampled_from(["Get-CimInstance", "Write-Output", r"C:\Windows\System32\whoami.exe"]),
    parameters=st.dictionaries(st.sampled_from(["Name", "InputObject"]), VALUES, max_size=2),
    arguments=st.lists(TEXTS, max_size=2).map(tuple),
)
BATCHES = st.lists(st.lists(COMMANDS, min_size=1, max_size=3), min_size=2, max_size=5)


def arrived(message: bytes) -> Any:
    """The pipeline as a host reads it."""
    pool = psrpcore.ServerRunspacePool()
    return psrpcore.types.deserialize(ElementTree.fromstring(message), pool._cipher)


def plain(value: Any) -> Any:
    """What a host has read, as what was sent: with the kind of number."""
    if isinstance(value, psrpcore.types.PSInt):
        return "I32", int(value)
    if isinstance(value, psrpcore.types.PSInt64):
        return "I64", int(value)
    if isinstance(value, psrpcore.types.PSUInt64):
        return "U64", int(value)
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return value


def meant(value: Any) -> Any:
    """What was sent, likewise."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        small, large = -(2**31) <= value < 2**31, value >= 2**63
        return "U64" if isinstance(value, U64) or large else "I32" if small else "I64", int(value)
    if isinstance(value, dict):
        return {key: meant(each) for key, each in value.items()}
    if isinstance(value, list):
        return [meant(each) for each in value]
    return value


def shown(command: Any) -> Any:
    """A command as a host has read it."""
    return command.Cmd, [(each.N, plain(each.V)) for each in command.Args], command.IsScript


def expected(command: Command) -> Any:
    """A command as it was meant."""
    named = [(name, meant(value)) for name, value in command.parameters.items()]
    return command.name, [*named, *((None, value) for value in command.arguments)], False


@given(BATCHES)
def test_a_host_reads_every_command_with_its_values(batch):
    pipeline = arrived(create_pipeline(batch)).PowerShell
    assert [[shown(one) for one in statement.Cmds] for statement in pipeline.ExtraCmds] == [
        [expected(one) for one in statement] for statement in batch
    ]
    assert [one.Cmd for one in pipeline.Cmds] == [one.name for one in batch[0]]


@given(BATCHES)
def test_every_reference_is_to_what_was_there_before(batch):
    said: set[str] = set()
    for element in ElementTree.fromstring(create_pipeline(batch)).iter():
        if element.tag == "Obj" and "RefId" in element.attrib:
            assert element.attrib["RefId"] not in said
            said.add(element.attrib["RefId"])
        elif element.tag == "Ref":
            assert element.attrib["RefId"] in said


def test_what_is_said_twice_costs_next_to_nothing():
    same = [Command("Write-Output", {"InputObject": "a rather long text that stands for a sentinel"})]
    few, many = create_pipeline([same] * 2), create_pipeline([same] * 102)
    assert len(many) - len(few) == 100 * len('<Ref RefId="5"/>')


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1, object(), {1, 2}])
def test_what_has_no_form_on_the_wire_is_refused_in_one_sentence(value):
    with pytest.raises(Unsendable):
        create_pipeline([[Command("Write-Output", {"InputObject": value})]])


def test_a_text_that_is_no_unicode_arrives_as_its_units():
    message = create_pipeline([[Command("Write-Output", {"InputObject": "\udc80"})]])
    assert b"_xDC80_" in message
