# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ansible-playbook, hundreds of times, with everything that it imports imported once.

Run as a program this is a process that has Ansible and the collection in memory and forks for each order that comes
through its socket; the child is ansible-playbook from there on, with the arguments, environment and output ordered.
`Warm` is the other end. What is left out is half of what a short run costs; nothing of what it does.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

_MOST = 1 << 20  # bytes of an order


# ---- who orders
class Warm:
    """The process in memory. environment: what Ansible reads when it is imported."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.fixed = {key: value for key, value in environment.items() if key.startswith("ANSIBLE_")}
        self._orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env=dict(environment),
                stdin=subprocess.DEVNULL,
            )
        assert self._orders.recv(16) == b"ready", "ansible-playbook could not be imported"

    def fits(self, environment: Mapping[str, str]) -> bool:
        """Whether this environment asks for nothing that was read already."""
        return {key: value for key, value in environment.items() if key.startswith("ANSIBLE_")} == self.fixed

    def start(self, arguments: Sequence[str], environment: Mapping[str, str], folder: Path) -> Started:
        """One ansible-playbook."""
        ours, theirs = socket.socketpair()
        reading, writing = os.pipe()
        order = json.dumps({"arguments": list(arguments), "environment": dict(environment), "folder": str(folder)})
        with theirs:
            socket.send_fds(self._orders, [order.encode()], [theirs.fileno(), writing])
        os.close(writing)
        return Started(ours, os.fdopen(reading, "r", encoding="utf-8"))

    def close(self) -> None:
        """End it."""
        self._orders.close()
        self._process.wait(10)


class Started:
    """As much of subprocess.Popen as running a playbook needs."""

    def __init__(self, line: socket.socket, stdout: TextIO) -> None:
        self._line, self.stdout = line.makefile("r"), stdout
        line.close()
        self.pid = int(self._line.readline())

    def wait(self) -> int:
        """Its exit code, when it has ended; negative when a signal has ended it."""
        return int(self._line.readline())

    def __enter__(self) -> Started:
        return self

    def __exit__(self, *_: object) -> None:
        self._line.close()
        self.stdout.close()


# ---- who does it
def _import_everything() -> None:
    import ansible.cli.playbook
    import pypsrp.powershell
    import pypsrp.wsman
    import winrm  # noqa: F401
    from ansible.plugins.loader import action_loader, init_plugin_loader
    from ansible.utils.collection_loader import _collection_finder as finding

    assert ansible.cli.playbook
    assert pypsrp.powershell
    assert pypsrp.wsman
    init_plugin_loader()
    for path in (Path(__file__).resolve().parents[2] / "plugins" / "action").glob("[a-z]*.py"):
        action_loader.get(f"umbra.vss.{path.stem}", class_only=True)
    # ansible-playbook does this itself, and says so when it was done before; what is imported stays.
    finding._AnsibleCollectionFinder._remove()
    finding.AnsibleCollectionConfig._collection_finder = None


def _be_ansible_playbook(order: Mapping[str, Any], output: int) -> None:
    """Never returns."""
    from ansible.cli.playbook import main

    for descriptor in (1, 2):
        os.dup2(output, descriptor)
    os.close(output)
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["environment"])
    sys.argv = order["arguments"]
    code: Any = 1
    try:
        main(sys.argv)
        code = 0
    except SystemExit as end:
        code = end.code
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code if isinstance(code, int) else int(bool(code)))


def _watch(order: Mapping[str, Any], line: int, output: int) -> None:
    """Start it, tell its PID, and at the end its exit code. Never returns."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pid = os.fork()
    if pid == 0:
        os.close(line)
        _be_ansible_playbook(order, output)
    os.close(output)
    os.write(line, f"{pid}\n".encode())
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with contextlib.suppress(OSError):
        os.write(line, f"{code}\n".encode())
    os._exit(0)


def main() -> None:
    """Fork for each order, until there is nobody any more who could order."""
    orders = socket.socket(fileno=int(sys.argv[1]))
    _import_everything()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    orders.sendall(b"ready")
    while True:
        message, descriptors, _flags, _address = socket.recv_fds(orders, _MOST, 2)
        if not message:
            return
        line, output = descriptors
        if os.fork() == 0:
            orders.close()
            _watch(json.loads(message), line, output)
        os.close(line)
        os.close(output)


if __name__ == "__main__":
    main()
