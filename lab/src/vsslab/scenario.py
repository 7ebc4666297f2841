# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenarios: a fleet described in YAML, read strictly; what is not understood is refused with file, line and reason."""

from __future__ import annotations

import datetime
import importlib.resources
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from vsslab import schema, tables, vss
from vsslab.faults import Faults
from vsslab.faultwords import size
from vsslab.labtime import UTC
from vsslab.schema import (
    Field,
    Parser,
    Record,
    SchemaError,
    document,
    items,
    judged,
    mapping_of_anything,
    one_of,
    scalar,
    text,
)
from vsslab.specs import (
    AppSpec,
    ConnectionSpec,
    FilesSpec,
    HostSpec,
    Scenario,
    TimeSpec,
    UserSpec,
    VolumeSpec,
    WriterSpec,
)
from vsslab.windows import endpoints
from vsslab.windows.profile import language_of, profile_of
from vsslab.windows.volumes import file_systems
from vsslab.windows.zones import time_zone

ScenarioError = SchemaError


def _path(value: Any) -> str:
    if not re.fullmatch(r"[A-Za-z]:\\.*", str(value)):
        raise ValueError(f"{value!r} is not a path with a drive letter, such as D:\\Bank.")
    return str(value)


def _host_name(value: Any) -> str:
    """Also the name of the folder that the host's files are in: nothing that could lead out of it."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}", str(value)):
        raise ValueError(f"{value!r} is no name of a host: letters, digits, '-', '_' and '.', at most 63.")
    return str(value)


def _not_negative(value: Any) -> Any:
    if value < 0:
        raise ValueError(f"{value} is negative.")
    return value


def _positive(value: Any) -> Any:
    if value <= 0:
        raise ValueError(f"{value} is not above zero.")
    return value


_APPS = ("bank", "ledger", "mail", "weblog")  # the programs in vsslab.apps


def _app_kind(value: Any) -> str:
    if not str(value).endswith(".py") and value not in _APPS:
        raise ValueError(f"{value!r} is neither {', '.join(_APPS)} nor the path of a Python program (*.py).")
    return str(value)


def _drive_type(value: Any) -> int:
    if value not in (2, 3, 5):
        raise ValueError(f"{value} is not 2 (removable), 3 (local) or 5 (optical).")
    return int(value)


def _address(value: Any) -> str:
    if value != "auto" and not re.fullmatch(r"127(\.(25[0-5]|2[0-4]\d|1?\d?\d)){3}", str(value)):
        raise ValueError(f"{value!r} is neither auto nor in 127.0.0.0/8, and the laboratory listens nowhere else.")
    return str(value)


_USER_FIELDS: dict[str, Parser | Field] = {"name": Field(text, required=True), "password": text}
_USER_FIELDS |= {name: scalar(bool) for name in ("administrator", "remote", "disabled", "locked")}
_USER = Record(UserSpec, _USER_FIELDS)
_VOLUME = Record(
    VolumeSpec,
    {
        "letter": scalar(str, lambda value: str(value).rstrip(":\\").upper()),
        "label": text,
        "file_system": one_of(*file_systems()),
        "capacity": scalar((int, str), size),
        "drive_type": scalar(int, _drive_type),
        "mounts": items(scalar(str, _path)),
        "system": scalar(bool),
        "pagefile": scalar(bool),
        "dirty": scalar(bool),
    },
)
_SERVICE = Record(
    dict,
    {
        "name": Field(text, required=True),
        "display_name": text,
        "status": one_of("Running", "Stopped"),
        "start_type": one_of("Auto", "Manual", "Disabled"),
        "delayed": scalar(bool),
        "needs": items(text),
        "account": text,
        "can_stop": scalar(bool),
        "start_seconds": scalar((int, float), _not_negative),
        "stop_seconds": scalar((int, float), _not_negative),
        "restart_after": scalar((int, float), _not_negative),
    },
)
_SHARE = Record(
    dict,
    {
        "name": Field(text, required=True),
        "path": Field(scalar(str, _path), required=True),
        "description": text,
        "full": items(text),
        "change": items(text),
        "read": items(text),
        "none": items(text),
    },
)
_COMPONENT = Record(
    dict,
    {
        "name": Field(text, required=True),
        "logical_path": text,
        "caption": text,
        "database": scalar(bool),
        "selectable": scalar(bool),
        "top_level": scalar(bool),
        "notify_on_backup_complete": scalar(bool),
        "files": items(
            Record(dict, {"path": Field(text, required=True), "filespec": text, "recursive": scalar(bool)}),
        ),
    },
)
_WRITER = Record(
    WriterSpec,
    {
        "name": Field(text, required=True),
        "app": text,
        "class_id": text,
        "service": text,
        "display_name": text,
        "components": items(_COMPONENT),
        "freeze_limit": scalar((int, float), _positive),
        "freeze_events": Record(
            dict,
            {
                "provider": Field(text, required=True),
                "freeze": Field(scalar(int), required=True),
                "thaw": Field(scalar(int), required=True),
                "names": items(text),
                "freeze_text": text,
                "thaw_text": text,
            },
        ),
    },
    line="line",
)
_APP = Record(
    AppSpec,
    {
        "name": Field(text, required=True),
        "kind": Field(scalar(str, _app_kind), required=True),
        "folder": Field(scalar(str, _path), required=True),
        "rate": scalar((int, float), _positive),
        "process": text,
    },
)
_FILES = Record(
    FilesSpec,
    {
        "path": Field(scalar(str, _path), required=True),
        "text": text,
        "count": scalar(int, _not_negative),
        "bytes": scalar((int, str), size),
        "depth": scalar(int, _not_negative),
    },
)
_CONNECTION = Record(
    ConnectionSpec,
    {
        "plugin": one_of("psrp", "winrm"),
        "scheme": one_of("http", "https"),
        "auth": one_of("ntlm", "negotiate", "basic", "credssp"),
        "user": text,
    },
)


def _role_file(place: Any) -> dict[str, Any]:
    """A role capability file, named relative to the scenario's folder; its keys."""
    try:
        return endpoints.read_role(str(Path(place.file).parent / text(place)))
    except ValueError as error:
        raise place.wrong(f"role_file: {error}") from None


