# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CIM of a host: classes with the documented properties, WQL, methods; other rooms register classes of their own."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import TYPE_CHECKING, Any

from . import cimclasses, wql
from .errors import data
from .users import User

if TYPE_CHECKING:
    from .host import Host

Instance = dict[str, Any]
NOT_FOUND, ACCESS_DENIED, INVALID_PARAMETER = 0x80041002, 0x80041003, 0x80041008
INVALID_CLASS, INVALID_QUERY, NOT_SUPPORTED, INVALID_METHOD = 0x80041010, 0x80041017, 0x80041024, 0x8004102E
INSTANCE = "__instance"  # the key under which a method finds the instance that it was called on


class CimError(Exception):
    """WMI refused: `hresult` its error constant, `status` its name in CIM cmdlets, the text in the host's language."""

    def __init__(self, hresult: int, text: str, status: str, detail: str = "") -> None:
        super().__init__(text)
        self.hresult = hresult
        self.text = text
        self.status = status
        self.detail = detail


@dataclass
class _Class:
    instances: Callable[[User], list[Instance]]
    delete: Callable[[User, Instance], None] | None = None
    methods: dict[str, Callable[[User, Mapping[str, Any]], Instance]] = field(default_factory=dict)
    modify: Callable[[User, Instance, Mapping[str, Any]], None] | None = None
    writable: frozenset[str] = frozenset()


@functools.cache
def _documented() -> dict[str, Any]:
    text = (resources.files(__package__) / "data" / "cim-classes.json").read_text(encoding="utf-8")
    classes: dict[str, Any] = json.loads(text)
    for name, extra in data("cim.yml")["properties"].items():
        classes[name]["properties"] = {**classes[name]["properties"], **extra}
    return classes


