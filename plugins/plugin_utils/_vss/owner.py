# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The process on a controller that a run or a lock belongs to, and whether it is still there."""

from __future__ import annotations

import getpass
import json
import os
import socket
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Owner:
    """The process on a controller that something belongs to. Fields that the controller does not tell are empty."""

    controller: str = ""
    boot: str = ""
    namespace: str = ""
    pid: int = 0
    started: str = ""
    user: str = ""

    def provably_dead(self, me: Owner) -> bool:
        """Whether the process is certainly gone, seen from process `me`.

        Only a process of the same boot and the same process namespace can be looked for; a process number that is in
        use again has another start time.
        """
        return self._can_be_seen(me) and _started(self.pid) != self.started

    def provably_alive(self, me: Owner) -> bool:
        """Whether the process certainly goes on, seen from process `me`."""
        return self._can_be_seen(me) and _started(self.pid) == self.started

    def _can_be_seen(self, me: Owner) -> bool:
        if not (self.boot and self.namespace and self.pid and self.started):
            return False
        return (self.controller, self.boot, self.namespace) == (me.controller, me.boot, me.namespace)


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _started(pid: int) -> str:
    """Start of a process in clock ticks since the boot, "" when there is none (proc(5), /proc/pid/stat, field 22)."""
    stat = _read(f"/proc/{pid}/stat")
    rest = stat.rpartition(")")[2].split()
    # A process that has ended but was not waited for yet is as dead as one that is gone.
    return "" if len(rest) < 20 or rest[0] in ("Z", "X") else rest[19]


def this_process() -> Owner:
    """The owner of what this process does. On controllers without /proc only the lease tells."""
    try:
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:
        namespace = ""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return Owner(
        controller=socket.gethostname(),
        boot=_read("/proc/sys/kernel/random/boot_id"),
        namespace=namespace,
        pid=os.getpid(),
        started=_started(os.getpid()),
        user=user,
    )


def owner_from(found: Mapping[str, Any]) -> Owner:
    """The owner that a file tells; what it does not tell is empty."""
    return Owner(**{f.name: found.get(f.name, f.default) for f in fields(Owner)})


# ---- in the description of a lease, which is there before there is a record
_DESCRIBED = "umbra.vss removes what this run has made, unless it has ended by then. Its owner: "


def described(owner: Owner) -> str:
    """The description of a lease's task: what it is for, and whose."""
    return _DESCRIBED + json.dumps(asdict(owner), sort_keys=True)


def owners(tasks: Iterable[Mapping[str, Any]]) -> dict[str, Owner]:
    """Whose the leases among these tasks are, by the runs they belong to."""
    found: dict[str, Owner] = {}
    for told in tasks:
        run, lease, _more = str(told.get("TaskName")).partition("-lease")
        _before, known, text = str(told.get("Description") or "").partition(_DESCRIBED)
        if lease and known:
            with suppress(ValueError, TypeError, AttributeError):
                found[run] = owner_from(json.loads(text))
    return found
