# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Path texts lead where Windows takes them, and nowhere else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vsslab.windows import paths
from vsslab.windows.errors import WinError

GUID = "711fc68a-0000-0000-0000-100000000000"
names = st.text(
    st.characters(exclude_characters='<>:"/\\|?*', exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20
)
plain_names = names.filter(lambda name: name == name.rstrip(" .") and not paths._RESERVED.fullmatch(name))


@pytest.mark.parametrize(
    ("text", "prefix", "parts"),
    [
        ("C:\\Windows\\Temp", "C:\\", ("Windows", "Temp")),
        ("c:/windows//temp/", "C:\\", ("windows", "temp")),
        ("d:", "D:\\", ()),
        ("D:\\a\\.\\b\\..\\c", "D:\\", ("a", "c")),
        ("D:\\..\\..\\x", "D:\\", ("x",)),
        ("D:\\a. . \\b...", "D:\\", ("a", "b")),
        ("\\\\?\\C:\\a", "C:\\", ("a",)),
        (f"\\\\?\\volume{{{GUID.upper()}}}\\x", f"\\\\?\\Volume{{{GUID}}}\\", ("x",)),
        ("\\\\?\\GLOBALROOT\\Device\\HarddiskVolumeShadowCopy7\\x\\y",
         "\\\\?\\GLOBALROOT\\Device\\HarddiskVolumeShadowCopy7\\", ("x", "y")),
        ("\\\\server\\share\\x\\..\\y", "\\\\server\\share\\", ("y",)),
        ("//server/share$", "\\\\server\\share$\\", ()),
        ("\\\\?\\UNC\\server\\share\\x", "\\\\server\\share\\", ("x",)),
        ("sub\\file", "D:\\", ("here", "sub", "file")),
        ("\\file", "D:\\", ("file",)),
    ],
)  # fmt: skip
def test_a_path_is_read_as_windows_reads_it(text: str, prefix: str, parts: tuple[str, ...]) -> None:
    found = paths.parse(text, "D:\\here")
    assert (found.prefix, found.parts) == (prefix, parts)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", 3),
        ("C:\\a<b", 123),
        ("C:\\a|b", 123),
        ("C:\\file:stream", 50),
        ("C:\\file::$DATA", 50),
        ("C:\\what?", 123),
        ("C:\\tab\there", 123),
        ("C:\\" + "n" * 256, 123),
        ("C:\\" + "n\\" * 140, 206),
        ("C:relative", 123),
        ("C:\\con", 123),
        ("C:\\nul.txt", 123),
        ("\\\\server", 53),
        ("\\\\?\\UNC\\server", 53),
        ("\\\\server\\share\\" + "n\\" * 140, 206),
        ("\\\\?\\nonsense", 3),
        ("\\\\?\\C:\\a\\..\\b", 123),
        ("\\\\?\\C:\\a/b", 123),
    ],
)
def test_a_path_windows_refuses_is_refused_with_its_number(text: str, code: int) -> None:
    with pytest.raises(WinError) as refused:
        paths.parse(text)
    assert refused.value.code == code


def test_a_device_without_its_backslash_is_not_its_root_folder() -> None:
    bare = "\\\\?\\GLOBALROOT\\Device\\HarddiskVolumeShadowCopy1"
    with pytest.raises(WinError) as refused:
        paths.root_folder(paths.parse(bare), bare)
    assert refused.value.code == 87
    assert paths.root_folder(paths.parse(bare + "\\"), bare).parts == ()


def test_the_long_form_lifts_the_limit_of_260_characters() -> None:
    long = "C:\\" + "\\".join(["n" * 100] * 4)
    assert len(paths.parse("\\\\?\\" + long).parts) == 4


@given(st.lists(plain_names, max_size=4))
def test_the_canonical_spelling_reads_back_as_itself(parts: list[str]) -> None:
    text = "C:\\" + "\\".join(parts)
    found = paths.parse(text)
    assert found.parts == tuple(parts)
    assert paths.parse(found.text) == found
    assert paths.parse("\\\\?\\" + found.text).parts == found.parts


@given(st.text(max_size=60))
def test_any_text_is_a_path_or_a_win32_error(text: str) -> None:
    try:
        found = paths.parse(text)
    except WinError:
        return
    assert all(part not in {"", ".", ".."} and "/" not in part and "\0" not in part for part in found.parts)


@given(names)
def test_folding_is_stable_and_keeps_the_length(name: str) -> None:
    assert len(paths.fold(name)) == len(name)
    assert paths.fold(paths.fold(name)) == paths.fold(name) or not name.isascii()
    assert paths.fold("Straße") == "STRAßE"


@pytest.mark.parametrize(
    ("name", "pattern", "expected"),
    [
        ("a.txt", "*.*", True),
        ("noextension", "*.*", True),
        ("noextension", "*.", True),
        ("a.txt", "*.", False),
        ("A.TXT", "?.txt", True),
        ("ab.txt", "?.txt", False),
        ("x[1].log", "x[1].*", True),
    ],
)
def test_wildcards_are_those_of_dos(name: str, pattern: str, expected: bool) -> None:
    assert paths.wildcard_match(name, pattern) is expected
