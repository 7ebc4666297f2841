# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""On the engine that large users have: ansible-runner's transmit, worker and process, slices, and nodes that die.

The laboratory is in the nodes' network, where the machine allows that: the controller cannot reach it.
"""

from __future__ import annotations

import itertools
import json
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from vsslab.lab import Lab

sys.path.insert(0, str(Path(__file__).parent))
import nodes

pytestmark = pytest.mark.slow

ROOT = nodes.ROOT
OBSTACLE = nodes.obstacle()
MERGE = ROOT / "docs" / "examples" / "merge_slices.py"
# what a node sees: run there with an address of the laboratory and a file of this repository
LOOK = """
import json, os, socket, sys
def reach(address):
    with socket.socket() as one:
        one.settimeout(5)
        return one.connect_ex((address, 5985)) == 0
print(json.dumps({
    "user": os.getuid(), "groups": os.getgroups(), "name": socket.gethostname(), "networks": socket.if_nameindex(),
    "processes": sum(name.isdigit() for name in os.listdir("/proc")), "home": os.listdir("/runner"),
    "reaches": reach(sys.argv[1]), "there": os.path.exists(sys.argv[2]),
}))
"""


@pytest.fixture(scope="module")
def network():
    """The nodes' network; None where there can be none."""
    if OBSTACLE:
        yield None
        return
    own = nodes.Network()
    yield own
    own.close()


@pytest.fixture(scope="module")
def fleet(work, network, fleet_of):
    """Five hosts in the nodes' network."""
    run = network.run if network else lambda what: what()
    plan = Path(__file__).with_name("scale.yml")
    lab = Lab.from_scenario(plan, state=work / "scale" / "lab", trace=work / "traces" / "scale.jsonl")
    run(lab.start)
    yield fleet_of(lab, work / "scale")
    run(lab.stop)


@pytest.fixture(scope="module")
def hosts(fleet):
    """Host -> its variables, with nothing in them that only this machine has."""
    found = {}
    for group in fleet.lab.inventory()["all"]["children"]["windows"]["children"].values():
        for name, own in group["hosts"].items():
            its = {
                key: "{{ inventory_dir }}/../project/ca.pem" if "_ca_" in key else value for key, value in own.items()
            }
            what = {"backup_sources": ["D:\\Data"], "backup_destination": "E:\\Backup"}
            found[name] = {**group["vars"], **its, **what, "backup_allow_crash": name == "app5"}
    return found


@pytest.fixture(scope="module")
def collections(tmp_path_factory):
    """A folder with the collection as Galaxy's tools install it."""
    folder = tmp_path_factory.mktemp("galaxy")

    def galaxy(*call):
        tool = Path(sys.executable).parent / "ansible-galaxy"
        subprocess.run([str(tool), "collection", *map(str, call)], check=True, capture_output=True, timeout=60)

    galaxy("build", ROOT, "--output-path", folder)
    (artefact,) = folder.glob("umbra-vss-*.tar.gz")
    galaxy("install", "--offline", "--no-deps", "--force", artefact, "-p", folder / "in")
    return folder / "in"


@pytest.fixture
def slices(fleet, hosts, collections, tmp_path):
    """What makes the jobs of so many slices, or of some of them."""
    numbers = itertools.count(1)

    def make(of, *wanted):
        parts = {number: nodes.sliced(hosts, number, of) for number in wanted or range(1, of + 1)}
        folders = (tmp_path / f"job-{next(numbers)}" for _ in parts)
        return [
            nodes.Job(folder, part, collections, fleet.lab.ca)
            for folder, part in zip(folders, parts.values(), strict=True)
        ]

    return make


@pytest.fixture
def start(network, tmp_path_factory):
    """What starts a job on an execution node of its own; those that are left are killed at the end."""
    started = []

    def begin(job):
        node = nodes.Node(tmp_path_factory.mktemp("node"), network)
        started.append(node.start(job.order, job.answer))
        return started[-1]

    yield begin
    for each in started:
        nodes.kill(each, sys.modules["demo_fleet"].kill_tree)


def run(jobs, start):
    """Send each job to a node of its own, all at once, and read what they answer; gives their statuses."""
    for job in jobs:
        job.transmit()
    return [ended(job, node) for job, node in [(job, start(job)) for job in jobs]]


def ended(job, node):
    """The status of a job whose node has come to its end."""
    complaints = node.communicate(timeout=100)[1].decode()
    status, output = job.process()
    assert status in ("successful", "failed"), f"{output}\n{complaints}"
    return status


def report(jobs, *flags):
    """The merged report, less how long everything took: its exit status and what it says."""
    call = [sys.executable, str(MERGE), *flags, *(str(each.artifacts) for each in jobs)]
    done = subprocess.run(call, capture_output=True, text=True, check=False, timeout=30)
    assert not done.stderr
    return done.returncode, re.sub(r"[\d.]+ s\b", "some s", done.stdout)


