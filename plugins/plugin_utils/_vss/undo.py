# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How everything that a run makes is undone: one table, in the order in which nothing is left dangling.

For every kind of thing it says how typed commands undo it, for whoever cleans up over a connection, and how programs
do, for the lease, which nobody watches. Removal goes by what records name, never by what looks like ours, and goes on
when a step fails: what could not be removed is told at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from .. import _areas, _shares
from .. import _verbs as verbs
from .._host import Host
from .._pipeline import Statement
from .._tasks import Quoted
from . import lock, records
from .model import Shadow, StorageArea, volume_id
from .paths import join, long_path, parent, same
from .records import Made, Record
from .traces import MADE_IDS, MANIFEST

Action = tuple[str, Sequence[str]]  # a program of System32 and its arguments

RENAMED = "renamed"  # in a record's changes: which files a restore has given another name, with that
_MOST_NAMES = 300  # that a lease gives back, an action each; the next run gives back all

# Scripts of diskshadow that the lease runs, one command each, so that one that fails does not keep the others from
# running. Their names put those that take exposures back before those that delete.
UNEXPOSE, DELETE = "undo-1-", "undo-2-"


class Thing(Enum):
    """What a run can leave on a host."""

    RUNNING = "a program at work"
    THAW = "an application that is held"
    SHARE = "a share"
    EXPOSURE = "a letter or folder that shows a shadow copy"
    LINK = "a link"
    SHADOW = "a shadow copy"
    DESTINATION = "an unfinished copy"
    SCRATCH = "a scratch folder"
    NAME = "a file that has another name, to make room for what is restored"
    AREA = "a storage area that was taken away to be moved"
    TASK = "a scheduled task"
    LOCK = "the lock"
    FOLDER = "the run's folder"
    LEASE = "the lease"


@dataclass(frozen=True)
class Leftover:
    """What a run made. more: IDs of shadow copies that only its logs name; destination: also remove that."""

    record: Record
    more: tuple[str, ...] = ()
    destination: bool | None = None

    @property
    def shadow_ids(self) -> list[str]:
        """Every shadow copy of the run."""
        return list(dict.fromkeys([*(made.id for made in self.record.shadows), *self.more]))

    @property
    def shown(self) -> list[Made]:
        """Every shadow copy that the run shows somewhere: its own, and those that it shows anew and that stay."""
        return [*self.record.shadows, *self.record.showing]

    def shows(self, shadow: Shadow) -> bool:
        """Whether the exposure of this shadow copy goes with the run: of its own ones, and of those it shows anew."""
        if shadow.id in self.shadow_ids:
            return bool(shadow.exposed_name)
        anew = [made.exposed for made in self.record.showing if made.id == shadow.id and made.exposed]
        return any(same(at, place) for place in anew for at in shadow.places)

    @property
    def links(self) -> list[str]:
        """Every link and every empty folder of the run."""
        anew = [path for made in self.record.showing for path in (made.link, made.exposed if made.share else "")]
        named = [*self.record.links, *(made.link for made in self.record.shadows), *anew]
        return list(dict.fromkeys(path for path in named if path))

    @property
    def shares(self) -> list[str]:
        """The names of the shares of the run."""
        return list(dict.fromkeys([*self.record.shares, *(m.share for m in self.record.showing if m.share)]))

    @property
    def home(self) -> str:
        """The run in whose folder the folders of its shares lie."""
        other = str(self.record.changes.get("snapshot") or "")
        return other if self.record.showing and records.is_run(other) else self.record.run

    @property
    def tasks(self) -> list[str]:
        """Every task of the run but its lease."""
        return list(dict.fromkeys([*self.record.work_tasks, *([self.record.thaw] if self.record.thaw else [])]))

    @property
    def leases(self) -> list[str]:
        """The tasks of the lease: one, and those that the record names because one could not hold all."""
        more = [name for name in self.record.tasks if name.startswith(self.record.lease_task)]
        return list(dict.fromkeys([*more, self.record.lease_task]))

    @property
    def renamed(self) -> list[tuple[str, str]]:
        """The files that got another name: their paths before, and those names."""
        told: Any = self.record.changes.get(RENAMED)
        pairs = told.items() if isinstance(told, dict) else ()
        return [(str(path), str(name)) for path, name in pairs if str(name).startswith(_last(str(path)))]

    @property
    def area(self) -> StorageArea | None:
        """The storage area that the run took away to move it, as it was before."""
        told: Any = self.record.changes.get("storage")
        try:
            maximum = None if told["maximum"] is None else int(told["maximum"])
            return StorageArea(volume_id(told["volume"]), volume_id(told["on"]), 0, 0, maximum)
        except (TypeError, KeyError, ValueError):
            return None

    @property
    def partial(self) -> tuple[str, ...]:
        """What the run made of a destination that it did not finish, if that is to go as well."""
        return self.record.made_destination if self.destination is not False else ()


