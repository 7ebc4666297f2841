# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The crash table: every step of every transaction, times everything that can befall it.

Each case has a fresh host with other people's things on it, goes through the transaction, is disturbed at the step, and
then either runs again (the host must be as declared) or is left alone until the lease is over (it must be clean).
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from ansible_collections.umbra.vss.plugins.plugin_utils._vss import steps
from ansible_collections.umbra.vss.plugins.plugin_utils._vss.steps import STEPS, Step
from controllers import Action, Controllers, Killed, Pipeline, controllers
from disturbances import DISTURBANCES, KILLED, REBOOT, SHARED, Disturbance
from stage import Bench, Declared, Watchers, multiplied
from transactions import EXAMPLES, POINT_OF_NO_RETURN, Example
from vsslab.lab import Lab

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / ".build" / "crash-table.txt"
LOG = ROOT / ".build" / "crash-cases.txt"
PROCESSES = 2
AT_ONCE = 4
LEAST_STEPS = 40
Watch = Callable[[Action, Pipeline], None]
LEASE = 4 * 3600.0  # seconds; long after any lease of ours is over
# To look at a part of the table: CRASH_ONLY='snapshot: *' or 'backup: copy'.
# `make test-all` looks at every so manieth step only (CRASH_EVERY), `make crash` at all of them.
ONLY, EVERY = os.environ.get("CRASH_ONLY", "*"), int(os.environ.get("CRASH_EVERY", "1"))
ROWS = [row for row in STEPS if fnmatchcase(f"{row.transaction}: {row.name}", ONLY)][::EVERY]


@dataclass
class Case:
    """One run, which fills one cell of the table or several; `wrong` is what was not as it should be, in words."""

    steps: list[Step]
    what: str
    example: Example
    host: str
    wrong: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Theatre:
    """The laboratory, and what cases need besides their hosts."""

    lab: Lab
    controllers: Controllers
    watchers: Watchers

    def bench(self, name: str) -> Bench:
        """A furnished host."""
        made = Bench(self.lab, self.controllers, name)
        made.furnish()
        return made


@contextmanager
def theatre(folder: Path, wanted: Sequence[tuple[str, bool]], *, virtual: bool = False) -> Iterator[Theatre]:
    """A laboratory with a host for each of (name, whether it is a server)."""
    folder.mkdir(parents=True, exist_ok=True)
    modules = sorted({each.module for each in EXAMPLES} | {"backup", "snapshot"})
    lab = Lab.from_scenario(multiplied(folder, wanted, virtual), state=folder / "lab", ports=(5985, 0))
    with lab, controllers(modules) as made, ExitStack() as stack:
        watchers = Watchers(lab)
        stack.callback(watchers.close)
        yield Theatre(lab, made, watchers)


def in_processes(play: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
    """What `play` makes of a share of the items, for each share: one process each, for a laboratory takes one core.

    The shares are inherited by forking, so only results are pickled.
    """
    shares = [items[at::PROCESSES] for at in range(PROCESSES)]
    made: list[tuple[Connection, BaseProcess]] = []
    context = multiprocessing.get_context("fork")

    def work(share: Sequence[Any], end: Connection) -> None:
        try:
            end.send((True, play(share)))
        except BaseException as error:
            end.send((False, f"{type(error).__name__}: {error}"))
            raise

    for share in shares:
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=work, args=(share, theirs))
        process.start()
        theirs.close()
        made.append((ours, process))
    told = [end.recv() for end, _ in made]
    for _, process in made:
        process.join()
    for good, result in told:
        assert good, result
    return [result for _, result in told]


# ---- rehearsals
@dataclass
class Rehearsal:
    """An example, undisturbed: its steps, the statements that no step has, and what was wrong at its end."""

    example: Example
    steps: dict[Step, int] = field(default_factory=dict)  # and the how manieth pipeline each begins in
    pipelines: int = 0
    strange: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)

    def watch(self, _action: Action, pipeline: Pipeline) -> None:
        """See a pipeline of the action."""
        self.pipelines += 1
        for told in pipeline:
            step = steps.step_of(self.example.transaction, told["key"])
            if step is not None:
                self.steps.setdefault(step, self.pipelines)
            elif told["changes"] and not steps.harmless(told["key"]):
                self.strange.add(f"{self.example.transaction}: {told['key']}")


