# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of a host's VSS as plain data: copies, storage areas, writers, reverts, sets in the storage array.

The files of the copies are below the host's folder and are not part of it.  Volatile copies are not kept: the process
that would release them does not come back with the data.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..windows.state import dump_records, load_records
from .codes import Attribute, Context, Until, WriterState
from .providers import Provider
from .shadows import ShadowCopy, SnapshotSet
from .storage import StorageArea
from .trees import files_below, mark_of, remove_tree

if TYPE_CHECKING:
    from .coordinator import Coordinator

FORMAT = 1
_SHADOW = ("id", "set_id", "count", "machine", "number", "exposed", "requestor", "size", "service_machine")


def dump(vss: Coordinator) -> dict[str, Any]:
    """Everything VSS keeps on a host, ready for JSON."""
    now = vss.host.clock.monotonic()
    return {
        "format": FORMAT,
        "last_number": vss.store.last_number,
        "shadows": [_shadow(vss, each) for each in vss.shadows if each.context.persistent],
        "array": [
            {"id": each.id, "context": int(each.context), "shadows": [_shadow(vss, one) for one in each.shadows]}
            for each in vss.array.all()
        ],
        "areas": [
            {"volume": each.volume.guid, "on": each.diff_volume.guid, "max_space": each.max_space,
             "configured": each.configured}
            for each in vss.storage.all()
        ],
        "writers": [
            {"name": each.name, "class_id": each.class_id, "instance_id": each.instance_id, "state": int(each.state),
             "failure": each.failure, "until": each.until.value}
            for each in vss.roster.all
        ],
        "reverts": [
            {"volume": each.volume.guid, "shadow": each.shadow_id, "done": now - each.began, "left": each.ends - now}
            for each in vss.reverts.all()
        ],
    }  # fmt: skip


def _shadow(vss: Coordinator, shadow: ShadowCopy) -> dict[str, Any]:
    inside = shadow.root.is_relative_to(vss.host.root)
    return {name: getattr(shadow, name) for name in _SHADOW} | {
        "volume": shadow.volume.guid,
        "context": int(shadow.context),
        "created": shadow.created.isoformat(),
        "attributes": int(shadow.attributes),
        "provider": shadow.provider.id,
        "root": os.fspath(shadow.root.relative_to(vss.host.root) if inside else shadow.root),
        "records": dump_records(shadow.metadata),
    }


def load(vss: Coordinator, data: Mapping[str, Any]) -> None:
    """Take over what `dump` gave, on a host whose VSS has done nothing yet; ValueError when it cannot be."""
    if data.get("format") != FORMAT:
        raise ValueError(f"The state of VSS has the format {data.get('format')!r}, not {FORMAT}.")
    if vss.shadows:
        raise ValueError(f"{vss.host.name} has shadow copies already.")
    for row in data["areas"]:
        volume, on = (vss.host.volumes.by_guid(row[name]) for name in ("volume", "on"))
        if volume is None or on is None:
            raise ValueError(f"{vss.host.name} lacks a volume of the storage area of {row['volume']}.")
        vss.storage.restore(StorageArea(volume, on, row["max_space"], row["configured"]))
    for row in data["shadows"]:
        vss.store.restore(_made(vss, row))
    for row in data["array"]:
        shadows = [_made(vss, each) for each in row["shadows"]]
        vss.array.keep(SnapshotSet(row["id"], Context(row["context"]), shadows))
    vss.store.last_number = data["last_number"]
    _load_writers(vss, data)
    for row in data["reverts"]:
        vss.reverts.resume(vss.store.get(row["shadow"]), row["done"], row["left"])
    _clear_folder(vss)
    vss.storage.reserve()
    vss.overflow.watch()


def _made(vss: Coordinator, row: Mapping[str, Any]) -> ShadowCopy:
    volume = vss.host.volumes.by_guid(row["volume"])
    if volume is None:
        raise ValueError(f"{vss.host.name} lacks the volume {row['volume']} of the shadow copy {row['id']}.")
    root = vss.host.root / Path(row["root"])
    if not root.is_dir():
        raise ValueError(f"The files of the shadow copy {row['id']} are missing.")
    metadata = vss.host.files.names.metadata_of(volume).copy()
    load_records(metadata, row["records"])
    shadow = ShadowCopy(
        volume=volume, context=Context(row["context"]), created=datetime.datetime.fromisoformat(row["created"]),
        attributes=Attribute(row["attributes"]), provider=_provider(vss, row["provider"]), root=root,
        metadata=metadata, **{name: row[name] for name in _SHADOW},
    )  # fmt: skip
    volume.shared = True
    vss.guard(shadow, {name: mark_of(found) for name, found in files_below(root) if found.st_nlink > 1})
    return shadow


def _provider(vss: Coordinator, identity: str) -> Provider:
    found = next((each for each in vss.providers if each.id == identity), None)
    if found is None:
        raise ValueError(f"{vss.host.name} has no shadow copy provider {identity}.")
    return found


def _load_writers(vss: Coordinator, data: Mapping[str, Any]) -> None:
    left = list(data["writers"])
    for writer in vss.roster.all:
        row = next((e for e in left if (e["name"], e["class_id"]) == (writer.name, writer.class_id)), None)
        if row is not None:
            left.remove(row)
            writer.instance_id = row["instance_id"]
            writer.fail(WriterState(row["state"]), row["failure"], Until(row["until"]))


def _clear_folder(vss: Coordinator) -> None:
    """Files of copies that were not kept go."""
    sets = [shadow for each in vss.array.all() for shadow in each.shadows]
    known = {each.root for each in [*vss.shadows, *sets, *vss.host.volumes]}  # broken copies are volumes now
    for root in vss.store.folder.iterdir() if vss.store.folder.is_dir() else ():
        if root not in known:
            remove_tree(root)
