# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files by Windows path over real folders."""

from __future__ import annotations

import contextlib
import datetime
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from vsslab.windows.clock import Clock
from vsslab.windows.errors import WinError
from vsslab.windows.files import HIDDEN, READONLY
from vsslab.windows.host import Host

DEVICE = "\\\\?\\GLOBALROOT\\Device\\HarddiskVolumeShadowCopy1"


@contextlib.contextmanager
def fails_with(code: int) -> Iterator[None]:
    with pytest.raises(WinError) as refused:
        yield
    assert refused.value.code == code


def test_names_are_found_in_any_case_and_listed_as_they_were_made(host: Host) -> None:
    host.files.mkdir("D:\\Bank")
    host.files.write("d:/BANK/Ledger.db", b"x")
    assert host.files.read("D:\\bank\\LEDGER.DB") == b"x"
    assert [each.path for each in host.files.listdir("d:\\bANK")] == ["D:\\Bank\\Ledger.db"]
    host.files.write("D:\\Bank\\LEDGER.db", b"yy")
    assert len(host.files.listdir("D:\\Bank")) == 1
    assert (host.volumes.by_path("D:").root / "Bank" / "Ledger.db").read_bytes() == b"yy"


def test_a_volume_is_reached_by_letter_guid_and_mount_folder(host: Host) -> None:
    data, mounted = host.volumes[1], host.volumes[2]
    host.files.write("D:\\a", b"1")
    assert host.files.read(data.device_id + "a") == b"1"
    host.files.write("C:\\mnt\\data\\b", b"2")
    assert (mounted.root / "b").read_bytes() == b"2"
    assert host.files.stat("C:\\mnt\\data").attributes & 0x400
    for name in ("d", "D:", "d:\\", data.device_id, data.device_id.rstrip("\\").upper(), "\\\\?\\D:\\"):
        assert (host.volumes.by_path(name) is data) is (name != "d")
    assert host.volumes.by_path("c:\\MNT\\data") is mounted


def test_what_is_missing_says_which_part_is(host: Host) -> None:
    with fails_with(2):
        host.files.read("D:\\none")
    with fails_with(3):
        host.files.read("D:\\none\\none")
    with fails_with(3):
        host.files.read("Q:\\x")
    host.files.write("D:\\file", b"")
    with fails_with(3):
        host.files.write("D:\\file\\x", b"")
    with fails_with(267):
        host.files.listdir("D:\\file")
    with fails_with(5):
        host.files.read("D:\\System Volume Information")


def test_folders_are_made_and_removed_by_the_rules(host: Host) -> None:
    host.files.mkdir("D:\\a\\b\\c", parents=True)
    host.files.mkdir("D:\\a\\b\\c", parents=True)
    with fails_with(183):
        host.files.mkdir("D:\\A\\B")
    with fails_with(3):
        host.files.mkdir("D:\\x\\y")
    with fails_with(145):
        host.files.rmdir("D:\\a")
    host.files.write("D:\\a\\b\\file", b"1")
    host.files.remove_tree("D:\\a")
    assert not host.files.exists("D:\\a")


def test_a_rename_keeps_the_metadata_and_stays_on_its_volume(host: Host) -> None:
    host.files.write("D:\\old", b"1")
    host.files.set_attributes("D:\\old", HIDDEN)
    host.files.rename("D:\\old", "D:\\New")
    assert host.files.stat("D:\\new").attributes == HIDDEN
    host.files.rename("D:\\new", "D:\\NEW")
    assert [each.name for each in host.files.listdir("D:\\")] == ["NEW", "System Volume Information"]
    with fails_with(17):
        host.files.rename("D:\\new", "C:\\new")
    host.files.write("D:\\other", b"2")
    with fails_with(183):
        host.files.rename("D:\\other", "D:\\new")
    host.files.rename("D:\\other", "D:\\new", replace_existing=True)
    assert host.files.read("D:\\new") == b"2"


def test_a_read_only_file_is_neither_written_nor_deleted(host: Host) -> None:
    host.files.write("D:\\fixed", b"1")
    host.files.set_attributes("D:\\fixed", READONLY)
    with fails_with(5):
        host.files.write("D:\\fixed", b"2")
    with fails_with(5):
        host.files.remove("D:\\fixed")


def test_a_full_volume_refuses_more_and_deleting_makes_room(host: Host) -> None:
    host.files.write("D:\\big", b"0" * (20 << 20))
    with fails_with(112):
        host.files.write("D:\\more", b"0" * (20 << 20))
    host.files.remove("D:\\big")
    host.files.write("D:\\more", b"0" * (20 << 20))
    data = host.volumes[1]
    assert data.used() >= 20 << 20
    data.reserved = 10 << 20
    assert data.free() < 3 << 20


def test_what_applications_write_is_counted_too(host: Host) -> None:
    data = host.volumes[1]
    before = data.used()
    (data.root / "app.log").write_bytes(b"0" * 1000)
    data.measure_again()
    assert data.used() == before + 1000


