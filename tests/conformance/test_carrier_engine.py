# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real PowerShell engine answers the product's pipelines as the product expects.

Skipped where the engine is not installed: see psengine_pool.
"""

from __future__ import annotations

import pytest
from ansible_collections.umbra.vss.plugins.plugin_utils import _tasks
from ansible_collections.umbra.vss.plugins.plugin_utils import _verbs as verbs
from ansible_collections.umbra.vss.plugins.plugin_utils._host import Host
from ansible_collections.umbra.vss.plugins.plugin_utils._pipeline import Command, CommandFailed, Statement
from ansible_collections.umbra.vss.plugins.plugin_utils._runner import Carrier

from .psengine_pool import EnginePool, available

pytestmark = pytest.mark.skipif(not available(), reason="PSENGINE and PSENGINE_TOOLS do not say where the engine is")

BIG = 12_345_678_901_234


def world(call, parameters):
    if "gone" in str(parameters):
        return [
            {"error": {"message": "no such path", "id": "PathNotFound", "category": "ObjectNotFound", "target": "x"}}
        ]
    return {
        "Get-CimInstance": [
            {"output": {"$types": ["Win32_Volume"], "$props": {"DriveLetter": "D:", "Capacity": {"$u64": str(BIG)}}}}
        ],
        "diskshadow.exe": [
            {"output": "line 1"},
            {"error": {"message": "oops"}},
            {"output": "line 2"},
            {"exit_code": 3},
        ],
        "Get-Content": [{"output": "eins"}, {"output": "zwei ä"}],
        "Get-WinEvent": [
            {
                "output": {
                    "$types": ["E"],
                    "$props": {"Id": 5, "Properties": [{"$types": ["P"], "$props": {"Value": "a"}}]},
                }
            }
        ],
        "Get-FileHash": [{"output": {"$types": ["H"], "$props": {"Path": parameters.get("Algorithm"), "Hash": "AB"}}}],
        "Test-Path": [{"output": True}],
    }.get(call, [])


class Rider:
    def forget(self):
        pass


@pytest.fixture(params=["full", "none"])
def engine(request, tmp_path):
    with EnginePool(tmp_path, world, language=request.param) as found:
        yield found


@pytest.fixture
def host(engine):
    return Host("sql01", Carrier("sql01", engine.pool, Rider()))


def test_a_batch_of_reads_is_one_pipeline_with_every_answer_in_its_place(host, engine):
    before = len(engine.shell.operations)
    reply = host.ask(
        verbs.cim("volumes", "Win32_Volume", ["DriveLetter", "Capacity"]),
        verbs.program("shadow", "diskshadow.exe", "/s", "C:\\x y\\a.dsh"),
        verbs.read_lines("gone", "C:\\gone.txt"),
        verbs.read_lines("lines", "C:\\a.txt"),
        verbs.events("events", 3600, ["VSS"]),
    )
    assert reply["volumes"].values == [{"DriveLetter": "D:", "Capacity": BIG}]
    assert (reply["shadow"].values, reply["shadow"].exit_code) == (["line 1", "line 2"], 3)
    assert reply["shadow"].stderr == ["oops"]
    assert (reply["gone"].values, reply["gone"].errors[0].id) == ([], "PathNotFound")
    assert reply["lines"].values == ["eins", "zwei ä"]
    assert reply["lines"].errors == []
    assert reply["events"].first["Properties"] == [{"Value": "a"}]
    assert engine.shell.operations[before:].count("Command") == 1


def test_nothing_runs_after_a_change_that_failed(host):
    with pytest.raises(CommandFailed, match="no such path") as caught:
        host.act(
            verbs.write_lines("written", "C:\\a", ["x"]),
            verbs.remove_file("removed", "C:\\gone"),
            verbs.make_folder("after", "C:\\b"),
        )
    assert caught.value.key == "removed"


def test_a_tolerated_failure_lets_the_rest_run(host):
    reply = host.act(verbs.remove_file("removed", "C:\\gone").tolerant(), verbs.exists("after", "C:\\"))
    assert reply["removed"].errors[0].id == "PathNotFound"
    assert reply["after"].values == [True]


def test_a_command_that_does_not_exist_fails_in_the_first_place_too(host):
    unknown = Statement("unknown", (Command("Get-Nothing"),))
    with pytest.raises(CommandFailed, match="Get-Nothing"):
        host.ask(unknown, verbs.exists("after", "C:\\"))


def test_a_program_that_is_not_there_has_no_exit_code_of_another(host):
    reply = host.ask(verbs.program("one", "diskshadow"), verbs.program("two", "nothing"), allow=True)
    assert reply["one"].exit_code == 3
    assert (reply["two"].complete, reply["two"].exit_code) == (False, None)


def test_every_verb_binds(host):
    guid = "{3f2504e0-4f89-11d3-9a0c-0305e82c3301}"
    statements = [
        verbs.make_folder("make_folder", "C:\\b"),
        verbs.move_file("move_file", "a", "b"),
        verbs.remove_tree("remove_tree", "b"),
        _tasks.register_task("register_task", "t", "<Task/>"),
        _tasks.start_task("start_task", "t"),
        _tasks.stop_task("stop_task", "t"),
        _tasks.task_info("task_info", "t"),
        _tasks.tasks("tasks"),
        _tasks.remove_task("remove_task", "t"),
        verbs.cim_create_shadow("create", "D:\\", "ClientAccessible", "C:\\log"),
        verbs.cim_delete_shadow("delete", guid),
        verbs.services("services", ["VSS"]),
        verbs.acl("acl", "C:\\x"),
        verbs.list_files("list_files", "C:\\x"),
        verbs.list_folders("list_folders", "C:\\x"),
        verbs.hash_folders("hash_folders", ["C:\\x"]),
        verbs.hash_files("hash_files", ["C:\\x"]),
        verbs.tally("tally", "C:\\x", "C:\\none"),
        verbs.catalogue("catalogue", "C:\\x", "C:\\none", "C:\\log"),
        verbs.own("own", "C:\\x"),
        verbs.remove_link("remove_link", "C:\\x"),
        verbs.read_texts("read_texts", "C:\\*"),
        verbs.read_tail("read_tail", "C:\\x", 3),
        verbs.write_event("write_event", 1, "m"),
        verbs.register_event_source("register_event_source"),
        verbs.secure("secure", "C:\\x"),
        verbs.make_link("make_link", "C:\\x", "\\\\?\\GLOBALROOT\\Device\\X"),
    ]
    assert host.act(*statements).first_incomplete() is None


def test_watching_gives_ticks_as_they_come_and_stopping_frees_the_pool(host, engine):
    ticks = host.watch(verbs.pause("tick", 0.05), verbs.pause("long", 30))
    assert next(ticks).key == "tick"
    ticks.close()
    assert engine.shell.operations[-1] == "Signal"
    assert host.ask(verbs.exists("still", "C:\\"))["still"].values == [True]