@dataclass(frozen=True)
class Undo:
    """How one kind of thing is undone. commands: the host, what is left, a mark for keys; programs: by the lease."""

    thing: Thing
    how: str
    commands: Callable[[Host, Leftover, str], list[Statement]]
    programs: Callable[[Leftover, str], list[Action]]


# ---- by commands
def _stop(host: Host, left: Leftover, mark: str) -> list[Statement]:
    names = [name for name in left.tasks if name != left.record.thaw]
    stops = [verbs.stop_task(f"stop-{name}{mark}", name).tolerant() for name in names]
    if (
        names
        and (left.partial or left.record.scratch or left.renamed)
        and left.record.state in ("copying", "restoring")
    ):
        # The program of a stopped task takes a moment to let go of its files.
        stops.append(verbs.pause(f"let-go{mark}", 1.0))
    return stops


def _unshare(host: Host, left: Leftover, mark: str) -> list[Statement]:
    folder = records.run_folder(host.windows, left.home)
    named = enumerate(left.shares)
    return [_shares.remove_share(f"unshare-{at}{mark}", name, folder).tolerant() for at, name in named]


def _unlink(host: Host, left: Leftover, mark: str) -> list[Statement]:
    return [verbs.remove_link(f"unlink-{at}{mark}", link) for at, link in enumerate(left.links)]


def _delete(host: Host, left: Leftover, mark: str) -> list[Statement]:
    return [verbs.cim_delete_shadow(f"delete-{at}{mark}", shadow) for at, shadow in enumerate(left.shadow_ids)]


def _discard(what: str, paths: Callable[[Leftover], Sequence[str]]) -> Callable[[Host, Leftover, str], list[Statement]]:
    def commands(host: Host, left: Leftover, mark: str) -> list[Statement]:
        return [verbs.remove_tree(f"{what}-{at}{mark}", path).tolerant() for at, path in enumerate(paths(left))]

    return commands


def _name_back(host: Host, left: Leftover, mark: str) -> list[Statement]:
    # What has been restored to the old name keeps it: renaming fails then, and the other file keeps its new one.
    named = enumerate((join(parent(path), name), _last(path)) for path, name in left.renamed)
    return [
        verbs.rename_file(f"back-{at}{mark}", long_path(kept), name, force=True, must=False)
        for at, (kept, name) in named
    ]


def _last(path: str) -> str:
    return path.rpartition("\\")[2]


def _put_back(host: Host, left: Leftover, mark: str) -> list[Statement]:
    area = left.area
    if area is None:
        return []
    # It only says so, by its ReturnValue, when the volume has an area again.
    return [_areas.create_area(f"area-back{mark}", area.volume, area.on_volume, area.maximum).tolerant()]


def _unregister(host: Host, left: Leftover, mark: str) -> list[Statement]:
    return [verbs.remove_task(f"untask-{name}{mark}", name).tolerant() for name in left.tasks]


def _unlock(host: Host, left: Leftover, mark: str) -> list[Statement]:
    return lock.giving_back(left.record.run, host.windows, mark)


def _forget(host: Host, left: Leftover, mark: str) -> list[Statement]:
    return [verbs.remove_tree(f"folder{mark}", records.run_folder(host.windows, left.record.run)).tolerant()]


def _unlease(host: Host, left: Leftover, mark: str) -> list[Statement]:
    return [verbs.remove_task(f"un{name}{mark}", name).tolerant() for name in left.leases]


def _no_commands(host: Host, left: Leftover, mark: str) -> list[Statement]:
    return []


# ---- by programs
def _cmd(*words: str) -> Action:
    return "cmd", ("/d", "/c", *words)


def _no_programs(left: Leftover, windows: str) -> list[Action]:
    return []


def _end(left: Leftover, windows: str) -> list[Action]:
    names = [name for name in left.tasks if name != left.record.thaw]
    return [("schtasks", ("/end", "/tn", f"{verbs.TASK_PATH}{name}")) for name in names]


def _net_unshare(left: Leftover, windows: str) -> list[Action]:
    # By the folder and not by the name: nobody else's share can be meant.
    return [("net", ("share", made.exposed, "/delete", "/y")) for made in left.shown if made.share]


def _scripts(left: Leftover, windows: str, prefix: str) -> list[Action]:
    folder, program = records.run_folder(windows, left.record.run), join(windows, "System32", "diskshadow.exe")
    return [("forfiles", ("/p", folder, "/m", f"{prefix}*.dsh", "/c", Quoted(f"cmd /d /c {program} /s @path")))]


def _unexpose_all(left: Leftover, windows: str) -> list[Action]:
    ours = left.record.shadows if left.record.engine == "diskshadow" else ()
    exposed = any(made.exposed for made in (*ours, *left.record.showing))
    return _scripts(left, windows, UNEXPOSE) if exposed else []


