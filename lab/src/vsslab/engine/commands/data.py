# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ConvertTo-Json, ConvertFrom-Json, and the variables of the session."""

from __future__ import annotations

from typing import Any

from .. import jsontext
from ..command import Call, Command, command
from ..values import Obj, Wildcard, has_wildcard

_VARIABLE = ("System.Management.Automation.PSVariable", "System.Object")


@command("ConvertTo-Json")
class ConvertToJson(Command):
    """One text of everything that comes: a single object by itself, several as a list, nothing for nothing."""

    def __init__(self) -> None:
        self.items: list[Any] = []

    def process(self, call: Call) -> None:
        value = call.get("InputObject")
        if value is not None:  # 5.1 leaves nulls of the pipe out
            self.items.append(value)

    def end(self, call: Call) -> None:
        if self.items:
            value = self.items[0] if len(self.items) == 1 else self.items
            call.write(jsontext.dumps(value, depth=call.get("Depth", 2), compress=call.flag("Compress")))


@command("ConvertFrom-Json")
class ConvertFromJson(Command):
    """The value of a JSON text; lines that come one by one are joined, unless the first is a document of its own."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def process(self, call: Call) -> None:
        self.lines.append(call.get("InputObject"))

    def end(self, call: Call) -> None:
        try:
            jsontext.loads(self.lines[0] if self.lines else "")
            documents = self.lines
        except jsontext.DuplicateKeys:
            documents = self.lines
        except jsontext.JsonError:
            documents = ["\n".join(self.lines)]
        for each in documents:
            try:
                call.write(jsontext.loads(each))
            except jsontext.DuplicateKeys as problem:
                raise call.fail(str(problem), "DuplicateKeysInJsonString", "InvalidOperation",
                                exception="System.InvalidOperationException") from None  # fmt: skip
            except jsontext.JsonError as problem:
                raise call.fail(
                    str(problem), "System.ArgumentException", exception="System.ArgumentException"
                ) from None


def _variable(name: str, value: Any) -> Obj:
    own = {"Name": name, "Description": "", "Value": value, "Visibility": "Public", "Module": None, "ModuleName": "",
           "Options": "None", "Attributes": []}  # fmt: skip
    return Obj(_VARIABLE, own, text="System.Management.Automation.PSVariable")


@command("Get-Variable", only=("Name", "ValueOnly"))
def get_variable(call: Call) -> None:
    """Variables of the session, or their values; one that there is not is an error, unless it was a wildcard."""
    variables = call.runspace.variables
    for wanted in call.texts("Name") or ["*"]:
        found = [name for name in variables if Wildcard(wanted).matches(name)]
        if not found and not has_wildcard(wanted):
            call.error(
                f"Cannot find a variable with the name '{wanted}'.",
                "VariableNotFound",
                "ObjectNotFound",
                target=wanted,
                exception="System.Management.Automation.ItemNotFoundException",
            )
        for name in found:
            if call.flag("ValueOnly"):
                call.write(variables[name], enumerate_lists=True)
            else:
                call.write(_variable(name, variables[name]))


@command("Set-Variable", only=("Name", "Value", "Force", "PassThru", "Scope", "WhatIf", "Confirm"))
def set_variable(call: Call) -> None:
    """Set variables of the session; the constants cannot be overwritten."""
    for name in call.texts("Name"):
        if name.lower() in {"true", "false", "null", "psversiontable", "home", "pshome"}:
            call.error(f"Cannot overwrite variable {name} because it is read-only or constant.", "VariableNotWritable",
                       "WriteError", target=name)  # fmt: skip
            continue
        if call.should_process():
            spelt = next((each for each in call.runspace.variables if each.lower() == name.lower()), name)
            call.runspace.variables[spelt] = call.get("Value")
            if call.flag("PassThru"):
                call.write(_variable(spelt, call.get("Value")))
