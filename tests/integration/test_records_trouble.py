# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records that are damaged, of another version, or not to be trusted: nothing is removed on their word."""

from __future__ import annotations

import json
import uuid
from contextlib import contextmanager

import pytest
from vsslab.vss import Context
from vsslab.windows.errors import WinError

pytestmark = pytest.mark.slow

STATE = r"C:\Windows\umbra-vss"
RUNS = rf"{STATE}\runs"
MINE = {"name": "kept", "volumes": ["D:"], "consistency": "crash"}
GONE = {"name": "kept", "state": "absent"}


@pytest.fixture
def kept(fleet):
    """A snapshot of ours on sql01: its run, which nothing that lies beside it may disturb."""
    result = fleet.ok("sql01", "snapshot", MINE)
    yield result["record"]
    fleet.ok("sql01", "snapshot", GONE)


def record(fleet, run):
    return fleet.host("sql01").files.read(rf"{RUNS}\{run}\record.json")


@contextmanager
def beside(fleet, text, days_ago=0):
    """A run's folder with this record, made by an administrator; gone again afterwards if the product left it."""
    files, run = fleet.host("sql01").files, uuid.uuid4().hex
    folder = rf"{RUNS}\{run}"
    files.mkdir(folder)
    files.write(rf"{folder}\record.json", text)
    if days_ago:
        fleet.host("sql01").clock.jump(days_ago * 86400)
    try:
        yield run
    finally:
        if days_ago:
            fleet.host("sql01").clock.jump(-days_ago * 86400)
        if files.exists(folder):
            files.remove_tree(folder)


