# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""vssadmin: its verbs by edition, its listings in four languages, its exit codes."""

from __future__ import annotations

import re
import threading

import pytest
from vsslab.programs import vssadmin
from vsslab.programs.phrases import table
from vsslab.programs.vssadmin_listing import Console
from vsslab.vss import Context, WriterState
from vsslab.vss.storage import UNBOUNDED
from vsslab.windows.processes import Invocation

from .vssadmin_tool import Tool

__all__ = ["Tool"]

GUID = re.compile(r"\{[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\}")
NB = "\u00a0"


def test_writers_in_english(tool):
    lines = tool.run("list writers")
    first = tool.vss.writers[0]
    assert lines[:6] == [
        f"Writer name: '{first.name}'",
        f"   Writer Id: {{{first.class_id}}}",
        f"   Writer Instance Id: {{{first.instance_id}}}",
        "   State: [1] Stable",
        "   Last error: No error",
        "",
    ]
    assert tool.code == 0


def test_writers_in_german_stand_in_double_quotes(make_tool):
    tool = make_tool(language="de-DE")
    lines = tool.run("list writers")
    assert 'Verfassername: "Task Scheduler Writer"' in lines
    assert lines[1].startswith("   Verfasserkennung: {")
    assert lines[2].startswith("   Verfasserinstanzkennung: {")
    assert lines[3:5] == ["   Status: [1] Stabil", "   Letzter Fehler: Kein Fehler"]


def test_writers_in_french_have_no_break_spaces_and_typographic_apostrophes(make_tool):
    tool = make_tool(language="fr-FR")
    lines = tool.run("list writers")
    assert f"Nom du rédacteur{NB}: 'Task Scheduler Writer'" in lines
    assert lines[2].startswith(f"   ID de l’instance du rédacteur{NB}: {{")
    assert lines[3:5] == [f"   État{NB}: [1] Stable", f"   Dernière erreur{NB}: Aucune erreur"]


@pytest.mark.parametrize(
    ("language", "state", "error"),
    [
        ("en-US", "Failed", "Retryable error"),
        ("de-DE", "Fehlgeschlagen", "Wiederholbarer Fehler"),
        ("fr-FR", "Échec", "Erreur récupérable"),
    ],
)
def test_a_failed_writer_shows_number_and_words(make_tool, language, state, error):
    tool = make_tool(language=language)
    tool.vss.writers[0].fail(WriterState.FAILED_AT_POST_SNAPSHOT, 0x800423F3)
    lines = tool.run("list writers")
    assert lines[3].endswith(f": [11] {state}")
    assert lines[4].endswith(f": {error}")


def test_an_unknown_error_is_unexpected(tool):
    tool.vss.writers[0].fail(WriterState.FAILED_AT_FREEZE, 0x80004005)
    assert tool.run("list writers")[4] == "   Last error: Unexpected error"


def test_a_preamble_while_a_copy_is_being_made(tool):
    end = tool.vss.hold_by_other(30)
    lines = tool.run("list writers")
    end.set()
    assert lines[:3] == [
        "Waiting for responses.",
        "These may be delayed if a shadow copy is being prepared.",
        "",
    ]


def test_providers(tool):
    assert tool.run("list providers")[:4] == [
        "Provider name: 'Microsoft Software Shadow Copy provider 1.0'",
        "   Provider type: System",
        "   Provider Id: {b5946137-7b9f-4925-af80-51abd60b20d5}",
        "   Version: 1.0.0.7",
    ]


def test_copies_in_english(tool):
    shadow = tool.create()
    assert tool.run("list shadows") == [
        f"Contents of shadow copy set ID: {{{shadow.set_id}}}",
        "   Contained 1 shadow copies at creation time: "
        + tool.host.language.local_datetime(tool.host.clock.local(shadow.created)),
        f"      Shadow Copy ID: {{{shadow.id}}}",
        f"         Original Volume: (C:){shadow.volume.device_id}",
        "         Shadow Copy Volume: \\\\?\\GLOBALROOT\\Device\\HarddiskVolumeShadowCopy1",
        "         Originating Machine: FS01",
        "         Service Machine: FS01",
        "         Provider: 'Microsoft Software Shadow Copy provider 1.0'",
        "         Type: ClientAccessible",
        "         Attributes: Persistent, Client-accessible, No auto release, No writers, Differential",
        "",
    ]


def test_copies_in_french(make_tool):
    tool = make_tool(language="fr-FR")
    shadow = tool.create()
    lines = tool.run("list shadows")
    assert lines[0] == f"Contenu du jeu de clichés instantanés n°{NB}: {{{shadow.set_id}}}"
    assert lines[-2] == (
        f"         Attributs{NB}: Persistent, Accessible par client, Pas de libération automatique, Aucun rédacteur, "
        "Différentielle"
    )


