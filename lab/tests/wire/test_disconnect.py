# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sessions that outlive their client: Disconnect, Reconnect, Connect, and the lists to find them in."""

from __future__ import annotations

import threading
import time
import uuid
from xml.etree import ElementTree

import pytest
from pypsrp.exceptions import WSManFaultError
from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.shell import WinRS
from pypsrp.wsman import NAMESPACES, SelectorSet
from vsslab.wire import soap
from vsslab.wire.outbox import Outbox, PsrpMessage
from vsslab.wire.sessions import RESOURCE
from vsslab.wire.settings import Settings

from .test_psrp import begin

ENDPOINT = f"{RESOURCE}Microsoft.PowerShell"
DISCONNECTED, STREAM_DISCONNECTED, TWICE = 0x803381C4, 0x803381DE, 0x803381CF
OTHER_SESSION, CONNECTED_ELSEWHERE = 0x803381C6, 0x803381CD


def selectors(shell_id):
    found = SelectorSet()
    found.add_option("ShellId", shell_id)
    return found


def disconnect(wire, pool, **elements):
    body = ElementTree.Element(f"{{{soap.RSP}}}Disconnect")
    for name, text in elements.items():
        ElementTree.SubElement(body, f"{{{soap.RSP}}}{name}").text = text
    pool.connection.disconnect(ENDPOINT, body, selector_set=selectors(pool.id))


def test_the_same_client_comes_back_and_the_pipeline_went_on(wire):
    with wire.pool() as pool:
        shell = begin(pool, "Slowly", 0.2)
        pool.disconnect()
        time.sleep(0.3)
        pool.connect()
        shell.connect_async()
        assert shell.end_invoke() == ["first", "second"]
        assert wire.run(pool, ("Echo", "as before")).output == ["as before"]


def test_a_new_client_finds_the_session_and_takes_it_over(wire):
    first = RunspacePool(wire.wsman(), max_runspaces=2)
    first.open()
    wire.run(first, ("Keep", "kept"))
    begin(first, "Slowly", 0.2)
    first.disconnect()
    other = wire.wsman()
    (pool,) = RunspacePool.get_runspace_pools(other)
    assert pool.id == first.id
    pool.connect()
    assert (pool.max_runspaces, pool.protocol_version) == (2, "2.3")
    assert pool.application_private_data is not None
    (shell,) = pool.create_disconnected_power_shells()
    assert shell.connect() == ["first", "second"]
    assert wire.run(pool, ("Echo", "mine now")).output == ["mine now"]
    with pytest.raises(WSManFaultError) as failure:
        first.connect()
    assert failure.value.code == CONNECTED_ELSEWHERE
    pool.close()


def test_a_message_half_fetched_begins_again_for_the_new_client(wire):
    first = RunspacePool(wire.wsman(ssl=True, auth="basic", max_envelope_size=20_000))
    first.open()
    begin(first, "Big", 100_000).poll_invoke()  # one message, of which a part fits into the first answer
    first.disconnect()
    (pool,) = RunspacePool.get_runspace_pools(wire.wsman())
    pool.connect()
    (shell,) = pool.create_disconnected_power_shells()
    assert [len(each) for each in shell.connect()] == [100_000]
    pool.close()


@pytest.mark.parametrize(
    "operate",
    [
        lambda wire, pool: wire.run(pool, ("Echo", 1)),
        lambda wire, pool: pool.shell.receive("stdout"),
        lambda wire, pool: pool.shell.send("stdin", b""),
        lambda wire, pool: pool.shell.signal("powershell/signal/ctrl_c", str(uuid.uuid4())),
    ],
    ids=["command", "receive", "send", "signal"],
)
def test_a_disconnected_session_does_nothing(wire, operate):
    with wire.pool() as pool:
        disconnect(wire, pool)
        with pytest.raises(WSManFaultError) as failure:
            operate(wire, pool)
        assert failure.value.code == DISCONNECTED
        assert pool.shell._get_shell()["State"] == "Disconnected"
        with pytest.raises(WSManFaultError) as failure:
            disconnect(wire, pool)
        assert failure.value.code == TWICE


def test_a_receive_that_waits_is_told_when_the_session_disconnects(wire):
    with wire.pool() as pool:
        begin(pool, "Wait")
        codes = []

        def receive():
            other = wire.wsman()
            other.session_id = pool.connection.session_id
            shell = WinRS(other, resource_uri=ENDPOINT, id=pool.id)
            shell._selector_set = selectors(pool.id)
            try:
                shell.receive("stdout")
            except WSManFaultError as error:
                codes.append(error.code)

        waiting = threading.Thread(target=receive)
        waiting.start()
        until = time.monotonic() + 5
        endpoint = wire.server._endpoints[wire.address]
        while not endpoint._receivers and time.monotonic() < until:
            time.sleep(0.01)
        pool.disconnect()
        waiting.join(5)
        assert codes == [STREAM_DISCONNECTED]
        pool.connect()


