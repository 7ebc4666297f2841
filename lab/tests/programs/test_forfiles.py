# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""forfiles: a command for every file that a mask matches, its name in quotes."""

from __future__ import annotations

from typing import Any

Machine = Any  # see conftest
NAMES = ("{b-2}", "a 1", "c.txt")


def folder(machine: Machine) -> str:
    machine.host.files.mkdir(r"C:\Made")
    for name in NAMES:
        machine.host.files.write(rf"C:\Made\{name}", b"")
    return r"C:\Made"


def test_every_file_in_order_with_its_name_in_quotes(machine: Machine) -> None:
    ended = machine("forfiles.exe", "/p", folder(machine))
    assert (ended.code, ended.out) == (0, ['"a 1"', '"c.txt"', '"{b-2}"'])


def test_a_mask_and_variables(machine: Machine) -> None:
    told = machine("forfiles.exe", "/p", folder(machine), "/m", "*.txt", "/c", "cmd /d /c echo @path @fname 0x41")
    assert told.out == [r'"C:\Made\c.txt" "c" A']


def test_below_the_folder_but_not_through_links_each_in_its_own_folder(machine: Machine) -> None:
    files, top = machine.host.files, folder(machine)
    files.mkdir(rf"{top}\in\deep", parents=True)
    files.write(rf"{top}\in\deep\e f.doc.old", b"")
    files.symlink(rf"{top}\back", rf"{top}\in")
    ended = machine("forfiles.exe", "/p", top, "/s", "/m", "*.old", "/c", "cmd /d /c ren @path @fname")
    assert (ended.code, [each.name for each in files.listdir(rf"{top}\in\deep")]) == (0, ["e f.doc"])
    told = machine("forfiles.exe", "/p", top, "/s", "/m", "*f.doc", "/c", "cmd /d /c cd & echo @relpath")
    assert told.out == [rf"{top}\in\deep", r'".\in\deep\e f.doc"']


def test_programs_get_the_name_without_its_quotes(machine: Machine) -> None:
    command = r"cmd /d /c C:\Windows\System32\hostname.exe /shadow=@file"
    told = machine("forfiles.exe", "/p", folder(machine), "/m", "{*", "/c", command)
    assert told.code == 1
    assert told.err == ["vsslab does not simulate hostname /shadow={b-2}."]


def test_nothing_found_is_an_error(machine: Machine) -> None:
    ended = machine("forfiles.exe", "/p", folder(machine), "/m", "*.dsh")
    assert ended.code == 1
    assert machine("forfiles.exe", "/p", r"C:\Nowhere").code == 1


def test_other_commands_than_cmds_are_refused(machine: Machine) -> None:
    ended = machine("forfiles.exe", "/p", folder(machine), "/c", "vssadmin list shadows")
    assert ended.code == 1
    assert "vsslab does not simulate" in ended.err[0]
