# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sessions of PowerShell remoting as pypsrp sees them."""

from __future__ import annotations

import time

import pytest
import requests
from pypsrp.complex_objects import PSInvocationState
from pypsrp.exceptions import WinRMTransportError, WSManFaultError
from pypsrp.messages import GetAvailableRunspaces
from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.wsman import SelectorSet
from vsslab.labtime import LabTime
from vsslab.windows.clock import Clock
from vsslab.wire.sessions import RESOURCE
from vsslab.wire.settings import Settings

DONE, FAILED, STOPPED = PSInvocationState.COMPLETED, PSInvocationState.FAILED, PSInvocationState.STOPPED


def begin(pool, name, *arguments):
    shell = PowerShell(pool)
    shell.add_cmdlet(name)
    for each in arguments:
        shell.add_argument(each)
    shell.begin_invoke()
    return shell


def test_objects_come_back_as_they_were_written(wire):
    with wire.pool() as pool:
        shell = wire.run(pool, ("Echo", "ä", None, 7, True, ["a", "b"], "x_x000A_y"))
        assert shell.output == ["ä", None, 7, True, ["a", "b"], "x_x000A_y"]
        assert (shell.state, shell.had_errors) == (DONE, False)


def test_all_streams_reach_the_client(wire):
    with wire.pool() as pool:
        streams = wire.run(pool, ("Streams",)).streams
    assert [str(each.message) for each in streams.warning + streams.verbose] == ["careful", "by the way"]
    assert [(each.activity, each.percent_complete) for each in streams.progress] == [("Copying", 50)]
    assert [(str(each), each.fq_error) for each in streams.error] == [("not so bad", "Minor,Toy")]


def test_a_failed_pipeline_carries_its_record(wire):
    with wire.pool() as pool:
        shell = wire.run(pool, ("Echo", "before"), ("Fail",), ("Echo", "never"))
        assert (shell.state, shell.output) == (FAILED, ["before"])
        assert [(str(each), each.fq_error) for each in shell.streams.error] == [("it broke", "Major,Toy")]
        assert wire.run(pool, ("Echo", "next")).output == ["next"]


def test_a_defect_of_the_engine_is_a_sentence_not_a_hang(wire):
    with wire.pool() as pool:
        shell = wire.run(pool, ("Crash",))
    assert shell.state == FAILED
    assert str(shell.streams.error[0]) == "vsslab failed inside: RuntimeError: a defect"
    assert wire.host.trace.events("defect")


def test_pipelines_one_after_the_other_cost_two_requests_each(wire):
    with wire.pool(ssl=True, auth="basic") as pool:
        for number in range(3):
            assert wire.run(pool, ("Echo", number)).output == [number]
        assert wire.counted == (9, 0)


def test_a_megabyte_of_output_comes_in_pieces_that_fit(wire):
    with wire.pool() as pool:
        shell = wire.run(pool, ("Many", 1000))
        assert [each[1000:] for each in shell.output] == [str(number) for number in range(1000)]
    sizes = [each["bytes_down"] for each in wire.host.trace.events("http", operation="Receive")]
    assert max(sizes) <= 512_000
    assert wire.counted[0] < 15


def test_a_small_envelope_gets_small_answers(wire):
    with wire.pool(ssl=True, auth="basic", max_envelope_size=20_000) as pool:
        wire.host.trace.clear()
        assert len(wire.run(pool, ("Many", 100)).output) == 100
    assert max(each["bytes_down"] for each in wire.host.trace.events("http")) <= 20_000


def test_a_megabyte_as_a_parameter_arrives_by_sends(wire):
    with wire.pool() as pool:
        assert wire.run(pool, ("Length", "x" * 1_000_000)).output == [1_000_000]
    assert wire.server.sessions[-1].by_operation["Send"] == 2


def test_output_does_not_wait_for_the_end(wire):
    with wire.pool() as pool:
        shell = begin(pool, "Slowly", 0.3)
        shell.poll_invoke()
        assert (shell.output, shell.state) == (["first"], PSInvocationState.RUNNING)
        assert shell.end_invoke() == ["first", "second"]


def test_a_stopped_pipeline_ends_and_says_so(wire):
    with wire.pool() as pool:
        shell = begin(pool, "Wait")
        shell.poll_invoke()
        began = time.monotonic()
        shell.stop()
        assert time.monotonic() - began < 2
        pool.pipelines[shell.id] = shell
        shell.poll_invoke()
        assert shell.state == STOPPED
        assert "PipelineStopped" in shell.streams.error[0].fq_error
        assert wire.run(pool, ("Echo", "next")).output == ["next"]


