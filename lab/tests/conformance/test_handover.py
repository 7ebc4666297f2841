# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real engine behind the laboratory's wire, used by an unmodified pypsrp; skipped where PSENGINE names none."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from pypsrp.exceptions import WinRMTransportError, WSManFaultError
from pypsrp.powershell import PowerShell, PSInvocationState, RunspacePool
from pypsrp.wsman import WSMan
from vsslab.engine.outside import Engine, EngineError
from vsslab.lab import Lab, LabError

from . import world
from .parties import RealEngine
from .pipelines import Pipeline


def wsman(lab: Lab, host: str) -> WSMan:
    return WSMan(
        lab.addresses[host], port=lab.ports[0], ssl=False, auth="ntlm", username="admin", password="Passw0rd!x"
    )


def run(pool: RunspacePool, name: str, *arguments: Any, **parameters: Any) -> PowerShell:
    powershell = PowerShell(pool)
    powershell.add_cmdlet(name)
    for each in arguments:
        powershell.add_argument(each)
    powershell.add_parameters(parameters)
    powershell.invoke()
    return powershell


def engines() -> set[int]:
    """The engines that run as children of this process."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line, status = (entry / "cmdline").read_bytes(), (entry / "stat").read_text()
            except OSError:
                continue
            if b"psengine" in line and status.rpartition(")")[2].split()[1] == str(os.getpid()):
                found.add(int(entry.name))
    return found


def gone(pid: int, patience: float = 10.0) -> bool:
    deadline = time.monotonic() + patience
    while pid in engines() and time.monotonic() < deadline:
        time.sleep(0.05)
    return pid not in engines()


def pid_of(lab: Lab, host: str) -> int:
    """The engine that was taken last for a session on a host."""
    return int(lab.trace.events("engine", host.upper(), state="taken")[-1]["pid"])


def test_both_hosts_answer_and_only_one_is_windows_powershell(lab: Lab) -> None:
    versions = {}
    for host in ("own", "real"):
        with RunspacePool(wsman(lab, host)) as pool:
            assert run(pool, "Test-Path", Path="D:\\").output == [True]
            done = run(pool, "Write-Output", "a", "b")
            assert (done.state, done.output) == (PSInvocationState.COMPLETED, ["a", "b"])
            table = run(pool, "Get-Variable", Name="PSVersionTable", ValueOnly=True).output[0]
            versions[host] = str(table["PSVersion"])
    assert versions["own"].startswith("5.1")
    assert versions["real"].startswith("7.")


def test_an_enumeration_is_one_within_a_pipeline_and_plain_values_stay_plain(lab: Lab) -> None:
    """Also when values of one type are met one after the other, each of which may be the first one seen."""
    for host in ("own", "real"):
        with RunspacePool(wsman(lab, host)) as pool:
            lab.hosts[host].files.write("D:\\plain.txt", b"text")
            whole = run(pool, "Get-Service", Name="VSS").output[0]
            known = whole.adapted_properties | whole.extended_properties
            assert (known["Status"], known["StartType"]) == ("Stopped", "Manual")
            assert run(pool, "Test-Path", Path=["D:\\plain.txt", "D:\\nope"]).output == [True, False]
            for name, state, number in (("VSS", "Stopped", 1), ("RpcSs", "Running", 4)):
                powershell = PowerShell(pool)
                powershell.add_cmdlet("Get-Service").add_parameter("Name", name)
                powershell.add_cmdlet("Where-Object")
                powershell.add_parameters({"Property": "Status", "EQ": True, "Value": state})
                powershell.add_cmdlet("Select-Object").add_parameter("Property", ["Name", "Status"])
                (found,) = powershell.invoke()
                properties = found.adapted_properties | found.extended_properties
                assert properties["Name"] == name
                status = properties["Status"]
                assert (status.to_string, status.property_sets) == (state, [number])
                assert status.types[:2] == ["System.ServiceProcess.ServiceControllerStatus", "System.Enum"]


def test_what_an_engine_changes_is_changed_on_the_host(lab: Lab) -> None:
    with RunspacePool(wsman(lab, "real")) as pool:
        done = run(pool, "Set-Content", Path="D:\\from-engine.txt", Value=["x", "y"])
        assert not done.had_errors
        made = run(pool, "Invoke-CimMethod", ClassName="Win32_ShadowCopy", MethodName="Create",
                   Arguments={"Volume": "D:\\", "Context": "ClientAccessible"})  # fmt: skip
        assert made.output[0].extended_properties["ReturnValue"] == 0
    assert lab.hosts["real"].files.read("D:\\from-engine.txt") == b"x\r\ny\r\n"
    assert len(lab.ledger()["real"]["shadow_copies"]) == 1


def test_an_error_comes_as_an_error_record(lab: Lab) -> None:
    with RunspacePool(wsman(lab, "real")) as pool:
        done = run(pool, "Get-Item", Path="D:\\nope")
    assert [each.fq_error.partition(",")[0] for each in done.streams.error] == ["PathNotFound"]


def test_an_answer_larger_than_an_envelope_comes_whole(lab: Lab) -> None:
    text = "ä" * 700_000
    lab.hosts["real"].files.write("D:\\large.txt", text.encode())
    with RunspacePool(wsman(lab, "real")) as pool:
        found = run(pool, "Get-Content", Path="D:\\large.txt", Raw=True, Encoding="UTF8").output
    assert [str(each) for each in found] == [text]


def test_a_stopped_pipeline_stops_and_the_session_goes_on(lab: Lab) -> None:
    with RunspacePool(wsman(lab, "real")) as pool:
        powershell = PowerShell(pool)
        powershell.add_cmdlet("Start-Sleep").add_parameter("Seconds", 30)
        powershell.begin_invoke()
        began = time.monotonic()
        powershell.stop()
        assert powershell.state == PSInvocationState.STOPPED
        assert time.monotonic() - began < 20
        assert run(pool, "Write-Output", "still here").output == ["still here"]


def test_script_text_does_not_run_on_this_machine(lab: Lab) -> None:
    with RunspacePool(wsman(lab, "real")) as pool:
        powershell = PowerShell(pool)
        powershell.add_script("1+1")
        powershell.invoke()
    assert powershell.state == PSInvocationState.FAILED
    assert [each.fq_error for each in powershell.streams.error] == ["ScriptsNotAllowed"]


def test_an_engine_with_a_full_language_runs_scripts(engine_folder: Path, tmp_path: Path) -> None:
    """Only for who asks for it in Python: a client then runs code of its own on this machine."""
    host = world.build(tmp_path / "host", "full")
    engine = Engine(engine_folder, tmp_path / "engine", language="full", spares=0)
    try:
        session = RealEngine(engine, host, "admin", "microsoft.powershell")
        script = ("(Get-Item -Path 'C:\\Demo').Name + (1 + 1)", (), True)
        answer = session.ask(Pipeline("script", ((script,),), ""))
        assert answer["messages"] == [["output", ["S", "Demo2"]]]
    finally:
        engine.close()
        host.close()


def test_a_role_of_an_endpoint_is_the_engine_s_too(lab: Lab) -> None:
    with RunspacePool(wsman(lab, "jea"), configuration_name="backup") as pool:
        assert run(pool, "Test-Path", Path="D:\\").output == [True]
        for name, parameters, told in (
            ("Get-ChildItem", {"Path": "D:\\"}, "CommandNotFoundException"),
            ("Get-Service", {"Name": "swprv"}, "ParameterArgumentValidationError"),
            ("Get-Service", {"DisplayName": "x"}, "NamedParameterNotFound"),
        ):
            done = run(pool, name, **parameters)
            assert done.state == PSInvocationState.FAILED
            assert [each.fq_error.partition(",")[0] for each in done.streams.error] == [told]


def test_a_closed_shell_leaves_no_engine(lab: Lab) -> None:
    with RunspacePool(wsman(lab, "real")) as pool:
        run(pool, "Write-Output", 1)
        pid = pid_of(lab, "real")
        assert pid in engines()
    assert gone(pid)


def test_a_reboot_ends_the_engine_with_the_shell(lab: Lab) -> None:
    pool = RunspacePool(wsman(lab, "real"))
    pool.open()
    pid = pid_of(lab, "real")
    lab.hosts["real"].reboot()
    assert gone(pid)
    with pytest.raises((WSManFaultError, WinRMTransportError, OSError)):
        run(pool, "Write-Output", 1)


def test_an_engine_that_dies_ends_its_pipeline_and_nothing_else(lab: Lab) -> None:
    with RunspacePool(wsman(lab, "real")) as other:
        pool = RunspacePool(wsman(lab, "real"))
        pool.open()
        os.kill(pid_of(lab, "real"), 9)
        with pytest.raises(WSManFaultError):
            run(pool, "Write-Output", 1)
        assert run(other, "Write-Output", 2).output == [2]


def test_a_pipeline_is_traced_without_its_secrets(lab: Lab) -> None:
    with RunspacePool(wsman(lab, "real")) as pool:
        run(pool, "Test-Path", Path="C:\\traced")
        run(pool, "New-SmbMapping", RemotePath="\\\\own\\x", UserName="u", Password="hush-hush")
    *_, before, last = lab.trace.events("pipeline", "REAL")
    assert before["statements"][0]["parameters"] == {"Path": "C:\\traced"}
    assert last["statements"][0]["command"] == "New-SmbMapping"
    assert "hush-hush" not in str(list(lab.trace))


def test_a_folder_without_an_engine_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"lacks psengine and psengine\.dll"):
        Engine(tmp_path, tmp_path / "state")
    (tmp_path / "one.yml").write_text(
        "name: x\nhosts: [{name: a, volumes: [{letter: C}], users: [{name: u, administrator: true}]}]\n"
    )
    with (
        pytest.raises(LabError, match="lacks psengine"),
        Lab.from_scenario(tmp_path / "one.yml", state=tmp_path / "lab", ports=(25987, 25988), engine=tmp_path),
    ):
        pass
