# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of kind 'http', met by an event loop that must not wait."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import threading
from typing import TYPE_CHECKING

from vsslab import incidents
from vsslab.wire.wsman_faults import WsmanFault, table

if TYPE_CHECKING:
    from vsslab.faults import Fault
    from vsslab.windows.host import Host


async def meet(host: Host, operation: str, user: str | None) -> Fault | None:
    """The fault that fires at an operation, everything general of it done; a cancelled wait is given up at once."""
    fault = incidents.fire(host, "http", operation=operation, user=user)
    if fault is None:
        return None
    loop, stop = asyncio.get_running_loop(), threading.Event()
    done: asyncio.Future[None] = loop.create_future()

    def tell() -> None:
        if not done.done():
            done.set_result(None)

    def work() -> None:
        try:
            incidents.perform(host, fault, stop)
        finally:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(tell)

    host.clock.spawn(work, name=f"{host.name}:fault {fault.id}")
    try:
        await done
    finally:
        stop.set()
    return fault


class OrderedFault(WsmanFault):
    """A fault of WS-Management with a code, or a text, that somebody ordered."""

    def __init__(self, wanted: int | str) -> None:
        super().__init__("ordered", what=wanted if isinstance(wanted, str) else "A fault was ordered.")
        if isinstance(wanted, int):
            known = next((each for each in table().values() if each.code == wanted and "{" not in each.message), None)
            self.row = known or dataclasses.replace(self.row, code=wanted)
            if known is not None:
                self.reason, self.message = known.reason, known.message


def ordered(wanted: int | str) -> OrderedFault:
    """The fault for `do: {fail: ...}`: a number, a text that is one, or a message."""
    with contextlib.suppress(ValueError):
        return OrderedFault(int(str(wanted), 0) & 0xFFFFFFFF)
    return OrderedFault(str(wanted))
