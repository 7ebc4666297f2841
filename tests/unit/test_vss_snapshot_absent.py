# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots that are to be gone: by name, ID and age, ours, and one of somebody else's by force."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from ansible_collections.umbra.vss.plugins.plugin_utils._vss.errors import VssFailure
from ansible_collections.umbra.vss.plugins.plugin_utils._vss.snapshots import snapshot

from .vss_fake_host import NOW, FakeWindows, ticks
from .vss_snapshots import ABSENT, ARGS, SYSTEM_PROVIDER, THEIR_SET, THEIRS, absent, present, records, said, several


@pytest.fixture
def windows():
    return FakeWindows()


# ---- ours
def test_absent_by_the_id_of_a_set_or_of_its_only_copy(windows):
    for option, read in (
        ("snapshot_set_id", lambda made: made["snapshot_set"]["id"]),
        ("snapshot_id", lambda made: made["snapshot_set"]["shadows"][0]["id"]),
    ):
        made = present(windows)
        assert absent(windows, check=True, **{option: read(made)})["changed"] is True
        assert len(windows.shadows) == 1
        gone = absent(windows, **{option: read(made).strip("{}").upper()})
        assert [each["record"] for each in gone["removed"]] == [made["record"]]
        assert windows.shadows == {}
        assert absent(windows, **{option: read(made)})["changed"] is False


def test_one_copy_of_a_set_does_not_go_alone(windows):
    made = present(windows, volumes=["C:", "D:"], allow_downgrade=True)
    one, other = (shadow["id"] for shadow in made["snapshot_set"]["shadows"])
    with pytest.raises(VssFailure, match=rf"part of the snapshot nightly.*{other}"):
        absent(windows, snapshot_id=one)
    assert len(windows.shadows) == 2


def test_absent_by_age_and_all_of_ours(windows):
    windows.shadow(THEIRS, "D")
    old, young = several(windows, 50, 10)
    (other,) = several(windows, 60, name="other")
    assert [r["record"] for r in absent(windows, name="nightly", older_than="20h")["removed"]] == [old]
    assert [r["record"] for r in absent(windows, older_than="20h")["removed"]] == [other]
    assert set(records(windows)) == {young}
    assert [r["record"] for r in absent(windows, all=True)["removed"]] == [young]
    assert list(windows.shadows) == [THEIRS]


def test_a_copy_that_another_run_works_with_is_not_taken_away(windows):
    made = present(windows)
    (path,) = [path for path in windows.files if path.endswith("record.json")]
    record = {**json.loads(windows.files[path]), "state": "copying", "lease_until": "2026-03-01T23:00:00.000Z"}
    record["owner"] = {"controller": "elsewhere", "user": "anna", "pid": 7}
    windows.files[path] = json.dumps(record)
    with pytest.raises(VssFailure, match="anna on elsewhere is at work"):
        absent(windows, snapshot_id=made["snapshot_set"]["shadows"][0]["id"])


# ---- not ours
def theirs(windows, **more):
    windows.shadow(THEIRS, "D", SetID=THEIR_SET, ProviderID=SYSTEM_PROVIDER, Persistent=True, **more)
    windows.answers += [
        ("providers", [{"ID": SYSTEM_PROVIDER, "Name": "Microsoft Software Shadow Copy provider 1.0", "Type": 1}]),
        ("requestors", [{"Name": "wbengine.exe", "ProcessId": 4711}]),
        (
            "around",
            [
                {"TimeCreated": ticks(NOW - ago), "Id": 753, "ProviderName": "Microsoft-Windows-Backup", "Message": "x"}
                for ago in (timedelta(seconds=30), timedelta(hours=3))
            ],
        ),
    ]


def test_what_is_not_ours_is_told_and_not_touched_without_force(windows):
    theirs(windows, ClientAccessible=True, NoWriters=True)
    with pytest.raises(VssFailure, match=r"not ours.*previous version.*wbengine\.exe \(4711\).*force: foreign") as told:
        absent(windows, snapshot_id=THEIRS)
    found = told.value.details["foreign"]
    assert (found["kind"], found["set_id"], found["volume"]) == ("ClientAccessible", THEIR_SET, "D:\\")
    assert [event["id"] for event in found["events"]] == [753], "only those of that moment"
    assert list(windows.shadows) == [THEIRS]
    assert not [path for path in windows.folders if "\\runs\\" in path]


def test_one_copy_of_somebody_elses_goes_by_force_alone(windows):
    present(windows)
    mine = set(windows.shadows)
    theirs(windows)
    windows.shadow(THEIRS.replace("9999", "7777", 1), "D", SetID=THEIR_SET)
    assert absent(windows, check=True, snapshot_id=THEIRS, force="foreign")["foreign"]["kind"] == "ApplicationRollback"
    assert THEIRS in windows.shadows
    result = absent(windows, snapshot_id=THEIRS, force="foreign")
    assert (result["changed"], result["removed"]) == (True, [])
    assert set(windows.shadows) - mine == {THEIRS.replace("9999", "7777", 1)}
    assert len(records(windows)) == 1, "the removal leaves no record of its own"
    assert absent(windows, snapshot_id=THEIRS, force="foreign")["changed"] is False


def test_a_set_of_somebody_elses_never_goes(windows):
    theirs(windows)
    with pytest.raises(VssFailure, match=rf"not ours.*one at a time.*{THEIRS}"):
        absent(windows, snapshot_set_id=THEIR_SET)
    absent(windows, all=True)
    assert list(windows.shadows) == [THEIRS]


MEANINGLESS = {
    "nothing": (ABSENT, "What is to be absent"),
    "two": ({**ABSENT, "name": "x", "all": True}, "name and all"),
    "two IDs": ({**ABSENT, "snapshot_id": THEIRS, "snapshot_set_id": THEIR_SET}, "cannot be set together"),
    "no GUID": ({**ABSENT, "snapshot_id": "7"}, "snapshot_id '7' is not a GUID"),
    "age of an ID": ({**ABSENT, "snapshot_id": THEIRS, "older_than": "1h"}, "older_than"),
    "force without an ID": ({**ABSENT, "name": "x", "force": "foreign"}, "force"),
    "force on a set": ({**ABSENT, "snapshot_set_id": THEIR_SET, "force": "foreign"}, "force"),
    "force to be present": ({**ARGS, "snapshot_id": THEIRS, "force": "foreign"}, "force"),
    "all present": ({**ARGS, "all": True}, "state absent"),
    "no name": ({**ARGS, "name": None}, "needs a name"),
    "newer, of that ID": ({**ARGS, "snapshot_set_id": THEIR_SET, "max_age": 0}, "max_age"),
    "not there": ({**ARGS, "snapshot_set_id": THEIR_SET}, "no snapshot .* of ours"),
}


@pytest.mark.parametrize("case", MEANINGLESS)
def test_options_that_mean_nothing_are_refused(windows, case):
    args, sentence = MEANINGLESS[case]
    with pytest.raises(VssFailure, match=sentence):
        snapshot(windows.host, args, False, said)
    assert not [path for path in windows.folders if "\\runs\\" in path]
