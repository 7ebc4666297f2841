# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs change a live volume in every way they can: its copy stays, and the live volume has what Windows would."""

from __future__ import annotations

import datetime
import os
import threading
from pathlib import Path

import pytest
from vsslab import programs
from vsslab.vss import Context, VssError, codes, commit
from vsslab.vss.guard import CopyChanged
from vsslab.windows import inodes
from vsslab.windows.clock import Clock
from vsslab.windows.errors import WinError

UTC = datetime.timezone.utc
LONG_AGO = datetime.datetime(2001, 2, 3, tzinfo=UTC)
COMMANDS = r"""
robocopy D:\src D:\dst /MIR /R:0
robocopy D:\src D:\moved /MOV /E /R:0
robocopy C:\in D:\seed /COPYALL /DCOPY:DAT /R:0
robocopy C:\in D:\seed /MIR /R:0 /TIMFIX
tar -cf C:\x.tar -C C:\in .
tar -xf C:\x.tar -C D:\seed
copy /y C:\in\1.txt D:\seed\1.txt
move /y D:\seed\2.txt D:\seed\1.txt
ren D:\seed\3.txt four.txt
echo more>>D:\seed\four.txt
echo less>D:\seed\four.txt
type nul>D:\seed\0.txt
del /f /q D:\seed\0.txt
icacls D:\seed\1.txt /grant Users:(F)
icacls D:\seed /inheritance:r /grant Administrators:(OI)(CI)F /T
takeown /f D:\seed\1.txt
mklink /d D:\link C:\in
mklink /j D:\junction C:\in
rmdir D:\link
rd /s /q D:\dst
md D:\new\deep
fsutil file createnew D:\new\z.bin 100000
move D:\seed D:\seeded
ren D:\seeded seed
""".strip().splitlines()


def picture(files, root):
    """Everything Windows tells about everything below a root, the root too."""
    return {
        each.path.lower().removeprefix(root.lower()): (
            each.modified, each.created, each.accessed, each.attributes, each.length, each.link_target, each.junction,
            files.security(each.path), None if each.is_dir else files.read(each.path),
        )
        for each in [files.stat(root), *files.walk(root)]
    }  # fmt: skip


def run(host, line):
    said = []
    account = host.users.find("admin")
    argv = ["cmd.exe", "/c", line]
    code = host.processes.run(argv, account, out=said.append, err=said.append, stop=threading.Event(),
                              command_line="cmd.exe /c " + line)  # fmt: skip
    assert code == 0 or (line.startswith("robocopy") and code < 8), (line, code, said)


@pytest.fixture(params=[0.0, -7200.0], ids=["machine's clock", "another clock"])
def lived_in(make_room, request):
    """A room with files that programs made, and files that lay there before anybody noted when they were made."""
    room = make_room(limits={"hold": 10.0, "freeze": 10.0}, host={"clock": Clock(skew=request.param)})
    programs.register(room.host)
    del room.host.apps["bank"]
    room.vss.remove_writer(room.writer)
    for folder in ("D:\\src", "D:\\dst", "D:\\seed", "C:\\in"):
        room.host.files.mkdir(folder)
    for number in range(4):
        for folder in ("D:\\src", "D:\\dst", "C:\\in"):
            room.host.files.write(f"{folder}\\{number}.txt", f"{folder}{number}".encode())
        real = room.d.root / "seed" / f"{number}.txt"
        real.write_bytes(b"seed")
        os.utime(real, (1.7e9 + number, 1.7e9 + number))
    room.host.files.set_times("D:\\seed", modified=room.host.clock.now())
    room.d.measure_again()
    room.shadow = room.create(context=Context.NAS_ROLLBACK).shadows[0]
    return room


def test_no_program_changes_a_copy(lived_in):
    files, root = lived_in.host.files, lived_in.shadow.device + "\\"
    before = picture(files, root)
    assert before == picture(files, "D:\\")
    for line in COMMANDS:
        run(lived_in.host, line)
        assert picture(files, root) == before, line
        used = lived_in.d.used()
        lived_in.d.measure_again()
        assert lived_in.d.used() == used, line
        latest = max(max(each[:3]) for each in picture(files, "D:\\").values())
        assert latest <= lived_in.host.clock.now(), line
    assert not list(Path(lived_in.host.root).rglob(".own-*"))