def test_times_are_kept_exactly_and_follow_the_hosts_clock(make_host: Callable[..., Host]) -> None:
    moment = datetime.datetime(2021, 3, 4, 5, 6, 7, 891011, tzinfo=datetime.timezone.utc)
    host = make_host(clock=Clock("Europe/Berlin", skew=-86400.0))
    host.files.write("D:\\f", b"")
    yesterday = host.clock.now()
    assert abs((host.files.stat("D:\\f").modified - yesterday).total_seconds()) < 5
    host.files.set_times("D:\\f", modified=moment, created=moment)
    info = host.files.stat("D:\\f")
    assert (info.modified, info.created) == (moment, moment)
    host.files.copy("D:\\f", "D:\\g")
    assert host.files.stat("D:\\g").modified == moment
    assert host.files.stat("D:\\g").created > moment


def test_a_link_keeps_its_target_word_for_word_and_is_resolved_at_access(host: Host, tmp_path: Path) -> None:
    shadow = tmp_path / "shadow"
    shadow.mkdir()
    (shadow / "Seen.txt").write_bytes(b"then")
    host.files.symlink("C:\\snap", DEVICE + "\\")
    host.files.symlink("C:\\wrong", DEVICE)
    assert host.files.stat("C:\\snap").link_target == DEVICE + "\\"
    assert host.files.exists("C:\\snap")
    assert not host.files.is_dir("C:\\snap")
    with fails_with(3):
        host.files.listdir("C:\\snap")
    host.files.attach(DEVICE, lambda: shadow, read_only=True)
    assert host.files.read("C:\\snap\\seen.TXT") == b"then"
    assert host.files.read(DEVICE + "\\Seen.txt") == b"then"
    assert [each.path for each in host.files.listdir("C:\\snap")] == ["C:\\snap\\Seen.txt"]
    for broken in ("C:\\wrong", DEVICE):
        with fails_with(87):
            host.files.listdir(broken)
    assert host.files.links() == [f"C:\\snap -> {DEVICE}\\", f"C:\\wrong -> {DEVICE}"]
    host.files.unlink_dir("C:\\wrong")
    host.files.rmdir("C:\\snap")
    assert (shadow / "Seen.txt").exists()
    assert host.files.links() == []


def test_a_link_never_leads_out_of_the_hosts_volumes(host: Host, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    for target, code in (("/etc", 2), (str(tmp_path / "outside"), 3), ("..\\..\\..\\..\\etc", 2)):
        host.files.symlink("C:\\link", target)
        with fails_with(code):
            host.files.listdir("C:\\link")
        host.files.rmdir("C:\\link")


def test_relative_links_start_in_their_own_folder_and_loops_end(host: Host) -> None:
    host.files.mkdir("D:\\a\\real", parents=True)
    host.files.write("D:\\a\\real\\x", b"1")
    host.files.symlink("D:\\a\\link", "..\\a\\real")
    assert host.files.read("D:\\a\\link\\x") == b"1"
    host.files.symlink("D:\\loop", "D:\\loop")
    with fails_with(1921):
        host.files.listdir("D:\\loop")


def test_a_read_only_tree_refuses_every_change(host: Host, tmp_path: Path) -> None:
    shadow = tmp_path / "shadow"
    (shadow / "sub").mkdir(parents=True)
    (shadow / "f").write_bytes(b"1")
    host.files.mkdir("C:\\mnt\\snap")
    host.files.attach("X:\\", lambda: shadow, read_only=True)
    host.files.attach("C:\\mnt\\snap", lambda: shadow, read_only=True)
    assert host.files.read("C:\\MNT\\snap\\f") == b"1"
    assert host.files.exposures() == ["C:\\mnt\\snap", "X:\\"]
    for change in (
        lambda: host.files.write("X:\\f", b"2"),
        lambda: host.files.write("X:\\new", b"2"),
        lambda: host.files.mkdir("X:\\new"),
        lambda: host.files.remove("C:\\mnt\\snap\\f"),
        lambda: host.files.rmdir("X:\\sub"),
        lambda: host.files.set_attributes("X:\\f", HIDDEN),
    ):
        with fails_with(19):
            change()
    with pytest.raises(ValueError, match="in use"):
        host.files.attach("D:\\", lambda: shadow, read_only=True)
    host.files.detach("x:")
    host.files.detach("C:\\mnt\\snap\\")
    with fails_with(3):
        host.files.read("X:\\f")
    with pytest.raises(KeyError):
        host.files.detach("X:\\")


def test_held_volumes_make_writers_wait_but_not_readers(host: Host) -> None:
    host.files.write("D:\\f", b"1")
    written = threading.Event()

    def write() -> None:
        host.files.write("D:\\f", b"2")
        written.set()

    with host.files.hold([host.volumes[1]]):
        writer = threading.Thread(target=write)
        writer.start()
        assert not written.wait(0.1)
        assert host.files.read("D:\\f") == b"1"
        host.files.write("C:\\other", b"")
        host.files.write("D:\\mine", b"")
    writer.join(5)
    assert host.files.read("D:\\f") == b"2"


def test_many_threads_write_into_one_folder(host: Host) -> None:
    def work(number: int) -> None:
        for each in range(20):
            host.files.write(f"D:\\f{number}-{each}", b"1")
            host.files.write("D:\\log", b"line", append=True)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(host.files.listdir("D:\\")) == 82
    assert host.files.stat("D:\\log").length == 4 * 20 * 4
