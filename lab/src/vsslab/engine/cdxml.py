# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the functions over CIM (CDXML modules: Storage, SmbShare) have in common: objects, choices, error IDs.

Source: the IDs of public reports: "CmdletizationQuery_NotFound_NAME,Verb-Noun", "Windows System Error N,Verb-Noun",
"StorageWMI N,Verb-Noun".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from vsslab.windows.errors import WinError

from . import ciminstances as ci
from .command import Call
from .values import EnumValue, Obj, Wildcard, has_wildcard, text_of

STORAGE = "ROOT/Microsoft/Windows/Storage"
JOB_FAILED = "Microsoft.PowerShell.Cmdletization.Cim.CimJobException"
_GENERATED = "Microsoft.PowerShell.Cmdletization.GeneratedTypes"
T = TypeVar("T")


def enum_value(name: str, number: int, kind: str) -> EnumValue:
    """A value of one of the enumerations that CDXML modules bring, such as Disk.BusType."""
    return EnumValue(name, number, f"{_GENERATED}.{kind}")


def instance(class_name: str, namespace: str, own: dict[str, Any], source: Any, key: str) -> Obj:
    """A CIM instance as the module's functions write it."""
    shown = f'{class_name} ({key} = "{text_of(own[key])}")'
    return Obj(ci.types_of(class_name, namespace), own, {"PSComputerName": None}, text=shown, source=source)


def chosen(call: Call, class_name: str, everything: Iterable[T], tests: Mapping[str, Callable[[T], Any]]) -> list[T]:
    """The things that the bound parameters of `tests` pick; a value without a wildcard that none has is reported."""
    left = list(everything)
    for name, read in tests.items():
        if not call.has(name):
            continue
        matching: list[T] = []
        for wanted in call.texts(name):
            pattern = Wildcard(wanted)
            found = [each for each in left if pattern.matches(text_of(read(each)))]
            if not found and not has_wildcard(wanted):
                not_found(call, class_name, name, wanted)
            matching += [each for each in found if each not in matching]
        left = matching
    return left


def not_found(call: Call, class_name: str, name: str, wanted: str) -> None:
    """The error of a query for a value that no instance has."""
    call.error(
        f"No {class_name} objects found with property '{name}' equal to '{wanted}'.  Verify the value of the property "
        "and retry.",
        f"CmdletizationQuery_NotFound_{name}",
        "ObjectNotFound",
        target=wanted,
        exception=JOB_FAILED,
    )


def failed(call: Call, class_name: str, problem: WinError, prefix: str = "Windows System Error ") -> None:
    """A Win32 error that the provider passed on."""
    category = {5: "PermissionDenied", 2310: "ObjectNotFound"}.get(problem.code, "NotSpecified")
    call.error(problem.localized(call.language), f"{prefix}{problem.code}", category, exception=ci.EXCEPTION,
               target_name=class_name, target_type=f"ROOT/Microsoft/...{class_name[-9:]}",
               hresult=problem.hresult - 0x100000000)  # fmt: skip


def demand_administrator(call: Call, class_name: str) -> bool:
    """False, and an error, for an account that is no administrator."""
    if call.user.administrator:
        return True
    failed(call, class_name, WinError(5, class_name))
    return False
