# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Windows services of a host: their states, and what starting and stopping them takes along."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .errors import WinError, data

if TYPE_CHECKING:
    from .host import Host
    from .processes import Process

RUNNING, STOPPED = "Running", "Stopped"
START_TYPES = ("Auto", "Manual", "Disabled")
DEPENDENTS_RUN, CANNOT_STOP, DISABLED, NO_SUCH, NOT_STARTED, ALREADY_RUNS = 1051, 1052, 1058, 1060, 1062, 1056


@dataclass
class Service:
    """One service. `start_type` Auto, Manual or Disabled (as Win32_Service.StartMode); `needs` the ones it depends on.

    The callbacks of `on_start` and `on_stop` tell whoever lives in the service (a writer, an application).
    """

    name: str
    display_name: str
    status: str = STOPPED
    start_type: str = "Manual"
    needs: tuple[str, ...] = ()
    account: str = "LocalSystem"
    image: str = ""
    can_stop: bool = True
    on_start: list[Callable[[], None]] = field(default_factory=list, repr=False)
    on_stop: list[Callable[[], None]] = field(default_factory=list, repr=False)
    process: Process | None = field(default=None, repr=False)


ServiceList = list[Service]


class Services:
    """The services of one host."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._lock = threading.RLock()
        self._services: dict[str, Service] = {}
        for name, row in data("services.yml").items():
            display = row["display"].get(host.language.short, row["display"]["en"])
            self.add(
                Service(
                    name,
                    display,
                    RUNNING if row["runs"] else STOPPED,
                    row["start"],
                    tuple(row.get("needs", ())),
                    row.get("account", "LocalSystem"),
                    row["image"],
                    row.get("stop", True),
                )
            )

    def add(self, service: Service) -> Service:
        """Install a service; ValueError when the name is taken."""
        with self._lock:
            if service.name.lower() in self._services:
                raise ValueError(f"{self._host.name} has a service {service.name} already.")
            self._services[service.name.lower()] = service
            if service.status == RUNNING:
                self._appear(service)
        return service

    def list(self) -> ServiceList:
        """Every service, by name."""
        return sorted(self._services.values(), key=lambda each: each.name.lower())

    def get(self, name: str) -> Service:
        """A service by its name or display name; WinError 1060 when there is none."""
        found = self._services.get(name.lower())
        if found is None:
            found = next((each for each in self.list() if each.display_name.lower() == name.lower()), None)
        if found is None:
            raise WinError(NO_SUCH, name)
        return found

    def dependents(self, name: str) -> ServiceList:
        """The services that depend on this one, directly or not."""
        wanted = {self.get(name).name.lower()}
        found: ServiceList = []
        while True:
            more = [
                each for each in self.list() if each not in found and wanted & {need.lower() for need in each.needs}
            ]
            if not more:
                return found
            found += more
            wanted |= {each.name.lower() for each in more}

    def start(self, name: str) -> None:
        """Start a service and what it needs; WinError 1056 when it runs already, 1058 when it is disabled."""
        with self._lock:
            service = self.get(name)
            if service.status == RUNNING:
                raise WinError(ALREADY_RUNS, service.name)
            if service.start_type == "Disabled":
                raise WinError(DISABLED, service.name)
            for need in service.needs:
                if self.get(need).status != RUNNING:
                    self.start(need)
            service.status = RUNNING
            self._appear(service)
        self._tell(service.on_start, service)

    def stop(self, name: str, *, force: bool = False) -> None:
        """Stop a service; WinError 1051 while dependents run (unless `force`: they stop first), 1052, 1062."""
        service = self.get(name)
        if service.status != RUNNING:
            raise WinError(NOT_STARTED, service.name)
        if not service.can_stop:
            raise WinError(CANNOT_STOP, service.name)
        running = [each for each in self.dependents(name) if each.status == RUNNING]
        if running and not force:
            raise WinError(DEPENDENTS_RUN, service.name)
        for each in reversed(running):
            if each.status == RUNNING:
                self.stop(each.name, force=True)
        with self._lock:
            service.status = STOPPED
            self._disappear(service)
        self._tell(service.on_stop, service)

    def set_start_type(self, name: str, start_type: str) -> None:
        """Change how a service starts: Auto, Manual or Disabled."""
        if start_type not in START_TYPES:
            raise ValueError(f"{start_type!r} is no start type of a service.")
        self.get(name).start_type = start_type

    def boot(self) -> None:
        """The machine started: automatic services run, the others do not."""
        for service in self.list():
            was = service.status
            service.status = RUNNING if service.start_type == "Auto" else STOPPED
            if service.status == RUNNING:
                self._disappear(service)
                self._appear(service)
                self._tell(service.on_start, service)
            elif was == RUNNING:
                self._disappear(service)
                self._tell(service.on_stop, service)

    def _appear(self, service: Service) -> None:
        host = self._host
        image = service.image or f"{host.windows}\\System32\\svchost.exe"
        program = image.partition(" ")[0].rpartition("\\")[2]
        service.process = host.processes.adopt(program, image, host.users.system)

    def _disappear(self, service: Service) -> None:
        if service.process is not None:
            self._host.processes.leave(service.process)
            service.process = None

    def _tell(self, listeners: Iterable[Callable[[], None]], service: Service) -> None:
        self._host.trace.write("service", self._host.name, service=service.name, status=service.status)
        for each in tuple(listeners):
            each()
