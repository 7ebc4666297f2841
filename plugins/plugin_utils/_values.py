# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values as Windows hosts write them in JSON: lists, dates, and what note properties do to them."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta, timezone
from typing import Any

# Windows PowerShell 5.1 writes a value that carries note properties as an object: the value under "value" and the
# properties beside it. These are the properties that its providers and its type data attach.
_NOTES = frozenset(
    {"PSPath", "PSParentPath", "PSChildName", "PSDrive", "PSProvider", "ReadCount", "DateTime", "DisplayHint", "Count"}
)


def parse_json(text: str) -> list[Any]:
    """The values in what ConvertTo-Json wrote, always as a list.

    A single object is not written as a list by Windows PowerShell: it becomes a list of one; null is none.
    Raises ValueError when the text is not JSON.
    """
    value = json.loads(text, object_hook=_without_notes)
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _without_notes(found: dict[str, Any]) -> Any:
    if "value" in found and len(found) > 1 and _NOTES.issuperset(key for key in found if key != "value"):
        return found["value"]
    return found


_TICKS = re.compile(r"^/Date\((-?\d+)(?:[+-]\d{4})?\)/$")
_ISO = re.compile(r"^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,](\d+))?\s*(Z|[+-]\d\d:?\d\d)?$")
_DMTF = re.compile(r"^(\d{14})\.(\d{6})([+-])(\d{3})$")
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def moment(value: Any) -> datetime | None:
    """A host's date as an aware datetime in UTC; None for None, empty text and dates that mean "never".

    Read are ``/Date(ms)/`` (Windows PowerShell's ConvertTo-Json, milliseconds since 1970 in UTC), ISO 8601 (a text
    without a zone is taken for UTC) and DMTF (``20240131101112.123456+060``, minutes east of UTC). Raises ValueError.
    """
    if value is None or value == "":
        return None
    if isinstance(value, datetime):
        return value.astimezone(timezone.utc) if value.tzinfo else value.replace(tzinfo=timezone.utc)
    text = str(value).strip()
    found = _moment(text)
    # .NET's DateTime.MinValue and COM's 30 December 1899 stand for "never" in what Windows returns.
    return found if found.year > 1900 else None


def _moment(text: str) -> datetime:
    if match := _TICKS.match(text):
        return _EPOCH + timedelta(milliseconds=int(match[1]))
    if match := _ISO.match(text):
        zone = (match[4] or "Z").replace("Z", "+00:00")
        fraction = (match[3] or "0")[:6].ljust(6, "0")
        zone = zone if ":" in zone else f"{zone[:3]}:{zone[3:]}"
        return datetime.fromisoformat(f"{match[1]}T{match[2]}.{fraction}{zone}").astimezone(timezone.utc)
    if match := _DMTF.match(text):
        offset = timedelta(minutes=int(match[4]) * (1 if match[3] == "+" else -1))
        naive = datetime.strptime(match[1] + match[2], "%Y%m%d%H%M%S%f")
        return (naive - offset).replace(tzinfo=timezone.utc)
    raise ValueError(f"{text!r} is not a date that a Windows host writes")
