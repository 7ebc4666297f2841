# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The world that outside engines ask, spoken to as an engine would, without one."""

from __future__ import annotations

import datetime
import json
import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from vsslab.engine import outside_session, outside_values, signatures
from vsslab.engine.outside_world import World, WorldSession
from vsslab.engine.runspace import Runspace
from vsslab.engine.values import I64, U32, U64, EnumValue, Obj, Secret, custom
from vsslab.windows.host import Host

from . import world as recipe

UTC = datetime.timezone.utc


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    made = recipe.build(tmp_path / "host", "world")
    yield made
    made.close()


@pytest.fixture
def world(host: Host, tmp_path: Path) -> Iterator[World]:
    admin = host.users.find("admin")
    assert admin is not None
    session = WorldSession(Runspace(host, admin, "S1"))
    short = Path("/tmp") / f"w{os.getpid()}-{uuid.uuid4().hex[:8]}"
    short.mkdir()
    made = World(short, {"token": session}.get)
    yield made
    made.close()
    short.rmdir()


class Engine:
    """What an engine does on the socket."""

    def __init__(self, world: World, token: str = "token", kind: str = "psengine") -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(20)
        self._socket.connect(str(world.path))
        self._lines = self._socket.makefile("rw", encoding="utf-8", newline="\n")
        self.say({"hello": kind, "host": token})

    def say(self, message: dict[str, Any]) -> None:
        self._lines.write(json.dumps(message) + "\n")
        self._lines.flush()

    def call(self, name: str, **parameters: Any) -> list[dict[str, Any]]:
        self.say({"call": name, "parameters": parameters})
        return self.answer()

    def answer(self) -> list[dict[str, Any]]:
        found = []
        for line in self._lines:
            found.append(json.loads(line))
            if "done" in found[-1]:
                return found[:-1]
        return found

    def read(self) -> str:
        return self._lines.readline()

    def close(self) -> None:
        self._lines.close()
        self._socket.close()


def test_a_command_is_carried_out_on_the_host(world: World, host: Host) -> None:
    engine = Engine(world)
    assert engine.call("Test-Path", Path=["C:\\Demo", "C:\\nope"]) == [{"output": True}, {"output": False}]
    assert engine.call("Set-Content", **{"$given": {"Path": ["D:\\x"], "Value": ["a"]}, "$piped": False,
                                         "$records": [{"Path": ["D:\\x"], "Value": ["a"]}]}) == []  # fmt: skip
    assert host.files.read("D:\\x") == b"a\r\n"


def test_errors_come_with_id_category_and_whether_they_end(world: World) -> None:
    engine = Engine(world)
    (missing,) = engine.call("Get-Item", Path=["C:\\nope"])
    assert missing["error"] == {
        "message": "Cannot find path 'C:\\nope' because it does not exist.", "id": "PathNotFound",
        "category": "ObjectNotFound", "target": "C:\\nope", "terminating": False,
    }  # fmt: skip
    (wrong,) = engine.call("Write-EventLog", LogName="Application", Source="nope", EventId=1, Message="x")
    assert wrong["error"]["terminating"] is True
    (refused,) = engine.call("Start-Job", Name="x")
    assert refused["error"]["id"] in ("SimulationRefused", "AmbiguousParameterSet", "MissingMandatoryParameter")


def test_error_action_stop_ends_the_work_at_once(world: World, host: Host) -> None:
    host.files.write("D:\\keep", b"x")
    engine = Engine(world)
    found = engine.call("Remove-Item", **{"Path": ["D:\\nope", "D:\\keep"], "$action": "Stop"})
    assert [each["error"]["id"] for each in found] == ["PathNotFound"]
    assert host.files.exists("D:\\keep")


def test_what_comes_back_through_a_pipe_is_what_went_out(world: World, host: Host) -> None:
    engine = Engine(world)
    host.vss  # noqa: B018 - the service is there
    engine.call("Invoke-CimMethod", ClassName="Win32_ShadowCopy", MethodName="Create",
                Arguments={"$map": {"Volume": "D:\\", "Context": "ClientAccessible"}})  # fmt: skip
    (given,) = engine.call("Get-CimInstance", ClassName="Win32_ShadowCopy")
    plain = {name: each if not isinstance(each, dict) else next(iter(each.values()))
             for name, each in given["output"]["$props"].items()}  # fmt: skip
    assert engine.call("Remove-CimInstance", InputObject=plain) == []
    assert host.ledger()["shadow_copies"] == []


def test_records_are_collected_by_commands_that_answer_at_the_end(world: World) -> None:
    records = [{"InputObject": each, "Sum": True} for each in (1, 2, 6)]
    (found,) = Engine(world).call("Measure-Object", **{"$given": {"Sum": True}, "$piped": True, "$records": records})
    assert found["output"]["$props"]["Sum"] == 9.0


