# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""tar.exe: real archives to files and to tapes, with bsdtar's manners."""

from __future__ import annotations

import datetime
import io
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vsslab import scenario
from vsslab.programs import tape
from vsslab.programs.tar_options import matches, parse
from vsslab.windows.errors import WinError

Machine = Any  # see conftest
OLD = datetime.datetime(2020, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)
TAPE = "\\\\.\\tape0"


@pytest.fixture
def source(machine: Machine) -> Machine:
    files = machine.host.files
    files.mkdir("D:\\src\\sub", parents=True)
    files.mkdir("D:\\src\\empty")
    for path, data in (("a.txt", b"hello"), ("sub\\b.db", b"0123456789" * 9000)):
        files.write(f"D:\\src\\{path}", data)
        files.set_times(f"D:\\src\\{path}", modified=OLD)
    files.mkdir("E:\\out")
    return machine


def members(machine: Machine, path: str) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(machine.host.files.read(path))) as found:
        return {each.name: each for each in found}


def test_an_archive_is_a_real_one_and_comes_back_as_it_was(source: Machine) -> None:
    made = source("tar.exe", "-cvf", "E:\\a.tar", "-C", "D:\\", "src")
    assert (made.code, made.out) == (0, [])
    assert made.err == ["a src", "a src/a.txt", "a src/empty", "a src/sub", "a src/sub/b.db"]
    found = members(source, "E:\\a.tar")
    assert found["src/sub/b.db"].size == 90000
    assert found["src/a.txt"].mtime == OLD.timestamp()
    assert len(source.host.files.read("E:\\a.tar")) % 512 == 0
    back = source("tar.exe", "-xf", "E:\\a.tar", "-C", "E:\\out")
    assert (back.code, back.err) == (0, [])
    files = source.host.files
    assert files.read("E:\\out\\src\\sub\\b.db") == b"0123456789" * 9000
    assert files.stat("E:\\out\\src\\a.txt").modified == OLD
    assert files.stat("E:\\out\\src\\sub").modified == files.stat("D:\\src\\sub").modified.replace(microsecond=0)
    assert files.is_dir("E:\\out\\src\\empty")


@pytest.mark.parametrize(("switch", "magic"), [("z", b"\x1f\x8b"), ("j", b"BZh"), ("J", b"\xfd7zXZ")])
def test_archives_are_compressed_and_read_whatever_they_are(source: Machine, switch: str, magic: bytes) -> None:
    assert source("tar.exe", f"c{switch}f", "E:\\a.bin", "D:\\src\\sub").code == 0
    assert source.host.files.read("E:\\a.bin").startswith(magic)
    assert source("tar.exe", "tf", "E:\\a.bin").out == ["src/sub/", "src/sub/b.db"]


def test_the_list_tells_more_with_v(source: Machine) -> None:
    source("tar.exe", "-cf", "E:\\a.tar", "-C", "D:\\src", "a.txt", "sub")
    lines = source("tar.exe", "-tvf", "E:\\a.tar").out
    assert lines[0] == "-rw-rw-rw-  0 0      0            5 Jan  2  2020 a.txt"
    assert lines[1].startswith("drwxrwxrwx  0 0      0            0 ")
    assert lines[1].endswith(" sub/")


def test_members_are_chosen_excluded_and_stripped(source: Machine) -> None:
    source("tar.exe", "-cf", "E:\\a.tar", "--exclude", "*.txt", "-C", "D:\\", "src")
    assert set(members(source, "E:\\a.tar")) == {"src", "src/empty", "src/sub", "src/sub/b.db"}
    assert source("tar.exe", "-tf", "E:\\a.tar", "src/sub").out == ["src/sub/", "src/sub/b.db"]
    assert source("tar.exe", "-xf", "E:\\a.tar", "-C", "E:\\out", "--strip-components", "2").code == 0
    assert source.host.files.exists("E:\\out\\b.db")
    missing = source("tar.exe", "-tf", "E:\\a.tar", "nobody")
    assert missing.code == 1
    assert missing.err[0] == "tar.exe: nobody: Not found in archive"


def test_names_outside_ascii_are_in_pax_headers_and_come_back(source: Machine) -> None:
    name = "übung 汉语.txt"
    source.host.files.write(f"D:\\src\\{name}", b"1")
    source("tar.exe", "-cf", "E:\\a.tar", "-C", "D:\\src", ".")
    assert members(source, "E:\\a.tar")[f"./{name}"].pax_headers["path"] == f"./{name}"
    source("tar.exe", "-xf", "E:\\a.tar", "-C", "E:\\out")
    assert source.host.files.read(f"E:\\out\\{name}") == b"1"


