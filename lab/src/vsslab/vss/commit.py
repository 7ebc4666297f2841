# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The providers' part of a creation: writes are flushed and held, and the copies are made meanwhile."""

from __future__ import annotations

import contextlib
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from . import codes, trees
from .codes import Attribute, Context, VssError
from .providers import HARDWARE, SYSTEM, Provider
from .selection import Selection
from .shadows import ShadowCopy

if TYPE_CHECKING:
    from ..windows.metadata import Metadata
    from ..windows.volumes import Volume
    from .coordinator import Coordinator

_EVER = 10 * 365 * 86400.0


@dataclass
class Order:
    """What a requestor asks for; `providers` by GUID of the volume; `stop` is set when its process is ended."""

    requestor: str
    volumes: list[Volume]
    context: Context
    selection: Selection
    full: bool = False
    options: Attribute = codes.NO_ATTRIBUTES
    stop: threading.Event = field(default_factory=threading.Event)
    providers: dict[str, Provider] = field(default_factory=dict)


class Commit:
    """Commits one order; use once.  `held`: seconds for which writes were held."""

    def __init__(self, vss: Coordinator, order: Order, set_id: str) -> None:
        self._vss = vss
        self._host = vss.host
        self._clock = vss.host.clock
        self._limits = vss.options.limits
        self._order = order
        self._set_id = set_id
        self.held = 0.0

    @property
    def _providers(self) -> list[Provider]:
        """Those that take part, each once."""
        return list({each.id: each for each in self._order.providers.values()}.values())

    def prepare(self) -> None:
        """Every provider but the system's prepares, however long it takes: phase provider_prepare."""
        for provider in self._providers:
            if provider.type == SYSTEM:
                continue
            self._vss.log.phase("provider_prepare", self._order.requestor, self._set_id, provider=provider.name)
            if provider.does == "hang":
                self._clock.sleep(_EVER, self._order.stop)
            try:
                self._meet_fault("provider_prepare", provider)
            except VssError as error:
                self._vss.log.provider_failed(provider.id, "EndPrepareSnapshots", error.hresult)
                raise
            self._check()

    def run(self) -> list[ShadowCopy]:
        """Make the copies; VssError, E_ABORT when the requestor's process has ended."""
        self._check()
        if any(each.boot for each in self._order.volumes):
            self._host.programs.lay_out()
        began = self._clock.monotonic()
        self._vss.log.phase("flush_hold", self._order.requestor, self._set_id)
        self._meet("flush_hold", began, codes.FLUSH_WRITES_TIMEOUT)
        held = self._clock.monotonic()  # the limit counts from here: making everybody stand still is part of it
        with self._writes_held():
            try:
                self._vss.log.phase("commit", self._order.requestor, self._set_id)
                self._providers_commit()
                self._meet("commit", held, codes.HOLD_WRITES_TIMEOUT)
                shadows = self._copy(held)
                try:
                    self._meet("release", held, codes.HOLD_WRITES_TIMEOUT)
                except VssError:
                    self._vss.discard(shadows)
                    raise
            finally:
                self.held = self._clock.monotonic() - held
        self._vss.log.phase("release", self._order.requestor, self._set_id, held=round(self.held, 3))
        return shadows

    def _check(self) -> None:
        if self._order.stop.is_set():
            raise VssError(codes.E_ABORT, "The requestor's process has ended.")

    def _providers_commit(self) -> None:
        """What the data of a provider say that it does at the commit."""
        for provider in self._providers:
            if provider.does == "time out":
                self._clock.sleep(self._limits.hold, self._order.stop)
                self._vss.log.provider_failed(provider.id, "CommitSnapshots", codes.HOLD_WRITES_TIMEOUT)
                self._vss.log.hold_timeout(self._order.volumes, codes.HOLD_WRITES_TIMEOUT)
                raise VssError(codes.HOLD_WRITES_TIMEOUT, f"{provider.name} took too long to commit.")
            if provider.does in ("veto", "fail"):
                hresult = codes.PROVIDER_VETO if provider.does == "veto" else codes.UNEXPECTED_PROVIDER_ERROR
                self._vss.log.provider_failed(provider.id, "CommitSnapshots", hresult)
                raise VssError(hresult, f"{provider.name} did not commit.")

    def _meet(self, phase: str, since: float, too_late: int) -> None:
        """Meet a fault of the provider; a delay beyond the hold limit is the time-out of this phase."""
        left = max(0.0, self._limits.hold - (self._clock.monotonic() - since))
        provider = self._providers[0] if self._providers else None
        try:
            in_time = self._meet_fault(phase, provider, left)
        except VssError as error:
            if error.hresult in (codes.UNEXPECTED, codes.E_UNEXPECTED):
                self._vss.log.event("unexpected", routine=phase, hresult=error.hresult)
            elif provider is not None:
                self._vss.log.provider_failed(provider.id, phase, error.hresult)
            raise
        if not in_time or left <= 0:
            self._vss.log.hold_timeout(self._order.volumes, too_late)
            raise VssError(too_late, f"Writes could not be held long enough for {phase}.")
        self._check()

    def _meet_fault(self, phase: str, provider: Provider | None, at_most: float | None = None) -> bool:
        name = None if provider is None else provider.name
        return self._vss.meet_fault(phase, None, self._order.stop, at_most, self._order.volumes, name)

    def _copy(self, held: float) -> list[ShadowCopy]:
        def late() -> bool:
            return self._order.stop.is_set() or self._clock.monotonic() - held > self._limits.hold

        shadows: list[ShadowCopy] = []
        created = self._clock.now()
        try:
            for volume in self._order.volumes:
                shadow = self._new(volume)
                shadow.created = created
                shadows.append(shadow)
                volume.shared = True
                frozen = trees.freeze_tree(volume.root, shadow.root, self._vss.written_folders(volume), late)
                if late():
                    raise trees.Cancelled(str(volume.root))
                shadow.size = frozen.size
                self._vss.guard(shadow, frozen.marks)
                if not shadow.attributes & Attribute.TRANSPORTABLE:
                    self._vss.store.surface(shadow)
        except trees.Cancelled:
            self._vss.discard(shadows)
            self._check()
            self._vss.log.hold_timeout(self._order.volumes, codes.HOLD_WRITES_TIMEOUT)
            raise VssError(codes.HOLD_WRITES_TIMEOUT, "Copying took longer than writes can be held.") from None
        except OSError as error:
            self._vss.discard(shadows)
            self._vss.log.event("unexpected", routine="CommitSnapshots", hresult=codes.UNEXPECTED_PROVIDER_ERROR)
            raise VssError(codes.UNEXPECTED_PROVIDER_ERROR, f"The copy failed: {error}") from error
        except BaseException:
            self._vss.discard(shadows)
            raise
        return shadows

    def _new(self, volume: Volume) -> ShadowCopy:
        order, identity = self._order, str(uuid.uuid4())
        provider = order.providers[volume.guid]
        attributes = order.context.attributes | provider.attributes(order.options)
        if order.context is Context.CLIENT_ACCESSIBLE_WRITERS and not order.options & Attribute.NO_AUTORECOVERY:
            attributes |= Attribute.AUTORECOVER  # seen in listings of such copies
        if attributes & Attribute.TRANSPORTABLE and provider.type == HARDWARE:
            attributes |= Attribute.NOT_SURFACED
        number = 0 if attributes & Attribute.TRANSPORTABLE else self._vss.store.next_number()
        return ShadowCopy(
            identity, self._set_id, volume, order.context, self._clock.now(), len(order.volumes), self._vss.machine,
            number, self._vss.store.folder / identity, attributes, self._records_of(volume), provider,
            requestor=order.requestor,
        )  # fmt: skip

    def _records_of(self, volume: Volume) -> Metadata:
        """Attributes and security of a volume's files now; a write that passed just before the hold may still end."""
        while True:
            try:
                return self._host.files.names.metadata_of(volume).copy()
            except RuntimeError:  # the records changed while they were copied
                self._check()

    @contextlib.contextmanager
    def _writes_held(self) -> Iterator[None]:
        """Stop every application with files on the set's volumes, and the host's own writes there."""
        apps = [
            app
            for app in self._vss.all_apps()
            if any(self._vss.writes_to(app, volume) for volume in self._order.volumes)
        ]
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
