# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables below data/."""

from __future__ import annotations

import importlib.resources
from functools import lru_cache
from typing import Any

import yaml

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@lru_cache(maxsize=8)
def table(name: str) -> Any:
    """The parsed table data/<name>.yml; do not change it."""
    text = importlib.resources.files(__package__).joinpath(f"data/{name}.yml").read_text(encoding="utf-8")
    return parsed(text)


def parsed(text: str) -> Any:
    """A YAML text as plain data."""
    return yaml.load(text, Loader=_LOADER)  # noqa: S506 - both are safe loaders
