# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots as declared state, over generated lives of a host.

Declarations come in any order; meanwhile time passes, other people make and delete shadow copies, Windows takes some of
ours, controllers die half-way. Whatever happens: applying a declaration gives what it says, by the laboratory's own
books; applying it again changes nothing; check mode tells both beforehand; what is not ours stays as it was.
"""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from vsslab.specs import VolumeSpec
from vsslab.vss import Context

from . import direct
from .direct import GIB, Controller, Killed, Trouble
from .world import NATIVE, Declaration, Kept, Model, Photo

SEQUENCES = int(os.environ.get("SEQUENCES", "40"))  # `make declarations` has 500
STEPS = 4
COUNTED: Counter[str] = Counter()
ROOT = Path(tempfile.mkdtemp(prefix="umbra-machine-"))
TOLERATED = ("expired", "storage.json")
THEIR_LINK, THEIR_LETTER, THEIR_FILE = r"C:\Users\Public\theirs", "Z:", r"D:\Daten\Angebot.txt"
VOLUMES = ("C", "D", "E", "M")
MOUNT = r"D:\Mnt\Größe & Maß"

# Some are the same name in other letters, some look like something else to a shell, a pattern or a path.
NAMES = ("nightly", "Nightly", "Straße", "STRASSE", "a", "a.b(c)@+,#-_ d", "1" * 100, "名前 ночь", "con", "x-")
LINKS = tuple(
    f"C:\\Show\\{name}" for name in ("plain", "with blank", "[x] 'q' (1)", "Ærø 名前", "a#b$~{c}@", "é" * 60, "-d")
)
PLACES = (
    *(("link", path) for path in LINKS),
    ("letter", "P:"),
    ("letter", "Q:"),
    ("folder", r"C:\Empty\one"),
    ("folder", r"C:\Empty\two"),
    ("folder", r"C:\Empty\zwei Wörter"),
    ("link", THEIR_LINK),
    ("letter", THEIR_LETTER),
)


def _mostly(usual: Any, *others: Any) -> st.SearchStrategy[Any]:
    return st.one_of(*[st.just(usual)] * 2, *map(st.just, others))


@st.composite
def declarations(draw: st.DrawFn) -> Declaration:
    """What an administrator may write into a playbook."""
    volumes = tuple(draw(st.sets(st.sampled_from(VOLUMES[1:]), min_size=1, max_size=2).map(sorted)))
    if draw(st.integers(0, 9)) == 0:
        volumes = ("C", *volumes)
    exposures = None
    if draw(st.booleans()):
        places = draw(st.lists(st.sampled_from(PLACES), unique=True, max_size=2))
        shown = [(draw(st.sampled_from(volumes)), kind, path) for kind, path in places]
        # One link and one letter or folder are all that a shadow copy of ours can have.
        exposures = tuple({volume: (volume, kind, path) for volume, kind, path in shown}.values())
    return Declaration(
        name=draw(st.sampled_from(NAMES)),
        volumes=volumes,
        consistency=draw(_mostly("crash", "application")),
        max_age=draw(_mostly(None, "1h", "1d")),
        kind=draw(_mostly(None, "persistent", "client_accessible")),
        exposures=exposures,
        keep=draw(_mostly(None, 1, 2)),
        keep_for=draw(_mostly(None, "1h", "7d")),
        description=draw(_mostly(None, "für den Prüfer: 100 % & mehr")),
    )


TROUBLES = st.builds(
    Trouble, at=st.integers(1, 9), statements=_mostly(None, 0, 1, 2, 3, 5, 8), killed=_mostly(True, False)
)


class Host(RuleBasedStateMachine):
    """One host, one controller after the other."""

    numbers = itertools.count(1)
    looked = True

    @initialize(server=st.integers(0, 4).map(bool))
    def begin(self, server: bool) -> None:
        """A Windows Server, or one time in five a Windows 11; other people have been here before."""
        COUNTED["sequences"] += 1
        self.folder = ROOT / str(next(self.numbers))
        volumes = (
            VolumeSpec("C", capacity=64 * GIB, system=True, pagefile=True),
            VolumeSpec("D", capacity=32 * GIB),
            VolumeSpec("E", capacity=32 * GIB),
            VolumeSpec(None, label="Mounted", capacity=32 * GIB, mounts=(MOUNT,)),
        )
        self.host = direct.build(self.folder, profile="server2022" if server else "windows11", volumes=volumes)
        self.model = Model(server)
        self.controller = Controller(self.host)
        self.volumes = dict(zip(VOLUMES, self.host.volumes, strict=True))
        for path in ("C:\\Show", r"C:\Empty\one", r"C:\Empty\two", r"C:\Empty\zwei Wörter", r"D:\Daten"):
            self.host.files.mkdir(path, parents=True)
        self.host.files.write(THEIR_FILE, b"theirs")
        self.host.shares.add("Daten", r"D:\Daten")
        theirs = self._others_make(self.volumes["D"], Context.NAS_ROLLBACK)
        self.host.files.symlink(THEIR_LINK, self.host.vss.store.get(theirs).device + "\\")
        if server:
            self.host.vss.expose(self._others_make(self.volumes["E"], Context.NAS_ROLLBACK), THEIR_LETTER)
        self.first = self._photo()
        self.theirs = theirs

    # ---- declarations
    def _declared(self, wanted: Declaration, spelling: int) -> None:
        """A playbook runs: in check mode, then really, then again."""
        self._count("present")
        self._declare(wanted, spelling)

    declare = rule(wanted=declarations(), spelling=st.integers(0, 3))(_declared)
    another_declaration = rule(wanted=declarations(), spelling=st.integers(0, 3))(_declared)  # as often as all else

    def _declare(self, wanted: Declaration, spelling: int) -> None:
        expected = self.model.expect(wanted, self.host.clock.now(), self._taken())
        args = wanted.args(self._spelled(spelling), self.controller.options("snapshot"))
        before = self._photo()
        predicted = self.controller.task("snapshot", args, check=True)
        self._still(before, self._photo(), "check mode")
        result = self.controller.task("snapshot", args)
        after = self._photo()
        assert bool(predicted.get("failed")) == bool(result.get("failed")), (predicted.get("msg"), result.get("msg"))
        assert bool(result.get("failed")) == bool(expected.fails), (expected.fails, result.get("msg"))
        if expected.fails:
            self._count("refused")
            assert predicted["msg"] == result["msg"]
            assert "srv1" in result["msg"]
            self._still(before, after, "a refused declaration")
            return
        assert (predicted["changed"], result["changed"]) == (expected.changed, expected.changed)
        if not expected.changed:
            self._still(before, after, "a declaration that is met already")
        self._learn(wanted, before, after)
        there = self.model.expect(wanted, self.host.clock.now(), ()).there
        assert there is not None
        assert wanted.description in (None, there.description)
        assert self._foretold(predicted) == self._foretold(result)
        self._holds(after)
        again = self.controller.task("snapshot", args)
        assert not again.get("failed"), again
        assert not again["changed"], again
        self._still(after, self._photo(), "applying it again")
        self.looked = True
        self._count("changed" if expected.changed else "unchanged")

    @precondition(lambda self: self.model.kept)
    @rule(data=st.data(), how=st.sampled_from(["name", "name", "set", "shadow", "age", "all", "unknown"]))
    def absent(self, data: st.DataObject, how: str) -> None:
        """Snapshots are not wanted any more: those of a name, an ID or an age, or all of ours."""
        self._count(f"absent by {how}")
        one = data.draw(st.sampled_from(self.model.kept))
        if how == "name":
            self._gone({"name": one.name.swapcase()}, self.model.named(one.name))
        elif how == "age":
            now = self.host.clock.now()
            old = [each for each in self.model.kept if (now - each.created).total_seconds() > 3600]
            self._gone({"older_than": "1h"}, old)
        elif how == "all":
            self._gone({"all": True}, list(self.model.kept))
        elif how == "unknown":
            self._gone({"name": "nobody has made one"}, [])
        elif how == "set" and one.set_id:
            self._gone({"snapshot_set_id": one.set_id}, [one])
        elif how == "shadow":
            shadow = data.draw(st.sampled_from(list(one.shadows.values())))
            args = {"snapshot_id": f"{{{shadow.upper()}}}"}
            if one.live - {shadow}:  # a part of a snapshot does not go alone
                self._refused(args)
            else:
                self._gone(args, [one])

    def _gone(self, args: dict[str, Any], which: list[Kept]) -> None:
        args = {"state": "absent", **args}
        before = self._photo()
        predicted = self.controller.task("snapshot", args, check=True)
        self._still(before, self._photo(), "check mode")
        result = self.controller.task("snapshot", args)
        assert not result.get("failed"), result
        assert (predicted["changed"], result["changed"]) == (bool(which), bool(which))
        assert self._foretold(predicted) == self._foretold(result)
        self.model.kept = [each for each in self.model.kept if each not in which]
        after = self._photo()
        self._holds(after)
        again = self.controller.task("snapshot", args)
        assert not again.get("failed"), again
        assert not again["changed"], again
        self._still(after, self._photo(), "applying it again")
        self.looked = True

    def _refused(self, args: dict[str, Any]) -> None:
        args = {"state": "absent", **args}
        before = self._photo()
        for check in (True, False):
            result = self.controller.task("snapshot", args, check=check)
            assert result.get("failed"), result
            assert "srv1" in result["msg"]
        self._still(before, self._photo(), "a refused declaration")

    # ---- what else happens
    @rule(data=st.data(), what=st.sampled_from(["time", "others make", "others delete", "evicted"]))
    def something_happens(self, data: st.DataObject, what: str) -> None:
        """What does not come from us."""
        self._count(what)
        volume = self.volumes[data.draw(st.sampled_from(VOLUMES[1:]))]
        there = [each for each in self.host.vss.store.all() if each.id != self.theirs]
        if what == "time":
            minutes = data.draw(st.sampled_from([1, 45, 200, 2 * 1440, 9 * 1440]))
            assert not self.host.clock.time.advance(60 * minutes)
        elif what == "others make":
            self._others_make(volume, data.draw(st.sampled_from([Context.NAS_ROLLBACK, Context.CLIENT_ACCESSIBLE])))
        elif what == "others delete" and there:  # theirs, or one of ours: people do that
            shadow = data.draw(st.sampled_from(there))
            self.host.vss.delete(shadow.id)
            self.model.lost(shadow.id)
        elif what == "evicted" and (oldest := [each for each in there if each.volume is volume][:1]):
            self.host.vss.store.lose(oldest[0])  # the storage area of the volume is at its maximum
            self.host.vss.log.evicted(volume)
            self.model.lost(oldest[0].id)

    @rule(
        wanted=declarations(),
        trouble=TROUBLES,
        then=st.sampled_from(["again", "cleanup", "lease"]),
    )
    def dies_declaring(self, wanted: Declaration, trouble: Trouble, then: str) -> None:
        """A controller dies, or loses its connection, anywhere in a declaration; what comes next finds it."""
        if self.model.expect(wanted, self.host.clock.now(), self._taken()).fails:
            return
        self._count("died" if trouble.killed else "cut")
        args = wanted.args(self._spelled(0), self.controller.options("snapshot"))
        before = self._photo()
        self._interrupted(args, trouble, then)
        self._learn(wanted, before, self._photo(), whole=then == "again")
        self._holds(self._photo())
        if then == "again":
            assert not self.model.expect(wanted, self.host.clock.now(), self._taken()).changed
        self._declare(wanted, 1)

    @precondition(lambda self: self.model.kept)
    @rule(data=st.data(), trouble=TROUBLES, then=st.sampled_from(["again", "cleanup", "lease"]))
    def dies_removing(self, data: st.DataObject, trouble: Trouble, then: str) -> None:
        """The same while a snapshot is removed."""
        self._count("died" if trouble.killed else "cut")
        name = data.draw(st.sampled_from(self.model.kept)).name
        before = self._photo()
        self._interrupted({"state": "absent", "name": name}, trouble, then)
        self._learn(None, before, self._photo())
        self._holds(self._photo())
        assert then != "again" or not self.model.named(name)
        self._gone({"name": name}, self.model.named(name))

    def _interrupted(self, args: dict[str, Any], trouble: Trouble, then: str) -> None:
        """Apply with trouble, and let what comes `then` put things right."""
        far = then == "lease"
        try:
            self.controller.task("snapshot", args, trouble=trouble, far=far)
        except Killed:
            self._count("left behind" if self._unfinished() else "left nothing")
        if far:
            assert not self.host.clock.time.advance(3 * 3600)
        elif then == "cleanup":
            result = self.controller.task("cleanup", {})
            assert not result.get("failed"), result
        if then == "again":
            result = self.controller.task("snapshot", args)
            assert not result.get("failed"), result

    # ---- invariants
    @invariant()
    def what_is_declared_is_what_is_there(self) -> None:
        if not self.looked:  # else the rule has ended with that
            self._holds(self._photo())

    def _holds(self, now: Photo) -> None:
        """What is there is what should be: ours, theirs, and nothing else."""
        assert set(now.shadows) == self.model.shadows(), f"shadow copies: {now.shadows}, not {self.model.kept}"
        shown = {at: shadow for each in self.model.kept for at, shadow in self._shown(each)}
        seen = {path: id_ for id_, (_, _, path) in now.shadows.items() if path and id_ not in self.model.foreign}
        wanted = {f"{path}\\": shadow for (kind, path), shadow in shown.items() if kind in NATIVE}
        assert seen == wanted, f"letters and folders: {seen}, not {wanted}"
        device = self.host.vss.store
        links = [f"{path} -> {device.get(s).device}\\" for (kind, path), s in shown.items() if kind == "link"]
        theirs = [link for link in self.first.ledger["links"] if link.startswith(THEIR_LINK)]
        inside = tuple(path for (kind, path) in shown if kind == "folder")  # what a copy of D: shows has a link in it
        there = [link for link in now.ledger["links"] if not (inside and link.startswith(inside))]
        assert there == sorted([*links, *theirs]), f"links: {there}, not {links}"
        for what in ("mounts", "shares", "mappings", "tasks", "services", "programs", "registry", "endpoints"):
            assert now.ledger[what] == self.first.ledger[what], what
        assert not now.tasks
        assert len(now.runs) == len(self.model.kept), "folders of runs"
        assert {run.get("state") for run in now.runs.values()} <= {"kept"}
        assert not [name for name in now.loose if name not in TOLERATED], now.loose
        assert now.foreign_files == {THEIR_FILE: b"theirs"}
        assert not self.host.refusals, self.host.refusals

    def _shown(self, kept: Kept) -> list[tuple[tuple[str, str], str]]:
        return [(at, kept.shadows[volume]) for volume, at in kept.exposures.items()]

    # ---- pieces
    def _learn(self, wanted: Declaration | None, before: Photo, after: Photo, whole: bool = True) -> None:
        """What a declaration has made and removed; that it is whole is checked here, that it is right in `_holds`."""
        self.model.kept = [each for each in self.model.kept if each.run in after.runs]
        new = set(after.shadows) - set(before.shadows)
        runs = set(after.runs) - set(before.runs)
        assert len(runs) == bool(new), "one run for one set"
        if new:
            assert wanted is not None
            self.model.kept.append(self._made(runs.pop(), wanted, [self.host.vss.store.get(shadow) for shadow in new]))
        if wanted is not None and wanted.exposures is not None:
            self._learn_exposures(wanted, after, whole)
        for each in self.model.kept:
            each.description = after.runs[each.run]["description"]

    def _made(self, run: str, wanted: Declaration, shadows: list[Any]) -> Kept:
        by_guid = {volume.guid: letter for letter, volume in self.volumes.items()}
        found = {by_guid[each.volume.guid]: each.id for each in shadows}
        kind, sets = self.model.kind(wanted), {each.set_id for each in shadows}
        assert (len(shadows), set(found)) == (len(wanted.volumes), set(wanted.volumes)), "one shadow copy a volume"
        assert {each.context.client_accessible for each in shadows} == {kind == "client_accessible"}
        assert len(sets) == 1 or not self.model.server, "all of one moment"
        set_id = sets.pop() if len(sets) == 1 else None
        return Kept(run, wanted.name, found, kind, max(each.created for each in shadows), set_id=set_id)

    def _learn_exposures(self, wanted: Declaration, after: Photo, whole: bool) -> None:
        """Whose the places are that a declaration named. Not whole: it died, and something else cleaned up after it."""
        there = self.model.expect(wanted, self.host.clock.now(), ()).there
        for each in self.model.named(wanted.name):
            new = wanted.shown if each is there else {}
            if whole:
                each.exposures = new if there is not None else each.exposures
                continue
            now = after.seen(each.shadows, self.host.vss.store)
            assert now == new or now.items() <= each.exposures.items(), f"half shown: {now}, before {each.exposures}"
            each.exposures = now

    def _foretold(self, result: dict[str, Any]) -> Any:
        """What check mode can tell of a result: which volumes are shown where, and which sets go."""
        made = result.get("snapshot_set") or {"shadows": []}
        shown = sorted((each["volume"], each["exposed_at"] or "") for each in made["shadows"])
        return shown, [each.get("record") for each in result.get("removed", [])]

    def _unfinished(self) -> bool:
        now = self._photo()
        return bool(now.tasks) or any(run.get("state") != "kept" for run in now.runs.values())

    def _others_make(self, volume: Any, kind: Context) -> str:
        made = self.host.vss.create("Other Backup", [volume], kind).shadows[0]
        self.model.foreign.add(made.id)
        return str(made.id)

    def _taken(self) -> list[str]:
        exposed = [each.exposed for each in self.host.vss.store.all() if each.id in self.model.foreign and each.exposed]
        return [THEIR_LINK, *(path.rstrip("\\") for path in exposed)]

    def _spelled(self, how: int) -> dict[str, str]:
        """Every volume under one of its names."""
        names = {}
        for letter, volume in self.volumes.items():
            drive = MOUNT if letter == "M" else f"{letter}:"
            guid = volume.device_id
            names[letter] = (f"{drive}\\", drive.lower(), guid, guid.upper().replace("VOLUME", "Volume"))[how]
        return names

    @staticmethod
    def _still(before: Photo, after: Photo, what: str) -> None:
        changes = before.changes(after)
        assert not changes, f"{what} has changed something: {changes}"

    def _photo(self) -> Photo:
        return Photo.of(self.host, [THEIR_FILE])

    def _count(self, what: str) -> None:
        self.looked = False
        COUNTED[what] += 1
        COUNTED["steps"] += 1

    def teardown(self) -> None:
        if hasattr(self, "host"):
            COUNTED["pipelines"] += self.controller.pipelines
            self.host.close()
            self.host.clock.time.close()
            shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture(scope="module", autouse=True)
def _room():
    yield
    shutil.rmtree(ROOT, ignore_errors=True)


def test_what_is_declared_is_what_is_there(capsys):
    began = time.process_time()
    searching = os.environ.get("HYPOTHESIS_PROFILE") == "search"
    wanted = settings(
        max_examples=settings.default.max_examples if searching else SEQUENCES,
        stateful_step_count=30 if searching else STEPS,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Host, settings=wanted)
    seconds = time.process_time() - began
    told = ", ".join(f"{number} {what}" for what, number in sorted(COUNTED.items()))
    with capsys.disabled():
        print(f"\nDeclarations: {told}; {seconds:.0f} s")
    assert COUNTED["sequences"] >= SEQUENCES
    if SEQUENCES < 200:  # too few for chance to have been everywhere
        return
    for what in ("changed", "unchanged", "refused", "absent by name", "others delete", "evicted", "died", "cut"):
        assert COUNTED[what] >= SEQUENCES // 50, f"{what} has hardly happened"
