# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a declaration of snapshots can say: how many, of what kind, by whom, and who takes part."""

from __future__ import annotations

import pytest
from ansible_collections.umbra.vss.plugins.plugin_utils._vss.errors import VssFailure
from ansible_collections.umbra.vss.plugins.plugin_utils._vss.snapshots import snapshot

from .vss_fake_host import NOW, SQL, SYSTEM_METADATA, FakeWindows, listed, metadata, ticks
from .vss_snapshots import SYSTEM_PROVIDER, THEIR_SET, absent, aged, present, records, said, several


@pytest.fixture
def windows():
    return FakeWindows()


def script(windows):
    (text,) = [text for path, text in windows.files.items() if path.endswith("create.dsh")]
    return text.splitlines()


# ---- how many and how old
@pytest.mark.parametrize(
    ("retention", "stay"),
    [
        ({"count": 1}, []),
        ({"count": 3}, [1, 0]),
        ({"age": "36h"}, [1]),
        ({"count": 3, "age": "30h"}, [1]),
        ({"count": 9, "age": "9d"}, [2, 1, 0]),
    ],
)
def test_retention_keeps_the_newest_and_only_of_this_name(windows, retention, stay):
    (other,) = several(windows, 99, name="other")
    old = several(windows, 72, 24, 48)
    order = {0: old[2], 1: old[1], 2: old[0]}  # by age: 24, 48, 72 hours are 1, 0, 2
    result = present(windows, max_age="1h", retention=retention)
    assert result["changed"] is True
    assert set(records(windows)) == {other, result["record"], *(order[at] for at in stay)}
    assert {each["record"] for each in result["removed"]} == set(old) - {order[at] for at in stay}
    again = present(windows, max_age="1h", retention=retention)
    assert (again["changed"], again["removed"]) == (False, [])


def test_retention_that_became_smaller_is_kept_without_making_another_one(windows):
    several(windows, 30, 20)
    predicted = present(windows, check=True, retention={"count": 1})
    assert predicted["changed"] is True
    assert len(windows.shadows) == 2
    done = present(windows, retention={"count": 1})
    assert [each["record"] for each in done["removed"]] == [each["record"] for each in predicted["removed"]]
    assert len(windows.shadows) == 1
    assert "create" not in [key for said in windows.said[-6:] for key in (s.key for s in said)]


def test_retention_removes_nothing_when_making_one_failed(windows):
    several(windows, 30, 20)
    windows.create = lambda script: (1, "-> create\nThe last operation failed.\n\t- Returned HRESULT: 8004231f\n")
    with pytest.raises(VssFailure, match="0x8004231F"):
        present(windows, max_age="1h", retention={"count": 1})
    assert len(windows.shadows) == 2


def test_one_from_the_future_is_neither_young_nor_old(windows):
    """The host's clock was set back by two days."""
    (future,) = several(windows, -48)
    made = present(windows, max_age="4h", retention={"age": "1h"})
    assert made["changed"] is True
    assert set(records(windows)) == {future, made["record"]}
    assert present(windows, max_age="4h")["changed"] is False, "and it goes on like that only once"
    assert absent(windows, older_than="1s")["changed"] is False


def test_nonsense_about_retention_is_refused(windows):
    with pytest.raises(VssFailure, match="count 0"):
        present(windows, retention={"count": 0})
    with pytest.raises(VssFailure, match=r"retention\.age"):
        present(windows, retention={"age": "long"})


# ---- gone without us
def test_one_that_windows_has_deleted_is_made_again_and_its_remains_go(windows):
    first = present(windows, expose=[{"volume": "D:", "path": "C:\\seen", "type": "link"}])
    windows.shadows.clear()
    told = {"Id": 33, "ProviderName": "volsnap", "Level": 4, "LogName": "System", "Message": "... volume D: ..."}
    elsewhere = {**told, "Id": 25, "Message": "... volume E: ..."}
    moment = {"TimeCreated": ticks(NOW)}
    windows.answers.append(("lost", [{**told, **moment}, {**elsewhere, **moment}]))
    expose = {"expose": [{"volume": "D:", "path": "C:\\seen", "type": "link"}]}
    predicted = present(windows, check=True, **expose)
    assert predicted["changed"] is True
    assert first["record"] in records(windows)
    result = present(windows, **expose)
    assert result["changed"] is True
    assert set(records(windows)) == {result["record"]}
    assert [each["record"] for each in result["removed"]] == [first["record"]]
    (warning,) = [text for text in result["warnings"] if first["snapshot_set"]["created"] in text]
    assert "event 33" in warning
    assert "event 25" not in warning, "that was about another volume"
    assert result["snapshot_set"]["shadows"][0]["exposed_at"] == "C:\\seen"


