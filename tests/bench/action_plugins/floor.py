# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The floor of every action on a host: open the connection, close it, nothing else."""

from __future__ import annotations

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """Opens and closes."""

    _requires_connection = True

    def run(self, tmp=None, task_vars=None):
        """Nothing."""
        super().run(tmp, task_vars)
        self._connection._connect()
        self._connection.close()
        return {"changed": False}
