# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Creating snapshot sets: what is promised to requestors, writers and applications."""

from __future__ import annotations

import threading
import time

import pytest
from vsslab.vss import Context, VssError, WriterState, codes
from vsslab.windows.errors import WinError

DEVICE = "\\\\?\\GLOBALROOT\\Device\\HarddiskVolumeShadowCopy"


def test_a_copy_holds_the_moment_of_its_commit(room):
    made = room.create()
    room.host.files.write("D:\\Bank\\bank.db", b"balance=7")
    room.host.files.write("D:\\later.txt", b"new")
    assert room.host.files.read(made.shadows[0].device + "\\Bank\\bank.db") == b"balance=100"
    assert not room.host.files.exists(made.shadows[0].device + "\\later.txt")


def test_a_copy_keeps_times_and_is_read_only(room):
    before = room.host.files.stat("D:\\Bank\\bank.db")
    shadow = room.create().shadows[0]
    assert room.host.files.stat(shadow.device + "\\Bank\\bank.db").modified == before.modified
    with pytest.raises(WinError) as caught:
        room.host.files.write(shadow.device + "\\Bank\\bank.db", b"x")
    assert caught.value.code == 19


def test_the_application_is_frozen_then_held_then_released_then_thawed(room):
    room.create()
    assert room.app.calls == ["freeze", "hold", "release", "thaw"]


def test_an_application_without_a_writer_is_only_held(room):
    room.vss.remove_writer(room.writer)
    room.create(context=Context.NAS_ROLLBACK)
    assert room.app.calls == ["hold", "release"]


def test_an_application_on_another_volume_is_left_alone(room):
    room.create("C")
    assert room.app.calls == []


def test_a_writer_waits_for_backup_complete_until_the_next_session(room):
    made = room.create()
    assert room.writer.state is WriterState.WAITING_FOR_BACKUP_COMPLETE
    room.vss.complete(made)
    assert room.writer.state is WriterState.STABLE
    room.create()
    room.create("C")
    assert room.writer.state is WriterState.STABLE


def test_every_phase_happens_in_its_order(room):
    room.create("C", "D")
    phases = [e["phase"] for e in room.host.trace.events("vss") if e.get("phase")]
    assert phases == [
        "identify", "prepare_backup", "prepare_snapshot", "freeze", "flush_hold", "commit", "release", "thaw",
        "post_snapshot", "created",
    ]  # fmt: skip


def test_a_set_over_two_volumes_has_one_moment_and_two_devices(room):
    made = room.create("C", "D")
    first, second = made.shadows
    assert first.created == second.created
    assert first.set_id == second.set_id == made.id
    assert first.count == 2
    assert [first.number, second.number] == [1, 2]


def test_device_numbers_are_not_used_again_before_a_reboot(room):
    for expected in (1, 2, 3):
        made = room.create()
        assert made.shadows[0].device == f"{DEVICE}{expected}"
        room.vss.delete(made.shadows[0].id)


def test_a_reboot_keeps_persistent_copies_only_and_numbers_them_anew(room):
    gone = room.create(context=Context.BACKUP).shadows[0]
    kept = room.create().shadows[0]
    instance = room.writer.instance_id
    room.host.reboot()
    assert [each.id for each in room.vss.shadows] == [kept.id]
    assert not gone.root.exists()
    assert kept.number == 1
    assert room.host.files.read(kept.device + "\\Bank\\bank.db") == b"balance=100"
    assert room.writer.instance_id != instance


def test_one_creation_at_a_time(room):
    room.fault("freeze", {"delay": 0.3}, writer="SqlServerWriter")
    thread, results = room.background(room.create)
    while room.vss.busy_with is None:
        time.sleep(0.01)
    assert room.refused().hresult == codes.SNAPSHOT_SET_IN_PROGRESS
    thread.join(5)
    assert not isinstance(results[0], VssError)
    room.create()


def test_another_product_can_hold_the_creation_lock(room):
    end = room.vss.hold_by_other(30, "Other Backup")
    assert room.vss.busy_with == "Other Backup"
    assert room.refused().hresult == codes.SNAPSHOT_SET_IN_PROGRESS
    end.set()
    deadline = time.monotonic() + 5
    while room.vss.busy_with and time.monotonic() < deadline:
        time.sleep(0.01)
    room.create()


