# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What VSS writes to the event logs of Windows, and to the laboratory's trace."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from . import codes
from .writers import Writer

if TYPE_CHECKING:
    from ..windows.host import Host
    from ..windows.volumes import Volume

REJECTED = (
    "A VSS writer has rejected an event with error 0x{hresult:08x}, {text}. Changes that the writer made to the writer "
    "components while handling the event will not be available to the requester. Check the event log for related "
    "events from the application hosting the VSS writer.\n\nOperation:\n   {operation}\n\nContext:\n   Execution "
    "Context: Writer\n   Writer Class Id: {{{class_id}}}\n   Writer Name: {name}\n   Writer Instance ID: {{{instance}}}"
)
_OPERATIONS = {
    "identify": "Gathering Writer Data",
    "prepare_backup": "PrepareForBackup Event",
    "prepare_snapshot": "PrepareForSnapshot Event",
    "freeze": "Freeze Event",
    "thaw": "Thaw Event",
    "post_snapshot": "PostSnapshot Event",
    "backup_complete": "BackupComplete Event",
    "backup_shutdown": "BackupShutdown Event",
}


class EventLog:
    """Writes events of VSS, of its driver volsnap and of applications that freeze."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def phase(self, phase: str, requestor: str, set_id: str, **fields: Any) -> None:
        """Trace a phase of a creation."""
        self._host.trace.write("vss", self._host.name, phase=phase, requestor=requestor, set=set_id, **fields)

    def writer_failed(self, phase: str, writer: Writer, reason: str) -> None:
        """VSS 8229, the best evidence of who failed and why."""
        self._host.trace.write(
            "vss", self._host.name, phase=phase, writer=writer.name, failed=f"0x{writer.failure:08x}", reason=reason
        )
        message = REJECTED.format(
            hresult=writer.failure,
            text=codes.name_of(writer.failure),
            operation=_OPERATIONS.get(phase, phase),
            class_id=writer.class_id,
            name=writer.name,
            instance=writer.instance_id,
        )
        data = [f"0x{writer.failure:08x}", codes.name_of(writer.failure), writer.name,
                f"{{{writer.class_id}}}", f"{{{writer.instance_id}}}"]  # fmt: skip
        self._write("Application", "VSS", 8229, "Warning", data, message)

    def frozen(self, writer: Writer, *, thawed: bool) -> None:
        """The application's own events when it froze or thawed: their times are the truth about the freeze."""
        self._host.trace.write("vss", self._host.name, writer=writer.name, frozen=not thawed)
        events = writer.freeze_events
        if events is None:
            return
        for name in events.names or tuple(each.name for each in writer.components):
            text = (events.thaw_text if thawed else events.freeze_text).replace("{0}", name)
            number = events.thaw if thawed else events.freeze
            self._write("Application", events.provider, number, "Information", [name], text)

    def hold_timeout(self, volumes: Iterable[Volume], hresult: int) -> None:
        """VSS 12298 and volsnap 8: writes could not be flushed or held."""
        for volume in volumes:
            text = (
                f"Volume Shadow Copy Service error: The I/O writes cannot be held during the shadow copy creation "
                f"period on volume {volume.device_id}. The volume index in the shadow copy set is 0. Error details: "
                f"Open[0x00000000], Flush[0x00000000], Release[0x{hresult:08x}], OnRun[0x00000000]."
            )
            self._write("Application", "VSS", 12298, "Error", [volume.device_id, f"0x{hresult:08x}"], text)
            name = volume.display.rstrip("\\")
            text = (
                f"The flush and hold writes operation on volume {name} timed out while waiting for a release writes "
                "command."
            )
            self._write("System", "volsnap", 8, "Error", [name], text)

    def idle(self) -> None:
        """VSS 8224: the service has had nothing to do for a while."""
        self._write(
            "Application", "VSS", 8224, "Information", [], "The VSS service is shutting down due to idle timeout."
        )

    def evicted(self, volume: Volume) -> None:
        """volsnap 58: the oldest copy went because of the limit on their number."""
        name = volume.display.rstrip("\\")
        text = f"The oldest shadow copy of volume {name} was deleted to keep their number below the limit."
        self._write("System", "volsnap", 58, "Information", [name], text)

    def _write(self, log: str, provider: str, number: int, level: str, data: list[str], message: str) -> None:
        self._host.events.write(log, provider, number, level, data=data, message=message)
