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
        ({"on": {"kind": "http", "nth": 0}, "do": {"fail": 1}}, "nth starts at 1"),
        ({"on": {"kind": "http"}, "do": {"delay": "soon"}}, "not a duration"),
        ({"when": {}, "on": {"kind": "http"}, "do": {"fail": 1}}, "'when' is none of them"),
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
