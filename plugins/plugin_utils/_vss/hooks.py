# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done before a snapshot is made and after it, for applications that have no writer: services, and programs.

Each runs as a task of SYSTEM with a time limit: a program in a remote shell would die with it. Before anything is held,
one more task is registered that does all of the after-hooks and starts by itself when the time is up: whatever
becomes of the controller, of the connection and of the host, the applications go on. It is in the record as `thaw`, and
whoever undoes the run starts it. So an after-hook may run more than once.

`statements` go into the gathering of facts; `plan` judges the option; `freeze` and `thaw` go around the creating.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta, timezone
from typing import Any, Literal

from .. import _verbs as verbs
from .._pipeline import Reply, Statement, Unsendable
from .._tasks import NEVER_RUN, RUNNING, argument_line
from . import security
from .errors import VssFailure
from .facts import Facts
from .paths import BadPath, normal, parent
from .planning import duration
from .run import Run

When = Literal["before", "after"]

DEFAULT = timedelta(minutes=5)
SHORTEST, LONGEST = timedelta(seconds=10), timedelta(minutes=15)  # the lease of a run is longer than the longest
MOST = 32  # actions of a task (Task Scheduler Schema, Actions)

STOPPED, ACTIVE, DISABLED = 1, 4, 4  # ServiceControllerStatus, ServiceStartMode
_ENDED = 267014  # SCHED_S_TASK_TERMINATED
_NOT_YET = frozenset((RUNNING, NEVER_RUN, 267008, 267045))  # also SCHED_S_TASK_READY and _QUEUED
_SERVICE = re.compile(r"^\w[\w .$()@+-]{0,79}$")
_PROGRAM = re.compile(r"\.(?:exe|com)$", re.IGNORECASE)
# These take text and run it: what a hook does is to be told by its program and its arguments.
_INTERPRETERS = frozenset({"cmd", "powershell", "pwsh", "wscript", "cscript", "mshta", "wmic", "bash", "wsl"})
# Without these there is no snapshot, no task, or no connection.
_NEEDED = frozenset(
    {"vss", "swprv", "rpcss", "rpceptmapper", "dcomlaunch", "eventsystem", "comsysapp", "cryptsvc", "schedule", "winrm",
     "winmgmt", "eventlog"}
)  # fmt: skip
_GRACE = 60.0  # seconds more than its time limit that a step is waited for
_PAUSES = (0.3, 0.5, 1.0, 2.0)  # seconds between readings; the last one goes on


@dataclass(frozen=True)
class Hook:
    """One step. what: for people; exe and arguments: what the task runs; state: of the service, that is wanted.

    skipped: why it is left out.
    """

    when: When
    what: str
    exe: str
    arguments: tuple[str, ...] = ()
    service: str = ""
    state: int = 0
    skipped: str = ""

    @property
    def doing(self) -> str:
        """What its tasks and statements are named by."""
        return "freeze" if self.when == "before" else "go-on"

    def result(self, code: int | None) -> dict[str, Any]:
        """The step as a module returns it. code: exit code, None when it did not run."""
        return {"when": self.when, "what": self.what, "exit_code": code, "skipped": self.skipped or None}


@dataclass
class Hooks:
    """All steps. timeout: how long the applications may be held in all. done: what became of the steps."""

    before: tuple[Hook, ...]
    after: tuple[Hook, ...]
    timeout: timedelta
    done: list[dict[str, Any]] = field(default_factory=list)

    def expected(self) -> list[dict[str, Any]]:
        """The steps as a module returns them that does not run them."""
        return [hook.result(None) for hook in (*self.before, *self.after)]


# ---- what is asked for
def _items(given: Any, when: When) -> list[Mapping[str, Any]]:
    return list((given or {}).get(when) or [])


def statements(given: Any) -> list[Statement]:
    """The statements, for the gathering of facts, by whose answers `plan` judges the option ``hooks``."""
    items = [item for when in ("before", "after") for item in _items(given, when)]
    names = [str(item["service"]) for item in items if item.get("service")]
    asked = [verbs.services("hooks-services", names)] if names and all(map(_SERVICE.match, names)) else []
    for at, path in enumerate(dict.fromkeys(filter(None, map(_path, items)))):
        asked.append(verbs.exists(f"hooks-there-{at}", path))
        asked.append(verbs.acl(f"hooks-acl-{at}", path).tolerant())
        asked.append(verbs.acl(f"hooks-folder-{at}", parent(path) + "\\").tolerant())
    return asked


