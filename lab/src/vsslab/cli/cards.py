# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which laboratories run: a card for each process, in a folder of the user's own."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vsslab.control import ControlError
from vsslab.running import MARK, is_running

Card = dict[str, Any]


def folder() -> Path:
    """Where the cards are: below XDG_RUNTIME_DIR where that is a folder, else below the temporary one."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    base = Path(runtime) if runtime and os.access(runtime, os.W_OK) else Path(tempfile.gettempdir())
    return base / f"vsslab-{os.getuid()}"


@contextlib.contextmanager
def registered(card: Mapping[str, Any]) -> Iterator[None]:
    """Keep a card for as long as the laboratory runs; OSError when the folder is somebody else's."""
    path = folder() / f"{card['pid']}.json"
    path.parent.mkdir(mode=0o700, exist_ok=True)
    if path.parent.stat().st_uid != os.getuid():
        raise OSError(f"The folder {path.parent} belongs to somebody else")
    path.write_text(json.dumps(card), encoding="utf-8")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def running() -> list[Card]:
    """The cards of the laboratories that run; those of dead ones are removed, with the folders nobody wanted kept."""
    found = []
    for path in sorted(folder().glob("*.json")):
        try:
            card: Card = json.loads(path.read_text(encoding="utf-8"))
            alive = is_running(Path(card["state"])) and Path(f"/proc/{card['pid']}").exists()
        except (OSError, ValueError, KeyError, TypeError):
            alive = False
        if alive:
            found.append(card)
        else:
            _sweep(path)
            path.unlink(missing_ok=True)
    return found


def _sweep(path: Path) -> None:
    """Remove the temporary state folder of a laboratory that was killed."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        card = json.loads(path.read_text(encoding="utf-8"))
        state = Path(card["state"])
        if card["temporary"] is True and (state / MARK).exists() and not is_running(state):
            shutil.rmtree(state, ignore_errors=True)


def only_state() -> Path:
    """The state folder of the only laboratory that runs; ControlError when there is none, or more than one."""
    found = running()
    if not found:
        raise ControlError("No laboratory runs on this machine.")
    if len(found) > 1:
        states = ", ".join(str(each["state"]) for each in found)
        raise ControlError(f"{len(found)} laboratories run; say which one with --state: {states}.")
    return Path(found[0]["state"])
