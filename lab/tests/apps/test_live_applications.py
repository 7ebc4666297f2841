# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Applications write all the time, obey freeze, and their books tell a torn copy from a whole one."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import vsslab
from vsslab.apps import books
from vsslab.apps.driver import App, AppError

KINDS = ("bank", "ledger", "mail", "weblog")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[object]:
    running: list[App] = []

    def one(kind: str, **options: object) -> App:
        app = App(kind, kind, tmp_path / "data" / kind, **options)  # type: ignore[arg-type]
        running.append(app)
        app.start()
        return app

    yield one
    for app in running:
        app.stop()


def copy_like_robocopy(source: Path, target: Path, pace: float = 0.0) -> None:
    """File by file, the files of a folder in their order before its subfolders; what has gone meanwhile is left out.

    `pace` is a pause after each file in seconds: half a millisecond is the pace of robocopy on a busy server.
    """
    for folder, subfolders, files in os.walk(source):
        subfolders.sort()
        place = target / Path(folder).relative_to(source)
        place.mkdir(parents=True)
        for name in sorted(files):
            with contextlib.suppress(FileNotFoundError):
                shutil.copyfile(Path(folder) / name, place / name)
            if pace:
                time.sleep(pace)


def test_the_bank_copied_while_it_works_is_torn_every_time(start, tmp_path):
    bank = start("bank")
    verdicts = []
    for number in range(20):
        copy = tmp_path / f"live{number}"
        copy_like_robocopy(bank.folder, copy, pace=0.0005)
        verdicts.append(books.check("bank", copy))
    assert [each.ok for each in verdicts] == [False] * 20, [each.detail for each in verdicts if each.ok]


@pytest.mark.parametrize("kind", KINDS)
def test_a_frozen_application_always_balances_and_needs_no_recovery(start, tmp_path, kind):
    app = start(kind)
    for number in range(5):
        app.freeze()
        copy = tmp_path / f"frozen{number}"
        copy_like_robocopy(app.folder, copy)
        app.thaw()
        verdict = books.check(kind, copy)
        assert verdict.ok, verdict.detail
        assert verdict.figures["recovered"] == 0
        time.sleep(0.013)


@pytest.mark.parametrize("kind", KINDS)
def test_one_moment_of_any_application_recovers_as_after_a_power_cut(start, tmp_path, kind):
    app = start(kind)
    recovered = 0
    for number in range(25):
        time.sleep(0.0037 * (number % 5))
        app.hold()
        copy = tmp_path / f"held{number}"
        copy_like_robocopy(app.folder, copy)
        app.release()
        verdict = books.check(kind, copy)
        assert verdict.ok, verdict.detail
        recovered += verdict.figures["recovered"]
    if kind == "ledger":
        assert recovered, "25 moments, and never a transaction under way"


def test_a_transaction_over_two_files_is_undone_in_both_or_in_none(start, tmp_path):
    bank = start("bank")
    undone = 0
    for number in range(60):
        time.sleep(0.0017 * (number % 7))
        bank.hold()
        copy = tmp_path / f"held{number}"
        shutil.copytree(bank.folder, copy, ignore=shutil.ignore_patterns("Bank.Archive*"))
        bank.release()
        verdict = books.check("bank", copy)
        assert verdict.ok, verdict.detail
        undone += verdict.figures["recovered"]
    assert undone


def test_while_frozen_nothing_is_written_and_the_pause_is_told(start):
    app = start("ledger")
    time.sleep(0.1)
    app.freeze()
    before = app.stats()
    time.sleep(0.4)
    frozen = app.stats()
    assert frozen["state"] == "frozen"
    assert frozen["writes"] == before["writes"]
    assert frozen["current_pause"] >= 0.4
    app.thaw()
    time.sleep(0.2)
    after = app.stats()
    assert after["writes"] > frozen["writes"]
    assert 0.4 <= after["longest_pause"] < 1.0
    (pause,) = after["pauses"]
    assert pause["end"] - pause["start"] == pytest.approx(pause["seconds"], abs=0.01)
    assert abs(time.time() - pause["end"]) < 5


def test_looking_at_a_copy_does_not_change_it(start, tmp_path):
    app = start("ledger")
    app.hold()
    copy = tmp_path / "copy"
    shutil.copytree(app.folder, copy)
    app.release()
    before = {path.name: path.read_bytes() for path in copy.iterdir()}
    books.check("ledger", copy)
    assert {path.name: path.read_bytes() for path in copy.iterdir()} == before


@pytest.mark.parametrize("kind", KINDS)
def test_an_application_goes_on_after_it_was_killed(start, tmp_path, kind):
    app = start(kind)
    time.sleep(0.1)
    app.kill()
    assert app.pid == 0
    with pytest.raises(AppError, match="has ended"):
        app.freeze()
    app.start()
    time.sleep(0.1)
    app.freeze()
    assert books.check(kind, app.folder).ok
    assert app.stats()["writes"] > 0


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("kind", "victim", "reason"),
    [
        ("mail", "*/*/*/*.eml", "differ from their checksum"),
        ("weblog", "u_ex*.log", "damaged|follows"),
    ],
)
def test_one_changed_byte_is_found(start, tmp_path, kind, victim, reason):
    app = start(kind)
    time.sleep(0.2)
    app.freeze()
    copy = tmp_path / "copy"
    shutil.copytree(app.folder, copy)
    damage(sorted(copy.glob(victim))[0])
    verdict = books.check(kind, copy)
    assert not verdict.ok
    assert re.search(reason, verdict.detail)


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_or_missing_folder_is_no_balanced_book(tmp_path, kind):
    (tmp_path / "empty").mkdir()
    assert not books.check(kind, tmp_path / "empty").ok
    assert not books.check(kind, tmp_path / "nowhere").ok


def test_a_log_may_end_in_a_half_line_but_nowhere_else(start, tmp_path):
    app = start("weblog")
    time.sleep(0.2)
    app.freeze()
    (log,) = app.folder.iterdir()
    log.write_bytes(log.read_bytes()[:-5])
    verdict = books.check("weblog", app.folder)
    assert verdict.ok
    assert verdict.figures["recovered"] == 1
    (app.folder / "u_ex000001.log").write_bytes(b"")
    assert not books.check("weblog", app.folder).ok


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            return stat.read().rpartition(b")")[2].split()[0] != b"Z"
    except OSError:
        return False


@pytest.mark.parametrize("held", [False, True], ids=["running", "stopped in its tracks"])
def test_no_application_outlives_a_laboratory_that_is_killed(tmp_path, held):
    script = (
        "import sys, time; from pathlib import Path; from vsslab.apps.driver import App\n"
        "app = App('ledger', 'ledger', Path(sys.argv[1])); app.start()\n"
        f"{'app.hold()' if held else ''}\n"
        "print(app.pid, flush=True); time.sleep(60)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(vsslab.__file__).parent.parent)}
    owner = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "data")], stdout=subprocess.PIPE, env=environment
    )
    assert owner.stdout is not None
    with owner, owner.stdout:
        pid = int(owner.stdout.readline())
        assert alive(pid)
        owner.send_signal(signal.SIGKILL)
    end = time.monotonic() + 5
    while alive(pid) and time.monotonic() < end:
        time.sleep(0.02)
    assert not alive(pid)
