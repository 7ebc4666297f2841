# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The actions whose steps are disturbed, the stages they need, and what they declare to be there at the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from controllers import Action, Killed, Pipeline
from disturbances import BEFORE
from stage import Bench, Declared

Args = Mapping[str, Any]
Fault = Mapping[str, Any]


def _nothing(_bench: Bench) -> None:
    """The stage needs nothing else."""


@dataclass(frozen=True)
class Example:
    """One action that goes through a transaction: `before` puts on the host what it needs.

    first: what that declares; None: nothing, it is what a dead run has left. then: what is to be there when the action
    has been done; again: what else may be there when it was done twice; half: when it was left to its lease, or failed.
    trouble: faults that make it fail, so that it
    undoes what it has done; stumbles: a step and what befalls it there, for the same end.
    """

    transaction: str
    name: str
    module: str
    args: Args | Callable[[Bench], Args]
    then: Declared
    before: Callable[[Bench], None] = _nothing
    first: Declared | None = field(default_factory=Declared)
    server: bool = True
    again: tuple[Declared, ...] = ()
    half: tuple[Declared, ...] = ()
    trouble: tuple[Fault, ...] = ()
    stumbles: tuple[str, str] | None = None

    @property
    def fails(self) -> bool:
        """Whether it is to fail, and to undo what it has done."""
        return bool(self.trouble or self.stumbles)

    def told(self, bench: Bench) -> Args:
        """The action's arguments on a host."""
        return self.args(bench) if callable(self.args) else self.args


# The leased transactions, and the step from which on one that stops there is brought to its end ("": always).
POINT_OF_NO_RETURN = {
    "snapshot": "keep them",
    "reexpose": "",
    "backup": "keep the snapshot",
    "absent": "",
    "cleanup": "",
    "storage": "make the area, or give it its size",
    "restore": "restore",
}


HOOKS: Args = {
    "before": [{"service": "Ledger", "action": "stop"}],
    "after": [{"service": "Ledger", "action": "start"}],
    "timeout": "5m",
}
SHOWN: Args = {
    "name": "crash",
    "volumes": ["C:", "D:", "E:"],
    "allow_downgrade": True,
    "expose": [
        {"volume": "D:", "path": "X:", "type": "letter"},
        {"volume": "C:", "path": "C:\\Shown\\it", "type": "link"},
        {"volume": "E:", "type": "share", "share": "Seen", "access": {"read": ["Administrator"]}},
    ],
}
ELSEWHERE: Args = {
    **SHOWN,
    "expose": [
        {"volume": "D:", "type": "share", "share": "Other", "access": {"read": ["Administrator"]}},
        {"volume": "C:", "path": "C:\\Shown\\other", "type": "link"},
        {"volume": "E:", "path": "W:", "type": "letter"},
    ],
}
PLAIN: Args = {"name": "crash", "volumes": ["D:"], "allow_downgrade": True}
ACCESSIBLE: Args = {**PLAIN, "expose": [{"volume": "D:", "path": "C:\\Shown\\it", "type": "link"}]}
ABSENT: Args = {"name": "crash", "state": "absent"}
BACKUP: Args = {"sources": ["D:\\Data"], "destination": "E:\\Copies", "allow_downgrade": True}
KEPT: Args = {**BACKUP, "name": "kept", "keep_snapshot": True}
RESTORE: Args = {"name": "crash", "paths": ["D:\\Data"], "existing": "replace"}
AREA: Args = {"volume": "C:", "max_size": "1GB"}

_RUN = r"C:\\Windows\\umbra-vss\\runs\\"
IS_SHOWN = Declared(
    shadows=3,
    runs=1,
    exposures=(r"X:", _RUN),
    shares=("Seen -> ",),
    links=(r"C:\\Shown\\it ->",),
    tree=(r"C:\\Shown\\it$",),
)
IS_ELSEWHERE = Declared(
    shadows=3,
    runs=1,
    exposures=(r"W:", _RUN),
    shares=("Other -> ",),
    links=(r"C:\\Shown\\other ->", _RUN),  # there is a link in what is shared
    tree=(r"C:\\Shown\\other$",),
)
# What was shown is taken away piece by piece: the share, the letter and the share's folder, the link.
IS_HALF_SHOWN = tuple(
    Declared(shadows=3, runs=1, exposures=exposed, links=links, tree=tuple(f"{link[:-3]}$" for link in links))
    for exposed in ((), (r"X:",), (_RUN,), (r"X:", _RUN))
    for links in ((), (r"C:\\Shown\\it ->",))
)
IS_ACCESSIBLE = Declared(shadows=1, runs=1, links=(r"C:\\Shown\\it ->",), tree=(r"C:\\Shown\\it$",))
IS_PLAIN = Declared(shadows=1, runs=1)
IS_COPIED = Declared(tree=(r"E:\\Copies",))
IS_KEPT = Declared(shadows=1, runs=1, tree=(r"E:\\Copies",))
IS_KEPT_TWICE = Declared(shadows=2, runs=2, tree=(r"E:\\Copies",))
IS_DAMAGED = Declared(shadows=1, runs=1, gone=(r"D:\\Data\\",), changed=(r"D:\\Data\\",))
IS_DAMAGED_BANK = Declared(shadows=1, runs=1, changed=(r"D:\\Bank\\",))
IS_RENAMED = Declared(shadows=1, runs=1, tree=(r"D:\\Data\\.*\.before-",))
READING = (r"C:\\Windows\\umbra-vss\\storage.json",)


