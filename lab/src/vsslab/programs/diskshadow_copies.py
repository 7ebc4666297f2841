# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""diskshadow's commands on copies that exist: expose, unexpose, delete, revert, import, mask, break.

Source: diskshadow documentation, one page per command.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from ..vss import codes
from ..vss.shadows import ShadowCopy
from .diskshadow_listing import shadow_blocks
from .diskshadow_script import Line
from .diskshadow_session import CommandFailed, Session, UsageError

_LETTER = re.compile(r"[A-Za-z]:\\?\Z")
_PATH = re.compile(r"[A-Za-z]:\\.+\Z")
_GUID = re.compile(r"\{[0-9a-fA-F-]{36}\}\Z")


def expose(session: Session, line: Line) -> None:
    """`expose <shadowID> {<drive:>|<share>|<mountpoint>}`."""
    if len(line.words) < 3 or not _GUID.match(line.words[1]):
        raise UsageError("expose")
    target = line.after(2)
    if not (_LETTER.match(target) or _PATH.match(target)):
        _expose_share(session, line.words[1], target)
        return
    plain = target.rstrip("\\")
    taken = session.call.host.files.names.letters()
    if len(plain) == 2 and plain[0].upper() in taken and session.vss.store.find(line.words[1]):
        session.say("letter_in_use")
        raise CommandFailed  # a public transcript ends here, without a result
    session.vss.expose(line.words[1], plain)
    session.say("exposed", name=plain + "\\")


def _expose_share(session: Session, shadow_id: str, name: str) -> None:
    session.vss.expose(shadow_id, name)
    session.say("exposed", name=f"\\\\{session.call.host.name}\\{name}")


def unexpose(session: Session, line: Line) -> None:
    """`unexpose {<shadowID>|<drive:>|<mountpoint>}`."""
    name = line.after(1)
    if not name:
        raise UsageError("unexpose")
    shadow = session.vss.store.find(name) if _GUID.match(name) else session.vss.store.exposed_as(name)
    if shadow is None:
        raise CommandFailed(codes.OBJECT_NOT_FOUND)
    session.vss.store.unexpose(shadow)
    session.say("unexposed", id=f"{{{shadow.id}}}")


def delete(session: Session, line: Line) -> None:
    """`delete shadows ...`: every context, without a question."""
    words = line.keywords[1:]
    if words[:1] != ("shadows",):
        raise UsageError("delete")
    form, name = words[1:2], line.after(3)
    if form == ("all",) and not name:
        _delete(session, session.vss.shadows, empty_is_fine=True)
    elif form in (("volume",), ("oldest",)) and name:
        if _GUID.match(name):  # a public transcript has it: the id of a copy where a volume is asked for
            _delete(session, [session.vss.store.get(name)])
            return
        there = session.vss.store.of_volume(session.vss.volume(name).guid)
        _delete(session, there if form == ("volume",) else there[:1])
    elif form == ("set",) and name:
        _delete(session, [each for each in session.vss.shadows if each.set_id == name.strip("{}").lower()])
    elif form == ("id",) and name:
        _delete(session, [session.vss.store.get(name)])
    elif form == ("exposed",) and name:
        found = session.vss.store.exposed_as(name)
        _delete(session, [] if found is None else [found])
    else:
        raise UsageError("delete")


def _delete(session: Session, shadows: Iterable[ShadowCopy], *, empty_is_fine: bool = False) -> None:
    wanted = list(shadows)
    if not wanted:
        if not empty_is_fine:
            raise CommandFailed(codes.OBJECT_NOT_FOUND)
        session.say("none_found")
        return
    for shadow in wanted:
        session.say(
            "deleting",
            id=f"{{{shadow.id}}}",
            volume=shadow.volume.device_id,
            provider=f"{{{shadow.provider.id}}}",
            bits=f"0x{int(shadow.all_attributes):08x}",
        )
        session.vss.store.delete(shadow)
        session.volatile = [each for each in session.volatile if each is not shadow]
    session.out.line()
    session.say("deleted", count=len(wanted))


def revert(session: Session, line: Line) -> None:
    """`revert <shadowcopyID>`: copies in the client-accessible context only, which the system provider alone makes."""
    if len(line.words) != 2 or not _GUID.match(line.words[1]):
        raise UsageError("revert")
    shadow = session.vss.store.get(line.words[1])
    if not shadow.context.client_accessible:
        raise CommandFailed(codes.UNSUPPORTED_CONTEXT)
    session.say("reverting", volume=shadow.volume.device_id, id=f"{{{shadow.id}}}")
    going_on = session.vss.revert(shadow.id)
    while session.vss.reverts.of(shadow.volume) is going_on:
        left = going_on.ends - session.call.host.clock.monotonic()
        if session.call.host.clock.sleep(max(left, 0.05), session.call.stop):
            return
    session.say("reverted")


def import_(session: Session, line: Line) -> None:
    """`import`: the transportable set of the loaded metadata comes into this system."""
    if len(line.words) != 1:
        raise UsageError("import")
    if session.loaded is None:
        session.say("no_metadata")
        raise CommandFailed(codes.BAD_STATE)
    made = session.vss.import_set(session.loaded.set_id, session.requestor)
    if not made.context.persistent:
        session.volatile += made.shadows
    session.say("imported", count=len(made.shadows))
    shadow_blocks(session, made.shadows)


def mask(session: Session, line: Line) -> None:
    """`mask <shadowsetID>`: an imported set leaves this system, its hardware copies stay."""
    if len(line.words) != 2 or not _GUID.match(line.words[1]):
        raise UsageError("mask")
    session.vss.mask_set(line.words[1])
    session.say("masked", id=line.words[1])


def break_(session: Session, line: Line) -> None:
    """`break [writable] <setID>`: an imported hardware set becomes ordinary volumes, read-only unless asked."""
    words = line.words[1:]
    writable = line.keywords[1:2] == ("writable",)
    identity = words[1:] if writable else words
    if len(identity) != 1 or not _GUID.match(identity[0]):
        raise UsageError("break")
    session.vss.break_set(identity[0], writable=writable)
    session.say("broken", id=identity[0])
