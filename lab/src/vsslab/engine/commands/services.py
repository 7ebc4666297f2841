# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services and processes: Get-/Start-/Stop-/Restart-/Set-Service, Get-Process, Stop-Process.

Sources: the reference pages of Windows PowerShell 5.1; error IDs of its service and process commands.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vsslab.windows.errors import WinError
from vsslab.windows.processes import Process
from vsslab.windows.services import Service

from .. import fileitems as fs
from ..command import Call, command
from ..values import I64, EnumValue, Obj, Wildcard, has_wildcard

_SERVICE_TYPES = (
    "System.ServiceProcess.ServiceController",
    "System.ComponentModel.Component",
    "System.MarshalByRefObject",
    "System.Object",
)
_PROCESS_TYPES = (
    "System.Diagnostics.Process",
    "System.ComponentModel.Component",
    "System.MarshalByRefObject",
    "System.Object",
)
_FAILED_SERVICE = "Microsoft.PowerShell.Commands.ServiceCommandException"
_FAILED_PROCESS = "Microsoft.PowerShell.Commands.ProcessCommandException"
_STATUS = {"Stopped": 1, "StartPending": 2, "StopPending": 3, "Running": 4}  # ServiceControllerStatus
_START_TYPES = {"Auto": ("Automatic", 2), "Manual": ("Manual", 3), "Disabled": ("Disabled", 4)}
_SELECTING = ("Name", "DisplayName", "InputObject", "Include", "Exclude")
_DEPENDENTS_RUN = 1051


def service_object(call: Call, service: Service) -> Obj:
    """A ServiceController."""
    status = EnumValue(service.status, _STATUS[service.status], "System.ServiceProcess.ServiceControllerStatus")
    start = EnumValue(*_START_TYPES[service.start_type], "System.ServiceProcess.ServiceStartMode")
    running = service.status == "Running"
    needs = [call.host.services.get(each).name for each in service.needs]
    own = {
        "CanPauseAndContinue": False,
        "CanShutdown": running,
        "CanStop": running and service.can_stop,
        "DisplayName": service.display_name,
        "DependentServices": [each.name for each in call.host.services.dependents(service.name)],
        "MachineName": ".",
        "ServiceName": service.name,
        "ServicesDependedOn": needs,
        "ServiceHandle": None,
        "Status": status,
        "ServiceType": EnumValue("Win32OwnProcess", 16, "System.ServiceProcess.ServiceType"),
        "StartType": start,
        "Site": None,
        "Container": None,
    }
    return Obj(
        _SERVICE_TYPES, own, {"Name": service.name, "RequiredServices": needs}, text=service.name, source=service
    )


def _services(call: Call) -> list[Service]:
    """The services that the parameters name; each one that there is not is reported."""
    if call.has("InputObject"):
        return [
            call.host.services.get(each.source.name if isinstance(each.source, Service) else each.props["ServiceName"])
            for each in call.get("InputObject")
        ]
    everything = call.host.services.list()
    by_display = call.has("DisplayName")
    found: list[Service] = []
    for wanted in call.texts("DisplayName", "Name") or ["*"]:
        pattern = Wildcard(wanted)
        matching = [each for each in everything if pattern.matches(each.display_name if by_display else each.name)]
        if not matching and not has_wildcard(wanted):
            kind = (
                ("display name", "NoServiceFoundForGivenDisplayName")
                if by_display
                else ("service name", "NoServiceFoundForGivenName")
            )
            call.error(f"Cannot find any service with {kind[0]} '{wanted}'.", kind[1], "ObjectNotFound", target=wanted,
                       exception=_FAILED_SERVICE)  # fmt: skip
        found += [each for each in matching if each not in found]
    return [each for each in found if fs.kept(each.name, call.texts("Include"), call.texts("Exclude"), None)]


@command("Get-Service", only=(*_SELECTING, "DependentServices", "RequiredServices"))
def get_service(call: Call) -> None:
    """Services by name, by display name, or all of them."""
    for each in _services(call):
        if call.flag("DependentServices"):
            shown = call.host.services.dependents(each.name)
        elif call.flag("RequiredServices"):
            shown = [call.host.services.get(name) for name in each.needs]
        else:
            shown = [each]
        for one in shown:
            call.write(service_object(call, one))


def _act(call: Call, service: Service, doing: Callable[[], None], verb: str, error_id: str, category: str) -> bool:
    """Start or stop a service; what Windows refuses becomes the cmdlet's error. True when it worked."""
    shown = f"{service.display_name} ({service.name})"
    try:
        if not call.user.administrator:
            raise WinError(5, service.name, f"Cannot open {service.name} service on computer '.'.")
        doing()
    except WinError as problem:
        if problem.code == _DEPENDENTS_RUN:
            call.error(
                f"Cannot stop service '{shown}' because it has dependent services. It can only be stopped if the Force "
                "flag is set.",
                "ServiceHasDependentServices",
                "InvalidOperation",
                exception=_FAILED_SERVICE,
                target=service.name,
            )
        else:
            why = problem.text if problem.code == 5 else f"Cannot {verb} service {service.name} on computer '.'."
            call.error(
                f"Service '{shown}' cannot be {'started' if verb == 'start' else 'stopped'} due to the "
                f"following error: "
                f"{why}",
                error_id,
                category,
                exception=_FAILED_SERVICE,
                target=service.name,
            )
        return False
    return True


def _start(call: Call, service: Service) -> bool:
    if service.status == "Running":
        return True
    return _act(
        call,
        service,
        lambda: call.host.services.start(service.name, stop=call.stop),
        "start",
        "CouldNotStartService",
        "OpenError",
    )


