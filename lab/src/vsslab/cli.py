# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `vsslab`: bring a laboratory up, look at it, disturb it, bring it down."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from vsslab import scenario
from vsslab.control import ControlError, ControlServer, ask
from vsslab.lab import Lab, LabError, is_running

_PATIENCE = 30.0  # seconds that `down` waits
_EPILOG = """\
files:
  STATE/inventory.yml   the inventory (unless --inventory says otherwise); holds passwords, readable for its owner only
  STATE/hosts/          the hosts' volumes: real files
  STATE/tls/ca.pem      the authority that signed the hosts' certificates
  STATE/control.sock    the control channel

exit status:
  0  done
  1  it could not be done; one sentence on the standard error says why
  2  the command line makes no sense

examples:
  vsslab up office --state /tmp/lab --inventory /tmp/inventory.yml
  ansible -i /tmp/inventory.yml windows -m umbra.vss.info
  vsslab fault --state /tmp/lab add '{on: {kind: phase, phase: freeze, writer: SqlServerWriter}, do: {delay: 70s}}'
  vsslab down --state /tmp/lab
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status."""
    options = _parser().parse_args(argv)
    try:
        status: int = options.run(options)
    except (ControlError, LabError, scenario.ScenarioError) as error:
        print(f"vsslab: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        return 1
    except OSError as error:
        print(f"vsslab: {error}.", file=sys.stderr)
        return 1
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="vsslab",
        description="A laboratory that answers on the wire as a fleet of Windows hosts with shadow copies.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    with_state = argparse.ArgumentParser(add_help=False)
    with_state.add_argument("--state", type=Path, required=True, metavar="DIR", help="the laboratory's state folder")
    up = commands.add_parser(
        "up",
        help="start a laboratory, in the foreground",
        description="Start a laboratory and run it in the foreground until SIGINT or SIGTERM. The first line of output "
        "is JSON: addresses, ports, inventory, ca, state, control, pid.",
    )
    up.add_argument(
        "scenario", metavar="SCENARIO", help=f"a YAML file, or one that comes along: {', '.join(scenario.names())}"
    )
    up.add_argument("--state", type=Path, metavar="DIR", help="where everything is kept (default: a new folder)")
    up.add_argument("--inventory", type=Path, metavar="FILE", help="where to write the Ansible inventory")
    up.add_argument("--trace", type=Path, metavar="FILE", help="write everything that happens as JSON lines")
    up.add_argument("--port", type=int, default=5985, help="HTTP port on every address (default %(default)s)")
    up.add_argument("--tls-port", type=int, default=5986, help="HTTPS port on every address (default %(default)s)")
    up.set_defaults(run=_up)
    _simple(commands, with_state, "down", "stop a laboratory and wait until it is gone", _down)
    ps = commands.add_parser(
        "ps", help="list the laboratories that run on this machine", description="One JSON line each."
    )
    ps.set_defaults(run=_ps)
    _fault_parser(commands, with_state)
    for name, text in _READS.items():
        _simple(commands, with_state, name, text, _read, what=name)
    inventory = _simple(commands, with_state, "inventory", "print the inventory", _inventory)
    inventory.add_argument("--user", help="connect as this account instead of an administrator")
    return parser


_READS = {
    "stats": "figures of the live applications: writes, pauses",
    "ledger": "everything that can be left behind on the hosts",
    "counters": "what each connection has carried: operations, authentication, bytes",
    "hosts": "names, addresses, profiles and languages",
}


def _simple(
    commands: Any, parent: argparse.ArgumentParser, name: str, text: str, run: Any, **defaults: Any
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text + ".", parents=[parent])
    parser.set_defaults(run=run, **defaults)
    return parser


def _fault_parser(commands: Any, with_state: argparse.ArgumentParser) -> None:
    fault = commands.add_parser(
        "fault",
        help="add, list or remove faults",
        description="Faults are data: on which occurrence of what, do what.",
        parents=[with_state],
    )
    actions = fault.add_subparsers(metavar="ACTION", required=True)
    add = actions.add_parser("add", help="add a fault")
    add.add_argument("definition", help="YAML or JSON: {on: {kind: ..., ...}, do: {...}}; @FILE reads a file")
    add.set_defaults(run=_fault_add)
    listing = actions.add_parser("list", help="list the faults with their counters, one JSON line each")
    listing.set_defaults(run=_fault_list)
    remove = actions.add_parser("remove", help="remove a fault")
    remove.add_argument("id", help="its id, as printed by add and list")
    remove.set_defaults(run=_fault_remove)


# --- the commands


def _up(options: argparse.Namespace) -> int:
    plan = scenario.load(options.scenario)
    state = (options.state or Path(tempfile.mkdtemp(prefix="vsslab-"))).absolute()
    ending = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ending.set())
    ports = (options.port, options.tls_port)
    with Lab(plan, state=state, trace=options.trace, ports=ports) as lab:
        path = (options.inventory or state / "inventory.yml").absolute()
        lab.write_inventory(path)
        control = ControlServer(state, lambda request: _serve(lab, ending, request))
        card = {
            "pid": os.getpid(),
            "scenario": plan.name,
            "state": str(state),
            "inventory": str(path),
            "ca": str(lab.ca),
            "ports": {"http": ports[0], "https": ports[1]},
            "addresses": lab.addresses,
            "control": control.address,
        }
        try:
            with _registered(card):
                print(json.dumps(card), flush=True)
                ending.wait()
        finally:
            control.close()
    return 0


