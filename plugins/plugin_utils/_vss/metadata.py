# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What writers look after, as diskshadow's ``list writers metadata`` prints it, in any language.

A writer begins with a ``*`` line, a component with a ``+`` line that quotes its path; GUIDs, volume names, paths and
``VSS_CT_`` names are not translated. The words for yes and no may be: a component's three flags follow its type in a
fixed order (selectable, top level, notified), and what most components say of being on top is yes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from .diskshadow import ECHO, bare_guids, straight
from .model import VOLUME_PATH, Component, WriterMetadata, volume_id

_PATH = re.compile(r"^(?:[A-Za-z]:(?:\\|$)|%[A-Za-z_()0-9]+%|\\\\)")
_FILES = re.compile(r"[=:]\s*((?:[A-Za-z]:\\|%[A-Za-z_()0-9]+%|\\\\[?.]\\)[^,]*),\s*[^=,]+=")
_QUOTED_END = re.compile(r"(['\"])(.+)\1\s*$")
_QUOTED = re.compile(r"(['\"])(.+)\1")
_FLAG = re.compile(r"[:=]\s*(\S+)\s*$")
_FLAGS = 3


@dataclass
class _Component:
    path: str
    paths: list[str] = field(default_factory=list)
    volumes: set[str] = field(default_factory=set)
    flags: list[str] = field(default_factory=list)
    typed: bool = False

    def take(self, line: str) -> None:
        """Take one line of the component's block."""
        text = line.lstrip("-").strip()
        flag = _FLAG.search(text)
        if "VSS_CT_" in line:
            self.typed = True
        elif self.typed and len(self.flags) < _FLAGS and flag:
            self.flags.append(flag.group(1))
        elif volume := VOLUME_PATH.match(text):
            rest = text[volume.end() :].strip()
            if not rest or rest.startswith("["):
                self.volumes.add(volume_id(volume.group()))
            else:
                self.paths.append(text)
        elif files := _FILES.search(text):
            self.paths.append(files.group(1).strip())
        elif line.startswith("-") and _PATH.match(text):
            self.paths.append(text)


@dataclass
class _Writer:
    name: str
    ids: list[str] = field(default_factory=list)
    components: list[_Component] = field(default_factory=list)


def read_metadata(text: str) -> list[WriterMetadata]:
    """The writers of the listing with their components, one for each instance."""
    found: list[_Writer] = []
    for line in straight(text).splitlines():
        stripped = line.strip()
        if ECHO.match(line) or not stripped:
            continue
        if stripped.startswith("* "):
            found.append(_Writer(_title(stripped)))
        elif found and stripped.startswith("+"):
            found[-1].components.append(_Component(_component_path(stripped)))
        elif found and found[-1].components:
            found[-1].components[-1].take(stripped)
        elif found:
            found[-1].ids += bare_guids(stripped)
    yes = _yes(found)
    return [_finished(writer, yes) for writer in found if writer.ids]


def _title(line: str) -> str:
    quoted = _QUOTED_END.search(line)
    if quoted:
        return quoted.group(2)
    plain = re.match(r"^\*\s+\S+\s+(.+)$", line)
    return plain.group(1) if plain else line[2:]


def _component_path(line: str) -> str:
    r"""``+ Component "Writer Name:\logical\name"``: the path follows the writer's name and a colon."""
    quoted = _QUOTED.search(line)
    whole = quoted.group(2) if quoted else line
    at = whole.rfind(":\\")
    return whole[at + 1 :] if at >= 0 else whole


def _yes(writers: Sequence[_Writer]) -> str | None:
    """The host's word for yes: what most components say of being a top-level one."""
    told = Counter(c.flags[1] for writer in writers for c in writer.components if len(c.flags) == _FLAGS)
    return told.most_common(1)[0][0] if told else None


def _finished(writer: _Writer, yes: str | None) -> WriterMetadata:
    return WriterMetadata(
        id=writer.ids[0],
        instance=writer.ids[1] if len(writer.ids) > 1 else "",
        name=writer.name,
        components=tuple(
            Component(
                path=c.path,
                paths=tuple(dict.fromkeys(c.paths)),
                volumes=frozenset(c.volumes),
                selectable=len(c.flags) < _FLAGS or c.flags[0] == yes,
                top_level=len(c.flags) < _FLAGS or c.flags[1] == yes,
            )
            for c in writer.components
        ),
    )
