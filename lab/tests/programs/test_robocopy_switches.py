# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""robocopy's switches, one by one: each does what the documentation says, or is refused by name."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import pytest
from vsslab.programs.robocopy_options import Options, parse, switches
from vsslab.windows.files import ARCHIVE, HIDDEN, READONLY

Machine = Any  # see conftest
UTC = datetime.timezone.utc
QUIET = ("/R:0", "/W:0", "/NP", "/BYTES")
DAY = datetime.timedelta(days=1)


@pytest.fixture
def source(machine: Machine) -> Machine:
    files = machine.host.files
    files.mkdir("D:\\src\\sub\\deep", parents=True)
    for path, size, days in (("a.txt", 5, 1), ("sub\\b.db", 1000, 10), ("sub\\deep\\c.log", 100, 400)):
        files.write(f"D:\\src\\{path}", b"0" * size)
        files.set_times(f"D:\\src\\{path}", modified=machine.host.clock.now() - days * DAY)
    return machine


def copied(machine: Machine, *switches_: str, dest: str = "E:\\dst") -> set[str]:
    """The names of the files that a copy of the tree with these switches brought."""
    assert machine("robocopy.exe", "D:\\src", dest, "/E", *QUIET, *switches_).code < 8
    return {each.name for each in machine.host.files.walk(dest) if not each.is_dir}


@pytest.mark.parametrize(
    ("given", "names"),
    [
        (("/MAX:100",), {"a.txt", "c.log"}),
        (("/MIN:100",), {"b.db", "c.log"}),
        (("/MAXAGE:5",), {"a.txt"}),
        (("/MINAGE:5",), {"b.db", "c.log"}),
        (("/MINAGE:20000101",), set()),
        (("/LEV:1",), {"a.txt"}),
        (("/LEV:2",), {"a.txt", "b.db"}),
        (("/XL",), set()),
        (("/IF", "*.db", "*.log"), {"b.db", "c.log"}),
        (("/A",), {"a.txt", "b.db", "c.log"}),
        (("/XA:A",), set()),
        (("/IA:RH",), set()),
    ],
)
def test_what_is_chosen(source: Machine, given: tuple[str, ...], names: set[str]) -> None:
    source.host.files.mkdir("E:\\dst")
    assert copied(source, *given) == names


def test_attributes_choose_and_are_set(source: Machine) -> None:
    files = source.host.files
    files.set_attributes("D:\\src\\a.txt", HIDDEN)
    assert copied(source, "/IA:H") == {"a.txt"}
    assert copied(source, "/M", "/A+:R", "/A-:A", dest="E:\\two") == {"b.db", "c.log"}
    assert files.stat("E:\\two\\sub\\b.db").attributes & (READONLY | ARCHIVE) == READONLY
    assert not files.stat("D:\\src\\sub\\b.db").attributes & ARCHIVE
    assert copied(source, "/M", dest="E:\\three") == set()


@pytest.mark.parametrize(
    ("theirs", "size", "kind", "switch"),
    [(-1, 5, "newer", "/XN"), (1, 5, "older", "/XO"), (0, 6, "changed", "/XC")],
)
def test_classes_are_copied_unless_excluded(source: Machine, theirs: int, size: int, kind: str, switch: str) -> None:
    files = source.host.files
    files.mkdir("E:\\dst")
    files.write("E:\\dst\\a.txt", b"1" * size)
    files.set_times("E:\\dst\\a.txt", modified=files.stat("D:\\src\\a.txt").modified + theirs * DAY)
    ended = source("robocopy.exe", "D:\\src", "E:\\dst", "a.txt", *QUIET, switch, "/V")
    assert (ended.code, files.read("E:\\dst\\a.txt")) == (0, b"1" * size)
    assert any(kind in line for line in ended.out)
    assert source("robocopy.exe", "D:\\src", "E:\\dst", "a.txt", *QUIET).code == 1
    assert files.read("E:\\dst\\a.txt") == b"00000"


