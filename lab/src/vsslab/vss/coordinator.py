# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Volume Shadow Copy Service of one host."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from . import codes
from .codes import Attribute, Context, VssError, WriterState
from .creation import Creation, Order
from .inbox import inbox_writers
from .log import EventLog
from .options import Options
from .selection import Selection, select
from .shadows import SYSTEM_PROVIDER, Provider, ShadowCopy, SnapshotSet
from .storage import StorageAreas
from .store import Store
from .writers import Writer

if TYPE_CHECKING:
    from ..windows.host import Host
    from ..windows.volumes import Volume

_SUPPORTED = frozenset({"NTFS", "REFS"})
_LOCAL = 3
_LARGEST = 64 * 2**40
_VSS_SERVICE = "VSS"


class Coordinator:
    """Writers, providers, shadow copies and the one creation at a time; safe to use from any thread."""

    def __init__(self, host: Host, options: Options | None = None) -> None:
        self.host = host
        self.options = options or Options()
        self.log = EventLog(host)
        self.store = Store(host, host.root / "shadow-copies", self._changed)
        self.storage = StorageAreas(self.store, self.options.limits)
        self.providers: list[Provider] = [SYSTEM_PROVIDER]
        edition = "server" if host.profile.product_type != 1 else "client"
        self._writers = inbox_writers(edition, host.volumes, self.options.no_writers)
        for writer in self._writers:
            self._follow_service(writer)
        self._creating = threading.Lock()
        self._holder: str | None = None
        self._closed = threading.Event()
        self._idle: threading.Timer | None = None

    # --- what is there

    @property
    def machine(self) -> str:
        """The name copies carry: fully qualified in a domain, else the host's name."""
        domain = self.host.domain
        return f"{self.host.name}.{domain}" if "." in domain else self.host.name

    @property
    def is_server(self) -> bool:
        """True for the server editions."""
        return bool(self.host.profile.product_type != 1)

    @property
    def shadows(self) -> list[ShadowCopy]:
        """All shadow copies, oldest first."""
        return self.store.all()

    @property
    def writers(self) -> list[Writer]:
        """The writers whose service runs, in the order of their instances: no order is promised anywhere."""
        return sorted((each for each in self._writers if self._serves(each)), key=lambda each: each.instance_id)

    def add_writer(self, writer: Writer) -> Writer:
        """An application brings its writer; the source of its freeze events is registered."""
        self._writers.append(writer)
        events = writer.freeze_events
        if events is not None and self.host.events.log_of(events.provider) is None:
            self.host.events.register_source("Application", events.provider)
        self._follow_service(writer)
        return writer

    def _follow_service(self, writer: Writer) -> None:
        """A start of the service that holds the writer makes another instance of it."""
        for service in self.host.services.list():
            if service.name.lower() == writer.service.lower():
                service.on_start.append(writer.restart)

    def remove_writer(self, writer: Writer) -> None:
        """An application is gone, its writer with it."""
        self._writers.remove(writer)

    def _serves(self, writer: Writer) -> bool:
        """False when the service that holds the writer is there and stopped; VSS itself starts on demand."""
        if writer.service == _VSS_SERVICE:
            return True
        service = next((e for e in self.host.services.list() if e.name.lower() == writer.service.lower()), None)
        return service is None or service.status != "Stopped"

    def all_apps(self) -> list[Any]:
        """Every application of the host, with or without a writer, each once."""
        found: list[Any] = []
        for app in [*self.host.apps.values(), *(writer.app for writer in self._writers)]:
            if app is not None and not any(app is each for each in found):
                found.append(app)
        return found

    @property
    def busy_with(self) -> str | None:
        """The name of the requestor whose creation runs, or None."""
        return self._holder

    def supported(self, volume: Volume) -> bool:
        """True when the system provider can copy the volume: local, NTFS or ReFS, at most 64 TB."""
        return volume.drive_type == _LOCAL and volume.file_system.upper() in _SUPPORTED and volume.capacity <= _LARGEST

    def volume(self, name: str) -> Volume:
        """The volume of a name (letter, mount folder, GUID path); VssError OBJECT_NOT_FOUND, VOLUME_NOT_SUPPORTED."""
        found: Volume | None = self.host.volumes.by_path(name)
        if found is None:
            raise VssError(codes.OBJECT_NOT_FOUND, f"There is no volume {name}.")
        if not self.supported(found):
            raise VssError(codes.VOLUME_NOT_SUPPORTED, f"{name} cannot be shadow copied.")
        return found

    # --- requestors

    def gather(self, stop: threading.Event | None = None) -> list[Writer]:
        """GatherWriterMetadata: the writers that answered; one that failed to is left out and marked."""
        self.log.phase("identify", "", "")
        answered = []
        for writer in self.writers:
            try:
                self.meet_fault("identify", writer, stop or self._closed)
            except VssError as error:
                writer.fail(WriterState.FAILED_AT_IDENTIFY, error.hresult)
                self.log.writer_failed("identify", writer, error.text)
                continue
            answered.append(writer)
        return answered

    def create(
        self,
        requestor: str,
        volumes: Sequence[Volume],
        context: Context,
        *,
        exclude: Sequence[str] = (),
        verify: Sequence[str] = (),
        full: bool = False,
        options: Attribute = codes.NO_ATTRIBUTES,
        stop: threading.Event | None = None,
        selected: Callable[[Selection], None] | None = None,
    ) -> SnapshotSet:
        """Create a snapshot set; blocks until it exists.

        `exclude` and `verify` name writers or components; `selected` is told the selection before writers are
        prepared; `stop` ends the creation cleanly when it is set before the commit.  VssError: SNAPSHOT_SET_IN_PROGRESS
        while another creation runs, E_INVALIDARG when a verification fails, or the reason of the failure.
        """
        ending = stop or threading.Event()
        for volume in volumes:
            self.volume(volume.device_id)
        with self._one_at_a_time(requestor):
            self._make_room(volumes, context)
            selection = Selection()
            if context.writers:
                for writer in self._writers:
                    writer.settle()
                selection = select(self.gather(ending), volumes, self.host.volumes, exclude, verify)
            if selected is not None:
                selected(selection)
            if selection.unverified:
                raise VssError(codes.E_INVALIDARG, f"{selection.unverified[0]} is not included.")
            order = Order(requestor, list(volumes), context, selection, full, options, ending)
            made = Creation(self, order).run()
        frozen = None if made.frozen_seconds is None else round(made.frozen_seconds, 3)
        self.log.phase("created", requestor, made.id, shadows=[each.id for each in made.shadows],
                       writers=[writer.name for writer, _ in made.writers], frozen=frozen)  # fmt: skip
        return made

    def complete(self, made: SnapshotSet, succeeded: bool = True, stop: threading.Event | None = None) -> None:
        """BackupComplete, then BackupShutdown; VssError names the first writer that failed at it."""
        self.log.phase("backup_complete", "", made.id, succeeded=succeeded)
        steps = (
            ("backup_complete", WriterState.FAILED_AT_BACKUP_COMPLETE),
            ("backup_shutdown", WriterState.FAILED_AT_BACKUPSHUTDOWN),
        )
        failed: Writer | None = None
        for phase, state in steps:
            for writer, _ in made.writers:
                if writer.state is not WriterState.WAITING_FOR_BACKUP_COMPLETE:
                    continue
                try:
                    self.meet_fault(phase, writer, stop or self._closed)
                except VssError as error:
                    writer.fail(state, error.hresult)
                    self.log.writer_failed(phase, writer, error.text)
                    failed = failed or writer
        for writer, _ in made.writers:
            if writer.state is WriterState.WAITING_FOR_BACKUP_COMPLETE:
                writer.settle()
        if failed is not None:
            raise VssError(failed.failure, f"{failed.name} failed at backup complete.", writer=failed)

    def delete(self, shadow_id: str) -> None:
        """Delete one shadow copy of any context; VssError OBJECT_NOT_FOUND."""
        self.store.delete(self.store.get(shadow_id))

    def expose(self, shadow_id: str, target: str) -> str:
        """Expose a copy under a letter or an empty folder; the name it has then (see Store.expose for errors)."""
        return self.store.expose(self.store.get(shadow_id), target)

    def unexpose(self, shadow_id: str) -> None:
        """Take an exposure back; VssError."""
        self.store.unexpose(self.store.get(shadow_id))

    def hold_by_other(self, seconds: float, requestor: str = "Other Backup") -> threading.Event:
        """Another product creates a shadow copy for that many seconds; set the event returned to end it sooner.

        VssError SNAPSHOT_SET_IN_PROGRESS when a creation runs already.
        """
        if not self._creating.acquire(blocking=False):
            raise VssError(codes.SNAPSHOT_SET_IN_PROGRESS, f"{self._holder} is creating a shadow copy.")
        self._holder = requestor
        end = threading.Event()
        self.log.phase("held", requestor, "", seconds=seconds)

        def wait() -> None:
            until = self.host.clock.monotonic() + seconds
            while not self._closed.is_set() and self.host.clock.monotonic() < until:
                if self.host.clock.sleep(min(1.0, until - self.host.clock.monotonic()), end):
                    break
            self._holder = None
            self._creating.release()

        threading.Thread(target=wait, name=f"{self.host.name}:{requestor}", daemon=True).start()
        return end

    def meet_fault(
        self, phase: str, writer: Writer | None, stop: threading.Event, at_most: float | None = None
    ) -> bool:
        """Meet the fault of kind 'phase' that waits here: delay, then fail (VssError).

        Facts: host, phase, writer (name), writer_id, service.  With `at_most` a delay is cut there; False then.
        """
        facts = {"host": self.host.name, "phase": phase}
        if writer is not None:
            facts |= {"writer": writer.name, "writer_id": writer.class_id, "service": writer.service}
        fault = self.host.faults.match("phase", **facts)
        if fault is None:
            return True
        self.host.trace.write("fault", self.host.name, id=fault.id, do=fault.do, phase=phase,
                              writer=writer.name if writer else None)  # fmt: skip
        cut = at_most is not None and fault.delay > at_most
        self.host.clock.sleep(at_most if cut and at_most is not None else fault.delay, stop)
        if fault.fail is not None:
            raise VssError(fault.fail & 0xFFFFFFFF, f"A fault was ordered for {phase}.", writer=writer)
        return not cut

    # --- inside

    @contextlib.contextmanager
    def _one_at_a_time(self, requestor: str) -> Iterator[None]:
        if not self._creating.acquire(blocking=False):
            raise VssError(codes.SNAPSHOT_SET_IN_PROGRESS, f"{self._holder} is creating a shadow copy.")
        self._holder = requestor
        try:
            yield
        finally:
            self._holder = None
            self._creating.release()
            self._wait_idle()

    def _wait_idle(self) -> None:
        """The service ends by itself when nobody has used it for its idle time-out (180 s by default)."""
        if self._idle is not None:
            self._idle.cancel()
        if not self._closed.is_set():
            self._idle = threading.Timer(self.options.limits.idle_timeout / self.host.clock.speed, self.log.idle)
            self._idle.daemon = True
            self._idle.start()

    def _make_room(self, volumes: Iterable[Volume], context: Context) -> None:
        """The limits on numbers and space, before a writer hears of the creation."""
        chosen, limits = list(volumes), self.options.limits
        if not chosen:
            raise VssError(codes.BAD_STATE, "The set has no volume.")
        if len(chosen) > limits.volumes_per_set:
            raise VssError(codes.MAXIMUM_NUMBER_OF_VOLUMES_REACHED, "Too many volumes for one set.")
        for volume in chosen:
            there = self.store.of_volume(volume.guid)
            if len(there) >= limits.shadows_per_volume:
                raise VssError(codes.MAXIMUM_NUMBER_OF_SNAPSHOTS_REACHED, f"{volume.display} has too many copies.")
            visible = [each for each in there if each.context.client_accessible]
            if context.client_accessible and len(visible) >= limits.client_accessible_per_volume:
                if not self.is_server:
                    raise VssError(codes.MAXIMUM_NUMBER_OF_SNAPSHOTS_REACHED, f"{volume.display} has too many copies.")
                self.store.delete(visible[0])
                self.log.evicted(volume)
            self.storage.ensure(volume)

    def _changed(self, action: str, shadow: ShadowCopy) -> None:
        self.host.trace.write("vss", self.host.name, shadow=shadow.id, action=action, volume=shadow.volume.display,
                              device=shadow.device, exposed=shadow.exposed)  # fmt: skip
        if action == "deleted":
            self.storage.release(shadow.volume)
        if action in ("added", "deleted"):
            self.storage.reserve()

    def reboot(self) -> None:
        """The host restarts: volatile copies vanish, device numbers start over, every writer is a new instance."""
        self.store.reboot()
        for writer in self._writers:
            writer.restart()

    def close(self) -> None:
        """End what waits in the background."""
        self._closed.set()
        if self._idle is not None:
            self._idle.cancel()
