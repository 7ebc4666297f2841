# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restores straight into the laboratory's engine: what comes back, what stays, what is refused, what a crash leaves."""

from __future__ import annotations

import contextlib
import datetime
from types import SimpleNamespace

import pytest
from ansible_collections.umbra.vss.plugins.plugin_utils._vss import steps
from vsslab.vss import Context

from . import direct
from .direct import Controller, Killed, Trouble, build
from .world import Photo

V = "\\\\?\\"
THEN = datetime.datetime(2024, 2, 29, 11, 22, 33, 456789, tzinfo=datetime.timezone.utc)
DAY = datetime.timedelta(days=1)
OTHERS = {r"D:\Gone\deep\x.txt": b"gone", r"D:\Single\one.txt": b"single"}
NOBODY = "{00000000-0000-0000-0000-000000000000}"
CLOSED = "O:BAG:BAD:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)"
TREE = {r"a.txt": b"first" * 1000, r"sub\b.txt": b"second", r"sub\c.txt": b"third" * 50}


def write(files, path, content, modified=THEN):
    files.mkdir(V + path.rpartition("\\")[0], parents=True)
    files.write(V + path, content)
    files.set_times(V + path, modified=modified)


def contents(files, folder):
    """Content by relative path of the files below a folder; of links nothing is read."""
    whole = V + folder.rstrip("\\")
    found = {}
    for each in files.walk(whole if len(folder) > 3 else whole + "\\"):
        name = (V + each.path.removeprefix(V))[len(whole) + 1 :]
        if not each.is_dir:
            found[name] = f"-> {each.link_target}" if each.link_target else files.read(f"{whole}\\{name}")
    return found


@pytest.fixture
def lab(tmp_path):
    r"""A host with a folder D:\Data, a snapshot `then` of it, and a controller that restores."""
    host = build(tmp_path)
    controller = Controller(host)
    for name, content in TREE.items():
        write(host.files, rf"D:\Data\{name}", content)
    for path, content in OTHERS.items():
        write(host.files, path, content)
    made = controller.task("snapshot", {"name": "then", "volumes": ["D:"], "allow_downgrade": True})
    assert not made.get("failed"), made

    def restore(check=False, trouble=None, far=False, **args):
        return controller.task("restore", {"name": "then", **args}, check, trouble, far)

    def ok(check=False, trouble=None, **args):
        result = restore(check, trouble, **args)
        assert not result.get("failed"), result["msg"]
        return result

    def fails(**args):
        before = Photo.of(host), contents(host.files, "D:\\")
        result = restore(**args)
        assert result.get("failed"), result
        assert not before[0].changes(Photo.of(host)), result
        assert contents(host.files, "D:\\") == before[1]
        return result["msg"]

    return SimpleNamespace(host=host, files=host.files, task=controller.task, restore=restore, ok=ok, fails=fails)


def test_a_folder_that_is_gone_comes_back_and_a_second_time_is_no_change(lab):
    lab.files.remove_tree(r"D:\Data")
    before = Photo.of(lab.host)
    predicted = lab.ok(check=True, paths=[r"D:\Data"])
    assert not before.changes(Photo.of(lab.host))
    done = lab.ok(paths=[r"D:\Data"])
    assert contents(lab.files, r"D:\Data") == TREE
    assert lab.files.stat(r"D:\Data\a.txt").modified == THEN
    for key in ("changed", "files", "bytes", "restored", "snapshot"):
        assert predicted[key] == done[key], key
    after = Photo.of(lab.host)
    assert not lab.ok(paths=[r"D:\Data"])["changed"]
    assert not after.changes(Photo.of(lab.host))


