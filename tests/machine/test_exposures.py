# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where shadow copies are to be seen: letters, folders, links and shares, kept as declared, and taken back."""

from __future__ import annotations

import itertools

import pytest
from vsslab.specs import UserSpec
from vsslab.windows.errors import WinError

from .direct import Controller, Killed, Trouble, build
from .world import Photo

USERS = (
    UserSpec("Administrator", administrator=True, remote=True),
    UserSpec("alice"),
    UserSpec("bob"),
)
BASE = {"name": "s", "volumes": ["D:"], "consistency": "crash"}
LETTER = {"volume": "D:", "path": "P:", "type": "letter"}
FOLDER = {"volume": "D:", "path": "C:\\Mounted", "type": "folder"}
LINK = {"volume": "D:", "path": "C:\\Link", "type": "link"}
SHARE = {"volume": "D:", "type": "share", "share": "Yesterday", "access": {"read": ["alice"]}}
KINDS = {"letter": LETTER, "folder": FOLDER, "link": LINK, "share": SHARE}


@pytest.fixture
def host(tmp_path):
    made = build(tmp_path, users=USERS)
    made.files.mkdir("C:\\Mounted")
    made.files.mkdir("D:\\Data")
    made.files.set_security("D:\\Data", "D:P(A;OICI;FA;;;BA)(A;OICI;FR;;;BU)")
    made.files.write("D:\\Data\\a.txt", b"then")
    yield made
    made.close()


@pytest.fixture
def controller(host):
    return Controller(host)


def present(controller, *expose, check=False, **more):
    return controller.task("snapshot", {**BASE, "expose": list(expose), **more}, check)


def done(answer):
    assert not answer.get("failed"), answer["msg"]
    return answer


@pytest.mark.parametrize("path", ["C:\\R&D", "C:\\Audit, 2026", "C:\\50%", "C:\\a^b", "C:\\one;two", "C:\\a=b"])
def test_a_link_that_cmd_would_not_take_as_it_is_is_refused_before_anything_is_made(host, controller, path):
    before = Photo.of(host)
    answers = [refused(present(controller, {"volume": "D:", "path": path}, check=check)) for check in (True, False)]
    assert answers[0] == answers[1]
    assert "srv1" in answers[0]
    assert repr(path) in answers[0]
    assert not before.changes(Photo.of(host))


def refused(answer):
    assert answer.get("failed"), answer
    assert "\n" not in answer["msg"]
    return answer["msg"]


def at(answer):
    return answer["snapshot_set"]["shadows"][0]["exposed_at"]


def ours(host):
    """What shows shadow copies on the host, and who is let into shares."""
    ledger = host.ledger()
    shares = {s.name: (s.path, s.descriptor) for s in host.shares.list() if not s.special}
    return {**{key: ledger[key] for key in ("exposures", "links", "tasks", "mappings")}, "shares": shares}


def over_smb(host, name, path="\\\\srv1\\Yesterday\\Data\\a.txt"):
    """What an account reads through the share."""
    return host.files.as_user(host.users.find(name)).read(path)


# ---- kept as declared
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_shown_once_and_found_again(host, controller, kind):
    before = ours(host)
    item = KINDS[kind]
    predicted = done(present(controller, item, check=True))
    assert ours(host) == before, "check mode shows nothing"
    first = done(present(controller, item))
    assert first["changed"] is True
    seen = "\\\\SRV1\\Yesterday" if kind == "share" else item["path"]
    assert at(first) == at(predicted) == seen
    controller.pipelines = 0
    second = done(present(controller, item))
    assert (second["changed"], at(second), controller.pipelines) == (False, seen, 1)
    host.files.write("D:\\Data\\a.txt", b"now")
    root = next(s.path for s in host.shares.list() if s.name == "Yesterday") if kind == "share" else item["path"]
    assert host.files.read(root.rstrip("\\") + "\\Data\\a.txt") == b"then"
    done(controller.task("snapshot", {"name": "s", "state": "absent"}))
    assert ours(host) == before
    assert host.files.exists("C:\\Mounted")


