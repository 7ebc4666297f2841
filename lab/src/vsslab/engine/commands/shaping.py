# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare-Object, Group-Object, Get-Member, ConvertTo-Csv, Select-String, Get-Random.

Sources: the reference pages of Windows PowerShell 5.1.
"""

from __future__ import annotations

import random
import re
from typing import Any

from vsslab.windows.errors import WinError

from .. import compare, encodings, patterns
from .. import fileitems as fs
from ..command import Call, Command, command
from ..values import (
    Obj,
    custom,
    enumerate_output,
    lookup,
    members,
    net_type,
    plain,
    property_of,
    text_of,
)
from .content import split_lines
from .items import targets
from .objects import chosen, property_names

_MATCHES = "Microsoft.PowerShell.Commands"


# -- Compare-Object ----------------------------------------------------------------------------------------------------
@command("Compare-Object", only=("ReferenceObject", "DifferenceObject", "Property", "ExcludeDifferent", "IncludeEqual",
                                 "PassThru", "CaseSensitive", "SyncWindow"))  # fmt: skip
class CompareObject(Command):
    """What is on one side only, and with -IncludeEqual what is on both."""

    def __init__(self) -> None:
        self.right: list[Any] = []

    def begin(self, call: Call) -> None:
        for name in ("ReferenceObject", "DifferenceObject"):
            if call.has(name) and call.get(name) is None:
                words = f"Cannot bind argument to parameter '{name}' because it is null."
                kind = "System.Management.Automation.ParameterBindingValidationException"
                error_id = "ParameterArgumentValidationErrorNullNotAllowed"
                raise call.fail(words, error_id, "InvalidData", exception=kind)

    def process(self, call: Call) -> None:
        value = call.get("DifferenceObject")
        self.right += value if isinstance(value, list) else [value]

    def end(self, call: Call) -> None:
        left = call.get("ReferenceObject")
        if call.has("SyncWindow") and call.get("SyncWindow") < max(len(self.right), len(left)):
            raise call.refuse("Compare-Object -SyncWindow that is smaller than the lists")
        names = property_names(call, call.get("Property"))
        both, missing, right = [], [], list(self.right)
        for each in left:
            at = next((at for at, other in enumerate(right) if self._same(call, each, other, names)), None)
            if at is None:
                missing.append(each)
            else:
                right.pop(at)
                both.append(each)
        told = [(each, "==") for each in both] if call.flag("IncludeEqual") else []
        if not call.flag("ExcludeDifferent"):
            told += [*((each, "=>") for each in right), *((each, "<=") for each in missing)]
        for value, side in told:
            self._tell(call, value, side, names)

    @staticmethod
    def _same(call: Call, left: Any, right: Any, names: list[str]) -> bool:
        case = call.flag("CaseSensitive")
        if names:
            pairs = [(lookup(left, name)[1], lookup(right, name)[1]) for name in names]
            return all(one is other or compare.equal(one, other, case=case) for one, other in pairs)
        if isinstance(left, Obj) and left.base is None:  # objects without an order of their own: by their text
            return isinstance(right, Obj) and text_of(left) == text_of(right)
        return compare.equal(left, right, case=case)

    @staticmethod
    def _tell(call: Call, value: Any, side: str, names: list[str]) -> None:
        if call.flag("PassThru"):
            notes = {"SideIndicator": side}
            call.write(Obj(value.types, value.props, {**value.notes, **notes}, value.text, value.base, value.deep,
                           value.source) if isinstance(value, Obj)
                       else Obj((net_type(value), "System.Object"), {}, notes, None, value))  # fmt: skip
            return
        shown = chosen(value, names, []) if names else {"InputObject": value}
        call.write(custom({**shown, "SideIndicator": side}))


# -- Group-Object ------------------------------------------------------------------------------------------------------
@command("Group-Object", only=("Property", "NoElement", "AsHashTable", "AsString", "InputObject", "CaseSensitive"))
class GroupObject(Command):
    """Objects by the value of properties, in the order in which the values first came."""

    def __init__(self) -> None:
        self.groups: list[tuple[list[Any], list[Any]]] = []

    def process(self, call: Call) -> None:
        value = call.get("InputObject")
        if value is None:
            return
        names = property_names(call, call.get("Property"))
        keys = [property_of(value, name)[1] for name in names] if names else [value]
        case = call.flag("CaseSensitive")
        for known, inside in self.groups:
            if all(compare.SortKey(a, case=case) == compare.SortKey(b, case=case)
                   for a, b in zip(known, keys, strict=True)):  # fmt: skip
                inside.append(value)
                return
        self.groups.append((keys, [value]))

    def end(self, call: Call) -> None:
        named = [(", ".join(text_of(each) for each in keys), keys, inside) for keys, inside in self.groups]
        if call.flag("AsHashTable"):
            if named:
                whole = call.flag("AsString") or len(named[0][1]) > 1
                call.write({name if whole else plain(keys[0]): inside for name, keys, inside in named})
            return
        kind = f"{_MATCHES}.GroupInfo{'NoElement' if call.flag('NoElement') else ''}"
        for name, keys, inside in named:
            own = {
                "Values": keys,
                "Count": len(inside),
                "Group": [] if call.flag("NoElement") else inside,
                "Name": name,
            }
            call.write(Obj((kind, f"{_MATCHES}.GroupInfo", "System.Object"), own, text=kind))


# -- Get-Member --------------------------------------------------------------------------------------------------------
@command("Get-Member", only=("InputObject", "Name", "MemberType"))
class GetMember(Command):
    """The properties of each type that comes; methods are not simulated and so not shown."""

    def __init__(self) -> None:
        self.seen: set[str] = set()

    def process(self, call: Call) -> None:
        if not call.has("InputObject"):
            return
        kinds = set(str(call.get("MemberType", "All")).replace(" ", "").split(","))
        if kinds & {"Method", "Methods", "ScriptMethod", "Event"}:
            raise call.refuse(f"Get-Member -MemberType {call.get('MemberType')}")
        for value in enumerate_output(call.get("InputObject")):
            kind = net_type(value)
            if kind in self.seen:
                continue
            self.seen.add(kind)
            for name, inner in sorted(members(value).items(), key=lambda pair: pair[0].lower()):
                self._tell(call, kind, name, inner, kinds, note=isinstance(value, Obj) and name in value.notes)

    @staticmethod
    def _tell(call: Call, kind: str, name: str, value: Any, kinds: set[str], *, note: bool) -> None:
        member = "NoteProperty" if note else "Property"
        wanted = call.texts("Name")
        if wanted and not fs.kept(name, wanted, [], None):
            return
        if not kinds & {"All", "Properties", member}:
            return
        short = net_type(value).removeprefix("System.")
        shown = f"{short.lower() if short in {'String', 'Boolean', 'Int32', 'Object'} else short}"
        definition = f"{shown} {name}={text_of(value)}" if note else f"{shown} {name} {{get;}}"
        own = {"TypeName": kind, "Name": name, "MemberType": member, "Definition": definition}
        call.write(Obj((f"{_MATCHES}.MemberDefinition", "System.Object"), own, text=definition))


# -- ConvertTo-Csv -----------------------------------------------------------------------------------------------------
@command("ConvertTo-Csv", only=("InputObject", "Delimiter", "NoTypeInformation", "UseCulture"))
class ConvertToCsv(Command):
    """A line of names, then a line for each object: everything in quotes, as 5.1 writes it; the type comes first."""

    def __init__(self) -> None:
        self.names: list[str] | None = None

    def process(self, call: Call) -> None:
        value = call.get("InputObject")
        mark = str(call.get("Delimiter", ","))
        if call.flag("UseCulture"):
            mark = "," if call.language.startswith("en") else ";"
        if self.names is None:
            self.names = list(members(value))
            if not call.flag("NoTypeInformation"):
                call.write(f"#TYPE {net_type(value)}")
            call.write(mark.join(_quoted(each) for each in self.names))
        cells = [lookup(value, each) for each in self.names]
        call.write(mark.join("" if inner is None else _quoted(text_of(inner)) for _, inner in cells))


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


# -- Select-String -----------------------------------------------------------------------------------------------------
@command(
    "Select-String",
    only=(
        "Pattern",
        "Path",
        "LiteralPath",
        "InputObject",
        "SimpleMatch",
        "CaseSensitive",
        "Quiet",
        "List",
        "Include",
        "Exclude",
        "NotMatch",
        "AllMatches",
        "Encoding",
    ),
)
class SelectString(Command):
    """Lines that match a pattern, of files or of what comes through the pipe."""

    def __init__(self) -> None:
        self.line = 0
        self.found = False

    def begin(self, call: Call) -> None:
        self.patterns = []
        for each in call.texts("Pattern"):
            try:
                wanted = re.escape(each) if call.flag("SimpleMatch") else each
                self.patterns.append((each, patterns.expression(wanted, case=call.flag("CaseSensitive"))))
            except patterns.BadExpression as problem:
                if problem.unsupported is not None:
                    raise call.refuse(f"{problem.unsupported} in regular expressions") from None
                raise call.fail(f"The string {each} is not a valid regular expression.", "InvalidRegex",
                                "InvalidArgument", exception="System.ArgumentException") from None  # fmt: skip

    def process(self, call: Call) -> None:
        if call.has("InputObject"):
            value = call.get("InputObject")
            for each in enumerate_output(value):
                self.line += 1
                self._line(call, text_of(each), self.line, "InputStream")
            return
        for path in targets(call):
            full = fs.absolute(call, path)
            name = full.rpartition("\\")[2]
            if call.files.is_dir(path) or not fs.kept(name, call.texts("Include"), call.texts("Exclude"), None):
                continue
            self._file(call, full)

    def _file(self, call: Call, path: str) -> None:
        encoding = encodings.named(call.get("Encoding", "UTF8"), call.host.language)
        try:
            lines = split_lines(encodings.decode(call.files.read(path), encoding))
        except WinError as problem:
            told = fs.failure(call, problem, "ProcessingFile", path, category="ReadError")
            told["message"] = f"The file {path} cannot be read: {told['message']}"
            call.error(**told)
            return
        for number, line in enumerate(lines, 1):
            call.check_stop()
            if self._line(call, line, number, path) and call.flag("List"):
                return

    def _line(self, call: Call, line: str, number: int, path: str) -> bool:
        for given, pattern in self.patterns:
            found = pattern.search(line)
            if (found is None) != call.flag("NotMatch"):
                continue
            self.found = True
            if not call.flag("Quiet"):
                every = list(pattern.finditer(line)) if call.flag("AllMatches") else [found] if found else []
                call.write(_match(call, line, number, path, given, every))
            return True
        return False

    def end(self, call: Call) -> None:
        if call.flag("Quiet"):
            call.write(self.found)


def _match(call: Call, line: str, number: int, path: str, pattern: str, found: list[re.Match[str]]) -> Obj:
    shown = [Obj(("System.Text.RegularExpressions.Match", "System.Text.RegularExpressions.Group",
                  "System.Text.RegularExpressions.Capture", "System.Object"),
                 {"Success": True, "Index": each.start(), "Length": each.end() - each.start(), "Value": each[0]},
                 text=each[0]) for each in found]  # fmt: skip
    own = {"IgnoreCase": not call.flag("CaseSensitive"), "LineNumber": number, "Line": line,
           "Filename": path.rpartition("\\")[2], "Path": path, "Pattern": pattern, "Context": None,
           "Matches": shown}  # fmt: skip
    text = line if path == "InputStream" else f"{path}:{number}:{line}"
    return Obj((f"{_MATCHES}.MatchInfo", "System.Object"), own, text=text)


# -- Get-Random --------------------------------------------------------------------------------------------------------
@command("Get-Random", only=("Maximum", "Minimum", "InputObject", "Count"))
class GetRandom(Command):
    """A number below -Maximum, or some of the objects; -SetSeed is refused (.NET's sequence is not simulated)."""

    def __init__(self) -> None:
        self.items: list[Any] = []

    def process(self, call: Call) -> None:
        if call.has("InputObject"):
            self.items += call.get("InputObject")

    def end(self, call: Call) -> None:
        chance = random.SystemRandom()
        if call.set_name == "RandomListItemParameterSet" or self.items:
            for each in chance.sample(self.items, min(call.get("Count", 1), len(self.items))):
                call.write(each)
            return
        low, high = (plain(call.get(name, default)) for name, default in (("Minimum", 0), ("Maximum", 2**31 - 1)))
        bounds = [compare.number(each) for each in (low, high)]
        if bounds[0] is None or bounds[1] is None or not all(float(each).is_integer() for each in bounds if each):
            raise call.refuse("Get-Random between bounds that are not whole numbers")
        if bounds[0] >= bounds[1]:
            raise call.fail(
                f"The Minimum value ({int(bounds[0])}) cannot be greater than or equal to the Maximum value "
                f"({int(bounds[1])}).",
                "MinGreaterThanOrEqualMax",
                "InvalidArgument",
                exception="System.ArgumentException",
            )
        call.write(chance.randrange(int(bounds[0]), int(bounds[1])))
