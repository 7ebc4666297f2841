# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the live page says, as plain data: read from the laboratory, never changing it, never with a password.

Dates are ISO 8601 in UTC, sizes bytes, durations seconds, result codes texts in hexadecimal.  Names of hosts are those
of the scenario.
"""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

from vsslab import timeline
from vsslab.vss import codes

if TYPE_CHECKING:
    from vsslab.lab import Lab
    from vsslab.vss.coordinator import Coordinator
    from vsslab.windows.host import Host

_LAST = 50
_APPLICATION = ("name", "kind", "pid", "state", "writes", "writes_per_second", "longest_pause", "error")
Data = dict[str, Any]


class NotThereError(Exception):
    """There is no host of that name."""


class View:
    """Reads one laboratory."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def now(self) -> Data:
        """What a page asks for again and again: `revision` rises with everything that happens."""
        clock = getattr(self._lab, "time", None)
        moment = clock.now() if clock is not None else datetime.datetime.now(datetime.timezone.utc)
        return {
            "revision": self._lab.trace.count,
            "time": _iso(moment),
            "virtual": bool(getattr(clock, "virtual", False)),
            "scenario": self._lab.scenario.name,
            "hosts": len(self._lab.hosts),
        }

    def fleet(self) -> Data:
        """Every host in a few words; a host that nobody has asked for anything is not set up yet."""
        built = {each.name: each for each in self._lab.hosts.built()}
        sessions: dict[str, int] = {}
        for each in self._lab.wire.sessions:
            if each.open:
                sessions[each.host] = sessions.get(each.host, 0) + 1
        return {
            "hosts": [
                {
                    "name": spec.name,
                    "address": self._lab.addresses.get(spec.name, ""),
                    "profile": spec.profile,
                    "language": spec.language,
                    "sessions": sessions.get(spec.name.upper(), 0),
                    **_state(built.get(spec.name.upper())),
                }
                for spec in self._lab.scenario.hosts
            ]
        }

    def faults(self) -> Data:
        """The faults in their order, with how often each was met and fired."""
        return {"faults": [each.as_dict() for each in self._lab.faults.list()]}

    def sessions(self, host: str | None = None) -> Data:
        """What the newest client sessions (TCP connections) have carried, newest first, of one host or of all."""
        newest = [
            each for each in reversed(self._lab.wire.sessions) if host is None or each.host.lower() == host.lower()
        ]
        return {"sessions": [each.as_dict() for each in newest[:_LAST]], "total": len(newest)}

    def happened(self, host: str | None = None) -> Data:
        """What happened last, newest first, in words; of one host or of all."""
        found = self._lab.trace.tail(host=None if host is None else host.upper(), last=_LAST)
        words = []
        for entry in reversed(found):
            mark, text = timeline.describe(entry)
            words.append({"n": entry["n"], "time": entry["time"], "host": entry["host"], "mark": mark, "text": text})
        return {"happened": words}

    def host(self, name: str) -> Data:
        """Everything about one host, which is set up now if it was not yet; NotThereError."""
        spec = next((each for each in self._lab.scenario.hosts if each.name.lower() == name.lower()), None)
        if spec is None:
            raise NotThereError
        host = self._lab.hosts[spec.name]
        return {
            "name": spec.name,
            "address": self._lab.addresses.get(spec.name, ""),
            "profile": spec.profile,
            "caption": host.profile.caption_in(host.language),
            "version": host.profile.version,
            "language": host.language.tag,
            "time_zone": host.time_zone,
            "local_time": host.clock.local(host.clock.now()).isoformat(timespec="seconds"),
            "boot_time": _iso(host.boot_time),
            **_state(host),
            "writers": _writers(host.vss),
            "shadows": _shadows(host.vss),
            "areas": _areas(host.vss),
            "volumes": _volumes(host),
            "tasks": _tasks(host),
            "events": _events(host),
            "refusals": [{"id": what, "times": times} for what, times in host.refusals.most_common()],
            "applications": self._applications(host, spec.name),
            "sessions": self.sessions(spec.name)["sessions"],
            "happened": self.happened(spec.name)["happened"],
        }

    def _applications(self, host: Host, name: str) -> list[Data]:
        """Their own figures; not while a shadow copy is made, when a question would be in their way."""
        if host.vss.busy_with is not None:
            return [{"name": key, "kind": app.kind, "pid": app.pid, "state": "busy"} for key, app in host.apps.items()]
        return [{key: each[key] for key in _APPLICATION if key in each} for each in self._lab.stats(name).values()]


