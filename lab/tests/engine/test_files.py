# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files through the provider: looking, changing, reading, writing, hashing; the IDs of what goes wrong."""

from __future__ import annotations

import hashlib

import pytest
from vsslab.windows.host import Host

from .harness import Session, cmd

COMMANDS = "Microsoft.PowerShell.Commands"


def names(session: Session, *stages) -> list[str]:
    return session.run([*stages, cmd("ForEach-Object", MemberName="FullName")]).output


@pytest.fixture
def tree(host: Host) -> None:
    for folder in ("C:\\t\\a\\deep", "C:\\t\\b"):
        host.files.mkdir(folder, parents=True)
    for name in ("C:\\t\\1.txt", "C:\\t\\2.log", "C:\\t\\a\\3.txt", "C:\\t\\a\\deep\\4.txt"):
        host.files.write(name, name.encode())


@pytest.mark.usefixtures("tree")
class TestLooking:
    def test_a_folder_is_listed_folders_first(self, session: Session) -> None:
        assert names(session, cmd("Get-ChildItem", LiteralPath="C:\\t")) == [
            "C:\\t\\a",
            "C:\\t\\b",
            "C:\\t\\1.txt",
            "C:\\t\\2.log",
        ]

    def test_recursion_depth_kinds_and_filters(self, session: Session) -> None:
        def listed(**parameters: object) -> list[str]:
            return [
                each.removeprefix("C:\\t\\")
                for each in names(session, cmd("Get-ChildItem", LiteralPath="C:\\t", **parameters))
            ]

        assert listed(Recurse=True, File=True) == ["1.txt", "2.log", "a\\3.txt", "a\\deep\\4.txt"]
        assert listed(Recurse=True, Directory=True) == ["a", "b", "a\\deep"]
        assert listed(Depth=1, File=True) == ["1.txt", "2.log", "a\\3.txt"]
        assert listed(Filter="*.txt") == ["1.txt"]
        assert listed(Recurse=True, Include="*.txt", Exclude="3*") == ["1.txt", "a\\deep\\4.txt"]

    def test_wildcards_work_in_every_part_of_a_path(self, session: Session) -> None:
        assert names(session, cmd("Get-ChildItem", Path="C:\\t\\*\\*.txt")) == ["C:\\t\\a\\3.txt"]
        assert names(session, cmd("Get-Item", Path="C:\\[s-u]\\?.txt")) == ["C:\\t\\1.txt"]
        assert session.run(cmd("Get-ChildItem", Path="C:\\t\\*.nothing")).written == []

    def test_a_literal_path_has_no_wildcards(self, session: Session) -> None:
        assert session.run(cmd("Get-Item", LiteralPath="C:\\t\\*.txt")).errors == [
            f"PathNotFound,{COMMANDS}.GetItemCommand"
        ]

    def test_names_alone_are_told_from_the_folder_on(self, session: Session) -> None:
        done = session.run(cmd("Get-ChildItem", LiteralPath="C:\\t", Recurse=True, Name=True, File=True))
        assert done.output == ["1.txt", "2.log", "a\\3.txt", "a\\deep\\4.txt"]

    def test_hidden_items_need_force(self, session: Session, host: Host) -> None:
        host.files.set_attributes("C:\\t\\1.txt", 2)
        assert "C:\\t\\1.txt" not in names(session, cmd("Get-ChildItem", LiteralPath="C:\\t"))
        assert "C:\\t\\1.txt" in names(session, cmd("Get-ChildItem", LiteralPath="C:\\t", Force=True))

    @pytest.mark.parametrize(
        ("wanted", "expected"),
        [
            ("Hidden", ["h.txt"]),
            ("!Directory+!Hidden", ["n.txt"]),
            ("Directory,Hidden", ["sub", "h.txt"]),
            ("d", ["sub"]),
        ],
    )
    def test_attributes_are_an_expression(self, session: Session, host: Host, wanted: str, expected: list[str]) -> None:
        host.files.mkdir("C:\\attr\\sub", parents=True)
        for name in ("h.txt", "n.txt"):
            host.files.write(f"C:\\attr\\{name}", b"")
        host.files.set_attributes("C:\\attr\\h.txt", 2)
        done = session.run(cmd("Get-ChildItem", LiteralPath="C:\\attr", Attributes=wanted, Name=True))
        assert done.output == expected

    @pytest.mark.parametrize("kind", ["symlink", "junction"])
    def test_recurse_of_5_1_enters_links_and_junctions(self, session: Session, host: Host, kind: str) -> None:
        getattr(host.files, kind)("C:\\t\\link", "C:\\t\\a")
        assert "C:\\t\\link\\3.txt" in names(session, cmd("Get-ChildItem", LiteralPath="C:\\t", Recurse=True))
        assert names(session, cmd("Get-ChildItem", LiteralPath="C:\\t\\link", File=True)) == ["C:\\t\\link\\3.txt"]

    @pytest.mark.parametrize(
        ("path", "kind", "there"),
        [("C:\\t", "Any", True), ("C:\\t", "Leaf", False), ("C:\\T\\1.TXT", "Leaf", True),
         ("C:\\t\\*.log", "Any", True),
         ("C:\\no", "Any", False), ("Q:\\", "Any", False), ("C:\\t\\1.txt", "Container", False)],
    )  # fmt: skip
    def test_whether_a_path_is_there_is_never_an_error(
        self, session: Session, path: str, kind: str, there: bool
    ) -> None:
        assert session.run(cmd("Test-Path", Path=path, PathType=kind)).output == [there]

    def test_a_drive_that_there_is_not_is_another_error(self, session: Session) -> None:
        assert session.run(cmd("Get-Item", LiteralPath="Q:\\x")).errors == [f"DriveNotFound,{COMMANDS}.GetItemCommand"]

    def test_the_provider_may_be_named(self, session: Session) -> None:
        path = "Microsoft.PowerShell.Core\\FileSystem::C:\\t\\1.txt"
        assert names(session, cmd("Get-Item", LiteralPath=path)) == ["C:\\t\\1.txt"]

    def test_sizes_are_measured(self, session: Session) -> None:
        done = session.run(
            [
                cmd("Get-ChildItem", LiteralPath="C:\\t", Recurse=True, File=True),
                cmd("Measure-Object", Property="Length", Sum=True),
                cmd("Select-Object", Property=["Count", "Sum"]),
                cmd("ConvertTo-Json", Compress=True),
            ]
        )
        assert done.output == ['{"Count":4,"Sum":49}']

    def test_hashes_are_those_of_the_content(self, session: Session) -> None:
        done = session.run([cmd("Get-ChildItem", LiteralPath="C:\\t", File=True), cmd("Get-FileHash"),
                            cmd("ForEach-Object", MemberName="Hash")])  # fmt: skip
        assert done.output == [hashlib.sha256(each).hexdigest().upper() for each in (b"C:\\t\\1.txt", b"C:\\t\\2.log")]


