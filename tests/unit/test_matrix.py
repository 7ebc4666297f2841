# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When the versions of Ansible have to be tried again, and when what was remembered still holds."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def load(name):
    """A file of tests/matrix as a module."""
    spec = importlib.util.spec_from_file_location(f"matrix_{name}", ROOT / "tests" / "matrix" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def matrix():
    """tests/matrix/entries.py."""
    return load("entries")


@pytest.fixture
def running(matrix, clone, monkeypatch):
    """tests/matrix/run.py, at work in the copy."""
    monkeypatch.setitem(sys.modules, "entries", matrix)
    module = load("run")
    (clone / "tests" / "matrix").mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "tests" / "matrix" / "python", clone / "tests" / "matrix")
    monkeypatch.setattr(module, "ROOT", clone)
    monkeypatch.setattr(module, "BUILD", clone / ".build")
    return module


@pytest.fixture
def clone(matrix, tmp_path):
    """A copy of the files that matter, as far as they are here: a collection's tree has no laboratory."""
    for pattern in matrix.MATTERS:
        if not list(ROOT.glob(pattern)):
            path = tmp_path / pattern
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("", encoding="utf-8")
        for path in ROOT.glob(pattern):
            to = tmp_path / path.relative_to(ROOT)
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, to)
    return tmp_path


def passed(matrix, root, *names):
    """Remember that these entries passed with the files as they are."""
    now = matrix.digest(root)
    matrix.remember(root, {name: {"digest": now, "ansible": "2.99.1", "python": "3.99.1"} for name in names})


def names(matrix, root):
    return [entry.name for entry in matrix.entries(root)]


def test_every_entry_says_what_pip_is_asked_for(matrix):
    found = {entry.name: entry for entry in matrix.entries(ROOT)}
    assert found["2.16"].wanted == ["ansible-core>=2.16,<2.17"]
    assert found["2.16-lowest"].wanted == ["ansible-core>=2.16,<2.17", "pypsrp==0.8.1", "pywinrm==0.4.3"]
    assert [entry.lab for entry in found.values()].count(True) == 1


def test_the_lowest_libraries_are_those_that_the_requirements_allow(matrix):
    allowed = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    (lowest,) = (entry for entry in matrix.entries(ROOT) if entry.libraries)
    for library in lowest.libraries:
        assert f"\n{library.replace('==', '>=')}" in allowed


def test_the_oldest_ansible_is_the_one_that_the_collection_asks_for(matrix):
    asked = (ROOT / "meta" / "runtime.yml").read_text(encoding="utf-8")
    oldest = matrix.entries(ROOT)[0]
    assert f"'{oldest.ansible.split(',')[0]}.0'" in asked


def test_entries_are_chosen_by_name(matrix):
    assert [entry.name for entry in matrix.entries(ROOT, ["2.20", "2.16"])] == ["2.20", "2.16"]
    with pytest.raises(matrix.Unknown, match=r"no entry 2\.1, but 2\.16, 2\.16-lowest"):
        matrix.entries(ROOT, ["2.1"])


def test_what_passed_holds_until_a_file_that_matters_changes(matrix, clone):
    assert matrix.still_holds(clone) == {}
    passed(matrix, clone, *names(matrix, clone))
    assert list(matrix.still_holds(clone)) == names(matrix, clone)
    (clone / "plugins" / "plugin_utils" / "_host.py").write_text("# above the carrier\n", encoding="utf-8")
    assert list(matrix.still_holds(clone)) == names(matrix, clone)


@pytest.mark.parametrize(
    "file",
    [
        "plugins/plugin_utils/_carrier.py",
        "plugins/plugin_utils/_spec.py",
        "plugins/action/info.py",
        "requirements.txt",
        "requirements-dev.txt",
        "lab/pyproject.toml",
        "tests/matrix/versions.yml",
    ],
)
def test_a_change_of_a_file_that_matters_ends_what_passed(matrix, clone, file):
    passed(matrix, clone, *names(matrix, clone))
    with (clone / file).open("a", encoding="utf-8") as out:
        out.write("\n# changed\n")
    assert matrix.still_holds(clone) == {}


