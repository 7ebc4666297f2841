# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module storage: where the old blocks of a volume are kept for its shadow copies, and how many of them.

A volume has one storage area, on itself or on another NTFS volume. To make, resize or remove one is one call of
Windows', whole before and after; only moving takes two, and what was before is in the record between them. Making an
area smaller than what it holds costs shadow copies, the oldest first; how many, Windows tells only by doing it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from .. import _areas as areas
from .. import _verbs as verbs
from .._host import Host
from .._pipeline import CommandFailed, ConnectionLost, HostFailure, Reply, Statement
from . import inventory, readings, records
from .errors import VssFailure, storage_code
from .facts import Facts, read_shadows, read_storage, read_volumes
from .inventory import shadows_statement, volumes_statement
from .model import Shadow, StorageArea
from .paths import naming_statements
from .planning import patience
from .readings import Readings
from .recovery import recover
from .run import Run, Say, Stale, begin, check, failing, retried, state_folder
from .storage_plan import Change, Wish, alike, area_of, copies_in, decide, told_copy, wished

EVENT_STORAGE = 1005

_PARTS = ("storage", "records")


def storage(host: Host, args: Mapping[str, Any], check_mode: bool, say: Say) -> dict[str, Any]:
    """The module's answer.

    :raises VssFailure: it cannot be had, or would cost shadow copies that were not given up.
    :raises HostFailure: the host could not be asked.
    """
    return retried(lambda: _storage(host, args, check_mode, say))


def _storage(host: Host, args: Mapping[str, Any], check_mode: bool, say: Say) -> dict[str, Any]:
    facts = _ask(host, args)
    facts.require_rights()
    facts.require_safe_state()
    facts, recovered, notes = recover(host, facts, check_mode, say, timeout=patience(args))
    if recovered and not check_mode:
        facts = _ask(host, args)  # what was put back may be an area
    wish = wished(args, facts)
    change = decide(wish, facts)
    known = readings.read(facts.reply)
    if known.damaged:
        notes.append(f"The last readings of storage areas on {host.name} are lost and begun anew: {known.damaged}.")
    if change.what == "none":
        if not check_mode:
            notes += _note_reading(host, facts, change.volume, known)
        answer = _answer(facts, facts, change, known, [])
    elif check_mode:
        answer = _answer(facts, _foreseen(facts, change), change, known, _at_risk(facts, change))
    else:
        answer = _make(host, facts, wish, change, known, float(args.get("timeout") or 0), say)
    answer["recovered"] = recovered
    answer["warnings"] = [*notes, *answer["warnings"]]
    return answer


def _ask(host: Host, args: Mapping[str, Any]) -> Facts:
    names = [str(args[name]) for name in ("volume", "placement") if args.get(name)]
    return inventory.gather(
        host, _PARTS, also=lambda: [*naming_statements(names), readings.asking(host.windows).tolerant()]
    )


# ---- doing it
def _make(
    host: Host, facts: Facts, wish: Wish, change: Change, known: Readings, timeout: float, say: Say
) -> dict[str, Any]:
    """Change the area under the host's lock; the answer."""
    run = begin(host, facts, "storage", "", say)
    before = {"volume": change.volume, "on": change.was[0], "maximum": change.was[1]} if change.was else {}
    put_back = {"storage": before} if change.what == "move" else {}
    run.record = replace(run.record, volumes=(change.volume,), changes=put_back)
    try:
        reply = run.start(areas.areas("areas"), shadows_statement(), timeout=timeout)
        now = replace(facts, storage=read_storage(reply["areas"]), shadows=read_shadows(reply["shadows"]))
        if decide(wish, now) != change:
            run.finish()
            raise Stale(f"Somebody else has changed the storage areas of {host.name} meanwhile.")
        after = _changed(run, change)
        there = {shadow.id for shadow in after.shadows}
        gone = [shadow for shadow in copies_in(now, change.volume) if shadow.id not in there]
        run.record = replace(run.record, changes={})  # the change is made: there is nothing to put back
        answer = _answer(now, after, change, known, gone)
        fresh = known.with_area(change.volume, area_of(after, change.volume), run.now())
        kept = readings.writing(fresh, host.windows, run.folder)
        host.act(*(statement.tolerant() for statement in kept), _event(answer), allow=True)
        answer["left_behind"] = run.finish()
        answer["warnings"] = run.warnings
    except (VssFailure, HostFailure) as error:
        raise failing(run, error) from None
    except Stale:
        raise
    except BaseException:  # a task's time limit
        run.interrupted(())
        raise
    return answer


_DOING: Mapping[str, str] = {"create": "made", "resize": "resized", "move": "moved", "remove": "removed"}


