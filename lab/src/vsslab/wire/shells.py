# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shells of one host: who owns them, whose session they serve, how many there may be, when they are forgotten."""

from __future__ import annotations

import abc
import asyncio
import threading
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element

from vsslab.wire import soap
from vsslab.wire.outbox import Outbox
from vsslab.wire.settings import Settings
from vsslab.wire.wsman_faults import WsmanFault

if TYPE_CHECKING:
    from vsslab.windows.host import Host
    from vsslab.windows.users import User

SIGNAL = f"{soap.RSP}/signal"
STOPPING = frozenset(
    {f"{SIGNAL}/ctrl_c", f"{SIGNAL}/ctrl_break", "powershell/signal/ctrl_c", "powershell/signal/crtl_c"}
)
"""Signals after which the command can still be read; the last is how Windows PowerShell spells its own ([MS-PSRP])."""
TERMINATE = f"{SIGNAL}/terminate"


@dataclass(frozen=True)
class ShellRequest:
    """What a Create asked for."""

    shell_id: str
    resource: str
    client: str
    idle_timeout: float
    options: dict[str, str]
    body: Element
    session: str = ""

    def text(self, name: str, default: str = "") -> str:
        """The text of one element of rsp:Shell."""
        return self.body.findtext(f"{{{soap.RSP}}}{name}", default).strip()


