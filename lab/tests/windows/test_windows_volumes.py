# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes with letters, folders or neither; what their file systems can do; links and long paths on them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from vsslab.windows import mounting
from vsslab.windows.errors import WinError
from vsslab.windows.host import Host

MIB = 1 << 20


@pytest.fixture
def host(make_host: Callable[..., Host]) -> Host:
    return make_host(volumes=[
        {"letter": "C"}, {"letter": "D"},
        {"label": "hidden"},
        {"letter": "F", "file_system": "fat32"}, {"letter": "R", "file_system": "ReFS"},
        {"letter": "S", "file_system": "CDFS", "drive_type": 5, "capacity": 10 * MIB},
        {"letter": "T", "drive_type": 5, "capacity": 0},
        {"file_system": "CSVFS", "mounts": ["C:\\ClusterStorage\\Volume1"]},
    ])  # fmt: skip


def code_of(act: Callable[[], object]) -> int:
    with pytest.raises(WinError) as refused:
        act()
    return refused.value.code


def hidden(host: Host) -> str:
    return next(each.device_id for each in host.volumes if each.label == "hidden")


def test_a_volume_without_a_name_is_reached_by_its_identity(host: Host) -> None:
    host.files.write(hidden(host) + "x", b"1")
    (row,) = host.cim.instances(None, "Win32_Volume", "Label = 'hidden'")
    assert (row["DriveLetter"], row["Name"], row["DeviceID"]) == (None, hidden(host), hidden(host))


def test_a_letter_comes_and_goes_while_the_host_runs(host: Host) -> None:
    volume = host.volumes.by_path(hidden(host))
    assert volume is not None
    host.files.write(hidden(host) + "x", b"1")
    assert code_of(lambda: mounting.mount(host, volume, "D:")) == 87
    mounting.mount(host, volume, "e:\\")
    assert host.files.read("E:\\x") == b"1"
    assert code_of(lambda: mounting.mount(host, volume, "G:")) == 87
    mounting.unmount(host, "E:")
    assert code_of(lambda: host.files.read("E:\\x")) == 3
    assert code_of(lambda: mounting.unmount(host, "E:")) == 2
    assert code_of(lambda: mounting.unmount(host, "C:")) == 87


def test_a_mount_folder_is_empty_before_and_after(host: Host) -> None:
    volume = host.volumes.by_path(hidden(host))
    assert volume is not None
    host.files.mkdir("D:\\full\\inside", parents=True)
    host.files.mkdir("D:\\mnt")
    host.files.mkdir("F:\\mnt")
    assert code_of(lambda: mounting.mount(host, volume, "D:\\full")) == 145
    assert code_of(lambda: mounting.mount(host, volume, "D:\\missing")) == 2
    assert code_of(lambda: mounting.mount(host, volume, "F:\\mnt")) == 87
    mounting.mount(host, volume, "D:\\mnt\\")
    host.files.write("D:\\mnt\\x", b"1")
    info = host.files.stat("D:\\mnt")
    assert (info.junction, info.link_target, volume.mounts) == (True, volume.device_id, ["D:\\mnt\\"])
    mounting.unmount(host, "D:\\mnt")
    assert host.files.listdir("D:\\mnt") == []
    assert volume.mounts == []
    assert code_of(lambda: mounting.unmount(host, "D:\\mnt")) == 4390


def test_removing_a_mount_folder_unmounts_and_harms_nothing(host: Host) -> None:
    volume = host.volumes.by_path("C:\\ClusterStorage\\Volume1")
    assert volume is not None
    host.files.write("C:\\ClusterStorage\\Volume1\\x", b"1")
    host.files.rmdir("C:\\ClusterStorage\\Volume1")
    assert volume.mounts == []
    assert host.files.read(volume.device_id + "x") == b"1"