@pytest.mark.parametrize(
    ("existing", "kept"),
    [("skip", {"older", "newer", "same size"}), ("newer", {"newer"}), ("replace", set()), ("rename", set())],
)
@pytest.mark.parametrize("single", [False, True])
def test_what_is_there_is_treated_as_told(lab, existing, kept, single):
    """In a folder and file by file: missing, older, newer, of the same size, not of the snapshot at all."""
    then = {"missing": b"1", "older": b"22", "newer": b"333", "same size": b"4444", "same": b"55555"}
    for name, content in then.items():
        write(lab.files, rf"D:\Mix\{name}", content)
    assert lab.task("snapshot", {"name": "mix", "volumes": ["D:"], "allow_downgrade": True})["changed"]
    now = {"older": b"old", "newer": b"new", "same size": b"8888", "same": b"55555", "mine": b"mine"}
    for name, content in now.items():
        when = {"older": THEN - DAY, "newer": THEN + DAY, "same size": THEN + DAY}.get(name, THEN)
        write(lab.files, rf"D:\Mix\{name}", content, when)
    if existing == "newer":
        lab.files.set_times(r"D:\Mix\same size", modified=THEN - DAY)
    lab.files.remove(r"D:\Mix\missing")
    paths = [rf"D:\Mix\{name}" for name in then] if single else [r"D:\Mix"]
    done = lab.ok(name="mix", paths=paths, existing=existing)
    wanted = {**now, **{name: content for name, content in then.items() if name not in kept}}
    found = contents(lab.files, r"D:\Mix")
    renamed = {each["path"]: each["kept_as"] for each in done["renamed"]}
    assert {name: found[name] for name in wanted} == wanted
    extra = {rf"D:\Mix\{name}": content for name, content in found.items() if name not in wanted}
    assert extra == {renamed[rf"D:\Mix\{name}"]: now[name] for name in ("older", "newer", "same size") if renamed}
    assert bool(renamed) == (existing == "rename")
    assert not lab.ok(name="mix", paths=paths, existing=existing)["changed"]


def test_elsewhere_with_everything_that_a_file_has(lab):
    """Access lists, owners, attributes, empty folders, long paths come to another volume, and files by other names."""
    deep = "\\".join(["d" * 60 + str(number) for number in range(5)]) + r"\far down.txt"
    write(lab.files, rf"D:\Data\{deep}", b"deep")
    lab.files.mkdir(r"D:\Data\empty")
    lab.files.set_security(r"D:\Data\sub", "O:SYG:SYD:PAI(A;OICI;FA;;;SY)(A;OICI;0x1301bf;;;BU)")
    lab.files.set_security(r"D:\Data\a.txt", "O:SYG:SYD:PAI(A;;FR;;;BU)")
    lab.files.set_attributes(r"D:\Data\a.txt", 0x1 | 0x2)
    assert lab.task("snapshot", {"name": "rich", "volumes": ["D:"], "allow_downgrade": True})["changed"]
    was = {each.name: (each.attributes, each.modified) for each in lab.files.walk(V + r"D:\Data")}
    acls = {name: lab.files.security(rf"D:\Data\{name}") for name in ("sub", "a.txt", r"sub\b.txt")}
    done = lab.ok(name="rich", paths=[{"path": r"D:\Data", "to": r"E:\Deep\er\Copy"}])
    assert contents(lab.files, r"E:\Deep\er\Copy") == contents(lab.files, r"D:\Data") == {**TREE, deep: b"deep"}
    assert {each.name: (each.attributes, each.modified) for each in lab.files.walk(V + r"E:\Deep\er\Copy")} == was
    assert {name: lab.files.security(rf"E:\Deep\er\Copy\{name}") for name in acls} == acls
    assert (done["files"], done["verified"]["files"]) == (4, 4)
    two = [{"path": r"D:\Data\a.txt", "to": r"E:\New\one.txt"}, {"path": r"D:\Data\sub\b.txt", "to": r"E:\New\x\a.txt"}]
    assert lab.ok(name="rich", paths=two)["files"] == 2
    assert contents(lab.files, r"E:\New") == {"one.txt": TREE["a.txt"], r"x\a.txt": TREE[r"sub\b.txt"]}
    assert lab.files.security(r"E:\New\one.txt") == acls["a.txt"]
    assert not lab.ok(name="rich", paths=two)["changed"]


