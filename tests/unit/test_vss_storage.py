# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Storage areas: made, sized, moved, removed; what would cost shadow copies; readings; trouble in between."""

from __future__ import annotations

import json
import re

import pytest
from ansible_collections.umbra.vss.plugins.plugin_utils import _areas
from ansible_collections.umbra.vss.plugins.plugin_utils._pipeline import CommandFailed, HostError, Result, Unsendable
from ansible_collections.umbra.vss.plugins.plugin_utils._vss import steps
from ansible_collections.umbra.vss.plugins.plugin_utils._vss.errors import VssFailure
from ansible_collections.umbra.vss.plugins.plugin_utils._vss.inventory import info
from ansible_collections.umbra.vss.plugins.plugin_utils._vss.model import StorageArea, Volume
from ansible_collections.umbra.vss.plugins.plugin_utils._vss.records import Record, read
from ansible_collections.umbra.vss.plugins.plugin_utils._vss.recovery import cleanup
from ansible_collections.umbra.vss.plugins.plugin_utils._vss.storage import storage
from ansible_collections.umbra.vss.plugins.plugin_utils._vss.storage_plan import size, told
from ansible_collections.umbra.vss.plugins.plugin_utils._vss.undo import Leftover, programs
from hypothesis import given
from hypothesis import strategies as st

from .vss_fake_host import NOW, VOLUME, FakeWindows, ticks, volume

GIB = 2**30
MIB = 2**20
ONE = "{11111111-0000-0000-0000-000000000000}"
TWO = "{22222222-0000-0000-0000-000000000000}"
STATE = "C:\\Windows\\umbra-vss"


class StorageWindows(FakeWindows):
    """A host that has storage areas, and deletes shadow copies that do not fit any more.

    held: bytes that each shadow copy keeps; refuse: a ReturnValue of Create.
    """

    def __init__(self) -> None:
        super().__init__()
        self.volumes = [volume(letter, Capacity=100 * GIB, FreeSpace=50 * GIB) for letter in "CDE"]
        self.areas: dict[str, tuple[str, int]] = {}
        self.held = GIB
        self.refuse = 0
        self.answers = [
            ("area-create|area-back.*", self._create_area),
            ("area-resize", self._resize_area),
            ("area-remove", self._remove_area),
            ("storage|areas|areas-after|left-areas", lambda statement: self.told()),
        ]

    def told(self):
        return [
            {
                "Volume": {"DeviceID": volume},
                "DiffVolume": {"DeviceID": on},
                "UsedSpace": self.held * self.copies(volume),
                "AllocatedSpace": self.held * self.copies(volume),
                "MaxSpace": maximum,
            }
            for volume, (on, maximum) in self.areas.items()
        ]

    def copies(self, volume):
        return sum(s["VolumeName"] == volume and "ProviderID" not in s for s in self.shadows.values())

    def area(self, letter="D", on="D", maximum=10 * GIB):
        self.areas[VOLUME[letter]] = (VOLUME[on], maximum)

    def _create_area(self, statement):
        wanted = statement.commands[0].parameters["Arguments"]
        if self.refuse and statement.key == "area-create":
            return [{"ReturnValue": self.refuse}]
        if wanted["Volume"] in self.areas:
            return [{"ReturnValue": 5}]
        self.areas[wanted["Volume"]] = (wanted["DiffVolume"], wanted["MaxSpace"])
        return [{"ReturnValue": 0}]

    def _found(self, statement):
        of, on = (command.parameters["Value"].strip("*") for command in statement.commands[1:3])
        return [name for name, area in self.areas.items() if of in name and on in area[0]]

    def _resize_area(self, statement):
        for name in self._found(statement):
            maximum = statement.commands[3].parameters["Property"]["MaxSpace"]
            self.areas[name] = (self.areas[name][0], maximum)
            while self.held * self.copies(name) > maximum:
                del self.shadows[min(self.shadows, key=lambda each: self.shadows[each]["InstallDate"])]
        return []

    def _remove_area(self, statement):
        for name in self._found(statement):
            if self.copies(name):
                return Result(
                    statement.key, [], [HostError("Der Vorgang wird nicht unterstützt.", "HRESULT")], None, False
                )
            del self.areas[name]
        return []