def test_a_pipeline_waits_for_the_one_before_it(wire):
    with wire.pool() as pool:
        first, second = begin(pool, "Wait"), begin(pool, "Echo", "b")
        third = begin(pool, "Echo", "c")
        third.stop()
        first.stop()
        assert second.end_invoke() == ["b"]


def test_a_finished_pipeline_can_be_closed_and_is_forgotten(wire):
    with wire.pool() as pool:
        shell = wire.run(pool, ("Echo", 1))
        shell.close()
        pool.pipelines[shell.id] = shell
        with pytest.raises(WSManFaultError) as failure:
            shell.poll_invoke()
        assert failure.value.code == 2150858843


def test_closing_a_session_stops_what_runs_in_it(wire):
    with wire.pool() as pool:
        begin(pool, "Wait")
        began = time.monotonic()
    assert time.monotonic() - began < 2


@pytest.mark.parametrize(("keepalive", "answers"), [("empty", 0), ("fault", 2150858793)])
def test_silence_is_answered_in_time(start, keepalive, answers):
    wire = start(Settings(keepalive=keepalive, coalesce=0.02, max_operation_timeout=0.4))
    with wire.pool() as pool:
        shell = begin(pool, "Wait")
        shell.poll_invoke()
        wire.host.trace.clear()
        shell.poll_invoke()
        assert shell.state == PSInvocationState.RUNNING
        (event,) = wire.host.trace.events("http")
        assert (event["operation"], event["fault"]) == ("Receive", answers)
        assert 0.3 < event["seconds"] < 2


def test_a_user_has_so_many_shells_and_no_more(start):
    wire = start(Settings(max_shells_per_user=2))
    with wire.pool() as one, wire.pool():
        with pytest.raises(WSManFaultError) as failure:
            RunspacePool(wire.wsman()).open()
        assert "QuotaLimit" in str(failure.value.code)
        with wire.pool(user="helper", password="pw"):
            assert wire.server.shells(wire.address) == 3
        one.close()
        with wire.pool():
            assert wire.server.shells(wire.address) == 2


def test_a_shell_belongs_to_its_user(wire):
    with wire.pool() as pool:
        selectors = SelectorSet()
        selectors.add_option("ShellId", pool.id.lower())
        wire.wsman().get(f"{RESOURCE}Microsoft.PowerShell", selector_set=selectors)
        with pytest.raises(WSManFaultError) as failure:
            wire.wsman(user="helper", password="pw").delete(pool.shell.resource_uri, selector_set=selectors)
        assert (failure.value.code, pool.id in str(failure.value)) == (2150858843, True)


def test_a_shell_whose_time_is_over_is_gone_at_once(start):
    """However far virtual time jumped: nobody wakes the shell before it is cleared away."""
    wire = start(Settings(max_shells_per_user=1, coalesce=0.02))
    wire.host.clock = Clock(time=LabTime(virtual=True))
    pool = RunspacePool(wire.wsman())
    pool.open()
    wire.host.clock.time.advance(7199)
    assert wire.run(pool, ("Echo", 1)).output == [1]  # which begins the two hours anew
    wire.host.clock.time.advance(7201)
    with pytest.raises(WSManFaultError) as failure:
        wire.run(pool, ("Echo", 1))
    assert failure.value.code == 2150858843
    with wire.pool() as another:  # nor does it count
        assert wire.run(another, ("Echo", 2)).output == [2]


def test_a_shell_has_so_many_commands(start):
    wire = start(Settings(max_commands_per_shell=2, coalesce=0.02))
    with wire.pool(timeout=2) as pool:
        started = [begin(pool, "Echo", 1) for _ in range(2)]
        with pytest.raises(WSManFaultError) as failure:
            begin(pool, "Echo", 1)
        assert failure.value.code == "w:QuotaLimit"
        assert "concurrent commands per shell" in str(failure.value)
        for each in started:
            each.end_invoke()
        assert wire.run(pool, ("Echo", 1)).output == [1]


def test_a_pool_that_is_asked_and_not_read_does_not_grow_without_end(start):
    wire = start(Settings(backlog=20_000, coalesce=0.02))
    with wire.pool() as pool:
        asked = b"".join(pool._fragmenter.fragment(GetAvailableRunspaces(ci=1), pool.id))

        def ask():
            for _ in range(1000):
                pool.shell.send("pr", asked)

        with pytest.raises(WSManFaultError, match="are not fetched"):
            ask()
        (shell,) = wire.server._endpoints[wire.address].shells.all()
        assert 20_000 <= shell._outbox._size < 25_000