def test_below_a_destination_several_paths_find_their_way(lab):
    paths = [r"D:\Data\sub", r"D:\Data\a.txt"]
    done = lab.ok(paths=paths, destination=r"E:\Look\here")
    assert contents(lab.files, r"E:\Look\here") == {rf"D\Data\{name}": content for name, content in TREE.items()}
    assert [each["to"] for each in done["restored"]] == [r"E:\Look\here\D\Data\sub", r"E:\Look\here\D\Data\a.txt"]
    assert not lab.ok(paths=paths, destination=r"E:\Look\here")["changed"]
    lab.files.set_security(r"E:\Look\here", CLOSED.replace("BA)", "BA)(A;OICI;0x1301bf;;;BU)"))
    assert "S-1-5-32-545" in lab.fails(paths=paths, destination=r"E:\Look\here").replace("BU", "S-1-5-32-545")


def test_a_single_file_leaves_its_folder_as_it_is(lab):
    lab.files.set_security(r"D:\Data\sub", CLOSED)
    lab.files.write(r"D:\Data\sub\b.txt", b"spoilt")
    lab.ok(paths=[r"D:\Data\sub\b.txt"], existing="replace")
    assert contents(lab.files, r"D:\Data") == TREE
    assert lab.files.security(r"D:\Data\sub").startswith(CLOSED)


def test_nothing_is_written_through_a_link(lab):
    lab.files.mkdir(r"C:\Elsewhere")
    lab.files.remove_tree(r"D:\Data\sub")
    lab.files.junction(r"D:\Data\sub", r"C:\Elsewhere")
    for paths in ([r"D:\Data"], [r"D:\Data\sub"], [r"D:\Data\sub\b.txt"]):
        assert r"D:\Data\sub" in lab.fails(paths=paths, existing="replace")
    assert not contents(lab.files, r"C:\Elsewhere")
    lab.files.rmdir(r"D:\Data\sub")
    lab.files.symlink(r"D:\Data\out.txt", r"C:\Elsewhere\out.txt", to_file=True)  # not of the snapshot: it may stay
    assert lab.ok(paths=[r"D:\Data"])["files"] == 2
    lab.files.remove(r"D:\Data\a.txt")
    lab.files.write(r"C:\Elsewhere\a.txt", b"precious")
    lab.files.symlink(r"D:\Data\a.txt", r"C:\Elsewhere\a.txt", to_file=True)
    assert r"D:\Data\a.txt" in lab.fails(paths=[r"D:\Data"], existing="replace")
    assert contents(lab.files, r"C:\Elsewhere") == {"a.txt": b"precious"}


def test_a_link_inside_the_shadow_copy_leads_to_today_and_is_not_read(lab):
    lab.files.mkdir(r"C:\Today")
    lab.files.write(r"C:\Today\b.txt", b"today")
    lab.files.junction(r"D:\Data\through", r"C:\Today")
    assert lab.task("snapshot", {"name": "linked", "volumes": ["D:"], "allow_downgrade": True})["changed"]
    for path in (r"D:\Data\through\b.txt", r"D:\Data\through"):
        assert "is a link in the shadow copy" in lab.fails(name="linked", paths=[{"path": path, "to": r"E:\x"}])
    assert lab.ok(name="linked", paths=[{"path": r"D:\Data", "to": r"E:\y"}])["files"] == len(TREE)
    assert contents(lab.files, r"E:\y") == TREE


