# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Win32 classes that are not about shadow copies: what their instances are on a host of the laboratory."""

from __future__ import annotations

import functools
import ntpath
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from . import commandline, events
from .errors import WinError, data
from .processes import SYSTEM32
from .users import User

if TYPE_CHECKING:
    from .cim import Cim
    from .host import Host
    from .volumes import Volume

Instance = dict[str, Any]
MEMORY = 8 << 30  # bytes of memory every host reports
_SERVICE_STATES = {"StartPending": "Start Pending", "StopPending": "Stop Pending"}  # Win32_Service.State
_START_MODES = {"Auto": "Auto", "Manual": "Manual", "Disabled": "Disabled"}
# EventType of Win32_NTLogEvent by level: 1 error, 2 warning, 3 information
_EVENT_TYPES = {events.CRITICAL: 1, events.ERROR: 1, events.WARNING: 2, events.INFORMATION: 3, 0: 3}


def register(host: Host, cim: Cim) -> None:
    """Provide the classes of a host."""
    sources: dict[str, Callable[[Host], list[Instance]]] = {
        "Win32_OperatingSystem": _operating_system,
        "Win32_ComputerSystem": _computer_system,
        "Win32_Volume": lambda host: [_volume(host, each) for each in host.volumes],
        "Win32_LogicalDisk": _logical_disks,
        "Win32_NTLogEvent": _log_events,
        "Win32_PageFileUsage": _page_files,
        "Win32_Share": _shares,
    }
    for name, source in sources.items():
        cim.register(name, functools.partial(_of_host, host, source))
    cim.register("Win32_Process", lambda _user: _processes(host), None, _process_methods(host))
    cim.register("Win32_Service", lambda _user: _services(host), None, _service_methods(host))


def _of_host(host: Host, source: Callable[[Host], list[Instance]], _user: User) -> list[Instance]:
    return source(host)


def _word(host: Host, table: str, number: int) -> str:
    row = data("cim.yml")[table].get(number, {"en": ""})
    return str(row.get(host.language.short, row["en"]))


def _operating_system(host: Host) -> list[Instance]:
    profile, language, clock = host.profile, host.language, host.clock
    caption = profile.caption_in(language)
    boot = host.volumes.boot
    return [{
        "BootDevice": "\\Device\\HarddiskVolume1", "BuildNumber": profile.build, "BuildType": "Multiprocessor Free",
        "Caption": caption, "CodeSet": str(language.ansi_codepage), "CountryCode": language.country,
        "CreationClassName": "Win32_OperatingSystem", "CSCreationClassName": "Win32_ComputerSystem",
        "CSName": host.name, "CurrentTimeZone": clock.offset_minutes(), "Debug": False, "Description": "",
        "Distributed": False, "EncryptionLevel": 256, "FreePhysicalMemory": MEMORY // 2048,
        "FreeVirtualMemory": MEMORY // 2048, "InstallDate": host.boot_time.replace(microsecond=0, month=1, day=1),
        "LastBootUpTime": host.boot_time, "LocalDateTime": clock.now(), "Locale": f"{language.lcid:04x}",
        "Manufacturer": "Microsoft Corporation", "MaxNumberOfProcesses": 0xFFFFFFFF,
        "MaxProcessMemorySize": 137438953344, "MUILanguages": [language.tag],
        "Name": f"{caption}|{host.windows}|\\Device\\Harddisk0\\Partition{host.volumes.index(boot) + 1}",
        "NumberOfProcesses": len(host.processes.list()), "NumberOfUsers": 1, "OperatingSystemSKU": profile.sku,
        "Organization": "", "OSArchitecture": _word(host, "architecture", 64),
        "OSLanguage": language.lcid, "OSProductSuite": profile.suite, "OSType": 18,
        "PortableOperatingSystem": False, "Primary": True, "ProductType": profile.product_type,
        "RegisteredUser": "", "SerialNumber": "00454-40000-00001-AA000", "ServicePackMajorVersion": 0,
        "ServicePackMinorVersion": 0, "Status": "OK", "SuiteMask": profile.suite,
        "SystemDevice": "\\Device\\HarddiskVolume2", "SystemDirectory": f"{host.windows}\\system32",
        "SystemDrive": "C:", "TotalVirtualMemorySize": MEMORY // 1024, "TotalVisibleMemorySize": MEMORY // 1024,
        "Version": profile.version, "WindowsDirectory": host.windows,
    }]  # fmt: skip


