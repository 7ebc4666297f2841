# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host keeps survives as plain data, and makes another host the same."""

from __future__ import annotations

import datetime
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from vsslab.windows import mounting
from vsslab.windows.host import Host

NOW = datetime.datetime.now(datetime.timezone.utc)
TASK = (
    '<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task"><Settings/>'
    "<Actions><Exec><Command>none.exe</Command></Exec></Actions></Task>"
)
SETTINGS: dict[str, Any] = {
    "volumes": [{"letter": "C"}, {"letter": "D"}, {"label": "extra"}],
    "users": [{"name": "Administrator", "password": "secret", "administrator": True}, {"name": "bob", "password": "b"}],
}


def busy(root: Path) -> Host:
    host = Host("srv1", root, **SETTINGS)
    files = host.files
    files.write("D:\\hidden", b"1")
    files.set_attributes("D:\\hidden", 0x2)
    files.mkdir("D:\\closed")
    files.set_security("D:\\closed", "O:SYD:P(A;OICI;FA;;;SY)")
    files.junction("D:\\junction", "C:\\Windows")
    files.mkdir("C:\\mnt")
    mounting.mount(host, host.volumes[2], "C:\\mnt")
    host.volumes[1].dirty = True
    host.services.start("BITS")
    host.services.set_start_type("CryptSvc", "Disabled")
    host.tasks.register("\\x", "t", TASK, "bob", password="b")
    host.tasks.start("\\x", "t")
    assert host.tasks.get("\\x", "t").idle.wait(5)
    host.events.register_source("Application", "mine")
    host.events.write("Application", "mine", 7, data=["a", "b"])
    host.shares.add("s", "D:\\closed", change=["bob"])
    host.mappings.add(host.users.find("Administrator"), "\\\\localhost\\s", user_name="bob", password="b")
    host.users.add("new", "n", administrator=True)
    host.pending_renames.append(("D:\\hidden", None))
    return host


def test_a_host_made_from_the_data_is_the_same(tmp_path: Path) -> None:
    first = busy(tmp_path / "one")
    state = json.loads(json.dumps(first.dump()))
    shutil.copytree(tmp_path / "one", tmp_path / "two", symlinks=True)
    second = Host("srv1", tmp_path / "two", **SETTINGS)
    second.load(state)
    again = json.loads(json.dumps(second.dump()))
    for each in (state, again):
        each["tasks"][0].pop("handled")  # looking at the triggers is not a change
    assert again == state
    assert second.ledger() == first.ledger()
    for path in ("D:\\hidden", "D:\\closed", "D:\\junction", "C:\\mnt"):
        looked = [replace(each.files.stat(path), accessed=NOW, modified=NOW) for each in (first, second)]
        assert looked[0] == looked[1]
        assert second.files.security(path) == first.files.security(path)
    task = second.tasks.get("\\x", "t")
    assert (task.account.delegated, task.last_result, task.account.name) == (True, 0x80070002, "bob")
    admin = second.users.find("Administrator")
    assert admin is not None
    mapped = second.mappings.list(admin)
    assert [each.account.name for each in mapped if each.account] == ["bob"]
    assert second.events.write("Application", "mine", 7).record_id == 2
    assert second.services.get("BITS").status == "Running"
    for each in (first, second):
        each.close()


def test_another_hosts_data_and_another_format_are_refused(tmp_path: Path) -> None:
    host = Host("srv1", tmp_path, **SETTINGS)
    state = host.dump()
    with pytest.raises(ValueError, match="state of SRV2, not of SRV1"):
        host.load({**state, "name": "SRV2"})
    with pytest.raises(ValueError, match="format 99"):
        host.load({**state, "format": 99})
    host.close()


def test_the_data_holds_what_a_running_host_must_not_show(tmp_path: Path) -> None:
    host = busy(tmp_path)
    assert "secret" in json.dumps(host.dump())
    assert "secret" not in repr(list(host.users))
    host.close()
