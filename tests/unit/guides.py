# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guides' snippets, as a reader would copy them.

`python tests/unit/guides.py FOLDER` writes those that have a file's name into a folder, to be run.
"""

from __future__ import annotations

import re
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

GUIDES = Path(__file__).resolve().parents[2] / "docs" / "docsite" / "rst"
_BLOCK = re.compile(r"^( *)\.\. code-block:: (\S+)$")
_NAME = re.compile(r"# (\S+\.\w+)\b")


@dataclass(frozen=True)
class Snippet:
    """A code block: the guide and line it is in, its language, its text."""

    guide: str
    line: int
    language: str
    text: str

    @property
    def where(self) -> str:
        """For a test's name and for sentences."""
        return f"{self.guide}:{self.line}"

    @property
    def file(self) -> str:
        """The file that it is, which its first line says; empty for an excerpt."""
        found = _NAME.match(self.text)
        return found.group(1) if found else ""

    @property
    def data(self) -> Any:
        """What a block of YAML holds."""
        return yaml.safe_load(self.text)

    @property
    def kind(self) -> str:
        """What a block of YAML is: plays, tasks, scenario, faults or variables."""
        data = self.data
        if isinstance(data, dict):
            return "scenario" if isinstance(data.get("hosts"), list) else "variables"
        first = data[0]
        if "hosts" in first:
            return "plays"
        return "faults" if "do" in first else "tasks"


def snippets(*languages: str) -> list[Snippet]:
    """All snippets of these languages, or of any."""
    found: list[Snippet] = []
    for path in sorted(GUIDES.glob("*.rst")):
        found += _of(path.name, path.read_text(encoding="utf-8").splitlines())
    return [each for each in found if not languages or each.language in languages]


def _of(guide: str, lines: list[str]) -> list[Snippet]:
    found = []
    for number, line in enumerate(lines, 1):
        block = _BLOCK.match(line)
        if block:
            indent = len(block.group(1)) + 1
            body: list[str] = []
            for each in lines[number:]:
                if each.strip() and not each.startswith(" " * indent):
                    break
                body.append(each)
            text = textwrap.dedent("\n".join(body)).strip("\n") + "\n"
            found.append(Snippet(guide, number, block.group(2), text))
    return found


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for snippet in snippets():
        if snippet.file:
            target = folder / snippet.file
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(snippet.text, encoding="utf-8")
