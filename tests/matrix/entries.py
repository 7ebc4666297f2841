# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The versions to test with, and what is remembered of having done so.

What is remembered is the digest of all files that could make a difference between versions of Ansible, Python and the
client libraries. As long as they are the same, what passed still holds.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

TABLE = "tests/matrix/versions.yml"
PASSED = "tests/matrix/passed.json"
# The carrier, the skeleton of every action, and the requirements. Everything above them is plain Python.
MATTERS = (
    *(
        f"plugins/plugin_utils/_{name}.py"
        for name in ("action", "carrier", "clixml", "error_records", "meter", "riders", "runner", "spec", "translate")
    ),
    "plugins/action/*.py",
    "requirements.txt",
    "requirements-dev.txt",
    "lab/pyproject.toml",
    TABLE,
)


class Unknown(Exception):
    """Something is named that is not there; one sentence."""


@dataclass(frozen=True)
class Entry:
    """One line of the table."""

    name: str
    ansible: str
    python: str
    libraries: tuple[str, ...] = ()
    lab: bool = False

    @property
    def wanted(self) -> list[str]:
        """What pip is asked for, beside the requirements."""
        return [f"ansible-core{self.ansible}", *self.libraries]


def entries(root: Path, chosen: Iterable[str] = ()) -> list[Entry]:
    """The table, or those entries of it that are chosen. Raises Unknown."""
    table = yaml.safe_load((root / TABLE).read_text(encoding="utf-8"))
    found = {name: Entry(name, **{**row, "libraries": tuple(row.get("libraries", ()))}) for name, row in table.items()}
    names = list(chosen) or list(found)
    for name in names:
        if name not in found:
            raise Unknown(f"{TABLE} has no entry {name}, but {', '.join(found)}")
    return [found[name] for name in names]


def digest(root: Path, patterns: Sequence[str] = MATTERS) -> str:
    """The digest of names and contents of all files that matter. Raises Unknown when a pattern matches nothing."""
    whole = hashlib.sha256()
    for pattern in patterns:
        files = sorted(root.glob(pattern))
        if not files:
            raise Unknown(f"there is no {pattern} any more: say in {Path(__file__).name} what matters instead")
        for path in files:
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            whole.update(f"{path.relative_to(root).as_posix()} {content}\n".encode())
    return whole.hexdigest()


def remembered(root: Path) -> dict[str, dict[str, Any]]:
    """What each entry passed with: digest, Ansible, Python; {} when nothing is remembered."""
    try:
        found: dict[str, dict[str, Any]] = json.loads((root / PASSED).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return found


def remember(root: Path, passed: Mapping[str, Mapping[str, Any]]) -> None:
    """Remember these entries; others stay as they are, and those that are no longer in the table go."""
    known = [entry.name for entry in entries(root)]
    whole = {**remembered(root), **passed}
    kept = {name: whole[name] for name in known if name in whole}
    (root / PASSED).write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")


def still_holds(root: Path) -> dict[str, dict[str, Any]]:
    """What is remembered of the entries that passed with the files as they are now."""
    now, known = digest(root), remembered(root)
    return {e.name: known[e.name] for e in entries(root) if known.get(e.name, {}).get("digest") == now}
