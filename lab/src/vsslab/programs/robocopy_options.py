# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""robocopy's command line. Source: "robocopy" in the Windows Commands documentation."""

from __future__ import annotations

import ntpath
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from ..windows.paths import wildcard_match

_COPY_FLAGS = "DATSOUX"
_DIR_FLAGS = "DATEX"
NEWER_BUILD = 20348  # Windows Server 2022: /COMPRESS


class InvalidParameter(Exception):
    """An argument that robocopy does not take: its number on the command line (from 1) and its text."""

    def __init__(self, number: int, text: str, reason: str = "") -> None:
        super().__init__(reason or text)
        self.number, self.text, self.reason = number, text, reason


@dataclass
class Options:
    """What a command line asks for; names follow robocopy's own."""

    source: str = ""
    dest: str = ""
    files: list[str] = field(default_factory=list)
    subfolders: bool = False
    empty_folders: bool = False
    purge: bool = False
    mirror: bool = False
    list_only: bool = False
    backup: bool = False
    backup_when_denied: bool = False
    copy: str = "DAT"
    dcopy: str = "DA"
    links_as_links: bool = False
    junctions_as_junctions: bool = False
    skip_links: bool = False
    long_paths: bool = True
    include_same: bool = False
    exclude_older: bool = False
    exclude_extra: bool = False
    retries: int = 1_000_000
    wait: int = 30
    threads: int | None = None
    exclude_dirs: list[str] = field(default_factory=list)
    exclude_files: list[str] = field(default_factory=list)
    log: str | None = None
    log_unicode: bool = False
    log_append: bool = False
    tee: bool = False
    no_progress: bool = False
    in_bytes: bool = False
    full_paths: bool = False
    no_class: bool = False
    no_size: bool = False
    no_dir_list: bool = False
    no_file_list: bool = False
    no_header: bool = False
    no_summary: bool = False
    verbose: bool = False
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
            wanted = ntpath.normpath(pattern).casefold()
            if any(ntpath.normpath(each).casefold() == wanted for each in paths):
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


# switches without a value: the fields of Options that they set
_SWITCHES: dict[str, dict[str, object]] = {
    "/S": {"subfolders": True},
    "/E": {"subfolders": True, "empty_folders": True},
    "/PURGE": {"purge": True},
    "/MIR": {"subfolders": True, "empty_folders": True, "purge": True, "mirror": True},
    "/L": {"list_only": True},
    "/B": {"backup": True},
    "/ZB": {"backup_when_denied": True},
    "/Z": {},
    "/J": {},
    "/SL": {"links_as_links": True},
    "/SJ": {"junctions_as_junctions": True},
    "/XJ": {"skip_links": True},
    "/XJD": {"skip_links": True},
    "/XJF": {},
    "/256": {"long_paths": False},
    "/COPYALL": {"copy": "DATSOU"},
    "/SEC": {"copy": "DATS"},
    "/IS": {"include_same": True},
    "/XO": {"exclude_older": True},
    "/XX": {"exclude_extra": True},
    "/NOOFFLOAD": {},
    "/COMPRESS": {},
    "/TEE": {"tee": True},
    "/UNICODE": {},
    "/NP": {"no_progress": True},
    "/BYTES": {"in_bytes": True},
    "/FP": {"full_paths": True},
    "/NC": {"no_class": True},
    "/NS": {"no_size": True},
    "/NDL": {"no_dir_list": True},
    "/NFL": {"no_file_list": True},
    "/NJH": {"no_header": True},
    "/NJS": {"no_summary": True},
    "/V": {"verbose": True},
    "/MT": {"threads": 8},
}
_VALUES: dict[str, tuple[str, Callable[[str], object]]] = {
    "/COPY": ("copy", lambda text: _letters(text, _COPY_FLAGS)),
    "/DCOPY": ("dcopy", lambda text: _letters(text, _DIR_FLAGS)),
    "/R": ("retries", lambda text: _number(text, 0, 2**31 - 1)),
    "/W": ("wait", lambda text: _number(text, 0, 2**31 - 1)),
    "/MT": ("threads", lambda text: _number(text, 1, 128)),
}
_LOGS = {"/LOG": (False, False), "/LOG+": (False, True), "/UNILOG": (True, False), "/UNILOG+": (True, True)}
_LISTS = {"/XD": "exclude_dirs", "/XF": "exclude_files"}
_REAL_BUT_NOT_SIMULATED = frozenset(
    [
        "/A",
        "/M",
        "/MOV",
        "/MOVE",
        "/MON",
        "/MOT",
        "/RH",
        "/IPG",
        "/EFSRAW",
        "/REG",
        "/TBD",
        "/IA",
        "/XA",
        "/IT",
        "/XC",
        "/XN",
        "/XL",
        "/MAX",
        "/MIN",
        "/MAXAGE",
        "/MINAGE",
        "/CREATE",
        "/FAT",
        "/FFT",
        "/DST",
        "/JOB",
        "/SAVE",
        "/QUIT",
        "/NOSD",
        "/NODD",
        "/IF",
        "/LEV",
        "/TS",
        "/X",
        "/ETA",
        "/SECFIX",
        "/TIMFIX",
        "/NODCOPY",
        "/NOCOPY",
        "/IORATE",
        "/LFSM",
        "/THRESHOLD",
        "/IOMAXSIZE",
        "/SD",
        "/DD",
        "/XJL",
        "/SPARSE",
        "/PF",
        "/LFSM",
        "/NOCLONE",
        "/A+",
        "/A-",
        "/DEBUG",
    ]
)


