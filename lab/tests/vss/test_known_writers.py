# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of writers: in-box, of roles, of applications."""

from __future__ import annotations

import re

import pytest
from vsslab import vss
from vsslab.vss import inbox
from vsslab.windows.host import Host

GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
KNOWN = inbox.known_writers()


@pytest.fixture
def make_host(tmp_path):
    made = []

    def make(**options):
        host = Host("srv1", tmp_path / str(len(made)), profile=options.pop("profile", "server2022"),
                    volumes=[{"letter": "C"}, {"letter": "D"}])  # fmt: skip
        made.append(host)
        vss.install(host, options)
        return host

    yield make
    for each in made:
        each.close()


@pytest.mark.parametrize("name", list(KNOWN))
def test_every_known_writer_is_a_whole_one(name):
    entry = KNOWN[name]
    writer = vss.Writer.of(inbox.description(name))
    assert GUID.fullmatch(writer.class_id)
    assert writer.service
    assert entry["role"] == entry["role"].lower()
    assert set(entry.get("assumed", ())) <= {*entry, "components"}
    for component in writer.components:
        assert component.name
        for spec in component.files:
            assert spec.path[:3] == "C:\\", spec.path


def test_names_are_there_once():
    assert len(KNOWN) == len({each["name"] for each in KNOWN.values()})


@pytest.mark.parametrize("role", inbox.roles())
def test_a_role_brings_its_writers_and_their_services(make_host, role):
    host = make_host(roles=[role])
    names = {each.name for each in host.vss.writers}
    for entry in KNOWN.values():
        assert (entry["name"] in names) == (entry["role"] == role)
        if entry["role"] == role and entry["service"] != "VSS":
            assert host.services.get(entry["service"]).status == "Running"


def test_a_writer_goes_with_its_service(make_host):
    host = make_host(roles=["dhcp"])
    host.services.stop("DHCPServer")
    assert "Dhcp Jet Writer" not in {each.name for each in host.vss.writers}


def test_a_role_nobody_knows_is_refused():
    with pytest.raises(ValueError, match="no role"):
        vss.Options.of({"roles": ["fax"]})


def test_a_writer_of_a_role_is_left_out_without_its_volume(make_host):
    host = make_host(roles=["dhcp"])
    data, system = host.volumes.by_path("D:"), host.volumes.by_path("C:")
    for volume, part in ((data, False), (system, True)):
        made = host.vss.create("test", [volume], vss.Context.APP_ROLLBACK)
        assert any(writer.name == "Dhcp Jet Writer" for writer, _ in made.writers) is part
