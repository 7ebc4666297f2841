# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the laboratory costs, measured on this machine and printed beside what it may cost.

    run.py [--json FILE] [--quick]

Every measurement runs in processes of its own; times are medians, rates are over the whole run.  The exit status is 1
when a target is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

warnings.simplefilter("ignore")  # what client libraries say about certificates is not ours
_ONE = {"users": [{"name": "Administrator", "administrator": True, "remote": True}]}


@dataclass(frozen=True)
class Figure:
    """One measured value; `target` is its limit (an upper one, or a lower one for rates), None where there is none."""

    name: str
    value: float
    unit: str
    target: float | None = None
    at_least: bool = False

    @property
    def met(self) -> bool:
        """True when there is no target or the value keeps to it."""
        if self.target is None:
            return True
        return self.value >= self.target if self.at_least else self.value <= self.target


def fleet(hosts: int, **host: Any) -> dict[str, Any]:
    """A scenario of so many equal hosts with one administrator each."""
    common = {**_ONE, "volumes": [{"letter": "C"}, {"letter": "D"}], **host}
    return {"name": "bench", "defaults": common, "hosts": [{"name": f"host{n:04}"} for n in range(hosts)]}


@contextmanager
def running(plan: dict[str, Any]) -> Iterator[Any]:
    """A laboratory of this scenario, in this process, with its files in a temporary folder."""
    from vsslab import scenario  # noqa: PLC0415 - importing is part of what is measured
    from vsslab.lab import Lab  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="vsslab-bench-") as folder:
        file = Path(folder, "scenario.yml")
        file.write_text(yaml.safe_dump(plan), encoding="utf-8")
        with Lab(scenario.load(file), state=Path(folder, "state")) as lab:
            yield lab


