# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running hostile cases by Hypothesis, so many for each room, and what they leave behind."""

from __future__ import annotations

import gc
import resource
import sys
import time
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, Phase, seed, settings

CASES = {"http": 5000, "connection": 2000, "soap": 4000, "operations": 2000, "fragments": 5000, "clixml": 2000}
counted: Counter[str] = Counter()


def memory():
    """Blocks of memory that Python holds, and bytes that the process holds."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return sys.getallocatedblocks(), pages * resource.getpagesize()


class Room:
    """The cases of one room, in two halves; what the second leaves behind is growth."""

    def __init__(self, name: str):
        self.name, self.took = name, 0.0
        self.blocks = self.resident = 0

    def run(self, case):
        """Run both halves: the same cases each time, others in the second half."""
        began = time.monotonic()
        limits = {"max_examples": CASES[self.name] // 2, "deadline": None, "derandomize": False, "database": None}
        test = settings(**limits, phases=(Phase.generate, Phase.shrink), suppress_health_check=list(HealthCheck))(case)
        before = (0, 0)
        for half in (1, 2):
            before = memory()
            seed(half)(test)()
        self.blocks, self.resident = (now - then for then, now in zip(before, memory(), strict=True))
        self.took = time.monotonic() - began

    def __call__(self):
        counted[self.name] += 1