def _statements(change: Change) -> list[Statement]:
    made = areas.create_area("area-create", change.volume, change.on, change.maximum)
    if change.what == "create":
        return [made]
    if change.what == "resize":
        return [areas.resize_area("area-resize", change.volume, change.on, change.maximum)]
    gone = areas.remove_area("area-remove", change.volume, change.was[0] if change.was else change.on)
    return [gone, made] if change.what == "move" else [gone]


def _changed(run: Run, change: Change) -> Facts:
    """Make the change and look; the facts as they are then.

    :raises VssFailure: it was not made, with Windows' own reason.
    """
    look = [areas.areas("areas-after"), shadows_statement("shadows-after"), volumes_statement("volumes-after")]
    statements = _statements(change)
    refused = ""
    try:
        reply = run.host.act(*statements, *look, allow=True)
        refused = _refused(reply, statements)
        if reply.first_incomplete() is not None:
            reply = run.host.ask(*look)
    except ConnectionLost as lost:
        run.reopen()
        run.lost_while("a storage area was changed", lost)
        reply = run.host.ask(*look)
    check(reply, run.host)
    after = replace(
        run.facts,
        storage=read_storage(reply["areas-after"]),
        shadows=read_shadows(reply["shadows-after"]),
        volumes=read_volumes(reply["volumes-after"]),
    )
    area = area_of(after, change.volume)
    if change.what == "remove":
        done = area is None
    else:
        done = area is not None and area.on_volume == change.on and alike(area.maximum, change.maximum)
    if done:
        return after
    name = run.facts.places.display(change.volume)
    raise VssFailure(
        f"The storage area of {name} on {run.host.name} could not be {_DOING[change.what]}: "
        f"{refused or 'Windows reported nothing. Look at the volsnap events of the host.'}"
    )


def _refused(reply: Reply, statements: Sequence[Statement]) -> str:
    """Why Windows refused one of these statements, "" when it did not."""
    for statement in statements:
        result = reply[statement.key]
        value = (result.first or {}).get("ReturnValue") if statement.key == "area-create" else 0
        if value:
            return storage_code(int(value)).sentence()
        if not result.complete:
            cause = reply.failure or (result.errors[-1] if result.errors else None)
            return f"{str(CommandFailed(statement.key, cause)).rstrip('. ')}." if cause else "the host did not answer."
    return ""


def _note_reading(host: Host, facts: Facts, volume: str, known: Readings) -> list[str]:
    """Keep a reading of an area that stays as it is: what was found, not a change. Gives warnings."""
    area = area_of(facts, volume)
    if area is None:
        return []
    fresh = known.with_area(volume, area, facts.now)
    folder = records.state_folder(host.windows)
    reply = host.act(*state_folder(host, facts), *readings.writing(fresh, host.windows, folder), allow=True)
    kept = reply.first_incomplete() is None
    return [] if kept else [f"The reading of the storage area could not be kept on {host.name}: growth is not known."]


# ---- results
def _foreseen(facts: Facts, change: Change) -> Facts:
    """The facts as they will be, as far as that can be known."""
    area = area_of(facts, change.volume)
    others = [each for each in facts.storage if each.volume != change.volume]
    if change.what == "resize" and area is not None:
        others.append(replace(area, maximum=change.maximum))
    elif change.what != "remove":
        others.append(StorageArea(change.volume, change.on, 0, 0, change.maximum))
    return replace(facts, storage=tuple(others))


def _at_risk(facts: Facts, change: Change) -> list[Shadow]:
    return [shadow for shadow in copies_in(facts, change.volume) if shadow.id in change.at_risk]


def _answer(before: Facts, after: Facts, change: Change, known: Readings, gone: Sequence[Shadow]) -> dict[str, Any]:
    """The module's answer. gone: the shadow copies that were lost, or may be."""
    was, now = (_told(facts, area_of(facts, change.volume), known) for facts in (before, after))
    return {
        "changed": change.what != "none",
        "storage": now,
        "evicted": [told_copy(shadow, before) for shadow in gone],
        "left_behind": [],
        "warnings": [],
        "diff": {"before": {"storage": _declared(was)}, "after": {"storage": _declared(now)}},
    }


def _told(facts: Facts, area: StorageArea | None, known: Readings) -> dict[str, Any] | None:
    if area is None:
        return None
    told, places = inventory.area_result(facts, area), facts.places
    del told["on_volume"]
    names = {"volume": places.display(area.volume), "placement": places.display(area.on_volume)}
    return {**told, **names, "volume_id": area.volume, "placement_id": area.on_volume, "growth": known.growth(area)}


def _declared(told: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What of an area is declared, not measured."""
    return {name: told[name] for name in ("volume", "placement", "maximum")} if told else None


def _event(answer: Mapping[str, Any]) -> Statement:
    kept = {name: answer[name] for name in ("storage", "evicted", "diff")}
    text = f"umbra.vss changed a storage area. {json.dumps(kept, sort_keys=True)}"
    return verbs.write_event("event", EVENT_STORAGE, text).tolerant()
