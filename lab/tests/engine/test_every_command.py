# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every documented command, every parameter set of it: what binds, and the IDs of what does not."""

from __future__ import annotations

import datetime
import itertools
import uuid
from typing import Any

import pytest
from vsslab.engine import convert, signatures
from vsslab.engine.binder import Binder, Binding
from vsslab.engine.errors import ErrorInfo, Origin, PowerShellError
from vsslab.engine.signatures import COMMON_NAMES, Parameter, Signature
from vsslab.engine.values import I64, U64, Obj, Secret, custom, plain

COMMANDS = [found for name in signatures.known_names() if (found := signatures.find(name)) is not None]
SETS = [(each, chosen) for each in COMMANDS for chosen in each.sets]
NOW = datetime.datetime(2026, 5, 1, tzinfo=datetime.timezone.utc)
VALUES: dict[str, Any] = {
    "string": "text", "object": "anything", "int32": 3, "int64": I64(3), "int16": 3, "uint32": 3, "uint64": U64(3),
    "byte": 3, "double": 1.5, "boolean": True, "switchparameter": True, "char": "x", "datetime": NOW,
    "timespan": datetime.timedelta(minutes=1), "guid": uuid.UUID(int=5), "hashtable": {"a": 1}, "uri": "http://x/",
    "version": "1.2", "modulespecification": "Storage", "pstypename": "System.Int32",
}  # fmt: skip
WRONG: dict[str, Any] = dict.fromkeys(
    ("int32", "int64", "int16", "uint32", "uint64", "byte", "double", "boolean", "datetime", "timespan", "guid",
     "hashtable", "version"), "no such value")  # fmt: skip


def own(signature: Signature, chosen: str) -> list[Parameter]:
    """The parameters of a set, without the common ones."""
    return [each for each in signature.parameters if chosen in each.places and each.name not in COMMON_NAMES]


def value_of(parameter: Parameter) -> Any:
    """A value that the parameter takes; None when only a live object of the host would do (or script text)."""
    kind = convert.normal(parameter.type)
    if kind in VALUES and not (parameter.values and kind == "string"):
        value = VALUES[kind]
    elif parameter.values:
        value = parameter.values[0]
    elif found := convert.enumeration_of(parameter.type.removesuffix("[]")):
        value = next(iter(found[1]))
    elif kind == "scriptblock":
        return None
    else:
        value = Obj((convert.full_name(parameter.type.removesuffix("[]")), "System.Object"))
    return [value] if convert.is_list(parameter.type) else value


def binder(signature: Signature, *, piped: bool = False) -> Binder:
    return Binder(signature, Origin(signature.name, type_name=signature.type_name), expects_input=piped)


def bind(signature: Signature, arguments: list[tuple[str | None, Any]], *, piped: bool = False) -> Binding:
    return binder(signature, piped=piped).bind(arguments)


def refusal(signature: Signature, arguments: list[tuple[str | None, Any]]) -> ErrorInfo:
    with pytest.raises(PowerShellError) as caught:
        bind(signature, arguments)
    return caught.value.info


def sets_with(signature: Signature, names: set[str]) -> list[str]:
    return [each for each in signature.sets if names <= {one.name for one in own(signature, each)}]


def usable(signature: Signature, chosen: str) -> list[Parameter]:
    return [each for each in own(signature, chosen) if value_of(each) is not None]


def name_of(value: Any) -> str:
    return value.name if isinstance(value, Signature) else str(value).replace(" ", "")


def test_the_table_is_the_whole_of_it() -> None:
    assert len(COMMANDS) == 116


@pytest.mark.parametrize(("signature", "chosen"), SETS, ids=name_of)
class TestEverySet:
    def test_binds_with_all_its_parameters(self, signature: Signature, chosen: str) -> None:
        given = usable(signature, chosen)
        if any(each.places[chosen].mandatory for each in own(signature, chosen) if each not in given):
            refused = refusal(signature, [(each.name, value_of(each) or "text") for each in own(signature, chosen)])
            assert refused.id.startswith("CannotConvertArgument")  # a script block, which no session here has
            return
        bound = bind(signature, [(each.name, value_of(each)) for each in given])
        assert bound.set_name in sets_with(signature, {each.name for each in given})
        assert set(bound.values) == {each.name for each in given}

    def test_binds_by_position(self, signature: Signature, chosen: str) -> None:
        placed = sorted((each for each in usable(signature, chosen) if each.places[chosen].position is not None),
                        key=lambda each: each.places[chosen].position or 0)  # fmt: skip
        rest = [each for each in usable(signature, chosen) if each not in placed]
        wanted = {each.name for each in (*placed, *rest)}
        meant = sets_with(signature, {each.name for each in rest}) == [chosen] or chosen == signature.sets[0]
        if not placed or not meant or sets_with(signature, wanted) != [chosen]:
            return  # nothing by position, or a position means another set's parameter first
        given: list[tuple[str | None, Any]] = [(each.name, value_of(each)) for each in rest]
        bound = bind(signature, [*given, *[(None, value_of(each)) for each in placed]])
        assert set(bound.values) == wanted
        assert bound.set_name == chosen

    def test_misses_what_is_mandatory(self, signature: Signature, chosen: str) -> None:
        needed = [each for each in usable(signature, chosen) if each.places[chosen].mandatory]
        for missing in needed:
            given = [each for each in usable(signature, chosen) if each is not missing]
            if sets_with(signature, {each.name for each in given}) != [chosen]:
                continue  # without it another set is meant
            told = refusal(signature, [(each.name, value_of(each)) for each in given])
            assert told.full_id == f"MissingMandatoryParameter,{signature.type_name}"
            assert told.message.endswith(f"missing mandatory parameters: {missing.name}.")


