# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
r"""One of us at a time: the lock of a host, a folder ``<state>\lock`` with one file, named by the run that holds it.

Two things are done by one call of the file system each, so that there is nothing between looking and taking: a run
makes the folder beside, with its file in it, and *renames* it to ``lock``, which fails when there is one; and it takes
over from a run that is over by *renaming that run's file* to its own, which fails when somebody else was faster. Giving
back removes the file and then the folder, and the latter fails unless it is empty: so an empty one is in nobody's way.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime

from .. import _verbs as verbs
from .._pipeline import Reply, Statement, moment
from . import records
from .model import iso
from .owner import Owner, owner_from
from .paths import join

KEY = "lock"  # of the statement that fails when somebody else has the lock
RECORDS = "locked-records"
FOLDER = "lock"


@dataclass(frozen=True)
class Holder:
    """Who has the lock: the run whose name its file bears, and what the file says. until: by the host's clock."""

    run: str
    action: str = ""
    owner: Owner = field(default_factory=Owner)
    until: str | None = None

    def over(self, now: datetime, me: Owner) -> str | None:
        """Why whoever has it is certainly gone; None when he may be alive."""
        if self.owner.provably_dead(me):
            return f"its process {self.owner.pid} on {self.owner.controller} is gone"
        if self.owner.provably_alive(me):
            return None
        until = _moment(self.until)
        return f"its lease ended at {self.until}" if until is not None and until < now else None

    def told(self) -> str:
        """Who that is, in words."""
        who = f"{self.owner.user}@{self.owner.controller}" if self.owner.controller else "somebody"
        return f"{self.action or 'a run'} {self.run} of {who} (process {self.owner.pid})"


def _moment(text: str | None) -> datetime | None:
    try:
        return moment(text)
    except ValueError:
        return None


def folder(windows: str) -> str:
    """The lock's folder."""
    return join(records.state_folder(windows), FOLDER)


def waiting_folder(windows: str, run: str) -> str:
    """The folder that becomes the lock when its turn comes."""
    return f"{folder(windows)}-{run}"


def file(windows: str, run: str) -> str:
    """The file of a run that has the lock."""
    return join(folder(windows), f"{run}.json")


# ---- taking
def taking(record: records.Record, windows: str, until: datetime, gone: Holder | None = None) -> list[Statement]:
    """The statements that take the lock for a run; the one with the key `KEY` fails when somebody else has it.

    :param until: when it counts as abandoned, by the host's clock.
    :param gone: who has it and is over: it is taken over from him, and only from him.
    """
    holds = {"run": record.run, "action": record.action, "owner": asdict(record.owner), "until": iso(until)}
    text = [json.dumps(holds, sort_keys=True)]
    mine = file(windows, record.run)
    if gone is not None:
        return [
            verbs.rename_file(KEY, file(windows, gone.run), f"{record.run}.json"),
            verbs.write_lines("lock-holder", mine, text),
        ]
    beside = waiting_folder(windows, record.run)
    return [
        verbs.make_folder("lock-beside", beside),
        verbs.write_lines("lock-holder", join(beside, f"{record.run}.json"), text),
        verbs.remove_link("lock-empty", folder(windows)),
        verbs.rename_file(KEY, beside, FOLDER),
    ]


def looking(windows: str) -> list[Statement]:
    """The statements that tell who has the lock."""
    return [
        verbs.list_files("lock-files", folder(windows)).tolerant(),
        verbs.read_texts("lock-texts", join(folder(windows), "*.json")).tolerant(),
    ]


def holder(reply: Reply) -> Holder | None:
    """Who has the lock, by the answers to `looking`. The name of the file counts, whatever is in it."""
    for told in reply["lock-files"].values:
        run, dot, _more = str(told.get("FullName", "")).rpartition("\\")[2].partition(".json")
        if dot and records.is_run(run):
            return _read(run, [str(text) for text in reply["lock-texts"].values], told.get("LastWriteTimeUtc"))
    return None


def _read(run: str, texts: Sequence[str], written: object) -> Holder:
    for text in texts:
        try:
            found = json.loads(text.lstrip("\ufeff"))
            # A file that was taken over a moment ago still tells of the run before.
            return Holder(run, str(found["action"]), owner_from(found["owner"]), found["until"])
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    since = moment(written)  # a file that was not written whole counts for as long as a lease
    return Holder(run, until=iso(since + records.LEASE) if since else None)


# ---- giving back
def giving_back(run: str, windows: str, mark: str = "") -> list[Statement]:
    """The statements that give the lock back if this run has it, and remove what it had prepared for it."""
    return [
        verbs.remove_file(f"lock-file{mark}", file(windows, run)).tolerant(),
        verbs.remove_link(f"lock-folder{mark}", folder(windows)),
        verbs.remove_tree(f"lock-beside-gone{mark}", waiting_folder(windows, run)).tolerant(),
    ]
