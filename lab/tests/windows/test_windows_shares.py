# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Another host's files through its shares: who gets in, with whose rights, and who is stopped at the second hop."""

from __future__ import annotations

import datetime
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from vsslab import programs, vss
from vsslab.windows.errors import WinError
from vsslab.windows.files import FileSystem
from vsslab.windows.host import Host
from vsslab.windows.users import NETWORK_SERVICE_SID, User

ACCOUNTS = [
    {"name": "Administrator", "password": "same", "administrator": True},
    {"name": "backup", "password": "shared"},
    {"name": "CORP\\svc", "password": "domain", "administrator": True},
]
MakeHost = Callable[..., Host]


@pytest.fixture
def pair(make_host: MakeHost) -> tuple[Host, Host]:
    """srv1, the client, and srv2, which shares D:\\Backups as `backups`."""
    client, server = (make_host(users=ACCOUNTS, domain="corp.example") for _ in range(2))
    client.network = server.network = {each.name: each for each in (client, server)}
    server.files.mkdir("D:\\Backups")
    server.shares.add("backups", "D:\\Backups", change=["backup", "CORP\\SRV1$"], full=["CORP\\svc", "Administrators"])
    server.files.set_security("D:\\Backups", f"D:(A;OICI;FA;;;BA)(A;OICI;0x1301bf;;;{server.users.sid_of('backup')})"
                              f"(A;OICI;FA;;;{server.users.sid_of('CORP' + chr(92) + 'SRV1$')})")  # fmt: skip
    return client, server


def account(host: Host, name: str, **more: object) -> User:
    found = host.users.find(name)
    assert found is not None
    return replace(found, **more)  # type: ignore[arg-type]


def files_of(host: Host, name: str, **more: object) -> FileSystem:
    return host.files.as_user(account(host, name, **more))


def code_of(act: Callable[[], object]) -> int:
    with pytest.raises(WinError) as refused:
        act()
    return refused.value.code


SHARE = "\\\\srv2\\backups"


def test_a_logon_over_the_network_is_stopped_at_the_second_hop(pair: tuple[Host, Host]) -> None:
    client, _ = pair
    for name in ("Administrator", "backup", "CORP\\svc"):
        assert code_of(lambda name=name: files_of(client, name).listdir(SHARE)) == 5  # type: ignore[misc]


def test_a_delegated_logon_reads_and_writes_over_there(pair: tuple[Host, Host]) -> None:
    client, server = pair
    files = files_of(client, "CORP\\svc", delegated=True)
    files.mkdir(f"{SHARE}\\jobs")
    files.write(f"{SHARE}\\jobs\\a.txt", b"one")
    assert server.files.read("D:\\Backups\\jobs\\a.txt") == b"one"
    assert [each.path for each in files.walk(SHARE)] == [f"{SHARE}\\jobs", f"{SHARE}\\jobs\\a.txt"]
    files.rename(f"{SHARE}\\jobs\\a.txt", f"{SHARE}\\jobs\\b.txt")
    assert files.read("\\\\SRV2.corp.example\\BACKUPS\\JOBS\\b.txt") == b"one"
    files.remove_tree(f"{SHARE}\\jobs")
    assert server.files.listdir("D:\\Backups") == []


def test_a_local_account_gets_in_where_name_and_password_are_the_same(pair: tuple[Host, Host]) -> None:
    client, _ = pair
    files_of(client, "backup", delegated=True).write(f"{SHARE}\\x", b"1")
    other = account(client, "backup", delegated=True, password="another")
    assert code_of(lambda: client.files.as_user(other).read(f"{SHARE}\\x")) == 1326


def test_what_local_system_writes_belongs_to_the_computer_account(pair: tuple[Host, Host]) -> None:
    client, server = pair
    client.files.as_user(client.users.system).write(f"{SHARE}\\x", b"1")
    owner = server.files.security("D:\\Backups\\x").partition("G:")[0].removeprefix("O:")
    assert server.users.name_of(owner) == "CORP\\SRV1$"


def test_local_system_of_a_workgroup_is_nobody_over_there(make_host: MakeHost) -> None:
    client, server = make_host(), make_host()
    client.network = {server.name: server}
    server.shares.add("open", "D:\\", full=["Everyone"])
    assert code_of(lambda: client.files.as_user(client.users.system).listdir("\\\\srv2\\open")) == 5
    local_service = client.users.find("LOCAL SERVICE")
    assert local_service is not None
    assert code_of(lambda: client.files.as_user(local_service).listdir("\\\\srv2\\open")) == 5


def test_network_service_is_the_computer_account_too(pair: tuple[Host, Host]) -> None:
    client, _ = pair
    service = client.users.find(NETWORK_SERVICE_SID)
    assert service is not None
    assert client.files.as_user(service).listdir(SHARE) == []


