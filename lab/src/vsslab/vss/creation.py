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
import queue
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from . import codes, trees
from .codes import Attribute, Context, VssError, WriterState
from .selection import Selection
from .shadows import ShadowCopy, SnapshotSet
from .writers import Writer, volume_of

if TYPE_CHECKING:
    from ..windows.metadata import Metadata
    from ..windows.volumes import Volume
    from .coordinator import Coordinator

_POLL = 0.05


@dataclass
class Order:
    """What a requestor asks for; `stop` is set when its process is ended."""

    requestor: str
    volumes: list[Volume]
    context: Context
    selection: Selection
    full: bool = False
    options: Attribute = codes.NO_ATTRIBUTES
    stop: threading.Event = field(default_factory=threading.Event)


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
        self._held = 0.0
        self._freeze_began: float | None = None
        self._freeze_ended: float | None = None

    def run(self) -> SnapshotSet:
        """Create the set; VssError when it fails, E_ABORT when the requestor's process ended before the commit."""
        shadows: list[ShadowCopy] = []
        try:
            self._each("prepare_backup", WriterState.FAILED_AT_PREPARE_BACKUP, lambda writer: None)
            self._each("prepare_snapshot", WriterState.FAILED_AT_PREPARE_SNAPSHOT, self._prepared)
            try:
                self._freeze()
                shadows = self._commit()
            except BaseException:
                self._thaw(failing=True)
                raise
            self._thaw()
            for shadow in shadows:
                self._vss.store.add(shadow)
            self._each("post_snapshot", WriterState.FAILED_AT_POST_SNAPSHOT, self._done, stoppable=False)
        except BaseException:
            self._discard(shadows)
            self._settle_survivors()
            raise
        finally:
            self._over.set()
        frozen = None
        if self._writers and self._freeze_began is not None and self._freeze_ended is not None:
            frozen = self._freeze_ended - self._freeze_began
        part = self._order.selection.writers if self._writers else []
        return SnapshotSet(self._set_id, self._order.context, shadows, list(part), frozen, self._held)

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
        answers: queue.Queue[tuple[Writer, Exception | None]] = queue.Queue()
        began = self._clock.monotonic()
        active = [writer for writer in self._writers if not writer.state.failed]
        for writer in active:
            threading.Thread(target=self._ask, args=(phase, writer, action, answers), daemon=True).start()
        waiting = {id(writer): writer for writer in active}
        while waiting:
            with contextlib.suppress(queue.Empty):
                writer, error = answers.get(timeout=_POLL)
                if waiting.pop(id(writer), None) is not None and error is not None:
                    self._failed(phase, failed, writer, error)
            spent = self._clock.monotonic() - began
            for writer in list(waiting.values()):
                if spent > self._limit(writer):
                    del waiting[id(writer)]
                    late = VssError(codes.WRITERERROR_TIMEOUT, f"{writer.name} did not answer.", writer=writer)
                    self._failed(phase, failed, writer, late)
            if stoppable and self._order.stop.is_set():
                break
        self._check(stoppable)
        broken = next((writer for writer in self._writers if writer.state.failed), None)
        if broken is not None:
            raise VssError(broken.failure, f"{broken.name} failed at {phase}.", writer=broken)

    def _ask(
        self,
        phase: str,
        writer: Writer,
        action: Callable[[Writer], None],
        answers: queue.Queue[tuple[Writer, Exception | None]],
    ) -> None:
        try:
            self._vss.meet_fault(phase, writer, self._over)
            action(writer)
        except Exception as error:  # noqa: BLE001 - whatever an application raises is its failure in this phase
            answers.put((writer, error))
        else:
            answers.put((writer, None))

    def _failed(self, phase: str, state: WriterState, writer: Writer, error: Exception) -> None:
        hresult = error.hresult if isinstance(error, VssError) else codes.WRITERERROR_NONRETRYABLE
        with self._lock:
            writer.fail(state, hresult)
        self._vss.log.writer_failed(phase, writer, str(error))

    def _check(self, stoppable: bool) -> None:
        if stoppable and self._order.stop.is_set():
            raise VssError(codes.E_ABORT, "The requestor's process has ended.")

    # --- the provider's part

    def _commit(self) -> list[ShadowCopy]:
        self._check(True)
        began = self._clock.monotonic()
        self._vss.log.phase("flush_hold", self._order.requestor, self._set_id)
        self._provider_fault("flush_hold", began, codes.FLUSH_WRITES_TIMEOUT)
        held = self._clock.monotonic()  # the limit counts from here: making everybody stand still is part of it
        with self._writes_held():
            try:
                self._vss.log.phase("commit", self._order.requestor, self._set_id)
                self._provider_fault("commit", held, codes.HOLD_WRITES_TIMEOUT)
                shadows = self._copy(held)
                try:
                    self._provider_fault("release", held, codes.HOLD_WRITES_TIMEOUT)
                except VssError:
                    self._discard(shadows)
                    raise
            finally:
                self._held = self._clock.monotonic() - held
        self._vss.log.phase("release", self._order.requestor, self._set_id, held=round(self._held, 3))
        return shadows

    def _provider_fault(self, phase: str, since: float, too_late: int) -> None:
        """Meet a fault of the provider; a delay beyond the hold limit is the time-out of this phase."""
        left = max(0.0, self._limits.hold - (self._clock.monotonic() - since))
        if not self._vss.meet_fault(phase, None, self._order.stop, at_most=left) or left <= 0:
            self._vss.log.hold_timeout(self._order.volumes, too_late)
            raise VssError(too_late, f"Writes could not be held long enough for {phase}.")
        self._check(True)

    def _copy(self, held: float) -> list[ShadowCopy]:
        def late() -> bool:
            return self._order.stop.is_set() or self._clock.monotonic() - held > self._limits.hold

        created = self._clock.now()
        shadows: list[ShadowCopy] = []
        attributes = self._order.context.attributes | self._order.options | Attribute.DIFFERENTIAL
        try:
            for volume in self._order.volumes:
                identity = str(uuid.uuid4())
                shadow = ShadowCopy(
                    identity, self._set_id, volume, self._order.context, created, len(self._order.volumes),
                    self._vss.machine, self._vss.store.next_number(), self._vss.store.folder / identity, attributes,
                    self._records_of(volume), requestor=self._order.requestor,
                )  # fmt: skip
                shadows.append(shadow)
                trees.copy_tree(volume.root, shadow.root, late)
                if late():
                    raise trees.Cancelled(str(volume.root))
                self._vss.store.surface(shadow)
        except trees.Cancelled:
            self._discard(shadows)
            self._check(True)
            self._vss.log.hold_timeout(self._order.volumes, codes.HOLD_WRITES_TIMEOUT)
            raise VssError(codes.HOLD_WRITES_TIMEOUT, "Copying took longer than writes can be held.") from None
        except OSError as error:
            self._discard(shadows)
            raise VssError(codes.UNEXPECTED_PROVIDER_ERROR, f"The copy failed: {error}") from error
        return shadows

    def _records_of(self, volume: Volume) -> Metadata:
        """Attributes and security of a volume's files now; a write that passed just before the hold may still end."""
        while True:
            try:
                return self._host.files.names.metadata_of(volume).copy()
            except RuntimeError:  # the records changed while they were copied
                self._check(True)

    def _discard(self, shadows: Iterable[ShadowCopy]) -> None:
        for shadow in shadows:
            self._vss.store.discard(shadow)

    @contextlib.contextmanager
    def _writes_held(self) -> Iterator[None]:
        """Stop every application with files on the set's volumes, and the host's own writes there."""
        inside = {volume.guid for volume in self._order.volumes}
        apps = [app for app in self._vss.all_apps() if self._touches(app, inside)]
        stopped: list[Any] = []
        try:
            with self._host.files.hold(self._order.volumes, self._limits.hold):
                for app in apps:
                    stopped.append(app)
                    self._hold(app)
                yield
        except TimeoutError:
            self._vss.log.hold_timeout(self._order.volumes, codes.FLUSH_WRITES_TIMEOUT)
            raise VssError(codes.FLUSH_WRITES_TIMEOUT, "Writes in progress did not end in time.") from None
        finally:
            for app in stopped:
                app.release()

    def _hold(self, app: Any) -> None:
        try:
            app.hold()
        except Exception as error:
            raise VssError(codes.HOLD_WRITES_TIMEOUT, f"The writes of an application go on: {error}") from error

    def _touches(self, app: Any, inside: set[str]) -> bool:
        volumes = [volume_of(path, self._host.volumes) for path in app.volumes]
        return any(volume is not None and volume.guid in inside for volume in volumes)
