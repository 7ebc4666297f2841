# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""robocopy.exe: copies real trees between the volumes of a host, and says so as robocopy does.

Source: "robocopy" in the Windows Commands documentation, and captured logs. The folders are copied one after the other
whatever /MT says; a log of a run with /MT has no order that could be relied upon anyway.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..windows.errors import CANNOT_RESOLVE, INVALID_NAME, WinError
from ..windows.files import READONLY, FileStat, FileSystem
from ..windows.paths import child, fold
from ..windows.processes import Invocation
from .robocopy_files import Copier, Stopped
from .robocopy_jobs import path_of, text_of, with_jobs
from .robocopy_log import Log
from .robocopy_options import InvalidParameter, Options, parse
from .robocopy_select import chosen, class_of, skips

FATAL = 16
_DEEPEST = 300  # folders; the machine below has paths of at most 4096 bytes
_SKIPPED_AT_ROOT = frozenset({"SYSTEM VOLUME INFORMATION", "$RECYCLE.BIN"})


class _Fatal(Exception):
    """Nothing can be copied: exit code 16."""


def main(call: Invocation) -> int:
    """Run robocopy; the exit code is its bit mask, 16 when nothing could be done."""
    build, encoding = int(call.host.profile.build), call.host.language.encoding
    plain = call.host.files.as_user(call.user, cwd=call.cwd)
    try:
        options = parse(call.argv[1:], build)
        if options.jobs:
            options = with_jobs(options, call.argv[1:], build, plain, encoding)
    except InvalidParameter as problem:
        return _usage(call, problem)
    except WinError as problem:
        Log(call.host, Options(), call.out).problem(problem.code, "job", path_of(options.jobs[0]))
        return FATAL
    log = Log(call.host, options, call.out)
    try:
        if options.save:
            plain.write(path_of(options.save), text_of(options, path_of(options.save)).encode(encoding, "replace"))
        if options.quit:
            return 0
        return _started(call, options, log)
    except WinError as problem:
        log.problem(problem.code, "job", path_of(str(options.save)))
        return FATAL


