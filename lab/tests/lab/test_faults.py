# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults are data."""

from __future__ import annotations

import threading

import pytest
from vsslab.faults import Faults, seconds


def test_a_fault_fires_on_the_occurrence_that_was_asked_for_and_then_no_more():
    faults = Faults()
    fault = faults.add({"on": {"kind": "phase", "phase": "freeze", "nth": 2}, "do": {"fail": "0x800423F2"}})
    assert [faults.match("phase", phase="freeze") for _ in range(4)] == [None, fault, None, None]
    assert fault.fail == 0x800423F2
    assert (fault.seen, fault.fired) == (4, 1)


def test_texts_are_globs_in_any_case_and_brackets_mean_themselves():
    faults = Faults()
    faults.add({"on": {"kind": "phase", "writer": "msmq writer [*", "times": 0}, "do": {"fail": 1}})
    assert faults.match("phase", writer="MSMQ Writer [MSMQ]")
    assert not faults.match("phase", writer="MSMQ Writer M")


def test_a_fact_that_is_not_there_never_agrees():
    faults = Faults()
    faults.add({"on": {"kind": "http", "operation": "*"}, "do": {"drop": "before"}})
    assert faults.match("http", host="sql01") is None
    assert faults.match("http", operation=None) is None
    assert faults.match("program", operation="Create") is None
    assert faults.match("http", operation="Create", host="sql01")


def test_a_list_means_any_of_them():
    faults = Faults()
    faults.add({"on": {"kind": "http", "operation": ["Send", "Receive"], "times": 0}, "do": {"status": 503}})
    assert [bool(faults.match("http", operation=each)) for each in ("Send", "Create", "receive")] == [True, False, True]


def test_two_equal_faults_fire_one_after_the_other():
    faults = Faults()
    first, second = (faults.add({"on": {"kind": "http"}, "do": {"delay": "1s"}}) for _ in range(2))
    assert [faults.match("http") for _ in range(3)] == [first, second, None]


def test_dice_are_seeded():
    def run(seed: int) -> list[bool]:
        faults = Faults()
        faults.add({"on": {"kind": "http", "times": 0, "probability": 0.5, "seed": seed}, "do": {"delay": 1}})
        return [faults.match("http") is not None for _ in range(50)]

    assert run(3) == run(3)
    assert run(3) != run(4)
    assert 10 < sum(run(3)) < 40


def test_many_threads_count_every_occurrence_once():
    faults = Faults()
    fault = faults.add({"on": {"kind": "http", "nth": 100, "times": 50}, "do": {"delay": 0}})
    hits: list[object] = []

    def work() -> None:
        hits.extend(each for _ in range(100) if (each := faults.match("http")))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(hits) == 50
    assert fault.seen == 800


@pytest.mark.parametrize(("text", "value"), [("70s", 70), ("2m", 120), ("250ms", 0.25), (3, 3), ("1.5", 1.5)])
def test_durations(text, value):
    assert seconds(text) == value


