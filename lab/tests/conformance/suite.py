# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The suite's own work: run everything through the parties, compare, excuse what is listed, and write it down."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from vsslab.windows.host import Host

from . import recordings, world
from .answers import Answer, differences
from .parties import Interpreter, RealEngine
from .pipelines import Group, Pipeline, every

HERE = Path(__file__).parent
STORED = HERE / "engine-answers.json"
REASONS = HERE / "reasons.yml"
DOCUMENT = HERE.parents[1] / "docs" / "conformance.md"
Answers = dict[str, Answer]


@dataclass(frozen=True)
class Difference:
    """One place where the interpreter answers otherwise than a party."""

    pipeline: Pipeline
    party: str
    place: str
    ours: Any
    theirs: Any


@dataclass(frozen=True)
class Reason:
    """Why some differences are no fault: patterns of party, pipeline and place (whole text), and of both values."""

    key: str
    text: str
    party: str
    pipeline: str = ".*"
    place: str = ".*"
    ours: str = ".*"
    theirs: str = ".*"

    def excuses(self, found: Difference) -> bool:
        """True when the difference is of this kind."""
        pairs = ((self.party, found.party), (self.pipeline, found.pipeline.name), (self.place, found.place),
                 (self.ours, shown(found.ours)), (self.theirs, shown(found.theirs)))  # fmt: skip
        return all(re.fullmatch(pattern, text, re.DOTALL) for pattern, text in pairs)


def shown(value: Any) -> str:
    """A value of an answer as short text."""
    return "(none)" if value is None else json.dumps(value, ensure_ascii=False)


def ask_all(ask: Callable[[Host, Group], Interpreter | RealEngine], folder: Path) -> Answers:
    """Every answer of one party, each group in a session and on a host of its own."""
    found: Answers = {}
    current: Group | None = None
    host: Host | None = None
    session: Interpreter | RealEngine | None = None
    try:
        for group, pipeline in every():
            if group is not current:
                _end(session, host)
                current, host = group, world.build(folder / group.name, group.name)
                session = ask(host, group)
            assert session is not None
            found[pipeline.name] = session.ask(pipeline)
    finally:
        _end(session, host)
    return found


def _end(session: Interpreter | RealEngine | None, host: Host | None) -> None:
    if session is not None:
        session.close()
    if host is not None:
        host.close()


def interpreter(folder: Path) -> Answers:
    """The interpreter's answers."""
    return ask_all(lambda host, group: Interpreter(host, group.user, group.configuration), folder)


def compare(ours: Answers, theirs: Answers, party: str) -> list[Difference]:
    """Every difference to one party, whose answers need not be complete."""
    return [
        Difference(pipeline, party, place, mine, other)
        for _, pipeline in every()
        if pipeline.name in theirs
        for place, (mine, other) in differences(
            ours[pipeline.name], theirs[pipeline.name], free_order=pipeline.free_order
        ).items()
    ]


def recorded() -> Answers:
    """The recordings of pipelines of the list."""
    return {pipeline.name: recordings.answer(pipeline.recorded) for _, pipeline in every() if pipeline.recorded}


def stored() -> dict[str, Any]:
    """The real engine's answers as they were stored: {"engine": version, "answers": {...}}."""
    found: dict[str, Any] = json.loads(STORED.read_text(encoding="utf-8"))
    return found


def store(version: str, answers: Answers) -> None:
    """Keep the real engine's answers; one that says the same as before stays as it was written."""
    before = stored()["answers"] if STORED.exists() else {}
    known = {name: each for name, each in answers.items() if name in before}
    changed = {each.pipeline.name for each in compare(before, known, "engine")} | answers.keys() - before.keys()
    answers = {name: each if name in changed else before[name] for name, each in answers.items()}
    lines = [f"{json.dumps(name, ensure_ascii=False)}:{json.dumps(each, ensure_ascii=False, separators=(',', ':'))}"
             for name, each in answers.items()]  # fmt: skip
    body = ",\n".join(lines)
    STORED.write_text(f'{{"engine":{json.dumps(version)},"answers":{{\n{body}\n}}}}\n', encoding="utf-8")


