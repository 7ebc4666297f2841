# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small registry: what a fresh host has of data/registry.yml, and what somebody puts below Software.

Values of Windows' own keys can be read; changing them is refused, for nothing in the laboratory would heed it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from .errors import data

if TYPE_CHECKING:
    from .host import Host

HIVES = {"hklm": "HKEY_LOCAL_MACHINE", "hkcu": "HKEY_CURRENT_USER"}
Values = dict[str, Any]


def is_own(path: str) -> bool:
    """True below Software but outside Microsoft: where programs keep what is theirs."""
    parts = path.lower().split("\\")
    return len(parts) > 2 and parts[1] == "software" and parts[2] not in {"microsoft", "policies", "classes"}


class Registry:
    """Keys by full path (HKEY_LOCAL_MACHINE\\...), compared without case; made when first used."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._lock = threading.RLock()
        self._keys: dict[str, tuple[str, Values]] | None = None

    def _loaded(self) -> dict[str, tuple[str, Values]]:
        with self._lock:
            if self._keys is None:
                profile = self._host.profile
                fields = {name: getattr(profile, name, "") for name in
                          ("product_name", "edition_id", "installation", "build", "ps_version")}  # fmt: skip
                self._keys = {}
                for path, values in data("registry.yml").items():
                    shown = {name: self._filled(value, fields) for name, value in values.items()}
                    self._keys[path.lower()] = (path, shown)
            return self._keys

    @staticmethod
    def _filled(value: Any, fields: dict[str, str]) -> Any:
        if isinstance(value, list):
            return [each.format(**fields) for each in value]
        return value.format(**fields) if isinstance(value, str) else value

    def find(self, path: str) -> tuple[str, Values] | None:
        """(path as it is spelt, values) of a key, also of one that only has keys below it; None: no such key."""
        wanted = path.rstrip("\\").lower()
        keys = self._loaded()
        if wanted in keys:
            return keys[wanted]
        below = next((spelt for key, (spelt, _) in keys.items() if key.startswith(wanted + "\\")), None)
        return None if below is None else (below[: len(wanted)], {})

    def children(self, path: str) -> Iterator[str]:
        """The full paths of the keys right below a key."""
        wanted = path.rstrip("\\").lower() + "\\"
        seen: set[str] = set()
        for key, (spelt, _) in sorted(self._loaded().items()):
            if key.startswith(wanted):
                name = spelt[len(wanted) :].partition("\\")[0]
                if name.lower() not in seen:
                    seen.add(name.lower())
                    yield path.rstrip("\\") + "\\" + name

    def create(self, path: str) -> Values:
        """The values of a key, which is made when it is missing."""
        with self._lock:
            return self._loaded().setdefault(path.lower(), (path, {}))[1]

    def added(self) -> list[str]:
        """The keys that somebody made, sorted."""
        with self._lock:
            return [] if self._keys is None else sorted(path for path, _ in self._keys.values() if is_own(path))

    def dump(self) -> dict[str, Values]:
        """The keys that somebody made, with their values, as plain data (bytes as {'bytes': hexadecimal})."""
        keys = self._loaded()
        return {
            path: {name: {"bytes": value.hex()} if isinstance(value, bytes) else value
                   for name, value in keys[path.lower()][1].items()}
            for path in self.added()
        }  # fmt: skip

    def load(self, rows: dict[str, Values]) -> None:
        """Take over what `dump` gave."""
        for path in self.added():
            self.remove(path)
        for path, values in rows.items():
            self.create(path).update(
                {name: bytes.fromhex(value["bytes"]) if isinstance(value, dict) else value
                 for name, value in values.items()}
            )  # fmt: skip

    def remove(self, path: str) -> None:
        """Take a key away with everything below it."""
        wanted = path.lower()
        with self._lock:
            for key in [each for each in self._loaded() if each == wanted or each.startswith(wanted + "\\")]:
                del self._loaded()[key]
