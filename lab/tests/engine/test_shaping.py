# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare-Object, Group-Object, Get-Member, ConvertTo-Csv, Select-String, Get-Random, New-Object."""

from __future__ import annotations

from psrpcore.types import PSSecureString
from vsslab.windows.host import Host

from .harness import Session, cmd


def test_compare_tells_the_side(session: Session) -> None:
    done = session.run(cmd("Compare-Object", ReferenceObject=["a", "b", "b"], DifferenceObject=["B", "c"],
                           IncludeEqual=True))  # fmt: skip
    assert [(each.notes["InputObject"], each.notes["SideIndicator"]) for each in done.output] == [
        ("b", "=="), ("c", "=>"), ("a", "<="), ("b", "<=")]  # fmt: skip


def test_compare_heeds_case_and_properties(session: Session) -> None:
    case = session.run(cmd("Compare-Object", ReferenceObject=["a"], DifferenceObject=["A"], CaseSensitive=True))
    assert len(case.output) == 2
    files = [cmd("Get-Service", Name=["VSS", "WinRM"]),
             cmd("Compare-Object", ReferenceObject=["x"], Property="Name")]  # fmt: skip
    done = session.run(files)
    assert [(each.notes["Name"], each.notes["SideIndicator"]) for each in done.output] == [
        ("VSS", "=>"), ("WinRM", "=>"), (None, "<=")]  # fmt: skip


def test_group_counts_in_the_order_of_arrival(session: Session) -> None:
    done = session.run([cmd("Write-Output", ["b", "a", "B"]), cmd("Group-Object")])
    assert [(each.props["Name"], each.props["Count"]) for each in done.output] == [("b", 2), ("a", 1)]
    table = session.run([cmd("Write-Output", ["x", "y", "x"]), cmd("Group-Object", AsHashTable=True, AsString=True)])
    assert table.output == [{"x": ["x", "x"], "y": ["y"]}]


def test_members_are_the_properties(session: Session) -> None:
    done = session.run([cmd("Get-Service", Name="VSS"), cmd("Get-Member", MemberType="Properties")])
    names = [each.props["Name"] for each in done.output]
    assert {"Status", "StartType", "Name"} <= set(names)
    assert names == sorted(names, key=str.lower)
    refused = session.run([cmd("Get-Service", Name="VSS"), cmd("Get-Member", MemberType="Method")])
    assert refused.failed_with.startswith("SimulationRefused")


def test_csv_is_that_of_5_1(session: Session) -> None:
    source = [cmd("Get-Service", Name="VSS"), cmd("Select-Object", Property=["Name", "Status"])]
    done = session.run([*source, cmd("ConvertTo-Csv")])
    assert done.output == ["#TYPE Selected.System.ServiceProcess.ServiceController", '"Name","Status"',
                           '"VSS","Stopped"']  # fmt: skip
    bare = session.run([*source, cmd("ConvertTo-Csv", NoTypeInformation=True, Delimiter=";")])
    assert bare.output == ['"Name";"Status"', '"VSS";"Stopped"']


def test_strings_are_found_in_files_and_in_the_pipe(session: Session, host: Host) -> None:
    host.files.write("C:\\a.log", b"one\r\nerror two\r\nerror three\r\n")
    done = session.run(cmd("Select-String", LiteralPath="C:\\a.log", Pattern="ERROR (\\w+)"))
    assert [(each.props["LineNumber"], each.props["Line"]) for each in done.output] == [
        (2, "error two"), (3, "error three")]  # fmt: skip
    assert session.run(cmd("Select-String", Path="C:\\*.log", Pattern="o", Quiet=True)).output == [True]
    first = session.run(cmd("Select-String", LiteralPath="C:\\a.log", Pattern="error", List=True))
    assert len(first.output) == 1
    piped = session.run([cmd("Write-Output", ["a.b", "axb"]), cmd("Select-String", Pattern="a.b", SimpleMatch=True)])
    assert [each.props["Path"] for each in piped.output] == ["InputStream"]
    wrong = session.run(cmd("Select-String", LiteralPath="C:\\a.log", Pattern="("))
    assert wrong.failed_with == "InvalidRegex,Microsoft.PowerShell.Commands.SelectStringCommand"


def test_random_numbers_are_within_their_bounds(session: Session) -> None:
    done = session.run(*[cmd("Get-Random", Minimum=3, Maximum=5) for _ in range(8)])
    assert set(done.output) <= {3, 4}
    some = session.run([cmd("Write-Output", [1, 2, 3]), cmd("Get-Random", Count=2)])
    assert len(set(some.output)) == 2
    wrong = session.run(cmd("Get-Random", Minimum=5, Maximum=5))
    assert wrong.failed_with.startswith("MinGreaterThanOrEqualMax,")


def test_a_credential_is_made_and_nothing_else_of_net(session: Session) -> None:
    made = session.run(cmd("New-Object", TypeName="PSCredential", ArgumentList=["bob", PSSecureString("b0b")]))
    assert made.output[0].props["UserName"] == "bob"
    assert session.run(cmd("New-Object", TypeName="System.Net.WebClient")).failed_with.startswith("SimulationRefused")
