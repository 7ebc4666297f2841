# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking at files and folders: Get-Item, Get-ChildItem, Test-Path, Resolve-Path.

Sources: the reference pages of Windows PowerShell 5.1; about_Providers; error IDs from recorded runs.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator

from vsslab.windows.errors import WinError
from vsslab.windows.fileio import FileStat
from vsslab.windows.paths import child

from .. import fileitems as fs
from ..command import Call, command
from ..convert import with_zone
from ..values import has_wildcard

_PATHS = ("Path", "LiteralPath")
_FILTERS = ("Filter", "Include", "Exclude")
_HIDDEN = 0x2
_KINDS = {"Hidden": 0x2, "ReadOnly": 0x1, "System": 0x4}


def targets(call: Call) -> Iterator[str]:
    """The existing paths that -Path or -LiteralPath name; missing ones are reported."""
    literal = call.has("LiteralPath")
    yield from fs.expand(call, call.texts("LiteralPath", "Path"), literal=literal, hidden=call.flag("Force"))


def named(call: Call, path: str) -> bool:
    """True when -Filter, -Include and -Exclude let the item through."""
    name = path.rstrip("\\").rpartition("\\")[2]
    return fs.kept(name, call.texts("Include"), call.texts("Exclude"), call.get("Filter"))


@command("Get-Item", only=(*_PATHS, *_FILTERS, "Force"))
def get_item(call: Call) -> None:
    """The items themselves; a hidden one needs -Force."""
    for path in targets(call):
        if not named(call, path):
            continue
        try:
            stat = fs.as_asked(call.files.stat(path), path)
        except WinError as problem:
            call.error(**fs.failure(call, problem, "ItemExistsUnauthorizedAccessError", path))
            continue
        if stat.attributes & _HIDDEN and not call.flag("Force") and not re.fullmatch(r"[A-Za-z]:\\?", path):
            full = fs.absolute(call, path)
            call.error(f"Could not find item {full}.", "ItemNotFound", "ObjectNotFound", target=full,
                       exception="System.IO.IOException")  # fmt: skip
            continue
        call.write(fs.item(call, stat))


@command("Test-Path", only=(*_PATHS, *_FILTERS, "PathType", "IsValid", "OlderThan", "NewerThan"))
def test_path(call: Call) -> None:
    """True or False for each path; never an error for a missing one."""
    literal = call.has("LiteralPath")
    for each in call.texts("LiteralPath", "Path"):
        key = fs.registry_path(call, each)
        if key is not None:
            call.write(call.host.registry.find(key) is not None)
            continue
        path = fs.provider_path(call, each)
        if call.flag("IsValid"):
            call.write(re.search(r'[<>"|\x00-\x1f]', path) is None)
            continue
        if fs.too_long(fs.absolute(call, path)):
            fs.report_too_long(call, fs.absolute(call, path), "ItemExistsPathTooLongError")
        found = [path] if literal or not has_wildcard(path) else list(fs.glob(call, path, hidden=True))
        call.write(any(_passes(call, one) for one in found))


def _passes(call: Call, path: str) -> bool:
    if not path.strip() or not call.files.exists(path) or not named(call, path):
        return False
    kind = call.get("PathType")
    folder = call.files.is_dir(path)
    if kind is not None and kind.name != "Any" and folder != (kind.name == "Container"):
        return False
    written = call.files.stat(path).modified
    for name, sign in (("OlderThan", 1), ("NewerThan", -1)):
        limit: datetime.datetime | None = call.get(name)
        if limit is not None and (with_zone(limit, call.host.clock.zone) - written).total_seconds() * sign <= 0:
            return False
    return True


@command("Resolve-Path", only=_PATHS)
def resolve_path(call: Call) -> None:
    """The full paths that patterns mean."""
    for path in targets(call):
        call.write(fs.path_info(call, fs.absolute(call, path)))


@command("Get-ChildItem", only=(*_PATHS, *_FILTERS, "Recurse", "Depth", "Force", "Name", "Directory", "File", "Hidden",
                                "ReadOnly", "System", "Attributes"))  # fmt: skip
def get_child_item(call: Call) -> None:
    """What folders hold: of every folder its sub-folders first, then its files.

    -Recurse of 5.1 enters junctions and directory links (only PowerShell 6 and later do not, and have -FollowSymlink):
    a link to a folder above is entered again and again, until the path is too long or has too many links on it.
    """
    given = call.texts("LiteralPath", "Path") or ["."]
    literal = call.has("LiteralPath")
    for each in given:
        pattern = fs.provider_path(call, each)
        globbed = not literal and has_wildcard(pattern)
        for path in fs.expand(call, [each], literal=literal, hidden=call.flag("Force")):
            full = fs.absolute(call, path)
            if globbed or not call.files.is_dir(path):
                _show_found(call, full)
            else:
                _list(call, full, full, _depth(call))


def _depth(call: Call) -> int | None:
    """How many levels below the folder are entered; None for all of them."""
    if call.has("Depth"):
        return int(call.get("Depth"))
    return None if call.flag("Recurse") else 0


def _show_found(call: Call, path: str) -> None:
    """An item that was named itself, or found by a wildcard."""
    stat = fs.as_asked(call.files.stat(path), path)
    above = path.rstrip("\\").rpartition("\\")[0]
    if _wanted(call, stat):
        _show(call, stat, above)
    if stat.is_dir and call.flag("Recurse"):
        _list(call, path, above, _depth(call))


def _list(call: Call, folder: str, top: str, depth: int | None) -> None:
    call.check_stop()
    if fs.too_long(folder, folder=True):
        fs.report_too_long(call, folder, "DirIOError", "ReadError")
        return
    try:
        entries = [fs.as_asked(each, child(folder, each.name)) for each in call.files.listdir(folder)]
    except WinError as problem:
        denied = problem.code == 5
        told = fs.failure(call, problem, "DirUnauthorizedAccessError" if denied else "DirIOError", folder)
        call.error(**{**told, "category": "PermissionDenied" if denied else "ReadError"})
        return
    ordered = [each for each in entries if each.is_dir] + [each for each in entries if not each.is_dir]
    for each in ordered:
        call.check_stop()
        if _wanted(call, each):
            _show(call, each, top)
    if depth == 0:
        return
    for each in ordered:
        if each.is_dir and (call.flag("Force") or not each.attributes & _HIDDEN):
            _list(call, each.path, top, None if depth is None else depth - 1)


def _wanted(call: Call, stat: FileStat) -> bool:
    if (call.flag("Directory") and not stat.is_dir) or (call.flag("File") and stat.is_dir):
        return False
    if any(call.flag(name) and not stat.attributes & bit for name, bit in _KINDS.items()):
        return False
    wanted = call.get("Attributes")
    if wanted is not None and not fs.has_attributes(call, stat.attributes, wanted):
        return False
    asked = call.flag("Force") or call.flag("Hidden") or "hidden" in str(wanted or "").lower()
    if stat.attributes & _HIDDEN and not asked:
        return False
    return named(call, stat.path)


def _show(call: Call, stat: FileStat, top: str) -> None:
    if call.flag("Name"):
        call.write(stat.path[len(top) :].lstrip("\\"))
    else:
        call.write(fs.item(call, stat))
