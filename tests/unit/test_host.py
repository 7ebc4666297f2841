# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Host asks, acts and watches; what a Runner gives back becomes results or one failure."""

from __future__ import annotations

import pytest
from ansible_collections.umbra.vss.plugins.plugin_utils import _verbs as verbs
from ansible_collections.umbra.vss.plugins.plugin_utils._host import Host
from ansible_collections.umbra.vss.plugins.plugin_utils._pipeline import (
    Command,
    CommandFailed,
    HostError,
    Reply,
    Result,
    Statement,
    Unsendable,
)


class FakeRunner:
    def __init__(self, reply=None, stream=()):
        self.reply, self.results, self.calls, self.closed = reply, list(stream), [], False

    def run(self, statements, repeatable):
        self.calls.append((list(statements), repeatable))
        return self.reply or Reply([Result(statement.key, complete=True) for statement in statements])

    def stream(self, statements):
        self.calls.append((list(statements), True))
        try:
            yield from self.results
        finally:
            self.closed = True

    def reopen(self):
        self.calls.append("reopen")


def test_reading_may_be_repeated_and_changing_may_not():
    runner = FakeRunner()
    host = Host("sql01", runner)
    host.ask(verbs.exists("a", "C:\\"))
    host.act(verbs.remove_file("b", "C:\\x"))
    assert [repeatable for _, repeatable in runner.calls] == [True, False]


def test_every_cmdlet_of_a_change_stops_at_its_first_error():
    runner = FakeRunner()
    Host("sql01", runner).act(verbs.remove_file("b", "C:\\x"), verbs.exists("c", "C:\\"))
    sent = [command for statement in runner.calls[0][0] for command in statement.commands]
    assert {command.parameters["ErrorAction"] for command in sent} == {"Stop"}


def test_programs_are_called_by_their_full_path_below_the_hosts_windows_directory():
    runner = FakeRunner()
    host = Host("sql01", runner)
    host.windows = "D:\\WINNT\\"
    host.ask(verbs.program("a", "vssadmin", "list", "writers"))
    assert runner.calls[0][0][0].commands[0].name == "D:\\WINNT\\System32\\vssadmin.exe"
    assert host.system32("diskshadow") == "D:\\WINNT\\System32\\diskshadow.exe"


def test_a_program_with_a_path_of_its_own_is_refused():
    statement = Statement("a", (Command("C:\\Temp\\x.exe", program=True),))
    with pytest.raises(Unsendable, match="file name alone"):
        Host("sql01", FakeRunner()).ask(statement)


def test_an_unanswered_statement_is_a_failure_that_tells_why():
    reply = Reply([Result("a", complete=True), Result("b")], HostError("Access denied", command="Get-CimInstance"))
    host = Host("sql01", FakeRunner(reply))
    with pytest.raises(CommandFailed, match="Get-CimInstance failed: Access denied") as caught:
        host.ask(verbs.exists("a", "x"), verbs.exists("b", "x"))
    assert (caught.value.key, caught.value.host) == ("b", "sql01")
    assert host.ask(verbs.exists("a", "x"), verbs.exists("b", "x"), allow=True) is reply


def test_errors_that_end_nothing_stay_in_the_result():
    reply = Reply([Result("a", errors=[HostError("no such path")], complete=True)])
    assert Host("sql01", FakeRunner(reply)).ask(verbs.exists("a", "x"))["a"].errors


def test_two_results_cannot_have_one_name():
    with pytest.raises(ValueError, match="same key"):
        Host("sql01", FakeRunner()).ask(verbs.exists("a", "x"), verbs.exists("a", "y"))


def test_watching_gives_results_one_by_one_and_names_may_repeat():
    runner = FakeRunner(stream=[Result("a", [1], complete=True), Result("a", [2], complete=True)])
    ticks = Host("sql01", runner).watch(verbs.exists("a", "x"), verbs.exists("a", "x"))
    assert [result.first for result in ticks] == [1, 2]
    assert runner.closed


def test_to_stop_watching_stops_the_pipeline():
    runner = FakeRunner(stream=[Result("a", complete=True), Result("b", complete=True)])
    ticks = Host("sql01", runner).watch(verbs.exists("a", "x"))
    next(ticks)
    assert not runner.closed
    ticks.close()
    assert runner.closed


def test_a_failure_while_watching_ends_it():
    runner = FakeRunner(stream=[Result("a", errors=[HostError("stopped", command="Get-Content")])])
    with pytest.raises(CommandFailed, match="Get-Content failed: stopped"):
        list(Host("sql01", runner).watch(verbs.exists("a", "x")))


def test_reopening_is_the_runners_business():
    runner = FakeRunner()
    Host("sql01", runner).reopen()
    assert runner.calls == ["reopen"]
