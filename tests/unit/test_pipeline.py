# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pipeline holds typed commands only, and its answer is sorted by sentinels."""

from __future__ import annotations

import pytest
from ansible_collections.umbra.vss.plugins.plugin_utils._pipeline import (
    Command,
    CommandFailed,
    HostError,
    Pipeline,
    ProgramFailed,
    Reply,
    Result,
    Statement,
    compose,
)


def statement(key, *names, **more):
    return Statement(key, tuple(Command(name) for name in names or ("Get-Item",)), **more)


def names(batch):
    return [[command.name for command in one] for one in batch]


def answer(pipeline, *outputs):
    """A reader that was fed: a number stands for that sentinel, a HostError for an error record."""
    reader = pipeline.reader()
    for output in outputs:
        if isinstance(output, HostError):
            reader.error(output)
        else:
            reader.output(sentinel(pipeline, output) if type(output) is int else output)
    return reader


def sentinel(pipeline, number):
    return f"{pipeline.token}:{number}" if pipeline.numbered else pipeline.token


class TestComposing:
    def test_the_first_statement_does_nothing_and_every_other_is_closed_by_a_sentinel(self):
        batch = compose([statement("a"), statement("b", result="none")], "T")
        assert names(batch) == [
            ["Start-Sleep"],
            ["Get-Item", "ConvertTo-Json"],
            ["Write-Output"],
            ["Get-Item", "Out-Null"],
            ["Write-Output"],
        ]
        assert [one[-1].parameters.get("InputObject") for one in batch] == [None, None, "T", None, "T"]

    def test_sentinels_can_be_numbered(self):
        batch = compose([statement("a"), statement("b")], "T", numbered=True)
        assert [one[-1].parameters.get("InputObject") for one in batch] == [None, None, "T:0", None, "T:1"]

    def test_an_exit_code_is_read_right_after_its_program(self):
        batch = compose([Statement("p", (Command("x.exe", program=True),), exit_code=True)], "T")
        assert names(batch) == [["Start-Sleep"], ["x.exe", "ConvertTo-Json"], ["Get-Variable"], ["Write-Output"]]
        assert batch[2][0].parameters["Name"] == "LASTEXITCODE"

    def test_a_statement_that_makes_its_own_json_gets_no_second_one(self):
        batch = compose([statement("a", "Get-Item", "ConvertTo-Json", "Tee-Object")], "T")
        assert names(batch)[1] == ["Get-Item", "ConvertTo-Json", "Tee-Object"]

    def test_text_and_objects_travel_as_they_are(self):
        assert names(compose([statement("a", result="text"), statement("b", result="objects")], "T"))[1::2] == [
            ["Get-Item"],
            ["Get-Item"],
        ]

    def test_two_pipelines_never_share_a_token(self):
        assert Pipeline(()).token != Pipeline(()).token

    def test_strict_stops_cmdlets_at_their_first_error_but_leaves_programs_and_explicit_wishes_alone(self):
        told = Statement(
            "a", (Command("Get-Item"), Command("Remove-Item", {"ErrorAction": "Continue"}), Command("x", program=True))
        ).strict()
        assert [command.parameters.get("ErrorAction") for command in told.commands] == ["Stop", "Continue", None]
        assert statement("a").tolerant().strict() == statement("a").tolerant()


class TestReading:
    def test_values_go_to_the_statement_whose_sentinel_comes_next(self):
        pipeline = Pipeline((statement("a"), statement("b")))
        reply = answer(pipeline, '{"x":1}', 0, "[1,2]", 1).end()
        assert (reply["a"].values, reply["b"].values) == ([{"x": 1}], [1, 2])
        assert reply.first_incomplete() is None

    def test_errors_go_there_too(self):
        pipeline = Pipeline((statement("a"), statement("b")))
        reply = answer(pipeline, 0, HostError("gone"), 1).end()
        assert [error.message for error in reply["b"].errors] == ["gone"]
        assert reply["a"].errors == []

    def test_a_result_without_its_sentinel_is_not_complete(self):
        pipeline = Pipeline((statement("a"), statement("b")))
        reply = answer(pipeline, '"x"', 0, '"half"').end(HostError("it broke"))
        assert reply["a"].complete
        assert not reply["b"].complete
        assert reply["b"].values == ["half"]
        assert reply.failure == HostError("it broke")

    def test_the_exit_code_is_the_last_number_and_no_value(self):
        pipeline = Pipeline((Statement("p", (Command("x.exe", program=True),), exit_code=True),))
        reader = pipeline.reader()
        for output in ('["one","two"]', 3, pipeline.token):
            reader.output(output)
        result = reader.end()["p"]
        assert (result.values, result.exit_code) == (["one", "two"], 3)

    def test_a_program_that_prints_numbers_keeps_them(self):
        pipeline = Pipeline((Statement("p", (Command("x.exe", program=True),), "text", exit_code=True),))
        reader = pipeline.reader()
        for output in ("12", "13", 0, pipeline.token):
            reader.output(output)
        result = reader.end()["p"]
        assert (result.values, result.exit_code) == (["12", "13"], 0)

    def test_a_result_is_handed_over_as_soon_as_its_sentinel_comes(self):
        pipeline = Pipeline((statement("a"), statement("b")))
        reader = pipeline.reader()
        assert reader.output('"early"') is None
        early = reader.output(pipeline.token)
        assert early is not None
        assert (early.key, early.first) == ("a", "early")

    def test_what_is_not_json_makes_the_result_incomplete_and_says_so(self):
        pipeline = Pipeline((statement("a"),))
        reply = answer(pipeline, "<html>", 0).end()
        assert not reply["a"].complete
        assert "not JSON" in reply["a"].errors[0].message

    def test_a_numbered_sentinel_closes_its_own_statement_and_not_the_next(self):
        pipeline = Pipeline((statement("a"), statement("b")), numbered=True)
        reply = answer(pipeline, '"lost with its sentinel"', '"x"', 1).end()
        assert [reply["a"].complete, reply["b"].complete] == [False, True]

    def test_output_that_only_looks_like_a_sentinel_is_output(self):
        pipeline = Pipeline((statement("a", result="text"),))
        assert answer(pipeline, "umbra-0:0", 0).end()["a"].values == ["umbra-0:0"]


class TestFailures:
    def test_a_failed_command_is_one_sentence_with_the_command_in_it(self):
        told = CommandFailed("key", HostError("No such\r\n  path.", command="Get-Item"), "sql01")
        assert str(told) == "Get-Item failed: No such path."

    def test_a_program_must_end_with_an_accepted_code(self):
        result = Result("copy", ["a line", ""], exit_code=8, complete=True)
        assert Result("copy", exit_code=3).require_exit("robocopy", range(8)).exit_code == 3
        assert Result("copy", exit_code=3).require_exit("robocopy", lambda code: code < 8)
        with pytest.raises(ProgramFailed, match="robocopy ended with exit code 8: a line"):
            result.require_exit("robocopy", range(8))
        with pytest.raises(ProgramFailed, match="did not start"):
            Result("copy").require_exit("robocopy")

    def test_lines_of_standard_error_are_told_from_errors(self):
        errors = [HostError("oops", "NativeCommandError"), HostError("x", "PathNotFound,Get")]
        assert Result("p", errors=errors).stderr == ["oops"]
        assert errors[1].id == "PathNotFound"

    def test_a_reply_names_its_results(self):
        reply = Reply([Result("a", complete=True), Result("b")])
        assert list(reply) == ["a", "b"]
        assert len(reply) == 2
        assert reply.first_incomplete().key == "b"