@pytest.mark.parametrize(("kind", "to"), list(itertools.permutations(KINDS, 2)))
def test_it_moves_from_any_place_to_any_other(host, controller, kind, to):
    done(present(controller, KINDS[kind]))
    predicted = present(controller, KINDS[to], check=True)
    moved = done(present(controller, KINDS[to]))
    assert (predicted["changed"], moved["changed"]) == (True, True)
    assert at(predicted) == at(moved)
    assert done(present(controller, KINDS[to]))["changed"] is False
    now = ours(host)
    shown = [*now["exposures"], *now["links"], *now["shares"]]
    assert len(shown) == (2 if to == "share" else 1), "what it was is taken back"
    assert len(host.vss.store.all()) == 1


def test_nothing_said_changes_nothing_and_an_empty_list_takes_it_back(host, controller):
    before = ours(host)
    done(present(controller, SHARE, LINK))
    shown = ours(host)
    assert done(controller.task("snapshot", BASE))["changed"] is False
    assert ours(host) == shown
    assert done(present(controller, check=True))["changed"] is True
    assert ours(host) == shown
    gone = done(present(controller))
    assert (gone["changed"], at(gone)) == (True, None)
    assert ours(host) == before
    assert done(present(controller))["changed"] is False


def test_places_are_swapped_between_two_volumes(host, controller):
    two = {**BASE, "volumes": ["D:", "E:"]}
    for first, second in (("P:", "Q:"), ("Q:", "P:")):
        items = [{"volume": "D:", "path": first}, {"volume": "E:", "path": second}]
        items = [{**item, "type": "letter"} for item in items]
        answer = done(controller.task("snapshot", {**two, "expose": items}))
        assert answer["changed"] is True
        assert [s["exposed_at"] for s in answer["snapshot_set"]["shadows"]] == [first, second]
    assert host.files.exists("Q:\\Data\\a.txt")
    assert len(host.vss.store.all()) == 2


def test_what_somebody_took_back_by_hand_is_shown_again(host, controller):
    done(present(controller, LETTER))
    host.vss.unexpose(host.vss.store.all()[0].id)
    assert done(present(controller, LETTER))["changed"] is True
    assert host.files.exists("P:\\Data\\a.txt")
    assert done(present(controller, LETTER))["changed"] is False


def test_a_link_goes_on_leading_there_after_a_restart(host, controller):
    done(controller.task("snapshot", {**BASE, "name": "other", "volumes": ["E:"]}))
    done(present(controller, LINK))
    done(controller.task("snapshot", {"name": "other", "state": "absent"}))
    host.reboot(0)
    renewed = done(present(controller, LINK))
    assert renewed["changed"] is True, "the device has another number"
    assert host.files.read("C:\\Link\\Data\\a.txt") == b"then"
    assert done(present(controller, LINK))["changed"] is False


# ---- shares
def test_a_share_lets_in_whom_it_names_and_nobody_else(host, controller):
    done(present(controller, SHARE))
    host.files.write("D:\\Data\\a.txt", b"now")
    assert over_smb(host, "alice") == b"then"
    with pytest.raises(WinError) as denied:
        over_smb(host, "bob")
    assert denied.value.code == 5
    with pytest.raises(WinError) as denied:
        host.files.as_user(host.users.find("alice")).write("\\\\srv1\\Yesterday\\new.txt", b"")
    assert denied.value.code in (5, 19)
    assert next(s for s in host.shares.list() if s.name == "Yesterday").descriptor == (
        f"O:SYG:SYD:(A;;0x1200a9;;;{host.users.find('alice').sid})"
    )


