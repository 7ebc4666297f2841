# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One Windows host: its parts, its restart, and the ledger of everything that can be left behind on it."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import os
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ..faults import Faults
from ..trace import Trace
from . import power, skeleton, state
from .cim import Cim
from .clock import Clock
from .endpoints import DEFAULT, Endpoint, default_endpoint
from .errors import WinError
from .events import Events
from .fileio import to_nanoseconds
from .files import FileSystem
from .network import Mappings
from .processes import Processes, Program
from .profile import Language, Profile, language_of, profile_of
from .registry import Registry
from .services import Services
from .shares import Shares
from .tasks import Tasks
from .users import SERVICES, User, Users
from .volumes import GIB, Volume, Volumes, derived_guid

STATE_FOLDER = "umbra-vss"


class Programs(dict[str, Program]):
    """The programs of a host by lower-case file name; an entry made here has its file in System32."""

    def __init__(self, host: Host) -> None:
        super().__init__()
        self._host = host
        self._unseen: set[str] = set()  # programs whose files nobody has looked for yet

    def __setitem__(self, name: str, main: Program) -> None:
        super().__setitem__(name.lower(), main)
        path = f"{self._host.windows}\\System32\\{name.lower()}"
        if not self._host.files.exists(path):
            self._host.files.write(path, b"MZ" + name.lower().encode())

    def provide(self, programs: Mapping[str, Program]) -> None:
        """Enter many at once, by lower-case file name; their files are made when somebody looks for them."""
        self.update(programs)
        self._unseen.update(programs)
        self._host.files.names.before = self._looked_for

    def _looked_for(self, parts: tuple[str, ...]) -> None:
        last = [each.lower() for each in parts[-2:]]
        if last[-1:] == ["system32"]:
            wanted = set(self._unseen)
        elif len(last) == 2 and last[0] == "system32" and last[1] in self._unseen:
            wanted = {last[1]}
        else:
            return
        self._lay_out(wanted)

    def lay_out(self) -> None:
        """Make every file that nobody has looked for yet, before the volume is shadow copied."""
        self._lay_out(set(self._unseen))

    def _lay_out(self, wanted: set[str]) -> None:
        """As if the files had been there since the folder was made."""
        self._unseen -= wanted
        folder = self._host.volumes.boot.root / "Windows" / "System32"
        if not wanted or not folder.is_dir():
            return
        found = folder.stat()
        since = min(found.st_mtime_ns, self._host.installed)
        for name in wanted:
            with contextlib.suppress(FileExistsError):
                with (folder / name).open("xb") as stream:
                    stream.write(b"MZ" + name.encode())
                os.utime(folder / name, ns=(since, since))
        os.utime(folder, ns=(found.st_atime_ns, found.st_mtime_ns))

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name.lower() if isinstance(name, str) else name)


