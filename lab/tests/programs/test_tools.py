# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The small administrative programs: sc, net, mountvol, fsutil, wevtutil, schtasks, takeown, reg and their like."""

from __future__ import annotations

import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any

import pytest
from vsslab import programs
from vsslab.programs.phrases import table
from vsslab.windows.host import Host

Machine = Any  # see conftest
EVENT = "{http://schemas.microsoft.com/win/2004/08/events/event}"


# --- sc and net start, stop


def test_sc_tells_and_changes_the_state_of_services(machine: Machine) -> None:
    lines = machine("sc.exe", "query", "VSS").out
    assert lines[1] == "SERVICE_NAME: VSS "
    assert "        STATE              : 1  STOPPED " in lines
    assert machine("sc.exe", "start", "VSS").code == 0
    assert machine.host.services.get("VSS").status == "Running"
    assert any(line.startswith("        PID") for line in machine("sc.exe", "queryex", "VSS").out)
    assert machine("sc.exe", "stop", "VSS").code == 0
    assert machine.host.services.get("VSS").status == "Stopped"
    assert machine("sc.exe", "config", "VSS", "start=", "disabled").out == ["[SC] ChangeServiceConfig SUCCESS"]
    assert "        START_TYPE         : 4   DISABLED" in machine("sc.exe", "qc", "VSS").out
    assert machine("sc.exe", "start", "VSS").out[0] == "[SC] StartService FAILED 1058:"


def test_sc_lists_what_runs_or_all(machine: Machine) -> None:
    running = [line for line in machine("sc.exe", "query").out if line.startswith("SERVICE_NAME")]
    everything = [line for line in machine("sc.exe", "query", "state=", "all").out if line.startswith("SERVICE_NAME")]
    assert "SERVICE_NAME: VSS " not in running
    assert "SERVICE_NAME: VSS " in everything


@pytest.mark.parametrize(
    ("argv", "code", "first"),
    [
        (("query", "nobody"), 1060, "[SC] EnumQueryServicesStatus:OpenService FAILED 1060:"),
        (("stop", "VSS"), 1062, "[SC] ControlService FAILED 1062:"),
    ],
)
def test_sc_fails_with_the_systems_number(machine: Machine, argv: tuple[str, ...], code: int, first: str) -> None:
    ended = machine("sc.exe", *argv)
    assert (ended.code, ended.out[0]) == (code, first)
    assert machine("sc.exe", "stop", "Winmgmt", user="bob").code == 5


def test_net_starts_and_stops_services_in_the_hosts_words(make_machine: Callable[..., Machine]) -> None:
    machine = make_machine()
    assert machine("net.exe", "start", "VSS").out == [
        "The Volume Shadow Copy service is starting.",
        "The Volume Shadow Copy service was started successfully.",
    ]
    again = machine("net.exe", "start", "VSS")
    assert (again.code, again.err[0]) == (2, "The requested service has already been started.")
    assert machine("net.exe", "stop", "Volume Shadow Copy").out[-1].endswith("was stopped successfully.")
    assert machine("net.exe", "stop", "VSS").err[0] == "The Volume Shadow Copy service is not started."
    assert machine("net.exe", "start", "nobody").err[-1] == "More help is available by typing NET HELPMSG 2185."
    machine.host.services.start("COMSysApp")
    dependents = machine("net.exe", "stop", "EventSystem")
    assert dependents.code == 2
    assert "   COM+ System Application" in dependents.out
    assert machine("net.exe", "stop", "EventSystem", "/y").code == 0
    german = make_machine(language="de-DE")
    assert german("net.exe", "start", "VSS").out[1] == "Volumeschattenkopie wurde erfolgreich gestartet."
    assert german("net.exe", "start", "VSS", user="bob").err[0] == "Systemfehler 5 aufgetreten."


# --- shares


