# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs say only what Windows documents, and refuse what would not arrive as it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.umbra.vss.plugins.plugin_utils import _verbs as verbs
from ansible_collections.umbra.vss.plugins.plugin_utils._pipeline import Unsendable, compose

GUID = "3f2504e0-4f89-11d3-9a0c-0305e82c3301"
DOCUMENTED = Path(__file__).resolve().parents[2] / "lab" / "src" / "vsslab" / "engine" / "data" / "cmdlets.json"
COMMON = {"ErrorAction"}

EVERY = [
    verbs.program("k", "vssadmin", "list", "writers"),
    verbs.program("k", "robocopy", "a", result="text"),
    verbs.make_link("k", "C:\\run\\d", "\\\\?\\GLOBALROOT\\Device\\HarddiskVolumeShadowCopy1"),
    verbs.remove_link("k", "C:\\run\\d"),
    verbs.secure("k", "C:\\run"),
    verbs.own("k", "C:\\run"),
    verbs.cim("k", "Win32_Volume", ["Name"], f"Name={verbs.wql('D:')}"),
    verbs.cim_create_shadow("k", "D:\\", "ClientAccessible", "C:\\log"),
    verbs.cim_delete_shadow("k", GUID),
    verbs.make_folder("k", "C:\\a"),
    verbs.make_folder("k", "C:\\a", exist_ok=False),
    verbs.write_lines("k", "C:\\a", ["x"]),
    verbs.move_file("k", "a", "b"),
    verbs.remove_file("k", "a"),
    verbs.remove_tree("k", "a"),
    verbs.exists("k", "a"),
    verbs.read_texts("k", "C:\\*\\r.json"),
    verbs.read_lines("k", "a"),
    verbs.read_tail("k", "a", 3),
    verbs.list_files("k", "a"),
    verbs.list_folders("k", "a"),
    verbs.tally("k", "a", "n", (("f",), ("g",))),
    verbs.catalogue("k", "a", "n", "l"),
    verbs.hash_folders("k", ["a", "b"]),
    verbs.hash_files("k", ["a"]),
    verbs.acl("k", "a"),
    verbs.register_task("k", "t", "<Task/>"),
    verbs.start_task("k", "t"),
    verbs.stop_task("k", "t"),
    verbs.remove_task("k", "t"),
    verbs.task_info("k", "t"),
    verbs.tasks("k"),
    verbs.pause("k", 1.5),
    verbs.events("k", 60, ["VSS"]),
    verbs.write_event("k", 1, "m"),
    verbs.register_event_source("k"),
    verbs.services("k", ["VSS"]),
]


def test_no_verb_holds_anything_but_commands_with_plain_values():
    def plain(value):
        if isinstance(value, (list, tuple)):
            return all(plain(item) for item in value)
        if isinstance(value, dict):
            return all(plain(item) for item in value.values())
        return type(value) in (str, int, bool, float)

    for statement in EVERY:
        for commands in compose([statement]):
            for command in commands:
                assert plain(list(command.parameters.values()))
                assert plain(list(command.arguments))
                assert not command.arguments or command.program


@pytest.mark.skipif(not DOCUMENTED.exists(), reason="the documented cmdlets are not here")
def test_every_cmdlet_and_parameter_is_documented_and_fits_one_parameter_set():
    known = json.loads(DOCUMENTED.read_text(encoding="utf-8"))["cmdlets"]
    for command in (c for one in compose([*EVERY]) for c in one if not c.program):
        used = set(command.parameters) - COMMON
        sets = [{p["name"]: p for p in one["parameters"]} for one in known[command.name]["sets"]]
        fitting = [one for one in sets if used <= set(one)]
        assert fitting, f"{command.name} has no parameter set with {sorted(used)}"


