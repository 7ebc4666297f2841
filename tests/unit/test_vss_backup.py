# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup: snapshot, copy, proof, nothing left; and what happens when a step fails."""

from __future__ import annotations

import json
import re

import pytest
from ansible_collections.umbra.vss.plugins.plugin_utils import _verbs as verbs
from ansible_collections.umbra.vss.plugins.plugin_utils._pipeline import Result
from ansible_collections.umbra.vss.plugins.plugin_utils._vss import copying, frozen, verify
from ansible_collections.umbra.vss.plugins.plugin_utils._vss.backup import backup
from ansible_collections.umbra.vss.plugins.plugin_utils._vss.errors import VssFailure
from ansible_collections.umbra.vss.plugins.plugin_utils._vss.facts import Event
from ansible_collections.umbra.vss.plugins.plugin_utils._vss.owner import Owner
from ansible_collections.umbra.vss.plugins.plugin_utils._vss.paths import fold
from ansible_collections.umbra.vss.plugins.plugin_utils._vss.records import Record

from .vss_fake_host import NOW, VOLUME, FakeWindows, listing_table, ticks, volume

ARGS = {
    "sources": ["D:\\Bank"],
    "destination": "E:\\Backup",
    "verify": {"mode": "all"},
    "writers": {"require": ["SqlServerWriter"]},
    "timeout": 0,
}
TABLE = listing_table(2, 300)


def said(text: str) -> None:
    """Nobody listens."""


def hashed(statement):
    """Hashes of the files named, or of the two files in the one folder named."""
    paths = statement.commands[0].parameters["LiteralPath"]
    if statement.commands[0].name == "Get-ChildItem":
        paths = [f"{paths[0]}\\{name}" for name in "ab"]
    return [{"Path": path, "Hash": path[-1] * 8} for path in paths]


@pytest.fixture
def windows():
    found = FakeWindows()
    found.answers = [
        (r"there-\d+", [True]),
        (r"hash-(source|copy)-\d+@0", hashed),
        (r"log-\d+", TABLE),
    ]
    return found


def clean(windows):
    return not windows.shadows and not windows.tasks and not [f for f in windows.folders if "\\runs\\" in f]


def test_its_diff_is_what_the_destination_held_and_holds(windows):
    predicted = backup(windows.host, ARGS, True, said)["diff"]
    done = backup(windows.host, ARGS, False, said)["diff"]
    (place,) = done["after"]
    assert predicted["before"] == done["before"] == {place: None}
    assert [each["source"] for each in predicted["after"][place]["sources"]] == [
        each["source"] for each in done["after"][place]["sources"]
    ]
    assert (done["after"][place]["files"], done["after"][place]["complete"]) == (2, True)


def test_a_backup_copies_proves_and_leaves_nothing(windows):
    result = backup(windows.host, ARGS, False, said)
    assert (result["changed"], result["consistency"], result["files"], result["bytes"]) == (True, "application", 2, 300)
    assert result["verified"] == {"mode": "all", "files": 2, "bytes": 300, "mismatches": [], "mismatch_count": 0}
    assert result["sources"] == [{"source": "D:\\Bank", "copy": "E:\\Backup\\D\\Bank", "files": 2, "bytes": 300}]
    assert (result["copied_files"], result["left_behind"], result["recovered"]) == (2, [], [])
    for word in ("application", "2 files", "nothing left behind"):
        assert word in result["summary"]
    assert clean(windows)


def test_the_manifest_beside_the_copy_is_complete(windows):
    result = backup(windows.host, ARGS, False, said)
    manifest = json.loads(windows.files["E:\\Backup\\umbra-vss.json"])
    assert (manifest["complete"], manifest["run"], manifest["files"]) == (True, result["record"], 2)


def test_a_manifest_that_cannot_be_completed_is_a_failure_and_nothing_is_said_to_be_backed_up(windows):
    def full(statement):
        if statement.commands[0].name == "Set-Content" and '"complete": true' in str(statement.commands[0].parameters):
            return windows.failed(statement, "the disk is full")
        return windows._simulated(statement)

    windows.answers.insert(0, ("manifest", full))
    with pytest.raises(VssFailure, match="the disk is full"):
        backup(windows.host, ARGS, False, said)
    assert clean(windows)
    assert not [path for path in [*windows.files, *windows.folders] if path.startswith("E:\\Backup")]


