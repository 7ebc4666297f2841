# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Windows services of a host: their states, what starting and stopping them takes along, hangs and crashes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .. import incidents
from .errors import WinError, data

if TYPE_CHECKING:
    from .host import Host
    from .processes import Process

RUNNING, STOPPED, STARTING, STOPPING = "Running", "Stopped", "StartPending", "StopPending"
START_TYPES = ("Auto", "Manual", "Disabled")
DEPENDENTS_RUN, CANNOT_STOP, DISABLED, NO_SUCH, NOT_STARTED, ALREADY_RUNS = 1051, 1052, 1058, 1060, 1062, 1056
NOT_NOW, NEVER_STARTED, ABORTED = 1061, 1077, 1067
DELAYED_START = 120.0  # seconds after the others ("SERVICE_DELAYED_AUTO_START_INFO", AutoStartDelay)
_SCM = "Service Control Manager"
_PENDING = frozenset({STARTING, STOPPING})


@dataclass
class Service:
    """One service. `start_type` Auto, Manual or Disabled (as Win32_Service.StartMode); `needs` the ones it depends on.

    `delayed`: an automatic start waits two minutes; `start_seconds`, `stop_seconds`: how long it stays pending;
    `restart_after`: seconds until it is started again after a crash (None: it is not); `exit_code` as Win32_Service
    shows it. The callbacks of `on_start` and `on_stop` tell whoever lives in the service (a writer, an application).
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
    delayed: bool = False
    start_seconds: float = 0.0
    stop_seconds: float = 0.0
    restart_after: float | None = None
    exit_code: int = NEVER_STARTED
    crashes: int = 0


class _Killed(threading.Event):
    """The stop event of a service's process: whoever kills the process makes the service crash."""

    def __init__(self, crash: Callable[[], None]) -> None:
        super().__init__()
        self._crash = crash

    def set(self) -> None:
        super().set()
        self._crash()


ServiceList = list[Service]