@pytest.mark.parametrize(
    "access",
    [
        {"read": ["bob"]},
        {"read": ["alice", "bob"]},
        {"change": ["alice"]},
        {"full": ["Administrators"], "read": ["alice"]},
    ],
)
def test_another_access_list_is_what_counts(host, controller, access):
    done(present(controller, SHARE))
    other = {**SHARE, "access": access}
    assert done(present(controller, other, check=True))["changed"] is True
    assert done(present(controller, other))["changed"] is True
    (share,) = [s for s in host.shares.list() if not s.special]
    given = {(host.users.sid_of(a), right.capitalize()) for right, accounts in access.items() for a in accounts}
    assert {(grant.sid, grant.right) for grant in share.access} == given
    assert done(present(controller, other))["changed"] is False
    spelt = {**other, "access": {right: [a.upper() for a in accounts] for right, accounts in access.items()}}
    assert done(present(controller, spelt))["changed"] is False, "names of accounts compare without case"


def test_an_access_list_that_somebody_changed_is_put_right(host, controller):
    done(present(controller, SHARE))
    host.shares.grant("Yesterday", "Everyone", "Full")
    assert done(present(controller, SHARE, check=True))["changed"] is True
    assert done(present(controller, SHARE))["changed"] is True
    with pytest.raises(WinError):
        over_smb(host, "bob")
    assert done(present(controller, SHARE))["changed"] is False


def test_a_share_that_somebody_removed_comes_back(host, controller):
    done(present(controller, SHARE))
    host.shares.remove("Yesterday")
    assert done(present(controller, SHARE))["changed"] is True
    assert over_smb(host, "alice") == b"then"


def test_somebody_elses_share_is_never_touched(host, controller):
    host.shares.add("Yesterday", "C:\\Mounted", full=["bob"])
    before = ours(host)
    sentence = refused(present(controller, SHARE))
    assert "Yesterday" in sentence
    assert "C:\\Mounted" in sentence
    assert ours(host) == before
    assert not host.vss.store.all()


def test_a_share_of_ours_that_was_replaced_is_not_taken_for_ours(host, controller):
    done(present(controller, SHARE))
    host.shares.remove("Yesterday")
    host.shares.add("Yesterday", "C:\\Mounted", full=["bob"])
    assert "Yesterday" in refused(present(controller, SHARE))
    done(controller.task("snapshot", {"name": "s", "state": "absent"}))
    assert next(s.path for s in host.shares.list() if s.name == "Yesterday") == "C:\\Mounted"
    assert not host.vss.store.all()


def test_an_account_that_there_is_not_leaves_nothing(host, controller):
    before = ours(host)
    sentence = refused(present(controller, {**SHARE, "access": {"read": ["nobody-of-that-name"]}}))
    assert "srv1" in sentence
    assert ours(host) == before
    assert not host.vss.store.all()


