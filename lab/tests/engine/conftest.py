# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One host, a session of its administrator and one of an ordinary user."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from vsslab.windows.host import Host

from .harness import Session


def _sh(call: Any) -> int:
    """A program for tests, as the shell line of the recordings behaves."""
    call.out("out1")
    call.out("out2")
    call.err("bad")
    if "worse" in call.argv:
        call.err("worse")
    return 3


def _args(call: Any) -> int:
    """A program that prints its arguments, one a line."""
    for each in call.argv[1:]:
        call.out(each)
    return 0


def _endless(call: Any) -> int:
    call.out("started")
    call.stop.wait(30)
    return 1


@pytest.fixture
def host(tmp_path: Any) -> Iterator[Host]:
    made = Host("srv1", tmp_path / "srv1", volumes=[{"letter": "C"}, {"letter": "D", "label": "Data"}],
                users=[{"name": "admin", "password": "s3cret!", "administrator": True},
                       {"name": "bob", "password": "b0b", "remote": True}])  # fmt: skip
    made.programs["sh.exe"] = _sh
    made.programs["args.exe"] = _args
    made.programs["endless.exe"] = _endless
    yield made
    made.close()


@pytest.fixture
def session(host: Host) -> Session:
    return Session(host, "admin")


@pytest.fixture
def bob(host: Host) -> Session:
    """A session of an account that may open shells and little else."""
    return Session(host, "bob")
