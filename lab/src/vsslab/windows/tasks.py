# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Task Scheduler of a host: tasks that really run, in threads of their own, as their account."""

from __future__ import annotations

import contextlib
import datetime
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from . import commandline
from .errors import ACCESS_DENIED, ALREADY_EXISTS, NONE_MAPPED, NOT_FOUND, WinError, hresult, message
from .processes import ProgramNotFound
from .taskxml import NOT_IMPLEMENTED, Action, Definition, TaskError, parse
from .users import SERVICES, User

if TYPE_CHECKING:
    from .host import Host

# "Task Scheduler Error and Success Constants"
NEVER_RUN, RUNS, TERMINATED = 267011, 267009, 267014
_TICK = datetime.timedelta(microseconds=1)
LOGON_FAILURE, NOT_ON_DEMAND, DISABLED = 1326, 0x80041328, 0x80041326


@dataclass(frozen=True)
class TaskInfo:
    """What Get-ScheduledTaskInfo tells. `last_result`: exit code as unsigned 32 bits, 267009 runs, 267011 never ran."""

    last_result: int
    last_run: datetime.datetime | None
    next_run: datetime.datetime | None
    missed_runs: int = 0


@dataclass(eq=False)
class Task:
    """A registered task; `path` begins and ends with a backslash, `account` is who it runs as."""

    path: str
    name: str
    xml: str
    definition: Definition
    account: User
    registered: datetime.datetime
    handled: datetime.datetime  # the moment up to which the triggers were looked at
    enabled: bool = True
    last_result: int = NEVER_RUN
    last_run: datetime.datetime | None = None
    running: list[threading.Event] = field(default_factory=list, repr=False)
    queued: int = 0
    idle: threading.Event = field(default_factory=threading.Event, repr=False)

    @property
    def state(self) -> str:
        """Running, Queued, Disabled or Ready."""
        if self.running:
            return "Running"
        return "Ready" if self.enabled else "Disabled"

    @property
    def uri(self) -> str:
        """The task's full name, for example '\\umbra-vss\\copy'."""
        return self.path + self.name


def folder_path(path: str) -> str:
    """A task folder as Windows spells it: one backslash before and after."""
    inner = path.strip("\\")
    return f"\\{inner}\\" if inner else "\\"


TaskList = list[Task]
Starts = list[datetime.datetime]


