# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reverts: what is listed of them in any language, what they cost, and the wait for one whatever becomes of its run."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from ansible_collections.umbra.vss.plugins.plugin_utils import _verbs as verbs
from ansible_collections.umbra.vss.plugins.plugin_utils._pipeline import Result, Unsendable
from ansible_collections.umbra.vss.plugins.plugin_utils._vss import records, reverting, steps
from ansible_collections.umbra.vss.plugins.plugin_utils._vss.errors import VssFailure
from ansible_collections.umbra.vss.plugins.plugin_utils._vss.model import Volume, volume_id
from ansible_collections.umbra.vss.plugins.plugin_utils._vss.owner import this_process
from ansible_collections.umbra.vss.plugins.plugin_utils._vss.records import Record
from ansible_collections.umbra.vss.plugins.plugin_utils._vss.recovery import cleanup
from ansible_collections.umbra.vss.plugins.plugin_utils._vss.revert import revert
from ansible_collections.umbra.vss.plugins.plugin_utils._vss.reverting import (
    StillReverting,
    Target,
    Wait,
    Watch,
    complete,
)
from ansible_collections.umbra.vss.plugins.plugin_utils._vss.vssadmin import Reverting, read_reverts

from .vss_fake_host import NOW, VOLUME, FakeWindows, ticks, volume

OLD = "{11111111-0000-0000-0000-000000000000}"
NEW = "{22222222-0000-0000-0000-000000000000}"
SYSTEM_PROVIDER = "{B5946137-7B9F-4925-AF80-51ABD60B20D5}"
D, C = volume_id(VOLUME["D"]), volume_id(VOLUME["C"])

BANNER = "vssadmin 1.1 - Volume Shadow Copy Service administrative tool\n(C) Copyright 2001-2013 Microsoft Corp.\n\n"
ENGLISH = f"{BANNER}Volume being reverted: (D:){VOLUME['D']}\n   Shadow Copy ID: {OLD}\n   Progress: 35%\n\n"


# ---- the listing
@pytest.mark.parametrize(
    ("text", "found"),
    [
        (ENGLISH, [Reverting(D, OLD, 35)]),
        (f"Volume, das zurückgesetzt wird: {VOLUME['D']}\n  Status: 7,5 %\n", [Reverting(D, None, 7)]),
        (f"Ripristino\n  ID: {OLD.upper()}\n  %100\n", [Reverting(None, OLD, 100)]),
        ("正在还原: 42％\n", [Reverting(None, None, 42)]),
        (f"{VOLUME['C']}\n 1%\n{VOLUME['D']}\n 2%\n", [Reverting(C, None, 1), Reverting(D, None, 2)]),
        (f"{OLD}\n 1%\n{NEW}\n 2%\n", [Reverting(None, OLD, 1), Reverting(None, NEW, 2)]),
        (f"{BANNER}No items found that satisfy the query.\n", []),
        (f"{BANNER}Error: Invalid command.\n\n---- Commands Supported ----\n\nList Shadows - List copies\n", []),
        ("", []),
    ],
)  # fmt: skip
def test_reverts_are_read_by_structure(text, found):
    assert read_reverts(text) == found


# ---- the watch
VOLUMES = [Volume(D, "D:\\", "D:"), Volume("\\\\?\\Volume{eeeeeeee-0000-0000-0000-000000000000}\\", "D:\\Mount\\")]


def watch(**more):
    return Watch(Target(D, "D:\\", OLD, NOW, **more), VOLUMES)


def listed(text):
    return Result("reverts", text.splitlines(), [], 0, True)


def logged(*events, provider="volsnap", said="Volume D:", at=NOW):
    rows = [{"TimeCreated": ticks(at), "Id": each, "ProviderName": provider, "Message": said} for each in events]
    return Result("events", rows, [], None, True)


def test_a_revert_is_over_when_the_log_tells_its_end_and_none_is_listed():
    seen = watch()
    seen.take(listed(ENGLISH), logged(64))
    assert (seen.begun, seen.over, seen.percent) == (True, False, 35)
    seen.take(listed(ENGLISH), logged(64, 66))
    assert not seen.over, "it is listed still"
    seen.take(listed(BANNER), logged(64, 66))
    assert (seen.over, seen.complete, seen.restarts) == (True, True, 0)


