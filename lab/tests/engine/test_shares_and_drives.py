# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shares, mappings, drives of a session, disks and partitions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from psrpcore.types import PSCredential, PSSecureString
from vsslab.windows.host import Host

from .harness import Session, cmd

COMMANDS = "Microsoft.PowerShell.Commands"


@pytest.fixture
def server(host: Host, tmp_path: Any) -> Iterator[Host]:
    """Another host of the laboratory, with a share for its account backup."""
    made = Host("nas", tmp_path / "nas", volumes=[{"letter": "C"}],
                users=[{"name": "backup", "password": "p", "administrator": False}])  # fmt: skip
    made.files.mkdir("C:\\pool")
    made.files.set_security("C:\\pool", "D:(A;OICI;FA;;;AU)")
    made.shares.add("pool", "C:\\pool", full=["backup"])
    host.network = {"nas": made}
    yield made
    made.close()


class TestShares:
    def test_a_share_is_made_granted_and_taken_away(self, session: Session, host: Host) -> None:
        host.files.mkdir("D:\\data")
        made = session.run(cmd("New-SmbShare", Name="data", Path="D:\\data", FullAccess="bob"))
        assert [each.props["Name"] for each in made.output] == ["data"]
        again = session.run(cmd("New-SmbShare", Name="data", Path="D:\\data"))
        assert again.errors == ["Windows System Error 2118,New-SmbShare"]
        granted = session.run(cmd("Grant-SmbShareAccess", Name="data", AccountName="admin", AccessRight="Change",
                                  Force=True))  # fmt: skip
        assert [(each.props["AccountName"], each.props["AccessRight"]) for each in granted.output] == [
            ("SRV1\\bob", "Full"), ("SRV1\\admin", "Change")]  # fmt: skip
        asked = session.run(cmd("Remove-SmbShare", Name="data"))
        assert asked.failed_with == "HostFunctionNotImplemented,Remove-SmbShare"
        assert session.run(cmd("Remove-SmbShare", Name="data", Force=True)).state == "Completed"
        assert session.run(cmd("Get-SmbShare", Name="data")).errors == ["CmdletizationQuery_NotFound_Name,Get-SmbShare"]

    def test_its_access_list_is_told_as_a_descriptor(self, session: Session, host: Host) -> None:
        host.files.mkdir("D:\\data")
        session.run(cmd("New-SmbShare", Name="data", Path="D:\\data", ReadAccess="bob", FullAccess="Administrators"))
        told = session.run(
            [cmd("Get-SmbShare", Name="data"), cmd("Select-Object", ExpandProperty="SecurityDescriptor")]
        )
        bob = host.users.sid_of("bob")
        assert told.output == [f"O:SYG:SYD:(A;;FA;;;S-1-5-32-544)(A;;0x1200a9;;;{bob})"]

    @pytest.mark.parametrize("account", ["S-1-1-0", "*S-1-1-0", "nobody", "Jeder"])
    def test_accounts_are_looked_up_by_the_names_of_this_windows(
        self, session: Session, host: Host, account: str
    ) -> None:
        host.files.mkdir("D:\\data")
        made = session.run(cmd("New-SmbShare", Name="data", Path="D:\\data", ReadAccess=account))
        assert made.errors == ["Windows System Error 1332,New-SmbShare"]
        assert host.shares.find("data") is None
        host.shares.add("data", "D:\\data")
        given = session.run(cmd("Grant-SmbShareAccess", Name="data", AccountName=account, Force=True))
        assert given.errors == ["Windows System Error 1332,Grant-SmbShareAccess"]

    def test_the_special_shares_are_told_apart(self, session: Session) -> None:
        done = session.run([cmd("Get-SmbShare", Special=True), cmd("Select-Object", ExpandProperty="Name")])
        assert done.output == ["ADMIN$", "C$", "D$", "IPC$"]

    def test_only_administrators_see_them(self, bob: Session) -> None:
        assert bob.run(cmd("Get-SmbShare")).errors == ["Windows System Error 5,Get-SmbShare"]


class TestMappings:
    def test_a_mapping_with_credentials_crosses_the_second_hop(self, session: Session, server: Host) -> None:
        path = "\\\\nas\\pool"
        alone = session.run(cmd("Set-Content", LiteralPath=path + "\\f.txt", Value="x"))
        assert alone.errors
        made = session.run(cmd("New-SmbMapping", RemotePath=path, UserName="backup", Password="p"))
        assert [each.props["RemotePath"] for each in made.output] == [path]
        assert session.run(cmd("Set-Content", LiteralPath=path + "\\f.txt", Value="x")).errors == []
        assert server.files.read("C:\\pool\\f.txt") == b"x\r\n"
        listed = session.run([cmd("Get-ChildItem", Path=path + "\\*.txt"),
                              cmd("Select-Object", ExpandProperty="FullName")])  # fmt: skip
        assert listed.output == [path + "\\f.txt"]
        roots = session.run([cmd("Get-Item", LiteralPath=path), cmd("Select-Object", ExpandProperty="Root")])
        assert roots.output == [path]
        shown = session.run(cmd("Get-SmbMapping", RemotePath=path), cmd("Get-SmbConnection"))
        assert [each.types[0].rpartition("/")[2] for each in shown.output] == ["MSFT_SmbMapping", "MSFT_SmbConnection"]
        assert session.run(cmd("Remove-SmbMapping", RemotePath=path, Force=True)).errors == []
        assert session.run(cmd("Get-SmbMapping")).output == []

    def test_what_is_wrong_is_told_by_number(self, session: Session, server: Host) -> None:
        wrong = session.run(cmd("New-SmbMapping", RemotePath="\\\\nas\\pool", UserName="backup", Password="no"))
        assert wrong.errors == ["Windows System Error 1326,New-SmbMapping"]
        nowhere = session.run(cmd("New-SmbMapping", RemotePath="\\\\nobody\\pool"))
        assert nowhere.errors == ["Windows System Error 53,New-SmbMapping"]

    def test_other_sessions_do_not_see_it(self, session: Session, server: Host, host: Host) -> None:
        session.run(cmd("New-SmbMapping", RemotePath="\\\\nas\\pool", UserName="backup", Password="p"))
        other = Session(host, "admin")
        other.runspace = type(other.runspace)(host, host.users.find("admin"), "0THER")  # type: ignore[arg-type]
        assert other.run(cmd("Get-SmbMapping")).output == []