def said(text: str) -> None:
    """Nobody listens."""


def run(windows, check=False, **options):
    return storage(windows.host, {"volume": "D:", "state": "present", **options}, check, said)


@pytest.fixture
def windows():
    return StorageWindows()


def two_copies(windows):
    for hour, identity in enumerate((ONE, TWO)):
        windows.shadow(identity, "D", InstallDate=ticks(NOW.replace(hour=hour)))


# ---- declared, and there
def test_an_area_is_made_once(windows):
    predicted = run(windows, check=True, max_size="4GB", placement="E:")
    assert windows.areas == {}
    done = run(windows, max_size="4GB", placement="E:")
    assert windows.areas == {VOLUME["D"]: (VOLUME["E"], 4 * GIB)}
    assert predicted["changed"] is done["changed"] is True
    assert predicted["diff"] == done["diff"]
    assert predicted["storage"] == done["storage"]
    assert (done["storage"]["volume"], done["storage"]["placement"]) == ("D:\\", "E:\\")
    assert done["left_behind"] == []
    windows.said.clear()
    again = run(windows, max_size="4GB", placement="E:")
    assert again["changed"] is False
    assert again["diff"]["before"] == again["diff"]["after"]
    assert len(windows.said) == 2, "one that reads and one that keeps the reading"


def test_what_is_not_said_stays(windows):
    windows.area(on="E", maximum=7 * GIB)
    assert run(windows)["changed"] is False
    assert windows.areas == {VOLUME["D"]: (VOLUME["E"], 7 * GIB)}


def test_a_new_one_is_on_its_volume_and_unbounded(windows):
    made = run(windows)
    assert windows.areas == {VOLUME["D"]: (VOLUME["D"], 2**64 - 1)}
    assert (made["storage"]["maximum"], made["storage"]["unbounded"]) == (None, True)
    assert run(windows)["changed"] is False
    assert run(windows, max_size="unbounded")["changed"] is False


def test_percent_are_of_the_volume_that_holds_it(windows):
    windows.volumes[2]["Capacity"] = 200 * GIB
    run(windows, placement="E:", max_size="10%")
    assert windows.areas[VOLUME["D"]] == (VOLUME["E"], 20 * GIB)
    assert run(windows, placement="E:", max_size="10 %")["changed"] is False
    assert run(windows, max_size="10%")["changed"] is False, "wherever it is"


def test_sizes_that_windows_rounds_are_the_same(windows):
    windows.area(maximum=10 * GIB - 4096)
    assert run(windows, max_size="10GB")["changed"] is False


def test_resized_and_removed(windows):
    windows.area()
    grown = run(windows, max_size="20GB")
    assert (grown["diff"]["before"]["storage"]["maximum"], grown["diff"]["after"]["storage"]["maximum"]) == (
        10 * GIB,
        20 * GIB,
    )
    assert run(windows, check=True, state="absent")["changed"] is True
    assert windows.areas
    gone = run(windows, state="absent")
    assert (gone["changed"], gone["storage"]) == (True, None)
    assert windows.areas == {}
    assert run(windows, state="absent")["changed"] is False


def test_absent_elsewhere_is_absent(windows):
    windows.area(on="E")
    assert run(windows, state="absent", placement="D:")["changed"] is False
    assert windows.areas


def test_moved_when_there_are_no_copies(windows):
    windows.area()
    assert run(windows, placement="E:")["changed"] is True
    assert windows.areas == {VOLUME["D"]: (VOLUME["E"], 10 * GIB)}
    assert windows.keys().count("area-back-0") == 0, "there is nothing to put back when it is done"


def test_every_statement_of_a_change_is_in_the_table(windows):
    windows.area()
    windows.said.clear()
    run(windows, placement="E:", max_size="5GB")
    run(windows, max_size="6GB")
    run(windows, state="absent")
    begun = False
    for keys in ([statement.key for statement in statements] for statements in windows.said):
        begun = begun or "lock" in keys
        if "os" in keys:  # what an action asks first
            begun = False
        if begun:
            unknown = [key for key in keys if not steps.harmless(key) and steps.step_of("storage", key) is None]
            assert unknown == []