def _computer_system(host: Host) -> list[Instance]:
    joined = host.joined
    role = {1: 1 if joined else 0, 2: 5, 3: 3 if joined else 2}[host.profile.product_type]
    return [{
        "AdminPasswordStatus": 3, "AutomaticManagedPagefile": True, "BootupState": "Normal boot",
        "Caption": host.name, "CreationClassName": "Win32_ComputerSystem",
        "CurrentTimeZone": host.clock.offset_minutes(),
        "DaylightInEffect": bool(host.clock.local(host.clock.now()).dst()), "Description": "AT/AT COMPATIBLE",
        "DNSHostName": host.name.lower(), "Domain": host.domain, "DomainRole": role, "HypervisorPresent": True,
        "Manufacturer": "umbra", "Model": "vsslab", "Name": host.name, "NumberOfLogicalProcessors": 2,
        "NumberOfProcessors": 1, "PartOfDomain": joined, "PCSystemType": 1, "Status": "OK",
        "SystemType": "x64-based PC", "TotalPhysicalMemory": MEMORY, "Workgroup": None if joined else host.domain,
    }]  # fmt: skip


def _volume(host: Host, volume: Volume) -> Instance:
    medium = volume.drive_type != 5 or volume.capacity > 0
    return {
        "Automount": True, "BlockSize": volume.block_size if medium else None, "BootVolume": volume.boot,
        "Capacity": volume.capacity if medium else None, "Caption": volume.display, "Compressed": False,
        "CreationClassName": "Win32_Volume", "DeviceID": volume.device_id, "DirtyBitSet": volume.dirty,
        "DriveLetter": f"{volume.letter}:" if volume.letter else None, "DriveType": volume.drive_type,
        "FileSystem": volume.file_system if medium else None, "FreeSpace": volume.free() if medium else None,
        "IndexingEnabled": True, "Label": volume.label or None, "Name": volume.display,
        "MaximumFileNameLength": volume.traits.longest_name,
        "PageFilePresent": volume.pagefile, "QuotasEnabled": False, "SerialNumber": volume.serial,
        "SupportsDiskQuotas": volume.traits.quotas, "SupportsFileBasedCompression": volume.traits.compression,
        "SystemCreationClassName": "Win32_ComputerSystem", "SystemName": host.name, "SystemVolume": volume.system,
    }  # fmt: skip


def _logical_disks(host: Host) -> list[Instance]:
    return [{
        "Access": 0, "Caption": f"{each.letter}:", "Compressed": False, "CreationClassName": "Win32_LogicalDisk",
        "Description": _word(host, "disk", each.drive_type), "DeviceID": f"{each.letter}:",
        "DriveType": each.drive_type,
        "FileSystem": each.file_system, "FreeSpace": each.free(), "MaximumComponentLength": 255,
        "MediaType": 12 if each.drive_type == 3 else 11, "Name": f"{each.letter}:", "Size": each.capacity,
        "SupportsDiskQuotas": False, "SupportsFileBasedCompression": each.traits.compression,
        "SystemCreationClassName": "Win32_ComputerSystem", "SystemName": host.name, "VolumeDirty": each.dirty,
        "VolumeName": each.label, "VolumeSerialNumber": f"{each.serial:08X}",
    } for each in host.volumes if each.letter]  # fmt: skip


def _log_events(host: Host) -> list[Instance]:
    found = [each for log in ("Application", "System") for each in host.events.query(log)]
    return [{
        "Category": each.category, "ComputerName": host.name, "EventCode": each.id, "EventIdentifier": each.id,
        "EventType": _EVENT_TYPES[each.level], "InsertionStrings": list(each.data), "Logfile": each.log,
        "Message": each.message, "RecordNumber": each.record_id, "SourceName": each.provider,
        "TimeGenerated": each.time,
        "TimeWritten": each.time, "Type": _word(host, "event_types", _EVENT_TYPES[each.level]), "User": each.user_sid,
    } for each in found]  # fmt: skip


def _page_files(host: Host) -> list[Instance]:
    return [{
        "AllocatedBaseSize": 1280, "Caption": f"{each.letter}:\\pagefile.sys", "CurrentUsage": 12,
        "Description": f"{each.letter}:\\pagefile.sys", "InstallDate": host.boot_time,
        "Name": f"{each.letter}:\\pagefile.sys", "PeakUsage": 12, "TempPageFile": False,
    } for each in host.volumes if each.pagefile and each.letter]  # fmt: skip


