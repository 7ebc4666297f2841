# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole transaction: snapshot, copy out of it, prove the copy, take everything back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from .. import _verbs as verbs
from .._host import Host
from .._pipeline import ConnectionLost, HostFailure, Reply, Statement
from . import copying, frozen, inventory, records, verify
from .copying import Job, Progress, ShadowsGone, size
from .creation import Incomplete, ask_writers, made_records
from .destination import (
    Wish,
    as_it_was,
    check_destination,
    destination_path,
    make_wish,
    nobody_elses,
    on_another_volume,
    questions,
)
from .errors import LOST, VssFailure
from .facts import Event, Facts, read_events, read_shadows, read_volumes
from .inventory import shadows_statement, volumes_statement
from .paths import below_destination, join
from .planning import Plan, make_plan, patience
from .recovery import recover
from .report import Work, event_text, listed, manifest, predicted
from .report import answer as report
from .requestor import after_loss, establish, lost_because, others_gone, outcome_fields
from .run import EVENT_BACKED_UP, Leftover, Run, Say, Stale, act_all, begin, check, failing, look, remains, retried
from .security import strangers
from .undoing import forget, undoing

# Seconds after which the copying is looked at for the first time: enough for a small tree to be done.
_FIRST_READING = 0.8

_PARTS = ("writers", "volumes", "snapshots", "storage", "records")


# ---- what is asked
def backup(host: Host, args: Mapping[str, Any], check_mode: bool, say: Say) -> dict[str, Any]:
    """The module's answer: copy the sources to the destination out of one snapshot set.

    :raises VssFailure: it failed; what was begun has been taken back.
    :raises HostFailure: the host could not be asked.
    """
    return retried(lambda: _backup(host, args, check_mode, say))


def _backup(host: Host, args: Mapping[str, Any], check_mode: bool, say: Say) -> dict[str, Any]:
    if args.get("type") == "full":
        raise VssFailure(
            "A backup of type full, which lets applications truncate their logs, is not supported yet "
            f"({host.name}): use type copy."
        )
    destination, sources = str(args.get("destination") or ""), list(args.get("sources") or [])
    path = destination_path(destination, host)
    facts = inventory.gather(host, _PARTS, also=lambda: questions(path, sources))
    facts.require_rights()
    facts.require_safe_state()
    wish = make_wish(facts, path, sources, args)
    facts, recovered, notes = recover(host, facts, check_mode, say, timeout=patience(args))
    check_destination(host, facts, wish, recovered, check_mode)
    plan = make_plan(facts, wish.sources, args)
    on_another_volume(facts, wish, plan)
    answer = _predict(host, facts, plan, wish) if check_mode else _perform(host, facts, plan, wish, say)
    answer["recovered"] = recovered
    answer["warnings"] = [*notes, *answer["warnings"]]
    return answer


# ---- check mode
def _predict(host: Host, facts: Facts, plan: Plan, wish: Wish) -> dict[str, Any]:
    if plan.with_writers:
        ask_writers(host, facts, plan, None)
    return predicted(host.name, plan, wish)


# ---- the real thing
def _recheck(run: Run, wish: Wish, now: Facts) -> None:
    """See to it that the destination is nobody else's, and as it was when it was decided upon.

    :raises Stale: somebody has backed up to it while this run waited.
    """
    nobody_elses(run.host, now, wish)
    if run.waited and not as_it_was(run.host, wish):
        run.clean()
        raise Stale(f"Another run has written to {wish.target.path} on {run.host.name} meanwhile.")


def _perform(host: Host, facts: Facts, plan: Plan, wish: Wish, say: Say) -> dict[str, Any]:
    run = begin(host, facts, "backup", wish.keep or wish.name, say)
    run.recheck = partial(_recheck, run, wish)
    work = Work(run, plan, wish)
    try:
        work.created = establish(run, plan)
        say(
            f"Snapshot of {', '.join(v.display for v in plan.volumes)} on {host.name} made: "
            f"{work.created.verdict.reason}"
        )
        _expose(work)
        progress = _copy(work)
        found, events, counts = run.patiently("the copy was proven", lambda: _prove(work, progress))
        done = Leftover(run.record, destination=False)
        left = run.patiently("the backup was completed", lambda: _finish(work, found, done))
    except Stale:
        raise
    except Incomplete as error:
        raise failing(run, error, error.made) from None
    except ConnectionLost as lost:
        raise after_loss(run, lost, work.made) from None
    except (VssFailure, HostFailure, ValueError) as error:
        raise failing(run, error, work.made) from None
    except BaseException:
        run.interrupted(work.made)
        raise
    return report(work, progress, found, events, counts, left)


