# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is simulated, and where each behaviour comes from: read from the rooms' own tables (`<room>/data/coverage.yml`).

An entry's source is `documented` (a published page says so), `recorded` (taken from a conversation with the real thing)
or `assumed` (neither: it may differ on a real host). Whatever has no entry is refused, by name.
"""

from __future__ import annotations

import argparse
import collections
import functools
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass

from vsslab import tables

ROOMS = ("wire", "engine", "programs", "vss", "windows", "")
SOURCES = ("documented", "recorded", "assumed")


@dataclass(frozen=True, order=True)
class Entry:
    """One behaviour: the area it belongs to, its name there, where it comes from, and a page, section or remark."""

    area: str
    name: str
    source: str
    note: str = ""


@functools.lru_cache(maxsize=1)
def entries() -> tuple[Entry, ...]:
    """Every entry of every room, by area and name; ValueError for a table that does not keep to the form."""
    found: dict[tuple[str, str], Entry] = {}
    for room in ROOMS:
        for each in _table(room):
            if each.source not in SOURCES:
                raise ValueError(f"{room}: {each.area} {each.name}: {each.source!r} is no source.")
            if (each.area, each.name) in found:
                raise ValueError(f"{room}: {each.area} {each.name} stands there twice.")
            found[each.area, each.name] = each
    return tuple(sorted(found.values(), key=lambda each: (each.area, each.name.casefold())))


def _table(room: str) -> Iterator[Entry]:
    """A room's table: a list of entries, whose `name` may be a list where they share the rest."""
    package = "vsslab" + (f".{room}" if room else "")
    for each in tables.load(package, "data/coverage.yml"):
        fields = {key: str(value) for key, value in each.items() if key != "name"}
        names = each["name"] if isinstance(each["name"], list) else [each["name"]]
        for name in names:
            yield Entry(name=str(name), **fields)


def areas() -> dict[str, list[Entry]]:
    """The entries by area."""
    found: dict[str, list[Entry]] = collections.defaultdict(list)
    for each in entries():
        found[each.area].append(each)
    return dict(found)


def summary(chosen: Iterable[Entry]) -> str:
    """How many entries, by source, in words."""
    counts = collections.Counter(each.source for each in chosen)
    return ", ".join(f"{counts[source]} {source}" for source in SOURCES if counts[source])


def main(arguments: Sequence[str] = ()) -> int:
    """`vsslab coverage [AREA ...] [--source SOURCE] [--json]`; the exit status."""
    parser = argparse.ArgumentParser(prog="vsslab coverage", description="What is simulated, and where it comes from.")
    parser.add_argument("area", nargs="*", help="only these areas")
    parser.add_argument("--source", choices=SOURCES, help="only what comes from there")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    options = parser.parse_args(list(arguments))
    known = areas()
    unknown = [each for each in options.area if each not in known]
    if unknown:
        print(f"vsslab: there is no area {unknown[0]!r}; there are {', '.join(known)}.", file=sys.stderr)
        return 1
    for area in options.area or known:
        chosen = [each for each in known[area] if options.source in (None, each.source)]
        if options.json:
            for each in chosen:
                print(json.dumps(asdict(each), ensure_ascii=False))
        elif chosen:
            print(f"{area}: {summary(chosen)}")
            width = min(40, max(len(each.name) for each in chosen))
            for each in chosen:
                print(f"  {each.name:<{width}}  {each.source:<10}  {each.note}".rstrip())
            print()
    if not options.json and not options.area:
        print(f"in all: {summary(each for each in entries() if options.source in (None, each.source))}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
