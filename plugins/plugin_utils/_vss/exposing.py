# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Showing shadow copies where they are to be seen.

For a new snapshot: ``reply = host.act(*make_exposures(run, plan, created), shadows_statement())``, then
``check_exposures(run, plan, reply)``, and only then the run is kept.

For one that is there `reexpose` is a transaction of its own. Its run has the host's lock and a lease, and changes the
record of the snapshot. That names the old places and the new ones until all is done: whatever interrupts it, state
absent takes all of it back and the next run brings it to its end.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .. import _shares
from .. import _verbs as verbs
from .._host import Host
from .._pipeline import HostFailure, Reply, Statement
from . import records
from .creation import Created
from .errors import VssFailure
from .facts import Facts, read_shadows
from .inventory import shadows_statement
from .model import Shadow
from .paths import same
from .planning import Plan
from .records import Made, Record
from .results import as_it_is, set_result
from .run import EVENT_CREATED, Run, Say, begin, check, failing, unexpose
from .sharing import Exposure, places_free, same_access, shared
from .showing import Showing, astray, links_of, shares_of, shown

__all__ = ["as_it_is", "check_exposures", "make_exposures", "reexpose", "set_result"]


# ---- a new snapshot
def make_exposures(run: Run, plan: Plan, created: Created) -> list[Statement]:
    """The statements that show the shadow copies of a new snapshot; none when nothing is to be shown.

    They begin with the step that names all of it in the run's record. Their answers, with that of `shadows_statement`,
    are for `check_exposures`; only then may the run be kept.
    """
    if not plan.exposures:
        return []
    now = [Made(shadow.id, shadow.volume or "", shadow.device or "") for shadow in created.shadows]
    made = tuple(shown(m, plan.exposures, run.folder) for m in now)
    steps = run.step(shadows=made, links=links_of(made), shares=shares_of(made))
    return [*steps, *_showing(made).statements(run.folder)]


def check_exposures(run: Run, plan: Plan, reply: Reply) -> None:
    """Fail unless the shadow copies are to be seen where they were to be; the run's record then knows the shares.

    :raises VssFailure: naming the place, with what the host said.
    """
    if not plan.exposures:
        return
    showing = _showing(run.record.shadows)
    theirs = {m.link for m in showing.not_linked(reply)}
    if theirs:  # nobody may take it for ours and remove it
        run.record = replace(
            run.record,
            shadows=tuple(replace(m, link="") if m.link in theirs else m for m in run.record.shadows),
            links=tuple(path for path in run.record.links if path not in theirs),
        )
    showing.check(run.facts, reply)
    run.record = replace(run.record, shadows=showing.described(run.record.shadows, reply))


def _showing(made: Sequence[Made]) -> Showing:
    return Showing([m for m in made if m.link], [m for m in made if m.exposed], [m for m in made if m.share])


# ---- one that is there
@dataclass(frozen=True)
class Change:
    """From the record as it is to the one as it is to be. unshare, unexpose (IDs) and unlink (paths) come first."""

    record: Record
    after: Record
    showing: Showing
    unshare: Sequence[str] = ()
    unexpose: Sequence[str] = ()
    unlink: Sequence[str] = ()

    def __bool__(self) -> bool:
        return bool(self.showing or self.unshare or self.unexpose or self.unlink)

    @property
    def both(self) -> Record:
        """The record while it is being done: whatever is there is named in it."""
        return replace(
            self.after,
            links=tuple(dict.fromkeys([*self.record.links, *self.after.links])),
            shares=tuple(dict.fromkeys([*self.record.shares, *self.after.shares])),
        )


def reexpose(host: Host, facts: Facts, record: Record, plan: Plan, check_mode: bool, say: Say) -> dict[str, Any]:
    """Bring the exposures of a snapshot that is there to what is asked for, taking back those that are not.

    :raises VssFailure: a place is taken, or the shadow copies could not be shown there.
    :raises Stale: somebody else has changed our snapshots meanwhile.
    """
    change = _Eye(facts, record, plan, records.run_folder(host.windows, record.run)).change()
    answer = as_it_is(facts, record)
    if not change:
        return answer
    if check_mode:
        after, there = change.after, _as_if(facts.shadows, change.after)
    else:
        run = begin(host, facts, "reexpose", record.name, say)
        after, there = _carry_out(run, change, plan)
        answer["seconds"] = round(run.seconds, 3)
    now = set_result(record.set_id, record.created, after.shadows, there, facts)
    answer.update(changed=True, snapshot_set=now, warnings=[])
    answer["diff"]["after"] = {"snapshots": [now]}
    return answer


