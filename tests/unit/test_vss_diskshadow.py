# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""diskshadow: what is written for it, and what its output says in any language."""

from __future__ import annotations

import codecs
import re

import pytest
from ansible_collections.umbra.vss.plugins.plugin_utils._vss.consistency import (
    Demand,
    excluded,
    foresee,
    outcome,
    verified,
)
from ansible_collections.umbra.vss.plugins.plugin_utils._vss.diskshadow import (
    Creation,
    Unscriptable,
    expose_script,
    read,
    token,
)
from ansible_collections.umbra.vss.plugins.plugin_utils._vss.metadata import read_metadata
from ansible_collections.umbra.vss.plugins.plugin_utils._vss.model import Volume, Writer
from ansible_collections.umbra.vss.plugins.plugin_utils._vss.paths import Place, Places
from hypothesis import given
from hypothesis import strategies as st

from .vss_fake_host import SQL, SYSTEM, SYSTEM_METADATA, VOLUME, metadata

SHADOW = "{ec0cc761-99cd-446d-b140-432173d77e77}"
SET = "{6aef357d-0f91-4ef5-a59e-a9ce66365783}"
CREATED = f"""-> set verbose on
-> set metadata C:\\Windows\\umbra-vss\\m.cab
-> set context persistent
-> add volume C: alias umbra_1
-> create
Excluding writer "Shadow Copy Optimization Writer", because all of its components have been excluded.
Component "\\TasksStore" from writer "Task Scheduler Writer" is excluded from backup,
because it requires volume D:\\ which is not in the shadow copy set.

* Including writer "SqlServerWriter":
\t+ Adding component: \\SQL\\Bank

COM call "lvssObject4->GetRootAndLogicalPrefixPaths" failed.
\t- Returned HRESULT: 80070057
\t- Error text: E_INVALIDARG

Alias umbra_1 for shadow ID {SHADOW} set as environment variable.
Alias VSS_SHADOW_SET for shadow set ID {SET} set as environment variable.
Inserted file Manifest.xml into .cab file m.cab

Querying all shadow copies with the shadow copy set ID {SET}

\t* Shadow copy ID = {SHADOW}\t\t%umbra_1%
\t\t- Shadow copy set: {SET}\t%VSS_SHADOW_SET%
\t\t- Original count of shadow copies = 1
\t\t- Original volume name: {VOLUME["C"]} [C:\\]
\t\t- Creation time: 1/1/2026 5:19:06 PM
\t\t- Shadow copy device name: \\\\?\\GLOBALROOT\\Device\\HarddiskVolumeShadowCopy1
\t\t- Not exposed
\t\t- Provider ID: {{b5946137-7b9f-4925-af80-51abd60b20d5}}
\t\t- Attributes:  No_Auto_Release Persistent Differential

Number of shadow copies listed: 1
-> list writers status

* WRITER SqlServerWriter
\t- Status: 5 (VSS_WS_WAITING_FOR_BACKUP_COMPLETE)
\t- Writer Failure code: 0x00000000 (S_OK)
\t- Writer ID: {SQL}
\t- Instance ID: {{7e631031-c695-4229-9da1-a7de057e64cb}}
-> expose %umbra_1% P:
-> %umbra_1% = {SHADOW}
The shadow copy was successfully exposed as P:\\.
->
"""
NAMES = ["Shadow Copy Optimization Writer", "Task Scheduler Writer", "SqlServerWriter", "System Writer"]
KEPT = re.compile(
    r"(\"[^\"]*\"|\{[^}]*\}|\\\\\?\\\S+|VSS_\w+|%\w+%|^-> .*$|HRESULT|umbra_\d+|\b[A-Z]:\\\S*|\\\S+|GetRootAnd\w+)",
    re.M,
)


def translated(text):
    """The same text with every word that a translation may change written otherwise."""
    parts = KEPT.split(text)
    return "".join(part if at % 2 else codecs.encode(part, "rot13") for at, part in enumerate(parts))


@pytest.mark.parametrize("text", [CREATED, translated(CREATED)], ids=["english", "any other"])
def test_everything_that_counts_is_read_in_any_language(text):
    said = read(text, NAMES)
    assert said.set_id == SET
    assert said.shadow_ids == [SHADOW]
    (shadow,) = said.shadows
    assert (shadow.volume, shadow.set_id) == (VOLUME["C"], SET)
    assert shadow.device == "\\\\?\\GLOBALROOT\\Device\\HarddiskVolumeShadowCopy1"
    assert [(e.writer, e.component, e.volume) for e in said.exclusions] == [
        ("Shadow Copy Optimization Writer", None, None),
        ("Task Scheduler Writer", "\\TasksStore", "D:\\"),
    ]
    assert said.included == {"SqlServerWriter": ("\\SQL\\Bank",)}
    assert [(w.id, w.state, w.failed) for w in said.writers] == [(SQL, 5, False)]
    assert said.failures == (), "a known harmless message is no failure"
    assert said.misunderstood is None


