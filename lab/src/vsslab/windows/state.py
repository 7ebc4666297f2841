# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that a host keeps, as plain data, and a host made from it.

What runs is not in it (processes, open files, logon sessions but their mappings), nor is the content of the volumes:
their folders are copied by whoever keeps the data. It holds passwords: keep it where only its owner reads.
"""

from __future__ import annotations

import datetime
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import sddl
from .endpoints import dump_endpoints, load_endpoints
from .metadata import Metadata, Record
from .users import User
from .volumes import Volume

if TYPE_CHECKING:
    from .host import Host

FORMAT = 1
_VOLUME = ("guid", "letter", "mounts", "label", "file_system", "capacity", "drive_type", "system", "boot", "pagefile",
           "serial", "block_size", "dirty", "read_only")  # fmt: skip
_USER = ("name", "domain", "password", "sid", "administrator", "remote", "disabled", "locked")
_RECORD = ("attributes", "created", "owner", "group", "protected", "junction", "to_file")


def dump(host: Host) -> dict[str, Any]:
    """The state of a host's own parts; what the shadow copy service keeps is under 'vss', where it has a `dump`."""
    state: dict[str, Any] = {
        "format": FORMAT,
        "name": host.name,
        "profile": host.profile.key,
        "language": host.language.tag,
        "boot_time": host.boot_time.isoformat(),
        "state": host.state,
        "users": [{name: getattr(each, name) for name in _USER} for each in host.users],
        "volumes": [_volume(host, each) for each in host.volumes],
        "files": {each.guid: dump_records(host.files.names.metadata_of(each)) for each in host.volumes},
        "services": host.services.dump(),
        "tasks": host.tasks.dump(),
        "events": host.events.dump(),
        "shares": host.shares.dump(),
        "mappings": host.mappings.dump(),
        "registry": host.registry.dump(),
        "endpoints": dump_endpoints(host.endpoints),
        "pending_renames": [[*each] for each in host.pending_renames],
    }
    if hasattr(host.vss, "dump"):
        state["vss"] = host.vss.dump()
    return state


def load(host: Host, state: dict[str, Any]) -> None:
    """Take over what `dump` gave; ValueError when it is another format's, or another host's."""
    if state.get("format") != FORMAT:
        raise ValueError(f"The state of {host.name} has the format {state.get('format')!r}, not {FORMAT}.")
    if state["name"] != host.name:
        raise ValueError(f"This is the state of {state['name']}, not of {host.name}.")
    host.users.replace_all(User(**each) for each in state["users"])
    _load_volumes(host, state["volumes"])
    for volume in host.volumes:
        load_records(host.files.names.metadata_of(volume), state["files"].get(volume.guid, {}))
    host.boot_time = datetime.datetime.fromisoformat(state["boot_time"])
    host.events.load(state["events"])
    host.services.load(state["services"])
    host.shares.load(state["shares"])
    host.mappings.load(state["mappings"])
    host.registry.load(state["registry"])
    load_endpoints(host.endpoints, state["endpoints"])
    host.pending_renames = [(old, new) for old, new in state["pending_renames"]]
    if "vss" in state and hasattr(host.vss, "load"):
        host.vss.load(state["vss"])
    host.tasks.load(state["tasks"])
    host.state = "off" if state["state"] == "off" else "running"


def _volume(host: Host, volume: Volume) -> dict[str, Any]:
    inside = volume.root.is_relative_to(host.root)
    root = volume.root.relative_to(host.root) if inside else volume.root
    return {name: getattr(volume, name) for name in _VOLUME} | {"mounts": [*volume.mounts], "root": str(root)}


def _load_volumes(host: Host, rows: list[dict[str, Any]]) -> None:
    """The volumes as they were, in their order; one that the host has already keeps its identity as an object."""
    found: list[Volume] = []
    for row in rows:
        fields = {name: row[name] for name in _VOLUME}
        volume = host.volumes.by_guid(row["guid"])
        if volume is None:
            root = host.root / Path(row["root"])
            root.mkdir(parents=True, exist_ok=True)
            volume = Volume(root=root, **fields)
        for name, value in fields.items():
            setattr(volume, name, [*value] if isinstance(value, list) else value)
        volume.measure_again()
        found.append(volume)
    host.volumes[:] = found


def _plain(ace: sddl.Ace) -> dict[str, Any]:
    return asdict(ace) | {"flags": sorted(ace.flags)}


def _ace(row: dict[str, Any]) -> sddl.Ace:
    return sddl.Ace(**{**row, "flags": frozenset(row["flags"])})


def dump_records(metadata: Metadata) -> dict[str, Any]:
    """Attributes, dates and security of a tree's files by path, as plain data."""
    return {
        path: {name: getattr(record, name) for name in _RECORD}
        | {"aces": None if record.aces is None else [_plain(each) for each in record.aces]}
        for path, record in metadata.records().items()
    }


def load_records(metadata: Metadata, rows: dict[str, Any]) -> None:
    """Take over what `dump_records` gave."""
    records: dict[str, Record] = {}
    for path, row in rows.items():
        aces = None if row["aces"] is None else tuple(_ace(each) for each in row["aces"])
        records[path] = replace(Record(**{name: row[name] for name in _RECORD}), aces=aces)
    metadata.replace_all(records)
