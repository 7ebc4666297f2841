# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words a fault is made of; the table is data/faults.yml, and what is not in it is refused by one sentence."""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from vsslab import tables

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZES = {"": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40}
_GLOB = re.compile(r"[*?]")


@functools.cache
def table() -> dict[str, Any]:
    """The table: `counters`, `kinds` and `actions` by their names."""
    data: dict[str, Any] = tables.load("vsslab", "data/faults.yml")
    return data


def pairs() -> list[tuple[str, str]]:
    """Every kind with every action that works there."""
    return [(kind, name) for name, action in table()["actions"].items() for kind in action["kinds"]]


def seconds(value: Any) -> float:
    """A duration in seconds: a number, or a text such as '70s', '2m', '250ms', '1h'."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0:
        return float(value)
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?\s*", str(value))
    if not found or isinstance(value, bool):
        raise ValueError(f"{value!r} is not a duration such as 70s or 2m.")
    return float(found[1]) * _UNITS[found[2] or "s"]


def signed_seconds(value: Any) -> float:
    """A duration that may go back: '-1h'."""
    text = str(value).strip()
    return -seconds(text[1:]) if text.startswith("-") else seconds(text.removeprefix("+"))


def size(value: Any) -> int:
    """A number of bytes, or a text such as '1 MiB'."""
    found = re.fullmatch(r"(\d+)\s*([kmgt]ib)?", str(value).strip().lower())
    if not found or isinstance(value, bool):
        raise ValueError(f"{value!r} is not a size such as 1 MiB or 4096.")
    return int(found[1]) * _SIZES[found[2] or ""]


def code(value: Any) -> int:
    """An HRESULT, Win32 error or exit code: a number, or a text such as '0x800423F2'."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    try:
        return int(str(value), 0)
    except ValueError:
        raise ValueError(f"{value!r} is not a code such as 5 or 0x800423F2.") from None


def _whole(least: int, what: str, most: int | None = None) -> Callable[[Any], int]:
    def judge(value: Any) -> int:
        good = isinstance(value, int) and not isinstance(value, bool) and value >= least
        if not good or (most is not None and value > most):
            raise ValueError(f"{value!r} is not {what}.")
        return int(value)

    return judge


