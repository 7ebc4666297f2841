# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values and expressions that are odd, wrong or mean: an error of the right kind, never an exception of Python's."""

from __future__ import annotations

import contextlib
import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from vsslab.engine import patterns
from vsslab.engine.compare import OPERATORS, BadPattern, NotComparable
from vsslab.engine.values import BadWildcard, Version, members

from .harness import Session, cmd

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text(max_size=8) | st.uuids()
    | st.datetimes(timezones=st.just(datetime.timezone.utc)) | st.timedeltas()
    | st.builds(Version, st.from_regex(r"\d{1,3}(\.\d{1,3}){1,3}", fullmatch=True)),
    lambda inner: st.lists(inner, max_size=3), max_leaves=4,
)  # fmt: skip


@pytest.mark.parametrize("operator", sorted(OPERATORS))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(left=VALUES, right=VALUES)
def test_every_two_values_can_be_compared_or_are_refused_in_words(operator: str, left: Any, right: Any) -> None:
    with contextlib.suppress(NotComparable, BadPattern, BadWildcard):
        assert isinstance(OPERATORS[operator](left, right), bool)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="()[]{}^$\\pPzZkLn<>?'=!a1|*+-,.", max_size=12))
def test_every_expression_is_one_or_is_none(pattern: str) -> None:
    with contextlib.suppress(patterns.BadExpression):
        patterns.expression(pattern).search("a1")


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [(r"^ab\z", "ab\n", False), (r"^ab\Z", "ab\n", True), (r"(?<n>b)\k<n>", "abb", True), (r"\p{L}+\d", "é1", True),
     (r"[[]", "[", True), (r"(?'q'x)", "X", True), (r"\p{Lu}", "a", False)],
)  # fmt: skip
def test_an_expression_means_what_it_means_in_dot_net(pattern: str, text: str, *, found: bool) -> None:
    assert (patterns.expression(pattern).search(text) is not None) == found


def test_a_part_of_a_negative_time_span_is_negative() -> None:
    parts = members(-datetime.timedelta(days=1, hours=1, minutes=1, seconds=1, milliseconds=500))
    assert [parts[name] for name in ("Days", "Hours", "Minutes", "Seconds", "Milliseconds")] == [-1, -1, -1, -1, -500]


def test_a_reversed_set_ends_the_statement_with_an_error_of_its_own(session: Session) -> None:
    for name, wanted in (("Test-Path", "C:\\[z-a]"), ("Get-ChildItem", "C:\\[z-a]*"), ("Get-Service", "[z-a]")):
        assert session.run([cmd(name, wanted)]).failed_with.startswith("WildcardPattern_Invalid,")


@pytest.mark.parametrize("method", ["Stop", "Start", "WaitForStatus", "GetType"])
def test_a_method_that_is_not_simulated_is_refused_and_not_null(session: Session, method: str) -> None:
    done = session.run([cmd("Get-Service", Name="VSS"), cmd("ForEach-Object", MemberName=method)])
    assert done.failed_with.startswith("SimulationRefused,")


@pytest.mark.parametrize(
    ("text", "error"),
    [('{"a":1,"A":2}', "DuplicateKeysInJsonString,"), (r'"\/Date(99999999999999999)\/"', "System.ArgumentException,"),
     ('{"a":1', "System.ArgumentException,")],
)  # fmt: skip
def test_json_that_5_1_does_not_take(session: Session, text: str, error: str) -> None:
    assert session.run([cmd("ConvertFrom-Json", text)]).failed_with.startswith(error)


@pytest.mark.parametrize("table", [{"StartTime": "x"}, {"Id": "x"}, {"Level": [1, "x"]}])
def test_an_event_filter_of_wrong_values_is_an_error_in_words(session: Session, table: dict[str, Any]) -> None:
    done = session.run([cmd("Get-WinEvent", FilterHashtable={"LogName": "Application", **table})])
    assert done.failed_with.startswith("System.Diagnostics.Eventing.Reader.EventLogException,")


@pytest.mark.parametrize("name", ["Get-Disk", "Get-Partition", "Get-Volume", "Get-Service", "Get-SmbShare"])
def test_null_by_the_pipe_is_no_object_of_the_host(session: Session, name: str) -> None:
    done = session.run([cmd("Write-Output", [None]), cmd(name)])
    assert done.state == "Completed"
    assert not done.output


def test_a_task_that_is_not_named_is_not_exported(session: Session) -> None:
    assert session.run([cmd("Export-ScheduledTask")]).failed_with.startswith("SimulationRefused,")


def test_nothing_can_be_compared_with_nothing(session: Session) -> None:
    done = session.run([cmd("Compare-Object", ReferenceObject=None, DifferenceObject=["a"])])
    assert done.failed_with.startswith("ParameterArgumentValidationErrorNullNotAllowed,")


def test_a_number_beyond_int64_is_read(session: Session) -> None:
    assert session.run([cmd("ConvertFrom-Json", "123456789012345678901234567890")]).output == [1.2345678901234568e29]


def test_objects_without_the_property_come_last_in_both_directions(session: Session) -> None:
    objects = [cmd("ConvertFrom-Json", '[{"x":2},{"y":1},{"x":1}]'), cmd("Write-Output")]
    for descending, expected in ((False, [1, 2, None]), (True, [2, 1, None])):
        done = session.run([*objects, cmd("Sort-Object", Property="x", Descending=descending),
                            cmd("ForEach-Object", MemberName="x")])  # fmt: skip
        assert done.output == expected


@pytest.mark.parametrize("name", ["Sort-Object", "Group-Object", "Measure-Object", "Select-Object"])
def test_nulls_of_the_pipe_do_not_count(session: Session, name: str) -> None:
    done = session.run([cmd("Write-Output", [None, None]), cmd(name)])
    assert [each.props["Count"] for each in done.output] == ([0] if name == "Measure-Object" else [])


@pytest.mark.parametrize("name", ["First", "Last", "Skip", "SkipLast", "Index"])
def test_a_negative_number_of_objects_is_refused_when_it_is_bound(session: Session, name: str) -> None:
    done = session.run([cmd("Write-Output", [1, 2]), cmd("Select-Object", **{name: -1})])
    assert done.failed_with.startswith("ParameterArgumentValidationError,")