# ---- stages
def _snapshot(args: Args) -> Callable[[Bench], None]:
    def before(bench: Bench) -> None:
        bench.must("snapshot", args)

    return before


def _backup(bench: Bench) -> None:
    bench.must("backup", BACKUP)


def _damage(bench: Bench) -> None:
    """A snapshot, after which somebody has deleted one file and written over another."""
    bench.must("snapshot", PLAIN)
    files = sorted(each.path for each in bench.host.files.walk("D:\\Data") if not each.is_dir)
    bench.host.files.remove(files[0])
    bench.host.files.write(files[1], b"damaged")


def _area(args: Args) -> Callable[[Bench], None]:
    def before(bench: Bench) -> None:
        bench.must("storage", args)

    return before


def _damaged_bank(bench: Bench) -> None:
    """A snapshot in which an application took part, after which somebody has written over its file."""
    bench.must("snapshot", {"name": "crash", "volumes": ["D:"], "writers": {"require": ["SqlServerWriter"]}})
    bench.host.files.write("D:\\Bank\\Bank.mdf", b"nothing")


def _dead(
    module: str, args: Args, key: str, also: Callable[[Bench], None] = _nothing, *trouble: Fault
) -> Callable[[Bench], None]:
    """A run whose controller died after the pipeline with this statement, in which there was trouble."""

    def before(bench: Bench) -> None:
        seen: list[str] = []

        def watch(action: Action, pipeline: Pipeline) -> None:
            if seen:
                action.kill()
            seen.extend(told["key"] for told in pipeline if told["key"].startswith(key))

        also(bench)
        try:
            with bench.troubled(trouble):
                bench.act(module, args, watch)
        except Killed:
            bench.quiet()
            return
        raise AssertionError(f"{module} never came to {key}")

    return before


def _expired(bench: Bench) -> None:
    """A dead run whose lease is over."""
    _dead("snapshot", SHOWN, "list")(bench)
    (lease,) = (task for task in bench.host.tasks.list() if task.name.endswith("-lease"))
    bench.host.tasks.start(lease.path, lease.name)
    lease.idle.wait(30)


def _foreign_revert(bench: Bench) -> Args:
    return {"state": "reverted", "snapshot_id": bench.foreign, "volume": "D:"}


def _foreign_gone(bench: Bench) -> Args:
    return {"state": "absent", "snapshot_id": bench.foreign, "force": "foreign"}


def _foreign_restore(bench: Bench) -> Args:
    return {"snapshot_id": bench.foreign, "paths": ["D:\\Data"], "destination": "E:\\Look"}


NO_LINK = ({"on": {"kind": "program", "program": "cmd.exe", "arguments": "*mklink*"}, "do": {"fail": 1}},)
NO_COMMIT = ({"on": {"kind": "phase", "phase": "commit"}, "do": {"fail": "0x8004230F"}},)
FULL = ({"on": {"kind": "program", "program": "robocopy.exe", "user": "SYSTEM", "times": 0}, "do": {"fail": 112}},)
NO_AREA = ({"on": {"kind": "command", "command": "Invoke-CimMethod", "arguments": "*ShadowStorage*"},
            "do": {"fail": "0x80070005"}},)  # fmt: skip
CUT = {**NO_AREA[0], "do": {"kill": "wsmprovhost.exe"}}
IS_AREA = Declared(areas=(r".* 1073741824$",), state=READING)
HELD: Args = {**SHOWN, "hooks": HOOKS}
LOOK: Args = {**RESTORE, "destination": "E:\\Look"}
RENAMED: Args = {**RESTORE, "existing": "rename"}
TOLD: Args = {**RESTORE, "paths": ["D:\\Bank"], "writers": {"restore": ["SqlServerWriter"]}}
DRILL: Args = {**RESTORE, "drill": True}
REVERT: Args = {"state": "reverted", "name": "crash", "volume": "D:"}

