# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The script that a real PowerShell engine starts a session with: our commands as its own.

Every documented command becomes a function with the documented parameters, sets, positions, aliases and accepted
values, so that the engine itself binds and refuses; its body asks the world (Invoke-World, which the engine's folder
brings along).  A command that needs all of its input before it answers is asked once, with every record.  Programs are
aliases of real executables that ask the world as well.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from . import command as commands
from . import convert, roles, signatures
from .signatures import COMMON_NAMES, Parameter, Signature

if TYPE_CHECKING:
    from .roles import Restriction

Language = Literal["full", "none"]
BUILT_IN = frozenset({
    "Write-Output", "Get-Variable", "Select-Object", "Sort-Object", "ConvertTo-Json", "Out-String", "Start-Sleep",
    "Where-Object", "ForEach-Object", "Out-Null", "Get-Command", "Out-Default",
})  # fmt: skip
"""Commands that the engine has itself; they are not asked of the world."""
_KINDS = {
    "string": "string", "switchparameter": "switch", "boolean": "bool", "bool": "bool", "int": "int", "int32": "int",
    "int64": "long", "long": "long", "uint16": "uint16", "uint32": "uint32", "uint64": "uint64", "double": "double",
    "char": "char", "byte": "byte", "datetime": "datetime", "timespan": "timespan", "guid": "guid", "uri": "uri",
    "hashtable": "hashtable", "idictionary": "System.Collections.IDictionary", "scriptblock": "scriptblock",
    "securestring": "securestring", "pscredential": "pscredential", "object": "object", "psobject": "object",
    "version": "version",
}  # fmt: skip
_OWN_TYPES = ("System.Management.Automation.",)  # the namespaces of enumerations that the engine itself has
_PROMPTS = ("WhatIf", "Confirm")
_REAL_SELECT = "Select-WorldObject"  # its name where Select-Object is the proxy of a restricted session
_SELECT = (
    f"$real = $ExecutionContext.InvokeCommand.GetCommand('{_REAL_SELECT}', 'Function').Definition; "
    '. ([scriptblock]::Create("function global:Select-Object { $real }"))'
)
_AFTERWARDS = {  # variables are the engine's
    "Set-Variable": '; foreach ($n in $Name) { $ExecutionContext.SessionState.PSVariable.Set("global:$n", $Value) }'
}
_ASK = "Send-World $PSCmdlet '%s' %s"


def script(
    dll: Path, programs: Mapping[str, Path], *, language: Language = "none", restriction: Restriction | None = None
) -> str:
    """The text of the script.

    `dll` holds Invoke-World and the built-in commands; `programs` maps the names a program can be called by to its
    stand-in; `restriction` narrows the session as a JEA role does, which is then without a language.
    """
    shown = [each for each in map(_shown(restriction), signatures.known_names()) if each is not None]
    own = [each for each in shown if each.name not in BUILT_IN or each.only is not None]
    named = {name: path for name, path in programs.items() if restriction is None or restriction.program(name)}
    if restriction is not None:  # a program that is listed can be called by its bare name too
        named |= {name: path for name, path in programs.items() if path in named.values()}
    common = ",".join(_quote(each) for each in sorted(COMMON_NAMES | {"ProgressAction"}))
    lines = [*_enumerations(), f"Import-Module {_quote(str(dll))}", f"$global:WorldCommon = @({common})", _prelude()]
    if restriction is None:
        lines.append(_SELECT)
    lines += [_usual(each.name) if restriction is None else _proxy(each) or _function(each) for each in own]
    aliases = {short: name for short, name in signatures.table("aliases").items()
               if restriction is None or restriction.unalias(short) == name}  # fmt: skip
    if restriction is not None:
        aliases |= {short: _qualified(name) for short, name in restriction.aliases.items()}
    lines.append(_aliases({name: str(path) for name, path in named.items()} | aliases))
    if language == "none" or restriction is not None:
        names = {each.name for each in shown if each.name in BUILT_IN or each in own}
        names |= set(map(_qualified, restriction.aliases.values())) if restriction is not None else set()
        lines += _restrict({*names, *named, *aliases}, named)
    return "\n".join(lines) + "\n"