def _as_if(shadows: Sequence[Shadow], after: Record) -> Sequence[Shadow]:
    """The shadow copies as they would be exposed."""
    at = {m.id: m.exposed or None for m in after.shadows}
    return [replace(s, exposed_name=at[s.id], exposed_path=None) if s.id in at else s for s in shadows]


# ---- deciding
class _Eye:
    """Looks what of a snapshot's exposures is as it is to be. folder: of the snapshot's run."""

    def __init__(self, facts: Facts, record: Record, plan: Plan, folder: str) -> None:
        self.facts, self.record, self.plan = facts, record, plan
        self.now = {shadow.id: shadow for shadow in facts.shadows}
        self.lost = astray(facts, record)
        self.freed = {place.casefold() for place in facts.freed}  # foreseen only
        self.seen = {(e.volume.id, e.native): at for at, e in enumerate(plan.exposures)}
        device = {shadow.id: shadow.device for shadow in facts.shadows}
        self.pairs = [(m, shown(m, plan.exposures, folder, device.get(m.id))) for m in record.shadows]

    def linked(self, have: Made, want: Made) -> bool:
        """Whether the link is as it is to be, and there, and leads to the shadow copy."""
        at = self.seen.get((want.volume, False))
        is_there = at is None or bool(self.facts.reply[f"expose-{at}"].first)
        is_there = is_there and want.link.casefold() not in self.freed
        return same(have.link, want.link) and have.id not in self.lost and is_there

    def exposed(self, have: Made, want: Made) -> bool:
        """Whether the letter or folder is as it is to be, by our record and by what VSS says."""
        return same(have.exposed, want.exposed) and (not want.exposed or _is_at(self.now.get(want.id), want.exposed))

    def opened(self, have: Made, want: Made) -> bool:
        """Whether the share is as it is to be: of that name and access list, of our folder, and nobody changed it."""
        if not want.share:
            return not have.share
        told = shared(self.facts.reply, self.seen[want.volume, True]) or {}
        sddl = str(told.get("SecurityDescriptor") or "")
        return (
            have.share.casefold() == want.share.casefold()
            and self.exposed(have, want)
            and same(str(told.get("Path") or ""), want.exposed)
            and same_access(have.access, want.access)
            and (not have.sddl or not sddl or have.sddl == sddl)
        )

    def change(self) -> Change:
        """What is to be done.

        :raises VssFailure: a place that is needed is taken.
        """
        give = Showing(
            [w for h, w in self.pairs if w.link and not self.linked(h, w)],
            [w for h, w in self.pairs if w.exposed and not self.exposed(h, w)],
            [w for h, w in self.pairs if w.share and not self.opened(h, w)],
        )
        made = tuple(replace(w, sddl=h.sddl) if self.opened(h, w) else replace(w, sddl="") for h, w in self.pairs)
        after = replace(self.record, shadows=made, links=links_of(made), shares=shares_of(made))
        anew = {m.share for m in give.shares}
        stay = {m.link.casefold() for h, m in self.pairs if m.link and self.linked(h, m)}
        stay |= {m.exposed.casefold() for h, m in self.pairs if m.share and self.exposed(h, m)}
        change = Change(
            self.record,
            after,
            give,
            unshare=[name for name in self.record.shares if name not in after.shares or name in anew],
            unexpose=[h.id for h, w in self.pairs if self._goes(h, w)],
            unlink=[path for path in self.record.links if path.casefold() not in stay],
        )
        _require_free(self.facts, self.plan.exposures, change, self.now)
        return change

    def _goes(self, have: Made, want: Made) -> bool:
        """Whether VSS exposes it elsewhere than it is to. What somebody else has it exposed as stays if we need not."""
        now = self.now.get(have.id)
        is_exposed = now is not None and bool(now.exposed_name)
        return is_exposed and bool(have.exposed or want.exposed) and not self.exposed(have, want)


def _is_at(shadow: Shadow | None, place: str) -> bool:
    return shadow is not None and any(same(at, place) for at in shadow.places)


