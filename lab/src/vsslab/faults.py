# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults are data: on which occurrence of what, do what.

A room of the laboratory calls ``incidents.meet(host, kind, ...)`` whenever it reaches a place that can fail, and does
what is left of the returned fault.  Whoever defines a fault needs no code::

    on: {kind: phase, host: 'sql*', phase: freeze, writer: SqlServerWriter, nth: 2}
    do: {fail: '0x800423F2'}

Occurrences are counted on each host by themselves; the dice depend on the seed and on that count alone, so that a run
with the same seed repeats, whatever threads did in between.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from vsslab import faultwords
from vsslab.faultwords import seconds

__all__ = ["Fault", "Faults", "seconds"]

_Stream = tuple[str, ...]


def _glob(pattern: str) -> re.Pattern[str]:
    """`*` and `?` as in Windows; brackets mean themselves, because names of writers contain them."""
    text = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.compile(text, re.IGNORECASE | re.DOTALL)


def _agrees(wanted: Any, fact: Any) -> bool:
    if isinstance(wanted, list):
        return any(_agrees(each, fact) for each in wanted)
    if isinstance(fact, (list, tuple, set, frozenset)):
        return any(_agrees(wanted, each) for each in fact)
    if isinstance(wanted, str):
        return fact is not None and _glob(wanted).fullmatch(str(fact)) is not None
    return bool(wanted == fact)


