# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs about files and folders: see `_verbs`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

from ._pipeline import Command, Statement, Unsendable
from ._programs import BARE, plain_line, program, select

Encoding = Literal["ASCII", "UTF8", "Unicode"]


# ---------------------------------------------------------------------------------------------------- files and folders
def make_folder(key: str, path: str, exist_ok: bool = True) -> Statement:
    """A folder and its parents. exist_ok False: fails when it is there already (error id DirectoryExist)."""
    parameters: dict[str, Any] = {"Path": path, "ItemType": "Directory", "ErrorAction": "Stop"}
    if exist_ok:
        parameters["Force"] = True
    return Statement(key, (Command("New-Item", parameters),), "none")


def write_lines(key: str, path: str, lines: Iterable[str], encoding: Encoding = "ASCII") -> Statement:
    """A text file of these lines, replacing what was there. UTF8 and Unicode begin with a byte order mark."""
    checked = [plain_line(line, "a line of a file") for line in lines]
    if encoding == "ASCII" and not all(line.isascii() for line in checked):
        raise Unsendable("an ASCII file cannot hold the letters of other scripts: they would become question marks")
    parameters = {"LiteralPath": path, "Value": checked, "Encoding": encoding, "Force": True, "ErrorAction": "Stop"}
    return Statement(key, (Command("Set-Content", parameters),), "none")


def new_file(key: str, path: str, lines: Iterable[str]) -> Statement:
    """A file of these lines (ASCII) that was not there, and the folders above it, in one go."""
    text = "\r\n".join([plain_line(line, "a line of a file") for line in lines])
    if not text.isascii():
        raise Unsendable("an ASCII file cannot hold the letters of other scripts: they would become question marks")
    parameters = {"Path": path, "ItemType": "File", "Value": text, "Force": True, "ErrorAction": "Stop"}
    return Statement(key, (Command("New-Item", parameters),), "none")


def move_file(key: str, src: str, dst: str) -> Statement:
    """Move a file within a volume, replacing what was there."""
    parameters = {"LiteralPath": src, "Destination": dst, "Force": True, "ErrorAction": "Stop"}
    return Statement(key, (Command("Move-Item", parameters),), "none")


def rename_file(key: str, path: str, name: str, force: bool = False, must: bool = True) -> Statement:
    """Give a file or folder another name in the same folder; fails when it is not there or the name is taken.

    force: also a hidden or protected one. must: what comes after it is not done when it fails.
    """
    action = "Stop" if must else "Continue"
    parameters = {"LiteralPath": path, "NewName": name, "ErrorAction": action, **({"Force": True} if force else {})}
    return Statement(key, (Command("Rename-Item", parameters),), "none")


def note_shadow(key: str, log: str, folder: str) -> Statement:
    """Put an empty file, named by the ID in a log of `cim_create_shadow`, into a folder: programs can go by its name.

    A log that tells no ID is an error, which ends an `act` unless tolerant().
    """
    read = Command("Get-Content", {"LiteralPath": log, "Raw": True, "Encoding": "Unicode"})
    name = Command("Select-Object", {"Property": [{"Name": "Name", "Expression": "ShadowID"}]})
    # Without a Value the object that is piped binds to it, and its Name to nothing (observed with PowerShell's binder).
    make = Command("New-Item", {"Path": folder, "ItemType": "File", "Value": "", "Force": True})
    return Statement(key, (read, Command("ConvertFrom-Json"), name, make), "none")


def move_to(key: str, src: str, dst: str) -> Statement:
    """Move a file or folder within a volume, into a folder under its own name or to another name. One that is there is
    an error."""
    parameters = {"LiteralPath": src, "Destination": dst, "ErrorAction": "Stop"}
    return Statement(key, (Command("Move-Item", parameters),), "none")


def remove_file(key: str, path: str) -> Statement:
    """Remove a file. A missing one is an error (PathNotFound), which ends an `act` unless tolerant()."""
    return Statement(key, (Command("Remove-Item", {"LiteralPath": path, "Force": True}),), "none")


def remove_tree(key: str, path: str) -> Statement:
    """Remove a folder with what is in it. Remove the links in it first: what becomes of them is not documented."""
    return Statement(key, (Command("Remove-Item", {"LiteralPath": path, "Recurse": True, "Force": True}),), "none")


def exists(key: str, path: str) -> Statement:
    """One value: whether there is a file or folder of this name."""
    return Statement(key, (Command("Test-Path", {"LiteralPath": path}),))


def read_texts(key: str, pattern: str, encoding: Encoding = "UTF8") -> Statement:
    """The texts of all files that match (wildcards in any part of the path), one string a file; none is no error."""
    read = Command("Get-Content", {"Path": pattern, "Raw": True, "Encoding": encoding})
    return Statement(key, (read, BARE))


def read_text(key: str, path: str, encoding: Encoding = "UTF8") -> Statement:
    """The text of one file, in one string. A missing one is an error unless the statement is tolerant()."""
    return Statement(key, (Command("Get-Content", {"LiteralPath": path, "Raw": True, "Encoding": encoding}), BARE))


def read_lines(key: str, path: str, encoding: Encoding = "UTF8") -> Statement:
    """The lines of one file."""
    return Statement(key, (Command("Get-Content", {"LiteralPath": path, "Encoding": encoding}), BARE))


def read_tail(key: str, path: str, lines: int, encoding: Encoding = "UTF8") -> Statement:
    """The last lines of a file."""
    parameters = {"LiteralPath": path, "Tail": lines, "Encoding": encoding}
    return Statement(key, (Command("Get-Content", parameters), BARE))


