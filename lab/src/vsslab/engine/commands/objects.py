# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Select-Object, Sort-Object, Where-Object, ForEach-Object, Measure-Object, Get-Unique, New-Object.

Sources: the reference pages of Windows PowerShell 5.1; about_Comparison_Operators; error IDs from recorded runs.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from .. import compare
from ..command import Call, Command, StopUpstream, command
from ..errors import BAD_ARGUMENT, PowerShellError
from ..members import invoke_member
from ..values import (
    CUSTOM_OBJECT,
    BadWildcard,
    Obj,
    Secret,
    Wildcard,
    custom,
    enumerate_output,
    has_wildcard,
    lookup,
    members,
    net_type,
    plain,
    property_of,
    text_of,
)


def property_names(call: Call, given: Any) -> list[str]:
    """The names that a -Property holds; calculated properties need a language and are refused by this session."""
    names: list[str] = []
    for each in given if isinstance(given, list) else [] if given is None else [given]:
        inner = plain(each)
        if not isinstance(inner, str):
            raise call.refuse(f"calculated properties ({net_type(each)}) in {call.origin.name}")
        names.append(str(inner))
    return names


_LABELS, _EXPRESSIONS = frozenset({"name", "label", "n", "l"}), frozenset({"expression", "e"})


def _renamed(each: Any) -> tuple[str, str] | None:
    """(new name, name) of a calculated property that only gives a property another name; None for everything else."""
    inner = plain(each)
    if not isinstance(inner, dict) or len(inner) != 2:
        return None
    told = {str(key).lower(): plain(value) for key, value in inner.items()}
    label = next((told[key] for key in told if key in _LABELS), None)
    source = next((told[key] for key in told if key in _EXPRESSIONS), None)
    known = isinstance(label, str) and isinstance(source, str) and not has_wildcard(source)
    return (str(label), str(source)) if known else None


def chosen(value: Any, names: list[str], exclude: list[str]) -> dict[str, Any]:
    """The properties of a value that names and wildcards pick; one that it does not have is null."""
    out: dict[str, Any] = {}
    for name in names:
        found = [key for key in members(value) if Wildcard(name).matches(key)] if has_wildcard(name) else [name]
        for each in found:
            if not any(Wildcard(pattern).matches(each) for pattern in exclude):
                present, inner = property_of(value, each)
                spelt = next((key for key in members(value) if key.lower() == each.lower()), each) if present else each
                out.setdefault(spelt, inner)
    return out