@functools.cache
def _prelude() -> str:
    return (resources.files(__package__) / "data" / "outside.ps1").read_text(encoding="utf-8")


def _qualified(name: str) -> str:
    """MODULE\\NAME of Windows as this session has it: in the engine's own module, or a function."""
    bare = name.rpartition("\\")[2]
    if "\\" in name and bare == "Select-Object":
        return _REAL_SELECT
    return f"psengine\\{bare}" if "\\" in name and bare in BUILT_IN else bare


def _shown(restriction: Restriction | None) -> Callable[[str], Signature | None]:
    def find(name: str) -> Signature | None:
        found = signatures.find(name)
        return found if restriction is None or found is None else restriction.visible(found)

    return find


def _enumerations() -> list[str]:
    """The enumerations of commands' parameters that the engine has not: they come with modules of Windows."""
    found = []
    for row in signatures.table("enumerations").values():
        if not row["type"].startswith(_OWN_TYPES):
            members = ";".join(f"{name}={number}" for name, number in row["values"].items())
            found.append(f"enum Lab{row['type'].rpartition('.')[2]} {{ {members} }}")
    return found


def _quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _aliases(names: Mapping[str, str]) -> str:
    """Names for commands and programs, but for those that mean a command in the engine already, as in Windows."""
    pairs = ";".join(f"{_quote(name)}={_quote(target)}" for name, target in names.items())
    return (
        "$own = @{}; foreach ($c in Microsoft.PowerShell.Core\\Get-Command -CommandType Alias) "
        "{ $own[$c.Name] = $c.Definition -like '*-*' }; "
        f"$all = @{{{pairs}}}; $new = @{{}}; "
        "foreach ($n in $all.Keys) { if (-not $own[$n]) { $new[$n] = $all[$n] } }; "
        "Add-ExecutableAlias -Map $new"
    )


def _restrict(names: Iterable[str], programs: Mapping[str, Path]) -> list[str]:
    """As a session configuration without a language leaves a session: a list of names, nothing else to be called."""
    kept = ",".join(map(_quote, sorted(names)))
    paths = ",".join(map(_quote, sorted({str(each) for each in programs.values()})))
    return [
        "$state = $ExecutionContext.SessionState",
        f"$keep = [System.Collections.Generic.HashSet[string]]::new([string[]]@({kept}), "
        "[System.StringComparer]::OrdinalIgnoreCase)",
        f"$state.Applications.Clear(); foreach ($p in @({paths})) {{ $state.Applications.Add($p) }}",
        "$state.Scripts.Clear()",
        "foreach ($c in Microsoft.PowerShell.Core\\Get-Command -CommandType Cmdlet,Function,Alias) "
        "{ if (-not $keep.Contains($c.Name)) { $c.Visibility = 'Private' } }",
        "$state.LanguageMode = 'NoLanguage'",
    ]


@functools.cache
def _usual(name: str) -> str:
    found = signatures.find(name)
    assert found is not None
    return _function(found)


def _function(signature: Signature) -> str:
    own = [each for each in signature.parameters if each.name not in COMMON_NAMES and each.name not in _PROMPTS]
    lines = ",".join(_parameter(signature, each) for each in own)
    return f"function global:{signature.name} {{ {_attribute(signature)}param({lines}) {_body(signature.name)} }}"


def _proxy(signature: Signature) -> str | None:
    """How a bounded command of the engine's own is made; None for any other command."""
    if signature.name not in BUILT_IN or roles.always_there(signature.name):
        return None
    bounds = ";".join(
        f"{_quote(each.name)}=@(@({','.join(map(_quote, each.allowed or ()))}),{_quote(each.pattern or '')})"
        for each in signature.parameters
        if each.name not in COMMON_NAMES
    )
    return f"Add-WorldProxy {_quote(signature.name)} @{{{bounds}}}"