def _shares(host: Host) -> list[Instance]:
    return [{
        "AccessMask": None, "AllowMaximum": each.limit == 0, "Caption": each.description or each.name,
        "Description": each.description, "MaximumAllowed": each.limit or None, "Name": each.name, "Path": each.path,
        "Status": "OK", "Type": each.kind,
    } for each in host.shares.list()]  # fmt: skip


def _processes(host: Host) -> list[Instance]:
    return [{
        "Caption": each.name, "CommandLine": each.command_line, "CreationClassName": "Win32_Process",
        "CreationDate": each.started, "CSCreationClassName": "Win32_ComputerSystem", "CSName": host.name,
        "Description": each.name, "ExecutablePath": ntpath.join(SYSTEM32, each.name), "Handle": str(each.pid),
        "HandleCount": 0, "Name": each.name, "OSCreationClassName": "Win32_OperatingSystem",
        "ParentProcessId": each.parent, "Priority": 8, "ProcessId": each.pid, "SessionId": 0, "ThreadCount": 1,
        "WindowsVersion": host.profile.version,
    } for each in host.processes.list()]  # fmt: skip


def _process_methods(host: Host) -> dict[str, Callable[[User, Mapping[str, Any]], Instance]]:
    def create(user: User, args: Mapping[str, Any]) -> Instance:
        """Return values of Win32_Process.Create: 0 done, 9 path not found, 21 invalid parameter."""
        line = args.get("CommandLine")
        if not line:
            return {"ProcessId": None, "ReturnValue": 21}
        try:
            cwd = args.get("CurrentDirectory") or SYSTEM32
            process = host.processes.start(commandline.split(str(line)), user, cwd=str(cwd))
        except WinError:
            return {"ProcessId": None, "ReturnValue": 9}
        return {"ProcessId": process.pid, "ReturnValue": 0}

    def terminate(_user: User, args: Mapping[str, Any]) -> Instance:
        ended = host.processes.kill(int(args["__instance"]["ProcessId"]), int(args.get("Reason") or 0))
        return {"ReturnValue": 0 if ended else 2}

    def owner(_user: User, args: Mapping[str, Any]) -> Instance:
        process = host.processes.get(int(args["__instance"]["ProcessId"]))
        if process is None:
            return {"User": None, "Domain": None, "ReturnValue": 2}
        return {"User": process.user.name, "Domain": process.user.domain, "ReturnValue": 0}

    return {"Create": create, "Terminate": terminate, "GetOwner": owner}


def _services(host: Host) -> list[Instance]:
    return [{
        "AcceptPause": False, "AcceptStop": each.can_stop and each.status == "Running", "Caption": each.display_name,
        "CreationClassName": "Win32_Service", "DelayedAutoStart": each.delayed, "DisplayName": each.display_name,
        "ErrorControl": "Normal", "ExitCode": each.exit_code, "Name": each.name,
        "PathName": each.image, "ProcessId": each.process.pid if each.process else 0, "ServiceSpecificExitCode": 0,
        "ServiceType": "Share Process" if "svchost" in each.image else "Own Process",
        "StartMode": _START_MODES[each.start_type], "StartName": each.account, "Started": each.status == "Running",
        "State": _SERVICE_STATES.get(each.status, each.status), "Status": "OK",
        "SystemCreationClassName": "Win32_ComputerSystem",
        "SystemName": host.name, "TagId": 0, "WaitHint": 0,
    } for each in host.services.list()]  # fmt: skip


def _service_methods(host: Host) -> dict[str, Callable[[User, Mapping[str, Any]], Instance]]:
    # Return values of Win32_Service: 0 done, 3 dependents run, 5 cannot accept, 6 not active, 10 runs, 14 disabled
    codes = {1051: 3, 1052: 5, 1062: 6, 1056: 10, 1058: 14}

    def control(act: Callable[[str], None]) -> Callable[[User, Mapping[str, Any]], Instance]:
        def method(_user: User, args: Mapping[str, Any]) -> Instance:
            try:
                act(str(args["__instance"]["Name"]))
            except WinError as problem:
                return {"ReturnValue": codes.get(problem.code, 8)}
            return {"ReturnValue": 0}

        return method

    return {"StartService": control(host.services.start), "StopService": control(host.services.stop)}