def _require_free(facts: Facts, exposures: Sequence[Exposure], change: Change, now: Mapping[str, Shadow]) -> None:
    given = {m.volume for m in (*change.showing.natives, *change.showing.shares)}
    linked = {m.volume for m in change.showing.links}
    new = [e for e in exposures if e.volume.id in (given if e.native else linked)]
    back = [*change.unlink, *(now[gone].exposed_name or "" for gone in change.unexpose)]
    folder = {m.share: m.exposed for m in change.record.shadows if m.share}
    for at, exposure in enumerate(exposures):  # a share of ours that is renewed is in nobody's way
        told = shared(facts.reply, at) if exposure.type == "share" else None
        if told and same(str(told.get("Path") or ""), folder.get(exposure.share, "")):
            back.append(exposure.seen_at(facts.host))
    places_free(exposures, new, facts, [place.rstrip("\\") for place in back])


# ---- doing
def _carry_out(run: Run, change: Change, plan: Plan) -> tuple[Record, Sequence[Shadow]]:
    run.record = replace(run.record, state="changing", changes={"snapshot": change.record.run})
    try:
        run.start(timeout=plan.timeout)
        reply = run.host.act(*_statements(run, change), shadows_statement())
        _forget_others(run, change, reply)
        _taken_back(run, change, reply)
        change.showing.check(run.facts, reply)
        after = change.showing.described(change.after.shadows, reply)
        final = _renewed(run, replace(change.after, revision=change.after.revision + 1), shadows=after)
        told = f"umbra.vss changed where the snapshot {final.name} is exposed: {json.dumps(final.result())}"
        event = verbs.write_event("event", EVENT_CREATED, told).tolerant()
        stays = run.step(showing=())  # from here on its lease takes back nothing of it
        check(run.host.act(*stays, *_written(run, final), event, allow=True), run.host)
        run.finish()  # only then somebody else's turn comes
    except (VssFailure, HostFailure, ValueError) as error:
        raise failing(run, error) from None
    except BaseException:
        run.interrupted(())
        raise
    return final, read_shadows(reply["shadows"])


def _statements(run: Run, change: Change) -> list[Statement]:
    """Name everything; take back; let the lease take back what is new, unless all goes well; and show."""
    folder = records.run_folder(run.host.windows, change.record.run)
    steps = _written(run, _renewed(run, change.both))
    steps += [_shares.remove_share(f"old-share-{at}", name, folder) for at, name in enumerate(change.unshare)]
    if change.unexpose:
        back = unexpose(run.host, change.record.run, change.unexpose)
        steps += [replace(each, key=f"old-{each.key}") for each in back]
    steps += [verbs.remove_link(f"old-link-{at}", path) for at, path in enumerate(change.unlink)]
    steps += [verbs.exists(f"left-{path}", path) for path in dict.fromkeys(change.unlink)]
    # Only now: VSS takes an exposure back by the shadow copy's ID, wherever that is exposed.
    return [*steps, *run.step(showing=change.showing.given), *change.showing.statements(folder)]


def _taken_back(run: Run, change: Change, reply: Reply) -> None:
    """Fail while an old place still shows something: the record goes on naming it, and the next run tries again."""
    left = [path for path in change.unlink if reply[f"left-{path}"].first]
    now = {shadow.id: shadow for shadow in read_shadows(reply["shadows"])}
    given = {made.id for made in change.showing.natives}
    left += [f"{now[i].exposed_name}" for i in change.unexpose if i in now and i not in given and now[i].exposed_name]
    if left:
        raise VssFailure(
            f"{', '.join(left)} on {run.host.name} still shows the snapshot {change.record.name} and could not be "
            "taken back: look at what uses it, then run it again."
        )


def _renewed(run: Run, record: Record, **changes: Any) -> Record:
    return record.next(run.now(), **changes)


def _written(run: Run, record: Record) -> list[Statement]:
    return [replace(each, key=f"kept-{each.key}") for each in records.write(record, run.host.windows)]


def _forget_others(run: Run, change: Change, reply: Reply) -> None:
    """Take a link that was not made out of the record: what is at its place is somebody else's."""
    theirs = {m.link for m in change.showing.not_linked(reply)}
    if theirs:
        both = change.both
        shadows = tuple(replace(m, link="") if m.link in theirs else m for m in both.shadows)
        links = tuple(path for path in both.links if path not in theirs)
        known = replace(both, revision=both.revision + 1)
        anew = tuple(replace(m, link="") if m.link in theirs else m for m in run.record.showing)
        steps = run.step(showing=anew)
        run.host.act(*steps, *_written(run, _renewed(run, known, shadows=shadows, links=links)))