def test_tweaked_and_same_files_are_copied_when_asked(source: Machine) -> None:
    files = source.host.files
    copied(source)
    files.set_attributes("D:\\src\\a.txt", HIDDEN)
    assert source("robocopy.exe", "D:\\src", "E:\\dst", "/E", *QUIET).code == 0
    assert source("robocopy.exe", "D:\\src", "E:\\dst", "/E", *QUIET, "/IT").code == 1
    assert files.stat("E:\\dst\\a.txt").attributes & HIDDEN
    again = source("robocopy.exe", "D:\\src", "E:\\dst", "/E", *QUIET, "/IS")
    assert sum("same" in line for line in again.out) == 3


@pytest.mark.parametrize(("switch", "gap"), [("/FFT", 2), ("/DST", 3600)])
def test_times_that_count_as_the_same(source: Machine, switch: str, gap: int) -> None:
    files = source.host.files
    copied(source)
    files.set_times("E:\\dst\\a.txt", modified=files.stat("D:\\src\\a.txt").modified + datetime.timedelta(seconds=gap))
    assert source("robocopy.exe", "D:\\src", "E:\\dst", *QUIET, switch).code == 0
    assert source("robocopy.exe", "D:\\src", "E:\\dst", *QUIET).code == 1


def test_moving_takes_the_files_and_with_move_the_folders(source: Machine) -> None:
    files = source.host.files
    assert source("robocopy.exe", "D:\\src", "E:\\files", "/S", "/MOV", *QUIET).code == 1
    assert [each.path for each in files.walk("D:\\src")] == ["D:\\src\\sub", "D:\\src\\sub\\deep"]
    assert source("robocopy.exe", "E:\\files", "D:\\src", "/E", "/MOVE", *QUIET).code == 1
    assert not files.exists("E:\\files")
    assert files.read("D:\\src\\sub\\deep\\c.log") == b"0" * 100


def test_create_makes_empty_files_and_nocopy_none(source: Machine) -> None:
    assert copied(source, "/CREATE") == {"a.txt", "b.db", "c.log"}
    assert source.host.files.stat("E:\\dst\\sub\\b.db").length == 0
    assert copied(source, "/NOCOPY", dest="E:\\none") == set()


def test_times_and_security_are_mended_on_files_that_stay(source: Machine) -> None:
    files = source.host.files
    copied(source)
    files.set_security("D:\\src\\a.txt", "D:P(A;;FA;;;SY)(A;;FA;;;BA)(A;;FR;;;BU)")
    assert source("robocopy.exe", "D:\\src", "E:\\dst", *QUIET, "/SECFIX", "/COPYALL", "/B").code == 0
    assert "(A;;FR;;;BU)" in files.security("E:\\dst\\a.txt")


def test_gaps_and_rates_take_time(source: Machine) -> None:
    source.host.files.write("D:\\src\\a.txt", b"0" * (256 << 10))
    for switch in ("/IPG:100", "/IORATE:512K"):
        began = source.host.clock.monotonic()
        source("robocopy.exe", "D:\\src", f"E:\\{switch[1:4]}", "a.txt", *QUIET, switch)
        assert source.host.clock.monotonic() - began > 0.35


