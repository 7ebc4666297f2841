# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""vssadmin's listings, in the host's language."""

from __future__ import annotations

from collections.abc import Iterable

from ..vss.codes import Attribute, Context
from ..vss.coordinator import Coordinator
from ..vss.shadows import ShadowCopy
from ..vss.storage import UNBOUNDED
from ..windows.processes import Invocation
from ..windows.volumes import Volume
from .phrases import Phrases, vssadmin_phrases

# The names of the contexts; they are not translated.
TYPES = {
    Context.BACKUP: "Backup",
    Context.CLIENT_ACCESSIBLE: "ClientAccessible",
    Context.CLIENT_ACCESSIBLE_WRITERS: "ClientAccessibleWriters",
    Context.APP_ROLLBACK: "ApplicationRollback",
    Context.NAS_ROLLBACK: "DataVolumeRollback",
    Context.FILE_SHARE_BACKUP: "FileShareBackup",
}
_WORDS = (
    (Attribute.PERSISTENT, "word_persistent"),
    (Attribute.CLIENT_ACCESSIBLE, "word_client_accessible"),
    (Attribute.NO_AUTO_RELEASE, "word_no_auto_release"),
    (Attribute.NO_WRITERS, "word_no_writers"),
    (Attribute.TRANSPORTABLE, "word_transportable"),
    (Attribute.HARDWARE_ASSISTED, "word_hardware"),
    (Attribute.DIFFERENTIAL, "word_differential"),
    (Attribute.PLEX, "word_plex"),
    (Attribute.IMPORTED, "word_imported"),
    (Attribute.AUTORECOVER, "word_auto_recover"),
    (Attribute.EXPOSED_LOCALLY, "word_exposed"),
)
_UNITS = ("", "K", "M", "G", "T", "P", "E")


class Console:
    """What the commands print with: the host's phrases and the program's output."""

    def __init__(self, call: Invocation) -> None:
        self.call = call
        self.vss: Coordinator = call.host.vss
        self.text: Phrases = vssadmin_phrases(call.host.language.tag)

    def line(self, text: str = "") -> None:
        """Print lines."""
        for each in text.split("\n"):
            self.call.out(each)

    def say(self, key: str, **values: object) -> None:
        """Print a phrase."""
        self.line(self.text(key, **values))

    def size(self, number: int, of: int) -> str:
        """A size as vssadmin rounds it, three digits, and its share of the volume."""
        percent = f" ({number * 100 // of if of else 0}%)"
        if number >= UNBOUNDED:
            return self.text("unbounded") + " (100%)"
        value, unit = float(number), 0
        while value >= 1000 and unit < len(_UNITS) - 1:
            value, unit = value / 1024, unit + 1
        if unit == 0:
            return self.text("size_bytes", number=number) + percent
        digits = 0 if value >= 100 else 1 if value >= 10 else 2
        shown = f"{value:.{digits}f}".replace(".", self.text("decimal"))
        return self.text("size_unit", number=shown, unit=_UNITS[unit]) + percent


def long_name(volume: Volume) -> str:
    """`(C:)\\\\?\\Volume{..}\\`, the letter or mount folder left out when there is none."""
    name = volume.display.rstrip("\\")
    return volume.device_id if volume.display == volume.device_id else f"({name}){volume.device_id}"


def writers(console: Console) -> int:
    """`list writers`: the state each writer was left in."""
    if console.vss.busy_with is not None:
        console.say("waiting_1")
        console.say("waiting_2")
        console.line()
    for writer in console.vss.writers:
        state = "state_failed" if writer.state.failed else f"state_{int(writer.state)}"
        console.say("writer_name", name=writer.name)
        console.say("writer_id", id=f"{{{writer.class_id}}}")
        console.say("writer_instance", id=f"{{{writer.instance_id}}}")
        console.say("writer_state", number=int(writer.state), state=console.text(state))
        console.say("writer_error", error=_error(console, writer.failure))
        console.line()
    return 0


def _error(console: Console, hresult: int) -> str:
    try:
        return console.text(f"error_{hresult:08x}")
    except KeyError:
        return console.text("error_other")


def providers(console: Console) -> int:
    """`list providers`."""
    for provider in console.vss.providers:
        console.say("provider_name", name=provider.name)
        console.say("provider_type", type=console.text(f"provider_type_{provider.type}"))
        console.say("provider_id", id=f"{{{provider.id}}}")
        console.say("provider_version", version=provider.version)
        console.line()
    return 0


def shadows(console: Console, wanted: Iterable[ShadowCopy]) -> int:
    """`list shadows`: by set, the copies of every context."""
    sets: dict[str, list[ShadowCopy]] = {}
    for shadow in wanted:
        sets.setdefault(shadow.set_id, []).append(shadow)
    if not sets:
        console.say("no_items")
        return console.vss.options.vssadmin_empty_exit
    clock, language = console.call.host.clock, console.call.host.language
    for set_id, members in sets.items():
        date = language.local_datetime(clock.local(members[0].created))
        console.say("set", id=f"{{{set_id}}}")
        console.say("set_count", count=members[0].count, date=date)
        for shadow in members:
            console.say("shadow_id", id=f"{{{shadow.id}}}")
            console.say("shadow_original", volume=long_name(shadow.volume))
            console.say("shadow_device", device=shadow.device)
            console.say("shadow_originating", name=shadow.machine)
            console.say("shadow_service", name=shadow.service_machine or shadow.machine)
            console.say("shadow_provider", name=shadow.provider.name)
            console.say("shadow_type", type=TYPES[shadow.context])
            words = [console.text(key) for bit, key in _WORDS if shadow.all_attributes & bit]
            console.say("shadow_attributes", words=", ".join(words))
            console.line()
    return 0


def storage(console: Console, for_: Volume | None, on: Volume | None) -> int:
    """`list shadowstorage`."""
    areas = [
        area
        for area in console.vss.storage.all()
        if (for_ is None or area.volume is for_) and (on is None or area.diff_volume is on)
    ]
    if not areas:
        console.say("no_items")
        return console.vss.options.vssadmin_empty_exit
    for area in areas:
        capacity = area.diff_volume.capacity
        console.say("storage")
        console.say("storage_for", volume=long_name(area.volume))
        console.say("storage_on", volume=long_name(area.diff_volume))
        console.say("storage_used", size=console.size(console.vss.storage.used(area), capacity))
        console.say("storage_allocated", size=console.size(console.vss.storage.allocated(area), capacity))
        console.say("storage_maximum", size=console.size(area.max_space, capacity))
        console.line()
    return 0


def reverts(console: Console, volume: Volume | None) -> int:
    """`query reverts`: how far they are; the layout is assumed."""
    wanted = [each for each in console.vss.reverts.all() if volume is None or each.volume is volume]
    if not wanted:
        console.say("no_items")
        return console.vss.options.vssadmin_empty_exit
    now = console.call.host.clock.monotonic()
    for each in wanted:
        console.say("revert_volume", volume=long_name(each.volume))
        console.say("revert_shadow", id=f"{{{each.shadow_id}}}")
        console.say("revert_progress", percent=each.percent(now))
        console.line()
    return 0


def volumes(console: Console) -> int:
    """`list volumes`: those that can be shadow copied."""
    for volume in console.call.host.volumes:
        if console.vss.supported(volume):
            console.say("volume_path", path=volume.display)
            console.say("volume_name", name=volume.device_id)
    return 0
