# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""robocopy.exe: copies real trees between the volumes of a host, and says so as robocopy does.

Source: "robocopy" in the Windows Commands documentation, and captured logs. The folders are copied one after the other
whatever /MT says; a log of a run with /MT has no order that could be relied upon anyway.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass

from ..windows.clock import UTC
from ..windows.commandline import join
from ..windows.errors import ACCESS_DENIED, CANNOT_RESOLVE, INVALID_NAME, WinError
from ..windows.files import READONLY, FileStat, FileSystem
from ..windows.paths import MAX_PATH, child, fold
from ..windows.processes import Invocation
from .robocopy_log import Counts, Log
from .robocopy_options import InvalidParameter, Options, parse

FATAL = 16
_PIECE = 256 * 1024  # bytes between two looks at the stop event
_DEEPEST = 300  # folders; the machine below has paths of at most 4096 bytes
_UNFINISHED = datetime.datetime(1980, 1, 1, tzinfo=UTC)  # the time of writing of a file that robocopy is still copying
_SKIPPED_AT_ROOT = frozenset({"SYSTEM VOLUME INFORMATION", "$RECYCLE.BIN"})


_Act = Callable[[], None]


class _Stopped(Exception):
    """The process is being ended."""


class _Fatal(Exception):
    """Nothing can be copied: exit code 16."""


def main(call: Invocation) -> int:
    """Run robocopy; the exit code is its bit mask, 16 when nothing could be done."""
    try:
        options = parse(call.argv[1:], int(call.host.profile.build))
    except InvalidParameter as problem:
        return _usage(call, problem)
    log = Log(call.host, options, call.out)
    if not options.source or not options.dest:
        log.header(options.source, options.dest)
        log.line(log.words["nodest" if options.source else "missing"])
        return FATAL
    files = call.host.files.as_user(call.user, backup=options.backup, cwd=call.cwd)
    try:
        log.open(files)
    except WinError as problem:
        log.problem(problem.code, "log", str(options.log))
        return FATAL
    try:
        return _Job(call, options, log, files).run()
    except _Fatal:
        return FATAL
    except _Stopped:
        return FATAL
    finally:
        log.close()


def _usage(call: Invocation, problem: InvalidParameter) -> int:
    log = Log(call.host, Options(), call.out)
    log.header("", "")
    log.line(str(log.words["invalid"]).format(problem.number, problem.text))
    if problem.reason:
        log.line(problem.reason)
    log.line()
    for text in log.words["usage"]:
        log.line(text)
    return FATAL


@dataclass
class _Pair:
    """One folder on both sides, in the spelling of the log, with closing backslashes."""

    source: str
    dest: str
    depth: int