def _stop(call: Call, service: Service) -> bool:
    if service.status == "Stopped":
        return True
    force = call.flag("Force")
    return _act(
        call,
        service,
        lambda: call.host.services.stop(service.name, force=force, wait=not call.flag("NoWait"), stop=call.stop),
        "stop",
        "CouldNotStopService",
        "CloseError",
    )


def _each(call: Call, *steps: Callable[[Call, Service], bool]) -> None:
    for each in _services(call):
        if not call.should_process():
            continue
        call.check_stop()
        if all(step(call, each) for step in steps) and call.flag("PassThru"):
            call.write(service_object(call, each))


@command("Start-Service", only=(*_SELECTING, "PassThru", "WhatIf", "Confirm"))
def start_service(call: Call) -> None:
    """Start services; one that runs already is no error."""
    _each(call, _start)


@command("Stop-Service", only=(*_SELECTING, "PassThru", "Force", "NoWait", "WhatIf", "Confirm"))
def stop_service(call: Call) -> None:
    """Stop services; running dependents need -Force."""
    _each(call, _stop)


@command("Restart-Service", only=(*_SELECTING, "PassThru", "Force", "WhatIf", "Confirm"))
def restart_service(call: Call) -> None:
    """Stop and start services; what had to stop with them is started again."""
    for each in _services(call):
        if not call.should_process():
            continue
        again = [other for other in call.host.services.dependents(each.name) if other.status == "Running"]
        if _stop(call, each) and all(_start(call, other) for other in (each, *again)) and call.flag("PassThru"):
            call.write(service_object(call, each))


@command("Set-Service", only=("Name", "InputObject", "StartupType", "Status", "PassThru", "WhatIf", "Confirm"))
def set_service(call: Call) -> None:
    """Change how a service starts, or start or stop it."""
    kinds = {"Automatic": "Auto", "Manual": "Manual", "Disabled": "Disabled"}
    for each in _services(call):
        if not call.should_process():
            continue
        wanted = call.get("StartupType")
        if wanted is not None:
            if wanted.name not in kinds:
                raise call.refuse(f"Set-Service -StartupType {wanted.name}")
            call.host.services.set_start_type(each.name, kinds[wanted.name])
        steps = {"Running": _start, "Stopped": _stop}
        step = steps.get(call.get("Status", ""))
        if (step is None or step(call, each)) and call.flag("PassThru"):
            call.write(service_object(call, each))


# -- processes ---------------------------------------------------------------------------------------------------------
def process_object(call: Call, process: Process) -> Obj:
    """A System.Diagnostics.Process, as far as the laboratory knows processes."""
    name = process.name.removesuffix(".exe")
    own: dict[str, Any] = {"Id": process.pid, "HasExited": False, "MachineName": ".", "ProcessName": name,
                           "StartTime": call.host.clock.local(process.started), "SessionId": 0, "Responding": True,
                           "WorkingSet64": I64(8 << 20), "HandleCount": 100}  # fmt: skip
    notes = {"Name": name, "Path": None, "CommandLine": process.command_line, "__NounName": "Process"}
    return Obj(_PROCESS_TYPES, own, notes, text=f"System.Diagnostics.Process ({name})", source=process)


def processes_of(call: Call) -> list[Process]:
    """The processes that -Name, -Id or -InputObject mean; one that there is not is reported."""
    everything = call.host.processes.list()
    if call.has("InputObject"):
        wanted = {each.props.get("Id") for each in call.get("InputObject")}
        return [each for each in everything if each.pid in wanted]
    found: list[Process] = []
    if call.has("Id"):
        for number in call.get("Id"):
            matching = [each for each in everything if each.pid == number]
            if not matching:
                call.error(f"Cannot find a process with the process identifier {number}.", "NoProcessFoundForGivenId",
                           "ObjectNotFound", target=number, exception=_FAILED_PROCESS)  # fmt: skip
            found += matching
        return found
    for name in call.texts("Name") or ["*"]:
        matching = [each for each in everything if Wildcard(name).matches(each.name.removesuffix(".exe"))]
        if not matching and not has_wildcard(name):
            call.error(
                f'Cannot find a process with the name "{name}". Verify the process name and call the cmdlet again.',
                "NoProcessFoundForGivenName",
                "ObjectNotFound",
                target=name,
                exception=_FAILED_PROCESS,
            )
        found += matching
    return found


@command("Get-Process", only=("Name", "Id", "InputObject", "IncludeUserName"))
def get_process(call: Call) -> None:
    """Processes by name, by ID, or all of them."""
    for each in processes_of(call):
        made = process_object(call, each)
        if call.flag("IncludeUserName"):
            made.notes["UserName"] = each.user.full_name
        call.write(made)


@command("Stop-Process", only=("Name", "Id", "InputObject", "Force", "PassThru", "WhatIf", "Confirm"))
def stop_process(call: Call) -> None:
    """End processes."""
    for each in processes_of(call):
        if not call.should_process():
            continue
        if not call.user.administrator and each.user.sid != call.user.sid:
            name = each.name.removesuffix(".exe")
            call.error(f'Cannot stop process "{name} ({each.pid})" because of the following error: Access is denied',
                       "CouldNotStopProcess", "CloseError", target=each.pid, exception=_FAILED_PROCESS)  # fmt: skip
            continue
        call.host.processes.kill(each.pid)
        if call.flag("PassThru"):
            call.write(process_object(call, each))