@command(
    "Select-Object",
    only=(
        "Property",
        "InputObject",
        "ExcludeProperty",
        "ExpandProperty",
        "Unique",
        "First",
        "Last",
        "Skip",
        "SkipLast",
        "Index",
        "Wait",
    ),
)
class SelectObject(Command):
    """Some of the objects (-First, -Last, -Skip, -Index, -Unique), or some of their properties."""

    def __init__(self) -> None:
        self.seen = 0
        self.taken = 0
        self.waiting: deque[Any] = deque()
        self.before: list[Any] = []

    def process(self, call: Call) -> None:
        if call.get("InputObject") is not None:  # nulls do not count
            self._one(call, call.get("InputObject"))

    def _one(self, call: Call, value: Any) -> None:
        position, self.seen = self.seen, self.seen + 1
        if call.has("Index"):
            wanted = call.get("Index")
            if position in wanted:
                self._emit(call, value)
            if position >= max(wanted, default=-1) and not call.flag("Wait"):
                raise StopUpstream(call.reader)
            return
        if call.has("Last") or call.has("SkipLast"):
            self._hold(call, value)
            return
        if position < call.get("Skip", 0):
            return
        if call.has("First") and self.taken >= call.get("First"):
            raise StopUpstream(call.reader)
        self.taken += 1  # before -Unique has its say
        self._emit(call, value)
        if call.has("First") and self.taken >= call.get("First") and not call.flag("Wait"):
            raise StopUpstream(call.reader)

    def _hold(self, call: Call, value: Any) -> None:
        self.waiting.append(value)
        if call.has("SkipLast"):
            if len(self.waiting) > call.get("SkipLast"):
                self._emit(call, self.waiting.popleft())
        elif len(self.waiting) > call.get("Last") + call.get("Skip", 0):
            self.waiting.popleft()

    def end(self, call: Call) -> None:
        if call.has("Last"):
            skipped = call.get("Skip", 0)
            for each in list(self.waiting)[: len(self.waiting) - skipped if skipped else None]:
                self._emit(call, each)

    def _emit(self, call: Call, value: Any) -> None:
        for each in self._shaped(call, value):
            if call.flag("Unique"):
                if any(_same(each, other) for other in self.before):
                    continue
                self.before.append(each)
            call.write(each)

    def _shaped(self, call: Call, value: Any) -> list[Any]:
        given = call.get("Property")
        wanted = given if isinstance(given, list) else [] if given is None else [given]
        named = [each for each in wanted if _renamed(each) is None]
        renamed = [found for each in wanted if (found := _renamed(each))]
        names = property_names(call, named)
        if renamed and (names or call.has("ExpandProperty") or call.has("ExcludeProperty")):
            raise call.refuse("calculated properties beside others in Select-Object")
        if renamed:
            return [custom({label: property_of(value, source)[1] for label, source in renamed})]
        if call.has("ExpandProperty"):
            return self._expanded(call, value, names)
        if not names and not call.has("ExcludeProperty"):
            return [value]
        picked = chosen(value, names or ["*"], call.texts("ExcludeProperty"))
        kinds = value.types if isinstance(value, Obj) and value.base is None else (net_type(value), "System.Object")
        first = kinds[0] if kinds else "System.Object"
        return [Obj((f"Selected.{first}", *CUSTOM_OBJECT), {}, picked)]

    def _expanded(self, call: Call, value: Any, names: list[str]) -> list[Any]:
        name = call.get("ExpandProperty")
        present, inner = property_of(value, name)
        if not present:
            call.error(
                f'Property "{name}" cannot be found.',
                "ExpandPropertyNotFound",
                "InvalidArgument",
                target=value,
                exception=BAD_ARGUMENT,
                target_type="PSObject",
            )
            return []
        if inner is None:
            return []
        extra = chosen(value, names, [])
        parts = list(enumerate_output(inner))
        return [_with_notes(each, extra) for each in parts] if extra else parts


def _with_notes(value: Any, notes: dict[str, Any]) -> Any:
    if isinstance(value, Obj):
        return Obj(value.types, value.props, {**value.notes, **notes}, value.text, value.base, value.deep, value.source)
    return Obj((net_type(value), "System.Object"), {}, dict(notes), None, value)


def _same(left: Any, right: Any) -> bool:
    """Equal as -Unique compares: plain values by value (case counts), objects by their properties' texts."""
    if isinstance(left, Obj) and isinstance(right, Obj) and left.base is None and right.base is None:
        mine, others = dict(left.items()), dict(right.items())
        return list(mine) == list(others) and all(text_of(each) == text_of(others[name]) for name, each in mine.items())
    return compare.equal(left, right, case=True)


@command("Sort-Object", only=("Property", "Descending", "Unique", "InputObject", "CaseSensitive"))
class SortObject(Command):
    """Everything in order but nulls; objects without the property come last, whichever way it goes."""

    def __init__(self) -> None:
        self.items: list[Any] = []

    def process(self, call: Call) -> None:
        if call.get("InputObject") is not None:
            self.items.append(call.get("InputObject"))

    def end(self, call: Call) -> None:
        names = property_names(call, call.get("Property"))
        case, descending = call.flag("CaseSensitive"), call.flag("Descending")

        def order(value: Any) -> list[tuple[bool, compare.SortKey]]:
            parts = [property_of(value, name) for name in names] if names else [(True, value)]
            return [(present == descending, compare.SortKey(each, case=case)) for present, each in parts]

        ordered = sorted(self.items, key=order, reverse=descending)
        previous: list[tuple[bool, compare.SortKey]] | None = None
        for each in ordered:
            key = order(each)
            if not (call.flag("Unique") and key == previous):
                call.write(each)
            previous = key


