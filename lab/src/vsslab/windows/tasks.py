# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Task Scheduler of a host: what is registered, when it starts by itself, and what it says of it."""

from __future__ import annotations

import contextlib
import datetime
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from .errors import ACCESS_DENIED, ALREADY_EXISTS, LOGON_FAILURE, NONE_MAPPED, NOT_FOUND, WinError, hresult, message
from .taskrun import NEVER_RUN, RUNS, TERMINATED, Runner, Task
from .taskxml import NOT_IMPLEMENTED, Definition, TaskError, parse
from .users import SERVICES, User

if TYPE_CHECKING:
    from .host import Host

__all__ = ["NEVER_RUN", "RUNS", "TERMINATED", "Task", "TaskInfo", "Tasks", "folder_path"]
MAKE_UP_AFTER = 600.0  # seconds
_TICK = datetime.timedelta(microseconds=1)
NOT_ON_DEMAND, DISABLED = 0x80041328, 0x80041326


@dataclass(frozen=True)
class TaskInfo:
    """What Get-ScheduledTaskInfo tells. `last_result`: exit code as unsigned 32 bits, 267009 runs, 267011 never ran."""

    last_result: int
    last_run: datetime.datetime | None
    next_run: datetime.datetime | None
    missed_runs: int = 0


def folder_path(path: str) -> str:
    """A task folder as Windows spells it: one backslash before and after."""
    inner = path.strip("\\")
    return f"\\{inner}\\" if inner else "\\"


TaskList = list[Task]
Starts = list[datetime.datetime]
Rows = list[dict[str, Any]]


