# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the suite with each version of Ansible in the table: `make matrix`, `make matrix-if-needed`.

    run.py [--smoke | --if-needed] [ENTRY...]

--smoke runs a few suites only. --if-needed does that with the entries for which something that matters has changed
since the whole passed.
"""

from __future__ import annotations

import argparse
import itertools
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from entries import Entry, Unknown, digest, entries, remember, still_holds

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / ".build"
LAST = tuple(str(path.relative_to(ROOT)) for path in sorted(ROOT.glob("tests/integration/test_zz_*.py")))
SPREAD = ("--dist", "loadfile", "-n")
COUNTED = ("passed", "failed", "skipped")
_TOLD = "import ansible.release, platform; print(ansible.release.__version__, platform.python_version())"


class Failed(Exception):
    """An environment cannot be made; what is said has been said."""


@dataclass(frozen=True)
class Suite:
    """One call of pytest."""

    name: str
    arguments: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)


def whole(entry: Entry, workers: str, fleets: str) -> Iterator[Suite]:
    """All suites of `make test-all`, with a thin sample of the crash table."""
    yield Suite("unit", (*SPREAD, workers, "tests/unit", "tests/machine"))
    ignored = tuple(itertools.chain.from_iterable(("--ignore", each) for each in LAST))
    yield Suite("integration", (*SPREAD, fleets, "tests/integration", *ignored))
    yield Suite("pipelines", LAST)  # they read what all the others have left
    yield Suite("crash", ("tests/crash",), {"CRASH_EVERY": "64"})
    if entry.lab:
        yield Suite("laboratory", (*SPREAD, workers, "lab/tests"))


def smoke(_entry: Entry, workers: str, fleets: str) -> Iterator[Suite]:
    """What tells most in a few minutes."""
    yield Suite("unit", (*SPREAD, workers, "tests/unit"))
    names = ("info", "snapshot", "trouble")
    yield Suite("integration", (*SPREAD, fleets, *(f"tests/integration/test_{name}.py" for name in names)))


def environment(entry: Entry, newest: bool = False) -> Path:
    """The Python of the entry's virtual environment, made anew when what it was made of has changed. Raises Failed.

    newest: ask whether there is a newer release of Ansible than the environment has.
    """
    home = BUILD / "matrix" / entry.name
    python, made = home / "bin" / "python", home / "made-of"
    sources = ("requirements.txt", "requirements-dev.txt", "lab/pyproject.toml")
    of = f"{digest(ROOT, sources)} {entry.python} {' '.join(entry.wanted)}\n"
    ready = made.exists() and made.read_text(encoding="utf-8") == of and _runs(python)
    if ready and not newest:
        return python
    if not ready:
        base = _output([str(ROOT / "tests/matrix/python"), entry.python, str(BUILD / f"python{entry.python}")])
        print(f"{entry.name}: making its environment with {base} (once) ...", flush=True)
        _output([base, "-m", "venv", "--clear", str(home)])
    # One cache for all of them: what one has fetched the others have, too.
    settings = {key: value for key, value in os.environ.items() if key not in ("PIP_NO_CACHE_DIR", "PYTHONPATH")}
    needs = ["-r", "requirements.txt", "-r", "requirements-dev.txt", "-e", "./lab"]
    call = [str(python), "-m", "pip", "install", "--quiet", "--upgrade", *entry.wanted]
    _output([*call, *(needs if not ready else ())], {**settings, "PIP_CACHE_DIR": str(BUILD / "pip")})
    made.write_text(of, encoding="utf-8")
    return python


def _runs(python: Path) -> bool:
    return python.exists() and subprocess.run([python, "-c", ""], check=False).returncode == 0


def _output(call: Sequence[str], env: dict[str, str] | None = None) -> str:
    done = subprocess.run(call, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise Failed(f"{' '.join(call)} failed")
    return done.stdout.strip()


def run(suite: Suite, entry: Entry, python: Path) -> dict[str, int]:
    """One suite: how many tests passed, failed and were skipped. Its output is kept, and shown when it is bad."""
    folder = BUILD / "matrix" / "results" / entry.name
    folder.mkdir(parents=True, exist_ok=True)
    counts, output = folder / f"{suite.name}.xml", folder / f"{suite.name}.txt"
    counts.unlink(missing_ok=True)
    env = {**os.environ, **suite.environment, "PATH": f"{python.parent}:{os.environ['PATH']}"}
    call = [str(python), "-m", "pytest", "-q", "--tb=short", f"--junitxml={counts}", *suite.arguments]
    with output.open("w", encoding="utf-8") as out:
        code = subprocess.run(
            call, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out, check=False
        ).returncode
    found = read_counts(counts)
    if code and not found["failed"]:
        found["failed"] += 1  # pytest itself
    if found["failed"]:
        print(output.read_text(encoding="utf-8"), flush=True)
    return found


def read_counts(path: Path) -> dict[str, int]:
    """The numbers in one of pytest's XML files; no file counts as a failure."""
    found = dict.fromkeys(COUNTED, 0)
    if not path.exists():
        return {**found, "failed": 1}
    for suite in ElementTree.parse(path).getroot().iter("testsuite"):
        numbers = {key: int(suite.get(key, 0)) for key in ("tests", "failures", "errors", "skipped")}
        bad = numbers["failures"] + numbers["errors"]
        found["failed"] += bad
        found["skipped"] += numbers["skipped"]
        found["passed"] += max(0, numbers["tests"] - bad - numbers["skipped"])
    return found


