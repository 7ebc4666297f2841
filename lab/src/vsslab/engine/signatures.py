# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documented signatures of the commands (data/cmdlets.json), and what PowerShell itself adds to each of them.

Sources: the reference pages the table was made from; about_CommonParameters; about_Aliases for the short names.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from types import MappingProxyType
from typing import Any

from vsslab import tables

_COMMON = (
    ("Verbose", "SwitchParameter", ("vb",)),
    ("Debug", "SwitchParameter", ("db",)),
    ("ErrorAction", "ActionPreference", ("ea",)),
    ("WarningAction", "ActionPreference", ("wa",)),
    ("InformationAction", "ActionPreference", ("infa",)),
    ("ErrorVariable", "String", ("ev",)),
    ("WarningVariable", "String", ("wv",)),
    ("InformationVariable", "String", ("iv",)),
    ("OutVariable", "String", ("ov",)),
    ("OutBuffer", "Int32", ("ob",)),
    ("PipelineVariable", "String", ("pv",)),
)
COMMON_NAMES = frozenset(name for name, _, _ in _COMMON)
VARIABLE_NAMES = frozenset(name for name in COMMON_NAMES if name.endswith("Variable"))


@dataclass(frozen=True)
class Place:
    """A parameter in one parameter set."""

    mandatory: bool
    position: int | None


@dataclass(frozen=True)
class Parameter:
    """A parameter of a command; `places` by the name of the parameter set.

    `allowed` and `pattern` are what a role adds (ValidateSet, ValidatePattern); `values` is the command's own.
    """

    name: str
    type: str
    aliases: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    by_value: bool = False
    by_name: bool = False
    places: Mapping[str, Place] = field(default_factory=dict)
    allowed: tuple[str, ...] = ()
    pattern: str | None = None

    @property
    def takes_input(self) -> bool:
        """True when the parameter can be bound from the pipeline."""
        return self.by_value or self.by_name

    @property
    def mandatory_anywhere(self) -> bool:
        """True when some set demands it: such a parameter refuses null, empty texts and empty lists."""
        return any(each.mandatory for each in self.places.values())


@dataclass(frozen=True)
class Signature:
    """What a command takes. `sets` in documented order, the first is the default; `type_name` ends its error IDs.

    `only`: the parameters that a role has left of it, None for all.
    """

    name: str
    module: str
    sets: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    type_name: str
    is_function: bool
    only: frozenset[str] | None = None

    def parameter(self, name: str) -> Parameter | None:
        """The parameter of exactly this name."""
        return next((each for each in self.parameters if each.name == name), None)

    def mandatory(self, chosen: str) -> tuple[str, ...]:
        """The parameters that a set demands."""
        names = _mandatory(self.name, chosen)
        return names if self.only is None else tuple(each for each in names if each in self.only)

    @functools.cached_property
    def definition(self) -> str:
        """The syntax, one line a set, as Get-Command shows it."""
        lines = []
        for chosen in self.sets:
            words = [self.name]
            for each in self.parameters:
                place = each.places.get(chosen)
                if place is not None and each.name not in COMMON_NAMES:
                    words.append(_syntax(each, place))
            lines.append(" ".join([*words, "[<CommonParameters>]"]))
        return "\n" + "\n\n".join(lines) + "\n"


@functools.cache
def _mandatory(command: str, chosen: str) -> tuple[str, ...]:
    parameters = _load(command).parameters
    return tuple(each.name for each in parameters if chosen in each.places and each.places[chosen].mandatory)


def _syntax(parameter: Parameter, place: Place) -> str:
    name = f"-{parameter.name}" if place.position is None else f"[-{parameter.name}]"
    kind = parameter.type.lower()
    if kind == "switchparameter":
        return name if place.mandatory else f"[{name}]"
    return f"{name} <{kind}>" if place.mandatory else f"[{name} <{kind}>]"


@functools.cache
def _tables() -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    folder = resources.files(__package__) / "data"
    cmdlets = json.loads((folder / "cmdlets.json").read_text(encoding="utf-8"))["cmdlets"]
    extra = tables.load("vsslab.engine", "data/commands.yml")
    return MappingProxyType(cmdlets), MappingProxyType(extra)


def table(name: str) -> Any:
    """One table of data/commands.yml; the same object each time: do not change it."""
    return _tables()[1][name]


@functools.cache
def _names() -> Mapping[str, str]:
    return MappingProxyType({name.lower(): name for name in _tables()[0]})


def known_names() -> tuple[str, ...]:
    """Every documented command, sorted."""
    return tuple(sorted(_tables()[0]))


def find(name: str) -> Signature | None:
    """The signature of a command by its name, case aside; None when it is not documented."""
    found = _names().get(name.lower())
    return None if found is None else _load(found)


@functools.cache
def _load(name: str) -> Signature:
    row = _tables()[0][name]
    sets = tuple(each["name"] for each in row["sets"])
    merged: dict[str, dict[str, Any]] = {}
    for each in row["sets"]:
        for given in each["parameters"]:
            entry = merged.setdefault(given["name"], {"type": given["type"], "places": {}})
            entry["places"][each["name"]] = Place(bool(given.get("mandatory")), given.get("position"))
    parameters = [_parameter(key, value, row["details"].get(key, {})) for key, value in merged.items()]
    everywhere = {each: Place(False, None) for each in sets}
    parameters += [
        Parameter(key, kind, aliases, places=everywhere) for key, kind, aliases in _COMMON if key not in merged
    ]
    type_name, is_function = _type_name(name, row["module"])
    return Signature(name, row["module"], sets, tuple(parameters), type_name, is_function)


def _parameter(name: str, entry: Mapping[str, Any], details: Mapping[str, Any]) -> Parameter:
    pipeline = details.get("pipeline", "")
    return Parameter(
        name,
        entry["type"],
        tuple(details.get("aliases", ())),
        tuple(details.get("values", ())),
        "ByValue" in pipeline,
        "ByPropertyName" in pipeline,
        MappingProxyType(entry["places"]),
    )


def _type_name(name: str, module: str) -> tuple[str, bool]:
    """The .NET class of a cmdlet; commands of function modules (CDXML, script) have their own name there."""
    classes = table("classes")
    if name in classes["functions"] or module in classes["function_modules"]:
        return name, True
    verb, _, noun = name.partition("-")
    namespace = classes["namespaces"].get(module, "Microsoft.PowerShell.Commands")
    return f"{namespace}.{classes['names'].get(name, f'{verb}{noun}Command')}", False
