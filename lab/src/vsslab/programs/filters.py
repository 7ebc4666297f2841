# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""findstr.exe, find.exe, sort.exe and more.com: what people put behind a pipe.

Source: "findstr", "find", "sort" and "more" in the Windows Commands documentation. What these programs print beside the
lines themselves is the same on every Windows or is told in English (assumed).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from ..windows.errors import WinError
from ..windows.processes import Invocation
from .stdin import typed

Test = Callable[[str], bool]
SWITCHES = {
    "findstr": ("/i", "/v", "/x", "/b", "/e", "/n", "/m", "/l", "/r", "/c:"),
    "find": ("/v", "/c", "/n", "/i", "/off"),
    "sort": ("/r", "/unique", "/o"),
    "more": (),
}


def findstr(call: Invocation) -> int:
    """findstr [/i] [/v] [/x] [/b] [/e] [/n] [/m] [/l|/r] [/c:text] words [files]: 0 found, 1 not, 2 wrong usage."""
    flags, texts, rest = set[str](), [], []
    for each in call.argv[1:]:
        name = each[1:2].lower()
        if each[:1] not in "/-" or not name:
            rest.append(each)
        elif name in "cg" and each[2:3] == ":":
            if name == "g":
                return _refuse(call, "findstr", each)
            texts.append(each[3:])
        elif set(each[1:].lower()) <= set("ivxbenmlr"):
            flags |= set(each[1:].lower())
        else:
            return _refuse(call, "findstr", each)
    if not texts and not rest:
        call.err("FINDSTR: Bad command line")
        return 2
    literal = bool(texts) and "r" not in flags
    texts = texts or rest.pop(0).split()
    patterns = [re.compile(_pattern(each, flags, literal=literal or "l" in flags),
                           re.IGNORECASE if "i" in flags else 0) for each in texts]  # fmt: skip
    return _search(call, rest, lambda line: any(each.search(line) for each in patterns), flags, "FINDSTR")


def _pattern(text: str, flags: set[str], *, literal: bool) -> str:
    """findstr's expression as one of Python's: . * ^ $ [class] \\< \\> and \\x."""
    inner = re.escape(text)
    if not literal:
        inner, at = "", 0
        while at < len(text):
            found = re.compile(r"\\<|\\>|\\.|\[[^\]]*\]|.", re.DOTALL).match(text, at)
            piece = found[0] if found else text[at]
            plain = {".": ".", "*": "*", "^": "^", "$": "$", "\\<": r"\b", "\\>": r"\b"}
            kept = piece.startswith("[") and len(piece) > 1
            inner += plain.get(piece) or (piece if kept else re.escape(piece[1:] if len(piece) > 1 else piece))
            at += len(piece)
    begins, ends = flags & {"b", "x"}, flags & {"e", "x"}
    return f"{'^' if begins else ''}(?:{inner}){'$' if ends else ''}"


def find(call: Invocation) -> int:
    """find [/v] [/c] [/n] [/i] "text" [files]: 0 found, 1 not, 2 wrong usage."""
    flags, rest = set[str](), []
    for each in call.argv[1:]:
        if not each.startswith("/"):
            rest.append(each)
        elif each[1:].lower() in ("v", "c", "n", "i", "off", "offline"):
            flags.add(each[1:].lower())
        else:
            return _refuse(call, "find", each)
    if not rest:
        call.err("FIND: Parameter format not correct")
        return 2
    wanted = rest.pop(0)
    if "i" in flags:
        return _search(call, rest, lambda line: wanted.lower() in line.lower(), flags | {"header"}, "FIND")
    return _search(call, rest, lambda line: wanted in line, flags | {"header"}, "FIND")


def _search(call: Invocation, paths: list[str], hit: Test, flags: set[str], program: str) -> int:
    files = call.host.files.as_user(call.user, cwd=call.cwd)
    found = False
    wanted: list[str | None] = [*paths] or [None]
    for path in wanted:
        try:
            lines: Iterable[str] = typed(call) if path is None else _lines(call, files.read(path))
        except WinError:
            call.err(f"{program}: Cannot open {path}" if program == "FINDSTR" else f"File not found - {path}")
            continue
        chosen = [(at, line) for at, line in enumerate(lines, 1) if hit(line) != ("v" in flags)]
        found |= bool(chosen)
        if "header" in flags and path is not None and "c" not in flags:
            call.out("")
            call.out(f"---------- {path.upper()}")
        _print(call, path, chosen, flags, many=len(paths) > 1)
    return 0 if found else 1


def _print(call: Invocation, path: str | None, chosen: list[tuple[int, str]], flags: set[str], *, many: bool) -> None:
    if "c" in flags:
        call.out(str(len(chosen)) if path is None else f"\n---------- {path.upper()}: {len(chosen)}".lstrip("\n"))
    elif "m" in flags:
        if chosen and path is not None:
            call.out(path)
    else:
        for at, line in chosen:
            before = f"{path}:" if many and "header" not in flags else ""
            number = "" if "n" not in flags else f"[{at}]" if "header" in flags else f"{at}:"
            call.out(f"{before}{number}{line}")


def _lines(call: Invocation, data: bytes) -> list[str]:
    encoding = "utf-16" if data[:2] in {b"\xff\xfe", b"\xfe\xff"} else call.host.language.encoding
    return data.decode(encoding, "replace").splitlines()


def _refuse(call: Invocation, program: str, switch: str) -> int:
    call.err(f"vsslab does not simulate the switch {switch} of {program}.")
    return 2


def sort(call: Invocation) -> int:
    """sort [/r] [/unique] [file] [/o file]: the lines without regard to case; 1 for what cannot be read."""
    reverse = unique = False
    paths, target, rest = [], None, list(call.argv[1:])
    while rest:
        each = rest.pop(0)
        if each.lower() in ("/r", "/reverse"):
            reverse = True
        elif each.lower() in ("/uni", "/uniq", "/unique"):
            unique = True
        elif each.lower() in ("/o", "/output") and rest:
            target = rest.pop(0)
        elif each.startswith("/"):
            return _refuse(call, "sort", each)
        else:
            paths.append(each)
    files = call.host.files.as_user(call.user, cwd=call.cwd)
    try:
        lines = _lines(call, files.read(paths[0])) if paths else list(typed(call))
        lines = sorted(dict.fromkeys(lines) if unique else lines, key=str.casefold, reverse=reverse)
        if target is not None:
            text = "".join(f"{each}\r\n" for each in lines)
            files.write(target, text.encode(call.host.language.encoding, "replace"))
            return 0
    except WinError as problem:
        call.err(problem.localized(call.host.language.tag))
        return 1
    for each in lines:
        call.out(each)
    return 0


def more(call: Invocation) -> int:
    """more [files]: without a console it prints everything at once."""
    files = call.host.files.as_user(call.user, cwd=call.cwd)
    if any(each.startswith("/") for each in call.argv[1:]):
        return _refuse(call, "more", next(each for each in call.argv[1:] if each.startswith("/")))
    wanted: list[str | None] = [*call.argv[1:]] or [None]
    for path in wanted:
        try:
            for line in typed(call) if path is None else _lines(call, files.read(path)):
                call.out(line)
        except WinError as problem:
            call.err(problem.localized(call.host.language.tag))
            return 1
    return 0
