# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rooms of the laboratory: who may import whom, who may run an event loop or ask the machine what time it is."""

from __future__ import annotations

import ast
import graphlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import vsslab

SOURCES = Path(vsslab.__file__).parent
ROOMS: tuple[tuple[str, ...], ...] = (
    ("__main__", "cli", "pytest_plugin", "reference", "coverage"),
    ("page", "timeline", "timeline_words"),
    ("lab", "fleet", "state", "scenario", "specs", "schema", "hosts", "inventory", "addresses", "certificates",
     "control", "running"),
    ("wire",),
    ("engine",),
    ("programs",),
    ("vss",),
    ("windows",),
    ("incidents", "faults", "faultwords", "labtime", "trace", "tables", "refusal"),
)  # fmt: skip
"""From the top down; a module imports from its own room and from those below it."""
APART = "apps"
"""Programs of their own; `vsslab.apps.driver` starts them, and `vsslab.apps.books` reads what they wrote."""
STARTS_APPLICATIONS = {"fleet", "lab", "state"}
UPWARDS = {
    ("vsslab.incidents", "vsslab.windows.host"): "a name in annotations only: incidents befall a host",
}
"""Imports that go the other way, each with its reason."""
SIMULATED = ("wire", "engine", "programs", "vss", "windows")
MACHINE_TIME = {"time.sleep", "time.time", "datetime.datetime.now", "datetime.datetime.utcnow", "datetime.date.today"}


def _modules() -> dict[str, ast.Module]:
    found = {}
    for path in sorted(SOURCES.rglob("*.py")):
        parts = path.relative_to(SOURCES.parent).with_suffix("").parts
        found[".".join(parts)] = ast.parse(path.read_text(encoding="utf-8"), str(path))
    return found


MODULES = _modules()
LEVELS = {name: level for level, names in enumerate(ROOMS) for name in names}


def _room(module: str) -> str:
    return module.split(".")[1]


def _target(module: str, node: ast.ImportFrom) -> str:
    """The absolute name of what an import names before its `import`."""
    base = module.split(".")[: -node.level] if node.level else []
    return ".".join([*base, *([node.module] if node.module else [])])


def _imports(module: str, nodes: Iterator[ast.AST]) -> Iterator[tuple[str, int]]:
    """What a module imports, as names of modules (packages without their `__init__`), and the line."""
    for node in nodes:
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "importlib.import_module":
            name = node.args[0]
            if isinstance(name, ast.Constant):
                yield str(name.value), node.lineno
        elif isinstance(node, ast.Import):
            yield from ((each.name, node.lineno) for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            target = _target(module, node)
            for each in node.names:
                inner = f"{target}.{each.name}"
                known = inner in MODULES or f"{inner}.__init__" in MODULES
                yield (inner if known else target), node.lineno


def _own(module: str, nodes: Iterator[ast.AST]) -> Iterator[tuple[str, int]]:
    for target, line in _imports(module, nodes):
        if target.startswith("vsslab."):
            yield target, line


def _may(module: str, target: str) -> bool:
    source, goal = _room(module), _room(target)
    if source == goal or (module, target) in UPWARDS:
        return True
    if goal == APART:
        return source in STARTS_APPLICATIONS
    return source != APART and LEVELS[source] <= LEVELS[goal]


def test_every_module_has_its_room():
    found = {_room(module) for module in MODULES} - {"__init__"}
    assert found == {*LEVELS, APART}


def test_imports_go_down_only():
    wrong = [
        f"{module}:{line} imports {target}"
        for module, tree in MODULES.items()
        for target, line in _own(module, ast.walk(tree))
        if not _may(module, target)
    ]
    assert not wrong


def test_imports_that_go_up_are_still_there():
    made = {(module, target) for module, tree in MODULES.items() for target, _ in _own(module, ast.walk(tree))}
    assert set(UPWARDS) <= made


def test_modules_can_be_imported_in_some_order():
    """No two modules need each other at import, other than for annotations."""
    needs = {
        module.removesuffix(".__init__"): {target for target, _ in _own(module, iter(tree.body))}
        for module, tree in MODULES.items()
    }
    graphlib.TopologicalSorter(needs).prepare()  # CycleError names the circle


def test_the_laboratory_does_not_know_the_product():
    wrong = [
        f"{module}:{line} imports {target}"
        for module, tree in MODULES.items()
        for target, line in _imports(module, ast.walk(tree))
        if target.split(".")[0] in ("ansible", "ansible_collections")
    ]
    assert not wrong


def test_event_loops_run_in_the_wire_only():
    users = {
        _room(module)
        for module, tree in MODULES.items()
        for target, _ in _imports(module, ast.walk(tree))
        if target.split(".")[0] == "asyncio"
    }
    assert users == {"wire"}


@pytest.mark.parametrize("room", SIMULATED)
def test_what_is_simulated_lives_by_the_clock_of_the_laboratory(room: str):
    """Waiting and dating is the host's clock's; measuring the laboratory's own work (`monotonic`) is not meant."""
    wrong = [
        f"{module}:{node.lineno} calls {ast.unparse(node.func)}"
        for module, tree in MODULES.items()
        if _room(module) == room
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in MACHINE_TIME
    ]
    assert not wrong
