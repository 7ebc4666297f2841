# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pages of the documentation that are written from the laboratory's own tables.

``python -m vsslab.reference lab/docs`` writes them; a test sees to it that they are up to date.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from vsslab import faultwords, scenario, tables
from vsslab.vss.options import Limits, Options

_WRITTEN = (
    "<!-- Written by `python -m vsslab.reference lab/docs`; change the tables in lab/src/vsslab/data instead. -->"
)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    names = list(head)
    lines = [f"| {' | '.join(names)} |", f"|{' --- |' * len(names)}"]
    return lines + ["| " + " | ".join(cell.replace("|", "\\|").strip() for cell in row) + " |" for row in rows]


def key_texts() -> dict[str, str]:
    """What each key of a scenario means."""
    found: dict[str, str] = tables.load("vsslab", "data/scenario-keys.yml")
    return found


def scenarios() -> str:
    """docs/scenarios.md: every key."""
    texts = key_texts()
    rows = [(f"`{name}`", "yes" if needed else "", texts.get(name, "")) for name, needed in scenario.all_keys()]
    vss = [("`limits`", "the limits below, a mapping", "")]
    vss += [(f"`{each.name}`", "", _default(each)) for each in dataclasses.fields(Options) if each.name != "limits"]
    limits = [(f"`limits.{each.name}`", "", _default(each)) for each in dataclasses.fields(Limits)]
    return _page(
        "Scenarios",
        "A scenario describes a fleet in YAML. It is read strictly: a key that is not in this table, a value of another"
        " kind, a host without an administrator are refused with file, line and one sentence. "
        f"Scenarios that come along: {', '.join(f'`{each}`' for each in scenario.names())}.",
        "```yaml\nname: small\ndefaults:\n  users: [{name: Administrator, administrator: true}]\n"
        "  volumes: [{letter: C, capacity: 64 GiB}, {letter: D, capacity: 32 GiB}]\nhosts:\n"
        "  - {name: sql01, profile: server2022, language: de-DE, time_zone: Europe/Berlin}\n"
        "  - {name: pc01, profile: windows11}\n```",
        "## Keys",
        "A dot leads into a mapping, or into each entry of a list.",
        "\n".join(_table(("key", "required", "meaning"), rows)),
        "## Settings of VSS",
        "The keys of `hosts.vss`, with their defaults; `lab/src/vsslab/vss/options.py` says what each means and where "
        "it is known from.",
        "\n".join(_table(("key", "", "default"), [*vss, *limits])),
    )


def _default(each: dataclasses.Field[Any]) -> str:
    value = each.default if each.default is not dataclasses.MISSING else None
    return "" if value is None else f"`{value!r}`"


def faults() -> str:
    """docs/faults.md: every kind, fact, counter and action."""
    words = faultwords.table()
    parts = []
    for kind, row in words["kinds"].items():
        facts = [("`host`", "the host's name")]
        facts += [(f"`{name}`", _fact(fact)) for name, fact in row["facts"].items()]
        parts += [f"### {kind}", row["text"], "\n".join(_table(("fact", "meaning"), facts))]
    counters = [(f"`{n}`", str(row["default"]), row["text"]) for n, row in words["counters"].items()]
    actions = []
    for name, row in words["actions"].items():
        actions.append((f"`{name}`", row["value"], ", ".join(row["kinds"]), row["text"]))
        for extra, more in row.get("with", {}).items():
            where = ", ".join(more.get("kinds", row["kinds"]))
            actions.append((f"`{name}` with `{extra}`", more["value"], where, more["text"]))
    return _page(
        "Faults",
        "A fault is data: `on` says which occurrence of what it waits for, `do` what happens then. Faults are ordered "
        "by a scenario (`faults`), by `vsslab up --fault FILE`, by `vsslab fault add` while the laboratory runs, or by "
        "`lab.faults.add` in a test. A word that is not in these tables is refused, by a sentence that names the "
        "nearest one.",
        "```yaml\n- on: {kind: phase, host: 'sql*', phase: freeze, writer: SqlServerWriter, nth: 2}\n"
        "  do: {fail: '0x800423F2'}\n- {id: stuck, on: {program: robocopy.exe}, do: {hang: true}}\n"
        "- {on: {operation: Receive, probability: 0.1, times: 0, seed: 7}, do: {drop: after}}\n```",
        "## What a fault waits for",
        "Texts are patterns with `*` and `?`, without regard to case; a list means any of its entries. `kind` may be "
        "left out where a fact of the same name (`operation` for http) is given.",
        *parts,
        "### How often",
        "\n".join(_table(("word", "default", "meaning"), counters)),
        "Occurrences are counted on each host by themselves; `vsslab fault list` shows the sums, `seen` and `fired`. "
        "With a probability below 1 the count is that of each combination of the facts that tell simultaneous "
        "occurrences apart (for http the operation and the user, for phase the phase and the writer, and so on). The "
        "dice know the seed and this count and nothing else: a run with the same seed repeats, whatever the threads of "
        "the laboratory do meanwhile. How many Receive requests a slow pipeline takes is up to the clock, though; dice "
        "on Create or Command repeat exactly, dice on Receive only as far as the client does.",
        "When several faults match an occurrence, the first that fires wins, and those after it do not see it.",
        "## What it does",
        "Several actions may stand together: a delay comes first, then a hang, then what befalls the host, then what "
        "the client is told.",
        "\n".join(_table(("action", "value", "works at", "meaning"), actions)),
    )


def _fact(row: dict[str, Any]) -> str:
    words = f": {', '.join(f'`{each}`' for each in row['words'])}" if "words" in row else ""
    return str(row["text"]) + words


def _page(title: str, *parts: str) -> str:
    return "\n\n".join([_WRITTEN, f"# {title}", *parts]) + "\n"


PAGES: dict[str, Callable[[], str]] = {"scenarios.md": scenarios, "faults.md": faults}


def main(folder: str) -> None:
    """Write the pages into a folder."""
    for name, make in PAGES.items():
        Path(folder, name).write_text(make(), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