def test_a_set_of_several_volumes_is_one_block(tool):
    volumes = [tool.vss.volume(name) for name in ("C:", "D:", "C:\\mnt\\data")]
    made = tool.vss.create("test", volumes, Context.NAS_ROLLBACK)
    lines = tool.run("list shadows")
    assert sum(line.startswith("Contents of") for line in lines) == 1
    assert sum("Shadow Copy ID" in line for line in lines) == 3
    assert f"         Original Volume: (C:\\mnt\\data){volumes[2].device_id}" in lines
    assert lines.count("         Type: DataVolumeRollback") == 3
    tool.run(f"list shadows /shadow={{{made.shadows[1].id.upper()}}}")
    assert GUID.findall("\n".join(tool.lines))[1] == f"{{{made.shadows[1].id}}}"
    assert len(tool.run("list shadows /for=D:")) == 11


@pytest.mark.parametrize("code", [0, 2])
def test_nothing_to_list(make_tool, code):
    tool = make_tool(vssadmin_empty_exit=code)
    assert tool.run("list shadows") == ["No items found that satisfy the query."]
    assert tool.code == code
    tool.run("list shadowstorage")
    assert tool.code == code


def test_storage(tool):
    tool.create()
    device = tool.host.volumes.by_path("C:").device_id
    assert tool.run("list shadowstorage")[:6] == [
        "Shadow Copy Storage association",
        f"   For volume: (C:){device}",
        f"   Shadow Copy Storage volume: (C:){device}",
        "   Used Shadow Copy Storage space: 0 bytes (0%)",
        "   Allocated Shadow Copy Storage space: 320 MB (0%)",
        "   Maximum Shadow Copy Storage space: UNBOUNDED (100%)",
    ]


def test_volumes_that_can_be_copied(tool):
    lines = tool.run("list volumes")
    assert lines[:2] == ["Volume path: C:\\", f"    Volume name: {tool.host.volumes.by_path('C:').device_id}"]
    assert "Volume path: C:\\mnt\\data\\" in lines
    assert "Volume path: F:\\" not in lines


def test_creating_makes_a_visible_copy(tool):
    lines = tool.run("create shadow /for=c:")
    shadow = tool.vss.shadows[0]
    assert lines == [
        "Successfully created shadow copy for 'C:\\'",
        f"    Shadow Copy ID: {{{shadow.id}}}",
        f"    Shadow Copy Volume Name: {shadow.device}",
    ]
    assert (shadow.context, tool.code) == (Context.CLIENT_ACCESSIBLE, 0)


@pytest.mark.parametrize(
    "verb", ["create shadow /for=c:", "add shadowstorage /for=c: /on=c:", "delete shadowstorage /for=c:"]
)
def test_a_client_lacks_some_verbs(make_tool, verb):
    tool = make_tool(profile="windows11")
    lines = tool.run(verb)
    assert lines[:3] == ["Error: Invalid command.", "", "---- Commands Supported ----"]
    assert any(line.startswith("List Writers ") for line in lines)
    assert not any(line.startswith("Create Shadow") for line in lines)
    assert tool.code != 0


def test_without_elevation(tool):
    assert tool.run("list writers", user="bob") == [
        "Error: You don't have the correct permissions to run this command.  Please run this utility from a command",
        "window that has elevated administrator privileges.",
    ]
    assert tool.code == 1


def test_deleting_visible_copies(tool):
    shadow = tool.create()
    assert tool.run(f"delete shadows /shadow={{{shadow.id}}} /quiet") == ["", "Successfully deleted 1 shadow copies."]
    assert (tool.vss.shadows, tool.code) == ([], 0)


@pytest.mark.parametrize("how", ["/all", "/for=C:", "/for=C: /oldest", "/shadow={0}"])
def test_copies_of_backups_are_out_of_reach(tool, how):
    shadow = tool.create(Context.APP_ROLLBACK)
    lines = tool.run(f"delete shadows {how.replace('{0}', '{' + shadow.id + '}')} /quiet")
    assert lines[0].startswith("Error: Snapshots were found, but they were outside of your allowed context.")
    assert tool.code == 2
    assert tool.vss.shadows == [shadow]


def test_without_quiet_it_asks_and_the_end_of_input_is_a_no(tool):
    tool.create()
    assert "(Y/N): [N]?" in tool.run("delete shadows /all")[0]
    assert len(tool.vss.shadows) == 1
    tool.run("delete shadows /all", stdin="y\n")
    assert tool.vss.shadows == []


def test_another_creation_under_way(tool):
    end = tool.vss.hold_by_other(30)
    tool.run("create shadow /for=c:")
    end.set()
    assert tool.code == 2
    assert tool.vss.shadows == []


@pytest.mark.parametrize("name", ["Q:", "F:"])
def test_volumes_that_are_not_there_or_cannot_be_copied(tool, name):
    assert tool.run(f"create shadow /for={name}") == [
        "Error: Either the specified volume was not found or it is not a local volume."
    ]
    assert tool.code == 2


@pytest.mark.parametrize(
    "line",
    ["list writers /colour", "create shadow", "delete shadows", "resize shadowstorage /for=C: /on=C: /maxsize=big"],
)
def test_options_that_are_not_understood(tool, line):
    tool.run(line)
    assert tool.code == 1