# ---- what would cost shadow copies
def test_shrinking_below_what_is_in_use_names_the_copies(windows):
    windows.area()
    two_copies(windows)
    with pytest.raises(VssFailure) as refused:
        run(windows, max_size="1GB")
    sentence = str(refused.value)
    assert sentence.index(ONE) < sentence.index(TWO), "the oldest first"
    assert "D:\\" in sentence
    assert "not ours" in sentence
    assert "accept_eviction" in sentence
    assert [copy["id"] for copy in refused.value.details["at_risk"]] == [ONE, TWO]
    with pytest.raises(VssFailure):
        run(windows, check=True, max_size="1GB")
    assert list(windows.shadows) == [ONE, TWO]
    assert windows.areas[VOLUME["D"]][1] == 10 * GIB


def test_shrinking_that_is_accepted_tells_what_went(windows):
    windows.area()
    two_copies(windows)
    predicted = run(windows, check=True, max_size="1GB", accept_eviction=True)
    done = run(windows, max_size="1GB", accept_eviction=True)
    assert list(windows.shadows) == [TWO]
    assert [copy["id"] for copy in done["evicted"]] == [ONE]
    assert {copy["id"] for copy in predicted["evicted"]} == {ONE, TWO}, "which, Windows tells only by doing it"


def test_shrinking_to_what_fits_costs_nothing(windows):
    windows.area()
    two_copies(windows)
    done = run(windows, max_size="2GB")
    assert (done["changed"], done["evicted"], len(windows.shadows)) == (True, [], 2)


@pytest.mark.parametrize("options", [{"placement": "E:"}, {"state": "absent"}])
def test_moving_and_removing_need_a_volume_without_copies(windows, options):
    windows.area()
    two_copies(windows)
    with pytest.raises(VssFailure, match=re.escape(ONE)):
        run(windows, **options)
    assert not {"area-remove", "lock"} & {*windows.keys()}


def test_a_copy_of_our_own_is_called_by_its_name(windows):
    windows.area()
    windows.shadow(ONE, "D")
    folder = f"{STATE}\\runs\\{'b' * 32}"
    record = {
        "run": "b" * 32, "schema": 1, "action": "snapshot", "name": "nightly", "state": "kept", "revision": 3,
        "shadows": [{"id": ONE, "volume": VOLUME["D"]}],
    }  # fmt: skip
    windows.files[f"{folder}\\record.json"] = json.dumps(record)
    with pytest.raises(VssFailure, match="of the snapshot nightly"):
        run(windows, state="absent")


def test_copies_of_other_providers_are_in_nobodys_way(windows):
    windows.area()
    windows.shadow(ONE, "D", ProviderID="{99999999-9999-9999-9999-999999999999}")
    assert run(windows, state="absent")["changed"] is True


def test_many_copies_are_counted(windows):
    windows.area()
    windows.held = MIB
    for number in range(25):
        windows.shadow(f"{{{number:08}-0000-0000-0000-000000000000}}", "D")
    with pytest.raises(VssFailure, match="and 15 more") as refused:
        run(windows, state="absent")
    assert len(refused.value.details["at_risk"]) == 25


# ---- what cannot be
@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"max_size": "100MB"}, "320 MiB or more"),
        ({"max_size": "0"}, "is not a size"),
        ({"max_size": "101%"}, "is not a size"),
        ({"max_size": "-5GB"}, "is not a size"),
        ({"max_size": "lots"}, "is not a size"),
        ({"max_size": "9EB"}, "is not a size"),
        ({"volume": "Q:"}, "no volume Q:"),
        ({"volume": "all"}, "cannot be used"),
        ({"volume": "D:\\Bank"}, "no volume"),
        ({"placement": "\\\\nas\\share"}, "cannot be used"),
        ({"placement": "R:"}, "only local NTFS volumes"),
        ({"placement": "U:"}, "only local NTFS volumes"),
        ({"volume": "U:"}, "not a local fixed disk"),
    ],
)
def test_refused_before_anything_is_changed(windows, options, match):
    windows.volumes += [
        volume("F", DriveLetter="R:", FileSystem="ReFS"),
        volume("F", DriveLetter="U:", DriveType=2, DeviceID=VOLUME["F"].replace("4", "5", 1)),
    ]
    with pytest.raises(VssFailure, match=match):
        run(windows, **options)
    assert windows.files == {}
    assert windows.areas == {}