def _expose(work: Work) -> None:
    """Record what exists, link to it, and measure what is to be copied."""
    run, created = work.run, work.created
    if created is None:
        return
    links = {shadow.volume or "": run.path(str(at)) for at, shadow in enumerate(created.shadows, 1)}
    for number, place in enumerate(work.wish.sources, 1):
        work.jobs.append(
            Job(
                number=number,
                place=place,
                source=join(links[place.volume.id], place.inside),
                target=below_destination(work.wish.target.path, place),
                task=f"{run.record.run}-copy-{number}",
                log=run.path(f"robocopy-{number}.log"),
            )
        )
    steps = run.step(
        state="created",
        **outcome_fields(created, work.plan),
        shadows=made_records(created, links),
        links=tuple(links.values()),
    )
    for at, shadow in enumerate(created.shadows, 1):
        steps.append(verbs.make_link(f"link-{at}", links[shadow.volume or ""], shadow.device or ""))
    for job in work.jobs:
        steps.append(verbs.exists(f"there-{job.number}", job.source))
        steps += verify.measuring(job, run, work.wish.mode)
        if work.wish.target.ours:
            steps.append(verify.there_before(job, run))
    steps += [verbs.acl(f"closed-{at}", path) for at, path in enumerate(_tops(work)) if _has(work, path)]
    reply = run.host.act(*steps, volumes_statement())
    _all_there(work, reply)
    _ours_is_closed(work, reply)
    _enough_space(work, reply)


def _all_there(work: Work, reply: Reply) -> None:
    host, shadows = work.run.host.name, work.created.shadows if work.created else ()
    for at, _shadow in enumerate(shadows, 1):
        result = reply[f"link-{at}"]
        if result.exit_code != 0:
            said = " ".join([*map(str, result.values), *result.stderr]).strip()
            raise VssFailure(
                f"A link to the shadow copy on {host} could not be made: {said or 'mklink did not say why'}."
            )
    for at, job in enumerate(work.jobs):
        if not reply[f"there-{job.number}"].first:
            raise VssFailure(f"The source {job.place.path} on {host} is not in the shadow copy: check its path.")
        work.jobs[at] = verify.measured(job, reply, host)


def _enough_space(work: Work, reply: Reply) -> None:
    volume = next((v for v in read_volumes(reply["volumes"]) if v.id == work.wish.target.place.volume.id), None)
    if volume is None or volume.free is None:
        return
    need = sum(max(0, job.bytes - verify.bytes_before(job, reply)) for job in work.jobs)
    if need > volume.free:
        raise VssFailure(
            f"There is not enough space on {volume.display} of {work.run.host.name} for {listed(work.wish)}: "
            f"{size(need)} "
            f"are needed ({need} bytes), {size(volume.free)} are free ({volume.free} bytes)."
        )


def _copy(work: Work) -> Progress:
    """Write the manifest, start the tasks and watch them end."""
    run, target = work.run, work.wish.target
    steps = run.step(
        copying.lease(work.jobs),
        state="copying",
        tasks=tuple(job.task for job in work.jobs),
        destination=target.path,
        made_destination=_made(work),
    )
    progress = Progress(work.jobs, work.made)
    # Others may go on while this one copies: what it does on the host from here on is its own.
    steps += [*run.release(), *_destination(work), manifest(work, complete=False)]
    try:
        reply: Reply | None = _start(work, [*steps, *copying.start(run.host, work.jobs, target.ours is not None)])
    except ConnectionLost as lost:
        reply = _start_again(work, lost, steps)
    try:
        if reply is not None:
            run.say(progress.take(reply, run.host.name))
        copying.follow(run, progress)
    except ShadowsGone as gone:
        raise _vanished(work, gone) from None
    return progress


def _folders(work: Work) -> list[str]:
    """The folders to make: the destination, or what is not in it yet."""
    if not work.wish.target.there:
        return [work.wish.target.path]
    return [path for path in _tops(work) if not _has(work, path)]