def test_what_is_left_of_a_set_stays_until_it_is_told_to_go(windows):
    first = present(windows, volumes=["C:", "D:"], allow_downgrade=True)
    gone = first["snapshot_set"]["shadows"][0]["id"]
    del windows.shadows[gone]
    result = present(windows, volumes=["C:", "D:"], allow_downgrade=True)
    assert result["changed"] is True
    assert any("not whole any more" in text and "C:\\" in text for text in result["warnings"])
    assert first["snapshot_set"]["shadows"][1]["id"] in windows.shadows
    absent(windows, name="nightly")
    assert windows.shadows == {}


def test_one_that_is_there_is_shown_by_its_id_and_never_made_again(windows):
    made = present(windows)
    args = {"snapshot_set_id": made["snapshot_set"]["id"], "expose": [{"volume": "D:", "path": "P:"}], "timeout": 0}
    shown = snapshot(windows.host, args, False, said)
    assert (shown["changed"], shown["name"], shown["record"]) == (True, "nightly", made["record"])
    assert shown["snapshot_set"]["shadows"][0]["exposed_at"] == "P:"
    assert len(windows.shadows) == 1


# ---- what is shown moves to the newest
def test_what_shows_an_older_one_moves_to_the_new_one(windows):
    expose = [{"volume": "D:", "path": "P:"}, {"volume": "D:", "path": "C:\\seen", "type": "link"}]
    first = present(windows, expose=expose)
    aged(windows, first["record"], 24)
    assert present(windows, check=True, expose=expose, max_age="1h")["changed"] is True
    second = present(windows, expose=expose, max_age="1h")
    old, new = (made["snapshot_set"]["shadows"][0]["id"] for made in (first, second))
    assert windows.shadows[old]["ExposedName"] is None
    assert windows.shadows[new]["ExposedName"] == "P:\\"
    assert second["snapshot_set"]["shadows"][0]["exposed_at"] == "P:"
    kept = records(windows)
    assert (kept[first["record"]]["links"], kept[second["record"]]["links"]) == ([], ["C:\\seen"])
    assert present(windows, expose=expose, max_age="1h")["changed"] is False


def test_an_empty_list_takes_everything_back(windows):
    present(windows, expose=[{"volume": "D:", "path": "P:"}])
    assert present(windows, expose=[])["changed"] is True
    assert next(iter(windows.shadows.values()))["ExposedName"] is None
    assert present(windows, expose=[])["changed"] is False


def test_another_description_is_written_into_the_record_and_nothing_else(windows):
    first = present(windows, description="before the update")
    assert present(windows, check=True, description="after it")["changed"] is True
    result = present(windows, description="after it")
    assert (result["changed"], result["record"]) == (True, first["record"])
    assert [record["description"] for record in records(windows).values()] == ["after it"]
    assert present(windows, description="after it")["changed"] is False
    assert present(windows)["description"] == "after it", "what is not said is not changed"
    assert len(windows.shadows) == 1


def test_a_description_that_cannot_be_written_is_no_change(windows):
    present(windows, description="before the update")
    windows.answers.insert(0, ("kept-record(-moved)?", lambda s: windows.failed(s, "the disk is full")))
    with pytest.raises(VssFailure, match="the disk is full"):
        present(windows, description="after it")
    assert [record["description"] for record in records(windows).values()] == ["before the update"]
    assert len(windows.shadows) == 1


def test_another_description_is_there_before_it_is_somebody_elses_turn(windows):
    present(windows, description="before the update")
    windows.said.clear()
    present(windows, description="after it")
    keys = windows.keys()
    assert keys.index("kept-record-moved") < keys.index("lock-file-0")


