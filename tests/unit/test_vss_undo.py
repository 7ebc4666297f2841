# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of undoing, the lease that is made of it, and the steps that both serve."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from ansible_collections.umbra.vss.plugins.plugin_utils._host import Host
from ansible_collections.umbra.vss.plugins.plugin_utils._pipeline import Unsendable
from ansible_collections.umbra.vss.plugins.plugin_utils._tasks import Quoted, argument_line
from ansible_collections.umbra.vss.plugins.plugin_utils._vss import lease, records, steps, undo
from ansible_collections.umbra.vss.plugins.plugin_utils._vss.records import Made, Record
from ansible_collections.umbra.vss.plugins.plugin_utils._vss.undo import UNDO, Leftover, Thing

RUN = "045c99a75ac147a2abb63f7a7a36ca64"
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc)
ONE, TWO = "{11111111-1111-4111-8111-111111111111}", "{22222222-2222-4222-8222-222222222222}"
VOLUME = "\\\\?\\Volume{20000000-0000-0000-0000-000000000000}\\"
TASK = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"

FULL = Record(
    run=RUN,
    action="backup",
    engine="diskshadow",
    volumes=(VOLUME,),
    shadows=(Made(ONE, VOLUME, exposed="X:", share="Yesterday"), Made(TWO, VOLUME, link=r"C:\A link")),
    links=(rf"C:\Windows\umbra-vss\runs\{RUN}\1",),
    tasks=(f"{RUN}-copy-1",),
    thaw=f"{RUN}-thaw",
    shares=("Yesterday",),
    scratch=(r"E:\Scratch & more",),
    destination=r"E:\Copies",
    made_destination=(r"E:\Copies\D", r"E:\Copies\umbra-vss.json"),
)


def commands(record: Record) -> list[tuple[Thing, str]]:
    """What is sent to undo a record: the thing, and each command with its values in one text."""
    host, left = Host("sql01", None), Leftover(record)
    return [
        (row.thing, " ".join([c.name, *map(str, c.parameters.values()), *map(str, c.arguments)]))
        for row in UNDO
        for statement in row.commands(host, left, "")
        for c in statement.commands
    ]


def programs(record: Record) -> list[str]:
    return [f"{name} {argument_line(args)}" for name, args in lease.plan(record, r"C:\Windows")]


def test_everything_that_a_run_can_leave_is_in_the_table_once():
    assert sorted(row.thing.name for row in UNDO) == sorted(thing.name for thing in Thing)


@pytest.mark.parametrize(
    "what",
    [ONE, TWO, r"C:\A link", rf"runs\{RUN}\1", f"{RUN}-copy-1", f"{RUN}-thaw", "Yesterday", r"E:\Scratch & more",
     r"E:\Copies\D", r"E:\Copies\umbra-vss.json", rf"lock\{RUN}.json", f"lock-{RUN}", f"{RUN}-lease"],
)  # fmt: skip
def test_what_a_record_names_is_undone_by_commands(what):
    assert any(what in text for _, text in commands(FULL)), what


@pytest.mark.parametrize(
    "what",
    [r'rmdir "C:\A link"', rf'rmdir "C:\Windows\umbra-vss\runs\{RUN}\1"',
     f"schtasks /end /tn \\umbra-vss\\{RUN}-copy-1",
     f"schtasks /delete /tn \\umbra-vss\\{RUN}-copy-1 /f", f"schtasks /delete /tn \\umbra-vss\\{RUN}-thaw /f",
     "net share X: /delete /y", r'rd /s /q "E:\Scratch & more"', r'rd /s /q "E:\Copies\D"',
     r'del /f /q "E:\Copies\umbra-vss.json"', rf"umbra-vss\lock\{RUN}.json", "undo-1-*.dsh", "undo-2-*.dsh",
     rf"move /y C:\Windows\umbra-vss\runs\{RUN}\record.json C:\Windows\umbra-vss\expired\{RUN}.json"],
)  # fmt: skip
def test_what_a_record_names_is_undone_by_the_lease(what):
    assert any(what in line for line in programs(FULL)), programs(FULL)