_ENDPOINT = Record(
    dict,
    {
        "name": Field(text, required=True),
        "role": judged(mapping_of_anything, endpoints.role_of),
        "role_file": _role_file,
        "groups": items(text),
        "users": items(text),
        "virtual_account": scalar(bool),
        "applied": scalar(bool),
    },
)
_TAPE = Record(
    dict,
    {
        "name": text,
        "medium": scalar(bool),
        "capacity": scalar((int, str), size),
        "write_protected": scalar(bool),
        "block_size": scalar((int, str), size),
    },
)
_HOST_FIELDS: dict[str, Parser | Field] = {
    "tapes": items(_TAPE),
    "endpoints": items(_ENDPOINT),
    "authentication": items(one_of("negotiate", "basic", "credssp", "certificate")),
    "services": items(_SERVICE),
    "shares": items(_SHARE),
    "utf8": scalar(bool),
    "restart_seconds": scalar((int, float), _not_negative),
    "profile": judged(text, profile_of),
    "language": judged(text, language_of),
    "time_zone": judged(text, time_zone),
    "domain": text,
    "copy_rate": scalar((int, str), size),
    "engine": text,
    "users": items(_USER),
    "volumes": items(_VOLUME),
    "writers": items(_WRITER),
    "apps": items(_APP),
    "files": items(_FILES),
    "connection": _CONNECTION,
    "vss": judged(mapping_of_anything, vss.Options.of),
    "clock": Record(dict, {"skew": scalar((int, float)), "speed": scalar((int, float), _positive)}),
}
_HOST = Record(
    HostSpec,
    {"name": Field(scalar(str, _host_name), required=True), "address": scalar(str, _address), **_HOST_FIELDS},
    line="line",
)


def time_of(value: Any) -> TimeSpec:
    """The time that a text means: real, virtual, or the date that virtual time begins with; ValueError."""
    if str(value).lower() in ("real", "virtual"):
        return TimeSpec(str(value).lower() == "virtual")
    try:
        start = value if isinstance(value, datetime.datetime) else datetime.datetime.fromisoformat(str(value))
    except ValueError:
        raise ValueError(f"{value!r} is not real, virtual, or the date virtual time begins with.") from None
    return TimeSpec(True, start if start.tzinfo else start.replace(tzinfo=UTC))


_SCENARIO = Record(
    dict,
    {
        "name": Field(text, required=True),
        "description": text,
        "time": scalar((str, datetime.datetime), time_of),
        "defaults": Record(dict, _HOST_FIELDS),
        "hosts": Field(items(_HOST), required=True),
        "faults": items(judged(mapping_of_anything, lambda value: Faults().add(value))),
    },
    inherit=("defaults", "hosts"),
)


def all_keys() -> list[tuple[str, bool]]:
    """Every key of a scenario, as `hosts.volumes.letter`, and whether it must be there; `defaults` has a host's."""
    return [(name, needed) for name, needed in schema.keys(_SCENARIO) if not name.startswith("defaults.")]


def names() -> list[str]:
    """The scenarios that come with the laboratory."""
    return tables.names("vsslab", "scenarios")


