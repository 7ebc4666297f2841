# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""robocopy's command line: its switches are in data/robocopy-switches.yml.

Source: "robocopy" in the Windows Commands documentation.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..windows.paths import wildcard_match
from .phrases import table

_COPY_FLAGS = "DATSOUX"
_DIR_FLAGS = "DATEX"
_ATTRIBUTES = {"R": 0x1, "H": 0x2, "S": 0x4, "A": 0x20, "T": 0x100, "C": 0x800, "O": 0x1000, "N": 0x2000, "E": 0x4000}
_OFF = {"N", "NO", "OFF", "F", "FALSE"}
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


class InvalidParameter(Exception):
    """An argument that robocopy does not take: its number on the command line (from 1) and its text."""

    def __init__(self, number: int, text: str, reason: str = "") -> None:
        super().__init__(reason or text)
        self.number, self.text, self.reason = number, text, reason


@dataclass
class Options:
    """What a command line asks for; names follow robocopy's own.

    Sizes are in bytes, ages as written (days, or a date YYYYMMDD), gaps in milliseconds, rates in bytes a second;
    `hours` is /RH as minutes since midnight.
    """

    source: str = ""
    dest: str = ""
    files: list[str] = field(default_factory=list)
    subfolders: bool = False
    empty_folders: bool = False
    levels: int | None = None
    purge: bool = False
    mirror: bool = False
    move_files: bool = False
    move_folders: bool = False
    create_only: bool = False
    list_only: bool = False
    backup: bool = False
    backup_when_denied: bool = False
    copy: str = "DAT"
    dcopy: str = "DA"
    fix_security: bool = False
    fix_times: bool = False
    add_attributes: int = 0
    remove_attributes: int = 0
    links_as_links: bool = False
    junctions_as_junctions: bool = False
    skip_dir_links: bool = False
    skip_file_links: bool = False
    long_paths: bool = True
    only_archive: bool = False
    reset_archive: bool = False
    only_attributes: int = 0
    exclude_attributes: int = 0
    include_same: bool = False
    include_tweaked: bool = False
    exclude_changed: bool = False
    exclude_newer: bool = False
    exclude_older: bool = False
    exclude_extra: bool = False
    exclude_lonely: bool = False
    largest: int | None = None
    smallest: int | None = None
    oldest: int | None = None
    youngest: int | None = None
    oldest_access: int | None = None
    youngest_access: int | None = None
    coarse_times: bool = False
    daylight_times: bool = False
    hours: tuple[int, int] | None = None
    hours_per_file: bool = False
    gap: int = 0
    rate: int | None = None
    retries: int = 1_000_000
    wait: int = 30
    threads: int | None = None
    exclude_dirs: list[str] = field(default_factory=list)
    exclude_files: list[str] = field(default_factory=list)
    log: str | None = None
    log_unicode: bool = False
    log_append: bool = False
    unicode: bool = False
    tee: bool = False
    no_progress: bool = False
    eta: bool = False
    in_bytes: bool = False
    full_paths: bool = False
    time_stamps: bool = False
    no_class: bool = False
    no_size: bool = False
    no_dir_list: bool = False
    no_file_list: bool = False
    no_header: bool = False
    no_summary: bool = False
    verbose: bool = False
    report_extra: bool = False
    jobs: list[str] = field(default_factory=list)
    save: str | None = None
    quit: bool = False
    no_source: bool = False
    no_dest: bool = False
    shown: list[str] = field(default_factory=list)

    def dir_excluded(self, name: str, source: str, dest: str) -> bool:
        """True when /XD names this folder, by name, wildcard or path."""
        return _excluded(self.exclude_dirs, name, source, dest)

    def file_excluded(self, name: str, source: str, dest: str) -> bool:
        """True when /XF names this file."""
        return _excluded(self.exclude_files, name, source, dest)

    def wants(self, name: str) -> bool:
        """True when a file's name matches one of the file patterns of the command line."""
        return any(wildcard_match(name, pattern) for pattern in self.files or ["*.*"])


def _excluded(patterns: list[str], name: str, *paths: str) -> bool:
    for pattern in patterns:
        if "\\" in pattern:
            wanted = pattern.replace("/", "\\").rstrip("\\").casefold()
            if any(each.rstrip("\\").casefold() == wanted for each in paths):
                return True
        elif wildcard_match(name, pattern):
            return True
    return False


def _number(text: str, least: int, most: int) -> int:
    if not re.fullmatch(r"\d+", text) or not least <= int(text) <= most:
        raise ValueError(text)
    return int(text)


def _letters(text: str, known: str) -> str:
    if not text or any(each not in known for each in text.upper()):
        raise ValueError(text)
    return text.upper()


def _bits(text: str) -> int:
    return sum(_ATTRIBUTES[each] for each in set(_letters(text, "".join(_ATTRIBUTES))))


