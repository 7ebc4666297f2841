# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The writers of one host: who is there, what they answer, and what they are told when a backup is over."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..windows.services import RUNNING, Service
from . import codes
from .codes import Until, VssError, WriterState
from .inbox import inbox_writers, role_writers
from .writers import Component, Writer

if TYPE_CHECKING:
    from ..windows.volumes import Volume
    from .coordinator import Coordinator

_VSS_SERVICE = "VSS"
_POLL = 0.05
_MOMENT = 0.001  # who answers exactly at the limit is in time
_CLOSING = (
    ("backup_complete", WriterState.FAILED_AT_BACKUP_COMPLETE),
    ("backup_shutdown", WriterState.FAILED_AT_BACKUPSHUTDOWN),
)


@dataclass
class Question:
    """What writers are asked in a phase: to meet its faults, then to `act`.

    `told` hears each answer as it comes; who is silent for longer than `limit` (seconds) has failed with `late`; once
    `over` is set, nobody is delayed any more; `volumes` are those of the set.
    """

    phase: str
    told: Callable[[Writer, Exception | None], None]
    limit: Callable[[Writer], float]
    late: int
    act: Callable[[Writer], None] = lambda _: None
    volumes: Sequence[Volume] = ()
    over: threading.Event = field(default_factory=threading.Event)


