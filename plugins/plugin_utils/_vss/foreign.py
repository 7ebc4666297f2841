# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shadow copies that no record of ours names: whose they look like, and the removal of one that the user insists on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from .. import _verbs as verbs
from .._host import Host
from .._pipeline import ConnectionLost, HostFailure
from .blame import requestors
from .errors import VssFailure
from .facts import Event, Facts, read_events, read_shadows
from .inventory import shadows_statement
from .kinds import SYSTEM_PROVIDER
from .model import Shadow, iso
from .run import EVENT_REMOVED, Say, begin, check, failing

# Programs that make shadow copies write to these logs when they do.
_PROVIDERS = ("VSS", "volsnap", "Microsoft-Windows-Backup", "Microsoft-Windows-WindowsBackup", "System Restore")
_AROUND = timedelta(minutes=2)
_LONGEST = timedelta(days=30)


def kind(shadow: Shadow) -> str:
    """The kind of a shadow copy as vssadmin names it, by its attributes (VSS_VOLUME_SNAPSHOT_ATTRIBUTES, contexts)."""
    if shadow.client_accessible:
        return "ClientAccessible" if shadow.no_writers else "ClientAccessibleWriters"
    if shadow.persistent:
        return "DataVolumeRollback" if shadow.no_writers else "ApplicationRollback"
    return "FileShareBackup" if shadow.no_writers else "Backup"


_LIKELY: Mapping[str, str] = {
    "ClientAccessible": "a previous version that a schedule of Windows, vssadmin or WMI made",
    "ClientAccessibleWriters": "a restore point of Windows, or a copy of Windows Server Backup",
    "DataVolumeRollback": "a copy that a program means to keep, made without the applications",
    "ApplicationRollback": "a copy that a backup program means to keep, made with the applications",
    "FileShareBackup": "part of a backup that is running now",
    "Backup": "part of a backup that is running now",
}


def looks_like(host: Host, facts: Facts, shadow: Shadow) -> dict[str, Any]:
    """Whose a shadow copy looks like, as a module returns it.

    :raises HostFailure: the host could not be asked.
    """
    age = facts.now - shadow.created if shadow.created else _LONGEST
    seconds = int((min(max(age, timedelta(0)), _LONGEST) + _AROUND).total_seconds())
    reply = host.ask(
        verbs.events("around", seconds, _PROVIDERS),
        requestors(),
        verbs.cim("providers", "Win32_ShadowProvider", ("ID", "Name")),
        allow=True,
    )
    names = {str(told.get("ID")).lower(): str(told.get("Name")) for told in reply["providers"].values}
    provider = names.get(shadow.provider or "", shadow.provider)
    found = kind(shadow)
    likely = _LIKELY[found] if shadow.provider in (None, SYSTEM_PROVIDER) else f"a copy that {provider} made"
    return {
        "id": shadow.id,
        "set_id": shadow.set_id,
        "volume": facts.places.display(shadow.volume or ""),
        "kind": found,
        "likely": likely,
        "provider": provider,
        "machine": shadow.origin,
        "created": iso(shadow.created),
        "exposed_at": shadow.exposed_at,
        "processes": [f"{told.get('Name')} ({told.get('ProcessId')})" for told in reply["requestors"].values],
        "events": [_event(event) for event in read_events(reply["around"]) if _near(event, shadow)],
    }


def _near(event: Event, shadow: Shadow) -> bool:
    return shadow.created is not None and event.time is not None and abs(event.time - shadow.created) <= _AROUND


def _event(event: Event) -> dict[str, Any]:
    return {"time": iso(event.time), "provider": event.provider, "id": event.id, "message": event.message}


def sentence(told: Mapping[str, Any], host: str) -> str:
    """What `looks_like` found, as one sentence."""
    at_work = f", while {', '.join(told['processes'])} is at work" if told["processes"] else ""
    machine = f" on {told['machine']}" if told["machine"] else ""
    return (
        f"The shadow copy {told['id']} of {told['volume']} on {host} is not ours: it looks like {told['likely']} "
        f"({told['kind']}, by {told['provider']}, created {told['created']}{machine}){at_work}."
    )


def remove_foreign(host: Host, facts: Facts, shadow: Shadow, say: Say, timeout: float) -> None:
    """Delete one shadow copy that is not ours. Its record never names it as something that is to be undone.

    :raises VssFailure: it is still there.
    :raises HostFailure: the host could not be asked.
    """
    run = begin(host, facts, "foreign", "", say)
    run.record = replace(run.record, changes={"foreign": shadow.id})
    told = f"umbra.vss removed a shadow copy that is not ours, by force: {json.dumps(shadow.result(), sort_keys=True)}"
    try:
        run.start(timeout=timeout)
        reply = host.act(
            verbs.cim_delete_shadow("delete-foreign", shadow.id),
            shadows_statement(),
            verbs.write_event("event", EVENT_REMOVED, told).tolerant(),
            allow=True,
        )
        check(reply, host)
        left = [each for each in read_shadows(reply["shadows"]) if each.id == shadow.id]
        if left:
            raise VssFailure(f"The shadow copy {shadow.id} on {host.name} could not be removed: look at what uses it.")
        run.finish()
    except ConnectionLost as lost:
        run.reopen()
        why = VssFailure(
            f"The connection to {host.name} was lost while the shadow copy {shadow.id} was deleted ({lost.reason}). "
            "Run it again to see whether it is gone."
        )
        raise failing(run, why) from None
    except (VssFailure, HostFailure) as error:
        raise failing(run, error) from None


def strangers(facts: Facts, oldest: timedelta) -> list[dict[str, Any]]:
    """What other tools seem to have left: their shadow copies of a backup that are older. They are told, never touched.

    Previous versions of Windows are no leftovers: Windows itself removes the oldest of them.
    """
    ours = {made.id for record in facts.records.readable for made in record.shadows}
    names = {provider.id: provider.name for provider in facts.providers}
    return [
        {
            "id": shadow.id,
            "volume": facts.places.display(shadow.volume or ""),
            "kind": kind(shadow),
            "provider": names.get(shadow.provider or "", shadow.provider),
            "machine": shadow.origin,
            "created": iso(shadow.created),
            "exposed_at": shadow.exposed_at,
        }
        for shadow in facts.shadows
        if shadow.id not in ours
        and not shadow.client_accessible
        and shadow.created is not None
        and facts.now - shadow.created > oldest
    ]
