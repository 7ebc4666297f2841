# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Windows PowerShell 5.1 at links and at long paths: it enters junctions, loops, and ends at 260 characters."""

from __future__ import annotations

import pytest
from vsslab.windows.host import Host

from .harness import Session, cmd

COMMANDS = "Microsoft.PowerShell.Commands"
TOO_LONG = "The specified path, file name, or both are too long."


@pytest.fixture
def deep(host: Host) -> str:
    """A folder below D:\\ whose path has 253 characters, with a file of 3 in it; the path of the folder."""
    path = "\\\\?\\D:"
    for each in ("a" * 80, "b" * 80, "c" * 86):
        path += "\\" + each
        host.files.mkdir(path)
    host.files.write(path + "\\f.t", b"deep")
    host.files.write(path + "\\longer.txt", b"deeper")
    return path.removeprefix("\\\\?\\")


def names(session: Session, **parameters: object) -> list[str]:
    done = session.run([cmd("Get-ChildItem", **parameters), cmd("Select-Object", ExpandProperty="FullName")])
    return [str(each) for each in done.output]


class TestJunctions:
    def test_a_junction_is_shown_as_one(self, session: Session, host: Host) -> None:
        host.files.mkdir("D:\\data")
        host.files.junction("C:\\j", "D:\\data")
        host.files.symlink("C:\\l", "D:\\data")
        wanted = ["Name", "LinkType", "Attributes", "Mode", "Target"]
        done = session.run([cmd("Get-Item", Path=["C:\\j", "C:\\l"]), cmd("Select-Object", Property=wanted)])
        junction, link = done.output
        assert [junction.notes["LinkType"], link.notes["LinkType"]] == ["Junction", "SymbolicLink"]
        assert junction.notes["Attributes"].number == 0x410
        assert junction.notes["Mode"] == "d----l"

    def test_a_loop_ends_with_an_error_and_not_before(self, session: Session, host: Host) -> None:
        host.files.mkdir("D:\\top")
        host.files.write("D:\\top\\f", b"")
        host.files.junction("D:\\top\\and-around-we-go", "D:\\top")
        done = session.run([cmd("Get-ChildItem", LiteralPath="D:\\top", Recurse=True, File=True),
                            cmd("Measure-Object")])  # fmt: skip
        assert done.state == "Completed"
        assert done.errors == [f"DirIOError,{COMMANDS}.GetChildItemCommand"]
        (error,) = done.of("error")
        assert error.category == "ReadError"
        assert error.exception == "System.IO.PathTooLongException"
        assert done.output[0].props["Count"] == 15  # 6 + 17 * n stays below 248 for n from 0 to 14

    def test_remove_takes_the_junction_and_leaves_its_target(self, session: Session, host: Host) -> None:
        host.files.mkdir("D:\\kept")
        host.files.write("D:\\kept\\f", b"x")
        host.files.mkdir("C:\\tree")
        host.files.junction("C:\\tree\\j", "D:\\kept")
        assert session.run(cmd("Remove-Item", LiteralPath="C:\\tree", Recurse=True)).state == "Completed"
        assert not host.files.exists("C:\\tree")
        assert host.files.read("D:\\kept\\f") == b"x"

    def test_remove_of_a_full_junction_asks_first(self, session: Session, host: Host) -> None:
        host.files.mkdir("D:\\kept")
        host.files.write("D:\\kept\\f", b"x")
        host.files.junction("C:\\j", "D:\\kept")
        done = session.run(cmd("Remove-Item", LiteralPath="C:\\j"))
        assert done.failed_with == f"HostFunctionNotImplemented,{COMMANDS}.RemoveItemCommand"
        assert host.files.exists("C:\\j")

    def test_new_item_makes_junctions_for_everybody_and_links_for_administrators(
        self, session: Session, bob: Session, host: Host
    ) -> None:
        host.files.mkdir("D:\\goal")
        host.files.mkdir("D:\\bobs")
        host.files.set_security("D:\\bobs", "D:(A;OICI;FA;;;BU)")
        made = bob.run(cmd("New-Item", Path="D:\\bobs\\j", ItemType="Junction", Value="D:\\goal"))
        assert (made.state, host.files.stat("D:\\bobs\\j").junction) == ("Completed", True)
        refused = bob.run(cmd("New-Item", Path="D:\\bobs\\l", ItemType="SymbolicLink", Value="D:\\goal"))
        assert refused.errors == [f"NewItemSymbolicLinkElevationRequired,{COMMANDS}.NewItemCommand"]
        session.run(cmd("New-Item", Path="C:\\l", ItemType="SymbolicLink", Value="D:\\goal"))
        assert host.files.stat("C:\\l").link_target == "D:\\goal"


class TestLongPaths:
    def test_a_folder_beyond_247_cannot_be_listed(self, session: Session, deep: str) -> None:
        done = session.run(cmd("Get-ChildItem", LiteralPath="D:\\", Recurse=True, Name=True))
        assert len(deep) == 251
        assert done.output == ["a" * 80, deep[3:164], deep[3:]]
        assert done.errors == [f"DirIOError,{COMMANDS}.GetChildItemCommand"]
        assert done.of("error")[0].message.startswith(TOO_LONG)

    def test_a_literal_device_path_has_no_bound(self, session: Session, deep: str) -> None:
        assert names(session, LiteralPath="\\\\?\\" + deep)[1].endswith("\\longer.txt")
        read = session.run(cmd("Get-Content", LiteralPath="\\\\?\\" + deep + "\\longer.txt"))
        assert [str(each) for each in read.of("output")] == ["deeper"]

    def test_test_path_says_false_and_why(self, session: Session, deep: str) -> None:
        done = session.run(cmd("Test-Path", LiteralPath=deep + "\\longer.txt"))
        assert done.output == [False]
        assert done.errors == [f"ItemExistsPathTooLongError,{COMMANDS}.TestPathCommand"]
        assert session.run(cmd("Test-Path", LiteralPath=deep + "\\f.t")).output == [True]

    @pytest.mark.parametrize("command", ["Get-Item", "Get-Content", "Get-Acl"])
    def test_what_wants_an_item_says_both(self, session: Session, deep: str, command: str) -> None:
        done = session.run(cmd(command, LiteralPath=deep + "\\longer.txt"))
        told = [each.partition(",")[0] for each in done.errors]
        assert told == ["ItemExistsPathTooLongError", "PathNotFound"]

    def test_writers_refuse_it(self, session: Session, deep: str) -> None:
        made = session.run(cmd("New-Item", Path=deep + "\\another.txt", ItemType="File"))
        assert made.errors == [f"NewItemIOError,{COMMANDS}.NewItemCommand"]
        assert made.of("error")[0].exception == "System.IO.DirectoryNotFoundException"
        written = session.run(cmd("Set-Content", LiteralPath=deep + "\\another.txt", Value="x"))
        assert written.errors == [f"GetContentWriterPathTooLongError,{COMMANDS}.SetContentCommand"]
