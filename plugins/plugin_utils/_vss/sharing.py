# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
r"""Where shadow copies are to be seen, as the option ``expose`` says: letters, folders, links and shares.

A share leads to an empty folder of ours in the run's folder, which the shadow copy is mounted into: the host itself
resolves that, while a link would have to be resolved by the client, who cannot.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from .. import _verbs as verbs
from .._pipeline import Reply, Statement, Unsendable
from .._shares import find_share
from .diskshadow import Unscriptable, token
from .errors import VssFailure
from .facts import Facts
from .model import Volume
from .paths import BadPath, join, normal, parent

ExposeType = Literal["letter", "folder", "link", "share"]
RIGHTS = ("full", "change", "read")

_LETTER = re.compile(r"^([A-Za-z]):\\?$")
# What a share may be called ([MS-SRVS] 2.2.4.23, "Naming Files, Paths, and Namespaces"); no wildcard is among it.
_SHARE = re.compile(r'^[^\x00-\x1f\x7f-\x9f"/\\\[\]:|<>+=;,*?]{1,80}$')
_ACCOUNT = re.compile(r'^[^\x00-\x1f\x7f-\x9f"/\[\]:|<>+=;,*?]{1,256}$')
_SID = re.compile(r"^\*?S-1-[\d-]+$", re.IGNORECASE)


@dataclass(frozen=True)
class Exposure:
    """Where a shadow copy is to appear.

    path: ``X:`` for a letter, a full path for a folder or a link; for a share the name of its folder in the run's
    folder. share: the share's name. access: (right, account) of everybody who gets in.
    """

    volume: Volume
    path: str
    type: ExposeType
    share: str = ""
    access: tuple[tuple[str, str], ...] = ()

    @property
    def native(self) -> bool:
        """Whether VSS itself exposes it: a shadow copy can be exposed at one place."""
        return self.type != "link"

    def place(self, folder: str) -> str:
        """The letter or path. folder: the run's."""
        return join(folder, self.path) if self.type == "share" else self.path

    def seen_at(self, host: str) -> str:
        r"""What a user calls it: a share by ``\\host\name``."""
        return f"\\\\{host}\\{self.share}" if self.type == "share" else self.path

    @property
    def access_text(self) -> str:
        """The access list as a record keeps it; "" when it is no share."""
        lists = {right: sorted(a for r, a in self.access if r == right) for right in RIGHTS}
        given = {right: accounts for right, accounts in lists.items() if accounts}
        return json.dumps(given, sort_keys=True) if given else ""


def access_lists(text: str) -> Mapping[str, Sequence[str]]:
    """Accounts by right, from what a record keeps."""
    found: Mapping[str, Sequence[str]] = json.loads(text or "{}")
    return found


def same_access(one: str, other: str) -> bool:
    """Whether two access lists let the same accounts do the same; account names compare without case."""
    first, second = (
        {(right, account.casefold()) for right, accounts in access_lists(text).items() for account in accounts}
        for text in (one, other)
    )
    return first == second


def exposures(items: Sequence[Mapping[str, Any]], facts: Facts, volumes: Sequence[Volume]) -> list[Exposure]:
    """The exposures asked for.

    :raises VssFailure: of a volume that is not in the snapshot, to a place that cannot be used, two to one place, or
        two of one volume where one is possible.
    """
    found: list[Exposure] = []
    for item in items:
        name = str(item.get("volume") or "")
        volume = facts.places.volume(name)
        if volume is None or volume.id not in {v.id for v in volumes}:
            raise VssFailure(f"The volume {name} is to be exposed on {facts.host}, but it is not in the snapshot.")
        found.append(_exposure(volume, item, facts.host))
    twice = _twice(exposure.seen_at(facts.host).casefold() for exposure in found)
    if twice:
        raise VssFailure(f"Two volumes are to be exposed at {twice} on {facts.host}: each needs a place of its own.")
    if _twice(exposure.volume.id for exposure in found if exposure.native):
        raise VssFailure(
            f"A shadow copy on {facts.host} can appear at one letter, folder or share only: use a link for one more."
        )
    if _twice(exposure.volume.id for exposure in found if not exposure.native):
        raise VssFailure(f"A shadow copy on {facts.host} can have one link only.")
    return found


def _twice(values: Iterable[str]) -> str | None:
    seen: set[str] = set()
    return next((value for value in values if value in seen or seen.add(value)), None)  # type: ignore[func-returns-value]


def _exposure(volume: Volume, item: Mapping[str, Any], host: str) -> Exposure:
    path, kind = str(item.get("path") or ""), item.get("type")
    if kind == "share":
        return _shared(volume, item, host)
    if item.get("share") or any((item.get("access") or {}).values()):  # the spec fills in empty lists
        raise VssFailure(f"share and access of {volume.display} on {host} belong to an exposure of type share.")
    letter = _LETTER.match(path)
    type_: ExposeType = kind if kind in ("letter", "folder", "link") else "letter" if letter else "folder"
    if letter and kind != "folder":  # a bare letter can be nothing but a letter, whatever the default type is
        return Exposure(volume, f"{letter.group(1).upper()}:", "letter")
    if letter or kind == "letter":
        raise VssFailure(f"{path!r} on {host} is no place for an exposure of type {type_}.")
    try:
        where = normal(path)
        return Exposure(volume, verbs.link_word(where) if type_ == "link" else token(where), type_)
    except (BadPath, Unscriptable, Unsendable) as error:
        raise VssFailure(f"A shadow copy on {host} cannot be exposed at {path!r}: {error}") from None


