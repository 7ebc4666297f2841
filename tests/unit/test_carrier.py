# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Carrier sorts what a host says, and knows what may be said twice."""

from __future__ import annotations

import base64
import re
from types import SimpleNamespace

import pytest
from ansible_collections.umbra.vss.plugins.plugin_utils import _runner
from ansible_collections.umbra.vss.plugins.plugin_utils import _verbs as verbs
from ansible_collections.umbra.vss.plugins.plugin_utils._pipeline import ConnectionLost
from ansible_collections.umbra.vss.plugins.plugin_utils._riders import (
    SHELL_GONE,
    TIMED_OUT,
    Garbled,
    PsrpRider,
    trouble,
)
from ansible_collections.umbra.vss.plugins.plugin_utils._runner import Carrier, Refused
from pypsrp.complex_objects import GenericComplexObject, PSInvocationState, RunspacePoolState
from pypsrp.exceptions import AuthenticationError, WinRMTransportError, WSManFaultError
from pypsrp.messages import ErrorRecordMessage, MessageType
from pypsrp.powershell import RunspacePool
from requests import exceptions as requests

ASK = (verbs.exists("a", "C:\\x"), verbs.exists("b", "C:\\y"))
DONE = ("state", PSInvocationState.COMPLETED)


def fault(code):
    return WSManFaultError(code, "host", "a reason", None, None, None)


def record(message):
    found = ErrorRecordMessage(fq_error="Id,Class", category=13, activity="Get-Item", target_name="x")
    found._to_string = message
    return found


class Shell:
    """Stands for WinRS: each command takes the next step of `begin`, an exception or None."""

    resource_uri = "http://schemas.microsoft.com/powershell/Microsoft.PowerShell"
    _selector_set = None

    def __init__(self, begin):
        self.begin, self.said = list(begin), []

    def command(self, executable, arguments, no_shell=False, command_id=None):
        self.said.append("Command")
        self.sentinels = re.findall(r"umbra-[-0-9a-f:]+", base64.b64decode(arguments[0]).decode("latin-1"))
        self.sentinels *= 1 if ":" in self.sentinels[0] else len(ASK)  # those that are all the same are said once
        step = self.begin.pop(0) if self.begin else None
        if step is not None:
            raise step
        return SimpleNamespace(find=lambda *_: SimpleNamespace(text=command_id))

    def send(self, *_, **__):
        self.said.append("Send")

    def signal(self, code, command_id):
        self.said.append("Signal")


class Pool(RunspacePool):
    """A pool whose answers are written down: each Receive takes the next step, an exception or a list of messages.

    A number stands for that sentinel of the running pipeline.
    """

    def __init__(self, steps, begin=()):
        wsman = SimpleNamespace(max_payload_size=300_000, delete=lambda *_, **__: None)
        super().__init__(wsman)
        self.protocol_version = "2.3"
        self.state, self.shell, self.steps = RunspacePoolState.OPENED, Shell(begin), list(steps)

    def _receive(self, command=None, timeout=None):
        self.shell.said.append("Receive")
        step = self.steps.pop(0)
        if isinstance(step, Exception):
            raise step
        return [self._message(self.pipelines[command], one) for one in step]

    def _message(self, pipeline, one):
        if isinstance(one, tuple):
            pipeline.state = one[1]
            pipeline.streams.error.extend(one[2:])
            return MessageType.PIPELINE_STATE, None
        if isinstance(one, ErrorRecordMessage):
            pipeline.streams.error.append(one)
            return MessageType.ERROR_RECORD, None
        if isinstance(one, int):
            one = self.shell.sentinels[one]
        return MessageType.PIPELINE_OUTPUT, SimpleNamespace(data=SimpleNamespace(data=one))


class Rider:
    def __init__(self):
        self.forgotten = 0

    def forget(self):
        self.forgotten += 1


def carrier(pool, **more):
    return Carrier("sql01", pool, Rider(), sleep=lambda seconds: None, **more)