class Tasks:
    """The scheduled tasks of one host; names and folders are compared without case."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._lock = threading.RLock()
        self._wake = threading.Condition(self._lock)
        self._tasks: dict[str, Task] = {}
        self._clock_thread: threading.Thread | None = None
        self._closed = False

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
        task = Task(folder_path(path), name, xml, definition, account, now, now, definition.enabled)
        task.idle.set()
        with self._lock:
            old = self._tasks.get(task.uri.lower())
            if old is not None and not force:
                raise self._error(ALREADY_EXISTS)
            if old is not None:
                task.last_result, task.last_run, task.running, task.idle = (
                    old.last_result,
                    old.last_run,
                    old.running,
                    old.idle,
                )
            self._tasks[task.uri.lower()] = task
        self._store(task)
        self._trace(task, "registered")
        for trigger in definition.triggers:
            if trigger.kind == "RegistrationTrigger" and trigger.enabled:
                self._start_after(task, trigger.delay)
        self._watch()
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
        self._trace(task, "unregistered")

    def set_enabled(self, path: str, name: str, enabled: bool, *, by: User | None = None) -> None:
        """Enable or disable a task; a running one goes on."""
        self._demand_administrator(by)
        task = self.get(path, name)
        with self._lock:
            task.enabled = enabled
            task.handled = self._host.clock.now()  # what was missed meanwhile stays missed
        self._watch()

    def start(self, path: str, name: str, *, by: User | None = None) -> None:
        """Start a task and return at once; what happens when it runs already is its MultipleInstancesPolicy's."""
        self._demand_administrator(by)
        task = self.get(path, name)
        if not task.enabled:
            raise TaskError(DISABLED, "The task is disabled.")
        if not task.definition.on_demand:
            raise TaskError(NOT_ON_DEMAND, "The task does not allow to be started on demand.")
        self._launch(task)

    def stop(self, path: str, name: str, *, by: User | None = None, wait: float = 5.0) -> None:
        """End every running instance, and wait up to `wait` seconds for that; no error when none runs."""
        self._demand_administrator(by)
        task = self.get(path, name)
        self._end(task)
        task.idle.wait(wait)

    def info(self, path: str, name: str) -> TaskInfo:
        """Last result, last and next start of a task."""
        task = self.get(path, name)
        with self._lock:
            result = RUNS if task.running else task.last_result
            return TaskInfo(result, task.last_run, min(self._next_starts(task), default=None))

    # -- running ---------------------------------------------------------------------------------------------------
    def _launch(self, task: Task) -> None:
        stop = threading.Event()
        with self._lock:
            if self._closed:
                return
            if task.running:
                if task.definition.policy == "IgnoreNew":
                    self._trace(task, "ignored")
                    return
                if task.definition.policy == "Queue":
                    task.queued += 1
                    return
                if task.definition.policy == "StopExisting":
                    self._end(task)
            task.running.append(stop)
            task.last_run = self._host.clock.now()
            task.idle.clear()
        name = f"{self._host.name}:task:{task.name}"
        threading.Thread(target=self._run, args=(task, stop), name=name, daemon=True).start()

    def _run(self, task: Task, stop: threading.Event) -> None:
        self._trace(task, "started")
        limit: threading.Timer | None = None
        if task.definition.time_limit:
            limit = threading.Timer(task.definition.time_limit / self._host.clock.speed, stop.set)
            limit.daemon = True
            limit.start()
        result = task.last_result
        try:
            for action in task.definition.actions:
                if not stop.is_set():
                    result = self._execute(task, action, stop)
        finally:
            if limit is not None:
                limit.cancel()
            self._ended(task, stop, TERMINATED if stop.is_set() else result)

    def _execute(self, task: Task, action: Action, stop: threading.Event) -> int:
        def nobody(_line: str) -> None:
            """A task's output goes nowhere."""

        argv = [
            self._host.expand(action.command.strip('"')),
            *commandline.split_arguments(self._host.expand(action.arguments)),
        ]
        cwd = self._host.expand(action.working_directory) or f"{self._host.windows}\\System32"
        try:
            code = self._host.processes.run(argv, task.account, out=nobody, err=nobody, cwd=cwd, stop=stop, parent=1020,
                                            command_line=f"{argv[0]} {action.arguments}".rstrip())  # fmt: skip
        except ProgramNotFound:
            return hresult(NOT_FOUND)
        return code & 0xFFFFFFFF

    def _ended(self, task: Task, stop: threading.Event, result: int) -> None:
        with self._lock:
            task.running.remove(stop)
            task.last_result = result
            again = bool(task.queued) and not task.running
            if again:
                task.queued -= 1
            elif not task.running:
                task.idle.set()
            current = self._tasks.get(task.uri.lower())
            if current is not None and current is not task:
                current.last_result = result
            self._wake.notify_all()  # an expired task can go now
        self._trace(task, "ended", result=result)
        if again:
            self._launch(task)

    def _end(self, task: Task) -> None:
        with self._lock:
            task.queued = 0
            for each in task.running:
                each.set()

    def _trace(self, task: Task, what: str, **fields: object) -> None:
        self._host.trace.write("task", self._host.name, task=task.uri, what=what, user=task.account.full_name, **fields)

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

    def _watch(self) -> None:
        """See to it that somebody looks at the clock, if any task needs that."""
        with self._lock:
            timed = any(each.start or each.end for task in self._tasks.values() for each in task.definition.triggers)
            if timed and self._clock_thread is None and not self._closed:
                name = f"{self._host.name}:task-clock"
                self._clock_thread = threading.Thread(target=self._tick, name=name, daemon=True)
                self._clock_thread.start()
            self._wake.notify_all()

    def _tick(self) -> None:
        while True:
            with self._lock:
                if self._closed:
                    return
                now = self._host.clock.now()
                due, wait = self._collect(now)
                if not due:
                    self._wake.wait(wait)
            for task in due:
                self._launch(task)

    def _collect(self, now: datetime.datetime) -> tuple[TaskList, float | None]:
        """The tasks whose time has come, and how long (real seconds) to wait for the next one."""
        due: TaskList = []
        upcoming = []
        for task in tuple(self._tasks.values()):
            starts = self._next_starts(task)
            due += [task for when in starts if when <= now]
            task.handled = now + _TICK
            upcoming += self._next_starts(task)
            expires = self._expires(task)
            if expires is not None and expires <= now:
                self.unregister(task.path, task.name)
            elif expires is not None:
                upcoming.append(expires)
        if not upcoming:
            return due, None
        return due, max(0.01, (min(upcoming) - now).total_seconds() / self._host.clock.speed)

    def _start_after(self, task: Task, delay: float) -> None:
        if not delay:
            self._launch(task)
            return
        timer = threading.Timer(delay / self._host.clock.speed, self._launch, (task,))
        timer.daemon = True
        timer.start()

    def halt(self) -> None:
        """The machine goes down: every running task ends."""
        for task in self.list():
            self._end(task)
        for task in self.list():
            task.idle.wait(5.0)

    def boot(self) -> None:
        """The machine came up: tasks with a boot trigger start."""
        for task in self.list():
            for trigger in task.definition.triggers:
                if trigger.kind == "BootTrigger" and trigger.enabled and task.enabled:
                    self._start_after(task, trigger.delay)

    def close(self) -> None:
        """End of the laboratory: nothing starts any more, everything running ends."""
        with self._lock:
            self._closed = True
            self._wake.notify_all()
        self.halt()