def _hours(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"([01]\d|2[0-3])([0-5]\d)-([01]\d|2[0-3])([0-5]\d)", text)
    if not found:
        raise ValueError(text)
    return int(found[1]) * 60 + int(found[2]), int(found[3]) * 60 + int(found[4])


def _rate(text: str) -> int:
    found = re.fullmatch(r"(\d+)([KMG]?)", text.upper())
    if not found or not int(found[1]):
        raise ValueError(text)
    return int(found[1]) * _UNITS[found[2]]


_KINDS: Mapping[str, Callable[[str], object]] = {
    "copy": lambda text: _letters(text, _COPY_FLAGS),
    "dcopy": lambda text: _letters(text, _DIR_FLAGS),
    "count": lambda text: _number(text, 0, 2**31 - 1),
    "size": lambda text: _number(text, 0, 2**63 - 1),
    "age": lambda text: _number(text, 0, 99991231),
    "levels": lambda text: _number(text, 1, 2**31 - 1),
    "threads": lambda text: _number(text, 1, 128),
    "attributes": _bits,
    "hours": _hours,
    "rate": _rate,
    "text": str,
}
_LOGS = {"/LOG": (False, False), "/LOG+": (False, True), "/UNILOG": (True, False), "/UNILOG+": (True, True)}


def switches() -> Mapping[str, Any]:
    """The table of switches: `plain` (fields they set), `values`, `lists`, `refused`, `builds`."""
    return table("robocopy-switches")


def parse(arguments: list[str], build: int) -> Options:
    """The options of a command line without the program's name; InvalidParameter where robocopy stops reading.

    `build` is the Windows build: switches of newer ones are invalid on older ones.
    """
    options = Options()
    apply(options, arguments, build)
    return options


def apply(options: Options, arguments: list[str], build: int) -> None:
    """Read arguments into options that may hold some already (a job file's, then the command line's)."""
    collecting: list[str] | None = None
    for number, argument in enumerate(arguments, 1):
        if argument.startswith("/"):
            collecting = _switch(options, argument, number, build)
        elif collecting is not None:
            collecting.append(argument)
        elif not options.source:
            options.source = argument
        elif not options.dest:
            options.dest = argument
        else:
            options.files.append(argument)
    if options.threads is not None and options.gap:
        raise InvalidParameter(len(arguments), f"/IPG:{options.gap}")  # documented: /MT cannot be used with /IPG


def _switch(options: Options, argument: str, number: int, build: int) -> list[str] | None:
    """Apply one switch; the list that the arguments after it go to, if it takes any."""
    known = switches()
    name, colon, value = argument.partition(":")
    name = name.upper()
    if name in known["lists"] and not colon:
        found: list[str] = getattr(options, known["lists"][name])
        return found
    if name in known["refused"]:
        raise InvalidParameter(number, argument, f"vsslab does not simulate the switch {name} of robocopy.")
    if build < known["builds"].get(name, 0):
        raise InvalidParameter(number, argument)
    if colon and name in _LOGS and value:
        options.log = value
        options.log_unicode, options.log_append = _LOGS[name]
        return None
    try:
        if colon and name in known["values"] and value:
            target, kind = known["values"][name]
            setting = _KINDS[kind](value)
            if isinstance(getattr(options, target), list):
                getattr(options, target).append(setting)
            else:
                setattr(options, target, setting)
        elif name in known["plain"] and (not colon or (name == "/SPARSE" and value.upper() in _OFF)):
            for target, setting in known["plain"][name].items():
                setattr(options, target, setting)
        else:
            raise ValueError(argument)
    except ValueError:
        raise InvalidParameter(number, argument) from None
    options.shown.append(argument)
    return None


def shown(options: Options) -> str:
    """The line of options in the header of the log, in robocopy's order (captured logs).

    '*.*' when no files were named; what the log is like; the tree; attributes; everything else; retries.
    """
    table_ = switches()
    given = [(each, each.partition(":")[0].upper()) for each in options.shown]
    logging = [each.upper() for each, name in given if name in table_["logging"]]
    rest = [each.upper() for each, name in given if name not in table_["logging"] and name not in table_["fixed"]]
    tree = ["/S", "/E"] if options.empty_folders else ["/S"] if options.subfolders else []
    copied = ["/COPYALL"] if options.copy == "DATSOU" else [f"/COPY:{options.copy}"] if options.copy else ["/NOCOPY"]
    purge = ["/PURGE"] if options.purge else []
    mirror = ["/MIR"] if options.mirror else []
    dcopy = [f"/DCOPY:{options.dcopy}"] if options.dcopy else ["/NODCOPY"]
    lists = [text for name, held in table_["lists"].items() if held != "files" and getattr(options, held)
             for text in (name, *getattr(options, held))]  # fmt: skip
    files = [] if options.files and options.files != ["*.*"] else ["*.*"]
    ending = [*lists, f"/R:{options.retries}", f"/W:{options.wait}"]
    return " ".join([*files, *logging, *tree, *dcopy, *copied, *purge, *mirror, *rest, *ending]) + " "
