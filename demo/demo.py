# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demonstration: a fleet of live Windows servers, one playbook, and proof of what it claims.

Starts the laboratory's scenario `office`, runs playbooks/backup.yml over it, opens every copied database, prints what
each host came to and what its applications noticed, then runs the playbook again.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from fleet import BUILD, ROOT, Run, leftovers, run_playbook
from table import table
from vsslab.apps.books import Books, check
from vsslab.lab import Lab

WORK = BUILD / "demo"
WHAT = ROOT / "demo" / "what-to-back-up.yml"
PLAYBOOK = ROOT / "playbooks" / "backup.yml"
BASELINE = 3.0  # seconds of undisturbed work measured before and after


@dataclass
class Moment:
    """The applications' counters at one time: host -> figures, and the time in seconds since the epoch."""

    at: float
    figures: dict[str, dict[str, Any]]


def say(text: str = "") -> None:
    print(text, flush=True)


def measure(lab: Lab) -> Moment:
    return Moment(time.time(), {name: next(iter(lab.stats(name).values())) for name in lab.hosts})


def rate(host: str, start: Moment, end: Moment) -> str:
    """Writes per second of a host's application between two moments."""
    writes = end.figures[host]["writes"] - start.figures[host]["writes"]
    return f"{writes / (end.at - start.at):.0f}"


def longest_pause(host: str, start: Moment, end: Moment) -> str:
    """The longest time without a write that began between two moments, in seconds."""
    pauses = [p["seconds"] for p in end.figures[host]["pauses"] if start.at <= p["start"] <= end.at]
    return f"{max(pauses):.2f} s" if pauses else "none over 0.25 s"


def size(count: int) -> str:
    return f"{count / 1e6:.1f} MB"


def open_books(lab: Lab, results: dict[str, dict[str, Any]]) -> dict[str, Books]:
    """Open every copied database and store, and check its books; host -> what came of it."""
    books = {}
    for name, result in results.items():
        for app in lab.hosts[name].apps.values():
            # the application's data is in the last of the sources that demo/what-to-back-up.yml names
            copy = result["sources"][-1]["copy"]
            books[name] = check(app.kind, lab.hosts[name].files.locate(copy).real)
    return books


def seconds(value: float | None) -> str:
    return "not told" if value is None else f"{value:.2f} s"


def took_part(result: dict[str, Any]) -> str:
    taken = sum(1 for w in result["writers"] if w["took_part"])
    return f"{taken} of {len(result['writers'])}"


def left_out(result: dict[str, Any]) -> dict[str, list[str]]:
    """Reason -> the writers that were left out for it."""
    reasons: dict[str, list[str]] = {}
    for writer in result["writers"]:
        if not writer["took_part"]:
            reasons.setdefault(writer["excluded_because"], []).append(writer["name"])
    return reasons


def print_outcome(results: dict[str, dict[str, Any]], books: dict[str, Books]) -> None:
    rows = []
    for name, r in results.items():
        verified = r["verified"]
        rows.append(
            [
                name,
                r["consistency"],
                took_part(r),
                seconds(r["frozen_seconds"]),
                str(r["files"]),
                size(r["bytes"]),
                f"{r['seconds']:.1f} s",
                f"{verified['files']} by SHA-256" if verified["mode"] == "all" else verified["mode"],
                "balanced" if books[name].ok else "TORN",
                ", ".join(r["left_behind"]) or "nothing",
            ]
        )
    say(
        table(
            ["host", "consistency", "writers", "frozen", "files", "size", "took", "compared", "books", "left behind"],
            rows,
        )
    )
    say()
    for name, r in results.items():
        say(f"  {name:9} {r['consistency_reason']}")
        taken = [w["name"] for w in r["writers"] if w["took_part"]]
        say(f"  {'':9} took part: {', '.join(taken) or 'none'}")
        for reason, names in left_out(r).items():
            say(f"  {'':9} left out, because {reason}: {', '.join(names)}")
        say(f"  {'':9} books: {books[name].detail}")


