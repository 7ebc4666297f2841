# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host that every group of pipelines finds: the same for each party."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vsslab import programs, vss
from vsslab.windows.endpoints import add_endpoint
from vsslab.windows.host import Host

_ROLE = {
    "VisibleCmdlets": [
        "Test-Path",
        "Where-Object",
        "ForEach-Object",
        {"Name": "Get-Service", "Parameters": [{"Name": "Name", "ValidateSet": ["VSS", "swprv"]}]},
        {
            "Name": "Get-Content",
            "Parameters": [{"Name": "Path", "ValidatePattern": r"^C:\\Demo\\\w+\.txt$"}, {"Name": "Raw"}],
        },
    ],
    "VisibleExternalCommands": ["C:\\Windows\\System32\\sh.exe"],
    "VisibleProviders": ["FileSystem"],
}


def _sh(call: Any) -> int:
    """As the shell line of the recordings behaves."""
    call.out("out1")
    call.out("out2")
    call.err("bad")
    if "worse" in call.argv:
        call.err("worse")
    return 3


def _args(call: Any) -> int:
    for each in call.argv[1:]:
        call.out(each)
    return 0


def _cat(call: Any) -> int:
    for each in call.stdin.splitlines():
        call.out(each)
    return 0


def _endless(call: Any) -> int:
    call.out("started")
    call.stop.wait(30)
    return 1


def build(root: Path, group: str) -> Host:
    """A host with two volumes, files, programs, the shadow copy service and a restricted endpoint; see the groups."""
    host = Host(
        "srv1", root, volumes=[{"letter": "C"}, {"letter": "D", "label": "Data"}],
        users=[{"name": "admin", "password": "s3cret!", "administrator": True}],
    )  # fmt: skip
    vss.install(host)
    programs.register(host)
    for name, main in {"sh.exe": _sh, "args.exe": _args, "cat.exe": _cat, "endless.exe": _endless}.items():
        host.programs[name] = main
    host.files.mkdir("C:\\Demo")
    host.files.write("C:\\Demo\\notes.txt", b"line one\nline two\n")
    host.files.write("C:\\Demo\\big.txt", b"x" * 94565)
    if not group.startswith("recorded") or group.endswith("remove-item"):
        host.files.mkdir("C:\\Demo\\sub")
        host.files.write("C:\\Demo\\sub\\deep.log", b"deep")
    elif "pipe" in group:
        host.files.write("C:\\Demo\\s.dsh", b"x" * 30)
    add_endpoint(host.endpoints, host.users, {"name": "backup", "role": _ROLE})
    return host
