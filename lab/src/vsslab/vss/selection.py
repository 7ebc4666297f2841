# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which writers and components take part in a backup of certain volumes.

The rules are those of the requestor sample in the Windows SDK (vshadow, `select.cpp`), which diskshadow shares:
a component is left out when one of its files lies on a volume outside the set; a writer is left out when none of its
components is left, or when a top-level component that cannot be deselected is left out.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .writers import Component, Writer, required_volumes

if TYPE_CHECKING:
    from ..windows.volumes import Volume


class Reason(enum.Enum):
    """Why a writer or component is left out."""

    BY_USER = "by_user"
    VOLUME = "volume"
    NO_COMPONENTS = "no_components"
    TOP_LEVEL = "top_level"


@dataclass(frozen=True)
class Exclusion:
    """One thing left out: a component (`component` set) or a whole writer; `volume` is the one that is missing."""

    writer: Writer
    reason: Reason
    component: Component | None = None
    volume: str = ""


@dataclass
class Selection:
    """The outcome: who takes part with what, everything left out in the order it was found, and broken verifications.

    `unverified` holds the texts of `writer verify` that ended up left out or that nobody answers to.
    """

    writers: list[tuple[Writer, list[Component]]] = field(default_factory=list)
    exclusions: list[Exclusion] = field(default_factory=list)
    unverified: list[str] = field(default_factory=list)


def _named(writer: Writer, texts: Sequence[str]) -> bool:
    return any(writer.answers_to(text) for text in texts)


def _left_out(writer: Writer, inside: set[str], volumes: list[Volume], exclude: Sequence[str]) -> list[Exclusion]:
    found = []
    for component in writer.components:
        if any(writer.component(text) is component for text in exclude):
            found.append(Exclusion(writer, Reason.BY_USER, component))
            continue
        for volume in required_volumes(component, volumes):
            if volume is None or volume.guid not in inside:
                found.append(Exclusion(writer, Reason.VOLUME, component, volume.display if volume else ""))
                break
    return found


def select(
    writers: Iterable[Writer],
    chosen: Iterable[Volume],
    volumes: Iterable[Volume],
    exclude: Sequence[str] = (),
    verify: Sequence[str] = (),
) -> Selection:
    """Select writers for a set of the volumes `chosen` among all `volumes` of the host.

    `exclude` and `verify` name writers (name, class id, instance id) or components (`Writer:\\path\\name`).
    """
    known, inside, everyone = list(volumes), {volume.guid for volume in chosen}, list(writers)
    selection = Selection()
    for writer in everyone:
        if _named(writer, exclude):
            selection.exclusions.append(Exclusion(writer, Reason.BY_USER))
        elif not writer.components:
            selection.exclusions.append(Exclusion(writer, Reason.NO_COMPONENTS))
    gone = {id(each.writer) for each in selection.exclusions}
    for writer in everyone:
        if id(writer) in gone:
            continue
        out = _left_out(writer, inside, known, exclude)
        selection.exclusions += out
        lost = [each.component for each in out]
        top = next((c for c in writer.components if c in lost and c.top_level and not c.selectable), None)
        if len(lost) == len(writer.components) and top is None:
            selection.exclusions.append(Exclusion(writer, Reason.NO_COMPONENTS))
        elif top is not None:
            selection.exclusions.append(Exclusion(writer, Reason.TOP_LEVEL, top))
        else:
            selection.writers.append((writer, [each for each in writer.components if each not in lost]))
    selection.unverified = [text for text in verify if not _present(selection, text)]
    return selection


def _present(selection: Selection, text: str) -> bool:
    for writer, components in selection.writers:
        if writer.answers_to(text):
            return len(components) == len(writer.components)
        if writer.component(text) in components:
            return True
    return False
