# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs ansible-playbook over an inventory and gives back what every task on every host answered."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / ".build"

# What the first run on a host leaves on purpose: the empty state folder, with its access list, the last readings of
# storage areas, the empty folder of our scheduled tasks, and the event source.
STATE_FOLDERS = (r"c:\windows\umbra-vss", r"c:\windows\umbra-vss\runs", r"c:\windows\umbra-vss\storage.json")
EVENT_SOURCE = "umbra-vss"
# Below these, on the system volume, are the state folder and the folder of our scheduled tasks, which stays empty.
STATE_TREES = ("windows/umbra-vss", "windows/system32/tasks/umbra-vss")


def leftovers(ledger: Mapping[str, Any]) -> dict[str, Any]:
    """A laboratory host's ledger of what can be left behind, less what stays on purpose."""
    files = {path: what for path, what in ledger["files"].items() if path.lower() not in STATE_FOLDERS}
    sources = [source for source in ledger["event_sources"] if EVENT_SOURCE not in source]
    return {**ledger, "files": files, "event_sources": sources}


@dataclass
class Run:
    """What one run of ansible-playbook came to.

    `tasks` holds one dictionary a task and host: host, task, action, status (ok, failed, unreachable, skipped), result.
    """

    code: int
    output: str
    tasks: list[dict[str, Any]] = field(default_factory=list)

    def of(self, action: str, host: str | None = None) -> list[dict[str, Any]]:
        """The answers of one module (`umbra.vss.backup`), in order, of one host or of all."""
        return [t for t in self.tasks if t["action"] == action and host in (None, t["host"])]


def environment(results: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of ansible-playbook: all it writes goes below .build, nothing of the user's settings counts."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("ANSIBLE_")}
    env.update(
        ANSIBLE_HOME=str(BUILD / "ansible"),
        ANSIBLE_COLLECTIONS_PATH=str(BUILD),
        ANSIBLE_CONFIG=str(ROOT / "demo" / "ansible.cfg"),
        ANSIBLE_CALLBACK_PLUGINS=str(ROOT / "demo" / "callback_plugins"),
        ANSIBLE_CALLBACKS_ENABLED="results_file",
        UMBRA_RESULTS=str(results),
        PYTHONDONTWRITEBYTECODE="1",
        PYTHONUNBUFFERED="1",
        PYTHONWARNINGS="ignore::DeprecationWarning",
    )
    env.update(extra or {})
    return env


def command(inventories: Sequence[Path], playbook: Path, *args: str) -> list[str]:
    """The argument list of ansible-playbook, from the same environment as this Python."""
    call = [str(Path(sys.executable).parent / "ansible-playbook")]
    for inventory in inventories:
        call += ["-i", str(inventory)]
    return [*call, str(playbook), *args]


def read_results(path: Path) -> list[dict[str, Any]]:
    """The results written so far; [] when no task has answered."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def kill_tree(pid: int) -> None:
    """Kill a process and all below it, as a power cut would; Ansible's workers lead process groups of their own."""
    doomed = [pid]
    for each in doomed:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{each}/task").iterdir():
                doomed += map(int, (task / "children").read_text(encoding="ascii").split())
    for each in doomed:
        with contextlib.suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)


def start(call: Sequence[str], env: Mapping[str, str], folder: Path) -> subprocess.Popen[str]:
    """A process whose output can be read as it appears."""
    return subprocess.Popen(
        call,
        env=dict(env),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    )


def run_playbook(
    inventories: Sequence[Path],
    playbook: Path,
    *args: str,
    results: Path,
    show: IO[str] | None = None,
    timeout: float = 300,
    env: Mapping[str, str] | None = None,
    start: Callable[..., Any] = start,
) -> Run:
    """Run a playbook to its end; `show` gets its output as it appears. Raises subprocess.TimeoutExpired."""
    results.parent.mkdir(parents=True, exist_ok=True)
    results.unlink(missing_ok=True)
    lines: list[str] = []
    with start(command(inventories, playbook, *args), environment(results, env), ROOT) as process:
        if process.stdout is None:
            raise RuntimeError("ansible-playbook was started without a pipe")
        overdue = threading.Timer(timeout, kill_tree, [process.pid])
        overdue.start()
        try:
            for line in process.stdout:
                lines.append(line)
                if show is not None:
                    show.write(line)
                    show.flush()
            code = process.wait()
        finally:
            overdue.cancel()
        if code == -signal.SIGKILL:
            raise subprocess.TimeoutExpired("ansible-playbook", timeout, "".join(lines))
    return Run(code, "".join(lines), read_results(results))
