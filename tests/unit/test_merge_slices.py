# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of slices: the same however the inventory was cut, and nobody is missing from it without a word."""

from __future__ import annotations

import importlib.util
import json
import random
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "examples" / "merge_slices.py"


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("merge_slices", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def job(hosts, minute=0, end="runner_on_ok", **result):
    """The events of a job that backs these hosts up and says so."""
    found, when = [], f"2026-03-01T10:{minute:02}"
    for action, uuid in (("umbra.vss.backup", "u1"), ("ansible.builtin.debug", "u2")):
        for kind in ("runner_on_start", end):
            for host in hosts:
                told = {"host": host, "task": "Back up", "task_action": action, "task_uuid": f"{uuid}-{minute}"}
                if kind == end:
                    told["res"] = {"changed": True, "summary": f"{host}: copied", **result}
                event = {"event": kind, "event_data": told, "created": f"{when}:{len(found):02}.000000+00:00"}
                found.append({"counter": len(found) + 1, **event})
    return found


def kept(events, folder):
    """The artifact folder that ansible-runner makes of these events."""
    (folder / "job_events").mkdir(parents=True)
    for event in events:
        path = folder / "job_events" / f"{event['counter']}-some-id.json"
        path.write_text(json.dumps(event), encoding="utf-8")
    (folder / "job_events" / "1-partial.json.tmp").write_text("{", encoding="utf-8")
    return folder


HOSTS = [f"h{at:02}" for at in range(12)]


@pytest.mark.parametrize("of", [1, 2, 3, 5, 12])
def test_however_it_was_cut(tool, of):
    whole = tool.merge([job(HOSTS)])
    slices = [job(HOSTS[at::of]) for at in range(of)]
    random.Random(of).shuffle(slices)
    assert tool.table(tool.merge(slices)) == tool.table(whole)
    assert [row["host"] for row in whole] == HOSTS


def test_only_what_this_collection_did_is_in_it(tool):
    assert {row["module"] for row in tool.merge([job(HOSTS)])} == {"umbra.vss.backup"}


def test_an_answer_that_never_came_is_told(tool):
    """A node that died: of these hosts nothing but the beginning is known."""
    lost = [event for event in job(["h1", "h2"]) if event["event"] == "runner_on_start"]
    merged = tool.merge([lost, job(["h3"])])
    assert {row["host"]: row["status"] for row in merged} == {"h1": "no answer", "h2": "no answer", "h3": "ok"}


@pytest.mark.parametrize("runs", [(1, 2), (2, 1)])
def test_the_last_run_of_a_host_counts(tool, runs):
    told = {1: job(["h1"], 1, "runner_on_failed", msg="in use", summary=""), 2: job(["h1"], 2)}
    (row,) = tool.merge([told[at] for at in runs])
    assert (row["status"], row["what"]) == ("ok", "h1: copied")


def test_a_failure_that_the_playbook_ignores_is_no_failure(tool):
    events = job(["h1"], end="runner_on_failed", msg="no")
    for event in events:
        event["event_data"]["ignore_errors"] = True
    assert [row["status"] for row in tool.merge([events])] == ["ignored"]


def test_a_loop_says_what_each_turn_came_to(tool):
    turns = [{"summary": "D: copied"}, {"msg": "E: is\nfull"}]
    (row,) = tool.merge([job(["h1"], summary="All items completed", results=turns)])
    assert row["what"] == "D: copied; E: is full"


def test_as_a_program(tool, tmp_path, capsys):
    """Folders of ansible-runner, files of AWX, and the inventory that says who is missing."""
    one = kept(job(["h1"]), tmp_path / "one")
    two = tmp_path / "two.json"
    two.write_text(json.dumps({"count": 4, "results": job(["h|2"])[::-1]}), encoding="utf-8")
    inventory = tmp_path / "inventory.json"
    listed = {"_meta": {"hostvars": {}}, "all": {"children": ["windows"]}, "windows": {"hosts": ["h1", "h|2", "h3"]}}
    inventory.write_text(json.dumps(listed), encoding="utf-8")

    assert tool.main([str(one), str(two)]) == 0
    assert "2 hosts, 0 of them not well." in capsys.readouterr().out
    assert tool.main(["--expect", str(inventory), str(one), str(two)]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "| host | module | task | status | changed | what |",
        "| --- | --- | --- | --- | --- | --- |",
        "| h1 | umbra.vss.backup | Back up | ok | yes | h1: copied |",
        "| h3 |  |  | no answer | no |  |",
        "| h\\|2 | umbra.vss.backup | Back up | ok | yes | h\\|2: copied |",
        "",
        "3 hosts, 1 of them not well.",
    ]
    assert tool.main(["--json", str(one)]) == 0
    assert json.loads(capsys.readouterr().out)[0]["result"]["summary"] == "h1: copied"


def test_a_run_that_never_began_says_nothing_and_fails_nothing_itself(tool, tmp_path):
    """`ansible-runner process` of an empty answer makes no events: --expect is what tells then."""
    (tmp_path / "nothing").mkdir()
    assert tool.read([tmp_path / "nothing"]) == []
    assert tool.main([str(tmp_path / "nothing")]) == 1, "a report of no host is no good end"


def test_the_pages_of_a_job_are_one_run(tool, tmp_path, capsys):
    """What is on the first page counts as much as what is on the last, in whatever order they are named."""
    first = job(["h1"], 1, "runner_on_failed", msg="E: is full", summary="")
    second = [{**event, "counter": event["counter"] + len(first)} for event in job(["h1"], 2)]
    pages = []
    for number, events in enumerate((first, second)):
        pages.append(tmp_path / f"job-7-page-{number}.json")
        pages[-1].write_text(json.dumps({"results": [{**event, "job": 7} for event in events]}), encoding="utf-8")
    for named in (pages, pages[::-1]):
        assert tool.main([str(page) for page in named]) == 1
        lines = capsys.readouterr().out.splitlines()
        assert [line.split(" | ")[3] for line in lines[2:4]] == ["failed", "ok"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "No such file or directory"),
        ("{", "this is not JSON"),
        ("{}", "these are not the job events of AWX"),
        ("[1]", "these are not the job events of AWX"),
    ],
)
def test_what_cannot_be_read_is_named(tool, tmp_path, capsys, content, says):
    path = tmp_path / "page.json"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(SystemExit) as ended:
        tool.main([str(path)])
    assert ended.value.code == 2
    assert f"{path}: {says}" in capsys.readouterr().err


def test_an_inventory_that_is_none_is_named(tool, tmp_path, capsys):
    path = tmp_path / "inventory.json"
    path.write_text("[]", encoding="utf-8")
    with pytest.raises(SystemExit):
        tool.main(["--expect", str(path), str(kept(job(["h1"]), tmp_path / "one"))])
    assert f"{path}: this is not what ansible-inventory --list prints" in capsys.readouterr().err
