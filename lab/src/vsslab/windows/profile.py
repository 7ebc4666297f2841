# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Editions and languages of Windows, from data/profiles.yml."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from .errors import data


@dataclass(frozen=True)
class Profile:
    """One edition. `product_type` 1 client, 2 domain controller, 3 server; `vssadmin_verbs` in lower case."""

    key: str
    captions: Mapping[str, str]
    version: str
    product_type: int
    sku: int
    suite: int
    has_diskshadow: bool
    vssadmin_verbs: frozenset[str]
    ps_version: str
    product_name: str

    @property
    def caption(self) -> str:
        """The English name, as Win32_OperatingSystem.Caption shows it."""
        return self.captions["en"]

    @property
    def build(self) -> str:
        """The build number, for example '20348'."""
        return self.version.rpartition(".")[2]

    @property
    def server(self) -> bool:
        """True for Windows Server."""
        return self.product_type != 1

    def caption_in(self, language: Language) -> str:
        """The name in a language of Windows."""
        return self.captions.get(language.short, self.caption)


@dataclass(frozen=True)
class Language:
    """One language of Windows. `lcid` as OSLanguage; code pages of console programs and of ANSI programs."""

    tag: str
    lcid: int
    oem_codepage: int
    ansi_codepage: int
    country: str
    date_pattern: str = field(repr=False)
    time_pattern: str = field(repr=False)

    @property
    def short(self) -> str:
        """'en', 'de' or 'fr'."""
        return self.tag[:2].lower()

    @property
    def encoding(self) -> str:
        """Python's name of the OEM code page."""
        return f"cp{self.oem_codepage}"

    def local_date(self, moment: datetime.datetime) -> str:
        """The short date of a moment that is in the host's zone already."""
        return self.date_pattern.format(y=moment.year, m=moment.month, d=moment.day)

    def local_time(self, moment: datetime.datetime) -> str:
        """The long time of a moment that is in the host's zone already."""
        return self.time_pattern.format(H=moment.hour, h=moment.hour % 12 or 12, M=moment.minute, S=moment.second,
                                        ampm="AM" if moment.hour < 12 else "PM")  # fmt: skip

    def local_datetime(self, moment: datetime.datetime) -> str:
        """Date and time as programs print them, e.g. '1/1/2026 5:19:06 PM'; convert with `Clock.local` before."""
        return f"{self.local_date(moment)} {self.local_time(moment)}"


def profile_of(name: Profile | str) -> Profile:
    """The profile of this key; ValueError naming the known ones."""
    if isinstance(name, Profile):
        return name
    table = data("profiles.yml")["profiles"]
    if name not in table:
        raise ValueError(f"{name!r} is no profile of Windows; there are {', '.join(table)}.")
    row = table[name]
    return Profile(
        name,
        MappingProxyType(row["caption"]),
        row["version"],
        row["product_type"],
        row["sku"],
        row["suite"],
        row["diskshadow"],
        frozenset(row["verbs"]),
        row["powershell"],
        row["product_name"],
    )


def language_of(name: Language | str) -> Language:
    """The language of a tag ('de-DE', or 'de'); ValueError naming the known ones."""
    if isinstance(name, Language):
        return name
    table = data("profiles.yml")["languages"]
    for tag, row in table.items():
        if name.lower() in {tag.lower(), tag[:2]}:
            return Language(tag, row["lcid"], row["oem"], row["ansi"], row["country"], row["date"], row["time"])
    raise ValueError(f"{name!r} is no language of the laboratory; there are {', '.join(table)}.")
