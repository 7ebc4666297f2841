# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`snapshot` in trouble: names, limits, full storage, vanishing copies, clocks, letters, languages, two controllers."""

from __future__ import annotations

import re
from contextlib import contextmanager
from pathlib import Path

import pytest
from vsslab.lab import Lab
from vsslab.vss import Context

pytestmark = pytest.mark.slow

ALL_GONE = {"state": "absent", "all": True}
CRASH = {"volumes": ["D:"], "consistency": "crash"}


@pytest.fixture(scope="module")
def trouble(fleet, work):
    """Hosts that are not like others."""
    state = work / "trouble"
    with Lab.from_scenario(
        Path(__file__).with_name("trouble.yml"), state=state / "lab", trace=work / "traces" / "trouble.jsonl"
    ) as lab:
        yield type(fleet)(lab, state)


def plays(fleet, host, *arguments, flags=()):
    """One play with a task for each; a task may fail. Gives their results, with `failed`."""
    tasks = [
        {"name": f"task {at}", "umbra.vss.snapshot": args, "ignore_errors": True} for at, args in enumerate(arguments)
    ]
    run = fleet.play(host, tasks, "-vv", *flags)
    assert "Traceback" not in run.output, run.output
    answers = run.of("umbra.vss.snapshot", host)
    assert len(answers) == len(arguments), run.output
    return [{**answer["result"], "failed": answer["status"] != "ok"} for answer in answers]


def good(results):
    for result in results:
        assert not result["failed"], result.get("msg")
    return results


def shadows(fleet, host):
    return [shadow.id for shadow in fleet.host(host).vss.shadows]


# ---- names
def test_a_name_may_hold_awkward_characters(fleet):
    names = ["a.b(c)@+,#-_ d", "名前 ночь", "1" * 100, "Straße"]
    with fleet.unchanged("sql01"):
        made = good(plays(fleet, "sql01", *({**CRASH, "name": name} for name in names)))
        assert [result["changed"] for result in made] == [True] * 4
        again = {**CRASH, "name": "STRASSE"}
        same, *gone = good(plays(fleet, "sql01", again, *({"name": n, "state": "absent"} for n in names)))
        assert same["changed"] is False, "case does not tell names apart"
        assert [len(result["removed"]) for result in gone] == [1] * 4


BAD_NAMES = ['a"b', "a'b", "..\\x", "$(calc)", "a%TEMP%b", " a", "a\t", "x" * 101, "a;b", "a|b&c", "a`b", "a\nb", "-a"]


def test_a_name_that_may_mean_something_to_a_host_is_refused(fleet):
    made = fleet.sets_created("sql01")
    with fleet.unchanged("sql01"):
        for result in plays(fleet, "sql01", *({**CRASH, "name": name} for name in BAD_NAMES)):
            assert result["failed"]
            assert "name" in result["msg"]
            assert "\n" not in result["msg"]
    assert fleet.sets_created("sql01") == made


# ---- limits
def test_at_most_64_volumes_at_one_moment(trouble):
    mounted = [rf"D:\V\{number:02}" for number in range(62)]
    everything = {"name": "x", "volumes": ["all"], "consistency": "crash"}
    with trouble.unchanged("wide01"):
        refused, whole = plays(trouble, "wide01", everything, {**everything, "exclude_volumes": [mounted[-1]]})
        assert refused["failed"]
        assert re.search("65 volumes.*at most 64", refused["msg"])
        good([whole])
        assert len({shadow["volume"] for shadow in whole["snapshot_set"]["shadows"]}) == 64
        assert len({shadow.set_id for shadow in trouble.host("wide01").vss.shadows}) == 1
        good(plays(trouble, "wide01", {"name": "x", "state": "absent"}))


@contextmanager
def others_copies(fleet, host, letter, kind, number):
    """So many shadow copies of other people's; all of them must survive."""
    where = fleet.host(host)
    volume = where.volumes.by_path(f"{letter}:")
    theirs = [where.vss.create("Other", [volume], kind).shadows[0].id for _ in range(number)]
    yield
    assert set(theirs) <= set(shadows(fleet, host)), "none of theirs may go"
    for each in theirs:
        where.vss.delete(each)


@pytest.mark.parametrize(
    ("kind", "context", "number"),
    [("client_accessible", Context.CLIENT_ACCESSIBLE, 62), ("persistent", Context.NAS_ROLLBACK, 511)],
)
def test_the_last_shadow_copy_of_a_volume_that_there_is_room_for(trouble, kind, context, number):
    """64 client-accessible ones, of which one place stays free, and 512 of all kinds."""
    with trouble.unchanged("wide01"), others_copies(trouble, "wide01", "E", context, number):
        args = {"volumes": ["E:"], "consistency": "crash", "kind": kind}
        last, refused, gone = plays(trouble, "wide01", {**args, "name": "a"}, {**args, "name": "b"}, ALL_GONE)
        good([last, gone])
        assert refused["failed"]
        assert "E:" in refused["msg"]
        assert str(number + 1) in refused["msg"]
        assert len(gone["removed"]) == 1