class TestSorting:
    def test_outputs_and_errors_of_one_receive_keep_their_order(self):
        pool = Pool([["true", record("one"), 0, record("two"), "false", 1, DONE]])
        reply = carrier(pool).run(ASK, True)
        assert [reply["a"].values, reply["b"].values] == [[True], [False]]
        assert [error.message for error in reply["a"].errors + reply["b"].errors] == ["one", "two"]

    def test_they_keep_it_over_several_receives(self):
        pool = Pool([["true"], [record("one")], [0, record("two")], [1, DONE]])
        reply = carrier(pool).run(ASK, True)
        assert [error.message for error in reply["b"].errors] == ["two"]

    def test_a_failed_pipeline_tells_its_record(self):
        pool = Pool([[record("early"), "true", 0, ("state", PSInvocationState.FAILED, record("it broke"))]])
        reply = carrier(pool).run(ASK, True)
        assert reply.failure.message == "it broke"
        assert (reply.failure.id, reply.failure.category, reply.failure.command) == ("Id", "ObjectNotFound", "Get-Item")
        assert reply.first_incomplete().key == "b"

    def test_a_text_with_note_properties_is_a_text(self):
        noted = GenericComplexObject()
        noted.property_sets, noted.extended_properties = ["true"], {"PSPath": "x"}
        assert carrier(Pool([[noted, 0, 1, DONE]])).run(ASK, True)["a"].values == [True]

    def test_no_answer_yet_is_no_failure(self):
        pool = Pool([fault(TIMED_OUT), [], [0, 1, DONE]])
        assert carrier(pool).run(ASK, False).first_incomplete() is None

    def test_it_counts(self):
        mine = carrier(Pool([[], [0, 1, DONE]]))
        mine.run(ASK, True)
        assert (mine.counters.pipelines, mine.counters.receives) == (1, 2)


class TestRepairs:
    def test_a_lost_receive_is_asked_for_again_over_a_new_session(self):
        pool = Pool([["true", 0], requests.ConnectionError(), [1, DONE]])
        mine = carrier(pool)
        assert mine.run(ASK, False).first_incomplete() is None
        assert pool.shell.said == ["Command", "Receive", "Receive", "Receive"]
        assert mine._rider.forgotten == 1

    @pytest.mark.parametrize("lost", [requests.ReadTimeout(), Garbled(), WinRMTransportError("http", 400, "")])
    def test_so_is_one_that_timed_out_or_cannot_be_read(self, lost):
        assert carrier(Pool([lost, [0, 1, DONE]])).run(ASK, False).first_incomplete() is None

    def test_a_read_whose_answer_was_lost_in_part_is_run_again(self):
        pool = Pool([["true"], requests.ConnectionError(), [DONE], ["true", 0, "false", 1, DONE]])
        reply = carrier(pool).run(ASK, True)
        assert reply["b"].values == [False]
        assert pool.shell.said.count("Command") == 2

    def test_when_a_sentinel_may_be_lost_nothing_is_read_from_a_pipeline_that_failed(self):
        failed = ("state", PSInvocationState.FAILED, record("it broke"))
        pool = Pool([["true"], requests.ConnectionError(), ["false", 0, failed]])
        with pytest.raises(ConnectionLost):
            carrier(pool).run(ASK, False)

    def test_a_change_whose_answer_was_lost_in_part_is_never_run_again(self):
        pool = Pool([["true", 0], requests.ConnectionError(), [DONE]])
        with pytest.raises(ConnectionLost, match="the connection to sql01 was lost") as caught:
            carrier(pool).run(ASK, False)
        assert caught.value.keys == ("a", "b")
        assert pool.shell.said.count("Command") == 1

    def test_a_command_whose_answer_was_lost_is_repeated_only_when_it_reads(self):
        reading = Pool([[0, 1, DONE]], begin=[requests.ConnectionError()])
        assert carrier(reading).run(ASK, True)
        assert reading.shell.said == ["Command", "Signal", "Command", "Receive"]
        changing = Pool([], begin=[requests.ConnectionError()])
        with pytest.raises(ConnectionLost):
            carrier(changing).run(ASK, False)
        assert changing.shell.said == ["Command"]

    def test_it_is_repeated_once_and_no_more(self):
        pool = Pool([], begin=[requests.ConnectionError(), requests.ConnectionError()])
        with pytest.raises(ConnectionLost):
            carrier(pool).run(ASK, True)
        assert pool.shell.said.count("Command") == 2

    def test_when_the_host_has_no_such_shell_a_new_one_is_opened_even_for_a_change(self, monkeypatch):
        fresh = Pool([[0, 1, DONE]])
        monkeypatch.setattr(fresh, "open", lambda: None)
        monkeypatch.setattr("pypsrp.powershell.RunspacePool", lambda *_, **__: fresh)
        seen = []
        old = Pool([], begin=[fault(SHELL_GONE)])
        assert carrier(old, renewed=seen.append).run(ASK, False).first_incomplete() is None
        assert seen == [fresh]

    def test_a_host_that_refuses_to_begin_is_not_asked_again(self):
        pool = Pool([], begin=[fault(2150859173)])
        with pytest.raises(Refused, match="too many shells"):
            carrier(pool).run(ASK, True)
        assert pool.shell.said == ["Command"]

    def test_a_bug_is_not_taken_for_a_lost_connection(self):
        with pytest.raises(ZeroDivisionError):
            carrier(Pool([ZeroDivisionError()])).run(ASK, True)