def test_names_of_old_archives_are_read_in_the_consoles_code_page(source: Machine) -> None:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.USTAR_FORMAT, encoding="utf-8") as made:
        made.addfile(tarfile.TarInfo("ü.txt"), io.BytesIO())
    source.host.files.write("E:\\old.tar", data.getvalue())
    assert source("tar.exe", "-tf", "E:\\old.tar").out == ["├╝.txt"]


def test_what_goes_wrong_is_told_at_the_end_too(source: Machine) -> None:
    source.host.files.set_security("D:\\src\\sub", "D:P(A;;FA;;;SY)")
    made = source("tar.exe", "-cf", "E:\\a.tar", "-C", "D:\\src", "a.txt", "sub", "nobody")
    assert made.code == 1
    assert made.err[-1] == "tar.exe: Error exit delayed from previous errors."
    assert any("nobody" in line for line in made.err)
    assert any("sub" in line for line in made.err)
    assert "a.txt" in members(source, "E:\\a.tar")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("-xf", "E:\\none.tar"), "tar.exe: Error opening archive: Failed to open 'E:\\none.tar'"),
        (("-cf", "Q:\\a.tar", "D:\\src"), "tar.exe: Failed to open 'Q:\\a.tar'"),
        (("-tf", "D:\\src\\a.txt"), "tar.exe: Error opening archive: Unrecognized archive format"),
        (("-cf", "E:\\a.tar", "-C", "D:\\none", "x"), "tar.exe: could not chdir to 'D:\\none'"),
        (("-cf", "E:\\a.tar"), "tar.exe: no files or directories specified"),
        (("-f", "E:\\a.tar"), "tar.exe: Must specify one of -c, -r, -t, -u, -x"),
        (("-rf", "E:\\a.tar", "x"), "vsslab does not simulate tar's -r."),
        (("-cf", "-", "D:\\src"), "vsslab does not simulate archives on tar's standard input and output."),
        (("-c", "--zstd", "x"), "vsslab does not simulate tar's --zstd."),
        (("-t", "--frobnicate"), "tar.exe: Option --frobnicate is not supported"),
        (("-tf", TAPE), f"tar.exe: Error opening archive: Failed to open '{TAPE}'"),
        (("-c", "D:\\src"), f"tar.exe: Failed to open '{TAPE}'"),
    ],
)
def test_refusals(source: Machine, arguments: tuple[str, ...], says: str) -> None:
    ended = source("tar.exe", *arguments)
    assert (ended.code, ended.err[0]) == (1, says)


def test_members_do_not_leave_the_folder(source: Machine) -> None:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as made:
        for name in ("../up", "C:/Windows/down", "ok"):
            made.addfile(tarfile.TarInfo(name), io.BytesIO())
    source.host.files.write("E:\\evil.tar", data.getvalue())
    ended = source("tar.exe", "-xf", "E:\\evil.tar", "-C", "E:\\out")
    assert (ended.code, ended.err[0]) == (1, "tar.exe: ../up: Path contains '..'")
    assert source.host.files.exists("E:\\out\\Windows\\down")
    assert not source.host.files.exists("E:\\up")


def test_a_full_disk_and_an_end_from_outside(source: Machine) -> None:
    source.host.files.write("E:\\big", b"0" * (9 << 20))
    assert source("tar.exe", "-cf", "D:\\a.tar", "-C", "E:\\", "big").err[-1].startswith("tar.exe: Write error")
    source.host.copy_rate = 1 << 20
    timer = threading.Timer(0.3, source.stop.set)
    timer.start()
    assert source("tar.exe", "-cf", "C:\\a.tar", "-C", "E:\\", "big").code == -1073741510
    timer.join()


def test_links_are_kept_or_followed(source: Machine) -> None:
    source.host.files.symlink("D:\\src\\link", "D:\\src\\sub")
    source("tar.exe", "-cf", "E:\\a.tar", "-C", "D:\\src", "link")
    assert members(source, "E:\\a.tar")["link"].issym()
    source("tar.exe", "-xf", "E:\\a.tar", "-C", "E:\\out")
    assert source.host.files.stat("E:\\out\\link").link_target == "D:\\src\\sub"
    source("tar.exe", "-cLf", "E:\\b.tar", "-C", "D:\\src", "link")
    assert set(members(source, "E:\\b.tar")) == {"link", "link/b.db"}


def test_older_windows_has_none(make_machine: Callable[..., Machine]) -> None:
    assert "tar.exe" not in make_machine(profile="server2016").host.programs
    machine = make_machine(profile="server2019")
    assert machine("tar.exe", "--version").out[0].startswith("bsdtar 3.3.2 ")


# --- tapes


@pytest.fixture
def drive(source: Machine) -> tape.Drive:
    return tape.install(source.host, [{"name": "tape0"}])["tape0"]


