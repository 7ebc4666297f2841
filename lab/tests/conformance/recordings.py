# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The recorded conversations (../data/wire) as answers in the suite's form."""

from __future__ import annotations

import datetime
import functools
import json
from pathlib import Path

from .answers import Answer, Reader

_DATA = Path(__file__).parents[1] / "data" / "wire"
_WHEN = datetime.datetime(2026, 11, 1, tzinfo=datetime.timezone.utc)
# the machine of the recordings -> the laboratory's
_PLACES = (
    ("C:\\Demo/", "C:\\Demo\\"),
    ("/bin/sh", "C:\\Windows\\System32\\sh.exe"),
    ('<S N="MyCommand">sh</S>', '<S N="MyCommand">sh.exe</S>'),
    ("/nope", "C:\\nope"),
    (">demo<", ">Demo<"),
)


@functools.cache
def _messages() -> dict[str, list[tuple[str, str, str]]]:
    """(direction, type, CLIXML) by FILE/CASE."""
    found: dict[str, list[tuple[str, str, str]]] = {}
    for file in sorted(_DATA.glob("*.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines():
            message = json.loads(line)
            xml = message["xml"]
            for there, here in _PLACES:
                xml = xml.replace(there, here)
            found.setdefault(f"{file.stem}/{message['case']}", []).append((message["dir"], message["type"], xml))
    return found


def names() -> list[str]:
    """Every recorded pipeline, as FILE/CASE."""
    return [name for name, messages in _messages().items() if messages[0][1] == "CREATE_PIPELINE"]


def asked(name: str) -> str:
    """The recorded pipeline itself, as CLIXML."""
    return _messages()[name][0][2]


def answer(name: str) -> Answer:
    """What the recorded engine answered."""
    reader = Reader(_WHEN)
    for direction, kind, xml in _messages()[name]:
        if direction == "server":
            reader.message(kind, xml)
    return reader.answer
