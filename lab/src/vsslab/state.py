# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of a laboratory in one file, and a laboratory that continues from one.

A tar file: `manifest.json` (scenario, time, faults, passwords), `hosts/NAME.json` (what a host knows), and below
`hosts/NAME/` its volumes and shadow copies as they are on disk.  Writes are held on each host while it is saved.
"""

from __future__ import annotations

import contextlib
import datetime
import io
import json
import os
import shutil
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vsslab import scenario
from vsslab.apps.driver import AppError
from vsslab.refusal import Refusal
from vsslab.running import MARK, is_running
from vsslab.specs import Scenario, TimeSpec

if TYPE_CHECKING:
    from vsslab.lab import Lab
    from vsslab.windows.host import Host

_FORMAT = 1
_SAVED, _MANIFEST = "saved", "manifest.json"
_WRITTEN = "VSSLAB.written"  # a keyword of our own in the extended headers (POSIX.1-2001)
_PATIENCE = 30.0  # seconds that writes in progress may take to end


class StateError(Refusal):
    """The state cannot be saved or loaded; one sentence."""


@dataclass(frozen=True)
class Saved:
    """A state that was put into a state folder: what a laboratory needs to continue from it."""

    folder: Path
    scenario: Scenario
    passwords: dict[tuple[str, str], str] = field(repr=False)
    faults: list[dict[str, Any]]
    hosts: tuple[str, ...]

    def unpack(self, name: str, root: Path) -> dict[str, Any] | None:
        """Put a saved host's files where they belong; what it knew, or None when it was not saved."""
        if name not in self.hosts:
            return None
        source = self.folder / "hosts" / name
        shutil.rmtree(root, ignore_errors=True)
        root.parent.mkdir(parents=True, exist_ok=True)
        if source.exists():
            shutil.copytree(source, root, symlinks=True)
        known: dict[str, Any] = json.loads((self.folder / "hosts" / f"{name}.json").read_text(encoding="utf-8"))
        return known


# --- saving


def dump(lab: Lab, file: Path) -> dict[str, Any]:
    """Save a laboratory that runs; what was saved, as {file, hosts, bytes}.  StateError.

    Hosts that nobody has touched yet are left out: they begin as their scenario says.
    """
    built = {name: host for name in lab.hosts if (host := _built(lab, name)) is not None}
    manifest = {
        "format": _FORMAT,
        "scenario": {"file": lab.scenario.file, "source": lab.scenario.source},
        "time": lab.time.state(),
        "faults": [each.definition() for each in lab.faults.list()],
        "passwords": [[*account, secret] for account, secret in lab.passwords.items()],
        "hosts": list(built),
    }
    if not lab.scenario.source:
        raise StateError("A laboratory whose scenario was made by hand, not read, cannot be saved.")
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with open(partial, "xb", opener=_private) as out, tarfile.open(fileobj=out, mode="w") as tar:
            _add(tar, _MANIFEST, manifest)
            for name, host in built.items():
                with _still(host):
                    _add(tar, f"hosts/{name}.json", host.dump())
                    tar.add(host.root, f"hosts/{name}", filter=_exactly(host.root, f"hosts/{name}"))
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)
    return {"file": str(file), "hosts": list(built), "bytes": file.stat().st_size}