@pytest.mark.parametrize(
    ("phase", "state"),
    [
        ("prepare_backup", WriterState.FAILED_AT_PREPARE_BACKUP),
        ("prepare_snapshot", WriterState.FAILED_AT_PREPARE_SNAPSHOT),
        ("freeze", WriterState.FAILED_AT_FREEZE),
        ("thaw", WriterState.FAILED_AT_THAW),
        ("post_snapshot", WriterState.FAILED_AT_POST_SNAPSHOT),
    ],
)
def test_a_writer_that_fails_ends_the_creation_and_keeps_its_state(room, phase, state):
    room.fault(phase, {"fail": "0x800423F4"}, writer="SqlServerWriter")
    error = room.refused()
    assert (error.hresult, error.writer) == (0x800423F4, room.writer)
    assert (room.writer.state, room.writer.failure) == (state, 0x800423F4)
    assert room.vss.shadows == []
    assert not room.app.frozen
    assert not room.app.held
    rejected = room.host.events.query("Application", ids=[8229])
    assert [event.data[2] for event in rejected] == ["SqlServerWriter"]


def test_nothing_is_left_of_a_failed_creation(room):
    before = room.host.ledger()
    room.fault("post_snapshot", {"fail": "0x800423F3"}, writer="SqlServerWriter")
    room.refused()
    assert room.host.ledger() == before
    assert list(room.vss.store.folder.glob("*")) == []
    others = [writer.state for writer in room.vss.writers if writer is not room.writer]
    assert set(others) == {WriterState.STABLE}


def test_a_failed_writer_works_again_in_the_next_session(room):
    room.fault("freeze", {"fail": "0x800423F3"}, writer="SqlServerWriter")
    room.refused()
    room.create()
    assert room.writer.state is WriterState.WAITING_FOR_BACKUP_COMPLETE


def test_a_freeze_beyond_its_window_times_the_writer_out(room):
    room.fault("freeze", {"delay": 30}, writer="SqlServerWriter")
    began = time.monotonic()
    error = room.refused()
    assert error.hresult == codes.WRITERERROR_TIMEOUT
    assert room.writer.state is WriterState.FAILED_AT_FREEZE
    assert time.monotonic() - began < 3


def test_an_application_that_freezes_too_late_is_thawed_all_the_same(room):
    go_on = threading.Event()
    room.app.freezing = lambda: go_on.wait(5)
    room.refused()
    go_on.set()
    deadline = time.monotonic() + 5
    while "freeze" not in room.app.calls or room.app.frozen:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_writer_may_have_a_shorter_window(make_room):
    room = make_room(limits={"freeze": 5.0, "hold": 5.0})
    room.writer.freeze_limit = 0.2
    room.fault("commit", {"delay": 0.4})
    error = room.refused()
    assert error.hresult == codes.WRITERERROR_TIMEOUT
    assert room.writer.state is WriterState.FAILED_AT_THAW


@pytest.mark.parametrize(
    ("phase", "hresult"),
    [("flush_hold", codes.FLUSH_WRITES_TIMEOUT), ("commit", codes.HOLD_WRITES_TIMEOUT)],
)
def test_writes_cannot_be_held_for_longer_than_the_limit(room, phase, hresult):
    room.fault(phase, {"delay": 30})
    began = time.monotonic()
    assert room.refused().hresult == hresult
    assert time.monotonic() - began < 3
    assert not room.app.held
    assert not room.app.frozen
    assert [event.id for event in room.host.events.query("Application", ids=[12298])] == [12298]
    assert room.vss.shadows == []


def test_an_application_that_raises_is_a_failed_writer(room):
    def refuse() -> None:
        raise RuntimeError("no")

    room.app.freezing = refuse
    assert room.refused().hresult == codes.WRITERERROR_NONRETRYABLE


def test_ending_the_requestor_before_the_commit_leaves_nothing(room):
    stop = threading.Event()
    room.fault("freeze", {"delay": 20}, writer="SqlServerWriter")
    thread, results = room.background(lambda: room.create(stop=stop))
    time.sleep(0.2)
    stop.set()
    thread.join(5)
    assert isinstance(results[0], VssError)
    assert results[0].hresult == codes.E_ABORT
    assert room.vss.shadows == []
    assert room.writer.state is WriterState.STABLE
    assert not room.app.frozen
    room.create()


def test_ending_the_requestor_after_the_commit_keeps_the_copy(room):
    stop = threading.Event()
    room.fault("post_snapshot", {"delay": 0.3}, writer="SqlServerWriter")
    thread, results = room.background(lambda: room.create(stop=stop))
    while not room.vss.shadows:
        time.sleep(0.01)
    stop.set()
    thread.join(5)
    assert len(room.vss.shadows) == 1
    assert not isinstance(results[0], VssError)


def test_the_freeze_shows_in_the_events_of_the_application(room):
    room.fault("commit", {"delay": 0.2})
    made = room.create()
    frozen, thawed = room.host.events.query("Application", providers=["MSSQLSERVER"], oldest_first=True)
    assert (frozen.id, thawed.id) == (3197, 3198)
    assert list(frozen.data) == ["Bank"]
    assert frozen.time < made.created < thawed.time
    assert made.frozen_seconds >= (thawed.time - frozen.time).total_seconds() >= 0.2


