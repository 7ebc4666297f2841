# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Previous Versions: client-accessible copies by their moment in a UNC path."""

from __future__ import annotations

import pytest
from vsslab.vss import Context
from vsslab.windows.errors import WinError


def token(shadow):
    return f"@GMT-{shadow.created:%Y.%m.%d-%H.%M.%S}"


@pytest.fixture
def before(room):
    room.shadow = room.create(context=Context.CLIENT_ACCESSIBLE).shadows[0]
    room.host.files.write("D:\\Bank\\bank.db", b"now")
    return room


@pytest.mark.parametrize("form", ["\\\\localhost\\D$\\{0}\\Bank\\bank.db", "\\\\localhost\\D$\\Bank\\{0}\\bank.db",
                                  "\\\\SQL01\\d$\\bank\\{0}\\BANK.DB"])  # fmt: skip
def test_the_moment_may_stand_anywhere_below_the_share(before, form):
    files = before.host.files.as_user(before.admin)
    path = form.format(token(before.shadow))
    assert files.read(path) == b"balance=100"
    assert files.read("\\\\localhost\\D$\\Bank\\bank.db") == b"now"
    with pytest.raises(WinError) as caught:
        files.write(path, b"x")
    assert caught.value.code == 19


def test_a_folder_then(before):
    before.host.files.write("D:\\Bank\\new", b"")
    listed = before.host.files.as_user(before.admin).listdir(f"\\\\localhost\\D$\\{token(before.shadow)}\\Bank")
    assert [each.name for each in listed] == ["bank.db"]


def test_other_moments_and_other_contexts_are_not_there(before):
    hidden = before.create("C", context=Context.NAS_ROLLBACK).shadows[0]
    files = before.host.files.as_user(before.admin)
    for path in ("D$\\@GMT-2001.01.01-00.00.00\\Bank", f"C$\\{token(hidden)}\\Windows"):
        with pytest.raises(WinError) as caught:
            files.listdir(f"\\\\localhost\\{path}")
        assert caught.value.code == 3


def test_a_deleted_copy_is_no_previous_version(before):
    path = f"\\\\localhost\\D$\\{token(before.shadow)}\\Bank"
    before.vss.delete(before.shadow.id)
    assert not before.host.files.as_user(before.admin).exists(path)


def test_the_device_is_reached_too(before):
    assert before.host.files.read(f"{before.shadow.device}\\Bank\\bank.db") == b"balance=100"
