# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may read and write what."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vsslab.windows import sddl
from vsslab.windows.errors import WinError
from vsslab.windows.files import FileSystem
from vsslab.windows.host import Host

masks = st.sampled_from([sddl.FULL, sddl.MODIFY, sddl.READ, 0x1200A9, 0x4, 0x10000000, 0xA0000000, 0x100026])
aces = st.builds(
    sddl.Ace,
    st.sampled_from("AD"),
    st.frozensets(st.sampled_from(["OI", "CI", "IO", "NP", "ID"])),
    masks,
    st.sampled_from([*sddl.ALIASES.values(), "S-1-5-21-1-2-3-1001"]),
)


def as_bob(host: Host) -> FileSystem:
    bob = host.users.find("bob")
    assert bob is not None
    return host.files.as_user(bob)


def denied(act: Callable[[], object]) -> bool:
    try:
        act()
    except WinError as problem:
        return problem.code == 5
    return False


@given(st.lists(aces, max_size=6), st.booleans())
def test_a_descriptor_reads_back_from_its_text(entries: list[sddl.Ace], protected: bool) -> None:
    descriptor = sddl.Descriptor("S-1-5-18", "S-1-5-32-544", tuple(entries), protected)
    assert sddl.parse(descriptor.text) == descriptor


@pytest.mark.parametrize(
    "text", ["", "nonsense", "D:(A;;FA;;)", "D:(X;;FA;;;BA)", "O:XX", "D:(A;;QQ;;;BA)", "D:Q(A;;FA;;;BA)"]
)
def test_a_malformed_descriptor_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not|are not|has flags"):
        sddl.parse(text)


def test_ordinary_accounts_cannot_write_below_windows(host: Host) -> None:
    bob = as_bob(host)
    host.files.mkdir("C:\\Windows\\umbra-vss")
    for path in ("C:\\Windows\\x", "C:\\Windows\\System32\\x", "C:\\Windows\\umbra-vss\\x", "C:\\x"):
        assert denied(lambda path=path: bob.write(path, b""))  # type: ignore[misc]
    assert bob.listdir("C:\\Windows")
    assert not denied(lambda: bob.mkdir("C:\\bobs"))
    assert not denied(lambda: bob.write("C:\\bobs\\file", b"1"))
    assert not denied(lambda: bob.write("C:\\Windows\\Temp\\file", b"1"))
    assert denied(lambda: bob.listdir("C:\\Users\\Administrator"))


def test_what_an_account_creates_belongs_to_it(host: Host) -> None:
    bob = host.users.find("bob")
    assert bob is not None
    as_bob(host).mkdir("D:\\bobs")
    assert host.files.security("D:\\bobs").startswith(f"O:{bob.sid}")
    host.files.mkdir("D:\\ours")
    assert host.files.security("D:\\ours").startswith("O:BA")


def test_the_state_folder_inherits_what_windows_hands_on(host: Host) -> None:
    host.files.mkdir("C:\\Windows\\umbra-vss")
    text = host.files.security("C:\\Windows\\umbra-vss")
    assert "(A;ID;0x1200a9;;;BU)(A;OICIIOID;GXGR;;;BU)" in text
    assert "(A;ID;FA;;;BA)" in text
    assert ":PAI" not in text


def test_a_protected_descriptor_is_honoured_below_too(host: Host) -> None:
    host.files.mkdir("D:\\kept\\inner", parents=True)
    host.files.write("D:\\kept\\inner\\file", b"1")
    assert not denied(lambda: as_bob(host).read("D:\\kept\\inner\\file"))
    host.files.set_security("D:\\kept", "D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)")
    assert denied(lambda: as_bob(host).read("D:\\kept\\inner\\file"))
    assert denied(lambda: as_bob(host).listdir("D:\\kept"))
    assert host.files.security("D:\\kept\\inner\\file").endswith("D:AI(A;ID;FA;;;SY)(A;ID;FA;;;BA)")
    host.files.rename("D:\\kept", "D:\\moved")
    assert denied(lambda: as_bob(host).listdir("D:\\moved"))


def test_a_denial_weighs_more_and_an_owner_may_undo_it(host: Host) -> None:
    bob = host.users.find("bob")
    assert bob is not None
    host.files.write("D:\\f", b"1")
    host.files.set_security("D:\\f", f"D:P(D;;FR;;;{bob.sid})(A;;FA;;;WD)")
    assert denied(lambda: as_bob(host).read("D:\\f"))
    host.files.set_security("D:\\f", f"O:{bob.sid}D:P(D;;FA;;;{bob.sid})")
    assert not denied(lambda: as_bob(host).set_security("D:\\f", "D:P(A;;FA;;;WD)"))
    assert as_bob(host).read("D:\\f") == b"1"


def test_administrators_need_the_backup_privilege_for_what_is_systems_alone(host: Host) -> None:
    admin = host.users.find("Administrator")
    assert admin is not None
    folder = "D:\\System Volume Information"
    assert denied(lambda: host.files.as_user(admin).listdir(folder))
    assert host.files.as_user(admin, backup=True).listdir(folder) == []
    assert host.files.as_user(host.users.system).listdir(folder) == []
    bob = host.users.find("bob")
    assert bob is not None
    assert denied(lambda: host.files.as_user(bob, backup=True).listdir(folder))


def test_links_are_for_administrators(host: Host) -> None:
    with pytest.raises(WinError) as refused:
        as_bob(host).symlink("C:\\bobs", "D:\\")
    assert refused.value.code == 1314


def test_a_volume_without_access_lists_lets_everyone_in(make_host: Callable[..., Host]) -> None:
    host = make_host(volumes=[{"letter": "C"}, {"letter": "E", "file_system": "FAT32", "drive_type": 2}])
    as_bob(host).write("E:\\x", b"1")
    assert host.files.security("E:\\x") == "O:BAG:SYD:AI(A;ID;FA;;;WD)"
    with pytest.raises(WinError):
        host.files.symlink("E:\\link", "C:\\")
