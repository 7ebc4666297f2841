# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plain table for a terminal."""

from __future__ import annotations

from collections.abc import Sequence


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell, numbers to the right, a rule under the heads."""
    widths = [max(len(str(r[i])) for r in [head, *rows]) for i in range(len(head))]
    right = [all(str(r[i])[:1].isdigit() for r in rows) for i in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        return (
            "  "
            + "  ".join(
                str(c).rjust(w) if r else str(c).ljust(w) for c, w, r in zip(cells, widths, right, strict=True)
            ).rstrip()
        )

    return "\n".join([line(head), "  " + "  ".join("-" * w for w in widths), *(line(r) for r in rows)])
