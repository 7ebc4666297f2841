# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stage of a case: a fresh host with other people's things on it, and a look at all that may be left there."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from controllers import Action, Controllers, Pipeline
from vsslab.lab import Lab
from vsslab.vss.codes import Context

_FLEET = Path(__file__).with_name("fleet.yml")
_STATE = "c:\\windows\\umbra-vss"
# What the first run on a host leaves on purpose.
_STAYS = {_STATE, f"{_STATE}\\runs"}
_ELSEWHERE = ("windows\\umbra-vss", "windows\\system32")
_EXPIRED = re.compile(r"c:\\windows\\umbra-vss\\expired(\\[0-9a-f]{32}\.json)?", re.IGNORECASE)
_TASK = """<?xml version="1.0" encoding="UTF-16"?>
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
 <Actions><Exec><Command>whoami.exe</Command></Exec></Actions></Task>"""
_ALL = 1_000_000  # entries of a trace
_CLIENTS = ("windows11", "windows10")


def multiplied(folder: Path, wanted: Iterable[tuple[str, bool]], virtual: bool) -> Path:
    """A scenario with one host for each (name, whether it is a server), of all editions in turn."""
    plan = yaml.safe_load(_FLEET.read_text(encoding="utf-8"))
    kinds = {False: [], True: []}
    for each in plan["hosts"]:
        kinds[each["name"] not in _CLIENTS].append(each)
    turns = {server: itertools.cycle(each) for server, each in kinds.items()}
    plan["hosts"] = [{**next(turns[server]), "name": name} for name, server in wanted]
    if virtual:
        plan["time"] = "virtual"
    path = folder / "fleet.yml"
    path.write_text(yaml.safe_dump(plan), encoding="utf-8")
    return path


@dataclass(frozen=True)
class Declared:
    """What is to be there, beside what was there before: how many shadow copies and records, which names.

    exposures, links, shares, tree: patterns (regular expressions, without case), each of which something new must meet;
    changed, gone: of files that may have changed or gone; state: of files in the state folder beside the records.
    areas: of storage areas, instead of those that were there. deleted: how many shadow copies of others are gone.
    """

    shadows: int = 0
    runs: int = 0
    exposures: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    shares: tuple[str, ...] = ()
    tree: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    state: tuple[str, ...] = ()
    areas: tuple[str, ...] | None = None
    deleted: int = 0


