# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restricted sessions (JEA): which commands, parameters and programs a role lets through, and as what.

Sources: "JEA role capabilities", "JEA session configurations", and PowerShell's own code for them
(InitialSessionState.ProcessCommandModifications), which was run with the real engine.  A command whose parameters are
bounded becomes a proxy function, so its binding errors are those of a function; it is one only when its module is there
at that time.  The commands of CDXML modules are functions from the start and must stand under VisibleFunctions.  A name
means an alias before a function before a cmdlet: so the proxies that every restricted session has (Select-Object ...)
stay in the way of the real command, until an alias of the role means it by MODULE\\NAME.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import replace
from importlib import resources
from typing import Any

import yaml

from vsslab.windows.endpoints import ParameterRule, Role, role_of

from . import signatures
from .signatures import COMMON_NAMES, Parameter, Signature
from .values import Wildcard

_ITS_OWN = COMMON_NAMES | {"WhatIf", "Confirm"}  # what a proxy has without being told


@functools.cache
def _table() -> Mapping[str, Any]:
    content = (resources.files(__package__) / "data" / "restricted.yml").read_text(encoding="utf-8")
    table: Mapping[str, Any] = yaml.safe_load(content)
    return table


@functools.cache
def _proxies() -> Role:
    listed = [{"Name": name, "Parameters": [{"Name": each} if isinstance(each, str) else each for each in parameters]}
              for name, parameters in _table()["commands"].items()]  # fmt: skip
    return role_of({"VisibleCmdlets": listed})


def always_there(name: str) -> bool:
    """True for a command that every restricted session has, as a proxy of few parameters."""
    return name in _table()["commands"]


class Restriction:
    """What one role makes of the commands, programs and providers of a session."""

    def __init__(self, role: Role) -> None:
        self._role = role

    @property
    def aliases(self) -> Mapping[str, str]:
        """The aliases that the role itself defines, in lower case, and what they mean."""
        return self._role.defined

    def unalias(self, name: str) -> str:
        """The command that an alias of this session means; the name itself for anything else."""
        own = self._role.defined.get(name.lower()) or _table()["aliases"].get(name.lower())
        if own is not None:
            return str(own)
        usual = signatures.table("aliases").get(name.lower())
        seen = any(Wildcard(each).matches(name) for each in self._role.aliases)
        return usual if usual is not None and seen else name

    def refuses(self, name: str) -> str | None:
        """The name of a command that such a session has and the laboratory does not simulate."""
        wanted = self.unalias(name).lower()
        return next((each for each in _table()["not_simulated"] if each.lower() == wanted), None)

    def visible(self, signature: Signature, *, qualified: bool = False) -> Signature | None:
        """The command as this session shows it: itself, a proxy with fewer parameters, or None.

        qualified: it was asked for as MODULE\\NAME, which means the command itself, never a proxy.
        """
        listed = self._role.functions if signature.is_function else self._role.cmdlets
        found = [rules for name, rules in listed.items() if _means(name, signature)]
        proxy = _proxies().cmdlets.get(signature.name)
        if proxy is not None and not qualified:
            return _proxy(signature, proxy)
        if any(rules is None for rules in found):
            return signature
        if not found or qualified or not self._imported(signature):
            return None
        return _proxy(signature, [rule for rules in found if rules is not None for rule in rules])

    def _imported(self, signature: Signature) -> bool:
        """True when a command's module is there when the bounds on its parameters are put in force."""
        named = [name.rpartition("\\")[0] for name in (*self._role.cmdlets, *self._role.functions) if "\\" in name]
        wanted = signature.module.lower()
        if wanted in {each.lower() for each in (*self._role.modules, *named)}:
            return True
        return not signature.is_function and wanted in _table()["engine_modules"]

    def program(self, path: str) -> bool:
        """True when the role names this program, by its full path."""
        return any(Wildcard(each).matches(path) for each in self._role.external)

    def provider(self, name: str) -> bool:
        """True when the role shows this provider."""
        return any(Wildcard(each).matches(name) for each in self._role.providers)


def _means(listed: str, signature: Signature) -> bool:
    module, separator, name = listed.rpartition("\\")
    if separator and not Wildcard(module).matches(signature.module):
        return False
    return Wildcard(name).matches(signature.name)


def _proxy(signature: Signature, rules: Iterable[ParameterRule]) -> Signature:
    by_name: dict[str, list[ParameterRule]] = {}
    for rule in rules:
        by_name.setdefault(rule.name.lower(), []).append(rule)
    kept = tuple(_bounded(each, by_name.get(each.name.lower(), [])) for each in signature.parameters
                 if each.name.lower() in by_name or each.name in _ITS_OWN)  # fmt: skip
    return replace(signature, parameters=kept, type_name=signature.name, is_function=True,
                   only=frozenset(each.name for each in kept))  # fmt: skip


def _bounded(parameter: Parameter, rules: list[ParameterRule]) -> Parameter:
    """The parameter under its rules: one without bounds lets everything through, a pattern overrides every set."""
    if any(not rule.values and rule.pattern is None for rule in rules) or not rules:
        return parameter
    patterns = [rule.pattern for rule in rules if rule.pattern is not None]
    values = () if patterns else tuple(value for rule in rules for value in rule.values)
    return replace(parameter, allowed=values, pattern=f"^({'|'.join(patterns)})$" if patterns else None)
