# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A module's argument spec, made of its documentation, so that there is one truth about its options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ._translate import plain

__all__ = ["Checked", "argument_spec", "check", "prepare", "read"]

COLLECTION = "umbra.vss"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MODULES = Path(__file__).resolve().parent.parent / "modules"
# What documentation and argument spec call by the same name.
_COPIED = ("type", "elements", "required", "default", "choices", "aliases")
# Documentation has no word for a secret: an option is one by its name.
_SECRETS = ("password", "secret", "passphrase")


@dataclass(frozen=True)
class Checked:
    """A task's arguments after the check.

    values: plain Python, with defaults. error: one sentence when they are not valid. secrets: texts to be masked.
    """

    values: dict[str, Any]
    error: str = ""
    secrets: frozenset[str] = field(default_factory=frozenset)


@cache
def read(module: str) -> Mapping[str, Mapping[str, Any]]:
    """The options of a module as its documentation describes them, fragments included.

    Not by Ansible's own reader, which needs ten times as long, on every host: it reads examples, too, and marks every
    value with its origin. A test compares the two.
    """
    told = _parsed((_MODULES / f"{module}.yml").read_text(encoding="utf-8"))["DOCUMENTATION"]
    options: dict[str, dict[str, Any]] = dict(told["options"])
    for fragment in told.get("extends_documentation_fragment", ()):
        file, _dot, variable = fragment.removeprefix(f"{COLLECTION}.").partition(".")
        found = import_module(f"...doc_fragments.{file}", __name__).ModuleDocFragment
        options |= _parsed(getattr(found, variable.upper() or "DOCUMENTATION")).get("options") or {}
    return options


def prepare(module: str) -> None:
    """Read a module's options ahead of time, if there is such a module."""
    if (_MODULES / f"{module}.yml").is_file():
        read(module)


def _parsed(text: str) -> dict[str, Any]:
    """A YAML document of ours."""
    parsed: dict[str, Any] = yaml.load(text, _LOADER)  # noqa: S506 - one of the two safe ones
    return parsed


def argument_spec(options: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Ansible's argument spec for documented options."""
    spec: dict[str, dict[str, Any]] = {}
    for name, told in options.items():
        entry = {word: told[word] for word in _COPIED if word in told}
        if any(secret in name for secret in _SECRETS):
            entry["no_log"] = True
        if "suboptions" in told:
            entry["options"] = argument_spec(told["suboptions"])
            # A dict with suboptions is there with their defaults even when a task does not name it.
            entry["apply_defaults"] = told.get("type") == "dict"
        spec[name] = entry
    return spec


def check(spec: Mapping[str, Mapping[str, Any]], arguments: Mapping[str, Any], module: str) -> Checked:
    """Check and complete a task's arguments."""
    given: dict[str, Any] = plain(arguments)
    internal = sorted(name for name in given if name.startswith("_"))
    if internal:
        return Checked(given, f"{COLLECTION}.{module} has no option {', '.join(internal)}")
    result = ArgumentSpecValidator(dict(spec)).validate(given)
    # Ansible collects the values of secret options in an attribute that is not public, but has always been there.
    secrets = frozenset(str(value) for value in getattr(result, "_no_log_values", ()))
    values: dict[str, Any] = plain(result.validated_parameters)
    return Checked(values, _error(result, module), secrets)


def _error(result: Any, module: str) -> str:
    if not result.error_messages:
        return ""
    told = " ".join(str(result.error_messages[0]).split())
    if any(told.startswith(name) for name in (".".join(path) for path in _paths(result.unsupported_parameters))):
        return f"{COLLECTION}.{module} has no option {told}"
    return told


def _paths(names: Any) -> list[tuple[str, ...]]:
    """Options that are not there: a name, or the names that lead to it."""
    return [(name,) if isinstance(name, str) else tuple(map(str, name)) for name in names]
