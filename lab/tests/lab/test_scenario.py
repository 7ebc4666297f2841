# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenarios are read strictly: what is wrong is named with file, line and reason."""

from __future__ import annotations

import pytest
from vsslab import scenario

GOOD = """\
name: one
hosts:
  - name: a
    users:
      - {name: Administrator, administrator: true}
    volumes:
      - {letter: C, capacity: 4 GiB}
"""


def read(tmp_path, text):
    path = tmp_path / "s.yml"
    path.write_text(text, encoding="utf-8")
    return scenario.load(path)


def test_a_small_scenario_is_enough(tmp_path):
    (host,) = read(tmp_path, GOOD).hosts
    assert host.volumes[0].capacity == 4 << 30
    assert host.user.name == "Administrator"
    assert (host.profile, host.language, host.address) == ("server2022", "en-US", "auto")


def test_the_office_is_what_it_says():
    office = scenario.load("office")
    assert [each.name for each in office.hosts] == ["sql01", "mail01", "web01", "legacy01", "pc01"]
    assert {each.connection.plugin for each in office.hosts} == {"psrp", "winrm"}
    assert all({"C", "D", "E"} <= {v.letter for v in each.volumes} for each in office.hosts)
    assert any(v.file_system == "FAT32" for each in office.hosts for v in each.volumes)
    assert all(any(u.remote and not u.administrator for u in each.users) for each in office.hosts)


def test_what_hosts_have_in_common_is_said_once(tmp_path):
    text = GOOD.replace("hosts:", "defaults:\n  time_zone: Europe/Berlin\n  language: de-DE\nhosts:")
    (host,) = read(tmp_path, text.replace("name: a\n", "name: a\n    language: fr-FR\n")).hosts
    assert (host.time_zone, host.language) == ("Europe/Berlin", "fr-FR")


@pytest.mark.parametrize(
    ("change", "line", "sentence"),
    [
        (("name: one", "nmae: one"), 1, "'nmae' is not known here; known are name"),
        (("letter: C", "leter: C"), 7, "'leter' is not known"),
        (("4 GiB", "4 apples"), 7, "'4 apples' is not a size"),
        (("4 GiB", "4 GiB, file_system: ext4"), 7, "'ext4' is not one of NTFS"),
        (("administrator: true", "administrator: maybe"), 5, "administrator is a bool, not 'maybe'"),
        (("administrator: true", "remote: true"), 3, "host a: no user is an administrator"),
        (("letter: C", "letter: D"), 3, "there is no volume C"),
        (("name: a\n", "name: a/../../b\n"), 3, "'a/../../b' is no name of a host"),
        (("name: a\n", "name: a\n    clock: {speed: 0}\n"), 4, "speed: 0 is not above zero."),
        (
            ("name: a\n", "name: a\n    apps: [{name: B, kind: bnak, folder: 'C:\\B'}]\n"),
            4,
            "'bnak' is neither bank, ledger",
        ),
        (("name: a\n", "name: a\n    restart_seconds: -3\n"), 4, "restart_seconds: -3 is negative."),
        (("name: a\n", "name: a\n    vss: {writer_states: 3}\n"), 4, "vss: a value in it is of another kind"),
        (("4 GiB", "4 GiB, drive_type: 9"), 7, "9 is not 2 (removable), 3 (local) or 5 (optical)"),
        (("4 GiB", "4 GiB, mounts: ['X:\\M']"), 3, "X:\\M is on no volume of the host."),
        (("name: a\n", "name: a\n    name: b\n"), 4, "'name' is given twice"),
        (("name: a\n", "name: a\n    address: 10.0.0.1\n"), 4, "neither auto nor in 127.0.0.0/8"),
        (("name: a\n", "name: a\n    connection: {auth: basic}\n"), 3, "basic authentication needs https"),
        (("name: a\n", "name: a\n    writers: [{name: SqlServerWriter, app: B}]\n"), 3, "no such application"),
        (("name: a\n", "name: a\n    writers: [{name: Mine}]\n"), 3, "not a well-known one: it needs a class_id"),
        (("name: a\n", "name: a\n    apps: [{name: B, kind: bank, folder: 'D:\\B'}]\n"), 3, "on no volume"),
        (("hosts:\n", "hosts: 3\n# "), 2, "hosts is a list"),
        (("name: a\n", "name: a\n    vss: {colour: red}\n"), 4, "'colour' is no setting of VSS"),
        (("name: one", "name: one\nfaults:\n  - {on: {kind: http}}"), 3, "needs `on`"),
        (("hosts:", "hosts: ["), 3, "this is not YAML"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path, change, line, sentence):
    text = GOOD.replace(*change)
    assert text != GOOD
    with pytest.raises(scenario.ScenarioError) as told:
        read(tmp_path, text if "hosts: 3" not in text else "name: one\nhosts: 3\n")
    assert sentence in str(told.value)
    assert f"s.yml:{line}:" in str(told.value)


def test_a_missing_file_names_the_known_scenarios(tmp_path):
    with pytest.raises(scenario.ScenarioError, match="known names: editions, office"):
        scenario.load(tmp_path / "none.yml")
