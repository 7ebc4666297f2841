# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A copy mounted into a folder that is shared: clients get in by both access lists, read the past and write nothing."""

from __future__ import annotations

import pytest
from vsslab.windows.errors import WinError

FOLDER = "C:\\closed\\copy"


@pytest.fixture
def shared(room):
    """A share of a copy in a folder below one that only administrators may enter; then the volume goes on."""
    host = room.host
    host.network = {host.name: host}
    host.users.add("alice", "p")
    host.files.set_security("D:\\Bank", "D:P(A;OICI;FA;;;BA)(A;OICI;FR;;;BU)")
    host.files.mkdir(FOLDER, parents=True)
    host.files.set_security("C:\\closed", "D:P(A;OICI;FA;;;BA)")
    shadow = room.create().shadows[0]
    room.vss.expose(shadow.id, FOLDER)
    host.shares.add("past", FOLDER, read=["alice"])
    host.files.write("D:\\Bank\\bank.db", b"balance=7")
    return shadow


def code_of(act):
    with pytest.raises(WinError) as refused:
        act()
    return refused.value.code


def as_user(room, name):
    return room.host.files.as_user(room.host.users.find(name))


def test_whom_the_list_names_reads_the_past(room, shared):
    path = f"\\\\{room.host.name}\\past\\Bank\\bank.db"
    assert as_user(room, "alice").read(path) == b"balance=100"
    assert code_of(lambda: as_user(room, "bob").read(path)) == 5
    assert code_of(lambda: as_user(room, "alice").write(path, b"")) in (5, 19)


def test_the_lists_of_the_files_count_as_well(room, shared):
    room.host.shares.grant("past", "bob", "Full")
    path = f"\\\\{room.host.name}\\past\\Bank\\bank.db"
    assert as_user(room, "bob").read(path) == b"balance=100"
    assert code_of(lambda: as_user(room, "bob").write(path, b"")) in (5, 19), "nothing is written to a copy"


def test_without_the_copy_the_share_leads_to_an_empty_folder(room, shared):
    room.vss.unexpose(shared.id)
    assert code_of(lambda: as_user(room, "alice").read(f"\\\\{room.host.name}\\past\\Bank\\bank.db")) in (2, 3)
    assert [each.path for each in room.host.shares.of_folder(FOLDER)] == [FOLDER]
    room.host.shares.remove("past")
    assert room.host.files.listdir(FOLDER) == []
