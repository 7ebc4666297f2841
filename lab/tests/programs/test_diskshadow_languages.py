# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""diskshadow in other languages: its words follow the host's, its tokens stay."""

from __future__ import annotations

import re
import string

import pytest
from vsslab.programs.phrases import table

from .conftest import BANK, CREATE


def test_the_marked_language_changes_every_word_and_no_token(make_tool):
    plain, marked = make_tool(), make_tool(diskshadow_language="marked")
    for tool in (plain, marked):
        tool.script("set verbose on", *CREATE, "list writers status", "delete shadows all")
        assert tool.code == 0
    assert len(plain.lines) == len(marked.lines)
    text = marked.text()
    for token in ("VSS_WS_WAITING_FOR_BACKUP_COMPLETE", "-> create", "%data%", "HarddiskVolumeShadowCopy1",
                  "No_Auto_Release Persistent Differential", "0x00020009", BANK):  # fmt: skip
        assert token in text
    for word in ("Shadow copy", "Number of", "Alias", "Excluding", "Including", "Original", "Deleting", "Writer ID"):
        assert word in plain.text()
        assert word not in text


@pytest.mark.parametrize(
    ("language", "listed", "excluded"),
    [
        ("de-DE", "Anzahl der aufgelisteten Schattenkopien: 1", 'Verfasser "Shadow Copy Optimization Writer"'),
        ("fr-FR", "Nombre de clichés instantanés répertoriés : 1", 'rédacteur "Shadow Copy Optimization Writer"'),
    ],
)
def test_words_follow_the_language_and_tokens_stay(make_tool, language, listed, excluded):
    plain, tool = make_tool(), make_tool(language=language)
    for each in (plain, tool):
        each.script("set verbose on", *CREATE, "list writers status")
    assert listed in tool.lines
    assert excluded in tool.text()
    assert len(tool.lines) == len(plain.lines)
    for token in ("VSS_WS_WAITING_FOR_BACKUP_COMPLETE", "-> create", "%data%", "HarddiskVolumeShadowCopy1", BANK):
        assert tool.text().count(token) == plain.text().count(token)


@pytest.mark.parametrize("language", ["de", "fr", "es"])
def test_every_translated_phrase_has_the_fields_of_the_english_one(language):
    english = table("diskshadow")["phrases"]
    for key, text in table("diskshadow-languages")[language].items():
        fields = {name for _, name, _, _ in string.Formatter().parse(text) if name}
        assert fields == {name for _, name, _, _ in string.Formatter().parse(english[key]["text"]) if name}, key
        assert text.count("\t") == english[key]["text"].count("\t"), key


def test_dates_follow_the_language(make_tool):
    tool = make_tool(language="de-DE")
    tool.script(*CREATE)
    assert re.search(r"Auf Computer:  SQL01,  \d\d\.\d\d\.\d{4} \d\d:\d\d:\d\d", tool.text())
    assert re.search(r"Erstellungszeit: \d\d\.\d\d\.\d{4} \d\d:\d\d:\d\d", tool.text())
