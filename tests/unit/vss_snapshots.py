# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Declarations of snapshots for a host in a dictionary, and what they leave there."""

from __future__ import annotations

import json
from datetime import timedelta

from ansible_collections.umbra.vss.plugins.plugin_utils._vss.snapshots import snapshot

from .vss_fake_host import NOW

ARGS = {"name": "nightly", "volumes": ["D:"], "consistency": "application", "timeout": 0}
ABSENT = {"state": "absent", "timeout": 0}
THEIRS = "{99999999-0000-0000-0000-000000000000}"
THEIR_SET = "{88888888-0000-0000-0000-000000000000}"
SYSTEM_PROVIDER = "{B5946137-7B9F-4925-AF80-51ABD60B20D5}"


def said(text):
    """Nobody listens."""


def present(windows, check=False, **more):
    return snapshot(windows.host, {**ARGS, **more}, check, said)


def absent(windows, check=False, **more):
    return snapshot(windows.host, {**ABSENT, **more}, check, said)


def records(windows):
    found = [json.loads(text) for path, text in windows.files.items() if path.endswith("record.json")]
    return {record["run"]: record for record in found}


def aged(windows, run, hours):
    """Make a snapshot as old as that, as if the host's clock had gone on (or back, when negative)."""
    (path,) = [path for path in windows.files if path.endswith(f"{run}\\record.json")]
    record = json.loads(windows.files[path])
    record["created"] = (NOW - timedelta(hours=hours)).isoformat().replace("+00:00", ".000Z")
    windows.files[path] = json.dumps(record)


def several(windows, *hours, name="nightly"):
    """Snapshots of one name, of these ages; their runs."""
    runs = []
    for age in hours:
        runs.append(present(windows, name=name, max_age=0)["record"])
        aged(windows, runs[-1], age)
    return runs
