# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
r"""The records that runs leave on a host, before they act and after every step.

Shadow copies carry no names and no owner. So every run has a folder ``<Windows>\umbra-vss\runs\<run id>`` with a
``record.json``, written whole under another name and then moved. What a record names is ours; everything else is not.
"""

from __future__ import annotations

import getpass
import json
import os
import socket
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Literal

from .._pipeline import Statement, moment
from .._verbs import move_file, write_lines
from .model import guid, iso
from .paths import join

SCHEMA = 1
STATE_FOLDER = "umbra-vss"
RUNS = "runs"
RECORD = "record.json"
LEASE = timedelta(minutes=30)

State = Literal["begun", "created", "copying", "verified", "kept"]


def state_folder(windows: str) -> str:
    """The folder that everything of ours lies in on a host."""
    return join(windows, STATE_FOLDER)


def run_folder(windows: str, run: str) -> str:
    """The folder of one run."""
    return join(windows, STATE_FOLDER, RUNS, run)


def new_run() -> str:
    """The identity of a new run: 32 hexadecimal digits."""
    return uuid.uuid4().hex


def is_run(name: str) -> bool:
    """Whether a folder's name is the identity of a run."""
    return len(name) == 32 and all(character in "0123456789abcdef" for character in name)


# ---- controller
@dataclass(frozen=True)
class Owner:
    """The process on a controller that a run belongs to. Fields that the controller does not tell are empty."""

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


# ---- records
@dataclass(frozen=True)
class Made:
    """A shadow copy that a run made. link: a link of ours or of the user's that leads to it;
    exposed: the letter or empty folder where it appears. Both are taken back with it."""

    id: str
    volume: str
    device: str = ""
    link: str = ""
    exposed: str = ""


@dataclass(frozen=True)
class Record:
    """One run, as its record tells it. Times are the host's own clock, in UTC."""

    run: str
    action: str
    name: str = ""
    state: State = "begun"
    revision: int = 0
    schema: int = SCHEMA
    owner: Owner = field(default_factory=Owner)
    begun: str = ""
    lease_until: str | None = None
    engine: str = ""
    volumes: tuple[str, ...] = ()
    consistency: str = ""
    reason: str = ""
    set_id: str | None = None
    created: str | None = None
    shadows: tuple[Made, ...] = ()
    writers: tuple[Mapping[str, Any], ...] = ()
    links: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    destination: str | None = None
    made_destination: tuple[str, ...] = ()  # what of it the run makes: all of it, or what goes into an empty folder

    @property
    def kept(self) -> bool:
        """Whether the run ended well and left a snapshot on purpose."""
        return self.state == "kept"

    def next(self, now: datetime, lease: timedelta = LEASE, **changes: Any) -> Record:
        """The record after a step: one revision on, its lease renewed (a kept one has none)."""
        later = replace(self, revision=self.revision + 1, **changes)
        until = None if later.kept else iso(now + lease)
        return replace(later, lease_until=until)

    def lines(self) -> list[str]:
        """The record's file."""
        return json.dumps(asdict(self), indent=1, sort_keys=True, ensure_ascii=True).splitlines()

    def result(self) -> dict[str, Any]:
        """The record as a module returns it."""
        return {
            "run": self.run,
            "name": self.name,
            "action": self.action,
            "state": self.state,
            "begun": self.begun,
            "lease_until": self.lease_until,
            "owner": {"controller": self.owner.controller, "user": self.owner.user, "pid": self.owner.pid},
            "engine": self.engine,
            "consistency": self.consistency,
            "volumes": list(self.volumes),
            "set_id": self.set_id,
            "created": self.created,
            "shadows": [
                {"id": made.id, "volume": made.volume, "exposed_at": made.exposed or None} for made in self.shadows
            ],
            "destination": self.destination,
        }

    def abandoned(self, now: datetime, me: Owner) -> str | None:
        """Why the run is certainly over although it left things; None when it may be alive, or kept them on purpose."""
        if self.kept:
            return None
        if self.owner.provably_dead(me):
            return f"its process {self.owner.pid} on {self.owner.controller} is gone"
        if self.owner.provably_alive(me):
            return None
        until = _moment(self.lease_until)
        if until is not None and until < now:
            return f"its lease ended at {self.lease_until}"
        return None


