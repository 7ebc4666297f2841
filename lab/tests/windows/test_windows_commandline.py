# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Command lines split and join by CommandLineToArgvW's rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vsslab.windows import commandline

arguments = st.lists(st.text(st.sampled_from('ab "\\\t%é'), max_size=12), max_size=5)


@pytest.mark.parametrize(
    ("line", "argv"),
    [
        ("prog.exe a b", ["prog.exe", "a", "b"]),
        ('"C:\\Program Files\\p.exe" x', ["C:\\Program Files\\p.exe", "x"]),
        ('p "a b" c', ["p", "a b", "c"]),
        ('p a\\\\b c\\"d', ["p", "a\\\\b", 'c"d']),
        ('p "a\\\\" b', ["p", "a\\", "b"]),
        ('p "D:\\" D:\\dst', ["p", 'D:" D:\\dst']),
        ('p "a""b"', ["p", 'a"b']),
        ('p "" x', ["p", "", "x"]),
        ('p   a\tb  ', ["p", "a", "b"]),
    ],
)  # fmt: skip
def test_a_line_splits_as_windows_splits_it(line: str, argv: list[str]) -> None:
    assert commandline.split(line) == argv


@given(arguments)
def test_what_is_joined_splits_into_the_same_arguments(given_arguments: list[str]) -> None:
    argv = ["C:\\Windows\\System32\\robocopy.exe", *given_arguments]
    assert commandline.split(commandline.join(argv)) == argv


@given(st.text(st.sampled_from('ab "\\'), max_size=30))
def test_every_text_splits_into_something(text: str) -> None:
    assert all(isinstance(each, str) for each in commandline.split_arguments(text))


def test_a_program_name_with_a_quote_is_refused() -> None:
    with pytest.raises(ValueError, match="quote"):
        commandline.join(['a"b'])
