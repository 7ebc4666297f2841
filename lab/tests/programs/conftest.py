# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine with the programs of Windows, and a short way to run them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from vsslab import programs
from vsslab.windows.host import Host


@dataclass
class Ended:
    """How a program ended, and what it said."""

    code: int
    out: list[str] = field(default_factory=list)
    err: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "\n".join(self.out)


@dataclass
class Machine:
    host: Host
    on_line: Callable[[str], None] = lambda _line: None
    stop: threading.Event = field(default_factory=threading.Event)

    def __call__(self, *argv: str, user: str = "Administrator", line: str | None = None) -> Ended:
        account = self.host.users.find(user)
        assert account is not None
        ended = Ended(0)

        def out(text: str) -> None:
            ended.out.append(text)
            self.on_line(text)

        ended.code = self.host.processes.run(
            [*argv], account, out=out, err=ended.err.append, stop=self.stop, command_line=line
        )
        return ended


@pytest.fixture
def make_machine(tmp_path: Path) -> Iterator[Callable[..., Machine]]:
    made: list[Host] = []

    def make(**options: Any) -> Machine:
        settings: dict[str, Any] = {
            "volumes": [{"letter": "C"}, {"letter": "D", "capacity": 8 << 20}, {"letter": "E"}],
            "users": [
                {"name": "Administrator", "password": "secret", "administrator": True},
                {"name": "bob", "password": "hidden"},
            ],
        }
        host = Host("srv1", tmp_path / f"host{len(made)}", **{**settings, **options})
        programs.register(host)
        made.append(host)
        return Machine(host)

    yield make
    for each in made:
        each.close()


@pytest.fixture
def machine(make_machine: Callable[..., Machine]) -> Machine:
    return make_machine()
