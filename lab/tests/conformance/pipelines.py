# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of pipelines (pipelines/*.yml, and the recorded ones): what is asked, of which host, in which session."""

from __future__ import annotations

import base64
import datetime
import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import psrpcore
import yaml
from psrpcore import types as ps
from psrpcore.types._serializer import deserialize

from . import recordings

FOLDER = Path(__file__).parent / "pipelines"
Argument = tuple[str | None, Any]
Command = tuple[str, tuple[Argument, ...], bool]


@dataclass(frozen=True)
class Pipeline:
    """One pipeline: statements of commands (name, arguments, whether it is script text).

    `input` is what the client sends into it; `stop` stops it after a moment; `free_order` when it calls programs, whose
    two streams keep no order; `recorded` names the recording of the same pipeline.
    """

    name: str
    statements: tuple[tuple[Command, ...], ...]
    text: str
    input: tuple[Any, ...] | None = None
    stop: bool = False
    free_order: bool = False
    recorded: str | None = None
    local_scope: bool | None = None
    secrets: bool = False


@dataclass(frozen=True)
class Group:
    """Pipelines that run one after the other in one session, on a host of their own."""

    name: str
    user: str
    configuration: str
    pipelines: tuple[Pipeline, ...]


class _Loader(yaml.SafeLoader):
    """YAML with tags for values that it does not tell apart."""


_MAKERS: dict[str, Any] = {
    "u64": lambda text: ps.PSUInt64(int(text)), "i64": lambda text: ps.PSInt64(int(text)),
    "u32": lambda text: ps.PSUInt(int(text)), "u16": lambda text: ps.PSUInt16(int(text)),
    "u8": lambda text: ps.PSByte(int(text)), "char": ps.PSChar,
    "double": lambda text: ps.PSDouble(float(text)), "version": ps.PSVersion,
    "guid": ps.PSGuid,
    "dt": ps.PSDateTime.fromisoformat, "bytes": lambda text: ps.PSByteArray(base64.b64decode(text)),
    "ts": lambda text: datetime.timedelta(seconds=float(text)), "secret": ps.PSSecureString,
    "script": ps.PSScriptBlock, "long": lambda text: "x" * int(text),
}  # fmt: skip
for _name, _make in _MAKERS.items():
    _Loader.add_constructor(
        f"!{_name}",
        lambda loader, node, make=_make: make(loader.construct_scalar(node)),  # type: ignore[misc]
    )


@functools.cache
def groups() -> tuple[Group, ...]:
    """Every group, in the order of the files."""
    found = []
    for file in sorted(FOLDER.glob("*.yml")):
        table = yaml.load(file.read_text(encoding="utf-8"), _Loader)
        found.append(Group(file.stem, table.get("user", "admin"), table.get("configuration", "microsoft.powershell"),
                           tuple(_pipeline(file.stem, each) for each in table["pipelines"])))  # fmt: skip
    return (*found, *map(_recorded, recordings.names()))


def _recorded(name: str) -> Group:
    """A recorded pipeline, on a host of its own as the recording found one."""
    read = deserialize(ET.fromstring(recordings.asked(name)), None)
    statements: list[list[Command]] = [[]]
    for each in psrpcore.PowerShell.FromPSObjectForRemoting(read).commands:
        statements[-1].append((str(each.command_text), tuple(each.parameters), bool(each.is_script)))
        if each.end_of_statement:
            statements.append([])
    made = tuple(tuple(each) for each in statements if each)
    pipeline = Pipeline(f"recorded: {name}", made, _text(made), recorded=name, free_order="native" in name)
    return Group(f"recorded-{name.replace('/', '-')}", "admin", "microsoft.powershell", (pipeline,))


def _text(statements: Iterable[Iterable[Command]]) -> str:
    return "; ".join(" | ".join(map(shown, each)) for each in statements)


def every() -> Iterator[tuple[Group, Pipeline]]:
    """Every pipeline with its group."""
    for group in groups():
        for each in group.pipelines:
            yield group, each


def _pipeline(group: str, row: dict[str, Any]) -> Pipeline:
    """A row: `do` is one command, `pipe` one statement, `run` several."""
    statements = row["run"] if "run" in row else [row["pipe"]] if "pipe" in row else [[row["do"]]]
    made = tuple(tuple(_command(each) for each in statement) for statement in statements)
    given = row.get("input")
    return Pipeline(
        f"{group}: {row['name']}", made, _text(made),
        None if given is None else tuple(given), bool(row.get("stop")), bool(row.get("programs")), row.get("recorded"),
        row.get("local_scope"), bool(row.get("secrets")),
    )  # fmt: skip


def _command(row: Any) -> Command:
    if isinstance(row, dict):
        return str(row["script"]), (), True
    name, *rest = row if isinstance(row, list) else [row]
    arguments: list[Argument] = []
    for each in rest:
        if isinstance(each, dict) and "value" not in each:
            arguments += [(str(key), _sent(value)) for key, value in each.items()]
        else:
            arguments.append((None, _sent(each["value"] if isinstance(each, dict) else each)))
    return str(name), tuple(arguments), False


def _sent(value: Any) -> Any:
    if type(value) is list:
        return ps.PSList([_sent(each) for each in value])
    if type(value) is dict:
        return ps.PSDict({key: _sent(each) for key, each in value.items()})
    return value


def shown(command: Command) -> str:
    """A command as one would write it, for people."""
    name, arguments, script = command
    if script:
        return "{" + name + "}"
    return " ".join(
        [name, *(_shown(value) if key is None else f"-{key} {_shown(value)}".strip() for key, value in arguments)]
    )


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, ps.PSSecureString):
        return "(secret)"
    if isinstance(value, list):
        return ",".join(map(_shown, value))
    if isinstance(value, dict):
        return "@{" + ";".join(f"{key}={_shown(each)}" for key, each in value.items()) + "}"
    text = str(value)
    text = text if len(text) < 60 else text[:40] + "..."
    return f"'{text}'" if not text or " " in text else text
