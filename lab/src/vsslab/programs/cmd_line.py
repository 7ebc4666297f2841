# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How cmd.exe reads its command line: /c and quotes, ^, & && || |, redirection, conditions.

Source: "cmd", "if" and "Using command redirection operators" in the Windows Commands documentation. Blocks in brackets
are refused, and so are `for` and `else`, which need them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

_SPECIAL = "&<>()@^|"
_COMPARE: dict[str, Callable[[int], bool]] = {
    "==": lambda order: order == 0,
    "EQU": lambda order: order == 0,
    "NEQ": lambda order: order != 0,
    "LSS": lambda order: order < 0,
    "LEQ": lambda order: order <= 0,
    "GTR": lambda order: order > 0,
    "GEQ": lambda order: order >= 0,
}
_HAS_BLOCKS = re.compile(r"[\s@]*((if|for|else)\b|\Z)", re.IGNORECASE)
_IF = re.compile(r"if(?=[\s\"/])", re.IGNORECASE)


class SyntaxRefused(Exception):
    """The line uses a part of cmd.exe's language that the laboratory does not have."""


@dataclass
class Part:
    """One command of a line: when it runs, where its input comes from, where its output goes.

    `when`: '' always, '&&' after success, '||' after failure, '|' with the output of the one before as its input.
    """

    text: str
    when: str = ""
    out: str | None = None
    append: bool = False
    err: str | None = None
    merged: bool = False
    input: str | None = None


def switches(line: str) -> tuple[str, str]:
    """The text before /c or /k and the text after it, of cmd.exe's whole line without the program's name."""
    found = re.search(r"/[cCrR](?:\s|(?=[^\s/])|\Z)", line)
    if not found:
        return line, ""
    return line[: found.start()], line[found.end() :].lstrip()


def unquoted(text: str, is_program: Callable[[str], bool]) -> str:
    """The command after /c without the quotes around the whole.

    They stay when there are exactly two quotes, no special character, a blank between them, and what is between them
    names a program; else the first and the last quote go ("cmd", remarks on /s).
    """
    if not text.startswith('"'):
        return text
    between = text[1:].partition('"')[0]
    kept = text.count('"') == 2 and not any(each in _SPECIAL for each in between) and " " in between
    if kept and is_program(between):
        return text
    closing = text.rindex('"')
    return text[1:] if closing == 0 else text[1:closing] + text[closing + 1 :]


def parts(line: str) -> list[Part]:
    """The commands of a line; SyntaxRefused for what the laboratory does not have."""
    return [each for each in _Scanner(line).parts() if each.text]


class _Scanner:
    """Reads a line character by character; quotes hide everything, ^ hides one character."""

    def __init__(self, line: str) -> None:
        self._line = line
        self._at = 0
        self._part = Part("")

    def parts(self) -> list[Part]:
        found: list[Part] = []
        quoted = False
        while self._at < len(self._line):
            char = self._line[self._at]
            quoted ^= char == '"'
            special = not quoted and (char in "^&|><" or (char in "()" and self._block()))
            if not special:
                self._part.text += char
                self._at += 1
            elif char == "^":
                self._part.text += self._line[self._at + 1 : self._at + 2]
                self._at += 2
            elif char == ">":
                self._redirection()
            elif char == "<":
                self._input()
            elif char in "&|":
                found.append(self._finished(self._separator(char)))
            else:
                raise SyntaxRefused(f"vsslab does not simulate {char!r} in cmd.exe.")
        found.append(self._finished(""))
        return found

    def _block(self) -> bool:
        """True where a bracket would begin or end a block; among a command's arguments it is a character."""
        return _HAS_BLOCKS.match(self._part.text) is not None

    def _finished(self, next_when: str) -> Part:
        done, self._part = self._part, Part("", next_when)
        done.text = done.text.lstrip()  # blanks at the end are echo's to print
        return done

    def _separator(self, char: str) -> str:
        """What the next command waits for."""
        double = self._line.startswith(char * 2, self._at)
        self._at += 2 if double else 1
        return char * 2 if double else "|" if char == "|" else ""

    def _input(self) -> None:
        found = re.compile(r'<\s*(?:"([^"]*)"|([^\s"<>&|]+))').match(self._line, self._at)
        if found is None:
            raise SyntaxRefused("vsslab does not simulate this redirection in cmd.exe.")
        self._at = found.end()
        self._part.input = found[1] if found[1] is not None else found[2]

    def _redirection(self) -> None:
        stream = re.search(r"(?:^|\s)([012])\Z", self._part.text)
        if stream:
            self._part.text = self._part.text[:-1]
        found = re.compile(r'(>>?)\s*(?:"([^"]*)"|(&[12]|[^\s"<>&|]+))').match(self._line, self._at)
        number = stream[1] if stream else "1"
        if found is None or number == "0" or (found[3] == "&1" and number != "2") or found[3] == "&2":
            raise SyntaxRefused("vsslab does not simulate this redirection in cmd.exe.")
        self._at = found.end()
        target = found[2] if found[2] is not None else found[3]
        if number == "1":
            self._part.out, self._part.append = target, found[1] == ">>"
        elif found[3] == "&1":
            self._part.merged = True
        else:
            self._part.err = target


def words(text: str) -> list[str]:
    """The words of a built-in command's arguments: blanks separate, quotes hold together and are dropped."""
    found: list[str] = []
    for piece in re.findall(r'(?:"[^"]*"?|[^\s"])+', text):
        found.append(piece.replace('"', ""))
    return found


@dataclass(frozen=True)
class Condition:
    """What an `if` asks: `kind` exist, defined, errorlevel or an operator; `then` the command behind it."""

    kind: str
    left: str
    right: str
    negated: bool
    ignore_case: bool
    then: str

    def compares(self) -> bool:
        """The truth of an operator; numbers are compared as numbers."""
        left, right = (self.left, self.right) if not self.ignore_case else (self.left.lower(), self.right.lower())
        if self.kind != "==" and re.fullmatch(r"-?\d+", left) and re.fullmatch(r"-?\d+", right):
            return _COMPARE[self.kind]((int(left) > int(right)) - (int(left) < int(right)))
        return _COMPARE[self.kind]((left > right) - (left < right))


def condition(text: str) -> Condition | None:
    """The `if` that a command is, or None; SyntaxRefused for one that makes no sense."""
    found = _IF.match(text)
    if found is None:
        return None
    pieces = re.compile(r'==|(?:"[^"]*"|[^\s"=]|=(?!=))+?(?=\s|==|\Z)')
    rest = text[found.end() :]
    taken: list[str] = []
    at = 0

    def next_piece() -> str:
        nonlocal at
        match = pieces.search(rest, at)
        if match is None:
            raise SyntaxRefused("The syntax of the command is incorrect.")
        at = match.end()
        return match[0]

    piece = next_piece()
    ignore = piece.lower() == "/i"
    piece = next_piece() if ignore else piece
    negated = piece.lower() == "not"
    piece = next_piece() if negated else piece
    kind = piece.lower()
    if kind in ("exist", "defined", "errorlevel"):
        taken = [next_piece().strip('"'), ""]
    else:
        left, kind = piece, next_piece().upper()
        if kind not in _COMPARE:
            raise SyntaxRefused("The syntax of the command is incorrect.")
        taken = [left, next_piece()]
    return Condition(kind, taken[0], taken[1], negated, ignore, rest[at:].strip())
