# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The laboratory: a scenario's hosts, alive and on the wire, until it is stopped."""

from __future__ import annotations

import contextlib
import fcntl
import json
import shutil
import ssl
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, TextIO

from vsslab import certificates, fleet, scenario
from vsslab import inventory as ansible
from vsslab.addresses import Block, probe
from vsslab.apps import books
from vsslab.apps.driver import App, AppError
from vsslab.faults import Faults
from vsslab.hosts import ByAddress, Hosts
from vsslab.labtime import LabTime
from vsslab.refusal import Refusal
from vsslab.running import MARK, is_running
from vsslab.specs import HostSpec, Scenario
from vsslab.state import Saved
from vsslab.trace import Trace
from vsslab.windows.host import Host
from vsslab.wire.server import WireServer, WireThread
from vsslab.wire.settings import Settings

__all__ = ["Lab", "LabError", "is_running"]

_PARTS = ("hosts", "tls", "engine")


class LabError(Refusal):
    """The laboratory cannot be started; one sentence."""


class Lab:
    """A fleet of hosts, started and stopped as one.

    Everything it writes lies below `state`; starting begins afresh, whatever an earlier laboratory left there.  After
    `stop` no process, no thread and no socket of it is left.  `hosts` is keyed by the names of the scenario.
    """

    def __init__(
        self,
        fleet_plan: Scenario,
        *,
        state: Path,
        trace: Path | None = None,
        ports: tuple[int, int] = (5985, 5986),
        settings: Settings | None = None,
        saved: Saved | None = None,
        engine: Path | None = None,
        engine_language: Literal["none", "full"] = "none",
    ) -> None:
        self.scenario, self.state, self.ports = fleet_plan, state.absolute(), ports
        self.settings = settings or Settings()
        self.faults = Faults()
        self.time = LabTime(virtual=fleet_plan.time.virtual, start=fleet_plan.time.start)
        self.trace = Trace(trace, time=self.time)
        self.hosts = Hosts((each.name for each in fleet_plan.hosts), self._build)
        self.addresses: dict[str, str] = {}
        self.ca = self.state / "tls" / "ca.pem"
        self.passwords: dict[tuple[str, str], str] = {}
        self._contexts: dict[str, certificates.HostContext] = {}
        self.wire: WireServer
        self._specs = {each.name: each for each in fleet_plan.hosts}
        self._close = contextlib.ExitStack()
        self._saved = saved
        self._engine, self._engines = engine, dict[str, Any]()
        # full: who can log on to a host runs code on this machine
        self._engine_language: Literal["none", "full"] = engine_language
        for each in [*fleet_plan.faults, *(saved.faults if saved is not None else ())]:
            self.faults.add(each)
        for host in fleet_plan.hosts:
            for user in host.users:
                kept = saved.passwords.get((host.name, user.name)) if saved is not None else None
                secret = kept or user.password or fleet.password()
                self.passwords[host.name, user.name] = secret
                self.trace.hide(secret)

    @classmethod
    def from_scenario(cls, source: str | Path, *, state: Path, **options: Any) -> Lab:
        """A laboratory of a scenario file, or of one of the scenarios that come with it; ScenarioError."""
        return cls(scenario.load(source), state=state, **options)

    def __enter__(self) -> Lab:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # --- life

    def start(self) -> None:
        """Bring everything up; LabError when addresses or the state folder cannot be had, then nothing is left."""
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> None:
        self._close.callback(self.trace.close)
        self._close.callback(self.time.close)
        self._take_state()
        self._take_addresses()
        self._close.callback(self._close_hosts)
        self._close.callback(self._close_engines)
        for spec in self._specs.values():
            self._engine_of(spec)
        for name, spec in self._specs.items():
            if spec.apps:  # applications write from the start; any other host can wait until somebody asks for it
                _ = self.hosts[name]
        self.ca, self._contexts = certificates.make(self.state / "tls", self.addresses)
        for app in self.apps():
            try:
                app.ready()
            except AppError as error:
                raise LabError(f"{error} It could not begin; what it said is above.") from None
        self._start_wire(self._contexts)
        self._close.callback(self.faults.release)
        self.trace.write("lab", "", state="started", scenario=self.scenario.name, addresses=self.addresses)

    def stop(self) -> None:
        """End everything; harmless when nothing was started, and when called twice."""
        self._close.close()

    def _build(self, name: str) -> Host:
        spec = self._specs[name]
        secrets = {user.name: self.passwords[name, user.name] for user in spec.users}
        root = self.state / "hosts" / name
        known = None if self._saved is None else self._saved.unpack(name, root)
        host = fleet.build(spec, root, secrets, self.faults, self.trace, self.time, fresh=known is None)
        host.network, host.engine = self.hosts, self._engine_of(spec)
        if known is not None:
            host.load(known)
        return host

    def _engine_of(self, spec: HostSpec) -> Any:
        """The real engine that a host's pipelines are handed to, None for the laboratory's interpreter; LabError."""
        folder = spec.engine or (None if self._engine is None else str(self._engine))
        if folder is None or folder == "interpreter":
            return None
        from vsslab.engine.outside import Engine, EngineError  # noqa: PLC0415 - few need it

        if folder not in self._engines:
            try:
                state = self.state / "engine" / str(len(self._engines))
                self._engines[folder] = Engine(Path(folder), state, language=self._engine_language)
            except EngineError as error:
                raise LabError(str(error)) from None
        return self._engines[folder]

    def _close_engines(self) -> None:
        for each in self._engines.values():
            each.close()

    def _close_hosts(self) -> None:
        for app in self.apps():
            app.stop()
        for host in reversed(self.hosts.built()):
            host.close()

    def _take_state(self) -> None:
        try:
            self.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        except FileExistsError:
            raise LabError(f"{self.state} is a file; the laboratory wants a folder for its state.") from None
        mark = self.state / MARK
        if not mark.exists() and any(self.state.iterdir()):
            raise LabError(f"The state folder {self.state} holds something else; the laboratory wants one of its own.")
        handle: TextIO = self._close.enter_context(mark.open("a+", encoding="utf-8"))
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise LabError(f"Another laboratory runs with the state folder {self.state}.") from None
        for part in _PARTS:
            shutil.rmtree(self.state / part, ignore_errors=True)
        mark.write_text(json.dumps({"scenario": self.scenario.name}) + "\n", encoding="utf-8")

    def _take_addresses(self) -> None:
        try:
            block = Block(self.ports)
            self._close.callback(block.close)
            fixed = {name: spec.address for name, spec in self._specs.items() if spec.address != "auto"}
            probe(fixed.values(), self.ports)
            self.addresses = {name: fixed.get(name) or block.address() for name in self._specs}
        except OSError as error:
            raise LabError(str(error.strerror or error)) from None

    def _start_wire(self, contexts: Mapping[str, ssl.SSLContext]) -> None:
        from vsslab.engine.runspace import Runspace  # noqa: PLC0415 - the engine's tables take a while to read

        self.wire = WireServer(
            ByAddress(self.hosts, self.addresses),
            ports=self.ports,
            tls=contexts,
            trace=self.trace,
            faults=self.faults,
            settings=self.settings,
            runspace_factory=Runspace,
        )
        thread = WireThread(self.wire)
        try:
            thread.start()
        except OSError as error:
            raise LabError(f"The addresses of the hosts cannot be used ({error.strerror}).") from None
        self._close.callback(thread.stop)

    # --- what is there

    def apps(self) -> list[App]:
        """Every live application."""
        return [app for host in self.hosts.built() for app in host.apps.values()]

    def stats(self, host: str | None = None) -> dict[str, Any]:
        """Figures of the live applications: of one host by application, else of all by host."""
        if host is None:
            return {name: self.stats(name) for name in self.hosts}
        figures: dict[str, Any] = {}
        for name, app in self.hosts[host].apps.items():
            try:
                figures[name] = app.stats()
            except AppError as error:
                figures[name] = {"name": name, "kind": app.kind, "pid": app.pid, "error": str(error)}
        return figures

    def check(self, host: str, app: str, place: str | Path) -> books.Books:
        """Judge a copy of an application's data: a Windows path on the host, or a real folder."""
        folder = place if isinstance(place, Path) else self.hosts[host].files.locate(place).real
        return books.check(self.hosts[host].apps[app].kind, folder)

    def ledger(self) -> dict[str, Any]:
        """Everything that can be left behind, by host; equal before and after when nothing was."""
        return {name: host.ledger() for name, host in self.hosts.items()}

    def counters(self) -> list[dict[str, Any]]:
        """What each connection to the wire has carried so far, oldest first."""
        return [each.as_dict() for each in self.wire.sessions]

    def inventory(self, user: str | None = None) -> dict[str, Any]:
        """The Ansible inventory; with `user`, hosts are connected to as this account, those without it left out."""
        entries = [entry for spec in self._specs.values() if (entry := self._entry(spec, user)) is not None]
        return ansible.build(entries)

    def client_certificate(self, host: str, user: str) -> bytes:
        """A certificate with its key (PEM) that logs on as this account, where the service takes certificates."""
        return self._contexts[self.addresses[host]].client_certificate(user)

    def write_inventory(self, path: Path, user: str | None = None) -> None:
        """Write the inventory as YAML, readable for its owner only."""
        ansible.write(self.inventory(user), path)

    def _entry(self, spec: HostSpec, user: str | None) -> ansible.Entry | None:
        account = spec.user if user is None else next((e for e in spec.users if e.name.lower() == user.lower()), None)
        if account is None:
            return None
        how = spec.connection
        return ansible.Entry(
            spec.name,
            self.addresses[spec.name],
            how.plugin,
            how.scheme,
            how.auth,
            self.ports[0] if how.scheme == "http" else self.ports[1],
            account.name,
            self.passwords[spec.name, account.name],
            self.ca,
        )
