# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading scripts and keeping metadata: nothing is lost on the way."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vsslab.programs import diskshadow_cab as cab
from vsslab.programs.diskshadow_script import expand, is_comment, lines_of, parse

NOW = datetime.datetime(2026, 2, 13, 9, 59, 20, tzinfo=datetime.timezone.utc)
words = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters='"%#'), min_size=1)
lines = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30)


@given(st.lists(lines))
def test_lines_that_end_in_cr_lf_arrive_whole(script):
    assert lines_of("".join(f"{line}\r\n" for line in script).encode()) == script


@given(st.lists(lines.filter(bool), min_size=1))
def test_lines_that_end_in_a_bare_lf_lose_their_last_character(script):
    assert lines_of("".join(f"{line}\n" for line in script).encode()) == [line[:-1] for line in script]


@given(st.lists(words, min_size=1))
def test_words_are_split_at_blanks(text):
    line = parse(" ".join(text))
    assert line.words == tuple(text)
    assert line.after(0) == " ".join(text)
    for count in range(1, len(text)):
        assert line.after(count) == " ".join(text[count:])


def test_quotes_keep_words_together():
    line = parse('writer exclude "Sql Writer:\\a b\\c"')
    assert line.words[2] == "Sql Writer:\\a b\\c"
    assert line.after(2) == "Sql Writer:\\a b\\c"


def test_only_known_variables_expand():
    assert expand("expose %A% %b%", {"A": "1"}.get) == ("expose 1 %b%", ["A"])


@pytest.mark.parametrize("text", ["", "  ", "# x", "  #x", "// x"])
def test_comments(text):
    assert is_comment(text)


files = st.dictionaries(
    st.text("abcWM0123456789._", min_size=1, max_size=12), st.binary(max_size=70_000), min_size=1, max_size=5
)


@given(files)
def test_a_cabinet_gives_back_what_was_put_in(content):
    assert cab.read(cab.write(content, NOW)) == content


@given(st.binary(min_size=1, max_size=70_000), st.data())
def test_damaged_data_is_found(content, data):
    whole = bytearray(cab.write({"a": content}, NOW))
    at = data.draw(st.integers(len(whole) - len(content), len(whole) - 1))
    whole[at] ^= 0xFF
    with pytest.raises(cab.CabinetError):
        cab.read(bytes(whole))


@given(st.binary(max_size=300))
def test_anything_else_is_no_cabinet(data):
    with pytest.raises(cab.CabinetError):
        cab.read(data)
