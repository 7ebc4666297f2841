# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the logs in a run's folder tell: which shadow copies were made, also when nobody was left to record them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from .. import _verbs as verbs
from .._host import Host
from .._pipeline import Reply, Statement
from . import diskshadow, records
from .model import guid
from .paths import join

_SHADOW_ID = re.compile(r'"ShadowID"\s*:\s*"(\{[0-9A-Fa-f-]{36}\})"')
MANIFEST = "umbra-vss.json"  # beside a backup's copies: what they are, and whether they are whole

# Logs that tell what was made; those of robocopy name files, and a file may be named like anything.
MADE = "made-"
# Empty files in this folder are named by shadow copies that the engine cim made: the lease goes by their names.
MADE_IDS = "made"
_AT_WORK_PAUSES = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0)  # seconds


def logs(host: Host, run: str) -> Statement:
    """The statement that reads a run's logs: diskshadow's own, and the answers of the cim engine."""
    return verbs.read_texts(f"logs-{run}", join(records.run_folder(host.windows, run), f"{MADE}*.log"))


def busy() -> Statement:
    """The statement that tells which diskshadow processes are at work, and on what."""
    return verbs.cim("busy", "Win32_Process", ("ProcessId", "CommandLine"), "Name='diskshadow.exe'")


def ids_in_logs(texts: Iterable[str]) -> tuple[str, ...]:
    """IDs of the shadow copies that a run's logs tell it made: diskshadow's log and the answers of the cim engine.

    A log whose encoding is not the one it was read in still holds its ASCII letters, with zero bytes in between.
    """
    found: list[str] = []
    for text in texts:
        plain = text.replace("\0", "")
        found += diskshadow.read(plain).shadow_ids
        found += [guid(identity) for identity in _SHADOW_ID.findall(plain)]
    return tuple(dict.fromkeys(found))


def settle(
    host: Host, ask: Callable[[], Sequence[Statement]], runs: Iterable[str], sleep: Callable[[float], None]
) -> Reply:
    """Ask until no diskshadow of these runs is at work, for about a minute: a sooner answer would not last."""
    names = tuple(runs)
    reply = host.ask(*ask(), allow=True)
    for pause in _AT_WORK_PAUSES:
        if not at_work(reply, names):
            break
        sleep(pause)
        reply = host.ask(*ask(), allow=True)
    return reply


def at_work(reply: Reply, runs: Iterable[str]) -> list[str]:
    """The runs of which a diskshadow is still at work."""
    told = [str(process.get("CommandLine") or "") for process in reply["busy"].values]
    return [run for run in runs if any(run in command for command in told)]


def manifest_of(texts: Sequence[str]) -> dict[str, Any] | None:
    """The manifest in a destination, None when there is none that can be read."""
    for text in texts:
        try:
            found = json.loads(text.lstrip("\ufeff"))
        except ValueError:
            continue
        if isinstance(found, dict) and found.get("tool") == "umbra.vss":
            return found
    return None