@command("Get-Unique", only=("InputObject", "AsString"))
class GetUnique(Command):
    """Of equal neighbours the first."""

    def __init__(self) -> None:
        self.last: list[Any] = []

    def process(self, call: Call) -> None:
        value = call.get("InputObject")
        same = bool(self.last) and (
            text_of(self.last[0]) == text_of(value) if call.flag("AsString") else _same(self.last[0], value)
        )
        self.last = [value]
        if not same:
            call.write(value)


@command("Where-Object")
def where_object(call: Call) -> None:
    """Pass an object on when its property agrees (-Property P -EQ -Value V); without an operator: when it is true."""
    value = call.get("InputObject")
    if not call.has("Property"):
        raise call.refuse("Where-Object with a script block")
    operator = next((name for name in ("Is", "IsNot", *compare.OPERATORS) if call.has(name)), None)
    if (operator is None) == call.has("Value"):
        raise _half_a_comparison(call, operator)
    found = _filtered_property(call, value)
    if found is None:
        return
    inner = found[0]
    if operator is None:
        agrees = compare.truth(inner)
    elif operator in {"Is", "IsNot"}:
        raise call.refuse(f"Where-Object -{operator}")
    else:
        agrees = _agrees(call, operator, value, inner)
    if agrees:
        call.write(value)


def _half_a_comparison(call: Call, operator: str | None) -> PowerShellError:
    """An operator without a value, or a value without an operator."""
    error_id, words = (
        ("OperatorNotSpecified", "An operator is required to compare the two specified values. Include a valid "
         "operator in the command, and then try the command again. For example, Get-Process | Where-Object -Property "
         "Name -eq Idle") if operator is None else
        ("ValueNotSpecifiedForWhereObject", "The specified operator requires both the -Property and -Value "
         "parameters. Provide values for both parameters, and then try the command again.")
    )  # fmt: skip
    return call.fail(words, error_id, "InvalidArgument", exception=BAD_ARGUMENT)


def _filtered_property(call: Call, value: Any) -> tuple[Any] | None:
    """The value of the property that is filtered by, which may be a pattern of one; None when it means several."""
    name = call.get("Property")
    if not has_wildcard(name):
        return (lookup(value, name)[1],)
    names = [each for each in members(value) if Wildcard(name).matches(each)]
    if len(names) > 1:
        call.error(f'Input name "{name}" is ambiguous. It can be resolved to multiple matched members. Possible '
                   f"matches include: {' '.join(names)}.", "AmbiguousPropertyOrMethodName", "InvalidArgument",
                   target=value, exception=BAD_ARGUMENT)  # fmt: skip
        return None
    return (lookup(value, names[0])[1] if names else None,)


def _agrees(call: Call, operator: str, value: Any, inner: Any) -> bool:
    """What the operator says; an error for each object whose comparison cannot be made."""
    case, bare = (operator[0], operator[1:]) if operator[0] == "C" and operator[1:2].isupper() else ("I", operator)
    shown = f"{case}{bare.lower()}"
    try:
        return compare.OPERATORS[operator](inner, call.get("Value"))
    except compare.BadPattern as problem:
        if problem.unsupported is not None:
            raise call.refuse(f"{problem.unsupported} in regular expressions") from None
        call.error(f"The argument to operator '{shown}' is not valid: {problem}.", "BadOperatorArgument",
                   "InvalidArgument", target=value, exception=BAD_ARGUMENT)  # fmt: skip
    except (compare.NotComparable, BadWildcard) as problem:
        call.error(f"The '{shown}' operator failed: {problem}.", "OperatorFailed", "InvalidOperation", target=value,
                   exception="System.Management.Automation.PSInvalidOperationException")  # fmt: skip
    return False


@command("ForEach-Object", only=("InputObject", "MemberName", "ArgumentList", "WhatIf", "Confirm"))
def foreach_object(call: Call) -> None:
    """A property of each object, or the result of a method (the harmless ones of strings, dates and the like)."""
    if call.has("MemberName") and call.should_process():
        for each in invoke_member(call, call.get("InputObject"), call.get("MemberName"), call.get("ArgumentList")):
            call.write(each, enumerate_lists=True)


