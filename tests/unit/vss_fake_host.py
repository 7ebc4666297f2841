# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host that answers by a script: what is said to it is kept, what it answers is told by the test."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timezone
from typing import Any

from ansible_collections.umbra.vss.plugins.plugin_utils._host import Host
from ansible_collections.umbra.vss.plugins.plugin_utils._pipeline import HostError, Reply, Result, Statement

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=timezone.utc)
VOLUME = {
    letter: f"\\\\?\\Volume{{{number}0000000-0000-0000-0000-000000000000}}\\" for number, letter in enumerate("CDEF", 1)
}
SQL = "{a65faa63-5ea8-4ebc-9dbd-a0c4db26912a}"
SYSTEM = "{e8132975-6f93-4464-a53e-1050253ae220}"
SET = "{6aef357d-0f91-4ef5-a59e-a9ce66365783}"

ALL_TRUSTED = "O:BAG:SYD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)"
HIGH = '"Mandatory Label\\High Mandatory Level","Label","S-1-16-12288",""'


def listing_table(files: int, size: int) -> list[str]:
    """The table of counts that ends a log of robocopy."""
    rows = [
        ("", "Total    Copied   Skipped  Mismatch    FAILED    Extras"),
        ("Dirs", 1),
        ("Files", files),
        ("Bytes", size),
    ]
    return [
        f"{name:>8} :{count:10}{count:10}{0:10}{0:10}{0:10}{0:10}" if name else f"{'':15}{count}"
        for name, count in rows
    ]


def ticks(moment: datetime) -> str:
    """A moment as Windows PowerShell's ConvertTo-Json writes it."""
    return f"/Date({int(moment.timestamp() * 1000)})/"


def volume(letter: str, **more: Any) -> dict[str, Any]:
    found = {
        "DeviceID": VOLUME[letter],
        "Name": f"{letter}:\\",
        "DriveLetter": f"{letter}:",
        "Label": letter,
        "FileSystem": "NTFS",
        "DriveType": 3,
        "Capacity": 10_000_000,
        "FreeSpace": 5_000_000,
        "SystemVolume": letter == "C",
        "BootVolume": letter == "C",
        "PageFilePresent": letter == "C",
    }
    return {**found, **more}


def listed(name: str, identity: str, state: int = 1, error: str = "No error") -> str:
    instance = "{" + str(uuid.uuid5(uuid.NAMESPACE_DNS, name)) + "}"
    return (
        f"Writer name: '{name}'\n   Writer Id: {identity}\n   Writer Instance Id: {instance}\n"
        f"   State: [{state}] text\n   Last error: {error}\n"
    )


def metadata(name: str, identity: str, *components: tuple[str, str, Sequence[str]], selectable: bool = True) -> str:
    """A writer of `list writers metadata`. components: path, folder, letters of volumes."""
    instance = "{" + str(uuid.uuid5(uuid.NAMESPACE_DNS, name)) + "}"
    text = (
        f'* WRITER "{name}"\n\t- Writer ID   = {identity}\n\t- Writer instance ID = {instance}\n\t- Excluded files:\n'
    )
    for path, folder, letters in components:
        text += (
            f'\t+ Component "{name}:{path}"\n\t\t- Name: x\n\t\t- Type: VSS_CT_FILEGROUP [2]\n'
            f"\t\t- Is selectable: {str(selectable).upper()}\n\t\t- Is top level: TRUE\n"
            "\t\t- Notify on backup complete: FALSE\n\t\t- Paths affected by this component:\n"
            f"\t\t\t- {folder}\n\t\t- Volumes affected by this component:\n"
        )
        text += "".join(f"\t\t\t- {VOLUME[letter]} [{letter}:\\]\n" for letter in letters)
    return text


SYSTEM_METADATA = metadata("System Writer", SYSTEM, ("\\System Files", "%SystemRoot%\\System32", "C"), selectable=False)
SQL_METADATA = metadata("SqlServerWriter", SQL, ("\\SQL\\Bank", "D:\\Bank", "D"))