def _started(call: Invocation, options: Options, log: Log) -> int:
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
    except (_Fatal, Stopped):
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
        self._options, self._log = options, log
        self._clock = call.host.clock
        self._copier = Copier(call, options, log, files)
        self._counts = self._copier.counts
        self._long = self._copier.long
        self._tried = self._copier.tried

    @property
    def _files(self) -> FileSystem:
        return self._copier.files  # /ZB changes it

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
            if self._copier.use_backup(problem):
                return
            self._log.problem(problem.code, "source", source)
            raise _Fatal from problem

    def _is_root(self, path: str) -> bool:
        """True for the root folder of a volume or a shadow copy, however it is reached."""
        return self._files.locate(self._long(path), follow=True).parts == ()

    # -- folders ---------------------------------------------------------------------------------------------------
    def _folder(self, pair: _Pair) -> None:
        self._copier.heed()
        self._copier.in_hours()
        counts, options = self._counts, self._options
        counts.dirs["total"] += 1
        entries = self._entries(pair)
        if entries is None:
            counts.dirs["failed"] += 1
            return
        files = [each for each in entries if not each.is_dir and self._wanted_file(each, pair)]
        folders = [each for each in entries if each.is_dir and self._wanted_folder(each, pair)]
        there = self._files.is_dir(self._long(pair.dest))
        if not there and options.exclude_lonely and pair.depth:
            counts.dirs["skipped"] += 1
            self._log.folder("lonely", len(files), pair.source)
            return
        if not there and (files or options.empty_folders or pair.depth == 0) and not self._make(pair):
            counts.dirs["failed"] += 1
            if pair.depth == 0:
                raise _Fatal
            return
        counts.dirs["skipped" if there else "copied"] += 1
        self._log.folder("" if there else "newdir", len(files), pair.source)
        present = self._present(pair) if there else {}
        self._extras(pair, entries, present)
        for each in files:
            self._file(each, pair, present.get(fold(each.name)))
        deeper = options.subfolders and (options.levels is None or pair.depth + 1 < options.levels)
        for each in folders if deeper else ():
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
        if each.link_target is not None and options.skip_file_links:
            return False
        dest = child(pair.dest, each.name)
        return options.wants(each.name) and not options.file_excluded(each.name, child(pair.source, each.name), dest)

    def _wanted_folder(self, each: FileStat, pair: _Pair) -> bool:
        options = self._options
        if options.skip_dir_links and each.link_target is not None:
            return False
        if options.mirror and pair.depth == 0 and fold(each.name) in _SKIPPED_AT_ROOT and self._is_root(pair.source):
            return False
        dest = child(pair.dest, each.name)
        return not options.dir_excluded(each.name, child(pair.source, each.name), dest)

    def _subfolder(self, each: FileStat, pair: _Pair) -> None:
        source, dest = child(pair.source, each.name), child(pair.dest, each.name)
        as_it_is = self._options.junctions_as_junctions if each.junction else self._options.links_as_links
        if each.link_target is not None and as_it_is:
            self._link(each, source, dest, each.link_target)
            return
        self._folder(_Pair(source + "\\", dest + "\\", pair.depth + 1))

    def _link(self, each: FileStat, source: str, dest: str, target: str) -> None:
        self._counts.dirs["total"] += 1
        if self._files.exists(self._long(dest)):
            self._counts.dirs["skipped"] += 1
            return
        make = self._files.junction if each.junction else self._files.symlink
        done = self._options.list_only or self._tried(lambda: make(self._long(dest), target), "link", source)
        self._counts.dirs["copied" if done else "failed"] += 1

    def _make(self, pair: _Pair) -> bool:
        if self._options.list_only:
            return True
        path = self._long(pair.dest.rstrip("\\") if len(pair.dest) > len("C:\\") else pair.dest)
        return self._tried(lambda: self._files.mkdir(path, parents=True), "dest", pair.dest)

    def _finish(self, pair: _Pair) -> None:
        """Attributes and times of a copied folder (/DCOPY), once nothing in it changes; /MOVE takes the source."""
        options = self._options
        if options.list_only or not self._files.is_dir(self._long(pair.dest)):
            return
        dest = self._long(pair.dest)

        def settle() -> None:
            info = self._files.stat(self._long(pair.source), follow=True)
            if "A" in options.dcopy and pair.depth:
                self._files.set_attributes(dest, info.attributes)
            if "T" in options.dcopy:
                self._files.set_times(dest, modified=info.modified)
            self._copier.secure(self._long(pair.source), dest)

        if not self._is_root(pair.dest):
            self._tried(settle, "dest", pair.dest)
        empty = not self._files.listdir(self._long(pair.source))
        if options.move_folders and empty and not self._is_root(pair.source):
            self._tried(lambda: self._files.rmdir(self._long(pair.source.rstrip("\\"))), "deletedir", pair.source)

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
                self._log.file("extra", each, dest)
            else:
                if self._options.report_extra:
                    self._log.file("extra", each, dest)
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
        self._copier.heed()
        counts, options = self._counts, self._options
        if options.hours_per_file:
            self._copier.in_hours()
        source, dest = child(pair.source, info.name), child(pair.dest, info.name)
        counts.file("total", info.length)
        kind = class_of(options, info, there)
        if kind == "mismatch":
            counts.file("mismatch", info.length)
            self._log.file("mismatch", info, source)
            return
        if skips(options, kind) or not chosen(options, info, self._clock):
            counts.file("skipped", info.length)
            if options.verbose:
                self._log.file("lonely" if kind == "new" else kind, info, source, skipped=True)
            if there is not None and not options.list_only and (options.fix_times or options.fix_security):
                self._tried(lambda: self._copier.fix(info, source, dest), "time", dest)
            return
        self._log.file(kind, info, source)
        began = self._clock.monotonic()
        done = options.list_only or self._tried(
            lambda: self._copier.copy(info, source, dest, there), "copy", source, file=True
        )
        passed = self._clock.monotonic() - began
        if done:
            counts.copying += passed
        else:
            counts.failing += passed
        counts.file("copied" if done else "failed", info.length)
        if done and options.move_files and not options.list_only:
            self._delete(info, source)
