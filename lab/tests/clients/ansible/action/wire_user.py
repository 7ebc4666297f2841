# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An action for the tests: runs whoami over the psrp or winrm connection that the inventory describes, unmodified."""

from __future__ import annotations

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """Gives `user`, the account as the host sees it."""

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        self._connection._connect()
        result["user"] = self._over_psrp() if self._connection.transport == "psrp" else self._over_winrm()
        return result

    def _over_psrp(self):
        from pypsrp.powershell import PowerShell

        shell = PowerShell(self._connection.runspace)
        shell.add_cmdlet("whoami.exe")
        output = shell.invoke()
        if shell.had_errors:
            raise AnsibleError("; ".join(str(each) for each in shell.streams.error))
        return str(output[0])

    def _over_winrm(self):
        code, out, err = self._connection._winrm_exec("whoami", from_exec=True)
        if code:
            raise AnsibleError(err.decode("utf-8", "replace"))
        return out.decode().strip()
