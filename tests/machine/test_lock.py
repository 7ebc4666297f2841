# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two controllers on one host: the lock, and what becomes of it when its owner dies."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from ansible_collections.umbra.vss.plugins.plugin_utils._host import Host
from ansible_collections.umbra.vss.plugins.plugin_utils._pipeline import HostFailure
from ansible_collections.umbra.vss.plugins.plugin_utils._vss import inventory, lock, records
from ansible_collections.umbra.vss.plugins.plugin_utils._vss.owner import Owner, this_process
from ansible_collections.umbra.vss.plugins.plugin_utils._vss.removal import remove_kept
from ansible_collections.umbra.vss.plugins.plugin_utils._vss.run import Busy, Run, Stale, begin

from .direct import Controller, DirectRunner, build

ELSEWHERE = Owner("another controller", "boot", "pid:[1]", 12, "99", "ada")
LOCK = r"C:\Windows\umbra-vss\lock"


@pytest.fixture
def windows(tmp_path: Any) -> Iterator[Any]:
    host = build(tmp_path)
    try:
        yield host
    finally:
        host.close()


def run_of(windows: Any, action: str = "snapshot", owner: Owner | None = None) -> Run:
    host = Host("srv1", DirectRunner(windows))
    run = begin(host, inventory.gather(host, ["records"]), action, "n", lambda text: None)
    run.sleep = lambda seconds: None
    if owner is not None:
        run.record = replace(run.record, owner=owner)
    return run


def holds(windows: Any) -> list[str]:
    """The runs that have the lock: one or none."""
    return (
        [each.name.removesuffix(".json") for each in windows.files.listdir(LOCK)] if windows.files.exists(LOCK) else []
    )


def left(windows: Any) -> list[str]:
    """What is in the state folder but the folders that stay."""
    return sorted(
        each.path.partition("umbra-vss\\")[2]
        for each in windows.files.walk(r"C:\Windows\umbra-vss")
        if each.name not in (records.RUNS, records.EXPIRED)
    )


def test_one_has_it_and_gives_it_back(windows):
    run = run_of(windows)
    run.start()
    assert holds(windows) == [run.record.run]
    assert run.finish() == []
    assert holds(windows) == []
    assert left(windows) == []


def test_who_comes_second_is_told_who_is_first_and_leaves_nothing(windows):
    first = run_of(windows, "backup", ELSEWHERE)
    first.start()
    second = run_of(windows)
    with pytest.raises(Busy, match=r"backup .* of ada@another controller"):
        second.start(timeout=0)
    assert holds(windows) == [first.record.run]
    assert not [name for name in left(windows) if second.record.run in name]
    assert not [task for task in windows.tasks.list() if second.record.run in task.name]


def test_who_is_over_is_taken_over_from_and_by_one_only(windows):
    dead = run_of(windows, owner=ELSEWHERE)
    dead.start(lease=timedelta(seconds=-60))
    both = [run_of(windows), run_of(windows)]
    both[0].start()
    with pytest.raises(Busy):
        both[1].start(timeout=0)
    assert holds(windows) == [both[0].record.run]
    both[0].finish()
    assert holds(windows) == []


def test_an_empty_lock_is_in_nobodys_way(windows):
    """Its owner died between removing his file and removing the folder."""
    first = run_of(windows)
    first.start()
    windows.files.remove(rf"{LOCK}\{first.record.run}.json")
    second = run_of(windows)
    second.start()
    assert holds(windows) == [second.record.run]
    first.host.act(*first.release())
    assert holds(windows) == [second.record.run], "what is not his he does not give back"


def test_a_lock_that_cannot_be_read_counts_for_as_long_as_a_lease(windows):
    first = run_of(windows)
    first.start()
    windows.files.write(rf"{LOCK}\{first.record.run}.json", b"{")
    assert run_of(windows).facts.lock.over(first.now(), first.record.owner) is None
    assert run_of(windows).facts.lock.over(first.now() + records.LEASE * 1.1, first.record.owner)


