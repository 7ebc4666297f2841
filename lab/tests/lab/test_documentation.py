# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the documentation says is so: pages are those of the tables, and the tour can be walked."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import vsslab
from vsslab import reference, scenario
from vsslab.cli import manual
from vsslab.cli.parser import build

pytestmark = pytest.mark.slow

LAB = Path(__file__).parents[2]


@pytest.mark.parametrize("name", sorted(reference.PAGES))
def test_pages_written_from_tables_are_up_to_date(name):
    text = (LAB / "docs" / name).read_text(encoding="utf-8")
    assert text == reference.PAGES[name](), "run: python -m vsslab.reference lab/docs"


def test_every_key_of_a_scenario_is_explained():
    keys = {name for name, _ in scenario.all_keys()}
    assert keys - set(reference.key_texts()) == set(), "data/scenario-keys.yml lacks these"
    assert set(reference.key_texts()) - keys == set(), "data/scenario-keys.yml speaks of keys there are not"


def test_every_command_has_a_page_and_every_page_a_command():
    def walk(parser, prefix=""):
        for name, below in manual.below(parser).items():
            yield prefix + name
            yield from walk(below, f"{prefix}{name} ")

    assert {"vsslab", *walk(build())} == set(manual.pages())


def test_links_of_the_documentation_lead_somewhere():
    for page in [LAB / "README.md", *(LAB / "docs").glob("*.md")]:
        for link in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
            assert link.startswith("http") or (page.parent / link).exists(), f"{page.name}: {link}"


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (LAB / "README.md").read_text(encoding="utf-8"), re.DOTALL)


def _commands() -> list[str]:
    return [line[2:] for block in _blocks("console") for line in block.splitlines() if line.startswith("$ ")]


def test_the_tour_can_be_walked(tmp_path):
    shim = tmp_path / "bin"
    shim.mkdir()
    for name, line in (
        ("vsslab", f'exec "{sys.executable}" -m vsslab "$@"'),
        ("python3", f'exec "{sys.executable}" "$@"'),
    ):
        (shim / name).write_text(f"#!/bin/sh\n{line}\n")
        (shim / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{shim}:{os.environ['PATH']}", "TMPDIR": str(tmp_path), "XDG_RUNTIME_DIR": "",
                   "PYTHONPATH": str(Path(vsslab.__file__).parent.parent)}  # fmt: skip
    (tmp_path / "hello.py").write_text(_blocks("python")[0], encoding="utf-8")
    install, up, *rest = _commands()
    assert install == "pip install ./lab pypsrp"  # tried in test_packaging.py
    process = subprocess.Popen(
        f"exec {up}", shell=True, stdout=subprocess.PIPE, text=True, env=environment, cwd=tmp_path
    )
    try:
        assert json.loads(process.stdout.readline())["scenario"] == "office"
        told = {}
        for command in rest:
            done = subprocess.run(command, shell=True, capture_output=True, text=True, env=environment, cwd=tmp_path,
                                  timeout=120, check=False)  # fmt: skip
            assert (done.returncode, done.stderr) == (0, ""), command
            told.setdefault(command, []).append(done.stdout)
        assert process.wait(20) == 0
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(20)
    assert told["python3 hello.py"] == ["ReturnValue 0\n"]
    assert "as ordered" in told['python3 hello.py || echo "as ordered"'][0]
    assert "Invoke-CimMethod" in told["vsslab trace --timeline --host sql01"][0]
    assert json.loads(told["vsslab fault list"][0])["fired"] == 1
