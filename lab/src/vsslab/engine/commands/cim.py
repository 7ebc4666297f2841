# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Get-CimInstance, Invoke-CimMethod, Remove-CimInstance over the host's classes.

Source: the CimCmdlets reference of Windows Server 2019; errors do not end the statement, as with the real cmdlets.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

from vsslab.windows.cim import CimError

from .. import ciminstances as ci
from ..command import Call, command
from ..values import EnumValue, Obj, plain, text_of

_NAMES = ("Namespace", "ComputerName", "OperationTimeoutSec", "QueryDialect")
_INVALID_NAMESPACE = 0x8004100E


def _reachable(call: Call) -> bool:
    """True when the call stays on this host and in root/cimv2; other computers are not simulated."""
    for each in call.texts("ComputerName"):
        if each.lower() not in {".", "localhost", "127.0.0.1", "::1", call.host.name.lower()}:
            raise call.refuse(f"CIM on another computer ({each})")
    if call.get("QueryDialect", "WQL").upper() != "WQL":
        raise call.refuse(f"the query dialect {call.get('QueryDialect')}")
    namespace = call.get("Namespace", ci.NAMESPACE).replace("\\", "/").strip("/")
    if namespace.lower() != ci.NAMESPACE:
        problem = CimError(_INVALID_NAMESPACE, "Invalid namespace ", "InvalidNamespace")
        call.report(ci.refused(call, problem, namespace))
        return False
    return True


def _target(call: Call, class_name: str) -> str:
    return f"{call.get('Namespace', 'root/cimv2')}:{class_name}".replace("/", "\\")


def _found(call: Call) -> Iterator[tuple[str, dict[str, Any], list[str] | None]]:
    """(class, whole instance, properties asked for) of every instance that ClassName and Filter, or Query, mean."""
    cim = call.host.cim
    if call.has("Query"):
        name, rows, properties = cim.select(call.get("Query"), call.user)
        wanted = None if properties is None else list(properties)
        _check_properties(call, name, wanted)
    else:
        name = call.get("ClassName")
        rows = cim.instances(call.user, name, call.get("Filter"))
        name = cim.class_name(name)
        wanted = call.texts("Property") or None
        _check_properties(call, name, wanted)
        if call.flag("KeyOnly"):
            wanted = cim.keys(name)
    for row in rows:
        yield name, row, wanted


def _check_properties(call: Call, name: str, wanted: list[str] | None) -> None:
    known = {each.lower() for each in call.host.cim.types(name)}
    if wanted and any(each != "*" and each.lower() not in known for each in wanted):
        raise call.host.cim.error(0x80041017)


@command(
    "Get-CimInstance", only=("ClassName", "Filter", "Property", "Query", "KeyOnly", "Shallow", "InputObject", *_NAMES)
)
def get_cim_instance(call: Call) -> None:
    """Instances of a class, those of a WQL query, or an instance read again."""
    if not _reachable(call):
        return
    try:
        if call.has("InputObject"):
            name, row = _source(call, call.get("InputObject"))
            keys = call.host.cim.keys(name)
            for each in call.host.cim.instances(call.user, name):
                if all(text_of(each[key]).lower() == text_of(row.get(key)).lower() for key in keys):
                    call.write(ci.instance(call, name, each))
                    return
            raise call.host.cim.error(0x80041002)
        for name, row, wanted in _found(call):
            call.write(ci.instance(call, name, row, None if wanted is None or "*" in wanted else wanted))
    except CimError as problem:
        call.report(ci.refused(call, problem, _target(call, _about(call))))


def _about(call: Call) -> str:
    if call.has("ClassName"):
        return text_of(call.get("ClassName"))
    return text_of(call.get("Query") or call.get("InputObject"))


def _source(call: Call, value: Any) -> tuple[str, dict[str, Any]]:
    source = value.source if isinstance(value, Obj) else None
    if not (isinstance(source, tuple) and len(source) == 2 and isinstance(source[1], dict)):
        raise call.refuse(f"{call.origin.name} on an object that is no CIM instance of this pipeline")
    return str(source[0]), source[1]


