# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host with two volumes and a bank that has a writer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from vsslab import vss
from vsslab.vss.coordinator import Coordinator
from vsslab.windows.host import Host

BANK = "{a65faa63-5ea8-4ebc-9dbd-a0c4db26912a}"


class FakeApp:
    """Notes what was done to it; `freezing` may take time or raise."""

    volumes = ("D:\\Bank",)

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.freezing: Callable[[], None] = lambda: None
        self.thawing: Callable[[], None] = lambda: None

    def freeze(self, timeout: float) -> None:
        self.freezing()
        self.calls.append("freeze")

    def thaw(self) -> None:
        self.thawing()
        self.calls.append("thaw")

    def hold(self) -> None:
        self.calls.append("hold")

    def release(self) -> None:
        self.calls.append("release")

    @property
    def frozen(self) -> bool:
        return "freeze" in self.calls and "thaw" not in self.calls[self.calls.index("freeze") :]

    @property
    def held(self) -> bool:
        return self.calls.count("hold") != self.calls.count("release")


class Room:
    def __init__(self, root: Path, **options: Any) -> None:
        limits = {"freeze": 0.6, "hold": 0.4, **options.pop("limits", {})}
        host_options = {"profile": "server2022", "domain": "corp.example", **options.pop("host", {})}
        self.host = Host(
            "sql01",
            root,
            volumes=[{"letter": "C"}, {"letter": "D", "label": "Data"}, {"letter": "F", "file_system": "FAT32"}],
            users=[{"name": "admin", "password": "x", "administrator": True}, {"name": "bob", "password": "y"}],
            **host_options,
        )
        self.vss: Coordinator = vss.install(self.host, {"limits": limits, **options})
        self.host.files.mkdir("D:\\Bank")
        self.host.files.write("D:\\Bank\\bank.db", b"balance=100")
        self.app = FakeApp()
        self.host.apps["bank"] = self.app
        self.writer = self.vss.add_writer(
            vss.Writer.of(
                {
                    "name": "SqlServerWriter",
                    "class_id": BANK,
                    "service": "SQLWriter",
                    "components": [{"name": "Bank", "files": [{"path": "D:\\Bank", "filespec": "*.db"}]}],
                    "freeze_events": {"provider": "MSSQLSERVER", "freeze": 3197, "thaw": 3198},
                },
                self.app,
            )
        )
        self.c, self.d, self.f = self.host.volumes
        self.admin, self.bob = (self.host.users.find(name) for name in ("admin", "bob"))

    def create(self, *letters: str, context: vss.Context = vss.Context.APP_ROLLBACK, **options: Any) -> Any:
        volumes = [self.vss.volume(f"{letter}:") for letter in letters or ("D",)]
        return self.vss.create("test", volumes, context, **options)

    def fault(self, phase: str, do: dict[str, Any], **on: Any) -> None:
        self.host.faults.add({"on": {"kind": "phase", "phase": phase, **on}, "do": do})

    def refused(self, **options: Any) -> vss.VssError:
        with pytest.raises(vss.VssError) as caught:
            self.create(**options)
        return caught.value

    def background(self, run: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
        results: list[object] = []

        def work() -> None:
            try:
                results.append(run())
            except vss.VssError as error:
                results.append(error)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        return thread, results


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    made = Room(tmp_path / "sql01")
    yield made
    made.host.close()


@pytest.fixture
def make_room(tmp_path: Path) -> Iterator[Callable[..., Room]]:
    rooms: list[Room] = []

    def make(**options: Any) -> Room:
        rooms.append(Room(tmp_path / f"room{len(rooms)}", **options))
        return rooms[-1]

    yield make
    for each in rooms:
        each.host.close()
