# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

from ..plugin_utils._action import VssAction
from ..plugin_utils._host import Host
from ..plugin_utils._vss import storage


class ActionModule(VssAction):
    """The storage area of a volume, present or absent, of a size."""

    def plan(self, host: Host, args: dict[str, Any], check: bool) -> dict[str, Any]:
        """See VssAction."""
        return storage.storage(host, args, check, self.say)
