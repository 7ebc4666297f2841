# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shares of shadow copies: names, access lists, and the statements about them."""

from __future__ import annotations

import fnmatch
import re

import pytest
from ansible_collections.umbra.vss.plugins.plugin_utils import _shares
from ansible_collections.umbra.vss.plugins.plugin_utils._pipeline import Unsendable
from ansible_collections.umbra.vss.plugins.plugin_utils._vss import sharing
from ansible_collections.umbra.vss.plugins.plugin_utils._vss.sharing import Exposure, access_lists, same_access
from hypothesis import given
from hypothesis import strategies as st

from .vss_fake_host import FakeWindows

ACCOUNTS = st.lists(st.tuples(st.sampled_from(sharing.RIGHTS), st.text(min_size=1, max_size=12)), min_size=1)


def exposure(access) -> Exposure:
    volume = next(iter(FakeWindows().volumes))
    return Exposure(volume, "share-x", "share", "Past", tuple(access))


@given(ACCOUNTS, st.randoms())
def test_the_order_of_an_access_list_and_the_case_of_names_do_not_matter(access, random):
    shuffled = list(access)
    random.shuffle(shuffled)
    one = exposure(access).access_text
    assert same_access(one, exposure((right, name.upper().casefold()) for right, name in shuffled).access_text) == (
        {(right, name.casefold()) for right, name in access}
        == {(right, name.upper().casefold()) for right, name in shuffled}
    )
    assert sorted((right, name) for right, names in access_lists(one).items() for name in names) == sorted(access)


@given(ACCOUNTS)
def test_one_account_less_is_another_list(access):
    less = [entry for entry in access if (entry[0], entry[1].casefold()) != (access[0][0], access[0][1].casefold())]
    assert not same_access(exposure(access).access_text, exposure(less).access_text)


@given(st.text(alphabet='ab*?[]:|<>+=;,"/\\\x07\u202e-_$ ', max_size=90))
def test_a_share_name_that_is_asked_about_holds_nothing_that_means_something(name):
    asked = sharing.exposure_statements([{"type": "share", "share": name}])
    if asked:
        assert not set(name) & set('*?[]:|<>+=;,"/\\\x07')
        assert asked[0].commands[1].parameters["Value"] == name


def test_a_share_without_accounts_is_never_sent():
    for access in ({}, {"read": []}, {"full": [], "change": []}, {"owner": ["x"]}):
        with pytest.raises(Unsendable):
            _shares.new_share("share-0", "Past", "C:\\x", "note", access)


def test_a_share_gets_exactly_the_accounts_it_names():
    made = _shares.new_share("share-0", "Past", "C:\\x", "note", {"read": ["CORP\\Auditors"], "full": []})
    parameters = made.commands[0].parameters
    assert {name for name in parameters if name.endswith("Access")} == {"ReadAccess"}
    assert parameters["ReadAccess"] == ["CORP\\Auditors"]


@pytest.mark.parametrize("folder", ["C:\\Windows\\umbra-vss\\runs\\1", "C:\\a[b]c", "C:\\a*b?`"])
def test_only_what_lies_in_the_folder_is_removed(folder):
    (_, by_name, by_path, _) = _shares.remove_share("unshare-0", "Past", folder).commands
    assert (by_name.parameters["EQ"], by_name.parameters["Value"]) == (True, "Past")
    # The pattern of PowerShell as one of fnmatch: a backtick takes the meaning of the next sign away.
    pattern = re.sub(r"`(.)", lambda hit: f"[{hit[1]}]", by_path.parameters["Value"])
    assert fnmatch.fnmatchcase(f"{folder}\\share-1", pattern)
    for other in ("C:\\Windows\\umbra-vss\\runs\\10", f"{folder}x\\share", f"D:\\{folder}\\share", folder):
        assert not fnmatch.fnmatchcase(other, pattern)