def test_reconnecting_takes_the_session_id_of_the_client(wire):
    with wire.pool() as pool:
        disconnect(wire, pool)
        with pytest.raises(WSManFaultError) as failure:
            wire.wsman().reconnect(ENDPOINT, selector_set=selectors(pool.id))
        assert failure.value.code == OTHER_SESSION
        pool.connection.reconnect(ENDPOINT, selector_set=selectors(pool.id))
        pool.connection.reconnect(ENDPOINT, selector_set=selectors(pool.id))  # connected already: nothing happens
        assert wire.run(pool, ("Echo", 1)).output == [1]


def test_nobody_connects_to_a_session_that_has_a_client_or_another_owner(wire):
    with wire.pool() as pool:
        (seen,) = RunspacePool.get_runspace_pools(wire.wsman())
        with pytest.raises(WSManFaultError) as failure:
            seen.connect()
        assert failure.value.code == CONNECTED_ELSEWHERE
        pool.disconnect()
        assert RunspacePool.get_runspace_pools(wire.wsman(user="helper", password="pw")) == []
        body = ElementTree.Element(f"{{{soap.RSP}}}Connect")
        with pytest.raises(WSManFaultError) as failure:
            wire.wsman(user="helper", password="pw").connect(ENDPOINT, body, selector_set=selectors(pool.id))
        assert failure.value.code == 2150858843
        pool.connect()


@pytest.mark.parametrize("messages", [b"", b"nonsense"])
def test_a_connect_that_makes_no_sense_leaves_the_session_as_it_was(wire, messages):
    with wire.pool() as pool:
        pool.disconnect()
        (other,) = RunspacePool.get_runspace_pools(wire.wsman())
        other._fragmenter.fragment = lambda *_more: [messages]
        with pytest.raises(WSManFaultError):
            other.connect()
        pool.connect()
        assert wire.run(pool, ("Echo", 1)).output == [1]


def test_a_cmd_shell_cannot_be_disconnected(wire):
    with wire.wsman() as wsman, WinRS(wsman) as shell, pytest.raises(WSManFaultError) as failure:
        wsman.disconnect(shell.resource_uri, ElementTree.Element(f"{{{soap.RSP}}}Disconnect"),
                         selector_set=selectors(shell.id))  # fmt: skip
    assert failure.value.code == 0x803381C5


def test_a_session_left_alone_ends_although_its_pipeline_runs(start):
    wire = start(Settings(shell_idle=7200, shell_idle_range=(0.1, 100.0), coalesce=0.02))
    with wire.pool() as pool:
        begin(pool, "Wait")
        disconnect(wire, pool, IdleTimeOut="PT0.3S")
        until = time.monotonic() + 5
        while wire.server.shells(wire.address) and time.monotonic() < until:
            time.sleep(0.05)
        with pytest.raises(WSManFaultError) as failure:
            pool.connection.reconnect(ENDPOINT, selector_set=selectors(pool.id))
        assert failure.value.code == 2150858843
        pool.state = 5


def test_the_idle_timeout_has_bounds(wire):
    with pytest.raises(WSManFaultError) as failure:
        RunspacePool(wire.wsman(), idle_timeout=59).open()
    assert failure.value.code == 0x803381F2
    pool = RunspacePool(wire.wsman(), idle_timeout=60)
    pool.open()
    assert pool.shell._get_shell()["IdleTimeOut"] == "PT60.000S"
    assert pool.shell._get_shell()["Owner"] == "SRV1\\admin"
    with pytest.raises(WSManFaultError, match="neither Block nor Drop"):
        disconnect(wire, pool, BufferMode="Spill")
    disconnect(wire, pool, BufferMode="Drop")
    assert pool.shell._get_shell()["BufferMode"] == "Drop"
    pool.close()


def test_a_lifetime_ends_a_shell(start):
    wire = start(Settings(shell_idle=1.0))
    shell = WinRS(wire.wsman(), lifetime=1)
    shell.open()
    until = time.monotonic() + 5
    while wire.server.shells(wire.address) and time.monotonic() < until:
        time.sleep(0.05)
    assert wire.server.shells(wire.address) == 0