def parse(arguments: list[str], build: int) -> Options:
    """The options of a command line without the program's name; InvalidParameter where robocopy stops reading.

    `build` is the Windows build: switches of newer ones are invalid on older ones.
    """
    options = Options()
    collecting: list[str] | None = None
    for number, argument in enumerate(arguments, 1):
        if not argument.startswith("/"):
            if collecting is not None:
                collecting.append(argument)
            elif not options.source:
                options.source = argument
            elif not options.dest:
                options.dest = argument
            else:
                options.files.append(argument)
            continue
        collecting = _switch(options, argument, number, build)
    if options.threads is not None and any(each.upper() == "/EFSRAW" for each in arguments):
        raise InvalidParameter(len(arguments), "/EFSRAW")
    return options


def _switch(options: Options, argument: str, number: int, build: int) -> list[str] | None:
    """Apply one switch; the list that the arguments after it go to, if it takes any."""
    name, colon, value = argument.partition(":")
    name = name.upper()
    if name in _LISTS and not colon:
        found: list[str] = getattr(options, _LISTS[name])
        return found
    if name in _REAL_BUT_NOT_SIMULATED:
        raise InvalidParameter(number, argument, f"vsslab does not simulate the switch {name} of robocopy.")
    if name == "/COMPRESS" and build < NEWER_BUILD:
        raise InvalidParameter(number, argument)
    if colon and name in _LOGS and value:
        options.log = value
        options.log_unicode, options.log_append = _LOGS[name]
        return None
    try:
        if colon and name in _VALUES:
            target, convert = _VALUES[name]
            setattr(options, target, convert(value))
        elif not colon and name in _SWITCHES:
            for target, setting in _SWITCHES[name].items():
                setattr(options, target, setting)
        else:
            raise ValueError(argument)
    except ValueError:
        raise InvalidParameter(number, argument) from None
    options.shown.append(argument)
    return None


def shown(options: Options) -> str:
    """The line of options in the header of the log, as robocopy spells them."""
    fixed = {"/R", "/W", "/COPY", "/DCOPY", "/COPYALL", "/SEC", "/MIR", "/E", "/S", "/PURGE"}
    out = options.files or ["*.*"]
    out = [*out, *(each.upper() for each in options.shown if each.partition(":")[0].upper() not in fixed)]
    tree = ["/S", "/E"] if options.empty_folders else ["/S"] if options.subfolders else []
    purge = ["/PURGE"] if options.purge else []
    mirror = ["/MIR"] if options.mirror else []
    copied = "/COPYALL" if options.copy == "DATSOU" else f"/COPY:{options.copy}"
    ending = [f"/DCOPY:{options.dcopy}", copied, *purge, *mirror, f"/R:{options.retries}", f"/W:{options.wait}"]
    return " ".join([*out, *tree, *ending]) + " "