def test_net_share_takes_back_by_the_folder_what_is_shared_of_it(make_machine: Callable[..., Machine]) -> None:
    machine = make_machine()
    for name in ("mine", "theirs"):
        machine.host.files.mkdir(f"D:\\{name}")
        machine.host.shares.add(name, f"D:\\{name}")
    machine.host.shares.add("again", "D:\\mine")
    assert machine("net.exe", "share", "D:\\MINE", "/delete", "/y").code == 0
    assert [each.name for each in machine.host.shares.list() if not each.special] == ["theirs"]
    assert machine("net.exe", "share", "D:\\mine", "/delete", "/y").code == 2
    assert machine("net.exe", "share", "x=D:\\mine", "/grant:S-1-1-0,READ").code == 2
    assert machine.host.shares.find("x") is None


def test_net_share_and_net_use(make_machine: Callable[..., Machine]) -> None:
    machine = make_machine()
    machine.host.files.mkdir("D:\\data")
    machine.host.files.write("D:\\data\\f", b"1")
    assert machine("net.exe", "share", "data=D:\\data", "/grant:Administrator,FULL").code == 0
    assert any(line.startswith("data ") for line in machine("net.exe", "share").out)
    machine.host.network = {"srv1": machine.host}
    assert machine("net.exe", "use", "Z:", "\\\\srv1\\data").out == ["The command completed successfully."]
    assert machine("cmd.exe", "/c", "type", "Z:\\f").out == ["1"]
    assert any("Z:" in line for line in machine("net.exe", "use").out)
    assert machine("net.exe", "use", "Z:", "/delete").code == 0
    assert machine("net.exe", "use").out == ["There are no entries in the list."]
    missing = machine("net.exe", "use", "\\\\srv1\\none")
    assert (missing.code, missing.err[0]) == (2, "System error 67 has occurred.")
    assert machine("net.exe", "share", "data", "/delete").code == 0
    assert machine("net.exe", "share", "data").code == 2


# --- volumes and files


def test_mountvol_lists_mounts_and_takes_away(machine: Machine) -> None:
    device = machine.host.volumes.by_path("E:").device_id
    lines = machine("mountvol.exe").out
    assert lines[lines.index(f"    {device}") + 1] == "        E:\\"
    assert machine("mountvol.exe", "E:", "/L").out == [f"    {device}"]
    assert machine("mountvol.exe", "E:", "/D").code == 0
    assert "        *** NO MOUNT POINTS ***" in machine("mountvol.exe").out
    machine.host.files.mkdir("D:\\mnt")
    assert machine("mountvol.exe", "D:\\mnt", device).code == 0
    machine.host.files.write("D:\\mnt\\f", b"1")
    assert machine.host.files.read(device + "f") == b"1"
    assert machine("mountvol.exe", "D:\\mnt\\", "/D").code == 0
    assert machine.host.files.listdir("D:\\mnt") == []
    assert machine("mountvol.exe", "Q:", "/D").err == ["The system cannot find the file specified."]
    assert machine("mountvol.exe", "X:", device, user="bob").err == ["Access is denied."]


def test_mountvol_tells_the_volume_of_a_device(machine: Machine) -> None:
    volumes = machine.host.volumes
    device = "\\\\?\\GLOBALROOT\\Device\\HarddiskVolume"
    for number, volume in enumerate(volumes, 1):
        assert machine("mountvol.exe", f"{device}{number}\\", "/L").out == [f"    {volume.device_id}"]
    assert machine("mountvol.exe", f"{device}1", "/L").code == 1, "the device, not its root"
    assert machine("mountvol.exe", f"{device}{len(volumes) + 1}\\", "/L").code == 1
    assert machine("mountvol.exe", f"{device}0\\", "/L").code == 1
    machine.host.files.write("D:\\f", b"1")
    number = volumes.index(volumes.by_path("D:")) + 1
    assert machine.host.files.read(f"{device}{number}\\f") == b"1"