def _files(paths: str | list[str]) -> Command:
    return Command("Get-ChildItem", {"LiteralPath": paths, "File": True, "Force": True})


def list_files(key: str, path: str) -> Statement:
    """FullName, Length (bytes) and LastWriteTimeUtc of the files directly in a folder."""
    return Statement(key, (_files(path), select("FullName", "Length", "LastWriteTimeUtc")))


def list_folders(key: str, path: str) -> Statement:
    """Name, FullName, Attributes (as a number) and LastWriteTimeUtc of the folders directly in a folder."""
    parameters = {"LiteralPath": path, "Directory": True, "Force": True}
    fields = select("Name", "FullName", "Attributes", "LastWriteTimeUtc")
    return Statement(key, (Command("Get-ChildItem", parameters), fields))


def items(key: str, paths: Sequence[str]) -> Statement:
    """FullName, Attributes (a number), LinkType, Length and LastWriteTimeUtc of these; a link itself, not what it
    leads to. LinkType is as `list_links` tells it, and "HardLink" for a file of several names.

    A missing one is reported in the errors.
    """
    get = Command("Get-Item", {"LiteralPath": list(paths), "Force": True})
    return Statement(key, (get, select("FullName", "Attributes", "LinkType", "Length", "LastWriteTimeUtc"))).tolerant()


def list_links(key: str, folders: Sequence[str]) -> Statement:
    """FullName, Attributes and LinkType of what is a reparse point directly in these folders: LinkType is "Junction"
    (mounted volumes too), "SymbolicLink", or null for what is no link, such as a deduplicated file."""
    parameters = {"LiteralPath": list(folders), "Force": True, "Attributes": "ReparsePoint"}
    return Statement(key, (Command("Get-ChildItem", parameters), select("FullName", "Attributes", "LinkType")))


# With /L robocopy only lists. It sees a tree as the copying robocopy does: without what junctions and links lead to,
# beyond 260 characters, whoever may read it. Get-ChildItem -Recurse of Windows PowerShell 5.1 enters links and ends
# at long paths. The second folder is one that is not there, so that every file counts as one to be copied.
_LOOK = ("/L", "/E", "/XJ", "/B", "/R:0", "/W:0", "/BYTES", "/NP", "/NDL", "/NJH")


def _look(folder: str, nowhere: str, skip: tuple[Sequence[str], Sequence[str]], *more: str) -> tuple[str, ...]:
    folders, files = skip
    less = (*(("/XD", *folders) if folders else ()), *(("/XF", *files) if files else ()))
    return (folder, nowhere, *_LOOK, *more, *less)


NOTHING: tuple[Sequence[str], Sequence[str]] = ((), ())


def tally(key: str, folder: str, nowhere: str, skip: tuple[Sequence[str], Sequence[str]] = NOTHING) -> Statement:
    """The table of counts that ends robocopy's listing of a tree. skip: names of folders and of files to leave out."""
    return program(key, "robocopy", *_look(folder, nowhere, skip, "/NFL"))


def catalogue(
    key: str, folder: str, nowhere: str, log: str, skip: tuple[Sequence[str], Sequence[str]] = NOTHING
) -> Statement:
    """Write size and path of every file of a tree into `log` (UTF-16), and the table of counts at its end."""
    return program(key, "robocopy", *_look(folder, nowhere, skip, "/FP", "/NC", f"/UNILOG:{log}"))


def compare(
    key: str, folder: str, other: str, log: str, options: Sequence[str], skip: tuple[Sequence[str], Sequence[str]]
) -> Statement:
    """Write into `log` (UTF-16) what robocopy would copy from a folder to another one, and the table of counts.

    Of every folder the number of its files and its path, which ends in a backslash; of every file that would be copied
    size and path. options: names of files, and switches that choose; skip: names of folders and of files to leave out.
    """
    folders, files = skip
    less = (*(("/XD", *folders) if folders else ()), *(("/XF", *files) if files else ()))
    look = [option for option in _LOOK if option not in ("/E", "/NDL")]
    return program(key, "robocopy", folder, other, *options, *look, "/FP", "/NC", f"/UNILOG:{log}", *less)


def hash_folders(key: str, folders: Sequence[str]) -> Statement:
    """Path and Hash (SHA-256, upper-case hex) of every file directly in these folders."""
    digest = Command("Get-FileHash", {"Algorithm": "SHA256"})
    return Statement(key, (_files(list(folders)), digest, select("Path", "Hash")))


def hash_files(key: str, paths: Sequence[str]) -> Statement:
    """Path and Hash (SHA-256, upper-case hex) of these files; a missing one is reported in the errors."""
    digest = Command("Get-FileHash", {"LiteralPath": list(paths), "Algorithm": "SHA256"})
    return Statement(key, (digest, select("Path", "Hash")))


def acl(key: str, path: str) -> Statement:
    """Owner (a name, in the host's language) and Sddl (owner and entries by SID) of a file or folder."""
    return Statement(key, (Command("Get-Acl", {"LiteralPath": path}), select("Owner", "Sddl")))


def pause(key: str, seconds: float) -> Statement:
    """Nothing for a while, on the host: the rhythm of a `Host.watch`. Not more than 60 seconds at a time."""
    if not 0 <= seconds <= 60:
        raise Unsendable(f"a pause is at most 60 seconds long, not {seconds}")
    return Statement(key, (Command("Start-Sleep", {"Milliseconds": round(seconds * 1000)}),), "none")