@pytest.mark.parametrize("signature", COMMANDS, ids=name_of)
class TestEveryCommand:
    def test_does_not_know_other_parameters(self, signature: Signature) -> None:
        told = refusal(signature, [("NoSuchParameter", 1)])
        assert told.full_id == f"NamedParameterNotFound,{signature.type_name}"
        assert told.message == "A parameter cannot be found that matches parameter name 'NoSuchParameter'."

    def test_mixes_no_sets(self, signature: Signature) -> None:
        for left, right in itertools.combinations(signature.parameters, 2):
            if {left.name, right.name} & COMMON_NAMES or sets_with(signature, {left.name, right.name}):
                continue
            if value_of(left) is not None and value_of(right) is not None:
                told = refusal(signature, [(left.name, value_of(left)), (right.name, value_of(right))])
                assert told.full_id == f"AmbiguousParameterSet,{signature.type_name}", (left.name, right.name)

    def test_takes_no_wrong_values(self, signature: Signature) -> None:
        for each in signature.parameters:
            kind = convert.normal(each.type)
            listed = each.values and kind not in VALUES and not kind.startswith("flagsexpression")
            if kind not in WRONG and not listed and not (each.values and kind == "string"):
                continue
            told = refusal(signature, [(each.name, "no such value")])
            if each.values and kind == "string":
                wanted = {"ParameterArgumentValidationError"}
            elif signature.is_function:
                wanted = {"ParameterArgumentTransformationError"}
            else:
                wanted = {"CannotConvertArgumentNoMessage", "CannotConvertArgument"}
            assert told.id in wanted, each.name
            assert told.full_id == f"{told.id},{signature.type_name}"

    def test_takes_every_documented_value(self, signature: Signature) -> None:
        for each in signature.parameters:
            for value in each.values:
                found = convert.convert([value] if convert.is_list(each.type) else value, each)
                shown = found[0] if isinstance(found, list) else found
                assert str(getattr(shown, "name", shown)).lower() == value.lower(), each.name

    def test_knows_its_aliases(self, signature: Signature) -> None:
        for each in signature.parameters:
            for alias in each.aliases:
                with pytest.raises(PowerShellError) as caught:
                    bind(signature, [(alias, value_of(each)), (each.name, value_of(each))])
                assert caught.value.info.id == "ParameterAlreadyBound", alias

    def test_takes_a_name_once(self, signature: Signature) -> None:
        first = next(each for each in signature.parameters if value_of(each) is not None)
        told = refusal(signature, [(first.name, value_of(first)), (first.name.upper(), value_of(first))])
        assert told.full_id == f"ParameterAlreadyBound,{signature.type_name}"

    def test_has_the_common_parameters(self, signature: Signature) -> None:
        names = {each.name for each in signature.parameters}
        assert names >= COMMON_NAMES
        told = refusal(signature, [("OutVariable", "x")])
        assert told.id == "VariableReferenceNotSupportedInDataSection"

    def test_takes_its_pipeline_input(self, signature: Signature) -> None:
        for each in signature.parameters:
            value = value_of(each)
            if value is None or not each.takes_input:
                continue
            single = value[0] if isinstance(value, list) else value
            for chosen in each.places:
                others = [one for one in usable(signature, chosen)
                          if one is not each and one.places[chosen].mandatory and not one.takes_input]  # fmt: skip
                named = [(one.name, value_of(one)) for one in others]
                if each.by_value:
                    bound = _fed(signature, named, single)
                    assert bound is None or set(bound.values) > {one.name for one in others}, each.name
                if each.by_name:
                    bound = _fed(signature, named, custom({each.name: single}))
                    assert bound is None or bound.from_input, each.name


def _fed(signature: Signature, named: list[tuple[str | None, Any]], value: Any) -> Binding | None:
    """The binding of one object from the pipe; None when other mandatory parameters would have to come with it."""
    made = binder(signature, piped=True)
    try:
        made.bind(named)
        return made.bind_input(value)
    except PowerShellError as problem:
        if problem.info.id not in {"InputObjectMissingMandatory", "MissingMandatoryParameter", "AmbiguousParameterSet"}:
            raise
        return None


def test_the_values_of_this_test_are_not_all_texts() -> None:
    kinds = {type(plain(value_of(each))) for command in COMMANDS for each in command.parameters}
    assert {bool, int, str, dict, list, datetime.datetime, Obj} <= kinds
    assert Secret not in kinds
