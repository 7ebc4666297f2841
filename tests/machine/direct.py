# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host of the laboratory and a controller in one process: the product's pipelines go straight into the engine.

No HTTP, no XML for what travels as a JSON text, no waiting: the host's time is virtual and moves on by itself as soon
as everything waits for it. What the carrier does to values and errors is done to them here, too.
"""

from __future__ import annotations

import itertools
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch
from xml.etree import ElementTree

import psrpcore
from ansible_collections.umbra.vss.plugins.action import backup, cleanup, restore, snapshot
from ansible_collections.umbra.vss.plugins.plugin_utils import _spec
from ansible_collections.umbra.vss.plugins.plugin_utils._error_records import reading_errors
from ansible_collections.umbra.vss.plugins.plugin_utils._host import Host
from ansible_collections.umbra.vss.plugins.plugin_utils._pipeline import (
    U64,
    ConnectionLost,
    HostError,
    HostFailure,
    Pipeline,
    Reader,
    Reply,
    Result,
    Statement,
    Unsendable,
)
from ansible_collections.umbra.vss.plugins.plugin_utils._translate import host_error, plain, plain_value
from ansible_collections.umbra.vss.plugins.plugin_utils._vss import owner
from ansible_collections.umbra.vss.plugins.plugin_utils._vss.errors import VssFailure
from psrpcore import types as ps
from pypsrp.messages import ErrorRecordMessage
from pypsrp.serializer import ObjectMeta, Serializer
from vsslab import fleet
from vsslab.engine.errors import ErrorInfo, PipelineFailed, PipelineStopped
from vsslab.engine.records import record_xml
from vsslab.engine.runspace import Runspace
from vsslab.faults import Faults
from vsslab.labtime import LabTime
from vsslab.specs import HostSpec, UserSpec, VolumeSpec
from vsslab.trace import Trace

ADMINISTRATOR = "Administrator"
GIB = 1024**3
BEGIN = datetime(2026, 3, 27, 22, 30, tzinfo=timezone.utc)  # two days later, clocks are set forward in Europe
MODULES = {"backup": backup, "snapshot": snapshot, "cleanup": cleanup, "restore": restore}
_SPECS: dict[str, Any] = {}
_POOL = psrpcore.ServerRunspacePool()
_shells = itertools.count(1)


def build(root: Path, **spec: Any) -> Any:
    """A host with an administrator, in virtual time."""
    volumes = (
        VolumeSpec("C", capacity=64 * GIB, system=True, pagefile=True),
        VolumeSpec("D", capacity=32 * GIB),
        VolumeSpec("E", capacity=32 * GIB),
    )
    wanted = HostSpec(
        **{"name": "srv1", "users": (UserSpec(ADMINISTRATOR, administrator=True, remote=True),), "volumes": volumes}
        | spec
    )
    time = LabTime(virtual=True, start=BEGIN)
    secrets = {user.name: "Secret-1234" for user in wanted.users}
    return fleet.build(wanted, root, secrets, Faults(), Trace(time=time), time)


# ---- values
def _sent(value: Any) -> Any:
    """A value as psrpcore reads it: numbers beyond 32 bits, and those that ask for it, in 64."""
    if isinstance(value, U64):
        return ps.PSUInt64(int(value))
    if isinstance(value, list):
        return [_sent(each) for each in value]
    if isinstance(value, dict):
        return {key: _sent(each) for key, each in value.items()}
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**31) <= value < 2**31:
        return ps.PSUInt64(value) if value >= 2**63 else ps.PSInt64(value)
    return value


def powershell(pipeline: Pipeline) -> psrpcore.PowerShell:
    """The pipeline as it arrives at a host."""
    made = psrpcore.PowerShell()
    for statement in pipeline.batch():
        for command in statement:
            sent = psrpcore.Command(command.name)
            for name, value in command.parameters.items():
                sent.add_parameter(name, _sent(plain(value)))
            for value in command.arguments:
                sent.add_argument(_sent(plain(value)))
            made.commands.append(sent)
        made.commands[-1].end_of_statement = True
    return made


def _xml(value: Any) -> str:
    capability = _POOL.our_capability
    element = ps.serialize(value, _POOL._cipher, our_capability=capability, their_capability=capability)
    return ElementTree.tostring(element, encoding="unicode")


def _received(value: Any) -> Any:
    """An object of the output as the client library and the carrier give it; only objects need their XML for that."""
    if value is None or type(value) in (str, bool):
        return value
    if isinstance(value, ps.PSInt):
        return int(value)
    return plain_value(Serializer().deserialize(_xml(value)))


def _error(info: ErrorInfo, *, ended: bool = False) -> HostError:
    """An error as it is read: from the error stream, or inside the message that the pipeline has ended with it."""
    reading = SimpleNamespace(_fragmenter=SimpleNamespace(serializer=Serializer()))
    if not ended:
        reading_errors(reading)
    xml = record_xml(info, extended=not ended)
    return host_error(reading._fragmenter.serializer.deserialize(xml, ObjectMeta("Obj", object=ErrorRecordMessage)))


class _Sink:
    """Gives outputs and errors to a Reader in their order; `cut` is called with every value of the output."""

    def __init__(self, reader: Reader, cut: Callable[[Any], None]) -> None:
        self._reader, self._cut = reader, cut

    def output(self, value: Any) -> None:
        value = _received(value)
        self._reader.output(value)
        self._cut(value)

    def error(self, info: ErrorInfo) -> None:
        self._reader.error(_error(info))

    def warning(self, text: str) -> None:
        """Nobody reads it."""

    def verbose(self, text: str) -> None:
        """Nobody reads it."""

    def progress(self, activity: str, status: str, percent: int) -> None:
        """Nobody reads it."""


# ---- the runner
class Killed(BaseException):
    """The controller's process is gone: nothing catches this, and nothing is sent any more."""


