# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One list of pipelines, three parties: every difference has a reason, every reason a difference.

The real engine's answers are stored (engine-answers.json).  Where PSENGINE names an engine's folder it is asked anew;
with CONFORMANCE=write (`make conformance`) its answers and lab/docs/conformance.md are written.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from . import suite
from .parties import RealEngine, engine_at, version_of
from .pipelines import every

WRITE = os.environ.get("CONFORMANCE") == "write"
ENGINE = os.environ.get("PSENGINE")


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> suite.Answers:
    return suite.interpreter(tmp_path_factory.mktemp("interpreter"))


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[suite.Answers]:
    """The real engine's answers, asked now."""
    if not ENGINE:
        pytest.skip("PSENGINE does not name the folder of a PowerShell engine; its stored answers are compared")
    engine = engine_at(Path(ENGINE), tmp_path_factory.mktemp("engine"))
    try:
        yield suite.ask_all(
            lambda host, group: RealEngine(engine, host, group.user, group.configuration),
            tmp_path_factory.mktemp("real"),
        )
    finally:
        engine.close()


def test_the_list_is_long_and_no_name_comes_twice() -> None:
    names = [pipeline.name for _, pipeline in every()]
    assert len(names) >= 150
    assert len(set(names)) == len(names)


@pytest.mark.skipif(not WRITE, reason="only `make conformance` writes the engine's answers")
def test_the_answers_are_written(live: suite.Answers) -> None:
    assert ENGINE
    suite.store(version_of(Path(ENGINE)), live)


def test_every_difference_has_a_reason_and_every_reason_a_difference(ours: suite.Answers) -> None:
    stored = suite.stored()
    assert set(stored["answers"]) == set(ours), "the list has changed: run `make conformance` with an engine"
    _judged(ours, stored["answers"])


def test_the_document_is_what_the_suite_would_write(ours: suite.Answers) -> None:
    stored = suite.stored()
    explained, _, _ = suite.judge(_found(ours, stored["answers"]))
    text = suite.document(stored["engine"], explained)
    if WRITE:
        suite.DOCUMENT.parent.mkdir(exist_ok=True)
        suite.DOCUMENT.write_text(text, encoding="utf-8")
    assert suite.DOCUMENT.read_text(encoding="utf-8") == text, "run these tests with CONFORMANCE=write"


def test_the_engine_answers_as_it_did_when_its_answers_were_stored(ours: suite.Answers, live: suite.Answers) -> None:
    _judged(ours, live)
    changed = {each.pipeline.name for each in suite.compare(suite.stored()["answers"], live, "engine")}
    assert changed == set()


def test_a_difference_without_a_reason_is_found(ours: suite.Answers) -> None:
    """The judge does not excuse what nobody listed, whatever party it comes from."""
    wrong = {name: {**answer, "state": "Completed" if answer["state"] == "Failed" else "Failed"}
             for name, answer in ours.items()}  # fmt: skip
    for party in ("engine", "recording"):
        _, left, _ = suite.judge(suite.compare(ours, wrong, party))
        excused = set(ours) - {found.pipeline.name for found in left}
        assert len(excused) < 8, excused  # those whose whole answer is excused


def _found(ours: suite.Answers, engine: suite.Answers) -> list[suite.Difference]:
    return suite.compare(ours, engine, "engine") + suite.compare(ours, suite.recorded(), "recording")


def _judged(ours: suite.Answers, engine: suite.Answers) -> None:
    _, left, unused = suite.judge(_found(ours, engine))
    lines = [f"{each.pipeline.name} [{each.party}] {each.place}: {suite.shown(each.ours)} / {suite.shown(each.theirs)}"
             for each in left]  # fmt: skip
    assert not lines, "\n".join(["no reason is listed for:", *lines])
    assert not unused, f"reasons that nothing needs any more: {[each.key for each in unused]}"
