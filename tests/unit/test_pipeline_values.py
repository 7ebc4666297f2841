# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON and dates are understood in every form in which Windows writes them."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from ansible_collections.umbra.vss.plugins.plugin_utils._pipeline import moment, parse_json

THEN = datetime(2026, 1, 31, 10, 11, 12, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("null", []),
        ("[]", []),
        ('{"a":1}', [{"a": 1}]),
        ('[{"a":1},{"a":2}]', [{"a": 1}, {"a": 2}]),
        ('"text"', ["text"]),
        ("3", [3]),
        ('{"value":"a line","PSPath":"x","PSDrive":{"Name":"C"},"ReadCount":1}', ["a line"]),
        ('[{"value":"one","ReadCount":1},{"value":"two","ReadCount":2}]', ["one", "two"]),
        ('{"value":["a","b"],"Count":2}', ["a", "b"]),
        ('{"Properties":{"value":[{"Value":1}],"Count":1}}', [{"Properties": [{"Value": 1}]}]),
        ('{"when":{"value":"\\/Date(0)\\/","DisplayHint":2,"DateTime":"Thursday"}}', [{"when": "/Date(0)/"}]),
        ('{"value":1}', [{"value": 1}]),
        ('{"value":1,"name":"x"}', [{"value": 1, "name": "x"}]),
    ],
)
def test_what_convertto_json_writes_becomes_a_list(text, values):
    assert parse_json(text) == values


def test_what_is_not_json_is_refused():
    with pytest.raises(ValueError, match="Expecting"):
        parse_json("<Objs>")


@pytest.mark.parametrize(
    "told",
    [
        "/Date(1769854272000)/",
        "/Date(1769854272000+0100)/",
        "2026-01-31T10:11:12Z",
        "2026-01-31T10:11:12.0000000Z",
        "2026-01-31T11:11:12+01:00",
        "2026-01-31 05:11:12-0500",
        "2026-01-31T10:11:12",
        "20260131111112.000000+060",
        datetime(2026, 1, 31, 10, 11, 12),
        THEN,
    ],
)
def test_a_date_is_the_same_moment_in_every_spelling(told):
    assert moment(told) == THEN


def test_fractions_are_kept_to_the_microsecond():
    assert moment("2026-01-31T10:11:12.1234567Z") == THEN.replace(microsecond=123456)
    assert moment("/Date(1769854272125)/") == THEN.replace(microsecond=125000)


@pytest.mark.parametrize("told", [None, "", "/Date(-62135596800000)/", "0001-01-01T00:00:00", "1899-12-30T00:00:00"])
def test_no_date_and_dates_that_mean_never_are_none(told):
    assert moment(told) is None


def test_other_texts_are_refused():
    with pytest.raises(ValueError, match="not a date"):
        moment("last tuesday")