@pytest.mark.parametrize(
    ("definition", "sentence"),
    [
        ({"on": {"kind": "http"}}, "needs `on`"),
        ({"on": {}, "do": {"fail": 1}}, "needs on.kind"),
        ({"on": {"kind": "http", "nth": 0}, "do": {"fail": 1}}, "0 is not a whole number from 1 on"),
        ({"on": {"kind": "http"}, "do": {"delay": "soon"}}, "not a duration"),
        ({"when": {}, "on": {"kind": "http"}, "do": {"fail": 1}}, "'when' is none of them"),
        ({"on": {"kind": "htp"}, "do": {"fail": 1}}, r"'htp' is no kind of fault \(did you mean 'http'\?\)"),
        ({"on": {"kind": "http", "opration": "Send"}, "do": {"fail": 1}}, r"did you mean 'operation'\?"),
        ({"on": {"kind": "http", "operation": "Sent"}, "do": {"fail": 1}}, r"no operation \(did you mean 'Send'\?\)"),
        ({"on": {"kind": "phase", "phase": "freezing"}, "do": {"fail": 1}}, r"did you mean 'freeze'\?"),
        ({"on": {"kind": "phase"}, "do": {"dealy": 1}}, r"can do \(did you mean 'delay'\?\)"),
        ({"on": {"kind": "phase"}, "do": {"drop": "before"}}, "'drop' is nothing that a fault of kind phase can do"),
        ({"on": {"kind": "http"}, "do": {"drop": "meanwhile"}}, "do.drop: 'meanwhile' is not before or after"),
        ({"on": {"kind": "http"}, "do": {"delay": "1s", "free": 3}}, "'free' is nothing"),
        ({"on": {"kind": "http"}, "do": {"fill": "D:", "free": "much"}}, "do.free: 'much' is not a size"),
        ({"on": {"kind": "http"}, "do": {"fill": "data"}}, "not a volume"),
        ({"on": {"kind": "http"}, "do": {"kill": True}}, "needs the name of the process"),
        ({"on": {"kind": "http"}, "do": {"hang": "yes"}}, "'yes' is not true"),
        ({"on": {"kind": "http"}, "do": {"status": 99}}, "HTTP status"),
        ({"on": {"kind": "http", "operation": "connect"}, "do": {"status": 503}}, "cannot happen at operation connect"),
        ({"on": {"kind": "task"}, "do": {"fail": "broken"}}, "'broken' is not a code"),
        ({"on": {"kind": "task", "probability": 2}, "do": {"fail": 1}}, "not a probability"),
        ({"on": {"kind": "command", "parameters": "x"}, "do": {"fail": 1}}, "not a mapping"),
    ],
)
def test_nonsense_is_refused_at_once(definition, sentence):
    with pytest.raises(ValueError, match=sentence):
        Faults().add(definition)


def test_what_yaml_makes_of_the_word_on_is_understood():
    faults = Faults()
    assert faults.add({True: {"kind": "http"}, "do": {"delay": 1}}).kind == "http"


def test_removing():
    faults = Faults()
    fault = faults.add({"id": "slow", "on": {"kind": "http"}, "do": {"delay": 1}})
    assert [each.as_dict()["id"] for each in faults.list()] == ["slow"]
    with pytest.raises(ValueError, match="exists already"):
        faults.add({"id": "slow", "on": {"kind": "http"}, "do": {"delay": 1}})
    faults.remove(fault)
    assert faults.match("http") is None
    with pytest.raises(KeyError):
        faults.remove("slow")


def test_each_host_counts_for_itself():
    faults = Faults()
    fault = faults.add({"on": {"kind": "http", "nth": 2}, "do": {"delay": 0}})
    fired = [faults.match("http", host=host) is fault for host in ("a", "b", "a", "b", "a", "b")]
    assert fired == [False, False, True, True, False, False]
    assert (fault.seen, fault.fired) == (6, 2)


def test_every_so_manieth_occurrence():
    faults = Faults()
    faults.add({"on": {"kind": "http", "nth": 2, "every": 3, "times": 2}, "do": {"delay": 0}})
    assert [bool(faults.match("http")) for _ in range(10)] == [n in (2, 5) for n in range(1, 11)]


def test_dice_do_not_care_in_which_order_threads_come():
    def fired(order: list[str]) -> set[tuple[str, int]]:
        faults, counts = Faults(), dict.fromkeys(order, 0)
        faults.add({"on": {"kind": "phase", "times": 0, "probability": 0.5, "seed": 5}, "do": {"delay": 0}})
        told = set()
        for writer in order:
            counts[writer] += 1
            if faults.match("phase", host="a", phase="freeze", writer=writer):
                told.add((writer, counts[writer]))
        return told

    one = fired(["x", "y", "z"] * 20)
    assert one == fired(["z"] * 20 + ["y"] * 20 + ["x"] * 20)
    assert 15 < len(one) < 45


def test_what_hangs_is_released_once_and_removal_undoes_what_lasts():
    faults, undone = Faults(), []
    fault = faults.add({"on": {"kind": "http", "times": 0}, "do": {"hang": True}})
    fault.until_removed(lambda: undone.append(1))
    with fault.hanging() as released:
        assert fault.as_dict()["hanging"] == 1
        assert fault.release() == 1
        assert released.is_set()
    with fault.hanging() as released:
        assert not released.is_set()
        faults.clear()
        assert released.is_set()
    assert undone == [1]


def test_a_definition_makes_the_same_fault_again():
    given = {"id": "x", "on": {"kind": "command", "command": "Get-Date", "parameters": {"year": 1}, "nth": 3},
             "do": {"fail": "No.", "id": "Odd"}}  # fmt: skip
    assert Faults().add(given).definition() == given
