# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups straight into the laboratory's engine: what is copied, where to, and what comes after a crash."""

from __future__ import annotations

import json

import pytest
from ansible_collections.umbra.vss.plugins.plugin_utils._host import Host
from ansible_collections.umbra.vss.plugins.plugin_utils._vss import inventory, run

from .direct import Controller, DirectRunner, Killed, Trouble, build

DATA = {r"D:\Data\a.txt": b"first", r"D:\Data\sub\b.txt": b"second"}


@pytest.fixture
def host(tmp_path):
    made = build(tmp_path)
    for path, content in DATA.items():
        made.files.mkdir(path.rpartition("\\")[0], parents=True)
        made.files.write(path, content)
    yield made
    made.close()


@pytest.fixture
def backup(host):
    controller = Controller(host)

    def run(destination, trouble=None, **more):
        args = {"sources": [r"D:\Data"], "destination": destination, "allow_downgrade": True, **more}
        return controller.task("backup", args, trouble=trouble)

    return run


@pytest.mark.parametrize("destination", [r"E:\Backup [SQL]", r"E:\B[12]", r"E:\B[x", r"E:\tick`s", r"E:\100 % & more"])
def test_a_destination_may_be_called_what_windows_allows(host, backup, destination):
    """Brackets and backticks are wildcards to PowerShell's paths, and no wildcards here."""
    host.files.mkdir(r"E:\B1")
    host.files.write(r"E:\B1\umbra-vss.json", b"not that of the backup")
    for _time in range(2):
        answer = backup(destination)
        assert not answer.get("failed"), answer["msg"]
    assert host.files.read(rf"{destination}\D\Data\a.txt") == b"first"


def test_a_destination_in_brackets_is_taken_back_when_the_backup_fails(host, backup):
    destination = r"E:\Backup [SQL]"
    for pipeline in range(2, 9):
        with pytest.raises(Killed):
            backup(destination, Trouble(pipeline))
        answer = Controller(host).task("cleanup", {})
        assert answer["left_behind"] == []
        if host.files.exists(destination):  # it was done
            assert b'"complete": true' in host.files.read(rf"{destination}\umbra-vss.json")
            break
    assert pipeline > 5


@pytest.mark.parametrize("pipeline", range(3, 9))
def test_a_folder_of_the_users_stays_one_after_a_crash(host, backup, pipeline):
    """It was there and empty: what a dead run copied into it goes, the folder stays, and the next backup goes on."""
    host.files.mkdir(r"E:\Mine")
    with pytest.raises(Killed):
        backup(r"E:\Mine", Trouble(pipeline))
    answer = backup(r"E:\Mine")
    assert not answer.get("failed"), answer["msg"]
    assert host.files.read(r"E:\Mine\D\Data\a.txt") == b"first"
    host.clock.time.advance(24 * 3600)
    assert host.files.read(r"E:\Mine\D\Data\a.txt") == b"first"


def test_only_what_windows_keeps_at_the_root_of_a_volume_is_left_out(host, backup):
    """What is called so deeper down is somebody's data."""
    deep = [r"D:\Images\srv01\pagefile.sys", r"D:\Users\$RECYCLE.BIN\kept.txt", r"D:\Old\System Volume Information\x"]
    roots = [r"D:\pagefile.sys", r"D:\$RECYCLE.BIN\gone.txt"]
    for path in [*deep, *roots]:
        host.files.mkdir(path.rpartition("\\")[0] + "\\", parents=True)
        host.files.write(path, path.encode())
    for _time in range(2):  # the second one mirrors
        answer = backup(r"E:\All", sources=["D:\\"])
        assert not answer.get("failed"), answer["msg"]
        for path in deep:
            assert host.files.read(rf"E:\All\D\{path[3:]}") == path.encode()
        for path in roots:
            assert not host.files.exists(rf"E:\All\D\{path[3:]}")
    assert answer["files"] == len(DATA) + len(deep)


def test_a_whole_volume_is_restored_with_what_is_called_as_windows_own(host, backup):
    controller = Controller(host)
    path = r"D:\Images\srv01\pagefile.sys"
    host.files.mkdir(r"D:\Images\srv01", parents=True)
    host.files.write(path, b"image")
    assert not controller.task("snapshot", {"name": "s", "volumes": ["D:"], "allow_downgrade": True}).get("failed")
    host.files.remove(path)
    answer = controller.task("restore", {"name": "s", "paths": ["D:\\"]})
    assert not answer.get("failed"), answer["msg"]
    assert host.files.read(path) == b"image"


def test_somebody_elses_backup_that_came_while_it_waited_is_mirrored_into_and_not_taken_back(host, backup, monkeypatch):
    r"""Both found E:\Both missing; the other one had its turn first, and was done before this one got the lock."""
    there = Host("srv1", DirectRunner(host))
    third = run.begin(there, inventory.gather(there, ["records"]), "snapshot", "n", lambda text: None)
    third.start()
    wait, others = run.Run._wait, []

    def meanwhile(self, deadline):
        if not others:
            assert third.finish() == []
            others.append(None)
            others[:] = [backup(r"E:\Both")]
        return wait(self, deadline)

    monkeypatch.setattr(run.Run, "_wait", meanwhile)
    mine = backup(r"E:\Both")
    assert not mine.get("failed"), mine["msg"]
    (other,) = others
    assert mine["record"] != other["record"]
    manifest = json.loads(host.files.read(r"E:\Both\umbra-vss.json").decode("utf-8-sig"))
    assert (manifest["run"], manifest["complete"]) == (mine["record"], True)
