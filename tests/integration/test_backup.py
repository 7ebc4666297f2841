# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`backup`: data copied off while the applications keep writing, proven, and nothing left behind."""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path

import pytest
import yaml
from vsslab.apps.books import check

ROOT = Path(__file__).resolve().parents[2]
WHAT = ROOT / "demo" / "what-to-back-up.yml"
RUNS = 20
WORKED = 5  # transfers during a copy, at least


@pytest.fixture(scope="module")
def whole(fleet):
    """The demonstration's playbook over the whole fleet, once."""
    import sys

    ansible = sys.modules["demo_fleet"]
    before = {name: fleet.ledger(name) for name, host in fleet.lab.hosts.items()}
    known = {name: len(fleet.vss_trace(name)) for name in before}
    talked = {name: len(fleet.wire_sessions(name)) for name in before}
    run = ansible.run_playbook(
        [fleet.inventory, WHAT], ROOT / "playbooks" / "backup.yml", "-vv", results=fleet.folder / "whole.results"
    )
    assert run.code == 0, run.output
    seen = {name: fleet.vss_trace(name)[known[name] :] for name in before}
    wire = {name: fleet.wire_sessions(name)[talked[name] :] for name in before}
    return run, before, seen, wire


def copied_to(fleet, host, result, source):
    """The real folder in which a source's copy lies."""
    entry = next(s for s in result["sources"] if s["source"] == source)
    return fleet.host(host).files.locate(entry["copy"]).real


def test_every_copied_store_keeps_its_books(fleet, whole):
    checked = 0
    for task in whole[0].of("umbra.vss.backup"):
        app = fleet.app(task["host"])
        books = check(app.kind, copied_to(fleet, task["host"], task["result"], app.source))
        assert books.ok, (task["host"], books.detail)
        checked += 1
    assert checked == len(fleet.lab.apps()) == 5


def frozen_as_told(told, trace, host):
    """What a result says about the freeze is what the laboratory saw; nothing where the host's events do not tell."""
    telling = {w.name for w in host.vss.writers if w.freeze_events is not None}
    frozen = [e["clock"] for e in trace if e.get("writer") in telling and e.get("frozen") is True]
    thawed = [e["clock"] for e in trace if e.get("writer") in telling and e.get("frozen") is False]
    if not frozen:
        return told is None
    return abs((max(thawed) - min(frozen)) - told) < 0.1


def test_everything_the_playbook_said_is_true(fleet, whole):
    run, before, seen, _ = whole
    for task in run.of("umbra.vss.backup"):
        name, result = task["host"], task["result"]
        after = fleet.ledger(name)
        after["tree"]["E:\\"] = [entry for entry in after["tree"]["E:\\"] if entry.split("/")[0] != "Backup"]
        assert not fleet.differences(before[name], after), f"{name} is not as it was"
        created = {e["shadow"] for e in fleet.vss_trace(name) if e.get("action") == "added"}
        assert {s["id"].strip("{}") for s in result["snapshot_set"]["shadows"]} <= created
        assert result["left_behind"] == []
        files = bytes_ = 0
        for source in result["sources"]:
            real = fleet.host(name).files.locate(source["copy"]).real
            found = [p for p in real.rglob("*") if p.is_file()]
            assert source["files"] == len(found)
            assert source["bytes"] == sum(p.stat().st_size for p in found)
            files, bytes_ = files + len(found), bytes_ + source["bytes"]
        assert (result["files"], result["bytes"]) == (files, bytes_)
        assert result["verified"]["files"] == files
        assert result["verified"]["mismatches"] == []
        took_part = {w["name"] for w in result["writers"] if w["took_part"]}
        assert took_part == {e["writer"] for e in seen[name] if e.get("frozen") is True}
        assert frozen_as_told(result["frozen_seconds"], seen[name], fleet.host(name))
        assert result["consistency"] == ("crash" if name in ("legacy01", "pc01") else "application")
        said = next(t for t in run.of("ansible.builtin.debug", name))["result"]["msg"]
        for word in (result["consistency"], str(result["files"]), "nothing left behind"):
            assert word in said, (word, said)