def test_file_systems_differ_in_what_they_keep(host: Host) -> None:
    host.files.write("R:\\x", b"")
    host.files.write("F:\\x", b"")
    assert "(A;ID;FA;;;SY)" in host.files.security("R:\\x")
    assert "WD" in host.files.security("F:\\x")
    assert code_of(lambda: host.files.symlink("F:\\link", "D:\\")) == 1
    rows = {each["DriveLetter"]: each for each in host.cim.instances(None, "Win32_Volume")}
    assert [rows[each]["FileSystem"] for each in ("D:", "F:", "R:")] == ["NTFS", "FAT32", "ReFS"]
    assert [rows[each]["SupportsFileBasedCompression"] for each in ("D:", "F:", "R:")] == [True, False, False]
    with pytest.raises(ValueError, match=r"ext4.*NTFS, ReFS, CSVFS"):
        host._volume({"letter": "X", "file_system": "ext4"})


def test_a_disc_is_read_only_and_an_empty_drive_is_not_ready(host: Host) -> None:
    assert host.files.listdir("S:\\") == []
    assert code_of(lambda: host.files.write("S:\\x", b"")) == 19
    assert code_of(lambda: host.files.listdir("T:\\")) == 21
    rows = {each["DriveLetter"]: each for each in host.cim.instances(None, "Win32_Volume")}
    assert (rows["T:"]["Capacity"], rows["T:"]["FileSystem"]) == (None, None)


def test_the_dirty_bit_shows(host: Host) -> None:
    volume = host.volumes.by_path("D:")
    assert volume is not None
    volume.dirty = True
    assert host.cim.instances(None, "Win32_Volume", "DriveLetter = 'D:'")[0]["DirtyBitSet"] is True
    assert host.cim.instances(None, "Win32_LogicalDisk", "DeviceID = 'D:'")[0]["VolumeDirty"] is True


def test_a_files_link_is_a_file(host: Host) -> None:
    host.files.write("D:\\real", b"1")
    host.files.symlink("D:\\link", "real", to_file=True)
    info = host.files.stat("D:\\link")
    assert (info.is_dir, info.link_target, info.attributes & 0x410, info.junction) == (False, "real", 0x400, False)
    assert host.files.read("D:\\link") == b"1"
    assert code_of(lambda: host.files.rmdir("D:\\link")) == 267
    host.files.remove("D:\\link")
    assert host.files.read("D:\\real") == b"1"


def test_a_junction_leads_to_another_volume_and_needs_no_privilege(host: Host) -> None:
    bob = host.users.find("bob")
    assert bob is not None
    host.files.write(hidden(host) + "x", b"1")
    host.files.mkdir("D:\\bob")
    host.files.set_security("D:\\bob", f"D:(A;OICI;FA;;;{bob.sid})")
    files = host.files.as_user(bob)
    files.junction("D:\\bob\\there", hidden(host))
    assert files.read("D:\\bob\\there\\x") == b"1"
    assert code_of(lambda: files.symlink("D:\\bob\\link", "D:\\")) == 1314
    for target in ("\\\\srv2\\share", "\\\\?\\UNC\\srv2\\share", "relative"):
        assert code_of(lambda target=target: files.junction("D:\\bob\\no", target)) == 123  # type: ignore[misc]
    assert [each.path for each in files.walk("D:\\bob")] == ["D:\\bob\\there"]


def test_folders_end_at_248_characters_and_files_at_260_but_not_in_the_long_form(host: Host) -> None:
    base = "D:\\" + "d" * 120
    host.files.mkdir(base)
    deep = base + "\\" + "e" * (246 - len(base))
    assert len(deep) == 247
    host.files.mkdir(deep)
    assert code_of(lambda: host.files.mkdir(deep + "e")) == 206
    host.files.mkdir("\\\\?\\" + deep + "e")
    host.files.write(deep + "\\" + "f" * 11, b"1")
    assert code_of(lambda: host.files.write(deep + "\\" + "f" * 12, b"1")) == 206
    host.files.write("\\\\?\\" + deep + "\\" + "f" * 200, b"1")
    assert [each.length for each in host.files.listdir(deep)] == [1, 1]


def test_streams_are_refused_by_name(host: Host) -> None:
    with pytest.raises(WinError, match="does not simulate alternate data streams"):
        host.files.write("D:\\x:Zone.Identifier", b"")
