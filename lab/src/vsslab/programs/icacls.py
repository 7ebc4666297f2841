# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""icacls.exe: shows and changes the access lists and owners of files, by SID or by name.

Source: "icacls" in the Windows Commands documentation. Saving, restoring, searching and integrity levels are refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from ..windows import sddl
from ..windows.errors import INVALID_PARAMETER, NOT_FOUND, WinError
from ..windows.files import FileStat, FileSystem
from ..windows.paths import wildcard_match
from ..windows.processes import Invocation
from .phrases import words

_SIMPLE = {"F": sddl.FULL, "M": sddl.MODIFY, "RX": 0x1200A9, "R": sddl.READ, "W": 0x100116, "D": 0x110000}
_SPECIFIC = {
    "DE": 0x10000, "RC": 0x20000, "WDAC": 0x40000, "WO": 0x80000, "S": 0x100000, "GR": 0x80000000, "GW": 0x40000000,
    "GE": 0x20000000, "GA": 0x10000000, "RD": 0x1, "WD": 0x2, "AD": 0x4, "REA": 0x8, "WEA": 0x10, "X": 0x20,
    "DC": 0x40, "RA": 0x80, "WA": 0x100,
}  # fmt: skip
_FLAGS = ("OI", "CI", "NP", "IO")
_SHOWN = ("I", "OI", "CI", "IO", "NP")
_LISTS = re.compile(r"/(grant(?::r)?|deny|remove(?::[gd])?)", re.IGNORECASE)


_REFUSED = frozenset({"/save", "/restore", "/substitute", "/findsid", "/verify", "/setintegritylevel", "/?"})
VERBS = frozenset(
    {"/grant", "/grant:r", "/deny", "/remove", "/remove:g", "/remove:d", "/setowner", "/reset", "/inheritance", "/t",
     "/c", "/q", "/l"}
)  # fmt: skip


class _Invalid(Exception):
    """An argument icacls does not take."""


@dataclass
class _Request:
    """What a command line asks for."""

    path: str = ""
    recurse: bool = False
    go_on: bool = False
    quiet: bool = False
    inheritance: str | None = None
    reset: bool = False
    owner: str | None = None
    edits: list[tuple[str, sddl.Ace]] = field(
        default_factory=list
    )  # 'grant', 'grant:r', 'deny' or 'remove...' and entry

    @property
    def changes(self) -> bool:
        """True when anything is to be changed."""
        return bool(self.inheritance or self.reset or self.owner or self.edits)


def main(call: Invocation) -> int:
    """Run icacls; 0, or the Win32 error of the last failure (87 for a wrong argument, 1332 for an unknown account)."""
    texts = words("icacls", call.host.language.short)
    for each in call.argv[1:]:
        if each.lower() in _REFUSED:
            call.err(f"vsslab does not simulate icacls {each}.")
            return INVALID_PARAMETER
    try:
        request = _parse(call.argv[1:], call.host.users.sid_of)
    except _Invalid as problem:
        call.err(str(texts["invalid"]).format(argument=problem))
        return INVALID_PARAMETER
    except WinError as problem:
        call.err(f"{problem.path}: {problem.localized(call.host.language.tag)}")
        return problem.code
    files = call.host.files.as_user(call.user, cwd=call.cwd)
    done = failed = code = 0
    for path in _targets(files, request):
        if call.stop.is_set():
            break
        try:
            if request.changes:
                _change(files, request, path)
                if not request.quiet:
                    call.out(str(texts["processed"]).format(path=path))
            else:
                _show(call, files, path)
            done += 1
        except WinError as problem:
            call.err(f"{path}: {problem.localized(call.host.language.tag)}")
            failed, code = failed + 1, problem.code
            if not request.go_on:
                break
    call.out(str(texts["summary"]).format(done=done, failed=failed))
    return code


def _parse(arguments: list[str], sid_of: Callable[[str], str]) -> _Request:
    request = _Request()
    plain = {"/t": "recurse", "/c": "go_on", "/q": "quiet", "/reset": "reset"}
    at = 0
    while at < len(arguments):
        argument = arguments[at]
        lower = argument.lower()
        at += 1
        if not argument.startswith("/"):
            if request.path:
                raise _Invalid(argument)
            request.path = argument
        elif lower in plain:
            setattr(request, plain[lower], True)
        elif lower in {"/inheritance:e", "/inheritance:d", "/inheritance:r"}:
            request.inheritance = lower[-1]
        elif lower == "/setowner" and at < len(arguments):
            request.owner = sid_of(arguments[at])
            at += 1
        elif _LISTS.fullmatch(argument) and at < len(arguments):
            at = _entries(request, lower[1:], arguments, at, sid_of)
        elif lower != "/l":
            raise _Invalid(argument)
    if not request.path:
        raise _Invalid("")
    if request.owner and (request.edits or request.inheritance or request.reset):
        raise _Invalid("/setowner")  # a form of its own in icacls' syntax
    return request