def _probability(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise ValueError(f"{value!r} is not a probability between 0 and 1.")
    return float(value)


def _word(*words: str) -> Callable[[Any], str]:
    def judge(value: Any) -> str:
        if str(value).lower() not in words:
            raise ValueError(f"{value!r} is not {', '.join(words[:-1])} or {words[-1]}{_nearest(str(value), words)}.")
        return str(value).lower()

    return judge


def _text(value: Any) -> str:
    if not isinstance(value, (str, int, float)) or isinstance(value, bool) or not str(value).strip():
        raise ValueError(f"{value!r} is not a text.")
    return str(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{value!r} is neither true nor false.")
    return value


def _yes(value: Any) -> bool:
    if value is not True:
        raise ValueError(f"{value!r} is not true, which is all that can be said here.")
    return True


def _process(value: Any) -> str | bool:
    return True if value is True else _text(value)


def _volume(value: Any) -> str:
    if not re.fullmatch(r"[A-Za-z]:\\?|[A-Za-z]:\\.+|\\\\\?\\Volume\{[0-9A-Fa-f-]+\}\\?", str(value)):
        raise ValueError(f"{value!r} is not a volume such as D: or C:\\mnt\\data.")
    return str(value)


TYPES: dict[str, Callable[[Any], Any]] = {
    "duration": seconds,
    "signed duration": signed_seconds,
    "size": size,
    "code": code,
    "code or text": lambda value: value if isinstance(value, str) else code(value),
    "count": _whole(0, "a whole number from 0 on"),
    "from one": _whole(1, "a whole number from 1 on"),
    "http status": _whole(100, "an HTTP status from 100 to 599", 599),
    "probability": _probability,
    "before or after": _word("before", "after"),
    "all, oldest or newest": _word("all", "oldest", "newest"),
    "text": _text,
    "flag": _flag,
    "yes": _yes,
    "yes or a process": _process,
    "volume": _volume,
}


def _nearest(word: str, known: Iterable[str]) -> str:
    lower = {each.lower(): each for each in known}
    found = difflib.get_close_matches(word.lower(), lower, n=1, cutoff=0.5)
    return f" (did you mean {lower[found[0]]!r}?)" if found else ""


def _known(word: str, known: Iterable[str], what: str) -> None:
    names = list(known)
    if word not in names:
        hint = _nearest(word, names) or f"; there are {', '.join(names)}"
        raise ValueError(f"{word!r} is {what}{hint}.")


def _value(where: str, name: str, kind: str, value: Any) -> Any:
    try:
        return TYPES[kind](value)
    except ValueError as error:
        raise ValueError(f"{where}.{name}: {error}") from None


def judge_on(on: Mapping[str, Any]) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """The kind, the facts and the counters of a fault's `on`; ValueError with one sentence for what is none."""
    words = table()
    given = dict(on)
    kind = given.pop("kind", None)
    if kind is None:
        kind = next((each for each in words["kinds"] if each in given or _own_fact(each) in given), None)
    if not isinstance(kind, str):
        raise ValueError(f"A fault needs on.kind, one of {', '.join(words['kinds'])}.")
    _known(kind, words["kinds"], "no kind of fault")
    known = words["kinds"][kind]["facts"]
    counters = {name: row["default"] for name, row in words["counters"].items()}
    facts: dict[str, Any] = {}
    for name, value in given.items():
        if name in words["counters"]:
            counters[name] = _value("on", name, words["counters"][name]["value"], value)
            continue
        _known(name, ["host", *known, *words["counters"]], f"nothing that a fault of kind {kind} can wait for")
        row = known.get(name, {})
        if row.get("value") == "mapping":
            if not isinstance(value, Mapping):
                raise ValueError(f"on.{name}: {value!r} is not a mapping.")
            facts |= {_parameter(str(each)): wanted for each, wanted in value.items()}
            continue
        for each in value if isinstance(value, list) else [value]:
            if "words" in row and not _GLOB.search(str(each)):
                _known(_spelled(str(each), row["words"]), row["words"], f"no {name}")
        facts[name] = value
    return kind, facts, counters


def _own_fact(kind: str) -> str:
    """The fact that speaks of a kind by itself, for definitions that leave the kind out."""
    return "operation" if kind == "http" else kind


def _parameter(name: str) -> str:
    return f"-{name.removeprefix('-').lower()}"


def _spelled(word: str, known: Iterable[str]) -> str:
    return next((each for each in known if each.lower() == word.lower()), word)


def judge_do(kind: str, do: Mapping[str, Any], on: Mapping[str, Any]) -> dict[str, Any]:
    """A fault's `do` when it makes sense for the kind and the facts `on`; ValueError with one sentence when not."""
    actions = table()["actions"]
    given = {str(name): value for name, value in do.items()}
    possible = [name for name, row in actions.items() if kind in row["kinds"]]
    extras: dict[str, dict[str, Any]] = {}
    for name in (each for each in given if each in actions):
        extras |= {k: row for k, row in actions[name].get("with", {}).items() if kind in row.get("kinds", [kind])}
    if not any(name in possible for name in given):
        wrong = next(iter(given))
        _known(wrong, possible, f"nothing that a fault of kind {kind} can do")
    for name, value in given.items():
        _known(name, [*possible, *extras], f"nothing that a fault of kind {kind} can do")
        _value("do", name, actions[name]["value"] if name in possible else extras[name]["value"], value)
        for fact, words in actions.get(name, {}).get("not_at", {}).items():
            wanted = on.get(fact)
            for each in wanted if isinstance(wanted, list) else [wanted]:
                if str(each).lower() in words:
                    raise ValueError(f"do.{name}: that cannot happen at {fact} {each}.")
    if kind not in ("http", "command") and "fail" in given:
        _value("do", "fail", "code", given["fail"])
    if given.get("kill") is True and kind != "program":
        raise ValueError(f"do.kill: a fault of kind {kind} needs the name of the process to end.")
    return given