# ---- kinds, providers, types of backup
def test_client_accessible_copies_are_made_without_writers_and_said_to_be_so(windows):
    with pytest.raises(VssFailure, match="client-accessible shadow copies are made without them"):
        present(windows, kind="client_accessible")
    result = present(windows, kind="client_accessible", allow_downgrade=True)
    assert (result["kind"], result["consistency"]) == ("client_accessible", "crash")
    assert "set context clientaccessible" in script(windows)
    assert present(windows, consistency="crash", kind="persistent")["changed"] is True, "that is another kind"


@pytest.mark.parametrize("expose", [{"path": "P:"}, {"type": "share", "share": "s", "access": {"read": ["Users"]}}])
def test_client_accessible_copies_are_exposed_by_links_only(windows, expose):
    wish = {"kind": "client_accessible", "consistency": "crash", "expose": [{"volume": "D:", **expose}]}
    with pytest.raises(VssFailure, match=r"client-accessible.*use type link"):
        present(windows, **wish)
    assert windows.shadows == {}


def many(windows, count, **more):
    for number in range(count):
        windows.shadow(f"{{{number:08}-0000-0000-0000-000000000000}}", "D", SetID=THEIR_SET, **more)


def test_the_64th_client_accessible_copy_would_cost_the_oldest(windows):
    many(windows, 62, ClientAccessible=True)
    args = {"kind": "client_accessible", "consistency": "crash"}
    made = present(windows, **args)
    next(s for i, s in windows.shadows.items() if i == made["snapshot_set"]["shadows"][0]["id"])["ClientAccessible"] = (
        True
    )
    assert present(windows, **args)["changed"] is False, "what is there is there"
    with pytest.raises(VssFailure, match=r"D:\\ on sql01 has 63 client-accessible"):
        present(windows, name="another", **args)
    assert present(windows, name="another", consistency="crash")["changed"] is True, "a persistent one has room"


def test_the_513th_copy_is_refused_and_the_512th_is_there(windows):
    many(windows, 511)
    made = present(windows)
    assert made["changed"] is True
    assert present(windows)["changed"] is False
    with pytest.raises(VssFailure, match=r"has 512 shadow copies.*at most 512"):
        present(windows, max_age=0)
    assert len(windows.shadows) == 512


PROVIDERS = [
    {"ID": SYSTEM_PROVIDER, "Name": "Microsoft Software Shadow Copy provider 1.0", "Type": 1},
    {"ID": "{12345678-0000-0000-0000-000000000001}", "Name": "Array 9000", "Type": 3},
]


def test_a_provider_is_chosen_by_its_name(windows):
    windows.answers.append(("providers", PROVIDERS))
    many(windows, 512)
    result = present(windows, provider="array 9000")
    assert result["provider"] == "{12345678-0000-0000-0000-000000000001}"
    assert any("provider {12345678-0000-0000-0000-000000000001} alias" in line for line in script(windows))
    assert present(windows, provider="{12345678-0000-0000-0000-000000000001}")["changed"] is False
    with pytest.raises(VssFailure, match="has 513 shadow copies"):
        present(windows, provider=SYSTEM_PROVIDER)


@pytest.mark.parametrize(
    ("wish", "sentence"),
    [
        ({"provider": "Tape"}, r"no shadow copy provider Tape on sql01: it has Microsoft .*, Array 9000"),
        ({"provider": "Array 9000", "kind": "client_accessible", "consistency": "crash"}, "only the system's"),
        ({"provider": "Array 9000", "engine": "cim", "consistency": "crash"}, "Only diskshadow"),
        ({"kind": "persistent", "engine": "cim", "consistency": "crash"}, "client-accessible shadow copies only"),
        ({"backup_type": "full", "consistency": "crash"}, "no writer would be involved"),
        ({"backup_type": "full", "allow_downgrade": True}, "allow_downgrade"),
    ],
)
def test_what_cannot_go_together_is_refused(windows, wish, sentence):
    windows.answers.append(("providers", PROVIDERS))
    with pytest.raises(VssFailure, match=sentence):
        present(windows, **wish)
    assert windows.shadows == {}


def test_a_full_backup_is_told_to_the_applications_and_a_copy_is_not_one(windows):
    assert present(windows)["backup_type"] == "copy"
    full = present(windows, backup_type="full")
    assert (full["changed"], full["backup_type"]) == (True, "full")
    assert present(windows, backup_type="full")["changed"] is False
    scripts = [text for path, text in windows.files.items() if path.endswith("create.dsh")]
    assert sorted("end backup" in text for text in scripts) == [False, True]
    absent(windows, name="nightly")
    assert present(windows, backup_type="full")["changed"] is True
    assert present(windows)["changed"] is False, "a full backup is one more than a copy"