def _attribute(signature: Signature) -> str:
    parts = []
    if signature.parameter("WhatIf") is not None:
        parts.append("SupportsShouldProcess,ConfirmImpact='None'")  # the world decides what a prompt would be
    if len(signature.sets) > 1:
        parts.append(f"DefaultParameterSetName={_quote(signature.sets[0])}")
    parts.append("PositionalBinding=$false")
    return f"[CmdletBinding({','.join(parts)})]"


def _body(name: str) -> str:
    behaviour = commands.make(name)
    if behaviour is None or type(behaviour) is commands.Command:  # a function: it keeps nothing between its records
        asked = _ASK % (name, "(ConvertTo-WorldBound $PSBoundParameters)") + _AFTERWARDS.get(name, "")
        return f"process {{ {asked} }}"
    asked = _ASK % (name, "@{'$given'=$given;'$piped'=$PSCmdlet.MyInvocation.ExpectingInput;'$records'=$all.ToArray()}")
    return (
        "begin { $all=[System.Collections.Generic.List[object]]::new(); "
        "$given = ConvertTo-WorldBound $PSBoundParameters } "
        "process { $all.Add((ConvertTo-WorldBound $PSBoundParameters)) } "
        f"end {{ {asked} }}"
    )


def _parameter(signature: Signature, parameter: Parameter) -> str:
    """One parameter with its attributes."""
    attributes = list(dict.fromkeys(_place(signature, parameter, chosen) for chosen in parameter.places))
    if len({each.partition(",")[2] for each in attributes}) == 1 and len(parameter.places) == len(signature.sets):
        attributes = [_everywhere(attributes[0])]
    text = "".join(attributes)
    if parameter.aliases:
        text += "[Alias(" + ",".join(map(_quote, parameter.aliases)) + ")]"
    kind, many = _kind(parameter)
    known = convert.full_name(parameter.type).removesuffix("[]")
    if (
        kind == "object"
        and known.startswith(("Microsoft.", "System."))
        and convert.normal(parameter.type) not in _KINDS
    ):
        if convert.enumeration_of(parameter.type.removesuffix("[]")) is not None:
            kind = known if known.startswith(_OWN_TYPES) else f"Lab{known.rpartition('.')[2]}"
        else:
            text += f"[PSTypeName({_quote(known)})]"
    if f"{signature.name}.{parameter.name}" in signatures.table("allow_empty") or kind == "object":
        text += "[AllowNull()][AllowEmptyString()][AllowEmptyCollection()]"
    values = [each for each in parameter.values if each != "..."]
    if values and len(values) == len(parameter.values) and kind in {"object", "string"}:
        text += "[ValidateSet(" + ",".join(map(_quote, values)) + ")]"
        kind = "string"
    if parameter.allowed:
        text += "[ValidateSet(" + ",".join(map(_quote, parameter.allowed)) + ")]"
    if parameter.pattern is not None:
        text += f"[ValidatePattern({_quote(parameter.pattern)})]"
    return f"{text}[{kind}{'[]' if many else ''}]${parameter.name}"


def _place(signature: Signature, parameter: Parameter, chosen: str) -> str:
    place = parameter.places[chosen]
    parts = [f"ParameterSetName={_quote(chosen)}"]
    if place.mandatory:
        parts.append("Mandatory=$true")
    if place.position is not None:
        parts.append(f"Position={place.position}")
    if parameter.by_value:
        parts.append("ValueFromPipeline=$true")
    if parameter.by_name:
        parts.append("ValueFromPipelineByPropertyName=$true")
    return f"[Parameter({','.join(parts)})]"


def _everywhere(attribute: str) -> str:
    return "[Parameter(" + attribute.partition(",")[2] if "," in attribute else "[Parameter()]"


def _kind(parameter: Parameter) -> tuple[str, bool]:
    """The type's name for the engine, and whether it is a list; types of modules it has not become objects."""
    return _KINDS.get(convert.normal(parameter.type), "object"), convert.is_list(parameter.type)