def test_deleting_and_reverting_leave_the_volume_whole(lived_in):
    files = lived_in.host.files
    then = picture(files, "D:\\")
    second = lived_in.create(context=Context.NAS_ROLLBACK).shadows[0]
    files.write("D:\\seed\\1.txt", b"live")
    files.remove("D:\\src\\1.txt")
    live = picture(files, "D:\\")
    lived_in.vss.delete(lived_in.shadow.id)
    assert picture(files, "D:\\") == live
    lived_in.vss.revert(second.id)
    assert picture(files, "D:\\") == then
    files.write("D:\\seed\\1.txt", b"live again")
    files.set_times("D:\\seed\\2.txt", modified=LONG_AGO)
    assert picture(files, second.device + "\\") == then
    assert sorted(each.name for each in lived_in.d.root.parent.iterdir()) == ["C", "D", "F"]


def test_the_time_of_creation_stays_when_a_file_is_written(lived_in):
    files = lived_in.host.files
    made = files.stat("D:\\seed\\1.txt").created
    files.write("D:\\seed\\1.txt", b"other")
    assert files.stat("D:\\seed\\1.txt").created == made
    files.set_times("D:\\seed\\1.txt", modified=LONG_AGO)
    assert (files.stat("D:\\seed\\1.txt").created, files.stat("D:\\seed\\1.txt").modified) == (made, LONG_AGO)


def test_a_folder_is_not_written_when_a_file_in_it_gets_content_of_its_own(lived_in):
    files = lived_in.host.files
    before = files.stat("D:\\seed")
    files.write("D:\\seed\\1.txt", b"other")
    files.write("D:\\seed\\2.txt", b"more", append=True)
    files.set_times("D:\\seed\\3.txt", modified=LONG_AGO)
    assert files.stat("D:\\seed") == before
    files.write("D:\\seed\\new.txt", b"")
    assert files.stat("D:\\seed").modified > before.modified
    assert files.stat("D:\\seed").created == before.created


def test_a_file_that_another_one_replaces_counts_as_changed_and_as_gone(lived_in):
    files, volume = lived_in.host.files, lived_in.d
    used, changed = volume.used(), volume.changed
    files.rename("D:\\src\\1.txt", "D:\\seed\\1.txt", replace_existing=True)
    assert volume.used() == used - 4
    assert volume.changed >= changed + 4


def test_a_read_only_or_foreign_file_is_not_replaced(lived_in):
    files = lived_in.host.files
    files.set_attributes("D:\\seed\\1.txt", 0x21)
    with pytest.raises(WinError) as caught:
        files.rename("D:\\src\\1.txt", "D:\\seed\\1.txt", replace_existing=True)
    assert caught.value.code == 5
    bob = files.as_user(lived_in.bob)
    bob.mkdir("D:\\bob")
    bob.write("D:\\bob\\mine.txt", b"mine")
    files.write("D:\\bob\\theirs.txt", b"theirs")
    files.set_security("D:\\bob", f"D:PAI(A;;0x1200ab;;;{lived_in.bob.sid})(A;;FA;;;BA)")
    files.set_security("D:\\bob\\theirs.txt", "D:PAI(A;;FA;;;BA)")
    files.set_security("D:\\bob\\mine.txt", f"D:PAI(A;;FA;;;{lived_in.bob.sid})")
    with pytest.raises(WinError) as caught:
        bob.rename("D:\\bob\\mine.txt", "D:\\bob\\theirs.txt", replace_existing=True)
    assert caught.value.code == 5
    assert files.read("D:\\bob\\theirs.txt") == b"theirs"


def test_two_who_change_a_shared_file_at_once_lose_nothing(lived_in, monkeypatch):
    files = lived_in.host.files
    stream = files.writer("D:\\src\\1.txt", append=True)
    lived_in.create(context=Context.NAS_ROLLBACK)
    copied, go_on, real = threading.Event(), threading.Event(), inodes.copy_file

    def slow(source, target):
        size = real(source, target)
        if not copied.is_set():
            copied.set()
            go_on.wait(1.0)
        return size

    monkeypatch.setattr(inodes, "copy_file", slow)
    dating = threading.Thread(target=files.set_times, args=("D:\\src\\1.txt",), kwargs={"modified": LONG_AGO})
    dating.start()
    assert copied.wait(10)
    writing = threading.Thread(target=stream.write, args=(b" and more",))
    writing.start()
    writing.join(0.3)
    go_on.set()
    writing.join(10)
    dating.join(10)
    stream.close()
    assert files.read("D:\\src\\1.txt") == b"D:\\src1 and more"