@dataclass
class Bench:
    """One host of the laboratory, and controllers to work on it."""

    lab: Lab
    controllers: Controllers
    name: str
    base: dict[str, Any] = field(default_factory=dict)
    foreign: str = ""  # the ID of a shadow copy of D: that is not ours
    _read: int = 0  # of the laboratory's trace
    _open: int = 0  # pipelines

    @property
    def host(self) -> Any:
        """The host itself."""
        return self.lab.hosts[self.name]

    def act(
        self, module: str, args: Mapping[str, Any], watch: Callable[[Action, Pipeline], None] | None = None
    ) -> dict[str, Any]:
        """Run one action to its end. Raises controllers.Killed."""
        action = self.controllers.start(
            module=module,
            args=dict(args),
            host=self.name,
            address=self.lab.addresses[self.name],
            port=self.lab.ports[0],
            user="Administrator",
            password=self.lab.passwords[self.name, "Administrator"],
        )
        return action.finish(watch)

    def must(self, module: str, args: Mapping[str, Any]) -> dict[str, Any]:
        """The same, for what belongs to the stage: it must succeed."""
        result = self.act(module, args)
        failed = result.get("failed") or result.get("unreachable")
        assert not failed, f"the stage: {module}: {result.get('msg')}"
        return result

    @contextlib.contextmanager
    def troubled(self, faults: Iterable[Mapping[str, Any]]) -> Iterator[None]:
        """Faults of the laboratory on this host, for as long as it lasts."""
        ordered = self.lab.faults
        made = [ordered.add({"on": {"host": self.name, **each["on"]}, "do": each["do"]}) for each in faults]
        try:
            yield
        finally:
            for each in made:
                ordered.remove(each)

    def furnish(self) -> None:
        """Put things of other people's onto the host, and remember everything that is there."""
        host = self.host
        host.files.mkdir("C:\\Shown")
        host.files.mkdir("D:\\Shown")
        host.files.symlink("D:\\Theirs\\link", "D:\\Data")
        host.tasks.register("\\Backup", "nightly", _TASK)
        host.mappings.add(None, f"\\\\{self.name}\\Theirs", local="M:")
        copy = {"Volume": "D:\\", "Context": "ClientAccessible"}
        self.foreign = str(host.cim.invoke(host.users.system, "Win32_ShadowCopy", "Create", copy)["ShadowID"])
        if host.vss.is_server:
            made = host.vss.create("Other Backup", [host.volumes.by_path("E:")], Context.NAS_ROLLBACK)
            host.vss.expose(made.shadows[0].id, "Y:")
        self.base = self.ledger()

    # --- looking

    def ledger(self) -> dict[str, Any]:
        """Everything that can be left behind, and the content of every file that is not Windows' own."""
        found = dict(self.host.ledger())
        found["event_sources"] = [each for each in found["event_sources"] if "umbra-vss" not in each]
        found["files"] = {path: what for path, what in found["files"].items() if path.lower() not in _STAYS}
        found["tree"] = {
            path: what for volume in self.host.volumes for path, what in _tree(volume.display, volume.root).items()
        }
        return found

    def quiet(self, patience: float = 10.0) -> None:
        """Wait until no pipeline and no program runs on the host."""
        end = time.monotonic() + patience
        while time.monotonic() < end:
            for entry in self.lab.trace.tail(self._read, self.host.name, last=_ALL):
                self._read = entry["n"]
                self._open += {"pipeline": 1, "pipeline_end": -1}.get(entry["event"], 0)
            programs = [each.name for each in self.host.processes.list() if each.name.lower() in self.host.programs]
            if not self._open and not programs:
                return
            time.sleep(0.05)
        raise AssertionError(f"{self.name} did not come to rest: {self._open} pipelines, {programs}")

    def wrong(self, declared: Declared, *, rebooted: bool = False, expired: bool = False) -> list[str]:
        """Where the host differs from what it was and what is declared, in words; nothing when all is as it should be.

        rebooted: it has been since; expired: a lease may have left its trace.
        """
        base, now = dict(self.base), self.ledger()
        if rebooted:  # mappings end with the sessions that made them
            base["mappings"] = []
        found = _compare_lists(base, now, declared)
        found += _compare_tree("file", base["tree"], now["tree"], declared)
        if declared.areas is not None:
            found += _matched("storage area", now["storage_areas"], declared.areas)
            base["storage_areas"] = now["storage_areas"]
        state = {path: what for path, what in now["files"].items() if path.lower().startswith(_STATE)}
        runs = {path for path in state if re.fullmatch(r"c:\\windows\\umbra-vss\\runs\\[0-9a-f]{32}", path.lower())}
        if len(runs) != declared.runs:
            found.append(f"{len(runs)} records instead of {declared.runs}: {sorted(runs)}")
        more = {path for path in state if (expired and _EXPIRED.fullmatch(path)) or _met(path, declared.state)}
        found += [f"left: {path}" for path in state.keys() - more if not any(path.startswith(run) for run in runs)]
        others = {path: what for path, what in now["files"].items() if path not in state}
        found += _compare_tree("file", base["files"], others, Declared())
        found += [f"vsslab: {each['what']}" for kind in ("refused", "defect", "error")
                  for each in self.lab.trace.events(kind, self.host.name)]  # fmt: skip
        known = {"shadow_copies", "links", "exposures", "shares", "files", "tree", "mounts"}
        for key in base.keys() - known:
            if base[key] != now[key]:
                found.append(f"{key}: {base[key]} is now {now[key]}")
        return found


