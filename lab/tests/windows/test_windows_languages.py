# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A language of Windows is complete when its table is: nothing else of the host's room knows languages."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from vsslab import windows
from vsslab.windows.errors import data, message
from vsslab.windows.host import Host
from vsslab.windows.profile import language_of

FOLDER = Path(windows.__file__).parent
TABLES = sorted(each.name for each in (FOLDER / "data").glob("*.yml") if not each.name.startswith("language-"))
TAGS = list(data("profiles.yml")["languages"])


def texts(table: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    """Every place of a table that has its texts by language."""
    if isinstance(table, dict):
        if "en" in table:
            yield path, table
        for key, value in table.items():
            yield from texts(value, (*path, key))


def test_there_are_four_languages_one_of_them_by_a_table_alone() -> None:
    assert TAGS == ["en-US", "de-DE", "fr-FR", "es-ES"]
    assert (FOLDER / "data" / "language-es.yml").exists()


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("tag", TAGS)
def test_a_language_has_every_text_that_english_has(name: str, tag: str) -> None:
    found = list(texts(data(name)))
    assert [path for path, row in found if not row.get(tag[:2])] == []


@pytest.mark.parametrize("name", TABLES)
def test_a_text_names_the_same_strings_in_every_language(name: str) -> None:
    for path, row in texts(data(name)):
        wanted = set(re.findall(r"\{\d\}", str(row["en"])))
        for tag in TAGS:
            assert set(re.findall(r"\{\d\}", str(row[tag[:2]]))) == wanted, (path, tag)


def test_no_code_of_the_room_names_a_language_but_the_default() -> None:
    named = re.compile(r"""['"](?:de|fr|es)(?:-[A-Z]{2})?['"]""")
    assert [each.name for each in FOLDER.glob("*.py") if named.search(each.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize(
    ("tag", "date", "page"),
    [("en-US", "1/2/2026 5:09:06 PM", 437), ("de-DE", "02.01.2026 17:09:06", 850), ("fr", "02/01/2026 17:09:06", 850),
     ("es-ES", "02/01/2026 17:09:06", 850)],
)  # fmt: skip
def test_dates_and_code_pages_are_the_languages(tag: str, date: str, page: int) -> None:
    language = language_of(tag)
    assert language.local_datetime(datetime.datetime(2026, 1, 2, 17, 9, 6)) == date
    assert language.oem_codepage == page


def test_a_spanish_host_speaks_spanish(make_host: Callable[..., Host]) -> None:
    host = make_host(language="es-ES")
    assert host.users.name_of("S-1-5-32-544") == "BUILTIN\\Administradores"
    assert host.users.sid_of("Todos") == "S-1-1-0"
    assert host.users.name_of(f"{host.users.machine_sid}-513") == "SRV1\\Ninguno"
    assert message(5, "es-ES") == "Acceso denegado."
    assert host.services.get("VSS").display_name == "Instantáneas de volumen"
    host.services.crash("Winmgmt")
    assert "terminó inesperadamente" in host.events.query("System")[0].message


def test_a_console_may_be_utf_8(make_host: Callable[..., Host]) -> None:
    host = make_host(language="de-DE", utf8=True)
    assert (host.language.encoding, host.language.ansi_codepage) == ("cp65001", 65001)
    assert "Größe".encode(host.language.encoding) == "Größe".encode()
    assert host.cim.instances(None, "Win32_OperatingSystem")[0]["CodeSet"] == "65001"
