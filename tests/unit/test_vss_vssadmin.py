# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""vssadmin's listings are read by structure, in every language."""

from __future__ import annotations

import string

import pytest
from ansible_collections.umbra.vss.plugins.plugin_utils._vss.vssadmin import read_providers, read_shadows, read_writers
from hypothesis import given, settings
from hypothesis import strategies as st

A = "{e8132975-6f93-4464-a53e-1050253ae220}"
B = "{b1c47cec-0e12-4ac6-b84b-9c1d8292a9f3}"
C = "{66841cd4-6ded-4f4b-8f17-fd23f8ddc3de}"
D = "{6162e336-7448-4371-93a7-29581512b103}"

ENGLISH = f"""vssadmin 1.1 - Volume Shadow Copy Service administrative command-line tool
(C) Copyright 2001-2013 Microsoft Corp.

Waiting for responses.
These may be delayed if a shadow copy is being prepared.

Writer name: 'Microsoft Hyper-V VSS Writer'
   Writer Id: {C}
   Writer Instance Id: {D}
   State: [10] Failed
   Last error: Inconsistent shadow copy

Writer name: 'System Writer'
   Writer Id: {A}
   Writer Instance Id: {B}
   State: [1] Stable
   Last error: No error
"""
GERMAN = f"""vssadmin 1.1 - Verwaltungsbefehlszeilenprogramm des Volumeschattenkopie-Dienstes
Verfassername: "System Writer"
   Verfasserkennung: {A}
   Verfasserinstanzkennung: {B}
   Status: [1] Stabil
   Letzter Fehler: Kein Fehler
Verfassername: "Microsoft Hyper-V VSS Writer"
   Verfasserkennung: {C}
   Verfasserinstanzkennung: {D}
   Status: [10] Fehlgeschlagen
   Letzter Fehler: Wiederholbarer Fehler
"""
FRENCH = f"""vssadmin 1.1 - Outil ligne de commande d’administration du service de cliché instantané de volume
Nom du rédacteur\u00a0: 'System Writer'
   ID du rédacteur\u00a0: {A}
   ID de l’instance du rédacteur\u00a0: {B}
   État\u00a0: [1] Stable
   Dernière erreur\u00a0: Aucune erreur

Nom du rédacteur\u00a0: 'Microsoft Hyper-V VSS Writer'
   ID du rédacteur\u00a0: {C}
   ID de l’instance du rédacteur\u00a0: {D}
   État\u00a0: [10] Échec
   Dernière erreur\u00a0: Délai dépassé
"""


@pytest.mark.parametrize(
    ("text", "error"),
    [(ENGLISH, "Inconsistent shadow copy"), (GERMAN, "Wiederholbarer Fehler"), (FRENCH, "Délai dépassé")],
    ids=["en", "de", "fr"],
)
def test_writers_in_three_languages(text, error):
    writers = {writer.name: writer for writer in read_writers(text)}
    system, hyper = writers["System Writer"], writers["Microsoft Hyper-V VSS Writer"]
    assert (system.id, system.instance, system.state, system.error, system.failed) == (A, B, 1, None, False)
    assert (hyper.id, hyper.instance, hyper.state, hyper.error, hyper.failed) == (C, D, 10, error, True)


def test_nothing_is_no_writer():
    assert read_writers("") == []
    assert read_writers("Error: You don't have the 'correct' permissions to run this command.") == []


def test_a_stable_writer_with_an_error_of_its_own_keeps_it():
    def block(name, error):
        return f"Writer name: '{name}'\n   Writer Id: {A}\n   Instance: {B}\n   State: [1] x\n   Last error: {error}\n"

    told = read_writers(block("a", "fine") + block("b", "fine") + block("c", "Retryable"))
    assert [writer.error for writer in told] == [None, None, "Retryable"]