@pytest.mark.parametrize(
    ("args", "word"),
    [
        ({"paths": []}, "paths is empty"),
        ({"paths": [r"D:\Data"], "name": "never"}, "then"),
        ({"paths": [r"D:\Data"], "snapshot_id": NOBODY}, "one of name"),
        (
            {"paths": [r"D:\Data"], "name": None, "snapshot_id": NOBODY},
            "info",
        ),
        ({"paths": [r"D:\Data"], "name": None, "snapshot_set_id": "what"}, "not a GUID"),
        ({"paths": [r"D:\Missing"]}, "not in the shadow copy"),
        ({"paths": [r"E:\x"]}, "holds nothing of E:"),
        ({"paths": [r"Q:\x"]}, "lies on no volume"),
        ({"paths": [r"Data"]}, "not a full path"),
        ({"paths": [r"D:\Data", r"D:\Data\sub"]}, "overlap"),
        ({"paths": [{"path": r"D:\Data", "onto": "x"}]}, "onto"),
        ({"paths": [{"path": r"D:\Data", "to": r"E:\x"}], "destination": r"E:\y"}, "together"),
        ({"paths": [{"path": r"D:\Data\a.txt", "to": r"E:\x"}, {"path": r"D:\Data\sub", "to": r"E:\x\y"}]}, "both"),
        ({"paths": [{"path": r"D:\Data", "to": r"C:\Windows"}]}, "records"),
        ({"paths": [{"path": r"D:\Data", "to": "C:\\"}]}, "records"),
        ({"paths": [{"path": r"D:\Data", "to": r"C:\Windows\umbra-vss\runs"}]}, "records"),
        ({"paths": [{"path": r"D:\Data", "to": r"D:\Data\a.txt"}]}, "is a file today"),
        ({"paths": [{"path": r"D:\Data\a.txt", "to": r"D:\Data\sub"}]}, "is a folder today"),
        ({"paths": [{"path": r"D:\Data\sub", "to": r"D:\Data\a.txt\sub"}]}, "is a file today"),
    ],
)
def test_refused_before_anything_is_changed(lab, args, word):
    assert word in lab.fails(**args)


def test_a_file_where_the_snapshot_has_a_folder_is_named(lab):
    lab.files.remove_tree(r"D:\Data\sub")
    lab.files.write(r"D:\Data\sub", b"a file")
    assert r"D:\Data\sub" in lab.fails(paths=[r"D:\Data"], existing="replace")
    lab.files.remove(r"D:\Data\sub")
    lab.files.remove(r"D:\Data\a.txt")
    lab.files.mkdir(r"D:\Data\a.txt")
    assert r"D:\Data\a.txt" in lab.fails(paths=[r"D:\Data"], existing="replace")


def test_nothing_goes_into_a_shadow_copy_that_is_shown(lab):
    shown = [{"volume": "D:", "path": "X:", "type": "letter"}]
    assert lab.task("snapshot", {"name": "then", "volumes": ["D:"], "allow_downgrade": True, "expose": shown})[
        "changed"
    ]
    assert "X:" in lab.fails(paths=[{"path": r"D:\Data", "to": r"X:\Data2"}])


def test_what_does_not_fit_fails_before_anything_is_changed(lab):
    volume = lab.host.volumes.by_path("E:")
    volume.capacity = volume.used() + 1000
    message = lab.fails(paths=[{"path": r"D:\Data", "to": r"E:\Copy"}])
    assert "not enough space on E:" in message
    assert str(sum(map(len, TREE.values()))) in message


def test_a_foreign_shadow_copy_is_read_and_stays(lab):
    volume = lab.host.volumes.by_path("D:")
    theirs = lab.host.vss.create("Other Backup", [volume], Context.NAS_ROLLBACK).shadows[0]
    lab.files.remove_tree(r"D:\Data")
    done = lab.ok(name=None, snapshot_id=theirs.id, paths=[r"D:\Data"])
    assert (done["files"], done["snapshot"]["ours"]) == (3, False)
    assert any(each.id == theirs.id for each in lab.host.vss.store.all())


def test_a_drill_restores_compares_and_leaves_nothing(lab):
    before = Photo.of(lab.host), contents(lab.files, "D:\\")
    for check in (True, False):
        done = lab.ok(check=check, paths=[r"D:\Data"], drill=True)
        assert not done["changed"]
        assert (done["drill"]["files"], done["drill"]["verified"], done["verified"]["files"]) == (3, True, 3)
    assert not before[0].changes(Photo.of(lab.host))
    assert contents(lab.files, "D:\\") == before[1]