@dataclass
class Fault:
    """One fault: the facts it waits for (`on`), what to do then (`do`), and its counters.

    `nth` is the first matching occurrence on a host that fires (from 1), `every` how manieth from there on, `times` how
    many fire (0: all); with `probability` (0..1) each of those fires by a throw of dice, and is then counted for each
    combination of the facts that tell simultaneous occurrences apart.  `seen` and `fired` are sums over all hosts.
    """

    id: str
    kind: str
    on: dict[str, Any]
    do: dict[str, Any]
    nth: int = 1
    times: int = 1
    every: int = 1
    probability: float = 1.0
    seed: int = 0
    seen: int = 0
    fired: int = 0
    _counts: dict[_Stream, list[int]] = field(default_factory=dict, repr=False)
    _released: threading.Event = field(default_factory=threading.Event, repr=False)
    _undo: list[Callable[[], None]] = field(default_factory=list, repr=False)
    _hanging: int = field(default=0, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def delay(self) -> float:
        """Seconds to wait before going on; 0 when the fault delays nothing."""
        return seconds(self.do.get("delay", 0))

    @property
    def fail(self) -> int | None:
        """The HRESULT, Win32 error or exit code to fail with, else None; texts such as '0x800423F2' are numbers."""
        value = self.do.get("fail")
        return None if value is None else faultwords.code(value)

    def matches(self, kind: str, facts: Mapping[str, Any]) -> bool:
        """True when every wanted fact is given and agrees (texts: globs, case-insensitive; lists: any of them)."""
        if kind != self.kind or not all(name in facts and _agrees(want, facts[name]) for name, want in self.on.items()):
            return False
        for name, row in faultwords.table()["kinds"][kind]["facts"].items():
            if facts.get(name) in row.get("named", ()):  # a glob, or nothing at all, does not name it
                wanted = self.on.get(name)
                listed = wanted if isinstance(wanted, list) else [wanted]
                return str(facts[name]).lower() in [str(each).lower() for each in listed]
        return True

    def stream(self, facts: Mapping[str, Any]) -> _Stream:
        """What an occurrence is counted with: its host, and for dice the facts that tell it from its neighbours."""
        names = faultwords.table()["kinds"][self.kind]["stream"] if self.probability < 1.0 else ()
        return tuple(str(facts.get(name, "")).lower() for name in ("host", *names))

    def occurs(self, facts: Mapping[str, Any] | None = None) -> int:
        """Count one matching occurrence; its number in its stream when the fault fires on it, else 0."""
        stream = self.stream(facts or {})
        with self._lock:
            counts = self._counts.setdefault(stream, [0, 0])
            counts[0] += 1
            self.seen += 1
            number = counts[0]
            if number < self.nth or (number - self.nth) % self.every or (self.times and counts[1] >= self.times):
                return 0
            if self.probability < 1.0 and self._throw(stream, number) >= self.probability:
                return 0
            counts[1] += 1
            self.fired += 1
            return number

    def _throw(self, stream: _Stream, number: int) -> float:
        """A number from 0 up to 1 that depends on the seed, the stream and the count, and on nothing else."""
        digest = hashlib.sha256("\0".join([str(self.seed), self.kind, *stream, str(number)]).encode()).digest()
        return int.from_bytes(digest[:8], "big") / 2**64

    # --- what lasts

    @contextlib.contextmanager
    def hanging(self) -> Iterator[threading.Event]:
        """Count who hangs in this fault; the event is set when he may go on."""
        with self._lock:
            self._hanging += 1
            released = self._released
        try:
            yield released
        finally:
            with self._lock:
                self._hanging -= 1

    def release(self) -> int:
        """Let go whoever hangs in this fault now; how many did. Later occurrences hang again."""
        with self._lock:
            count, event = self._hanging, self._released
            self._released = threading.Event()
        event.set()
        return count

    def until_removed(self, undo: Callable[[], None]) -> None:
        """Call `undo` when the fault is removed."""
        with self._lock:
            self._undo.append(undo)

    def end(self) -> None:
        """The fault is removed: whoever hangs goes on, and what lasts is undone."""
        self.release()
        with self._lock:
            undo, self._undo = self._undo, []
        for each in reversed(undo):
            each()

    def definition(self) -> dict[str, Any]:
        """What `Faults.add` takes to make the same fault."""
        wanted = {name: value for name, value in self.on.items() if not name.startswith("-")}
        parameters = {name[1:]: value for name, value in self.on.items() if name.startswith("-")}
        if parameters:
            wanted["parameters"] = parameters
        counters = {
            name: getattr(self, name)
            for name, row in faultwords.table()["counters"].items()
            if getattr(self, name) != row["default"]
        }
        return {"id": self.id, "on": {"kind": self.kind, **wanted, **counters}, "do": dict(self.do)}

    def as_dict(self) -> dict[str, Any]:
        """The fault as plain data, with its counters."""
        made = self.definition()
        counters = faultwords.table()["counters"]
        made["on"] = {name: value for name, value in made["on"].items() if name not in counters}
        made |= {name: getattr(self, name) for name in counters}
        return made | {"seen": self.seen, "fired": self.fired, "hanging": self._hanging}


class Faults:
    """All faults of a laboratory, in the order they were added; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._numbers = itertools.count(1)

    def add(self, definition: Mapping[Any, Any]) -> Fault:
        """Add a fault given as `{'on': {...}, 'do': {...}}`; ValueError with one sentence when it makes no sense."""
        fault = self._parse(definition)
        with self._lock:
            if any(each.id == fault.id for each in self._faults):
                raise ValueError(f"A fault with the id {fault.id!r} exists already.")
            self._faults.append(fault)
        return fault

    def _parse(self, definition: Mapping[Any, Any]) -> Fault:
        definition = {"on" if key is True else str(key): value for key, value in definition.items()}  # YAML 1.1's on
        unknown = set(definition) - {"id", "on", "do"}
        if unknown:
            raise ValueError(f"A fault has the keys id, on and do; {sorted(unknown)[0]!r} is none of them.")
        on, do = definition.get("on"), definition.get("do")
        if not isinstance(on, Mapping) or not isinstance(do, Mapping) or not do:
            raise ValueError("A fault needs `on` (which occurrence) and `do` (what happens), both mappings.")
        kind, facts, counters = faultwords.judge_on({str(key): value for key, value in on.items()})
        actions = faultwords.judge_do(kind, do, facts)
        name = str(definition.get("id") or self._free_name())
        return Fault(name, kind, facts, actions, **counters)

    def _free_name(self) -> str:
        taken = {each.id for each in self.list()}
        return next(name for name in (f"fault{number}" for number in self._numbers) if name not in taken)

    def get(self, name: str) -> Fault:
        """The fault of this id; KeyError when there is none."""
        for each in self.list():
            if each.id == name:
                return each
        raise KeyError(name)

    def remove(self, fault: Fault | str) -> None:
        """Remove a fault (or the one of this id), and undo what lasts of it; KeyError when there is none."""
        found = self.get(fault if isinstance(fault, str) else fault.id)
        with self._lock:
            if found in self._faults:
                self._faults.remove(found)
        found.end()

    def release(self) -> None:
        """Let go whoever hangs in any fault."""
        for each in self.list():
            each.release()

    def clear(self) -> None:
        """Remove every fault."""
        for each in self.list():
            self.remove(each)

    def list(self) -> list[Fault]:
        """The faults in their order, each with its counters."""
        with self._lock:
            return [*self._faults]

    def match(self, kind: str, **facts: Any) -> Fault | None:
        """The fault that fires on this occurrence, else None.

        Every matching fault up to the one that fires counts the occurrence; those after it do not see it, so that two
        equal faults fire on two occurrences.
        """
        found = self.fire(kind, facts)
        return None if found is None else found[0]

    def fire(self, kind: str, facts: Mapping[str, Any]) -> tuple[Fault, int] | None:
        """`match`, with the number of the occurrence in its stream."""
        if not self._faults:
            return None
        with self._lock:
            for each in self._faults:
                if each.matches(kind, facts) and (number := each.occurs(facts)):
                    return each, number
        return None
