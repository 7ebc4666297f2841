# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What kind of shadow copy is made, by which provider, as which type of backup, and whether there is room for one more.

Persistent copies are for programs; client-accessible ones are what users see as previous versions, always without
writers and of the system's provider. Windows keeps 512 of both together on a volume, and 64 client-accessible ones:
at that number it drops the oldest, whosever it is (VSS documentation, MaxShadowCopies).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from .errors import VssFailure
from .facts import Facts
from .model import Provider, Volume, guid, is_guid

Kind = Literal["persistent", "client_accessible"]
BackupType = Literal["copy", "full"]

SYSTEM_PROVIDER = "{b5946137-7b9f-4925-af80-51abd60b20d5}"
# One place is left free for tools of Windows that need it for a while.
_MOST, _MOST_ACCESSIBLE = 512, 63


def kind_of(args: Mapping[str, Any], engine: str, host: str) -> Kind:
    """The kind asked for, or else the one that the engine makes.

    :raises VssFailure: the engine cannot make it.
    """
    wanted = args.get("kind")
    if engine == "cim":
        if wanted == "persistent":
            raise VssFailure(
                f"The engine cim makes client-accessible shadow copies only, and it is what {host} is given: leave "
                "kind out, or use a Windows Server with diskshadow."
            )
        return "client_accessible"
    return "client_accessible" if wanted == "client_accessible" else "persistent"


def provider_of(args: Mapping[str, Any], facts: Facts, engine: str, kind: Kind) -> Provider | None:
    """The provider asked for by name or GUID; None when VSS is to choose.

    :raises VssFailure: it is not registered, or cannot make what is asked for.
    """
    wanted = str(args.get("provider") or "").strip()
    if not wanted:
        return None
    if engine == "cim":
        raise VssFailure(f"Only diskshadow can be told a provider, and {facts.host} gets the engine cim: leave it out.")
    found = next((each for each in facts.providers if _means(wanted, each)), None)
    if found is None:
        there = ", ".join(each.name for each in facts.providers)
        raise VssFailure(f"There is no shadow copy provider {wanted} on {facts.host}: it has {there}.")
    if kind == "client_accessible" and found.id != SYSTEM_PROVIDER:
        raise VssFailure(
            f"The provider {found.name} on {facts.host} cannot make client-accessible shadow copies: only the system's "
            "can. Leave provider or kind out."
        )
    return found


def _means(wanted: str, provider: Provider) -> bool:
    return guid(wanted) == provider.id if is_guid(wanted) else wanted.casefold() == provider.name.casefold()


def backup_type(args: Mapping[str, Any], with_writers: bool, host: str) -> BackupType:
    """The type of the backup.

    :raises VssFailure: applications would be told of a backup that they had no part in.
    """
    if args.get("backup_type") != "full":
        return "copy"
    if not with_writers:
        raise VssFailure(
            f"backup_type full tells the applications on {host} that they were backed up, but no writer would be "
            "involved: use consistency application on a Windows Server, or backup_type copy."
        )
    if args.get("allow_downgrade"):
        raise VssFailure(
            f"backup_type full lets applications on {host} discard their logs, which must not happen for a snapshot "
            "that is only crash-consistent: leave allow_downgrade out, or use backup_type copy."
        )
    return "full"


def room_for_one_more(facts: Facts, volumes: Sequence[Volume], kind: Kind, provider: Provider | None) -> None:
    """Fail when one more shadow copy could cost the oldest, or cannot be made.

    :raises VssFailure: naming the volume and how many it has.
    """
    if provider is not None and provider.id != SYSTEM_PROVIDER:
        return  # the numbers are those of the system's provider
    for volume in volumes:
        there = [s for s in facts.shadows if s.volume == volume.id and s.provider in (None, SYSTEM_PROVIDER)]
        accessible = sum(1 for shadow in there if shadow.client_accessible)
        if len(there) >= _MOST:
            raise VssFailure(
                f"The volume {volume.display} on {facts.host} has {len(there)} shadow copies, and Windows keeps at "
                f"most {_MOST} on a volume. Delete some that are not needed."
            )
        if kind == "client_accessible" and accessible >= _MOST_ACCESSIBLE:
            raise VssFailure(
                f"The volume {volume.display} on {facts.host} has {accessible} client-accessible shadow copies: one "
                "more could cost the oldest of them, whosever it is. Delete some that are not needed."
            )
