# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""whoami.exe tells SIDs; its names follow the language."""

from __future__ import annotations

import csv
from collections.abc import Callable
from typing import Any

import pytest

Machine = Any  # see conftest


def groups(machine: Machine, user: str) -> dict[str, list[str]]:
    ended = machine("whoami.exe", "/groups", "/fo", "csv", "/nh", user=user)
    assert ended.code == 0
    return {row[2]: row for row in csv.reader(ended.out)}


@pytest.mark.parametrize("language", ["en-US", "de-DE", "fr-FR"])
def test_an_administrator_is_told_by_sid_in_every_language(make_machine: Callable[..., Machine], language: str) -> None:
    machine = make_machine(language=language)
    elevated, plain = groups(machine, "Administrator"), groups(machine, "bob")
    assert {"S-1-5-32-544", "S-1-16-12288"} <= set(elevated)
    assert {"S-1-5-32-544", "S-1-16-12288"}.isdisjoint(plain)
    assert "S-1-16-8192" in plain
    assert elevated["S-1-5-32-544"][0] == machine.host.users.name_of("S-1-5-32-544")


def test_the_user_is_told_with_its_sid(machine: Machine) -> None:
    bob = machine.host.users.find("bob")
    assert machine("whoami.exe", "/user", "/fo", "csv", "/nh", user="bob").out == [f'"srv1\\bob","{bob.sid}"']
    listed = machine("whoami.exe", "/user", "/fo", "list", user="bob").out
    assert listed == ["", "User Name: srv1\\bob", f"SID:       {bob.sid}"]
    table = machine("whoami.exe", "/user", user="bob").out
    assert table[1:3] == ["USER INFORMATION", "----------------"]
    assert table[-1].split() == ["srv1\\bob", bob.sid]


def test_system_has_the_systems_label(machine: Machine) -> None:
    assert "S-1-16-16384" in groups(machine, "SYSTEM")


@pytest.mark.parametrize("argv", [("/priv",), ("/user", "/fo", "xml"), ("/user", "/groups"), ("/fo",)])
def test_wrong_arguments_are_refused(machine: Machine, argv: tuple[str, ...]) -> None:
    ended = machine("whoami.exe", *argv)
    assert ended.code == 1
    assert ended.err
