# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
r"""The lease: a scheduled task that undoes a run by itself when nobody has renewed it in time.

It is registered before the run makes anything, does by programs of Windows what `undo.UNDO` says, leaves the record of
the run as ``<state>\expired\<run>.json`` for the next one to tell of, and removes itself.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from .. import _verbs as verbs
from .._host import Host
from .._pipeline import Statement
from . import diskshadow, records, undo
from .owner import described
from .paths import join
from .records import Record

_LIMIT = 3600  # seconds that the undoing may take
_MOST_ACTIONS = 32  # of a task (Task Scheduler Schema, Actions)
_APART = timedelta(minutes=2)  # between the tasks of a lease that needs more than one


def scripts(record: Record, windows: str) -> dict[str, list[str]]:
    """The scripts of diskshadow that the lease of a run needs, by their paths.

    Before the shadow copies are recorded, they are those of the set whose metadata diskshadow has saved: loading it
    brings the aliases back (diskshadow documentation, "load metadata").
    """
    folder = records.run_folder(windows, record.run)
    anew = enumerate((made for made in record.showing if made.exposed), 1)
    shown = {join(folder, f"{undo.UNEXPOSE}{at:02}.dsh"): diskshadow.unexpose_script([made.id]) for at, made in anew}
    if shown or record.engine != "diskshadow" or not record.volumes:
        return shown
    if not record.shadows:
        return {join(folder, f"{undo.DELETE}set.dsh"): diskshadow.delete_set_script(join(folder, "metadata.cab"))}
    wanted: dict[str, list[str]] = {}
    for at, made in enumerate(record.shadows, 1):
        if made.exposed:
            wanted[join(folder, f"{undo.UNEXPOSE}{at:02}.dsh")] = diskshadow.unexpose_script([made.id])
        wanted[join(folder, f"{undo.DELETE}{at:02}.dsh")] = diskshadow.delete_script(made.id)
    return wanted


def plan(record: Record, windows: str) -> list[undo.Action]:
    """What the lease of a run does, by programs of System32; the removal of itself comes last."""
    return undo.programs(record, windows)


def _pieces(record: Record, windows: str) -> dict[str, list[undo.Action]]:
    """What the tasks of the lease do, by their names."""
    actions, room = plan(record, windows), _MOST_ACTIONS - 1
    pieces = [actions[at : at + room] for at in range(0, len(actions), room)]
    return {record.lease_task + (f"-{at + 1}" if at else ""): piece for at, piece in enumerate(pieces)}


def names(record: Record, windows: str) -> list[str]:
    """The tasks of the lease; more than one when a task cannot hold all it does."""
    return list(_pieces(record, windows))


def tasks(record: Record, windows: str, until: datetime) -> dict[str, str]:
    """The tasks of the lease, their XML by their names."""
    found: dict[str, str] = {}
    for number, (name, piece) in enumerate(_pieces(record, windows).items()):
        whole = [*piece, ("schtasks", ("/delete", "/tn", f"{verbs.TASK_PATH}{name}", "/f"))]
        start = (until + number * _APART).astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        found[name] = verbs.task_xml(
            [(join(windows, "System32", f"{program}.exe"), arguments) for program, arguments in whole],
            limit=_LIMIT,
            description=described(record.owner),
            start=start,
        )
    return found


def registering(host: Host, record: Record, until: datetime) -> list[Statement]:
    """The statements that register the lease of a run, or renew it."""
    found = tasks(record, host.windows, until)
    return [verbs.register_task(f"lease-{at}", name, xml) for at, (name, xml) in enumerate(found.items())]


def writing(host: Host, record: Record) -> list[Statement]:
    """The statements that write the scripts of the lease into the run's folder."""
    found = scripts(record, host.windows)
    return [verbs.write_lines(f"undo-script-{at}", path, text) for at, (path, text) in enumerate(found.items())]