def _delete_all(left: Leftover, windows: str) -> list[Action]:
    if not left.record.volumes:
        return []
    if left.record.engine == "diskshadow":
        return _scripts(left, windows, DELETE)
    # Only vssadmin deletes on every edition, and only what the engine cim makes. What was made without a record saying
    # so yet is a file of that name.
    ids = [("vssadmin", ("delete", "shadows", f"/shadow={made}", "/quiet")) for made in left.shadow_ids]
    made = join(records.run_folder(windows, left.record.run), MADE_IDS)
    program = join(windows, "System32", "vssadmin.exe")
    found = ("forfiles", ("/p", made, "/c", Quoted(f"cmd /d /c {program} delete shadows /shadow=@file /quiet")))
    return [*ids, found]


def _rmdir(left: Leftover, windows: str) -> list[Action]:
    return [_cmd("rmdir", Quoted(link)) for link in left.links if _sayable(link)]


def _rd(paths: Callable[[Leftover], Sequence[str]]) -> Callable[[Leftover, str], list[Action]]:
    def programs(left: Leftover, windows: str) -> list[Action]:
        return [_gone(path) for path in paths(left) if _sayable(path)]

    return programs


def _gone(path: str) -> Action:
    return _cmd("del", "/f", "/q", Quoted(path)) if path.endswith(MANIFEST) else _cmd("rd", "/s", "/q", Quoted(path))


def _sayable(path: str) -> bool:
    """Whether cmd and the Task Scheduler leave a path in quotes as it is: both replace what stands between % signs."""
    return "%" not in path and '"' not in path and "$(" not in path


def _ren(left: Leftover, windows: str) -> list[Action]:
    # Never by a mask: cmd expands %...% in a file's name, and anybody may have put one there that the mask matches.
    pairs = [(join(parent(path), name), _last(path)) for path, name in left.renamed]
    sayable = [(kept, name) for kept, name in pairs if _sayable(kept) and _sayable(name)]
    return [_cmd("ren", Quoted(kept), Quoted(name)) for kept, name in sayable[:_MOST_NAMES]]


def _add_storage(left: Leftover, windows: str) -> list[Action]:
    area = left.area
    if area is None:
        return []
    most = "UNBOUNDED" if area.maximum is None else f"{area.maximum}B"
    return [("vssadmin", ("add", "shadowstorage", f"/for={area.volume}", f"/on={area.on_volume}", f"/maxsize={most}"))]


def _delete_tasks(left: Leftover, windows: str) -> list[Action]:
    return [("schtasks", ("/delete", "/tn", f"{verbs.TASK_PATH}{name}", "/f")) for name in left.tasks]


def _del_lock(left: Leftover, windows: str) -> list[Action]:
    run = left.record.run
    return [
        _cmd("del", "/f", "/q", lock.file(windows, run)),
        _cmd("rmdir", lock.folder(windows)),
        _cmd("rd", "/s", "/q", lock.waiting_folder(windows, run)),
    ]


def _leave_trace(left: Leftover, windows: str) -> list[Action]:
    folder = records.run_folder(windows, left.record.run)
    return [
        _cmd("mkdir", records.expired_folder(windows)),
        _cmd("move", "/y", join(folder, records.RECORD), records.expired_file(windows, left.record.run)),
        _cmd("rd", "/s", "/q", folder),
        _cmd("rmdir", records.expired_folder(windows)),  # only if it is empty: the record was gone already
    ]


UNDO: tuple[Undo, ...] = (
    Undo(Thing.RUNNING, "its task is stopped", _stop, _end),
    # By commands: see `thaw`. Its own trigger has run it before any lease is over.
    Undo(Thing.THAW, "its task is run", _no_commands, _no_programs),
    Undo(Thing.SHARE, "it is removed, if it leads into the run's folder", _unshare, _net_unshare),
    Undo(Thing.EXPOSURE, "diskshadow takes it back, by the copy's ID", _no_commands, _unexpose_all),
    Undo(Thing.LINK, "it is removed, and never what it leads to", _unlink, _rmdir),
    Undo(Thing.SHADOW, "it is deleted by its ID", _delete, _delete_all),
    Undo(
        Thing.DESTINATION,
        "it is removed, if its manifest says that this run made it and did not finish it",
        _discard("destination", lambda left: left.partial),
        _rd(lambda left: left.partial),
    ),
    Undo(
        Thing.SCRATCH,
        "it is removed with what is in it",
        _discard("scratch", lambda left: left.record.scratch),
        _rd(lambda left: left.record.scratch),
    ),
    Undo(Thing.NAME, "it gets its name back, unless something has been restored to that", _name_back, _ren),
    Undo(Thing.AREA, "it is made again as it was, unless its volume has one by now", _put_back, _add_storage),
    Undo(Thing.TASK, "it is unregistered", _unregister, _delete_tasks),
    Undo(Thing.LOCK, "it is given back, if this run has it", _unlock, _del_lock),
    Undo(Thing.FOLDER, "it is removed with the record; a lease keeps that as its trace", _forget, _leave_trace),
    # The very last: whatever comes before it may be interrupted.
    Undo(Thing.LEASE, "its task is unregistered", _unlease, _no_programs),
)


def programs(record: Record, windows: str) -> list[Action]:
    """Everything that the lease of a run does, in this order."""
    left = Leftover(record)
    return [action for undo in UNDO for action in undo.programs(left, windows)]