def test_a_small_volume_may_have_a_small_area(windows):
    windows.volumes[1]["Capacity"] = 400 * MIB
    assert run(windows, max_size="32MB")["changed"] is True
    with pytest.raises(VssFailure, match="32 MiB or more"):
        run(windows, max_size="31MB")


def test_windows_own_reason_is_told_and_nothing_is_left(windows):
    windows.refuse = 4
    with pytest.raises(VssFailure, match="local NTFS volumes only") as failed:
        run(windows)
    assert failed.value.details["left_behind"] == []
    assert not any("\\runs\\" in name for name in windows.files)
    assert windows.tasks == {}


def test_a_change_that_windows_passes_over_in_silence_is_a_failure(windows):
    windows.area()
    windows.answers.insert(0, ("area-resize", []))
    with pytest.raises(VssFailure, match="could not be resized"):
        run(windows, max_size="20GB")


def test_without_rights(windows):
    windows.elevated = False
    with pytest.raises(VssFailure, match="administrator"):
        run(windows)


def test_a_state_folder_that_others_can_write(windows):
    windows.folders.add(STATE)
    windows.sddl = "O:BAG:SYD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;;FA;;;BU)"
    with pytest.raises(VssFailure, match="can be written"):
        run(windows)


# ---- trouble
def test_a_move_that_fails_in_the_middle_is_put_back(windows):
    windows.area(maximum=3 * GIB)
    windows.refuse = 11
    with pytest.raises(VssFailure, match="no room"):
        run(windows, placement="E:")
    assert windows.areas == {VOLUME["D"]: (VOLUME["D"], 3 * GIB)}


def losing(windows, key):
    """The answer to the pipeline that holds this key is lost, once."""
    fired = []

    def lose(statements):
        hit = not fired and any(statement.key == key for statement in statements)
        fired.extend([key] if hit else [])
        return hit

    windows.lose = lose


@pytest.mark.parametrize("key", ["area-create", "area-resize"])
def test_an_answer_that_is_lost_is_looked_up(windows, key):
    if key == "area-resize":
        windows.area()
    losing(windows, key)
    done = run(windows, max_size="20GB")
    assert (done["changed"], windows.reopened) == (True, 1)
    assert windows.keys().count(key) == 1, "a change is never sent twice"
    assert any("was lost" in warning for warning in done["warnings"])
    assert windows.areas[VOLUME["D"]][1] == 20 * GIB


def test_a_change_that_was_lost_on_its_way_is_a_failure(windows):
    losing(windows, "area-create")
    windows.answers.insert(0, ("area-create", []))
    with pytest.raises(VssFailure, match="could not be made"):
        run(windows)


def died(windows, options):
    """The controller dies when the area was taken away and not made again."""

    class Died(BaseException):
        pass

    def dies(*_):
        raise Died

    windows.answers.insert(0, ("area-create", dies))
    windows.reopen = lambda: windows.answers.insert(0, (".*", dies))  # the process is gone: it cleans nothing up
    with pytest.raises(Died):
        run(windows, **options)
    del windows.answers[:2], windows.reopen


def test_what_a_dead_run_took_away_is_put_back_by_the_next(windows):
    windows.area(maximum=3 * GIB)
    died(windows, {"placement": "E:"})
    assert windows.areas == {}
    for path, text in windows.files.items():
        if path.endswith(".json"):  # the record and the lock: the process in both is gone
            windows.files[path] = json.dumps(
                {**json.loads(text), "owner": {**json.loads(text)["owner"], "started": "0"}}
            )
    again = cleanup(windows.host, {}, False, said)
    assert [each["action"] for each in again["removed"]] == ["storage"]
    assert windows.areas == {VOLUME["D"]: (VOLUME["D"], 3 * GIB)}
    assert not any(name.endswith("record.json") for name in windows.files)