def rehearse(stage: Theatre, example: Example, host: str) -> Rehearsal:
    """Run an example without any disturbance, twice if it is one that fails at first."""
    found = Rehearsal(example)
    try:
        _rehearse(stage, stage.bench(host), example, found)
    except Exception as error:  # noqa: BLE001 - told with the others
        found.wrong.append(f"{type(error).__name__}: {error}")
    return found


def _rehearse(stage: Theatre, bench: Bench, example: Example, found: Rehearsal) -> None:
    example.before(bench)
    if example.first is not None:
        found.wrong = [f"before it: {each}" for each in bench.wrong(example.first)]
    result = perform(stage, bench, example, found.watch)
    if example.fails:
        found.wrong += [] if result.get("failed") else ["it did not fail"]
        possible = [example.first or example.then, *example.half]
        found.wrong += [f"after it failed: {each}" for each in least_wrong(bench, possible)]
        result = bench.act(example.module, example.told(bench))
    found.wrong += failure("it", result) + bench.wrong(example.then)


def perform(stage: Theatre, bench: Bench, example: Example, watch: Watch) -> dict[str, Any]:
    """Go through an example, with the trouble that makes it fail, if it is one that is to. Raises Killed."""
    stumbling = None
    if example.stumbles:
        name, what = example.stumbles
        step = next(step for step in steps.of(example.transaction) if step.name == name)
        stumbling = Disturbance(bench, stage.watchers, step, what)

    def both(action: Action, pipeline: Pipeline) -> None:
        if stumbling is not None:
            stumbling.watch(action, pipeline)
        watch(action, pipeline)

    with bench.troubled(example.trouble):
        try:
            return bench.act(example.module, example.told(bench), both)
        finally:
            if stumbling is not None:
                stumbling.end()


def failure(what: str, result: Mapping[str, Any]) -> list[str]:
    """What an action says when it failed."""
    if result.get("failed") or result.get("unreachable"):
        return [f"{what} failed: {result.get('msg')} {result.get('trace', '')}".strip()]
    return []


# ---- one case
def disturbed(stage: Theatre, case: Case) -> tuple[Bench, dict[str, Any] | None]:
    """Set the stage, and go through the transaction, disturbed; its result, None when its controller was killed."""
    bench = stage.bench(case.host)
    case.example.before(bench)
    disturbance = Disturbance(bench, stage.watchers, case.steps[0], case.what)
    result: dict[str, Any] | None = None
    try:
        result = perform(stage, bench, case.example, disturbance.watch)
        bench.quiet()
    except Killed:
        bench.quiet()
        if case.what != KILLED:
            case.wrong.append("the controller died by itself")
    finally:
        disturbance.end()
    if not disturbance.met:
        case.wrong.append("it was not disturbed")
    return bench, result


def run_again(stage: Theatre, case: Case) -> None:
    """The next run must end in the declared state."""
    bench, _ = disturbed(stage, case)
    case.wrong += failure("the next run", bench.act(case.example.module, case.example.told(bench)))
    bench.quiet()
    case.wrong += least_wrong(bench, [case.example.then, *case.example.again], rebooted=case.what == REBOOT)


def after_the_lease(case: Case, bench: Bench, result: dict[str, Any] | None) -> list[str]:
    """What is wrong with the host when the lease is over: it is as declared, or as it was before."""
    example, rebooted = case.example, case.what == REBOOT
    if result is not None and not failure("", result):
        # What it said that it left behind is what its lease has removed since, which leaves its trace.
        return least_wrong(bench, [example.then], rebooted=rebooted, expired=bool(result.get("left_behind")))
    possible = [example.first or example.then, *example.half]
    order = steps.of(example.transaction)
    point = POINT_OF_NO_RETURN[example.transaction]
    if not point or point in [step.name for step in order[: order.index(case.steps[-1]) + 1]]:
        possible.append(example.then)
    return least_wrong(bench, possible, rebooted=rebooted, expired=True)


