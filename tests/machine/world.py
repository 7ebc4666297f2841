# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host should hold after declarations, and what it does hold by the laboratory's own books.

`Model` is written from the documentation of the module, not from its code; `Photo` never asks the product anything.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from vsslab.windows.errors import WinError

STATE = r"C:\Windows\umbra-vss"
RUNS, EXPIRED = rf"{STATE}\runs", rf"{STATE}\expired"
TASKS = "\\umbra-vss\\"
SPANS = {None: None, "1h": timedelta(hours=1), "1d": timedelta(days=1), "7d": timedelta(days=7)}
NATIVE = ("letter", "folder")


# ---- what is there
@dataclass
class Photo:
    """A host at one moment. shadows: volume, set and exposure of each shadow copy by its ID."""

    shadows: dict[str, tuple[str, str, str | None]]
    ledger: dict[str, Any]
    runs: dict[str, dict[str, Any]]
    loose: list[str]
    tasks: list[str]
    foreign_files: dict[str, bytes]

    @classmethod
    def of(cls, host: Any, watched: Iterable[str] = ()) -> Photo:
        """Everything that counts, by the laboratory's own books."""
        ledger = host.ledger()
        shadows = {each.id: (each.volume.guid, each.set_id, each.exposed) for each in host.vss.store.all()}
        runs, loose = {}, []
        for each in _list(host, STATE):
            if each.name != "runs":
                loose.append(each.name)
        for each in _list(host, RUNS):
            record = rf"{each.path}\record.json"
            runs[each.name] = json.loads(host.files.read(record)) if host.files.exists(record) else {}
        ours = [each for each in ledger["tasks"] if each.startswith(TASKS)]
        return cls(shadows, ledger, runs, loose, ours, {path: host.files.read(path) for path in watched})

    def seen(self, shadows: Mapping[str, str], store: Any) -> dict[str, tuple[str, str]]:
        """Where shadow copies, given by volume, are to be seen: type and path by volume."""
        found: dict[str, tuple[str, str]] = {}
        shown = tuple(path for _, _, path in self.shadows.values() if path)  # a copy has the links of its moment
        links = [each for each in self.ledger["links"] if not each.startswith(shown)]
        for volume, shadow in shadows.items():
            if shadow not in self.shadows:
                continue
            native = (self.shadows[shadow][2] or "").rstrip("\\")
            to = f" -> {store.get(shadow).device}\\"
            places = [("link", each.removesuffix(to)) for each in links if each.endswith(to)]
            places += [("letter" if len(native) == 2 else "folder", native)] if native else []
            assert len(places) <= 1, f"{shadow} is to be seen at {places}"
            if places:
                found[volume] = places[0]
        return found

    def changes(self, later: Photo) -> list[str]:
        """What has changed since, in words; but for traces that leases leave, and the folder that runs are in."""
        found = []
        for key, value in self.ledger.items():
            one, two = value, later.ledger[key]
            if key == "files":
                one, two = _files(one), _files(two)
            if one != two:
                found.append(f"{key}: {one} is now {two}")
        if self.shadows != later.shadows:
            found.append(f"shadow copies: {self.shadows} are now {later.shadows}")
        return found


def _files(found: Mapping[str, str]) -> dict[str, str]:
    return {path: value for path, value in found.items() if not path.startswith(EXPIRED) and path != RUNS}


def _list(host: Any, folder: str) -> list[Any]:
    try:
        return list(host.files.listdir(folder))
    except WinError:
        return []


# ---- what should be there
@dataclass(frozen=True)
class Declaration:
    """One task that declares a snapshot present. exposures: None leaves them alone; else (volume, type, path)."""

    name: str
    volumes: tuple[str, ...]
    consistency: str = "crash"
    max_age: str | None = None
    kind: str | None = None
    exposures: tuple[tuple[str, str, str], ...] | None = None
    keep: int | None = None
    keep_for: str | None = None
    description: str | None = None

    @property
    def shown(self) -> dict[str, tuple[str, str]]:
        """The exposures by volume."""
        return {volume: (kind, path) for volume, kind, path in self.exposures or ()}

    def args(self, spelled: Mapping[str, str], known: Iterable[str]) -> dict[str, Any]:
        """The module's options; spelled: how each volume is called this time; known: the options that there are."""
        args: dict[str, Any] = {
            "name": self.name,
            "volumes": [spelled[volume] for volume in self.volumes],
            "consistency": self.consistency,
            "allow_downgrade": self.consistency == "application",
        }
        retention = {"count": self.keep, "age": self.keep_for}
        wanted = {
            "max_age": self.max_age,
            "kind": self.kind,
            "description": self.description,
            "retention": {key: value for key, value in retention.items() if value is not None} or None,
        }
        args |= {key: value for key, value in wanted.items() if value is not None and key in known}
        if self.exposures is not None:
            args["expose"] = [
                {"volume": spelled[volume], "type": kind, "path": path} for volume, kind, path in self.exposures
            ]
        return args