def test_the_lease_puts_it_back_by_a_program(windows):
    windows.area(maximum=3 * GIB)
    died(windows, {"placement": "E:"})
    (path,) = [name for name in windows.files if name.endswith("record.json")]
    record = read(windows.files[path])
    assert Leftover(record).area == StorageArea(VOLUME["D"], VOLUME["D"], 0, 0, 3 * GIB)
    words = [arguments for program, arguments in programs(record, "C:\\Windows") if program == "vssadmin"]
    assert words == [
        ("add", "shadowstorage", f"/for={VOLUME['D']}", f"/on={VOLUME['D']}", f"/maxsize={3 * GIB}B"),
    ]


def test_a_planted_record_puts_nothing_else_back():
    for planted in (None, "x", {}, {"volume": "D:", "on": "D:", "maximum": 1}, {"volume": 1, "on": 2, "maximum": "x"}):
        assert Leftover(Record(run="a" * 32, action="storage", changes={"storage": planted})).area is None


def test_somebody_else_was_faster(windows):
    """While this one waited for the lock, another one made the area: nothing is left to do."""
    taken = []

    def meanwhile(statement):
        if not taken:
            taken.append(1)
            windows.area(maximum=4 * GIB)
        return windows.told()

    windows.answers.insert(0, ("areas", meanwhile))
    done = run(windows, max_size="4GB")
    assert done["changed"] is False
    assert windows.keys().count("area-create") == 0
    assert not any("\\runs\\" in name for name in windows.files)


# ---- readings
LAST = {"at": "2026-03-01T11:00:00.000Z", "on_volume": VOLUME["D"], "used": 1, "allocated": 1}


def reading(windows):
    return json.loads(windows.files[f"{STATE}\\storage.json"])


def test_growth_since_the_last_reading(windows):
    windows.area()
    assert run(windows)["storage"]["growth"] is None
    windows.shadow(ONE, "D")
    predicted = run(windows, check=True)["storage"]["growth"]
    grown = run(windows)["storage"]["growth"]
    assert predicted == grown == {"since": "2026-03-01T12:00:00.000Z", "used": GIB, "allocated": GIB}
    assert run(windows)["storage"]["growth"]["used"] == 0


def test_readings_of_other_volumes_are_kept(windows):
    windows.area()
    windows.area("E", "E")
    run(windows)
    storage(windows.host, {"volume": "E:"}, False, said)
    assert set(reading(windows)["readings"]) == {VOLUME["D"], VOLUME["E"]}
    run(windows, state="absent")
    assert set(reading(windows)["readings"]) == {VOLUME["E"]}


def test_a_reading_at_another_place_is_not_compared(windows):
    windows.area()
    run(windows)
    run(windows, placement="E:")
    windows.shadow(ONE, "D")
    assert run(windows)["storage"]["growth"]["used"] == GIB, "since it was moved"
    assert reading(windows)["readings"][VOLUME["D"]]["on_volume"] == VOLUME["E"]


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "null",
        '{"schema": 2, "readings": {}}',
        '{"schema": 1}',
        '{"schema": 1, "readings": {"D:": {}}}',
        json.dumps({"schema": 1, "readings": {VOLUME["D"]: [1]}}),
        json.dumps({"schema": 1, "readings": {VOLUME["D"]: {**LAST, "at": "soon"}}}),
        json.dumps({"schema": 1, "readings": {VOLUME["D"]: {**LAST, "used": "much"}}}),
    ],
)
def test_damaged_readings_are_told_and_begun_anew(windows, text):
    windows.area()
    windows.folders.add(STATE)
    windows.files[f"{STATE}\\storage.json"] = text
    found = run(windows)
    assert found["storage"]["growth"] is None
    assert any("begun anew" in warning for warning in found["warnings"])
    assert VOLUME["D"] in reading(windows)["readings"]
    assert run(windows)["warnings"] == []


@given(st.text())
def test_readings_of_any_text_are_read_without_a_fault(text):
    windows = StorageWindows()
    windows.area()
    windows.folders.add(STATE)
    windows.files[f"{STATE}\\storage.json"] = text
    assert run(windows, check=True)["storage"]["growth"] is None