def test_drop_keeps_the_newest_output():
    outbox = Outbox(25)
    outbox.dropping = True
    stop = threading.Event()
    for number in range(5):
        outbox.put(PsrpMessage(number, bytes([number]) * 10, 100), stop)
    kept = [chunk.data[-1] for chunk in outbox.take(10_000).chunks]
    assert kept == [2, 3, 4]


# --- lists


def listed(wsman, *, batch=20, optimized=False, resource=soap.RSP):
    """All items of an enumeration, and how many requests it took."""
    wsen, wsmn = NAMESPACES["wsen"], NAMESPACES["wsman"]
    ask = ElementTree.Element(f"{{{wsen}}}Enumerate")
    if optimized:
        ElementTree.SubElement(ask, f"{{{wsmn}}}OptimizeEnumeration")
        ElementTree.SubElement(ask, f"{{{wsmn}}}MaxElements").text = str(batch)
    answer, requests = wsman.enumerate(resource, ask), 1
    found = answer.findall(f".//{{{wsmn}}}Items/*")
    while answer.find(f".//{{{wsmn}}}EndOfSequence") is None and answer.find(f".//{{{wsen}}}EndOfSequence") is None:
        context = answer.findtext(f".//{{{wsen}}}EnumerationContext")
        pull = ElementTree.Element(f"{{{wsen}}}Pull")
        ElementTree.SubElement(pull, f"{{{wsen}}}EnumerationContext").text = context
        ElementTree.SubElement(pull, f"{{{wsen}}}MaxElements").text = str(batch)
        answer, requests = wsman.pull(resource, pull), requests + 1
        found += answer.findall(f".//{{{wsen}}}Items/*")
    return [each.findtext(f"{{{soap.RSP}}}ShellId") for each in found], requests


@pytest.mark.parametrize(
    ("optimized", "batch", "requests"), [(True, 20, 1), (True, 2, 2), (False, 20, 2), (False, 1, 4)]
)
def test_shells_are_listed_in_batches(wire, optimized, batch, requests):
    with wire.pool() as one, wire.pool() as two, wire.pool(user="helper", password="pw") as three:
        ids, took = listed(wire.wsman(), optimized=optimized, batch=batch)
        assert (set(ids), took) == ({one.id, two.id, three.id}, requests)  # an administrator sees those of all
        assert listed(wire.wsman(user="helper", password="pw"))[0] == [three.id]


def test_enumerations_are_private_finite_and_of_known_things(wire):
    wsen = NAMESPACES["wsen"]
    with wire.pool():
        wsman = wire.wsman()
        context = wsman.enumerate(soap.RSP, ElementTree.Element(f"{{{wsen}}}Enumerate")).findtext(
            f".//{{{wsen}}}EnumerationContext"
        )
        pull = ElementTree.Element(f"{{{wsen}}}Pull")
        ElementTree.SubElement(pull, f"{{{wsen}}}EnumerationContext").text = context
        with pytest.raises(WSManFaultError) as failure:
            wire.wsman(user="helper", password="pw").pull(soap.RSP, pull)
        assert failure.value.code == 2150858759
        wsman.pull(soap.RSP, pull)
        with pytest.raises(WSManFaultError) as failure:
            wsman.pull(soap.RSP, pull)
        assert failure.value.code == 2150858759
        with pytest.raises(WSManFaultError) as failure:
            wsman.enumerate(f"{soap.RSP}/Command", ElementTree.Element(f"{{{wsen}}}Enumerate"))
        assert failure.value.code == 2150859200
        with pytest.raises(WSManFaultError):
            wsman.enumerate(f"{soap.CFG}/listener", ElementTree.Element(f"{{{wsen}}}Enumerate"))


def test_the_configuration_can_be_read_by_administrators(wire):
    wsman = wire.wsman()
    wsman.update_max_payload_size()
    assert wsman.max_envelope_size == 512_000
    text = ElementTree.tostring(wsman.get_server_config("config/service/auth"), encoding="unicode")
    assert ">Relaxed<" in text
    assert "Basic>true<" in text
    assert wsman.get_server_config("config/winrs").findtext(f".//{{{soap.CFG}/winrs}}MaxShellsPerUser") == "30"
    for uri, user in (("config", "helper"), ("config/client", "admin")):
        with pytest.raises(WSManFaultError):
            wire.wsman(user=user, password="pw" if user == "helper" else None).get_server_config(uri)


def test_a_session_that_was_never_used_shows_no_pipelines(wire):
    with wire.pool() as pool:
        wire.run(pool, ("Echo", 1))
        pool.disconnect()
        (seen,) = RunspacePool.get_runspace_pools(wire.wsman())
        assert seen.create_disconnected_power_shells() == []
        pool.connect()
        assert isinstance(begin(pool, "Echo", 1), PowerShell)
