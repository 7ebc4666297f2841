# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
r"""tar.exe (bsdtar): Windows 10 version 1803, Windows Server 2019 and later.

Sources: bsdtar's manual page (libarchive), its messages as seen in public reports. Archives are real ones, through
Python's tarfile: ustar, with pax headers where a name needs them. Without -f it opens \\.\tape0. Names in old archives
without pax headers are read in the console's code page, as reports tell (libarchive issue 1629).
"""

from __future__ import annotations

import bz2
import contextlib
import functools
import gzip
import lzma
import tarfile
from collections.abc import Callable, Iterator
from typing import IO, Any, cast

from ..windows.errors import PATH_NOT_FOUND, WinError
from ..windows.files import FileStat, FileSystem
from ..windows.processes import Invocation
from .phrases import table
from .tape import Drive, drive_at
from .tar_extract import Extraction, listing
from .tar_options import RECORD, Options, Refused, WrongUsage, matches, parse
from .tar_streams import Failed, FromTape, Paced, ToBlocks

_SUFFIXES = {".gz": "gz", ".tgz": "gz", ".bz2": "bz2", ".tbz2": "bz2", ".xz": "xz", ".txz": "xz"}
_COMPRESSORS: dict[str, Callable[[Any], Any]] = {
    "gz": functools.partial(gzip.GzipFile, "", "wb", 9),
    "bz2": functools.partial(bz2.BZ2File, mode="wb"),
    "xz": functools.partial(lzma.LZMAFile, mode="wb"),
}
NAME = "tar.exe"


def main(call: Invocation) -> int:
    """Create, list or extract an archive; 0, or 1 when anything failed."""
    if {"--version", "--help"} & set(call.argv[1:]):
        call.out(_version(call) if "--version" in call.argv else "\n".join(table("tar")["usage"]))
        return 0
    try:
        options = parse(call.argv[1:])
    except Refused as problem:
        call.err(str(problem))
        return 1
    except WrongUsage as problem:
        call.err(f"{NAME}: {problem}")
        for line in table("tar")["usage"]:
            call.err(line)
        return 1
    if options.archive == "-":
        call.err("vsslab does not simulate archives on tar's standard input and output.")
        return 1
    return _Run(call, options).run()


def _version(call: Invocation) -> str:
    build = int(call.host.profile.build)
    versions: dict[int, str] = table("tar")["version"]
    return versions[max(each for each in versions if each <= build)]


