# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pages of the guides that are written from the collection's own tables.

``python docs/tables.py`` writes them; a test sees to it that they are up to date.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from ansible_collections.umbra.vss.plugins.plugin_utils._vss import errors

PAGES_FOLDER = Path(__file__).resolve().parent / "docsite" / "rst"
_HEAD = """\
..
  Copyright: (c) 2026, umbra contributors
  GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
  SPDX-License-Identifier: GPL-3.0-or-later
  Written by `python docs/tables.py`; change plugins/plugin_utils/_vss/errors.py instead.
"""
_ASKS = {
    errors.ToDo.WAIT: "wait",
    errors.ToDo.REDO: "try later",
    errors.ToDo.FIX: "put right",
    errors.ToDo.STOP: "ask otherwise",
}


def _title(text: str, line: str) -> str:
    return f"{text}\n{line * len(text)}"


def _markup(text: str) -> str:
    """Text of the tables as reStructuredText: what stands between back quotes is literal in both."""
    return text.replace("\\", "\\\\").replace("`", "``")


def _table(head: Iterable[str], widths: str, rows: Iterable[Iterable[str]]) -> str:
    lines = [".. list-table::", "   :header-rows: 1", f"   :widths: {widths}", ""]
    for row in [list(head), *rows]:
        lines += [f"   {'* -' if at == 0 else '  -'} {cell}" for at, cell in enumerate(row)]
    return "\n".join(lines)


def _codes(codes: Mapping[int, errors.Code], hexadecimal: bool) -> str:
    rows = []
    for code in (codes[number] for number in sorted(codes)):
        name = f"``{code.hex}`` {code.name}" if hexadecimal else f"``{code.number}`` {code.name}"
        rows.append((name, _markup(code.meaning), _ASKS[code.todo], _markup(code.advice)))
    return _table(("Code", "What it means", "Asks to", "Advice"), "34 28 10 28", rows)


def _events() -> str:
    rows = [
        (f"``{number}``", meaning, "yes" if number in errors.LOST else "")
        for number, meaning in sorted(errors.VOLSNAP.items())
    ]
    return _table(("Event", "What it means", "Shadow copies may be lost"), "10 60 30", rows)


_ABOUT = (
    "A failed task ends its message with the code that Windows gave, what it means, and what to do. These are the "
    "tables that the modules themselves use. A code that is not here is told as a number, with the advice to look at "
    "the VSS and volsnap events of that time on the host.",
    "*Wait*: somebody else is at work; the modules wait for that by themselves, within :literal:`timeout`. *Try "
    "later*: load or chance; a later run may well succeed. *Put right*: something on the host has to be repaired or "
    "changed first. *Ask otherwise*: what was asked for cannot be had.",
)


def error_codes() -> str:
    """guide_error_codes.rst: every code that the collection knows, and the events of volsnap."""
    parts = (
        _HEAD + "\n.. _ansible_collections.umbra.vss.docsite.guide_error_codes:",
        _title("Codes and events of VSS", "="),
        *_ABOUT,
        ".. contents::\n   :local:\n   :depth: 1",
        _title("HRESULTs of VSS", "-"),
        "From diskshadow, from writers, and in events of the source VSS.",
        _codes(errors.HRESULTS, True),
        _title("Making a shadow copy through CIM", "-"),
        "Return codes of :literal:`Win32_ShadowCopy.Create`, which clients use.",
        _codes(errors.RETURN_CODES, False),
        _title("Reverting a volume", "-"),
        "Return codes of :literal:`Win32_ShadowCopy.Revert`.",
        _codes(errors.REVERT_CODES, False),
        _title("Making a storage area", "-"),
        "Return codes of :literal:`Win32_ShadowStorage.Create`.",
        _codes(errors.STORAGE_CODES, False),
        _title("Events of volsnap", "-"),
        "From the System log. :ansplugin:`umbra.vss.info#module` returns them as :literal:`events`, with the number as "
        ":literal:`id` and this text as :literal:`meaning`.",
        _events(),
    )
    return "\n\n".join(parts) + "\n"


PAGES: dict[str, Callable[[], str]] = {"guide_error_codes.rst": error_codes}


if __name__ == "__main__":
    for name, make in PAGES.items():
        (PAGES_FOLDER / name).write_text(make(), encoding="utf-8")
