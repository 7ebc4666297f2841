# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One Windows host: its parts, its restart, and the ledger of everything that can be left behind on it."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ..faults import Faults
from ..trace import Trace
from . import skeleton
from .cim import Cim
from .clock import Clock
from .errors import WinError
from .events import Events
from .files import FileSystem
from .processes import Processes, Program
from .profile import Language, Profile, language_of, profile_of
from .services import Services
from .tasks import Tasks
from .users import SERVICES, User, Users
from .volumes import GIB, Volume, Volumes, derived_guid

STATE_FOLDER = "umbra-vss"


class Programs(dict[str, Program]):
    """The programs of a host by lower-case file name; an entry made here has its file in System32."""

    def __init__(self, host: Host) -> None:
        super().__init__()
        self._host = host

    def __setitem__(self, name: str, main: Program) -> None:
        super().__setitem__(name.lower(), main)
        path = f"{self._host.windows}\\System32\\{name.lower()}"
        if not self._host.files.exists(path):
            self._host.files.write(path, b"MZ" + name.lower().encode())

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name.lower() if isinstance(name, str) else name)


class Host:
    """A Windows host. Nothing here knows of shadow copies or of the wire; `vss` is set by `vsslab.vss.install(host)`.

    `root` is the host's real folder; volumes given without a folder get one below it. `copy_rate` bounds robocopy
    (bytes a second, None: as fast as the disk); `apps` holds the applications that run on the host.
    """

    def __init__(  # noqa: PLR0913 - everything a scenario says about a host, by keyword
        self,
        name: str,
        root: Path,
        *,
        profile: Profile | str = "server2022",
        language: Language | str = "en-US",
        volumes: Iterable[Mapping[str, Any] | Volume] = ({"letter": "C"},),
        users: Iterable[Mapping[str, Any] | User] = (),
        faults: Faults | None = None,
        trace: Trace | None = None,
        clock: Clock | None = None,
        time_zone: str = "UTC",
        domain: str = "WORKGROUP",
        copy_rate: float | None = None,
    ) -> None:
        self.name = name.upper()
        self.root = root
        self.profile = profile_of(profile)
        self.language = language_of(language)
        self.faults = faults if faults is not None else Faults()
        self.trace = trace if trace is not None else Trace()
        self.time_zone = time_zone
        self.clock = clock or Clock(time_zone)
        self.domain = domain
        self.copy_rate = copy_rate
        self.windows = "C:\\Windows"
        self.boot_time: datetime.datetime = self.clock.now() - datetime.timedelta(hours=1)
        self.vss: Any = None
        self.apps: dict[str, Any] = {}
        self.on_reboot: list[Callable[[], None]] = []
        self.on_close: list[Callable[[], None]] = []
        self.users = Users(self.name, self.language.tag)
        for each in users:
            self.add_user(each)
        self.volumes = Volumes(self._volume(each) for each in volumes)
        self._complete_volumes()
        self.files = FileSystem(self)
        skeleton.build(self)
        self.programs = Programs(self)
        self.processes = Processes(self)
        self.services = Services(self)
        self.events = Events(self)
        self.tasks = Tasks(self)
        self.cim = Cim(self)

    def add_user(self, spec: Mapping[str, Any] | User) -> User:
        """Add an account, given as a User or as {name, password, administrator, remote}."""
        if not isinstance(spec, User):
            return self.users.add(**{str(key): value for key, value in spec.items()})
        return self.users.add(spec.name, spec.password, administrator=spec.administrator, remote=spec.remote,
                              sid=spec.sid or None)  # fmt: skip

    def _volume(self, spec: Mapping[str, Any] | Volume) -> Volume:
        """A volume of `spec`: the fields of Volume, any of them left out but one of letter, label, guid and mounts."""
        if isinstance(spec, Volume):
            spec.root.mkdir(parents=True, exist_ok=True)
            return spec
        fields = dict(spec)
        letter = fields.pop("letter", None)
        name = str(letter or fields.get("guid") or fields.get("label") or (fields.get("mounts") or ["?"])[0])
        guid = str(fields.pop("guid", None) or derived_guid(self.name, name))
        folder = Path(fields.pop("root", None) or self.root / "volumes" / (letter or guid))
        folder.mkdir(parents=True, exist_ok=True)
        fields.setdefault("capacity", (64 if str(letter).upper().startswith("C") else 16) * GIB)
        return Volume(guid, letter, folder, **fields)

    def _complete_volumes(self) -> None:
        first = self.volumes.by_path("C:")
        if first is None:
            raise ValueError(f"{self.name} has no volume C:, where Windows is.")
        if not any(each.boot for each in self.volumes):
            first.boot = first.pagefile = True
        if not any(each.system for each in self.volumes):
            first.system = True

    def environment(self, user: User | None = None) -> dict[str, str]:
        """The environment variables of a process on this host, those of its account included."""
        system32 = f"{self.windows}\\System32"
        profile = (
            "C:\\Windows\\System32\\config\\systemprofile"
            if user is None or user.sid in SERVICES
            else f"C:\\Users\\{user.name}"
        )
        temporary = (
            f"{self.windows}\\Temp" if user is None or user.sid in SERVICES else f"{profile}\\AppData\\Local\\Temp"
        )
        return {
            "ALLUSERSPROFILE": "C:\\ProgramData", "COMPUTERNAME": self.name, "ComSpec": f"{system32}\\cmd.exe",
            "NUMBER_OF_PROCESSORS": "2", "OS": "Windows_NT", "Path": f"{system32};{self.windows}",
            "PATHEXT": ".COM;.EXE;.BAT;.CMD", "PROCESSOR_ARCHITECTURE": "AMD64", "ProgramData": "C:\\ProgramData",
            "ProgramFiles": "C:\\Program Files", "PUBLIC": "C:\\Users\\Public", "SystemDrive": "C:",
            "SystemRoot": self.windows, "TEMP": temporary, "TMP": temporary, "USERPROFILE": profile,
            "USERNAME": self.name + "$" if user is None or user.sid in SERVICES else user.name, "windir": self.windows,
        }  # fmt: skip

    def expand(self, text: str, user: User | None = None) -> str:
        """`text` with %NAME% replaced by environment variables; unknown names stay as they are."""
        known = {name.lower(): value for name, value in self.environment(user).items()}
        return re.sub(r"%([^%]+)%", lambda found: known.get(found[1].lower(), found[0]), text)

    def reboot(self) -> None:
        """Restart: every process ends (shells and tasks with them), the callbacks of `on_reboot` run, boot time is now.

        Demand-started services are stopped, automatic ones run; tasks with a boot trigger start.
        """
        self.trace.write("reboot", self.name)
        self.tasks.halt()
        self.processes.kill_all()
        for callback in tuple(self.on_reboot):
            callback()
        self.boot_time = self.clock.now()
        self.services.boot()
        self.tasks.boot()

    def close(self) -> None:
        """End everything that runs on the host; the files stay."""
        self.tasks.close()
        self.processes.kill_all()
        for callback in tuple(self.on_close):
            callback()

    def ledger(self) -> dict[str, Any]:
        """Everything that can be left behind, as plain data in a fixed order, for a comparison before and after.

        Shadow copies, links, exposures, volumes and mounts, tasks, event sources, files in the folders that tools
        use for their work, services that do not run or do, programs that run.
        """
        return {
            "shadow_copies": self._shadows(),
            "links": self.files.links(),
            "exposures": self.files.exposures(),
            "mounts": {each.device_id: sorted(each.names[:-1]) for each in sorted(self.volumes, key=lambda v: v.guid)},
            "tasks": sorted(f"{each.path}{each.name} {each.state}" for each in self.tasks.list()),
            "event_sources": self.events.added_sources(),
            "files": {path: value for folder in self._scratch() for path, value in self._tree(folder).items()},
            "services": {each.name: each.status for each in self.services.list()},
            "programs": sorted(each.name for each in self.processes.list() if each.name.lower() in self.programs),
        }

    def _shadows(self) -> list[str]:
        if not self.cim.knows("Win32_ShadowCopy"):
            return []
        found = self.cim.instances(self.users.system, "Win32_ShadowCopy")
        return sorted(f"{each['ID']} {each['VolumeName']}" for each in found)

    def _scratch(self) -> tuple[str, ...]:
        return (f"{self.windows}\\{STATE_FOLDER}", f"{self.windows}\\Temp", "C:\\ProgramData", f"{self.windows}\\Tasks")

    def _tree(self, folder: str) -> dict[str, str]:
        found: dict[str, str] = {}
        with contextlib.suppress(WinError):
            if self.files.is_dir(folder):
                found[folder] = "folder"
            for each in self.files.walk(folder):
                kind = "link" if each.link_target is not None else "folder" if each.is_dir else ""
                found[each.path] = kind or hashlib.sha256(self.files.read(each.path)).hexdigest()
        return dict(sorted(found.items()))
