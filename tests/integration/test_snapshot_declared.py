# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`snapshot`: what a declaration can say beyond a name and volumes, over the wire and on hosts of several languages."""

from __future__ import annotations

import pytest
from vsslab.vss.codes import Context

CRASH = {"name": "declared", "volumes": ["E:"], "consistency": "crash"}
ALL_GONE = {"state": "absent", "all": True}


def plays(fleet, host, *arguments, flags=()):
    """One play with a task for each; a task may fail. Gives their results, with `failed`."""
    tasks = [
        {"name": f"task {at}", "umbra.vss.snapshot": args, "ignore_errors": True} for at, args in enumerate(arguments)
    ]
    run = fleet.play(host, tasks, "-vv", *flags)
    answers = run.of("umbra.vss.snapshot", host)
    assert len(answers) == len(arguments), run.output
    return [{**answer["result"], "failed": answer["status"] != "ok"} for answer in answers]


def good(results):
    """None of them failed."""
    for result in results:
        assert not result["failed"], result.get("msg")
    return results


def shadows(fleet, host):
    return {f"{{{shadow.id}}}" for shadow in fleet.host(host).vss.shadows}


def ids(result):
    return {shadow["id"] for shadow in result["snapshot_set"]["shadows"]}


def their_copy(fleet, host, volume="E:", context=Context.CLIENT_ACCESSIBLE):
    where = fleet.host(host)
    return where.vss.create("Other Backup", [where.volumes.by_path(volume)], context).shadows[0]


def test_a_declared_number_of_snapshots_is_kept_and_costs_little_when_it_is(fleet):
    host, again = "legacy01", {**CRASH, "volumes": ["all"], "exclude_volumes": ["C:", r"Z:\nowhere"]}
    theirs = their_copy(fleet, host)
    with fleet.unchanged(host):
        other, *three = good(
            plays(
                fleet,
                host,
                {**CRASH, "name": "other"},
                *({**again, "max_age": 0, "retention": {"count": 2}, "description": f"number {n}"} for n in range(3)),
            )
        )
        assert [len(result["removed"]) for result in three] == [0, 0, 1]
        assert three[2]["removed"][0]["record"] == three[0]["record"]
        assert [s["volume"] for s in three[2]["snapshot_set"]["shadows"]] == ["D:\\", "E:\\"]
        same, fewer, described = good(
            plays(
                fleet,
                host,
                again,
                {**again, "retention": {"count": 1}},
                {"snapshot_set_id": three[2]["snapshot_set"]["id"], "description": "the last one"},
            )
        )
        assert (same["changed"], same["description"]) == (False, "number 2")
        cheap = fleet.cheapest(host, "snapshot", again)["wire"]["requests"]
        assert cheap <= 6 + 2, "and the connection plugin winrm opens and closes a shell of its own"
        assert [each["record"] for each in fewer["removed"]] == [three[1]["record"]]
        assert (described["changed"], described["record"]) == (True, three[2]["record"])
        assert shadows(fleet, host) == {f"{{{theirs.id}}}"} | ids(other) | ids(three[2])
        told = fleet.ok(host, "info", {"gather": ["records"]})["records"]
        assert {record["description"] for record in told} == {"", "the last one"}
        (gone,) = good(plays(fleet, host, ALL_GONE))
        assert {each["name"] for each in gone["removed"]} == {"other", "declared"}
    fleet.host(host).vss.delete(theirs.id)


def test_applications_hear_of_a_full_backup_and_not_of_a_copy(fleet):
    args = {"name": "declared", "volumes": ["D:"], "writers": {"require": ["SqlServerWriter"], "must_be_stable": True}}
    writer = next(each for each in fleet.host("sql01").vss.writers if each.name == "SqlServerWriter")
    with fleet.unchanged("sql01"):
        (copy,) = good(plays(fleet, "sql01", args))
        assert writer.state == 5, "it waits for the end of a backup that nobody tells it"
        full, same, less = good(
            plays(fleet, "sql01", {**args, "backup_type": "full"}, {**args, "backup_type": "full"}, args)
        )
        assert writer.state == 1
        assert (copy["backup_type"], full["backup_type"]) == ("copy", "full")
        assert [full["changed"], same["changed"], less["changed"]] == [True, False, False]
        good(plays(fleet, "sql01", ALL_GONE))