def test_a_call_that_is_broken_off_stops_and_the_next_one_works(world: World) -> None:
    engine = Engine(world)
    began = time.monotonic()
    engine.say({"call": "Get-Content", "parameters": {"Path": ["C:\\Demo\\notes.txt"], "Wait": True}})
    assert "line one" in engine.read()
    engine.say({"call": "$drain", "parameters": {}})
    engine.answer()
    assert time.monotonic() - began < 10
    engine.say({"call": "$drain", "parameters": {}})  # with nothing to break off: it must not hurt what follows
    assert engine.call("Test-Path", Path=["C:\\Demo"]) == [{"output": True}]


def test_a_program_ends_when_who_called_it_is_gone(world: World, host: Host) -> None:
    engine = Engine(world, kind="winexe")
    engine.say({"call": "endless.exe", "parameters": {"Arguments": [], "Input": ""}})
    assert "started" in engine.read()
    engine.close()
    deadline = time.monotonic() + 10
    while any(each.name == "endless.exe" for each in host.processes.list()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(each.name == "endless.exe" for each in host.processes.list())


def test_strangers_are_not_answered(world: World) -> None:
    def answered() -> str:
        """What the world says to a stranger, who is cut off before the call is sent, or after it."""
        engine = Engine(world, token="somebody")
        engine.say({"call": "Test-Path", "parameters": {"Path": ["C:\\"]}})
        return engine.read()

    with pytest.raises((AssertionError, OSError)):
        assert answered()
    assert world.path.stat().st_mode & 0o077 == 0


def test_the_stand_in_of_a_program_is_a_real_program(world: World, tmp_path: Path) -> None:
    text = resources.files("vsslab.engine").joinpath("outside_program.py").read_text(encoding="utf-8")
    program, link = tmp_path / "program", tmp_path / "sh.exe"
    program.write_text(f"#!{sys.executable} -IS\n{text}")
    program.chmod(0o700)
    link.symlink_to(program)
    environment = {**os.environ, "PSENGINE_WORLD": f"unix:{world.path}", "PSENGINE_HOST": "token"}
    done = subprocess.run([link, "worse"], env=environment, capture_output=True, text=True, input="", check=False)
    assert (done.returncode, done.stdout, done.stderr) == (3, "out1\nout2\n", "bad\nworse\n")
    (tmp_path / "cat.exe").symlink_to(program)
    done = subprocess.run([tmp_path / "cat.exe"], env=environment, capture_output=True, text=True, input="ä\nb\n",
                          check=False)  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "ä\nb\n")


@pytest.mark.parametrize(
    ("value", "json_value"),
    [
        (None, None), (True, True), (5, 5), ("x", "x"), (1.5, 1.5), (U64(2**64 - 1), {"$u64": "18446744073709551615"}),
        (I64(5), {"$i64": "5"}), (U32(5), {"$u32": "5"}), (b"\0\1", {"$bytes": "AAE="}), ([1, "a"], [1, "a"]),
        (uuid.UUID(int=5), {"$guid": str(uuid.UUID(int=5))}),
        (datetime.datetime(2001, 2, 3, 4, 5, 6, 700000, UTC), {"$dt": "2001-02-03T04:05:06.700000Z"}),
        (datetime.timedelta(days=-1, hours=-2), {"$ts": "-1.02:00:00.000000"}),
    ],
)  # fmt: skip
def test_values_travel_and_come_back(value: Any, json_value: Any) -> None:
    assert outside_values.encode(value) == json_value
    assert outside_values.Seen().decode(json.loads(json.dumps(json_value)), UTC) == value


def test_what_the_protocol_cannot_say_becomes_what_comes_nearest() -> None:
    assert outside_values.encode(EnumValue("Running", 4, "X.Status")) == "Running"
    assert outside_values.encode(Obj((), {}, {"PSPath": "C:\\x"}, base="line")) == "line"
    assert "hush" not in str(outside_values.encode(Secret("hush")))
    found = outside_values.encode(custom({"a": 1, "b": [custom({"c": U64(1)})]}))
    assert found["$props"]["b"][0]["$props"] == {"c": {"$u64": "1"}}


def test_every_documented_command_is_in_the_script_and_secrets_are_not() -> None:
    text = outside_session.script(Path("/e/psengine.dll"), {"cmd.exe": Path("/p/cmd.exe"), "it's": Path("/p/x")})
    engine_s = outside_session.BUILT_IN - {"Select-Object"}  # that one stands around the engine's own
    for name in signatures.known_names():
        assert (f"function global:{name} {{" in text) is (name not in engine_s), name
    assert "'it''s'='/p/x'" in text
    assert text.rstrip().endswith("$state.LanguageMode = 'NoLanguage'")
    full = outside_session.script(Path("/e/psengine.dll"), {}, language="full")
    assert "LanguageMode =" not in full