def _serve(lab: Lab, ending: threading.Event, request: Mapping[str, Any]) -> Any:
    """One request of the control channel."""
    actions: dict[str, Any] = {
        "stop": ending.set,
        "stats": lab.stats,
        "ledger": lab.ledger,
        "counters": lab.counters,
        "hosts": lambda: {
            each.name: {"address": lab.addresses[each.name], "profile": each.profile, "language": each.language}
            for each in lab.scenario.hosts
        },
        "inventory": lambda: lab.inventory(request.get("user")),
        "fault add": lambda: lab.faults.add(request["definition"]).as_dict(),
        "fault list": lambda: [each.as_dict() for each in lab.faults.list()],
        "fault remove": lambda: lab.faults.remove(str(request["id"])),
    }
    action = actions.get(str(request.get("do")))
    if action is None:
        raise ValueError(f"There is no request {request.get('do')!r}.")
    return action()


def _down(options: argparse.Namespace) -> int:
    ask(options.state, {"do": "stop"})
    end = time.monotonic() + _PATIENCE
    while is_running(options.state):
        if time.monotonic() > end:
            raise ControlError("The laboratory was told to stop, but still runs.")
        time.sleep(0.05)
    return 0


def _read(options: argparse.Namespace) -> int:
    print(json.dumps(ask(options.state, {"do": options.what}), indent=2, ensure_ascii=False))
    return 0


def _inventory(options: argparse.Namespace) -> int:
    found = ask(options.state, {"do": "inventory", "user": options.user})
    print(yaml.safe_dump(found, sort_keys=False, allow_unicode=True), end="")
    return 0


def _fault_add(options: argparse.Namespace) -> int:
    text = options.definition
    if text.startswith("@"):
        text = Path(text[1:]).read_text(encoding="utf-8")
    try:
        definition = yaml.safe_load(text)
    except yaml.YAMLError:
        raise ControlError("The definition is neither YAML nor JSON.") from None
    if not isinstance(definition, dict):
        raise ControlError("A fault is a mapping with the keys on and do.")
    definition = {"on" if key is True else key: value for key, value in definition.items()}  # YAML 1.1's on
    print(json.dumps(ask(options.state, {"do": "fault add", "definition": definition})))
    return 0


def _fault_list(options: argparse.Namespace) -> int:
    for each in ask(options.state, {"do": "fault list"}):
        print(json.dumps(each))
    return 0


def _fault_remove(options: argparse.Namespace) -> int:
    ask(options.state, {"do": "fault remove", "id": options.id})
    return 0


# --- which laboratories run: a card for each process, in the user's own temporary folder


def _cards() -> Path:
    return Path(tempfile.gettempdir()) / f"vsslab-{os.getuid()}"


@contextlib.contextmanager
def _registered(card: Mapping[str, Any]) -> Iterator[None]:
    path = _cards() / f"{card['pid']}.json"
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_text(json.dumps(card), encoding="utf-8")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _ps(_options: argparse.Namespace) -> int:
    for path in sorted(_cards().glob("*.json")):
        try:
            card = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if is_running(Path(card["state"])) and Path(f"/proc/{card['pid']}").exists():
            print(json.dumps({key: card[key] for key in ("pid", "scenario", "state", "inventory", "addresses")}))
        else:
            path.unlink(missing_ok=True)  # its process was killed
    return 0


if __name__ == "__main__":
    sys.exit(main())
