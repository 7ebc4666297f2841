# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""diskshadow: scripts, what they do, and what is printed."""

from __future__ import annotations

import re
import threading
import time

import pytest
from vsslab.programs import diskshadow_cab as cab
from vsslab.vss import Context, WriterState

from .conftest import BANK, CREATE, RUN


def test_a_script_is_echoed_below_the_banner(tool):
    lines = tool.script("set context persistent", "", "# a remark", "exit")
    assert lines[:2] == ["Microsoft DiskShadow version 1.0", "Copyright (C) 2013 Microsoft Corporation"]
    assert re.fullmatch(r"On computer:  SQL01,  \d+/\d+/\d{4} \d+:\d\d:\d\d [AP]M", lines[2])
    assert lines[3:] == ["", "-> set context persistent", "->", "-> # a remark", "-> exit"]
    assert tool.code == 0


def test_a_script_without_exit_leaves_a_lone_prompt(tool):
    assert tool.script("set verbose on")[-1] == "->"


def test_creating_prints_aliases_and_the_copy(tool):
    lines = tool.script(*CREATE)
    shadow = tool.vss.shadows[0]
    at = lines.index("-> create")
    assert lines[at + 1 :] == [
        f"Alias data for shadow ID {{{shadow.id}}} set as environment variable.",
        f"Alias VSS_SHADOW_SET for shadow set ID {{{shadow.set_id}}} set as environment variable.",
        "",
        f"Querying all shadow copies with the shadow copy set ID {{{shadow.set_id}}}",
        "",
        f"\t* Shadow copy ID = {{{shadow.id}}}\t\t%data%",
        f"\t\t- Shadow copy set: {{{shadow.set_id}}}\t%VSS_SHADOW_SET%",
        "\t\t- Original count of shadow copies = 1",
        f"\t\t- Original volume name: {shadow.volume.device_id} [D:\\]",
        "\t\t- Creation time: " + tool.host.language.local_datetime(tool.host.clock.local(shadow.created)),
        "\t\t- Shadow copy device name: \\\\?\\GLOBALROOT\\Device\\HarddiskVolumeShadowCopy1",
        "\t\t- Originating machine: SQL01",
        "\t\t- Service machine: SQL01",
        "\t\t- Not exposed",
        "\t\t- Provider ID: {b5946137-7b9f-4925-af80-51abd60b20d5}",
        "\t\t- Attributes:  No_Auto_Release Persistent Differential",
        "",
        "Number of shadow copies listed: 1",
        "->",
    ]
    assert (shadow.context, tool.code) == (Context.APP_ROLLBACK, 0)


def test_verbose_says_who_is_left_out_and_who_is_in(tool):
    text = "\n".join(tool.script("set verbose on", *CREATE))
    assert 'Excluding writer "Shadow Copy Optimization Writer", because all of its components have been exc' in text
    assert (
        'Component "\\TasksStore" from writer "Task Scheduler Writer" is excluded from backup,\n'
        "because it requires volume C:\\ which is not in the shadow copy set.\n" in text
    )
    assert (
        'The writer "ASR Writer" is now entirely excluded from the backup because the top-level\n'
        'non selectable component "\\BCD\\BCD" is excluded.\n' in text
    )
    assert '\n\n* Including writer "SqlServerWriter":\n\t+ Adding component: \\SQL01\\Bank\n\nAlias data' in text
    assert "Inserted file Manifest.xml into .cab file m.cab\nInserted file BCDocument.xml into .cab file m.cab" in text
    assert "Inserted file WM0.xml into .cab file m.cab" in text


def test_without_writers_nobody_is_spoken_of(tool):
    text = "\n".join(tool.script("set verbose on", "set context persistent nowriters", "add volume c:", "create"))
    assert "xcluding" not in text
    assert "BCDocument" not in text
    assert "Alias VSS_SHADOW_1 for shadow ID" in text
    assert "Attributes:  No_Auto_Release Persistent No_Writers Differential" in text


def test_a_verified_writer_that_is_left_out_is_a_failure(tool):
    tool.script("set context persistent", f"writer verify {BANK}", "add volume C:", "create")
    assert tool.code != 0
    assert tool.hresults() == ["80070057"]
    assert f'"{BANK}" was not included' in tool.text()
    assert tool.vss.shadows == []