class TestStreams:
    def test_each_result_comes_as_soon_as_it_is_complete(self):
        pool = Pool([["true", 0], ["false", 1, DONE]])
        results = carrier(pool).stream(ASK)
        assert next(results).values == [True]
        assert pool.shell.said == ["Command", "Receive"]
        assert next(results).values == [False]
        assert next(results, None) is None

    def test_to_leave_early_stops_the_pipeline_on_the_host(self):
        pool = Pool([[0], [1, DONE]])
        results = carrier(pool).stream(ASK)
        next(results)
        results.close()
        assert pool.shell.said[-1] == "Signal"

    def test_a_stream_that_ends_gives_no_signal(self):
        pool = Pool([[0, 1, DONE]])
        list(carrier(pool).stream(ASK))
        assert pool.shell.said == ["Command", "Receive"]

    def test_after_a_loss_only_what_is_missing_is_asked_again(self):
        pool = Pool([["true", 0], requests.ConnectionError(), requests.ConnectionError(), ["false", 0, DONE]])
        assert [result.key for result in carrier(pool).stream(ASK)] == ["a", "b"]

    def test_a_failure_is_the_last_result(self):
        pool = Pool([[0, ("state", PSInvocationState.FAILED, record("it broke"))]])
        last = list(carrier(pool).stream(ASK))[-1]
        assert (last.key, last.complete, last.errors[-1].message) == ("b", False, "it broke")


class TestRiders:
    class Transport:
        endpoint = "http://sql01:5985/wsman"

        def __init__(self):
            self.session, self.encryption, self.sent = object(), object(), []

        def send(self, message, **options):
            self.sent.append((message, options))
            if message == b"bad":
                raise IndexError("no such part")
            if message == b"stale" and self.encryption is not None:
                raise WinRMTransportError("http", 400, "")
            if message == b"broken":
                raise WinRMTransportError("http", 500, "")
            return b"answer"

        def close(self):
            self.sent.append("closed")

    def test_a_sealed_session_that_was_silent_too_long_is_given_up_before_it_is_used(self):
        transport = self.Transport()
        rider = PsrpRider(transport, last_used=0.0)
        assert rider.send(b"x", retries_on_read_timeout=5) == b"answer"
        assert transport.sent == ["closed", (b"x", {"retries_on_read_timeout": 0})]
        assert transport.session is None
        assert transport.encryption is None

    def test_one_without_seals_or_in_use_is_kept(self):
        transport = self.Transport()
        PsrpRider(transport).send(b"x")
        transport.encryption = None
        PsrpRider(transport, last_used=0.0).send(b"x")
        assert "closed" not in transport.sent

    def test_a_message_that_the_host_could_not_unseal_was_not_read_and_is_sent_again(self):
        transport = self.Transport()
        assert PsrpRider(transport).send(b"stale") == b"answer"
        assert transport.sent == [(b"stale", {}), "closed", (b"stale", {})]

    def test_any_other_status_is_not_taken_for_that(self):
        transport = self.Transport()
        with pytest.raises(WinRMTransportError):
            PsrpRider(transport).send(b"broken")
        assert len(transport.sent) == 1

    def test_an_answer_that_cannot_be_unsealed_is_garbled(self):
        with pytest.raises(Garbled, match="no such part"):
            PsrpRider(self.Transport()).send(b"bad")


