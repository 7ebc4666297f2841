# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line of tar.exe, which is bsdtar. Source: bsdtar's manual page (libarchive)."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .phrases import table

TAPE = "\\\\.\\tape0"  # what bsdtar opens on Windows without -f
RECORD = 512


class WrongUsage(Exception):
    """A command line that bsdtar refuses; the text is its message."""


class Refused(Exception):
    """A switch that bsdtar has and the laboratory does not."""


@dataclass
class Options:
    """What a command line asks for. `items`: names in their order, with `-C folder` between them as ("-C", folder)."""

    mode: str = ""
    archive: str = TAPE
    items: list[tuple[str, str]] = field(default_factory=list)
    verbose: int = 0
    compression: str = ""
    by_suffix: bool = False
    exclude: list[str] = field(default_factory=list)
    include: list[str] = field(default_factory=list)
    keep_old: bool = False
    no_times: bool = False
    absolute: bool = False
    follow: bool = False
    no_recursion: bool = False
    blocking: int = 20
    format: str = "pax"
    strip: int = 0
    names_from: str | None = None

    def skips(self, name: str) -> bool:
        """True when --exclude names the path or a folder above it; patterns match from the start of any name in it."""
        return any(matches(pattern, name) for pattern in self.exclude)


def matches(pattern: str, name: str) -> bool:
    """True when a pattern matches a path, a part of it that starts at a name, or a folder above either."""
    parts = name.rstrip("/").split("/")
    wanted = pattern.replace("\\", "/").rstrip("/")
    anchored = wanted.startswith("^")
    for start in range(1 if anchored else len(parts)):
        for end in range(start + 1, len(parts) + 1):
            if fnmatch.fnmatchcase("/".join(parts[start:end]), wanted.lstrip("^")):
                return True
    return False


def switches() -> Mapping[str, Any]:
    """The table of switches: `plain`, `values`, `refused`, `long` names of short ones."""
    return table("tar")["switches"]  # type: ignore[no-any-return]


def parse(arguments: list[str]) -> Options:
    """The options of a command line without the program's name; WrongUsage and Refused."""
    options = Options()
    rest = _unbundled(arguments)
    while rest:
        word = rest.pop(0)
        if word == "--":
            options.items += [("", each) for each in rest]
            break
        if word.startswith("--"):
            name, equals, value = word.partition("=")
            short = switches()["long"].get(name[2:])
            if short is None:
                _refuse(name, name[2:] in switches()["refused"])
            _apply(options, str(short), ([value] if equals else []), rest, name)
        elif word.startswith("-") and len(word) > 1:
            _cluster(options, word[1:], rest)
        else:
            options.items.append(("", word))
    if not options.mode:
        raise WrongUsage("Must specify one of -c, -r, -t, -u, -x")
    return options


def _unbundled(arguments: list[str]) -> list[str]:
    """The first word may be switches without a dash (`cvf`), their values behind it in order."""
    if not arguments or arguments[0].startswith("-"):
        return list(arguments)
    first, rest = arguments[0], list(arguments[1:])
    out: list[str] = []
    for letter in first:
        out.append(f"-{letter}")
        if letter in switches()["values"] and rest:
            out.append(rest.pop(0))
    return out + rest


def _cluster(options: Options, letters: str, rest: list[str]) -> None:
    while letters:
        letter, letters = letters[0], letters[1:]
        given = []
        if letter in switches()["values"] and letters:
            given, letters = [letters], ""
        _apply(options, letter, given, rest, f"-{letter}")


def _refuse(name: str, known: bool) -> None:
    if known:
        raise Refused(f"vsslab does not simulate tar's {name}.")
    raise WrongUsage(f"Option {name} is not supported")


def _apply(options: Options, letter: str, given: list[str], rest: list[str], name: str) -> None:
    known = switches()
    if letter in known["values"]:
        if not given and not rest:
            raise WrongUsage(f"Option {name} requires an argument")
        _value(options, letter, (given or [rest.pop(0)])[0], name)
    elif letter in known["plain"]:
        for target, setting in known["plain"][letter].items():
            if target == "mode" and options.mode and options.mode != setting:
                raise WrongUsage(f"Can't specify both -{setting} and -{options.mode}")
            value = options.verbose + 1 if target == "verbose" else setting
            setattr(options, target, value)
    else:
        _refuse(name, letter in known["refused"])


def _value(options: Options, letter: str, value: str, name: str) -> None:
    target = switches()["values"][letter]
    if target == "items":
        options.items.append(("-C", value))
    elif isinstance(getattr(options, target), list):
        getattr(options, target).append(value)
    elif isinstance(getattr(options, target), int):
        if not value.isdigit() or (target == "blocking" and not 0 < int(value) <= 8192):
            raise WrongUsage(f"Argument to {name} is out of range (1..8192)")
        setattr(options, target, int(value))
    elif target == "format" and value not in ("pax", "paxr", "ustar", "restricted", "posix", "gnutar"):
        raise Refused(f"vsslab does not simulate tar's {name} {value}.")
    else:
        setattr(options, target, value)