def test_fsutil_tells_about_volumes_and_links(machine: Machine) -> None:
    assert machine("fsutil.exe", "fsinfo", "drives").out[1] == "Drives: C:\\ D:\\ E:\\ "
    assert machine("fsutil.exe", "fsinfo", "drivetype", "C:").out == ["C: - Fixed Drive"]
    assert "File System Name : NTFS" in machine("fsutil.exe", "fsinfo", "volumeinfo", "C:\\").out
    free = machine("fsutil.exe", "volume", "diskfree", "D:").out
    assert free[1].split(":")[1].strip() == f"{8 << 20:,}"
    machine.host.files.junction("D:\\j", "C:\\Windows")
    told = machine("fsutil.exe", "reparsepoint", "query", "D:\\j").out
    assert told[0] == "Reparse Tag Value : 0xa0000003"
    assert machine("fsutil.exe", "reparsepoint", "delete", "D:\\j").code == 0
    assert machine.host.files.stat("D:\\j").link_target is None
    assert machine("fsutil.exe", "reparsepoint", "query", "D:\\j").code == 1
    assert machine("fsutil.exe", "file", "createnew", "D:\\f", "1000").out == ["File D:\\f is created"]
    assert machine.host.files.stat("D:\\f").length == 1000
    assert machine("fsutil.exe", "dirty", "query", "D:").out == ["Volume - D: is NOT Dirty"]
    assert machine("fsutil.exe", "usn", "readjournal", "C:").err == ["vsslab does not simulate fsutil usn readjournal."]


def test_takeown_makes_the_caller_the_owner(machine: Machine) -> None:
    machine.host.files.mkdir("D:\\t\\in", parents=True)
    assert machine("takeown.exe", "/f", "D:\\t", "/r", "/d", "y").code == 0
    sid = machine.host.users.find("Administrator").sid
    assert machine.host.files.security("D:\\t\\in").startswith(f"O:{sid}")
    assert machine("takeown.exe", "/f", "D:\\t", "/a").out[0].endswith('group "BUILTIN\\Administrators".')
    assert machine("takeown.exe", "/f", "D:\\t", user="bob").code == 1


# --- events and tasks


def test_wevtutil_queries_and_clears(machine: Machine) -> None:
    for number in (1, 2, 3):
        machine.host.events.write("Application", "VSS", 8224, "Information", data=[f"<{number}>"], message=f"m{number}")
    newest = machine("wevtutil.exe", "qe", "Application", "/c:1", "/rd:true", "/f:xml").out
    event = ET.fromstring(newest[0])
    assert event.find(f"{EVENT}EventData/{EVENT}Data").text == "<3>"
    assert event.find(f"{EVENT}System/{EVENT}Provider").get("Name") == "VSS"
    chosen = machine(
        "wevtutil.exe", "qe", "Application", "/q:*[System[(EventID=8224) and (EventRecordID=2)]]", "/f:text"
    )
    assert "  Event ID: 8224" in chosen.out
    assert "m2" in chosen.out
    assert "m1" not in chosen.out
    assert "Application" in machine("wevtutil.exe", "el").out
    assert machine("wevtutil.exe", "cl", "Application", user="bob").code == 5
    assert machine("wevtutil.exe", "cl", "Application").code == 0
    assert machine("wevtutil.exe", "qe", "Application").out == []
    assert machine("wevtutil.exe", "qe", "Nonsense").code == 15007


def test_schtasks_makes_runs_and_deletes_tasks(machine: Machine) -> None:
    made = machine("schtasks.exe", "/create", "/tn", "\\umbra\\one", "/tr", "cmd.exe /c echo hi> D:\\done.txt",
                   "/sc", "once", "/st", "00:00", "/ru", "SYSTEM", "/rl", "HIGHEST", "/f")  # fmt: skip
    assert (made.code, made.err) == (0, [])
    assert machine("schtasks.exe", "/run", "/tn", "\\umbra\\one").code == 0
    deadline = time.monotonic() + 5
    while not machine.host.files.exists("D:\\done.txt"):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    shown = machine("schtasks.exe", "/query", "/tn", "\\umbra\\one", "/fo", "csv", "/nh").out
    assert shown[0].startswith('"\\umbra\\one",')
    assert "TaskName:" in "".join(machine("schtasks.exe", "/query", "/fo", "LIST", "/v").out)
    assert machine("schtasks.exe", "/change", "/tn", "\\umbra\\one", "/disable").code == 0
    assert machine.host.tasks.get("\\umbra\\", "one").state in ("Disabled", "Running")
    assert "question" in machine("schtasks.exe", "/delete", "/tn", "\\umbra\\one").err[0]
    assert machine("schtasks.exe", "/delete", "/tn", "\\umbra\\one", "/f").code == 0
    assert machine("schtasks.exe", "/query", "/tn", "\\umbra\\one").code == 1


