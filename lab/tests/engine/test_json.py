# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON of Windows PowerShell 5.1: every form that a reader must be ready for."""

from __future__ import annotations

import datetime
import json
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vsslab.engine import jsontext
from vsslab.engine.values import U64, EnumValue, Obj, Version, custom
from vsslab.labtime import UTC

from .harness import Session, cmd

MOMENT = datetime.datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)


def compact(value: Any, depth: int = 2) -> str:
    return jsontext.dumps(value, depth=depth, compress=True)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (U64(2**64 - 1), "18446744073709551615"),
        (1.5, "1.5"),
        (3.0, "3"),
        (MOMENT, '"\\/Date(1767323045678)\\/"'),
        (EnumValue("Running", 4, "X"), "4"),
        (uuid.UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
        ("a<b>&'c'\"\\/\t\x01ü", '"a\\u003cb\\u003e\\u0026\\u0027c\\u0027\\"\\\\/\\t\\u0001ü"'),
        (Version("5.1"), '{"Major":5,"Minor":1,"Build":-1,"Revision":-1}'),
        ([1, "a", None], '[1,"a",null]'),
        ({"b": 1, "a": [True]}, '{"b":1,"a":[true]}'),
        (b"\x01\x02", "[1,2]"),
        (custom({"x": custom({"y": 1})}), '{"x":{"y":1}}'),
    ],
)
def test_a_value_is_written_as_5_1_writes_it(value: Any, text: str) -> None:
    assert compact(value) == text


def test_a_value_with_notes_is_an_object_with_its_value() -> None:
    line = Obj(("System.String", "System.Object"), {}, {"PSPath": "C:\\x", "ReadCount": 1}, None, "text")
    assert compact(line) == '{"value":"text","PSPath":"C:\\\\x","ReadCount":1}'
    assert compact(custom({"Line": line})) == '{"Line":{"value":"text","PSPath":"C:\\\\x","ReadCount":1}}'


def test_what_lies_deeper_than_the_depth_becomes_text() -> None:
    nested = {"1": {"2": {"3": {"4": 5}}}}
    assert compact(nested) == '{"1":{"2":{"3":"System.Collections.Hashtable"}}}'
    assert compact(nested, depth=4) == '{"1":{"2":{"3":{"4":5}}}}'
    assert compact(custom({"a": [[["x", "y"]]]})) == '{"a":[["x y"]]}'


def test_the_layout_is_that_of_5_1() -> None:
    assert jsontext.dumps({"a": 1, "bc": [1, {}]}) == (
        '{\r\n    "a":  1,\r\n    "bc":  [\r\n               1,\r\n'
        "               {\r\n\r\n               }\r\n           ]\r\n}"
    )


def test_one_object_is_no_list_several_are_and_none_is_nothing(session: Session) -> None:
    to_json = cmd("ConvertTo-Json", Compress=True)
    assert session.run([cmd("Write-Output", "a"), to_json]).output == ['"a"']
    assert session.run([cmd("Write-Output", ["a", "b"]), to_json]).output == ['["a","b"]']
    assert session.run([cmd("Write-Output", []), to_json]).output == []
    assert session.run([cmd("Write-Output", None), to_json]).output == []


plain = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**53), 2**53),
        st.text(),
        st.floats(allow_nan=False, allow_infinity=False),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=8,
)


@given(plain)
def test_what_is_written_reads_as_the_same_value(value: Any) -> None:
    for text in (compact(value, depth=20), jsontext.dumps(value, depth=20)):
        assert json.loads(text) == value


@given(plain)
def test_no_letter_that_could_end_a_script_element_is_left_as_it_is(value: Any) -> None:
    assert not set(compact(value, depth=20)) & set("<>&'")


class TestReading:
    def test_objects_lists_and_dates_come_back(self, session: Session) -> None:
        done = session.run(
            [
                cmd("ConvertFrom-Json", '{"a":1,"d":"\\/Date(0)\\/","l":[1,2]}'),
                cmd("Select-Object", Property=["a", "d", "l"]),
                cmd("ConvertTo-Json", Compress=True),
            ]
        )
        assert done.output == ['{"a":1,"d":"\\/Date(0)\\/","l":[1,2]}']

    def test_lines_make_one_document(self, session: Session) -> None:
        done = session.run(
            [cmd("Write-Output", ['{"a":', "5}"]), cmd("ConvertFrom-Json"), cmd("ForEach-Object", MemberName="a")]
        )
        assert done.output == [5]

    def test_other_text_is_refused(self, session: Session) -> None:
        done = session.run(cmd("ConvertFrom-Json", "no json"))
        assert done.failed_with == "System.ArgumentException,Microsoft.PowerShell.Commands.ConvertFromJsonCommand"
