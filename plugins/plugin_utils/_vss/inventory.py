# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything about a host that VSS work needs, asked for in one pipeline.

The slowest statement goes first, so that all the rest arrives together with its answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from .. import _verbs as verbs
from .._host import Host
from .._pipeline import CommandFailed, HostError, Reply, Result, Statement, moment
from . import lock, records, security, vssadmin
from .errors import VssFailure
from .facts import Facts, System, read_events, read_providers, read_shadows, read_storage, read_volumes
from .model import StorageArea, Volume
from .owner import owners, this_process
from .paths import join

PARTS = ("system", "volumes", "providers", "writers", "snapshots", "storage", "records", "events")
EVENT_PROVIDERS = ("VSS", "volsnap", "umbra-vss")

_OS = (
    "Caption", "Version", "BuildNumber", "ProductType", "OSArchitecture", "WindowsDirectory", "LocalDateTime",
    "LastBootUpTime", "CSName", "OSLanguage",
)  # fmt: skip
_VOLUME = (
    "DeviceID", "Name", "DriveLetter", "Label", "FileSystem", "DriveType", "Capacity", "FreeSpace", "SystemVolume",
    "BootVolume", "PageFilePresent",
)  # fmt: skip
_SHADOW = (
    "ID", "SetID", "ProviderID", "VolumeName", "DeviceObject", "InstallDate", "State", "Count", "Persistent",
    "ClientAccessible", "NoWriters", "ExposedName", "ExposedPath", "OriginatingMachine",
)  # fmt: skip
_WORKSTATION = 1  # Win32_OperatingSystem.ProductType


# ---- statements
def _wanted(parts: Iterable[str]) -> frozenset[str]:
    wanted = frozenset(parts)
    if wanted & {"snapshots", "storage", "records"}:
        wanted |= {"volumes"}
    if "records" in wanted:
        wanted |= {"snapshots"}
    return wanted


def shadows_statement(key: str = "shadows") -> Statement:
    """Every shadow copy of the host."""
    return verbs.cim(key, "Win32_ShadowCopy", _SHADOW)


def volumes_statement(key: str = "volumes") -> Statement:
    """Every volume of the host."""
    return verbs.cim(key, "Win32_Volume", _VOLUME)


def _statements(host: Host, wanted: frozenset[str], event_seconds: int) -> list[Statement]:
    state = records.state_folder(host.windows)
    runs = join(state, records.RUNS)
    asked: list[Statement] = []
    if "writers" in wanted:
        asked.append(verbs.program("writers", "vssadmin", "list", "writers"))
    asked.append(verbs.program("user", "whoami"))
    asked.append(verbs.program("groups", "whoami", "/groups", "/fo", "csv", "/nh"))
    asked.append(verbs.cim("os", "Win32_OperatingSystem", _OS))
    asked.append(verbs.exists("diskshadow", host.system32("diskshadow")))
    if "volumes" in wanted:
        asked.append(volumes_statement())
    if "snapshots" in wanted:
        asked.append(shadows_statement())
    if "providers" in wanted:
        asked.append(verbs.cim("providers", "Win32_ShadowProvider", ("ID", "Name", "Version", "Type")))
    if "storage" in wanted:
        fields = ("Volume", "DiffVolume", "UsedSpace", "AllocatedSpace", "MaxSpace")
        asked.append(verbs.cim("storage", "Win32_ShadowStorage", fields))
    if "records" in wanted:
        asked += [
            records.reading("records", host.windows),
            verbs.list_folders("folders", runs),
            verbs.list_folders("state-folders", state),
            verbs.read_texts("expired", join(records.expired_folder(host.windows), "*.json")),
            *lock.looking(host.windows),
            verbs.tasks("tasks"),
            verbs.acl("acl", state),
        ]
    if "events" in wanted:
        asked.append(verbs.events("events", event_seconds, EVENT_PROVIDERS))
    return asked


def gather(
    host: Host,
    parts: Iterable[str],
    event_seconds: int = 86400,
    also: Callable[[], Sequence[Statement]] = tuple,
) -> Facts:
    """Ask a host for parts of its inventory, in one pipeline.

    The Windows directory is taken for C:\\Windows; a second pipeline corrects that when the host says otherwise.

    :param also: gives statements of the caller's, whose results are found in the facts' reply.
    :raises VssFailure: the host did not answer what was asked.
    :raises HostFailure: the connection was lost.
    """
    wanted = _wanted(parts)
    reply = host.ask(*_statements(host, wanted, event_seconds), *also(), allow=True)
    windows = _windows(host, reply)
    if windows is not None and windows.casefold() != host.windows.casefold():
        host.windows = windows
        reply = host.ask(*_statements(host, wanted, event_seconds), *also(), allow=True)
    return _facts(host, wanted, reply)


def _windows(host: Host, reply: Reply) -> str | None:
    told = reply["os"].first
    if told is None and reply.first_incomplete() is not None:
        # A program of a Windows directory that is not there ends the pipeline before anything was answered.
        told = host.ask(verbs.cim("os", "Win32_OperatingSystem", _OS), allow=True)["os"].first
    return str(told["WindowsDirectory"]).rstrip("\\") if told and told.get("WindowsDirectory") else None


# ---- answers
def lines(result: Result) -> list[str]:
    """A program's output, line by line."""
    return [str(value) for value in result.values]


