# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""robocopy's job files: /JOB, /SAVE, /QUIT, /NOSD, /NODD.

Source: "robocopy" in the Windows Commands documentation (job options); the layout of the file, one switch a line with
comments behind `::`, is that of public job files.
"""

from __future__ import annotations

from ..windows.files import FileSystem
from .robocopy_options import Options, apply

_ENDING = ".RCJ"


def path_of(name: str) -> str:
    """The file of a job; the ending .RCJ may be left out."""
    return name if "." in name.rpartition("\\")[2] else name + _ENDING


def arguments_of(data: bytes, encoding: str) -> list[str]:
    """The switches and names in a job file."""
    text = data.decode("utf-16") if data[:2] == b"\xff\xfe" else data.decode(encoding, "replace")
    found = []
    for line in text.splitlines():
        plain = line.partition("::")[0].strip()
        if plain:
            found.append(plain)
    return found


def with_jobs(options: Options, arguments: list[str], build: int, files: FileSystem, encoding: str) -> Options:
    """The options of the job files that a command line names, with the command line's own on top.

    WinError when a file cannot be read, InvalidParameter for what it holds.
    """
    whole = Options()
    for name in options.jobs:
        apply(whole, arguments_of(files.read(path_of(name)), encoding), build)
    if options.source:
        whole.source = ""
    if options.dest:
        whole.dest = ""
    apply(whole, arguments, build)
    return whole


def text_of(options: Options, title: str) -> str:
    """A job file of these options."""
    tree = ["/MIR"] if options.mirror else ["/E"] if options.empty_folders else ["/S"] if options.subfolders else []
    skipped = {"/MIR", "/E", "/S", "/PURGE", "/R", "/W", "/COPY", "/DCOPY", "/COPYALL", "/SEC", "/JOB", "/SAVE",
               "/QUIT", "/SD", "/DD", "/NOSD", "/NODD"}  # fmt: skip
    rest = [each for each in options.shown if each.partition(":")[0].upper() not in skipped]
    source = ["/NOSD"] if options.no_source or not options.source else [f"/SD:{options.source}"]
    dest = ["/NODD"] if options.no_dest or not options.dest else [f"/DD:{options.dest}"]
    sections = (
        ("Source Directory", source),
        ("Destination Directory", dest),
        ("Include These Files", ["/IF", *options.files]),
        ("Exclude These Directories", ["/XD", *options.exclude_dirs]),
        ("Exclude These Files", ["/XF", *options.exclude_files]),
        ("Copy options", [*tree, f"/DCOPY:{options.dcopy}", f"/COPY:{options.copy}", *rest]),
        ("Retry Options", [f"/R:{options.retries}", f"/W:{options.wait}"]),
    )
    lines = ["::", f":: Robocopy Job {title}", "::", ""]
    for name, switches in sections:
        lines += ["::", f":: {name} :", "::", *(f"\t{each}" for each in switches), ""]
    return "".join(each + "\r\n" for each in lines)
