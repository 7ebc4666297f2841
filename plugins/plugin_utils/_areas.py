# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
r"""The verbs about shadow storage areas (Win32_ShadowStorage): see `_verbs`.

Volumes are GUID paths with their closing backslash, sizes are bytes, and a maximum of None is no limit. An area is
found by the text of its two references (``Win32_Volume (DeviceID = "\\?\Volume{guid}\")``), not by a query: how WQL
compares references is not documented.
"""

from __future__ import annotations

import re

from ._pipeline import U64, Command, Statement, Unsendable

FIELDS = ("Volume", "DiffVolume", "UsedSpace", "AllocatedSpace", "MaxSpace")

_UNBOUNDED = 2**64 - 1
_VOLUME = re.compile(r"\\\\\?\\Volume(\{[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\})\\")


def areas(key: str) -> Statement:
    """Every storage area of the host: Volume, DiffVolume, UsedSpace, AllocatedSpace, MaxSpace."""
    asked = Command("Get-CimInstance", {"ClassName": "Win32_ShadowStorage", "Property": list(FIELDS)})
    return Statement(key, (asked, Command("Select-Object", {"Property": list(FIELDS)})))


def create_area(key: str, volume: str, on: str, maximum: int | None) -> Statement:
    """Win32_ShadowStorage.Create: ReturnValue, 0 when it was made."""
    arguments = {"Volume": _volume(volume), "DiffVolume": _volume(on), "MaxSpace": _size(maximum)}
    create = Command(
        "Invoke-CimMethod", {"ClassName": "Win32_ShadowStorage", "MethodName": "Create", "Arguments": arguments}
    )
    return Statement(key, (create, Command("Select-Object", {"Property": ["ReturnValue"]})))


def resize_area(key: str, volume: str, on: str, maximum: int | None) -> Statement:
    """Give an area another maximum; nothing happens when there is no such area."""
    resize = Command("Set-CimInstance", {"Property": {"MaxSpace": _size(maximum)}})
    return Statement(key, (*_found(volume, on), resize), "none")


def remove_area(key: str, volume: str, on: str) -> Statement:
    """Remove an area; nothing happens when there is no such area, and Windows refuses while there are shadow copies."""
    return Statement(key, (*_found(volume, on), Command("Remove-CimInstance")), "none")


def _found(volume: str, on: str) -> tuple[Command, Command, Command]:
    return (
        Command("Get-CimInstance", {"ClassName": "Win32_ShadowStorage"}),
        Command("Where-Object", {"Property": "Volume", "Like": True, "Value": f"*{_guid(volume)}*"}),
        Command("Where-Object", {"Property": "DiffVolume", "Like": True, "Value": f"*{_guid(on)}*"}),
    )


def _guid(path: str) -> str:
    found = _VOLUME.fullmatch(path)
    if found is None:
        raise Unsendable(f"{path!r} is not the GUID path of a volume")
    return found[1]


def _volume(path: str) -> str:
    _guid(path)
    return path


def _size(maximum: int | None) -> U64:
    if maximum is not None and not 0 < maximum < 2**63:
        raise Unsendable(f"{maximum} is no size of a storage area")
    return U64(_UNBOUNDED if maximum is None else maximum)
