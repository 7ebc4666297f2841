# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every state and failure a writer can be in, and what ends it."""

from __future__ import annotations

import threading
import time

import pytest
from vsslab.vss import Options, VssError, WriterState, codes, restore
from vsslab.vss.log import event_numbers

PHASES = {
    "identify": WriterState.FAILED_AT_IDENTIFY,
    "prepare_backup": WriterState.FAILED_AT_PREPARE_BACKUP,
    "prepare_snapshot": WriterState.FAILED_AT_PREPARE_SNAPSHOT,
    "freeze": WriterState.FAILED_AT_FREEZE,
    "thaw": WriterState.FAILED_AT_THAW,
    "post_snapshot": WriterState.FAILED_AT_POST_SNAPSHOT,
    "backup_complete": WriterState.FAILED_AT_BACKUP_COMPLETE,
    "backup_shutdown": WriterState.FAILED_AT_BACKUPSHUTDOWN,
    "pre_restore": WriterState.FAILED_AT_PRE_RESTORE,
    "post_restore": WriterState.FAILED_AT_POST_RESTORE,
}
FAILURES = [0x800423F0, 0x800423F1, 0x800423F2, 0x800423F3, 0x800423F4, 0x80042319, 0x80042336]


def session(room):
    """A whole backup and restore; the first VssError ends it."""
    made = room.create()
    room.vss.complete(made)
    for phase in ("pre_restore", "post_restore"):
        restore.tell(room.vss, phase, [room.writer], threading.Event())


def test_every_failed_state_has_its_phase():
    assert set(PHASES.values()) == {each for each in WriterState if each.failed}


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("phase", PHASES)
def test_every_failure_in_every_phase(room, phase, failure):
    room.fault(phase, {"fail": failure}, writer="SqlServerWriter")
    if phase == "identify":
        session(room)
    else:
        with pytest.raises(VssError) as caught:
            session(room)
        assert (caught.value.hresult, caught.value.writer) == (failure, room.writer)
    assert (room.writer.state, room.writer.failure) == (PHASES[phase], failure)
    (event,) = room.host.events.query("Application", ids=[8229])
    assert event.data[0] == f"0x{failure:08x}"


@pytest.mark.parametrize("state", list(WriterState))
def test_every_state_can_be_left_over(make_room, state):
    left = {"state": state.name, "failure": "0x800423F4" if state.failed else 0}
    room = make_room(writer_states={"Registry Writer": left})
    (writer,) = (each for each in room.vss.writers if each.name == "Registry Writer")
    assert writer.state is state
    room.host.services.start("VSS")
    assert writer.state is WriterState.STABLE


@pytest.mark.parametrize("wrong", [{"state": "ASLEEP"}, {"state": 99}, {"state": 9, "until": "tuesday"}])
def test_states_that_do_not_exist(wrong):
    with pytest.raises(ValueError, match=r"state|Until"):
        Options.of({"writer_states": {"x": wrong}})


def test_a_failure_that_only_its_service_ends(room):
    from vsslab.windows.services import Service

    room.host.services.add(Service("SQLWriter", "SQL Server VSS Writer", "Running", "Auto"))
    room.vss.remove_writer(room.writer)
    room.vss.add_writer(room.writer)
    room.fault("freeze", {"fail": "0x800423F4", "until": "service"}, writer="SqlServerWriter")
    for _ in range(3):
        error = room.refused()
        assert (error.hresult, error.writer) == (0x800423F4, room.writer)
        assert room.writer.state is WriterState.FAILED_AT_FREEZE
    room.host.services.stop("SQLWriter")
    room.host.services.start("SQLWriter")
    assert room.writer.state is WriterState.STABLE
    room.create()


def test_a_failure_that_only_a_restart_ends(make_room):
    room = make_room(writer_states={"System Writer": {"state": 7, "failure": 0x800423F4, "until": "reboot"}})
    (writer,) = (each for each in room.vss.writers if each.name == "System Writer")
    room.host.services.stop("CryptSvc", force=True)
    room.host.services.start("CryptSvc")
    assert writer.state is WriterState.FAILED_AT_PREPARE_BACKUP
    room.host.reboot()
    assert writer.state is WriterState.STABLE


def test_a_writer_that_hangs_in_identify_does_not_respond(make_room):
    room = make_room(limits={"identify": 0.4})
    room.fault("identify", {"hang": True}, writer="SqlServerWriter")
    began = time.monotonic()
    made = room.create()
    assert time.monotonic() - began < 4
    assert room.writer not in [writer for writer, _ in made.writers]
    assert (room.writer.state, room.writer.failure) == (WriterState.FAILED_AT_IDENTIFY, codes.WRITER_NOT_RESPONDING)


def test_a_writer_that_hangs_in_freeze_times_out(room):
    room.fault("freeze", {"hang": True}, writer="SqlServerWriter")
    assert room.refused().hresult == codes.WRITERERROR_TIMEOUT
    assert room.writer.state is WriterState.FAILED_AT_FREEZE
    assert not room.app.frozen


def test_a_provider_that_hangs_while_writes_are_held_times_out(room):
    room.fault("commit", {"hang": True})
    assert room.refused().hresult == codes.HOLD_WRITES_TIMEOUT
    assert not room.app.held


def test_slow_writers_are_asked_at_the_same_time(make_room):
    room = make_room(limits={"identify": 1.0})
    room.host.faults.add({"on": {"kind": "phase", "phase": "identify", "times": 0}, "do": {"delay": 0.4}})
    began = time.monotonic()
    made = room.create()
    assert time.monotonic() - began < 3
    assert room.writer in [writer for writer, _ in made.writers]


def test_noise_in_the_log_harms_nobody(make_room):
    room = make_room(noise=["callback", "session_lost"])
    room.create()
    assert sorted(each.id for each in room.host.events.query("Application", providers=["VSS"])) == [8194, 12289]
    with pytest.raises(ValueError, match="noise"):
        Options.of({"noise": ["thunder"]})


def test_the_table_of_events_is_whole():
    numbers = event_numbers()
    assert {("VSS", each) for each in (8193, 8194, 8224, 8229, 12289, 12292, 12293, 12298)} <= set(numbers)
    assert {("volsnap", each) for each in (8, 23, 24, 25, 33, 35, 36, 38, 58, 64, 65, 66)} <= set(numbers)
