# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How cmd.exe reads its command line: /c and quotes, %variables%, ^, & && ||, redirection.

Source: "cmd" in the Windows Commands documentation. Pipes, brackets and input redirection are refused: nothing in the
laboratory needs them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

_SPECIAL = "&<>()@^|"


class SyntaxRefused(Exception):
    """The line uses a part of cmd.exe's language that the laboratory does not have."""


@dataclass
class Part:
    """One command of a line: when it runs ('' always, '&&' after success, '||' after failure), where output goes."""

    text: str
    when: str = ""
    out: str | None = None
    append: bool = False
    err: str | None = None
    merged: bool = False


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
            special = not quoted and char in "^&|><()"
            if not special:
                self._part.text += char
                self._at += 1
            elif char == "^":
                self._part.text += self._line[self._at + 1 : self._at + 2]
                self._at += 2
            elif char == ">":
                self._redirection()
            elif char in "&|":
                found.append(self._finished(self._separator(char)))
            else:
                raise SyntaxRefused(f"vsslab does not simulate {char!r} in cmd.exe.")
        found.append(self._finished(""))
        return found

    def _finished(self, next_when: str) -> Part:
        done, self._part = self._part, Part("", next_when)
        done.text = done.text.lstrip()  # blanks at the end are echo's to print
        return done

    def _separator(self, char: str) -> str:
        """What the next command waits for."""
        double = self._line.startswith(char * 2, self._at)
        self._at += 2 if double else 1
        if char == "|" and not double:
            raise SyntaxRefused("vsslab does not simulate pipes in cmd.exe.")
        return char * 2 if double else ""

    def _redirection(self) -> None:
        stream = re.search(r"(?:^|\s)([012])\Z", self._part.text)
        if stream:
            self._part.text = self._part.text[:-1]
        found = re.compile(r'(>>?)\s*(?:"([^"]*)"|(&1|[^\s"<>&|]+))').match(self._line, self._at)
        number = stream[1] if stream else "1"
        if found is None or number == "0" or (found[3] == "&1" and number != "2"):
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
