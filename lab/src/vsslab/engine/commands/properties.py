# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Properties of items, in the registry and of files: Get-, New-, Set-, Remove-ItemProperty.

Sources: the reference pages of Windows PowerShell 5.1, about_Registry_Provider; error IDs of public reports.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from vsslab.windows.errors import WinError
from vsslab.windows.registry import HIVES, Values, is_own

from .. import convert
from .. import fileitems as fs
from ..command import Call, command
from ..errors import BAD_ARGUMENT, text
from ..signatures import Parameter
from ..values import Wildcard, custom, has_wildcard, lookup, plain, text_of
from .items import named, targets

REGISTRY = "Microsoft.PowerShell.Core\\Registry"
_PATHS = ("Path", "LiteralPath", "Filter", "Include", "Exclude")
_TEXTS = frozenset({"string", "expandstring"})


def _keys(call: Call) -> Iterator[tuple[str, Values]]:
    """The registry keys that -Path or -LiteralPath mean; a missing one is reported."""
    for given in call.texts("LiteralPath", "Path"):
        path = fs.registry_path(call, given)
        if path is None:
            continue
        if not call.has("LiteralPath") and has_wildcard(path):
            above, _, last = path.rpartition("\\")
            found = [each for each in call.host.registry.children(above)
                     if Wildcard(last).matches(each.rpartition("\\")[2])]  # fmt: skip
        else:
            found = [path]
        for each in found:
            key = call.host.registry.find(each)
            if key is None:
                call.error(text("PathNotFound", call.language, given), "PathNotFound", "ObjectNotFound", target=given,
                           exception="System.Management.Automation.ItemNotFoundException")  # fmt: skip
            elif named(call, key[0]):
                yield key


def _of_registry(call: Call) -> bool:
    return any(fs.registry_path(call, each) is not None for each in call.texts("LiteralPath", "Path"))


def _notes(path: str) -> dict[str, Any]:
    above, _, name = path.rpartition("\\")
    drive = next((short.upper() for short, hive in HIVES.items() if path.upper().startswith(hive)), None)
    return {"PSPath": f"{REGISTRY}::{path}", "PSParentPath": f"{REGISTRY}::{above}", "PSChildName": name,
            "PSDrive": drive, "PSProvider": REGISTRY}  # fmt: skip


def _missing(call: Call, name: str, path: str) -> None:
    call.error(f"Property {name} does not exist at path {path}.", "System.Management.Automation.PSArgumentException",
               "InvalidArgument", target=name, exception=BAD_ARGUMENT)  # fmt: skip


@command("Get-ItemProperty", only=(*_PATHS, "Name"))
def get_property(call: Call) -> None:
    """The values of keys, or properties of files; -Name picks some of them."""
    for path, values in _keys(call) if _of_registry(call) else ():
        shown = _picked(call, path, values)
        if shown is not None:
            call.write(custom({**shown, **_notes(path)}))
    if _of_registry(call):
        return
    for path in targets(call):
        item = fs.item(call, call.files.stat(path))
        if not call.has("Name"):
            call.write(item)
            continue
        picked = {}
        for name in call.texts("Name"):
            present, value = lookup(item, name)
            if not present:
                _missing(call, name, fs.absolute(call, path))
                continue
            picked[name] = value
        if picked:
            notes = {key: each for key, each in item.notes.items() if key.startswith("PS") and key != "PSIsContainer"}
            call.write(custom({**picked, **notes}))


def _picked(call: Call, path: str, values: Values) -> Values | None:
    """The values that -Name means, None when there is none of them."""
    if not call.has("Name"):
        return dict(values)
    shown: Values = {}
    for name in call.texts("Name"):
        found = {each: value for each, value in values.items() if Wildcard(name).matches(each)}
        if not found and not has_wildcard(name):
            _missing(call, name, path)
        shown |= found
    return shown or None


def _changing(call: Call) -> Iterator[tuple[str, Values]]:
    """The keys that may be changed here."""
    for path, _values in _keys(call):
        if not is_own(path):
            raise call.refuse(f"a change of the registry key {path}")
        if path.upper().startswith("HKEY_LOCAL_MACHINE") and not call.user.administrator:
            call.error("Requested registry access is not allowed.",
                       "System.Security.SecurityException", "PermissionDenied", target=path,
                       exception="System.Security.SecurityException")  # fmt: skip
        elif call.should_process():
            yield path, call.host.registry.create(path)