def test_the_share_bounds_what_the_files_would_allow(pair: tuple[Host, Host]) -> None:
    client, server = pair
    server.shares.add("look", "D:\\Backups", read=["Everyone"])
    files = files_of(client, "CORP\\svc", delegated=True)
    files.write(f"{SHARE}\\x", b"1")
    assert files.read("\\\\srv2\\look\\x") == b"1"
    assert code_of(lambda: files.write("\\\\srv2\\look\\x", b"2")) == 5
    assert code_of(lambda: files.remove("\\\\srv2\\look\\x")) == 5


def test_the_files_bound_what_the_share_would_allow(pair: tuple[Host, Host]) -> None:
    client, server = pair
    server.shares.add("all", "D:\\Backups", full=["Everyone"])
    server.files.mkdir("D:\\Backups\\closed")
    server.files.set_security("D:\\Backups\\closed", "D:P(A;OICI;FA;;;SY)")
    assert code_of(lambda: files_of(client, "backup", delegated=True).listdir("\\\\srv2\\all\\closed")) == 5


def test_a_denial_of_the_share_outweighs_every_right(pair: tuple[Host, Host]) -> None:
    client, server = pair
    server.shares.add("most", "D:\\Backups", full=["Everyone"], none=["backup"])
    assert code_of(lambda: files_of(client, "backup", delegated=True).listdir("\\\\srv2\\most")) == 5
    server.shares.grant("most", "backup", "Read")
    assert files_of(client, "backup", delegated=True).listdir("\\\\srv2\\most") == []


def test_administrative_shares_are_for_administrators(pair: tuple[Host, Host]) -> None:
    client, server = pair
    assert files_of(client, "CORP\\svc", delegated=True).is_dir("\\\\srv2\\C$\\Windows")
    assert files_of(client, "CORP\\svc", delegated=True).exists("\\\\srv2\\ADMIN$\\System32")
    assert code_of(lambda: files_of(client, "backup", delegated=True).listdir("\\\\srv2\\D$")) == 5
    assert {each.name for each in server.shares.list()} == {"ADMIN$", "C$", "D$", "IPC$", "backups"}


@pytest.mark.parametrize(
    ("path", "code"), [("\\\\nobody\\x", 53), ("\\\\srv2\\nothing", 67), ("\\\\srv2\\IPC$\\x", 67)]
)
def test_what_is_not_there_is_refused_with_the_number_of_windows(pair: tuple[Host, Host], path: str, code: int) -> None:
    client, _ = pair
    files = files_of(client, "CORP\\svc", delegated=True)
    assert code_of(lambda: files.listdir(path)) == code
    assert not files.exists(path)


def test_a_host_that_is_down_or_serves_no_files_is_not_found(pair: tuple[Host, Host]) -> None:
    client, server = pair
    files = files_of(client, "CORP\\svc", delegated=True)
    server.services.stop("LanmanServer")
    assert code_of(lambda: files.listdir(SHARE)) == 53


def test_a_mapping_with_credentials_makes_the_second_hop(pair: tuple[Host, Host]) -> None:
    client, _ = pair
    user = account(client, "Administrator", session="shell-1")
    client.mappings.add(user, SHARE, local="Z:", user_name="SRV2\\backup", password="shared")
    files = client.files.as_user(user)
    files.write("Z:\\x", b"1")
    assert files.read(f"{SHARE}\\x") == b"1"
    assert [each.path for each in files.listdir("z:")] == [f"{SHARE}\\x"]
    client.mappings.remove(user, "Z:")
    assert code_of(lambda: files.read(f"{SHARE}\\x")) == 5
    assert code_of(lambda: client.mappings.remove(user, SHARE)) == 2250


def test_a_mapping_is_its_logon_sessions_and_ends_with_it(pair: tuple[Host, Host]) -> None:
    client, _ = pair
    one, two = (account(client, "Administrator", session=f"shell-{number}") for number in (1, 2))
    client.mappings.add(one, SHARE, user_name="SRV2\\backup", password="shared")
    assert code_of(lambda: client.files.as_user(two).listdir(SHARE)) == 5
    client.mappings.end("shell-1")
    assert code_of(lambda: client.files.as_user(one).listdir(SHARE)) == 5


@pytest.mark.parametrize(
    ("remote", "given", "code"),
    [
        (SHARE, {"user_name": "SRV2\\backup", "password": "wrong"}, 1326),
        (SHARE, {"user_name": "SRV2\\nobody", "password": "shared"}, 1326),
        (SHARE, {}, 5),
        (SHARE, {"local": "D:", "user_name": "SRV2\\backup", "password": "shared"}, 85),
        ("\\\\nobody\\x", {"user_name": "SRV2\\backup", "password": "shared"}, 53),
        ("\\\\srv2\\nothing", {"user_name": "SRV2\\backup", "password": "shared"}, 67),
    ],
)
def test_a_mapping_that_cannot_be_is_refused(
    pair: tuple[Host, Host], remote: str, given: dict[str, str], code: int
) -> None:
    client, _ = pair
    user = account(client, "Administrator")
    assert code_of(lambda: client.mappings.add(user, remote, **given)) == code
    assert client.mappings.list(user) == []


