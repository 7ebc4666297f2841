# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults are data: on which occurrence of what, do what.

A room of the laboratory asks ``faults.match(kind, **facts)`` whenever it reaches a place that can fail, and does what
the returned fault says.  Whoever defines a fault needs no code::

    on: {kind: phase, host: 'sql*', phase: freeze, writer: SqlServerWriter, nth: 2}
    do: {fail: '0x800423F2'}
"""

from __future__ import annotations

import itertools
import random
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_COUNTERS = frozenset({"nth", "times", "probability", "seed"})
_KIND_OF = {"operation": "http", "command": "command", "program": "program", "phase": "phase"}


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

    `nth` is the first matching occurrence that fires (from 1), `times` how many fire from there on (0: all of them);
    with `probability` (0..1) each of those fires by a throw of the fault's own seeded dice.
    """

    id: str
    kind: str
    on: dict[str, Any]
    do: dict[str, Any]
    nth: int = 1
    times: int = 1
    probability: float = 1.0
    seed: int = 0
    seen: int = 0
    fired: int = 0
    _dice: random.Random = field(default_factory=random.Random, repr=False)

    def __post_init__(self) -> None:
        self._dice = random.Random(self.seed)  # noqa: S311 - dice for tests, not for secrets

    @property
    def delay(self) -> float:
        """Seconds to wait before going on; 0 when the fault delays nothing."""
        return seconds(self.do.get("delay", 0))

    @property
    def fail(self) -> int | None:
        """The HRESULT, Win32 error or exit code to fail with, else None; texts such as '0x800423F2' are numbers."""
        value = self.do.get("fail")
        return None if value is None else int(value, 0) if isinstance(value, str) else int(value)

    def matches(self, kind: str, facts: Mapping[str, Any]) -> bool:
        """True when every wanted fact is given and agrees (texts: globs, case-insensitive; lists: any of them)."""
        return kind == self.kind and all(name in facts and _agrees(want, facts[name]) for name, want in self.on.items())

    def occurs(self) -> bool:
        """Count one matching occurrence; True when the fault fires on it."""
        self.seen += 1
        if self.seen < self.nth or (self.times and self.fired >= self.times):
            return False
        if self.probability < 1.0 and self._dice.random() >= self.probability:
            return False
        self.fired += 1
        return True

    def as_dict(self) -> dict[str, Any]:
        """The fault as plain data, with its counters."""
        return {
            "id": self.id,
            "on": {"kind": self.kind, **self.on},
            "do": dict(self.do),
            "nth": self.nth,
            "times": self.times,
            "probability": self.probability,
            "seen": self.seen,
            "fired": self.fired,
        }


def seconds(value: Any) -> float:
    """A duration in seconds: a number, or a text such as '70s', '2m', '250ms', '1h'."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?\s*", str(value))
    if not found:
        raise ValueError(f"{value!r} is not a duration such as 70s or 2m.")
    return float(found[1]) * {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}[found[2] or "s"]


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
        facts = {str(key): value for key, value in on.items() if key not in _COUNTERS}
        kind = facts.pop("kind", None) or next((k for fact, k in reversed(_KIND_OF.items()) if fact in facts), None)
        if not isinstance(kind, str):
            raise ValueError("A fault needs on.kind, for example http, command, program or phase.")
        nth, times = int(on.get("nth", 1)), int(on.get("times", 1))
        probability = float(on.get("probability", 1.0))
        if nth < 1 or times < 0 or not 0.0 <= probability <= 1.0:
            raise ValueError("In a fault nth starts at 1, times at 0 (always), and probability lies between 0 and 1.")
        name = str(definition.get("id") or f"fault{next(self._numbers)}")
        actions = {str(key): value for key, value in do.items()}
        fault = Fault(name, kind, facts, actions, nth, times, probability, int(on.get("seed", 0)))
        _ = fault.delay  # says now, not at the occurrence, that the duration is none
        return fault

    def remove(self, fault: Fault | str) -> None:
        """Remove a fault (or the one of this id); KeyError when there is none."""
        name = fault if isinstance(fault, str) else fault.id
        with self._lock:
            for each in self._faults:
                if each.id == name:
                    self._faults.remove(each)
                    return
        raise KeyError(name)

    def clear(self) -> None:
        """Remove every fault."""
        with self._lock:
            self._faults.clear()

    def list(self) -> list[Fault]:
        """The faults in their order, each with its counters."""
        with self._lock:
            return [*self._faults]

    def match(self, kind: str, **facts: Any) -> Fault | None:
        """The fault that fires on this occurrence, else None.

        Every matching fault up to the one that fires counts the occurrence; those after it do not see it, so that two
        equal faults fire on two occurrences.
        """
        if not self._faults:
            return None
        with self._lock:
            return next((each for each in self._faults if each.matches(kind, facts) and each.occurs()), None)