WRONG = {
    "no name": ({**SHARE, "share": ""}, "1 to 80 characters"),
    "a name with a wildcard": ({**SHARE, "share": "Y*"}, "1 to 80 characters"),
    "a name with a backslash": ({**SHARE, "share": "a\\b"}, "1 to 80 characters"),
    "nobody": ({**SHARE, "access": {}}, "access"),
    "a path": ({**SHARE, "path": "C:\\x"}, "no path"),
    "a SID": ({**SHARE, "access": {"read": ["S-1-1-0"]}}, "as the host calls it"),
    "a quote": ({**SHARE, "access": {"read": ['a"b']}}, "as the host calls it"),
    "twice": ({**SHARE, "access": {"read": ["alice"], "full": ["ALICE"]}}, "two rights"),
    "access of a link": ({**LINK, "access": {"read": ["alice"]}}, "type share"),
    "a link to a letter": ({**LETTER, "type": "folder"}, "no place"),
    "a link without a path": ({"volume": "D:", "type": "link"}, "full path"),
    "another volume": ({**LETTER, "volume": "E:"}, "not in the snapshot"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_is_refused_before_anything_is_made(host, controller, case):
    item, words = WRONG[case]
    before = ours(host)
    assert words in refused(present(controller, item))
    assert ours(host) == before
    assert not host.vss.store.all()


def test_one_place_and_one_link_a_copy(host, controller):
    assert "use a link for one more" in refused(present(controller, LETTER, FOLDER))
    assert "one link only" in refused(present(controller, LINK, {**LINK, "path": "C:\\Other"}))
    done(present(controller, SHARE, LINK))
    two = [LETTER, {**LETTER, "volume": "E:"}]
    assert "place of its own" in refused(controller.task("snapshot", {**BASE, "volumes": ["D:", "E:"], "expose": two}))


# ---- taken between looking and using
def _between(host, act):
    """Do something on the host when it has said that the place is free, right before the place is used."""
    original = host.vss.store.expose

    def first(*args, **kwargs):
        act()
        host.vss.store.expose = original
        return original(*args, **kwargs)

    host.vss.store.expose = first


def test_a_letter_that_was_taken_meanwhile_fails_cleanly(host, controller):
    before = ours(host)
    volume = next(v for v in host.volumes if v.letter == "E")

    def take():
        volume.letter = "P"

    _between(host, take)
    sentence = refused(present(controller, LETTER))
    assert "P:" in sentence
    assert ours(host) == before
    assert not host.vss.store.all()
    assert volume.letter == "P", "whoever took it has it"


def test_a_letter_that_was_taken_while_moving_leaves_the_snapshot(host, controller):
    done(present(controller, LINK))
    volume = next(v for v in host.volumes if v.letter == "E")

    def take():
        volume.letter = "P"

    _between(host, take)
    assert "P:" in refused(present(controller, LETTER))
    assert volume.letter == "P"
    assert len(host.vss.store.all()) == 1
    answer = done(present(controller, {**LETTER, "path": "R:"}))
    assert (answer["changed"], at(answer)) == (True, "R:")
    done(controller.task("snapshot", {"name": "s", "state": "absent"}))
    assert ours(host)["links"] == []


@pytest.mark.parametrize("there", ["folder", "link"])
def test_what_took_the_place_of_a_link_is_not_ours_to_remove(host, controller, there):
    def take():
        if there == "folder":
            host.files.mkdir("C:\\Link")
        else:
            host.files.symlink("C:\\Link", "C:\\Mounted")

    # The letter comes before the link: it is the moment at which the place of the link is taken.
    _between(host, take)
    sentence = refused(present(controller, LETTER, LINK))
    assert "C:\\Link" in sentence
    assert host.files.exists("C:\\Link"), "it is somebody else's"
    assert host.ledger()["exposures"] == []
    assert not host.vss.store.all()


# ---- interrupted
@pytest.mark.parametrize(
    ("at_pipeline", "statements"),
    [(2, 3), (2, 9), *((3, at) for at in range(14)), (4, 0), (4, 1), (4, 2), *((5, at) for at in range(6))],
)
def test_moving_is_brought_to_its_end_by_the_next_run(host, controller, at_pipeline, statements):
    two = {**SHARE, "share": "Today"}
    done(present(controller, SHARE, LINK))
    trouble = Trouble(at=at_pipeline, statements=statements)
    with pytest.raises(Killed):
        controller.task("snapshot", {**BASE, "expose": [two, {**LINK, "path": "C:\\Other"}]}, trouble=trouble)
    answer = done(present(controller, two, {**LINK, "path": "C:\\Other"}))
    assert at(answer) == "\\\\SRV1\\Today"
    now = ours(host)
    assert list(now["shares"]) == ["Today"]
    assert over_smb(host, "alice", "\\\\srv1\\Today\\Data\\a.txt") == b"then"
    assert [link.split(" ")[0] for link in now["links"]] == ["C:\\Other"]
    assert done(present(controller, two, {**LINK, "path": "C:\\Other"}))["changed"] is False
    done(controller.task("snapshot", {"name": "s", "state": "absent"}))
    left = ours(host)
    assert (left["shares"], left["links"], left["exposures"], left["tasks"]) == ({}, [], [], [])
