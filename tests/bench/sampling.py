# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the processor time of controller and laboratory goes: samples of their stacks, sorted into layers.

py-spy takes samples of the threads that hold the interpreter, and keeps them as collapsed stacks, which tools for
flame graphs read.
"""

from __future__ import annotations

import collections
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import runs
from measures import INFO, Row

RATE = 250  # samples a second; each is so much of a second
HOSTS, FORKS = 100, 10

# By function: the first line that has one of a stack's functions is its layer.
CONTROLLER = {
    "the connection: open, authenticate": {"RunspacePool.open", "Connection._connect"},
    "the connection: close": {"VssAction._leave", "Connection.close", "Carrier.close"},
    "umbra.vss: write the commands": {"create_pipeline", "Pipeline.batch"},
    "umbra.vss: read the answers": {"_Talk.take", "RunspacePool._parse_responses"},
    "umbra.vss: send and receive": {"WSMan.invoke", "Carrier._begin", "Carrier._poll"},
    "umbra.vss: decide, and tell what was found": {"VssAction.run"},
    "Ansible: in the process of each host": {"WorkerProcess.run", "WorkerProcess._run"},
    "Ansible: all hosts, their results": {"TaskQueueManager.run"},
    "Ansible: start and end": {"<module>", "main"},
}
LABORATORY = {
    "record what happens": {"Trace.write"},
    "error records": {"record_xml"},
    "the commands": {"Runspace.invoke"},
    "authenticate": {"ConnectionAuth.check"},
    "read and write messages (PSRP, WS-Management)": {"Endpoint.handle", "PsrpShell._run", "Connection._soap"},
    "connections (HTTP)": {"BaseEventLoop._run_once", "Handle._run"},
    "start and end": {"<module>", "main"},
}
_NAMES = {"controller": CONTROLLER, "laboratory": LABORATORY}


def sampled(folder: Path, say: Callable[[str], None]) -> Iterator[Row]:
    """info over a fleet, by process and layer: `where`, `layer`, `share` of its time, and milliseconds a host.

    The stacks are kept in the folder. Yields nothing, having said why, where this machine allows no samples.
    """
    files = {where: folder / f"profile-{where}.txt" for where in _NAMES}
    for file in files.values():
        file.unlink(missing_ok=True)
    spy = {where: _spy(file) for where, file in files.items()}
    if not _allowed():
        say("no profile: py-spy may not look at other processes here (kernel.yama.ptrace_scope)")
        return
    say(f"{HOSTS} hosts, {FORKS} forks, looked at {RATE} times a second")
    with runs.laboratory(runs.scenario(HOSTS), spied=spy["laboratory"]) as lab:
        runs.play(lab, INFO, FORKS, spied=spy["controller"])
    for where, file in files.items():
        counts = layers(file.read_text(encoding="utf-8"), _NAMES[where])
        whole = sum(counts.values())
        for layer, count in counts.items():
            yield {"where": where, "layer": layer, "share": count / whole, "ms": 1000 * count / RATE / HOSTS}


def _spy(file: Path) -> list[str]:
    program = str(Path(sys.executable).with_name("py-spy"))
    return [program, "record", "--gil", "--subprocesses", "--nolineno", "--rate", str(RATE), "--format", "raw",
            "--output", str(file), "--"]  # fmt: skip


def _allowed() -> bool:
    """Whether py-spy can look at a process that it has started."""
    call = [*_spy(Path("/dev/null")), sys.executable, "-c", "sum(range(10**7))"]
    return subprocess.run(call, capture_output=True, check=False).returncode == 0


def layers(stacks: str, names: Mapping[str, set[str]]) -> dict[str, int]:
    """The number of samples in each layer, in their order; what belongs to none is last."""
    found: collections.Counter[str] = collections.Counter()
    for line in stacks.splitlines():
        stack, _, count = line.rpartition(" ")
        functions = {frame.partition(" (")[0] for frame in stack.split(";")}
        layer = next((name for name, marks in names.items() if functions & marks), "other")
        found[layer] += int(count)
    return {name: found[name] for name in (*reversed(names), "other") if found[name]}