def test_writers_do_not_take_part_where_the_context_has_none(room):
    made = room.create(context=Context.CLIENT_ACCESSIBLE)
    assert made.writers == []
    assert made.frozen_seconds is None
    assert "freeze" not in room.app.calls


@pytest.mark.parametrize(("name", "hresult"), [("F:", codes.VOLUME_NOT_SUPPORTED), ("Q:", codes.OBJECT_NOT_FOUND)])
def test_volumes_that_cannot_be_copied_are_refused(room, name, hresult):
    with pytest.raises(VssError) as caught:
        room.vss.volume(name)
    assert caught.value.hresult == hresult


def test_numbers_of_copies_are_limited(make_room):
    room = make_room(limits={"shadows_per_volume": 2})
    room.create()
    room.create()
    assert room.refused().hresult == codes.MAXIMUM_NUMBER_OF_SNAPSHOTS_REACHED


def test_on_a_server_a_new_visible_copy_pushes_the_oldest_out(make_room):
    room = make_room(limits={"client_accessible_per_volume": 2})
    ids = [room.create(context=Context.CLIENT_ACCESSIBLE).shadows[0].id for _ in range(3)]
    assert [each.id for each in room.vss.shadows] == ids[1:]
    assert len(room.host.events.query("System", ids=[58])) == 1


def test_a_client_refuses_a_further_visible_copy(make_room):
    room = make_room(limits={"client_accessible_per_volume": 1}, host={"profile": "windows11"})
    room.create(context=Context.CLIENT_ACCESSIBLE)
    assert room.refused(context=Context.CLIENT_ACCESSIBLE).hresult == codes.MAXIMUM_NUMBER_OF_SNAPSHOTS_REACHED


def test_a_full_volume_has_no_room_for_a_copy(room):
    room.d.capacity = 600 * 1024 * 1024
    room.host.files.write("D:\\big", b"")
    room.d.reserved = room.d.capacity - 1024
    assert room.refused().hresult == codes.INSUFFICIENT_STORAGE


def test_a_writer_that_fails_to_identify_is_not_there(room):
    room.fault("identify", {"fail": "0x80042319"}, writer="SqlServerWriter")
    made = room.create()
    assert room.writer not in [writer for writer, _ in made.writers]
    assert room.writer.state is WriterState.FAILED_AT_IDENTIFY


def test_a_writer_goes_with_its_service_and_comes_back_as_another_instance(room):
    instance = next(w for w in room.vss.writers if w.name == "WMI Writer").instance_id
    room.host.services.stop("Winmgmt", force=True)
    assert "WMI Writer" not in [writer.name for writer in room.vss.writers]
    room.host.services.start("Winmgmt")
    assert next(w for w in room.vss.writers if w.name == "WMI Writer").instance_id != instance


def test_backup_complete_can_fail_too(room):
    made = room.create()
    room.fault("backup_complete", {"fail": "0x800423F3"}, writer="SqlServerWriter")
    with pytest.raises(VssError):
        room.vss.complete(made)
    assert room.writer.state is WriterState.FAILED_AT_BACKUP_COMPLETE


def test_the_service_says_when_it_has_been_idle(make_room):
    room = make_room(limits={"idle_timeout": 0.1})
    room.create()
    assert room.host.events.query("Application", ids=[8224]) == []
    deadline = time.monotonic() + 5
    while not room.host.events.query("Application", ids=[8224]):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_restart_ends_a_creation_that_no_process_of_the_host_asked_for(make_room):
    room = make_room(limits={"hold": 120.0})
    room.fault("commit", {"delay": 60})
    thread, results = room.background(lambda: room.create(context=Context.NAS_ROLLBACK))
    while not room.app.held:
        time.sleep(0.005)
    room.host.reboot()
    thread.join(10)
    assert [each.hresult for each in results] == [codes.E_ABORT]
    assert room.vss.shadows == []
    assert room.vss.busy_with is None
    assert not room.app.held


def test_a_restart_ends_another_products_creation(room):
    room.vss.hold_by_other(1000.0)
    room.host.reboot()
    assert room.vss.busy_with is None
    room.create()


def test_no_thread_is_left_of_another_product_when_the_host_is_closed(make_room):
    room = make_room()
    before = set(threading.enumerate())
    room.vss.hold_by_other(1000.0)
    room.host.close()
    assert set(threading.enumerate()) <= before


def test_an_application_whose_folder_lies_behind_a_junction_stands_still_too(room):
    room.host.files.junction("C:\\data", "D:\\Bank")
    room.app.volumes = ("C:\\data",)
    held = []
    room.app.hold = lambda: held.append("hold")
    shadow = room.create(context=Context.NAS_ROLLBACK).shadows[0]
    assert held == ["hold"]
    (room.d.root / "Bank" / "bank.db").write_bytes(b"written by the application itself")
    assert room.host.files.read(shadow.device + "\\Bank\\bank.db") == b"balance=100"