@pytest.mark.parametrize("marked", [False, True])
def test_failures(marked):
    text = (
        "-> create\nThe last operation failed.\n\t- Returned HRESULT: 80042306\n\t- Error text: VSS_E_PROVIDER_VETO\n"
    )
    (failure,) = read(translated(text) if marked else text).failures
    assert (failure.code, failure.command) == (0x80042306, "create")


def test_a_failed_writer_is_not_an_excluded_one():
    text = f"""-> create
ERROR: Selected writer 'System Writer' is in failed state!
   - Status: 9 (VSS_WS_FAILED_AT_FREEZE)
   - Writer Failure code: 0x800423f2 (<Unknown error code>)
   - Writer ID: {SYSTEM}
   - Instance ID: {{7e631031-c695-4229-9da1-a7de057e64cb}}
"""
    said = read(text, NAMES)
    (writer,) = said.failed_writers
    assert (writer.name, writer.state, writer.hresult) == ("System Writer", 9, 0x800423F2)
    assert said.exclusions == ()


def test_a_usage_text_means_the_command_was_not_understood():
    text = "-> exec nothing\nThe script file name is not valid.\n\nEXEC <file.cmd>\n        Execute a script file.\n"
    assert read(text).misunderstood == "exec nothing"


def test_a_writer_on_whom_it_was_to_rest_is_named_by_its_guid():
    text = f'-> create\nERROR: The writer "{SQL}" was not included in the backup! Aborting backup ...\n'
    assert read(text).unverified == (SQL,)


# ---- scripts
def test_a_script():
    lines = Creation(
        [VOLUME["C"], VOLUME["D"]], "C:\\Windows\\umbra-vss\\m.cab", True, [SQL], [SYSTEM.upper()]
    ).script()
    assert lines == [
        "set verbose on",
        "set context persistent",
        "set metadata C:\\Windows\\umbra-vss\\m.cab",
        f"writer verify {SQL}",
        f"writer exclude {SYSTEM}",
        f"add volume {VOLUME['C']} alias umbra_1",
        f"add volume {VOLUME['D']} alias umbra_2",
        "create",
        "list writers status",
        "exit",
    ]


def test_a_full_backup_begins_before_the_set_and_ends_when_it_is_there():
    lines = Creation([VOLUME["C"]], "C:\\m.cab", full=True).script()
    assert lines.index("begin backup") < lines.index(f"add volume {VOLUME['C']} alias umbra_1")
    assert lines.index("create") < lines.index("list writers status") < lines.index("end backup")
    assert lines[-2:] == ["end backup", "exit"]


def test_a_provider_is_named_by_its_guid_and_client_accessible_copies_have_no_writers():
    lines = Creation([VOLUME["C"]], "C:\\m.cab", False, client_accessible=True, provider=SYSTEM.upper()).script()
    assert "set context clientaccessible" in lines
    assert f"add volume {VOLUME['C']} provider {SYSTEM} alias umbra_1" in lines
    assert not [line for line in lines if "backup" in line or line.startswith("writer")]


def test_without_writers_none_is_mentioned():
    lines = Creation([VOLUME["C"]], "C:\\m.cab", False, [SQL], [SYSTEM]).script()
    assert "set context persistent nowriters" in lines
    assert not [line for line in lines if "writer " in line or "writers status" in line]


@given(st.text(max_size=40))
def test_no_text_can_become_a_second_word_or_line(text):
    try:
        line = expose_script([(SQL, text)])[0]
    except Unscriptable:
        return
    assert line == f"expose {SQL} {text}"
    assert line.isascii()
    assert len(line.split()) == 3


@pytest.mark.parametrize("text", ["", "C:\\a b", 'C:\\"', "C:\\é", "C:\\a\nb", "%TEMP%\\x", "C:\\*", "a'b"])
def test_unscriptable(text):
    with pytest.raises(Unscriptable):
        token(text)


@pytest.mark.parametrize("count", [0, 65])
def test_a_set_has_one_to_sixty_four_volumes(count):
    with pytest.raises(Unscriptable):
        Creation([VOLUME["C"]] * count, "C:\\m.cab").script()


# ---- metadata and what it means
LIST = (
    "-> list writers metadata\n"
    + SYSTEM_METADATA
    + metadata(
        "SqlServerWriter",
        SQL,
        ("\\SQL\\Bank", "D:\\Bank", "D"),
        ("\\SQL\\Log", "E:\\Log", "E"),
        ("\\SQL\\Both", "D:\\Both", "DE"),
    )
    + '* WRITER "Idle"\n\t- Writer ID   = {11111111-0000-0000-0000-000000000000}\n\t- Excluded files:\n'
    "\t\t- Exclude: Path = C:\\x, Filespec = *{22222222-0000-0000-0000-000000000000}\n3 writers listed.\n"
)
PLACES = Places(Volume(VOLUME[letter], f"{letter}:\\", f"{letter}:") for letter in "CDE")


def demand(*paths, require=(), exclude=()):
    return Demand([PLACES.place(path) for path in paths], require, exclude)


def verdict(wish, text=LIST, listed=()):
    return foresee(read_metadata(text), list(listed), wish, PLACES, "host")


