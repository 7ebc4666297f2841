# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian's programs for the tests that need one, and the matrix of clients at the end of a run."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MATRIX = "client matrix"


def _load_tools():
    spec = importlib.util.spec_from_file_location("debian_tools", ROOT / "lab" / "tools" / "debian_tools.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def debian_tools():
    """The module lab/tools/debian_tools.py."""
    return _load_tools()


@pytest.fixture(scope="session")
def debian(debian_tools):
    """Call it with names of packages: the folder they are unpacked in; the test is skipped where there is no way."""

    def provide(*packages: str) -> Path:
        try:
            return debian_tools.provide(packages, ROOT / ".build" / "debian")
        except debian_tools.Unavailable as error:
            pytest.skip(str(error))

    return provide


def pytest_terminal_summary(terminalreporter):
    """What every client did, also when several workers ran the tests: whole in a file, the heart of it printed."""
    reports = [each for kind in ("passed", "failed") for each in terminalreporter.stats.get(kind, [])]
    rows = sorted(
        {tuple(found) for each in reports for name, found in getattr(each, "user_properties", ()) if name == MATRIX}
    )
    if not rows:
        return
    path = ROOT / ".build" / "tests" / "client-matrix.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    lines = ["  ".join([*map(str.ljust, row, widths), row[-1]]) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    terminalreporter.write_sep("-", f"{MATRIX}: {len(rows)} rows in {path.relative_to(ROOT)}")
    for line in _table(rows):
        terminalreporter.write_line(line)


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    """Clients and schemes by authentications, of a service that takes no plain message."""
    cells: dict[tuple[str, str], dict[str, dict[str, str]]] = {}
    for client, scheme, auth, encryption, service, password, told in rows:
        if service == "strict" and password == "right":
            marks = cells.setdefault((client, scheme), {}).setdefault(auth, {})
            marks[encryption] = "+" if told.startswith("works") else "-"
    names = sorted({auth for found in cells.values() for auth in found})
    lines = [f"{'':26}" + "".join(f"{name:<12}" for name in names)]
    for (client, scheme), found in cells.items():
        marks = ("".join(found.get(name, {}).get(kind, " ") for kind in ("auto", "always", "never")) for name in names)
        lines.append(f"{client:<19}{scheme:<7}" + "".join(f"{each:<12}" for each in marks))
    return [*map(str.rstrip, lines), "+ let in, - refused, with message encryption auto, always, never in this order"]
