# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scheduled tasks of ours run as SYSTEM, once, and get their arguments as they were meant."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from ansible_collections.umbra.vss.plugins.plugin_utils import _verbs as verbs
from ansible_collections.umbra.vss.plugins.plugin_utils._pipeline import Unsendable
from ansible_collections.umbra.vss.plugins.plugin_utils._tasks import argument_line
from hypothesis import given
from hypothesis import strategies as st

NS = {"t": "http://schemas.microsoft.com/windows/2004/02/mit/task"}
EXE = "C:\\Windows\\System32\\robocopy.exe"


def read(**more):
    return ET.fromstring(verbs.task_xml([(EXE, ["D:\\a & b", "/E"])], limit=3725, **more))


def text(task, path):
    return task.findtext(path, namespaces=NS)


def split(line):
    """CommandLineToArgvW's rules, for what follows the program's name."""
    words, word, quoted, slashes, begun = [], "", False, 0, False
    for letter in line:
        if letter == "\\":
            slashes, begun = slashes + 1, True
            continue
        if letter == '"':
            word += "\\" * (slashes // 2)
            if slashes % 2:
                word += '"'
            else:
                quoted = not quoted
            slashes, begun = 0, True
            continue
        word, slashes = word + "\\" * slashes, 0
        if letter in " \t" and not quoted:
            if begun:
                words.append(word)
            word, begun = "", False
        else:
            word, begun = word + letter, True
    word += "\\" * slashes
    return [*words, word] if begun else words


def test_it_runs_as_system_with_highest_rights_and_never_twice_at_once():
    task = read(description="a <test>")
    assert text(task, ".//t:UserId") == "S-1-5-18"
    assert text(task, ".//t:RunLevel") == "HighestAvailable"
    assert text(task, ".//t:MultipleInstancesPolicy") == "IgnoreNew"
    assert text(task, ".//t:Description") == "a <test>"


def test_its_time_limit_is_the_one_given_and_nothing_else_ends_it():
    task = read()
    assert text(task, ".//t:ExecutionTimeLimit") == "PT1H2M5S"
    assert text(task, ".//t:DisallowStartIfOnBatteries") == "false"
    assert text(task, ".//t:StopIfGoingOnBatteries") == "false"
    assert text(task, ".//t:RunOnlyIfIdle") == "false"


def test_it_has_no_trigger_unless_it_is_a_lease():
    assert list(read().find("t:Triggers", NS)) == []
    lease = read(start="2026-01-31T12:00:00Z")
    assert text(lease, ".//t:TimeTrigger/t:StartBoundary") == "2026-01-31T12:00:00Z"
    assert text(lease, ".//t:StartWhenAvailable") == "true"
    with pytest.raises(Unsendable, match="moment"):
        read(start="tomorrow")


def test_several_actions_come_one_after_the_other():
    task = ET.fromstring(verbs.task_xml([(EXE, ["a"]), (EXE, [])], limit=60))
    assert [one.findtext("t:Arguments", namespaces=NS) for one in task.findall(".//t:Exec", NS)] == ["a", None]


def test_markup_in_arguments_stays_text():
    assert text(read(), ".//t:Arguments") == '"D:\\a & b" /E'


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["C"], exclude_characters='"%$'), min_size=1)))
def test_every_argument_arrives_as_it_was_given(args):
    assert split(argument_line(args)) == args


@pytest.mark.parametrize("token", ["", 'a"b', "a\nb", "%TEMP%", "$(Arg0)", "$(arg12)"])
def test_what_would_not_arrive_is_refused(token):
    with pytest.raises(Unsendable):
        verbs.task_xml([(EXE, [token])], limit=60)


def test_a_single_percent_sign_is_an_argument_like_any_other():
    assert argument_line(["50%"]) == "50%"


@pytest.mark.parametrize("exe", ["robocopy.exe", "\\\\server\\x.exe", 'C:\\a"b.exe'])
def test_its_program_has_a_full_path(exe):
    with pytest.raises(Unsendable):
        verbs.task_xml([(exe, [])], limit=60)


@pytest.mark.parametrize("name", ["", "a\\b", "../x", "a b", "*"])
def test_a_name_cannot_lead_out_of_our_folder(name):
    with pytest.raises(Unsendable, match="name for a scheduled task"):
        verbs.start_task("k", name)


def test_tasks_of_ours_live_in_a_folder_of_their_own():
    assert verbs.register_task("k", "run-copy", "<Task/>").commands[0].parameters["TaskPath"] == "\\umbra-vss\\"
