# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What dead runs left is found and removed; live runs, kept snapshots and foreign ones are not."""

from __future__ import annotations

import json
import os
import re
from datetime import timedelta

import pytest
from ansible_collections.umbra.vss.plugins.plugin_utils._vss import records
from ansible_collections.umbra.vss.plugins.plugin_utils._vss.backup import backup
from ansible_collections.umbra.vss.plugins.plugin_utils._vss.errors import VssFailure
from ansible_collections.umbra.vss.plugins.plugin_utils._vss.owner import Owner, this_process
from ansible_collections.umbra.vss.plugins.plugin_utils._vss.records import Made, Record
from ansible_collections.umbra.vss.plugins.plugin_utils._vss.recovery import cleanup
from ansible_collections.umbra.vss.plugins.plugin_utils._vss.traces import ids_in_logs
from hypothesis import given
from hypothesis import strategies as st

from .vss_fake_host import NOW, VOLUME, FakeWindows, ticks

ONE = "{11111111-aaaa-0000-0000-000000000000}"
FOREIGN = "{99999999-0000-0000-0000-000000000000}"
RUN = "a" * 32
FOLDER = f"C:\\Windows\\umbra-vss\\runs\\{RUN}"
ELSEWHERE = Owner("another controller", "boot", "pid:[1]", 12, "99", "ada")


def said(text: str) -> None:
    """Nobody listens."""


@pytest.fixture
def windows():
    found = FakeWindows()
    found.shadow(FOREIGN, "D")
    return found


def leave(windows, owner=ELSEWHERE, minutes=-1, **changes):
    """A run as it was when its controller stopped."""
    record = Record(
        run=RUN,
        action="backup",
        name="n",
        owner=owner,
        begun="2026-03-01T11:00:00.000Z",
        links=(f"{FOLDER}\\1",),
        tasks=(f"{RUN}-copy-1",),
        **{"state": "copying", "shadows": (Made(ONE, VOLUME["D"], "device", link=f"{FOLDER}\\1"),), **changes},
    )
    record = record.next(NOW + timedelta(minutes=minutes))
    windows.files[f"{FOLDER}\\record.json"] = "\n".join(record.lines())
    windows.folders |= {FOLDER, f"{FOLDER}\\1"}
    windows.tasks[f"{RUN}-copy-1"] = 267009
    windows.shadow(ONE, "D")
    return record


def test_a_run_whose_lease_is_over_is_removed_and_nothing_else(windows):
    leave(windows)
    predicted = cleanup(windows.host, {}, True, said)
    assert ONE in windows.shadows
    done = cleanup(windows.host, {}, False, said)
    assert predicted["removed"] == done["removed"] == done["diff"]["before"]["left by runs"]
    assert done["removed"][0]["shadows"] == [ONE]
    assert list(windows.shadows) == [FOREIGN]
    assert not windows.tasks
    assert FOLDER not in windows.folders
    assert cleanup(windows.host, {}, False, said)["changed"] is False


def test_who_finds_a_run_at_work_is_told_when_its_lease_would_end_it():
    record = Record(run=RUN, action="backup")
    assert record.patience == "wait until that has ended"
    leased = record.next(NOW + timedelta(minutes=5))
    assert leased.patience.endswith(f"(if it has died, its lease ends it at {leased.lease_until} by the host's clock)")


def test_things_go_in_the_order_that_leaves_nothing_dangling(windows):
    leave(windows)
    cleanup(windows.host, {}, False, said)
    words = ("stop", "unlink", "delete", "untask", "folder")
    said_keys = windows.keys()
    keys = [key for key in said_keys if key.split("-")[0] in words and key.endswith("-0")]
    assert [key.split("-")[0] for key in dict.fromkeys(keys)] == list(words)


def test_a_run_whose_process_is_dead_is_over_at_once(windows):
    me = this_process()
    leave(windows, Owner(me.controller, me.boot, me.namespace, 2**22 + 1, "1", "ada"), minutes=30)
    done = cleanup(windows.host, {}, False, said)
    assert "is gone" in done["removed"][0]["why"]


@pytest.mark.parametrize("owner", [ELSEWHERE, this_process()], ids=["elsewhere", "alive"])
def test_a_live_run_is_left_alone(windows, owner):
    leave(windows, owner, minutes=30)
    done = cleanup(windows.host, {}, False, said)
    assert done["changed"] is False
    assert ONE in windows.shadows
    assert [record["run"] for record in done["left_alone"]] == [RUN]


def test_a_kept_snapshot_is_no_leftover(windows):
    leave(windows, state="kept")
    assert cleanup(windows.host, {}, False, said)["changed"] is False
    assert ONE in windows.shadows


@pytest.mark.parametrize("utf16", [False, True])
def test_what_was_made_but_not_recorded_is_found_in_the_log(windows, utf16):
    leave(windows, shadows=(), state="begun")
    text = f"-> create\nAlias umbra_1 for shadow ID {ONE} set as environment variable.\nWriter {FOREIGN}\n"
    windows.files[f"{FOLDER}\\made-create-1.log"] = "\0".join(text) if utf16 else text
    cleanup(windows.host, {}, False, said)
    assert list(windows.shadows) == [FOREIGN]