def test_a_tape_holds_an_archive_in_whole_blocks(source: Machine, drive: tape.Drive) -> None:
    assert source("tar.exe", "-c", "-C", "D:\\", "src").code == 0
    count = drive.position
    assert count * 10240 > 90000
    assert source("tar.exe", "-t").code == 1  # behind the data: closing does not rewind
    drive.rewind()
    assert source("tar.exe", "-xf", TAPE, "-C", "E:\\out").code == 0
    assert source.host.files.read("E:\\out\\src\\a.txt") == b"hello"
    drive.rewind()
    with drive.opened():
        assert {len(drive.read(1 << 20)) for _ in range(count)} == {10240}


def test_the_block_length_is_that_of_b(source: Machine, drive: tape.Drive) -> None:
    source("tar.exe", "-c", "-b", "64", "-f", TAPE, "D:\\src\\a.txt")
    drive.rewind()
    with pytest.raises(WinError) as refused:
        drive.read(1024)
    assert refused.value.code == tape.MORE_DATA
    drive.rewind()
    assert len(drive.read(32768)) == 32768


def test_two_archives_are_apart_by_a_file_mark(source: Machine, drive: tape.Drive) -> None:
    source("tar.exe", "-cf", TAPE, "-C", "D:\\src", "a.txt")
    drive.write_filemark()
    source("tar.exe", "-cf", TAPE, "-C", "D:\\src", "sub")
    drive.rewind()
    assert source("tar.exe", "-tf", TAPE).out == ["a.txt"]


@pytest.mark.parametrize(
    ("spec", "create", "read"),
    [
        ({"medium": False}, "Write error", "Error reading"),
        ({"write_protected": True}, "Write error", "Error reading"),
        ({"capacity": 20480}, "Write error", "Error reading"),
        ({"block_size": 4096}, "Write error", "Error reading"),
    ],
)
def test_what_keeps_a_tape_from_working(source: Machine, spec: dict[str, Any], create: str, read: str) -> None:
    drive = tape.install(source.host, [spec])["tape0"]
    made = source("tar.exe", "-cf", TAPE, "-C", "D:\\", "src")
    assert (made.code, create in made.err[-1]) == (1, True)
    if not drive.position:
        listed = source("tar.exe", "-tf", TAPE)
        assert (listed.code, read in listed.err[-1]) == (1, True)


def test_one_program_at_a_time_has_the_drive(source: Machine, drive: tape.Drive) -> None:
    with drive.opened():
        assert "Failed to open" in source("tar.exe", "-tf", TAPE).err[0]


@pytest.mark.parametrize("spec", [{"colour": 1}, {"name": "floppy"}])
def test_settings_of_drives_are_checked(source: Machine, spec: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="tape"):
        tape.install(source.host, [spec])


@given(st.lists(st.one_of(st.none(), st.binary(min_size=1, max_size=500)), max_size=8))
def test_a_tape_gives_back_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, records: list[bytes | None]
) -> None:
    drive = tape.Drive("tape0", tape.Medium(tmp_path_factory.mktemp("tape") / "t.tap"))
    for each in records:
        if each is None:
            drive.write_filemark()
        else:
            drive.write(each)
    drive.rewind()
    for each in records:
        if each is None:
            with pytest.raises(WinError) as mark:
                drive.read(1000)
            assert mark.value.code == tape.FILEMARK_DETECTED
        else:
            assert drive.read(1000) == each
    with pytest.raises(WinError) as end:
        drive.read(1000)
    assert end.value.code == tape.NO_DATA_DETECTED


@pytest.mark.parametrize(
    ("pattern", "name", "hit"),
    [
        ("*.txt", "a/b.txt", True), ("b", "a/b/c", True), ("a/b", "x/a/b/c", True), ("^a", "x/a", False),
        ("B", "a/b", False), ("a/*", "a/b", True),
    ],
)  # fmt: skip
def test_patterns(pattern: str, name: str, hit: bool) -> None:
    assert matches(pattern, name) is hit


def test_bundled_switches_take_their_values_in_order() -> None:
    options = parse(["cvfb", "a.tar", "40", "x"])
    assert (options.mode, options.verbose, options.archive, options.blocking) == ("c", 1, "a.tar", 40)
    assert options.items == [("", "x")]


def test_a_scenario_gives_a_host_its_drives(tmp_path: Path) -> None:
    path = tmp_path / "tapes.yml"
    path.write_text(
        "name: tapes\nhosts:\n  - name: srv1\n    volumes: [{letter: C}]\n"
        "    users: [{name: admin, administrator: true}]\n"
        "    tapes:\n      - {name: tape0, capacity: 1 MiB}\n      - {medium: false}\n"
    )
    spec = scenario.load(path).hosts[0]
    assert spec.tapes == ({"name": "tape0", "capacity": 1 << 20}, {"medium": False})
