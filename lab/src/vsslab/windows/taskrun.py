# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running scheduled tasks: instances in threads of their own, as their account, until they end or are ended."""

from __future__ import annotations

import datetime
import itertools
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from .. import incidents
from . import commandline
from .errors import NOT_FOUND, hresult
from .processes import ProgramNotFound
from .taskxml import Action, Definition
from .users import SERVICES, User

if TYPE_CHECKING:
    from .host import Host
    from .tasks import Tasks

# "Task Scheduler Error and Success Constants"
NEVER_RUN, RUNS, TERMINATED = 267011, 267009, 267014


class Instance(threading.Event):
    """One run of a task, and its stop event; `number` is its GUID as the task history shows it."""

    def __init__(self, number: str) -> None:
        super().__init__()
        self.number = number
        self.timed_out = False


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
    missed_runs: int = 0
    running: list[Instance] = field(default_factory=list, repr=False)
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

    @property
    def session(self) -> str:
        """The name of the logon session that the task runs in."""
        return f"task {self.uri.lower()}"

    def token(self) -> User:
        """What the task runs with: a logon session of its own, without an administrator's rights unless asked for.

        The first administrator (RID 500) and services are not filtered ("User Account Control: Admin Approval Mode").
        """
        whole = self.account.sid in SERVICES or self.account.sid.endswith("-500")
        elevated = self.account.administrator and (whole or self.definition.run_level == "HighestAvailable")
        return replace(self.account, administrator=elevated, session=self.session)


class Runner:
    """Launches and ends the instances of one host's tasks."""

    def __init__(self, host: Host, tasks: Tasks) -> None:
        self._host, self._tasks = host, tasks
        self._lock = threading.RLock()
        self._numbers = itertools.count(1)

    def launch(self, task: Task) -> None:
        """Start an instance; what happens when one runs already is the task's MultipleInstancesPolicy."""
        with self._lock:
            if task.running:
                if task.definition.policy == "IgnoreNew":
                    self._tasks.trace(task, "ignored")
                    self._tasks.tell("ignored", task, task.running[0].number)
                    return
                if task.definition.policy == "Queue":
                    task.queued += 1
                    return
                if task.definition.policy == "StopExisting":
                    self.end(task)
            name = f"{self._host.name}:{task.uri}:{next(self._numbers)}"
            instance = Instance(f"{{{uuid.uuid5(uuid.NAMESPACE_URL, name)}}}")
            task.running.append(instance)
            task.last_run = self._host.clock.now()
            task.idle.clear()
        self._host.clock.spawn(self._run, task, instance, name=f"{self._host.name}:task:{task.name}")

    def end(self, task: Task) -> None:
        """End every instance, and forget those that wait."""
        with self._lock:
            task.queued = 0
            for each in task.running:
                each.set()

    def _run(self, task: Task, instance: Instance) -> None:
        self._tasks.trace(task, "started")
        self._tasks.tell("started", task, task.account.full_name, instance.number)
        no_limit: Callable[[], None] | None = None
        if task.definition.time_limit:

            def over() -> None:
                instance.timed_out = True
                instance.set()

            no_limit = self._host.clock.call_after(task.definition.time_limit, over, f"{task.uri}: time limit")
        result = task.last_result
        try:
            fault = incidents.meet(self._host, "task", instance, task=task.uri, user=task.account.name)
            if fault is not None and fault.fail is not None:
                result = fault.fail & 0xFFFFFFFF
            for action in task.definition.actions if fault is None or fault.fail is None else ():
                if not instance.is_set():
                    result = self._execute(task, action, instance)
        finally:
            if no_limit is not None:
                no_limit()
            self._ended(task, instance, TERMINATED if instance.is_set() else result)

    def _execute(self, task: Task, action: Action, stop: threading.Event) -> int:
        def nobody(_line: str) -> None:
            """A task's output goes nowhere."""

        user = task.token()
        argv = [
            self._host.expand(action.command.strip('"'), user),
            *commandline.split_arguments(self._host.expand(action.arguments, user)),
        ]
        cwd = self._host.expand(action.working_directory, user) or f"{self._host.windows}\\System32"
        try:
            code = self._host.processes.run(argv, user, out=nobody, err=nobody, cwd=cwd, stop=stop, parent=1020,
                                            command_line=f"{argv[0]} {action.arguments}".rstrip())  # fmt: skip
        except ProgramNotFound:
            return hresult(NOT_FOUND)
        return code & 0xFFFFFFFF

    def _ended(self, task: Task, instance: Instance, result: int) -> None:
        if instance.timed_out:
            self._tasks.tell("timed out", task, instance.number)
        self._tasks.tell("completed", task, task.account.full_name, instance.number)
        with self._lock:
            task.running.remove(instance)
            if not task.running:
                self._host.mappings.end(task.session)
            task.last_result = self._tasks.current(task).last_result = result
            again = bool(task.queued) and not task.running
            if again:
                task.queued -= 1
            elif not task.running:
                task.idle.set()
        self._tasks.trace(task, "ended", result=result)
        self._tasks.watch()  # an expired task can go now
        if again:
            self.launch(task)