def test_a_new_action_and_a_new_name_count_as_changes(matrix, clone):
    before = matrix.digest(clone)
    (clone / "plugins" / "action" / "more.py").write_text("", encoding="utf-8")
    with_more = matrix.digest(clone)
    (clone / "plugins" / "action" / "more.py").rename(clone / "plugins" / "action" / "other.py")
    assert len({before, with_more, matrix.digest(clone)}) == 3


def test_what_matters_cannot_go_unnoticed(matrix, clone):
    (clone / "plugins" / "plugin_utils" / "_riders.py").unlink()
    with pytest.raises(matrix.Unknown, match=r"there is no plugins/plugin_utils/_riders\.py any more"):
        matrix.digest(clone)


def test_only_the_entry_that_passed_again_holds(matrix, clone):
    passed(matrix, clone, *names(matrix, clone))
    (clone / "requirements.txt").write_text("pypsrp\n", encoding="utf-8")
    passed(matrix, clone, "2.20")
    assert list(matrix.still_holds(clone)) == ["2.20"]
    assert list(matrix.remembered(clone)) == names(matrix, clone)


def test_an_entry_that_left_the_table_is_forgotten(matrix, clone):
    passed(matrix, clone, *names(matrix, clone))
    (clone / matrix.TABLE).write_text('"2.20": {ansible: ">=2.20", python: "3.13"}\n', encoding="utf-8")
    passed(matrix, clone, "2.20")
    assert list(matrix.remembered(clone)) == ["2.20"]


def test_what_holds_is_said_and_not_run_again(matrix, running, clone, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["run.py", "--if-needed"])
    passed(matrix, clone, *names(matrix, clone))
    assert running.main() == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert "ansible-core 2.99.1 on Python 3.99.1" in line
    assert line.endswith("not run again")


def test_only_what_does_not_hold_is_run_and_named(matrix, running, clone, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["run.py", "--if-needed"])
    ran = []
    told = dict.fromkeys(("entry", *running.COUNTED), 0)
    monkeypatch.setattr(
        running, "row", lambda entry, suites, _: ran.append((entry.name, [s.name for s in suites])) or told
    )
    passed(matrix, clone, *names(matrix, clone)[:-2])
    assert running.main() == 0
    assert ran == [("2.20", ["unit", "integration"]), ("2.21", ["unit", "integration"])]
    assert "since it passed with: 2.20, 2.21\n" in capsys.readouterr().out
    assert list(matrix.still_holds(clone)) == names(matrix, clone)[:-2]  # a few suites are not the whole


def test_an_entry_whose_python_cannot_be_had_fails(running, monkeypatch, capfd):
    monkeypatch.setattr(sys, "argv", ["run.py", "--if-needed"])
    for version in ("3_11", "3_13"):
        monkeypatch.setenv(f"PYTHON_{version}", "/no/such/python")
    assert running.main() == 1
    said = capfd.readouterr()
    assert "have changed since it passed with: 2.16, 2.16-lowest" in said.out
    assert "PYTHON_3_13=/no/such/python is not that" in said.err
    assert said.err.splitlines()[-1].startswith("Failed: 2.16, 2.16-lowest, 2.18")


def test_pytest_itself_failing_counts_as_a_failure(running, tmp_path):
    assert running.read_counts(tmp_path / "none.xml")["failed"] == 1
    told = '<testsuites><testsuite tests="9" failures="1" errors="2" skipped="3"/></testsuites>'
    (tmp_path / "some.xml").write_text(told, encoding="utf-8")
    assert running.read_counts(tmp_path / "some.xml") == {"passed": 3, "failed": 3, "skipped": 3}
