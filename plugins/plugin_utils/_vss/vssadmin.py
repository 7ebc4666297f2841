# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Readers of vssadmin's listings, in any language of Windows.

Labels, states and dates are translated; quotes, brackets, GUIDs, device paths, indentation and the order of lines are
not. So everything here goes by structure, and no word of any language is looked for. Source of the layout: output of
vssadmin 1.1 in English, German and French.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from .model import DEVICE, GUID, SHADOW_KINDS, VOLUME_PATH, Provider, Shadow, Writer, guid, volume_id

_STATE = re.compile(r"\[\s*(\d{1,2})\s*\]")
_COLON = re.compile(r"[:：]")
_VERSION = re.compile(r"\d+(?:\.\d+)+")
_KIND = re.compile(r"(?<![\w-])(" + "|".join(SHADOW_KINDS) + r")(?![\w-])")
_PERCENT = re.compile(r"(?<!\d)(\d{1,3})(?:[.,]\d+)?\s?[%\u066a\uff05]|%\s?(\d{1,3})(?!\d)")
_QUOTES = "'\""
_STABLE = 1


def _value(line: str) -> str:
    """What follows a label: the text after the first colon of either width, all of it when there is none."""
    return _COLON.split(line, maxsplit=1)[-1].strip()


def _indented(line: str) -> bool:
    return line[:1].isspace()


def _quoted(line: str) -> str | None:
    """The quoted token that ends a line, without its quotes; the name inside may hold quotes of its own."""
    text = line.strip()
    if len(text) < 2 or text[-1] not in _QUOTES:
        return None
    colon = _COLON.search(text)
    for start in (colon.end() if colon else 0, 0):
        opening = text.find(text[-1], start)
        if 0 <= opening < len(text) - 1:
            return text[opening + 1 : -1]
    return None


def _bare_guids(line: str) -> list[str]:
    """GUIDs of a line that are not part of a volume's path."""
    return [guid(found.group()) for found in GUID.finditer(VOLUME_PATH.sub("", line))]


def _records(text: str) -> Iterator[tuple[str, Sequence[str]]]:
    """(quoted name, indented lines that are not blank) for every unindented quoted line with a GUID below it."""
    name: str | None = None
    body: list[str] = []
    for line in [*text.splitlines(), "end"]:
        if not line.strip():
            continue
        if _indented(line):
            body.append(line)
            continue
        if name is not None and any(GUID.search(below) for below in body):
            yield name, body
        name, body = _quoted(line), []


def _writer(name: str, body: Sequence[str]) -> Writer:
    guids = [found for line in body for found in _bare_guids(line)]
    state, error = None, None
    for number, line in enumerate(body):
        found = _STATE.search(line)
        if found and not GUID.search(line):
            state = int(found.group(1))
            error = _value(body[number + 1]) if number + 1 < len(body) else None
            break
    return Writer(id=guids[0], instance=guids[1] if len(guids) > 1 else "", name=name, state=state, error=error)


def _no_error(writers: Sequence[Writer]) -> str | None:
    """How this host says "no error": the text that most stable writers share, unless two are equally common."""
    common = Counter(writer.error for writer in writers if writer.state == _STABLE and writer.error).most_common(2)
    if not common or (len(common) == 2 and common[0][1] == common[1][1]):
        return None
    return common[0][0]


def read_writers(text: str) -> list[Writer]:
    """The writers of ``vssadmin list writers``. error is None for those that report no error."""
    writers = [_writer(name, body) for name, body in _records(text)]
    nothing = _no_error(writers)
    return [replace(writer, error=None) if writer.error == nothing else writer for writer in writers]


def read_providers(text: str) -> list[Provider]:
    """The providers of ``vssadmin list providers``; type is in the host's own words."""
    found: list[Provider] = []
    for name, body in _records(text):
        number = next(at for at, line in enumerate(body) if GUID.search(line))
        versions = [hit.group() for line in body[number + 1 :] if (hit := _VERSION.search(line))]
        found.append(
            Provider(
                id=_bare_guids(body[number])[0],
                name=name,
                version=versions[0] if versions else "",
                type=_value(body[0]) if number else "",
            )
        )
    return found


@dataclass(frozen=True)
class Reverting:
    """A revert that goes on, by ``vssadmin query reverts``; what the listing does not tell is None."""

    volume: str | None = None
    shadow: str | None = None
    percent: int | None = None


def read_reverts(text: str) -> list[Reverting]:
    """The reverts of ``vssadmin query reverts``: the path of a volume, the ID of a copy, a percentage.

    No listing of one that goes on is public: so each of the three may be missing.
    """
    found: list[Reverting] = []
    for line in text.splitlines():
        volume, ids, share = VOLUME_PATH.search(line), _bare_guids(line), _PERCENT.search(line)
        another = ids and found and found[-1].shadow is not None
        if volume or another or (not found and (ids or share)):
            found.append(Reverting())
        if volume:
            found[-1] = replace(found[-1], volume=volume_id(volume.group()))
        if ids:
            found[-1] = replace(found[-1], shadow=ids[0])
        if share:
            found[-1] = replace(found[-1], percent=min(100, int(share.group(1) or share.group(2))))
    return found


def read_shadows(text: str) -> list[Shadow]:
    """The shadow copies of ``vssadmin list shadows``: one for each device line.

    Their times are local, in the host's format and without a zone: ask Win32_ShadowCopy for them.
    """
    found: list[Shadow] = []
    set_id: str | None = None
    shadow_id: str | None = None
    volume: str | None = None
    for line in text.splitlines():
        device = DEVICE.search(line)
        original = VOLUME_PATH.search(line)
        kind = _KIND.search(line)
        guids = _bare_guids(line)
        if device and shadow_id:
            found.append(Shadow(id=shadow_id, set_id=set_id, volume=volume, device=device.group()))
            shadow_id, volume = None, None
        elif original:
            volume = volume_id(original.group())
        elif guids and not _indented(line):
            set_id, shadow_id = guids[0], None
        elif guids:
            shadow_id = guids[0]
        elif kind and found and found[-1].kind is None and _value(line) == kind.group(1):
            found[-1] = replace(found[-1], kind=kind.group(1))
    return found