class _Job:
    """One run of robocopy."""

    def __init__(self, call: Invocation, options: Options, log: Log, files: FileSystem) -> None:
        self._call, self._options, self._log, self._files = call, options, log, files
        self._host = call.host
        self._clock = call.host.clock
        self._counts = Counts()

    def run(self) -> int:
        """Copy the tree; the exit code."""
        began = self._clock.monotonic()
        source, dest = self._shown(self._options.source), self._shown(self._options.dest)
        self._log.header(source, dest)
        self._check_source(source)
        self._folder(_Pair(source, dest, 0))
        self._log.summary(self._counts, self._clock.monotonic() - began)
        return self._counts.exit_code

    def _shown(self, path: str) -> str:
        """A folder as the header shows it: whole, and with a closing backslash."""
        if path.startswith("\\\\"):
            return path if path.endswith("\\") else path + "\\"
        try:
            whole = self._files.locate(path).path
        except WinError:
            whole = path.replace("/", "\\")
        return whole if whole.endswith("\\") else whole + "\\"

    def _check_source(self, source: str) -> None:
        """End the run when the source is no folder that robocopy can read; devices are none."""
        if source.upper().startswith("\\\\?\\GLOBALROOT"):
            self._log.problem(INVALID_NAME, "type", source)
            raise _Fatal
        try:
            self._files.listdir(source)
        except WinError as problem:
            if self._use_backup(problem):
                return
            self._log.problem(problem.code, "source", source)
            raise _Fatal from problem

    def _use_backup(self, problem: WinError) -> bool:
        """With /ZB what is denied is tried once more with the backup privilege; True when there is such another try."""
        if problem.code != ACCESS_DENIED or not self._options.backup_when_denied:
            return False
        self._options.backup_when_denied = False
        self._files = self._host.files.as_user(self._call.user, backup=True, cwd=self._call.cwd)
        return self._call.user.administrator

    def _is_root(self, path: str) -> bool:
        """True for the root folder of a volume or a shadow copy, however it is reached."""
        return self._files.locate(self._long(path), follow=True).parts == ()

    def _heed(self) -> None:
        if self._call.stop.is_set():
            raise _Stopped

    def _long(self, path: str) -> str:
        """A path with the prefix that lifts the limit of 260 characters, unless /256 was given."""
        plain = len(path) < MAX_PATH or path.startswith("\\\\") or not self._options.long_paths
        return path if plain else "\\\\?\\" + path

    # -- folders ---------------------------------------------------------------------------------------------------
    def _folder(self, pair: _Pair) -> None:
        self._heed()
        counts, options = self._counts, self._options
        counts.dirs["total"] += 1
        entries = self._entries(pair)
        if entries is None:
            counts.dirs["failed"] += 1
            return
        files = [each for each in entries if not each.is_dir and self._wanted_file(each, pair)]
        folders = [each for each in entries if each.is_dir and self._wanted_folder(each, pair)]
        there = self._files.is_dir(self._long(pair.dest))
        if not there and (files or options.empty_folders or pair.depth == 0) and not self._make(pair):
            counts.dirs["failed"] += 1
            if pair.depth == 0:
                raise _Fatal
            return
        counts.dirs["skipped" if there else "copied"] += 1
        self._log.folder("same" if there else "newdir", len(files), pair.source)
        present = self._present(pair) if there else {}
        self._extras(pair, entries, present)
        for each in files:
            self._file(each, pair, present.get(fold(each.name)))
        for each in folders if options.subfolders else ():
            self._subfolder(each, pair)
        self._finish(pair)

    def _entries(self, pair: _Pair) -> list[FileStat] | None:
        if pair.depth > _DEEPEST:
            self._log.problem(CANNOT_RESOLVE, "source", pair.source)
            return None
        found: list[FileStat] = []

        def look() -> None:
            found.extend(self._files.listdir(self._long(pair.source)))

        return found if self._tried(look, "source", pair.source) else None

    def _wanted_file(self, each: FileStat, pair: _Pair) -> bool:
        options = self._options
        dest = child(pair.dest, each.name)
        return options.wants(each.name) and not options.file_excluded(each.name, child(pair.source, each.name), dest)

    def _wanted_folder(self, each: FileStat, pair: _Pair) -> bool:
        options = self._options
        if options.skip_links and each.link_target is not None:
            return False
        if options.mirror and pair.depth == 0 and fold(each.name) in _SKIPPED_AT_ROOT and self._is_root(pair.source):
            return False
        dest = child(pair.dest, each.name)
        return not options.dir_excluded(each.name, child(pair.source, each.name), dest)

    def _subfolder(self, each: FileStat, pair: _Pair) -> None:
        source, dest = child(pair.source, each.name), child(pair.dest, each.name)
        junction = each.link_target is not None and each.link_target.lower().startswith("\\\\?\\volume{")
        as_it_is = self._options.junctions_as_junctions if junction else self._options.links_as_links
        if each.link_target is not None and as_it_is:
            self._link(source, dest, each.link_target)
            return
        self._folder(_Pair(source + "\\", dest + "\\", pair.depth + 1))

    def _link(self, source: str, dest: str, target: str) -> None:
        self._counts.dirs["total"] += 1
        if self._files.exists(dest):
            self._counts.dirs["skipped"] += 1
            return
        done = self._options.list_only or self._tried(lambda: self._files.symlink(dest, target), "link", source)
        self._counts.dirs["copied" if done else "failed"] += 1

    def _make(self, pair: _Pair) -> bool:
        if self._options.list_only:
            return True
        path = self._long(pair.dest.rstrip("\\") if len(pair.dest) > len("C:\\") else pair.dest)
        return self._tried(lambda: self._files.mkdir(path, parents=True), "dest", pair.dest)

    def _finish(self, pair: _Pair) -> None:
        """Attributes and times of a copied folder (/DCOPY), once nothing in it changes any more."""
        options = self._options
        if options.list_only or not self._files.is_dir(self._long(pair.dest)):
            return
        dest = self._long(pair.dest)
        if self._is_root(pair.dest):
            return

        def settle() -> None:
            info = self._files.stat(self._long(pair.source), follow=True)
            if "A" in options.dcopy and pair.depth:
                self._files.set_attributes(dest, info.attributes)
            if "T" in options.dcopy:
                self._files.set_times(dest, modified=info.modified)
            self._secure(self._long(pair.source), dest)

        self._tried(settle, "dest", pair.dest)

    # -- extras ----------------------------------------------------------------------------------------------------
    def _present(self, pair: _Pair) -> dict[str, FileStat]:
        try:
            return {fold(each.name): each for each in self._files.listdir(self._long(pair.dest))}
        except WinError as problem:
            self._log.problem(problem.code, "scan", pair.dest)
            return {}

    def _extras(self, pair: _Pair, entries: list[FileStat], present: dict[str, FileStat]) -> None:
        """Tell, and with /PURGE delete, what only the destination has; excluded names are left alone."""
        here = {fold(each.name) for each in entries}
        for name, each in present.items():
            source, dest = child(pair.source, each.name), child(pair.dest, each.name)
            excluded = self._options.dir_excluded if each.is_dir else self._options.file_excluded
            if name in here or self._options.exclude_extra or excluded(each.name, source, dest):
                continue
            if pair.depth == 0 and name in _SKIPPED_AT_ROOT and self._is_root(pair.dest):
                continue
            if each.is_dir:
                self._counts.dirs["extras"] += 1
                self._log.folder("extradir", -1, dest + "\\")
            elif self._options.wants(each.name):
                self._counts.file("extras", each.length)
                self._log.file("extra", each.length, dest, each.name)
            else:
                continue
            if self._options.purge and not self._options.list_only:
                self._delete(each, dest)

    def _delete(self, each: FileStat, dest: str) -> None:
        def act() -> None:
            if each.is_dir:
                self._files.remove_tree(self._long(dest))
                return
            if each.attributes & READONLY:
                self._files.set_attributes(self._long(dest), each.attributes & ~READONLY)
            self._files.remove(self._long(dest))

        if not self._tried(act, "deletedir" if each.is_dir else "delete", dest):
            self._counts.dirs["failed"] += 1

    # -- files -----------------------------------------------------------------------------------------------------
    def _file(self, info: FileStat, pair: _Pair, there: FileStat | None) -> None:
        self._heed()
        counts, options = self._counts, self._options
        source, dest = child(pair.source, info.name), child(pair.dest, info.name)
        counts.file("total", info.length)
        kind = _class_of(info, there)
        if kind == "mismatch":
            counts.file("mismatch", info.length)
            self._log.file("mismatch", info.length, source, info.name)
            return
        if (kind == "same" and not options.include_same) or (kind == "older" and options.exclude_older):
            counts.file("skipped", info.length)
            if options.verbose:
                self._log.file(kind, info.length, source, info.name)
            return
        self._log.file(kind, info.length, source, info.name)
        began = self._clock.monotonic()
        done = options.list_only or self._tried(
            lambda: self._copy(info, source, dest, there), "copy", source, file=True
        )
        passed = self._clock.monotonic() - began
        if done:
            counts.copying += passed
        else:
            counts.failing += passed
        counts.file("copied" if done else "failed", info.length)

    def _copy(self, info: FileStat, source: str, dest: str, there: FileStat | None) -> None:
        """Copy one file; an unfinished one carries the year 1980 until it is whole, as robocopy marks it."""
        files, flags = self._files, self._options.copy
        long_source, long_dest = self._long(source), self._long(dest)
        if there is not None:
            files.set_attributes(long_dest, 0)
        if "D" in flags:
            with files.open(long_source) as stream:
                target = files.writer(long_dest)
                try:
                    with target:
                        while piece := stream.read(_PIECE):
                            self._heed()
                            target.write(piece)
                            self._pace(len(piece))
                except _Stopped:
                    files.set_times(long_dest, modified=_UNFINISHED)
                    raise
                except WinError:
                    if files.exists(long_dest):
                        files.remove(long_dest)
                    raise
        if "T" in flags:
            files.set_times(long_dest, modified=info.modified, created=info.created)
        if "A" in flags:
            files.set_attributes(long_dest, info.attributes)
        self._secure(long_source, long_dest)

    def _secure(self, source: str, dest: str) -> None:
        """/COPY:S and O: the DACL and the owner."""
        parts = {"S": "D", "O": "OG"}
        wanted = "".join(letters for flag, letters in parts.items() if flag in self._options.copy)
        if wanted:
            text = self._host.files.security(source)
            if "O" not in wanted:
                text = text[text.index("D:") :]
            elif "D" not in wanted:
                text = text.partition("D:")[0]
            self._files.set_security(dest, text)

    def _pace(self, size: int) -> None:
        """Take as long as `Host.copy_rate` (bytes a second) says."""
        rate = self._host.copy_rate
        if rate and self._clock.sleep(size / rate, self._call.stop):
            raise _Stopped

    def _faulted(self, path: str) -> None:
        """A fault of kind 'program' on this file: fail (a Win32 error), delay (seconds), kill."""
        fault = self._host.faults.match("program", host=self._host.name, program="robocopy.exe", file=path,
                                        user=self._call.user.name, arguments=join(self._call.argv))  # fmt: skip
        if fault is None:
            return
        self._host.trace.write("fault", self._host.name, program="robocopy.exe", file=path, do=fault.do)
        self._clock.sleep(fault.delay, self._call.stop)
        if fault.do.get("kill"):
            self._host.processes.kill(self._call.pid)
        self._heed()
        if fault.fail is not None:
            raise WinError(fault.fail, path)

    def _tried(self, act: _Act, doing: str, path: str, *, file: bool = False) -> bool:
        """Do something, again and again as /R and /W say; False when it failed for good (the log tells)."""
        for attempt in range(self._options.retries + 1):
            self._heed()
            try:
                if file:
                    self._faulted(path)
                act()
            except WinError as problem:
                if self._use_backup(problem):
                    return self._tried(act, doing, path, file=file)
                self._log.problem(problem.code, doing, path)
                if attempt == self._options.retries:
                    break
                self._log.waiting(self._options.wait)
                if self._clock.sleep(self._options.wait, self._call.stop):
                    raise _Stopped from None
            else:
                return True
        self._log.gave_up()
        return False


def _class_of(info: FileStat, there: FileStat | None) -> str:
    """How a source file compares with what stands in its place: by length and time of writing only."""
    if there is None:
        return "new"
    if there.is_dir:
        return "mismatch"
    if info.modified == there.modified:
        return "same" if info.length == there.length else "changed"
    return "newer" if info.modified > there.modified else "older"