def test_every_change_stops_at_its_first_error():
    tolerant = {"Remove-Item", "Stop-ScheduledTask", "Unregister-ScheduledTask", "Write-EventLog"}
    changing = {"New-Item", "Set-Content", "Move-Item", "Register-ScheduledTask", "Start-ScheduledTask"}
    changing |= {"Invoke-CimMethod", "Remove-CimInstance"}
    seen = {c.name: c.parameters.get("ErrorAction") for s in EVERY for c in s.commands if c.name in changing | tolerant}
    assert {name: seen[name] for name in changing} == dict.fromkeys(changing, "Stop")
    assert {seen[name] for name in tolerant} == {None}


class TestPrograms:
    @pytest.mark.parametrize(
        ("argument", "why"),
        [
            ("", "empty"),
            ('say "x"', "double quote"),
            ("C:\\My Files\\", "backslash"),
            ("C:\\My\u00a0Files\\", "backslash"),
            ("a\nb", "line breaks"),
            ("a\tb", "tab"),
            ("a\x00b", "control"),
            ("a\x85b", "control"),
        ],
    )
    def test_arguments_that_would_not_arrive_are_refused(self, argument, why):
        with pytest.raises(Unsendable, match=why):
            verbs.program("k", "robocopy", argument)

    @pytest.mark.parametrize(
        "argument", ["D:\\", "C:\\My Files", "/grant:r", "%TEMP%", "$x", "ä b", "*S-1-5-18:(OI)(CI)F"]
    )
    def test_all_others_are_sent_as_they_are(self, argument):
        assert verbs.program("k", "robocopy", argument).commands[0].arguments == (argument,)

    @pytest.mark.parametrize("name", ["C:\\x.exe", "..\\x", "x y", "", "cmd.exe /c"])
    def test_a_program_has_a_bare_name(self, name):
        with pytest.raises(Unsendable):
            verbs.program("k", name)

    @pytest.mark.parametrize("letter", "&|<>^%!;,=`")
    def test_nothing_that_cmd_would_interpret_gets_into_a_link(self, letter):
        with pytest.raises(Unsendable, match="path of a link"):
            verbs.make_link("k", f"C:\\run{letter}x", "\\\\?\\GLOBALROOT\\Device\\X")

    def test_a_links_target_ends_in_a_backslash_and_a_removed_link_does_not(self):
        assert verbs.make_link("k", "C:\\l", "\\\\?\\GLOBALROOT\\Device\\X").commands[0].arguments[-1].endswith("X\\")
        assert verbs.remove_link("k", "C:\\l\\").commands[0].arguments[-1] == "C:\\l"


class TestQueries:
    def test_texts_in_wql_cannot_end_their_quotes(self):
        assert verbs.wql("O'Neil\\x") == "'O\\'Neil\\\\x'"

    def test_a_shadow_copy_is_deleted_by_a_guid_and_nothing_else(self):
        query = verbs.cim_delete_shadow("k", "{" + GUID + "}").commands[0].parameters["Query"]
        assert query.endswith(f"ID='{{{GUID.upper()}}}'")
        for wrong in ("%", "*", GUID + "' OR ID LIKE '%", ""):
            with pytest.raises(Unsendable, match="not a GUID"):
                verbs.cim_delete_shadow("k", wrong)

    def test_an_event_provider_is_a_name(self):
        with pytest.raises(Unsendable, match="event provider"):
            verbs.events("k", 60, ["VSS' or 1=1"])


class TestFiles:
    @pytest.mark.parametrize("line", ["a\nb", "a\rb", "a\x1ab", "a\x00"])
    def test_a_line_of_a_file_is_one_line(self, line):
        with pytest.raises(Unsendable, match="line of a file"):
            verbs.write_lines("k", "C:\\a", [line])

    def test_ascii_files_hold_ascii(self):
        with pytest.raises(Unsendable, match="question marks"):
            verbs.write_lines("k", "C:\\a", ["Bücher"])
        assert verbs.write_lines("k", "C:\\a", ["Bücher"], "Unicode")

    def test_a_pause_is_short(self):
        with pytest.raises(Unsendable, match="60 seconds"):
            verbs.pause("k", 61)
