# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shadow copy providers: the one that comes with Windows, and others as data (scenario key `vss.providers`).

A volume's provider is the one the requestor names, else the first that supports the volume: hardware, then software,
then the system's ("Selecting Providers", VSS documentation).  Client-accessible copies are the system provider's.
"""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import codes
from .codes import Attribute, Context, VssError

if TYPE_CHECKING:
    from ..windows.volumes import Volume

SYSTEM, SOFTWARE, HARDWARE = 1, 2, 3  # VSS_PROVIDER_TYPE
_TYPES = {"software": SOFTWARE, "hardware": HARDWARE}
_HARDWARE_ONLY = Attribute.TRANSPORTABLE | Attribute.PLEX
DOES = ("work", "veto", "fail", "hang", "time out", "not start")
_NAMESPACE = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")


@dataclass(frozen=True)
class Provider:
    """A registered shadow copy provider; `type` as VSS_PROVIDER_TYPE (1 system, 2 software, 3 hardware).

    `volumes`: the letters or paths it supports, none for every volume that the system provider could copy.  `does`: it
    works; vetoes (VSS_E_PROVIDER_VETO); fails (VSS_E_UNEXPECTED_PROVIDER_ERROR); hangs while it prepares, until the
    requestor ends; takes too long to commit; or cannot be started (its COM class is gone).
    """

    id: str
    name: str
    type: int
    version: str
    version_id: str
    clsid: str
    volumes: tuple[str, ...] = ()
    does: str = "work"

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Provider:
        """From a scenario's mapping {name, type: hardware|software, id, clsid, version, version_id, volumes, does}; ids
        left out are made of the name.  ValueError names what is wrong.
        """
        values = dict(data)
        known = {each.name for each in dataclasses.fields(cls)}
        for key in values:
            if key not in known:
                raise ValueError(f"{key!r} is no key of a provider; there are {', '.join(sorted(known))}.")
        name = values.get("name")
        if not isinstance(name, str) or not name:
            raise ValueError("A provider needs a name.")
        if values.get("type") not in _TYPES:
            raise ValueError(f"The provider {name} needs a type: hardware or software.")
        does = str(values.get("does", "work"))
        if does not in DOES:
            raise ValueError(f"The provider {name} can do one of {', '.join(DOES)}, not {does!r}.")
        made = {key: str(uuid.uuid5(_NAMESPACE, f"{key}:{name}")) for key in ("id", "clsid", "version_id")}
        given = {key: str(values[key]).strip("{}").lower() for key in made if key in values}
        volumes = tuple(str(each).rstrip(":\\").lower() for each in values.get("volumes", ()))
        return cls(
            name=name, type=_TYPES[values["type"]], version=str(values.get("version", "1.0")), volumes=volumes,
            does=does, **{**made, **given},
        )  # fmt: skip

    def supports(self, volume: Volume) -> bool:
        """True when the provider's data name the volume, or name none."""
        names = {name.rstrip(":\\").lower() for name in volume.names}
        return not self.volumes or any(each in names for each in self.volumes)

    def attributes(self, options: Attribute) -> Attribute:
        """The bits a copy of this provider is born with beside those of its context, for the options chosen."""
        method = Attribute.PLEX if options & Attribute.PLEX else Attribute.DIFFERENTIAL
        bits = (options & ~(Attribute.PLEX | Attribute.DIFFERENTIAL)) | method
        return bits | Attribute.HARDWARE_ASSISTED if self.type == HARDWARE else bits


SYSTEM_PROVIDER = Provider(
    id="b5946137-7b9f-4925-af80-51abd60b20d5",
    name="Microsoft Software Shadow Copy provider 1.0",
    type=SYSTEM,
    version="1.0.0.7",
    version_id="00000001-0000-0000-0007-000000000001",
    clsid="65ee1dba-8ff4-4a58-ac1c-3470ee2f376a",
)


def choose(
    providers: Iterable[Provider],
    volume: Volume,
    context: Context,
    options: Attribute,
    wanted: str | None,
    supported: Callable[[Provider, Volume], bool],
) -> Provider:
    """The provider that copies a volume; `wanted` is the id a requestor asked for.

    VssError PROVIDER_NOT_REGISTERED for an unknown id, VOLUME_NOT_SUPPORTED_BY_PROVIDER, UNSUPPORTED_CONTEXT for
    client-accessible copies of another provider than the system's, VOLUME_NOT_SUPPORTED when nobody can.
    """
    registered = list(providers)
    if wanted is not None:
        identity = wanted.strip("{}").lower()
        named = next((each for each in registered if each.id == identity), None)
        if named is None:
            raise VssError(codes.PROVIDER_NOT_REGISTERED, f"There is no provider {wanted}.")
        if context.client_accessible and named.type != SYSTEM:
            raise VssError(codes.UNSUPPORTED_CONTEXT, "Client-accessible copies are the system provider's only.")
        if not supported(named, volume) or (options & _HARDWARE_ONLY and named.type != HARDWARE):
            raise VssError(codes.VOLUME_NOT_SUPPORTED_BY_PROVIDER, f"{named.name} cannot copy {volume.display} so.")
        return named
    fitting = [each for each in registered if supported(each, volume)]
    if context.client_accessible:
        fitting = [each for each in fitting if each.type == SYSTEM]
    if options & _HARDWARE_ONLY:
        fitting = [each for each in fitting if each.type == HARDWARE]
    if not fitting:
        raise VssError(codes.VOLUME_NOT_SUPPORTED, f"No provider can copy {volume.display} so.")
    return min(fitting, key=lambda each: (HARDWARE, SOFTWARE, SYSTEM).index(each.type))
