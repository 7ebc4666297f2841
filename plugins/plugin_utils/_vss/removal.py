# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kept snapshots removed, so that a removal that is interrupted is completed by the next run, or by its lease."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from .. import _verbs as verbs
from .._host import Host
from .._pipeline import HostFailure, Statement
from .facts import Facts
from .owner import this_process
from .records import Record
from .run import EVENT_REMOVED, Leftover, Run, Say, begin, remove


def remove_kept(host: Host, facts: Facts, targets: Sequence[Record], say: Say, timeout: float = 0.0) -> list[str]:
    """Remove these kept snapshots with everything that was made to show them; give what is still there, in words.

    :param facts: what they were chosen by; nobody may have changed any kept snapshot since.
    :param timeout: seconds to wait for somebody else who has the lock.
    :raises Busy: he was not done in time.
    :raises Stale: somebody has changed the snapshots of the host meanwhile.
    :raises HostFailure: the host could not be asked; the next run completes what was begun.
    """
    if not targets:
        return []
    names = ", ".join(dict.fromkeys(record.name for record in targets))
    holding = begin(host, facts, "absent", names, say)
    holding.start(timeout=timeout)
    runs = [Run(host, facts, record, say) for record in targets]
    steps: list[Statement] = []
    for at, run in enumerate(runs):
        going = run.step(state="going", owner=this_process())
        steps += [replace(statement, key=f"{statement.key}-{at}") for statement in going]
    try:
        host.act(*steps)
    except HostFailure:
        holding.clean()  # the lock is free again, and what is going goes with the next run
        raise
    told = json.dumps([run.record.result() for run in runs], sort_keys=True)
    event = verbs.write_event("event", EVENT_REMOVED, f"umbra.vss removed the snapshot {names}: {told}").tolerant()
    leftovers = [Leftover(run.record, destination=False) for run in [*runs, holding]]
    return remove(host, leftovers, facts.shadows, [event])
