# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects in the pipe: selecting, sorting, filtering, measuring, members."""

from __future__ import annotations

from typing import Any

import pytest
from vsslab.windows.host import Host

from .harness import Session, cmd


def people(*stages: Any) -> list[Any]:
    return [
        cmd("ConvertFrom-Json", '[{"n":"b","v":2},{"n":"A","v":10},{"n":"c","v":null}]'),
        cmd("Write-Output"),
        *stages,
    ]


def values(session: Session, *stages: Any) -> list[Any]:
    piped = [cmd("Write-Output", [3, 1, 2, 3]), *stages]
    return session.run(piped).output


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"First": 2}, [3, 1]),
        ({"Last": 2}, [2, 3]),
        ({"Skip": 1}, [1, 2, 3]),
        ({"Skip": 1, "First": 1}, [1]),
        ({"SkipLast": 3}, [3]),
        ({"Index": [0, 2]}, [3, 2]),
        ({"Unique": True}, [3, 1, 2]),
        ({"First": 0}, []),
    ],
)
def test_some_of_the_objects(session: Session, parameters: dict[str, Any], expected: list[int]) -> None:
    assert values(session, cmd("Select-Object", **parameters)) == expected


def test_some_of_the_properties_become_notes_of_a_selected_object(session: Session) -> None:
    done = session.run([cmd("Get-Service", Name="VSS"), cmd("Select-Object", Property=["name", "Nope", "Stat*"])])
    (shown,) = done.output
    assert shown.types[0] == "Selected.System.ServiceProcess.ServiceController"
    assert list(shown.notes) == ["Name", "Nope", "Status"]
    assert shown.notes["Nope"] is None


def test_an_enumeration_keeps_its_name_and_number(session: Session) -> None:
    (xml,) = session.run([cmd("Get-Service", Name="VSS"), cmd("Select-Object", Property="Status")]).xml()
    status = xml.find("MS/Obj")
    assert [each.text for each in status.iter("T")][:2] == [
        "System.ServiceProcess.ServiceControllerStatus",
        "System.Enum",
    ]
    assert (status.findtext("ToString"), status.findtext("I32")) == ("Stopped", "1")


def test_a_property_is_expanded_and_a_missing_one_reported(session: Session) -> None:
    done = session.run([cmd("Write-Output", "abc"), cmd("Select-Object", ExpandProperty="Length")],
                       [cmd("Write-Output", "abc"), cmd("Select-Object", ExpandProperty="Nope")])  # fmt: skip
    assert done.output == [3]
    assert done.errors == ["ExpandPropertyNotFound,Microsoft.PowerShell.Commands.SelectObjectCommand"]


def test_a_property_gets_another_name(session: Session) -> None:
    named = {"Name": "a", "Expression": "Length"}
    done = session.run(
        [cmd("Write-Output", "abc"), cmd("Select-Object", Property=[named]), cmd("ConvertTo-Json", Compress=True)]
    )
    assert done.output == ['{"a":3}']


@pytest.mark.parametrize(
    "calculated",
    [{"Name": "a", "Expression": 3}, {"Name": "a", "Expression": "L*"}, {"Name": "a"},
     {"Name": "a", "Expression": "Length", "FormatString": "x"}],
)  # fmt: skip
def test_other_calculated_properties_are_refused(session: Session, calculated: dict[str, object]) -> None:
    done = session.run([cmd("Write-Output", "abc"), cmd("Select-Object", Property=[calculated])])
    assert done.failed_with.startswith("SimulationRefused,")


def test_order(session: Session) -> None:
    assert values(session, cmd("Sort-Object")) == [1, 2, 3, 3]
    assert values(session, cmd("Sort-Object", Descending=True, Unique=True)) == [3, 2, 1]
    done = session.run([*people(), cmd("Sort-Object", Property="n"), cmd("ForEach-Object", MemberName="n")])
    assert done.output == ["A", "b", "c"]
    done = session.run([*people(), cmd("Sort-Object", Property="v"), cmd("ForEach-Object", MemberName="n")])
    assert done.output == ["c", "b", "A"]


