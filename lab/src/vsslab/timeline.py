# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A trace as people read it: who did what when, inside what, and how long it took.

`render(entries, host=None, color=False)` gives the lines of a whole trace: of a running laboratory (`lab.trace`) or of
a file (`read(path)`).  `line(entry, color=False)` gives one entry by itself, for following a trace as it grows.

A line is time, host, a mark and a text, indented by what it happened in: a client's session, a pipeline, a program.
The marks are `!` for a fault that was ordered, `x` for what failed, `?` for what the laboratory refused to simulate.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vsslab.timeline_words import COMMON, FAILED, FAULT, REFUSED, Mark, describe, seconds_of
from vsslab.trace import Entry

__all__ = ["TimelineError", "describe", "line", "read", "render"]
_COLORS = {FAULT: "\x1b[33m", FAILED: "\x1b[31m", REFUSED: "\x1b[35m"}
_FAINT, _PLAIN = "\x1b[2m", "\x1b[0m"
_WIDE = 14
_SPANS = {"pipeline": 1, "program": 2}  # what holds other things, outermost first; a session is 0
_SESSION = 0


class TimelineError(ValueError):
    """The file is no trace; one sentence."""


@dataclass
class _Node:
    """One line, or several equal requests as one, with what happened inside."""

    entry: Entry
    rank: int
    begin: float
    end: float
    ending: Entry | None = None
    times: int = 1
    inside: list[_Node] = field(default_factory=list)


def read(path: Path) -> list[Entry]:
    """The entries of a file of JSON lines; TimelineError names the line that is none.

    A last line without its end is left out: the laboratory is writing it just now.
    """
    entries: list[Entry] = []
    text = path.read_text(encoding="utf-8")
    for number, each in enumerate(text.splitlines(keepends=True), 1):
        if not each.endswith("\n") or not each.strip():
            continue
        try:
            entry = json.loads(each)
        except ValueError:
            raise TimelineError(f"{path}, line {number}, is no line of a trace.") from None
        if not isinstance(entry, dict) or not set(COMMON) <= set(entry):
            raise TimelineError(f"{path}, line {number}, is no line of a trace.")
        entries.append(entry)
    return entries


def render(entries: Iterable[Entry], host: str | None = None, color: bool = False) -> Iterator[str]:
    """The lines of a timeline, oldest first, without line ends.

    `host` picks one host (without regard to case) and leaves the laboratory's own entries out; `color` adds terminal
    colours.  Entries may be in any order; what is still under way has no duration.
    """
    chosen = [each for each in entries if host is None or str(each["host"]).lower() == host.lower()]
    chosen.sort(key=lambda each: (each["clock"], each["n"]))
    nodes: list[_Node] = []
    for name in dict.fromkeys(each["host"] for each in chosen):
        nodes += _nested(_nodes([each for each in chosen if each["host"] == name]))
    nodes.sort(key=lambda node: (node.begin, node.entry["n"]))
    for node in nodes:
        yield from _lines(node, 0, color)


def line(entry: Entry, color: bool = False) -> str:
    """One entry as one line, by itself."""
    return _line(_Node(entry, 9, entry["clock"], entry["clock"]), 0, color)


# --- from entries to a tree


def _nodes(entries: list[Entry]) -> list[_Node]:
    """Every entry of one host, and a session for each connection; requests count from when they came."""
    last = max((each["clock"] for each in entries), default=0.0)
    phases: dict[Any, _Node] = {}
    nodes: list[_Node] = []
    pipelines: dict[Any, _Node] = {}
    sessions: dict[Any, _Node] = {}
    for entry in entries:
        kind, clock = entry["event"], entry["clock"]
        if kind == "pipeline_end" and entry.get("id") in pipelines:
            node = pipelines.pop(entry["id"])
            node.end, node.ending = clock, entry
            continue
        begin = float(entry.get("began", clock - (seconds_of(entry) or 0.0)))
        node = _Node(entry, _SPANS.get(kind, 9), begin, clock)
        if kind == "pipeline":
            pipelines[entry.get("id")] = node
            node.end = last
        if kind == "vss" and entry.get("set") and "phase" in entry:
            _end_phase(phases, node)
        if kind == "http":
            _into_session(sessions, nodes, node)
        else:
            nodes.append(node)
    return nodes


def _end_phase(phases: dict[Any, _Node], node: _Node) -> None:
    """A phase of a creation lasts until the next one of the same set begins."""
    before = phases.get(node.entry["set"])
    if before is not None:
        before.entry = {**before.entry, "seconds": node.begin - before.begin}
    phases[node.entry["set"]] = node


