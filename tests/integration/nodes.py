# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Execution nodes for ansible-runner, as AWX has them: everything reaches them through their standard input.

Where this machine allows it a node is what a container is: another root, another user, processes and a name of its own,
and the laboratory's network, which is neither the controller's nor leads anywhere. Nothing of it has a name on this
machine: it is gone with the processes that are in it, however these end.
"""

from __future__ import annotations

import ctypes
import fcntl
import itertools
import os
import shutil
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
RUNNER = [sys.executable, "-m", "ansible_runner"]
USER = 65534  # nobody's
_CLONE_NEWNET = 0x40000000
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1
_numbers = itertools.count(1)


def obstacle() -> str:
    """Why this machine allows no nodes of their own; empty when it does."""
    if os.getuid() != 0:
        return "another user and a network of its own for the node need root"
    missing = [name for name in ("setpriv", "unshare", "nsenter", "chroot", "mount") if not shutil.which(name)]
    if missing:
        return f"no {', '.join(missing)} here"
    trial = subprocess.run(
        ["unshare", "--mount", "--pid", "--uts", "--net", "--fork", "mount", "-t", "tmpfs", "node", "/mnt"],
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if trial.returncode == 0 else f"namespaces are not allowed here: {trial.stderr.strip()}"


class Network:
    """A network namespace that only a thread is in: what that thread listens on is reached from inside alone."""

    def __init__(self) -> None:
        self._inside = ThreadPoolExecutor(1, initializer=_leave)
        self.path = f"/proc/{os.getpid()}/task/{self.run(threading.get_native_id)}/ns/net"

    def run(self, what: Any, *args: Any) -> Any:
        """Call something inside."""
        return self._inside.submit(what, *args).result()

    def close(self) -> None:
        """Leave it, which ends it."""
        self._inside.shutdown()


def _leave() -> None:
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "no network namespace of its own")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        (flags,) = struct.unpack_from("h", fcntl.ioctl(any_socket, _SIOCGIFFLAGS, struct.pack("16sh14x", b"lo", 0)), 16)
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | _IFF_UP))


class Node:
    """A machine that runs what is sent to it. network: where it is; None: this machine as it is, in another folder."""

    def __init__(self, folder: Path, network: Network | None) -> None:
        self.name = f"node-{next(_numbers)}"
        self.folder = folder / self.name
        self.folder.mkdir(parents=True)
        self.network = network
        self.home = Path("/runner") if network else self.folder

    def command(self, *call: str) -> list[str]:
        """What runs a command on this node."""
        path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
        there = ["env", "-i", f"PATH={path}", f"HOME={self.home}", "LANG=C.UTF-8", *call]
        if self.network is None:
            return there
        pythons = ":".join(dict.fromkeys([sys.base_prefix, str(Path(sys.executable).resolve().parents[1]), sys.prefix]))
        apart = ["unshare", "--mount", "--pid", "--uts", "--fork", "--kill-child"]
        script = ["sh", str(Path(__file__).with_name("node.sh")), str(self.folder), self.name, str(USER), pythons]
        # it ends with whoever has started it, even if that was killed
        return ["setpriv", "--pdeathsig", "KILL", "nsenter", f"--net={self.network.path}", *apart, *script, *there]

    def start(self, order: Path, answer: Path) -> subprocess.Popen[bytes]:
        """ansible-runner worker, which reads an order and writes its answer."""
        call = self.command(*RUNNER, "worker", "--private-data-dir", str(self.home))
        with order.open("rb") as reading, answer.open("wb") as writing:
            return subprocess.Popen(
                call, stdin=reading, stdout=writing, stderr=subprocess.PIPE, cwd="/", start_new_session=True
            )


def kill(node: subprocess.Popen[bytes], kill_tree: Callable[[int], None]) -> None:
    """The node is off from one moment to the next."""
    if node.poll() is None:
        kill_tree(node.pid)
    node.communicate(timeout=10)


class Job:
    """A private data folder of a controller for these hosts (name -> variables), and what came back from the node."""

    def __init__(self, folder: Path, hosts: dict[str, Any], collections: Path, ca: Path) -> None:
        self.folder, self.hosts = folder, sorted(hosts)
        self.order, self.answer = folder / "order", folder / "answer"
        project, inventory = folder / "data" / "project", folder / "data" / "inventory"
        inventory.mkdir(parents=True)
        plan = {"all": {"children": {"windows": {"hosts": hosts}}}}
        (inventory / "hosts.yml").write_text(yaml.safe_dump(plan), encoding="utf-8")
        shutil.copytree(collections, project / "collections")
        shutil.copy(ca, project / "ca.pem")
        book = [{"name": "Back up", "ansible.builtin.import_playbook": "umbra.vss.backup"}]
        (project / "job.yml").write_text(yaml.safe_dump(book), encoding="utf-8")

    @property
    def artifacts(self) -> Path:
        """What ansible-runner keeps of the run."""
        return self.folder / "data" / "artifacts" / "job"

    def transmit(self) -> Path:
        """Put everything that the node needs into one file."""
        with self.order.open("wb") as order:
            call = ["transmit", str(self.folder / "data"), "--playbook", "job.yml", "--ident", "job"]
            subprocess.run([*RUNNER, *call], stdout=order, check=True, timeout=60)
        return self.order

    def process(self) -> tuple[str, str]:
        """Read what the node answered into the artifacts; gives the status, "" when none was told, and the output."""
        call = [*RUNNER, "process", str(self.folder / "data"), "--ident", "job"]
        with self.answer.open("rb") as answer:
            done = subprocess.run(call, stdin=answer, capture_output=True, text=True, check=False, timeout=60)
        status = self.artifacts / "status"
        return status.read_text(encoding="utf-8") if status.exists() else "", done.stdout + done.stderr


def sliced(hosts: dict[str, Any], number: int, of: int) -> dict[str, Any]:
    """The part of an inventory's hosts that AWX gives to this slice, counted from 1."""
    return {name: hosts[name] for name in sorted(hosts)[number - 1 :: of]}
