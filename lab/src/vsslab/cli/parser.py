# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line as argparse sees it."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vsslab import __version__, faultwords, tables
from vsslab.cli import client, manual

_READS = ("stats", "ledger", "counters", "hosts", "refusals")
_LAST_PORT = 65535


class _Commands:
    """Adds commands whose words are those of the manual."""

    def __init__(self, parser: argparse.ArgumentParser, prefix: str = "") -> None:
        metavar = "ACTION" if prefix else "COMMAND"
        self._parsers = parser.add_subparsers(metavar=metavar, required=not prefix or prefix != "time ")
        self._prefix = prefix

    def add(self, name: str, run: Callable[..., int], *, state: bool = True, **more: Any) -> argparse.ArgumentParser:
        entry = manual.pages()[self._prefix + name]
        parser: argparse.ArgumentParser = self._parsers.add_parser(
            name, help=entry["summary"], description=entry["description"]
        )
        if state:
            # SUPPRESS: an action's own default must not undo what was said before the action
            parser.add_argument("--state", type=Path, metavar="DIR", default=argparse.SUPPRESS,
                                help="the laboratory's state folder (default: of the only one that runs)")  # fmt: skip
        parser.set_defaults(run=run, **more)
        return parser


def build() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    entry = manual.pages()["vsslab"]
    parser = argparse.ArgumentParser(
        prog="vsslab",
        description=entry["description"],
        epilog="`vsslab help COMMAND` shows files, exit status and examples.",
    )
    parser.set_defaults(state=None)
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = _Commands(parser)
    _up(commands)
    commands.add("down", client.down)
    commands.add("ps", client.ps, state=False)
    for name in _READS:
        commands.add(name, client.read, what=name)
    commands.add("inventory", client.inventory).add_argument(
        "--user", help="connect as this account instead of an administrator"
    )
    _fault(commands)
    _time(commands)
    _state(commands)
    _trace(commands)
    commands.add("coverage", client.coverage, state=False)
    help_ = commands.add("help", client.manual_page, state=False, parser=parser)
    help_.add_argument("words", nargs="*", metavar="COMMAND", help="the command, and its action if it has any")
    return parser


def _port(value: str) -> int:
    if not value.isdecimal() or int(value) > _LAST_PORT:
        raise argparse.ArgumentTypeError(f"{value!r} is no port from 0 to {_LAST_PORT}")
    return int(value)


def _run_up(options: argparse.Namespace) -> int:
    from vsslab.cli import up  # noqa: PLC0415 - the whole laboratory, which the other commands do without

    return up.run(options)


def _up(commands: _Commands) -> None:
    parser = commands.add("up", _run_up, state=False)
    known = ", ".join(tables.names("vsslab", "scenarios"))
    parser.add_argument(
        "scenario", metavar="SCENARIO", nargs="?", help=f"a YAML file, or one that comes along: {known}"
    )
    parser.add_argument("--hosts", type=int, metavar="N", help="instead of a scenario: so many equal hosts")
    parser.add_argument("--profile", help="the edition of the --hosts, for example server2025 (default server2022)")
    parser.add_argument("--state", type=Path, metavar="DIR", default=None,
                        help="where everything is kept (default: a new folder, removed at the end)")  # fmt: skip
    parser.add_argument("--keep", action="store_true", help="keep the state folder even without --state")
    parser.add_argument("--inventory", type=Path, metavar="FILE", help="where to write the Ansible inventory")
    parser.add_argument("--trace", type=Path, metavar="FILE", help="write everything that happens as JSON lines")
    parser.add_argument("--port", type=_port, default=5985, metavar="PORT",
                        help="HTTP port on every address, 0 for a free one (default %(default)s)")  # fmt: skip
    parser.add_argument("--tls-port", type=_port, default=None, metavar="PORT",
                        help="HTTPS port, 0 for a free one (default 5986; a free one with --port 0)")  # fmt: skip
    parser.add_argument(
        "--engine", type=Path, metavar="PATH", help="hand pipelines to the PowerShell engine in this folder"
    )
    parser.add_argument("--time", metavar="TIME", help="real, virtual, or the date virtual time begins with")
    parser.add_argument("--fault", type=Path, action="append", default=[], metavar="FILE",
                        help="order the faults of a YAML file, one or a list of them (may be given again)")  # fmt: skip
    parser.add_argument(
        "--page-port", type=_port, default=0, metavar="PORT", help="port of the live page (default: a free one)"
    )


def _fault(commands: _Commands) -> None:
    actions = _Commands(commands.add("fault", client.fault_list), "fault ")
    kinds = ", ".join(faultwords.table()["kinds"])
    actions.add("add", client.fault_add).add_argument(
        "definition", metavar="DEFINITION", help=f"YAML or JSON {{on: ..., do: ...}}, or @FILE; kinds: {kinds}"
    )
    actions.add("list", client.fault_list)
    actions.add("remove", client.fault_remove).add_argument("id", metavar="ID", help="as printed by add and list")
    actions.add("clear", client.fault_clear)
    actions.add("release", client.fault_release).add_argument("id", metavar="ID", help="as printed by add and list")


def _time(commands: _Commands) -> None:
    actions = _Commands(commands.add("time", client.time_show), "time ")
    actions.add("show", client.time_show)
    actions.add("advance", client.time_advance).add_argument(
        "duration", metavar="DURATION", help="how far, for example 70s, 5m or 2h"
    )


def _state(commands: _Commands) -> None:
    actions = _Commands(commands.add("state", client.state_dump, state=False), "state ")
    actions.add("dump", client.state_dump).add_argument("file", type=Path, metavar="FILE", help="the tar file to write")
    load = actions.add("load", client.state_load, state=False)
    load.add_argument("file", type=Path, metavar="FILE", help="a tar file of `vsslab state dump`")
    load.add_argument("--state", type=Path, metavar="DIR", required=True, help="the state folder to put it into")


def _trace(commands: _Commands) -> None:
    parser = commands.add("trace", client.trace)
    parser.add_argument("--follow", "-f", action="store_true", help="go on as things happen")
    parser.add_argument("--host", help="of this host only")
    parser.add_argument("--event", help="of this event only, for example http, pipeline or fault")
    parser.add_argument("--timeline", action="store_true", help="as a text for people")
