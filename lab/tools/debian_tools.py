#!/usr/bin/env python3
# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs of Debian for tests, without root and without leaving anything outside one folder.

    debian_tools.py --into DIR PACKAGE...

downloads the packages with everything they need that this machine lacks, from the machine's own package sources and
checked by apt as always, unpacks them below DIR and prints the folder that stands for `/`.  What is there already is
not fetched again.  Nothing is installed: apt gets lists and a cache of its own below DIR, and no maintainer script
runs.  Exit status 3, with one sentence, where this cannot be done: no apt, no network, no such package.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

_FRESH = 24 * 3600  # seconds that package lists are good for
_PATIENCE = 300  # seconds for one call of apt or dpkg
_MARK = ".complete"
# Of the machine's settings only how to reach its sources (proxies, certificates, dates); above all none of its hooks.
_TAKEN = ("Acquire::http", "Acquire::https", "Acquire::ftp", "Acquire::Check-", "Acquire::Retries")


class Unavailable(Exception):
    """The packages cannot be had here; one sentence."""


def provide(packages: Sequence[str], into: Path) -> Path:
    """The folder with these packages unpacked; Unavailable."""
    into = into.absolute()
    into.mkdir(parents=True, exist_ok=True)
    root = into / _name(packages)
    with _alone(into / ".lock"):
        if not (root / _MARK).exists():
            _fetch(packages, into, root)
    return root


def environment(root: Path, base: Mapping[str, str] | None = None) -> dict[str, str]:
    """Environment variables for a program below `root`: its libraries are found there first.

    Also those in folders of their own (libpulse keeps one), which a library finds by an absolute path when installed.
    """
    given = dict(os.environ if base is None else base)
    folders = [each for part in ("usr/lib", "lib") for each in sorted((root / part).glob("*-linux-gnu*"))]
    private = [each for folder in folders for each in sorted(folder.iterdir()) if any(each.glob("lib*.so*"))]
    given["LD_LIBRARY_PATH"] = ":".join([*map(str, folders + private), *filter(None, [given.get("LD_LIBRARY_PATH")])])
    return given


def _name(packages: Sequence[str]) -> str:
    digest = hashlib.sha256("\n".join(sorted(packages)).encode()).hexdigest()[:8]
    return f"{sorted(packages)[0]}-{digest}"


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One process at a time: tests may run side by side."""
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _fetch(packages: Sequence[str], into: Path, root: Path) -> None:
    missing = [each for each in ("apt-get", "apt-config", "dpkg-deb") if shutil.which(each) is None]
    if missing:
        raise Unavailable(f"This machine has no {missing[0]}, so Debian's packages cannot be used.")
    apt = _Apt(into / "apt")
    with tempfile.TemporaryDirectory(dir=into, prefix="unpack-") as folder:
        part = Path(folder) / "root"
        for archive in apt.download(packages, Path(folder)):
            _run(["dpkg-deb", "--extract", str(archive), str(part)], f"{archive.name} cannot be unpacked")
        (part / _MARK).write_text("\n".join(packages) + "\n", encoding="utf-8")
        shutil.rmtree(root, ignore_errors=True)
        part.rename(root)


class _Apt:
    """apt with lists, cache and settings of its own in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for part in ("state/lists/partial", "cache/archives/partial"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        self._settings = folder / "apt.conf"
        self._settings.write_text(self._configuration(), encoding="utf-8")

    def _configuration(self) -> str:
        dump = _run(["apt-config", "dump"], "The settings of apt cannot be read").splitlines()
        taken = [line for line in dump if line.startswith(_TAKEN)]
        own = {
            "Dir::State": self._folder / "state",
            "Dir::State::status": "/var/lib/dpkg/status",
            "Dir::Cache": self._folder / "cache",
            "Dir::Etc::main": "/dev/null",
            "Dir::Etc::parts": "/dev/null",
            "Dir::Log": self._folder,
            "APT::Sandbox::User": "root" if os.getuid() == 0 else "",
            "Acquire::Languages": "none",
            "Acquire::GzipIndexes": "true",
            "Debug::NoLocking": "true",  # of dpkg's database, which is only read here
            **self._sources(),
        }
        return "\n".join([*taken, *(f'{name} "{value}";' for name, value in own.items())]) + "\n"

    @staticmethod
    def _sources() -> dict[str, str]:
        """Debian's own sources only, where they have a file for themselves: a broken third party is no concern here."""
        own = Path("/etc/apt/sources.list.d/debian.sources")
        return {"Dir::Etc::sourcelist": str(own), "Dir::Etc::sourceparts": "/dev/null"} if own.exists() else {}

    def _call(self, *arguments: str, failing: str) -> str:
        return _run(["apt-get", "-q", *arguments], failing, {**os.environ, "APT_CONFIG": str(self._settings)})

    def update(self) -> None:
        stamp = self._folder / "updated"
        if stamp.exists() and time.time() - stamp.stat().st_mtime < _FRESH:
            return
        self._call("update", failing="The package lists cannot be fetched")
        stamp.touch()

    def download(self, packages: Sequence[str], to: Path) -> list[Path]:
        """The archives of the packages and of what they need beyond what is installed."""
        self.update()
        archives = to / "archives"
        (archives / "partial").mkdir(parents=True)
        self._call("install", "--yes", "--no-install-recommends", "--reinstall", "--download-only",
                   "-o", f"Dir::Cache::archives={archives}", *packages,
                   failing=f"{' '.join(packages)} cannot be fetched")  # fmt: skip
        return sorted(archives.glob("*.deb"))


def _run(command: list[str], failing: str, environ: Mapping[str, str] | None = None) -> str:
    """The standard output; Unavailable with the last line of the errors."""
    try:
        done = subprocess.run(command, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              check=False, timeout=_PATIENCE)  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{failing}: {error}.") from None
    if done.returncode:
        words = [line for line in done.stderr.splitlines() if line.strip()] or ["no reason given"]
        raise Unavailable(f"{failing}: {words[-1].strip()}")
    return done.stdout


def main() -> int:
    parser = argparse.ArgumentParser(description="Unpack programs of Debian into a folder, without root.")
    parser.add_argument("--into", type=Path, required=True, metavar="DIR", help="where everything is kept")
    parser.add_argument("packages", nargs="+", metavar="PACKAGE")
    options = parser.parse_args()
    try:
        print(provide(options.packages, options.into))
    except Unavailable as error:
        print(f"debian_tools: {error}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