class TestMaking:
    def test_a_folder_appears_with_those_above_it_and_is_output(self, session: Session, host: Host) -> None:
        assert names(session, cmd("New-Item", Path="C:\\x\\y\\z", ItemType="Directory")) == ["C:\\x\\y\\z"]
        assert host.files.is_dir("C:\\x\\y\\z")

    def test_what_exists_is_an_error_unless_forced(self, session: Session) -> None:
        make = cmd("New-Item", Path="C:\\x", ItemType="Directory")
        assert session.run(make, make).errors == [f"DirectoryExist,{COMMANDS}.NewItemCommand"]
        assert session.run(cmd("New-Item", Path="C:\\x", ItemType="Directory", Force=True)).errors == []
        file = cmd("New-Item", Path="C:\\f", ItemType="File", Value="v")
        assert session.run(file, file).errors == [f"NewItemIOError,{COMMANDS}.NewItemCommand"]

    def test_what_may_not_be_done_is_denied(self, bob: Session) -> None:
        done = bob.run(cmd("New-Item", Path="C:\\Windows\\x", ItemType="Directory"),
                       cmd("Set-Content", LiteralPath="C:\\Windows\\x.txt", Value="v"),
                       cmd("Remove-Item", LiteralPath="C:\\Windows\\System32\\sh.exe"),
                       cmd("Get-Content", LiteralPath="C:\\Windows"))  # fmt: skip
        assert done.errors == [
            f"CreateDirectoryUnauthorizedAccessError,{COMMANDS}.NewItemCommand",
            f"GetContentWriterUnauthorizedAccessError,{COMMANDS}.SetContentCommand",
            f"RemoveFileSystemItemUnAuthorizedAccess,{COMMANDS}.RemoveItemCommand",
            f"GetContentReaderUnauthorizedAccessError,{COMMANDS}.GetContentCommand",
        ]
        assert {each.category for each in done.of("error")} == {"PermissionDenied"}

    def test_whatif_does_nothing(self, session: Session, host: Host) -> None:
        assert session.run(cmd("New-Item", Path="C:\\x", ItemType="Directory", WhatIf=True)).written == []
        assert not host.files.exists("C:\\x")


