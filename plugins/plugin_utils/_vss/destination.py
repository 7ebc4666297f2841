# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a backup is asked to do: its sources, its destination and whether that may be used, its other options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .. import _verbs as verbs
from .._host import Host
from .._pipeline import Statement
from . import verify
from .errors import VssFailure
from .facts import Facts
from .owner import this_process
from .paths import BadPath, Place, join, no_overlap, normal
from .planning import Plan, check_name, source_places
from .reverting import not_reverted
from .traces import MANIFEST, manifest_of

_VERIFY_MODES = ("count", "sample", "all")
_REPARSE_POINT = 0x400  # FILE_ATTRIBUTE_REPARSE_POINT (Win32 docs, "File Attribute Constants")


@dataclass
class Target:
    """The destination. path as asked; place on its volume; there: it exists; ours: the manifest of an earlier run.

    folders: the names of the folders in it, case-folded.
    """

    path: str
    place: Place
    there: bool
    ours: dict[str, Any] | None = None
    folders: frozenset[str] = frozenset()

    @property
    def manifest(self) -> str:
        """The path of the manifest."""
        return join(self.path, MANIFEST)


@dataclass
class Wish:
    """The module's options, checked."""

    sources: list[Place]
    target: Target
    mode: verify.Mode
    sample: int
    keep: str | None
    name: str


def destination_path(destination: str, host: Host) -> str:
    if destination.startswith(("\\\\", "//")) and not destination.lower().startswith("\\\\?\\volume"):
        raise VssFailure(
            f"The destination {destination} is a share, which {host.name} cannot reach from a scheduled task: "
            "name a folder "
            "on one of its volumes."
        )
    try:
        return normal(destination)
    except BadPath as error:
        raise VssFailure(f"The destination on {host.name} cannot be used: {error}") from None


def questions(path: str, sources: Sequence[Any]) -> list[Statement]:
    asked = [
        verbs.exists("destination", path),
        verbs.list_files("destination-files", path),
        verbs.list_folders("destination-folders", path),
        verbs.read_text("destination-manifest", join(path, MANIFEST)).tolerant(),
    ]
    for at, source in enumerate(sources):
        try:
            asked.append(verbs.exists(f"source-{at}", normal(str(source))))
        except BadPath:
            continue  # said in so many words once the host's volumes are known
    return asked


def make_wish(facts: Facts, path: str, sources: Sequence[Any], args: Mapping[str, Any]) -> Wish:
    places = source_places(sources, facts)
    no_overlap(places, facts.host)
    for at, source in enumerate(sources):
        asked = facts.reply.get(f"source-{at}")
        if asked is not None and not asked.first:
            raise VssFailure(f"The source {source} is not there on {facts.host}: check its path.")
    place = facts.places.place(path)
    if place is None:
        there = ", ".join(volume.display for volume in facts.volumes)
        raise VssFailure(f"The destination {path} lies on no volume of {facts.host}: it has {there}.")
    how = args.get("verify") or {}
    mode = str(how.get("mode") or "all")
    if mode not in _VERIFY_MODES:
        raise VssFailure(f"verify.mode {mode!r} is not known: use one of {', '.join(_VERIFY_MODES)}.")
    keep = args.get("keep_snapshot")
    name = check_name(args["name"]) if args.get("name") else ""
    kept = None if keep in (None, False, "", "false", "no") else name if keep in (True, "true", "yes") else str(keep)
    if kept == "":
        raise VssFailure(f"keep_snapshot needs a name for the snapshot to be kept on {facts.host}: give one with name.")
    return Wish(
        sources=places,
        target=Target(path, place, bool(facts.reply["destination"].first)),
        mode=mode,  # type: ignore[arg-type]  # one of the modes, as was just checked
        sample=int(how.get("sample") or verify.SAMPLE),
        keep=check_name(kept) if kept else None,
        name=name,
    )


def check_destination(host: Host, facts: Facts, wish: Wish, recovered: Sequence[Any], check_mode: bool) -> None:
    """Decide whether the destination may be used; what recovering removed from it is not there any more."""
    reply: Mapping[str, Any] = facts.reply
    nobody_elses(host, facts, wish)
    gone = any((item.get("destination") or "").casefold() == wish.target.path.casefold() for item in recovered)
    if gone and check_mode:
        wish.target.there = False
        return
    if recovered and not check_mode:  # a folder of the user's stays, when what was in it has gone
        reply = host.ask(*questions(wish.target.path, []), allow=True)
        wish.target.there = bool(reply["destination"].first)
    _may_be_used(facts, wish, reply)


def as_it_was(host: Host, wish: Wish) -> bool:
    """Whether the destination is still what was decided upon, or somebody has backed up to it since."""
    reply = host.ask(*questions(wish.target.path, []), allow=True)
    return (bool(reply["destination"].first), _manifest(reply)) == (wish.target.there, wish.target.ours)


def _manifest(reply: Mapping[str, Any]) -> dict[str, Any] | None:
    return manifest_of([str(text) for text in reply["destination-manifest"].values])


def nobody_elses(host: Host, facts: Facts, wish: Wish) -> None:
    """Two backups into one destination would mirror over each other, and a revert would take the copy away.

    :raises VssFailure: naming who it is.
    """
    not_reverted(host, facts, {wish.target.place.volume.id})
    me = this_process()
    for record in facts.records.readable:
        same = (record.destination or "").casefold() == wish.target.path.casefold()
        if same and not record.kept and not record.abandoned(facts.now, me):
            raise VssFailure(
                f"The destination {wish.target.path} on {facts.host} is in use by run {record.whose}: "
                f"{record.patience}."
            )


def _may_be_used(facts: Facts, wish: Wish, reply: Mapping[str, Any]) -> None:
    target = wish.target
    if not target.there:
        return
    files, folders = reply["destination-files"].values, reply["destination-folders"].values
    if not files and not folders:
        return
    manifest = _manifest(reply)
    if manifest is None:
        raise VssFailure(
            f"The destination {target.path} on {facts.host} holds something that no backup of ours put there: "
            "name an empty "
            "folder, or one that is not there yet."
        )
    before = sorted(str(item.get("source", "")).casefold() for item in manifest.get("sources", []))
    if before != sorted(place.path.casefold() for place in wish.sources) or manifest.get("host") != facts.system.name:
        raise VssFailure(
            f"The destination {target.path} on {facts.host} holds a backup of other sources: name a folder of its "
            "own for "
            "this one."
        )
    links = [str(told.get("FullName")) for told in folders if int(told.get("Attributes") or 0) & _REPARSE_POINT]
    if links:
        raise VssFailure(
            f"{links[0]} on {facts.host} is a link, where the earlier backup has a folder: it would lead the copy to "
            "another place. Remove it, or name another destination."
        )
    target.ours = manifest
    target.folders = frozenset(str(told.get("Name")).casefold() for told in folders)


def on_another_volume(facts: Facts, wish: Wish, plan: Plan) -> None:
    volume = wish.target.place.volume
    if volume.id in {mine.id for mine in plan.volumes}:
        raise VssFailure(
            f"The destination {wish.target.path} on {facts.host} lies on {volume.display}, which is to be "
            "shadowed itself: "
            "choose a folder on another volume."
        )
