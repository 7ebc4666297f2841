# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What VSS writes to the event logs of Windows (data/events.yml), and to the laboratory's trace."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from . import codes
from .tables import table
from .writers import Writer

if TYPE_CHECKING:
    from ..windows.host import Host
    from ..windows.volumes import Volume

_OPERATIONS = {
    "identify": "Gathering Writer Data",
    "prepare_backup": "PrepareForBackup Event",
    "prepare_snapshot": "PrepareForSnapshot Event",
    "freeze": "Freeze Event",
    "thaw": "Thaw Event",
    "post_snapshot": "PostSnapshot Event",
    "backup_complete": "BackupComplete Event",
    "backup_shutdown": "BackupShutdown Event",
    "pre_restore": "PreRestore Event",
    "post_restore": "PostRestore Event",
}


@lru_cache(maxsize=1)
def event_numbers() -> dict[tuple[str, int], str]:
    """The events that VSS can write: key of the table by provider and number."""
    return {(each["provider"], each["id"]): key for key, each in table("events").items()}


class EventLog:
    """Writes events of VSS, of its driver volsnap and of applications that freeze."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def phase(self, phase: str, requestor: str, set_id: str, **fields: Any) -> None:
        """Trace a phase of a creation."""
        self._host.trace.write("vss", self._host.name, phase=phase, requestor=requestor, set=set_id, **fields)

    def event(self, key: str, **values: Any) -> None:
        """Write an event of the table in the host's language; `hresult` in `values` brings its name with it."""
        entry = table("events")[key]
        if "hresult" in values:
            values["name_of"] = codes.name_of(values["hresult"])
        text = str(entry.get(self._host.language.short, entry["en"])).format_map(values)
        data = [str(each).format_map(values) for each in entry["data"]]
        self._host.events.write(entry["log"], entry["provider"], entry["id"], entry["level"], data=data, message=text)

    def volume_event(self, key: str, volume: Volume, storage: Volume | None = None) -> None:
        """Write an event of volsnap about a volume, and the volume that holds its storage area."""
        names = [each.display.rstrip("\\") for each in (volume, storage or volume)]
        self.event(key, volume=names[0], storage=names[1])

    def evicted(self, volume: Volume) -> None:
        """volsnap 33: the oldest copy went to make room in the storage area."""
        self.volume_event("oldest_by_size", volume)

    def idle(self) -> None:
        """VSS 8224: the service has had nothing to do for a while."""
        self.event("idle")

    def writer_failed(self, phase: str, writer: Writer, reason: str) -> None:
        """VSS 8229, the best evidence of who failed and why."""
        self._host.trace.write(
            "vss", self._host.name, phase=phase, writer=writer.name, failed=f"0x{writer.failure:08x}", reason=reason
        )
        self.event("rejected", hresult=writer.failure, operation=_OPERATIONS.get(phase, phase), name=writer.name,
                   class_id=writer.class_id, instance=writer.instance_id)  # fmt: skip

    def provider_failed(self, provider: str, routine: str, hresult: int) -> None:
        """VSS 12293: a routine of a provider failed."""
        self.event("provider_failed", provider=provider, routine=routine, hresult=hresult)

    def frozen(self, writer: Writer, *, thawed: bool) -> None:
        """The application's own events when it froze or thawed: their times are the truth about the freeze."""
        self._host.trace.write("vss", self._host.name, writer=writer.name, frozen=not thawed)
        events = writer.freeze_events
        if events is None:
            return
        for name in events.names or tuple(each.name for each in writer.components):
            text = (events.thaw_text if thawed else events.freeze_text).replace("{0}", name)
            number = events.thaw if thawed else events.freeze
            self._host.events.write("Application", events.provider, number, "Information", data=[name], message=text)

    def hold_timeout(self, volumes: Iterable[Volume], hresult: int) -> None:
        """VSS 12298 and volsnap 8: writes could not be flushed or held."""
        for volume in volumes:
            self.event("cannot_hold", device=volume.device_id, hresult=hresult)
            self.volume_event("hold_timeout", volume)