@pytest.mark.usefixtures("tree")
class TestChanging:
    def test_a_folder_with_something_in_it_needs_recurse(self, session: Session, host: Host) -> None:
        done = session.run(cmd("Remove-Item", LiteralPath="C:\\t"))
        assert done.failed_with == f"HostFunctionNotImplemented,{COMMANDS}.RemoveItemCommand"
        session.run(cmd("Remove-Item", LiteralPath="C:\\t", Recurse=True))
        assert not host.files.exists("C:\\t")

    def test_a_protected_file_needs_force(self, session: Session, host: Host) -> None:
        host.files.set_attributes("C:\\t\\1.txt", 1)
        done = session.run(cmd("Remove-Item", LiteralPath="C:\\t\\1.txt"))
        assert done.errors == [f"RemoveFileSystemItemUnAuthorizedAccess,{COMMANDS}.RemoveItemCommand"]
        session.run(cmd("Remove-Item", LiteralPath="C:\\t\\1.txt", Force=True))
        assert not host.files.exists("C:\\t\\1.txt")

    @pytest.mark.parametrize("path", ["C:\\t\\link", "C:\\t"])
    def test_5_1_cannot_remove_a_directory_link_and_leaves_what_it_leads_to(
        self, session: Session, host: Host, path: str
    ) -> None:
        host.files.mkdir("D:\\target")
        host.files.write("D:\\target\\precious.txt", b"!")
        host.files.symlink("C:\\t\\link", "D:\\target")
        done = session.run(cmd("Remove-Item", LiteralPath=path, Recurse=True, Force=True))
        assert done.failed_with == f"System.ComponentModel.Win32Exception,{COMMANDS}.RemoveItemCommand"
        assert host.files.read("D:\\target\\precious.txt") == b"!"

    def test_a_file_is_moved_and_replaces_another_with_force_only(self, session: Session, host: Host) -> None:
        move = {"LiteralPath": "C:\\t\\1.txt", "Destination": "C:\\t\\2.log"}
        assert session.run(cmd("Move-Item", **move)).errors == [f"MoveFileInfoItemIOError,{COMMANDS}.MoveItemCommand"]
        assert session.run(cmd("Move-Item", **move, Force=True)).errors == []
        assert host.files.read("C:\\t\\2.log") == b"C:\\t\\1.txt"

    def test_a_folder_does_not_move_to_another_volume_a_file_does(self, session: Session, host: Host) -> None:
        done = session.run(cmd("Move-Item", LiteralPath="C:\\t\\a", Destination="D:\\a"))
        assert done.errors == [f"MoveDirectoryItemIOError,{COMMANDS}.MoveItemCommand"]
        session.run(cmd("Move-Item", LiteralPath="C:\\t\\1.txt", Destination="D:\\"))
        assert host.files.exists("D:\\1.txt")
        assert not host.files.exists("C:\\t\\1.txt")

    def test_a_tree_is_copied(self, session: Session, host: Host) -> None:
        session.run(cmd("Copy-Item", LiteralPath="C:\\t", Destination="D:\\copy", Recurse=True))
        assert host.files.read("D:\\copy\\a\\deep\\4.txt") == b"C:\\t\\a\\deep\\4.txt"

    def test_a_new_name(self, session: Session, host: Host) -> None:
        session.run(cmd("Rename-Item", LiteralPath="C:\\t\\1.txt", NewName="new.txt"))
        assert host.files.exists("C:\\t\\new.txt")
        done = session.run(cmd("Rename-Item", LiteralPath="C:\\t\\new.txt", NewName="2.log"),
                           cmd("Rename-Item", LiteralPath="C:\\t\\gone", NewName="x"))  # fmt: skip
        assert done.errors == [
            f"RenameItemIOError,{COMMANDS}.RenameItemCommand",
            f"InvalidOperation,{COMMANDS}.RenameItemCommand",
        ]


