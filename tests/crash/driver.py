# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controllers that can be killed: one process has Ansible and the collection loaded, and forks a child per action.

Each message on its socket orders one action, as JSON: `module`, `args`, `host`, `address`, `port`, `user`, `password`
and `check`. With it comes a socket, over which the child tells what it does, a JSON object a line: its `pid`, then each
`pipeline` that it is about to send, and waits for a line before it does; at the end its `result`. Whoever kills the
child kills a controller: nobody else has its session, nobody says goodbye.

Everything is as in ansible-playbook, the connection plugin, the argument spec and the wire, but for one thing: it is
impatient. Waiting takes a twentieth of its time.
"""

from __future__ import annotations

import functools
import gc
import json
import os
import signal
import socket
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

_PATIENCE = 0.05
_SLEEP = time.sleep
time.sleep = lambda seconds: _SLEEP(seconds * _PATIENCE)  # before anybody takes it as a default

from ansible.errors import AnsibleConnectionFailure  # noqa: E402
from ansible.playbook.play_context import PlayContext  # noqa: E402
from ansible.playbook.task import Task  # noqa: E402
from ansible.plugins.loader import connection_loader, init_plugin_loader  # noqa: E402

init_plugin_loader()

import pypsrp.powershell  # noqa: E402, F401 - loaded here once, not in every child
from ansible_collections.umbra.vss.plugins.plugin_utils import _action, _spec  # noqa: E402
from ansible_collections.umbra.vss.plugins.plugin_utils._pipeline import OPENING, Reply, Result, Statement  # noqa: E402

MODULES = sys.argv[1].split(",")


def _actions() -> dict[str, Any]:
    from importlib import import_module

    _spec.read = functools.cache(_spec.read)
    found = {}
    for name in MODULES:
        _spec.read(name)
        found[name] = import_module(f"ansible_collections.umbra.vss.plugins.action.{name}").ActionModule
    return found


class Line:
    """The child's end of the socket: tells one thing, and waits to be told to go on."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._reading = end.makefile("r", encoding="utf-8")

    def tell(self, **what: Any) -> None:
        self._end.sendall(json.dumps(what, default=str).encode() + b"\n")

    def ask(self, **what: Any) -> None:
        self.tell(**what)
        if not self._reading.readline():
            os._exit(3)  # nobody is left who could answer


def described(statements: Sequence[Statement], changes: bool) -> list[dict[str, Any]]:
    """The statements of a pipeline: key, first command, and the how manieth of that name it is (`nth`)."""
    seen = Counter([OPENING.name.lower()])
    told = []
    for statement in statements:
        sent = statement.sent()
        first = sent[0]
        seen.update(command.name.lower() for command in sent)
        told.append(
            {
                "key": statement.key,
                "changes": changes,
                "command": first.name,
                "nth": seen[first.name.lower()],
                "last": sent[-1].name,
                "last_nth": seen[sent[-1].name.lower()],
                "program": first.program,
                "arguments": [str(each) for each in first.arguments],
                "parameters": {name: str(value) for name, value in first.parameters.items()},
            }
        )
        if statement.exit_code:
            seen["get-variable"] += 1
        seen["write-output"] += 1
    return told


class Telling:
    """The carrier, telling of each pipeline before it is sent."""

    def __init__(self, inner: Any, line: Line) -> None:
        self._inner, self._line = inner, line

    def run(self, statements: Sequence[Statement], repeatable: bool) -> Reply:
        self._line.ask(pipeline=described(statements, not repeatable))
        reply: Reply = self._inner.run(statements, repeatable)
        return reply

    def stream(self, statements: Sequence[Statement]) -> Iterator[Result]:
        self._line.ask(pipeline=described(statements, False))
        yield from self._inner.stream(statements)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def connected(play: PlayContext, order: dict[str, Any]) -> Any:
    """The connection plugin, with the variables that an inventory would give it."""
    connection = connection_loader.get("ansible.builtin.psrp", play, os.devnull)
    connection.set_options(
        var_options={
            "ansible_host": order["address"],
            "ansible_user": order["user"],
            "ansible_password": order["password"],
            "ansible_psrp_port": order["port"],
            "ansible_psrp_protocol": "http",
            "ansible_psrp_auth": "ntlm",
            "_extras": {},  # where Ansible 2.18 and older put variables that no option of the connection has
        }
    )
    return connection


def act(action_class: Any, order: dict[str, Any], line: Line) -> dict[str, Any]:
    """One action, as Ansible's task executor runs it."""
    task = Task()
    task.action, task.args, task.check_mode = f"umbra.vss.{order['module']}", order["args"], bool(order.get("check"))
    play = PlayContext()
    play.remote_addr = order["address"]
    connection = connected(play, order)
    _action.open_runner = lambda *told, inner=_action.open_runner: Telling(inner(*told), line)
    action = action_class(task, connection, play, None, None, None)
    action.say = lambda text: line.tell(said=text)
    try:
        result: dict[str, Any] = action.run(task_vars={"inventory_hostname": order["host"]})
    except AnsibleConnectionFailure as error:
        result = {"unreachable": True, "msg": str(error)}
    finally:
        connection.close()
    return result


def child(action_class: Any, order: dict[str, Any], end: socket.socket) -> None:
    """Never returns."""
    line = Line(end)
    line.tell(pid=os.getpid())
    try:
        line.tell(result=act(action_class, order, line))
    except BaseException as error:  # noqa: BLE001 - told, whatever it is
        import traceback

        line.tell(result={"failed": True, "msg": f"{type(error).__name__}: {error}", "trace": traceback.format_exc()})
    finally:
        os._exit(0)


def main() -> None:
    """Fork a child for each order until the socket that orders come from is closed."""
    warnings.simplefilter("ignore")
    orders = socket.socket(fileno=int(sys.argv[2]))
    signal.signal(signal.SIGCHLD, lambda *_: _reap())
    actions = _actions()
    connected(PlayContext(), {"address": "", "user": "", "password": "", "port": 5985})  # reads its documentation, once
    gc.freeze()
    orders.sendall(b"ready\n")
    while True:
        message, ends, _flags, _address = socket.recv_fds(orders, 1 << 20, 1)
        if not message:
            return
        end = socket.socket(fileno=ends[0])
        order = json.loads(message)
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            orders.close()
            child(actions[order["module"]], order, end)
        end.close()


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return


if __name__ == "__main__":
    main()