def _path(item: Mapping[str, Any]) -> str:
    """The program's path in one spelling, "" when it is none."""
    try:
        return normal(str(item.get("program") or ""))
    except BadPath:
        return ""


def plan(args: Mapping[str, Any], facts: Facts) -> Hooks | None:
    """What the option ``hooks`` asks for, None when that is nothing.

    :raises VssFailure: it cannot be done, or would leave an application held.
    """
    given = args.get("hooks")
    before, after = _items(given, "before"), _items(given, "after")
    if not before and not after:
        return None
    if max(len(before), len(after)) > MOST:
        raise VssFailure(f"hooks for {facts.host} has more than {MOST} steps before or after: put them into a program.")
    limit = (given or {}).get("timeout")
    timeout = DEFAULT if limit is None else duration(limit, "hooks.timeout")
    if not SHORTEST <= timeout <= LONGEST:
        raise VssFailure(f"hooks.timeout {limit!r} is too short or too long: applications are held for 10s to 15m.")
    reader = _Reader(facts, [*before, *after])
    hooks = Hooks(
        tuple(reader.hook(item, "before") for item in before),
        tuple(reader.hook(item, "after") for item in after),
        timeout,
    )
    started = {hook.service for hook in hooks.after if hook.state == ACTIVE}
    held = next((hook for hook in hooks.before if hook.state == STOPPED and hook.service not in started), None)
    if held is not None:
        raise VssFailure(
            f"hooks.before stops the service {held.service} on {facts.host} and nothing starts it again: add it to "
            "hooks.after."
        )
    return hooks


class _Reader:
    """Makes steps of what the user wrote, by what the host says of it."""

    def __init__(self, facts: Facts, items: Sequence[Mapping[str, Any]]) -> None:
        self.facts, self.host = facts, facts.host
        told = facts.reply["hooks-services"].values if "hooks-services" in facts.reply else []
        self.services = {str(service.get("Name")).casefold(): service for service in told}
        self.paths = {path: at for at, path in enumerate(dict.fromkeys(filter(None, map(_path, items))))}
        self.idle = {
            str(item["service"]).casefold()
            for item in items
            if item.get("service") and item.get("action") == "stop" and self._status(item) == STOPPED
        }

    def _status(self, item: Mapping[str, Any]) -> int | None:
        service = self.services.get(str(item["service"]).casefold())
        return int(service.get("Status") or 0) if service else None

    def hook(self, item: Mapping[str, Any], when: When) -> Hook:
        if bool(item.get("service")) == bool(item.get("program")):
            raise VssFailure(f"A step of hooks.{when} for {self.host} names either a service or a program.")
        return self._service(item, when) if item.get("service") else self._program(item, when)

    def _service(self, item: Mapping[str, Any], when: When) -> Hook:
        name, action = str(item["service"]), item.get("action")
        if action not in ("start", "stop") or item.get("arguments"):
            raise VssFailure(f"hooks.{when} for {self.host}: the service {name} needs an action, start or stop.")
        if not _SERVICE.match(name):
            raise VssFailure(f"hooks.{when} for {self.host}: {name!r} is not the name of a service.")
        told = self.services.get(name.casefold())
        if told is None:
            raise VssFailure(f"hooks.{when}: there is no service {name} on {self.host}; use its short name.")
        name = str(told["Name"])
        if action == "stop" and name.casefold() in _NEEDED:
            raise VssFailure(f"hooks.{when}: the service {name} on {self.host} is needed for the snapshot itself.")
        if action == "start" and told.get("StartType") == DISABLED:
            raise VssFailure(f"hooks.{when}: the service {name} on {self.host} is disabled and cannot be started.")
        if self._status(item) not in (STOPPED, ACTIVE):
            raise VssFailure(f"hooks.{when}: the service {name} on {self.host} is just starting or stopping.")
        return Hook(
            when,
            f"{action} service {name}",
            f"{self.facts.system.windows.rstrip(chr(92))}\\System32\\net.exe",
            (str(action), name),
            name,
            ACTIVE if action == "start" else STOPPED,
            "it was not running before" if name.casefold() in self.idle else "",
        )

    def _program(self, item: Mapping[str, Any], when: When) -> Hook:
        path, lead = _path(item), f"hooks.{when}: the program {item['program']} on {self.host}"
        if item.get("action"):
            raise VssFailure(f"{lead} has no action: that belongs to a service.")
        if path not in self.paths or not _PROGRAM.search(path):
            raise VssFailure(f"{lead} must be told by its full local path, and be an .exe or .com file.")
        if path.rpartition("\\")[2].rpartition(".")[0].casefold() in _INTERPRETERS:
            raise VssFailure(f"{lead} would run commands out of text: name the program that is to run, and arguments.")
        arguments = tuple(map(str, item.get("arguments") or ()))
        try:
            argument_line([path, *arguments])
        except Unsendable as error:
            raise VssFailure(f"{lead} cannot be given these arguments: {error}.") from None
        at, reply = self.paths[path], self.facts.reply
        if not reply[f"hooks-there-{at}"].first:
            raise VssFailure(f"{lead} is not there.")
        for key, what in ((f"hooks-acl-{at}", "it"), (f"hooks-folder-{at}", "its folder")):
            others = security.strangers(str((reply[key].first or {}).get("Sddl") or ""))
            if others:
                raise VssFailure(
                    f"{lead} would run as SYSTEM, and others than administrators can change {what}: "
                    f"{', '.join(others)}. Take that right away, or use a program that only administrators can change."
                )
        return Hook(when, path, path, arguments)


