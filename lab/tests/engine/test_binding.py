# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Binding: names, positions, sets, conversions, pipeline input; measured IDs and words."""

from __future__ import annotations

import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vsslab.engine import convert, signatures
from vsslab.engine.binder import Binder, Binding
from vsslab.engine.errors import Origin, PowerShellError
from vsslab.engine.signatures import Parameter
from vsslab.engine.values import I64, U64, EnumValue, Obj, custom, text_of


def bind(name: str, *arguments: Any, piped: bool = False, **parameters: Any) -> Binding:
    return _binder(name, piped=piped).bind([*[(None, each) for each in arguments], *parameters.items()])


def _binder(name: str, *, piped: bool = False) -> Binder:
    signature = signatures.find(name)
    assert signature is not None
    return Binder(signature, Origin(signature.name, type_name=signature.type_name), expects_input=piped)


def refused(name: str, *arguments: Any, piped: bool = False, **parameters: Any) -> tuple[str, str]:
    with pytest.raises(PowerShellError) as caught:
        bind(name, *arguments, piped=piped, **parameters)
    return caught.value.info.id, caught.value.info.message


class TestNames:
    def test_a_beginning_is_enough_when_it_is_unambiguous(self) -> None:
        assert bind("Get-Content", Lit="x", Enc="UTF8").values["LiteralPath"] == ["x"]

    def test_an_alias_is_a_name(self) -> None:
        assert bind("Get-Content", PSPath="x", Last="3").values == {"LiteralPath": ["x"], "Tail": 3}

    def test_an_ambiguous_beginning_is_refused_with_the_candidates(self) -> None:
        assert refused("Get-Content", LiteralPath="x", E="y") == (
            "AmbiguousParameter",
            "Parameter cannot be processed because the parameter name 'E' is ambiguous. Possible matches "
            "include: -Exclude -Encoding -ErrorAction -ErrorVariable.",
        )

    def test_twice_is_once_too_often_also_by_an_alias(self) -> None:
        error_id, message = refused("Get-Content", LiteralPath="x", Tail=1, Last=2)
        assert error_id == "ParameterAlreadyBound"
        assert message.startswith("Cannot bind parameter because parameter 'Last' is specified more than once.")

    def test_a_dash_and_a_colon_around_a_name_do_not_matter(self) -> None:
        assert bind("Get-Item", **{"-Path:": "x"}).values == {"Path": ["x"]}
        assert refused("Get-Item", **{"Path:": "x"})[0] == "NamedParameterNotFound"


class TestPositionsAndSets:
    @pytest.mark.parametrize(
        ("command", "arguments", "parameters", "values", "chosen"),
        [
            ("Get-ChildItem", ["C:\\", "*.txt"], {}, {"Path": ["C:\\"], "Filter": "*.txt"}, "Items"),
            ("Get-ChildItem", ["*"], {"LiteralPath": "C:\\"}, {"LiteralPath": ["C:\\"], "Filter": "*"}, "LiteralItems"),
            ("Invoke-CimMethod", ["C", {"a": 1}, "M"], {}, {"ClassName": "C", "Arguments": {"a": 1}, "MethodName": "M"},
             "ClassNameComputerSet"),
            ("Get-CimInstance", [], {"Query": "q"}, {"Query": "q"}, "QueryComputerSet"),
            ("Remove-CimInstance", [], {"Query": "q"}, {"Query": "q"}, "QueryComputerSet"),
            ("Get-WinEvent", [{"a": 1}], {}, {"FilterHashtable": [{"a": 1}]}, "HashQuerySet"),
            ("Register-ScheduledTask", [], {"Xml": "x", "TaskName": "t"}, {"Xml": "x", "TaskName": "t"}, "Xml"),
            ("Stop-Service", ["a"], {"Force": True}, {"Name": ["a"], "Force": True}, "Default"),
            ("Write-Output", [1, 2], {}, {"InputObject": [1, 2]}, "__AllParameterSets"),
        ],
    )  # fmt: skip
    def test_lead_to_the_set_that_has_them(self, command, arguments, parameters, values, chosen) -> None:
        bound = bind(command, *arguments, **parameters)
        assert (bound.values, bound.set_name) == (values, chosen)

    def test_of_two_sets_cannot_be_mixed(self) -> None:
        assert refused("Get-Item", Path="x", LiteralPath="y")[0] == "AmbiguousParameterSet"

    def test_a_position_too_many_is_refused(self) -> None:
        assert refused("Get-Item", "x", "y") == (
            "PositionalParameterNotFound",
            "A positional parameter cannot be found that accepts argument 'y'.",
        )

    @pytest.mark.parametrize(
        ("command", "parameters", "missing"),
        [
            ("Get-Item", {}, "Path"),
            ("Set-Content", {"LiteralPath": "x"}, "Value"),
            ("Invoke-CimMethod", {"ClassName": "x"}, "MethodName"),
            ("ConvertTo-Json", {}, "InputObject"),
        ],
    )
    def test_what_is_mandatory_is_named_when_it_is_missing(self, command, parameters, missing) -> None:
        assert refused(command, **parameters) == (
            "MissingMandatoryParameter",
            f"Cannot process command because of one or more missing mandatory parameters: {missing}.")  # fmt: skip

    def test_what_the_pipe_may_bring_is_not_missing_yet(self) -> None:
        assert bind("ConvertTo-Json", piped=True).values == {}