@pytest.mark.parametrize("text", [LIST, translated(LIST)], ids=["english", "any other"])
def test_metadata_in_any_language(text):
    system, sql, idle = read_metadata(text)
    assert (system.name, system.id, system.components[0].selectable) == ("System Writer", SYSTEM, False)
    assert [c.path for c in sql.components] == ["\\SQL\\Bank", "\\SQL\\Log", "\\SQL\\Both"]
    assert sql.components[2].volumes == {VOLUME["D"], VOLUME["E"]}
    assert sql.components[0].paths == ("D:\\Bank",)
    assert (idle.id, idle.components) == ("{11111111-0000-0000-0000-000000000000}", ())


@pytest.mark.parametrize(
    ("opening", "closing"), [("\u00ab\u00a0", "\u00a0\u00bb"), ("\u00ab ", " \u00bb"), ("\u201e", "\u201c")]
)
def test_names_are_read_between_the_quotes_of_any_language(opening, closing):
    """No transcript of a translated diskshadow is known; French and German typography quote like this."""
    text = re.sub(r'"([^"\n]+)"', lambda hit: f"{opening}{hit.group(1)}{closing}", LIST)
    assert opening in text
    assert read_metadata(text) == read_metadata(LIST)


def test_file_lists_are_paths_too():
    text = SYSTEM_METADATA.replace(
        "Paths affected", "File List: Path = C:\\Data, Filespec = *, Recursive\n\t\t- Paths affected"
    )
    assert "C:\\Data" in read_metadata(text)[0].components[0].paths


def test_who_takes_part_depends_on_the_volumes():
    parts = {part.name: part for part in verdict(demand("D:\\Bank")).parts}
    assert [c.path for c in parts["SqlServerWriter"].components] == ["\\SQL\\Bank"]
    assert parts["System Writer"].excluded_because == "it needs C:\\, which the snapshot does not hold"
    assert parts["Idle"].excluded_because == "it names nothing to back up"


@pytest.mark.parametrize("path", ["D:\\Bank", "D:\\Bank\\2026", "d:\\bank", "D:\\"])
def test_a_place_in_over_or_equal_to_what_a_writer_names_is_spoken_for(path):
    found = verdict(demand(path))
    assert found.consistency == "application"
    assert found.counted == (SQL,)


def test_a_place_that_no_writer_names_is_not():
    found = verdict(demand("D:\\Legacy"))
    assert found.consistency == "crash"
    assert "D:\\Legacy" in found.reason


def test_variables_in_a_writers_paths_are_understood():
    assert verdict(demand("C:\\Windows\\System32\\config")).consistency == "application"


def test_asr_speaks_for_nobodys_data():
    asr = metadata("ASR Writer", "{be000cbe-11fe-4426-9c58-531aa6355fc4}", ("\\Volumes\\D", "D:\\", "D"))
    assert verdict(demand("D:\\"), asr).consistency == "crash"


@pytest.mark.parametrize(
    ("wish", "reason"),
    [
        (demand("D:\\", require=["Oracle"]), "Oracle is not there on host"),
        (
            demand("C:\\", require=["SqlServerWriter"]),
            "SqlServerWriter on host has its data on D:\\\\, E:\\\\, not on C:",
        ),
        (demand("D:\\", require=["SqlServerWriter"]), "component .SQL.Both .* also needs E:"),
        (demand("D:\\", require=[SQL], exclude=[SYSTEM]), "also needs E:"),
    ],
)
def test_a_required_writer_that_cannot_take_part_as_a_whole(wish, reason):
    found = verdict(wish)
    assert found.consistency == "crash"
    assert re.search(reason, found.reason)
    assert found.advice


def test_a_required_writer_with_all_its_volumes():
    found = verdict(demand("D:\\", "E:\\", require=["sqlserverwriter"]))
    assert found.consistency == "application"
    assert verified(found) == [SQL]


def test_writer_verify_is_only_for_those_who_take_part_with_all_they_have():
    assert verified(verdict(demand("D:\\Bank"))) == []


def test_excluded_writers_by_name_or_guid_and_unknown_ones():
    wish = demand("D:\\Bank", exclude=["SqlServerWriter", SYSTEM, "Nobody"])
    found = verdict(wish)
    assert excluded(wish, found.parts) == ([SQL, SYSTEM], ["Nobody"])
    assert found.consistency == "crash"


def test_a_failed_state_counts():
    instance = read_metadata(LIST)[1].instance
    failed = verdict(demand("D:\\Bank"), listed=[Writer(SQL, instance, "SqlServerWriter", 8)])
    assert failed.consistency == "crash"
    assert "has failed" in failed.reason
    assert "SQLWriter" in failed.advice


def test_the_outcome_goes_by_what_was_printed():
    wish = demand("D:\\Bank")
    before = verdict(wish)
    names = [part.name for part in before.parts]
    fine = outcome(before, read('* Including writer "SqlServerWriter":\n', names), wish, PLACES, "host")
    assert fine.consistency == "application"
    left_out = outcome(before, read('Excluding writer "SqlServerWriter", because.\n', names), wish, PLACES, "host")
    assert left_out.consistency == "crash"
    assert Place(PLACES.volumes[1], "Bank").path in left_out.reason