@pytest.mark.parametrize(
    ("exc", "told"),
    [
        (requests.ConnectTimeout(), "could not be reached in time"),
        (requests.ReadTimeout(), "did not answer in time"),
        (requests.SSLError(), "no trusted TLS connection"),
        (requests.ConnectionError(ConnectionRefusedError(111, "Connection refused")), r"failed \(Connection refused\)"),
        (AuthenticationError("x"), "did not accept the user name and password"),
        (WinRMTransportError("http", 503, ""), "HTTP status 503"),
        (fault(5), "access is denied"),
        (fault(99), "refused the request: a reason"),
        (fault(SHELL_GONE), "closed our shell"),
        (Garbled("x"), "decrypted"),
    ],
)
def test_every_trouble_has_a_reason_in_plain_words(exc, told):
    found = trouble(exc)
    assert found is not None
    with pytest.raises(ValueError, match=told):
        raise ValueError(found.reason)


def test_what_is_no_trouble_of_the_wire_is_left_alone():
    assert trouble(KeyError("x")) is None


def test_reopening_makes_a_new_pool_and_hands_it_on(monkeypatch):
    fresh = Pool([])
    monkeypatch.setattr(fresh, "open", lambda: None)
    monkeypatch.setattr("pypsrp.powershell.RunspacePool", lambda *_, **__: fresh)
    seen = []
    mine = carrier(Pool([]), renewed=seen.append)
    mine.reopen()
    assert seen == [fresh]
    assert mine._rider.forgotten == 1


@pytest.fixture
def lost(monkeypatch):
    """A change whose answer is lost, by what its pool still says and how it begins; reopening gives a fresh pool."""
    fresh = Pool([])
    monkeypatch.setattr(fresh, "open", lambda: None)
    monkeypatch.setattr("pypsrp.powershell.RunspacePool", lambda *_, **__: fresh)

    def lose(steps, begin=()):
        pool, seen = Pool(steps, begin), []
        mine = carrier(pool, renewed=seen.append)
        with pytest.raises(ConnectionLost):
            mine.run(ASK, False)
        return mine, pool, seen

    return lose


class TestReopeningAfterAChange:
    """Its session ends with what runs in it, so what changes something is let come to its end first."""

    away = requests.ConnectionError()

    def test_it_is_heard_out(self, lost):
        mine, pool, seen = lost([self.away, self.away, [0], fault(TIMED_OUT), [1, DONE], ["too much"]])
        assert not seen
        mine.reopen()
        assert pool.steps == [["too much"]]
        assert len(seen) == 1

    def test_also_when_it_is_not_known_whether_it_has_begun(self, lost):
        mine, pool, seen = lost([["true"], fault(TIMED_OUT), [0, 1, DONE], ["too much"]], [self.away])
        mine.reopen()
        assert pool.steps == [["too much"]]
        assert len(seen) == 1

    @pytest.mark.parametrize("code", [SHELL_GONE, TIMED_OUT, 995])
    def test_one_that_has_not_begun_or_is_gone_is_not_waited_for(self, lost, code):
        mine, pool, seen = lost([fault(code), ["too much"]], [self.away])
        mine.reopen()
        assert pool.steps == [["too much"]]
        assert len(seen) == 1

    def test_a_host_that_does_not_answer_is_asked_again_at_the_next_attempt(self, lost):
        mine, pool, seen = lost([self.away, self.away, self.away, [0, 1, DONE]])
        with pytest.raises(ConnectionLost):
            mine.reopen()
        assert not seen, "the old session is not left"
        mine.reopen()
        assert pool.steps == []
        assert len(seen) == 1

    def test_what_only_reads_is_not_waited_for(self, lost):
        mine = carrier(Pool([self.away, self.away, self.away, self.away]))
        with pytest.raises(ConnectionLost):
            mine.run(ASK, True)
        mine.reopen()


def test_a_failing_goodbye_hides_nothing():
    def leave(pool):
        raise requests.ConnectionError

    carrier(Pool([]), leave=leave).close()


def test_the_numbers_of_the_states_are_those_of_the_protocol():
    shell = SimpleNamespace(state=PSInvocationState.RUNNING)
    talk = _runner._Talk(shell, None)
    assert talk.going
    shell.state = PSInvocationState.COMPLETED
    assert not talk.going