def least_wrong(bench: Bench, possible: Sequence[Declared], **how: bool) -> list[str]:
    """What is wrong by the declaration that comes nearest."""
    return min((bench.wrong(each, **how) for each in possible), key=len)


def guarded(play: Callable[[Theatre, Case], None], stage: Theatre) -> Callable[[Case], None]:
    """Play cases so that whatever happens stands in their cells."""

    def inner(case: Case) -> None:
        began = time.monotonic()
        try:
            play(stage, case)
        except Exception as error:  # noqa: BLE001 - a cell of the table, whatever it is
            case.wrong.append(f"{type(error).__name__}: {error}")
        with LOG.open("a", encoding="utf-8") as log:  # for whoever cannot wait
            print(f"{time.monotonic() - began:5.1f} s", case.steps[0].transaction, case.steps[0].name, case.what,
                  case.example.name, *case.wrong, sep=" | ", file=log)  # fmt: skip

    return inner


# ---- the table
def cases(rehearsals: Sequence[Rehearsal], rows: Sequence[Step]) -> dict[tuple[Step, str], Case]:
    """A case for each step and disturbance; where several examples go through a step, they take turns.

    A host gets a pipeline as a whole, or not at all, and goes on with it whatever becomes of its controller. So what
    befalls the controller or the connection is the same at all steps of a pipeline, and one case.
    """
    found: dict[tuple[Step, str], Case] = {}
    runs: dict[tuple[Any, ...], Case] = {}
    for row in rows:
        able = [each for each in rehearsals if row in each.steps]
        able = [each for each in able if not each.example.fails] or able
        for turn, what in enumerate(DISTURBANCES if able else ()):
            one = able[turn % len(able)]
            at = (one.example.transaction, one.example.name, what, one.steps[row] if what in SHARED else row)
            case = runs.setdefault(at, Case([], what, one.example, f"case-{len(runs)}"))
            case.steps.append(row)
            found[row, what] = case
    return found


def matrix(rows: Sequence[Step], cells: Mapping[tuple[Step, str], Case]) -> list[str]:
    """The table, and below it what was wrong in each cell that is not ok."""
    width = max(len(f"{row.transaction}: {row.name}") for row in rows)
    lines = [" " * (width + 2) + "  ".join(DISTURBANCES)]
    notes: dict[str, str] = {}
    for row in rows:
        told = []
        for what in DISTURBANCES:
            case = cells.get((row, what))
            if case is not None and case.wrong:
                where = f"{row.transaction}: {row.name}, {what}, {case.example.name} ({case.host})"
                notes.setdefault(case.host, "\n      ".join([f"({len(notes) + 1}) {where}", *case.wrong]))
                told.append(f"({[*notes].index(case.host) + 1})".ljust(len(what)))
            else:
                told.append(("n/a" if case is None else "ok").ljust(len(what)))
        name = f"{row.transaction}: {row.name}".ljust(width + 2)
        lines.append((name + "  ".join(told)).rstrip())
    return [*lines, "", *notes.values()]


def show(capsys: Any, title: str, lines: Sequence[str]) -> None:
    """Print it for whoever runs the tests, and keep it."""
    with capsys.disabled():
        print("", title, *lines, sep="\n")
    with TABLE.open("a", encoding="utf-8") as file:
        print(title, *lines, "", sep="\n", file=file)


@pytest.fixture(scope="module")
def rehearsals(tmp_path_factory: pytest.TempPathFactory) -> list[Rehearsal]:
    """Every example, undisturbed."""
    TABLE.parent.mkdir(exist_ok=True)
    TABLE.unlink(missing_ok=True)
    LOG.unlink(missing_ok=True)
    folder = tmp_path_factory.mktemp("rehearsal")

    def play(share: Sequence[int]) -> list[tuple[int, Any]]:
        wanted = [(f"rehearsal-{at}", EXAMPLES[at].server) for at in share]
        with theatre(folder / str(share[0]), wanted) as stage, ThreadPoolExecutor(AT_ONCE) as pool:
            done = pool.map(lambda at: rehearse(stage, EXAMPLES[at], f"rehearsal-{at}"), share)
            return [
                (at, (each.steps, each.pipelines, each.strange, each.wrong))
                for at, each in zip(share, done, strict=True)
            ]

    told = dict(pair for share in in_processes(play, range(len(EXAMPLES))) for pair in share)
    return [Rehearsal(example, *told[at]) for at, example in enumerate(EXAMPLES)]