@pytest.mark.parametrize("name", [BANK, "SqlServerWriter", '"SqlServerWriter"', '"SqlServerWriter:\\SQL01\\Bank"'])
def test_an_excluded_writer_does_not_take_part(tool, name):
    tool.script(f"writer exclude {name}", *CREATE)
    assert tool.writer.state is WriterState.STABLE
    assert len(tool.vss.shadows) == 1


def test_names_with_blanks_need_no_quotes(tool):
    text = "\n".join(tool.script("writer exclude System Writer", "set verbose on", "add volume C:", "create"))
    assert '* Including writer "System Writer"' not in text
    assert '* Including writer "WMI Writer"' in text


def test_without_begin_backup_the_writers_go_on_waiting(tool):
    tool.script(*CREATE)
    assert tool.writer.state is WriterState.WAITING_FOR_BACKUP_COMPLETE
    assert "END BACKUP" not in tool.text()


def test_end_backup_tells_the_writers(tool):
    tool.script("begin backup", *CREATE, "end backup", "exit")
    assert tool.writer.state is WriterState.STABLE
    assert tool.lines[-1] == "-> exit"


def test_a_full_backup_that_is_not_ended_is_remarked(tool):
    lines = tool.script("begin backup", *CREATE)
    assert lines[-3:] == [
        "->",
        "Note: END BACKUP was not commanded, writers not notified BackupComplete.",
        "DiskShadow is exiting.",
    ]
    assert tool.code == 0


def test_exposing_by_alias(tool):
    lines = tool.script(*CREATE, "expose %data% X:", "list shadows all", "exit")
    shadow = tool.vss.shadows[0]
    at = lines.index("-> expose %data% X:")
    assert lines[at + 1 : at + 3] == [
        f"-> %data% = {{{shadow.id}}}",
        "The shadow copy was successfully exposed as X:\\.",
    ]
    assert "\t\t- Exposed locally as: X:\\" in lines
    assert tool.host.files.read("X:\\Bank\\bank.db") == b"balance=100"


def test_exposing_in_a_folder_and_back(tool):
    tool.host.files.mkdir(f"{RUN}\\data")
    tool.script(*CREATE, f"expose %data% {RUN}\\data", f"unexpose {RUN}\\data", "exit")
    assert tool.code == 0
    assert f"The shadow copy was successfully exposed as {RUN}\\data\\." in tool.lines
    assert tool.host.ledger()["exposures"] == []


def test_a_letter_in_use_is_told_as_a_public_transcript_tells_it(tool):
    tool.script(*CREATE, "expose %data% D:", "exit")
    assert tool.lines[-1] == "The  drive letter is already in use."
    assert (tool.code != 0, tool.hresults()) == (True, [])


@pytest.mark.parametrize("target", ["C:\\Windows\\nowhere", "D:\\Bank"])
def test_exposing_where_it_cannot_be_fails_and_keeps_the_copy(tool, target):
    tool.script(*CREATE, f"expose %data% {target}", "exit")
    assert tool.code != 0
    assert len(tool.hresults()) == 1
    assert "successfully exposed" not in tool.text()
    assert "-> exit" not in tool.lines
    assert len(tool.vss.shadows) == 1


def test_volatile_copies_end_with_the_program_or_a_reset(tool):
    tool.script("add volume D:", "create", "list shadows all")
    assert "Number of shadow copies listed: 1" in tool.lines
    assert "Auto_Release Differential" in tool.text()
    assert tool.vss.shadows == []
    lines = tool.script("add volume D:", "create", "reset", "list shadows all")
    assert "No shadow copies found in system." in lines


def test_deleting_by_id_set_volume_exposure_and_all(tool):
    for form in ("id %data%", "set %VSS_SHADOW_SET%", "volume D:", "exposed X:", "all", "oldest D:", "volume %data%"):
        lines = tool.script(*CREATE, "expose %data% X:", f"delete shadows {form}", "exit")
        assert tool.code == 0, form
        deleting = [line for line in lines if line.startswith("Deleting shadow copy {")]
        assert deleting[0].endswith("from provider {b5946137-7b9f-4925-af80-51abd60b20d5} [Attributes: 0x00120009]...")
        assert lines[lines.index(deleting[0]) + 1 :] == ["", "Number of shadow copies deleted: 1", "-> exit"]
        assert tool.vss.shadows == []
        assert tool.host.ledger()["exposures"] == []