def test_two_accounts_at_one_host_from_one_session_conflict(pair: tuple[Host, Host]) -> None:
    client, _ = pair
    user = account(client, "Administrator")
    client.mappings.add(user, SHARE, user_name="SRV2\\backup", password="shared")
    again = {"user_name": "CORP\\svc", "password": "domain"}
    assert code_of(lambda: client.mappings.add(user, "\\\\srv2\\C$", **again)) == 1219


def test_a_junction_is_the_servers_business_a_symbolic_link_the_clients(pair: tuple[Host, Host]) -> None:
    client, server = pair
    server.files.mkdir("D:\\elsewhere")
    server.files.write("D:\\elsewhere\\x", b"1")
    server.files.junction("D:\\Backups\\junction", "D:\\elsewhere")
    server.files.symlink("D:\\Backups\\link", "D:\\elsewhere")
    files = files_of(client, "CORP\\svc", delegated=True)
    assert files.read(f"{SHARE}\\junction\\x") == b"1"
    assert code_of(lambda: files.read(f"{SHARE}\\link\\x")) == 1463


def test_a_local_link_may_lead_to_a_share(pair: tuple[Host, Host]) -> None:
    client, _ = pair
    client.files.symlink("D:\\out", SHARE)
    files = files_of(client, "CORP\\svc", delegated=True)
    files.write("D:\\out\\x", b"1")
    assert files.read(f"{SHARE}\\x") == b"1"
    assert code_of(lambda: files_of(client, "CORP\\svc").read("D:\\out\\x")) == 5


def test_ones_own_host_needs_no_second_hop_and_shows_previous_versions(host: Host, tmp_path: Path) -> None:
    files = files_of(host, "Administrator")
    files.write("D:\\x", b"now")
    assert files.read("\\\\localhost\\D$\\x") == b"now"
    (tmp_path / "then").mkdir()
    (tmp_path / "then" / "x").write_bytes(b"then")
    device = "\\\\?\\GLOBALROOT\\Device\\HarddiskVolumeShadowCopy1"
    host.files.attach(device, lambda: tmp_path / "then", read_only=True)
    moment = datetime.datetime(2026, 3, 1, 12, 0, 5, tzinfo=datetime.timezone.utc)
    host.previous_versions = lambda volume, when: device if (volume.letter, when) == ("D", moment) else None
    assert files.read("\\\\localhost\\D$\\@GMT-2026.03.01-12.00.05\\x") == b"then"
    assert code_of(lambda: files.read("\\\\localhost\\D$\\@GMT-2026.03.01-12.00.06\\x")) == 3


def test_shares_are_kept_and_refused_as_windows_does(host: Host) -> None:
    host.files.mkdir("D:\\a")
    host.files.write("D:\\file", b"")
    host.shares.add("one", "D:\\a")
    assert [(each.sid, each.right) for each in host.shares.get("ONE").access] == [("S-1-1-0", "Read")]
    assert code_of(lambda: host.shares.add("ONE", "D:\\a")) == 2118
    assert code_of(lambda: host.shares.add("two", "D:\\missing")) == 2
    assert code_of(lambda: host.shares.add("two", "D:\\file")) == 87
    assert code_of(lambda: host.shares.add("t/wo", "D:\\a")) == 123
    assert code_of(lambda: host.shares.add("two", "D:\\a", read=["nobody at all"])) == 1332
    assert code_of(lambda: host.shares.remove("C$")) == 87
    host.shares.remove("one")
    assert code_of(lambda: host.shares.remove("one")) == 2310


def test_a_program_copies_to_a_share_as_far_as_its_account_may(pair: tuple[Host, Host]) -> None:
    client, server = pair
    for each in pair:
        vss.install(each, {})
        programs.register(each)
    client.files.mkdir("D:\\s\\sub", parents=True)
    client.files.write("D:\\s\\sub\\x", b"1")

    def robocopy(user: User) -> int:
        argv = ["robocopy.exe", "D:\\s", f"{SHARE}\\job", "/E", "/R:0"]
        told: list[str] = []
        return client.processes.run(argv, user, out=told.append, err=told.append, stop=threading.Event())

    assert robocopy(account(client, "CORP\\svc")) == 16
    assert robocopy(account(client, "CORP\\svc", delegated=True)) == 1
    assert server.files.read("D:\\Backups\\job\\sub\\x") == b"1"


def test_a_hold_of_the_servers_volume_stops_its_clients_too(pair: tuple[Host, Host]) -> None:
    client, server = pair
    files = files_of(client, "CORP\\svc", delegated=True)
    volume = server.volumes.by_path("D:")
    assert volume is not None
    with files.writer(f"{SHARE}\\open") as stream:
        done = threading.Event()

        def write() -> None:
            files.write(f"{SHARE}\\new", b"1")
            stream.write(b"1")
            done.set()

        with server.files.hold([volume]):
            thread = threading.Thread(target=write, daemon=True)
            thread.start()
            assert not done.wait(0.2)
            assert not server.files.exists("D:\\Backups\\new")
        assert done.wait(5)
    assert server.files.read("D:\\Backups\\open") == b"1"
