# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A laboratory of one host, and an unmodified client (pypsrp) in front of it."""

from __future__ import annotations

import contextlib
import threading
import time
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.wsman import WSMan
from vsslab import scenario
from vsslab.lab import Lab

PLAN = """\
name: faulty
hosts:
  - name: srv
    users: [{name: Administrator, administrator: true, remote: true}]
    volumes: [{letter: C, capacity: 8 GiB}, {letter: D, capacity: 4 GiB}]
"""
TASK = """<?xml version="1.0" encoding="UTF-16"?>
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
 <Actions><Exec><Command>whoami.exe</Command></Exec></Actions></Task>"""


class Answer:
    """What a pipeline gave: its output, its errors' texts."""

    def __init__(self, output: list[Any], errors: list[str]) -> None:
        self.output, self.errors = output, errors


class Client:
    """pypsrp and one host of the laboratory; each pipeline is a session of its own unless `session` holds one."""

    def __init__(self, lab: Lab, name: str = "srv") -> None:
        self.lab, self.name, self.host = lab, name, lab.hosts[name]
        self._pool: RunspacePool | None = None

    def wsman(self) -> WSMan:
        return WSMan(self.lab.addresses[self.name], port=self.lab.ports[0], ssl=False, auth="negotiate",
                     username="Administrator", password=self.lab.passwords[self.name, "Administrator"],
                     reconnection_retries=0, read_timeout=20)  # fmt: skip

    @contextlib.contextmanager
    def session(self) -> Iterator[None]:
        """One session; after an error it is left as it is, because closing it would hide the error by another."""
        with warnings.catch_warnings(), self.wsman() as wsman:
            warnings.simplefilter("ignore")
            pool = RunspacePool(wsman)
            pool.open()
            self._pool = pool
            try:
                yield
            finally:
                self._pool = None
            pool.close()

    def run(self, command: str, *arguments: object, **parameters: Any) -> Answer:
        if self._pool is None:
            with self.session():
                return self.run(command, *arguments, **parameters)
        shell = PowerShell(self._pool)
        shell.add_cmdlet(command)
        for each in arguments:
            shell.add_argument(each)
        for name, value in parameters.items():
            shell.add_parameter(name, value)
        shell.invoke()
        return Answer(list(shell.output), [str(each) for each in shell.streams.error])

    def cim(self, class_name: str, field: str) -> list[Any]:
        found = self.run("Get-CimInstance", ClassName=class_name).output
        return [each.adapted_properties[field] for each in found]

    def shadows(self) -> list[str]:
        return self.cim("Win32_ShadowCopy", "ID")

    def create(self, volume: str = "C:\\") -> int:
        """Win32_ShadowCopy.Create; its return value."""
        answer = self.run("Invoke-CimMethod", ClassName="Win32_ShadowCopy", MethodName="Create",
                          Arguments={"Volume": volume, "Context": "ClientAccessible"})  # fmt: skip
        assert not answer.errors, answer.errors
        return int(answer.output[0].adapted_properties["ReturnValue"])


@pytest.fixture(scope="session")
def plan(tmp_path_factory):
    path = tmp_path_factory.mktemp("plan") / "faulty.yml"
    path.write_text(PLAN, encoding="utf-8")
    return scenario.load(path)


@pytest.fixture
def client(plan, tmp_path):
    with Lab(plan, state=tmp_path / "state") as lab:
        made = Client(lab)
        made.host.tasks.register("\\", "job", TASK)
        yield made


def until(promise: Any, seconds: float = 10.0) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not promise():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.02)


def in_background(act: Any) -> tuple[threading.Thread, list[Any]]:
    """Do something in a thread; what it gave, or raised, is in the list when it has ended."""
    told: list[Any] = []

    def work() -> None:
        try:
            told.append(act())
        except Exception as error:  # noqa: BLE001 - the client's own errors are what tests look at
            told.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread, told