# ---- doing it
def freeze(run: Run, hooks: Hooks) -> None:
    """Make sure that the applications will go on, then hold them.

    :raises VssFailure: a step failed, or took too long; undoing the run lets them go on.
    :raises HostFailure: the host could not be asked.
    """
    hooks.done = []
    after = [hook for hook in hooks.after if not hook.skipped]
    tasks = {**_tasks(run, hooks.before), **_tasks(run, hooks.after)}
    steps = run.step(tasks=tuple(dict.fromkeys([*run.record.tasks, *tasks])), thaw=_net(run) if after else "")
    if after:
        start = (run.now() + hooks.timeout).astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        xml = _xml(after, hooks.timeout * len(after), start)
        steps.append(verbs.register_task("hook-net", _net(run), xml))
    for at, (name, hook) in enumerate(tasks.items()):
        steps.append(verbs.register_task(f"hook-register-{at}", name, _xml([hook], hooks.timeout)))
    _perform(run, hooks, hooks.before, steps, _stop_at_first)


def thaw(run: Run, hooks: Hooks) -> list[dict[str, Any]]:
    """Let the applications go on; what became of all steps, as a module returns it.

    :raises VssFailure: a step failed, or they were not held all the time: then the snapshot is not worth what it was
        asked for. Undoing the run lets them go on once more.
    :raises HostFailure: the host could not be asked.
    """
    net = verbs.task_info("go-on-net", _net(run)).tolerant()
    failed: list[VssFailure] = []
    replies = _perform(run, hooks, hooks.after, [net] if run.record.thaw else [], failed.append)
    if run.record.thaw and _code(replies[0], "go-on-net") != NEVER_RUN:
        raise VssFailure(
            f"The applications on {run.host.name} were held for longer than hooks.timeout "
            f"({hooks.timeout.total_seconds():.0f} s) and went on before the snapshot was complete: allow more time."
        )
    if failed:
        raise failed[0]
    _forget(run, hooks)
    return hooks.done


def _stop_at_first(failure: VssFailure) -> None:
    raise failure


def _net(run: Run) -> str:
    return f"{run.record.run}-thaw"


def _tasks(run: Run, hooks: Sequence[Hook]) -> dict[str, Hook]:
    """The tasks of these steps by name: freeze-1, freeze-2 ..., go-on-1 ..."""
    named = {f"{run.record.run}-{hook.doing}-{at}": hook for at, hook in enumerate(hooks, 1)}
    return {name: hook for name, hook in named.items() if not hook.skipped}


