# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""hostname.exe, where.exe, timeout.exe ("hostname", "where", "timeout" in the Windows Commands documentation)."""

from __future__ import annotations

import ntpath

from ..windows.paths import wildcard_match
from ..windows.processes import Invocation
from .tool import Tool


def hostname(call: Invocation) -> int:
    """The host's name."""
    if len(call.argv) > 1:
        return Tool(call, []).refuse(" ".join(call.argv[1:]))
    call.out(call.host.name)
    return 0


def where(call: Invocation) -> int:
    """Where a program is: in the working folder, System32 and the Windows folder; 1 when it is nowhere."""
    tool = Tool(call, list(call.argv[1:]))
    if len(tool.arguments) != 1 or tool.arguments[0].startswith("/"):
        return tool.refuse(" ".join(tool.arguments) or "without a name")
    name = tool.arguments[0]
    pattern = name if ntpath.splitext(name)[1] else f"{name}.*"
    files = call.host.files.as_user(call.user, cwd=call.cwd)
    found = []
    for folder in dict.fromkeys([call.cwd, f"{call.host.windows}\\System32", call.host.windows]):
        for each in files.listdir(folder):
            ending = ntpath.splitext(each.name)[1].lower()
            known = pattern == name or ending in (".com", ".exe", ".bat", ".cmd")
            if known and not each.is_dir and wildcard_match(each.name, pattern):
                found.append(ntpath.join(folder, each.name))
    for path in found:
        call.out(path)
    if not found:
        call.err("INFO: Could not find files for the given pattern(s).")
    return 0 if found else 1


def timeout(call: Invocation) -> int:
    """timeout /t seconds /nobreak: waits; without a console it refuses to, as it does on Windows."""
    call.err("ERROR: Input redirection is not supported, exiting the process immediately.")
    return 1
