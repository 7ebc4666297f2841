# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which snapshot is meant: by the options of a task, before anything is asked of a host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from .errors import VssFailure
from .model import guid, is_guid
from .planning import check_name, duration


@dataclass(frozen=True)
class Identity:
    """A snapshot by its name, by the ID of its set or of a shadow copy; or several, by their age or all of ours."""

    name: str = ""
    set_id: str | None = None
    shadow_id: str | None = None
    older_than: timedelta | None = None
    all: bool = False


def identity(args: Mapping[str, Any]) -> Identity:
    """What the options mean.

    :raises VssFailure: they mean nothing, or more than one thing.
    """
    present = args.get("state") != "absent"
    age = args.get("older_than")
    found = Identity(
        name=check_name(args["name"]) if args.get("name") is not None else "",
        set_id=_guid(args, "snapshot_set_id"),
        shadow_id=_guid(args, "snapshot_id"),
        older_than=None if age is None else duration(age, "older_than"),
        all=bool(args.get("all")),
    )
    given = [
        option
        for option, value in (
            ("name", found.name),
            ("snapshot_set_id", found.set_id),
            ("snapshot_id", found.shadow_id),
            ("all", found.all),
        )
        if value
    ]
    if present:
        _for_present(args, found)
    elif not given and found.older_than is None:
        raise VssFailure("What is to be absent? Set name, snapshot_set_id, snapshot_id, older_than or all.")
    if len(given) > 1 and set(given) not in ({"name", "snapshot_set_id"}, {"name", "snapshot_id"}):
        raise VssFailure(f"{given[0]} and {given[1]} cannot be set together: each says by itself what is meant.")
    if found.older_than is not None and (found.set_id or found.shadow_id):
        raise VssFailure("older_than goes with a name or stands alone: an ID means one snapshot, however old.")
    if args.get("force") and not (found.shadow_id and not present):
        raise VssFailure(
            "force removes one shadow copy that is not ours: it needs state absent and snapshot_id, one at a time."
        )
    return found


def _for_present(args: Mapping[str, Any], found: Identity) -> None:
    if found.all or found.older_than is not None:
        raise VssFailure("all and older_than say what is to be absent: set state absent with them.")
    if not (found.name or found.set_id or found.shadow_id):
        raise VssFailure("A snapshot needs a name: set name.")
    if (found.set_id or found.shadow_id) and args.get("max_age") is not None:
        raise VssFailure("max_age can ask for a new snapshot, which has an ID of its own: name it by name alone.")


def _guid(args: Mapping[str, Any], option: str) -> str | None:
    value = args.get(option)
    if value is None:
        return None
    if not is_guid(str(value)):
        raise VssFailure(f"{option} {value!r} is not a GUID.")
    return guid(str(value))
