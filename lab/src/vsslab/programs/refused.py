# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that every Windows has and the laboratory does not simulate: each says so by its name."""

from __future__ import annotations

import ntpath

from ..windows.processes import Invocation


def main(call: Invocation) -> int:
    """Say so, and fail."""
    call.host.refusals[ntpath.basename(call.argv[0]).lower()] += 1
    call.err(f"vsslab does not simulate {ntpath.basename(call.argv[0])}.")
    return 1