def test_what_is_written_while_an_area_is_measured_is_not_forgotten(lived_in, monkeypatch):
    vss, volume = lived_in.vss, lived_in.d
    area = vss.storage.of(volume)
    area.reserved, real = 0, vss.storage.used

    def used(asked):
        size = real(asked)
        volume.changed += 12345  # somebody else, meanwhile
        return size

    monkeypatch.setattr(vss.storage, "used", used)
    monkeypatch.setattr(vss.storage, "ceiling", lambda _area: 1 << 40)
    before = volume.changed
    vss.overflow.settle(area)
    assert vss.overflow._known[volume.guid][1] == before


def test_a_copy_somebody_wrote_to_is_not_reverted_to(lived_in):
    real = lived_in.d.root / "seed" / "1.txt"
    real.write_bytes(b"around the laboratory")
    before = lived_in.host.files.read("D:\\src\\1.txt")
    with pytest.raises(CopyChanged):
        lived_in.vss.revert(lived_in.shadow.id)
    assert lived_in.host.files.read("D:\\src\\1.txt") == before
    assert lived_in.vss.reverts.all() == []


def test_a_revert_that_fails_on_the_way_changes_nothing(lived_in, monkeypatch):
    lived_in.host.files.write("D:\\seed\\1.txt", b"live")
    before = picture(lived_in.host.files, "D:\\")
    real, calls = Path.rename, []

    def rename(self, target):
        calls.append(self)
        if len(calls) == 6:
            raise OSError(5, "broken")
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(VssError) as caught:
        lived_in.vss.revert(lived_in.shadow.id)
    assert caught.value.hresult == codes.UNEXPECTED_PROVIDER_ERROR
    monkeypatch.undo()
    after = picture(lived_in.host.files, "D:\\")
    assert {path: each for path, each in after.items() if path} == {path: each for path, each in before.items() if path}
    assert sorted(each.name for each in lived_in.d.root.parent.iterdir()) == ["C", "D", "F"]


def test_a_copy_that_breaks_off_for_any_reason_leaves_nothing(lived_in, monkeypatch):
    def broken(*_arguments):
        raise ValueError("unforeseen")

    monkeypatch.setattr(commit.trees, "freeze_tree", broken)
    before = len(lived_in.host.files.names.attachments())
    with pytest.raises(ValueError, match="unforeseen"):
        lived_in.create(context=Context.NAS_ROLLBACK)
    monkeypatch.undo()
    assert [each.name for each in lived_in.vss.store.folder.iterdir()] == [lived_in.shadow.id]
    assert len(lived_in.host.files.names.attachments()) == before
    lived_in.create(context=Context.NAS_ROLLBACK)


def test_the_programs_of_windows_are_in_a_copy_though_nobody_looked_for_them(lived_in):
    files, folder = lived_in.host.files, "\\Windows\\System32"
    shadow = lived_in.create("C", context=Context.NAS_ROLLBACK).shadows[0]
    live, copy = picture(files, "C:" + folder), picture(files, shadow.device + folder)
    assert live == copy
    assert "\\robocopy.exe" in copy
    assert max(max(each[:3]) for each in live.values()) <= shadow.created


def test_a_file_written_around_the_laboratory_while_it_is_read_is_told(lived_in):
    lived_in.host.files.write("D:\\big.bin", bytes(3 << 20))
    shadow = lived_in.create(context=Context.NAS_ROLLBACK).shadows[0]
    with lived_in.host.files.open(shadow.device + "\\big.bin") as stream:
        assert stream.read(1 << 20) == bytes(1 << 20)
        with (lived_in.d.root / "big.bin").open("r+b") as live:
            live.seek(2 << 20)
            live.write(b"changed")
        with pytest.raises(CopyChanged):
            stream.read()
