# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Standard input of programs, line by line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..windows.processes import Invocation


def typed(call: Invocation) -> Iterator[str]:
    """The lines of a program's standard input as they arrive, without their ends; none more once it must end."""
    for line in call.stdin.splitlines():
        if call.stop.is_set():
            return
        yield line