def _facts(host: Host, wanted: frozenset[str], reply: Reply) -> Facts:
    groups = lines(reply["groups"])
    user = next((line.strip() for line in lines(reply["user"]) if line.strip()), "that the connection names")
    elevated = security.elevated(groups)
    broken = reply.first_incomplete()
    if broken is not None and (elevated or not groups):
        cause = reply.failure or (broken.errors[-1] if broken.errors else HostError("it was not answered"))
        raise CommandFailed(broken.key, cause, host.name)
    facts = Facts(host.name, _system(host, reply), user, elevated, reply=reply)
    if not elevated:
        return facts
    readers: Mapping[str, Callable[[Facts, Reply], Facts]] = {
        "writers": _writers,
        "volumes": lambda facts, reply: replace(facts, volumes=read_volumes(reply["volumes"])),
        "snapshots": lambda facts, reply: replace(facts, shadows=read_shadows(reply["shadows"])),
        "providers": lambda facts, reply: replace(facts, providers=read_providers(reply["providers"])),
        "storage": lambda facts, reply: replace(facts, storage=read_storage(reply["storage"])),
        "records": _records,
        "events": lambda facts, reply: replace(facts, events=read_events(reply["events"])),
    }
    for part, read in readers.items():
        if part in wanted:
            facts = read(facts, reply)
    return facts


def _system(host: Host, reply: Reply) -> System:
    told = reply["os"].first or {}
    return System(
        name=str(told.get("CSName") or host.name),
        caption=str(told.get("Caption") or "").strip(),
        version=str(told.get("Version") or ""),
        build=str(told.get("BuildNumber") or ""),
        workstation=told.get("ProductType") == _WORKSTATION,
        architecture=str(told.get("OSArchitecture") or ""),
        windows=host.windows,
        language=told.get("OSLanguage"),
        now=moment(told.get("LocalDateTime")) or datetime.now(timezone.utc),
        booted=moment(told.get("LastBootUpTime")),
        diskshadow=bool(reply["diskshadow"].first),
    )


def _writers(facts: Facts, reply: Reply) -> Facts:
    told = reply["writers"]
    writers = vssadmin.read_writers("\n".join(lines(told)))
    if told.exit_code and not writers:
        said = " ".join(line.strip() for line in lines(told)[-3:] if line.strip())
        raise VssFailure(
            f"vssadmin list writers on {facts.host} ended with exit code {told.exit_code}: "
            f"{said or 'it said nothing'}. "
            "Look at the service VSS and at the VSS events of the host."
        )
    return replace(facts, writers=tuple(writers))


def _records(facts: Facts, reply: Reply) -> Facts:
    acl = reply["acl"].first
    tasks = tuple(str(told["TaskName"]) for told in reply["tasks"].values if told.get("TaskName"))
    beside = (str(told.get("Name")).partition(f"{lock.FOLDER}-")[2] for told in reply["state-folders"].values)
    folders = {
        str(told["Name"]): moment(told.get("LastWriteTimeUtc")) for told in reply["folders"].values if told.get("Name")
    }
    return replace(
        facts,
        records=records.read_all(str(text) for text in reply["records"].values).settled(tasks),
        expired=records.read_all(str(text) for text in reply["expired"].values).readable,
        folders=folders,
        tasks=tasks,
        leases=owners(reply["tasks"].values),
        lock=lock.holder(reply),
        waiting=tuple(run for run in beside if records.is_run(run)),
        state_exists=acl is not None,
        strangers=tuple(security.strangers(str(acl["Sddl"]))) if acl else (),
    )


# ---- info
def why_not(volume: Volume) -> str | None:
    """Why a volume cannot be shadowed, None when it can."""
    return volume.unfit


def info(host: Host, gather_parts: Sequence[str], event_hours: int = 24) -> dict[str, Any]:
    """The module's answer: the parts asked for (`all` for every one), nothing else."""
    wanted = list(PARTS) if "all" in gather_parts else [part for part in PARTS if part in gather_parts]
    facts = gather(host, wanted, event_hours * 3600)
    facts.require_rights()
    me, names = this_process(), facts.places
    make: Mapping[str, Callable[[], Any]] = {
        "system": facts.system.result,
        "volumes": lambda: [{**v.result(), "shadowable": why_not(v) is None} for v in facts.volumes],
        "providers": lambda: [provider.result() for provider in facts.providers],
        "writers": lambda: [writer.result() for writer in facts.writers],
        "snapshots": lambda: [
            {**s.result(), "volume_name": names.display(s.volume or ""), "run": owner_of(facts, s.id)}
            for s in facts.shadows
        ],
        "storage": lambda: [area_result(facts, area) for area in facts.storage],
        "records": lambda: [
            {**record.result(), "abandoned": record.abandoned(facts.now, me)} for record in facts.records.readable
        ],
        "events": lambda: [event.result() for event in facts.events],
    }
    answer: dict[str, Any] = {"changed": False, **{part: make[part]() for part in wanted}}
    if facts.records.damaged:
        answer["warnings"] = [f"A record on {host.name} cannot be read: {what}." for what in facts.records.damaged]
    return answer


def area_result(facts: Facts, area: StorageArea) -> dict[str, Any]:
    """A storage area as a module returns it, with how much it can still take."""
    holder = facts.places.by_id(area.on_volume)
    left, limit = area.headroom((holder.free if holder else None) or 0)
    return {**area.result(), "headroom": left, "limited_by": limit}


def owner_of(facts: Facts, shadow_id: str) -> str | None:
    """The run of ours that made a shadow copy, None when it is someone else's."""
    for record in facts.records.readable:
        if any(made.id == shadow_id for made in record.shadows):
            return record.run
    return None
