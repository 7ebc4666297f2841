# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""robocopy copies what it says it copies, and says it as robocopy does."""

from __future__ import annotations

import datetime
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Machine = Any  # see conftest

QUIET = ("/R:0", "/W:0", "/NP", "/BYTES")
ERROR = re.compile(r"^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \S+ (\d+) \(0x([0-9A-F]{8})\) (.+)$")
OLD = datetime.datetime(2020, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)


@pytest.fixture
def source(machine: Machine) -> Machine:
    files = machine.host.files
    files.mkdir("D:\\src\\sub\\deep", parents=True)
    files.mkdir("D:\\src\\empty")
    for path, data in (("a.txt", b"hello"), ("sub\\b.db", b"0" * 1000), ("sub\\deep\\c.log", b"")):
        files.write(f"D:\\src\\{path}", data)
        files.set_times(f"D:\\src\\{path}", modified=OLD)
    return machine


def errors(lines: list[str]) -> list[tuple[int, str]]:
    return [(int(found[1]), found[3]) for found in map(ERROR.match, lines) if found]


def table(lines: list[str]) -> list[list[int]]:
    rows = [re.fullmatch(r".*?:((?:\s+\d+){6})", each) for each in lines]
    return [[int(number) for number in row[1].split()] for row in rows if row][-3:]


def test_a_tree_is_copied_with_its_times_and_counted(source: Machine) -> None:
    ended = source("robocopy.exe", "D:\\src", "E:\\dst", "/E", "/DCOPY:DAT", *QUIET)
    assert ended.code == 1
    files = source.host.files
    assert sorted(each.path for each in files.walk("E:\\dst")) == [
        "E:\\dst\\a.txt", "E:\\dst\\empty", "E:\\dst\\sub", "E:\\dst\\sub\\b.db", "E:\\dst\\sub\\deep",
        "E:\\dst\\sub\\deep\\c.log"]  # fmt: skip
    assert files.read("E:\\dst\\sub\\b.db") == b"0" * 1000
    assert files.stat("E:\\dst\\a.txt").modified == OLD
    assert files.stat("E:\\dst\\sub").modified == files.stat("D:\\src\\sub").modified
    assert table(ended.out) == [[4, 4, 0, 0, 0, 0], [3, 3, 0, 0, 0, 0], [1005, 1005, 0, 0, 0, 0]]


def test_the_second_run_skips_what_is_the_same_by_size_and_time(source: Machine) -> None:
    source("robocopy.exe", "D:\\src", "E:\\dst", "/E", *QUIET)
    again = source("robocopy.exe", "D:\\src", "E:\\dst", "/E", *QUIET)
    assert (again.code, table(again.out)[1]) == (0, [3, 0, 3, 0, 0, 0])
    source.host.files.write("D:\\src\\a.txt", b"newer")
    assert source("robocopy.exe", "D:\\src", "E:\\dst", "/E", *QUIET).code == 1
    assert source.host.files.read("E:\\dst\\a.txt") == b"newer"


def test_without_e_only_the_folder_itself_and_with_s_no_empty_ones(source: Machine) -> None:
    source("robocopy.exe", "D:\\src", "E:\\one", *QUIET)
    assert [each.name for each in source.host.files.listdir("E:\\one")] == ["a.txt"]
    source("robocopy.exe", "D:\\src", "E:\\two", "/S", *QUIET)
    assert not source.host.files.exists("E:\\two\\empty")
    assert source.host.files.exists("E:\\two\\sub\\b.db")


def test_patterns_and_exclusions_choose(source: Machine) -> None:
    source("robocopy.exe", "D:\\src", "E:\\dst", "*.txt", "*.log", "/S", "/XD", "deep", "/XF", "no*", *QUIET)
    assert [each.path for each in source.host.files.walk("E:\\dst")] == ["E:\\dst\\a.txt"]
    source("robocopy.exe", "D:\\src", "E:\\all", "/E", "/XD", "D:\\src\\sub", "/XF", "A.TXT", *QUIET)
    assert [each.path for each in source.host.files.walk("E:\\all")] == ["E:\\all\\empty"]


