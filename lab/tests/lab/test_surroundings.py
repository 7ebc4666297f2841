# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pieces around a laboratory: addresses, certificates, the inventory, the control channel."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import ssl
import stat
import threading
from pathlib import Path

import pytest
import yaml
from vsslab import addresses, certificates, control, inventory


def test_two_blocks_never_meet():
    blocks = [addresses.Block((5985, 5986)) for _ in range(10)]
    given = [[each.address() for _ in range(5)] for each in blocks]
    assert len({address for block in given for address in block}) == 50
    assert len({address.rpartition(".")[0] for block in given for address in block}) == 10
    for each in blocks:
        each.close()


def test_a_fleet_of_a_thousand_gets_a_thousand_addresses_that_no_other_block_gets():
    large, small = addresses.Block((5985, 5986)), addresses.Block((5985, 5986))
    given = {large.address() for _ in range(1000)}
    assert len(given) == 1000
    assert all(ipaddress.ip_address(each).is_loopback for each in given)
    assert small.address() not in given
    large.close()
    small.close()


def test_a_taken_port_is_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"127.0.0.1:{port} cannot be used"):
            addresses.probe(["127.0.0.1"], [port])


def test_a_client_that_trusts_the_authority_trusts_the_hosts_and_nobody_else(tmp_path):
    ca, contexts = certificates.make(tmp_path / "tls", {"sql01": "127.9.9.1", "web01": "127.9.9.2"})
    client = ssl.create_default_context(cafile=str(ca))
    client.verify_flags |= ssl.VERIFY_X509_STRICT  # as Python 3.13 and newer do by themselves

    def shake(name: str) -> None:
        a, b = socket.socketpair()

        def serve() -> None:
            with a, contextlib.suppress(OSError):
                contexts["127.9.9.1"].wrap_socket(a, server_side=True).close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            with b:
                client.wrap_socket(b, server_hostname=name).close()
        finally:
            thread.join()

    shake("127.9.9.1")
    shake("sql01")
    assert stat.S_IMODE((tmp_path / "tls" / "sql01.pem").stat().st_mode) == 0o600
    assert not (tmp_path / "tls" / "web01.pem").exists()  # nobody asked for it yet
    with pytest.raises(ssl.SSLCertVerificationError):
        shake("127.9.9.2")


ENTRY = {"name": "a", "address": "127.1.2.3", "user": "Administrator", "password": "x", "ca": Path("/ca.pem")}


def test_the_inventory_speaks_of_windows_hosts_and_of_nothing_else(tmp_path):
    made = inventory.build(
        [
            inventory.Entry(**{**ENTRY, "name": "a"}, plugin="psrp", scheme="http", auth="negotiate", port=5985),
            inventory.Entry(**{**ENTRY, "name": "b"}, plugin="psrp", scheme="https", auth="basic", port=5986),
            inventory.Entry(**{**ENTRY, "name": "c"}, plugin="winrm", scheme="http", auth="negotiate", port=5985),
            inventory.Entry(**{**ENTRY, "name": "d"}, plugin="winrm", scheme="https", auth="basic", port=5986),
        ]
    )
    inventory.write(made, tmp_path / "inventory.yml")
    assert stat.S_IMODE((tmp_path / "inventory.yml").stat().st_mode) == 0o600
    assert yaml.safe_load((tmp_path / "inventory.yml").read_text()) == made
    groups = made["all"]["children"]["windows"]["children"]
    psrp, winrm = groups["windows_psrp"]["hosts"], groups["windows_winrm"]["hosts"]
    assert psrp["a"]["ansible_psrp_message_encryption"] == "always"
    assert psrp["b"]["ansible_psrp_ca_cert"] == "/ca.pem"
    assert winrm["c"]["ansible_winrm_transport"] == "ntlm"
    assert winrm["d"]["ansible_winrm_server_cert_validation"] == "validate"
    names = {name for each in (*psrp.values(), *winrm.values()) for name in each}
    assert all(name.startswith("ansible_") for name in names)


@pytest.mark.parametrize("depth", [1, 30], ids=["unix socket", "loopback port"])
def test_the_control_channel_answers_wherever_the_state_folder_is(tmp_path, depth):
    state = tmp_path.joinpath(*["folder"] * depth)
    state.mkdir(parents=True)

    def handler(request):
        if request["do"] == "fail":
            raise ValueError("No.")
        return {"echo": request["what"]}

    server = control.ControlServer(state, handler)
    try:
        assert control.ask(state, {"do": "echo", "what": "ä" * 100_000}) == {"echo": "ä" * 100_000}
        with pytest.raises(control.ControlError, match=r"No\."):
            control.ask(state, {"do": "fail"})
        with pytest.raises(control.ControlError, match="There is no 'what'"):
            control.ask(state, {"do": "echo"})
    finally:
        server.close()
    assert not list(state.iterdir())
    with pytest.raises(control.ControlError, match="No laboratory answers"):
        control.ask(state, {"do": "echo", "what": 1})


def test_the_loopback_port_wants_its_token(tmp_path):
    state = tmp_path.joinpath(*["folder"] * 30)
    state.mkdir(parents=True)
    server = control.ControlServer(state, lambda request: 1)
    try:
        card = state / "control.json"
        assert stat.S_IMODE(card.stat().st_mode) == 0o600
        card.write_text(card.read_text().replace('"token": "', '"token": "0'))
        with pytest.raises(control.ControlError, match="token is wrong"):
            control.ask(state, {"do": "echo"})
    finally:
        server.close()