def test_shadow_copies_go_after_what_shows_them_and_the_lease_goes_last():
    order = [row.thing for row in UNDO]
    assert order.index(Thing.RUNNING) < order.index(Thing.SHARE) < order.index(Thing.EXPOSURE)
    assert order.index(Thing.EXPOSURE) < order.index(Thing.LINK) < order.index(Thing.SHADOW)
    assert order[-1] is Thing.LEASE


def test_the_lease_deletes_by_id_and_one_at_a_time():
    """A script a command: diskshadow ends at the first that fails."""
    written = lease.scripts(FULL, r"C:\Windows")
    assert sorted(written.values()) == sorted(
        [[f"unexpose {ONE}", "exit"], [f"delete shadows id {ONE}", "exit"], [f"delete shadows id {TWO}", "exit"]]
    )
    names = [path.rpartition("\\")[2] for path in written]
    assert sorted(names)[0].startswith("undo-1-"), "exposures are taken back first"


def test_before_they_are_named_the_lease_deletes_the_set_of_the_metadata():
    unnamed = replace(FULL, shadows=())
    (script,) = lease.scripts(unnamed, r"C:\Windows").values()
    load = rf"load metadata C:\Windows\umbra-vss\runs\{RUN}\metadata.cab"
    assert script == [load, "delete shadows set %VSS_SHADOW_SET%", "exit"]


def test_on_a_client_the_lease_goes_by_the_recorded_ids_and_by_those_noted_beside():
    lines = programs(replace(FULL, engine="cim"))
    assert f"vssadmin delete shadows /shadow={ONE} /quiet" in lines
    noted = [line for line in lines if "/shadow=@file" in line]
    assert len(noted) == 1
    assert rf"runs\{RUN}\made" in noted[0]
    assert not any("diskshadow" in line for line in lines)
    assert not any("/all" in line or "/oldest" in line for line in lines)


def test_what_a_run_shows_of_a_kept_snapshot_is_taken_back_and_the_snapshot_stays():
    other = "f" * 32
    made = Made(ONE, "v", link=r"C:\New", exposed=rf"C:\Windows\umbra-vss\runs\{other}\share-1", share="New")
    anew = Record(run=RUN, action="reexpose", state="changing", showing=(made,), changes={"snapshot": other})
    sent = "\n".join(text for _, text in commands(anew))
    for what in (rf"runs\{other}\*", "New", made.link, made.exposed):
        assert what in sent, what
    lines = programs(anew)
    assert f"net share {made.exposed} /delete /y" in lines
    assert any("undo-1-*.dsh" in line for line in lines)
    assert list(lease.scripts(anew, r"C:\Windows").values()) == [[f"unexpose {ONE}", "exit"]]
    for text in (sent, *lines):
        assert not re.search(rf"delete shadows|Win32_ShadowCopy|vssadmin|runs\\{other}(\s|$)", text), text


def test_files_that_made_room_get_their_names_back_but_for_those_whose_place_is_taken():
    mark = ".before-20260301T120000Z"
    names = {rf"D:\Data\sub\{name}": name + mark for name in ("a.txt", "b & c.txt")} | {r"E:\one.txt": "one.txt" + mark}
    made = replace(FULL, changes={"targets": [r"D:\Data", r"E:\one.txt"], "renamed": names})
    sent = [text for thing, text in commands(made) if thing is Thing.NAME]
    assert sent[0] == rf"Rename-Item D:\Data\sub\a.txt{mark} a.txt Continue True"
    assert len(sent) == 3
    assert [line for line in programs(made) if " ren " in line] == [
        rf'cmd /d /c ren "D:\Data\sub\{name}{mark}" "{name}"' for name in ("a.txt", "b & c.txt")
    ] + [rf'cmd /d /c ren "E:\one.txt{mark}" "one.txt"']
    strange = {r"D:\a": "b", r"D:\%CMDCMDLINE%&c": "%CMDCMDLINE%&c" + mark}
    assert not [line for line in programs(replace(made, changes={"renamed": strange})) if " ren " in line]
    many = {rf"D:\{at}": f"{at}{mark}" for at in range(5000)}
    assert len([line for line in programs(replace(made, changes={"renamed": many})) if " ren " in line]) == 300


