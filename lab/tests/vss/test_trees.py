# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Point-in-time copies of folders."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vsslab.vss.trees import Cancelled, copy_tree, files_below, old_bytes, remove_tree

names = st.text("abcäß ", min_size=1, max_size=6).filter(lambda text: text.strip() and text == text.strip())
trees = st.recursive(st.binary(max_size=50), lambda inner: st.dictionaries(names, inner, max_size=4), max_leaves=12)


def build(folder, tree):
    folder.mkdir()
    for name, value in tree.items():
        if isinstance(value, bytes):
            (folder / name).write_bytes(value)
        else:
            build(folder / name, value)


def content(folder):
    return {each: (folder / each).read_bytes() for each, _ in files_below(folder)}


@settings(max_examples=30, deadline=None)
@given(tree=st.dictionaries(names, trees, max_size=4))
def test_a_copy_equals_what_was_copied_and_nothing_is_old_in_it(tmp_path_factory, tree):
    folder = tmp_path_factory.mktemp("tree")
    build(folder / "live", tree)
    size = copy_tree(folder / "live", folder / "copy")
    assert content(folder / "copy") == content(folder / "live")
    assert size == sum(len(data) for data in content(folder / "live").values())
    assert old_bytes(folder / "copy", folder / "live") == 0
    remove_tree(folder / "copy")
    assert not (folder / "copy").exists()


def test_times_links_and_modes_are_kept(tmp_path):
    live = tmp_path / "live"
    live.mkdir()
    (live / "a").write_bytes(b"x" * 100_000)
    (live / "a").chmod(0o640)
    os.utime(live / "a", ns=(1_600_000_000_123_456_789, 1_600_000_001_987_654_321))
    (live / "link").symlink_to("\\\\?\\Volume{0}\\")
    copy_tree(live, tmp_path / "copy")
    assert (tmp_path / "copy" / "a").stat().st_mtime_ns == 1_600_000_001_987_654_321
    assert (tmp_path / "copy" / "a").stat().st_mode == (live / "a").stat().st_mode
    assert os.readlink(tmp_path / "copy" / "link") == "\\\\?\\Volume{0}\\"


def test_a_copy_can_be_given_up(tmp_path):
    build(tmp_path / "live", {"a": b"1", "b": b"2"})
    with pytest.raises(Cancelled):
        copy_tree(tmp_path / "live", tmp_path / "copy", lambda: True)


def test_old_bytes_are_those_of_changed_and_removed_files(tmp_path):
    build(tmp_path / "live", {"same": b"1", "changed": b"22", "gone": b"333"})
    copy_tree(tmp_path / "live", tmp_path / "copy")
    (tmp_path / "live" / "changed").write_bytes(b"4444")
    (tmp_path / "live" / "gone").unlink()
    (tmp_path / "live" / "new").write_bytes(b"55555")
    assert old_bytes(tmp_path / "copy", tmp_path / "live") == 5