def _typed(call: Call, value: Any, kind: str) -> Any:
    inner = plain(value)
    wanted = kind.lower()
    if wanted == "multistring":
        return [text_of(each) for each in (inner if isinstance(inner, (list, tuple)) else [inner])]
    if wanted == "binary":
        return bytes(inner if isinstance(inner, (bytes, list, tuple)) else [])
    if wanted in {"dword", "qword"}:
        try:
            return convert.convert(inner, Parameter("Value", "Int32" if wanted == "dword" else "Int64"))
        except convert.CannotConvert as problem:
            raise call.fail(problem.text, "System.ArgumentException", "InvalidArgument",
                            exception="System.ArgumentException") from None  # fmt: skip
    if not wanted:
        return inner if isinstance(inner, (int, bytes, list)) and not isinstance(inner, bool) else text_of(inner)
    if wanted not in _TEXTS:
        raise call.refuse(f"registry values of the type {kind}")
    return text_of(inner)


@command("New-ItemProperty", only=(*_PATHS, "Name", "PropertyType", "Value", "Force", "WhatIf", "Confirm"))
def new_property(call: Call) -> None:
    """A value in a key; one that is there already needs -Force."""
    if not _of_registry(call):
        raise call.refuse("New-ItemProperty outside the registry")
    name = call.get("Name")
    for path, values in _changing(call):
        if any(each.lower() == name.lower() for each in values) and not call.flag("Force"):
            call.error("The property already exists.", "System.IO.IOException", "ResourceExists", target=path,
                       exception="System.IO.IOException")  # fmt: skip
            continue
        values[name] = _typed(call, call.get("Value"), call.get("PropertyType", ""))
        call.write(custom({name: values[name], **_notes(path)}))


@command("Set-ItemProperty", only=(*_PATHS, "Name", "Value", "Type", "PassThru", "Force", "WhatIf", "Confirm"))
def set_property(call: Call) -> None:
    """Another value, made when it is missing; of files IsReadOnly and the times."""
    name = call.get("Name")
    if not _of_registry(call):
        _set_on_files(call, name)
        return
    for path, values in _changing(call):
        spelt = next((each for each in values if each.lower() == name.lower()), name)
        values[spelt] = _typed(call, call.get("Value"), text_of(call.get("Type")))
        if call.flag("PassThru"):
            call.write(custom({spelt: values[spelt], **_notes(path)}))


def _set_on_files(call: Call, name: str) -> None:
    for path in targets(call):
        if not call.should_process():
            continue
        try:
            _set_on_file(call, path, name.lower())
        except WinError as problem:
            call.error(**fs.failure(call, problem, "SetPropertyError", path))


def _set_on_file(call: Call, path: str, name: str) -> None:
    stat = call.files.stat(path)
    value = call.get("Value")
    if name == "isreadonly" and not stat.is_dir:
        wanted = str(text_of(value)).lower() == "true"
        call.files.set_attributes(path, stat.attributes | 1 if wanted else stat.attributes & ~1)
        return
    if name in {"lastwritetime", "creationtime"}:
        try:
            moment = convert.convert(value, Parameter("Value", "DateTime"))
        except convert.CannotConvert as problem:
            raise call.fail(problem.text, "SetPropertyError", exception="System.ArgumentException") from None
        aware = convert.with_zone(moment, call.host.clock.zone)
        call.files.set_times(path, **{"modified" if name == "lastwritetime" else "created": aware})
        return
    raise call.refuse(f"Set-ItemProperty -Name {call.get('Name')} of files")


@command("Remove-ItemProperty", only=(*_PATHS, "Name", "Force", "WhatIf", "Confirm"))
def remove_property(call: Call) -> None:
    """Values gone from a key."""
    if not _of_registry(call):
        raise call.refuse("Remove-ItemProperty outside the registry")
    for path, values in _changing(call):
        for name in call.texts("Name"):
            found = [each for each in values if Wildcard(name).matches(each)]
            if not found and not has_wildcard(name):
                _missing(call, name, path)
            for each in found:
                del values[each]
