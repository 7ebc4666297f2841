# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A runspace: one session of Windows PowerShell 5.1 on a host, as an endpoint without a language offers it.

What it promises was measured with the real engine: the order of statements, the special first of several, what ends a
pipeline and what does not.  Script text is always refused.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from vsslab.windows.errors import WinError

from . import signatures
from .clixml import from_wire, to_wire
from .command import Call, Sink
from .commands import load
from .errors import ErrorInfo, PipelineFailed, PipelineStopped, PowerShellError, record, text
from .native import ProgramStage
from .pipeline import Asked, CmdletStage, Context, run
from .values import EnumValue, Obj, Secret, Version, text_of

if TYPE_CHECKING:
    from psrpcore import PowerShell

    from vsslab.trace import Trace
    from vsslab.windows.host import Host
    from vsslab.windows.users import User

_NO_SCRIPTS = "The syntax is not supported by this runspace. This can occur if the runspace is in no-language mode."
_REDIRECTED = "the redirection of a stream (MergeMyResult and its like)"
_VERSION_FACTS = {"PSRemotingProtocolVersion": "2.3", "SerializationVersion": "1.1.0.1", "WSManStackVersion": "3.0",
                  "CLRVersion": "4.0.30319.42000"}  # fmt: skip
_COMPATIBLE = ("1.0", "2.0", "3.0", "4.0", "5.0", "5.1")


class Runspace:
    """One session. `variables` outlive a pipeline; everything else does not.

    `refusals` counts, over the life of the session, what was asked for and is not simulated.
    """

    def __init__(self, host: Host, user: User, shell_id: str, trace: Trace | None = None) -> None:
        self.host = host
        self.user = user
        self.shell_id = shell_id
        self.trace = trace if trace is not None else host.trace
        self.location = f"C:\\Users\\{user.name}\\Documents"
        self.files = host.files.as_user(user, cwd=self.location)
        self.refusals: Counter[str] = Counter()
        self.variables: dict[str, Any] = {
            "PSVersionTable": version_table(host),
            "ErrorActionPreference": EnumValue("Continue", 2, "System.Management.Automation.ActionPreference"),
            "true": True, "false": False, "null": None, "HOME": f"C:\\Users\\{user.name}", "PWD": self.location,
            "PSHOME": "C:\\Windows\\System32\\WindowsPowerShell\\v1.0",
        }  # fmt: skip

    # -- the door --------------------------------------------------------------------------------------------------
    def invoke(self, powershell: PowerShell, sink: Sink, stop: threading.Event, pipeline_id: str) -> None:
        """Run a pipeline to its end in this thread.

        Returning means Completed; raises PipelineFailed (its record belongs into the state message) and
        PipelineStopped (when `stop` was set).
        """
        statements = _statements(powershell)
        context = Context(self, sink, stop)
        started = time.monotonic()
        self.trace.write(
            "pipeline",
            self.host.name,
            id=pipeline_id,
            shell=self.shell_id,
            user=self.user.full_name,
            statements=[_traced(number, each) for number, asked in enumerate(statements) for each in asked],
        )
        state = "Completed"
        try:
            self._run_all(context, statements)
        except PipelineStopped:
            state = "Stopped"
            raise
        except PowerShellError as problem:
            state = "Failed"
            raise PipelineFailed(record(problem.info, extended=False), problem.info) from None
        finally:
            self.trace.write("pipeline_end", self.host.name, id=pipeline_id, state=state, errors=context.errors,
                             outputs=context.outputs, seconds=round(time.monotonic() - started, 6))  # fmt: skip

    def _run_all(self, context: Context, statements: list[list[Asked]]) -> None:
        """Statement after statement.

        When the first of several fails (other than by -ErrorAction Stop), its error goes into the error stream, the
        second statement runs, and the pipeline is Completed without the others (measured with the real engine).
        """
        for number, asked in enumerate(statements):
            if context.stop.is_set():
                raise PipelineStopped
            try:
                self._run_one(context, asked)
            except PowerShellError as problem:
                if number > 0 or len(statements) == 1 or problem.info.stopped:
                    raise
                context.report(problem.info.as_appended(), "Continue")
                self._run_one(context, statements[1])
                return

    def _run_one(self, context: Context, asked: list[Asked]) -> None:
        stages = [self._stage(context, each, piped=position > 0) for position, each in enumerate(asked)]
        for stage, following in itertools.pairwise(stages):
            stage.next = following
        for stage in stages:
            if isinstance(stage, CmdletStage):
                stage.bind()
        run(context, stages)

    # -- names -----------------------------------------------------------------------------------------------------
    def _stage(self, context: Context, asked: Asked, *, piped: bool) -> CmdletStage | ProgramStage:
        if asked.is_script:
            raise PowerShellError(ErrorInfo(_NO_SCRIPTS, "ScriptsNotAllowed", "ParserError", asked.name,
                                            "System.Management.Automation.ParseException"))  # fmt: skip
        if asked.redirects:
            raise PowerShellError(self.refuse(asked.name, _REDIRECTED))
        signature = resolve(asked.name)
        if signature is not None:
            return CmdletStage(context, signature, asked, piped=piped)
        try:
            path = self.host.processes.find(asked.name, self.location)
        except WinError:
            raise PowerShellError(self._unknown(asked.name)) from None
        return ProgramStage(context, path, asked, piped=piped)

    def _unknown(self, name: str) -> ErrorInfo:
        return ErrorInfo(
            text("CommandNotFound", self.host.language.tag, name),
            "CommandNotFoundException",
            "ObjectNotFound",
            name,
            "System.Management.Automation.CommandNotFoundException",
            facts={"CommandName": name},
        )

    # -- what the laboratory adds ----------------------------------------------------------------------------------
    def refuse(self, command: str, what: str) -> ErrorInfo:
        """Count and trace something that is not simulated; the error that says so."""
        self.refusals[what] += 1
        self.trace.write("refused", self.host.name, command=command, what=what, shell=self.shell_id)
        return ErrorInfo(f"vsslab does not simulate {what}.", "SimulationRefused", "NotImplemented", command,
                         "System.NotSupportedException")  # fmt: skip

    def faults_at(self, call: Call, facts: dict[str, Any]) -> None:
        """Do what a fault of kind 'command' wants at this command: wait (`delay`), then fail (`fail`, `id`, ...).

        `do.fail` is a message or an HRESULT, `do.id` and `do.category` the record's; `do.terminating` (default) ends
        the statement.
        """
        told = " ".join(f"-{name} {text_of(value)}" for name, value in facts.items())
        fault = self.host.faults.match("command", host=self.host.name, command=call.origin.name, user=self.user.name,
                                       arguments=told, **{name.lower(): text_of(each) for name, each in facts.items()
                                                          if name.lower() not in _FAULT_FACTS})  # fmt: skip
        if fault is None:
            return
        self.trace.write("fault", self.host.name, id=fault.id, command=call.origin.name, do=dict(fault.do))
        if fault.delay and self.host.clock.sleep(fault.delay, call.stop):
            raise PipelineStopped
        wanted = fault.do.get("fail")
        if wanted is None:
            return
        number = fault.do.get("hresult")
        message, error_id = str(wanted), str(fault.do.get("id", "InjectedFault"))
        if isinstance(wanted, int) or str(wanted).lower().startswith("0x"):
            number = int(wanted) if isinstance(wanted, int) else int(str(wanted), 16)
            message = f"The operation failed with the error 0x{number & 0xFFFFFFFF:08X}."
            error_id = str(fault.do.get("id", f"HRESULT 0x{number & 0xFFFFFFFF:08x}"))
        info = call.info(message, error_id, str(fault.do.get("category", "NotSpecified")))
        if fault.do.get("terminating", True):
            raise PowerShellError(info)
        call.report(info)


