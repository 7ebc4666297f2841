# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a laboratory runs with a state folder."""

from __future__ import annotations

import fcntl
from pathlib import Path

MARK = "vsslab.json"
"""The file in a state folder that its laboratory holds locked."""


def is_running(state: Path) -> bool:
    """True while a laboratory runs with this state folder."""
    try:
        with (state / MARK).open("a") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False