class TestPipelineInput:
    def test_a_value_goes_to_the_parameter_of_its_type(self) -> None:
        binder = _binder("Stop-Service", piped=True)
        binder.bind([])
        assert binder.bind_input("a").values == {"Name": ["a"]}
        service = Obj(("System.ServiceProcess.ServiceController", "System.Object"), {"Name": "b"})
        assert binder.bind_input(service).values == {"InputObject": [service]}

    def test_properties_go_to_parameters_of_their_name_or_alias(self) -> None:
        binder = _binder("Get-Content", piped=True)
        binder.bind([])
        assert binder.bind_input(custom({"PSPath": "C:\\x"})).values == {"LiteralPath": ["C:\\x"]}

    def test_one_object_leaves_no_trace_for_the_next(self) -> None:
        binder = _binder("Get-Content", piped=True)
        binder.bind([])
        binder.bind_input(custom({"Path": "a"}))
        assert binder.bind_input(custom({"LiteralPath": "b"})).values == {"LiteralPath": ["b"]}

    @pytest.mark.parametrize(
        ("given", "piped", "chosen", "bound"),
        [
            ({"Path": "C:\\x"}, {"Name": "n"}, "pathSet", {"Value"}),
            ({"Path": "C:\\x"}, {"Name": "n", "ItemType": "i"}, "pathSet", {"Value", "ItemType"}),
            ({"Path": "C:\\x", "Value": ""}, {"Name": "n"}, "nameSet", {"Name"}),
            ({"Path": "C:\\x", "Value": ""}, {"Name": "n", "ItemType": "i"}, "pathSet", {"ItemType"}),
            ({"Value": ""}, {"Name": "n", "Path": "p"}, "pathSet", {"Path"}),
            ({}, {"Name": "n"}, "nameSet", {"Value", "Name"}),
            ({}, {"Name": "n", "ItemType": "i"}, "nameSet", {"Value", "ItemType", "Name"}),
            ({}, {"Name": "n", "Path": "p"}, "pathSet", {"Value", "Path"}),
        ],
    )
    def test_what_completes_the_default_set_decides_for_it(
        self, given: dict[str, Any], piped: dict[str, Any], chosen: str, bound: set[str]
    ) -> None:
        """Measured with the real engine and a function of New-Item's parameters."""
        binder = _binder("New-Item", piped=True)
        binder.bind(list(given.items()))
        item = custom(piped)
        binding = binder.bind_input(item)
        assert binding.set_name == chosen
        assert set(binding.values) - set(given) == bound
        assert "Value" not in bound or binding.values["Value"] is item

    def test_what_fits_nowhere_is_said(self) -> None:
        binder = _binder("Get-WinEvent", piped=True)
        binder.bind([("FilterHashtable", {"a": 1})])
        with pytest.raises(PowerShellError) as caught:
            binder.bind_input(5)
        assert caught.value.info.id == "InputObjectNotBound"


class TestValues:
    @pytest.mark.parametrize(
        ("given_value", "error_id", "words"),
        [
            (None, "ParameterArgumentValidationErrorNullNotAllowed", "because it is null."),
            ("", "ParameterArgumentValidationErrorEmptyStringNotAllowed", "because it is an empty string."),
            ([], "ParameterArgumentValidationErrorEmptyArrayNotAllowed", "because it is an empty array."),
        ],
    )
    def test_nothing_is_not_taken_for_a_mandatory_text(self, given_value, error_id, words) -> None:
        assert refused("Get-Item", LiteralPath=given_value) == (
            error_id,
            f"Cannot bind argument to parameter 'LiteralPath' {words}",
        )

    def test_a_switch_of_a_cmdlet_takes_true_a_number_or_nothing(self) -> None:
        for value, expected in ((True, True), (None, True), (1, True), (False, False), (0, False)):
            assert bind("Get-Item", Path="x", Force=value).values["Force"] is expected

    def test_a_switch_of_a_function_given_nothing_is_off(self) -> None:
        assert bind("Register-ScheduledTask", TaskName="t", Xml="x", Force=None).values["Force"] is False
        assert (
            refused("Register-ScheduledTask", TaskName="t", Xml="x", Force=1)[0]
            == "ParameterArgumentTransformationError"
        )

    def test_a_switch_takes_no_text(self) -> None:
        assert refused("Get-Item", Path="x", Force="yes") == (
            "CannotConvertArgument",
            "Cannot convert 'System.String' to the type 'System.Management.Automation.SwitchParameter' "
            "required by parameter 'Force'. ",
        )

    def test_a_word_of_a_set_must_be_whole_one_of_an_enumeration_need_not(self) -> None:
        assert refused("Get-FileHash", LiteralPath="x", Algorithm="SHA")[0] == "ParameterArgumentValidationError"
        assert bind("Get-Content", LiteralPath="x", Encoding="asc").values["Encoding"].name == "Ascii"
        assert refused("Get-Content", LiteralPath="x", Encoding="UTF")[0] == "CannotConvertArgumentNoMessage"

    def test_a_list_is_no_number(self) -> None:
        assert refused("Start-Sleep", Milliseconds=[1, 2]) == (
            "CannotConvertArgument",
            "Cannot convert '1 2' to the type 'System.Int32' required by parameter 'Milliseconds'. "
            "Specified method is not supported.",
        )

    def test_a_number_too_large_is_refused(self) -> None:
        assert refused("Select-Object", First="99999999999", piped=True)[1].endswith(
            'Error: "Value was either too large or too small for an Int32."')  # fmt: skip

    def test_a_dictionary_is_taken_as_it_is_and_nothing_else_for_it(self) -> None:
        assert refused("Invoke-CimMethod", ClassName="x", MethodName="y", Arguments="z")[1] == (
            "Cannot bind parameter 'Arguments'. Cannot convert the \"z\" value of type \"System.String\" to type "
            '"System.Collections.IDictionary".')  # fmt: skip