def _has(work: Work, top: str) -> bool:
    """Whether an earlier backup of ours has this folder directly in the destination."""
    return top.rpartition("\\")[2].casefold() in work.wish.target.folders


def _tops(work: Work) -> list[str]:
    path = work.wish.target.path
    return list(dict.fromkeys(join(path, job.target[len(path) :].strip("\\").split("\\")[0]) for job in work.jobs))


def _destination(work: Work) -> list[Statement]:
    """Make the folders, for administrators only: the copies leave their own folders, and a task of SYSTEM writes here.

    One that has appeared since it was looked for belongs to somebody else, and is an error (DirectoryExist).
    """
    steps: list[Statement] = []
    for at, path in enumerate(_folders(work)):
        steps += [
            verbs.make_folder(f"make-{at}", path, exist_ok=False),
            verbs.own(f"make-{at}-owner", path),
            verbs.secure(f"make-{at}-acl", path),
        ]
    return steps


def _ours_is_closed(work: Work, reply: Reply) -> None:
    """Refuse to mirror, as SYSTEM, into folders of an earlier backup that others may change by now."""
    for at, path in enumerate(_tops(work)):
        others = strangers(str((reply[f"closed-{at}"].first or {}).get("Sddl"))) if _has(work, path) else []
        if others:
            raise VssFailure(
                f"{path} on {work.run.host.name}, where the earlier backup is, can be changed by {', '.join(others)}: "
                "only SYSTEM and Administrators may. Look at what is in it, or name another destination."
            )


def _made(work: Work) -> tuple[str, ...]:
    """What a failed run may remove again: a destination that was not there, or what goes into an empty one."""
    target = work.wish.target
    if target.ours is not None:
        return ()
    if not target.there:
        return (target.path,)
    return (*_tops(work), target.manifest)


def _start(work: Work, steps: Sequence[Statement]) -> Reply:
    """Start copying and take the first reading."""
    reading = [statement.tolerant() for statement in copying.reading(work.jobs)]
    reply = work.run.host.act(*steps, verbs.pause("pause", _FIRST_READING), *reading, allow=True)
    _started(work, reply)
    return reply


def _start_again(work: Work, lost: ConnectionLost, steps: Sequence[Statement]) -> Reply | None:
    """The answer to starting was lost: start what has not been started. Everything before that may be done twice."""
    run = work.run
    run.lost_while("the copying was started", lost)
    run.reopen()
    told = run.host.ask(*(verbs.task_info(f"info-{job.number}", job.task) for job in work.jobs), allow=True)
    idle = [job for job in work.jobs if not copying.has_started(told[f"info-{job.number}"])]
    if not idle:
        return None
    made = {f"make-{at}": path for at, path in enumerate(_folders(work))}
    there = run.host.ask(*(verbs.exists(key, path) for key, path in made.items())) if made else {}
    again = [step for step in steps if step.key not in made or not there[step.key].first]
    return _start(work, [*again, *copying.start(run.host, idle, work.wish.target.ours is not None)])


def _started(work: Work, reply: Reply) -> None:
    broken = reply.first_incomplete()
    if broken is not None and broken.key.startswith(("make-", "manifest")):
        cause = reply.failure or (broken.errors[-1] if broken.errors else None)
        told = " ".join(cause.message.split()) if cause else "the host did not say why"
        raise VssFailure(
            f"The destination {work.wish.target.path} on {work.run.host.name} cannot be written: {told} Check its "
            "permissions and its volume."
        )
    check(reply, work.run.host)


def _vanished(work: Work, gone: ShadowsGone) -> VssFailure:
    seconds = int(work.run.seconds) + 5
    reply = work.run.host.ask(verbs.events("events", seconds, ("volsnap",)), allow=True)
    events = [event for event in read_events(reply["events"]) if event.id in LOST]
    return VssFailure(f"{gone}.{lost_because(events)} Enlarge the shadow storage or lower the load, then run it again.")