def _shared(volume: Volume, item: Mapping[str, Any], host: str) -> Exposure:
    name, given = str(item.get("share") or ""), item.get("access") or {}
    if not _SHARE.match(name) or name != name.strip():
        raise VssFailure(
            f"The share {name!r} on {host} cannot be called so: a share's name has 1 to 80 characters and none of "
            '" / \\ [ ] : | < > + = ; , * ?'
        )
    if item.get("path"):
        raise VssFailure(f"The share {name} on {host} has no path: it leads to a folder that is made for it.")
    access = [(right, str(account).strip()) for right in RIGHTS for account in given.get(right) or []]
    if not access:
        raise VssFailure(f"Nobody could use the share {name} on {host}: name accounts in access.read, change or full.")
    for _right, account in access:
        if _SID.match(account) or not _ACCOUNT.match(account):
            raise VssFailure(
                f"{account!r} cannot be let into the share {name} on {host}: name the account or group as the host "
                "calls it."
            )
    twice = _twice(account.casefold() for _right, account in access)
    if twice:
        raise VssFailure(f"{twice} is to have two rights in the share {name} on {host}: name it once.")
    # By the volume and not by its position, so that what is taken back and what is given never meet in one folder.
    return Exposure(volume, f"share-{volume.id[11:-2].lower()}", "share", name, tuple(access))


# ---- what the host says about the places
def exposure_statements(items: Sequence[Mapping[str, Any]]) -> list[Statement]:
    """The statements that tell whether the places of exposures are free. See `places_free`."""
    asked: list[Statement] = []
    for at, item in enumerate(items):
        path = str(item.get("path") or "")
        if item.get("type") == "share":
            if _SHARE.match(str(item.get("share") or "")):
                asked.append(find_share(f"expose-share-{at}", str(item["share"])))
            continue
        if _LETTER.match(path):
            asked.append(verbs.exists(f"expose-{at}", f"{path[0].upper()}:\\"))
            continue
        try:
            where = normal(path)
        except BadPath:
            continue
        asked.append(verbs.exists(f"expose-{at}", where))
        asked.append(verbs.exists(f"expose-parent-{at}", parent(where) + "\\"))
        if item.get("type") != "link":
            asked += [
                verbs.list_files(f"expose-files-{at}", where),
                verbs.list_folders(f"expose-folders-{at}", where),
            ]
    return asked


def places_free(
    plan: Sequence[Exposure], new: Collection[Exposure], facts: Facts, given_back: Collection[str] = ()
) -> None:
    """Fail unless every new place is free: a letter unused, a folder there and empty, a link or share not there yet.

    :param plan: all exposures, in the order of the option, by which the statements were named.
    :param given_back: places that this very run takes back first.
    :raises VssFailure: naming the place.
    """
    ours = {place.casefold() for place in [*given_back, *facts.freed]}
    for at, exposure in enumerate(plan):
        if exposure in new and exposure.seen_at(facts.host).casefold() not in ours:
            _free(exposure, at, facts.reply, facts)


def _free(exposure: Exposure, at: int, reply: Reply, facts: Facts) -> None:
    path, host = exposure.path, facts.host
    if exposure.type == "share":
        there = shared(reply, at)
        if there is not None:
            raise VssFailure(
                f"There is a share {exposure.share} on {host} already, of {there.get('Path') or 'something else'}: "
                "choose another name."
            )
        return
    there_is = bool(reply[f"expose-{at}"].first)
    if exposure.type == "letter":
        if there_is or any(volume.letter == path for volume in facts.volumes):
            raise VssFailure(f"The drive letter {path} on {host} is in use: choose a free one.")
    elif exposure.type == "link":
        if there_is:
            raise VssFailure(f"{path} on {host} is there already: a link needs a name that is not in use.")
        if not reply[f"expose-parent-{at}"].first:
            raise VssFailure(f"The folder {parent(path)} on {host} is not there: make it before {path}.")
    elif not there_is:
        raise VssFailure(f"The folder {path} on {host} is not there: make it before exposing to it.")
    elif reply[f"expose-files-{at}"].values or reply[f"expose-folders-{at}"].values:
        raise VssFailure(f"The folder {path} on {host} is in use: a shadow copy needs an empty one.")


def shared(reply: Reply, at: int) -> Mapping[str, Any] | None:
    """The share that the host has under the name of exposure `at`: Name, Path and SecurityDescriptor."""
    told = reply[f"expose-share-{at}"].first
    return told if isinstance(told, Mapping) else None