def parameter(kind: str) -> Parameter:
    return Parameter("P", kind)


class TestConversion:
    @given(st.integers(-(2**31), 2**31 - 1))
    def test_a_number_survives_its_text(self, number: int) -> None:
        assert convert.convert(str(number), parameter("Int32")) == number
        assert convert.convert(f"  {number} ", parameter("Int64")) == I64(number)

    @given(st.integers(0, 2**64 - 1))
    def test_large_numbers_keep_their_type(self, number: int) -> None:
        made = convert.convert(number, parameter("UInt64"))
        assert (type(made), made) == (U64, number)

    @given(st.one_of(st.text(), st.integers(), st.booleans(), st.lists(st.text(), max_size=3)))
    def test_everything_has_a_text(self, value: Any) -> None:
        assert convert.convert(value, parameter("String")) == text_of(value)

    @given(st.one_of(st.text(min_size=1), st.integers(), st.booleans()))
    def test_one_value_is_a_list_of_one(self, value: Any) -> None:
        assert convert.convert(value, parameter("String[]")) == [text_of(value)]
        assert convert.convert([value, value], parameter("Object[]")) == [value, value]

    @given(st.floats(-1e9, 1e9))
    def test_fractions_are_rounded_to_the_even_neighbour(self, value: float) -> None:
        assert convert.convert(value, parameter("Int32")) == round(value)

    @given(st.text(alphabet=string.ascii_letters, min_size=1, max_size=12))
    def test_a_word_means_one_enumeration_value_or_none(self, word: str) -> None:
        found = convert.enumeration_of("FileSystemCmdletProviderEncoding")
        assert found is not None
        names = [name for name in found[1] if name.lower() == word.lower()] or [
            name for name in found[1] if name.lower().startswith(word.lower())]  # fmt: skip
        if len(names) == 1:
            made = convert.convert(word, parameter("FileSystemCmdletProviderEncoding"))
            assert made == EnumValue(names[0], found[1][names[0]], found[0])
        else:
            with pytest.raises(convert.CannotConvert):
                convert.convert(word, parameter("FileSystemCmdletProviderEncoding"))

    @pytest.mark.parametrize("text", ["01/02/2026 03:04:05", "2026-01-02T03:04:05", "01/02/2026 3:04:05 AM"])
    def test_dates_are_read_in_the_invariant_order(self, text: str) -> None:
        made = convert.convert(text, parameter("DateTime"))
        assert (made.month, made.day, made.hour) == (1, 2, 3)

    def test_words_of_the_wrong_kind_are_refused_with_the_engines_sentence(self) -> None:
        with pytest.raises(convert.CannotConvert) as caught:
            convert.convert("x", parameter("Int32"))
        assert caught.value.text == (
            'Cannot convert value "x" to type "System.Int32". Error: "Input string was not in a correct format."'
        )


@given(
    st.sampled_from(signatures.known_names()),
    st.lists(
        st.one_of(
            st.none(), st.text(max_size=5), st.integers(), st.booleans(), st.lists(st.text(max_size=3), max_size=2)
        ),
        max_size=4,
    ),
    st.booleans(),
)
def test_whatever_is_given_is_bound_or_refused_with_an_id(name: str, values: list[Any], piped: bool) -> None:
    signature = signatures.find(name)
    assert signature is not None
    names = [each.name for each in signature.parameters]
    arguments = [(names[number % len(names)] if number % 2 else None, value) for number, value in enumerate(values)]
    outcome = _attempt(name, arguments, piped=piped)
    if isinstance(outcome, Binding):
        assert set(outcome.values) <= set(names)
        assert outcome.set_name in signature.sets
    else:
        assert outcome.info.full_id
        assert outcome.info.message


def _attempt(name: str, arguments: list[tuple[str | None, Any]], *, piped: bool) -> Binding | PowerShellError:
    try:
        return _binder(name, piped=piped).bind(arguments)
    except PowerShellError as problem:
        return problem
