# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Making hosts of a scenario's descriptions: the host, its shadow copy service, programs, files and applications."""

from __future__ import annotations

import os
import random
import secrets
import string
import threading
import zlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from vsslab import programs, vss
from vsslab.apps.driver import App
from vsslab.faults import Faults
from vsslab.labtime import LabTime
from vsslab.programs import tape
from vsslab.specs import AppSpec, FilesSpec, HostSpec, VolumeSpec, WriterSpec
from vsslab.trace import Trace
from vsslab.windows.clock import Clock
from vsslab.windows.endpoints import add_endpoint
from vsslab.windows.host import Host
from vsslab.windows.services import Service

_LETTERS = string.ascii_letters + string.digits
_FOLDERS = ("Angebote 2026", "Übersicht", "Projekt Ægir", "Final drafts", "été", "archive", "Q3 Results (signed)")
_NAMES = (
    "Angebot Müller {0}.docx",
    "Quarterly report (final) {0}.xlsx",
    "Rapport d'été {0}.txt",
    "IMG_{0:04}.jpg",
    "notes {0}.md",
    "Protokoll - Größe & Maß {0}.pdf",
)


def password() -> str:
    """A password that meets Windows' complexity rules and needs no quoting anywhere."""
    return "Pw1" + "".join(secrets.choice(_LETTERS) for _ in range(21))


def build(
    spec: HostSpec,
    root: Path,
    passwords: Mapping[str, str],
    faults: Faults,
    trace: Trace,
    time: LabTime | None = None,
    *,
    fresh: bool = True,
) -> Host:
    """One host below `root`, its applications launched but not waited for (`App.ready` does that).

    A host that is not `fresh` finds its files below `root` already.
    """
    host = Host(
        spec.name,
        root,
        profile=spec.profile,
        language=spec.language,
        volumes=[_volume(each) for each in spec.volumes],
        users=[asdict(each) | {"password": passwords[each.name]} for each in spec.users],
        faults=faults,
        trace=trace,
        clock=Clock(spec.time_zone, time=time, **spec.clock),
        time_zone=spec.time_zone,
        domain=spec.domain,
        copy_rate=spec.copy_rate,
        utf8=spec.utf8,
        restart_seconds=spec.restart_seconds,
    )
    vss.install(host, spec.vss)
    programs.register(host)
    tape.install(host, spec.tapes)
    host.authentication = frozenset(spec.authentication)
    for service in spec.services:
        host.services.configure(**service)
    for share in spec.shares if fresh else ():
        host.files.mkdir(share["path"], parents=True)
        host.shares.add(**share)
    for endpoint in spec.endpoints:
        add_endpoint(host.endpoints, host.users, endpoint)
    for each in spec.apps:
        _Hosted(host, each)
    for files in spec.files if fresh else ():
        seed(host, files)
    for writer in spec.writers:
        _add_writer(host, writer)
    return host


def _add_writer(host: Host, spec: WriterSpec) -> None:
    """A writer, the service that holds it, and the application that it freezes."""
    name, display = spec.service_name()
    if not any(each.name.lower() == name.lower() for each in host.services.list()):
        host.services.add(Service(name, display, "Running", "Auto"))
    app = next((each for key, each in host.apps.items() if spec.app and key.lower() == spec.app.lower()), None)
    host.vss.add_writer(vss.Writer.of(spec.description(), app))


def _volume(spec: VolumeSpec) -> dict[str, Any]:
    names = ("letter", "label", "file_system", "drive_type", "pagefile", "dirty")
    fields = {name: getattr(spec, name) for name in names}
    fields |= {"mounts": list(spec.mounts), "system": spec.system, "boot": spec.letter == "C"}
    return fields | ({} if spec.capacity is None else {"capacity": spec.capacity})


class _KillSwitch(threading.Event):
    """The stop event of an application's entry in the process table: setting it kills the application."""

    def __init__(self, hosted: _Hosted) -> None:
        super().__init__()
        self._hosted = hosted

    def set(self) -> None:
        super().set()
        self._hosted.killed()


class _Hosted:
    """An application as a process of its host: listed there, killed there, and started again with the host."""

    def __init__(self, host: Host, spec: AppSpec) -> None:
        self._host, self._spec = host, spec
        host.files.mkdir(spec.folder, parents=True)
        self.app = App(
            spec.name,
            spec.kind,
            host.files.locate(spec.folder).real,
            volumes=(spec.folder,),
            rate=spec.rate,
            seed=_seed(host.name, spec.name),
        )
        host.apps[spec.name] = self.app
        self._launch()
        host.on_reboot.append(self._stop)
        host.on_boot.append(self._start)

    def _launch(self) -> None:
        name = self._spec.process or f"{self._spec.name}.exe"
        line = f'"C:\\Program Files\\{self._spec.name}\\{name}"'
        self._process = self._host.processes.adopt(name, line, self._host.users.system)
        self._process.stop = _KillSwitch(self)
        self.app.launch()

    def killed(self) -> None:
        """Its process was ended: no goodbye, nothing flushed."""
        self.app.kill()
        self._host.processes.leave(self._process, -1)

    def _stop(self) -> None:
        """The host goes down: no goodbye either."""
        self._host.processes.kill(self._process.pid)

    def _start(self) -> None:
        """The host is up again: the application comes back by itself, as a service does."""
        self._launch()
        self.app.ready()


def _seed(*parts: str) -> int:
    return zlib.crc32(":".join(parts).encode())


def seed(host: Host, files: FilesSpec) -> None:
    """Put the files of a description on their volume; the same description gives the same files on every run."""
    if files.text is not None:
        folder, _, _ = files.path.rpartition("\\")
        host.files.mkdir(folder, parents=True)
        host.files.write(files.path, files.text.replace("\n", "\r\n").encode())
        return
    host.files.mkdir(files.path, parents=True)
    root = host.files.locate(files.path).real
    dice = random.Random(_seed(host.name, files.path))  # noqa: S311 - names and sizes, no secrets
    content = dice.randbytes(4 * files.bytes + 1)
    for number in range(files.count):
        levels = dice.randrange(files.depth + 1)
        folder_path = root.joinpath(*(dice.choice(_FOLDERS) for _ in range(levels)))
        folder_path.mkdir(parents=True, exist_ok=True)
        path = folder_path / dice.choice(_NAMES).format(number)
        start = dice.randrange(2 * files.bytes)
        path.write_bytes(content[start : start + dice.randrange(2 * files.bytes)] if number else b"")
        moment = 1_700_000_000 + dice.randrange(60_000_000)
        os.utime(path, (moment, moment))
    if not host.clock.real:  # what the machine below did has its date
        now = host.clock.now().timestamp()
        for made, _, _ in os.walk(root):
            os.utime(made, (now, now))