@pytest.mark.parametrize(
    "log",
    [
        logged(66, provider="VSS"),
        logged(66, at=NOW - timedelta(minutes=5)),
        logged(66, said="Volume D:\\Mount"),
        logged(63),
    ],
)
def test_events_of_other_things_do_not_count(log):
    seen = watch()
    seen.take(listed(BANNER), log)
    assert not seen.begun
    assert not seen.over


@pytest.mark.parametrize("said", [f"Volume {VOLUME['D']}", "Volume d:", "no volume at all"])
def test_events_name_a_volume_in_several_ways(said):
    seen = watch()
    seen.take(listed(BANNER), logged(64, 65, 65, 66, said=said))
    assert seen.complete
    assert seen.restarts == 2


def test_without_events_only_a_long_silence_counts(monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(reverting.time, "monotonic", lambda: clock[0])
    seen = watch()
    seen.accepted = True
    seen.take(listed(BANNER), logged())
    assert not seen.over
    clock[0] += 5
    seen.take(listed(ENGLISH), logged())
    clock[0] += 9
    seen.take(listed(BANNER), logged())
    assert not seen.over, "it was listed in between"
    clock[0] += 11
    assert (seen.over, seen.complete) == (True, False)
    begun = watch()
    begun.take(listed(BANNER), logged(64))
    clock[0] += 30
    assert not begun.over, "its end must still come"
    clock[0] += 31
    assert begun.over


def test_a_listing_of_another_volume_is_not_ours():
    seen = watch()
    seen.take(listed(ENGLISH.replace(VOLUME["D"], VOLUME["E"])), logged())
    assert not seen.going_on
    seen.take(listed(f"{NEW}\n 3%"), logged())
    assert not seen.going_on


# ---- what is sent
def test_the_call_is_typed_and_takes_one_copy():
    statement = verbs.cim_revert_shadow("revert", OLD, True, "C:\\log")
    call = statement.commands[0]
    assert call.parameters["Query"] == f"SELECT * FROM Win32_ShadowCopy WHERE ID='{OLD}'"
    assert (call.parameters["MethodName"], call.parameters["Arguments"]) == ("Revert", {"ForceDismount": True})
    with pytest.raises(Unsendable):
        verbs.cim_revert_shadow("revert", "' OR ID LIKE '%", False, "C:\\log")


# ---- a host
class RevertingWindows(FakeWindows):
    """A host that reverts. takes: how many readings it takes; returned: what Revert returns; begun: by its log."""

    def __init__(self) -> None:
        super().__init__()
        self.volumes = [volume(letter) for letter in "CDE"]
        self.takes, self.left, self.returned, self.begun, self.reverts = 0, 0, 0, [], 0
        self.areas: list[dict[str, object]] = []
        self.late: str | None = None
        self.answers = [
            (r"reverts(@\d+)?", self._listing),
            (r"events(@\d+)?", lambda statement: logged(*self.begun, at=NOW + timedelta(seconds=1)).values),
            ("revert", self._revert),
            ("storage", lambda statement: self.areas),
            ("shadows", self._shadows),
        ]
        for identity, minutes in ((OLD, -60), (NEW, -30)):
            self.copy(identity, "D", minutes)

    def copy(self, identity, letter, minutes, **more):
        told = {
            "InstallDate": ticks(NOW + timedelta(minutes=minutes)),
            "Persistent": True,
            "ProviderID": SYSTEM_PROVIDER,
        }
        self.shadow(identity, letter, **told, **more)

    def _listing(self, statement):
        if self.left > 0:
            self.left -= 1
            if not self.left:
                self.begun.append(66)
            return ENGLISH.splitlines()
        return BANNER.splitlines()

    def _revert(self, statement):
        if self.returned:
            return [{"ReturnValue": self.returned}]
        self.reverts += 1
        self.begun += [64] if self.takes else [64, 66]
        self.left = self.takes
        self.shadows.pop(NEW, None)
        return [{"ReturnValue": 0}]

    def _shadows(self, statement):
        if self.late and any(s.key == "lock" for s in self.said[-1]):
            self.copy(self.late, "D", 1)
        return list(self.shadows.values())


@pytest.fixture
def windows(monkeypatch):
    found = RevertingWindows()
    monkeypatch.setattr(reverting.time, "sleep", lambda seconds: None)
    return found


def run(windows, check_mode=False, **args):
    return revert(windows.host, {"volume": "D:", "snapshot_id": OLD, **args}, check_mode, lambda told: None)


def asked_to_revert(windows):
    return any(statement.key == "revert" for said in windows.said for statement in said)


def test_it_reverts_and_leaves_nothing(windows):
    windows.takes = 3
    answer = run(windows, accept_loss=[NEW])
    assert (answer["changed"], answer["left_behind"], answer["warnings"]) == (True, [], [])
    assert [loss["id"] for loss in answer["reverted"]["lost"]] == [NEW]
    assert windows.statement("revert").commands[0].parameters["Arguments"] == {"ForceDismount": False}
    assert not [path for path in windows.files if "record" in path]
    assert windows.tasks == {}


def test_check_mode_says_the_same_and_asks_for_nothing(windows):
    predicted = run(windows, check_mode=True, accept_loss=["newer"])
    assert len(windows.said) == 1
    done = run(windows, accept_loss=["newer"])
    assert predicted["reverted"].items() <= done["reverted"].items()


@pytest.mark.parametrize("accepted", [[], [OLD], ["{33333333-0000-0000-0000-000000000000}"]])
def test_a_loss_that_was_not_accepted(windows, accepted):
    with pytest.raises(VssFailure) as refused:
        run(windows, accept_loss=accepted)
    assert NEW in str(refused.value)
    assert [each["id"] for each in refused.value.details["lost"]] == [NEW]
    assert len(windows.said) == 1


def test_copies_of_the_same_moment_and_of_unknown_age_count_as_newer(windows):
    windows.shadows[NEW]["InstallDate"] = windows.shadows[OLD]["InstallDate"]
    with pytest.raises(VssFailure, match=NEW):
        run(windows)
    windows.shadows[NEW]["InstallDate"] = None
    with pytest.raises(VssFailure, match="unknown time"):
        run(windows)


def test_older_copies_are_no_loss(windows):
    windows.shadows[NEW]["InstallDate"] = ticks(NOW - timedelta(minutes=61))
    assert run(windows)["changed"]


def test_a_copy_that_comes_meanwhile_is_not_lost(windows):
    windows.late = "{44444444-0000-0000-0000-000000000000}"
    with pytest.raises(VssFailure, match="came while"):
        run(windows, accept_loss=["newer"])
    assert not asked_to_revert(windows)
    assert windows.tasks == {}


def test_copies_whose_storage_lies_there_must_be_named(windows):
    guest = "{55555555-0000-0000-0000-000000000000}"
    windows.copy(guest, "E", -90)
    windows.areas = [{"Volume": {"DeviceID": VOLUME["E"]}, "DiffVolume": {"DeviceID": VOLUME["D"]}, "MaxSpace": 2**40}]
    with pytest.raises(VssFailure, match=guest):
        run(windows, accept_loss=["newer"])
    assert run(windows, accept_loss=["newer", guest.upper()], force_dismount=True)["changed"]


GUARDS = {
    "Windows runs": {"BootVolume": True},
    "starts from": {"SystemVolume": True},
    "page file": {"PageFilePresent": True},
    "cluster": {"FileSystem": "CSVFS"},
}


@pytest.mark.parametrize("why", GUARDS)
def test_volumes_that_cannot_be_reverted(windows, why):
    windows.volumes[1] = volume("D", **GUARDS[why])
    with pytest.raises(VssFailure, match=why):
        run(windows, accept_loss=["newer"])
    assert len(windows.said) == 1


@pytest.mark.parametrize(
    ("fact", "why"), [({"Persistent": False}, "persistent"), ({"ProviderID": NEW}, "another provider")]
)
def test_copies_that_cannot_be_reverted_to(windows, fact, why):
    windows.shadows[OLD].update(fact)
    with pytest.raises(VssFailure, match=why):
        run(windows, accept_loss=["newer"])


def test_clients_cannot_revert(windows):
    windows.server = False
    with pytest.raises(VssFailure, match="only Windows Server"):
        run(windows, accept_loss=["newer"])


def test_what_others_revert_is_left_alone(windows):
    windows.left = 9
    with pytest.raises(VssFailure, match="35 %"):
        run(windows, accept_loss=["newer"])
    assert not asked_to_revert(windows)


@pytest.mark.parametrize(
    ("code", "words"), [(1, "Access"), (4, "force_dismount"), (9, "unknown"), (77, "no name|failed")]
)
def test_a_refusal_is_told_and_nothing_stays(windows, code, words):
    windows.returned = code
    with pytest.raises(VssFailure, match=words) as failed:
        run(windows, accept_loss=["newer"])
    assert failed.value.details["return_code"] == code
    assert failed.value.details["left_behind"] == []
    assert windows.tasks == {}
    assert not [path for path in windows.files if "record" in path]


def test_every_statement_belongs_to_a_step(windows):
    windows.takes = 2
    run(windows, accept_loss=["newer"])
    began = next(at for at, said in enumerate(windows.said) if any(each.key == "lock" for each in said))
    keys = [each.key for said in windows.said[began:] for each in said]
    reads = ("pause@", "reverts", "events")
    assert [
        k for k in keys if not k.startswith(reads) and not steps.harmless(k) and not steps.step_of("revert", k)
    ] == []


# ---- a run that has died
def died(windows, state="reverting", since=NOW - timedelta(seconds=30)):
    """The record of a run of which nobody is left."""
    target = Target(D, "D:\\", OLD, since, ({"id": NEW, "why": "newer"},))
    owner = replace(this_process(), pid=2**22 + 1, started="1")
    record = Record(
        run="f" * 32, action="revert", name="then", state=state, revision=3, owner=owner, begun=records.utc(NOW),
        lease_until=records.utc(NOW + timedelta(hours=6)), changes={"revert": target.told()},
    )  # fmt: skip
    folder = records.run_folder("C:\\Windows", record.run)
    windows.folders |= {"C:\\Windows\\umbra-vss", "C:\\Windows\\umbra-vss\\runs", folder}
    windows.files[f"{folder}\\record.json"] = "\n".join(record.lines())
    windows.tasks[record.lease_task] = 267011
    return record


def test_what_a_dead_run_began_is_waited_for_and_not_done_again(windows):
    died(windows)
    windows.shadows.pop(NEW)
    windows.begun, windows.left = [64], 4
    answer = run(windows, accept_loss=[])
    assert answer["recovered"][0]["revert"]["outcome"] == "complete"
    assert answer["reverted"]["lost"] == [{"id": NEW, "why": "newer"}]
    assert windows.reverts == 0
    assert windows.left == 0
    assert windows.tasks == {}
    assert not [path for path in windows.files if "record" in path]


def test_what_a_dead_run_had_not_begun_is_done_now(windows):
    died(windows)
    answer = run(windows, accept_loss=["newer"])
    assert answer["recovered"][0]["revert"]["outcome"] == "not begun"
    assert windows.reverts == 1


def test_what_a_dead_run_did_to_another_copy_does_not_count(windows):
    died(windows)
    windows.begun = [64, 66]
    answer = run(windows, snapshot_id=NEW)
    assert answer["recovered"][0]["revert"]["outcome"] == "complete"
    assert windows.reverts == 1


def test_others_leave_a_revert_that_goes_on_alone(windows):
    record = died(windows)
    windows.begun, windows.left = [64], 1000
    answer = cleanup(windows.host, {}, False, lambda told: None)
    assert (answer["changed"], answer["removed"]) == (False, [])
    assert "goes on" in " ".join(answer["warnings"])
    assert record.lease_task in windows.tasks
    windows.left, windows.begun = 0, [64, 66]
    answer = cleanup(windows.host, {}, False, lambda told: None)
    assert answer["removed"][0]["revert"]["outcome"] == "complete"
    assert windows.tasks == {}


def test_check_mode_waits_for_nothing(windows):
    died(windows)
    windows.begun, windows.left = [64], 1000
    windows.shadows.pop(NEW)
    answer = run(windows, check_mode=True)
    assert answer["recovered"][0]["revert"]["outcome"] == "going on"
    assert windows.left > 990


def test_only_a_record_that_reverts_is_waited_for(windows):
    for changes in ({}, {"revert": None}, {"revert": {"volume": D}}, {"revert": {"since": "x"}}):
        record = replace(died(windows), changes=changes)
        assert complete(windows.host, VOLUMES, record, NOW, lambda told: None) is None
    record = died(windows, state="kept")
    assert complete(windows.host, VOLUMES, record, NOW, lambda told: None) is None
    assert json.loads("\n".join(record.lines()))["changes"]["revert"]["shadow"] == OLD


def test_a_wait_has_an_end(windows):
    windows.begun, windows.left = [64], 10**6
    found = watch()
    with pytest.raises(StillReverting, match="35 %"):
        Wait(windows.host, found, lambda told: None, 0.0, timedelta(0)).follow()