def _prove(work: Work, progress: Progress) -> tuple[verify.Verified, tuple[Event, ...], tuple[int, int] | None]:
    """Show that the copy is whole and came from shadow copies that were there until its end."""
    run, host = work.run, work.run.host
    wrong = copying.failed(progress)
    if wrong:
        reply = host.ask(copying.log_tail(wrong[0]), allow=True)
        log = reply[f"log-{wrong[0].number}"].values
        raise copying.why_failed(wrong[0], progress.codes[wrong[0].number], log, host.name)
    reply = host.ask(
        *verify.comparing(work.jobs, work.wish.mode, work.wish.sample, run),
        *(copying.log_tail(job, 14) for job in work.jobs),
        shadows_statement(),
        verbs.events("events", int(run.seconds) + 5, frozen.PROVIDERS).tolerant(),
        allow=True,
    )
    check(reply, host)
    gone = sorted(set(work.made) - {shadow.id for shadow in read_shadows(reply["shadows"])})
    if gone:
        raise _vanished(
            work, ShadowsGone(f"The shadow copy {gone[0]} on {host.name} vanished before the copy was proven", gone)
        )
    run.warnings += others_gone(run.facts, read_shadows(reply["shadows"]), work.plan.volumes)
    found = verify.compared(run, work.jobs, work.wish.mode, work.wish.sample, reply)
    if found.mismatches:
        first = found.mismatches[0]
        what = f"{first['path']} {first['what']}" if first["path"] else first["what"]
        raise VssFailure(
            f"The copy of {first['source']} on {host.name} is not what the shadow copy holds ({len(found.mismatches)} "
            f"mismatches): {what}. Is something else writing to {work.wish.target.path}?",
            verified=found.result(),
        )
    counts = [copying.file_counts(reply[f"log-{job.number}"].values) for job in work.jobs]
    told = [count for count in counts if count is not None]
    if len(told) < len(counts):
        return found, read_events(reply["events"]), None
    return found, read_events(reply["events"]), (sum(pair[0] for pair in told), sum(pair[1] for pair in told))


def _finish(work: Work, found: verify.Verified, done: Leftover) -> list[str]:
    """Complete the manifest, take back what is not to stay, and look whether anything is left.

    :param done: what the run made, by its record before this step, which may have to be taken twice.
    """
    run, host, keep = work.run, work.run.host, work.wish.keep
    steps: list[Statement] = [
        manifest(work, True, found),
        verbs.write_event("event", EVENT_BACKED_UP, event_text(work, found)).tolerant(),
    ]
    if keep is None:
        return _undone(work, done, steps)
    steps += [verbs.remove_link(f"unlink-{at}", link) for at, link in enumerate(done.links)]
    steps += [verbs.remove_task(f"untask-{at}", task).tolerant() for at, task in enumerate(done.tasks)]
    shadows = tuple(replace(made, link="") for made in done.record.shadows)
    steps += run.keeping(name=keep, links=(), tasks=(), shadows=shadows, made_destination=())
    asked = [*steps, *look(host, [done]), records.reading("left-records", host.windows)]
    reply = act_all(host, asked, must=["manifest"])
    _require_manifest(work, done, reply)
    _require_kept(work, reply)
    # What was kept on purpose is not left behind.
    stays = {f"shadow copy {made.id}" for made in done.record.shadows} | {run.folder}
    return [what for what in remains(host, [done], reply) if what not in stays]


def _require_manifest(work: Work, done: Leftover, reply: Reply) -> None:
    """Fail unless the manifest says that the copy is whole; nothing that comes after it has been done otherwise."""
    if not reply["manifest"].complete:
        work.run.record = done.record  # which says what there is to take back
        check(reply, work.run.host)


def _require_kept(work: Work, reply: Reply) -> None:
    """Fail unless the host's record says that the snapshot is kept: the next run would remove it otherwise."""
    run, host = work.run, work.run.host
    tasks = [str(told.get("TaskName")) for told in reply["left-tasks"].values]
    now = records.read_all(str(text) for text in reply["left-records"].values).settled(tasks)
    if not any(record.run == run.record.run and record.kept for record in now.readable):
        check(reply, host)
        raise VssFailure(
            f"That the snapshot {work.wish.keep} stays could not be recorded on {host.name}: run it again."
        )


def _undone(work: Work, done: Leftover, steps: Sequence[Statement]) -> list[str]:
    """Complete the backup, and only then take back what it needed: until then the lease would take the copy with it."""
    run, host = work.run, work.run.host
    complete = [*steps, *run.step(state="verified", made_destination=())]
    asked = [*complete, *undoing(host, [done], run.facts.shadows), *look(host, [done])]
    reply = act_all(host, asked, must=["manifest"])
    _require_manifest(work, done, reply)
    run.prepared = False
    return remains(host, [done], reply, memory=False) or forget(host, [done])


# ---- result
