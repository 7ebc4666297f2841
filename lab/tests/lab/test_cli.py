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
from vsslab.cli import main, manual

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
    environment = {**os.environ, "PYTHONPATH": str(Path(vsslab.__file__).parent.parent), "TMPDIR": str(tmp_path),
                   "XDG_RUNTIME_DIR": ""}  # fmt: skip

    def run(*arguments: str, background: bool = False):
        command = [sys.executable, "-m", "vsslab", *arguments]
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
        (("ps", "--state", "/nowhere"), 2, "unrecognized arguments"),
        (("hosts",), 1, "No laboratory runs on this machine."),
        (("up",), 1, "Say which scenario: a YAML file, editions, office, or --hosts N."),
        (("up", "office", "--hosts", "2"), 1, "Give either a scenario or --hosts"),
        (("up", "office", "--profile", "server2016"), 1, "--profile goes with --hosts"),
        (("up", "--hosts", "2", "--profile", "server1066"), 1, "server1066"),
        (("up", "--hosts", "0"), 1, "at least one host"),
        (("up", "--hosts", "1", "--time", "slow"), 1, "'slow' is not real, virtual, or the date"),
        (("up", "--hosts", "1", "--fault", "/nowhere.yml"), 1, "/nowhere.yml: No such file"),
        (("state", "load", "/nowhere.tar", "--state", "/tmp/none"), 1, "/nowhere.tar cannot be read (No such file"),
        (("state", "load", __file__, "--state", "/tmp/none"), 1, "holds no state of a laboratory."),
        (("up", "--hosts", "1", "--port", "65536"), 2, "'65536' is no port from 0 to 65535"),
        (("up", "--hosts", "1", "--state", __file__), 1, "is a file; the laboratory wants a folder for its state."),
        (("help", "fly"), 1, "There is no command 'fly'"),
        (("fly",), 2, "invalid choice"),
    ],
)
def test_errors_are_one_sentence(vsslab_command, arguments, status, sentence):
    done = vsslab_command(*arguments)
    assert done.returncode == status
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_the_help_tells_files_exit_status_and_examples(vsslab_command):
    text = vsslab_command("help").stdout
    assert all(word in text for word in ("FILES", "EXIT STATUS", "EXAMPLES", "vsslab up office"))


def test_the_only_laboratory_need_not_be_named(vsslab_command, up, tmp_path):
    (tmp_path / "faults.yml").write_text(
        "- {on: {kind: http}, do: {status: 503}}\n- {id: b, on: {task: x}, do: {hang: true}}"
    )
    process, card = up("--time", "2026-03-29T00:30:00Z", "--fault", str(tmp_path / "faults.yml"), "--port", "0")
    assert card["time"] == {"virtual": True, "now": "2026-03-29T00:30:00+00:00"}
    assert min(card["ports"].values()) > 1024
    assert {5985, 5986} & set(card["ports"].values()) == set()
    assert card["page"].startswith("http://127.0.0.1:")
    assert list(json.loads(vsslab_command("hosts").stdout)) == ["srv"]
    assert [json.loads(each)["id"] for each in vsslab_command("fault", "list").stdout.splitlines()] == ["fault1", "b"]
    assert json.loads(vsslab_command("fault", "release", "b").stdout) == {"released": 0}
    assert "There is no 'c'" in vsslab_command("fault", "remove", "c").stderr
    assert vsslab_command("fault", "clear").returncode == 0
    assert vsslab_command("fault", "list").stdout == ""
    assert json.loads(vsslab_command("time", "advance", "70s").stdout)["now"] == "2026-03-29T00:31:10+00:00"
    assert json.loads(vsslab_command("time").stdout)["now"] == "2026-03-29T00:31:10+00:00"
    assert "'soon' is not a duration" in vsslab_command("time", "advance", "soon").stderr
    lines = [json.loads(each) for each in vsslab_command("trace", "--event", "lab").stdout.splitlines()]
    assert [each["event"] for each in lines] == ["lab"]
    assert vsslab_command("trace", "--host", "nobody").stdout == ""
    assert json.loads(vsslab_command("refusals").stdout) == {}
    assert vsslab_command("down").returncode == 0
    assert process.wait(20) == 0
    assert not Path(card["state"]).exists()


def test_following_the_trace_ends_with_the_laboratory(vsslab_command, up):
    up()
    follower = vsslab_command("trace", "--follow", "--timeline", background=True)
    assert "lab" in follower.stdout.readline()
    assert vsslab_command("down").returncode == 0
    assert follower.wait(20) == 0
    follower.communicate()


def test_of_two_laboratories_one_must_be_named(vsslab_command, up, tmp_path):
    up("--state", str(tmp_path / "a"))
    up("--state", str(tmp_path / "b"))
    told = vsslab_command("hosts")
    assert told.returncode == 1
    assert "2 laboratories run" in told.stderr
    assert vsslab_command("hosts", "--state", str(tmp_path / "b")).returncode == 0


def test_a_killed_laboratory_is_forgotten(vsslab_command, up, tmp_path):
    process, _ = up("--state", str(tmp_path / "state"))
    assert vsslab_command("ps").stdout
    process.kill()
    process.wait()
    assert vsslab_command("ps").stdout == ""
    assert not list(tmp_path.glob("vsslab-*/*.json"))


def test_a_state_is_kept_when_it_is_wanted(up):
    process, card = up("--keep")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert Path(card["state"], "hosts").exists()


def test_what_a_killed_laboratory_left_is_swept_away(vsslab_command, up, tmp_path):
    temporary, kept = up("--port", "0"), up("--port", "0", "--state", str(tmp_path / "kept"))
    for process, _ in (temporary, kept):
        process.kill()
        process.wait()
    assert Path(temporary[1]["state"]).exists()
    assert vsslab_command("ps").stdout == ""
    assert not Path(temporary[1]["state"]).exists(), "nobody asked for this folder"
    assert Path(kept[1]["state"], "hosts").exists(), "somebody asked for this one"
    process, _ = up("--port", "0", "--state", str(tmp_path / "kept"))
    assert process.poll() is None, "a folder that a killed laboratory left can be used again"


def test_a_saved_state_is_continued(vsslab_command, up, tmp_path):
    up("--state", str(tmp_path / "one"))
    assert json.loads(vsslab_command("state", "dump", str(tmp_path / "kept.tar")).stdout)["hosts"] == ["srv"]
    assert "A laboratory runs with" in vsslab_command("state", "load", str(tmp_path / "kept.tar"), "--state",
                                                       str(tmp_path / "one")).stderr  # fmt: skip
    assert vsslab_command("down").returncode == 0
    assert vsslab_command("state", "load", str(tmp_path / "kept.tar"), "--state", str(tmp_path / "two")).returncode == 0
    process = vsslab_command("up", "--state", str(tmp_path / "two"), background=True)
    try:
        assert json.loads(process.stdout.readline())["scenario"] == "tiny"
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)


@pytest.mark.parametrize("name", sorted(manual.pages()))
def test_every_command_has_a_manual_page(name, capsys):
    assert main(["help", *([] if name == "vsslab" else name.split())]) == 0
    text = capsys.readouterr().out
    for section in ("NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "FILES", "EXIT STATUS", "EXAMPLES"):
        assert f"{section}\n       " in text
    assert max(map(len, text.splitlines())) <= 120
    assert "argparse" not in text
