# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Command lines as Windows programs split and join them.

Source: CommandLineToArgvW, and "Parsing C++ command-line arguments" (Microsoft C runtime documentation).
"""

from __future__ import annotations


def split(line: str) -> list[str]:
    """The arguments of a whole command line, the program first; the reverse of `join`."""
    program, rest = program_of(line)
    return [program, *split_arguments(rest)]


def program_of(line: str) -> tuple[str, str]:
    """The program's name ends at its closing quote or at the first blank; backslashes mean nothing in it."""
    if line.startswith('"'):
        name, _, rest = line[1:].partition('"')
        return name, rest
    for position, char in enumerate(line):
        if char in " \t":
            return line[:position], line[position:]
    return line, ""


def split_arguments(text: str) -> list[str]:
    """The arguments in `text`, which holds no program name (the Arguments of a scheduled task, for example)."""
    found: list[str] = []
    position, size = 0, len(text)
    while True:
        while position < size and text[position] in " \t":
            position += 1
        if position >= size:
            return found
        argument, position = _argument(text, position)
        found.append(argument)


def _argument(text: str, position: int) -> tuple[str, int]:
    """One argument from `position`, and where it ends: 2n backslashes + quote toggle quoting, 2n+1 give a quote."""
    out: list[str] = []
    quotes = backslashes = 0
    while position < len(text):
        char = text[position]
        if char in " \t" and quotes == 0:
            break
        position += 1
        if char == "\\":
            backslashes += 1
            continue
        if char != '"':
            out.append("\\" * backslashes + char)
            backslashes = 0
            continue
        out.append("\\" * (backslashes // 2))
        if backslashes % 2:
            out.append('"')
        else:
            quotes += 1
        backslashes = 0
        while position < len(text) and text[position] == '"':
            position += 1
            quotes += 1
            if quotes == 3:  # two quotes inside a quoted part: one quote, and the part goes on outside
                out.append('"')
                quotes = 0
        if quotes == 2:
            quotes = 0
    return "".join(out) + "\\" * backslashes, position


def quote(argument: str) -> str:
    """One argument, quoted only when it must be, so that `split_arguments` gives it back unchanged."""
    if argument and not any(char in ' \t\n\v"' for char in argument):
        return argument
    out: list[str] = []
    backslashes = 0
    for char in argument:
        if char == "\\":
            backslashes += 1
            continue
        if char == '"':
            out.append("\\" * (2 * backslashes + 1) + '"')
        else:
            out.append("\\" * backslashes + char)
        backslashes = 0
    return '"' + "".join(out) + "\\" * (2 * backslashes) + '"'


def join(argv: list[str]) -> str:
    """A command line that splits into these arguments; ValueError when the program's name holds a quote."""
    if not argv:
        return ""
    if '"' in argv[0]:
        raise ValueError("The name of a program cannot contain a quote.")
    program = f'"{argv[0]}"' if not argv[0] or " " in argv[0] or "\t" in argv[0] else argv[0]
    return " ".join([program, *(quote(each) for each in argv[1:])])