@dataclass
class Task:
    """One command of a shell: its output, how to stop it, and whether its thread still runs."""

    id: str
    outbox: Outbox
    stop: threading.Event = field(default_factory=threading.Event)
    started: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class Shell(abc.ABC):
    """What all shells share.  Methods run in the event loop's thread unless they say otherwise."""

    input_streams = "stdin"
    output_streams = "stdout stderr"
    can_disconnect = False

    def __init__(self, host: Host, owner: User, request: ShellRequest, settings: Settings) -> None:
        self.host, self.owner, self.request, self.settings = host, owner, request, settings
        self.id = request.shell_id
        self.tasks: dict[str, Task] = {}
        self.created = self.used = host.clock.monotonic()
        self.pending = 0
        self.session, self.connected, self.buffer_mode = request.session, True, "Block"
        self.idle_timeout = request.idle_timeout
        lifetime = request.text("Lifetime")
        self.lifetime = soap.seconds(lifetime) if lifetime.startswith("P") else None
        self.last_answer: tuple[str, str] | None = None  # of the last Receive: its message id and the answer
        self._loop = asyncio.get_running_loop()

    # --- connecting ([MS-WSMV] 3.1.4.15-17)

    def disconnect(self, session: str, idle: float | None, mode: str) -> None:
        """Let go of the client; what runs goes on, its output is kept (Block) or loses its oldest part (Drop)."""
        if not self.can_disconnect:
            raise WsmanFault("disconnect_unsupported")
        if not self.connected:
            raise WsmanFault("disconnected_already")
        self.check_session(session)
        self.connected, self.idle_timeout = False, idle or self.idle_timeout
        self.buffer_mode = mode or self.buffer_mode
        self._set_dropping()

    def reconnect(self, session: str) -> None:
        """The same client comes back; for a connected shell nothing happens."""
        if not self.can_disconnect:
            raise WsmanFault("disconnect_unsupported")
        if session != self.session:
            raise WsmanFault("connected_elsewhere" if self.connected else "other_session")
        self.connected = True
        self._set_dropping()

    def connect(self, session: str, body: Element) -> str:
        """Another client takes over a disconnected shell; returns the content of rsp:ConnectResponse."""
        if not self.can_disconnect:
            raise WsmanFault("disconnect_unsupported")
        if self.connected:
            raise WsmanFault("connected_elsewhere")
        answer = self.shake_hands(body)
        self.session, self.connected, self.last_answer = session, True, None
        self._set_dropping()
        return answer

    def shake_hands(self, _body: Element) -> str:
        """What the shell's own protocol says to a new client."""
        raise WsmanFault("disconnect_unsupported")

    def check_session(self, session: str) -> None:
        """The fault for a client that is not the one the shell serves."""
        if session != self.session:
            raise WsmanFault("other_session")

    def need_connection(self) -> None:
        """The fault for operations that a disconnected shell does not do."""
        if not self.connected:
            raise WsmanFault("shell_disconnected")

    def _set_dropping(self) -> None:
        for outbox in self.outboxes(list(self.tasks.values())):
            outbox.dropping = not self.connected and self.buffer_mode == "Drop"

    def is_over(self) -> bool:
        """True when the shell's idle timeout or lifetime has passed.

        A disconnected shell idles even while commands run in it (about_Remote_Disconnected_Sessions).
        """
        now = self.host.clock.monotonic()
        if self.lifetime is not None and now - self.created > self.lifetime:
            return True
        return now - self.used > self.idle_timeout and not (self.pending and self.connected)

    # --- commands

    def new_task(self, command_id: str) -> Task:
        """Enter a command; the fault for identifiers in use, and for too many that are not read to their end."""
        if command_id in self.tasks:
            raise WsmanFault("already_exists", identifier=command_id)
        limit = self.settings.max_commands_per_shell
        if sum(not each.outbox.drained for each in self.tasks.values()) >= limit:
            raise WsmanFault("commands_quota", limit=limit)
        task = Task(command_id, Outbox(self.settings.backlog))
        self.tasks[command_id] = task
        return task

    def task(self, command_id: str) -> Task:
        """The command with this id; the fault for unknown ones."""
        task = self.tasks.get(command_id.strip().upper())
        if task is None:
            raise WsmanFault("unknown_command")
        return task

    def unread(self, command_id: str) -> Task:
        """The command with this id, unless its client has read everything; then it does not exist any more."""
        task = self.task(command_id)
        if task.outbox.drained:
            raise WsmanFault("unknown_command")
        return task

    def command_line(self, _command_id: str) -> str:
        """The command line as an enumeration shows it; pipelines have none (recorded)."""
        return ""

    def launch(self, task: Task, name: str, work: threading.Thread) -> None:
        """Start the thread of a command; it calls ended() when it is over."""
        task.started = True
        work.name, work.daemon = f"{self.host.name} {name} {task.id[:8]}", True
        work.start()

    def ended(self, task: Task) -> None:
        """The command's thread is over; called from that thread."""
        try:
            self._loop.call_soon_threadsafe(self.on_ended, task)
        except RuntimeError:  # the loop is closed: nobody waits any more
            return

    def on_ended(self, task: Task) -> None:
        """Tell those who wait for the command."""
        task.ended.set()

    async def stop(self, task: Task, patience: float) -> bool:
        """Stop a command and wait for its end; False when it does not end in time (seconds)."""
        task.stop.set()
        if not task.started:
            task.outbox.finish(1)
            return True
        try:
            await asyncio.wait_for(task.ended.wait(), patience)
        except asyncio.TimeoutError:
            return False
        return True

    async def signal(self, command_id: str, code: str, patience: float) -> None:
        """Signal a command ([MS-WSMV] 3.1.4.13): ctrl_c stops it, terminate also forgets it."""
        task = self.task(command_id)
        if code.lower() not in STOPPING and code.lower() != TERMINATE:
            raise WsmanFault("invalid_parameter")
        if not task.outbox.finished and not await self.stop(task, patience):
            raise WsmanFault("timed_out")
        if code.lower() == TERMINATE:
            self.tasks.pop(task.id, None)
            task.outbox.abort()

    def kill(self) -> list[Task]:
        """Tell everything in the shell to stop, without waiting; returns what was told."""
        tasks = list(self.tasks.values())
        self.tasks.clear()
        for task in tasks:
            task.stop.set()
        for outbox in self.outboxes(tasks):
            outbox.abort()
        return tasks

    async def close(self) -> None:
        """Stop everything in the shell; waits for it, but not for ever."""
        await asyncio.gather(*(self.stop(task, self.settings.stop_patience) for task in self.kill()))

    def outboxes(self, tasks: list[Task]) -> list[Outbox]:
        """Everything that can be received from."""
        return [task.outbox for task in tasks]

    @abc.abstractmethod
    def source(self, command_id: str | None) -> Outbox:
        """What a Receive for this command (or the shell itself) reads from."""

    @abc.abstractmethod
    def command(self, command_id: str | None, line: str, arguments: list[str], options: dict[str, str]) -> str:
        """Run a command; returns its id."""

    @abc.abstractmethod
    def send(self, command_id: str | None, stream: str, data: bytes, *, end: bool) -> None:
        """Give input to a command or to the shell."""

    def describe(self) -> str:
        """The rsp:Shell element of the answers to Create, Get and Enumerate."""
        request, now = self.request, self.host.clock.monotonic()
        working = request.text("WorkingDirectory")
        parts = [
            soap.element("ShellId", self.id),
            soap.element("ResourceUri", request.resource),
            soap.element("Owner", self.owner_text),
            soap.element("ClientIP", request.client.rpartition(":")[0]),
            soap.element("WorkingDirectory", working) if working else "",
            soap.element("IdleTimeOut", f"PT{self.idle_timeout:.3f}S"),
            soap.element("InputStreams", self.input_streams),
            soap.element("OutputStreams", self.output_streams),
            self.details(),
            soap.element("ShellRunTime", _long_duration(now - self.created)),
            soap.element("ShellInactivity", _long_duration(now - self.used)),
        ]
        return f'<rsp:Shell xmlns:rsp="{soap.RSP}">{"".join(parts)}</rsp:Shell>'

    @property
    def owner_text(self) -> str:
        """The owner as this kind of shell tells it: cmd shells without a domain (recorded)."""
        return self.owner.name

    def details(self) -> str:
        """What this kind of shell says of itself besides."""
        return ""


