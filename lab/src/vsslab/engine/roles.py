# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restricted sessions (JEA): which commands, parameters and programs a role lets through, and as what.

Sources: "JEA role capabilities", "JEA session configurations".  A command whose parameters are bounded becomes a
proxy function, so its binding errors are those of a function; the commands of CDXML modules are functions from the
start and must stand under VisibleFunctions.
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


@functools.cache
def _table() -> Mapping[str, Any]:
    content = (resources.files(__package__) / "data" / "restricted.yml").read_text(encoding="utf-8")
    table: Mapping[str, Any] = yaml.safe_load(content)
    return table


@functools.cache
def _proxies() -> Role:
    return role_of({"VisibleCmdlets": [{"Name": name, "Parameters": parameters}
                                       for name, parameters in _table()["commands"].items()]})  # fmt: skip


class Restriction:
    """What one role makes of the commands, programs and providers of a session."""

    def __init__(self, role: Role) -> None:
        self._role = role

    def unalias(self, name: str) -> str:
        """The command that an alias of this session means; the name itself for anything else."""
        own = _table()["aliases"].get(name.lower())
        if own is not None:
            return str(own)
        usual = signatures.table("aliases").get(name.lower())
        seen = any(Wildcard(each).matches(name) for each in self._role.aliases)
        return usual if usual is not None and seen else name

    def refuses(self, name: str) -> str | None:
        """The name of a command that such a session has and the laboratory does not simulate."""
        wanted = self.unalias(name).lower()
        return next((each for each in _table()["not_simulated"] if each.lower() == wanted), None)

    def visible(self, signature: Signature) -> Signature | None:
        """The command as this session shows it: itself, a proxy with fewer parameters, or None."""
        listed = self._role.functions if signature.is_function else self._role.cmdlets
        found = [rules for name, rules in listed.items() if _means(name, signature)]
        if not found:
            found = [rules for name, rules in _proxies().cmdlets.items() if name == signature.name]
        if not found:
            return None
        if any(rules is None for rules in found):
            return signature
        return _proxy(signature, [rule for rules in found if rules is not None for rule in rules])

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
                 if each.name.lower() in by_name or each.name in COMMON_NAMES)  # fmt: skip
    return replace(signature, parameters=kept, type_name=signature.name, is_function=True,
                   only=frozenset(each.name for each in kept))  # fmt: skip


def _bounded(parameter: Parameter, rules: list[ParameterRule]) -> Parameter:
    """The parameter under its rules: one without bounds lets everything through, a pattern overrides every set."""
    if any(not rule.values and rule.pattern is None for rule in rules) or not rules:
        return parameter
    patterns = [rule.pattern for rule in rules if rule.pattern is not None]
    values = () if patterns else tuple(value for rule in rules for value in rule.values)
    return replace(parameter, allowed=values, pattern="|".join(f"(?:{each})" for each in patterns)
                   if len(patterns) > 1 else patterns[0] if patterns else None)  # fmt: skip