class TestDrives:
    def test_a_name_for_a_folder(self, session: Session, host: Host) -> None:
        host.files.mkdir("D:\\deep\\er", parents=True)
        host.files.write("D:\\deep\\er\\f.txt", b"x")
        session.run(cmd("New-PSDrive", Name="Work", PSProvider="FileSystem", Root="D:\\deep\\er"))
        done = session.run([cmd("Get-ChildItem", Path="Work:\\"), cmd("Select-Object", ExpandProperty="FullName")])
        assert done.output == ["D:\\deep\\er\\f.txt"]
        twice = session.run(cmd("New-PSDrive", Name="work", PSProvider="FileSystem", Root="D:\\"))
        assert twice.errors == [f"DriveAlreadyExists,{COMMANDS}.NewPSDriveCommand"]
        session.run(cmd("Remove-PSDrive", Name="Work"))
        gone = session.run(cmd("Get-ChildItem", Path="Work:\\"))
        assert gone.failed_with == f"DriveNotFound,{COMMANDS}.GetChildItemCommand"

    def test_a_letter_for_a_share(self, session: Session, server: Host) -> None:
        made = session.run(cmd("New-PSDrive", Name="Z", PSProvider="FileSystem", Root="\\\\nas\\pool", Persist=True,
                               Credential=PSCredential(UserName="backup", Password=PSSecureString("p"))))  # fmt: skip
        assert made.errors == []
        session.run(cmd("Set-Content", LiteralPath="Z:\\g.txt", Value="y"))
        assert server.files.read("C:\\pool\\g.txt") == b"y\r\n"
        done = session.run([cmd("Get-PSDrive", Name="Z"), cmd("Select-Object", ExpandProperty="DisplayRoot")])
        assert done.output == ["\\\\nas\\pool"]

    def test_all_of_them(self, session: Session) -> None:
        done = session.run([cmd("Get-PSDrive", PSProvider="FileSystem"), cmd("Select-Object", ExpandProperty="Name")])
        assert done.output == ["C", "D"]
        missing = session.run(cmd("Get-PSDrive", Name="Q"))
        assert missing.errors == [f"GetLocationNoMatchingDrive,{COMMANDS}.GetPSDriveCommand"]


class TestStorage:
    def test_disks_and_partitions_belong_to_volumes(self, session: Session) -> None:
        done = session.run([cmd("Get-Volume", DriveLetter="D"), cmd("Get-Partition"), cmd("Get-Disk")])
        assert [int(each.props["Number"]) for each in done.output] == [1]
        boot = session.run(
            [cmd("Get-Partition", DiskNumber=0), cmd("Select-Object", Property=["DriveLetter", "IsBoot"])]
        )
        assert [(str(each.notes["DriveLetter"]), each.notes["IsBoot"]) for each in boot.output] == [("C", True)]
        assert session.run(cmd("Get-Disk", Number=9)).errors == ["CmdletizationQuery_NotFound_Number,Get-Disk"]
        assert session.run(cmd("Get-StorageJob")).output == []

    def test_access_paths_come_and_go(self, session: Session, host: Host) -> None:
        host.files.mkdir("C:\\mnt")
        host.files.write("D:\\f.txt", b"x")
        where = {"DiskNumber": 1, "PartitionNumber": 2}
        assert session.run(cmd("Add-PartitionAccessPath", AccessPath="C:\\mnt", **where)).errors == []
        assert host.files.read("C:\\mnt\\f.txt") == b"x"
        taken = session.run(cmd("Add-PartitionAccessPath", AccessPath="E:", **where))
        assert taken.errors == ["StorageWMI 42002,Add-PartitionAccessPath"]
        assert session.run(cmd("Remove-PartitionAccessPath", AccessPath="C:\\mnt\\", **where)).errors == []
        assert host.files.listdir("C:\\mnt") == []
        assert session.run(cmd("Remove-PartitionAccessPath", AccessPath="D:\\", **where)).errors == []
        assert not host.files.exists("D:\\")
        back = session.run(cmd("Add-PartitionAccessPath", AssignDriveLetter=True, PassThru=True, **where))
        assert str(back.output[0].props["DriveLetter"]) == "D"
