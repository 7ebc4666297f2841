# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs about programs, links and access lists, and what all verbs are made of: see `_verbs`."""

from __future__ import annotations

import re
from typing import Literal

from ._pipeline import Command, Statement, Unsendable


# --------------------------------------------------------------------------------------------------------------- pieces
def select(*names: str) -> Command:
    return Command("Select-Object", {"Property": list(names)})


# Strings that Get-Content gives carry note properties, which would travel with every line; those that a method gives
# do not.
BARE = Command("ForEach-Object", {"MemberName": "ToString"})
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_GUID = re.compile(r"^\{?([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})\}?$")
_PROGRAM = re.compile(r"^[A-Za-z0-9_-]+(?:\.exe)?$")


def checked_guid(text: str) -> str:
    """A GUID as VSS writes it: in braces. Raises Unsendable."""
    match = _GUID.match(text)
    if match is None:
        raise Unsendable(f"{text!r} is not a GUID")
    return f"{{{match[1].upper()}}}"


def plain_line(text: str, what: str) -> str:
    if CONTROL.search(text.replace("\t", "")):
        raise Unsendable(f"{what} must not hold line breaks or control characters: {text!r}")
    return text


def checked_argument(text: str) -> str:
    """One argument of a program, as it may be sent. Raises Unsendable.

    Windows PowerShell 5.1 builds one command line of the arguments (about_Parsing, "Passing arguments to native
    commands"): it drops empty ones, does not escape quotes, and a closing quote after a backslash is taken as text.
    """
    if not text:
        raise Unsendable("an empty argument cannot be passed to a program: Windows PowerShell drops it")
    if '"' in text:
        raise Unsendable(f"an argument of a program must not hold a double quote: {text!r}")
    if text.endswith("\\") and any(character.isspace() for character in text):
        raise Unsendable(f"an argument with a blank must not end in a backslash: {text!r}")
    if "\t" in text:
        raise Unsendable(f"an argument of a program must not hold a tab: {text!r}")
    return plain_line(text, "an argument of a program")


# ------------------------------------------------------------------------------------------------------------- programs
def program(key: str, exe: str, *args: str, result: Literal["json", "text", "none"] = "json") -> Statement:
    """A program of Windows (System32) with its arguments; values: its output lines; exit_code: its exit code.

    result: ``text`` gives the lines as they come, for `Host.watch`; ``json`` gives them at its end, in one piece.
    Raises Unsendable for arguments that would not arrive as they are.
    """
    if not _PROGRAM.match(exe):
        raise Unsendable(f"a program is named by its file name alone, not as {exe!r}")
    name = exe if exe.lower().endswith(".exe") else f"{exe}.exe"
    command = Command(name, arguments=tuple(checked_argument(arg) for arg in args), program=True)
    return Statement(key, (command,), result, exit_code=True)


# cmd.exe is an interpreter: these characters mean something to it even within quotes, or end a word outside of them.
_CMD_SPECIAL = re.compile(r"[&|<>^%!;,=`]")


def link_word(path: str) -> str:
    """The path of a link as cmd takes it as it is. Raises Unsendable when it would not."""
    if _CMD_SPECIAL.search(path):
        raise Unsendable(f"the path of a link must not hold any of & | < > ^ % ! ; , = `: {path!r}")
    return checked_argument(path)


def make_link(key: str, link: str, device: str) -> Statement:
    """A directory link to the root of a shadow copy's device (``\\\\?\\GLOBALROOT\\Device\\...``).

    Only cmd's mklink keeps the target as it is given, and without its closing backslash the link leads nowhere.
    """
    target = device.rstrip("\\") + "\\"
    return program(key, "cmd.exe", "/d", "/c", "mklink", "/d", link_word(link), link_word(target))


def remove_link(key: str, link: str) -> Statement:
    """Remove a directory link, never what it leads to (cmd's rmdir without /s)."""
    return program(key, "cmd.exe", "/d", "/c", "rmdir", link_word(link.rstrip("\\")))


def secure(key: str, path: str) -> Statement:
    """Only SYSTEM and Administrators (by SID, whatever their names here) get into this folder; nothing is inherited."""
    return program(
        key, "icacls.exe", path, "/inheritance:r", "/grant:r", "*S-1-5-18:(OI)(CI)F", "*S-1-5-32-544:(OI)(CI)F", "/q"
    )


def own(key: str, path: str) -> Statement:
    """Make the Administrators (by SID) the owner of this folder."""
    return program(key, "icacls.exe", path, "/setowner", "*S-1-5-32-544", "/q")
