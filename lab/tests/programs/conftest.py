# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine with the programs of Windows, and a short way to run them."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from vsslab import programs, vss
from vsslab.windows.host import Host

BANK = "{a65faa63-5ea8-4ebc-9dbd-a0c4db26912a}"
RUN = "C:\\Windows\\umbra-vss\\runs\\1"
CREATE = ("set context persistent", f"set metadata {RUN}\\m.cab", "add volume D: alias data", "create")


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


class Tool:
    """A server with VSS, a bank's writer, and a short way to run diskshadow on it."""

    def __init__(self, root, **options):
        language = options.pop("language", "en-US")
        self.host = Host(
            "sql01",
            root,
            language=language,
            profile=options.pop("profile", "server2022"),
            volumes=[{"letter": "C"}, {"letter": "D"}, {"letter": "F", "file_system": "FAT32"}],
            users=[{"name": "admin", "password": "x", "administrator": True}, {"name": "bob", "password": "y"}],
            time_zone="Europe/Berlin",
        )
        self.vss = vss.install(self.host, {"limits": {"freeze": 2.0, "hold": 2.0}, **options})
        programs.register(self.host)
        self.host.files.mkdir(RUN, parents=True)
        self.host.files.mkdir("D:\\Bank")
        self.host.files.write("D:\\Bank\\bank.db", b"balance=100")
        self.writer = self.vss.add_writer(
            vss.Writer.of(
                {
                    "name": "SqlServerWriter",
                    "class_id": BANK,
                    "components": [
                        {
                            "name": "Bank",
                            "logical_path": "SQL01",
                            "caption": "The bank",
                            "files": [{"path": "D:\\Bank", "filespec": "*.db"}],
                        }
                    ],
                }
            )
        )

    def run(self, *arguments, user="admin", stdin="", cwd="C:\\Windows\\Temp", stop=None):
        self.lines, self.errors = [], []
        self.code = self.host.processes.run(
            ["diskshadow.exe", *arguments],
            self.host.users.find(user),
            out=self.lines.append,
            err=self.errors.append,
            stdin=stdin,
            cwd=cwd,
            stop=stop or threading.Event(),
        )
        return self.lines

    def script(self, *commands, end="\r\n", last="\r\n", arguments=(), **options):
        text = end.join(commands) + last
        self.host.files.write(f"{RUN}\\s.dsh", text.encode("cp1252"))
        return self.run("/s", f"{RUN}\\s.dsh", *arguments, **options)

    def text(self):
        return "\n".join(self.lines)

    def hresults(self):
        return re.findall(r"Returned HRESULT: ([0-9a-f]{8})$", self.text(), re.MULTILINE)


@pytest.fixture
def make_tool(request, tmp_path):
    """Makes as many as a test wants, of the test module's own `Tool` where it has one."""
    tools, kind = [], getattr(request.module, "Tool", Tool)

    def make(**options):
        tools.append(kind(tmp_path / str(len(tools)), **options))
        return tools[-1]

    yield make
    for each in tools:
        each.host.close()


@pytest.fixture
def tool(make_tool):
    return make_tool()
