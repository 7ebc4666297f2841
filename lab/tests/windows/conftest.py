# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host with Windows on C:, data on D: (32 MiB) and a volume mounted at C:\\mnt\\data."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from vsslab.labtime import UTC, LabTime
from vsslab.windows.host import Host

MIB = 1 << 20
NOON = datetime.datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.fixture
def make_host(tmp_path: Path) -> Iterator[Callable[..., Host]]:
    made: list[Host] = []

    def make(**options: Any) -> Host:
        settings: dict[str, Any] = {
            "volumes": [
                {"letter": "C"},
                {"letter": "D", "label": "Data", "capacity": 32 * MIB},
                {"label": "mounted", "mounts": ["C:\\mnt\\data\\"]},
            ],
            "users": [
                {"name": "Administrator", "password": "secret", "administrator": True},
                {"name": "bob", "password": "hidden"},
            ],
        }
        host = Host(f"srv{len(made) + 1}", tmp_path / f"host{len(made)}", **{**settings, **options})
        made.append(host)
        return host

    yield make
    for each in made:
        each.close()


@pytest.fixture
def time() -> Iterator[LabTime]:
    """Virtual time that begins at noon, UTC."""
    made = LabTime(virtual=True, start=NOON)
    yield made
    made.close()


@pytest.fixture
def host(make_host: Callable[..., Host]) -> Host:
    return make_host()
