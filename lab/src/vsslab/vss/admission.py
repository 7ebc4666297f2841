# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is judged before a creation begins and a writer hears of it: providers, numbers, space."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from . import codes
from .codes import Attribute, Context, VssError
from .providers import SYSTEM, Provider, choose

if TYPE_CHECKING:
    from ..windows.volumes import Volume
    from .coordinator import Coordinator


def choose_all(
    vss: Coordinator, volumes: Sequence[Volume], context: Context, options: Attribute, wanted: Mapping[str, str]
) -> dict[str, Provider]:
    """The provider of every volume; one that cannot be started spoils every question for support (VSS 12292)."""
    for provider in vss.providers:
        if provider.does == "not start":
            vss.log.event("provider_class", clsid=provider.clsid)
            raise VssError(codes.UNEXPECTED_PROVIDER_ERROR, f"{provider.name} cannot be started.")
    for volume in volumes:
        if vss.reverts.of(volume) is not None:
            raise VssError(codes.REVERT_IN_PROGRESS, f"{volume.display} is being reverted.")
    return {
        each.guid: choose(vss.providers, each, context, options, wanted.get(each.guid), vss.supports)
        for each in volumes
    }


def make_room(vss: Coordinator, volumes: Iterable[Volume], context: Context, providers: Mapping[str, Provider]) -> None:
    """The limits on numbers and space, before a writer hears of the creation."""
    chosen, limits = list(volumes), vss.options.limits
    if not chosen:
        raise VssError(codes.BAD_STATE, "The set has no volume.")
    if len(chosen) > limits.volumes_per_set:
        raise VssError(codes.MAXIMUM_NUMBER_OF_VOLUMES_REACHED, "Too many volumes for one set.")
    for volume in chosen:
        if providers[volume.guid].type != SYSTEM:
            continue
        area = vss.storage.of(volume)
        if area is not None:
            vss.overflow.settle(area)
        there = vss.store.in_areas(volume.guid)
        if len(there) >= limits.shadows_per_volume:
            raise VssError(codes.MAXIMUM_NUMBER_OF_SNAPSHOTS_REACHED, f"{volume.display} has too many copies.")
        visible = [each for each in there if each.context.client_accessible]
        if context.client_accessible and len(visible) >= limits.client_accessible_per_volume:
            if not vss.is_server:
                raise VssError(codes.MAXIMUM_NUMBER_OF_SNAPSHOTS_REACHED, f"{volume.display} has too many copies.")
            vss.store.delete(visible[0])
            vss.log.volume_event("oldest_by_number", volume)
        vss.storage.ensure(volume)