@command("Measure-Object", only=("InputObject", "Property", "Sum", "Average", "Maximum", "Minimum"))
class MeasureObject(Command):
    """Count, and sum, average, largest, smallest of a property of every object."""

    def __init__(self) -> None:
        self.count = 0
        self.values: dict[str, list[Any]] = {}

    def process(self, call: Call) -> None:
        value = call.get("InputObject")
        if value is None:
            return
        self.count += 1
        for name in call.texts("Property") or [""]:
            present, inner = property_of(value, name) if name else (True, value)
            if present and inner is not None:
                self.values.setdefault(name, []).append(plain(inner))

    def end(self, call: Call) -> None:
        kind = "Microsoft.PowerShell.Commands.GenericMeasureInfo"
        types = (kind, "Microsoft.PowerShell.Commands.MeasureInfo", "System.Object")
        for name in call.texts("Property") or [""]:
            found = self.values.get(name, [])
            if name and not found and self.count:
                call.error(
                    f'The property "{name}" cannot be found in the input for any objects.',
                    "GenericMeasurePropertyNotFound",
                    "InvalidArgument",
                    exception=BAD_ARGUMENT,
                )
                continue
            call.write(Obj(types, {"Count": len(found) if name else self.count, **self._figures(call, found),
                                   "Property": name or None}, text=kind))  # fmt: skip

    def _figures(self, call: Call, found: list[Any]) -> dict[str, Any]:
        wanted = {name for name in ("Average", "Sum", "Maximum", "Minimum") if call.flag(name)}
        numbers: list[float] = []
        if wanted & {"Average", "Sum"}:
            for each in found:
                number = compare.number(each)
                if number is None:
                    call.error(
                        f'Input object "{text_of(each)}" is not numeric.',
                        "NonNumericInputObject",
                        "InvalidType",
                        target=each,
                        exception="System.Management.Automation.PSInvalidOperationException",
                    )
                else:
                    numbers.append(number)
        ordered = (
            sorted(found, key=lambda each: compare.SortKey(each, case=False)) if wanted & {"Maximum", "Minimum"} else []
        )
        figures: dict[str, Any] = {
            "Average": sum(numbers) / len(numbers) if "Average" in wanted and numbers else None,
            "Sum": float(sum(numbers)) if "Sum" in wanted and (numbers or not found) else None,
            "Maximum": ordered[-1] if ordered and "Maximum" in wanted else None,
            "Minimum": ordered[0] if ordered and "Minimum" in wanted else None,
        }
        return {name: _measured(value) for name, value in figures.items()}


def _measured(value: Any) -> Any:
    """Numbers are Doubles in a measurement; other things that have an order stay what they are."""
    return float(value) if isinstance(value, int) else value


@command("New-Object", only=("TypeName", "ArgumentList", "Property"))
def new_object(call: Call) -> None:
    """A PSCustomObject of a dictionary, or a credential; objects of other .NET and of COM classes are not simulated."""
    name = call.get("TypeName", "")
    if name.lower().removeprefix("system.management.automation.") == "pscredential" and not call.has("Property"):
        arguments = [plain(each) for each in call.get("ArgumentList") or []]
        if len(arguments) != 2 or not isinstance(arguments[1], Secret):
            raise call.fail('Cannot find an overload for "PSCredential" and the argument count: '
                            f'"{len(arguments)}".', "ConstructorInvokedThrowException", "InvalidOperation",
                            exception="System.Management.Automation.MethodException")  # fmt: skip
        call.write(credential(text_of(arguments[0]), arguments[1]))
        return
    if name.lower() not in {"psobject", "pscustomobject", "system.management.automation.psobject"}:
        raise call.refuse(f"New-Object {name}")
    if call.has("ArgumentList"):
        raise call.refuse(f"New-Object {name} -ArgumentList")
    call.write(custom({text_of(key): value for key, value in (call.get("Property") or {}).items()}))


def credential(user: str, password: Secret) -> Obj:
    """A PSCredential."""
    kind = "System.Management.Automation.PSCredential"
    return Obj((kind, "System.Object"), {"UserName": user, "Password": password}, text=kind)