def test_mirroring_deletes_extras_and_telling_does_not(source: Machine) -> None:
    files = source.host.files
    files.mkdir("E:\\dst\\gone\\inner", parents=True)
    files.write("E:\\dst\\gone\\inner\\x", b"1")
    files.write("E:\\dst\\extra", b"22")
    told = source("robocopy.exe", "D:\\src", "E:\\dst", "/E", "/L", *QUIET)
    assert (told.code, table(told.out)[1][5]) == (3, 1)
    assert files.exists("E:\\dst\\extra")
    assert not files.exists("E:\\dst\\a.txt")
    mirrored = source("robocopy.exe", "D:\\src", "E:\\dst", "/MIR", *QUIET)
    assert mirrored.code == 3
    assert any("*EXTRA File" in each and each.endswith("extra") for each in mirrored.out)
    assert not files.exists("E:\\dst\\gone")
    assert source("robocopy.exe", "D:\\src", "E:\\dst", "/MIR", *QUIET).code == 0


def test_mirroring_a_whole_volume_leaves_its_system_folder_alone(source: Machine) -> None:
    ended = source("robocopy.exe", "D:\\.", "E:\\dst", "/MIR", *QUIET)
    assert ended.code == 1
    assert not source.host.files.exists("E:\\dst\\System Volume Information")
    plain = source("robocopy.exe", "D:\\", "E:\\other", "/E", *QUIET)
    assert plain.code == 9
    assert errors(plain.out) == [(5, "Accessing Source Directory D:\\System Volume Information\\")]
    assert source("robocopy.exe", "D:\\", "E:\\other", "/E", "/B", *QUIET).code == 0


def test_a_stable_machine_log_has_one_whole_path_a_line(source: Machine) -> None:
    log = "C:\\Windows\\Temp\\copy.log"
    given = ("/E", *QUIET, "/FP", "/NC", "/NS", "/NDL", "/NJH", "/NJS", f"/UNILOG:{log}")
    ended = source("robocopy.exe", "D:\\src", "E:\\dst", *given)
    data = source.host.files.read(log)
    assert data[:2] == b"\xff\xfe"
    lines = [each.strip() for each in data.decode("utf-16").split("\r\n") if each.strip()]
    assert lines == ["D:\\src\\a.txt", "D:\\src\\sub\\b.db", "D:\\src\\sub\\deep\\c.log"]
    assert ended.out == ["", f" Log File : {log}"]
    appended = tuple(each.replace("/UNILOG:", "/UNILOG+:") for each in given)
    source("robocopy.exe", "D:\\src", "E:\\dst2", *appended, "/TEE")
    assert source.host.files.read(log).count(b"\xff\xfe") == 1
    assert len(source.host.files.read(log)) > len(data)


def test_the_log_grows_as_files_are_copied(source: Machine) -> None:
    seen: list[bool] = []
    source.on_line = lambda line: seen.append(source.host.files.exists("E:\\dst\\a.txt")) if "c.log" in line else None
    source("robocopy.exe", "D:\\src", "E:\\dst", "/E", *QUIET)
    assert seen == [True]


def test_the_header_and_the_rows_follow_the_language(make_machine: Callable[..., Machine]) -> None:
    for language, words in (
        ("de-DE", ("Robustes Dateikopieren", "Verzeich.:")),
        ("fr-FR", ("Copie de fichiers", "Octets")),
    ):
        machine = make_machine(language=language)
        machine.host.files.write("D:\\f", b"123")
        ended = machine("robocopy.exe", "D:\\", "E:\\dst", *QUIET, "/LOG:C:\\copy.log", "/TEE")
        assert all(word in ended.text for word in words)
        assert table(ended.out)[1:] == [[1, 1, 0, 0, 0, 0], [3, 3, 0, 0, 0, 0]]
        assert words[1] in machine.host.files.read("C:\\copy.log").decode("cp850")


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (("D:\\src", "E:\\dst", "/FOO"), 'ERROR : Invalid Parameter #3 : "/FOO"'),
        (("D:\\src", "E:\\dst", "/R:x"), 'ERROR : Invalid Parameter #3 : "/R:x"'),
        (("D:\\src", "E:\\dst", "/MT:200"), 'ERROR : Invalid Parameter #3 : "/MT:200"'),
        (("D:\\src", "E:\\dst", "/COPY:DQ"), 'ERROR : Invalid Parameter #3 : "/COPY:DQ"'),
        (("D:\\src", "E:\\dst", "/FAT"), "vsslab does not simulate the switch /FAT of robocopy."),
        (("D:\\src",), "ERROR : No Destination Directory Specified."),
        ((), "ERROR : No Source Directory Specified."),
    ],
)
def test_wrong_arguments_end_it_with_16_and_copy_nothing(source: Machine, argv: tuple[str, ...], says: str) -> None:
    ended = source("robocopy.exe", *argv)
    assert ended.code == 16
    assert says in ended.out
    assert not source.host.files.exists("E:\\dst")