def reasons() -> list[Reason]:
    """The table of reasons."""
    return [Reason(**row) for row in yaml.safe_load(REASONS.read_text(encoding="utf-8"))]


def judge(found: list[Difference]) -> tuple[list[tuple[Difference, Reason]], list[Difference], list[Reason]]:
    """(explained differences, unexplained ones, reasons that nothing needs)."""
    table, explained, left = reasons(), [], []
    for each in found:
        reason = next((one for one in table if one.excuses(each)), None)
        if reason is None:
            left.append(each)
        else:
            explained.append((each, reason))
    used = {reason.key for _, reason in explained}
    return explained, left, [each for each in table if each.key not in used]


def document(version: str, explained: list[tuple[Difference, Reason]]) -> str:
    """The text of lab/docs/conformance.md."""
    pipelines = [pipeline for _, pipeline in every()]
    differing = {found.pipeline.name for found, _ in explained}
    counted: dict[str, list[Difference]] = {}
    for found, reason in explained:
        counted.setdefault(reason.key, []).append(found)
    return "\n".join([*_head(version, len(pipelines), len(differing)), *_kinds(counted), *_table(explained)]) + "\n"


def _head(version: str, pipelines: int, differing: int) -> Iterator[str]:
    recorded_too = sum(1 for _, each in every() if each.recorded)
    yield from (_INTRODUCTION.format(pipelines=pipelines, same=pipelines - differing, differing=differing,
                                     recorded=recorded_too, version=version)).splitlines()  # fmt: skip


def _kinds(counted: dict[str, list[Difference]]) -> Iterator[str]:
    yield from ("", "## Reasons", "", "| reason | what it says | places | pipelines |", "| --- | --- | --- | --- |")
    for reason in reasons():
        found = counted.get(reason.key, [])
        names = {each.pipeline.name for each in found}
        yield f"| {reason.key} | {_cell(reason.text)} | {len(found)} | {len(names)} |"


def _table(explained: list[tuple[Difference, Reason]]) -> Iterator[str]:
    yield from ("", "## Pipelines that differ", "",
                "| pipeline | party | where | interpreter | party's answer | reason |",
                "| --- | --- | --- | --- | --- | --- |")  # fmt: skip
    rows: dict[tuple[str, str, str], list[Difference]] = {}
    for found, reason in explained:
        rows.setdefault((found.pipeline.name, found.party, reason.key), []).append(found)
    for (name, party, key), found in rows.items():
        first = found[0]
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        cells = (name, party, f"{first.place}{more}", _short(first.ours), _short(first.theirs), key)
        yield "| " + " | ".join(map(_cell, cells)) + " |"


def _short(value: Any) -> str:
    text = shown(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


_INTRODUCTION = """\
# Conformance

Written by the suite in lab/tests/conformance; do not change it by hand (`make conformance` writes it anew).

One list of {pipelines} pipelines is answered by three parties: the laboratory's interpreter, a real PowerShell engine
over the same simulated host ({version}), and recorded conversations with a real engine ({recorded} of the
pipelines). Compared are the final state, the failure, every message in its order and stream, values with their CLIXML
type, type names, properties with their values, and of errors the ID up to the first comma, category, exception,
message, activity and target.

{same} pipelines are answered alike by all parties that were asked; {differing} differ somewhere, each place for a
reason below.  A difference without a reason fails the suite, and so does a reason that nothing needs any more.

Not compared: how a Double is spelled (3 or 3.0), moments of the run, random GUIDs and the space of a drive (each is
marked), whether a property is adapted or extended (the objects of the simulated host reach a real engine with extended
ones), the details of an error record's invocation, and the order between the two streams of a program."""
