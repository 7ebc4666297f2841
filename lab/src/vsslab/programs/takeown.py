# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""takeown.exe: makes the caller, or the administrators, the owner of files ("takeown", Windows Commands)."""

from __future__ import annotations

from ..windows.errors import WinError
from ..windows.processes import Invocation
from ..windows.users import ADMINISTRATORS_SID
from .tool import Tool

VERBS = frozenset({"/f", "/a", "/r", "/d"})


def main(call: Invocation) -> int:
    """takeown /f path [/a] [/r] [/d y]; 0, or 1."""
    tool = Tool(call, list(call.argv[1:]))
    path, group, deep = tool.value("/f"), tool.switch("/a"), tool.switch("/r")
    answer = tool.value("/d")
    if path is None or tool.arguments or (answer or "y").lower() not in ("y", "n"):
        return tool.refuse(" ".join(tool.arguments) or "without /f")
    sid = ADMINISTRATORS_SID if group else call.user.sid
    plain = call.host.files.as_user(call.user, cwd=call.cwd)
    files = call.host.files.as_user(call.user, backup=True, cwd=call.cwd)  # SeTakeOwnershipPrivilege
    try:
        paths = [plain.locate(path).path]
        tool.demand_administrator()
        if deep and files.is_dir(path):
            paths += [each.path for each in files.walk(path)]
        for each in paths:
            files.set_security(each, f"O:{sid}")
            kind = tool.words["group" if group else "user"]
            tool.say("took", path=each, kind=kind, owner=call.host.users.name_of(sid))
    except WinError as problem:
        tool.complain("error", text=tool.message(problem))
        return 1
    return 0
