# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The laboratory is a package of its own: built, installed and run away from its sources."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

LAB = Path(__file__).parents[2]
SOURCES = LAB / "src"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    pytest.importorskip("setuptools", minversion="70.1", reason="a wheel is built by setuptools 70.1 or later")
    folder = tmp_path_factory.mktemp("wheel")
    unwanted = shutil.ignore_patterns("__pycache__", "*.egg-info", "build", ".*")
    shutil.copytree(LAB, folder / "lab", ignore=unwanted)  # building leaves files beside the sources
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-q",
               "-w", str(folder), str(folder / "lab")]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    (made,) = folder.glob("vsslab-*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    target = tmp_path_factory.mktemp("installed")
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "-q", "--target", str(target),
               str(wheel)]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    return target


def test_a_wheel_holds_every_file_of_the_package(wheel):
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if name.startswith("vsslab/")}
        metadata = next(name for name in archive.namelist() if name.endswith("/entry_points.txt"))
        points = archive.read(metadata).decode()
    there = {str(path.relative_to(SOURCES)) for path in (SOURCES / "vsslab").rglob("*")
             if path.is_file() and not any(part.startswith((".", "__pycache__")) for part in path.parts)}  # fmt: skip
    assert there - inside == set()
    assert "vsslab = vsslab.cli:main" in points
    assert "vsslab = vsslab.pytest_plugin" in points


@pytest.mark.parametrize("way", ["script", "module"])
def test_what_was_installed_runs_anywhere(installed, tmp_path, way):
    ways = {"script": [str(installed / "bin" / "vsslab")], "module": ["-m", "vsslab"]}
    command = [sys.executable, *ways[way]]
    environment = {**os.environ, "PYTHONPATH": str(installed), "TMPDIR": str(tmp_path), "XDG_RUNTIME_DIR": ""}
    process = subprocess.Popen([*command, "up", "--hosts", "2", "--port", "0"], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, env=environment, cwd=tmp_path)  # fmt: skip
    card = json.loads(process.stdout.readline())
    assert len(card["addresses"]) == 2
    assert {5985, 5986} & set(card["ports"].values()) == set()
    asked = subprocess.run([*command, "ps"], check=True, capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert json.loads(asked.stdout)["pid"] == process.pid
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")
    assert not Path(card["state"]).exists(), "a state folder nobody asked for is removed"
