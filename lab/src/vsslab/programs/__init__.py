# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs of the laboratory's hosts."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

from ..windows.errors import data
from .phrases import table

if TYPE_CHECKING:
    from ..windows.host import Host
    from ..windows.processes import Invocation


@lru_cache(maxsize=128)
def _program(place: str) -> Callable[[Invocation], int]:
    """The function of `module` or `module:function`, imported on first use; one for all hosts."""
    module, _, function = place.partition(":")

    def main(call: Invocation) -> int:
        run: Callable[[Invocation], int] = getattr(
            importlib.import_module(f".{module}", __package__), function or "main"
        )
        return run(call)

    return main


@lru_cache(maxsize=64)
def _of(build: int, *, diskshadow: bool) -> dict[str, Callable[[Invocation], int]]:
    """The programs of an edition, by file name."""
    return {
        entry.get("file", f"{name}.exe"): _program(entry.get("module", name))
        for name, entry in table("programs").items()
        if build >= entry.get("since", 0) and (diskshadow or not entry.get("diskshadow"))
    }


def register(host: Host) -> None:
    """Give a host the programs of its edition (data/programs.yml)."""
    host.programs.provide(_of(int(host.profile.build), diskshadow=host.profile.has_diskshadow))


def simulated() -> dict[str, frozenset[str]]:
    """The programs that are simulated, and of each its verbs, built-in commands and switches, from their tables."""
    from . import cmd, diskshadow_commands, filters, robocopy_options, tar_options  # noqa: PLC0415 - on request

    switches = robocopy_options.switches()
    robocopy = {*switches["plain"], *switches["values"], *switches["lists"], "/LOG", "/LOG+", "/UNILOG", "/UNILOG+"}
    tar = tar_options.switches()
    own = {
        "cmd": frozenset(cmd.builtins()),
        "diskshadow": diskshadow_commands.forms(),
        "robocopy": frozenset(robocopy),
        "tar": frozenset(f"-{each}" if len(each) == 1 else f"--{each}" for each in (*tar["plain"], *tar["values"])),
        "vssadmin": frozenset(data("profiles.yml")["verbs"]["server"]),
        **{name: frozenset(verbs) for name, verbs in filters.SWITCHES.items()},
    }
    found: dict[str, frozenset[str]] = {}
    for name, entry in table("programs").items():
        place = entry.get("module", name)
        if place != "refused":
            module = importlib.import_module(f".{place.partition(':')[0]}", __package__)
            found[name] = own.get(name, frozenset(getattr(module, "VERBS", ())))
    return found
