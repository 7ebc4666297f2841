# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables below data/."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from vsslab import tables


@lru_cache(maxsize=8)
def table(name: str) -> Any:
    """The parsed table data/<name>.yml; do not change it."""
    return tables.load("vsslab.vss", f"data/{name}.yml")