def test_storage_areas_are_made_resized_and_removed(tool):
    tool.run("add shadowstorage /for=D: /on=C: /maxsize=10%")
    area = tool.vss.storage.of(tool.vss.volume("D:"))
    assert area.max_space == tool.host.volumes.by_path("C:").capacity // 10
    tool.run("resize shadowstorage /for=D: /on=C: /maxsize=2GB")
    assert area.max_space == 2 << 30
    tool.run("resize shadowstorage /for=D: /on=C: /maxsize=1P")
    assert (tool.code, area.max_space) == (0, 1 << 50)
    tool.run("resize shadowstorage /for=D: /on=C: /maxsize=UNBOUNDED")
    assert area.max_space == UNBOUNDED
    tool.run("delete shadowstorage /for=D: /on=C: /quiet")
    assert (tool.code, tool.vss.storage.all()) == (0, [])


def test_removing_an_area_asks_first(tool):
    tool.vss.storage.add(tool.vss.volume("D:"), tool.vss.volume("C:"), UNBOUNDED)
    assert tool.run("delete shadowstorage /for=D:")[0].endswith("of D:\\ (Y/N): [N]? ")
    assert (tool.code, len(tool.vss.storage.all())) == (1, 1)
    tool.run("delete shadowstorage /for=D:", stdin="Y\n")
    assert (tool.code, tool.vss.storage.all()) == (0, [])
    assert tool.run("delete shadowstorage /for=D: /quiet")[0].endswith("association was not found.")
    tool.create(name="D:")
    assert tool.run("delete shadowstorage /for=D: /quiet") == ["Error: The shadow copy storage association is in use."]
    assert tool.code == 2


def test_shrinking_an_area_loses_copies(make_tool):
    tool = make_tool(limits={"minimum_storage": 1 << 20})
    for _ in range(2):
        tool.create(name="D:")
        tool.host.files.write("D:\\f", bytes(1 << 20))
    tool.host.files.remove("D:\\f")
    assert tool.run("resize shadowstorage /for=D: /on=D: /maxsize=1MB")[0].startswith("Successfully resized")
    assert tool.run("resize shadowstorage /for=D: /on=D: /maxsize=1000")[0] == "Error: Invalid option value."
    assert tool.run("resize shadowstorage /for=C: /on=D:")[0].endswith("association was not found.")


@pytest.mark.parametrize("verb", sorted(table("vssadmin")["commands"]))
def test_every_command_tells_its_syntax(tool, verb):
    lines = tool.run(f"{verb} /?", user="bob")
    assert tool.code == 0
    assert all(line.lower().startswith(f"  {verb}") for line in lines)
    documented = {each.lower() for line in lines for each in re.findall(r"/(\w+)", line)}
    allowed, _ = vssadmin._COMMANDS[verb]
    assert documented == allowed - {"set"}


def test_providers_by_their_data(make_tool):
    tool = make_tool(providers=[{"name": "Array", "type": "hardware"}, {"name": "Soft", "type": "software"}])
    lines = tool.run("list providers")
    assert [each.split("'")[1] for each in lines if "'" in each][1:] == ["Array", "Soft"]
    assert [each.rpartition(" ")[2] for each in lines if "type" in each] == ["System", "Hardware", "Software"]


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (0, "0 bytes (0%)"),
        (999, "999 bytes (0%)"),
        (320 << 20, "320 MB (0%)"),
        (38547439616, "35.9 GB (35%)"),
        (1288490189, "1.20 GB (1%)"),
        (UNBOUNDED, "UNBOUNDED (100%)"),
    ],
)
def test_sizes_have_three_digits(tool, number, shown):
    call = Invocation(tool.host, None, [], "C:\\", "", print, print, threading.Event(), 0)
    assert Console(call).size(number, 100 << 30) == shown


@pytest.mark.parametrize("tag", ["en-US", "de-DE", "fr-FR", "es-ES"])
def test_the_structure_is_the_same_in_every_language(make_tool, tag):
    english, other = make_tool(), make_tool(language=tag)
    for tool in (english, other):
        tool.create()
    for line in ("list writers", "list providers", "list shadows", "list shadowstorage", "list volumes"):
        first, second = english.run(line), other.run(line)
        assert len(first) == len(second)
        for one, two in zip(first, second, strict=True):
            assert len(one) - len(one.lstrip(" ")) == len(two) - len(two.lstrip(" "))
            assert len(GUID.findall(one)) == len(GUID.findall(two))


def test_every_text_says_where_it_comes_from():
    for key, entry in table("vssadmin")["phrases"].items():
        assert set(entry) == {"en", "de", "fr"}, key
        fields = {tuple(sorted(set(re.findall(r"\{(\w+)\}", each["text"])))) for each in entry.values()}
        assert len(fields) == 1, key
        assert all(each["source"] in ("sample", "assumed") for each in entry.values())
    english = table("vssadmin")["phrases"]
    for texts in table("vssadmin-languages").values():
        for key, text in texts.items():
            assert set(re.findall(r"\{(\w+)\}", text)) == set(re.findall(r"\{(\w+)\}", english[key]["en"]["text"])), key
    for key, each in table("diskshadow")["phrases"].items():
        assert each["source"] in ("sample", "family", "assumed"), key