class Host:
    """A Windows host. Nothing here knows of shadow copies or of the wire; `vss` is set by `vsslab.vss.install(host)`.

    `root` is the host's real folder; volumes given without a folder get one below it. `copy_rate` bounds robocopy
    (bytes a second, None: as fast as the disk); `apps` holds the applications that run on the host; `network` the other
    hosts of the laboratory by name; `utf8` makes UTF-8 its ANSI and OEM code page; `state` is running, restarting (for
    `restart_seconds`) or off; `previous_versions(volume, moment)` gives the device of a shadow copy that Previous
    Versions shows for that moment, if any; `pending_renames` (old, new or None) are done at the next start.
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
        utf8: bool = False,
        restart_seconds: float = 0.0,
    ) -> None:
        self.name = name.upper()
        self.root = root
        self.profile = profile_of(profile)
        spoken = language_of(language)
        self.language = spoken.in_utf8() if utf8 else spoken
        self.faults = faults if faults is not None else Faults()
        self.trace = trace if trace is not None else Trace()
        self.time_zone = time_zone
        self.clock = clock or Clock(time_zone)
        self.domain = domain
        self.copy_rate = copy_rate
        self.windows = "C:\\Windows"
        self.boot_time: datetime.datetime = self.clock.now() - datetime.timedelta(hours=1)
        self.installed = to_nanoseconds(self.clock.now())
        self.state = "running"
        self.network: Mapping[str, Host] = {}
        self.previous_versions: Callable[[Volume, datetime.datetime], str | None] | None = None
        self.vss: Any = None
        self.engine: Any = None  # a real PowerShell engine that runs this host's pipelines instead of ours
        self.apps: dict[str, Any] = {}
        self.authentication: frozenset[str] = frozenset()  # what WinRM offers here; empty: as everywhere
        self.endpoints: dict[str, Endpoint] = {DEFAULT: default_endpoint()}
        self.refusals: Counter[str] = Counter()  # what was asked for and is not simulated, over the host's life
        self.said: set[str] = set()  # notes for the log that are worth saying once a host
        self.restart_seconds = restart_seconds
        self.went_down: datetime.datetime | None = None
        self.crashed = False
        self.pending_renames: list[tuple[str, str | None]] = []
        self._power, self._closing = threading.Lock(), threading.Event()
        self.on_reboot: list[Callable[[], None]] = []
        self.on_boot: list[Callable[[], None]] = []
        self.on_winrm_restart: list[Callable[[], None]] = []
        self.on_close: list[Callable[[], None]] = []
        if self.profile.domain_controller and not self.joined:
            raise ValueError(f"{self.name} is a domain controller and needs a domain with a dot in its name.")
        self.users = Users(self.name, self.language.tag, domain=domain)
        for each in users:
            self.add_user(each)
        self.volumes = Volumes(self._volume(each) for each in volumes)
        self._complete_volumes()
        self.shares = Shares(self)
        self.mappings = Mappings(self)
        self.registry = Registry(self)
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
        new = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        if new and not self.clock.real:
            now = to_nanoseconds(self.clock.now())
            os.utime(folder, ns=(now, now))
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

    @property
    def joined(self) -> bool:
        """True for a member of a domain (a domain has a dot in its name, a workgroup has none)."""
        return "." in self.domain

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

    def reboot(self, seconds: float | None = None, *, unexpected: bool = False, by: User | None = None) -> None:
        """Restart, and return when the host is up again; harmless while it is down already.

        Every process ends (shells and tasks with them), the callbacks of `on_reboot` run; the host is `restarting` for
        `seconds` of its clock (None: its `restart_seconds`) and serves nothing; then automatic services run, tasks with
        a boot trigger start, and the callbacks of `on_boot` run. `unexpected`: a crash, no goodbye in the event log.
        """
        with self._power:
            if self.state != power.RUNNING:
                return
            power.go_down(self, power.RESTARTING, unexpected=unexpected, by=by)
            self.clock.sleep(self.restart_seconds if seconds is None else seconds, self._closing)
            if not self._closing.is_set():
                power.come_up(self)

    def begin_reboot(self, seconds: float | None = None, *, delay: float = 0.0, by: User | None = None) -> None:
        """Restart after `delay` seconds, without the caller waiting: what a program on the host itself can do."""

        def work() -> None:
            if not self.clock.sleep(delay, self._closing):
                self.reboot(seconds, by=by)

        self.clock.spawn(work, name=f"{self.name}:reboot")

    def shut_down(self, *, unexpected: bool = False, by: User | None = None) -> None:
        """Switch the host off; it serves nothing until `power_on`."""
        with self._power:
            if self.state == power.RUNNING:
                power.go_down(self, power.OFF, unexpected=unexpected, by=by)

    def power_on(self) -> None:
        """Switch the host on; it is up when this returns."""
        with self._power:
            if self.state == power.OFF:
                power.come_up(self)

    def restart_winrm(self) -> None:
        """The service WinRM restarts: its sessions end with everything that runs in them, the host goes on."""
        self.trace.write("service", self.name, service="WinRM", what="restarted")
        for callback in tuple(self.on_winrm_restart):
            callback()

    def close(self) -> None:
        """End everything that runs on the host; the files stay."""
        self._closing.set()
        self.tasks.close()
        self.services.close()
        self.processes.kill_all()
        for callback in tuple(self.on_close):
            callback()

    def dump(self) -> dict[str, Any]:
        """Everything the host keeps, as plain data for JSON (passwords too); not the content of its volumes."""
        return state.dump(self)

    def load(self, data: dict[str, Any]) -> None:
        """Take over what `dump` gave; ValueError when it is not this host's."""
        state.load(self, data)

    def ledger(self) -> dict[str, Any]:
        """Everything that can be left behind, as plain data in a fixed order, for a comparison before and after.

        Shadow copies, storage areas that somebody made, links, exposures, volumes and mounts, shares and mappings,
        tasks, event sources, files in the folders that tools use for their work, services that do not run or do,
        programs that run.
        """
        return {
            "shadow_copies": self._shadows(),
            "storage_areas": self._areas(),
            "links": self.files.links(),
            "exposures": self.files.exposures(),
            "mounts": {each.device_id: sorted(each.names[:-1]) for each in sorted(self.volumes, key=lambda v: v.guid)},
            "shares": sorted(f"{each.name} -> {each.path}" for each in self.shares.list() if not each.special),
            "mappings": self.mappings.names(),
            "tasks": sorted(f"{each.path}{each.name} {each.state}" for each in self.tasks.list()),
            "event_sources": self.events.added_sources(),
            "files": {path: value for folder in self._scratch() for path, value in self._tree(folder).items()},
            "services": {each.name: each.status for each in self.services.list()},
            "programs": sorted(each.name for each in self.processes.list() if each.name.lower() in self.programs),
            "registry": self.registry.added(),
            "endpoints": sorted(self.endpoints),
        }

    def _shadows(self) -> list[str]:
        if not self.cim.knows("Win32_ShadowCopy"):
            return []
        found = self.cim.instances(self.users.system, "Win32_ShadowCopy")
        return sorted(f"{each['ID']} {each['VolumeName']}" for each in found)

    def _areas(self) -> list[str]:
        """Storage areas, but for those that come and go with a volume's copies: with something in them and no limit."""
        if not self.cim.knows("Win32_ShadowStorage"):
            return []
        found = self.cim.instances(self.users.system, "Win32_ShadowStorage")
        made = [each for each in found if each["MaxSpace"] < 2**64 - 1 or not each["AllocatedSpace"]]
        return sorted(f"{a['Volume']['DeviceID']} on {a['DiffVolume']['DeviceID']} {a['MaxSpace']}" for a in made)

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
