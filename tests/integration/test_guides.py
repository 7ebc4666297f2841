# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks of the guides, copied as a reader would copy them, do what the guides say."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from vsslab.lab import Lab

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / ".build" / "tests" / "guides"
# What a reader writes himself: how his application is stopped, started and updated.
OWN = {
    "stop.yml": "- {name: Stop, ansible.builtin.debug: {msg: stopped}}",
    "start.yml": "- {name: Start, ansible.builtin.debug: {msg: started}}",
    "update.yml": "- {name: Install, ansible.builtin.fail: {msg: The installer failed.}}",
}
SETTINGS = r"D:\App\app.ini"


@pytest.fixture(scope="module")
def guides(fleet):
    """The guides' files in a folder, and a way to run one over a host of a fleet."""
    shutil.rmtree(HERE, ignore_errors=True)
    HERE.mkdir(parents=True)
    subprocess.run([sys.executable, str(ROOT / "tests" / "unit" / "guides.py"), str(HERE)], check=True)
    for name, text in OWN.items():
        (HERE / name).write_text(text + "\n", encoding="utf-8")

    def run(over, book):
        played, host = sys.modules["demo_fleet"].run_playbook, "sql01" if over is fleet else "test01"
        return played([over.inventory], HERE / book, "-l", host, results=HERE / f"{Path(book).stem}.results")

    return run


@pytest.fixture(scope="module")
def servers(fleet, guides, tmp_path_factory):
    """The fleet of the guide to scenarios."""
    with Lab.from_scenario(HERE / "test-servers.yml", state=tmp_path_factory.mktemp("servers")) as lab:
        yield type(fleet)(lab, tmp_path_factory.mktemp("plays"))


def test_the_first_backup(fleet, guides):
    backup = fleet.host("sql01").files.locate(r"E:\Backup").real
    shutil.rmtree(backup, ignore_errors=True)  # another test's
    with fleet.unchanged("sql01"):
        for book in ("look.yml", "back-up.yml", "rehearse.yml"):
            run = guides(fleet, book)
            assert run.code == 0, run.output
        (rehearsed,) = run.of("umbra.vss.restore", "sql01")
        assert rehearsed["result"]["drill"]["verified"] is True
        shutil.rmtree(backup)


def test_test_servers_are_reset(servers, guides):
    assert guides(servers, "prepare.yml").code == 0
    assert not any(task["result"]["changed"] for task in guides(servers, "prepare.yml").tasks)
    files = servers.host("test01").files
    clean = files.read(SETTINGS)
    for book in ("reset.yml", "reset-folder.yml"):
        files.write(SETTINGS, b"what a test left")
        run = guides(servers, book)
        assert run.code == 0, run.output
        assert files.read(SETTINGS) == clean


def test_a_patch_that_fails_is_taken_back(servers, guides):
    before = servers.host("test01").files.read(SETTINGS)
    run = guides(servers, "patch-with-a-way-back.yml")
    assert run.code != 0
    assert "Not patched. test01: reverted D:" in run.output
    assert servers.host("test01").files.read(SETTINGS) == before
    assert guides(servers, "give-up.yml").code == 0


def test_a_policy_is_kept_and_checked(servers, guides):
    run = guides(servers, "check-shadow-copies.yml")
    assert run.code != 0
    assert guides(servers, "keep-daily.yml").code == 0
    run = guides(servers, "check-shadow-copies.yml")
    assert run.code == 0, run.output
    report = (HERE / "report.md").read_text(encoding="utf-8")
    assert report.rstrip().endswith("| none |"), report
    run = guides(servers, "check-storage.yml")
    assert "is not as declared" in run.output