class Tasks:
    """The scheduled tasks of one host; names and folders are compared without case."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._lock = threading.RLock()
        self._tasks: dict[str, Task] = {}
        self._alarm: Callable[[], None] | None = None
        self._delayed: list[Callable[[], None]] = []
        self._closed = self._down = False
        self.runner = Runner(host, self)
        host.clock.on_jump.append(self._jumped)

    def list(self, path: str | None = None) -> TaskList:
        """Every task, or those of one folder, by full name."""
        wanted = None if path is None else folder_path(path).lower()
        with self._lock:
            found = [each for each in self._tasks.values() if wanted is None or each.path.lower() == wanted]
        return sorted(found, key=lambda each: each.uri.lower())

    def find(self, path: str, name: str) -> Task | None:
        """The task, or None."""
        with self._lock:
            return self._tasks.get((folder_path(path) + name).lower())

    def get(self, path: str, name: str) -> Task:
        """The task; TaskError 0x80070002 when there is none."""
        found = self.find(path, name)
        if found is None:
            raise self._error(NOT_FOUND)
        return found

    def _error(self, code: int) -> TaskError:
        return TaskError(hresult(code), message(code, self._host.language.tag))

    def _demand_administrator(self, by: User | None) -> None:
        if by is not None and not by.administrator:
            raise self._error(ACCESS_DENIED)

    def register(
        self,
        path: str,
        name: str,
        xml: str,
        user: User | str | None = None,
        force: bool = False,
        *,
        password: str | None = None,
        by: User | None = None,
    ) -> Task:
        """Register a task from its XML. `user` overrides the account of the XML (SYSTEM when neither names one).

        `by` is who asks: only administrators may. TaskError 0x800700B7 when it exists and `force` is not set; malformed
        or meaningless XML, unknown accounts and wrong passwords are TaskErrors too.
        """
        self._demand_administrator(by)
        definition = parse(xml, self._host.clock.zone)
        account = self._account(definition, user, password)
        if not name or any(char in name for char in '\\/:*?"<>|'):
            raise self._error(123)
        now = self._host.clock.now()
        if password is not None and account.sid not in SERVICES:
            account = replace(account, delegated=True)  # the password is kept, so the task can use the network
        task = Task(folder_path(path), name, xml, definition, account, now, now, definition.enabled)
        task.idle.set()
        with self._lock:
            old = self._tasks.get(task.uri.lower())
            if old is not None and not force:
                raise self._error(ALREADY_EXISTS)
            if old is not None:
                task.last_result, task.last_run, task.missed_runs = old.last_result, old.last_run, old.missed_runs
                task.running, task.idle = old.running, old.idle
            self._tasks[task.uri.lower()] = task
        self._store(task)
        self.trace(task, "registered")
        self.tell("registered", task, (by or self._host.users.system).full_name)
        for trigger in definition.triggers:
            if trigger.kind == "RegistrationTrigger" and trigger.enabled:
                self._start_after(task, trigger.delay)
        self.watch()
        return task

    def _account(self, definition: Definition, user: User | str | None, password: str | None) -> User:
        wanted = user or definition.user_id or self._host.users.system
        account = wanted if isinstance(wanted, User) else self._host.users.find(wanted)
        if account is None:
            raise self._error(NONE_MAPPED)
        if account.sid in SERVICES:
            return account
        if password is not None:
            if password != account.password:
                raise self._error(LOGON_FAILURE)
        elif definition.logon_type != "S4U":
            if definition.logon_type == "Password":
                raise self._error(LOGON_FAILURE)
            raise TaskError(NOT_IMPLEMENTED, "vsslab does not simulate tasks that run only while a user is logged on.")
        return account

    def _file(self, task: Task) -> str:
        return f"{self._host.windows}\\System32\\Tasks{task.uri}"

    def _store(self, task: Task) -> None:
        path = self._file(task)
        self._host.files.mkdir(path.rpartition("\\")[0], parents=True)
        self._host.files.write(path, task.xml.encode("utf-16"))

    def unregister(self, path: str, name: str, *, by: User | None = None) -> None:
        """Delete a task; what of it runs goes on to its end. Its folder stays."""
        self._demand_administrator(by)
        with self._lock:
            task = self.get(path, name)
            del self._tasks[task.uri.lower()]
        with contextlib.suppress(WinError):
            self._host.files.remove(self._file(task))
        self.trace(task, "unregistered")
        self.tell("deleted", task, (by or self._host.users.system).full_name)

    def set_enabled(self, path: str, name: str, enabled: bool, *, by: User | None = None) -> None:
        """Enable or disable a task; a running one goes on."""
        self._demand_administrator(by)
        task = self.get(path, name)
        with self._lock:
            task.enabled = enabled
            task.handled = self._host.clock.now()  # what was due meanwhile is not missed: it was not wanted
        self.watch()

    def start(self, path: str, name: str, *, by: User | None = None) -> None:
        """Start a task and return at once; what happens when it runs already is its MultipleInstancesPolicy's."""
        self._demand_administrator(by)
        task = self.get(path, name)
        if not task.enabled:
            raise TaskError(DISABLED, "The task is disabled.")
        if not task.definition.on_demand:
            raise TaskError(NOT_ON_DEMAND, "The task does not allow to be started on demand.")
        self.runner.launch(task)

    def stop(self, path: str, name: str, *, by: User | None = None, wait: float = 5.0) -> None:
        """End every running instance, and wait up to `wait` seconds for that; no error when none runs."""
        self._demand_administrator(by)
        task = self.get(path, name)
        self.runner.end(task)
        with self._host.clock.waiting():
            task.idle.wait(wait)

    def info(self, path: str, name: str) -> TaskInfo:
        """Last result, last and next start of a task."""
        task = self.get(path, name)
        with self._lock:
            result = RUNS if task.running else task.last_result
            return TaskInfo(result, task.last_run, min(self._next_starts(task), default=None), task.missed_runs)

    # -- what is told ----------------------------------------------------------------------------------------------
    def current(self, task: Task) -> Task:
        """The task of the same name as it is registered now; itself when there is none any more."""
        with self._lock:
            return self._tasks.get(task.uri.lower(), task)

    def trace(self, task: Task, what: str, **fields: object) -> None:
        """Tell the laboratory's trace."""
        self._host.trace.write("task", self._host.name, task=task.uri, what=what, user=task.account.full_name, **fields)

    def tell(self, what: str, task: Task, *strings: str) -> None:
        """Tell the task history (the operational log, where somebody switched it on)."""
        self._host.events.report(f"task {what}", [task.uri, *strings])

    # -- by themselves ---------------------------------------------------------------------------------------------
    @staticmethod
    def _next_starts(task: Task) -> Starts:
        """The next start of each time trigger of a task that is enabled."""
        found = [each.next_start(task.handled) for each in task.definition.triggers] if task.enabled else []
        return [each for each in found if each is not None]

    def _expires(self, task: Task) -> datetime.datetime | None:
        ends = [each.end for each in task.definition.triggers if each.end is not None]
        if task.definition.delete_after is None or not ends or task.running:
            return None
        return max(ends) + datetime.timedelta(seconds=task.definition.delete_after)

    def watch(self) -> None:
        """Start what is due, and set the alarm for what comes next."""
        with self._lock:
            if self._alarm is not None:
                self._alarm()
                self._alarm = None
            if self._closed or self._down or not any(task.definition.triggers for task in self._tasks.values()):
                return
            due, wait = self._collect(self._host.clock.now())
            if wait is not None:
                self._alarm = self._host.clock.call_after(wait, self.watch, f"{self._host.name}: task triggers")
        for task in due:
            self.runner.launch(task)

    def _collect(self, now: datetime.datetime) -> tuple[TaskList, float | None]:
        """The tasks whose time has come, and how long (seconds of the host) to wait for the next one."""
        due: TaskList = []
        upcoming = []
        for task in tuple(self._tasks.values()):
            starts = self._next_starts(task)
            due += [task for when in starts if when <= now]
            task.handled = max(task.handled, now + _TICK)
            upcoming += self._next_starts(task)
            expires = self._expires(task)
            if expires is not None and expires <= now:
                self.unregister(task.path, task.name)
            elif expires is not None:
                upcoming.append(expires)
        if not upcoming:
            return due, None
        return due, max(0.001, (min(upcoming) - now).total_seconds())

    def _miss(self) -> None:
        """Starts that lie between the last look and now were missed: counted, told, and made up for where asked.

        Ten minutes later, as the Task Scheduler does ("Settings": run task as soon as possible after a scheduled start
        is missed). A clock set forward counts as time that the machine was off (assumed).
        """
        now = self._host.clock.now()
        for task in self.list():
            missed = sum(each.starts(task.handled, now) for each in task.definition.triggers) if task.enabled else 0
            task.handled = max(task.handled, now)
            task.missed_runs += missed
            if missed and task.definition.when_available:
                self._start_after(task, MAKE_UP_AFTER)
            elif missed:
                self.tell("missed", task)

    def _jumped(self, before: datetime.datetime, after: datetime.datetime) -> None:
        if after > before and not self._down:
            self._miss()
        self.watch()

    def _start_after(self, task: Task, delay: float) -> None:
        def launch() -> None:
            if self.current(task) is task and not self._down:
                self.runner.launch(task)

        if not delay:
            launch()
            return
        cancel = self._host.clock.call_after(delay, launch, f"{task.uri}: delayed start")
        with self._lock:
            self._delayed.append(cancel)

    def halt(self) -> None:
        """The machine goes down: every running task ends, and none starts."""
        with self._lock:
            self._down = True
            delayed, self._delayed = self._delayed, []
        self.watch()
        for cancel in delayed:
            cancel()
        for task in self.list():
            self.runner.end(task)
        with self._host.clock.waiting():
            for task in self.list():
                task.idle.wait(5.0)

    def boot(self) -> None:
        """The machine came up: tasks with a boot trigger start; what was missed meanwhile may be made up for."""
        self._down = False
        self._miss()
        for task in self.list():
            for trigger in task.definition.triggers:
                if trigger.kind == "BootTrigger" and trigger.enabled and task.enabled:
                    self._start_after(task, trigger.delay)
        self.watch()

    def close(self) -> None:
        """End of the laboratory: nothing starts any more, everything running ends."""
        with self._lock:
            self._closed = True
        self.halt()

    # -- as data ---------------------------------------------------------------------------------------------------
    def dump(self) -> Rows:
        """Every task as plain data; what runs is not in it."""
        return [
            {"path": each.path, "name": each.name, "xml": each.xml, "account": each.account.sid,
             "with_password": each.account.delegated, "registered": each.registered.isoformat(),
             "handled": each.handled.isoformat(), "enabled": each.enabled, "last_result": each.last_result,
             "last_run": None if each.last_run is None else each.last_run.isoformat(), "missed": each.missed_runs}
            for each in self.list()
        ]  # fmt: skip

    def load(self, rows: Iterable[dict[str, Any]]) -> None:
        """Take over what `dump` gave; starts that lie between then and now count as missed."""
        moment = datetime.datetime.fromisoformat
        for row in rows:
            account = self._host.users.find(row["account"])
            if account is None:
                continue
            task = Task(
                row["path"], row["name"], row["xml"], parse(row["xml"], self._host.clock.zone),
                replace(account, delegated=row["with_password"]), moment(row["registered"]), moment(row["handled"]),
                row["enabled"], row["last_result"], None if row["last_run"] is None else moment(row["last_run"]),
                row["missed"])  # fmt: skip
            task.idle.set()
            with self._lock:
                self._tasks[task.uri.lower()] = task
            self._store(task)
        self._miss()
        self.watch()
