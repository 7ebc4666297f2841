# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A laboratory of two hosts that are alike, but for who runs their pipelines."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from vsslab.lab import Lab

SCENARIO = """\
name: engines
defaults:
  users: [{name: admin, password: Passw0rd!x, administrator: true}]
  volumes: [{letter: C}, {letter: D, label: Data}]
hosts:
  - {name: own, engine: interpreter}
  - {name: real}
  - name: jea
    endpoints:
      - name: backup
        role: {VisibleCmdlets: [Test-Path, {Name: Get-Service, Parameters: [{Name: Name, ValidateSet: [VSS]}]}],
               VisibleProviders: [FileSystem]}
"""


@pytest.fixture(scope="session")
def engine_folder() -> Path:
    """The folder of a real engine."""
    folder = os.environ.get("PSENGINE")
    if not folder:
        pytest.skip("PSENGINE does not name the folder of a PowerShell engine")
    return Path(folder)


@pytest.fixture(scope="module")
def lab(engine_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("lab")
    (folder / "engines.yml").write_text(SCENARIO, encoding="utf-8")
    plan = folder / "engines.yml"
    with Lab.from_scenario(plan, state=folder / "state", ports=(25985, 25986), engine=engine_folder) as made:
        yield made