SPOILT = {"a.txt": b"spoilt", r"sub\c.txt": b"spoilt too"}


def spoil(lab):
    """Some files are not as they were, some are gone."""
    for name, content in SPOILT.items():
        lab.files.write(rf"D:\Data\{name}", content)
    lab.files.remove(r"D:\Data\sub\b.txt")


@pytest.mark.parametrize("killed", [True, False], ids=["killed", "lost"])
@pytest.mark.parametrize("statements", [0, 3, None], ids=["before", "amid", "after"])
@pytest.mark.parametrize("pipeline", range(2, 13))
def test_whatever_breaks_it_the_next_run_completes_it(lab, pipeline, statements, killed):
    """A folder restored into, one that is gone, and a single file: every pipeline cut, and then the same again."""
    spoil(lab)
    lab.files.remove_tree(r"D:\Gone")
    lab.files.write(r"D:\Single\one.txt", b"another")
    args = {"existing": "rename", "paths": [r"D:\Data", r"D:\Gone", r"D:\Single\one.txt"]}
    ledger = Photo.of(lab.host)
    trouble = Trouble(pipeline, statements, killed)
    try:
        first = lab.restore(trouble=trouble, **args)
    except Killed:
        first = None
    again = lab.ok(**args)
    found = {f"D:\\{name}": content for name, content in contents(lab.files, "D:\\").items()}
    wanted = {rf"D:\Data\{name}": content for name, content in TREE.items()} | OTHERS
    assert {name: found[name] for name in wanted} == wanted
    assert sorted(found[name] for name in found if name not in wanted) == sorted([*SPOILT.values(), b"another"])
    lab.host.clock.time.advance(3 * 3600)  # a lease that was registered and nothing else goes by itself
    assert not ledger.changes(Photo.of(lab.host)), (first, again)


@pytest.mark.parametrize("pipeline", range(2, 13))
def test_when_nobody_comes_again_the_lease_cleans_up(lab, pipeline):
    """What was restored into its place stays; nothing else of ours does, and no file of the user's is lost."""
    spoil(lab)
    lab.files.remove_tree(r"D:\Gone")
    args = {"existing": "rename", "paths": [r"D:\Data", r"D:\Gone", r"D:\Single\one.txt"]}
    ledger, names = Photo.of(lab.host), {each.name for each in lab.files.listdir("D:\\")}
    with contextlib.suppress(Killed):  # it may be done before that pipeline comes
        lab.restore(trouble=Trouble(pipeline), **args)
    lab.host.clock.time.advance(3 * 3600)
    assert not ledger.changes(Photo.of(lab.host))
    assert {each.name for each in lab.files.listdir("D:\\")} - {"Gone"} == names
    found = contents(lab.files, r"D:\Data").values()
    assert set(SPOILT.values()) <= set(found)


def test_what_cannot_be_renamed_stops_it_and_the_others_have_their_names_again(lab):
    spoil(lab)
    name = max(SPOILT)
    with lab.files.writer(rf"D:\Data\{name}", append=True):
        message = lab.fails(paths=[r"D:\Data"], existing="rename")
    assert name in message
    assert "Is it open?" in message


def test_two_restores_into_one_place_do_not_meet(lab):
    """The second sees in the record of the first, which goes on elsewhere, where that writes to."""
    lab.files.remove_tree(r"D:\Data")
    with pytest.raises(Killed):
        lab.restore(paths=[r"D:\Data"], trouble=Trouble(5), far=True)
    message = lab.restore(paths=[r"D:\Data\sub"])["msg"]
    assert "is being restored to by run" in message
    lab.host.clock.time.advance(3 * 3600)
    assert lab.ok(paths=[r"D:\Data\sub"])["changed"]