def test_undisturbed_they_end_as_declared(rehearsals):
    assert not {each.example.name: each.wrong for each in rehearsals if each.wrong}


def test_the_table_of_steps_has_every_statement_and_every_step_is_reached(rehearsals):
    assert not sorted(set.union(*(each.strange for each in rehearsals))), "statements that no step has"
    unreached = [f"{row.transaction}: {row.name}" for row in STEPS
                 if not any(row in each.steps for each in rehearsals)]  # fmt: skip
    assert not unreached
    assert len(STEPS) >= LEAST_STEPS


def test_the_next_run_ends_in_the_declared_state(rehearsals, tmp_path, capsys):
    cells = cases(rehearsals, ROWS)
    runs = distinct(cells)
    began = time.monotonic()

    def play(share: Sequence[Case]) -> list[tuple[str, list[str]]]:
        with theatre(tmp_path / share[0].host, of(share)) as stage, ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(guarded(run_again, stage), share))
        return [(case.host, case.wrong) for case in share]

    learn(runs, in_processes(play, runs))
    report(capsys, "then run again", ROWS, cells, began)


def test_without_a_next_run_the_lease_cleans_up(rehearsals, tmp_path, capsys):
    rows = [row for row in ROWS if row.transaction in POINT_OF_NO_RETURN]
    cells = cases(rehearsals, rows)
    runs = distinct(cells)
    began = time.monotonic()

    def play(share: Sequence[Case]) -> list[tuple[str, list[str]]]:
        left: dict[str, tuple[Bench, dict[str, Any] | None]] = {}

        def leave_alone(stage: Theatre, case: Case) -> None:
            left[case.host] = disturbed(stage, case)

        with theatre(tmp_path / share[0].host, of(share), virtual=True) as stage:
            with passing(stage.lab), ThreadPoolExecutor(AT_ONCE) as pool:
                list(pool.map(guarded(leave_alone, stage), share))
            late = stage.lab.time.advance(LEASE)
            for case in share:
                case.wrong += [f"the clock was late: {late}"] if late else []
                case.wrong += after_the_lease(case, *left[case.host]) if case.host in left else []
        return [(case.host, case.wrong) for case in share]

    learn(runs, in_processes(play, runs))
    report(capsys, "then left alone", rows, cells, began)


def of(cases: Sequence[Case]) -> list[tuple[str, bool]]:
    """The hosts of these cases."""
    return [(case.host, case.example.server) for case in cases]


def learn(runs: Sequence[Case], told: Sequence[Sequence[tuple[str, list[str]]]]) -> None:
    """What was wrong, as the processes tell it."""
    wrong = dict(pair for share in told for pair in share)
    for case in runs:
        case.wrong = wrong[case.host]


def distinct(cells: Mapping[tuple[Step, str], Case]) -> list[Case]:
    """Each case once."""
    return list({case.host: case for case in cells.values()}.values())


def report(capsys: Any, how: str, rows: Sequence[Step], cells: Mapping[tuple[Step, str], Case], began: float) -> None:
    """Show the table; every cell must be ok."""
    good = sum(not case.wrong for case in cells.values())
    count, runs = len({row for row, _ in cells}), len(distinct(cells))
    told = f"{count} steps, {len(cells)} cells ({runs} runs), {good} ok, {time.monotonic() - began:.0f} s"
    show(capsys, f"Disturbed, {how}: {told}", matrix(rows, cells))
    assert good == len(cells)


@contextmanager
def passing(lab: Lab) -> Iterator[None]:
    """Virtual time passes, as fast as the laboratory can, for as long as somebody waits for it."""
    over = threading.Event()

    def work() -> None:
        while not over.wait(0.05):
            if lab.time.deadlines():
                lab.time.advance(2.0, patience=0.2)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
