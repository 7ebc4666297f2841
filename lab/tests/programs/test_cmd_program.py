# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""cmd.exe /c: its own reading of the line, its built-in commands, and programs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from vsslab.programs.cmd_line import Part, SyntaxRefused, parts, switches, unquoted, words

Machine = Any  # see conftest
DEVICE = "\\\\?\\GLOBALROOT\\Device\\HarddiskVolumeShadowCopy3\\"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("echo a", [Part("echo a")]),
        ("a&b && c||d", [Part("a"), Part("b "), Part("c", "&&"), Part("d", "||")]),
        ('echo "a & b > c" ^& d', [Part('echo "a & b > c" & d')]),
        ("dir > out.txt", [Part("dir ", out="out.txt")]),
        ('dir >> "a b" 2>&1', [Part("dir  ", out="a b", append=True, merged=True)]),
        ("dir 2>nul", [Part("dir ", err="nul")]),
        ("echo x1>f", [Part("echo x1", out="f")]),
        ("a | b", [Part("a "), Part("b", "|")]),
        ("a < b", [Part("a ", input="b")]),
        ("icacls a /grant Users:(OI)(CI)F", [Part("icacls a /grant Users:(OI)(CI)F")]),
        ("echo (x) && echo)", [Part("echo (x) "), Part("echo)", "&&")]),
        ("", []),
    ],
)
def test_a_line_falls_into_commands_and_redirections(line: str, expected: list[Part]) -> None:
    assert parts(line) == expected


@pytest.mark.parametrize(
    "line", ["(a)", "a && (b)", "@(a)", "if exist a (b)", "a & )", "a <", "a 0> b", "a >", "a 1>&2"]
)
def test_what_is_not_simulated_is_refused(line: str) -> None:
    with pytest.raises(SyntaxRefused):
        parts(line)


def test_type_of_nul_is_the_way_to_an_empty_file(machine: Machine) -> None:
    ended = machine("cmd.exe", "/c", "type nul > C:\\Windows\\Temp\\empty.txt")
    assert (ended.code, ended.out, ended.err) == (0, [], [])
    assert machine.host.files.read("C:\\Windows\\Temp\\empty.txt") == b""


def test_quotes_around_the_whole_command_are_taken_off() -> None:
    assert switches(" /d /c mklink /d a b") == (" /d ", "mklink /d a b")
    assert unquoted('"echo "a b" c"', lambda _name: False) == 'echo "a b" c'
    assert unquoted('"C:\\Program Files\\x.exe"', lambda _name: True) == '"C:\\Program Files\\x.exe"'
    assert words('/d "C:\\a b" c"d e"f') == ["/d", "C:\\a b", "cd ef"]


def test_mklink_makes_and_rmdir_removes_a_link(machine: Machine) -> None:
    made = machine("cmd.exe", "/d", "/c", "mklink", "/d", "C:\\Windows\\Temp\\snap", DEVICE)
    assert (made.code, made.out) == (0, [f"symbolic link created for C:\\Windows\\Temp\\snap <<===>> {DEVICE}"])
    assert machine.host.files.stat("C:\\Windows\\Temp\\snap").link_target == DEVICE
    again = machine("cmd.exe", "/d", "/c", "mklink", "/d", "C:\\Windows\\Temp\\snap", DEVICE)
    assert (again.code, again.err) == (1, ["Cannot create a file when that file already exists."])
    assert machine("cmd.exe", "/d", "/c", "rmdir", "C:\\Windows\\Temp\\snap").code == 0
    assert machine.host.ledger()["links"] == []


def test_links_are_for_administrators_only(machine: Machine) -> None:
    refused = machine("cmd.exe", "/c", "mklink", "/d", "C:\\Users\\bob\\snap", DEVICE, user="bob")
    assert refused.code == 1
    assert refused.err == ["You do not have sufficient privilege to perform this operation."]


