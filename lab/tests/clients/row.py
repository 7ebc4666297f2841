# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The matrix of clients and authentications, from matrix.yml."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

import yaml


@dataclass(frozen=True)
class Row:
    """One client connecting in one way.  `words`: what the client says, as a regular expression, when it is refused."""

    client: str
    scheme: str
    auth: str
    encryption: str = "auto"
    password: str = "right"
    service: str = "strict"
    works: bool = True
    words: str = ""

    def __str__(self) -> str:
        wrong = "" if self.password == "right" else ", wrong password"
        service = "" if self.service == "strict" else f", {self.service} service"
        return f"{self.client}, {self.scheme}, {self.auth}, encryption {self.encryption}{wrong}{service}"


def rows() -> list[Row]:
    """Every row; a list in the table stands for one row an element."""
    found: list[Row] = []
    for each in yaml.safe_load((Path(__file__).parent / "matrix.yml").read_text(encoding="utf-8")):
        values = {key: value if isinstance(value, list) else [value] for key, value in each.items() if key != "why"}
        found += [Row(**dict(zip(values, chosen, strict=True))) for chosen in itertools.product(*values.values())]
    return found