def test_what_is_not_ours_goes_by_force_one_at_a_time(fleet):
    host = "web01"
    one, other = their_copy(fleet, host), their_copy(fleet, host, context=Context.NAS_ROLLBACK)
    asked = {"state": "absent", "snapshot_id": one.id.upper()}
    refused, by_set, every, removed, again = plays(
        fleet,
        host,
        asked,
        {"state": "absent", "snapshot_set_id": other.set_id},
        ALL_GONE,
        {**asked, "force": "foreign"},
        {**asked, "force": "foreign"},
    )
    assert refused["failed"]
    assert "force: foreign" in refused["msg"]
    assert (refused["foreign"]["kind"], refused["foreign"]["volume"]) == ("ClientAccessible", "E:\\")
    assert refused["foreign"]["machine"].casefold() == host
    assert "Microsoft" in refused["foreign"]["provider"]
    assert by_set["failed"]
    assert "one at a time" in by_set["msg"]
    good([every, removed, again])
    assert [every["changed"], removed["changed"], again["changed"]] == [False, True, False]
    assert shadows(fleet, host) == {f"{{{other.id}}}"}
    fleet.host(host).vss.delete(other.id)


def test_one_that_windows_has_dropped_is_made_again_and_the_event_is_named(fleet):
    """On a German host: the event is known by its number, the writers that are left out by what they need."""
    args = {
        "name": "declared",
        "volumes": ["D:"],
        "writers": {"require": ["Microsoft Exchange Writer"]},
        "expose": [{"volume": "D:", "path": r"C:\Seen", "type": "link"}],
    }
    host = fleet.host("mail01")
    with fleet.unchanged("mail01"):
        (predicted,) = good(plays(fleet, "mail01", args, flags=["--check"]))
        (first,) = good(plays(fleet, "mail01", args))
        assert predicted["left_out"] == first["left_out"]
        system = next(each for each in first["left_out"] if each["writer"] == "System Writer")
        assert system["because"] == "it needs C:\\, which the snapshot does not hold"
        host.vss.lose(host.volumes.by_path("D:"), "oldest_by_size")
        assert not shadows(fleet, "mail01")
        (foretold,) = good(plays(fleet, "mail01", args, flags=["--check"]))
        second, third = good(plays(fleet, "mail01", args, args))
        for result in (foretold, second):
            assert result["changed"] is True
            assert [each["record"] for each in result["removed"]] == [first["record"]]
            assert any("event 33" in warning for warning in result["warnings"])
        assert third["changed"] is False
        assert host.files.exists(r"C:\Seen\Mail")
        good(plays(fleet, "mail01", {"name": "declared", "state": "absent"}))


def test_client_accessible_copies_never_cost_another_one(fleet):
    host = fleet.host("web01")
    theirs = [their_copy(fleet, "web01").id for _ in range(62)]
    args = {**CRASH, "kind": "client_accessible", "expose": [{"volume": "E:", "path": r"C:\Seen", "type": "link"}]}
    made, same, full, lettered, other = plays(
        fleet,
        "web01",
        args,
        args,
        {**CRASH, "name": "one more", "kind": "client_accessible"},
        {**CRASH, "name": "one more", "kind": "client_accessible", "expose": [{"volume": "E:", "path": "P:"}]},
        {**CRASH, "name": "one more"},
    )
    good([made, same, other])
    assert [made["changed"], same["changed"], other["kind"]] == [True, False, "persistent"]
    assert "63" in full["msg"]
    assert "link" in lettered["msg"]
    told = next(s for s in host.vss.shadows if f"{{{s.id}}}" in ids(made))
    assert told.context is Context.CLIENT_ACCESSIBLE
    assert {s.id for s in host.vss.shadows} >= set(theirs), "none of theirs is gone"
    good(plays(fleet, "web01", ALL_GONE))
    assert {s.id for s in host.vss.shadows} == set(theirs)
    for each in theirs:
        host.vss.delete(each)


@pytest.mark.parametrize("host", ["legacy01", "pc01"])
def test_others_at_work_are_reported_when_that_is_asked_for(fleet, host):
    with fleet.unchanged(host):
        release = fleet.host(host).vss.hold_by_other(600)
        try:
            wish = {**CRASH, "on_busy": {"wait": "1s"}}
            failed, reported = plays(fleet, host, wish, {**wish, "on_busy": {"wait": "1s", "report": True}})
        finally:
            release.set()
        assert failed["failed"]
        assert "timeout of 1 s" in failed["msg"]
        good([reported])
        assert reported["changed"] is False
        assert reported["busy"]
        assert not shadows(fleet, host)