class TestContent:
    @pytest.mark.parametrize(
        ("encoding", "data"),
        [
            (None, "a\r\nü?\r\n".encode("cp1252")),
            ("UTF8", b"\xef\xbb\xbf" + "a\r\nü日\r\n".encode()),
            ("Unicode", b"\xff\xfe" + "a\r\nü日\r\n".encode("utf-16-le")),
            ("BigEndianUnicode", b"\xfe\xff" + "a\r\nü日\r\n".encode("utf-16-be")),
            ("ASCII", b"a\r\n??\r\n"),
            ("OEM", b"a\r\n\x81?\r\n"),
        ],
    )
    def test_lines_are_written_with_the_marks_and_line_ends_of_5_1(
        self, session: Session, host: Host, encoding, data
    ) -> None:
        more = {} if encoding is None else {"Encoding": encoding}
        session.run(cmd("Set-Content", LiteralPath="C:\\f.txt", Value=["a", "ü日"], **more))
        assert host.files.read("C:\\f.txt") == data

    def test_the_pipe_brings_lines_and_replaces_once(self, session: Session, host: Host) -> None:
        host.files.write("C:\\f.txt", b"old")
        session.run([cmd("Write-Output", ["a", "b"]), cmd("Set-Content", LiteralPath="C:\\f.txt")],
                    cmd("Add-Content", LiteralPath="C:\\f.txt", Value="c", NoNewline=True))  # fmt: skip
        assert host.files.read("C:\\f.txt") == b"a\r\nb\r\nc"

    def test_bytes_are_written_and_read(self, session: Session, host: Host) -> None:
        session.run(cmd("Set-Content", LiteralPath="C:\\f", Value=[0, 255, 13], Encoding="Byte"))
        assert host.files.read("C:\\f") == b"\x00\xff\r"
        done = session.run(
            [cmd("Get-Content", LiteralPath="C:\\f", Encoding="Byte"), cmd("ForEach-Object", MemberName="ToString")]
        )
        assert done.output == ["0", "255", "13"]

    @pytest.mark.parametrize(
        ("parameters", "expected"),
        [
            ({}, ["one", "", "three"]),
            ({"TotalCount": 2}, ["one", ""]),
            ({"Tail": 1}, ["three"]),
            ({"Tail": 0}, []),
            ({"Raw": True}, ["one\r\n\r\nthree"]),
        ],
    )
    def test_lines_are_read(self, session: Session, host: Host, parameters, expected) -> None:
        host.files.write("C:\\f.txt", b"one\r\n\r\nthree")
        done = session.run(cmd("Get-Content", LiteralPath="C:\\f.txt", **parameters))
        assert [str(each) for each in done.of("output")] == expected

    def test_a_byte_order_mark_goes_before_the_encoding_asked_for(self, session: Session, host: Host) -> None:
        host.files.write("C:\\f.txt", b"\xff\xfe" + "ü".encode("utf-16-le"))
        done = session.run(cmd("Get-Content", LiteralPath="C:\\f.txt", Encoding="UTF8"))
        assert str(done.of("output")[0]) == "ü"

    def test_lines_carry_the_notes_of_their_file(self, session: Session, host: Host) -> None:
        host.files.write("C:\\f.txt", b"a\nb\n")
        second = session.run(cmd("Get-Content", LiteralPath="C:\\f.txt")).of("output")[1]
        notes = {each.name: each.get_value(second) for each in second.PSObject.extended_properties}
        assert list(notes) == ["PSPath", "PSParentPath", "PSChildName", "PSDrive", "PSProvider", "ReadCount"]
        assert (notes["PSPath"], notes["ReadCount"]) == ("C:\\f.txt", 2)

    def test_tostring_of_a_line_is_a_plain_text(self, session: Session, host: Host) -> None:
        host.files.write("C:\\1.json", b"{}")
        host.files.write("C:\\2.json", "ü".encode())
        done = session.run(
            [
                cmd("Get-Content", Path="C:\\*.json", Raw=True, Encoding="UTF8"),
                cmd("ForEach-Object", MemberName="ToString"),
                cmd("ConvertTo-Json", Compress=True),
            ]
        )
        assert done.output == ['["{}","ü"]']

    def test_a_missing_folder_is_told_by_the_writer(self, session: Session) -> None:
        done = session.run(cmd("Set-Content", LiteralPath="C:\\no\\f.txt", Value="x"))
        assert done.errors == [f"GetContentWriterDirectoryNotFoundError,{COMMANDS}.SetContentCommand"]

    def test_a_full_volume_is_told(self, session: Session, host: Host) -> None:
        host.volumes.by_path("D:").capacity = 10
        done = session.run(cmd("Set-Content", LiteralPath="D:\\f.txt", Value="x" * 20))
        assert done.errors == [f"GetContentWriterIOError,{COMMANDS}.SetContentCommand"]

    @pytest.mark.parametrize("command", ["Tee-Object", "Out-File"])
    def test_text_files_of_out_file_and_tee_are_utf_16(self, session: Session, host: Host, command: str) -> None:
        session.run([cmd("Write-Output", ["a", 1]), cmd(command, FilePath="C:\\f.txt")])
        assert host.files.read("C:\\f.txt") == b"\xff\xfe" + "a\r\n1\r\n".encode("utf-16-le")


def test_the_owner_and_the_entries_of_a_folder_are_told(session: Session) -> None:
    done = session.run([cmd("Get-Acl", LiteralPath="C:\\Windows"), cmd("Select-Object", Property=["Owner", "Sddl"])])
    (shown,) = done.output
    assert shown.notes["Owner"] == "NT SERVICE\\TrustedInstaller"
    assert shown.notes["Sddl"].startswith("O:S-1-5-80-")


def test_a_file_that_goes_away_meanwhile_ends_the_statement_with_a_record(session: Session, host: Host) -> None:
    host.files.write("C:\\f.txt", b"x")
    gone = session.runspace.files

    class Vanishing:
        """Files that are there when they are looked for, and gone when they are looked at."""

        def __getattr__(self, name: str) -> object:
            return getattr(gone, name)

        def stat(self, path: str) -> object:
            gone.remove(path)
            return gone.stat(path)

    session.runspace.files = Vanishing()
    done = session.run(cmd("Get-ChildItem", LiteralPath="C:\\f.txt"))
    assert done.failed_with == f"System.IO.IOException,{COMMANDS}.GetChildItemCommand"