def _xml(hooks: Sequence[Hook], limit: timedelta, start: str = "") -> str:
    return verbs.task_xml(
        [(hook.exe, hook.arguments) for hook in hooks],
        limit=round(limit.total_seconds()),
        description=f"umbra.vss: {'; '.join(hook.what for hook in hooks)}",
        start=start,
    )


def _perform(
    run: Run, hooks: Hooks, steps: Sequence[Hook], first: Sequence[Statement], fail: Callable[[VssFailure], None]
) -> list[Reply]:
    """Run the steps one after the other, each when the one before has ended; the answers of every pipeline."""
    replies: list[Reply] = []
    opening = list(first)
    for name, hook in _tasks(run, steps).items():
        reply = run.host.act(*opening, verbs.start_task(f"{hook.doing}-start", name), *_reading(name, hook, 0))
        replies.append(reply)
        opening = []
        end = _wait(run, hooks, name, hook, reply)
        hooks.done.append(hook.result(end.code))
        failure = _failure(run, hooks, hook, end)
        if failure is not None:
            fail(failure)
    if opening:
        replies.append(run.host.act(*opening))
    hooks.done += [hook.result(None) for hook in steps if hook.skipped]
    return replies


def _reading(name: str, hook: Hook, number: int) -> list[Statement]:
    """The statements that look how a step is, after a while."""
    asked = [
        verbs.pause(f"{hook.doing}-pause", _PAUSES[min(number, len(_PAUSES) - 1)]),
        verbs.task_info(f"{hook.doing}-info", name).tolerant(),
    ]
    return [*asked, verbs.services(f"{hook.doing}-state", [hook.service])] if hook.service else asked


@dataclass(frozen=True)
class _End:
    """How a step ended. code: exit code; state: of its service."""

    code: int
    state: int | None = None


def _wait(run: Run, hooks: Hooks, name: str, hook: Hook, reply: Reply) -> _End:
    """How a step that was started ends. The Task Scheduler ends it when its time is up."""
    deadline, number = time.monotonic() + hooks.timeout.total_seconds() + _GRACE, 0
    while (code := _code(reply, f"{hook.doing}-info")) in _NOT_YET:
        if time.monotonic() > deadline:
            raise VssFailure(
                f"hooks.{hook.when}: {hook.what} on {run.host.name} did not start or did not end in time: look at the "
                f"service Schedule and at the task {name}."
            )
        number += 1
        reply = run.host.ask(*_reading(name, hook, number))
    told = reply[f"{hook.doing}-state"].first if hook.service else None
    return _End(code, int(told.get("Status") or 0) if told else None)


def _code(reply: Reply, key: str) -> int:
    told = reply[key].first
    return int(told["LastTaskResult"]) if told and told.get("LastTaskResult") is not None else NEVER_RUN


def _failure(run: Run, hooks: Hooks, hook: Hook, end: _End) -> VssFailure | None:
    # net ends with the same code for every failure, "it is so already" among them: what the service does counts.
    fine = end.state == hook.state if hook.service else end.code == 0
    if fine:
        return None
    why = f"it ended with exit code {end.code}" + (f" (0x{end.code:08X})" if end.code > 0xFFFF else "")
    if end.code == _ENDED:
        why = f"it took longer than hooks.timeout ({hooks.timeout.total_seconds():.0f} s) and was ended"
    then = "nothing was created" if hook.when == "before" else "the snapshot is not kept"
    return VssFailure(f"hooks.{hook.when}: {hook.what} on {run.host.name} failed: {why}; {then}.")


def _forget(run: Run, hooks: Hooks) -> None:
    """Remove the tasks: everything goes on as before."""
    names = [_net(run), *_tasks(run, hooks.before), *_tasks(run, hooks.after)]
    gone = [name for name in names if name == run.record.thaw or name in run.record.tasks]
    rest = tuple(name for name in run.record.tasks if name not in gone)
    removing = [verbs.remove_task(f"go-on-gone-{at}", name).tolerant() for at, name in enumerate(gone)]
    run.host.act(*removing, *run.step(tasks=rest, thaw=""))
