# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How robocopy copies one file: content, times, attributes, security, speed, retries."""

from __future__ import annotations

import datetime
from collections.abc import Callable

from .. import incidents
from ..windows.clock import UTC
from ..windows.commandline import join
from ..windows.errors import ACCESS_DENIED, WinError
from ..windows.files import ARCHIVE, FileStat, FileSystem
from ..windows.paths import MAX_FOLDER
from ..windows.processes import Invocation
from .robocopy_log import Counts, Log
from .robocopy_options import Options
from .robocopy_select import wait_for_hours

_PIECE = 256 * 1024  # bytes between two looks at the stop event
_PACKET = 64 * 1024  # bytes between two gaps of /IPG
_UNFINISHED = datetime.datetime(1980, 1, 1, tzinfo=UTC)  # the time of writing of a file that robocopy is still copying


class Stopped(Exception):
    """The process is being ended."""


class Copier:
    """Copies single files for one run, and tries again what failed as /R and /W say."""

    def __init__(self, call: Invocation, options: Options, log: Log, files: FileSystem) -> None:
        self._call, self.options, self._log, self.files = call, options, log, files
        self._host = call.host
        self._clock = call.host.clock
        self.counts = Counts()

    def heed(self) -> None:
        """Stopped when the process must end."""
        if self._call.stop.is_set():
            raise Stopped

    def long(self, path: str) -> str:
        """A path with the prefix that lifts the limits (260 characters, 248 of a new folder), but not with /256."""
        plain = len(path) < MAX_FOLDER or path.startswith("\\\\") or not self.options.long_paths
        return path if plain else "\\\\?\\" + path

    def in_hours(self) -> None:
        """Wait until copies may start (/RH)."""
        while seconds := wait_for_hours(self.options, self._clock):
            if self._clock.sleep(seconds, self._call.stop):
                raise Stopped

    def use_backup(self, problem: WinError) -> bool:
        """With /ZB what is denied is tried once more with the backup privilege; True when there is such another try."""
        if problem.code != ACCESS_DENIED or not self.options.backup_when_denied:
            return False
        self.options.backup_when_denied = False
        self.files = self._host.files.as_user(self._call.user, backup=True, cwd=self._call.cwd)
        return self._call.user.administrator

    def tried(self, act: Callable[[], None], doing: str, path: str, *, file: bool = False) -> bool:
        """Do something, again and again as /R and /W say; False when it failed for good (the log tells)."""
        for attempt in range(self.options.retries + 1):
            self.heed()
            try:
                if file:
                    self._faulted(path)
                act()
            except WinError as problem:
                if self.use_backup(problem):
                    return self.tried(act, doing, path, file=file)
                self._log.problem(problem.code, doing, path)
                if attempt == self.options.retries:
                    break
                self._log.waiting(self.options.wait)
                if self._clock.sleep(self.options.wait, self._call.stop):
                    raise Stopped from None
            else:
                return True
        self._log.gave_up()
        return False

    def copy(self, info: FileStat, source: str, dest: str, there: FileStat | None) -> None:
        """Copy one file; an unfinished one carries the year 1980 until it is whole, as robocopy marks it."""
        files, flags = self.files, self.options.copy
        long_source, long_dest = self.long(source), self.long(dest)
        if there is not None:
            files.set_attributes(long_dest, 0)
        if self.options.create_only:
            files.write(long_dest, b"")
        elif "D" in flags:
            self._content(long_source, long_dest)
        elif there is None:
            return  # without the data there is no file that anything could be set on
        self.settle(info, long_source, long_dest)
        if self.options.reset_archive:
            files.set_attributes(long_source, info.attributes & ~ARCHIVE)

    def settle(self, info: FileStat, source: str, dest: str) -> None:
        """Times, attributes and security of a copied file, as /COPY, /A+ and /A- say."""
        files, flags, options = self.files, self.options.copy, self.options
        if "T" in flags:
            files.set_times(dest, modified=info.modified, created=info.created)
        if "A" in flags or options.add_attributes or options.remove_attributes:
            base = info.attributes if "A" in flags else files.stat(dest).attributes
            files.set_attributes(dest, (base | options.add_attributes) & ~options.remove_attributes)
        self.secure(source, dest)

    def _content(self, source: str, dest: str) -> None:
        files = self.files
        with files.open(source) as stream:
            target = files.writer(dest)
            try:
                with target:
                    while piece := stream.read(_PIECE):
                        self.heed()
                        target.write(piece)
                        self._pace(len(piece))
            except Stopped:
                files.set_times(dest, modified=_UNFINISHED)
                raise
            except WinError:
                if files.exists(dest):
                    files.remove(dest)
                raise

    def fix(self, info: FileStat, source: str, dest: str) -> None:
        """/SECFIX and /TIMFIX: what is set on files that are not copied."""
        if self.options.fix_times and "T" in self.options.copy:
            self.files.set_times(self.long(dest), modified=info.modified, created=info.created)
        if self.options.fix_security:
            self.secure(self.long(source), self.long(dest))

    def secure(self, source: str, dest: str) -> None:
        """/COPY:S and O: the DACL and the owner."""
        parts = {"S": "D", "O": "OG"}
        wanted = "".join(letters for flag, letters in parts.items() if flag in self.options.copy)
        if wanted:
            text = self._host.files.security(source)
            if "O" not in wanted:
                text = text[text.index("D:") :]
            elif "D" not in wanted:
                text = text.partition("D:")[0]
            self.files.set_security(dest, text)

    def _pace(self, size: int) -> None:
        """Take as long as `Host.copy_rate` and /IORATE (bytes a second) and /IPG (ms every 64 KB) say."""
        rates = [each for each in (self._host.copy_rate, self.options.rate) if each]
        seconds = size / min(rates) if rates else 0.0
        seconds += self.options.gap / 1000 * -(-size // _PACKET)
        if seconds and self._clock.sleep(seconds, self._call.stop):
            raise Stopped

    def _faulted(self, path: str) -> None:
        """A fault of kind 'program' on this file: fail (a Win32 error), kill, or what befalls the host."""
        fault = incidents.meet(self._host, "program", self._call.stop, program="robocopy.exe", file=path,
                               user=self._call.user.name, arguments=join(self._call.argv),
                               verb=self._call.argv[1] if len(self._call.argv) > 1 else None)  # fmt: skip
        if fault is None:
            return
        if fault.do.get("kill") is True:
            self._clock.sleep(fault.delay, self._call.stop)
            self._host.processes.kill(self._call.pid)
        self.heed()
        if fault.fail is not None:
            raise WinError(fault.fail, path)