def test_the_log_holds_what_was_printed(tool):
    lines = tool.script(*CREATE, arguments=("/l", f"{RUN}\\log.txt"))
    assert tool.host.files.read(f"{RUN}\\log.txt").decode("cp437").split("\r\n")[:-1] == lines


def test_the_encoding_of_the_log_is_a_setting(make_tool):
    tool = make_tool(diskshadow_log_encoding="utf-16-le")
    lines = tool.script("exit", arguments=("/l", f"{RUN}\\log.txt"))
    assert tool.host.files.read(f"{RUN}\\log.txt").decode("utf-16-le").split("\r\n")[:-1] == lines


def test_the_log_grows_while_the_program_runs(tool):
    tool.host.faults.add({"on": {"kind": "phase", "phase": "freeze", "writer": "SqlServer*"}, "do": {"delay": 1}})
    worker = threading.Thread(target=tool.script, args=CREATE, kwargs={"arguments": ("/l", f"{RUN}\\log.txt")})
    worker.start()
    deadline = time.monotonic() + 5
    while tool.vss.busy_with is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert tool.host.files.read(f"{RUN}\\log.txt").endswith(b"-> create\r\n")
    worker.join(10)


def test_a_bare_line_feed_costs_a_character(tool):
    lines = tool.script("set context persistent", "exit", end="\n", last="\n")
    assert "-> set context persisten" in lines
    assert "-> exit" not in lines
    assert tool.code != 0


def test_padded_lines_survive_bare_line_feeds(tool):
    assert tool.script("set context persistent#", "exit#", end="\n", last="\n")[-1] == "-> exit"


def test_a_last_line_without_an_end_loses_a_character_too(tool):
    lines = tool.script("begin backup", *CREATE, "end backup", last="")
    at = lines.index("-> end backu")
    assert lines[at + 1 : at + 3] == ["", "END { BACKUP | RESTORE }"]
    assert lines[-1] == "DiskShadow is exiting."
    assert tool.code != 0


def test_a_missing_folder_for_the_metadata(tool):
    tool.script("set metadata C:\\nowhere\\m.cab", "exit")
    assert tool.hresults() == ["80070003"]


def test_an_existing_cabinet_is_overwritten_with_a_remark(tool):
    tool.script(*CREATE)
    lines = tool.script(f"set metadata {RUN}\\m.cab", "exit")
    assert "The existing file will be overwritten." in lines


