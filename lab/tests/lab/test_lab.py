# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A laboratory comes up whole, and nothing of it is left when it has gone."""

from __future__ import annotations

import gc
import os
import socket
import threading
import time
from pathlib import Path

import pytest
from vsslab import vss
from vsslab.lab import Lab, LabError, is_running

SMALL = """\
name: small
hosts:
  - name: srv
    language: de-DE
    users:
      - {name: Administrator, administrator: true, remote: true}
      - {name: helpdesk, remote: true, password: Sommer-2026}
    volumes:
      - {letter: C, capacity: 8 GiB, system: true}
      - {letter: D, capacity: 2 GiB}
    apps:
      - {name: Bank, kind: bank, folder: 'D:\\Bank', process: sqlservr.exe}
    writers:
      - name: SqlServerWriter
        app: Bank
        components: [{name: Bank, logical_path: SQL01, files: [{path: 'D:\\Bank', filespec: 'Bank.*'}]}]
    files:
      - {path: 'D:\\Shares', count: 30, bytes: 1 KiB}
      - {path: 'C:\\inetpub\\index.html', text: "eins\\nzwei"}
faults:
  - {id: slow, on: {kind: http, operation: Delete}, do: {delay: 1ms}}
"""


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    path = tmp_path_factory.mktemp("plan") / "small.yml"
    path.write_text(SMALL, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def lab(plan, tmp_path_factory):
    with Lab.from_scenario(plan, state=tmp_path_factory.mktemp("lab") / "state") as running:
        yield running


def children() -> set[int]:
    return {int(pid) for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()}


def handles() -> set[str]:
    gc.collect()
    found = set()
    for each in Path("/proc/self/fd").iterdir():
        try:
            found.add(f"{each.name} {os.readlink(each)}")
        except FileNotFoundError:
            continue
    return found


def connect(lab: Lab, host: str, port: int) -> bool:
    try:
        socket.create_connection((lab.addresses[host], port), 2).close()
    except OSError:
        return False
    return True


def test_stopping_leaves_no_process_no_thread_and_no_socket(plan, tmp_path):
    before = (children(), set(threading.enumerate()), handles())
    lab = Lab.from_scenario(plan, state=tmp_path / "state")
    lab.start()
    assert (tmp_path / "state").stat().st_mode & 0o077 == 0  # nobody else looks in
    assert connect(lab, "srv", 5985)
    assert connect(lab, "srv", 5986)
    assert children() > before[0]
    lab.stop()
    lab.stop()
    assert not connect(lab, "srv", 5985)
    assert (children(), set(threading.enumerate()), handles()) == before
    assert not is_running(tmp_path / "state")


def test_laboratories_run_side_by_side_but_not_in_one_folder(lab, plan, tmp_path):
    with pytest.raises(LabError, match="Another laboratory runs with the state folder"):
        Lab.from_scenario(plan, state=lab.state).start()
    with Lab.from_scenario(plan, state=tmp_path / "other") as other:
        assert other.addresses["srv"] != lab.addresses["srv"]
        assert connect(other, "srv", 5985)
    assert connect(lab, "srv", 5985)


def test_a_folder_with_other_things_in_it_is_left_alone(plan, tmp_path):
    (tmp_path / "thesis.txt").write_text("three years of work")
    with pytest.raises(LabError, match="holds something else"):
        Lab.from_scenario(plan, state=tmp_path).start()
    assert [each.name for each in tmp_path.iterdir()] == ["thesis.txt"]


def test_starting_again_begins_afresh(plan, tmp_path):
    for _ in range(2):
        with Lab.from_scenario(plan, state=tmp_path / "state") as lab:
            assert not lab.hosts["srv"].files.exists("D:\\left-behind.txt")
            lab.hosts["srv"].files.write("D:\\left-behind.txt", b"x")


def test_the_hosts_are_those_of_the_scenario(lab):
    host = lab.hosts["srv"]
    assert host.language.tag == "de-DE"
    assert {each.letter for each in host.volumes} == {"C", "D"}
    assert host.files.read("C:\\inetpub\\index.html") == b"eins\r\nzwei"
    shares = [each for each in host.files.walk("D:\\Shares") if not each.is_dir]
    assert len(shares) == 30
    assert any(" " in each.path for each in shares)
    assert any("ü" in each.path for each in shares)
    assert host.users.find("helpdesk").password == "Sommer-2026"
    assert "SqlServerWriter" in [each.name for each in host.vss.writers]
    assert host.services.get("SQLWriter").status == "Running"
    assert "sqlservr.exe" in [each.name for each in host.processes.list()]
    assert [each.id for each in lab.faults.list()] == ["slow"]


def test_what_the_writer_froze_balances_and_what_was_copied_live_does_not(lab):
    host = lab.hosts["srv"]
    volume = host.volumes.by_path("D:")
    made = host.vss.create("test", [volume], vss.Context.APP_ROLLBACK)
    (shadow,) = made.shadows
    verdict = lab.check("srv", "Bank", shadow.device + "\\Bank")
    host.vss.complete(made)
    host.vss.delete(shadow.id)
    assert verdict.ok, verdict.detail
    assert verdict.figures["recovered"] == 0
    assert lab.stats("srv")["Bank"]["writes"] > 0


def test_an_application_is_a_process_of_its_host_and_comes_back_with_it(lab):
    host, app = lab.hosts["srv"], lab.hosts["srv"].apps["Bank"]
    (process,) = [each for each in host.processes.list() if each.name == "sqlservr.exe"]
    first = app.pid
    host.processes.kill(process.pid)
    assert app.pid == 0
    assert "error" in lab.stats("srv")["Bank"]
    began = time.monotonic()
    host.reboot()
    assert time.monotonic() - began < 5
    assert app.pid not in (0, first)
    second = app.pid
    host.reboot()
    assert app.pid not in (0, second)
    app.freeze()
    assert lab.check("srv", "Bank", "D:\\Bank").ok
    app.thaw()


def test_the_inventory_connects_as_an_administrator_or_as_somebody_else(lab):
    def user(**options: str) -> str:
        groups = lab.inventory(**options)["all"]["children"]["windows"]["children"]
        return groups["windows_psrp"]["hosts"]["srv"]["ansible_user"] if groups else ""

    assert user() == "Administrator"
    assert user(user="HELPDESK") == "helpdesk"
    assert user(user="nobody") == ""


def test_nothing_is_left_behind_by_looking(lab):
    assert lab.ledger() == lab.ledger()


def test_passwords_are_of_the_run_and_never_in_the_trace(plan, lab, tmp_path):
    other = Lab.from_scenario(plan, state=tmp_path / "state", trace=tmp_path / "trace.jsonl")
    assert other.passwords["srv", "Administrator"] != lab.passwords["srv", "Administrator"]
    with other:
        other.trace.write("test", "srv", line="net use /user:helpdesk Sommer-2026")
    assert "Sommer-2026" not in (tmp_path / "trace.jsonl").read_text()