def test_copies_wait_for_their_hours(source: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(source.host.clock, "sleep", lambda seconds, _stop=None: bool(waits.append(seconds)) or True)
    monkeypatch.setattr(source.host.clock, "now", lambda: datetime.datetime(2026, 3, 1, 12, 30, tzinfo=UTC))
    assert source("robocopy.exe", "D:\\src", "E:\\dst", *QUIET, "/RH:2200-0500").code == 16
    assert waits == [9.5 * 3600]
    assert source("robocopy.exe", "D:\\src", "E:\\dst", *QUIET, "/RH:1200-1300").code == 1


def test_extras_that_were_not_asked_for_are_told_with_x(source: Machine) -> None:
    source.host.files.mkdir("E:\\dst")
    source.host.files.write("E:\\dst\\other.xyz", b"1")
    plain = source("robocopy.exe", "D:\\src", "E:\\dst", "*.txt", *QUIET)
    told = source("robocopy.exe", "D:\\src", "E:\\dst", "*.txt", *QUIET, "/X")
    assert ("other.xyz" in plain.text, "other.xyz" in told.text) == (False, True)


def test_a_job_is_saved_and_read_back(source: Machine) -> None:
    saved = source("robocopy.exe", "D:\\src", "E:\\dst", "*.txt", "/S", "/R:1", "/W:2", "/NP", "/XD", "deep",
                   "/SAVE:D:\\job", "/QUIT")  # fmt: skip
    assert saved.code == 0
    assert not source.host.files.exists("E:\\dst")
    assert "/SD:D:\\src" in source.host.files.read("D:\\job.RCJ").decode()
    assert source("robocopy.exe", "/JOB:D:\\job").code == 1
    assert [each.name for each in source.host.files.walk("E:\\dst")] == ["a.txt"]
    assert source("robocopy.exe", "D:\\src", "E:\\other", "/JOB:D:\\job").code == 1
    missing = source("robocopy.exe", "/JOB:D:\\none")
    assert missing.code == 16
    assert "ERROR 2 (0x00000002) Opening Job File D:\\none.RCJ" in missing.text


def test_a_junction_is_entered_copied_or_left_out(source: Machine) -> None:
    files = source.host.files
    files.mkdir("D:\\away")
    files.write("D:\\away\\far", b"1")
    files.junction("D:\\src\\link", "D:\\away")
    assert "far" in copied(source)
    assert "far" not in copied(source, "/XJD", dest="E:\\left")
    copied(source, "/SJ", dest="E:\\kept")
    info = files.stat("E:\\kept\\link")
    assert (info.junction, info.link_target) == (True, "D:\\away")


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (("/E",), "*.* /S /E /DCOPY:DA /COPY:DAT /R:1000000 /W:30 "),
        (("SAM", "/B"), "/DCOPY:DA /COPY:DAT /B /R:1000000 /W:30 "),
        (("/MIR", "/np", "/TEE", "/R:1", "/W:2"), "*.* /TEE /S /E /DCOPY:DA /COPY:DAT /PURGE /MIR /NP /R:1 /W:2 "),
    ],
)
def test_the_header_tells_the_options_in_robocopys_order(source: Machine, given: tuple[str, ...], line: str) -> None:
    assert f"  Options : {line}" in source("robocopy.exe", "D:\\none", "E:\\dst", *given).out


@pytest.mark.parametrize(
    ("size", "listed", "total"),
    [(1000, "1000", "1000"), (65536, "65536", "64.0 k"), (5 << 20, "5.0 m", "5.00 m"), (3 << 19, "1.5 m", "1.50 m")],
)
def test_sizes_have_units_without_bytes(machine: Machine, size: int, listed: str, total: str) -> None:
    machine.host.files.write("E:\\big", b"0" * size)
    ended = machine("robocopy.exe", "E:\\", "C:\\dst", "big", "/NP")
    assert any(line.split("\t")[-2].strip() == listed for line in ended.out if line.endswith("\tbig"))
    assert f"   Bytes : {total:>9} {total:>9}" in ended.text


def test_the_speed_has_separators_on_newer_windows_only(make_machine: Callable[..., Machine]) -> None:
    for profile, grouped in (("server2019", False), ("server2022", True)):
        machine = make_machine(profile=profile)
        machine.host.files.write("E:\\big", b"0" * (2 << 20))
        speed = next(line for line in machine("robocopy.exe", "E:\\", "C:\\dst", "big").out if "Bytes/sec" in line)
        assert ("," in speed) == grouped


def test_every_switch_is_read_or_refused_by_name() -> None:
    known, samples = switches(), {"hours": "0000-2359", "copy": "DAT", "dcopy": "DA", "attributes": "RH", "rate": "1M"}
    fields = set(vars(Options()))
    for name, targets in known["plain"].items():
        parse(["a", "b", name], 99999)
        assert set(targets) <= fields, name
    for name, (target, kind) in known["values"].items():
        parse(["a", "b", f"{name}:{samples.get(kind, '1')}"], 99999)
        assert target in fields, name
    assert not set(known["refused"]) & (set(known["plain"]) | set(known["values"]))


@pytest.mark.parametrize("name", switches()["refused"])
def test_refused_switches_copy_nothing(machine: Machine, name: str) -> None:
    machine.host.files.mkdir("D:\\src")
    ended = machine("robocopy.exe", "D:\\src", "E:\\dst", name if name in ("/FAT", "/?") else f"{name}:1")
    assert ended.code == 16
    assert f"vsslab does not simulate the switch {name} of robocopy." in ended.out
    assert not machine.host.files.exists("E:\\dst")