def test_a_path_that_cmd_would_change_is_left_to_the_next_run():
    lines = programs(replace(FULL, scratch=(r"E:\%TEMP%", r"E:\$(Arg0)")))
    assert not any("TEMP" in line or "Arg0" in line for line in lines)


def test_a_lease_with_much_to_do_becomes_several_tasks_that_each_remove_themselves():
    many = replace(FULL, links=tuple(rf"C:\Link {number}" for number in range(80)))
    found = lease.tasks(many, r"C:\Windows", NOW)
    assert list(found) == [f"{RUN}-lease", f"{RUN}-lease-2", f"{RUN}-lease-3", f"{RUN}-lease-4"]
    starts, links = [], 0
    for name, xml in found.items():
        root = ET.fromstring(xml)
        actions = root.findall(f"{TASK}Actions/{TASK}Exec")
        assert len(actions) <= 32
        assert actions[-1].findtext(f"{TASK}Arguments") == f"/delete /tn \\umbra-vss\\{name} /f"
        starts.append(root.findtext(f"{TASK}Triggers/{TASK}TimeTrigger/{TASK}StartBoundary"))
        links += sum("Link " in (action.findtext(f"{TASK}Arguments") or "") for action in actions)
        assert root.findtext(f"{TASK}Settings/{TASK}StartWhenAvailable") == "true"
    assert links == 80
    assert starts == sorted(starts)
    assert starts[0] == "2026-03-01T12:00:00Z"


def test_quoted_words_stay_in_quotes_without_a_blank():
    assert argument_line(["/c", Quoted(r"E:\R&D")]) == r'/c "E:\R&D"'
    assert argument_line([Quoted("E:\\R\\")]) == '"E:\\R\\\\"'
    with pytest.raises(Unsendable):
        argument_line([Quoted('a"b')])


# ---- records
def test_the_removal_of_its_lease_is_what_keeps_a_snapshot():
    keeping = records.Records((Record(run=RUN, action="snapshot", name="x", state="keeping"),))
    assert not keeping.settled([f"{RUN}-lease"]).readable[0].kept
    assert keeping.settled([]).readable[0].kept


def test_a_lease_is_renewed_only_when_that_is_worth_a_registration():
    record = Record(run=RUN, action="backup").next(NOW + timedelta(minutes=30))
    assert record.until == NOW + timedelta(minutes=30)
    assert record.next(NOW, state="kept").until is None


# ---- steps
def test_what_there_is_before_and_after_a_step_follows_from_the_steps_before_it():
    for step in steps.STEPS:
        assert step.keys
        assert steps.after(step) == (steps.before(step) | step.makes) - step.takes
        assert {row.thing for row in steps.undone(step)} == steps.before(step) | step.makes


def test_every_transaction_that_is_undone_ends_with_nothing():
    for transaction in dict.fromkeys(step.transaction for step in steps.STEPS):
        last = steps.of(transaction)[-1]
        assert not steps.after(last), (transaction, steps.after(last))


def test_names_of_steps_are_unique_in_a_transaction():
    named = [(step.transaction, step.name) for step in steps.STEPS]
    assert len(set(named)) == len(named)


def test_what_makes_something_comes_after_the_lease_and_the_record():
    for step in steps.STEPS:
        if step.makes - {Thing.LEASE, Thing.FOLDER}:
            assert {Thing.LEASE, Thing.FOLDER} <= steps.before(step), step


def test_no_word_of_a_path_is_lost_on_its_way_into_a_task():
    for line in programs(FULL):
        assert not re.search(r"[\x00-\x1f]", line)
    assert undo.programs(FULL, r"D:\WINNT")[0][1][-1] == f"\\umbra-vss\\{RUN}-copy-1"
