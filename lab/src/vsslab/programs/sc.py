# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""sc.exe: services. Source: "sc query", "sc config" in the Windows Commands documentation; public transcripts.

Its keys are the same in every language.
"""

from __future__ import annotations

from ..windows.errors import WinError
from ..windows.processes import Invocation
from ..windows.services import Service
from .tool import Tool, dispatch

_STATES = {"Stopped": (1, "STOPPED"), "StartPending": (2, "START_PENDING"), "StopPending": (3, "STOP_PENDING"),
           "Running": (4, "RUNNING")}  # fmt: skip
_STARTS = {"Auto": "2   AUTO_START", "Manual": "3   DEMAND_START", "Disabled": "4   DISABLED"}
_CONFIG = {"auto": ("Auto", False), "delayed-auto": ("Auto", True), "demand": ("Manual", False),
           "disabled": ("Disabled", False)}  # fmt: skip
NO_SUCH = 1060


def main(call: Invocation) -> int:
    """Run sc; 0, or the Win32 error."""
    return dispatch(call, VERBS)


def _failed(tool: Tool, function: str, problem: WinError) -> int:
    tool.say("sc_failed", call=function, code=problem.code)
    for line in ("", tool.message(problem), ""):
        tool.call.out(line)
    return problem.code


def _named(tool: Tool) -> str:
    return tool.arguments[0] if tool.arguments else ""


def _status(tool: Tool, service: Service, *, pid: bool = False, display: bool = False) -> None:
    kind = "20  WIN32_SHARE_PROCESS " if "svchost" in service.image.lower() else "10  WIN32_OWN_PROCESS "
    number, state = _STATES[service.status]
    controls = "STOPPABLE" if service.can_stop else "NOT_STOPPABLE"
    lines = ["", f"SERVICE_NAME: {service.name} ", *([f"DISPLAY_NAME: {service.display_name}"] if display else [])]
    lines += [f"        TYPE               : {kind} ", f"        STATE              : {number}  {state} "]
    if number == 4:
        lines.append(f"                                ({controls}, NOT_PAUSABLE, ACCEPTS_SHUTDOWN)")
    lines += [
        f"        WIN32_EXIT_CODE    : {service.exit_code}  (0x{service.exit_code:x})",
        "        SERVICE_EXIT_CODE  : 0  (0x0)",
        "        CHECKPOINT         : 0x0",
        "        WAIT_HINT          : 0x0",
    ]
    if pid:
        number = service.process.pid if service.process else 0
        lines += [f"        PID                : {number}", "        FLAGS              : "]
    for line in lines:
        tool.call.out(line)


def _query(tool: Tool, *, pid: bool = False) -> int:
    if tool.arguments and "=" not in tool.arguments[0]:
        try:
            _status(tool, tool.host.services.get(_named(tool)), pid=pid)
        except WinError as problem:
            return _failed(tool, "EnumQueryServicesStatus:OpenService", problem)
        return 0
    state = "".join(tool.arguments).lower().replace(" ", "")
    if state not in ("", "state=all", "state=inactive", "state=active"):
        return tool.refuse("query " + " ".join(tool.arguments))
    for service in tool.host.services.list():
        active = service.status != "Stopped"
        if state == "state=all" or active == (state != "state=inactive"):
            _status(tool, service, pid=pid, display=True)
    return 0


def _queryex(tool: Tool) -> int:
    return _query(tool, pid=True)


def _qc(tool: Tool) -> int:
    try:
        service = tool.host.services.get(_named(tool))
    except WinError as problem:
        return _failed(tool, "OpenService", problem)
    start = _STARTS[service.start_type] + ("  (DELAYED)" if service.delayed else "")
    needs = [f"        DEPENDENCIES       : {service.needs[0]}" if service.needs else "        DEPENDENCIES       : "]
    needs += [f"                           : {each}" for each in service.needs[1:]]
    tool.say("sc_ok", call="QueryServiceConfig")
    for line in (
        "",
        f"SERVICE_NAME: {service.name}",
        "        TYPE               : 10  WIN32_OWN_PROCESS ",
        f"        START_TYPE         : {start}",
        "        ERROR_CONTROL      : 1   NORMAL",
        f"        BINARY_PATH_NAME   : {service.image}",
        "        LOAD_ORDER_GROUP   : ",
        "        TAG                : 0",
        f"        DISPLAY_NAME       : {service.display_name}",
        *needs,
        f"        SERVICE_START_NAME : {service.account}",
    ):
        tool.call.out(line)
    return 0


def _start(tool: Tool) -> int:
    return _control(tool, "StartService")


def _stop(tool: Tool) -> int:
    return _control(tool, "ControlService")


def _control(tool: Tool, function: str) -> int:
    """sc does not wait: it tells the state the service is in right after the request."""
    services = tool.host.services
    try:
        service = services.get(_named(tool))
        tool.demand_administrator()
        act = services.start if function == "StartService" else services.stop
        act(service.name, wait=False, stop=tool.call.stop)
    except WinError as problem:
        return _failed(tool, function + (":  OpenService" if problem.code in (5, NO_SUCH) else ""), problem)
    _status(tool, service, pid=function == "StartService")
    return 0


def _config(tool: Tool) -> int:
    text = " ".join(tool.arguments[1:]).lower().replace("= ", "=")
    given = text.removeprefix("start=")
    if not text.startswith("start=") or given not in _CONFIG:
        return tool.refuse("config but with start= auto, delayed-auto, demand or disabled")
    try:
        tool.demand_administrator()
        kind, delayed = _CONFIG[given]
        tool.host.services.set_start_type(_named(tool), kind, delayed=delayed)
    except WinError as problem:
        return _failed(tool, "OpenService", problem)
    tool.say("sc_ok", call="ChangeServiceConfig")
    return 0


VERBS = {"query": _query, "queryex": _queryex, "qc": _qc, "start": _start, "stop": _stop, "config": _config}