def test_shadows_of_a_set_in_french():
    text = r"""
Contenu du jeu de clichés instantanés n° : {a1111111-6f93-4464-a53e-1050253ae220}
   Contenait 2 clichés instantanés à la date de création : 19/05/2023 18:58:50
      ID du cliché instantané : {b1111111-6f93-4464-a53e-1050253ae220}
         Volume original : (D:)\\?\Volume{C1111111-6f93-4464-a53e-1050253ae220}\
         Volume de cliché instantané : \\?\GLOBALROOT\Device\HarddiskVolumeShadowCopy7
         Ordinateur d’origine : HOST
         Ordinateur de service : HOST
         Fournisseur : 'Microsoft Software Shadow Copy provider 1.0'
         Type : ClientAccessible
         Attributs : Persistent, Accessible par client, Aucun rédacteur, Différentielle
      ID du cliché instantané : {b2222222-6f93-4464-a53e-1050253ae220}
         Volume original : \\?\Volume{c2222222-6f93-4464-a53e-1050253ae220}\
         Volume de cliché instantané : \\?\GLOBALROOT\Device\HarddiskVolumeShadowCopy12
         Ordinateur d’origine : HOST
         Ordinateur de service : HOST
         Fournisseur : 'Microsoft Software Shadow Copy provider 1.0'
         Type : ApplicationRollback
         Attributs : Persistent
"""
    one, two = read_shadows(text)
    assert one.id == "{b1111111-6f93-4464-a53e-1050253ae220}"
    assert one.set_id == two.set_id == "{a1111111-6f93-4464-a53e-1050253ae220}"
    assert one.volume == "\\\\?\\Volume{c1111111-6f93-4464-a53e-1050253ae220}\\"
    assert two.device == "\\\\?\\GLOBALROOT\\Device\\HarddiskVolumeShadowCopy12"
    assert (one.kind, two.kind) == ("ClientAccessible", "ApplicationRollback")


@pytest.mark.parametrize("heading", ["Provider name", "Fournisseur\u00a0"])
def test_providers(heading):
    text = f"""vssadmin 1.1
{heading}: 'Microsoft Software Shadow Copy provider 1.0'
   Provider type: System
   Provider Id: {{b5946137-7b9f-4925-af80-51abd60b20d5}}
   Version: 1.0.0.7
"""
    (provider,) = read_providers(text)
    assert provider.id == "{b5946137-7b9f-4925-af80-51abd60b20d5}"
    assert (provider.name, provider.version) == ("Microsoft Software Shadow Copy provider 1.0", "1.0.0.7")


# ---- languages that nobody has seen: any words, either quote, either colon, any wide character
LETTERS = st.characters(exclude_categories=("C", "Z"), exclude_characters="'\"{}[]:：\\")
WORDS = st.lists(st.text(LETTERS, min_size=1, max_size=12), min_size=1, max_size=4).map(" ".join)
LABELS = WORDS.filter(lambda words: not words.isspace())
NAMES = st.text(string.ascii_letters + string.digits + " ()+-'", min_size=1, max_size=30).map(str.strip).filter(bool)
GUIDS = st.uuids().map(lambda value: "{" + str(value) + "}")


@st.composite
def languages(draw):
    return {
        "labels": [draw(LABELS) for _ in range(5)],
        "colon": draw(st.sampled_from([":", " :", "\u00a0:", "："])),
        "quote": draw(st.sampled_from("'\"")),
        "blank": draw(st.booleans()),
        "fine": draw(LABELS),
        "preamble": draw(st.lists(LABELS, max_size=4)),
    }


@st.composite
def writers(draw):
    return [
        (draw(NAMES), draw(GUIDS), draw(GUIDS), draw(st.integers(0, 15)))
        for _ in range(draw(st.integers(min_value=0, max_value=6)))
    ]


@settings(max_examples=120, deadline=None)
@given(languages(), writers())
def test_writers_in_any_language(language, told):
    label, colon, quote = language["labels"], language["colon"], language["quote"]
    lines = list(language["preamble"])
    for name, identity, instance, state in told:
        lines += [
            f"{label[0]}{colon} {quote}{name}{quote}",
            f"   {label[1]}{colon} {identity.upper()}",
            f"   {label[2]}{colon} {instance}",
            f"   {label[3]}{colon} [{state}] {language['fine']}",
            f"   {label[4]}{colon} {language['fine']}",
        ]
        lines += [""] if language["blank"] else []
    found = read_writers("\r\n".join(lines))
    assert [(w.name, w.id, w.instance, w.state) for w in found] == told