def test_the_cim_engines_answers_are_read_too():
    assert ids_in_logs(['\ufeff{"ReturnValue":0,"ShadowID":"' + ONE.upper() + '"}\r\n']) == (ONE,)


def test_a_partial_destination_goes_only_when_that_run_made_it(windows):
    leave(windows, destination="E:\\B", made_destination=("E:\\B",))
    windows.folders.add("E:\\B")
    manifest = {"tool": "umbra.vss", "run": "b" * 32, "complete": False}
    windows.files["E:\\B\\umbra-vss.json"] = json.dumps(manifest)
    cleanup(windows.host, {}, False, said)
    assert "E:\\B" in windows.folders, "another run's backup lies there now"
    leave(windows, destination="E:\\B", made_destination=("E:\\B",))
    windows.files["E:\\B\\umbra-vss.json"] = json.dumps({**manifest, "run": RUN})
    done = cleanup(windows.host, {}, False, said)
    assert done["removed"][0]["destination"] == "E:\\B"
    assert "E:\\B" not in windows.folders


def test_a_folder_without_a_record_is_reported_while_it_names_a_shadow_copy(windows):
    windows.folders.add(FOLDER)
    windows.files[f"{FOLDER}\\record.json"] = '{"run": "' + FOREIGN
    windows.answers.append((r"folders", [{"Name": RUN, "LastWriteTimeUtc": ticks(NOW - timedelta(days=1))}]))
    done = cleanup(windows.host, {}, False, said)
    assert done["changed"] is False
    assert any(FOREIGN in warning for warning in done["warnings"])
    assert FOREIGN in windows.shadows


@pytest.mark.parametrize(("age", "changed"), [(timedelta(minutes=5), False), (timedelta(hours=2), True)])
def test_an_empty_folder_goes_when_it_is_older_than_a_lease(windows, age, changed):
    windows.folders.add(FOLDER)
    windows.answers.append((r"folders", [{"Name": RUN, "LastWriteTimeUtc": ticks(NOW - age)}]))
    assert cleanup(windows.host, {}, False, said)["changed"] is changed
    assert (FOLDER not in windows.folders) is changed


def test_what_cannot_be_removed_is_told(windows):
    leave(windows)
    windows.answers.append((r"delete-.*", []))
    with pytest.raises(VssFailure, match=f"shadow copy {ONE}"):
        cleanup(windows.host, {}, False, said)


def test_removal_goes_on_when_a_step_fails_and_the_next_run_ends_it(windows):
    """What remembers a run stays until everything else of it is gone."""
    leave(windows)
    windows.answers.append((r"unlink-.*", lambda s: FakeWindows.failed(s, "no")))
    with pytest.raises(VssFailure, match=re.escape(f"{FOLDER}\\1")):
        cleanup(windows.host, {}, False, said)
    assert list(windows.shadows) == [FOREIGN]
    assert f"{FOLDER}\\record.json" in windows.files
    windows.answers.pop()
    assert cleanup(windows.host, {}, False, said)["changed"] is True
    assert not windows.tasks
    assert FOLDER not in windows.folders


def test_every_action_cleans_up_first(windows):
    leave(windows)
    windows.answers += [
        (r"there-\d+", [True]),
        (r"hash-.*", []),
        (r"log-\d+", []),
    ]
    args = {"sources": ["D:\\Bank"], "destination": "E:\\Backup", "verify": {"mode": "count"}}
    result = backup(windows.host, args, False, said)
    assert [item["run"] for item in result["recovered"]] == [RUN]
    assert list(windows.shadows) == [FOREIGN]


# ---- records
def test_a_record_is_read_as_it_was_written():
    record = Record(
        run=RUN,
        action="backup",
        owner=this_process(),
        shadows=(Made(ONE, VOLUME["D"]),),
        writers=({"name": "ä", "took_part": True},),
    ).next(NOW)
    assert records.read("\ufeff" + "\n".join(record.lines())) == record


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"run": "x"}',
        json.dumps({"run": RUN, "schema": 99}),
        json.dumps({"run": RUN, "schema": 1, "tasks": 3}),
    ],
)
def test_damage_is_told_and_hides_nothing_else(text):
    whole = "\n".join(Record(run=RUN, action="backup").lines())
    found = records.read_all([text, whole])
    assert len(found.damaged) == 1
    assert [record.run for record in found.readable] == [RUN]


@given(st.integers(min_value=1, max_value=400))
def test_a_record_cut_anywhere_is_damaged_or_whole_but_never_a_crash(cut):
    text = "\n".join(Record(run=RUN, action="backup").lines())
    found = records.read_all([text[:-cut]])
    assert len(found.readable) + len(found.damaged) == 1


def test_a_process_number_used_again_is_not_the_same_process():
    me = this_process()
    assert not me.provably_dead(me)
    assert Owner(me.controller, me.boot, me.namespace, os.getpid(), "1").provably_dead(me)
    assert not Owner(me.controller, "another boot", me.namespace, os.getpid(), "1").provably_dead(me)
    assert not Owner().provably_dead(me)
