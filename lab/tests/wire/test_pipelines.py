# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pipeline is read as psrpcore reads it, or left to psrpcore."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import psrpcore
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psrpcore import types
from vsslab.engine.clixml import escaped, from_wire
from vsslab.wire import pipelines

POOL = psrpcore.ServerRunspacePool()
TEXTS = st.sampled_from(["", "a b", "_x0041_", "_X", "é\n", "<&>"])
VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-5, 5).map(types.PSInt), TEXTS, st.integers(0, 9).map(types.PSUInt64)
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=2)),
    max_leaves=5,
)
COMMANDS = st.tuples(
    st.sampled_from(["Get-Item", "Write-Output", "a.exe"]),
    st.lists(st.tuples(st.none() | st.sampled_from(["Path", "Force"]), VALUES), max_size=3),
    st.booleans(),  # the last of its statement
    st.booleans(),  # script text
    st.sampled_from([None, True, False]),
    st.booleans(),  # its errors go to its output
)


def sent(commands: list[Any], *, no_input: bool = True) -> ElementTree.Element:
    """The message as psrpcore's client writes it."""
    shell = psrpcore.PowerShell(no_input=no_input, redirect_shell_error_to_out=False)
    for name, parameters, last, script, scope, redirected in commands:
        command = psrpcore.Command(name, is_script=script, use_local_scope=scope)
        command.end_of_statement = last
        command.parameters.extend(parameters)
        if redirected:
            command._merge_my, command._merge_to = types.PipelineResultTypes.Error, types.PipelineResultTypes.Output
        shell.commands.append(command)
    capability = POOL.our_capability
    message = psrpcore.PowerShell.ToPSObjectForRemoting(shell)
    return types.serialize(message, POOL._cipher, our_capability=capability, their_capability=capability)


def by_psrpcore(element: ElementTree.Element) -> Any:
    capability = POOL.our_capability
    read = types.deserialize(element, POOL._cipher, our_capability=capability, their_capability=capability)
    return shown(psrpcore.PowerShell.FromPSObjectForRemoting(read))


def shown(shell: psrpcore.PowerShell) -> Any:
    """Everything that the laboratory looks at."""
    return shell.no_input, [
        (str(c.command_text), [(None if n is None else str(n), *typed(v)) for n, v in c.parameters], bool(c.is_script),
         c.use_local_scope, c.end_of_statement, int(c.merge_my), int(c.merge_to), c.merge_unclaimed)
        for c in shell.commands
    ]  # fmt: skip


def typed(value: Any) -> tuple[type, tuple[str, ...], Any]:
    """A value as the engine takes it, which tells numbers of one size from those of another."""
    taken = from_wire(value)
    return type(taken), getattr(taken, "types", ()), taken


@given(st.lists(COMMANDS, min_size=1, max_size=4), st.booleans())
def test_what_is_read_is_what_psrpcore_reads(commands, no_input):
    element = sent(commands, no_input=no_input)
    found = pipelines.read(element, POOL._cipher)
    if found is not None:  # lists and dictionaries refer to types that were named before: left to psrpcore
        assert shown(found) == by_psrpcore(element)
    assert found is not None or any(isinstance(value, (list, dict)) for each in commands for _, value in each[1])


PLAIN = [("Get-Item", [("Path", "C:\\a")], True, False, None, False)] * 2


def test_references_are_looked_up():
    element = sent(PLAIN)
    first, second = element.findall("MS/Obj[@N='PowerShell']/MS/Obj[@N='ExtraCmds']/LST/Obj")[:2]
    second.attrib, second.tag = {"RefId": first.attrib["RefId"]}, "Ref"
    del second[:]
    found = pipelines.read(element, POOL._cipher)
    assert found is not None
    assert [str(each.command_text) for each in found.commands] == ["Get-Item", "Get-Item"]
    assert shown(found) == by_psrpcore(element)


def members(element: ElementTree.Element) -> ElementTree.Element:
    found = element.find("MS/Obj[@N='PowerShell']/MS/Obj[@N='ExtraCmds']/LST/Obj/MS/Obj[@N='Cmds']/LST/Obj/MS")
    assert found is not None
    return found


@pytest.mark.parametrize(
    "missing", ["Cmd", "IsScript", "UseLocalScope", "MergeMyResult", "MergePreviousResults", "Args"]
)
def test_a_command_that_lacks_something_is_not_read(missing):
    element = sent(PLAIN)
    where = members(element)
    where.remove(next(each for each in where if each.attrib["N"] == missing))
    assert pipelines.read(element, POOL._cipher) is None


def test_a_reference_to_what_comes_later_is_not_read():
    element = sent(PLAIN)
    first, second = element.findall("MS/Obj[@N='PowerShell']/MS/Obj[@N='ExtraCmds']/LST/Obj")[:2]
    first.attrib, first.tag = {"RefId": second.attrib["RefId"]}, "Ref"
    del first[:]
    assert pipelines.read(element, POOL._cipher) is None


@pytest.mark.parametrize(
    "text", ["<Nil/>", "<Obj/>", "<Obj><MS/></Obj>", '<Obj><MS><Ref N="PowerShell" RefId="7"/></MS></Obj>']
)
def test_what_is_no_pipeline_is_not_read(text):
    assert pipelines.read(ElementTree.fromstring(text), POOL._cipher) is None


@given(st.recursive(TEXTS, lambda inner: st.lists(inner, max_size=3), max_leaves=5))
def test_a_list_that_names_no_type_is_what_psrpcore_takes_it_for(value):
    element = sent([("Get-Item", [("Path", "here")], True, False, None, False)])
    held = next(each for each in element.iter("S") if each.attrib.get("N") == "V")
    held.tag, held.text = "Obj", None
    del held[:]
    filled(held, value if isinstance(value, list) else [value])
    found = pipelines.read(element, POOL._cipher)
    assert found is not None
    assert shown(found) == by_psrpcore(element)


def filled(element: ElementTree.Element, items: list[Any]) -> None:
    """Write these as an object that is only a list."""
    below = ElementTree.SubElement(element, "LST")
    for each in items:
        if isinstance(each, list):
            filled(ElementTree.SubElement(below, "Obj"), each)
        else:
            below.append(ElementTree.fromstring(f"<S>{escaped(each)}</S>"))
