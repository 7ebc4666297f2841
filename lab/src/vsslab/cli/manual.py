# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manual pages: the words are data/manual.yml, synopsis and options the parser's."""

from __future__ import annotations

import argparse
import functools
import textwrap
from typing import Any

from vsslab import tables

_WIDTH, _INDENT = 100, "       "
_FILES = (
    ("STATE/inventory.yml", "the inventory, unless --inventory says otherwise; holds passwords, owner only"),
    ("STATE/hosts/", "the hosts' volumes: real files"),
    ("STATE/tls/ca.pem", "the authority that signed the hosts' certificates"),
    ("STATE/control.sock", "the control channel (control.json where the path is too long for a socket)"),
    ("$XDG_RUNTIME_DIR/vsslab-UID/", "a card for each laboratory that runs; else below $TMPDIR"),
)
_STATUS = (
    ("0", "done"),
    ("1", "it could not be done; one sentence on the standard error says why"),
    ("2", "the command line makes no sense"),
)


@functools.cache
def pages() -> dict[str, dict[str, Any]]:
    """Summary, description and examples by command."""
    found: dict[str, dict[str, Any]] = tables.load("vsslab", "data/manual.yml")
    return found


def page(name: str, parser: argparse.ArgumentParser) -> str:
    """The manual page of a command, as text."""
    entry = pages()[name]
    command = "vsslab" if name == "vsslab" else f"vsslab {name}"
    parser.formatter_class = functools.partial(argparse.HelpFormatter, width=_WIDTH - len(_INDENT))
    usage = parser.format_usage().removeprefix("usage: ").strip()
    sections = {
        "NAME": f"{command} - {entry['summary']}",
        "SYNOPSIS": "\n".join(line.strip() if n else line for n, line in enumerate(usage.splitlines())),
        "DESCRIPTION": textwrap.fill(entry["description"], _WIDTH - len(_INDENT)),
        "COMMANDS": "" if not _below(name) else _table((each, pages()[each]["summary"]) for each in _below(name)),
        "OPTIONS": _table(_options(parser)),
        "FILES": _table(_FILES),
        "EXIT STATUS": _table(_STATUS),
        "EXAMPLES": "\n".join(f"{line}\n    {what}" for line, what in entry["examples"]),
    }
    return "\n\n".join(f"{head}\n{textwrap.indent(body, _INDENT)}" for head, body in sections.items() if body) + "\n"


def below(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The parsers of a command's actions by their names."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def _below(name: str) -> list[str]:
    prefix = "" if name == "vsslab" else f"{name} "
    return [each for each in pages() if each.startswith(prefix) and each != name and " " not in each[len(prefix) :]]


def _options(parser: argparse.ArgumentParser) -> list[tuple[str, str]]:
    found = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            continue
        value = "" if action.nargs == 0 else f" {action.metavar or action.dest.upper()}"
        names = ", ".join(f"{each}{value}" for each in action.option_strings) or str(action.metavar or action.dest)
        found.append((names, (action.help or "") % {"default": action.default}))
    return found


def _table(rows: Any) -> str:
    lines = []
    for head, text in rows:
        lines.append(head)
        lines.append(textwrap.indent(textwrap.fill(text, _WIDTH - len(_INDENT) - 4), "    "))
    return "\n".join(lines)
