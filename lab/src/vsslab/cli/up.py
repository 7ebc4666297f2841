# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`vsslab up`: a laboratory in the foreground, and what its control channel answers."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from vsslab import scenario, state
from vsslab.addresses import free_ports
from vsslab.cli import cards, client
from vsslab.control import ControlServer
from vsslab.lab import Lab, LabError
from vsslab.page import Page
from vsslab.specs import Scenario

_PAGE = 2000  # entries of the trace in one answer


def run(options: argparse.Namespace) -> int:
    """Start, print the card, wait for the end."""
    saved = state.saved(options.state) if options.state is not None else None
    plan = _plan(options, saved)
    ending = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ending.set())
    folder = (options.state or Path(tempfile.mkdtemp(prefix="vsslab-"))).absolute()
    try:
        ports = _ports(options)
        with Lab(plan, state=folder, trace=options.trace, ports=ports, saved=saved, **_engine(options)) as lab:
            _order_faults(lab, options)
            _serve(lab, options, ending)
    finally:
        if options.state is None and not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


def _plan(options: argparse.Namespace, saved: state.Saved | None) -> Scenario:
    if sum([options.scenario is not None, options.hosts is not None, saved is not None]) > 1:
        what = "the state folder holds one" if saved is not None else "--hosts makes one"
        raise LabError(f"Give either a scenario or --hosts, or neither where {what}.")
    if options.scenario is not None:
        plan = scenario.load(options.scenario)
    elif saved is not None:
        plan = saved.scenario
    elif options.hosts is not None:
        plan = scenario.uniform(options.hosts, profile=options.profile or "server2022")
    else:
        raise LabError(f"Say which scenario: a YAML file, {', '.join(scenario.names())}, or --hosts N.")
    if options.profile is not None and options.hosts is None:
        raise LabError("--profile goes with --hosts; a scenario says the profiles of its hosts itself.")
    if options.time is not None:
        try:
            plan = dataclasses.replace(plan, time=scenario.time_of(options.time))
        except ValueError as error:
            raise LabError(f"--time: {error}") from None
    return plan


def _ports(options: argparse.Namespace) -> tuple[int, int]:
    http, https = options.port, options.tls_port
    if https is None:
        https = 0 if http == 0 else 5986
    free = free_ports(2)
    return http or free[0], https or free[1]


def _engine(options: argparse.Namespace) -> dict[str, Any]:
    return {} if options.engine is None else {"engine": options.engine}


def _order_faults(lab: Lab, options: argparse.Namespace) -> None:
    for file in options.fault:
        for each in client.definitions(file.read_text(encoding="utf-8")):
            try:
                lab.faults.add(each)
            except ValueError as error:
                raise LabError(f"{file}: {error}") from None


def _serve(lab: Lab, options: argparse.Namespace, ending: threading.Event) -> None:
    path = (options.inventory or lab.state / "inventory.yml").absolute()
    lab.write_inventory(path)
    with contextlib.ExitStack() as close:
        try:
            page = Page(lab, port=options.page_port).start()
        except OSError as error:
            raise LabError(f"The live page cannot have port {options.page_port} ({error.strerror}).") from None
        close.callback(page.close)
        control = ControlServer(lab.state, lambda request: answer(lab, ending, request))
        close.callback(control.close)
        card = {
            "pid": os.getpid(),
            "scenario": lab.scenario.name,
            "state": str(lab.state),
            "temporary": options.state is None and not options.keep,
            "inventory": str(path),
            "ca": str(lab.ca),
            "ports": {"http": lab.ports[0], "https": lab.ports[1]},
            "addresses": lab.addresses,
            "time": lab.time.state(),
            "page": page.address,
            "engine": None if options.engine is None else str(options.engine),
            "control": control.address,
        }
        close.enter_context(cards.registered(card))
        print(json.dumps(card), flush=True)
        ending.wait()


def answer(lab: Lab, ending: threading.Event, request: Mapping[str, Any]) -> Any:
    """One request of the control channel."""
    actions: dict[str, Callable[[], Any]] = {
        "stop": ending.set,
        "stats": lab.stats,
        "ledger": lab.ledger,
        "counters": lab.counters,
        "refusals": lambda: refusals(lab),
        "hosts": lambda: {
            each.name: {"address": lab.addresses[each.name], "profile": each.profile, "language": each.language}
            for each in lab.scenario.hosts
        },
        "inventory": lambda: lab.inventory(request.get("user")),
        "fault add": lambda: lab.faults.add(request["definition"]).as_dict(),
        "fault list": lambda: [each.as_dict() for each in lab.faults.list()],
        "fault remove": lambda: lab.faults.remove(str(request["id"])),
        "fault clear": lab.faults.clear,
        "fault release": lambda: lab.faults.get(str(request["id"])).release(),
        "time": lambda: {**lab.time.state(), "waiting": [list(each) for each in lab.time.deadlines()]},
        "time advance": lambda: {"running": lab.time.advance(float(request["seconds"])), **lab.time.state()},
        "state dump": lambda: state.dump(lab, Path(request["file"])),
        "trace": lambda: _traced(lab, int(request.get("after", 0))),
    }
    action = actions.get(str(request.get("do")))
    if action is None:
        raise ValueError(f"There is no request {request.get('do')!r}.")
    return action()


def refusals(lab: Lab) -> dict[str, dict[str, int]]:
    """What was asked for and is not simulated, by host, the most frequent first."""
    return {host.name: dict(host.refusals.most_common()) for host in lab.hosts.built() if host.refusals}


def _traced(lab: Lab, after: int) -> dict[str, Any]:
    """The entries of the trace after a number, as many as one answer takes."""
    found = [each for each in lab.trace if each["n"] > after]
    part = found[:_PAGE]
    return {"entries": part, "last": part[-1]["n"] if part else after, "more": len(found) > len(part)}