def _built(lab: Lab, name: str) -> Host | None:
    return next((each for each in lab.hosts.built() if each.name == name.upper()), None)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _exactly(root: Path, name: str) -> Callable[[tarfile.TarInfo], tarfile.TarInfo]:
    """Notes the time of writing in nanoseconds, of which the format's own keeps what a float can."""

    def note(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        found = os.lstat(root / entry.name.removeprefix(name).lstrip("/"))
        entry.pax_headers = {_WRITTEN: str(found.st_mtime_ns)}
        return entry

    return note


def _date(tar: tarfile.TarFile, target: Path) -> None:
    """Give what was extracted its times of writing."""
    for entry in tar.getmembers():
        written = entry.pax_headers.get(_WRITTEN, "")
        if written.isdigit():
            os.utime(target / entry.name, ns=(int(written), int(written)), follow_symlinks=False)


def _add(tar: tarfile.TarFile, name: str, value: Any) -> None:
    data = json.dumps(value, ensure_ascii=False).encode()
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(data), 0o600
    tar.addfile(entry, io.BytesIO(data))


@contextlib.contextmanager
def _still(host: Host) -> Iterator[None]:
    """Nothing writes on the host meanwhile: its applications are frozen as before a backup, its programs wait.

    Stopping the applications would not do: what is in their journals names the folder they lay in.
    """
    with contextlib.ExitStack() as stack:
        for app in host.apps.values():
            with contextlib.suppress(AppError):  # it does not run: nothing writes
                app.freeze(_PATIENCE)
                stack.callback(app.thaw)
        try:
            stack.enter_context(host.files.hold(list(host.volumes), _PATIENCE))
        except TimeoutError:
            raise StateError(f"Writes on {host.name} do not end; its state cannot be saved now.") from None
        yield


# --- loading


def load(file: Path, folder: Path) -> dict[str, Any]:
    """Put a saved state into a state folder, to be continued from; what it holds, as {state, scenario, hosts}."""

    if folder.exists() and any(folder.iterdir()) and not (folder / MARK).exists():
        raise StateError(f"The folder {folder} holds something else; a state folder is empty or a laboratory's.")
    if folder.exists() and is_running(folder):
        raise StateError(f"A laboratory runs with the state folder {folder}.")
    try:
        if not tarfile.is_tarfile(file):
            raise StateError(f"{file} holds no state of a laboratory.")
    except OSError as error:
        raise StateError(f"{file} cannot be read ({error.strerror}).") from None
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / _SAVED
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(mode=0o700)
    try:
        with tarfile.open(file) as tar:
            # links of Windows paths lead anywhere in name only, and nothing here follows them
            tar.extraction_filter = _harmless  # Python 3.11.2, that of Debian 12, knows no filters yet
            tar.extractall(target, members=_checked(tar, target))  # noqa: S202 - each is checked before it is written
            _date(tar, target)
        (folder / MARK).touch()
        found = saved(folder)
    except (tarfile.TarError, OSError, EOFError, scenario.ScenarioError, StateError) as error:
        shutil.rmtree(target, ignore_errors=True)
        raise StateError(f"{file} holds no state of a laboratory ({error}).") from None
    if found is None:
        shutil.rmtree(target, ignore_errors=True)
        raise StateError(f"{file} holds no state of a laboratory.")
    return {"state": str(folder), "scenario": found.scenario.name, "hosts": list(found.hosts)}


def _checked(tar: tarfile.TarFile, target: Path) -> Iterator[tarfile.TarInfo]:
    """The entries one by one, each checked when everything before it has been written."""
    for entry in tar:
        yield _harmless(entry, str(target))


def _harmless(entry: tarfile.TarInfo, path: str) -> tarfile.TarInfo:
    """Refuse names that leave the folder, and what is neither file, folder nor symbolic link."""
    name = Path(entry.name)
    if (
        name.is_absolute()
        or ".." in name.parts
        or not (entry.isfile() or entry.isdir() or entry.issym() or entry.islnk())
    ):
        raise StateError(f"{entry.name} does not belong into one")
    for parent in (Path(path, *name.parts[:count]) for count in range(1, len(name.parts))):
        if parent.is_symlink():
            raise StateError(f"{entry.name} does not belong into one")
    if entry.islnk() and (Path(entry.linkname).is_absolute() or ".." in Path(entry.linkname).parts):
        raise StateError(f"{entry.name} does not belong into one")
    return entry


def saved(folder: Path) -> Saved | None:
    """The state that was loaded into a state folder, or None."""
    place = folder / _SAVED / _MANIFEST
    if not place.exists():
        return None
    try:
        manifest = json.loads(place.read_text(encoding="utf-8"))
        if manifest["format"] != _FORMAT:
            raise StateError(f"The saved state has the format {manifest['format']}, not {_FORMAT}.")
        plan = scenario.read(manifest["scenario"]["source"], manifest["scenario"]["file"])
        time = manifest["time"]
        if time["virtual"]:
            plan = replace(plan, time=TimeSpec(True, datetime.datetime.fromisoformat(time["now"])))
        plan = replace(plan, faults=())
        passwords = {(host, user): secret for host, user, secret in manifest["passwords"]}
        return Saved(folder / _SAVED, plan, passwords, list(manifest["faults"]), tuple(manifest["hosts"]))
    except (KeyError, TypeError, ValueError) as error:
        raise StateError(f"The saved state in {folder} is damaged ({error}).") from None