def print_applications(lab: Lab, moments: list[Moment]) -> None:
    before, start, end, after = moments
    rows = [
        [
            name,
            next(iter(lab.hosts[name].apps)),
            rate(name, before, start),
            rate(name, start, end),
            rate(name, end, after),
            longest_pause(name, start, end),
        ]
        for name in lab.hosts
    ]
    say(
        table(
            ["host", "application", "writes/s before", "during", "after", "longest pause"],
            rows,
        )
    )


def results_of(run: Run) -> dict[str, dict[str, Any]]:
    """Host -> result of its backup; ends the demonstration when a host has none."""
    results = {t["host"]: t["result"] for t in run.of("umbra.vss.backup") if t["status"] == "ok"}
    if run.code != 0:
        say(f"\nThe playbook ended with code {run.code}; see above for the host that failed.")
        sys.exit(1)
    return results


def back_up(inventory: Path, number: int, order: Iterable[str]) -> dict[str, dict[str, Any]]:
    run = run_playbook([inventory, WHAT], PLAYBOOK, results=WORK / f"run{number}.results", show=sys.stdout)
    results = results_of(run)
    return {name: results[name] for name in order}


def print_second(first: dict[str, dict[str, Any]], second: dict[str, dict[str, Any]]) -> None:
    rows = [
        [
            name,
            "yes" if r["changed"] else "no",
            str(r["files"]),
            str(r["copied_files"]),
            str(r["files"] - r["copied_files"]),
            str(r["removed_files"]),
            r["snapshot_set"]["id"][1:9] + " (was " + first[name]["snapshot_set"]["id"][1:9] + ")",
        ]
        for name, r in second.items()
    ]
    say(
        table(
            ["host", "changed", "files", "copied again", "unchanged", "removed", "snapshot set"],
            rows,
        )
    )


def demonstrate(lab: Lab) -> int:
    inventory = WORK / "inventory.yml"
    lab.write_inventory(inventory)
    for name, host in lab.hosts.items():
        say(f"  {name:9} {host.profile.caption} ({host.language.tag})")
    clean = {name: leftovers(host.ledger()) for name, host in lab.hosts.items()}
    moments = [measure(lab)]
    time.sleep(BASELINE)
    moments.append(measure(lab))
    say("\nansible-playbook playbooks/backup.yml, over all of them, while their applications write:")
    first = back_up(inventory, 1, lab.hosts)
    moments.append(measure(lab))
    time.sleep(BASELINE)
    moments.append(measure(lab))
    books = open_books(lab, first)
    say("What each host came to. Every copied database and store was opened and its books checked:\n")
    print_outcome(first, books)
    say("\nWhat the applications did meanwhile:\n")
    print_applications(lab, moments)
    say("\nThe same playbook again:")
    second = back_up(inventory, 2, lab.hosts)
    again = open_books(lab, second)
    print_second(first, second)
    dirty = [name for name, host in lab.hosts.items() if leftovers(host.ledger()) != clean[name]]
    torn = [n for b in (books, again) for n, v in b.items() if not v.ok]
    say()
    say(
        "Compared with the laboratory's own state: "
        + (f"LEFT BEHIND something on {', '.join(dirty)}" if dirty else "nothing was left behind on any host")
        + "; "
        + (f"TORN copies on {', '.join(torn)}" if torn else "every copy of both runs keeps its books")
        + "."
    )
    return 1 if dirty or torn else 0


def main() -> int:
    started = time.monotonic()
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    say("The laboratory starts five live Windows hosts (nothing listens but on 127/8 addresses of this machine):")
    with Lab.from_scenario("office", state=WORK / "lab", trace=WORK / "trace.jsonl") as lab:
        code = demonstrate(lab)
    shutil.rmtree(WORK / "lab", ignore_errors=True)
    trace = (WORK / "trace.jsonl").relative_to(ROOT)
    say(f"{time.monotonic() - started:.0f} s in all. Every request is traced in {trace}.")
    return code


if __name__ == "__main__":
    sys.exit(main())
