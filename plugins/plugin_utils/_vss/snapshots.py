# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module snapshot: snapshot sets of ours, present or absent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .._host import Host
from . import hooks, inventory
from .absent import absent
from .errors import VssFailure
from .facts import Facts
from .identity import Identity, identity
from .paths import naming_statements
from .planning import patience
from .present import present
from .recovery import recover
from .run import Say, retried
from .sharing import exposure_statements

_PRESENT = ("writers", "volumes", "snapshots", "records")
_AGAIN = ("volumes", "snapshots", "records")
_ABSENT = ("snapshots", "records")


def snapshot(host: Host, args: Mapping[str, Any], check_mode: bool, say: Say) -> dict[str, Any]:
    """The module's answer: bring the snapshot set that is meant into the wanted state.

    :raises VssFailure: it could not be brought there; what was begun has been taken back.
    :raises HostFailure: the host could not be asked.
    """
    who = identity(args)
    try:
        return retried(lambda: _once(host, who, args, check_mode, say))
    except VssFailure as failure:
        busy = failure.details.get("busy")
        if not busy or failure.details.get("left_behind") or not (args.get("on_busy") or {}).get("report"):
            raise
        return {
            "changed": False,
            "name": who.name or None,
            "state": args.get("state") or "present",
            "busy": busy,
            "snapshot_set": None,
            "removed": [],
            "left_behind": [],
            "recovered": [],
            "warnings": [f"Nothing was done, as on_busy.report is set: {failure}"],
        }


def _once(host: Host, who: Identity, args: Mapping[str, Any], check_mode: bool, say: Say) -> dict[str, Any]:
    wanted = args.get("state") != "absent"
    parts = [*_PRESENT, *(["providers"] if args.get("provider") else [])] if wanted else _ABSENT
    facts = _ask(host, args, parts, wanted)
    facts.require_rights()
    facts.require_safe_state()
    facts, recovered, notes = recover(host, facts, check_mode, say, timeout=patience(args))
    if recovered and not check_mode:  # what was removed may have been in the way of what was asked for
        facts = _ask(host, args, parts, wanted)
    if wanted:
        answer = present(host, facts, who, args, check_mode, say, lambda: _ask(host, args, _AGAIN, True))
    else:
        answer = absent(host, facts, who, args, check_mode, say, patience(args))
    answer["busy"] = None
    answer["recovered"] = recovered
    answer["warnings"] = [*notes, *answer["warnings"]]
    return answer


def _ask(host: Host, args: Mapping[str, Any], parts: Sequence[str], wanted: bool) -> Facts:
    names = [*map(str, args.get("volumes") or []), *map(str, args.get("exclude_volumes") or [])]
    items = list(args.get("expose") or [])
    names += [str(item.get("volume") or "") for item in items]

    def also() -> list[Any]:
        named = naming_statements(names, bool(args.get("follow_mounts")))
        return [*named, *exposure_statements(items), *hooks.statements(args.get("hooks"))]

    return inventory.gather(host, parts, also=also if wanted else tuple)