def load(source: str | Path) -> Scenario:
    """Read a scenario: the path of a YAML file, or the name of one that comes with the laboratory.

    Raises ScenarioError (file, line and one sentence) for whatever is wrong with it.
    """
    path = Path(source)
    if str(source) in names():
        file = f"{source}.yml"
        content = importlib.resources.files("vsslab").joinpath(f"scenarios/{file}").read_text(encoding="utf-8")
    else:
        file = str(path)
        try:
            content = path.read_text(encoding="utf-8")
        except OSError as error:
            known = ", ".join(names())
            raise ScenarioError(
                f"{source}: there is no such scenario file ({error.strerror}); known names: {known}."
            ) from None
    return read(content, file)


def read(content: str, file: str) -> Scenario:
    """Read a scenario's text; `file` is what ScenarioError calls it."""
    values = document(content, file, _SCENARIO)
    values.pop("defaults", None)
    scenario = Scenario(**values, file=file, source=content)
    _judge(scenario)
    return scenario


def uniform(count: int, name: str = "fleet", **fields: Any) -> Scenario:
    """A scenario of equal hosts named host1, host2 ...; `fields` are keys of a host; ScenarioError.

    Where they say nothing else there is an administrator, and the volumes C and D.
    """
    if count < 1:
        raise ScenarioError(f"{name}:1: a laboratory has at least one host, not {count}.")
    plain: dict[str, Any] = {
        "users": [{"name": "Administrator", "administrator": True, "remote": True}],
        "volumes": [{"letter": "C", "capacity": "64 GiB"}, {"letter": "D", "capacity": "32 GiB"}],
    }
    hosts = [{"name": f"host{number}"} for number in range(1, count + 1)]
    content = {"name": name, "defaults": plain | fields, "hosts": hosts[:1]}
    first = read(yaml.safe_dump(content, sort_keys=False), name)
    (host,) = first.hosts
    source = yaml.safe_dump({**content, "hosts": hosts}, sort_keys=False)
    return replace(first, hosts=tuple(replace(host, name=each["name"]) for each in hosts), source=source)


def _judge(scenario: Scenario) -> None:
    if not scenario.hosts:
        raise ScenarioError(f"{scenario.file}:1: a laboratory has at least one host.")
    seen: set[str] = set()
    for host in scenario.hosts:
        for wrong in _faults_of(host):
            raise ScenarioError(f"{scenario.file}:{host.line}: host {host.name}: {wrong}")
        if host.name.lower() in seen:
            raise ScenarioError(f"{scenario.file}:{host.line}: there are two hosts named {host.name}.")
        seen.add(host.name.lower())


def _faults_of(host: HostSpec) -> list[str]:
    """What the schema alone cannot tell, one sentence each."""
    users = {each.name.lower(): each for each in host.users}
    letters = [each.letter for each in host.volumes if each.letter]
    apps = {each.name.lower() for each in host.apps}
    wanted = (host.connection.user or "").lower()
    paths = [*(each.folder for each in host.apps), *(each.path for each in host.files)]
    paths += [each["path"] for each in host.shares]
    paths += [folder for volume in host.volumes for folder in volume.mounts]
    domain = host.domain.partition(".")[0].lower()
    foreign = [each for each in host.users if "\\" in each.name]
    checks = {
        "no user is an administrator.": not any(each.administrator for each in host.users),
        "two users have the same name.": len(users) != len(host.users),
        f"the connection's user {host.connection.user} is not among the users.": bool(wanted) and wanted not in users,
        "basic authentication needs https.": host.connection.auth == "basic" and host.connection.scheme == "http",
        "a domain controller needs a domain with a dot in its name.": profile_of(host.profile).domain_controller
        and "." not in host.domain,
        "an account of a domain is DOMAIN\\name, of the host's own domain.": any(
            each.name.lower().partition("\\")[0] != domain or "." not in host.domain for each in foreign
        ),
        "an account of a domain needs a password, the same on every host.": any(not each.password for each in foreign),
        "there is no volume C.": "C" not in letters,
        "two volumes have the same letter.": len(set(letters)) != len(letters),
    }
    wrong = [sentence for sentence, is_so in checks.items() if is_so]
    wrong += [f"{each} is on no volume of the host." for each in paths if each[0].upper() not in letters]
    for writer in host.writers:
        if writer.app is not None and writer.app.lower() not in apps:
            wrong.append(f"the writer {writer.name} speaks for {writer.app}, but there is no such application.")
        if not writer.description().get("class_id"):
            wrong.append(f"the writer {writer.name} is not a well-known one: it needs a class_id.")
    return wrong