def test_nobody_reverts_what_a_restore_reads_or_writes(lab):
    lab.files.remove_tree(r"D:\Data")
    with pytest.raises(Killed):
        lab.restore(paths=[{"path": r"D:\Data", "to": r"E:\Data"}], trouble=Trouble(6), far=True)
    for volume in ("D:", "E:"):
        made = lab.task("snapshot", {"name": f"of {volume[0]}", "volumes": [volume], "allow_downgrade": True})
        assert not made.get("failed"), made
        args = {"state": "reverted", "volume": volume, "name": f"of {volume[0]}"}
        answer = lab.task("restore", args)
        assert f"{volume}\\ on srv1 is in use by restore" in answer["msg"], answer
    lab.host.clock.time.advance(3 * 3600)
    assert lab.task("restore", args)["changed"]


def test_a_revert_that_has_ended_is_in_nobodys_way_though_its_run_has_died(lab):
    """Its record lasts for hours where nobody can tell whether its process lives; the host tells that it is over."""
    for pipeline in range(3, 9):
        with contextlib.suppress(Killed):
            lab.restore(state="reverted", volume="D:", trouble=Trouble(pipeline), far=True)
        if any(each.get("state") == "reverting" for each in Photo.of(lab.host).runs.values()):
            break
    else:
        pytest.fail("no run died while it reverted")
    again = {"state": "reverted", "volume": "D:", "timeout": 0}
    assert "is being reverted" in lab.restore(**again)["msg"], "it may just have begun"
    lab.host.clock.time.advance(15 * 60)
    lab.files.remove_tree(r"D:\Data\sub")
    assert lab.ok(paths=[r"D:\Data\sub"])["changed"]
    assert lab.ok(**again)["changed"]


@pytest.mark.parametrize("pipeline", range(2, 9))
def test_nothing_is_restored_into_what_is_being_reverted(lab, pipeline):
    with contextlib.suppress(Killed):
        lab.restore(state="reverted", volume="D:", wait="1h", trouble=Trouble(pipeline, killed=True), far=True)
        return  # it was done before that pipeline came
    (record,) = [each for each in Photo.of(lab.host).runs.values() if each["action"] == "revert"] or [{"state": ""}]
    message = lab.restore(paths=[r"D:\Data"], timeout=0).get("msg", "")
    if record["state"] == "reverting":
        assert "D:\\ on srv1 is being reverted by run" in message
    else:
        assert not message or "is at work on srv1" in message


def test_a_file_that_is_changed_behind_it_is_found(lab):
    r"""One byte is changed when the task has ended: what was put together goes, and nothing has got its place."""
    lab.files.remove_tree(r"D:\Data")
    spoilt = []

    def spoil_it(entry):
        if not spoilt and entry["event"] == "task" and entry["what"] == "ended":
            stage = next(each.path for each in lab.files.listdir("D:\\") if each.name.startswith("umbra-restore-"))
            spoilt.append(rf"{stage}\1\Data\a.txt")
            lab.files.write(spoilt[0], b"worst" * 1000)
            lab.files.set_times(spoilt[0], modified=THEN)

    unsubscribe = lab.host.trace.subscribe(spoil_it)
    message = lab.fails(paths=[r"D:\Data"])
    unsubscribe()
    assert spoilt
    assert "a.txt differs" in message


def test_every_statement_belongs_to_one_step(lab, monkeypatch):
    """The table of steps knows all that a restore sends, whatever it restores: crash tests go by it."""
    sent = []
    run = direct.DirectRunner.run

    def note(self, statements, repeatable):
        sent.extend(statement.key for statement in statements)
        return run(self, statements, repeatable)

    monkeypatch.setattr(direct.DirectRunner, "run", note)
    lab.files.write(r"D:\Single\one.txt", b"another")
    lab.files.remove_tree(r"D:\Gone")
    spoil(lab)
    lab.ok(existing="rename", paths=[r"D:\Data", r"D:\Gone", r"D:\Single\one.txt"])
    ours = sent[sent.index("lease-0") :]
    assert {"rename-0", "place-2", "place-3-room", "todo-1", "rest-1", "task-1"} <= set(ours)
    odd = [key for key in ours if (steps.step_of("restore", key) is None) == (not steps.harmless(key))]
    assert not odd
