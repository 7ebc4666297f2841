# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`vsslab coverage` says what there is: every area is counted in what is really implemented, none is left uncounted."""

from __future__ import annotations

import collections
import dataclasses
import json

import pytest
from vsslab import coverage, faultwords, programs
from vsslab.cli import main
from vsslab.engine import command, signatures
from vsslab.engine import commands as engine_commands
from vsslab.lab import Lab
from vsslab.scenario import read
from vsslab.vss import Limits, inbox
from vsslab.vss.log import event_numbers
from vsslab.windows.errors import data
from vsslab.windows.profile import profiles
from vsslab.windows.volumes import file_systems
from vsslab.wire import psrp, shells
from vsslab.wire.operations import Endpoint

SCENARIO = """\
name: counted
hosts:
- name: a
  users: [{name: Administrator, administrator: true, remote: true}]
  volumes: [{letter: C}]
"""
# Behaviours that are no list in the code, or lists that the tests of their rooms compare name by name.
DESCRIBED = {
    "providers", "storage areas", "previous versions", "revert", "writer states", "contexts", "quotas",
    "authentication", "languages",
}  # fmt: skip


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with Lab(read(SCENARIO, "counted"), state=tmp_path_factory.mktemp("lab") / "state") as lab:
        yield lab


def counted(lab):
    """How much there is of each area, by the registries that the laboratory itself works with."""
    host = lab.hosts["a"]
    engine_commands.load()
    words = faultwords.table()
    endpoint = Endpoint(host, lab.settings, lambda *_: None, lambda _: {})
    return {
        "commands": len(command.implemented()),
        "programs": len(programs.simulated()) + len({"tape drive"}),
        "verbs": sum(map(len, programs.simulated().values())),
        "writers": len({each["name"] for each in [*inbox._table(), *inbox.known_writers().values()]}),
        "profiles": len(profiles()),
        "services": len(data("services.yml")) + len({"delayed start"}),
        "events": len(data("events.yml")["events"]) + len(event_numbers()),
        "file systems": len(file_systems()) + len({"symbolic links", "junctions", "mount points", "UNC paths"}),
        "cim": len(host.cim.classes()),
        "phases": len(words["kinds"]["phase"]["facts"]["phase"]["words"]),
        "limits": len(dataclasses.fields(Limits)),
        "operations": len(endpoint._operations) + len({"Identify"}),
        "signals": len({*shells.STOPPING, shells.TERMINATE}),
        "messages": len({kind for kinds in psrp._ALLOWED.values() for kind in kinds}),
        "faults": len(words["kinds"]) + len(words["actions"]),
    }


def test_every_area_is_counted_or_described(lab):
    assert set(coverage.areas()) == set(counted(lab)) | DESCRIBED


def test_the_counts_agree(lab):
    said = {area: len(entries) for area, entries in coverage.areas().items()}
    differ = {area: (said[area], number) for area, number in counted(lab).items() if said[area] != number}
    assert not differ, "area: (said, implemented)"


def test_every_entry_says_where_it_comes_from():
    assert not [each for each in coverage.entries() if not each.note or each.source not in coverage.SOURCES]


def test_the_command_prints_every_entry_and_its_sum(capsys):
    assert main(["coverage", "--json"]) == 0
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [coverage.Entry(**each) for each in printed] == list(coverage.entries())
    assert main(["coverage"]) == 0
    last = capsys.readouterr().out.strip().splitlines()[-1]
    sums = collections.Counter(each.source for each in coverage.entries())
    assert last == "in all: " + ", ".join(f"{sums[each]} {each}" for each in coverage.SOURCES)


def test_an_unknown_area_is_one_sentence(capsys):
    assert main(["coverage", "weather"]) == 1
    assert capsys.readouterr().err.startswith("vsslab: there is no area 'weather'; there are ")


def test_what_has_no_entry_is_refused_by_name(lab):
    """The commands that are documented but not covered: counted, and none of them answers."""
    named = {each.name for each in coverage.areas()["commands"]}
    assert named.isdisjoint(command.refused())
    assert len(named) + len(command.refused()) == len(signatures.known_names())
