# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an action costs, beside what other modules send for the same job, and beside a connection that does nothing.

    run.py FOLDER [--quick] [--only PART ...]

writes FOLDER/bench.json, FOLDER/bench.html and, of the profile, FOLDER/profile-*.txt (collapsed stacks), prints the
targets, and ends with 1 when one of them is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import measures
from measures import FULL, QUICK, Row
from page import write
from sampling import sampled

# Requests of an action with one pipeline: Create and two Receives, Command and a Receive, Delete ([MS-PSRP] 3.1.5.3);
# the winrm connection has a command shell of its own, which it opens and deletes.
LEAST = {"psrp": 6, "winrm": 8}
PARTS = ("actions", "fleets", "profile", "copies", "writers", "files", "imports")


def machine() -> dict[str, Any]:
    """What it was measured on."""
    import ansible.release

    stolen = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()
    return {
        "cores": len(os.sched_getaffinity(0)),
        "system": platform.platform(),
        "python": platform.python_version(),
        "ansible": ansible.release.__version__,
        "load": round(os.getloadavg()[0], 2),
        "stolen": int(stolen[8]) / sum(map(int, stolen[1:])),
        "when": time.strftime("%Y-%m-%d %H:%M"),
    }


def targets(found: dict[str, list[Row]]) -> Iterator[Row]:
    """What was wanted, as far as it was measured: name, value, limit (the most) and whether it was met."""

    def told(name: str, value: float, limit: float) -> Row:
        return {"name": name, "value": value, "limit": limit, "met": value <= limit}

    by = {(each["carrier"], each["action"]): each for each in found.get("actions", ())}
    for (carrier, action), each in by.items():
        if action == "info":
            theirs = by[carrier, "win_powershell"]["bytes_up"]
            yield told(f"info's bytes up of win_powershell's, {carrier}", each["bytes_up"] / theirs, 1 / 20)
            yield told(
                f"info's requests beyond the least, {carrier}", each["operations"] - LEAST[carrier[:5].rstrip(",")], 1
            )
    fleets = found.get("fleets", [])
    large = [each for each in fleets if each["hosts"] == 500] or fleets[-1:]
    if large:
        best = min(large, key=lambda each: each["info"]["wall"])
        where = f"{best['hosts']} hosts, {best['forks']} forks"
        yield told(f"info's wall time of the floor's, {where}", best["wall_ratio"], 1.25)
        yield told(f"info's controller CPU of the floor's, {where}", best["cpu_ratio"], 1.2)
    if len({each["hosts"] for each in fleets}) > 1:
        forks = min(each["forks"] for each in fleets)
        small, large_one = _ends(fleets)
        few, many = (_per_host(fleets, hosts, forks) for hosts in (small, large_one))
        yield told(f"wall time a host, {large_one} hosts against {small}, {forks} forks", many / few, 1.15)
    grown = found.get("copies", [])
    if len(grown) > 1:
        most, least = grown[-1], grown[0]
        value = (most["cpu"] / least["cpu"]) / (most["number"] / least["number"])
        yield told(f"growth of CPU with shadow copies, {least['number']} to {most['number']} (1: linear)", value, 1)
    for each in found.get("imports", ()):
        yield told(f"import of {each['action']}, seconds", each["seconds"], 0.06)


def _ends(fleets: list[Row]) -> tuple[int, int]:
    sizes = sorted({each["hosts"] for each in fleets})
    return max((each for each in sizes if each <= sizes[-1] / 5), default=sizes[0]), sizes[-1]


def _per_host(fleets: list[Row], hosts: int, forks: int) -> float:
    return next(
        float(each["info"]["wall"]) / hosts for each in fleets if (each["hosts"], each["forks"]) == (hosts, forks)
    )


def measured(part: str, size: measures.Size, folder: Path, say: Callable[[str], None]) -> Iterator[Row]:
    """The rows of one part."""
    if part == "imports":
        return measures.imports()
    if part == "profile":
        return sampled(folder, say)
    rows: Iterator[Row] = getattr(measures, part)(size, say)
    return rows


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--quick", action="store_true", help="small fleets, one round")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    options = parser.parse_args()
    size = QUICK if options.quick else FULL
    began = time.monotonic()

    def say(what: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {what}", flush=True)

    options.folder.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {"machine": machine(), "size": "quick" if options.quick else "full"}
    for part in options.only:
        say(f"- {part}")
        found[part] = list(measured(part, size, options.folder, say))
        (options.folder / "bench.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    found["targets"] = list(targets(found))
    (options.folder / "bench.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    write(found, options.folder / "bench.html")
    for each in found["targets"]:
        met = "met   " if each["met"] else "MISSED"
        print(f"  {met} {each['value']:8.3f}  at most {each['limit']:<6.3g} {each['name']}")
    print(f"{options.folder / 'bench.html'}")
    return 0 if all(each["met"] for each in found["targets"]) else 1


if __name__ == "__main__":
    sys.exit(main())
