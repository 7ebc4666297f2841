# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Get of winrm/config: the service's settings as XML; the table is data/config.yml."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any
from xml.sax.saxutils import escape

from vsslab import tables
from vsslab.wire import soap
from vsslab.wire.settings import Settings

_SCHEMES = ("basic", "negotiate", "certificate", "credssp")


@functools.cache
def table() -> dict[str, Any]:
    """The parts of the configuration by their path below winrm."""
    data: dict[str, Any] = tables.load("vsslab.wire", "data/config.yml")
    return data


def part_of(resource: str) -> str | None:
    """The part that a resource URI names ('config', 'service', 'service/auth', 'winrs'), else None."""
    base, found, name = resource.rstrip("/").partition(soap.CFG)
    if base or not found or (name and not name.startswith("/")):
        return None
    path = name[1:].lower() or "config"
    return path if path in table() else None


def describe(part: str, settings: Settings) -> str:
    """The XML of one part with everything in it; the namespace follows the part's path."""
    values = vars_of(settings) | {
        "max_envelope_kb": settings.max_envelope // 1024,
        "max_timeout_ms": round(settings.max_operation_timeout * 1000),
        "shell_idle_ms": round(settings.shell_idle * 1000),
        "cbt": settings.cbt.title(),
    }
    values |= {name: name in settings.authentication for name in _SCHEMES}
    texts = {name: str(value).lower() if isinstance(value, bool) else value for name, value in values.items()}
    namespace = soap.CFG if part == "config" else f"{soap.CFG}/{part}"
    return _element(part, texts, f' xmlns:cfg="{namespace}"')


def vars_of(settings: Settings) -> dict[str, object]:
    """The settings by their names."""
    return {each.name: getattr(settings, each.name) for each in dataclasses.fields(settings)}


def _element(part: str, texts: dict[str, object], attributes: str = "") -> str:
    row = table()[part]
    inner = "".join(
        _element(str(value), texts) if value in table() else f"<cfg:{name}>{escape(_fill(value, texts))}</cfg:{name}>"
        for name, value in row["values"].items()
    )
    return f"<cfg:{row['element']}{attributes}>{inner}</cfg:{row['element']}>"


def _fill(value: object, texts: dict[str, object]) -> str:
    return str(value).format(**texts)