@dataclass
class Kept:
    """A snapshot set of ours that should be there. shadows: IDs by volume; gone: those that Windows took."""

    run: str
    name: str
    shadows: dict[str, str]
    kind: str
    created: datetime
    exposures: dict[str, tuple[str, str]] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    set_id: str | None = None
    description: str = ""

    @property
    def live(self) -> set[str]:
        return set(self.shadows.values()) - self.gone

    def whole(self) -> bool:
        return not self.gone

    def dead(self) -> bool:
        return not self.live


@dataclass
class Expected:
    """What a declaration does: it makes a set or uses `there`; `drops` are the sets that go; `fails` says why not."""

    there: Kept | None
    drops: list[Kept]
    changed: bool
    fails: str = ""


class Model:
    """What should be there: our snapshot sets by name, and other people's shadow copies."""

    def __init__(self, server: bool) -> None:
        self.server = server
        self.kept: list[Kept] = []
        self.foreign: set[str] = set()

    def named(self, name: str) -> list[Kept]:
        """The sets of a name, newest first."""
        mine = [each for each in self.kept if each.name.casefold() == name.casefold()]
        return sorted(mine, key=lambda each: each.created, reverse=True)

    def kind(self, wanted: Declaration) -> str:
        """What is made: persistent copies where nothing else is asked for and diskshadow is there."""
        return wanted.kind or ("persistent" if self.server else "client_accessible")

    def expect(self, wanted: Declaration, now: datetime, taken: Iterable[str]) -> Expected:
        """What applying a declaration does now. taken: places of exposures that others have."""
        kind, mine = self.kind(wanted), self.named(wanted.name)
        fails = self._impossible(wanted, kind)
        there = next((each for each in mine if self._good(each, wanted, kind, now)), None)
        drops = [each for each in mine if each.dead()]
        drops += [each for each in self._surplus(wanted, mine, there, now) if each not in drops]
        places = {path.casefold() for _, _, path in wanted.exposures or ()}
        used = {path.casefold() for each in self.kept if each not in mine for _, path in each.exposures.values()}
        if places & (used | {each.casefold() for each in taken}):
            fails = fails or "a place is in use"
        changed = there is None or bool(drops) or self._shown_otherwise(there, wanted, mine)
        changed = changed or (there is not None and wanted.description not in (None, there.description))
        return Expected(there, drops, changed, fails)

    def _impossible(self, wanted: Declaration, kind: str) -> str:
        native = any(kind in NATIVE for _, kind, _ in wanted.exposures or ())
        if kind == "client_accessible" and native:
            return "such copies have no letter"
        if kind == "persistent" and not self.server:
            return "a client has no diskshadow"
        if any(kind == "folder" and (" " in path or not path.isascii()) for _, kind, path in wanted.exposures or ()):
            return "diskshadow takes no such path"
        return ""

    @staticmethod
    def _good(each: Kept, wanted: Declaration, kind: str, now: datetime) -> bool:
        if not each.whole() or set(each.shadows) != set(wanted.volumes):
            return False
        if each.kind != kind:
            return False
        span = SPANS[wanted.max_age]
        return span is None or now - each.created <= span

    @staticmethod
    def _surplus(wanted: Declaration, mine: list[Kept], there: Kept | None, now: datetime) -> list[Kept]:
        others = [each for each in mine if each is not there and not each.dead()]
        span = SPANS[wanted.keep_for]
        room = len(others) if wanted.keep is None else wanted.keep - 1
        return [
            each for at, each in enumerate(others) if at >= room or (span is not None and now - each.created > span)
        ]

    @staticmethod
    def _shown_otherwise(there: Kept, wanted: Declaration, mine: list[Kept]) -> bool:
        if wanted.exposures is None:
            return False
        older = any(each.exposures for each in mine if each is not there)
        return older or there.exposures != wanted.shown

    def lost(self, shadow: str) -> None:
        """A shadow copy is gone, whosever it was."""
        self.foreign.discard(shadow)
        for each in self.kept:
            if shadow in each.live:
                each.gone.add(shadow)
                each.exposures = {v: at for v, at in each.exposures.items() if each.shadows[v] != shadow}

    def shadows(self) -> set[str]:
        """Every shadow copy that should be there."""
        return {shadow for each in self.kept for shadow in each.live} | self.foreign
