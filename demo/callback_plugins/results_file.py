# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An Ansible callback that writes every task's result as one JSON line, for the demonstration and the tests."""

from __future__ import annotations

import json
import os

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: results_file
type: notification
short_description: Writes results as JSON lines
description: Writes the result of every task on every host to the file named by UMBRA_RESULTS, one JSON object a line.
"""


class CallbackModule(CallbackBase):
    """Writes {"host", "task", "action", "status", "result"} for every result to the file named by UMBRA_RESULTS."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "results_file"
    CALLBACK_NEEDS_ENABLED = True

    def _write(self, result: object, status: str) -> None:
        # the attributes are private in ansible-core 2.19 and public from 2.20 on
        task = getattr(result, "task", None) or result._task
        host = getattr(result, "host", None) or result._host
        data = getattr(result, "result", None) or result._result
        line = {
            "host": host.get_name(),
            "task": task.get_name(),
            "action": task.action,
            "status": status,
            "result": data,
        }
        with open(os.environ["UMBRA_RESULTS"], "a", encoding="utf-8") as out:
            out.write(json.dumps(line, default=str) + "\n")

    def v2_runner_on_ok(self, result: object) -> None:
        self._write(result, "ok")

    def v2_runner_on_failed(self, result: object, ignore_errors: bool = False) -> None:
        self._write(result, "failed")

    def v2_runner_on_unreachable(self, result: object) -> None:
        self._write(result, "unreachable")

    def v2_runner_on_skipped(self, result: object) -> None:
        self._write(result, "skipped")