Answer = Any  # a list of values, a Result, or a function of the statement that gives either


class FakeWindows:
    """A Windows host in a dictionary: shadow copies, records, tasks and folders; the rest by `answers`.

    answers: (pattern of a key, answer), the first that fits is taken. said: every pipeline, as lists of statements.
    """

    def __init__(self, name: str = "sql01") -> None:
        self.said: list[list[Statement]] = []
        self.answers: list[tuple[str, Answer]] = []
        self.shadows: dict[str, dict[str, Any]] = {}
        self.files: dict[str, str] = {}
        self.folders: set[str] = set()
        self.tasks: dict[str, int] = {}
        self.server = True
        self.writers = listed("System Writer", SYSTEM) + listed("SqlServerWriter", SQL)
        self.metadata = SYSTEM_METADATA + SQL_METADATA
        self.create: Callable[[str], tuple[int, str]] = self._creating
        self.volumes = [volume(letter) for letter in "CDE"]
        self.elevated = True
        self.sddl: str | None = None
        self.lose: Callable[[list[Statement]], bool] = lambda statements: False
        self.reopened = 0
        self.host = Host(name, self)

    # ---- what a runner does
    def run(self, statements: Sequence[Statement], repeatable: bool) -> Reply:
        self.said.append(list(statements))
        results = [self._answered(statement) for statement in statements]
        if self.lose(list(statements)):
            from ansible_collections.umbra.vss.plugins.plugin_utils._pipeline import ConnectionLost

            raise ConnectionLost("sql01", "the connection was closed")
        return Reply(results)

    def stream(self, statements: Sequence[Statement]) -> Iterator[Result]:
        self.said.append(list(statements))
        for statement in statements:
            yield self._answered(statement)

    def reopen(self) -> None:
        self.reopened += 1

    # ---- what was said
    def keys(self) -> list[str]:
        return [statement.key for statements in self.said for statement in statements]

    def statement(self, key: str) -> Statement:
        return next(s for statements in reversed(self.said) for s in statements if s.key == key)

    # ---- answers
    def _answered(self, statement: Statement) -> Result:
        for pattern, answer in self.answers:
            if re.fullmatch(pattern, statement.key):
                value = answer(statement) if callable(answer) else answer
                return value if isinstance(value, Result) else self._good(statement, value)
        value = self._simulated(statement)
        return value if isinstance(value, Result) else self._good(statement, value)

    @staticmethod
    def _good(statement: Statement, values: Any) -> Result:
        return Result(statement.key, list(values), [], 0 if statement.exit_code else None, True)

    @staticmethod
    def failed(statement: Statement, message: str) -> Result:
        return Result(statement.key, [], [HostError(message, "Failed")], None, False)

    def _simulated(self, statement: Statement) -> Any:
        command = statement.commands[0]
        by_name: dict[str, Callable[[Statement], Any]] = {
            "Get-CimInstance": self._cim,
            "Invoke-CimMethod": self._create_by_cim,
            "Remove-CimInstance": self._delete,
            "Set-Content": self._write,
            "Move-Item": self._move,
            "Rename-Item": self._rename,
            "New-Item": self._make,
            "Remove-Item": self._remove,
            "Test-Path": lambda s: [self._there(s.commands[0].parameters["LiteralPath"])],
            "Get-Content": self._read,
            "Get-ChildItem": self._list,
            "Get-Acl": lambda s: [{"Sddl": self.sddl or ALL_TRUSTED}] if self._there("C:\\Windows\\umbra-vss") else [],
            "Register-ScheduledTask": self._register,
            "Start-ScheduledTask": self._start,
            "Unregister-ScheduledTask": self._unregister,
            "Get-ScheduledTaskInfo": lambda s: [
                {"LastTaskResult": self.tasks.get(s.commands[0].parameters["TaskName"])}
            ],
            "Get-ScheduledTask": lambda s: [{"TaskName": name, "State": 3} for name in self.tasks],
        }
        if command.program:
            return self._program(statement)
        known = by_name.get(command.name)
        return known(statement) if known else []

    def _program(self, statement: Statement) -> Any:
        exe = statement.commands[0].name.rsplit("\\", 1)[-1]
        arguments = statement.commands[0].arguments
        if exe == "vssadmin.exe":
            return self.writers.splitlines()
        if exe == "whoami.exe":
            return [HIGH] if arguments and self.elevated else ["sql01\\admin"]
        if exe == "robocopy.exe":
            return self._listing(statement, *arguments)
        if exe == "diskshadow.exe":
            return self._diskshadow(statement, self.files[arguments[1]])
        if exe == "cmd.exe" and "mklink" in arguments:
            self.folders.add(arguments[-2])
        elif exe == "cmd.exe":
            self.folders.discard(arguments[-1])
        return []

    def _listing(self, statement: Statement, folder: str, *options: str) -> Result:
        """robocopy /L: two files in every tree, on the standard output or in the log."""
        assert "/L" in options
        lines = (
            [] if "/NFL" in options else [f"\t\t\t{100 * at:10}\t{folder}\\{name}" for at, name in enumerate("ab", 1)]
        )
        lines += listing_table(2, 300)
        log = next((each.partition(":")[2] for each in options if each.startswith("/UNILOG:")), None)
        if log is None:
            return Result(statement.key, lines, [], 1, True)
        self.files[log] = "\n".join(lines)
        return Result(statement.key, [f"Log File : {log}"], [], 1, True)

    def _diskshadow(self, statement: Statement, script: str) -> Result:
        code, text = 0, self.metadata
        if "\ncreate" in script:
            code, text = self.create(script)
            if "/l" in statement.commands[0].arguments:
                self.files[statement.commands[0].arguments[-1]] = text
        elif "expose" in script:
            text = ""
            for verb, identity, *target in (line.split() for line in script.splitlines() if "expose" in line):
                self.shadows[identity]["ExposedName"] = f"{target[0]}\\" if verb == "expose" else None
        return Result(statement.key, text.splitlines(), [], code, True)

    def _creating(self, script: str) -> tuple[int, str]:
        """diskshadow as it succeeds: one shadow copy for each `add volume`, listed as it lists them."""
        text = ""
        for line in script.splitlines():
            text += f"-> {line}\n"
            if line.startswith("add volume"):
                _, _, name, *_, alias = line.split()
                identity = "{" + str(uuid.uuid4()) + "}"
                self.shadow(identity, next(k for k, v in VOLUME.items() if v == name))
                text += f"Alias {alias} for shadow ID {identity} set as environment variable.\n"
            if line.startswith("expose"):
                _, alias, target = line.split()
                identity = re.search(f"Alias {alias.strip('%')} for shadow ID (\\S+)", text)[1]
                self.shadows[identity]["ExposedName"] = f"{target}\\"
        return 0, text + f"Alias VSS_SHADOW_SET for shadow set ID {SET} set as environment variable.\n"

    def shadow(self, identity: str, letter: str, **more: Any) -> dict[str, Any]:
        """Put a shadow copy on the host."""
        self.shadows[identity] = {
            "ID": identity.upper(),
            "SetID": SET.upper(),
            "VolumeName": VOLUME[letter],
            "DeviceObject": f"\\\\?\\GLOBALROOT\\Device\\HarddiskVolumeShadowCopy{len(self.shadows) + 1}",
            "InstallDate": ticks(NOW),
            "State": 12,
            **more,
        }
        return self.shadows[identity]

    def _cim(self, statement: Statement) -> list[dict[str, Any]]:
        os = {
            "CSName": "SQL01",
            "Caption": "Microsoft Windows Server 2022",
            "ProductType": 3 if self.server else 1,
            "WindowsDirectory": "C:\\Windows",
            "LocalDateTime": ticks(NOW),
        }
        instances = {
            "Win32_OperatingSystem": [os],
            "Win32_Volume": self.volumes,
            "Win32_ShadowCopy": list(self.shadows.values()),
        }
        return instances.get(statement.commands[0].parameters["ClassName"], [])

    def _create_by_cim(self, statement: Statement) -> list[dict[str, Any]]:
        wanted = statement.commands[0].parameters["Arguments"]["Volume"]
        identity = "{" + str(uuid.uuid4()) + "}"
        self.shadow(identity, wanted[0], NoWriters=True)
        self.files[statement.commands[-1].parameters["FilePath"]] = json.dumps({"ReturnValue": 0, "ShadowID": identity})
        return [{"ReturnValue": 0, "ShadowID": identity.upper()}]

    def _delete(self, statement: Statement) -> list[Any]:
        self.shadows.pop(re.search(r"\{[^}]+\}", statement.commands[0].parameters["Query"])[0].lower(), None)
        return []

    def _write(self, statement: Statement) -> list[Any]:
        parameters = statement.commands[0].parameters
        self.files[parameters["LiteralPath"]] = "\n".join(parameters["Value"]) + "\n"
        return []

    def _move(self, statement: Statement) -> list[Any]:
        parameters = statement.commands[0].parameters
        self.files[parameters["Destination"]] = self.files.pop(parameters["LiteralPath"])
        return []

    def _rename(self, statement: Statement) -> Any:
        parameters = statement.commands[0].parameters
        old = parameters["LiteralPath"]
        new = f"{old.rpartition(chr(92))[0]}\\{parameters['NewName']}"
        if not self._there(old) or self._there(new):
            return self.failed(statement, "it is not there, or the name is taken")
        self.files = {new + n[len(old) :] if n.startswith(old) else n: text for n, text in self.files.items()}
        self.folders = {new + n[len(old) :] if n.startswith(old) else n for n in self.folders}
        return []

    def _make(self, statement: Statement) -> list[Any]:
        parameters = statement.commands[-1].parameters
        if parameters["ItemType"] == "File":
            self.files[parameters["Path"]] = parameters.get("Value", "")
            self.folders.add(parameters["Path"].rpartition("\\")[0])
        else:
            self.folders.add(parameters["Path"])
        return []

    def _remove(self, statement: Statement) -> list[Any]:
        path = statement.commands[0].parameters["LiteralPath"]
        self.files = {name: text for name, text in self.files.items() if not name.startswith(path)}
        self.folders = {name for name in self.folders if not name.startswith(path)}
        return []

    def _there(self, path: str) -> bool:
        bare = path.rstrip("\\").lower()
        known = [
            *self.files,
            *self.folders,
            "C:",
            "D:\\Bank",
            "C:\\Windows\\System32\\diskshadow.exe" if self.server else "",
        ]
        return (
            any(name.lower() == bare or name.lower().startswith(bare + "\\") for name in known if name) and bare != "p:"
        )

    def _read(self, statement: Statement) -> list[str]:
        parameters = statement.commands[0].parameters
        pattern = re.escape(str(parameters.get("Path") or parameters.get("LiteralPath"))).replace("\\*", "[^\\\\]*")
        found = [text for name, text in self.files.items() if re.fullmatch(pattern, name, re.IGNORECASE)]
        return found if "Raw" in parameters else [line for text in found for line in text.splitlines()]

    def _list(self, statement: Statement) -> list[dict[str, Any]]:
        parameters = statement.commands[0].parameters
        folder = parameters["LiteralPath"].rstrip("\\") + "\\"
        if "Directory" in parameters:
            below = {name[len(folder) :].split("\\")[0] for name in [*self.folders] if name.startswith(folder)}
            return [{"Name": name, "FullName": folder + name, "LastWriteTimeUtc": ticks(NOW)} for name in sorted(below)]
        return [{"FullName": name, "Length": 1} for name in self.files if name.startswith(folder)]

    def _register(self, statement: Statement) -> list[Any]:
        self.tasks[statement.commands[0].parameters["TaskName"]] = 267011
        return []

    def _unregister(self, statement: Statement) -> list[Any]:
        self.tasks.pop(statement.commands[0].parameters["TaskName"], None)
        return []

    def _start(self, statement: Statement) -> list[Any]:
        self.tasks[statement.commands[0].parameters["TaskName"]] = 1
        return []