def resident() -> float:
    """The resident memory of this process now, in MB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 1e6


# --- the measurements; each runs in a process of its own and gives figures


def large_fleet(_quick: bool) -> list[Figure]:
    """A thousand hosts in one process: how long until they answer, what they hold, and again once all were touched."""
    began = time.perf_counter()
    with running(fleet(1000)) as lab:
        up = time.perf_counter() - began
        memory = resident()
        began = time.perf_counter()
        for _ in lab.hosts.values():
            pass
        touched = time.perf_counter() - began
        return [
            Figure("1,000 hosts: up (with reading the scenario)", up, "s", 5.0),
            Figure("1,000 hosts: resident", memory, "MB", 300.0),
            Figure("1,000 hosts: all set up, further", touched, "s"),
            Figure("1,000 hosts: resident then", resident(), "MB", 300.0),
        ]


def sessions(quick: bool) -> list[Figure]:
    """Complete PSRP sessions with NTLM and sealing: the laboratory has one core, the load another."""
    count = 200 if quick else 1500
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[0]})
    with running(fleet(1)) as lab:
        (name,) = lab.hosts
        load = [sys.executable, str(Path(__file__).with_name("load.py")), lab.addresses[name], str(lab.ports[0])]
        load += ["Administrator", str(count), "8", str(cores[-1])]
        before = os.times()
        done = subprocess.run(
            load, input=lab.passwords[name, "Administrator"] + "\n", capture_output=True, text=True, check=False
        )
        after = os.times()
    if done.returncode:
        raise SystemExit(f"The load failed: {done.stderr.strip().splitlines()[-1]}")
    figures = json.loads(done.stdout)
    spent = after.user + after.system - before.user - before.system
    return [
        Figure("PSRP + NTLM sessions a second, one core", figures["sessions"] / figures["seconds"], "/s", 60.0, True),
        Figure("HTTP requests in each", figures["requests"] / figures["sessions"], ""),
        Figure("processor time of the laboratory for each", 1000 * spent / figures["sessions"], "ms"),
    ]


def within_a_test(quick: bool) -> list[Figure]:
    """What a test pays: start a fleet of one host, run one pipeline with pypsrp, stop."""
    from pypsrp.powershell import PowerShell, RunspacePool  # noqa: PLC0415
    from pypsrp.wsman import WSMan  # noqa: PLC0415

    def once() -> tuple[float, float]:
        began = time.perf_counter()
        with running(fleet(1)) as lab:
            up = time.perf_counter()
            (name,) = lab.hosts
            secret = lab.passwords[name, "Administrator"]
            wsman = WSMan(lab.addresses[name], port=lab.ports[0], ssl=False, auth="ntlm", encryption="always",
                          username="Administrator", password=secret)  # fmt: skip
            with wsman, RunspacePool(wsman) as pool:
                shell = PowerShell(pool)
                shell.add_cmdlet("Get-Date")
                if not shell.invoke() or shell.had_errors:
                    raise SystemExit("The pipeline gave nothing.")
        return up - began, time.perf_counter() - began

    once()  # imports and tables
    runs = [once() for _ in range(5 if quick else 20)]
    return [
        Figure("a fleet's start within a test", 1000 * statistics.median(up for up, _ in runs), "ms", 100.0),
        Figure("start, one pipeline, stop", 1000 * statistics.median(whole for _, whole in runs), "ms", 150.0),
    ]


def shadow_copy(quick: bool) -> list[Figure]:
    """A shadow copy of a volume with 10,000 files, through the service a client would call."""
    count = 10_000
    plan = fleet(1, files=[{"path": "D:\\Data", "count": count, "bytes": 4096, "depth": 3}])
    with running(plan) as lab:
        (host,) = lab.hosts.values()
        taken, deleted = [], []
        for _ in range(1 if quick else 5):
            began = time.perf_counter()
            answer = host.cim.invoke(
                host.users.system, "Win32_ShadowCopy", "Create", {"Volume": "D:\\", "Context": "ClientAccessible"}
            )
            taken.append(time.perf_counter() - began)
            if answer["ReturnValue"]:
                raise SystemExit(f"No shadow copy: {answer['ReturnValue']}.")
            began = time.perf_counter()
            host.vss.delete(answer["ShadowID"])
            deleted.append(time.perf_counter() - began)
    return [
        Figure(f"shadow copy of a volume with {count:,} files", statistics.median(taken), "s", 1.0),
        Figure("its deletion", statistics.median(deleted), "s"),
    ]


MEASUREMENTS: dict[str, Callable[[bool], list[Figure]]] = {
    each.__name__: each for each in (large_fleet, sessions, within_a_test, shadow_copy)
}


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    model = next(
        (line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
         if line.startswith("model name")), platform.machine()
    )  # fmt: skip
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return {
        "processor": model,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(memory, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load": os.getloadavg()[0],
    }


def measure(name: str, quick: bool) -> list[Figure]:
    """One measurement in a fresh process."""
    command = [sys.executable, __file__, "--one", name, *(["--quick"] if quick else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name}: {done.stderr.strip()}")
    return [Figure(**each) for each in json.loads(done.stdout)]


def main() -> int:
    """Run from the command line; the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    parser.add_argument("--quick", action="store_true", help="fewer repetitions")
    parser.add_argument("--one", choices=MEASUREMENTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps([asdict(each) for each in MEASUREMENTS[options.one](options.quick)]))
        return 0
    where = machine()
    print(f"{where['processor']}, {where['cores']} cores, {where['memory_gb']} GB; {where['system']}; "
          f"Python {where['python']}; load {where['load']:.1f}")  # fmt: skip
    figures: list[Figure] = []
    for name in MEASUREMENTS:
        for each in measure(name, options.quick):
            figures.append(each)
            limit = "" if each.target is None else f"{'at least' if each.at_least else 'at most'} {each.target:g}"
            print(f"  {each.name:<52} {each.value:>9.2f} {each.unit:<3} {limit:<14} "
                  f"{'' if each.met else 'MISSED'}".rstrip(), flush=True)  # fmt: skip
    if options.json:
        found = [{**asdict(each), "met": each.met} for each in figures]
        options.json.write_text(json.dumps({"machine": where, "figures": found}, indent=2) + "\n", encoding="utf-8")
    return 0 if all(each.met for each in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