@dataclass(frozen=True)
class Trouble:
    """What befalls pipeline number `at` of a task (from 1): only the first `statements` of it run (None: all do).

    killed: the controller dies; else it only loses the connection.
    """

    at: int
    statements: int | None = None
    killed: bool = True


class DirectRunner:
    """A Runner whose pipelines run in a session of the laboratory's engine in this process."""

    def __init__(self, host: Any, user: str = ADMINISTRATOR, trouble: Trouble | None = None) -> None:
        self._host, self._user, self._trouble = host, host.users.find(user), trouble
        self.pipelines = 0
        self.happened = False  # whether the trouble came: a task may be over before
        self._open()

    def run(self, statements: Sequence[Statement], repeatable: bool) -> Reply:
        """See `_host.Runner`."""
        trouble = self._next()
        if trouble is None:
            return self._through(Pipeline(tuple(statements)))
        self.happened = True
        if trouble.statements != 0:
            self._through(Pipeline(tuple(statements)), trouble.statements)
        if trouble.killed:
            self.close()
            raise Killed
        if repeatable:  # the carrier reads again
            self.reopen()
            return self._through(Pipeline(tuple(statements)))
        raise ConnectionLost(self._host.name, "the test cut it", [statement.key for statement in statements])

    def stream(self, statements: Sequence[Statement]) -> Iterator[Result]:
        """See `_host.Runner`; here each statement is a pipeline of its own."""
        for statement in statements:
            reply = self.run([statement], True)
            result = reply[statement.key]
            result.errors.extend([reply.failure] if reply.failure and not result.complete else [])
            yield result
            if not result.complete:
                return

    def reopen(self) -> None:
        """See `_host.Runner`."""
        if self.happened and self._trouble is not None and self._trouble.killed:
            raise Killed
        self.close()
        self._open()

    def close(self) -> None:
        """The session ends, and with it what was started in it."""
        self._host.processes.kill_owned(self._runspace.shell_id)

    def _open(self) -> None:
        self._runspace = Runspace(self._host, self._user, f"D1EC{next(_shells):08}")

    def _next(self) -> Trouble | None:
        if self.happened and self._trouble is not None and self._trouble.killed:
            raise Killed
        self.pipelines += 1
        return self._trouble if self._trouble is not None and self._trouble.at == self.pipelines else None

    def _through(self, pipeline: Pipeline, statements: int | None = None) -> Reply:
        """Run a pipeline; after so many statements it is stopped, as that of a session that ends."""
        reader, stop, done = pipeline.reader(), threading.Event(), threading.Event()
        left = itertools.count(min(statements or 0, len(pipeline.statements)) - 1, -1)
        ended: list[BaseException] = []

        def cut(value: Any) -> None:
            if statements is not None and value == pipeline.token and next(left) == 0:
                stop.set()

        def work() -> None:
            try:
                self._runspace.invoke(powershell(pipeline), _Sink(reader, cut), stop, "P1")
            except BaseException as error:  # noqa: BLE001 - raised again where the pipeline was asked for
                ended.append(error)
            finally:
                done.set()

        time = self._host.clock.time
        time.spawn(work, name="pipeline")
        while not done.is_set():
            time.advance(0)  # until it has ended, or waits for time to pass
            deadlines = time.deadlines()
            if not done.is_set() and deadlines:
                time.advance(deadlines[0][1])
        failure = ended[0] if ended else None
        if isinstance(failure, PipelineFailed):
            return reader.end(_error(failure.info, ended=True))
        if failure is not None and not isinstance(failure, PipelineStopped):
            raise failure
        return reader.end()