def test_newer_switches_are_unknown_to_older_windows(make_machine: Callable[..., Machine]) -> None:
    for profile, code in (("server2019", 16), ("server2022", 0)):
        machine = make_machine(profile=profile)
        machine.host.files.mkdir("D:\\src")
        assert machine("robocopy.exe", "D:\\src", "E:\\dst", "/COMPRESS", *QUIET).code == code


@pytest.mark.parametrize(
    ("path", "number", "doing"),
    [
        ("D:\\none", 2, "Accessing Source Directory D:\\none\\"),
        ("D:\\none\\none", 3, "Accessing Source Directory D:\\none\\none\\"),
        ("Q:\\x", 3, "Accessing Source Directory Q:\\x\\"),
        ("D:\\src\\a.txt", 267, "Accessing Source Directory D:\\src\\a.txt\\"),
        ("\\\\?\\GLOBALROOT\\Device\\HarddiskVolumeShadowCopy1", 123,
         "Getting File System Type of Source \\\\?\\GLOBALROOT\\Device\\HarddiskVolumeShadowCopy1\\"),
    ],
)  # fmt: skip
def test_a_source_that_is_none_is_fatal_and_named(source: Machine, path: str, number: int, doing: str) -> None:
    ended = source("robocopy.exe", path, "E:\\dst", *QUIET)
    assert ended.code == 16
    assert errors(ended.out) == [(number, doing)]


def test_a_link_to_a_shadow_copy_is_a_good_source_with_its_backslash_only(source: Machine, tmp_path: Path) -> None:
    shadow = tmp_path / "shadow"
    shadow.mkdir()
    (shadow / "then").write_bytes(b"1")
    device = "\\\\?\\GLOBALROOT\\Device\\HarddiskVolumeShadowCopy1"
    source.host.files.attach(device, lambda: shadow, read_only=True)
    source.host.files.symlink("C:\\good", device + "\\")
    source.host.files.symlink("C:\\bad", device)
    assert source("robocopy.exe", "C:\\good", "E:\\dst", "/E", *QUIET).code == 1
    assert source.host.files.read("E:\\dst\\then") == b"1"
    ended = source("robocopy.exe", "C:\\bad", "E:\\dst", "/E", *QUIET)
    assert (ended.code, errors(ended.out)[0][0]) == (16, 87)
    assert errors(source("robocopy.exe", "D:\\src", "C:\\good\\x", *QUIET).out)[0][0] == 19


def test_links_are_followed_copied_or_left_out_as_asked(source: Machine) -> None:
    source.host.files.symlink("D:\\src\\link", "D:\\src\\sub")
    source("robocopy.exe", "D:\\src", "E:\\followed", "/E", *QUIET)
    assert source.host.files.read("E:\\followed\\link\\b.db")
    source("robocopy.exe", "D:\\src", "E:\\kept", "/E", "/SL", *QUIET)
    assert source.host.files.stat("E:\\kept\\link").link_target == "D:\\src\\sub"
    source("robocopy.exe", "D:\\src", "E:\\without", "/E", "/XJ", *QUIET)
    assert not source.host.files.exists("E:\\without\\link")
    source.host.files.mkdir("D:\\round")
    source.host.files.symlink("D:\\round\\loop", "D:\\round")
    assert source("robocopy.exe", "D:\\round", "E:\\looped", "/E", *QUIET).code == 8


def test_a_full_disk_is_error_112_and_leaves_no_torn_file(source: Machine) -> None:
    source.host.files.write("E:\\big", b"0" * (9 << 20))
    ended = source("robocopy.exe", "E:\\", "D:\\dst", "big", *QUIET)
    assert ended.code == 8
    assert errors(ended.out) == [(112, "Copying File E:\\big")]
    at = next(number for number, line in enumerate(ended.out) if "ERROR 112" in line)
    assert ended.out[at + 1 : at + 4] == ["There is not enough space on the disk.", "", "ERROR: RETRY LIMIT EXCEEDED."]
    assert not source.host.files.exists("D:\\dst\\big")