@pytest.mark.parametrize(
    ("operator", "value", "expected"),
    [
        ("EQ", 3, [3, 3]), ("NE", 3, [1, 2]), ("GT", "1", [3, 2, 3]), ("LE", 2, [1, 2]), ("In", [1, 2], [1, 2]),
        ("Like", "[12]", [1, 2]), ("NotMatch", "1|2", [3, 3]), ("EQ", "x", []),
    ],
)  # fmt: skip
def test_filters(session: Session, operator: str, value: Any, expected: list[int]) -> None:
    done = session.run([cmd("ConvertFrom-Json", '[{"v":3},{"v":1},{"v":2},{"v":3}]'), cmd("Write-Output"),
                        cmd("Where-Object", Property="v", Value=value, **{operator: True}),
                        cmd("ForEach-Object", MemberName="v")])  # fmt: skip
    assert done.output == expected


def test_case_counts_when_the_operator_says_so(session: Session) -> None:
    for operator, expected in (("EQ", ["A"]), ("CEQ", []), ("Like", ["A"]), ("CLike", [])):
        done = session.run([*people(), cmd("Where-Object", Property="n", Value="a", **{operator: True}),
                            cmd("ForEach-Object", MemberName="n")])  # fmt: skip
        assert done.output == expected, operator


def test_a_filter_without_an_operator_asks_for_truth(session: Session) -> None:
    done = session.run([*people(), cmd("Where-Object", Property="v"), cmd("ForEach-Object", MemberName="n")])
    assert done.output == ["b", "A"]


def test_two_operators_are_no_parameter_set(session: Session) -> None:
    done = session.run([cmd("Write-Output", 1), cmd("Where-Object", Property="x", Value=1, EQ=True, GT=True)])
    assert done.failed_with == "AmbiguousParameterSet,Microsoft.PowerShell.Commands.WhereObjectCommand"


@pytest.mark.parametrize(
    ("member", "arguments", "expected"),
    [("Length", None, [3]), ("ToUpper", None, ["ABC"]), ("Replace", ["b", "X"], ["aXc"]), ("Nope", None, [None]),
     ("Split", ["b"], ["a", "c"])],
)  # fmt: skip
def test_members_of_texts(session: Session, member: str, arguments: Any, expected: list[Any]) -> None:
    more = {} if arguments is None else {"ArgumentList": arguments}
    assert (
        session.run([cmd("Write-Output", "abc"), cmd("ForEach-Object", MemberName=member, **more)]).output == expected
    )


def test_measuring(session: Session, host: Host) -> None:
    done = session.run([cmd("Write-Output", [3, 1, 2]), cmd("Measure-Object", Sum=True, Average=True, Maximum=True)])
    (shown,) = done.output
    assert {name: shown.props[name] for name in ("Count", "Sum", "Average", "Maximum", "Minimum")} == {
        "Count": 3, "Sum": 6.0, "Average": 2.0, "Maximum": 3.0, "Minimum": None}  # fmt: skip
    done = session.run([cmd("Write-Output", ["x"]), cmd("Measure-Object", Property="Nope", Sum=True)])
    assert done.errors == ["GenericMeasurePropertyNotFound,Microsoft.PowerShell.Commands.MeasureObjectCommand"]


def test_an_object_of_a_table(session: Session) -> None:
    done = session.run(cmd("New-Object", TypeName="psobject", Property={"Volume": "C:\\"}))
    assert done.output[0].notes == {"Volume": "C:\\"}


def test_variables_of_the_session(session: Session) -> None:
    session.run(cmd("Set-Variable", Name="mine", Value=[1, 2]))
    assert session.run(cmd("Get-Variable", Name="MINE", ValueOnly=True)).output == [1, 2]
    assert session.run(cmd("Set-Variable", Name="true", Value=1)).errors == [
        "VariableNotWritable,Microsoft.PowerShell.Commands.SetVariableCommand"]  # fmt: skip


def test_text_of_objects_with_a_view_is_refused_and_of_plain_values_given(session: Session) -> None:
    assert session.run([cmd("Write-Output", ["a", 1]), cmd("Out-String")]).output == ["a\r\n1\r\n"]
    assert session.run([cmd("Get-Service", Name="VSS"), cmd("Out-String")]).failed_with.startswith("SimulationRefused,")
