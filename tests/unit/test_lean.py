# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lean pipeline is the same pipeline to whoever reads it."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

from ansible_collections.umbra.vss.plugins.plugin_utils._lean import lean
from ansible_collections.umbra.vss.plugins.plugin_utils._pipeline import Command
from ansible_collections.umbra.vss.plugins.plugin_utils._translate import wire_value
from hypothesis import given
from hypothesis import strategies as st
from pypsrp import complex_objects as pypsrp
from pypsrp.messages import CreatePipeline
from pypsrp.serializer import Serializer

VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-5, 2**63), st.sampled_from(["", "a", "_x0041_", "é\n\0", "N"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["k", "N"]), inner, max_size=2)
    ),
    max_leaves=6,
)
COMMANDS = st.builds(
    Command,
    name=st.sampled_from(["Get-CimInstance", "Write-Output"]),
    parameters=st.dictionaries(st.sampled_from(["Name", "InputObject"]), VALUES, max_size=2),
)
BATCHES = st.lists(st.lists(COMMANDS, min_size=1, max_size=3), min_size=1, max_size=5)


def sent(batch: list[list[Command]]) -> ElementTree.Element:
    """A pipeline as pypsrp writes it."""
    commands = []
    for statement in batch:
        for command in statement:
            made = pypsrp.Command(cmd=command.name, protocol_version="2.1", is_script=False)
            made.args = [
                pypsrp.CommandParameter(name=name, value=wire_value(value))
                for name, value in command.parameters.items()
            ]
            commands.append(made)
        commands[-1].end_of_statement = True
    pipeline = pypsrp.Pipeline(is_nested=False, cmds=commands, history=None, redirect_err_to_out=False)
    nobody = pypsrp.HostInfo()
    state, streams = pypsrp.ApartmentState(value=2), pypsrp.RemoteStreamOptions(value=0)
    return Serializer().serialize(CreatePipeline(True, state, streams, False, nobody, pipeline, False))


class Host:
    """Reads as a host does: in order, references resolved, and what an object is called is not part of it."""

    def __init__(self) -> None:
        self.types: dict[str, Any] = {}
        self.objects: dict[str, Any] = {}
        self.said: list[Any] = []

    def read(self, element: ElementTree.Element) -> Any:
        number = element.attrib.get("RefId", "")
        if element.tag == "Ref":
            return self.objects[number]
        if element.tag == "TNRef":
            return self.types[number]
        inside = tuple((each.attrib.get("N"), self.read(each)) for each in element)
        found = ("TN" if element.tag == "TN" else element.tag, element.text, inside)
        if element.tag == "TN":
            self.types[number] = found
        elif element.tag == "Obj":
            self.objects[number] = found
            self.said.append(found)
        return found


@given(BATCHES)
def test_it_is_read_as_the_same_and_nothing_is_said_twice(batch):
    whole, short = sent(batch), lean(sent(batch))
    host = Host()
    assert host.read(short) == Host().read(whole)
    assert len(host.said) == len(set(host.said))
    assert len(ElementTree.tostring(short)) <= len(ElementTree.tostring(whole))