def test_crash_consistent_ones_say_why(whole):
    reasons = {t["host"]: t["result"]["consistency_reason"] for t in whole[0].of("umbra.vss.backup")}
    assert r"D:\Legacy" in reasons["legacy01"]
    assert "writer" in reasons["legacy01"]
    assert "diskshadow" in reasons["pc01"]


@pytest.mark.parametrize("host", ["legacy01", "pc01"])
def test_without_permission_they_fail_before_anything_is_created(fleet, host):
    what = yaml.safe_load(WHAT.read_text(encoding="utf-8"))["all"]["hosts"][host]
    made = fleet.sets_created(host)
    with fleet.unchanged(host):
        sentence = fleet.fails(
            host, "backup", {"sources": what["backup_sources"], "destination": what["backup_destination"]}
        )
    assert "allow_downgrade" in sentence
    assert fleet.sets_created(host) == made


def test_a_small_backup_costs_few_requests(fleet, whole):
    for task in whole[0].of("umbra.vss.backup"):
        wire = task["result"]["wire"]
        # the winrm connection opens and deletes a cmd shell of its own, whatever is asked over it
        cmd_shell = 2 if task["host"] in fleet.winrm_hosts else 0
        sessions = whole[3][task["host"]]
        needed = fleet.needed(sessions, wire["pipelines"])
        assert needed <= 24 + cmd_shell + task["result"]["progress_readings"], (task["host"], wire)
        assert wire["requests"] == sum(s.operations for s in sessions)


def test_check_mode_changes_nothing_and_predicts(fleet):
    args = {
        "sources": [r"D:\Bank"],
        "destination": r"E:\Predicted",
        "writers": {"require": ["SqlServerWriter"]},
    }
    host = fleet.host("sql01")
    with fleet.unchanged("sql01"):
        predicted = fleet.ok("sql01", "backup", args, "--check")
        assert not host.files.exists(r"E:\Predicted")
    done = fleet.ok("sql01", "backup", args)
    for key in ("changed", "consistency", "consistency_reason", "engine"):
        assert predicted[key] == done[key], key
    shutil.rmtree(host.files.locate(r"E:\Predicted").real)


