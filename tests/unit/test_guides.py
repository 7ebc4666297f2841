# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the guides show can be copied: options are the modules', scenarios are the laboratory's, tables are current."""

from __future__ import annotations

import ast
import importlib.util
import itertools
import re
from pathlib import Path

import pytest
import yaml
from ansible.playbook.play import Play
from ansible.playbook.task import Task
from ansible_collections.umbra.vss.plugins.plugin_utils import _spec

from .guides import GUIDES, snippets

scenario = pytest.importorskip("vsslab.scenario", reason="the laboratory is not installed here; `make test` has it")
Faults = pytest.importorskip("vsslab.faults", reason="the laboratory is not installed here; `make test` has it").Faults

ROOT = Path(__file__).resolve().parents[2]
YAML = snippets("yaml")
TEMPLATE = re.compile(r"\{\{.*\}\}")
SAMPLES = {"bool": True, "int": 1, "float": 1.0, "dict": {}, "list": []}
SAID = re.compile(r"^``([^`]+)``(?:, ``[^`]+``)*$")


def of_kind(*kinds):
    found = [each for each in YAML if each.kind in kinds]
    assert found
    return pytest.mark.parametrize("snippet", found, ids=lambda snippet: snippet.where)


def tasks(items):
    """Every task of these, those of blocks included."""
    for item in items:
        inner = [each for word in ("block", "rescue", "always") for each in item.get(word, [])]
        yield from tasks(inner) if inner else [item]


def filled(value, told):
    """An option's value with templates replaced by what they could give."""
    if isinstance(value, str) and TEMPLATE.search(value):
        return SAMPLES.get(told.get("type", "str"), told.get("choices", [value])[0])
    if isinstance(value, dict) and "options" in told:
        return {name: filled(each, told["options"].get(name, {})) for name, each in value.items()}
    if isinstance(value, list) and "options" in told:
        return [filled(each, {"options": told["options"]}) for each in value]
    return value


def check_task(task):
    module = [word for word in task if "." in word]
    others = set(task) - set(module) - set(Task.fattributes)
    assert len(module) == 1, f"which of {sorted(task)} is the module?"
    assert not others, f"{others} are no words of a task"
    assert task.get("name"), f"{module[0]} has no name"
    name, arguments = module[0], task[module[0]]
    if name.startswith("umbra.vss."):
        name = name.removeprefix("umbra.vss.")
        spec = _spec.argument_spec(_spec.read(name))
        given = {option: filled(value, spec.get(option, {})) for option, value in (arguments or {}).items()}
        assert _spec.check(spec, given, name).error == ""


@of_kind("plays", "tasks")
def test_tasks_have_options_that_the_modules_have(snippet):
    for item in snippet.data if snippet.kind == "tasks" else [task for play in snippet.data for task in play["tasks"]]:
        for task in tasks([item]):
            check_task(task)


@of_kind("plays")
def test_plays_are_plays(snippet):
    for play in snippet.data:
        assert not set(play) - set(Play.fattributes)
        assert play["gather_facts"] is False, "gathering facts needs scripts on the host"
    assert snippet.file.endswith(".yml"), "a playbook says its file's name in the first line"


@of_kind("scenario")
def test_scenarios_are_the_laboratorys(snippet):
    assert scenario.read(snippet.text, snippet.file).hosts


@of_kind("faults")
def test_faults_are_the_laboratorys(snippet):
    faults = Faults()
    for fault in snippet.data:
        faults.add({"on" if word is True else word: value for word, value in fault.items()})  # YAML's on is true


def test_everything_else_in_yaml_is_an_inventory_or_variables_of_one():
    for snippet in YAML:
        if snippet.kind == "variables":
            names = set(snippet.data)
            assert names == {"all"} or all(name.startswith("ansible_") for name in names), snippet.where


def test_variables_of_the_playbook_are_those_that_it_reads():
    read = set(re.findall(r"\bbackup_[a-z_]+", (ROOT / "playbooks" / "backup.yml").read_text(encoding="utf-8")))
    for snippet in YAML:
        assert set(re.findall(r"\bbackup_[a-z_]+(?=:)", snippet.text)) <= read, snippet.where


def test_python_in_the_guides_is_python():
    for snippet in snippets("python"):
        compile(snippet.text, snippet.where, "exec")


def test_no_file_is_two_files():
    files = [each.file for each in snippets() if each.file]
    assert len(files) == len(set(files))


def test_pages_of_tables_are_up_to_date():
    spec = importlib.util.spec_from_file_location("docs_tables", ROOT / "docs" / "tables.py")
    tables = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tables)
    for name, make in tables.PAGES.items():
        assert (GUIDES / name).read_text(encoding="utf-8") == make(), "run: make docs"


def test_every_guide_is_in_the_table_of_contents():
    told = yaml.safe_load((GUIDES.parent / "extra-docs.yml").read_text(encoding="utf-8"))
    assert sorted(page for each in told["sections"] for page in each["toctree"]) == sorted(
        path.stem for path in GUIDES.glob("*.rst")
    )


def texts(node):
    """Every text of a program: f-strings in one piece, with three dots for what is filled in."""
    if isinstance(node, ast.JoinedStr):
        yield "".join(part.value if isinstance(part, ast.Constant) else "..." for part in node.values)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    else:
        for child in ast.iter_child_nodes(node):
            yield from texts(child)


def said():
    """The sentences, or parts of them, that the guide to troubleshooting explains."""
    lines = (GUIDES / "guide_troubleshooting.rst").read_text(encoding="utf-8").splitlines()
    for line, after in itertools.pairwise(lines):
        if SAID.match(line) and after.startswith("  "):
            yield from re.findall(r"``([^`]+)``", line)


def test_sentences_that_are_explained_are_those_that_the_code_says():
    code = "\n".join(
        " ".join(text.split())
        for path in sorted((ROOT / "plugins").rglob("*.py"))
        for text in texts(ast.parse(path.read_text(encoding="utf-8")))
    )
    found = list(said())
    assert len(found) > 20
    for sentence in found:
        pattern = ".{1,60}".join(re.escape(part.strip()) for part in sentence.split("..."))
        assert re.search(pattern, code), sentence


def test_programs_that_the_endpoint_allows_are_told_to_security_teams():
    allowed = yaml.safe_load((ROOT / "roles" / "jea_endpoint" / "vars" / "main.yml").read_text(encoding="utf-8"))
    guide = (GUIDES / "guide_security.rst").read_text(encoding="utf-8")
    for program in allowed["__jea_endpoint_programs"]:
        assert f"``{program}``" in guide