def test_check_mode_keeps_no_reading(windows):
    windows.area()
    run(windows, check=True)
    assert windows.files == {}


def test_a_reading_that_cannot_be_kept_is_a_warning(windows):
    windows.area()
    windows.answers.insert(0, ("reading(-moved)?", lambda statement: windows.failed(statement, "the disk is full")))
    found = run(windows)
    assert found["changed"] is False
    assert any("growth is not known" in warning for warning in found["warnings"])


# ---- headroom
@pytest.mark.parametrize(
    ("area", "free", "expected"),
    [
        ((2 * GIB, 3 * GIB, 10 * GIB), 50 * GIB, (8 * GIB, "maximum")),
        ((2 * GIB, 3 * GIB, 10 * GIB), 4 * GIB, (5 * GIB, "disk")),
        ((2 * GIB, 3 * GIB, None), 4 * GIB, (5 * GIB, "disk")),
        ((2 * GIB, 3 * GIB, GIB), 4 * GIB, (0, "maximum")),
        ((0, 0, 10 * GIB), 0, (0, "disk")),
    ],
)
def test_headroom(area, free, expected):
    assert StorageArea("d", "d", *area).headroom(free) == expected


def test_headroom_is_in_info_too(windows):
    windows.area()
    windows.shadow(ONE, "D")
    (found,) = info(windows.host, ["storage"])["storage"]
    assert (found["headroom"], found["limited_by"], found["used"]) == (9 * GIB, "maximum", GIB)
    assert run(windows)["storage"]["headroom"] == 9 * GIB


# ---- words
@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("1024", 1024), ("1k", 1024), ("1 KB", 1024), ("1KiB", 1024), ("1.5GB", 3 * GIB // 2), ("2 tb", 2**41),
        ("512B", 512), ("50%", 50 * GIB), ("12.5%", 25 * GIB // 2), ("Unbounded", None),
    ],
)  # fmt: skip
def test_sizes(text, count):
    assert size(text, Volume("d", "D:\\", capacity=100 * GIB), "sql01") == count


def test_told_sizes():
    assert [told(each) for each in (None, 5, 1024, 320 * MIB, 3 * GIB // 2)] == [
        "unbounded",
        "5 bytes",
        "1 KiB",
        "320 MiB",
        "1.5 GiB",
    ]


@pytest.mark.parametrize("name", ["D:\\", "*", VOLUME["D"] + "x", VOLUME["D"].rstrip("\\"), "{*}"])
def test_only_guid_paths_are_sent(name):
    for made in (_areas.create_area, _areas.resize_area):
        with pytest.raises(Unsendable):
            made("x", name, VOLUME["D"], GIB)
    with pytest.raises(Unsendable):
        _areas.remove_area("x", VOLUME["D"], name)


@pytest.mark.parametrize("count", [0, -1, 2**63])
def test_only_sizes_are_sent(count):
    with pytest.raises(Unsendable):
        _areas.resize_area("x", VOLUME["D"], VOLUME["D"], count)


def test_the_pipelines_as_they_are_sent():
    """Documented cmdlets and parameters, and a 64-bit size."""
    made = _areas.resize_area("x", VOLUME["D"], VOLUME["E"], 5 * GIB)
    assert [command.name for command in made.commands] == [
        "Get-CimInstance", "Where-Object", "Where-Object", "Set-CimInstance",
    ]  # fmt: skip
    assert made.commands[1].parameters["Value"] == "*{20000000-0000-0000-0000-000000000000}*"
    assert made.commands[3].parameters["Property"] == {"MaxSpace": 5 * GIB}
    assert type(made.commands[3].parameters["Property"]["MaxSpace"]).__name__ == "U64"


def test_a_failing_command_is_told_in_windows_words(windows):
    windows.area()
    windows.answers.insert(
        0, ("area-remove", lambda statement: windows.failed(statement, "Der Anbieter kann den Vorgang nicht."))
    )
    with pytest.raises(VssFailure, match="Der Anbieter kann den Vorgang nicht") as failed:
        run(windows, state="absent")
    assert not isinstance(failed.value, CommandFailed)
    assert windows.areas
