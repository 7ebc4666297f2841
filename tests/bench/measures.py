# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is measured. Every figure is a median over rounds; what is compared ran in turn in the same round."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import runs
from runs import Figures, Laboratory

Row = dict[str, Any]
Task = Mapping[str, Any] | None

CARRIERS = {
    "psrp, NTLM over HTTP": ("psrp", "http", "negotiate"),
    "psrp, NTLM over HTTPS": ("psrp", "https", "negotiate"),
    "psrp, Basic over HTTPS": ("psrp", "https", "basic"),
    "psrp, certificate over HTTPS": ("psrp", "https", "certificate"),
    "psrp, CredSSP over HTTPS": ("psrp", "https", "credssp"),
    "winrm, NTLM over HTTP": ("winrm", "http", "negotiate"),
    "winrm, Basic over HTTPS": ("winrm", "https", "basic"),
    "winrm, certificate over HTTPS": ("winrm", "https", "certificate"),
    "winrm, CredSSP over HTTPS": ("winrm", "https", "credssp"),
}
_JOB = "vssadmin list shadows"  # of their modules, which get no further than to where PowerShell would begin
_SNAPSHOT = {"umbra.vss.snapshot": {"name": "bench", "volumes": ["D:"], "consistency": "application",
                                    "allow_downgrade": True}}  # fmt: skip
_AWAY = {"umbra.vss.snapshot": {"name": "bench", "state": "absent"}}
_BACKUP = {"umbra.vss.backup": {"sources": ["D:\\Data"], "destination": "E:\\Backup", "allow_downgrade": True}}
FLOOR, INFO = {"floor": {}}, {"umbra.vss.info": {}}
ACTIONS: dict[str, Task] = {
    "nothing": None,
    "floor": FLOOR,
    "info": INFO,
    "info, writers only": {"umbra.vss.info": {"gather": ["writers"]}},
    "snapshot, made": _SNAPSHOT,
    "snapshot, there already": _SNAPSHOT,
    "snapshot, removed": _AWAY,
    "backup, 10 files": _BACKUP,
    "win_ping": {"ansible.windows.win_ping": {}},
    "win_shell": {"ansible.windows.win_shell": _JOB},
    "win_powershell": {"ansible.windows.win_powershell": {"script": _JOB}},
    "raw": {"ansible.builtin.raw": _JOB},
}
_TIMES = 10  # an action is repeated where only one host is asked
_LARGE = 500  # hosts, beyond which only the fewest forks are used
OTHERS = ("win_ping", "win_shell", "win_powershell", "raw")


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    rounds: int
    hosts: int  # where figures per host are wanted
    fleets: Sequence[int]
    forks: Sequence[int]
    copies: Sequence[int]
    files: Sequence[int]


FULL = Size(3, 10, (1, 10, 100, 500, 1000), (10, 50), (1, 100, 512), (10, 10_000, 100_000))
QUICK = Size(1, 4, (1, 10, 50), (10,), (1, 50), (10, 1_000))


def medians(rounds: Sequence[Figures]) -> Figures:
    """Of each figure over the rounds."""
    return {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}


def actions(size: Size, say: Callable[[str], None]) -> Iterator[Row]:
    """Each action over each carrier: a host's share of what was spent, start of Ansible left out."""
    for carrier, how in CARRIERS.items():
        say(carrier)
        with runs.laboratory(runs.scenario(size.hosts, how)) as lab:
            if how[-1] == "certificate":
                lab.ask(f"certificates {how[0]}")
            runs.play(lab, INFO, size.hosts)  # whatever is done once is done
            rounds = [{name: runs.play(lab, task, size.hosts) for name, task in ACTIONS.items()}
                      for _ in range(size.rounds)]  # fmt: skip
        for name in list(ACTIONS)[1:]:
            yield {"carrier": carrier, "action": name, **_share(rounds, name, size.hosts)}


def _share(rounds: Sequence[Mapping[str, Figures]], name: str, hosts: int) -> Figures:
    each = [{key: value / hosts for key, value in one[name].items()} for one in rounds]
    for one, every in zip(each, rounds, strict=True):
        for key in ("cpu", "wall"):
            one[key] -= every["nothing"][key] / hosts
    return medians(each)


