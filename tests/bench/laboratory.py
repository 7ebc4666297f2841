# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The laboratory of a bench, in a process of its own, so that its processor time is not the controller's.

    laboratory.py SCENARIO STATE

prints one line of JSON when it is up, then one for each line that comes in: `figures` (since the last time), or
`copies HOST NUMBER` (so many shadow copies of D: more), or `certificates PLUGIN` (hosts are reached with certificates
from now on); anything else ends it.

It is an ordinary laboratory but for one thing. The laboratory runs no script text; other people's modules are nothing
but that. So here a script's input is read to its end, and a result of a module is answered where PowerShell would
begin to work: what they cost is a lower bound of what they cost with Windows.
"""

from __future__ import annotations

import base64
import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

from vsslab import scenario
from vsslab.engine import runspace
from vsslab.lab import Lab

# What the modules' own callers accept as an answer: of win_ping, win_powershell, win_shell and raw.
ANSWER = json.dumps({
    "changed": False, "ping": "pong", "result": {}, "host_out": "", "host_err": "", "output": [], "error": [],
    "warning": [], "verbose": [], "debug": [], "information": [],
    "rc": 0, "stdout": "", "stderr": "", "cmd": "", "start": "", "end": "", "delta": "",
})  # fmt: skip


class Runspace(runspace.Runspace):
    """A runspace that reads what a script is given, and answers."""

    def invoke(self, powershell: Any, sink: Any, stop: threading.Event, pipeline_id: str, input: Any = None) -> None:  # noqa: A002
        """See vsslab.engine.runspace.Runspace."""
        if not any(command.is_script for command in powershell.commands):
            super().invoke(powershell, sink, stop, pipeline_id, *(() if input is None else (input,)))
            return
        for _ in input or ():
            pass
        sink.output(ANSWER)


def powershell_exe(call: Any) -> int:
    """powershell.exe in a command shell: the same for the winrm connection, which sends input to some scripts only."""
    script = base64.b64decode(call.argv[call.argv.index("-EncodedCommand") + 1]).decode("utf-16-le")
    if "$input" in script:
        for _ in call.stdin.splitlines():
            pass
    call.out(ANSWER)
    return 0


def figures(lab: Lab) -> dict[str, Any]:
    """What all hosts together were sent and answered so far, and what that cost this process."""
    times = os.times()
    sessions = lab.counters()
    names = ("operations", "authentications", "bytes_up", "bytes_down")
    return {
        **{name: sum(each[name] for each in sessions) for name in names},
        "connections": len(sessions),
        "cpu": times.user + times.system,
    }


def copies(lab: Lab, host: str, number: int) -> dict[str, Any]:
    """Shadow copies made by the service itself, without a client."""
    found = lab.hosts[host]
    for _ in range(number):
        options = {"Volume": "D:\\", "Context": "ClientAccessible"}
        answer = found.cim.invoke(found.users.system, "Win32_ShadowCopy", "Create", options)
        if answer["ReturnValue"]:
            raise SystemExit(f"No shadow copy: {answer['ReturnValue']}.")
    return {"copies": number}


# What each connection plugin calls the way to log on, the certificate and its key.
_BY_CERTIFICATE = {
    "psrp": ("ansible_psrp_auth", "ansible_psrp_certificate_pem", "ansible_psrp_certificate_key_pem"),
    "winrm": ("ansible_winrm_transport", "ansible_winrm_cert_pem", "ansible_winrm_cert_key_pem"),
}


def certificates(lab: Lab, plugin: str, folder: Path) -> dict[str, Any]:
    """Variables beside the inventory that make its hosts be reached with certificates."""
    names = _BY_CERTIFICATE[plugin]
    (folder / "host_vars").mkdir()
    for host in lab.hosts:
        file = folder / f"{host}.pem"
        file.write_bytes(lab.client_certificate(host, "Administrator"))
        told = dict(zip(names, ("certificate", str(file), str(file)), strict=True))
        (folder / "host_vars" / f"{host}.json").write_text(json.dumps(told), encoding="utf-8")
    return {"hosts": len(lab.hosts)}


def main() -> None:
    """See the module."""
    runspace.Runspace = Runspace  # type: ignore[misc]
    plan, state = scenario.load(Path(sys.argv[1])), Path(sys.argv[2])
    with Lab(plan, state=state) as lab:
        for host in lab.hosts.values():
            host.programs["powershell.exe"] = powershell_exe
        lab.write_inventory(state / "inventory.yml")
        print(json.dumps({"inventory": str(state / "inventory.yml")}), flush=True)
        before = figures(lab)
        for line in sys.stdin:
            match line.split():
                case ["figures"]:
                    now = figures(lab)
                    answer = {name: now[name] - before[name] for name in now}
                    before = now
                case ["copies", host, number]:
                    answer = copies(lab, host, int(number))
                case ["certificates", plugin]:
                    answer = certificates(lab, plugin, state)
                case _:
                    break
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