def test_a_full_backup_that_cannot_be_shown_is_kept(windows):
    """The applications were told of it, and may have thrown their logs away."""
    windows.answers.append(("expose", lambda statement: windows.failed(statement, "gone")))
    with pytest.raises(VssFailure):
        present(windows, backup_type="full", expose=[{"volume": "D:", "path": "P:"}])
    assert [record["state"] for record in records(windows).values()] == ["kept"]
    assert len(windows.shadows) == 1


SPANNING = metadata("SqlServerWriter", SQL, ("\\SQL\\Bank", "D:\\Bank", "D"), ("\\SQL\\Old", "E:\\Old", "DE"))


def test_a_full_backup_of_half_a_writer_is_refused(windows):
    windows.metadata = SYSTEM_METADATA + SPANNING
    with pytest.raises(VssFailure, match=r"full backup of the writer SqlServerWriter.*\\SQL\\Old"):
        present(windows, backup_type="full")
    assert windows.keys().count("create") == 0


# ---- writers
def test_what_is_left_out_is_told_with_its_reason_also_in_check_mode(windows):
    windows.metadata = SYSTEM_METADATA + SPANNING
    for check in (True, False):
        result = present(windows, check=check)
        told = {(each["writer"], each["component"]): each for each in result["left_out"]}
        assert told["System Writer", None]["because"] == "it needs C:\\, which the snapshot does not hold"
        assert told["SqlServerWriter", "\\SQL\\Old"]["volumes"] == ["E:\\"]
        assert ("SqlServerWriter", None) not in told
        assert any("\\SQL\\Old" in text and "also needs E:\\" in text for text in result["warnings"])


def test_a_component_that_spans_volumes_fails_when_its_writer_is_required(windows):
    windows.metadata = SYSTEM_METADATA + SPANNING
    with pytest.raises(VssFailure, match=r"\\SQL\\Old.*also needs E:\\"):
        present(windows, writers={"require": ["SqlServerWriter"]})


@pytest.mark.parametrize(("state", "fails"), [(1, False), (5, False), (3, True), (9, True)])
def test_every_writer_that_takes_part_must_be_stable_if_told_so(windows, state, fails):
    other = "{11111111-0000-0000-0000-000000000000}"
    windows.metadata += metadata("Other Writer", other, ("\\Other", "D:\\Other", "D"))
    windows.writers += listed("Other Writer", other, state, "Timed out" if state == 9 else "No error")
    wish = {"require": ["SqlServerWriter"], "must_be_stable": True}
    if fails:
        with pytest.raises(VssFailure, match="Other Writer"):
            present(windows, writers=wish)
        assert windows.keys().count("create") == 0
        assert present(windows, writers={**wish, "exclude": ["Other Writer"]})["changed"] is True
    else:
        assert present(windows, writers=wish)["changed"] is True
    windows.shadows.clear()


# ---- volumes, and others at work
def test_all_volumes_less_some(windows):
    result = present(windows, volumes=["all"], exclude_volumes=["e:\\", "Q:"], allow_downgrade=True)
    assert [shadow["volume"] for shadow in result["snapshot_set"]["shadows"]] == ["C:\\", "D:\\"]


IN_PROGRESS = "-> create\nThe last operation failed.\n\t- Returned HRESULT: 80042316\n"


def test_who_is_at_work_is_reported_instead_of_failing_if_told_so(windows):
    windows.create = lambda script: (1, IN_PROGRESS)
    windows.answers.append(("requestors", [{"Name": "wbengine.exe", "ProcessId": 4711}]))
    with pytest.raises(VssFailure, match=r"by wbengine\.exe \(process 4711\)"):
        present(windows, on_busy={"wait": "0s", "report": False}, timeout=600)
    result = present(windows, on_busy={"wait": "0s", "report": True}, timeout=600)
    assert (result["changed"], result["busy"]) == (False, "wbengine.exe (process 4711)")
    assert windows.shadows == {}
    with pytest.raises(VssFailure, match="no volume Q:"):
        present(windows, volumes=["Q:"], on_busy={"report": True})
