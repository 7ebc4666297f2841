# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The integration tests' fleet, for tests that put the real engine in the place of the laboratory's interpreter."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def _load(name: str, file: str) -> Any:
    """A module of tests/integration, which is no package: how plays are run over a laboratory is said there, once."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "tests" / "integration" / file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


integration = _load("integration_fleet", "conftest.py")
jea = _load("integration_jea", "jea.py")