class Services:
    """The services of one host."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._lock = threading.RLock()
        self._services: dict[str, Service] = {}
        self._timers: list[Callable[[], None]] = []
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
                    delayed=row.get("delayed", False),
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

    def configure(self, name: str, **fields: Any) -> Service:
        """Install a service, or change one that is there, by the fields of `Service`; a new one runs and is Auto."""
        given: dict[str, Any] = {key: tuple(value) if key == "needs" else value for key, value in fields.items()}
        known = self._services.get(name.lower())
        if known is None:
            plain: dict[str, Any] = {"display_name": name, "status": RUNNING, "start_type": "Auto"}
            return self.add(Service(name, **(plain | given)))
        status = given.pop("status", known.status)
        for key, value in given.items():
            setattr(known, key, value)
        if status != known.status:
            (self._run if status == RUNNING else self._halt)(known)
        return known

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

    # -- control ---------------------------------------------------------------------------------------------------
    def start(self, name: str, *, wait: bool = True, stop: threading.Event | None = None) -> None:
        """Start a service and what it needs; WinError 1056 when it runs already, 1058 disabled, 1061 while pending.

        A service with `start_seconds` is StartPending meanwhile. The call returns when it runs; with `wait` False, or
        when `stop` is set, at once, and it goes on by itself.
        """
        with self._lock:
            service = self.get(name)
            if service.status in _PENDING:
                raise WinError(NOT_NOW, service.name)
            if service.status == RUNNING:
                raise WinError(ALREADY_RUNS, service.name)
            if service.start_type == "Disabled":
                raise WinError(DISABLED, service.name)
            needs = [each for each in service.needs if self.get(each).status != RUNNING]
        for need in needs:
            self.start(need, stop=stop)
        self._pass(service, STARTING, service.start_seconds, self._run, wait=wait, stop=stop)

    def stop(self, name: str, *, force: bool = False, wait: bool = True, stop: threading.Event | None = None) -> None:
        """Stop a service; WinError 1051 while dependents run (unless `force`: they stop first), 1052, 1061, 1062.

        `wait` and `stop` as for `start`; a service that hangs is StopPending for its `stop_seconds`.
        """
        service = self.get(name)
        if service.status in _PENDING:
            raise WinError(NOT_NOW, service.name)
        if service.status != RUNNING:
            raise WinError(NOT_STARTED, service.name)
        if not service.can_stop:
            raise WinError(CANNOT_STOP, service.name)
        running = [each for each in self.dependents(name) if each.status == RUNNING]
        if running and not force:
            raise WinError(DEPENDENTS_RUN, service.name)
        for each in reversed(running):
            if each.status == RUNNING:
                self.stop(each.name, force=True, stop=stop)
        self._pass(service, STOPPING, service.stop_seconds, self._halt, wait=wait, stop=stop)

    def _pass(
        self,
        service: Service,
        pending: str,
        seconds: float,
        done: Callable[[Service], None],
        *,
        wait: bool,
        stop: threading.Event | None,
    ) -> None:
        """Go through a pending state of some seconds: waiting for its end, or leaving it to a timer."""
        if not self._heed_fault(service, pending, done, stop):
            return
        if not seconds:
            done(service)
            return
        clock = self._host.clock
        with self._lock:
            service.status = pending
            over = threading.Event()

            def finish() -> None:
                if service.status == pending:
                    done(service)
                over.set()

            cancel = clock.call_after(seconds, lambda: _apart(self._host, finish), f"{service.name} {pending}")
            self._timers += [cancel, over.set]
        self._trace(service)
        if wait:
            with clock.waiting():
                while not over.wait(0.02) and not (stop is not None and stop.is_set()):
                    pass

    def _heed_fault(
        self, service: Service, pending: str, done: Callable[[Service], None], stop: threading.Event | None
    ) -> bool:
        """Meet the fault that waits for this change; the service is pending meanwhile, and stays so when nobody waits.

        False when there is nothing left to do; WinError with the fault's code.
        """
        change = "stop" if pending == STOPPING else "start"
        fault = incidents.fire(self._host, "service", service=service.name, change=change)
        if fault is None:
            return True
        before, service.status = service.status, pending
        over, left = threading.Event(), threading.Event()

        def work() -> None:
            incidents.perform(self._host, fault)
            over.set()
            if left.is_set() and service.status == pending:
                done(service)

        self._host.clock.spawn(work, name=f"{self._host.name}:{service.name}")
        with self._host.clock.waiting():
            while not over.wait(0.02):
                if stop is not None and stop.is_set():
                    left.set()
                    return False
        if service.status != pending:  # the host restarted
            return False
        service.status = before
        if fault.fail is not None:
            raise WinError(fault.fail, service.name)
        return True

    def _run(self, service: Service) -> None:
        with self._lock:
            service.status, service.exit_code = RUNNING, 0
            self._appear(service)
        self._tell(service.on_start, service)

    def _halt(self, service: Service) -> None:
        with self._lock:
            service.status, service.exit_code = STOPPED, 0
            self._disappear(service)
        self._tell(service.on_stop, service)

    def crash(self, name: str) -> None:
        """The service's process dies: stopped, exit code 1067, an event of the Service Control Manager (7034, 7031).

        What depends on it goes on; it starts again after `restart_after` seconds. WinError 1062 when it does not run.
        """
        service = self.get(name)
        with self._lock:
            if service.status not in {RUNNING, *_PENDING}:
                raise WinError(NOT_STARTED, service.name)
            service.status, service.exit_code = STOPPED, ABORTED
            service.crashes += 1
            self._disappear(service)
        again = service.restart_after
        found = [service.display_name, str(service.crashes)]
        if again is None:
            self._host.events.report("service crashed", found)
        else:
            milliseconds = str(int(again * 1000))
            self._host.events.report("service crashed, restart", [*found, milliseconds, "1", "Restart the service"])
            self._later(again, service)
        self._tell(service.on_stop, service)

    def set_start_type(self, name: str, start_type: str, *, delayed: bool = False) -> None:
        """Change how a service starts: Auto (perhaps delayed), Manual or Disabled."""
        if start_type not in START_TYPES:
            raise ValueError(f"{start_type!r} is no start type of a service.")
        service = self.get(name)
        service.start_type, service.delayed = start_type, delayed and start_type == "Auto"

    # -- the machine -----------------------------------------------------------------------------------------------
    def boot(self) -> None:
        """The machine started: automatic services run, the delayed ones after two minutes, the others do not."""
        self.close()
        for service in self.list():
            was = service.status
            service.crashes = 0
            runs = service.start_type == "Auto" and not service.delayed
            service.status = RUNNING if runs else STOPPED
            service.exit_code = 0 if runs else NEVER_STARTED
            if runs:
                self._disappear(service)
                self._appear(service)
                self._tell(service.on_start, service)
            elif was != STOPPED:
                self._disappear(service)
                self._tell(service.on_stop, service)
            if service.start_type == "Auto" and service.delayed:
                self._later(DELAYED_START, service)

    def _later(self, seconds: float, service: Service) -> None:
        def start() -> None:
            if service.status == STOPPED and service.start_type != "Disabled":
                self.start(service.name)

        cancel = self._host.clock.call_after(seconds, lambda: _apart(self._host, start), f"{service.name} start")
        with self._lock:
            self._timers.append(cancel)

    def close(self) -> None:
        """Forget what was to happen later."""
        with self._lock:
            timers, self._timers = self._timers, []
        for cancel in timers:
            cancel()

    def _appear(self, service: Service) -> None:
        host = self._host
        image = service.image or f"{host.windows}\\System32\\svchost.exe"
        program = image.partition(" ")[0].rpartition("\\")[2]
        account = host.users.find(service.account) or host.users.system
        service.exit_code = 0
        service.process = host.processes.adopt(program, image, account)
        service.process.stop = _Killed(lambda: self._killed(service))

    def _killed(self, service: Service) -> None:
        if service.process is not None and service.status != STOPPED:
            self.crash(service.name)

    def _disappear(self, service: Service) -> None:
        if service.process is not None:
            process, service.process = service.process, None
            self._host.processes.leave(process, process.exit_code or 0)

    def _trace(self, service: Service) -> None:
        self._host.trace.write("service", self._host.name, service=service.name, status=service.status)

    def _tell(self, listeners: Iterable[Callable[[], None]], service: Service) -> None:
        self._trace(service)
        for each in tuple(listeners):
            each()

    # -- as data ---------------------------------------------------------------------------------------------------
    def dump(self) -> dict[str, Any]:
        """How every service stands, as plain data."""
        return {
            each.name: {
                "display_name": each.display_name,
                "status": RUNNING if each.status == STOPPING else each.status,
                "needs": [*each.needs],
                **{name: getattr(each, name) for name in _KEPT},
            }
            for each in self.list()
        }

    def load(self, rows: dict[str, Any]) -> None:
        """Take over what `dump` gave: services come, and each stands as it stood."""
        for name, row in rows.items():
            if name.lower() not in self._services:
                self.add(Service(name, row["display_name"]))
            service = self.get(name)
            for key in _KEPT:
                setattr(service, key, row[key])
            service.needs = tuple(row["needs"])
            exit_code = service.exit_code
            if row["status"] in {RUNNING, STARTING} and service.status != RUNNING:
                self._run(service)
            elif row["status"] == STOPPED and service.status == RUNNING:
                self._halt(service)
            service.exit_code = exit_code


_KEPT = ("start_type", "account", "image", "can_stop", "delayed", "start_seconds", "stop_seconds", "restart_after",
         "exit_code", "crashes")  # fmt: skip


def _apart(host: Host, act: Callable[[], None]) -> None:
    """Do something that may take a while, on behalf of a timer, which must not."""
    host.clock.spawn(act, name=f"{host.name}:services")
