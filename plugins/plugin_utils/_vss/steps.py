# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The transactions, step by step: what each makes and takes away, and so what there is before and after it.

Every statement that a transaction sends belongs to one step, by its key, or leaves nothing behind (`HARMLESS`). How
what there is after a step is undone, or brought to its end, says `undo.UNDO`, the same for recovery over a connection
and for the lease. Tests interrupt every one of these steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from .records import FORWARD
from .undo import UNDO, Thing, Undo


@dataclass(frozen=True)
class Step:
    """One step of a transaction.

    keys: patterns of the keys of its statements. makes: what is there from its beginning on; takes: what is gone at its
    end. state: of the record from here on.
    """

    transaction: str
    name: str
    keys: tuple[str, ...]
    makes: frozenset[Thing] = frozenset()
    takes: frozenset[Thing] = frozenset()
    state: str = ""

    def has(self, key: str) -> bool:
        """Whether a statement of this key belongs to the step."""
        return any(fnmatchcase(key, pattern) for pattern in self.keys)


T = Thing


def _row(
    transaction: str, name: str, keys: str, makes: Sequence[Thing] = (), takes: Sequence[Thing] = (), state: str = ""
) -> Step:
    return Step(transaction, name, tuple(keys.split()), frozenset(makes), frozenset(takes), state)


# These find a record of ours, and so the folder that it lies in.
_NEVER_FIRST = frozenset({"reexpose", "describe", "absent", "cleanup"})


def _beginning(of: str) -> list[Step]:
    """How a transaction begins: what undoes it comes first."""
    folder = _row(of, "make the state folder", "state state-owner state-acl event-source")
    return [
        *([] if of in _NEVER_FIRST else [folder]),
        _row(of, "register the lease", "lease-[0-9] lease-[0-9][0-9] over-*", [T.LEASE]),
        _row(
            of,
            "record the intent",
            "undo-script-[0-9] undo-script-[0-9][0-9] record record-moved",
            [T.FOLDER],
            state="begun",
        ),
        _row(of, "take the lock", "lock-beside lock-holder lock-empty lock", [T.LOCK]),
    ]


_ENDING: tuple[tuple[str, str, Thing], ...] = (
    ("stop the programs", "stop-* let-go*", T.RUNNING),
    ("let applications go on by force", "thaw-*", T.THAW),
    ("take shares back", "unshare-*", T.SHARE),
    ("take exposures back", "unexpose-script unexpose", T.EXPOSURE),
    ("take links back", "unlink-*", T.LINK),
    ("delete the shadow copies", "delete-*", T.SHADOW),
    ("remove what is unfinished", "destination-*", T.DESTINATION),
    ("remove scratch folders", "scratch-*", T.SCRATCH),
    ("give files their names back", "back-*", T.NAME),
    ("put storage areas back", "area-back*", T.AREA),
    ("unregister the tasks", "untask-*", T.TASK),
    ("give the lock back", "lock-file* lock-folder* lock-beside-gone*", T.LOCK),
    ("remove the record", "folder-*", T.FOLDER),
    ("end the lease", "un*-lease*", T.LEASE),
)


def _ending(of: str, there: frozenset[Thing]) -> list[Step]:
    """How what there can be is undone, in the order of `undo.UNDO`."""
    return [_row(of, name, keys, takes=[thing]) for name, keys, thing in _ENDING if thing in there]


def _transaction(of: str, *rows: Step, first: frozenset[Thing] = frozenset()) -> list[Step]:
    """A transaction: its beginning, its own rows, and how everything it can leave is undone. first: what it finds."""
    begun = [*_beginning(of), *rows]
    return [*begun, *_ending(of, first.union(*(step.makes for step in begun)))]


_ASK = ("ask the writers", "list-script list")
_SCRIPT = ("write the script", "create-script")
_CREATE = ("create", "create create-[0-9]* made-folder note-*", [T.SHADOW])


def _showing(of: str) -> list[Step]:
    return [
        _row(of, "make folders for shares", "expose-folder-*", [T.LINK]),
        _row(of, "expose", "expose-script expose", [T.EXPOSURE]),
        _row(of, "link", "link-*", [T.LINK]),
        _row(of, "share", "share-* shared-*", [T.SHARE]),
    ]


# What there is, beside its record, when a kept snapshot is removed.
_KEPT = frozenset({T.SHARE, T.EXPOSURE, T.LINK, T.SHADOW, T.FOLDER})