def test_rmdir_spares_what_is_not_empty_and_what_links_lead_to(machine: Machine) -> None:
    machine.host.files.mkdir("D:\\kept")
    machine.host.files.write("D:\\kept\\file", b"1")
    machine.host.files.mkdir("D:\\tree\\inner", parents=True)
    machine.host.files.symlink("D:\\tree\\inner\\link", "D:\\kept")
    assert machine("cmd.exe", "/c", "rmdir", "D:\\tree").code == 145
    asked = machine("cmd.exe", "/c", "rmdir", "/s", "D:\\tree")
    assert asked.code == 1
    assert "question" in asked.err[0]
    assert machine("cmd.exe", "/c", "rmdir", "/s", "/q", "D:\\tree").code == 0
    assert machine.host.files.read("D:\\kept\\file") == b"1"
    assert machine("cmd.exe", "/c", "rd D:\\none").code == 2


def test_dir_b_lists_names_and_s_whole_paths(machine: Machine) -> None:
    machine.host.files.mkdir("D:\\a\\b", parents=True)
    machine.host.files.write("D:\\a\\b\\x.log", b"")
    machine.host.files.write("D:\\a\\y.txt", b"")
    assert machine("cmd.exe", "/c", "dir", "/b", "D:\\a").out == ["b", "y.txt"]
    assert machine("cmd.exe", "/c", "dir", "/b", "D:\\a\\*.txt").out == ["y.txt"]
    assert machine("cmd.exe", "/c", "dir", "/b", "/s", "D:\\a\\*.log").out == ["D:\\a\\b\\x.log"]
    assert machine("cmd.exe", "/c", "dir", "/b", "D:\\").out == ["a"]
    assert machine("cmd.exe", "/c", "dir", "/b", "D:\\none").code == 1


def test_output_goes_to_files_and_variables_are_replaced(machine: Machine) -> None:
    line = 'cmd.exe /d /c "echo %COMPUTERNAME% é> D:\\out.txt & echo %NOBODY%>> D:\\out.txt"'
    assert machine("cmd.exe", line=line).code == 0
    assert machine.host.files.read("D:\\out.txt").decode("cp437") == "SRV1 é \r\n%NOBODY%\r\n"
    assert machine("cmd.exe", "/c", "type", "D:\\out.txt").out == ["SRV1 é ", "%NOBODY%"]


def test_commands_follow_one_another_by_their_result(machine: Machine) -> None:
    line = "cmd /c exit_not_there 2>nul || echo no && mkdir D:\\new\\er && rmdir D:\\none 2>nul & echo %ERRORLEVEL%"
    assert machine("cmd.exe", line=line).out == ["no ", "0"]  # variables are read first
    assert machine.host.files.is_dir("D:\\new\\er")
    assert machine("cmd.exe", "/c", "exit", "/b", "7").code == 7
    assert machine("cmd.exe", line="cmd /c exit 3 & echo never").code == 3


def test_anything_else_is_a_program(machine: Machine) -> None:
    assert machine("cmd.exe", "/c", "whoami.exe").out == ["srv1\\administrator"]
    assert machine("cmd.exe", "/c", "C:\\Windows\\System32\\cmd.exe", "/c", "exit", "5").code == 5
    unknown = machine("cmd.exe", "/c", "frobnicate", "now")
    assert unknown.code == 9009
    assert unknown.err[0].startswith("'frobnicate' is not recognized")


def test_chcp_tells_the_code_page_in_the_hosts_words(make_machine: Callable[..., Machine]) -> None:
    assert make_machine(language="de-DE")("cmd.exe", "/c", "chcp").out == ["Aktive Codepage: 850."]
    assert make_machine()("cmd.exe", "/c", "chcp 65001 >nul & echo ü").out == ["ü"]
    assert make_machine()("cmd.exe", "/c", "chcp", "9").code == 1


def test_only_c_is_simulated(machine: Machine) -> None:
    assert "/c" in machine("cmd.exe").err[0]
    assert machine("cmd.exe", "/k", "echo").code == 1


BATCH = """@echo off
set GREETING=hello %1
echo %GREETING% [%NOBODY%] %~dp0
if exist D:\\there.txt echo there
if not exist D:\\none.txt echo not there
if /i "A"=="a" echo same
if 10 GTR 9 echo greater
goto end
echo never
:end
call D:\\inner.cmd "two words"
if errorlevel 3 exit /b 5
"""


def test_a_batch_file_is_run_line_by_line(machine: Machine) -> None:
    files = machine.host.files
    files.write("D:\\there.txt", b"")
    files.write("D:\\inner.cmd", b"@echo inner %~1\r\n@exit /b 3\r\n")
    files.write("D:\\run.cmd", BATCH.replace("\n", "\r\n").encode())
    ended = machine("cmd.exe", "/c", "D:\\run.cmd", "you")
    assert ended.out == ["hello you [] D:\\", "there", "not there", "same", "greater", "inner two words"]
    assert ended.code == 5