# --- the rest


def test_reg_reads_and_writes_what_is_its_own(machine: Machine) -> None:
    key = "HKLM\\Software\\Umbra"
    assert machine("reg.exe", "add", key, "/v", "N", "/t", "REG_DWORD", "/d", "0x10", "/f").code == 0
    assert "    N    REG_DWORD    0x10" in machine("reg.exe", "query", key, "/v", "n").out
    assert machine("reg.exe", "delete", key, "/f").code == 0
    assert machine("reg.exe", "query", key).code == 1
    assert "simulate" in machine("reg.exe", "add", "HKLM\\SYSTEM\\x", "/f").err[0]
    product = machine("reg.exe", "query", "HKLM\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion", "/v", "ProductName")
    assert "Windows Server 2022" in product.text


def test_small_ones(machine: Machine) -> None:
    assert machine("hostname.exe").out == ["SRV1"]
    assert machine("where.exe", "diskshadow").out == ["C:\\Windows\\System32\\diskshadow.exe"]
    assert machine("where.exe", "nobody").code == 1
    assert machine("timeout.exe", "/t", "5").code == 1


@pytest.mark.parametrize("name", [key for key, each in table("programs").items() if each.get("module") == "refused"])
def test_what_is_not_simulated_says_so_by_name(machine: Machine, name: str) -> None:
    ended = machine(f"{name}.exe", "/?")
    assert (ended.code, ended.err) == (1, [f"vsslab does not simulate {name}.exe."])


@pytest.mark.parametrize(
    ("argv", "what"),
    [
        (("sc.exe", "create", "x"), "sc create"),
        (("net.exe", "user"), "net user"),
        (("wevtutil.exe", "im", "x"), "wevtutil im"),
        (("schtasks.exe", "/showsid"), "schtasks /showsid"),
        (("mountvol.exe", "D:", "/P"), "mountvol /P"),
        (("fsutil.exe", "quota", "query"), "fsutil quota query"),
        (("reg.exe", "save", "x"), "reg save"),
        (("whoami.exe", "/priv"), "whoami /priv"),
        (("icacls.exe", "D:\\", "/save", "x"), "icacls /save"),
    ],
)
def test_other_verbs_are_refused_by_name(machine: Machine, argv: tuple[str, ...], what: str) -> None:
    assert machine(*argv).err == [f"vsslab does not simulate {what}."]


@pytest.mark.parametrize("language", ["de", "fr", "es"])
@pytest.mark.parametrize("name", ["tools", "cmd", "robocopy"])
def test_the_tables_of_languages_have_only_keys_that_english_has(name: str, language: str) -> None:
    data = table(name)
    assert set(data[language]) <= set(data["en"])


def test_registering_costs_next_to_nothing_and_files_are_there_when_looked_for(
    make_machine: Callable[..., Machine],
) -> None:
    host: Host = make_machine().host
    folder = host.volumes.boot.root / "Windows" / "System32"
    assert not (folder / "sc.exe").exists()
    assert host.files.exists("C:\\Windows\\System32\\SC.exe")
    assert not (folder / "net.exe").exists()
    assert {"net.exe", "tar.exe"} <= {each.name for each in host.files.listdir("C:\\Windows\\System32")}
    began = time.perf_counter()
    for _ in range(100):
        programs.register(host)
    assert (time.perf_counter() - began) / 100 < 0.001