@command("Remove-CimInstance", only=("InputObject", "Query", "WhatIf", "Confirm", *_NAMES))
def remove_cim_instance(call: Call) -> None:
    """Delete an instance that came through the pipe, or every one that a query finds."""
    if not _reachable(call) or not call.should_process():
        return
    try:
        if call.has("Query"):
            doomed = [(name, row) for name, row, _ in _found(call)]
        else:
            doomed = [_source(call, call.get("InputObject"))]
    except CimError as problem:
        call.report(ci.refused(call, problem, _target(call, _about(call))))
        return
    for name, row in doomed:
        try:
            call.host.cim.delete(call.user, name, row)
        except CimError as problem:
            call.report(ci.refused(call, problem, text_of(ci.instance(call, name, row))))


@command("Set-CimInstance", only=("InputObject", "Query", "Property", "PassThru", "WhatIf", "Confirm", *_NAMES))
def set_cim_instance(call: Call) -> None:
    """Change properties of an instance that came through the pipe, or of every one that a query finds."""
    if not _reachable(call) or not call.should_process():
        return
    changes = {text_of(name): _argument(value) for name, value in (call.get("Property") or {}).items()}
    try:
        if call.has("Query"):
            changed = [(name, row) for name, row, _ in _found(call)]
        else:
            changed = [_source(call, call.get("InputObject"))]
        for name, row in changed:
            writable = {each.lower() for each in call.host.cim.writable(name)}
            other = next((each for each in changes if each.lower() not in writable), None)
            if other is not None:
                raise call.refuse(f"a change of {name}.{other}")
            now = call.host.cim.modify(call.user, name, row, changes)
            if call.flag("PassThru"):
                call.write(ci.instance(call, name, now))
    except CimError as problem:
        call.report(ci.refused(call, problem, _target(call, _about(call))))


def _argument(value: Any) -> Any:
    """A method's argument as the providers take it: plain values; instances as their keys."""
    inner = plain(value)
    if isinstance(inner, Obj):
        return dict(inner.source[1]) if isinstance(inner.source, tuple) else dict(inner.props)
    if isinstance(inner, (list, tuple)):
        return [_argument(each) for each in inner]
    if isinstance(inner, EnumValue):
        return inner.number
    return str(inner) if isinstance(inner, uuid.UUID) else inner


@command(
    "Invoke-CimMethod",
    only=("ClassName", "MethodName", "Arguments", "Query", "InputObject", "WhatIf", "Confirm", *_NAMES),
)
def invoke_cim_method(call: Call) -> None:
    """Call a method of a class, of an instance, or of every instance that a query finds."""
    if not _reachable(call) or not call.should_process():
        return
    arguments = {text_of(name): _argument(value) for name, value in (call.get("Arguments") or {}).items()}
    try:
        subjects: list[tuple[str, dict[str, Any] | None]] = []
        if call.has("Query"):
            subjects = [(name, row) for name, row, _ in _found(call)]
        elif call.has("InputObject"):
            subjects = [_source(call, call.get("InputObject"))]
        else:
            subjects = [(call.get("ClassName"), None)]
        for name, row in subjects:
            call.check_stop()
            result = call.host.cim.invoke(call.user, name, call.get("MethodName"), arguments, row)
            call.write(_result(call, name, result))
    except CimError as problem:
        call.report(ci.refused(call, problem, _target(call, _about(call))))


def _result(call: Call, class_name: str, result: dict[str, Any]) -> Obj:
    name, method = call.host.cim.class_name(class_name), call.get("MethodName")
    kinds = {each["name"].lower(): each["type"].lower() for each in call.host.cim.method_parameters(name, method)}
    kinds["returnvalue"] = "uint32"
    own = {key: ci.typed(call, value, kinds.get(key.lower(), "string")) for key, value in result.items()}
    kind = "Microsoft.Management.Infrastructure.CimMethodResult"
    return Obj((f"{kind}#{name}#{method}", kind, "System.Object"), own, {"PSComputerName": None}, text=kind)
