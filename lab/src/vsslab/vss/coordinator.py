# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Volume Shadow Copy Service of one host."""

from __future__ import annotations

import contextlib
import datetime
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .. import incidents
from ..windows.errors import WinError
from . import admission, codes, state
from .codes import Attribute, Context, Until, VssError
from .commit import Order
from .creation import Creation
from .guard import TreeGuard
from .log import EventLog, event_numbers
from .options import Options
from .overflow import Overflow
from .providers import SYSTEM_PROVIDER, Provider
from .revert import Revert, Reverts
from .roster import Roster
from .selection import Selection, select
from .shadows import ShadowCopy, SnapshotSet
from .storage import StorageAreas
from .store import Store
from .transport import StorageArray
from .trees import Mark
from .writers import Writer, volume_of

if TYPE_CHECKING:
    from ..windows.host import Host
    from ..windows.namespace import Located
    from ..windows.volumes import Volume

_SUPPORTED = frozenset({"NTFS", "REFS"})
_LOCAL = 3
_LARGEST = 64 * 2**40
_GOODBYE = 2.0  # seconds (of the machine) that a thread may take to end


class Coordinator:
    """Writers, providers, shadow copies and the one creation at a time; safe to use from any thread."""

    def __init__(self, host: Host, options: Options | None = None) -> None:
        self.host = host
        self.options = options or Options()
        self.log = EventLog(host)
        self.store = Store(host, host.root / "shadow-copies", self._changed)
        self.storage = StorageAreas(self.store, self.options.limits, host.volumes, self.log)
        self.overflow = Overflow(self)
        self.array = StorageArray(self)
        self.reverts = Reverts(self)
        self.providers: list[Provider] = [SYSTEM_PROVIDER, *self.options.providers]
        self.roster = Roster(self)
        self._creating = threading.Lock()
        self._holder: str | None = None
        self._ending: threading.Event | None = None  # ends the creation that runs
        self._closed = threading.Event()
        self._others: dict[threading.Event, threading.Thread] = {}  # other requestors at work, by what ends them
        self._idle: Callable[[], None] | None = None

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
        return self.roster.present

    def add_writer(self, writer: Writer) -> Writer:
        """An application brings its writer; the source of its freeze events is registered."""
        return self.roster.add(writer)

    def remove_writer(self, writer: Writer) -> None:
        """An application is gone, its writer with it."""
        self.roster.remove(writer)

    def all_apps(self) -> list[Any]:
        """Every application of the host, with or without a writer, each once."""
        found: list[Any] = []
        for app in [*self.host.apps.values(), *(writer.app for writer in self.roster.all)]:
            if app is not None and not any(app is each for each in found):
                found.append(app)
        return found

    def writes_to(self, app: Any, volume: Volume) -> bool:
        """True when an application has files on a volume, by name or behind a link."""
        named = any(volume_of(path, self.host.volumes) is volume for path in app.volumes)
        return named or any(place.volume is volume for place in self._folders(app))

    def _folders(self, app: Any) -> Iterator[Located]:
        """Where the folders of an application really are."""
        for path in app.volumes:
            with contextlib.suppress(WinError):
                place = self.host.files.locate(str(path), follow=True)
                if place.exists:
                    yield place

    def written_folders(self, volume: Volume) -> list[str]:
        """Folders of a volume (POSIX paths below its root) that applications write to themselves."""
        places = [place for app in self.all_apps() for place in self._folders(app) if place.volume is volume]
        found = [each.real.relative_to(volume.root).as_posix() for each in places]
        return ["" if each == "." else each for each in found]

    def guard(self, shadow: ShadowCopy, marks: dict[str, Mark]) -> None:
        """Watch over the tree of a copy: `marks` of its hard links."""
        volume = shadow.volume
        copies = self.store.of_volume(volume.guid)
        before = copies[-1].guard.marks if copies and copies[-1].guard is not None else {}
        for name, mark in marks.items():  # many copies of a large volume: equal marks are one object
            if before.get(name) == mark:
                marks[name] = before[name]
        shadow.guard = TreeGuard(shadow.root, shadow.id, marks, lambda: self.overflow.look(volume))
        shadow.metadata.guard = shadow.guard

    def discard(self, shadows: Iterable[ShadowCopy]) -> None:
        """Whatever there is of these copies goes."""
        for shadow in shadows:
            self.store.discard(shadow)

    @property
    def busy_with(self) -> str | None:
        """The name of the requestor whose creation runs, or None."""
        return self._holder

    def supported(self, volume: Volume) -> bool:
        """True when the system provider can copy the volume: local, NTFS or ReFS, at most 64 TB."""
        return volume.drive_type == _LOCAL and volume.file_system.upper() in _SUPPORTED and volume.capacity <= _LARGEST

    def supports(self, provider: Provider, volume: Volume) -> bool:
        """True when this provider can copy the volume."""
        return self.supported(volume) and provider.supports(volume)

    def volume(self, name: str) -> Volume:
        """The volume of a name (letter, mount folder, GUID path); VssError OBJECT_NOT_FOUND, VOLUME_NOT_SUPPORTED."""
        found: Volume | None = self.host.volumes.by_path(name)
        if found is None:
            raise VssError(codes.OBJECT_NOT_FOUND, f"There is no volume {name}.")
        if not self.supported(found):
            raise VssError(codes.VOLUME_NOT_SUPPORTED, f"{name} cannot be shadow copied.")
        return found

    def previous_version(self, volume: Volume, moment: datetime.datetime) -> str | None:
        """The device of the client-accessible copy made in that second (@GMT tokens: UTC, whole seconds), or None.

        Source: [MS-SMB2] on @GMT tokens; of two copies in one second the newer is taken (assumed).
        """
        second = moment.replace(microsecond=0)
        there = [each for each in self.store.of_volume(volume.guid) if each.context.client_accessible]
        return next((e.device for e in reversed(there) if e.created.replace(microsecond=0) == second), None)

    # --- requestors

    def gather(self, stop: threading.Event | None = None) -> list[Writer]:
        """GatherWriterMetadata: the writers that answered; one that failed to is left out and marked."""
        return self.roster.gather(stop or self._closed)

    def create(  # noqa: PLR0913 - a requestor's choices, by keyword
        self,
        requestor: str,
        volumes: Sequence[Volume],
        context: Context,
        *,
        exclude: Sequence[str] = (),
        verify: Sequence[str] = (),
        full: bool = False,
        options: Attribute = codes.NO_ATTRIBUTES,
        providers: Mapping[str, str] | None = None,
        stop: threading.Event | None = None,
        selected: Callable[[Selection], None] | None = None,
    ) -> SnapshotSet:
        """Create a snapshot set; blocks until it exists.

        `exclude` and `verify` name writers or components; `providers` gives the ids of providers by GUID of the volume,
        for volumes it lacks one is chosen (`vsslab.vss.providers.choose`); `selected` is told the selection before
        writers are prepared; `stop` ends the creation cleanly when it is set before the commit.  A TRANSPORTABLE set is
        not in the system afterwards: it waits for `import_set`.  VssError: SNAPSHOT_SET_IN_PROGRESS while another
        creation runs, E_INVALIDARG when a verification fails, or the reason of the failure.
        """
        ending = stop or threading.Event()
        for volume in volumes:
            self.volume(volume.device_id)
        with self._one_at_a_time(requestor):
            self._ending = ending
            chosen = admission.choose_all(self, volumes, context, options, providers or {})
            admission.make_room(self, volumes, context, chosen)
            selection = Selection()
            try:
                if context.writers:
                    self.roster.begin_session()
                    selection = select(self.gather(ending), volumes, self.host.volumes, exclude, verify)
                if selected is not None:
                    selected(selection)
                if selection.unverified:
                    raise VssError(codes.E_INVALIDARG, f"{selection.unverified[0]} is not included.")
                order = Order(requestor, list(volumes), context, selection, full, options, ending, chosen)
                made = Creation(self, order).run()
            except BaseException:
                for each in volumes:  # an association that came with a creation goes with it
                    self.storage.release(each)
                raise
            if options & Attribute.TRANSPORTABLE:
                self.array.keep(made)
        frozen = None if made.frozen_seconds is None else round(made.frozen_seconds, 3)
        self.log.phase("created", requestor, made.id, shadows=[each.id for each in made.shadows],
                       writers=[writer.name for writer, _ in made.writers], frozen=frozen)  # fmt: skip
        return made

    def complete(self, made: SnapshotSet, succeeded: bool = True, stop: threading.Event | None = None) -> None:
        """BackupComplete, then BackupShutdown; VssError names the first writer that failed at it."""
        self.log.phase("backup_complete", "", made.id, succeeded=succeeded)
        self.roster.complete(made.writers, stop or self._closed)

    def import_set(self, set_id: str, requestor: str) -> SnapshotSet:
        """Import a transportable set; VssError NO_SNAPSHOTS_IMPORTED, OBJECT_ALREADY_EXISTS, PROVIDER_NOT_REGISTERED,
        NOT_SUPPORTED on clients.
        """
        return self.array.import_set(set_id, requestor)

    def mask_set(self, set_id: str) -> None:
        """Remove an imported set from the system without deleting it; VssError OBJECT_NOT_FOUND, BAD_STATE."""
        self.array.mask_set(set_id)

    def break_set(self, set_id: str, *, writable: bool = False) -> list[Volume]:
        """Turn an imported set into volumes without a letter; VssError OBJECT_NOT_FOUND, BAD_STATE."""
        return self.array.break_set(set_id, writable=writable)

    def revert(self, shadow_id: str, *, force: bool = False) -> Revert:
        """Revert a volume to one of its copies; `force` dismounts it although programs have files open.

        VssError: OBJECT_NOT_FOUND; NOT_SUPPORTED on clients; UNSUPPORTED_CONTEXT for volatile copies and those of other
        providers; VOLUME_NOT_SUPPORTED for the volumes of Windows, its paging file and clusters; VOLUME_IN_USE;
        REVERT_IN_PROGRESS.  Source: IVssBackupComponents::RevertToSnapshot, Win32_ShadowCopy.Revert.
        """
        return self.reverts.start(self.store.get(shadow_id), force=force)

    def resize(self, volume: Volume, diff_volume: Volume, max_space: int) -> None:
        """Change the maximum of a storage area (StorageAreas.resize); copies that do not fit any more are evicted."""
        self.overflow.settle(self.storage.resize(volume, diff_volume, max_space))
        self.storage.reserve()
        self.overflow.watch()

    def lose(self, volume: Volume, event: str | int = "not_in_time") -> list[ShadowCopy]:
        """All system-provider copies of a volume vanish, with an event of data/events.yml; returns them.

        `event` is its key or volsnap's number (14, 16, 25, 35, 36, 40); ValueError for one that volsnap has not.
        """
        key = event_numbers().get(("volsnap", event)) if isinstance(event, int) else event
        if key is None:
            raise ValueError(f"volsnap has no event {event} here.")
        return self.overflow.drop(volume, key)

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
            self.host.clock.sleep(seconds, end)
            self._others.pop(end, None)
            self._holder = None
            self._creating.release()

        self._others[end] = self.host.clock.spawn(wait, name=f"{self.host.name}:{requestor}")
        return end

    def meet_fault(
        self,
        phase: str,
        writer: Writer | None,
        stop: threading.Event,
        at_most: float | None = None,
        volumes: Iterable[Volume] = (),
        provider: str | None = None,
    ) -> bool:
        """Meet the fault of kind 'phase' that waits here: delay, then fail (VssError).

        Facts: phase, writer (name), writer_id, service; the set's `volumes`, the `provider`'s name.  With
        `at_most` a delay is cut there; False then.
        """
        names = [name.rstrip("\\") for each in volumes for name in each.names]
        facts: dict[str, Any] = {"phase": phase, "volume": names, "provider": provider}
        if writer is not None:
            facts |= {"writer": writer.name, "writer_id": writer.class_id, "service": writer.service}
        fault = incidents.fire(self.host, "phase", **facts)
        if fault is None:
            return True
        in_time = incidents.perform(self.host, fault, stop, at_most)
        if fault.fail is not None:
            until = Until(fault.do.get("until", "session"))
            raise VssError(fault.fail & 0xFFFFFFFF, f"A fault was ordered for {phase}.", writer=writer, until=until)
        return in_time

    # --- inside

    @contextlib.contextmanager
    def _one_at_a_time(self, requestor: str) -> Iterator[None]:
        if not self._creating.acquire(blocking=False):
            raise VssError(codes.SNAPSHOT_SET_IN_PROGRESS, f"{self._holder} is creating a shadow copy.")
        self._holder = requestor
        try:
            yield
        finally:
            self._holder = self._ending = None
            self._creating.release()
            self._wait_idle()

    def _wait_idle(self) -> None:
        """The service ends by itself when nobody has used it for its idle time-out (180 s by default)."""
        if self._idle is not None:
            self._idle()
        if not self._closed.is_set():
            self._idle = self.host.clock.call_after(self.options.limits.idle_timeout, self.log.idle, "VSS: idle")

    def _changed(self, action: str, shadow: ShadowCopy) -> None:
        self.host.trace.write("vss", self.host.name, shadow=shadow.id, action=action, volume=shadow.volume.display,
                              device=shadow.device, exposed=shadow.exposed)  # fmt: skip
        if action not in ("exposed", "unexposed"):
            self.storage.release(shadow.volume)
            self.storage.reserve()
            self.overflow.watch()

    def dump(self) -> dict[str, Any]:
        """Everything VSS keeps on this host as plain data; the files of the copies are below the host's folder."""
        return state.dump(self)

    def load(self, data: Mapping[str, Any]) -> None:
        """Take over what `dump` gave, before anything was done; ValueError."""
        state.load(self, data)

    def reboot(self) -> None:
        """The host restarts: volatile copies vanish, device numbers start over, every writer is a new instance."""
        for end in (*self._others, *([self._ending] if self._ending else [])):
            end.set()  # requestors that are no processes of the host (WMI's, other products) end with it too
        if self._creating.acquire(timeout=_GOODBYE):
            self._creating.release()
        self.store.reboot()
        self.reverts.reboot()
        self.roster.reboot()

    def close(self) -> None:
        """End what waits in the background."""
        self._closed.set()
        self.overflow.close()
        self.reverts.close()
        for end, thread in tuple(self._others.items()):
            end.set()
            thread.join(_GOODBYE)
        if self._idle is not None:
            self._idle()