class Roster:
    """Safe to use from any thread as far as the coordinator's creations are one at a time."""

    def __init__(self, vss: Coordinator) -> None:
        self._vss = vss
        self._host = vss.host
        edition = "server" if vss.is_server else "client"
        self.all = inbox_writers(edition, vss.host.volumes, vss.options.no_writers)
        self.all += self._of_roles()
        for writer in self.all:
            self._follow_service(writer)
            self._leave(writer)

    @property
    def present(self) -> list[Writer]:
        """The writers whose service runs, in the order of their instances: no order is promised anywhere."""
        return sorted((each for each in self.all if self._serves(each)), key=lambda each: each.instance_id)

    def add(self, writer: Writer) -> Writer:
        """An application brings its writer; the source of its freeze events is registered."""
        self.all.append(writer)
        events = writer.freeze_events
        if events is not None and self._host.events.log_of(events.provider) is None:
            self._host.events.register_source("Application", events.provider)
        self._follow_service(writer)
        self._leave(writer)
        return writer

    def remove(self, writer: Writer) -> None:
        """An application is gone, its writer with it."""
        self.all.remove(writer)

    def _leave(self, writer: Writer) -> None:
        """The state in which the scenario says that it was left."""
        for name, left in self._vss.options.writer_states:
            if writer.answers_to(name):
                writer.fail(left.state, left.failure, left.until)

    def _of_roles(self) -> list[Writer]:
        """The writers of the host's roles; the services that hold them are there and run."""
        roles = {*self._vss.options.roles, *(["domain-controller"] if self._host.profile.domain_controller else ())}
        services = self._host.services
        writers = []
        for writer, display in role_writers(roles):
            if not any(each.name.lower() == writer.service.lower() for each in services.list()):
                services.add(Service(writer.service, display, RUNNING, "Auto"))
            writers.append(writer)
        return writers

    def _follow_service(self, writer: Writer) -> None:
        """A start of the service that holds the writer makes another instance of it; VSS starts with its next use."""
        for service in self._host.services.list():
            if service.name.lower() == writer.service.lower():
                service.on_start.append(writer.restart)
                if service.name.upper() == _VSS_SERVICE:
                    service.on_stop.append(writer.restart)

    def _serves(self, writer: Writer) -> bool:
        """False when the service that holds the writer is there and stopped; VSS itself starts on demand."""
        if writer.service == _VSS_SERVICE:
            return True
        service = next((e for e in self._host.services.list() if e.name.lower() == writer.service.lower()), None)
        return service is None or service.status != "Stopped"

    # --- sessions

    def begin_session(self) -> None:
        """What writers failed with in the last session is forgotten, unless it takes more than that."""
        for writer in self.all:
            if not writer.state.failed or writer.until is Until.SESSION:
                writer.settle()

    def gather(self, stop: threading.Event) -> list[Writer]:
        """GatherWriterMetadata: the writers that answered; one that failed to is left out and marked.

        All are asked at the same time; who has not answered within the limit does not respond.
        """
        self._vss.log.phase("identify", "", "")
        asked = self.present
        for key in self._vss.options.noise:
            self._noise(key, asked)
        if not any(fault.kind == "phase" for fault in self._host.faults.list()):
            return asked  # nobody is slow, nobody fails
        answered: set[int] = set()

        def told(writer: Writer, error: Exception | None) -> None:
            if error is None:
                answered.add(id(writer))
            else:
                self.failed(writer, "identify", WriterState.FAILED_AT_IDENTIFY, error)

        limit = self._vss.options.limits.identify
        question = Question("identify", told, lambda _: limit, codes.WRITER_NOT_RESPONDING)
        try:
            self.ask(question, asked, stop)
        finally:
            question.over.set()
        return [each for each in asked if id(each) in answered]

    def _noise(self, key: str, asked: Sequence[Writer]) -> None:
        """Errors in the log that mean nothing: VSS 8194 of a writer, 12289 of a session."""
        if key == "callback" and asked:
            writer = next((each for each in asked if each.service != _VSS_SERVICE), asked[0])
            self._vss.log.event(key, name=writer.name, class_id=writer.class_id, instance=writer.instance_id)
        elif key == "session_lost":
            self._vss.log.event(key, routine="IVssWriterCallback", hresult=codes.WRITER_STATUS_NOT_AVAILABLE)

    def ask(self, question: Question, writers: Iterable[Writer], stop: threading.Event | None) -> None:
        """Ask writers the same thing at the same time; returns when all have answered or `stop` is set."""
        clock, began = self._host.clock, self._host.clock.monotonic()
        waiting = {id(writer): writer for writer in writers}
        answers: queue.Queue[tuple[Writer, Exception | None]] = queue.Queue()
        alarms = []

        def meet(writer: Writer) -> None:
            try:
                self._vss.meet_fault(question.phase, writer, question.over, volumes=question.volumes)
                question.act(writer)
            except Exception as error:  # noqa: BLE001 - whatever an application raises is its failure in this phase
                answers.put((writer, error))
            else:
                answers.put((writer, None))

        def silence(writer: Writer) -> Callable[[], None]:
            late = VssError(question.late, f"{writer.name} did not answer.", writer=writer)
            return lambda: answers.put((writer, late))

        for writer in waiting.values():
            clock.spawn(meet, writer, name=f"{self._host.name}:{writer.name}")
            until = began + question.limit(writer) + _MOMENT
            alarms.append(clock.call_at(until, silence(writer), f"{writer.name}: limit"))
        while waiting and not (stop is not None and stop.is_set()):
            with contextlib.suppress(queue.Empty):
                with clock.waiting():
                    writer, error = answers.get(timeout=_POLL)
                if waiting.pop(id(writer), None) is not None:
                    question.told(writer, error)
        for cancel in alarms:
            cancel()

    def failed(self, writer: Writer, phase: str, state: WriterState, error: Exception) -> None:
        """A writer failed in a phase: its state, and VSS 8229."""
        hresult = error.hresult if isinstance(error, VssError) else codes.WRITERERROR_NONRETRYABLE
        until = error.until if isinstance(error, VssError) else Until.SESSION
        writer.fail(state, hresult, until)
        self._vss.log.writer_failed(phase, writer, str(error))

    def complete(self, taking_part: Sequence[tuple[Writer, list[Component]]], stop: threading.Event) -> None:
        """BackupComplete, then BackupShutdown; VssError names the first writer that failed at it."""
        failed: Writer | None = None
        for phase, state in _CLOSING:
            for writer, _ in taking_part:
                if writer.state is not WriterState.WAITING_FOR_BACKUP_COMPLETE:
                    continue
                try:
                    self._vss.meet_fault(phase, writer, stop)
                except VssError as error:
                    self.failed(writer, phase, state, error)
                    failed = failed or writer
        for writer, _ in taking_part:
            if writer.state is WriterState.WAITING_FOR_BACKUP_COMPLETE:
                writer.settle()
        if failed is not None:
            raise VssError(failed.failure, f"{failed.name} failed at backup complete.", writer=failed)

    def reboot(self) -> None:
        """Every writer is a new instance, and nothing is left of what was."""
        for writer in self.all:
            writer.until = Until.SESSION
            writer.restart()
