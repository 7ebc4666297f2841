# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The event log's queries, which wevtutil understands too: see `vsslab.windows.eventquery`."""

from __future__ import annotations

from vsslab.windows.eventquery import NotSimulated, Predicate, QueryError, parse

__all__ = ["NotSimulated", "Predicate", "QueryError", "parse"]
