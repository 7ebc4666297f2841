# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts of a laboratory: each is set up when it is first touched, by a connection or by name.

A fleet of a thousand costs what the few that are used cost.  Nobody can tell from outside: a host that was not set up
yet has had nothing done to it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping

from vsslab.windows.host import Host


class Hosts(Mapping[str, Host]):
    """Hosts by name (of the scenario, without regard to case), made by `build(name)` when first asked for.

    Safe to use from any thread: a host is built once.  What `build` raises is raised again at every request.
    """

    def __init__(self, names: Iterable[str], build: Callable[[str], Host]) -> None:
        self._names = {each.lower(): each for each in names}
        self._build = build
        self._built: dict[str, Host] = {}
        self._locks = {each: threading.Lock() for each in self._names}

    def __getitem__(self, name: str) -> Host:
        key = name.lower()
        found = self._built.get(key)
        if found is not None:
            return found
        with self._locks[key]:
            if key not in self._built:
                self._built[key] = self._build(self._names[key])
            return self._built[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names.values())

    def __len__(self) -> int:
        return len(self._names)

    def built(self) -> list[Host]:
        """The hosts that exist so far, in the order of the scenario."""
        return [self._built[each] for each in self._names if each in self._built]


class ByAddress(Mapping[str, Host]):
    """The same hosts by the address on which they answer."""

    def __init__(self, hosts: Hosts, addresses: Mapping[str, str]) -> None:
        self._hosts = hosts
        self._names = {address: name for name, address in addresses.items()}

    def __getitem__(self, address: str) -> Host:
        return self._hosts[self._names[address]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