# ---- room
def test_storage_that_is_full_before(fleet):
    volume = fleet.host("sql01").volumes.by_path("D:")
    room = volume.free() - 1024**2
    volume.filler += room
    try:
        with fleet.unchanged("sql01"):
            sentence = fleet.fails("sql01", "snapshot", {**CRASH, "name": "x"})
    finally:
        volume.filler -= room
    assert "D:" in sentence
    assert re.search("room|space|storage", sentence)


def test_storage_that_fails_during(fleet):
    """The area of a volume cannot grow in time while the shadow copies of two are made: then there is neither."""
    fleet.lab.faults.add({"on": {"kind": "phase", "host": "sql01", "phase": "commit"}, "do": {"fail": "0x8004231F"}})
    with fleet.unchanged("sql01"):
        sentence = fleet.fails("sql01", "snapshot", {**CRASH, "volumes": ["D:", "E:"], "name": "x"})
    assert "VSS_E_INSUFFICIENT_STORAGE" in sentence


@pytest.mark.parametrize(("event", "exposed"), [(25, False), (33, True), (35, False), (36, True)])
def test_a_kept_one_that_vanishes_is_made_again_and_the_event_is_named(fleet, event, exposed):
    """Also while it is to be seen: link and letter then show the new one."""
    host = fleet.host("sql01")
    volume = host.volumes.by_path("D:")
    expose = [{"volume": "D:", "path": "P:"}, {"volume": "D:", "path": r"C:\Shown", "type": "link"}]
    args = {**CRASH, "name": "x", **({"expose": expose} if exposed else {})}
    with fleet.unchanged("sql01"):
        good(plays(fleet, "sql01", args))
        first = shadows(fleet, "sql01")
        if event == 33:
            host.vss.store.lose(host.vss.store.of_volume(volume.guid)[0])
            host.vss.log.evicted(volume)
        else:
            host.vss.lose(volume, event)
        result, again = good(plays(fleet, "sql01", args, args))
        assert (result["changed"], again["changed"]) == (True, False)
        assert any(f"event {event}" in warning for warning in result["warnings"]), result["warnings"]
        second = host.vss.store.get(shadows(fleet, "sql01")[0])
        assert [second.id] != first
        if exposed:
            assert second.exposed == "P:\\"
            assert f"C:\\Shown -> {second.device}\\" in host.files.links()
        good(plays(fleet, "sql01", {"name": "x", "state": "absent"}))


@pytest.mark.parametrize("event", [25, 33, 35, 36])
def test_one_that_vanishes_while_it_is_copied_from(fleet, event):
    lost = {"evict": "D:"} if event == 33 else {"lose": "D:", "event": event}
    fleet.lab.faults.add(
        {"on": {"kind": "task", "host": "sql01", "times": 1}, "do": lost},
    )
    args = {"sources": [r"D:\Shares"], "destination": r"E:\Vanishing", "consistency": "crash"}
    with fleet.unchanged("sql01"):
        sentence = fleet.fails("sql01", "backup", args)
    assert re.search(rf"\b{event}\b", sentence), sentence


# ---- clocks
@pytest.mark.parametrize("host", ["sql01", "legacy01"])
def test_an_age_is_that_of_the_hosts_clock_whatever_its_zone(fleet, host):
    """A clock set forward makes a snapshot old; one that was set back makes it one whose age nobody can tell."""
    clock, args = fleet.host(host).clock, {**CRASH, "name": "x", "max_age": "1h"}
    with fleet.unchanged(host):
        first, second = good(plays(fleet, host, args, args))
        assert (first["changed"], second["changed"]) == (True, False)
        clock.jump(2 * 3600)
        try:
            old, fresh = good(plays(fleet, host, args, args))
            assert (old["changed"], fresh["changed"]) == (True, False)
            clock.jump(-5 * 3600)
            unknown, fresh = good(plays(fleet, host, args, args))
            assert (unknown["changed"], fresh["changed"]) == (True, False)
            assert fresh["snapshot_set"]["id"] == unknown["snapshot_set"]["id"]
            gone = good(plays(fleet, host, {"name": "x", "state": "absent"}))[0]
            assert len(gone["removed"]) == 3
        finally:
            clock.jump(3 * 3600)


# ---- letters
def test_a_letter_that_is_taken_between_looking_and_using(fleet):
    """Somebody else's shadow copy appears there in that moment: theirs stays, and nothing of ours."""
    host = fleet.host("sql01")
    theirs = host.vss.create("Other", [host.volumes.by_path("E:")], Context.NAS_ROLLBACK).shadows[0]
    taken = []

    def watch(entry):
        if entry["event"] == "vss" and entry.get("phase") == "created" and not taken:
            taken.append(host.vss.expose(theirs.id, "P:"))

    try:
        unsubscribe = fleet.lab.trace.subscribe(watch)
        before = fleet.ledger("sql01")
        try:
            sentence = fleet.fails(
                "sql01", "snapshot", {**CRASH, "name": "x", "expose": [{"volume": "D:", "path": "P:"}]}
            )
        finally:
            unsubscribe()
        assert taken
        assert "P:" in sentence
        assert theirs.exposed == "P:\\"
        host.vss.unexpose(theirs.id)
        assert not fleet.differences(before, fleet.ledger("sql01"))
    finally:
        host.vss.delete(theirs.id)


