# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The texts of programs, from tables under data/."""

from __future__ import annotations

import codecs
import re
import string
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from vsslab import tables

MARKED = "marked"
HOST = "host"  # the language of the host
_WORD = re.compile(r"[A-Za-z]+")


@lru_cache(maxsize=32)
def table(name: str) -> dict[str, Any]:
    """The parsed table data/<name>.yml."""
    found: dict[str, Any] = tables.load("vsslab.programs", f"data/{name}.yml")
    return found


def mark(text: str, kept: Iterable[str] = ()) -> str:
    """Every word of a template written differently (letters rotated by 13); {fields} and `kept` tokens stay."""
    keep = set(kept)

    def other(found: re.Match[str]) -> str:
        return found[0] if found[0] in keep else codecs.encode(found[0], "rot13")

    parts = []
    for literal, field, _, _ in string.Formatter().parse(text):
        parts.append(_WORD.sub(other, literal))
        if field is not None:
            parts.append(f"{{{field}}}")
    return "".join(parts)


def words(name: str, language: str) -> Any:
    """The words of data/<name>.yml in a language (`de`), each of them in English where the language has no own."""
    return _words(name, language)


@lru_cache(maxsize=64)
def _words(name: str, language: str) -> dict[str, Any]:
    data = table(name)
    return {**data["en"], **data.get(language, {})}


class Phrases:
    """Texts of one program in one language; call with a key and the values to fill in."""

    def __init__(self, texts: dict[str, str]) -> None:
        self._texts = texts

    def __call__(self, key: str, **values: object) -> str:
        """The text of `key`; KeyError for a key or field that is not there."""
        return self._texts[key].format_map(values)


@lru_cache(maxsize=8)
def diskshadow_phrases(language: str) -> Phrases:
    """What diskshadow prints: a language (`de`) or `marked` (see vss.options); English where it has no text."""
    data = table("diskshadow")
    texts = {key: entry["text"] for key, entry in data["phrases"].items()}
    if language == MARKED:
        texts = {key: mark(data["reordered"].get(key, text), data["kept"]) for key, text in texts.items()}
    elif language != "en":
        texts |= table("diskshadow-languages").get(language, {})
    return Phrases(texts)


@lru_cache(maxsize=8)
def vssadmin_phrases(tag: str) -> Phrases:
    """What vssadmin prints in a language such as `de-DE`; English where the table has no other."""
    language = tag[:2].lower()
    entries = table("vssadmin")["phrases"]
    texts = {key: entry.get(language, entry["en"])["text"] for key, entry in entries.items()}
    return Phrases({**texts, **table("vssadmin-languages").get(language, {})})