def test_an_idle_shell_is_forgotten(start):
    wire = start(Settings(shell_idle=0.3))
    pool = RunspacePool(wire.wsman())
    pool.open()
    deadline = time.monotonic() + 5
    while wire.server.shells(wire.address) and time.monotonic() < deadline:
        time.sleep(0.05)
    with pytest.raises(WSManFaultError) as failure:
        wire.run(pool, ("Echo", 1))
    assert failure.value.code == 2150858843


def test_an_unknown_configuration_is_named(wire):
    with pytest.raises(WSManFaultError) as failure:
        RunspacePool(wire.wsman(), configuration_name="Nonsense").open()
    assert "Nonsense session configuration" in str(failure.value)


def test_a_reply_can_be_lost_before_the_work(wire):
    wire.host.faults.add({"on": {"operation": "Command", "user": "admin"}, "do": {"drop": "before"}})
    with wire.pool(ssl=True, auth="basic") as pool:
        with pytest.raises(requests.exceptions.ConnectionError):
            wire.run(pool, ("Echo", 1))
        assert wire.run(pool, ("Echo", 2)).output == [2]


def test_a_reply_can_be_lost_after_the_work(wire):
    wire.host.faults.add({"on": {"operation": "Command"}, "do": {"drop": "after"}})
    with wire.pool(ssl=True, auth="basic") as pool:
        shell = PowerShell(pool)
        shell.add_cmdlet("Echo").add_argument("done anyway")
        with pytest.raises(requests.exceptions.ConnectionError):
            shell.begin_invoke()
        shell.state, shell._command_id = PSInvocationState.RUNNING, shell.id
        assert shell.end_invoke() == ["done anyway"]


@pytest.mark.parametrize("options", [{"ssl": True}, {"ssl": False}])
def test_output_that_did_not_arrive_goes_to_the_next_receive(wire, options):
    with wire.pool(**options) as pool:
        wire.host.faults.add({"on": {"operation": "Receive"}, "do": {"drop": "after"}})
        shell = begin(pool, "Echo", "a", "b")
        with pytest.raises(requests.exceptions.ConnectionError):
            shell.poll_invoke()
        pool.connection.transport.session = pool.connection.transport.encryption = None
        assert shell.end_invoke() == ["a", "b"]


def test_a_client_that_goes_away_while_it_waits_loses_nothing(wire):
    with wire.pool() as pool:
        shell = begin(pool, "Slowly", 0.4)
        shell.poll_invoke()
        transport = pool.connection.transport
        message = receive_message(pool, shell)
        with pytest.raises(requests.exceptions.ReadTimeout):
            transport.send(message, timeout=0.1)
        transport.close()
        transport.session = transport.encryption = None
        assert shell.end_invoke() == ["first", "second"]


def test_the_same_receive_gets_the_same_answer_again(wire):
    with wire.pool(ssl=True, auth="basic") as pool:
        shell = begin(pool, "Echo", "once")
        message = receive_message(pool, shell)
        answers = [pool.connection.transport.send(message) for _ in range(2)]
        assert [each.count(b"CommandState/Done") for each in answers] == [1, 1]
        with pytest.raises(WSManFaultError):
            shell.poll_invoke()


def receive_message(pool, shell):
    """The bytes of a Receive, as pypsrp makes them."""
    caught = []

    class Stop(Exception):
        pass

    def catch(message, **_more):
        caught.append(message)
        raise Stop

    original, pool.connection.transport.send = pool.connection.transport.send, catch
    try:
        pool.shell.receive("stdout", command_id=shell.id)
    except Stop:
        return caught[0]
    finally:
        pool.connection.transport.send = original
    raise AssertionError


def test_a_fault_can_delay_and_refuse(wire):
    wire.host.faults.add({"on": {"operation": "Create"}, "do": {"delay": "200ms", "status": 503}})
    began = time.monotonic()
    with pytest.raises(WinRMTransportError) as failure:
        RunspacePool(wire.wsman(ssl=True, auth="basic")).open()
    assert failure.value.code == 503
    assert time.monotonic() - began > 0.2


def test_a_restart_ends_sessions_and_connections(wire):
    with wire.pool() as pool:
        begin(pool, "Wait")
        for callback in wire.host.on_reboot:
            callback()
        assert wire.server.shells(wire.address) == 0
        pool.connection.transport.session = pool.connection.transport.encryption = None
        with pytest.raises(WSManFaultError) as failure:
            wire.run(pool, ("Echo", 1))
        assert failure.value.code == 2150858843
        pool.state = PSInvocationState.STOPPED + 100
    with wire.pool() as pool:
        assert wire.run(pool, ("Echo", 1)).output == [1]


def test_the_server_stays_on_the_machine():
    from vsslab.wire.server import WireServer

    with pytest.raises(ValueError, match="no loopback address"):
        WireServer({"192.0.2.1": None}, trace=None, faults=None, runspace_factory=None)