# ---- languages
@pytest.mark.parametrize("host", ["odd01", "core01"])
def test_language_edition_and_code_page_do_not_matter(trouble, host):
    """One host's tools write every word differently, in UTF-16 and UTF-8; the other one has no desktop."""
    where = trouble.host(host)
    where.files.mkdir("C:\\Gezeigt")
    with trouble.unchanged(host):
        expose = [
            {"volume": "D:", "path": r"C:\Gezeigt\Größe 名前", "type": "link"},
            {"volume": "E:", "path": "P:"},
        ]
        args = {"name": "Ümläut", "volumes": ["D:", "E:"], "allow_downgrade": True, "expose": expose}
        first, second = good(plays(trouble, host, args, args))
        assert (first["changed"], second["changed"]) == (True, False)
        assert first["snapshot_set"]["id"] == second["snapshot_set"]["id"]
        assert [each["exposed_at"] for each in first["snapshot_set"]["shadows"]] == [expose[0]["path"], "P:"]
        where.vss.lose(where.volumes.by_path("D:"), 25)
        remade, gone = good(plays(trouble, host, args, {"name": "ümläut", "state": "absent"}))
        assert remade["changed"] is True
        assert gone["changed"] is True


def test_a_domain_controllers_and_a_clients_snapshots_are_told_apart_from_writers(trouble):
    """System State of a whole server without a desktop: its writers take part in any language."""
    result, _ = good(plays(trouble, "core01", {"name": "system", "volumes": ["C:"]}, ALL_GONE))
    assert "System Writer" in {writer["name"] for writer in result["writers"] if writer["took_part"]}


# ---- two controllers
@pytest.mark.parametrize(("one", "two", "sets"), [("a", "b", 2), ("a", "A", 1)])
def test_two_controllers_at_once(fleet, one, two, sets):
    """Names of their own: both have theirs, one after the other. The same name: one makes it, the other finds it."""
    fleet.lab.faults.add(
        {"on": {"kind": "phase", "host": "sql01", "phase": "flush_hold", "times": 0}, "do": {"delay": 1.0}}
    )
    made = fleet.sets_created("sql01")
    with fleet.unchanged("sql01"):
        args = {**CRASH, "on_busy": {"wait": "60s"}}
        running = [fleet.start("sql01", "snapshot", {**args, "name": name}) for name in (one, two)]
        try:
            assert [process.wait(90) for process in running] == [0, 0]
        finally:
            for process in running:
                fleet.kill(process)
        assert fleet.sets_created("sql01") == made + sets
        assert len(shadows(fleet, "sql01")) == sets
        again = good(plays(fleet, "sql01", {**CRASH, "name": one}, {**CRASH, "name": two}, ALL_GONE))
        assert [result["changed"] for result in again] == [False, False, True]


def test_a_controller_that_may_not_wait_fails_cleanly_and_the_other_goes_on(fleet):
    """Whatever it was to do: it says who is at work."""
    good(plays(fleet, "sql01", {**CRASH, "name": "then"}))
    fleet.lab.faults.add(
        {"on": {"kind": "phase", "host": "sql01", "phase": "flush_hold", "times": 0}, "do": {"delay": 8.0}}
    )
    now = {
        "snapshot": {**CRASH, "name": "second", "on_busy": {"wait": 0}},
        "backup": {"sources": ["D:\\Bank"], "destination": "E:\\Busy", "allow_downgrade": True, "timeout": 0},
        "restore": {"name": "then", "paths": [{"path": "D:\\Bank", "to": "E:\\Busy"}], "timeout": 0},
        "storage": {"volume": "D:", "max_size": "900MB", "timeout": 0},
    }
    with fleet.unchanged("sql01"):
        first = fleet.start("sql01", "snapshot", {**CRASH, "name": "first"})
        try:
            fleet.wait_for(lambda: any(e.get("phase") == "flush_hold" for e in fleet.vss_trace("sql01")[-3:]), 40)
            tasks = [{f"umbra.vss.{module}": args, "ignore_errors": True} for module, args in now.items()]
            run = fleet.play("sql01", tasks, "-vv")
            assert first.wait(60) == 0
        finally:
            fleet.kill(first)
        for module in now:
            (answer,) = run.of(f"umbra.vss.{module}", "sql01")
            assert answer["status"] == "failed", answer
            assert "Another run of this collection is at work on sql01" in answer["result"]["msg"]
            assert answer["result"]["busy"].startswith("snapshot ")
        gone = good(plays(fleet, "sql01", {"state": "absent", "name": "first"}))[0]
        assert [removed["name"] for removed in gone["removed"]] == ["first"]
    assert good(plays(fleet, "sql01", ALL_GONE))[0]["changed"]