def test_a_copy_whose_manifest_is_damaged_is_left_and_told(windows):
    def cut_off(statement):
        if statement.commands[0].name == "Set-Content" and '"complete": true' in str(statement.commands[0].parameters):
            windows.files["E:\\Backup\\umbra-vss.json"] = ""
            return windows.failed(statement, "the disk is full")
        return windows._simulated(statement)

    windows.answers.insert(0, ("manifest", cut_off))
    with pytest.raises(VssFailure, match=r"what was copied to E:\\Backup stays there.*by hand") as failure:
        backup(windows.host, ARGS, False, said)
    assert failure.value.details["left_behind"] == ["what was copied to E:\\Backup"]
    assert clean(windows)


@pytest.mark.parametrize("state", ["begun", "copying", "reverting"])
def test_who_has_begun_to_write_there_while_we_waited_is_found(windows, state):
    """He gives the lock back when he begins to copy; who only waits, as we did, is in nobody's way."""
    other = Record(
        run="f" * 32,
        action="backup",
        state=state,
        owner=Owner("elsewhere", "boot", "pid:[1]", 12, "99", "ada"),
        destination="e:\\backup" if state == "copying" else None,
        changes={"revert": {"volume": VOLUME["E"], "display": "E:\\", "shadow": "{1}", "since": None, "lost": []}},
        lease_until="2099-01-01T00:00:00.000Z",
    )
    windows.answers.insert(0, ("locked-records", ["\n".join(other.lines())]))
    if state == "begun":
        assert backup(windows.host, ARGS, False, said)["changed"]
    else:
        with pytest.raises(VssFailure, match=f"{other.run} of ada on elsewhere"):
            backup(windows.host, ARGS, False, said)
        assert not windows.shadows
        assert not [path for path in windows.folders if path.startswith("E:\\Backup")]
    assert clean(windows)


@pytest.mark.parametrize("mode", ["count", "sample", "all"])
def test_it_takes_eight_pipelines(windows, mode):
    result = backup(windows.host, {**ARGS, "verify": {"mode": mode}}, False, said)
    assert len(windows.said) == 8
    assert result["progress_readings"] == 1


def test_the_copy_goes_through_a_link_by_a_task_with_safe_arguments(windows):
    xml = {}
    windows.answers.insert(0, (r"task-1", lambda s: xml.update(text=s.commands[0].parameters["Xml"]) or []))
    windows.answers.insert(0, (r"info-1", [{"LastTaskResult": 1}]))
    backup(windows.host, ARGS, False, said)
    arguments = re.search("<Arguments>(.*)</Arguments>", xml["text"])[1]
    assert re.match(r"C:\\Windows\\umbra-vss\\runs\\[0-9a-f]{32}\\1\\Bank E:\\Backup\\D\\Bank /E /COPY:DAT", arguments)
    assert "/MIR" not in arguments
    assert '"' not in arguments


def test_a_second_backup_mirrors_into_its_own_folders(windows):
    backup(windows.host, ARGS, False, said)
    windows.folders.add("E:\\Backup\\D")
    seen = []
    windows.answers.insert(0, (r"task-1", lambda s: seen.append(s) or windows._simulated(s)))
    backup(windows.host, ARGS, False, said)
    assert "/MIR" in seen[0].commands[0].parameters["Xml"]


def test_check_mode_predicts_the_same_keys_and_changes_nothing(windows):
    predicted = backup(windows.host, ARGS, True, said)
    assert (windows.shadows, windows.files, windows.folders) == ({}, {}, set())
    done = backup(windows.host, ARGS, False, said)
    assert predicted.keys() == done.keys()
    for key in ("changed", "consistency", "consistency_reason", "engine"):
        assert predicted[key] == done[key]


def test_keep_snapshot_keeps_it_under_its_name(windows):
    result = backup(windows.host, {**ARGS, "keep_snapshot": True, "name": "kept"}, False, said)
    assert [s["id"] for s in result["snapshot_set"]["shadows"]] == list(windows.shadows)
    assert result["left_behind"] == []
    (record,) = [json.loads(text) for path, text in windows.files.items() if path.endswith("record.json")]
    assert (record["state"], record["name"], record["links"], record["tasks"]) == ("kept", "kept", [], [])


def test_a_snapshot_that_cannot_be_recorded_as_kept_is_not_said_to_be(windows):
    """The next run would take it for an interrupted one's, and remove it."""

    def full(statement):
        if '"complete": true' in windows.files.get("E:\\Backup\\umbra-vss.json", ""):
            return windows.failed(statement, "the disk is full")
        return windows._simulated(statement)

    windows.answers.insert(0, (r"(kept-)?record(-moved)?", full))
    with pytest.raises(VssFailure, match="the disk is full"):
        backup(windows.host, {**ARGS, "keep_snapshot": "kept"}, False, said)
    assert not windows.shadows


