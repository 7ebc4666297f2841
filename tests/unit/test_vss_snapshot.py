# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A named snapshot: present, absent, predicted, refused, given up."""

from __future__ import annotations

import json

import pytest
from ansible_collections.umbra.vss.plugins.plugin_utils._vss.errors import VssFailure
from ansible_collections.umbra.vss.plugins.plugin_utils._vss.snapshots import snapshot

from .vss_fake_host import SET, SQL, FakeWindows, listed, volume

ARGS = {"name": "nightly", "volumes": ["D:"], "consistency": "application", "timeout": 0}


def said(text: str) -> None:
    """Nobody listens."""


@pytest.fixture
def windows():
    return FakeWindows()


def test_present_is_made_once_and_found_again(windows):
    first = snapshot(windows.host, ARGS, False, said)
    assert (first["changed"], first["consistency"], first["engine"]) == (True, "application", "diskshadow")
    assert first["snapshot_set"]["id"] == SET
    assert [s["volume"] for s in first["snapshot_set"]["shadows"]] == ["D:\\"]
    windows.said.clear()
    second = snapshot(windows.host, ARGS, False, said)
    assert second["changed"] is False
    assert second["snapshot_set"] == first["snapshot_set"]
    assert second["consistency"] == "application"
    assert len(windows.said) == 1, "what is there already costs one pipeline"


def test_it_takes_four_pipelines(windows):
    snapshot(windows.host, ARGS, False, said)
    assert len(windows.said) == 4


def test_the_record_is_there_before_anything_is_created(windows):
    snapshot(windows.host, ARGS, False, said)
    keys = windows.keys()
    assert keys.index("lease-0") < keys.index("record") < keys.index("list") < keys.index("create")


def test_the_record_names_what_was_made(windows):
    result = snapshot(windows.host, ARGS, False, said)
    (text,) = [text for path, text in windows.files.items() if path.endswith("record.json")]
    record = json.loads(text)
    assert record["state"] == "kept"
    assert record["lease_until"] is None
    assert [made["id"] for made in record["shadows"]] == [result["snapshot_set"]["shadows"][0]["id"]]


def test_the_script_counts_on_the_writer_that_speaks_for_the_volume(windows):
    snapshot(windows.host, ARGS, False, said)
    (script,) = [text for path, text in windows.files.items() if path.endswith("create.dsh")]
    assert f"writer verify {SQL}" in script
    assert "\\\\?\\Volume{20000000-0000-0000-0000-000000000000}\\ alias umbra_1" in script
    assert "begin backup" not in script


@pytest.mark.parametrize(("age", "changed"), [("30m", False), (0, True), ("7d", False), (None, False)])
def test_max_age(windows, age, changed):
    snapshot(windows.host, ARGS, False, said)
    made = next(iter(windows.shadows))
    path = next(path for path in windows.files if path.endswith("record.json"))
    record = json.loads(windows.files[path])
    record["created"] = "2026-03-01T11:59:00.000Z"
    windows.files[path] = json.dumps(record)
    assert snapshot(windows.host, {**ARGS, "max_age": age}, False, said)["changed"] is changed
    assert made in windows.shadows, "the old one is kept"


def test_one_whose_shadow_copy_is_gone_does_not_count(windows):
    snapshot(windows.host, ARGS, False, said)
    windows.shadows.clear()
    assert snapshot(windows.host, ARGS, False, said)["changed"] is True


def test_a_crash_consistent_one_does_not_count_as_application_consistent(windows):
    snapshot(windows.host, {**ARGS, "consistency": "crash"}, False, said)
    assert snapshot(windows.host, ARGS, False, said)["changed"] is True
    assert snapshot(windows.host, {**ARGS, "consistency": "crash"}, False, said)["changed"] is False


def test_check_mode_predicts_and_leaves_nothing(windows):
    predicted = snapshot(windows.host, ARGS, True, said)
    assert (windows.shadows, windows.files, windows.folders) == ({}, {}, set())
    done = snapshot(windows.host, ARGS, False, said)
    assert predicted.keys() == done.keys()
    for key in ("changed", "consistency", "consistency_reason", "engine"):
        assert predicted[key] == done[key]
    assert [w["took_part"] for w in predicted["writers"]] == [w["took_part"] for w in done["writers"]]


def test_absent_removes_only_what_is_of_that_name(windows):
    windows.shadow("{99999999-0000-0000-0000-000000000000}", "D")
    snapshot(windows.host, ARGS, False, said)
    snapshot(windows.host, {**ARGS, "name": "other"}, False, said)
    gone = snapshot(windows.host, {"name": "nightly", "state": "absent"}, False, said)
    assert gone["changed"] is True
    assert len(windows.shadows) == 2
    assert "{99999999-0000-0000-0000-000000000000}" in windows.shadows
    assert snapshot(windows.host, {"name": "nightly", "state": "absent"}, False, said)["changed"] is False