def _into_session(sessions: dict[Any, _Node], nodes: list[_Node], request: _Node) -> None:
    client = request.entry.get("client")
    session = sessions.get(client)
    if session is None:
        opening = {**request.entry, "event": "session"}
        session = sessions[client] = _Node(opening, _SESSION, request.begin, request.end)
        nodes.append(session)
    session.end = max(session.end, request.end)
    if request.entry.get("user"):
        session.entry["user"] = request.entry["user"]
    session.inside.append(request)


def _nested(nodes: list[_Node]) -> list[_Node]:
    """What happened inside what: the innermost that was open the whole time, of the same account if both name one."""
    top: list[_Node] = []
    holders: list[_Node] = []
    for node in sorted(nodes, key=lambda each: (each.begin, each.rank, each.entry["n"])):
        holders = [each for each in holders if each.end >= node.begin]
        fitting = [each for each in holders if each.rank < node.rank and each.end >= node.end and _same(each, node)]
        (max(fitting, key=lambda each: (each.rank, each.begin)).inside if fitting else top).append(node)
        if node.rank < 9:
            holders.append(node)
    return top


def _same(outer: _Node, inner: _Node) -> bool:
    """Whether the accounts agree; a session knows its user without a domain, an event has none."""
    users = [str(each.entry.get("user") or "").rpartition("\\")[2].lower() for each in (outer, inner)]
    return not inner.entry.get("user") or users[0] == users[1]


# --- from the tree to lines


def _lines(node: _Node, depth: int, color: bool) -> Iterator[str]:
    yield _line(node, depth, color)
    for each in _folded(sorted(node.inside, key=lambda inner: (inner.begin, inner.entry["n"]))):
        yield from _lines(each, depth + 1, color)
    if node.ending is not None and node.inside:
        yield _line(_Node(node.ending, 9, node.end, node.end), depth, color)


def _folded(nodes: list[_Node]) -> Iterator[_Node]:
    """Requests of one kind and outcome that follow each other are one line with their number."""
    before: _Node | None = None
    for node in nodes:
        if before is not None and _alike(before.entry, node.entry):
            before.times += 1
            before.end = node.end
            for key in ("bytes_up", "bytes_down", "seconds"):
                before.entry[key] = before.entry.get(key, 0) + node.entry.get(key, 0)
            continue
        if before is not None:
            yield before
        before = _Node({**node.entry}, node.rank, node.begin, node.end, node.ending, 1, node.inside)
    if before is not None:
        yield before


def _alike(one: Entry, two: Entry) -> bool:
    if one["event"] != "http" or two["event"] != "http":
        return False
    return all(one.get(key) == two.get(key) for key in ("operation", "status", "fault"))


def _line(node: _Node, depth: int, color: bool) -> str:
    entry = node.entry
    mark, text = describe(entry)
    if node.ending is not None and not node.inside:  # begun and ended with nothing between: one line says both
        after, ending = describe(node.ending)
        mark, text = mark or after, f"{text} -> {ending}"
    if node.times > 1:
        text += f", {node.times} times"
    spent = node.end - node.begin if node.rank == _SESSION else seconds_of(node.ending or entry)
    if spent is not None and (node.ending is None or not node.inside):
        text += f"  ({_duration(spent)})"
    moment = _moment(entry, node.begin)
    name = str(entry["host"] or "-")
    return _painted(f"{moment}  {name:<{_WIDE}} ", f"{mark:<1} ", "  " * depth + text, mark, color)


def _moment(entry: Entry, begin: float) -> str:
    """The time of day (UTC) at which it began: entries are written when it is over."""
    hours, minutes, rest = str(entry["time"])[11:23].split(":")
    total = int(hours) * 3600 + int(minutes) * 60 + float(rest) - (entry["clock"] - begin)
    total %= 86_400
    return f"{int(total // 3600):02}:{int(total % 3600 // 60):02}:{total % 60:06.3f}"


def _duration(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.2f} s" if seconds < 60 else f"{int(seconds // 60)} min {seconds % 60:.0f} s"


def _painted(head: str, mark: str, text: str, kind: Mark, color: bool) -> str:
    if not color:
        return (head + mark + text).rstrip()
    strong = _COLORS.get(kind, "")
    return f"{_FAINT}{head}{_PLAIN}{strong}{mark}{text}{_PLAIN if strong else ''}"