def test_a_decision_on_facts_that_are_out_of_date_is_taken_anew(windows):
    late = run_of(windows)
    other = run_of(windows)
    other.start()
    other.host.act(*other.keeping())
    with pytest.raises(Stale):
        late.start()
    assert holds(windows) == []
    assert left(windows) == [f"runs\\{other.record.run}", f"runs\\{other.record.run}\\record.json"]


def test_what_was_kept_has_no_lease_any_more(windows):
    run = run_of(windows)
    run.start()
    assert [task.name for task in windows.tasks.list() if task.name.startswith(run.record.run)] == [
        f"{run.record.run}-lease"
    ]
    run.host.act(*run.keeping())
    assert not [task for task in windows.tasks.list() if task.name.startswith(run.record.run)]
    kept = inventory.gather(run.host, ["records"]).records.named("n")
    assert [record.run for record in kept] == [run.record.run]


@pytest.mark.parametrize(
    ("until", "over"), [("2026-01-01T00:00:00Z", True), ("2999-01-01T00:00:00Z", False), ("?", False)]
)
def test_another_controllers_lock_is_over_with_its_lease(windows, until, over):
    holder = lock.Holder("x", owner=ELSEWHERE, until=until)
    assert bool(holder.over(run_of(windows).now(), this_process())) is over


def test_many_at_once_have_it_one_after_the_other(windows):
    inside, most, done = [], [], []

    def work() -> None:
        run = run_of(windows)
        run.sleep = lambda seconds: time.sleep(0.01)
        run.start(timeout=60)
        inside.append(run.record.run)
        most.append(len(inside))
        time.sleep(0.02)
        inside.remove(run.record.run)
        done.append(run.finish())

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert done == [[]] * 6
    assert max(most) == 1
    assert left(windows) == []


def test_nobody_takes_it_from_one_who_may_still_be_waiting(windows):
    """A lock lasts as long as the lease: half an hour after the last moment at which its run gives up waiting."""
    patient = run_of(windows, owner=ELSEWHERE)
    patient.start(timeout=3600)
    windows.clock.time.advance(80 * 60)
    other = run_of(windows)
    with pytest.raises(Busy, match="is at work"):
        other.start()
    assert holds(windows) == [patient.record.run]
    windows.clock.time.advance(20 * 60)
    other = run_of(windows)
    other.start()
    assert holds(windows) == [other.record.run]
    assert other.finish() == []


def test_what_has_gone_in_waiting_for_it_is_not_waited_again(windows):
    run = run_of(windows)
    before = time.monotonic()
    run.start(timeout=30)
    assert before + 30 <= run.deadline <= time.monotonic() + 30


def test_a_removal_that_fails_lets_others_have_their_turn(windows):
    made = Controller(windows).task("snapshot", {"name": "n", "volumes": ["D:"], "consistency": "crash"})
    assert not made.get("failed")
    host = Host("srv1", DirectRunner(windows))
    facts = inventory.gather(host, ["records", "snapshots"])
    (target,) = facts.records.readable
    windows.files.remove_tree(rf"C:\Windows\umbra-vss\runs\{target.run}")  # somebody has buried it meanwhile
    facts = replace(facts, records=replace(facts.records, readable=()))
    with pytest.raises(HostFailure):
        remove_kept(host, facts, [target], lambda text: None)
    assert holds(windows) == []


def test_a_run_that_waits_to_clean_up_waits_as_long_as_the_task_says(windows):
    patient = run_of(windows, owner=ELSEWHERE)
    patient.start(timeout=3600)
    dead = run_of(windows)
    dead._opening(records.LEASE)
    dead.host.act(records.first(dead.record, r"C:\Windows"))
    args = {"name": "n", "volumes": ["D:"], "consistency": "crash", "on_busy": {"wait": "0s"}}
    started = time.monotonic()
    answer = Controller(windows).task("snapshot", args)
    assert answer["failed"], answer
    assert "is at work" in answer["msg"]
    assert time.monotonic() - started < 20