def fleets(size: Size, say: Callable[[str], None]) -> Iterator[Row]:
    """The floor and info over fleets, by forks: what grows with hosts, and where the time goes."""
    for hosts in size.fleets:
        with runs.laboratory(runs.scenario(hosts)) as lab:
            runs.play(lab, INFO, 25)
            for forks in size.forks:
                if (hosts < forks and forks != size.forks[0]) or (hosts > _LARGE and forks != size.forks[0]):
                    continue
                say(f"{hosts} hosts, {forks} forks")
                found = [_fleet(lab, forks) for _ in range(size.rounds if hosts <= 100 else 1)]
                names = ("nothing", "floor", "info")
                middle = {name: medians([each[name] for each in found]) for name in names}
                ratios = {
                    f"{key}_ratio": statistics.median(each["info"][key] / each["floor"][key] for each in found)
                    for key in ("wall", "cpu")
                }
                yield {"hosts": hosts, "forks": forks, **ratios, **middle}


def _fleet(lab: Laboratory, forks: int) -> dict[str, Figures]:
    tasks = {"nothing": None, "floor": FLOOR, "info": INFO}
    return {name: runs.play(lab, task, forks, memory=True) for name, task in tasks.items()}


def copies(size: Size, say: Callable[[str], None]) -> Iterator[Row]:
    """One host with more and more shadow copies."""
    with runs.laboratory(runs.scenario(1)) as lab:
        there = 0
        for wanted in size.copies:
            say(f"{wanted} shadow copies")
            lab.ask(f"copies host0000 {wanted - there}")
            there = wanted
            yield {"what": "shadow copies", "number": wanted, **_repeated(lab, INFO, size.rounds, _TIMES)}


def writers(size: Size, say: Callable[[str], None]) -> Iterator[Row]:
    """One host with few and with many writers: what Windows has anyway, and so many more."""
    for more in (0, 40):
        named = [{"name": f"Application {n} Writer", "class_id": f"00000000-0000-4000-8000-{n:012}",
                  "components": [{"name": "data", "files": [{"path": "D:\\Data"}]}]} for n in range(more)]  # fmt: skip
        say(f"{more} more writers")
        with runs.laboratory(runs.scenario(1, writers=named)) as lab:
            yield {"what": "writers of applications", "number": more, **_repeated(lab, INFO, size.rounds, _TIMES)}


def files(size: Size, say: Callable[[str], None]) -> Iterator[Row]:
    """One host with more and more files to back up."""
    for count in size.files:
        say(f"{count} files")
        depth = 1 if count <= 10 else 3
        data = [{"path": "D:\\Data", "count": count, "bytes": 512, "depth": depth}]
        with runs.laboratory(runs.scenario(1, files=data)) as lab:
            yield {"what": "files backed up", "number": count, **_repeated(lab, _BACKUP, 1)}


def _repeated(lab: Laboratory, task: Mapping[str, Any], rounds: int, times: int = 1) -> Figures:
    """What one of so many repetitions in a play costs, without the start of Ansible, which varies by more than that."""
    task = task if times == 1 else {**task, "loop": list(range(times))}
    each = []
    for _ in range(rounds):
        nothing, found = runs.play(lab, None, 1), runs.play(lab, task, 1)
        each.append({key: (value - nothing[key]) / times for key, value in found.items()})
    return medians(each)


def imports() -> Iterator[Row]:
    """How long Ansible's loader needs for each action, the client library and Ansible itself being there."""
    env = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(runs.ROOT / ".build")}
    for action in ("info", "snapshot", "backup", "restore", "storage", "cleanup"):
        command = [sys.executable, str(runs.HERE / "importing.py"), action]
        times = [float(subprocess.run(command, capture_output=True, text=True, check=True, env=env).stdout)
                 for _ in range(5)]  # fmt: skip
        yield {"action": action, "seconds": statistics.median(times)}