def _moment(text: str | None) -> datetime | None:
    try:
        return moment(text)
    except ValueError:
        return None


def write(record: Record, windows: str) -> list[Statement]:
    """The statements that write a record whole under another name and then move it."""
    path = join(run_folder(windows, record.run), RECORD)
    return [
        write_lines("record", f"{path}.new", record.lines(), encoding="ASCII"),
        move_file("record-moved", f"{path}.new", path),
    ]


class Damaged(ValueError):
    """A text that is no record; the text of the error says what is wrong with it."""


_CHECKED: Mapping[str, type | tuple[type, ...]] = {
    "run": str, "action": str, "name": str, "state": str, "revision": int, "schema": int, "begun": str,
    "lease_until": (str, type(None)), "engine": str, "consistency": str, "reason": str, "set_id": (str, type(None)),
    "created": (str, type(None)), "destination": (str, type(None)), "made_destination": list,
    "volumes": list, "shadows": list, "writers": list, "links": list, "tasks": list, "owner": dict,
}  # fmt: skip


def read(text: str) -> Record:
    """A record from its file.

    :raises Damaged: it is not whole, not ours or of a version that is not known.
    """
    try:
        found = json.loads(text.lstrip("\ufeff"))
    except ValueError as error:
        raise Damaged(f"it is not JSON ({error})") from None
    if not isinstance(found, dict) or not is_run(str(found.get("run", ""))):
        raise Damaged("it names no run")
    if found.get("schema") != SCHEMA:
        raise Damaged(f"it is of version {found.get('schema')!r}, and this collection knows version {SCHEMA}")
    for name, value in found.items():
        if name in _CHECKED and not isinstance(value, _CHECKED[name]):
            raise Damaged(f"its {name} is {value!r}")
    try:
        return _assemble(found)
    except (TypeError, ValueError, KeyError) as error:
        raise Damaged(f"something in it is not as it should be ({error})") from None


def _assemble(found: dict[str, Any]) -> Record:
    known = {item.name for item in fields(Record)}
    plain = {key: value for key, value in found.items() if key in known}
    plain["owner"] = Owner(**{f.name: found.get("owner", {}).get(f.name, f.default) for f in fields(Owner)})
    plain["shadows"] = tuple(
        Made(**{**{f.name: str(item.get(f.name, "")) for f in fields(Made)}, "id": guid(item["id"])})
        for item in found.get("shadows", [])
    )
    plain["writers"] = tuple(dict(item) for item in found.get("writers", []))
    for name in ("volumes", "links", "tasks", "made_destination"):
        plain[name] = tuple(str(item) for item in found.get(name, []))
    return Record(**plain)


@dataclass(frozen=True)
class Records:
    """Every record that was found. damaged: what is wrong with those that could not be read."""

    readable: tuple[Record, ...] = ()
    damaged: tuple[str, ...] = ()

    def named(self, name: str) -> list[Record]:
        """The kept snapshots of a name, newest first."""
        mine = [record for record in self.readable if record.kept and record.name.casefold() == name.casefold()]
        return sorted(mine, key=lambda record: (record.created or "", record.begun), reverse=True)


def read_all(texts: Iterable[str]) -> Records:
    """All records of a host from the texts of their files; damage to one does not hide another."""
    readable: list[Record] = []
    damaged: list[str] = []
    for text in texts:
        try:
            readable.append(read(text))
        except Damaged as error:
            damaged.append(str(error))
    return Records(tuple(readable), tuple(damaged))


def utc(now: datetime) -> str:
    """A moment for a record."""
    return iso(now.astimezone(timezone.utc)) or ""