class ShellTable:
    """The shells of one host by their ids, which compare without regard to case."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._shells: dict[str, Shell] = {}

    def check(self, owner: User, shell_id: str) -> None:
        """Refuse a shell that has an id in use or exceeds a quota (MaxConcurrentUsers, MaxShellsPerUser)."""
        if shell_id in self._shells:
            raise WsmanFault("already_exists", identifier=shell_id)
        owners = [shell.owner.sid for shell in self._shells.values() if not shell.is_over()]
        if owner.sid not in owners and len(set(owners)) >= self._settings.max_users:
            raise WsmanFault("users_quota", limit=self._settings.max_users)
        if owners.count(owner.sid) >= self._settings.max_shells_per_user:
            raise WsmanFault("shell_quota", limit=self._settings.max_shells_per_user)

    def add(self, shell: Shell) -> None:
        """Enter a shell."""
        self._shells[shell.id] = shell

    def get(self, user: User, shell_id: str) -> Shell:
        """The user's shell with this id; other users' shells, and those whose time is over, are as unknown as none."""
        shell = self._shells.get(shell_id)
        if shell is None or shell.owner.sid != user.sid or shell.is_over():
            raise WsmanFault("unknown_shell", shell_id=shell_id)
        shell.used = shell.host.clock.monotonic()
        return shell

    def remove(self, shell: Shell) -> None:
        """Forget a shell."""
        self._shells.pop(shell.id, None)

    def over(self) -> list[Shell]:
        """Shells whose time is over (by their hosts' clocks)."""
        return [shell for shell in self._shells.values() if shell.is_over()]

    def seen_by(self, user: User) -> list[Shell]:
        """The shells a user may list: his own, for administrators those of all."""
        shells = [each for each in self._shells.values() if not each.is_over()]
        return [each for each in shells if user.administrator or each.owner.sid == user.sid]

    def __len__(self) -> int:
        return len(self._shells)

    def all(self) -> list[Shell]:
        """All shells."""
        return list(self._shells.values())


def new_id() -> str:
    """A new shell or command id."""
    return str(uuid.uuid4()).upper()


def checked_id(text: str) -> str:
    """An id given by the client, upper case; the fault for texts that are no UUID."""
    try:
        return str(uuid.UUID(text.strip())).upper()
    except ValueError as error:
        raise WsmanFault("invalid_message", what="an identifier is no UUID") from error


def _long_duration(value: float) -> str:
    minutes, second = divmod(int(value), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    return f"P{days}DT{hour}H{minute}M{second}S"