def broken(fleet, kept, how):
    """A record as it may be found: cut off, emptied, overwritten, of a later version, of somebody's imagination."""
    good = record(fleet, kept)
    told = json.loads(good)
    return {
        "truncated": good[: len(good) // 2],
        "empty": b"",
        "zeroes": b"\0" * 512,
        "not an object": b"[1, 2]",
        "wrong types": json.dumps({**told, "shadows": "all of them"}).encode(),
        "newer": json.dumps({**told, "schema": 99}).encode(),
        "UTF-16": b"\xff\xfe" + good.decode().encode("utf-16-le"),
    }[how]


HOW = ["truncated", "empty", "zeroes", "not an object", "wrong types", "newer", "UTF-16"]


NAMELESS = ("empty", "zeroes", "not an object", "wrong types")  # they name no shadow copy


@pytest.mark.parametrize("how", HOW)
def test_a_broken_record_is_told_and_harms_nothing(fleet, kept, how):
    """One that names a shadow copy stays, however old it is; one that names none goes when it is old. Ours goes on."""
    with beside(fleet, broken(fleet, kept, how), days_ago=3) as run:
        copies = fleet.ledger("sql01")["shadow_copies"]
        play = fleet.play("sql01", [{"umbra.vss.snapshot": MINE}, {"umbra.vss.cleanup": {}}], "-vv")
        told, cleaned = (play.of(f"umbra.vss.{name}", "sql01")[0] for name in ("snapshot", "cleanup"))
        assert (told["status"], cleaned["status"]) == ("ok", "ok"), play.output
        assert (told["result"]["changed"], told["result"]["record"]) == (False, kept)
        assert cleaned["result"]["changed"] is False
        assert [each["run"] for each in told["result"]["recovered"]] == ([run] if how in NAMELESS else [])
        assert fleet.host("sql01").files.exists(rf"{RUNS}\{run}\record.json") == (how not in NAMELESS)
        assert how in NAMELESS or run in " ".join(told["result"]["warnings"])
        assert fleet.ledger("sql01")["shadow_copies"] == copies


def test_an_unreadable_folder_that_names_nothing_goes_when_it_is_old(fleet, kept):
    with beside(fleet, b"", days_ago=1) as run:
        result = fleet.ok("sql01", "cleanup")
        assert [removed["run"] for removed in result["removed"]] == [run]
        assert not fleet.host("sql01").files.exists(rf"{RUNS}\{run}")
        assert record(fleet, kept)


def test_a_damaged_record_of_a_kept_snapshot_costs_nothing_but_its_name(fleet):
    """The shadow copy stays and is named, so that somebody can look; a new one is made under the name."""
    host = fleet.host("sql01")
    with fleet.unchanged("sql01"):
        run = fleet.ok("sql01", "snapshot", MINE)["record"]
        shadow = host.vss.shadows[0].id
        path = rf"{RUNS}\{run}\record.json"
        whole = host.files.read(path)
        host.files.write(path, whole[:-40])
        host.clock.jump(3 * 86400)
        try:
            told = fleet.ok("sql01", "snapshot", MINE)
        finally:
            host.clock.jump(-3 * 86400)
        assert told["changed"] is True
        assert shadow in " ".join(told["warnings"])
        assert shadow in {each.id for each in host.vss.shadows}
        host.files.write(path, whole)
        assert len(fleet.ok("sql01", "snapshot", GONE)["removed"]) == 2


# ---- who may write
@pytest.mark.parametrize(
    ("sddl", "who"),
    [
        ("O:BAG:SYD:(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)(A;OICI;0x1301bf;;;BU)", "BU"),
        ("O:BAG:SYD:(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)(A;;WD;;;AU)", "AU"),
        ("O:BAG:SYD:(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)(A;OICIIO;FR;;;WD)(A;OICI;GW;;;WD)", "WD"),
        ("O:BUG:SYD:(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)", "BU"),
    ],
)
@pytest.mark.parametrize("module", ["snapshot", "cleanup"])
def test_a_state_folder_that_others_can_write_to_is_not_believed(fleet, kept, module, sddl, who):
    """What is in it may have been planted, to have an administrator delete what it names."""
    files = fleet.host("sql01").files
    before = files.stat(STATE)
    files.set_security(STATE, sddl)
    try:
        with fleet.unchanged("sql01"):
            sentence = fleet.fails("sql01", module, GONE if module == "snapshot" else {})
        assert STATE in sentence
        assert who in sentence or "S-1-5-" in sentence
        assert before
    finally:
        files.set_security(STATE, "O:BAG:SYD:PAI(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)")


def test_a_user_without_rights_can_plant_no_record(fleet, kept):
    """Not in the state folder; and one planted anywhere else is not looked at."""
    host = fleet.host("sql01")
    user = next(each for each in host.users if each.remote and not each.administrator)
    theirs = host.vss.create("Other", [host.volumes.by_path("E:")], Context.NAS_ROLLBACK).shadows[0]
    told = {**json.loads(record(fleet, kept)), "state": "begun", "lease_until": "2020-01-01T00:00:00.000Z"}
    told["shadows"] = [{"id": f"{{{theirs.id}}}", "volume": theirs.volume.device_id}]
    planted = json.dumps(told).encode()
    try:
        files = host.files.as_user(user)
        for path in (rf"{RUNS}\{kept}\record.json", rf"{RUNS}\{uuid.uuid4().hex}\record.json"):
            with pytest.raises(WinError):
                files.write(path, planted)
        with pytest.raises(WinError):
            files.rename(STATE, r"C:\Windows\elsewhere")
        files.mkdir(r"C:\ProgramData\umbra-vss")
        files.write(r"C:\ProgramData\umbra-vss\record.json", planted)
        assert fleet.ok("sql01", "cleanup")["changed"] is False
        assert theirs in host.vss.shadows
    finally:
        host.vss.delete(theirs.id)
        host.files.remove_tree(r"C:\ProgramData\umbra-vss")


def test_a_record_in_a_folder_of_another_name_is_not_believed(fleet, kept):
    """A run's folder bears its name: a copy of a record elsewhere would be a second owner of the same things."""
    with beside(fleet, record(fleet, kept)), fleet.unchanged("sql01"):
        result = fleet.ok("sql01", "snapshot", MINE)
        assert (result["changed"], result["record"]) == (False, kept)
        assert fleet.ok("sql01", "cleanup")["changed"] is False
