# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Editions and languages of Windows, from data/profiles.yml."""

from __future__ import annotations

import datetime
import functools
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from .errors import data


@dataclass(frozen=True)
class Profile:
    """One edition. `product_type` 1 client, 2 domain controller, 3 server; `vssadmin_verbs` in lower case.

    `installation` is Server, Server Core or Client (InstallationType of the registry), `edition_id` its EditionID.
    """

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
    installation: str
    edition_id: str

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

    @property
    def domain_controller(self) -> bool:
        """True for a domain controller."""
        return self.product_type == 2

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
        """The language without its country, 'en' for example: the key of the tables."""
        return self.tag[:2].lower()

    @property
    def encoding(self) -> str:
        """Python's name of the OEM code page."""
        return f"cp{self.oem_codepage}"

    def in_utf8(self) -> Language:
        """The same language on a host whose ANSI and OEM code pages are UTF-8 (65001, "Code Page Identifiers")."""
        return replace(self, oem_codepage=65001, ansi_codepage=65001)

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


@functools.cache
def profiles() -> dict[str, Profile]:
    """Every profile by its key: each release in each of its editions and variants."""
    tables = data("profiles.yml")
    found: dict[str, Profile] = {}
    for release, row in tables["releases"].items():
        kind = tables["kinds"][row["kind"]]
        editions, *rest = kind["variants"]
        choices = [editions, *([None, *each] for each in rest)]
        for edition, *variants in itertools.product(*choices):
            names = [*([] if edition == kind["edition"] else [edition]), *(each for each in variants if each)]
            fields = {**row, **kind, **tables["editions"][edition]}
            for each in variants:
                fields |= tables["variants"].get(each, {})
            key = "-".join([release, *names])
            found[key] = _profile(key, row["name"], fields)
    return found


def _profile(key: str, name: str, row: Mapping[str, Any]) -> Profile:
    captions = {short: f"Microsoft {name} {edition}" for short, edition in row["name"].items()}
    return Profile(
        key,
        MappingProxyType(captions),
        row["version"],
        row["product_type"],
        row["sku"],
        row["suite"],
        row["diskshadow"],
        frozenset(row["verbs"]),
        row["powershell"],
        f"{name} {row['name']['en']}",
        row["installation"],
        row["id"],
    )


def profile_of(name: Profile | str) -> Profile:
    """The profile of this key ('server2022', 'server2022-datacenter-core', ...); ValueError naming the known ones."""
    if isinstance(name, Profile):
        return name
    found = profiles().get(name)
    if found is None:
        tables = data("profiles.yml")
        ends = [f"-{each}" for kind in tables["kinds"].values() for group in kind["variants"] for each in group
                if each != kind["edition"]]  # fmt: skip
        raise ValueError(
            f"{name!r} is no profile of Windows; there are {', '.join(tables['releases'])}, and with {', '.join(ends)}."
        )
    return found


def language_of(name: Language | str) -> Language:
    """The language of a tag (with its country, or without); ValueError naming the known ones."""
    if isinstance(name, Language):
        return name
    table = data("profiles.yml")["languages"]
    for tag, row in table.items():
        if name.lower() in {tag.lower(), tag[:2]}:
            return Language(tag, row["lcid"], row["oem"], row["ansi"], row["country"], row["date"], row["time"])
    raise ValueError(f"{name!r} is no language of the laboratory; there are {', '.join(table)}.")
