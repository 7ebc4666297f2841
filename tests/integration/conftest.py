# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet in the laboratory and real ansible-playbook runs against it."""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import yaml
from vsslab.lab import Lab

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / ".build" / "tests"
RATE = 25  # transactions per second of an application
SOURCES = {
    "sql01": r"D:\Bank",
    "mail01": r"D:\Mail",
    "web01": r"D:\Logs",
    "legacy01": r"D:\Legacy",
    "pc01": r"D:\Ledger",
}


def _load_demo_fleet() -> Any:
    """demo/fleet.py: the one place that knows how ansible-playbook is started here."""
    spec = importlib.util.spec_from_file_location("demo_fleet", ROOT / "demo" / "fleet.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["demo_fleet"] = module
    spec.loader.exec_module(module)
    return module


ansible = _load_demo_fleet()
sys.path.insert(0, str(Path(__file__).parent))
from warm import Warm  # noqa: E402

_WARM: list[Warm] = []


def start(call: list[str], env: dict[str, str], folder: Path) -> Any:
    """Start ansible-playbook, from the process that has it in memory unless this environment asks for another one."""
    if os.environ.get("COLD"):
        return ansible.start(call, env, folder)
    if not _WARM:
        _WARM.append(Warm(env))
    (warm,) = _WARM
    return warm.start(call, env, folder) if warm.fits(env) else ansible.start(call, env, folder)


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Where two ledgers differ, in words; nothing when they are equal."""
    found = []
    for key in before.keys() | after.keys():
        one, two = before.get(key), after.get(key)
        if key == "tree":
            names = {(v, n) for v in one for n in one[v]}, {(v, n) for v in two for n in two[v]}
            found += [f"gone: {v}{n}" for v, n in sorted(names[0] - names[1])]
            found += [f"new: {v}{n}" for v, n in sorted(names[1] - names[0])]
        elif one != two:
            found.append(f"{key}: {one} is now {two}")
    return found


class Fleet:
    """The laboratory's hosts, and Ansible to talk to them."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab = lab
        self.folder = folder
        self.inventory = folder / "inventory.yml"
        lab.write_inventory(self.inventory)
        self._numbers = itertools.count(1)

    def host(self, name: str) -> Any:
        return self.lab.hosts[name]

    def playbook(self, plays: list[dict[str, Any]]) -> Path:
        path = self.folder / f"play-{next(self._numbers)}.yml"
        path.write_text(yaml.safe_dump(plays, sort_keys=False), encoding="utf-8")
        return path

    def play(self, hosts: str, tasks: list[dict[str, Any]], *args: str, **options: Any) -> Any:
        """Run tasks as one play; gives demo.fleet.Run. `variables` become play vars."""
        variables = options.pop("variables", {})
        book = self.playbook([{"hosts": hosts, "gather_facts": False, "vars": variables, "tasks": tasks}])
        return ansible.run_playbook(
            [self.inventory], book, *args, results=self.folder / f"{book.stem}.results", start=start, **options
        )

    def task(self, host: str, module: str, args: dict[str, Any] | None = None, *flags: str, **options: Any) -> Any:
        """Run one module on one host; gives its result with `status` (ok, failed, unreachable) added."""
        task = {"name": module, f"umbra.vss.{module}": args or {}, **options.pop("keywords", {})}
        run = self.play(host, [task], "-vv", *flags, **options)
        answers = run.of(f"umbra.vss.{module}", host)
        assert answers, run.output
        return {**answers[-1]["result"], "status": answers[-1]["status"], "output": run.output}

    def ok(self, host: str, module: str, args: dict[str, Any] | None = None, *flags: str, **options: Any) -> Any:
        """The same, and it must succeed."""
        result = self.task(host, module, args, *flags, **options)
        assert result["status"] == "ok", result.get("msg", result)
        return result

    def cheapest(self, host: str, module: str, args: dict[str, Any], tries: int = 4) -> Any:
        """The result of the run with the fewest requests, of a module that changes nothing.

        A Receive brings what is there: on a busy machine an answer may come in two.
        """
        results = [self.ok(host, module, args)]
        while len(results) < tries and results[-1]["wire"]["requests"] > 6:
            results.append(self.ok(host, module, args))
        assert not any(result["changed"] for result in results)
        return min(results, key=lambda result: int(result["wire"]["requests"]))

    @staticmethod
    def needed(sessions: list[Any], pipelines: int) -> int:
        """The requests of some sessions, less the Receives that there were because an answer came in parts."""
        receives = sum(session.by_operation.get("Receive", 0) for session in sessions)
        return sum(session.operations for session in sessions) - max(0, receives - pipelines - 1)

    def fails(self, host: str, module: str, args: dict[str, Any] | None = None, *flags: str, **options: Any) -> str:
        """The same, and it must fail: gives the one sentence, which is never a traceback."""
        result = self.task(host, module, args, *flags, **options)
        assert result["status"] in ("failed", "unreachable"), result
        sentence = result["msg"]
        assert "Traceback" not in result["output"], result["output"]
        assert "\n" not in sentence.strip(), sentence
        return sentence

    def start(self, host: str, module: str, args: dict[str, Any]) -> subprocess.Popen[str]:
        """Start a controller in the background, in a process group of its own, so that it can be killed."""
        task = {"name": module, f"umbra.vss.{module}": args}
        book = self.playbook([{"hosts": host, "gather_facts": False, "tasks": [task]}])
        results = self.folder / f"{book.stem}.results"
        return subprocess.Popen(
            ansible.command([self.inventory], book),
            env=ansible.environment(results),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            text=True,
        )

    @staticmethod
    def kill(process: subprocess.Popen[str]) -> None:
        """Kill a controller and its workers as a power cut would; workers of newer Ansible lead groups of their own."""
        ansible.kill_tree(process.pid)
        process.wait(10)

    def ledger(self, host: str) -> dict[str, Any]:
        """What can be left behind on a host, less what stays on purpose."""
        ledger = ansible.leftovers(self.host(host).ledger())
        ledger["tree"] = {volume.display: self._names(host, volume.root) for volume in self.host(host).volumes}
        return ledger

    def shells(self, host: str) -> int:
        """How many remote shells are open on a host."""
        return self.lab.wire.shells(self.lab.addresses[host])

    def _names(self, host: str, root: Path) -> list[str]:
        """Every name on a volume but those of live applications' data and of what the rest of the ledger tells."""
        own = [app.folder for app in self.host(host).apps.values()]
        found = []
        for path in root.rglob("*"):
            name = str(path.relative_to(root))
            if not name.lower().startswith(ansible.STATE_TREES) and not any(path.is_relative_to(o) for o in own):
                found.append(name)
        return sorted(found)

    @contextlib.contextmanager
    def unchanged(self, *hosts: str, shells: bool = True) -> Iterator[None]:
        """What can be left behind on these hosts is the same after as before.

        shells: also remote shells. One whose controller cannot say goodbye stays until Windows ends it for idling.
        """
        before = {name: (self.ledger(name), self.shells(name)) for name in hosts}
        yield
        for name in hosts:
            assert not differences(before[name][0], self.ledger(name)), f"{name} is not as it was"
            assert not shells or self.shells(name) == before[name][1], f"a shell is open on {name}"

    def wire_sessions(self, host: str) -> list[Any]:
        """The laboratory's own counters of every TCP connection to a host."""
        return [s for s in self.lab.wire.sessions if s.host.lower() == host]

    def sets_created(self, host: str) -> int:
        """How many snapshot sets were ever committed on a host."""
        return len({e["set"] for e in self.vss_trace(host) if e.get("phase") == "commit"})

    def vss_trace(self, host: str) -> list[dict[str, Any]]:
        """What the coordinator of a host did, step by step."""
        return list(self.lab.trace.events("vss", self.host(host).name))

    def drop_connections(self, host: str) -> None:
        """Cut every TCP connection of a host, whatever is on it."""
        self.lab.wire.drop_connections(self.lab.addresses[host])

    def app(self, host: str) -> Any:
        """The live application of a host, whose `source` is its folder as Windows calls it."""
        app = next(iter(self.host(host).apps.values()))
        app.source = SOURCES[host]
        return app

    differences = staticmethod(differences)

    @property
    def winrm_hosts(self) -> set[str]:
        """The hosts that the inventory reaches over the winrm connection."""
        groups = self.lab.inventory()["all"]["children"]["windows"]["children"]
        return set(groups["windows_winrm"]["hosts"])

    def wait_for(self, what: Any, seconds: float = 20.0) -> Any:
        """Wait until what() is true; gives its value."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            value = what()
            if value:
                return value
            time.sleep(0.05)
        raise AssertionError(f"did not happen within {seconds} s")


@pytest.fixture(scope="session", autouse=True)
def _end_of_ansible() -> Iterator[None]:
    yield
    while _WARM:
        _WARM.pop().close()


@pytest.fixture(scope="session")
def work() -> Path:
    """A folder of this worker in this run; the laboratory's traces stay in it for the last tests to read."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", "")[:4]  # the path of a socket in it must not be long
    mine = WORK / f"{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}{run}"
    shutil.rmtree(mine, ignore_errors=True)
    (mine / "traces").mkdir(parents=True)
    return mine


@pytest.fixture(scope="session")
def fleet_type() -> type[Fleet]:
    """For tests that need hosts of their own."""
    return Fleet


@pytest.fixture(scope="session")
def jea() -> Any:
    """The module jea.py: the role jea_endpoint, and what was traced."""
    spec = importlib.util.spec_from_file_location("tests_jea", Path(__file__).with_name("jea.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def fleet_of() -> type[Fleet]:
    """What makes a Fleet of another laboratory than scenario `office` and a folder."""
    return Fleet


def slower(path: Path) -> Path:
    """Scenario `office` with applications that leave the processor to the tests; they still write all the time."""
    text = resources.files("vsslab").joinpath("scenarios/office.yml").read_text(encoding="utf-8")
    plan = yaml.safe_load(text)
    for app in (app for host in plan["hosts"] for app in host.get("apps", [])):
        if app["kind"] != "bank":  # that one is copied live, to be torn
            app["rate"] = RATE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(plan, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def fleet(work: Path) -> Iterator[Fleet]:
    """Scenario `office`, running for the whole session."""
    state = work / "office"
    plan = slower(state / "office.yml")
    lab = Lab.from_scenario(plan, state=state / "lab", trace=work / "traces" / "office.jsonl")
    lab.start()
    try:
        yield Fleet(lab, state)
    finally:
        lab.stop()


@pytest.fixture(autouse=True)
def _no_faults_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """A fault ordered by one test is gone before the next."""
    yield
    if "fleet" in request.fixturenames:
        lab = request.getfixturevalue("fleet").lab
        ordered = list(lab.faults.list())
        for fault in ordered:
            lab.faults.remove(fault)
        assert all(fault.fired for fault in ordered), "a fault that was ordered never happened"


def trace_lines(folder: Path) -> Iterator[dict[str, Any]]:
    """Every line that any laboratory of this run traced."""
    for path in sorted(folder.glob("*.jsonl")):
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                yield json.loads(line)
