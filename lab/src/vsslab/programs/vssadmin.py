# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""vssadmin.exe (vssadmin documentation); the commands an edition has come from its profile."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..vss import codes
from ..vss.codes import Context, VssError
from ..vss.providers import SYSTEM
from ..vss.shadows import ShadowCopy
from ..vss.storage import UNBOUNDED
from ..windows.volumes import Volume
from . import vssadmin_listing as listing
from .phrases import table
from .vssadmin_listing import Console

if TYPE_CHECKING:
    from ..windows.processes import Invocation

_USAGE, _FAILED = 1, 2
_PHRASES = {
    codes.OBJECT_NOT_FOUND: "error_volume",
    codes.VOLUME_NOT_SUPPORTED: "error_volume",
    codes.OBJECT_ALREADY_EXISTS: "error_exists",
    codes.SNAPSHOT_SET_IN_PROGRESS: "error_busy",
    codes.MAXIMUM_NUMBER_OF_SNAPSHOTS_REACHED: "error_maximum",
    codes.UNEXPECTED_PROVIDER_ERROR: "error_provider",
    codes.PROVIDER_VETO: "error_provider",
    codes.INSUFFICIENT_STORAGE: "error_storage",
    codes.VOLUME_IN_USE: "error_in_use",
    codes.REVERT_IN_PROGRESS: "error_revert",
    codes.UNSUPPORTED_CONTEXT: "error_context",
    codes.E_INVALIDARG: "error_option",
}
_UNITS = {
    "": 0, "B": 0, "KB": 10, "K": 10, "MB": 20, "M": 20, "GB": 30, "G": 30, "TB": 40, "T": 40, "PB": 50, "P": 50,
    "EB": 60, "E": 60,
}  # fmt: skip
Options = dict[str, str]


class _Usage(Exception):
    """An option is not understood."""


def main(call: Invocation) -> int:
    """Run vssadmin; the exit code: 0, 1 for commands that are not understood or not allowed, 2 for failures of VSS."""
    console = Console(call)
    console.say("banner")
    console.say("copyright")
    console.line()
    words = [word for word in call.argv[1:] if not word.startswith(("/", "-"))]
    verb = " ".join(words[:2]).lower()
    if verb not in call.host.profile.vssadmin_verbs or len(words) > 2:
        return _help(console, asked=not call.argv[1:] or call.argv[1] in ("/?", "-?"))
    if {"/?", "-?"} & {*call.argv[3:]}:
        for line in table("vssadmin")["commands"][verb]["syntax"].split("\n"):
            console.line(f"  {line.strip()}")
        return 0
    if not call.user.administrator:
        console.say("error_permission")
        return _USAGE
    allowed, command = _COMMANDS[verb]
    try:
        return command(console, _options(call.argv[1:], allowed))
    except _Usage:
        console.say("error_option")
        return _USAGE
    except VssError as error:
        console.say(_PHRASES.get(error.hresult, "error_unexpected"))
        return _FAILED


def _help(console: Console, *, asked: bool) -> int:
    if not asked:
        console.say("error_command")
        console.line()
    console.say("commands")
    console.line()
    for verb, entry in table("vssadmin")["commands"].items():
        if verb in console.call.host.profile.vssadmin_verbs:
            console.line(f"{entry['name']:<22}- {entry['text']}")
    return 0 if asked else _USAGE


def _options(arguments: list[str], allowed: frozenset[str]) -> Options:
    """The /name=value options by lower-case name; _Usage for one the command does not have."""
    found: Options = {}
    for word in arguments:
        if not word.startswith(("/", "-")):
            continue
        name, _, value = word[1:].partition("=")
        if name.lower() not in allowed or name.lower() in found:
            raise _Usage
        found[name.lower()] = value
    return found


def _volume(console: Console, options: Options, name: str) -> Volume | None:
    return console.vss.volume(options[name]) if name in options else None


def _needed(console: Console, options: Options, name: str) -> Volume:
    found = _volume(console, options, name)
    if found is None:
        raise _Usage
    return found


def _list_shadows(console: Console, options: Options) -> int:
    volume = _volume(console, options, "for")
    wanted = console.vss.shadows
    if volume is not None:
        wanted = [each for each in wanted if each.volume is volume]
    if "set" in options and not console.vss.is_server:
        raise _Usage  # documented for servers only
    for name, value in (("shadow", "id"), ("set", "set_id")):
        if name in options:
            identity = options[name].strip("{}").lower()
            wanted = [each for each in wanted if getattr(each, value) == identity]
    return listing.shadows(console, wanted)


def _list_storage(console: Console, options: Options) -> int:
    return listing.storage(console, _volume(console, options, "for"), _volume(console, options, "on"))


def _create_shadow(console: Console, options: Options) -> int:
    """A client-accessible copy, so without writers; /autoretry waits only for another creation."""
    volume = _needed(console, options, "for")
    minutes = options.get("autoretry", "0")
    if not minutes.isdigit():
        raise _Usage
    clock, stop = console.call.host.clock, console.call.stop
    until = clock.monotonic() + int(minutes) * 60
    while True:
        try:
            made = console.vss.create(
                f"vssadmin.exe ({console.call.pid})", [volume], Context.CLIENT_ACCESSIBLE, stop=stop
            )
            break
        except VssError as error:
            if error.hresult != codes.SNAPSHOT_SET_IN_PROGRESS or clock.monotonic() >= until or stop.is_set():
                raise
            clock.sleep(1, stop)
    console.say("created", volume=volume.display)
    console.say("created_id", id=f"{{{made.shadows[0].id}}}")
    console.say("created_device", device=made.shadows[0].device)
    return 0


