# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The writers that come with an edition of Windows (data/writers.yml), and those of roles and applications."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from vsslab import tables

from .tables import table
from .writers import Writer

if TYPE_CHECKING:
    from ..windows.volumes import Volume


_ABOUT = ("display_name", "role", "assumed")  # keys about an entry, not of a writer


def _table() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = table("writers")
    return found


@lru_cache(maxsize=1)
def known_writers() -> dict[str, dict[str, Any]]:
    """The writers of roles and applications by lower-case name (vsslab/data/known-writers.yml); do not change it."""
    return {str(each["name"]).lower(): each for each in tables.load("vsslab", "data/known-writers.yml")}


def roles() -> list[str]:
    """The roles and applications that bring writers, sorted."""
    return sorted({str(each["role"]) for each in known_writers().values()})


def description(name: str) -> dict[str, Any]:
    """A well-known writer as `Writer.of` takes it; empty for an unknown name."""
    entry = known_writers().get(name.lower(), {})
    return {key: value for key, value in entry.items() if key not in _ABOUT}


def role_writers(wanted: Iterable[str]) -> list[tuple[Writer, str]]:
    """Fresh writers of some roles, each with the display name of its service."""
    found = [each for each in known_writers().values() if each["role"] in set(wanted)]
    return [(Writer.of(description(each["name"])), str(each.get("display_name", each["service"]))) for each in found]


def inbox_writers(edition: str, volumes: Iterable[Volume], without: Iterable[str] = ()) -> list[Writer]:
    """Fresh in-box writers of an edition (`server` or `client`) for a host with these volumes.

    `without` names writers (name or class id) the host lacks.
    """
    local = [volume for volume in volumes if volume.drive_type == 3]
    missing = list(without)
    writers = []
    for entry in _table():
        if edition not in entry["editions"]:
            continue
        writer = Writer.of({**_plain(entry), "components": list(_components(entry, local))})
        if not any(writer.answers_to(each) for each in missing):
            writers.append(writer)
    return writers


def _plain(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key not in ("editions", "components")}


def _components(entry: Mapping[str, Any], volumes: list[Volume]) -> Iterable[dict[str, Any]]:
    """The entry's components, with one per volume for `<volume>` and the system volume for `%system%`."""
    system = next((volume.device_id for volume in volumes if volume.system), "C:\\")
    for component in entry["components"]:
        roots = [system if root == "%system%" else root for root in component.get("volume_roots", ())]
        if component["name"] != "<volume>":
            yield {**component, "volume_roots": roots}
            continue
        for volume in volumes:
            yield {**component, "name": f"Volume{{{volume.guid}}}", "volume_roots": [volume.device_id]}