class _Run:
    """One run of tar."""

    def __init__(self, call: Invocation, options: Options) -> None:
        self._call, self._options = call, options
        self._files: FileSystem = call.host.files.as_user(call.user, cwd=call.cwd)
        self._failed = False

    def run(self) -> int:
        """The whole run; the exit code."""
        try:
            drive = drive_at(self._call.host, self._options.archive)
            with drive.opened() if drive else contextlib.nullcontext():
                if self._options.mode == "c":
                    self._create(drive)
                else:
                    self._read(drive)
        except (Failed, WinError) as problem:
            text = str(problem) if isinstance(problem, Failed) else f"Failed to open '{self._options.archive}'"
            opening = "Error opening archive: " if self._options.mode != "c" and isinstance(problem, WinError) else ""
            self._call.err(f"{NAME}: {opening}{text}")
            return 1
        if self._failed:
            self._call.err(f"{NAME}: Error exit delayed from previous errors.")
        return 1 if self._failed else 0

    def _problem(self, name: str, text: str) -> None:
        self._failed = True
        self._call.err(f"{NAME}: {name}: {text}")

    def _directory(self, folder: str, files: FileSystem) -> FileSystem:
        """The files seen from another folder (-C); Failed when it cannot be entered."""
        try:
            whole = files.locate(folder).path
        except WinError:
            whole = ""
        if not whole or whole.startswith("\\\\?\\") or not files.is_dir(whole):
            raise Failed(f"could not chdir to '{folder}'")
        return files.as_user(self._call.user, cwd=whole)

    def _names(self) -> list[tuple[str, str]]:
        options = self._options
        if options.names_from is None:
            return options.items
        try:
            text = self._files.read(options.names_from).decode(self._call.host.language.encoding, "replace")
        except WinError:
            raise Failed(f"Couldn't open {options.names_from}: No such file or directory") from None
        return [*(("", line) for line in text.splitlines() if line), *options.items]

    # -- creating --------------------------------------------------------------------------------------------------
    def _create(self, drive: Drive | None) -> None:
        names = self._names()
        if not any(kind == "" for kind, _ in names):
            raise Failed("no files or directories specified")
        options, call = self._options, self._call
        suffix = "." + options.archive.rpartition(".")[2].lower()
        compression = options.compression or (_SUFFIXES.get(suffix, "") if options.by_suffix else "")
        with contextlib.ExitStack() as stack:
            plain = drive.write if drive else stack.enter_context(self._files.writer(options.archive)).write
            paced = Paced(call, plain)
            blocks = ToBlocks(paced.write, options.blocking * RECORD, pad=drive is not None)
            target: Any = blocks
            if compression:
                target = _COMPRESSORS[compression](blocks)
            with tarfile.open(
                fileobj=cast("IO[bytes]", target),
                mode="w",
                format=tarfile.USTAR_FORMAT if options.format == "ustar" else tarfile.PAX_FORMAT,
            ) as tar:
                try:
                    self._add_all(tar, names)
                    target.write(bytes(2 * RECORD))  # the end: tarfile's own would be as long as a whole record
                finally:
                    cast("Any", tar).closed = True
            if compression:
                target.close()
            blocks.finish()

    def _add_all(self, tar: tarfile.TarFile, names: list[tuple[str, str]]) -> None:
        files = self._files
        for kind, name in names:
            if kind:
                files = self._directory(name, files)
                continue
            try:
                found = list(self._expanded(files, name))
            except WinError:
                found = []
            if not found:
                self._problem(name, "Couldn't find file: No such file or directory")
            for each in found:
                self._add(tar, files, each, each.replace("\\", "/"))

    def _expanded(self, files: FileSystem, name: str) -> Iterator[str]:
        """A name, or what its wildcards match in its folder (bsdtar on Windows expands them itself)."""
        folder, slash, last = name.replace("/", "\\").rpartition("\\")
        if "*" not in last and "?" not in last:
            if files.exists(name) or files.is_dir(name):
                yield name
            return
        for each in files.listdir(folder + slash if slash else "."):
            if matches(last, each.name):
                yield folder + slash + each.name

    def _add(self, tar: tarfile.TarFile, files: FileSystem, path: str, name: str) -> None:
        """Add one file, or a folder with everything in it."""
        if self._call.stop.is_set():
            raise Failed("interrupted")
        if self._options.skips(name) or (self._options.include and not self._included(name)):
            return
        try:
            info = files.stat(path, follow=self._options.follow)
            self._entry(tar, files, path, name, info)
            if info.is_dir and not self._options.no_recursion and (self._options.follow or info.link_target is None):
                for each in files.listdir(path):
                    below = path.rstrip("\\/") + "\\" + each.name
                    self._add(tar, files, below, f"{name.rstrip('/')}/{each.name}")
        except WinError as problem:
            text = "No such file or directory" if problem.code == PATH_NOT_FOUND else problem.text
            self._problem(name, f"Couldn't open '{path}': {text}")

    def _included(self, name: str) -> bool:
        return any(matches(pattern, name) for pattern in self._options.include)

    def _entry(self, tar: tarfile.TarFile, files: FileSystem, path: str, name: str, info: FileStat) -> None:
        entry = tarfile.TarInfo(self._member(name))
        entry.mtime = int(info.modified.timestamp())
        entry.mode = 0o777 if info.is_dir else 0o444 if info.attributes & 1 else 0o666
        if not entry.name:
            return
        if self._options.verbose:
            self._call.err(f"a {name}")
        if info.link_target is not None and not self._options.follow:
            entry.type, entry.linkname = tarfile.SYMTYPE, info.link_target.replace("\\", "/")
        elif info.is_dir:
            entry.type = tarfile.DIRTYPE
        else:
            entry.size = info.length
            with files.open(path) as stream:
                self._content(tar, entry, stream)
            return
        self._header(tar, entry)

    def _header(self, tar: tarfile.TarFile, entry: tarfile.TarInfo, stream: IO[bytes] | None = None) -> None:
        try:
            tar.addfile(entry, stream)
        except ValueError:
            self._problem(entry.name, "Pathname too long")  # ustar only: pax has no such limit

    def _content(self, tar: tarfile.TarFile, entry: tarfile.TarInfo, stream: IO[bytes]) -> None:
        try:
            self._header(tar, entry, stream)
        except OSError as problem:
            if "unexpected end of data" not in str(problem):
                raise
            # the file became shorter while it was read: the entry keeps the length that was promised
            left = entry.size - stream.tell()
            cast("Any", tar.fileobj).write(bytes(left + (-entry.size) % RECORD))
            self._problem(entry.name, "Write request failed: file truncated")

    def _member(self, name: str) -> str:
        """The name in the archive: without the drive and the root, unless -P."""
        if self._options.absolute:
            return name
        plain = name
        if plain[1:2] == ":":
            self._call.err(f"{NAME}: Removing leading drive letter from member names")
            plain = plain[2:]
        return plain.lstrip("/")

    # -- reading ---------------------------------------------------------------------------------------------------
    def _read(self, drive: Drive | None) -> None:
        with contextlib.ExitStack() as stack:
            raw: Any = FromTape(drive, self._options.blocking * RECORD) if drive else None
            if raw is None:
                raw = stack.enter_context(self._files.open(self._options.archive))
            encoding = f"cp{self._call.host.language.oem_codepage}"
            try:
                tar = stack.enter_context(tarfile.open(fileobj=raw, mode="r|*" if drive else "r:*", encoding=encoding,
                                                       errors="replace"))  # fmt: skip
            except (tarfile.TarError, EOFError, OSError, lzma.LZMAError):
                raise Failed("Error opening archive: Unrecognized archive format") from None
            self._members(tar)

    def _members(self, tar: tarfile.TarFile) -> None:
        options, files = self._options, self._files
        patterns = [name for kind, name in options.items if not kind]
        for kind, name in options.items:
            files = self._directory(name, files) if kind else files
        hit: set[str] = set()
        extraction = Extraction(self._call, options, files, self._problem)
        try:
            for entry in tar:
                if self._call.stop.is_set():
                    raise Failed("interrupted")
                wanted = [each for each in patterns if matches("^" + each, entry.name)]
                hit.update(wanted)
                if (patterns and not wanted) or options.skips(entry.name):
                    continue
                if options.mode == "t":
                    self._call.out(listing(entry, options.verbose, self._call.host.clock))
                else:
                    extraction.extract(tar, entry)
        except (tarfile.TarError, EOFError, lzma.LZMAError, OSError) as problem:
            raise Failed(f"Truncated input file (needed 512 bytes, only 0 available): {problem}") from None
        extraction.finish()
        for each in patterns:
            if each not in hit:
                self._problem(each, "Not found in archive")