def _delete_shadows(console: Console, options: Options) -> int:
    wanted = _chosen(console, options)
    if not wanted:
        console.say("no_items")
        return console.vss.options.vssadmin_empty_exit
    mine = [each for each in wanted if each.context.client_accessible and each.provider.type == SYSTEM]
    if not mine:
        console.say("error_context")
        return _FAILED
    if "quiet" not in options and not _confirmed(console, "really", count=len(mine)):
        return _USAGE
    for shadow in mine:
        console.vss.store.delete(shadow)
    console.line()
    console.say("deleted", count=len(mine))
    return 0


def _chosen(console: Console, options: Options) -> list[ShadowCopy]:
    if {"all", "for", "shadow"}.isdisjoint(options) or ("shadow" in options and len({*options} - {"quiet"}) > 1):
        raise _Usage
    if "oldest" in options and ("all" in options or "for" not in options):
        raise _Usage
    if "shadow" in options:
        found = console.vss.store.find(options["shadow"])
        return [] if found is None else [found]
    volume = _volume(console, options, "for")
    there = console.vss.shadows if volume is None else console.vss.store.of_volume(volume.guid)
    return there[:1] if "oldest" in options else there


def _confirmed(console: Console, question: str, **values: object) -> bool:
    """Ask on standard input; its end counts as no."""
    answer = next(iter(console.call.stdin.splitlines()), "").strip()
    console.say(question, **values, answer=answer)
    return answer[:1].lower() == console.text("affirm")


def _space(text: str, volume: Volume) -> int:
    """A /maxsize value in bytes."""
    if text.upper() == "UNBOUNDED":
        return UNBOUNDED
    found = re.fullmatch(r"(\d+)(%|[A-Za-z]{0,2})", text)
    if not found or (found[2] != "%" and found[2].upper() not in _UNITS):
        raise _Usage
    if found[2] == "%":
        return volume.capacity * int(found[1]) // 100
    return int(found[1]) << _UNITS[found[2].upper()]


def _resize_storage(console: Console, options: Options) -> int:
    volume, on = _needed(console, options, "for"), _needed(console, options, "on")
    try:
        console.vss.resize(volume, on, _space(options.get("maxsize", "UNBOUNDED"), on))
    except VssError as error:
        return _no_association(console, error)
    console.say("resized")
    return 0


def _add_storage(console: Console, options: Options) -> int:
    volume, on = _needed(console, options, "for"), _needed(console, options, "on")
    console.vss.storage.add(volume, on, _space(options.get("maxsize", "UNBOUNDED"), on))
    console.say("storage_added")
    return 0


def _delete_storage(console: Console, options: Options) -> int:
    volume, on = _needed(console, options, "for"), _volume(console, options, "on")
    if "quiet" not in options and not _confirmed(console, "storage_really", volume=volume.display):
        return _USAGE
    try:
        console.vss.storage.remove(volume, on)
    except VssError as error:
        return _no_association(console, error)
    console.say("storage_deleted")
    return 0


def _no_association(console: Console, error: VssError) -> int:
    """What the volume's own errors mean where an association is named."""
    key = {codes.OBJECT_NOT_FOUND: "error_association", codes.BAD_STATE: "error_has_copies"}.get(error.hresult)
    if key is None:
        raise error
    console.say(key)
    return _FAILED


def _revert(console: Console, options: Options) -> int:
    """Asks, as the documentation's /quiet implies; what it prints is assumed."""
    if "shadow" not in options:
        raise _Usage
    shadow = console.vss.store.find(options["shadow"])
    if shadow is None:
        console.say("no_items")
        return _FAILED
    if not shadow.context.client_accessible:
        console.say("error_context")
        return _FAILED
    values = {"volume": shadow.volume.display, "id": f"{{{shadow.id}}}"}
    if "quiet" not in options and not _confirmed(console, "revert_really", **values):
        return _USAGE
    try:
        console.vss.revert(shadow.id, force="forcedismount" in options)
    except VssError as error:
        if error.hresult != codes.VOLUME_NOT_SUPPORTED:
            raise
        console.say("error_not_revertable")
        return _FAILED
    console.say("reverted", volume=shadow.volume.display)
    return 0


def _query_reverts(console: Console, options: Options) -> int:
    if ("for" in options) == ("all" in options):
        raise _Usage
    return listing.reverts(console, _volume(console, options, "for"))


def _plain(command: Callable[[Console], int]) -> Callable[[Console, Options], int]:
    return lambda console, _options: command(console)


_COMMANDS: dict[str, tuple[frozenset[str], Callable[[Console, Options], int]]] = {
    "list writers": (frozenset(), _plain(listing.writers)),
    "list providers": (frozenset(), _plain(listing.providers)),
    "list shadows": (frozenset({"for", "shadow", "set"}), _list_shadows),
    "list shadowstorage": (frozenset({"for", "on"}), _list_storage),
    "list volumes": (frozenset(), _plain(listing.volumes)),
    "create shadow": (frozenset({"for", "autoretry"}), _create_shadow),
    "delete shadows": (frozenset({"for", "oldest", "all", "shadow", "quiet"}), _delete_shadows),
    "resize shadowstorage": (frozenset({"for", "on", "maxsize"}), _resize_storage),
    "add shadowstorage": (frozenset({"for", "on", "maxsize"}), _add_storage),
    "delete shadowstorage": (frozenset({"for", "on", "quiet"}), _delete_storage),
    "revert shadow": (frozenset({"shadow", "forcedismount", "quiet"}), _revert),
    "query reverts": (frozenset({"for", "all"}), _query_reverts),
}