def _compare_lists(base: Mapping[str, Any], now: Mapping[str, Any], declared: Declared) -> list[str]:
    found = []
    for key in ("links", "exposures", "shares"):
        found += [f"gone: {key}: {each}" for each in sorted(set(base[key]) - set(now[key]))]
    gone = sorted(set(base["shadow_copies"]) - set(now["shadow_copies"]))
    if len(gone) != declared.deleted:
        found.append(f"{len(gone)} shadow copies of others gone instead of {declared.deleted}: {gone}")
    new = sorted(set(now["shadow_copies"]) - set(base["shadow_copies"]))
    if len(new) != declared.shadows:
        found.append(f"{len(new)} shadow copies instead of {declared.shadows}: {new}")
    for key, wanted in (("links", declared.links), ("exposures", declared.exposures), ("shares", declared.shares)):
        there = sorted(set(now[key]) - set(base[key]))
        found += _matched(key, there, wanted)
    volumes = base["mounts"].keys() | now["mounts"].keys()
    found += [f"mounts of {each} changed" for each in volumes if base["mounts"].get(each) != now["mounts"].get(each)]
    return found


def _compare_tree(what: str, base: Mapping[str, str], now: Mapping[str, str], declared: Declared) -> list[str]:
    found = [f"gone: {what} {path}" for path in base.keys() - now.keys() if not _met(path, declared.gone)]
    differ = [path for path in base.keys() & now.keys() if base[path] != now[path]]
    found += [f"changed: {what} {path}" for path in differ if not _met(path, declared.changed)]
    return found + _matched(what, sorted(now.keys() - base.keys()), declared.tree)


def _met(text: str, patterns: Iterable[str]) -> bool:
    return any(re.match(pattern, text, re.IGNORECASE) for pattern in patterns)


def _matched(what: str, there: Iterable[str], wanted: Iterable[str]) -> list[str]:
    """What is there and meets no pattern, and the patterns that nothing meets."""
    there, wanted = list(there), list(wanted)
    extra = [each for each in there if not _met(each, wanted)]
    missing = [pattern for pattern in wanted if not any(_met(each, [pattern]) for each in there)]
    return [f"left: {what} {each}" for each in extra] + [f"missing: {what} {each}" for each in missing]


def _tree(display: str, root: Path) -> dict[str, str]:
    """Every name on a volume but those in our state folder, with a file's content and time."""
    found = {}
    for folder, folders, files in os.walk(root):
        here = os.path.relpath(folder, root).replace("/", "\\").removeprefix(".")
        # The ledger tells of our state folder and of the tasks; Windows' programs appear when they are looked for.
        folders[:] = [each for each in folders if f"{here}\\{each}".lower() not in _ELSEWHERE]
        for name in folders:
            found[f"{display}{here}\\{name}".replace("\\\\", "\\")] = "folder"
        for name in files:
            path = Path(folder) / name
            told = os.readlink(path) if path.is_symlink() else hashlib.sha256(path.read_bytes()).hexdigest()
            found[f"{display}{here}\\{name}".replace("\\\\", "\\")] = told
    return found


class Watchers:
    """Tells those who wait for it that a fault fires, in the thread in which it does."""

    def __init__(self, lab: Lab) -> None:
        self._lock, self._waiting = threading.Lock(), dict[str, Callable[[], None]]()
        self.close = lab.trace.subscribe(self._tell)

    def when(self, fault: str, act: Callable[[], None]) -> None:
        """Call `act` when this fault fires."""
        with self._lock:
            self._waiting[fault] = act

    def _tell(self, entry: Mapping[str, Any]) -> None:
        if entry["event"] == "fault":
            with self._lock:
                act = self._waiting.pop(str(entry.get("id")), None)
            if act is not None:
                act()
