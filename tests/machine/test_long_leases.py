# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lease that has too much to undo for one task (32 actions): none of its tasks outlives the run or loses a step."""

from __future__ import annotations

import contextlib

import pytest
from vsslab.specs import UserSpec, VolumeSpec

from .direct import GIB, Controller, Killed, Trouble, build
from .world import Photo

MANY = range(1, 25)
DAY = 24 * 3600
USERS = (UserSpec("Administrator", administrator=True, remote=True), UserSpec("alice"))
LETTERS = "DFGHIJKLMNOP"


@pytest.fixture
def host(tmp_path):
    more = (VolumeSpec(letter, capacity=GIB) for letter in f"E{LETTERS}")
    volumes = (VolumeSpec("C", capacity=64 * GIB, system=True, pagefile=True), *more)
    made = build(tmp_path, users=USERS, volumes=volumes)
    made.files.mkdir(r"C:\Then")
    for number in MANY:
        made.files.mkdir(rf"D:\Data {number}", parents=True)
        made.files.write(rf"D:\Data {number}\a.txt", b"content %d" % number)
    yield made
    made.close()


@pytest.fixture
def controller(host):
    return Controller(host)


def done(answer):
    assert not answer.get("failed"), answer["msg"]
    return answer


def backup(controller, **more):
    sources = [rf"D:\Data {number}" for number in MANY]
    args = {"sources": sources, "destination": r"E:\Copies", "allow_downgrade": True, **more}
    return lambda trouble=None: controller.task("backup", args, trouble=trouble)


def shared(controller):
    volumes = [f"{letter}:" for letter in LETTERS]
    links = [{"volume": each, "path": rf"C:\Then\{each[0]}"} for each in volumes]
    shares = [
        {"volume": each, "type": "share", "share": f"Then{each[0]}", "access": {"read": ["alice"]}} for each in volumes
    ]
    args = {"name": "s", "volumes": volumes, "consistency": "crash", "expose": [*links, *shares]}
    return lambda trouble=None: controller.task("snapshot", args, trouble=trouble)


def renaming(controller, host):
    done(controller.task("snapshot", {"name": "then", "volumes": ["D:"], "allow_downgrade": True}))
    for number in MANY:
        host.files.write(rf"D:\Data {number}\a.txt", b"changed %d" % number)
    paths = [rf"D:\Data {number}" for number in MANY]
    args = {"name": "then", "paths": paths, "existing": "rename"}
    return lambda trouble=None: controller.task("restore", args, trouble=trouble)


def stays(host):
    """Nothing of what there is now is undone later, and nothing of ours is left to do it."""
    photo = Photo.of(host)
    assert photo.tasks == []
    host.clock.time.advance(DAY)
    assert not photo.changes(Photo.of(host))
    return photo


def test_a_backup_of_many_sources_keeps_its_snapshot(host, controller):
    kept = done(backup(controller, keep_snapshot="kept")())
    photo = stays(host)
    assert list(photo.shadows) == [shadow["id"].strip("{}") for shadow in kept["snapshot_set"]["shadows"]]
    assert done(controller.task("cleanup", {}))["changed"] is False
    assert list(Photo.of(host).shadows) == list(photo.shadows)


def test_a_lost_connection_while_it_is_kept_leaves_no_task_of_the_lease(host, controller):
    """The pipeline that removes them never came to the host: the next one has to know of them all the same."""
    done(backup(controller)())  # the folders are there: the same pipelines again, whatever is in them
    used = controller.pipelines
    for pipeline in range(4, used + 2):
        answer = backup(controller, keep_snapshot=f"kept {pipeline}")(Trouble(pipeline, statements=0, killed=False))
        kept = [each for each in stays(host).runs.values() if each["name"] == f"kept {pipeline}"]
        assert [each["state"] for each in kept] == ([] if answer.get("failed") else ["kept"])
    assert not answer.get("failed")


def test_a_backup_of_many_sources_leaves_nothing(host, controller):
    done(backup(controller)())
    assert not stays(host).shadows


def test_a_snapshot_with_many_shares_stays(host, controller):
    answer = done(shared(controller)())
    photo = stays(host)
    assert len(photo.shadows) == len(LETTERS)
    assert answer["changed"] is True
    assert done(shared(controller)())["changed"] is False


def test_many_files_that_made_room_keep_their_new_names(host, controller):
    done(renaming(controller, host)())
    for number in MANY:
        host.files.remove(rf"D:\Data {number}\a.txt")  # the user moves them elsewhere: a name is free again
    before = {number: [each.name for each in host.files.listdir(rf"D:\Data {number}")] for number in MANY}
    stays(host)
    assert {number: [each.name for each in host.files.listdir(rf"D:\Data {number}")] for number in MANY} == before
    assert done(controller.task("cleanup", {}))["changed"] is False


@pytest.mark.parametrize("what", ["backup", "shared"])
@pytest.mark.parametrize("pipeline", range(2, 14, 3))
@pytest.mark.parametrize("again", [True, False], ids=["again", "lease"])
def test_whatever_breaks_it_nothing_is_left(host, controller, what, pipeline, again):
    """The next run or the lease, in all its tasks, undoes it; and what the next run makes stays."""
    run = {"backup": backup(controller), "shared": shared(controller)}[what]
    with contextlib.suppress(Killed):
        run(Trouble(pipeline))
        return  # it was done before that pipeline came
    if not again:
        host.clock.time.advance(DAY)
        left = Photo.of(host)
        assert left.tasks == []
        assert len(left.shadows) == sum(len(each["shadows"]) for each in left.runs.values() if each["state"] == "kept")
        assert done(controller.task("cleanup", {}))["left_behind"] == []
    done(run())
    assert len(stays(host).shadows) == (len(LETTERS) if what == "shared" else 0)
