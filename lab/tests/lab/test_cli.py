# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line, as a person or a script uses it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import vsslab
import yaml

SCENARIO = """\
name: tiny
hosts:
  - name: srv
    users: [{name: Administrator, administrator: true, remote: true}]
    volumes: [{letter: C, capacity: 8 GiB, system: true}]
    apps: [{name: Ledger, kind: ledger, folder: 'C:\\Ledger'}]
"""


@pytest.fixture
def vsslab_command(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(Path(vsslab.__file__).parent.parent), "TMPDIR": str(tmp_path)}

    def run(*arguments: str, background: bool = False):
        command = [sys.executable, "-m", "vsslab.cli", *arguments]
        if background:
            return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)

    return run


@pytest.fixture
def up(vsslab_command, tmp_path):
    (tmp_path / "tiny.yml").write_text(SCENARIO, encoding="utf-8")
    started = []

    def start(*arguments: str):
        process = vsslab_command("up", str(tmp_path / "tiny.yml"), *arguments, background=True)
        started.append(process)
        return process, json.loads(process.stdout.readline())

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_a_whole_life(vsslab_command, up, tmp_path):
    state = str(tmp_path / "state")
    process, card = up("--state", state, "--inventory", str(tmp_path / "i.yml"), "--trace", str(tmp_path / "t.jsonl"))
    assert card["pid"] == process.pid
    assert set(card["addresses"]) == {"srv"}
    assert yaml.safe_load(Path(card["inventory"]).read_text())["all"]["children"]["windows"]
    assert json.loads(vsslab_command("stats", "--state", state).stdout)["srv"]["Ledger"]["pid"]
    assert "shadow_copies" in json.loads(vsslab_command("ledger", "--state", state).stdout)["srv"]
    assert json.loads(vsslab_command("hosts", "--state", state).stdout)["srv"]["profile"] == "server2022"
    assert json.loads(vsslab_command("counters", "--state", state).stdout) == []
    added = vsslab_command("fault", "--state", state, "add", "{on: {kind: http}, do: {status: 503}}")
    name = json.loads(added.stdout)["id"]
    assert json.loads(vsslab_command("fault", "--state", state, "list").stdout)["on"] == {"kind": "http"}
    assert vsslab_command("fault", "--state", state, "remove", name).returncode == 0
    assert vsslab_command("fault", "--state", state, "list").stdout == ""
    assert json.loads(vsslab_command("ps").stdout)["state"] == state
    assert vsslab_command("down", "--state", state).returncode == 0
    assert process.wait(10) == 0
    assert vsslab_command("ps").stdout == ""
    assert [json.loads(line)["event"] for line in (tmp_path / "t.jsonl").read_text().splitlines()].count("lab") == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it_cleanly(up, tmp_path, number):
    process, card = up("--state", str(tmp_path / "state"))
    process.send_signal(number)
    output, errors = process.communicate(timeout=20)
    assert (process.returncode, output, errors) == (0, "", "")
    assert not Path(card["control"]).exists()


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (("up", "nowhere.yml"), 1, "there is no such scenario file"),
        (("down", "--state", "/nowhere"), 1, "No laboratory answers for the state folder /nowhere"),
        (("stats", "--state", "/nowhere"), 1, "No laboratory answers"),
        (("fault", "--state", "/nowhere", "add", "{on"), 1, "neither YAML nor JSON"),
        (("fly",), 2, "invalid choice"),
    ],
)
def test_errors_are_one_sentence(vsslab_command, arguments, status, sentence):
    done = vsslab_command(*arguments)
    assert done.returncode == status
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_the_help_tells_files_exit_status_and_examples(vsslab_command):
    text = vsslab_command("--help").stdout
    assert all(word in text for word in ("files:", "exit status:", "examples:", "vsslab up office"))
