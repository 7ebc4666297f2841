# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One report of the slices of a job: what umbra.vss did on each host, and which hosts nobody answered for.

    python merge_slices.py [--json] [--expect INVENTORY] RUN...

RUN is the artifact folder of ansible-runner (the one with job_events in it), or a file with a page of the job events
that AWX gives (/api/v2/jobs/ID/job_events/); the pages of a job are one run. INVENTORY is what `ansible-inventory
--list` prints for the whole inventory: a slice that never ran shows as hosts without an answer. Where several runs
speak for a host, as when a slice was started again, the last one counts. The exit status is 1 unless every host came
to a good end, and 2 for what cannot be read.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

OURS = "umbra.vss."
ENDS = {
    "runner_on_ok": "ok",
    "runner_on_failed": "failed",
    "runner_on_unreachable": "unreachable",
    "runner_on_skipped": "skipped",
}
NO_ANSWER = "no answer"
GOOD = ("ok", "skipped", "ignored")
COLUMNS = ("host", "module", "task", "status", "changed", "what")

Row = dict[str, Any]
Event = dict[str, Any]


class Unreadable(Exception):
    """What was named is not what it should be; says which, and why."""


def read(named: Iterable[Path]) -> list[list[Event]]:
    """The events of each run, in their order. Raises Unreadable.

    An event of AWX says of which job it is, so that pages find together; a folder is a run of its own.
    """
    found: dict[Any, list[Event]] = {}
    for path in named:
        for event in _folder(path) if path.is_dir() else _page(path):
            found.setdefault(event.get("job", path), []).append(event)
    return [sorted(run, key=lambda event: int(event["counter"])) for run in found.values()]


def _folder(run: Path) -> list[Event]:
    return [_json(path) for path in (run / "job_events").glob("*-*.json")]


def _page(path: Path) -> list[Event]:
    told = _json(path)
    events = told.get("results") if isinstance(told, dict) else told
    if not isinstance(events, list) or not all(isinstance(each, dict) and "counter" in each for each in events):
        raise Unreadable(f"{path}: these are not the job events of AWX")
    return events


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Unreadable(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise Unreadable(f"{path}: this is not JSON ({error})") from error


def _what(result: Row) -> str:
    """What a task came to, in a sentence: its own summary where it has one."""
    loop = [each for each in result.get("results", []) if isinstance(each, dict)]
    told = [str(each.get("summary") or each.get("msg") or "") for each in loop or [result]]
    return "; ".join(" ".join(text.split()) for text in told if text)


def rows(events: Iterable[Event]) -> dict[str, list[Row]]:
    """Host -> its rows, one for each task of ours that it began; in the order in which they began."""
    found: dict[str, dict[str, Row]] = {}
    for event in events:
        told = event.get("event_data") or {}
        module, kind = str(told.get("task_action") or ""), event["event"]
        if not module.startswith(OURS) or not (kind == "runner_on_start" or kind in ENDS):
            continue
        result = told.get("res") or {}
        status = ENDS.get(kind, NO_ANSWER)
        found.setdefault(told["host"], {})[told["task_uuid"]] = {
            "host": told["host"],
            "module": module,
            "task": told["task"],
            "status": "ignored" if status == "failed" and told.get("ignore_errors") else status,
            "changed": bool(result.get("changed")),
            "what": _what(result),
            "result": result,
            "at": event["created"],
        }
    return {host: list(its.values()) for host, its in found.items()}


def merge(runs: Iterable[Iterable[Event]], expected: Iterable[str] = ()) -> list[Row]:
    """The rows of all hosts, by their names; of a host in several runs those of the last one."""
    best: dict[str, list[Row]] = {}
    for run in runs:
        for host, its in rows(run).items():
            if host not in best or best[host][-1]["at"] < its[-1]["at"]:
                best[host] = its
    for host in expected:
        best.setdefault(host, [dict.fromkeys(COLUMNS, "") | {"host": host, "status": NO_ANSWER, "changed": False}])
    return [row for host in sorted(best) for row in best[host]]


def hosts(inventory: Path) -> set[str]:
    """The hosts of what `ansible-inventory --list` printed."""
    told = _json(inventory)
    if not isinstance(told, dict):
        raise Unreadable(f"{inventory}: this is not what ansible-inventory --list prints")
    groups = [group for name, group in told.items() if name != "_meta"]
    return {host for group in groups for host in group.get("hosts", [])}


def table(merged: Sequence[Row]) -> str:
    """A table in Markdown, and a line that counts."""
    lines = [f"| {' | '.join(COLUMNS)} |", "|" + " --- |" * len(COLUMNS)]
    for row in merged:
        cells = {**row, "changed": "yes" if row["changed"] else "no"}
        lines.append("| " + " | ".join(str(cells[name]).replace("|", "\\|") for name in COLUMNS) + " |")
    bad = {row["host"] for row in merged if row["status"] not in GOOD}
    return "\n".join([*lines, "", f"{len({row['host'] for row in merged})} hosts, {len(bad)} of them not well."])


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the report; 1 unless every host came to a good end."""
    parser = argparse.ArgumentParser(description="One report of the slices of a job.")
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--expect", type=Path, metavar="INVENTORY", help="what ansible-inventory --list printed")
    parser.add_argument("--json", action="store_true", help="all that is known, as JSON")
    given = parser.parse_args(arguments)
    try:
        merged = merge(read(given.runs), hosts(given.expect) if given.expect else ())
    except Unreadable as error:
        parser.error(str(error))
    print(json.dumps(merged, indent=1, sort_keys=True) if given.json else table(merged))
    return 0 if merged and all(row["status"] in GOOD for row in merged) else 1


if __name__ == "__main__":
    sys.exit(main())
