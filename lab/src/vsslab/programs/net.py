# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
r"""net.exe: net start, net stop, net use, net share. Source: their pages in the Windows Commands documentation."""

from __future__ import annotations

import re

from ..windows.errors import WinError
from ..windows.processes import Invocation
from ..windows.shares import NO_SUCH_SHARE
from .tool import Tool, dispatch

_LETTER = re.compile(r"[A-Za-z]:|\*")
_NO_SERVICE, _IS_STARTED, _NOT_STARTED = 1060, 1056, 1062


def main(call: Invocation) -> int:
    """Run net; 0, or 2 as net does for every failure."""
    return dispatch(call, VERBS)


def _failed(tool: Tool, problem: WinError) -> int:
    tool.complain("system_error", code=problem.code)
    for line in ("", tool.message(problem), ""):
        tool.call.err(line)
    return 2


def _service_failed(tool: Tool, name: str, problem: WinError) -> int:
    known = {_NO_SERVICE: ("no_service", 2185), _IS_STARTED: ("is_started", 2182), _NOT_STARTED: ("not_started", 3521)}
    if problem.code not in known:
        return _failed(tool, problem)
    key, number = known[problem.code]
    tool.complain(key, name=name)
    tool.call.err("")
    tool.complain("help", number=number)
    return 2


def _start(tool: Tool) -> int:
    services = tool.host.services
    if not tool.arguments:
        tool.say("running_services")
        tool.call.out("")
        for each in services.list():
            if each.status == "Running":
                tool.call.out(f"   {each.display_name}")
        tool.call.out("")
        tool.say("ok")
        return 0
    name = " ".join(tool.arguments)
    try:
        service = services.get(name)
        name = service.display_name
        tool.demand_administrator()
        if service.status == "Stopped":
            tool.say("starting", name=name)
        services.start(service.name, stop=tool.call.stop)
    except WinError as problem:
        return _service_failed(tool, name, problem)
    tool.say("started", name=name)
    return 0


def _stop(tool: Tool) -> int:
    services, yes = tool.host.services, tool.switch("/y")
    name = " ".join(tool.arguments)
    try:
        service = services.get(name)
        name = service.display_name
        tool.demand_administrator()
        running = [each for each in services.dependents(service.name) if each.status == "Running"]
        if running and not yes:
            tool.say("dependents", name=name)
            for each in running:
                tool.call.out(f"   {each.display_name}")
            tool.call.err("vsslab: without /y a question is asked, and nobody can answer it here.")
            return 2
        if service.status == "Running":
            tool.say("stopping", name=name)
        services.stop(service.name, force=yes, stop=tool.call.stop)
    except WinError as problem:
        return _service_failed(tool, name, problem)
    tool.say("stopped", name=name)
    return 0


def _use(tool: Tool) -> int:
    mappings, user = tool.host.mappings, tool.call.user
    tool.switch("/y")
    account, gone = tool.value("/user"), tool.switch("/delete") or tool.switch("/d")
    persistent = tool.value("/persistent")
    if persistent and persistent.lower() not in ("yes", "no"):
        return tool.refuse(f"use /persistent:{persistent}")
    if unknown := next((each for each in tool.arguments if each.startswith("/")), None):
        return tool.refuse(f"use {unknown}")
    words = tool.arguments
    try:
        if not words:
            return _uses(tool)
        if gone:
            for name in [each.local or each.remote for each in mappings.list(user)] if words[0] == "*" else words[:1]:
                mappings.remove(user, name)
            tool.say("gone", name=words[0])
            return 0
        letter = words.pop(0) if _LETTER.fullmatch(words[0]) else ""
        if letter == "*" or not words:
            return tool.refuse("use with a letter of its own choice, or none")
        remote, password = words[0], words[1] if len(words) > 1 else None
        if password in ("*",) or (account and password is None):
            return tool.refuse("use that asks for a password")
        mappings.add(user, remote, local=letter, user_name=account, password=password)
    except WinError as problem:
        return _failed(tool, problem)
    tool.say("ok")
    return 0


def _uses(tool: Tool) -> int:
    found = tool.host.mappings.list(tool.call.user)
    if not found:
        tool.say("no_entries")
        return 0
    for each in found:
        tool.call.out(f"OK           {each.local:<9} {each.remote:<25} Microsoft Windows Network")
    tool.say("ok")
    return 0


def _share(tool: Tool) -> int:
    shares = tool.host.shares
    gone = tool.switch("/delete") or tool.switch("/d")
    tool.switch("/y")
    grant, remark = tool.value("/grant"), tool.value("/remark")
    if unknown := next((each for each in tool.arguments if each.startswith("/")), None):
        return tool.refuse(f"share {unknown}")
    try:
        if not tool.arguments:
            for each in shares.list():
                tool.call.out(f"{each.name:<13}{each.path:<33}{each.description}")
            tool.say("ok")
            return 0
        tool.demand_administrator()
        name, equals, path = tool.arguments[0].partition("=")
        if gone:
            _unshare(tool, name)
        elif equals:
            account, comma, right = (grant or "").rpartition(",")
            sid = tool.host.users.looked_up(account) if comma else ""
            shares.add(name, path, description=remark or "")
            if comma:
                shares.grant(name, sid, right.capitalize())
            tool.say("shared", name=name)
        else:
            share = shares.get(name)
            tool.call.out(f"{share.name:<13}{share.path:<33}{share.description}")
            tool.say("ok")
    except WinError as problem:
        return _failed(tool, problem)
    return 0


def _unshare(tool: Tool, name: str) -> None:
    """A share by its name, or every share of a folder by its path."""
    shares = tool.host.shares
    found = shares.of_folder(name) if "\\" in name else [shares.get(name)]
    if not found:
        raise WinError(NO_SUCH_SHARE, name)
    for each in found:
        shares.remove(each.name)
        tool.say("unshared", name=each.name)


VERBS = {"start": _start, "stop": _stop, "use": _use, "share": _share}
