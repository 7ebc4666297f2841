# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`snapshot`: declared state, kept."""

from __future__ import annotations

import pytest

D = {"name": "before-patching", "volumes": ["D:"]}


@pytest.fixture
def gone(fleet):
    """Whatever a test made under our names is gone afterwards."""
    yield
    for host in ("sql01", "pc01", "web01"):
        fleet.ok(host, "snapshot", {"name": "before-patching", "state": "absent"})


def shadows(fleet, host):
    return {s.id for s in fleet.host(host).vss.shadows}


@pytest.mark.parametrize("host", ["sql01", "web01"])
def test_present_twice_is_one_snapshot(fleet, gone, host):
    args = {**D, "max_age": "4h", "allow_downgrade": True}
    before = len(fleet.wire_sessions(host))
    first = fleet.ok(host, "snapshot", args)
    assert first["changed"] is True
    talked = fleet.wire_sessions(host)[before:]
    assert fleet.needed(talked, first["wire"]["pipelines"]) <= 16
    assert first["wire"]["requests"] == sum(s.operations for s in talked)
    made = shadows(fleet, host)
    second = fleet.cheapest(host, "snapshot", args)
    assert second["wire"]["requests"] <= 6, "beside those that authenticate"
    assert second["snapshot_set"]["id"] == first["snapshot_set"]["id"]
    assert shadows(fleet, host) == made


def test_an_older_one_than_wanted_is_not_good_enough(fleet, gone):
    args = {**D, "writers": {"require": ["SqlServerWriter"]}}
    first = fleet.ok("sql01", "snapshot", args)
    second = fleet.ok("sql01", "snapshot", {**args, "max_age": 0})
    assert second["changed"] is True
    assert second["snapshot_set"]["id"] != first["snapshot_set"]["id"]


def test_application_consistent_means_the_writer_took_part(fleet, gone):
    result = fleet.ok("sql01", "snapshot", {**D, "writers": {"require": ["SqlServerWriter"]}})
    assert result["consistency"] == "application"
    assert {w["name"] for w in result["writers"] if w["took_part"]} >= {"SqlServerWriter"}
    assert any(e.get("writer") == "SqlServerWriter" and e.get("frozen") for e in fleet.vss_trace("sql01"))


def test_absent_twice_is_absent(fleet):
    with fleet.unchanged("sql01"):
        fleet.ok("sql01", "snapshot", {**D, "allow_downgrade": True})
        first = fleet.ok("sql01", "snapshot", {"name": D["name"], "state": "absent"})
        second = fleet.ok("sql01", "snapshot", {"name": D["name"], "state": "absent"})
    assert (first["changed"], second["changed"]) == (True, False)


@pytest.mark.parametrize("host", ["sql01", "pc01"])
def test_check_mode_changes_nothing_and_predicts(fleet, gone, host):
    args = {**D, "allow_downgrade": True}
    with fleet.unchanged(host):
        predicted = fleet.ok(host, "snapshot", args, "--check")
    done = fleet.ok(host, "snapshot", args)
    for key in ("changed", "consistency", "consistency_reason", "engine"):
        assert predicted[key] == done[key], key
    assert {w["name"]: w["took_part"] for w in predicted["writers"]} == {
        w["name"]: w["took_part"] for w in done["writers"]
    }


def test_check_mode_leaves_nothing_when_it_fails_on_the_way(fleet):
    """Writers are asked by a script; the folder it lies in goes even when the script cannot be written."""
    fleet.lab.faults.add(
        {"on": {"kind": "command", "host": "sql01", "command": "Set-Content"}, "do": {"fail": "The disk is on fire."}}
    )
    with fleet.unchanged("sql01"):
        sentence = fleet.fails("sql01", "snapshot", D, "--check")
    assert "The disk is on fire." in sentence


def test_diff_shows_the_shadow_copies_before_and_after(fleet, gone):
    result = fleet.ok("sql01", "snapshot", {**D, "allow_downgrade": True}, "--diff")
    shadow = result["snapshot_set"]["shadows"][0]["id"]
    assert shadow not in str(result["diff"]["before"])
    assert shadow in str(result["diff"]["after"])


def test_exposed_to_a_letter_a_folder_and_a_link(fleet, gone):
    expose = [
        {"volume": "D:", "path": "P:"},
        {"volume": "E:", "path": r"C:\Exposed\E", "type": "folder"},
    ]
    host = fleet.host("sql01")
    with fleet.unchanged("sql01"):
        host.files.mkdir(r"C:\Exposed\E", parents=True)
        args = {
            "name": "before-patching",
            "volumes": ["D:", "E:"],
            "consistency": "application",
            "writers": {"require": ["SqlServerWriter"]},
        }
        fleet.ok("sql01", "snapshot", {**args, "expose": expose})
        assert host.files.exists(r"P:\Bank")
        assert host.files.locate(r"P:\Bank").read_only
        assert host.files.is_dir(r"C:\Exposed\E")
        again = fleet.ok("sql01", "snapshot", {**args, "expose": expose})
        assert again["changed"] is False
        link = [{"volume": "D:", "path": r"C:\Exposed\link", "type": "link"}]
        relinked = fleet.ok("sql01", "snapshot", {**args, "expose": link})
        assert relinked["changed"] is True
        assert host.files.exists(r"C:\Exposed\link\Bank")
        fleet.ok("sql01", "snapshot", {"name": "before-patching", "state": "absent"})
        assert not host.files.exists(r"P:\Bank")
        assert not host.files.exists(r"C:\Exposed\link")
        host.files.rmdir(r"C:\Exposed\E")
        host.files.rmdir(r"C:\Exposed")


def test_a_client_edition_is_crash_consistent_and_says_so(fleet, gone):
    refused = fleet.fails("pc01", "snapshot", D)
    assert "crash" in refused
    assert "allow_downgrade" in refused
    result = fleet.ok("pc01", "snapshot", {**D, "allow_downgrade": True})
    assert result["consistency"] == "crash"
    assert "diskshadow" in result["consistency_reason"]
    told = fleet.ok("pc01", "info", {"gather": ["snapshots"]})["snapshots"]
    assert [s["no_writers"] for s in told] == [True]