def test_a_batch_file_is_echoed_unless_told_not_to(machine: Machine) -> None:
    machine.host.files.write("D:\\run.bat", b"echo one\r\n@echo two\r\n")
    assert machine("cmd.exe", "/c", "D:\\run").out == ["", "C:\\Windows\\System32>echo one ", "one", "two"]


def test_pipes_and_input_go_from_one_to_the_next(machine: Machine) -> None:
    machine.host.files.write("D:\\f.txt", b"pear\r\nApple\r\nplum\r\n")
    assert machine("cmd.exe", line="cmd /c type D:\\f.txt | findstr p").out == ["pear", "Apple", "plum"]
    assert machine("cmd.exe", line="cmd /c sort < D:\\f.txt").out == ["Apple", "pear", "plum"]
    assert machine("cmd.exe", line='cmd /c type D:\\f.txt | find /i /c "AP"').out == ["1"]


def test_files_are_copied_moved_renamed_and_deleted(machine: Machine) -> None:
    files = machine.host.files
    files.mkdir("D:\\a")
    files.write("D:\\a\\1.txt", b"1")
    files.write("D:\\a\\2.txt", b"2")
    assert machine("cmd.exe", "/c", "copy", "D:\\a\\*.txt", "E:\\").out[-1] == "        2 file(s) copied."
    assert files.read("E:\\2.txt") == b"2"
    assert "question" in machine("cmd.exe", "/c", "copy", "D:\\a\\1.txt", "E:\\").err[0]
    assert machine("cmd.exe", "/c", "copy", "/y", "D:\\a\\1.txt", "E:\\2.txt").code == 0
    assert machine("cmd.exe", "/c", "move", "E:\\2.txt", "D:\\three").out == ["        1 file(s) moved."]
    assert machine("cmd.exe", "/c", "ren", "D:\\three", "four").code == 0
    assert files.read("D:\\four") == b"1"
    assert machine("cmd.exe", "/c", "del", "/q", "D:\\a\\*.txt").code == 0
    assert files.listdir("D:\\a") == []
    assert machine("cmd.exe", "/c", "del", "D:\\a\\none").err == ["Could Not Find D:\\a\\none"]


def test_dir_tells_everything(machine: Machine) -> None:
    files = machine.host.files
    files.mkdir("D:\\a\\b", parents=True)
    files.write("D:\\a\\x.log", b"0" * 1234)
    lines = machine("cmd.exe", "/c", "dir", "D:\\a").out
    assert lines[0] == " Volume in drive D has no label."
    assert " Directory of D:\\a" in lines
    assert any(line.endswith("            1,234 x.log") for line in lines)
    assert any(line.endswith("   <DIR>          b") for line in lines)
    assert any(line.split()[:4] == ["1", "File(s)", "1,234", "bytes"] for line in lines)
    assert machine("cmd.exe", "/c", "dir", "D:\\a\\none").code == 1


def test_a_junction_is_made_without_a_privilege(machine: Machine) -> None:
    machine.host.files.mkdir("D:\\away")
    made = machine("cmd.exe", "/c", "mklink", "/j", "D:\\j", "D:\\away")
    assert made.out == ["Junction created for D:\\j <<===>> D:\\away"]
    assert machine.host.files.stat("D:\\j").junction


def test_variables_and_folders_are_remembered_within_a_line(machine: Machine) -> None:
    machine.host.files.mkdir("D:\\a")
    assert machine("cmd.exe", line="cmd /c cd /d D:\\a & cd").out == ["D:\\a"]
    assert machine("cmd.exe", line="cmd /c set X_Y=1& set x_").out == ["X_Y=1"]


@pytest.mark.parametrize("line", ["for %i in (1) do echo", "for %i", "pause", "set /a 1+1", "copy a+b c", "del *.*"])
def test_more_that_is_refused_by_name(machine: Machine, line: str) -> None:
    ended = machine("cmd.exe", line=f"cmd /c {line}")
    assert ended.code == 1
    assert "simulate" in ended.err[0] or "here" in ended.err[0]