def test_without_a_name_the_cabinet_lies_in_the_working_folder(tool):
    tool.script("add volume D:", "create", cwd="C:\\Windows\\Temp")
    names = [each.name for each in tool.host.files.listdir("C:\\Windows\\Temp")]
    assert any(re.fullmatch(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d_SQL01\.cab", name) for name in names)


def test_the_cabinet_brings_the_aliases_back(tool):
    tool.script(*CREATE)
    files = cab.read(tool.host.files.read(f"{RUN}\\m.cab"))
    assert {"Manifest.xml", "BCDocument.xml", "WM0.xml"} <= set(files)
    lines = tool.script(f"load metadata {RUN}\\m.cab", "expose %data% X:", "exit")
    assert "The shadow copy was successfully exposed as X:\\." in lines


def test_something_else_is_no_cabinet(tool):
    tool.host.files.write(f"{RUN}\\m.cab", b"no")
    tool.script(f"load metadata {RUN}\\m.cab")
    assert tool.code != 0


def test_script_parameters_and_added_aliases_expand(tool):
    lines = tool.script(
        "add alias what %DISKSH_PARAM_1%", "add volume %DISKSH_PARAM_2% alias d", "add", arguments=("hello", "D:")
    )
    assert "Alias what\tValue hello" in lines
    assert "1 volume in Shadow Copy Set." in lines


def test_programs_can_be_run_between(tool):
    tool.script("exec C:\\Windows\\nowhere.cmd")
    assert "The script file name is not valid." in tool.lines
    assert "EXEC <file.cmd>" in tool.lines
    lines = tool.script("exec C:\\Windows\\System32\\vssadmin.exe list providers", "exit")
    assert "Provider name: 'Microsoft Software Shadow Copy provider 1.0'" in lines
    tool.script("exec C:\\Windows\\System32\\vssadmin.exe nonsense", "exit")
    assert tool.code != 0


def test_commands_can_come_from_standard_input(tool):
    lines = tool.run(stdin="list shadows all\nexit\n")
    assert "DISKSHADOW> list shadows all" in lines
    assert tool.code == 0


def test_at_the_prompt_a_failure_is_told_and_the_next_command_read(tool):
    lines = tool.run(stdin="frobnicate\n?\nquit\nlist providers\n")
    assert lines.count("DISKSHADOW.EXE commands") == 2
    assert lines[-1] == "DISKSHADOW> quit"
    assert tool.code == 0


def test_the_states_of_writers(tool):
    tool.script(*CREATE)
    lines = tool.script("list writers status")
    at = lines.index("* WRITER SqlServerWriter")
    assert lines[at + 1 : at + 5] == [
        "\t- Status: 5 (VSS_WS_WAITING_FOR_BACKUP_COMPLETE)",
        "\t- Writer Failure code: 0x00000000 (S_OK)",
        f"\t- Writer ID: {BANK}",
        f"\t- Instance ID: {{{tool.writer.instance_id}}}",
    ]
    assert f"{len(tool.vss.writers)} writers listed." in lines


@pytest.mark.parametrize("form", ["", " metadata", " detailed"])
def test_what_writers_say_about_themselves(tool, form):
    lines = tool.script(f"list writers{form}")
    at = lines.index('* WRITER "SqlServerWriter"')
    assert lines[at - 1] == ""
    assert lines[at + 1 : at + 3] == [
        f"\t- Writer ID   = {BANK}",
        f"\t- Writer instance ID = {{{tool.writer.instance_id}}}",
    ]
    at = lines.index('\t+ Component "SqlServerWriter:\\SQL01\\Bank"')
    assert lines[at + 1 : at + 16] == [
        "\t\t- Name: Bank",
        "\t\t- Logical path: SQL01",
        "\t\t- Full path: \\SQL01\\Bank",
        "\t\t- Caption: The bank",
        "\t\t- Type: VSS_CT_FILEGROUP [2]",
        "\t\t- Is selectable: TRUE",
        "\t\t- Is top level: TRUE",
        "\t\t- Notify on backup complete: FALSE",
        "\t\t- Components:",
        "\t\t- File List: Path = D:\\Bank, Filespec = *.db",
        "\t\t- Paths affected by this component:",
        "\t\t\t- D:\\Bank",
        "\t\t- Volumes affected by this component:",
        f"\t\t\t- {tool.host.volumes.by_path('D:').device_id} [D:\\]",
        "\t\t- Component Dependencies:",
    ]


def test_providers(tool):
    text = "\n".join(tool.script("list providers"))
    assert "* ProviderID: {b5946137-7b9f-4925-af80-51abd60b20d5}\n\tType: [1] VSS_PROV_SYSTEM\n" in text
    assert "\n1 provider registered." in text


def test_clients_do_not_have_it(make_tool):
    tool = make_tool(profile="windows11")
    assert "diskshadow.exe" not in tool.host.programs
    assert "vssadmin.exe" in tool.host.programs


def test_exposing_as_a_share_and_back(tool):
    tool.host.network = {"sql01": tool.host}
    lines = tool.script(*CREATE, "expose %data% copy$", "list shadows all", "exit")
    assert tool.code == 0
    assert "The shadow copy was successfully exposed as \\\\SQL01\\copy$." in lines
    assert "\t\t- Exposed remotely as: copy$" in lines
    admin = tool.host.users.find("admin")
    assert tool.host.files.as_user(admin).read("\\\\sql01\\copy$\\Bank\\bank.db") == b"balance=100"
    tool.script(*CREATE, "expose %data% copy$", "exit")
    assert tool.hresults() == ["8004230d"]
    tool.host.reboot()
    assert tool.host.shares.get("copy$").path == tool.vss.store.exposed_as("copy$").device + "\\"
    tool.script("unexpose copy$", "exit")
    assert tool.code == 0
    assert tool.host.shares.find("copy$") is None
    tool.script(*CREATE, "expose %data% s", "delete shadows all", "exit")
    assert tool.code == 0
    assert tool.host.shares.find("s") is None
