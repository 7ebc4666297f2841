# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
r"""The records that runs leave on a host, before they act and after every step.

Shadow copies carry no names and no owner. So every run has a folder ``<Windows>\umbra-vss\runs\<run id>`` with a
``record.json``, written whole under another name and then moved. What a record names is ours; everything else is not.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime, timedelta, timezone
from typing import Any, Literal

from .._pipeline import Statement, moment
from .._verbs import move_file, new_file, read_texts, write_lines
from .model import guid, iso
from .owner import Owner, owner_from
from .paths import join

SCHEMA = 1
STATE_FOLDER = "umbra-vss"
RUNS = "runs"
RECORD = "record.json"
LEASE = timedelta(minutes=30)

EXPIRED = "expired"

# going: it was kept and is being removed. keeping: it is kept as soon as its lease is gone (see `settled`).
State = Literal[
    "begun", "created", "copying", "verified", "keeping", "kept", "going", "restoring", "reverting", "changing"
]
# What an interrupted run in this state is brought to: its end, not its beginning.
FORWARD: frozenset[str] = frozenset({"going", "reverting"})


def state_folder(windows: str) -> str:
    """The folder that everything of ours lies in on a host."""
    return join(windows, STATE_FOLDER)


def run_folder(windows: str, run: str) -> str:
    """The folder of one run."""
    return join(windows, STATE_FOLDER, RUNS, run)


def expired_folder(windows: str) -> str:
    """The folder of the traces that leases leave."""
    return join(windows, STATE_FOLDER, EXPIRED)


def expired_file(windows: str, run: str) -> str:
    """The trace of one run: its record, moved there."""
    return join(expired_folder(windows), f"{run}.json")


def new_run() -> str:
    """The identity of a new run: 32 hexadecimal digits."""
    return uuid.uuid4().hex


def is_run(name: str) -> bool:
    """Whether a folder's name is the identity of a run."""
    return len(name) == 32 and all(character in "0123456789abcdef" for character in name)


# ---- records
@dataclass(frozen=True)
class Made:
    """A shadow copy that a run made. link: a link of ours or of the user's that leads to it;
    exposed: the letter or empty folder where it appears; share: its share. All are taken back with it.

    access: who was let into the share, and sddl: how the host tells it, when that was known."""

    id: str
    volume: str
    device: str = ""
    link: str = ""
    exposed: str = ""
    share: str = ""
    access: str = ""
    sddl: str = ""


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
    description: str = ""
    kind: str = ""
    backup_type: str = ""
    provider: str = ""
    shares: tuple[str, ...] = ()
    scratch: tuple[str, ...] = ()  # folders that the run makes and that go as a whole
    thaw: str = ""  # the task whose programs let applications go on
    changes: Mapping[str, Any] = field(default_factory=dict)  # of other things: what was there before
    showing: tuple[Made, ...] = ()  # what of another run's snapshot this one shows anew

    @property
    def kept(self) -> bool:
        """Whether the run ended well and left a snapshot on purpose."""
        return self.state == "kept"

    @property
    def until(self) -> datetime | None:
        """When its lease is over, by the host's clock."""
        return _moment(self.lease_until)

    @property
    def whose(self) -> str:
        """The run and who runs it, in words."""
        return f"{self.run} of {self.owner.user} on {self.owner.controller}"

    @property
    def patience(self) -> str:
        """What somebody is told who finds the run at work: it may be dead where its process cannot be seen."""
        until = f" (if it has died, its lease ends it at {self.lease_until} by the host's clock)" if self.until else ""
        return f"wait until that has ended{until}"

    @property
    def lease_task(self) -> str:
        """The task that undoes the run when its lease is over."""
        return f"{self.run}-lease"

    @property
    def work_tasks(self) -> tuple[str, ...]:
        """Its tasks but those of its lease."""
        return tuple(name for name in self.tasks if not name.startswith(self.lease_task))

    def next(self, until: datetime, **changes: Any) -> Record:
        """The record after a step: one revision on, its lease until then (a kept one has none)."""
        later = replace(self, revision=self.revision + 1, **changes)
        return replace(later, lease_until=None if later.kept else iso(until))

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
            "description": self.description,
            "engine": self.engine,
            "kind": self.kind,
            "consistency": self.consistency,
            "volumes": list(self.volumes),
            "set_id": self.set_id,
            "created": self.created,
            "shadows": [
                {
                    "id": made.id,
                    "volume": made.volume,
                    "exposed_at": made.share or made.exposed or made.link or None,
                }
                for made in self.shadows
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
        until = self.until
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
    return whole("record", join(run_folder(windows, record.run), RECORD), record.lines())


def first(record: Record, windows: str) -> Statement:
    """The statement that writes a run's first record, with its folder."""
    return new_file("record", join(run_folder(windows, record.run), RECORD), record.lines())


def reading(key: str, windows: str) -> Statement:
    """The statement that reads every record."""
    return read_texts(key, join(state_folder(windows), RUNS, "*", RECORD)).tolerant()


def whole(key: str, path: str, lines: Sequence[str]) -> list[Statement]:
    """The statements that write a file of ours whole under another name and then move it: `key` and ``key-moved``."""
    return [write_lines(key, f"{path}.new", lines, encoding="ASCII"), move_file(f"{key}-moved", f"{path}.new", path)]


class Damaged(ValueError):
    """A text that is no record; the text of the error says what is wrong with it."""


_CHECKED: Mapping[str, type | tuple[type, ...]] = {
    "run": str, "action": str, "name": str, "state": str, "revision": int, "schema": int, "begun": str,
    "lease_until": (str, type(None)), "engine": str, "consistency": str, "reason": str, "set_id": (str, type(None)),
    "created": (str, type(None)), "destination": (str, type(None)), "made_destination": list,
    "description": str, "kind": str, "backup_type": str, "provider": str, "shares": list, "scratch": list, "thaw": str,
    "changes": dict, "showing": list,
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
    plain["owner"] = owner_from(found.get("owner", {}))
    for name in ("shadows", "showing"):
        plain[name] = tuple(
            Made(**{**{f.name: str(item.get(f.name, "")) for f in fields(Made)}, "id": guid(item["id"])})
            for item in found.get(name, [])
        )
    plain["writers"] = tuple(dict(item) for item in found.get("writers", []))
    for name in ("volumes", "links", "tasks", "made_destination", "shares", "scratch"):
        plain[name] = tuple(str(item) for item in found.get(name, []))
    return Record(**plain)


@dataclass(frozen=True)
class Records:
    """Every record that was found. damaged: what is wrong with those that could not be read."""

    readable: tuple[Record, ...] = ()
    damaged: tuple[str, ...] = ()

    def settled(self, tasks: Collection[str]) -> Records:
        """The same, where those that are kept as soon as their lease is gone are kept. tasks: of ours that there are.

        Removing the lease is what keeps a snapshot: before it the lease may still undo the run, after it nothing can.
        """

        def settle(record: Record) -> Record:
            done = record.state == "keeping" and record.lease_task not in tasks
            return replace(record, state="kept", lease_until=None) if done else record

        return replace(self, readable=tuple(settle(record) for record in self.readable))

    @property
    def revisions(self) -> Mapping[str, int]:
        """The revisions of all records."""
        return {record.run: record.revision for record in self.readable}

    @property
    def versions(self) -> Mapping[str, int]:
        """The revisions of the kept records, by which one sees that somebody has changed something."""
        return {record.run: record.revision for record in self.readable if record.kept}

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
