# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs of the laboratory's hosts."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..windows.host import Host
    from ..windows.processes import Invocation

_EVERYWHERE = ("vssadmin", "robocopy", "cmd", "whoami", "icacls")
_SERVER = ("diskshadow",)


def _program(name: str) -> Callable[[Invocation], int]:
    """The program's `main`, its module imported on first use."""

    def main(call: Invocation) -> int:
        run: Callable[[Invocation], int] = importlib.import_module(f".{name}", __package__).main
        return run(call)

    return main


def register(host: Host) -> None:
    """Give a host the programs its edition has; diskshadow comes with Windows Server only."""
    for name in (*_EVERYWHERE, *(_SERVER if host.profile.has_diskshadow else ())):
        host.programs[f"{name}.exe"] = _program(name)
