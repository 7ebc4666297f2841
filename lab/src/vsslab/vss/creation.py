# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One creation of a snapshot set, phase by phase, as the VSS service drives it.

prepare_backup, prepare_snapshot, freeze, flush_hold, commit, release, thaw, post_snapshot (VSS documentation,
"Overview of Processing a Backup Under VSS").  A writer's failure ends the creation before anything is kept: the public
requestors abort the set when a selected writer has failed.  Whatever happens, writes are released and writers thawed.
"""

from __future__ import annotations

import contextlib
import threading
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING

from . import codes
from .codes import Attribute, VssError, WriterState
from .commit import Commit, Order
from .roster import Question
from .shadows import ShadowCopy, SnapshotSet
from .writers import Writer

if TYPE_CHECKING:
    from .coordinator import Coordinator


class Creation:
    """Runs one order; use once."""

    def __init__(self, vss: Coordinator, order: Order) -> None:
        self._vss = vss
        self._host = vss.host
        self._clock = vss.host.clock
        self._limits = vss.options.limits
        self._order = order
        self._writers = [writer for writer, _ in order.selection.writers] if order.context.writers else []
        self._set_id = str(uuid.uuid4())
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._frozen: dict[int, float] = {}
        self._thawed: set[int] = set()
        self._commit = Commit(vss, order, self._set_id)
        self._freeze_began: float | None = None
        self._freeze_ended: float | None = None

    def run(self) -> SnapshotSet:
        """Create the set; VssError when it fails, E_ABORT when the requestor's process ended before the commit."""
        shadows: list[ShadowCopy] = []
        try:
            self._each("prepare_backup", WriterState.FAILED_AT_PREPARE_BACKUP, lambda writer: None)
            self._each("prepare_snapshot", WriterState.FAILED_AT_PREPARE_SNAPSHOT, self._prepared)
            self._commit.prepare()
            try:
                self._freeze()
                shadows = self._commit.run()
            except BaseException:
                self._thaw(failing=True)
                raise
            self._thaw()
            for shadow in shadows:
                if not shadow.attributes & Attribute.TRANSPORTABLE:
                    self._vss.store.add(shadow)
            self._each("post_snapshot", WriterState.FAILED_AT_POST_SNAPSHOT, self._done, stoppable=False)
        except BaseException:
            self._vss.discard(shadows)
            self._settle_survivors()
            raise
        finally:
            self._over.set()
        frozen = None
        if self._writers and self._freeze_began is not None and self._freeze_ended is not None:
            frozen = self._freeze_ended - self._freeze_began
        part = self._order.selection.writers if self._writers else []
        return SnapshotSet(self._set_id, self._order.context, shadows, list(part), frozen)

    # --- phases of writers

    def _prepared(self, writer: Writer) -> None:
        writer.state = WriterState.WAITING_FOR_FREEZE

    def _done(self, writer: Writer) -> None:
        writer.state = WriterState.WAITING_FOR_BACKUP_COMPLETE

    def _freeze(self) -> None:
        self._freeze_began = self._clock.monotonic()

        def freeze(writer: Writer) -> None:
            if writer.app is not None:
                # a little longer than VSS waits: whose patience ends first decides what the writer failed with
                writer.app.freeze((self._limit(writer) + 1.0) / self._clock.speed)
            with self._lock:
                late = self._over.is_set() or writer.state.failed
                if not late:
                    self._frozen[id(writer)] = self._clock.monotonic()
                    writer.state = WriterState.WAITING_FOR_THAW
            if late:
                self._unfreeze(writer)
            else:
                self._vss.log.frozen(writer, thawed=False)

        self._each("freeze", WriterState.FAILED_AT_FREEZE, freeze)

    def _limit(self, writer: Writer) -> float:
        return min(self._limits.freeze, writer.freeze_limit or self._limits.freeze)

    def _thaw(self, failing: bool = False) -> None:
        """Thaw everyone that was frozen; when not failing already, a window that was exceeded fails the creation."""

        def thaw(writer: Writer) -> None:
            since = self._frozen.pop(id(writer), None)
            self._unfreeze(writer)
            if since is None:
                return
            self._vss.log.frozen(writer, thawed=True)
            if self._clock.monotonic() - since > self._limit(writer):
                raise VssError(codes.WRITERERROR_TIMEOUT, f"{writer.name} was frozen for too long.", writer=writer)
            writer.state = WriterState.WAITING_FOR_POST_SNAPSHOT

        try:
            if failing:
                self._over.set()
                with contextlib.suppress(VssError):
                    self._each("thaw", WriterState.FAILED_AT_THAW, thaw, stoppable=False)
            else:
                self._each("thaw", WriterState.FAILED_AT_THAW, thaw, stoppable=False)
        finally:
            for writer in self._writers:
                if id(writer) not in self._thawed:
                    self._unfreeze(writer)
            self._freeze_ended = self._clock.monotonic()

    def _settle_survivors(self) -> None:
        """An aborted session leaves the writers that did not fail stable again."""
        for writer in self._writers:
            if not writer.state.failed:
                writer.settle()

    def _unfreeze(self, writer: Writer) -> None:
        self._thawed.add(id(writer))
        if writer.app is not None:
            try:
                writer.app.thaw()
            except Exception as error:  # noqa: BLE001 - a dead application cannot be thawed, and must not stop the others
                self._host.trace.write("vss", self._host.name, problem=f"{writer.name} did not thaw: {error}")

    def _each(
        self,
        phase: str,
        failed: WriterState,
        action: Callable[[Writer], None],
        *,
        stoppable: bool = True,
    ) -> None:
        """Let every writer do a phase at the same time; VssError of the first that failed, after all have answered."""
        self._check(stoppable)
        self._vss.log.phase(phase, self._order.requestor, self._set_id)
        active = [writer for writer in self._writers if not writer.state.failed]

        def told(writer: Writer, error: Exception | None) -> None:
            if error is not None:
                self._failed(phase, failed, writer, error)

        question = Question(
            phase, told, self._limit, codes.WRITERERROR_TIMEOUT, action, self._order.volumes, self._over
        )
        self._vss.roster.ask(question, active, self._order.stop if stoppable else None)
        self._check(stoppable)
        broken = next((writer for writer in self._writers if writer.state.failed), None)
        if broken is not None:
            raise VssError(broken.failure, f"{broken.name} failed at {phase}.", writer=broken)

    def _failed(self, phase: str, state: WriterState, writer: Writer, error: Exception) -> None:
        with self._lock:
            self._vss.roster.failed(writer, phase, state, error)

    def _check(self, stoppable: bool) -> None:
        if stoppable and self._order.stop.is_set():
            raise VssError(codes.E_ABORT, "The requestor's process has ended.")
