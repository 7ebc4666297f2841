# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of what the engine simulates is what it simulates; the rest is refused by name and counted."""

from __future__ import annotations

from importlib import resources

import pytest
import yaml
from vsslab.engine import command, signatures
from vsslab.windows.host import Host

from .harness import Session, cmd
from .test_every_command import usable


def test_every_command_that_does_something_is_in_the_table() -> None:
    rows = yaml.safe_load((resources.files("vsslab.engine") / "data" / "coverage.yml").read_text(encoding="utf-8"))
    assert {each["name"] for each in rows if each["area"] == "commands"} == command.implemented()
    assert len(rows) == len({(each["area"], each["name"]) for each in rows})
    assert {each["source"] for each in rows} <= {"documented", "recorded", "assumed"}
    assert all(each["note"] for each in rows)


def test_commands_are_implemented_or_refused() -> None:
    assert command.implemented() | command.refused() == set(signatures.known_names())
    assert not command.implemented() & command.refused()


@pytest.mark.parametrize("name", sorted(command.refused()))
def test_a_refused_command_binds_and_then_says_so(session: Session, host: Host, name: str) -> None:
    signature = signatures.find(name)
    assert signature is not None
    chosen = signature.sets[0]
    needed = [each for each in usable(signature, chosen) if each.places[chosen].mandatory]
    piped = any(each.type == "CimInstance" for each in needed)  # an instance, which only the host can give
    given = {each.name: "x" for each in needed if each.type != "CimInstance"}
    source = [cmd("Get-CimInstance", ClassName="Win32_ComputerSystem")] if piped else []
    done = session.run([*source, cmd(name, **given)])
    assert done.failed_with == f"SimulationRefused,{signature.type_name}"
    assert done.failure is not None
    assert done.failure.message == f"vsslab does not simulate the command {name}."
    assert host.refusals == {f"the command {name}": 1}
