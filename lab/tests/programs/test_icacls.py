# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""icacls.exe changes who may do what, by SID, and counts what it did."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Machine = Any  # see conftest
FOLDER = "D:\\state"
SECURE = ("/inheritance:r", "/grant:r", "*S-1-5-18:(OI)(CI)F", "*S-1-5-32-544:(OI)(CI)F", "/q")


@pytest.fixture
def folder(machine: Machine) -> Machine:
    machine.host.files.mkdir(FOLDER + "\\sub", parents=True)
    machine.host.files.write(FOLDER + "\\sub\\file", b"1")
    return machine


def sddl(machine: Machine, path: str = FOLDER) -> str:
    text: str = machine.host.files.security(path)
    return text


def test_a_folder_is_closed_to_all_but_administrators(folder: Machine) -> None:
    ended = folder("icacls.exe", FOLDER, *SECURE)
    assert (ended.code, ended.out) == (0, ["Successfully processed 1 files; Failed processing 0 files"])
    assert sddl(folder).endswith("D:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)")
    assert sddl(folder, FOLDER + "\\sub\\file").endswith("D:AI(A;ID;FA;;;SY)(A;ID;FA;;;BA)")
    assert folder("icacls.exe", FOLDER, user="bob").code == 5


def test_the_owner_is_set_alone_and_below(folder: Machine) -> None:
    ended = folder("icacls.exe", FOLDER, "/setowner", "*S-1-5-18", "/t", "/c", "/q")
    assert (ended.code, ended.out) == (0, ["Successfully processed 3 files; Failed processing 0 files"])
    assert sddl(folder, FOLDER + "\\sub\\file").startswith("O:SY")
    assert folder("icacls.exe", FOLDER, "/setowner", "*S-1-5-18", "/grant", "*S-1-1-0:R").code == 87


def test_entries_are_added_replaced_denied_and_removed(folder: Machine) -> None:
    bob = folder.host.users.find("bob").sid
    folder("icacls.exe", FOLDER, "/grant", "bob:R")
    folder("icacls.exe", FOLDER, "/grant", "bob:(W,DE)")
    assert f"(A;;0x13019f;;;{bob})" in sddl(folder)
    folder("icacls.exe", FOLDER, "/grant:r", "bob:(CI)RX", "/deny", "bob:W")
    assert f"(D;;0x100116;;;{bob})(A;CI;0x1200a9;;;{bob})" in sddl(folder)
    folder("icacls.exe", FOLDER, "/remove:d", "bob")
    assert "(D;" not in sddl(folder)
    folder("icacls.exe", FOLDER, "/remove", "bob")
    assert bob not in sddl(folder)


def test_inheritance_is_copied_or_given_back(folder: Machine) -> None:
    before = sddl(folder)
    folder("icacls.exe", FOLDER, "/inheritance:d")
    assert ":PAI" in sddl(folder)
    assert "ID;" not in sddl(folder)
    folder("icacls.exe", FOLDER, "/reset")
    assert sddl(folder) == before


def test_it_shows_what_is_in_force_by_name(make_machine: Callable[..., Machine]) -> None:
    machine = make_machine(language="de-DE")
    machine.host.files.mkdir(FOLDER)
    machine("icacls.exe", FOLDER, *SECURE)
    ended = machine("icacls.exe", FOLDER)
    assert ended.out == [
        f"{FOLDER} NT-AUTORITÄT\\SYSTEM:(OI)(CI)(F)",
        " " * 9 + "VORDEFINIERT\\Administratoren:(OI)(CI)(F)",
        "",
        "1 Dateien erfolgreich verarbeitet, bei 0 Dateien ist ein Verarbeitungsfehler aufgetreten.",
    ]


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        (("D:\\none", "/grant", "*S-1-1-0:R"), 2),
        ((FOLDER, "/frobnicate"), 87),
        ((FOLDER, "/grant", "*S-1-1-0:Q"), 87),
        ((FOLDER, "/grant"), 87),
        ((FOLDER, "/grant", "nobody:R"), 1332),
        ((FOLDER, "/save", "x"), 87),
        ((), 87),
    ],
)
def test_failures_have_their_win32_number(folder: Machine, argv: tuple[str, ...], code: int) -> None:
    ended = folder("icacls.exe", *argv)
    assert ended.code == code
    assert ended.err


def test_with_c_it_goes_on_after_a_failure(folder: Machine) -> None:
    folder.host.files.set_security(FOLDER + "\\sub", "O:SYD:P(A;;0x1200a9;;;BA)(A;;FA;;;SY)")
    ended = folder("icacls.exe", FOLDER + "\\*", "/grant", "*S-1-1-0:R", "/t", "/c", "/q")
    assert ended.code == 5
    assert ended.out[-1] == "Successfully processed 1 files; Failed processing 1 files"
