# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host going down and coming up: what ends, what starts again, and the events that tell of it.

A clean shutdown writes 1074, 13 and 6006 into the System log, the next start 12 and 6005; after a crash or a lack of
power the start writes 41 and 6008 as well, and the shutdown nothing ("Event ID 41", "Shutdown Event Tracker").
"""

from __future__ import annotations

import contextlib
import datetime
from typing import TYPE_CHECKING

from .errors import WinError
from .events import system_time
from .users import User

if TYPE_CHECKING:
    from .host import Host

RUNNING, RESTARTING, OFF = "running", "restarting", "off"
_LEGACY_REASON, _LEGACY_CODE = "Legacy API shutdown", "0x80070000"  # SHTDN_REASON_LEGACY_API, planned


def go_down(host: Host, state: str, *, unexpected: bool, by: User | None) -> None:
    """Everything on the host ends: tasks, programs, connections, logon sessions; `on_reboot` is told."""
    host.trace.write("reboot", host.name, state=state, unexpected=unexpected)
    if not unexpected:
        kind = "restart" if state == RESTARTING else "power off"
        user = (by or host.users.system).full_name
        process = f"{host.windows}\\system32\\wbem\\wmiprvse.exe ({host.name})"
        found = [process, host.name, _LEGACY_REASON, _LEGACY_CODE, kind, "", user]
        host.events.report("restart asked for", found)
    host.state = state
    host.went_down = host.clock.now()
    host.crashed = unexpected
    host.tasks.halt()
    host.services.close()
    host.processes.kill_all()
    host.mappings.clear()
    for callback in tuple(host.on_reboot):
        callback()
    if not unexpected:
        host.events.report("system stops", [system_time(host.clock.now())])
        host.events.report("log service stopped")


def come_up(host: Host) -> None:
    """The host starts: pending renames are done, services and tasks start, `on_boot` is told."""
    now = host.clock.now()
    _finish_pending(host)
    host.boot_time = now
    if host.crashed:
        host.events.report("power lost", ["0", "0x0", "0x0", "0x0", "0x0", "false", "0"])
    host.events.report("system started", ["10", "0", host.profile.build, "0", "0", "0", system_time(now)])
    if host.crashed and host.went_down is not None:
        local = host.clock.local(host.went_down)
        host.events.report("shutdown unexpected", [host.language.local_time(local), host.language.local_date(local)])
    host.events.report("log service started")
    host.state = RUNNING
    host.crashed = False
    host.services.boot()
    for callback in tuple(host.on_boot):
        callback()
    host.tasks.boot()
    host.trace.write("reboot", host.name, state=RUNNING, seconds=_seconds(host, now))


def _seconds(host: Host, now: datetime.datetime) -> float:
    return 0.0 if host.went_down is None else round((now - host.went_down).total_seconds(), 3)


def _finish_pending(host: Host) -> None:
    """PendingFileRenameOperations (MoveFileEx): renames, removals where there is no new name; what fails is dropped."""
    pending, host.pending_renames = host.pending_renames, []
    for old, new in pending:
        with contextlib.suppress(WinError):
            if new is not None:
                host.files.rename(old, new, replace_existing=True)
            elif host.files.is_dir(old):
                host.files.rmdir(old)
            else:
                host.files.remove(old)