def row(entry: Entry, suites: Sequence[Suite], newest: bool) -> dict[str, str | int]:
    """Everything of one entry: a line of the table that is printed at the end."""
    began = time.monotonic()
    line: dict[str, str | int] = {
        "entry": entry.name,
        "Ansible": "-",
        "Python": entry.python,
        **dict.fromkeys(COUNTED, 0),
    }
    try:
        python = environment(entry, newest)
        line["Ansible"], line["Python"] = _output([str(python), "-c", _TOLD]).split()
        print(f"{entry.name}: ansible-core {line['Ansible']}, Python {line['Python']}", flush=True)
        shutil.rmtree(BUILD / "tests", ignore_errors=True)
        for suite in suites:
            found = run(suite, entry, python)
            print(f"{entry.name}: {suite.name}: {', '.join(f'{found[key]} {key}' for key in COUNTED)}", flush=True)
            for key in COUNTED:
                line[key] = int(line[key]) + found[key]
    except Failed as exc:
        print(f"{entry.name}: {exc}", file=sys.stderr, flush=True)
        line["failed"] = 1
    line["seconds"] = round(time.monotonic() - began)
    return line


def show(rows: Sequence[dict[str, str | int]]) -> None:
    """The table."""
    heads = list(rows[0])
    widths = [max(len(head), *(len(str(row[head])) for row in rows)) for head in heads]
    for cells in (heads, *([row[head] for head in heads] for row in rows)):
        print("  ".join(str(cell).ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip())


def needed() -> list[str]:
    """The entries for which something that matters has changed since the whole passed; says what holds and what not."""
    held = still_holds(ROOT)
    missing = [entry.name for entry in entries(ROOT) if entry.name not in held]
    versions = ", ".join(f"{each['ansible']} on Python {each['python']}" for each in held.values())
    if versions:
        told = "The whole suite passed with this carrier and these requirements on ansible-core"
        print(f"{told} {versions}: not run again")
    if missing:
        print(f"The carrier, the skeleton or the requirements have changed since it passed with: {', '.join(missing)}")
        print("Running with these: tests/unit and the integration tests of info, snapshot and trouble.")
        print("The whole suite is run by: make matrix", flush=True)
    return missing


def main() -> int:
    """See above."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--if-needed", action="store_true")
    parser.add_argument("names", nargs="*", metavar="ENTRY")
    options = parser.parse_args()
    if options.if_needed:
        options.names = needed()
        if not options.names:
            return 0
    plan = smoke if options.smoke or options.if_needed else whole
    chosen = entries(ROOT, options.names)
    now = digest(ROOT)
    how = os.environ.get("WORKERS", "2"), os.environ.get("FLEETS", "3")
    rows = []
    for entry in chosen:
        line = row(entry, list(plan(entry, *how)), plan is whole)
        rows.append(line)
        if plan is whole and not line["failed"]:
            told = {"digest": now, "ansible": line["Ansible"], "python": line["Python"], "passed": line["passed"]}
            remember(ROOT, {entry.name: told})
    print()
    show(rows)
    bad = [str(line["entry"]) for line in rows if line["failed"]]
    if bad:
        print(f"Failed: {', '.join(bad)}; the output of each suite is in .build/matrix/results", file=sys.stderr)
    return int(bool(bad))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Unknown as exc:
        sys.exit(str(exc))
