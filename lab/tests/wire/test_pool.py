# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pools of several runspaces, input of pipelines and SecureStrings, as pypsrp uses them."""

from __future__ import annotations

import threading
import time
from xml.etree import ElementTree

import pytest
from psrpcore import types
from pypsrp.complex_objects import ObjectMeta, PSInvocationState
from pypsrp.exceptions import InvalidPSRPOperation, WSManFaultError
from pypsrp.powershell import PowerShell, RunspacePool
from vsslab.engine.errors import PipelineStopped
from vsslab.wire.pool import PipelineInput

from .test_psrp import begin


def pool_of(wire, least=1, most=1):
    pool = RunspacePool(wire.wsman(), min_runspaces=least, max_runspaces=most)
    pool.open()
    return pool


def test_the_pool_answers_its_own_questions(wire):
    with wire.pool() as pool:
        assert pool.get_available_runspaces() == 1
        pool.reset_runspace_state()
        pool.exchange_keys()
        assert pool.is_alive(timeout=2)


def test_so_many_pipelines_run_at_once_and_the_next_one_waits(wire):
    pool = pool_of(wire, most=2)
    first, second, third = begin(pool, "Wait"), begin(pool, "Wait"), begin(pool, "Echo", "third")
    for each in (first, second):
        each.poll_invoke()
        assert each.output == ["waiting"]
    assert pool.get_available_runspaces() == 0
    first.stop()
    assert third.end_invoke() == ["third"]
    assert pool.get_available_runspaces() == 1
    pool.close()


def test_a_pool_grows_while_pipelines_wait(wire):
    pool = pool_of(wire)
    begin(pool, "Wait")
    second = begin(pool, "Echo", "now")
    pool.max_runspaces = 2
    assert second.end_invoke() == ["now"]
    assert pool.max_runspaces == 2
    pool.close()


@pytest.mark.parametrize("count", [0, -1])
def test_a_pool_keeps_within_reason(wire, count):
    pool = pool_of(wire, least=1, most=3)
    pool.min_runspaces = 2
    refused = (("max_runspaces", count), ("min_runspaces", count), ("max_runspaces", 1), ("min_runspaces", 4))
    for setting, value in refused:
        with pytest.raises(InvalidPSRPOperation, match="Failed to set"):
            setattr(pool, setting, value)
    with pytest.raises(InvalidPSRPOperation, match="Failed to reset"):
        pool.reset_runspace_state()  # only a pool of one can
    pool.close()


def test_a_pool_without_runspaces_is_refused(wire):
    with pytest.raises(WSManFaultError, match="at least one runspace"):
        pool_of(wire, least=3, most=2)


def test_a_runspace_keeps_what_it_knows_until_it_is_reset(wire):
    with wire.pool() as pool:
        assert wire.run(pool, ("Keep", "a")).output == [None]
        assert wire.run(pool, ("Keep", "b")).output == ["a"]
        pool.reset_runspace_state()
        assert wire.run(pool, ("Keep", "c")).output == [None]


def objects(*batches):
    yield from batches


def test_input_reaches_the_pipeline(wire):
    with wire.pool() as pool:
        shell = PowerShell(pool)
        shell.add_cmdlet("Input")
        assert shell.invoke(objects(["a", 2], ["c"])) == ["a", 2, "c"]
        assert shell.state == PSInvocationState.COMPLETED
        assert wire.server.sessions[-1].by_operation["Send"] == 2


def test_a_pipeline_waits_for_its_input_and_can_be_stopped(wire):
    with wire.pool() as pool:
        shell = PowerShell(pool)
        shell.add_cmdlet("Input")
        feed = objects(["first"], ["never sent"])
        sent = pool.shell.send
        pool.shell.send = lambda stream, data, **more: None  # the network swallows what follows
        shell.begin_invoke(feed)
        pool.shell.send = sent
        began = time.monotonic()
        shell.stop()
        assert time.monotonic() - began < 2
        assert wire.run(pool, ("Echo", "next")).output == ["next"]


def test_input_nobody_asked_for_is_not_heard(wire):
    with wire.pool() as pool:
        shell = PowerShell(pool)
        shell.add_cmdlet("Echo").add_argument("x")
        assert shell.invoke([]) == ["x"]  # pypsrp says that there is no input, and sends its end


def test_a_securestring_arrives_and_comes_back(wire, start):
    seen = []

    class Secrets:
        def __init__(self, host, user, shell_id, configuration):
            pass

        def invoke(self, powershell, sink, stop, pipeline_id):
            (value,) = [value for _, value in powershell.commands[0].parameters]
            assert isinstance(value, types.PSSecureString)
            seen.append(value.decrypt())
            sink.output(types.PSSecureString(value.decrypt()[::-1]))

    other = start(factory=Secrets)
    with other.pool() as pool:
        pool.exchange_keys()
        shell = PowerShell(pool)
        secret = pool.serialize("Geheim €", ObjectMeta("SS"))
        shell.add_cmdlet("Anything").add_parameter("Password", secret)
        assert shell.invoke() == ["Geheim €"[::-1]]
    assert seen == ["Geheim €"]


def test_without_a_key_a_securestring_is_nonsense(wire):
    with wire.pool() as pool:
        shell = PowerShell(pool)
        nonsense = ElementTree.Element("SS")
        nonsense.text = "bm9uc2Vuc2U="
        shell.add_cmdlet("Reveal").add_argument(nonsense)
        shell.invoke()
        assert shell.state == PSInvocationState.FAILED
        assert "cannot be decrypted" in str(shell.streams.error[0])
        assert not wire.host.trace.events("defect")
        assert wire.run(pool, ("Echo", 1)).output == [1]


def test_the_engine_is_told_the_configuration(start):
    wire = start()
    wire.host.endpoints = {"microsoft.powershell": None, "umbra.backup": None}
    pool = RunspacePool(wire.wsman(), configuration_name="Umbra.Backup")
    pool.open()
    assert wire.run(pool, ("Configuration",)).output == ["umbra.backup"]
    pool.close()


def test_input_ends_when_the_pipeline_is_stopped():
    stop = threading.Event()
    given = PipelineInput(stop)
    given.put(1)
    values = iter(given)
    assert next(values) == 1
    stop.set()
    with pytest.raises(PipelineStopped):
        next(values)


class Merging:
    """Shows what a pipeline wants to be merged."""

    def __init__(self, host, user, shell_id, configuration):
        pass

    def invoke(self, powershell, sink, stop, pipeline_id):
        for each in powershell.commands:
            more = (getattr(each, name, 0) for name in ("merge_error", "merge_warning"))  # where there are any
            merges = (each.merge_my, each.merge_to, *more)
            sink.output([each.command_text, each.merge_unclaimed, *(int(way) for way in merges)])


def test_what_is_merged_is_read_when_something_is(start):
    wire = start(factory=Merging)
    with wire.pool() as pool:
        shell = PowerShell(pool)
        shell.add_cmdlet("One").add_parameter("X", {"MergeError": 0}).add_cmdlet("Two")
        assert shell.invoke() == [["One", False, 0, 0, 0, 0], ["Two", False, 0, 0, 0, 0]]
        shell = PowerShell(pool)
        shell.add_cmdlet("One").merge_error("output").add_statement().add_cmdlet("Two").merge_previous(True)
        one, two = shell.invoke()
        assert one[:2] == ["One", False]
        assert 0 not in one[2:5]
        assert two[:2] == ["Two", True]