def test_absent_in_check_mode_removes_nothing(windows):
    snapshot(windows.host, ARGS, False, said)
    assert snapshot(windows.host, {"name": "nightly", "state": "absent"}, True, said)["changed"] is True
    assert len(windows.shadows) == 1


def test_a_client_edition_says_why_it_is_only_crash_consistent(windows):
    windows.server = False
    with pytest.raises(VssFailure, match=r"crash-consistent.*diskshadow.*allow_downgrade"):
        snapshot(windows.host, ARGS, False, said)
    assert windows.shadows == {}
    result = snapshot(windows.host, {**ARGS, "allow_downgrade": True}, False, said)
    assert (result["consistency"], result["engine"]) == ("crash", "cim")
    assert "diskshadow" in result["consistency_reason"]


def test_several_volumes_by_cim_are_not_one_moment(windows):
    windows.server = False
    result = snapshot(windows.host, {**ARGS, "volumes": ["D:", "E:"], "allow_downgrade": True}, False, said)
    assert any("not of one moment" in warning for warning in result["warnings"])


REFUSED = {
    "no volume": ({"volumes": ["Q:"]}, r"no volume Q: on sql01"),
    "no volumes": ({"volumes": []}, "volumes is empty"),
    "file system": ({"volumes": ["F:"]}, r"F:.*FAT32.*NTFS"),
    "unknown writer": ({"writers": {"require": ["Oracle VSS Writer"]}}, r"Oracle VSS Writer.*sql01"),
    "writer elsewhere": ({"volumes": ["E:"], "writers": {"require": ["SqlServerWriter"]}}, r"SqlServerWriter.*D:"),
    "both": (
        {"writers": {"require": ["SqlServerWriter"], "exclude": [SQL]}},
        r"SqlServerWriter.*writers\.require.*writers\.exclude",
    ),
    "nobody speaks for it": ({"volumes": ["E:"]}, r"No writer .* speaks for E:.*allow_downgrade"),
    "letter in use": ({"expose": [{"volume": "D:", "path": "E:"}]}, r"E: .*in use"),
    "folder that is not there": ({"expose": [{"volume": "D:", "path": "C:\\mnt"}]}, r"C:\\mnt.*not there"),
    "path with a blank": ({"expose": [{"volume": "D:", "path": "C:\\a b"}]}, "blank"),
    "exposed but not in the set": ({"expose": [{"volume": "E:", "path": "P:"}]}, "not in the snapshot"),
    "name": ({"name": 'a"b'}, "name"),
    "age": ({"max_age": "tomorrow"}, "max_age"),
    "require with crash": (
        {"consistency": "crash", "writers": {"require": ["SqlServerWriter"]}},
        "consistency is crash",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_before_anything_is_created(windows, case):
    args, sentence = REFUSED[case]
    windows.volumes.append(volume("F", FileSystem="FAT32"))
    with pytest.raises(VssFailure, match=sentence):
        snapshot(windows.host, {**ARGS, **args}, False, said)
    assert windows.shadows == {}
    assert not [path for path in windows.folders if "\\runs\\" in path]


def test_a_failed_writer_is_refused_with_its_service(windows):
    windows.writers = listed("SqlServerWriter", SQL, 8, "Non-retryable error")
    with pytest.raises(VssFailure, match=r"SqlServerWriter.*Non-retryable.*SQLWriter"):
        snapshot(windows.host, {**ARGS, "writers": {"require": ["SqlServerWriter"]}}, False, said)


def test_a_user_without_rights_is_told_what_to_do(windows):
    windows.elevated = False
    with pytest.raises(VssFailure, match=r"sql01\\admin.*administrator.*LocalAccountTokenFilterPolicy"):
        snapshot(windows.host, ARGS, False, said)


def test_a_state_folder_that_others_can_write_is_not_trusted(windows):
    windows.folders.add("C:\\Windows\\umbra-vss")
    windows.sddl = "O:BAG:SYD:(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1301bf;;;AU)"
    with pytest.raises(VssFailure, match="AU"):
        snapshot(windows.host, ARGS, False, said)


FAILED_AT_FREEZE = """-> create
ERROR: Selected writer 'SqlServerWriter' is in failed state!
   - Status: 9 (VSS_WS_FAILED_AT_FREEZE)
   - Writer Failure code: 0x800423f4 (<Unknown error code>)
   - Writer ID: {a65faa63-5ea8-4ebc-9dbd-a0c4db26912a}
   - Instance ID: {220d2344-7fd4-4825-abaa-9837c9e16280}
"""


def test_a_writer_that_fails_is_named_and_nothing_stays(windows):
    windows.create = lambda script: (1, FAILED_AT_FREEZE)
    with pytest.raises(VssFailure, match=r"SqlServerWriter.*FAILED_AT_FREEZE.*0x800423F4.*SQLWriter") as failure:
        snapshot(windows.host, ARGS, False, said)
    assert failure.value.details["left_behind"] == []
    assert not [path for path in windows.folders if "\\runs\\" in path]
    assert windows.keys().count("create") == 1, "no application is frozen again without need"


IN_PROGRESS = "-> create\nThe last operation failed.\n\t- Returned HRESULT: 80042316\n"


def test_another_requestor_is_waited_for(windows, monkeypatch):
    calls = []

    def create(script):
        calls.append(script)
        return (1, IN_PROGRESS) if len(calls) < 3 else windows._creating(script)

    windows.create = create
    pauses = []
    monkeypatch.setattr("time.sleep", pauses.append)
    _no_waiting(monkeypatch, pauses)
    heard = []
    result = snapshot(windows.host, {**ARGS, "timeout": 600}, False, heard.append)
    assert result["changed"] is True
    assert len(calls) == 3
    assert len(pauses) == 2
    assert "Another shadow copy is being created" in heard[0]


def _no_waiting(monkeypatch, pauses):
    from ansible_collections.umbra.vss.plugins.plugin_utils._vss.run import Run

    monkeypatch.setattr(Run, "sleep", staticmethod(pauses.append), raising=False)
    original = Run.__init__

    def init(self, *args, **kwargs):
        original(self, *args, **kwargs)
        self.sleep = pauses.append

    monkeypatch.setattr(Run, "__init__", init)


def test_when_the_time_allowed_is_over_it_says_so(windows):
    windows.create = lambda script: (1, IN_PROGRESS)
    with pytest.raises(VssFailure, match=r"timeout of 0 s: another shadow copy.*80042316"):
        snapshot(windows.host, ARGS, False, said)


def test_an_exclusion_that_shows_up_late_is_no_silent_downgrade(windows):
    def create(script):
        code, text = windows._creating(script)
        return code, 'Excluding writer "SqlServerWriter", because all of its components have been excluded.\n' + text

    windows.create = create
    with pytest.raises(VssFailure, match="only be crash-consistent"):
        snapshot(windows.host, ARGS, False, said)
    assert windows.shadows == {}
    result = snapshot(windows.host, {**ARGS, "allow_downgrade": True}, False, said)
    assert result["consistency"] == "crash"


def test_exposures_are_reconciled_and_taken_back(windows):
    args = {**ARGS, "expose": [{"volume": "D:", "path": "P:"}]}
    result = snapshot(windows.host, args, False, said)
    assert result["snapshot_set"]["shadows"][0]["exposed_at"] == "P:"
    assert snapshot(windows.host, args, False, said)["changed"] is False
    link = {**ARGS, "expose": [{"volume": "D:", "path": "C:\\seen", "type": "link"}]}
    assert snapshot(windows.host, link, True, said)["changed"] is True
    assert snapshot(windows.host, link, False, said)["changed"] is True
    assert "C:\\seen" in windows.folders
    assert next(iter(windows.shadows.values()))["ExposedName"] is None
    assert snapshot(windows.host, link, False, said)["changed"] is False
    assert snapshot(windows.host, ARGS, False, said)["changed"] is False, "not asked for, not touched"
    snapshot(windows.host, {"name": "nightly", "state": "absent"}, False, said)
    assert "C:\\seen" not in windows.folders


def test_a_lost_answer_to_creating_is_looked_up_and_taken_back(windows):
    windows.lose = lambda statements: any(s.key == "create" for s in statements)
    with pytest.raises(VssFailure, match=r"connection to sql01 was lost"):
        snapshot(windows.host, ARGS, False, said)
    assert windows.reopened == 1
    assert windows.shadows == {}
    assert not [path for path in windows.folders if "\\runs\\" in path]


def test_an_interruption_leaves_nothing(windows):
    def interrupt(statements):
        if any(s.key == "create" for s in statements):
            raise KeyboardInterrupt
        return False

    windows.lose = interrupt
    with pytest.raises(KeyboardInterrupt):
        snapshot(windows.host, ARGS, False, said)
    assert windows.shadows == {}
    assert not [path for path in windows.folders if "\\runs\\" in path]


def test_two_controllers_at_once_make_one_snapshot(windows):
    """Somebody else is faster between our looking and our taking the lock: what he made is what we wanted."""
    others = []

    def meanwhile(statement):
        if not others:
            others.append(None)
            others[0] = snapshot(windows.host, {**ARGS, "name": "NIGHTLY"}, False, said)
        return windows._simulated(statement)

    windows.answers.append(("lease-0", meanwhile))
    result = snapshot(windows.host, ARGS, False, said)
    assert (others[0]["changed"], result["changed"]) == (True, False)
    assert result["record"] == others[0]["record"], "a name is one name in any case"
    assert len(windows.shadows) == 1
    assert len([path for path in windows.files if path.endswith("record.json")]) == 1
    assert windows.tasks == {}