def results(job):
    """Host -> what its backup answered."""
    return {row["host"]: row["result"] for row in json.loads(report([job], "--json")[1])}


def forget(fleet):
    """Remove the backups."""
    for name in fleet.lab.hosts:
        shutil.rmtree(fleet.host(name).files.locate(r"E:\Backup").real)


@pytest.mark.skipif(bool(OBSTACLE), reason=OBSTACLE)
def test_a_node_has_nothing_but_what_it_is_sent(fleet, network, tmp_path):
    """The control experiment for all others: what they run on is another place."""
    address, node = fleet.lab.addresses["app1"], nodes.Node(tmp_path, network)
    call = node.command(sys.executable, "-c", LOOK, address, str(ROOT / "galaxy.yml"))
    told = json.loads(subprocess.run(call, check=True, capture_output=True, cwd="/", timeout=30).stdout)
    assert told == {
        "user": nodes.USER,
        "groups": [],
        "name": node.name,
        "networks": [[1, "lo"]],
        "processes": 2,  # that one, and what started it
        "home": [],
        "reaches": True,
        "there": False,
    }
    assert not any(node.folder.iterdir()), "nothing of it is left on this machine"
    with socket.socket() as here:
        assert here.connect_ex((address, 5985)) != 0, "the controller is in another network"


def test_slices_come_to_what_one_job_comes_to(fleet, slices, start):
    """Sent to a node, worked there, read here; in one piece, and in two pieces on two nodes at once."""
    with fleet.unchanged(*fleet.lab.hosts):
        whole, parts = slices(1), slices(2)
        assert run(whole, start) == ["successful"]
        forget(fleet)
        assert run(parts, start) == ["successful", "successful"]
        forget(fleet)
    assert [part.hosts for part in parts] == [["app1", "app3", "app5"], ["app2", "app4"]]
    assert report(parts) == report(parts[::-1]) == report(whole)
    code, text = report(whole)
    assert code == 0, text
    for name in fleet.lab.hosts:
        assert f"| {name} | umbra.vss.backup | Back up | ok | yes | {name}: " in text
    for part in parts:
        assert all(result["verified"]["mismatches"] == [] for result in results(part).values())


def test_a_node_that_dies_leaves_its_work_to_the_lease_and_the_next_slice(fleet, slices, start):
    """One of two nodes is off while its hosts copy. The other one does not notice; nothing stays for good."""
    with fleet.unchanged(*fleet.lab.hosts, shells=False):
        lost, well = slices(2)
        die_while_copying(fleet, lost, well, start)
        code, text = report([lost, well])
        assert code == 1
        assert [line.split(" | ")[3] for line in text.splitlines()[2:7]] == [
            "no answer", "ok", "no answer", "ok", "no answer",
        ]  # fmt: skip
        if not OBSTACLE:
            (soon,) = slices(2, 1)
            assert run([soon], start) == ["failed"], "a run that may be alive is left alone, whose process nobody sees"
            assert report([soon])[1].count("is in use by run ") == 3
            for name in lost.hosts:
                its_lease_is_over(fleet.host(name))
        (again,) = slices(2, 1)
        assert run([again], start) == ["successful"]
        assert all(result["recovered"] for result in results(again).values()), "what was found is told"
        assert report([lost, well, again]) == report([again, well])
        assert report([again, well, lost])[0] == 0, "the last run of a host counts"
        forget(fleet)


def die_while_copying(fleet, lost, well, start):
    """Start both, and kill the node of the first while all its hosts copy."""
    there = [fleet.host(name) for name in lost.hosts]
    for job in (lost, well):
        job.transmit()
    for host in there:
        host.copy_rate = 2_000
    doomed, living = start(lost), start(well)
    fleet.wait_for(
        lambda: (
            doomed.poll() is not None or all(any(t.state == "Running" for t in host.tasks.list()) for host in there)
        ),
        60,
    )
    assert doomed.poll() is None
    nodes.kill(doomed, sys.modules["demo_fleet"].kill_tree)
    for host in there:
        host.copy_rate = None
    assert [fleet.shells(name) for name in lost.hosts] == [1, 1, 1], "which stay until Windows ends them for idling"
    assert lost.process()[0] == "", "nobody told the controller how it ended"
    assert ended(well, living) == "successful"


def its_lease_is_over(host):
    """The time of the lease of the one run of ours that there is has come."""
    (lease,) = (task for task in host.tasks.list() if task.name.endswith("-lease"))
    host.tasks.start(lease.path, lease.name)
    assert lease.idle.wait(30)
