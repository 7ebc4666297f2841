# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses that cannot be had: the reason is told, and what to do about it."""

from __future__ import annotations

import errno

import pytest
from vsslab import addresses


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (errno.EADDRNOTAVAIL, "only the address 127.0.0.1, as macOS does"),
        (errno.EACCES, "ports 80 and 443 need the rights of an administrator"),
        (errno.EADDRINUSE, "ports 80 and 443 free; --port 0 takes others"),
    ],
)
def test_a_machine_without_usable_addresses_says_why(monkeypatch, number, sentence):
    def refuse(_addresses, _ports):
        raise OSError(number, "no")

    monkeypatch.setattr(addresses, "probe", refuse)
    with pytest.raises(OSError, match=sentence):
        addresses.Block((80, 443))
