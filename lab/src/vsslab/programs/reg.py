# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""reg.exe: reg query, and reg add and delete where programs keep what is theirs ("reg", Windows Commands)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..windows.processes import Invocation
from ..windows.registry import HIVES, is_own
from .tool import Tool, dispatch

_TYPES: dict[str, Callable[[str], Any]] = {
    "REG_SZ": str,
    "REG_DWORD": lambda text: int(text, 0),
    "REG_MULTI_SZ": lambda text: text.split("\\0"),
}


def main(call: Invocation) -> int:
    """Run reg; 0, or 1."""
    return dispatch(call, VERBS)


def _key(text: str) -> str:
    hive, backslash, rest = text.rstrip("\\").partition("\\")
    return HIVES.get(hive.lower(), hive.upper()) + backslash + rest


def _shown(value: Any) -> tuple[str, str]:
    if isinstance(value, list):
        return "REG_MULTI_SZ", "\\0".join(str(each) for each in value)
    if isinstance(value, int):
        return "REG_DWORD", f"0x{value:x}"
    return "REG_SZ", str(value)


def _missing(tool: Tool) -> int:
    tool.complain("reg_missing")
    return 1


def _query(tool: Tool) -> int:
    name, deep = tool.value("/v"), tool.switch("/s")
    if len(tool.arguments) != 1:
        return tool.refuse("query " + " ".join(tool.arguments[1:]))
    registry, pending, hit = tool.host.registry, [_key(tool.arguments[0])], False
    if registry.find(pending[0]) is None:
        return _missing(tool)
    while pending:
        path = pending.pop(0)
        found = registry.find(path)
        values = {} if found is None else found[1]
        shown = {key: value for key, value in values.items() if name is None or key.lower() == name.lower()}
        hit = hit or bool(shown) or name is None
        children = list(registry.children(path))
        if shown or (name is None and not deep):
            tool.call.out("")
            tool.call.out(path if found is None else found[0])
            for key, value in shown.items():
                tool.call.out("    " + "    ".join([key, *_shown(value)]))
            tool.call.out("")
        if deep:
            pending = children + pending
        elif name is None:
            for each in children:
                tool.call.out(each)
    return 0 if hit else _missing(tool)


def _add(tool: Tool) -> int:
    name, kind = tool.value("/v"), (tool.value("/t") or "REG_SZ").upper()
    text, force = tool.value("/d") or "", tool.switch("/f")
    path = _key(tool.arguments[0]) if tool.arguments else ""
    if len(tool.arguments) != 1 or kind not in _TYPES or not is_own(path):
        return tool.refuse("add but of values of its own below Software")
    if not tool.call.user.administrator:
        tool.complain("error", text="Access is denied.")
        return 1
    values = tool.host.registry.create(path)
    if name is not None:
        if name in values and not force:
            return tool.refuse("add that asks before it overwrites")
        try:
            values[name] = _TYPES[kind](text)
        except ValueError:
            tool.complain("error", text=f"{text} is no value of {kind}.")
            return 1
    tool.say("reg_ok")
    return 0


def _delete(tool: Tool) -> int:
    name, force = tool.value("/v"), tool.switch("/f")
    path = _key(tool.arguments[0]) if tool.arguments else ""
    if len(tool.arguments) != 1 or not force or not is_own(path):
        return tool.refuse("delete but with /f and below Software")
    found = tool.host.registry.find(path)
    if found is None or (name is not None and name not in found[1]):
        return _missing(tool)
    if name is None:
        tool.host.registry.remove(path)
    else:
        del found[1][name]
    tool.say("reg_ok")
    return 0


VERBS = {"query": _query, "add": _add, "delete": _delete}