def test_a_copy_that_is_not_what_the_shadow_copy_holds_is_found(fleet):
    """One byte changes behind robocopy's back: the file is named, and nothing is left that looks like a backup."""
    host = fleet.host("sql01")
    changed = []

    def spoil(entry):
        if not changed and entry["event"] == "task" and entry["host"] == host.name and entry["what"] == "ended":
            copy = host.files.locate(r"E:\Spoilt\D\Bank").real
            path = next(p for p in sorted(copy.iterdir()) if p.suffix == ".csv")
            data = bytearray(path.read_bytes())
            data[len(data) // 2] ^= 1
            path.write_bytes(data)
            changed.append(path.name)

    unsubscribe = fleet.lab.trace.subscribe(spoil)
    args = {"sources": [r"D:\Bank"], "destination": r"E:\Spoilt", "writers": {"require": ["SqlServerWriter"]}}
    try:
        with fleet.unchanged("sql01"):
            sentence = fleet.fails("sql01", "backup", args)
    finally:
        unsubscribe()
    assert changed[0] in sentence


@pytest.mark.parametrize(("host_name", "mode"), [("legacy01", "all"), ("pc01", "sample"), ("web01", "count")])
def test_a_source_with_links_loops_and_long_paths(fleet, host_name, mode):
    """What junctions and links lead to is no part of the source; a path beyond 260 characters is."""
    files = fleet.host(host_name).files
    verbatim = "\\\\?\\"
    deep = "\\".join([r"D:\Odd", *(str(number) * 60 for number in range(1, 6))])
    files.mkdir(verbatim + deep, parents=True)
    contents = {rf"{deep}\far down.txt": b"deep" * 100, "D:\\Odd\\plain.txt": b"plain"}
    for path, content in contents.items():
        files.write(verbatim + path, content)
    files.junction(r"D:\Odd\elsewhere", r"D:\Shares")
    files.junction(r"D:\Odd\loop", r"D:\Odd")
    files.symlink(r"D:\Odd\link", r"C:\Users")
    args = {"sources": [r"D:\Odd"], "destination": rf"E:\Odd-{mode}", "consistency": "crash", "verify": {"mode": mode}}
    result = fleet.ok(host_name, "backup", args)
    assert (result["files"], result["bytes"]) == (2, sum(map(len, contents.values())))
    assert not result["verified"]["mismatches"]
    copy = files.locate(rf"E:\Odd-{mode}\D\Odd").real
    found = {p.relative_to(copy).as_posix(): p.read_bytes() for p in copy.rglob("*") if p.is_file() or p.is_symlink()}
    assert found == {path[7:].replace("\\", "/"): content for path, content in contents.items()}


def test_the_second_backup_copies_what_changed_and_drops_what_went(fleet):
    host = fleet.host("mail01")
    args = {"sources": [r"D:\Shares"], "destination": r"E:\Twice", "consistency": "crash"}
    first = fleet.ok("mail01", "backup", args)
    host.files.write(r"D:\Shares\new.txt", b"new")
    gone = next(
        p for p in sorted(host.files.locate(r"D:\Shares").real.rglob("*")) if p.is_file() and p.name != "new.txt"
    )
    gone.unlink()
    second = fleet.ok("mail01", "backup", args)
    assert (second["copied_files"], second["removed_files"]) == (1, 1)
    assert second["files"] == first["files"]
    shutil.rmtree(host.files.locate(r"E:\Twice").real)


def test_keep_snapshot_keeps_it_under_its_name(fleet):
    with fleet.unchanged("sql01"):
        result = fleet.ok(
            "sql01",
            "backup",
            {
                "name": "kept",
                "sources": [r"D:\Bank"],
                "destination": r"E:\Kept",
                "keep_snapshot": True,
                "writers": {"require": ["SqlServerWriter"]},
            },
        )
        kept = {s["id"] for s in result["snapshot_set"]["shadows"]}
        assert kept == {"{" + str(s.id).strip("{}").lower() + "}" for s in fleet.host("sql01").vss.shadows}
        fleet.ok("sql01", "snapshot", {"name": "kept", "state": "absent"})
        shutil.rmtree(fleet.host("sql01").files.locate(r"E:\Kept").real)


def test_the_manifest_beside_the_copy_says_what_it_is(fleet, whole):
    result = whole[0].of("umbra.vss.backup", "sql01")[0]["result"]
    text = fleet.host("sql01").files.read(result["destination"] + r"\umbra-vss.json").decode("utf-8-sig")
    manifest = json.loads(text)
    assert manifest["complete"] is True
    assert manifest["consistency"] == "application"
    assert manifest["files"] == result["files"]


def transfers(fleet):
    """How many transfers the bank has made."""
    return fleet.app("sql01").stats()["transfers"]


def test_the_bank_copied_live_is_torn(fleet):
    """The control experiment: the same robocopy, without a shadow copy, never gives a bank that balances."""
    host = fleet.host("sql01")
    torn = live = 0
    for number in range(3 * RUNS):
        if live == RUNS:
            break
        target, before = rf"E:\Live{number}", transfers(fleet)
        host.processes.run(
            ["robocopy.exe", r"D:\Bank", target, "/E", "/R:0", "/W:0"],
            host.users.system,
            out=lambda line: None,
            err=lambda line: None,
            stop=threading.Event(),
        )
        real = host.files.locate(target).real
        if transfers(fleet) - before >= WORKED:  # on a busy machine it may have stood still meanwhile
            live += 1
            torn += not check("bank", real).ok
        shutil.rmtree(real)
    assert live == RUNS
    assert torn == RUNS


def test_the_bank_backed_up_always_balances(fleet):
    tasks = [
        {
            "name": "Back up",
            "umbra.vss.backup": {
                "sources": [r"D:\Bank"],
                "destination": r"E:\Control\{{ item }}",
                "writers": {"require": ["SqlServerWriter"]},
                "verify": {"mode": "count"},
            },
            "loop": list(range(RUNS)),
        }
    ]
    files = fleet.host("sql01").files
    with fleet.unchanged("sql01"):
        run = fleet.play("sql01", tasks)
        assert run.code == 0, run.output
        results = run.of("umbra.vss.backup")[-1]["result"]["results"]
        good = [check("bank", files.locate(r["sources"][0]["copy"]).real).ok for r in results]
        shutil.rmtree(files.locate(r"E:\Control").real)
    assert good == [True] * RUNS
