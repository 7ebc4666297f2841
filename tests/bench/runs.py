# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One laboratory, one run of ansible-playbook, and what each of the two has spent."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
COLLECTIONS = Path(os.environ.get("BENCH_COLLECTIONS", ROOT / ".build" / "bench-collections"))
_OFTEN = 0.25  # seconds between two looks at the controller's memory
_SELDOM = 50  # times what a look takes
_LONGEST = 1800  # seconds, after which a run has got stuck
_ANSIBLE = {
    "ANSIBLE_COLLECTIONS_PATH": f"{ROOT / '.build'}:{COLLECTIONS}",
    "ANSIBLE_HOME": str(ROOT / ".build" / "ansible"),
    "ANSIBLE_CONFIG": str(ROOT / "demo" / "ansible.cfg"),
    "ANSIBLE_ACTION_PLUGINS": str(HERE / "action_plugins"),
    "PYTHONWARNINGS": "ignore",
}
USUAL = ("psrp", "http", "negotiate")  # connection plugin, scheme, authentication

Figures = dict[str, float]


def scenario(hosts: int, how: tuple[str, str, str] = USUAL, **more: Any) -> dict[str, Any]:
    """So many equal servers, reached by this plugin, scheme and authentication.

    A laboratory's inventory knows no certificates: for these, see `certificates` of laboratory.py.
    """
    plugin, scheme, auth = how
    by_inventory = "basic" if auth == "certificate" else auth
    common = {
        "users": [{"name": "Administrator", "administrator": True, "remote": True}],
        "volumes": [{"letter": "C"}, {"letter": "D"}, {"letter": "E"}],
        "files": [{"path": "D:\\Data", "count": 10, "bytes": 4096}],
        "authentication": ["negotiate", "basic", "credssp", "certificate"],
        "connection": {"plugin": plugin, "scheme": scheme, "auth": by_inventory},
        **more,
    }
    return {"name": "bench", "defaults": common, "hosts": [{"name": f"host{n:04}"} for n in range(hosts)]}


@dataclass
class Laboratory:
    """A laboratory in a process of its own."""

    process: subprocess.Popen[str]
    folder: Path
    inventory: str

    def ask(self, line: str) -> Figures:
        """See laboratory.py."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit("The laboratory of the bench has ended; what it said is above.")
        told: Figures = json.loads(answer)
        return told


@contextmanager
def laboratory(plan: Mapping[str, Any], spied: Sequence[str] = ()) -> Iterator[Laboratory]:
    """Start one, and end it; `spied`: a command that runs it and looks on."""
    folder = Path(tempfile.mkdtemp(prefix="umbra-bench-"))
    try:
        file = folder / "scenario.yml"
        file.write_text(yaml.safe_dump(dict(plan)), encoding="utf-8")
        command = [*spied, sys.executable, str(HERE / "laboratory.py"), str(file), str(folder / "state")]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        with process:
            assert process.stdout is not None
            line = next((each for each in process.stdout if each.startswith("{")), "")  # what looks on talks, too
            if not line:
                raise SystemExit("The laboratory of the bench did not start; what it said is above.")
            yield Laboratory(process, folder, json.loads(line)["inventory"])
            assert process.stdin is not None
            process.stdin.close()
            process.stdout.read()  # to its end: what looks on may have something to say
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Memory(threading.Thread):
    """Looks at the memory that a process and those below it hold together (PSS, so that shared pages count once)."""

    def __init__(self, top: int) -> None:
        super().__init__(daemon=True)
        self._top, self._done, self.most = top, threading.Event(), 0.0

    def run(self) -> None:
        pause = _OFTEN
        while not self._done.wait(pause):
            began = time.monotonic()
            self.most = max(self.most, sum(map(self._held, self._members())))
            pause = max(_OFTEN, _SELDOM * (time.monotonic() - began))  # to look at fifty processes is work itself

    def _members(self) -> list[Path]:
        below: dict[int, list[int]] = {}
        for path in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                parent = (path / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[1]
                below.setdefault(int(parent), []).append(int(path.name))
        found = [self._top]
        for each in found:  # grows meanwhile
            found += below.get(each, [])
        return [Path("/proc", str(each)) for each in found]

    @staticmethod
    def _held(path: Path) -> float:
        with suppress(OSError, StopIteration):
            lines = (path / "smaps_rollup").read_text(encoding="ascii").splitlines()
            return int(next(line for line in lines if line.startswith("Pss:")).split()[1]) / 1000
        return 0.0

    def end(self) -> float:
        """The most, in MB."""
        self._done.set()
        self.join()
        return self.most


def play(
    lab: Laboratory, task: Mapping[str, Any] | None, forks: int, *, memory: bool = False, spied: Sequence[str] = ()
) -> Figures:
    """Run one task (None: nothing) on all hosts; what the controller and the laboratory have spent.

    spied: a command that runs Ansible and looks on; what it spends is counted.

    Keys: wall and cpu (seconds, of the controller), lab_cpu, operations, authentications, bytes_up, bytes_down,
    connections, and memory (MB) where it was asked for. Ends the bench when a host did not do it.
    """
    book = lab.folder / "play.yml"
    tasks = [] if task is None else [{"name": "Measure", **task}]
    book.write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": tasks}]), encoding="utf-8")
    env = (
        {k: v for k, v in os.environ.items() if not k.startswith("ANSIBLE_")} | _ANSIBLE | {"ANSIBLE_FORKS": str(forks)}
    )
    call = [*spied, str(Path(sys.executable).with_name("ansible-playbook")), "-i", lab.inventory, str(book)]
    lab.ask("figures")
    with tempfile.TemporaryFile("w+") as said:
        began = time.perf_counter()
        process = subprocess.Popen(call, env=env, stdout=said, stderr=subprocess.STDOUT, start_new_session=True)
        watch = _Memory(process.pid)
        if memory:
            watch.start()
        limit = threading.Timer(_LONGEST, os.killpg, (process.pid, signal.SIGKILL))
        limit.start()
        _, status, spent = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        limit.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        most = watch.end() if memory else 0.0
        if status:
            said.seek(0)
            raise SystemExit(f"{task} did not end well:\n{said.read()[-3000:]}")
    theirs = lab.ask("figures")
    mine = {"wall": wall, "cpu": spent.ru_utime + spent.ru_stime, "lab_cpu": theirs.pop("cpu"), **theirs}
    return mine | ({"memory": most} if memory else {})
