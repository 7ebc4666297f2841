# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VssAction: what every action plugin of this collection has in common.

It gives action plugins what modules have: an argument spec, check mode, diff, no_log, and failures that are one
sentence. A subclass says in `plan` what is done on a host.
"""

from __future__ import annotations

import traceback
from abc import abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.module_utils.common.parameters import remove_values
from ansible.plugins.action import ActionBase

from . import _spec
from ._carrier import Carrier, Refused, Unusable, open_runner, unreachable
from ._host import Host
from ._meter import Counters, Meter
from ._pipeline import CommandFailed, ConnectionLost, HostFailure, ProgramFailed, Unsendable
from ._translate import plain
from ._vss.errors import VssFailure

__all__ = ["VssAction"]

_WIRE, _TRACE = 2, 3  # verbosity from which the counters and the traceback of a bug are shown


class VssAction(ActionBase):  # type: ignore[misc]  # Ansible has no type hints for its plugins
    """An action that works on one Windows host over one connection."""

    _supports_check_mode = True
    _supports_async = False
    _requires_connection = True

    def __init_subclass__(cls, **options: Any) -> None:
        """Read the options where Ansible looks at the action, not in the process that it makes for each host."""
        super().__init_subclass__(**options)
        _spec.prepare(cls.__module__.rsplit(".", 1)[-1])

    @abstractmethod
    def plan(self, host: Host, args: dict[str, Any], check: bool) -> dict[str, Any]:
        """Do the module's work.

        args: the validated options as plain Python. check: change nothing. Returns the module's return values, plain
        data; `diff` among them is shown only in diff mode. Raises VssFailure and HostFailure.
        """

    def run(self, tmp: str | None = None, task_vars: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Run the task. Raises AnsibleConnectionFailure, which Ansible calls unreachable."""
        module = type(self).__module__.rsplit(".", 1)[-1]
        told = self._task.delegate_to or (task_vars or {}).get("inventory_hostname")
        self._name = str(told or self._play_context.remote_addr)
        refusal = self._refusal(module)
        if refusal:
            return {"failed": True, "msg": refusal}
        super().run(tmp, task_vars)
        checked = _spec.check(_spec.argument_spec(_spec.read(module)), self._task.args, module)
        invocation = {"module_args": {name: v for name, v in checked.values.items() if not name.startswith("_")}}
        if checked.error:
            result: dict[str, Any] = {"failed": True, "msg": checked.error}
        else:
            with Meter() as meter:
                result = self._guarded(checked.values, meter.counters)
            if self._display.verbosity >= _WIRE:
                result["wire"] = meter.counters.told()
        if not self._task.diff:
            result.pop("diff", None)
        result["invocation"] = invocation
        masked: dict[str, Any] = remove_values(result, checked.secrets)
        return masked

    def say(self, text: str) -> None:
        """Tell how the work goes, for those who watch it: one line."""
        if not self._task.no_log and not self._play_context.no_log:
            self._display.display(f"{self._name}: {' '.join(text.split())}")

    def _refusal(self, module: str) -> str:
        if self._task.async_val:
            return (
                f"async is not supported by {_spec.COLLECTION}.{module}: its work on the host outlives the connection "
                "where it has to, so leave async out"
            )
        if self._play_context.become:
            return "become is not supported, because it needs scripts on the host: connect as an administrator instead"
        return ""

    def _guarded(self, args: dict[str, Any], counters: Counters) -> dict[str, Any]:
        """The result of `plan`, or of its failure."""
        try:
            return self._connected(args, counters)
        except VssFailure as exc:
            return {"changed": False, **plain(exc.details), "failed": True, "msg": str(exc)}
        except (ConnectionLost, Refused) as exc:
            raise AnsibleConnectionFailure(str(exc)) from None
        except CommandFailed as exc:
            told = {"id": exc.error.error_id, "category": exc.error.category, "target": exc.error.target}
            return {"failed": True, "msg": str(exc), "error": told}
        except ProgramFailed as exc:
            return {"failed": True, "msg": str(exc), "exit_code": exc.exit_code, "output_lines": exc.lines}
        except (HostFailure, Unsendable) as exc:
            return {"failed": True, "msg": str(exc)}
        except AnsibleError:
            raise
        except Exception as exc:  # noqa: BLE001 - a user gets a sentence, never a traceback
            return self._bug(exc)

    def _connected(self, args: dict[str, Any], counters: Counters) -> dict[str, Any]:
        runner: Carrier | None = None
        try:
            runner = self._opened(counters)
            result = self.plan(Host(self._name, runner), args, bool(self._task.check_mode))
            if runner.repaired:
                told = f"The connection to {self._name} was lost and made again: {'; '.join(runner.repaired)}."
                result["warnings"] = [*result.get("warnings", []), told]
            return result
        finally:  # also for a task's timeout, which is no Exception
            if runner is not None:
                runner.close()
            self._leave()

    def _leave(self) -> None:
        """Close the connection, so that the counters hold its last request; the items of a loop go on sharing it."""
        if not self._task.loop:
            with suppress(Exception):  # Ansible closes it again when the task ends; what matters has been said
                self._connection.close()

    def _opened(self, counters: Counters) -> Carrier:
        try:
            return open_runner(self._connection, self._name, counters)
        except Unusable:
            raise
        except AnsibleConnectionFailure as exc:
            raise AnsibleConnectionFailure(unreachable(exc, self._name, self._connection)) from None
        except AnsibleError as exc:
            raise Unusable(f"the connection to {self._name} cannot be made: {' '.join(str(exc).split())}") from exc
        except (HostFailure, OSError) as exc:  # requests' exceptions are OSErrors
            raise AnsibleConnectionFailure(unreachable(exc, self._name, self._connection)) from None

    def _bug(self, exc: Exception) -> dict[str, Any]:
        told = " ".join(str(exc).split())
        result = {
            "failed": True,
            "msg": f"this is a bug in {_spec.COLLECTION}, please report it with the output of -vvv: "
            f"{type(exc).__name__}: {told}",
        }
        if self._display.verbosity >= _TRACE:
            result["exception"] = "".join(traceback.format_exception(exc))
        return result
