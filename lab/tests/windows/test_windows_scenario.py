# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a scenario may say of a host's services, shares, volumes, accounts and languages, and how it is refused."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from vsslab.lab import Lab
from vsslab.scenario import ScenarioError, load

HOST = """\
name: files
hosts:
- name: fs1
  domain: corp.example
  language: es-ES
  utf8: true
  restart_seconds: 20
  volumes: [{letter: C}, {letter: D, dirty: true}, {file_system: csvfs, mounts: ['C:\\ClusterStorage\\Volume1']}]
  users: [{name: Administrador, administrator: true}, {name: 'CORP\\svc', password: domain}]
  services:
  - {name: Acme, display_name: Acme Agent, needs: [RpcSs], stop_seconds: 5}
  - {name: BITS, start_type: Disabled}
  shares: [{name: backups, path: 'D:\\Backups', change: ['CORP\\svc', 'CORP\\APP1$'], full: [Administradores]}]
- name: app1
  domain: corp.example
  volumes: [{letter: C}]
  users: [{name: Administrator, administrator: true}]
"""


def test_a_scenario_says_it_all_and_hosts_see_each_other(tmp_path: Path) -> None:
    (tmp_path / "lab.yml").write_text(HOST, encoding="utf-8")
    with Lab.from_scenario(tmp_path / "lab.yml", state=tmp_path / "state", ports=(0, 0)) as lab:
        client = lab.hosts["app1"]
        assert len(lab.hosts.built()) == 1
        client.files.as_user(client.users.system).write("\\\\fs1.corp.example\\backups\\x", b"1")
        server = lab.hosts["fs1"]
        assert (server.language.oem_codepage, server.restart_seconds) == (65001, 20)
        assert (server.services.get("Acme").stop_seconds, server.services.get("BITS").start_type) == (5, "Disabled")
        assert [(each.file_system, each.dirty) for each in server.volumes] == [
            ("NTFS", False), ("NTFS", True), ("CSVFS", False)
        ]  # fmt: skip
        share = server.shares.get("backups")
        assert {server.users.name_of(each.sid): each.right for each in share.access} == {
            "BUILTIN\\Administradores": "Full", "CORP\\svc": "Change", "CORP\\APP1$": "Change"
        }  # fmt: skip
        assert server.files.read("D:\\Backups\\x") == b"1"


def answers(address: str, port: int) -> bool:
    """Whether somebody there speaks HTTP."""
    try:
        with socket.create_connection((address, port), timeout=5) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            return connection.recv(100).startswith(b"HTTP/1.1 ")
    except ConnectionError:
        return False


def test_nobody_answers_while_a_host_restarts(tmp_path: Path) -> None:
    (tmp_path / "lab.yml").write_text("time: virtual\n" + HOST, encoding="utf-8")
    with Lab.from_scenario(tmp_path / "lab.yml", state=tmp_path / "state") as lab:
        host, where = lab.hosts["fs1"], (lab.addresses["fs1"], lab.ports[0])
        assert answers(*where)
        host.begin_reboot()
        lab.time.advance(10)
        assert host.state == "restarting"
        assert not answers(*where)
        lab.time.advance(11)
        assert answers(*where)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("language: es-ES", "language: eo", "is no language"),
        ("name: fs1", "name: fs1\n  profile: server2003", "is no profile"),
        ("name: fs1", "name: fs1\n  time_zone: Mars/Olympus", "is no time zone"),
        ("name: fs1", "name: fs1\n  profile: server2022-dc", None),
        ("domain: corp.example", "domain: WORKGROUP", "of the host's own domain"),
        ("password: domain", "password:", "not None"),
        (", password: domain", "", "needs a password"),
        ("csvfs", "ext4", "is not one of NTFS, ReFS, CSVFS"),
        ("D:\\Backups", "X:\\Backups", "is on no volume"),
        ("stop_seconds", "stops", "is not known here"),
    ],
)
def test_a_scenario_that_makes_no_sense_is_refused_in_one_sentence(
    tmp_path: Path, old: str, new: str, says: str | None
) -> None:
    (tmp_path / "lab.yml").write_text(HOST.replace(old, new, 1), encoding="utf-8")
    if says is None:
        assert load(tmp_path / "lab.yml").hosts[0].profile == "server2022-dc"
        return
    with pytest.raises(ScenarioError, match=says):
        load(tmp_path / "lab.yml")