# ---- the controller
_numbers = itertools.count(2**22 + 1)  # no process has such a number (proc(5), pid_max)


@contextmanager
def a_process(far: bool = False) -> Iterator[None]:
    """What happens inside is done by a process of its own, as Ansible does it, which is gone afterwards.

    far: on another controller, of which nobody here can tell whether it lives.
    """
    mine, real = next(_numbers), owner._started
    me = replace(owner.this_process(), pid=mine, started="1")
    if far:
        me = replace(me, controller="elsewhere", boot="another")
    with ExitStack() as stack:
        stack.enter_context(patch.object(owner, "_started", lambda pid: "1" if pid == mine else real(pid)))
        for name, module in list(sys.modules.items()):
            if "umbra.vss" in name and hasattr(module, "this_process"):
                stack.enter_context(patch.object(module, "this_process", lambda: me))
        yield


def _spec_of(module: str) -> dict[str, Any]:
    if module not in _SPECS:
        _SPECS[module] = _spec.argument_spec(_spec.read(module))
    return _SPECS[module]


class Controller:
    """What an action plugin does with a task, without Ansible around it."""

    def __init__(self, host: Any) -> None:
        self.host = host
        self.said: list[str] = []
        self.pipelines = 0

    @staticmethod
    def options(module: str) -> frozenset[str]:
        """The names of a module's options."""
        return frozenset(_spec_of(module))

    def task(
        self, module: str, args: dict[str, Any], check: bool = False, trouble: Trouble | None = None, far: bool = False
    ) -> dict[str, Any]:
        """The result of a task; a failed one has `failed` and `msg`. Raises Killed, and what would be a bug."""
        checked = _spec.check(_spec_of(module), args, module)
        if checked.error:
            return {"failed": True, "changed": False, "msg": checked.error}
        runner = DirectRunner(self.host, trouble=trouble)
        action = SimpleNamespace(say=self.said.append)
        try:
            with a_process(far):
                return MODULES[module].ActionModule.plan(action, Host("srv1", runner), checked.values, check)
        except VssFailure as failure:
            return {"changed": False, **failure.details, "failed": True, "msg": str(failure)}
        except (HostFailure, Unsendable) as failure:
            return {"changed": False, "failed": True, "msg": str(failure), "lost": isinstance(failure, ConnectionLost)}
        finally:
            self.pipelines += runner.pipelines
            runner.close()
