# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The YAML tables that come with the packages of the laboratory."""

from __future__ import annotations

from importlib import resources
from typing import Any

import yaml

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where libyaml is there
_SUFFIX = ".yml"


def load(package: str, path: str) -> Any:
    """The table at `path` below a package, parsed anew at every call: callers keep what they need.

    FileNotFoundError where there is none, yaml.YAMLError for one that is no YAML.
    """
    return parse(resources.files(package).joinpath(path).read_text(encoding="utf-8"))


def parse(text: str) -> Any:
    """A YAML text as plain data; yaml.YAMLError."""
    return yaml.load(text, Loader=_LOADER)  # noqa: S506 - both are safe loaders


def names(package: str, folder: str) -> list[str]:
    """The tables in a folder of a package, without their suffix, sorted."""
    files = resources.files(package).joinpath(folder).iterdir()
    return sorted(each.name.removesuffix(_SUFFIX) for each in files if each.name.endswith(_SUFFIX))
