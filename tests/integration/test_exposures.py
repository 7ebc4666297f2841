# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shadow copies on the network and under letters, by ansible-playbook: what is declared is there, and nothing else."""

from __future__ import annotations

import pytest
from vsslab.windows.errors import WinError

SNAPSHOT = {"name": "exposed", "volumes": ["D:"], "writers": {"require": ["SqlServerWriter"]}}


def share(**access):
    return {**SNAPSHOT, "expose": [{"volume": "D:", "type": "share", "share": "Yesterday", "access": access}]}


@pytest.fixture
def auditor(fleet):
    """An account that can read what users can read on sql01 and its files."""
    host = fleet.host("sql01")
    if host.users.find("auditor") is None:
        host.users.add("auditor", "Secret-1234")
        host.users.add("intern", "Secret-1234")
    before = host.files.security("D:\\")
    host.files.set_security("D:\\", before + f"(A;OICI;0x1200a9;;;{host.users.find('auditor').sid})")
    yield "auditor"
    host.files.set_security("D:\\", before)


def read(host, name):
    return host.files.as_user(host.users.find(name)).listdir("\\\\sql01\\Yesterday")


def test_a_share_is_there_for_whom_it_names_and_goes_with_the_snapshot(fleet, auditor):
    host = fleet.host("sql01")
    with fleet.unchanged("sql01"):
        first = fleet.ok("sql01", "snapshot", share(read=[auditor]))
        assert first["changed"] is True
        assert first["snapshot_set"]["shadows"][0]["exposed_at"] == r"\\SQL01\Yesterday"
        assert "Bank" in [entry.name for entry in read(host, auditor)]
        with pytest.raises(WinError):
            read(host, "intern")
        assert fleet.ok("sql01", "snapshot", share(read=[auditor]))["changed"] is False
        others = share(change=["intern"], full=["Administrators"])
        assert fleet.ok("sql01", "snapshot", others)["changed"] is True
        with pytest.raises(WinError):
            read(host, auditor)
        assert fleet.ok("sql01", "snapshot", {"name": "exposed", "state": "absent"})["changed"] is True


def test_a_letter_taken_between_looking_and_using_fails_cleanly(fleet):
    host = fleet.host("sql01")
    original = host.vss.store.expose

    def taken(*args):
        host.files.names.attach("P:", lambda: host.files.locate("C:\\Windows").real, read_only=True, metadata=None)
        host.vss.store.expose = original
        return original(*args)

    host.vss.store.expose = taken
    try:
        with fleet.unchanged("sql01"):
            sentence = fleet.fails(
                "sql01", "snapshot", {**SNAPSHOT, "expose": [{"volume": "D:", "path": "P:", "type": "letter"}]}
            )
            assert "P:" in sentence
            host.files.detach("P:")
    finally:
        host.vss.store.expose = original


def test_somebody_elses_share_stays_as_it_is(fleet):
    host = fleet.host("sql01")
    host.files.mkdir("C:\\Theirs")
    host.shares.add("Yesterday", "C:\\Theirs")
    try:
        with fleet.unchanged("sql01"):
            assert "C:\\Theirs" in fleet.fails("sql01", "snapshot", share(read=["Administrators"]))
    finally:
        host.shares.remove("Yesterday")
        host.files.rmdir("C:\\Theirs")