class Cim:
    """The namespace root/cimv2 of one host. Values: int, bool, str, aware datetime, None, list, dict (for a REF).

    A REF value is the referenced instance's key as a dict: {'DeviceID': ...}.
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self._classes: dict[str, _Class] = {}
        cimclasses.register(host, self)

    def register(
        self,
        class_name: str,
        instances: Callable[[User], list[Instance]],
        delete: Callable[[User, Instance], None] | None = None,
        methods: Mapping[str, Callable[[User, Mapping[str, Any]], Instance]] | None = None,
        modify: Callable[[User, Instance, Mapping[str, Any]], None] | None = None,
        writable: Iterable[str] = (),
    ) -> None:
        """Provide a class: `instances(user)`, `delete(user, instance)`, methods `fn(user, args) -> out parameters`,
        `modify(user, instance, changes)` for the properties `writable`.

        A method's result holds ReturnValue; one called on an instance finds it as args['__instance']. Properties that
        an instance leaves out are None; ValueError for a class without a documented table.
        """
        self._classes[self.class_name(class_name)] = _Class(
            instances, delete, dict(methods or {}), modify, frozenset(writable)
        )

    def class_name(self, name: str) -> str:
        """The class as it is spelt; ValueError when its properties are not known."""
        found = next((each for each in _documented() if each.lower() == name.lower()), None)
        if found is None:
            raise ValueError(f"vsslab has no property table for the class {name}.")
        return found

    def knows(self, class_name: str) -> bool:
        """True when the host has the class."""
        return any(each.lower() == class_name.lower() for each in self._classes)

    def classes(self) -> list[str]:
        """The classes of the host."""
        return sorted(self._classes)

    def types(self, class_name: str) -> dict[str, str]:
        """The CIM type of every property ('uint64', 'string[]', 'Win32_Volume REF' ...), in the class's order."""
        properties: dict[str, str] = _documented()[self.class_name(class_name)]["properties"]
        return {name: kind.lower() if not kind.endswith("REF") else kind for name, kind in properties.items()}

    def keys(self, class_name: str) -> list[str]:
        """The key properties of a class."""
        return list(data("cim.yml")["keys"].get(self.class_name(class_name), []))

    def methods(self, class_name: str) -> list[str]:
        """The documented methods of a class."""
        return list(_documented()[self.class_name(class_name)].get("methods", {}))

    def method_parameters(self, class_name: str, method: str) -> list[dict[str, str]]:
        """The documented parameters of a method ({name, type, dir, default}); CimError when there is no such method."""
        methods = _documented()[self.class_name(class_name)].get("methods", {})
        found = next((value for name, value in methods.items() if name.lower() == method.lower()), None)
        if found is None:
            raise self.error(INVALID_METHOD)
        return list(found)

    def error(self, hresult: int, detail: str = "") -> CimError:
        """The error for a WMI error constant, in the host's language."""
        row = data("cim.yml")["errors"][hresult]
        return CimError(hresult, row.get(self._host.language.short, row["en"]), row["name"], detail)

    def _class(self, user: User | None, class_name: str) -> tuple[str, _Class]:
        """The class, checked: remote shells of accounts that are no administrators may not use WMI."""
        if user is not None and not user.administrator:
            raise self.error(ACCESS_DENIED)
        found = next((each for each in self._classes if each.lower() == class_name.lower()), None)
        if found is None:
            raise self.error(INVALID_CLASS, class_name)
        return found, self._classes[found]

    def instances(self, user: User | None, class_name: str, condition: str | None = None) -> list[Instance]:
        """The instances of a class, each with every property, those that agree with a WQL condition."""
        name, provider = self._class(user, class_name)
        properties = self.types(name)
        try:
            agrees = wql.parse_condition(condition) if condition else lambda _instance: True
            rows = provider.instances(user or self._host.users.system)
            whole = [{each: row.get(each) for each in properties} for row in rows]
            return [each for each in whole if agrees(each)]
        except wql.WqlError as problem:
            raise self.error(INVALID_QUERY, str(problem)) from problem

    def query(self, text: str, user: User | None = None) -> list[Instance]:
        """The answer to a WQL query: only the properties it asks for, in its order."""
        class_name, rows, properties = self.select(text, user)
        if properties is None:
            return rows
        spelt = {each.lower(): each for each in self.types(class_name)}
        unknown = [each for each in properties if each.lower() not in spelt]
        if unknown:
            raise self.error(INVALID_QUERY, f"The class has no property {unknown[0]!r}.")
        return [{spelt[each.lower()]: row[spelt[each.lower()]] for each in properties} for row in rows]

    def select(self, text: str, user: User | None = None) -> tuple[str, list[Instance], tuple[str, ...] | None]:
        """A WQL query's class, its whole instances, and the properties it asked for (None: all)."""
        try:
            query = wql.parse(text)
            name, _provider = self._class(user, query.class_name)
            return name, [each for each in self.instances(user, name) if query.matches(each)], query.properties
        except wql.WqlError as problem:
            raise self.error(INVALID_QUERY, str(problem)) from problem

    def delete(self, user: User | None, class_name: str, instance: Mapping[str, Any]) -> None:
        """Delete an instance, found by its key properties; CimError NotFound, or NotSupported for other classes."""
        name, provider = self._class(user, class_name)
        if provider.delete is None:
            raise self.error(NOT_SUPPORTED)
        provider.delete(user or self._host.users.system, self._find(user, name, instance))

    def writable(self, class_name: str) -> frozenset[str]:
        """The properties of a class that `modify` can change here."""
        return next((each.writable for name, each in self._classes.items() if name.lower() == class_name.lower()),
                    frozenset())  # fmt: skip

    def modify(
        self, user: User | None, class_name: str, instance: Mapping[str, Any], changes: Mapping[str, Any]
    ) -> Instance:
        """Change writable properties of an instance, found by its keys; the instance as it is then.

        CimError NotFound, or NotSupported for classes without writable properties.
        """
        name, provider = self._class(user, class_name)
        if provider.modify is None:
            raise self.error(NOT_SUPPORTED)
        spelt = {each.lower(): each for each in provider.writable}
        if any(each.lower() not in spelt for each in changes):
            raise self.error(INVALID_PARAMETER)
        found = self._find(user, name, instance)
        given = {spelt[key.lower()]: each for key, each in changes.items()}
        provider.modify(user or self._host.users.system, found, given)
        return self._find(user, name, found)

    def _find(self, user: User | None, name: str, instance: Mapping[str, Any]) -> Instance:
        keys = self.keys(name)
        wanted = [_folded(instance.get(each)) for each in keys]
        for each in self.instances(user, name):
            if keys and [_folded(each[key]) for key in keys] == wanted:
                return each
        raise self.error(NOT_FOUND)

    def invoke(
        self,
        user: User | None,
        class_name: str,
        method: str,
        arguments: Mapping[str, Any] | None = None,
        instance: Mapping[str, Any] | None = None,
    ) -> Instance:
        """Call a method; its out parameters and ReturnValue. Unknown arguments are InvalidParameter."""
        name, provider = self._class(user, class_name)
        function = next((each for key, each in provider.methods.items() if key.lower() == method.lower()), None)
        if function is None:
            raise self.error(INVALID_METHOD, method)
        parameters = self.method_parameters(name, method)
        incoming = {each["name"].lower(): each["name"] for each in parameters if each["dir"] == "in"}
        given = arguments or {}
        if any(each.lower() not in incoming for each in given):
            raise self.error(INVALID_PARAMETER)
        args: dict[str, Any] = {incoming[key.lower()]: value for key, value in given.items()}
        for each in parameters:
            if "default" in each and each["dir"] == "in":
                args.setdefault(each["name"], each["default"].strip('"'))
        if instance is not None:
            args[INSTANCE] = self._find(user, name, instance)
        return function(user or self._host.users.system, args)


def _folded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key).lower(): _folded(each) for key, each in value.items()}
    return value.casefold() if isinstance(value, str) else value