EXAMPLES = (
    Example("snapshot", "shown at a letter, a link and a share", "snapshot", HELD, IS_SHOWN),
    Example("snapshot", "a client's, shown at a link", "snapshot", ACCESSIBLE, IS_ACCESSIBLE, server=False),
    Example("snapshot", "a link that cannot be made", "snapshot", HELD, IS_SHOWN, trouble=NO_LINK),
    Example("snapshot", "a creation that fails", "snapshot", HELD, IS_SHOWN, trouble=NO_COMMIT),
    Example("snapshot", "a creation that is cut off", "snapshot", HELD, IS_SHOWN, stumbles=("create", BEFORE)),
    Example("reexpose", "shown elsewhere", "snapshot", ELSEWHERE, IS_ELSEWHERE, _snapshot(SHOWN), IS_SHOWN,
            half=IS_HALF_SHOWN),
    Example("reexpose", "to a link that cannot be made", "snapshot", ELSEWHERE, IS_ELSEWHERE, _snapshot(SHOWN),
            IS_SHOWN, half=IS_HALF_SHOWN, trouble=NO_LINK),
    Example("absent", "a set shown", "snapshot", ABSENT, Declared(), _snapshot(SHOWN), IS_SHOWN),
    Example("absent", "a client's", "snapshot", ABSENT, Declared(), _snapshot(ACCESSIBLE), IS_ACCESSIBLE, server=False),
    Example("describe", "another text", "snapshot", {**PLAIN, "description": "new"}, IS_PLAIN,
            _snapshot({**PLAIN, "description": "old"}), IS_PLAIN),
    Example("foreign", "one by its ID", "snapshot", _foreign_gone, Declared(deleted=1)),
    Example("backup", "into a new folder", "backup", BACKUP, IS_COPIED),
    Example("backup", "over an earlier one", "backup", BACKUP, IS_COPIED, _backup, IS_COPIED),
    Example("backup", "a client's", "backup", BACKUP, IS_COPIED, server=False),
    Example("backup", "and the set is kept", "backup", KEPT, IS_KEPT, again=(IS_KEPT_TWICE,)),
    Example("backup", "a disk that is full", "backup", BACKUP, IS_COPIED, trouble=FULL),
    Example("restore", "in place", "restore", RESTORE, IS_PLAIN, _damage, IS_DAMAGED),
    Example("restore", "to another folder", "restore", LOOK, replace(IS_DAMAGED, tree=(r"E:\\Look",)),
            _damage, IS_DAMAGED),
    Example("restore", "beside what is there", "restore", RENAMED, IS_RENAMED, _damage, IS_DAMAGED),
    Example("restore", "beside what is there, and a disk that is full", "restore", RENAMED, IS_RENAMED, _damage,
            IS_DAMAGED, trouble=FULL, half=(replace(IS_DAMAGED, tree=IS_RENAMED.tree),)),
    Example("restore", "with the application", "restore", TOLD, IS_PLAIN, _damaged_bank, IS_DAMAGED_BANK),
    Example("restore", "a drill", "restore", DRILL, IS_DAMAGED, _damage, IS_DAMAGED),
    Example("restore", "out of a foreign one", "restore", _foreign_restore, Declared(tree=(r"E:\\Look",))),
    Example("revert", "by name", "restore", REVERT, IS_PLAIN, _damage, IS_DAMAGED),
    Example("revert", "to a foreign one", "restore", _foreign_revert, Declared()),
    Example("storage", "an area", "storage", AREA, IS_AREA, first=Declared(areas=())),
    Example("storage", "another size", "storage", {**AREA, "max_size": "2GB"},
            replace(IS_AREA, areas=(r".* 2147483648$",)), _area(AREA), IS_AREA),
    Example("storage", "another place", "storage", {**AREA, "placement": "E:"}, IS_AREA, _area(AREA), IS_AREA),
    Example("storage", "a place where it cannot be", "storage", {**AREA, "placement": "E:"}, IS_AREA,
            _area(AREA), IS_AREA, trouble=NO_AREA),
    Example("cleanup", "a dead snapshot", "cleanup", {}, Declared(), _dead("snapshot", HELD, "link-"), None),
    Example("cleanup", "a dead snapshot, held", "cleanup", {}, Declared(), _dead("snapshot", HELD, "freeze-"), None),
    Example("cleanup", "a dead backup", "cleanup", {}, Declared(), _dead("backup", BACKUP, "start-"), None),
    Example("cleanup", "a dead drill", "cleanup", {}, IS_DAMAGED, _dead("restore", DRILL, "start-", _damage), None),
    Example("cleanup", "a dead restore beside what is there", "cleanup", {}, IS_DAMAGED,
            _dead("restore", RENAMED, "rename-", _damage), None),
    Example("cleanup", "a dead move of a storage area", "cleanup", {}, IS_AREA,
            _dead("storage", {**AREA, "placement": "E:"}, "area-", _area(AREA), CUT), None),
    Example("cleanup", "the trace of a lease", "cleanup", {}, Declared(), _expired, None),
)  # fmt: skip