REFUSED = {
    "full": ({"type": "full"}, "full.*copy"),
    "no sources": ({"sources": []}, "sources is empty"),
    "source not there": ({"sources": ["D:\\Nowhere"]}, r"D:\\Nowhere.*not there on sql01"),
    "unknown volume": ({"sources": ["Q:\\Bank"]}, r"Q:\\Bank"),
    "relative": ({"sources": ["Bank"]}, "not a full path"),
    "overlap": ({"sources": ["D:\\", "D:\\Bank"]}, "overlap"),
    "same volume": ({"destination": "D:\\Backup"}, r"D:\\Backup.*another volume"),
    "share": ({"destination": "\\\\nas\\b"}, "share"),
    "mode": ({"verify": {"mode": "hope"}}, "hope"),
    "kept without a name": ({"keep_snapshot": True}, "name"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_before_anything_is_created(windows, case):
    args, sentence = REFUSED[case]
    windows.folders |= {"D:\\Bank"}
    with pytest.raises(VssFailure, match=sentence):
        backup(windows.host, {**ARGS, **args}, False, said)
    assert clean(windows)
    assert "create" not in list(windows.keys())


def test_somebody_elses_destination_is_not_touched(windows):
    windows.folders.add("E:\\Backup")
    windows.files["E:\\Backup\\precious.txt"] = "precious"
    with pytest.raises(VssFailure, match=r"E:\\Backup on sql01 holds something"):
        backup(windows.host, ARGS, False, said)
    assert windows.files["E:\\Backup\\precious.txt"] == "precious"


def test_what_goes_into_an_empty_folder_is_made_anew_and_closed_to_others(windows):
    windows.folders.add("E:\\Backup")
    backup(windows.host, ARGS, False, said)
    made = windows.statement("make-0").commands[0].parameters
    assert (made["Path"], made.get("Force")) == ("E:\\Backup\\D", None)
    assert windows.statement("make-0-acl").commands[0].arguments[:2] == ("E:\\Backup\\D", "/inheritance:r")


def test_an_earlier_backup_that_others_can_change_is_not_mirrored_into(windows):
    backup(windows.host, ARGS, False, said)
    windows.folders.add("E:\\Backup\\D")
    windows.answers.insert(0, (r"closed-0", [{"Sddl": "O:BAD:P(A;OICI;FA;;;SY)(A;OICI;0x1301bf;;;BU)"}]))
    with pytest.raises(VssFailure, match=r"E:\\Backup\\D on sql01.*can be changed by BU"):
        backup(windows.host, ARGS, False, said)
    assert clean(windows)


def test_a_folder_that_an_earlier_backup_lost_is_made_anew_and_closed(windows):
    backup(windows.host, ARGS, False, said)
    windows.said.clear()
    assert "E:\\Backup\\D" not in windows.folders  # nobody copied for real
    backup(windows.host, ARGS, False, said)
    assert windows.statement("make-0").commands[0].parameters["Path"] == "E:\\Backup\\D"
    assert windows.statement("make-0-acl").commands[0].arguments[0] == "E:\\Backup\\D"


def test_an_access_list_that_cannot_be_read_is_not_taken_for_a_good_one(windows):
    backup(windows.host, ARGS, False, said)
    windows.folders.add("E:\\Backup\\D")
    windows.answers.insert(0, (r"closed-0", []))
    with pytest.raises(VssFailure, match=r"E:\\Backup\\D on sql01.*can be changed by"):
        backup(windows.host, ARGS, False, said)
    assert clean(windows)


def test_a_link_in_the_place_of_a_copy_is_not_followed(windows):
    backup(windows.host, ARGS, False, said)
    link = {"Name": "D", "FullName": "E:\\Backup\\D", "Attributes": 0x410}
    windows.answers.insert(0, (r"destination-folders", [link]))
    with pytest.raises(VssFailure, match=r"E:\\Backup\\D on sql01 is a link"):
        backup(windows.host, ARGS, False, said)
    assert clean(windows)


def test_a_backup_of_other_sources_is_not_mirrored_over(windows):
    backup(windows.host, ARGS, False, said)
    windows.folders.add("D:\\Other")
    with pytest.raises(VssFailure, match="other sources"):
        backup(windows.host, {**ARGS, "sources": ["D:\\Other"]}, False, said)


def test_too_little_space_is_told_in_bytes(windows):
    windows.volumes = [volume("C"), volume("D"), volume("E", FreeSpace=299)]
    with pytest.raises(VssFailure, match=r"not enough space on E:.*300 bytes.*299 bytes"):
        backup(windows.host, ARGS, False, said)
    assert clean(windows)


def test_a_failed_copy_is_told_by_the_first_error_of_its_log(windows):
    windows.answers.insert(0, (r"info-1", [{"LastTaskResult": 9}]))
    log = [
        "2026/03/01 10:11:12 FEHLER 112 (0x00000070) Datei wird kopiert C:\\x\\1\\Bank\\a",
        "Es steht nicht genug Speicherplatz auf dem Datenträger zur Verfügung.",
    ]
    windows.answers.insert(0, (r"log-1", log))
    with pytest.raises(VssFailure, match=r"Bank\\a: the disk is full.*error 112 .Es steht nicht"):
        backup(windows.host, ARGS, False, said)
    assert clean(windows)
    assert "E:\\Backup" not in windows.folders, "what this run made goes with it"


def test_a_destination_that_cannot_be_written(windows):
    windows.answers.insert(0, (r"manifest", lambda s: FakeWindows.failed(s, "Access to the path is denied.")))
    with pytest.raises(VssFailure, match=r"E:\\Backup on sql01 cannot be written.*denied"):
        backup(windows.host, ARGS, False, said)
    assert clean(windows)


def test_a_copy_that_differs_is_a_failure(windows):
    def other(statement):
        return [{**told, "Hash": "other"} if told["Path"].endswith("b") else told for told in hashed(statement)]

    windows.answers.insert(0, (r"hash-copy-1@0", other))
    with pytest.raises(VssFailure, match=r"1 mismatches\): b differs") as failure:
        backup(windows.host, ARGS, False, said)
    assert failure.value.details["verified"]["mismatches"] == [{"source": "D:\\Bank", "path": "b", "what": "differs"}]
    assert clean(windows)


def test_a_shadow_copy_that_vanishes_is_explained_by_the_events(windows):
    def vanish(statement):
        windows.shadows.clear()
        return []

    windows.answers.insert(0, (r"there", vanish))
    gone = [{"TimeCreated": ticks(NOW), "Id": 25, "ProviderName": "volsnap", "Level": 2}]
    windows.answers.insert(0, (r"events", gone))
    with pytest.raises(VssFailure, match=r"vanished.*could not grow in time"):
        backup(windows.host, ARGS, False, said)
    assert clean(windows)


def test_a_lost_answer_to_the_start_of_copying_does_not_end_the_backup(windows):
    lost = []

    def lose(statements):
        if not lost and any(s.key == "start-1" for s in statements):
            lost.append(True)
            return True
        return False

    windows.lose = lose
    result = backup(windows.host, ARGS, False, said)
    assert any("connection" in warning for warning in result["warnings"])
    assert windows.keys().count("start-1") == 1, "what runs is not started again"
    assert clean(windows)


def test_watching_tells_how_far_it_is_and_ends_with_the_tasks(windows):
    codes = iter([267011, 267009, 267009, 1])
    windows.answers.insert(0, (r"info-1.*", lambda s: [{"LastTaskResult": next(codes)}]))
    windows.answers.insert(0, (r"tail-1.*", ["100%", "\t\tNew File\t\t42\tC:\\x\\1\\Bank\\ledger.db"]))
    heard = []
    result = backup(windows.host, ARGS, False, heard.append)
    assert result["progress_readings"] == 4
    assert any("ledger.db" in line and "D:\\Bank (2 files, 300 bytes)" in line for line in heard)


# ---- the parts
def test_frozen_seconds_come_from_pairs_of_events():
    def event(provider, number, second):
        return Event(NOW.replace(second=second), provider, number, 4, "Application", "")

    pair = [event("MSSQLSERVER", 3198, 9), event("MSSQLSERVER", 3197, 2), event("ESE", 2001, 1), event("VSS", 8224, 50)]
    assert frozen.seconds(pair, NOW) == 8.0
    assert frozen.seconds(pair, NOW.replace(second=2)) == 7.0, "an earlier freeze is somebody else's"
    assert frozen.seconds(pair[1:2], NOW) is None
    assert frozen.seconds([], NOW) is None


def test_a_sample_is_the_same_for_the_same_run():
    names = [f"folder\\{number}" for number in range(50)]
    first = verify.chosen(names, "run", 7)
    assert first == verify.chosen(list(reversed(names)), "run", 7)
    assert len(first) == 7
    assert first != verify.chosen(names, "another run", 7)


@pytest.mark.parametrize(
    ("code", "failed"), [(0, False), (1, False), (7, False), (8, True), (16, True), (-1073741510, True)]
)
def test_robocopys_exit_code_is_a_bit_mask(code, failed):
    job = copying.Job(1, None, "s", "t", "task", "log")
    assert bool(copying.failed(copying.Progress([job], [], {1: code}))) is failed


def test_copied_files_are_read_from_the_table_in_any_language():
    german = [
        line.replace("Files", "Dateien").replace("Dirs", "Verzeich.").replace("Total", "Insgesamt") for line in TABLE
    ]
    assert copying.file_counts(german) == (2, 0)
    assert copying.file_counts([]) is None


def test_a_failure_without_a_word_in_the_log_is_told_by_the_exit_code(windows):
    job = copying.Job(1, None, "s", "E:\\t", "task", "log")
    object.__setattr__(job, "place", type("P", (), {"path": "D:\\Bank"}))
    assert "exit code 16" in str(copying.why_failed(job, 16, [], "sql01"))


def test_what_windows_keeps_for_itself_at_a_root_is_neither_copied_nor_measured():
    class Whole:
        whole, path = True, "D:\\"

    job = copying.Job(1, Whole(), "C:\\l", "E:\\t", "task", "log")
    folders = ["System Volume Information", "$RECYCLE.BIN"]
    files = ["pagefile.sys", "hiberfil.sys", "swapfile.sys"]
    sides = ("C:\\l", "E:\\t")
    skipped = ["/XD", *(rf"{side}\{name}" for side in sides for name in folders)]
    skipped += ["/XF", *(rf"{side}\{name}" for side in sides for name in files)]
    assert job.arguments(mirror=False)[-len(skipped) :] == skipped
    assert list(verbs.tally("k", job.source, "n", job.skipped).commands[0].arguments[-len(skipped) :]) == skipped
    table = [
        "               Total    Copied   Skipped  Mismatch    FAILED    Extras",
        "    Dirs :         5         4         1         0         0         0",
        "   Files :        10         7         3         0         0         0",
        "   Bytes :      1000       400       600         0         0         0",
        "   Times :   0:00:00   0:00:00                       0:00:00   0:00:00",
    ]
    reply = {"measure-1": Result("measure-1", table, exit_code=1)}
    found = verify.measured(job, reply, "sql01")
    assert (found.files, found.bytes) == (7, 400)


def test_a_source_that_cannot_be_read_is_told_by_the_first_error(windows):
    text = "2026/03/01 12:00:00 ERROR 1392 (0x00000570) Scanning Source Directory C:\\l\\Bank\\broken\\"
    windows.answers.insert(
        0, (r"measure-1", lambda s: Result("measure-1", [text, "The file is corrupted."], [], 9, True))
    )
    with pytest.raises(VssFailure, match=r"Reading D:\\Bank on sql01.*broken.*is damaged, error 1392"):
        backup(windows.host, ARGS, False, said)
    assert clean(windows)


def test_paths_beyond_260_characters_are_asked_for_in_the_form_that_keeps_them():
    deep = "\\".join(["a" * 60] * 4)
    statements = verify._hashing("k", "E:\\copy", ["short.txt", f"{deep}\\file.txt"], ())
    asked = statements[0].commands[0].parameters["LiteralPath"]
    assert sorted(asked) == ["E:\\copy", f"\\\\?\\E:\\copy\\{deep}"]
    reply = {"k@0": Result("k@0", [{"Path": f"\\\\?\\E:\\copy\\{deep}\\file.txt", "Hash": "AB"}])}
    assert verify._hashes(reply, "k", "E:\\copy") == {fold(f"{deep}\\file.txt"): "AB"}


def test_names_that_are_two_for_windows_are_two():
    """A sharp s is no double s, and a blank that only Unicode knows is a part of a name."""
    names = ["stra\u00dfe.txt", "strasse.txt", "a.txt", "a.txt\u00a0"]
    lines = [f"\t{at}\tC:\\l\\1\\Bank\\{name}\r" for at, name in enumerate(names)]
    assert verify.listed(lines, "c:\\L\\1\\Bank") == {name: at for at, name in enumerate(names)}
    reply = {"k@0": Result("k@0", [{"Path": f"E:\\b\\{name}", "Hash": name} for name in names])}
    assert sorted(verify._hashes(reply, "k", "E:\\b").values()) == sorted(names)