def _entries(request: _Request, kind: str, arguments: list[str], at: int, sid_of: Callable[[str], str]) -> int:
    """The entries after /grant, /deny or /remove; where they end."""
    start = at
    while at < len(arguments) and not arguments[at].startswith("/"):
        request.edits.append((kind, _entry(kind, arguments[at], sid_of)))
        at += 1
    if at == start:
        raise _Invalid(f"/{kind}")
    return at


def _entry(kind: str, text: str, sid_of: Callable[[str], str]) -> sddl.Ace:
    """SID:permissions, for example *S-1-5-18:(OI)(CI)F; for /remove the SID alone."""
    if kind.startswith("remove"):
        return sddl.Ace("A", frozenset(), 0, sid_of(text))
    account, colon, permissions = text.rpartition(":")
    found = re.fullmatch(r"((?:\((?:OI|CI|IO|NP)\))*)(?:\(([A-Z,]+)\)|([A-Z]+))", permissions.upper())
    if not colon or not found:
        raise _Invalid(text)
    names = (found[2] or found[3]).split(",")
    known = _SIMPLE | _SPECIFIC
    if any(each not in known for each in names):
        raise _Invalid(text)
    rights = 0
    for each in names:
        rights |= known[each]
    flags = frozenset(re.findall(r"OI|CI|IO|NP", found[1]))
    return sddl.Ace("D" if kind == "deny" else "A", flags, rights, sid_of(account))


def _targets(files: FileSystem, request: _Request) -> Iterator[str]:
    """The paths a request is about: one, those that match a pattern, with /T everything below."""
    folder, backslash, last = request.path.replace("/", "\\").rpartition("\\")
    roots = [request.path]
    if "*" in last or "?" in last:
        listed = files.listdir(folder + backslash if backslash else ".")
        roots = [each.path for each in listed if wildcard_match(each.name, last)]
    for root in roots:
        yield root
        if request.recurse and files.is_dir(root):
            yield from (each.path for each in _below(files, root))


def _below(files: FileSystem, folder: str) -> list[FileStat]:
    try:
        return list(files.walk(folder))
    except WinError:
        return []


def _change(files: FileSystem, request: _Request, path: str) -> None:
    if not files.exists(path):
        raise WinError(NOT_FOUND, path)
    if request.owner:
        files.set_security(path, f"O:{request.owner}")
        return
    current = sddl.parse(files.security(path))
    folder = files.is_dir(path)
    own = [] if request.reset else [each for each in current.aces or () if not each.inherited]
    protected = current.protected and not request.reset
    if request.inheritance == "d":
        handed = [replace(each, flags=each.flags - {"ID"}) for each in current.aces or () if each.inherited]
        own, protected = [*own, *handed], True
    elif request.inheritance:
        protected = request.inheritance == "r"
    for kind, entry in request.edits:
        own = _edited(own, kind, entry if folder else replace(entry, flags=frozenset()))
    own.sort(key=lambda each: each.kind != "D")  # denials come first
    files.set_security(path, sddl.Descriptor(aces=tuple(own), protected=protected).text)


def _edited(own: list[sddl.Ace], kind: str, entry: sddl.Ace) -> list[sddl.Ace]:
    """The explicit entries after one /grant, /deny or /remove."""
    if kind.startswith("remove"):
        gone = {"remove": "AD", "remove:g": "A", "remove:d": "D"}[kind]
        return [each for each in own if each.sid != entry.sid or each.kind not in gone]
    if kind == "grant:r":
        own = [each for each in own if each.sid != entry.sid or each.kind != "A"]
    for at, each in enumerate(own):
        if (each.sid, each.kind, each.flags) == (entry.sid, entry.kind, entry.flags):
            return [*own[:at], replace(each, rights=each.rights | entry.rights), *own[at + 1 :]]
    return [*own, entry]


def _show(call: Invocation, files: FileSystem, path: str) -> None:
    if not files.exists(path):
        raise WinError(NOT_FOUND, path)
    lines = [
        f"{call.host.users.name_of(each.sid)}:{_permissions(each)}"
        for each in sddl.parse(files.security(path)).aces or ()
    ]
    for at, line in enumerate(lines):
        call.out((path + " " if at == 0 else " " * (len(path) + 1)) + line)
    call.out("")


def _permissions(ace: sddl.Ace) -> str:
    flags = {"I" if each == "ID" else each for each in ace.flags}
    shown = "".join(f"({each})" for each in _SHOWN if each in flags) + ("(DENY)" if ace.kind == "D" else "")
    for name, mask in _SIMPLE.items():
        if sddl.map_generic(ace.rights) == mask:
            return f"{shown}({name})"
    return f"{shown}({','.join(name for name, mask in _SPECIFIC.items() if ace.rights & mask)})"