_FAULT_FACTS = frozenset({"host", "command", "user", "arguments", "kind"})


def resolve(name: str) -> signatures.Signature | None:
    """The command that a name means: an alias, a command's name, or module\\name."""
    aliased = signatures.table("aliases").get(name.lower(), name)
    module, separator, bare = aliased.rpartition("\\")
    found = signatures.find(bare)
    if found is None or (separator and found.module.lower() != module.lower()):
        return None
    return found


def version_table(host: Host) -> dict[str, Any]:
    """$PSVersionTable of the host."""
    version = host.profile.ps_version
    table: dict[str, Any] = {
        "PSVersion": Version(version),
        "PSEdition": "Desktop",
        "BuildVersion": Version(host.profile.version),
    }
    table |= {name: Version(each) for name, each in _VERSION_FACTS.items()}
    table["PSCompatibleVersions"] = [Version(each) for each in (*_COMPATIBLE[:-1], ".".join(version.split(".")[:4]))]
    return table


def application_private_data(host: Host) -> dict[str, Any]:
    """What a pool's APPLICATION_PRIVATE_DATA holds ([MS-PSRP] 2.2.2.13): the version table, as psrpcore's types."""
    table = {name: to_wire(value, 2) for name, value in version_table(host).items()}
    return {"PSVersionTable": table}


def _statements(powershell: PowerShell) -> list[list[Asked]]:
    out: list[list[Asked]] = [[]]
    for each in powershell.commands:
        arguments = tuple((None if name is None else str(name), from_wire(value)) for name, value in each.parameters)
        redirects = any(int(way) for way in (each.merge_my, each.merge_to)) or each.merge_unclaimed
        out[-1].append(Asked(str(each.command_text), arguments, bool(each.is_script), bool(redirects)))
        if each.end_of_statement:
            out.append([])
    return [each for each in out if each]


def _traced(number: int, asked: Asked) -> dict[str, Any]:
    """A command for the trace: named values and positional ones; SecureStrings and passwords are not written."""
    named = {name: _shown(name, value) for name, value in asked.arguments if name}
    return {"statement": number, "command": asked.name, "parameters": named, "is_script": asked.is_script,
            "arguments": [_shown("", value) for name, value in asked.arguments if not name]}  # fmt: skip


def _shown(name: str, value: Any) -> Any:
    if name.lower().removeprefix("-").startswith(("password", "credential")) or isinstance(value, (Secret, Obj)):
        return "********" if not isinstance(value, Obj) else value.types[0]
    if isinstance(value, list):
        return [_shown("", each) for each in value]
    if isinstance(value, dict):
        return {text_of(key): _shown(text_of(key), each) for key, each in value.items()}
    return value if value is None or isinstance(value, (bool, int, float, str)) else text_of(value)


load()
