# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A snapshot that is there, as a module returns it, and where its shadow copies can be seen."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from .. import _verbs as verbs
from .._host import Host
from .._pipeline import Reply, Statement
from . import diskshadow
from .errors import VssFailure
from .facts import Facts, read_shadows
from .inventory import shadows_statement
from .model import Shadow
from .planning import Exposure, Plan, places_free
from .records import Made, Record
from .run import EVENT_CREATED, Run, Say, unexpose


def set_result(
    set_id: str | None, created: str | None, made: Sequence[Made], there: Sequence[Shadow], facts: Facts
) -> dict[str, Any]:
    """A snapshot set as a module returns it. there: the shadow copies that the host has now."""
    now = {shadow.id: shadow for shadow in there}
    return {
        "id": set_id,
        "created": created,
        "shadows": [
            {
                "id": m.id,
                "volume": facts.places.display(m.volume),
                "device": (now[m.id].device if m.id in now else m.device) or None,
                "exposed_at": m.exposed or m.link or (now[m.id].exposed_at if m.id in now else None),
            }
            for m in made
        ],
    }


def _astray(facts: Facts, record: Record) -> set[str]:
    """Shadow copies whose link leads elsewhere: numbers of devices are given anew at every start of the host."""
    now = {shadow.id: shadow for shadow in facts.shadows}
    return {m.id for m in record.shadows if m.link and m.id in now and (now[m.id].device or "") != m.device}


def as_it_is(facts: Facts, record: Record) -> dict[str, Any]:
    there = set_result(record.set_id, record.created, record.shadows, facts.shadows, facts)
    return {
        "changed": False,
        "name": record.name,
        "state": "present",
        "engine": record.engine,
        "consistency": record.consistency,
        "consistency_reason": record.reason,
        "writers": [dict(writer) for writer in record.writers],
        "snapshot_set": there,
        "frozen_seconds": None,
        "seconds": 0.0,
        "left_behind": [],
        "record": record.run,
        "warnings": [
            f"The link {m.link} does not lead to the shadow copy {m.id} any more, whose device has another number "
            "since the host was restarted: name it in expose to have it renewed."
            for m in record.shadows
            if m.id in _astray(facts, record)
        ],
        "diff": {"before": {"snapshots": [there]}, "after": {"snapshots": [there]}},
    }


def require_links(run: Run, links: Mapping[str, str], reply: Reply) -> None:
    """Fail unless every link was made.

    :raises VssFailure: with what mklink said.
    """
    for at, path in enumerate(links.values()):
        result = reply[f"link-{at}"]
        if result.exit_code != 0:
            said = " ".join([*map(str, result.values), *result.stderr]).strip()
            raise VssFailure(
                f"The link {path} on {run.host.name} could not be made: {said or 'mklink did not say why'}."
            )


def reexpose(host: Host, facts: Facts, record: Record, plan: Plan, check_mode: bool, say: Say) -> dict[str, Any]:
    """Bring the exposures of a snapshot that is there to what is asked for, taking back those that are not."""
    at = {exposure.volume.id: (position, exposure) for position, exposure in enumerate(plan.exposures)}
    native = {v: e for v, (_, e) in at.items() if e.type != "link"}
    links = {e.volume.id: e.path for e in plan.exposures if e.type == "link"}
    now = {shadow.id: shadow for shadow in facts.shadows}
    take_back = [m.id for m in record.shadows if m.exposed and _differs(m.exposed, native.get(m.volume))]
    give = [e for m in record.shadows if (e := native.get(m.volume)) and _differs(m.exposed, e)]
    astray = _astray(facts, record)

    def right(m: Made) -> bool:
        return m.id not in astray and links.get(m.volume, "").casefold() == m.link.casefold()

    unlink = [m.link for m in record.shadows if m.link and not right(m)]
    link = {m.volume: links[m.volume] for m in record.shadows if m.volume in links and not right(m)}
    answer = as_it_is(facts, record)
    if not (take_back or give or unlink or link):
        return answer
    ours = {path.casefold() for path in unlink}  # a link of ours that is renewed is in nobody's way
    new = [
        e for e in plan.exposures if e in give or (link.get(e.volume.id) == e.path and e.path.casefold() not in ours)
    ]
    places_free(new, [plan.exposures.index(e) for e in new], facts.reply, facts)
    after = replace(
        record,
        shadows=tuple(
            replace(
                m,
                exposed=native[m.volume].path if m.volume in native else "",
                link=links.get(m.volume, ""),
                device=(now[m.id].device or m.device) if m.id in now else m.device,
            )
            for m in record.shadows
        ),
        links=tuple(links.values()),
    )
    run = Run(host, facts, record, say)
    if not check_mode:
        now = _apply(run, after, take_back, give, unlink, link)
    changed = set_result(record.set_id, record.created, after.shadows, tuple(now.values()), facts)
    answer.update(changed=True, snapshot_set=changed, seconds=round(run.seconds, 3))
    answer["diff"]["after"] = {"snapshots": [changed]}
    return answer


def _differs(now: str, wanted: Exposure | None) -> bool:
    return wanted is None or now.casefold() != wanted.path.casefold()


def _apply(
    run: Run,
    after: Record,
    take_back: Sequence[str],
    give: Sequence[Exposure],
    unlink: Sequence[str],
    link: Mapping[str, str],
) -> dict[str, Shadow]:
    """Take exposures back and give new ones. The record names the old and the new until that is done."""
    made = {m.volume: m for m in after.shadows}
    both = tuple(dict.fromkeys([*run.record.links, *after.links]))
    steps: list[Statement] = run.step(links=both)
    if take_back:
        steps += unexpose(run.host, run.record.run, take_back)
    steps += [verbs.remove_link(f"unlink-{at}", path) for at, path in enumerate(unlink)]
    if give:
        script = run.path("expose.dsh")
        lines = diskshadow.expose_script((made[e.volume.id].id, e.path) for e in give)
        steps += [
            verbs.write_lines("expose-script", script, lines),
            verbs.program("expose", "diskshadow", "/s", script),
        ]
    steps += [verbs.make_link(f"link-{at}", path, made[v].device) for at, (v, path) in enumerate(link.items())]
    reply = run.host.act(*steps, shadows_statement())
    require_links(run, link, reply)
    shadows = {shadow.id: shadow for shadow in read_shadows(reply["shadows"])}
    for exposure in give:
        seen = shadows.get(made[exposure.volume.id].id)
        if reply["expose"].exit_code != 0 or seen is None or not seen.exposed_name:
            said = " ".join(str(line).strip() for line in reply["expose"].values[-4:])
            raise VssFailure(
                f"The shadow copy of {exposure.volume.display} on {run.host.name} could not be exposed at "
                f"{exposure.path}: {said}"
            )
    final = run.step(shadows=after.shadows, links=after.links)
    told = f"umbra.vss changed where the snapshot {run.record.name} is exposed: {json.dumps(run.record.result())}"
    run.host.act(*final, verbs.write_event("event", EVENT_CREATED, told).tolerant())
    return shadows