def test_a_fault_on_a_file_is_retried_and_then_given_up(source: Machine) -> None:
    on = {"kind": "program", "program": "robocopy.exe", "file": "*b.db"}
    source.host.faults.add({"on": on, "do": {"fail": 32}})
    ended = source("robocopy.exe", "D:\\src", "E:\\dst", "/E", "/R:1", "/W:0", "/NP", "/BYTES")
    assert ended.code == 1
    assert errors(ended.out) == [(32, "Copying File D:\\src\\sub\\b.db")]
    assert "Waiting 0 seconds... Retrying..." in ended.out
    source.host.faults.add({"on": {**on, "times": 0}, "do": {"fail": 23}})
    ended = source("robocopy.exe", "D:\\src", "E:\\dst2", "/E", "/R:1", "/W:0", "/NP", "/BYTES")
    assert (ended.code, len(errors(ended.out))) == (9, 2)
    assert table(ended.out)[1] == [3, 2, 0, 0, 1, 0]


def test_a_killed_copy_ends_with_the_killers_code_and_an_unfinished_file_is_dated_1980(source: Machine) -> None:
    source.host.files.write("E:\\big", b"0" * (4 << 20))
    source.host.copy_rate = 1 << 20
    timer = threading.Timer(0.4, source.stop.set)
    timer.start()
    ended = source("robocopy.exe", "E:\\", "D:\\dst", "big", *QUIET)
    timer.join()
    assert ended.code == -1073741510
    info = source.host.files.stat("D:\\dst\\big")
    assert info.modified.year == 1980
    assert info.length < 4 << 20
    source.stop.clear()
    source.host.copy_rate = None
    source.host.faults.add({"on": {"kind": "program", "program": "robocopy.exe"}, "do": {"kill": True}})
    assert source("robocopy.exe", "E:\\", "D:\\dst", "big", *QUIET).code == -1
    assert source("robocopy.exe", "E:\\", "D:\\dst", "big", *QUIET).code == 1
    assert source.host.files.stat("D:\\dst\\big").length == 4 << 20


def test_what_an_account_may_not_read_is_error_5(source: Machine) -> None:
    source.host.files.set_security("D:\\src\\sub", "D:P(A;OICI;FA;;;SY)")
    ended = source("robocopy.exe", "D:\\src", "C:\\Users\\Public\\dst", "/E", *QUIET)
    assert ended.code == 9
    assert errors(ended.out) == [(5, "Accessing Source Directory D:\\src\\sub\\")]
    assert source("robocopy.exe", "D:\\src", "C:\\Users\\Public\\dst", "/E", "/ZB", *QUIET).code == 1
    denied = source("robocopy.exe", "D:\\src", "C:\\Windows\\dst", *QUIET, user="bob")
    assert (denied.code, errors(denied.out)) == (16, [(5, "Creating Destination Directory C:\\Windows\\dst\\")])


def test_a_destination_that_may_not_be_written_stays_as_it_was(source: Machine) -> None:
    source.host.files.write("E:\\a.txt", b"kept")
    source.host.files.set_security("E:\\a.txt", "D:P(A;;0x120189;;;BA)")  # read, and write attributes
    ended = source("robocopy.exe", "D:\\src", "E:\\", "a.txt", *QUIET)
    assert (ended.code, errors(ended.out)) == (8, [(5, "Copying File D:\\src\\a.txt")])
    assert source.host.files.read("E:\\a.txt") == b"kept"


def test_security_is_copied_when_asked(source: Machine) -> None:
    source.host.files.set_security("D:\\src\\a.txt", "O:SYD:P(A;;FA;;;SY)(A;;FR;;;BA)")
    source("robocopy.exe", "D:\\src", "E:\\plain", *QUIET)
    source("robocopy.exe", "D:\\src", "E:\\all", "/COPYALL", "/B", *QUIET)
    assert "(A;;FR;;;BA)" not in source.host.files.security("E:\\plain\\a.txt")
    assert source.host.files.security("E:\\all\\a.txt").startswith("O:SY")
    assert source.host.files.security("E:\\all\\a.txt").endswith("D:PAI(A;;FA;;;SY)(A;;FR;;;BA)")


def test_long_paths_are_copied_unless_switched_off(source: Machine) -> None:
    deep = "D:\\src\\" + "\\".join(["n" * 60] * 4)
    source.host.files.mkdir("\\\\?\\" + deep, parents=True)
    source.host.files.write("\\\\?\\" + deep + "\\file.txt", b"1")
    assert source("robocopy.exe", "D:\\src", "E:\\a-long-name-for-a-folder", "/S", *QUIET).code == 1
    assert source("robocopy.exe", "D:\\src", "E:\\b-long-name-for-a-folder", "/S", "/256", *QUIET).code & 8
