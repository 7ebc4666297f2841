# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The transaction of a restore: look, make room, copy out of the shadow copies, prove it, put it to its place.

What is not there yet, and every single file, is put together in a closed folder at the root of its volume, compared,
and only then moved to its place: until then nothing of it can be seen, and nobody can lead it elsewhere. A folder that
is there is restored into. What has got its place is never taken away again, whatever fails later: it is the user's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from .. import _verbs as verbs
from .._host import Host
from .._pipeline import ConnectionLost, HostFailure, Reply, Statement
from . import copying, inventory, restore_writers, restoring, safety, verify
from .copying import Job, Progress, ShadowsGone
from .errors import LOST, VssFailure
from .facts import Facts, read_events, read_shadows
from .inventory import shadows_statement
from .paths import BOUNDLESS, join, long_path, naming_statements
from .placing import Work, make_room, place, still_renamed
from .planning import patience
from .recovery import recover
from .requestor import lost_because
from .restored import amount, answer, difference, event, moment_of
from .restoring import Piece
from .revert import revert
from .run import Say, Stale, begin, check, failing, retried
from .security import strangers
from .undo import RENAMED
from .wanted import ACTION, SOURCES, TARGETS, Wish, make_wish, names, nobody_at_work

_PARTS = ("volumes", "snapshots", "storage", "records")
_FIRST_READING = 0.8  # seconds after which the copying is looked at for the first time


# ---- what is asked
def restore(host: Host, args: Mapping[str, Any], check_mode: bool, say: Say) -> dict[str, Any]:
    """The module's answer: files and folders out of a snapshot, or a volume reverted to it.

    :raises VssFailure: it could not be done; what was begun has been taken back.
    :raises HostFailure: the host could not be asked.
    """
    if args.get("state") == "reverted":
        return revert(host, args, check_mode, say)
    return retried(lambda: _restored(host, args, check_mode, say))


def _restored(host: Host, args: Mapping[str, Any], check_mode: bool, say: Say) -> dict[str, Any]:
    destination = str(args.get("destination") or "")

    def also() -> list[Statement]:
        closed = [verbs.acl("destination-acl", destination).tolerant()] if destination else []
        return [*naming_statements(names(args), follow_mounts=True), *closed]

    told = (args.get("writers") or {}).get("restore") or ()
    facts = inventory.gather(host, (*_PARTS, "writers") if told else _PARTS, also=also)
    facts.require_rights()
    facts.require_safe_state()
    wish = make_wish(facts, args)
    wish.rehearsal = bool(args.get("drill"))
    _closed(facts, wish)
    facts, recovered, notes = recover(host, facts, check_mode, say, timeout=patience(args))
    nobody_at_work(host, facts, wish.aims)
    work = Work(begin(host, facts, ACTION, wish.source.name or "", say), wish, [Piece(aim, "") for aim in wish.aims])
    work.part = restore_writers.plan(facts, told, wish.source.ids, wish.rehearsal)
    work.run.recheck = partial(nobody_at_work, host, aims=wish.aims)
    for piece in work.pieces:
        piece.source = join(work.links[piece.aim.place.volume.id], piece.aim.place.inside)
    answer = _guarded(work, lambda: _perform(work, facts, patience(args), check_mode))
    answer["recovered"] = recovered
    answer["warnings"] = [*notes, *wish.warnings, *work.run.warnings]
    return answer


def _closed(facts: Facts, wish: Wish) -> None:
    """A destination apart is for administrators, as that of a backup: a task of SYSTEM writes there."""
    told = facts.reply["destination-acl"].first if wish.destination and not wish.rehearsal else None
    others = strangers(str(told.get("Sddl"))) if told else []
    if others:
        raise VssFailure(
            f"The destination {wish.destination} on {facts.host} can be changed by {', '.join(others)}: only SYSTEM "
            "and Administrators may. Name one that is not there yet, or close it."
        )


