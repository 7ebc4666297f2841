# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of what is simulated agrees with what the programs really take."""

from __future__ import annotations

from vsslab import coverage, programs
from vsslab.programs import diskshadow_commands
from vsslab.programs.phrases import table
from vsslab.vss import inbox
from vsslab.vss.inbox import _table as inbox_table


def names(area: str) -> set[str]:
    return {each.name for each in coverage.areas()[area]}


def test_every_program_is_in_the_table_and_no_other() -> None:
    real = {name for name, entry in table("programs").items() if entry.get("module") != "refused"}
    assert set(programs.simulated()) == real
    assert names("programs") == {*real, "tape drive"}


def test_every_verb_and_switch_is_in_the_table_and_no_other() -> None:
    real = {f"{program} {verb}" for program, verbs in programs.simulated().items() for verb in verbs}
    assert names("verbs") == real


def test_every_writer_is_in_the_table() -> None:
    real = {each["name"] for each in [*inbox_table(), *inbox.known_writers().values()]}
    assert names("writers") == real


def test_the_forms_of_diskshadow_are_those_of_its_commands() -> None:
    first = {each.split()[0] for each in diskshadow_commands.forms() if not each.startswith("/")}
    assert first == set(diskshadow_commands.COMMANDS)


def test_what_is_refused_is_no_simulated_program() -> None:
    refused = {name for name, entry in table("programs").items() if entry.get("module") == "refused"}
    assert not refused & set(programs.simulated())
    assert len(refused) > 40