def _iso(moment: datetime.datetime | None) -> str | None:
    if moment is None:
        return None
    return moment.astimezone(datetime.timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _state(host: Host | None) -> Data:
    """Whether anything is going on or wrong: `state` is idle, creating, failed or untouched; `detail` says more."""
    if host is None or host.vss is None:
        return {"state": "untouched", "detail": "nothing has been asked of it yet", "shadow_copies": 0}
    vss: Coordinator = host.vss
    copies = {"shadow_copies": len(vss.shadows)}
    if vss.busy_with is not None:
        return {"state": "creating", "detail": f"a shadow copy for {vss.busy_with}", **copies}
    failed = [each.name for each in vss.writers if each.state.failed]
    if failed:
        return {"state": "failed", "detail": f"failed: {', '.join(failed)}", **copies}
    return {"state": "idle", "detail": "", **copies}


def _writers(vss: Coordinator) -> list[Data]:
    return [
        {
            "id": each.instance_id,
            "name": each.name,
            "service": each.service,
            "state": each.state.name.lower().replace("_", " "),
            "failed": each.state.failed,
            "error": "" if each.failure == codes.S_OK else f"0x{each.failure:08x} {codes.name_of(each.failure)}",
        }
        for each in sorted(vss.writers, key=lambda writer: writer.name.lower())
    ]


def _shadows(vss: Coordinator) -> list[Data]:
    return [
        {
            "id": each.id,
            "set": each.set_id,
            "volume": each.volume.display,
            "label": each.volume.label,
            "created": _iso(each.created),
            "attributes": [str(flag.name).lower() for flag in codes.Attribute if each.all_attributes & flag],
            "provider": each.provider.name,
            "requestor": each.requestor,
            "exposed": each.exposed or "",
        }
        for each in vss.shadows
    ]


def _areas(vss: Coordinator) -> list[Data]:
    return [
        {
            "id": each.volume.guid,
            "volume": each.volume.display,
            "on": each.diff_volume.display,
            "used": vss.storage.used(each),
            "allocated": vss.storage.allocated(each),
            "maximum": each.max_space if each.max_space < 2**63 else None,
        }
        for each in vss.storage.all()
    ]


def _volumes(host: Host) -> list[Data]:
    return [
        {
            "id": each.guid,
            "name": each.display,
            "label": each.label,
            "file_system": each.file_system,
            "capacity": each.capacity,
            "free": each.free(),
        }
        for each in host.volumes
    ]


def _tasks(host: Host) -> list[Data]:
    return [
        {
            "id": each.uri,
            "name": each.uri,
            "state": each.state,
            "account": each.account.full_name,
            "last_run": _iso(each.last_run),
            "last_result": f"0x{each.last_result:x}",
        }
        for each in host.tasks.list()
    ]


def _events(host: Host) -> list[Data]:
    """The newest events of the logs that VSS writes to, newest first."""
    found = [each for log in ("Application", "System") for each in host.events.query(log, maximum=_LAST)]
    found.sort(key=lambda each: (each.time, each.record_id), reverse=True)
    return [
        {
            "id": f"{each.log} {each.record_id}",
            "time": _iso(each.time),
            "log": each.log,
            "provider": each.provider,
            "event": each.id,
            "level": {1: "critical", 2: "error", 3: "warning"}.get(each.level, "information"),
            "message": each.message,
        }
        for each in found[:_LAST]
    ]