# ---- the transaction
def _guarded(work: Work, do: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    run = work.run
    try:
        return do()
    except Stale:
        raise  # everything is decided anew
    except ConnectionLost as lost:
        raise _after_loss(work, lost) from None
    except (VssFailure, HostFailure, ValueError) as error:
        raise _told(work, failing(run, error)) from None
    except BaseException:
        run.interrupted(())
        raise


def _told(work: Work, failure: VssFailure) -> VssFailure:
    """The failure with what is not as it was before."""
    copied = bool(work.run.record.work_tasks) and not work.wish.rehearsal
    changed = [*work.placed, *(piece.aim.path for piece in work.todo if piece.merged and copied)]
    told = str(failure)
    if changed:
        told += f" What has been restored to {', '.join(changed)} until then stays: run it again to go on."
    still = still_renamed(work)
    if still:
        told += f" {len(still)} files have made room and keep their new names, as renamed tells."
    renamed = [{"path": path, "kept_as": kept} for path, kept in sorted(still.items())]
    return type(failure)(told, **{**failure.details, "renamed": renamed})


def _after_loss(work: Work, lost: ConnectionLost) -> Exception:
    """What to raise when the answer to a change was lost: after having taken back what can be."""
    run = work.run
    try:
        run.reopen()
    except HostFailure:
        then = f"what run {run.record.run} made there is removed by its lease, or by the next run"
        return ConnectionLost(run.host.name, f"{lost.reason}; it does not answer any more, and {then}")
    failure = VssFailure(
        f"The connection to {run.host.name} was lost in the middle of the restore ({lost.reason}). Run it again."
    )
    return _told(work, failing(run, failure))


def _perform(work: Work, facts: Facts, timeout: float, check_mode: bool) -> dict[str, Any]:
    run, wish = work.run, work.wish
    _look(work, facts, timeout)
    before = difference(work)
    if not work.todo or (check_mode and not wish.rehearsal):
        return answer(work, facts, before, run.finish(), done=False)
    run.say(f"Restoring {amount(work)} on {run.host.name} out of the snapshot of {moment_of(work)}.")
    make_room(work)
    _copy(work)
    work.proven = work.run.patiently("the restore was proven", lambda: _prove(work))
    if not wish.rehearsal:
        place(work)
    stays = {key: value for key, value in run.record.changes.items() if key != RENAMED}  # that was asked for
    run.record = replace(run.record, changes=stays)
    left = work.run.patiently("the restore was completed", lambda: run.finish(event(work)))
    return answer(work, facts, before, left, done=True)


def _look(work: Work, facts: Facts, timeout: float) -> None:
    """Begin, and find out what there is to do; nothing of the user's is changed yet."""
    run, wish, links = work.run, work.wish, work.links
    run.record = replace(
        run.record,
        links=tuple(links.values()),
        changes={TARGETS: [aim.path for aim in wish.aims], SOURCES: wish.source.ids},
    )
    linking = [
        verbs.make_link(f"link-{at}", links[volume], shadow.device or "")
        for at, (volume, shadow) in enumerate(wish.source.shadows.items(), 1)
    ]
    reply = run.start(*linking, *restoring.looking_at(work.pieces), timeout=timeout)
    for at in range(1, len(linking) + 1):
        result = reply[f"link-{at}"]
        if result.exit_code != 0:
            said = " ".join([*map(str, result.values), *result.stderr]).strip()
            raise VssFailure(
                f"A link to the shadow copy on {run.host.name} could not be made: {said or 'mklink did not say why'}."
            )
    restoring.seen(work.pieces, wish, reply, run.host.name)
    reply = run.host.ask(*restoring.comparing(work.pieces, run, wish.existing), allow=True)
    check(reply, run.host)
    restoring.compared(work.pieces, run, wish.existing, reply)
    _no_links(work)
    if work.part:
        straight = [piece.merged and piece.aim.in_place for piece in work.todo]
        restore_writers.fits(list(zip(work.jobs, straight, strict=True)), run.host.name)
    work.stage()
    safety.enough_room(work.todo, wish, facts, reply)
    copying.start(run.host, work.jobs, False)  # what no task can be told fails while nothing has been changed


def _no_links(work: Work, during: bool = False) -> None:
    asked = safety.looking_for_links(work.todo)
    if asked:
        reply = work.run.host.ask(*asked, allow=True)
        check(reply, work.run.host)
        safety.no_links(work.todo, reply, work.run.host.name, during)


# ---- copying
def _copy(work: Work) -> None:
    """Start the tasks, give the lock back, and watch them end."""
    run, jobs = work.run, work.jobs
    progress = Progress(jobs, work.wish.source.ids)
    # In the form without a limit: what holds a path longer than 260 characters could not be removed otherwise.
    scratch = tuple(long_path(path, BOUNDLESS) for path in work.scratch)
    steps = run.step(
        copying.lease(jobs),
        state="restoring",
        tasks=tuple(dict.fromkeys(job.task for job in jobs)),
        scratch=scratch,
    )
    if work.part:
        restore_writers.prepare(run, work.part, jobs)
    making = {
        f"make-{at}": [
            verbs.make_folder(f"make-{at}", path, exist_ok=False),
            verbs.own(f"make-{at}-owner", path),
            verbs.secure(f"make-{at}-acl", path),
        ]
        for at, path in enumerate(work.closed)
    }
    try:
        try:
            reply: Reply | None = _start(work, [*steps, *(each for group in making.values() for each in group)], jobs)
        except ConnectionLost as lost:
            reply = _start_again(work, lost, steps, making, jobs)
        if reply is not None:
            run.say(progress.take(reply, run.host.name))
        copying.follow(run, progress)
    except ShadowsGone as gone:
        raise _vanished(work, gone) from None
    work.readings = progress.readings
    if work.part:
        reply = run.host.ask(*restore_writers.reading(run, jobs), allow=True)
        work.told += restore_writers.outcome(run, work.part, jobs, next(iter(progress.codes.values())), reply)
        return
    wrong = copying.failed(progress)
    if wrong:
        told = run.host.ask(copying.log_tail(wrong[0]), allow=True)
        log = told[f"log-{wrong[0].number}"].values
        raise copying.why_failed(wrong[0], progress.codes[wrong[0].number], log, run.host.name, doing="Restoring")


def _start(work: Work, steps: Sequence[Statement], jobs: Sequence[Job]) -> Reply:
    """Start restoring and take the first reading."""
    run = work.run
    tasks = restore_writers.starting(run, work.part, jobs) if work.part else copying.start(run.host, jobs, False)
    starting = [*steps, *tasks, *run.release(), verbs.pause("pause", _FIRST_READING)]
    reply = run.host.act(*starting, *(each.tolerant() for each in copying.reading(work.jobs)), allow=True)
    check(reply, run.host)
    return reply


def _start_again(
    work: Work,
    lost: ConnectionLost,
    steps: Sequence[Statement],
    making: Mapping[str, list[Statement]],
    jobs: Sequence[Job],
) -> Reply | None:
    """The answer to starting was lost: start what has not been started. Everything before that may be done twice."""
    run = work.run
    run.lost_while("the restore was started", lost)
    run.reopen()
    told = run.host.ask(
        *(verbs.task_info(f"info-{job.number}", job.task) for job in jobs),
        *(verbs.exists(f"make-{at}", path) for at, path in enumerate(work.closed)),
        allow=True,
    )
    idle = [job for job in jobs if not copying.has_started(told[f"info-{job.number}"])]
    if not idle:
        return None
    # The folder may be there and not closed yet: that is done again.
    again = [each for key, group in making.items() for each in (group[1:] if told[key].first else group)]
    return _start(work, [*steps, *again], idle)


def _vanished(work: Work, gone: ShadowsGone) -> VssFailure:
    seconds = int(work.run.seconds) + 5
    reply = work.run.host.ask(verbs.events("events", seconds, ("volsnap",)), allow=True)
    events = [event for event in read_events(reply["events"]) if event.id in LOST]
    return VssFailure(f"{gone}.{lost_because(events)} Enlarge the shadow storage, and restore from another snapshot.")


# ---- proof
def _prove(work: Work) -> verify.Verified:
    """Show that all of it is there as it is in the shadow copies, and that no link has led any of it elsewhere."""
    run, wish, jobs, host = work.run, work.wish, work.jobs, work.run.host
    reply = host.ask(
        *restoring.looking_again(jobs, run, wish.existing),
        *verify.hashing(jobs, wish.mode, wish.sample, run),
        shadows_statement(),
        allow=True,
    )
    check(reply, host)
    there = {shadow.id for shadow in read_shadows(reply["shadows"])}
    gone = [identity for identity in wish.source.ids if identity not in there]
    if gone:
        raise _vanished(
            work, ShadowsGone(f"The shadow copy {gone[0]} on {host.name} vanished before the restore was proven", gone)
        )
    _no_links(work, during=True)
    found = verify.differing(run, jobs, wish.mode, wish.sample, reply)
    found.mismatches = [*restoring.missing(jobs, reply, host.name), *found.mismatches]
    if found.mismatches:
        first = found.mismatches[0]
        raise VssFailure(
            f"What was restored of {first['source']} on {host.name} is not what the shadow copy holds "
            f"({len(found.mismatches)} mismatches): {first['path']} {first['what']}. Is something else writing there?",
            verified=found.result(),
        )
    return found