STEPS: tuple[Step, ...] = (
    *_transaction(
        "snapshot",
        _row("snapshot", *_ASK),
        _row("snapshot", *_SCRIPT),
        _row("snapshot", "see to it that applications go on", "hook-*", [T.THAW, T.TASK]),
        _row("snapshot", "hold applications", "freeze-*", [T.RUNNING]),
        _row("snapshot", *_CREATE),
        _row("snapshot", "let them go on", "go-on-*"),
        *_showing("snapshot"),
        _row("snapshot", "keep them", "kept-*", state="kept"),
    ),
    *_transaction(
        "reexpose",
        _row("reexpose", "name the old places and the new ones", "kept-record kept-record-moved", state="changing"),
        _row("reexpose", "take old shares away", "old-share-*"),
        _row("reexpose", "take old exposures away", "old-unexpose-script old-unexpose"),
        _row("reexpose", "take old links away", "old-link-*"),
        *_showing("reexpose"),
    ),
    *_transaction(
        "backup",
        _row("backup", *_ASK),
        _row("backup", *_SCRIPT),
        _row("backup", *_CREATE),
        _row("backup", "link", "link-*", [T.LINK]),
        _row("backup", "measure", "measure-* files-* before-*"),
        _row("backup", "make the destination", "make-*", [T.DESTINATION]),
        _row("backup", "say what it is", "manifest"),
        _row("backup", "copy", "task-* start-*", [T.TASK, T.RUNNING], state="copying"),
        _row("backup", "keep the snapshot", "kept-*", state="kept"),
    ),
    *_transaction(
        "storage",
        _row("storage", "take the area away", "area-remove", [T.AREA]),
        _row("storage", "make the area, or give it its size", "area-create area-resize"),
        _row("storage", "keep the reading", "reading reading-moved"),
    ),
    *_transaction(
        "restore",
        _row("restore", "link", "link-*", [T.LINK]),
        _row("restore", "compare", "todo-* have-* rest-*"),
        _row("restore", "give files another name", "rename-*", [T.NAME], state="restoring"),
        _row("restore", "say how writers are told", "save-* restore-command restore-script"),
        _row("restore", "make closed folders", "make-*", [T.SCRATCH], state="restoring"),
        _row("restore", "restore", "task-* start-*", [T.TASK, T.RUNNING], state="restoring"),
        _row("restore", "put it to its place", "place-*"),
    ),
    *_transaction(
        "revert",
        _row("revert", "write down what is reverted", "revert-record* revert-lease-*", state="reverting"),
        _row("revert", "ask the host to revert", "revert"),
    ),
    *_transaction(
        "describe", _row("describe", "write the description", "kept-record kept-record-moved", state="changing")
    ),
    *_transaction("foreign", _row("foreign", "delete what is not ours", "delete-foreign")),
    *_transaction(
        "absent",
        _row(
            "absent", "write down that they go", "record-[0-9]* record-moved-* undo-script-*-* lease-*-*", state="going"
        ),
        first=_KEPT,
    ),
    *_beginning("cleanup"),
    *_ending("cleanup", frozenset(Thing)),
    _row("cleanup", "remove traces", "trace-* traces waiting-*"),
)

_FIRST: Mapping[str, frozenset[Thing]] = {"absent": _KEPT, "cleanup": frozenset(Thing)}

# Statements that leave nothing behind: they read, or tell the event log.
HARMLESS: tuple[str, ...] = (
    "locked-records", "shadows", "shadows-after", "volumes", "volumes-after", "areas*", "events", "event", "left-*",
    "source-*", "target-*", "links-*", "way-*", "saved-*", "cabinet", "writers-log",
    "there", "there-*", "closed-*", "info-*", "tail-*", "log-*", "hash-*", "names-*", "pause", "tick", "verify-*",
)  # fmt: skip


def of(transaction: str) -> list[Step]:
    """The steps of a transaction, in order."""
    return [step for step in STEPS if step.transaction == transaction]


def step_of(transaction: str, key: str) -> Step | None:
    """The step that a statement belongs to; None for one that is harmless, and for one that no step knows."""
    return next((step for step in of(transaction) if step.has(key)), None)


def harmless(key: str) -> bool:
    """Whether a statement of this key leaves nothing behind."""
    return any(fnmatchcase(key, pattern) for pattern in HARMLESS)


def before(step: Step) -> frozenset[Thing]:
    """What there may be on the host when a step begins."""
    there: frozenset[Thing] = _FIRST.get(step.transaction, frozenset())
    for earlier in of(step.transaction):
        if earlier is step:
            return there
        there = (there | earlier.makes) - earlier.takes
    raise ValueError(f"{step.name} is no step of {step.transaction}")


def after(step: Step) -> frozenset[Thing]:
    """What there is on the host when a step has ended."""
    return (before(step) | step.makes) - step.takes


def undone(step: Step) -> list[Undo]:
    """How what a step leaves is undone, in order, when the run ends with it."""
    there = before(step) | step.makes
    return [undo for undo in UNDO if undo.thing in there]


def forward(state: str) -> bool:
    """Whether a run that ends in this state is brought to its end, not undone."""
    return state in FORWARD
